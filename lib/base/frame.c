/* Frames on a socket: read whole, sent whole. */
#include "frame.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

m8_status m8__frame_reader_init(struct frame_reader *r, int fd, m8_error *err)
{
    *r = (struct frame_reader){ .fd = fd, .ahead = m8_malloc(FRAME_PIECE) };
    return r->ahead ? M8_OK : m8_fail(err, M8_E_NOMEM, "reading from a process");
}

void m8__frame_reader_finish(struct frame_reader *r)
{
    m8_free(r->ahead);
    *r = (struct frame_reader){ .fd = -1 };
}

/* *got 0: the end. */
static m8_status read_some(int fd, void *to, size_t n, size_t *got, m8_error *err)
{
    for (;;) {
        ssize_t k = m8_sys_get()->read(fd, to, n);
        *got = k > 0 ? (size_t)k : 0;
        if (k >= 0 || errno == ECONNRESET) return M8_OK;
        if (errno != EINTR) return m8_fail_errno(err, M8_E_IO, "reading from a process");
    }
}

/* At least one byte ahead. */
static m8_status look_ahead(struct frame_reader *r, bool *end, m8_error *err)
{
    *end = false;
    if (r->at < r->end) return M8_OK;
    r->at = r->end = 0;
    m8_status st = read_some(r->fd, r->ahead, FRAME_PIECE, &r->end, err);
    *end = !st && !r->end;
    return st;
}

m8_status m8__frame_body(struct frame_reader *r, void *to, size_t n, m8_error *err)
{
    while (n) {
        size_t have = r->end - r->at, k = have < n ? have : n;
        bool end = false;
        m8_status st = M8_OK;
        if (k) {
            if (to) memcpy(to, r->ahead + r->at, k);
            r->at += k;
        } else if (to && n >= FRAME_PIECE) { /* large: to where it belongs */
            st = read_some(r->fd, to, n, &k, err);
            end = !st && !k;
        } else {
            st = look_ahead(r, &end, err);
        }
        if (st) return st;
        if (end) return m8_fail(err, M8_E_CANCELLED, "the other side has closed inside of a frame");
        if (to) to = (char *)to + k;
        n -= k;
    }
    return M8_OK;
}

m8_status m8__frame_head(struct frame_reader *r, struct frame_head *h, m8_error *err)
{
    bool end;
    m8_status st = look_ahead(r, &end, err);
    if (st) return st;
    if (end) return M8_E_CANCELLED;
    st = m8__frame_body(r, h, sizeof *h, err);
    if (!st && h->n > FRAME_MOST) st = m8_fail(err, M8_E_FORMAT, "a frame of %u bytes", h->n);
    return st;
}

static m8_status send_all(int fd, const char *data, size_t n, int flags, bool (*go)(void *), void *user, m8_error *err)
{
    while (n) {
        ssize_t k = m8_sys_get()->send(fd, data, n, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0) {
            data += k;
            n -= (size_t)k;
        } else if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };
            poll(&p, 1, go ? 20 : -1);
            if (go && !go(user)) return m8_fail(err, M8_E_TIMEOUT, "the process does not read");
        } else if (!k || errno != EINTR) {
            return m8_fail_errno(err, M8_E_IO, "writing to a process");
        }
    }
    return M8_OK;
}

m8_status m8__frame_send(int fd, uint32_t kind, uint32_t call, const void *a, size_t n_a, const void *b, size_t n_b,
                         bool (*go)(void *), void *user, m8_error *err)
{
    char small[4096];
    if (n_a > FRAME_MOST || n_b > FRAME_MOST - n_a) return m8_fail(err, M8_E_LIMIT, "%zu bytes for a process in one piece", n_a + n_b);
    struct frame_head h = { (uint32_t)(n_a + n_b), kind, call };
    size_t n = sizeof h;
    memcpy(small, &h, n);
    bool all = n + n_a + n_b <= sizeof small; /* one system call, and the reader wakes once */
    if (all) {
        if (n_a) memcpy(small + n, a, n_a);
        if (n_b) memcpy(small + n + n_a, b, n_b);
        return send_all(fd, small, n + n_a + n_b, 0, go, user, err);
    }
    m8_status st = send_all(fd, small, n, MSG_MORE, go, user, err);
    if (!st) st = send_all(fd, a, n_a, n_b ? MSG_MORE : 0, go, user, err);
    return st ? st : send_all(fd, b, n_b, 0, go, user, err);
}

void m8__put_error(m8_buf *b, m8_status st, const m8_error *err)
{
    m8_put_u32(b, (uint32_t)st);
    m8_put_u32(b, err && err->status ? (uint32_t)err->detail : 0);
    m8_put_text(b, st ? err && err->status ? m8_error_text(err) : m8_status_text(st) : "");
}

static bool known(int32_t st)
{
    static const int32_t all[] = {
#define X(name, code, text) code,
        M8_STATUS_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == st) return true;
    }
    return false;
}

m8_status m8__get_error(m8_fields *f, m8_error *err)
{
    int32_t st = (int32_t)m8_get_u32(f), detail = (int32_t)m8_get_u32(f);
    const char *text = m8_get_text(f);
    if (f->bad || !text || !known(st)) {
        f->bad = true;
        return m8_fail(err, M8_E_FORMAT, "the process answered with what is no answer");
    }
    if (!st) return M8_OK;
    bool mine = err && !err->status;
    m8_fail(err, (m8_status)st, "%s", text);
    if (mine) err->detail = detail;
    return (m8_status)st;
}
