/* json.h - the parts of a tokenizer.json, which json.c and spm_json.c share. */
#ifndef M8_TOK_JSON_H
#define M8_TOK_JSON_H

#include "text/spm.h"

/* Bytes of the values; len 0: absent. */
struct m8__json_parts {
    m8__view added, normalizer, pre_tokenizer;
    m8__view type, vocab, merges, unk_id, unk_token, ignore_merges, byte_fallback; /* of "model" */
};

bool m8__json_is(m8__view v, const char *s);
m8__scan m8__json_over(m8__view v, m8_arena *arena);
/* The tree of a small part, new (json_decref); NULL where it is absent or null. */
m8_status m8__json_tree(json_t **out, m8__view v, m8_error *err);
const char *m8__json_text(const json_t *o, const char *key); /* "" where there is none */
m8_status m8__json_damaged(const m8__scan *s, m8_error *err);

/* fn is called for each token: of "vocab" {"text": id, ...}, of "added_tokens". Texts last as long as arena (NULL: escapes as written). */
typedef m8_status (*m8__json_entry)(m8__tokenizer *t, m8__view text, long id, int type, m8_error *err);
m8_status m8__json_entries(m8__tokenizer *t, m8__view vocab, m8_arena *arena, m8__json_entry fn, m8_error *err);
m8_status m8__json_added(m8__tokenizer *t, m8__view added, m8_arena *arena, m8__json_entry fn, m8_error *err);
m8_status m8__json_note_size(m8__tokenizer *t, m8__view text, long id, int type, m8_error *err); /* makes t->v.n large enough */
m8_status m8__json_place(m8__tokenizer *t, m8__view text, long id, int type, m8_error *err);     /* sets the piece */
m8_status m8__json_merges(m8__tokenizer *t, struct m8__merges *to, m8__view merges, m8_error *err);

m8_status m8__spm_json(m8__tokenizer *t, const struct m8__json_parts *p, m8_error *err); /* spm_json.c */

#endif
