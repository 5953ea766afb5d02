/* Sound of any length to segments (openai-whisper's transcribe.py).
 *
 *     samples -> energy gate -> mel of everything -> windows of 30 s, each:
 *         encode -> [language] -> search, again at higher temperatures where the text looks wrong -> segments -> sink
 *     the next window begins where the last whole segment ended, with the text so far as prompt
 *
 * Two things are ours. A gate in front: Whisper makes words out of silence (30 s of zeros are " you"), so windows without sound are passed
 * over. A thinned window: behind a short clip the padding is not encoded position by position, but one for three, which counts threefold in
 * every attention. (Cutting it off, as others do, changes the words: the model knows nothing but whole windows.) A text that it is not
 * sure of is heard again in the whole window before anything else is tried. */
#include "whisper.h"
#include <math.h>
#include <string.h>

#define MOST_COMPRESSION 2.4f /* above: the text repeats itself */
#define LEAST_LOGPROB -1.0f   /* below: the model does not believe it */
#define MOST_NO_SPEECH 0.6f
#define UNSURE_LOGPROB -0.6f  /* below: a thinned window is heard again as a whole */
#define MARGIN 64             /* positions behind the sound that are encoded one by one */
#define STRIDE 3              /* of those behind them */
#define MEL_FRAMES 1000


struct session {
    m8_model *m;
    struct whisper *w;
    struct m8__taker turn;
    nn_run *r;              /* that of the turn */
    const m8_transcribe_opts *opts;
    m8_segment_sink out;
    m8_transcribe_info info;
    m8_error *err;
    const float *samples;
    size_t n;
    float *mel;             /* [n_frames + 2, n_mels], owned */
    float mel_max;
    int n_frames, language; /* language < 0: not yet known */
    m8__ids text;           /* prompt and all tokens so far */
    size_t prompt_from;     /* the next prompt begins at this token */
    double last_word_end_s;
};

/* ---- the gate */

static float clean(float x) { return isfinite(x) ? (x > 1e4f ? 1e4f : x < -1e4f ? -1e4f : x) : 0; }

/* Is there anything to hear? Not where the loudest 20 ms are below -66 dB; nor where it is all one quiet level, as the noise of a
 * microphone is: speech has pauses and consonants, its loudest tenth stands out by far more than 6 dB. */
static bool has_sound(const float *x, size_t n)
{
    enum { BLOCK = 320 };
    int histogram[128] = {0}, blocks = 0; /* of levels, in dB below 0 */
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = i + BLOCK < n ? i + BLOCK : n;
        float mean = 0, power = 0;
        for (size_t j = i; j < end; j++) mean += clean(x[j]);
        mean /= (float)(end - i);
        for (size_t j = i; j < end; j++) power += (clean(x[j]) - mean) * (clean(x[j]) - mean);
        power /= (float)(end - i);
        int level = power > 0 ? (int)(-10 * log10f(power)) : 127;
        histogram[level < 0 ? 0 : level > 127 ? 127 : level]++;
        blocks++;
    }
    int loudest = 0, median = 0, below = histogram[0];
    while (loudest < 127 && !histogram[loudest]) loudest++;
    while (median < 127 && below * 2 < blocks) below += histogram[++median];
    return loudest <= 66 && (loudest < 40 || median - loudest >= 6);
}

/* ---- one window */

struct window {
    int seek, n_frames;     /* of mel; at most WHISPER_FRAMES */
    struct whisper_cache cache;
    struct whisper_found found;
};

static const struct whisper_view whole = { .exact = WHISPER_POSITIONS };

static struct whisper_view view_for(const struct session *s, int n_frames)
{
    if (s->opts->full_window || s->m->precision == M8_F32) return whole;
    struct whisper_view v = { .exact = (n_frames + 1) / 2 + MARGIN, .stride = STRIDE };
    return v.exact < WHISPER_POSITIONS - 64 ? v : whole;
}

/* Frames [seek, seek + n_frames) and `after` behind them to [2 positions, n_mels], normalised. */
static nn_t window_mel(struct session *s, int seek, int n_frames, int positions, float after)
{
    int n_mels = s->w->n_mels, rows = 2 * positions;
    nn_t x = nn_new(s->r, rows, n_mels);
    if (!x.d) return x;
    memcpy(x.d, s->mel + (size_t)seek * n_mels, (size_t)n_frames * n_mels * sizeof(float));
    nn_mel_normalise(x.d, (size_t)n_frames * n_mels, s->mel_max);
    for (size_t i = (size_t)n_frames * n_mels; i < (size_t)rows * n_mels; i++) x.d[i] = after;
    return x;
}

static void encode(struct session *s, struct window *win, struct whisper_view view)
{
    nn_run *r = s->r;
    double t0 = m8_now_s();
    nn_reset(r);
    nn_t sound = whisper_encode(s->w, r, window_mel(s, win->seek, win->n_frames, view.exact, 0), view, NULL);
    win->cache = whisper_cache_new(s->w, r, sound, view);
    s->info.encode_s += m8_now_s() - t0;
}

static m8_status find_language(struct session *s, struct whisper_cache *c)
{
    float probs[128];
    m8_status st = whisper_languages(s->w, s->r, c, probs);
    if (st) return st;
    s->language = nn_argmax(probs, s->w->n_languages);
    s->info.language_prob = probs[s->language];
    snprintf(s->info.language, sizeof s->info.language, "%s", whisper_language_code(s->language));
    return M8_OK;
}

/* As the original: from the first 30 s, with the silence behind the sound as silence sounds, not as padding. */
static m8_status find_language_exactly(struct session *s)
{
    struct whisper *w = s->w;
    nn_reset(s->r);
    int n = s->n_frames + 2 < WHISPER_FRAMES ? s->n_frames + 2 : WHISPER_FRAMES;
    float silence = -10;
    nn_mel_normalise(&silence, 1, s->mel_max);
    nn_t sound = whisper_encode(w, s->r, window_mel(s, 0, n, WHISPER_POSITIONS, silence), whole, NULL);
    struct whisper_cache c = whisper_cache_new(w, s->r, sound, whole);
    return find_language(s, &c);
}

static bool looks_wrong(const struct whisper_found *f)
{
    if (f->no_speech_prob > MOST_NO_SPEECH && f->avg_logprob < LEAST_LOGPROB) return false; /* silence */
    return f->compression_ratio > MOST_COMPRESSION || !(f->avg_logprob >= LEAST_LOGPROB);
}

static m8_status search(struct session *s, struct window *win, float temperature, int most)
{
    const m8_transcribe_opts *o = s->opts;
    double t0 = m8_now_s();
    struct whisper_task task = {
        .prompt = s->text.data + s->prompt_from, .n_prompt = (int)(s->text.n - s->prompt_from), .language = s->language,
        .translate = o->translate, .timestamps = !o->no_timestamps, .temperature = temperature, .beam_size = o->beam_size, .most = most,
        .seed = o->seed * 1000003u + (uint64_t)win->seek * 7 + (uint64_t)(temperature * 10 + 0.5f),
    };
    if (!s->text.data) task.prompt = NULL;
    m8_status st = whisper_search(s->m, s->r, &win->cache, &task, &win->found);
    s->info.decode_s += m8_now_s() - t0;
    return st;
}

/* Encode and decode one window; what was found lies in the arena until the next. */
static m8_status hear(struct session *s, struct window *win)
{
    nn_run *r = s->r;
    bool exact = s->opts->full_window || s->m->precision == M8_F32;
    m8_status st = M8_OK;
    if (s->language < 0 && exact) st = find_language_exactly(s);
    if (st) return st;
    struct whisper_view view = view_for(s, win->n_frames);
    encode(s, win, view);
    if (s->language < 0) st = find_language(s, &win->cache);
    m8_arena_mark mark = m8_arena_here(r->arena);
    if (view.exact < WHISPER_POSITIONS) {
        int plausible = 32 + win->n_frames * 15 / 100; /* 15 tokens a second: faster than anybody speaks */
        if (!st) st = search(s, win, 0, plausible);
        bool ran_on = plausible < s->w->n_ctx / 2 && !win->found.ended, sure = win->found.avg_logprob >= UNSURE_LOGPROB;
        if (st || (sure && !ran_on && !looks_wrong(&win->found))) return st;
        encode(s, win, whole);
        mark = m8_arena_here(r->arena);
    }
    for (int t = 0; t <= 10 && !st; t += 2) {
        m8_arena_back(r->arena, mark);
        st = search(s, win, (float)t / 10, 0);
        if (st || s->opts->no_fallback || !looks_wrong(&win->found)) break;
    }
    return st;
}

/* ---- from tokens to segments */

struct piece {
    const int *tokens;
    int n;
    double start_s, end_s;
    char *text;
    m8_word *words;
    size_t n_words;
};

/* The tokens end in a single timestamp: nothing is said behind it. */
static bool is_closed(const struct window *win, int time0)
{
    const int *t = win->found.tokens;
    int n = win->found.n;
    return n >= 1 && t[n - 1] >= time0 && (n < 2 || t[n - 2] < time0);
}

/* Where two timestamps stand together one segment ends and the next begins. Returns how many frames to go on. */
static int cut(const struct session *s, const struct window *win, struct piece *out, int *n_out)
{
    const int *t = win->found.tokens;
    int n = win->found.n, time0 = s->w->time0, from = 0, latest = -1;
    double offset_s = win->seek * 0.01;
    bool closed = is_closed(win, time0);
    *n_out = 0;
    for (int i = 1; i <= n; i++) {
        bool pair = i < n && t[i - 1] >= time0 && t[i] >= time0;
        if (!(pair || (i == n && closed && *n_out))) continue;
        out[(*n_out)++] = (struct piece){ .tokens = t + from, .n = i - from, .start_s = offset_s + (t[from] - time0) * 0.02,
                                          .end_s = offset_s + (t[i - 1] - time0) * 0.02 };
        from = i;
    }
    if (*n_out) return closed ? win->n_frames : (t[from - 1] - time0) * 2;
    for (int i = 0; i < n; i++) {
        if (t[i] >= time0) latest = t[i];
    }
    double duration_s = latest > time0 ? (latest - time0) * 0.02 : win->n_frames * 0.01;
    out[(*n_out)++] = (struct piece){ .tokens = t, .n = n, .start_s = offset_s, .end_s = offset_s + duration_s };
    return win->n_frames;
}

static bool is_blank(const char *text) { return !text[strspn(text, " \t\n\r\v\f")]; }

static m8_status time_words(struct session *s, struct window *win, struct piece *p, int n);

static m8_status push(struct session *s, const struct window *win, const struct piece *p)
{
    const struct whisper_found *f = &win->found;
    for (int i = 0; i < p->n; i++) m8__ids_add(&s->text, p->tokens[i]);
    if (s->text.status) return s->text.status;
    m8_segment segment = {
        .text = p->text, .start_s = p->start_s, .end_s = p->end_s, .avg_logprob = f->avg_logprob, .no_speech_prob = f->no_speech_prob,
        .compression_ratio = f->compression_ratio, .temperature = f->temperature, .tokens = p->tokens, .n_tokens = (size_t)p->n,
        .words = p->words, .n_words = p->n_words,
    };
    return s->out.push(s->out.user, &segment);
}

/* One window, pushed; *next: frames to go on. The sink is called within the turn, for what it sees lies in the run: it should not take
 * long, nor hear on this model itself. */
static m8_status one_window(struct session *s, int seek, int *next)
{
    struct window win = { .seek = seek, .n_frames = s->n_frames - seek < WHISPER_FRAMES ? s->n_frames - seek : WHISPER_FRAMES };
    nn_run *r = s->r;
    *next = win.n_frames;
    size_t from = (size_t)seek * NN_MEL_HOP, len = (size_t)win.n_frames * NN_MEL_HOP;
    if (!s->opts->no_gate && !has_sound(s->samples + from, from + len < s->n ? len : s->n - from)) return M8_OK;
    s->info.n_windows++;
    m8_status st = hear(s, &win);
    if (st) return st;
    const struct whisper_found *f = &win.found;
    if (f->no_speech_prob > MOST_NO_SPEECH && !(f->avg_logprob > LEAST_LOGPROB)) return M8_OK;
    struct piece *p = nn_take(r, (size_t)(f->n + 1) * sizeof *p);
    if (!p) return r->status;
    int n;
    *next = cut(s, &win, p, &n);
    for (int i = 0; i < n; i++) p[i].text = whisper_text(s->m, r, p[i].tokens, p[i].n);
    if (!r->status && s->opts->words) {
        st = time_words(s, &win, p, n);
        double end_s = 0;
        for (int i = 0; i < n; i++) {
            if (p[i].n_words) end_s = p[i].words[p[i].n_words - 1].end_s;
        }
        if (!is_closed(&win, s->w->time0) && end_s > seek * 0.01) *next = (int)lround(end_s * 100) - seek;
    }
    if (!st) st = r->status;
    for (int i = 0; i < n && !st; i++) {
        if (p[i].start_s != p[i].end_s && !is_blank(p[i].text)) st = push(s, &win, &p[i]);
    }
    if (s->opts->no_condition || f->temperature > 0.5f) s->prompt_from = s->text.n;
    return st;
}

/* ---- words */

static double clamp_low(double x) { return x > 0 ? x : 0; }
static double least(double a, double b) { return a < b ? a : b; }
static double greatest(double a, double b) { return a > b ? a : b; }

/* The model's times drift around pauses: the first words after one, and the last before one, are cut to what is usual here. */
static void trim_words(struct session *s, struct piece *p, double median_s)
{
    double most_s = 2 * median_s;
    m8_word *w = p->words, *last = w + p->n_words - 1;
    bool two = p->n_words > 1;
    if (w[0].end_s - s->last_word_end_s > 4 * median_s
        && (w[0].end_s - w[0].start_s > most_s || (two && w[1].end_s - w[0].start_s > 2 * most_s))) {
        if (two && w[1].end_s - w[1].start_s > most_s) w[0].end_s = w[1].start_s = greatest(w[1].end_s / 2, w[1].end_s - most_s);
        w[0].start_s = clamp_low(w[0].end_s - most_s);
    }
    if (p->start_s < w[0].end_s && p->start_s - 0.5 > w[0].start_s) w[0].start_s = clamp_low(least(w[0].end_s - median_s, p->start_s));
    else p->start_s = w[0].start_s;
    if (p->end_s > last->start_s && p->end_s + 0.5 < last->end_s) last->end_s = greatest(last->start_s + median_s, p->end_s);
    else p->end_s = last->end_s;
    s->last_word_end_s = p->end_s;
}

static m8_status time_words(struct session *s, struct window *win, struct piece *p, int n)
{
    nn_run *r = s->r;
    int *text = nn_take(r, (size_t)(win->found.n + 1) * sizeof *text), n_text = 0, n_found, at = 0;
    if (!text) return r->status;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < p[i].n; j++) {
            if (p[i].tokens[j] < s->w->eot) text[n_text++] = p[i].tokens[j];
        }
    }
    struct whisper_word *found;
    double median_s = 0;
    m8_status st = whisper_align(s->m, s->r, &win->cache, s->language, s->opts->translate, text, n_text, win->n_frames / 2, &found, &n_found, &median_s);
    if (st) return st;
    double offset_s = win->seek * 0.01;
    for (int i = 0; i < n; i++) {
        int want = 0, have = 0;
        for (int j = 0; j < p[i].n; j++) want += p[i].tokens[j] < s->w->eot;
        p[i].words = nn_take(r, (size_t)(want + 1) * sizeof *p[i].words);
        if (!p[i].words) return r->status;
        for (; at < n_found && have < want; at++) {
            have += found[at].n_tokens;
            if (!found[at].text[0]) continue;
            p[i].words[p[i].n_words++] = (m8_word){ .text = found[at].text, .start_s = round((offset_s + found[at].start_s) * 100) / 100,
                .end_s = round((offset_s + found[at].end_s) * 100) / 100, .probability = found[at].probability };
        }
        if (p[i].n_words) trim_words(s, &p[i], median_s);
    }
    return M8_OK;
}

/* ---- the whole */

static m8_status first_prompt(struct session *s)
{
    const char *p = s->opts->prompt;
    if (!p) return M8_OK;
    p += strspn(p, " \t\n\r\v\f");
    size_t len = strlen(p);
    while (len && strchr(" \t\n\r\v\f", p[len - 1])) len--;
    if (!len) return M8_OK;
    m8_buf text = { .limit = 1 << 20 };
    m8_buf_chr(&text, ' ');
    m8_buf_add(&text, p, len);
    m8_status st = text.status;
    if (!st) st = m8__encode(s->m->tokenizer, &s->text, text.data, text.len, s->err);
    m8_buf_finish(&text);
    return st ? st : s->text.status;
}

static m8_status choose_language(struct session *s)
{
    const m8_transcribe_opts *o = s->opts;
    s->language = s->w->multilingual ? -1 : 0;
    if (o->language) {
        s->language = whisper_language_index(o->language);
        if (s->language < 0 || s->language >= s->w->n_languages) return m8_fail(s->err, M8_E_ARG, "unknown language \"%.20s\"", o->language);
        if (s->language && !s->w->multilingual) return m8_fail(s->err, M8_E_ARG, "this model knows English only, not \"%s\"", o->language);
    }
    if (o->translate && !s->w->multilingual) return m8_fail(s->err, M8_E_ARG, "this model knows English only: nothing to translate");
    if (s->language >= 0) {
        snprintf(s->info.language, sizeof s->info.language, "%s", whisper_language_code(s->language));
        s->info.language_prob = 1;
    }
    return M8_OK;
}

static m8_status make_mel(struct session *s)
{
    double t0 = m8_now_s();
    s->mel = m8_malloc((size_t)(s->n_frames + 2) * s->w->n_mels * sizeof *s->mel);
    if (!s->mel) return M8_E_NOMEM;
    s->mel_max = -10; /* 30 s of silence are thought behind the sound */
    m8_status st = M8_OK;
    for (int from = 0, all = s->n_frames + 2, n; from < all && !st; from += n) { /* ten seconds at a time, so that it can be cancelled */
        n = all - from < MEL_FRAMES ? all - from : MEL_FRAMES;
        st = nn_mel_log(s->w->mel, s->m->pool, s->mel + (size_t)from * s->w->n_mels, &s->mel_max, s->samples, s->n, from, n);
        if (!st && atomic_load(&s->turn.stop)) st = M8_E_CANCELLED;
    }
    s->info.mel_s = m8_now_s() - t0;
    return st;
}

m8_status whisper_transcribe(m8_model *m, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                             m8_transcribe_info *info, m8_error *err)
{
    struct session s = { .m = m, .w = m->impl, .opts = opts, .out = out, .err = err, .samples = samples, .n = n };
    if (opts->beam_size < 0 || opts->beam_size > WHISPER_MOST_BEAMS)
        return m8_fail(err, M8_E_ARG, "%d beams: expected 0 to %d", opts->beam_size, WHISPER_MOST_BEAMS);
    if (n > (size_t)NN_MEL_HOP * 10000000) return m8_fail(err, M8_E_LIMIT, "more than a day of sound");
    m8__taker_init(&s.turn, &m->turns, opts->cancel);
    m8_status st = choose_language(&s);
    s.n_frames = (int)(n / NN_MEL_HOP);
    if (!st && s.n_frames && (opts->no_gate || has_sound(samples, n))) {
        st = first_prompt(&s);
        if (!st) st = make_mel(&s);
        for (int seek = 0, next; seek < s.n_frames && !st; seek += next > 0 ? next : WHISPER_FRAMES) {
            next = 0;
            st = m8__turn_take(&s.turn); /* so that a long recording lets others in between its windows */
            if (st) break;
            s.r = &s.w->run[s.turn.turn];
            s.r->stop = &s.turn.stop;
            st = one_window(&s, seek, &next);
            s.r->stop = NULL;
            nn_reset(s.r);
            m8__turn_give(&s.turn);
        }
    }
    m8__taker_finish(&s.turn);
    m8_free(s.mel);
    m8__ids_finish(&s.text);
    if (info) *info = s.info;
    return st ? m8_fail(err, st, "transcribing: %s", m8_status_text(st)) : M8_OK;
}
