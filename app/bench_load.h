/* Loads on the measured app: threads with a connection each, as many as there are sessions. */
#ifndef APP_BENCH_LOAD_H
#define APP_BENCH_LOAD_H

#include "bench_server.h"

/* Ended tasks of several threads and how long each took. {0} is empty. */
struct times {
    double *s; /* [n] seconds, owned */
    size_t n, cap;
    double wall_s, cpu_s; /* of the load; the server's own processor time */
};
void times_finish(struct times *t);
double times_part(struct times *t, double part); /* 0.5: the median; sorts; 0 without tasks */

/* One task of one of the threads; `own` is the thread's (see load_run). */
typedef m8_status load_task(void *own, m8_error *err);

/* n threads, each doing its task over and over: `count` times, or for seconds (count 0). own: [n] pointers. */
m8_status load_run(const struct server *s, int n, void *const *own, load_task *task, int count, double seconds, struct times *out, m8_error *err);

#endif
