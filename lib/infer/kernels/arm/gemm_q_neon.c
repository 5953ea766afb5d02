/* gemm_q_neon.c - gemm_q8 and gemm_q4 for NEON. Compiled twice: with M8_DOTPROD for processors that have sdot (4 outputs times 4
 * inputs at once), and without, where smull makes products of 16 bits and pairwise additions widen them; both are exact. */
#include "kernels/arm/neon.h"

/* sum + w (4 outputs x 4 inputs) times 4 bytes of x, which every quarter of xv holds */
INLINE int32x4_t dot4(int32x4_t sum, int8x16_t w, int8x16_t xv)
{
#ifdef M8_DOTPROD
    return vdotq_s32(sum, w, xv);
#else
    int32x4_t lo = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(xv)));
    int32x4_t hi = vpaddlq_s16(vmull_high_s8(w, xv));
    return vaddq_s32(sum, vpaddq_s32(lo, hi));
#endif
}

INLINE int8x16_t x4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

struct at { /* the first row of a tile at a tap */
    const int8_t *q[2]; /* the digits */
    int n_digits;
    const float *d, *s;
    ptrdiff_t ldq, ldd; /* from row to row of y */
};

/* Before each digit's products: 256 times what the one before it gave. */
INLINE void next_digit(const int R, int32x4_t (*dot)[QUARTERS], int digit)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int h = 0; h < QUARTERS; h++)
            dot[r][h] = digit ? vshlq_n_s32(dot[r][h], 8) : vdupq_n_s32(0);
}

INLINE void dots_q8(const int R, int32x4_t (*dot)[QUARTERS], const struct q8_block *w, const int8_t *q, ptrdiff_t ldq)
{
    UNROLL for (int j = 0; j < QBLOCK / 4; j++)
        UNROLL for (int h = 0; h < QUARTERS; h++) {
            int8x16_t wv = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(&w->q[j][4 * h][0]), vdupq_n_u8(0x80)));
            UNROLL for (int r = 0; r < R; r++)
                dot[r][h] = dot4(dot[r][h], wv, x4(q + r * ldq + 4 * j));
        }
}

INLINE void dots_q4(const int R, int32x4_t (*dot)[QUARTERS], const struct q4_block *w, const int8_t *q, ptrdiff_t ldq)
{
    UNROLL for (int j = 0; j < QBLOCK / 8; j++)
        UNROLL for (int h = 0; h < QUARTERS; h++) {
            uint8x16_t both = vld1q_u8(&w->q[j][4 * h][0]);
            int8x16_t lo = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))), hi = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
            UNROLL for (int r = 0; r < R; r++) {
                const int8_t *at = q + r * ldq + 4 * j;
                dot[r][h] = dot4(dot4(dot[r][h], lo, x4(at)), hi, x4(at + QBLOCK / 2));
            }
        }
}

INLINE void block_q8(const int R, float32x4_t (*acc)[QUARTERS], const struct q8_block *w, const struct at *x, int b)
{
    int32x4_t dot[MOST_R][QUARTERS];
    for (int digit = 0; digit < x->n_digits; digit++) {
        next_digit(R, dot, digit);
        dots_q8(R, dot, w, x->q[digit] + b * QBLOCK, x->ldq);
    }
    UNROLL for (int h = 0; h < QUARTERS; h++) {
        float32x4_t d = vld1q_f32(w->d + 4 * h);
        UNROLL for (int r = 0; r < R; r++)
            acc[r][h] = vfmaq_f32(acc[r][h], vcvtq_f32_s32(dot[r][h]), vmulq_n_f32(d, x->d[r * x->ldd + b]));
    }
}

INLINE void block_q4(const int R, float32x4_t (*acc)[QUARTERS], const struct q4_block *w, const struct at *x, int b)
{
    int32x4_t dot[MOST_R][QUARTERS];
    for (int digit = 0; digit < x->n_digits; digit++) {
        next_digit(R, dot, digit);
        dots_q4(R, dot, w, x->q[digit] + b * QBLOCK, x->ldq);
    }
    UNROLL for (int h = 0; h < QUARTERS; h++) {
        float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(w->d + 4 * h)));
        float32x4_t m = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(w->m + 4 * h)));
        UNROLL for (int r = 0; r < R; r++) {
            acc[r][h] = vfmaq_f32(acc[r][h], vcvtq_f32_s32(dot[r][h]), vmulq_n_f32(d, x->d[r * x->ldd + b]));
            acc[r][h] = vfmaq_n_f32(acc[r][h], m, x->s[r * x->ldd + b]);
        }
    }
}

INLINE void tile(const int bits, const int R, const struct m8__gemm *g, int i, int o)
{
    const struct xq *x = g->x;
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    const int nb = g->n_in / QBLOCK;
    float32x4_t acc[MOST_R][QUARTERS];
    begin(R, acc, g, i, o);
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        const struct at at = {{x->q + row * x->ldq, x->q2 ? x->q2 + row * x->ldq : NULL}, x->q2 ? 2 : 1, x->d + row * x->ldd,
                              x->s + row * x->ldd, g->stride * x->ldq, g->stride * x->ldd};
        for (int b = 0; b < nb; b++)
            if (bits == 8) {
                block_q8(R, acc, (const struct q8_block *)w, &at, b);
                w += sizeof(struct q8_block);
            } else {
                block_q4(R, acc, (const struct q4_block *)w, &at, b);
                w += sizeof(struct q4_block);
            }
    }
    end(R, acc, g, i, o);
}

static void q8(const struct m8__gemm *g)
{
#define TILE(R, i, o) tile(8, R, g, i, o)
    EACH_TILE(g, TILE)
#undef TILE
}

static void q4(const struct m8__gemm *g)
{
#define TILE(R, i, o) tile(4, R, g, i, o)
    EACH_TILE(g, TILE)
#undef TILE
}

#ifdef M8_DOTPROD
void m8__gemm_q_dotprod_init(struct m8__kernels *k)
#else
void m8__gemm_q_neon_init(struct m8__kernels *k)
#endif
{
    k->gemm_q8 = q8;
    k->gemm_q4 = q4;
}
