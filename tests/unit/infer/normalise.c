/* English as it is spoken: tests/data/normalise.test, one case a line, "written => spoken". */
#include "text/text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static m8_buf table;

static void cases(void **state)
{
    int failed = 0, n = 0;
    for (char *line = table.data, *next; line && *line; line = next) {
        char *end = strchr(line, '\n'), *arrow;
        next = end ? end + 1 : NULL;
        if (end) *end = 0;
        if (*line == '#' && line[1] == ' ') continue;
        arrow = strstr(line, " => ");
        if (arrow) *arrow = 0;
        const char *want = arrow ? arrow + 4 : line;
        m8_buf got = { 0 };
        m8_buf_str(&got, "");
        m8__normalise(&got, line);
        if (strcmp(got.data, want) != 0) {
            print_message("%s\n  expected: %s\n  got:      %s\n", line, want, got.data);
            failed++;
        }
        m8_buf_finish(&got);
        n++;
    }
    assert_true(n > 100);
    assert_int_equal(failed, 0);
}

/* What is grows by a bounded factor, and a limit of the buffer is kept. */
static void bounded(void **state)
{
    char *big = m8_malloc(10001);
    for (int i = 0; i < 10000; i++) big[i] = "7-/.,$%"[i * 31 % 7];
    big[10000] = 0;
    m8_buf out = { 0 };
    m8__normalise(&out, big);
    assert_int_equal(out.status, M8_OK);
    assert_true(out.len < 400000);
    m8_buf_finish(&out);
    memset(big, '9', 10000);
    out = (m8_buf){ .limit = 1000 };
    m8__normalise(&out, big);
    assert_int_equal(out.status, M8_E_LIMIT);
    m8_buf_finish(&out);
    m8_free(big);
}

int main(void)
{
    const char *data = getenv("MAGIC8_TEST_DATA");
    char *path = data ? m8_join_path(data, "normalise.test") : NULL;
    if (!path || m8_read_file(&table, path, NULL)) {
        puts("no tests/data/normalise.test (MAGIC8_TEST_DATA)");
        return 77;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(cases), cmocka_unit_test(bounded) };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    m8_buf_finish(&table);
    m8_free(path);
    return failed;
}
