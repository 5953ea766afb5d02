/* SentencePiece, BPE and what unigram shares with it. There are no words: blanks are characters (U+2581) like others, and a text is cut
 * as a whole. BPE merges characters by the score of what they make; what ends without a piece becomes bytes.
 *
 * source: Kudo & Richardson 2018, arXiv 1808.06226; sentencepiece, bpe_model.cc. */
#include "text/spm.h"
#include <math.h>
#include <string.h>

m8_status m8__spm_new(m8__tokenizer *t, m8_error *err)
{
    t->spm = m8_calloc(1, sizeof *t->spm);
    if (!t->spm) return m8_fail(err, M8_E_NOMEM, "no memory for the tokenizer");
    t->spm->dummy_prefix = true;
    t->spm->merges.by = RANK_SCORES;
    return M8_OK;
}

void m8__spm_free(struct m8__spm *s)
{
    if (!s) return;
    m8__merges_finish(&s->merges);
    m8_free(s);
}

m8_status m8__spm_check(m8__tokenizer *t, m8_error *err)
{
    struct m8__spm *s = t->spm;
    const struct m8__vocab *v = &t->v;
    for (int i = 0; i < 256; i++) s->byte_id[i] = -1;
    float low = INFINITY, high = -INFINITY;
    for (int id = 0; id < v->n; id++) {
        if (!isfinite(v->score[id])) return m8_fail(err, M8_E_FORMAT, "token %d has a score that is no number", id);
        if (v->type[id] == PIECE_BYTE) s->byte_id[m8__piece_byte(v->text[id])] = id;
        if (v->type[id] == PIECE_UNKNOWN && t->unk < 0) t->unk = id;
        if (v->type[id] == PIECE_NORMAL) {
            low = fminf(low, v->score[id]);
            high = fmaxf(high, v->score[id]);
        }
    }
    if (!isfinite(low)) return m8_fail(err, M8_E_FORMAT, "no normal token");
    s->unk_score = low - 10;
    s->max_score = high;
    for (int i = 0; i < 256 && s->byte_fallback; i++) {
        if (s->byte_id[i] < 0) return m8_fail(err, M8_E_FORMAT, "no token <0x%02X>", (unsigned)i);
    }
    if (t->unk < 0 && !s->byte_fallback) return m8_fail(err, M8_E_FORMAT, "no unknown token");
    if (t->unk < 0 && s->unigram) return m8_fail(err, M8_E_FORMAT, "no unknown token");
    return m8__charsmap_check(s->charsmap, err);
}

void m8__spm_fallback(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n)
{
    if (!t->spm->byte_fallback) {
        m8__ids_add(out, t->unk);
        return;
    }
    for (size_t i = 0; i < n; i++) m8__ids_add(out, t->spm->byte_id[(uint8_t)s[i]]);
}

static size_t characters(const char *s, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += ((uint8_t)s[i] & 0xC0) != 0x80;
    return k;
}

static m8_status bpe(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    struct m8__word w = { .merges = &t->spm->merges, .vocab = &t->v, .text = s };
    if (m8__word_room(&w, characters(s, n) + 1)) return m8_fail(err, M8_E_NOMEM, "no memory to encode %zu bytes", n);
    for (size_t i = 0; i < n;) {
        int id = -1;
        uint32_t cp;
        size_t user = t->has_user ? m8__vocab_user(t, s + i, n - i, &id) : 0, len = user;
        if (!len) len = (size_t)m8__utf8_next(s + i, n - i, &cp);
        if (!user) id = m8__vocab_find(&t->v, s + i, len);
        m8__word_add(&w, i, len, id, user > 0);
        i += len;
    }
    m8__word_merge(&w);
    for (uint32_t i = w.n ? 0 : NO_RANK; i != NO_RANK; i = w.sym[i].next) {
        const struct m8__sym *a = &w.sym[i];
        int id = w.merges->by == RANK_PAIRS ? (int)a->id : m8__vocab_find(&t->v, s + a->at, a->len);
        if (id >= 0 && (t->v.type[id] == PIECE_NORMAL || t->v.type[id] == PIECE_USER))
            m8__ids_add(out, id);
        else
            m8__spm_fallback(t, out, s + a->at, a->len);
    }
    m8__word_finish(&w);
    return M8_OK;
}

m8_status m8__spm_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    m8_buf text = { .limit = 4 * TOK_MAX_TEXT };
    m8__spm_normalise(t, &text, s, n);
    /* replacements come from the file, so they may be no UTF-8 */
    if (!text.status && m8__utf8_valid(text.data, text.len) < text.len)
        m8_fail(err, text.status = M8_E_FORMAT, "the normaliser gave no UTF-8");
    m8_status st = text.status ? m8_fail(err, text.status, "%zu bytes could not be normalised", n) : M8_OK;
    if (!st && text.len) st = t->spm->unigram ? m8__unigram_encode(t, out, text.data, text.len, err) : bpe(t, out, text.data, text.len, err);
    m8_buf_finish(&text);
    return st;
}

void m8__spm_decode(const m8__tokenizer *t, int id, int *state, m8_buf *out)
{
    m8__view w = t->v.text[id];
    if (t->v.type[id] == PIECE_UNKNOWN) return;
    bool first = t->spm->dummy_prefix && !*state;
    *state = 1;
    if (t->v.type[id] == PIECE_BYTE) {
        m8_buf_chr(out, (char)m8__piece_byte(w));
        return;
    }
    for (size_t i = 0; i < w.len;) {
        bool blank = w.len - i >= 3 && !memcmp(w.data + i, "\xE2\x96\x81", 3);
        if (!blank)
            m8_buf_chr(out, w.data[i]);
        else if (!first || i)
            m8_buf_chr(out, ' ');
        i += blank ? 3 : 1;
    }
}
