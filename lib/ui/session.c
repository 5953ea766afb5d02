/* Sessions: what is remembered of a visitor. A session is there as long as there is something to remember: runs, messages, a reader, an
 * open page (heartbeat), State, data of the app. When its page is gone, unload listeners run and its streams end; its files may go a
 * minute later, its State an hour later. At most 10,000 are kept; the least used goes first. */
#include "run_internal.h"
#include <string.h>

enum { MOST_SESSIONS = 10000, BUCKETS = 1024, FILES_AFTER_S = 60, FORGET_AFTER_S = 3600 };

struct m8__sessions {
    struct m8__session *bucket[BUCKETS];
    struct m8__node lru, closed;
    uint64_t seed; /* so that nobody can choose hashes of one bucket */
    int n;
    bool times_out; /* some State has a time to live */
    bool late;      /* some session is kept for M8__LATE_S only */
    double swept;
};

static struct m8__session **bucket(struct m8__sessions *all, const char *hash)
{
    uint64_t h = all->seed;
    for (; *hash; hash++) h = (h ^ (unsigned char)*hash) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return &all->bucket[(h ^ h >> 32) % BUCKETS];
}

m8_status m8__sessions_open(m8_blocks *app, m8_error *err)
{
    struct m8__sessions *all = m8_calloc(1, sizeof *all);
    if (!all) return m8_fail(err, M8_E_NOMEM, "sessions");
    app->sessions = all;
    m8__list_init(&all->lru);
    m8__list_init(&all->closed);
    char hex[17];
    if (!m8__random_hex(hex, 16)) return m8_fail(err, M8_E_IO, "the kernel gives no random bytes");
    memcpy(&all->seed, hex, sizeof all->seed);
    for (int i = 0; i < 8; i++) all->seed = (all->seed ^ (unsigned char)hex[8 + i]) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < app->n_blocks; i++) all->times_out |= app->blocks[i] && app->blocks[i]->time_to_live_s > 0;
    return M8_OK;
}

int m8__sessions_count(const m8_blocks *app) { return app->sessions ? app->sessions->n : 0; }
const char *m8__session_hash(const struct m8__session *s) { return s ? s->hash : ""; }
m8_blocks *m8__session_app(const struct m8__session *s) { return s->app; }

/* Out of the tables; what the app's own finish functions need is done without the lock. */
static void forget(struct m8__session *s, bool last)
{
    m8_blocks *app = s->app;
    struct m8__sessions *all = app->sessions;
    struct m8__session **at = bucket(all, s->hash);
    while (*at && *at != s) at = &(*at)->next;
    if (*at) *at = s->next;
    m8__list_del(&s->lru);
    m8__list_del(&s->closed);
    if (!last) m8_http_timer_free(s->linger);
    all->n--;
    m8__channel_finish(app->queue, &s->channel);
    for (int i = 0; i < s->n_values; i++) json_decref(s->values[i].value);
    m8_free(s->values);
    pthread_mutex_unlock(&app->lock);
    if (s->closed_at > 0 && !s->files_gone && !last) m8__files_forget(app, s->hash);
    while (s->data) {
        struct m8__datum *d = s->data;
        s->data = d->next;
        if (d->finish) d->finish(d->data);
        m8_free(d);
    }
    m8_free(s);
    pthread_mutex_lock(&app->lock);
}

void m8__sessions_close(m8_blocks *app)
{
    if (!app->sessions) return;
    pthread_mutex_lock(&app->lock);
    while (!m8__list_empty(&app->sessions->lru)) forget(M8__OF(struct m8__session, lru, app->sessions->lru.next), true);
    pthread_mutex_unlock(&app->lock);
    m8_free(app->sessions);
    app->sessions = NULL;
}

static bool at_work(const struct m8__session *s)
{
    return !m8__list_empty(&s->runs) || s->channel.reader || s->n_heartbeats || !m8__list_empty(&s->spares) || s->unloading;
}

void m8__session_check(struct m8__session *s)
{
    if (at_work(s) || s->channel.text.len || s->n_values || s->data || s->closed_at > 0) return;
    if (s->said_all_at > 0 && m8_now_s() - s->said_all_at < M8__LATE_S) s->app->sessions->late = true; /* one may still ask for its stream */
    else forget(s, false);
}

void m8__session_seen(struct m8__session *s, const m8_http_req *r)
{
    const void *now = m8_http_connection(r);
    if (s->connection && s->connection != now) s->several = true;
    s->connection = now;
    s->fetches = m8_http_header(r, "sec-fetch-mode") != NULL; /* pages and Node's programs send it, others do not */
}

struct m8__session *m8__session_find(m8_blocks *app, const char *hash)
{
    for (struct m8__session *s = *bucket(app->sessions, hash); s; s = s->next) {
        if (!strcmp(s->hash, hash)) return s;
    }
    return NULL;
}

struct m8__session *m8__session_get(m8_blocks *app, const char *hash)
{
    struct m8__sessions *all = app->sessions;
    struct m8__session *s = m8__session_find(app, hash);
    if (s) {
        m8__list_del(&s->lru);
        m8__list_add(&all->lru, &s->lru);
        if (s->closed_at > 0) { /* it came back */
            s->closed_at = 0;
            m8__list_del(&s->closed);
        }
        return s;
    }
    int seen = 0;
    for (struct m8__node *n = all->lru.next; all->n >= MOST_SESSIONS && n != &all->lru && seen < 64; seen++) {
        struct m8__session *old = M8__OF(struct m8__session, lru, n);
        n = n->next;
        if (at_work(old)) continue;
        forget(old, false);
        break;
    }
    if (all->n >= MOST_SESSIONS) return NULL;
    size_t len = strlen(hash);
    s = m8_calloc(1, sizeof *s + len + 1);
    if (!s) return NULL;
    memcpy(s->hash, hash, len);
    s->app = app;
    m8__list_init(&s->runs);
    m8__list_init(&s->spares);
    m8__channel_init(&s->channel, M8__SESSION, s);
    struct m8__session **at = bucket(all, hash);
    s->next = *at;
    *at = s;
    m8__list_add(&all->lru, &s->lru);
    all->n++;
    return s;
}

/* ---- State ------------------------------------------------------------------------------------------------------------- */

static struct m8__value *value_of(struct m8__session *s, const m8_block *b)
{
    for (int i = 0; s && i < s->n_values; i++) {
        if (s->values[i].block == b) return &s->values[i];
    }
    return NULL;
}

json_t *m8__session_value(struct m8__session *s, const m8_block *b)
{
    struct m8__value *v = value_of(s, b);
    if (!v) { /* nobody changes a value in place, so all may share the initial one */
        json_t *first = json_object_get(b->props, "value");
        return first ? json_incref(first) : json_null();
    }
    v->used = m8_now_s();
    return json_incref(v->value);
}

bool m8__session_set(struct m8__session *s, const m8_block *b, json_t *value)
{
    struct m8__value *v = value_of(s, b);
    if (!v && s) {
        struct m8__value *more = m8_realloc(s->values, (size_t)(s->n_values + 1) * sizeof *more);
        if (more) {
            s->values = more;
            v = &more[s->n_values++];
            *v = (struct m8__value){.block = b};
        }
    }
    if (!v) {
        json_decref(value);
        return !s;
    }
    json_decref(v->value);
    v->value = value;
    v->used = m8_now_s();
    return true;
}

void *m8_call_data(m8_call *c, const void *key, size_t size, void (*finish)(void *data))
{
    struct m8__session *s = c->session;
    if (!s || size > PTRDIFF_MAX / 2) return NULL;
    pthread_mutex_lock(&s->app->lock);
    struct m8__datum *d = s->data;
    while (d && d->key != key) d = d->next;
    if (!d && (d = m8_calloc(1, sizeof *d + size))) {
        *d = (struct m8__datum){.next = s->data, .key = key, .finish = finish};
        s->data = d;
    }
    pthread_mutex_unlock(&s->app->lock);
    return d ? d->data : NULL;
}

/* ---- the page is gone ------------------------------------------------------------------------------------------------------ */

static void expire_values(struct m8__session *s, double now)
{
    for (int i = 0; i < s->n_values; i++) {
        double most = s->values[i].block->time_to_live_s;
        if (most <= 0 || now - s->values[i].used < most) continue;
        json_decref(s->values[i].value);
        s->values[i--] = s->values[--s->n_values];
    }
}

void m8__sessions_tick(m8_blocks *app, double now)
{
    struct m8__sessions *all = app->sessions;
    pthread_mutex_lock(&app->lock);
    for (struct m8__node *n = all->closed.next; n != &all->closed;) {
        struct m8__session *s = M8__OF(struct m8__session, closed, n);
        if (now - s->closed_at < FILES_AFTER_S) break; /* the first to be closed stands first */
        n = n->next;
        if (now - s->closed_at >= FORGET_AFTER_S && !at_work(s)) {
            forget(s, false);
            n = all->closed.next;
        } else if (!s->files_gone && !at_work(s)) {
            s->files_gone = true;
            pthread_mutex_unlock(&app->lock); /* only this thread frees sessions */
            m8__files_forget(app, s->hash);
            pthread_mutex_lock(&app->lock);
            n = s->closed.next ? s->closed.next : &all->closed;
        }
    }
    if ((all->times_out || all->late) && now - all->swept >= 1) {
        all->swept = now;
        all->late = false;
        for (struct m8__node *n = all->lru.next; n != &all->lru;) {
            struct m8__session *s = M8__OF(struct m8__session, lru, n);
            n = n->next;
            expire_values(s, now);
            if (!s->n_values) m8__session_check(s);
        }
    }
    pthread_mutex_unlock(&app->lock);
}

static void unload(struct m8__session *s, m8_http_req *r)
{
    m8_blocks *app = s->app;
    for (size_t i = 0; i < app->n_events; i++) {
        m8_event *e = app->events[i];
        if (!e->plan->unload || !e->fn) continue;
        m8_error err = {0};
        if (!m8__join_unload(app, r, e, s, &err)) m8_log(M8_LOG_WARN, "an unload listener could not run: %s", m8_error_text(&err));
    }
}

void m8__session_closed(struct m8__session *s, m8_http_req *r)
{
    m8_blocks *app = s->app;
    m8__chunks_end(s);
    s->unloading = true; /* stays while the lock is let go of */
    pthread_mutex_unlock(&app->lock);
    m8__streams_forget(app, s->hash);
    unload(s, r);
    pthread_mutex_lock(&app->lock);
    s->unloading = false;
    if (!s->n_heartbeats && s->closed_at <= 0) {
        s->closed_at = m8_now_s();
        s->files_gone = false;
        m8__list_add(&app->sessions->closed, &s->closed);
    }
}
