/* Files: whole, ranges, conditions, names; case A13. */
#include "form.h"
#include "http_test.h"
#include <fcntl.h>
#include <sys/stat.h>

static struct server server;
static char out[64 * 1024], dir[] = "/tmp/m8-http-XXXXXX", path[64], large[64], data[3000000], all[3100000];

static void file(m8_http_req *r, void *user)
{
    const char *name = m8_http_arg(r, "name");
    m8_http_file(r, open(user, O_RDONLY | O_CLOEXEC), "audio/wav", m8_http_arg(r, "save") != NULL, name);
}

static const m8_route routes[] = {
    { "GET", "/file", file, .user = path }, { "GET", "/large", file, .user = large }, { "GET", "/none", file, .user = "/nonexistent" }, { "GET", "/folder", file, .user = "/tmp" },
    { "GET", "/device", file, .user = "/dev/zero" },
};

static void write_file(const char *at, const void *bytes, size_t n)
{
    m8_error err = { 0 };
    assert_int_equal(m8_write_file(at, bytes, n, &err), M8_OK);
}

static int setup(void **state)
{
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(large, sizeof large, "%s/b", dir);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)('a' + i * i % 26);
    write_file(path, "0123456789", 10);
    write_file(large, data, sizeof data);
    server_open(&server, &(m8_http_opts){ 0 }, routes, sizeof routes / sizeof *routes);
    server_start(&server);
    return 0;
}

static int teardown(void **state)
{
    server_end(&server);
    unlink(path);
    unlink(large);
    rmdir(dir);
    return 0;
}

static int get(const char *target, const char *fields)
{
    char text[1024];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", target, fields);
    return ask_text(&server, text, out, sizeof out);
}

static const char *body(void) { return strstr(out, "\r\n\r\n") + 4; }
static void field(const char *name, char *value, size_t size)
{
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strstr(out, line);
    assert_non_null(at);
    at += strlen(line);
    snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
}

static void test_ranges(void **state)
{
    static const struct {
        const char *range, *content_range, *body;
        int status;
    } ranges[] = {
        { "bytes=2-4", "bytes 2-4/10", "234", 206 },    { "bytes=2-", "bytes 2-9/10", "23456789", 206 },
        { "bytes=-3", "bytes 7-9/10", "789", 206 },      { "bytes=-30", "bytes 0-9/10", "0123456789", 206 },
        { "bytes=0-0", "bytes 0-0/10", "0", 206 },       { "bytes=9-99", "bytes 9-9/10", "9", 206 },
        { "Bytes=1-1", "bytes 1-1/10", "1", 206 },       { "bytes=0-99999999999999999999999999", "bytes 0-9/10", "0123456789", 206 },
        { "bytes=10-", "bytes */10", NULL, 416 },        { "bytes=50-60", "bytes */10", NULL, 416 },
        { "bytes=-0", "bytes */10", NULL, 416 },         { "bytes=99999999999999999999999999-", "bytes */10", NULL, 416 },
        { "bytes=0-1,3-4", NULL, "0123456789", 200 },    { "bytes=4-2", NULL, "0123456789", 200 },
        { "bytes=", NULL, "0123456789", 200 },           { "bytes=-", NULL, "0123456789", 200 },
        { "bytes=a-b", NULL, "0123456789", 200 },        { "lines=1-2", NULL, "0123456789", 200 },
        { "bytes=1 -2", NULL, "0123456789", 200 },       { "bytes=+1-2", NULL, "0123456789", 200 },
        { "bytes=0x1-2", NULL, "0123456789", 200 },      { "bytes=--1", NULL, "0123456789", 200 },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char line[100], got[100];
        snprintf(line, sizeof line, "Range: %s\r\n", ranges[i].range);
        int status = get("/file", line);
        if (status != ranges[i].status) fail_msg("%s: %s", ranges[i].range, out);
        if (ranges[i].body) assert_string_equal(body(), ranges[i].body);
        if (!ranges[i].content_range) assert_null(strstr(out, "Content-Range"));
        else {
            field("Content-Range", got, sizeof got);
            assert_string_equal(got, ranges[i].content_range);
        }
    }
    m8_buf b = { 0 }; /* 1,000 overlapping ones */
    m8_buf_str(&b, "GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes=0-");
    for (int i = 0; i < 1000; i++) m8_buf_str(&b, ",0-9");
    m8_buf_str(&b, "\r\n\r\n");
    assert_int_equal(ask(&server, b.data, b.len, out, sizeof out), 200);
    assert_string_equal(body(), "0123456789");
    m8_buf_finish(&b);
}

static void test_whole(void **state)
{
    char tag[100], date[100], line[300];
    const struct timespec wednesday[] = { { 784370977, 0 }, { 784370977, 0 } }; /* "Wed" begins as a weak tag does */
    assert_int_equal(utimensat(AT_FDCWD, path, wednesday, 0), 0);
    assert_int_equal(get("/file", ""), 200);
    assert_string_equal(body(), "0123456789");
    field("ETag", tag, sizeof tag);
    field("Last-Modified", date, sizeof date);
    assert_non_null(strstr(out, "\r\nAccept-Ranges: bytes\r\n"));
    assert_non_null(strstr(out, "\r\nContent-Length: 10\r\n"));
    assert_non_null(strstr(out, "\r\nContent-Type: audio/wav\r\n"));
    assert_non_null(strstr(out, "\r\nContent-Disposition: inline\r\n"));
    const struct {
        const char *fields, *value;
        int status;
    } all_of[] = {
        { "If-None-Match: %s\r\n", tag, 304 }, { "If-None-Match: \"x\", W/%s\r\n", tag, 304 }, { "If-None-Match: *%.0s\r\n", tag, 304 },
        { "If-None-Match: \"x\"%.0s\r\n", tag, 200 }, { "If-Modified-Since: %s\r\n", date, 304 }, { "If-Modified-Since: Sun, 05 Nov 1994 08:49:37 GMT%.0s\r\n", tag, 200 },
        { "If-Modified-Since: %s\r\nIf-None-Match: \"x\"\r\n", date, 200 }, { "If-Modified-Since: nonsense%.0s\r\n", tag, 200 },
        { "Range: bytes=1-2\r\nIf-Range: %s\r\n", tag, 206 }, { "Range: bytes=1-2\r\nIf-Range: \"x\"%.0s\r\n", tag, 200 }, { "Range: bytes=1-2\r\nIf-Range: W/%s\r\n", tag, 200 },
        { "Range: bytes=1-2\r\nIf-Range: %s\r\n", date, 206 }, { "Range: bytes=1-2\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT%.0s\r\n", tag, 200 },
        { "Range: bytes=1-2\r\nIf-None-Match: %s\r\n", tag, 304 },
    };
    for (size_t i = 0; i < sizeof all_of / sizeof *all_of; i++) {
        snprintf(line, sizeof line, all_of[i].fields, all_of[i].value);
        int status = get("/file", line);
        if (status != all_of[i].status) fail_msg("%s: %s", line, out);
        if (status == 304) assert_string_equal(body(), "");
    }
    assert_int_equal(ask_text(&server, "HEAD /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out), 200);
    assert_string_equal(body(), "");
    assert_non_null(strstr(out, "\r\nContent-Length: 10\r\n"));
    assert_int_equal(get("/none", ""), 404);
    assert_int_equal(get("/folder", ""), 404);
    assert_int_equal(get("/device", ""), 404);
    write_file(path, "", 0);
    assert_int_equal(get("/file", ""), 200);
    assert_string_equal(body(), "");
    assert_int_equal(get("/file", "Range: bytes=-1\r\n"), 416);
    assert_int_equal(get("/file", "Range: bytes=0-\r\n"), 416);
    write_file(path, "0123456789", 10);
}

static void test_large(void **state)
{
    assert_int_equal(ask_text(&server, "GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", all, sizeof all), 200);
    assert_memory_equal(strstr(all, "\r\n\r\n") + 4, data, sizeof data);
    assert_int_equal(ask_text(&server, "GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes=1000001-2000000\r\n\r\n", all, sizeof all), 206);
    assert_memory_equal(strstr(all, "\r\n\r\n") + 4, data + 1000001, 1000000);
    int fd = dial(&server); /* a reader that leaves */
    say_text(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(hear_until(fd, all, sizeof all, "\r\n\r\n", 5000));
    close(fd);
    assert_int_equal(truncate(large, 100000000), 0); /* more than the kernel buffers: the end is zeros */
    fd = dial(&server); /* a file that shrinks while it is sent: the answer breaks off */
    say_text(fd, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    usleep(50000);
    assert_int_equal(truncate(large, 1000), 0);
    ssize_t n = hear(fd, all, sizeof all, 5000);
    assert_true(n > 0 && n < 100000000);
    close(fd);
    assert_int_equal(get("/file", ""), 200);
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *want;
    } names[] = {
        { "a.wav", "inline; filename=\"a.wav\"" },
        { "a%20b'(1).wav", "inline; filename=\"a b'(1).wav\"" },
        { "%22%0d%0aX:%20y%5c", "inline; filename=\"___X: y_\"; filename*=UTF-8''%22%0D%0AX%3A%20y%5C" },
        { "%e4%bd%a0%e5%a5%bd.mp3", "inline; filename=\"__.mp3\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD.mp3" },
        { "x&save=1", "attachment; filename=\"x\"" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char target[200], got[200];
        snprintf(target, sizeof target, "/file?name=%s", names[i].name);
        assert_int_equal(get(target, ""), 200);
        field("Content-Disposition", got, sizeof got);
        assert_string_equal(got, names[i].want);
        assert_null(strstr(out, "\nX:"));
    }
}

static void test_dates(void **state)
{
    char text[30];
    m8__date_write(text, 784111777);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(m8__date_read(text), 784111777);
    for (int64_t at = 0; at < 4000000000; at += 12345678) {
        m8__date_write(text, at);
        assert_int_equal(m8__date_read(text), at);
    }
    static const char *const bad[] = { "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 ovD 1994 08:49:37 GMT" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(m8__date_read(bad[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_whole), cmocka_unit_test(test_names), cmocka_unit_test(test_dates), cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
