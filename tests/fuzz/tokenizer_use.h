/* What every tokenizer must keep, whatever file it came from: encode, decode and a conversation end, with ids inside the table. */
#ifndef TOKENIZER_USE_H
#define TOKENIZER_USE_H

#include "text/tok.h"
#include <m8/infer.h>
#include <stdlib.h>
#include <string.h>

static inline void must(bool holds)
{
    if (!holds) abort();
}

static inline void decode_all(const m8__tokenizer *t, const m8__ids *ids, m8_buf *out)
{
    int state = 0;
    for (size_t i = 0; i < ids->n; i++) {
        must(ids->data[i] >= 0 && ids->data[i] < m8__tokenizer_size(t));
        m8__decode(t, ids->data[i], &state, out);
        if (out->data) must(m8__utf8_whole(out->data, out->len) <= out->len);
    }
}

/* A copy of exactly n bytes, so that the sanitizer sees every step beyond it. */
static inline char *exact(const uint8_t *p, size_t n)
{
    char *s = malloc(n ? n : 1);
    if (n) memcpy(s, p, n);
    return s;
}

static inline void use_tokenizer(const m8__tokenizer *t, const uint8_t *text, size_t n)
{
    m8__ids ids = { 0 };
    m8_buf back = { .limit = 1 << 24 };
    m8_error err = { 0 };
    char *s = exact(text, n);
    if (m8__encode(t, &ids, s, n, &err)) must(err.status && err.text[0]);
    decode_all(t, &ids, &back);
    free(s);

    char *content = m8_strndup((const char *)text, n < 200 ? n : 200);
    m8_message m[] = { { "system", content }, { "user", content }, { "assistant", content }, { "user", "and?" } };
    const m8__chat *c = m8__chat_find(t);
    err = (m8_error){ 0 };
    ids.n = 0;
    if (c && !m8__chat_encode(c, t, &ids, m, 4, true, &err)) decode_all(t, &ids, &back);
    if (c) m8__chat_is_end(c, t, m8__chat_end(c, t));
    m8_free(content);
    m8_buf_finish(&back);
    m8__ids_finish(&ids);
}

#endif
