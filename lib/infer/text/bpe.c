/* GPT-2's byte-level BPE. Each byte of a word has a printable character of its own (space -> U+0120), so that pieces and merges are
 * plain text in the file; a word starts as its bytes, and the pair with the lowest rank is merged until none is left.
 *
 * The pairs of a word wait in a heap as rank << 32 | position; one that no longer stands there when its turn comes is dropped. So a
 * word of n bytes takes n log n, equal ranks go from left to right, and nothing recurses.
 *
 * Without merges (Whisper's vocabulary.txt) the rank of a pair is the id of the piece it makes, as in tiktoken, which the original uses.
 * That is not only less to read: a tokenizer.json of Whisper base is about that has lost its first merge, and splits " the".
 *
 * source: Radford et al. 2019, GPT-2's encoder.py; Sennrich et al. 2016, arXiv 1508.07909. */
#include "text/tok.h"
#include <string.h>

#define NONE UINT32_MAX
#define MOST_PROBES 512

struct merge {
    uint32_t left, right, out;
};

struct m8__bpe {
    m8__pretok *pre;
    struct merge *merge; /* [n_merges] by rank */
    uint32_t *slot;      /* [mask + 1] rank + 1 under the hash of (left, right) */
    uint32_t n_merges, room, mask;
    bool whole_words;
    int byte_id[256];    /* the piece of a byte; -1: none */
};

/* The character of a byte and back: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on in order. */
static bool plain(int b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; }

static int byte_of(uint32_t cp)
{
    static const uint8_t from[4] = { 0, 0x7F, 0xAD, 0 };
    if (cp < 0x100) return plain((int)cp) ? (int)cp : -1;
    if (cp < 0x121) return (int)(from[0] + cp - 0x100);    /* 0x00..0x20 */
    if (cp < 0x143) return (int)(from[1] + cp - 0x121);    /* 0x7F..0xA0 */
    return cp == 0x143 ? from[2] : -1;                     /* 0xAD */
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
    m8_free(b->merge);
    m8_free(b->slot);
    m8_free(b);
}

void m8__bpe_whole_words(m8__tokenizer *t) { t->bpe->whole_words = true; }

m8_status m8__bpe_room(m8__tokenizer *t, size_t n, m8_error *err)
{
    struct m8__bpe *b = t->bpe;
    if (n > TOK_MAX_PIECES) return m8_fail(err, M8_E_FORMAT, "expected at most %d merges, file has %zu", TOK_MAX_PIECES, n);
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    m8_free(b->merge);
    m8_free(b->slot);
    b->n_merges = 0;
    b->room = (uint32_t)n;
    b->mask = (uint32_t)size - 1;
    b->merge = m8_malloc(n * sizeof *b->merge);
    b->slot = m8_calloc(size, sizeof *b->slot);
    if (b->merge && b->slot) return M8_OK;
    m8_free(b->merge); /* never a half of the two */
    m8_free(b->slot);
    b->merge = NULL;
    b->slot = NULL;
    return m8_fail(err, M8_E_NOMEM, "no memory for %zu merges", n);
}

/* The slot of a pair, or the empty one where it belongs; NULL: too many probes. */
static uint32_t *probe(const struct m8__bpe *b, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    uint32_t at = (uint32_t)(h >> 32) & b->mask;
    for (int i = 0; i < MOST_PROBES; i++, at = (at + 1) & b->mask) {
        uint32_t rank = b->slot[at];
        if (!rank) return &b->slot[at];
        const struct merge *m = &b->merge[rank - 1];
        if (m->left == left && m->right == right) return &b->slot[at];
    }
    return NULL;
}

static m8_status bad_merge(const struct m8__bpe *b, m8__view left, m8__view right, const char *what, m8_error *err)
{
    return m8_fail(err, M8_E_FORMAT, "merge %u \"%.*s %.*s\": %s", b->n_merges, (int)(left.len < 40 ? left.len : 40), left.data,
                   (int)(right.len < 40 ? right.len : 40), right.data, what);
}

/* The piece that two make together. Merges usually stand in the order of the pieces they make, so the one behind the last is tried first. */
static int joined(const m8__tokenizer *t, m8__view left, m8__view right)
{
    const struct m8__bpe *b = t->bpe;
    const struct m8__vocab *v = &t->v;
    if (b->n_merges) {
        uint32_t guess = b->merge[b->n_merges - 1].out + 1;
        const m8__view *w = guess < (uint32_t)v->n ? &v->text[guess] : NULL;
        if (w && w->len == left.len + right.len && !memcmp(w->data, left.data, left.len) &&
            !memcmp(w->data + left.len, right.data, right.len))
            return (int)guess;
    }
    char both[TOK_MAX_PIECE];
    if (left.len + right.len > (size_t)v->max_len) return -1;
    memcpy(both, left.data, left.len);
    memcpy(both + left.len, right.data, right.len);
    return m8__vocab_find(v, both, left.len + right.len);
}

m8_status m8__bpe_merge(m8__tokenizer *t, m8__view left, m8__view right, m8_error *err)
{
    struct m8__bpe *b = t->bpe;
    if (b->n_merges == b->room) return m8_fail(err, M8_E_FORMAT, "more merges than the file announced");
    int l = m8__vocab_find(&t->v, left.data, left.len), r = m8__vocab_find(&t->v, right.data, right.len);
    if (l < 0 || r < 0) return bad_merge(b, left, right, "a part of it is no token", err);
    int out = joined(t, left, right);
    if (out < 0) return bad_merge(b, left, right, "its result is no token", err);
    uint32_t *at = probe(b, (uint32_t)l, (uint32_t)r);
    if (!at) return bad_merge(b, left, right, "the table is degenerate", err);
    b->merge[b->n_merges++] = (struct merge){ (uint32_t)l, (uint32_t)r, (uint32_t)out };
    if (!*at) *at = b->n_merges; /* of two equal ones the first has the lower rank and stays */
    return M8_OK;
}

m8_status m8__bpe_merge_line(m8__tokenizer *t, m8__view line, m8_error *err)
{
    const char *blank = line.len > 2 ? memchr(line.data + 1, ' ', line.len - 2) : NULL;
    m8__view left = { line.data, blank ? (size_t)(blank - line.data) : line.len };
    if (!blank) return bad_merge(t->bpe, left, (m8__view){ "", 0 }, "expected two parts", err);
    return m8__bpe_merge(t, left, (m8__view){ blank + 1, line.len - left.len - 1 }, err);
}

/* ---- encode */

struct symbol {
    uint32_t id, prev, next; /* id NONE: merged into the one before */
    uint32_t at;             /* where it begins in the word's spelling */
};

struct work {
    const m8__tokenizer *t;
    m8__ids *out;
    struct symbol *sym; /* [room] */
    uint64_t *heap;     /* [2 * room] */
    char *spelled;      /* [2 * room] the word in the vocabulary's spelling */
    size_t n_heap, room, n_spelled;
};

/* Bytes of the spelling from the symbol at on, to the end of the one behind it. */
static size_t pair_len(const struct work *w, const struct symbol *a)
{
    uint32_t end = w->sym[a->next].next;
    return (end == NONE ? w->n_spelled : w->sym[end].at) - a->at;
}

/* The rank of the pair that begins with a; NONE: they do not merge. */
static uint32_t rank_of(const struct work *w, const struct symbol *a)
{
    const struct m8__bpe *b = w->t->bpe;
    if (b->merge) {
        const uint32_t *slot = probe(b, a->id, w->sym[a->next].id);
        return slot ? *slot - 1 : NONE; /* an empty slot is 0: NONE too */
    }
    int id = m8__vocab_find(&w->t->v, w->spelled + a->at, pair_len(w, a));
    return id >= 0 && w->t->v.type[id] == PIECE_NORMAL ? (uint32_t)id : NONE;
}

/* Does the pair of this rank still begin with a? If so, *out is the piece it makes. */
static bool still(const struct work *w, const struct symbol *a, uint32_t rank, uint32_t *out)
{
    const struct m8__bpe *b = w->t->bpe;
    if (a->id == NONE || a->next == NONE) return false;
    *out = b->merge ? b->merge[rank].out : rank;
    if (b->merge) return a->id == b->merge[rank].left && w->sym[a->next].id == b->merge[rank].right;
    return pair_len(w, a) == w->t->v.text[rank].len; /* the text at a is what it was */
}

static void push(struct work *w, uint32_t at)
{
    if (at == NONE || w->sym[at].next == NONE) return;
    uint32_t rank = rank_of(w, &w->sym[at]);
    if (rank == NONE) return;
    uint64_t x = (uint64_t)rank << 32 | at;
    size_t i = w->n_heap++;
    for (; i && w->heap[(i - 1) / 2] > x; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static uint64_t pop(struct work *w)
{
    uint64_t top = w->heap[0], x = w->heap[--w->n_heap];
    size_t n = w->n_heap, i = 0;
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && w->heap[c + 1] < w->heap[c]) c++;
        if (w->heap[c] >= x) break;
        w->heap[i] = w->heap[c];
    }
    w->heap[i] = x;
    return top;
}

static void drop(struct work *w)
{
    m8_free(w->sym);
    m8_free(w->heap);
    m8_free(w->spelled);
}

static m8_status grow(struct work *w, size_t n)
{
    size_t room = n < 64 ? 64 : n;
    drop(w);
    w->sym = m8_malloc(room * sizeof *w->sym);
    w->heap = m8_malloc(2 * room * sizeof *w->heap); /* n - 1 at first, and each merge takes one and brings two */
    w->spelled = m8_malloc(2 * room);
    w->room = w->sym && w->heap && w->spelled ? room : 0;
    return w->room ? M8_OK : M8_E_NOMEM;
}

static void merge_all(struct work *w)
{
    while (w->n_heap) {
        uint64_t x = pop(w);
        uint32_t at = (uint32_t)x, out;
        struct symbol *a = &w->sym[at];
        if (!still(w, a, (uint32_t)(x >> 32), &out)) continue;
        struct symbol *c = &w->sym[a->next];
        a->id = out;
        a->next = c->next;
        c->id = NONE;
        if (a->next != NONE) w->sym[a->next].prev = at;
        push(w, a->prev);
        push(w, at);
    }
}

static m8_status word(void *user, const char *s, size_t n)
{
    struct work *w = user;
    const struct m8__bpe *b = w->t->bpe;
    if (n > w->room && grow(w, n)) return M8_E_NOMEM;
    uint32_t k = 0;
    w->n_spelled = 0;
    for (size_t i = 0; i < n; i++) {
        int id = b->byte_id[(uint8_t)s[i]];
        if (id < 0) continue; /* a byte the vocabulary has no piece for is left out, as the original does */
        w->sym[k] = (struct symbol){ (uint32_t)id, k - 1 /* NONE at 0 */, k + 1, (uint32_t)w->n_spelled };
        w->n_spelled += char_of((uint8_t)s[i], w->spelled + w->n_spelled);
        k++;
    }
    if (!k) return M8_OK;
    w->sym[k - 1].next = NONE;
    w->n_heap = 0;
    for (uint32_t i = 0; i < k; i++) push(w, i);
    merge_all(w);
    for (uint32_t i = 0; i != NONE; i = w->sym[i].next) m8__ids_add(w->out, (int)w->sym[i].id);
    return w->out->status;
}

/* ignore_merges: the word as it stands in the vocabulary's spelling. */
static m8_status whole_word(void *user, const char *s, size_t n)
{
    struct work *w = user;
    char spelled[TOK_MAX_PIECE];
    size_t len = 0, i = 0;
    for (; i < n && len + 2 <= (size_t)w->t->v.max_len; i++) len += char_of((uint8_t)s[i], spelled + len);
    int id = i == n ? m8__vocab_find(&w->t->v, spelled, len) : -1;
    if (id < 0 || w->t->v.type[id] != PIECE_NORMAL) return word(user, s, n);
    m8__ids_add(w->out, id);
    return w->out->status;
}

m8_status m8__bpe_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    struct work w = { .t = t, .out = out };
    m8_status st = m8__pretok_run(t->bpe->pre, s, n, t->bpe->whole_words ? whole_word : word, &w, err);
    drop(&w);
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
