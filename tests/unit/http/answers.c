/* Requests and answers over real sockets: framing, keep-alive, bodies, streams, posts, timers. */
#include "http_test.h"
#include <signal.h>
#include <stdatomic.h>

static struct server server;
static char out[256 * 1024];

static void hello(m8_http_req *r, void *user) { m8_http_reply(r, 200, "text/plain", "hello\n", 6); }

static void echo(m8_http_req *r, void *user)
{
    size_t n;
    const char *body = m8_http_body(r, &n);
    m8_http_reply(r, 200, "application/octet-stream", body, n);
}

static void path(m8_http_req *r, void *user)
{
    m8_buf b = { 0 };
    const char *a = m8_http_arg(r, "a"), *cookie = m8_http_cookie(r, "k");
    m8_buf_printf(&b, "path=%s rest=%s query=%s a=%s k=%s host=%s root=%s", m8_http_path(r), m8_http_rest(r), m8_http_query(r), a ? a : "-", cookie ? cookie : "-",
                  m8_http_host(r), m8_http_root(r));
    m8_http_reply_buf(r, 200, "text/plain", &b);
}

static void stream(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/event-stream");
    m8_http_write(r, "data: 1\n\n", 9);
    m8_http_write(r, "data: 2\n\n", 9);
    m8_http_end(r);
}

static char big[300000];
static void large(m8_http_req *r, void *user) { m8_http_reply_static(r, 200, "text/plain", big, sizeof big); }
static void large_stream(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/plain");
    m8_http_write(r, big, sizeof big);
    m8_http_end(r);
}

/* A body piece by piece: how many bytes and calls. */
struct sum {
    size_t n;
    int calls;
};
static void sum_begin(m8_http_req *r, void *user) { m8_http_set_user(r, m8_http_alloc(r, sizeof(struct sum))); }
static void sum_piece(m8_http_req *r, const char *data, size_t n, void *user)
{
    struct sum *s = m8_http_user(r);
    s->n += n;
    s->calls++;
    char text[64];
    if (!n) m8_http_reply(r, 200, "text/plain", text, (size_t)sprintf(text, "%zu", s->n));
}
static void early(m8_http_req *r, void *user) { m8_http_refuse(r, 422, "%s", "not \"now\"\n"); }
static void early_piece(m8_http_req *r, const char *data, size_t n, void *user) { abort(); }

/* Answered later, from another thread. */
static void later_now(void *r) { m8_http_reply(r, 200, "text/plain", "later", 5); }
static void *later_main(void *r)
{
    usleep(20000);
    m8_http_post(server.h, later_now, r);
    return NULL;
}
static void later(m8_http_req *r, void *user)
{
    pthread_t t;
    if (pthread_create(&t, NULL, later_main, r)) m8_http_refuse(r, 500, "no thread");
    else pthread_detach(t);
}

static atomic_int n_gone, n_ended;
static void ended(void *user, bool gone) { atomic_fetch_add(gone ? &n_gone : &n_ended, 1); }
static void hang(m8_http_req *r, void *user)
{
    m8_http_on_end(r, ended, NULL);
    m8_http_begin(r, 200, "text/event-stream");
}

static m8_http_timer *unsent_timer;
static int n_unsent;
static void unsent_tick(void *user)
{
    char text[64];
    m8_http_write(user, text, (size_t)sprintf(text, "unsent %zu,", m8_http_unsent(user)));
    if (++n_unsent < 3) return;
    m8_http_timer_free(unsent_timer);
    m8_http_end(user);
}
static void unsent(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/plain");
    unsent_timer = m8_http_timer_new(server.h, 0.01, 0.01, unsent_tick, r);
}

static void headers(m8_http_req *r, void *user)
{
    m8_http_set(r, "X-Name", m8_http_arg(r, "v"));
    m8_http_set(r, "Bad Name", "x");
    m8_http_set(r, "Content-Length", "3");
    m8_http_set(r, "Set-Cookie", "a=1");
    m8_http_set(r, "Set-Cookie", "b=2");
    m8_http_reply(r, 200, "text/plain\r\nX-Evil: 1", "x", 1);
}

static const m8_route routes[] = {
    { "GET", "/hello", hello },
    { "POST", "/echo", echo, .max_body = 100000 },
    { "GET", "/path*", path },
    { "GET", "/path/longer*", path },
    { "GET", "/stream", stream },
    { "GET", "/large", large },
    { "GET", "/large_stream", large_stream },
    { "POST", "/sum", sum_begin, .body = sum_piece, .max_body = 1 << 20 },
    { "POST", "/early", early, .body = early_piece },
    { "GET", "/later", later },
    { "GET", "/hang", hang },
    { "GET", "/headers", headers },
    { "GET", "/unsent", unsent },
};

static int setup(void **state)
{
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('a' + i % 26);
    server_open(&server, &(m8_http_opts){ .head_s = 1, .idle_s = 1 }, routes, sizeof routes / sizeof *routes);
    server_start(&server);
    return 0;
}

static int teardown(void **state)
{
    server_end(&server);
    return 0;
}

#define HOST "Host: localhost\r\n"
#define CLOSE HOST "Connection: close\r\n"

static void test_plain(void **state)
{
    assert_int_equal(ask_text(&server, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_non_null(strstr(out, "\r\nContent-Length: 6\r\n"));
    assert_non_null(strstr(out, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(out, "\r\nConnection: close\r\n"));
    assert_null(strstr(out, "Server:"));
    assert_null(strstr(out, "Access-Control"));
    assert_non_null(strstr(out, "\r\n\r\nhello\n"));
    assert_int_equal(ask_text(&server, "HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_non_null(strstr(out, "\r\nContent-Length: 6\r\n"));
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
    assert_int_equal(ask_text(&server, "\r\nGET http://localhost:1/hello HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_int_equal(ask_text(&server, "GET /nope HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 404);
    assert_non_null(strstr(out, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(out, "\r\n\r\n{\"detail\":\"Not Found\"}"));
    assert_int_equal(ask_text(&server, "DELETE /hello HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 405);
    assert_non_null(strstr(out, "\r\nAllow: GET, HEAD\r\n"));
    assert_non_null(strstr(out, "\r\n\r\n{\"detail\":\"Method Not Allowed\"}"));
    assert_int_equal(ask_text(&server, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 405);
    assert_non_null(strstr(out, "\r\nAllow: POST\r\n"));
}

static void test_old(void **state) /* HTTP/1.0: no chunks, closed at the end */
{
    assert_int_equal(ask_text(&server, "GET /stream HTTP/1.0\r\n" HOST "\r\n", out, sizeof out), 200);
    assert_null(strstr(out, "chunked"));
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\ndata: 1\n\ndata: 2\n\n");
    assert_int_equal(ask_text(&server, "GET /hello HTTP/1.0\r\n" HOST "\r\n", out, sizeof out), 200);
    assert_int_equal(ask_text(&server, "GET /hello HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n" HOST "\r\n", out, sizeof out), 200);
    assert_non_null(strstr(out, "\r\nConnection: keep-alive\r\n"));
    assert_non_null(strstr(out, "hello\nHTTP/1.1 200 OK\r\n"));
}

static int count_of(const char *s, const char *word)
{
    int n = 0;
    while ((s = strstr(s, word))) n++, s++;
    return n;
}

static void test_pipeline(void **state)
{
    m8_buf b = { 0 };
    for (int i = 0; i < 100; i++) m8_buf_printf(&b, i % 2 ? "GET /hello HTTP/1.1\r\n" HOST "\r\n" : "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    m8_buf_str(&b, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_int_equal(ask(&server, b.data, b.len, out, sizeof out), 200);
    assert_int_equal(count_of(out, "HTTP/1.1 200 OK\r\n"), 101);
    assert_int_equal(count_of(out, "hello\n"), 51);
    int fd = dial(&server); /* a client that closes its side behind them gets them all */
    b.len -= 2;
    b.len -= strlen("Connection: close\r\n");
    m8_buf_str(&b, "\r\n");
    say(fd, b.data, b.len);
    shutdown(fd, SHUT_WR);
    assert_true(hear(fd, out, sizeof out, 5000) > 0);
    assert_int_equal(count_of(out, "HTTP/1.1 200 OK\r\n"), 101);
    close(fd);
    m8_buf_finish(&b);
    fd = dial(&server); /* two that are answered late, byte by byte; in order */
    const char *text = "GET /later HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" CLOSE "\r\n";
    for (; *text; text++) say(fd, text, 1);
    assert_true(hear(fd, out, sizeof out, 5000) > 0);
    assert_true(strstr(out, "later") < strstr(out, "hello"));
    close(fd);
}

static void test_bodies(void **state)
{
    assert_int_equal(ask_text(&server, "POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                              "3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", out, sizeof out), 200);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\nabc0123456789");
    m8_buf b = { 0 };
    m8_buf_printf(&b, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 100000\r\n\r\n");
    m8_buf_add(&b, big, 100000);
    assert_int_equal(ask(&server, b.data, b.len, out, sizeof out), 200);
    assert_int_equal(strlen(strstr(out, "\r\n\r\n") + 4), 100000);
    assert_memory_equal(strstr(out, "\r\n\r\n") + 4, big, 100000);
    m8_buf_clear(&b);
    m8_buf_printf(&b, "POST /sum HTTP/1.1\r\n" CLOSE "Content-Length: 300000\r\n\r\n");
    m8_buf_add(&b, big, 300000);
    assert_int_equal(ask(&server, b.data, b.len, out, sizeof out), 200);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n300000");
    m8_buf_finish(&b);
    assert_int_equal(ask_text(&server, "POST /sum HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n0");
    assert_int_equal(ask_text(&server, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc", out, sizeof out), 422);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n{\"detail\":\"not \\\"now\\\"\\u000a\"}");
    int fd = dial(&server);
    say_text(fd, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_true(hear_until(fd, out, sizeof out, "\r\n\r\n", 5000));
    assert_string_equal(out, "HTTP/1.1 100 Continue\r\n\r\n");
    say_text(fd, "abc");
    assert_true(hear(fd, out, sizeof out, 5000) > 0);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\nabc");
    close(fd);
    fd = dial(&server); /* refused: not asked to go on */
    say_text(fd, "POST /nope HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_true(hear(fd, out, sizeof out, 5000) > 0);
    assert_memory_equal(out, "HTTP/1.1 404", 12);
    close(fd);
}

static void test_streams(void **state)
{
    assert_int_equal(ask_text(&server, "GET /stream HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_non_null(strstr(out, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n0012\r\ndata: 1\n\ndata: 2\n\n\r\n0\r\n\r\n");
    assert_int_equal(ask_text(&server, "HEAD /stream HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
    assert_int_equal(ask_text(&server, "GET /unsent HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n9\r\nunsent 0,\r\n9\r\nunsent 0,\r\n9\r\nunsent 0,\r\n0\r\n\r\n");
    static char all[400000];
    assert_int_equal(ask_text(&server, "GET /large HTTP/1.1\r\n" CLOSE "\r\n", all, sizeof all), 200);
    assert_memory_equal(strstr(all, "\r\n\r\n") + 4, big, sizeof big);
    int fd = dial(&server), small = 65536; /* a client that closes its side while it is sent to, and reads late */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    m8_buf b = { 0 };
    for (int i = 0; i < 12; i++) m8_buf_str(&b, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    say(fd, b.data, b.len);
    m8_buf_finish(&b);
    usleep(100000);
    shutdown(fd, SHUT_WR);
    usleep(100000);
    static char dozen[12 * (sizeof big + 1000)];
    ssize_t got_all = hear(fd, dozen, sizeof dozen, 20000);
    assert_true(got_all > 12 * (ssize_t)sizeof big);
    assert_memory_equal(dozen + got_all - sizeof big, big, sizeof big);
    close(fd);
    assert_int_equal(ask_text(&server, "GET /large_stream HTTP/1.1\r\n" CLOSE "\r\n", all, sizeof all), 200);
    char *at = strstr(all, "\r\n\r\n") + 4;
    size_t got = 0;
    for (unsigned long n; (n = strtoul(at, &at, 16)); at += n + 2, got += n) {
        at += 2;
        assert_memory_equal(at, big + got, n);
        memcpy(at + n, "\r\n", 2);
    }
    assert_int_equal(got, sizeof big);
}

static void test_ends(void **state)
{
    n_gone = n_ended = 0;
    int fd = dial(&server);
    say_text(fd, "GET /hang HTTP/1.1\r\n" HOST "\r\n");
    assert_true(hear_until(fd, out, sizeof out, "\r\n\r\n", 5000));
    close(fd);
    for (int i = 0; i < 500 && !n_gone; i++) usleep(10000);
    assert_int_equal(n_gone, 1);
    assert_int_equal(n_ended, 0);
}

static void test_paths(void **state)
{
    static const struct {
        const char *target, *want;
    } all[] = {
        { "/path", "path=/path rest= query= a=- k=v host=localhost:7 root=http://localhost:7" },
        { "/path/x%20y?a=1%2B+2&b=3", "path=/path/x y rest=/x y query=a=1%2B+2&b=3 a=1+ 2 k=v host=localhost:7 root=http://localhost:7" },
        { "/path/longer/z", "path=/path/longer/z rest=/z query= a=- k=v host=localhost:7 root=http://localhost:7" },
        { "//%70ath//a/./b/../../c", "path=/path/c rest=/c query= a=- k=v host=localhost:7 root=http://localhost:7" },
        { "/path//a/../c", "path=/path/c rest=//a/../c query= a=- k=v host=localhost:7 root=http://localhost:7" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[512];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost:7\r\nConnection: close\r\nCookie: j=w; k=\"v\"\r\n\r\n", all[i].target);
        assert_int_equal(ask_text(&server, text, out, sizeof out), 200);
        assert_string_equal(strstr(out, "\r\n\r\n") + 4, all[i].want);
    }
    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = { "/path%0", "/path%zz", "/path%00", "path" };
        char text[512];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", bad[i]);
        assert_int_equal(ask_text(&server, text, out, sizeof out), 400);
    }
}

static void test_headers(void **state)
{
    assert_int_equal(ask_text(&server, "GET /headers?v=a%0D%0AEvil:%201%00 HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_int_equal(ask_text(&server, "GET /headers?v=a%0D%0AEvil:%201 HTTP/1.1\r\n" CLOSE "\r\n", out, sizeof out), 200);
    assert_non_null(strstr(out, "\r\nX-Name: aEvil: 1\r\n"));
    assert_non_null(strstr(out, "\r\nContent-Type: text/plainX-Evil: 1\r\n"));
    assert_non_null(strstr(out, "\r\nContent-Length: 1\r\n"));
    assert_non_null(strstr(out, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"));
    assert_null(strstr(out, "Bad Name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_old), cmocka_unit_test(test_pipeline), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_streams), cmocka_unit_test(test_ends), cmocka_unit_test(test_paths), cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
