/* The cache on disk: parts, blobs, links, refs; what is checked again and what is not; a member of a wheel. */
#include "hub_internal.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <cmocka.h>
#include <torture.h>

#define COMMIT "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"
/* of "hello\n": sha256sum, git hash-object */
#define SHA "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define GIT "ce013625030ba8dba906f756967f9e9ca394464a"

static char dir[64];

static int make_dir(void **s)
{
    strcpy(dir, access("/dev/shm", W_OK) ? "/tmp/m8cacheXXXXXX" : "/dev/shm/m8cacheXXXXXX"); /* an fsync costs nothing there */
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **s)
{
    m8__remove_tree(dir);
    return 0;
}

/* A blob of this text under this name. */
static m8_status put(const struct m8__repo *r, const char *text, const char *etag, const char *sha256, m8_error *err)
{
    struct m8__part_file p;
    m8_status st = m8__repo_make(r, err);
    if (!st) st = m8__part_open(&p, r, etag, false, err);
    if (st) return st;
    st = m8__part_write(&p, text, strlen(text), err);
    if (!st) st = m8__part_commit(&p, r, etag, 6, sha256, err);
    m8__part_close(&p);
    return st;
}

static bool there(const char *fmt, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, fmt, dir, name);
    return !access(path, F_OK);
}

static void test_blobs(void **s)
{
    struct m8__repo r;
    m8_error err = { 0 };
    assert_int_equal(m8__repo_init(&r, dir, "org/name", NULL), M8_OK);
    assert_int_equal(put(&r, "hello\n", SHA, NULL, NULL), M8_OK);
    assert_int_equal(put(&r, "hello\n", GIT, SHA, NULL), M8_OK);
    assert_true(there("%s/models--org--name/blobs/%s", SHA) && there("%s/models--org--name/blobs/%s", GIT));
    static const char wrong[] = "0000000000000000000000000000000000000000";
    assert_int_equal(put(&r, "hello\n", wrong, NULL, &err), M8_E_HASH);
    assert_int_equal(put(&r, "hello", SHA, NULL, NULL), M8_E_HASH);
    assert_int_equal(put(&r, "hellO\n", SHA, NULL, NULL), M8_E_HASH);
    assert_int_equal(put(&r, "hello\n", GIT, wrong, NULL), M8_E_HASH);
    assert_int_equal(put(&r, "hello\n", "../x", NULL, NULL), M8_E_ARG);
    assert_false(there("%s/models--org--name/blobs/%s", wrong) || there("%s/models--org--name/blobs/%s.incomplete", wrong));
    m8__repo_finish(&r);
    assert_int_equal(m8__repo_init(&r, dir, "../x", NULL), M8_E_ARG);
}

static void test_links_and_refs(void **s)
{
    struct m8__repo r;
    char commit[41], to[128] = { 0 };
    assert_int_equal(m8__repo_init(&r, dir, "org/name", NULL), M8_OK);
    assert_int_equal(put(&r, "hello\n", GIT, NULL, NULL), M8_OK);
    for (int twice = 0; twice < 2; twice++) assert_int_equal(m8__repo_link(&r, COMMIT, "a/b/c.txt", GIT, NULL), M8_OK);
    char *path = m8__repo_snapshot(&r, COMMIT, "a/b/c.txt");
    assert_true(readlink(path, to, sizeof to) > 0);
    assert_string_equal(to, "../../../../blobs/" GIT);
    assert_true(m8_is_file(path));
    m8_free(path);
    assert_int_equal(m8__repo_link(&r, "main", "x", GIT, NULL), M8_E_ARG);
    assert_int_equal(m8__repo_link(&r, COMMIT, "../x", GIT, NULL), M8_E_ARG);
    assert_int_equal(m8__repo_ref(&r, "main", commit, NULL), M8_E_NOTFOUND);
    assert_int_equal(m8__repo_set_ref(&r, "refs/pr/1", COMMIT, NULL), M8_OK);
    assert_int_equal(m8__repo_ref(&r, "refs/pr/1", commit, NULL), M8_OK);
    assert_string_equal(commit, COMMIT);
    assert_int_equal(m8__repo_set_ref(&r, "../../x", COMMIT, NULL), M8_E_ARG);
    char *ref = m8_sprintf("%s/refs/bad", r.dir);
    assert_int_equal(m8_write_file(ref, "../../../../../../../../../../../../../x\n", 40, NULL), M8_OK);
    assert_int_equal(m8__repo_ref(&r, "bad", commit, NULL), M8_E_NOTFOUND);
    m8_free(ref);
    m8__repo_finish(&r);
}

/* The hash is computed once; again only when the file was touched; damage of the same length is then seen. */
static void test_check(void **s)
{
    struct m8__repo r;
    assert_int_equal(m8__repo_init(&r, dir, "org/name", NULL), M8_OK);
    char *path = m8_join_path(dir, "file");
    assert_int_equal(m8__repo_check(&r, path, SHA, 6, SHA, NULL), M8_E_NOTFOUND);
    assert_int_equal(m8_write_file(path, "hello\n", 6, NULL), M8_OK);
    assert_int_equal(m8__repo_check(&r, path, SHA, 6, SHA, NULL), M8_OK);
    assert_true(there("%s/models--org--name/.magic8/%s", SHA));
    assert_int_equal(m8__repo_check(&r, path, SHA, 7, SHA, NULL), M8_E_HASH);
    int fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "J", 1), 1);
    close(fd);
    assert_int_equal(m8__repo_check(&r, path, SHA, 6, NULL, NULL), M8_OK); /* size only */
    assert_int_equal(m8__repo_check(&r, path, SHA, 6, SHA, NULL), M8_E_HASH);
    assert_int_equal(m8__repo_check(&r, dir, SHA, 6, SHA, NULL), M8_E_HASH); /* a folder */
    m8_free(path);
    m8__repo_finish(&r);
}

/* ---- wheels ---- */

static char *make_wheel(const char *name, const char *data, size_t n)
{
    char *path = m8_join_path(dir, "x.whl");
    unlink(path);
    zip_t *z = zip_open(path, ZIP_CREATE, NULL);
    assert_true(zip_file_add(z, name, zip_source_buffer(z, data, n, 0), 0) >= 0);
    assert_int_equal(zip_close(z), 0);
    return path;
}

static void test_wheel(void **s)
{
    struct m8__repo r;
    struct m8__part_file p;
    static char zeros[1 << 16];
    assert_int_equal(m8__repo_init(&r, dir, "org/name", NULL), M8_OK);
    assert_int_equal(m8__repo_make(&r, NULL), M8_OK);
    assert_int_equal(m8__part_open(&p, &r, SHA, false, NULL), M8_OK);
    char *wheel = make_wheel("pkg/f", "hello\n", 6);
    assert_int_equal(m8__wheel_member(&p, wheel, "pkg/f", 6, NULL), M8_OK);
    assert_int_equal(m8__wheel_member(&p, wheel, "pkg/F", 6, NULL), M8_E_FORMAT);
    assert_int_equal(m8__wheel_member(&p, wheel, "../pkg/f", 6, NULL), M8_E_FORMAT);
    assert_int_equal(m8__wheel_member(&p, wheel, "pkg/f", 5, NULL), M8_E_HASH);
    assert_int_equal(m8__part_commit(&p, &r, SHA, 6, NULL, NULL), M8_OK);
    m8_free(wheel);
    wheel = make_wheel("pkg/f", zeros, sizeof zeros);
    assert_int_equal(m8__wheel_member(&p, wheel, "pkg/f", 1000, NULL), M8_E_HASH); /* a bomb: nothing of it is read */
    /* every byte wrong once, and cut everywhere: refused or the same bytes, never a crash */
    m8_buf good = { 0 };
    assert_int_equal(m8_read_file(&good, wheel, NULL), M8_OK);
    for (size_t i = 0; i < good.len; i++) {
        good.data[i] ^= 0x41;
        assert_int_equal(m8_write_file(wheel, good.data, good.len, NULL), M8_OK);
        m8__part_restart(&p, NULL);
        m8_status st = m8__wheel_member(&p, wheel, "pkg/f", sizeof zeros, NULL);
        assert_true(st == M8_OK || st == M8_E_FORMAT || st == M8_E_HASH || st == M8_E_NOMEM);
        assert_true(p.size <= (int64_t)sizeof zeros);
        good.data[i] ^= 0x41;
        assert_int_equal(m8_write_file(wheel, good.data, i, NULL), M8_OK);
        assert_int_not_equal(m8__wheel_member(&p, wheel, "pkg/f", sizeof zeros, NULL), M8_OK);
    }
    m8_buf_finish(&good);
    m8__part_close(&p);
    m8_free(wheel);
    m8__repo_finish(&r);
}

/* ---- everything that can fail ---- */

static m8_status work(void *arg, m8_error *err)
{
    struct m8__repo r;
    m8_hub *hub = NULL;
    char *path = NULL, *pip = NULL;
    int lock = -1, held = -1;
    m8_status st = m8__repo_init(&r, dir, "org/name", err);
    if (st) return st;
    st = put(&r, "hello\n", GIT, SHA, err);
    if (!st)
        st = m8_hub_open(
            &hub, &(m8_hub_opts){ .cache = dir, .catalog = arg, .offline = true, .token = "x", .endpoint = "http://h" }, err);
    if (!st) st = m8__repo_lock(&lock, hub, &r, "x", err);
    if (lock >= 0) m8_sys_get()->close(lock);
    if (!st) st = m8_hub_pull(hub, "thing", NULL, err);
    if (!st) st = m8_hub_path(hub, "thing", &path, err);
    m8_free(path);
    path = NULL;
    if (!st) st = m8_hub_path(hub, "org/name/f", &path, err);
    m8_free(path);
    if (!st) st = m8_hub_pull(hub, "org/name", &(m8_hub_pull_opts){ .files = (const char *const[]){ "f" }, .n_files = 1 }, err);
    if (!st) st = m8__pip_dir(&pip, &held, dir, err);
    if (pip) m8__remove_tree(pip);
    if (held >= 0) m8_sys_get()->close(held);
    m8_free(pip);
    m8_hub_close(hub);
    m8__repo_finish(&r);
    char *all = strcpy((char[64]){ 0 }, dir);
    strcat(all, "/models--org--name");
    m8__remove_tree(all);
    return st;
}

static void test_torture(void **s)
{
    static const char catalog[] =
        "{\"version\":1,\"sets\":{},\"packages\":{},\"models\":[{\"id\":\"thing\",\"role\":\"asr\",\"family\":\"x\",\"licence\":"
        "\"x\",\"repo\":\"org/name\","
        "\"revision\":\"" COMMIT "\",\"main\":\"f\",\"files\":[{\"name\":\"f\",\"size\":6,\"sha256\":\"" SHA "\",\"git\":\"" GIT
        "\"}]}]}";
    char *path = m8_join_path(dir, "catalog.json");
    assert_int_equal(m8_write_file(path, catalog, sizeof catalog - 1, NULL), M8_OK);
    torture(work, path);
    m8_free(path);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = { T(test_blobs), T(test_links_and_refs), T(test_check), T(test_wheel), T(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
