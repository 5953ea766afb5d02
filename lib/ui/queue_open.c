/* The queue begins and ends: groups and plans of the events, the clock, the threads' end. */
#include "run_internal.h"
#include <string.h>

static bool is_state(const m8_block *b) { return b && !strcmp(b->type->type, "state"); }

static bool listened_to(const m8_blocks *app, const m8_block *b)
{
    for (size_t i = 0; i < app->n_events; i++) {
        const m8_event *e = app->events[i];
        for (size_t k = 0; k < e->n_targets; k++) {
            if (e->targets[k].block == b && !strcmp(e->targets[k].name, "change")) return true;
        }
    }
    return false;
}

static struct m8__plan *plan_new(const m8_event *e)
{
    struct m8__plan *p = m8_calloc(1, sizeof *p + e->n_in + 2 * e->n_out);
    if (!p) return NULL;
    p->state_in = (bool *)(p + 1);
    p->state_out = p->state_in + e->n_in;
    p->watched = p->state_out + e->n_out;
    for (size_t i = 0; i < e->n_in; i++) p->n_states_in += p->state_in[i] = e->in && is_state(e->in[i]);
    for (size_t i = 0; i < e->n_out; i++) {
        p->state_out[i] = e->out && is_state(e->out[i]);
        p->watched[i] = p->state_out[i] && listened_to(e->app, e->out[i]);
    }
    for (size_t i = 0; i < e->n_targets; i++) {
        p->stream_in |= !strcmp(e->targets[i].name, "stream");
        p->unload |= !strcmp(e->targets[i].name, "unload");
    }
    if (e->app->launch.monitoring && !(p->took = m8_calloc(M8__TOOK, sizeof *p->took))) {
        m8_free(p);
        return NULL;
    }
    return p;
}

static int limit_of(const m8_event *e)
{
    int by_default = e->app->launch.default_concurrency_limit;
    int limit = e->opts.concurrency_limit ? e->opts.concurrency_limit : by_default ? by_default : 1;
    return limit < 0 ? -1 : limit;
}

static void group_init(struct m8__group *g, int limit)
{
    *g = (struct m8__group){.limit = limit};
    m8__list_init(&g->waiting);
    m8__list_init(&g->active);
}

/* Its own group, or the one that others of its concurrency_id have made; of the limits they name the lowest counts. */
static void find_group(struct m8__queue *q, m8_event *e)
{
    const char *id = e->opts.concurrency_id;
    if (!e->queue) {
        e->group = &q->direct;
        return;
    }
    for (size_t i = 0; id && i < q->n_groups; i++) {
        struct m8__group *g = &q->groups[i];
        if (!g->id || strcmp(g->id, id)) continue;
        int limit = limit_of(e);
        if (e->opts.concurrency_limit && (!g->named || (limit >= 0 && (g->limit < 0 || limit < g->limit)))) g->limit = limit;
        g->named |= e->opts.concurrency_limit != 0;
        e->group = g;
        return;
    }
    struct m8__group *g = &q->groups[q->n_groups++];
    group_init(g, limit_of(e));
    g->id = id;
    g->named = e->opts.concurrency_limit != 0;
    e->group = g;
}

static void tick(void *user)
{
    m8_blocks *app = user;
    double now = m8_now_s();
    m8__readers_beat(app);
    m8__queue_tick(app, now);
    m8__sessions_tick(app, now);
}

/* Lock held, let go of for what handlers left to be called. */
static void cancel_all(struct m8__queue *q)
{
    for (int i = 0; i < M8__BUCKETS; i++) {
        for (m8_call *c = q->table[i]; c;) {
            bool over = c->state == M8__DONE || (c->mute && atomic_load(&c->cancelled));
            if (!over) m8__cancel(c, false);
            c = over ? c->next_id : q->table[i];
        }
    }
    pthread_cond_broadcast(&q->room);
}

/* The server stops (grace_s >= 0: runs may end), or is closed: from then on it must not be spoken to. */
static void server_stops(void *user, double grace_s)
{
    m8_blocks *app = user;
    struct m8__queue *q = app->queue;
    if (!q) return;
    if (grace_s >= 0) {
        m8__readers_stop(app);
        return;
    }
    pthread_mutex_lock(&app->lock);
    q->stopped = true;
    q->tick = q->ranks_timer = q->progress_timer = q->stuck_timer = NULL; /* the server frees its timers */
    app->http = NULL;
    cancel_all(q);
    pthread_mutex_unlock(&app->lock);
}

m8_status m8__queue_open(m8_blocks *app, m8_error *err)
{
    struct m8__queue *q = m8_calloc(1, sizeof *q);
    if (!q) return m8_fail(err, M8_E_NOMEM, "queue");
    app->queue = q;
    q->app = app;
    pthread_cond_init(&q->work, NULL);
    pthread_cond_init(&q->room, NULL);
    pthread_cond_init(&q->settled, NULL);
    struct m8__node *const lists[] = {&q->runnable, &q->go, &q->dirty, &q->parked, &q->unread, &q->progress};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) m8__list_init(lists[i]);
    for (int i = 0; i < M8__BEAT_S; i++) m8__list_init(&q->beats[i]);
    group_init(&q->direct, -1);
    q->direct.direct = true;
    const m8_launch_opts *o = &app->launch;
    q->most_waiting = o->max_size ? (o->max_size < 0 ? -1 : o->max_size) : 1000;
    q->most_running = o->max_threads > 0 ? o->max_threads : 40;
    q->most_threads = q->most_running + M8__DIRECT_THREADS;
    q->threads = m8_calloc((size_t)q->most_threads, sizeof *q->threads);
    q->groups = m8_calloc(app->n_events ? app->n_events : 1, sizeof *q->groups);
    if (!q->threads || !q->groups) return m8_fail(err, M8_E_NOMEM, "queue");
    for (size_t i = 0; i < app->n_events; i++) {
        app->events[i]->plan = plan_new(app->events[i]);
        if (!app->events[i]->plan) return m8_fail(err, M8_E_NOMEM, "queue");
        find_group(q, app->events[i]);
    }
    if (!m8_http_on_stop(app->http, server_stops, app)) return m8_fail(err, M8_E_NOMEM, "queue");
    q->tick = m8_http_timer_new(app->http, 1, 1, tick, app);
    return q->tick ? M8_OK : m8_fail(err, M8_E_NOMEM, "queue");
}

void m8__queue_close(m8_blocks *app)
{
    struct m8__queue *q = app->queue;
    if (!q) return;
    pthread_mutex_lock(&app->lock);
    q->closing = q->stopped = true;
    cancel_all(q);
    pthread_cond_broadcast(&q->work);
    int n = q->n_threads;
    pthread_mutex_unlock(&app->lock);
    for (int i = 0; i < n; i++) pthread_join(q->threads[i], NULL);
    pthread_mutex_lock(&app->lock);
    for (int i = 0; i < M8__BUCKETS; i++) {
        while (q->table[i]) { /* answers that nobody has read */
            q->table[i]->refs = 1;
            m8__run_drop(q->table[i]);
        }
    }
    pthread_mutex_unlock(&app->lock);
}

void m8__queue_free(m8_blocks *app)
{
    struct m8__queue *q = app->queue;
    if (!q) return;
    for (size_t i = 0; i < app->n_events; i++) {
        if (!app->events[i]->plan) continue;
        m8_free(app->events[i]->plan->took);
        m8_free(app->events[i]->plan);
        app->events[i]->plan = NULL;
    }
    pthread_cond_destroy(&q->work);
    pthread_cond_destroy(&q->room);
    pthread_cond_destroy(&q->settled);
    m8_free(q->threads);
    m8_free(q->groups);
    m8_free(q);
    app->queue = NULL;
}
