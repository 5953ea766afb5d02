/* The queue: which run is next, and the threads that handlers run on.
 *
 *  Each event belongs to a group: its own, or that of its concurrency_id. schedule() starts runs, whenever one has come or one has ended: from the
 *  groups that may run one more, in turn, the first of each; at most max_threads in all. Started runs lie in q->go until a thread takes them;
 *  threads are made when there is none to take one, and kept. Events with queue false have a group without limits. */
#include "run_internal.h"
#include <math.h>
#include <string.h>

enum { RANKS_AT_ONCE = 64, JOIN_ABSENT_S = 20, CALL_ABSENT_S = 60, KEEP_S = 600, UNREAD_MOST = 2000, NO_CHUNK_S = 30 };
#define RANKS_EVERY_S 0.25

static m8_call *in_group(struct m8__node *n) { return M8__OF(m8_call, in_group, n); }
static m8_call *in_list(struct m8__node *n) { return M8__OF(m8_call, in_list, n); }
struct m8__group *m8__group_of(const m8_event *e) { return e->group; }

double m8__mean(const struct m8__plan *p) { return p->n_done ? p->done_s / (double)p->n_done : -1; }

static m8_call **bucket(struct m8__queue *q, const char *id)
{
    unsigned h = 0;
    for (int i = 0; i < 4 && id[i]; i++) h = h * 31 + (unsigned char)id[i]; /* ids are random */
    return &q->table[h % M8__BUCKETS];
}

m8_call *m8__run_find(m8_blocks *app, const char *id)
{
    m8_call *c = *bucket(app->queue, id);
    while (c && strcmp(c->id, id)) c = c->next_id;
    return c;
}

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

static void *thread_main(void *user)
{
    struct m8__queue *q = user;
    pthread_mutex_t *lock = &q->app->lock;
    pthread_mutex_lock(lock);
    for (;;) {
        while (m8__list_empty(&q->go) && !q->closing) {
            q->n_idle++;
            while (!q->n_wakes && !q->closing) pthread_cond_wait(&q->work, lock);
            if (q->n_wakes) q->n_wakes--; /* whoever woke it took it off the idle ones */
            else q->n_idle--;
        }
        if (m8__list_empty(&q->go)) break; /* closing */
        m8_call *c = in_list(q->go.next);
        m8__list_del(&c->in_list);
        m8__absorb(c);
        pthread_mutex_unlock(lock);
        m8__run_go(c);
        pthread_mutex_lock(lock);
    }
    pthread_mutex_unlock(lock);
    return NULL;
}

/* Somebody is to look at q->go. false: there is nobody, and nobody can be had. */
static bool wake(struct m8__queue *q)
{
    if (q->hands) {
        q->hands = false;
    } else if (q->n_idle) {
        q->n_idle--;
        q->n_wakes++;
        if (q->later) q->n_signals++;
        else pthread_cond_signal(&q->work);
    } else if (q->n_threads < q->most_threads && !q->closing) {
        if (m8_sys_get()->thread_create(&q->threads[q->n_threads], thread_main, q)) return q->n_threads > 0;
        q->n_threads++;
    }
    return q->n_threads > 0;
}

/* ---- groups ------------------------------------------------------------------------------------------------------------- */

static void look_at(struct m8__queue *q, struct m8__group *g)
{
    bool may = g->n_waiting && (g->limit < 0 || g->running < g->limit);
    if (may && !g->runnable.next) m8__list_add(&q->runnable, &g->runnable);
    if (!may) m8__list_del(&g->runnable);
}

static void ranks_changed(struct m8__queue *q, struct m8__group *g)
{
    if (!g->n_waiting || g->dirty.next) return;
    m8__list_add(&q->dirty, &g->dirty);
    m8__post(q);
}

/* It waits no more. */
static void unqueue(struct m8__queue *q, m8_call *c)
{
    struct m8__group *g = c->event->group;
    m8__list_del(&c->in_group);
    g->n_waiting--;
    c->event->plan->n_waiting--;
    if (!g->direct) q->n_waiting--;
    q->stats.waiting--;
}

static void run_starts(struct m8__queue *q, m8_call *c)
{
    unqueue(q, c);
    c->state = M8__RUNNING;
    c->started = m8_now_s();
    q->stats.running++;
    q->stats.started++;
    m8__list_add(&c->event->group->active, &c->in_group);
    if (!c->channel || c->channel->kind != M8__SESSION) return;
    m8__say_starts(&c->channel->text, c);
    m8__channel_put(q, c->channel, NULL, 0);
}

static bool start(struct m8__queue *q, m8_call *c)
{
    struct m8__group *g = c->event->group;
    run_starts(q, c);
    g->running++;
    if (!g->direct) q->n_running++;
    m8__list_add(&q->go, &c->in_list);
    m8__list_del(&g->runnable); /* to the end of the line */
    look_at(q, g);
    ranks_changed(q, g);
    return wake(q);
}

static bool schedule(struct m8__queue *q)
{
    bool ok = true;
    look_at(q, &q->direct);
    while (q->direct.n_waiting && ok) ok = start(q, in_group(q->direct.waiting.next));
    while (!m8__list_empty(&q->runnable) && q->n_running < q->most_running && ok) {
        struct m8__group *g = M8__OF(struct m8__group, runnable, q->runnable.next);
        ok = start(q, in_group(g->waiting.next));
    }
    return ok;
}

void m8__absorb(m8_call *c)
{
    m8_event *e = c->event;
    struct m8__group *g = e->group;
    struct m8__queue *q = c->app->queue;
    int most = e->opts.max_batch_size > 0 ? e->opts.max_batch_size : 4;
    if (!e->opts.batch || c->said_no) return;
    c->batch = m8_calloc((size_t)most, sizeof *c->batch);
    if (!c->batch) {
        c->broken = M8_E_NOMEM;
        return;
    }
    c->batch[c->n_batch++] = c;
    for (struct m8__node *n = g->waiting.next, *next; n != &g->waiting && c->n_batch < most; n = next) {
        next = n->next;
        m8_call *other = in_group(n);
        if (other->event != e || other->said_no) continue;
        run_starts(q, other);
        other->follows = true;
        c->batch[c->n_batch++] = other;
    }
    look_at(q, g);
    if (c->n_batch > 1) ranks_changed(q, g);
}

m8_status m8__enqueue(m8_call *c, m8_error *err)
{
    struct m8__queue *q = c->app->queue;
    struct m8__group *g = c->event->group;
    if (q->closing) return m8_fail(err, M8_E_LIMIT, "The server is stopping.");
    if (c->channel && !g->direct && q->most_waiting >= 0 && q->n_waiting >= q->most_waiting)
        return m8_fail(err, M8_E_LIMIT, "Queue is full. Max size is %d and size is %d.", q->most_waiting, q->n_waiting);
    if (!q->n_threads && !q->hands) { /* a first thread before anything is promised */
        if (m8_sys_get()->thread_create(&q->threads[0], thread_main, q)) return m8_fail(err, M8_E_NOMEM, "No thread could be started.");
        q->n_threads = 1;
    }
    c->state = M8__WAITING;
    m8__list_add(&g->waiting, &c->in_group);
    g->n_waiting++;
    c->event->plan->n_waiting++;
    if (!g->direct) q->n_waiting++;
    q->stats.waiting++;
    m8_call **at = bucket(q, c->id);
    c->next_id = *at;
    *at = c;
    if (c->session) m8__list_add(&c->session->runs, &c->in_session);
    if (c->channel) {
        c->channel->n_open++;
        c->channel->n_joined++;
        c->channel->hurries = false;
        if (c->channel->kind == M8__SESSION) {
            m8__say_estimation(&c->channel->text, c, g->n_waiting - 1, g->n_waiting, m8__rank_eta(c));
            m8__channel_put(q, c->channel, NULL, 0);
        }
    }
    look_at(q, g);
    schedule(q);
    return M8_OK;
}

void m8__unlist(struct m8__queue *q, m8_call *c)
{
    m8_call **at = bucket(q, c->id);
    while (*at && *at != c) at = &(*at)->next_id;
    if (*at) *at = c->next_id;
    c->next_id = NULL;
}

void m8__leave(m8_call *c, bool thread)
{
    struct m8__queue *q = c->app->queue;
    struct m8__group *g = c->event->group;
    if (c->state == M8__WAITING) {
        unqueue(q, c);
        look_at(q, g);
        ranks_changed(q, g);
    } else {
        m8__list_del(&c->in_group);
        m8__list_del(&c->in_list);
        if (!c->follows) g->running--; /* the others of a batch take no place */
        if (!c->follows && !g->direct && c->state == M8__RUNNING) q->n_running--;
        q->stats.running--;
        look_at(q, g);
        q->hands = thread;
        schedule(q);
        q->hands = false;
    }
    c->state = M8__DONE;
    m8__list_del(&c->in_session);
    if (c->kind != M8__CALL) m8__unlist(q, c); /* else it is to be found until it was read */
    if (c->session && !c->session->channel.text.len && m8__list_empty(&c->session->runs)) m8__channel_ready(q, &c->session->channel);
}

/* ---- streamed input -------------------------------------------------------------------------------------------------------- */

void m8__park(m8_call *c)
{
    struct m8__queue *q = c->app->queue;
    c->state = M8__PARKED;
    c->parked_at = m8_now_s();
    m8__list_add(&q->parked, &c->in_list);
    if (!c->event->group->direct) q->n_running--;
    q->hands = true;
    schedule(q);
    q->hands = false;
}

void m8__resume(m8_call *c)
{
    struct m8__queue *q = c->app->queue;
    if (c->state != M8__PARKED) return;
    c->state = M8__RUNNING;
    m8__list_del(&c->in_list);
    m8__list_add(&q->go, &c->in_list);
    if (!c->event->group->direct) q->n_running++;
    wake(q);
}

/* ---- how long it will take ----------------------------------------------------------------------------------------------------- */

/* Seconds until one of those at work is likely to be done; 0: there is a free place. */
static double until_free(const struct m8__group *g)
{
    if (g->limit < 0 || g->running < g->limit) return 0;
    double first = HUGE_VAL, now = m8_now_s();
    int seen = 0;
    for (const struct m8__node *n = g->active.next; n != &g->active && seen < 64; n = n->next, seen++) {
        const m8_call *c = M8__OF(const m8_call, in_group, n);
        double mean = m8__mean(c->event->plan);
        if (mean >= 0 && c->started + mean < first) first = c->started + mean;
    }
    return first == HUGE_VAL || first < now ? 0 : first - now;
}

/* What each one ahead adds; below 0: unknown. */
static double share(const m8_call *c)
{
    double mean = m8__mean(c->event->plan);
    return c->event->group->limit > 0 && mean >= 0 ? mean / c->event->group->limit : mean >= 0 && c->event->group->limit < 0 ? 0 : -1;
}

double m8__rank_eta(const m8_call *c)
{
    const struct m8__group *g = c->event->group;
    double mean = m8__mean(c->event->plan), ahead = 0;
    if (mean < 0) return -1;
    if (c->event->plan->n_waiting == g->n_waiting) { /* all of one kind: no need to look at each */
        ahead = (g->n_waiting - 1) * share(c);
    } else {
        int seen = 0;
        for (const struct m8__node *n = g->waiting.next; n != &c->in_group && seen < RANKS_AT_ONCE; n = n->next, seen++) {
            double one = share(M8__OF(const m8_call, in_group, n));
            if (one < 0) return -1;
            ahead += one;
        }
    }
    return mean + until_free(g) + ahead;
}

double m8__queue_wait(const m8_blocks *app, const m8_event *e)
{
    double mean = m8__mean(e->plan);
    int places = e->group->limit > 0 ? e->group->limit : app->queue->most_running;
    return mean < 0 ? 5 : mean / places;
}

static void tell_ranks(struct m8__queue *q, struct m8__group *g)
{
    double ahead = until_free(g);
    int rank = 0;
    for (struct m8__node *n = g->waiting.next; n != &g->waiting; n = n->next, rank++) {
        m8_call *c = in_group(n);
        double mean = m8__mean(c->event->plan), one = share(c);
        if (c->channel && c->channel->kind == M8__SESSION && c->channel->text.len < M8__OUTBOX_MOST) {
            m8__say_estimation(&c->channel->text, c, rank, g->n_waiting, mean < 0 || ahead < 0 ? -1 : mean + ahead);
            m8__channel_put(q, c->channel, NULL, 0);
        }
        if (ahead >= 0) ahead = one < 0 ? -1 : ahead + one;
    }
}

static void ranks_due(void *user)
{
    m8_blocks *app = user;
    pthread_mutex_lock(&app->lock);
    app->queue->ranks_timer = NULL;
    m8__post(app->queue);
    pthread_mutex_unlock(&app->lock);
}

/* All that wait are told each time one starts; but many that wait are told four times a second only. */
void m8__ranks_tell(struct m8__queue *q)
{
    double now = m8_now_s();
    for (struct m8__node *n = q->dirty.next, *next; n != &q->dirty; n = next) {
        next = n->next;
        struct m8__group *g = M8__OF(struct m8__group, dirty, n);
        if (g->n_waiting > RANKS_AT_ONCE && now - g->told_at < RANKS_EVERY_S) {
            if (!q->ranks_timer && !q->stopped) q->ranks_timer = m8_http_timer_new(q->app->http, RANKS_EVERY_S, 0, ranks_due, q->app);
            if (q->ranks_timer) continue;
        }
        m8__list_del(&g->dirty);
        g->told_at = now;
        tell_ranks(q, g);
    }
}

/* ---- time passes -------------------------------------------------------------------------------------------------------------- */

/* Those that nobody came to read: what waits loses its place soon, what was said is kept for a while. */
void m8__queue_absent(struct m8__queue *q, double now)
{
    for (struct m8__node *n = q->unread.next; n != &q->unread;) { /* channels are freed by this thread only, so the next one stays */
        struct m8__channel *ch = M8__OF(struct m8__channel, unread, n);
        n = n->next;
        double waited = now - ch->since;
        bool over = waited > KEEP_S || q->n_unread > UNREAD_MOST;
        if (!over && waited < JOIN_ABSENT_S) return;
        if (over || waited >= (ch->kind == M8__CALL ? CALL_ABSENT_S : JOIN_ABSENT_S)) m8__channel_absent(q, ch, over || ch->n_blocked);
    }
}

void m8__queue_tick(m8_blocks *app, double now)
{
    struct m8__queue *q = app->queue;
    pthread_mutex_lock(&app->lock);
    for (struct m8__node *n = q->parked.next, *next; n != &q->parked; n = next) {
        next = n->next;
        m8_call *c = in_list(n);
        double most = c->event->opts.time_limit_s > 0 ? c->event->opts.time_limit_s : NO_CHUNK_S;
        if (now - c->parked_at < most) continue;
        c->chunks_end = true;
        m8__resume(c);
    }
    m8__queue_absent(q, now);
    pthread_mutex_unlock(&app->lock);
}
