/* Percent-encoding, urlencoded forms, cookies. */
#include "form.h"
#include <m8/http.h>
#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t m8_percent_decode(char *s, size_t n, bool plus)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '+' && plus) c = ' ';
        if (c == '%') {
            int a = n - i > 2 ? digit(s[i + 1]) : -1, b = n - i > 2 ? digit(s[i + 2]) : -1;
            if (a < 0 || b < 0) return -1;
            c = (char)(a << 4 | b);
            i += 2;
        }
        if (!c) return -1;
        s[len++] = c;
    }
    return (ssize_t)len;
}

void m8_percent_encode(m8_buf *out, const char *s, const char *keep)
{
    for (; *s; s++) {
        char c = *s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain || (keep && strchr(keep, c))) m8_buf_chr(out, c);
        else m8_buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

bool m8__form_next(const char *form, size_t n, size_t *at, struct m8__pair *p)
{
    while (*at < n && form[*at] == '&') ++*at;
    if (*at >= n) return false;
    const char *s = form + *at, *end = memchr(s, '&', n - *at);
    size_t len = end ? (size_t)(end - s) : n - *at;
    const char *eq = memchr(s, '=', len);
    p->name = s;
    p->n_name = eq ? (size_t)(eq - s) : len;
    p->value = eq ? eq + 1 : s + len;
    p->n_value = len - (size_t)(p->value - s);
    *at += len;
    return true;
}

bool m8__form_is(const char *s, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i] == '+' ? ' ' : s[i];
        if (c == '%') {
            int a = n - i > 2 ? digit(s[i + 1]) : -1, b = n - i > 2 ? digit(s[i + 2]) : -1;
            if (a < 0 || b < 0) return false;
            c = (char)(a << 4 | b);
            i += 2;
        }
        if (!c || c != *word++) return false; /* also at the word's end */
    }
    return !*word;
}

char *m8_form_field(const char *form, size_t n, const char *name)
{
    struct m8__pair p;
    for (size_t at = 0; m8__form_next(form, n, &at, &p);) {
        if (!m8__form_is(p.name, p.n_name, name)) continue;
        char *s = m8_strndup(p.value, p.n_value);
        ssize_t len = s ? m8_percent_decode(s, p.n_value, true) : -1;
        if (len < 0) {
            m8_free(s);
            return NULL;
        }
        s[len] = 0;
        return s;
    }
    return NULL;
}

const char *m8__cookie_find(const char *field, const char *name, size_t *n)
{
    size_t n_name = strlen(name);
    for (const char *s = field; *s;) {
        while (*s == ' ' || *s == ';') s++;
        const char *end = strchr(s, ';');
        if (!end) end = s + strlen(s);
        if ((size_t)(end - s) > n_name && !memcmp(s, name, n_name) && s[n_name] == '=') {
            s += n_name + 1;
            while (end > s && end[-1] == ' ') end--;
            if (end - s >= 2 && *s == '"' && end[-1] == '"') s++, end--;
            *n = (size_t)(end - s);
            return s;
        }
        s = end;
    }
    return NULL;
}
