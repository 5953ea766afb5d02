/* The routes that start a run: queue/join, call/NAME, call/v2/NAME, run/NAME; and stream/EVENT, which gives one more input. */
#include "run_internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* 422 in FastAPI's words: loc names the field. */
void m8__refuse_type(m8_http_req *r, const char *field, const char *type, const char *what, const json_t *input)
{
    char msg[80];
    snprintf(msg, sizeof msg, "Input should be a valid %s", what);
    m8__reply_json(r, 422, json_pack("{s:[{s:s, s:[s,s], s:s, s:O?}]}", "detail", "type", type, "loc", "body", field, "msg", msg, "input", (json_t *)input));
}

/* The fields that all these bodies may have. */
struct asked {
    json_t *data;     /* a list, of the body unless owned */
    bool owned;
    const char *hash; /* NULL: none */
    int fn;           /* -1: none */
    bool late;        /* out, of join(): see reply_id() */
};

static const char *hash_of(m8_http_req *r, const json_t *body, bool *bad)
{
    const json_t *hash = json_object_get(body, "session_hash");
    *bad = false;
    if (!hash || json_is_null(hash)) return NULL;
    if (json_is_string(hash) && json_string_length(hash) <= M8__HASH_MOST) return *json_string_value(hash) ? json_string_value(hash) : NULL;
    *bad = true;
    m8__refuse_type(r, "session_hash", "string_type", json_is_string(hash) ? "string of at most 256 bytes" : "string", json_is_string(hash) ? NULL : hash);
    return NULL;
}

static bool read_asked(m8_http_req *r, const json_t *body, struct asked *a)
{
    static const char *const field[] = {"data"};
    a->data = json_object_get(body, "data");
    if (!a->data) {
        m8__reply_missing(r, "body", field, 1, body);
        return false;
    }
    if (!json_is_array(a->data)) {
        m8__refuse_type(r, "data", "list_type", "list", a->data);
        return false;
    }
    const json_t *fn = json_object_get(body, "fn_index"), *trigger = json_object_get(body, "trigger_id");
    a->owned = a->late = false;
    a->fn = -1;
    if (fn && !json_is_null(fn)) {
        if (!json_is_integer(fn)) {
            m8__refuse_type(r, "fn_index", "int_type", "integer", fn);
            return false;
        }
        json_int_t x = json_integer_value(fn);
        a->fn = x < 0 || x > 1000000 ? 1000000 : (int)x;
    }
    if (trigger && !json_is_null(trigger) && !json_is_integer(trigger)) {
        m8__refuse_type(r, "trigger_id", "int_type", "integer", trigger);
        return false;
    }
    bool bad;
    a->hash = hash_of(r, body, &bad);
    return !bad;
}

static m8_event *event_at(m8_blocks *app, int fn)
{
    m8_event *e = fn >= 0 && (size_t)fn < app->n_events ? app->events[fn] : NULL;
    return e && e->fn ? e : NULL;
}

static m8_event *event_named(m8_blocks *app, const char *name, size_t n)
{
    while (n && name[n - 1] == '/') n--;
    m8_event *e = n ? m8__event_named(app, name, n) : NULL;
    return e && e->fn && e->opts.api_visibility != M8_PRIVATE ? e : NULL;
}

/* ---- joining ----------------------------------------------------------------------------------------------------------------- */

static void refuse_full(m8_blocks *app, m8_http_req *r, const m8_event *e, const char *text)
{
    char after[16];
    pthread_mutex_lock(&app->lock);
    double s = m8__queue_wait(app, e);
    pthread_mutex_unlock(&app->lock);
    snprintf(after, sizeof after, "%d", s < 1 ? 1 : s > 600 ? 600 : (int)ceil(s));
    m8_http_set(r, "Retry-After", after);
    m8_http_refuse(r, 503, "%s", text);
}

/* What Gradio's page expects of a validator that says no: one verdict for each input. */
static void refuse_invalid(m8_http_req *r, const m8_event *e, const char *text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < (e->n_in ? e->n_in : 1); i++) {
        json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "__type__", "validate", "is_valid", i > 0, "message", i ? "" : text));
    }
    m8__reply_json(r, 422, json_pack("{s:o}", "detail", list));
}

static bool validate(m8_call *c, m8_http_req *r)
{
    if (!c->event->opts.validate) return true;
    pthread_mutex_lock(&c->app->lock);
    m8__run_states(c);
    pthread_mutex_unlock(&c->app->lock);
    m8_error err = {0};
    m8_status st = c->event->opts.validate(c, &err);
    if (!st) return true;
    if (st == M8_E_USER) refuse_invalid(r, c->event, c->said_no ? c->said_no : m8_error_text(&err));
    else m8_http_refuse(r, 500, "The validator failed.");
    return false;
}

static void check_session(m8_blocks *app, struct m8__session *s)
{
    if (!s) return;
    pthread_mutex_lock(&app->lock);
    m8__session_check(s);
    pthread_mutex_unlock(&app->lock);
}

/* The answer of a join must not overtake, on a connection of its own, the end of the session's stream (channel.c tells why): one that comes right
 * behind that end waits a little. */
#define OVERTAKES_S 0.01

static bool may_overtake(const struct m8__session *s, const m8_http_req *r) /* lock held */
{
    return s->said_all_at > 0 && s->said_all_on != m8_http_connection(r) && m8_now_s() - s->said_all_at < OVERTAKES_S;
}

/* A run of e is made and enters the queue. Returns its id (in id), or false: r has been answered. For M8__DIRECT r is answered later.
 * body and a->data are let go of: what the run has of them it must have alone, for jansson's counts do not order what two threads do. */
static bool join(m8_blocks *app, m8_http_req *r, m8_event *e, json_t **body, struct asked *a, enum m8__channel_kind kind, char id[33])
{
    m8_error err = {0};
    struct m8__session *s = NULL;
    struct m8__queue *q = app->queue;
    pthread_mutex_lock(&app->lock);
    bool full = !e->group->direct && q->most_waiting >= 0 && q->n_waiting >= q->most_waiting; /* before any work is done for it */
    int size = q->n_waiting;
    if (q->n_unread) m8__queue_absent(q, m8_now_s());
    if (!full && a->hash) s = m8__session_get(app, a->hash);
    a->late = s && may_overtake(s, r);
    if (s) m8__session_seen(s, r);
    pthread_mutex_unlock(&app->lock);
    if (full) {
        m8_fail(&err, M8_E_LIMIT, "Queue is full. Max size is %d and size is %d.", q->most_waiting, size);
        refuse_full(app, r, e, err.text);
        return false;
    }
    if (a->hash && !s) {
        m8_http_refuse(r, 503, "Too many sessions.");
        return false;
    }
    if (s) m8__files_user(app, a->hash, m8__auth_user(app, r));
    json_t *in = NULL;
    char *said_no = NULL;
    m8_call *c = NULL;
    m8_status st = m8__inputs(app, s, e, a->data, &in, &said_no, &err);
    if (!st) {
        c = m8__run_new(e, s, kind, &err);
        st = c ? M8_OK : (m8_status)err.status;
    }
    if (!st) {
        c->in = in;
        c->said_no = said_no;
        in = NULL;
        said_no = NULL;
        c->event_data = json_incref(json_object_get(*body, "event_data"));
        c->about = m8__about_new(app, r);
        if (!c->about) st = m8_fail(&err, M8_E_NOMEM, "out of memory");
        else if (!validate(c, r)) st = M8_E_USER; /* answered */
    }
    json_decref(in);
    m8_free(said_no);
    if (!st) {
        memcpy(id, c->id, 33);
        json_decref(*body);
        *body = NULL;
        if (a->owned) json_decref(a->data);
        a->data = NULL;
        pthread_mutex_lock(&app->lock);
        if (kind != M8__SESSION) c->refs++; /* the reader's */
        if (kind == M8__DIRECT) m8__read_direct(c, r);
        if (kind == M8__DIRECT && !c->own.reader) st = M8_E_USER; /* answered */
        q->later = true; /* a thread that is woken while the lock is held would only wait for it */
        if (!st) st = m8__enqueue(c, &err);
        if (st && kind == M8__DIRECT) m8__read_never(c);
        if (st && kind != M8__SESSION) m8__run_drop(c);
        int n = q->n_signals;
        q->n_signals = 0;
        q->later = false;
        pthread_mutex_unlock(&app->lock);
        while (n--) pthread_cond_signal(&q->work);
    }
    if (!st) return true;
    m8__run_unref(c);
    check_session(app, s);
    if (st == M8_E_LIMIT) refuse_full(app, r, e, m8_error_text(&err));
    else if (st == M8_E_ARG) m8_http_refuse(r, 422, "%s", m8_error_text(&err));
    else if (st != M8_E_USER) m8_http_refuse(r, 503, "%s", m8_error_text(&err));
    return false;
}

bool m8__join_unload(m8_blocks *app, m8_http_req *r, m8_event *e, struct m8__session *s, m8_error *err)
{
    json_t *none = json_array(); /* its inputs can only be State */
    for (size_t i = 0; i < e->n_in; i++) json_array_append_new(none, json_null());
    m8_call *c = none ? m8__run_new(e, s, M8__SESSION, err) : NULL;
    m8_status st = c ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
    if (!st) {
        c->channel = NULL;
        c->in = none;
        none = NULL;
        c->about = m8__about_new(app, r);
        pthread_mutex_lock(&app->lock);
        st = m8__enqueue(c, err);
        pthread_mutex_unlock(&app->lock);
        if (st) m8__run_unref(c);
    }
    json_decref(none);
    return !st;
}

struct late {
    m8_http_req *r;
    m8_http_timer *timer;
    char id[33];
};

static void say_id(m8_http_req *r, const char *id)
{
    char text[64];
    int n = snprintf(text, sizeof text, "{\"event_id\":\"%s\"}", id);
    m8_http_reply(r, 200, "application/json", text, (size_t)n);
}

static void late_due(void *user)
{
    struct late *l = user;
    l->timer = NULL;
    say_id(l->r, l->id);
}

static void late_gone(void *user, bool gone)
{
    struct late *l = user;
    m8_http_timer_free(l->timer);
}

static void reply_id(m8_http_req *r, const struct asked *a, const char *id)
{
    struct late *l = a->late ? m8_http_alloc(r, sizeof *l) : NULL;
    if (l) {
        l->r = r;
        snprintf(l->id, sizeof l->id, "%s", id);
        l->timer = m8_http_timer_new(m8_http_of(r), OVERTAKES_S, 0, late_due, l);
    }
    if (l && l->timer) m8_http_on_end(r, late_gone, l);
    else say_id(r, id);
}

/* ---- routes --------------------------------------------------------------------------------------------------------------------- */

void m8__route_join(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    struct asked a;
    char id[33];
    json_t *body = m8__body_object(r);
    if (body && read_asked(r, body, &a)) {
        m8_event *e = event_at(app, a.fn);
        if (!a.hash) m8_http_refuse(r, 400, "Session hash not found.");
        else if (a.fn < 0) m8_http_refuse(r, 400, "No function index provided.");
        else if (!e) m8_http_refuse(r, 404, "There is no function with this index.");
        else if (join(app, r, e, &body, &a, M8__SESSION, id)) reply_id(r, &a, id);
    }
    json_decref(body);
}

/* The endpoint that the path names; NULL: there is none, and r has been answered. */
static m8_event *endpoint(m8_blocks *app, m8_http_req *r)
{
    const char *name = m8_http_rest(r);
    m8_event *e = event_named(app, name, strlen(name));
    if (!e) m8_http_refuse(r, 404, "There is no endpoint of this name.");
    return e;
}

void m8__route_call(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    m8_event *e = endpoint(app, r);
    if (!e) return;
    struct asked a;
    char id[33];
    json_t *body = m8__body_object(r);
    if (body && read_asked(r, body, &a) && join(app, r, e, &body, &a, M8__CALL, id)) reply_id(r, &a, id);
    json_decref(body);
}

/* The value of an argument that the caller leaves out, borrowed; NULL: there is none. */
static json_t *default_of(const m8_event *e, size_t i)
{
    if (e->defaults && e->defaults[i]) return e->defaults[i];
    json_t *value = e->in ? json_object_get(e->in[i]->props, "value") : NULL;
    return value && !json_is_null(value) ? value : NULL;
}

/* Arguments by name become a list. NULL: refused. */
static json_t *by_name(m8_http_req *r, const m8_event *e, const json_t *body)
{
    const char *missing[32];
    size_t n_missing = 0, n_used = 0;
    json_t *data = json_array();
    for (size_t i = 0; data && i < e->n_in; i++) {
        bool skipped = e->in && e->in[i]->skip_api;
        json_t *value = skipped ? NULL : json_object_get(body, e->params[i]);
        if (value) n_used++;
        else if (!skipped) value = default_of(e, i);
        if (!value && !skipped && n_missing < 32) missing[n_missing++] = e->params[i];
        if (json_array_append_new(data, value ? json_incref(value) : json_null())) {
            json_decref(data);
            data = NULL;
        }
    }
    const char *key;
    json_t *item, *none = NULL;
    json_object_foreach((json_t *)body, key, item) {
        bool known = !strcmp(key, "session_hash");
        for (size_t i = 0; i < e->n_in && !known; i++) known = !(e->in && e->in[i]->skip_api) && !strcmp(key, e->params[i]);
        if (!known && !none) none = json_pack("{s:[{s:s, s:[s,s], s:s, s:O}]}", "detail", "type", "extra_forbidden", "loc", "body", key, "msg",
                                              "There is no parameter of this name", "input", item);
    }
    if (!data) m8_http_refuse(r, 503, "out of memory");
    else if (n_missing) m8__reply_missing(r, "body", missing, n_missing, body);
    else if (none) m8__reply_json(r, 422, json_incref(none));
    if (n_missing || none) {
        json_decref(data);
        data = NULL;
    }
    json_decref(none);
    return data;
}

void m8__route_call_v2(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    m8_event *e = endpoint(app, r);
    if (!e) return;
    json_t *body = m8__body_object(r);
    bool bad = !body;
    struct asked a = {.fn = -1, .owned = true};
    char id[33];
    if (!bad) a.hash = hash_of(r, body, &bad);
    if (!bad) a.data = by_name(r, e, body);
    if (!bad && a.data && join(app, r, e, &body, &a, M8__CALL, id)) reply_id(r, &a, id);
    json_decref(a.data);
    json_decref(body);
}

void m8__route_run(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *name = m8_http_rest(r);
    struct asked a;
    char id[33];
    json_t *body = m8__body_object(r);
    if (body && read_asked(r, body, &a)) {
        m8_event *e = a.fn >= 0 ? event_at(app, a.fn) : event_named(app, name, strlen(name));
        if (!e || (app->launch.api_closed && e->queue)) m8_http_refuse(r, 404, "There is no endpoint of this name.");
        else join(app, r, e, &body, &a, M8__DIRECT, id);
    }
    json_decref(body);
}

/* ---- streamed input ------------------------------------------------------------------------------------------------------------------ */

static m8_call *open_stream(m8_blocks *app, const char *id, const char *hash)
{
    m8_call *c = m8__run_find(app, id);
    if (!c || !c->event->plan->stream_in || c->mute || c->state == M8__DONE) return NULL;
    return hash && strcmp(hash, m8_call_session(c)) ? NULL : c;
}

static void one_more(m8_blocks *app, m8_http_req *r, const char *id)
{
    json_t *body = m8__body_object(r), *in = NULL;
    struct asked a;
    char *said_no = NULL;
    m8_error err = {0};
    if (!body || !read_asked(r, body, &a)) {
        json_decref(body);
        return;
    }
    pthread_mutex_lock(&app->lock);
    m8_call *c = open_stream(app, id, a.hash);
    m8_event *e = c ? c->event : NULL;
    struct m8__session *s = c ? c->session : NULL; /* this thread is the one that frees sessions, so it stays */
    pthread_mutex_unlock(&app->lock);
    m8_status st = e ? m8__inputs(app, s, e, a.data, &in, &said_no, &err) : M8_E_NOTFOUND;
    if (!st && said_no) st = m8_fail(&err, M8_E_ARG, "%s", said_no);
    pthread_mutex_lock(&app->lock);
    c = st ? NULL : open_stream(app, id, a.hash);
    if (!st && !c) st = M8_E_NOTFOUND;
    if (c) {
        json_decref(c->chunk); /* the newest wins */
        c->chunk = in;
        in = NULL;
        m8__resume(c);
    }
    pthread_mutex_unlock(&app->lock);
    if (!st) m8_http_reply(r, 200, "application/json", "{\"msg\":\"success\"}", 17);
    else if (st == M8_E_NOTFOUND) m8_http_refuse(r, 404, "Event not found.");
    else m8_http_refuse(r, st == M8_E_ARG ? 422 : 503, "%s", m8_error_text(&err));
    m8_free(said_no);
    json_decref(in);
    json_decref(body);
}

void m8__route_chunk(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *rest = m8_http_rest(r);
    size_t n = strcspn(rest, "/");
    char id[64];
    if (n >= sizeof id) n = sizeof id - 1;
    memcpy(id, rest, n);
    id[n] = 0;
    if (!rest[n]) {
        one_more(app, r, id);
        return;
    }
    if (strcmp(rest + n, "/close")) {
        m8_http_refuse(r, 404, "Not Found");
        return;
    }
    pthread_mutex_lock(&app->lock);
    m8_call *c = open_stream(app, id, NULL);
    if (c) {
        c->chunks_end = true;
        m8__resume(c);
    }
    pthread_mutex_unlock(&app->lock);
    if (c) m8_http_reply(r, 200, "application/json", "{\"msg\":\"success\"}", 17);
    else m8_http_refuse(r, 404, "Event not found.");
}
