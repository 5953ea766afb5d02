/* server.h - what the parts of the server share. Everything here belongs to the loop's thread but where it says otherwise.
 *
 *  A connection:   HEAD -> BODY -> BUSY -> HEAD ...          HEAD: between requests, or within a head
 *                    \______________\__-> LINGER -> dead     BODY: its handler waits for it    BUSY: the answer is being made or sent
 *  LINGER: all is sent, the client is told so, and what it still sends is read over for a moment, lest the answer be lost (RFC 9112, 9.6).
 *  Nothing is freed while events are being worked through: m8__conn_kill() marks, m8__loop_turn() frees at the end of the turn. */
#ifndef M8_HTTP_SERVER_H
#define M8_HTTP_SERVER_H

#include "chunk.h"
#include "head.h"
#include <m8/http.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

struct conn;

/* ---- out.c: what is to be sent -------------------------------------------------------------------------------------- */

struct m8__seg {
    struct m8__seg *next;
    char *data;        /* room, borrowed, or owned */
    size_t off, len;   /* what is not yet sent: [off, len); of a file: bytes of it */
    size_t cap;        /* of room; 0: nothing is appended */
    int fd;            /* a file, owned; -1: data */
    bool owned;
    char room[];
};

void m8__out_add(struct conn *c, const void *data, size_t n);                 /* copies */
void m8__out_borrow(struct conn *c, const void *data, size_t n, bool owned); /* owned: freed once sent, also on failure */
void m8__out_file(struct conn *c, int fd, uint64_t from, uint64_t n);        /* fd is taken */
char *m8__out_room(struct conn *c, size_t n);                                /* n bytes to be written at once; NULL: no memory, the connection dies */
void m8__out_clear(struct conn *c);
void m8__out_flush(struct conn *c);

/* ---- timer.c ---------------------------------------------------------------------------------------------------------- */

/* Time-outs of connections: a list for each kind, whose lengths of time are all the same, so it is in order by itself. */
enum m8__wait { M8__WAIT_NONE, M8__WAIT_HEAD, M8__WAIT_IDLE, M8__WAIT_BODY, M8__WAIT_STALL, M8__WAIT_LINGER, M8__N_WAITS };

struct m8__link {
    struct m8__link *prev, *next;
};

void m8__wait_set(struct conn *c, enum m8__wait kind);

/* ---- a connection, a request ------------------------------------------------------------------------------------------- */

enum conn_state { M8__HEAD, M8__BODY, M8__BUSY, M8__LINGER };

struct conn {
    struct m8__link waiting; /* first: see m8__wait_expired() */
    struct m8__link all;
    m8_http *h;
    struct conn *next_dirty, *next_dead;
    m8_http_req *req;
    struct m8__seg *out, **out_end;
    size_t n_out;          /* bytes in out */
    uint64_t n_sent;       /* bytes of this answer that the kernel has */
    char *in;              /* what came and is not yet read: [in_off, in_len) */
    uint32_t in_off, in_len, in_cap;
    double began;          /* the first byte of a head came; 0: none yet */
    double deadline;       /* of waiting */
    struct m8__scan scan;
    int fd;
    uint32_t events;       /* asked of epoll */
    uint32_t window;       /* bytes of body since its time-out was set */
    uint8_t state, wait;
    bool dirty, dead;
    bool keep;             /* another request may follow */
    bool over;             /* one too many: refused */
    bool counted;          /* in the table of addresses */
    bool skipped;          /* one empty line before the head */
    bool lingers, unread;  /* unread: there may be bytes that nobody will read */
    void *ssl;
    struct in6_addr address; /* IPv4 mapped */
    char peer[INET6_ADDRSTRLEN];
};

struct m8__extra { /* memory of a request */
    struct m8__extra *next;
    _Alignas(16) char data[];
};

enum m8__answer { M8__NO_ANSWER, M8__BEGUN, M8__ENDED };
enum m8__origin { M8__ORIGIN_NONE, M8__ORIGIN_OURS, M8__ORIGIN_FOREIGN };

struct m8_http_req {
    struct conn *c;
    const m8_route *route;
    char *method, *path, *raw /* decoded, not made normal */, *query, *rest, *target;
    const char *host /* as the client sees it */, *named /* as the Host field has it */, *peer, *who;
    char *root;
    const char *origin; /* the Origin, once it is allowed */
    struct m8__extra *extra;
    m8_buf body, set; /* set: header lines of the handler */
    void *user;
    void (*on_end)(void *user, bool gone);
    void *on_end_user;
    struct m8__chunk chunk;
    uint64_t left;    /* bytes of body to come, unless chunked */
    uint64_t n_body;  /* bytes of body that came */
    size_t max_body;
    char *piece;      /* room for the size of the chunk that is being filled; NULL: none */
    struct m8__seg *piece_at;
    size_t n_piece;
    int16_t status;
    uint16_t n_fields;
    uint8_t answer, origin_kind, n_windows;
    bool head_only, http10, chunked, out_chunked, secure, expect, encoded, cross_site, upgrade, may_be_kept;
    struct m8__field *field; /* in the block of this request, names and values ended by NUL */
    char *text;
};

/* ---- a server -------------------------------------------------------------------------------------------------------- */

struct m8__post {
    struct m8__post *next;
    void (*fn)(void *user);
    void *user;
};

struct m8__stopper {
    struct m8__stopper *next;
    void (*fn)(void *user, double grace_s);
    void *user;
};

struct m8__address;

enum { M8__READ_SIZE = 64 * 1024 };

struct m8_http {
    m8_http_opts o;
    const char **names, **origins;
    struct in6_addr *proxies;
    size_t n_proxies;
    char *root_path, *own_host; /* own_host: for clients that name none */
    int listener, epoll, wake, port;
    bool loopback, accepting;
    m8_route *routes;
    size_t n_routes, cap_routes;
    bool sorted;
    bool (*gate)(m8_http_req *r, void *user);
    void *gate_user;
    void *tls;
    char *buffer; /* M8__READ_SIZE, for reading */
    m8_buf head;  /* the answer's head that is being made */

    struct m8__link conns, waits[M8__N_WAITS];
    double length[M8__N_WAITS];
    struct conn *dirty, *dead;
    int n_conns, n_over, max_conns, peak, spare;
    double trim_at, accept_at, now;
    struct m8__address **addresses;
    m8_http_timer **timers; /* a heap */
    size_t n_timers, cap_timers;
    m8_http_timer *running;
    char date[30];
    int64_t date_at;

    pthread_mutex_t lock; /* posts, ended */
    struct m8__post *posts, **posts_end;
    bool ended;
    struct m8__stopper *stoppers;
    atomic_llong stop_at_ms; /* monotonic; 0: not asked to */
    atomic_bool stopping;
    bool closing;            /* the loop has seen it */
    atomic_ullong requests, refused, bytes_in, bytes_out;
    atomic_int connections;
};

/* conn.c */
void m8__conn_new(m8_http *h, int fd, const struct sockaddr_storage *from);
void m8__conn_event(struct conn *c, uint32_t events);
void m8__conn_expired(struct conn *c, enum m8__wait kind);
void m8__conn_kill(struct conn *c);
void m8__conn_free(struct conn *c);
void m8__conn_dirty(struct conn *c); /* look at it again at the end of this turn */
void m8__conn_turn(struct conn *c);
void m8__conn_refuse(struct conn *c, int status, const char *text); /* without a request; and close */
void m8__conn_watch(struct conn *c, uint32_t events);

/* request.c */
int m8__req_new(struct conn *c, const char *text, size_t n, const char **why); /* 0, or the status to refuse with */
void m8__req_free(m8_http_req *r);
void m8__req_end(struct conn *c, bool gone); /* log, tell, free */

/* route.c */
void m8__req_begin(m8_http_req *r); /* the head is here: find the route, ask the gate */
bool m8__req_body(m8_http_req *r, const char *at, size_t n, size_t *used); /* true: the body is whole */

/* origin.c */
bool m8__host_allowed(const m8_http *h, const char *host);
void m8__origin_check(m8_http_req *r, const char *origin);
void m8__origin_headers(m8_http_req *r, m8_buf *out);
void m8__preflight(m8_http_req *r);

/* reply.c */
const char *m8__reason(int status);
void m8__piece_close(m8_http_req *r);
const char *m8__date_now(m8_http *h);

void m8__reply_file(m8_http_req *r, int status, const char *mime, int fd, uint64_t from, uint64_t n); /* fd is taken */

/* loop.c, timer.c, address.c, tls.c */
m8_status m8__loop_once(m8_http *h, bool wait, m8_error *err); /* one turn */
void m8__loop_turn(m8_http *h); /* its end */
void m8__stoppers_call(m8_http *h, double grace_s);
void m8__loop_wake(m8_http *h); /* any thread, any signal handler */
void m8__wait_expired(m8_http *h);
bool m8__wait_drop_idle(m8_http *h); /* close the connection that has been idle for longest; false: none is */
double m8__wait_next(const m8_http *h); /* seconds until something is due; below 0: never */
void m8__timers_run(m8_http *h);
void m8__timers_free(m8_http *h);
void m8__posts_run(m8_http *h);
bool m8__address_take(m8_http *h, struct conn *c); /* false: too many of this address */
void m8__address_drop(m8_http *h, struct conn *c);
void m8__addresses_free(m8_http *h);
bool m8__address_is_loopback(const struct in6_addr *a);
bool m8__address_parse(const char *s, size_t n, struct in6_addr *out);
bool m8__address_is_proxy(const m8_http *h, const struct in6_addr *a);
m8_status m8__tls_open(m8_http *h, const char *cert, const char *key, m8_error *err);
void m8__tls_close(m8_http *h);
bool m8__tls_new(struct conn *c);
void m8__tls_free(struct conn *c);
ssize_t m8__tls_recv(struct conn *c, void *buf, size_t n);       /* as recv(), with errno */
ssize_t m8__tls_send(struct conn *c, const void *buf, size_t n);
bool m8__tls_pending(struct conn *c); /* has read more than it gave */
void m8__tls_bye(struct conn *c);

#endif
