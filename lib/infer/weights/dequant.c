/* Every element type as float32. The block layouts are those of ggml (ggml-common.h); tests/unit/infer/dequant.c compares each
 * with what its authors' code gives. In the comments d, m are the block's half-precision scale and minimum, q a small integer. */
#include "weights/half.h"

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

static float half_at(const uint8_t *p)
{
    return half_to_float(u16_at(p));
}

/* ---- blocks of 32 ---- */

static void q4_0(float *y, const uint8_t *b) /* d, 16 bytes of two q: d * (q - 8); low nibbles first */
{
    float d = half_at(b);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)((b[2 + j] & 15) - 8) * d;
        y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
    }
}

static void q4_1(float *y, const uint8_t *b) /* d, m, 16 bytes: d * q + m */
{
    float d = half_at(b), m = half_at(b + 2);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)(b[4 + j] & 15) * d + m;
        y[j + 16] = (float)(b[4 + j] >> 4) * d + m;
    }
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static void q5_0(float *y, const uint8_t *b) /* d, 32 high bits, 16 bytes of low nibbles: d * (q - 16) */
{
    float d = half_at(b);
    uint32_t high = u32_at(b + 2);
    for (int j = 0; j < 16; j++) {
        int lo = (b[6 + j] & 15) | (int)(high >> j & 1) << 4;
        int hi = b[6 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        y[j] = (float)(lo - 16) * d;
        y[j + 16] = (float)(hi - 16) * d;
    }
}

static void q5_1(float *y, const uint8_t *b) /* d, m, 32 high bits, 16 bytes: d * q + m */
{
    float d = half_at(b), m = half_at(b + 2);
    uint32_t high = u32_at(b + 4);
    for (int j = 0; j < 16; j++) {
        int lo = (b[8 + j] & 15) | (int)(high >> j & 1) << 4;
        int hi = b[8 + j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        y[j] = (float)lo * d + m;
        y[j + 16] = (float)hi * d + m;
    }
}

static void q8_0(float *y, const uint8_t *b) /* d, 32 signed bytes: d * q */
{
    float d = half_at(b);
    for (int j = 0; j < 32; j++) y[j] = (float)(int8_t)b[2 + j] * d;
}

/* ---- blocks of 256: 16 runs of 16, or 8 of 32, with small integer scales of their own ---- */

/* In Q2_K and Q3_K (and for the high bits of Q6_K) 32 bytes hold half a block, two bits of each byte for each quarter of it: run s
 * of 16 lies from byte s / 8 * 32 + s % 2 * 16 on, in bits s / 2 % 4 * 2. A loop over a run has fixed shifts and one scale, which
 * lets compilers make vectors of it: 0.3 ns an element, and 4 with the scale looked up for each. */

static void q2_k(float *y, const uint8_t *b) /* 16 x (4-bit scale, 4-bit minimum), 64 bytes of q, d, m */
{
    float d = half_at(b + 80), m = half_at(b + 82);
    const uint8_t *scales = b, *q = b + 16;
    for (int s = 0; s < 16; s++) {
        float ds = d * (float)(scales[s] & 15), ms = m * (float)(scales[s] >> 4);
        const uint8_t *from = q + s / 8 * 32 + s % 2 * 16;
        for (int l = 0; l < 16; l++) y[s * 16 + l] = ds * (float)(from[l] >> (s / 2 % 4 * 2) & 3) - ms;
    }
}

static void q3_k(float *y, const uint8_t *b) /* 32 bytes of high bits, 64 of q, 12 of 6-bit scales, d */
{
    float d = half_at(b + 108);
    const uint8_t *high = b, *q = b + 32, *scales = b + 96;
    for (int s = 0; s < 16; s++) {
        int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
        float ds = d * (float)((low | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4) - 32);
        const uint8_t *from = q + s / 8 * 32 + s % 2 * 16, *bits = high + s % 2 * 16;
        for (int l = 0; l < 16; l++) {
            int v = (from[l] >> (s / 2 % 4 * 2) & 3) + (bits[l] >> (s / 2) & 1) * 4 - 4;
            y[s * 16 + l] = ds * (float)v;
        }
    }
}

/* Q4_K and Q5_K pack eight 6-bit scales and eight 6-bit minima into 12 bytes. */
static void scale_min(const uint8_t *p, int i, int *scale, int *min)
{
    if (i < 4) {
        *scale = p[i] & 63;
        *min = p[i + 4] & 63;
    } else {
        *scale = (p[i + 4] & 15) | p[i - 4] >> 6 << 4;
        *min = p[i + 4] >> 4 | p[i] >> 6 << 4;
    }
}

static void q45_k(float *y, const uint8_t *b, const uint8_t *high, const uint8_t *q)
{
    float d = half_at(b), m = half_at(b + 2);
    for (int s = 0; s < 8; s++) {
        int scale, min;
        scale_min(b + 4, s, &scale, &min);
        float ds = d * (float)scale, ms = m * (float)min;
        for (int l = 0; l < 32; l++) {
            int v = q[s / 2 * 32 + l] >> (s % 2 * 4) & 15;
            if (high) v |= (high[l] >> s & 1) << 4;
            y[s * 32 + l] = ds * (float)v - ms;
        }
    }
}

static void q4_k(float *y, const uint8_t *b) /* d, m, 12 bytes of scales and minima, 128 of q */
{
    q45_k(y, b, NULL, b + 16);
}

static void q5_k(float *y, const uint8_t *b) /* the same with 32 bytes of high bits before q */
{
    q45_k(y, b, b + 16, b + 48);
}

static void q6_k(float *y, const uint8_t *b) /* 128 bytes of low nibbles, 64 of high pairs, 16 signed scales, d */
{
    float d = half_at(b + 208);
    for (int s = 0; s < 16; s++) {
        float ds = d * (float)(int8_t)b[192 + s];
        const uint8_t *low = b + s / 8 * 64 + s / 2 % 2 * 32 + s % 2 * 16, *high = b + 128 + s / 8 * 32 + s % 2 * 16;
        for (int l = 0; l < 16; l++) {
            int v = (low[l] >> (s / 4 % 2 * 4) & 15) | (high[l] >> (s / 2 % 4 * 2) & 3) << 4;
            y[s * 16 + l] = ds * (float)(v - 32);
        }
    }
}

static void plain(float *dst, m8__dtype type, const uint8_t *p, int64_t n)
{
#define LOOP(ctype, value)                                                                                               \
    for (int64_t i = 0; i < n; i++) {                                                                                    \
        ctype v;                                                                                                         \
        memcpy(&v, p + (size_t)i * sizeof v, sizeof v);                                                                  \
        dst[i] = (float)(value);                                                                                         \
    }                                                                                                                    \
    break
    switch (type) {
    case DT_F32: memcpy(dst, p, (size_t)n * 4); break;
    case DT_F16: LOOP(uint16_t, half_to_float(v));
    case DT_BF16:
        for (int64_t i = 0; i < n; i++) {
            uint32_t u = (uint32_t)u16_at(p + 2 * i) << 16;
            memcpy(&dst[i], &u, 4);
        }
        break;
    case DT_F64: LOOP(double, v);
    case DT_I8: LOOP(int8_t, v);
    case DT_I16: LOOP(int16_t, v);
    case DT_I32: LOOP(int32_t, v);
    case DT_I64: LOOP(int64_t, v);
    default: LOOP(uint8_t, v);
    }
#undef LOOP
}

static void (*const BLOCK[DT_COUNT])(float *, const uint8_t *) = {
    [DT_Q4_0] = q4_0, [DT_Q4_1] = q4_1, [DT_Q5_0] = q5_0, [DT_Q5_1] = q5_1, [DT_Q8_0] = q8_0,
    [DT_Q2_K] = q2_k, [DT_Q3_K] = q3_k, [DT_Q4_K] = q4_k, [DT_Q5_K] = q5_k, [DT_Q6_K] = q6_k,
};

void m8__dequant(float *dst, const m8__tensor *t, int64_t row0, int64_t n_rows)
{
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1, block = m8__dtype_block(t->type);
    const uint8_t *p = t->data + (size_t)(row0 * columns / block) * (size_t)m8__dtype_bytes(t->type);
    int64_t n = n_rows * columns;
    if (!BLOCK[t->type]) {
        plain(dst, t->type, p, n);
        return;
    }
    for (int64_t i = 0; i < n; i += block, p += m8__dtype_bytes(t->type)) BLOCK[t->type](dst + i, p);
}

float *m8__floats(const m8__tensor *t)
{
    int64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    float *f = m8_malloc((size_t)t->n * sizeof *f + 1);
    if (f && cols) m8__dequant(f, t, 0, t->n / cols);
    return f;
}
