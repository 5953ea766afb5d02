/* Cancel: a flag with references, and a list of who wants to be woken. */
#include <m8/base.h>
#include <pthread.h>
#include <stdatomic.h>

struct m8_cancel {
    atomic_bool set;
    atomic_int refs;
    pthread_mutex_t lock; /* held while watchers are called, so that unwatch waits for them */
    m8_watch *watchers;
};

m8_cancel *m8_cancel_new(void)
{
    m8_cancel *c = m8_calloc(1, sizeof *c);
    if (!c) return NULL;
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

m8_cancel *m8_cancel_ref(m8_cancel *c)
{
    if (c) atomic_fetch_add(&c->refs, 1);
    return c;
}

void m8_cancel_unref(m8_cancel *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    pthread_mutex_destroy(&c->lock);
    m8_free(c);
}

void m8_cancel_set(m8_cancel *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    bool was = atomic_exchange(&c->set, true);
    for (m8_watch *w = c->watchers; w && !was; w = w->next) w->fn(w->user);
    pthread_mutex_unlock(&c->lock);
}

bool m8_cancel_is_set(const m8_cancel *c) { return c && atomic_load_explicit(&c->set, memory_order_acquire); }

void m8_cancel_watch(m8_cancel *c, m8_watch *w)
{
    w->of = c;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    w->next = c->watchers;
    c->watchers = w;
    if (atomic_load(&c->set)) w->fn(w->user);
    pthread_mutex_unlock(&c->lock);
}

void m8_cancel_unwatch(m8_watch *w)
{
    m8_cancel *c = w->of;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    m8_watch **at = &c->watchers;
    while (*at && *at != w) at = &(*at)->next;
    if (*at) *at = w->next;
    pthread_mutex_unlock(&c->lock);
    w->of = NULL;
}
