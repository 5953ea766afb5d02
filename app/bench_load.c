#include "bench_load.h"
#include <pthread.h>
#include <stdlib.h>

#define MOST_THREADS 64

struct thread {
    void *own;
    load_task *task;
    int count;
    double until;
    struct times times;
    m8_status st;
    m8_error err;
    unsigned long thread;
};

static m8_status add(struct times *t, double s)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;
        double *more = m8_realloc(t->s, cap * sizeof *more);
        if (!more) return M8_E_NOMEM;
        t->s = more;
        t->cap = cap;
    }
    t->s[t->n++] = s;
    return M8_OK;
}

static void *work(void *arg)
{
    struct thread *t = arg;
    double now = m8_now_s();
    while (!t->st && (t->count ? (int)t->times.n < t->count : now < t->until)) {
        double start = now;
        t->st = t->task(t->own, &t->err);
        now = m8_now_s();
        if (!t->st) t->st = add(&t->times, now - start);
    }
    return NULL;
}

m8_status load_run(const struct server *s, int n, void *const *own, load_task *task, int count, double seconds, struct times *out, m8_error *err)
{
    static struct thread threads[MOST_THREADS];
    if (n > MOST_THREADS) return m8_fail(err, M8_E_ARG, "%d threads: at most %d", n, MOST_THREADS);
    m8_status st = M8_OK;
    double start = m8_now_s(), cpu = server_cpu_s(s);
    int started = 0;
    for (; started < n && !st; started++) {
        threads[started] = (struct thread){ .own = own[started], .task = task, .count = count, .until = start + seconds };
        if (m8_sys_get()->thread_create(&threads[started].thread, work, &threads[started])) {
            st = m8_fail(err, M8_E_NOMEM, "starting a thread");
            break;
        }
    }
    for (int i = 0; i < started; i++) pthread_join(threads[i].thread, NULL);
    out->wall_s = m8_now_s() - start;
    out->cpu_s = server_cpu_s(s) - cpu;
    for (int i = 0; i < started; i++) {
        struct thread *t = &threads[i];
        if (!st && t->st) st = m8_fail(err, t->st, "%s", m8_error_text(&t->err));
        for (size_t k = 0; k < t->times.n && !st; k++) st = add(out, t->times.s[k]);
        times_finish(&t->times);
    }
    if (!st && !out->n) st = m8_fail(err, M8_E_TIMEOUT, "nothing was done in %g s", seconds);
    return st;
}

void times_finish(struct times *t)
{
    m8_free(t->s);
    *t = (struct times){0};
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double times_part(struct times *t, double part)
{
    if (!t->n) return 0;
    qsort(t->s, t->n, sizeof *t->s, by_size);
    size_t i = (size_t)(part * (double)t->n);
    return t->s[i < t->n ? i : t->n - 1];
}
