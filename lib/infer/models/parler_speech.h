/* parler_speech.h - what the files of Parler's calls in flight share: steps of all speakers together (parler_steps.c), sound out of
 * frames (parler_sound.c), the calls themselves (parler_speak.c). */
#ifndef M8_PARLER_SPEECH_H
#define M8_PARLER_SPEECH_H

#include "parler.h"
#include <pthread.h>

struct described;

/* One stretch of speech on its way: its prompt, the columns so far. The call's memory; the stepper fills it. */
struct speaker {
    struct speaker *next;
    struct described *described;
    m8__ids prompt;
    struct parler_seq *seq;
    struct parler_codes codes;       /* this and the next: the stepper's, from join to the end */
    struct parler_sampling sampling;
    pthread_cond_t *news;            /* the call's */
    /* under the lock */
    int *frames;           /* [n_frames][n_q], whole and without special ids */
    int n_frames, n_taken; /* so far; of them, the call has */
    int n_columns, want;   /* want: how many frames the call waits for */
    bool ended, left, in_step;
    m8_status status;
};

/* An encoded description; the latest are kept for whoever speaks like that again. */
struct described {
    struct described *next;
    char *text; /* NULL: nobody else's (the prompt is in it) */
    struct parler_cross *cross;
    int refs, n; /* n: tokens */
};

struct parler_speech {
    m8_model *model;
    const struct parler *m;
    pthread_mutex_t lock;        /* of the next ones */
    pthread_cond_t work;         /* for the stepper */
    struct speaker *speakers;    /* in the order they came */
    struct described *described; /* latest first */
    bool closing, stepping;      /* the stepper shall end; has a step on its way */
    int n_codecs;                /* calls that compute beside it */
    unsigned long stepper;       /* 0: not started yet */
    struct m8__turns cores;      /* one at a time: what calls compute; where there is one thread, steps, too */
    m8_pool *half[2];            /* threads while steps and calls compute beside each other; NULL: one thread */
    nn_run run;                  /* the stepper's, and so is scratch */
    float *scratch;
    _Atomic(nn_run *) spare[4];  /* working memory of calls, kept warm */
};

/* ---- steps (parler_steps.c) */
m8_status m8__steps_open(struct parler_speech *p, m8_error *err);
void m8__steps_close(struct parler_speech *p);

/* s steps from now on. Starts the stepper if there is none yet. */
m8_status m8__speaker_join(struct parler_speech *p, struct speaker *s, m8_error *err);
/* Not any more; waits for the step that it is in. */
void m8__speaker_leave(struct parler_speech *p, struct speaker *s);

struct progress {
    int n_ready; /* frames that the call has not taken */
    int n_frames, n_columns;
    int n_live;  /* calls that speak now, this one included */
    bool ended;  /* all columns are made */
    m8_status status;
};
/* How far s is; waits until n frames are ready, or the end, or *stop. */
struct progress m8__speaker_wait(struct parler_speech *p, struct speaker *s, int n, const atomic_bool *stop);
/* The next n frames that are ready; borrowed while s lives. */
const int *m8__speaker_take(struct parler_speech *p, struct speaker *s, int n);

/* What a call computes itself, codec and encoder: waits for its turn, then sets the run's pool. */
m8_status m8__cores_take(struct parler_speech *p, struct m8__taker *turn, nn_run *r, m8_error *err);
void m8__cores_give(struct parler_speech *p, struct m8__taker *turn);

/* ---- sound (parler_sound.c) */
struct parler_sound {
    const struct parler *m;
    struct dac_stream *stream;
    m8_pcm_sink out;
    m8_buf held;            /* samples that are ready and not handed out */
    size_t n_handed;        /* samples */
    int play_steps, stride; /* columns, samples; 0: as early as they can be made */
    int next;               /* column after which the original would decode next */
    double opened_s;        /* m8_now_s() when the stretch began */
};
m8_status m8__sound_open(struct parler_sound *s, const struct parler *m, float play_steps_in_s, m8_pcm_sink out, m8_error *err);
void m8__sound_close(struct parler_sound *s);
/* n more frames; last: no more will come. */
m8_status m8__sound_make(struct parler_sound *s, nn_run *r, const int *codes, int n, bool last, m8_error *err);
/* What can be handed out by now. */
m8_status m8__sound_hand_out(struct parler_sound *s, const struct progress *at, bool last);

#endif
