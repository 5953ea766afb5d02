/* The worker's side: loads, locks itself in, then runs each call on a thread, so that a service sees the calls beside each other.
 *
 *     OPEN -> service->open -> sandbox -> READY -> [ DATA, CALL -> a thread: service->call -> PUSH ..., END | TAKEN | CANCEL ] until the end
 *
 * One thread (this one) reads and never waits for anything else, so that a cancel is always heard. */
#include "frame.h"
#include "child.h"
#include <pthread.h>
#include <string.h>

struct m8_serving {
    struct m8_serving *next;
    struct server *s;
    uint32_t id;
    bool running;        /* CALL has come; before, only DATA */
    char *bulk;          /* owned, 16-aligned */
    size_t n_bulk, cap;
    char *args;          /* owned */
    size_t n_args;
    size_t out;          /* bytes pushed and not yet taken; under the lock */
    pthread_cond_t room;
    m8_cancel *cancel;
    m8_watch watch;
    m8_status status;    /* of the bulk: no memory */
};

struct server {
    int fd;
    const m8_service *service;
    void *state;
    pthread_mutex_t lock, sends;
    pthread_cond_t work, idle;
    struct m8_serving *calls; /* gathering and running */
    int n_calls, n_threads, n_idle;
    bool ending, lock_in;
    struct m8_serving *waiting[MOST_CALLS]; /* for a thread, in the order they came */
    int n_waiting;
};

m8_cancel *m8_serving_cancel(m8_serving *c) { return c->cancel; }

static m8_status send_frame(struct server *s, enum frame_kind kind, uint32_t call, const void *a, size_t n_a, const void *b, size_t n_b)
{
    pthread_mutex_lock(&s->sends);
    m8_status st = m8__frame_send(s->fd, kind, call, a, n_a, b, n_b, NULL, NULL, NULL);
    pthread_mutex_unlock(&s->sends);
    return st;
}

static void make_room(void *user) /* cancelled: nobody waits for a reader any more */
{
    struct m8_serving *c = user;
    pthread_mutex_lock(&c->s->lock);
    pthread_cond_broadcast(&c->room);
    pthread_mutex_unlock(&c->s->lock);
}

m8_status m8_serving_push(m8_serving *c, const void *data, size_t n)
{
    struct server *s = c->s;
    if (n > FRAME_PIECE) return M8_E_LIMIT;
    pthread_mutex_lock(&s->lock);
    while (c->out && c->out + n > FRAME_WINDOW && !m8_cancel_is_set(c->cancel)) pthread_cond_wait(&c->room, &s->lock);
    c->out += n;
    pthread_mutex_unlock(&s->lock);
    if (m8_cancel_is_set(c->cancel)) return M8_E_CANCELLED;
    return send_frame(s, FRAME_PUSH, c->id, data, n, NULL, 0);
}

/* ---- calls */

/* END without words, for when there is no memory for them. */
static void send_short_end(struct server *s, uint32_t id, m8_status st)
{
    const struct { uint32_t status, detail, n; char text[1]; } end = { (uint32_t)st, 0, 1, "" };
    send_frame(s, FRAME_END, id, &end, 3 * sizeof(uint32_t) + 1, NULL, 0);
}

static void free_call(struct m8_serving *c)
{
    m8_cancel_unwatch(&c->watch);
    m8_cancel_unref(c->cancel);
    pthread_cond_destroy(&c->room);
    m8_free(c->bulk);
    m8_free(c->args);
    m8_free(c);
}

static void end_call(struct m8_serving *c, m8_status st, const m8_error *err, const m8_buf *result)
{
    struct server *s = c->s;
    pthread_mutex_lock(&s->lock); /* the number is free again before the other side knows that it is */
    struct m8_serving **at = &s->calls;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    s->n_calls--;
    pthread_mutex_unlock(&s->lock);
    m8_buf head = {0};
    m8__put_error(&head, st, err);
    bool fits = !head.status && result->len <= FRAME_MOST - head.len;
    if (fits) send_frame(s, FRAME_END, c->id, head.data, head.len, result->data, result->len);
    else send_short_end(s, c->id, head.status ? head.status : M8_E_LIMIT);
    m8_buf_finish(&head);
    free_call(c);
}

static void run_call(struct m8_serving *c)
{
    struct server *s = c->s;
    m8_error err = {0};
    m8_buf result = {0};
    m8_fields args = { (const uint8_t *)c->args, c->n_args, false };
    m8_status st = c->status ? m8_fail(&err, c->status, "the arguments of a call") : M8_OK;
    if (!st && m8_cancel_is_set(c->cancel)) st = m8_fail(&err, M8_E_CANCELLED, "cancelled");
    if (!st) st = s->service->call(s->state, c, &args, c->bulk, c->n_bulk, &result, &err);
    if (!st && result.status) st = m8_fail(&err, result.status, "the result of a call");
    end_call(c, st, &err, &result);
    m8_buf_finish(&result);
}

/* A thread stays for the next call: to begin one costs more than to wake it. */
static void *caller(void *arg)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        s->n_idle++;
        while (!s->n_waiting && !s->ending) pthread_cond_wait(&s->work, &s->lock);
        s->n_idle--;
        if (!s->n_waiting) break;
        struct m8_serving *c = s->waiting[0];
        memmove(s->waiting, s->waiting + 1, (size_t)--s->n_waiting * sizeof *s->waiting);
        pthread_mutex_unlock(&s->lock);
        run_call(c);
        pthread_mutex_lock(&s->lock);
    }
    s->n_threads--;
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static struct m8_serving *find(struct server *s, uint32_t id)
{
    struct m8_serving *c = s->calls;
    while (c && c->id != id) c = c->next;
    return c;
}

/* Under the lock. */
static struct m8_serving *new_call(struct server *s, uint32_t id)
{
    struct m8_serving *c = s->n_calls < MOST_CALLS ? m8_calloc(1, sizeof *c) : NULL;
    if (!c) return NULL;
    *c = (struct m8_serving){ .next = s->calls, .s = s, .id = id, .cancel = m8_cancel_new() };
    if (!c->cancel) {
        m8_free(c);
        return NULL;
    }
    pthread_cond_init(&c->room, NULL);
    c->watch = (m8_watch){ .fn = make_room, .user = c };
    s->calls = c;
    s->n_calls++;
    return c;
}

static bool grow(struct m8_serving *c, size_t n)
{
    size_t need = c->n_bulk + n, cap = c->cap ? c->cap : FRAME_PIECE;
    if (need <= c->cap) return true;
    while (cap < need) cap *= 2;
    char *more = m8_realloc(c->bulk, cap); /* the C library's blocks are aligned to 16 */
    if (!more) return false;
    c->bulk = more;
    c->cap = cap;
    return true;
}

static m8_status broken(const struct frame_head *h, m8_error *err)
{
    return m8_fail(err, M8_E_FORMAT, "a frame of kind %u and %u bytes that may not come here", h->kind, h->n);
}

static struct m8_serving *gathering(struct server *s, uint32_t id, bool *bad)
{
    pthread_mutex_lock(&s->lock);
    struct m8_serving *c = find(s, id);
    *bad = !id || (c && c->running);
    bool new = !c && !*bad;
    if (new) c = new_call(s, id);
    pthread_mutex_unlock(&s->lock);
    if (new && c) m8_cancel_watch(c->cancel, &c->watch);
    return *bad ? NULL : c;
}

static m8_status take_data(struct server *s, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    bool bad;
    struct m8_serving *c = gathering(s, h->call, &bad);
    if (bad || !h->n || h->n > FRAME_PIECE || (c && h->n > MOST_BULK - c->n_bulk)) return broken(h, err);
    if (c && !c->status && !grow(c, h->n)) c->status = M8_E_NOMEM;
    if (!c || c->status) return m8__frame_body(r, NULL, h->n, err);
    m8_status st = m8__frame_body(r, c->bulk + c->n_bulk, h->n, err);
    c->n_bulk += h->n;
    return st;
}

static void start(struct server *s, struct m8_serving *c)
{
    unsigned long thread;
    pthread_mutex_lock(&s->lock);
    c->running = true;
    s->waiting[s->n_waiting++] = c; /* no more than calls */
    bool more = s->n_idle < s->n_waiting && s->n_threads < MOST_CALLS;
    if (more) s->n_threads++;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    if (!more) return;
    bool failed = m8_sys_get()->thread_create(&thread, caller, s);
    if (!failed) {
        pthread_detach(thread);
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->n_threads--;
    bool nobody = !s->n_threads;
    if (nobody) s->n_waiting = 0;
    pthread_mutex_unlock(&s->lock);
    m8_buf none = {0};
    if (nobody) end_call(c, M8_E_NOMEM, NULL, &none); /* else it waits for a thread */
}

static m8_status take_call(struct server *s, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    bool bad;
    struct m8_serving *c = gathering(s, h->call, &bad);
    if (bad) return broken(h, err);
    char *args = c ? m8_malloc(h->n) : NULL;
    m8_status st = m8__frame_body(r, args, h->n, err);
    if (!c) { /* no room for it, nor to say much */
        send_short_end(s, h->call, M8_E_NOMEM);
        return st;
    }
    c->args = args;
    c->n_args = args ? h->n : 0;
    if (!args) c->status = M8_E_NOMEM;
    if (!st) start(s, c);
    return st;
}

static void cancel(struct server *s, uint32_t id)
{
    pthread_mutex_lock(&s->lock);
    struct m8_serving *c = find(s, id);
    m8_cancel *token = c ? m8_cancel_ref(c->cancel) : NULL;
    bool gathers = c && !c->running;
    pthread_mutex_unlock(&s->lock);
    m8_cancel_set(token);
    m8_cancel_unref(token);
    m8_buf none = {0};
    if (gathers) end_call(c, M8_E_CANCELLED, NULL, &none);
}

static void taken(struct server *s, uint32_t id, uint32_t n)
{
    pthread_mutex_lock(&s->lock);
    struct m8_serving *c = find(s, id);
    if (c) {
        c->out -= n < c->out ? n : c->out;
        pthread_cond_broadcast(&c->room);
    }
    pthread_mutex_unlock(&s->lock);
}

static m8_status take_frame(struct server *s, struct frame_reader *r, const struct frame_head *h, m8_error *err)
{
    uint32_t n;
    m8_status st;
    switch (h->kind) {
    case FRAME_DATA: return take_data(s, r, h, err);
    case FRAME_CALL: return take_call(s, r, h, err);
    case FRAME_CANCEL:
        if (h->n) return broken(h, err);
        cancel(s, h->call);
        return M8_OK;
    case FRAME_TAKEN:
        if (h->n != sizeof n) return broken(h, err);
        st = m8__frame_body(r, &n, sizeof n, err);
        if (!st) taken(s, h->call, n);
        return st;
    default: return broken(h, err);
    }
}

/* ---- beginning and end */

static m8_status open_service(struct server *s, const m8_service *const *services, m8_fields *f, m8_buf *answer, m8_error *err)
{
    const char *version = m8_get_text(f), *name = m8_get_text(f);
    size_t n;
    const void *hello = m8_get_bytes(f, &n);
    if (f->bad || !version || !name) return m8_fail(err, M8_E_FORMAT, "this is a worker of magic8, to be started by it alone");
    if (strcmp(version, M8_VERSION)) return m8_fail(err, M8_E_UNSUPPORTED, "the worker is of version " M8_VERSION ", its parent of %.20s", version);
    for (; *services && strcmp((*services)->name, name); services++) {}
    if (!*services) return m8_fail(err, M8_E_UNSUPPORTED, "the worker has no service \"%.40s\"", name);
    s->service = *services;
    m8_status st = s->service->open(&s->state, &(m8_fields){ hello, n, false }, answer, err);
    if (!st && answer->status) st = m8_fail(err, answer->status, "opening");
    return st || !s->lock_in ? st : m8__sandbox(s->service->opens_files, s->service->most_memory, err);
}

static m8_status take_open(struct server *s, struct frame_reader *r, const m8_service *const *services, m8_error *err)
{
    struct frame_head h;
    m8_buf answer = {0}, failed = {0};
    m8_status st = s->lock_in ? m8__worker_begin(err) : M8_OK;
    if (!st) st = m8__frame_head(r, &h, err);
    if (!st && h.kind != FRAME_OPEN) st = broken(&h, err);
    char *hello = st ? NULL : m8_malloc(h.n);
    if (!st && !hello) st = m8_fail(err, M8_E_NOMEM, "starting");
    if (!st) st = m8__frame_body(r, hello, h.n, err);
    if (!st) st = open_service(s, services, &(m8_fields){ (const uint8_t *)hello, h.n, false }, &answer, err);
    if (!st) st = send_frame(s, FRAME_READY, 0, answer.data, answer.len, NULL, 0);
    if (st) {
        m8__put_error(&failed, st, err);
        if (!failed.status) send_frame(s, FRAME_FAILED, 0, failed.data, failed.len, NULL, 0);
    }
    m8_buf_finish(&failed);
    m8_buf_finish(&answer);
    m8_free(hello);
    return st;
}

static void log_line(void *user, m8_log_level level, const char *line)
{
    m8_buf b = {0};
    m8_put_u32(&b, level);
    m8_put_text(&b, line);
    if (!b.status) send_frame(user, FRAME_LOG, 0, b.data, b.len, NULL, 0);
    m8_buf_finish(&b);
}

/* The other side has gone: what runs is of no use to anybody. */
static void end_all(struct server *s)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct m8_serving *c = s->calls;
        while (c && m8_cancel_is_set(c->cancel)) c = c->next;
        uint32_t id = c ? c->id : 0;
        pthread_mutex_unlock(&s->lock);
        if (!id) break;
        cancel(s, id);
    }
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_broadcast(&s->work);
    while (s->n_threads) pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

m8_status m8_proc_serve(int fd, const m8_service *const *services) { return m8__serve(fd, services, true); }

m8_status m8__serve(int fd, const m8_service *const *services, bool lock_in)
{
    struct server s = { .fd = fd, .lock_in = lock_in };
    struct frame_reader r;
    m8_error err = {0};
    pthread_mutex_init(&s.lock, NULL);
    pthread_mutex_init(&s.sends, NULL);
    pthread_cond_init(&s.work, NULL);
    pthread_cond_init(&s.idle, NULL);
    m8_log_set(log_line, &s, M8_LOG_DEBUG);
    m8_status st = m8__frame_reader_init(&r, fd, &err);
    if (!st) st = take_open(&s, &r, services, &err);
    struct frame_head h;
    bool open = !st;
    while (!st) {
        st = m8__frame_head(&r, &h, &err);
        if (!st) st = take_frame(&s, &r, &h, &err);
    }
    if (open) end_all(&s);
    m8_log_set(NULL, NULL, M8_LOG_ERROR);
    if (s.service && s.service->close) s.service->close(s.state);
    m8__frame_reader_finish(&r);
    pthread_cond_destroy(&s.idle);
    pthread_cond_destroy(&s.work);
    pthread_mutex_destroy(&s.sends);
    pthread_mutex_destroy(&s.lock);
    return open && st == M8_E_CANCELLED ? M8_OK : st;
}
