/* Parler-TTS: sizes out of config.json and shapes, weights into panels. Older configurations lack the keys of grouped heads, rope,
 * fused heads and prompt_cross_attention: the defaults are what those models are. The same tensors may lie in a GGUF file, whose key
 * magic8.config holds config.json as it was. */
#include "parler.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LAYER "decoder.model.decoder.layers.%d."

/* What the decoder's weights become when they are stored as floats, and the digits of what they are multiplied with: the smallest
 * whose choices agree with float32's often enough (doc/models/parler.md). */
static const nn_type fast = NN_Q8;
enum { DIGITS = 1, HEADS_DIGITS = 2 };

/* ---- sizes */

static int64_t number(const json_t *config, const char *key, int64_t none)
{
    const json_t *v = json_object_get(config, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : none;
}

static bool within(int64_t v, int64_t least, int64_t most) { return v >= least && v <= most; }

/* Forms that would give a wrong answer without a word. */
static const char *unknown_form(const json_t *d)
{
    const char *act = json_string_value(json_object_get(d, "activation_function"));
    if (act && strcmp(act, "gelu")) return "activation_function is not gelu";
    if (json_is_true(json_object_get(d, "scale_embedding"))) return "scale_embedding";
    return NULL;
}

static m8_status read_sizes(struct parler *m, double *theta, nn_load *l, const json_t *config)
{
    const json_t *d = json_object_get(config, "decoder"), *rope_theta = json_object_get(d, "rope_theta");
    const char *path = m8__weights_path(l->w), *unknown = unknown_form(d);
    if (unknown) return m8_fail(l->err, M8_E_UNSUPPORTED, "%s: a Parler of a form that is not known here: %s", path, unknown);
    int64_t n_q = number(d, "num_codebooks", 0), vocab = number(d, "vocab_size", 0), width = number(d, "hidden_size", 0);
    int64_t heads = number(d, "num_attention_heads", 0), kv = number(d, "num_key_value_heads", heads);
    int64_t cross = number(d, "num_cross_attention_key_value_heads", kv), d_ff = number(d, "ffn_dim", 0);
    int64_t layers = number(d, "num_hidden_layers", 0), pos = number(d, "max_position_embeddings", 0);
    int64_t eos = number(d, "eos_token_id", 1024), bos = number(config, "decoder_start_token_id", number(d, "bos_token_id", 1025));
    *theta = json_is_number(rope_theta) ? json_number_value(rope_theta) : 10000;
    bool sane = within(n_q, 1, PARLER_MOST_Q) && within(vocab, 2, 1 << 16) && within(width, 4, 1 << 14) && width % 2 == 0 &&
                within(heads, 1, 1024) && width % heads == 0 && within(width / heads, 1, 1024) && within(kv, 1, heads) && heads % kv == 0 &&
                within(cross, 1, heads) && heads % cross == 0 && within(d_ff, 1, 1 << 18) && within(layers, 1, 512) &&
                within(pos, 4, 1 << 20) && within(eos, 1, vocab - 1) && within(bos, 0, vocab) && isfinite(*theta) && *theta > 1;
    if (!sane) return m8_fail(l->err, M8_E_FORMAT, "%s: the decoder's sizes are missing in config.json or out of range", path);
    m->n_q = (int)n_q, m->vocab = (int)vocab, m->d = (int)width, m->n_heads = (int)heads, m->n_kv = (int)kv, m->n_cross_kv = (int)cross;
    m->dh = m->d / m->n_heads, m->d_ff = (int)d_ff, m->n_layers = (int)layers, m->max_pos = (int)pos, m->eos = (int)eos, m->bos = (int)bos;
    m->rope = json_is_true(json_object_get(d, "rope_embeddings"));
    m->prompt_cross = json_is_true(json_object_get(config, "prompt_cross_attention"));
    if (m->rope && m->dh % 2) return m8_fail(l->err, M8_E_FORMAT, "%s: heads of %d cannot be turned by halves", path, m->dh);
    m->rate = (int)number(json_object_get(config, "audio_encoder"), "sampling_rate", 44100);
    if (!within(m->rate, 1000, 384000)) return m8_fail(l->err, M8_E_FORMAT, "%s: a sampling_rate of %d", path, m->rate);
    return M8_OK;
}

/* ---- weights */

/* A matrix whose rows are looked up in the file; rows 0: any number of them, at least 1. */
static const m8__tensor *lookup(nn_load *l, const char *name, int rows, int cols)
{
    const m8__tensor *t = l->status ? NULL : m8__weights_find(l->w, name);
    if (l->status) return NULL;
    if (!t) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named %s", m8__weights_path(l->w), name);
    } else if (t->n_dims != 2 || t->dims[1] != cols || (rows ? t->dims[0] != rows : !within(t->dims[0], 1, 1 << 22))) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected [%d, %d], file has [%lld, %lld]%s", m8__weights_path(l->w), name,
                            rows ? rows : 1, cols, (long long)t->dims[0], (long long)t->dims[1], t->n_dims == 2 ? "" : " and more or less");
    } else {
        l->n_params += t->n;
    }
    return t;
}

static nn_w linear(nn_load *l, const nn_part *parts, int n_parts, int n_in, int digits)
{
    nn_w w = nn_load_linear(l, parts, n_parts, n_in, fast);
    w.digits = digits;
    return w;
}

/* What is read once for a description stays in the file, as exact as it is there. */
static nn_w linear_once(nn_load *l, const nn_part *parts, int n_parts, int n_in)
{
    bool was = l->in_place;
    l->in_place = true;
    nn_w w = nn_load_linear(l, parts, n_parts, n_in, NN_F32);
    l->in_place = was;
    w.digits = 2;
    return w;
}

static void load_layer(struct parler *m, nn_load *l, int i)
{
    struct parler_layer *y = &m->layers[i];
    int d = m->d, kv = m->n_kv * m->dh, cross = m->n_cross_kv * m->dh;
    y->norm1 = nn_load_vec(l, d, LAYER "self_attn_layer_norm.weight", i);
    y->norm1_bias = nn_load_vec(l, d, LAYER "self_attn_layer_norm.bias", i);
    nn_part q = nn_part_of(d, LAYER "self_attn.q_proj.weight", i), k = nn_part_of(kv, LAYER "self_attn.k_proj.weight", i);
    nn_part v = nn_part_of(kv, LAYER "self_attn.v_proj.weight", i), o = nn_part_of(d, LAYER "self_attn.out_proj.weight", i);
    y->qkv = linear(l, (nn_part[]){ q, k, v }, 3, d, DIGITS);
    y->o = linear(l, &o, 1, d, DIGITS);
    y->norm2 = nn_load_vec(l, d, LAYER "encoder_attn_layer_norm.weight", i);
    y->norm2_bias = nn_load_vec(l, d, LAYER "encoder_attn_layer_norm.bias", i);
    q = nn_part_of(d, LAYER "encoder_attn.q_proj.weight", i), k = nn_part_of(cross, LAYER "encoder_attn.k_proj.weight", i);
    v = nn_part_of(cross, LAYER "encoder_attn.v_proj.weight", i), o = nn_part_of(d, LAYER "encoder_attn.out_proj.weight", i);
    y->cross_q = linear(l, &q, 1, d, DIGITS);
    y->cross_kv = linear_once(l, (nn_part[]){ k, v }, 2, d);
    y->cross_o = linear(l, &o, 1, d, DIGITS);
    y->norm3 = nn_load_vec(l, d, LAYER "final_layer_norm.weight", i);
    y->norm3_bias = nn_load_vec(l, d, LAYER "final_layer_norm.bias", i);
    nn_part fc1 = nn_part_of(m->d_ff, LAYER "fc1.weight", i), fc2 = nn_part_of(d, LAYER "fc2.weight", i);
    y->fc1 = linear(l, &fc1, 1, d, DIGITS);
    y->fc2 = linear(l, &fc2, 1, m->d_ff, DIGITS);
}

/* The heads, codebook after codebook, stored as one matrix or as one each. */
static void load_heads(struct parler *m, nn_load *l)
{
    nn_part parts[PARLER_MOST_Q];
    bool fused = nn_has(l, "decoder.lm_heads.weight");
    if (fused) parts[0] = nn_part_of(m->n_q * m->vocab, "decoder.lm_heads.weight");
    for (int k = 0; k < m->n_q && !fused; k++) parts[k] = nn_part_of(m->vocab, "decoder.lm_heads.%d.weight", k);
    m->heads = linear(l, parts, fused ? 1 : m->n_q, m->d, HEADS_DIGITS);
}

/* Sinusoids that a file does not hold are computed: cosines, then sines, of pos * frequency. */
static float *frequencies(nn_load *l, int d)
{
    int half = d / 2;
    float *f = nn_hold(l, (size_t)half * sizeof *f);
    for (int j = 0; f && j < half; j++) f[j] = expf((float)j * (float)-(log(10000) / (half - 1)));
    return f;
}

static void load_embeddings(struct parler *m, nn_load *l)
{
    static const char stored[] = "decoder.model.decoder.embed_positions.weights", stored_prompt[] = "embed_positions.weights";
    m->prompts = lookup(l, "embed_prompts.weight", 0, m->d);
    if (!l->status) m->n_prompt_vocab = (int)m->prompts->dims[0];
    for (int k = 0; k < m->n_q; k++) {
        char name[64];
        snprintf(name, sizeof name, "decoder.model.decoder.embed_tokens.%d.weight", k);
        m->columns[k] = lookup(l, name, m->vocab + 1, m->d);
    }
    if (!m->rope && nn_has(l, "%s", stored)) m->positions = lookup(l, stored, m->max_pos, m->d);
    if (m->prompt_cross && nn_has(l, "%s", stored_prompt)) m->prompt_positions = lookup(l, stored_prompt, m->max_pos, m->d);
    m->frequencies = frequencies(l, m->d);
}

m8_status m8__parler_load(struct parler *m, nn_load *l, const json_t *config)
{
    double theta = 0;
    if (!l->status) l->status = read_sizes(m, &theta, l, config);
    if (l->status) return l->status;
    load_embeddings(m, l);
    m->layers = nn_hold(l, (size_t)m->n_layers * sizeof *m->layers);
    for (int i = 0; i < m->n_layers && !l->status; i++) load_layer(m, l, i);
    m->norm = nn_load_vec(l, m->d, "decoder.model.decoder.layer_norm.weight");
    m->norm_bias = nn_load_vec(l, m->d, "decoder.model.decoder.layer_norm.bias");
    load_heads(m, l);
    if (m->rope && !l->status) m->rope_table = nn_rope_table(l, m->max_pos, m->dh, theta, NULL);
    if (!l->status) m8__t5_load(&m->t5, l, json_object_get(config, "text_encoder"), "text_encoder.");
    if (!l->status && nn_has(l, "enc_to_dec_proj.weight")) {
        nn_part part = nn_part_of(m->d, "enc_to_dec_proj.weight");
        m->enc_to_dec = linear_once(l, &part, 1, m->t5.d);
        m->enc_to_dec.bias = nn_load_vec(l, m->d, "enc_to_dec_proj.bias");
    } else if (!l->status && m->t5.d != m->d) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named enc_to_dec_proj.weight, and %d channels of T5 for %d", m8__weights_path(l->w),
                            m->t5.d, m->d);
    }
    return l->status;
}
