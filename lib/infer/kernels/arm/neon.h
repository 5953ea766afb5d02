/* neon.h - what the NEON files share: who fills which part of the table, and how a tile of sums begins and ends. */
#ifndef M8_KERNELS_NEON_H
#define M8_KERNELS_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
enum { MOST_R = 4, QUARTERS = 4 /* vectors of a panel */ };

void m8__gemm_neon_init(struct m8__kernels *k);
void m8__gemm_q_neon_init(struct m8__kernels *k);
void m8__gemm_q_dotprod_init(struct m8__kernels *k);

INLINE void begin(const int R, float32x4_t (*acc)[QUARTERS], const struct m8__gemm *g, int i, int o)
{
    int n = g->n_out - o < PANEL ? g->n_out - o : PANEL;
    UNROLL for (int r = 0; r < R; r++) {
        float at[PANEL] = {0};
        if (g->add)
            memcpy(at, g->y + (i + r) * g->ldy + o, n * sizeof *at);
        else if (g->bias)
            memcpy(at, g->bias + o, n * sizeof *at);
        UNROLL for (int h = 0; h < QUARTERS; h++)
            acc[r][h] = vld1q_f32(at + 4 * h);
    }
}

INLINE void end(const int R, float32x4_t (*acc)[QUARTERS], const struct m8__gemm *g, int i, int o)
{
    int n = g->n_out - o < PANEL ? g->n_out - o : PANEL;
    UNROLL for (int r = 0; r < R; r++) {
        float at[PANEL];
        UNROLL for (int h = 0; h < QUARTERS; h++)
            vst1q_f32(at + 4 * h, acc[r][h]);
        memcpy(g->y + (i + r) * g->ldy + o, at, n * sizeof *at);
    }
}

/* All panels, their rows by four: TILE(R, i, o) takes R rows from i. */
#define EACH_TILE(g, TILE)                                                                                               \
    for (int o = 0; o < (g)->n_out; o += PANEL)                                                                          \
        for (int i = 0; i < (g)->n; i += MOST_R)                                                                         \
            switch ((g)->n - i) {                                                                                        \
            case 1: TILE(1, i, o); break;                                                                                \
            case 2: TILE(2, i, o); break;                                                                                \
            case 3: TILE(3, i, o); break;                                                                                \
            default: TILE(4, i, o); break;                                                                               \
            }

#endif
