/* vec_avx512.c - functions of each element, and softmax: 16 lanes, the last ones masked. */
#include "kernels/x86/avx512.h"
#include "kernels/x86/math_avx512.h"

static void gelu_avx512(float *dst, const float *src, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i), half = _mm512_mul_ps(x, ALL(0.5f));
        __m512 e = _mm512_add_ps(erf_v(_mm512_mul_ps(x, ALL(0.70710678f))), ALL(1));
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mul_ps(half, e));
    }
}

static void gelu_tanh_avx512(float *dst, const float *src, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i), x3 = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
        __m512 u = _mm512_mul_ps(_mm512_fmadd_ps(x3, ALL(0.044715f), x), ALL(2 * 0.79788456f));
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mul_ps(x, sigmoid_v(u)));
    }
}

static void silu_mul_avx512(float *dst, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mul_ps(_mm512_mul_ps(g, sigmoid_v(g)), u));
    }
}

static void tanh_sigmoid_avx512(float *dst, const float *a, const float *b, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 t = tanh_v(_mm512_maskz_loadu_ps(m, a + i)), s = sigmoid_v(_mm512_maskz_loadu_ps(m, b + i));
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mul_ps(t, s));
    }
}

static void tanh_v_avx512(float *dst, const float *src, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        _mm512_mask_storeu_ps(dst + i, m, tanh_v(_mm512_maskz_loadu_ps(m, src + i)));
    }
}

static void leaky_avx512(float *dst, const float *src, int n, float slope)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i);
        __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
        _mm512_mask_storeu_ps(dst + i, m, _mm512_mask_mul_ps(x, below, x, ALL(slope)));
    }
}

static void add_avx512(float *dst, const float *src, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        _mm512_mask_storeu_ps(dst + i, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, dst + i), _mm512_maskz_loadu_ps(m, src + i)));
    }
}

static void snake_avx512(float *dst, const float *src, const float *freq, const float *by, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i);
        _mm512_mask_storeu_ps(dst + i, m, snake_v(x, _mm512_maskz_loadu_ps(m, freq + i), _mm512_maskz_loadu_ps(m, by + i)));
    }
}

/* As round_bf16 */
static inline __m256i bf16_v(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    rounded = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

static void snake_bf16_avx512(uint16_t *dst, const float *src, const float *freq, const float *by, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_maskz_loadu_ps(m, src + i);
        x = snake_v(x, _mm512_maskz_loadu_ps(m, freq + i), _mm512_maskz_loadu_ps(m, by + i));
        _mm256_mask_storeu_epi16(dst + i, m, bf16_v(x));
    }
}

static void mix_bf16_avx512(uint16_t *dst, const float *a, const float *b, float by, int n)
{
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 x = _mm512_fmadd_ps(ALL(by), _mm512_maskz_loadu_ps(m, b + i), _mm512_maskz_loadu_ps(m, a + i));
        _mm256_mask_storeu_epi16(dst + i, m, bf16_v(x));
    }
}

static void softmax_avx512(float *x, int n, float scale)
{
    const __m512 none = ALL(-__builtin_inff());
    __m512 by = ALL(scale), most = none, sum = _mm512_setzero_ps();
    for (int i = 0; i < n; i += PANEL) {
        __m512 v = _mm512_mask_mul_ps(none, lanes(i, n), _mm512_maskz_loadu_ps(lanes(i, n), x + i), by);
        most = _mm512_max_ps(v, most); /* NaN is passed over; the sum will have it */
    }
    float top = _mm512_reduce_max_ps(most);
    __m512 max = ALL(top == -__builtin_inff() ? 0 : top);
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        __m512 e = exp_v(_mm512_sub_ps(_mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), by), max));
        _mm512_mask_storeu_ps(x + i, m, e);
        sum = _mm512_mask_add_ps(sum, m, sum, e);
    }
    float total = _mm512_reduce_add_ps(sum);
    __m512 part = ALL(total == 0 ? 0 : 1 / total);
    for (int i = 0; i < n; i += PANEL) {
        __mmask16 m = lanes(i, n);
        _mm512_mask_storeu_ps(x + i, m, _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), part));
    }
}

void m8__vec_avx512_init(struct m8__kernels *k)
{
    k->softmax = softmax_avx512;
    k->gelu = gelu_avx512;
    k->gelu_tanh = gelu_tanh_avx512;
    k->silu_mul = silu_mul_avx512;
    k->tanh_sigmoid = tanh_sigmoid_avx512;
    k->tanh_v = tanh_v_avx512;
    k->leaky = leaky_avx512;
    k->add = add_avx512;
    k->mix_bf16 = mix_bf16_avx512;
    k->snake = snake_avx512;
    k->snake_bf16 = snake_bf16_avx512;
}
