/* Which handler answers: the checks in front of it, and the body behind the head. */
#include "server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_prefix(const m8_route *t)
{
    size_t n = strlen(t->path);
    return n && t->path[n - 1] == '*';
}

/* Exact paths in order, then beginnings, the longest first. */
static int in_order(const void *a, const void *b)
{
    const m8_route *s = a, *t = b;
    bool p = is_prefix(s), q = is_prefix(t);
    if (p != q) return p ? 1 : -1;
    size_t n = strlen(s->path), m = strlen(t->path);
    if (p && n != m) return n > m ? -1 : 1;
    int order = strcmp(s->path, t->path);
    return order ? order : strcmp(s->method, t->method);
}

m8_status m8_http_route(m8_http *h, const m8_route *route, m8_error *err)
{
    bool method = route->method && m8__is_token(route->method, strlen(route->method));
    bool path = route->path && (route->path[0] == '/' || !strcmp(route->path, "*"));
    if (!method || !path || !route->handler)
        return m8_fail(err, M8_E_ARG, "a route needs a method, a path that begins with '/', and a handler");
    if (h->n_routes == h->cap_routes) {
        size_t cap = h->cap_routes ? 2 * h->cap_routes : 32;
        m8_route *p = m8_realloc(h->routes, cap * sizeof *p);
        if (!p) return m8_fail(err, M8_E_NOMEM, "adding a route");
        h->routes = p;
        h->cap_routes = cap;
    }
    h->routes[h->n_routes++] = *route;
    h->sorted = false;
    return M8_OK;
}

void m8_http_gate(m8_http *h, bool (*gate)(m8_http_req *r, void *user), void *user)
{
    h->gate = gate;
    h->gate_user = user;
}

/* The first route of the path; those with other methods follow it. NULL: there is none. */
static const m8_route *find_path(m8_http *h, const char *path, size_t *n)
{
    if (!h->sorted) qsort(h->routes, h->n_routes, sizeof *h->routes, in_order);
    h->sorted = true;
    size_t from = 0, to = h->n_routes;
    while (from < to) { /* among the exact ones */
        size_t mid = from + (to - from) / 2;
        if (is_prefix(&h->routes[mid]) || strcmp(h->routes[mid].path, path) >= 0) to = mid;
        else from = mid + 1;
    }
    bool found = from < h->n_routes && !is_prefix(&h->routes[from]) && !strcmp(h->routes[from].path, path);
    while (!found && from < h->n_routes) {
        const char *p = h->routes[from].path;
        if (is_prefix(&h->routes[from]) && !strncmp(p, path, strlen(p) - 1)) found = true;
        else from++;
    }
    for (*n = 0; found && from + *n < h->n_routes && !strcmp(h->routes[from + *n].path, h->routes[from].path); ++*n) {}
    return found ? &h->routes[from] : NULL;
}

static const m8_route *find_method(const m8_route *t, size_t n, const char *method)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(t[i].method, method)) return &t[i];
    return strcmp(method, "HEAD") ? NULL : find_method(t, n, "GET");
}

static void not_allowed(m8_http_req *r, const m8_route *t, size_t n)
{
    m8_buf allow = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (i) m8_buf_str(&allow, ", ");
        m8_buf_str(&allow, t[i].method);
        if (!strcmp(t[i].method, "GET")) m8_buf_str(&allow, ", HEAD");
    }
    m8_http_set(r, "Allow", allow.data ? allow.data : "");
    m8_http_refuse(r, 405, "Method Not Allowed");
    m8_buf_finish(&allow);
}

static bool is_safe(const char *method)
{
    return !strcmp(method, "GET") || !strcmp(method, "HEAD") || !strcmp(method, "OPTIONS");
}

/* Everything that is checked before a route's handler runs. false: it is answered. */
static bool admit(m8_http_req *r)
{
    struct conn *c = r->c;
    m8_http *h = c->h;
    const char *origin = m8_http_header(r, "origin");
    if (c->over) {
        c->keep = false;
        m8_http_refuse(r, 429, "Too many connections");
        return false;
    }
    if (!m8__host_allowed(h, r->named)) {
        m8_http_refuse(r, 421, "This server has another name");
        return false;
    }
    m8__origin_check(r, origin);
    if (origin && !strcmp(r->method, "OPTIONS") && m8_http_header(r, "access-control-request-method")) {
        m8__preflight(r);
        return false;
    }
    size_t n;
    const m8_route *t = find_path(h, r->path, &n);
    r->route = t ? find_method(t, n, r->method) : NULL;
    bool foreign = r->origin_kind == M8__ORIGIN_FOREIGN || (r->cross_site && r->origin_kind != M8__ORIGIN_OURS);
    if (foreign && (!is_safe(r->method) || (r->route && r->route->unsafe) || r->upgrade)) {
        m8_http_refuse(r, 403, "Pages of other sites must not do this");
        return false;
    }
    if (!strcmp(r->method, "TRACE") || !strcmp(r->method, "CONNECT")) {
        c->keep = false;
        not_allowed(r, t, t ? n : 0);
        return false;
    }
    if (h->gate && !h->gate(r, h->gate_user)) return false;
    if (r->answer != M8__NO_ANSWER) return false;
    if (!t) m8_http_refuse(r, 404, "Not Found");
    else if (!r->route) not_allowed(r, t, n);
    return r->route != NULL;
}

static void call_handler(m8_http_req *r) { r->route->handler(r, r->route->user); }

void m8__req_begin(m8_http_req *r)
{
    struct conn *c = r->c;
    atomic_fetch_add_explicit(&c->h->requests, 1, memory_order_relaxed);
    bool has_body = r->chunked || r->left;
    if (has_body) {
        c->state = M8__BODY; /* an answer from here on is an early one */
        c->window = 0;
        m8__wait_set(c, M8__WAIT_BODY);
    } else {
        c->state = M8__BUSY;
        m8__wait_set(c, M8__WAIT_NONE);
    }
    if (!admit(r)) return;
    r->max_body = r->route->max_body ? r->route->max_body : c->h->o.max_body;
    if (r->encoded && has_body) m8_http_refuse(r, 415, "Compressed bodies are not taken");
    else if (!r->chunked && r->left > r->max_body) m8_http_refuse(r, 413, "The body is larger than %zu bytes", r->max_body);
    if (r->answer != M8__NO_ANSWER) return;
    if (r->route->body || !has_body) call_handler(r);
    if (r->route->body && !has_body && r->answer == M8__NO_ANSWER && !c->dead) r->route->body(r, "", 0, r->route->user);
    if (has_body && r->expect && r->answer == M8__NO_ANSWER) {
        m8__out_add(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        m8__conn_dirty(c);
    }
}

/* Bytes of the body, without their framing. false: refused. */
static bool take_piece(m8_http_req *r, const char *data, size_t n)
{
    if (!n) return true;
    r->n_body += n;
    if (r->n_body > r->max_body) m8_http_refuse(r, 413, "The body is larger than %zu bytes", r->max_body);
    else if (r->route->body) r->route->body(r, data, n, r->route->user);
    else {
        m8_buf_add(&r->body, data, n);
        if (r->body.status) m8_http_refuse(r, 503, "Out of memory");
    }
    return r->answer == M8__NO_ANSWER && !r->c->dead;
}

bool m8__req_body(m8_http_req *r, const char *at, size_t n, size_t *used)
{
    bool whole = false;
    *used = 0;
    if (!r->chunked) {
        *used = n < r->left ? n : (size_t)r->left;
        r->left -= *used;
        if (!take_piece(r, at, *used)) return false;
        whole = !r->left;
    }
    while (r->chunked && !whole && *used < n) {
        const char *data;
        size_t k, n_data;
        int status = m8__chunk_take(&r->chunk, at + *used, n - *used, &k, &data, &n_data);
        *used += k;
        if (status > 1) {
            m8_http_refuse(r, status, "Bad chunked body");
            return false;
        }
        if (!take_piece(r, data, n_data)) return false;
        whole = status == 1;
    }
    if (!whole) return false;
    r->c->state = M8__BUSY;
    m8__wait_set(r->c, M8__WAIT_NONE);
    if (r->route->body) r->route->body(r, "", 0, r->route->user);
    else call_handler(r);
    return true;
}
