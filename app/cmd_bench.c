/* magic8 bench: how fast, as one JSON object a line. Models are loaded and warmed before the clock starts. --against runs a peer's command
 * in alternating turns: the last line it prints is a JSON object of figures under the same names; the ratio of medians is what counts,
 * since machines and their neighbours differ. The peers' commands are in bench/peers. */
#include "app.h"
#include "app_data.h"
#include "load.h"
#include "question.h"
#include "turn.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MOST_RUNS 200
#define MOST_FIGURES 8

struct figure {
    const char *name, *unit;
    bool more_is_better;
    double ours[MOST_RUNS], theirs[MOST_RUNS];
    int n_theirs;
};

struct bench {
    const struct options *o;
    m8_model *models[N_ROLES];
    m8_pcm pcm;
    const char *text;
    struct ball *ball;
    struct figure figures[MOST_FIGURES];
    int n_figures;
    char note[512]; /* what was heard or answered, to see that the work was done */
};

struct kind {
    const char *name;
    int roles; /* bit i: role i */
    m8_status (*run)(struct bench *b, double *values, m8_error *err);
    struct figure figures[MOST_FIGURES];
};

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

/* A prompt of 512 tokens that nothing kept begins like, then 128 tokens with the end forbidden by nothing but chance: counted as made. */
static m8_status run_llm(struct bench *b, double *v, m8_error *err)
{
    static int turn;
    m8_buf prompt = {0};
    m8_buf_printf(&prompt, "%d", turn++);
    for (int i = 0; i < 509; i++) m8_buf_str(&prompt, " the");
    m8_usage u = {0};
    m8_status st = m8_complete(b->models[ROLE_LLM], prompt.data, &(m8_chat_opts){ .max_tokens = 1 }, (m8_text_sink){ ignore_text, NULL }, &u, err);
    if (!st) v[0] = (u.n_prompt - u.n_kept) / u.prompt_s;
    m8_buf_finish(&prompt);
    int n = 0, tries = 0;
    double s = 0;
    while (!st && n < 128) {
        if (++tries > 500) return m8_fail(err, M8_E_LIMIT, "the model ends its answers at once: its speed cannot be measured");
        char again[96];
        snprintf(again, sizeof again, "Turn %d. Here is a long list of words, one after another:", turn++);
        st = m8_complete(b->models[ROLE_LLM], again, &(m8_chat_opts){ .max_tokens = 129 - n, .temperature = 1, .seed = (uint64_t)turn },
                         (m8_text_sink){ ignore_text, NULL }, &u, err);
        n += u.n_generated > 1 ? u.n_generated - 1 : 0;
        s += u.generate_s;
    }
    if (!st) v[1] = n / s;
    return st;
}

struct heard_first {
    double start, first;
    size_t n;
};

static m8_status take_pcm(void *user, const float *samples, size_t n)
{
    struct heard_first *h = user;
    if (!h->first) h->first = m8_now_s() - h->start;
    h->n += n;
    return M8_OK;
}

static m8_status run_tts(struct bench *b, double *v, m8_error *err)
{
    struct heard_first h = { .start = m8_now_s() };
    m8_status st = m8_speak(b->models[ROLE_TTS], b->text, NULL, (m8_pcm_sink){ take_pcm, &h }, err);
    v[0] = h.first;
    v[1] = m8_now_s() - h.start;
    v[2] = (double)h.n / m8_speak_rate(b->models[ROLE_TTS]);
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

static const struct kind kinds[] = {
    { "asr", 1 << ROLE_ASR, run_asr, { { "wall_s", "s" }, { "mel_s", "s" }, { "encode_s", "s" }, { "decode_s", "s" } } },
    { "llm", 1 << ROLE_LLM, run_llm, { { "prefill_tok_s", "tokens/s", true }, { "decode_tok_s", "tokens/s", true } } },
    { "tts", 1 << ROLE_TTS, run_tts, { { "first_s", "s" }, { "total_s", "s" }, { "audio_s", "s" } } },
    { "e2e", 7, run_e2e, { { "heard_s", "s" }, { "answered_s", "s" }, { "first_mp3_s", "s" }, { "last_mp3_s", "s" }, { "audio_s", "s" } } },
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *v, int n)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *v, int n)
{
    double m = v[0];
    for (int i = 1; i < n; i++) m = v[i] < m ? v[i] : m;
    return m;
}

/* The peer's turn: the last line of its output, as JSON. */
static m8_status run_peer(struct bench *b, m8_error *err)
{
    FILE *p = popen(b->o->against, "r");
    char line[4096], last[4096] = "";
    if (!p) return m8_fail_errno(err, M8_E_IO, "%s", b->o->against);
    while (fgets(line, sizeof line, p)) {
        if (line[0] != '\n') memcpy(last, line, sizeof last);
    }
    int code = pclose(p);
    json_error_t why;
    json_t *j = json_loads(last, 0, &why);
    m8_status st = M8_OK;
    if (code || !json_is_object(j)) st = m8_fail(err, M8_E_FORMAT, "%s: ended with %d, its last line is no JSON object", b->o->against, code);
    for (int i = 0; i < b->n_figures && !st; i++) {
        struct figure *f = &b->figures[i];
        json_t *v = json_object_get(j, f->name);
        if (json_is_number(v)) f->theirs[f->n_theirs++] = json_number_value(v);
    }
    json_decref(j);
    return st;
}

static void print_figures(const struct bench *b, const struct kind *k, int runs)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    for (int i = 0; i < b->n_figures; i++) {
        const struct figure *f = &b->figures[i];
        json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "what", k->name, "figure", f->name, "threads", b->o->threads, "runs",
                              runs, "median", median(f->ours, runs), "min", least(f->ours, runs), "unit", f->unit);
        if (f->n_theirs) {
            double theirs = median(f->theirs, f->n_theirs), ours = median(f->ours, runs);
            json_object_set_new(j, "peer_median", json_real(theirs));
            json_object_set_new(j, "ratio", json_real(f->more_is_better ? ours / theirs : theirs / ours));
        }
        json_dumpf(j, stdout, JSON_REAL_PRECISION(5));
        puts("");
        json_decref(j);
    }
    json_t *j = json_pack("{s:s, s:s, s:i, s:s}", "what", k->name, "figure", "peak_rss_mib", "median", (int)(use.ru_maxrss / 1024), "note", b->note);
    if (j) json_dumpf(j, stdout, 0);
    puts("");
    json_decref(j);
}

/* One object with the medians: so that we can be somebody's peer, ourselves included. */
static void print_last(const struct bench *b, int runs)
{
    printf("{");
    for (int i = 0; i < b->n_figures; i++) printf("%s\"%s\": %.5g", i ? ", " : "", b->figures[i].name, median(b->figures[i].ours, runs));
    printf("}\n");
}

static m8_status bench(struct bench *b, const struct kind *k, m8_error *err)
{
    int runs = b->o->runs ? b->o->runs : 5;
    if (runs > MOST_RUNS) runs = MOST_RUNS;
    m8_status st = M8_OK;
    for (int i = 0; i < N_ROLES && !st; i++) {
        if (k->roles >> i & 1) st = load_model(&b->models[i], i, b->o, err);
    }
    if (!st && k->roles == 7) st = ball_open(&b->ball, b->models[ROLE_LLM], &(struct ball_opts){ .temperature = -1 }, err);
    if (!st && b->ball) st = ball_warm(b->ball, err);
    while (b->n_figures < MOST_FIGURES && k->figures[b->n_figures].name) {
        b->figures[b->n_figures] = k->figures[b->n_figures];
        b->n_figures++;
    }
    for (int turn = -1; turn < runs && !st; turn++) { /* the first is to warm up */
        double v[MOST_FIGURES] = {0};
        st = k->run(b, v, err);
        for (int i = 0; i < b->n_figures && turn >= 0; i++) b->figures[i].ours[turn] = v[i];
        if (!st && b->o->against && turn >= 0) st = run_peer(b, err);
    }
    if (!st) {
        print_figures(b, k, runs);
        print_last(b, runs);
    }
    return st;
}

int cmd_bench(const struct options *o)
{
    m8_error err = {0};
    const char *name = o->n_args ? o->args[0] : "e2e", *given = o->n_args > 1 ? o->args[1] : NULL;
    const struct kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(name, kinds[i].name)) k = &kinds[i];
    }
    if (!k) return fail_usage("%s: nothing to measure by that name (asr, llm, tts, e2e)", name);
    struct bench *b = m8_calloc(1, sizeof *b);
    if (!b) return fail(&(m8_error){ .status = M8_E_NOMEM });
    b->o = o;
    b->text = given ? given : "A dog is ready for you, but are you ready for the dog?";
    m8_status st = M8_OK;
    if (k->roles & 1 << ROLE_ASR) {
        st = given ? read_sound(&b->pcm, given, 1800, &err) : m8_audio_decode(&b->pcm, question_webm, question_webm_size, NULL, &err);
    }
    if (!st) st = bench(b, k, &err);
    ball_close(b->ball);
    for (int i = 0; i < N_ROLES; i++) m8_close(b->models[i]);
    m8_pcm_finish(&b->pcm);
    m8_free(b);
    return st ? fail(&err) : 0;
}
