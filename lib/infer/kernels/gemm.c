/* gemm.c - y[i][o] = bias[o] + sum over k of x[i][k] * w[o][k], with w in panels (kernels.h): the definition, in plain C.
 *
 * The sum of an output is one chain: it begins with y (add), the bias or 0, and takes k in ascending order; tap by tap, channel by
 * channel. So a row never sees its neighbours. The check (tests/kernels) allows other versions FLT_EPSILON times the sum of the
 * absolute terms, times a few: they may fuse multiply and add, and bf16 hardware rounds a pair's sum in its own way. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/c.h"

/* Where the sum of row i begins, for the outputs o0.. of a panel. */
static void begin(float acc[PANEL], const struct m8__gemm *g, int i, int o0)
{
    int n = g->n_out - o0 < PANEL ? g->n_out - o0 : PANEL;
    memset(acc, 0, PANEL * sizeof *acc);
    if (g->add)
        memcpy(acc, g->y + i * g->ldy + o0, n * sizeof *acc);
    else if (g->bias)
        memcpy(acc, g->bias + o0, n * sizeof *acc);
}

static void end(const float acc[PANEL], const struct m8__gemm *g, int i, int o0)
{
    int n = g->n_out - o0 < PANEL ? g->n_out - o0 : PANEL;
    memcpy(g->y + i * g->ldy + o0, acc, n * sizeof *acc);
}

/* The first element of x that row i meets at a tap. */
static ptrdiff_t x_at(const struct m8__gemm *g, int i, int tap, ptrdiff_t ldx)
{
    return ((ptrdiff_t)i * g->stride + (ptrdiff_t)tap * g->dilation) * ldx;
}

static void gemm_f32_c(const struct m8__gemm *g)
{
    for (int o = 0; o < g->n_out; o += PANEL) {
        const float *panel = (const float *)((const char *)g->w + o / PANEL * g->panel);
        for (int i = 0; i < g->n; i++) {
            const float *w = panel;
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++) {
                const float *x = (const float *)g->x + x_at(g, i, tap, g->ldx);
                for (int c = 0; c < g->n_in; c++, w += PANEL)
                    for (int l = 0; l < PANEL; l++)
                        acc[l] += x[c] * w[l];
            }
            end(acc, g, i, o);
        }
    }
}

/* One tap of one row: acc += w x; returns where the next tap's weights are. */
static const uint16_t *tap_bf16(float acc[PANEL], const uint16_t *w, const uint16_t *x, int n_in)
{
    for (int c = 0; c < n_in; c += 2, w += 2 * PANEL) {
        float x0 = from_bf16(x[c]), x1 = from_bf16(x[c + 1]);
        for (int l = 0; l < PANEL; l++)
            acc[l] += x0 * from_bf16(w[2 * l]) + x1 * from_bf16(w[2 * l + 1]);
    }
    return w;
}

static void gemm_bf16_c(const struct m8__gemm *g)
{
    for (int o = 0; o < g->n_out; o += PANEL) {
        const uint16_t *panel = (const uint16_t *)((const char *)g->w + o / PANEL * g->panel);
        for (int i = 0; i < g->n; i++) {
            const uint16_t *w = panel;
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++)
                w = tap_bf16(acc, w, (const uint16_t *)g->x + x_at(g, i, tap, g->ldx), g->n_in);
            end(acc, g, i, o);
        }
    }
}

static void pairs_bf16_c(const struct m8__pairs *g)
{
    for (int o = 0; o < g->n_out; o += PANEL) {
        int n = g->n_out - o < PANEL ? g->n_out - o : PANEL;
        for (int i = 0; i < g->n; i++) {
            const uint16_t *w = (const uint16_t *)((const char *)g->w + o / PANEL * g->panel), *x[6];
            float even[PANEL] = {0}, odd[PANEL] = {0};
            for (int j = 0; j < 6; j++)
                x[j] = g->x[j] + i * g->ldx;
            memcpy(even, g->bias + o, n * sizeof *even);
            for (int j = 0; j < 2; j++) {
                float *acc = j ? odd : even;
                w = tap_bf16(acc, w, x[j], g->n_in);
                w = tap_bf16(acc, w, x[j] + g->apart, g->n_in);
            }
            for (int l = 0; l < PANEL; l++) {
                float b = even[l], c = odd[l];
                even[l] = b + c;
                odd[l] = b - c;
            }
            for (int j = 2; j < 4; j++) {
                float *acc = j == 3 ? odd : even;
                w = tap_bf16(acc, w, x[j], g->n_in);
                w = tap_bf16(acc, w, x[j] + g->apart, g->n_in);
            }
            tap_bf16(even, w, x[4], g->n_in);
            tap_bf16(odd, w, x[5], g->n_in);
            memcpy(g->even + i * g->ldy + o, even, n * sizeof *even);
            memcpy(g->odd + i * g->ldy + o, odd, n * sizeof *odd);
        }
    }
}

static int digits(const int8_t *q, const int8_t *q2, int i)
{
    return q2 ? 256 * q[i] + q2[i] : q[i];
}

/* A row of x at a tap. */
struct x_row {
    const int8_t *q, *q2;
    const float *d, *s;
    const int32_t *sum;
};

static struct x_row x_row(const struct m8__gemm *g, int i, int tap)
{
    const struct xq *x = g->x;
    ptrdiff_t q = x_at(g, i, tap, x->ldq), d = x_at(g, i, tap, x->ldd);
    return (struct x_row){x->q + q, x->q2 ? x->q2 + q : NULL, x->d + d, x->s + d, x->sum + 2 * d};
}

/* Codes of inputs from.. to.. of a block by x of block b. */
static void dots(int32_t dot[PANEL], uint8_t (*q)[PANEL][4], const struct x_row *x, int b, int from, int to)
{
    memset(dot, 0, PANEL * sizeof *dot);
    for (int j = from / 4; j < to / 4; j++)
        for (int l = 0; l < PANEL; l++)
            for (int k = 0; k < 4; k++)
                dot[l] += q[j][l][k] * digits(x->q, x->q2, b * QBLOCK + 4 * j + k);
}

static void block_q8(float acc[PANEL], const void *block, const struct x_row *x, int b)
{
    struct q8_block *w = (struct q8_block *)block + b;
    int32_t dot[PANEL], offset = 128 * (x->sum[2 * b] + x->sum[2 * b + 1]);
    dots(dot, w->q, x, b, 0, QBLOCK);
    for (int l = 0; l < PANEL; l++)
        acc[l] += (float)(dot[l] - offset) * (from_half(w->d[l]) * x->d[b]);
}

static void block_q6(float acc[PANEL], const void *block, const struct x_row *x, int b)
{
    struct q6_block *w = (struct q6_block *)block + b;
    for (int h = 0; h < 2; h++) {
        int32_t dot[PANEL], offset = 128 * x->sum[2 * b + h];
        dots(dot, w->q, x, b, h * QBLOCK / 2, (h + 1) * QBLOCK / 2);
        for (int l = 0; l < PANEL; l++)
            acc[l] += (float)(dot[l] - offset) * (from_half(w->d[l]) * (float)w->scale[h][l] * x->d[b]);
    }
}

static void block_q5(float acc[PANEL], const void *block, const struct x_row *x, int b)
{
    struct q5_block *w = (struct q5_block *)block + b;
    int32_t dot[PANEL];
    dots(dot, w->q, x, b, 0, QBLOCK);
    for (int l = 0; l < PANEL; l++) {
        acc[l] += (float)dot[l] * (from_half(w->d[l]) * x->d[b]);
        acc[l] += from_half(w->m[l]) * x->s[b];
    }
}

static void block_q4(float acc[PANEL], const void *block, const struct x_row *x, int b)
{
    struct q4_block *w = (struct q4_block *)block + b;
    uint8_t q[QBLOCK / 4][PANEL][4];
    int32_t dot[PANEL];
    for (int j = 0; j < QBLOCK / 8; j++)
        for (int l = 0; l < PANEL; l++)
            for (int k = 0; k < 4; k++) {
                q[j][l][k] = w->q[j][l][k] & 15;
                q[j + QBLOCK / 8][l][k] = w->q[j][l][k] >> 4;
            }
    dots(dot, q, x, b, 0, QBLOCK);
    for (int l = 0; l < PANEL; l++) {
        acc[l] += (float)dot[l] * (from_half(w->d[l]) * x->d[b]);
        acc[l] += from_half(w->m[l]) * x->s[b];
    }
}

static void gemm_blocks(const struct m8__gemm *g, void (*block)(float *, const void *, const struct x_row *, int), size_t size)
{
    int nb = g->n_in / QBLOCK;
    for (int o = 0; o < g->n_out; o += PANEL) {
        const char *panel = (const char *)g->w + o / PANEL * g->panel;
        for (int i = 0; i < g->n; i++) {
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++) {
                struct x_row x = x_row(g, i, tap);
                for (int b = 0; b < nb; b++)
                    block(acc, panel + (size_t)tap * nb * size, &x, b);
            }
            end(acc, g, i, o);
        }
    }
}

static void gemm_q8_c(const struct m8__gemm *g) { gemm_blocks(g, block_q8, sizeof(struct q8_block)); }
static void gemm_q6_c(const struct m8__gemm *g) { gemm_blocks(g, block_q6, sizeof(struct q6_block)); }
static void gemm_q5_c(const struct m8__gemm *g) { gemm_blocks(g, block_q5, sizeof(struct q5_block)); }
static void gemm_q4_c(const struct m8__gemm *g) { gemm_blocks(g, block_q4, sizeof(struct q4_block)); }

void m8__gemm_init(struct m8__kernels *k)
{
    k->gemm_f32 = gemm_f32_c;
    k->gemm_bf16 = gemm_bf16_c;
    k->pairs_bf16 = pairs_bf16_c;
    k->gemm_q8 = gemm_q8_c;
    k->gemm_q6 = gemm_q6_c;
    k->gemm_q5 = gemm_q5_c;
    k->gemm_q4 = gemm_q4_c;
}
