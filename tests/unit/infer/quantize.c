/* m8_quantize: models into GGUF files and back. */
#include "llama_help.h"
#include "models/write.h"
#include "torture.h"
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/m8-quantize-XXXXXX", in[64], out[64];

static char *path_in(const char *folder, const char *name) /* valid until the fourth call from now */
{
    static char paths[4][400];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

static void write_text(const char *name, const char *text) { assert_int_equal(m8_write_file(path_in(in, name), text, strlen(text), NULL), M8_OK); }

static void copy_file(const char *from, const char *name)
{
    m8_buf b = { 0 };
    char *full = test_data(from);
    assert_int_equal(m8_read_file(&b, full, NULL), M8_OK);
    assert_int_equal(m8_write_file(path_in(in, name), b.data, b.len, NULL), M8_OK);
    m8_buf_finish(&b);
    m8_free(full);
}

static int files_in(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void empty(const char *folder)
{
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) unlink(path_in(folder, e->d_name));
    closedir(d);
}

static int clean(void **state)
{
    empty(in);
    empty(out);
    return 0;
}

/* ---- models of our own: names and shapes, filled with small numbers */

struct shape {
    const char *name;
    int dims[3];
    float bad; /* the last number is this, if it is not 0 */
};

static void write_model(const struct shape *t, const char *config)
{
    m8_buf head = { 0 }, data = { 0 }, all = { 0 };
    uint32_t rng = 1;
    for (; t->name; t++) {
        size_t from = data.len, n = 1;
        for (int i = 0; i < 3; i++) n *= t->dims[i] ? (size_t)t->dims[i] : 1;
        for (size_t i = 0; i < n; i++) {
            rng = rng * 1664525 + 1013904223;
            m8_put_f32(&data, i + 1 == n && t->bad != 0 ? t->bad : ((float)(rng >> 8) * 0x1p-24f - 0.5f) * 0.2f);
        }
        m8_buf_printf(&head, "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%d", head.len ? ", " : "{", t->name, t->dims[0]);
        for (int i = 1; i < 3 && t->dims[i]; i++) m8_buf_printf(&head, ", %d", t->dims[i]);
        m8_buf_printf(&head, "], \"data_offsets\": [%zu, %zu]}", from, data.len);
    }
    m8_buf_str(&head, "}");
    m8_put_u64(&all, head.len);
    m8_buf_add(&all, head.data, head.len);
    m8_buf_add(&all, data.data, data.len);
    assert_int_equal(all.status, M8_OK);
    assert_int_equal(m8_write_file(path_in(in, "model.safetensors"), all.data, all.len, NULL), M8_OK);
    write_text("config.json", config);
    m8_buf_finish(&head);
    m8_buf_finish(&data);
    m8_buf_finish(&all);
}

#define VOCAB 64
static struct shape llama[] = {
    { "model.embed_tokens.weight", { VOCAB, 32 } },
    { "model.layers.0.input_layernorm.weight", { 32 } },
    { "model.layers.0.self_attn.q_proj.weight", { 32, 32 } },
    { "model.layers.0.self_attn.k_proj.weight", { 16, 32 } },
    { "model.layers.0.self_attn.v_proj.weight", { 16, 32 } },
    { "model.layers.0.self_attn.o_proj.weight", { 32, 32 } },
    { "model.layers.0.post_attention_layernorm.weight", { 32 } },
    { "model.layers.0.mlp.gate_proj.weight", { 256, 32 } },
    { "model.layers.0.mlp.up_proj.weight", { 256, 32 } },
    { "model.layers.0.mlp.down_proj.weight", { 32, 256 } },
    { "model.norm.weight", { 32 } },
    { 0 }, { 0 },
};
#define LLAMA_CONFIG                                                                                                     \
    "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"hidden_size\": 32, \"num_attention_heads\": 2, "          \
    "\"num_key_value_heads\": 1, \"intermediate_size\": 256, \"max_position_embeddings\": 128, \"rope_theta\": 10000"

static void quantize_ok(const char *from, const char *to, const char *type)
{
    m8_error err = { 0 };
    if (m8_quantize(from, to, type, NULL, &err)) fail_msg("%s", err.text);
}

static m8__weights *open_weights(const char *path)
{
    m8__weights *w;
    m8_error err = { 0 };
    if (m8__weights_open(&w, path, &err)) fail_msg("%s", err.text);
    return w;
}

static const char *type_of(const m8__weights *w, const char *name)
{
    const m8__tensor *t = m8__weights_find(w, name);
    return t ? m8__dtype_name(t->type) : "absent";
}

/* ---- the whole way with a golden model */

static void test_golden(void **state)
{
    char *model = test_data("llama-tiny"), *expected = test_data("llama-tiny/expected.safetensors");
    char *f32 = path_in(out, "f32.gguf"), again[200];
    m8_error err = { 0 };
    struct verdict v = { 0 };
    quantize_ok(model, f32, "F32");
    if (verify(f32, expected, &v, &err)) fail_msg("%s", err.text);
    assert_true(v.n > 5);
    assert_int_equal(v.over, 0);
    snprintf(again, sizeof again, "%s/again.gguf", out);
    quantize_ok(f32, again, "f32"); /* GGUF to GGUF: nothing changes */
    m8_buf a = { 0 }, b = { 0 };
    assert_int_equal(m8_read_file(&a, f32, NULL), M8_OK);
    assert_int_equal(m8_read_file(&b, again, NULL), M8_OK);
    m8__weights *w = open_weights(f32), *x = open_weights(again);
    assert_int_equal(m8__weights_count(w), m8__weights_count(x));
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i), *u = m8__weights_at(x, i);
        assert_string_equal(t->name, u->name);
        assert_int_equal(t->size, u->size);
        assert_memory_equal(t->data, u->data, t->size);
    }
    m8__weights_close(w);
    m8__weights_close(x);
    m8_buf_finish(&a);
    m8_buf_finish(&b);
    m8_free(model);
    m8_free(expected);
}

/* Scaled positions become a tensor of factors. */
static void test_scaled(void **state)
{
    char *model = test_data("llama31-tiny"), *expected = test_data("llama31-tiny/expected.safetensors"), *file = path_in(out, "m.gguf");
    m8_error err = { 0 };
    struct verdict v = { 0 };
    quantize_ok(model, file, "f32");
    m8__weights *w = open_weights(file);
    assert_string_equal(type_of(w, "rope_freqs.weight"), "F32");
    m8__weights_close(w);
    if (verify(file, expected, &v, &err)) fail_msg("%s", err.text);
    assert_true(v.n > 5 && !v.over);
    m8_free(model);
    m8_free(expected);
}

/* ---- files that were cut into parts, as llama.cpp does it */

static bool no_key(m8__view name) { return false; }

static void write_part(const char *name, const m8__weights *w, size_t from, size_t to, uint32_t no, uint32_t count, bool keys)
{
    m8__gguf g = { 0 };
    m8_error err = { 0 };
    struct m8__gguf_opts o = { 0 };
    if (keys) m8__gguf_copy_keys(&g, w, no_key);
    m8__gguf_u32(&g, "split.no", no);
    m8__gguf_u32(&g, "split.count", count);
    for (size_t i = from; i < to; i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        m8__gguf_tensor(&g, t, t->name, t->type, 0);
    }
    if (m8_pool_new(&o.pool, 1, &err) || m8__gguf_write(&g, path_in(in, name), &o, &err)) fail_msg("%s", err.text);
    m8_pool_free(o.pool);
    m8__gguf_finish(&g);
}

static void refuse_parts(m8_status want, const char *name, const char *word)
{
    m8__weights *w = NULL;
    m8_error err = { 0 };
    m8_status st = m8__weights_open(&w, name ? path_in(in, name) : in, &err);
    if (st != want || !strstr(err.text, word)) fail_msg("%s: %s", m8_status_name(st), err.text);
    assert_null(w);
}

static void test_parts(void **state)
{
    static const char *const names[] = { "m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf" };
    char *model = test_data("llama-tiny"), *expected = test_data("llama-tiny/expected.safetensors"), *whole = path_in(out, "whole.gguf");
    m8_error err = { 0 };
    quantize_ok(model, whole, "f32");
    m8__weights *w = open_weights(whole);
    size_t n = m8__weights_count(w);
    for (int i = 0; i < 3; i++) write_part(names[i], w, i ? n * (size_t)i / 3 : 0, n * (size_t)(i + 1) / 3, (uint32_t)i, 3, !i);
    const char *const ways[] = { in, path_in(in, names[0]) }; /* the folder, or the first part */
    for (int i = 0; i < 2; i++) {
        struct verdict v = { 0 };
        if (verify(ways[i], expected, &v, &err)) fail_msg("%s", err.text);
        assert_true(v.n > 5 && !v.over);
    }
    quantize_ok(in, path_in(out, "again.gguf"), "q8_0"); /* parts become one file */
    m8__weights *again = open_weights(path_in(out, "again.gguf"));
    assert_int_equal(m8__weights_count(again), n);
    m8__weights_close(again);
    refuse_parts(M8_E_UNSUPPORTED, names[1], "expected the first");
    write_part(names[1], w, n / 3, n * 2 / 3, 2, 3, false);
    refuse_parts(M8_E_FORMAT, NULL, "another part than its name says");
    write_part(names[1], w, 0, n / 3, 1, 3, false);
    refuse_parts(M8_E_FORMAT, NULL, "two tensors have this name");
    assert_int_equal(m8_write_file(path_in(in, names[1]), "{}", 2, NULL), M8_OK);
    refuse_parts(M8_E_FORMAT, NULL, "not a GGUF file");
    unlink(path_in(in, names[1]));
    refuse_parts(M8_E_NOTFOUND, NULL, names[1]);
    rename(path_in(in, names[0]), path_in(in, "m.gguf"));
    refuse_parts(M8_E_UNSUPPORTED, "m.gguf", "one of 3 parts: expected the first, NAME-00001-of-00003.gguf");
    m8__weights_close(w);
    m8_free(model);
    m8_free(expected);
}

/* Every tensor back from its type: within what that type loses of numbers in (-0.1, 0.1). */
static void test_every_type(void **state)
{
    static const struct {
        const char *type, *got;
        double bound;
    } types[] = { { "f32", "F32", 0 }, { "f16", "F16", 5e-5 }, { "bf16", "BF16", 3e-4 }, { "q8_0", "Q8_0", 4.1e-4 }, { "q6_k", "Q6_K", 3e-3 },
                  { "q5_0", "Q5_0", 7e-3 }, { "q5_1", "Q5_1", 5e-3 }, { "q5_k", "Q5_K", 6e-3 }, { "q4_0", "Q4_0", 1.5e-2 },
                  { "q4_1", "Q4_1", 1.2e-2 }, { "q4_k", "Q4_K", 1.2e-2 } };
    write_model(llama, LLAMA_CONFIG "}");
    m8__weights *from = open_weights(in);
    float *x = m8_malloc(1 << 20), *y = m8_malloc(1 << 20);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char *file = path_in(out, "m.gguf");
        quantize_ok(in, file, types[i].type);
        m8__weights *w = open_weights(file);
        assert_string_equal(type_of(w, "blk.0.ffn_down.weight"), types[i].got);
        assert_string_equal(type_of(w, "output_norm.weight"), "F32");
        const m8__tensor *t = m8__weights_find(from, "model.layers.0.mlp.down_proj.weight");
        m8__dequant(x, t, 0, 32);
        m8__dequant(y, m8__weights_find(w, "blk.0.ffn_down.weight"), 0, 32);
        double most = 0;
        for (int64_t k = 0; k < t->n; k++) most = fmax(most, fabs((double)x[k] - (double)y[k]));
        if (most > types[i].bound || (types[i].bound > 0 && most < types[i].bound / 20)) fail_msg("%s: off by %g", types[i].type, most);
        m8_model *m = NULL; /* and the engine opens it */
        m8_error err = { 0 };
        if (m8_open(&m, file, &(m8_open_opts){ .n_threads = 1 }, &err)) fail_msg("%s: %s", types[i].type, err.text);
        m8_close(m);
        m8__weights_close(w);
    }
    m8_free(x);
    m8_free(y);
    m8__weights_close(from);
}

static void test_choice_of_types(void **state)
{
    llama[11] = (struct shape){ "lm_head.weight", { VOCAB, 32 } };
    write_model(llama, LLAMA_CONFIG "}");
    llama[11] = (struct shape){ 0 };
    quantize_ok(in, out, "q4_k"); /* a folder */
    m8__weights *w = open_weights(path_in(out, "model.gguf"));
    assert_string_equal(type_of(w, "blk.0.ffn_down.weight"), "Q4_K");
    assert_string_equal(type_of(w, "blk.0.attn_q.weight"), "Q5_0"); /* rows of 32 are no blocks of 256 */
    assert_string_equal(type_of(w, "token_embd.weight"), "Q8_0");
    assert_string_equal(type_of(w, "output.weight"), "Q8_0");
    int64_t type;
    assert_true(m8__meta_int(w, "general.file_type", &type) && type == 14);
    m8__weights_close(w);
}

/* ---- tokenizers go along */

static void same_tokens(const char *tokens, const char *chat)
{
    m8__weights *w = open_weights(path_in(out, "model.gguf")), *from = open_weights(in);
    m8__tokenizer *a, *b;
    m8_error err = { 0 };
    if (m8__tokenizer_open(&a, from, &err) || m8__tokenizer_open(&b, w, &err)) fail_msg("%s", err.text);
    assert_int_equal(m8__tokenizer_size(a), m8__tokenizer_size(b));
    assert_int_equal(m8__token_bos(a), m8__token_bos(b));
    assert_int_equal(m8__token_adds_bos(a), m8__token_adds_bos(b));
    assert_ptr_equal(m8__chat_find(a), m8__chat_find(b));
    if (chat) assert_string_equal(m8__chat_name(m8__chat_find(a)), chat);
    else assert_null(m8__chat_find(a));
    assert_int_equal(m8__token_eos(a), m8__token_eos(b));
    char *file = test_data(tokens);
    json_t *all = json_load_file(file, JSON_ALLOW_NUL, NULL), *one;
    if (json_is_object(all)) all = json_object_get(all, "cases");
    size_t i;
    int n = 0;
    json_array_foreach (all, i, one) {
        const json_t *text = json_is_string(one) ? one : json_object_get(one, "text");
        if (!json_is_string(text)) continue;
        m8__ids x = { 0 }, y = { 0 };
        assert_int_equal(m8__encode(a, &x, json_string_value(text), json_string_length(text), &err), M8_OK);
        assert_int_equal(m8__encode(b, &y, json_string_value(text), json_string_length(text), &err), M8_OK);
        if (x.n != y.n || (x.n && memcmp(x.data, y.data, x.n * sizeof *x.data))) fail_msg("%zu: \"%s\"", i, json_string_value(text));
        m8__ids_finish(&x);
        m8__ids_finish(&y);
        n++;
    }
    assert_true(n > 100);
    json_decref(all);
    m8_free(file);
    m8__tokenizer_close(a);
    m8__tokenizer_close(b);
    m8__weights_close(w);
    m8__weights_close(from);
}

#define MISTRAL_VOCAB 32768

static void test_tokenizers(void **state)
{
    static const struct {
        const char *file, *as, *tokens, *pre, *template, *chat;
        int vocab;
    } kinds[] = {
        { "text/mistral.model", "tokenizer.model.v3", "text/mistral.json", "default", "{{ bos_token + '[INST]' }}", "mistral-v3", MISTRAL_VOCAB },
        { "text/mistral.model", "tokenizer.model", "text/mistral.json", "default", "{{ '<<SYS>>' }}", "llama2", MISTRAL_VOCAB },
        { "text/bpe-small-llama3-tokenizer.json", "tokenizer.json", "text/bpe-small-llama3.json", "llama-bpe", "<|start_header_id|>", "llama3", 2048 },
        { "text/bpe-small-qwen2-tokenizer.json", "tokenizer.json", "text/bpe-small-qwen2.json", "qwen2", "x", NULL, 2048 },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        empty(in);
        copy_file(kinds[i].file, kinds[i].as);
        bool jinja = i == 1; /* newer folders have the template in a file of its own */
        if (jinja) write_text("chat_template.jinja", kinds[i].template);
        char *config = m8_sprintf("{\"chat_template\": \"%s\", \"add_bos_token\": true, \"model_max_length\": 1000000000000000019884624838656}",
                                  jinja ? "another" : kinds[i].template);
        write_text("tokenizer_config.json", config);
        m8_free(config);
        llama[0].dims[0] = kinds[i].vocab;
        write_model(llama, LLAMA_CONFIG "}");
        llama[0].dims[0] = VOCAB;
        quantize_ok(in, out, "q8_0");
        same_tokens(kinds[i].tokens, kinds[i].chat);
        m8__weights *w = open_weights(path_in(out, "model.gguf"));
        m8__view text;
        assert_true(m8__meta_str(w, "tokenizer.ggml.pre", &text));
        assert_int_equal(text.len, strlen(kinds[i].pre));
        assert_memory_equal(text.data, kinds[i].pre, text.len);
        assert_true(m8__meta_str(w, "tokenizer.chat_template", &text));
        assert_int_equal(text.len, strlen(kinds[i].template));
        assert_memory_equal(text.data, kinds[i].template, text.len);
        m8__weights_close(w);
    }
}

/* ---- Parler: its own names, the configuration and the tokenizer within */

static const struct shape parler[] = {
    { "text_encoder.shared.weight", { 64, 32 } },
    { "text_encoder.encoder.block.0.layer.0.SelfAttention.q.weight", { 32, 32 } },
    { "text_encoder.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", { 32, 4 } },
    { "embed_prompts.weight", { 64, 32 } },
    { "decoder.model.decoder.embed_tokens.0.weight", { 65, 32 } },
    { "decoder.model.decoder.embed_positions.weights", { 16, 32 } },
    { "decoder.model.decoder.layers.0.fc1.weight", { 64, 32 } },
    { "decoder.model.decoder.layers.0.final_layer_norm.weight", { 32 } },
    { "decoder.model.decoder.layers.0.encoder_attn.k_proj.weight", { 32, 32 } },
    { "decoder.model.decoder.layers.0.encoder_attn.q_proj.weight", { 32, 32 } },
    { "decoder.lm_heads.0.weight", { 64, 32 } },
    { "audio_encoder.model.decoder.model.0.weight_v", { 8, 4, 7 } },
    { "audio_encoder.model.decoder.model.0.weight_g", { 8, 1, 1 } },
    { "audio_encoder.model.encoder.block.0.weight_v", { 8, 4, 7 } },
    { "audio_encoder.model.quantizer.quantizers.0.codebook.weight", { 64, 8 } },
    { "audio_encoder.model.quantizer.quantizers.0.in_proj.weight_v", { 8, 8, 1 } },
    { 0 },
};

static void check_parler(const char *file, const char *layers, const char *eight, const char *sixteen)
{
    m8__weights *w = open_weights(file);
    const char *const want[][2] = {
        { "text_encoder.shared.weight", sixteen }, { "text_encoder.encoder.block.0.layer.0.SelfAttention.q.weight", eight },
        { "text_encoder.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "F32" }, { "embed_prompts.weight", sixteen },
        { "decoder.model.decoder.embed_tokens.0.weight", sixteen }, { "decoder.model.decoder.embed_positions.weights", "F32" },
        { "decoder.model.decoder.layers.0.fc1.weight", layers }, { "decoder.model.decoder.layers.0.final_layer_norm.weight", "F32" },
        { "decoder.model.decoder.layers.0.encoder_attn.k_proj.weight", sixteen },
        { "decoder.model.decoder.layers.0.encoder_attn.q_proj.weight", layers }, { "decoder.lm_heads.0.weight", eight },
        { "audio_encoder.model.decoder.model.0.weight_v", sixteen }, { "audio_encoder.model.decoder.model.0.weight_g", "F32" },
        { "audio_encoder.model.encoder.block.0.weight_v", "absent" },
        { "audio_encoder.model.quantizer.quantizers.0.codebook.weight", "F32" },
        { "audio_encoder.model.quantizer.quantizers.0.in_proj.weight_v", "absent" },
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_string_equal(type_of(w, want[i][0]), want[i][1]);
    assert_int_equal(json_integer_value(json_object_get(m8__weights_config(w), "vocab_size")), 64);
    assert_true(m8__parler.match(w));
    m8__tokenizer *t = NULL;
    m8_error err = { 0 };
    if (m8__tokenizer_open(&t, w, &err)) fail_msg("%s", err.text);
    m8__ids ids = { 0 };
    assert_int_equal(m8__encode(t, &ids, "a voice", 7, &err), M8_OK);
    assert_true(ids.n > 0);
    m8__ids_finish(&ids);
    m8__tokenizer_close(t);
    m8__weights_close(w);
}

static void test_parler(void **state)
{
    static const char *const tokenizers[][2] = { { "text/t5-tokenizer.json", "tokenizer.json" }, { "text/t5.model", "spiece.model" } };
    char first[100];
    snprintf(first, sizeof first, "%s/first.gguf", out);
    for (int i = 0; i < 2; i++) {
        empty(in);
        write_model(parler, "{\"model_type\": \"parler_tts\", \"vocab_size\": 64}");
        copy_file(tokenizers[i][0], tokenizers[i][1]);
        quantize_ok(in, first, "f32");
        check_parler(first, "F32", "F32", "F32");
        quantize_ok(in, path_in(out, "q.gguf"), "q4_0");
        check_parler(path_in(out, "q.gguf"), "Q4_0", "Q8_0", "F16");
        quantize_ok(first, path_in(out, "q.gguf"), "q8_0"); /* GGUF to GGUF */
        check_parler(path_in(out, "q.gguf"), "Q8_0", "Q8_0", "F16");
    }
}

/* ---- one type beside another, step by step */

static m8_model *open_data(const char *name, m8_precision precision)
{
    char *path = test_data(name);
    m8_model *m;
    m8_error err = { 0 };
    if (m8_open(&m, path, &(m8_open_opts){ .n_threads = 1, .precision = precision }, &err)) fail_msg("%s", err.text);
    m8_free(path);
    return m;
}

static m8_status open_and_compare(void *arg, m8_error *err)
{
    m8_model *m;
    m8_likeness l;
    m8_status st = m8_open(&m, arg, &(m8_open_opts){ .n_threads = 1 }, err);
    if (st) return st;
    st = m8_compare(m, m, 3, 1, &l, err);
    m8_close(m);
    return st;
}

static void test_compare(void **state)
{
    static const char *const names[] = { "llama-tiny", "parler-tiny", "parler-tiny-rope" };
    m8_model *plain[3];
    m8_likeness same, eight, four;
    m8_error err = { 0 };
    for (int i = 0; i < 3; i++) {
        plain[i] = open_data(names[i], M8_F32);
        assert_int_equal(m8_compare(plain[i], plain[i], 40, 7, &same, &err), M8_OK);
        assert_true(same.n_steps == 40 && same.n % 40 == 0 && same.n > 0);
        assert_true(same.n_same == same.n && same.kl == 0 && same.rms == 0 && same.max_diff == 0);
        m8_likeness *out_of[] = { &eight, &four };
        for (int k = 0; k < 2; k++) {
            char *from = test_data(names[i]), *file = path_in(out, "m.gguf");
            m8_model *m;
            quantize_ok(from, file, k ? "q4_0" : "q8_0");
            if (m8_open(&m, file, &(m8_open_opts){ .n_threads = 2, .precision = M8_F32 }, &err)) fail_msg("%s", err.text);
            assert_int_equal(m8_compare(plain[i], m, 40, 7, out_of[k], &err), M8_OK);
            m8_close(m);
            m8_free(from);
        }
        print_message("%s: Q8_0 %d of %d, KL %g; Q4_0 %d, KL %g\n", names[i], eight.n_same, eight.n, eight.kl, four.n_same, four.kl);
        assert_true(eight.n == same.n && eight.kl > 0 && eight.kl < four.kl * 1.001 && eight.rms < 0.1 && eight.n_same >= four.n_same);
    }
    assert_int_equal(m8_compare(plain[0], plain[0], 1 << 20, 7, &same, &err), M8_OK); /* as far as its positions go */
    assert_true(same.n_steps < 1 << 20 && same.n_steps > 100);
    assert_int_equal(m8_compare(plain[0], plain[1], 10, 1, &same, &err), M8_E_ARG);
    err = (m8_error){ 0 };
    assert_int_equal(m8_compare(plain[1], plain[2], 10, 1, &same, &err), M8_E_ARG);
    assert_non_null(strstr(err.text, "other sizes"));
    for (int i = 0; i < 3; i++) m8_close(plain[i]);
    setenv("MAGIC8_TORTURE_MAX", "100", 1);
    for (int i = 0; i < 2; i++) {
        char *path = test_data(names[i]);
        torture(open_and_compare, path);
        m8_free(path);
    }
}

/* ---- what cannot be done: a line, nothing left, what was there untouched */

static void refused(m8_status want, const char *type, const m8_quantize_opts *opts, const char *word)
{
    m8_error err = { 0 };
    char *file = path_in(out, "m.gguf");
    assert_int_equal(m8_write_file(file, "old", 3, NULL), M8_OK);
    m8_status st = m8_quantize(in, file, type, opts, &err);
    if (st != want || !strstr(err.text, word)) fail_msg("%s: %s", m8_status_name(st), err.text);
    assert_null(strchr(err.text, '\n'));
    m8_buf b = { 0 };
    assert_int_equal(m8_read_file(&b, file, NULL), M8_OK);
    assert_string_equal(b.data, "old");
    m8_buf_finish(&b);
    assert_int_equal(files_in(out), 1);
}

static m8_status stop(void *user, const char *tensor, int64_t done, int64_t total)
{
    assert_true(done > 0 && done <= total);
    return ++*(int *)user == 3 ? M8_E_BUSY : M8_OK;
}

static void test_refused(void **state)
{
    int calls = 0;
    write_model(llama, LLAMA_CONFIG "}");
    refused(M8_E_ARG, "q9", NULL, "q9: expected f32");
    refused(M8_E_ARG, "q2_k", NULL, "expected");
    refused(M8_E_ARG, "", NULL, "expected");
    refused(M8_E_BUSY, "q4_0", &(m8_quantize_opts){ .progress = stop, .user = &calls }, "stopped");
    m8_cancel *cancel = m8_cancel_new();
    m8_cancel_set(cancel);
    refused(M8_E_CANCELLED, "q4_0", &(m8_quantize_opts){ .cancel = cancel }, "cancelled");
    m8_cancel_unref(cancel);
    llama[9].bad = NAN;
    write_model(llama, LLAMA_CONFIG "}");
    refused(M8_E_FORMAT, "q4_0", NULL, "down_proj.weight: holds what is no number");
    llama[9].bad = 1e6f;
    write_model(llama, LLAMA_CONFIG "}");
    refused(M8_E_FORMAT, "f16", NULL, "too large for F16");
    llama[9].bad = 0;
    llama[11] = (struct shape){ "model.layers.0.self_attn.q_proj.bias", { 32 } };
    write_model(llama, LLAMA_CONFIG "}");
    refused(M8_E_UNSUPPORTED, "q4_0", NULL, "q_proj.bias");
    llama[11] = (struct shape){ 0 };
    write_model(llama, LLAMA_CONFIG ", \"rope_scaling\": {\"rope_type\": \"yarn\"}}");
    refused(M8_E_UNSUPPORTED, "q4_0", NULL, "rope_scaling");
    write_model(llama, LLAMA_CONFIG ", \"head_dim\": 24}");
    refused(M8_E_FORMAT, "q4_0", NULL, "whole heads of 24");
    write_model(llama, "{\"model_type\": \"llama\"}");
    refused(M8_E_FORMAT, "q4_0", NULL, "missing or out of range");
    write_model(llama, "{\"model_type\": \"bert\"}");
    refused(M8_E_UNSUPPORTED, "q4_0", NULL, "neither a Llama nor a Parler model");
    write_model(llama, LLAMA_CONFIG "}");
    m8_error err = { 0 };
    assert_int_equal(m8_quantize(path_in(in, "none"), out, "f32", NULL, &err), M8_E_NOTFOUND);
    err = (m8_error){ 0 };
    assert_int_equal(m8_quantize(in, path_in(out, "no/where.gguf"), "f32", NULL, &err), M8_E_IO);
    err = (m8_error){ 0 };
    assert_int_equal(m8_quantize(in, "/dev/null", "f32", NULL, &err), M8_E_IO);
}

static void test_full_disk(void **state)
{
    struct rlimit was, small;
    write_model(llama, LLAMA_CONFIG "}");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 20000;
    setrlimit(RLIMIT_FSIZE, &small);
    refused(M8_E_IO, "f32", NULL, "File too large");
    setrlimit(RLIMIT_FSIZE, &was);
}

static m8_status work(void *arg, m8_error *err)
{
    return m8_quantize(in, path_in(out, "m.gguf"), "q4_0", &(m8_quantize_opts){ .n_threads = 1 }, err);
}

static void test_torture(void **state)
{
    for (int i = 5; i < 10; i++) llama[i].dims[llama[i].dims[0] == 256 ? 0 : 1] = 32; /* small: it is written 7 bytes at a time */
    llama[6].dims[1] = 0;
    write_model(llama, "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"hidden_size\": 32, \"num_attention_heads\": 2, "
                       "\"num_key_value_heads\": 1, \"intermediate_size\": 32, \"max_position_embeddings\": 128}");
    copy_file("text/bpe-small-llama3-tokenizer.json", "tokenizer.json");
    write_text("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"default\", \"template\": \"x\"}]}");
    setenv("MAGIC8_TORTURE_MAX", "150", 1);
    torture(work, NULL);
    empty(in);
    write_model(parler, "{\"model_type\": \"parler_tts\", \"vocab_size\": 64}");
    torture(work, NULL);
    assert_true(files_in(out) <= 1); /* an unlink that fails leaves nothing else */
}

int main(void)
{
    assert_non_null(mkdtemp(dir));
    snprintf(in, sizeof in, "%s/in", dir);
    snprintf(out, sizeof out, "%s/out", dir);
    mkdir(in, 0755);
    mkdir(out, 0755);
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(test_golden, clean), cmocka_unit_test_setup(test_scaled, clean),
                                        cmocka_unit_test_setup(test_parts, clean), cmocka_unit_test_setup(test_every_type, clean),
                                        cmocka_unit_test_setup(test_choice_of_types, clean),
                                        cmocka_unit_test_setup(test_tokenizers, clean), cmocka_unit_test_setup(test_parler, clean),
                                        cmocka_unit_test_setup(test_compare, clean), cmocka_unit_test_setup(test_refused, clean), cmocka_unit_test_setup(test_full_disk, clean),
                                        cmocka_unit_test_setup(test_torture, clean) };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    clean(NULL);
    rmdir(in);
    rmdir(out);
    rmdir(dir);
    return failed;
}
