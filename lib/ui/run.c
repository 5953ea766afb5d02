/* One run on its thread: inputs, gate, handler, outputs, end. */
#include "run_internal.h"
#include <string.h>
#include <sys/random.h>

/* 32 hexadecimal digits that nobody can guess. The kernel is asked for many at once. Runs are made on the loop. */
static bool make_id(struct m8__queue *q, char id[33])
{
    if (!q->n_random) {
        if (getrandom(q->random, sizeof q->random, 0) != (ssize_t)sizeof q->random) return false;
        q->n_random = sizeof q->random;
    }
    for (int i = 0; i < 32; i += 2) {
        unsigned char *b = &q->random[--q->n_random];
        id[i] = "0123456789abcdef"[*b >> 4];
        id[i + 1] = "0123456789abcdef"[*b & 15];
        *b = 0;
    }
    id[32] = 0;
    return true;
}

m8_call *m8__run_new(m8_event *e, struct m8__session *s, enum m8__channel_kind kind, m8_error *err)
{
    m8_call *c = m8_calloc(1, sizeof *c + e->n_out * sizeof *c->out);
    if (!c) {
        m8_fail(err, M8_E_NOMEM, "out of memory");
        return NULL;
    }
    c->out = (struct m8__out *)(c + 1);
    if (!make_id(e->app->queue, c->id)) {
        m8_free(c);
        m8_fail(err, M8_E_IO, "the kernel gives no random bytes");
        return NULL;
    }
    c->app = e->app;
    c->event = e;
    c->session = s;
    c->kind = (uint8_t)kind;
    c->refs = 1;
    m8__channel_init(&c->own, kind, c);
    c->channel = kind == M8__SESSION ? &s->channel : &c->own;
    for (size_t i = 0; i < e->n_out; i++) c->out[i].index = (int)i, c->out[i].call = c;
    return c;
}

static void run_free(m8_call *c)
{
    json_decref(c->in);
    json_decref(c->event_data);
    json_decref(c->chunk);
    for (size_t i = 0; c->texts && i < c->event->n_in; i++) m8_free(c->texts[i]);
    m8_free(c->texts);
    m8__made_free(c);
    while (c->kept) {
        struct m8__kept *k = c->kept;
        c->kept = k->next;
        m8_free(k);
    }
    for (size_t i = 0; i < c->event->n_out; i++) {
        json_decref(c->out[i].value);
        json_decref(c->out[i].said);
    }
    m8_free(c->said_no);
    m8_free(c->title);
    m8_free(c->about);
    m8_free(c->batch);
    m8_buf_finish(&c->line);
    m8_buf_finish(&c->progress);
    m8_buf_finish(&c->own.text);
    m8_free(c);
}

/* The last share: out of what might still lead to it. Lock held. */
static bool last_share(m8_call *c)
{
    if (--c->refs) return false;
    m8__unlist(c->app->queue, c);
    m8__channel_finish(c->app->queue, &c->own);
    return true;
}

void m8__run_drop(m8_call *c)
{
    if (c && last_share(c)) run_free(c);
}

void m8__run_unref(m8_call *c)
{
    if (!c) return;
    m8_blocks *app = c->app;
    pthread_mutex_lock(&app->lock);
    bool last = last_share(c);
    pthread_mutex_unlock(&app->lock);
    if (last) run_free(c);
}

/* ---- outputs ---------------------------------------------------------------------------------------------------------------- */

/* What the handler gave becomes what goes on the wire. */
static m8_status make_value(m8_call *c, size_t i, m8_error *err)
{
    struct m8__out *o = &c->out[i];
    const m8_block *b = c->event->out ? c->event->out[i] : NULL;
    if (!o->raw) return M8_OK;
    o->raw = false;
    if (!b || c->event->plan->state_out[i]) return M8_OK;
    m8_status st;
    if (o->update) {
        json_t *value = json_object_get(o->value, "value");
        json_incref(value);
        st = value ? m8__postprocess(b, &value, err) : M8_OK;
        if (!st && value && json_object_set(o->value, "value", value)) st = m8_fail(err, M8_E_NOMEM, "output %zu", i);
        json_decref(value);
    } else {
        st = m8__postprocess(b, &o->value, err);
    }
    if (!st && (json_is_object(o->value) || json_is_array(o->value))) st = m8__add_urls(o->value, c->about ? c->about->root : "");
    return st;
}

/* Lock held: State goes into the session; ids of those that somebody listens to and that have changed, comma between. */
static void keep_states(m8_call *c, m8_buf *changed)
{
    const struct m8__plan *p = c->event->plan;
    for (size_t i = 0; i < c->event->n_out; i++) {
        json_t *value = c->out[i].value;
        if (!p->state_out[i] || !value || value == c->out[i].said) continue;
        const m8_block *b = c->event->out[i];
        if (p->watched[i]) {
            json_t *was = m8__session_value(c->session, b);
            if (!json_equal(was, value)) m8_buf_printf(changed, "%s%d", changed->len ? "," : "", b->id);
            json_decref(was);
        }
        if (!m8__session_set(c->session, b, json_incref(value))) c->broken = M8_E_NOMEM;
        json_decref(c->out[i].said);
        c->out[i].said = json_incref(value);
    }
}

/* Lock held: State is shared with the session and with other runs, and jansson's counts alone do not order what threads do with a value. */
static void drop_states(m8_call *c)
{
    const m8_event *e = c->event;
    for (size_t i = 0; i < e->n_in; i++) {
        if (e->plan->state_in[i]) json_array_set_new(c->in, i, json_null());
    }
}

static void drop_state_outputs(m8_call *c)
{
    for (size_t i = 0; i < c->event->n_out; i++) {
        if (!c->event->plan->state_out[i]) continue;
        json_decref(c->out[i].value);
        json_decref(c->out[i].said);
        c->out[i].value = c->out[i].said = NULL;
    }
}

m8_status m8__run_say(m8_call *c, bool last)
{
    m8_event *e = c->event;
    m8_error err = {0};
    m8_status st = M8_OK;
    for (size_t i = 0; i < e->n_out && !st; i++) st = make_value(c, i, &err);
    if (st) {
        m8_log(M8_LOG_ERROR, "%s: an output: %s", e->api_name, m8_error_text(&err));
        return st;
    }
    bool diff = c->n_said && !last && c->channel && c->channel->kind == M8__SESSION && !e->plan->stream_in;
    m8_buf_clear(&c->line);
    if (c->channel && !c->mute) m8__say_data(&c->line, c, diff);
    if (c->line.status) return c->line.status;

    m8_buf changed = {0};
    struct m8__queue *q = c->app->queue;
    double now = m8_now_s();
    pthread_mutex_lock(&c->app->lock);
    keep_states(c, &changed);
    e->plan->n_steps++;
    e->plan->steps_s += now - c->step;
    if (c->channel && !c->mute) {
        m8__progress_flush(c);
        m8__write_value(&c->channel->text, c, &c->line, last, now - c->step, e->plan->steps_s / (double)e->plan->n_steps, changed.data ? changed.data : "");
        m8__channel_put(q, c->channel, NULL, 0);
        if (c->kind == M8__DIRECT) c->own.status = 200;
        if (c->kind == M8__DIRECT) m8__run_told(c);
    }
    pthread_mutex_unlock(&c->app->lock);
    m8_buf_finish(&changed);
    for (size_t i = 0; i < e->n_out; i++) {
        if (c->out[i].said == c->out[i].value) continue;
        json_decref(c->out[i].said);
        c->out[i].said = json_incref(c->out[i].value);
    }
    c->n_said++;
    c->step = m8_now_s();
    return c->broken;
}

/* ---- the handler ---------------------------------------------------------------------------------------------------------------- */

void m8__run_states(m8_call *c)
{
    const m8_event *e = c->event;
    for (size_t i = 0; i < e->n_in; i++) {
        if (e->plan->state_in[i]) json_array_set_new(c->in, i, m8__session_value(c->session, e->in[i]));
    }
}

static m8_status call_handler(m8_call *c, m8_error *err)
{
    m8_event *e = c->event;
    if (c->broken) return m8_fail(err, c->broken, "out of memory");
    if (c->said_no) return m8_fail(err, M8_E_USER, "%s", c->said_no);
    if (atomic_load(&c->cancelled)) return m8_fail(err, M8_E_CANCELLED, "cancelled");
    const m8_gate *gate = &c->app->launch.gate;
    bool lends = e->opts.gpu.lease && gate->take;
    if (lends) {
        m8_status st = gate->take(gate->user, c, e->opts.gpu.duration_s > 0 ? e->opts.gpu.duration_s : 60, &c->lease, err);
        if (st) return m8_fail(err, st, "no accelerator could be had");
    }
    m8_status st = e->fn(c, err);
    if (lends && gate->release) gate->release(gate->user, c->lease);
    c->lease = NULL;
    if (!st) st = c->broken;
    return st ? m8_fail(err, st, "the handler failed") : M8_OK;
}

/* From here on nothing of it is called from elsewhere. */
static void settle(m8_call *c)
{
    if (!c->on_cancel) return; /* set by this thread only */
    pthread_mutex_lock(&c->app->lock);
    while (c->in_callback) pthread_cond_wait(&c->app->queue->settled, &c->app->lock);
    c->on_cancel = NULL;
    pthread_mutex_unlock(&c->app->lock);
}

/* Streamed input: what this chunk gave is said, then the next is taken, or waited for. true: the run goes on, maybe on another thread. */
static bool next_chunk(m8_call *c, m8_status *st)
{
    double now = m8_now_s(), limit = c->event->opts.time_limit_s;
    c->spent_s += now - c->step;
    *st = m8__run_say(c, false);
    if (*st) return false;
    pthread_mutex_lock(&c->app->lock);
    bool ends = c->mute || atomic_load(&c->cancelled) || (limit > 0 && c->spent_s >= limit) || (c->chunks_end && !c->chunk) || c->app->queue->closing;
    if (!ends && c->chunk) m8__list_add(&c->app->queue->go, &c->in_list); /* behind the others; this thread will look there */
    else if (!ends) m8__park(c);
    pthread_mutex_unlock(&c->app->lock);
    return !ends;
}

static void forget_texts(m8_call *c)
{
    for (size_t i = 0; c->texts && i < c->event->n_in; i++) {
        m8_free(c->texts[i]);
        c->texts[i] = NULL;
    }
}

/* The next chunk becomes the input. false: there is none, it was woken for its end. */
static bool take_chunk(m8_call *c)
{
    pthread_mutex_lock(&c->app->lock);
    json_t *chunk = c->chunk;
    c->chunk = NULL;
    if (chunk) drop_states(c);
    pthread_mutex_unlock(&c->app->lock);
    if (!chunk) return false;
    json_decref(c->in);
    c->in = chunk;
    forget_texts(c);
    return true;
}

static void took(m8_call *c, double s)
{
    struct m8__plan *p = c->event->plan;
    if (!p->took) return;
    p->took[p->n_took++ % M8__TOOK] = (float)s;
}

/* Its last message, its statistics, its place. */
static void finish(m8_call *c, m8_status st, m8_error *err)
{
    struct m8__queue *q = c->app->queue;
    for (size_t i = 0; i < c->event->n_out; i++) {
        if (c->out[i].stream) m8__stream_end(c->out[i].stream);
        c->out[i].stream = NULL;
    }
    bool first_only = c->kind == M8__DIRECT && c->n_said; /* run/NAME has its answer: a generator's first value */
    bool cancelled = atomic_load(&c->cancelled) && !first_only;
    if (first_only) st = M8_OK;
    else if (!st) st = m8__run_say(c, true);
    else if (cancelled) st = M8_E_CANCELLED;
    if (st && st != M8_E_USER && !cancelled) m8_log(M8_LOG_ERROR, "%s: %s", c->event->api_name, m8_error_text(err));
    pthread_mutex_lock(&c->app->lock);
    if (st && !c->mute && c->channel) {
        m8__progress_flush(c);
        m8__say_error(&c->channel->text, c, st, err);
        m8__channel_put(q, c->channel, NULL, 0);
        c->own.status = 500;
    }
    double s = m8_now_s() - c->started;
    struct m8__plan *p = c->event->plan;
    if (!st) {
        p->n_done += !first_only;
        p->done_s += first_only ? 0 : s;
        q->stats.succeeded++;
    } else if (!cancelled) {
        p->n_failed++;
        q->stats.failed++;
    }
    if (!st || !cancelled) took(c, s);
    drop_states(c);
    drop_state_outputs(c);
    m8__run_told(c);
    m8__leave(c, !c->follows);
    bool last = last_share(c);
    m8_blocks *app = c->app;
    pthread_mutex_unlock(&app->lock);
    if (last) run_free(c);
}

void m8__run_go(m8_call *c)
{
    m8_error err = {0};
    if (c->event->plan->stream_in && c->n_said && !take_chunk(c)) { /* a parked one at its end */
        finish(c, M8_OK, &err);
        return;
    }
    int n = c->n_batch ? c->n_batch : 1;
    if (c->event->plan->n_states_in) {
        pthread_mutex_lock(&c->app->lock);
        for (int i = 0; i < n; i++) m8__run_states(c->n_batch ? c->batch[i] : c);
        pthread_mutex_unlock(&c->app->lock);
    }
    double now = m8_now_s();
    for (int i = 0; i < n; i++) (c->n_batch ? c->batch[i] : c)->step = now;
    m8_status st = call_handler(c, &err);
    settle(c);
    if (!st && c->event->plan->stream_in && next_chunk(c, &st)) return;
    for (int i = 1; i < c->n_batch; i++) {
        m8_error copy = err;
        m8_call *other = c->batch[i];
        settle(other);
        finish(other, st ? st : other->broken, &copy);
    }
    finish(c, st, &err);
}
