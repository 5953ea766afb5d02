/* The loop: posts from many threads, timers, stopping; slow readers; what is told to the log. */
#include "http_test.h"
#include "server.h"
#include <signal.h>
#include <stdatomic.h>

static struct server server;
static char out[64 * 1024];

enum { N_THREADS = 8, N_POSTS = 2000 };
static struct post {
    int thread, n;
} posts[N_THREADS][N_POSTS];
static int last_of[N_THREADS], n_run, n_wrong; /* the loop's */

static void run(void *user)
{
    struct post *p = user;
    if (p->n != last_of[p->thread]++) n_wrong++;
    n_run++;
}

static void *poster(void *user)
{
    struct post *p = user;
    for (int i = 0; i < N_POSTS; i++) assert_true(m8_http_post(server.h, run, &p[i]));
    return NULL;
}

static void test_posts(void **state)
{
    server_open(&server, NULL, NULL, 0);
    memset(last_of, 0, sizeof last_of);
    n_run = n_wrong = 0;
    pthread_t t[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        for (int k = 0; k < N_POSTS; k++) posts[i][k] = (struct post){ i, k };
        assert_int_equal(pthread_create(&t[i], NULL, poster, posts[i]), 0);
        if (i == 3) server_start(&server); /* some wait before it runs */
    }
    for (int i = 0; i < N_THREADS; i++) pthread_join(t[i], NULL);
    m8_http_stop(server.h, 0);
    pthread_join(server.thread, NULL);
    assert_int_equal(n_run, N_THREADS * N_POSTS); /* whoever was told true is called */
    assert_int_equal(n_wrong, 0);
    assert_false(m8_http_post(server.h, run, &posts[0][0]));
    m8_http_close(server.h);
    server_open(&server, NULL, NULL, 0); /* a server that never runs */
    last_of[0] = 0;
    assert_true(m8_http_post(server.h, run, &posts[0][0]));
    m8_http_close(server.h);
    assert_int_equal(n_run, N_THREADS * N_POSTS + 1);
}

static double told[64];
static int n_told, n_ticks;
static m8_http_timer *ticker, *other;
static void tell(void *user) { told[n_told++] = *(double *)user; }
static void must_not(void *user) { abort(); }
static void first_of_two(void *user)
{
    m8_http_timer_free(other); /* one that is due at the same time */
    m8_http_stop(server.h, 0);
}
static void tick(void *user)
{
    if (++n_ticks < 5) return;
    m8_http_timer_free(ticker); /* itself */
    for (int i = 0; i < 40; i++) assert_non_null(m8_http_timer_new(server.h, 100, 0, tell, told));
    assert_non_null(m8_http_timer_new(server.h, 0, 0, first_of_two, NULL));
    other = m8_http_timer_new(server.h, 1e-6, 0, must_not, NULL);
}

static void test_timers(void **state)
{
    static double after[32];
    server_open(&server, NULL, NULL, 0);
    double began = 0;
    for (int tries = 0; tries < 1000; tries++) { /* until it was not interrupted: they are 2 ms apart */
        m8_http_timer *all[32];
        began = m8_now_s();
        for (int i = 0; i < 32; i++) {
            after[i] = (i * 7 % 32) * 0.002;
            all[i] = m8_http_timer_new(server.h, after[i], 0, tell, &after[i]);
            assert_non_null(all[i]);
        }
        if (m8_now_s() - began < 0.0015) break;
        for (int i = 0; i < 32; i++) m8_http_timer_free(all[i]);
    }
    ticker = m8_http_timer_new(server.h, 0.02, 0.02, tick, NULL);
    m8_http_timer *gone[100];
    for (int i = 0; i < 100; i++) gone[i] = m8_http_timer_new(server.h, 5 + i % 7, 0.01, must_not, NULL);
    for (int i = 0; i < 100; i++) m8_http_timer_free(gone[i * 37 % 100]);
    m8_error err = { 0 };
    assert_int_equal(m8_http_run(server.h, &err), M8_OK);
    double took = m8_now_s() - began;
    assert_true(took > 0.099);
    assert_int_equal(n_told, 32);
    for (int i = 1; i < 32; i++) assert_true(told[i] >= told[i - 1]);
    m8_http_close(server.h);
}

/* ---- stopping ------------------------------------------------------------------------------------------------------------ */

static atomic_int n_gone, n_ended, n_held;
static m8_http_req *held;
static void ended(void *user, bool gone) { atomic_fetch_add(gone ? &n_gone : &n_ended, 1); }
static void hold(m8_http_req *r, void *user)
{
    held = r;
    m8_http_on_end(r, ended, NULL);
    atomic_fetch_add(&n_held, 1);
}
static void hang(m8_http_req *r, void *user)
{
    m8_http_on_end(r, ended, NULL);
    m8_http_begin(r, 200, "text/event-stream");
    atomic_fetch_add(&n_held, 1);
}
static void answer(void *user) { m8_http_reply(held, 200, "text/plain", "late", 4); }

static const m8_route holding[] = { { "GET", "/hold", hold }, { "GET", "/hang", hang } };

static void wait_for(atomic_int *n, int want)
{
    for (int i = 0; i < 1000 && *n < want; i++) usleep(5000);
    assert_int_equal(*n, want);
}

static void on_signal(int sig) { m8_http_stop(server.h, 5); }

static void test_stop(void **state)
{
    n_gone = n_ended = n_held = 0;
    server_open(&server, NULL, holding, 2);
    server_start(&server);
    int fd = dial(&server), idle = dial(&server);
    say_text(fd, "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait_for(&n_held, 1);
    assert_false(m8_http_stopping(server.h));
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    assert_true(m8_http_stopping(server.h));
    assert_int_equal(hear(idle, out, sizeof out, 3000), 0); /* idle ones are closed */
    for (int i = 0; i < 200; i++) {                            /* and no new ones taken */
        int late = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)m8_http_port(server.h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int r = connect(late, (struct sockaddr *)&to, sizeof to);
        close(late);
        if (r) break;
        assert_true(i < 199);
        usleep(10000);
    }
    assert_true(m8_http_post(server.h, answer, NULL)); /* what is being answered ends in peace */
    assert_true(hear(fd, out, sizeof out, 3000) > 0);
    assert_non_null(strstr(out, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nlate"));
    close(fd);
    close(idle);
    pthread_join(server.thread, NULL);
    assert_int_equal(n_ended, 1);
    m8_http_close(server.h);

    n_gone = n_ended = n_held = 0;
    server_open(&server, NULL, holding, 2);
    server_start(&server);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(&server);
        say_text(fds[i], i % 2 ? "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n" : "GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    wait_for(&n_held, 20);
    double began = m8_now_s();
    m8_http_stop(server.h, 0.2); /* and what does not end is broken off */
    m8_http_stop(server.h, 50);  /* the earlier one counts */
    pthread_join(server.thread, NULL);
    assert_true(m8_now_s() - began >= 0.19 && m8_now_s() - began < 3);
    assert_int_equal(n_gone, 20);
    for (int i = 0; i < 20; i++) close(fds[i]);
    m8_http_close(server.h);
}

/* Requests that end each other: each end writes to all the others and breaks them off. */
enum { N_CHAIN = 30 };
static m8_http_req *chain[N_CHAIN];
static atomic_int n_chain, n_chain_ended;
static void chain_end(void *user, bool gone)
{
    *(m8_http_req **)user = NULL;
    for (int i = 0; i < N_CHAIN; i++) {
        if (!chain[i]) continue;
        m8_http_write(chain[i], "x", 1);
        if (i % 3 == 0) m8_http_end(chain[i]);
        else m8_http_abort(chain[i]);
    }
    atomic_fetch_add(&n_chain_ended, 1);
}
static void chain_link(m8_http_req *r, void *user)
{
    int i = n_chain;
    chain[i] = r;
    m8_http_on_end(r, chain_end, &chain[i]);
    m8_http_begin(r, 200, "text/plain");
    n_chain = i + 1;
}

static void test_chain(void **state)
{
    static const m8_route all[] = { { "GET", "/link", chain_link } };
    for (int round = 0; round < 10; round++) {
        n_chain = n_chain_ended = 0;
        server_open(&server, NULL, all, 1);
        server_start(&server);
        int fds[N_CHAIN];
        for (int i = 0; i < N_CHAIN; i++) {
            fds[i] = dial(&server);
            say_text(fds[i], "GET /link HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        wait_for(&n_chain, N_CHAIN);
        close(fds[round]);
        wait_for(&n_chain_ended, N_CHAIN);
        for (int i = 0; i < N_CHAIN; i++)
            if (i != round) close(fds[i]);
        server_end(&server);
    }
}

/* ---- readers ---------------------------------------------------------------------------------------------------------------- */

static char chunk[100000];
static m8_http_req *pouring;
static m8_http_timer *pour_timer;
static _Atomic size_t most_unsent;
static void pour_more(void *user)
{
    size_t unsent = m8_http_unsent(pouring);
    if (unsent > most_unsent) most_unsent = unsent;
    if (unsent < 1000000) m8_http_write(pouring, chunk, sizeof chunk);
}
static void pour_end(void *user, bool gone)
{
    m8_http_timer_free(pour_timer);
    ended(user, gone);
}
static void pour(m8_http_req *r, void *user)
{
    pouring = r;
    pour_timer = m8_http_timer_new(m8_http_of(r), 0, 0.001, pour_more, NULL);
    m8_http_on_end(r, pour_end, NULL);
    m8_http_begin(r, 200, "text/plain");
}

static struct {
    char method[16], target[64], user[64], peer[64];
    int status;
    uint64_t bytes;
} lines[16];
static atomic_int n_lines;
static void log_line(void *user, const m8_http_log *l)
{
    int i = atomic_fetch_add(&n_lines, 1);
    if (i >= 16) return;
    snprintf(lines[i].method, 16, "%s", l->method), snprintf(lines[i].target, 64, "%s", l->target), snprintf(lines[i].user, 64, "%s", l->user);
    snprintf(lines[i].peer, 64, "%s", l->peer);
    lines[i].status = l->status;
    lines[i].bytes = l->bytes;
}
static void named(m8_http_req *r, void *user)
{
    m8_http_set_name(r, "x\n127.0.0.1 \x1b[2J\\\x7f");
    m8_http_reply(r, 200, "text/plain", "yes", 3);
}

static void test_readers(void **state)
{
    static const m8_route all[] = { { "GET", "/pour", pour }, { "GET", "/named", named } };
    n_gone = n_ended = 0;
    server_open(&server, &(m8_http_opts){ .stall_s = 0.4, .log = log_line }, all, 2);
    server_start(&server);
    int fd = dial(&server), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say_text(fd, "GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait_for(&n_gone, 1); /* one that does not read is given up */
    assert_true(most_unsent > 0 && most_unsent < 1200000);
    close(fd);
    fd = dial(&server); /* a broken line is noticed, too */
    say_text(fd, "GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(hear_until(fd, out, sizeof out, "\r\n\r\n", 5000));
    struct linger reset = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_for(&n_gone, 2);
    n_lines = 0;
    assert_int_equal(ask_text(&server, "GET /named?x=1&y=%0a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", out, sizeof out), 200);
    size_t n = strlen(out);
    assert_int_equal(ask_text(&server, "GET \x1b HTTP/1.1\r\n\r\n", out, sizeof out), 400);
    server_end(&server);
    assert_int_equal(n_lines, 2);
    assert_string_equal(lines[0].method, "GET");
    assert_string_equal(lines[0].target, "/named?x=1&y=%0a");
    assert_string_equal(lines[0].user, "x\\x0A127.0.0.1 \\x1B[2J\\x5C\\x7F");
    assert_string_equal(lines[0].peer, "127.0.0.1");
    assert_int_equal(lines[0].status, 200);
    assert_int_equal(lines[0].bytes, n);
    assert_int_equal(lines[1].status, 400);
    assert_string_equal(lines[1].target, "-");
}

static void test_open(void **state)
{
    struct server a, b;
    server_open(&a, NULL, NULL, 0);
    int port = m8_http_port(a.h);
    m8_error err = { 0 };
    m8_http *h;
    assert_int_equal(m8_http_open(&h, &(m8_http_opts){ .port = port }, &err), M8_E_BUSY);
    assert_null(h);
    server_open(&b, &(m8_http_opts){ .port = port, .n_ports = 50 }, NULL, 0);
    assert_true(m8_http_port(b.h) > port && m8_http_port(b.h) < port + 50);
    m8_http_close(b.h);
    const m8_http_opts bad[] = { { .host = "nowhere.example" }, { .host = "1.2.3" }, { .port = 65536 }, { .port = -1 }, { .host = "192.0.2.1" }, { .n_proxies = 1, .proxies = (const char *const[]){ "x" } } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (m8_error){ 0 };
        assert_int_equal(m8_http_open(&h, &bad[i], &err), M8_E_ARG);
        assert_int_equal(err.status, M8_E_ARG);
    }
    const m8_route wrong[] = { { NULL, "/", hold }, { "GET", NULL, hold }, { "GET", "x", hold }, { "GET", "/", NULL }, { "G T", "/", hold } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(m8_http_route(a.h, &wrong[i], NULL), M8_E_ARG);
    m8_http_close(a.h);
    m8_http_close(NULL);
    m8_http_timer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open), cmocka_unit_test(test_posts), cmocka_unit_test(test_timers), cmocka_unit_test(test_stop), cmocka_unit_test(test_chain), cmocka_unit_test(test_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
