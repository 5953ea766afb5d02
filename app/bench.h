/* What the files of `magic8 bench` share: cmd_bench.c (figures, peers), bench_engine.c (the models), bench_serve.c (the server under load),
 * bench_turn.c (a turn through all of it). */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include "ball.h"
#include "load.h"
#include "options.h"

#define MOST_RUNS 200
#define MOST_FIGURES 16

struct figure {
    const char *name, *unit;
    bool more_is_better;
    double ours[MOST_RUNS], theirs[MOST_RUNS];
    int n_theirs;
};

struct bench {
    const struct options *o;
    m8_model *models[N_ROLES];
    double open_s; /* of all the models, one after the other */
    m8_pcm pcm;
    const char *text;
    struct ball *ball;
    struct figure figures[MOST_FIGURES];
    int n_figures;
    char note[512]; /* what was heard or answered, to see that the work was done */
    void *own;      /* the kind's */
};

struct kind {
    const char *name;
    int roles;       /* bit i: role i, opened here before the clock starts */
    int runs;        /* unless --runs says otherwise; 0: 5 */
    bool fresh;      /* each run starts anew: none to warm up */
    m8_status (*run)(struct bench *b, double *values, m8_error *err);
    void (*close)(struct bench *b); /* undoes b->own; may be NULL */
    struct figure figures[MOST_FIGURES];
};

extern const struct kind bench_asr, bench_llm, bench_tts, bench_e2e, bench_serve, bench_turn;

double median(const double *v, int n); /* of at most MOST_RUNS */

/* Serve the app that is measured on a port of 127.0.0.1 until SIGTERM; it ends with who started it. */
m8_status bench_app(int port, m8_error *err);

#endif
