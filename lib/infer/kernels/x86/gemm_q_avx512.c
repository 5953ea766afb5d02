/* gemm_q_avx512.c - gemm_q8 and gemm_q4 by vpdpbusd: 16 outputs times 4 inputs, unsigned weights by signed x.
 *
 * A tile is R rows by P panels. For a block of 32 inputs each row and panel gets a sum in int32, exact in any order (with two
 * digits of x: 256 times the first one's, then the second one's on top). It becomes a float and enters the row's sum by one fused
 * multiply-add (Q4: a second one for m), block by block.
 * Few rows (decoding) are bound by memory: panels then stream by one after the other, prefetched; two streams were slower. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx512.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
enum {
    MOST_R = 12,
    MOST_P = 2,
    FEW = 4, /* rows that leave memory the limit */
    AHEAD = 4096 /* bytes to prefetch then */
};

INLINE __m512i x4(const int8_t *q) /* 4 bytes, in every lane */
{
    int v;
    __builtin_memcpy(&v, q, 4);
    return _mm512_set1_epi32(v);
}

INLINE void start(const int R, const int P, __m512 acc[MOST_R][MOST_P], const struct m8__gemm *g, int i, int o, __mmask16 last)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            __mmask16 m = p == P - 1 ? last : 0xffff;
            acc[r][p] = _mm512_setzero_ps();
            if (g->add)
                acc[r][p] = _mm512_maskz_loadu_ps(m, g->y + (i + r) * g->ldy + o + p * PANEL);
            else if (g->bias)
                acc[r][p] = _mm512_maskz_loadu_ps(m, g->bias + o + p * PANEL);
        }
}

INLINE void finish(const int R, const int P, const __m512 acc[MOST_R][MOST_P], const struct m8__gemm *g, int i, int o, __mmask16 last)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            _mm512_mask_storeu_ps(g->y + (i + r) * g->ldy + o + p * PANEL, p == P - 1 ? last : 0xffff, acc[r][p]);
}

/* Before each digit's products: 256 times what the one before it gave. */
INLINE void next_digit(const int R, const int P, __m512i dot[MOST_R][MOST_P], int digit)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            dot[r][p] = digit ? _mm512_slli_epi32(dot[r][p], 8) : _mm512_setzero_si512();
}

/* Adds a block's products; q is the first row's block, ldq from row to row. */
INLINE void dots_q8(const int R, const int P, __m512i dot[MOST_R][MOST_P], const int8_t *q, ptrdiff_t ldq, const char *w, size_t panel)
{
    UNROLL for (int j = 0; j < QBLOCK / 4; j++) {
        __m512i wv[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const struct q8_block *at = (const struct q8_block *)(w + p * panel);
            wv[p] = _mm512_loadu_si512(at->q[j]);
            if (R <= FEW)
                _mm_prefetch((const char *)at->q[j] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++) {
            __m512i xv = x4(q + r * ldq + 4 * j);
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], wv[p], xv);
        }
    }
}

INLINE void dots_q4(const int R, const int P, __m512i dot[MOST_R][MOST_P], const int8_t *q, ptrdiff_t ldq, const char *w, size_t panel)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    UNROLL for (int j = 0; j < QBLOCK / 8; j++) {
        __m512i lo[MOST_P], hi[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const struct q4_block *at = (const struct q4_block *)(w + p * panel);
            __m512i both = _mm512_loadu_si512(at->q[j]);
            lo[p] = _mm512_and_si512(both, nibble);
            hi[p] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            if (R <= FEW)
                _mm_prefetch((const char *)at->q[j] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++) {
            __m512i xl = x4(q + r * ldq + 4 * j), xh = x4(q + r * ldq + QBLOCK / 2 + 4 * j);
            UNROLL for (int p = 0; p < P; p++) {
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], lo[p], xl);
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], hi[p], xh);
            }
        }
    }
}

/* All blocks of one tap; `step` counts rows of x from row to row of y. */
INLINE void sum_q8(const int n_digits, const int R, const int P, __m512 acc[MOST_R][MOST_P], const struct xq *x, ptrdiff_t row, ptrdiff_t step, const char *w,
                   size_t panel, int nb)
{
    const int8_t *const q[] = {x->q + row * x->ldq, x->q2 ? x->q2 + row * x->ldq : NULL};
    const float *d = x->d + row * x->ldd;
    const int32_t *sum = x->sum + row * x->ldd;
    for (int b = 0; b < nb; b++, w += sizeof(struct q8_block)) {
        __m512i dot[MOST_R][MOST_P];
        UNROLL for (int digit = 0; digit < n_digits; digit++) {
            next_digit(R, P, dot, digit);
            dots_q8(R, P, dot, q[digit] + b * QBLOCK, step * x->ldq, w, panel);
        }
        __m512 dw[MOST_P];
        UNROLL for (int p = 0; p < P; p++)
            dw[p] = _mm512_loadu_ps(((const struct q8_block *)(w + p * panel))->d);
        UNROLL for (int r = 0; r < R; r++) {
            __m512i offset = _mm512_slli_epi32(_mm512_set1_epi32(sum[r * step * x->ldd + b]), 7);
            __m512 dx = _mm512_set1_ps(d[r * step * x->ldd + b]);
            UNROLL for (int p = 0; p < P; p++)
                acc[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(dot[r][p], offset)), _mm512_mul_ps(dw[p], dx), acc[r][p]);
        }
    }
}

INLINE void sum_q4(const int n_digits, const int R, const int P, __m512 acc[MOST_R][MOST_P], const struct xq *x, ptrdiff_t row, ptrdiff_t step, const char *w,
                   size_t panel, int nb)
{
    const int8_t *const q[] = {x->q + row * x->ldq, x->q2 ? x->q2 + row * x->ldq : NULL};
    const float *d = x->d + row * x->ldd, *s = x->s + row * x->ldd;
    for (int b = 0; b < nb; b++, w += sizeof(struct q4_block)) {
        __m512i dot[MOST_R][MOST_P];
        UNROLL for (int digit = 0; digit < n_digits; digit++) {
            next_digit(R, P, dot, digit);
            dots_q4(R, P, dot, q[digit] + b * QBLOCK, step * x->ldq, w, panel);
        }
        __m512 dw[MOST_P], mw[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const struct q4_block *at = (const struct q4_block *)(w + p * panel);
            dw[p] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at->d));
            mw[p] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at->m));
        }
        UNROLL for (int r = 0; r < R; r++) {
            __m512 dx = _mm512_set1_ps(d[r * step * x->ldd + b]), sx = _mm512_set1_ps(s[r * step * x->ldd + b]);
            UNROLL for (int p = 0; p < P; p++) {
                acc[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][p]), _mm512_mul_ps(dw[p], dx), acc[r][p]);
                acc[r][p] = _mm512_fmadd_ps(mw[p], sx, acc[r][p]);
            }
        }
    }
}

INLINE void tile(const int bits, const int R, const int P, const struct m8__gemm *g, int i, int o, __mmask16 last)
{
    const struct xq *x = g->x;
    const int nb = g->n_in / QBLOCK;
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    __m512 acc[MOST_R][MOST_P];
    start(R, P, acc, g, i, o, last);
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        if (bits == 8 && x->q2)
            sum_q8(2, R, P, acc, x, row, g->stride, w, g->panel, nb);
        else if (bits == 8)
            sum_q8(1, R, P, acc, x, row, g->stride, w, g->panel, nb);
        else if (x->q2)
            sum_q4(2, R, P, acc, x, row, g->stride, w, g->panel, nb);
        else
            sum_q4(1, R, P, acc, x, row, g->stride, w, g->panel, nb);
        w += nb * (bits == 8 ? sizeof(struct q8_block) : sizeof(struct q4_block));
    }
    finish(R, P, acc, g, i, o, last);
}

/* Few sizes of tiles, as in tile_avx512.h. */
INLINE void rows(const int bits, const int MOST, const int P, const struct m8__gemm *g, int o, __mmask16 last)
{
    int n = g->n, i = 0;
    for (; n - i >= MOST; i += MOST)
        tile(bits, MOST, P, g, i, o, last);
    if (MOST >= 12 && n - i >= 6)
        tile(bits, 6, P, g, i, o, last), i += 6;
    if (n - i >= 4)
        tile(bits, 4, P, g, i, o, last), i += 4;
    if (n - i >= 2)
        tile(bits, 2, P, g, i, o, last), i += 2;
    if (n - i >= 1)
        tile(bits, 1, P, g, i, o, last);
}

INLINE void gemm(const int bits, const struct m8__gemm *g)
{
    for (int o = 0, panels; o < g->n_out; o += panels * PANEL) {
        panels = g->n > FEW && g->n_out - o > PANEL ? 2 : 1;
        int over = o + panels * PANEL - g->n_out;
        __mmask16 last = (__mmask16)(0xffff >> (over > 0 ? over : 0));
        if (panels == 2)
            rows(bits, 6, 2, g, o, last);
        else
            rows(bits, 12, 1, g, o, last);
    }
}

static void gemm_q8_avx512(const struct m8__gemm *g)
{
    gemm(8, g);
}

static void gemm_q4_avx512(const struct m8__gemm *g)
{
    gemm(4, g);
}

void m8__gemm_q_avx512_init(struct m8__kernels *k)
{
    k->gemm_q8 = gemm_q8_avx512;
    k->gemm_q4 = gemm_q4_avx512;
}
