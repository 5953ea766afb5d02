/* Files: whole, a range, or the word that the client has it already (RFC 9110, sections 8, 13, 14). */
#include "form.h"
#include "server.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is the tag in the list ("a", W/"b" or *)? strong: a weak one does not count. */
static bool has_tag(const char *list, const char *tag, bool strong)
{
    size_t n = strlen(tag);
    for (const char *s = list; *s;) {
        s += strspn(s, " \t,");
        if (*s == '*' && !strong) return true;
        bool weak = s[0] == 'W' && s[1] == '/';
        if (weak) s += 2;
        size_t len = *s == '"' ? strcspn(s + 1, "\"") + 2 : strcspn(s, ",");
        if (len == n && !strncmp(s, tag, n) && !(weak && strong)) return true;
        for (; len && *s; len--) s++;
    }
    return false;
}

/* attachment; filename="a.txt", and for other names than plain ASCII, too, filename*=UTF-8''... (RFC 6266, RFC 8187) */
static void set_disposition(m8_http_req *r, bool attachment, const char *name)
{
    m8_buf b = { 0 };
    bool plain = true;
    m8_buf_str(&b, attachment ? "attachment" : "inline");
    if (name) {
        m8_buf_str(&b, "; filename=\"");
        for (const char *s = name; *s; s++) {
            bool ok = (unsigned char)*s >= ' ' && (unsigned char)*s < 0x7F && !strchr("\"\\%", *s);
            plain = plain && ok;
            if (((unsigned char)*s & 0xC0) != 0x80) m8_buf_chr(&b, ok ? *s : '_'); /* one for a whole character */
        }
        m8_buf_chr(&b, '"');
        if (!plain) {
            m8_buf_str(&b, "; filename*=UTF-8''");
            m8_percent_encode(&b, name, NULL);
        }
    }
    if (b.status) m8_http_abort(r);
    else m8_http_set(r, "Content-Disposition", b.data);
    m8_buf_finish(&b);
}

/* Does the client's copy still hold? */
static bool not_modified(const m8_http_req *r, const char *tag, int64_t changed)
{
    const char *none = m8_http_header(r, "if-none-match"), *since = m8_http_header(r, "if-modified-since");
    if (none) return has_tag(none, tag, false);
    int64_t at = since ? m8__date_read(since) : -1;
    return at >= 0 && changed <= at;
}

static bool range_counts(const m8_http_req *r, const char *tag, int64_t changed)
{
    const char *s = m8_http_header(r, "if-range");
    if (!s) return true;
    return *s == '"' || !strncmp(s, "W/", 2) ? has_tag(s, tag, true) : m8__date_read(s) == changed;
}

void m8_http_file(m8_http_req *r, int fd, const char *mime, bool attachment, const char *name)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0) m8_sys_get()->close(fd);
        m8_http_refuse(r, 404, "Not Found");
        return;
    }
    char tag[80], date[30], text[80];
    snprintf(tag, sizeof tag, "\"%llx-%llx-%llx\"", (unsigned long long)st.st_mtim.tv_sec * 1000000000 + (unsigned long long)st.st_mtim.tv_nsec,
             (unsigned long long)st.st_size, (unsigned long long)st.st_ino);
    m8__date_write(date, st.st_mtim.tv_sec);
    m8_http_set(r, "ETag", tag);
    m8_http_set(r, "Last-Modified", date);
    m8_http_set(r, "Accept-Ranges", "bytes");
    set_disposition(r, attachment, name);
    uint64_t size = (uint64_t)st.st_size, first = 0, last = size - 1;
    const char *range = m8_http_header(r, "range");
    bool old = not_modified(r, tag, st.st_mtim.tv_sec);
    int kind = !old && range && range_counts(r, tag, st.st_mtim.tv_sec) ? m8__range_read(range, size, &first, &last) : 0;
    if (kind > 0) snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)first, (unsigned long long)last, (unsigned long long)size);
    else snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    if (kind) m8_http_set(r, "Content-Range", text);
    if (kind < 0) m8_http_refuse(r, 416, "Requested Range Not Satisfiable");
    else if (old) m8_http_reply(r, 304, NULL, "", 0);
    else {
        m8__reply_file(r, kind ? 206 : 200, mime, fd, kind ? first : 0, kind ? last - first + 1 : size);
        return;
    }
    m8_sys_get()->close(fd);
}
