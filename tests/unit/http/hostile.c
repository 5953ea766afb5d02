/* What is hostile is refused, and the server goes on: security cases E1 to E7, B4, B5, D1 to D4, D8, D14. */
#include "http_test.h"
#include "server.h"

static struct server server, lan; /* at loopback; at all addresses */
static char out[64 * 1024];
static int n_changes;

static void get(m8_http_req *r, void *user) { m8_http_reply(r, 200, "text/plain", "yes", 3); }
static void change(m8_http_req *r, void *user)
{
    n_changes++;
    m8_http_reply(r, 200, "text/plain", "yes", 3);
}
static void nothing(m8_http_req *r, void *user) {}
static void piece(m8_http_req *r, const char *data, size_t n, void *user)
{
    n_changes++;
    if (!n) m8_http_reply(r, 200, "text/plain", "yes", 3);
}
static void where(m8_http_req *r, void *user)
{
    m8_buf b = { 0 };
    m8_buf_printf(&b, "%s %s %s %d", m8_http_root(r), m8_http_host(r), m8_http_peer(r), m8_http_secure(r));
    m8_http_reply_buf(r, 200, "text/plain", &b);
}

static bool gate(m8_http_req *r, void *user)
{
    if (strncmp(m8_http_path(r), "/secret", 7)) return true;
    m8_http_refuse(r, 401, "Not authenticated");
    return false;
}

static const m8_route routes[] = {
    { "GET", "/get", get },         { "POST", "/change", change, .max_body = 1000 },  { "POST", "/piece", nothing, .body = piece, .max_body = 1000 },
    { "GET", "/secret/a", get },    { "GET", "/unsafe", change, .unsafe = true },     { "GET", "/where", where },
    { "OPTIONS", "/options", get },
};

static void start(struct server *s, const m8_http_opts *opts)
{
    server_open(s, opts, routes, sizeof routes / sizeof *routes);
    m8_http_gate(s->h, gate, NULL);
    s->h->length[M8__WAIT_BODY] = 0.3;
    s->h->length[M8__WAIT_LINGER] = 0.3;
    server_start(s);
}

static int setup(void **state)
{
    static const char *const names[] = { "ball.example" }, *const origins[] = { "https://app.example:8443" }, *const proxies[] = { "127.0.0.1" };
    start(&server, &(m8_http_opts){ .names = names, .n_names = 1, .origins = origins, .n_origins = 1, .head_s = 0.5, .idle_s = 0.5, .stall_s = 0.5 });
    start(&lan, &(m8_http_opts){ .host = "::", .proxies = proxies, .n_proxies = 1, .root_path = "/mount/" });
    return 0;
}

static int teardown(void **state)
{
    server_end(&server);
    server_end(&lan);
    return 0;
}

/* It still answers. */
static void alive(void)
{
    assert_int_equal(ask_text(&server, "GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out), 200);
}

/* The answer has this status, is the only one, and the connection is closed behind it. */
static void check_refused(const char *what, const void *data, size_t n, int want)
{
    int got = ask(&server, data, n, out, sizeof out);
    if (got != want) fail_msg("%s: expected %d, got %d: %.200s", what, want, got, out);
    if (want && strstr(out + 1, "HTTP/1.1 ")) fail_msg("%s: more than one answer: %s", what, out);
    if (want && !strstr(out, "\r\nConnection: close\r\n")) fail_msg("%s: not closed: %s", what, out);
    if (want && !strstr(out, "{\"detail\":\"")) fail_msg("%s: no detail: %s", what, out);
}

#define H "Host: localhost\r\n"
#define P "POST /change HTTP/1.1\r\n" H
#define G "\r\n\r\nGET /get HTTP/1.1\r\n" H "\r\n" /* what must not be taken for a second request */

static void test_framing(void **state)
{
    static const struct {
        const char *text;
        int want;
    } all[] = {
        /* smuggling */
        { P "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0" G, 400 },
        { P "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" G, 400 },
        { P "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" G, 400 },
        { P "Content-Length: 3, 3\r\n\r\nabc" G, 400 },
        { P "Transfer-Encoding : chunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: xchunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked, identity\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: gzip, chunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: \x0b" "chunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0" G, 400 },
        { P "Transfer-Encoding:\r\n chunked\r\n\r\n0" G, 400 },
        { "POST /change HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0" G, 400 },
        { P "Content-Length: -1" G, 400 },
        { P "Content-Length: +2" G, 400 },
        { P "Content-Length: 2,2" G, 400 },
        { P "Content-Length: 0x2" G, 400 },
        { P "Content-Length: 2 2" G, 400 },
        { P "Content-Length:" G, 400 },
        { P "Content-Length: 9223372036854775808" G, 400 },
        { P "Content-Length: 99999999999999999999999999" G, 400 },
        /* line ends and bytes */
        { "GET /get HTTP/1.1\nHost: localhost\n\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\n Host: localhost\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX: \x01\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX: \x7f\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX Y: x\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost\r\nX\xe9: x\r\n\r\n", 400 },
        { "\r\n\r\nGET /get HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        /* request lines */
        { "GET  /get HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /get  HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /get HTTP/1.1 \r\n" H "\r\n", 400 },
        { " GET /get HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /get\r\n" H "\r\n", 400 },
        { "GET /get HTTP/2.0\r\n" H "\r\n", 400 },
        { "GET /get HTTP/1.2\r\n" H "\r\n", 400 },
        { "GET /get HTTP/1.10\r\n" H "\r\n", 400 },
        { "GET /get http/1.1\r\n" H "\r\n", 400 },
        { "GET /g\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /get#x HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET get HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET ftp://localhost/get HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET http://a@localhost/get HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /%00 HTTP/1.1\r\n" H "\r\n", 400 },
        { "GET /% HTTP/1.1\r\n" H "\r\n", 400 },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
        { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400 },
        { "TRACE /get HTTP/1.1\r\n" H "\r\n", 405 },
        { "CONNECT localhost:80 HTTP/1.1\r\n" H "\r\n", 405 },
        /* hosts */
        { "GET /get HTTP/1.1\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\n" H H "\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost:\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: user@localhost\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: localhost:99999\r\n\r\n", 400 },
        { "GET /get HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400 },
        { P "Expect: 200-ok" G, 417 },
        { P "Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc" G, 415 },
        { P "Content-Length: 1001" G, 413 },
        /* chunks */
        { P "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n", 400 },
        { P "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n-1\r\n" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n\r\n" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n0\r\n folded\r\n" G, 400 },
        { P "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n" G, 400 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) check_refused(all[i].text, all[i].text, strlen(all[i].text), all[i].want);
    static const char nul[] = "GET /get HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", nul_name[] = "GET /get HTTP/1.1\r\nHost: localhost\r\nX\0: b\r\n\r\n",
                      nul_target[] = "GET /g\0et HTTP/1.1\r\nHost: localhost\r\n\r\n";
    check_refused("NUL", nul, sizeof nul - 1, 400);
    check_refused("NUL", nul_name, sizeof nul_name - 1, 400);
    check_refused("NUL", nul_target, sizeof nul_target - 1, 400);
    assert_int_equal(n_changes, 0);
    alive();
}

static void fill(m8_buf *b, size_t n, char c)
{
    void *at = m8_buf_room(b, n);
    memset(at, c, n);
}

static void test_sizes(void **state)
{
    m8_buf b = { 0 };
    m8_buf_str(&b, "GET /");
    fill(&b, 1 << 20, 'a');
    m8_buf_str(&b, " HTTP/1.1\r\n" H "\r\n");
    check_refused("target of 1 MB", b.data, b.len, 414);
    m8_buf_clear(&b);
    m8_buf_str(&b, "GET /get HTTP/1.1\r\n" H "X: ");
    fill(&b, 8 * 1024, 'a');
    check_refused("line of 8 KB", b.data, b.len, 431);
    m8_buf_clear(&b);
    m8_buf_str(&b, "GET /get HTTP/1.1\r\n" H);
    for (int i = 0; i < 10; i++) {
        m8_buf_printf(&b, "X%d: ", i);
        fill(&b, 6400, 'a');
        m8_buf_str(&b, "\r\n");
    }
    check_refused("head of 64 KB", b.data, b.len, 431);
    m8_buf_clear(&b);
    m8_buf_str(&b, "GET /get HTTP/1.1\r\n" H);
    for (int i = 0; i < 10000; i++) m8_buf_str(&b, "X:y\r\n");
    check_refused("10,000 fields", b.data, b.len, 431);
    m8_buf_clear(&b);
    m8_buf_str(&b, "GET /get HTTP/1.1\r\n" H "Connection: close\r\n");
    for (int i = 2; i < 100; i++) m8_buf_str(&b, "X:y\r\n");
    m8_buf_str(&b, "\r\n");
    assert_int_equal(ask(&server, b.data, b.len, out, sizeof out), 200); /* 100 are taken */
    b.len -= 2;
    m8_buf_str(&b, "X:y\r\n\r\n");
    check_refused("101 fields", b.data, b.len, 431);
    m8_buf_clear(&b);
    m8_buf_str(&b, P "Transfer-Encoding: chunked\r\n\r\n1;");
    fill(&b, 1 << 20, 'a');
    check_refused("extension of 1 MB", b.data, b.len, 400);
    m8_buf_clear(&b);
    m8_buf_str(&b, P "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ");
    fill(&b, 1 << 20, 'a');
    check_refused("trailer of 1 MB", b.data, b.len, 431);
    m8_buf_clear(&b);
    m8_buf_str(&b, P "Transfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 200000; i++) m8_buf_str(&b, "X:y\r\n");
    check_refused("trailers of 1 MB", b.data, b.len, 431);
    for (int i = 0; i < 2; i++) { /* the same limit, however the body is taken */
        m8_buf_clear(&b);
        m8_buf_printf(&b, "POST /%s HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", i ? "piece" : "change");
        for (int k = 0; k < 11; k++) {
            m8_buf_str(&b, "64\r\n");
            fill(&b, 100, 'a');
            m8_buf_str(&b, "\r\n");
        }
        n_changes = 0;
        check_refused("chunked over the limit", b.data, b.len, 413);
        assert_true(i ? n_changes <= 10 : !n_changes);
    }
    m8_buf_finish(&b);
    m8_http_stats stats;
    m8_http_get_stats(server.h, &stats);
    assert_true(stats.refused > 10 && stats.requests > 10 && stats.bytes_in > 1000 && stats.bytes_out > 1000);
    alive();
}

/* A body of 50 MB over the limit: no more than 64 KB and a bit are read. */
static void test_flood(void **state)
{
    m8_http_stats before, after;
    m8_http_get_stats(server.h, &before);
    m8_buf b = { 0 };
    m8_buf_str(&b, P "Transfer-Encoding: chunked\r\n\r\n2faf080\r\n");
    fill(&b, 50000000, 'a');
    ask(&server, b.data, b.len, out, sizeof out);
    m8_http_get_stats(server.h, &after);
    assert_true(after.bytes_in - before.bytes_in < 64 * 1024 * 3);
    m8_buf_finish(&b);
    alive();
}

static void test_slow(void **state)
{
    int head = dial(&server), silent = dial(&server), body = dial(&server), idle = dial(&server), slow = dial(&server);
    double began = m8_now_s();
    say_text(head, "GET /get HTTP/1.1\r\nHost: loc");
    say_text(body, P "Content-Length: 100\r\n\r\nabc");
    say_text(slow, "POST /piece HTTP/1.1\r\n" H "Content-Length: 900\r\n\r\n");
    say_text(idle, "GET /get HTTP/1.1\r\n" H "\r\n");
    alive();
    for (int i = 0; i < 30; i++) { /* 500 bytes a second are enough */
        say_text(slow, "0123456789012345678901234");
        usleep(50000);
        if (i == 5) alive();
    }
    assert_true(hear(head, out, sizeof out, 5000) > 0);
    assert_memory_equal(out, "HTTP/1.1 408", 12);
    assert_int_equal(hear(silent, out, sizeof out, 5000), 0);
    assert_true(hear(body, out, sizeof out, 5000) > 0);
    assert_memory_equal(out, "HTTP/1.1 408", 12);
    assert_true(hear(idle, out, sizeof out, 5000) > 0); /* the answer, then closed */
    assert_memory_equal(out, "HTTP/1.1 200", 12);
    assert_true(m8_now_s() - began < 8);
    for (int i = 0; i < 150; i++) say_text(slow, "x");
    assert_true(hear(slow, out, sizeof out, 5000) > 0);
    assert_memory_equal(out, "HTTP/1.1 200", 12);
    int fds[] = { head, silent, body, idle, slow };
    for (int i = 0; i < 5; i++) close(fds[i]);
}

static int ask_line(struct server *s, const char *line, const char *fields)
{
    m8_buf b = { 0 };
    m8_buf_printf(&b, "%s HTTP/1.1\r\n%sConnection: close\r\n\r\n", line, fields);
    int status = ask(s, b.data, b.len, out, sizeof out);
    m8_buf_finish(&b);
    return status;
}

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        int here, there;
    } all[] = {
        { "localhost", 200, 200 }, { "LocalHost:7860", 200, 200 }, { "127.0.0.1:1", 200, 200 }, { "[::1]:7860", 200, 200 }, { "192.168.1.7", 200, 200 },
        { "[fe80::1]", 200, 200 }, { "ball.example", 200, 200 }, { "Ball.Example:81", 200, 200 }, { "evil.example", 421, 200 }, { "evil.ball.example", 421, 200 },
        { "ball.example.evil", 421, 200 }, { "localhost.", 421, 200 }, { "localhost.evil", 421, 200 }, { "2130706433", 421, 200 }, { "0x7f.1", 421, 200 }, { "127.1", 421, 200 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char field[200];
        snprintf(field, sizeof field, "Host: %s\r\n", all[i].host);
        for (int k = 0; k < 3; k++) {
            static const char *const lines[] = { "GET /get", "POST /change", "OPTIONS /get" };
            int want = all[i].here == 200 && k == 2 ? 405 : all[i].here;
            if (ask_line(&server, lines[k], field) != want) fail_msg("%s %s: %.20s, not %d", all[i].host, lines[k], out, want);
        }
        if (ask_line(&lan, "GET /get", field) != all[i].there) fail_msg("%s there: %.20s", all[i].host, out);
    }
    assert_int_equal(ask_line(&server, "GET http://evil.example/get", H), 421);
    assert_int_equal(ask_text(&server, "GET /get HTTP/1.0\r\n\r\n", out, sizeof out), 200);
}

static void test_origins(void **state)
{
    static const struct {
        const char *host, *origin;
        bool ours;
    } all[] = {
        { "localhost:7860", "http://localhost:7860", true }, { "localhost:7860", "http://localhost:3000", true }, { "127.0.0.1:7860", "http://localhost", true },
        { "localhost", "http://[::1]:5", true }, { "localhost", "https://0.0.0.0", true }, { "localhost", "http://127.0.0.1:80", true },
        { "ball.example", "http://ball.example", true }, { "ball.example:80", "http://ball.example", true }, { "ball.example:81", "http://ball.example:81", true },
        { "ball.example", "HTTP://Ball.Example", true }, { "localhost", "https://app.example:8443", true }, { "ball.example", "https://app.example:8443", true },
        { "ball.example", "https://ball.example", false }, { "ball.example:443", "https://ball.example", false }, { "ball.example", "http://ball.example:81", false }, { "ball.example:81", "http://ball.example", false },
        { "ball.example", "http://localhost", false }, { "localhost", "http://evil.example", false }, { "localhost", "null", false },
        { "localhost", "http://localhost.evil", false }, { "localhost", "http://evil#localhost", false }, { "localhost", "http://localhost@evil", false },
        { "localhost", "http://evil.localhost", false }, { "localhost", "http://localhost:3000/", false }, { "localhost", "http://127.0.0.2", false },
        { "localhost", "localhost", false }, { "localhost", "", false }, { "localhost", "ftp://localhost", false }, { "localhost", "https://app.example", false },
        { "localhost", "http://app.example:8443", false }, { "localhost", "file://", false }, { "192.168.1.7", "http://localhost", false },
        { "192.168.1.7:7860", "http://192.168.1.7:7860", true }, { "localhost", "https://app.example:8443.evil", false },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char fields[400], allow[200];
        for (int cookie = 0; cookie < 2; cookie++) {
            snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\n%s", all[i].host, all[i].origin, cookie ? "Cookie: a=b\r\n" : "");
            snprintf(allow, sizeof allow, "\r\nAccess-Control-Allow-Origin: %s\r\nVary: Origin\r\n", all[i].origin);
            if (ask_line(&server, "GET /get", fields) != 200) fail_msg("%s: %s", fields, out);
            assert_non_null(strstr(out, "\r\nAccess-Control-Allow-Credentials: true\r\n"));
            if (!!strstr(out, "Access-Control-Allow-Origin") != all[i].ours || (all[i].ours && !strstr(out, allow))) fail_msg("%s: %s", fields, out);
            n_changes = 0;
            int want = all[i].ours ? 200 : 403;
            if (ask_line(&server, "POST /change", fields) != want) fail_msg("%s: %s", fields, out);
            if (ask_line(&server, "GET /unsafe", fields) != want) fail_msg("%s: %s", fields, out);
            assert_int_equal(n_changes, all[i].ours ? 2 : 0);
            strcat(fields, "Upgrade: websocket\r\n");
            if (ask_line(&server, "GET /get", fields) != want) fail_msg("%s: %s", fields, out);
        }
        snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,x-a\r\n", all[i].host, all[i].origin);
        assert_int_equal(ask_line(&server, "OPTIONS /change", fields), 200);
        assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\nOK");
        assert_non_null(strstr(out, "\r\nAccess-Control-Allow-Methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n"));
        assert_non_null(strstr(out, "\r\nAccess-Control-Max-Age: 600\r\n"));
        assert_non_null(strstr(out, "\r\nAccess-Control-Allow-Headers: content-type,x-a\r\n"));
        assert_int_equal(!!strstr(out, "Access-Control-Allow-Origin"), all[i].ours);
    }
    assert_int_equal(ask_line(&server, "POST /change", H "Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_int_equal(ask_line(&server, "GET /unsafe", H "Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_int_equal(ask_line(&server, "GET /get", H "Sec-Fetch-Site: cross-site\r\n"), 200);
    assert_int_equal(ask_line(&server, "POST /change", H "Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_int_equal(ask_line(&server, "POST /change", H "Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example:8443\r\n"), 200);
    assert_int_equal(ask_line(&server, "POST /change", H "Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 400);
    n_changes = 0; /* refused before the body is read, or asked for */
    assert_int_equal(ask_line(&server, "POST /change", H "Origin: http://evil\r\nContent-Length: 500\r\nExpect: 100-continue\r\n"), 403);
    assert_memory_equal(out, "HTTP/1.1 403", 12);
    assert_int_equal(n_changes, 0);
}

static void test_gate(void **state)
{
    static const char *const all[] = { "GET /secret/a", "GET //secret/a", "GET /./secret/a", "GET /%73ecret/a", "GET /x/../secret/a", "GET /secret/./a", "GET /secret//a", "HEAD /secret/a",
                                       "GET /secret/a/", "GET /secret", "GET /secret/a?x=1", "GET http://localhost/secret/a", "POST /secret/a", "GET /secret%2fa", "GET /x/%2e%2e/secret/a" };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (ask_line(&server, all[i], H) != 401) fail_msg("%s: %s", all[i], out);
    assert_int_equal(ask_line(&server, "GET /../../get", H), 200);
}

static void test_proxies(void **state)
{
    char want[100];
    assert_int_equal(ask_line(&lan, "GET /where", "Host: a.example:1\r\nX-Forwarded-Host: b.example, c.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 6.6.6.6, 10.1.2.3\r\n"), 200);
    assert_non_null(strstr(out, "\r\n\r\nhttps://b.example/mount b.example 10.1.2.3 1"));
    assert_int_equal(ask_line(&lan, "GET /where", "Host: a.example:1\r\nX-Forwarded-For: 10.1.2.4, 127.0.0.1\r\n"), 200); /* nothing is kept */
    assert_non_null(strstr(out, "\r\n\r\nhttp://a.example:1/mount a.example:1 10.1.2.4 0"));
    assert_int_equal(ask_line(&lan, "GET /where", "Host: a\r\nX-Forwarded-Host: x y/z\r\nX-Forwarded-For: junk\r\n"), 200);
    assert_int_equal(ask_line(&lan, "POST /change", "Host: a\r\nX-Forwarded-Host: b.example\r\nX-Forwarded-Proto: https\r\nOrigin: https://b.example\r\n"), 200);
    assert_int_equal(ask_line(&lan, "POST /change", "Host: a\r\nX-Forwarded-Host: b.example\r\nX-Forwarded-Proto: https\r\nOrigin: http://a\r\n"), 403);
    snprintf(want, sizeof want, "\r\n\r\nhttp://localhost localhost 127.0.0.1 0"); /* who is not a believed proxy is not believed */
    assert_int_equal(ask_line(&server, "GET /where", H "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"), 200);
    assert_non_null(strstr(out, want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing), cmocka_unit_test(test_sizes), cmocka_unit_test(test_flood),   cmocka_unit_test(test_slow),
        cmocka_unit_test(test_hosts),   cmocka_unit_test(test_origins), cmocka_unit_test(test_gate), cmocka_unit_test(test_proxies),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
