/* Runs that end before their time: cancelled by their visitor, or without one. */
#include "run_internal.h"

void m8__run_told(m8_call *c)
{
    struct m8__channel *ch = c->channel;
    m8__list_del(&c->in_progress);
    if (c->mute) return;
    c->mute = true;
    if (!ch) return;
    ch->n_open--;
    if (ch->reader) m8__channel_ready(c->app->queue, ch);
    if (ch->n_blocked) pthread_cond_broadcast(&c->app->queue->room);
}

static void tell_end(m8_call *c, bool tell)
{
    if (tell && !c->mute && c->channel) {
        m8__say_cancelled(&c->channel->text, c);
        c->channel->hurries = true;
        m8__channel_put(c->app->queue, c->channel, NULL, 0);
    }
    m8__run_told(c);
}

/* The handler is told, and what it left to be called. */
static void stop(m8_call *c)
{
    m8_blocks *app = c->app;
    if (atomic_exchange(&c->cancelled, true)) return;
    void (*fn)(void *) = c->on_cancel;
    void *user = c->on_cancel_user;
    if (!fn || c->in_callback) return;
    c->in_callback = true; /* m8_on_cancel() and the end of the handler wait for it */
    pthread_mutex_unlock(&app->lock);
    fn(user);
    pthread_mutex_lock(&app->lock);
    c->in_callback = false;
    pthread_cond_broadcast(&app->queue->settled);
}

void m8__cancel(m8_call *c, bool tell)
{
    if (c->state == M8__DONE) {
        m8__run_told(c);
        return;
    }
    struct m8__queue *q = c->app->queue;
    if (!c->mute && !atomic_load(&c->cancelled)) q->stats.cancelled++;
    tell_end(c, tell);
    if (c->state == M8__RUNNING) {
        stop(c);
        return;
    }
    m8__leave(c, false);
    m8__run_drop(c);
}

void m8__cancel_session(struct m8__session *s, bool tell)
{
    for (struct m8__node *n = s->runs.next; n != &s->runs;) {
        m8_call *c = M8__OF(m8_call, in_session, n);
        n = n->next;
        if (c->channel != &s->channel || (c->mute && atomic_load(&c->cancelled))) continue;
        m8__cancel(c, tell); /* may have let go of the lock, so from the start */
        n = s->runs.next;
    }
}

void m8__chunks_end(struct m8__session *s)
{
    for (struct m8__node *n = s->runs.next; n != &s->runs; n = n->next) {
        m8_call *c = M8__OF(m8_call, in_session, n);
        if (!c->event->plan->stream_in) continue;
        c->chunks_end = true;
        m8__resume(c);
    }
}

/* Nobody came to read in time: those that wait lose their place; all: those that run, too, and what was said is thrown away. */
void m8__channel_absent(struct m8__queue *q, struct m8__channel *ch, bool all)
{
    if (ch->kind == M8__CALL) {
        m8_call *c = ch->owner;
        if (!all && c->state != M8__WAITING) return;
        m8__list_del(&ch->unread);
        q->n_unread--;
        m8__cancel(c, false);
        m8__run_drop(c);
        return;
    }
    struct m8__session *s = ch->owner;
    for (struct m8__node *n = s->runs.next; n != &s->runs;) {
        m8_call *c = M8__OF(m8_call, in_session, n);
        n = n->next;
        if (c->channel != ch || (c->mute && atomic_load(&c->cancelled)) || (!all && c->state != M8__WAITING)) continue;
        m8__cancel(c, false);
        n = s->runs.next;
    }
    if (!all) return;
    m8__list_del(&ch->unread);
    q->n_unread--;
    m8_buf_finish(&ch->text);
    m8__session_check(s);
}
