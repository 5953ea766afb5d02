/* The thread behind a worker. It alone starts the process (which dies with this thread), reads from it, and waits for its end.
 *
 *     start -> LOADING -> [READY frame] -> READY -> [the socket ends] -> bury: its calls end, DIED -> start
 *         \                     \-> FAILED: 0.1 s, 0.2 s, ... 10 s -> start
 *          \-> the same
 *
 * What it reads it hands to the calls: a piece is queued and its caller woken; the callers' sinks run on their own threads. */
#include "proc.h"
#include "child.h"
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

static void tell(m8_proc *p, m8_proc_state state, const m8_error *why)
{
    pthread_mutex_lock(&p->lock);
    p->state = state;
    if (why) p->why = *why;
    bool closing = p->closing;
    pthread_cond_broadcast(&p->news);
    pthread_mutex_unlock(&p->lock);
    if (why && !closing) m8_log(M8_LOG_WARN, "%s", why->text);
    if (p->opts.state && !closing) p->opts.state(p->opts.user, state, why);
}

void m8__proc_kill(m8_proc *p, int generation)
{
    if (p->pid > 0 && p->generation == generation) kill(p->pid, SIGKILL);
}

/* ---- frames that come */

static void end_call(struct call *c, m8_status st, const m8_error *err)
{
    c->status = st;
    if (err) c->error = *err;
    c->ended = true;
    pthread_cond_signal(&c->news);
}

static struct call *find(m8_proc *p, uint32_t id)
{
    struct call *c = p->calls;
    while (c && (c->id != id || c->ended || c->generation != p->generation)) c = c->next;
    return c;
}

static m8_status breaks_rules(const struct frame_head *h, m8_error *err)
{
    return m8_fail(err, M8_E_FORMAT, "it sent a frame of kind %u and %u bytes that it may not", h->kind, h->n);
}

/* The body is read before the call is looked for, so that nobody waits for a lock that is held while reading. */
static m8_status take_push(m8_proc *p, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    if (h->n > FRAME_PIECE) return breaks_rules(h, err);
    struct piece *piece = m8_malloc(sizeof *piece + h->n);
    m8_status st = m8__frame_body(r, piece ? piece->data : NULL, h->n, err);
    if (st) {
        m8_free(piece);
        return st;
    }
    if (piece) *piece = (struct piece){ .n = h->n };
    pthread_mutex_lock(&p->lock);
    struct call *c = find(p, h->call);
    if (c && c->held && c->held + h->n > FRAME_WINDOW) st = breaks_rules(h, err);
    if (c && !st && piece) {
        *c->last = piece;
        c->last = &piece->next;
        c->held += h->n;
        piece = NULL;
        pthread_cond_signal(&c->news);
    } else if (c && !st) {
        c->lost = true;
        pthread_cond_signal(&c->news);
    }
    pthread_mutex_unlock(&p->lock);
    m8_free(piece);
    return st;
}

static m8_status take_end(m8_proc *p, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    char *body = m8_malloc(h->n), small[512]; /* without memory for the result, the status at least */
    m8_status st = m8__frame_body(r, body, body ? h->n : 0, err);
    if (!body && h->n <= sizeof small) st = m8__frame_body(r, small, h->n, err);
    else if (!body) st = m8__frame_body(r, NULL, h->n, err);
    m8_error why = {0};
    m8_status got = M8_E_NOMEM;
    m8_fields f = { (const uint8_t *)(body ? body : small), h->n, false };
    if (!st && (body || h->n <= sizeof small)) {
        got = m8__get_error(&f, &why);
        if (f.bad) st = breaks_rules(h, err);
    } else {
        m8_fail(&why, M8_E_NOMEM, "a result of %u bytes", h->n);
    }
    pthread_mutex_lock(&p->lock);
    struct call *c = st ? NULL : find(p, h->call);
    if (c && c->result && f.left) {
        m8_buf_add(c->result, f.at, f.left);
        if (c->result->status && !got) got = m8_fail(&why, c->result->status, "a result of %zu bytes", f.left);
    }
    if (c) end_call(c, got, &why);
    pthread_mutex_unlock(&p->lock);
    m8_free(body);
    return st;
}

static m8_status take_state(m8_proc *p, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    char *body = m8_malloc(h->n);
    m8_status st = body ? m8__frame_body(r, body, h->n, err) : m8_fail(err, M8_E_NOMEM, "starting a process");
    m8_fields f = { (const uint8_t *)body, h->n, false };
    if (!st && h->kind == FRAME_LOG) {
        uint32_t level = m8_get_u32(&f);
        const char *line = m8_get_text(&f);
        if (f.bad || !line || level > M8_LOG_DEBUG) st = breaks_rules(h, err);
        else m8_log((m8_log_level)level, "%s: %s", p->what, line);
    } else if (!st && h->kind == FRAME_FAILED) {
        st = m8__get_error(&f, err);
        if (!st) st = breaks_rules(h, err);
    } else if (!st) {
        if (p->ready) st = p->ready(p->ready_user, &f, err);
        if (!st && f.bad) st = breaks_rules(h, err);
        if (!st) tell(p, M8_PROC_READY, NULL);
    }
    m8_free(body);
    return st;
}

m8_status m8__proc_read(m8_proc *p, struct frame_reader *r, m8_error *err)
{
    struct frame_head h;
    m8_status st = M8_OK;
    while (!st) {
        st = m8__frame_head(r, &h, err);
        if (st) break;
        bool loading = p->state == M8_PROC_LOADING; /* this thread alone writes it */
        if (h.kind == FRAME_PUSH && !loading) st = take_push(p, r, &h, err);
        else if (h.kind == FRAME_END && !loading) st = take_end(p, r, &h, err);
        else if (h.kind == FRAME_LOG || (loading && (h.kind == FRAME_READY || h.kind == FRAME_FAILED))) st = take_state(p, r, &h, err);
        else st = breaks_rules(&h, err);
    }
    return st;
}

/* ---- a process' life */

static void bury(m8_proc *p, m8_status st, const m8_error *read_error)
{
    const m8_sys *sys = m8_sys_get();
    pthread_mutex_lock(&p->lock);
    int fd = p->fd;
    pid_t pid = p->pid;
    bool loading = p->state == M8_PROC_LOADING, closing = p->closing;
    p->pid = 0; /* from here on nobody else may signal it */
    pthread_mutex_unlock(&p->lock);
    shutdown(fd, SHUT_RDWR); /* who is about to write to it gets an error */
    pthread_mutex_lock(&p->sends);
    pthread_mutex_lock(&p->lock);
    p->fd = -1;
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->sends);
    char how[32];
    sys->close(fd);
    /* it closed the socket because it ends, or is told to: then it has a moment. Otherwise it is killed */
    m8__reap(pid, st == M8_E_CANCELLED && !(loading && closing) ? 0.5 : 0, how);
    m8_error why = {0};
    if (st == M8_E_CANCELLED) m8_fail(&why, M8_E_IO, "the process of %s ended (%s)%s", p->what, how, loading ? " while it loaded" : "");
    else if (loading) why = *read_error;
    else m8_fail(&why, M8_E_IO, "the process of %s was ended: %s", p->what, m8_error_text(read_error));
    pthread_mutex_lock(&p->lock);
    p->why = why;
    p->state = loading ? M8_PROC_FAILED : M8_PROC_DIED;
    for (struct call *c = p->calls; c; c = c->next) {
        if (!c->ended && c->generation == p->generation) end_call(c, M8_E_IO, &why);
    }
    pthread_mutex_unlock(&p->lock);
    if (!closing) tell(p, loading ? M8_PROC_FAILED : M8_PROC_DIED, &why);
}

static m8_status greet(m8_proc *p, int fd, m8_error *err)
{
    m8_buf b = {0};
    m8_put_text(&b, M8_VERSION);
    m8_put_text(&b, p->service);
    m8_put_bytes(&b, p->hello.data, p->hello.len);
    m8_status st = b.status ? m8_fail(err, b.status, "starting a process") : M8_OK;
    if (!st) st = m8__frame_send(fd, FRAME_OPEN, 0, b.data, b.len, NULL, 0, NULL, NULL, err);
    m8_buf_finish(&b);
    return st;
}

/* One process, from start to end. */
static void live(m8_proc *p)
{
    struct frame_reader r;
    m8_error err = {0};
    pid_t pid = 0;
    int fd = -1;
    m8_status st = m8__frame_reader_init(&r, -1, &err);
    if (!st) st = m8__spawn(&pid, &fd, (const char *const *)p->argv, &err);
    if (st) {
        m8__frame_reader_finish(&r);
        tell(p, M8_PROC_FAILED, &err);
        return;
    }
    r.fd = fd;
    pthread_mutex_lock(&p->lock);
    p->pid = pid;
    p->generation++;
    p->fd = fd;
    bool closing = p->closing;
    pthread_mutex_unlock(&p->lock);
    tell(p, M8_PROC_LOADING, NULL);
    if (closing) st = M8_E_CANCELLED;
    if (!st) st = greet(p, fd, &err);
    if (st == M8_E_IO) { /* it is dead already; what it has said may tell why */
        shutdown(fd, SHUT_WR);
        st = M8_OK;
        err = (m8_error){0};
    }
    if (!st) st = m8__proc_read(p, &r, &err);
    bury(p, st, &err);
    m8__frame_reader_finish(&r);
}

static void wait_s(m8_proc *p, double seconds)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    double at = (double)end.tv_sec + (double)end.tv_nsec * 1e-9 + seconds;
    end.tv_sec = (time_t)at;
    end.tv_nsec = (long)((at - (double)end.tv_sec) * 1e9);
    int code = 0;
    while (!p->closing && !code) code = pthread_cond_timedwait(&p->news, &p->lock, &end);
}

void *m8__minder(void *proc)
{
    m8_proc *p = proc;
    double pause_s = 0.1;
    for (;;) {
        live(p);
        pthread_mutex_lock(&p->lock);
        bool was_ready = p->state == M8_PROC_DIED;
        p->tries++;
        pthread_cond_broadcast(&p->news);
        if (was_ready) {
            pause_s = 0.1;
        } else {
            wait_s(p, pause_s);
            pause_s = 2 * pause_s < 10 ? 2 * pause_s : 10;
        }
        bool closing = p->closing;
        if (was_ready && !closing) p->state = M8_PROC_LOADING; /* calls wait for it */
        pthread_mutex_unlock(&p->lock);
        if (closing) return NULL;
    }
}
