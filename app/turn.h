/* One turn of the ball: hear, answer, speak, each beginning as soon as it can. */
#ifndef APP_TURN_H
#define APP_TURN_H

#include "ball.h"
#include "voice.h"

struct hear_opts {
    const char *language;
    int beam;
    uint64_t seed;
    m8_cancel *cancel; /* or NULL */
};

/* What is asked in a recording at 16 kHz: new, without blanks around it. M8_E_NOTFOUND: nobody speaks in it. */
m8_status hear_question(m8_model *asr, const m8_pcm *pcm, const struct hear_opts *opts, char **question, m8_error *err);
uint64_t any_seed(void);

struct turn {
    /* in: borrowed */
    m8_model *asr; /* may be NULL where question is given */
    m8_status (*voice)(void *user, m8_model **tts, m8_error *err); /* gives the model that speaks, when it is needed; on another thread */
    struct ball *ball;
    const char *language;
    int beam, bit_rate;
    m8_speak_opts speak; /* its seed is the turn's */
    uint64_t seed; /* 0: a new one each turn */
    m8_audio_format format;
    m8_status (*heard)(void *user, const char *question, m8_error *err); /* as soon as it is known; may be NULL */
    void *user; /* of voice and heard */
    char *question; /* in: not NULL when it was written; else out: new, freed by turn_finish */
    /* out */
    m8_buf answer;
    bool owns_question;
    struct voice_times times;
    double heard_s, answered_s, first_byte_s, last_byte_s; /* since the start of the turn */
};

/* pcm: the question's sound at 16 kHz, when it is not written. out gets the encoded answer on another thread; push NULL: no speech. */
m8_status turn_run(struct turn *t, const m8_pcm *pcm, m8_bytes_sink out, m8_error *err);
void turn_finish(struct turn *t);

#endif
