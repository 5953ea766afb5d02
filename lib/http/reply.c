/* Answers. The head is made in one buffer of the server's and copied behind what the connection still has to send. */
#include "server.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "form.h"

const char *m8__reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } all[] = {
        { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 206, "Partial Content" },
        { 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" }, { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
        { 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" },
        { 411, "Length Required" }, { 412, "Precondition Failed" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" }, { 417, "Expectation Failed" }, { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" }, { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].status == status) return all[i].text;
    return "Status";
}

const char *m8__date_now(m8_http *h)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != h->date_at) m8__date_write(h->date, now.tv_sec);
    h->date_at = now.tv_sec;
    return h->date;
}

static void add_number(m8_buf *b, uint64_t n)
{
    char text[20];
    size_t at = sizeof text;
    do text[--at] = (char)('0' + n % 10);
    while (n /= 10);
    m8_buf_add(b, text + at, sizeof text - at);
}

/* The value of a field, without what would end it. */
static void add_value(m8_buf *b, const char *s)
{
    while (*s) {
        size_t n = 0;
        while ((unsigned char)s[n] >= ' ' && s[n] != 0x7F) n++;
        m8_buf_add(b, s, n);
        s += n;
        if (*s) s++;
    }
}

static void add_status(m8_http *h, int status)
{
    m8_buf *b = &h->head;
    m8_buf_clear(b);
    m8_buf_str(b, "HTTP/1.1 ");
    add_number(b, (uint64_t)status);
    m8_buf_chr(b, ' ');
    m8_buf_str(b, m8__reason(status));
    m8_buf_str(b, "\r\nDate: ");
    m8_buf_str(b, m8__date_now(h));
    m8_buf_str(b, "\r\nX-Content-Type-Options: nosniff\r\n");
}

/* Begin an answer: false: there is one already, or nobody to have it. */
static bool begin(m8_http_req *r, int status)
{
    struct conn *c = r->c;
    if (c->dead || r->answer != M8__NO_ANSWER) return false;
    r->status = (int16_t)(status < 200 || status > 999 ? 500 : status);
    r->answer = M8__BEGUN;
    if (c->state == M8__BODY) { /* given early: what is left of the body is not read */
        c->keep = false;
        c->unread = true;
        c->state = M8__BUSY;
        m8__wait_set(c, M8__WAIT_NONE);
    }
    if (c->h->closing) c->keep = false;
    m8__conn_dirty(c);
    return true;
}

static void end(m8_http_req *r)
{
    r->answer = M8__ENDED;
    m8__conn_dirty(r->c);
}

/* length below 0: not known. */
static void send_head(m8_http_req *r, const char *mime, int64_t length)
{
    struct conn *c = r->c;
    m8_buf *b = &c->h->head;
    add_status(c->h, r->status);
    bool empty = r->status == 204 || r->status == 304;
    if (mime && *mime && !empty) {
        m8_buf_str(b, "Content-Type: ");
        add_value(b, mime);
        m8_buf_str(b, "\r\n");
    }
    if (length >= 0 && !empty) {
        m8_buf_str(b, "Content-Length: ");
        add_number(b, (uint64_t)length);
        m8_buf_str(b, "\r\n");
    }
    if (length < 0 && !empty) {
        r->out_chunked = !r->http10;
        if (r->http10) c->keep = false;
        else m8_buf_str(b, "Transfer-Encoding: chunked\r\n");
    }
    if (!c->keep) m8_buf_str(b, "Connection: close\r\n");
    else if (r->http10) m8_buf_str(b, "Connection: keep-alive\r\n");
    m8__origin_headers(r, b);
    if (!r->may_be_kept) m8_buf_str(b, "Cache-Control: no-store\r\n"); /* answers are for who asked, unless the handler says else */
    m8_buf_add(b, r->set.data, r->set.len);
    m8_buf_str(b, "\r\n");
    if (b->status || r->set.status) m8__conn_kill(c);
    else m8__out_add(c, b->data, b->len);
    m8_buf_finish(&r->set);
}

static bool has_body(const m8_http_req *r) { return !r->head_only && r->status != 204 && r->status != 304; }

void m8_http_set(m8_http_req *r, const char *name, const char *value)
{
    static const char *const ours[] = { "content-length", "transfer-encoding", "connection", "date", "x-content-type-options" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (m8__same(name, strlen(name), ours[i])) return;
    if (!value || r->answer != M8__NO_ANSWER || !m8__is_token(name, strlen(name))) return;
    if (m8__same(name, strlen(name), "cache-control")) r->may_be_kept = true;
    m8_buf_str(&r->set, name);
    m8_buf_str(&r->set, ": ");
    add_value(&r->set, value);
    m8_buf_str(&r->set, "\r\n");
}

void m8_http_reply(m8_http_req *r, int status, const char *mime, const void *data, size_t n)
{
    if (!begin(r, status)) return;
    send_head(r, mime, (int64_t)n);
    if (has_body(r)) m8__out_add(r->c, data, n);
    end(r);
}

void m8_http_reply_static(m8_http_req *r, int status, const char *mime, const void *data, size_t n)
{
    if (!begin(r, status)) return;
    send_head(r, mime, (int64_t)n);
    if (!has_body(r)) {}
    else if (n < 512) m8__out_add(r->c, data, n);
    else m8__out_borrow(r->c, data, n, false);
    end(r);
}

void m8_http_reply_buf(m8_http_req *r, int status, const char *mime, m8_buf *body)
{
    m8_buf b = *body;
    *body = (m8_buf){ 0 };
    if (b.status) m8_http_refuse(r, 500, "Out of memory");
    else if (b.len < 1024 || !begin(r, status)) {
        m8_http_reply(r, status, mime, b.data, b.len);
    } else {
        send_head(r, mime, (int64_t)b.len);
        if (has_body(r)) {
            m8__out_borrow(r->c, b.data, b.len, true);
            b.data = NULL;
        }
        end(r);
    }
    m8_buf_finish(&b);
}

void m8__reply_file(m8_http_req *r, int status, const char *mime, int fd, uint64_t from, uint64_t n)
{
    if (!begin(r, status)) {
        m8_sys_get()->close(fd);
        return;
    }
    send_head(r, mime, (int64_t)n);
    m8__out_file(r->c, fd, from, has_body(r) ? n : 0);
    end(r);
}

/* Text as JSON's inside of quotes. */
static void add_json(m8_buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') m8_buf_chr(b, '\\');
        if ((unsigned char)*s < ' ') m8_buf_printf(b, "\\u%04x", (unsigned)*s);
        else m8_buf_chr(b, *s);
    }
}

void m8_http_refuse(m8_http_req *r, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m8__make_utf8(text);
    m8_buf b = { 0 };
    m8_buf_str(&b, "{\"detail\":\"");
    add_json(&b, text);
    m8_buf_str(&b, "\"}");
    if (b.status) m8__conn_kill(r->c);
    else {
        atomic_fetch_add_explicit(&r->c->h->refused, 1, memory_order_relaxed);
        m8_http_reply(r, status, "application/json", b.data, b.len);
    }
    m8_buf_finish(&b);
}

void m8__conn_refuse(struct conn *c, int status, const char *text)
{
    m8_http *h = c->h;
    m8_buf *b = &h->head;
    char body[160];
    int n = snprintf(body, sizeof body, "{\"detail\":\"%.100s\"}", text);
    add_status(h, status);
    m8_buf_printf(b, "Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, body);
    atomic_fetch_add_explicit(&h->refused, 1, memory_order_relaxed);
    if (b->status) {
        m8__conn_kill(c);
        return;
    }
    m8__out_add(c, b->data, b->len);
    if (h->o.log) {
        m8_http_log line = { .method = "-", .target = "-", .peer = c->peer, .user = "", .status = status, .bytes = c->n_out,
                             .took_s = c->began > 0 ? h->now - c->began : 0 };
        h->o.log(h->o.user, &line);
    }
    c->keep = false;
    c->unread = true;
    c->state = M8__LINGER;
    m8__conn_dirty(c);
}

void m8_http_redirect(m8_http_req *r, const char *path)
{
    if (path[0] != '/' || path[1] == '/' || strchr(path, '\\')) {
        m8_http_refuse(r, 400, "Bad redirect"); /* never to another host */
        return;
    }
    m8_buf b = { 0 };
    const char *root = m8_http_root(r);
    m8_buf_str(&b, root ? root : "");
    for (; *path; path++) {
        if ((unsigned char)*path > ' ' && (unsigned char)*path < 0x7F) m8_buf_chr(&b, *path);
        else m8_buf_printf(&b, "%%%02X", (unsigned char)*path);
    }
    if (b.status || !root) m8_http_abort(r);
    else {
        m8_http_set(r, "Location", b.data);
        m8_http_reply(r, 302, "text/plain", "", 0);
    }
    m8_buf_finish(&b);
}

void m8_http_begin(m8_http_req *r, int status, const char *mime)
{
    if (!begin(r, status)) return;
    send_head(r, mime, -1);
    if (!has_body(r)) end(r);
}

void m8__piece_close(m8_http_req *r)
{
    if (!r->piece) return;
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 4; i++) r->piece[i] = digits[r->n_piece >> (12 - 4 * i) & 15];
    struct m8__seg *s = r->piece_at;
    while (r->piece == s->data + s->off && *r->piece == '0') { /* what nobody sees yet needs no leading zeros */
        s->off++;
        r->piece++;
        r->c->n_out--;
    }
    r->piece = NULL;
    m8__out_add(r->c, "\r\n", 2);
}

void m8_http_write(m8_http_req *r, const void *data, size_t n)
{
    struct conn *c = r->c;
    if (r->answer != M8__BEGUN || c->dead || !n) return;
    const char *from = data;
    if (!r->out_chunked) m8__out_add(c, from, n);
    while (r->out_chunked && n && !c->dead) {
        if (!r->piece) {
            r->piece = m8__out_room(c, 6);
            if (!r->piece) return;
            memcpy(r->piece, "0000\r\n", 6);
            r->piece_at = (struct m8__seg *)((char *)c->out_end - offsetof(struct m8__seg, next));
            r->n_piece = 0;
        }
        size_t m = n < 0xFFFF - r->n_piece ? n : 0xFFFF - r->n_piece;
        m8__out_add(c, from, m);
        r->n_piece += m;
        from += m;
        n -= m;
        if (r->n_piece == 0xFFFF) m8__piece_close(r);
    }
    m8__conn_dirty(c);
}

size_t m8_http_unsent(const m8_http_req *r) { return r->c->n_out; }

void m8_http_end(m8_http_req *r)
{
    if (r->answer != M8__BEGUN || r->c->dead) return;
    m8__piece_close(r);
    if (r->out_chunked) m8__out_add(r->c, "0\r\n\r\n", 5);
    end(r);
}

void m8_http_abort(m8_http_req *r) { m8__conn_kill(r->c); }
