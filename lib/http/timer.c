/* What is due: time-outs of connections, timers of the program, functions posted by other threads. */
#include "server.h"
#include <unistd.h>

/* ---- time-outs ---------------------------------------------------------------------------------------------------------- */

void m8__wait_set(struct conn *c, enum m8__wait kind)
{
    if (c->wait) {
        c->waiting.prev->next = c->waiting.next;
        c->waiting.next->prev = c->waiting.prev;
    }
    c->wait = (uint8_t)kind;
    if (!kind) return;
    struct m8__link *list = &c->h->waits[kind];
    c->deadline = c->h->now + c->h->length[kind];
    c->waiting = (struct m8__link){ list->prev, list };
    list->prev->next = &c->waiting;
    list->prev = &c->waiting;
}

static struct conn *first(const m8_http *h, int kind)
{
    const struct m8__link *list = &h->waits[kind];
    return list->next == list ? NULL : (struct conn *)list->next; /* the link is a connection's first member */
}

void m8__wait_expired(m8_http *h)
{
    for (int kind = 1; kind < M8__N_WAITS; kind++) {
        struct conn *c;
        while ((c = first(h, kind)) && c->deadline <= h->now) {
            m8__wait_set(c, M8__WAIT_NONE);
            if (!c->dead) m8__conn_expired(c, (enum m8__wait)kind);
        }
    }
}

bool m8__wait_drop_idle(m8_http *h)
{
    struct conn *c = first(h, M8__WAIT_IDLE);
    if (c) m8__conn_kill(c);
    return c != NULL;
}

/* ---- timers: a heap, the earliest first ------------------------------------------------------------------------------------ */

struct m8_http_timer {
    m8_http *h;
    void (*fn)(void *user);
    void *user;
    double at, every;
    size_t place; /* in the heap */
    bool freed;   /* while it runs */
};

static void put(m8_http *h, size_t i, m8_http_timer *t)
{
    h->timers[i] = t;
    t->place = i;
}

static void settle(m8_http *h, size_t i)
{
    m8_http_timer *t = h->timers[i];
    for (; i && h->timers[(i - 1) / 2]->at > t->at; i = (i - 1) / 2) put(h, i, h->timers[(i - 1) / 2]);
    for (size_t k; (k = 2 * i + 1) < h->n_timers; i = k) {
        if (k + 1 < h->n_timers && h->timers[k + 1]->at < h->timers[k]->at) k++;
        if (h->timers[k]->at >= t->at) break;
        put(h, i, h->timers[k]);
    }
    put(h, i, t);
}

static void take_out(m8_http *h, m8_http_timer *t)
{
    m8_http_timer *last = h->timers[--h->n_timers];
    if (last == t) return;
    put(h, t->place, last);
    settle(h, last->place);
}

m8_http_timer *m8_http_timer_new(m8_http *h, double after_s, double every_s, void (*fn)(void *user), void *user)
{
    if (h->n_timers == h->cap_timers) {
        size_t cap = h->cap_timers ? 2 * h->cap_timers : 16;
        m8_http_timer **p = m8_realloc(h->timers, cap * sizeof *p);
        if (!p) return NULL;
        h->timers = p;
        h->cap_timers = cap;
    }
    m8_http_timer *t = m8_malloc(sizeof *t);
    if (!t) return NULL;
    *t = (m8_http_timer){ .h = h, .fn = fn, .user = user, .at = m8_now_s() + (after_s > 0 ? after_s : 0), .every = every_s };
    put(h, h->n_timers++, t);
    settle(h, t->place);
    return t;
}

void m8_http_timer_free(m8_http_timer *t)
{
    if (!t) return;
    if (t->h->running == t) {
        t->freed = true;
        return;
    }
    take_out(t->h, t);
    m8_free(t);
}

void m8__timers_run(m8_http *h)
{
    for (size_t most = h->n_timers; most && h->n_timers && h->timers[0]->at <= h->now; most--) {
        m8_http_timer *t = h->timers[0];
        bool once = !(t->every > 0);
        if (once) take_out(h, t);
        else {
            t->at = t->at + t->every > h->now ? t->at + t->every : h->now + t->every; /* the loop was late: no volley */
            settle(h, 0);
        }
        h->running = t;
        t->fn(t->user);
        h->running = NULL;
        if (!once && !t->freed) continue;
        if (!once) take_out(h, t);
        m8_free(t);
    }
}

void m8__timers_free(m8_http *h)
{
    while (h->n_timers) m8_free(h->timers[--h->n_timers]);
    m8_free(h->timers);
}

double m8__wait_next(const m8_http *h)
{
    double at = h->n_timers ? h->timers[0]->at : 0;
    for (int kind = 1; kind < M8__N_WAITS; kind++) {
        const struct conn *c = first(h, kind);
        if (c && (at <= 0 || c->deadline < at)) at = c->deadline;
    }
    if (h->trim_at > 0 && (at <= 0 || h->trim_at < at)) at = h->trim_at;
    if (h->accept_at > 0 && (at <= 0 || h->accept_at < at)) at = h->accept_at;
    long long stop = atomic_load(&h->stop_at_ms);
    if (stop && (at <= 0 || (double)stop / 1e3 < at)) at = (double)stop / 1e3;
    return at <= 0 ? -1 : at > h->now ? at - h->now : 0;
}

/* ---- from other threads ---------------------------------------------------------------------------------------------------- */

bool m8_http_post(m8_http *h, void (*fn)(void *user), void *user)
{
    struct m8__post *p = m8_malloc(sizeof *p);
    if (!p) return false;
    *p = (struct m8__post){ .fn = fn, .user = user };
    pthread_mutex_lock(&h->lock);
    bool ended = h->ended, first_one = !h->posts;
    if (!ended) {
        *h->posts_end = p;
        h->posts_end = &p->next;
    }
    pthread_mutex_unlock(&h->lock);
    if (ended) m8_free(p);
    else if (first_one) m8__loop_wake(h);
    return !ended;
}

void m8__posts_run(m8_http *h)
{
    pthread_mutex_lock(&h->lock);
    struct m8__post *p = h->posts;
    h->posts = NULL;
    h->posts_end = &h->posts;
    pthread_mutex_unlock(&h->lock);
    while (p) {
        struct m8__post *next = p->next;
        p->fn(p->user);
        m8_free(p);
        p = next;
    }
}
