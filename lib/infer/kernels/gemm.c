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

static void gemm_bf16_c(const struct m8__gemm *g)
{
    for (int o = 0; o < g->n_out; o += PANEL) {
        const uint16_t *panel = (const uint16_t *)((const char *)g->w + o / PANEL * g->panel);
        for (int i = 0; i < g->n; i++) {
            const uint16_t *w = panel;
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++) {
                const uint16_t *x = (const uint16_t *)g->x + x_at(g, i, tap, g->ldx);
                for (int c = 0; c < g->n_in; c += 2, w += 2 * PANEL) {
                    float x0 = from_bf16(x[c]), x1 = from_bf16(x[c + 1]);
                    for (int l = 0; l < PANEL; l++)
                        acc[l] += x0 * from_bf16(w[2 * l]) + x1 * from_bf16(w[2 * l + 1]);
                }
            }
            end(acc, g, i, o);
        }
    }
}

static int digits(const int8_t *q, const int8_t *q2, int i)
{
    return q2 ? 256 * q[i] + q2[i] : q[i];
}

static void gemm_q8_c(const struct m8__gemm *g)
{
    const struct xq *x = g->x;
    int nb = g->n_in / QBLOCK;
    for (int o = 0; o < g->n_out; o += PANEL) {
        const struct q8_block *panel = (const struct q8_block *)((const char *)g->w + o / PANEL * g->panel);
        for (int i = 0; i < g->n; i++) {
            const struct q8_block *w = panel;
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++) {
                const int8_t *q = x->q + x_at(g, i, tap, x->ldq), *q2 = x->q2 ? x->q2 + x_at(g, i, tap, x->ldq) : NULL;
                const float *d = x->d + x_at(g, i, tap, x->ldd);
                const int32_t *sum = x->sum + x_at(g, i, tap, x->ldd);
                for (int b = 0; b < nb; b++, w++) {
                    int32_t dot[PANEL] = {0};
                    for (int j = 0; j < QBLOCK / 4; j++)
                        for (int l = 0; l < PANEL; l++)
                            for (int k = 0; k < 4; k++)
                                dot[l] += w->q[j][l][k] * digits(q, q2, b * QBLOCK + 4 * j + k);
                    for (int l = 0; l < PANEL; l++)
                        acc[l] += (float)(dot[l] - 128 * sum[b]) * (w->d[l] * d[b]);
                }
            }
            end(acc, g, i, o);
        }
    }
}

static void gemm_q4_c(const struct m8__gemm *g)
{
    const struct xq *x = g->x;
    int nb = g->n_in / QBLOCK;
    for (int o = 0; o < g->n_out; o += PANEL) {
        const struct q4_block *panel = (const struct q4_block *)((const char *)g->w + o / PANEL * g->panel);
        for (int i = 0; i < g->n; i++) {
            const struct q4_block *w = panel;
            float acc[PANEL];
            begin(acc, g, i, o);
            for (int tap = 0; tap < g->taps; tap++) {
                const int8_t *q = x->q + x_at(g, i, tap, x->ldq), *q2 = x->q2 ? x->q2 + x_at(g, i, tap, x->ldq) : NULL;
                const float *d = x->d + x_at(g, i, tap, x->ldd);
                const float *s = x->s + x_at(g, i, tap, x->ldd);
                for (int b = 0; b < nb; b++, w++) {
                    int32_t dot[PANEL] = {0};
                    for (int j = 0; j < QBLOCK / 8; j++)
                        for (int l = 0; l < PANEL; l++)
                            for (int k = 0; k < 4; k++)
                                dot[l] += (w->q[j][l][k] & 15) * digits(q, q2, b * QBLOCK + 4 * j + k) +
                                          (w->q[j][l][k] >> 4) * digits(q, q2, b * QBLOCK + QBLOCK / 2 + 4 * j + k);
                    for (int l = 0; l < PANEL; l++) {
                        acc[l] += (float)dot[l] * (from_half(w->d[l]) * d[b]);
                        acc[l] += from_half(w->m[l]) * s[b];
                    }
                }
            }
            end(acc, g, i, o);
        }
    }
}

void m8__gemm_init(struct m8__kernels *k)
{
    k->gemm_f32 = gemm_f32_c;
    k->gemm_bf16 = gemm_bf16_c;
    k->gemm_q8 = gemm_q8_c;
    k->gemm_q4 = gemm_q4_c;
}
