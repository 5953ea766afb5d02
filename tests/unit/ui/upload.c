/* Uploads: what arrives whole is kept, anything else leaves nothing. Rows B of the security list. */
#include "served.h"
#include <stdatomic.h>

static struct served s;

enum { MOST = 10240 };

static atomic_bool disk_full;

static ssize_t write_or_not(int fd, const void *data, size_t n)
{
    if (!atomic_load(&disk_full)) return write(fd, data, n);
    errno = ENOSPC;
    return -1;
}

static int open_app(void **state)
{
    if (system("rm -rf " TMP "-up && mkdir -p " TMP "-up")) return -1;
    static const m8_sys sys = { .write = write_or_not };
    m8_sys_set(&sys); /* before there are threads */
    memset(&s, 0, sizeof s);
    s.app.launch = (m8_launch_opts){ .cache_dir = TMP "-up", .max_file_size = MOST, .max_session_bytes = 100000 };
    served_open(&s);
    return 0;
}

static int close_app(void **state)
{
    served_close(&s);
    return 0;
}

static void forget_all(void)
{
    s.app.files->swept = 0;
    m8__files_sweep(&s.app, m8_now_s() + M8__UNCLAIMED_S + 100);
    assert_int_equal(files_on_disk(&s), 0);
    assert_int_equal(s.app.files->bytes, 0);
    assert_int_equal(s.app.files->files, 0);
}

/* A body of these bytes is refused with the status, and nothing lies on the disk. */
static struct reply refused(const char *type, const char *body, size_t n, int status)
{
    double begun = m8_now_s();
    struct reply r = post(&s, "/gradio_api/upload", type, body, n, NULL);
    if (r.status != status) fail_msg("%s: expected %d, got %d %s", type, status, r.status, r.body);
    assert_true(m8_now_s() - begun < 1);
    assert_int_equal(files_on_disk(&s), 0);
    return r;
}

static void test_as_gradio(void **state)
{
    m8_buf b = {0};
    add_part(&b, "files", "a.txt", "0123", 4);
    add_part(&b, "other", "o.txt", "no", 2);
    add_part(&b, "files", "b.html", "<b>", 3);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    struct reply r = post(&s, "/gradio_api/upload", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    json_t *list = json_loads(r.body, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    static const char *const names[] = { "/a.txt", "/b.html" };
    for (size_t i = 0; i < 2; i++) {
        const char *path = json_string_value(json_array_get(list, i));
        assert_string_equal(strrchr(path, '/'), names[i]);
        assert_int_equal(fetch_status(&s, path, NULL), 200);
    }
    json_decref(list);
    reply_free(&r);
    m8_buf_clear(&b);
    add_part(&b, "other", "a.txt", "0123", 4);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    r = post(&s, "/gradio_api/upload", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "[]");
    reply_free(&r);
    m8_buf_clear(&b);
    add_part(&b, "files", "e.txt", "", 0);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    r = post(&s, "/gradio_api/upload", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200); /* an empty file is a file */
    reply_free(&r);
    m8_buf_finish(&b);
    forget_all();
    r = refused("application/x-www-form-urlencoded", "x=1", 3, 400);
    assert_string_equal(r.body, "{\"detail\":\"Invalid content type.\"}");
    reply_free(&r);
}

static void test_limits(void **state)
{
    static char big[400000];
    char want[100];
    struct reply r = upload_with(&s, "fits.bin", big, MOST, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    forget_all();
    r = upload_with(&s, "big.bin", big, MOST + 1, NULL);
    assert_int_equal(r.status, 413);
    snprintf(want, sizeof want, "File size exceeded maximum allowed size of %d bytes.", MOST);
    assert_string_equal(r.body, want);
    assert_int_equal(files_on_disk(&s), 0);
    reply_free(&r);
    /* B4: without a length, the limit holds while the body comes; what was whole before it is not kept either */
    m8_buf b = {0}, chunked = {0};
    add_part(&b, "files", "first.txt", "ok", 2);
    add_part(&b, "files", "big.bin", big, sizeof big);
    m8_buf_str(&chunked, "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: " MULTIPART "\r\n\r\n");
    for (size_t at = 0; at < b.len; at += 5000) {
        size_t n = b.len - at < 5000 ? b.len - at : 5000;
        m8_buf_printf(&chunked, "%zx\r\n", n);
        m8_buf_add(&chunked, b.data + at, n);
        m8_buf_str(&chunked, "\r\n");
    }
    int fd = dial(&s.server);
    char text[1000];
    say(fd, chunked.data, chunked.len); /* never ended */
    assert_true(hear_until(fd, text, sizeof text, "exceeded", 5000));
    assert_non_null(strstr(text, " 413 "));
    close(fd);
    assert_int_equal(files_on_disk(&s), 0);
    m8_buf_finish(&chunked);
    m8_buf_finish(&b);
    /* B8: of one client all together */
    int ok = 0, limited = 0;
    for (int i = 0; i < 12; i++) {
        r = upload_with(&s, "part.bin", big, MOST, NULL);
        ok += r.status == 200;
        limited += r.status == 429;
        reply_free(&r);
    }
    assert_int_equal(ok, 9); /* 100,000 bytes */
    assert_int_equal(limited, 3);
    assert_int_equal(files_on_disk(&s), 2 * 9);
    forget_all();
    r = upload_with(&s, "again.bin", big, MOST, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    forget_all();
}

static void test_hostile(void **state)
{
    static char junk[1 << 20];
    m8_buf b = {0};
    for (int k = 0; k < 3; k++) { /* B1 */
        memset(junk, k == 0 ? '-' : k == 1 ? 'x' : '\n', sizeof junk);
        for (size_t i = 0; k == 2 && i < sizeof junk; i += 2) junk[i] = '\r';
        m8_buf_clear(&b);
        m8_buf_add(&b, junk, sizeof junk);
        add_part(&b, "files", "a.txt", "0123", 4);
        m8_buf_str(&b, "--" BOUNDARY "--\r\n");
        struct reply r = refused(MULTIPART, b.data, b.len, 400);
        reply_free(&r);
        m8_buf_clear(&b);
        add_part(&b, "files", "a.txt", "0123", 4);
        m8_buf_str(&b, "--" BOUNDARY "--\r\n");
        m8_buf_add(&b, junk, sizeof junk);
        r = refused(MULTIPART, b.data, b.len, 400);
        reply_free(&r);
    }
    static const char *const types[] = { /* B2 */
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"", "multipart/form-data; boundary=\"\"", "multipart/form-data; b=xXx",
        "multipart/mixed; boundary=xXx", "text/plain", "", "multipart/form-data; boundary=\"xXx",
    };
    m8_buf_clear(&b);
    add_part(&b, "files", "a.txt", "0123", 4);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct reply r = refused(types[i], b.data, b.len, 400);
        assert_non_null(strstr(r.body, "Invalid content type."));
        reply_free(&r);
    }
    char *wide = malloc(10100);
    memset(wide, 'b', 10100);
    memcpy(wide, "multipart/form-data; boundary=", 30);
    wide[4000] = 0;
    struct reply r = refused(wide, b.data, b.len, 400);
    reply_free(&r);
    free(wide);
#define B "--" BOUNDARY "\r\n"
#define E "--" BOUNDARY "--\r\n"
    static const char *const bodies[] = {
        "", "x", B, B "\r\n\r\n", B "Content-Disposition: form-data; name=\"files\"; filename=\"a\"", B "Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n",
        B "Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\ndata", B "Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\ndata\r\n--" BOUNDARY,
        B "Content-Disposition: form-data; name=\"files\"\r\n\r\nno file\r\n" E, "--" BOUNDARY "x\r\n" E,
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        r = post(&s, "/gradio_api/upload", MULTIPART, bodies[i], strlen(bodies[i]), NULL);
        if (r.status != 400) fail_msg("body %zu: %d %s", i, r.status, r.body);
        assert_int_equal(files_on_disk(&s), 0);
        reply_free(&r);
    }
    /* B3: heads */
    memset(junk, 'x', sizeof junk);
    for (int k = 0; k < 2; k++) {
        m8_buf_clear(&b);
        m8_buf_str(&b, B "Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n");
        if (k) for (int i = 0; i < 50000; i++) m8_buf_str(&b, "X: y\r\n");
        else m8_buf_str(&b, "X: "), m8_buf_add(&b, junk, sizeof junk), m8_buf_str(&b, "\r\n");
        m8_buf_str(&b, "\r\ndata\r\n" E);
        r = refused(MULTIPART, b.data, b.len, 400);
        reply_free(&r);
    }
    /* B6: filename* does not count */
    m8_buf_clear(&b);
    m8_buf_str(&b, B "Content-Disposition: form-data; name=\"files\"; filename*=UTF-8''..%2fx; filename=\"kept.txt\"\r\n\r\ndata\r\n" E);
    r = post(&s, "/gradio_api/upload", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "/kept.txt\""));
    reply_free(&r);
    forget_all();
    /* B8: parts */
    m8_buf_clear(&b);
    for (int i = 0; i < 1001; i++) add_part(&b, "files", "a", "x", 1);
    m8_buf_str(&b, E);
    r = post(&s, "/gradio_api/upload", MULTIPART, b.data, b.len, NULL);
    assert_true(r.status >= 400 && r.status < 500);
    assert_int_equal(files_on_disk(&s), 0);
    reply_free(&r);
    m8_buf_finish(&b);
}

static void test_breaks_off(void **state)
{
    static const char head[] = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\nContent-Type: " MULTIPART "\r\n\r\n" B
                               "Content-Disposition: form-data; name=\"files\"; filename=\"a.bin\"\r\n\r\nsome of it";
    int fd[M8__UPLOADS_EACH];
    for (int i = 0; i < M8__UPLOADS_EACH; i++) {
        fd[i] = dial(&s.server);
        say(fd[i], head, sizeof head - 1);
    }
    double end = m8_now_s() + 5;
    while (files_on_disk(&s) < 2 * M8__UPLOADS_EACH && m8_now_s() < end) usleep(10000);
    assert_int_equal(files_on_disk(&s), 2 * M8__UPLOADS_EACH);
    struct reply r = upload_with(&s, "more.txt", "x", 1, NULL); /* one client cannot have more under way */
    assert_int_equal(r.status, 429);
    reply_free(&r);
    for (int i = 0; i < M8__UPLOADS_EACH; i++) close(fd[i]);
    end = m8_now_s() + 5;
    while (files_on_disk(&s) && m8_now_s() < end) usleep(10000);
    forget_all();
    r = upload_with(&s, "more.txt", "x", 1, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    forget_all();
}

static void test_disk_full(void **state)
{
    atomic_store(&disk_full, true);
    struct reply r = upload_with(&s, "a.txt", "0123", 4, NULL);
    atomic_store(&disk_full, false);
    assert_int_equal(r.status, 507);
    assert_string_equal(r.body, "{\"detail\":\"There is no room left on the server's disk\"}");
    reply_free(&r);
    forget_all();
}

static void test_progress(void **state)
{
    char text[4000];
    static char data[9000];
    assert_int_equal(status_of(&s, "GET", "/gradio_api/upload_progress", NULL), 422);
    int watch = dial(&s.server);
    say_text(watch, "GET /gradio_api/upload_progress?upload_id=u9 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    usleep(50000);
    m8_buf b = {0};
    add_part(&b, "files", "p.bin", data, sizeof data);
    m8_buf_str(&b, E);
    struct reply r = post(&s, "/gradio_api/upload?upload_id=u9", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_true(hear(watch, text, sizeof text, 5000) > 0);
    close(watch);
    assert_non_null(strstr(text, "text/event-stream"));
    size_t sum = 0;
    static const char update[] = "data: {\"msg\":\"update\",\"orig_name\":\"p.bin\",\"chunk_size\":";
    for (const char *e = text; (e = strstr(e, update)) != NULL; e += sizeof update - 1) sum += strtoul(e + sizeof update - 1, NULL, 10);
    assert_int_equal(sum, sizeof data);
    assert_non_null(strstr(text, "data: {\"msg\":\"done\"}\n\n"));
    /* who comes late hears it too */
    r = get(&s, "GET", "/gradio_api/upload_progress?upload_id=u9", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"chunk_size\":"));
    assert_non_null(strstr(r.body, "{\"msg\":\"done\"}"));
    reply_free(&r);
    double begun = m8_now_s();
    assert_int_equal(status_of(&s, "GET", "/gradio_api/upload_progress?upload_id=never", NULL), 404);
    assert_true(m8_now_s() - begun > 2.5 && m8_now_s() - begun < 5);
    /* a watcher that leaves, and an upload that breaks off under one that stays */
    for (int k = 0; k < 2; k++) {
        watch = dial(&s.server);
        say_text(watch, k ? "GET /gradio_api/upload_progress?upload_id=u11 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                          : "GET /gradio_api/upload_progress?upload_id=u10 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        usleep(30000);
        if (!k) {
            close(watch);
            r = post(&s, "/gradio_api/upload?upload_id=u10", MULTIPART, b.data, b.len, NULL);
            assert_int_equal(r.status, 200);
            reply_free(&r);
            continue;
        }
        char *request = m8_sprintf("POST /gradio_api/upload?upload_id=u11 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\nContent-Type: " MULTIPART "\r\n\r\n");
        int fd = dial(&s.server);
        say_text(fd, request);
        say(fd, b.data, 3000);
        usleep(30000);
        close(fd);
        assert_true(hear(watch, text, sizeof text, 5000) > 0);
        assert_null(strstr(text, "done"));
        close(watch);
        m8_free(request);
    }
    m8_buf_finish(&b);
    forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_gradio),   cmocka_unit_test(test_limits),    cmocka_unit_test(test_hostile),
                                        cmocka_unit_test(test_breaks_off), cmocka_unit_test(test_disk_full), cmocka_unit_test(test_progress) };
    return cmocka_run_group_tests(tests, open_app, close_app);
}
