/* Hearing while one speaks. At each pause the page sends what it has recorded so far (`early`), which is heard at once and kept with the session.
 * When the recording ends, it usually is what was sent at the last pause and some silence: then the text is there already.
 *
 * Samples are compared, not names or times: the kept recording must be the beginning of the new one, but for its last SLACK samples (where the
 * resampler had not yet seen what came next), and from there on nobody may speak. */
#include "heard.h"
#include "turn.h"
#include <math.h>
#include <string.h>

#define SLACK 320  /* 20 ms at 16 kHz */
#define FRAME 320
#define MOST (30 * 16000)

struct heard {
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool made, hearing; /* a recogniser is at it */
    float *samples;     /* [n] */
    size_t n;
    char *text;         /* NULL: nothing known yet */
};

static void finish(void *data)
{
    struct heard *h = data;
    if (!h->made) return;
    m8_free(h->samples);
    m8_free(h->text);
    pthread_cond_destroy(&h->news);
    pthread_mutex_destroy(&h->lock);
}

static struct heard *of_session(m8_call *c)
{
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    static const char key;
    pthread_mutex_lock(&making);
    struct heard *h = m8_call_data(c, &key, sizeof *h, finish);
    if (h && !h->made) {
        pthread_mutex_init(&h->lock, NULL);
        pthread_cond_init(&h->news, NULL);
        h->made = true;
    }
    pthread_mutex_unlock(&making);
    return h;
}

static float loudness(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrtf(sum / (float)n);
}

/* Is everything from `from` on as quiet as the quiet parts before it? The quiet is the softest tenth of the frames, at least -66 dB; three times
 * that, and never more than a tenth of the loudest, is still no speech. */
static bool quiet_behind(const m8_pcm *pcm, size_t from)
{
    size_t n = pcm->n_samples / FRAME;
    float loudest = 0, softest = 1;
    for (size_t i = 0; i < n; i++) {
        float l = loudness(pcm->samples + i * FRAME, FRAME);
        if (l > loudest) loudest = l;
        if (l < softest && l > 0) softest = l;
    }
    float floor = softest * 3 > 0.0015f ? softest * 3 : 0.0015f, limit = floor < loudest / 10 ? floor : loudest / 10;
    for (size_t i = from; i + FRAME <= pcm->n_samples; i += FRAME) {
        if (loudness(pcm->samples + i, FRAME) > limit) return false;
    }
    return true;
}

/* Under the lock. */
static bool begins_as_kept(const struct heard *h, const m8_pcm *pcm)
{
    size_t n = h->n > SLACK ? h->n - SLACK : 0;
    return n && pcm->n_samples >= n && !memcmp(h->samples, pcm->samples, n * sizeof *h->samples);
}

static m8_status hear(struct served *s, m8_call *c, const m8_pcm *pcm, m8_cancel *cancel, char **question, m8_error *err)
{
    m8_error why = {0};
    struct hear_opts o = { .language = s->o->language, .beam = s->o->beam, .seed = s->o->seed, .cancel = cancel };
    m8_status st = hear_question(s->models[ROLE_ASR].model, pcm, &o, question, &why);
    if (st == M8_E_NOTFOUND) return m8_raise(c, err, &(m8_toast_opts){ .title = "No speech" }, "I heard nobody speak; ask again, a little louder");
    return st ? m8_fail(err, st, "%s", m8_error_text(&why)) : M8_OK;
}

/* The text that is kept for these samples, or being heard just now; NULL: none. */
static char *recall(struct heard *h, const m8_pcm *pcm)
{
    char *text = NULL;
    pthread_mutex_lock(&h->lock);
    bool same = begins_as_kept(h, pcm) && quiet_behind(pcm, h->n - SLACK);
    while (same && h->hearing) {
        pthread_cond_wait(&h->news, &h->lock); /* whoever hears is bound by his own call's end */
        same = begins_as_kept(h, pcm);
    }
    if (same && h->text) text = m8_strdup(h->text);
    pthread_mutex_unlock(&h->lock);
    return text;
}

static m8_status hear_early(struct served *s, m8_call *c, struct heard *h, const m8_pcm *pcm, m8_cancel *cancel, m8_error *err)
{
    pthread_mutex_lock(&h->lock);
    bool take = !h->hearing && pcm->n_samples > SLACK && pcm->n_samples <= MOST;
    float *copy = take ? m8_malloc(pcm->n_samples * sizeof *copy) : NULL;
    if (copy) {
        memcpy(copy, pcm->samples, pcm->n_samples * sizeof *copy);
        m8_free(h->samples);
        m8_free(h->text);
        h->samples = copy;
        h->n = pcm->n_samples;
        h->text = NULL;
        h->hearing = true;
    }
    pthread_mutex_unlock(&h->lock);
    if (!copy) return M8_OK; /* it will be heard at the end */
    char *text = NULL;
    m8_status st = hear(s, c, pcm, cancel, &text, err);
    pthread_mutex_lock(&h->lock);
    h->hearing = false;
    h->text = text;
    pthread_cond_broadcast(&h->news);
    pthread_mutex_unlock(&h->lock);
    return st == M8_E_USER ? M8_OK : st; /* nothing said yet */
}

m8_status heard_question(struct served *s, m8_call *c, const m8_pcm *pcm, m8_cancel *cancel, bool early, char **question, m8_error *err)
{
    struct heard *h = of_session(c);
    *question = NULL;
    if (early) return h ? hear_early(s, c, h, pcm, cancel, err) : M8_OK;
    if (h) *question = recall(h, pcm);
    return *question ? M8_OK : hear(s, c, pcm, cancel, question, err);
}
