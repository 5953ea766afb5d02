/* norm.c - layer norm and RMS norm of a row, against double. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"

enum { LONG = 512 };

static void layer(const struct m8__kernels *k, int n, float offset)
{
    float *x = check_mem(n * 4u), *w = check_mem(n * 4u), *b = check_mem(n * 4u), *y = check_mem(n * 4u);
    double mean = 0, var = 0, sq = 0;
    for (int i = 0; i < n; i++) {
        x[i] = check_normal() + offset;
        w[i] = check_normal();
        b[i] = check_normal();
        mean += x[i];
        sq += (double)x[i] * x[i];
    }
    mean /= n;
    for (int i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    double by = 1 / sqrt(var / n + 1e-5), rms = 1 / sqrt(sq / n + 1e-5);
    k->layer_norm(y, x, w, b, n, 1e-5f);
    for (int i = 0; i < n; i++)
        check_near(y[i], (x[i] - mean) * by * w[i] + b[i],
                   FLT_EPSILON * (8 + 4 * fabs(mean) * by) * (fabs((x[i] - mean) * by) + 1) * (fabs(w[i]) + fabs(b[i]) + 1), "layer_norm", n, i);
    k->rms_norm(y, x, w, n, 1e-5f);
    for (int i = 0; i < n; i++)
        check_near(y[i], x[i] * rms * w[i], 8 * FLT_EPSILON * fabs(x[i] * rms * w[i]) + 1e-37, "rms_norm", n, i);
    k->rms_norm(x, x, w, n, 1e-5f);
    check_same(x, y, n * sizeof *x, "in place, n =", n);
    check_let_go();
}

struct arg {
    const struct m8__kernels *k;
    float *y, *x;
};

static void call_layer(void *p)
{
    struct arg *a = p;
    a->k->layer_norm(a->y, a->x, a->x, a->x, LONG, 1e-5f);
}

static void call_rms(void *p)
{
    struct arg *a = p;
    a->k->rms_norm(a->y, a->x, a->x, LONG, 1e-5f);
}

void check_norm(const struct m8__kernels *k)
{
    bool layer_new = CHECK_FUNC(k, layer_norm), rms_new = CHECK_FUNC(k, rms_norm);
    if (!layer_new && !rms_new)
        return;
    if (check_benching) {
        struct arg a = {k, check_mem(LONG * 4), check_mem(LONG * 4)};
        for (int i = 0; i < LONG; i++)
            a.x[i] = check_normal();
        check_bench("rms 512", call_rms, &a, LONG, "G/s    ", 0);
        check_bench("layer 512", call_layer, &a, LONG, "G/s    ", 0);
        return;
    }
    for (int n = 1; n < 300; n += check_int(1, 7))
        layer(k, n, (float)check_int(-3, 3));
}
