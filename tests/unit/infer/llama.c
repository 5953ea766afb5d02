/* The Llama family beside transformers: plain, with Mistral's shards, with Llama 3.1's scaled positions. */
#include "llama_help.h"
#include "torture.h"

static void test_goldens(void **state)
{
    (void)state;
    static const char *const names[] = { "llama-tiny", "mistral-tiny", "llama31-tiny" };
    for (int i = 0; i < 3; i++) {
        char *dir = test_data(names[i]), *expected = m8_join_path(dir, "expected.safetensors");
        struct verdict v = {0};
        m8_error err = {0};
        if (verify(dir, expected, &v, &err)) fail_msg("%s", err.text);
        assert_true(v.n >= 6);
        assert_int_equal(v.over, 0);
        m8_free(dir), m8_free(expected);
    }
}

static m8_status load_tiny(void *arg, m8_error *err)
{
    struct verdict v = {0};
    char *expected = m8_join_path(arg, "expected.safetensors");
    m8_status st = expected ? verify(arg, expected, &v, err) : m8_fail(err, M8_E_NOMEM, "a path");
    if (!st) assert_int_equal(v.over, 0);
    m8_free(expected);
    return st;
}

static void test_torture(void **state)
{
    (void)state;
    char *dir = test_data("llama-tiny");
    torture(load_tiny, dir);
    m8_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_goldens), cmocka_unit_test(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
