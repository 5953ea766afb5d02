/* JSON as text, quickly: values go out thousands of times a second, and jansson's own writer calls back for every comma. */
#include "run_internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 character at s, at most n bytes long; 0: it is none. */
static size_t character(const unsigned char *s, size_t n)
{
    unsigned c = s[0];
    if (c < 0x80) return 1;
    size_t want = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (!want || want > n) return 0;
    for (size_t i = 1; i < want; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f)) return 0;
    return want;
}

/* How many bytes at s are ASCII and no NUL, but for the last few: eight at a time. A generator's text is looked at whole each time it grows. */
static size_t ascii_run(const unsigned char *s, size_t n)
{
    const uint64_t low = 0x0101010101010101, high = low << 7;
    size_t i = 0;
    for (uint64_t x; i + sizeof x <= n; i += sizeof x) {
        memcpy(&x, s + i, sizeof x);
        if ((x | (x - low)) & high) break; /* a byte from 0x80 on, or a NUL, which borrows */
    }
    return i;
}

json_t *m8__text_value(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = ascii_run(p, n), len;
    while (i < n && p[i] && (len = character(p + i, n - i))) i += len > 1 ? len : 1 + ascii_run(p + i + 1, n - i - 1);
    if (i == n) return json_stringn_nocheck(s, n);
    m8_buf clean = {0};
    for (i = 0; i < n; i += len ? len : 1) {
        len = p[i] ? character(p + i, n - i) : 0;
        if (len) m8_buf_add(&clean, p + i, len);
        else m8_buf_str(&clean, "\xef\xbf\xbd");
    }
    json_t *value = clean.status ? NULL : json_stringn_nocheck(clean.data, clean.len);
    m8_buf_finish(&clean);
    return value;
}

/* Bytes that stand for themselves. 0xc2 and 0xe2 begin U+0085, U+2028 and U+2029, which JSON allows and which end a line for
 * readers that split by Unicode's rules; the Python client does, and an event's line must not end within. */
static const unsigned char plain[256] = {
#define R(x) x, x, x, x, x, x, x, x
    R(0), R(0), R(0), R(0), 1, 1, 0, 1, 1, 1, 1, 1, R(1), R(1), R(1), R(1), R(1), R(1), 1, 1, 1, 1, 0, 1, 1, 1,
    R(1), R(1), R(1), R(1), R(1), R(1), R(1), R(1), R(1), R(1), R(1), R(1),
    1, 1, 0, 1, 1, 1, 1, 1, R(1), R(1), R(1), 1, 1, 0, 1, 1, 1, 1, 1, R(1), R(1), R(1),
#undef R
};

void m8__put_text(m8_buf *out, const char *s, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)s;
    m8_buf_chr(out, '"');
    size_t from = 0, i = 0;
    while (i < n) {
        if (plain[p[i]]) {
            i++;
            continue;
        }
        char code[8] = {'\\', 0};
        size_t len = 1;
        switch (p[i]) {
        case '"': code[1] = '"'; break;
        case '\\': code[1] = '\\'; break;
        case '\n': code[1] = 'n'; break;
        case '\r': code[1] = 'r'; break;
        case '\t': code[1] = 't'; break;
        case '\b': code[1] = 'b'; break;
        case '\f': code[1] = 'f'; break;
        case 0xc2:
            if (i + 1 < n && p[i + 1] == 0x85) {
                memcpy(code, "\\u0085", 7);
                len = 2;
            }
            break;
        case 0xe2:
            if (i + 2 < n && p[i + 1] == 0x80 && (p[i + 2] == 0xa8 || p[i + 2] == 0xa9)) {
                memcpy(code, p[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 7);
                len = 3;
            }
            break;
        default:
            memcpy(code, "\\u00", 4);
            code[4] = hex[p[i] >> 4];
            code[5] = hex[p[i] & 15];
            code[6] = 0;
        }
        if (code[1]) {
            m8_buf_add(out, s + from, i - from);
            m8_buf_str(out, code);
            from = i + len;
        }
        i += len;
    }
    m8_buf_add(out, s + from, n - from);
    m8_buf_chr(out, '"');
}

static void put_integer(m8_buf *out, json_int_t x)
{
    char text[24], *p = text + sizeof text;
    unsigned long long left = x < 0 ? 0ull - (unsigned long long)x : (unsigned long long)x;
    do *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (x < 0) *--p = '-';
    m8_buf_add(out, p, (size_t)(text + sizeof text - p));
}

void m8__put_real(m8_buf *out, double x)
{
    if (!isfinite(x)) {
        m8_buf_str(out, "null");
        return;
    }
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    for (int i = 0; i < n; i++) { /* a locale's decimal comma */
        if (text[i] == ',') text[i] = '.';
    }
    m8_buf_add(out, text, (size_t)n);
    if (!strpbrk(text, ".e")) m8_buf_str(out, ".0");
}

void m8__put_seconds(m8_buf *out, double s)
{
    unsigned long long us = s > 0 && s < 1e12 ? (unsigned long long)(s * 1e6 + 0.5) : 0;
    put_integer(out, (json_int_t)(us / 1000000));
    char digits[8] = ".";
    unsigned rest = (unsigned)(us % 1000000);
    for (int i = 6; i > 0; i--, rest /= 10) digits[i] = (char)('0' + rest % 10);
    m8_buf_add(out, digits, 7);
}

void m8__put_json(m8_buf *out, const json_t *value)
{
    if (out->status) return;
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING: m8__put_text(out, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: put_integer(out, json_integer_value(value)); break;
    case JSON_REAL: m8__put_real(out, json_real_value(value)); break;
    case JSON_TRUE: m8_buf_str(out, "true"); break;
    case JSON_FALSE: m8_buf_str(out, "false"); break;
    case JSON_NULL: m8_buf_str(out, "null"); break;
    case JSON_ARRAY: {
        m8_buf_chr(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) m8_buf_chr(out, ',');
            m8__put_json(out, json_array_get(value, i));
        }
        m8_buf_chr(out, ']');
        break;
    }
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        bool first = true;
        m8_buf_chr(out, '{');
        json_object_foreach((json_t *)value, key, item) {
            if (!first) m8_buf_chr(out, ',');
            first = false;
            m8__put_text(out, key, strlen(key));
            m8_buf_chr(out, ':');
            m8__put_json(out, item);
        }
        m8_buf_chr(out, '}');
        break;
    }
    }
}
