/* gemm_q_neon.c - gemm_q8 to gemm_q4 for NEON. Compiled twice: with M8_DOTPROD for processors that have sdot (4 outputs times 4
 * inputs at once), and without, where smull makes products of 16 bits and pairwise additions widen them; both are exact. */
#include "kernels/arm/neon.h"

enum { Q4, Q5, Q6, Q8 }; /* kinds of panels, as constants of inlined functions */
#define BLOCK_SIZE(kind)                                                                                                 \
    ((kind) == Q4 ? sizeof(struct q4_block) : (kind) == Q5 ? sizeof(struct q5_block) : (kind) == Q6 ? sizeof(struct q6_block) : sizeof(struct q8_block))

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

/* Codes of a byte each, of the fours of inputs from.. to.. of a block; those that are stored with 128 added become signed. */
INLINE void dots(const int kind, const int R, int32x4_t (*dot)[QUARTERS], const void *w, const int8_t *q, ptrdiff_t ldq, const int from, const int to)
{
    const uint8_t(*code)[PANEL][4] = (void *)((const char *)w + BLOCK_SIZE(kind) - 8 * 64);
    UNROLL for (int j = from; j < to; j++)
        UNROLL for (int h = 0; h < QUARTERS; h++) {
            int8x16_t wv = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(&code[j][4 * h][0]), vdupq_n_u8(kind == Q5 ? 0 : 0x80)));
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

INLINE float32x4_t halves_at(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

/* A block; of Q6 in two parts, whose scales differ. */
INLINE void block(const int kind, const int R, float32x4_t (*acc)[QUARTERS], const void *w, const struct at *x, int b)
{
    const struct q4_block *q4 = w; /* all kinds begin with d */
    const struct q6_block *q6 = w;
    const int parts = kind == Q6 ? 2 : 1, fours = QBLOCK / 4 / parts;
    for (int part = 0; part < parts; part++) {
        int32x4_t dot[MOST_R][QUARTERS];
        for (int digit = 0; digit < x->n_digits; digit++) {
            next_digit(R, dot, digit);
            if (kind == Q4)
                dots_q4(R, dot, q4, x->q[digit] + b * QBLOCK, x->ldq);
            else
                dots(kind, R, dot, w, x->q[digit] + b * QBLOCK, x->ldq, part * fours, (part + 1) * fours);
        }
        UNROLL for (int h = 0; h < QUARTERS; h++) {
            float32x4_t d = halves_at(q4->d + 4 * h), m = d;
            if (kind == Q6) {
                int8_t four[8] = {0};
                memcpy(four, q6->scale[part] + 4 * h, 4);
                d = vmulq_f32(d, vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(four))))));
            }
            if (kind == Q4 || kind == Q5)
                m = halves_at(q4->m + 4 * h);
            UNROLL for (int r = 0; r < R; r++) {
                acc[r][h] = vfmaq_f32(acc[r][h], vcvtq_f32_s32(dot[r][h]), vmulq_n_f32(d, x->d[r * x->ldd + b]));
                if (kind == Q4 || kind == Q5)
                    acc[r][h] = vfmaq_n_f32(acc[r][h], m, x->s[r * x->ldd + b]);
            }
        }
    }
}

INLINE void tile(const int kind, const int R, const struct m8__gemm *g, int i, int o)
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
            block(kind, R, acc, w, &at, b), w += BLOCK_SIZE(kind);
    }
    end(R, acc, g, i, o);
}

#define GEMM(name, kind)                                                                                                 \
    static void name(const struct m8__gemm *g)                                                                           \
    {                                                                                                                    \
        EACH_TILE(g, TILE_##kind)                                                                                        \
    }
#define TILE_Q8(R, i, o) tile(Q8, R, g, i, o)
#define TILE_Q6(R, i, o) tile(Q6, R, g, i, o)
#define TILE_Q5(R, i, o) tile(Q5, R, g, i, o)
#define TILE_Q4(R, i, o) tile(Q4, R, g, i, o)
GEMM(q8, Q8)
GEMM(q6, Q6)
GEMM(q5, Q5)
GEMM(q4, Q4)

#ifdef M8_DOTPROD
void m8__gemm_q_dotprod_init(struct m8__kernels *k)
#else
void m8__gemm_q_neon_init(struct m8__kernels *k)
#endif
{
    k->gemm_q8 = q8;
    k->gemm_q6 = q6;
    k->gemm_q5 = q5;
    k->gemm_q4 = q4;
}
