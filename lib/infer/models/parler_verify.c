/* The goldens of Parler-TTS (its own package and transformers, see doc/models/parler.md): description_ids and prompt_ids; prefill.* of
 * the first pass; and cases, each a run of the loop: NAME.raw [n_q, columns] as predicted, .masked as fed, .undelayed and .codes [n_q,
 * frames], .logits [steps, n_q, vocab] and what is left of them (.argmax, .logit_max, .logits_last, .logits_first8), .audio. How many
 * columns a case may have is in expected.json: cases.NAME.kwargs; there, too, what the streamer of the original handed out (.streams). A case may have its own NAME.description_ids.
 *
 * The loop is the real one, but it goes on from the golden's columns (as it must: the same ones): so one wrong choice is one, and what a
 * quantised model is worth can be counted. Logits of the end are reported apart: those of the goldens come from a planted row of a
 * hundred times the others' size. */
#include "parler.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct check {
    const struct parler *m;
    const m8__weights *w;
    json_t *facts; /* expected.json, or NULL */
    nn_run run;
    char name[48]; /* of what is checked: "prefill", "eos" */
    void (*report)(void *user, const char *tensor, double max_diff, double tolerance);
    void *user;
    int found;
    m8_status status; /* M8_E_NOMEM */
};

static const m8__tensor *find(const struct check *c, const char *what)
{
    char name[96];
    snprintf(name, sizeof name, *c->name ? "%s.%s" : "%s%s", c->name, what);
    return m8__weights_find(c->w, name);
}

/* A tensor's numbers, new; NULL: none there, or no memory (sticky). */
static float *floats(struct check *c, const m8__tensor *t)
{
    if (!t || c->status) return NULL;
    float *f = m8__floats(t);
    if (!f) c->status = M8_E_NOMEM;
    return f;
}

static void report(struct check *c, const char *what, double diff, double tolerance)
{
    char name[96];
    if (c->status) return;
    snprintf(name, sizeof name, "%s.%s", c->name, what);
    c->found++;
    c->report(c->user, name, diff, tolerance);
}

/* The largest difference of n numbers, and the largest number. */
struct far {
    double most, largest;
};

static void see(struct far *f, double got, double want)
{
    double d = fabs(got - want);
    if (!(d <= f->most)) f->most = d;
    if (fabs(want) > f->largest) f->largest = fabs(want);
}

/* Rounding adds up from layer to layer: the figures are for three. At 24 the original and this engine differ by 2e-4 in states of 34. */
static double allowed(const struct check *c, const struct far *f, double least)
{
    return fmax(least, 3e-6 * f->largest) * fmax(1, c->m->n_layers / 3.0);
}

/* x against a whole tensor; another size is infinitely far. */
static void compare(struct check *c, const char *what, nn_t x, double least)
{
    const m8__tensor *t = find(c, what);
    float *want = floats(c, t);
    struct far f = {0};
    if (!want) return;
    if (t->n != (int64_t)x.n * x.c) f.most = INFINITY;
    for (int i = 0; i < x.n && f.most < INFINITY; i++) {
        for (int j = 0; j < x.c; j++) see(&f, (double)x.d[(ptrdiff_t)i * x.ld + j], (double)want[(ptrdiff_t)i * x.c + j]);
    }
    m8_free(want);
    report(c, what, f.most, allowed(c, &f, least));
}

static void t5_tap(void *user, int i, nn_t h)
{
    struct check *c = user;
    char name[32];
    snprintf(name, sizeof name, "t5.hidden.%d", i);
    compare(c, name, h, 2e-5);
    if (i == c->m->t5.n_layers) compare(c, "t5.out", h, 2e-5);
}

static void decoder_tap(void *user, int i, nn_t h)
{
    char name[32];
    snprintf(name, sizeof name, "decoder.hidden.%d", i);
    compare(user, name, h, 5e-5);
}

/* ---- ids */

struct ids {
    int *id, n;
};

/* Whole numbers in [least, most]; those of a matrix in its order. */
static m8_status read_ids(struct check *c, const char *what, int least, int most, struct ids *out, m8_error *err)
{
    const m8__tensor *t = find(c, what);
    *out = (struct ids){0};
    if (!t || t->n < 1 || t->n > 1 << 20) return m8_fail(err, M8_E_FORMAT, "%s.%s is missing or of no size", c->name, what);
    float *f = floats(c, t);
    out->id = f ? m8_malloc((size_t)t->n * sizeof *out->id) : NULL;
    out->n = (int)t->n;
    m8_status st = out->id ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    for (int i = 0; i < out->n && !st; i++) {
        out->id[i] = f[i] >= (float)least && f[i] <= (float)most ? (int)f[i] : least;
        if ((float)out->id[i] != f[i]) st = m8_fail(err, M8_E_FORMAT, "%s: %g is no id of this model", t->name, (double)f[i]);
    }
    m8_free(f);
    return st;
}

static m8_status read_prompt(struct check *c, struct ids *description, struct ids *prompt, m8_error *err)
{
    char own[sizeof c->name];
    memcpy(own, c->name, sizeof own);
    if (!find(c, "description_ids")) *c->name = 0;
    m8_status st = read_ids(c, "description_ids", 0, c->m->t5.n_vocab - 1, description, err);
    *c->name = 0;
    if (!st) st = read_ids(c, "prompt_ids", 0, c->m->n_prompt_vocab - 1, prompt, err);
    memcpy(c->name, own, sizeof own);
    return st;
}

/* ---- what the logits were, as far as a file tells */

/* Of a case; counts of what differs. */
struct golden {
    float *logits, *first8, *last, *max;
    struct ids raw, masked, best; /* [n_q][columns], the same, [steps][n_q] */
    int columns, n_first8;
    struct far far, far_end, far_max;
    int wrong_raw, wrong_masked, wrong_best;
};

static m8_status read_golden(struct check *c, struct golden *g, m8_error *err)
{
    const struct parler *m = c->m;
    const m8__tensor *raw = find(c, "raw"), *masked = find(c, "masked"), *logits = find(c, "logits"), *first8 = find(c, "logits_first8");
    const m8__tensor *max = find(c, "logit_max"), *best = find(c, "argmax"), *last = find(c, "logits_last");
    if (raw->n_dims != 2 || raw->dims[0] != m->n_q || raw->dims[1] < 2 || raw->dims[1] > m->max_pos) {
        return m8_fail(err, M8_E_FORMAT, "%s: expected [%d, 2 to %d columns]", raw->name, m->n_q, m->max_pos);
    }
    g->columns = (int)raw->dims[1];
    int64_t steps = g->columns - 1, row = (int64_t)m->n_q * m->vocab;
    m8_status st = read_ids(c, "raw", 0, m->vocab - 1, &g->raw, err);
    if (!st && masked && masked->n == raw->n) st = read_ids(c, "masked", 0, m->vocab, &g->masked, err);
    if (!st && best && best->n == steps * m->n_q) st = read_ids(c, "argmax", 0, m->vocab - 1, &g->best, err);
    if (logits && logits->n == steps * row) g->logits = floats(c, logits);
    if (first8 && first8->n % row == 0) g->first8 = floats(c, first8);
    if (g->first8) g->n_first8 = (int)(first8->n / row);
    if (last && last->n == row) g->last = floats(c, last);
    if (max && max->n == steps * m->n_q) g->max = floats(c, max);
    return st ? st : c->status ? m8_fail(err, c->status, "verifying") : M8_OK;
}

static void free_golden(struct golden *g)
{
    m8_free(g->logits), m8_free(g->first8), m8_free(g->last), m8_free(g->max);
    m8_free(g->raw.id), m8_free(g->masked.id), m8_free(g->best.id);
}

static void compare_logits(const struct parler *m, struct golden *g, nn_t x, const float *want)
{
    for (int k = 0; k < m->n_q && want; k++) {
        for (int i = 0; i < m->vocab; i++) {
            see(i == m->eos ? &g->far_end : &g->far, (double)x.d[(ptrdiff_t)k * x.ld + i], (double)want[(ptrdiff_t)k * m->vocab + i]);
        }
    }
}

/* The logits of a step, before anything changes them. */
static void compare_step(const struct parler *m, struct golden *g, int step, nn_t x)
{
    ptrdiff_t row = (ptrdiff_t)m->n_q * m->vocab;
    if (g->logits) compare_logits(m, g, x, g->logits + step * row);
    else if (step < g->n_first8) compare_logits(m, g, x, g->first8 + step * row);
    if (step == g->columns - 2) compare_logits(m, g, x, g->last);
    for (int k = 0; k < m->n_q; k++) {
        const float *logits = x.d + (ptrdiff_t)k * x.ld;
        int best = nn_argmax(logits, m->vocab);
        if (g->best.id) g->wrong_best += best != g->best.id[step * m->n_q + k];
        if (g->max) see(best == m->eos ? &g->far_end : &g->far_max, (double)logits[best], (double)g->max[step * m->n_q + k]);
    }
}

static void check_first_logits(struct check *c, nn_t x)
{
    const m8__tensor *t = find(c, "decoder.logits");
    struct golden g = {0};
    if (!t) return;
    if (t->n == (int64_t)x.n * x.c) g.last = floats(c, t);
    else g.far.most = INFINITY;
    compare_logits(c->m, &g, x, g.last);
    free_golden(&g);
    report(c, "decoder.logits", g.far.most, allowed(c, &g.far, 5e-5));
    if (g.far_end.largest > 0) report(c, "decoder.logits of the end", g.far_end.most, allowed(c, &g.far_end, 2e-3));
}

static void report_golden(struct check *c, const struct golden *g)
{
    report(c, "raw", g->wrong_raw, 0.5);
    if (g->masked.id) report(c, "masked", g->wrong_masked, 0.5);
    if (g->best.id) report(c, "argmax", g->wrong_best, 0.5);
    if (g->logits || g->first8 || g->last) report(c, "logits", g->far.most, allowed(c, &g->far, 5e-5));
    if (g->max) report(c, "logit_max", g->far_max.most, allowed(c, &g->far_max, 5e-5));
    if (g->far_end.largest > 0) report(c, "logits of the end", g->far_end.most, allowed(c, &g->far_end, 2e-3));
}

/* ---- the first pass, layer by layer */

static m8_status check_prefill(struct check *c, m8_error *err)
{
    nn_run *r = &c->run;
    const struct parler *m = c->m;
    struct ids description = {0}, prompt = {0};
    struct parler_cross *cross = NULL;
    struct parler_seq *seq = NULL;
    int bos[PARLER_MOST_Q];
    for (int k = 0; k < m->n_q; k++) bos[k] = m->bos;
    snprintf(c->name, sizeof c->name, "prefill");
    m8_status st = read_prompt(c, &description, &prompt, err);
    nn_reset(r);
    if (!st) st = m8__parler_cross_new(&cross, r, m, description.id, description.n, prompt.id, prompt.n, err); /* checks the ids, too */
    if (!st) compare(c, "cross", m8__parler_states(r, m, description.id, description.n, prompt.id, prompt.n, t5_tap, c), 5e-5);
    if (!st) st = m8__parler_seq_new(&seq, m, cross, prompt.n < m->max_pos ? prompt.n + 1 : m->max_pos, err);
    if (!st) {
        struct parler_step step = { seq, prompt.id, prompt.n, bos };
        nn_t x = m8__parler_step(r, m, &step, 1, decoder_tap, c);
        if (r->status) st = m8_fail(err, r->status, "verifying");
        else check_first_logits(c, x);
    }
    m8__parler_seq_free(seq);
    m8__parler_cross_free(cross);
    m8_free(description.id);
    m8_free(prompt.id);
    return st;
}

/* ---- cases */

static m8_status run_loop(struct check *c, struct golden *g, struct parler_codes *codes, struct parler_seq *seq, const struct ids *prompt,
                          m8_error *err)
{
    const struct parler *m = c->m;
    nn_run *r = &c->run;
    struct parler_sampling greedy = {0};
    for (int step = 0; step + 1 < g->columns && !codes->done; step++) {
        int ids[PARLER_MOST_Q];
        nn_reset(r);
        m8__codes_input(codes, ids);
        for (int k = 0; k < m->n_q && g->masked.id; k++) g->wrong_masked += ids[k] != g->masked.id[k * g->columns + step];
        nn_t x = m8__parler_step(r, m, &(struct parler_step){ seq, prompt->id, step ? 0 : prompt->n, ids }, 1, NULL, NULL);
        float *scratch = nn_take(r, 2 * (size_t)m->vocab * sizeof *scratch);
        if (r->status) return m8_fail(err, r->status, "verifying %s", c->name);
        compare_step(m, g, step, x);
        m8__codes_push(codes, x.d, &greedy, scratch);
        for (int k = 0; k < m->n_q; k++) {
            int *made = &codes->raw[(step + 1) * m->n_q + k], want = g->raw.id[k * g->columns + step + 1];
            g->wrong_raw += *made != want;
            *made = want;
        }
    }
    g->wrong_raw += (g->columns - codes->n) * m->n_q; /* ended too early, */
    g->wrong_raw += !codes->done;                     /* or not at all    */
    return M8_OK;
}

static int of_case(const struct check *c, const char *key, int none)
{
    const json_t *v = json_object_get(json_object_get(json_object_get(json_object_get(c->facts, "cases"), c->name), "kwargs"), key);
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : none;
    return n >= 0 && n < c->m->max_pos ? (int)n : none;
}

/* The frames as sound, all at once. */
static m8_status check_sound(struct check *c, const int *frames, int n, m8_error *err)
{
    struct dac_stream *s = NULL;
    nn_run *r = &c->run;
    m8_status st = find(c, "audio") && n ? m8__dac_stream_new(&s, c->m->dac, err) : M8_OK;
    nn_reset(r);
    if (s) {
        nn_t x = m8__dac_push(r, s, frames, n, true, NULL, NULL);
        if (r->status) st = m8_fail(err, r->status, "verifying %s", c->name);
        else compare(c, "audio", x, 1e-5);
    }
    m8__dac_stream_free(s);
    return st;
}

static m8_status check_frames(struct check *c, struct parler_codes *codes, m8_error *err)
{
    const m8__tensor *t = find(c, "codes");
    if (!t) return M8_OK;
    int n_q = c->m->n_q, *frames = m8_malloc((size_t)codes->n * (size_t)n_q * sizeof *frames), n = 0;
    float *want = floats(c, t);
    if (frames && want) {
        int wrong = 0;
        n = m8__codes_frames(codes, frames, codes->n);
        if (t->n != (int64_t)n * n_q) wrong = codes->n * n_q;
        for (int i = 0; i < n && !wrong; i++) {
            for (int k = 0; k < n_q; k++) wrong += (float)frames[i * n_q + k] != want[k * n + i];
        }
        report(c, "codes", wrong, 0.5);
    }
    m8_status st = frames && want ? check_sound(c, frames, n, err) : m8_fail(err, M8_E_NOMEM, "verifying");
    m8_free(frames);
    m8_free(want);
    return st;
}

/* What the original's streamer handed out: the chunks joined, and how long each was. */
struct heard {
    const float *want;
    const json_t *lengths;
    size_t n, most, n_chunks;
    struct far far;
    int wrong;
};

static m8_status hear(void *user, const float *x, size_t n)
{
    struct heard *h = user;
    h->wrong += json_integer_value(json_array_get(h->lengths, h->n_chunks++)) != (json_int_t)n;
    for (size_t i = 0; i < n && h->n < h->most; i++, h->n++) see(&h->far, (double)x[i], (double)h->want[h->n]);
    return M8_OK;
}

static m8_status check_streams(struct check *c, const struct parler_codes *codes, m8_error *err)
{
    const json_t *streams = json_object_get(json_object_get(json_object_get(c->facts, "cases"), c->name), "streams");
    m8_status st = M8_OK;
    for (size_t i = 0; i < json_array_size(streams) && !st; i++) {
        const json_t *s = json_array_get(streams, i);
        const char *name = json_string_value(json_object_get(s, "tensor"));
        json_int_t steps = json_integer_value(json_object_get(s, "play_steps")), stride = json_integer_value(json_object_get(s, "stride"));
        const m8__tensor *t = name ? m8__weights_find(c->w, name) : NULL;
        if (!t || steps < 1 || steps > 1 << 20 || stride < 0 || stride > 1 << 20) continue;
        struct heard h = { .want = floats(c, t), .lengths = json_object_get(s, "chunk_samples"), .most = (size_t)t->n };
        st = h.want ? m8__parler_streamed(&c->run, c->m, codes->raw, codes->n, (int)steps, (int)stride, (m8_pcm_sink){ hear, &h }, err)
                    : m8_fail(err, M8_E_NOMEM, "verifying");
        if (h.n != h.most) h.far.most = INFINITY;
        m8_free((void *)h.want);
        if (st) break;
        c->found++;
        c->report(c->user, name, h.far.most, 1e-5);
        if (h.lengths) report(c, "chunks", h.wrong + (h.n_chunks != json_array_size(h.lengths)), 0.5);
    }
    return st;
}

static m8_status check_case(struct check *c, m8_error *err)
{
    const struct parler *m = c->m;
    struct golden g = {0};
    struct ids description = {0}, prompt = {0};
    struct parler_cross *cross = NULL;
    struct parler_seq *seq = NULL;
    struct parler_codes codes = {0};
    nn_reset(&c->run);
    m8_status st = read_golden(c, &g, err);
    if (!st) st = read_prompt(c, &description, &prompt, err);
    if (!st) st = m8__parler_cross_new(&cross, &c->run, m, description.id, description.n, prompt.id, prompt.n, err);
    int positions = prompt.n + g.columns;
    if (!st) st = m8__parler_seq_new(&seq, m, cross, positions < m->max_pos ? positions : m->max_pos, err);
    if (!st) st = m8__codes_init(&codes, m, of_case(c, "max_new_tokens", g.columns - 1) + 1, of_case(c, "min_new_tokens", 0), err);
    if (!st) st = run_loop(c, &g, &codes, seq, &prompt, err);
    if (!st) report_golden(c, &g);
    if (!st) st = check_frames(c, &codes, err);
    if (!st) st = check_streams(c, &codes, err);
    m8__codes_finish(&codes);
    m8__parler_seq_free(seq);
    m8__parler_cross_free(cross);
    m8_free(description.id);
    m8_free(prompt.id);
    free_golden(&g);
    return st;
}

static m8_status read_facts(struct check *c, m8_error *err)
{
    m8_buf text = { .limit = 16 << 20 };
    char *path = m8_join_path(m8__weights_dir(c->w), "expected.json");
    m8_status st = !path ? M8_E_NOMEM : m8_is_file(path) ? m8_read_file(&text, path, err) : M8_OK;
    if (!st) c->facts = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    m8_free(path);
    m8_buf_finish(&text);
    return st ? m8_fail(err, st, "verifying") : M8_OK;
}

m8_status m8__parler_verify(m8_model *model, const m8__weights *expected, void (*fn)(void *, const char *, double, double), void *user,
                            m8_error *err)
{
    struct check c = { .m = model->impl, .w = expected, .report = fn, .user = user };
    m8_status st = nn_run_init(&c.run, model->pool, err);
    if (!st) st = read_facts(&c, err);
    if (!st && m8__weights_find(expected, "description_ids")) st = check_prefill(&c, err);
    for (size_t i = 0; i < m8__weights_count(expected) && !st; i++) {
        const char *name = m8__weights_at(expected, i)->name;
        size_t len = strlen(name);
        if (len < 5 || len - 4 >= sizeof c.name || strcmp(name + len - 4, ".raw")) continue;
        snprintf(c.name, sizeof c.name, "%.*s", (int)(len - 4), name);
        st = check_case(&c, err);
    }
    if (!st && c.status) st = m8_fail(err, c.status, "verifying");
    json_decref(c.facts);
    nn_run_finish(&c.run);
    if (!st && !c.found) return m8_fail(err, M8_E_UNSUPPORTED, "nothing in the file that a Parler model can be verified with");
    return st;
}
