/* The search for the tokens of one window (Radford et al. 2022, section 4.5; openai-whisper's decoding.py).
 *
 *     prompt: [<|startofprev|> earlier text] <|startoftranscript|> [language task] [<|notimestamps|>]
 *     then, step by step: logits -> rules -> greedy, beams or samples, until <|endoftext|>
 *
 * All hypotheses are rows of one batch. The prompt's keys are shared; each hypothesis has a region of cells of its own behind them, which
 * moves with it: of the hypotheses that continue the same one the first keeps its region, the others copy it to regions that fell free. */
#include "whisper.h"
#include <math.h>
#include <string.h>

#define BEST_OF 5
#define FIRST_TIMESTAMP 50 /* the first one is at most 1.0 s */

struct hyp {
    int *tokens; /* [most] */
    int n, region;
    float sum;   /* of log-probabilities */
};

struct search {
    const struct whisper *w;
    const struct whisper_task *task;
    nn_run *r;
    struct whisper_cache *cache;
    struct hyp live[WHISPER_MOST_BEAMS], done[2 * WHISPER_MOST_BEAMS]; /* live ones are the rows of the batch, in order */
    int n_live, n_done, n_prompt, most;
    int first_cell, region_cells;
    int *tokens, turn;   /* of all hypotheses, [most] each: live ones of this step and of the last (beams), done ones */
    float *probs;        /* [n_vocab] scratch */
    nn_rng rng[BEST_OF];
    int rng_of[BEST_OF]; /* of each live sample */
};

int whisper_prompt(const struct whisper *w, const struct whisper_task *task, int *out, int *sot)
{
    int n = 0, keep = w->n_ctx / 2 - 1, from = task->n_prompt > keep ? task->n_prompt - keep : 0;
    if (task->n_prompt > 0) {
        out[n++] = w->sot_prev;
        for (int i = from; i < task->n_prompt; i++) out[n++] = task->prompt[i];
    }
    *sot = n;
    out[n++] = w->sot;
    if (w->multilingual) {
        out[n++] = w->lang0 + task->language;
        out[n++] = task->translate ? w->translate : w->transcribe;
    }
    if (!task->timestamps) out[n++] = w->no_timestamps;
    return n;
}

/* ---- rules: what may come next; logits of what may not become -infinity */

static void forbid(float *logits, int from, int to)
{
    for (int i = from; i < to; i++) logits[i] = -INFINITY;
}

static void timestamp_rules(const struct whisper *w, float *logits, const int *tokens, int n)
{
    int time0 = w->time0, end = w->n_vocab;
    logits[w->no_timestamps] = -INFINITY;
    bool last = n > 0 && tokens[n - 1] >= time0, before = n < 2 || tokens[n - 2] >= time0;
    if (last && before) forbid(logits, time0, end);     /* a pair is full, or the opening one stands: text must follow */
    if (last && !before) forbid(logits, 0, w->eot);     /* text was closed: the next opens, or it is the end */
    int latest = -1;
    for (int i = 0; i < n; i++) {
        if (tokens[i] >= time0) latest = tokens[i];
    }
    /* times do not go back, and a segment is longer than nothing, so that no loop is endless */
    if (latest >= 0) forbid(logits, time0, last && !before ? latest : latest + 1);
    if (!n) {
        forbid(logits, 0, time0);
        forbid(logits, time0 + FIRST_TIMESTAMP + 1, end);
    }
    /* if a timestamp, whichever, is likelier than the best text, it is a timestamp */
    float best = -INFINITY;
    for (int i = 0; i < time0; i++) best = logits[i] > best ? logits[i] : best;
    if (nn_log_sum_exp(logits + time0, end - time0) > best) forbid(logits, 0, time0);
}

static void rules(const struct search *s, float *logits, const int *tokens, int n)
{
    const struct whisper *w = s->w;
    if (!n) {
        if (w->blank >= 0) logits[w->blank] = -INFINITY;
        logits[w->eot] = -INFINITY;
    }
    for (int i = 0; i < w->n_suppress; i++) logits[w->suppress[i]] = -INFINITY;
    if (s->task->timestamps) timestamp_rules(w, logits, tokens, n);
}

/* ---- one step of each way to search: logits [n_live, n_vocab] -> the new live hypotheses and those that are done */

static void add_token(struct hyp *h, int id, float logprob)
{
    h->tokens[h->n++] = id;
    h->sum += logprob;
}

/* Greedy, or one sample for each hypothesis. */
static void step_each(struct search *s, nn_t logits)
{
    const struct whisper *w = s->w;
    float t = s->task->temperature;
    int kept = 0;
    for (int i = 0; i < s->n_live; i++) {
        struct hyp h = s->live[i];
        float *row = logits.d + (ptrdiff_t)i * logits.ld;
        rules(s, row, h.tokens, h.n);
        int id, g = s->rng_of[i];
        if (t > 0) {
            memcpy(s->probs, row, (size_t)w->n_vocab * sizeof *row);
            s->r->k->softmax(s->probs, w->n_vocab, 1 / t);
            id = nn_sample_draw(s->probs, w->n_vocab, &s->rng[g]);
        } else {
            id = nn_argmax(row, w->n_vocab);
        }
        s->r->k->softmax(row, w->n_vocab, 1);
        float logprob = logf(row[id]);
        if (id == w->eot) {
            h.sum += logprob;
            s->done[s->n_done++] = h;
            continue;
        }
        add_token(&h, id, logprob);
        s->rng_of[kept] = g;
        s->live[kept++] = h;
    }
    s->n_live = kept;
}

struct candidate {
    int from, id;
    float sum;
};

/* The n likeliest ids of a row, best first. */
static int top(const float *row, int n_vocab, int n, struct candidate *out)
{
    int have = 0;
    for (int id = 0; id < n_vocab; id++) {
        if (have == n && !(row[id] > out[n - 1].sum)) continue;
        int at = have < n ? have++ : n - 1;
        for (; at > 0 && row[id] > out[at - 1].sum; at--) out[at] = out[at - 1];
        out[at] = (struct candidate){ .id = id, .sum = row[id] };
    }
    return have;
}

static void step_beams(struct search *s, nn_t logits)
{
    const struct whisper *w = s->w;
    int beams = s->task->beam_size, n = 0;
    struct candidate all[WHISPER_MOST_BEAMS * (WHISPER_MOST_BEAMS + 1)], best[WHISPER_MOST_BEAMS + 1];
    for (int i = 0; i < s->n_live; i++) {
        float *row = logits.d + (ptrdiff_t)i * logits.ld;
        rules(s, row, s->live[i].tokens, s->live[i].n);
        s->r->k->softmax(row, w->n_vocab, 1);
        int have = top(row, w->n_vocab, beams + 1, best);
        for (int j = 0; j < have; j++) {
            struct candidate c = { i, best[j].id, s->live[i].sum + logf(best[j].sum) };
            int at = n++;
            for (; at > 0 && c.sum > all[at - 1].sum; at--) all[at] = all[at - 1];
            all[at] = c;
        }
    }
    struct hyp next[WHISPER_MOST_BEAMS];
    int kept = 0;
    s->turn ^= 1;
    for (int i = 0; i < n && kept < beams; i++) {
        const struct hyp *from = &s->live[all[i].from];
        bool ends = all[i].id == w->eot;
        if (ends && s->n_done >= beams) continue;
        struct hyp h = { .n = from->n, .sum = all[i].sum, .region = from->region };
        h.tokens = s->tokens + (ptrdiff_t)(ends ? 2 * beams + s->n_done : s->turn * beams + kept) * s->most;
        memcpy(h.tokens, from->tokens, (size_t)h.n * sizeof *h.tokens);
        if (ends) {
            s->done[s->n_done++] = h;
        } else {
            h.tokens[h.n++] = all[i].id;
            next[kept++] = h;
        }
    }
    memcpy(s->live, next, (size_t)kept * sizeof *next);
    s->n_live = kept;
}

/* Each live hypothesis gets a region that holds the keys of the one it continues (whose region it has so far). */
static void move_regions(struct search *s)
{
    int taken = 0;
    bool moves[WHISPER_MOST_BEAMS];
    for (int i = 0; i < s->n_live; i++) {
        moves[i] = taken >> s->live[i].region & 1;
        taken |= 1 << s->live[i].region;
    }
    for (int i = 0; i < s->n_live; i++) {
        struct hyp *h = &s->live[i];
        if (!moves[i]) continue;
        int to = 0;
        while (taken >> to & 1) to++;
        taken |= 1 << to;
        int first = s->first_cell + to * s->region_cells, from = s->first_cell + h->region * s->region_cells;
        for (int l = 0; l < s->w->n_dec; l++) nn_kv_copy(s->r, &s->cache->self[l], first, from, h->n - 1);
        h->region = to;
    }
}

/* ---- the loop */

static nn_t first_logits(struct search *s, float *no_speech_prob)
{
    const struct whisper *w = s->w;
    nn_run *r = s->r;
    int n, sot, *ids = nn_take(r, (size_t)w->n_ctx * 2 * sizeof *ids);
    if (!ids) return (nn_t){0};
    n = whisper_prompt(w, s->task, ids, &sot);
    int *pos = ids + w->n_ctx;
    for (int i = 0; i < n; i++) pos[i] = i;
    s->n_prompt = n;
    int room = w->n_ctx - n + 1;
    s->most = s->task->most > 0 && s->task->most < w->n_ctx / 2 ? s->task->most : w->n_ctx / 2;
    if (s->most > room) s->most = room;
    int rows = s->task->temperature > 0 ? BEST_OF : s->task->beam_size > 1 ? s->task->beam_size : 1;
    s->first_cell = (n + 15) / 16 * 16;
    s->region_cells = (s->most + 15) / 16 * 16;
    whisper_cache_cells(w, r, s->cache, s->first_cell + rows * s->region_cells);
    s->tokens = nn_take(r, (size_t)3 * rows * s->most * sizeof *s->tokens);
    s->probs = nn_take(r, (size_t)w->n_vocab * sizeof *s->probs);
    nn_seq seq = { .n_rows = n, .span = { { 0, n } }, .n_spans = 1, .first = 1 };
    nn_t x = whisper_decode(w, r, s->cache, &(struct whisper_rows){ n, ids, pos, &seq, &(int){ 0 }, 1 }, NULL);
    nn_t two = nn_new(r, 2, w->d);
    if (r->status) return two;
    memcpy(two.d, x.d + (ptrdiff_t)sot * x.ld, (size_t)w->d * sizeof(float));
    memcpy(two.d + w->d, x.d + (ptrdiff_t)(n - 1) * x.ld, (size_t)w->d * sizeof(float));
    nn_t logits = whisper_logits(w, r, two);
    if (r->status) return logits;
    memcpy(s->probs, logits.d, (size_t)w->n_vocab * sizeof(float));
    r->k->softmax(s->probs, w->n_vocab, 1);
    *no_speech_prob = s->probs[w->no_speech];
    s->n_live = s->task->temperature > 0 ? BEST_OF : 1;
    nn_t first = nn_new(r, s->n_live, w->n_vocab);
    for (int i = 0; i < s->n_live && !r->status; i++) {
        memcpy(first.d + (ptrdiff_t)i * first.ld, logits.d + logits.ld, (size_t)w->n_vocab * sizeof(float));
        s->live[i] = (struct hyp){ .tokens = s->tokens + (ptrdiff_t)i * s->most, .region = i };
        s->rng_of[i] = i;
        nn_rng_seed(&s->rng[i], s->task->seed * BEST_OF + (uint64_t)i);
    }
    return first;
}

static nn_t next_logits(struct search *s)
{
    nn_seq seq[WHISPER_MOST_BEAMS];
    int id[WHISPER_MOST_BEAMS], pos[WHISPER_MOST_BEAMS], cell[WHISPER_MOST_BEAMS];
    for (int i = 0; i < s->n_live; i++) {
        const struct hyp *h = &s->live[i];
        int first = s->first_cell + h->region * s->region_cells;
        id[i] = h->tokens[h->n - 1];
        pos[i] = s->n_prompt + h->n - 1;
        cell[i] = first + h->n - 1;
        seq[i] = (nn_seq){ .row = i, .n_rows = 1, .span = { { 0, s->n_prompt }, { first, h->n } }, .n_spans = 2, .first = -1 };
    }
    nn_t x = whisper_decode(s->w, s->r, s->cache, &(struct whisper_rows){ s->n_live, id, pos, seq, cell, s->n_live }, NULL);
    return whisper_logits(s->w, s->r, x);
}

static float score(const struct hyp *h) { return h->sum / (float)(h->n ? h->n : 1); }

/* The hypothesis to take: the likeliest by the token. Where too few came to their end, the best of the others count too. */
static struct hyp choose(struct search *s, bool *ended)
{
    int want = s->task->temperature > 0 ? s->n_done + s->n_live : s->task->beam_size > 1 ? s->task->beam_size : 1, by_itself = s->n_done;
    while (s->n_done < want && s->n_live) {
        int best = s->n_live - 1;
        for (int i = s->n_live - 1; i >= 0; i--) best = s->live[i].sum > s->live[best].sum ? i : best;
        s->done[s->n_done++] = s->live[best];
        s->live[best] = s->live[--s->n_live];
    }
    int best = 0;
    for (int i = 1; i < s->n_done; i++) best = score(&s->done[i]) > score(&s->done[best]) ? i : best;
    *ended = best < by_itself;
    return s->done[best];
}

m8_status whisper_search(const m8_model *m, nn_run *r, struct whisper_cache *c, const struct whisper_task *task, struct whisper_found *out)
{
    struct whisper *w = m->impl;
    struct search *s = nn_take(r, sizeof *s);
    if (!s) return r->status;
    *s = (struct search){ .w = w, .task = task, .r = r, .cache = c };
    *out = (struct whisper_found){ .temperature = task->temperature };
    bool beams = task->temperature <= 0 && task->beam_size > 1;
    m8_arena_mark mark = m8_arena_here(r->arena);
    nn_t logits = first_logits(s, &out->no_speech_prob);
    for (int step = 0; !r->status; step++) {
        if (beams) step_beams(s, logits);
        else step_each(s, logits);
        if (step) m8_arena_back(r->arena, mark);
        else mark = m8_arena_here(r->arena); /* what the first step took is needed to the end */
        if (!s->n_live || step + 1 == s->most || (beams && s->n_done >= task->beam_size)) break;
        if (beams) move_regions(s);
        logits = next_logits(s);
    }
    if (r->status) return r->status;
    struct hyp h = choose(s, &out->ended);
    out->tokens = h.tokens;
    out->n = h.n;
    out->avg_logprob = h.sum / (float)(h.n + 1);
    char *text = whisper_text(m, r, h.tokens, h.n);
    if (!text) return r->status;
    text += strspn(text, " \t\n\r\v\f");
    size_t len = strlen(text);
    while (len && strchr(" \t\n\r\v\f", text[len - 1])) text[--len] = 0;
    out->text = text;
    out->compression_ratio = whisper_compression(text);
    return out->compression_ratio < 0 ? M8_E_NOMEM : M8_OK;
}

m8_status whisper_languages(const struct whisper *w, nn_run *r, struct whisper_cache *c, float *probs)
{
    m8_arena_mark mark = m8_arena_here(r->arena);
    whisper_cache_cells(w, r, c, 16);
    nn_seq seq = { .n_rows = 1, .span = { { 0, 1 } }, .n_spans = 1, .first = -1 };
    const int zero = 0;
    nn_t x = whisper_decode(w, r, c, &(struct whisper_rows){ 1, &w->sot, &zero, &seq, &zero, 1 }, NULL);
    nn_t logits = whisper_logits(w, r, x);
    if (r->status) return r->status;
    memcpy(probs, logits.d + w->lang0, (size_t)w->n_languages * sizeof *probs);
    r->k->softmax(probs, w->n_languages, 1);
    m8_arena_back(r->arena, mark);
    return M8_OK;
}
