/* The torture helper must itself find what it is there to find: each bad function below makes it fail. */
#include "torture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static m8_status two_blocks(m8_error *err, bool forget)
{
    char *a = m8_malloc(10);
    if (!a) return m8_fail(err, M8_E_NOMEM, "the first block");
    char *b = m8_malloc(20);
    if (!b && !forget) m8_free(a);
    if (!b) return m8_fail(err, M8_E_NOMEM, "the second block");
    m8_free(a);
    m8_free(b);
    return M8_OK;
}

static m8_status good(void *arg, m8_error *err) { return two_blocks(err, false); }
static m8_status leaks(void *arg, m8_error *err) { return two_blocks(err, true); }
static m8_status wrong_code(void *arg, m8_error *err)
{
    m8_status st = two_blocks(err, false);
    return st ? M8_E_IO : M8_OK;
}
static m8_status no_text(void *arg, m8_error *err) { return two_blocks(NULL, false); }
static m8_status always_fails(void *arg, m8_error *err) { return m8_fail(err, M8_E_FORMAT, "no"); }
static m8_status keeps_file(void *arg, m8_error *err)
{
    return m8_sys_get()->open("/dev/null", 0, 0) < 0 ? m8_fail(err, M8_E_IO, "opening") : M8_OK;
}

static torture_fn *subject;
static void run_subject(void **state) { torture(subject, NULL); }

/* Whether torture() fails fn: asked in a child, whose output is thrown away. */
static bool is_failed(torture_fn *fn)
{
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(99);
        subject = fn;
        const struct CMUnitTest tests[] = { cmocka_unit_test(run_subject) };
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
    }
    int how = 0;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) <= 1);
    return WEXITSTATUS(how);
}

static void test_good(void **state) { assert_int_equal(torture(good, NULL), 2); }

static void test_bad(void **state)
{
    assert_false(is_failed(good));
    assert_true(is_failed(leaks));
    assert_true(is_failed(wrong_code));
    assert_true(is_failed(no_text));
    assert_true(is_failed(always_fails));
    assert_true(is_failed(keeps_file));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
