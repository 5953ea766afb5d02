/* Blocks of 256: runs of 32 (Q4_K, Q5_K) or 16 (Q6_K) with small integer scales of their own. Each run's scale is searched for as if it
 * stood alone (quantise.c), then all are rounded to integers, and each integer and its neighbours are tried with what they leave. */
#include "weights/quantise.h"
#include <math.h>

struct run {
    int scale, min;
    uint8_t q[32];
};

/* Eight 6-bit scales and minima into 12 bytes: the other way round of scale_min in dequant.c. */
static void put_scales(uint8_t *p, const struct run *r)
{
    memset(p, 0, 12);
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(r[i].scale | r[i + 4].scale >> 4 << 6);
        p[i + 4] = (uint8_t)(r[i].min | r[i + 4].min >> 4 << 6);
        p[i + 8] = (uint8_t)((r[i + 4].scale & 15) | (r[i + 4].min & 15) << 4);
    }
}

static int clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }

/* The pair of integers around those wanted that leaves least, and its q. */
static void choose(struct run *r, const float *x, float d, float m, float scale, float min, int top)
{
    int s0 = d > 0 ? clamp((int)nearest(scale / d), 0, 63) : 0, m0 = m > 0 ? clamp((int)nearest(min / m), 0, 63) : 0;
    float best = INFINITY;
    for (int s = clamp(s0 - 1, 0, 63); s <= clamp(s0 + 1, 0, 63); s++) {
        for (int k = clamp(m0 - 1, 0, 63); k <= clamp(m0 + 1, 0, 63); k++) {
            float rest = m8__rest(x, 32, d * (float)s, -m * (float)k, 0, (float)top, NULL);
            if (!(rest < best)) continue;
            best = rest;
            r->scale = s;
            r->min = k;
        }
    }
    m8__rest(x, 32, d * (float)r->scale, -m * (float)r->min, 0, (float)top, r->q);
}

static bool q45_k(uint8_t *b, const float *x, int top)
{
    struct run r[8] = { 0 };
    float scale[8], min[8], most = 0, deepest = 0;
    for (int i = 0; i < 8; i++) {
        m8__fit_scale_min(x + 32 * i, 32, top, true, &scale[i], &min[i]);
        min[i] = -min[i];
        most = fmaxf(most, scale[i]);
        deepest = fmaxf(deepest, min[i]);
    }
    uint16_t hd = half_beyond(most / 63), hm = half_beyond(deepest / 63);
    float d = half_to_float(hd), m = half_to_float(hm);
    if (!isfinite(d) || !isfinite(m)) return false;
    for (int i = 0; i < 8; i++) choose(&r[i], x + 32 * i, d, m, scale[i], min[i], top);
    put_half(b, hd);
    put_half(b + 2, hm);
    put_scales(b + 4, r);
    uint8_t *q = b + (top > 15 ? 48 : 16);
    for (int i = 0; i < 8; i += 2) {
        for (int l = 0; l < 32; l++) q[i * 16 + l] = (uint8_t)((r[i].q[l] & 15) | (r[i + 1].q[l] & 15) << 4);
    }
    for (int l = 0; l < 32 && top > 15; l++) {
        b[16 + l] = 0;
        for (int i = 0; i < 8; i++) b[16 + l] |= (uint8_t)(r[i].q[l] >> 4 << i);
    }
    return true;
}

bool m8__quantise_q4_k(uint8_t *b, const float *x) { return q45_k(b, x, 15); }
bool m8__quantise_q5_k(uint8_t *b, const float *x) { return q45_k(b, x, 31); }

bool m8__quantise_q6_k(uint8_t *b, const float *x)
{
    float scale[16], most = 0;
    for (int i = 0; i < 16; i++) {
        scale[i] = m8__fit_scale(x + 16 * i, 16, 32);
        if (fabsf(scale[i]) > fabsf(most)) most = scale[i];
    }
    uint16_t h = half_beyond(most / -128); /* the largest scale is -128, the one end of its range */
    float d = half_to_float(h);
    if (!isfinite(d)) return false;
    memset(b, 0, 192);
    put_half(b + 208, h);
    for (int s = 0; s < 16; s++) {
        int s0 = d ? clamp((int)nearest(scale[s] / d), -128, 127) : 0, at = 0;
        float best = INFINITY;
        uint8_t q[16];
        for (int i = clamp(s0 - 1, -128, 127); i <= clamp(s0 + 1, -128, 127); i++) {
            float rest = m8__rest(x + 16 * s, 16, d * (float)i, 0, -32, 31, NULL);
            if (!(rest < best)) continue;
            best = rest;
            at = i;
        }
        m8__rest(x + 16 * s, 16, d * (float)at, 0, -32, 31, q);
        b[192 + s] = (uint8_t)(int8_t)at;
        uint8_t *low = b + s / 8 * 64 + s / 2 % 2 * 32 + s % 2 * 16, *high = b + 128 + s / 8 * 32 + s % 2 * 16;
        for (int l = 0; l < 16; l++) {
            low[l] |= (uint8_t)((q[l] & 15) << (s / 4 % 2 * 4));
            high[l] |= (uint8_t)(q[l] >> 4 << (s / 2 % 4 * 2));
        }
    }
    return true;
}
