/* A model that is not here, or whose process does not start, is no reason not to serve: the page says so. The ball is made when the model that
 * answers has been loaded for the first time, and what all questions share is computed again whenever its process is new; both on a thread of
 * its own, since the processes' news come on a thread that must not call them. */
#include "served.h"
#include "models.h"
#include <string.h>
#include <time.h>

const char *const served_state_names[] = { "missing", "loading", "ready", "died" };
static const char *const roles[N_ROLES] = { "asr", "llm", "tts" };
static const char *const jobs[N_ROLES] = { "hears", "answers", "speaks" };

#define PATIENCE_S 60

static void set_state(struct served_model *m, enum served_state state, const m8_error *why)
{
    struct served *s = m->of;
    pthread_mutex_lock(&s->lock);
    m->state = state;
    m->why = why ? *why : (m8_error){0};
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
}

static void news(void *user, m8_proc_state state, const m8_error *why)
{
    struct served_model *m = user;
    struct served *s = m->of;
    const char *name = roles[m - s->models];
    switch (state) {
    case M8_PROC_LOADING:
        pthread_mutex_lock(&s->lock);
        m->n_started++;
        if (m == &s->models[ROLE_LLM]) s->ball_warm = false;
        pthread_mutex_unlock(&s->lock);
        set_state(m, SERVED_LOADING, NULL);
        break;
    case M8_PROC_READY:
        m8_log(M8_LOG_INFO, "%s: ready", name);
        set_state(m, m == &s->models[ROLE_LLM] ? SERVED_LOADING : SERVED_READY, NULL); /* the ball makes it ready */
        break;
    default:
        m8_log(M8_LOG_WARN, "%s: %s", name, m8_error_text(why));
        set_state(m, SERVED_DIED, why);
    }
}

/* The thread that makes the ball, and warms it. */
static void *warm(void *user)
{
    struct served *s = user;
    struct served_model *m = &s->models[ROLE_LLM];
    const struct options *o = s->o;
    struct ball_opts opts = { o->free_talk, o->max_tokens, o->temperature, o->top_k, o->top_p, o->min_p };
    for (;;) {
        pthread_mutex_lock(&s->lock);
        while (!s->closing && (s->ball_warm || m->state != SERVED_LOADING || m8_worker_about(m->model).state != M8_PROC_READY)) {
            pthread_cond_wait(&s->news, &s->lock);
        }
        bool closing = s->closing;
        s->ball_warm = true;
        pthread_mutex_unlock(&s->lock);
        if (closing) return NULL;
        m8_error err = {0};
        struct ball *ball = s->ball;
        m8_status st = ball ? M8_OK : ball_open(&ball, m->model, &opts, &err);
        if (!st) st = ball_warm(ball, &err);
        if (st) m8_log(M8_LOG_WARN, "llm: %s", m8_error_text(&err));
        pthread_mutex_lock(&s->lock);
        s->ball = ball;
        if (m->state == SERVED_LOADING && s->ball_warm) { /* else it has died meanwhile */
            m->state = st ? SERVED_DIED : SERVED_READY;
            m->why = err;
        }
        pthread_cond_broadcast(&s->news);
        pthread_mutex_unlock(&s->lock);
    }
}

static m8_status start(struct served *s, int role, m8_error *err)
{
    struct served_model *m = &s->models[role];
    char *path = NULL;
    m8_error why = {0};
    m8_worker_opts w = { .open = { .n_threads = s->o->threads, .precision = s->o->f32 ? M8_F32 : M8_FAST },
                         .proc = { .state = news, .user = m, .background = true } };
    m8_status st = find_model(&path, roles[role], options_model(s->o, roles[role]), &why);
    if (st) {
        m8_log(M8_LOG_WARN, "%s: %s", roles[role], m8_error_text(&why));
        m->why = why;
        st = st == M8_E_NOMEM ? m8_fail(err, st, "%s", m8_error_text(&why)) : M8_OK;
    } else {
        m->state = SERVED_LOADING;
        st = m8_open_worker(&m->model, path, &w, err);
    }
    m8_free(path);
    return st;
}

m8_status served_open(struct served *s, const struct options *o, m8_error *err)
{
    *s = (struct served){ .o = o };
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->news, NULL);
    m8_status st = M8_OK;
    for (int i = 0; i < N_ROLES; i++) s->models[i].of = s;
    for (int i = 0; i < N_ROLES && !st; i++) st = start(s, i, err);
    if (!st) st = m8_audio_worker_open(&s->decoder, &(m8_proc_opts){ .background = true }, err);
    if (!st && s->models[ROLE_LLM].model && m8_sys_get()->thread_create(&s->warmer, warm, s)) {
        s->warmer = 0;
        st = m8_fail(err, M8_E_NOMEM, "starting a thread");
    }
    return st;
}

void served_close(struct served *s)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
    if (s->warmer) pthread_join(s->warmer, NULL);
    ball_close(s->ball);
    for (int i = 0; i < N_ROLES; i++) m8_close(s->models[i].model);
    m8_audio_worker_close(s->decoder);
    pthread_cond_destroy(&s->news);
    pthread_mutex_destroy(&s->lock);
}

enum served_state served_state(struct served *s, int role, int *n_started)
{
    pthread_mutex_lock(&s->lock);
    enum served_state state = s->models[role].state;
    if (n_started) *n_started = s->models[role].n_started;
    pthread_mutex_unlock(&s->lock);
    return state;
}

static void wake(void *user)
{
    struct served *s = user;
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
}

m8_status served_wait(struct served *s, int role, m8_cancel *cancel, m8_error *err)
{
    struct served_model *m = &s->models[role];
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    m8_watch watch = { .fn = wake, .user = s };
    if (cancel) m8_cancel_watch(cancel, &watch);
    pthread_mutex_lock(&s->lock);
    bool late = false;
    while (!late && !s->closing && (m->state == SERVED_LOADING || m->state == SERVED_DIED) && !(cancel && m8_cancel_is_set(cancel))) {
        late = pthread_cond_timedwait(&s->news, &s->lock, &until) != 0;
    }
    enum served_state state = m->state;
    pthread_mutex_unlock(&s->lock);
    if (cancel) m8_cancel_unwatch(&watch);
    if (state == SERVED_READY) return M8_OK;
    if (cancel && m8_cancel_is_set(cancel)) return m8_fail(err, M8_E_CANCELLED, "cancelled");
    return m8_fail(err, M8_E_USER, state == SERVED_LOADING ? "The model that %s is still loading; ask again in a moment"
                                                           : "The model that %s is not there; whoever runs this can see why in its log", jobs[role]);
}

m8_status served_decode(struct served *s, m8_pcm *pcm, const char *path, m8_error *err)
{
    m8_buf bytes = { .limit = 64 << 20 };
    m8_status st = m8_read_file(&bytes, path, err);
    if (!st && !bytes.len) st = m8_fail(err, M8_E_FORMAT, "the recording is empty");
    if (!st) st = m8_audio_worker_decode(s->decoder, pcm, bytes.data, bytes.len, NULL, err);
    m8_buf_finish(&bytes);
    return st;
}

static m8_status any_token(void *user, const char *text, size_t n) { return M8_OK; }

m8_status served_check(struct served *s, m8_error *err)
{
    m8_chat_opts one = { .max_tokens = 1 };
    return m8_complete(s->models[ROLE_LLM].model, "The", &one, (m8_text_sink){ any_token, NULL }, NULL, err);
}
