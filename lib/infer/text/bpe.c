/* GPT-2's byte-level BPE. Each byte of a word has a printable character of its own (space -> U+0120), so that pieces and merges are
 * plain text in the file; a word starts as its bytes and is merged (merge.c).
 *
 * Without a list of merges (Whisper's vocabulary.txt) the rank of a pair is the id of the piece it makes, as in tiktoken, which the
 * original uses. That is not only less to read: a tokenizer.json of Whisper base is about that has lost its first merge, and
 * splits " the".
 *
 * source: Radford et al. 2019, GPT-2's encoder.py; Sennrich et al. 2016, arXiv 1508.07909. */
#include "text/merge.h"
#include <string.h>

struct m8__bpe {
    m8__pretok *pre;
    struct m8__merges merges;
    bool whole_words;
    int byte_id[256]; /* the piece of a byte; -1: none */
};

/* The character of a byte and back: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on in order. */
static bool plain(int b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; }

static int byte_of(uint32_t cp)
{
    if (cp < 0x100) return plain((int)cp) ? (int)cp : -1;
    if (cp <= 0x120) return (int)(cp - 0x100);        /* 0x00..0x20 */
    if (cp <= 0x142) return (int)(cp - 0x121 + 0x7F); /* 0x7F..0xA0 */
    return cp == 0x143 ? 0xAD : -1;
}

static size_t char_of(int b, char *out)
{
    uint32_t cp = plain(b) ? (uint32_t)b : b <= 0x20 ? 0x100 + (uint32_t)b : b == 0xAD ? 0x143 : 0x121 + (uint32_t)b - 0x7F;
    if (cp < 0x80) return out[0] = (char)cp, 1;
    out[0] = (char)(0xC0 | cp >> 6);
    out[1] = (char)(0x80 | (cp & 63));
    return 2;
}

m8_status m8__bpe_new(m8__tokenizer *t, m8__view pre, m8_error *err)
{
    struct m8__bpe *b = m8_calloc(1, sizeof *b);
    if (!b) return m8_fail(err, M8_E_NOMEM, "no memory for the tokenizer");
    t->bpe = b;
    b->merges.by = RANK_IDS;
    for (int i = 0; i < 256; i++) {
        char s[2];
        b->byte_id[i] = m8__vocab_find(&t->v, s, char_of(i, s));
        /* SmolLM2 has none for 6 control bytes and 0xF1, 0xF2; a vocabulary without letters is another matter. */
        if (b->byte_id[i] < 0 && i >= 0x20 && i < 0x7F) return m8_fail(err, M8_E_FORMAT, "no token for the byte 0x%02X", (unsigned)i);
    }
    return m8__pretok_new(&b->pre, pre, err);
}

void m8__bpe_free(struct m8__bpe *b)
{
    if (!b) return;
    m8__pretok_free(b->pre);
    m8__merges_finish(&b->merges);
    m8_free(b);
}

struct m8__merges *m8__bpe_merges(m8__tokenizer *t) { return &t->bpe->merges; }
const char *m8__bpe_pre(const m8__tokenizer *t) { return m8__pretok_name(t->bpe->pre); }
void m8__bpe_whole_words(m8__tokenizer *t) { t->bpe->whole_words = true; }

struct work {
    const m8__tokenizer *t;
    m8__ids *out;
    struct m8__word word;
    m8_buf spelled;
};

/* ignore_merges: a word that stands in the vocabulary is taken as it is. */
static bool whole_word(struct work *w)
{
    int id = m8__vocab_find(&w->t->v, w->spelled.data, w->spelled.len);
    if (id < 0 || w->t->v.type[id] != PIECE_NORMAL) return false;
    m8__ids_add(w->out, id);
    return true;
}

static m8_status word(void *user, const char *s, size_t n)
{
    struct work *w = user;
    const struct m8__bpe *b = w->t->bpe;
    m8_buf_clear(&w->spelled);
    char *d = m8_buf_room(&w->spelled, 2 * n);
    if (!d || m8__word_room(&w->word, n)) return M8_E_NOMEM;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int id = b->byte_id[(uint8_t)s[i]];
        if (id < 0) continue; /* a byte the vocabulary has no piece for is left out, as the original does */
        size_t len = char_of((uint8_t)s[i], d + at);
        m8__word_add(&w->word, at, len, id, false);
        at += len;
    }
    w->spelled.len = at;
    if (b->whole_words && whole_word(w)) return w->out->status;
    w->word.text = d;
    m8__word_merge(&w->word);
    const struct m8__sym *sym = w->word.sym;
    for (uint32_t i = w->word.n ? 0 : NO_RANK; i != NO_RANK; i = sym[i].next) {
        bool merged = b->merges.by == RANK_IDS;
        m8__ids_add(w->out, merged ? m8__vocab_find(&w->t->v, d + sym[i].at, sym[i].len) : (int)sym[i].id);
    }
    return w->out->status;
}

m8_status m8__bpe_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    struct work w = { .t = t, .out = out, .word = { .merges = &t->bpe->merges, .vocab = &t->v } };
    m8_status st = m8__pretok_run(t->bpe->pre, s, n, word, &w, err);
    m8__word_finish(&w.word);
    m8_buf_finish(&w.spelled);
    return st == M8_E_NOMEM ? m8_fail(err, st, "no memory to encode %zu bytes", n) : st;
}

void m8__bpe_decode(const m8__tokenizer *t, int id, m8_buf *out)
{
    m8__view w = t->v.text[id];
    for (size_t i = 0; i < w.len;) {
        uint32_t cp;
        int len = m8__utf8_next(w.data + i, w.len - i, &cp);
        int b = len ? byte_of(cp) : -1;
        if (b >= 0)
            m8_buf_chr(out, (char)b);
        else
            m8_buf_add(out, w.data + i, len ? (size_t)len : 1); /* a token written plainly, as added ones are */
        i += len ? (size_t)len : 1;
    }
}
