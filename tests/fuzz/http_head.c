/* A head: found in pieces and whole with the same result, and what was taken is what RFC 9112 says. */
#include "head.h"
#include <stdlib.h>
#include <string.h>

static int scan(const char *text, size_t n, size_t step)
{
    struct m8__scan s = { 0 };
    int len = 0;
    for (size_t have = step; !len; have += step) {
        size_t k = have < n ? have : n;
        len = m8__head_scan(&s, text, k);
        if (k == n) break;
    }
    return len;
}

static void check_field(const char *text, const struct m8__field *f)
{
    if (!m8__is_token(text + f->name, f->n_name)) abort();
    for (const char *c = text + f->value, *end = c + f->n_value; c < end; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7F) abort();
    if (f->n_value && strchr(" \t", text[f->value])) abort();
    if (f->n_value && strchr(" \t", text[f->value + f->n_value - 1])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n ? n : 1); /* no NUL behind it */
    if (n) memcpy(text, data, n);
    int len = scan(text, n, n ? n : 1);
    if (len != scan(text, n, 1) || len != scan(text, n, 7)) abort();
    if (len > (int)n || len > M8__MAX_HEAD || (len < 0 && len != -400 && len != -414 && len != -431)) abort();
    struct m8__head h;
    const char *why = "";
    if (len > 0) {
        char *head = malloc((size_t)len);
        memcpy(head, text, (size_t)len);
        int status = m8__head_read(&h, head, (size_t)len, &why);
        if (status && (status < 400 || status > 499 || !*why)) abort();
        if (!status) {
            if (memchr(head, 0, (size_t)len) || !m8__is_token(head, h.n_method)) abort();
            if ((h.chunked && (h.has_length || h.http10)) || (h.host < 0 && !h.http10)) abort();
            for (unsigned i = 0; i < h.n_fields; i++) check_field(head, &h.field[i]);
            for (int i = 0; i < h.n_target; i++)
                if (head[h.target + i] <= ' ' || head[h.target + i] > '~') abort();
        }
        free(head);
    }
    free(text);
    return 0;
}
