/* A whole connection: what a client sends, in pieces of the first byte's length, to a server with a route of every kind. Every
 * answer has a status, the connection ends once the client has closed, and every request is told its end. */
#include "server.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static m8_http *server;
static int n_open; /* requests whose end is to come */

static void ended(void *user, bool gone) { n_open--; }
static void follow(m8_http_req *r)
{
    n_open++;
    m8_http_on_end(r, ended, NULL);
}

static void echo(m8_http_req *r, void *user)
{
    size_t n;
    const char *body = m8_http_body(r, &n), *arg = m8_http_arg(r, "a");
    follow(r);
    m8_http_set(r, "X-Arg", arg);
    m8_http_set(r, "X-Cookie", m8_http_cookie(r, "a"));
    m8_http_set(r, "X-Root", m8_http_root(r));
    m8_http_set(r, "X-Rest", m8_http_rest(r));
    if (n % 3 == 2) m8_http_redirect(r, arg ? arg : "/x");
    else m8_http_reply(r, 200, "text/plain", body, n);
}
static void stream(m8_http_req *r, void *user)
{
    static char text[70000];
    follow(r);
    m8_http_begin(r, 200, "text/event-stream");
    m8_http_write(r, text, strlen(m8_http_query(r)) * 100 % sizeof text);
    m8_http_write(r, "x", 1);
    m8_http_end(r);
}
static void file(m8_http_req *r, void *user)
{
    follow(r);
    m8_http_file(r, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "text/plain", false, m8_http_rest(r));
}
static void count(m8_http_req *r, void *user) { follow(r); }
static void piece(m8_http_req *r, const char *data, size_t n, void *user)
{
    size_t *all = m8_http_user(r);
    if (!all) m8_http_set_user(r, all = m8_http_alloc(r, sizeof *all));
    *all += n;
    if (!n || *all > 100) m8_http_refuse(r, 422, "%s", m8_http_path(r));
}
static m8_http_req *late;
static void answer(void *user)
{
    if (late) m8_http_reply(late, 200, "text/plain", "late", 4);
}
static void late_end(void *user, bool gone)
{
    late = NULL;
    n_open--;
}
static void later(m8_http_req *r, void *user)
{
    n_open++;
    late = r;
    m8_http_on_end(r, late_end, NULL);
    m8_http_post(server, answer, NULL);
}
static bool gate(m8_http_req *r, void *user)
{
    const char *p = m8_http_path(r);
    if (*p == '/' && (strstr(p, "//") || strstr(p, "/../") || strstr(p, "/./"))) abort(); /* it is normal */
    return true;
}

static void setup(void)
{
    static const char *const names[] = { "ball.example" }, *const proxies[] = { "127.0.0.1" };
    static const m8_route routes[] = { { "GET", "/echo*", echo }, { "POST", "/echo*", echo, .max_body = 200 }, { "GET", "/s", stream }, { "GET", "/file*", file },
                                       { "POST", "/c", count, .body = piece, .max_body = 150 }, { "GET", "/l", later, .unsafe = true } };
    if (m8_http_open(&server, &(m8_http_opts){ .names = names, .n_names = 1, .proxies = proxies, .n_proxies = 1 }, NULL)) abort();
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) m8_http_route(server, &routes[i], NULL);
    m8_http_gate(server, gate, NULL);
}

/* Read what there is; the first bytes are an answer's. */
static void drain(int fd, size_t *n_read)
{
    char got[65536];
    for (ssize_t n; (n = recv(fd, got, sizeof got, MSG_DONTWAIT)) > 0; *n_read += (size_t)n)
        if (!*n_read && (n < 12 || memcmp(got, "HTTP/1.1 ", 9) || got[9] < '1' || got[9] > '5')) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!server) setup();
    int fds[2];
    if (n < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) return 0;
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_storage at;
    memcpy(&at, &from, sizeof from);
    server->now = m8_now_s();
    m8__conn_new(server, fds[0], &at);
    size_t step = data[0] ? data[0] : n, n_read = 0;
    for (size_t i = 1; i < n; i += step) {
        if (send(fds[1], data + i, n - i < step ? n - i : step, MSG_NOSIGNAL) < 0) break;
        m8__loop_once(server, false, NULL);
        drain(fds[1], &n_read);
    }
    for (int i = 0; i < 3; i++) {
        m8__loop_once(server, false, NULL);
        drain(fds[1], &n_read);
    }
    close(fds[1]);
    for (int i = 0; i < 1000 && server->n_conns; i++) m8__loop_once(server, false, NULL);
    if (server->n_conns || n_open) abort();
    return 0;
}
