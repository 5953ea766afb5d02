/* A request: one block of memory that holds its head's text, fields and path. */
#include "form.h"
#include "server.h"
#include <stdio.h>
#include <string.h>

/* What a believed proxy says of the client, the host and the scheme. */
static void believe(m8_http_req *r)
{
    const char *host = m8_http_header(r, "x-forwarded-host"), *proto = m8_http_header(r, "x-forwarded-proto");
    const char *from = m8_http_header(r, "x-forwarded-for");
    size_t n = host ? strcspn(host, ", ") : 0, n_host;
    int port;
    if (n && m8__host_read(host, n, &n_host, &port) != M8__HOST_BAD) {
        char *copy = m8_http_alloc(r, n + 1);
        if (copy) memcpy(copy, host, n);
        if (copy) r->host = copy;
    }
    if (proto) r->secure = m8__same(proto, strcspn(proto, ", "), "https");
    while (from && *from) { /* the last address that no believed proxy has */
        const char *comma = strrchr(from, ',');
        const char *s = comma ? comma + 1 : from;
        s += strspn(s, " \t");
        size_t len = strcspn(s, " \t,");
        struct in6_addr a;
        if (!m8__address_parse(s, len, &a)) return;
        char *copy = m8_http_alloc(r, (size_t)(s - from) + len + 1);
        if (!copy) return;
        memcpy(copy, s, len);
        r->peer = copy;
        if (!comma || !m8__address_is_proxy(r->c->h, &a)) return;
        size_t rest = (size_t)(comma - from);
        copy = m8_http_alloc(r, rest + 1);
        if (!copy) return;
        memcpy(copy, from, rest);
        from = copy;
    }
}

/* The path of the target (n bytes), decoded, at `to`, and behind it, if it was not normal, made normal. false: malformed. */
static bool read_path(m8_http_req *r, char *to, const char *path, size_t n)
{
    memcpy(to, path, n);
    ssize_t len = m8_percent_decode(to, n, false);
    if (len < 1 || *to != '/') return false;
    to[len] = 0;
    r->raw = r->path = to;
    for (ssize_t i = 0; i < len; i++) {
        if (to[i] != '/' || (to[i + 1] != '/' && to[i + 1] != '.')) continue;
        r->path = to + len + 1;
        memcpy(r->path, to, (size_t)len);
        m8__path_normal(r->path, (size_t)len);
        break;
    }
    return true;
}

int m8__req_new(struct conn *c, const char *text, size_t n, const char **why)
{
    struct m8__head h;
    int status = m8__head_read(&h, text, n, why);
    if (status) return status;
    size_t fields = h.n_fields * sizeof *h.field, paths = 2 * (size_t)h.n_target + 4;
    m8_http_req *r = m8_malloc(sizeof *r + fields + n + 1 + paths);
    *why = "Out of memory";
    if (!r) return 503;
    *r = (m8_http_req){
        .c = c, .n_fields = h.n_fields, .http10 = h.http10, .chunked = h.chunked, .left = h.length,
        .expect = h.expect && !h.http10, .encoded = h.encoded, .upgrade = h.upgrade, .secure = c->ssl != NULL,
        .peer = c->peer, .query = "", .host = c->h->own_host,
    };
    r->field = (struct m8__field *)(r + 1);
    r->text = (char *)r->field + fields;
    memcpy(r->field, h.field, fields);
    memcpy(r->text, text, n);
    r->text[n] = 0;
    for (unsigned i = 0; i < h.n_fields; i++) {
        r->text[h.field[i].name + h.field[i].n_name] = 0;
        r->text[h.field[i].value + h.field[i].n_value] = 0;
    }
    r->method = r->text;
    r->method[h.n_method] = 0;
    r->target = r->text + h.target;
    r->target[h.n_target] = 0;
    r->head_only = !strcmp(r->method, "HEAD");
    if (h.site >= 0) r->cross_site = !strcmp(r->text + h.field[h.site].value, "cross-site");
    c->req = r;
    c->keep = h.http10 ? h.keep_alive && !h.close : !h.close;

    const char *at = r->target, *host = h.host >= 0 ? r->text + h.field[h.host].value : NULL;
    size_t n_host = host ? strlen(host) : 0, n_name;
    *why = "Bad Host";
    int port;
    if (host && m8__host_read(host, n_host, &n_name, &port) == M8__HOST_BAD) return 400;
    if (host) r->host = host;
    *why = "Bad target";
    if (!strcmp(r->method, "CONNECT") || (*at == '*' && !at[1])) { /* there are no routes for these */
        r->raw = r->path = r->target;
        r->named = r->host;
        return 0;
    }
    size_t scheme = !strncasecmp(at, "http://", 7) ? 7 : !strncasecmp(at, "https://", 8) ? 8 : 0;
    if (scheme) { /* the whole URL, as to a proxy: its host counts */
        at += scheme;
        size_t len = strcspn(at, "/?");
        if (m8__host_read(at, len, &n_name, &port) == M8__HOST_BAD) return 400;
        char *copy = m8_http_alloc(r, len + 1);
        *why = "Out of memory";
        if (!copy) return 503;
        r->host = memcpy(copy, at, len);
        at += len;
    }
    *why = "Bad target";
    char *query = strchr(at, '?');
    if (query) r->query = query + 1;
    size_t n_path = query ? (size_t)(query - at) : strlen(at);
    if (scheme && !n_path) at = "/", n_path = 1;
    if (!read_path(r, r->text + n + 1, at, n_path)) return 400;
    r->named = r->host;
    if (c->h->n_proxies && m8__address_is_proxy(c->h, &c->address)) believe(r);
    return 0;
}

void m8__req_free(m8_http_req *r)
{
    if (!r) return;
    while (r->extra) {
        struct m8__extra *e = r->extra;
        r->extra = e->next;
        m8_free(e);
    }
    m8_buf_finish(&r->body);
    m8_buf_finish(&r->set);
    m8_free(r);
}

/* Control bytes become \xNN: a name must not forge lines of the log. */
static void escape(char *out, size_t size, const char *s)
{
    size_t n = 0;
    for (; *s && n + 5 < size; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < ' ' || c == 0x7F || c == '\\') n += (size_t)snprintf(out + n, 5, "\\x%02X", c);
        else out[n++] = (char)c;
    }
    out[n] = 0;
}

void m8__req_end(struct conn *c, bool gone)
{
    m8_http_req *r = c->req;
    m8_http *h = c->h;
    c->req = NULL;
    if (h->o.log) {
        char who[256];
        escape(who, sizeof who, r->who ? r->who : "");
        m8_http_log line = { .method = r->method, .target = r->target, .peer = r->peer, .user = who, .status = r->status,
                             .bytes = c->n_sent, .took_s = m8_now_s() - c->began };
        h->o.log(h->o.user, &line);
    }
    if (r->on_end) r->on_end(r->on_end_user, gone);
    m8__req_free(r);
}

/* ---- what handlers ask ------------------------------------------------------------------------------------------------ */

const char *m8_http_method(const m8_http_req *r) { return r->method; }
const char *m8_http_path(const m8_http_req *r) { return r->path; }
const char *m8_http_query(const m8_http_req *r) { return r->query; }
const char *m8_http_peer(const m8_http_req *r) { return r->peer; }
const char *m8_http_host(const m8_http_req *r) { return r->host; }
bool m8_http_secure(const m8_http_req *r) { return r->secure; }
m8_http *m8_http_of(const m8_http_req *r) { return r->c->h; }
const void *m8_http_connection(const m8_http_req *r) { return r->c; }
void m8_http_set_user(m8_http_req *r, void *user) { r->user = user; }
void *m8_http_user(const m8_http_req *r) { return r->user; }

const char *m8_http_rest(const m8_http_req *r)
{
    size_t n = r->route ? strlen(r->route->path) : 0;
    if (!n || r->route->path[n - 1] != '*') return "";
    return !strncmp(r->raw, r->route->path, n - 1) ? r->raw + n - 1 : r->path + n - 1;
}

bool m8_http_each_header(const m8_http_req *r, size_t i, const char **name, const char **value)
{
    if (i >= r->n_fields) return false;
    *name = r->text + r->field[i].name;
    *value = r->text + r->field[i].value;
    return true;
}

const char *m8_http_header(const m8_http_req *r, const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < r->n_fields; i++)
        if (r->field[i].n_name == n && !strncasecmp(r->text + r->field[i].name, name, n)) return r->text + r->field[i].value;
    return NULL;
}

void *m8_http_alloc(m8_http_req *r, size_t n)
{
    struct m8__extra *e = n > SIZE_MAX - sizeof *e ? NULL : m8_calloc(1, sizeof *e + n);
    if (!e) return NULL;
    e->next = r->extra;
    r->extra = e;
    return e->data;
}

const char *m8_http_arg(m8_http_req *r, const char *name)
{
    struct m8__pair p;
    size_t n = strlen(r->query);
    for (size_t at = 0; m8__form_next(r->query, n, &at, &p);) {
        if (!m8__form_is(p.name, p.n_name, name)) continue;
        char *s = m8_http_alloc(r, p.n_value + 1);
        if (!s) return NULL;
        memcpy(s, p.value, p.n_value);
        ssize_t len = m8_percent_decode(s, p.n_value, true);
        if (len < 0) return NULL;
        s[len] = 0;
        return s;
    }
    return NULL;
}

const char *m8_http_cookie(m8_http_req *r, const char *name)
{
    const char *field, *value;
    for (size_t i = 0; m8_http_each_header(r, i, &field, &value); i++) {
        size_t n;
        const char *at = strcasecmp(field, "cookie") ? NULL : m8__cookie_find(value, name, &n);
        if (!at) continue;
        char *s = m8_http_alloc(r, n + 1);
        return s ? memcpy(s, at, n) : NULL;
    }
    return NULL;
}

const char *m8_http_body(const m8_http_req *r, size_t *n)
{
    if (n) *n = r->body.len;
    return r->body.data ? r->body.data : "";
}

const char *m8_http_root(m8_http_req *r)
{
    if (r->root) return r->root;
    const char *path = r->c->h->root_path;
    if (strstr(path, "://")) return path;
    size_t n = strlen(r->host) + strlen(path) + 9;
    r->root = m8_http_alloc(r, n);
    if (r->root) snprintf(r->root, n, "%s://%s%s", r->secure ? "https" : "http", r->host, path);
    return r->root;
}

void m8_http_set_name(m8_http_req *r, const char *who)
{
    size_t n = strlen(who);
    char *copy = m8_http_alloc(r, n + 1);
    if (copy) r->who = memcpy(copy, who, n);
}

void m8_http_on_end(m8_http_req *r, void (*fn)(void *user, bool gone), void *user)
{
    r->on_end = fn;
    r->on_end_user = user;
}
