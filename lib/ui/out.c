/* What a handler gives: outputs, values on the way, sound, progress, toasts, its failure. */
#include "run_internal.h"
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_EVERY_S 0.01

/* ---- outputs ----------------------------------------------------------------------------------------------------------- */

static struct m8__out *output(m8_call *c, int i) { return i >= 0 && (size_t)i < c->event->n_out ? &c->out[i] : NULL; }

/* value is taken; NULL: no memory. A failure is remembered: a handler that does not look must not succeed with half an answer. */
static m8_status give(m8_call *c, int i, json_t *value, bool update)
{
    struct m8__out *o = output(c, i);
    if (!o || !value) {
        json_decref(value);
        if (!c->broken) c->broken = o ? M8_E_NOMEM : M8_E_ARG;
        return c->broken;
    }
    json_decref(o->value);
    o->value = value;
    o->raw = true;
    o->update = update;
    return M8_OK;
}

m8_status m8_out_text(m8_call *c, int i, const char *text) { return give(c, i, m8__text_value(text ? text : "", text ? strlen(text) : 0), false); }

m8_status m8_out_printf(m8_call *c, int i, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    m8_buf b = {0};
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *room = n >= 0 ? m8_buf_room(&b, (size_t)n) : NULL;
    va_start(ap, fmt);
    if (room) vsnprintf(room, (size_t)n + 1, fmt, ap);
    va_end(ap);
    text = b.data;
    m8_status st = give(c, i, room ? m8__text_value(text, (size_t)n) : NULL, false);
    m8_buf_finish(&b);
    return st;
}

m8_status m8_out_number(m8_call *c, int i, double x) { return give(c, i, m8__number(x), false); }
m8_status m8_out_bool(m8_call *c, int i, bool x) { return give(c, i, json_boolean(x), false); }
m8_status m8_out_null(m8_call *c, int i) { return give(c, i, json_null(), false); }

/* ---- for the events of the library's own ---------------------------------------------------------------------------------- */

m8_event *m8__call_event(const m8_call *c) { return c->event; }
const json_t *m8__call_in(const m8_call *c, int i) { return i >= 0 ? json_array_get(c->in, (size_t)i) : NULL; }
const json_t *m8__call_out(const m8_call *c, int i) { return i >= 0 && (size_t)i < c->event->n_out ? c->out[i].value : NULL; }

m8_status m8__call_set(m8_call *c, int i, json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "__type__"));
    return give(c, i, value, type && !strcmp(type, "update"));
}

/* JSON of the app's own: what is none is its mistake. */
static m8_status parse(m8_call *c, const char *text, json_t **out)
{
    json_error_t why;
    *out = json_loads(text, JSON_DECODE_ANY, &why);
    if (*out) return M8_OK;
    c->broken = json_error_code(&why) == json_error_out_of_memory || !*why.text ? M8_E_NOMEM : M8_E_ARG;
    if (c->broken == M8_E_ARG) m8_log(M8_LOG_ERROR, "%s: an output is no JSON: %s", c->event->api_name, why.text);
    return c->broken;
}

m8_status m8_out_json(m8_call *c, int i, const char *json)
{
    json_t *value;
    m8_status st = parse(c, json, &value);
    return st ? st : give(c, i, value, false);
}

m8_status m8_out_update(m8_call *c, int i, const char *props)
{
    json_t *value;
    m8_status st = parse(c, props, &value);
    if (st) return st;
    if (!json_is_object(value)) {
        json_decref(value);
        return c->broken = M8_E_ARG;
    }
    if (json_object_set_new(value, "__type__", json_string("update"))) {
        json_decref(value);
        return c->broken = M8_E_NOMEM;
    }
    return give(c, i, value, true);
}

/* ---- files ----------------------------------------------------------------------------------------------------------------- */

/* Whose files they are; a call without a session leaves them unclaimed. */
static const char *owner(const m8_call *c) { return c->session ? c->session->hash : ""; }

/* The same bytes under the same name are one file within a run: a picture that stays as it is while a generator goes on keeps its address. */
struct m8__made {
    struct m8__made *next;
    json_t *file;
    unsigned char hash[32];
};

void m8__made_free(m8_call *c)
{
    for (struct m8__made *m; (m = c->made);) {
        c->made = m->next;
        json_decref(m->file);
        m8_free(m);
    }
}

static m8_status make_bytes(m8_call *c, const char *name, const void *data, size_t n, json_t **out, m8_error *err)
{
    unsigned char hash[32];
    bool hashed = EVP_Digest(data, n, hash, NULL, EVP_sha256(), NULL) == 1;
    for (struct m8__made *m = c->made; m && hashed; m = m->next) {
        const char *known = json_string_value(json_object_get(m->file, "orig_name"));
        if (memcmp(m->hash, hash, sizeof hash) || !known || !name || strcmp(known, name)) continue;
        *out = json_deep_copy(m->file);
        return *out ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
    }
    m8_status st = m8__file_bytes(c->app, owner(c), name, data, n, out, err);
    struct m8__made *m = st || !hashed ? NULL : m8_malloc(sizeof *m);
    if (m) { /* else it is made again, no more */
        *m = (struct m8__made){ .next = c->made, .file = json_deep_copy(*out) };
        memcpy(m->hash, hash, sizeof hash);
        c->made = m;
    }
    return st;
}

static m8_status make_file(m8_call *c, const char *path, const char *name, const void *data, size_t n, json_t **out)
{
    m8_error err = {0};
    m8_status st = path ? m8__file_out(c->app, owner(c), path, out, &err) : make_bytes(c, name, data, n, out, &err);
    if (st) {
        c->broken = st;
        m8_log(M8_LOG_ERROR, "%s: a file: %s", c->event->api_name, m8_error_text(&err));
    }
    return st;
}

static bool is_gallery(const m8_call *c, int i)
{
    const m8_block *b = c->event->out ? c->event->out[i] : NULL;
    return b && !strcmp(b->type->type, "gallery");
}

static m8_status add_file(m8_call *c, int i, json_t *file, const char *caption)
{
    struct m8__out *o = &c->out[i];
    /* what was said is compared with, and wire values of the last message must not be added to twice: a list of its own */
    json_t *list = o->value && json_is_array(o->value) && !o->update ? json_deep_copy(o->value) : json_array(), *item = file;
    if (is_gallery(c, i)) {
        const char *mime = json_string_value(json_object_get(file, "mime_type"));
        json_t *text = caption ? m8__text_value(caption, strlen(caption)) : json_null();
        item = json_pack("{s:o, s:o}", mime && !strncmp(mime, "video/", 6) ? "video" : "image", file, "caption", text);
    }
    if (!list || json_array_append_new(list, item)) {
        json_decref(list);
        return c->broken = M8_E_NOMEM;
    }
    return give(c, i, list, false);
}

static m8_status one_file(m8_call *c, int i, const char *path, const char *name, const void *data, size_t n, const char *caption, bool add)
{
    if (!output(c, i)) return c->broken = M8_E_ARG;
    json_t *file;
    m8_status st = make_file(c, path, name, data, n, &file);
    if (st) return st;
    if (!add && !is_gallery(c, i)) return give(c, i, file, false);
    if (!add) m8_out_clear_files(c, i);
    return add_file(c, i, file, caption);
}

m8_status m8_out_file(m8_call *c, int i, const char *path) { return one_file(c, i, path, NULL, NULL, 0, NULL, false); }
m8_status m8_out_file_add(m8_call *c, int i, const char *path, const char *caption) { return one_file(c, i, path, NULL, NULL, 0, caption, true); }
m8_status m8_out_bytes(m8_call *c, int i, const char *name, const void *data, size_t n) { return one_file(c, i, NULL, name, data, n, NULL, false); }
m8_status m8_out_bytes_add(m8_call *c, int i, const char *name, const char *caption, const void *data, size_t n)
{
    return one_file(c, i, NULL, name, data, n, caption, true);
}
m8_status m8_out_clear_files(m8_call *c, int i) { return give(c, i, json_array(), false); }

/* ---- values on the way ------------------------------------------------------------------------------------------------------ */

m8_status m8_yield(m8_call *c)
{
    if (c->broken) return c->broken;
    if (c->n_batch || c->follows) return c->broken = M8_E_ARG; /* a batch gives one value */
    if (atomic_load(&c->cancelled)) return M8_E_CANCELLED;
    m8_status st = m8__run_say(c, false);
    if (st) return c->broken = st;
    if (c->kind == M8__DIRECT) { /* its visitor wants one value only */
        atomic_store(&c->cancelled, true);
        return M8_E_CANCELLED;
    }
    if (c->channel) {
        pthread_mutex_lock(&c->app->lock);
        m8__channel_room(c);
        pthread_mutex_unlock(&c->app->lock);
    }
    return atomic_load(&c->cancelled) ? M8_E_CANCELLED : M8_OK;
}

/* The stream of an output, opened at its first use. M8_OK and NULL: this call has none, sound goes nowhere. */
static m8_status stream_of(struct m8__out *o, struct m8__stream **out)
{
    m8_call *c = o->call;
    *out = o->stream;
    const char *hash = m8_call_session(c);
    if (o->stream || !*hash) return M8_OK;
    if (!c->event->out) return c->broken = M8_E_ARG;
    m8_error err = {0};
    m8_status st = m8__stream_open(c->app, hash, c->event->out[o->index], &o->stream, &err);
    if (!st) st = give(c, o->index, m8__stream_value(o->stream), false);
    if (st) {
        c->broken = st;
        m8_log(M8_LOG_ERROR, "%s: streaming: %s", c->event->api_name, m8_error_text(&err));
    }
    *out = o->stream;
    return st;
}

static m8_status push(void *user, const float *samples, size_t n)
{
    struct m8__out *o = user;
    m8_call *c = o->call;
    if (c->broken) return c->broken;
    if (atomic_load(&c->cancelled)) return M8_E_CANCELLED;
    struct m8__stream *s;
    m8_error err = {0};
    m8_status st = stream_of(o, &s);
    if (!st && s) st = m8__stream_pcm(s, samples, n, o->rate, &err);
    if (st) {
        if (!c->broken) m8_log(M8_LOG_ERROR, "%s: streaming: %s", c->event->api_name, m8_error_text(&err));
        return c->broken = st;
    }
    return m8_yield(c);
}

static m8_status push_nowhere(void *user, const float *samples, size_t n) { return M8_E_ARG; }

m8_pcm_sink m8_out_stream(m8_call *c, int i, int rate)
{
    struct m8__out *o = output(c, i);
    if (!o || rate < 1) {
        c->broken = M8_E_ARG;
        return (m8_pcm_sink){.push = push_nowhere};
    }
    o->rate = rate;
    return (m8_pcm_sink){.push = push, .user = o};
}

m8_status m8_out_chunk(m8_call *c, int i, const void *data, size_t n)
{
    struct m8__out *o = output(c, i);
    if (!o) return c->broken = M8_E_ARG;
    struct m8__stream *s;
    m8_error err = {0};
    m8_status st = stream_of(o, &s);
    if (!st && s) st = m8__stream_bytes(s, data, n, &err);
    if (st && !c->broken) {
        c->broken = st;
        m8_log(M8_LOG_ERROR, "%s: streaming: %s", c->event->api_name, m8_error_text(&err));
    }
    return st;
}

/* ---- progress ------------------------------------------------------------------------------------------------------------------ */

void m8__progress_flush(m8_call *c)
{
    if (!c->in_progress.next) return;
    m8__list_del(&c->in_progress);
    m8__channel_put(c->app->queue, c->channel, c->progress.data, c->progress.len);
    m8_buf_finish(&c->progress);
    c->progress_at = m8_now_s();
}

static void progress_due(void *user)
{
    m8_blocks *app = user;
    struct m8__queue *q = app->queue;
    pthread_mutex_lock(&app->lock);
    q->progress_timer = NULL;
    while (!m8__list_empty(&q->progress)) m8__progress_flush(M8__OF(m8_call, in_progress, q->progress.next));
    pthread_mutex_unlock(&app->lock);
}

static void progress_later(void *user)
{
    m8_blocks *app = user;
    struct m8__queue *q = app->queue;
    pthread_mutex_lock(&app->lock);
    q->progress_timed = false;
    if (!m8__list_empty(&q->progress) && !q->progress_timer && !q->stopped) {
        q->progress_timer = m8_http_timer_new(app->http, PROGRESS_EVERY_S, 0, progress_due, app);
    }
    pthread_mutex_unlock(&app->lock);
}

static void tell_progress(m8_call *c, const double *fraction, const int64_t *index, const int64_t *length, const char *unit, const char *desc)
{
    if (!c->channel || c->channel->kind != M8__SESSION || c->mute) return;
    struct m8__queue *q = c->app->queue;
    m8_buf text = {0};
    m8__say_progress(&text, c, fraction, index, length, unit, desc);
    double now = m8_now_s();
    pthread_mutex_lock(&c->app->lock);
    if (!text.status && !c->mute) {
        bool at_once = !c->in_progress.next && now - c->progress_at >= PROGRESS_EVERY_S;
        if (at_once) {
            m8__channel_put(q, c->channel, text.data, text.len);
            c->progress_at = now;
            m8__channel_room(c);
        } else { /* it takes the place of one that was not sent */
            m8_buf was = c->progress;
            c->progress = text;
            text = was;
            if (!c->in_progress.next) m8__list_add(&q->progress, &c->in_progress);
            if (!q->progress_timed && !q->progress_timer && !q->stopped) q->progress_timed = m8_http_post(c->app->http, progress_later, c->app);
        }
    }
    pthread_mutex_unlock(&c->app->lock);
    m8_buf_finish(&text);
}

void m8_progress(m8_call *c, double fraction, const char *desc) { tell_progress(c, &fraction, NULL, NULL, NULL, desc); }

void m8_progress_steps(m8_call *c, int64_t index, int64_t length, const char *unit, const char *desc)
{
    tell_progress(c, NULL, &index, length ? &length : NULL, unit, desc);
}

/* ---- toasts and failures ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *level, *title;
} levels[] = {{"info", "Info"}, {"warning", "Warning"}, {"success", "Success"}, {"error", "Error"}};

void m8_toast(m8_call *c, m8_toast_level level, const char *text, const m8_toast_opts *opts)
{
    if (!c->channel || c->channel->kind != M8__SESSION || c->mute || (unsigned)level >= sizeof levels / sizeof *levels) return;
    m8_buf line = {0};
    m8__say_log(&line, c, levels[level].level, text, opts, levels[level].title);
    pthread_mutex_lock(&c->app->lock);
    if (!line.status && !c->mute) {
        m8__progress_flush(c);
        m8__channel_put(c->app->queue, c->channel, line.data, line.len);
        m8__channel_room(c);
    }
    pthread_mutex_unlock(&c->app->lock);
    m8_buf_finish(&line);
}

m8_status m8_raise(m8_call *c, m8_error *err, const m8_toast_opts *opts, const char *fmt, ...)
{
    m8_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *room = n >= 0 ? m8_buf_room(&text, (size_t)n) : NULL;
    va_start(ap, fmt);
    if (room) vsnprintf(room, (size_t)n + 1, fmt, ap);
    va_end(ap);
    m8_free(c->said_no);
    c->said_no = room ? text.data : NULL; /* whole; err has room for less */
    m8_free(c->title);
    c->title = opts && opts->title ? m8_strdup(opts->title) : NULL;
    c->duration_s = opts ? opts->duration_s : 0;
    c->hidden = opts && opts->hidden;
    return m8_fail(err, M8_E_USER, "%s", room ? text.data : "an error");
}
