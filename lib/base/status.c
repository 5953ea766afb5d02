/* Status codes and errors: one line of text on the caller's stack. */
#include <errno.h>
#include <m8/base.h>
#include <stdio.h>
#include <string.h>

const char *m8_status_name(m8_status st)
{
    switch (st) {
#define X(name, code, text)                                                                                              \
    case M8_##name:                                                                                                      \
        return #name;
        M8_STATUS_MAP(X)
#undef X
    }
    return "E_UNKNOWN";
}

const char *m8_status_text(m8_status st)
{
    switch (st) {
#define X(name, code, text)                                                                                              \
    case M8_##name:                                                                                                      \
        return text;
        M8_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

/* How many bytes the character at s has (1 to 4); 0: not UTF-8. Also its code point. */
static int character(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    int n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
    uint32_t c = n > 1 ? *s & (0x7Fu >> n) : *s;
    for (int i = 1; i < n; i++) { /* ends at a NUL, too */
        if ((s[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    *code = c;
    return n && c >= least[n] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF) ? n : 0;
}

/* Put text into err->text: one line of UTF-8 whatever a file's name or a tensor's holds. What ends a line or commands a
 * terminal becomes a blank, a byte that is not UTF-8 a '?'; cut between characters. */
static void set_text(m8_error *err, const char *text)
{
    size_t len = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        uint32_t code = '?';
        int n = character(s, &code), taken = n ? n : 1;
        if (!n) code = '?';
        if (code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029) code = ' ';
        if (code == ' ' || code == '?') n = 1;
        if (len + (size_t)n >= sizeof err->text) break;
        if (n == 1) err->text[len] = (char)code;
        else memcpy(err->text + len, s, (size_t)n);
        len += (size_t)n;
        s += taken;
    }
    err->text[len] = 0;
}

m8_status m8_fail(m8_error *err, m8_status st, const char *fmt, ...)
{
    if (err && !err->status) {
        char text[512] = "";
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        err->status = st;
        set_text(err, text);
    }
    return st;
}

m8_status m8_fail_errno(m8_error *err, m8_status st, const char *fmt, ...)
{
    int code = errno;
    if (code == ENOMEM) st = M8_E_NOMEM;
    if (err && !err->status) {
        char text[512] = "", why[128];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text - sizeof why - 2, fmt, ap);
        va_end(ap);
        strcat(text, ": ");
        strcat(text, strerror_r(code, why, sizeof why));
        err->status = st;
        err->detail = code;
        set_text(err, text);
    }
    return st;
}

m8_status m8_wrap(m8_error *err, m8_status st, const char *fmt, ...)
{
    if (err && st) {
        char text[768] = "";
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(text, 400, fmt, ap);
        va_end(ap);
        if (n > 399) n = 399;
        if (n < 0) n = 0;
        snprintf(text + n, sizeof text - (size_t)n, ": %s", err->text[0] ? err->text : m8_status_text(st));
        if (!err->status) err->status = st;
        set_text(err, text);
    }
    return st;
}

const char *m8_error_text(const m8_error *err)
{
    return err->text[0] ? err->text : m8_status_text(err->status);
}
