/* pairs_avx512bf16.c - pairs_bf16 by vdpbf16ps: a tile is R pairs by P panels, even and odd sums side by side in registers, so that
 * nothing is stored between the taps. Two panels' weights (at 768 inputs 442 KiB) stay in the second-level cache while the rows go by. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx512.h"

enum { MOST_R = 6, MOST_P = 2, AHEAD = 4096 /* bytes that the first rows prefetch */ };
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE __m512bh spread(const uint16_t *x)
{
    int pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* even += w x, odd += v y, over one tap's inputs */
INLINE void tap(const int R, const int P, const struct m8__pairs *g, __m512 (*even)[MOST_P], __m512 (*odd)[MOST_P], const char *w, const char *v,
                const uint16_t *x, const uint16_t *y, ptrdiff_t ahead)
{
    for (int c = 0; c < g->n_in; c += 2, w += 64, v += 64) {
        __m512bh wv[MOST_P], vv[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            wv[p] = (__m512bh)_mm512_loadu_si512(w + p * g->panel);
            vv[p] = (__m512bh)_mm512_loadu_si512(v + p * g->panel);
            _mm_prefetch(w + p * g->panel + ahead, _MM_HINT_T0);
            _mm_prefetch(v + p * g->panel + ahead, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++) {
            __m512bh xv = spread(x + r * g->ldx + c), yv = spread(y + r * g->ldx + c);
            UNROLL for (int p = 0; p < P; p++) {
                even[r][p] = _mm512_dpbf16_ps(even[r][p], wv[p], xv);
                odd[r][p] = _mm512_dpbf16_ps(odd[r][p], vv[p], yv);
            }
        }
    }
}

INLINE void tile(const int R, const int P, const struct m8__pairs *g, int i, int o, __mmask16 last)
{
    const ptrdiff_t step = (ptrdiff_t)g->n_in * 32, at = i * g->ldx, /* step: bytes of a tap's weights */
                    ahead = i ? 0 : AHEAD;
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    __m512 even[MOST_R][MOST_P], odd[MOST_R][MOST_P];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            even[r][p] = _mm512_maskz_loadu_ps(p == P - 1 ? last : 0xffff, g->bias + o + p * PANEL);
            odd[r][p] = _mm512_setzero_ps();
        }
    for (int t = 0; t < 2; t++)
        tap(R, P, g, even, odd, w + t * step, w + (2 + t) * step, g->x[0] + at + t * g->apart, g->x[1] + at + t * g->apart, ahead);
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            __m512 b = even[r][p], c = odd[r][p];
            even[r][p] = _mm512_add_ps(b, c);
            odd[r][p] = _mm512_sub_ps(b, c);
        }
    for (int t = 0; t < 2; t++)
        tap(R, P, g, even, odd, w + (4 + t) * step, w + (6 + t) * step, g->x[2] + at + t * g->apart, g->x[3] + at + t * g->apart, ahead);
    tap(R, P, g, even, odd, w + 8 * step, w + 8 * step, g->x[4] + at, g->x[5] + at, ahead);
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            ptrdiff_t to = (i + r) * g->ldy + o + p * PANEL;
            _mm512_mask_storeu_ps(g->even + to, p == P - 1 ? last : 0xffff, even[r][p]);
            _mm512_mask_storeu_ps(g->odd + to, p == P - 1 ? last : 0xffff, odd[r][p]);
        }
}

INLINE void rows(const int P, const struct m8__pairs *g, int o, __mmask16 last)
{
    int n = g->n, i = 0;
    for (; n - i >= MOST_R; i += MOST_R)
        tile(MOST_R, P, g, i, o, last);
    if (n - i >= 4)
        tile(4, P, g, i, o, last), i += 4;
    if (n - i >= 2)
        tile(2, P, g, i, o, last), i += 2;
    if (n - i >= 1)
        tile(1, P, g, i, o, last);
}

static void pairs_bf16_avx512bf16(const struct m8__pairs *g)
{
    for (int o = 0, panels; o < g->n_out; o += panels * PANEL) {
        panels = g->n_out - o > PANEL ? 2 : 1;
        int over = o + panels * PANEL - g->n_out;
        __mmask16 last = (__mmask16)(0xffff >> (over > 0 ? over : 0));
        if (panels == 2)
            rows(2, g, o, last);
        else
            rows(1, g, o, last);
    }
}

void m8__pairs_avx512bf16_init(struct m8__kernels *k)
{
    k->pairs_bf16 = pairs_bf16_avx512bf16;
}
