/* The strict reader of a head: one pass to find its end, one to read it, nothing copied, no way back. */
#include "head.h"
#include <string.h>

static bool is_token(unsigned char c)
{
    static const uint64_t set[4] = { /* RFC 9110, 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
        0x03FF6CFA00000000, 0x57FFFFFFC7FFFFFE, 0, 0 };
    return set[c >> 6] >> (c & 63) & 1;
}

bool m8__is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_token((unsigned char)s[i])) return false;
    return n > 0;
}

bool m8__same(const char *s, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
        if (!word[i] || c != word[i]) return false;
    }
    return !word[n];
}

int m8__head_scan(struct m8__scan *s, const char *text, size_t n)
{
    if (n && !is_token((unsigned char)text[0])) return -400; /* TLS, an empty line, binary: at once, not after a time-out */
    size_t most = n < M8__MAX_HEAD ? n : M8__MAX_HEAD, at = s->at;
    while (at < most) {
        const char *nl = memchr(text + at, '\n', most - at);
        size_t end = nl ? (size_t)(nl - text) : most;
        if (end - s->line > M8__MAX_LINE) return s->n_lines ? -431 : -414;
        if (!nl) {
            s->at = (uint16_t)most;
            break;
        }
        if (!end || text[end - 1] != '\r') return -400;
        if (end - s->line == 1) return (int)end + 1;
        if (s->n_lines++ > M8__MAX_FIELDS) return -431;
        at = end + 1;
        s->at = s->line = (uint16_t)at;
    }
    return n >= M8__MAX_HEAD ? -431 : 0;
}

/* Is word one of the comma-separated ones? */
static bool lists(const char *s, size_t n, const char *word)
{
    const char *end = s + n;
    while (s < end) {
        while (s < end && (*s == ' ' || *s == '\t' || *s == ',')) s++;
        const char *from = s;
        while (s < end && *s != ',') s++;
        const char *to = s;
        while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
        if (m8__same(from, (size_t)(to - from), word)) return true;
    }
    return false;
}

static int read_length(struct m8__head *h, const char *s, size_t n, const char **why)
{
    *why = "Bad Content-Length";
    if (h->has_length || !n || n > 18) return 400; /* two are refused even when they say the same */
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return 400;
        h->length = h->length * 10 + (uint64_t)(s[i] - '0');
    }
    h->has_length = true;
    return 0;
}

/* What the server itself must know of a field. */
static int note_field(struct m8__head *h, const char *text, int i, const char **why)
{
    const struct m8__field *f = &h->field[i];
    const char *name = text + f->name, *value = text + f->value;
    int16_t *once = NULL;
    switch (f->n_name) {
    case 4:
        if (m8__same(name, 4, "host")) once = &h->host;
        break;
    case 6:
        if (m8__same(name, 6, "origin")) once = &h->origin;
        else if (m8__same(name, 6, "expect")) {
            *why = "Expectation not known";
            if (!m8__same(value, f->n_value, "100-continue")) return 417;
            h->expect = true;
        }
        break;
    case 7:
        if (m8__same(name, 7, "upgrade")) h->upgrade = true;
        break;
    case 10:
        if (m8__same(name, 10, "connection")) {
            if (lists(value, f->n_value, "close")) h->close = true;
            if (lists(value, f->n_value, "keep-alive")) h->keep_alive = true;
        }
        break;
    case 14:
        if (m8__same(name, 14, "content-length")) return read_length(h, value, f->n_value, why);
        if (m8__same(name, 14, "sec-fetch-site")) once = &h->site;
        break;
    case 16:
        if (m8__same(name, 16, "content-encoding") && !m8__same(value, f->n_value, "identity")) h->encoded = true;
        break;
    case 17:
        if (m8__same(name, 17, "transfer-encoding")) {
            *why = "Bad Transfer-Encoding";
            if (h->chunked || !m8__same(value, f->n_value, "chunked")) return 400;
            h->chunked = true;
        }
        break;
    }
    if (!once) return 0;
    *why = "A field that may be there once is there twice";
    if (*once >= 0) return 400;
    *once = (int16_t)i;
    return 0;
}

static int read_request_line(struct m8__head *h, const char *text, size_t end, const char **why)
{
    *why = "Bad request line";
    size_t at = 0;
    while (at < end && is_token((unsigned char)text[at])) at++;
    if (!at || at == end || text[at] != ' ') return 400;
    h->n_method = (uint16_t)at;
    h->target = (uint16_t)++at;
    while (at < end && text[at] > ' ' && text[at] < 0x7F && text[at] != '#') at++;  /* visible ASCII */
    h->n_target = (uint16_t)(at - h->target);
    if (!h->n_target || end - at != 9 || memcmp(text + at, " HTTP/1.", 8)) return 400;
    if (text[at + 8] != '0' && text[at + 8] != '1') return 400;
    h->http10 = text[at + 8] == '0';
    return 0;
}

int m8__head_read(struct m8__head *h, const char *text, size_t n, const char **why)
{
    h->n_fields = 0;
    h->host = h->origin = h->site = -1;
    h->chunked = h->has_length = h->close = h->keep_alive = h->expect = h->encoded = h->upgrade = false;
    h->length = 0;
    const char *nl = memchr(text, '\n', n);
    *why = "Bad request line";
    if (!nl || nl == text || n > M8__MAX_HEAD) return 400;
    int status = read_request_line(h, text, (size_t)(nl - text) - 1, why);
    if (status) return status;
    size_t at = (size_t)(nl - text) + 1;
    while (at + 2 < n) {
        struct m8__field f = { .name = (uint16_t)at };
        *why = "Bad field";
        if (h->n_fields == M8__MAX_FIELDS) return 431;
        while (is_token((unsigned char)text[at])) at++; /* ends: the head's last byte is a line's end */
        f.n_name = (uint16_t)(at - f.name);
        if (!f.n_name || text[at] != ':') return 400; /* also a folded line, and a blank before the colon */
        at++;
        while (text[at] == ' ' || text[at] == '\t') at++;
        f.value = (uint16_t)at;
        while ((unsigned char)text[at] >= ' ' || text[at] == '\t') {
            if (text[at] == 0x7F) return 400;
            at++;
        }
        if (text[at] != '\r' || text[at + 1] != '\n') return 400;
        size_t end = at;
        while (end > f.value && (text[end - 1] == ' ' || text[end - 1] == '\t')) end--;
        f.n_value = (uint16_t)(end - f.value);
        at += 2;
        h->field[h->n_fields] = f;
        status = note_field(h, text, h->n_fields++, why);
        if (status) return status;
    }
    *why = "Bad head";
    if (at + 2 != n || text[at] != '\r') return 400;
    *why = "Both Content-Length and Transfer-Encoding";
    if (h->chunked && (h->has_length || h->http10)) return 400;
    *why = "No Host";
    if (h->host < 0 && !h->http10) return 400;
    return 0;
}
