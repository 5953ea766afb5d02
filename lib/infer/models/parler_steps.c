/* The steps of Parler's calls in flight.
 *
 *     call:     join ----- wait for frames, codec, sink, wait for frames, codec, sink ... ----- leave
 *     stepper:       step, step, step, step ... (a column for each speaker, all together)
 *
 * A thread of the model's own leads all calls: it takes whoever is there through the decoder together, a column each, and tells who has
 * the frames he waits for. So a new call joins at the next step, and one that is slow to take its sound holds up nobody. A step reads all
 * weights of the decoder once, which one core does nearly as fast as two, while the codec computes; so while a call is at its codec,
 * steps have half of the threads and the codec the other half. When nobody is at his codec steps have all, and the other way round.
 *
 * Who is a second ahead of his codec does not step until that has come nearer: then the cores are the codec's. */
#include "parler_speech.h"

enum {
    AHEAD = 86,    /* frames that a speaker may be ahead of his call */
    TOGETHER = 16, /* most speakers in a step; the others wait until one of them has ended */
};

struct step {
    struct speaker *s[TOGETHER];
    struct parler_step in[TOGETHER];
    int column[TOGETHER][PARLER_MOST_Q];
    m8_status status[TOGETHER];
    int n;
};

static bool may_step(const struct speaker *s) { return !s->ended && !s->left && s->n_frames - s->n_taken < AHEAD; }

static bool anyone_steps(const struct parler_speech *p)
{
    for (const struct speaker *s = p->speakers; s; s = s->next) {
        if (may_step(s)) return true;
    }
    return false;
}

/* Under the lock. */
static void gather(struct parler_speech *p, struct step *t)
{
    t->n = 0;
    int n_live = 0;
    for (struct speaker *s = p->speakers; s && n_live < TOGETHER; s = s->next) {
        n_live += !s->ended;
        if (!may_step(s)) continue;
        s->in_step = true;
        t->s[t->n++] = s;
    }
    p->stepping = t->n > 0;
    p->run.pool = p->n_codecs ? p->half[0] : p->model->pool;
}

/* A column for n of them, from the first. */
static m8_status compute(struct parler_speech *p, struct step *t, int first, int n)
{
    const struct parler *m = p->m;
    nn_reset(&p->run);
    for (int i = first; i < first + n; i++) {
        struct speaker *s = t->s[i];
        bool begins = m8__parler_seq_n(s->seq) == 0;
        m8__codes_input(&s->codes, t->column[i]);
        t->in[i] = (struct parler_step){ .seq = s->seq, .prompt = s->prompt.data, .n_prompt = begins ? (int)s->prompt.n : 0, .column = t->column[i] };
    }
    nn_t logits = m8__parler_step(&p->run, m, t->in + first, n, NULL, NULL); /* [n * n_q, vocab] */
    for (int i = 0; i < n && !p->run.status; i++) {
        struct speaker *s = t->s[first + i];
        m8__codes_push(&s->codes, logits.d + (ptrdiff_t)i * m->n_q * m->vocab, &s->sampling, p->scratch);
    }
    return p->run.status;
}

static void compute_all(struct parler_speech *p, struct step *t)
{
    m8_status st = compute(p, t, 0, t->n);
    for (int i = 0; i < t->n; i++) t->status[i] = st && t->n > 1 ? compute(p, t, i, 1) : st; /* one that fails is nobody else's failure */
}

/* Under the lock. */
static void publish(struct parler_speech *p, struct step *t)
{
    for (int i = 0; i < t->n; i++) {
        struct speaker *s = t->s[i];
        s->in_step = false;
        s->status = t->status[i];
        s->n_columns = s->codes.n;
        s->ended = s->status || s->codes.done;
        for (int more = 1; more && !s->status;) {
            more = m8__codes_frames(&s->codes, s->frames + (ptrdiff_t)s->n_frames * p->m->n_q, s->codes.most - s->n_frames);
            s->n_frames += more;
        }
        if (s->ended || s->left || s->n_frames - s->n_taken >= s->want) pthread_cond_signal(s->news);
    }
    p->stepping = false;
}

static void *lead(void *user)
{
    struct parler_speech *p = user;
    struct step t;
    struct m8__taker turn;
    bool one_thread = m8_pool_threads(p->model->pool) == 1;
    m8__taker_init(&turn, &p->cores, NULL);
    pthread_mutex_lock(&p->lock);
    while (!p->closing) {
        gather(p, &t);
        if (!t.n) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        if (one_thread) m8__turn_take(&turn);
        compute_all(p, &t);
        m8__turn_give(&turn);
        pthread_mutex_lock(&p->lock);
        publish(p, &t);
    }
    pthread_mutex_unlock(&p->lock);
    m8__taker_finish(&turn);
    return NULL;
}

m8_status m8__steps_open(struct parler_speech *p, m8_error *err)
{
    int half = m8_pool_threads(p->model->pool) / 2;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    m8__turns_init(&p->cores, 1);
    m8_status st = nn_run_init(&p->run, p->model->pool, err);
    for (int i = 0; i < 2 && half > 1 && !st; i++) st = m8_pool_new(&p->half[i], half, err);
    if (st) return st;
    p->scratch = m8_malloc(2 * (size_t)p->m->vocab * sizeof *p->scratch);
    return p->scratch ? M8_OK : m8_fail(err, M8_E_NOMEM, "opening the model");
}

void m8__steps_close(struct parler_speech *p)
{
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (p->stepper) pthread_join(p->stepper, NULL);
    for (int i = 0; i < 2; i++) m8_pool_free(p->half[i]);
    nn_run_finish(&p->run);
    m8_free(p->scratch);
    m8__turns_finish(&p->cores);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}

/* ---- what calls do */

m8_status m8__speaker_join(struct parler_speech *p, struct speaker *s, m8_error *err)
{
    m8_status st = M8_OK;
    pthread_mutex_lock(&p->lock);
    if (!p->stepper && m8_sys_get()->thread_create(&p->stepper, lead, p)) {
        p->stepper = 0;
        st = m8_fail(err, M8_E_NOMEM, "starting a thread");
    }
    struct speaker **last = &p->speakers;
    while (*last) last = &(*last)->next;
    s->next = NULL;
    s->left = st != M8_OK;
    if (!st) *last = s;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return st;
}

void m8__speaker_leave(struct parler_speech *p, struct speaker *s)
{
    pthread_mutex_lock(&p->lock);
    struct speaker **at = &p->speakers;
    s->left = true;
    while (s->in_step) pthread_cond_wait(s->news, &p->lock);
    while (*at && *at != s) at = &(*at)->next;
    if (*at) *at = s->next;
    pthread_cond_signal(&p->work); /* somebody else's turn, if many waited */
    pthread_mutex_unlock(&p->lock);
}

struct progress m8__speaker_wait(struct parler_speech *p, struct speaker *s, int n, const atomic_bool *stop)
{
    pthread_mutex_lock(&p->lock);
    s->want = n;
    while (s->n_frames - s->n_taken < n && !s->ended && !atomic_load(stop)) pthread_cond_wait(s->news, &p->lock);
    struct progress at = { s->n_frames - s->n_taken, s->n_frames, s->n_columns, 1, s->ended, s->status };
    for (const struct speaker *other = p->speakers; other; other = other->next) at.n_live += other != s && !other->ended;
    pthread_mutex_unlock(&p->lock);
    return at;
}

const int *m8__speaker_take(struct parler_speech *p, struct speaker *s, int n)
{
    pthread_mutex_lock(&p->lock);
    const int *frames = s->frames + (ptrdiff_t)s->n_taken * p->m->n_q;
    s->n_taken += n;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return frames;
}

m8_status m8__cores_take(struct parler_speech *p, struct m8__taker *turn, nn_run *r, m8_error *err)
{
    m8_status st = m8__turn_take(turn);
    if (st) return m8_fail(err, st, "speaking: %s", m8_status_text(st));
    pthread_mutex_lock(&p->lock);
    p->n_codecs++;
    r->pool = p->stepping || anyone_steps(p) ? p->half[1] : p->model->pool;
    pthread_mutex_unlock(&p->lock);
    return M8_OK;
}

void m8__cores_give(struct parler_speech *p, struct m8__taker *turn)
{
    pthread_mutex_lock(&p->lock);
    p->n_codecs--;
    pthread_mutex_unlock(&p->lock);
    m8__turn_give(turn);
}
