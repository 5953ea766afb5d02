/* Piper voices: VITS (Kim, Kong & Son 2021, arXiv 2106.06103) as piper trains and exports it.
 *
 *   text -> phoneme ids, sentence by sentence (text/phonemes.c)
 *   ids  -> text encoder, durations: the whole sentence                          (vits_text.c)
 *        -> flow and generator: window by window, each pushed when it is ready   (vits_sound.c)
 *
 * Calls beside each other take turns, window by window (turns.h).
 *
 * The first windows are short, so that the first sound leaves early, and the following ones longer, so that less is computed twice;
 * a window is played while the next is made. The samples are the same however they are cut.
 *
 * piper divides each sentence by its peak. Who sends the beginning away before the end is known cannot, so the level is fixed: peaks
 * of the voice known here were 0.44 to 0.58, so GAIN brings them to 0.7 to 0.93, and what is louder is bent below 1. */
#include "vits.h"
#include <math.h>
#include <stdatomic.h>

enum { FIRST_WINDOW = 16, LONGEST_WINDOW = 64, FLOW_WINDOW = 256 /* frames */, N_SPARE = sizeof ((struct vits *)0)->spare / sizeof ((struct vits *)0)->spare[0] };

static const float GAIN = 1.6f, KNEE = 0.85f;

static bool match(const m8__weights *w)
{
    return m8__weights_find(w, "enc_p.emb.weight") && m8__weights_find(w, "dec.conv_pre.weight");
}

/* ---- open */

static float number(const json_t *o, const char *key, float otherwise)
{
    const json_t *x = json_object_get(o, key);
    double v = json_is_number(x) ? json_number_value(x) : otherwise;
    return v >= 0 && v <= 10 ? (float)v : otherwise;
}

static m8_status read_config(struct vits *v, const json_t *config, m8_error *err)
{
    const json_t *inference = json_object_get(config, "inference");
    v->noise_scale = number(inference, "noise_scale", 0.667f);
    v->length_scale = number(inference, "length_scale", 1);
    if (v->length_scale < 0.1f) v->length_scale = 1;
    v->noise_w = number(inference, "noise_w", 0.8f);
    const json_t *rate = json_object_get(json_object_get(config, "audio"), "sample_rate");
    json_int_t hz = json_is_integer(rate) ? json_integer_value(rate) : 22050;
    if (hz < 4000 || hz > 192000) return m8_fail(err, M8_E_FORMAT, "audio.sample_rate: %lld", (long long)hz);
    v->rate = (int)hz;
    return M8_OK;
}

/* Every id that the phonemizer may give has a row in the embedding. */
static m8_status check_ids(const struct vits *v, const json_t *config, m8_error *err)
{
    const char *key;
    json_t *ids, *id;
    size_t i;
    json_object_foreach(json_object_get(config, "phoneme_id_map"), key, ids) {
        json_array_foreach(ids, i, id) {
            json_int_t n = json_integer_value(id);
            if (n < 0 || n >= v->n_symbols)
                return m8_fail(err, M8_E_FORMAT, "phoneme_id_map[\"%.16s\"]: id %lld, but the voice has %d symbols", key, (long long)n, v->n_symbols);
        }
    }
    return M8_OK;
}

static m8_status open_voice(m8_model *m, nn_load *l, m8_error *err)
{
    struct vits *v = m->impl = m8_calloc(1, sizeof *v);
    if (!v) return m8_fail(err, M8_E_NOMEM, "loading a voice");
    const json_t *config = m8__weights_config(m->weights);
    m8_status st = m8__phonemizer_open(&v->phonemizer, config, err);
    if (!st) st = read_config(v, config, err);
    if (!st) st = m8__vits_load(v, l, err);
    if (!st) st = check_ids(v, config, err);
    return st;
}

static void free_run(nn_run *r)
{
    if (r) nn_run_finish(r);
    m8_free(r);
}

static void close_voice(m8_model *m)
{
    struct vits *v = m->impl;
    if (!v) return;
    m8__phonemizer_close(v->phonemizer);
    for (int i = 0; i < N_SPARE; i++) free_run(atomic_exchange(&v->spare[i], NULL));
    m8_free(v);
}

/* Working memory for one call. */
nn_run *m8__vits_take_run(m8_model *m, m8_error *err)
{
    struct vits *v = m->impl;
    nn_run *r = NULL;
    for (int i = 0; i < N_SPARE && !r; i++) r = atomic_exchange(&v->spare[i], NULL);
    if (r) {
        nn_reset(r);
        return r;
    }
    r = m8_calloc(1, sizeof *r);
    if (!r) m8_fail(err, M8_E_NOMEM, "working memory");
    else if (nn_run_init(r, m->pool, err)) free_run(r), r = NULL;
    return r;
}

void m8__vits_return_run(m8_model *m, nn_run *r)
{
    struct vits *v = m->impl;
    for (int i = 0; i < N_SPARE && r; i++) r = atomic_exchange(&v->spare[i], r);
    free_run(r);
}

/* ---- speak */

/* To the level we send out, bent so that nothing reaches 1; NaN (of a damaged voice) is silence. */
static void level(float *x, int n)
{
    for (int i = 0; i < n; i++) {
        float y = x[i] * GAIN, loud = fabsf(y);
        if (!(loud <= KNEE)) y = loud > KNEE ? copysignf(KNEE + (1 - KNEE) * tanhf((loud - KNEE) / (1 - KNEE)), y) : 0;
        x[i] = y;
    }
}

struct latents { /* z as far as it is known */
    nn_t z;
    int n;
};

/* Extend z so that it covers frames up to end: the first time no more than asked for, then in larger steps. */
static void extend(nn_run *r, const struct vits *v, const struct vits_plan *plan, const struct vits_noise *noise, struct latents *z, int end)
{
    if (end <= z->n) return;
    int upto = z->n ? z->n + FLOW_WINDOW : end;
    if (upto < end) upto = end;
    if (upto > plan->n_frames) upto = plan->n_frames;
    m8_arena_mark mark = m8_arena_here(r->arena);
    nn_t part = m8__vits_latent(r, v, plan, noise, z->n, upto - z->n);
    for (int i = 0; i < part.n; i++) {
        for (int c = 0; c < part.c; c++) z->z.d[(ptrdiff_t)(z->n + i) * z->z.ld + c] = part.d[(ptrdiff_t)i * part.ld + c];
    }
    m8_arena_back(r->arena, mark);
    z->n = upto;
}

static m8_status say(struct m8__taker *turn, nn_run *r, const struct vits *v, const m8__sentence *s, float length_scale, const struct vits_noise *noise,
                     const float *speaker, m8_pcm_sink out, m8_error *err)
{
    struct vits_plan plan;
    nn_reset(r);
    m8_status st = m8__turn_take(turn);
    if (st) return m8_fail(err, st, "speaking: %s", m8_status_text(st));
    st = m8__vits_plan(r, v, s->ids, (int)s->n_ids, length_scale, noise, speaker, &plan);
    struct latents z = { .z = st ? (nn_t){ 0 } : nn_new(r, plan.n_frames, v->latent) };
    m8_arena_mark mark = m8_arena_here(r->arena);
    for (int from = 0, n = FIRST_WINDOW; !st && from < plan.n_frames; from += n) {
        if (from) st = m8__turn_take(turn); /* the first window has the plan's */
        if (st) break;
        if (from) n = 2 * n < LONGEST_WINDOW ? 2 * n : LONGEST_WINDOW;
        if (n > plan.n_frames - from) n = plan.n_frames - from;
        int first, end;
        m8__vits_context(v, plan.n_frames, from, n, &first, &end);
        extend(r, v, &plan, noise, &z, end);
        nn_t sound = m8__vits_decode(r, v, &plan, nn_rows(z.z, 0, z.n), 0, from, n);
        st = r->status;
        if (!st) {
            level(sound.d, n * v->hop);
            m8__turn_give(turn); /* the sink may take its time */
            st = out.push(out.user, sound.d, (size_t)n * (size_t)v->hop);
            if (st) return st;
        }
        m8_arena_back(r->arena, mark);
    }
    m8__turn_give(turn);
    if (!st) st = r->status;
    return st ? m8_fail(err, st, "speaking: %s", m8_status_text(st)) : M8_OK;
}

static m8_status read_opts(const struct vits *v, const m8_speak_opts *o, float *length_scale, struct vits_noise *noise,
                           const float **speaker, m8_error *err)
{
    *length_scale = o->length_scale == 0 ? v->length_scale : o->length_scale;
    if (!(*length_scale >= 0.1f && *length_scale <= 10)) return m8_fail(err, M8_E_ARG, "length_scale: expected 0.1 to 10");
    if (!(o->noise_scale <= 10 && o->noise_w <= 10)) return m8_fail(err, M8_E_ARG, "noise_scale, noise_w: expected at most 10");
    if (o->speaker < 0 || (o->speaker > 0 && o->speaker >= v->n_speakers))
        return m8_fail(err, M8_E_ARG, "speaker %d: the voice has %d", o->speaker, v->n_speakers ? v->n_speakers : 1);
    *noise = (struct vits_noise){ .scale = o->noise_scale < 0 ? 0 : o->noise_scale == 0 ? v->noise_scale : o->noise_scale,
                                  .w = o->noise_w < 0 ? 0 : o->noise_w == 0 ? v->noise_w : o->noise_w };
    *speaker = v->n_speakers ? v->speakers + (size_t)o->speaker * v->gin : NULL;
    return M8_OK;
}

static m8_status speak(m8_model *m, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err)
{
    const struct vits *v = m->impl;
    m8__sentence *sentences = NULL;
    size_t n = 0;
    float length_scale;
    struct vits_noise noise;
    const float *speaker = NULL;
    m8_status st = read_opts(v, opts, &length_scale, &noise, &speaker, err);
    if (!st) st = m8__phonemize(v->phonemizer, text, &sentences, &n, err);
    if (!st && n == 0) st = m8_fail(err, M8_E_ARG, "there is nothing to say in the text");
    if (st) return st;
    struct m8__taker turn;
    m8__taker_init(&turn, &m->turns, opts->cancel);
    nn_run *r = m8__vits_take_run(m, err);
    if (!r) st = M8_E_NOMEM;
    else r->stop = &turn.stop;
    for (size_t i = 0; !st && i < n; i++) {
        noise.seed = opts->seed * 0x9E3779B97F4A7C15u + i;
        st = say(&turn, r, v, &sentences[i], length_scale, &noise, speaker, out, err);
    }
    if (r) r->stop = NULL;
    if (r) m8__vits_return_run(m, r);
    m8__taker_finish(&turn);
    m8__sentences_free(sentences, n);
    return st;
}

static int rate(const m8_model *m) { return ((const struct vits *)m->impl)->rate; }

const struct m8__family m8__vits = {
    .name = "vits", .tasks = M8_TASK_TTS, .match = match, .open = open_voice, .close = close_voice,
    .speak = speak, .rate = rate, .verify = m8__vits_verify,
};
