/* gemm.c - the products. The reference is the plain sum in double of what the packed bytes mean. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernels/c.h"

enum kind { F32, BF16, Q8, Q6, Q5, Q4 };
typedef void gemm_fn(const struct m8__gemm *g);

/* One call's operands, packed and as numbers. */
struct job {
    struct m8__gemm g;
    struct xq xq;
    enum kind kind;
    int k, x_rows, panels;
    float *x; /* [x_rows][n_in] as numbers */
    float *w, *size; /* [panels * 16][k]: the weights, and what they are the sum of, without signs */
    float *y0; /* y before the call, if it adds */
};

static void free_job(struct job *j)
{
    free(j->x);
    free(j->w);
    free(j->size);
    free(j->y0);
}

static uint16_t half_of(float f) /* of an ordinary number; the bits that do not fit are cut off */
{
    uint32_t u = bits_of_float(f);
    return (uint16_t)((u >> 16 & 0x8000) | ((u & 0x7fffffff) - 0x38000000) >> 13);
}

static uint16_t some_half(void)
{
    return half_of(check_float(0.001f, 0.1f) * (check_int(0, 1) ? 1 : -1));
}

/* x as numbers, and packed by kind. */
static void make_x(struct job *j, bool extreme)
{
    int n_in = j->g.n_in, nb = n_in / QBLOCK;
    size_t size = (size_t)j->x_rows * n_in;
    j->x = malloc((size + 1) * sizeof *j->x);
    if (j->kind == F32 || j->kind == BF16) {
        ptrdiff_t ldx = n_in + (j->kind == F32 ? check_int(0, 3) : 2 * check_int(0, 2));
        size_t last = j->x_rows ? (size_t)(j->x_rows - 1) * ldx + n_in : 0;
        float *f = j->kind == F32 ? check_mem(last * 4) : NULL;
        uint16_t *h = j->kind == BF16 ? check_mem(last * 2) : NULL;
        for (int i = 0; i < j->x_rows; i++)
            for (int c = 0; c < n_in; c++) {
                float v = check_normal();
                if (h)
                    v = from_bf16(h[i * ldx + c] = round_bf16(v));
                else
                    f[i * ldx + c] = v;
                j->x[i * n_in + c] = v;
            }
        j->g.x = f ? (void *)f : h;
        j->g.ldx = ldx;
        return;
    }
    int8_t *q = check_mem(size), *q2 = check_int(0, 1) ? check_mem(size) : NULL;
    float *d = check_mem(size / QBLOCK * 4), *s = check_mem(size / QBLOCK * 4);
    int32_t *sum = check_mem(size / QBLOCK * 8);
    for (int b = 0; b < j->x_rows * nb; b++) {
        d[b] = check_float(0.001f, 1);
        sum[2 * b] = sum[2 * b + 1] = 0;
        for (int c = b * QBLOCK; c < (b + 1) * QBLOCK; c++) {
            q[c] = (int8_t)(extreme ? 127 - 254 * (b % 2) : check_int(-127, 127));
            if (q2)
                q2[c] = (int8_t)(extreme ? 127 - 255 * (b % 2) : check_int(-128, 127));
            int v = q2 ? 256 * q[c] + q2[c] : q[c];
            sum[2 * b + c % QBLOCK / 16] += v;
            j->x[c] = d[b] * (float)v;
        }
        s[b] = d[b] * (float)(sum[2 * b] + sum[2 * b + 1]);
    }
    j->xq = (struct xq){.q = q, .q2 = q2, .d = d, .s = s, .sum = sum, .ldq = n_in, .ldd = nb};
    j->g.x = &j->xq;
}

static void make_w(struct job *j, bool extreme)
{
    int k = j->k;
    static const size_t unit[] = {[F32] = 64 * QBLOCK, [BF16] = 32 * QBLOCK, [Q8] = sizeof(struct q8_block), [Q6] = sizeof(struct q6_block),
                                  [Q5] = sizeof(struct q5_block), [Q4] = sizeof(struct q4_block)}; /* of 32 inputs */
    size_t used = unit[j->kind] * k / QBLOCK, panel = used + 64 * check_int(0, 1);
    char *mem = check_mem(j->panels ? panel * (j->panels - 1) + used : 0);
    j->w = malloc(((size_t)j->panels * PANEL * k + 1) * sizeof *j->w);
    j->size = malloc(((size_t)j->panels * PANEL * k + 1) * sizeof *j->size);
    j->g.w = mem;
    j->g.panel = panel;
    for (int o = 0; o < j->panels * PANEL; o++) {
        char *at = mem + o / PANEL * panel;
        float *w = j->w + (size_t)o * k, *size = j->size + (size_t)o * k;
        int l = o % PANEL;
        for (int c = 0; c < k; c++) {
            float v = check_normal();
            if (j->kind == F32) {
                ((float *)at)[c * PANEL + l] = w[c] = v;
            } else if (j->kind == BF16) {
                uint16_t h = round_bf16(v);
                ((uint16_t *)at)[(c / 2 * PANEL + l) * 2 + c % 2] = h;
                w[c] = from_bf16(h);
            } else if (j->kind == Q8) {
                struct q8_block *b = (struct q8_block *)at + c / QBLOCK;
                int i = c % QBLOCK, q = extreme ? 255 * (l % 2) : check_int(0, 255);
                if (!i)
                    b->d[l] = some_half();
                b->q[i / 4][l][i % 4] = (uint8_t)q;
                w[c] = from_half(b->d[l]) * (q - 128);
            } else if (j->kind == Q6) {
                struct q6_block *b = (struct q6_block *)at + c / QBLOCK;
                int i = c % QBLOCK, q = extreme ? 255 * (l % 2) : check_int(96, 159);
                if (!i)
                    b->d[l] = some_half();
                if (i % 16 == 0)
                    b->scale[i / 16][l] = (int8_t)(extreme ? 127 - 255 * (i / 16) : check_int(-128, 127));
                b->q[i / 4][l][i % 4] = (uint8_t)q;
                w[c] = from_half(b->d[l]) * (q - 128) * b->scale[i / 16][l];
            } else if (j->kind == Q5) {
                struct q5_block *b = (struct q5_block *)at + c / QBLOCK;
                int i = c % QBLOCK, q = extreme ? 31 : check_int(0, 31);
                if (!i) {
                    b->d[l] = half_of(check_float(0.001f, 0.1f));
                    b->m[l] = half_of(check_float(-0.5f, -0.01f));
                }
                b->q[i / 4][l][i % 4] = (uint8_t)q;
                w[c] = from_half(b->d[l]) * q + from_half(b->m[l]);
                size[c] = fabsf(from_half(b->d[l]) * q) + fabsf(from_half(b->m[l]));
                continue;
            } else {
                struct q4_block *b = (struct q4_block *)at + c / QBLOCK;
                int i = c % QBLOCK, q = extreme ? 15 : check_int(0, 15);
                if (!i) {
                    b->d[l] = half_of(check_float(0.001f, 0.1f));
                    b->m[l] = half_of(check_float(-0.5f, -0.01f));
                }
                uint8_t *byte = &b->q[i % 16 / 4][l][i % 4];
                *byte = (uint8_t)(i < 16 ? (*byte & 0xf0) | q : (*byte & 0x0f) | q << 4);
                w[c] = from_half(b->d[l]) * q + from_half(b->m[l]);
                size[c] = fabsf(from_half(b->d[l]) * q) + fabsf(from_half(b->m[l]));
                continue;
            }
            size[c] = fabsf(w[c]);
        }
    }
}

static void make_y(struct job *j, bool bias, bool add)
{
    struct m8__gemm *g = &j->g;
    g->ldy = g->n_out + check_int(0, 5);
    size_t size = g->n ? (size_t)(g->n - 1) * g->ldy + g->n_out : 0;
    g->y = check_mem(size * 4);
    if (bias && !add) {
        float *b = check_mem(g->n_out * 4u);
        for (int o = 0; o < g->n_out; o++)
            b[o] = check_normal();
        g->bias = b;
    }
    g->add = add;
    j->y0 = malloc((size + 1) * 4);
    if (add)
        for (int i = 0; i < g->n; i++)
            for (int o = 0; o < g->n_out; o++)
                g->y[i * g->ldy + o] = check_normal();
    memcpy(j->y0, g->y, size * 4);
}

static void check_values(const struct job *j)
{
    const struct m8__gemm *g = &j->g;
    for (int i = 0; i < g->n; i++)
        for (int o = 0; o < g->n_out; o++) {
            double sum = g->add ? j->y0[i * g->ldy + o] : g->bias ? g->bias[o] : 0, all = fabs(sum);
            for (int t = 0; t < g->taps; t++) {
                const float *x = j->x + (size_t)(i * g->stride + t * g->dilation) * g->n_in;
                const float *w = j->w + (size_t)o * j->k + t * g->n_in, *size = j->size + (size_t)o * j->k + t * g->n_in;
                for (int c = 0; c < g->n_in; c++) {
                    sum += (double)x[c] * w[c];
                    all += fabs((double)x[c] * size[c]);
                }
            }
            check_near(g->y[i * g->ldy + o], sum, FLT_EPSILON * all * (2 + 0.5 * sqrt(j->k)), "y", i, o);
        }
    for (int i = 0; i + 1 < g->n; i++)
        check_untouched(g->y + i * g->ldy + g->n_out, (g->ldy - g->n_out) * 4, "between rows of y");
}

/* The call again with one row, or with a few panels, gives the same bits. */
static void check_alone(const struct job *j, gemm_fn *fn, int i, int n, int p, int n_panels)
{
    struct m8__gemm g = j->g;
    struct xq x = j->xq;
    int o = p * PANEL, left = j->g.n_out - o;
    g.n = n;
    g.n_out = left < n_panels * PANEL ? left : n_panels * PANEL;
    g.w = (const char *)g.w + p * g.panel;
    g.bias = g.bias ? g.bias + o : NULL;
    if (j->kind == F32) {
        g.x = (const float *)g.x + i * g.stride * g.ldx;
    } else if (j->kind == BF16) {
        g.x = (const uint16_t *)g.x + i * g.stride * g.ldx;
    } else {
        x.q += i * g.stride * x.ldq;
        if (x.q2)
            x.q2 += i * g.stride * x.ldq;
        x.d += i * g.stride * x.ldd;
        x.s += i * g.stride * x.ldd;
        x.sum += 2 * i * g.stride * x.ldd;
        g.x = &x;
    }
    g.ldy = g.n_out;
    g.y = check_mem((size_t)g.n * g.ldy * 4);
    for (int r = 0; r < n; r++)
        memcpy(g.y + r * g.ldy, j->y0 + (i + r) * j->g.ldy + o, g.n_out * 4);
    fn(&g);
    for (int r = 0; r < n; r++)
        check_same(g.y + r * g.ldy, j->g.y + (i + r) * j->g.ldy + o, g.n_out * 4, n == 1 ? "alone, row" : "fewer panels, row", i + r);
}

static struct job make(enum kind kind, int n, int n_out, int n_in, int taps, int stride, int dilation)
{
    struct job j = {.kind = kind, .k = n_in * taps, .panels = (n_out + PANEL - 1) / PANEL};
    j.g = (struct m8__gemm){.n = n, .n_out = n_out, .n_in = n_in, .taps = taps, .stride = stride, .dilation = dilation};
    j.x_rows = n ? (n - 1) * stride + (taps - 1) * dilation + 1 : 0;
    bool extreme = !check_int(0, 7);
    make_x(&j, extreme);
    make_w(&j, extreme);
    make_y(&j, check_int(0, 1), check_int(0, 1));
    return j;
}

static void one(enum kind kind, gemm_fn *fn, int n, int n_out, int n_in, int taps, int stride, int dilation)
{
    static const int unit[] = {[F32] = 1, [BF16] = 2, [Q8] = QBLOCK, [Q6] = QBLOCK, [Q5] = QBLOCK, [Q4] = QBLOCK};
    n_in = (n_in + unit[kind] - 1) / unit[kind] * unit[kind];
    struct job j = make(kind, n, n_out, n_in, taps, stride, dilation);
    if (j.kind != F32 && j.kind != BF16)
        j.g.x = &j.xq; /* make() returned a copy */
    fn(&j.g);
    check_values(&j);
    for (int i = 0; i < n; i++)
        check_alone(&j, fn, i, 1, 0, j.panels);
    for (int p = 0; p < j.panels && n; p++)
        check_alone(&j, fn, 0, n, p, check_int(1, 3));
    free_job(&j);
    check_let_go();
}

static void call_gemm(void *arg)
{
    void **a = arg;
    (*(gemm_fn **)a[0])(a[1]);
}

/* Limits of one core of the machine that doc/speed.md tells of: half of what both compute, and what one alone can read. */
static void bench_sums(enum kind kind, gemm_fn *fn)
{
    static const double peak[] = {[F32] = 241, [BF16] = 490, [Q8] = 1000, [Q6] = 1000, [Q5] = 1000, [Q4] = 1000};
    static const struct {
        int n, n_out, n_in, taps;
        const char *name;
    } sizes[] = {{1, 576, 576, 1, "1 x 576 -> 576"},
                 {8, 1536, 576, 1, "8 x 576 -> 1536"},
                 {64, 1536, 576, 1, "64 x 576 -> 1536"},
                 {512, 2048, 512, 1, "512 x 512 -> 2048"},
                 {512, 512, 2048, 1, "512 x 2048 -> 512"},
                 {2048, 32, 32, 3, "2048 x 32 -> 32, 3 taps"},
                 {512, 64, 64, 7, "512 x 64 -> 64, 7 taps"}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct job j = make(kind, sizes[s].n, sizes[s].n_out, sizes[s].n_in, sizes[s].taps, 1, 1);
        if (j.kind != F32 && j.kind != BF16)
            j.g.x = &j.xq;
        j.xq.q2 = NULL; /* one digit */
        j.g.add = 0;
        void *arg[] = {&fn, &j.g};
        check_bench(sizes[s].name, call_gemm, arg, 2.0 * j.g.n * j.k * j.g.n_out, "GFLOP/s", peak[kind]);
        free_job(&j);
        check_let_go();
    }
}

/* Few rows and 128 MiB of weights: the panels of a small job again and again. */
static void bench_memory(enum kind kind, gemm_fn *fn)
{
    for (int n = 1; n <= 4; n++) {
        struct job j = make(kind, n, 160, 576, 1, 1, 1);
        if (j.kind != F32 && j.kind != BF16)
            j.g.x = &j.xq;
        j.xq.q2 = NULL; /* one digit */
        int panels = (int)((128u << 20) / j.g.panel);
        char *w = check_mem(j.g.panel * panels);
        for (int p = 0; p < panels; p++)
            memcpy(w + p * j.g.panel, (const char *)j.g.w + p % 9 * j.g.panel, j.g.panel);
        j.g.w = w;
        j.g.n_out = panels * PANEL;
        j.g.ldy = j.g.n_out;
        j.g.y = check_mem((size_t)n * j.g.n_out * 4);
        j.g.bias = NULL;
        j.g.add = 0;
        char name[32];
        snprintf(name, sizeof name, "%d x 576, from memory", n);
        void *arg[] = {&fn, &j.g};
        check_bench(name, call_gemm, arg, (double)j.g.panel * panels, "GB/s   ", 39);
        free_job(&j);
        check_let_go();
    }
}

static void check_one(enum kind kind, gemm_fn *fn)
{
    if (check_benching) {
        bench_memory(kind, fn);
        bench_sums(kind, fn);
        return;
    }
    for (int n = 0; n <= 30; n++) /* each tile of rows, by each of panels */
        for (int panels = n % 2; panels <= 7; panels += 2)
            one(kind, fn, n, panels * PANEL - (panels ? check_int(0, PANEL - 1) : 0), check_int(1, 70), 1, 1, 1);
    for (int i = 0; i < 40; i++)
        one(kind, fn, check_int(1, 20), check_int(1, 100), check_int(0, 60), check_int(1, 7), check_int(1, 3), check_int(1, 3));
    one(kind, fn, 3, 70, 4500, 1, 1, 1); /* beyond a block of k */
    one(kind, fn, 7, 50, 1100, 5, 2, 1);
}

void check_gemm(const struct m8__kernels *k)
{
    if (CHECK_FUNC(k, gemm_f32))
        check_one(F32, k->gemm_f32);
    if (CHECK_FUNC(k, gemm_bf16))
        check_one(BF16, k->gemm_bf16);
    if (CHECK_FUNC(k, gemm_q8))
        check_one(Q8, k->gemm_q8);
    if (CHECK_FUNC(k, gemm_q6))
        check_one(Q6, k->gemm_q6);
    if (CHECK_FUNC(k, gemm_q5))
        check_one(Q5, k->gemm_q5);
    if (CHECK_FUNC(k, gemm_q4))
        check_one(Q4, k->gemm_q4);
}
