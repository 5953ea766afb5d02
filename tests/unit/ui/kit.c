#include "kit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60.0

void sleep_s(double s) { nanosleep(&(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)}, NULL); }

/* ---- the server ------------------------------------------------------------------------------------------------------ */

static void *run(void *user)
{
    m8_http_run(user, NULL);
    return NULL;
}

void site_open(struct site *s, void (*build)(m8_block *page), const m8_launch_opts *opts)
{
    m8_error err = {0};
    *s = (struct site){0};
    if (m8_http_open(&s->http, NULL, &err) || m8_blocks_new(&s->app, NULL, &err)) fail_msg("%s", err.text);
    build(m8_blocks_root(s->app));
    if (m8_blocks_mount(s->app, s->http, opts, &err)) fail_msg("%s", err.text);
    s->port = m8_http_port(s->http);
    assert_int_equal(pthread_create(&s->loop, NULL, run, s->http), 0);
}

void site_close(struct site *s)
{
    m8_http_stop(s->http, 0);
    pthread_join(s->loop, NULL);
    m8_http_close(s->http);
    m8_blocks_free(s->app);
}

/* ---- a connection ------------------------------------------------------------------------------------------------------- */

static int connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool send_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t k = send(fd, data, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        data += k;
        n -= (size_t)k;
    }
    return true;
}

static struct sse *begin(const struct site *s, const char *method, const char *path, const char *headers, const void *body, size_t n)
{
    struct sse *e = calloc(1, sizeof *e);
    e->fd = connect_to(s->port);
    e->length = -1;
    char *head = NULL;
    int len = asprintf(&head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Length: %zu\r\n\r\n", method, path, s->port, headers, n);
    e->over = e->fd < 0 || !send_all(e->fd, head, (size_t)len);
    if (!e->over) send_all(e->fd, body, n); /* a server that refuses it may have stopped reading, and has answered */
    free(head);
    return e;
}

/* One more byte of what the server sends; -1: no more, or not in time. */
static int next_byte(struct sse *e, double until)
{
    while (e->raw_at == e->raw_n) {
        double left = until - m8_now_s();
        struct pollfd p = {.fd = e->fd, .events = POLLIN};
        int k = e->over || left <= 0 ? 0 : poll(&p, 1, (int)(left * 1000) + 1);
        if (k < 0 && errno == EINTR) continue;
        ssize_t n = k > 0 ? recv(e->fd, e->raw, sizeof e->raw, 0) : -1;
        if (k > 0 && n <= 0) e->over = true;
        if (n <= 0) return -1;
        e->raw_at = 0;
        e->raw_n = (size_t)n;
    }
    return (unsigned char)e->raw[e->raw_at++];
}

static bool next_line(struct sse *e, char *line, size_t size, double until)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(e, until)) >= 0 && c != '\n') {
        if (n + 1 < size && c != '\r') line[n++] = (char)c;
    }
    line[n] = 0;
    return c == '\n';
}

static void read_head(struct sse *e, double until)
{
    char line[4096];
    if (!next_line(e, line, sizeof line, until) || sscanf(line, "HTTP/1.1 %d", &e->status) != 1) {
        e->over = true;
        return;
    }
    while (next_line(e, line, sizeof line, until) && *line) {
        if (!strncasecmp(line, "content-length:", 15)) e->length = atoll(line + 15);
        if (!strcasecmp(line, "transfer-encoding: chunked")) e->chunked = true;
    }
    e->in_body = true;
    if (e->length == 0) e->over = true;
}

/* One more byte of the body; -1 as above. */
static int body_byte(struct sse *e, double until)
{
    if (!e->in_body) read_head(e, until);
    if (e->over && e->raw_at == e->raw_n) return -1;
    if (e->chunked && !e->chunk_left) {
        char line[64];
        if (!next_line(e, line, sizeof line, until)) return -1;
        if (!*line && !next_line(e, line, sizeof line, until)) return -1; /* behind the chunk before */
        e->chunk_left = strtoul(line, NULL, 16);
        if (!e->chunk_left) {
            e->over = true;
            return -1;
        }
    }
    if (e->length == 0) {
        e->over = true;
        return -1;
    }
    int c = next_byte(e, until);
    if (c >= 0 && e->chunked) e->chunk_left--;
    if (c >= 0 && e->length > 0) e->length--;
    return c;
}

static void keep(struct sse *e, char c)
{
    if (e->n + 2 > e->cap) e->text = realloc(e->text, e->cap = e->cap ? 2 * e->cap : 256);
    e->text[e->n++] = c;
    e->text[e->n] = 0;
}

struct sse *sse_open(const struct site *s, const char *path)
{
    struct sse *e = begin(s, "GET", path, "", "", 0);
    read_head(e, m8_now_s() + PATIENCE_S);
    return e;
}

char *sse_line(struct sse *e, double most_s)
{
    double until = m8_now_s() + most_s;
    int c;
    while ((c = body_byte(e, until)) >= 0) {
        keep(e, (char)c);
        if (e->n < 2 || memcmp(e->text + e->n - 2, "\n\n", 2)) continue;
        e->text[e->n - 2] = 0;
        char *line = strdup(e->text);
        e->n = 0;
        return line;
    }
    return NULL;
}

json_t *sse_next(struct sse *e, double most_s)
{
    char *line = sse_line(e, most_s);
    if (!line) return NULL;
    json_t *value = strncmp(line, "data: ", 6) ? NULL : json_loads(line + 6, JSON_DECODE_ANY, NULL);
    if (!value) fail_msg("no event's data: %s", line);
    free(line);
    return value;
}

void sse_close(struct sse *e)
{
    if (e->fd >= 0) close(e->fd);
    free(e->text);
    free(e);
}

int ask_with(const struct site *s, const char *method, const char *path, const char *headers, const void *body, size_t n, char **out)
{
    char *more = NULL;
    if (asprintf(&more, "Connection: close\r\n%s", headers) < 0) return 0;
    struct sse *e = begin(s, method, path, more, body, n);
    free(more);
    double until = m8_now_s() + PATIENCE_S;
    int c;
    while ((c = body_byte(e, until)) >= 0) keep(e, (char)c);
    int status = e->status;
    if (out) *out = e->text ? e->text : strdup("");
    else free(e->text);
    e->text = NULL;
    sse_close(e);
    return status;
}

int ask(const struct site *s, const char *method, const char *path, const char *body, char **out)
{
    return ask_with(s, method, path, body ? "Content-Type: application/json\r\n" : "", body ? body : "", body ? strlen(body) : 0, out);
}

int post(const struct site *s, const char *path, json_t *body, json_t **out)
{
    char *text = json_dumps(body, JSON_COMPACT), *answer = NULL;
    json_decref(body);
    int status = ask(s, "POST", path, text, &answer);
    free(text);
    if (out) *out = json_loads(answer, JSON_DECODE_ANY, NULL);
    free(answer);
    return status;
}

/* ---- the protocol ------------------------------------------------------------------------------------------------------------- */

int join(const struct site *s, int fn, const char *hash, json_t *inputs, char *id)
{
    json_t *answer = NULL;
    int status = post(s, "/gradio_api/queue/join", json_pack("{s:o, s:i, s:s}", "data", inputs, "fn_index", fn, "session_hash", hash), &answer);
    if (id) snprintf(id, 33, "%s", str(answer, "event_id"));
    json_decref(answer);
    return status;
}

struct sse *data(const struct site *s, const char *hash)
{
    char path[400];
    snprintf(path, sizeof path, "/gradio_api/queue/data?session_hash=%s", hash);
    return sse_open(s, path);
}

json_t *turn(const struct site *s, int fn, const char *hash, json_t *inputs)
{
    assert_int_equal(join(s, fn, hash, inputs, NULL), 200);
    json_t *all = json_array(), *one;
    struct sse *e = data(s, hash);
    while ((one = sse_next(e, PATIENCE_S))) json_array_append_new(all, one);
    sse_close(e);
    return all;
}

json_t *outcome(json_t *messages)
{
    size_t i;
    json_t *m;
    json_array_foreach(messages, i, m) {
        if (!strcmp(str(m, "msg"), "process_completed")) return json_object_get(json_object_get(m, "output"), "data");
    }
    return NULL;
}

const char *str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

json_t *recording(const char *name)
{
    char path[600];
    const char *folder = getenv("MAGIC8_TEST_DATA");
    snprintf(path, sizeof path, "%s/gradio/%s.json", folder ? folder : "tests/data", name);
    json_error_t why;
    json_t *all = json_load_file(path, 0, &why);
    if (!all && strstr(why.text, "too big")) all = json_load_file(path, JSON_DECODE_INT_AS_REAL, &why); /* Gradio's app_id */
    if (!all) fail_msg("%s: %s", path, why.text);
    return all;
}

static bool is_time(const char *key)
{
    static const char *const times[] = {"rank_eta", "eta", "duration", "average_duration", "cache_duration", "avg_time", "time_limit", "app_id", "size"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (!strcmp(key, times[i])) return true;
    }
    return false;
}

static bool differ(char *why, size_t size, const char *at, const json_t *want, const json_t *got)
{
    char *a = json_dumps(want, JSON_ENCODE_ANY | JSON_COMPACT), *b = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(why, size, "%s: expected %.200s, got %.250s", at, a, b ? b : "nothing");
    free(a);
    free(b);
    return false;
}

static bool like_at(const json_t *want, const json_t *got, const char *at, char *why, size_t size)
{
    if (json_is_object(want) && json_is_object(got)) {
        void *i = json_object_iter((json_t *)want), *k = json_object_iter((json_t *)got);
        for (; i && k; i = json_object_iter_next((json_t *)want, i), k = json_object_iter_next((json_t *)got, k)) {
            const char *key = json_object_iter_key(i);
            if (strcmp(key, json_object_iter_key(k))) return differ(why, size, key, want, got);
            json_t *x = json_object_iter_value(i), *y = json_object_iter_value(k);
            if (is_time(key) ? !(json_is_number(x) && json_is_number(y)) && json_typeof(x) != json_typeof(y) : !like_at(x, y, key, why, size))
                return is_time(key) ? differ(why, size, key, x, y) : false;
        }
        return !i && !k ? true : differ(why, size, at, want, got);
    }
    if (json_is_array(want) && json_is_array(got) && json_array_size(want) == json_array_size(got)) {
        for (size_t i = 0; i < json_array_size(want); i++) {
            if (!like_at(json_array_get(want, i), json_array_get(got, i), at, why, size)) return false;
        }
        return true;
    }
    if (json_is_string(want) && json_is_string(got) && strstr(json_string_value(want), "${")) return true;
    if (json_is_number(want) && json_is_number(got) && json_number_value(want) == json_number_value(got)) return true;
    return json_equal(want, got) ? true : differ(why, size, at, want, got);
}

bool like(const json_t *want, const json_t *got, char *why, size_t size) { return like_at(want, got, "all", why, size); }
