/* UTF-8: what is whole, what is valid, U+FFFD for what is not, and the normal form C. */
#include "text/tok.h"
#include <utf8proc.h>

/* Bytes of the valid character at s (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), or 0. */
int m8__utf8_next(const char *s, size_t n, uint32_t *cp)
{
    const uint8_t *p = (const uint8_t *)s;
    if (!n) return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    int len = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (!len || n < (size_t)len) return 0;
    uint32_t c = p[0] & (0xFF >> (len + 1));
    for (int i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return 0;
    *cp = c;
    return len;
}

size_t m8__utf8_valid(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint32_t cp;
        int len = (uint8_t)s[i] < 0x80 ? 1 : m8__utf8_next(s + i, n - i, &cp);
        if (!len) break;
        i += (size_t)len;
    }
    return i;
}

/* Can these n bytes (fewer than a whole character) still become one? */
static bool is_start(const uint8_t *p, size_t n)
{
    int len = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if ((size_t)len <= n) return false;
    for (size_t i = 1; i < n; i++) {
        uint8_t low = 0x80, high = 0xBF;
        if (i == 1 && p[0] == 0xE0) low = 0xA0;
        if (i == 1 && p[0] == 0xED) high = 0x9F;
        if (i == 1 && p[0] == 0xF0) low = 0x90;
        if (i == 1 && p[0] == 0xF4) high = 0x8F;
        if (p[i] < low || p[i] > high) return false;
    }
    return true;
}

/* As Python's errors="replace" and WHATWG: one U+FFFD for the longest start of a character, else for one byte. */
void m8__utf8_clean(m8_buf *out, const char *s, size_t n)
{
    size_t i = 0;
    for (;;) {
        size_t good = m8__utf8_valid(s + i, n - i);
        m8_buf_add(out, s + i, good);
        i += good;
        if (i >= n || out->status) return;
        size_t bad = 1;
        while (bad < 3 && i + bad < n && is_start((const uint8_t *)s + i, bad + 1)) bad++;
        m8_buf_str(out, "\xEF\xBF\xBD");
        i += bad;
    }
}

size_t m8__utf8_whole(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t c = (uint8_t)s[n - back];
        if (c >= 0xC0) return is_start((const uint8_t *)s + n - back, back) ? n - back : n;
        if (c < 0x80) return n;
    }
    return n;
}

m8_status m8__utf8_nfc(m8_buf *out, const char *s, size_t n, m8_error *err)
{
    const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_ssize_t room = utf8proc_decompose((const uint8_t *)s, (utf8proc_ssize_t)n, NULL, 0, how);
    if (room < 0) return m8_fail(err, M8_E_FORMAT, "%s", utf8proc_errmsg(room));
    int32_t *cp = m8_malloc(((size_t)room + 1) * sizeof *cp); /* reencode writes a NUL behind the text, in place */
    if (!cp) return m8_fail(err, M8_E_NOMEM, "no memory to normalise %zu bytes", n);
    utf8proc_ssize_t len = utf8proc_decompose((const uint8_t *)s, (utf8proc_ssize_t)n, cp, room, how);
    if (len >= 0) len = utf8proc_reencode(cp, len, how);
    if (len > 0) m8_buf_add(out, cp, (size_t)len);
    m8_free(cp);
    if (len < 0) return m8_fail(err, M8_E_FORMAT, "%s", utf8proc_errmsg(len));
    return out->status ? m8_fail(err, out->status, "no memory to normalise %zu bytes", n) : M8_OK;
}
