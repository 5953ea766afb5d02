/** m8/http.h - a small HTTP/1.1 server. A route is a method, a path and a handler; the answer is one reply, a file, or a stream
 *  that is written as long as one likes.
 *
 *      m8_http *h;
 *      st = m8_http_open(&h, &(m8_http_opts){ .port = 7860 }, &err);
 *      if (!st) st = m8_http_route(h, &(m8_route){ .method = "GET", .path = "/hello", .handler = hello }, &err);
 *      if (!st) st = m8_http_run(h, &err);                                  -- until m8_http_stop()
 *      m8_http_close(h);
 *
 *      static void hello(m8_http_req *r, void *user) { m8_http_reply(r, 200, "text/plain", "hello\n", 6); }
 *
 *  Threads: there is one, the loop, which m8_http_run() runs. Handlers, timers and all functions that take an m8_http_req run on it and
 *  must not block. Work is done elsewhere and comes back by m8_http_post(), which any thread may call.
 *
 *  What is hostile is refused before a handler sees it: bytes that are not HTTP/1.1 as RFC 9112 writes it (400), heads beyond 32 KiB, lines
 *  beyond 8 KiB or 100 fields (431, 414), bodies beyond the route's limit (413), compressed bodies (415), a Host that is not the
 *  server's (421), a foreign Origin on anything that changes something (403), clients that are too slow or too many (408, 429).
 *  Refusals of the library itself are JSON: {"detail":"text"}. Errors, memory as m8/base.h says. */
#ifndef M8_HTTP_H
#define M8_HTTP_H

#include <m8/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct m8_http m8_http;         /* a server */
typedef struct m8_http_req m8_http_req; /* a request and its answer; valid until the answer has ended */

typedef struct m8_http_log {
    const char *method, *target, *peer, *user; /* control bytes escaped; user "" if none was set */
    int status;      /* 0: the client had gone before an answer */
    uint64_t bytes;  /* of the answer, heads included */
    double took_s;   /* from the first byte of the head to the last of the answer */
} m8_http_log;

typedef struct m8_http_opts {
    const char *host;              /* address to listen at; NULL: 127.0.0.1; "0.0.0.0" or "::" for all */
    int port;                      /* 0: any that is free, see m8_http_port() */
    int n_ports;                   /* try so many ports from `port` on (Gradio tries 100); 0: one */
    const char *tls_cert, *tls_key; /* PEM files; NULL: no TLS */
    const char *const *names;      /* [n_names] further names that a Host may carry; loopback names and IP addresses are always taken */
    size_t n_names;
    const char *const *origins;    /* [n_origins] foreign origins ("https://app.example:8443") whose pages may call */
    size_t n_origins;
    const char *const *proxies;    /* [n_proxies] addresses whose X-Forwarded-Host, -Proto and -For are believed; NULL: nobody's */
    size_t n_proxies;
    const char *root_path;         /* path or whole URL under which clients see the server, without a final '/'; NULL: "" */
    size_t max_body;               /* bytes, for routes without a limit of their own; 0: 1 MiB */
    int max_connections;           /* 0: as many as descriptors allow, less some */
    int max_per_address;           /* connections of one address (IPv6: /64) that is not loopback; 0: 256 */
    double head_s, idle_s, stall_s; /* time for a head, between requests, for a stuck write; 0: 10, 75, 30 */
    void (*log)(void *user, const m8_http_log *line); /* NULL: none; on the loop */
    void *user;
} m8_http_opts;

/** Listen. returns M8_OK, M8_E_ARG, M8_E_BUSY (the port is taken), M8_E_IO, M8_E_UNSUPPORTED (TLS files), M8_E_NOMEM. */
M8_API m8_status m8_http_open(m8_http **out, const m8_http_opts *opts, m8_error *err);
M8_API int m8_http_port(const m8_http *h);
M8_API m8_status m8_http_run(m8_http *h, m8_error *err); /* returns after m8_http_stop() */
/** Take no new connection, let answers end for at most grace_s seconds, then return from m8_http_run(). Any thread, also a signal handler. */
M8_API void m8_http_stop(m8_http *h, double grace_s);
M8_API bool m8_http_stopping(const m8_http *h);
/** fn is called twice: on the loop when the server begins to stop, with the seconds that answers have; and by m8_http_close(), with a negative number,
 *  before anything is freed: from then on no thread may use the server. Several may be added. false: no memory. */
M8_API bool m8_http_on_stop(m8_http *h, void (*fn)(void *user, double grace_s), void *user);
M8_API void m8_http_close(m8_http *h); /* not while it runs */

typedef struct m8_http_stats {
    uint64_t requests, refused, bytes_in, bytes_out;
    int connections;
} m8_http_stats;
M8_API void m8_http_get_stats(const m8_http *h, m8_http_stats *out); /* any thread */

/* ---- routes ------------------------------------------------------------------------------------------------------- */

typedef void (*m8_http_handler)(m8_http_req *r, void *user);

typedef struct m8_route {
    const char *method;      /* "GET" (takes HEAD too), "POST", ...; borrowed for ever, as is path */
    const char *path;        /* exact: "/config"; or, ending in '*', a beginning: "/gradio_api/file=*". A longer beginning wins */
    m8_http_handler handler; /* when the head is here and, unless `body` is set, the whole body, see m8_http_body() */
    size_t max_body;         /* bytes; 0: the server's */
    /** Set: the handler is called behind the head, then body with each piece as it comes and, at its end, with n 0. What the handler leaves in
     *  m8_http_set_user(r, ...) it finds by m8_http_user(r). A reply given early ends the request; the rest of the body is not read. */
    void (*body)(m8_http_req *r, const char *data, size_t n, void *user);
    void *user;
    bool unsafe;             /* a GET that foreign pages must not call */
} m8_route;

/** Add a route (before m8_http_run). A path with another method is 405 with Allow, an unknown path 404. */
M8_API m8_status m8_http_route(m8_http *h, const m8_route *route, m8_error *err);
/** Called before every route's handler, on the path made normal; false: it has replied. For logins. */
M8_API void m8_http_gate(m8_http *h, bool (*gate)(m8_http_req *r, void *user), void *user);

/* ---- what was asked ------------------------------------------------------------------------------------------------ */

/* All strings are borrowed from the request. */
M8_API const char *m8_http_method(const m8_http_req *r);
M8_API const char *m8_http_path(const m8_http_req *r);   /* percent-decoded once, "//" and dots resolved: what the routes saw */
M8_API const char *m8_http_rest(const m8_http_req *r);   /* of a route that ends in '*': what stood for it, percent-decoded once, else as it came */
M8_API const char *m8_http_query(const m8_http_req *r);  /* behind '?', as it came; "" */
M8_API const char *m8_http_header(const m8_http_req *r, const char *name); /* any case; the first of several; NULL */
M8_API bool m8_http_each_header(const m8_http_req *r, size_t i, const char **name, const char **value); /* the i-th; false: no more */
/** A field of the query ("a=1&b=2"), decoded; new by m8_http_keep() rules: freed with the request; NULL: not there. */
M8_API const char *m8_http_arg(m8_http_req *r, const char *name);
M8_API const char *m8_http_cookie(m8_http_req *r, const char *name); /* NULL: not there */
M8_API const char *m8_http_body(const m8_http_req *r, size_t *n);    /* NUL-terminated; "" */
M8_API const char *m8_http_peer(const m8_http_req *r);   /* address of the client, or what a believed proxy says it is */
M8_API const char *m8_http_host(const m8_http_req *r);   /* "localhost:7860" */
/** The URL of the app as this client sees it, without a final '/': root_path, forwarded headers and Host considered. */
M8_API const char *m8_http_root(m8_http_req *r);
M8_API bool m8_http_secure(const m8_http_req *r);        /* TLS here, or at a believed proxy */
M8_API m8_http *m8_http_of(const m8_http_req *r);
M8_API const void *m8_http_connection(const m8_http_req *r); /* the same for all requests of one connection; to be compared, no more */
M8_API void m8_http_set_user(m8_http_req *r, void *user);
M8_API void *m8_http_user(const m8_http_req *r);
M8_API void *m8_http_alloc(m8_http_req *r, size_t n);    /* zeroed; freed with the request; NULL: no memory */
M8_API void m8_http_set_name(m8_http_req *r, const char *who); /* for the log: who is logged in */
/** fn is called once when the request ends: its answer is sent, or the client is gone (gone true). */
M8_API void m8_http_on_end(m8_http_req *r, void (*fn)(void *user, bool gone), void *user);

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

/* A handler that returns without one of these has taken the request to answer it later, on the loop. Once the client has gone, which
 * m8_http_on_end() tells, there is no request any more. */
M8_API void m8_http_set(m8_http_req *r, const char *name, const char *value); /* a header, before the reply; bytes that do not belong are dropped */
M8_API void m8_http_reply(m8_http_req *r, int status, const char *mime, const void *data, size_t n); /* copies */
M8_API void m8_http_reply_static(m8_http_req *r, int status, const char *mime, const void *data, size_t n); /* borrowed for ever */
M8_API void m8_http_reply_buf(m8_http_req *r, int status, const char *mime, m8_buf *body); /* taken: body is empty after it */
M8_API void m8_http_refuse(m8_http_req *r, int status, const char *fmt, ...) M8_PRINTF(3, 4); /* {"detail":"text"} */
M8_API void m8_http_redirect(m8_http_req *r, const char *path); /* 302 to root + path; path begins with exactly one '/' */
/** Send an open regular file, taken (closed by the library): Range, ETag, Last-Modified, HEAD, 206, 304, 416. name: for Content-Disposition, NULL: none. */
M8_API void m8_http_file(m8_http_req *r, int fd, const char *mime, bool attachment, const char *name);
/** Begin an answer of unknown length. */
M8_API void m8_http_begin(m8_http_req *r, int status, const char *mime);
M8_API void m8_http_write(m8_http_req *r, const void *data, size_t n); /* copies; sent at the end of this turn of the loop, or sooner */
M8_API size_t m8_http_unsent(const m8_http_req *r); /* bytes that the client has not yet taken */
M8_API void m8_http_end(m8_http_req *r);
M8_API void m8_http_abort(m8_http_req *r);           /* break the connection off */

/* ---- the loop ------------------------------------------------------------------------------------------------------- */

/** Run fn(user) on the loop, in the order of posting. Any thread. false: no memory, or the server has ended: fn will not run. */
M8_API bool m8_http_post(m8_http *h, void (*fn)(void *user), void *user);

typedef struct m8_http_timer m8_http_timer;
/** Call fn(user) on the loop in after_s seconds and then, unless every_s is 0, every every_s. NULL: no memory. A timer that is not
 *  repeated is gone once it has run, all are with the server. Before m8_http_run() or on the loop. */
M8_API m8_http_timer *m8_http_timer_new(m8_http *h, double after_s, double every_s, void (*fn)(void *user), void *user);
M8_API void m8_http_timer_free(m8_http_timer *t);

/* ---- multipart/form-data, piece by piece ---------------------------------------------------------------------------- */

typedef struct m8_multipart m8_multipart;
typedef struct m8_part {
    const char *name, *filename, *mime; /* filename NULL: the part has none; as sent, not cleaned; UTF-8 made valid */
} m8_part;
typedef struct m8_multipart_sink {
    m8_status (*begin)(void *user, const m8_part *part); /* borrowed for the call */
    m8_status (*data)(void *user, const char *data, size_t n);
    m8_status (*end)(void *user);
    void *user;
} m8_multipart_sink;
/** content_type: the request's. At most 1000 parts with heads of at most 8 KiB and 32 lines; junk of at most 4 KiB around them.
 *  returns M8_OK, M8_E_FORMAT (no multipart/form-data, or no boundary), M8_E_NOMEM. */
M8_API m8_status m8_multipart_new(m8_multipart **out, const char *content_type, m8_multipart_sink sink, m8_error *err);
M8_API m8_status m8_multipart_push(m8_multipart *m, const char *data, size_t n, m8_error *err); /* M8_E_FORMAT, M8_E_LIMIT, or the sink's status */
M8_API m8_status m8_multipart_finish(m8_multipart *m, m8_error *err); /* M8_E_FORMAT: it broke off */
M8_API void m8_multipart_free(m8_multipart *m);

/** Percent-decode n bytes in place; '+' is a blank if plus. Returns the new length, or -1 where it is malformed or holds a NUL. */
M8_API ssize_t m8_percent_decode(char *s, size_t n, bool plus);
/** Append s with all but unreserved characters (and those of keep) percent-encoded. */
M8_API void m8_percent_encode(m8_buf *out, const char *s, const char *keep);
/** A field of an urlencoded body or query, decoded; new; NULL: not there, or no memory. */
M8_API char *m8_form_field(const char *form, size_t n, const char *name);

#ifdef __cplusplus
}
#endif
#endif
