/* weights_bytes.h - crafted files written as text, so that a table of cases can be read.
 *
 *   1:5 2:5 4:5 8:5     a number in so many bytes          'text'          bytes as they stand
 *   8'text'             u64 length, bytes (GGUF)           2'text'         u16 length with the NUL, bytes, NUL (CTranslate2)
 *   x80ff               bytes in hexadecimal               *16  @32        zeros; zeros up to a multiple
 *   f7=5                protobuf field 7, a varint         f7{ ... }       protobuf field 7, a run of bytes
 *   h{ ... }            u64 length and the bytes (safetensors)
 * Blanks stand between them. */
#ifndef WEIGHTS_BYTES_H
#define WEIGHTS_BYTES_H

#include <ctype.h>

#include "weights_help.h"

static inline void put_number(m8_buf *b, uint64_t v, size_t bytes)
{
    m8_buf_add(b, &v, bytes);
}

static inline void put_varint(m8_buf *b, uint64_t v)
{
    for (; v > 127; v >>= 7) m8_buf_chr(b, (char)(v | 128));
    m8_buf_chr(b, (char)v);
}

/* Write what s says up to its end or to a closing brace; returns what follows. */
static inline const char *assemble(m8_buf *b, const char *s)
{
    char *end;
    while (*s && *s != '}') {
        if (*s == ' ') {
            s++;
        } else if (*s == '\'') {
            const char *close = strchr(s + 1, '\'');
            m8_buf_add(b, s + 1, (size_t)(close - s - 1));
            s = close + 1;
        } else if (*s == 'x') {
            for (s++; isxdigit((unsigned char)*s); s += 2) m8_buf_chr(b, (char)strtoul((char[]){ s[0], s[1], 0 }, NULL, 16));
        } else if (*s == '*' || *s == '@') {
            size_t n = strtoull(s + 1, &end, 0), zeros = *s == '*' ? n : (n - b->len % n) % n;
            if (zeros) memset(m8_buf_room(b, zeros), 0, zeros);
            s = end;
        } else if (*s == 'f' || *s == 'h') {
            uint64_t field = strtoull(s + 1, &end, 10);
            if (*end == '=') {
                put_varint(b, field << 3);
                put_varint(b, strtoull(end + 1, &end, 0));
                s = end;
                continue;
            }
            m8_buf inner = { 0 };
            const char *after = assemble(&inner, end + 1);
            if (*s == 'f') put_varint(b, field << 3 | 2), put_varint(b, inner.len);
            else put_number(b, inner.len, 8);
            m8_buf_add(b, inner.data, inner.len);
            m8_buf_finish(&inner);
            s = after + 1;
        } else {
            size_t bytes = strtoull(s, &end, 10);
            if (*end == ':') {
                put_number(b, strtoull(end + 1, &end, 0), bytes);
                s = end;
                continue;
            }
            const char *close = strchr(end + 1, '\'');
            size_t len = (size_t)(close - end - 1);
            put_number(b, len + (bytes == 2), bytes);
            m8_buf_add(b, end + 1, len);
            if (bytes == 2) m8_buf_chr(b, 0);
            s = close + 1;
        }
    }
    return s;
}

struct refusal {
    const char *bytes;
    m8_status want;
    const char *text; /* to be found in the message */
};

/* Open exactly these bytes, in a block of their own so that a sanitizer sees a read past them. */
static inline m8_status open_bytes(const void *data, size_t n, m8_error *err)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (n) memcpy(copy, data, n);
    m8__weights *w = NULL;
    m8_status st = m8__weights_open_memory(&w, copy, n, "case", err);
    if (!st) walk(w);
    m8__weights_close(w);
    free(copy);
    return st;
}

static inline void check_refusals(const struct refusal *cases, size_t n)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        m8_buf b = { 0 };
        m8_error err = { 0 };
        assemble(&b, cases[i].bytes);
        m8_status st = open_bytes(b.data, b.len, &err);
        bool named = !st || (!strncmp(err.text, "case: ", 6) && err.status == st);
        if (st != cases[i].want || !strstr(err.text, cases[i].text) || !named) {
            print_error("%s\n    gave %s \"%s\"\n    expected %s \"%s\"\n", cases[i].bytes, m8_status_name(st), err.text,
                        m8_status_name(cases[i].want), cases[i].text);
            bad++;
        }
        m8_buf_finish(&b);
    }
    assert_int_equal(bad, 0);
}

#endif
