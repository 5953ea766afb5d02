/* Opening and closing a server. */
#include "server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { BACKLOG = 4096, SPARE_FILES = 64 /* descriptors that the rest of the program needs */, SPARE_REFUSED = 64 };

static bool copy_list(const char ***to, const char *const *from, size_t n)
{
    if (!n) return true;
    *to = m8_calloc(n, sizeof **to);
    for (size_t i = 0; *to && i < n; i++)
        if (!((*to)[i] = m8_strdup(from[i]))) return false;
    return *to != NULL;
}

static void free_list(const char **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) m8_free((char *)list[i]);
    m8_free(list);
}

static m8_status copy_opts(m8_http *h, const m8_http_opts *o, m8_error *err)
{
    h->o = *o;
    const char *root = o->root_path ? o->root_path : "";
    size_t n = strlen(root);
    while (n && root[n - 1] == '/') n--;
    h->root_path = m8_strndup(root, n);
    if (!h->root_path || !copy_list(&h->names, o->names, o->n_names) || !copy_list(&h->origins, o->origins, o->n_origins))
        return m8_fail(err, M8_E_NOMEM, "opening a server");
    if (o->n_proxies) h->proxies = m8_calloc(o->n_proxies, sizeof *h->proxies);
    if (o->n_proxies && !h->proxies) return m8_fail(err, M8_E_NOMEM, "opening a server");
    for (size_t i = 0; i < o->n_proxies; i++, h->n_proxies++)
        if (!m8__address_parse(o->proxies[i], strlen(o->proxies[i]), &h->proxies[i]))
            return m8_fail(err, M8_E_ARG, "a proxy's address is expected, not %s", o->proxies[i]);
    if (!h->o.max_body) h->o.max_body = 1024 * 1024;
    if (!h->o.max_per_address) h->o.max_per_address = 256;
    h->length[M8__WAIT_HEAD] = o->head_s > 0 ? o->head_s : 10;
    h->length[M8__WAIT_IDLE] = o->idle_s > 0 ? o->idle_s : 75;
    h->length[M8__WAIT_STALL] = o->stall_s > 0 ? o->stall_s : 30;
    h->length[M8__WAIT_BODY] = 5;
    h->length[M8__WAIT_LINGER] = 2;
    return M8_OK;
}

/* As many connections as descriptors allow; the soft limit is raised to the hard one. */
static void set_limits(m8_http *h)
{
    struct rlimit files;
    long most = 1024;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        rlim_t soft = files.rlim_cur;
        files.rlim_cur = files.rlim_max;
        if (files.rlim_cur != soft && setrlimit(RLIMIT_NOFILE, &files)) files.rlim_cur = soft;
        most = files.rlim_cur > 1000000 ? 1000000 : (long)files.rlim_cur;
    }
    most -= SPARE_FILES + SPARE_REFUSED;
    if (most < 16) most = 16;
    h->max_conns = h->o.max_connections > 0 && h->o.max_connections < most ? h->o.max_connections : (int)most;
    h->spare = SPARE_REFUSED;
}

static m8_status listen_at(m8_http *h, struct sockaddr *at, socklen_t size, m8_error *err)
{
    const m8_sys *sys = m8_sys_get();
    int one = 1, zero = 0, idle = 60, pause = 15;
    unsigned unheard_ms = (unsigned)(h->length[M8__WAIT_STALL] * 1e3); /* a client that vanished without a word */
    h->listener = sys->socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->listener < 0) return m8_fail_errno(err, M8_E_IO, "opening a socket");
    /* accepted sockets inherit these */
    setsockopt(h->listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(h->listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(h->listener, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(h->listener, IPPROTO_TCP, TCP_KEEPINTVL, &pause, sizeof pause);
    setsockopt(h->listener, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms);
    setsockopt(h->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->sa_family == AF_INET6) setsockopt(h->listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    int first = h->o.port, tries = h->o.n_ports > 1 && first ? h->o.n_ports : 1;
    for (int i = 0; i < tries && first + i <= 65535; i++) {
        in_port_t port = htons((uint16_t)(first + i));
        if (at->sa_family == AF_INET6) ((struct sockaddr_in6 *)at)->sin6_port = port;
        else ((struct sockaddr_in *)at)->sin_port = port;
        if (!bind(h->listener, at, size)) {
            if (!listen(h->listener, BACKLOG)) return M8_OK;
        }
        m8_status st = errno == EACCES || errno == EADDRNOTAVAIL ? M8_E_ARG : M8_E_IO;
        if (errno != EADDRINUSE) return m8_fail_errno(err, st, "listening at port %d", first + i);
    }
    return tries > 1 ? m8_fail(err, M8_E_BUSY, "all ports from %d to %d are taken", first, first + tries - 1)
                     : m8_fail(err, M8_E_BUSY, "port %d is taken", first);
}

static m8_status open_listener(m8_http *h, m8_error *err)
{
    const char *host = h->o.host ? h->o.host : "127.0.0.1";
    if (!strcmp(host, "localhost")) host = "127.0.0.1";
    if (h->o.port < 0 || h->o.port > 65535) return m8_fail(err, M8_E_ARG, "a port is from 0 to 65535, not %d", h->o.port);
    struct in6_addr a;
    if (!m8__address_parse(host, strlen(host), &a)) return m8_fail(err, M8_E_ARG, "an IP address to listen at is expected, not %s", host);
    h->loopback = m8__address_is_loopback(&a);
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = a };
    struct sockaddr_in four = { .sin_family = AF_INET };
    memcpy(&four.sin_addr, a.s6_addr + 12, 4);
    bool is_four = IN6_IS_ADDR_V4MAPPED(&a);
    m8_status st = is_four ? listen_at(h, (struct sockaddr *)&four, sizeof four, err)
                           : listen_at(h, (struct sockaddr *)&six, sizeof six, err);
    if (st) return st;
    union {
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } got;
    socklen_t size = sizeof got;
    if (getsockname(h->listener, (struct sockaddr *)&got, &size)) return m8_fail_errno(err, M8_E_IO, "asking for the port");
    h->port = ntohs(is_four ? got.four.sin_port : got.six.sin6_port);
    h->own_host = m8_sprintf(is_four ? "%s:%d" : "[%s]:%d", host, h->port);
    return h->own_host ? M8_OK : m8_fail(err, M8_E_NOMEM, "opening a server");
}

static m8_status open_epoll(m8_http *h, m8_error *err)
{
    const m8_sys *sys = m8_sys_get();
    h->epoll = sys->epoll_create(EPOLL_CLOEXEC);
    if (h->epoll < 0) return m8_fail_errno(err, M8_E_IO, "opening epoll");
    h->wake = sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (h->wake < 0) return m8_fail_errno(err, M8_E_IO, "opening an eventfd");
    struct epoll_event wake = { .events = EPOLLIN, .data.ptr = &h->wake };
    struct epoll_event listener = { .events = EPOLLIN, .data.ptr = &h->listener };
    if (sys->epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &wake) ||
        sys->epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->listener, &listener))
        return m8_fail_errno(err, M8_E_IO, "asking epoll");
    h->accepting = true;
    return M8_OK;
}

m8_status m8_http_open(m8_http **out, const m8_http_opts *opts, m8_error *err)
{
    static const m8_http_opts none = { 0 };
    *out = NULL;
    m8_http *h = m8_calloc(1, sizeof *h);
    if (!h) return m8_fail(err, M8_E_NOMEM, "opening a server");
    h->listener = h->epoll = h->wake = -1;
    pthread_mutex_init(&h->lock, NULL);
    h->posts_end = &h->posts;
    h->conns = (struct m8__link){ &h->conns, &h->conns };
    for (int i = 0; i < M8__N_WAITS; i++) h->waits[i] = (struct m8__link){ &h->waits[i], &h->waits[i] };
    h->buffer = m8_malloc(M8__READ_SIZE);
    m8_status st = h->buffer ? M8_OK : m8_fail(err, M8_E_NOMEM, "opening a server");
    if (!st) st = copy_opts(h, opts ? opts : &none, err);
    if (!st) {
        set_limits(h);
        st = open_listener(h, err);
    }
    if (!st && h->o.tls_cert) st = m8__tls_open(h, h->o.tls_cert, h->o.tls_key, err);
    if (!st) st = open_epoll(h, err);
    if (st) {
        m8_http_close(h);
        return st;
    }
    *out = h;
    return M8_OK;
}

int m8_http_port(const m8_http *h) { return h->port; }

void m8_http_close(m8_http *h)
{
    if (!h) return;
    m8__stoppers_call(h, -1);
    while (h->stoppers) {
        struct m8__stopper *s = h->stoppers;
        h->stoppers = s->next;
        m8_free(s);
    }
    pthread_mutex_lock(&h->lock);
    h->ended = true;
    pthread_mutex_unlock(&h->lock);
    m8__posts_run(h);
    const m8_sys *sys = m8_sys_get();
    if (h->listener >= 0) sys->close(h->listener);
    if (h->epoll >= 0) sys->close(h->epoll);
    if (h->wake >= 0) sys->close(h->wake);
    m8__tls_close(h);
    m8__timers_free(h);
    m8__addresses_free(h);
    free_list(h->names, h->o.n_names);
    free_list(h->origins, h->o.n_origins);
    m8_free(h->proxies);
    m8_free(h->root_path);
    m8_free(h->own_host);
    m8_free(h->routes);
    m8_free(h->buffer);
    m8_buf_finish(&h->head);
    pthread_mutex_destroy(&h->lock);
    m8_free(h);
}
