/* gemm_avx2.c - gemm_f32 and gemm_bf16 for AVX2 and FMA: a panel is two vectors of 8 outputs, a tile up to 5 rows of one panel.
 * A bfloat16 pair is multiplied as two floats, each a shifted half. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx2.h"

enum { MOST_R = 5, AHEAD = 1024 };

struct steps { /* as in tile_avx512.h: a step is 4 bytes of x and 64 bytes of the panel */
    const struct m8__gemm *g;
    int n;
    ptrdiff_t row, tap;
};

INLINE void tile(const int pairs, const int R, const struct steps *s, int i, int o)
{
    const struct m8__gemm *g = s->g;
    const __m256i high = _mm256_set1_epi32((int)0xffff0000);
    __m256 acc[MOST_R][2];
    begin(R, acc, g, i, o);
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    for (int t = 0; t < g->taps; t++) {
        const char *x = (const char *)g->x + i * s->row + t * s->tap;
        for (int k = 0; k < s->n; k++, x += 4, w += 64) {
            __m256 w0 = _mm256_loadu_ps((const float *)w), w1 = _mm256_loadu_ps((const float *)w + 8);
            if (R == 1)
                _mm_prefetch(w + AHEAD, _MM_HINT_T0);
            if (!pairs) {
                UNROLL for (int r = 0; r < R; r++) {
                    __m256 xv = _mm256_broadcast_ss((const float *)(x + r * s->row));
                    acc[r][0] = _mm256_fmadd_ps(w0, xv, acc[r][0]);
                    acc[r][1] = _mm256_fmadd_ps(w1, xv, acc[r][1]);
                }
                continue;
            }
            __m256i b0 = _mm256_castps_si256(w0), b1 = _mm256_castps_si256(w1);
            __m256 even0 = _mm256_castsi256_ps(_mm256_slli_epi32(b0, 16)), even1 = _mm256_castsi256_ps(_mm256_slli_epi32(b1, 16));
            __m256 odd0 = _mm256_castsi256_ps(_mm256_and_si256(b0, high)), odd1 = _mm256_castsi256_ps(_mm256_and_si256(b1, high));
            UNROLL for (int r = 0; r < R; r++) {
                __m256i both = broadcast4(x + r * s->row);
                __m256 xe = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16)), xo = _mm256_castsi256_ps(_mm256_and_si256(both, high));
                acc[r][0] = _mm256_fmadd_ps(odd0, xo, _mm256_fmadd_ps(even0, xe, acc[r][0]));
                acc[r][1] = _mm256_fmadd_ps(odd1, xo, _mm256_fmadd_ps(even1, xe, acc[r][1]));
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
    for (int o = 0; o < g->n_out; o += PANEL)
        for (int i = 0; i < g->n; i += MOST_R)
            switch (g->n - i) {
            case 1: tile(pairs, 1, &s, i, o); break;
            case 2: tile(pairs, 2, &s, i, o); break;
            case 3: tile(pairs, 3, &s, i, o); break;
            case 4: tile(pairs, 4, &s, i, o); break;
            default: tile(pairs, MOST_R, &s, i, o); break;
            }
}

static void gemm_f32_avx2(const struct m8__gemm *g)
{
    gemm(0, g);
}

static void gemm_bf16_avx2(const struct m8__gemm *g)
{
    gemm(1, g);
}

void m8__gemm_avx2_init(struct m8__kernels *k)
{
    k->gemm_f32 = gemm_f32_avx2;
    k->gemm_bf16 = gemm_bf16_avx2;
}

void m8__kernels_avx2(struct m8__kernels *k)
{
    k->name = "avx2";
    m8__gemm_avx2_init(k);
    m8__gemm_q_avx2_init(k);
    m8__quant_avx2_init(k);
    m8__vec_avx2_init(k);
    m8__norm_avx2_init(k);
}
