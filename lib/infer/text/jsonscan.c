/* A tokenizer.json is some MB of short strings; a tree of it takes 30 ms and 20 MB. This scanner hands out one token after another
 * as views into the text. It is lenient about commas and colons, and strict about what could run over an end. */
#include "text/tok.h"
#include <string.h>

static int stop(m8__scan *s, m8_status st)
{
    if (!s->status) s->status = st;
    s->at = s->end;
    return 'e';
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put(char *d, uint32_t c)
{
    if (c < 0x80) return d[0] = (char)c, 1;
    if (c < 0x800) return d[0] = (char)(0xC0 | c >> 6), d[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return d[0] = (char)(0xE0 | c >> 12), d[1] = (char)(0x80 | (c >> 6 & 63)), d[2] = (char)(0x80 | (c & 63)), 3;
    return d[0] = (char)(0xF0 | c >> 18), d[1] = (char)(0x80 | (c >> 12 & 63)), d[2] = (char)(0x80 | (c >> 6 & 63)),
           d[3] = (char)(0x80 | (c & 63)), 4;
}

/* One escape behind the backslash at p, which has at least one byte behind it; *d moves on. NULL: damaged. */
static const char *unescape(const char *p, const char *end, char **d)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*p != 'u') {
        const char *f = *p ? strchr(from, *p) : NULL;
        if (!f) return NULL;
        *(*d)++ = to[f - from];
        return p + 1;
    }
    if (end - p < 5) return NULL;
    int c = hex4(p + 1);
    if (c < 0) return NULL;
    p += 5;
    if (c >= 0xD800 && c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        int low = hex4(p + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
        }
    }
    if (c >= 0xD800 && c < 0xE000) c = 0xFFFD;
    *d += put(*d, (uint32_t)c);
    return p;
}

static int string(m8__scan *s)
{
    const char *p = s->at, *first = NULL; /* first backslash */
    while (p < s->end && *p != '"') {
        if (*p == '\\') {
            if (!first) first = p;
            if (++p == s->end) break;
        }
        p++;
    }
    if (p >= s->end) return stop(s, M8_E_FORMAT);
    s->text = (m8__view){ s->at, (size_t)(p - s->at) };
    s->at = p + 1;
    if (!first || !s->arena) return 's';
    char *copy = m8_arena_raw(s->arena, s->text.len), *d = copy; /* an escape never grows */
    if (!copy) return stop(s, M8_E_NOMEM);
    memcpy(copy, s->text.data, (size_t)(first - s->text.data));
    d += first - s->text.data;
    for (const char *q = first; q < p;) {
        if (*q != '\\') {
            *d++ = *q++;
            continue;
        }
        q = unescape(q + 1, p, &d);
        if (!q) return stop(s, M8_E_FORMAT);
    }
    s->text = (m8__view){ copy, (size_t)(d - copy) };
    return 's';
}

int m8__scan_next(m8__scan *s)
{
    const char *p = s->at;
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t' || *p == ',' || *p == ':')) p++;
    s->at = p;
    if (p == s->end) return 'e';
    size_t left = (size_t)(s->end - p);
    switch (*p) {
    case '{': case '}': case '[': case ']':
        s->at++;
        return *p;
    case '"':
        s->at++;
        return string(s);
    case 't':
        if (left < 4 || memcmp(p, "true", 4)) return stop(s, M8_E_FORMAT);
        s->at += 4;
        return 't';
    case 'f':
        if (left < 5 || memcmp(p, "false", 5)) return stop(s, M8_E_FORMAT);
        s->at += 5;
        return 'f';
    case 'n':
        if (left < 4 || memcmp(p, "null", 4)) return stop(s, M8_E_FORMAT);
        s->at += 4;
        return '0';
    }
    while (p < s->end && ((*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == '.' || *p == 'e' || *p == 'E')) p++;
    if (p == s->at) return stop(s, M8_E_FORMAT);
    s->text = (m8__view){ s->at, (size_t)(p - s->at) };
    s->at = p;
    return 'n';
}

m8__view m8__scan_skip(m8__scan *s)
{
    m8_arena *arena = s->arena;
    s->arena = NULL; /* escapes stay as they are */
    size_t depth = 0;
    int c = m8__scan_next(s);
    const char *from = c == 's' ? s->text.data - 1 : c == 'n' ? s->text.data : c == '{' || c == '[' ? s->at - 1 : s->at;
    if (c == 't' || c == '0') from = s->at - 4;
    if (c == 'f') from = s->at - 5;
    for (;; c = m8__scan_next(s)) {
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') {
            if (!depth) {
                stop(s, M8_E_FORMAT);
                break;
            }
            depth--;
        }
        if (c == 'e') stop(s, M8_E_FORMAT);
        if (c == 'e' || !depth) break;
    }
    s->arena = arena;
    return s->status ? (m8__view){ s->end, 0 } : (m8__view){ from, (size_t)(s->at - from) };
}
