#include "turn.h"
#include <string.h>
#include <time.h>

static m8_status add_segment(void *user, const m8_segment *s)
{
    m8_buf *b = user;
    m8_buf_str(b, s->text);
    return b->status;
}

/* Whisper is told the words that it would hardly guess. */
m8_status hear_question(m8_model *asr, const m8_pcm *pcm, const struct hear_opts *opts, char **question, m8_error *err)
{
    m8_buf text = {0};
    m8_transcribe_opts o = { .language = opts->language, .prompt = "Magic 8 Ball", .no_timestamps = true, .beam_size = opts->beam,
                             .seed = opts->seed, .cancel = opts->cancel };
    m8_status st = m8_transcribe(asr, pcm->samples, pcm->n_samples, &o, (m8_segment_sink){ add_segment, &text }, NULL, err);
    const char *s = text.data ? text.data : "";
    while (*s == ' ') s++;
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ') n--;
    *question = NULL;
    if (!st && !n) st = m8_fail(err, M8_E_NOTFOUND, "no speech was heard in the recording");
    if (!st) {
        *question = m8_strndup(s, n);
        if (!*question) st = m8_fail(err, M8_E_NOMEM, "the question");
    }
    m8_buf_finish(&text);
    return st;
}

static m8_status hear(struct turn *t, const m8_pcm *pcm, m8_error *err)
{
    struct hear_opts o = { .language = t->language, .beam = t->beam, .seed = t->seed };
    m8_status st = hear_question(t->asr, pcm, &o, &t->question, err);
    t->owns_question = !st;
    return st;
}

/* As the original: any of 5000. */
uint64_t any_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return 1 + (uint64_t)(now.tv_nsec / 1000 ^ now.tv_sec) % 5000;
}

static m8_status say(void *user, const char *clause, size_t n)
{
    struct voice *v = user;
    return v ? voice_say(v, clause, n) : M8_OK;
}

m8_status turn_run(struct turn *t, const m8_pcm *pcm, m8_bytes_sink out, m8_error *err)
{
    double start = m8_now_s();
    struct voice *v = NULL;
    m8_status st = t->question ? M8_OK : hear(t, pcm, err);
    t->heard_s = m8_now_s() - start;
    if (st) return st;
    if (t->heard) st = t->heard(t->user, t->question, err);
    if (st) return st;
    if (out.push) {
        struct voice_opts o = { .model = t->voice, .user = t->user, .speak = t->speak,
                                .encode = { .format = t->format, .bit_rate = t->bit_rate } };
        o.speak.seed = t->seed;
        st = voice_start(&v, &o, out, err);
        if (st) return st;
    }
    uint64_t seed = t->seed ? t->seed : any_seed();
    m8_error why = {0};
    st = ball_answer(t->ball, t->question, seed, (m8_text_sink){ say, v }, NULL, &t->answer, &why);
    t->answered_s = m8_now_s() - start;
    m8_status spoken = voice_end(v, st != M8_OK, &t->times, err);
    if (t->times.first_byte) {
        t->first_byte_s = t->times.first_byte - start;
        t->last_byte_s = t->times.last_byte - start;
    }
    if (spoken) return spoken; /* the cause, where the answer was only stopped by it */
    return st ? m8_fail(err, st, "%s", m8_error_text(&why)) : M8_OK;
}

void turn_finish(struct turn *t)
{
    if (t->owns_question) m8_free(t->question);
    m8_buf_finish(&t->answer);
}
