/* The Llama family and what is not as it should be: model files that lie, weights that are no numbers, choices that cannot end, sinks that
 * refuse, calls that crowd a small cache. A tiny model is written by hand as GGUF: width 32, two layers, a vocabulary of bytes. */
#include "../torture.h"
#include "models/llama.h"
#include "test.h"
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static char path[256], expected[256];

enum { U32 = 4, I32 = 5, F32 = 6, STRING = 8, ARRAY = 9, U64 = 10 };
enum { UNK, BOS, EOS, INST, END_INST, BYTES, BLANK = BYTES + 256, N_TOKENS };

struct lie {
    const char *key;      /* this number is other than it should be, */
    double value;         /* so; NAN: the key is missing */
    const char *tensor;   /* this tensor is */
    int64_t dims[3];      /* of this shape; all 0: missing */
    float fill;           /* every weight is this, if not 0 */
    int d, heads, kv, dh, d_ff, ctx, vocab; /* sizes that fit each other; 0: the usual */
    bool no_eos, no_tokenizer;
    const char *rope_scaling;
};

struct writer {
    m8_buf keys, infos, data;
    uint64_t n_keys, n_tensors;
    const struct lie *lie;
    uint32_t seed;
};

static void u32(m8_buf *b, uint32_t v) { m8_buf_add(b, &v, 4); }
static void u64(m8_buf *b, uint64_t v) { m8_buf_add(b, &v, 8); }

static void text(m8_buf *b, const char *s)
{
    u64(b, strlen(s));
    m8_buf_add(b, s, strlen(s));
}

static void key(struct writer *w, const char *name, uint32_t type)
{
    text(&w->keys, name);
    u32(&w->keys, type);
    w->n_keys++;
}

static void string(struct writer *w, const char *name, const char *value)
{
    key(w, name, STRING);
    text(&w->keys, value);
}

static void number(struct writer *w, const char *name, double v)
{
    if (w->lie->key && !strcmp(w->lie->key, name)) v = w->lie->value;
    if (isnan(v)) return;
    bool whole = v == floor(v) && v >= 0 && v < 1e19;
    key(w, name, whole ? U64 : F32);
    float f = (float)v;
    if (whole) u64(&w->keys, (uint64_t)v);
    else m8_buf_add(&w->keys, &f, 4);
}

static void array(struct writer *w, const char *name, uint32_t type, uint64_t n)
{
    key(w, name, ARRAY);
    u32(&w->keys, type);
    u64(&w->keys, n);
}

static void tensor(struct writer *w, const char *name, int64_t rows, int64_t cols)
{
    int64_t dims[3] = { rows, cols };
    if (w->lie->tensor && !strcmp(w->lie->tensor, name)) {
        if (!w->lie->dims[0]) return;
        memcpy(dims, w->lie->dims, sizeof dims);
    }
    uint32_t rank = 0;
    int64_t n = 1;
    while (rank < 3 && dims[rank]) n *= dims[rank++];
    text(&w->infos, name);
    u32(&w->infos, rank);
    for (uint32_t i = rank; i > 0; i--) u64(&w->infos, (uint64_t)dims[i - 1]);
    u32(&w->infos, 0);
    u64(&w->infos, w->data.len);
    for (int64_t i = 0; i < n; i++) {
        w->seed = w->seed * 1664525 + 1013904223;
        float v = w->lie->fill != 0 ? w->lie->fill : ((float)(w->seed >> 8) / (1 << 23) - 1) * 0.5f;
        m8_buf_add(&w->data, &v, 4);
    }
    while (w->data.len % 32) m8_buf_chr(&w->data, 0);
    w->n_tensors++;
}

static void tokenizer(struct writer *w)
{
    const int n = N_TOKENS;
    static const char *const first[] = { "<unk>", "<s>", "</s>", "[INST]", "[/INST]" };
    static const int types[] = { 2, 3, 3, 3, 3 };
    string(w, "tokenizer.ggml.model", "llama");
    string(w, "tokenizer.chat_template", "[INST]");
    array(w, "tokenizer.ggml.tokens", STRING, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        char byte[16];
        snprintf(byte, sizeof byte, i < BLANK ? "<0x%02X>" : "\xE2\x96\x81", i - BYTES);
        text(&w->keys, i < BYTES ? i == EOS && w->lie->no_eos ? "</none>" : first[i] : byte);
    }
    array(w, "tokenizer.ggml.token_type", I32, (uint64_t)n);
    for (int i = 0; i < n; i++) u32(&w->keys, (uint32_t)(i < BYTES ? types[i] : i < BLANK ? 6 : 1));
    array(w, "tokenizer.ggml.scores", F32, (uint64_t)n);
    for (int i = 0; i < n; i++) u32(&w->keys, 0);
    number(w, "tokenizer.ggml.bos_token_id", BOS);
    if (!w->lie->no_eos) number(w, "tokenizer.ggml.eos_token_id", EOS);
}

static int or(int value, int usual) { return value ? value : usual; }

static void save(const char *to, const m8_buf *file)
{
    m8_error err = {0};
    assert_int_equal(file->status, M8_OK);
    if (m8_write_file(to, file->data, file->len, &err)) fail_msg("%s", err.text);
}

static void write_model(const struct lie *l)
{
    struct writer w = { .lie = l, .seed = 7 };
    int d = or(l->d, 32), heads = or(l->heads, 2), kv = or(l->kv, 1), dh = or(l->dh, 16), d_ff = or(l->d_ff, 64), vocab = or(l->vocab, N_TOKENS);
    string(&w, "general.architecture", "llama");
    number(&w, "llama.block_count", 2);
    number(&w, "llama.embedding_length", d);
    number(&w, "llama.attention.head_count", heads);
    number(&w, "llama.attention.head_count_kv", kv);
    number(&w, "llama.attention.key_length", dh);
    number(&w, "llama.feed_forward_length", d_ff);
    number(&w, "llama.context_length", or(l->ctx, 64));
    number(&w, "llama.attention.layer_norm_rms_epsilon", 1.25e-5);
    number(&w, "llama.rope.freq_base", 10000);
    number(&w, "llama.rope.dimension_count", NAN);
    if (l->rope_scaling) string(&w, "llama.rope.scaling.type", l->rope_scaling);
    if (!l->no_tokenizer) tokenizer(&w);
    tensor(&w, "token_embd.weight", vocab, d);
    for (int i = 0; i < 2; i++) {
        const struct {
            const char *name;
            int rows, cols;
        } of[] = { { "attn_norm", d }, { "ffn_norm", d }, { "attn_q", heads * dh, d }, { "attn_k", kv * dh, d }, { "attn_v", kv * dh, d },
                   { "attn_output", d, heads * dh }, { "ffn_gate", d_ff, d }, { "ffn_up", d_ff, d }, { "ffn_down", d, d_ff } };
        for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, of[k].name);
            tensor(&w, name, of[k].rows, of[k].cols);
        }
    }
    tensor(&w, "output_norm.weight", d, 0);
    if (l->tensor && !strcmp(l->tensor, "rope_freqs.weight")) tensor(&w, "rope_freqs.weight", dh / 2, 0);
    m8_buf file = {0};
    m8_buf_add(&file, "GGUF\3\0\0\0", 8);
    u64(&file, w.n_tensors);
    u64(&file, w.n_keys);
    m8_buf_add(&file, w.keys.data, w.keys.len);
    m8_buf_add(&file, w.infos.data, w.infos.len);
    while (file.len % 32) m8_buf_chr(&file, 0);
    m8_buf_add(&file, w.data.data, w.data.len);
    save(path, &file);
    m8_buf_finish(&w.keys);
    m8_buf_finish(&w.infos);
    m8_buf_finish(&w.data);
    m8_buf_finish(&file);
}

static m8_model *open_tiny(const struct lie *l, m8_precision precision)
{
    m8_model *m = NULL;
    m8_error err = {0};
    write_model(l);
    if (m8_open(&m, path, &(m8_open_opts){ .n_threads = 2, .precision = precision }, &err)) fail_msg("%s", err.text);
    return m;
}

/* ---- files that lie are refused in one line */

static void test_files(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        { .key = "llama.block_count", .value = 0 }, { .key = "llama.block_count", .value = 3 }, { .key = "llama.block_count", .value = 1e9 },
        { .key = "llama.block_count", .value = NAN }, { .key = "llama.embedding_length", .value = 31 },
        { .key = "llama.embedding_length", .value = 4294967328.0 }, { .key = "llama.embedding_length", .value = 9e18 },
        { .key = "llama.attention.head_count", .value = 0 }, { .key = "llama.attention.head_count", .value = 3 },
        { .key = "llama.attention.head_count", .value = 1024 }, { .key = "llama.attention.head_count_kv", .value = 0 },
        { .key = "llama.attention.head_count_kv", .value = 2 }, { .key = "llama.attention.head_count_kv", .value = 1e18 },
        { .key = "llama.attention.key_length", .value = 15 }, { .key = "llama.attention.key_length", .value = 1024 },
        { .key = "llama.attention.key_length", .value = 0 }, { .key = "llama.feed_forward_length", .value = 65 },
        { .key = "llama.feed_forward_length", .value = 1 << 30 }, { .key = "llama.context_length", .value = 0 },
        { .key = "llama.context_length", .value = NAN }, { .key = "llama.attention.layer_norm_rms_epsilon", .value = -1.5 },
        { .key = "llama.attention.layer_norm_rms_epsilon", .value = INFINITY }, { .key = "llama.rope.freq_base", .value = 0 },
        { .key = "llama.rope.freq_base", .value = INFINITY }, { .key = "llama.rope.dimension_count", .value = 8 },
        { .rope_scaling = "yarn" }, { .rope_scaling = "linear" }, { .vocab = N_TOKENS - 1 },
        { .key = "tokenizer.ggml.bos_token_id", .value = 5000 },
        { .tensor = "token_embd.weight" }, { .tensor = "token_embd.weight", .dims = { N_TOKENS } },
        { .tensor = "token_embd.weight", .dims = { N_TOKENS, 16, 2 } }, { .tensor = "blk.0.attn_q.weight" },
        { .tensor = "blk.0.attn_q.weight", .dims = { 32, 31 } }, { .tensor = "blk.1.attn_k.weight", .dims = { 32, 32 } },
        { .tensor = "blk.1.attn_v.weight", .dims = { 1, 16, 32 } }, { .tensor = "blk.0.attn_output.weight", .dims = { 1024 } },
        { .tensor = "blk.0.ffn_gate.weight", .dims = { 1, 1 } }, { .tensor = "blk.0.ffn_down.weight", .dims = { 64, 32 } },
        { .tensor = "blk.0.attn_norm.weight", .dims = { 33 } }, { .tensor = "output_norm.weight", .dims = { 1 } },
        { .tensor = "output_norm.weight" }, { .tensor = "rope_freqs.weight", .dims = { 7 } },
        { .d = 1, .tensor = "blk.0.attn_q.weight", .dims = { 32 } },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        m8_model *m = NULL;
        m8_error err = {0};
        write_model(&lies[i]);
        m8_status st = m8_open(&m, path, &(m8_open_opts){ .n_threads = 1 }, &err);
        print_message("%s: %s\n", lies[i].tensor ? lies[i].tensor : lies[i].key ? lies[i].key : "", err.text);
        assert_null(m);
        assert_true(st == M8_E_FORMAT || st == M8_E_UNSUPPORTED);
        assert_true(err.text[0] && !strchr(err.text, '\n'));
    }
}

/* ---- odd shapes and broken weights: a call ends, what it gives is within bounds */

struct said {
    m8_buf text;
    int pushes, fail_at;
    m8_status with;
};

static m8_status take(void *user, const char *s, size_t n)
{
    struct said *said = user;
    assert_true(n > 0);
    m8_buf_add(&said->text, s, n);
    return ++said->pushes == said->fail_at ? said->with : M8_OK;
}

static void test_no_tokenizer(void **state) /* is still a model: it can be verified */
{
    m8_model *m = NULL;
    m8_error err = {0};
    struct said said = {0};
    write_model(&(struct lie){ .no_tokenizer = true });
    assert_int_equal(m8_open(&m, path, &(m8_open_opts){ .n_threads = 1 }, &err), M8_OK);
    assert_int_equal(m8_complete(m, "x", NULL, (m8_text_sink){ take, &said }, NULL, &err), M8_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no tokenizer"));
    m8_close(m);
}

static m8_status chat(m8_model *m, const char *question, const m8_chat_opts *o, struct said *said, m8_usage *usage, m8_error *err)
{
    m8_message ask = { "user", question };
    *err = (m8_error){0};
    m8_buf_finish(&said->text);
    said->text = (m8_buf){0};
    said->pushes = 0;
    m8_status st = m8_chat(m, &ask, 1, o, (m8_text_sink){ take, said }, usage, err);
    assert_true(!st || (err->status == st && err->text[0]));
    return st;
}

static bool is_one_of(const struct said *s, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->text.len == strlen(texts[i]) && !memcmp(s->text.data ? s->text.data : "", texts[i], s->text.len)) return true;
    }
    return false;
}

static const char *const three[] = { "yes", "yes, but", "no" };

static void test_shapes(void **state)
{
    (void)state;
    static const struct lie models[] = {
        { .d = 32 }, { .d = 34, .dh = 6, .heads = 6, .kv = 3, .d_ff = 31 }, { .d = 2, .dh = 2, .heads = 1, .d_ff = 1 },
        { .dh = 18, .heads = 3, .kv = 1, .vocab = N_TOKENS + 21 }, { .dh = 34, .heads = 40, .kv = 2, .d = 3, .d_ff = 5 },
        { .fill = NAN }, { .fill = INFINITY }, { .fill = 3e38f }, { .fill = 1e-40f }, { .key = "llama.context_length", .value = 9e18 },
        { .key = "llama.rope.freq_base", .value = 1e30 }, { .tensor = "rope_freqs.weight", .dims = { 8 }, .fill = 1e-45f },
    };
    for (size_t i = 0; i < 2 * sizeof models / sizeof *models; i++) {
        m8_model *m = open_tiny(&models[i / 2], i % 2 ? M8_F32 : M8_FAST);
        struct said said = {0};
        m8_usage u;
        m8_error err;
        for (int t = 0; t < 3; t++) {
            m8_chat_opts o = { .max_tokens = 20, .temperature = (float)t, .top_p = t ? 0.9f : 0, .top_k = t ? 40 : 0, .min_p = t ? 0.01f : 0,
                               .repetition_penalty = 1.1f, .presence_penalty = 1 };
            assert_int_equal(chat(m, "ab", &o, &said, &u, &err), M8_OK);
            assert_in_range(u.n_generated, 0, 20);
            o.choices = three, o.n_choices = 3;
            assert_int_equal(chat(m, "ab", &o, &said, &u, &err), M8_OK);
            assert_true(is_one_of(&said, three, 3));
            float scores[3];
            assert_int_equal(m8_score(m, &(m8_message){ "user", "ab" }, 1, three, 3, NULL, scores, NULL, &err), M8_OK);
            for (int k = 0; k < 3; k++) assert_true(isfinite(scores[k]) && scores[k] <= 0);
        }
        m8_buf_finish(&said.text);
        m8_close(m);
    }
}

/* ---- choices, limits, arguments */

static void test_choices(void **state)
{
    (void)state;
    m8_model *m = open_tiny(&(struct lie){0}, M8_FAST);
    struct said said = {0};
    m8_usage u;
    m8_error err;
    static const char *const none[] = { "", "" }, *const null[] = { "a", NULL };
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int t = 0; t < 3; t++) { /* also so cold that logits overflow when they are divided */
            m8_chat_opts o = { .temperature = (float[]){ 0, 1, 1e-40f }[t], .seed = seed, .choices = three, .n_choices = 3 };
            assert_int_equal(chat(m, "ab", &o, &said, &u, &err), M8_OK);
            assert_true(is_one_of(&said, three, 3));
            assert_string_equal(u.finish, "stop");
        }
    }
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .choices = none, .n_choices = 2 }, &said, &u, &err), M8_OK);
    assert_int_equal(said.text.len, 0);
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .choices = null, .n_choices = 2 }, &said, &u, &err), M8_E_ARG);
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .n_choices = 2 }, &said, &u, &err), M8_E_ARG);
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .n_stop = 2 }, &said, &u, &err), M8_E_ARG);
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .stop = (const char *const[]){ NULL, "" }, .n_stop = 2, .max_tokens = 4 }, &said, &u, &err), M8_OK);
    float scores[2];
    err = (m8_error){0};
    assert_int_equal(m8_score(m, &(m8_message){ "user", "ab" }, 1, null, 2, NULL, scores, NULL, &err), M8_E_ARG);
    int *ids;
    size_t n;
    err = (m8_error){0};
    assert_int_equal(m8_tokenize(m, NULL, &ids, &n, &err), M8_E_ARG);
    m8_buf_finish(&said.text);
    m8_close(m);
}

/* A vocabulary without an end: nothing may be written before the logits, nothing read before them. */
static void test_no_end(void **state)
{
    (void)state;
    m8_model *m = open_tiny(&(struct lie){ .no_eos = true }, M8_FAST);
    struct said said = {0};
    m8_usage u;
    m8_error err;
    float scores[3];
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .max_tokens = 5 }, &said, &u, &err), M8_OK);
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .choices = three, .n_choices = 3 }, &said, &u, &err), M8_E_UNSUPPORTED);
    assert_int_equal(m8_score(m, &(m8_message){ "user", "ab" }, 1, three, 3, NULL, scores, NULL, &err), M8_E_UNSUPPORTED);
    m8_buf_finish(&said.text);
    m8_close(m);
}

static void test_limits(void **state)
{
    (void)state;
    m8_model *m = open_tiny(&(struct lie){ .ctx = 48 }, M8_FAST); /* [BOS] [INST] and [/INST] around it, a blank before it */
    m8_error err;
    m8_usage u;
    struct said said = {0};
    char long_text[64];
    for (int len = 30; len < 60; len++) {
        memset(long_text, 'x', sizeof long_text);
        long_text[len] = 0;
        m8_status st = chat(m, long_text, &(m8_chat_opts){ .max_tokens = 1 << 30, .choices = (const char *const[]){ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }, .n_choices = 1 },
                            &said, &u, &err);
        assert_true(st == M8_OK || st == M8_E_LIMIT);
        if (!st) assert_true(u.n_prompt < 48 && u.n_prompt + u.n_generated <= 48 && !strcmp(u.finish, u.n_generated < 30 ? "length" : "stop"));
        float score;
        err = (m8_error){0};
        const char *one = "b";
        st = m8_score(m, &(m8_message){ "user", long_text }, 1, &one, 1, NULL, &score, NULL, &err);
        assert_true(st == M8_OK || st == M8_E_LIMIT);
    }
    m8_buf_finish(&said.text);
    m8_close(m);
}

/* A model so wide that its keys and values are bf16: what is said and scored does not depend on what was kept before. */
static void test_wide(void **state)
{
    (void)state;
    static const struct lie wide = { .d = 2048 };
    m8_model *used = open_tiny(&wide, M8_FAST);
    struct said said = {0};
    m8_usage u;
    m8_error err;
    int kept = 0;
    for (int len = 1; len < 12; len++) {
        char question[16] = "abcabdabeabf", *with_kept;
        float scores[2][3];
        question[len] = 0;
        m8_chat_opts o = { .temperature = 1, .seed = (uint64_t)len, .max_tokens = 6 };
        assert_int_equal(chat(used, question, &o, &said, &u, &err), M8_OK);
        with_kept = m8_strdup(said.text.data ? said.text.data : "");
        kept += u.n_kept;
        assert_int_equal(u.n_kept % 2, 0);
        assert_int_equal(m8_score(used, &(m8_message){ "user", question }, 1, three, 3, NULL, scores[0], NULL, &err), M8_OK);
        m8_model *fresh = open_tiny(&wide, M8_FAST);
        assert_int_equal(m8_score(fresh, &(m8_message){ "user", question }, 1, three, 3, NULL, scores[1], NULL, &err), M8_OK);
        m8_close(fresh);
        fresh = open_tiny(&wide, M8_FAST);
        assert_int_equal(chat(fresh, question, &o, &said, &u, &err), M8_OK);
        assert_string_equal(said.text.data ? said.text.data : "", with_kept);
        assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
        m8_close(fresh);
        m8_free(with_kept);
    }
    assert_true(kept > 12);
    m8_buf_finish(&said.text);
    m8_close(used);
}

/* ---- stop strings, held back while they may yet come */

static void test_stop(void **state)
{
    (void)state;
    m8_model *m = open_tiny(&(struct lie){0}, M8_FAST);
    struct said said = {0};
    m8_error err;
    m8_usage u;
    const char *story[] = { "one two three" };
    static const struct {
        const char *stop[2], *want;
    } cases[] = {
        { { "two", "" }, "one " },        { { "e t", "wo" }, "on" },         { { "one two three four", NULL }, "one two three" },
        { { "threx", "ee" }, "one two thr" }, { { "ee", "threx" }, "one two thr" }, { { "o", "ne" }, "" }, { { "ree!", "ree" }, "one two th" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .choices = story, .n_choices = 1, .stop = cases[i].stop, .n_stop = 2 }, &said, &u, &err), M8_OK);
        assert_true(is_one_of(&said, &cases[i].want, 1));
        assert_string_equal(u.finish, "stop");
    }
    said.fail_at = 2, said.with = M8_E_BUSY;
    assert_int_equal(chat(m, "ab", &(m8_chat_opts){ .choices = story, .n_choices = 1 }, &said, &u, &err), M8_E_BUSY);
    assert_int_equal(said.pushes, 2);
    m8_buf_finish(&said.text);
    m8_close(m);
}

/* ---- many callers on a cache that holds few of them: each gets what it gets alone, none is refused */

struct caller {
    m8_model *m;
    int i, turns;
    const char *failed;
    float score[8][3];
    pthread_t thread;
};

static const char *question_of(int i)
{
    static const char *const q[] = { "a", "bc", "a longer question", "abcdefghij", "?", "again", "and again", "x" };
    return q[i % 8];
}

static void *score_and_chat(void *arg)
{
    struct caller *c = arg;
    m8_error err = {0};
    for (int turn = 0; turn < c->turns && !c->failed; turn++) {
        m8_message ask = { "user", question_of(c->i + turn) };
        if (m8_score(c->m, &ask, 1, three, 3, NULL, c->score[turn], NULL, &err)) c->failed = strdup(err.text);
        struct said said = { .fail_at = c->i % 3 == 2 ? 2 : 0, .with = M8_E_CANCELLED };
        m8_status st = c->failed ? M8_OK : m8_chat(c->m, &ask, 1, &(m8_chat_opts){ .max_tokens = 6 + c->i, .temperature = 1, .seed = 3 },
                                                    (m8_text_sink){ take, &said }, NULL, &err);
        if (st && st != M8_E_CANCELLED) c->failed = strdup(err.text);
        err = (m8_error){0};
        m8_buf_finish(&said.text);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    (void)state;
    m8_model *m = open_tiny(&(struct lie){ .ctx = 96 }, M8_FAST);
    struct caller alone[8] = {0}, crowd[8] = {0};
    for (int i = 0; i < 8; i++) {
        alone[i] = (struct caller){ .m = m, .i = i, .turns = 4 };
        score_and_chat(&alone[i]);
        if (alone[i].failed) fail_msg("alone: %s", alone[i].failed);
    }
    for (int i = 0; i < 8; i++) {
        crowd[i] = (struct caller){ .m = m, .i = i, .turns = 4 };
        pthread_create(&crowd[i].thread, NULL, score_and_chat, &crowd[i]);
    }
    const char *failed = NULL;
    for (int i = 0; i < 8; i++) {
        pthread_join(crowd[i].thread, NULL);
        if (crowd[i].failed) failed = crowd[i].failed;
        else assert_memory_equal(crowd[i].score, alone[i].score, sizeof alone[i].score);
    }
    if (failed) fail_msg("in company: %s", failed);
    m8_close(m);
}

/* ---- expected tensors that lie */

static void ignore_report(void *user, const char *tensor, double diff, double tolerance)
{
    (void)user, (void)tensor, (void)diff, (void)tolerance;
}

static void test_verify(void **state)
{
    (void)state;
    static const char *const files[] = {
        "{\"ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},\"greedy\":{\"dtype\":\"I32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
        "{\"prompt\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},\"greedy\":{\"dtype\":\"I32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
        "{\"prompt\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[0,8]},\"hidden.0\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}",
        "{\"prompt\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},\"logits\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,20]}}",
        "{\"prompt\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},\"argmax\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
    };
    m8_model *m = open_tiny(&(struct lie){0}, M8_F32);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        static const float bad[] = { NAN, 1e30f };
        m8_buf b = {0};
        m8_error err = {0};
        u64(&b, strlen(files[i]));
        m8_buf_str(&b, files[i]);
        u32(&b, 7), u32(&b, 8);
        for (int k = 0; k < 2; k++) m8_buf_add(&b, bad, sizeof bad);
        save(expected, &b);
        m8_buf_finish(&b);
        m8_status st = m8_verify(m, expected, ignore_report, NULL, &err);
        print_message("%s\n", err.text);
        assert_true(st == M8_OK || err.text[0]);
    }
    m8_close(m);
}

/* ---- every allocation fails in turn */

static m8_status open_and_ask(void *arg, m8_error *err)
{
    m8_model *m = NULL;
    float scores[3];
    struct said said = {0};
    m8_message ask = { "user", "ab" };
    (void)arg;
    m8_status st = m8_open(&m, path, &(m8_open_opts){ .n_threads = 1 }, err);
    if (st) return st;
    st = m8_score(m, &ask, 1, three, 3, NULL, scores, NULL, err);
    m8_chat_opts o = { .max_tokens = 5, .temperature = 1, .choices = three, .n_choices = 3, .stop = three, .n_stop = 1 };
    if (!st) st = m8_chat(m, &ask, 1, &o, (m8_text_sink){ take, &said }, NULL, err);
    m8_buf_finish(&said.text);
    m8_close(m);
    return st;
}

static void test_torture(void **state)
{
    (void)state;
    write_model(&(struct lie){0});
    print_message("%d sites\n", torture(open_and_ask, NULL));
}

int main(int argc, char **argv)
{
    char dir[200];
    if (argc == 3 && !strcmp(argv[1], "write")) { /* a model for other tests */
        snprintf(path, sizeof path, "%s", argv[2]);
        write_model(&(struct lie){ .ctx = 2048 });
        return 0;
    }
    snprintf(dir, sizeof dir, "%s/llama-hostile-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    snprintf(expected, sizeof expected, "%s/expected.safetensors", dir);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files), cmocka_unit_test(test_no_tokenizer), cmocka_unit_test(test_shapes), cmocka_unit_test(test_choices), cmocka_unit_test(test_no_end),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_wide), cmocka_unit_test(test_stop), cmocka_unit_test(test_crowd), cmocka_unit_test(test_verify),
        cmocka_unit_test(test_torture),
    };
    if (getenv("ONLY")) cmocka_set_test_filter(getenv("ONLY"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(expected);
    rmdir(dir);
    return failed;
}
