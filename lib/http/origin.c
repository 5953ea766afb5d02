/* Whose pages may call, and under which names: CORS, and the Host against DNS rebinding.
 *
 *  An origin is ours if it is exactly the scheme, host and port of the request; or loopback, if the request's Host is loopback too (an app on one
 *  port calls another's); or listed. Everything else, "null" too, gets no header that would let a page read the answer, and may change nothing. */
#include "form.h"
#include "server.h"
#include <string.h>

static bool same_host(const char *a, size_t n, const char *b, size_t m) { return n == m && !strncasecmp(a, b, n); }

/* "name" or "name:port" of the options. */
static bool is_named(const m8_http *h, const char *host, size_t n_host)
{
    for (size_t i = 0; i < h->o.n_names; i++) {
        const char *name = h->names[i];
        size_t n;
        int port;
        if (m8__host_read(name, strlen(name), &n, &port) == M8__HOST_BAD) n = strlen(name);
        if (same_host(name, n, host, n_host)) return true;
    }
    return false;
}

bool m8__host_allowed(const m8_http *h, const char *host)
{
    size_t n;
    int port;
    enum m8__host_kind kind = m8__host_read(host, strlen(host), &n, &port);
    if (kind == M8__HOST_IP || kind == M8__HOST_LOOPBACK) return true;
    if (kind == M8__HOST_BAD) return false;
    return is_named(h, host, n) || (!h->loopback && !h->o.n_names);
}

void m8__origin_check(m8_http_req *r, const char *origin)
{
    const m8_http *h = r->c->h;
    r->origin_kind = origin ? M8__ORIGIN_FOREIGN : M8__ORIGIN_NONE;
    if (!origin) return;
    bool ours = false;
    for (size_t i = 0; i < h->o.n_origins; i++)
        if (!strcasecmp(h->origins[i], origin)) ours = true;
    const char *sep = strstr(origin, "://");
    size_t n, n_host;
    int port, own_port;
    enum m8__host_kind kind = sep ? m8__host_read(sep + 3, strlen(sep + 3), &n, &port) : M8__HOST_BAD;
    enum m8__host_kind own = m8__host_read(r->host, strlen(r->host), &n_host, &own_port);
    bool plain = sep && m8__same(origin, (size_t)(sep - origin), "http");
    bool tls = sep && m8__same(origin, (size_t)(sep - origin), "https");
    if (kind != M8__HOST_BAD && own != M8__HOST_BAD && (plain || tls)) {
        if (!port) port = tls ? 443 : 80;
        if (!own_port) own_port = r->secure ? 443 : 80;
        if (tls == r->secure && port == own_port && same_host(sep + 3, n, r->host, n_host)) ours = true;
        static const char *const loopback[] = { "localhost", "127.0.0.1", "[::1]", "0.0.0.0" };
        for (size_t i = 0; i < 4 && own == M8__HOST_LOOPBACK; i++)
            if (same_host(sep + 3, n, loopback[i], strlen(loopback[i]))) ours = true;
    }
    if (!ours) return;
    r->origin_kind = M8__ORIGIN_OURS;
    r->origin = origin;
}

void m8__origin_headers(m8_http_req *r, m8_buf *out)
{
    if (r->origin_kind == M8__ORIGIN_NONE) return;
    m8_buf_str(out, "Access-Control-Allow-Credentials: true\r\n");
    if (r->origin_kind != M8__ORIGIN_OURS) return;
    m8_buf_str(out, "Access-Control-Allow-Origin: ");
    m8_buf_str(out, r->origin);
    m8_buf_str(out, "\r\nVary: Origin\r\n");
}

void m8__preflight(m8_http_req *r)
{
    m8_http_set(r, "Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    m8_http_set(r, "Access-Control-Max-Age", "600");
    const char *asked = m8_http_header(r, "access-control-request-headers");
    if (asked) m8_http_set(r, "Access-Control-Allow-Headers", asked);
    m8_http_reply(r, 200, "text/plain; charset=utf-8", "OK", 2);
}
