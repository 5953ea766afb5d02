/* Thread pool: one job at a time, its chunks claimed one by one.
 *
 *  `ticket` holds the number of chunks in its high half and the next one in its low half. A thread claims by adding 1: what it
 *  got is a chunk if low < high. fn and arg are written only while the high half is 0 (nothing can be claimed), and a job ends
 *  only when every claimed chunk is done; so a worker that comes late finds nothing, or a chunk of the newer job, and both are right.
 *  The caller never waits for a worker to begin, only for chunks begun: a worker that sleeps or lost its core costs its share.
 *  A spinning pool collapses when a third process wants a core; so both sides spin briefly and then sleep on a futex. */
#include <linux/futex.h>
#include <m8/base.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN 1500 /* pauses, some 20 to 40 microseconds */

struct m8_pool {
    _Alignas(64) atomic_uint_fast64_t ticket;
    _Alignas(64) atomic_uint done;
    atomic_uint caller_sleeps;
    _Alignas(64) atomic_uint posted; /* counts jobs; what sleeping workers wait on */
    atomic_uint sleepers;
    atomic_bool stop;
    void (*fn)(void *, int);
    void *arg;
    pthread_mutex_t busy;
    int n_workers;
    unsigned long workers[];
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *at, unsigned value)
{
    syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}
static void futex_wake(atomic_uint *at, int n) { syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }

/* Do chunks until none is left. */
static void work(m8_pool *p)
{
    for (;;) {
        uint64_t t = atomic_fetch_add_explicit(&p->ticket, 1, memory_order_acq_rel);
        unsigned n = (unsigned)(t >> 32), i = (unsigned)t;
        if (i >= n) return;
        p->fn(p->arg, (int)i);
        if (atomic_fetch_add(&p->done, 1) + 1 == n && atomic_load(&p->caller_sleeps)) futex_wake(&p->done, 1);
    }
}

static bool work_waits(m8_pool *p)
{
    uint64_t t = atomic_load_explicit(&p->ticket, memory_order_relaxed);
    return (unsigned)t < (unsigned)(t >> 32);
}

static void *worker(void *arg)
{
    m8_pool *p = arg;
    while (!atomic_load(&p->stop)) {
        unsigned seen = atomic_load(&p->posted);
        int spun = 0;
        while (spun < SPIN && !work_waits(p)) {
            pause_cpu();
            spun++;
        }
        if (work_waits(p)) {
            work(p);
            continue;
        }
        atomic_fetch_add(&p->sleepers, 1);
        if (atomic_load(&p->posted) == seen && !work_waits(p) && !atomic_load(&p->stop)) futex_wait(&p->posted, seen);
        atomic_fetch_sub(&p->sleepers, 1);
    }
    return NULL;
}

m8_status m8_pool_new(m8_pool **out, int n_threads, m8_error *err)
{
    *out = NULL;
    if (n_threads < 0 || n_threads > 256) return m8_fail(err, M8_E_ARG, "%d threads: expected 0 to 256", n_threads);
    if (!n_threads) {
        cpu_set_t set;
        n_threads = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
        if (n_threads > 256) n_threads = 256;
    }
    m8_pool *p = m8_aligned(64, sizeof *p + (size_t)n_threads * sizeof p->workers[0]);
    if (!p) return m8_fail(err, M8_E_NOMEM, "thread pool");
    *p = (m8_pool){0};
    pthread_mutex_init(&p->busy, NULL);
    for (int i = 0; i < n_threads - 1; i++) {
        if (m8_sys_get()->thread_create(&p->workers[i], worker, p)) {
            m8_pool_free(p);
            return m8_fail(err, M8_E_NOMEM, "starting a thread");
        }
        p->n_workers++;
    }
    *out = p;
    return M8_OK;
}

int m8_pool_threads(const m8_pool *p) { return p ? p->n_workers + 1 : 1; }

void m8_pool_run(m8_pool *p, int n_chunks, void (*fn)(void *, int), void *arg)
{
    if (!p || !p->n_workers || n_chunks < 2 || pthread_mutex_trylock(&p->busy)) {
        for (int i = 0; i < n_chunks; i++) fn(arg, i);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    atomic_store(&p->done, 0);
    atomic_store(&p->ticket, (uint64_t)(unsigned)n_chunks << 32);
    atomic_fetch_add(&p->posted, 1);
    if (atomic_load(&p->sleepers)) futex_wake(&p->posted, n_chunks - 1 < p->n_workers ? n_chunks - 1 : p->n_workers);
    work(p);
    for (int spun = 0; spun < SPIN && atomic_load(&p->done) != (unsigned)n_chunks; spun++) pause_cpu();
    unsigned done = atomic_load(&p->done);
    if (done != (unsigned)n_chunks) {
        atomic_store(&p->caller_sleeps, 1);
        while ((done = atomic_load(&p->done)) != (unsigned)n_chunks) futex_wait(&p->done, done);
        atomic_store(&p->caller_sleeps, 0);
    }
    atomic_store(&p->ticket, 0);
    pthread_mutex_unlock(&p->busy);
}

void m8_pool_free(m8_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->posted, 1);
    futex_wake(&p->posted, p->n_workers);
    for (int i = 0; i < p->n_workers; i++) pthread_join(p->workers[i], NULL);
    pthread_mutex_destroy(&p->busy);
    m8_free(p);
}
