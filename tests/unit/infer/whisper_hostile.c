/* Whisper and what is not as it should be: model files that lie, weights that are no numbers, sound that is none, callers who leave. */
#include "../torture.h"
#include "whisper_help.h"

/* ---- a model of width 32 with one layer each, as CTranslate2 writes it */

static char dir[256];
static uint32_t seed;

struct lie { /* one tensor is other than it should be */
    const char *name;
    int dims[3];  /* instead of its own; all 0: it is missing */
    int heads;    /* > 0 or -1: this many, or 0 */
    bool nan;     /* the weights are no numbers */
    int width, vocab;
    const char *config;
};

static void put(m8_buf *b, const void *p, size_t n) { m8_buf_add(b, p, n); }
static void put32(m8_buf *b, uint32_t v) { put(b, &v, 4); }

static void put_name(m8_buf *b, const char *name)
{
    uint16_t n = (uint16_t)(strlen(name) + 1);
    put(b, &n, 2);
    put(b, name, n);
}

static int n_tensors;

static void tensor(m8_buf *b, const struct lie *l, const char *name, int d0, int d1, int d2)
{
    int dims[3] = { d0, d1, d2 };
    if (l->name && !strcmp(l->name, name)) {
        if (!l->dims[0]) return;
        memcpy(dims, l->dims, sizeof dims);
    }
    size_t n = 1;
    uint8_t rank = 0, type = 0;
    while (rank < 3 && dims[rank]) n *= (size_t)dims[rank++];
    put_name(b, name);
    put(b, &rank, 1);
    for (int i = 0; i < rank; i++) put32(b, (uint32_t)dims[i]);
    put(b, &type, 1);
    put32(b, (uint32_t)(4 * n));
    float *to = m8_buf_room(b, 4 * n), v;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        v = l->nan ? NAN : ((float)(seed >> 8) / (1 << 23) - 1) * 0.3f;
        memcpy((char *)to + 4 * i, &v, 4);
    }
    n_tensors++;
}

static void scalar(m8_buf *b, const char *name, int v)
{
    uint8_t zero = 0, type = 1, value = (uint8_t)v;
    put_name(b, name);
    put(b, &zero, 1);
    put(b, &type, 1);
    put32(b, 1);
    put(b, &value, 1);
    n_tensors++;
}

static void layer(m8_buf *b, const struct lie *l, const char *side, int d, bool cross)
{
    static const char *const parts[] = { "self_attention/linear_0", "self_attention/linear_1", "ffn/linear_0", "ffn/linear_1",
                                         "attention/linear_0", "attention/linear_1", "attention/linear_2" };
    static const char *const norms[] = { "self_attention/layer_norm", "ffn/layer_norm", "attention/layer_norm" };
    const int out[] = { 3, 1, 4, 1, 1, 2, 1 }, in[] = { 1, 1, 1, 4, 1, 1, 1 };
    char name[128];
    for (int i = 0; i < (cross ? 7 : 4); i++) {
        snprintf(name, sizeof name, "%s/layer_0/%s/weight", side, parts[i]);
        tensor(b, l, name, out[i] * d, in[i] * d, 0);
        snprintf(name, sizeof name, "%s/layer_0/%s/bias", side, parts[i]);
        tensor(b, l, name, out[i] * d, 0, 0);
    }
    for (int i = 0; i < (cross ? 3 : 2); i++) {
        snprintf(name, sizeof name, "%s/layer_0/%s/gamma", side, norms[i]);
        tensor(b, l, name, d, 0, 0);
        snprintf(name, sizeof name, "%s/layer_0/%s/beta", side, norms[i]);
        tensor(b, l, name, d, 0, 0);
    }
}

/* Writes dir/model.bin and dir/config.json. */
static void write_model(const struct lie *l)
{
    int d = l->width ? l->width : 32, heads = l->heads < 0 ? 0 : l->heads ? l->heads : 2;
    m8_buf b = { 0 }, file = { 0 };
    n_tensors = 0;
    seed = 7;
    tensor(&b, l, "encoder/conv1/weight", d, 80, 3);
    tensor(&b, l, "encoder/conv1/bias", d, 0, 0);
    tensor(&b, l, "encoder/conv2/weight", d, d, 3);
    tensor(&b, l, "encoder/conv2/bias", d, 0, 0);
    tensor(&b, l, "encoder/position_encodings/encodings", 1500, d, 0);
    tensor(&b, l, "decoder/position_encodings/encodings", 448, d, 0);
    tensor(&b, l, "decoder/embeddings/weight", l->vocab ? l->vocab : 51864, d, 0);
    for (int i = 0; i < 2; i++) {
        const char *side = i ? "decoder" : "encoder";
        char name[64];
        snprintf(name, sizeof name, "%s/layer_norm/gamma", side);
        tensor(&b, l, name, d, 0, 0);
        snprintf(name, sizeof name, "%s/layer_norm/beta", side);
        tensor(&b, l, name, d, 0, 0);
        snprintf(name, sizeof name, "%s/num_heads", side);
        scalar(&b, name, heads);
        layer(&b, l, side, d, i);
    }
    put32(&file, 6);
    put_name(&file, "WhisperSpec");
    put32(&file, 3);
    put32(&file, (uint32_t)n_tensors);
    put(&file, b.data, b.len);
    put32(&file, 0);
    char path[300];
    m8_error err = { 0 };
    snprintf(path, sizeof path, "%s/model.bin", dir);
    if (m8_write_file(path, file.data, file.len, &err)) fail_msg("%s", err.text);
    snprintf(path, sizeof path, "%s/config.json", dir);
    const char *config = l->config ? l->config : "{}";
    if (m8_write_file(path, config, strlen(config), &err)) fail_msg("%s", err.text);
    m8_buf_finish(&b);
    m8_buf_finish(&file);
}

static void test_files(void **state)
{
    static const struct lie lies[] = {
        { .heads = -1 },
        { .heads = 7 },
        { .heads = 200 },
        { .vocab = 50000 },
        { .vocab = 51867 },
        { .width = 20 },
        { .name = "encoder/conv1/weight", .dims = { 32, 80, 5 } },
        { .name = "encoder/conv1/weight", .dims = { 1, 1, 1 } },
        { .name = "encoder/conv1/weight", .dims = { 2560 } },
        { .name = "encoder/conv1/bias", .dims = { 31 } },
        { .name = "encoder/conv2/weight", .dims = { 32, 31, 3 } },
        { .name = "encoder/position_encodings/encodings", .dims = { 1499, 32 } },
        { .name = "decoder/position_encodings/encodings", .dims = { 1, 32 } },
        { .name = "decoder/position_encodings/encodings", .dims = { 448, 33 } },
        { .name = "decoder/embeddings/weight", .dims = { 51864, 31 } },
        { .name = "decoder/embeddings/weight", .dims = { 51864 } },
        { .name = "decoder/layer_0/ffn/linear_0/weight" },
        { .name = "decoder/layer_0/attention/linear_1/weight", .dims = { 32, 64 } },
        { .name = "decoder/layer_0/attention/linear_1/bias" },
        { .name = "encoder/layer_0/self_attention/linear_0/bias", .dims = { 95 } },
        { .name = "encoder/layer_norm/gamma", .dims = { 33 } },
        { .name = "decoder/layer_norm/beta" },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        write_model(&lies[i]);
        m8_model *m = NULL;
        m8_error err = { 0 };
        m8_status st = m8_open(&m, dir, &(m8_open_opts){ .n_threads = 1 }, &err);
        print_message("%s: %s\n", lies[i].name ? lies[i].name : "sizes", err.text);
        assert_null(m);
        assert_true(st == M8_E_FORMAT || st == M8_E_UNSUPPORTED);
        assert_true(err.text[0] && !strchr(err.text, '\n'));
    }
}

static float *noise(size_t n)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = ((float)(seed >> 8) / (1 << 23) - 1) * (i / 4000 % 2 ? 0.5f : 0.02f);
    }
    return x;
}

/* Whatever the weights are, a call ends, and what it gives is within bounds. */
static void test_weights(void **state)
{
    static const struct lie models[] = {
        { .config = "{\"suppress_ids\": [-1, 99999999, 51864, 50256, \"x\", 1], \"alignment_heads\": [[9, 9], [-1, 0], [0, 1], 7, []]}" },
        { .config = "{\"suppress_ids\": {}, \"alignment_heads\": []}" },
        { .nan = true },
        { .width = 48, .heads = 3 },
    };
    float *x = noise(48000);
    if (!*state) skip();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        for (int precision = M8_FAST; precision <= M8_F32; precision++) {
            write_model(&models[i]);
            m8_model *m = NULL;
            m8_error err = { 0 };
            struct heard h = { 0 };
            if (m8_open(&m, dir, &(m8_open_opts){ .n_threads = 2, .precision = precision }, &err)) fail_msg("%s", err.text);
            m8_transcribe_opts o = { .words = true, .no_gate = true, .no_fallback = i != 0, .beam_size = i == 1 ? 5 : 0 };
            m8_status st = m8_transcribe(m, x, 48000, &o, (m8_segment_sink){ hear_segment, &h }, NULL, &err);
            if (st) fail_msg("%s", err.text);
            for (int j = 0; j < h.n && j < 64; j++) assert_true(h.segments[j].start_s >= 0 && h.segments[j].end_s <= 60);
            for (size_t j = 0; j < h.tokens.n; j++) assert_in_range(h.tokens.data[j], 0, 51863);
            forget(&h);
            m8_close(m);
        }
    }
    free(x);
}

static m8_status open_and_hear(void *arg, m8_error *err)
{
    m8_model *m = NULL;
    struct heard h = { 0 };
    m8_status st = m8_open(&m, dir, &(m8_open_opts){ .n_threads = 1 }, err);
    if (st) return st;
    m8_transcribe_opts o = { .words = true, .no_gate = true, .no_fallback = true, .prompt = "again" };
    st = m8_transcribe(m, arg, 8000, &o, (m8_segment_sink){ hear_segment, &h }, NULL, err);
    forget(&h);
    m8_close(m);
    return st;
}

/* Every allocation fails in turn; some of them, for a run takes a while. */
static void test_torture(void **state)
{
    if (!*state) skip();
    json_set_alloc_funcs(m8_malloc, m8_free);
    setenv("MAGIC8_TORTURE_MAX", "30", 1);
    write_model(&(struct lie){ .width = 32 });
    float *x = noise(8000);
    print_message("%d sites\n", torture(open_and_hear, x));
    free(x);
}

/* ---- sound and callers, on the real model */

static m8_model *real;

static m8_status run(const float *x, size_t n, const m8_transcribe_opts *o, struct heard *h, m8_error *err)
{
    *err = (m8_error){ 0 };
    return m8_transcribe(real, x, n, o, (m8_segment_sink){ hear_segment, h }, NULL, err);
}

static void test_sound(void **state)
{
    if (!real) skip();
    struct heard h = { 0 };
    m8_error err;
    size_t n = 160000;
    float *x = calloc(n, sizeof *x), one = 0.5f;
    m8_transcribe_info info;
    assert_int_equal(run(NULL, 0, NULL, &h, &err), M8_OK);
    assert_int_equal(run(&one, 1, NULL, &h, &err), M8_OK);
    for (size_t i = 0; i < 160; i++) x[i] = 0.5f;
    assert_int_equal(run(x, 160, NULL, &h, &err), M8_OK);
    memset(x, 0, n * sizeof *x);
    assert_int_equal(m8_transcribe(real, x, n, NULL, (m8_segment_sink){ hear_segment, &h }, &info, &err), M8_OK);
    assert_int_equal(info.n_windows, 0); /* silence costs nothing */
    for (size_t i = 0; i < n; i++) x[i] = NAN;
    assert_int_equal(run(x, n, NULL, &h, &err), M8_OK);
    assert_int_equal(h.n, 0);
    for (size_t i = 0; i < n; i++) x[i] = i % 3 ? INFINITY : -1e38f;
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .no_fallback = true }, &h, &err), M8_OK);
    free(x);
    n = 600 * 16000; /* ten minutes with one word's worth of noise in them */
    x = calloc(n, sizeof *x);
    double t0 = m8_now_s();
    assert_int_equal(m8_transcribe(real, x, n, NULL, (m8_segment_sink){ hear_segment, &h }, &info, &err), M8_OK);
    assert_int_equal(info.n_windows, 0);
    float *some = noise(16000);
    memcpy(x + 300 * 16000, some, 16000 * sizeof *x);
    assert_int_equal(m8_transcribe(real, x, n, &(m8_transcribe_opts){ .no_fallback = true }, (m8_segment_sink){ hear_segment, &h }, &info, &err), M8_OK);
    assert_int_equal(info.n_windows, 1);
    print_message("ten minutes of silence: %.2f s\n", m8_now_s() - t0);
    free(some);
    free(x);
    forget(&h);
}

static void test_caller(void **state)
{
    if (!real) skip();
    size_t n;
    m8_error err;
    float *x = load_wav(data_path("audio/jfk.wav"), &n);
    struct heard h = { .stop_after = 1 };
    assert_int_equal(run(x, n, NULL, &h, &err), M8_E_CANCELLED);
    assert_int_equal(h.n, 1);
    forget(&h);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .language = "de" }, &h, &err), M8_E_ARG);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .language = "klingon" }, &h, &err), M8_E_ARG);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .translate = true }, &h, &err), M8_E_ARG);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .beam_size = 17 }, &h, &err), M8_E_ARG);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .beam_size = -1 }, &h, &err), M8_E_ARG);
    m8_buf prompt = { 0 };
    for (int i = 0; i < 3000; i++) m8_buf_str(&prompt, "inaugural ");
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .prompt = prompt.data, .no_fallback = true }, &h, &err), M8_OK);
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .prompt = " \n " }, &h, &err), M8_OK);
    m8_buf_finish(&prompt);
    m8_free(x);
    forget(&h);
}

static void test_words(void **state)
{
    if (!real) skip();
    size_t n;
    m8_error err;
    float *x = load_wav(data_path("audio/jfk.wav"), &n);
    struct heard h = { 0 };
    assert_int_equal(run(x, n, &(m8_transcribe_opts){ .words = true }, &h, &err), M8_OK);
    /* as faster-whisper 1.2.1 times them, float32, greedy */
    static const struct {
        const char *text;
        double end_s;
    } want[] = {
        { " And", 0.76 }, { " so", 1.06 }, { " my", 1.46 }, { " fellow", 1.76 }, { " Americans", 2.26 }, { " ask", 3.88 }, { " not", 4.52 },
        { " what", 5.70 }, { " your", 6.02 }, { " country", 6.36 }, { " can", 6.76 }, { " do", 7.02 }, { " for", 7.26 }, { " you", 8.06 },
        { " ask", 8.66 }, { " what", 8.94 }, { " you", 9.28 }, { " can", 9.50 }, { " do", 9.72 }, { " for", 9.92 }, { " your", 10.22 },
        { " country", 10.50 },
    };
    assert_int_equal(h.words, sizeof want / sizeof *want);
    for (int i = 0; i < h.words; i++) {
        assert_string_equal(h.word[i], want[i].text);
        assert_true(h.word_s[i][0] <= h.word_s[i][1]);
        assert_true(fabs(h.word_s[i][1] - want[i].end_s) <= 0.1);
        assert_true(!i || h.word_s[i][0] >= h.word_s[i - 1][0]);
    }
    m8_free(x);
    forget(&h);
}

/* The same with one thread and two, and twice. */
static void test_same(void **state)
{
    size_t n;
    struct heard first = { 0 };
    float *x = load_wav(data_path("audio/jfk.wav"), &n);
    for (int i = 0; i < 3; i++) {
        m8_model *m = open_model("whisper-tiny.en", M8_FAST, i ? 2 : 1);
        if (!m) skip();
        struct heard h = { 0 };
        m8_error err = { 0 };
        assert_int_equal(m8_transcribe(m, x, n, NULL, (m8_segment_sink){ hear_segment, &h }, NULL, &err), M8_OK);
        m8_close(m);
        if (!i) {
            first = h;
            continue;
        }
        assert_string_equal(h.text.data, first.text.data);
        for (int s = 0; s < h.n; s++) assert_true(h.segments[s].avg_logprob == first.segments[s].avg_logprob);
        forget(&h);
    }
    forget(&first);
    m8_free(x);
}

/* Without an argument, all; `small`: a model of one layer; `real`: tiny.en. */
int main(int argc, char **argv)
{
    static const char *const beside[] = { "vocabulary.txt", "tokenizer.json" };
    char path[512], link[300];
    snprintf(dir, sizeof dir, "%s/whisper-hostile-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(dir)) return 1;
    void *tokenizer = NULL;
    if (model_path(path, sizeof path, "whisper-tiny.en")) {
        const char *root = getenv("MAGIC8_TEST_MODELS");
        tokenizer = path;
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/whisper-tiny.en/%s", root, beside[i]);
            snprintf(link, sizeof link, "%s/%s", dir, beside[i]);
            if (symlink(path, link)) return 1;
        }
        real = open_model("whisper-tiny.en", M8_FAST, 2);
    }
    const struct CMUnitTest small[] = {
        cmocka_unit_test(test_files), cmocka_unit_test_prestate(test_weights, tokenizer),
        cmocka_unit_test_prestate(test_torture, tokenizer),
    };
    const struct CMUnitTest on_real[] = {
        cmocka_unit_test(test_sound), cmocka_unit_test(test_caller), cmocka_unit_test(test_words), cmocka_unit_test(test_same),
    };
    int failed = 0;
    if (argc < 2 || !strcmp(argv[1], "small")) failed += cmocka_run_group_tests(small, NULL, NULL);
    if (argc < 2 || !strcmp(argv[1], "real")) failed += cmocka_run_group_tests(on_real, NULL, NULL);
    m8_close(real);
    static const char *const made[] = { "model.bin", "config.json", "vocabulary.txt", "tokenizer.json" };
    for (int i = 0; i < 4; i++) {
        snprintf(link, sizeof link, "%s/%s", dir, made[i]);
        unlink(link);
    }
    rmdir(dir);
    return failed;
}
