/* math_avx512.h - exp, tanh and erf of 16 lanes, by the polynomials of vec.c. NaN goes through; nothing depends on a neighbour. */
#ifndef M8_MATH_AVX512_H
#define M8_MATH_AVX512_H

#include <immintrin.h>

#include "kernels/kernels.h"

#define ALL(c) _mm512_set1_ps(c)

/* Of lanes i.. of n: which there are. */
static inline __mmask16 lanes(int i, int n)
{
    return n - i < PANEL ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
}

/* p * x + c, for Horner's rule */
static inline __m512 step(__m512 p, __m512 x, float c)
{
    return _mm512_fmadd_ps(p, x, ALL(c));
}

static inline __m512 exp_v(__m512 x)
{
    x = _mm512_max_ps(ALL(-104), _mm512_min_ps(ALL(104), x)); /* the second operand is what NaN leaves */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, ALL(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, ALL(0.693359375f), x);
    r = _mm512_fmadd_ps(n, ALL(2.12194440e-4f), r);
    __m512 p = step(ALL(1.9875691500e-4f), r, 1.3981999507e-3f);
    p = step(p, r, 8.3334519073e-3f);
    p = step(p, r, 4.1665795894e-2f);
    p = step(p, r, 1.6666665459e-1f);
    p = step(p, r, 5.0000001201e-1f);
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
    return _mm512_scalef_ps(_mm512_add_ps(p, ALL(1)), n);
}

static inline __m512 with_sign(__m512 size, __m512 sign)
{
    return _mm512_or_ps(size, _mm512_and_ps(sign, ALL(-0.0f)));
}

static inline __m512 tanh_v(__m512 x)
{
    __m512 z = _mm512_mul_ps(x, x), a = _mm512_abs_ps(x);
    __m512 p = step(ALL(-5.70498872745e-3f), z, 2.06390887954e-2f);
    p = step(p, z, -5.37397155531e-2f);
    p = step(p, z, 1.33314422036e-1f);
    p = step(p, z, -3.33332819422e-1f);
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, z), x, x);
    __m512 big = _mm512_sub_ps(ALL(1), _mm512_div_ps(ALL(2), _mm512_add_ps(exp_v(_mm512_add_ps(a, a)), ALL(1))));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, ALL(0.625f), _CMP_LT_OQ), with_sign(big, x), p);
}

static inline __m512 sigmoid_v(__m512 x)
{
    return _mm512_div_ps(ALL(1), _mm512_add_ps(ALL(1), exp_v(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

static inline __m512 erf_v(__m512 x)
{
    __m512 a = _mm512_abs_ps(x), z = _mm512_mul_ps(x, x);
    __m512 p = step(ALL(-5.96761703e-4f), z, 4.99119423e-3f);
    p = step(p, z, -2.67681349e-2f);
    p = step(p, z, 1.12819925e-1f);
    p = step(p, z, -3.76125336e-1f);
    p = step(p, z, 1.28379166e-1f);
    p = _mm512_fmadd_ps(p, x, x);
    __m512 t = _mm512_min_ps(ALL(4), a), q = step(ALL(-1.72853470e-5f), t, 3.83197126e-4f); /* erf(4) is 1 in float */
    q = _mm512_fmadd_ps(q, _mm512_mul_ps(t, t), step(ALL(-3.88396438e-3f), t, 2.42546219e-2f));
    q = step(q, t, -1.06777877e-1f);
    q = step(q, t, -6.34846687e-1f);
    q = step(q, t, -1.28717512e-1f);
    q = _mm512_fmsub_ps(q, t, t);
    __m512 big = with_sign(_mm512_sub_ps(ALL(1), exp_v(q)), x);
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, ALL(0.927734375f), _CMP_LE_OQ), big, p);
}

/* x + by * sin(pi * freq * x)^2 */
static inline __m512 snake_v(__m512 x, __m512 freq, __m512 by)
{
    __m512 t = _mm512_mul_ps(freq, x);
    __m512 r = _mm512_sub_ps(t, _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    __m512 u = _mm512_mul_ps(r, r), p = step(ALL(-3.33621097f), u, 13.0371122f);
    p = step(p, u, -30.0985527f);
    p = step(p, u, 42.7269287f);
    p = step(p, u, -32.4696617f);
    p = step(p, u, 9.86960411f);
    return _mm512_fmadd_ps(_mm512_mul_ps(p, u), by, x);
}

#endif
