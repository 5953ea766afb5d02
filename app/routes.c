/* /health means "a token can be made": one is made, on a thread of its own, at most once a second; whoever asks meanwhile gets the same
 * answer. /metrics is in Prometheus' text format. */
#include "routes.h"
#include "app.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ASKING 256
#define FRESH_S 1.0

struct routes {
    m8_http *http;
    m8_blocks *blocks;
    struct ball_app *ball;
    struct served *served;
    double started_s;
    /* on the loop */
    m8_http_req *asking[MOST_ASKING];
    int n_asking;
    bool checking;
    double checked_s; /* 0: never */
    m8_status status;
    /* of the check's thread */
    bool threaded;
    unsigned long thread;
    m8_status found;
};

static const char *const roles[N_ROLES] = { "asr", "llm", "tts" };

/* ---- health */

static void reply_health(struct routes *r, m8_http_req *req)
{
    bool loading = false, ready = true;
    json_t *models = json_object();
    for (int i = 0; i < N_ROLES; i++) {
        enum served_state state = served_state(r->served, i, NULL);
        loading = loading || state == SERVED_LOADING;
        ready = ready && state == SERVED_READY;
        json_object_set_new(models, roles[i], json_string(served_state_names[state]));
    }
    const char *text = ready && !r->status && r->checked_s ? "ok" : loading ? "loading" : "failing";
    json_t *j = json_pack("{s:s, s:o}", "status", text, "models", models);
    char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (body) m8_http_reply(req, strcmp(text, "ok") ? 503 : 200, "application/json", body, strlen(body));
    else m8_http_refuse(req, 500, "out of memory");
    free(body);
    json_decref(j);
}

static void checked(void *user)
{
    struct routes *r = user;
    pthread_join(r->thread, NULL);
    r->threaded = r->checking = false;
    r->status = r->found;
    r->checked_s = m8_now_s();
    for (int i = 0; i < r->n_asking; i++) {
        if (r->asking[i]) reply_health(r, r->asking[i]);
    }
    r->n_asking = 0;
}

static void *check(void *user)
{
    struct routes *r = user;
    r->found = served_check(r->served, NULL);
    m8_http_post(r->http, checked, r);
    return NULL;
}

struct asking {
    struct routes *r;
    m8_http_req *req;
};

static void gone(void *user, bool unused)
{
    struct asking *a = user;
    for (int i = 0; i < a->r->n_asking; i++) /* by name: its place may be another's by now */
        if (a->r->asking[i] == a->req) a->r->asking[i] = NULL;
}

static void health(m8_http_req *req, void *user)
{
    struct routes *r = user;
    bool can = served_state(r->served, ROLE_LLM, NULL) == SERVED_READY, fresh = r->checked_s && m8_now_s() - r->checked_s < FRESH_S;
    if (!can || fresh || r->n_asking == MOST_ASKING) {
        reply_health(r, req);
        return;
    }
    if (!r->checking) {
        r->threaded = r->checking = !m8_sys_get()->thread_create(&r->thread, check, r);
        if (!r->checking) {
            m8_http_refuse(req, 503, "no thread to look with");
            return;
        }
    }
    struct asking *a = m8_http_alloc(req, sizeof *a);
    if (!a) {
        m8_http_refuse(req, 503, "out of memory");
        return;
    }
    *a = (struct asking){ r, req };
    m8_http_on_end(req, gone, a);
    r->asking[r->n_asking++] = req;
}

/* ---- metrics */

static void metric(m8_buf *b, const char *name, const char *type, const char *help)
{
    m8_buf_printf(b, "# HELP magic8_%s %s\n# TYPE magic8_%s %s\n", name, help, name, type);
}

static void one(m8_buf *b, const char *name, const char *type, const char *help, double value)
{
    metric(b, name, type, help);
    m8_buf_printf(b, "magic8_%s %.17g\n", name, value);
}

static void stages(m8_buf *b, struct ball_app *ball)
{
    struct ball_times t;
    ball_app_times(ball, &t);
    metric(b, "stage_seconds", "histogram", "Time of the stages of a turn.");
    for (int i = 0; i < N_BALL_STAGES; i++) {
        const char *name = ball_stage_names[i];
        for (int k = 0; k < 8; k++) {
            m8_buf_printf(b, "magic8_stage_seconds_bucket{stage=\"%s\",le=\"%g\"} %llu\n", name, ball_bucket_s[k],
                          (unsigned long long)t.buckets[i][k]);
        }
        m8_buf_printf(b, "magic8_stage_seconds_bucket{stage=\"%s\",le=\"+Inf\"} %llu\nmagic8_stage_seconds_sum{stage=\"%s\"} %.9g\n"
                      "magic8_stage_seconds_count{stage=\"%s\"} %llu\n",
                      name, (unsigned long long)t.n[i], name, t.sum_s[i], name, (unsigned long long)t.n[i]);
    }
}

static void metrics(m8_http_req *req, void *user)
{
    struct routes *r = user;
    m8_buf b = {0};
    m8_http_stats h;
    m8_ui_stats u;
    m8_http_get_stats(r->http, &h);
    m8_blocks_stats(r->blocks, &u);
    one(&b, "uptime_seconds", "gauge", "Since the start.", m8_now_s() - r->started_s);
    one(&b, "resident_bytes", "gauge", "Memory of the front; the models have processes of their own.", process_rss(getpid()));
    one(&b, "http_requests_total", "counter", "Requests answered.", (double)h.requests);
    one(&b, "http_refused_total", "counter", "Requests refused before a route saw them.", (double)h.refused);
    one(&b, "http_received_bytes_total", "counter", "Bytes from clients.", (double)h.bytes_in);
    one(&b, "http_sent_bytes_total", "counter", "Bytes to clients.", (double)h.bytes_out);
    one(&b, "http_connections", "gauge", "Open connections.", h.connections);
    one(&b, "queue_running", "gauge", "Calls that run.", u.running);
    one(&b, "queue_waiting", "gauge", "Calls that wait.", u.waiting);
    one(&b, "sessions", "gauge", "Visitors whose state is kept.", u.sessions);
    one(&b, "audio_streams", "gauge", "Streams of sound that can be read.", u.streams);
    metric(&b, "calls_total", "counter", "Calls by how they ended.");
    m8_buf_printf(&b, "magic8_calls_total{end=\"succeeded\"} %llu\nmagic8_calls_total{end=\"failed\"} %llu\nmagic8_calls_total{end=\"cancelled\"} %llu\n",
                  (unsigned long long)u.succeeded, (unsigned long long)u.failed, (unsigned long long)u.cancelled);
    metric(&b, "model_ready", "gauge", "1: the model's process can be used.");
    int n_started[N_ROLES];
    for (int i = 0; i < N_ROLES; i++)
        m8_buf_printf(&b, "magic8_model_ready{model=\"%s\"} %d\n", roles[i], served_state(r->served, i, &n_started[i]) == SERVED_READY);
    metric(&b, "model_starts_total", "counter", "Processes started for a model: more than one, and it has died.");
    for (int i = 0; i < N_ROLES; i++) m8_buf_printf(&b, "magic8_model_starts_total{model=\"%s\"} %d\n", roles[i], n_started[i]);
    stages(&b, r->ball);
    if (b.status) m8_http_refuse(req, 500, "out of memory");
    else m8_http_reply_buf(req, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
    m8_buf_finish(&b);
}

m8_status routes_add(struct routes **out, m8_http *h, m8_blocks *blocks, struct ball_app *ball, struct served *served, m8_error *err)
{
    struct routes *r = *out = m8_calloc(1, sizeof *r);
    if (!r) return m8_fail(err, M8_E_NOMEM, "the routes");
    *r = (struct routes){ .http = h, .blocks = blocks, .ball = ball, .served = served, .started_s = m8_now_s() };
    m8_status st = m8_http_route(h, &(m8_route){ .method = "GET", .path = "/health", .handler = health, .user = r }, err);
    if (!st) st = m8_http_route(h, &(m8_route){ .method = "GET", .path = "/metrics", .handler = metrics, .user = r }, err);
    return st;
}

void routes_free(struct routes *r)
{
    if (!r) return;
    if (r->threaded) pthread_join(r->thread, NULL);
    m8_free(r);
}
