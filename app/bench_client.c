#include "bench_client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60

static m8_status dial(struct client *c, m8_error *err)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    c->fd = m8_sys_get()->socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return m8_fail_errno(err, M8_E_IO, "socket");
    int yes = 1;
    struct timeval patience = { .tv_sec = PATIENCE_S };
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!connect(c->fd, (struct sockaddr *)&to, sizeof to)) return M8_OK;
    m8_status st = m8_fail_errno(err, M8_E_NET, "connecting to port %d", c->port);
    client_close(c);
    return st;
}

void client_close(struct client *c)
{
    if (c->fd >= 0) m8_sys_get()->close(c->fd);
    c->fd = -1;
    m8_buf_finish(&c->in);
    c->at = 0;
}

static m8_status more(struct client *c, m8_error *err)
{
    if (c->at == c->in.len) {
        m8_buf_clear(&c->in);
        c->at = 0;
    } else if (c->at > 1 << 16) { /* what is used up makes room */
        memmove(c->in.data, c->in.data + c->at, c->in.len - c->at + 1);
        c->in.len -= c->at;
        c->at = 0;
    }
    char bytes[1 << 16];
    ssize_t n = m8_sys_get()->recv(c->fd, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) return M8_OK;
    if (n < 0) return m8_fail_errno(err, M8_E_NET, "reading an answer");
    if (!n) return m8_fail(err, M8_E_NET, "the server closed the connection");
    m8_buf_add(&c->in, bytes, (size_t)n);
    return c->in.status;
}

/* A line up to "\r\n", NUL-terminated in place. */
static m8_status line(struct client *c, char **out, m8_error *err)
{
    for (;;) {
        char *from = c->in.data ? c->in.data + c->at : NULL, *end = from ? memmem(from, c->in.len - c->at, "\r\n", 2) : NULL;
        if (end) {
            *end = 0;
            *out = from;
            c->at += (size_t)(end - from) + 2;
            return M8_OK;
        }
        m8_status st = more(c, err);
        if (st) return st;
    }
}

static m8_status head(struct client *c, int *status, m8_error *err)
{
    char *l = NULL;
    m8_status st = line(c, &l, err);
    if (!st && sscanf(l, "HTTP/1.1 %d", status) != 1) st = m8_fail(err, M8_E_NET, "no status line: %.60s", l);
    c->chunked = c->last = c->ended = false;
    c->left = 0;
    bool sized = false;
    while (!st && !(st = line(c, &l, err)) && *l) {
        if (!strncasecmp(l, "content-length:", 15)) {
            c->left = strtoul(l + 15, NULL, 10);
            sized = true;
        } else if (!strncasecmp(l, "transfer-encoding:", 18)) {
            c->chunked = true;
        } else if (!strncasecmp(l, "connection: close", 17)) {
            c->last = true;
        }
    }
    if (!st && !sized && !c->chunked) st = m8_fail(err, M8_E_NET, "an answer without a length");
    return st;
}

static m8_status write_all(int fd, const void *data, size_t n, m8_error *err)
{
    for (const char *p = data; n;) {
        ssize_t k = m8_sys_get()->send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return m8_fail_errno(err, M8_E_NET, "sending a request");
        p += k;
        n -= (size_t)k;
    }
    return M8_OK;
}

m8_status client_send(struct client *c, const char *method, const char *path, const char *type, const void *body, size_t n, int *status,
                      m8_error *err)
{
    m8_status st = c->fd < 0 ? dial(c, err) : M8_OK;
    m8_buf b = {0};
    m8_buf_printf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", method, path, c->port);
    if (type) m8_buf_printf(&b, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, n);
    m8_buf_str(&b, "\r\n");
    if (type) m8_buf_add(&b, body, n);
    if (!st && b.status) st = m8_fail(err, b.status, "a request");
    if (!st) st = write_all(c->fd, b.data, b.len, err);
    if (!st) st = head(c, status, err);
    m8_buf_finish(&b);
    return st;
}

m8_status client_piece(struct client *c, const char **data, size_t *n, m8_error *err)
{
    m8_status st = M8_OK;
    char *l = NULL;
    *n = 0;
    if (c->chunked && !c->ended && !c->left) {
        st = line(c, &l, err);
        if (!st) c->left = strtoul(l, NULL, 16) + 2; /* with the line's end behind it, which is not handed out */
        if (!st && c->left == 2) {
            st = line(c, &l, err);
            c->ended = true;
            c->left = 0;
        }
    }
    size_t tail = c->chunked ? 2 : 0;
    if (!st && !c->left && c->last) client_close(c);
    if (st || !c->left) return st;
    while (!st && c->in.len - c->at < (tail ? tail + 1 : 1)) st = more(c, err);
    if (st) return st;
    size_t have = c->in.len - c->at;
    if (have >= c->left) {
        *n = c->left - tail;
        *data = c->in.data + c->at;
        c->at += c->left;
        c->left = 0;
    } else {
        *n = have < c->left - tail ? have : c->left - tail - 1; /* of a chunk a byte is kept, so that its end comes with some */
        if (!*n) {
            st = more(c, err);
            return st ? st : client_piece(c, data, n, err);
        }
        *data = c->in.data + c->at;
        c->at += *n;
        c->left -= *n;
    }
    return M8_OK;
}

m8_status client_ask(struct client *c, const char *method, const char *path, const char *type, const void *body, size_t n, m8_buf *out,
                     m8_error *err)
{
    int status = 0;
    const char *data;
    size_t got = 1;
    if (out) m8_buf_clear(out);
    m8_status st = client_send(c, method, path, type, body, n, &status, err);
    while (!st && got) {
        st = client_piece(c, &data, &got, err);
        if (!st && got && out) m8_buf_add(out, data, got);
    }
    if (!st && out && out->status) st = m8_fail(err, out->status, "an answer");
    if (!st && status != 200) {
        st = m8_fail(err, M8_E_NET, "%s %.80s: %d %.80s", method, path, status, out && out->data ? out->data : "");
        if (err) err->detail = status;
    }
    return st;
}

m8_status client_first_segment(struct client *c, const char *url, m8_error *err)
{
    const char *path = strstr(url, "/gradio_api/");
    m8_buf text = {0};
    bool got = false;
    m8_status st = path ? M8_OK : m8_fail(err, M8_E_NET, "no playlist: %.80s", url);
    for (int i = 0; i < 20000 && !st && !got; i++) {
        st = client_ask(c, "GET", path, NULL, NULL, 0, &text, err);
        char *save, *name = st ? NULL : strtok_r(text.data, "\r\n", &save);
        while (name && *name == '#') name = strtok_r(NULL, "\r\n", &save);
        if (name) {
            const char *full = strstr(name, "/gradio_api/");
            char *at = full ? m8_strdup(full) : m8_sprintf("%.*s/%s", (int)(strrchr(path, '/') - path), path, name);
            st = at ? client_ask(c, "GET", at, NULL, NULL, 0, &text, err) : m8_fail(err, M8_E_NOMEM, "a segment's path");
            if (!st && !text.len) st = m8_fail(err, M8_E_NET, "an empty segment");
            got = true;
            m8_free(at);
        } else if (!st) {
            nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
        }
    }
    if (!st && !got) st = m8_fail(err, M8_E_TIMEOUT, "no segment comes");
    m8_buf_finish(&text);
    return st;
}

/* ---- */

void visitor_init(struct visitor *v, int port)
{
    static atomic_uint n;
    *v = (struct visitor){ .client = { .fd = -1, .port = port } };
    snprintf(v->hash, sizeof v->hash, "b%07x%03x", (unsigned)getpid() & 0xFFFFFFF, atomic_fetch_add(&n, 1) & 0xFFF);
}

void visitor_finish(struct visitor *v)
{
    client_close(&v->client);
    m8_buf_finish(&v->line);
    m8_buf_finish(&v->post);
}

struct reading {
    m8_status (*message)(void *user, const char *json, m8_error *err);
    void *user;
    bool done;
};

static m8_status event(struct reading *r, const char *json, m8_error *err)
{
    if (strstr(json, "\"msg\":\"process_completed\"")) {
        if (!strstr(json, "\"success\":true")) return m8_fail(err, M8_E_NET, "a call failed: %.160s", json);
        r->done = true;
    } else if (strstr(json, "\"msg\":\"unexpected_error\"")) {
        return m8_fail(err, M8_E_NET, "%.160s", json);
    }
    return r->message ? r->message(r->user, json, err) : M8_OK;
}

/* Whole events out of the pieces; what is left of the last waits in v->line. */
static m8_status events(struct visitor *v, struct reading *r, const char *data, size_t n, m8_error *err)
{
    m8_status st = M8_OK;
    m8_buf_add(&v->line, data, n);
    if (v->line.status) return m8_fail(err, v->line.status, "an event");
    char *p = v->line.data, *all = p + v->line.len, *end;
    while (!st && (end = memmem(p, (size_t)(all - p), "\n\n", 2))) {
        *end = 0;
        if (!strncmp(p, "data: ", 6)) st = event(r, p + 6, err);
        p = end + 2;
    }
    v->line.len = (size_t)(all - p);
    memmove(v->line.data, p, v->line.len + 1);
    return st;
}

m8_status visitor_call(struct visitor *v, int fn_index, const char *data, m8_status (*message)(void *user, const char *json, m8_error *err),
                       void *user, m8_error *err)
{
    struct reading r = { .message = message, .user = user };
    m8_buf_clear(&v->post);
    m8_buf_clear(&v->line);
    m8_buf_printf(&v->post, "{\"data\":%s,\"fn_index\":%d,\"session_hash\":\"%s\"}", data, fn_index, v->hash);
    if (v->post.status) return m8_fail(err, v->post.status, "a call");
    m8_status st = client_ask(&v->client, "POST", "/gradio_api/queue/join", "application/json", v->post.data, v->post.len, &v->line, err);
    char path[80];
    snprintf(path, sizeof path, "/gradio_api/queue/data?session_hash=%s", v->hash);
    int status = 0;
    const char *piece;
    size_t n = 1;
    m8_buf_clear(&v->line);
    if (!st) st = client_send(&v->client, "GET", path, NULL, NULL, 0, &status, err);
    if (!st && status != 200) st = m8_fail(err, M8_E_NET, "GET %s: %d", path, status);
    while (!st && n) {
        st = client_piece(&v->client, &piece, &n, err);
        if (!st && n) st = events(v, &r, piece, n, err);
    }
    if (!st && !r.done) st = m8_fail(err, M8_E_NET, "the stream ended before its call");
    if (st) client_close(&v->client);
    return st;
}
