/* Calls to a worker, from any thread.
 *
 *     wait until it is ready -> DATA ..., CALL -> [ hand on what comes | wait for news ] until END, or its death
 *
 * A cancel (the token, or a sink that says stop) sends CANCEL and goes on waiting for END, so that when the call returns the worker is
 * free; a worker that does not answer in time is killed, and the minder ends the call. */
#include "proc.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- open and close */

static void free_proc(m8_proc *p)
{
    for (size_t i = 0; p->argv && p->argv[i]; i++) m8_free(p->argv[i]);
    m8_free(p->argv);
    m8_free(p->what);
    m8_free(p->service);
    m8_buf_finish(&p->hello);
    pthread_cond_destroy(&p->news);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->sends);
    m8_free(p);
}

static bool copy_argv(m8_proc *p, const char *const *argv)
{
    static const char *const ourselves[] = { "/proc/self/exe", "worker", NULL };
    if (!argv) argv = ourselves;
    size_t n = 0;
    while (argv[n]) n++;
    p->argv = m8_calloc(n + 1, sizeof *p->argv);
    for (size_t i = 0; p->argv && i < n; i++) {
        p->argv[i] = m8_strdup(argv[i]);
        if (!p->argv[i]) return false;
    }
    return p->argv;
}

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static m8_proc *new_proc(const char *service, const char *what, const m8_buf *hello, const m8_proc_opts *opts)
{
    m8_proc *p = m8_calloc(1, sizeof *p);
    if (!p) return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->sends, NULL);
    init_cond(&p->news);
    p->fd = -1;
    if (opts) p->opts = *opts;
    if (p->opts.wait_s == 0) p->opts.wait_s = 10;
    if (!(p->opts.grace_s > 0)) p->opts.grace_s = 1;
    if (hello) m8_buf_add(&p->hello, hello->data, hello->len);
    p->what = m8_strdup(what);
    p->service = m8_strdup(service);
    if (copy_argv(p, p->opts.command) && p->what && p->service && !p->hello.status) return p;
    free_proc(p);
    return NULL;
}

m8_status m8_proc_open(m8_proc **out, const char *service, const char *what, const m8_buf *hello,
                       m8_status (*ready)(void *, m8_fields *, m8_error *), void *user, const m8_proc_opts *opts, m8_error *err)
{
    *out = NULL;
    if (opts && opts->command && !opts->command[0]) return m8_fail(err, M8_E_ARG, "no command for a process");
    m8_proc *p = new_proc(service, what, hello, opts);
    if (!p) return m8_fail(err, M8_E_NOMEM, "starting a process");
    p->ready = ready;
    p->ready_user = user;
    if (m8_sys_get()->thread_create(&p->minder, m8__minder, p)) {
        free_proc(p);
        return m8_fail(err, M8_E_NOMEM, "starting a thread");
    }
    p->minding = true;
    m8_status st = M8_OK;
    pthread_mutex_lock(&p->lock);
    while (!p->opts.background && p->state != M8_PROC_READY && !p->tries) pthread_cond_wait(&p->news, &p->lock);
    if (!p->opts.background && p->state != M8_PROC_READY) st = m8_fail(err, (m8_status)p->why.status, "%s", m8_error_text(&p->why));
    pthread_mutex_unlock(&p->lock);
    if (st) m8_proc_close(p);
    else *out = p;
    return st;
}

void m8_proc_close(m8_proc *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    if (p->fd >= 0) shutdown(p->fd, SHUT_RDWR); /* the process sees the end, and the minder too */
    pthread_cond_broadcast(&p->news);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->minder, NULL);
    free_proc(p);
}

m8_proc_info m8_proc_about(const m8_proc *proc)
{
    m8_proc *p = (m8_proc *)proc; /* for its lock */
    pthread_mutex_lock(&p->lock);
    m8_proc_info info = { p->state, p->pid, p->generation, p->n_calls };
    pthread_mutex_unlock(&p->lock);
    return info;
}

/* ---- a call */

static struct timespec at(double monotonic_s)
{
    return (struct timespec){ .tv_sec = (time_t)monotonic_s, .tv_nsec = (long)(fmod(monotonic_s, 1) * 1e9) };
}

/* Under the lock; until_s INFINITY: no limit. false: it is time. */
static bool wait_for_news(pthread_cond_t *news, m8_proc *p, double until_s)
{
    if (until_s > 1e12) return !pthread_cond_wait(news, &p->lock);
    struct timespec end = at(until_s);
    return pthread_cond_timedwait(news, &p->lock, &end) != ETIMEDOUT;
}

static void wake(void *user) /* the token was set */
{
    struct call *c = user;
    pthread_mutex_lock(&c->p->lock);
    c->woken = true;
    pthread_cond_signal(&c->news);
    pthread_cond_broadcast(&c->p->news);
    pthread_mutex_unlock(&c->p->lock);
}

/* Under the lock. */
static m8_status wait_until_ready(m8_proc *p, const struct call *c, m8_error *err)
{
    double until_s = m8_now_s() + p->opts.wait_s;
    int tries = p->tries;
    for (bool time_left = p->opts.wait_s > 0; p->state != M8_PROC_READY || p->fd < 0; time_left = wait_for_news(&p->news, p, until_s)) {
        if (c->woken) return m8_fail(err, M8_E_CANCELLED, "%s: cancelled", p->what);
        if (p->state == M8_PROC_FAILED && (p->tries > tries || !time_left || p->why.status != M8_E_IO)) {
            return m8_fail(err, M8_E_BUSY, "%s is not ready: %s", p->what, m8_error_text(&p->why));
        }
        if (!time_left) return m8_fail(err, M8_E_BUSY, "%s is still being loaded", p->what);
    }
    return M8_OK;
}

struct sending { /* of a call whose process may be stuck */
    m8_proc *p;
    struct call *c;
    double until_s;
};

static bool keep_sending(void *user)
{
    struct sending *s = user;
    m8_proc *p = s->p;
    pthread_mutex_lock(&p->lock);
    double now_s = m8_now_s();
    if (s->c->woken && s->until_s > now_s + p->opts.grace_s) s->until_s = now_s + p->opts.grace_s;
    bool late = now_s > s->until_s;
    if (late) m8__proc_kill(p, s->c->generation); /* half a frame is out: it cannot be used any more */
    pthread_mutex_unlock(&p->lock);
    return !late;
}

/* A frame that cannot be sent ends the process: it is dead, or stuck, or has half of it. The minder then ends the calls, and tells why. */
static bool send_frame(struct sending *s, enum frame_kind kind, const void *data, size_t n)
{
    m8_proc *p = s->p;
    pthread_mutex_lock(&p->sends);
    pthread_mutex_lock(&p->lock);
    int fd = p->generation == s->c->generation ? p->fd : -1; /* not to the next process */
    pthread_mutex_unlock(&p->lock);
    bool sent = fd >= 0 && !m8__frame_send(fd, kind, s->c->id, data, n, NULL, 0, keep_sending, s, NULL);
    if (!sent) {
        pthread_mutex_lock(&p->lock);
        m8__proc_kill(p, s->c->generation);
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&p->sends);
    return sent;
}

static void send_call(struct sending *s, const m8_request *q)
{
    bool on = true;
    for (size_t from = 0; from < q->n_bulk && on; from += FRAME_PIECE) {
        size_t n = q->n_bulk - from < FRAME_PIECE ? q->n_bulk - from : FRAME_PIECE;
        on = send_frame(s, FRAME_DATA, (const char *)q->bulk + from, n);
        pthread_mutex_lock(&s->p->lock);
        on = on && !s->c->ended;
        pthread_mutex_unlock(&s->p->lock);
    }
    if (on) send_frame(s, FRAME_CALL, q->args ? q->args->data : NULL, q->args ? q->args->len : 0);
}

/* Under the lock, but for the sink: its next piece, or to nowhere when the call is to stop. */
static m8_status hand_on(struct sending *s, const m8_request *q, bool stop)
{
    struct call *c = s->c;
    struct piece *piece = c->first;
    c->first = piece->next;
    if (!c->first) c->last = &c->first;
    uint32_t taken = 0;
    pthread_mutex_unlock(&s->p->lock);
    m8_status st = q->out.push && !stop ? q->out.push(q->out.user, piece->data, piece->n) : M8_OK;
    pthread_mutex_lock(&s->p->lock);
    c->taken += piece->n;
    if (c->taken >= FRAME_WINDOW / 4 && !c->ended) {
        taken = (uint32_t)c->taken;
        c->held -= c->taken;
        c->taken = 0;
    }
    m8_free(piece);
    if (!taken) return st;
    pthread_mutex_unlock(&s->p->lock);
    send_frame(s, FRAME_TAKEN, &taken, sizeof taken);
    pthread_mutex_lock(&s->p->lock);
    return st;
}

/* Under the lock, until the call has ended and all of it is handed on. Returns why we wanted it to end, if we did. */
static m8_status attend(struct sending *s, const m8_request *q, double until_s)
{
    m8_proc *p = s->p;
    struct call *c = s->c;
    m8_status stop = M8_OK;
    for (bool told = false;;) {
        if (!stop) stop = c->woken ? M8_E_CANCELLED : c->lost ? M8_E_NOMEM : M8_OK;
        if (c->first) {
            m8_status st = hand_on(s, q, stop != M8_OK);
            if (!stop) stop = st;
        } else if (c->ended) {
            return stop;
        } else if (stop && !told) {
            told = true;
            until_s = m8_now_s() + p->opts.grace_s;
            pthread_mutex_unlock(&p->lock);
            send_frame(s, FRAME_CANCEL, NULL, 0);
            pthread_mutex_lock(&p->lock);
        } else if (!wait_for_news(&c->news, p, until_s)) {
            if (!stop) stop = M8_E_TIMEOUT;
            told = true;
            until_s = INFINITY; /* the minder ends it */
            m8__proc_kill(p, c->generation);
        }
    }
}

static void unlink_call(m8_proc *p, struct call *c)
{
    struct call **at_c = &p->calls;
    while (*at_c != c) at_c = &(*at_c)->next;
    *at_c = c->next;
    p->n_calls--;
}

static m8_status run(m8_proc *p, struct call *c, const m8_request *q, m8_error *err)
{
    struct sending s = { p, c, INFINITY };
    pthread_mutex_lock(&p->lock);
    m8_status st = wait_until_ready(p, c, err);
    if (!st && p->n_calls >= MOST_CALLS) st = m8_fail(err, M8_E_BUSY, "%s: %d calls are in flight", p->what, MOST_CALLS);
    if (st) {
        pthread_mutex_unlock(&p->lock);
        return st;
    }
    c->id = ++p->last_id ? p->last_id : ++p->last_id;
    c->generation = p->generation;
    c->next = p->calls;
    p->calls = c;
    p->n_calls++;
    pthread_mutex_unlock(&p->lock);
    double until_s = q->most_s > 0 ? m8_now_s() + q->most_s : INFINITY;
    s.until_s = until_s;
    send_call(&s, q);
    pthread_mutex_lock(&p->lock);
    m8_status stop = attend(&s, q, until_s);
    unlink_call(p, c);
    pthread_mutex_unlock(&p->lock);
    if (stop == M8_E_TIMEOUT) return m8_fail(err, stop, "%s: not done within %g s", p->what, q->most_s);
    if (stop) return m8_fail(err, stop, "%s", m8_status_text(stop));
    if (c->status && err && !err->status) *err = c->error;
    return c->status;
}

m8_status m8_proc_call(m8_proc *p, const m8_request *q, m8_buf *result, m8_error *err)
{
    if (q->n_bulk > MOST_BULK) return m8_fail(err, M8_E_LIMIT, "%zu bytes for a process", q->n_bulk);
    if (q->args && q->args->status) return m8_fail(err, q->args->status, "the arguments of a call");
    if (q->args && q->args->len > FRAME_MOST) return m8_fail(err, M8_E_LIMIT, "%zu bytes of arguments", q->args->len);
    struct call c = { .p = p, .result = result, .cancel = q->cancel };
    c.last = &c.first;
    init_cond(&c.news);
    m8_watch watch = { .fn = wake, .user = &c };
    m8_cancel_watch(q->cancel, &watch);
    m8_status st = run(p, &c, q, err);
    m8_cancel_unwatch(&watch);
    while (c.first) {
        struct piece *piece = c.first;
        c.first = piece->next;
        m8_free(piece);
    }
    pthread_cond_destroy(&c.news);
    return st;
}
