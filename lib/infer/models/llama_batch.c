/* Calls in flight on one model go step by step together.
 *
 *     m8__batch_run -> join -> [ lead: one pass for every call that waits for one | wait for news ] -> leave
 *
 * One of the callers is the leader: it runs a pass over the rows of all calls (new prompts, or the last token of each), picks their
 * next tokens, and tells the others; between passes it hands its own tokens on. When its call ends the next caller leads. So there is no
 * thread of our own, and a call costs nothing when none is in flight.
 *
 * Who waits for his next token comes first, with one row; new prompts share what is left, few rows when somebody waits, so that a long
 * prompt does not hold up the others. A call that is cancelled leaves at once, unless its rows are in the pass that runs: then a pass of
 * many rows (or of this call alone) is broken off between two operations, and done again without it.
 *
 * Cells of the cache are given out in units of 16 (a panel). When a call ends, its context is kept: a later call that begins with the
 * same ids sees the kept cells and computes only the rest. A kept context may itself stand on an earlier one (its parent). */
#include "llama_batch.h"
#include <math.h>
#include <string.h>

/* Of one while calls wait for their next token; and no pass as small as that is broken off. Of a large model a quarter: half a second. */
#define FEW_ROWS 128

m8_status m8__batch_open(m8_model *model, m8_error *err)
{
    struct llama *m = model->impl;
    struct llama_batch *b = m->batch = m8_calloc(1, sizeof *b);
    if (!b) return m8_fail(err, M8_E_NOMEM, "opening the model");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->news, NULL);
    b->n_units = m->layers[0].kv.cap / UNIT;
    size_t unit = nn_kv_bytes(m->kv_type, m->n_kv, m->dh, UNIT) * (size_t)m->n_layers, most = MOST_KEPT / unit;
    b->most_kept = most < (size_t)b->n_units ? (int)most : b->n_units;
    b->few_rows = m->d < LARGE ? FEW_ROWS : FEW_ROWS / 4;
    b->most_rows = m->d < LARGE ? MAX_ROWS : MAX_ROWS / 2;
    b->even = m->kv_type == NN_BF16;
    b->taken = m8_calloc((size_t)b->n_units, 1);
    return b->taken ? M8_OK : m8_fail(err, M8_E_NOMEM, "opening the model");
}

void m8__batch_forget(m8_model *model)
{
    struct llama_batch *b = ((struct llama *)model->impl)->batch;
    pthread_mutex_lock(&b->lock);
    while (m8__kept_forget_oldest(b)) {}
    pthread_mutex_unlock(&b->lock);
}

void m8__batch_close(m8_model *model)
{
    struct llama *m = model->impl;
    struct llama_batch *b = m->batch;
    if (!b) return;
    m8__batch_forget(model);
    m8_free(b->taken);
    pthread_cond_destroy(&b->news);
    pthread_mutex_destroy(&b->lock);
    m8_free(b);
    m->batch = NULL;
}

/* Cells for the whole call, behind a kept context if there is one. Waits while others hold them. */
static m8_status find_room(struct llama_batch *b, struct seq *s, int n_prompt, int max_new, const int *ids, m8_error *err)
{
    for (bool alone = false;; alone = s->parent != NULL) {
        m8__kept_leave(s);
        if (!alone) m8__kept_stand_on(b, s, ids, n_prompt - 1, 2, b->even); /* something is left to compute; with its own it has 3 spans, and can be kept */
        s->n_units = m8__cells_units(n_prompt - s->done + max_new);
        do s->unit = m8__cells_take(b, s->n_units);
        while (s->unit < 0 && m8__kept_forget_oldest(b));
        if (s->unit >= 0) break;
        if (s->parent) continue; /* what it stands on may be what is in the way */
        if (s->cancelled) return M8_E_CANCELLED;
        if (!b->seqs && !b->led) return m8_fail(err, M8_E_LIMIT, "%d tokens: more than the cache of %d holds", n_prompt + max_new, b->n_units * UNIT);
        pthread_cond_wait(&b->news, &b->lock);
    }
    s->span[s->n_spans++] = (nn_span){ s->unit * UNIT, 0 };
    return M8_OK;
}

/* ---- one pass for all */

static struct llama_rows rows_of(struct seq *s, int most)
{
    int n = s->n - s->done < most ? s->n - s->done : most;
    nn_span *own = &s->span[s->n_spans - 1];
    struct llama_rows r = { .ids = s->call->ids + s->done, .n = n, .pos = s->done, .cell = own->cell + own->n, .n_spans = s->n_spans };
    own->n += n;
    memcpy(r.span, s->span, sizeof r.span);
    return r;
}

struct pass {
    struct seq *in[MAX_SEQS];
    struct llama_rows rows[MAX_SEQS];
    int n, n_rows;
};

static void add_to_pass(struct pass *p, struct seq *s, int most)
{
    p->in[p->n] = s;
    p->rows[p->n] = rows_of(s, most);
    p->n_rows += p->rows[p->n++].n;
    s->in_pass = true;
}

/* Under the lock: whose rows, and how many, the next pass has. */
static void gather(struct llama_batch *b, struct pass *p)
{
    int n_new = 0;
    *p = (struct pass){ .n = 0 };
    for (struct seq *s = b->seqs; s; s = s->next) {
        if (s->ended || s->cancelled) continue;
        if (s->n - s->done > 1) n_new++;
        else if (p->n < MAX_SEQS) add_to_pass(p, s, 1);
    }
    int left = (p->n ? b->few_rows : b->most_rows) - p->n;
    for (struct seq *s = b->seqs; s && p->n < MAX_SEQS && left > 0; s = s->next) {
        if (s->ended || s->cancelled || s->in_pass) continue;
        int before = p->n_rows;
        add_to_pass(p, s, (left + n_new - 1) / n_new);
        left -= p->n_rows - before;
        n_new--;
    }
}

/* All rows of a pass, and the next token of each sequence that has its logits now: -2, none; -1, the end. */
static m8_status compute(struct llama *m, struct pass *p, int *next)
{
    nn_reset(&m->run);
    nn_t h = m8__llama_forward(m, p->rows, p->n, NULL, NULL);
    nn_t last = nn_new(&m->run, p->n, m->d); /* the states whose logits are asked for */
    int n_last = 0, row = 0;
    for (int i = 0; i < p->n && !m->run.status; i++) {
        row += p->rows[i].n;
        next[i] = -2;
        if (p->rows[i].pos + p->rows[i].n < p->in[i]->n) continue;
        memcpy(last.d + (size_t)n_last * m->d, h.d + (size_t)(row - 1) * h.ld, (size_t)m->d * sizeof(float));
        next[i] = n_last++;
    }
    nn_t logits = n_last ? m8__llama_logits(m, nn_rows(last, 0, n_last)) : (nn_t){0};
    for (int i = 0; i < p->n && !m->run.status; i++) {
        if (next[i] < 0) continue;
        struct llama_call *c = p->in[i]->call;
        next[i] = c->pick(c->user, logits.d + (size_t)next[i] * logits.ld, c->ids, p->in[i]->n, c->n_prompt);
    }
    return m->run.status;
}

/* Under the lock: what a pass has given to one of its sequences. */
static void take_result(struct seq *s, const struct llama_rows *rows, m8_status st, int next)
{
    s->in_pass = false;
    if (st == M8_E_CANCELLED) { /* as if it had not been */
        s->span[s->n_spans - 1].n -= rows->n;
        return;
    }
    s->done += rows->n;
    s->status = st;
    if (st) s->ended = true;
    if (st || next == -2) return;
    if (next >= 0 && s->n >= s->call->n_prompt + s->call->max_new) next = -1; /* no room was asked for */
    if (!s->call->prompt_s) s->call->prompt_s = m8_now_s() - s->joined;
    if (next < 0) {
        s->ended = true;
    } else {
        s->call->ids[s->n++] = next;
        if (s->n == s->call->n_prompt + s->call->max_new) s->ended = true;
    }
}

/* Called with the lock held; gives it up while computing. */
static void step(struct llama *m, struct llama_batch *b)
{
    struct pass p;
    int next[MAX_SEQS];
    gather(b, &p);
    if (p.n) {
        atomic_store(&b->interrupt, false);
        pthread_mutex_unlock(&b->lock);
        m->run.stop = p.n == 1 || p.n_rows > b->few_rows ? &b->interrupt : NULL;
        m8_status st = compute(m, &p, next);
        m->run.stop = NULL;
        pthread_mutex_lock(&b->lock);
        for (int i = 0; i < p.n; i++) take_result(p.in[i], &p.rows[i], st, next[i]);
    }
    pthread_cond_broadcast(&b->news);
}

/* The token of a call was set. */
static void told(void *user)
{
    struct seq *s = user;
    pthread_mutex_lock(&s->b->lock);
    s->cancelled = s->told = true;
    if (s->in_pass) atomic_store(&s->b->interrupt, true);
    pthread_cond_broadcast(&s->b->news);
    pthread_mutex_unlock(&s->b->lock);
}

static void leave(struct llama_batch *b, struct seq *s)
{
    struct seq **at = &b->seqs;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
}

m8_status m8__batch_run(m8_model *model, struct llama_call *call, m8_error *err)
{
    struct llama *m = model->impl;
    struct llama_batch *b = m->batch;
    struct seq s = { .call = call, .b = b, .n = call->n_prompt, .joined = m8_now_s(), .watch = { .fn = told, .user = &s } };
    m8_cancel_watch(call->cancel, &s.watch);
    pthread_mutex_lock(&b->lock);
    m8_status st = find_room(b, &s, call->n_prompt, call->max_new, call->ids, err);
    if (st) {
        pthread_mutex_unlock(&b->lock);
        m8_cancel_unwatch(&s.watch);
        return m8_fail(err, st, "generating: %s", m8_status_text(st));
    }
    call->n_kept = s.done;
    call->prompt_s = 0;
    struct seq **tail = &b->seqs;
    while (*tail) tail = &(*tail)->next;
    *tail = &s;
    int handed = call->n_prompt;
    while (!(s.ended && handed == s.n) && !(s.cancelled && !s.in_pass)) {
        if (handed < s.n && !s.cancelled) { /* hand on what is new, outside of the lock */
            int id = call->ids[handed++];
            pthread_mutex_unlock(&b->lock);
            st = call->token(call->user, id);
            pthread_mutex_lock(&b->lock);
            if (st) s.cancelled = true;
        } else if (!b->led) {
            b->led = true;
            step(m, b);
            b->led = false;
        } else {
            pthread_cond_wait(&b->news, &b->lock);
        }
    }
    leave(b, &s);
    call->n = s.n;
    if (!st) st = s.status ? s.status : s.told && !(s.ended && handed == s.n) ? M8_E_CANCELLED : M8_OK;
    m8__kept_keep(b, &s, call->ids);
    pthread_cond_broadcast(&b->news);
    pthread_mutex_unlock(&b->lock);
    m8_cancel_unwatch(&s.watch);
    return st ? m8_fail(err, st, "generating: %s", m8_status_text(st)) : M8_OK;
}
