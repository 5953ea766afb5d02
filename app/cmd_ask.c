/* magic8 ask: the whole job. The models that hear and answer load side by side while the question is read and decoded, and hearing begins
 * as soon as it can. When the question is known, the first has done its work and makes room for the voice, which loads while the answer is
 * found: so all of it needs less than 400 MB. */
#include "app.h"
#include "ball.h"
#include "load.h"
#include "question.h"
#include "speech_file.h"
#include "turn.h"
#include "voice.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct ask {
    const struct options *o;
    struct ball *ball;
    struct ball_opts ball_opts;
    m8_pcm pcm;
    char *question;
    m8_model *asr, *llm, *tts;
    struct loading *loading[N_ROLES];
    struct turn *turn;
};

static m8_status make_ball(void *user, m8_model *llm, m8_error *err)
{
    struct ask *a = user;
    m8_status st = ball_open(&a->ball, llm, &a->ball_opts, err);
    return st ? st : ball_warm(a->ball, err);
}

static m8_status print_json(const struct turn *t, const struct options *o, m8_error *err)
{
    json_t *j = json_pack("{s:s, s:s, s:{s:f, s:f}}", "question", t->question, "answer", t->answer.data, "times", "heard_s", t->heard_s,
                          "answered_s", t->answered_s);
    if (o->output) {
        json_t *audio = json_pack("{s:s, s:f, s:I, s:f, s:f}", "file", o->output, "seconds", t->times.audio_s, "bytes",
                                  (json_int_t)t->times.bytes, "first_byte_s", t->first_byte_s, "last_byte_s", t->last_byte_s);
        if (json_object_set_new(j, "audio", audio)) {
            json_decref(j);
            j = NULL;
        }
    }
    if (!j) return m8_fail(err, M8_E_FORMAT, "the answer cannot be written as JSON");
    FILE *to = o->output && !strcmp(o->output, "-") ? stderr : stdout;
    bool written = !json_dumpf(j, to, JSON_REAL_PRECISION(6)) && fputs("\n", to) >= 0;
    json_decref(j);
    return written ? M8_OK : m8_fail(err, M8_E_IO, "writing the answer");
}

/* Wait for a model, if it is on its way. */
static m8_status arrive(struct ask *a, int role, m8_model **m, m8_error *err)
{
    struct loading *l = a->loading[role];
    a->loading[role] = NULL;
    return l ? load_wait(l, m, err) : M8_OK;
}

/* The question is known. */
static m8_status heard(void *user, const char *question, m8_error *err)
{
    struct ask *a = user;
    FILE *to = a->o->output && !strcmp(a->o->output, "-") ? stderr : stdout;
    if (!a->o->json) fprintf(to, "question: %s\n", question);
    fflush(to);
    m8_close(a->asr);
    a->asr = NULL;
    m8_status st = a->o->output ? load_start(&a->loading[ROLE_TTS], ROLE_TTS, a->o, NULL, NULL, err) : M8_OK;
    if (!st) st = arrive(a, ROLE_LLM, &a->llm, err);
    a->turn->ball = a->ball;
    return st;
}

static m8_status get_voice(void *user, m8_model **tts, m8_error *err)
{
    struct ask *a = user;
    m8_status st = arrive(a, ROLE_TTS, &a->tts, err);
    *tts = a->tts;
    return st;
}

static m8_status ask(struct ask *a, struct speech_file *file, m8_error *err)
{
    const struct options *o = a->o;
    m8_status st = load_start(&a->loading[ROLE_LLM], ROLE_LLM, o, make_ball, a, err);
    if (!st && may_be_sound(o->args[0])) st = load_start(&a->loading[ROLE_ASR], ROLE_ASR, o, NULL, NULL, err);
    if (!st) st = read_question(&a->question, &a->pcm, o->args[0], err);
    if (!st) st = arrive(a, ROLE_ASR, &a->asr, err);
    struct turn t = { .asr = a->asr, .voice = get_voice, .heard = heard, .user = a, .language = o->language, .beam = o->beam,
                      .bit_rate = o->bit_rate, .speak = voice_speak_opts(o), .seed = o->seed, .format = file->format,
                      .question = a->question };
    a->turn = &t;
    if (!st) st = turn_run(&t, &a->pcm, o->output ? speech_file_sink(file) : (m8_bytes_sink){0}, err);
    if (!st && o->json) st = print_json(&t, o, err);
    else if (!st) fprintf(o->output && !strcmp(o->output, "-") ? stderr : stdout, "answer: %s\n", t.answer.data);
    turn_finish(&t);
    arrive(a, ROLE_ASR, &a->asr, NULL); /* what was on its way when something failed */
    arrive(a, ROLE_LLM, &a->llm, NULL);
    arrive(a, ROLE_TTS, &a->tts, NULL);
    ball_close(a->ball);
    m8_close(a->asr);
    m8_close(a->llm);
    m8_close(a->tts);
    return st;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int cmd_ask(const struct options *o)
{
    m8_error err = {0}, why = {0};
    struct ask a = { .o = o, .ball_opts = { o->free_talk, o->max_tokens, o->temperature, o->top_k, o->top_p, o->min_p } };
    struct speech_file file = {0};
    if (o->output && same_file(o->output, o->args[0])) return fail_usage("the answer would overwrite the question: name another file with -o");
    m8_status st = o->output ? speech_file_init(&file, o->output, &err) : M8_OK;
    if (st) return st == M8_E_ARG ? fail_usage("%s", m8_error_text(&err)) : fail(&err);
    st = ask(&a, &file, &why);
    st = speech_file_end(&file, st, &err);
    if (st) m8_fail(&err, st, "%s", m8_error_text(&why));
    m8_free(a.question);
    m8_pcm_finish(&a.pcm);
    return st ? fail(&err) : 0;
}
