/* The chunked coding:  SIZE -> (EXT) -> LF -> DATA -> CR -> LF2 -> SIZE ... last size 0 -> LINE (trailers) -> END */
#include "chunk.h"
#include "head.h"

enum { SIZE, EXT, LF, DATA, DATA_CR, DATA_LF, LINE, LINE_LF, FIELD, LAST_LF };
enum { MAX_EXT = 16 * 1024, MAX_TRAILER = 32 * 1024 };

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(char c) { return ((unsigned char)c >= ' ' && c != 0x7F) || c == '\t'; }

/* One byte of what is not data. */
static int step(struct m8__chunk *c, char b)
{
    switch (c->state) {
    case SIZE: {
        int d = digit(b);
        if (d >= 0) {
            if (c->n_digits++ >= 15) return 400; /* 2^60 is enough, and nothing wraps */
            c->left = c->left << 4 | (uint64_t)d;
            return 0;
        }
        if (!c->n_digits || (b != '\r' && b != ';')) return 400;
        c->state = b == ';' ? EXT : LF;
        return 0;
    }
    case EXT:
        if (b == '\r') {
            c->state = LF;
            return 0;
        }
        return !is_text(b) || ++c->n_ext > MAX_EXT ? 400 : 0;
    case LF:
        if (b != '\n') return 400;
        c->n_digits = 0;
        c->state = c->left ? DATA : LINE;
        return 0;
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r' ? 0 : 400;
    case DATA_LF:
        c->state = SIZE;
        return b == '\n' ? 0 : 400;
    case LINE: /* of the trailers, at its first byte */
        c->n_line = 1;
        c->state = b == '\r' ? LAST_LF : FIELD;
        return b == '\r' || m8__is_token(&b, 1) ? 0 : 400;
    case FIELD:
        if (b == '\r') {
            c->state = LINE_LF;
            return 0;
        }
        if (!is_text(b)) return 400;
        c->n_trailer++;
        return ++c->n_line > M8__MAX_LINE ? 431 : 0;
    case LINE_LF:
        c->n_trailer += 3; /* so that many short lines come to an end, too */
        if (c->n_trailer > MAX_TRAILER) return 431;
        c->state = LINE;
        return b == '\n' ? 0 : 400;
    default: /* LAST_LF */
        return b == '\n' ? 1 : 400;
    }
}

int m8__chunk_take(struct m8__chunk *c, const char *at, size_t n, size_t *used, const char **data, size_t *n_data)
{
    *n_data = 0;
    *data = at;
    for (size_t i = 0; i < n;) {
        if (c->state == DATA) {
            size_t m = n - i < c->left ? n - i : (size_t)c->left;
            *data = at + i;
            *n_data = m;
            *used = i + m;
            c->left -= m;
            if (!c->left) c->state = DATA_CR;
            return 0;
        }
        int status = step(c, at[i++]);
        *used = i;
        if (status) return status;
    }
    *used = n;
    return 0;
}
