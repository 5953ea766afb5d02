/* The goldens of the Llama family: ids (or prompt), hidden.N, logits of the last position, argmax of each, greedy continuation; with or
 * without a prefix ("chat.", "plain."). Made by transformers, see doc/models/llama.md. */
#include "llama.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const m8__weights *w;
    const char *prefix;
    void (*report)(void *, const char *, double, double);
    void *user;
    int found;
    m8_status status; /* M8_E_NOMEM */
};

static const m8__tensor *find(const struct check *c, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", c->prefix, name);
    return m8__weights_find(c->w, full);
}

/* The largest difference, and what float32 lets one expect: 2e-3, or 1e-5 of the largest value (some states reach thousands). */
static double biggest(struct check *c, const m8__tensor *t, nn_t x, double *tolerance)
{
    *tolerance = 2e-3;
    int64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    double most = 0;
    float *row = m8_malloc((size_t)cols * sizeof *row);
    if (!row) c->status = M8_E_NOMEM;
    if (!row || cols != x.c || t->n != (int64_t)x.n * x.c) most = INFINITY;
    for (int i = 0; i < x.n && most < INFINITY; i++) {
        m8__dequant(row, t, i, 1);
        for (int j = 0; j < x.c; j++) {
            double d = fabs((double)row[j] - (double)x.d[(ptrdiff_t)i * x.ld + j]);
            if (!(d <= most)) most = d;
            if (fabs((double)row[j]) * 1e-5 > *tolerance) *tolerance = fabs((double)row[j]) * 1e-5;
        }
    }
    m8_free(row);
    return most;
}

static void report(struct check *c, const m8__tensor *t, double diff, double tolerance)
{
    if (c->status) return;
    c->found++;
    c->report(c->user, t->name, diff, tolerance);
}

static void tap(void *user, int i, nn_t h)
{
    struct check *c = user;
    char name[32];
    snprintf(name, sizeof name, "hidden.%d", i);
    const m8__tensor *t = find(c, name);
    double tolerance, diff = t ? biggest(c, t, h, &tolerance) : 0;
    if (t) report(c, t, diff, tolerance);
}

static int *ids_of(const m8__tensor *t)
{
    float *f = m8__floats(t);
    int *ids = m8_malloc((size_t)t->n * sizeof *ids);
    if (f && ids) {
        for (int64_t i = 0; i < t->n; i++) ids[i] = f[i] >= 0 && f[i] < 1 << 24 ? (int)f[i] : -1;
    } else {
        m8_free(ids);
        ids = NULL;
    }
    m8_free(f);
    return ids;
}

static int pick_best(void *user, float *logits, const int *ids, int n, int n_prompt)
{
    (void)ids, (void)n, (void)n_prompt;
    return nn_argmax(logits, *(int *)user);
}

static m8_status ignore(void *user, int id)
{
    (void)user, (void)id;
    return M8_OK;
}

static m8_status check_greedy(m8_model *model, struct check *c, const int *prompt, int n, m8_error *err)
{
    struct llama *m = model->impl;
    const m8__tensor *t = find(c, "greedy");
    if (!t || t->n < 1 || t->n > m->n_ctx - n) return M8_OK;
    int *want = ids_of(t), *ids = m8_malloc((size_t)(n + t->n) * sizeof *ids), wrong = 0;
    m8_status st = want && ids ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    if (!st) {
        memcpy(ids, prompt, (size_t)n * sizeof *ids);
        struct llama_call call = { .pick = pick_best, .user = &m->n_vocab, .ids = ids, .n_prompt = n, .max_new = (int)t->n, .token = ignore };
        st = m8__batch_run(model, &call, err);
        for (int64_t i = 0; i < t->n && !st; i++) wrong += ids[n + i] != want[i];
    }
    if (!st) report(c, t, wrong, 0.5);
    m8_free(want);
    m8_free(ids);
    return st;
}

static m8_status check_pass(m8_model *model, struct check *c, const int *ids, int n, m8_error *err)
{
    struct llama *m = model->impl;
    nn_reset(&m->run); /* in the first cells: verifying is done with a model that nobody else uses */
    nn_t h = m8__llama_forward(m, &(struct llama_rows){ .ids = ids, .n = n, .span = { { 0, n } }, .n_spans = 1 }, 1, tap, c);
    nn_t logits = m8__llama_logits(m, h);
    if (m->run.status) return m8_fail(err, m->run.status, "verifying");
    const m8__tensor *last = find(c, "logits"), *best = find(c, "argmax");
    if (!last) last = find(c, "logits.last");
    if (!best) best = find(c, "logits.argmax");
    double tolerance, diff = last ? biggest(c, last, nn_rows(logits, n - 1, 1), &tolerance) : 0;
    if (last) report(c, last, diff, tolerance);
    int *want = best && best->n == n ? ids_of(best) : NULL, wrong = 0;
    if (best && best->n == n && !want) c->status = M8_E_NOMEM;
    for (int i = 0; want && i < n; i++) wrong += nn_argmax(logits.d + (size_t)i * logits.ld, m->n_vocab) != want[i];
    if (want) report(c, best, wrong, 0.5);
    m8_free(want);
    return c->status ? m8_fail(err, c->status, "verifying") : M8_OK;
}

/* Whatever the file holds, by the model as it stands. */
static m8_status check_all(m8_model *model, struct check *c, bool greedy, m8_error *err)
{
    struct llama *m = model->impl;
    static const char *const prefixes[] = { "chat.", "plain.", "" };
    m8_status st = M8_OK;
    m8__batch_forget(model);
    for (int i = 0; i < (greedy ? 6 : 3) && !st; i++) { /* the passes first: they use the first cells, where the greedy runs keep theirs */
        c->prefix = prefixes[i % 3];
        const m8__tensor *t = find(c, i % 3 < 2 ? "ids" : "prompt");
        if (!t || t->n < 1 || t->n >= m->n_ctx) continue;
        int *ids = ids_of(t);
        if (!ids) return m8_fail(err, M8_E_NOMEM, "verifying");
        for (int64_t k = 0; k < t->n; k++) {
            if (ids[k] < 0 || ids[k] >= m->n_vocab) st = m8_fail(err, M8_E_FORMAT, "%s: id %d is outside of the model", t->name, ids[k]);
        }
        if (!st) st = i < 3 ? check_pass(model, c, ids, (int)t->n, err) : check_greedy(model, c, ids, (int)t->n, err);
        m8_free(ids);
    }
    return st;
}

static void count_over(void *user, const char *name, double diff, double tolerance)
{
    *(int *)user += !(diff <= tolerance);
}

/* The table for frequencies rounded to bfloat16, and by how much that moves the worst of them. */
static float *rounded_rope(const struct llama *m, double *moved)
{
    float *table = m8_malloc((size_t)m->n_ctx * (size_t)m->dh * sizeof *table);
    *moved = 0;
    for (int i = 0; table && i < m->dh / 2; i++) {
        const float *first = m->rope + m->dh; /* at position 1 the angle is the frequency */
        float freq = m->n_ctx > 1 ? atan2f(first[m->dh / 2 + i], first[i]) : 0;
        uint32_t bits = (uint32_t)m8__float_to_bf16(freq) << 16;
        float rounded;
        memcpy(&rounded, &bits, sizeof rounded);
        nn_rope_column(table, m->n_ctx, m->dh, i, rounded);
        if (fabs((double)rounded - (double)freq) > *moved) *moved = fabs((double)rounded - (double)freq);
    }
    return table;
}

/* transformers keeps the rotary frequencies in a buffer that model.to(bfloat16) rounds. Exact ones are right, and what is computed with;
 * but numbers made after such a cast are compared with what made them, and the report says so. */
static m8_status as_it_was_made(m8_model *model, struct check *c, float **rope, m8_error *err)
{
    struct llama *m = model->impl;
    int exact = 0, rounded = 0;
    double moved;
    float *right = m->rope;
    m8_status st = check_all(model, &(struct check){ .w = c->w, .report = count_over, .user = &exact }, false, err);
    if (st || !exact) return st;
    m->rope = *rope = rounded_rope(m, &moved);
    if (!m->rope) st = m8_fail(err, M8_E_NOMEM, "verifying");
    else st = check_all(model, &(struct check){ .w = c->w, .report = count_over, .user = &rounded }, false, err);
    if (st || rounded) m->rope = right;
    else c->report(c->user, "(rotary frequencies as bfloat16)", moved, 0);
    return st;
}

m8_status m8__llama_verify(m8_model *model, const m8__weights *expected, void (*fn)(void *, const char *, double, double), void *user,
                           m8_error *err)
{
    struct llama *m = model->impl;
    struct check c = { .w = expected, .report = fn, .user = user };
    float *right = m->rope, *rope = NULL;
    m8_status st = model->precision == M8_F32 ? as_it_was_made(model, &c, &rope, err) : M8_OK;
    if (!st) st = check_all(model, &c, true, err);
    m->rope = right;
    m8__batch_forget(model); /* what was kept may have been turned otherwise */
    m8_free(rope);
    if (!st && !c.found) return m8_fail(err, M8_E_UNSUPPORTED, "nothing in the file that a llama model can be verified with");
    return st;
}
