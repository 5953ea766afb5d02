/* merge.h - the merging of symbols that GPT-2's and SentencePiece's BPE share. */
#ifndef M8_MERGE_H
#define M8_MERGE_H

#include "text/tok.h"

#define NO_RANK UINT32_MAX

struct m8__pair {
    uint32_t left, right, out;
};

struct m8__merge_text {
    m8__view left, right;
    uint32_t left_hash, right_hash;
};

struct m8__merges {
    enum { RANK_PAIRS, RANK_IDS, RANK_SCORES } by;
    struct m8__pair *merge; /* [n] by rank */
    uint32_t *slot;         /* [mask + 1] rank + 1 under the hash of (left, right) */
    uint32_t n, room, mask;
    struct m8__merge_text waiting[32]; /* added, not yet in the table */
    uint32_t n_waiting;
};

m8_status m8__merges_room(struct m8__merges *m, size_t n, m8_error *err); /* room for n pairs; then by is RANK_PAIRS */
/* Texts must last until the flush. */
m8_status m8__merges_add(struct m8__merges *m, const struct m8__vocab *v, m8__view left, m8__view right, m8_error *err);
m8_status m8__merges_line(struct m8__merges *m, const struct m8__vocab *v, m8__view line, m8_error *err); /* "left right" */
m8_status m8__merges_flush(struct m8__merges *m, const struct m8__vocab *v, m8_error *err); /* after the last one */
void m8__merges_finish(struct m8__merges *m);

struct m8__sym {
    uint32_t prev, next; /* NO_RANK: none */
    uint32_t rank;       /* of the pair that begins here; NO_RANK: it does not merge */
    uint32_t id;         /* kept up with RANK_PAIRS only */
    uint32_t at, len;    /* its bytes in text */
    bool whole;          /* never merges */
};

/* One word in the making; {0} but for the borrowed three. Memory is kept from word to word. */
struct m8__word {
    const struct m8__merges *merges;
    const struct m8__vocab *vocab;
    const char *text; /* the word in the vocabulary's spelling */
    struct m8__sym *sym;
    uint64_t *heap;
    size_t n, n_heap, room;
};

m8_status m8__word_room(struct m8__word *w, size_t n); /* empty it, with room for n symbols */
void m8__word_add(struct m8__word *w, size_t at, size_t len, int id, bool whole);
void m8__word_merge(struct m8__word *w); /* then from sym[0] along next */
void m8__word_finish(struct m8__word *w);

#endif
