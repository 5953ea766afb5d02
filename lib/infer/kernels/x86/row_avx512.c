/* row_avx512.c - rows quantised and brought to one scale; sums in 16 lanes, as norm.c has them. */
#include <math.h>

#include "kernels/x86/avx512.h"
#include "kernels/x86/math_avx512.h"

static void to_bf16_avx512(uint16_t *dst, const float *src, int n)
{
    const __m512i one = _mm512_set1_epi32(1), most = _mm512_set1_epi32(0x7fff), quiet = _mm512_set1_epi32(0x400000);
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 f = _mm512_maskz_loadu_ps(m, src + i);
        __m512i u = _mm512_castps_si512(f), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), one);
        __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, most));
        r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(f, f, _CMP_UNORD_Q), u, quiet);
        _mm512_mask_cvtepi32_storeu_epi16(dst + i, m, _mm512_srli_epi32(r, 16));
    }
}

static void quant_row_avx512(int8_t *q, int8_t *q2, float *d, float *s, int32_t *sum, const float *x, int k)
{
    const __m512i size = _mm512_set1_epi32(0x7fffffff);
    const float most = q2 ? 127 * 256 : 127;
    for (int b = 0; b < k / QBLOCK; b++, q += QBLOCK, x += QBLOCK) {
        __m512 lo = _mm512_loadu_ps(x), hi = _mm512_loadu_ps(x + PANEL);
        __m512i a = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(lo), size), _mm512_and_si512(_mm512_castps_si512(hi), size));
        uint32_t top = _mm512_reduce_max_epu32(a);
        float max = _mm512_cvtss_f32(_mm512_castsi512_ps(_mm512_castsi128_si512(_mm_cvtsi32_si128((int)top))));
        int32_t first = 0, second = 0;
        if (max >= 0x1p-100f && top < 0x7f800000) {
            __m512 by = ALL(most / max);
            __m512i l = _mm512_cvtps_epi32(_mm512_mul_ps(lo, by)), h = _mm512_cvtps_epi32(_mm512_mul_ps(hi, by));
            first = _mm512_reduce_add_epi32(l);
            second = _mm512_reduce_add_epi32(h);
            if (q2) { /* the low byte, signed; adding 128 carries its sign into the first digit */
                _mm_storeu_si128((__m128i *)q2, _mm512_cvtepi32_epi8(l));
                _mm_storeu_si128((__m128i *)(q2 + PANEL), _mm512_cvtepi32_epi8(h));
                l = _mm512_srai_epi32(_mm512_add_epi32(l, _mm512_set1_epi32(128)), 8);
                h = _mm512_srai_epi32(_mm512_add_epi32(h, _mm512_set1_epi32(128)), 8);
            }
            _mm_storeu_si128((__m128i *)q, _mm512_cvtepi32_epi8(l));
            _mm_storeu_si128((__m128i *)(q + PANEL), _mm512_cvtepi32_epi8(h));
            d[b] = max / most;
        } else {
            _mm256_storeu_si256((__m256i *)q, _mm256_setzero_si256());
            if (q2)
                _mm256_storeu_si256((__m256i *)q2, _mm256_setzero_si256());
            d[b] = top < 0x7f800000 ? 0 : max;
        }
        sum[2 * b] = first;
        sum[2 * b + 1] = second;
        s[b] = d[b] * (float)(first + second);
        if (q2)
            q2 += QBLOCK;
    }
}

static float squares_of(const float *x, int n, float mean)
{
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < n; i += PANEL) {
        __m512 v = _mm512_maskz_sub_ps(lanes(i, n), _mm512_maskz_loadu_ps(lanes(i, n), x + i), ALL(mean));
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    return _mm512_reduce_add_ps(sum);
}

static void layer_norm_avx512(float *dst, const float *x, const float *gamma, const float *beta, int n, float eps)
{
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < n; i += PANEL)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(i, n), x + i));
    float mean = _mm512_reduce_add_ps(sum) / (float)n;
    __m512 by = ALL(1 / sqrtf(squares_of(x, n, mean) / (float)n + eps));
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), ALL(mean)), by);
        v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, gamma + i), _mm512_maskz_loadu_ps(m, beta + i));
        _mm512_mask_storeu_ps(dst + i, m, v);
    }
}

static void rms_norm_avx512(float *dst, const float *x, const float *w, int n, float eps)
{
    __m512 by = ALL(1 / sqrtf(squares_of(x, n, 0) / (float)n + eps));
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), by);
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(m, w + i)));
    }
}

void m8__row_avx512_init(struct m8__kernels *k)
{
    k->to_bf16 = to_bf16_avx512;
    k->quant_row = quant_row_avx512;
    k->layer_norm = layer_norm_avx512;
    k->rms_norm = rms_norm_avx512;
}
