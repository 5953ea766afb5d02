/* magic8 bench asr, llm, tts, e2e: the models alone and together, in this process. */
#include "bench.h"
#include "turn.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MOST_VOICES = 16 };

static m8_status note_segment(void *user, const m8_segment *s)
{
    struct bench *b = user;
    size_t n = strlen(b->note);
    snprintf(b->note + n, sizeof b->note - n, "%s", s->text);
    return M8_OK;
}

static m8_status run_asr(struct bench *b, double *v, m8_error *err)
{
    double start = m8_now_s();
    m8_transcribe_info info;
    m8_transcribe_opts o = { .language = "en", .no_timestamps = true, .no_condition = true, .beam_size = b->o->beam };
    b->note[0] = 0;
    m8_status st = m8_transcribe(b->models[ROLE_ASR], b->pcm.samples, b->pcm.n_samples, &o, (m8_segment_sink){ note_segment, b }, &info, err);
    v[0] = m8_now_s() - start;
    v[1] = info.mel_s;
    v[2] = info.encode_s;
    v[3] = info.decode_s;
    return st;
}

static m8_status ignore_text(void *user, const char *text, size_t n) { return M8_OK; }

/* Speed of decoding, the end forbidden by nothing but chance: counted as made. */
static m8_status run_decode(struct bench *b, double *tok_s, m8_error *err)
{
    static int turn;
    m8_usage u = {0};
    int n = 0, tries = 0, wanted = b->o->max_tokens ? b->o->max_tokens : 128;
    double s = 0;
    m8_status st = M8_OK;
    while (!st && n < wanted) {
        if (++tries > 500) return m8_fail(err, M8_E_LIMIT, "the model ends its answers at once: its speed cannot be measured");
        char again[96];
        snprintf(again, sizeof again, "Turn %d. Here is a long list of words, one after another:", turn++);
        st = m8_complete(b->models[ROLE_LLM], again, &(m8_chat_opts){ .max_tokens = wanted + 1 - n, .temperature = 1, .seed = (uint64_t)turn },
                         (m8_text_sink){ ignore_text, NULL }, &u, err);
        n += u.n_generated > 1 ? u.n_generated - 1 : 0;
        s += u.generate_s;
    }
    *tok_s = n / s;
    return st;
}

/* The first token of an answer to the ball's own prompt, whose beginning is kept from the last question. */
static m8_status run_first(struct bench *b, double *s, m8_error *err)
{
    static int turn;
    struct ball_opts opts = { .free_talk = true, .max_tokens = 1 };
    m8_status st = b->ball ? M8_OK : ball_open(&b->ball, b->models[ROLE_LLM], &opts, err);
    char question[64];
    m8_buf answer = {0};
    snprintf(question, sizeof question, "Will I get the %dth job that I applied for?", ++turn + 3);
    double start = m8_now_s();
    if (!st) st = ball_answer(b->ball, question, 1, (m8_text_sink){ ignore_text, NULL }, NULL, &answer, err);
    *s = m8_now_s() - start;
    m8_buf_finish(&answer);
    return st == M8_E_NOTFOUND ? M8_OK : st; /* the first token made no text */
}

/* A prompt that nothing kept begins like; then an answer; then the ball's prompt, if the file says how to talk. */
static m8_status run_llm(struct bench *b, double *v, m8_error *err)
{
    static int turn;
    int n = b->o->prompt_tokens ? b->o->prompt_tokens : 512;
    m8_buf prompt = {0};
    m8_buf_printf(&prompt, "%d", turn++);
    for (int i = 0; i < n - 3; i++) m8_buf_str(&prompt, " the");
    m8_usage u = {0};
    m8_status st = m8_complete(b->models[ROLE_LLM], prompt.data, &(m8_chat_opts){ .max_tokens = 1 }, (m8_text_sink){ ignore_text, NULL }, &u, err);
    m8_buf_finish(&prompt);
    if (!st) v[0] = (u.n_prompt - u.n_kept) / u.prompt_s;
    if (!st) st = run_decode(b, &v[1], err);
    m8_error why = {0};
    m8_status first = st || b->n_figures < 3 ? M8_OK : run_first(b, &v[2], &why);
    if (!first && !st && b->n_figures == 3) first = run_first(b, &v[2], &why); /* now its beginning is kept */
    if (first == M8_E_UNSUPPORTED) b->n_figures = 2;
    else if (first) st = m8_fail(err, first, "%s", m8_error_text(&why));
    return st;
}

/* One of the voices. margin: by how much the latest chunk came before what had been handed out until then was played. */
struct speaking {
    struct bench *b;
    m8_speak_opts opts;
    double start, first, margin;
    size_t n;
    int rate;
    m8_status status;
    m8_error err;
    unsigned long thread;
};

static m8_status take_pcm(void *user, const float *samples, size_t n)
{
    struct speaking *s = user;
    double now = m8_now_s() - s->start, margin = s->first + (double)s->n / s->rate - now;
    if (!s->n) s->first = now;
    else if (margin < s->margin) s->margin = margin;
    s->n += n;
    return M8_OK;
}

static void *speak(void *user)
{
    struct speaking *s = user;
    s->status = m8_speak(s->b->models[ROLE_TTS], s->b->text, &s->opts, (m8_pcm_sink){ take_pcm, s }, &s->err);
    return NULL;
}

static m8_status run_tts(struct bench *b, double *v, m8_error *err)
{
    struct speaking s[MOST_VOICES];
    int n = b->o->voices ? b->o->voices : 1, rate = m8_speak_rate(b->models[ROLE_TTS]), begun = 0;
    double start = m8_now_s();
    m8_status st = M8_OK;
    v[3] = INFINITY;
    for (; begun < n && !st; begun += !st) {
        s[begun] = (struct speaking){ .b = b, .opts = voice_speak_opts(b->o), .start = start, .margin = INFINITY, .rate = rate };
        s[begun].opts.seed += (uint64_t)begun;
        s[begun].opts.max_new_tokens = b->o->max_tokens;
        if (m8_sys_get()->thread_create(&s[begun].thread, speak, &s[begun])) st = m8_fail(err, M8_E_NOMEM, "starting a thread");
    }
    for (int i = 0; i < begun; i++) {
        pthread_join(s[i].thread, NULL);
        if (!st && s[i].status) st = m8_fail(err, s[i].status, "%s", m8_error_text(&s[i].err));
        if (s[i].first > v[0]) v[0] = s[i].first;
        v[2] += (double)s[i].n / rate;
        if (s[i].margin < v[3]) v[3] = s[i].margin;
    }
    v[1] = m8_now_s() - start;
    if (!isfinite(v[3])) v[3] = 0; /* a single chunk */
    v[4] = v[2] / v[1];
    return st;
}

static m8_status ignore_bytes(void *user, const void *data, size_t n) { return M8_OK; }

static m8_status get_voice(void *user, m8_model **tts, m8_error *err)
{
    *tts = ((struct bench *)user)->models[ROLE_TTS];
    return M8_OK;
}

static m8_status run_e2e(struct bench *b, double *v, m8_error *err)
{
    static uint64_t seed;
    struct turn t = { .asr = b->models[ROLE_ASR], .ball = b->ball, .voice = get_voice, .user = b, .seed = ++seed, .language = "en", .format = M8_MP3 };
    m8_status st = turn_run(&t, &b->pcm, (m8_bytes_sink){ ignore_bytes, NULL }, err);
    if (!st) {
        double all[] = { t.heard_s, t.answered_s, t.first_byte_s, t.last_byte_s, t.times.audio_s };
        memcpy(v, all, sizeof all);
        snprintf(b->note, sizeof b->note, "%s -> %s", t.question, t.answer.data);
    }
    turn_finish(&t);
    return st;
}

const struct kind bench_asr = { .name = "asr", .roles = 1 << ROLE_ASR, .run = run_asr,
                                .figures = { { "wall_s", "s" }, { "mel_s", "s" }, { "encode_s", "s" }, { "decode_s", "s" } } };
const struct kind bench_llm = { .name = "llm", .roles = 1 << ROLE_LLM, .run = run_llm,
                                .figures = { { "prefill_tok_s", "tokens/s", true }, { "decode_tok_s", "tokens/s", true }, { "first_s", "s" } } };
const struct kind bench_tts = { .name = "tts", .roles = 1 << ROLE_TTS, .run = run_tts,
                                .figures = { { "first_s", "s" }, { "total_s", "s" }, { "audio_s", "s" }, { "margin_s", "s", true },
                                             { "audio_per_s", "s/s", true } } };
const struct kind bench_e2e = { .name = "e2e", .roles = 7, .run = run_e2e,
                                .figures = { { "heard_s", "s" }, { "answered_s", "s" }, { "first_mp3_s", "s" }, { "last_mp3_s", "s" },
                                             { "audio_s", "s" } } };
