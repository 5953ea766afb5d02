/* magic8 listen: write down what is said. */
#include "app.h"
#include "load.h"
#include "question.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MOST_S (24 * 3600.0)

struct listener {
    const struct options *o;
    json_t *segments; /* with --json */
    bool begun;
    int error; /* errno of standard output */
};

static json_t *as_json(const m8_segment *s, bool with_words)
{
    json_t *j = json_pack("{s:f, s:f, s:s, s:f, s:f}", "start", s->start_s, "end", s->end_s, "text", s->text, "avg_logprob",
                          (double)s->avg_logprob, "no_speech_prob", (double)s->no_speech_prob);
    json_t *words = with_words ? json_array() : NULL;
    for (size_t i = 0; i < s->n_words && words; i++) {
        json_t *word = json_pack("{s:s, s:f, s:f, s:f}", "word", s->words[i].text, "start", s->words[i].start_s, "end",
                                               s->words[i].end_s, "probability", (double)s->words[i].probability);
        if (!json_array_append_new(words, word)) continue;
        json_decref(words);
        words = NULL;
    }
    if (!with_words || !json_object_set_new(j, "words", words)) return j;
    json_decref(j);
    return NULL;
}

static void print_time(double s) { printf("%02d:%02d:%06.3f", (int)s / 3600, (int)s / 60 % 60, s - 60 * ((int)s / 60)); }

static m8_status print_segment(void *user, const m8_segment *s)
{
    struct listener *l = user;
    const char *text = s->text;
    if (l->o->json) {
        return json_array_append_new(l->segments, as_json(s, l->o->words)) ? M8_E_NOMEM : M8_OK;
    }
    while (*text == ' ' && (l->o->timestamps || !l->begun)) text++;
    l->begun = true;
    if (l->o->timestamps) {
        fputs("[", stdout);
        print_time(s->start_s);
        fputs(" --> ", stdout);
        print_time(s->end_s);
        printf("] %s\n", text);
    } else {
        fputs(text, stdout);
    }
    errno = 0;
    if (!fflush(stdout)) return M8_OK;
    l->error = errno ? errno : EIO;
    return M8_E_IO;
}

static m8_status transcribe(struct listener *l, m8_model *asr, const m8_pcm *pcm, m8_error *err)
{
    const struct options *o = l->o;
    m8_transcribe_info info;
    m8_error why = {0};
    m8_transcribe_opts opts = { .language = o->language, .prompt = o->prompt, .translate = o->translate, .words = o->words,
                                .no_timestamps = !o->timestamps && !o->words && !o->json && pcm->n_samples <= 30 * 16000,
                                .beam_size = o->beam, .seed = o->seed };
    m8_status st = m8_transcribe(asr, pcm->samples, pcm->n_samples, &opts, (m8_segment_sink){ print_segment, l }, &info, &why);
    if (l->error) {
        errno = l->error;
        return m8_fail_errno(err, M8_E_IO, "writing standard output");
    }
    if (st) return m8_fail(err, st, "%s", m8_error_text(&why));
    if (!o->json) {
        if (l->begun && !o->timestamps) puts("");
        return M8_OK;
    }
    m8_buf text = {0};
    size_t i;
    json_t *s;
    json_array_foreach (l->segments, i, s) m8_buf_str(&text, json_string_value(json_object_get(s, "text")));
    const char *all = text.data ? text.data : "";
    while (*all == ' ') all++;
    json_t *j = json_pack("{s:s, s:s, s:f, s:O}", "text", all, "language", info.language, "duration", (double)pcm->n_samples / 16000,
                          "segments", l->segments);
    if (!j || text.status) st = m8_fail(err, M8_E_NOMEM, "writing the text as JSON");
    else if (json_dumpf(j, stdout, JSON_REAL_PRECISION(6)) || puts("") < 0) st = m8_fail(err, M8_E_IO, "writing standard output");
    json_decref(j);
    m8_buf_finish(&text);
    return st;
}

int cmd_listen(const struct options *o)
{
    m8_error err = {0};
    m8_pcm pcm = {0};
    m8_model *asr = NULL;
    struct loading *loading = NULL;
    struct listener l = { .o = o, .segments = o->json ? json_array() : NULL };
    m8_status st = load_start(&loading, ROLE_ASR, o, NULL, NULL, &err);
    if (!st) st = read_sound(&pcm, o->args[0], MOST_S, &err);
    m8_error why = {0};
    m8_status loaded = load_wait(loading, &asr, &why);
    if (loaded && !st) st = m8_fail(&err, loaded, "%s", m8_error_text(&why));
    if (!st) st = transcribe(&l, asr, &pcm, &err);
    json_decref(l.segments);
    m8_close(asr);
    m8_pcm_finish(&pcm);
    return st ? fail(&err) : 0;
}
