/* Parler-TTS: Lyth & King 2024, arXiv 2402.01912; a decoder of codes as in MusicGen (Copet et al. 2023, arXiv 2306.05284).
 *
 *     description -> T5 -> projection ---------------------------+ (newer models: the prompt's embeddings behind it)
 *                                                                | keys and values, once
 *     prompt, then column after column -> sum of embeddings -> n_layers x [ h += O attend(Q n, K n, V n)    causal, n = norm(h)
 *                                                                           h += O attend(Q n, cross)
 *                                                                           h += fc2(gelu(fc1 n)) ]
 *         -> norm -> n_q heads -> logits of the next column
 *
 * Traps: older models put the prompt before the first column, where it is positions like all others; newer ones into cross-attention.
 * With rope the query of cross-attention is turned, its keys are not: odd, but trained so. Sinusoids are cosines first. gelu is the
 * exact form. There are vocab + 1 embeddings of a code, vocab logits, and fewer codebook rows. */
#include "parler.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EPS 1e-5f

/* ---- cross-attention */

struct parler_cross {
    int n;      /* cells */
    nn_kv *kv;  /* of each layer */
    void *block;
};

static nn_type kv_type(const struct parler *m) { return m->layers[0].qkv.type == NN_F32 ? NN_F32 : NN_BF16; }

/* n caches in one block of zeros, which is *block; NULL: no memory. */
static nn_kv *caches(void **block, nn_type type, int n, int n_heads, int dh, int cells)
{
    int cap = (cells + PANEL - 1) / PANEL * PANEL;
    size_t bytes = nn_kv_bytes(type, n_heads, dh, cap), head = ((size_t)n * sizeof(nn_kv) + 63) & ~(size_t)63;
    *block = m8_calloc(head + (size_t)n * bytes + 64, 1);
    if (!*block) return NULL;
    char *at = (char *)(((uintptr_t)*block + 63) & ~(uintptr_t)63);
    nn_kv *kv = (nn_kv *)at;
    for (int i = 0; i < n; i++) kv[i] = nn_kv_at(at + head + (size_t)i * bytes, type, n_heads, dh, cap);
    return kv;
}

/* row += the position's embedding. */
static void add_position(const struct parler *m, const m8__tensor *stored, float *row, int pos, float *scratch)
{
    int half = m->d / 2;
    if (stored) {
        m8__dequant(scratch, stored, pos, 1);
    } else {
        for (int j = 0; j < half; j++) {
            float a = (float)pos * m->frequencies[j];
            scratch[j] = cosf(a);
            scratch[half + j] = sinf(a);
        }
    }
    for (int c = 0; c < m->d; c++) row[c] += scratch[c];
}

nn_t m8__parler_states(nn_run *r, const struct parler *m, const int *description, int n, const int *prompt, int n_prompt,
                       void (*tap)(void *, int, nn_t), void *user)
{
    nn_t e = m8__t5_encode(r, &m->t5, description, n, tap, user);                 /* [n, t5.d] */
    if (m->enc_to_dec.n_out) e = nn_linear(r, e, &m->enc_to_dec);                /* [n, d]    */
    if (!m->prompt_cross || !n_prompt) return e;
    nn_t all = nn_new(r, n + n_prompt, m->d);
    float *scratch = nn_take(r, (size_t)m->d * sizeof *scratch);
    if (r->status) return (nn_t){0};
    for (int i = 0; i < n; i++) memcpy(all.d + (ptrdiff_t)i * all.ld, e.d + (ptrdiff_t)i * e.ld, (size_t)m->d * sizeof *e.d);
    for (int i = 0; i < n_prompt; i++) {
        float *row = all.d + (ptrdiff_t)(n + i) * all.ld;
        m8__dequant(row, m->prompts, prompt[i], 1);
        add_position(m, m->prompt_positions, row, i, scratch);
    }
    return all;
}

static m8_status check_ids(const int *ids, int n, int n_vocab, const char *what, m8_error *err)
{
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= n_vocab) return m8_fail(err, M8_E_ARG, "%s: id %d, expected 0 to %d", what, ids[i], n_vocab - 1);
    }
    return M8_OK;
}

m8_status m8__parler_cross_new(struct parler_cross **out, nn_run *r, const struct parler *m, const int *description, int n,
                               const int *prompt, int n_prompt, m8_error *err)
{
    *out = NULL;
    int more = m->prompt_cross ? n_prompt : 0, kv = m->n_cross_kv * m->dh;
    if (n < 1 || n > m->max_pos || more < 0 || more > m->max_pos) {
        return m8_fail(err, n < 1 || more < 0 ? M8_E_ARG : M8_E_LIMIT, "a description of %d tokens, a prompt of %d: expected 1 to %d, and up to %d",
                       n, n_prompt, m->max_pos, m->max_pos);
    }
    m8_status st = check_ids(description, n, m->t5.n_vocab, "description", err);
    if (!st) st = check_ids(prompt, more, m->n_prompt_vocab, "prompt", err);
    if (st) return st;
    struct parler_cross *c = m8_calloc(1, sizeof *c);
    if (c) c->kv = caches(&c->block, kv_type(m), m->n_layers, m->n_cross_kv, m->dh, n + more);
    if (!c || !c->kv) {
        m8__parler_cross_free(c);
        return m8_fail(err, M8_E_NOMEM, "a description of %d tokens", n);
    }
    c->n = n + more;
    m8_arena_mark mark = m8_arena_here(r->arena);
    nn_t e = m8__parler_states(r, m, description, n, prompt, more, NULL, NULL);
    for (int i = 0; i < m->n_layers && !r->status; i++) {
        m8_arena_mark layer = m8_arena_here(r->arena);
        nn_t both = nn_linear(r, e, &m->layers[i].cross_kv);                      /* [n, 2 kv] */
        nn_kv_put(r, &c->kv[i], 0, nn_cols(both, 0, kv), nn_cols(both, kv, kv));
        m8_arena_back(r->arena, layer);
        nn_forget(&m->layers[i].cross_kv);
    }
    m8__t5_forget(&m->t5);
    nn_forget(&m->enc_to_dec);
    m8_arena_back(r->arena, mark);
    if (r->status) {
        m8__parler_cross_free(c);
        return m8_fail(err, r->status, "a description of %d tokens", n);
    }
    *out = c;
    return M8_OK;
}

void m8__parler_cross_free(struct parler_cross *c)
{
    if (!c) return;
    m8_free(c->block);
    m8_free(c);
}

/* ---- one speaker */

struct parler_seq {
    const struct parler_cross *cross;
    int n, cap; /* positions */
    nn_kv *kv;  /* of each layer */
    void *block;
};

m8_status m8__parler_seq_new(struct parler_seq **out, const struct parler *m, const struct parler_cross *cross, int cap, m8_error *err)
{
    *out = NULL;
    if (cap < 1 || cap > m->max_pos) return m8_fail(err, M8_E_LIMIT, "%d positions: the model has 1 to %d", cap, m->max_pos);
    struct parler_seq *s = m8_calloc(1, sizeof *s);
    if (s) s->kv = caches(&s->block, kv_type(m), m->n_layers, m->n_kv, m->dh, cap);
    if (!s || !s->kv) {
        m8__parler_seq_free(s);
        return m8_fail(err, M8_E_NOMEM, "a cache of %d positions", cap);
    }
    s->cross = cross;
    s->cap = cap;
    *out = s;
    return M8_OK;
}

void m8__parler_seq_free(struct parler_seq *s)
{
    if (!s) return;
    m8_free(s->block);
    m8_free(s);
}

int m8__parler_seq_n(const struct parler_seq *s) { return s->n; }

/* ---- the step */

struct pass {
    nn_run *r;
    const struct parler *m;
    const struct parler_step *steps;
    int n;             /* of steps */
    nn_t h;            /* [rows, d] */
    int *pos, *first;  /* of each row; of each step its first row, and rows at the end */
    nn_seq *self, *cross;
};

static int n_prompt(const struct parler *m, const struct parler_step *s) { return m->prompt_cross ? 0 : s->n_prompt; }

/* What no caller should have asked for: ids that are none, positions beyond the cache. */
static m8_status check(const struct pass *p)
{
    for (int i = 0; i < p->n; i++) {
        const struct parler_step *s = &p->steps[i];
        int more = n_prompt(p->m, s);
        if (more < 0 || more >= s->seq->cap - s->seq->n) return M8_E_LIMIT;
        if (check_ids(s->prompt, more, p->m->n_prompt_vocab, "", NULL)) return M8_E_ARG;
        if (check_ids(s->column, p->m->n_q, p->m->vocab + 1, "", NULL)) return M8_E_ARG;
    }
    return M8_OK;
}

/* Prompts and columns as the decoder sees them. */
static void embed(struct pass *p)
{
    nn_run *r = p->r;
    const struct parler *m = p->m;
    p->first = nn_take(r, (size_t)(p->n + 1) * sizeof *p->first);
    if (!r->status) r->status = check(p);
    if (r->status) return;
    int rows = 0;
    for (int i = 0; i < p->n; i++) {
        p->first[i] = rows;
        rows += n_prompt(m, &p->steps[i]) + 1;
    }
    p->first[p->n] = rows;
    p->h = nn_new(r, rows, m->d);
    p->pos = nn_take(r, (size_t)rows * sizeof *p->pos);
    float *scratch = nn_take(r, (size_t)m->d * sizeof *scratch);
    if (r->status) return;
    for (int i = 0; i < p->n; i++) {
        const struct parler_step *s = &p->steps[i];
        for (int row = p->first[i]; row < p->first[i + 1]; row++) {
            float *to = p->h.d + (ptrdiff_t)row * p->h.ld;
            bool last = row + 1 == p->first[i + 1];
            p->pos[row] = s->seq->n + row - p->first[i];
            m8__dequant(to, last ? m->columns[0] : m->prompts, last ? s->column[0] : s->prompt[row - p->first[i]], 1);
            for (int k = 1; last && k < m->n_q; k++) {
                m8__dequant(scratch, m->columns[k], s->column[k], 1);
                r->k->add(to, scratch, m->d);
            }
            if (!m->rope) add_position(m, m->positions, to, p->pos[row], scratch);
        }
    }
}

/* Who sees what: the same in every layer but for the caches. */
static void sequences(struct pass *p)
{
    p->self = nn_take(p->r, (size_t)p->n * sizeof *p->self);
    p->cross = nn_take(p->r, (size_t)p->n * sizeof *p->cross);
    if (p->r->status) return;
    for (int i = 0; i < p->n; i++) {
        const struct parler_seq *s = p->steps[i].seq;
        int row = p->first[i], rows = p->first[i + 1] - row;
        p->self[i] = (nn_seq){ .row = row, .n_rows = rows, .span = { { 0, s->n + rows } }, .n_spans = 1, .first = s->n + 1 };
        p->cross[i] = (nn_seq){ .row = row, .n_rows = rows, .span = { { 0, s->cross->n } }, .n_spans = 1, .first = -1 };
    }
}

static void layer(struct pass *p, int i)
{
    nn_run *r = p->r;
    const struct parler *m = p->m;
    const struct parler_layer *w = &m->layers[i];
    int d = m->d, kv = m->n_kv * m->dh;
    float scale = 1 / sqrtf((float)m->dh);
    m8_arena_mark mark = m8_arena_here(r->arena);
    nn_t qkv = nn_linear(r, nn_layer_norm(r, p->h, w->norm1, w->norm1_bias, EPS), &w->qkv);   /* [rows, d + 2 kv] */
    if (m->rope) nn_rope_to(r, nn_cols(qkv, 0, d + kv), m->dh, p->pos, m->rope_table);
    for (int s = 0; s < p->n; s++) {
        struct parler_seq *seq = p->steps[s].seq;
        nn_t own = nn_rows(qkv, p->self[s].row, p->self[s].n_rows);
        nn_kv_put(r, &seq->kv[i], seq->n, nn_cols(own, d, kv), nn_cols(own, d + kv, kv));
        p->self[s].kv = &seq->kv[i];
        p->cross[s].kv = &seq->cross->kv[i];
    }
    nn_t a = nn_attend(r, nn_cols(qkv, 0, d), p->self[0].kv, m->n_heads, scale, p->self, p->n);
    nn_add_to(r, p->h, nn_linear(r, a, &w->o));
    nn_t q = nn_linear(r, nn_layer_norm(r, p->h, w->norm2, w->norm2_bias, EPS), &w->cross_q); /* [rows, d]    */
    if (m->rope) nn_rope_to(r, q, m->dh, p->pos, m->rope_table);
    a = nn_attend(r, q, p->cross[0].kv, m->n_heads, scale, p->cross, p->n);
    nn_add_to(r, p->h, nn_linear(r, a, &w->cross_o));
    nn_t f = nn_linear_act(r, nn_layer_norm(r, p->h, w->norm3, w->norm3_bias, EPS), &w->fc1, NN_GELU); /* [rows, d_ff] */
    nn_add_to(r, p->h, nn_linear(r, f, &w->fc2));
    m8_arena_back(r->arena, mark);
}

nn_t m8__parler_step(nn_run *r, const struct parler *m, const struct parler_step *steps, int n, void (*tap)(void *, int, nn_t),
                     void *user)
{
    struct pass p = { .r = r, .m = m, .steps = steps, .n = n };
    if (n < 1) return (nn_t){0};
    embed(&p);
    if (!r->status) sequences(&p);
    for (int i = 0; i < m->n_layers && !r->status; i++) {
        if (tap) tap(user, i, p.h);
        layer(&p, i);
    }
    nn_t last = nn_new(r, n, m->d);
    if (r->status) return (nn_t){0};
    if (tap) tap(user, m->n_layers, nn_layer_norm(r, p.h, m->norm, m->norm_bias, EPS));
    for (int i = 0; i < n; i++) {
        memcpy(last.d + (ptrdiff_t)i * last.ld, p.h.d + (ptrdiff_t)(p.first[i + 1] - 1) * p.h.ld, (size_t)m->d * sizeof *last.d);
    }
    nn_t logits = nn_linear(r, nn_layer_norm(r, last, m->norm, m->norm_bias, EPS), &m->heads); /* [n, n_q * vocab] */
    if (r->status) return (nn_t){0};
    for (int i = 0; i < n; i++) steps[i].seq->n += p.first[i + 1] - p.first[i];
    return (nn_t){ logits.d, n * m->n_q, m->vocab, m->vocab };
}

/* ---- the family */

static bool match(const m8__weights *w)
{
    const char *type = json_string_value(json_object_get(m8__weights_config(w), "model_type"));
    return type && !strcmp(type, "parler_tts");
}

static m8_status load_codec(struct parler *m, nn_load *l, m8_error *err)
{
    m->dac = m8__dac_load(l);
    if (l->status) return l->status;
    m->n_codes = m8__dac_codebook_size(m->dac);
    if (m8__dac_codebooks(m->dac) == m->n_q && m->n_codes <= m->eos && m->n_codes <= m->bos) return M8_OK;
    return m8_fail(err, M8_E_FORMAT, "%s: a decoder of %d codebooks and ends at %d, a codec of %d with %d codes", m8__weights_path(l->w), m->n_q,
                   m->eos, m8__dac_codebooks(m->dac), m->n_codes);
}

static m8_status open_parler(m8_model *model, nn_load *l, m8_error *err)
{
    struct parler *m = model->impl = m8_calloc(1, sizeof *m);
    if (!m) return m8_fail(err, M8_E_NOMEM, "opening %s", m8__weights_path(l->w));
    m8_status st = m8__parler_load(m, l, m8__weights_config(l->w));
    if (!st) st = load_codec(m, l, err);
    if (!st) st = m8__parler_speech_open(model, err);
    if (st) return st;
    m8_error none = {0}; /* a folder without a tokenizer is still a model: it can be verified */
    st = m8__tokenizer_open(&model->tokenizer, l->w, &none);
    if (st && st != M8_E_NOTFOUND) return m8_fail(err, st, "%s", m8_error_text(&none));
    int most = m->t5.n_vocab < m->n_prompt_vocab ? m->t5.n_vocab : m->n_prompt_vocab;
    if (!st && m8__tokenizer_size(model->tokenizer) > most) {
        return m8_fail(err, M8_E_FORMAT, "%s: %d tokens for a matrix of %d", m8__weights_path(l->w), m8__tokenizer_size(model->tokenizer), most);
    }
    return M8_OK;
}

static void close_parler(m8_model *model)
{
    if (!model->impl) return;
    m8__parler_speech_close(model);
    m8_free(model->impl);
    model->impl = NULL;
}

static int rate(const m8_model *model) { return ((const struct parler *)model->impl)->rate; }

const struct m8__family m8__parler = {
    .name = "parler", .tasks = M8_TASK_TTS, .match = match, .open = open_parler, .close = close_parler, .rate = rate,
    .speak = m8__parler_speak, .lead = m8__parler_lead, .verify = m8__parler_verify,
};
