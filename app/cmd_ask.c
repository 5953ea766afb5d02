/* magic8 ask: the whole job. The three models load side by side while the question is decoded; the answer is spoken clause by clause
 * while it is made. */
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

struct ask {
    const struct options *o;
    struct ball *ball;
    struct ball_opts ball_opts;
    m8_pcm pcm;
    char *question;
};

static m8_status make_ball(void *user, m8_model *llm, m8_error *err)
{
    struct ask *a = user;
    m8_status st = ball_open(&a->ball, llm, &a->ball_opts, err);
    return st ? st : ball_warm(a->ball, err);
}

static void print_json(const struct turn *t, const struct options *o)
{
    json_t *j = json_pack("{s:s, s:s, s:{s:f, s:f}}", "question", t->question, "answer", t->answer.data, "times", "heard_s", t->heard_s,
                          "answered_s", t->answered_s);
    if (o->output) {
        json_t *audio = json_pack("{s:s, s:f, s:I, s:f, s:f}", "file", o->output, "seconds", t->times.audio_s, "bytes",
                                  (json_int_t)t->times.bytes, "first_byte_s", t->first_byte_s, "last_byte_s", t->last_byte_s);
        json_object_set_new(j, "audio", audio);
    }
    FILE *to = o->output && !strcmp(o->output, "-") ? stderr : stdout;
    if (json_dumpf(j, to, JSON_REAL_PRECISION(6))) fputs("{}", to);
    fputs("\n", to);
    json_decref(j);
}

static void print_question(void *user, const char *question)
{
    const struct options *o = user;
    FILE *to = o->output && !strcmp(o->output, "-") ? stderr : stdout;
    if (!o->json) fprintf(to, "question: %s\n", question);
    fflush(to);
}

static m8_status ask(struct ask *a, struct speech_file *file, m8_error *err)
{
    const struct options *o = a->o;
    struct loading *load[N_ROLES] = {0};
    struct turn t = { .bit_rate = o->bit_rate, .speed = o->speed, .speaker = o->speaker, .seed = o->seed, .language = o->language,
                      .beam = o->beam, .heard = print_question, .user = (void *)o, .question = a->question, .format = file->format };
    bool is_text = a->question != NULL;
    m8_status st = M8_OK;
    if (!is_text) st = load_start(&load[ROLE_ASR], ROLE_ASR, o, NULL, NULL, err);
    if (!st) st = load_start(&load[ROLE_LLM], ROLE_LLM, o, make_ball, a, err);
    if (!st && o->output) st = load_start(&load[ROLE_TTS], ROLE_TTS, o, NULL, NULL, err);
    m8_error first = {0};
    for (int i = 0; i < N_ROLES; i++) {
        m8_status loaded = load_wait(load[i], &t.models[i], &first);
        if (loaded && !st) st = m8_fail(err, loaded, "%s", first.text);
    }
    t.ball = a->ball;
    if (!st) st = turn_run(&t, &a->pcm, o->output ? speech_file_sink(file) : (m8_bytes_sink){0}, err);
    if (!st && o->json) print_json(&t, o);
    else if (!st) fprintf(o->output && !strcmp(o->output, "-") ? stderr : stdout, "answer: %s\n", t.answer.data);
    turn_finish(&t);
    ball_close(a->ball);
    for (int i = 0; i < N_ROLES; i++) m8_close(t.models[i]);
    return st;
}

int cmd_ask(const struct options *o)
{
    m8_error err = {0}, why = {0};
    struct ask a = { .o = o, .ball_opts = { o->free_talk, o->max_tokens, o->temperature, o->top_k, o->top_p, o->min_p } };
    struct speech_file file = {0};
    m8_status st = o->output ? speech_file_init(&file, o->output, &err) : M8_OK;
    if (st) return st == M8_E_ARG ? fail_usage("%s", m8_error_text(&err)) : fail(&err);
    st = read_question(&a.question, &a.pcm, o->args[0], &why);
    if (!st) st = ask(&a, &file, &why);
    st = speech_file_end(&file, st, &err);
    if (st) m8_fail(&err, st, "%s", m8_error_text(&why));
    m8_free(a.question);
    m8_pcm_finish(&a.pcm);
    return st ? fail(&err) : 0;
}
