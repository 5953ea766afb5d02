/* A codec beside the numbers of its original: CASE.codes [q, n] with CASE.audio and every layer's output [channels, rows], for the case
 * without a name and for "one"; and folded.LAYER.weight, the kernels after weight norm. doc/models/dac.md has the figures. */
#include "dac_parts.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 128 };

struct check {
    const struct dac *d;
    const m8__weights *expected;
    const char *name; /* "" or "one." */
    void (*report)(void *user, const char *tensor, double max_diff, double tolerance);
    void *user;
    int found;
    m8_status status; /* M8_E_NOMEM */
    struct layer { /* outputs come piece by piece */
        char name[64];
        const m8__tensor *t;
        int64_t rows;
        double most;
    } layer[MOST_LAYERS];
    int n_layers;
};

static const m8__tensor *find(const struct check *c, const char *what)
{
    char name[96];
    snprintf(name, sizeof name, "%s%s", c->name, what);
    return m8__weights_find(c->expected, name);
}

static float *floats(struct check *c, const m8__tensor *t)
{
    float *f = m8__floats(t);
    if (!f) c->status = M8_E_NOMEM;
    return f;
}

static void report(struct check *c, const char *name, double most, double tolerance)
{
    c->found++;
    c->report(c->user, name, most, tolerance);
}

/* The next rows of a layer, which the file has as columns; rows that it has not are infinitely far. */
static void tap(void *user, const char *name, nn_t x)
{
    struct check *c = user;
    int i = 0;
    while (i < c->n_layers && strcmp(c->layer[i].name, name)) i++;
    if (i == MOST_LAYERS || c->status) return;
    struct layer *l = &c->layer[i];
    if (i == c->n_layers) {
        *l = (struct layer){ .t = find(c, name) };
        snprintf(l->name, sizeof l->name, "%s", name);
        c->n_layers++;
    }
    if (!l->t) return;
    int64_t columns = l->t->n / x.c, from = l->rows;
    float *want = floats(c, l->t);
    l->rows += x.n;
    if (!want) return;
    if (l->rows > columns || columns * x.c != l->t->n) l->most = INFINITY;
    for (int j = 0; isfinite(l->most) && j < x.n; j++) {
        for (int k = 0; k < x.c; k++) {
            double d = fabs((double)x.d[(ptrdiff_t)j * x.ld + k] - (double)want[k * columns + from + j]);
            if (!(d <= l->most)) l->most = d;
        }
        if (l->rows == columns && j + 1 == x.n) report(c, l->t->name, l->most, strncmp(name, "quantizer", 9) ? 1e-4 : 1e-5);
    }
    if (!isfinite(l->most)) report(c, l->t->name, l->most, 1e-4);
    m8_free(want);
}

static m8_status read_codes(struct check *c, const m8__tensor *t, int **codes, int *n, m8_error *err)
{
    const struct dac *d = c->d;
    if (t->n_dims != 2 || t->dims[0] != d->n_q || t->dims[1] < 1 || t->dims[1] > 100000)
        return m8_fail(err, M8_E_FORMAT, "%scodes: expected [%d, 1 to 100000]", c->name, d->n_q);
    float *from = floats(c, t);
    *n = (int)t->dims[1];
    *codes = m8_malloc((size_t)t->n * sizeof **codes);
    m8_status st = from && *codes ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    for (int i = 0; i < *n && !st; i++) {
        for (int q = 0; q < d->n_q && !st; q++) {
            float x = from[(size_t)q * (size_t)*n + (size_t)i];
            (*codes)[i * d->n_q + q] = x >= 0 && x < (float)d->n_codes ? (int)x : 0;
            if (!(x >= 0 && x < (float)d->n_codes)) st = m8_fail(err, M8_E_FORMAT, "%scodes: %g is no code of this codec", c->name, (double)x);
        }
    }
    m8_free(from);
    return st;
}

static m8_status run_case(nn_run *r, struct check *c, const m8__tensor *t, m8_error *err)
{
    int *codes = NULL, n = 0;
    struct dac_stream *s = NULL;
    nn_reset(r);
    c->n_layers = 0;
    m8_status st = read_codes(c, t, &codes, &n, err);
    if (!st) st = m8__dac_stream_new(&s, c->d, err);
    if (!st) {
        nn_t sound = m8__dac_push(r, s, codes, n, true, tap, c);
        st = r->status ? r->status : c->status;
        const m8__tensor *audio = find(c, "audio");
        float *want = audio && !st ? floats(c, audio) : NULL;
        double most = audio && audio->n == sound.n ? 0 : INFINITY;
        for (int i = 0; want && i < sound.n && isfinite(most); i++) most = fmax(most, fabs((double)sound.d[i] - (double)want[i]));
        if (want) report(c, audio->name, most, 5e-6);
        m8_free(want);
    }
    m8__dac_stream_free(s);
    m8_free(codes);
    return st ? m8_fail(err, st, "verifying %scodes", c->name) : M8_OK;
}

/* A kernel as it stands in the panels against the file's, [n_out, n_in, taps] or [n_in, n_out, 2 rate]. */
static void check_folded(struct check *c, const nn_w *w, int rate, const char *layer)
{
    char name[64];
    snprintf(name, sizeof name, "folded.%s.weight", layer);
    const m8__tensor *t = m8__weights_find(c->expected, name);
    if (!t || c->status || w->type != NN_F32) return;
    int taps = w->taps, n_out = rate ? w->n_out / rate : w->n_out, k = rate ? taps * rate : taps;
    double most = t->n == (int64_t)w->n_out * taps * w->n_in ? 0 : INFINITY;
    float *want = floats(c, t);
    for (int64_t i = 0; want && most < INFINITY && i < t->n; i++) {
        int at = (int)(i % k), second = (int)(i / k % (rate ? n_out : w->n_in)), first = (int)(i / k / (rate ? n_out : w->n_in));
        int o = rate ? at % rate * n_out + second : first, in = rate ? first : second, tap = rate ? taps - 1 - at / rate : at;
        const float *panel = (const float *)((const char *)w->data + (size_t)(o / PANEL) * w->panel);
        most = fmax(most, fabs((double)panel[((size_t)tap * (size_t)w->n_in + (size_t)in) * PANEL + o % PANEL] - (double)want[i]));
    }
    m8_free(want);
    if (!c->status) report(c, name, most, 1e-6);
}

m8_status m8__dac_verify(m8_model *m, const m8__weights *expected, void (*fn)(void *, const char *, double, double), void *user,
                         m8_error *err)
{
    struct check *c = m8_calloc(1, sizeof *c);
    nn_run r = { 0 };
    m8_status st = c ? nn_run_init(&r, m->pool, err) : m8_fail(err, M8_E_NOMEM, "verifying");
    if (!st) *c = (struct check){ .d = m->impl, .expected = expected, .report = fn, .user = user };
    for (int i = 0; !st && i < 2; i++) {
        c->name = i ? "one." : "";
        const m8__tensor *codes = find(c, "codes");
        if (codes) st = run_case(&r, c, codes, err);
    }
    if (!st) check_folded(c, &c->d->first.w, 0, "decoder.model.0");
    for (int i = 0; !st && i < c->d->n_stages; i++) {
        char name[40];
        snprintf(name, sizeof name, "decoder.model.%d.block.1", i + 1);
        check_folded(c, &c->d->stage[i].up.w, c->d->stage[i].rate, name);
    }
    if (!st && c->status) st = m8_fail(err, c->status, "verifying");
    if (!st && !c->found) st = m8_fail(err, M8_E_UNSUPPORTED, "no codes: not goldens of a codec");
    if (r.arena) nn_run_finish(&r);
    m8_free(c);
    return st;
}
