/* UTF-8, paths made normal, hosts, ranges, dates. */
#include "form.h"
#include "head.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void m8__make_utf8(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p;) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        int n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
        uint32_t c = n > 1 ? *p & (0x7Fu >> n) : *p;
        for (int i = 1; i < n; i++) {
            if ((p[i] & 0xC0) != 0x80) n = 0; /* ends at the NUL, too */
            else c = c << 6 | (p[i] & 0x3F);
        }
        if (n > 1 && (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))) n = 0;
        if (!n) *p++ = '?';
        else p += n;
    }
}

size_t m8__path_normal(char *s, size_t n)
{
    size_t len = 0; /* s[0, len) is "" or "/a/b", without a '/' at its end */
    bool folder = true;
    for (size_t i = 0; i < n;) {
        while (i < n && s[i] == '/') i++, folder = true;
        size_t from = i;
        while (i < n && s[i] != '/') i++;
        size_t m = i - from;
        if (!m) break;
        folder = s[from] == '.' && (m == 1 || (m == 2 && s[from + 1] == '.'));
        if (folder) {
            if (m == 2)
                while (len && s[--len] != '/') {}
            continue;
        }
        s[len++] = '/';
        memmove(s + len, s + from, m);
        len += m;
    }
    if (folder) s[len++] = '/';
    s[len] = 0;
    return len;
}

static bool is_name(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '.' || c == '_';
}

enum m8__host_kind m8__host_read(const char *s, size_t n, size_t *n_host, int *port)
{
    char text[64];
    unsigned char ip[16];
    size_t i = 0;
    bool six = n && *s == '[';
    if (six) {
        const char *end = memchr(s, ']', n);
        if (!end || (size_t)(end - s) >= sizeof text) return M8__HOST_BAD;
        memcpy(text, s + 1, (size_t)(end - s) - 1);
        text[end - s - 1] = 0;
        if (inet_pton(AF_INET6, text, ip) != 1) return M8__HOST_BAD;
        i = (size_t)(end - s) + 1;
    } else {
        while (i < n && is_name(s[i])) i++;
    }
    if (!i || i > 253) return M8__HOST_BAD;
    *n_host = i;
    *port = 0;
    if (i < n) {
        if (s[i] != ':' || n - i > 6) return M8__HOST_BAD;
        while (++i < n) {
            if (s[i] < '0' || s[i] > '9') return M8__HOST_BAD;
            *port = *port * 10 + s[i] - '0';
        }
        if (*port > 65535) return M8__HOST_BAD;
    }
    if (six) return !memcmp(ip, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) ? M8__HOST_LOOPBACK : M8__HOST_IP;
    if (m8__same(s, *n_host, "localhost")) return M8__HOST_LOOPBACK;
    if (*n_host >= sizeof text) return M8__HOST_NAME;
    memcpy(text, s, *n_host);
    text[*n_host] = 0;
    if (inet_pton(AF_INET, text, ip) != 1) return M8__HOST_NAME;
    return ip[0] == 127 || !strcmp(text, "0.0.0.0") ? M8__HOST_LOOPBACK : M8__HOST_IP;
}

/* Digits at *s, which moves behind them; too large ones are UINT64_MAX. false: there are none. */
static bool number(const char **s, uint64_t *out)
{
    const char *from = *s;
    for (*out = 0; **s >= '0' && **s <= '9'; ++*s)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, (uint64_t)(**s - '0'), out)) *out = UINT64_MAX;
    return *s > from;
}

int m8__range_read(const char *s, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (!m8__same(s, strnlen(s, 6), "bytes=")) return 0;
    s += 6;
    bool has_first = number(&s, first);
    if (*s++ != '-') return 0;
    bool has_last = number(&s, last);
    if (*s || (!has_first && !has_last)) return 0;
    if (!has_first) { /* the last so many */
        if (!*last || !size) return -1;
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
        return 1;
    }
    if (has_last && *last < *first) return 0;
    if (*first >= size) return -1;
    if (!has_last || *last >= size) *last = size - 1;
    return 1;
}

static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

int64_t m8__date_read(const char *s)
{
    struct tm t = { 0 };
    char month[4], end;
    if (strlen(s) != 29 || strcmp(s + 25, " GMT") || s[3] != ',') return -1;
    int n = sscanf(s + 5, "%2d %3s %4d %2d:%2d:%2d GM%c", &t.tm_mday, month, &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec, &end);
    if (n != 7 || end != 'T') return -1;
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!at || (at - months) % 3) return -1;
    t.tm_mon = (int)(at - months) / 3;
    t.tm_year -= 1900;
    return timegm(&t);
}

void m8__date_write(char out[30], int64_t at)
{
    struct tm t = { 0 };
    time_t when = at;
    gmtime_r(&when, &t);
    snprintf(out, 30, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * t.tm_wday, (unsigned)t.tm_mday % 100, months + 3 * t.tm_mon,
             (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}
