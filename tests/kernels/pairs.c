/* pairs.c - pairs_bf16 against the formula of kernels.h in double; and as the convolution that it stands for. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "kernels/c.h"

typedef void pairs_fn(const struct m8__pairs *g);

static float *floats(int n)
{
    float *x = check_mem((size_t)n * sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = check_normal();
    return x;
}

static struct m8__pairs make(int n, int n_out, int n_in, int apart)
{
    struct m8__pairs g = {.n = n, .n_out = n_out, .n_in = n_in, .ldx = n_in + 2 * check_int(0, 2), .ldy = n_out + check_int(0, 3)};
    int panels = (n_out + PANEL - 1) / PANEL, used = 9 * n_in * PANEL;
    g.apart = apart * g.ldx;
    g.panel = (size_t)(used + 32 * check_int(0, 1)) * sizeof(uint16_t);
    uint16_t *w = check_mem(g.panel * (panels - 1) + used * sizeof *w);
    for (int p = 0; p < panels; p++)
        for (int i = 0; i < used; i++)
            w[p * g.panel / sizeof *w + i] = round_bf16(check_normal());
    g.w = w;
    for (int j = 0; j < 6; j++) {
        size_t size = (size_t)(n - 1) * g.ldx + (j < 4 ? g.apart : 0) + n_in;
        uint16_t *x = check_mem(size * sizeof *x);
        for (size_t i = 0; i < size; i++)
            x[i] = round_bf16(check_normal());
        g.x[j] = x;
    }
    g.bias = floats(n_out);
    g.even = floats((n - 1) * (int)g.ldy + n_out);
    g.odd = floats((n - 1) * (int)g.ldy + n_out);
    return g;
}

/* Of row i and output o: tap t on plane j, and the sum of its terms' sizes. */
static double dot(const struct m8__pairs *g, int i, int o, int t, int j, ptrdiff_t later, double *all)
{
    const uint16_t *w = (const uint16_t *)((const char *)g->w + o / PANEL * g->panel) + (size_t)t * g->n_in * PANEL + o % PANEL * 2;
    const uint16_t *x = g->x[j] + i * g->ldx + later;
    double sum = 0;
    for (int c = 0; c < g->n_in; c++) {
        double v = (double)from_bf16(x[c]) * from_bf16(w[c / 2 * 2 * PANEL + c % 2]);
        sum += v;
        *all += fabs(v);
    }
    return sum;
}

static void one(pairs_fn *fn, int n, int n_out, int n_in, int apart)
{
    struct m8__pairs g = make(n, n_out, n_in, apart);
    fn(&g);
    for (int i = 0; i < n; i++)
        for (int o = 0; o < n_out; o++) {
            double all = fabs(g.bias[o]), b = g.bias[o], c = 0, even = 0, odd = 0;
            for (int t = 0; t < 2; t++) {
                b += dot(&g, i, o, t, 0, t * g.apart, &all);
                c += dot(&g, i, o, 2 + t, 1, t * g.apart, &all);
                even += dot(&g, i, o, 4 + t, 2, t * g.apart, &all);
                odd += dot(&g, i, o, 6 + t, 3, t * g.apart, &all);
            }
            even += b + c + dot(&g, i, o, 8, 4, 0, &all);
            odd += b - c + dot(&g, i, o, 8, 5, 0, &all);
            double tol = FLT_EPSILON * all * (2 + 0.5 * sqrt(9.0 * n_in));
            check_near(g.even[i * g.ldy + o], even, tol, "even", i, o);
            check_near(g.odd[i * g.ldy + o], odd, tol, "odd", i, o);
        }
    for (int i = 0; i < n; i++) /* alone, and by fewer panels */
        for (int from = 0; from < n_out; from += 3 * PANEL) {
            struct m8__pairs h = g;
            h.n = 1;
            h.n_out = n_out - from;
            for (int j = 0; j < 6; j++)
                h.x[j] += i * g.ldx;
            h.w = (const char *)g.w + from / PANEL * g.panel;
            h.bias += from;
            h.even = check_mem((size_t)h.n_out * sizeof(float));
            h.odd = check_mem((size_t)h.n_out * sizeof(float));
            fn(&h);
            check_same(h.even, g.even + i * g.ldy + from, (size_t)h.n_out * sizeof(float), "even, alone, row", i);
            check_same(h.odd, g.odd + i * g.ldy + from, (size_t)h.n_out * sizeof(float), "odd, alone, row", i);
        }
    check_let_go();
}

struct call {
    pairs_fn *fn;
    struct m8__pairs g;
};

static void call(void *arg)
{
    struct call *c = arg;
    c->fn(&c->g);
}

void check_pairs(const struct m8__kernels *k)
{
    if (!CHECK_FUNC(k, pairs_bf16))
        return;
    if (!check_benching) {
        for (int i = 0; i < 60; i++)
            one(k->pairs_bf16, check_int(1, 20), check_int(1, 100), 2 * check_int(1, 40), check_int(1, 18));
        return;
    }
    for (int c = 96; c <= 768; c *= 2) {
        struct call a = {.fn = k->pairs_bf16, .g = make(96, c, c, 18)};
        char name[32];
        snprintf(name, sizeof name, "96 x %d -> %d", c, c);
        check_bench(name, call, &a, 2.0 * 10 * a.g.n * c * c, "GFLOP/s", 490);
        check_let_go();
    }
}
