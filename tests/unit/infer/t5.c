/* T5's encoder beside transformers, of two sizes; and what must not depend on how the work is cut. */
#include "models/t5.h"
#include "test.h"
#include "torture.h"
#include <string.h>

struct verdict {
    int n, over;
};

static void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct verdict *v = user;
    v->n++;
    if (diff <= tolerance) return;
    v->over++;
    print_error("%s: %g, more than %g\n", tensor, diff, tolerance);
}

static m8_status verify(void *folder, m8_error *err)
{
    struct verdict v = {0};
    char *dir = test_data(folder), *expected = dir ? m8_join_path(dir, "expected.safetensors") : NULL;
    m8_model *m = NULL;
    m8_status st = dir && expected ? m8_open(&m, dir, &(m8_open_opts){ .n_threads = 2, .precision = M8_F32 }, err) : m8_fail(err, M8_E_NOMEM, "a path");
    if (!st) st = m8_verify(m, expected, report, &v, err);
    if (!st) {
        assert_true(v.n >= 8);
        assert_int_equal(v.over, 0);
        assert_string_equal(m8_model_family(m), "t5");
        assert_int_equal(m8_model_tasks(m), 0);
    }
    m8_close(m);
    m8_free(dir);
    m8_free(expected);
    return st;
}

static void test_goldens(void **state)
{
    (void)state;
    static const char *const folders[] = { "t5-tiny", "t5-other" };
    for (int i = 0; i < 2; i++) {
        m8_error err = {0};
        if (verify((void *)folders[i], &err)) fail_msg("%s", err.text);
    }
}

/* One thread or two: the same bits, in both precisions; fast ones are near. */
static void test_threads(void **state)
{
    (void)state;
    int ids[333];
    for (int i = 0; i < 333; i++) ids[i] = 3 + i * 37 % 1000;
    char *dir = test_data("t5-tiny");
    nn_run r[3];
    m8_model *m[3];
    static const int threads[] = { 1, 2, 2 };
    static const m8_precision precision[] = { M8_FAST, M8_FAST, M8_F32 };
    nn_t out[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(m8_open(&m[i], dir, &(m8_open_opts){ threads[i], precision[i] }, NULL), M8_OK);
        assert_int_equal(nn_run_init(&r[i], m[i]->pool, NULL), M8_OK);
        out[i] = m8__t5_encode(&r[i], m[i]->impl, ids, 333, NULL, NULL);
        assert_int_equal(r[i].status, M8_OK);
    }
    assert_memory_equal(out[0].d, out[1].d, (size_t)out[0].n * (size_t)out[0].c * sizeof(float));
    double noise = 0, all = 0;
    for (int i = 0; i < out[0].n * out[0].c; i++) {
        double d = (double)out[1].d[i] - (double)out[2].d[i];
        noise += d * d;
        all += (double)out[2].d[i] * (double)out[2].d[i];
    }
    assert_true(noise < all * 1e-3);
    for (int i = 0; i < 3; i++) {
        nn_run_finish(&r[i]);
        m8_close(m[i]);
    }
    m8_free(dir);
}

static void test_buckets(void **state)
{
    (void)state;
    assert_int_equal(m8__t5_bucket(0), 0);
    assert_int_equal(m8__t5_bucket(-7), 7);
    assert_int_equal(m8__t5_bucket(7), 23);
    assert_int_equal(m8__t5_bucket(-128), 15);
    assert_int_equal(m8__t5_bucket(128), 31);
    assert_int_equal(m8__t5_bucket(1 << 20), 31);
    assert_int_equal(m8__t5_bucket(-(1 << 20)), 15);
}

static void test_torture(void **state)
{
    (void)state;
    torture(verify, (void *)"t5-other");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_goldens), cmocka_unit_test(test_threads), cmocka_unit_test(test_buckets),
                                        cmocka_unit_test(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
