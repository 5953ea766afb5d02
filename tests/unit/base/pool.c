/* Thread pool: every chunk once, whoever asks, and nothing hangs; run under the thread sanitizer too. */
#include "torture.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 1000 };
struct job {
    m8_pool *pool;
    int times[MOST];   /* not atomic: the pool must order them */
    atomic_int chunks; /* in all */
};

static void one(void *arg, int chunk)
{
    struct job *j = arg;
    j->times[chunk]++;
    atomic_fetch_add(&j->chunks, 1);
}

static void run_and_check(m8_pool *p, int n)
{
    struct job j = { .pool = p };
    m8_pool_run(p, n, one, &j);
    for (int i = 0; i < n; i++) assert_int_equal(j.times[i], 1);
    assert_int_equal(j.chunks, n > 0 ? n : 0);
}

static m8_pool *new_pool(int n)
{
    m8_pool *p;
    m8_error err = {0};
    assert_int_equal(m8_pool_new(&p, n, &err), M8_OK);
    return p;
}

static void test_every_chunk_once(void **state)
{
    static const int counts[] = { -1, 0, 1, 2, 3, 7, 64, MOST };
    for (int threads = 1; threads <= 5; threads++) {
        m8_pool *p = new_pool(threads);
        assert_int_equal(m8_pool_threads(p), threads);
        for (int turn = 0; turn < 50; turn++)
            for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) run_and_check(p, counts[i]);
        m8_pool_free(p);
    }
    run_and_check(NULL, 10);
    assert_int_equal(m8_pool_threads(NULL), 1);
    m8_pool_free(NULL);
}

/* Workers asleep, workers still spinning, workers in between. */
static void test_pauses(void **state)
{
    m8_pool *p = new_pool(3);
    for (int turn = 0; turn < 300; turn++) {
        run_and_check(p, 2 + turn % 5);
        if (turn % 3 == 0) usleep((unsigned)(turn % 7) * 20);
    }
    m8_pool_free(p);
    for (int turn = 0; turn < 100; turn++) { /* freed at once, with workers anywhere */
        p = new_pool(4);
        if (turn & 1) run_and_check(p, 8);
        m8_pool_free(p);
    }
}

/* A job must see what the caller wrote before, and the caller what the job wrote: sums over plain memory. */
static void add(void *arg, int chunk)
{
    long *v = arg;
    v[chunk + 1] += v[0];
}
static void test_memory_order(void **state)
{
    m8_pool *p = new_pool(4);
    long v[9] = {0};
    for (long turn = 1; turn <= 2000; turn++) {
        v[0] = turn;
        m8_pool_run(p, 8, add, v);
    }
    for (int i = 1; i < 9; i++) assert_int_equal(v[i], 2000 * 2001 / 2);
    m8_pool_free(p);
}

static void inner(void *arg, int chunk) { atomic_fetch_add((atomic_int *)arg, 1); }
static void outer(void *arg, int chunk)
{
    struct job *j = arg;
    m8_pool_run(j->pool, 5, inner, &j->chunks); /* a job in a job is done alone */
}
static void test_nested(void **state)
{
    struct job j = { .pool = new_pool(3) };
    for (int turn = 0; turn < 100; turn++) m8_pool_run(j.pool, 20, outer, &j);
    assert_int_equal(j.chunks, 100 * 20 * 5);
    m8_pool_free(j.pool);
}

static void *caller(void *arg)
{
    for (int turn = 0; turn < 200; turn++) {
        struct job j = {0};
        m8_pool_run(arg, 50, one, &j);
        for (int i = 0; i < 50; i++)
            if (j.times[i] != 1) return "a chunk was not done once";
    }
    return NULL;
}
static void test_many_callers(void **state)
{
    m8_pool *p = new_pool(3);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, caller, p), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    m8_pool_free(p);
}

/* The caller never waits for a worker that has not begun: with a worker stuck in one chunk, the caller does all others. */
static atomic_int stuck_chunks;
static atomic_bool release;
static void maybe_stick(void *arg, int chunk)
{
    bool stick = chunk < 99 && !pthread_equal(*(pthread_t *)arg, pthread_self());
    if (stick) atomic_fetch_add(&stuck_chunks, 1);
    while (stick && !release) usleep(100);
    if (chunk == 99) release = true; /* chunks are begun in order: all others have been */
    usleep(50);
}
static void test_slow_worker(void **state)
{
    m8_pool *p = new_pool(2);
    pthread_t me = pthread_self();
    m8_pool_run(p, 100, maybe_stick, &me);
    assert_in_range(stuck_chunks, 0, 1); /* and it came back at all */
    m8_pool_free(p);
}

static void test_arguments(void **state)
{
    m8_pool *p = (m8_pool *)8;
    m8_error err = {0};
    assert_int_equal(m8_pool_new(&p, -1, &err), M8_E_ARG);
    assert_null(p);
    err = (m8_error){0};
    assert_int_equal(m8_pool_new(&p, 257, &err), M8_E_ARG);
    p = new_pool(0);
    assert_in_range(m8_pool_threads(p), 1, 256);
    m8_pool_free(p);
}

static m8_status use(void *arg, m8_error *err)
{
    m8_pool *p;
    m8_status st = m8_pool_new(&p, 3, err);
    if (st) return st;
    run_and_check(p, 20);
    m8_pool_free(p);
    return M8_OK;
}
static void test_torture(void **state) { assert_int_equal(torture(use, NULL), 3); }

int main(void)
{
    alarm(200); /* a lost wake-up must end the test */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_chunk_once), cmocka_unit_test(test_pauses), cmocka_unit_test(test_memory_order),
        cmocka_unit_test(test_nested), cmocka_unit_test(test_many_callers), cmocka_unit_test(test_slow_worker),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
