/* One thread takes clauses from a queue, speaks each, and feeds one encoder: so there is no gap between clauses. */
#include "voice.h"
#include <pthread.h>
#include <string.h>

struct clause {
    struct clause *next;
    char text[];
};

struct voice {
    m8_model *tts;
    struct voice_opts opts;
    m8_bytes_sink out;
    m8_encoder *encoder;
    struct voice_times times;
    m8_error err;

    pthread_mutex_t lock;
    pthread_cond_t news;
    struct clause *first, **last;
    bool ended, cancelled;
    m8_status status;
    unsigned long thread;
};

static m8_status take_bytes(void *user, const void *data, size_t n)
{
    struct voice *v = user;
    v->times.last_byte = m8_now_s();
    if (!v->times.first_byte) v->times.first_byte = v->times.last_byte;
    v->times.bytes += n;
    return v->out.push(v->out.user, data, n);
}

static m8_status take_pcm(void *user, const float *samples, size_t n)
{
    struct voice *v = user;
    if (!v->times.first_pcm) v->times.first_pcm = m8_now_s();
    v->times.audio_s += (double)n / v->opts.encode.rate;
    pthread_mutex_lock(&v->lock);
    bool cancelled = v->cancelled;
    pthread_mutex_unlock(&v->lock);
    return cancelled ? M8_E_CANCELLED : m8_encoder_push(v->encoder, samples, n, &v->err);
}

static bool speaks_as_a_whole(const m8_model *tts) { return !strcmp(m8_model_family(tts), "parler"); }

/* All that is left, in one. */
static struct clause *join(struct voice *v)
{
    size_t n = 0;
    for (struct clause *c = v->first; c; c = c->next) n += strlen(c->text);
    struct clause *whole = m8_malloc(sizeof *whole + n + 1);
    if (!whole) return NULL;
    char *at = whole->text;
    for (struct clause *c = v->first, *next; c; c = next) {
        next = c->next;
        at = stpcpy(at, c->text);
        m8_free(c);
    }
    v->first = NULL;
    v->last = &v->first;
    return whole;
}

static struct clause *next_clause(struct voice *v, m8_status *st)
{
    bool whole = speaks_as_a_whole(v->tts);
    pthread_mutex_lock(&v->lock);
    while ((!v->first || whole) && !v->ended) pthread_cond_wait(&v->news, &v->lock);
    struct clause *c = v->cancelled ? NULL : v->first;
    if (c && whole && c->next) {
        c = join(v);
        pthread_mutex_unlock(&v->lock);
        if (!c) *st = m8_fail(&v->err, M8_E_NOMEM, "the voice");
        return c;
    }
    if (c) {
        v->first = c->next;
        if (!v->first) v->last = &v->first;
    }
    pthread_mutex_unlock(&v->lock);
    return c;
}

m8_speak_opts voice_speak_opts(const struct options *o)
{
    return (m8_speak_opts){ .length_scale = o->speed > 0 && o->speed != 1 ? (float)(1 / o->speed) : 0, .speaker = o->speaker, .seed = o->seed,
                            .description = o->description, .play_steps_in_s = (float)o->play_steps };
}

uint64_t voice_seed(const m8_model *tts, uint64_t given) { return given || !speaks_as_a_whole(tts) ? given : 42; }

static void *speak(void *arg)
{
    struct voice *v = arg;
    m8_status st = v->opts.model(v->opts.user, &v->tts, &v->err);
    if (!st) v->opts.encode.rate = m8_speak_rate(v->tts);
    if (!st) st = m8_encoder_open(&v->encoder, &v->opts.encode, (m8_bytes_sink){ take_bytes, v }, &v->err);
    v->opts.speak.seed = st ? 0 : voice_seed(v->tts, v->opts.speak.seed);
    for (struct clause *c; !st && (c = next_clause(v, &st));) {
        st = m8_speak(v->tts, c->text, &v->opts.speak, (m8_pcm_sink){ take_pcm, v }, &v->err);
        m8_free(c);
    }
    if (!st) st = m8_encoder_finish(v->encoder, &v->err);
    pthread_mutex_lock(&v->lock);
    v->status = st;
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

static void free_voice(struct voice *v)
{
    for (struct clause *c = v->first, *next; c; c = next) {
        next = c->next;
        m8_free(c);
    }
    m8_encoder_close(v->encoder);
    pthread_cond_destroy(&v->news);
    pthread_mutex_destroy(&v->lock);
    m8_free(v);
}

m8_status voice_start(struct voice **out, const struct voice_opts *opts, m8_bytes_sink sink, m8_error *err)
{
    struct voice *v = *out = m8_calloc(1, sizeof *v);
    if (!v) return m8_fail(err, M8_E_NOMEM, "the voice");
    *v = (struct voice){ .opts = *opts, .out = sink, .last = &v->first };
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->news, NULL);
    if (!m8_sys_get()->thread_create(&v->thread, speak, v)) return M8_OK;
    free_voice(v);
    *out = NULL;
    return m8_fail(err, M8_E_NOMEM, "starting a thread");
}

m8_status voice_say(struct voice *v, const char *text, size_t n)
{
    struct clause *c = m8_malloc(sizeof *c + n + 1);
    if (!c) return M8_E_NOMEM;
    c->next = NULL;
    memcpy(c->text, text, n);
    c->text[n] = 0;
    pthread_mutex_lock(&v->lock);
    m8_status st = v->status;
    *v->last = c;
    v->last = &c->next;
    pthread_cond_signal(&v->news);
    pthread_mutex_unlock(&v->lock);
    return st;
}

m8_status voice_end(struct voice *v, bool cancel, struct voice_times *times, m8_error *err)
{
    if (!v) return M8_OK;
    pthread_mutex_lock(&v->lock);
    v->ended = true;
    v->cancelled = cancel;
    pthread_cond_signal(&v->news);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    m8_status st = v->status;
    if (times) *times = v->times;
    if (st) m8_fail(err, st, "%s", m8_error_text(&v->err));
    free_voice(v);
    return st;
}
