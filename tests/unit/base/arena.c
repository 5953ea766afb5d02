/* Arena: aligned, zeroed, apart from each other; marks give back what was taken since, and blocks are used again. */
#include "torture.h"
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_take(void **state)
{
    m8_arena *a = m8_arena_new(1024);
    unsigned char *p[100];
    for (int i = 0; i < 100; i++) {
        p[i] = m8_arena_take(a, (size_t)i * 37);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        for (int k = 0; k < i * 37; k++) assert_int_equal(p[i][k], 0);
        memset(p[i], i, (size_t)i * 37);
    }
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < i * 37; k++) assert_int_equal(p[i][k], i);
    assert_string_equal(m8_arena_strndup(a, "magic 8", 5), "magic");
    assert_string_equal(m8_arena_strndup(a, NULL, 0), "");
    m8_arena_free(a);
    m8_arena_free(NULL);
}

static void test_sizes_that_wrap(void **state)
{
    m8_arena *a = m8_arena_new(0);
    for (size_t less = 0; less < 400; less++) assert_null(m8_arena_raw(a, SIZE_MAX - less));
    assert_null(m8_arena_strndup(a, "x", SIZE_MAX));
    assert_null(m8_arena_take(a, SIZE_MAX / 2));
    assert_non_null(m8_arena_take(a, 10)); /* and goes on */
    m8_arena_free(a);
}

static void test_marks(void **state)
{
    m8_arena *a = m8_arena_new(1000);
    m8_arena_mark start = m8_arena_here(a);
    char *first = m8_arena_take(a, 10);
    strcpy(first, "kept");
    m8_arena_mark mark = m8_arena_here(a);
    char *second = m8_arena_raw(a, 10);
    for (int i = 0; i < 20; i++) memset(m8_arena_raw(a, 600), 1, 600);
    size_t held = m8_arena_size(a);
    for (int turn = 0; turn < 50; turn++) { /* the same work again takes no memory */
        m8_arena_back(a, mark);
        assert_ptr_equal(m8_arena_raw(a, 10), second);
        for (int i = 0; i < 20; i++) memset(m8_arena_raw(a, 600), turn, 600);
        assert_int_equal(m8_arena_size(a), held);
    }
    assert_string_equal(first, "kept");
    m8_arena_back(a, start);
    assert_ptr_equal(m8_arena_take(a, 10), first);
    assert_int_equal(first[0], 0); /* zeroed again */
    m8_arena_clear(a);
    assert_ptr_equal(m8_arena_raw(a, 64), first);
    m8_arena_free(a);
}

/* A large block kept behind small ones is found; small ones behind it are not handed out twice. */
static void test_mixed_sizes(void **state)
{
    m8_arena *a = m8_arena_new(256);
    uint32_t rng = 8;
    for (int turn = 0; turn < 200; turn++) {
        unsigned char *p[30];
        size_t size[30];
        m8_arena_mark mark = m8_arena_here(a);
        for (int i = 0; i < 30; i++) {
            rng = rng * 1664525 + 1013904223;
            size[i] = (rng >> 20) % (turn % 7 ? 300 : 3000);
            p[i] = m8_arena_raw(a, size[i]);
            memset(p[i], i, size[i]);
        }
        for (int i = 0; i < 30; i++)
            for (size_t k = 0; k < size[i]; k++) assert_int_equal(p[i][k], i);
        if (turn % 3) m8_arena_back(a, mark);
        if (turn % 50 == 49) m8_arena_clear(a);
    }
    assert_in_range(m8_arena_size(a), 1, 10 << 20);
    m8_arena_free(a);
}

static m8_status use(void *arg, m8_error *err)
{
    m8_arena *a = m8_arena_new(128);
    if (!a) return m8_fail(err, M8_E_NOMEM, "arena");
    m8_status st = M8_OK;
    for (int i = 0; i < 10; i++)
        if (!m8_arena_take(a, 100)) st = m8_fail(err, M8_E_NOMEM, "take");
    m8_arena_free(a);
    return st;
}
static void test_torture(void **state) { assert_int_equal(torture(use, NULL), 11); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take), cmocka_unit_test(test_sizes_that_wrap), cmocka_unit_test(test_marks),
        cmocka_unit_test(test_mixed_sizes), cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
