/* The log goes to its sink in single clean lines; nothing below the level asked for is written. */
#include <m8/base.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static char got[4096];
static int lines;
static m8_log_level got_level;

static void sink(void *user, m8_log_level level, const char *line)
{
    assert_ptr_equal(user, got);
    strcpy(got, line);
    got_level = level;
    lines++;
}

static void test_levels(void **state)
{
    m8_log(M8_LOG_ERROR, "nobody listens: %d", 1);
    m8_log_set(sink, got, M8_LOG_INFO);
    m8_log(M8_LOG_DEBUG, "not asked for");
    assert_int_equal(lines, 0);
    m8_log(M8_LOG_INFO, "%s %d", "ball", 8);
    assert_int_equal(lines, 1);
    assert_int_equal(got_level, M8_LOG_INFO);
    assert_string_equal(got, "ball 8");
    m8_log_set(NULL, NULL, M8_LOG_DEBUG);
    m8_log(M8_LOG_ERROR, "nobody again");
    assert_int_equal(lines, 1);
}

static void test_no_forged_lines(void **state)
{
    m8_log_set(sink, got, M8_LOG_DEBUG);
    m8_log(M8_LOG_WARN, "a\nerror: b\r\x1b[0m\x7f");
    assert_string_equal(got, "a\\x0aerror: b\\x0d\\x1b[0m\\x7f");
    char many[3000];
    memset(many, '\n', sizeof many);
    many[sizeof many - 1] = 0;
    m8_log(M8_LOG_WARN, "%s", many);
    assert_in_range(strlen(got), 1000, 2047);
    assert_null(strchr(got, '\n'));
    m8_log_set(NULL, NULL, M8_LOG_ERROR);
}

static void test_clock(void **state)
{
    double a = m8_now_s(), b = m8_now_s();
    assert_true(a > 0 && b >= a);
}

static void test_pcm(void **state)
{
    m8_pcm pcm = { .samples = m8_malloc(40), .n_samples = 10, .rate = 16000 };
    m8_pcm_finish(&pcm);
    assert_null(pcm.samples);
    assert_int_equal(pcm.n_samples, 0);
    m8_pcm_finish(&pcm);
    m8_pcm_finish(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels), cmocka_unit_test(test_no_forged_lines), cmocka_unit_test(test_clock), cmocka_unit_test(test_pcm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
