/* SentencePiece's unigram model: of all ways to cut the text into pieces, the one with the highest sum of scores (Viterbi).
 *
 * best[i] is the best way to reach byte i: its sum, where its last piece begins, and that piece. Sums are float32 as in the original,
 * whose ties they decide. A character without a piece of its own can always be passed as unknown, ten below the worst score.
 *
 * source: Kudo 2018, arXiv 1804.10959; sentencepiece, unigram_model.cc, EncodeOptimized. */
#include "text/spm.h"

struct node {
    float sum;
    uint32_t from; /* NO_RANK: not reached */
    int id;
};

static void offer(struct node *to, float sum, size_t from, int id)
{
    if (to->from == NO_RANK || sum > to->sum) *to = (struct node){ sum, (uint32_t)from, id };
}

static void forward(const m8__tokenizer *t, struct node *best, const char *s, size_t n)
{
    const struct m8__vocab *v = &t->v;
    for (size_t i = 0; i <= n; i++) best[i] = (struct node){ .from = NO_RANK };
    best[0].from = 0;
    uint32_t cp;
    for (size_t i = 0, first; i < n; i += first) {
        first = (size_t)m8__utf8_next(s + i, n - i, &cp);
        if (!first) first = 1;
        bool single = false;
        for (size_t j = i; j < n && j - i < (size_t)v->max_len;) {
            int len = m8__utf8_next(s + j, n - j, &cp);
            j += len ? (size_t)len : 1;
            int id = m8__vocab_find(v, s + i, j - i);
            if (id < 0 || (v->type[id] != PIECE_NORMAL && v->type[id] != PIECE_USER)) continue;
            float score = v->score[id];
            if (v->type[id] == PIECE_USER) score = (float)((double)(j - i) * t->spm->max_score - 0.1); /* always taken */
            offer(&best[j], score + best[i].sum, i, id);
            single |= j == i + first;
        }
        if (!single) offer(&best[i + first], t->spm->unk_score + best[i].sum, i, t->unk);
    }
}

m8_status m8__unigram_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    struct node *best = m8_malloc((n + 1) * sizeof *best);
    if (!best) return m8_fail(err, M8_E_NOMEM, "no memory to encode %zu bytes", n);
    forward(t, best, s, n);
    /* turn the way around: best[i].from comes to point at the end of the piece that begins at i */
    int id = -1;
    for (size_t at = n, end = n; at > 0;) {
        size_t from = best[at].from;
        int here = best[at].id;
        best[at].id = id;
        best[at].from = (uint32_t)end;
        id = here;
        end = at;
        at = from;
        if (!at) best[0] = (struct node){ .from = (uint32_t)end, .id = id };
    }
    bool unknown = false; /* unknown pieces in a row are one */
    for (size_t at = 0; at < n; at = best[at].from) {
        bool now = best[at].id == t->unk;
        if (now && t->spm->byte_fallback)
            m8__spm_fallback(t, out, s + at, best[at].from - at);
        else if (!now || !unknown)
            m8__ids_add(out, best[at].id);
        unknown = now;
    }
    m8_free(best);
    return M8_OK;
}
