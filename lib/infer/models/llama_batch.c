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
#include "llama.h"
#include <math.h>
#include <string.h>

#define UNIT PANEL
#define MAX_KEPT 16
#define MAX_ROWS 512 /* of one pass */
#define FEW_ROWS 128 /* of one while calls wait for their next token; and no pass as small as that is broken off */
#define LOGIT_ROWS 64

struct kept {
    int *ids;
    int n;
    nn_span span[3]; /* all of it, own cells last */
    int n_spans;
    int unit, n_units; /* own cells */
    struct kept *parent;
    int refs; /* calls and children that stand on it */
    uint64_t used;
};

struct seq {
    struct seq *next;
    struct llama_call *call;
    struct llama_batch *b;
    m8_watch watch;
    bool in_pass; /* its rows are being computed */
    int n, done; /* ids so far; of them, in the cache */
    struct kept *parent;
    nn_span span[4];
    int n_spans;
    int unit, n_units;
    bool ended, cancelled, told; /* cancelled: by its sink or its token; told: by the token */
    m8_status status;
    double joined;
};

struct llama_batch {
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct seq *seqs;
    bool led;
    struct kept *kept[MAX_KEPT];
    int n_kept, n_units;
    unsigned char *taken; /* [n_units] */
    uint64_t clock;
    atomic_bool interrupt; /* of the pass that runs */
};

m8_status m8__batch_open(m8_model *model, m8_error *err)
{
    struct llama *m = model->impl;
    struct llama_batch *b = m->batch = m8_calloc(1, sizeof *b);
    if (!b) return m8_fail(err, M8_E_NOMEM, "opening the model");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->news, NULL);
    b->n_units = m->layers[0].kv.cap / UNIT;
    b->taken = m8_calloc((size_t)b->n_units, 1);
    return b->taken ? M8_OK : m8_fail(err, M8_E_NOMEM, "opening the model");
}

/* ---- cells */

static int take_units(struct llama_batch *b, int n)
{
    for (int at = 0, run = 0; at < b->n_units; at++) {
        run = b->taken[at] ? 0 : run + 1;
        if (run == n) {
            memset(b->taken + at - n + 1, 1, (size_t)n);
            return at - n + 1;
        }
    }
    return -1;
}

static int units_for(int cells) { return (cells + UNIT - 1) / UNIT; }
static void give_units(struct llama_batch *b, int unit, int n) { memset(b->taken + unit, 0, (size_t)n); }

static void forget(struct llama_batch *b, int i)
{
    struct kept *k = b->kept[i];
    give_units(b, k->unit, k->n_units);
    if (k->parent) k->parent->refs--;
    b->kept[i] = b->kept[--b->n_kept];
    m8_free(k->ids);
    m8_free(k);
}

/* Drop the kept context that was used longest ago and that nobody stands on. */
static bool forget_oldest(struct llama_batch *b)
{
    int oldest = -1;
    for (int i = 0; i < b->n_kept; i++) {
        if (!b->kept[i]->refs && (oldest < 0 || b->kept[i]->used < b->kept[oldest]->used)) oldest = i;
    }
    if (oldest >= 0) forget(b, oldest);
    return oldest >= 0;
}

static int common(const int *a, int n_a, const int *b, int n_b)
{
    int n = 0;
    while (n < n_a && n < n_b && a[n] == b[n]) n++;
    return n;
}

/* How many of a kept context's spans its first n ids lie in. */
static int spans_for(const struct kept *k, int n)
{
    int spans = 0;
    while (n > 0) n -= k->span[spans++].n;
    return spans;
}

/* Stand on the kept context that shares most of the n ids, in at most `most` spans. */
static void stand_on_kept(struct llama_batch *b, struct seq *s, const int *ids, int n, int most)
{
    int best = 0;
    for (int i = 0; i < b->n_kept; i++) {
        int same = common(b->kept[i]->ids, b->kept[i]->n, ids, n);
        if (same > best && spans_for(b->kept[i], same) <= most) {
            best = same;
            s->parent = b->kept[i];
        }
    }
    if (!s->parent) return;
    s->parent->refs++;
    s->parent->used = ++b->clock;
    for (int left = best; left > 0; s->n_spans++) {
        nn_span span = s->parent->span[s->n_spans];
        if (span.n > left) span.n = left;
        s->span[s->n_spans] = span;
        left -= span.n;
    }
    s->done = best;
}

static void leave_kept(struct seq *s)
{
    if (s->parent) s->parent->refs--;
    s->parent = NULL;
    s->n_spans = 0;
    s->done = 0;
}

/* Cells for the whole call, behind a kept context if there is one. Waits while others hold them. */
static m8_status find_room(struct llama_batch *b, struct seq *s, int n_prompt, int max_new, const int *ids, m8_error *err)
{
    for (bool alone = false;; alone = s->parent != NULL) {
        leave_kept(s);
        if (!alone) stand_on_kept(b, s, ids, n_prompt - 1, 2); /* something is left to compute; with its own it has 3 spans, and can be kept */
        s->n_units = units_for(n_prompt - s->done + max_new);
        do s->unit = take_units(b, s->n_units);
        while (s->unit < 0 && forget_oldest(b));
        if (s->unit >= 0) break;
        if (s->parent) continue; /* what it stands on may be what is in the way */
        if (s->cancelled) return M8_E_CANCELLED;
        if (!b->seqs && !b->led) return m8_fail(err, M8_E_LIMIT, "%d tokens: more than the cache of %d holds", n_prompt + max_new, b->n_units * UNIT);
        pthread_cond_wait(&b->news, &b->lock);
    }
    s->span[s->n_spans++] = (nn_span){ s->unit * UNIT, 0 };
    return M8_OK;
}

/* Keep what a call computed, or give its cells back. */
static void keep(struct llama_batch *b, struct seq *s, const int *ids)
{
    int own = s->span[s->n_spans - 1].n;
    struct kept *k = own > 0 && !s->status ? m8_calloc(1, sizeof *k) : NULL;
    if (k) k->ids = m8_malloc((size_t)s->done * sizeof *k->ids);
    s->call->unkept = own > 0 && !s->status && (!k || !k->ids);
    if (!k || !k->ids || (b->n_kept == MAX_KEPT && !forget_oldest(b))) {
        if (k) m8_free(k->ids);
        m8_free(k);
        give_units(b, s->unit, s->n_units);
        leave_kept(s);
        return;
    }
    memcpy(k->ids, ids, (size_t)s->done * sizeof *k->ids);
    k->n = s->done;
    k->n_spans = s->n_spans;
    memcpy(k->span, s->span, (size_t)s->n_spans * sizeof k->span[0]);
    k->unit = s->unit;
    k->n_units = units_for(own);
    give_units(b, s->unit + k->n_units, s->n_units - k->n_units);
    k->parent = s->parent; /* with its reference */
    k->used = ++b->clock;
    b->kept[b->n_kept++] = k;
}

void m8__batch_forget(m8_model *model)
{
    struct llama_batch *b = ((struct llama *)model->impl)->batch;
    pthread_mutex_lock(&b->lock);
    while (forget_oldest(b)) {}
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

#define MAX_SEQS 64

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
        if (s->cancelled) s->ended = true;
        if (s->ended) continue;
        if (s->n - s->done > 1) n_new++;
        else if (p->n < MAX_SEQS) add_to_pass(p, s, 1);
    }
    int left = (p->n ? FEW_ROWS : MAX_ROWS) - p->n;
    for (struct seq *s = b->seqs; s && p->n < MAX_SEQS && left > 0; s = s->next) {
        if (s->ended || s->in_pass) continue;
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
        m->run.stop = p.n == 1 || p.n_rows > FEW_ROWS ? &b->interrupt : NULL;
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
    keep(b, &s, call->ids);
    pthread_cond_broadcast(&b->news);
    pthread_mutex_unlock(&b->lock);
    m8_cancel_unwatch(&s.watch);
    return st ? m8_fail(err, st, "generating: %s", m8_status_text(st)) : M8_OK;
}

/* ---- scores */

struct rows_scored {
    struct llama *m;
    nn_t logits;
    const int *target;
    double *logprob;
};

static void score_row(void *user, int i)
{
    const struct rows_scored *p = user;
    float *row = p->logits.d + (ptrdiff_t)i * p->logits.ld;
    p->m->run.k->softmax(row, p->m->n_vocab, 1);
    p->logprob[i] = log(fmax((double)row[p->target[i]], 1e-38)); /* what underflows is as unlikely as can be told */
}

/* The log-probability of each row's target. One digit of the state is enough for a score: it moves by some hundredths. */
static m8_status score_rows(struct llama *m, nn_t h, const int *target, double *logprob)
{
    nn_w out = m->out;
    out.digits = 1;
    for (int from = 0; from < h.n && !m->run.status; from += LOGIT_ROWS) {
        int n = h.n - from < LOGIT_ROWS ? h.n - from : LOGIT_ROWS;
        m8_arena_mark mark = m8_arena_here(m->run.arena);
        struct rows_scored p = { m, nn_linear(&m->run, nn_rows(h, from, n), &out), target + from, logprob + from };
        nn_each(&m->run, n, score_row, &p);
        m8_arena_back(m->run.arena, mark);
    }
    return m->run.status;
}

/* All texts behind the prompt's cells, in passes of at most MAX_ROWS rows: each text's ids but the last are its rows, its ids but the first
 * are what they are to tell. */
static m8_status score_texts(struct llama *m, const struct seq *s, int n_prompt, int *const *texts, const int *n, int n_texts, int unit,
                             float *scores)
{
    int *target = m8_malloc(MAX_ROWS * sizeof *target), done = 0;
    double *logprob = m8_malloc(MAX_ROWS * sizeof *logprob);
    struct llama_rows rows[MAX_SEQS];
    m8_status st = target && logprob ? M8_OK : M8_E_NOMEM;
    while (!st && done < n_texts) {
        int n_rows = 0, n_seqs = 0, from = done;
        for (; done < n_texts && n_seqs < MAX_SEQS && n_rows + n[done] - 1 <= MAX_ROWS; done++) {
            int len = n[done] - 1;
            if (!len) continue;
            struct llama_rows *r = &rows[n_seqs++];
            *r = (struct llama_rows){ .ids = texts[done], .n = len, .pos = n_prompt, .cell = unit * UNIT, .n_spans = s->n_spans };
            memcpy(r->span, s->span, sizeof r->span);
            r->span[r->n_spans++] = (nn_span){ r->cell, len };
            memcpy(target + n_rows, texts[done] + 1, (size_t)len * sizeof *target);
            n_rows += len;
            unit += units_for(len);
        }
        if (!n_seqs) break;
        nn_reset(&m->run);
        nn_t h = m8__llama_forward(m, rows, n_seqs, NULL, NULL);
        st = m->run.status ? m->run.status : score_rows(m, h, target, logprob);
        for (int i = from, row = 0; i < done && !st; i++) {
            double sum = 0;
            for (int j = 1; j < n[i]; j++) sum += logprob[row++];
            scores[i] += (float)sum;
        }
    }
    m8_free(target);
    m8_free(logprob);
    return st;
}

/* What the prompt alone tells of each text: the log-probability of its first token. */
struct first_tokens {
    int *const *texts;
    int from, n_texts, n_vocab; /* those before have their scores */
    float *scores;
};

static int pick_first(void *user, float *logits, const int *ids, int n, int n_prompt)
{
    struct first_tokens *f = user;
    float all = nn_log_sum_exp(logits, f->n_vocab);
    for (int i = f->from; i < f->n_texts; i++) {
        float score = logits[f->texts[i][0]] - all;
        f->scores[i] = score > -87.5f ? fminf(score, 0) : -87.5f; /* NaN, too: as unlikely as can be told */
    }
    return -1;
}

/* Cells for texts from.., as many of them as there is room for but not more than half of the cache; -1: not even for one. */
static int take_for_texts(struct llama_batch *b, const int *n, int from, int n_texts, int *upto, int *need)
{
    int units = 0; /* a text of one token needs none */
    *upto = from;
    while (*upto < n_texts && (*upto == from || units + units_for(n[*upto] - 1) <= b->n_units / 2)) units += units_for(n[(*upto)++] - 1);
    for (;; units -= units_for(n[--*upto] - 1)) {
        int unit;
        *need = units ? units : 1;
        do unit = take_units(b, *need);
        while (unit < 0 && forget_oldest(b));
        if (unit >= 0 || *upto == from + 1) return unit;
    }
}

#define MOST_TRIES 1000 /* others may push the prompt out again and again before its turn comes */
#define MOST_ALONE 3

struct scoring {
    struct llama_batch *b;
    atomic_bool stop;
    m8_watch watch;
};

static void stop_scoring(void *user)
{
    struct scoring *w = user;
    atomic_store(&w->stop, true);
    pthread_mutex_lock(&w->b->lock);
    pthread_cond_broadcast(&w->b->news);
    pthread_mutex_unlock(&w->b->lock);
}

static m8_status score_behind(m8_model *model, struct scoring *w, struct llama_call *call, struct first_tokens *first, const int *n,
                              m8_error *err)
{
    struct llama *m = model->impl;
    struct llama_batch *b = m->batch;
    int n_texts = first->n_texts, n_prompt = call->n_prompt;
    m8_status st = m8__batch_run(model, call, err);
    for (int upto, need, tries = 0, alone = 0; first->from < n_texts && !st;) {
        int from = first->from;
        struct seq s = {0};
        pthread_mutex_lock(&b->lock);
        while (b->led && !atomic_load(&w->stop)) pthread_cond_wait(&b->news, &b->lock);
        if (atomic_load(&w->stop)) {
            pthread_mutex_unlock(&b->lock);
            return m8_fail(err, M8_E_CANCELLED, "scoring: cancelled");
        }
        stand_on_kept(b, &s, call->ids, n_prompt, 3);
        bool kept = s.done == n_prompt, again = false;
        int unit = kept ? take_for_texts(b, n, from, n_texts, &upto, &need) : -1;
        if (unit >= 0) {
            b->led = true;
            pthread_mutex_unlock(&b->lock);
            m->run.stop = &w->stop;
            st = score_texts(m, &s, n_prompt, first->texts + from, n + from, upto - from, unit, first->scores + from);
            m->run.stop = NULL;
            if (st) m8_fail(err, st, "scoring: %s", m8_status_text(st));
            pthread_mutex_lock(&b->lock);
            b->led = false;
            give_units(b, unit, need);
            first->from = upto;
        }
        leave_kept(&s);
        pthread_cond_broadcast(&b->news);
        if (unit < 0 && kept && b->seqs) { /* others hold the cells */
            pthread_cond_wait(&b->news, &b->lock);
        } else if (unit < 0) { /* pushed out by others; or it stands on so much that nothing is left */
            again = ++tries < MOST_TRIES && (alone += kept) < MOST_ALONE && !call->unkept;
            if (call->unkept) st = m8_fail(err, M8_E_NOMEM, "scoring");
            else if (!again) st = m8_fail(err, M8_E_LIMIT, "no room in the cache to score %d texts", n_texts);
            while (again && kept && forget_oldest(b)) {}
        }
        pthread_mutex_unlock(&b->lock);
        if (again) st = m8__batch_run(model, call, err);
    }
    return st;
}

m8_status m8__batch_score(m8_model *model, const int *prompt, int n_prompt, int *const *texts, const int *n, int n_texts, m8_cancel *cancel,
                          float *scores, m8_error *err)
{
    struct llama *m = model->impl;
    for (int i = 0; i < n_texts; i++) {
        if (n[i] < 1 || n[i] > MAX_ROWS) return m8_fail(err, M8_E_LIMIT, "a text of %d tokens to score", n[i]);
    }
    /* the prompt first, as any call; it stays kept, and the texts stand on it */
    struct first_tokens first = { texts, 0, n_texts, m->n_vocab, scores };
    struct llama_call call = { .pick = pick_first, .user = &first, .cancel = cancel, .ids = (int *)prompt, .n_prompt = n_prompt };
    struct scoring w = { .b = m->batch, .watch = { .fn = stop_scoring, .user = &w } };
    m8_cancel_watch(cancel, &w.watch);
    m8_status st = score_behind(model, &w, &call, &first, n, err);
    m8_cancel_unwatch(&w.watch);
    return st;
}
