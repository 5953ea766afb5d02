/* Goldens of a voice: for each case K in the file, caseK.ids and any of caseK.{enc_p.emb, enc_p.layer.0, m_p, logs_p, dp.cond, logw,
 * durations, z_p, z, audio}; caseK.noise_w [2, n] and caseK.noise [latent, frames] are normal draws to feed. The scales
 * (noise_scale, length_scale, noise_w) come from expected.json beside it: cases.caseK.scales; otherwise the voice's own where there is
 * noise, and 0, 1, 0 where there is none. Matrices in the file are [channels, rows]. doc/models/vits.md has the figures. */
#include "vits.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct check {
    const struct vits *v;
    const m8__weights *expected;
    char name[32];
    void (*report)(void *user, const char *tensor, double max_diff, double tolerance);
    void *user;
};

static const m8__tensor *of_case(const struct check *c, const char *what)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", c->name, what);
    return m8__weights_find(c->expected, name);
}

/* A tensor of the case as floats; *st tells of no memory. NULL: not there. */
static float *floats(const struct check *c, const char *what, int64_t n, m8_status *st)
{
    const m8__tensor *t = of_case(c, what);
    if (*st || !t || t->n != n || n == 0) return NULL;
    float *x = m8_malloc((size_t)n * sizeof *x);
    if (!x) *st = M8_E_NOMEM;
    else m8__dequant(x, t, 0, t->n_dims ? n / t->dims[t->n_dims - 1] : 1);
    return x;
}

/* x [n, c] against the file's [c, n]; a golden of another size is reported as infinitely far. flip: channels in reversed order. */
static m8_status compare(const struct check *k, const char *what, nn_t x, bool flip, double tolerance)
{
    const m8__tensor *t = of_case(k, what);
    if (!t) return M8_OK;
    m8_status st = M8_OK;
    char name[96];
    snprintf(name, sizeof name, "%s.%s", k->name, what);
    double most = INFINITY;
    float *want = floats(k, what, (int64_t)x.n * x.c, &st);
    if (want) {
        most = 0;
        for (int i = 0; i < x.n; i++) {
            for (int c = 0; c < x.c; c++) {
                float got = x.d[(ptrdiff_t)i * x.ld + (flip ? x.c - 1 - c : c)];
                double d = fabs((double)got - (double)want[(size_t)c * x.n + i]);
                if (!(d <= most)) most = d;
            }
        }
    }
    m8_free(want);
    if (!st) k->report(k->user, name, most, tolerance);
    return st;
}

static void read_scales(const struct check *c, bool noisy, double scales[3])
{
    scales[0] = noisy ? (double)c->v->noise_scale : 0;
    scales[1] = 1;
    scales[2] = noisy ? (double)c->v->noise_w : 0;
    m8_buf text = { .limit = 1 << 20 };
    char *path = m8_join_path(m8__weights_dir(c->expected), "expected.json");
    if (path && !m8_read_file(&text, path, NULL)) {
        json_t *j = json_loadb(text.data, text.len, 0, NULL);
        const json_t *s = json_object_get(json_object_get(json_object_get(j, "cases"), c->name), "scales");
        for (size_t i = 0; i < 3 && json_array_size(s) == 3; i++) {
            double x = json_number_value(json_array_get(s, i));
            if (x >= 0 && x <= 10) scales[i] = x;
        }
        json_decref(j);
    }
    m8_free(path);
    m8_buf_finish(&text);
}

static m8_status check_flow(nn_run *r, const struct check *c, const struct vits_plan *plan, const struct vits_noise *noise, nn_t *z)
{
    nn_t z_p = m8__vits_prior(r, c->v, plan, noise, 0, plan->n_frames);
    *z = m8__vits_latent(r, c->v, plan, noise, 0, plan->n_frames);
    if (r->status) return r->status;
    m8_status st = compare(c, "z_p", z_p, false, 1e-4);
    return st ? st : compare(c, "z", *z, false, 5e-4);
}

static m8_status run_case(nn_run *r, const struct check *c, const int *ids, int n)
{
    m8_status st = M8_OK;
    double scales[3];
    struct vits_plan p;
    read_scales(c, of_case(c, "noise") != NULL, scales);
    float *dp = floats(c, "noise_w", 2 * (int64_t)n, &st), *zn = NULL;
    struct vits_noise noise = { .scale = (float)scales[0], .w = (float)scales[2], .dp = dp };
    nn_reset(r);
    if (!st) st = m8__vits_plan(r, c->v, ids, n, (float)scales[1], &noise, c->v->speakers, &p);
    if (!st) st = compare(c, "enc_p.emb", p.emb, false, 1e-6);
    if (!st) st = compare(c, "enc_p.layer.0", p.layer_0, false, 1e-5);
    if (!st) st = compare(c, "m_p", p.m, false, 5e-5);
    if (!st) st = compare(c, "logs_p", p.logs, false, 5e-5);
    if (!st) st = compare(c, "dp.cond", p.cond, false, 2e-5);
    if (!st) st = compare(c, "logw", (nn_t){ p.logw, n, 1, 1 }, false, 1e-4);
    if (!st) {
        nn_t d = nn_new(r, n, 1);
        for (int i = 0; d.d && i < n; i++) d.d[i] = (float)p.durations[i];
        st = r->status ? r->status : compare(c, "durations", d, false, 0);
    }
    if (!st) zn = floats(c, "noise", (int64_t)c->v->latent * p.n_frames, &st);
    noise.z = zn;
    nn_t z;
    if (!st) st = check_flow(r, c, &p, &noise, &z);
    if (!st) {
        nn_t sound = m8__vits_decode(r, c->v, &p, z, 0, 0, p.n_frames);
        st = r->status ? r->status : compare(c, "audio", (nn_t){ sound.d, p.n_frames * c->v->hop, 1, 1 }, false, 1e-4);
    }
    m8_free(dp);
    m8_free(zn);
    return st;
}

static m8_status read_ids(const struct check *c, int **ids, int *n, m8_error *err)
{
    const m8__tensor *t = of_case(c, "ids");
    if (t->type != DT_I32 || t->n < 1 || t->n > 100000) return m8_fail(err, M8_E_FORMAT, "%s.ids: expected 1 to 100000 integers of 32 bits", c->name);
    *n = (int)t->n;
    *ids = m8_malloc((size_t)t->n * sizeof **ids);
    if (!*ids) return m8_fail(err, M8_E_NOMEM, "verifying");
    memcpy(*ids, t->data, (size_t)t->n * sizeof **ids);
    for (int i = 0; i < *n; i++) {
        if ((*ids)[i] < 0 || (*ids)[i] >= c->v->n_symbols) return m8_fail(err, M8_E_FORMAT, "%s.ids: %d is not an id of this voice", c->name, (*ids)[i]);
    }
    return M8_OK;
}

m8_status m8__vits_verify(m8_model *m, const m8__weights *expected,
                          void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user, m8_error *err)
{
    struct check c = { m->impl, expected, "", report, user };
    nn_run *r = m8__vits_take_run(m, err);
    if (!r) return M8_E_NOMEM;
    m8_status st = M8_OK;
    int n_cases = 0;
    for (int i = 0; !st && i < 1000; i++) {
        snprintf(c.name, sizeof c.name, "case%d", i);
        if (!of_case(&c, "ids")) continue;
        int *ids = NULL, n = 0;
        n_cases++;
        st = read_ids(&c, &ids, &n, err);
        if (!st) st = run_case(r, &c, ids, n);
        m8_free(ids);
    }
    m8__vits_return_run(m, r);
    if (!st && !n_cases) return m8_fail(err, M8_E_UNSUPPORTED, "no case0.ids: not goldens of a voice");
    return st ? m8_fail(err, st, "verifying %s", c.name) : M8_OK;
}
