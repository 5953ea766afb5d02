/* Vocabularies as GGUF keys: Mistral's .model and a small byte-level one are written into GGUF files and give the same ids from there;
 * then one thing at a time is wrong. */
#include "text_test.h"
#include "text/merge.h"
#include <unistd.h>

enum { U32 = 4, I32 = 5, F32 = 6, STRING = 8, ARRAY = 9 };

static void u32(m8_buf *b, uint32_t v) { m8_buf_add(b, &v, 4); }
static void u64(m8_buf *b, uint64_t v) { m8_buf_add(b, &v, 8); }

static void text(m8_buf *b, const char *s, size_t n)
{
    u64(b, n);
    m8_buf_add(b, s, n);
}

static void key(m8_buf *b, const char *name, uint32_t type, int *n_keys)
{
    text(b, name, strlen(name));
    u32(b, type);
    ++*n_keys;
}

static void array(m8_buf *b, const char *name, uint32_t type, size_t n, int *n_keys)
{
    key(b, name, ARRAY, n_keys);
    u32(b, type);
    u64(b, n);
}

struct wrong {
    int fewer_scores, fewer_types, type_of_first;
    int64_t eos; /* 0: as it is */
    const char *merge, *pre, *model;
    bool no_scores;
    const char *says;
};

static void keys_of(m8_buf *b, const m8__tokenizer *t, const struct wrong *w, int *n_keys)
{
    const struct m8__vocab *v = &t->v;
    const char *model = w->model ? w->model : t->spm ? "llama" : "gpt2", *pre = w->pre ? w->pre : "llama-bpe";
    key(b, "general.architecture", STRING, n_keys), text(b, "llama", 5);
    key(b, "tokenizer.ggml.model", STRING, n_keys), text(b, model, strlen(model));
    array(b, "tokenizer.ggml.tokens", STRING, (size_t)v->n, n_keys);
    for (int i = 0; i < v->n; i++) text(b, v->text[i].data, v->text[i].len);
    array(b, "tokenizer.ggml.token_type", I32, (size_t)(v->n - w->fewer_types), n_keys);
    for (int i = 0; i < v->n - w->fewer_types; i++) u32(b, i || !w->type_of_first ? v->type[i] : (uint32_t)w->type_of_first);
    key(b, "tokenizer.ggml.eos_token_id", U32, n_keys), u32(b, (uint32_t)(w->eos ? w->eos : t->eos));
    key(b, "tokenizer.ggml.bos_token_id", U32, n_keys), u32(b, (uint32_t)t->bos);
    if (t->spm && !w->no_scores) {
        array(b, "tokenizer.ggml.scores", F32, (size_t)(v->n - w->fewer_scores), n_keys);
        m8_buf_add(b, v->score, sizeof(float) * (size_t)(v->n - w->fewer_scores));
    }
    if (t->spm) return;
    const struct m8__merges *m = m8__bpe_merges((m8__tokenizer *)t);
    key(b, "tokenizer.ggml.pre", STRING, n_keys), text(b, pre, strlen(pre));
    array(b, "tokenizer.ggml.merges", STRING, m->n + (w->merge != NULL), n_keys);
    for (uint32_t i = 0; i < m->n; i++) {
        m8__view left = v->text[m->merge[i].left], right = v->text[m->merge[i].right];
        u64(b, left.len + right.len + 1);
        m8_buf_add(b, left.data, left.len), m8_buf_chr(b, ' '), m8_buf_add(b, right.data, right.len);
    }
    if (w->merge) text(b, w->merge, strlen(w->merge));
}

/* A GGUF file of these keys and one tensor; opened and unlinked. */
static m8_status reopen(m8__tokenizer **out, m8__weights **w, const m8__tokenizer *t, const struct wrong *wrong, m8_error *err)
{
    char path[] = "/tmp/magic8-test-XXXXXX";
    int n_keys = 0, fd = mkstemp(path);
    assert_true(fd >= 0);
    m8_buf keys = { 0 }, file = { 0 };
    keys_of(&keys, t, wrong, &n_keys);
    m8_buf_add(&file, "GGUF\3\0\0\0", 8);
    u64(&file, 1);
    u64(&file, (uint64_t)n_keys);
    m8_buf_add(&file, keys.data, keys.len);
    text(&file, "x", 1), u32(&file, 1), u64(&file, 8), u32(&file, 0), u64(&file, 0);
    while (file.len % 32) m8_buf_chr(&file, 0);
    for (int i = 0; i < 32; i++) m8_buf_chr(&file, 0);
    assert_int_equal(write(fd, file.data, file.len), file.len);
    close(fd);
    m8_status st = m8__weights_open(w, path, err);
    if (st) fail_msg("%s", err->text);
    st = m8__tokenizer_open(out, *w, err);
    unlink(path);
    m8_buf_finish(&keys);
    m8_buf_finish(&file);
    return st;
}

static m8__tokenizer *open_data(const char *file)
{
    m8__tokenizer *t;
    m8_error err = { 0 };
    if (m8__tokenizer_open_file(&t, data_path(file), &err)) fail_msg("%s", err.text);
    return t;
}

static void same_from_gguf(const char *file, const char *golden)
{
    m8__tokenizer *t = open_data(file), *again;
    m8__weights *w;
    m8_error err = { 0 };
    if (reopen(&again, &w, t, &(struct wrong){ 0 }, &err)) fail_msg("%s", err.text);
    check_strings(again, golden, "ids", "ids");
    assert_int_equal(m8__token_eos(again), m8__token_eos(t));
    m8__tokenizer_close(again);
    m8__weights_close(w);
    m8__tokenizer_close(t);
}

static void llama(void **state) { same_from_gguf("mistral.model", "mistral.json"); }
static void gpt2(void **state) { same_from_gguf("bpe-small-llama3-tokenizer.json", "bpe-small-llama3.json"); }

static void wrong_keys(void **state)
{
    static const struct wrong spm[] = {
        { .fewer_scores = 1, .says = "scores for" }, { .fewer_types = 1, .says = "token types for" },
        { .type_of_first = 77, .says = "unknown type 77" }, { .type_of_first = PIECE_BYTE, .says = "type byte" },
        { .eos = 32768, .says = "outside the 32768 tokens" }, { .eos = 0x7FFFFFFF, .says = "outside" },
        { .no_scores = true, .says = "no tokenizer.ggml.scores" }, { .model = "bert", .says = "tokenizer.ggml.model \"bert\"" },
        { .model = "gpt2", .says = "no token" },
    }, bpe[] = {
        { .merge = "a", .says = "expected two parts" }, { .merge = "q unknown", .says = "a part of it is no token" },
        { .merge = "q Q", .says = "its result is no token" }, { .pre = "mystery", .says = "unknown pre-tokenizer \"mystery\"" },
        { .fewer_types = 1, .says = "token types for" }, { .model = "llama", .says = "no tokenizer.ggml.scores" },
    };
    for (size_t i = 0; i < 15; i++) {
        const struct wrong *wrong = i < 9 ? &spm[i] : &bpe[i - 9];
        m8__tokenizer *t = open_data(i < 9 ? "mistral.model" : "bpe-small-llama3-tokenizer.json"), *again;
        m8__weights *w;
        m8_error err = { 0 };
        if (!reopen(&again, &w, t, wrong, &err) || !strstr(err.text, wrong->says)) fail_msg("case %zu: \"%s\"", i, err.text);
        assert_non_null(strstr(err.text, "magic8-test-")); /* names the file */
        m8__weights_close(w);
        m8__tokenizer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(llama), cmocka_unit_test(gpt2), cmocka_unit_test(wrong_keys) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
