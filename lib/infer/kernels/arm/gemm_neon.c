/* gemm_neon.c - gemm_f32 and gemm_bf16 for NEON: a panel is four vectors of 4 outputs, a tile up to 4 rows of one panel. A bfloat16
 * pair is multiplied as two floats, each a shifted half. Functions of elements and rows stay in plain C: NEON is what every compiler
 * for this processor makes of it. */
#include "kernels/arm/neon.h"
#include "kernels/c.h"

struct steps { /* one step is 4 bytes of x and 64 bytes of the panel */
    const struct m8__gemm *g;
    int n;
    ptrdiff_t row, tap; /* bytes of x from row to row of y, and from tap to tap */
};

INLINE void tile(const int pairs, const int R, const struct steps *s, int i, int o)
{
    const struct m8__gemm *g = s->g;
    const uint32x4_t high = vdupq_n_u32(0xffff0000);
    float32x4_t acc[MOST_R][QUARTERS];
    begin(R, acc, g, i, o);
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    for (int t = 0; t < g->taps; t++) {
        const char *x = (const char *)g->x + i * s->row + t * s->tap;
        for (int k = 0; k < s->n; k++, x += 4, w += 64) {
            float even[MOST_R], odd[MOST_R];
            UNROLL for (int r = 0; r < R; r++) {
                uint32_t u;
                memcpy(&u, x + r * s->row, sizeof u);
                even[r] = float_of_bits(pairs ? u << 16 : u);
                odd[r] = float_of_bits(u & 0xffff0000);
            }
            UNROLL for (int h = 0; h < QUARTERS; h++) {
                uint32x4_t both = vld1q_u32((const uint32_t *)w + 4 * h);
                float32x4_t w0 = vreinterpretq_f32_u32(pairs ? vshlq_n_u32(both, 16) : both);
                float32x4_t w1 = vreinterpretq_f32_u32(vandq_u32(both, high));
                UNROLL for (int r = 0; r < R; r++) {
                    acc[r][h] = vfmaq_n_f32(acc[r][h], w0, even[r]);
                    if (pairs)
                        acc[r][h] = vfmaq_n_f32(acc[r][h], w1, odd[r]);
                }
            }
        }
    }
    end(R, acc, g, i, o);
}

INLINE void gemm(const int pairs, const struct m8__gemm *g)
{
    const int size = pairs ? 2 : 4;
    const struct steps s = {
        .g = g,
        .n = pairs ? g->n_in / 2 : g->n_in,
        .row = g->stride * g->ldx * size,
        .tap = g->dilation * g->ldx * size,
    };
#define TILE(R, i, o) tile(pairs, R, &s, i, o)
    EACH_TILE(g, TILE)
#undef TILE
}

static void gemm_f32_neon(const struct m8__gemm *g)
{
    gemm(0, g);
}

static void gemm_bf16_neon(const struct m8__gemm *g)
{
    gemm(1, g);
}

void m8__gemm_neon_init(struct m8__kernels *k)
{
    k->gemm_f32 = gemm_f32_neon;
    k->gemm_bf16 = gemm_bf16_neon;
}

void m8__kernels_neon(struct m8__kernels *k, int cpu_flags)
{
    k->name = "neon";
    m8__gemm_neon_init(k);
    m8__gemm_q_neon_init(k);
    if (cpu_flags & M8_CPU_DOTPROD)
        m8__gemm_q_dotprod_init(k);
}
