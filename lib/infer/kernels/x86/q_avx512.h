/* q_avx512.h - what products of int8 rows by quantised weights share: the rows of a tile laid out, and how the integer sum of a block
 * becomes a float and joins a row's sum. */
#ifndef M8_KERNELS_Q_AVX512_H
#define M8_KERNELS_Q_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
enum { MOST_R = 6, MOST_P = 2, FOURS = QBLOCK / 4 };

/* Kinds of panels, as constants of inlined functions. */
enum { Q4, Q5, Q6, Q8 };
#define BLOCK_SIZE(kind)                                                                                                 \
    ((kind) == Q4 ? sizeof(struct q4_block) : (kind) == Q5 ? sizeof(struct q5_block) : (kind) == Q6 ? sizeof(struct q6_block) : sizeof(struct q8_block))
#define HALVES(kind) ((kind) == Q6 ? 2 : 1) /* sums of a block that have scales of their own */

/* Some blocks of R rows of x, in the order in which a tile meets them: block by block, digit by digit, row by row. */
struct part {
    const int8_t *x;
    ptrdiff_t block, digit; /* from one to the next; rows are QBLOCK apart */
    const float *d, *s;     /* [n][R] */
    const int32_t *sum;     /* [n][R][2] */
    int n;                  /* blocks */
};

INLINE __m512i fours_of(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE __m512 halves_at(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* What a block of weights has beside its codes. */
struct scales {
    __m512 d, m;
};

INLINE struct scales scales_of(const int kind, const void *w, const int half)
{
    const struct q4_block *b = w; /* all kinds begin with d */
    struct scales s = {halves_at(b->d), _mm512_setzero_ps()};
    if (kind == Q4 || kind == Q5)
        s.m = halves_at(b->m);
    if (kind == Q6)
        s.d = _mm512_mul_ps(s.d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)((const struct q6_block *)w)->scale[half]))));
    return s;
}

/* The sum of a block (of its half) by row r's x joins the row's sum. */
INLINE __m512 join(const int kind, const int R, __m512 acc, __m512i dot, const struct scales *w, const struct part *x, int b, int r, const int half)
{
    if (kind == Q6 || kind == Q8) {
        const int32_t *sum = x->sum + 2 * (b * R + r);
        dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(128 * (kind == Q6 ? sum[half] : sum[0] + sum[1])));
    }
    acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(w->d, _mm512_set1_ps(x->d[b * R + r])), acc);
    if (kind == Q4 || kind == Q5)
        acc = _mm512_fmadd_ps(w->m, _mm512_set1_ps(x->s[b * R + r]), acc);
    return acc;
}

/* Sums begin with y (add), the bias or 0, for the outputs o.. of row i. */
INLINE __m512 sum_begins(const struct m8__gemm *g, int i, int o, int add)
{
    int over = o + PANEL - g->n_out;
    __mmask16 m = (__mmask16)(0xffff >> (over > 0 ? over : 0));
    if (add)
        return _mm512_maskz_loadu_ps(m, g->y + i * g->ldy + o);
    return g->bias ? _mm512_maskz_loadu_ps(m, g->bias + o) : _mm512_setzero_ps();
}

INLINE void sum_ends(const struct m8__gemm *g, int i, int o, __m512 acc)
{
    int over = o + PANEL - g->n_out;
    _mm512_mask_storeu_ps(g->y + i * g->ldy + o, (__mmask16)(0xffff >> (over > 0 ? over : 0)), acc);
}

#endif
