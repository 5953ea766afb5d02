/* The models of a server: each in a process of its own, loaded in the background, watched and started again. */
#ifndef APP_SERVED_H
#define APP_SERVED_H

#include "ball.h"
#include "load.h"
#include <m8/audio.h>
#include <pthread.h>

enum served_state { SERVED_MISSING, SERVED_LOADING, SERVED_READY, SERVED_DIED };
extern const char *const served_state_names[]; /* "missing", "loading", ... */

struct served_model {
    struct served *of;
    m8_model *model;
    char *name;              /* as --model said, or the catalog's */
    enum served_state state; /* under the lock, as all that follows */
    int n_started;
    m8_error why;            /* of MISSING and DIED */
};

struct served {
    const struct options *o;
    struct served_model models[N_ROLES];
    m8_audio_worker *decoder;
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct ball *ball; /* NULL until the model that answers is loaded */
    bool ball_warm, closing;
    unsigned long warmer;
};

/* Start the processes; returns at once. A model that is not here is told by served_state, and in the log. */
m8_status served_open(struct served *s, const struct options *o, m8_error *err);
void served_close(struct served *s);
enum served_state served_state(struct served *s, int role, int *n_started);
/* The models can be used. Waits while one is loading, until cancel is set (may be NULL) or a minute is over.
 * M8_E_USER: a text for the visitor. */
m8_status served_wait(struct served *s, int role, m8_cancel *cancel, m8_error *err);
/* A recording, decoded at 16 kHz in a process that can do nothing else. */
m8_status served_decode(struct served *s, m8_pcm *pcm, const char *path, m8_error *err);
/* Can a token be made? Asks the model that answers for one. */
m8_status served_check(struct served *s, m8_error *err);

#endif
