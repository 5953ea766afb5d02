/* T5's encoder as a model of its own, which can be verified and nothing else. The goldens (transformers, see doc/models/t5.md):
 * NAME.ids with NAME.hidden.N, NAME.out and NAME.position_bias_rowQ [heads, n]; bucket.{relative, value}; and a batch of two with a
 * mask, padded.{ids, mask, out}, whose rows are run alone here: nothing is padded in this program. */
#include "t5.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct encoder {
    struct t5 t5;
    nn_run run;
};

static bool match(const m8__weights *w)
{
    const char *type = json_string_value(json_object_get(m8__weights_config(w), "model_type"));
    return !strcmp(m8__weights_format(w), "safetensors") && type && !strcmp(type, "t5");
}

static m8_status open_t5(m8_model *model, nn_load *l, m8_error *err)
{
    struct encoder *e = model->impl = m8_calloc(1, sizeof *e);
    if (!e) return m8_fail(err, M8_E_NOMEM, "opening %s", m8__weights_path(l->w));
    m8_status st = m8__t5_load(&e->t5, l, m8__weights_config(l->w), "");
    if (!st) st = nn_run_init(&e->run, model->pool, err);
    m8_error none = {0}; /* a folder without a tokenizer can be verified, too */
    if (!st && m8__tokenizer_open(&model->tokenizer, l->w, &none) == M8_E_NOMEM) st = m8_fail(err, M8_E_NOMEM, "%s", m8_error_text(&none));
    return st;
}

static void close_t5(m8_model *model)
{
    struct encoder *e = model->impl;
    if (e) nn_run_finish(&e->run);
    m8_free(e);
    model->impl = NULL;
}

/* ---- verify */

struct check {
    struct encoder *e;
    const m8__weights *w;
    const char *name; /* of the input: "short" */
    void (*report)(void *user, const char *tensor, double max_diff, double tolerance);
    void *user;
    int found;
    m8_status status; /* M8_E_NOMEM */
};

static const m8__tensor *find(const struct check *c, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", c->name, what);
    return m8__weights_find(c->w, name);
}

static float *floats(struct check *c, const m8__tensor *t)
{
    float *f = m8__floats(t);
    if (!f) c->status = M8_E_NOMEM;
    return f;
}

/* x against the tensor's rows from row0 on; sizes that do not fit are infinitely far. */
static void compare(struct check *c, const m8__tensor *t, int64_t row0, nn_t x)
{
    if (!t || c->status) return;
    double most = INFINITY;
    float *want = floats(c, t);
    if (want && x.c == (t->n_dims ? t->dims[t->n_dims - 1] : 1) && (row0 + x.n) * x.c <= t->n) {
        most = 0;
        for (int i = 0; i < x.n; i++) {
            for (int j = 0; j < x.c; j++) {
                double d = fabs((double)x.d[(ptrdiff_t)i * x.ld + j] - (double)want[(row0 + i) * x.c + j]);
                if (!(d <= most)) most = d;
            }
        }
    }
    m8_free(want);
    if (c->status) return;
    c->found++;
    c->report(c->user, t->name, most, 2e-5);
}

static void tap(void *user, int i, nn_t h)
{
    struct check *c = user;
    char name[32];
    snprintf(name, sizeof name, "hidden.%d", i);
    compare(c, find(c, name), 0, h);
    if (i == c->e->t5.n_layers) compare(c, find(c, "out"), 0, h);
}

/* The n ids at ids (floats that hold integers) through the encoder. */
static m8_status encode(struct check *c, const float *from, int64_t n, void (*see)(void *, int, nn_t), nn_t *out, m8_error *err)
{
    nn_run *r = &c->e->run;
    int *ids = m8_malloc((size_t)n * sizeof *ids + 1);
    m8_status st = ids ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    for (int64_t i = 0; i < n && !st; i++) {
        ids[i] = from[i] >= 0 && from[i] < (float)c->e->t5.n_vocab ? (int)from[i] : -1;
        if (ids[i] < 0) st = m8_fail(err, M8_E_FORMAT, "%s.ids: %g is no id of this model", c->name, (double)from[i]);
    }
    nn_reset(r);
    if (!st) *out = m8__t5_encode(r, &c->e->t5, ids, (int)n, see, c);
    if (!st && r->status) st = m8_fail(err, r->status, "verifying");
    m8_free(ids);
    return st;
}

static m8_status check_input(struct check *c, m8_error *err)
{
    const m8__tensor *t = find(c, "ids");
    if (!t || t->n_dims != 1 || t->n < 1 || t->n > 4096) return M8_OK;
    float *ids = floats(c, t);
    nn_t out;
    m8_status st = ids ? encode(c, ids, t->n, tap, &out, err) : m8_fail(err, M8_E_NOMEM, "verifying");
    m8_free(ids);
    for (int64_t q = 0; !st && q < t->n; q += t->n > 1 ? t->n - 1 : 1) { /* the first row and the last */
        char name[48];
        snprintf(name, sizeof name, "position_bias_row%lld", (long long)q);
        nn_t bias = nn_new(&c->e->run, c->e->t5.n_heads, (int)t->n);
        for (int h = 0; bias.d && h < bias.n; h++) {
            for (int k = 0; k < bias.c; k++) bias.d[h * bias.ld + k] = c->e->t5.bias[m8__t5_bucket(k - (int)q) * bias.n + h];
        }
        compare(c, find(c, name), 0, bias);
        st = c->e->run.status;
    }
    return st ? m8_fail(err, st, "verifying %s", c->name) : M8_OK;
}

static m8_status check_padded(struct check *c, m8_error *err)
{
    const m8__tensor *ids = find(c, "ids"), *mask = find(c, "mask"), *want = find(c, "out");
    if (!ids || !mask || !want || ids->n_dims != 2 || mask->n != ids->n || ids->n < 1 || ids->n > 4096) return M8_OK;
    float *id = floats(c, ids), *keep = floats(c, mask);
    m8_status st = id && keep ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    for (int64_t row = 0, n; row < ids->dims[0] && !st; row++) {
        const float *k = keep + row * ids->dims[1];
        for (n = 0; n < ids->dims[1] && k[n] > 0; n++) {}
        nn_t out = {0};
        st = n ? encode(c, id + row * ids->dims[1], n, NULL, &out, err) : M8_OK;
        if (!st && n) compare(c, want, row * ids->dims[1], out);
    }
    m8_free(id);
    m8_free(keep);
    return st;
}

static void check_buckets(struct check *c)
{
    const m8__tensor *at = find(c, "relative"), *want = find(c, "value");
    if (!at || !want || at->n != want->n) return;
    float *distance = floats(c, at), *value = floats(c, want);
    int wrong = 0;
    for (int64_t i = 0; distance && value && i < at->n; i++) {
        wrong += !(fabsf(distance[i]) < 1 << 20) || (float)m8__t5_bucket((int)distance[i]) != value[i];
    }
    m8_free(distance);
    m8_free(value);
    if (c->status) return;
    c->found++;
    c->report(c->user, want->name, wrong, 0.5);
}

static m8_status verify(m8_model *model, const m8__weights *expected, void (*fn)(void *, const char *, double, double), void *user,
                        m8_error *err)
{
    static const char *const names[] = { "short", "mid", "long" };
    struct check c = { .e = model->impl, .w = expected, .report = fn, .user = user };
    m8_status st = M8_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !st; i++) {
        c.name = names[i];
        st = check_input(&c, err);
    }
    c.name = "padded";
    if (!st) st = check_padded(&c, err);
    c.name = "bucket";
    if (!st) check_buckets(&c);
    if (!st && c.status) st = m8_fail(err, c.status, "verifying");
    if (!st && !c.found) return m8_fail(err, M8_E_UNSUPPORTED, "nothing in the file that a T5 encoder can be verified with");
    return st;
}

const struct m8__family m8__t5 = { .name = "t5", .match = match, .open = open_t5, .close = close_t5, .verify = verify };
