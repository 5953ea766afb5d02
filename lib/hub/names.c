/* Which names may become part of a path or a URL. Everything here comes from a command line, a catalog or a server. */
#include "hub_internal.h"
#include <string.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool m8__name_is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

bool m8__name_is_commit(const char *s) { return m8__name_is_hex(s, 40); }

bool m8__name_is_etag(const char *s) { return m8__name_is_hex(s, 40) || m8__name_is_hex(s, 64); }

bool m8__name_is_repo(const char *s)
{
    const char *slash = strchr(s, '/');
    size_t n = strlen(s);
    if (!n || n > 96 || strstr(s, "..") || strstr(s, "--") || (slash && strchr(slash + 1, '/'))) return false;
    for (size_t i = 0; i < n; i++) {
        bool first = !i || s[i - 1] == '/', last = i + 1 == n || s[i + 1] == '/';
        if (s[i] == '/' ? first || last : !is_plain(s[i])) return false;
        if ((first || last) && (s[i] == '.' || s[i] == '-')) return false;
    }
    return true;
}

bool m8__name_is_path(const char *s)
{
    size_t n = strlen(s);
    if (!n || n > M8__MAX_NAME) return false;
    for (const char *p = s;;) {
        size_t len = strcspn(p, "/");
        if (!len || len > 200 || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.')) return false;
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)p[i] < 0x20 || p[i] == 0x7F || p[i] == '\\') return false;
        if (!p[len]) return true;
        p += len + 1;
    }
}

bool m8__name_is_revision(const char *s)
{
    if (!m8__name_is_path(s) || strlen(s) > 200 || s[0] == '-') return false;
    for (; *s; s++)
        if (!is_plain(*s) && *s != '/' && *s != '+') return false;
    return true;
}

bool m8__name_is_package(const char *s)
{
    const char *eq = strstr(s, "==");
    if (!eq || eq == s || !eq[2] || strlen(s) > 128 || s[0] == '-' || s[0] == '.') return false;
    for (const char *p = s; *p; p++)
        if (p != eq && p != eq + 1 && !is_plain(*p)) return false;
    return true;
}
