#include "load.h"
#include "models.h"
#include <pthread.h>

static const char *const roles[] = { "asr", "llm", "tts" };
static const struct {
    int bit;
    const char *verb;
} tasks[] = { { M8_TASK_ASR, "hear" }, { M8_TASK_CHAT, "answer" }, { M8_TASK_TTS, "speak" } };

struct loading {
    int role;
    const struct options *o;
    m8_status (*then)(void *user, m8_model *m, m8_error *err);
    void *user;
    m8_model *model;
    m8_status status;
    m8_error err;
    unsigned long thread;
};

m8_status load_model(m8_model **m, int role, const struct options *o, m8_error *err)
{
    char *path = NULL;
    *m = NULL;
    m8_open_opts opts = { .n_threads = o->threads, .precision = o->f32 ? M8_F32 : M8_FAST };
    m8_status st = find_model(&path, roles[role], options_model(o, roles[role]), err);
    if (!st) st = m8_open(m, path, &opts, err);
    if (!st && !(m8_model_tasks(*m) & tasks[role].bit)) {
        st = m8_fail(err, M8_E_UNSUPPORTED, "%s: a %s model cannot %s", path, m8_model_family(*m), tasks[role].verb);
        m8_close(*m);
        *m = NULL;
    }
    m8_free(path);
    return st;
}

static void *run(void *arg)
{
    struct loading *l = arg;
    l->status = load_model(&l->model, l->role, l->o, &l->err);
    if (!l->status && l->then) l->status = l->then(l->user, l->model, &l->err);
    return NULL;
}

m8_status load_start(struct loading **out, int role, const struct options *o, m8_status (*then)(void *, m8_model *, m8_error *),
                     void *user, m8_error *err)
{
    struct loading *l = *out = m8_calloc(1, sizeof *l);
    if (!l) return m8_fail(err, M8_E_NOMEM, "loading a model");
    *l = (struct loading){ .role = role, .o = o, .then = then, .user = user };
    if (!m8_sys_get()->thread_create(&l->thread, run, l)) return M8_OK;
    m8_free(l);
    *out = NULL;
    return m8_fail(err, M8_E_NOMEM, "starting a thread");
}

m8_status load_wait(struct loading *l, m8_model **m, m8_error *err)
{
    *m = NULL;
    if (!l) return M8_OK;
    pthread_join(l->thread, NULL);
    m8_status st = l->status;
    *m = l->model;
    if (st) m8_fail(err, st, "%s", m8_error_text(&l->err));
    m8_free(l);
    return st;
}
