/* Turns, first come first served. A turn that is given back goes to who waits longest, not to who happens to be awake. */
#include "turns.h"

void m8__turns_init(struct m8__turns *t, int n)
{
    *t = (struct m8__turns){ .n = n, .last = &t->first };
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->news, NULL);
}

void m8__turns_finish(struct m8__turns *t)
{
    pthread_cond_destroy(&t->news);
    pthread_mutex_destroy(&t->lock);
}

static void stop(void *user)
{
    struct m8__taker *k = user;
    atomic_store(&k->stop, true);
    pthread_mutex_lock(&k->turns->lock);
    pthread_cond_broadcast(&k->turns->news);
    pthread_mutex_unlock(&k->turns->lock);
}

void m8__taker_init(struct m8__taker *k, struct m8__turns *turns, m8_cancel *cancel)
{
    *k = (struct m8__taker){ .turns = turns, .turn = -1, .watch = { .fn = stop, .user = k } };
    m8_cancel_watch(cancel, &k->watch);
}

void m8__taker_finish(struct m8__taker *k) { m8_cancel_unwatch(&k->watch); }

static void leave(struct m8__turns *t, struct m8__taker *k)
{
    struct m8__taker **at = &t->first;
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    if (!k->next) t->last = at;
}

/* Under the lock: free turns to those who wait. */
static void hand_out(struct m8__turns *t)
{
    for (int i = 0; i < t->n && t->first; i++) {
        if (t->taken >> i & 1) continue;
        t->taken |= 1u << i;
        t->first->turn = i;
        leave(t, t->first);
    }
}

m8_status m8__turn_take(struct m8__taker *k)
{
    struct m8__turns *t = k->turns;
    pthread_mutex_lock(&t->lock);
    k->next = NULL;
    *t->last = k;
    t->last = &k->next;
    hand_out(t);
    while (k->turn < 0 && !atomic_load(&k->stop)) pthread_cond_wait(&t->news, &t->lock);
    if (k->turn < 0) leave(t, k);
    bool stopped = atomic_load(&k->stop), has = k->turn >= 0;
    pthread_mutex_unlock(&t->lock);
    if (stopped && has) m8__turn_give(k);
    return stopped ? M8_E_CANCELLED : M8_OK;
}

void m8__turn_give(struct m8__taker *k)
{
    struct m8__turns *t = k->turns;
    if (k->turn < 0) return;
    pthread_mutex_lock(&t->lock);
    t->taken &= ~(1u << k->turn);
    k->turn = -1;
    hand_out(t);
    if (t->taken) pthread_cond_broadcast(&t->news);
    pthread_mutex_unlock(&t->lock);
}
