/* Every element type against what gguf-py makes of the same bytes; half and bfloat16 exhaustively. */
#include <math.h>

#include "weights_help.h"

static bool within_1_ulp(float a, float b)
{
    return a == b || nextafterf(a, b) == b;
}

/* Compare NAME.raw, read as rows of the given type, with NAME.float. */
static void check_rows(const m8__weights *w, const char *name, m8__dtype type)
{
    char key[64];
    snprintf(key, sizeof key, "%s.raw", name);
    const m8__tensor *raw = tensor_of(w, key);
    snprintf(key, sizeof key, "%s.float", name);
    const m8__tensor *want_t = tensor_of(w, key);
    int64_t rows = want_t->dims[0], columns = want_t->dims[1];
    m8__tensor t = { .name = name, .type = type, .n_dims = 2, .dims = { rows, columns, 1, 1 }, .n = want_t->n,
                     .data = raw->data, .size = raw->size };
    assert_int_equal(raw->size, (size_t)(t.n / m8__dtype_block(type) * m8__dtype_bytes(type)));
    float *want = m8_malloc((size_t)t.n * 4), *got = m8_malloc((size_t)t.n * 4);
    m8__dequant(want, want_t, 0, rows);
    m8__dequant(got, &t, 0, rows);
    for (int64_t i = 0; i < t.n; i++)
        if (!within_1_ulp(got[i], want[i]))
            fail_msg("%s[%lld]: %.9g, expected %.9g", name, (long long)i, (double)got[i], (double)want[i]);
    memset(got, 0, (size_t)t.n * 4);
    m8__dequant(got, &t, 1, 1); /* a row in the middle starts at the right byte */
    for (int64_t i = 0; i < columns; i++) assert_true(within_1_ulp(got[i], want[columns + i]));
    m8_free(want);
    m8_free(got);
}

static void test_blocks(void **state)
{
    m8__weights *w = open_ok(data_path("gguf-blocks/expected.safetensors"));
    static const m8__dtype TYPES[] = { DT_F16,  DT_BF16, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1,
                                       DT_Q8_0, DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) check_rows(w, m8__dtype_name(TYPES[i]), TYPES[i]);
    m8__weights_close(w);
}

static void test_real_rows(void **state)
{
    m8__weights *w = open_ok(data_path("smollm2/rows.safetensors"));
    check_rows(w, "row.Q4_1", DT_Q4_1);
    check_rows(w, "row.Q8_0", DT_Q8_0);
    m8__weights_close(w);
}

static void test_plain(void **state)
{
    static const struct {
        m8__dtype type;
        uint8_t bytes[17]; /* one byte too far in front: nothing need be aligned */
        float want[2];
    } CASES[] = {
        { DT_I8, { 0, 0x80, 0x7f }, { -128, 127 } },
        { DT_U8, { 0, 0x80, 0x7f }, { 128, 127 } },
        { DT_I16, { 0, 0, 0x80, 1, 0 }, { -32768, 1 } },
        { DT_I32, { 0, 0, 0, 0, 0x80, 5, 0, 0, 0 }, { -0x1p31f, 5 } },
        { DT_I64, { 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xf9, 255, 255, 255, 255, 255, 255, 255 }, { -0x1p63f, -7 } },
        { DT_F32, { 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0 }, { 1, -2 } },
        { DT_F64, { 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0 }, { 1, -2 } },
        { DT_F16, { 0, 0, 0x3c, 0, 0xc0 }, { 1, -2 } },
        { DT_BF16, { 0, 0x80, 0x3f, 0, 0xc0 }, { 1, -2 } },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        m8__tensor t = { .type = CASES[i].type, .n_dims = 1, .dims = { 2, 1, 1, 1 }, .n = 2, .data = CASES[i].bytes + 1 };
        float got[2];
        m8__dequant(got, &t, 0, 1);
        if (got[0] != CASES[i].want[0] || got[1] != CASES[i].want[1])
            fail_msg("%s: %g %g", m8__dtype_name(t.type), (double)got[0], (double)got[1]);
        t.n_dims = 0;
        t.dims[0] = 1;
        m8__dequant(got + 1, &t, 0, 1); /* a scalar is one element */
        assert_true(got[1] == CASES[i].want[0]);
    }
}

static double half_value(unsigned h) /* the definition */
{
    int e = h >> 10 & 31;
    double m = h & 1023, v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static void test_half(void **state)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        float f = m8__half_to_float((uint16_t)h);
        double want = half_value(h);
        if (isnan(want)) {
            assert_true(isnan(f));
            assert_true(isnan(half_value(m8__float_to_half(f))));
            continue;
        }
        if ((double)f != want || !signbit(f) != !signbit(want)) fail_msg("half %04x: %g, expected %g", h, (double)f, want);
        assert_int_equal(m8__float_to_half(f), h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        /* Half way to the next: to the even one; a little beyond: up; a little before: down. */
        double step = half_value(h + 1);
        float middle = (float)((want + step) / 2);
        assert_int_equal(m8__float_to_half(middle), h & 1 ? h + 1 : h);
        assert_int_equal(m8__float_to_half(nextafterf(middle, (float)step)), h + 1);
        assert_int_equal(m8__float_to_half(nextafterf(middle, f)), h);
    }
    assert_int_equal(m8__float_to_half(65519.996f), 0x7bff);
    assert_int_equal(m8__float_to_half(65520), 0x7c00);
    assert_int_equal(m8__float_to_half(-1e30f), 0xfc00);
    assert_int_equal(m8__float_to_half(1e-30f), 0);
}

static float bf16_value(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static void test_bf16(void **state)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        float f = bf16_value((uint16_t)h);
        if (isnan(f)) {
            assert_true(isnan(bf16_value(m8__float_to_bf16(f))));
            continue;
        }
        assert_int_equal(m8__float_to_bf16(f), h);
        if ((h & 0x7fff) >= 0x7f7f) continue;
        float next = bf16_value((uint16_t)(h + 1)), middle = (float)(((double)f + (double)next) / 2);
        assert_int_equal(m8__float_to_bf16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(m8__float_to_bf16(nextafterf(middle, next)), h + 1);
        assert_int_equal(m8__float_to_bf16(nextafterf(middle, f)), h);
    }
    uint32_t u = 0x7f800001; /* a NaN whose mark lies in the bits that go */
    float nan;
    memcpy(&nan, &u, 4);
    assert_true(isnan(bf16_value(m8__float_to_bf16(nan))));
    assert_true(isnan(half_value(m8__float_to_half(nan))));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_blocks), cmocka_unit_test(test_real_rows), cmocka_unit_test(test_plain),
                                        cmocka_unit_test(test_half), cmocka_unit_test(test_bf16) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
