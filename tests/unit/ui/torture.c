/* Every allocation and system call fails in turn: files, streams, login, and whole requests. Nothing crashes, nothing is left behind. */
#include "torture.h"
#include "served.h"

static m8_status files(void *arg, m8_error *err)
{
    struct served s;
    json_t *out = NULL, *in = NULL, *copy = NULL;
    memset(&s, 0, sizeof s);
    s.app.launch.cache_dir = TMP "-to";
    s.app.launch.auth = "a:b\nc:d";
    m8_status st = served_mount(&s, NULL, err);
    if (!st) st = m8__file_bytes(&s.app, "ann", "a.txt", "abc", 3, &out, err);
    if (!st) st = m8__file_in(&s.app, &(struct m8__session){ &s.app, "ann" }, out, &in, err);
    if (!st) st = m8__file_out(&s.app, "bob", json_string_value(json_object_get(out, "path")), &copy, err);
    if (!st) st = m8__add_urls(out, "http://h");
    if (st && !err->status) m8_fail(err, st, "urls");
    json_decref(out);
    json_decref(in);
    json_decref(copy);
    if (s.app.files) {
        m8__files_user(&s.app, "ann", "a");
        m8__files_forget(&s.app, "ann");
        if (s.app.files->folder.path) m8__files_sweep(&s.app, m8_now_s() + 1e6);
    }
    served_unmount(&s);
    return st;
}

static m8_status sound(void *arg, m8_error *err)
{
    static float x[9000];
    const m8_buf *mp3 = arg;
    struct served s;
    memset(&s, 0, sizeof s);
    s.app.launch.cache_dir = TMP "-to";
    struct m8__stream *one = NULL, *two = NULL;
    m8_status st = served_mount(&s, NULL, err);
    if (!st) st = m8__stream_open(&s.app, "ann", &s.audio, &one, err);
    if (!st) st = m8__stream_pcm(one, x, 9000, 22050, err);
    if (!st) st = m8__stream_open(&s.app, "ann", &s.audio, &two, err);
    if (!st) st = m8__stream_bytes(two, mp3->data, mp3->len, err);
    json_t *value = one ? m8__stream_value(one) : NULL;
    json_decref(value);
    m8__stream_end(one);
    m8__stream_end(two);
    served_unmount(&s);
    return st;
}

static void try(struct served *s, const char *request, size_t n)
{
    char text[60000];
    int fd = dial(&s->server);
    say(fd, request, n);
    hear(fd, text, sizeof text, 1000);
    close(fd);
}

static void try_text(struct served *s, const char *request) { try(s, request, strlen(request)); }

/* With a server: whatever fails, it goes on and comes to its end. A failure may cost an answer, or the connection. */
static m8_status requests(void *arg, m8_error *err)
{
    struct served s;
    m8_buf b = {0}, body = {0};
    memset(&s, 0, sizeof s);
    s.app.launch.cache_dir = TMP "-to";
    m8_status st = m8_http_open(&s.server.h, &(m8_http_opts){ .log = no_log }, err);
    if (st) return st;
    st = served_mount(&s, s.server.h, err);
    if (!st && !pthread_create(&s.server.thread, NULL, server_main, s.server.h)) {
        void *bad;
        add_part(&body, "files", "a.txt", "0123456789", 10);
        add_part(&body, "files", "b.txt", "0123456789", 10);
        m8_buf_str(&body, "--" BOUNDARY "--\r\n");
        m8_buf_printf(&b, "POST /gradio_api/upload?upload_id=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: " MULTIPART "\r\nContent-Length: %zu\r\n\r\n", body.len);
        m8_buf_add(&b, body.data, body.len);
        if (!b.status && !body.status) try(&s, b.data, b.len);
        try_text(&s, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        try_text(&s, "GET /gradio_api/upload_progress?upload_id=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        try_text(&s, "GET /gradio_api/file=/etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        try_text(&s, "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n");
        m8_http_stop(s.server.h, 0);
        pthread_join(s.server.thread, &bad);
    }
    m8_http_close(s.server.h);
    served_unmount(&s);
    m8_buf_finish(&b);
    m8_buf_finish(&body);
    return st;
}

static void test_files(void **state) { assert_true(torture(files, NULL) >= 20); }

static void test_sound(void **state)
{
    m8_buf mp3 = {0};
    m8_error err = {0};
    char path[512];
    const char *dir = getenv("MAGIC8_TEST_DATA");
    snprintf(path, sizeof path, "%s/audio-formats/bare.mp3", dir ? dir : "tests/data");
    if (m8_read_file(&mp3, path, &err)) fail_msg("%s", err.text);
    m8_audio_load(NULL);
    assert_true(torture(sound, &mp3) >= 20);
    m8_buf_finish(&mp3);
}

static void test_requests(void **state) { assert_true(torture(requests, NULL) >= 20); }

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_files), cmocka_unit_test(test_sound), cmocka_unit_test(test_requests) };
    json_set_alloc_funcs(m8_malloc, m8_free);
    if (system("rm -rf " TMP "-to && mkdir -p " TMP "-to")) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
