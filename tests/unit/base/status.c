/* Status codes and errors: the first failure wins, the text stays one line of valid UTF-8. */
#include <errno.h>
#include <m8/base.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    assert_string_equal(m8_status_name(M8_OK), "OK");
    assert_string_equal(m8_status_name(M8_E_NOMEM), "E_NOMEM");
    assert_string_equal(m8_status_text(M8_E_CANCELLED), "cancelled");
    assert_string_equal(m8_status_name((m8_status)-99), "E_UNKNOWN");
    assert_string_equal(m8_status_text((m8_status)1), "unknown status");
#define X(name, code, text) assert_int_equal(M8_##name, code), assert_string_equal(m8_status_text(code), text);
    M8_STATUS_MAP(X)
#undef X
}

static void test_first_failure_wins(void **state)
{
    m8_error err = {0};
    assert_int_equal(m8_fail(&err, M8_E_FORMAT, "%s: expected %d, file has %d", "blk.3", 4096, 1024), M8_E_FORMAT);
    assert_int_equal(m8_fail(&err, M8_E_IO, "later"), M8_E_IO);
    errno = EACCES;
    assert_int_equal(m8_fail_errno(&err, M8_E_IO, "later"), M8_E_IO);
    assert_int_equal(err.status, M8_E_FORMAT);
    assert_int_equal(err.detail, 0);
    assert_string_equal(err.text, "blk.3: expected 4096, file has 1024");
    assert_int_equal(m8_fail(NULL, M8_E_ARG, "no error asked for"), M8_E_ARG);
    assert_int_equal(m8_fail_errno(NULL, M8_E_ARG, "x"), M8_E_ARG);
    assert_int_equal(m8_wrap(NULL, M8_E_ARG, "x"), M8_E_ARG);
}

static void test_errno(void **state)
{
    m8_error err = {0};
    errno = EACCES;
    assert_int_equal(m8_fail_errno(&err, M8_E_IO, "opening %s", "a.gguf"), M8_E_IO);
    assert_int_equal(err.detail, EACCES);
    assert_string_equal(err.text, "opening a.gguf: Permission denied");
    err = (m8_error){0};
    errno = ENOMEM;
    assert_int_equal(m8_fail_errno(&err, M8_E_IO, "mapping"), M8_E_NOMEM);
    assert_int_equal(err.status, M8_E_NOMEM);
}

static void test_wrap(void **state)
{
    m8_error err = {0};
    m8_fail(&err, M8_E_FORMAT, "bad magic");
    assert_int_equal(m8_wrap(&err, M8_E_FORMAT, "reading %s", "x"), M8_E_FORMAT);
    assert_string_equal(err.text, "reading x: bad magic");
    err = (m8_error){0};
    assert_int_equal(m8_wrap(&err, M8_E_NOMEM, "here"), M8_E_NOMEM);
    assert_string_equal(err.text, "here: out of memory");
    assert_int_equal(err.status, M8_E_NOMEM);
    err = (m8_error){0};
    assert_int_equal(m8_wrap(&err, M8_OK, "here"), M8_OK); /* nothing failed: nothing is set */
    assert_string_equal(err.text, "");
}

static void test_text_of_an_error(void **state)
{
    m8_error err = { .status = M8_E_BUSY };
    assert_string_equal(m8_error_text(&err), "busy");
    m8_fail(&err, M8_E_IO, "x");
    assert_string_equal(m8_error_text(&err), "busy");
}

static void test_long_text_is_cut_between_characters(void **state)
{
    char text[400];
    for (int lead = 0; lead < 4; lead++) {
        memset(text, 'a', sizeof text);
        for (size_t i = (size_t)lead; i + 4 < sizeof text; i += 4) memcpy(text + i, "\xF0\x9F\x8E\xB1", 4);
        text[sizeof text - 1] = 0;
        m8_error err = {0};
        m8_fail(&err, M8_E_ARG, "%s", text);
        size_t n = strlen(err.text);
        assert_in_range(n, sizeof err.text - 4, sizeof err.text - 1);
        assert_int_equal((n - (size_t)lead) % 4, 0);
        assert_memory_equal(err.text, text, n);
    }
}

/* A tensor's name comes from a hostile file, and the line goes to a terminal and into JSON. */
static void test_text_is_clean(void **state)
{
    m8_error err = {0};
    m8_fail(&err, M8_E_FORMAT, "a\nb\tc\x1b[31m\x7f");
    assert_string_equal(err.text, "a b c [31m ");
    static const struct { const char *raw, *clean; } cases[] = {
        { "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F" }, /* good UTF-8 stays */
        { "\xE2\x82\xAC \xF0\x9F\x8E\xB1", "\xE2\x82\xAC \xF0\x9F\x8E\xB1" },
        { "\xFFx", "?x" },
        { "\xC3", "?" },
        { "\xC3(", "?(" },
        { "\xE2\x82", "??" },
        { "\xC0\xAF", "??" },             /* overlong */
        { "\xED\xA0\x80", "???" },        /* a surrogate */
        { "\xF4\x90\x80\x80", "????" },   /* above U+10FFFF */
        { "a\xC2\x9B" "31m", "a 31m" },   /* U+009B starts a terminal's command */
        { "a\xE2\x80\xA8" "b", "a b" },   /* U+2028 is a line's end to some */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err = (m8_error){0};
        m8_fail(&err, M8_E_FORMAT, "%s", cases[i].raw);
        assert_string_equal(err.text, cases[i].clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_first_failure_wins), cmocka_unit_test(test_errno),
        cmocka_unit_test(test_wrap), cmocka_unit_test(test_text_of_an_error),
        cmocka_unit_test(test_long_text_is_cut_between_characters), cmocka_unit_test(test_text_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
