/* A GGUF file onto the disk, row by row: rows are read from their mapping, brought into their type by all threads, written, and their
 * pages given back.
 *
 * The file has no name while it is written (O_TMPFILE), so that nothing is left behind whatever ends this process; file systems that
 * cannot do so have it under PATH.PID.part meanwhile. */
#include "weights/gguf_write.h"
#include "weights/quantise.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (64 * 1024)   /* elements that one thread brings into their type at a time */
#define MOST_PIECES 64      /* at a time, all threads together */
#define COPIED (4u << 20)   /* bytes written at a time where nothing changes */

struct out {
    m8__gguf *g;
    const struct m8__gguf_opts *o;
    const char *path;
    char *dir, *part;  /* part: the name it has, or will have for a moment */
    int fd;
    bool named;        /* part exists */
    uint64_t done, total;
    const char *tensor;
    m8_error *err;
};

static m8_status no_memory(struct out *w) { return m8_fail(w->err, M8_E_NOMEM, "out of memory for writing %s", w->path); }
static m8_status failed(struct out *w) { return m8_fail_errno(w->err, M8_E_IO, "writing %s", w->path); }

/* ---- the file */

static m8_status open_part(struct out *w)
{
    const m8_sys *sys = m8_sys_get();
    const char *slash = strrchr(w->path, '/');
    w->dir = !slash ? m8_strdup(".") : m8_strndup(w->path, slash == w->path ? 1 : (size_t)(slash - w->path));
    w->part = m8_sprintf("%s.%ld.part", w->path, (long)getpid());
    if (!w->dir || !w->part) return no_memory(w);
    struct stat info;
    if (!stat(w->path, &info) && !S_ISREG(info.st_mode)) return m8_fail(w->err, M8_E_IO, "writing %s: not a regular file", w->path);
    w->fd = sys->open(w->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (w->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        w->fd = sys->open(w->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        w->named = w->fd >= 0;
    }
    if (w->fd < 0) return failed(w);
    if (fallocate(w->fd, 0, 0, (off_t)w->total) && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) {
        char need[40];
        snprintf(need, sizeof need, "%.1f", (double)w->total / 1e9);
        return m8_fail_errno(w->err, M8_E_IO, "writing %s, which needs %s GB", w->path, need);
    }
    return M8_OK;
}

static m8_status finish_part(struct out *w)
{
    const m8_sys *sys = m8_sys_get();
    if (sys->fsync(w->fd)) return failed(w);
    if (!w->named) {
        if (sys->link_open(w->fd, w->part)) return failed(w);
        w->named = true;
    }
    if (sys->rename(w->part, w->path)) return failed(w);
    w->named = false;
    int dir = sys->open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (dir >= 0) { /* the name, too, shall outlast a power cut; where that cannot be had the file is whole all the same */
        sys->fsync(dir);
        sys->close(dir);
    }
    return M8_OK;
}

static m8_status close_part(struct out *w, m8_status st)
{
    const m8_sys *sys = m8_sys_get();
    if (w->fd >= 0) sys->close(w->fd); /* after fsync there is nothing that it could still fail to write */
    if (w->named) sys->unlink(w->part);
    m8_free(w->dir);
    m8_free(w->part);
    return st;
}

static m8_status put(struct out *w, const void *data, size_t n)
{
    const char *p = data;
    w->done += n;
    while (n) {
        ssize_t got = m8_sys_get()->write(w->fd, p, n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed(w);
        if (!got) return m8_fail(w->err, M8_E_IO, "writing %s: nothing more is taken", w->path);
        p += got;
        n -= (size_t)got;
    }
    return M8_OK;
}

static m8_status pad(struct out *w)
{
    static const char zeros[GGUF_ALIGN];
    return put(w, zeros, gguf_padded(w->done) - w->done);
}

static m8_status tell(struct out *w)
{
    if (m8_cancel_is_set(w->o->cancel)) return m8_fail(w->err, M8_E_CANCELLED, "cancelled");
    m8_status st = w->o->progress ? w->o->progress(w->o->user, w->tensor, (int64_t)w->done, (int64_t)w->total) : M8_OK;
    return st ? m8_fail(w->err, st, "stopped") : M8_OK;
}

/* ---- tensors */

/* A tensor's rows, some at a time: piece i of the pieces in hand has rows [row0 + i * rows, ...). */
struct rows {
    const struct gguf_tensor *t;
    int64_t columns, n, row0, rows; /* n: of the tensor; rows: of a piece */
    size_t row_bytes;               /* in the file */
    float *floats;                  /* a piece after the other */
    uint8_t *bytes;
    atomic_bool *bad;               /* a number does not fit */
};

/* Row r of the file is row `at` of the tensor: within a head, 2i + j is j * dh/2 + i. */
static int64_t source_row(const struct gguf_tensor *t, int64_t r)
{
    int dh = t->permute;
    if (!dh) return r;
    int64_t in = r % dh;
    return r - in + in % 2 * (dh / 2) + in / 2;
}

static void convert(void *user, int i)
{
    struct rows *w = user;
    int64_t from = w->row0 + i * w->rows, n = w->n - from < w->rows ? w->n - from : w->rows;
    float *x = w->floats + i * w->rows * w->columns;
    if (w->t->permute) {
        for (int64_t r = 0; r < n; r++) m8__dequant(x + r * w->columns, w->t->from, source_row(w->t, from + r), 1);
    } else {
        m8__dequant(x, w->t->from, from, n);
    }
    if (!m8__quantise(w->bytes + (size_t)(i * w->rows) * w->row_bytes, w->t->type, x, n * w->columns)) *w->bad = true;
}

static m8_status put_rows(struct out *w, struct rows *r, int pieces)
{
    const m8__tensor *from = r->t->from;
    for (; r->row0 < r->n; r->row0 += pieces * r->rows) {
        int64_t left = r->n - r->row0, now = left < pieces * r->rows ? left : pieces * r->rows;
        m8_pool_run(w->o->pool, (int)((now + r->rows - 1) / r->rows), convert, r);
        if (*r->bad)
            return m8_fail(w->err, M8_E_FORMAT, "%.100s: holds what is no number or too large for %s", from->name, m8__dtype_name(r->t->type));
        m8_status st = put(w, r->bytes, (size_t)now * r->row_bytes);
        if (!st) st = tell(w);
        if (st) return st;
        size_t bytes = from->size / (size_t)r->n;
        if (!r->t->permute && !r->t->own) m8_map_drop(from->data + (size_t)r->row0 * bytes, (size_t)now * bytes);
    }
    return M8_OK;
}

static m8_status put_converted(struct out *w, const struct gguf_tensor *t)
{
    const m8__tensor *from = t->from;
    atomic_bool bad = false;
    struct rows r = { .t = t, .columns = from->n_dims ? from->dims[from->n_dims - 1] : 1, .bad = &bad };
    r.n = from->n / r.columns;
    r.row_bytes = (size_t)(r.columns / m8__dtype_block(t->type)) * (size_t)m8__dtype_bytes(t->type);
    r.rows = r.columns < PIECE ? PIECE / r.columns : 1;
    int pieces = 4 * m8_pool_threads(w->o->pool);
    if (pieces > MOST_PIECES) pieces = MOST_PIECES;
    while (pieces > 1 && (pieces - 1) * r.rows >= r.n) pieces--;
    r.floats = m8_calloc((size_t)(pieces * r.rows), (size_t)r.columns * sizeof *r.floats);
    r.bytes = m8_calloc((size_t)(pieces * r.rows), r.row_bytes);
    m8_status st = r.floats && r.bytes ? put_rows(w, &r, pieces) : no_memory(w);
    m8_free(r.floats);
    m8_free(r.bytes);
    return st;
}

static m8_status put_as_it_is(struct out *w, const struct gguf_tensor *t)
{
    m8_status st = M8_OK;
    for (size_t at = 0, n; !st && at < t->from->size; at += n) {
        n = t->from->size - at < COPIED ? t->from->size - at : COPIED;
        st = put(w, t->from->data + at, n);
        if (!st) st = tell(w);
        if (!t->own) m8_map_drop(t->from->data + at, n);
    }
    return st;
}

static m8_status put_all(struct out *w, const m8_buf *head)
{
    m8_status st = put(w, head->data, head->len);
    for (size_t i = 0; !st && i < w->g->n; i++) {
        const struct gguf_tensor *t = &w->g->tensors[i];
        w->tensor = t->from->name ? t->from->name : "";
        st = t->type == t->from->type && !t->permute ? put_as_it_is(w, t) : put_converted(w, t);
        if (!st) st = pad(w);
        if (t->permute) m8_map_drop(t->from->data, t->from->size);
    }
    return st;
}

m8_status m8__gguf_write(m8__gguf *g, const char *path, const struct m8__gguf_opts *o, m8_error *err)
{
    if (g->status) return m8_fail(err, g->status, "%s", m8_error_text(&g->err));
    m8_buf head = { 0 };
    m8__gguf_head(g, &head);
    struct out w = { .g = g, .o = o, .path = path, .fd = -1, .total = head.len + g->n_data, .err = err };
    m8_status st = g->keys.status || g->infos.status || head.status ? no_memory(&w) : M8_OK;
    if (!st) st = open_part(&w);
    if (!st) st = put_all(&w, &head);
    if (!st) st = finish_part(&w);
    m8_buf_finish(&head);
    return close_part(&w, st);
}
