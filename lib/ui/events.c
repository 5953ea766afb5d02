/* Listeners: what Gradio calls dependencies. */
#include "table.h"
#include <stdio.h>
#include <string.h>

static const char *const trigger_names[M8_N_TRIGGERS] = {
    "click",
    "change",
    "input",
    "submit",
    "select",
    "upload",
    "clear",
    "start_recording",
    "pause_recording",
    "stop_recording",
    "play",
    "pause",
    "stop",
    "stream",
    "release",
    "focus",
    "blur",
    "edit",
    "delete",
    "double_click",
    "key_up",
    "copy",
    "download",
    "like",
    "retry",
    "undo",
    "expand",
    "collapse",
    "apply",
    "end",
    "tick",
    "load",
    "unload",
};

const char *m8__trigger_name(m8_trigger t) { return (unsigned)t < M8_N_TRIGGERS ? trigger_names[t] : "?"; }

static void event_free(m8_event *e)
{
    if (!e) return;
    for (size_t i = 0; e->params && i < e->n_in; i++) m8_free(e->params[i]);
    for (size_t i = 0; e->defaults && i < e->n_in; i++) json_decref(e->defaults[i]);
    m8_free(e->params);
    m8_free(e->defaults);
    m8_free(e->targets);
    m8_free(e->in);
    m8_free(e->out);
    m8_free(e->api_name);
    m8_free((void *)e->opts.description);
    m8_free((void *)e->opts.concurrency_id);
    m8_free((void *)e->opts.show_progress);
    m8_free((void *)e->opts.js);
    m8_free(e);
}

void m8__events_free(m8_blocks *app)
{
    for (size_t i = 0; i < app->n_events; i++) event_free(app->events[i]);
    m8_free(app->events);
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

m8_event *m8__event_named(m8_blocks *app, const char *api_name, size_t n)
{
    for (size_t i = 0; i < app->n_events; i++) {
        const char *name = app->events[i]->api_name;
        if (!strncmp(name, api_name, n) && !name[n]) return app->events[i];
    }
    return NULL;
}

/* "echo", "echo_1", "echo_2", ... */
static char *unique_name(m8_blocks *app, const char *name)
{
    char *s = m8_strdup(name);
    for (int i = 1; s && m8__event_named(app, s, strlen(s)); i++) {
        m8_free(s);
        s = m8_sprintf("%s_%d", name, i);
    }
    return s;
}

/* What stands in URLs and in the sources that the API page shows: no blanks, no punctuation but - and _. */
static bool good_name(const char *name)
{
    for (const char *s = name; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || c == 127 || strchr("!\"#$%&'()*+,./:;<=>?@[\\]^`{|}~", c)) return false;
    }
    return *name != 0;
}

/* ---- making one ----------------------------------------------------------------------------------------------------- */

static bool copy_text(const char **text)
{
    if (*text) *text = m8_strdup(*text);
    return *text != NULL;
}

/* The event's own copies. All at once, so that event_free() never frees the caller's. */
static bool copy_texts(m8_event_opts *o, const char *progress)
{
    if (!o->show_progress) o->show_progress = progress;
    const char **texts[] = { &o->description, &o->concurrency_id, &o->show_progress, &o->js };
    bool ok = true;
    for (size_t i = 0; i < 4; i++) {
        if (*texts[i] && !copy_text(texts[i])) ok = false;
    }
    return ok;
}

static bool copy_list(m8_block ***out, size_t *n, m8_block *const *list)
{
    size_t count = 0;
    while (count < 32 && list[count]) count++;
    *out = m8_calloc(count, sizeof **out);
    if (!*out) return false;
    memcpy(*out, list, count * sizeof **out);
    *n = count;
    return true;
}

/* The names of the inputs for the API, distinct. */
static bool name_params(m8_event *e, const char *const *names)
{
    e->params = m8_calloc(e->n_in, sizeof *e->params);
    e->defaults = m8_calloc(e->n_in, sizeof *e->defaults);
    if (!e->params || !e->defaults) return false;
    for (size_t i = 0; i < e->n_in; i++) {
        e->params[i] = names[i] ? m8_strdup(names[i]) : m8_sprintf("param_%zu", i);
        if (!e->params[i]) return false;
        if (names[i] && !good_name(names[i]))
            m8__app_fail(e->app, M8_E_ARG, "%s: bad name of a parameter: %s", e->api_name, names[i]);
    }
    return true;
}

static bool of_this_app(m8_event *e)
{
    for (size_t i = 0; i < e->n_in + e->n_out; i++) {
        const m8_block *b = i < e->n_in ? e->in[i] : e->out[i - e->n_in];
        if (b->app != e->app) m8__app_fail(e->app, M8_E_ARG, "%s: a component of another app", e->api_name);
        else if (i < e->n_in && b->type->layout)
            m8__app_fail(e->app, M8_E_ARG, "%s: a %s as input", e->api_name, b->type->type);
    }
    return !e->app->status;
}

static bool remember(m8_event *e)
{
    m8_blocks *app = e->app;
    if (!(app->n_events & (app->n_events - 1))) {
        m8_event **more = m8_realloc(app->events, (app->n_events ? app->n_events * 2 : 1) * sizeof *more);
        if (!more) return false;
        app->events = more;
    }
    e->id = (int)app->n_events;
    app->events[app->n_events++] = e;
    return true;
}

static m8_event *event_make(m8_blocks *app, m8_fn fn, const m8_event_opts *opts, const char *name, const char *progress)
{
    if (app->status) return NULL;
    if (app->finished) m8__app_fail(app, M8_E_ARG, "%s: an event is added to an app that is being served", name);
    if (!good_name(name)) m8__app_fail(app, M8_E_ARG, "an api_name is \"%s\"", name);
    m8_event *e = app->status ? NULL : m8_calloc(1, sizeof *e);
    if (!e) {
        m8__app_nomem(app);
        return NULL;
    }
    e->app = app;
    e->fn = fn;
    e->user = opts->user;
    e->opts = *opts;
    bool ok = copy_texts(&e->opts, progress);
    ok = ok && (e->api_name = unique_name(app, name)) && copy_list(&e->in, &e->n_in, opts->in) &&
         copy_list(&e->out, &e->n_out, opts->out);
    ok = ok && name_params(e, opts->params);
    memset(e->opts.in, 0, sizeof e->opts.in);
    memset(e->opts.out, 0, sizeof e->opts.out);
    memset(e->opts.params, 0, sizeof e->opts.params);
    e->opts.api_name = NULL;
    if (!ok) m8__app_nomem(app);
    if (!ok || !of_this_app(e) || !remember(e)) {
        event_free(e);
        m8__app_nomem(app);
        return NULL;
    }
    if (!e->opts.max_batch_size) e->opts.max_batch_size = 4;
    if (!e->opts.trigger_mode) e->opts.trigger_mode = M8_ONCE;
    if (!(e->opts.stream_every_s > 0)) e->opts.stream_every_s = 0.5;
    e->queue = fn && opts->queue != M8_NO;
    if (!fn) e->opts.api_visibility = M8_PRIVATE;
    return e;
}

m8_event *m8__event_new(m8_blocks *app, m8_fn fn, const m8_event_opts *opts, const char *default_name)
{
    static const m8_event_opts none;
    const m8_event_opts *o = opts ? opts : &none;
    const char *name = o->api_name ? o->api_name : fn ? default_name : o->js ? "js_fn" : "unnamed";
    return app ? event_make(app, fn, o, name, "full") : NULL;
}

static bool add_target(m8_event *e, m8_block *block, const char *name)
{
    struct m8__target *more = m8_realloc(e->targets, (e->n_targets + 1) * sizeof *more);
    if (!more) return m8__app_nomem(e->app), false;
    e->targets = more;
    more[e->n_targets++] = (struct m8__target){ block, name };
    return true;
}

/* Properties that tell the page that somebody listens. */
static void mark(m8_block *b, m8_trigger t)
{
    static const struct { m8_trigger t; const char *key;
    } flags[] = {
        { M8_SELECT, "_selectable" }, { M8_STREAM, "streaming" }, { M8_LIKE, "likeable" },
        { M8_RETRY, "_retryable" },   { M8_UNDO, "_undoable" },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i].t == t) m8__props_flag(b, flags[i].key, true);
    }
    if (t == M8_EDIT && !strcmp(b->type->type, "chatbot") && json_is_null(m8__prop(b, "editable")))
        m8__props_text(b, "editable", "user");
}

static bool has_event(const m8_block *b, m8_trigger t)
{
    if (b == b->app->root) return t == M8_LOAD || t == M8_UNLOAD;
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(m8__component_defaults(b->type), "events"), i, name) {
        if (!strcmp(json_string_value(name), m8__trigger_name(t))) return true;
    }
    return false;
}

static bool attach(m8_event *e, m8_block *b, m8_trigger t)
{
    if (b->app != e->app) return m8__app_fail(e->app, M8_E_ARG, "%s: a component of another app", e->api_name), false;
    if (!has_event(b, t))
        return m8__app_fail(e->app, M8_E_ARG, "a %s has no event %s", b->type->type, m8__trigger_name(t)), false;
    if (b != e->app->root) mark(b, t);
    return add_target(e, t == M8_UNLOAD ? NULL : b, m8__trigger_name(t));
}

/* What Gradio's events of this name do unless they are told. */
static m8_event_opts with_defaults(const m8_event_opts *opts, m8_trigger t)
{
    m8_event_opts o = opts ? *opts : (m8_event_opts){0};
    if (!o.show_progress) o.show_progress = t == M8_STREAM ? "minimal" : t == M8_TICK || t == M8_UNLOAD ? "hidden" : "full";
    if (!o.trigger_mode)
        o.trigger_mode = t == M8_STREAM ? M8_MULTIPLE : t == M8_CHANGE || t == M8_KEY_UP ? M8_ALWAYS_LAST : M8_ONCE;
    if (t == M8_UNLOAD) o.api_visibility = M8_PRIVATE;
    return o;
}

/* A listener that the page follows by itself: it asks for the events to be cancelled. */
static m8_event *cancelling(m8_block *block, const struct m8__target *target, const m8_event_opts *o)
{
    m8_event_opts only = { .show_progress = o->show_progress };
    memcpy(only.cancels, o->cancels, sizeof only.cancels);
    m8_event *e = m8__event_new(block->app, NULL, &only, "unnamed");
    return e && add_target(e, target->block, target->name) ? e : NULL;
}

m8_event *m8_on(m8_block *block, m8_trigger trigger, m8_fn fn, const m8_event_opts *opts)
{
    if (!block) return NULL;
    m8_event_opts o = with_defaults(opts, trigger);
    memset(o.cancels, 0, sizeof o.cancels);
    m8_event *e = m8__event_new(block->app, fn, &o, m8__trigger_name(trigger));
    if (!e || !attach(e, block, trigger)) return NULL;
    if (opts && opts->cancels[0]) {
        memcpy(o.cancels, opts->cancels, sizeof o.cancels);
        if (!cancelling(block, &e->targets[0], &o)) return NULL;
    }
    return e;
}

void m8_also(m8_event *event, m8_block *block, m8_trigger trigger)
{
    if (event && block && !event->app->status) attach(event, block, trigger);
}

static m8_event *after(m8_event *before, const char *name, m8_fn fn, const m8_event_opts *opts)
{
    if (!before) return NULL;
    m8_event_opts o = opts ? *opts : (m8_event_opts){0};
    memset(o.cancels, 0, sizeof o.cancels);
    m8_event *e = m8__event_new(before->app, fn, &o, name);
    if (!e || !add_target(e, NULL, name)) return NULL;
    e->after = before;
    if (opts && opts->cancels[0]) {
        memcpy(o.cancels, opts->cancels, sizeof o.cancels);
        m8_event *c = cancelling(before->app->root, &e->targets[0], &o);
        if (!c) return NULL;
        c->after = before;
    }
    return e;
}

m8_event *m8_then(m8_event *before, m8_fn fn, const m8_event_opts *opts) { return after(before, "then", fn, opts); }

m8_event *m8_success(m8_event *before, m8_fn fn, const m8_event_opts *opts)
{
    m8_event *e = after(before, "success", fn, opts);
    if (e) e->only_success = true;
    return e;
}

m8_event *m8_failure(m8_event *before, m8_fn fn, const m8_event_opts *opts)
{
    m8_event *e = after(before, "failure", fn, opts);
    if (e) e->only_failure = true;
    return e;
}
