/* What is to be sent: a list of pieces, written with as few calls as can be. */
#include "server.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOM = 960, MAX_PIECES = 32, TURN = 1024 * 1024 /* bytes that one connection may send in one turn */ };

static struct m8__seg *add_seg(struct conn *c, size_t cap)
{
    struct m8__seg *s = cap > SIZE_MAX - sizeof *s ? NULL : m8_malloc(sizeof *s + cap);
    if (!s) {
        m8__conn_kill(c); /* half an answer is worse than none */
        return NULL;
    }
    *s = (struct m8__seg){ .cap = cap, .fd = -1 };
    s->data = s->room;
    *c->out_end = s;
    c->out_end = &s->next;
    return s;
}

static struct m8__seg *last(struct conn *c)
{
    return c->out ? (struct m8__seg *)((char *)c->out_end - offsetof(struct m8__seg, next)) : NULL;
}

static void free_seg(struct m8__seg *s)
{
    if (s->fd >= 0) m8_sys_get()->close(s->fd);
    if (s->owned) m8_free(s->data);
    m8_free(s);
}

char *m8__out_room(struct conn *c, size_t n)
{
    struct m8__seg *s = last(c);
    if (!s || s->cap - s->len < n) s = add_seg(c, n > ROOM ? n : ROOM);
    if (!s) return NULL;
    char *at = s->data + s->len;
    s->len += n;
    c->n_out += n;
    return at;
}

void m8__out_add(struct conn *c, const void *data, size_t n)
{
    const char *from = data;
    struct m8__seg *s = last(c);
    size_t fits = s ? s->cap - s->len : 0;
    if (fits > n) fits = n;
    if (fits) {
        memcpy(m8__out_room(c, fits), from, fits);
        from += fits;
        n -= fits;
    }
    char *at = n ? m8__out_room(c, n) : NULL;
    if (at) memcpy(at, from, n);
}

void m8__out_borrow(struct conn *c, const void *data, size_t n, bool owned)
{
    struct m8__seg *s = n ? add_seg(c, 0) : NULL;
    if (!s) {
        if (owned) m8_free((void *)data);
        return;
    }
    s->data = (char *)data;
    s->len = n;
    s->owned = owned;
    c->n_out += n;
}

void m8__out_file(struct conn *c, int fd, uint64_t from, uint64_t n)
{
    struct m8__seg *s = n ? add_seg(c, 0) : NULL;
    if (!s) {
        m8_sys_get()->close(fd);
        return;
    }
    s->fd = fd;
    s->off = from;
    s->len = from + n;
    c->n_out += n;
}

void m8__out_clear(struct conn *c)
{
    while (c->out) {
        struct m8__seg *s = c->out;
        c->out = s->next;
        free_seg(s);
    }
    c->out_end = &c->out;
    c->n_out = 0;
}

static void sent(struct conn *c, size_t n)
{
    c->n_out -= n;
    c->n_sent += n;
    while (c->out) {
        struct m8__seg *s = c->out;
        size_t left = s->len - s->off, m = n < left ? n : left;
        s->off += m;
        n -= m;
        if (s->off < s->len) return;
        c->out = s->next;
        if (!c->out) c->out_end = &c->out;
        free_seg(s);
    }
}

static ssize_t send_data(struct conn *c)
{
    struct iovec v[MAX_PIECES];
    struct m8__seg *s = c->out;
    size_t n = 0;
    for (; s && s->fd < 0 && n < MAX_PIECES; s = s->next) v[n++] = (struct iovec){ s->data + s->off, s->len - s->off };
    struct msghdr m = { .msg_iov = v, .msg_iovlen = n };
    return m8_sys_get()->sendmsg(c->fd, &m, MSG_NOSIGNAL | (s ? MSG_MORE : 0));
}

static ssize_t send_file(struct conn *c)
{
    struct m8__seg *s = c->out;
    size_t n = s->len - s->off < TURN ? s->len - s->off : TURN;
    off_t at = (off_t)s->off;
    ssize_t k;
    if (!c->ssl) k = m8_sys_get()->sendfile(c->fd, s->fd, &at, n);
    else {
        char piece[16 * 1024]; /* a record */
        k = pread(s->fd, piece, n < sizeof piece ? n : sizeof piece, at);
        if (k > 0) k = m8__tls_send(c, piece, (size_t)k);
    }
    if (!k) errno = EIO; /* the file is shorter than it was: what was promised cannot be kept */
    return k ? k : -1;
}

static ssize_t send_some(struct conn *c)
{
    const struct m8__seg *s = c->out;
    if (s->fd >= 0) return send_file(c);
    return c->ssl ? m8__tls_send(c, s->data + s->off, s->len - s->off) : send_data(c);
}

void m8__out_flush(struct conn *c)
{
    if (c->req) m8__piece_close(c->req);
    if (c->dead || !c->out) return;
    for (size_t all = 0; c->out;) {
        ssize_t n = send_some(c);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (all || c->wait != M8__WAIT_STALL) m8__wait_set(c, M8__WAIT_STALL);
            m8__conn_watch(c, c->events | EPOLLOUT);
            return;
        }
        if (n < 0) {
            m8__conn_kill(c);
            return;
        }
        sent(c, (size_t)n);
        atomic_fetch_add_explicit(&c->h->bytes_out, (unsigned long long)n, memory_order_relaxed);
        all += (size_t)n;
        if (all >= TURN && c->out) { /* the others' turn */
            m8__conn_dirty(c);
            return;
        }
    }
    if (c->events & EPOLLOUT) m8__conn_watch(c, c->events & ~(uint32_t)EPOLLOUT);
    if (c->wait == M8__WAIT_STALL) m8__wait_set(c, M8__WAIT_NONE);
}
