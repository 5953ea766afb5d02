/* spm.h - what SentencePiece's two algorithms share: the normaliser and the pieces. */
#ifndef M8_SPM_H
#define M8_SPM_H

#include "text/merge.h"

struct m8__spm {
    bool unigram;       /* else BPE */
    bool byte_fallback; /* what has no piece becomes <0x..> pieces, else the unknown one */
    bool dummy_prefix;  /* one blank in front */
    bool strip;         /* blanks at both ends vanish, runs of them become one */
    m8__view charsmap;  /* the precompiled normalisation: u32 size, a double array of that size, NUL-terminated replacements */
    struct m8__merges merges; /* of BPE; by scores where the file lists none */
    int byte_id[256];
    float unk_score, max_score; /* of unigram */
};

m8_status m8__spm_new(m8__tokenizer *t, m8_error *err);   /* t->spm, empty: the reader fills it */
m8_status m8__spm_check(m8__tokenizer *t, m8_error *err); /* once pieces and settings are there */
void m8__spm_free(struct m8__spm *s);
m8_status m8__spm_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err);
void m8__spm_decode(const m8__tokenizer *t, int id, int *state, m8_buf *out);
void m8__spm_fallback(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n); /* the ids of what has no piece */

/* charsmap.c: what happens to a text before it is cut; appends to out */
void m8__spm_normalise(const m8__tokenizer *t, m8_buf *out, const char *s, size_t n);
m8_status m8__charsmap_check(m8__view map, m8_error *err);

m8_status m8__unigram_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err); /* s is normalised */
m8_status m8__spm_read(m8__tokenizer *t, const uint8_t *data, size_t n, m8_error *err);    /* a SentencePiece .model file */
bool m8__spm_is_model(const uint8_t *data, size_t n);

#endif
