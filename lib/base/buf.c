/* Bytes that grow, with a limit; sticky on failure. */
#include <m8/base.h>
#include <stdio.h>
#include <string.h>

void *m8_buf_room(m8_buf *b, size_t n)
{
    if (b->status) return NULL;
    size_t want;
    if (__builtin_add_overflow(b->len, n, &want) || want == SIZE_MAX || (b->limit && want > b->limit)) {
        b->status = M8_E_LIMIT;
        return NULL;
    }
    if (want + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < want + 1) {
            if (__builtin_add_overflow(cap, cap / 2, &cap)) cap = want + 1;
        }
        char *p = m8_realloc(b->data, cap);
        if (!p) {
            b->status = M8_E_NOMEM;
            return NULL;
        }
        b->data = p;
        b->cap = cap;
    }
    void *at = b->data + b->len;
    b->len = want;
    b->data[want] = 0;
    return at;
}

void m8_buf_add(m8_buf *b, const void *data, size_t n)
{
    void *at = m8_buf_room(b, n);
    if (at && n) memcpy(at, data, n);
}

void m8_buf_str(m8_buf *b, const char *s) { m8_buf_add(b, s, strlen(s)); }
void m8_buf_chr(m8_buf *b, char c) { m8_buf_add(b, &c, 1); }

void m8_buf_printf(m8_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0 && !b->status) b->status = M8_E_LIMIT; /* longer than INT_MAX */
    if (n >= 0) {
        size_t at = b->len;
        if (m8_buf_room(b, (size_t)n)) vsnprintf(b->data + at, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(ap);
}

void m8_buf_clear(m8_buf *b)
{
    b->len = 0;
    b->status = M8_OK;
    if (b->data) b->data[0] = 0;
}

void m8_buf_finish(m8_buf *b)
{
    if (!b) return;
    m8_free(b->data);
    *b = (m8_buf){0};
}
