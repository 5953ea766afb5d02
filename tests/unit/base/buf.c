/* Bytes that grow: always followed by a NUL, never longer than the limit, sticky after a failure. */
#include "torture.h"
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_grows(void **state)
{
    m8_buf b = {0};
    m8_buf_str(&b, "magic");
    m8_buf_chr(&b, ' ');
    m8_buf_printf(&b, "%d %s", 8, "ball");
    m8_buf_add(&b, NULL, 0);
    assert_string_equal(b.data, "magic 8 ball");
    assert_int_equal(b.len, 12);
    m8_buf_add(&b, "\0x", 2);
    assert_memory_equal(b.data, "magic 8 ball\0x", 15); /* with the NUL behind */
    for (int i = 0; i < 100000; i++) m8_buf_chr(&b, (char)i);
    assert_int_equal(b.len, 100014);
    assert_int_equal(b.data[b.len], 0);
    assert_true(b.cap < 2 * b.len);
    assert_int_equal(b.status, M8_OK);
    m8_buf_finish(&b);
    assert_null(b.data);
    m8_buf_finish(&b);
    m8_buf_finish(NULL);
}

static void test_limit(void **state)
{
    m8_buf b = { .limit = 5 };
    m8_buf_str(&b, "12345"); /* just fits */
    assert_int_equal(b.status, M8_OK);
    m8_buf_chr(&b, '6');
    assert_int_equal(b.status, M8_E_LIMIT);
    m8_buf_add(&b, NULL, 0); /* sticky: even nothing is not taken */
    m8_buf_printf(&b, "x");
    assert_null(m8_buf_room(&b, 0));
    assert_string_equal(b.data, "12345");
    m8_buf_clear(&b);
    assert_int_equal(b.status, M8_OK);
    assert_string_equal(b.data, "");
    m8_buf_printf(&b, "%d", 123456);
    assert_int_equal(b.status, M8_E_LIMIT);
    assert_int_equal(b.len, 0);
    m8_buf_clear(&b);
    m8_buf_str(&b, "ok");
    assert_string_equal(b.data, "ok");
    m8_buf_finish(&b);
}

static void test_sizes_that_wrap(void **state)
{
    m8_buf b = {0};
    m8_buf_chr(&b, 'a');
    assert_null(m8_buf_room(&b, SIZE_MAX));
    assert_int_equal(b.status, M8_E_LIMIT);
    m8_buf_clear(&b);
    assert_null(m8_buf_room(&b, SIZE_MAX - 1));
    assert_int_not_equal(b.status, M8_OK);
    m8_buf_clear(&b);
    m8_buf_chr(&b, 'b'); /* still usable */
    assert_string_equal(b.data, "b");
    m8_buf_finish(&b);
}

static m8_status build(void *arg, m8_error *err)
{
    m8_buf b = {0};
    for (int i = 0; i < 200; i++) m8_buf_printf(&b, "%d,", i);
    m8_status st = b.status;
    if (st) m8_fail(err, st, "building");
    else assert_int_equal(b.len, 690);
    m8_buf_finish(&b);
    return st;
}
static void test_torture(void **state) { assert_in_range(torture(build, NULL), 3, 20); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows), cmocka_unit_test(test_limit), cmocka_unit_test(test_sizes_that_wrap), cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
