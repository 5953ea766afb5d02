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
    const int32_t *sum;     /* [n][R][2]; laid out for Q8 and Q6: 128 times them, the first the whole block's for Q8 */
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

/* Prefetching evenly over a call. */
struct ahead {
    const uint8_t *const *next, *const *end;
    const uint8_t *at; /* in the run at hand */
    ptrdiff_t left, bytes;
    int rate, due; /* lines a step, in 1/256 */
};

INLINE struct ahead ahead_of(const struct m8__soon *soon, int64_t steps)
{
    struct ahead a = {0};
    if (!soon || soon->n == 0 || steps == 0)
        return a;
    int64_t lines = soon->n * (int64_t)((soon->bytes + 63) / 64 + 1);
    a = (struct ahead){soon->at + 1, soon->at + soon->n, soon->at[0], (ptrdiff_t)soon->bytes, (ptrdiff_t)soon->bytes, 0, 0};
    a.rate = (int)(lines * 256 / steps) + 1;
    return a;
}

INLINE void prefetch(struct ahead *a)
{
    for (a->due += a->rate; a->due >= 256; a->due -= 256) {
        _mm_prefetch((const char *)a->at, _MM_HINT_T0);
        a->at += 64;
        a->left -= 64;
        if (a->left <= -64) { /* a run need not begin with a line: one more for its end */
            if (a->next == a->end) {
                a->rate = a->due = 0;
                return;
            }
            a->at = *a->next++;
            a->left = a->bytes;
        }
    }
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
        int offset = R > 1 ? sum[half] : 128 * (kind == Q6 ? sum[half] : sum[0] + sum[1]);
        dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(offset));
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
