/* check.c - runs the checks for every instruction set that this processor has. Options: --bench, --seed N, --only NAME. */
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { PATTERN = 0xa5, SEEN = 128, HELD = 4096, SHOWN = 20 };

static const struct {
    const char *name;
    int flags;
} sets[] = {
    {"c", 0},
    {"avx2", M8_CPU_AVX2},
    {"avx512", M8_CPU_AVX2 | M8_CPU_AVX512},
    {"avx512bf16", M8_CPU_AVX2 | M8_CPU_AVX512 | M8_CPU_AVX512_BF16},
    {"neon", M8_CPU_NEON},
    {"neon dotprod", M8_CPU_NEON | M8_CPU_DOTPROD},
};

bool check_benching;
static const char *only, *set_name, *func_name;
static check_fn seen[SEEN];
static int n_seen, n_failed, n_funcs;
static uint64_t state;

static struct held {
    uint8_t *map, *at;
    size_t size;
} held[HELD];
static int n_held;

void check_fail(const char *fmt, ...)
{
    n_failed++;
    if (n_failed > SHOWN)
        return;
    va_list ap;
    va_start(ap, fmt);
    printf("FAILED %s %s: ", set_name, func_name);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

bool check_func(check_fn fn, const char *name)
{
    for (int i = 0; i < n_seen; i++)
        if (seen[i] == fn)
            return false;
    if (!fn) {
        func_name = name;
        check_fail("is missing");
        return false;
    }
    if (n_seen < SEEN)
        seen[n_seen++] = fn;
    if (only && strcmp(only, name))
        return false;
    func_name = name;
    n_funcs++;
    return true;
}

void *check_mem(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page) / page * page;
    uint8_t *map = n_held < HELD ? mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE)) {
        printf("no memory for the check\n");
        exit(1);
    }
    memset(map, PATTERN, room);
    held[n_held++] = (struct held){.map = map, .at = map + room - size, .size = room + page};
    return map + room - size;
}

void check_let_go(void)
{
    for (int i = 0; i < n_held; i++) {
        check_untouched(held[i].map, (size_t)(held[i].at - held[i].map), "before a buffer");
        munmap(held[i].map, held[i].size);
    }
    n_held = 0;
}

void check_untouched(const void *at, size_t size, const char *what)
{
    const uint8_t *p = at;
    for (size_t i = 0; i < size; i++)
        if (p[i] != PATTERN) {
            check_fail("wrote %s, byte %zu of %zu", what, i, size);
            return;
        }
}

void check_near(float got, double want, double tol, const char *what, int i, int j)
{
    if (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= tol)
        return;
    check_fail("%s [%d][%d] is %.9g, expected %.9g within %.2g", what, i, j, got, want, tol);
}

void check_same(const void *got, const void *want, size_t size, const char *what, int i)
{
    if (memcmp(got, want, size))
        check_fail("%s %d differs", what, i);
}

uint32_t check_random(void)
{
    state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

int check_int(int from, int to)
{
    return from + (int)(check_random() % (uint32_t)(to - from + 1));
}

float check_float(float from, float to)
{
    return from + (to - from) * (float)(check_random() >> 8) * 0x1p-24f;
}

float check_normal(void)
{
    float sum = 0;
    for (int i = 0; i < 6; i++)
        sum += check_float(-1, 1);
    return sum * 0.7071f;
}

float check_odd_float(void)
{
    static const float odd[] = {0, -0.0f, 1e-45f, -1e-40f, 1e-38f, 1e-30f, 1e30f, -3e38f, INFINITY, -INFINITY, NAN, 88.7f, -87.4f, 104, -104};
    if (check_random() % 2)
        return odd[check_random() % (sizeof odd / sizeof *odd)];
    return check_normal() * powf(10, (float)check_int(-10, 10));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* so that other programs disturb less */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void check_bench(const char *what, void (*call)(void *), void *arg, double work, const char *unit, double limit)
{
    double best = 1e9, stop = now() + 0.12;
    int times = 1;
    call(arg);
    do { /* the best of several runs of about 5 ms */
        double from = now();
        for (int i = 0; i < times; i++)
            call(arg);
        double took = (now() - from) / times;
        best = took < best ? took : best;
        times = took > 0.005 ? 1 : (int)(0.005 / (took + 1e-9)) + 1;
    } while (now() < stop);
    printf("%-11s %-12s %-34s %9.2f %s", set_name, func_name, what, work / best * 1e-9, unit);
    if (limit > 0)
        printf("  %3.0f %% of %.0f", 100e-9 * work / best / limit, limit);
    putchar('\n');
}

int main(int argc, char **argv)
{
    int has = m8__cpu_flags();
    uint64_t seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--bench"))
            check_benching = true;
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--only") && i + 1 < argc)
            only = argv[++i];
        else
            return printf("usage: check [--bench] [--seed N] [--only KERNEL]\n"), 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        if ((sets[s].flags & has) != sets[s].flags)
            continue;
        static void (*const tests[])(const struct m8__kernels *) = {check_gemm, check_pairs, check_repack, check_quant, check_vec, check_norm};
        set_name = sets[s].name;
        for (size_t t = 0; t < sizeof tests / sizeof *tests; t++) {
            state = seed;
            tests[t](m8__kernels_get(sets[s].flags));
            check_let_go();
        }
    }
    printf("%d functions checked, %d failures\n", n_funcs, n_failed);
    return n_failed != 0;
}
