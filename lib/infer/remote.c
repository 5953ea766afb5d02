/* A model in another process: the class whose functions send the call there, and hand on what comes back. serve.c is the other end. */
#include "models/model.h"
#include "wire.h"
#include <pthread.h>
#include <string.h>

struct remote {
    m8_proc *proc;
    pthread_mutex_t lock; /* of what follows, which the minder writes when the model has been loaded */
    struct m8__about about;
    int rate;
};

/* ---- what is known about it */

static struct m8__about about(const m8_model *m)
{
    struct remote *r = m->impl;
    pthread_mutex_lock(&r->lock);
    struct m8__about a = r->about;
    pthread_mutex_unlock(&r->lock);
    return a;
}

static int rate(const m8_model *m)
{
    struct remote *r = m->impl;
    pthread_mutex_lock(&r->lock);
    int hz = r->rate;
    pthread_mutex_unlock(&r->lock);
    return hz;
}

static const char *family_name(const char *name) /* static, as the caller may keep it */
{
    for (int i = 0; name && m8__families[i]; i++) {
        if (!strcmp(m8__families[i]->name, name)) return m8__families[i]->name;
    }
    return NULL;
}

static m8_status ready(void *user, m8_fields *f, m8_error *err)
{
    struct remote *r = user;
    struct m8__about a = { .name = family_name(m8_get_text(f)) };
    a.tasks = (int)m8_get_u32(f);
    a.n_params = (int64_t)m8_get_u64(f);
    int hz = (int)m8_get_u32(f);
    if (f->bad || f->left || !a.name || hz < 0) return m8_fail(err, M8_E_FORMAT, "the process says what it is not in a way that is known here");
    pthread_mutex_lock(&r->lock);
    r->about = a;
    r->rate = hz;
    pthread_mutex_unlock(&r->lock);
    return M8_OK;
}

/* ---- calls */

static m8_status send(m8_model *m, const struct m8__wire_call *c, m8_request *q, m8_buf *result, m8_error *err)
{
    struct remote *r = m->impl;
    m8_buf args = {0};
    m8__put_call(&args, c);
    q->args = &args;
    m8_status st = m8_proc_call(r->proc, q, result, err);
    m8_buf_finish(&args);
    return st;
}

static m8_fields fields_of(const m8_buf *b) { return (m8_fields){ (const uint8_t *)b->data, b->len, false }; }

static m8_status no_result(m8_error *err) { return m8_fail(err, M8_E_FORMAT, "the process answered with what is no result"); }

struct hearing {
    m8_segment_sink out;
    m8_arena *arena;
    m8_error *err;
};

static m8_status push_segment(void *user, const void *data, size_t n)
{
    struct hearing *h = user;
    m8_segment s;
    m8_arena_clear(h->arena);
    m8_status st = m8__get_segment(&s, &(m8_fields){ data, n, false }, h->arena, h->err);
    return st ? st : h->out.push(h->out.user, &s);
}

static m8_status transcribe(m8_model *m, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                            m8_transcribe_info *info, m8_error *err)
{
    struct hearing h = { out, m8_arena_new(0), err };
    m8_buf result = {0};
    *info = (m8_transcribe_info){0};
    if (!h.arena) return m8_fail(err, M8_E_NOMEM, "transcribing");
    if (n > SIZE_MAX / sizeof *samples) return m8_fail(err, M8_E_LIMIT, "more than a day of sound");
    struct m8__wire_call c = { .method = M8__TRANSCRIBE, .transcribe = *opts };
    m8_request q = { .bulk = samples, .n_bulk = n * sizeof *samples, .out = { push_segment, &h }, .cancel = opts->cancel };
    m8_status st = send(m, &c, &q, &result, err);
    m8_fields f = fields_of(&result);
    if (f.left) m8__get_info(info, &f);
    if (!st && (f.bad || f.left || !result.len)) st = no_result(err);
    m8_buf_finish(&result);
    m8_arena_free(h.arena);
    return st;
}

struct talking {
    m8_text_sink out;
};

static m8_status push_text(void *user, const void *data, size_t n)
{
    const struct talking *t = user;
    return n ? t->out.push(t->out.user, data, n) : M8_OK;
}

static m8_status chat(m8_model *m, const m8_message *messages, size_t n, const char *prompt, const m8_chat_opts *opts, m8_text_sink out,
                      m8_usage *usage, m8_error *err)
{
    struct talking t = { out };
    m8_buf result = {0};
    struct m8__wire_call c = { .method = prompt ? M8__COMPLETE : M8__CHAT, .messages = messages, .n = n, .text = prompt, .chat = *opts };
    m8_request q = { .out = { push_text, &t }, .cancel = opts->cancel };
    m8_status st = send(m, &c, &q, &result, err);
    m8_fields f = fields_of(&result);
    if (f.left) m8__get_usage(usage, &f);
    if (!st && (f.bad || f.left || !result.len)) st = no_result(err);
    m8_buf_finish(&result);
    return st;
}

static m8_status score(m8_model *m, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts, const m8_score_opts *opts,
                       float *scores, int *n_tokens, m8_error *err)
{
    m8_buf result = {0};
    struct m8__wire_call c = { .method = M8__SCORE, .messages = messages, .n = n, .texts = texts, .n_texts = n_texts };
    m8_request q = { .cancel = opts->cancel };
    m8_status st = send(m, &c, &q, &result, err);
    m8_fields f = fields_of(&result);
    if (!st && !(m8__get_words(scores, n_texts, &f) && m8__get_words(n_tokens, n_texts, &f) && !f.left)) st = no_result(err);
    m8_buf_finish(&result);
    return st;
}

static m8_status tokenize(m8_model *m, const char *text, int **ids, size_t *n, m8_error *err)
{
    m8_buf result = {0};
    struct m8__wire_call c = { .method = M8__TOKENIZE, .text = text };
    m8_request q = {0};
    m8_status st = send(m, &c, &q, &result, err);
    m8_fields f = fields_of(&result);
    size_t count = st ? 0 : m8_get_count(&f, sizeof **ids);
    int *got = st ? NULL : m8_malloc(count * sizeof *got);
    if (!st && !got) st = m8_fail(err, M8_E_NOMEM, "tokenizing");
    if (!st && !(m8__get_words(got, count, &f) && !f.left)) st = no_result(err);
    m8_buf_finish(&result);
    if (st) {
        m8_free(got);
        return st;
    }
    *ids = got;
    *n = count;
    return M8_OK;
}

static m8_status push_sound(void *user, const void *data, size_t n)
{
    const m8_pcm_sink *out = user;
    if (n % sizeof(float)) return M8_E_FORMAT;
    return n ? out->push(out->user, data, n / sizeof(float)) : M8_OK;
}

static m8_status speak(m8_model *m, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err)
{
    struct m8__wire_call c = { .method = M8__SPEAK, .text = text, .speak = *opts };
    m8_request q = { .out = { push_sound, &out }, .cancel = opts->cancel };
    return send(m, &c, &q, NULL, err);
}

/* ---- open and close */

static void close_remote(m8_model *m)
{
    struct remote *r = m->impl;
    if (!r) return;
    m8_proc_close(r->proc);
    pthread_mutex_destroy(&r->lock);
    m8_free(r);
}

static const struct m8__family remote = {
    .about = about, .close = close_remote, .transcribe = transcribe, .chat = chat, .score = score, .tokenize = tokenize, .speak = speak,
    .rate = rate,
};

/* Folder and name: what a cache puts before them would push the cause out of a message. */
static const char *short_name(const char *path)
{
    const char *at = path + strlen(path);
    for (int slashes = 0; at > path; at--) {
        if (at[-1] == '/' && ++slashes == 2) break;
    }
    return at;
}

m8_status m8_open_worker(m8_model **out, const char *path, const m8_worker_opts *opts, m8_error *err)
{
    static const m8_worker_opts none;
    if (!out || !path || !*path) return m8_fail(err, M8_E_ARG, "no model named");
    *out = NULL;
    if (!opts) opts = &none;
    m8_model *m = m8__model_new(&opts->open);
    struct remote *r = m ? m8_calloc(1, sizeof *r) : NULL;
    if (!r) {
        m8_free(m);
        return m8_fail(err, M8_E_NOMEM, "opening %s", path);
    }
    m->family = &remote;
    m->impl = r;
    pthread_mutex_init(&r->lock, NULL);
    r->about.name = "";
    m8_buf hello = {0}, what = {0};
    m8_put_text(&hello, path);
    m8_put_u32(&hello, (uint32_t)opts->open.n_threads);
    m8_put_u32(&hello, opts->open.precision);
    m8_buf_printf(&what, "the model %s", short_name(path));
    m8_status st = hello.status || what.status ? m8_fail(err, M8_E_NOMEM, "opening %s", path) : M8_OK;
    if (!st) st = m8_proc_open(&r->proc, M8__MODEL_SERVICE, what.data, &hello, ready, r, &opts->proc, err);
    m8_buf_finish(&hello);
    m8_buf_finish(&what);
    if (st) m8_close(m);
    else *out = m;
    return st;
}

m8_proc_info m8_worker_about(const m8_model *m)
{
    return m && m->family == &remote ? m8_proc_about(((struct remote *)m->impl)->proc) : (m8_proc_info){0};
}
