/* How likely texts are behind a prompt: the prompt goes the way of any call, and is kept; the texts stand on it, many in one pass. */
#include "llama_batch.h"
#include <math.h>
#include <string.h>

#define LOGIT_ROWS 64

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
            unit += m8__cells_units(len);
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
    while (*upto < n_texts && (*upto == from || units + m8__cells_units(n[*upto] - 1) <= b->n_units / 2)) units += m8__cells_units(n[(*upto)++] - 1);
    for (;; units -= m8__cells_units(n[--*upto] - 1)) {
        int unit;
        *need = units ? units : 1;
        do unit = m8__cells_take(b, *need);
        while (unit < 0 && m8__kept_forget_oldest(b));
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
        m8__kept_stand_on(b, &s, call->ids, n_prompt, 3, false);
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
            m8__cells_give(b, unit, need);
            first->from = upto;
        }
        m8__kept_leave(&s);
        pthread_cond_broadcast(&b->news);
        if (unit < 0 && kept && b->seqs) { /* others hold the cells */
            pthread_cond_wait(&b->news, &b->lock);
        } else if (unit < 0) { /* pushed out by others; or it stands on so much that nothing is left */
            again = ++tries < MOST_TRIES && (alone += kept) < MOST_ALONE && !call->unkept;
            if (call->unkept) st = m8_fail(err, M8_E_NOMEM, "scoring");
            else if (!again) st = m8_fail(err, M8_E_LIMIT, "no room in the cache to score %d texts", n_texts);
            while (again && kept && m8__kept_forget_oldest(b)) {}
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
