/* The codec: the originals' numbers, a sound cut in every way, and codecs of random weights in the three namings, whole and damaged. */
#include "models/dac.h"
#include "test.h"
#include "torture.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- goldens */

struct tally {
    int n, over;
};

static void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct tally *t = user;
    t->n++;
    if (diff <= tolerance) return;
    t->over++;
    print_error("%s: %g of %g\n", tensor, diff, tolerance);
}

static void goldens_of(const char *name, int least)
{
    m8_error err = { 0 };
    struct tally t = { 0 };
    m8_model *m = NULL;
    char *dir = test_data(name), *expected = m8_join_path(dir, "expected.safetensors");
    if (m8_open(&m, dir, &(m8_open_opts){ .n_threads = 2, .precision = M8_F32 }, &err)) fail_msg("%s", err.text);
    assert_string_equal(m8_model_family(m), "dac");
    if (m8_verify(m, expected, report, &t, &err)) fail_msg("%s", err.text);
    assert_int_equal(t.over, 0);
    assert_true(t.n >= least);
    m8_close(m);
    m8_free(dir);
    m8_free(expected);
}

static void goldens(void **state)
{
    goldens_of("dac-tiny", 23);
    goldens_of("dac-hf", 11);
}

/* ---- sounds */

enum { MOST_FRAMES = 60 };

struct sound {
    float *x;
    int n;
};

/* The sound of n frames, pushed in parts of the sizes at `parts` (0 ends them; what is left comes at once). */
static struct sound decode(m8_model *m, const int *codes, int n, const int *parts, bool end_apart, void (*tap)(void *, const char *, nn_t))
{
    const struct dac *d = m->impl;
    struct dac_stream *s = NULL;
    nn_run r;
    struct sound out = { malloc((size_t)n * (size_t)m8__dac_hop(d) * sizeof(float) + 1), 0 };
    assert_int_equal(nn_run_init(&r, m->pool, NULL), M8_OK);
    assert_int_equal(m8__dac_stream_new(&s, d, NULL), M8_OK);
    for (int from = 0, ended = 0; !ended;) {
        int now = *parts && *parts < n - from ? *parts++ : n - from;
        ended = from + now == n && !(end_apart && now);
        nn_reset(&r);
        nn_t x = m8__dac_push(&r, s, codes + (ptrdiff_t)from * m8__dac_codebooks(d), now, ended, tap, NULL);
        assert_int_equal(r.status, M8_OK);
        memcpy(out.x + out.n, x.d, (size_t)x.n * sizeof *x.d);
        out.n += x.n;
        from += now;
    }
    assert_int_equal(out.n, n * m8__dac_hop(d));
    m8__dac_stream_free(s);
    nn_run_finish(&r);
    return out;
}

static void random_codes(const struct dac *d, int *codes, int n, uint32_t seed)
{
    for (int i = 0; i < n * m8__dac_codebooks(d); i++) {
        seed = seed * 1664525 + 1013904223;
        codes[i] = (int)((seed >> 8) % (uint32_t)m8__dac_codebook_size(d));
    }
}

static void ignore(void *user, const char *layer, nn_t x) {}

/* However it is cut, by how many threads, and whether somebody looks at the layers: the same bits. */
static void cuts_of(const char *path, m8_precision precision)
{
    static const int ways[][12] = { { 1 }, { 0, 1 }, { 3, 3, 3, 3, 3 }, { 17, 16, 1 }, { 40 } };
    static int codes[MOST_FRAMES * 64];
    m8_error err = { 0 };
    m8_model *m[2] = { NULL };
    for (int t = 0; t < 2; t++) {
        if (m8_open(&m[t], path, &(m8_open_opts){ .n_threads = t + 1, .precision = precision }, &err)) fail_msg("%s", err.text);
    }
    for (int n = 0; n <= MOST_FRAMES; n += n < 4 ? 1 : 19) {
        random_codes(m[0]->impl, codes, n, (uint32_t)n + 7);
        struct sound whole = decode(m[0], codes, n, (int[]){ 0 }, false, NULL);
        int ones[MOST_FRAMES + 1], some[MOST_FRAMES + 1];
        uint32_t seed = 5;
        for (int i = 0; i < MOST_FRAMES; i++) {
            ones[i] = 1;
            seed = seed * 1664525 + 1013904223;
            some[i] = 1 + (int)(seed >> 16) % 9;
        }
        ones[MOST_FRAMES] = some[MOST_FRAMES] = 0;
        for (int way = -2; way < (int)(sizeof ways / sizeof *ways); way++) {
            const int *parts = way == -2 ? ones : way == -1 ? some : ways[way];
            struct sound again = decode(m[(way & 1) == 0], codes, n, parts, way & 2, way == 2 ? ignore : NULL);
            assert_memory_equal(again.x, whole.x, (size_t)whole.n * sizeof *whole.x);
            free(again.x);
        }
        for (int i = 0; i < whole.n; i++) assert_true(fabsf(whole.x[i]) <= 1);
        free(whole.x);
    }
    m8_close(m[0]);
    m8_close(m[1]);
}

static void cuts(void **state)
{
    char *tiny = test_data("dac-tiny"), *hf = test_data("dac-hf");
    cuts_of(tiny, M8_F32);
    cuts_of(tiny, M8_FAST);
    cuts_of(hf, M8_FAST);
    m8_free(tiny);
    m8_free(hf);
}

/* bfloat16 where the processor has it: not far from float32. */
static void fast_is_near(void **state)
{
    char *dir = test_data("dac-tiny");
    m8_model *m[2] = { NULL };
    static int codes[MOST_FRAMES * 64];
    struct sound s[2];
    double noise = 0, all = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(m8_open(&m[i], dir, &(m8_open_opts){ .precision = i ? M8_FAST : M8_F32 }, NULL), M8_OK);
        random_codes(m[i]->impl, codes, MOST_FRAMES, 3);
        s[i] = decode(m[i], codes, MOST_FRAMES, (int[]){ 0 }, false, NULL);
    }
    for (int i = 0; i < s[0].n; i++) {
        noise += pow((double)s[1].x[i] - (double)s[0].x[i], 2);
        all += pow((double)s[0].x[i], 2);
    }
    print_message("signal to noise of M8_FAST: %.1f dB\n", 10 * log10(all / noise));
    assert_true(noise < all * 2e-4);
    for (int i = 0; i < 2; i++) {
        free(s[i].x);
        m8_close(m[i]);
    }
    m8_free(dir);
}

/* ---- codecs of random weights */

enum { LATENT = 6, WIDE = 10, N_Q = 3, N_CODES = 16, CODE_DIM = 2, N_STAGES = 2 };
enum naming { WEIGHT_G, PARAMETRIZED, FOLDED };

struct tensor {
    char name[128];
    int dims[4], n_dims;
    float *x;
};
static struct tensor tensors[200];
static int n_tensors;
static uint32_t state_of_random;
static char dir[256] = "/tmp/m8-dac-XXXXXX";

static float random_float(void)
{
    state_of_random = state_of_random * 1664525 + 1013904223;
    return ((float)(state_of_random >> 8) / (1 << 24) - 0.5f) * 0.8f;
}

static struct tensor *add(const char *base, const char *what, int a, int b, int c)
{
    struct tensor *t = &tensors[n_tensors++];
    snprintf(t->name, sizeof t->name, "%s%s", base, what);
    t->dims[0] = a;
    t->dims[1] = b;
    t->dims[2] = c;
    t->n_dims = c ? 3 : b ? 2 : 1;
    size_t n = (size_t)a * (size_t)(b ? b : 1) * (size_t)(c ? c : 1);
    t->x = malloc(n * sizeof *t->x);
    for (size_t i = 0; i < n; i++) t->x[i] = random_float();
    return t;
}

static void add_conv(enum naming way, const char *base, int a, int b, int c, int n_out)
{
    const struct tensor *bias = add(base, ".bias", n_out, 0, 0);
    assert_non_null(bias);
    struct tensor *g = add(base, way == PARAMETRIZED ? ".parametrizations.weight.original0" : ".weight_g", a, 1, 1);
    struct tensor *v = add(base, way == PARAMETRIZED ? ".parametrizations.weight.original1" : ".weight_v", a, b, c);
    for (int i = 0; i < a; i++) g->x[i] = 0.5f + fabsf(g->x[i]);
    if (way != FOLDED) return;
    for (int i = 0; i < a; i++) {
        double sum = 0;
        for (int j = 0; j < b * c; j++) sum += pow((double)v->x[i * b * c + j], 2);
        for (int j = 0; j < b * c; j++) v->x[i * b * c + j] = (float)((double)v->x[i * b * c + j] * (double)g->x[i] / sqrt(sum));
    }
    free(g->x);
    *g = *v;
    n_tensors--;
    snprintf(g->name, sizeof g->name, "%s.weight", base);
}

static void add_alpha(const char *base, int c)
{
    struct tensor *t = add(base, ".alpha", 1, c, 1);
    for (int i = 0; i < c; i++) t->x[i] = 0.5f + fabsf(t->x[i]);
}

M8_PRINTF(2, 3) static const char *named(bool hf, const char *fmt, ...)
{
    static char name[128];
    size_t len = (size_t)snprintf(name, sizeof name, hf ? "audio_encoder." : "audio_encoder.model.");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + len, sizeof name - len, fmt, ap);
    va_end(ap);
    return name;
}

static void forget_tensors(void)
{
    while (n_tensors) free(tensors[--n_tensors].x);
}

static void make_tensors(enum naming way)
{
    bool hf = way == FOLDED;
    forget_tensors();
    state_of_random = 1;
    for (int q = 0; q < N_Q; q++) {
        add(named(hf, "quantizer.quantizers.%d.codebook", q), ".weight", N_CODES, CODE_DIM, 0);
        add_conv(way, named(hf, "quantizer.quantizers.%d.out_proj", q), LATENT, CODE_DIM, 1, LATENT);
    }
    add_conv(way, named(hf, hf ? "decoder.conv1" : "decoder.model.0"), WIDE, LATENT, 7, WIDE);
    int c = WIDE;
    for (int i = 0; i < N_STAGES; i++, c /= 2) {
        add_alpha(hf ? named(hf, "decoder.block.%d.snake1", i) : named(hf, "decoder.model.%d.block.0", i + 1), c);
        add_conv(way, hf ? named(hf, "decoder.block.%d.conv_t1", i) : named(hf, "decoder.model.%d.block.1", i + 1), c, c / 2, i ? 4 : 8, c / 2);
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 2; k++) {
                add_alpha(hf ? named(hf, "decoder.block.%d.res_unit%d.snake%d", i, j + 1, k + 1)
                             : named(hf, "decoder.model.%d.block.%d.block.%d", i + 1, j + 2, 2 * k), c / 2);
                add_conv(way, hf ? named(hf, "decoder.block.%d.res_unit%d.conv%d", i, j + 1, k + 1)
                                 : named(hf, "decoder.model.%d.block.%d.block.%d", i + 1, j + 2, 2 * k + 1), c / 2, c / 2, k ? 1 : 7, c / 2);
            }
        }
    }
    add_alpha(named(hf, hf ? "decoder.snake1" : "decoder.model.3"), c);
    add_conv(way, named(hf, hf ? "decoder.conv2" : "decoder.model.4"), 1, c, 7, 1);
}

struct damage { /* number of a tensor, from 1; 0: none */
    int missing, wrong, which /* dimension */, by, filled;
    float fill;
    const char *type; /* NULL: F32 */
};

static void write_codec(const struct damage *d)
{
    json_t *head = json_object();
    m8_buf data = { 0 }, file = { 0 };
    for (int i = 0; i < n_tensors; i++) {
        const struct tensor *t = &tensors[i];
        if (i + 1 == d->missing) continue;
        json_t *shape = json_array();
        size_t n = 1, from = data.len, have = 1;
        for (int j = 0; j < t->n_dims; j++) {
            int dim = t->dims[j] + (i + 1 == d->wrong && j == d->which ? d->by : 0);
            json_array_append_new(shape, json_integer(dim));
            have *= (size_t)t->dims[j];
            n *= (size_t)dim;
        }
        for (size_t j = 0; j < n; j++) {
            float x = i + 1 == d->filled ? d->fill : t->x[j % have];
            uint16_t h = d->type && !strcmp(d->type, "F16") ? m8__float_to_half(x) : m8__float_to_bf16(x);
            m8_buf_add(&data, d->type ? (void *)&h : &x, d->type ? sizeof h : sizeof x);
        }
        json_object_set_new(head, t->name, json_pack("{s:s, s:o, s:[i,i]}", "dtype", d->type ? d->type : "F32", "shape", shape, "data_offsets",
                                                     (int)from, (int)data.len));
    }
    char *text = json_dumps(head, JSON_COMPACT), *path = m8_join_path(dir, "model.safetensors");
    uint64_t len = strlen(text);
    m8_buf_add(&file, &len, sizeof len);
    m8_buf_str(&file, text);
    m8_buf_add(&file, data.data, data.len);
    FILE *f = fopen(path, "wb"); /* without m8_write_file's fsync, which would be most of this test's time */
    assert_non_null(f);
    assert_int_equal(fwrite(file.data, 1, file.len, f), file.len);
    fclose(f);
    free(text);
    m8_free(path);
    m8_buf_finish(&data);
    m8_buf_finish(&file);
    json_decref(head);
}

static void namings(void **state)
{
    static const char *const types[] = { NULL, "BF16", "F16" };
    static int codes[MOST_FRAMES * N_Q];
    struct sound first = { 0 };
    for (int type = 0; type < 3; type++) {
        for (int way = 0; way < 3; way++) {
            m8_model *m = NULL;
            m8_error err = { 0 };
            make_tensors(way);
            write_codec(&(struct damage){ .type = types[type] });
            if (m8_open(&m, dir, &(m8_open_opts){ .precision = M8_F32 }, &err)) fail_msg("%s", err.text);
            assert_int_equal(m8__dac_hop(m->impl), 8);
            assert_int_equal(m8__dac_codebooks(m->impl), N_Q);
            assert_int_equal(m8__dac_codebook_size(m->impl), N_CODES);
            random_codes(m->impl, codes, 20, 1);
            struct sound s = decode(m, codes, 20, (int[]){ 3, 0 }, false, NULL);
            double size = 0;
            for (int i = 0; i < s.n; i++) {
                size += fabs((double)s.x[i]) / s.n;
                if (first.x) assert_true(fabsf(s.x[i] - first.x[i]) < (type ? 0.02f : 2e-6f));
            }
            assert_true(size > 0.02);
            if (!first.x) first = s;
            else free(s.x);
            m8_close(m);
        }
    }
    free(first.x);
}

static m8_status open_and_push(void *arg, m8_error *err)
{
    static const int codes[14 * N_Q] = { 1, 2, 3, 4, 5, 6, 7 };
    bool *bad = arg;
    m8_model *m = NULL;
    struct dac_stream *s = NULL;
    nn_run r = { 0 };
    m8_status st = m8_open(&m, dir, &(m8_open_opts){ .n_threads = 1 }, err);
    if (!st) st = nn_run_init(&r, m->pool, err);
    if (!st && m8__dac_codebooks(m->impl) == N_Q) {
        st = m8__dac_stream_new(&s, m->impl, err);
        for (int i = 0; !st && i < 2; i++) {
            nn_reset(&r);
            nn_t x = m8__dac_push(&r, s, codes, 7, i, NULL, NULL);
            st = r.status ? m8_fail(err, r.status, "decoding") : M8_OK;
            for (int j = 0; bad && j < x.n; j++) *bad |= !(x.d[j] >= -1 && x.d[j] <= 1);
        }
    }
    m8__dac_stream_free(s);
    if (r.arena) nn_run_finish(&r);
    m8_close(m);
    return st;
}

/* Each tensor missing, or with a dimension that is larger, smaller or huge: an error with a line, or a codec of other sizes. */
static void damaged(void **state)
{
    int refused = 0;
    for (int way = 0; way < 3; way++) {
        make_tensors(way);
        for (int i = 1; i <= n_tensors; i++) {
            for (int which = -1; which < tensors[i - 1].n_dims; which++) {
                for (int by = -1; by < 3; by++) {
                    m8_error err = { 0 };
                    struct damage d = { .missing = which < 0 ? i : 0, .wrong = which < 0 ? 0 : i, .which = which, .by = by < 2 ? by : 300 };
                    if (by == 0 || (by > 0 && which < 0)) continue;
                    write_codec(&d);
                    m8_status st = open_and_push(NULL, &err);
                    if (!st) continue;
                    refused++;
                    if ((st != M8_E_FORMAT && st != M8_E_UNSUPPORTED) || !err.text[0]) fail_msg("%s, %d by %d: %d %s", tensors[i - 1].name, which, by, st, err.text);
                }
            }
        }
    }
    print_message("%d files refused\n", refused);
    assert_true(refused > 1500);
}

/* Numbers that no codec has never leave [-1, 1], unless as NaN. */
static void filled(void **state)
{
    static const float fills[] = { NAN, INFINITY, -1e30f, 1e30f, 0 };
    make_tensors(WEIGHT_G);
    for (int i = 1; i <= n_tensors; i++) {
        for (int f = 0; f < 5; f++) {
            m8_error err = { 0 };
            write_codec(&(struct damage){ .filled = i, .fill = fills[f] });
            if (open_and_push(NULL, &err)) fail_msg("%s", err.text);
        }
    }
}

static void misuse(void **state)
{
    m8_model *m = NULL;
    nn_run r;
    int codes[4 * N_Q] = { 0 };
    atomic_bool stop = true;
    make_tensors(PARAMETRIZED);
    write_codec(&(struct damage){ 0 });
    assert_int_equal(m8_open(&m, dir, NULL, NULL), M8_OK);
    assert_int_equal(nn_run_init(&r, m->pool, NULL), M8_OK);
    for (int way = 0; way < 4; way++) {
        struct dac_stream *s = NULL;
        nn_reset(&r);
        assert_int_equal(m8__dac_stream_new(&s, m->impl, NULL), M8_OK);
        assert_int_equal(m8__dac_push(&r, s, codes, 4, way == 3, NULL, NULL).n, way == 3 ? 32 : 0);
        assert_int_equal(r.status, M8_OK);
        codes[5] = way == 0 ? -1 : way == 1 ? N_CODES : 0;
        r.stop = way == 2 ? &stop : NULL;
        m8__dac_push(&r, s, codes, 4, false, NULL, NULL);
        m8_status st = r.status;
        assert_int_equal(st, way == 2 ? M8_E_CANCELLED : M8_E_ARG);
        r.stop = NULL;
        codes[5] = 0;
        nn_reset(&r);
        assert_int_equal(m8__dac_push(&r, s, codes, 4, true, NULL, NULL).n, 0); /* out of step for good */
        assert_int_equal(r.status, st);
        m8__dac_stream_free(s);
    }
    m8__dac_stream_free(NULL);
    nn_run_finish(&r);
    m8_close(m);
}

static void failing_calls(void **state)
{
    make_tensors(PARAMETRIZED);
    write_codec(&(struct damage){ 0 });
    assert_true(torture(open_and_push, NULL) > 50);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "write")) { /* DIR NAMING: seeds for the fuzzer */
        snprintf(dir, sizeof dir, "%s", argv[2]);
        make_tensors((enum naming)atoi(argv[3]));
        write_codec(&(struct damage){ .type = atoi(argv[3]) ? "BF16" : NULL });
        forget_tensors();
        return 0;
    }
    if (!mkdtemp(dir)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens), cmocka_unit_test(cuts), cmocka_unit_test(fast_is_near), cmocka_unit_test(namings),
        cmocka_unit_test(damaged), cmocka_unit_test(filled), cmocka_unit_test(misuse), cmocka_unit_test(failing_calls),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char *path = m8_join_path(dir, "model.safetensors");
    unlink(path);
    m8_free(path);
    rmdir(dir);
    forget_tensors();
    return failed;
}
