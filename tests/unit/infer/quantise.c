/* Floats to blocks and back: what is lost, beside what the quantisers of ggml lose of the same numbers. */
#include <float.h>
#include <math.h>

#include "weights/quantise.h"
#include "weights_help.h"

/* ggml: root mean square error of quantize_row_TYPE_ref (ggml-quants.c as in llama-cpp-python 0.3.36) on `source` of gguf-blocks; for
 * the types that gguf-py writes the blocks there give the same figure. bound: largest error, in parts of a block's largest value. */
static const struct {
    m8__dtype type;
    double ggml, bound;
} TYPES[] = {
    { DT_Q8_0, 0.00534673183, 0.51 / 127 }, { DT_Q6_K, 0.0176233365, 1.2 / 32 }, { DT_Q5_1, 0.038087378, 2.0 / 31 },
    { DT_Q5_K, 0.03631918, 2.5 / 31 },      { DT_Q5_0, 0.0433531456, 1.5 / 16 }, { DT_Q4_1, 0.0795692071, 2.0 / 15 },
    { DT_Q4_K, 0.0722448899, 2.0 / 15 },    { DT_Q4_0, 0.086396718, 1.5 / 8 },
};
#define N_TYPES (sizeof TYPES / sizeof *TYPES)
enum { MOST = 1024 };

static uint8_t bytes[MOST * 4];
static float back[MOST];

static double error_of(m8__dtype type, const float *x, int n, double *most)
{
    double sum = 0;
    *most = 0;
    if (!m8__quantise(bytes, type, x, n)) fail_msg("%s: refused", m8__dtype_name(type));
    m8__tensor t = { .type = type, .n_dims = 1, .dims = { n, 1, 1, 1 }, .n = n, .data = bytes };
    m8__dequant(back, &t, 0, 1);
    for (int i = 0; i < n; i++) {
        double e = fabs((double)x[i] - (double)back[i]);
        sum += e * e;
        if (!(e <= *most)) *most = e;
    }
    return sqrt(sum / n);
}

static void test_beside_ggml(void **state)
{
    static float x[MOST];
    double most;
    m8__weights *w = open_ok(data_path("gguf-blocks/expected.safetensors"));
    const m8__tensor *source = tensor_of(w, "source");
    assert_int_equal(source->n, MOST);
    m8__dequant(x, source, 0, source->dims[0]);
    for (size_t i = 0; i < N_TYPES; i++) {
        double ours = error_of(TYPES[i].type, x, MOST, &most);
        print_message("%s: %.6f, ggml %.6f\n", m8__dtype_name(TYPES[i].type), ours, TYPES[i].ggml);
        assert_true(ours <= TYPES[i].ggml);
        assert_true(ours >= TYPES[i].ggml * 0.8); /* nothing is that much better: a mistake in the test */
    }
    m8__weights_close(w);
}

static uint64_t rng = 1;
static float uniform(void)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (float)(rng >> 40) * 0x1p-24f;
}

/* Blocks of many kinds: alike, one outlier, one sign only, far from zero, of tiny and of large numbers. */
static void make_block(float *x, int kind)
{
    float size = kind % 3 == 0 ? 1 : kind % 3 == 1 ? 1e-3f : 1e4f;
    for (int i = 0; i < 256; i++) {
        float u = uniform() - 0.5f;
        switch (kind / 3) {
        case 0: x[i] = u; break;
        case 1: x[i] = 0.75f; break;
        case 2: x[i] = i % 32 == 7 ? 1 : u * 0.01f; break;
        case 3: x[i] = u + 0.5f; break;
        case 4: x[i] = -u - 0.5f; break;
        case 5: x[i] = i < 200 ? 0 : u; break;
        default: x[i] = u * uniform() * uniform(); break;
        }
        x[i] *= size;
    }
}

static void test_bounds(void **state)
{
    float x[256];
    for (int kind = 0; kind < 21; kind++) {
        for (size_t i = 0; i < N_TYPES; i++) {
            double most, largest = 0;
            make_block(x, kind);
            for (int k = 0; k < 256; k++) largest = fmax(largest, fabs((double)x[k]));
            error_of(TYPES[i].type, x, 256, &most);
            if (most > largest * TYPES[i].bound + 1e-7)
                fail_msg("%s, kind %d: off by %g of %g", m8__dtype_name(TYPES[i].type), kind, most, largest);
        }
    }
}

/* What a type can hold exactly comes back exactly. */
static void test_exact(void **state)
{
    float x[256];
    double most;
    for (size_t i = 0; i < N_TYPES; i++) {
        m8__dtype type = TYPES[i].type;
        memset(x, 0, sizeof x);
        error_of(type, x, 256, &most);
        assert_true(most == 0);
        for (int k = 0; k < 256; k++) x[k] = (float)(k % 16 - 8) * 0.25f; /* -2 to 1.75 in every 16 */
        error_of(type, x, 256, &most);
        if (most > (type == DT_Q8_0 ? 0.008 : 2e-3)) fail_msg("%s: off by %g", m8__dtype_name(type), most);
    }
}

static void test_far_from_zero(void **state) /* with a minimum, only the spread counts */
{
    float x[256];
    double most;
    for (int k = 0; k < 256; k++) x[k] = 1000 + (float)(k % 8);
    error_of(DT_Q4_1, x, 256, &most);
    assert_true(most < 0.5);
    error_of(DT_Q5_1, x, 256, &most);
    assert_true(most < 0.3);
}

static void test_plain(void **state)
{
    static const float x[] = { 1, -2, 0.33333334f, 6e-8f };
    static const double most_wrong[] = { 0, 1e-4, 1e-3 };
    static const m8__dtype types[] = { DT_F32, DT_F16, DT_BF16 };
    for (int i = 0; i < 3; i++) {
        double most;
        error_of(types[i], x, 4, &most);
        assert_true(most <= most_wrong[i]);
    }
}

static void test_refused(void **state)
{
    static const m8__dtype plain[] = { DT_F32, DT_F16, DT_BF16 };
    float x[256] = { 0 };
    for (size_t i = 0; i < N_TYPES + 3; i++) {
        m8__dtype type = i < N_TYPES ? TYPES[i].type : plain[i - N_TYPES];
        assert_true(m8__can_quantise(type));
        x[100] = NAN;
        assert_false(m8__quantise(bytes, type, x, 256));
        x[100] = -INFINITY;
        assert_false(m8__quantise(bytes, type, x, 256));
        x[100] = 1e30f;
        assert_int_equal(m8__quantise(bytes, type, x, 256), type == DT_F32 || type == DT_BF16);
        x[100] = FLT_MAX; /* rounds up to infinity in bfloat16 */
        assert_int_equal(m8__quantise(bytes, type, x, 256), type == DT_F32);
        x[100] = 1e-40f;
        assert_true(m8__quantise(bytes, type, x, 256));
    }
    assert_false(m8__can_quantise(DT_Q2_K));
    assert_false(m8__can_quantise(DT_I8));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_beside_ggml), cmocka_unit_test(test_bounds), cmocka_unit_test(test_exact),
                                        cmocka_unit_test(test_far_from_zero), cmocka_unit_test(test_plain), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
