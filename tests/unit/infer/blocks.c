/* A file's blocks as panels: they mean what their authors' code says, a stack of matrices gives the same bits packed and as it lies in the
 * file, and a whole model does. */
#include "kernels/c.h"
#include "llama_help.h"
#include "models/model.h"
#include "nn/pack.h"
#include "weights_help.h"
#include <math.h>

/* Value of input i of column o of a panel. */
static float value(nn_type type, const void *panel, int i, int o)
{
    int b = i / QBLOCK, j = i % QBLOCK;
    if (type == NN_Q8) {
        const struct q8_block *w = (const struct q8_block *)panel + b;
        return from_half(w->d[o]) * (float)(w->q[j / 4][o][j % 4] - 128);
    }
    if (type == NN_Q6) {
        const struct q6_block *w = (const struct q6_block *)panel + b;
        return from_half(w->d[o]) * w->scale[j / 16][o] * (float)(w->q[j / 4][o][j % 4] - 128);
    }
    if (type == NN_Q5) {
        const struct q5_block *w = (const struct q5_block *)panel + b;
        return from_half(w->d[o]) * w->q[j / 4][o][j % 4] + from_half(w->m[o]);
    }
    const struct q4_block *w = (const struct q4_block *)panel + b;
    return from_half(w->d[o]) * (float)(w->q[j % 16 / 4][o][j % 4] >> j / 16 * 4 & 15) + from_half(w->m[o]);
}

static const m8__dtype QUANTISED[] = { DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K };

/* The rows that gguf-py made, and what it says they are. */
static void test_values(void **state)
{
    m8__weights *w = open_ok(data_path("gguf-blocks/expected.safetensors"));
    for (size_t i = 0; i < sizeof QUANTISED / sizeof *QUANTISED; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.raw", m8__dtype_name(QUANTISED[i]));
        const m8__tensor *raw = tensor_of(w, name);
        snprintf(name, sizeof name, "%s.float", m8__dtype_name(QUANTISED[i]));
        const m8__tensor *want = tensor_of(w, name);
        int k = (int)want->dims[1], rows = (int)want->dims[0];
        nn_type type;
        int blocks = m8__blocks_of(QUANTISED[i], &type, k);
        assert_true(blocks >= 0);
        bool products = QUANTISED[i] == DT_Q4_K || QUANTISED[i] == DT_Q5_K; /* whose scales are rounded */
        void *panel = m8_malloc(m8__panel_bytes(type, k, 1));
        float *f = m8_malloc((size_t)k * sizeof *f);
        const uint8_t *row[PANEL];
        for (int o = 0; o < PANEL; o++) row[o] = raw->data + (size_t)(o % rows) * (raw->size / (size_t)rows);
        m8__kernels_get(m8__cpu_flags())->repack[blocks](panel, row, 0, k / QBLOCK, NULL);
        for (int o = 0; o < PANEL; o++) {
            float most = 0;
            m8__dequant(f, want, o % rows, 1);
            for (int c = 0; c < k; c++) most = fmaxf(most, fabsf(f[c]));
            for (int c = 0; c < k; c++) {
                float got = value(type, panel, c, o), tol = products ? most * 0x1p-9f : fabsf(f[c]) * 0x1p-22f + most * 0x1p-22f;
                if (!(fabsf(got - f[c]) <= tol)) fail_msg("%s [%d][%d]: %.9g, expected %.9g", m8__dtype_name(QUANTISED[i]), o, c, (double)got, (double)f[c]);
            }
        }
        m8_free(panel), m8_free(f);
    }
    m8__weights_close(w);
}

/* ---- stacks, from a GGUF file in memory with one matrix "a", "b", ... for each row of a table */

struct matrix {
    m8__dtype type;
    int rows, unpermute;
};
static const int gguf_id[] = { [DT_F32] = 0, [DT_F16] = 1, [DT_Q4_0] = 2, [DT_Q4_1] = 3, [DT_Q5_0] = 6, [DT_Q5_1] = 7, [DT_Q8_0] = 8,
                               [DT_Q2_K] = 10, [DT_Q3_K] = 11, [DT_Q4_K] = 12, [DT_Q5_K] = 13, [DT_Q6_K] = 14, [DT_BF16] = 30 };

static void put(m8_buf *b, uint64_t v, size_t bytes) { m8_buf_add(b, &v, bytes); }

/* Random bytes, with ordinary numbers where halves (or floats) stand. */
static void put_matrix(m8_buf *b, const struct matrix *m, int k, nn_rng *g)
{
    static const int halves[][2] = { [DT_Q4_1] = { 0, 2 }, [DT_Q5_1] = { 0, 2 }, [DT_Q4_K] = { 0, 2 }, [DT_Q5_K] = { 0, 2 }, [DT_Q2_K] = { 80, 82 },
                                     [DT_Q3_K] = { 108, 108 }, [DT_Q6_K] = { 208, 208 } };
    int per = m8__dtype_block(m->type), bytes = m8__dtype_bytes(m->type);
    for (int i = 0; i < m->rows * k / per; i++) {
        uint8_t block[256];
        for (int j = 0; j < bytes; j++) block[j] = (uint8_t)nn_rng_next(g);
        for (int h = 0; h < 2 && per > 1; h++) {
            uint16_t d = m8__float_to_half((nn_rng_uniform(g) + 0.5f) * 0x1p-8f);
            memcpy(block + (m->type < (m8__dtype)(sizeof halves / sizeof *halves) ? halves[m->type][h] : 0), &d, 2);
        }
        float f = nn_rng_normal(g);
        uint16_t f16 = m8__float_to_half(f), bf16 = m8__float_to_bf16(f);
        if (m->type == DT_F32) memcpy(block, &f, 4);
        if (m->type == DT_F16) memcpy(block, &f16, 2);
        if (m->type == DT_BF16) memcpy(block, &bf16, 2);
        m8_buf_add(b, block, (size_t)bytes);
    }
}

static m8__weights *make_file(m8_buf *file, const struct matrix *m, int n, int k, nn_rng *g)
{
    m8_buf data = {0};
    m8_buf_add(file, "GGUF\3\0\0\0", 8);
    put(file, (uint64_t)n, 8);
    put(file, 0, 8);
    for (int i = 0; i < n; i++) {
        put(file, 1, 8);
        m8_buf_chr(file, (char)('a' + i));
        put(file, 2, 4);
        put(file, (uint64_t)k, 8);
        put(file, (uint64_t)m[i].rows, 8);
        put(file, (uint64_t)gguf_id[m[i].type], 4);
        put(file, data.len, 8);
        put_matrix(&data, &m[i], k, g);
        while (data.len % 32) m8_buf_chr(&data, 0);
    }
    while (file->len % 32) m8_buf_chr(file, 0);
    m8_buf_add(file, data.data, data.len);
    m8_buf_finish(&data);
    m8__weights *w;
    m8_error err = {0};
    if (m8__weights_open_memory(&w, file->data, file->len, "stack", &err)) fail_msg("%s", err.text);
    return w;
}

static nn_w load(nn_load *l, const struct matrix *m, int n, int k, bool in_place, int digits)
{
    nn_part parts[8];
    for (int i = 0; i < n; i++) {
        parts[i] = nn_part_of(m[i].rows, "%c", 'a' + i);
        parts[i].unpermute = m[i].unpermute;
    }
    l->in_place = in_place;
    nn_w w = nn_load_linear(l, parts, n, k, NN_BF16);
    assert_int_equal(l->status, M8_OK);
    w.digits = digits;
    return w;
}

static bool lies(const nn_w *w) { return w->n_segs && !w->segs[0].data; }

static void check_stack(const struct matrix *m, int n, int k, bool can_lie)
{
    m8_pool *pool;
    nn_run run;
    nn_held held = {0};
    nn_rng g;
    m8_buf file = {0};
    nn_rng_seed(&g, 11);
    m8__weights *w = make_file(&file, m, n, k, &g);
    assert_int_equal(m8_pool_new(&pool, 2, NULL), M8_OK);
    assert_int_equal(nn_run_init(&run, pool, NULL), M8_OK);
    nn_load fast = { .w = w, .pool = pool, .precision = M8_FAST, .held = &held }, f32 = { .w = w, .pool = pool, .precision = M8_F32, .held = &held };
    nn_w exact = load(&f32, m, n, k, false, 1), exact_lying = load(&f32, m, n, k, true, 1);
    nn_t x = nn_new(&run, 70, k);
    for (int i = 0; i < 70 * k; i++) x.d[i] = nn_rng_normal(&g);
    nn_t want = nn_linear(&run, x, &exact), same = nn_linear(&run, x, &exact_lying);
    assert_memory_equal(want.d, same.d, (size_t)want.n * (size_t)want.c * sizeof(float));
    double size = 0;
    for (int i = 0; i < want.n * want.c; i++) size += (double)want.d[i] * (double)want.d[i];
    size = sqrt(size / (want.n * want.c));
    for (int digits = 1; digits <= 2; digits++) {
        nn_w packed = load(&fast, m, n, k, false, digits), lying = load(&fast, m, n, k, true, digits);
        assert_true(!lies(&packed) && lies(&lying) == can_lie);
        nn_t got = nn_linear(&run, x, &packed);
        double far = 0;
        for (int i = 0; i < got.n * got.c; i++) far = fmax(far, fabs((double)got.d[i] - (double)want.d[i]));
        if (!(far < 0.06 * size)) fail_msg("%s, %d digits: off by %g where values are about %g", m8__dtype_name(m[0].type), digits, far, size);
        static const int rows[] = { 70, 1, 2, 3, 5, 12, 33 };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            nn_t part = nn_linear(&run, nn_rows(x, 70 - rows[i], rows[i]), &lying);
            assert_memory_equal(part.d, got.d + (size_t)(70 - rows[i]) * (size_t)got.ld, (size_t)rows[i] * (size_t)got.c * sizeof(float));
        }
    }
    assert_int_equal(run.status, M8_OK);
    nn_run_finish(&run);
    nn_held_free(&held);
    m8_pool_free(pool);
    m8__weights_close(w);
    m8_buf_finish(&file);
}

static void test_stacks(void **state)
{
    static const m8__dtype more[] = { DT_Q2_K, DT_F16, DT_BF16, DT_F32 };
    for (int i = 0; i < 13; i++) { /* Q and K with permuted rows, whole panels and not; V ends within a panel */
        m8__dtype t = i < 9 ? QUANTISED[i] : more[i - 9];
        const struct matrix qkv[] = { { t, 96, 48 }, { t, 64, 32 }, { t, 41, 0 } };
        check_stack(qkv, 3, 512, true);
    }
    const struct matrix mixed[] = { { DT_Q4_K, 64, 32 }, { DT_Q6_K, 32, 0 }, { DT_Q5_0, 48, 0 }, { DT_Q2_K, 7, 0 } };
    check_stack(mixed, 4, 768, true);
    const struct matrix floats[] = { { DT_Q4_K, 64, 32 }, { DT_F16, 32, 0 } };
    check_stack(floats, 2, 256, true);
    const struct matrix odd[] = { { DT_Q4_0, 24, 24 }, { DT_Q4_0, 24, 0 } }, odder[] = { { DT_Q4_0, 24, 24 }, { DT_Q6_K, 24, 0 } };
    check_stack(odd, 2, 256, false); /* a panel with rows of both */
    check_stack(odder, 2, 256, false);
    const struct matrix ragged[] = { { DT_BF16, 64, 32 }, { DT_F16, 30, 0 } }; /* no whole blocks: through floats */
    check_stack(ragged, 2, 75, true);
    const struct matrix narrow[] = { { DT_Q8_0, 160, 0 } };
    check_stack(narrow, 1, 32, true);
}

/* ---- a model */

static m8_model *open_from(const char *path, m8_precision precision, int64_t in_place_from)
{
    m8__weights *w;
    m8_model *m;
    m8_error err = {0};
    if (m8__weights_open(&w, path, &err) ||
        m8__open_weights(&m, w, &(m8_open_opts){ .n_threads = 2, .precision = precision }, in_place_from, &err)) {
        fail_msg("%s", err.text);
    }
    return m;
}

static nn_t logits_of(m8_model *m, const int *ids, int n)
{
    struct llama *l = m->impl;
    nn_reset(&l->run);
    struct llama_rows rows = { .ids = ids, .n = n, .span = { { 0, n } }, .n_spans = 1 };
    return m8__llama_logits(l, m8__llama_forward(l, &rows, 1, NULL, NULL));
}

static void compare_models(const char *path)
{
    int ids[24];
    for (int i = 0; i < 24; i++) ids[i] = i * 19 % 500;
    m8_model *packed = open_from(path, M8_FAST, INT64_MAX), *lying = open_from(path, M8_FAST, 0);
    assert_true(!lies(&((struct llama *)packed->impl)->layers[0].qkv) && lies(&((struct llama *)lying->impl)->layers[0].qkv));
    for (int n = 1; n <= 24; n += 23) {
        nn_t a = logits_of(packed, ids, n), b = logits_of(lying, ids, n);
        assert_memory_equal(a.d, b.d, (size_t)a.n * (size_t)a.c * sizeof(float));
    }
    m8_close(packed);
    m8_close(lying);
}

static void test_models(void **state)
{
    char *dir = test_data("llama-tiny"), *expected = m8_join_path(dir, "expected.safetensors"), *real = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
    struct verdict v = {0};
    m8_error err = {0};
    m8_model *exact = open_from(dir, M8_F32, 0);
    if (m8_verify(exact, expected, report, &v, &err)) fail_msg("%s", err.text);
    assert_true(v.n >= 8 && !v.over);
    m8_close(exact);
    compare_models(dir);
    if (real) compare_models(real);
    m8_free(dir), m8_free(expected), m8_free(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_stacks), cmocka_unit_test(test_models) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
