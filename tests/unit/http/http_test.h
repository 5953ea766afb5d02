/* http_test.h - a server on a thread, and a client that sends bytes and reads what comes back. */
#ifndef HTTP_TEST_H
#define HTTP_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <m8/http.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct server {
    m8_http *h;
    pthread_t thread;
};

static inline void *server_main(void *arg)
{
    m8_error err = { 0 };
    return m8_http_run(arg, &err) ? arg : NULL;
}

static inline void server_open(struct server *s, const m8_http_opts *opts, const m8_route *routes, size_t n)
{
    m8_error err = { 0 };
    if (m8_http_open(&s->h, opts, &err)) fail_msg("%s", m8_error_text(&err));
    for (size_t i = 0; i < n; i++) assert_int_equal(m8_http_route(s->h, &routes[i], &err), M8_OK);
}

static inline void server_start(struct server *s) { assert_int_equal(pthread_create(&s->thread, NULL, server_main, s->h), 0); }

static inline void server_end(struct server *s)
{
    void *bad;
    m8_http_stop(s->h, 0);
    pthread_join(s->thread, &bad);
    assert_null(bad);
    m8_http_close(s->h);
}

static inline int dial(const struct server *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)m8_http_port(s->h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail_msg("connect: %s", strerror(errno));
    return fd;
}

static inline void say(int fd, const void *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = send(fd, (const char *)data + at, n - at, MSG_NOSIGNAL);
        if (k < 0) return; /* refused before it was all sent */
        at += (size_t)k;
    }
}

static inline void say_text(int fd, const char *text) { say(fd, text, strlen(text)); }

/* Read until the server closes, or for so long at most; what came is NUL-terminated. -1: it did not close. */
static inline ssize_t hear(int fd, char *out, size_t size, int ms)
{
    size_t n = 0;
    double end = m8_now_s() + ms / 1e3;
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        int left = (int)((end - m8_now_s()) * 1e3);
        if (left < 0 || poll(&p, 1, left) <= 0) break;
        char waste[4096];
        bool full = n + 1 >= size;
        ssize_t k = recv(fd, full ? waste : out + n, full ? sizeof waste : size - 1 - n, 0);
        if (k <= 0) {
            out[n] = 0;
            return (ssize_t)n;
        }
        if (!full) n += (size_t)k;
    }
    out[n] = 0;
    return -1;
}

/* Read until what came holds the text. */
static inline bool hear_until(int fd, char *out, size_t size, const char *text, int ms)
{
    size_t n = 0;
    double end = m8_now_s() + ms / 1e3;
    out[0] = 0;
    while (n + 1 < size) {
        struct pollfd p = { fd, POLLIN, 0 };
        int left = (int)((end - m8_now_s()) * 1e3);
        if (left < 0 || poll(&p, 1, left) <= 0) return false;
        ssize_t k = recv(fd, out + n, size - 1 - n, 0);
        if (k <= 0) return false;
        n += (size_t)k;
        out[n] = 0;
        if (memmem(out, n, text, strlen(text))) return true;
    }
    return false;
}

/* Send, read to the end, close. returns the status of the (first) answer; 0: none came, -1: it was not closed. */
static inline int ask(const struct server *s, const void *data, size_t n, char *out, size_t size)
{
    char own[8192];
    int fd = dial(s), status = 0;
    say(fd, data, n);
    if (!out) out = own, size = sizeof own;
    ssize_t k = hear(fd, out, size, 5000);
    close(fd);
    if (k < 0) return -1;
    return sscanf(out, "HTTP/1.1 %3d ", &status) == 1 ? status : 0;
}

static inline int ask_text(const struct server *s, const char *text, char *out, size_t size) { return ask(s, text, strlen(text), out, size); }

#endif
