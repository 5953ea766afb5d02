/* gemm_avx512bf16.c - gemm_bf16 by vdpbf16ps: two products and their sum at once. It takes denormals as zero and rounds the sum of the
 * pair in its own way, within the check's tolerance. */
#include "kernels/x86/tile_avx512.h"
#include "kernels/x86/avx512.h"
#include "kernels/x86/math_avx512.h"

static void gemm_bf16_avx512bf16(const struct m8__gemm *g)
{
    gemm(TILE_BF16_DOT, g);
}

static void to_bf16_avx512bf16(uint16_t *dst, const float *src, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = n - i < PANEL ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        _mm256_mask_storeu_epi16(dst + i, m, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, src + i)));
    }
}

static void snake_bf16_avx512bf16(uint16_t *dst, const float *src, const float *freq, const float *by, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i);
        x = snake_v(x, _mm512_maskz_loadu_ps(m, freq + i), _mm512_maskz_loadu_ps(m, by + i));
        _mm256_mask_storeu_epi16(dst + i, m, (__m256i)_mm512_cvtneps_pbh(x));
    }
}

static void mix_bf16_avx512bf16(uint16_t *dst, const float *a, const float *b, float by, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_fmadd_ps(ALL(by), _mm512_maskz_loadu_ps(m, b + i), _mm512_maskz_loadu_ps(m, a + i));
        _mm256_mask_storeu_epi16(dst + i, m, (__m256i)_mm512_cvtneps_pbh(x));
    }
}

void m8__gemm_avx512bf16_init(struct m8__kernels *k)
{
    k->gemm_bf16 = gemm_bf16_avx512bf16;
    m8__pairs_avx512bf16_init(k);
    k->to_bf16 = to_bf16_avx512bf16;
    k->mix_bf16 = mix_bf16_avx512bf16;
    k->snake_bf16 = snake_bf16_avx512bf16;
}
