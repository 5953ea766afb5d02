/* tile_avx512.h - gemm_f32 and gemm_bf16 for AVX-512: one loop, made for each kind of product.
 *
 * A tile is R rows by P panels of sums in registers. At each step of k it loads P vectors of 16 weights and, for each row, spreads
 * one x over a vector; a float or a pair of bfloat16 is 4 bytes, a step's weights 64 bytes a panel, so both kinds have one geometry.
 * Groups of P panels are the outer loop, blocks of k the next, and row tiles the inner one, so that the weights of a group stay in
 * the second-level cache while the rows go by. Between blocks of k the sums wait in y, as floats, which changes no bit. */
#ifndef M8_TILE_AVX512_H
#define M8_TILE_AVX512_H

#include <immintrin.h>

#include "kernels/kernels.h"

enum { MOST_R = 14, MOST_P = 4 };
enum tile_kind { TILE_F32, TILE_BF16_DOT, TILE_BF16_FMA };
enum {
    TILE_STEPS = 2048, /* of k in a block: 4 panels of them are 512 KiB */
    FEW = 4,           /* rows that leave memory the limit */
    AHEAD = 1024,      /* bytes to prefetch then */
    FAR = 4096         /* and by the first of many rows: those after it find the weights in the cache */
};
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* The call in steps: one step is 4 bytes of x and 64 bytes of each panel. */
struct steps {
    const struct m8__gemm *g;
    int n; /* of one tap */
    ptrdiff_t row, tap; /* bytes of x from row to row of y, and from tap to tap */
};

INLINE __m512 product(enum tile_kind kind, __m512 acc, __m512 w, const char *x)
{
    if (kind == TILE_F32)
        return _mm512_fmadd_ps(w, _mm512_set1_ps(*(const float *)x), acc);
    __m512i pair = _mm512_set1_epi32(*(const int *)x);
#ifdef __AVX512BF16__
    if (kind == TILE_BF16_DOT)
        return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)pair);
#endif
    const __m512i high = _mm512_set1_epi32((int)0xffff0000);
    __m512i both = _mm512_castps_si512(w);
    acc = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)), acc);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(both, high)), _mm512_castsi512_ps(_mm512_and_si512(pair, high)), acc);
}

/* Steps k0..k1 of rows i..i+R-1 by the panels at outputs o..; `last` masks the last of them. */
INLINE void tile(enum tile_kind kind, const int R, const int P, const struct steps *s, int i, int o, __mmask16 last, int k0, int k1)
{
    const struct m8__gemm *g = s->g;
    float *y = g->y + i * g->ldy + o;
    __m512 acc[MOST_R][MOST_P]; /* what a tile does not use vanishes */
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            __mmask16 m = p == P - 1 ? last : 0xffff;
            acc[r][p] = _mm512_setzero_ps();
            if (k0 || g->add)
                acc[r][p] = _mm512_maskz_loadu_ps(m, y + r * g->ldy + p * PANEL);
            else if (g->bias)
                acc[r][p] = _mm512_maskz_loadu_ps(m, g->bias + o + p * PANEL);
        }
    const char *w = (const char *)g->w + o / PANEL * g->panel + (ptrdiff_t)k0 * 64;
    const ptrdiff_t ahead = i ? 0 : R <= FEW ? AHEAD : FAR;
    int t = k0 ? k0 / s->n : 0, c = k0 - t * s->n;
    for (int k = k0; k < k1; t++, c = 0) {
        const char *x = (const char *)g->x + i * s->row + t * s->tap + (ptrdiff_t)c * 4;
        int end = k1 - k < s->n - c ? k1 : k + s->n - c;
        for (; k < end; k++, x += 4, w += 64) {
            __m512 wv[MOST_P];
            UNROLL for (int p = 0; p < P; p++) {
                wv[p] = _mm512_loadu_ps(w + p * g->panel);
                _mm_prefetch(w + p * g->panel + ahead, _MM_HINT_T0);
            }
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int p = 0; p < P; p++)
                    acc[r][p] = product(kind, acc[r][p], wv[p], x + r * s->row);
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            _mm512_mask_storeu_ps(y + r * g->ldy + p * PANEL, p == P - 1 ? last : 0xffff, acc[r][p]);
}

/* All rows, by at most MOST at a time. Few sizes of tiles: each is code that somebody has to compile, in six builds. */
INLINE void rows(enum tile_kind kind, const int MOST, const int P, const struct steps *s, int o, __mmask16 last, int k0, int k1)
{
    int n = s->g->n, i = 0;
    for (; n - i >= MOST; i += MOST)
        tile(kind, MOST, P, s, i, o, last, k0, k1);
    if (MOST >= 12 && n - i >= 6)
        tile(kind, 6, P, s, i, o, last, k0, k1), i += 6;
    if (n - i >= 4)
        tile(kind, 4, P, s, i, o, last, k0, k1), i += 4;
    if (n - i >= 2)
        tile(kind, 2, P, s, i, o, last, k0, k1), i += 2;
    if (n - i >= 1)
        tile(kind, 1, P, s, i, o, last, k0, k1);
}

INLINE void gemm(enum tile_kind kind, const struct m8__gemm *g)
{
    const int size = kind == TILE_F32 ? 4 : 2;
    const struct steps s = {
        .g = g,
        .n = kind == TILE_F32 ? g->n_in : g->n_in / 2,
        .row = g->stride * g->ldx * size,
        .tap = g->dilation * g->ldx * size,
    };
    int all = s.n * g->taps;
    for (int o = 0, panels; o < g->n_out; o += panels * PANEL) {
        int left = (g->n_out - o + PANEL - 1) / PANEL;
        panels = left < 4 ? left : 4;
        int over = o + panels * PANEL - g->n_out;
        __mmask16 last = (__mmask16)(0xffff >> (over > 0 ? over : 0));
        int k = 0;
        do { /* also when there is nothing to sum: y is bias then */
            int end = all - k < TILE_STEPS + TILE_STEPS / 2 ? all : k + TILE_STEPS;
            if (panels == 4)
                rows(kind, 6, 4, &s, o, last, k, end);
            else if (panels == 3)
                rows(kind, 8, 3, &s, o, last, k, end);
            else if (panels == 2)
                rows(kind, 12, 2, &s, o, last, k, end);
            else
                rows(kind, 14, 1, &s, o, last, k, end);
            k = end;
        } while (k < all);
    }
}

#endif
