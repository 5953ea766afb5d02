/* Merging: a word is a chain of symbols, and the pair with the lowest rank becomes one symbol until no pair has a rank.
 *
 * Pairs wait in a heap as rank << 32 | position; each symbol knows the rank of the pair that now begins with it, and what comes out of
 * the heap with another rank is stale and dropped. So n symbols take n log n, equal ranks go from left to right, and nothing recurses.
 *
 * Three kinds of rank:
 *   pairs   a list of merges, (left, right) -> its place in the list: GPT-2's merges.txt, GGUF, tokenizer.json
 *   ids     the id of the piece that both make together: tiktoken, Whisper's vocabulary.txt
 *   scores  the score of that piece, highest first: SentencePiece */
#include "text/merge.h"
#include <string.h>

#define MOST_PROBES 512

void m8__merges_finish(struct m8__merges *m)
{
    m8_free(m->merge);
    m8_free(m->slot);
    *m = (struct m8__merges){ 0 };
}

m8_status m8__merges_room(struct m8__merges *m, size_t n, m8_error *err)
{
    if (n > TOK_MAX_PIECES) return m8_fail(err, M8_E_FORMAT, "expected at most %d merges, file has %zu", TOK_MAX_PIECES, n);
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    m8__merges_finish(m);
    m->merge = m8_malloc(n * sizeof *m->merge);
    m->slot = m8_calloc(size, sizeof *m->slot);
    m->room = (uint32_t)n;
    m->mask = (uint32_t)size - 1;
    m->by = RANK_PAIRS;
    if (m->merge && m->slot) return M8_OK;
    m8__merges_finish(m);
    return m8_fail(err, M8_E_NOMEM, "no memory for %zu merges", n);
}

static uint32_t home(const struct m8__merges *m, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32) & m->mask;
}

/* The slot of a pair, or the empty one where it belongs; NULL: too many probes. */
static uint32_t *probe(const struct m8__merges *m, uint32_t left, uint32_t right)
{
    uint32_t at = home(m, left, right);
    for (int i = 0; i < MOST_PROBES; i++, at = (at + 1) & m->mask) {
        uint32_t rank = m->slot[at];
        if (!rank) return &m->slot[at];
        const struct m8__pair *p = &m->merge[rank - 1];
        if (p->left == left && p->right == right) return &m->slot[at];
    }
    return NULL;
}

/* A merge as the file has it: its number, for the error text, and its parts. */
static m8_status bad(uint32_t number, const struct m8__merge_text *p, const char *what, m8_error *err)
{
    return m8_fail(err, M8_E_FORMAT, "merge %u \"%.*s %.*s\": %s", number, (int)(p->left.len < 40 ? p->left.len : 40), p->left.data,
                   (int)(p->right.len < 40 ? p->right.len : 40), p->right.data, what);
}

/* The piece that two make together. Merges usually stand in the order of the pieces they make: the one behind the last is tried first. */
static int joined(const struct m8__vocab *v, const struct m8__merge_text *p, uint32_t guess)
{
    m8__view left = p->left, right = p->right;
    const m8__view *w = guess < (uint32_t)v->n ? &v->text[guess] : NULL;
    if (w && w->len == left.len + right.len && !memcmp(w->data, left.data, left.len) && !memcmp(w->data + left.len, right.data, right.len))
        return (int)guess;
    char both[TOK_MAX_PIECE];
    if (left.len + right.len > (size_t)v->max_len) return -1;
    memcpy(both, left.data, left.len);
    memcpy(both + left.len, right.data, right.len);
    return m8__vocab_find(v, both, left.len + right.len);
}

/* The waiting merges into the table. Opening a vocabulary is nearly all cache misses (slot, view and text of each part, slot of the
 * pair), so they are asked for ahead, a block at a time: 8.0 ms became 5.4 for SmolLM2. */
m8_status m8__merges_flush(struct m8__merges *m, const struct m8__vocab *v, m8_error *err)
{
    for (int stage = 0; stage < 3; stage++) {
        for (uint32_t i = 0; i < m->n_waiting; i++) {
            m8__vocab_prefetch(v, m->waiting[i].left_hash, stage);
            m8__vocab_prefetch(v, m->waiting[i].right_hash, stage);
        }
    }
    uint32_t out = m->n ? m->merge[m->n - 1].out : 0;
    for (uint32_t i = 0; i < m->n_waiting; i++) {
        const struct m8__merge_text *p = &m->waiting[i];
        int l = m8__vocab_find_hashed(v, p->left.data, p->left.len, p->left_hash);
        int r = m8__vocab_find_hashed(v, p->right.data, p->right.len, p->right_hash);
        if (l < 0 || r < 0) return bad(m->n + i, p, "a part of it is no token", err);
        int id = joined(v, p, out + 1);
        if (id < 0) return bad(m->n + i, p, "its result is no token", err);
        out = (uint32_t)id;
        m->merge[m->n + i] = (struct m8__pair){ (uint32_t)l, (uint32_t)r, out };
        __builtin_prefetch(&m->slot[home(m, (uint32_t)l, (uint32_t)r)], 1);
    }
    for (uint32_t i = 0; i < m->n_waiting; i++) {
        const struct m8__pair *p = &m->merge[m->n];
        uint32_t *at = probe(m, p->left, p->right);
        if (!at) return bad(m->n, &m->waiting[i], "the table is degenerate", err);
        m->n++;
        if (!*at) *at = m->n; /* of two equal ones the first has the lower rank and stays */
    }
    m->n_waiting = 0;
    return M8_OK;
}

m8_status m8__merges_add(struct m8__merges *m, const struct m8__vocab *v, m8__view left, m8__view right, m8_error *err)
{
    if (m->n + m->n_waiting == m->room) return m8_fail(err, M8_E_FORMAT, "more merges than the file announced");
    m->waiting[m->n_waiting++] = (struct m8__merge_text){
        left, right, m8__vocab_hash(left.data, left.len), m8__vocab_hash(right.data, right.len)
    };
    return m->n_waiting < sizeof m->waiting / sizeof *m->waiting ? M8_OK : m8__merges_flush(m, v, err);
}

m8_status m8__merges_line(struct m8__merges *m, const struct m8__vocab *v, m8__view line, m8_error *err)
{
    const char *blank = line.len > 2 ? memchr(line.data + 1, ' ', line.len - 2) : NULL;
    m8__view left = { line.data, blank ? (size_t)(blank - line.data) : line.len };
    if (!blank) return bad(m->n + m->n_waiting, &(struct m8__merge_text){ .left = left, .right = { "", 0 } }, "expected two parts", err);
    return m8__merges_add(m, v, left, (m8__view){ blank + 1, line.len - left.len - 1 }, err);
}

/* ---- one word */

void m8__word_finish(struct m8__word *w)
{
    m8_free(w->sym);
    m8_free(w->heap);
    w->sym = NULL;
    w->heap = NULL;
    w->room = w->n = 0;
}

m8_status m8__word_room(struct m8__word *w, size_t n)
{
    w->n = w->n_heap = 0;
    if (n <= w->room) return M8_OK;
    m8__word_finish(w);
    size_t room = n < 64 ? 64 : n;
    w->sym = m8_malloc(room * sizeof *w->sym);
    w->heap = m8_malloc(2 * room * sizeof *w->heap); /* n - 1 at first, and each merge takes one and brings two */
    if (!w->sym || !w->heap) {
        m8__word_finish(w);
        return M8_E_NOMEM;
    }
    w->room = room;
    return M8_OK;
}

/* Finite floats as integers in falling order. */
static uint32_t falling(float score)
{
    uint32_t u;
    score += 0.0f; /* -0 and 0 are equal */
    memcpy(&u, &score, 4);
    return u >> 31 ? u : 0x7FFFFFFF - u;
}

static uint32_t rank_of(const struct m8__word *w, const struct m8__sym *a)
{
    const struct m8__merges *m = w->merges;
    const struct m8__sym *c = &w->sym[a->next];
    if (m->by == RANK_PAIRS) {
        const uint32_t *slot = probe(m, a->id, c->id);
        return slot ? *slot - 1 : NO_RANK; /* an empty slot is 0, which gives NO_RANK too */
    }
    if (a->whole || c->whole) return NO_RANK;
    int id = m8__vocab_find(w->vocab, w->text + a->at, a->len + c->len);
    if (id < 0 || (w->vocab->type[id] != PIECE_NORMAL && w->vocab->type[id] != PIECE_USER)) return NO_RANK;
    return m->by == RANK_IDS ? (uint32_t)id : falling(w->vocab->score[id]);
}

static void push(struct m8__word *w, uint32_t at)
{
    if (at == NO_RANK) return;
    struct m8__sym *a = &w->sym[at];
    a->rank = a->next == NO_RANK ? NO_RANK : rank_of(w, a);
    if (a->rank == NO_RANK) return;
    uint64_t x = (uint64_t)a->rank << 32 | at;
    size_t i = w->n_heap++;
    for (; i && w->heap[(i - 1) / 2] > x; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static uint64_t pop(struct m8__word *w)
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

void m8__word_add(struct m8__word *w, size_t at, size_t len, int id, bool whole)
{
    uint32_t k = (uint32_t)w->n++;
    w->sym[k] = (struct m8__sym){ .prev = k - 1 /* NO_RANK at 0 */, .next = k + 1, .rank = NO_RANK, .id = (uint32_t)id,
                                  .at = (uint32_t)at, .len = (uint32_t)len, .whole = whole };
}

void m8__word_merge(struct m8__word *w)
{
    if (!w->n) return;
    w->sym[w->n - 1].next = NO_RANK;
    for (uint32_t i = 0; i < w->n; i++) push(w, i);
    while (w->n_heap) {
        uint64_t x = pop(w);
        uint32_t at = (uint32_t)x, rank = (uint32_t)(x >> 32);
        struct m8__sym *a = &w->sym[at];
        if (a->rank != rank) continue;
        struct m8__sym *c = &w->sym[a->next];
        if (w->merges->by == RANK_PAIRS) a->id = w->merges->merge[rank].out;
        a->len += c->len;
        a->next = c->next;
        c->rank = NO_RANK;
        if (a->next != NO_RANK) w->sym[a->next].prev = at;
        push(w, a->prev);
        push(w, at);
    }
}
