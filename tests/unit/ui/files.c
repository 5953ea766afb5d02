/* Files: what may be read, by whom, in which pieces; what goes in and out of handlers; how long they live. Rows A of the security list. */
#include "served.h"

static struct served s;

static int open_app(void **state)
{
    static const char *allowed[2] = { TMP "/allowed", TMP "/case" }, *blocked[1] = { TMP "/allowed/Secret" };
    if (system("rm -rf " TMP " && mkdir -p " TMP "/allowed/Secret " TMP "/allowed-evil " TMP "/base " TMP "/case && cd " TMP "/allowed && echo -n page >x.html && echo -n in >in.txt && "
               "echo -n no >Secret/no.txt && ln -s /etc/passwd link.txt && ln -s ../allowed-evil dir && mkfifo fifo && echo -n evil >../allowed-evil/x.txt"))
        return -1;
    memset(&s, 0, sizeof s);
    s.app.launch = (m8_launch_opts){ .cache_dir = TMP "/base", .allowed_paths = allowed, .n_allowed = 2, .blocked_paths = blocked, .n_blocked = 1 };
    served_open(&s);
    return 0;
}

static int close_app(void **state)
{
    char dir[300];
    snprintf(dir, sizeof dir, "%s", m8__files_dir(&s.app));
    served_close(&s);
    assert_int_equal(access(dir, F_OK), -1); /* gone with the app */
    return 0;
}

static void refused(const char *target)
{
    struct reply r = get(&s, "GET", target, NULL);
    if ((r.status < 400 || r.status > 499) && strncmp(r.body, "<!doctype html>", 15)) fail_msg("%s: %d %s", target, r.status, r.body);
    if (strstr(r.body, "root:")) fail_msg("%s: %s", target, r.body);
    reply_free(&r);
}

static void test_a1_traversal(void **state)
{
    static const char *const paths[] = {
        "/etc/passwd", "/tmp/gradio/../../etc/passwd", "%2fetc%2fpasswd", "/%2e%2e/etc/passwd", "/tmp/%2e%2e%2fetc%2fpasswd", "%252fetc%252fpasswd",
        "/tmp/%252e%252e/etc/passwd", "/%c0%ae%c0%ae/etc/passwd", "%c0%afetc%c0%afpasswd", "..%5c..%5cetc%5cpasswd", "..\\..\\etc\\passwd", "....//....//etc/passwd",
        "../../../../../../etc/passwd", "file:///etc/passwd", "file:/etc/passwd", "FILE:///etc/passwd", "/proc/self/root/etc/passwd", "/proc/self/environ",
        "/proc/self/mem", "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "/dev/null", "/sys/kernel/notes", "//etc/passwd", "///etc/passwd", "/./etc/passwd",
        "/etc//passwd", "\\etc\\passwd", "/\\etc/passwd", "%2f%2fetc/passwd", "http://127.0.0.1/x", "http%3A%2F%2Fevil.example", "https:/evil", "//evil.example/..",
        "/%2fevil.example", "", "/", ".", "..", "~root/.bashrc", "/etc/passwd%00.png", "/etc/passwd%0a", "%ff%fe", "data:text/html,x", "/etc/", "\xC2\xAF",
    };
    char target[300];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(target, sizeof target, "/gradio_api/file=%s", paths[i]);
        refused(target);
        snprintf(target, sizeof target, "/gradio_api/file/%s", paths[i]);
        refused(target);
        snprintf(target, sizeof target, "/static/%s", paths[i]);
        refused(target);
        snprintf(target, sizeof target, "/assets/%s", paths[i]);
        refused(target);
        /* begun in a place that is allowed */
        snprintf(target, sizeof target, "/gradio_api/file=" TMP "/allowed/../../../%s", paths[i]);
        refused(target);
        snprintf(target, sizeof target, "/gradio_api/file=%s/../../../../%s", m8__files_dir(&s.app), paths[i]);
        refused(target);
    }
    struct reply r = get(&s, "GET", "/gradio_api/file=/etc/passwd", NULL);
    assert_int_equal(r.status, 403);
    assert_string_equal(r.body, "{\"detail\":\"File not allowed: /etc/passwd.\"}");
    reply_free(&r);
}

static void test_a2_siblings_links_pipes(void **state)
{
    assert_int_equal(fetch_status(&s, TMP "/allowed/in.txt", NULL), 200);
    assert_int_equal(fetch_status(&s, TMP "/allowed/../allowed/./in.txt", NULL), 200); /* resolved, it lies within */
    assert_int_equal(fetch_status(&s, TMP "/allowed-evil/x.txt", NULL), 403);
    assert_int_equal(fetch_status(&s, TMP "/allowed/../allowed-evil/x.txt", NULL), 403);
    assert_int_equal(fetch_status(&s, TMP "/allowedx", NULL), 403);
    assert_int_equal(fetch_status(&s, TMP "/allowed/link.txt", NULL), 403);
    assert_int_equal(fetch_status(&s, TMP "/allowed/dir/x.txt", NULL), 403);
    double begun = m8_now_s();
    assert_int_equal(fetch_status(&s, TMP "/allowed/fifo", NULL), 403);
    assert_true(m8_now_s() - begun < 1);
    assert_int_equal(fetch_status(&s, TMP "/allowed", NULL), 403);
    assert_int_equal(fetch_status(&s, TMP "/allowed/none.txt", NULL), 403);
    /* blocked paths win, whatever their letters look like */
    assert_int_equal(fetch_status(&s, TMP "/allowed/Secret/no.txt", NULL), 403);
    assert_int_equal(system("mkdir -p " TMP "/allowed/SECRET && echo -n x >" TMP "/allowed/SECRET/no.txt"), 0);
    assert_int_equal(fetch_status(&s, TMP "/allowed/SECRET/no.txt", NULL), 403);
    /* the cache folder: only what was given out, neither its lock nor a stranger's link */
    char path[600];
    snprintf(path, sizeof path, "%s/.lock", m8__files_dir(&s.app));
    assert_int_equal(fetch_status(&s, path, NULL), 403);
    char *mine = upload(&s, "a.txt", "0123456789"), *slash = strrchr(mine, '/');
    snprintf(path, sizeof path, "%.*s/other.txt", (int)(slash - mine), mine);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(fetch_status(&s, path, NULL), 403);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fetch_status(&s, mine, NULL), 200);
    assert_int_equal(rename(mine, path), 0); /* what was put in the place of a file is not served */
    assert_int_equal(symlink("/etc/passwd", mine), 0);
    assert_int_equal(fetch_status(&s, mine, NULL), 403);
    assert_int_equal(unlink(mine), 0);
    assert_int_equal(rename(path, mine), 0);
    free(mine);
}

static void check(const char *url, const char *lines, int status, const char *type, const char *disposition, const char *range, const char *body)
{
    char v[200];
    struct reply r = get(&s, "GET", url, lines);
    assert_int_equal(r.status, status);
    if (type) assert_string_equal(header_of(&r, "content-type", v, sizeof v), type);
    if (disposition) assert_string_equal(header_of(&r, "content-disposition", v, sizeof v), disposition);
    if (range) assert_string_equal(header_of(&r, "content-range", v, sizeof v), range);
    assert_string_equal(header_of(&r, "accept-ranges", v, sizeof v), "bytes");
    assert_string_equal(header_of(&r, "x-content-type-options", v, sizeof v), "nosniff");
    if (body) assert_string_equal(r.body, body);
    reply_free(&r);
}

static void test_types_and_ranges(void **state)
{
    char *text = upload(&s, "a.txt", "0123456789"), *url = file_url(text);
    check(url, NULL, 200, "text/plain; charset=utf-8", "inline; filename=\"a.txt\"", NULL, "0123456789");
    check(url, "Range: bytes=2-\r\n", 206, "text/plain; charset=utf-8", "inline; filename=\"a.txt\"", "bytes 2-9/10", "23456789");
    check(url, "Range: bytes=-3\r\n", 206, NULL, NULL, "bytes 7-9/10", "789");
    check(url, "Range: bytes=2-5\r\nCookie: secret=1\r\n", 206, NULL, NULL, "bytes 2-5/10", "2345");
    check(url, "Range: bytes=50-60\r\n", 416, NULL, NULL, "bytes */10", "{\"detail\":\"Requested Range Not Satisfiable\"}");
    check(url, "Range: bytes=0-99999999999999999999\r\n", 206, NULL, NULL, "bytes 0-9/10", "0123456789");
    m8_buf many = {0};
    m8_buf_str(&many, "Range: bytes=0-1");
    for (int i = 0; i < 1000; i++) m8_buf_str(&many, ",0-1");
    m8_buf_str(&many, "\r\n");
    struct reply r = get(&s, "GET", url, many.data);
    assert_true(r.n_body <= 100 && (r.status == 200 || r.status == 416)); /* one range or none, never more than the file */
    reply_free(&r);
    m8_buf_finish(&many);
    r = get(&s, "HEAD", url, NULL);
    char v[64];
    assert_int_equal(r.status, 200);
    assert_int_equal(r.n_body, 0);
    assert_string_equal(header_of(&r, "content-length", v, sizeof v), "10");
    assert_non_null(header_of(&r, "last-modified", v, sizeof v));
    char again[100], tag[64];
    snprintf(again, sizeof again, "If-None-Match: %s\r\n", header_of(&r, "etag", tag, sizeof tag));
    reply_free(&r);
    assert_int_equal(status_of(&s, "GET", url, again), 304);
    char *old = m8_sprintf("/gradio_api/file/%s", url + strlen("/gradio_api/file="));
    assert_int_equal(status_of(&s, "GET", old, NULL), 200);
    m8_free(old);
    m8_free(url);
    free(text);
    /* B7: what a browser might run is for download only, and never by its own type */
    static const char *const active[] = { "x.html", "x.svg", "x.js", "x.xml", "x.xhtml", "x.htm", "x.mjs", "x.pdf", "noext" };
    for (size_t i = 0; i < sizeof active / sizeof *active; i++) {
        char want[100];
        char *path = upload(&s, active[i], "<script>alert(1)</script>");
        url = file_url(path);
        snprintf(want, sizeof want, "attachment; filename=\"%s\"", active[i]);
        check(url, NULL, 200, "application/octet-stream", want, NULL, "<script>alert(1)</script>");
        m8_free(url);
        free(path);
    }
    char *png = upload(&s, "x.png", "<script>alert(1)</script>");
    url = file_url(png);
    check(url, NULL, 200, "image/png", "inline; filename=\"x.png\"", NULL, NULL);
    m8_free(url);
    free(png);
    /* the operator's own page is shown, apart from our origin */
    r = get(&s, "GET", "/gradio_api/file=" TMP "/allowed/x.html", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), "text/html; charset=utf-8");
    assert_non_null(strstr(header_of(&r, "content-security-policy", v, sizeof v), "sandbox"));
    reply_free(&r);
}

static void test_a9_names(void **state)
{
    static const struct {
        const char *given, *kept;
    } names[] = { { "my notes.txt", "my notes.txt" }, { "../../x", "x" }, { "/tmp/x", "x" }, { "a#b%25&c.txt", "a#b%25&c.txt" }, { "\xE4\xBD\xA0\xE5\xA5\xBD.wav", "\xE4\xBD\xA0\xE5\xA5\xBD.wav" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = upload(&s, names[i].given, "x"), *base = strrchr(path, '/') + 1;
        assert_string_equal(base, names[i].kept);
        assert_true(m8__within(m8__files_dir(&s.app), path, false));
        assert_int_equal(fetch_status(&s, path, NULL), 200);
        free(path);
    }
    char *one = upload(&s, "same.txt", "same"), *two = upload(&s, "same.txt", "same");
    assert_string_not_equal(one, two); /* A11: the same bytes lie in places of their own */
    assert_int_equal(strspn(strrchr(one, '/') - 32, "0123456789abcdef"), 32);
    struct stat st;
    assert_int_equal(stat(one, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(m8__files_dir(&s.app), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    free(one);
    free(two);
    struct reply r = upload_with(&s, "..", "x", 1, NULL);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    r = upload_with(&s, "", "x", 1, NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "/tmp"));
    reply_free(&r);
}

static m8_status take(const char *session, const char *path, const char *more, json_t **out)
{
    m8_error err = {0};
    struct m8__session one = { &s.app, session };
    json_t *v = json_pack("{s:s, s:{s:s}}", "path", path, "meta", "_type", "gradio.FileData");
    json_t *add = more ? json_loads(more, 0, NULL) : NULL;
    if (add) json_object_update(v, add);
    m8_status st = m8__file_in(&s.app, session ? &one : NULL, v, out, &err);
    if (st) assert_true(err.text[0] && (!path[0] || !path[1] || !strstr(err.text, path)));
    json_decref(v);
    json_decref(add);
    return st;
}

static void test_a4_inputs(void **state)
{
    json_t *out = NULL;
    char *path = upload(&s, "q.wav", "sound");
    assert_int_equal(take(NULL, path, NULL, &out), M8_OK); /* without a session: used, not claimed */
    json_decref(out);
    assert_int_equal(take("ann", path, "{\"orig_name\":\"../../My Q?.wav\",\"url\":\"file:///etc/passwd\",\"size\":7}", &out), M8_OK);
    char *got = json_dumps(out, JSON_COMPACT);
    char *want = m8_sprintf("{\"path\":\"%s\",\"url\":null,\"size\":5,\"orig_name\":\"My Q.wav\",\"mime_type\":null,\"is_stream\":false,\"meta\":{\"_type\":\"gradio.FileData\"}}", path);
    assert_string_equal(got, want);
    free(got);
    m8_free(want);
    json_decref(out);
    assert_int_equal(take("ann", path, NULL, &out), M8_OK);
    json_decref(out);
    assert_int_equal(take("bob", path, NULL, &out), M8_E_ARG); /* it is ann's now */
    assert_null(out);
    assert_int_equal(take(NULL, path, NULL, &out), M8_E_ARG);
    static const char *const bad[] = { "/etc/passwd", TMP "/allowed/in.txt", "", ".", "x", "file:///etc/passwd", "http://127.0.0.1/", "/dev/urandom" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(take("ann", bad[i], NULL, &out), M8_E_ARG);
    char *other = m8_sprintf("%s/../%s", m8__files_dir(&s.app), strrchr(m8__files_dir(&s.app), '/') + 1), *odd = m8_sprintf("%s%s", other, path + strlen(m8__files_dir(&s.app)));
    assert_int_equal(take("ann", odd, NULL, &out), M8_E_ARG); /* the path as it was given, no other way to it */
    m8_free(odd);
    m8_free(other);
    m8_error err = {0};
    struct m8__session ann = { &s.app, "ann" };
    static const char *const shapes[] = { "null", "7", "[]", "{}", "\"/etc/passwd\"", "{\"path\":\"/etc/passwd\"}", "{\"path\":7,\"meta\":{\"_type\":\"gradio.FileData\"}}",
                                          "{\"path\":\"/x\",\"meta\":{\"_type\":\"other\"}}", "{\"path\":\"/x\",\"meta\":7}", "{\"path\":{},\"meta\":{\"_type\":[]}}" };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        json_t *v = json_loads(shapes[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(m8__file_in(&s.app, &ann, v, &out, &err), M8_E_ARG);
        json_decref(v);
    }
    /* at any depth */
    json_t *deep = json_pack("{s:[n,{s:{s:s,s:{s:s},s:s}}],s:i}", "a", "image", "path", path, "meta", "_type", "gradio.FileData", "url", "http://evil", "b", 1);
    assert_int_equal(m8__files_in(&s.app, &ann, &deep, &err), M8_OK);
    assert_true(json_is_null(json_object_get(json_object_get(json_array_get(json_object_get(deep, "a"), 1), "image"), "url")));
    json_decref(deep);
    deep = json_pack("{s:[[{s:s,s:{s:s}}]]}", "a", "path", "/etc/passwd", "meta", "_type", "gradio.FileData");
    assert_int_equal(m8__files_in(&s.app, &ann, &deep, &err), M8_E_ARG);
    json_decref(deep);
    free(path);
}

static m8_status give(const char *session, const char *path, json_t **out)
{
    m8_error err = {0};
    m8_status st = m8__file_out(&s.app, session, path, out, &err);
    if (st) assert_true(err.text[0]);
    return st;
}

static void test_outputs(void **state)
{
    json_t *out, *again;
    assert_int_equal(give("ann", TMP "/allowed/in.txt", &out), M8_OK);
    const char *path = json_string_value(json_object_get(out, "path"));
    assert_true(m8__within(m8__files_dir(&s.app), path, false));
    assert_int_equal(json_integer_value(json_object_get(out, "size")), 2);
    assert_int_equal(fetch_status(&s, path, NULL), 200);
    assert_int_equal(give("ann", path, &again), M8_OK); /* lies there already */
    assert_string_equal(json_string_value(json_object_get(again, "path")), path);
    json_decref(again);
    assert_int_equal(give("bob", path, &again), M8_OK); /* another's: a copy, so that it stays when she goes */
    assert_string_not_equal(json_string_value(json_object_get(again, "path")), path);
    json_decref(again);
    assert_int_equal(take("bob", path, NULL, &again), M8_E_ARG);
    json_decref(out);
    static const char *const no[] = { "/etc/passwd", "/dev/urandom", "/dev/zero", "/proc/self/status", TMP "/allowed/Secret/no.txt", TMP "/allowed/fifo", "/etc", "" };
    double begun = m8_now_s();
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_true(give("ann", no[i], &out) != M8_OK);
    assert_int_equal(give("ann", TMP "/allowed/link.txt", &out), M8_E_ARG); /* it is /etc/passwd */
    assert_true(m8_now_s() - begun < 1);
    m8_error err = {0};
    assert_int_equal(m8__file_bytes(&s.app, "ann", "../wav/../../x.wav", "abc", 3, &out, &err), M8_OK);
    path = json_string_value(json_object_get(out, "path"));
    assert_string_equal(strrchr(path, '/'), "/x.wav");
    assert_int_equal(fetch_status(&s, path, NULL), 200);
    json_decref(out);
    assert_int_equal(m8__file_bytes(&s.app, NULL, "example.wav", "abc", 3, &out, &err), M8_OK); /* the app's: for all */
    path = json_string_value(json_object_get(out, "path"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(i ? "ann" : "bob", path, NULL, &again), M8_OK);
        json_decref(again);
    }
    json_decref(out);
}

static void test_lives(void **state)
{
    json_t *out;
    char *mine = upload(&s, "m.txt", "mine"), *chunk = upload(&s, "c.wav", "chunk"), *nobodys = upload(&s, "n.txt", "nobody's");
    assert_int_equal(take("cid", mine, NULL, &out), M8_OK);
    json_decref(out);
    assert_int_equal(take("cid", chunk, "{\"is_stream\":true}", &out), M8_OK);
    json_decref(out);
    double now = m8_now_s();
    struct m8__files *f = s.app.files;
    f->swept = 0;
    m8__files_sweep(&s.app, now + M8__STREAMED_S + 1);
    assert_int_equal(fetch_status(&s, chunk, NULL), 403); /* heard: it goes soon */
    assert_int_equal(access(chunk, F_OK), -1);
    assert_int_equal(fetch_status(&s, mine, NULL), 200);
    f->swept = 0;
    m8__files_sweep(&s.app, now + M8__UNCLAIMED_S + 10);
    assert_int_equal(fetch_status(&s, nobodys, NULL), 403);
    assert_int_equal(fetch_status(&s, mine, NULL), 200); /* as long as its session lives */
    m8__files_forget(&s.app, "cid");
    f->swept = 0;
    m8__files_sweep(&s.app, m8_now_s());
    assert_int_equal(fetch_status(&s, mine, NULL), 200); /* the answer may still be fetched */
    f->swept = 0;
    m8__files_sweep(&s.app, m8_now_s() + M8__GRACE_S + 1);
    assert_int_equal(fetch_status(&s, mine, NULL), 403);
    assert_int_equal(access(mine, F_OK), -1);
    *strrchr(mine, '/') = 0;
    assert_int_equal(access(mine, F_OK), -1); /* its folder, too */
    free(mine);
    free(chunk);
    free(nobodys);
}

static void test_leftovers(void **state)
{
    assert_int_equal(system("mkdir -p " TMP "/base/magic8-00000000deadbeef/0123456789abcdef0123456789abcdef && cd " TMP "/base/magic8-00000000deadbeef && "
                            "echo x >0123456789abcdef0123456789abcdef/left.wav && : >.lock && touch -d -5minutes . && mkdir -p ../magic8-keepme && mkdir ../magic8-0000000000000001"), 0);
    struct served other;
    memset(&other, 0, sizeof other);
    other.app.launch.cache_dir = TMP "/base";
    m8_error err = {0};
    assert_int_equal(served_mount(&other, NULL, &err), M8_OK);
    assert_int_equal(access(TMP "/base/magic8-00000000deadbeef", F_OK), -1); /* its process has died */
    assert_int_equal(access(TMP "/base/magic8-keepme", F_OK), 0);            /* not one of ours */
    assert_int_equal(access(TMP "/base/magic8-0000000000000001", F_OK), 0);  /* perhaps just being made */
    assert_int_equal(access(m8__files_dir(&s.app), F_OK), 0);                /* a living one */
    served_unmount(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a1_traversal), cmocka_unit_test(test_a2_siblings_links_pipes), cmocka_unit_test(test_types_and_ranges),
        cmocka_unit_test(test_a9_names),     cmocka_unit_test(test_a4_inputs),               cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_lives),        cmocka_unit_test(test_leftovers),
    };
    return cmocka_run_group_tests(tests, open_app, close_app);
}
