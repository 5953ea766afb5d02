/* gemm_q_avx2.c - gemm_q8 and gemm_q4 for AVX2: vpmaddubsw takes unsigned by signed bytes and adds pairs in 16 bits.
 *
 * For Q4 that is exact: 2 * 15 * 127 fits, and so do four of them, so two steps are added before they widen. For Q8 the stored byte
 * (0..255) could overflow, so the sign of q goes to x: |q| <= 128 times |x| <= 127 makes pairs of at most 32512. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx2.h"

enum { MOST_R = 4, AHEAD = 2048 };

struct at { /* the first row of a tile at a tap */
    const int8_t *q;
    const float *d, *s;
    ptrdiff_t ldq, ldd; /* from row to row of y */
};

/* Eight outputs (half h of the panel), all rows of the tile. */
INLINE void block_q8(const int R, __m256 (*acc)[2], const struct q8_block *w, const struct at *x, int b, const int h)
{
    const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8((char)0x80);
    __m256i dot[MOST_R];
    UNROLL for (int r = 0; r < R; r++)
        dot[r] = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < QBLOCK / 4; j++) {
        __m256i wv = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)&w->q[j][8 * h]), flip), size = _mm256_abs_epi8(wv);
        UNROLL for (int r = 0; r < R; r++) {
            __m256i xv = _mm256_sign_epi8(broadcast4(x->q + r * x->ldq + b * QBLOCK + 4 * j), wv);
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(_mm256_maddubs_epi16(size, xv), ones));
        }
    }
    __m256 dw = _mm256_loadu_ps(w->d + 8 * h);
    UNROLL for (int r = 0; r < R; r++) {
        __m256 d = _mm256_mul_ps(dw, _mm256_broadcast_ss(x->d + r * x->ldd + b));
        acc[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r]), d, acc[r][h]);
    }
}

INLINE void block_q4(const int R, __m256 (*acc)[2], const struct q4_block *w, const struct at *x, int b, const int h)
{
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    __m256i dot[MOST_R];
    UNROLL for (int r = 0; r < R; r++)
        dot[r] = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < QBLOCK / 8; j++) {
        __m256i both = _mm256_loadu_si256((const __m256i *)&w->q[j][8 * h]);
        __m256i lo = _mm256_and_si256(both, nibble), hi = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
        UNROLL for (int r = 0; r < R; r++) {
            const int8_t *q = x->q + r * x->ldq + b * QBLOCK + 4 * j;
            __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(lo, broadcast4(q)), _mm256_maddubs_epi16(hi, broadcast4(q + QBLOCK / 2)));
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(sum, ones));
        }
    }
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
        const struct at at = {x->q + row * x->ldq, x->d + row * x->ldd, x->s + row * x->ldd, g->stride * x->ldq, g->stride * x->ldd};
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
