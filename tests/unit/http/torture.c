/* Every allocation and system call of a server fails in turn while it is asked a few things: it may refuse or break off, no more. */
#include "http_test.h"
#include "server.h"
#include "torture.h"
#include <fcntl.h>

static m8_http *server;
static char path[] = "/tmp/m8-torture-XXXXXX";

static void echo(m8_http_req *r, void *user)
{
    size_t n;
    const char *body = m8_http_body(r, &n);
    m8_http_set(r, "X-Arg", m8_http_arg(r, "a"));
    m8_http_set(r, "X-Cookie", m8_http_cookie(r, "k"));
    m8_http_reply(r, 200, "text/plain", body, n);
}
static void stream(m8_http_req *r, void *user)
{
    static char text[3000];
    m8_http_begin(r, 200, "text/event-stream");
    for (int i = 0; i < 3; i++) m8_http_write(r, text, sizeof text);
    m8_http_end(r);
}
static void file(m8_http_req *r, void *user) { m8_http_file(r, m8_sys_get()->open(path, O_RDONLY | O_CLOEXEC, 0), "text/plain", true, "\xc3\xa9"); }
static void large(m8_http_req *r, void *user)
{
    m8_buf b = { 0 };
    m8_buf_room(&b, 5000);
    m8_http_reply_buf(r, 200, "text/plain", &b);
}
static void late(void *r) { m8_http_redirect(r, "/echo"); }
static void later(m8_http_req *r, void *user)
{
    if (!m8_http_post(m8_http_of(r), late, r)) m8_http_refuse(r, 503, "Out of memory");
}
static void tick(void *r) { m8_http_refuse(r, 418, "tick"); }
static void timer(m8_http_req *r, void *user)
{
    if (!m8_http_timer_new(m8_http_of(r), 0.001, 0, tick, r)) m8_http_abort(r);
}

static const char *const requests[] = {
    "POST //e%63ho?a=%41 HTTP/1.1\r\nHost: localhost\r\nCookie: k=v\r\nOrigin: http://localhost\r\nContent-Length: 5\r\n\r\nabcdeGET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nX-Forwarded-Host: b.example\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET /file HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-5\r\nConnection: close\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\nGET /later HTTP/1.1\r\nHost: localhost\r\n\r\nGET /timer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "PUT /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET http://localhost/bad\nx",
};

static int n_whole; /* answers that came whole, in the last run */

static void *client(void *arg)
{
    struct server s = { .h = arg };
    static char got[100000];
    n_whole = 0;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int fd = dial(&s);
        for (const char *at = requests[i]; *at; at += strlen(at) < 40 ? strlen(at) : 40) say(fd, at, strlen(at) < 40 ? strlen(at) : 40);
        if (hear(fd, got, sizeof got, 3000) > 0) n_whole++;
        close(fd);
    }
    m8_http_stop(arg, 0.5);
    return NULL;
}

static m8_status serve(void *arg, m8_error *err)
{
    static const m8_route routes[] = { { "POST", "/echo", echo }, { "GET", "/stream", stream }, { "GET", "/file", file }, { "GET", "/large", large }, { "GET", "/later", later }, { "GET", "/timer", timer } };
    static const char *const names[] = { "a.example" }, *const origins[] = { "http://b" }, *const proxies[] = { "127.0.0.1" };
    m8_status st = m8_http_open(&server, &(m8_http_opts){ .names = names, .n_names = 1, .origins = origins, .n_origins = 1, .proxies = proxies, .n_proxies = 1, .root_path = "/r/" }, err);
    if (st) return st;
    server->length[M8__WAIT_LINGER] = 0.05;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !st; i++) st = m8_http_route(server, &routes[i], err);
    if (!st) {
        pthread_t t;
        if (pthread_create(&t, NULL, client, server)) abort();
        st = m8_http_run(server, err);
        pthread_join(t, NULL);
    }
    m8_http_close(server);
    return st;
}

static m8_status nothing_begin(void *user, const m8_part *p) { return M8_OK; }
static m8_status form(void *arg, m8_error *err)
{
    static const char text[] = "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nabc\r\n--x--\r\n";
    m8_multipart *m;
    m8_status st = m8_multipart_new(&m, "multipart/form-data; boundary=x", (m8_multipart_sink){ .begin = nothing_begin }, err);
    if (st) return st;
    st = m8_multipart_push(m, text, sizeof text - 1, err);
    if (!st) st = m8_multipart_finish(m, err);
    m8_multipart_free(m);
    char *field = m8_form_field("a=1", 3, "a");
    m8_free(field);
    return st;
}

static void test_server(void **state)
{
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    assert_true(torture(serve, NULL) > 100);
    assert_int_equal(n_whole, sizeof requests / sizeof *requests); /* the last run: nothing failed, but all was slow */
    unlink(path);
}

static void test_form(void **state) { assert_true(torture(form, NULL) >= 3); }

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_form), cmocka_unit_test(test_server) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
