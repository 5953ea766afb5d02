/* magic8 bench serve: the server and its queue under load, as bench/peers/serve.py loads Gradio. The load runs on the same processor as the
 * server; what the server itself takes is told by its processor time. Each run has a server started afresh. */
#include "app.h"
#include "bench.h"
#include "bench_client.h"
#include "bench_load.h"
#include "bench_server.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { SESSIONS = 8, STREAMS = 2000, TONES = 6, MOST_CHUNKS = 8 };
enum { ECHO, COUNT, TONE };
enum { STARTUP, ECHO_P50, ECHO_RATE, ECHO_CPU, CONFIG_RATE, CONFIG_CPU, COUNT_RATE, COUNT_CPU, STREAM_BYTES, STREAM_LEFT, CONFIG_P95, SEGMENT,
       LATER, TONE_CPU, IDLE };

struct serve {
    struct server server;
    struct endpoint at[4];
    struct visitor visitors[SESSIONS];
};

static void pause_s(double s)
{
    nanosleep(&(struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)(1e9 * (s - (double)(time_t)s)) }, NULL);
}

/* ---- echo */

struct echo {
    struct visitor *v;
    int fn_index;
    char text[80];
};

static m8_status same_text(void *user, const char *json, m8_error *err)
{
    struct echo *e = user;
    if (!strstr(json, "\"msg\":\"process_completed\"")) return M8_OK;
    json_t *j = json_loads(json, 0, NULL);
    const char *got = json_string_value(json_array_get(json_object_get(json_object_get(j, "output"), "data"), 0));
    m8_status st = got && !strcmp(got, e->text) ? M8_OK : m8_fail(err, M8_E_NET, "not what was said: %.160s", json);
    json_decref(j);
    return st;
}

static m8_status echo(void *own, m8_error *err)
{
    struct echo *e = own;
    char data[96];
    snprintf(e->text, sizeof e->text, "Magic 8 Ball, should I get a dog? %s", e->v->hash);
    snprintf(data, sizeof data, "[\"%s\"]", e->text);
    return visitor_call(e->v, e->fn_index, data, same_text, e, err);
}

static m8_status measure_echo(struct serve *s, int n, int times, double seconds, struct times *t, m8_error *err)
{
    struct echo echos[SESSIONS];
    void *own[SESSIONS];
    for (int i = 0; i < n; i++) {
        echos[i] = (struct echo){ .v = &s->visitors[i], .fn_index = s->at[ECHO].fn_index };
        own[i] = &echos[i];
    }
    return load_run(&s->server, n, own, echo, times, seconds, t, err);
}

/* ---- config */

static m8_status config(void *own, m8_error *err)
{
    struct visitor *v = own;
    return client_ask(&v->client, "GET", "/config", NULL, NULL, 0, &v->line, err);
}

static m8_status measure_config(struct serve *s, double seconds, struct times *t, m8_error *err)
{
    void *own[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) own[i] = &s->visitors[i];
    return load_run(&s->server, SESSIONS, own, config, 0, seconds, t, err);
}

/* ---- open streams */

static m8_status hold(struct client *c, int port, int i, m8_error *err)
{
    char path[64];
    int status = 0;
    const char *data;
    size_t n;
    *c = (struct client){ .fd = -1, .port = port };
    snprintf(path, sizeof path, "/gradio_api/heartbeat/held%07d", i);
    m8_status st = client_send(c, "GET", path, NULL, NULL, 0, &status, err);
    if (!st && status != 200) st = m8_fail(err, M8_E_NET, "GET %s: %d", path, status);
    return st ? st : client_piece(c, &data, &n, err);
}

static m8_status measure_streams(struct serve *s, double *v, m8_error *err)
{
    static struct client held[STREAMS];
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < STREAMS + 256)
        return m8_fail(err, M8_E_LIMIT, "%d streams need more open files than %llu", STREAMS, (unsigned long long)files.rlim_cur);
    double idle = process_rss(s->server.pid);
    int n = 0;
    m8_status st = M8_OK;
    while (n < STREAMS && !st) {
        st = hold(&held[n], s->server.port, n, err);
        n++;
    }
    pause_s(1);
    struct times t = {0};
    v[IDLE] = idle / (1 << 20);
    v[STREAM_BYTES] = (process_rss(s->server.pid) - idle) / STREAMS;
    if (!st) st = measure_config(s, 3, &t, err);
    v[CONFIG_P95] = 1000 * times_part(&t, 0.95);
    for (int i = 0; i < n; i++) client_close(&held[i]);
    pause_s(3);
    v[STREAM_LEFT] = (process_rss(s->server.pid) - idle) / STREAMS;
    times_finish(&t);
    return st;
}

/* ---- a generator of 500 texts */

struct counting {
    struct visitor *v;
    int fn_index;
    long events;
    m8_buf text; /* what the differences make */
    bool check;
};

static m8_status see_count(void *user, const char *json, m8_error *err)
{
    struct counting *c = user;
    bool last = strstr(json, "\"msg\":\"process_completed\"") != NULL;
    if (!last && !strstr(json, "\"msg\":\"process_generating\"")) return M8_OK;
    c->events += !last;
    if (!last && !c->check) return M8_OK; /* reading all of them would be a load of its own */
    json_t *j = json_loads(json, 0, NULL), *value = json_array_get(json_object_get(json_object_get(j, "output"), "data"), 0);
    const char *whole = json_string_value(value), *piece = json_string_value(json_array_get(json_array_get(value, 0), 2));
    m8_status st = M8_OK;
    if (last) {
        size_t n = whole ? strlen(whole) : 0;
        if (n != 3890 || (c->check && (!c->text.data || strcmp(c->text.data, whole)))) st = m8_fail(err, M8_E_NET, "the texts do not add up");
    } else if (whole) {
        m8_buf_clear(&c->text);
        m8_buf_str(&c->text, whole);
    } else if (piece) {
        m8_buf_str(&c->text, piece);
    }
    json_decref(j);
    return st;
}

static m8_status count(void *own, m8_error *err)
{
    struct counting *c = own;
    m8_buf_clear(&c->text);
    return visitor_call(c->v, c->fn_index, "[]", see_count, c, err);
}

static m8_status measure_count(struct serve *s, double *v, m8_error *err)
{
    struct counting c = { .v = &s->visitors[0], .fn_index = s->at[COUNT].fn_index, .check = true };
    void *own = &c;
    struct times t = {0};
    m8_status st = count(&c, err);
    c.check = false;
    c.events = 0;
    if (!st) st = load_run(&s->server, 1, &own, count, 0, 2, &t, err);
    if (!st) {
        v[COUNT_RATE] = (double)c.events / t.wall_s;
        v[COUNT_CPU] = 1000 * t.cpu_s / (double)c.events;
    }
    times_finish(&t);
    m8_buf_finish(&c.text);
    return st;
}

/* ---- streamed sound */

struct listening {
    struct serve *s;
    struct client player;
    int n;             /* chunks whose message has come, of this call */
    double segment[TONES + 1], later[(TONES + 1) * MOST_CHUNKS];
    int n_segment, n_later;
};

static m8_status hear_tone(void *user, const char *json, m8_error *err)
{
    struct listening *l = user;
    if (!strstr(json, "\"msg\":\"process_generating\"")) return M8_OK;
    double now = m8_now_s();
    json_t *j = json_loads(json, 0, NULL), *data = json_object_get(json_object_get(j, "output"), "data"), *handed = json_array_get(data, 1);
    const char *url = json_string_value(json_object_get(json_array_get(data, 0), "url")), *text = json_string_value(handed);
    if (!text) text = json_string_value(json_array_get(json_array_get(handed, 0), 2)); /* [["replace", [], "12.5"]] */
    m8_status st = text ? M8_OK : m8_fail(err, M8_E_NET, "no time: %.160s", json);
    if (!st && !l->n) {
        /* from the moment it was handed over to its segment in the hands of who plays it */
        st = client_first_segment(&l->player, url ? url : "", err);
        double took = m8_now_s() - atof(text);
        l->segment[l->n_segment++] = took;
    } else if (!st && l->n < MOST_CHUNKS) {
        l->later[l->n_later++] = now - atof(text);
    }
    l->n++;
    json_decref(j);
    return st;
}

static m8_status measure_tone(struct serve *s, double *v, m8_error *err)
{
    struct listening l = { .s = s, .player = { .fd = -1, .port = s->server.port } };
    double cpu = 0;
    m8_status st = M8_OK;
    for (int i = -1; i < TONES && !st; i++) { /* the first is to warm up */
        if (!i) {
            l.n_segment = l.n_later = 0;
            cpu = server_cpu_s(&s->server);
        }
        l.n = 0;
        st = visitor_call(&s->visitors[0], s->at[TONE].fn_index, "[]", hear_tone, &l, err);
        if (!st && l.n != 4) st = m8_fail(err, M8_E_NET, "%d pieces of sound, expected 4", l.n);
    }
    if (!st) {
        v[SEGMENT] = 1000 * median(l.segment, l.n_segment);
        v[LATER] = 1000 * median(l.later, l.n_later);
        v[TONE_CPU] = 1000 * (server_cpu_s(&s->server) - cpu) / (4 * TONES);
    }
    client_close(&l.player);
    return st;
}

/* ---- */

static m8_status measure(struct serve *s, double *v, m8_error *err)
{
    struct times one = {0}, conf = {0}, many = {0};
    m8_status st = measure_echo(s, 1, 10, 0, &one, err);
    times_finish(&one);
    if (!st) st = measure_echo(s, 1, 200, 0, &one, err);
    v[ECHO_P50] = 1000 * times_part(&one, 0.5);
    if (!st) st = measure_config(s, 4, &conf, err);
    if (!st) {
        v[CONFIG_RATE] = (double)conf.n / conf.wall_s;
        v[CONFIG_CPU] = 1000 * conf.cpu_s / (double)conf.n;
    }
    if (!st) st = measure_streams(s, v, err);
    if (!st) st = measure_echo(s, SESSIONS, 0, 4, &many, err);
    if (!st) {
        v[ECHO_RATE] = (double)many.n / many.wall_s;
        v[ECHO_CPU] = 1000 * many.cpu_s / (double)many.n;
    }
    if (!st) st = measure_count(s, v, err);
    if (!st) st = measure_tone(s, v, err);
    times_finish(&one);
    times_finish(&conf);
    times_finish(&many);
    return st;
}

static m8_status run_serve(struct bench *b, double *v, m8_error *err)
{
    static const char *const args[] = { "bench", "app", "%PORT", NULL };
    struct serve s = { .at = { { "echo" }, { "count" }, { "tone" } } };
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    m8_status st = server_start(&s.server, args, "/config", 30, &v[STARTUP], err);
    if (!st) st = server_endpoints(&s.server, s.at, err);
    for (int i = 0; i < SESSIONS; i++) visitor_init(&s.visitors[i], s.server.port);
    if (!st) st = measure(&s, v, err);
    for (int i = 0; i < SESSIONS; i++) visitor_finish(&s.visitors[i]);
    server_stop(&s.server);
    return st;
}

const struct kind bench_serve = {
    .name = "serve", .runs = 3, .fresh = true, .run = run_serve,
    .figures = { /* in the order of the enum */
        { "startup_s", "s" }, { "echo_p50_ms", "ms" }, { "echo_per_s", "1/s", true }, { "echo_cpu_ms", "ms" },
        { "config_per_s", "1/s", true }, { "config_cpu_ms", "ms" }, { "count_events_per_s", "1/s", true }, { "count_cpu_ms", "ms" },
        { "stream_bytes", "bytes" }, { "stream_bytes_left", "bytes" }, { "config_p95_ms", "ms" }, { "tone_segment_ms", "ms" },
        { "tone_later_ms", "ms" }, { "tone_cpu_ms", "ms" }, { "rss_idle_mib", "MiB" },
    },
};
