/* Names of files: cleaned as Gradio cleans them, and what they say of the content. A name comes from a stranger, as does a FileData. */
#include "serve.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The last component as Python's Path has it: "a/b/./" is "b". */
static size_t last_component(const char **name)
{
    const char *s = *name;
    size_t n = strlen(s);
    for (;;) {
        while (n && s[n - 1] == '/') n--;
        if (!n || s[n - 1] != '.' || (n > 1 && s[n - 2] != '/')) break;
        n--;
    }
    size_t from = n;
    while (from && s[from - 1] != '/') from--;
    *name = s + from;
    return n - from;
}

/* Bytes of the character at s [n]; 0: not UTF-8. */
static size_t character(const char *at, size_t n, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *s = (const unsigned char *)at;
    size_t len = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
    if (!len || len > n) return 0;
    *code = len > 1 ? *s & (0x7Fu >> len) : *s;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        *code = *code << 6 | (s[i] & 0x3F);
    }
    return *code >= least[len] && *code <= 0x10FFFF && (*code < 0xD800 || *code > 0xDFFF) ? len : 0;
}

/* Gradio's list, and what turns text around or ends a line: a name is shown to people. */
static bool forbidden(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;
    if (c < 0x80) return strchr("<>:\"/\\|?*`$!{}", (int)c) != NULL;
    return (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

static size_t strip(char *out, const char *s, size_t n)
{
    size_t len = 0;
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c;
        k = character(s + i, n - i, &c);
        if (k && !forbidden(c)) {
            memmove(out + len, s + i, k);
            len += k;
        }
        if (!k) k = 1;
    }
    return len;
}

/* Where the extension begins, as os.path.splitext: the last dot, unless only dots stand before it. */
static size_t split(const char *s, size_t n)
{
    size_t lead = 0, dot = n;
    while (lead < n && s[lead] == '.') lead++;
    for (size_t i = lead; i < n; i++)
        if (s[i] == '.') dot = i;
    return dot;
}

static bool reserved(const char *s, size_t n)
{
    static const char *const devices[] = { "CON", "PRN", "AUX", "NUL", "COM", "LPT" };
    size_t len = 0;
    while (len < n && s[len] != '.') len++;
    while (len && s[len - 1] == ' ') len--;
    if (len < 3) return false;
    for (int i = 0; i < 6; i++) {
        if (strncasecmp(s, devices[i], 3)) continue;
        if (i < 4) return len == 3;
        if (len == 4) return s[3] >= '1' && s[3] <= '9';
        return len == 5 && s[3] == '\xC2' && (s[4] == '\xB9' || s[4] == '\xB2' || s[4] == '\xB3');
    }
    return false;
}

/* The longest run of whole characters in at most `most` bytes. */
static size_t whole(const char *s, size_t n, size_t most)
{
    if (n <= most) return n;
    while (most && ((unsigned char)s[most] & 0xC0) == 0x80) most--;
    return most;
}

bool m8__clean_name(char *out, const char *name)
{
    enum { ROOM = 4096 };
    char all[ROOM];
    size_t n = last_component(&name);
    if (n > ROOM / 2) { /* its beginning and its end are enough to see what it is */
        memcpy(all, name, ROOM / 4);
        memcpy(all + ROOM / 4, name + n - ROOM / 4, ROOM / 4);
        n = ROOM / 2;
    } else {
        memcpy(all, name, n);
    }
    size_t dot = split(all, n), len = strip(all, all, dot);
    if (dot < n) {
        char ext[ROOM / 2 + 1];
        size_t k = strip(ext, all + dot + 1, n - dot - 1);
        if (!len) len = (size_t)sprintf(all, "file");
        all[len++] = '.';
        memcpy(all + len, ext, k);
        len += k;
    }
    if (len == 2 && !memcmp(all, "..", 2)) return false;
    while (len && (all[len - 1] == ' ' || all[len - 1] == '.')) len--;
    if (!len) len = (size_t)sprintf(all, "file");
    if (reserved(all, len)) {
        memmove(all + 1, all, len++);
        all[0] = '_';
    }
    dot = split(all, len);
    size_t ext = len - dot;
    if (len <= M8__NAME_MAX) {
        memcpy(out, all, len);
    } else if (ext < M8__NAME_MAX) {
        size_t stem = whole(all, dot, M8__NAME_MAX - ext);
        memcpy(out, all, stem);
        memcpy(out + stem, all + dot, ext);
        len = stem + ext;
    } else {
        size_t k = whole(all + dot, ext, M8__NAME_MAX - 4);
        memcpy(out, "file", 4);
        memcpy(out + 4, all + dot, k);
        len = 4 + k;
    }
    out[len] = 0;
    return true;
}

const char *m8__mime_of(const char *name, bool trusted)
{
    static const struct {
        const char *endings, *mime;
        bool trusted;
    } types[] = {
        { "jpg jpeg jpe", "image/jpeg", false }, { "png", "image/png", false }, { "gif", "image/gif", false }, { "webp", "image/webp", false },
        { "aac adts", "audio/aac", false }, { "aif aifc aiff", "audio/aiff", false }, { "flac", "audio/flac", false },
        { "m4a m4b", "audio/mp4", false }, { "mp3 mp2 mpga", "audio/mpeg", false }, { "ogg oga opus", "audio/ogg", false },
        { "wav", "audio/wav", false }, { "weba", "audio/webm", false }, { "mka", "audio/x-matroska", false },
        { "mp4 m4v", "video/mp4", false }, { "mpg mpeg mpe", "video/mpeg", false }, { "ogv", "video/ogg", false },
        { "mov qt", "video/quicktime", false }, { "webm", "video/webm", false }, { "mkv", "video/x-matroska", false },
        { "avi", "video/x-msvideo", false }, { "txt text log srt vtt", "text/plain; charset=utf-8", false }, { "json", "application/json", false },
        { "html htm", "text/html; charset=utf-8", true }, { "css", "text/css; charset=utf-8", true }, { "js mjs", "text/javascript; charset=utf-8", true },
        { "svg", "image/svg+xml", true }, { "csv", "text/csv; charset=utf-8", true }, { "md", "text/markdown; charset=utf-8", true },
        { "pdf", "application/pdf", true }, { "xml", "text/xml; charset=utf-8", true }, { "ico", "image/x-icon", true },
        { "woff2", "font/woff2", true }, { "wasm", "application/wasm", true },
    };
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash + 1 : name, '.');
    size_t n = dot ? strlen(dot + 1) : 0;
    if (!n) return NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].trusted && !trusted) continue;
        for (const char *s = types[i].endings; *s;) {
            size_t len = strcspn(s, " ");
            if (len == n && !strncasecmp(s, dot + 1, n)) return types[i].mime;
            s += len + (s[len] == ' ');
        }
    }
    return NULL;
}

bool m8__within(const char *root, const char *path, bool any_case)
{
    size_t n = strlen(root);
    while (n && root[n - 1] == '/') n--;
    if (any_case ? strncasecmp(root, path, n) : strncmp(root, path, n)) return false;
    return !path[n] || path[n] == '/';
}

void m8__who_at(const char *peer, char *out, size_t size)
{
    unsigned char ip[16];
    if (strchr(peer, ':') && inet_pton(AF_INET6, peer, ip) == 1)
        snprintf(out, size, "a:%02x%02x%02x%02x%02x%02x%02x%02x", ip[0], ip[1], ip[2], ip[3], ip[4], ip[5], ip[6], ip[7]);
    else snprintf(out, size, "a:%s", peer);
}

void m8__who(m8_blocks *app, m8_http_req *r, char *out, size_t size)
{
    const char *user = m8__auth_user(app, r);
    if (user) snprintf(out, size, "u:%s", user);
    else m8__who_at(m8_http_peer(r), out, size);
}
