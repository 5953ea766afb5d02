/* The loop: one thread, epoll, what it wakes for, and how it ends. */
#include "server.h"
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, ACCEPTS = 128, TRIM_AFTER = 512 /* connections closed */ };

void m8__loop_wake(m8_http *h)
{
    uint64_t one = 1;
    if (write(h->wake, &one, sizeof one) < 0) return; /* the counter is full: it is awake. Not by the table: a signal handler may call */
}

static void watch_listener(m8_http *h, bool on)
{
    struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = &h->listener };
    if (h->listener >= 0 && !m8_sys_get()->epoll_ctl(h->epoll, EPOLL_CTL_MOD, h->listener, &e)) h->accepting = on;
}

static void accept_some(m8_http *h)
{
    for (int i = 0; i < ACCEPTS && h->listener >= 0; i++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        memset(&from, 0, sizeof from);
        int fd = m8_sys_get()->accept(h->listener, &from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            m8__conn_new(h, fd, &from);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        watch_listener(h, false); /* no descriptors, or no memory: it would wake us for ever */
        h->accept_at = h->now + 0.1;
        return;
    }
}

static void stop_listening(m8_http *h)
{
    if (h->listener < 0) return;
    m8_sys_get()->close(h->listener);
    h->listener = -1;
    h->accept_at = 0;
}

static struct conn *conn_of(struct m8__link *l) { return (struct conn *)((char *)l - offsetof(struct conn, all)); }

static void close_idle(m8_http *h, bool all)
{
    for (struct m8__link *l = h->conns.next; l != &h->conns; l = l->next) {
        struct conn *c = conn_of(l);
        if (all || (c->state == M8__HEAD && c->began <= 0 && !c->out)) m8__conn_kill(c);
        else c->keep = false;
    }
}

/* Everything that this turn has brought about is sent, and what has ended is freed. */
void m8__loop_turn(m8_http *h)
{
    for (int i = 0; h->dirty && i < 4; i++) { /* what has more to do than its share comes again in the next turn */
        struct conn *c = h->dirty;
        h->dirty = NULL;
        while (c) {
            struct conn *next = c->next_dirty;
            c->dirty = false;
            m8__conn_turn(c);
            c = next;
        }
    }
    for (struct conn **at = &h->dirty; h->dead && *at;) { /* the dead leave the other list */
        struct conn *c = *at;
        c->dirty = !c->dead;
        if (c->dead) *at = c->next_dirty;
        else at = &c->next_dirty;
    }
    while (h->dead) {
        struct conn *c = h->dead;
        h->dead = c->next_dead;
        m8__conn_free(c);
    }
}

/* glibc keeps what was freed: after a flood of connections it is given back, once things are quiet. */
static void trim(m8_http *h)
{
    if (h->trim_at > 0 && h->now >= h->trim_at) {
        h->trim_at = 0;
        if (h->peak - h->n_conns >= TRIM_AFTER) {
            malloc_trim(64 * 1024);
            h->peak = h->n_conns;
        }
    } else if (h->trim_at <= 0 && h->peak - h->n_conns >= TRIM_AFTER) {
        h->trim_at = h->now + 1;
    }
}

static int timeout_ms(const m8_http *h)
{
    if (h->dirty || h->dead) return 0;
    double s = m8__wait_next(h);
    return s < 0 ? -1 : s > 3600 ? 3600 * 1000 : (int)(s * 1e3) + (s > 0);
}

static void look_at_stop(m8_http *h)
{
    if (h->closing || !atomic_load(&h->stop_at_ms)) return;
    h->closing = true;
    double left = (double)atomic_load(&h->stop_at_ms) / 1e3 - h->now;
    m8__stoppers_call(h, left > 0 ? left : 0);
    stop_listening(h);
    close_idle(h, false);
}

static bool done(m8_http *h)
{
    if (!h->closing) return false;
    if (h->n_conns && h->now * 1e3 < (double)atomic_load(&h->stop_at_ms)) return false;
    return true;
}

m8_status m8__loop_once(m8_http *h, bool wait, m8_error *err)
{
    struct epoll_event ev[BATCH];
    int n = epoll_wait(h->epoll, ev, BATCH, wait ? timeout_ms(h) : 0);
    if (n < 0 && errno != EINTR) return m8_fail_errno(err, M8_E_IO, "waiting for connections");
    h->now = m8_now_s();
    for (int i = 0; i < n; i++) {
        uint64_t count;
        if (ev[i].data.ptr == &h->listener) accept_some(h);
        else if (ev[i].data.ptr != &h->wake) m8__conn_event(ev[i].data.ptr, ev[i].events);
        else if (read(h->wake, &count, sizeof count) < 0) continue;
    }
    look_at_stop(h);
    if (h->accept_at > 0 && h->now >= h->accept_at) {
        h->accept_at = 0;
        watch_listener(h, true);
        if (!h->accepting) h->accept_at = h->now + 0.1;
    }
    m8__posts_run(h);
    m8__timers_run(h);
    m8__wait_expired(h);
    m8__loop_turn(h);
    trim(h);
    return M8_OK;
}

m8_status m8_http_run(m8_http *h, m8_error *err)
{
    sigset_t pipe, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); /* sendfile() and OpenSSL raise it, and only this thread's business is here */
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    h->now = m8_now_s();
    m8_status st = M8_OK;
    while (!st && !done(h)) st = m8__loop_once(h, true, err);
    stop_listening(h);
    close_idle(h, true);
    m8__loop_turn(h);
    pthread_mutex_lock(&h->lock);
    h->ended = true;
    pthread_mutex_unlock(&h->lock);
    m8__posts_run(h); /* whoever was told true is called */
    static const struct timespec none = { 0 };
    if (!sigismember(&before, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &none) > 0) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

void m8_http_stop(m8_http *h, double grace_s)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double grace = grace_s > 0 ? grace_s < 1e6 ? grace_s : 1e6 : 0;
    long long at = (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000 + (long long)(grace * 1e3) + 1, was = 0;
    while (!atomic_compare_exchange_weak(&h->stop_at_ms, &was, at) && (!was || at < was)) {} /* the earliest counts */
    atomic_store(&h->stopping, true);
    m8__loop_wake(h);
}

bool m8_http_on_stop(m8_http *h, void (*fn)(void *user, double grace_s), void *user)
{
    struct m8__stopper *s = m8_malloc(sizeof *s);
    if (!s) return false;
    *s = (struct m8__stopper){ .next = h->stoppers, .fn = fn, .user = user };
    h->stoppers = s;
    return true;
}

void m8__stoppers_call(m8_http *h, double grace_s)
{
    for (struct m8__stopper *s = h->stoppers; s; s = s->next) s->fn(s->user, grace_s);
}

bool m8_http_stopping(const m8_http *h) { return atomic_load(&h->stopping); }

void m8_http_get_stats(const m8_http *h, m8_http_stats *out)
{
    *out = (m8_http_stats){ .requests = atomic_load_explicit(&h->requests, memory_order_relaxed),
                            .refused = atomic_load_explicit(&h->refused, memory_order_relaxed),
                            .bytes_in = atomic_load_explicit(&h->bytes_in, memory_order_relaxed),
                            .bytes_out = atomic_load_explicit(&h->bytes_out, memory_order_relaxed),
                            .connections = atomic_load_explicit(&h->connections, memory_order_relaxed) };
}
