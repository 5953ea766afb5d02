/* A Parler model of random weights, small enough to be written and damaged hundreds of times: T5 of one layer, a decoder of two, three
 * codebooks of 16 codes, a codec of two stages; in the older layout, or in the newer one (rope, prompt in cross-attention, grouped and
 * fused heads). No tokenizer. */
#ifndef PARLER_TINY_H
#define PARLER_TINY_H

#include "test.h"
#include <jansson.h>
#include <m8/base.h>
#include <string.h>

enum { TINY_Q = 3, TINY_CODES = 16, TINY_EOS = 16, TINY_BOS = 17, TINY_VOCAB = 20, TINY_D = 32, TINY_POS = 40, TINY_WORDS = 50, TINY_PROMPTS = 30 };

struct tiny_tensor {
    char name[112];
    int dims[3], n_dims;
};
static struct tiny_tensor tiny[240];
static int n_tiny;
static char tiny_dir[] = "/tmp/m8-parler-tiny-XXXXXX";

M8_PRINTF(4, 5) static void tiny_add(int a, int b, int c, const char *fmt, ...)
{
    struct tiny_tensor *t = &tiny[n_tiny++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, ap);
    va_end(ap);
    t->dims[0] = a, t->dims[1] = b, t->dims[2] = c;
    t->n_dims = c ? 3 : b ? 2 : 1;
}

static void tiny_t5(void)
{
    static const char b[] = "text_encoder.encoder.block.0.layer.";
    enum { D = 24, HD = 16, FF = 32 };
    tiny_add(TINY_WORDS, D, 0, "text_encoder.shared.weight");
    for (int i = 0; i < 3; i++) tiny_add(HD, D, 0, "%s0.SelfAttention.%c.weight", b, "qkv"[i]);
    tiny_add(D, HD, 0, "%s0.SelfAttention.o.weight", b);
    tiny_add(32, 2, 0, "%s0.SelfAttention.relative_attention_bias.weight", b);
    tiny_add(D, 0, 0, "%s0.layer_norm.weight", b);
    tiny_add(FF, D, 0, "%s1.DenseReluDense.wi_0.weight", b);
    tiny_add(FF, D, 0, "%s1.DenseReluDense.wi_1.weight", b);
    tiny_add(D, FF, 0, "%s1.DenseReluDense.wo.weight", b);
    tiny_add(D, 0, 0, "%s1.layer_norm.weight", b);
    tiny_add(D, 0, 0, "text_encoder.encoder.final_layer_norm.weight");
    tiny_add(TINY_D, D, 0, "enc_to_dec_proj.weight");
    tiny_add(TINY_D, 0, 0, "enc_to_dec_proj.bias");
}

static void tiny_norm(const char *fmt, int i)
{
    char name[96];
    snprintf(name, sizeof name, fmt, i);
    tiny_add(TINY_D, 0, 0, "%s.weight", name);
    tiny_add(TINY_D, 0, 0, "%s.bias", name);
}

static void tiny_decoder(bool newer)
{
    enum { D = TINY_D, FF = 64 };
    tiny_add(TINY_PROMPTS, D, 0, "embed_prompts.weight");
    tiny_add(TINY_POS, D, 0, newer ? "embed_positions.weights" : "decoder.model.decoder.embed_positions.weights");
    for (int k = 0; k < TINY_Q; k++) tiny_add(TINY_VOCAB + 1, D, 0, "decoder.model.decoder.embed_tokens.%d.weight", k);
    for (int i = 0; i < 2; i++) {
        for (int cross = 0; cross < 2; cross++) {
            char p[64];
            int kv = newer ? D / (cross ? 4 : 2) : D;
            snprintf(p, sizeof p, "decoder.model.decoder.layers.%d.%s", i, cross ? "encoder_attn" : "self_attn");
            tiny_add(D, D, 0, "%s.q_proj.weight", p);
            tiny_add(kv, D, 0, "%s.k_proj.weight", p);
            tiny_add(kv, D, 0, "%s.v_proj.weight", p);
            tiny_add(D, D, 0, "%s.out_proj.weight", p);
        }
        tiny_norm("decoder.model.decoder.layers.%d.self_attn_layer_norm", i);
        tiny_norm("decoder.model.decoder.layers.%d.encoder_attn_layer_norm", i);
        tiny_norm("decoder.model.decoder.layers.%d.final_layer_norm", i);
        tiny_add(FF, D, 0, "decoder.model.decoder.layers.%d.fc1.weight", i);
        tiny_add(D, FF, 0, "decoder.model.decoder.layers.%d.fc2.weight", i);
    }
    tiny_norm("decoder.model.decoder.layer_norm", 0);
    if (newer) tiny_add(TINY_Q * TINY_VOCAB, D, 0, "decoder.lm_heads.weight");
    for (int k = 0; k < TINY_Q && !newer; k++) tiny_add(TINY_VOCAB, D, 0, "decoder.lm_heads.%d.weight", k);
}

static void tiny_conv(int a, int b, int c, int n_out, const char *name)
{
    tiny_add(a, b, c, "audio_encoder.%s.weight", name);
    tiny_add(n_out, 0, 0, "audio_encoder.%s.bias", name);
}

static void tiny_codec(void)
{
    enum { LATENT = 6 };
    char name[64];
    for (int k = 0; k < TINY_Q; k++) {
        tiny_add(TINY_CODES, 2, 0, "audio_encoder.quantizer.quantizers.%d.codebook.weight", k);
        snprintf(name, sizeof name, "quantizer.quantizers.%d.out_proj", k);
        tiny_conv(LATENT, 2, 1, LATENT, name);
    }
    tiny_conv(8, LATENT, 7, 8, "decoder.conv1");
    for (int i = 0, c = 8; i < 2; i++, c /= 2) {
        tiny_add(1, c, 1, "audio_encoder.decoder.block.%d.snake1.alpha", i);
        snprintf(name, sizeof name, "decoder.block.%d.conv_t1", i);
        tiny_conv(c, c / 2, i ? 4 : 8, c / 2, name);
        for (int j = 0; j < 6; j++) {
            tiny_add(1, c / 2, 1, "audio_encoder.decoder.block.%d.res_unit%d.snake%d.alpha", i, j / 2 + 1, j % 2 + 1);
            snprintf(name, sizeof name, "decoder.block.%d.res_unit%d.conv%d", i, j / 2 + 1, j % 2 + 1);
            tiny_conv(c / 2, c / 2, j % 2 ? 1 : 7, c / 2, name);
        }
    }
    tiny_add(1, 2, 1, "audio_encoder.decoder.snake1.alpha");
    tiny_conv(1, 2, 7, 1, "decoder.conv2");
}

static void tiny_make(bool newer)
{
    n_tiny = 0;
    tiny_t5();
    tiny_decoder(newer);
    tiny_codec();
}

/* How the folder differs from a good one. */
struct tiny_damage {
    int missing, wrong, which, by, filled; /* numbers of tensors, from 1; 0: none. Dimension `which` of `wrong` is longer by `by` */
    float fill;
    const char *key, *value;               /* of the decoder's configuration: a value as JSON; NULL: the key is missing */
    const char *config;                    /* the whole of it */
};

static void tiny_save(const char *name, const void *data, size_t n)
{
    char *path = m8_join_path(tiny_dir, name);
    FILE *f = fopen(path, "wb"); /* without m8_write_file's fsync, which would be most of a test's time */
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    m8_free(path);
}

static void tiny_config(bool newer, const struct tiny_damage *d)
{
    json_t *decoder = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s}", "num_codebooks", TINY_Q, "vocab_size", TINY_VOCAB,
                                "hidden_size", TINY_D, "num_attention_heads", 4, "ffn_dim", 64, "num_hidden_layers", 2, "max_position_embeddings",
                                TINY_POS, "eos_token_id", TINY_EOS, "bos_token_id", TINY_BOS, "activation_function", "gelu");
    if (newer) {
        json_t *more = json_pack("{s:i, s:i, s:b, s:b}", "num_key_value_heads", 2, "num_cross_attention_key_value_heads", 1, "rope_embeddings", 1,
                                 "use_fused_lm_heads", 1);
        json_object_update(decoder, more);
        json_decref(more);
    }
    if (d->key && d->value) json_object_set_new(decoder, d->key, json_loads(d->value, JSON_DECODE_ANY, NULL));
    else if (d->key) json_object_del(decoder, d->key);
    json_t *all = json_pack("{s:s, s:b, s:i, s:o, s:{s:i}}", "model_type", "parler_tts", "prompt_cross_attention", newer, "decoder_start_token_id",
                            TINY_BOS, "decoder", decoder, "audio_encoder", "sampling_rate", 16000);
    char *text = json_dumps(all, 0);
    tiny_save("config.json", d->config ? d->config : text, strlen(d->config ? d->config : text));
    free(text);
    json_decref(all);
}

static void tiny_write(bool newer, const struct tiny_damage *d)
{
    json_t *head = json_object();
    m8_buf data = { 0 }, file = { 0 };
    uint32_t seed = 1;
    for (int i = 0; i < n_tiny; i++) {
        const struct tiny_tensor *t = &tiny[i];
        if (i + 1 == d->missing) continue;
        json_t *shape = json_array();
        size_t n = 1, from = data.len;
        for (int j = 0; j < t->n_dims; j++) {
            int dim = t->dims[j] + (i + 1 == d->wrong && j == d->which ? d->by : 0);
            json_array_append_new(shape, json_integer(dim));
            n *= (size_t)dim;
        }
        for (size_t j = 0; j < n; j++) {
            seed = seed * 1664525 + 1013904223;
            float x = i + 1 == d->filled ? d->fill : ((float)(seed >> 8) / (1 << 24) - 0.5f) * 0.8f;
            m8_buf_add(&data, &x, sizeof x);
        }
        json_object_set_new(head, t->name, json_pack("{s:s, s:o, s:[i,i]}", "dtype", "F32", "shape", shape, "data_offsets", (int)from, (int)data.len));
    }
    char *text = json_dumps(head, JSON_COMPACT);
    uint64_t len = strlen(text);
    m8_buf_add(&file, &len, sizeof len);
    m8_buf_str(&file, text);
    m8_buf_add(&file, data.data, data.len);
    tiny_save("model.safetensors", file.data, file.len);
    tiny_config(newer, d);
    free(text);
    m8_buf_finish(&data);
    m8_buf_finish(&file);
    json_decref(head);
}

static void tiny_remove(void)
{
    static const char *const names[] = { "model.safetensors", "config.json" };
    for (int i = 0; i < 2; i++) {
        char *path = m8_join_path(tiny_dir, names[i]);
        remove(path);
        m8_free(path);
    }
    remove(tiny_dir);
}

#endif
