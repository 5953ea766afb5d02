/* avx2.h - what the AVX2 files share: who fills which part of the table, and how a tile of sums begins and ends. */
#ifndef M8_KERNELS_AVX2_H
#define M8_KERNELS_AVX2_H

#include <immintrin.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

void m8__gemm_avx2_init(struct m8__kernels *k);
void m8__gemm_q_avx2_init(struct m8__kernels *k);
/* the plain C, compiled for AVX2 (c.h) */
void m8__quant_avx2_init(struct m8__kernels *k);
void m8__vec_avx2_init(struct m8__kernels *k);
void m8__norm_avx2_init(struct m8__kernels *k);

/* Of the 8 lanes from i of n: which there are, as a mask for loads and stores. */
INLINE __m256i lanes8(int i, int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - i), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256i broadcast4(const void *at)
{
    int v;
    __builtin_memcpy(&v, at, 4);
    return _mm256_set1_epi32(v);
}

INLINE void begin(const int R, __m256 (*acc)[2], const struct m8__gemm *g, int i, int o)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int h = 0; h < 2; h++) {
            __m256i m = lanes8(o + 8 * h, g->n_out);
            acc[r][h] = _mm256_setzero_ps();
            if (g->add)
                acc[r][h] = _mm256_maskload_ps(g->y + (i + r) * g->ldy + o + 8 * h, m);
            else if (g->bias)
                acc[r][h] = _mm256_maskload_ps(g->bias + o + 8 * h, m);
        }
}

INLINE void end(const int R, __m256 (*acc)[2], const struct m8__gemm *g, int i, int o)
{
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int h = 0; h < 2; h++)
            _mm256_maskstore_ps(g->y + (i + r) * g->ldy + o + 8 * h, lanes8(o + 8 * h, g->n_out), acc[r][h]);
}

#endif
