/* Llama: Touvron et al. 2023, arXiv 2302.13971; Mistral 7B (arXiv 2310.06825) and SmolLM2 are of the same shape.
 *
 *     ids -> embed -> n_layers x [ h += O attend(rope(Q n), rope(K n), V n), n = rms(h) ;  h += down(silu(gate n) * up n), n = rms(h) ]
 *         -> rms -> output matrix (or the embedding once more) -> logits
 *
 * Traps: GGUF files keep Q and K with permuted rows (formats.md); they are put back at load, so that rope turns halves everywhere.
 * A tied model has no output matrix, and its flag cannot be trusted: the tensor's absence says it. */
#include "llama.h"
#include <math.h>
#include <string.h>

#define MAX_CELLS 4096 /* of the cache, all sequences together */

struct names { /* as GGUF and as Hugging Face call the tensors */
    const char *embed, *norm, *out, *norm1, *norm2, *q, *k, *v, *o, *gate, *up, *down;
};
static const struct names gguf = {
    "token_embd.weight", "output_norm.weight", "output.weight", "blk.%d.attn_norm.weight", "blk.%d.ffn_norm.weight",
    "blk.%d.attn_q.weight", "blk.%d.attn_k.weight", "blk.%d.attn_v.weight", "blk.%d.attn_output.weight",
    "blk.%d.ffn_gate.weight", "blk.%d.ffn_up.weight", "blk.%d.ffn_down.weight",
};
static const struct names hf = {
    "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
    "model.layers.%d.input_layernorm.weight", "model.layers.%d.post_attention_layernorm.weight",
    "model.layers.%d.self_attn.q_proj.weight", "model.layers.%d.self_attn.k_proj.weight", "model.layers.%d.self_attn.v_proj.weight",
    "model.layers.%d.self_attn.o_proj.weight", "model.layers.%d.mlp.gate_proj.weight", "model.layers.%d.mlp.up_proj.weight",
    "model.layers.%d.mlp.down_proj.weight",
};

/* ---- sizes */

struct sizes {
    int64_t n_layers, d, n_heads, n_kv, dh, d_ff, n_ctx;
    double eps, theta;
};

static bool is_llama_config(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && (!strcmp(type, "llama") || !strcmp(type, "mistral"));
}

static bool match(const m8__weights *w)
{
    m8__view arch;
    if (!strcmp(m8__weights_format(w), "gguf")) {
        return m8__meta_str(w, "general.architecture", &arch) && arch.len == 5 && !memcmp(arch.data, "llama", 5);
    }
    return !strcmp(m8__weights_format(w), "safetensors") && is_llama_config(m8__weights_config(w));
}

static bool gguf_sizes(struct sizes *s, const m8__weights *w)
{
    bool all = m8__meta_int(w, "llama.block_count", &s->n_layers) && m8__meta_int(w, "llama.embedding_length", &s->d) &&
               m8__meta_int(w, "llama.attention.head_count", &s->n_heads) && m8__meta_int(w, "llama.feed_forward_length", &s->d_ff) &&
               m8__meta_int(w, "llama.context_length", &s->n_ctx) &&
               m8__meta_float(w, "llama.attention.layer_norm_rms_epsilon", &s->eps);
    if (!m8__meta_int(w, "llama.attention.head_count_kv", &s->n_kv)) s->n_kv = s->n_heads;
    if (!m8__meta_int(w, "llama.attention.key_length", &s->dh)) s->dh = s->n_heads > 0 ? s->d / s->n_heads : 0;
    if (!m8__meta_float(w, "llama.rope.freq_base", &s->theta)) s->theta = 10000;
    return all;
}

static int64_t number(const json_t *config, const char *key, int64_t none)
{
    const json_t *v = json_object_get(config, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : none;
}

static bool hf_sizes(struct sizes *s, const json_t *c)
{
    s->n_layers = number(c, "num_hidden_layers", 0);
    s->d = number(c, "hidden_size", 0);
    s->n_heads = number(c, "num_attention_heads", 0);
    s->n_kv = number(c, "num_key_value_heads", s->n_heads);
    s->dh = number(c, "head_dim", s->n_heads > 0 ? s->d / s->n_heads : 0);
    s->d_ff = number(c, "intermediate_size", 0);
    s->n_ctx = number(c, "max_position_embeddings", 0);
    const json_t *eps = json_object_get(c, "rms_norm_eps"), *theta = json_object_get(c, "rope_theta");
    s->eps = json_is_number(eps) ? json_number_value(eps) : 1e-5;
    s->theta = json_is_number(theta) ? json_number_value(theta) : 10000;
    return true;
}

static const json_t *rope_scaling(const m8__weights *w) /* NULL: none */
{
    const json_t *v = json_object_get(m8__weights_config(w), "rope_scaling");
    return json_is_null(v) ? NULL : v;
}

/* Heads that are turned in part, or by scaled positions, would give a wrong answer without a word. Factors stored as a tensor are known. */
static bool rope_is_known(const nn_load *l, int64_t dh, double theta)
{
    int64_t turned;
    m8__view type;
    float factors[512];
    const json_t *scaling = rope_scaling(l->w);
    if (m8__weights_config(l->w)) return !scaling || m8__llama_rope_factors(factors, (int)dh, theta, scaling);
    if (m8__meta_int(l->w, "llama.rope.dimension_count", &turned) && turned != dh) return false;
    return !m8__meta_str(l->w, "llama.rope.scaling.type", &type) || (type.len == 4 && !memcmp(type.data, "none", 4));
}

static m8_status read_sizes(struct llama *m, struct sizes *s, const nn_load *l, m8_error *err)
{
    const m8__weights *w = l->w;
    bool all = m8__weights_config(w) ? hf_sizes(s, m8__weights_config(w)) : gguf_sizes(s, w);
    bool sane = s->n_layers > 0 && s->n_layers <= 512 && s->d > 0 && s->d <= 65536 && s->n_heads > 0 && s->n_heads <= 1024 &&
                s->n_kv > 0 && s->n_kv <= s->n_heads && s->n_heads % s->n_kv == 0 && s->dh > 0 && s->dh <= 1024 && s->dh % 2 == 0 &&
                s->d_ff > 0 && s->d_ff <= 1 << 20 && s->n_ctx > 0 && s->eps > 0 && s->eps < 1 && isfinite(s->theta) && s->theta > 1;
    if (!all || !sane) return m8_fail(err, M8_E_FORMAT, "%s: the model's sizes are missing or out of range", m8__weights_path(w));
    if (!rope_is_known(l, s->dh, s->theta)) {
        return m8_fail(err, M8_E_UNSUPPORTED, "%s: positions are turned in a way that is not known here", m8__weights_path(w));
    }
    *m = (struct llama){ (int)s->n_layers, (int)s->d, (int)s->n_heads, (int)s->n_kv, (int)s->dh, (int)s->d_ff, .eps = (float)s->eps };
    m->digits = s->d < LARGE ? 2 : 1; /* doc/models/llama.md has what the second is worth */
    m->kv_type = s->d < LARGE || l->precision == M8_F32 ? NN_F32 : NN_BF16;
    m->n_ctx = s->n_ctx < MAX_CELLS ? (int)s->n_ctx : MAX_CELLS;
    return M8_OK;
}

/* ---- loading */

static void load_layer(struct llama *m, nn_load *l, const struct names *n, int i, int unpermute)
{
    struct llama_layer *y = &m->layers[i];
    int hq = m->n_heads * m->dh, hk = m->n_kv * m->dh;
    nn_part q = nn_part_of(hq, n->q, i), k = nn_part_of(hk, n->k, i);
    q.unpermute = k.unpermute = unpermute;
    y->norm1 = nn_load_vec(l, m->d, n->norm1, i);
    y->qkv = nn_load_linear(l, (nn_part[]){ q, k, nn_part_of(hk, n->v, i) }, 3, m->d, NN_BF16);
    y->o = nn_load_linear(l, (nn_part[]){ nn_part_of(m->d, n->o, i) }, 1, hq, NN_BF16);
    y->norm2 = nn_load_vec(l, m->d, n->norm2, i);
    y->gate_up = nn_load_linear(l, (nn_part[]){ nn_part_of(m->d_ff, n->gate, i), nn_part_of(m->d_ff, n->up, i) }, 2, m->d, NN_BF16);
    y->down = nn_load_linear(l, (nn_part[]){ nn_part_of(m->d, n->down, i) }, 1, m->d_ff, NN_BF16);
    y->qkv.digits = y->gate_up.digits = y->down.digits = m->digits;
}

static int64_t weights_bytes(const m8__weights *w)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m8__weights_count(w); i++) bytes += m8__weights_at(w, i)->size;
    return (int64_t)bytes;
}

/* Room for the keys and values of n_ctx cells in every layer; zero pages until they are written. */
static m8_status make_cache(struct llama *m, m8_error *err)
{
    int cap = (m->n_ctx + PANEL - 1) / PANEL * PANEL;
    size_t bytes = nn_kv_bytes(m->kv_type, m->n_kv, m->dh, cap);
    m->kv_block = m8_calloc((size_t)m->n_layers * bytes + 64, 1);
    if (!m->kv_block) return m8_fail(err, M8_E_NOMEM, "the cache of keys and values");
    char *mem = (char *)(((uintptr_t)m->kv_block + 63) & ~(uintptr_t)63);
    for (int i = 0; i < m->n_layers; i++) m->layers[i].kv = nn_kv_at(mem + (size_t)i * bytes, m->kv_type, m->n_kv, m->dh, cap);
    return M8_OK;
}

static m8_status open_llama(m8_model *model, nn_load *l, m8_error *err)
{
    struct llama *m = model->impl = m8_calloc(1, sizeof *m);
    if (!m) return m8_fail(err, M8_E_NOMEM, "opening %s", m8__weights_path(l->w));
    struct sizes s = {0};
    m8_status st = read_sizes(m, &s, l, err);
    if (st) return st;
    bool is_gguf = !strcmp(m8__weights_format(l->w), "gguf");
    const struct names *n = is_gguf ? &gguf : &hf;
    m->embed = m8__weights_find(l->w, n->embed);
    if (!m->embed || m->embed->n_dims != 2 || m->embed->dims[1] != m->d || m->embed->dims[0] < 1 || m->embed->dims[0] > 1 << 22) {
        return m8_fail(err, M8_E_FORMAT, "%s: %s is missing or not [vocabulary, %d]", m8__weights_path(l->w), n->embed, m->d);
    }
    m->n_vocab = (int)m->embed->dims[0];
    l->in_place = weights_bytes(l->w) >= l->in_place_from;
    m->layers = nn_hold(l, (size_t)m->n_layers * sizeof *m->layers);
    for (int i = 0; i < m->n_layers && !l->status; i++) load_layer(m, l, n, i, is_gguf ? m->dh : 0);
    m->norm = nn_load_vec(l, m->d, "%s", n->norm);
    bool tied = !nn_has(l, "%s", n->out);
    m->out = nn_load_linear(l, (nn_part[]){ nn_part_of(m->n_vocab, "%s", tied ? n->embed : n->out) }, 1, m->d, NN_BF16);
    m->out.digits = m->digits;
    if (!tied) l->n_params += m->embed->n;
    float scaled[512], *factors = nn_has(l, "rope_freqs.weight") ? nn_load_vec(l, m->dh / 2, "rope_freqs.weight") : NULL;
    if (rope_scaling(l->w) && m8__llama_rope_factors(scaled, m->dh, s.theta, rope_scaling(l->w))) factors = scaled;
    m->rope = nn_rope_table(l, m->n_ctx, m->dh, s.theta, factors);
    if (l->status) return l->status;
    st = make_cache(m, err);
    if (!st) st = nn_run_init(&m->run, model->pool, err);
    if (!st) st = m8__batch_open(model, err);
    if (st) return st;
    m8_error none = {0}; /* a file without a tokenizer is still a model: it can be verified */
    st = m8__tokenizer_open(&model->tokenizer, l->w, &none);
    if (!st) {
        m->chat = m8__chat_find(model->tokenizer);
        if (m8__tokenizer_size(model->tokenizer) > m->n_vocab) {
            return m8_fail(err, M8_E_FORMAT, "%s: %d tokens for a matrix of %d", m8__weights_path(l->w),
                           m8__tokenizer_size(model->tokenizer), m->n_vocab);
        }
        return M8_OK;
    }
    return st == M8_E_NOTFOUND ? M8_OK : m8_fail(err, st, "%s", m8_error_text(&none));
}

static void close_llama(m8_model *model)
{
    struct llama *m = model->impl;
    if (!m) return;
    m8__batch_close(model);
    nn_run_finish(&m->run);
    m8_free(m->kv_block);
    m8_free(m);
    model->impl = NULL;
}

/* ---- forward */

static nn_t embed(struct llama *m, const struct llama_rows *seqs, int n_seqs, int **pos)
{
    int n = 0;
    for (int i = 0; i < n_seqs; i++) n += seqs[i].n;
    nn_t h = nn_new(&m->run, n, m->d);
    *pos = nn_take(&m->run, (size_t)n * sizeof **pos);
    if (m->run.status) return h;
    for (int i = 0, row = 0; i < n_seqs; i++) {
        for (int j = 0; j < seqs[i].n; j++, row++) {
            m8__dequant(h.d + (size_t)row * m->d, m->embed, seqs[i].ids[j], 1);
            (*pos)[row] = seqs[i].pos + j;
        }
    }
    return h;
}

static void layer(struct llama *m, const struct llama_layer *w, nn_t h /* [n, d], updated */, const int *pos,
                  const struct llama_rows *rows, const nn_seq *seqs, int n_seqs)
{
    nn_run *r = &m->run;
    m8_arena_mark mark = m8_arena_here(r->arena);
    int hq = m->n_heads * m->dh, hk = m->n_kv * m->dh;
    nn_kv kv = w->kv;
    nn_t qkv = nn_linear(r, nn_rms_norm(r, h, w->norm1, m->eps), &w->qkv);        /* [n, hq + 2 hk] */
    nn_rope_to(r, nn_cols(qkv, 0, hq + hk), m->dh, pos, m->rope);
    for (int i = 0; i < n_seqs; i++) {
        nn_t new = nn_rows(qkv, seqs[i].row, seqs[i].n_rows);
        nn_kv_put(r, &kv, rows[i].cell, nn_cols(new, hq, hk), nn_cols(new, hq + hk, hk));
    }
    nn_t seen = nn_attend(r, nn_cols(qkv, 0, hq), &kv, m->n_heads, 1.0f / sqrtf((float)m->dh), seqs, n_seqs); /* [n, hq] */
    nn_add_to(r, h, nn_linear(r, seen, &w->o));
    nn_t gate_up = nn_linear(r, nn_rms_norm(r, h, w->norm2, m->eps), &w->gate_up); /* [n, 2 d_ff] */
    nn_add_to(r, h, nn_linear(r, nn_silu_mul(r, gate_up), &w->down));
    m8_arena_back(r->arena, mark);
}

nn_t m8__llama_forward(struct llama *m, const struct llama_rows *rows, int n_seqs, void (*tap)(void *, int, nn_t), void *user)
{
    nn_run *r = &m->run;
    int *pos;
    nn_t h = embed(m, rows, n_seqs, &pos);
    nn_seq *seqs = nn_take(r, (size_t)n_seqs * sizeof *seqs);
    if (r->status) return h;
    for (int i = 0, row = 0; i < n_seqs; row += rows[i++].n) {
        seqs[i] = (nn_seq){ .row = row, .n_rows = rows[i].n, .n_spans = rows[i].n_spans, .first = rows[i].pos + 1 };
        memcpy(seqs[i].span, rows[i].span, sizeof seqs[i].span);
    }
    for (int i = 0; i < m->n_layers; i++) {
        if (tap) tap(user, i, h);
        layer(m, &m->layers[i], h, pos, rows, seqs, n_seqs);
    }
    h = nn_rms_norm(r, h, m->norm, m->eps);
    if (tap) tap(user, m->n_layers, h);
    return h;
}

nn_t m8__llama_logits(struct llama *m, nn_t hidden) { return nn_linear(&m->run, hidden, &m->out); }

const struct m8__family m8__llama = {
    .name = "llama", .tasks = M8_TASK_CHAT, .match = match, .open = open_llama, .close = close_llama,
    .chat = m8__llama_chat, .score = m8__llama_score, .lead = m8__llama_lead, .verify = m8__llama_verify,
};
