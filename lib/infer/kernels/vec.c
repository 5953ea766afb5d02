/* vec.c - functions of each element, and softmax of a row.
 *
 * exp: 2^n * polynomial on [-ln 2 / 2, ln 2 / 2], relative error 1.2e-7; 0 below -87.3 (so -infinity gives 0), infinity above 88.7.
 * tanh: a polynomial below 0.625, else 1 - 2 / (exp(2x) + 1). erf: polynomials, absolute error 1.2e-7. sin(pi t)^2: t less its nearest
 * integer, then a polynomial of the square, relative error 1.4e-8; beyond 2^22 it is some number from 0 to 1. Where a loop has no branch the compiler makes it a vector loop. NaN goes through all of them. */
#include <math.h>

#include "kernels/c.h"
#include "kernels/kernels.h"

/* dst may be src, but never another part of it */
#ifdef __clang__
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH _Pragma("GCC ivdep")
#endif

static inline float exp_c(float x)
{
    float lo = x < -87.33654f ? -87.33654f : x, c = lo > 88.72283f ? 88.72283f : lo;
    float n = c * 1.44269504f + 0x1.8p23f; /* rounds to an integer in the low bits */
    int32_t e = (int32_t)(bits_of_float(n) - 0x4b400000u);
    n -= 0x1.8p23f;
    float r = c - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t half = e >> 1; /* in two steps, since 2^128 is no float */
    p *= float_of_bits((uint32_t)(half + 127) << 23);
    p *= float_of_bits((uint32_t)(e - half + 127) << 23);
    p = x < -87.33654f ? 0.0f : p;
    return x > 88.72283f ? HUGE_VALF : p;
}

static inline float tanh_c(float x)
{
    float z = x * x, p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    p = p * z * x + x;
    float a = fabsf(x), big = copysignf(1 - 2 / (exp_c(2 * a) + 1), x);
    return a < 0.625f ? p : big;
}

static inline float sigmoid_c(float x)
{
    return 1 / (1 + exp_c(-x));
}

static inline float erf_c(float x)
{
    float a = fabsf(x), z = x * x, p = -5.96761703e-4f;
    p = p * z + 4.99119423e-3f;
    p = p * z - 2.67681349e-2f;
    p = p * z + 1.12819925e-1f;
    p = p * z - 3.76125336e-1f;
    p = p * z + 1.28379166e-1f;
    p = p * x + x;
    float t = a > 4 ? 4 : a, q = -1.72853470e-5f * t + 3.83197126e-4f; /* erf(4) is 1 in float */
    q = q * t * t + (-3.88396438e-3f * t + 2.42546219e-2f);
    q = q * t - 1.06777877e-1f;
    q = q * t - 6.34846687e-1f;
    q = q * t - 1.28717512e-1f;
    q = q * t - t;
    float big = copysignf(1 - exp_c(q), x);
    return a <= 0.927734375f ? p : a > 4 ? copysignf(1, x) : a == a ? big : x;
}

static void gelu_c(float *dst, const float *src, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = 0.5f * src[i] * (1 + erf_c(src[i] * 0.70710678f));
}

static void gelu_tanh_c(float *dst, const float *src, int n)
{
    EACH for (int i = 0; i < n; i++) { /* x * (1 + tanh(u)) / 2 = x * sigmoid(2u) */
        float x = src[i], u = 0.79788456f * (x + 0.044715f * x * x * x);
        dst[i] = x * sigmoid_c(2 * u);
    }
}

static void silu_mul_c(float *dst, const float *gate, const float *up, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = gate[i] * sigmoid_c(gate[i]) * up[i];
}

static void tanh_sigmoid_c(float *dst, const float *a, const float *b, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = tanh_c(a[i]) * sigmoid_c(b[i]);
}

static void tanh_v_c(float *dst, const float *src, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = tanh_c(src[i]);
}

static void leaky_c(float *dst, const float *src, int n, float slope)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = src[i] < 0 ? slope * src[i] : src[i];
}

static void add_c(float *dst, const float *src, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] += src[i];
}

static void mix_bf16_c(uint16_t *dst, const float *a, const float *b, float by, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = round_bf16(a[i] + by * b[i]);
}

/* sin(pi t)^2 */
static inline float sin2_c(float t)
{
    float r = t - (t + 0x1.8p23f - 0x1.8p23f);
    r = r > 0.5f ? 0.5f : r; /* t is huge */
    r = r < -0.5f ? -0.5f : r;
    float u = r * r, p = -3.33621097f;
    p = p * u + 13.0371122f;
    p = p * u - 30.0985527f;
    p = p * u + 42.7269287f;
    p = p * u - 32.4696617f;
    p = p * u + 9.86960411f;
    return p * u;
}

static void snake_c(float *dst, const float *src, const float *freq, const float *by, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = src[i] + by[i] * sin2_c(freq[i] * src[i]);
}

static void snake_bf16_c(uint16_t *dst, const float *src, const float *freq, const float *by, int n)
{
    EACH for (int i = 0; i < n; i++)
        dst[i] = round_bf16(src[i] + by[i] * sin2_c(freq[i] * src[i]));
}

static float max_of(const float *x, int n)
{
    float lane[PANEL], max = -HUGE_VALF;
    int i = 0;
    for (int l = 0; l < PANEL; l++)
        lane[l] = max;
    for (; i + PANEL <= n; i += PANEL)
        for (int l = 0; l < PANEL; l++)
            lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (int l = 0; i + l < n; l++)
        lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (int l = 0; l < PANEL; l++)
        max = lane[l] > max ? lane[l] : max;
    return max;
}

static float sum_of(const float *x, int n)
{
    float lane[PANEL] = {0};
    int i = 0;
    for (; i + PANEL <= n; i += PANEL)
        for (int l = 0; l < PANEL; l++)
            lane[l] += x[i + l];
    for (int l = 0; i + l < n; l++)
        lane[l] += x[i + l];
    for (int half = PANEL / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* Entries of -infinity become 0; a row of nothing else becomes 0 altogether. The sum runs in 16 lanes, joined pairwise. */
static void softmax_c(float *x, int n, float scale)
{
    for (int i = 0; i < n; i++)
        x[i] *= scale;
    float max = max_of(x, n);
    if (max == -HUGE_VALF)
        max = 0; /* all are -infinity or NaN */
    for (int i = 0; i < n; i++)
        x[i] = exp_c(x[i] - max);
    float sum = sum_of(x, n), by = sum == 0 ? 0 : 1 / sum;
    for (int i = 0; i < n; i++)
        x[i] *= by;
}

void m8__vec_init(struct m8__kernels *k)
{
    k->softmax = softmax_c;
    k->gelu = gelu_c;
    k->gelu_tanh = gelu_tanh_c;
    k->silu_mul = silu_mul_c;
    k->tanh_sigmoid = tanh_sigmoid_c;
    k->tanh_v = tanh_v_c;
    k->leaky = leaky_c;
    k->add = add_c;
    k->mix_bf16 = mix_bf16_c;
    k->snake = snake_c;
    k->snake_bf16 = snake_bf16_c;
}
