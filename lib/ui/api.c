/* The small routes of the API: texts about the app, readers, cancel, what only has to answer. */
#include "run_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void reply_text(m8_http_req *r, m8_status st, m8_buf *text, const m8_error *err)
{
    if (st) {
        m8_log(M8_LOG_ERROR, "%s: %s", m8_http_path(r), m8_error_text(err));
        m8_http_refuse(r, 500, "This could not be described.");
    } else {
        m8_http_reply_buf(r, 200, "application/json", text);
    }
    m8_buf_finish(text);
}

static void route_config(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    m8_buf text = {0};
    m8_error err = {0};
    m8_status st = m8__config_text(app, m8__root(app, r), m8__auth_user(app, r), false, &text, &err);
    reply_text(r, st, &text, &err);
}

static void route_info(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    m8_buf text = {0};
    m8_error err = {0};
    const char *all = m8_http_arg(r, "all_endpoints");
    m8_status st = m8__info_text(app, m8__root(app, r), all && (!strcasecmp(all, "true") || !strcmp(all, "1")), &text, &err);
    reply_text(r, st, &text, &err);
}

static void route_openapi(m8_http_req *r, void *user)
{
    m8_buf text = {0};
    m8_error err = {0};
    m8_status st = m8__openapi_text(user, &text, &err);
    reply_text(r, st, &text, &err);
}

/* ---- readers -------------------------------------------------------------------------------------------------------- */

static void route_data(m8_http_req *r, void *user)
{
    static const char *const field[] = {"session_hash"};
    const char *hash = m8_http_arg(r, field[0]);
    if (!hash) m8__reply_missing(r, "query", field, 1, NULL);
    else if (strlen(hash) > M8__HASH_MOST) m8_http_refuse(r, 422, "A session hash has at most %d bytes.", M8__HASH_MOST);
    else m8__read_session(user, r, hash);
}

static void route_heartbeat(m8_http_req *r, void *user)
{
    const char *hash = m8_http_rest(r);
    size_t n = strlen(hash);
    if (!n || n > M8__HASH_MOST) m8_http_refuse(r, n ? 422 : 404, n ? "The session hash is too long." : "Not Found");
    else m8__read_heartbeat(user, r, hash);
}

static void route_call_data(m8_http_req *r, void *user) /* NAME/EVENT; a name may have slashes in it */
{
    const char *rest = m8_http_rest(r), *slash = strrchr(rest, '/');
    if (!slash || slash == rest || !slash[1]) m8_http_refuse(r, 404, "Not Found");
    else m8__read_call(user, r, rest, (size_t)(slash - rest), slash + 1);
}

/* ---- cancel ------------------------------------------------------------------------------------------------------------ */

static const char *const cancel_fields[] = {"session_hash", "fn_index", "event_id"};

/* The fields that must be there. false: refused. */
static bool has_fields(m8_http_req *r, const json_t *body, const char *const *fields, size_t n)
{
    const char *missing[4];
    size_t n_missing = 0;
    for (size_t i = 0; i < n; i++) {
        if (!json_object_get(body, fields[i])) missing[n_missing++] = fields[i];
    }
    if (n_missing) m8__reply_missing(r, "body", missing, n_missing, body);
    for (size_t i = 0; i < n && !n_missing; i++) {
        const json_t *v = json_object_get(body, fields[i]);
        bool number = !strcmp(fields[i], "fn_index");
        if (number ? json_is_integer(v) : json_is_string(v)) continue;
        m8__refuse_type(r, fields[i], number ? "int_type" : "string_type", number ? "integer" : "string", v);
        return false;
    }
    return !n_missing;
}

static void route_cancel(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    json_t *body = m8__body_object(r);
    if (body && has_fields(r, body, cancel_fields, 3)) {
        const char *hash = json_string_value(json_object_get(body, "session_hash"));
        pthread_mutex_lock(&app->lock);
        m8_call *c = m8__run_find(app, json_string_value(json_object_get(body, "event_id")));
        /* Only what was asked for, and only by whoever knows both names of it. */
        if (c && c->state != M8__DONE && c->kind != M8__DIRECT && c->channel && !strcmp(hash, m8_call_session(c))) {
            struct m8__session *s = c->session;
            m8__cancel(c, true);
            if (s) m8__channel_ready(app->queue, &s->channel);
        }
        pthread_mutex_unlock(&app->lock);
        m8_http_reply_static(r, 200, "application/json", "{\"success\":true}", 16);
    }
    json_decref(body);
}

static void route_reset(m8_http_req *r, void *user)
{
    json_t *body = m8__body_object(r);
    if (body && has_fields(r, body, cancel_fields + 2, 1)) m8_http_reply_static(r, 200, "application/json", "{\"success\":true}", 16);
    json_decref(body);
}

/* ---- small ones ------------------------------------------------------------------------------------------------------------ */

static void route_app_id(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    m8__reply_json(r, 200, json_pack("{s:I}", "app_id", app->app_id));
}

static void route_status(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    pthread_mutex_lock(&app->lock);
    int n = app->queue->n_waiting;
    pthread_mutex_unlock(&app->lock);
    m8__reply_json(r, 200, json_pack("{s:s, s:n, s:n, s:i, s:n}", "msg", "estimation", "event_id", "rank", "queue_size", n, "rank_eta"));
}

static void route_startup(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    bool first = !app->queue->started;
    app->queue->started = true;
    m8_http_reply_static(r, 200, "application/json", first ? "true" : "false", first ? 4 : 5);
}

/* Functions of components that clients may call by name: there are none, and nothing is looked up. */
static void route_component(m8_http_req *r, void *user)
{
    json_t *body = m8__body_object(r);
    if (body) m8_http_refuse(r, 404, "There is no such function.");
    json_decref(body);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static json_t *summary_of(const struct m8__plan *p)
{
    static const struct {
        const char *name;
        int percent;
    } at[] = {{"50th", 50}, {"90th", 90}, {"99th", 99}};
    float sorted[M8__TOOK];
    size_t n = p->n_took < M8__TOOK ? p->n_took : M8__TOOK;
    memcpy(sorted, p->took, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_floats);
    json_t *times = json_object();
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        json_object_set_new(times, at[i].name, n ? json_real(sorted[(n - 1) * (size_t)at[i].percent / 100]) : json_null());
    }
    uint64_t all = p->n_done + p->n_failed;
    return json_pack("{s:I, s:o, s:o}", "total_requests", (json_int_t)all, "success_rate",
                     all ? json_real((double)p->n_done / (double)all) : json_null(), "process_time_percentiles", times);
}

static void route_monitoring(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    json_t *all = json_object();
    pthread_mutex_lock(&app->lock);
    for (size_t i = 0; i < app->n_events; i++) {
        const m8_event *e = app->events[i];
        if (e->plan->took && e->plan->n_took) json_object_set_new(all, e->api_name, summary_of(e->plan));
    }
    pthread_mutex_unlock(&app->lock);
    m8__reply_json(r, 200, json_pack("{s:o}", "functions", all));
}

m8_status m8__api_routes(m8_blocks *app, m8_error *err)
{
    enum { BODY = 8 << 20, SMALL = 64 << 10 };
#define P M8__PREFIX
    const m8_route routes[] = {
        {"GET", "/config", route_config},
        {"GET", "/config/", route_config},
        {"GET", P "/info", route_info},
        {"GET", P "/info/", route_info},
        {"GET", P "/openapi.json", route_openapi},
        {"POST", P "/queue/join", m8__route_join, .max_body = BODY},
        {"GET", P "/queue/data", route_data, .unsafe = true}, /* it takes messages away */
        {"GET", P "/queue/status", route_status},
        {"POST", P "/call/*", m8__route_call, .max_body = BODY},
        {"POST", P "/call/v2/*", m8__route_call_v2, .max_body = BODY},
        {"GET", P "/call/*", route_call_data, .unsafe = true},
        {"GET", P "/call/v2/*", route_call_data, .unsafe = true},
        {"POST", P "/run/*", m8__route_run, .max_body = BODY},
        {"POST", P "/api/*", m8__route_run, .max_body = BODY},
        {"POST", P "/stream/*", m8__route_chunk, .max_body = BODY},
        {"POST", P "/cancel", route_cancel, .max_body = SMALL},
        {"POST", P "/reset", route_reset, .max_body = SMALL},
        {"POST", P "/reset/", route_reset, .max_body = SMALL},
        {"GET", P "/heartbeat/*", route_heartbeat, .unsafe = true},
        {"GET", P "/app_id", route_app_id},
        {"GET", P "/app_id/", route_app_id},
        {"GET", P "/startup-events", route_startup},
        {"POST", P "/component_server", route_component, .max_body = SMALL},
        {"POST", P "/component_server/", route_component, .max_body = SMALL},
    };
    m8_status st = M8_OK;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !st; i++) {
        m8_route one = routes[i];
        one.user = app;
        st = m8__route(app, one, err);
    }
    m8_route summary = {"GET", "/monitoring/summary", route_monitoring, .user = app};
    if (!st && app->launch.monitoring) st = m8__route(app, summary, err);
    return st;
}
