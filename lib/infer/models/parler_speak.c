/* Parler-TTS speaks.
 *
 *     text -> as it is spoken, in stretches of a sentence or more (the model knows a breath of half a minute, no more)
 *     a stretch -> its columns, made by the stepper (parler_steps.c) -> frames -> codec -> chunks -> sink (parler_sound.c)
 *
 * All but the steps is done by the call's own thread: so a slow sink is its own call's matter. When the last column of a stretch is made
 * the next one begins to step, while the codec still has frames of the first. */
#include "parler_speech.h"
#include "text/clauses.h"
#include "text/spoken.h"
#include <string.h>

enum {
    STRETCH = 240,           /* bytes: 15 to 20 s of speech */
    MOST_DESCRIPTION = 512,  /* tokens, as T5 was trained */
    N_KEPT = 8, MOST_KEPT = 1024, /* descriptions, and tokens of all of them: a token's keys and values are 100 KB */
    FEW_FRAMES = 4, MANY_FRAMES = 16, /* for the codec at a time: few at first, for they are heard sooner; then more, for that costs less */
    N_SPARE = sizeof ((struct parler_speech *)0)->spare / sizeof ((struct parler_speech *)0)->spare[0],
};

static const char jenny[] = "Jenny speaks at an average pace with a calm delivery in a very confined sounding environment with clear audio quality.";

struct call {
    struct parler_speech *p;
    const struct parler *m;
    const m8_speak_opts *opts;
    m8_buf text; /* as it is spoken */
    const char *at;
    int n_begun; /* stretches */
    nn_run *run;
    struct m8__taker turn;
    m8_watch watch;
    atomic_bool stop;
    pthread_cond_t news;
};

/* ---- the model's part */

m8_status m8__parler_speech_open(m8_model *model, m8_error *err)
{
    struct parler *m = model->impl;
    struct parler_speech *p = m->speech = m8_calloc(1, sizeof *p);
    if (!p) return m8_fail(err, M8_E_NOMEM, "opening the model");
    p->model = model;
    p->m = m;
    return m8__steps_open(p, err);
}

static void free_run(nn_run *r)
{
    if (r) nn_run_finish(r);
    m8_free(r);
}

static void free_described(struct described *d)
{
    m8__parler_cross_free(d->cross);
    m8_free(d->text);
    m8_free(d);
}

void m8__parler_speech_close(m8_model *model)
{
    struct parler *m = model->impl;
    struct parler_speech *p = m->speech;
    if (!p) return;
    m8__steps_close(p);
    for (struct described *d = p->described, *next; d; d = next) {
        next = d->next;
        free_described(d);
    }
    for (int i = 0; i < N_SPARE; i++) free_run(atomic_load(&p->spare[i]));
    m8_free(p);
    m->speech = NULL;
}

static nn_run *take_run(struct parler_speech *p, m8_error *err)
{
    nn_run *r = NULL;
    for (int i = 0; i < N_SPARE && !r; i++) r = atomic_exchange(&p->spare[i], NULL);
    if (r) return r;
    r = m8_calloc(1, sizeof *r);
    if (!r) m8_fail(err, M8_E_NOMEM, "working memory");
    else if (nn_run_init(r, p->model->pool, err)) free_run(r), r = NULL;
    return r;
}

static void return_run(struct parler_speech *p, nn_run *r)
{
    if (r) r->stop = NULL;
    for (int i = 0; i < N_SPARE && r; i++) r = atomic_exchange(&p->spare[i], r);
    free_run(r);
}

/* ---- text */

/* Punctuation alone is not spoken. */
static bool has_words(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (m8__is_alnum(s[i])) return true;
    }
    return false;
}

static m8_status clean(struct call *c, const char *text, m8_error *err)
{
    m8_buf plain = {0};
    m8__clean_text(&plain, text, strlen(text), NULL);
    m8_buf_str(&plain, "");
    if (!plain.status) m8__normalise(&c->text, plain.data);
    m8_buf_str(&c->text, "");
    m8_status st = plain.status ? plain.status : c->text.status;
    m8_buf_finish(&plain);
    if (st) return m8_fail(err, st, "speaking");
    c->at = c->text.data;
    return has_words(c->at, c->text.len) ? M8_OK : m8_fail(err, M8_E_ARG, "there is nothing to say in the text");
}

/* The next stretch: as many sentences as fit, or of a long one as many clauses. n 0: the text is over. */
static const char *next_stretch(struct call *c, size_t *n)
{
    const char *end = c->text.data + c->text.len, *start = c->at, *fits = NULL, *sentence = NULL, *at = start;
    m8__clause clause;
    while (*start == ' ' || *start == '\n') start++;
    while (m8__next_clause(&clause, &at, end, true)) {
        if (fits && at - start > STRETCH) break;
        fits = at;
        if (clause.sentence) sentence = at;
    }
    if (fits && at - start > STRETCH && sentence) fits = sentence;
    c->at = fits ? fits : end;
    *n = fits ? (size_t)(fits - start) : 0;
    while (*n && (start[*n - 1] == ' ' || start[*n - 1] == '\n')) --*n;
    return start;
}

static m8_status tokens(struct call *c, m8__ids *ids, const char *text, size_t n, m8_error *err)
{
    const m8__tokenizer *t = c->p->model->tokenizer;
    int end = m8__token_eos(t);
    m8_status st = m8__encode(t, ids, text, n, err);
    if (!st && end >= 0) m8__ids_add(ids, end);
    return st ? st : ids->status ? m8_fail(err, ids->status, "tokens") : M8_OK;
}

/* ---- descriptions */

/* Under the lock: let go of what nobody uses and came before what is kept. */
static void trim(struct parler_speech *p)
{
    int n = 0, n_tokens = 0;
    for (struct described **at = &p->described; *at;) {
        struct described *d = *at;
        n++;
        n_tokens += d->n;
        if (d->refs || (d->text && n <= N_KEPT && n_tokens <= MOST_KEPT)) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        n--;
        n_tokens -= d->n;
        free_described(d);
    }
}

static struct described *find_described(struct parler_speech *p, const char *text)
{
    for (struct described **at = &p->described; *at; at = &(*at)->next) {
        struct described *d = *at;
        if (!d->text || strcmp(d->text, text)) continue;
        *at = d->next;
        d->next = p->described;
        p->described = d;
        d->refs++;
        return d;
    }
    return NULL;
}

static m8_status encode(struct call *c, struct described *d, const char *text, const m8__ids *prompt, m8_error *err)
{
    m8__ids ids = {0};
    m8_status st = tokens(c, &ids, text, strlen(text), err);
    if (!st && ids.n > MOST_DESCRIPTION) st = m8_fail(err, M8_E_LIMIT, "a description of %zu tokens: expected at most %d", ids.n, MOST_DESCRIPTION);
    if (!st) st = m8__cores_take(c->p, &c->turn, c->run, err);
    if (!st) {
        nn_reset(c->run);
        st = m8__parler_cross_new(&d->cross, c->run, c->m, ids.data, (int)ids.n, prompt->data, (int)prompt->n, err);
        m8__cores_give(c->p, &c->turn);
    }
    d->n = (int)ids.n;
    m8__ids_finish(&ids);
    return st;
}

static m8_status describe(struct call *c, struct speaker *s, m8_error *err)
{
    struct parler_speech *p = c->p;
    const char *text = c->opts->description ? c->opts->description : jenny;
    if (!c->m->prompt_cross) {
        pthread_mutex_lock(&p->lock);
        s->described = find_described(p, text);
        pthread_mutex_unlock(&p->lock);
        if (s->described) return M8_OK;
    }
    struct described *d = m8_calloc(1, sizeof *d);
    if (!d) return m8_fail(err, M8_E_NOMEM, "a description");
    if (!c->m->prompt_cross) d->text = m8_strdup(text);
    m8_status st = d->text || c->m->prompt_cross ? encode(c, d, text, &s->prompt, err) : m8_fail(err, M8_E_NOMEM, "a description");
    if (st) {
        free_described(d);
        return st;
    }
    pthread_mutex_lock(&p->lock);
    d->refs = 1;
    d->next = p->described;
    s->described = p->described = d;
    trim(p);
    pthread_mutex_unlock(&p->lock);
    return M8_OK;
}

/* ---- a stretch */

static void end_stretch(struct call *c, struct speaker *s)
{
    if (!s->news) return;
    m8__speaker_leave(c->p, s);
    m8__parler_seq_free(s->seq);
    m8__codes_finish(&s->codes);
    m8__ids_finish(&s->prompt);
    m8_free(s->frames);
    pthread_mutex_lock(&c->p->lock);
    if (s->described) s->described->refs--;
    trim(c->p);
    pthread_mutex_unlock(&c->p->lock);
    *s = (struct speaker){0};
}

/* Begins to step. s->news stays NULL where the text is over. */
static m8_status begin_stretch(struct call *c, struct speaker *s, m8_error *err)
{
    const struct parler *m = c->m;
    const m8_speak_opts *o = c->opts;
    size_t n;
    const char *text;
    do text = next_stretch(c, &n);
    while (n && !has_words(text, n));
    if (!n) return M8_OK;
    *s = (struct speaker){ .news = &c->news, .sampling = { .temperature = o->temperature == 0 ? 1 : o->temperature < 0 ? 0 : o->temperature,
                                                           .top_k = o->top_k == 0 ? 50 : o->top_k < 0 ? 0 : o->top_k } };
    nn_rng_seed(&s->sampling.rng, o->seed + (uint64_t)c->n_begun++ * 0x9E3779B97F4A7C15u);
    m8_status st = tokens(c, &s->prompt, text, n, err);
    int before = m->prompt_cross ? 0 : (int)s->prompt.n, most = o->max_new_tokens ? o->max_new_tokens : 2579;
    if (!st && (int)s->prompt.n > m->max_pos - 2 * m->n_q) {
        st = m8_fail(err, M8_E_LIMIT, "a text of %zu tokens: the model has %d positions", s->prompt.n, m->max_pos);
    }
    if (st) return st;
    if (most > m->max_pos - before) most = m->max_pos - before;
    s->n_columns = 1;
    s->frames = m8_malloc((size_t)(most + 1) * (size_t)m->n_q * sizeof *s->frames);
    if (!s->frames) st = m8_fail(err, M8_E_NOMEM, "frames of codes");
    if (!st) st = m8__codes_init(&s->codes, m, most + 1, o->min_new_tokens ? o->min_new_tokens : 10, err);
    if (!st) st = describe(c, s, err);
    if (!st) st = m8__parler_seq_new(&s->seq, m, s->described->cross, before + most, err);
    return st ? st : m8__speaker_join(c->p, s, err);
}

/* Frames that are worth a visit of the codec. */
static int want(int n_taken)
{
    int n = FEW_FRAMES + n_taken / 8;
    return n < MANY_FRAMES ? n : MANY_FRAMES;
}

/* All of s, to the sink. next begins when s has no more columns to make. */
static m8_status speak_stretch(struct call *c, struct speaker *s, struct speaker *next, m8_pcm_sink out, m8_error *err)
{
    struct parler_sound sound;
    m8_status st = m8__sound_open(&sound, c->m, c->opts->play_steps_in_s, out, err);
    int n_taken = 0;
    for (bool last = false, ended = false; !st && !last;) {
        struct progress at = m8__speaker_wait(c->p, s, want(n_taken), &c->stop);
        if (at.ended && !ended && !at.status) st = begin_stretch(c, next, err);
        ended = at.ended;
        if (!st && at.status) st = m8_fail(err, at.status, "speaking: %s", m8_status_text(at.status));
        if (!st && atomic_load(&c->stop)) st = m8_fail(err, M8_E_CANCELLED, "speaking: cancelled");
        if (!st) st = m8__cores_take(c->p, &c->turn, c->run, err);
        if (st) break;
        at = m8__speaker_wait(c->p, s, 0, &c->stop); /* more may have come while we waited for our turn */
        int n = at.n_ready < MANY_FRAMES ? at.n_ready : MANY_FRAMES;
        last = at.ended && n == at.n_ready && ended;
        st = m8__sound_make(&sound, c->run, m8__speaker_take(c->p, s, n), n, last, err);
        m8__cores_give(c->p, &c->turn);
        n_taken += n;
        if (!st) {
            st = m8__sound_hand_out(&sound, &at, last);
            if (st) m8_fail(err, st, "speaking: the sink said stop");
        }
    }
    m8__sound_close(&sound);
    return st;
}

static void told(void *user)
{
    struct call *c = user;
    atomic_store(&c->stop, true);
    pthread_mutex_lock(&c->p->lock);
    pthread_cond_broadcast(&c->news);
    pthread_mutex_unlock(&c->p->lock);
}

m8_status m8__parler_speak(m8_model *model, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err)
{
    const struct parler *m = model->impl;
    struct call c = { .p = m->speech, .m = m, .opts = opts, .watch = { .fn = told, .user = &c } };
    struct speaker s[2] = {0};
    if (!model->tokenizer) return m8_fail(err, M8_E_UNSUPPORTED, "%s: no tokenizer beside it", m8__weights_path(model->weights));
    m8_status st = clean(&c, text, err);
    pthread_cond_init(&c.news, NULL);
    m8__taker_init(&c.turn, &c.p->cores, opts->cancel);
    m8_cancel_watch(opts->cancel, &c.watch);
    c.run = st ? NULL : take_run(c.p, err);
    if (!st && !c.run) st = M8_E_NOMEM;
    if (c.run) c.run->stop = &c.stop;
    if (!st) st = begin_stretch(&c, &s[0], err);
    for (int i = 0; !st && s[i].news; i ^= 1) {
        st = speak_stretch(&c, &s[i], &s[i ^ 1], out, err);
        end_stretch(&c, &s[i]);
    }
    for (int i = 0; i < 2; i++) end_stretch(&c, &s[i]);
    return_run(c.p, c.run);
    m8_cancel_unwatch(&c.watch);
    m8__taker_finish(&c.turn);
    pthread_cond_destroy(&c.news);
    m8_buf_finish(&c.text);
    return st;
}
