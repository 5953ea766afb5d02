/* Files: mapped, read up to a limit, written whole or not at all. */
#include "torture.h"
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/magic8-file-XXXXXX";

static int setup(void **state) { return mkdtemp(dir) ? chdir(dir) : -1; }
static int teardown(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return chdir("/") || system(command);
}

static void put(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void expect(m8_status st, m8_status want, const m8_error *err, const char *text)
{
    if (st != want || err->status != want || !strstr(err->text, text))
        fail_msg("expected %s with '%s', got %s: %s", m8_status_name(want), text, m8_status_name(st), err->text);
}

static int n_files(void)
{
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_map(void **state)
{
    put("m", "abc", 3);
    m8_map map;
    m8_error err = {0};
    assert_int_equal(m8_map_open(&map, "m", &err), M8_OK);
    assert_int_equal(map.size, 3);
    assert_memory_equal(map.data, "abc", 3);
    m8_map_drop(map.data, map.size); /* less than a page: nothing to drop */
    assert_memory_equal(map.data, "abc", 3);
    m8_map_close(&map);
    assert_null(map.data);
    m8_map_close(&map);
    m8_map_close(NULL);

    put("empty", "", 0);
    expect(m8_map_open(&map, "empty", &err), M8_E_FORMAT, &err, "empty: ");
    assert_null(map.data);
    err = (m8_error){0};
    expect(m8_map_open(&map, "none", &err), M8_E_NOTFOUND, &err, "none: No such file");
    err = (m8_error){0};
    expect(m8_map_open(&map, ".", &err), M8_E_FORMAT, &err, "not a regular file");
    err = (m8_error){0};
    assert_int_equal(mkfifo("pipe", 0600), 0);
    expect(m8_map_open(&map, "pipe", &err), M8_E_FORMAT, &err, "not a regular file"); /* and does not wait for a writer */
}

static void test_drop(void **state)
{
    size_t n = 1 << 20;
    char *big = calloc(1, n);
    big[n - 1] = 7;
    put("big", big, n);
    free(big);
    m8_map map;
    assert_int_equal(m8_map_open(&map, "big", NULL), M8_OK);
    m8_map_drop(map.data + 5, n - 5);
    assert_int_equal(map.data[n - 1], 7); /* comes back from the file */
    m8_map_close(&map);
}

static void test_read(void **state)
{
    char text[200000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 7);
    put("r", text, sizeof text);
    /* a limit below, at and above the length, the buffer empty and not; exactly the limit is allowed */
    for (int more = -2; more <= 2; more++) {
        for (size_t before = 0; before < 3; before++) {
            m8_error err = {0};
            m8_buf b = {0};
            m8_buf_add(&b, "xyz", before);
            b.limit = (size_t)((ptrdiff_t)(before + sizeof text) + more);
            size_t limit = b.limit;
            m8_status st = m8_read_file(&b, "r", &err);
            if (more < 0) expect(st, M8_E_LIMIT, &err, "r: longer than is allowed here");
            else {
                assert_int_equal(st, M8_OK);
                assert_int_equal(b.len, before + sizeof text);
                assert_memory_equal(b.data, "xyz", before);
                assert_memory_equal(b.data + before, text, sizeof text);
                assert_int_equal(b.data[b.len], 0);
            }
            assert_true(b.len <= limit);
            assert_int_equal(b.limit, limit);
            m8_buf_finish(&b);
        }
    }
    m8_error err = {0};
    m8_buf b = {0};
    put("empty", "", 0);
    assert_int_equal(m8_read_file(&b, "empty", &err), M8_OK);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.limit, 0);
    expect(m8_read_file(&b, "none", &err), M8_E_NOTFOUND, &err, "none: ");
    err = (m8_error){0};
    expect(m8_read_file(&b, ".", &err), M8_E_FORMAT, &err, "not a regular file");
    m8_buf_finish(&b);
}

static void test_read_standard_input(void **state)
{
    int pipes[2], was = dup(0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "spoken", 6), 6);
    close(pipes[1]);
    dup2(pipes[0], 0);
    close(pipes[0]);
    m8_buf b = { .limit = 6 };
    m8_status st = m8_read_file(&b, "-", NULL);
    dup2(was, 0);
    close(was);
    assert_int_equal(st, M8_OK);
    assert_string_equal(b.data, "spoken");
    m8_buf_finish(&b);
}

static void check_content(const char *path, const char *want)
{
    m8_buf b = {0};
    assert_int_equal(m8_read_file(&b, path, NULL), M8_OK);
    assert_string_equal(b.data ? b.data : "", want);
    m8_buf_finish(&b);
}

static void test_write(void **state)
{
    m8_error err = {0};
    assert_int_equal(m8_write_file("w", "first", 5, &err), M8_OK);
    check_content("w", "first");
    assert_int_equal(m8_write_file("w", "2nd", 3, &err), M8_OK);
    check_content("w", "2nd");
    assert_int_equal(m8_write_file("w", NULL, 0, &err), M8_OK);
    check_content("w", "");
    int before = n_files();
    expect(m8_write_file("none/w", "x", 1, &err), M8_E_IO, &err, "writing none/w");
    err = (m8_error){0};
    assert_int_equal(mkdir("folder", 0755), 0);
    expect(m8_write_file("folder", "x", 1, &err), M8_E_IO, &err, "writing folder");
    assert_int_equal(n_files(), before + 1); /* the folder; no half file */
}

/* A device or a pipe cannot be replaced by a file: it is written to. */
static void test_write_device(void **state)
{
    struct stat info;
    assert_int_equal(symlink("/dev/null", "null"), 0);
    assert_int_equal(m8_write_file("null", "x", 1, NULL), M8_OK);
    assert_int_equal(stat("null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    m8_error err = {0};
    assert_int_equal(symlink("/dev/full", "full"), 0);
    expect(m8_write_file("full", "x", 1, &err), M8_E_IO, &err, "No space left");
    assert_int_equal(unlink("null") | unlink("full"), 0);
}

/* Two writers of one name: one of the two contents, whole. */
static char *halves[2];
static void *write_half(void *arg)
{
    for (int i = 0; i < 50; i++)
        if (m8_write_file("two", arg, 30000, NULL)) return arg;
    return NULL;
}
static void test_two_writers(void **state)
{
    unsigned long t[2];
    for (int i = 0; i < 2; i++) {
        halves[i] = malloc(30000);
        memset(halves[i], 'a' + i, 30000);
        assert_int_equal(m8_sys_get()->thread_create(&t[i], write_half, halves[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    m8_buf b = {0};
    assert_int_equal(m8_read_file(&b, "two", NULL), M8_OK);
    assert_int_equal(b.len, 30000);
    assert_memory_equal(b.data, b.data[0] == 'a' ? halves[0] : halves[1], 30000);
    m8_buf_finish(&b);
    free(halves[0]), free(halves[1]);
}

static void test_make_dirs(void **state)
{
    m8_error err = {0};
    assert_int_equal(m8_make_dirs("a/b//c/", &err), M8_OK);
    assert_true(m8_is_dir("a/b/c"));
    assert_int_equal(m8_make_dirs("a/b/c", &err), M8_OK);
    assert_int_equal(m8_make_dirs("/tmp", &err), M8_OK);
    assert_int_equal(m8_make_dirs("/", &err), M8_OK);
    assert_int_equal(m8_make_dirs(".", &err), M8_OK);
    put("file", "x", 1);
    expect(m8_make_dirs("file", &err), M8_E_IO, &err, "making the folder file: File exists");
    err = (m8_error){0};
    expect(m8_make_dirs("file/sub", &err), M8_E_IO, &err, "making the folder file");
    err = (m8_error){0};
    expect(m8_make_dirs("", &err), M8_E_ARG, &err, "without a name");
    assert_true(m8_is_file("file") && !m8_is_dir("file") && !m8_is_file("a") && !m8_is_file("none") && !m8_is_dir("none"));
}

static void test_join(void **state)
{
    static const char *const cases[][3] = { { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *p = m8_join_path(cases[i][0], cases[i][1]);
        assert_string_equal(p, cases[i][2]);
        m8_free(p);
    }
}

static m8_status all_calls(void *arg, m8_error *err)
{
    m8_buf b = {0};
    m8_map map = {0};
    m8_status st = m8_make_dirs("t/u", err);
    if (!st) st = m8_write_file("t/u/f", "some content", 12, err);
    if (!st) st = m8_read_file(&b, "t/u/f", err);
    if (!st) st = m8_map_open(&map, "t/u/f", err);
    if (!st) assert_true(b.len == 12 && map.size == 12 && !memcmp(b.data, "some content", 12));
    m8_map_close(&map);
    m8_buf_finish(&b);
    return st;
}
static void test_torture(void **state)
{
    assert_in_range(torture(all_calls, NULL), 12, 40);
    check_content("t/u/f", "some content");
}

/* Whatever fails on the way, the old content is there whole, or the new one. */
static m8_status replace(void *arg, m8_error *err)
{
    m8_status st = m8_write_file("old", arg, strlen(arg), err);
    struct stat info;
    assert_int_equal(stat("old", &info), 0);
    assert_true(info.st_size == 3 || info.st_size == 11);
    return st;
}
static void test_torture_replace(void **state)
{
    put("old", "old", 3);
    torture(replace, "new content");
    check_content("old", "new content");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map), cmocka_unit_test(test_drop), cmocka_unit_test(test_read), cmocka_unit_test(test_read_standard_input),
        cmocka_unit_test(test_write), cmocka_unit_test(test_write_device), cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_make_dirs), cmocka_unit_test(test_join), cmocka_unit_test(test_torture),
        cmocka_unit_test(test_torture_replace),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
