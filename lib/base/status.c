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

/* Put text into err->text: cut at a character's border, control bytes become blanks. */
static void set_text(m8_error *err, const char *text)
{
    size_t n = strlen(text);
    if (n >= sizeof err->text) {
        n = sizeof err->text - 1;
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    for (size_t i = 0; i < n; i++) err->text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? ' ' : text[i];
    err->text[n] = 0;
}

m8_status m8_fail(m8_error *err, m8_status st, const char *fmt, ...)
{
    if (err && !err->status) {
        char text[512];
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
        char text[512], why[128];
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
        char text[768];
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
