/* Floats to blocks (layouts: dequant.c). A block's scale is searched for: a row of candidates around what maps the largest element to
 * the end of the range, for each the integers, for those the best scale in closed form; the one with the least squared error stays.
 * The error counts all elements alike: what they will be multiplied with is not known here.
 *
 * source: the idea of the candidates is that of ggml-quants.c (make_qx_quants, make_qkx2_quants). */
#include "weights/quantise.h"
#include <float.h>
#include <math.h>

#define LANES 8 /* sums are kept in lanes, so that compilers make vectors of them and the order of sums is one */

static float total(const float v[LANES])
{
    return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

/* ---- x = d q */

struct products {
    float xq, qq;
};

static struct products products(const float *x, int n, float inverse, float lo, float hi)
{
    float xq[LANES] = { 0 }, qq[LANES] = { 0 };
    for (int i = 0; i < n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            float q = within(nearest(x[i + l] * inverse), lo, hi);
            xq[l] += x[i + l] * q;
            qq[l] += q * q;
        }
    }
    return (struct products){ total(xq), total(qq) };
}

static float largest(const float *x, int n) /* with its sign */
{
    float most = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(most)) most = x[i];
    return most;
}

float m8__fit_scale(const float *x, int n, int top)
{
    float most = largest(x, n), best = 0, d = 0, lo = (float)-top, hi = (float)(top - 1);
    if (fabsf(most) < FLT_MIN * 256) return 0; /* nothing that a half could tell from zero */
    for (int side = 0; side < 2; side++) {     /* the largest element goes to one end of the range or to the other */
        for (int i = -9; i <= 9; i++) {
            float end = (side ? hi : lo) + (side ? 0.1f : -0.1f) * (float)i;
            struct products p = products(x, n, end / most, lo, hi);
            if (p.qq > 0 && p.xq * p.xq > best * p.qq) { /* the squared error is sum xx - xq^2 / qq */
                best = p.xq * p.xq / p.qq;
                d = p.xq / p.qq;
            }
        }
    }
    return d;
}

/* ---- x = d q + m */

struct line {
    float d, m, rest; /* rest: squared error, less the sum of squares of x */
};

/* The best line through x - base for the integers that (inverse, m) give. */
static bool fit_line(struct line *out, const float *x, int n, float base, float inverse, float m, float top, bool negative)
{
    float sq[LANES] = { 0 }, sqq[LANES] = { 0 }, sx[LANES] = { 0 }, sxq[LANES] = { 0 };
    for (int i = 0; i < n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            float v = x[i + l] - base, q = within(nearest((v - m) * inverse), 0, top);
            sq[l] += q;
            sqq[l] += q * q;
            sx[l] += v;
            sxq[l] += v * q;
        }
    }
    float q = total(sq), qq = total(sqq), xs = total(sx), xq = total(sxq), det = (float)n * qq - q * q;
    if (!(det > 0)) return false;
    out->d = ((float)n * xq - xs * q) / det;
    out->m = (qq * xs - q * xq) / det;
    if (negative && out->m > 0) {
        out->m = 0;
        out->d = xq / qq;
    }
    float d = out->d, c = out->m;
    out->rest = d * d * qq + 2 * d * c * q + c * c * (float)n - 2 * d * xq - 2 * c * xs;
    return true;
}

void m8__fit_scale_min(const float *x, int n, int top, bool negative, float *d, float *m)
{
    float lo = x[0], hi = x[0], end = (float)top;
    for (int i = 1; i < n; i++) {
        if (x[i] < lo) lo = x[i];
        if (x[i] > hi) hi = x[i];
    }
    if (negative && lo > 0) lo = 0;
    if (!(hi - lo > FLT_MIN * 256)) { /* all alike */
        *d = 0;
        *m = lo;
        return;
    }
    float base = negative ? 0 : lo; /* far from zero the sums would cancel; a minimum that may not be positive lies near it */
    struct line best = { .d = (hi - lo) / end, .m = lo - base, .rest = FLT_MAX }, now;
    for (int i = -10; i <= 20; i++) {
        if (fit_line(&now, x, n, base, (end + 0.1f * (float)i) / (hi - lo), lo - base, end, negative) && now.rest < best.rest) best = now;
    }
    for (int i = 0; i < 4; i++) { /* integers and line in turn, as long as it gets better */
        if (!(best.d > 0) || !fit_line(&now, x, n, base, 1 / best.d, best.m, end, negative) || !(now.rest < best.rest)) break;
        best = now;
    }
    *d = best.d;
    *m = best.m + base;
}

float m8__rest(const float *x, int n, float d, float m, float lo, float hi, uint8_t *q)
{
    float rest[LANES] = { 0 }, inverse = d ? 1 / d : 0;
    for (int i = 0; i < n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            float v = within(nearest((x[i + l] - m) * inverse), lo, hi), e = x[i + l] - m - d * v;
            rest[l] += e * e;
            if (q) q[i + l] = (uint8_t)(int)(v - lo);
        }
    }
    return total(rest);
}

/* ---- blocks of 32 */

static void nibbles(uint8_t *to, const uint8_t *q)
{
    for (int j = 0; j < 16; j++) to[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
}

static void fifth_bits(uint8_t *to, const uint8_t *q)
{
    uint32_t high = 0;
    for (int j = 0; j < 32; j++) high |= (uint32_t)(q[j] >> 4) << j;
    memcpy(to, &high, sizeof high);
}

static bool symmetric(uint8_t *b, const float *x, int top) /* Q4_0: d, nibbles; Q5_0: d, fifth bits, nibbles */
{
    uint16_t h = m8__float_to_half(m8__fit_scale(x, 32, top));
    uint8_t q[32];
    float d = half_to_float(h);
    if (!isfinite(d)) return false;
    m8__rest(x, 32, d, 0, (float)-top, (float)(top - 1), q);
    put_half(b, h);
    if (top == 16) fifth_bits(b + 2, q);
    nibbles(b + (top == 16 ? 6 : 2), q);
    return true;
}

static bool with_min(uint8_t *b, const float *x, int top) /* Q4_1: d, m, nibbles; Q5_1: d, m, fifth bits, nibbles */
{
    float d, m;
    m8__fit_scale_min(x, 32, top, false, &d, &m);
    uint16_t hd = m8__float_to_half(d), hm = m8__float_to_half(m);
    uint8_t q[32];
    if (!isfinite(half_to_float(hd)) || !isfinite(half_to_float(hm))) return false;
    m8__rest(x, 32, half_to_float(hd), half_to_float(hm), 0, (float)top, q);
    put_half(b, hd);
    put_half(b + 2, hm);
    if (top == 31) fifth_bits(b + 4, q);
    nibbles(b + (top == 31 ? 8 : 4), q);
    return true;
}

static bool q8_0(uint8_t *b, const float *x)
{
    uint16_t h = half_beyond(fabsf(largest(x, 32)) / 127);
    float d = half_to_float(h), inverse = d ? 1 / d : 0;
    if (!isfinite(d)) return false;
    put_half(b, h);
    for (int i = 0; i < 32; i++) b[2 + i] = (uint8_t)(int8_t)within(nearest(x[i] * inverse), -127, 127);
    return true;
}

/* ---- all types */

static bool all_within(const float *x, int64_t n, float most) /* a NaN is not */
{
    bool good = true;
    for (int64_t i = 0; i < n; i++) good &= fabsf(x[i]) <= most;
    return good;
}

static bool to_halves(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = m8__float_to_half(x[i]);
        if ((h & 0x7fff) == 0x7c00) return false;
        put_half(dst + 2 * i, h);
    }
    return true;
}

static bool to_bf16(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = m8__float_to_bf16(x[i]);
        if ((h & 0x7fff) == 0x7f80) return false;
        put_half(dst + 2 * i, h);
    }
    return true;
}

static bool block(uint8_t *b, m8__dtype type, const float *x)
{
    switch (type) {
    case DT_Q4_0: return symmetric(b, x, 8);
    case DT_Q5_0: return symmetric(b, x, 16);
    case DT_Q4_1: return with_min(b, x, 15);
    case DT_Q5_1: return with_min(b, x, 31);
    case DT_Q8_0: return q8_0(b, x);
    case DT_Q4_K: return m8__quantise_q4_k(b, x);
    case DT_Q5_K: return m8__quantise_q5_k(b, x);
    default: return m8__quantise_q6_k(b, x);
    }
}

bool m8__can_quantise(m8__dtype type)
{
    switch (type) {
    case DT_F32: case DT_F16: case DT_BF16: case DT_Q8_0: case DT_Q4_0: case DT_Q4_1: case DT_Q5_0: case DT_Q5_1: case DT_Q4_K:
    case DT_Q5_K: case DT_Q6_K: return true;
    default: return false;
    }
}

bool m8__quantise(uint8_t *dst, m8__dtype type, const float *x, int64_t n)
{
    bool plain = m8__dtype_block(type) == 1; /* no block has scales that reach 2^30, and squares of less do not overflow */
    if (!all_within(x, n, plain ? FLT_MAX : 0x1p30f)) return false;
    if (type == DT_F32) return memcpy(dst, x, (size_t)n * sizeof *x), true;
    if (type == DT_F16) return to_halves(dst, x, n);
    if (type == DT_BF16) return to_bf16(dst, x, n);
    int size = m8__dtype_block(type), bytes = m8__dtype_bytes(type);
    for (int64_t i = 0; i < n; i += size, dst += bytes)
        if (!block(dst, type, x + i)) return false;
    return true;
}
