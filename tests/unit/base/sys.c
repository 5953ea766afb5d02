/* The table of calls, and the allocation functions over it. */
#include "torture.h"
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static size_t asked;
static void *only_malloc(size_t n)
{
    asked = n;
    return NULL;
}

static void test_table(void **state)
{
    const m8_sys mine = { .malloc = only_malloc };
    m8_sys_set(&mine);
    void *a = m8_malloc(123), *b = m8_calloc(1, 1); /* entries left NULL stay the C library's */
    bool filled = m8_sys_get()->open && m8_sys_get()->thread_create;
    m8_sys_set(NULL);
    assert_null(a);
    assert_int_equal(asked, 123);
    assert_non_null(b);
    assert_true(filled);
    m8_free(b);
    a = m8_malloc(1);
    assert_non_null(a);
    m8_free(a);
}

static void test_sizes(void **state)
{
    assert_null(m8_calloc(SIZE_MAX / 2, 3));
    assert_null(m8_calloc(3, SIZE_MAX / 2));
    assert_null(m8_aligned(64, SIZE_MAX));
    assert_null(m8_aligned(64, SIZE_MAX - 62));
    assert_null(m8_strndup("abc", SIZE_MAX));
    m8_free(NULL);
    void *p[] = { m8_malloc(0), m8_calloc(0, 5), m8_realloc(NULL, 0), m8_aligned(64, 0) };
    for (int i = 0; i < 4; i++) {
        assert_non_null(p[i]);
        m8_free(p[i]);
    }
    for (size_t align = 16; align <= 4096; align *= 2) {
        char *a = m8_aligned(align, 33);
        assert_int_equal((uintptr_t)a % align, 0);
        memset(a, 1, 33);
        m8_free(a);
    }
    unsigned char *zero = m8_calloc(7, 9);
    for (int i = 0; i < 63; i++) assert_int_equal(zero[i], 0);
    m8_free(zero);
}

static void test_strings(void **state)
{
    char *a = m8_strdup("ball"), *b = m8_strndup("a\0b", 3), *c = m8_sprintf("%s-%05d", "x", 42), *d = m8_sprintf("%s", "");
    assert_string_equal(a, "ball");
    assert_memory_equal(b, "a\0b", 4);
    assert_string_equal(c, "x-00042");
    assert_string_equal(d, "");
    m8_free(a), m8_free(b), m8_free(c), m8_free(d);
    char *e = m8_strndup(NULL, 0);
    assert_string_equal(e, "");
    m8_free(e);
}

static m8_status strings(void *arg, m8_error *err)
{
    char *a = m8_strdup("ball"), *b = m8_sprintf("%d", 1);
    m8_status st = a && b ? M8_OK : m8_fail(err, M8_E_NOMEM, "no");
    m8_free(a);
    m8_free(b);
    return st;
}
static void test_torture(void **state) { assert_int_equal(torture(strings, NULL), 2); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_sizes), cmocka_unit_test(test_strings), cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
