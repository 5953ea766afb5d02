/* A connection: bytes in, requests one after the other, answers out. Its states are drawn in server.h. */
#include "server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    PIPELINE = 16, /* requests of one connection in one turn */
    LINGER_BYTES = 64 * 1024,
    LEAST_RATE = 100, /* bytes of body a second */
    GRACE = 2,        /* windows of a body in which they are not asked for */
};

void m8__conn_watch(struct conn *c, uint32_t events)
{
    if (events == c->events || c->dead) return;
    struct epoll_event e = { .events = events, .data.ptr = c };
    if (m8_sys_get()->epoll_ctl(c->h->epoll, EPOLL_CTL_MOD, c->fd, &e)) m8__conn_kill(c);
    else c->events = events;
}

void m8__conn_dirty(struct conn *c)
{
    if (c->dirty || c->dead) return;
    c->dirty = true;
    c->next_dirty = c->h->dirty;
    c->h->dirty = c;
}

void m8__conn_kill(struct conn *c)
{
    if (c->dead) return;
    c->dead = true;
    m8__wait_set(c, M8__WAIT_NONE);
    c->next_dead = c->h->dead;
    c->h->dead = c;
}

static void set_address(struct conn *c, const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET6) c->address = ((const struct sockaddr_in6 *)from)->sin6_addr;
    else {
        c->address = (struct in6_addr){ .s6_addr = { [10] = 0xFF, [11] = 0xFF } };
        memcpy(c->address.s6_addr + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    }
    bool four = IN6_IS_ADDR_V4MAPPED(&c->address);
    inet_ntop(four ? AF_INET : AF_INET6, four ? c->address.s6_addr + 12 : c->address.s6_addr, c->peer, sizeof c->peer);
}

void m8__conn_new(m8_http *h, int fd, const struct sockaddr_storage *from)
{
    struct conn *c = m8_calloc(1, sizeof *c);
    if (!c) {
        m8_sys_get()->close(fd);
        return;
    }
    c->h = h;
    c->fd = fd;
    c->out_end = &c->out;
    c->events = EPOLLIN | EPOLLRDHUP;
    set_address(c, from);
    c->all = (struct m8__link){ h->conns.prev, &h->conns };
    h->conns.prev->next = &c->all;
    h->conns.prev = &c->all;
    h->n_conns++;
    atomic_store_explicit(&h->connections, h->n_conns, memory_order_relaxed);
    if (h->n_conns > h->peak) h->peak = h->n_conns;
    c->over = !m8__address_take(h, c) || (h->n_conns > h->max_conns && !m8__wait_drop_idle(h));
    if (c->over) h->n_over++;
    struct epoll_event e = { .events = c->events, .data.ptr = c };
    if (m8_sys_get()->epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &e) || (h->tls && !m8__tls_new(c))) m8__conn_kill(c);
    else if (c->over && h->n_over > h->spare) m8__conn_kill(c);
    else m8__wait_set(c, M8__WAIT_HEAD);
}

void m8__conn_free(struct conn *c)
{
    m8_http *h = c->h;
    if (c->req) m8__req_end(c, true);
    for (struct conn **at = &h->dirty; c->dirty && *at; at = &(*at)->next_dirty) /* another's end has killed it just now */
        if (*at == c) {
            *at = c->next_dirty;
            c->dirty = false;
            break;
        }
    m8__out_clear(c);
    m8__tls_free(c);
    /* closing alone would do, if no other thread were just forking: its child holds the descriptor for a moment, and epoll tells of it still */
    m8_sys_get()->epoll_ctl(h->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    m8_sys_get()->close(c->fd);
    m8__address_drop(h, c);
    if (c->over) h->n_over--;
    c->all.prev->next = c->all.next;
    c->all.next->prev = c->all.prev;
    h->n_conns--;
    atomic_store_explicit(&h->connections, h->n_conns, memory_order_relaxed);
    m8_free(c->in);
    m8_free(c);
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

/* The head of a request is in at[0, n), perhaps. returns the bytes used; 0: more is needed. */
static size_t take_head(struct conn *c, const char *at, size_t n)
{
    if (*at == '\r' && !c->skipped) { /* one empty line before a head is read over (RFC 9112, 2.2) */
        if (n < 2) return 0;
        if (at[1] != '\n') m8__conn_refuse(c, 400, "Bad request line");
        c->skipped = true;
        return 2;
    }
    if (c->began <= 0) c->began = c->h->now;
    int len = m8__head_scan(&c->scan, at, n);
    const char *why = len == -414 ? "The target is too long" : len == -431 ? "The head is too large" : "Bad request";
    int status = len < 0 ? -len : len ? m8__req_new(c, at, (size_t)len, &why) : 0;
    if (status) {
        if (c->req) m8__req_free(c->req);
        c->req = NULL;
        m8__conn_refuse(c, status, why);
        return n;
    }
    if (!len) {
        if (c->wait != M8__WAIT_HEAD) m8__wait_set(c, M8__WAIT_HEAD);
        return 0;
    }
    m8__req_begin(c->req);
    return (size_t)len;
}

static size_t process(struct conn *c, const char *at, size_t n)
{
    size_t used = 0, k = 1;
    while (used < n && k && !c->dead && (c->state == M8__HEAD || c->state == M8__BODY)) {
        if (c->state == M8__HEAD) k = take_head(c, at + used, n - used);
        else m8__req_body(c->req, at + used, n - used, &k);
        used += k;
    }
    return used;
}

/* Keep what is left for later: at[0, n) is in the server's buffer or in the connection's own. */
static void keep_rest(struct conn *c, const char *at, size_t n)
{
    if (c->in && n) {
        c->in_off = (uint32_t)(at - c->in);
        return;
    }
    char *copy = n && !c->dead ? m8_malloc(n) : NULL;
    if (copy) memcpy(copy, at, n);
    else if (n) m8__conn_kill(c);
    m8_free(c->in);
    c->in = copy;
    c->in_off = 0;
    c->in_len = c->in_cap = copy ? (uint32_t)n : 0;
}

static void take_in(struct conn *c)
{
    size_t n = c->in_len - c->in_off, used = process(c, c->in + c->in_off, n);
    keep_rest(c, c->in + c->in_off + used, n - used);
}

static ssize_t receive(struct conn *c, void *to, size_t n)
{
    for (;;) {
        ssize_t k = c->ssl ? m8__tls_recv(c, to, n) : m8_sys_get()->recv(c->fd, to, n, 0);
        if (k >= 0 || errno != EINTR) return k;
    }
}

/* Room for more behind what was kept. */
static bool make_room(struct conn *c)
{
    memmove(c->in, c->in + c->in_off, c->in_len - c->in_off);
    c->in_len -= c->in_off;
    c->in_off = 0;
    if (c->in_cap - c->in_len >= 1024) return true;
    uint32_t cap = c->in_len + (c->in_len < 4096 ? 4096 : c->in_len); /* a head ends or is refused before 64 KiB */
    char *p = m8_realloc(c->in, cap);
    if (!p) return false;
    c->in = p;
    c->in_cap = cap;
    return true;
}

static void read_once(struct conn *c)
{
    m8_http *h = c->h;
    if (c->in && !make_room(c)) {
        m8__conn_kill(c);
        return;
    }
    char *to = c->in ? c->in + c->in_len : h->buffer;
    ssize_t n = receive(c, to, c->in ? c->in_cap - c->in_len : M8__READ_SIZE);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
        m8__conn_kill(c);
        return;
    }
    atomic_fetch_add_explicit(&h->bytes_in, (unsigned long long)n, memory_order_relaxed);
    c->window += (uint32_t)n;
    if (c->state == M8__LINGER) {
        if (c->window > LINGER_BYTES) m8__conn_watch(c, 0); /* enough: the time-out ends it */
        return;
    }
    if (c->in) {
        c->in_len += (uint32_t)n;
        take_in(c);
    } else {
        size_t used = process(c, to, (size_t)n);
        keep_rest(c, to + used, (size_t)n - used);
    }
}

static void read_some(struct conn *c)
{
    do read_once(c);
    while (!c->dead && c->ssl && c->state != M8__BUSY && m8__tls_pending(c)); /* what OpenSSL holds, epoll does not tell */
}

void m8__conn_event(struct conn *c, uint32_t events)
{
    if (c->dead) return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        m8__conn_kill(c);
        return;
    }
    if (c->state == M8__BUSY && events & (EPOLLIN | EPOLLRDHUP)) {
        bool sending = c->req && c->req->answer == M8__ENDED;
        if (!(events & EPOLLRDHUP)) m8__conn_watch(c, c->events & ~(uint32_t)EPOLLIN); /* the next request waits in the kernel */
        else if (!sending) m8__conn_kill(c); /* nobody waits for the answer any more */
        else m8__conn_watch(c, c->events & EPOLLOUT); /* it reads on, and what it sent before is answered */
    } else if (events & (EPOLLIN | EPOLLRDHUP) && !(c->in && c->dirty)) { /* requests that wait here come first, also before the end */
        read_some(c);
    }
    m8__conn_turn(c);
}

/* ---- and on ------------------------------------------------------------------------------------------------------------------ */

static void linger(struct conn *c)
{
    if (!c->unread && !c->in) { /* all was read: closing loses nothing */
        m8__tls_bye(c);
        m8__conn_kill(c);
        return;
    }
    m8_free(c->in);
    c->in = NULL;
    c->state = M8__LINGER;
    c->lingers = true;
    c->window = 0;
    m8__tls_bye(c);
    shutdown(c->fd, SHUT_WR);
    m8__wait_set(c, M8__WAIT_LINGER);
    m8__conn_watch(c, EPOLLIN);
}

static void next_request(struct conn *c)
{
    c->state = M8__HEAD;
    c->scan = (struct m8__scan){ 0 };
    c->began = 0;
    c->n_sent = 0;
    c->skipped = false;
    m8__wait_set(c, M8__WAIT_IDLE);
    m8__conn_watch(c, EPOLLIN | EPOLLRDHUP);
}

void m8__conn_turn(struct conn *c)
{
    for (int i = 0; !c->dead; i++) {
        m8__out_flush(c);
        if (c->dead || c->out) return;
        if (c->state == M8__LINGER) {
            if (!c->lingers) linger(c);
            return;
        }
        if (c->req) {
            if (c->req->answer != M8__ENDED) return;
            m8__req_end(c, false);
            if (c->dead) return;
            if (!c->keep) {
                linger(c);
                return;
            }
            next_request(c);
        }
        if (c->state != M8__HEAD) return;
        if (c->h->closing && c->began <= 0) {
            m8__conn_kill(c);
            return;
        }
        if (i == PIPELINE) { /* the others' turn */
            m8__conn_dirty(c);
            return;
        }
        bool pending = c->ssl && m8__tls_pending(c);
        if (!c->in && !pending) return;
        size_t had = c->in_len - c->in_off;
        if (c->in) take_in(c);
        else read_some(c);
        if (!c->req && c->state == M8__HEAD && (!c->in || c->in_len - c->in_off == had)) return; /* a part of a head */
    }
}

void m8__conn_expired(struct conn *c, enum m8__wait kind)
{
    m8_http_req *r = c->req;
    switch (kind) {
    case M8__WAIT_HEAD:
        if (c->began > 0) m8__conn_refuse(c, 408, "The head took too long");
        else m8__conn_kill(c);
        break;
    case M8__WAIT_BODY:
        if (r && (r->n_windows < GRACE || c->window >= LEAST_RATE * c->h->length[kind])) {
            if (r->n_windows < GRACE) r->n_windows++;
            c->window = 0;
            m8__wait_set(c, M8__WAIT_BODY);
        } else if (r && r->answer == M8__NO_ANSWER) m8_http_refuse(r, 408, "The body comes too slowly");
        else m8__conn_kill(c);
        break;
    default:
        m8__conn_kill(c);
    }
}
