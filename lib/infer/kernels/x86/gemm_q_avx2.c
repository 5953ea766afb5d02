/* gemm_q_avx2.c - gemm_q8 and gemm_q4 for AVX2: vpmaddubsw takes unsigned by signed bytes and adds pairs in 16 bits.
 *
 * For Q4 that is exact: 2 * 15 * 127 fits, and so do four of them, so two steps are added before they widen. For Q8 the stored byte
 * (0..255) could overflow, so the sign of q goes to x: |q| <= 128 times |x| <= 127 makes pairs of at most 32512.
 * Two digits of x are put together to 16 bits, and the weights widened: vpmaddwd is exact, too. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx2.h"

enum { MOST_R = 4, AHEAD = 2048 };

struct at { /* the first row of a tile at a tap */
    const int8_t *q, *q2;
    const float *d, *s;
    ptrdiff_t ldq, ldd; /* from row to row of y */
};

/* What follows is for eight outputs (half h of the panel) and all rows of the tile. One digit: */
INLINE void dots_q8(const int R, __m256i *dot, const struct q8_block *w, const struct at *x, int b, const int h)
{
    const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8((char)0x80);
    UNROLL for (int j = 0; j < QBLOCK / 4; j++) {
        __m256i wv = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)&w->q[j][8 * h]), flip), size = _mm256_abs_epi8(wv);
        UNROLL for (int r = 0; r < R; r++) {
            __m256i xv = _mm256_sign_epi8(broadcast4(x->q + r * x->ldq + b * QBLOCK + 4 * j), wv);
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(_mm256_maddubs_epi16(size, xv), ones));
        }
    }
}

INLINE void dots_q4(const int R, __m256i *dot, const struct q4_block *w, const struct at *x, int b, const int h)
{
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    UNROLL for (int j = 0; j < QBLOCK / 8; j++) {
        __m256i both = _mm256_loadu_si256((const __m256i *)&w->q[j][8 * h]);
        __m256i lo = _mm256_and_si256(both, nibble), hi = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
        UNROLL for (int r = 0; r < R; r++) {
            const int8_t *q = x->q + r * x->ldq + b * QBLOCK + 4 * j;
            __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(lo, broadcast4(q)), _mm256_maddubs_epi16(hi, broadcast4(q + QBLOCK / 2)));
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(sum, ones));
        }
    }
}

/* Signed weights of inputs 4j.. of a block */
INLINE __m256i weights(const int bits, const void *w, int j, const int h)
{
    if (bits == 8) {
        const struct q8_block *q8 = w;
        return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)&q8->q[j][8 * h]), _mm256_set1_epi8((char)0x80));
    }
    const struct q4_block *q4 = w;
    __m256i both = _mm256_loadu_si256((const __m256i *)&q4->q[j % 4][8 * h]);
    return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
}

/* Two digits */
INLINE void dots_wide(const int bits, const int R, __m256i *dot, const void *w, const struct at *x, int b, const int h)
{
    int16_t wide[MOST_R][QBLOCK];
    __m256i lo[MOST_R], hi[MOST_R]; /* each output's four products as two sums */
    UNROLL for (int r = 0; r < R; r++) {
        const int8_t *q = x->q + r * x->ldq + b * QBLOCK, *q2 = x->q2 + r * x->ldq + b * QBLOCK;
        UNROLL for (int i = 0; i < QBLOCK; i += 16) {
            __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q + i)));
            __m256i second = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q2 + i)));
            _mm256_storeu_si256((__m256i *)(wide[r] + i), _mm256_add_epi16(_mm256_slli_epi16(first, 8), second));
        }
        lo[r] = hi[r] = _mm256_setzero_si256();
    }
    UNROLL for (int j = 0; j < QBLOCK / 4; j++) {
        __m256i wv = weights(bits, w, j, h);
        __m256i w0 = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(wv)), w1 = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(wv, 1));
        UNROLL for (int r = 0; r < R; r++) {
            long long four;
            __builtin_memcpy(&four, wide[r] + 4 * j, sizeof four);
            __m256i xv = _mm256_set1_epi64x(four);
            lo[r] = _mm256_add_epi32(lo[r], _mm256_madd_epi16(w0, xv));
            hi[r] = _mm256_add_epi32(hi[r], _mm256_madd_epi16(w1, xv));
        }
    }
    UNROLL for (int r = 0; r < R; r++) /* hadd leaves outputs 0 1 4 5 2 3 6 7 */
        dot[r] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(lo[r], hi[r]), 0xd8);
}

INLINE void block_q8(const int R, __m256 (*acc)[2], const struct q8_block *w, const struct at *x, int b, const int h)
{
    __m256i dot[MOST_R];
    UNROLL for (int r = 0; r < R; r++)
        dot[r] = _mm256_setzero_si256();
    if (x->q2)
        dots_wide(8, R, dot, w, x, b, h);
    else
        dots_q8(R, dot, w, x, b, h);
    __m256 dw = _mm256_loadu_ps(w->d + 8 * h);
    UNROLL for (int r = 0; r < R; r++) {
        __m256 d = _mm256_mul_ps(dw, _mm256_broadcast_ss(x->d + r * x->ldd + b));
        acc[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r]), d, acc[r][h]);
    }
}

INLINE void block_q4(const int R, __m256 (*acc)[2], const struct q4_block *w, const struct at *x, int b, const int h)
{
    __m256i dot[MOST_R];
    UNROLL for (int r = 0; r < R; r++)
        dot[r] = _mm256_setzero_si256();
    if (x->q2)
        dots_wide(4, R, dot, w, x, b, h);
    else
        dots_q4(R, dot, w, x, b, h);
    __m256 dw = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(w->d + 8 * h)));
    __m256 mw = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(w->m + 8 * h)));
    UNROLL for (int r = 0; r < R; r++) {
        __m256 d = _mm256_mul_ps(dw, _mm256_broadcast_ss(x->d + r * x->ldd + b));
        acc[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r]), d, acc[r][h]);
        acc[r][h] = _mm256_fmadd_ps(mw, _mm256_broadcast_ss(x->s + r * x->ldd + b), acc[r][h]);
    }
}

INLINE void tile(const int bits, const int R, const struct m8__gemm *g, int i, int o)
{
    const size_t size = bits == 8 ? sizeof(struct q8_block) : sizeof(struct q4_block);
    const struct xq *x = g->x;
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    const int nb = g->n_in / QBLOCK;
    __m256 acc[MOST_R][2];
    begin(R, acc, g, i, o);
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        const struct at at = {x->q + row * x->ldq, x->q2 ? x->q2 + row * x->ldq : NULL, x->d + row * x->ldd, x->s + row * x->ldd,
                              g->stride * x->ldq, g->stride * x->ldd};
        for (int b = 0; b < nb; b++, w += size) {
            if (R == 1)
                for (size_t line = 0; line < size; line += 64)
                    _mm_prefetch(w + AHEAD + line, _MM_HINT_T0);
            if (bits == 8) {
                block_q8(R, acc, (const struct q8_block *)w, &at, b, 0);
                block_q8(R, acc, (const struct q8_block *)w, &at, b, 1);
            } else {
                block_q4(R, acc, (const struct q4_block *)w, &at, b, 0);
                block_q4(R, acc, (const struct q4_block *)w, &at, b, 1);
            }
        }
    }
    end(R, acc, g, i, o);
}

INLINE void gemm(const int bits, const struct m8__gemm *g)
{
    for (int o = 0; o < g->n_out; o += PANEL)
        for (int i = 0; i < g->n; i += MOST_R)
            switch (g->n - i) {
            case 1: tile(bits, 1, g, i, o); break;
            case 2: tile(bits, 2, g, i, o); break;
            case 3: tile(bits, 3, g, i, o); break;
            default: tile(bits, MOST_R, g, i, o); break;
            }
}

static void gemm_q8_avx2(const struct m8__gemm *g)
{
    gemm(8, g);
}

static void gemm_q4_avx2(const struct m8__gemm *g)
{
    gemm(4, g);
}

void m8__gemm_q_avx2_init(struct m8__kernels *k)
{
    k->gemm_q8 = gemm_q8_avx2;
    k->gemm_q4 = gemm_q4_avx2;
}
