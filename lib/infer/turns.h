/* turns.h - calls that can't share their steps take turns: a few at a time (so that nobody waits for all the others before he begins), in
 * the order they came; who has given his turn back and wants another stands behind those who wait. And the token that ends a call. */
#ifndef M8_TURNS_H
#define M8_TURNS_H

#include <m8/base.h>
#include <pthread.h>
#include <stdatomic.h>

enum { MOST_TURNS = 2 };

struct m8__taker;

struct m8__turns {
    pthread_mutex_t lock;
    pthread_cond_t news;
    int n;          /* of turns */
    unsigned taken; /* one bit for each */
    struct m8__taker *first, **last; /* who waits */
};
void m8__turns_init(struct m8__turns *t, int n /* up to MOST_TURNS */);
void m8__turns_finish(struct m8__turns *t);

struct m8__taker { /* a call, on its stack; not moved between init and finish */
    struct m8__turns *turns;
    struct m8__taker *next;
    int turn;         /* -1: none */
    atomic_bool stop; /* what a run of it looks at (nn_run) */
    m8_watch watch;
};
void m8__taker_init(struct m8__taker *k, struct m8__turns *turns, m8_cancel *cancel);
void m8__taker_finish(struct m8__taker *k);
/* Waits; M8_OK: k->turn is a number below n that nobody else has. M8_E_CANCELLED: the token was set. */
m8_status m8__turn_take(struct m8__taker *k);
void m8__turn_give(struct m8__taker *k);

#endif
