/* Many: 2,000 open streams and what they cost, the limits of connections, those of an address. */
#include "http_test.h"
#include "server.h"
#include <sys/resource.h>

static struct server server;
static char out[64 * 1024];
static int fds[2000];

static void hang(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/event-stream");
    m8_http_write(r, "data: 1\n\n", 9);
}
static void get(m8_http_req *r, void *user) { m8_http_reply(r, 200, "text/plain", "yes", 3); }
static const m8_route routes[] = { { "GET", "/hang", hang }, { "GET", "/get", get } };

static long private_bytes(void)
{
    char line[200];
    long kib = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %ld", &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024;
}

static const char stream[] = "GET /hang?session_hash=0123456789 HTTP/1.1\r\nHost: localhost:7860\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120\r\n"
                             "Accept: text/event-stream\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: access-token-unsecure-abcdefg=0123456789abcdef\r\n"
                             "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nReferer: http://localhost:7860/\r\n\r\n";

static void test_streams(void **state)
{
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int n = files.rlim_cur < 4300 ? 400 : 2000;
    server_open(&server, NULL, routes, 2);
    server_start(&server);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(ask_text(&server, "GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out), 200);
        long before = private_bytes();
        double began = m8_now_s();
        for (int i = 0; i < n; i++) {
            fds[i] = dial(&server);
            say(fds[i], stream, sizeof stream - 1);
        }
        for (int i = 0; i < n; i++) assert_true(hear_until(fds[i], out, sizeof out, "data: 1\n\n\r\n", 5000));
        printf("%d streams opened in %.2f s, ", n, m8_now_s() - began);
        assert_int_equal(ask_text(&server, "GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out), 200);
        m8_http_stats stats;
        m8_http_get_stats(server.h, &stats);
        assert_true(stats.connections >= n);
        long each = (private_bytes() - before) / n;
        for (int i = 0; i < n; i++) close(fds[i]);
        for (int i = 0; i < 400 && stats.connections; i++) {
            usleep(10000);
            m8_http_get_stats(server.h, &stats);
        }
        assert_int_equal(stats.connections, 0);
        usleep(1500000); /* the freed memory is given back a second later */
        long left = private_bytes() - before;
        printf("%ld bytes each, %ld left behind\n", each, left);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(each < 2048);
        assert_true(left < 300 * 1024);
#endif
    }
    server_end(&server);
}

static void drop(m8_http_req *r, const char *data, size_t n, void *user) {}
static void wait_body(m8_http_req *r, void *user) {}
static char big[4000000];
static void large(m8_http_req *r, void *user) { m8_http_reply_static(r, 200, "text/plain", big, sizeof big); }

/* 256 heads, 128 bodies, 64 readers that come to no end, and 500 that say nothing: an ordinary request is answered meanwhile. */
static void test_slow(void **state)
{
    static const m8_route all[] = { { "GET", "/get", get }, { "POST", "/body", wait_body, .body = drop }, { "GET", "/large", large } };
    server_open(&server, &(m8_http_opts){ .head_s = 1, .idle_s = 1, .stall_s = 1 }, all, 3);
    server.h->length[M8__WAIT_BODY] = 0.3;
    server_start(&server);
    int n = 948;
    double began = m8_now_s(), worst = 0;
    int n_asked = 0, n_late = 0;
    for (int i = 0; i < n; i++) {
        fds[i] = dial(&server);
        if (i < 256) say_text(fds[i], "GET /get HTTP/1.1\r\nHost: loc");
        else if (i < 384) say_text(fds[i], "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc");
        else if (i < 448) say_text(fds[i], "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    m8_http_stats stats = { 0 };
    while (m8_now_s() - began < 1.2 || (stats.connections && m8_now_s() - began < 8)) {
        for (int i = 0; i < 256; i++) say(fds[i], "x", 1);
        double at = m8_now_s();
        int fd = dial(&server);
        say_text(fd, "GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_true(hear(fd, out, sizeof out, 5000) > 0);
        close(fd);
        n_asked++;
        n_late += m8_now_s() - at > 2;
        if (m8_now_s() - at > worst) worst = m8_now_s() - at;
        m8_http_get_stats(server.h, &stats);
        usleep(20000);
    }
    for (int i = 0; i < n; i++) close(fds[i]);
    printf("beside %d slow clients a request took at most %.3f s\n", n, worst);
    assert_true(n_late * 10 <= n_asked); /* none, but on a machine that is busy with other things */
    assert_int_equal(stats.connections, 0); /* all of them were ended */
    server_end(&server);
}

static void test_most(void **state)
{
    server_open(&server, &(m8_http_opts){ .max_connections = 10 }, routes, 2);
    server_start(&server);
    for (int i = 0; i < 10; i++) { /* idle ones make room */
        fds[i] = dial(&server);
        say_text(fds[i], "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(hear_until(fds[i], out, sizeof out, "yes", 3000));
    }
    for (int i = 10; i < 20; i++) {
        fds[i] = dial(&server);
        say(fds[i], stream, sizeof stream - 1);
        assert_true(hear_until(fds[i], out, sizeof out, "data: 1", 3000));
        assert_int_equal(hear(fds[i - 10], out, sizeof out, 3000), 0); /* the one idle for longest */
        close(fds[i - 10]);
    }
    int status = ask_text(&server, "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n", out, sizeof out); /* busy ones do not */
    assert_int_equal(status, 429);
    for (int i = 20; i < 200; i++) fds[i] = dial(&server); /* and a flood is cut off */
    int closed = 0;
    for (int i = 20; i < 200; i++) {
        closed += !hear(fds[i], out, sizeof out, i == 20 ? 500 : 1);
        close(fds[i]);
    }
    assert_true(closed > 80);
    for (int i = 10; i < 20; i++) close(fds[i]);
    for (int i = 0; status != 200 && i < 100; i++) {
        usleep(20000);
        status = ask_text(&server, "GET /get HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out);
    }
    assert_int_equal(status, 200);
    server_end(&server);
}

static struct conn from(const char *address)
{
    struct conn c = { .h = server.h };
    assert_true(m8__address_parse(address, strlen(address), &c.address));
    return c;
}

static void test_addresses(void **state)
{
    static struct conn c[5000];
    static const char *const proxies[] = { "10.0.0.1" };
    server_open(&server, &(m8_http_opts){ .max_per_address = 100, .proxies = proxies, .n_proxies = 1 }, routes, 2);
    for (int i = 0; i < 1000; i++) { /* not these */
        c[0] = from(i % 3 ? "127.0.0.1" : "10.0.0.1");
        assert_true(m8__address_take(server.h, &c[0]));
        c[0] = from(i % 2 ? "::1" : "127.200.0.1");
        assert_true(m8__address_take(server.h, &c[0]));
    }
    for (int i = 0; i < 200; i++) {
        c[i] = from("10.0.0.2");
        assert_int_equal(m8__address_take(server.h, &c[i]), i < 100);
    }
    for (int i = 0; i < 5000; i++) { /* a /64 is one client; others have room */
        if (i >= 200) c[i] = (struct conn){ .h = server.h, .address = { { { 0x20, 1, [6] = (uint8_t)(i / 256), [7] = (uint8_t)i, [15] = (uint8_t)(i * 7) } } } };
        if (i >= 200) assert_true(m8__address_take(server.h, &c[i]));
    }
    static struct conn net[101];
    for (int i = 0; i < 101; i++) {
        char text[40];
        snprintf(text, sizeof text, "2001:db8::%x", i + 1);
        net[i] = from(text);
        assert_int_equal(m8__address_take(server.h, &net[i]), i < 100);
    }
    for (int i = 0; i < 101; i++) m8__address_drop(server.h, &net[i]);
    for (int i = 0; i < 5000; i++) m8__address_drop(server.h, &c[i]);
    c[0] = from("10.0.0.2");
    assert_true(m8__address_take(server.h, &c[0]));
    m8__address_drop(server.h, &c[0]);
    m8_http_close(server.h);
    struct in6_addr a;
    static const char *const bad[] = { "", "x", "1.2.3", "1.2.3.4.5", "::g", "[::1", "1.2.3.4:80", "01234567890123456789012345678901234567890123456789" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(m8__address_parse(bad[i], strlen(bad[i]), &a));
    assert_true(m8__address_parse("[::1]", 5, &a) && m8__address_is_loopback(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_streams), cmocka_unit_test(test_slow), cmocka_unit_test(test_most), cmocka_unit_test(test_addresses) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
