/* The Llama family as GGUF, as llama.cpp's converter writes it: its names, its order of the rows of Q and K, its keys. The output
 * matrix and the embeddings get 6 bits at least, vectors 32. */
#include "models/llama.h"
#include "models/write.h"
#include "text/text.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *hf, *gguf;
} NAMES[] = {
    { "model.embed_tokens.weight", "token_embd.weight" },
    { "model.norm.weight", "output_norm.weight" },
    { "lm_head.weight", "output.weight" },
}, LAYER[] = { /* behind model.layers.N. and blk.N. */
    { "input_layernorm.weight", "attn_norm.weight" },
    { "self_attn.q_proj.weight", "attn_q.weight" },
    { "self_attn.k_proj.weight", "attn_k.weight" },
    { "self_attn.v_proj.weight", "attn_v.weight" },
    { "self_attn.o_proj.weight", "attn_output.weight" },
    { "post_attention_layernorm.weight", "ffn_norm.weight" },
    { "mlp.gate_proj.weight", "ffn_gate.weight" },
    { "mlp.up_proj.weight", "ffn_up.weight" },
    { "mlp.down_proj.weight", "ffn_down.weight" },
};

/* false: a tensor that a file of this architecture has no place for. */
static bool rename_tensor(char out[64], const char *hf)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(hf, NAMES[i].hf)) continue;
        snprintf(out, 64, "%s", NAMES[i].gguf);
        return true;
    }
    int layer, n = 0;
    if (sscanf(hf, "model.layers.%4d.%n", &layer, &n) != 1 || !n || layer < 0) return false;
    for (size_t i = 0; i < sizeof LAYER / sizeof *LAYER; i++) {
        if (strcmp(hf + n, LAYER[i].hf)) continue;
        snprintf(out, 64, "blk.%d.%s", layer, LAYER[i].gguf);
        return true;
    }
    return false;
}

static m8__dtype type_for(const m8__tensor *t, const char *name, m8__dtype type)
{
    if (m8__is_vector(t)) return DT_F32;
    if (!strcmp(name, "output.weight") || !strcmp(name, "token_embd.weight")) type = m8__finer(type, DT_Q6_K);
    return m8__fitting(t, type);
}

/* ---- from Hugging Face's names */

static int64_t number(const json_t *config, const char *key, int64_t none)
{
    const json_t *v = json_object_get(config, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : none;
}

static float real(const json_t *config, const char *key, double none)
{
    const json_t *v = json_object_get(config, key);
    return (float)(json_is_number(v) ? json_number_value(v) : none);
}

static int head_size(const json_t *c)
{
    int64_t heads = number(c, "num_attention_heads", 0), d = number(c, "hidden_size", 0);
    return (int)number(c, "head_dim", heads > 0 ? d / heads : 0);
}

static void count(m8__gguf *g, const char *key, int64_t value)
{
    if (value > 0 && value <= INT32_MAX) m8__gguf_u32(g, key, (uint32_t)value);
    else m8__gguf_fail(g, M8_E_FORMAT, "config.json: %s is missing or out of range", key);
}

static void keys(m8__gguf *g, const json_t *c, int dh)
{
    int64_t heads = number(c, "num_attention_heads", 0);
    m8__gguf_str(g, "general.architecture", m8__text_view("llama"));
    count(g, "llama.context_length", number(c, "max_position_embeddings", 0));
    count(g, "llama.embedding_length", number(c, "hidden_size", 0));
    count(g, "llama.block_count", number(c, "num_hidden_layers", 0));
    count(g, "llama.feed_forward_length", number(c, "intermediate_size", 0));
    count(g, "llama.attention.head_count", heads);
    count(g, "llama.attention.head_count_kv", number(c, "num_key_value_heads", heads));
    count(g, "llama.attention.key_length", dh);
    count(g, "llama.attention.value_length", dh);
    count(g, "llama.rope.dimension_count", dh);
    m8__gguf_f32(g, "llama.rope.freq_base", real(c, "rope_theta", 10000));
    m8__gguf_f32(g, "llama.attention.layer_norm_rms_epsilon", real(c, "rms_norm_eps", 1e-5));
}

/* As llama.cpp has them: a tensor, not keys. */
static void rope_factors(m8__gguf *g, const json_t *c, int dh)
{
    float factors[512];
    const json_t *scaling = json_object_get(c, "rope_scaling");
    if (!scaling || json_is_null(scaling)) return;
    if (dh > 0 && dh <= 1024 && m8__llama_rope_factors(factors, dh, real(c, "rope_theta", 10000), scaling))
        m8__gguf_floats(g, "rope_freqs.weight", factors, dh / 2);
    else m8__gguf_fail(g, M8_E_UNSUPPORTED, "config.json: rope_scaling of a kind that is not known here");
}

static void from_hf(m8__gguf *g, const m8__weights *w, m8__dtype type)
{
    int dh = head_size(m8__weights_config(w));
    keys(g, m8__weights_config(w), dh);
    m8__tokenizer_write(w, g);
    m8__write_type(g, type);
    rope_factors(g, m8__weights_config(w), dh);
    for (size_t i = 0; i < m8__weights_count(w) && !g->status; i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        char name[64];
        if (strstr(t->name, "rotary_emb.inv_freq")) continue; /* computed from the base */
        if (!rename_tensor(name, t->name)) {
            m8__gguf_fail(g, M8_E_UNSUPPORTED, "%.100s: a tensor that a Llama file has no place for", t->name);
            return;
        }
        bool turned = strstr(name, ".attn_q.") || strstr(name, ".attn_k.");
        m8__gguf_tensor(g, t, name, type_for(t, name, type), turned ? dh : 0);
    }
}

void m8__llama_write(m8__gguf *g, const m8__weights *w, m8__dtype type)
{
    if (strcmp(m8__weights_format(w), "gguf")) {
        from_hf(g, w, type);
        return;
    }
    m8__write_keys_again(g, w);
    m8__write_type(g, type);
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        m8__gguf_tensor(g, t, t->name, type_for(t, t->name, type), 0);
    }
}
