/* What a handler asks about its run: inputs, the request, cancellation, its batch. */
#include "run_internal.h"
#include <math.h>
#include <string.h>

static const json_t *input(const m8_call *c, int i) { return i >= 0 ? json_array_get(c->in, (size_t)i) : NULL; }

void *m8_call_user(const m8_call *c) { return c->event->user; }

const char *m8_in_text(const m8_call *c, int i)
{
    const char *s = json_string_value(input(c, i));
    return s ? s : "";
}

bool m8_in_is_null(const m8_call *c, int i)
{
    const json_t *v = input(c, i);
    return !v || json_is_null(v);
}

double m8_in_number(const m8_call *c, int i) { return json_number_value(input(c, i)); }
bool m8_in_bool(const m8_call *c, int i) { return json_is_true(input(c, i)); }

const char *m8_in_json(m8_call *c, int i)
{
    const json_t *v = input(c, i);
    if (!v || (size_t)i >= c->event->n_in) return "null";
    if (!c->texts) c->texts = m8_calloc(c->event->n_in, sizeof *c->texts);
    if (!c->texts) {
        c->broken = M8_E_NOMEM;
        return "null";
    }
    if (!c->texts[i]) {
        m8_buf text = {0};
        m8__put_json(&text, v);
        if (text.status) {
            m8_buf_finish(&text);
            c->broken = M8_E_NOMEM;
            return "null";
        }
        c->texts[i] = text.data;
    }
    return c->texts[i];
}

/* Only what says that it is a file has been checked to be this session's: any JSON may have a path. */
static bool is_file(const json_t *v)
{
    const char *type = json_string_value(json_object_get(json_object_get(v, "meta"), "_type"));
    return type && !strcmp(type, "gradio.FileData") && json_is_string(json_object_get(v, "path"));
}

/* A FileData, or an entry of a gallery that holds one. */
static const json_t *file_of(const json_t *v)
{
    static const char *const within[] = {"image", "video", "file"};
    if (is_file(v)) return v;
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        const json_t *f = json_object_get(v, within[i]);
        if (is_file(f)) return f;
    }
    return NULL;
}

size_t m8_in_n_files(const m8_call *c, int i)
{
    const json_t *v = input(c, i);
    return json_is_array(v) ? json_array_size(v) : file_of(v) ? 1 : 0;
}

const char *m8_in_file_at(const m8_call *c, int i, size_t k)
{
    const json_t *v = input(c, i);
    if (json_is_array(v)) v = json_array_get(v, k);
    else if (k) v = NULL;
    return json_string_value(json_object_get(file_of(v), "path"));
}

const char *m8_in_file(const m8_call *c, int i) { return m8_in_file_at(c, i, 0); }

const char *m8_in_file_name(const m8_call *c, int i)
{
    const json_t *v = input(c, i);
    const char *name = json_string_value(json_object_get(file_of(json_is_array(v) ? json_array_get(v, 0) : v), "orig_name"));
    return name ? name : "";
}

/* ---- the request ----------------------------------------------------------------------------------------------------- */

const char *m8_call_header(const m8_call *c, const char *name)
{
    const char *at = c->about ? c->about->headers : "";
    while (*at) {
        const char *value = at + strlen(at) + 1;
        if (!strcasecmp(at, name)) return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *m8_call_query(const m8_call *c, const char *name)
{
    if (!c->about) return NULL;
    char *text = m8_form_field(c->about->query, strlen(c->about->query), name);
    if (!text) return NULL;
    size_t n = strlen(text);
    struct m8__kept *k = m8_malloc(sizeof *k + n + 1);
    if (k) {
        m8_call *own = (m8_call *)c; /* what it keeps is no part of what it is */
        k->next = own->kept;
        own->kept = k;
        memcpy(k->text, text, n + 1);
    }
    m8_free(text);
    return k ? k->text : NULL;
}

const char *m8_call_peer(const m8_call *c) { return c->about ? c->about->peer : ""; }
const char *m8_call_session(const m8_call *c) { return c->session ? c->session->hash : c->kind == M8__CALL ? c->id : ""; }
const char *m8_call_username(const m8_call *c) { return c->about ? c->about->user : NULL; }

const char *m8_call_event_data(const m8_call *c)
{
    m8_call *own = (m8_call *)c;
    if (!c->event_data || json_is_null(c->event_data)) return "null";
    m8_buf text = {0};
    m8__put_json(&text, c->event_data);
    struct m8__kept *k = text.status ? NULL : m8_malloc(sizeof *k + text.len + 1);
    if (k) {
        k->next = own->kept;
        own->kept = k;
        memcpy(k->text, text.data, text.len + 1);
    }
    m8_buf_finish(&text);
    return k ? k->text : "null";
}

/* ---- cancelled? -------------------------------------------------------------------------------------------------------- */

bool m8_cancelled(const m8_call *c)
{
    if (!c->n_batch) return atomic_load(&c->cancelled);
    for (int i = 0; i < c->n_batch; i++) { /* a batch goes on for whoever is left */
        if (!atomic_load(&c->batch[i]->cancelled)) return false;
    }
    return true;
}

void m8_on_cancel(m8_call *c, void (*fn)(void *user), void *user)
{
    pthread_mutex_lock(&c->app->lock);
    while (c->in_callback) pthread_cond_wait(&c->app->queue->settled, &c->app->lock);
    bool now = fn && atomic_load(&c->cancelled);
    c->on_cancel = now ? NULL : fn;
    c->on_cancel_user = user;
    pthread_mutex_unlock(&c->app->lock);
    if (now) fn(user);
}

int m8_batch_size(const m8_call *c) { return c->n_batch ? c->n_batch : 1; }
m8_call *m8_batch_at(m8_call *c, int k) { return !c->n_batch ? (k ? NULL : c) : k >= 0 && k < c->n_batch ? c->batch[k] : NULL; }
