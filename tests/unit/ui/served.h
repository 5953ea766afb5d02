/* served.h - an app with nothing in it but what is served: files, uploads, streams, login, page. And a client. */
#ifndef SERVED_H
#define SERVED_H

#include "../http/http_test.h"
#include "files.h"
#include "stream.h"
#include <fcntl.h>
#include <sys/stat.h>

#define TMP "/tmp/magic8-test-served"

struct served {
    m8_blocks app;
    m8_block audio;
    struct server server;
};

/* A session of the name; what the files need of one. */
struct m8__session {
    m8_blocks *app;
    const char *hash;
};
const char *m8__session_hash(const struct m8__session *s) { return s->hash; }

/* The parts of an app that the page asks for texts. */
m8_status m8__config_text(m8_blocks *app, const char *root, const char *user, bool for_page, m8_buf *out, m8_error *err)
{
    m8_buf_printf(out, "{\"root\":\"%s\",\"username\":\"%s\",\"page\":%d,\"title\":\"</script><b>&'\xE2\x80\xA8\"}", root, user ? user : "", for_page);
    return out->status;
}
m8_status m8__info_text(m8_blocks *app, const char *root, bool all_endpoints, m8_buf *out, m8_error *err)
{
    m8_buf_str(out, "{\"secret\":\"endpoints\"}");
    return out->status;
}
json_t *m8__auth_config(m8_blocks *app, const char *root) { return json_pack("{s:b, s:s}", "auth_required", 1, "root", root); }

static inline m8_status served_mount(struct served *s, m8_http *h, m8_error *err)
{
    static const struct m8__component audio = { .type = "audio" };
    s->app.http = h;
    pthread_mutex_init(&s->app.lock, NULL);
    s->audio = (m8_block){ .app = &s->app, .type = &audio, .id = 4 };
    m8_status st = m8__files_open(&s->app, err);
    if (!st) st = m8__streams_open(&s->app, err);
    if (!st) st = m8__auth_open(&s->app, err);
    if (!st && h) st = m8__serve_routes(&s->app, err);
    return st;
}

static inline void served_unmount(struct served *s)
{
    m8__streams_close(&s->app);
    m8__auth_close(&s->app);
    m8__files_close(&s->app);
    pthread_mutex_destroy(&s->app.lock);
}

static inline void no_log(void *user, const m8_http_log *line) {}

/* opts in s->app.launch are set before. */
static inline void served_open(struct served *s)
{
    m8_error err = {0};
    server_open(&s->server, &(m8_http_opts){ .log = no_log }, NULL, 0);
    if (served_mount(s, s->server.h, &err)) fail_msg("%s", err.text);
    server_start(&s->server);
}

static inline void served_close(struct served *s)
{
    server_end(&s->server);
    served_unmount(s);
}

struct reply {
    int status;
    char *text, *body; /* text owned: head and body */
    size_t n_body;
};

static inline const char *header_of(const struct reply *r, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = strstr(r->text, "\r\n"); line && line + 4 <= r->body; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) || line[2 + n] != ':') continue;
        const char *v = line + 3 + n;
        while (*v == ' ') v++;
        size_t len = strcspn(v, "\r");
        if (len >= size) len = size - 1;
        memcpy(out, v, len);
        out[len] = 0;
        return out;
    }
    out[0] = 0;
    return NULL;
}

/* Undo chunked coding in place. */
static inline void unchunk(struct reply *r)
{
    char *from = r->body, *to = r->body, *end = r->body + r->n_body;
    while (from < end) {
        char *line;
        size_t n = strtoul(from, &line, 16);
        line += 2;
        if (!n || line + n > end) break;
        memmove(to, line, n);
        to += n;
        from = line + n + 2;
    }
    r->n_body = (size_t)(to - r->body);
    *to = 0;
}

static inline struct reply exchange_for(const struct served *s, const void *request, size_t n, int ms)
{
    enum { ROOM = 8 << 20 };
    struct reply r = { .text = malloc(ROOM) };
    int fd = dial(&s->server);
    say(fd, request, n);
    ssize_t k = hear(fd, r.text, ROOM, ms);
    close(fd);
    if (k < 0) fail_msg("the server did not close: %.200s", (const char *)request);
    sscanf(r.text, "HTTP/1.1 %3d", &r.status);
    char *end = strstr(r.text, "\r\n\r\n"), value[64];
    r.body = end ? end + 4 : r.text + k;
    r.n_body = (size_t)(r.text + k - r.body);
    if (header_of(&r, "transfer-encoding", value, sizeof value)) unchunk(&r);
    return r;
}

static inline struct reply exchange(const struct served *s, const void *request, size_t n) { return exchange_for(s, request, n, 10000); }

/* METHOD TARGET with further header lines, each ended by \r\n. */
static inline struct reply get(const struct served *s, const char *method, const char *target, const char *lines)
{
    m8_buf b = {0};
    m8_buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, target, lines ? lines : "");
    struct reply r = exchange(s, b.data, b.len);
    m8_buf_finish(&b);
    return r;
}

static inline void reply_free(struct reply *r) { free(r->text); }

static inline int status_of(const struct served *s, const char *method, const char *target, const char *lines)
{
    struct reply r = get(s, method, target, lines);
    reply_free(&r);
    return r.status;
}

static inline struct reply post(const struct served *s, const char *target, const char *type, const void *body, size_t n, const char *lines)
{
    m8_buf b = {0};
    m8_buf_printf(&b, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", target, type, n,
                  lines ? lines : "");
    m8_buf_add(&b, body, n);
    struct reply r = exchange(s, b.data, b.len);
    m8_buf_finish(&b);
    return r;
}

#define BOUNDARY "xXx"
#define MULTIPART "multipart/form-data; boundary=" BOUNDARY

static inline void add_part(m8_buf *b, const char *name, const char *filename, const void *data, size_t n)
{
    m8_buf_printf(b, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"%s%s%s\r\n\r\n", name, filename ? "; filename=\"" : "",
                  filename ? filename : "", filename ? "\"" : "");
    m8_buf_add(b, data, n);
    m8_buf_str(b, "\r\n");
}

static inline struct reply upload_with(const struct served *s, const char *filename, const void *data, size_t n, const char *lines)
{
    m8_buf b = {0};
    add_part(&b, "files", filename, data, n);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    struct reply r = post(s, "/gradio_api/upload", MULTIPART, b.data, b.len, lines);
    m8_buf_finish(&b);
    return r;
}

/* The path of an upload, new. */
static inline char *upload(const struct served *s, const char *filename, const char *text)
{
    struct reply r = upload_with(s, filename, text, strlen(text), NULL);
    if (r.status != 200) fail_msg("upload of %s: %d %s", filename, r.status, r.body);
    json_t *list = json_loads(r.body, 0, NULL);
    assert_int_equal(json_array_size(list), 1);
    char *path = strdup(json_string_value(json_array_get(list, 0)));
    json_decref(list);
    reply_free(&r);
    return path;
}

static inline char *file_url(const char *path)
{
    m8_buf b = {0};
    m8_buf_str(&b, "/gradio_api/file=");
    m8_percent_encode(&b, path, "/");
    return b.data; /* freed by m8_free */
}

static inline int fetch_status(const struct served *s, const char *path, const char *lines)
{
    char *url = file_url(path);
    int status = status_of(s, "GET", url, lines);
    m8_free(url);
    return status;
}

/* How many files lie in the cache folder (the lock aside). */
static inline int files_on_disk(const struct served *s)
{
    char command[600], line[32] = "";
    snprintf(command, sizeof command, "find '%s' -mindepth 1 -not -name .lock 2>/dev/null | wc -l", m8__files_dir((m8_blocks *)&s->app));
    FILE *f = popen(command, "r");
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    pclose(f);
    return atoi(line);
}

#endif
