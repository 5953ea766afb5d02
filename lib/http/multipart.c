/* multipart/form-data (RFC 7578), piece by piece:  JUNK -> AFTER -> HEAD -> DATA -> AFTER ... -> LAST -> TAIL
 *
 *  What ends a part is CR LF "--" BOUNDARY. A boundary holds no CR, so when a match breaks off after k bytes, those k bytes are data and
 *  the match begins anew at the byte that broke it: linear, with nothing kept but k. */
#include "form.h"
#include "head.h"
#include <m8/http.h>
#include <string.h>

enum { JUNK, AFTER, AFTER_LF, LAST, HEAD, DATA, TAIL };
enum { MAX_PARTS = 1000, MAX_HEAD = 8 * 1024, MAX_LINES = 32, MAX_JUNK = 4 * 1024, MAX_BOUNDARY = 70 };

struct m8_multipart {
    m8_multipart_sink sink;
    char end[MAX_BOUNDARY + 5]; /* CR LF "--" boundary */
    size_t n_end, match;
    int state, n_parts;
    size_t n_junk;
    m8_buf head;
    m8_status failed;
};

/* The next parameter of what follows "form-data;", in place, unquoted; *at moves behind it, or is NULL at the end. NULL: malformed. Only
 * \" and \\ are escapes: old clients send whole Windows paths. */
static char *next_parameter(char **at, char **name, size_t *n_name)
{
    char *s = *at + strspn(*at, " \t");
    *name = s;
    while (m8__is_token(s, 1)) s++; /* ends at the NUL */
    *n_name = (size_t)(s - *name);
    if (!*n_name || *s++ != '=') return NULL;
    char *value = s, *to = s;
    if (*s == '"') {
        for (s++; *s != '"'; s++) {
            if (*s == '\\' && (s[1] == '"' || s[1] == '\\')) s++;
            if (!*s) return NULL;
            *to++ = *s;
        }
        s++;
    } else {
        while (*s && !strchr("; \t\"", *s)) s++;
        to = s;
        if (to == value) return NULL;
    }
    s += strspn(s, " \t");
    if (*s && *s != ';') return NULL;
    *at = *s ? s + 1 : NULL;
    *to = 0;
    return value;
}

static bool read_disposition(char *s, m8_part *part)
{
    size_t n = strcspn(s, "; \t"), n_name;
    if (!m8__same(s, n, "form-data")) return false;
    s += n + strspn(s + n, " \t");
    if (*s++ != ';') return false;
    for (char *name; s;) {
        char *value = next_parameter(&s, &name, &n_name);
        if (!value) return false;
        const char **to = m8__same(name, n_name, "name") ? &part->name : m8__same(name, n_name, "filename") ? &part->filename : NULL;
        if (!to) continue; /* also filename*, which form-data does not have */
        if (*to) return false;
        m8__make_utf8(value);
        *to = value;
    }
    return part->name != NULL;
}

static m8_status bad_head(m8_error *err, const char *what) { return m8_fail(err, M8_E_FORMAT, "a part of the form %s", what); }

static m8_status read_head(m8_multipart *m, m8_error *err)
{
    m8_part part = { 0 };
    char *disposition = NULL;
    int n_lines = 0;
    for (char *s = m->head.data, *next; *s; s = next) {
        next = strstr(s, "\r\n");
        if (!next) return bad_head(err, "has a head that breaks off");
        *next = 0;
        next += 2;
        if (++n_lines > MAX_LINES) return m8_fail(err, M8_E_LIMIT, "a part of the form has more than %d lines in its head", MAX_LINES);
        char *colon = strchr(s, ':');
        if (!colon || !m8__is_token(s, (size_t)(colon - s))) return bad_head(err, "has a head that is none");
        for (const char *c = colon; *c; c++)
            if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7F) return bad_head(err, "has control bytes in its head");
        char *value = colon + 1 + strspn(colon + 1, " \t");
        if (m8__same(s, (size_t)(colon - s), "content-disposition")) {
            if (disposition) return bad_head(err, "has two names");
            disposition = value;
        }
        if (m8__same(s, (size_t)(colon - s), "content-type")) part.mime = value;
    }
    m8_status st = disposition && read_disposition(disposition, &part) ? M8_OK : bad_head(err, "has no name");
    if (!st && ++m->n_parts > MAX_PARTS) st = m8_fail(err, M8_E_LIMIT, "the form has more than %d parts", MAX_PARTS);
    if (!st && m->sink.begin) st = m->sink.begin(m->sink.user, &part);
    return st;
}

/* Bytes of a part's head, up to and with the empty line. */
static m8_status take_head(m8_multipart *m, const char *s, size_t n, size_t *used, m8_error *err)
{
    for (*used = 0; *used < n;) {
        const char *nl = memchr(s + *used, '\n', n - *used);
        size_t len = nl ? (size_t)(nl - s) + 1 - *used : n - *used;
        if (memchr(s + *used, 0, len)) return bad_head(err, "has a NUL in its head");
        m8_buf_add(&m->head, s + *used, len);
        if (m->head.status) return m8_fail(err, m->head.status, "the head of a part of the form is longer than %d bytes", MAX_HEAD);
        *used += len;
        size_t have = m->head.len;
        if (!nl) continue;
        if (have < 2 || m->head.data[have - 2] != '\r') return bad_head(err, "has a line that ends without CR");
        if (have > 2 && (have < 4 || memcmp(m->head.data + have - 4, "\r\n\r\n", 4))) continue;
        m->head.data[have - 2] = 0;
        m8_status st = have == 2 ? bad_head(err, "has no head") : read_head(m, err);
        m8_buf_clear(&m->head);
        m->state = DATA;
        m->match = 0;
        return st;
    }
    return M8_OK;
}

static m8_status give(m8_multipart *m, const char *s, size_t n, m8_error *err)
{
    if (!n) return M8_OK;
    if (m->state == DATA) return m->sink.data ? m->sink.data(m->sink.user, s, n) : M8_OK;
    m->n_junk += n;
    return m->n_junk > MAX_JUNK ? m8_fail(err, M8_E_FORMAT, "the form has more than %d bytes around its parts", MAX_JUNK) : M8_OK;
}

/* Data, or junk before the first part, up to what ends it. */
static m8_status take_data(m8_multipart *m, const char *s, size_t n, size_t *used, m8_error *err)
{
    size_t at = 0;
    m8_status st = M8_OK;
    while (at < n && !st) {
        if (!m->match) {
            const char *cr = memchr(s + at, '\r', n - at);
            size_t len = cr ? (size_t)(cr - s) - at : n - at;
            st = give(m, s + at, len, err);
            at += len;
            if (!cr) break;
            m->match = 1;
            at++;
            continue;
        }
        if (s[at] == m->end[m->match]) {
            at++;
            if (++m->match < m->n_end) continue;
            if (m->state == DATA && m->sink.end) st = m->sink.end(m->sink.user);
            m->state = AFTER;
            break;
        }
        size_t k = m->match;
        m->match = 0;
        st = give(m, m->end, k, err); /* what looked like the end */
    }
    *used = at;
    return st;
}

static m8_status push(m8_multipart *m, const char *s, size_t n, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t at = 0, used; at < n && !st; at += used) {
        used = 1;
        switch (m->state) {
        case JUNK:
        case DATA:
            st = take_data(m, s + at, n - at, &used, err);
            break;
        case HEAD:
            st = take_head(m, s + at, n - at, &used, err);
            break;
        case AFTER:
            m->state = s[at] == '\r' ? AFTER_LF : LAST;
            if (s[at] != '\r' && s[at] != '-') st = m8_fail(err, M8_E_FORMAT, "the form has a boundary that goes on");
            break;
        case AFTER_LF:
            m->state = HEAD;
            if (s[at] != '\n') st = m8_fail(err, M8_E_FORMAT, "the form has a boundary without a line's end");
            break;
        case LAST:
            m->state = TAIL;
            if (s[at] != '-') st = m8_fail(err, M8_E_FORMAT, "the form has a boundary that goes on");
            break;
        default:
            used = n - at;
            st = give(m, s + at, used, err);
        }
    }
    return st;
}

m8_status m8_multipart_push(m8_multipart *m, const char *data, size_t n, m8_error *err)
{
    if (m->failed) return m8_fail(err, m->failed, "the form could not be read");
    m->failed = push(m, data, n, err);
    return m->failed ? m8_fail(err, m->failed, "reading a form") : M8_OK; /* the sink's status comes without a text */
}

m8_status m8_multipart_finish(m8_multipart *m, m8_error *err)
{
    if (m->failed) return m8_fail(err, m->failed, "the form could not be read");
    return m->state == TAIL ? M8_OK : m8_fail(err, M8_E_FORMAT, "the form breaks off");
}

/* The boundary in "multipart/form-data; boundary=x"; false: none that is one. */
static bool read_boundary(const char *s, char *out, size_t *n)
{
    size_t len = strcspn(s, "; \t");
    if (!m8__same(s, len, "multipart/form-data")) return false;
    for (s += len;;) {
        s += strspn(s, " \t");
        if (*s++ != ';') return false;
        s += strspn(s, " \t");
        const char *name = s;
        while (m8__is_token(s, 1)) s++;
        size_t n_name = (size_t)(s - name);
        if (!n_name || *s++ != '=') return false;
        bool quoted = *s == '"';
        if (quoted) s++;
        const char *value = s;
        s += quoted ? strcspn(s, "\"") : strcspn(s, "; \t");
        *n = (size_t)(s - value);
        if (quoted && *s++ != '"') return false;
        if (!m8__same(name, n_name, "boundary")) continue;
        if (!*n || *n > MAX_BOUNDARY || value[*n - 1] == ' ') return false;
        for (size_t i = 0; i < *n; i++)
            if (value[i] < ' ' || value[i] >= 0x7F) return false;
        memcpy(out, value, *n);
        return true;
    }
}

m8_status m8_multipart_new(m8_multipart **out, const char *content_type, m8_multipart_sink sink, m8_error *err)
{
    *out = NULL;
    char boundary[MAX_BOUNDARY];
    size_t n;
    if (!content_type || !read_boundary(content_type, boundary, &n))
        return m8_fail(err, M8_E_FORMAT, "not multipart/form-data, or without a boundary");
    m8_multipart *m = m8_calloc(1, sizeof *m);
    if (!m) return m8_fail(err, M8_E_NOMEM, "reading a form");
    m->sink = sink;
    memcpy(m->end, "\r\n--", 4);
    memcpy(m->end + 4, boundary, n);
    m->n_end = n + 4;
    m->match = 2; /* the first boundary may stand at the very beginning */
    m->head.limit = MAX_HEAD;
    *out = m;
    return M8_OK;
}

void m8_multipart_free(m8_multipart *m)
{
    if (!m) return;
    m8_buf_finish(&m->head);
    m8_free(m);
}
