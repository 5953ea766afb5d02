/* A form: the first line is its Content-Type. Whole and in pieces it gives the same parts, or the same refusal. */
#include <m8/http.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    uint64_t hash;
    size_t n_data;
    int n_parts, open;
};

static void note(struct seen *s, const char *at, size_t n)
{
    for (size_t i = 0; i < n; i++) s->hash = (s->hash ^ (unsigned char)at[i]) * 0x100000001B3;
}

static m8_status begin(void *user, const m8_part *p)
{
    struct seen *s = user;
    if (s->open++ || !p->name) abort();
    s->n_parts++;
    note(s, p->name, strlen(p->name) + 1);
    if (p->filename) note(s, p->filename, strlen(p->filename) + 1);
    if (p->mime) note(s, p->mime, strlen(p->mime) + 1);
    return M8_OK;
}
static m8_status piece(void *user, const char *d, size_t n)
{
    struct seen *s = user;
    if (s->open != 1 || !n) abort();
    s->n_data += n;
    note(s, d, n);
    return M8_OK;
}
static m8_status end(void *user)
{
    if (((struct seen *)user)->open-- != 1) abort();
    return M8_OK;
}

static m8_status read_form(const char *type, const char *text, size_t n, size_t step, struct seen *s)
{
    m8_multipart *m;
    m8_error err = { 0 };
    *s = (struct seen){ 0 };
    m8_status st = m8_multipart_new(&m, type, (m8_multipart_sink){ begin, piece, end, s }, &err);
    for (size_t at = 0; at < n && !st; at += step) st = m8_multipart_push(m, text + at, n - at < step ? n - at : step, &err);
    if (!st) st = m8_multipart_finish(m, &err);
    m8_multipart_free(m);
    if (err.status != (int)st || (st && !err.text[0])) abort();
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *nl = memchr(data, '\n', n);
    if (!nl) return 0;
    char *type = strndup((const char *)data, (size_t)(nl - data));
    const char *text = (const char *)nl + 1;
    n -= (size_t)(nl - data) + 1;
    struct seen a, b, c;
    m8_status st = read_form(type, text, n, n ? n : 1, &a);
    if (st != read_form(type, text, n, 1, &b) || st != read_form(type, text, n, 3, &c)) abort();
    if (a.hash != b.hash || a.hash != c.hash || a.n_parts != b.n_parts || a.n_data != b.n_data || a.n_data > n || a.n_parts > 1000) abort();
    if (!st && a.open) abort();
    free(type);
    return 0;
}
