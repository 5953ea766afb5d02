/* fft.c - Stockham's transform: passes of radix 5, 4 and 2 from one buffer to the other, sorted as they go, no bit reversal.
 *
 * n real samples are read as n/2 complex ones (even samples real, odd ones imaginary), transformed, and taken apart at the end:
 *     X[k] = (Z[k] + Z*[h-k]) / 2 - i/2 exp(-2 pi i k / n) (Z[k] - Z*[h-k]),  h = n/2.
 * A number is NN_LANES floats, one of each frame; a complex number is the real parts, then the imaginary ones. */
#include "fft.h"
#include <math.h>

#define L NN_LANES
#define MAX_PASSES 16

struct nn_fft {
    int n, h;
    int n_passes, radix[MAX_PASSES];
    const float *turn; /* [h][2]: cos and -sin of 2 pi k / h */
    const float *half; /* [h + 1][2]: of 2 pi k / n */
    float mem[];
};

nn_fft *nn_fft_new(int n)
{
    if (n < 4 || n % 2 || n > 1 << 20) return NULL;
    int h = n / 2, left = h, n_passes = 0, radix[MAX_PASSES];
    while (left > 1 && n_passes < MAX_PASSES) {
        int p = left % 5 == 0 ? 5 : left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : 0;
        if (!p) return NULL;
        radix[n_passes++] = p;
        left /= p;
    }
    if (left > 1) return NULL;
    nn_fft *f = m8_malloc(sizeof *f + (size_t)(4 * h + 2) * sizeof(float));
    if (!f) return NULL;
    f->n = n;
    f->h = h;
    f->n_passes = n_passes;
    for (int i = 0; i < n_passes; i++) f->radix[i] = radix[i];
    float *turn = f->mem, *half = f->mem + 2 * h;
    for (int k = 0; k < h; k++) {
        turn[2 * k] = (float)cos(2 * M_PI * k / h);
        turn[2 * k + 1] = (float)-sin(2 * M_PI * k / h);
    }
    for (int k = 0; k <= h; k++) {
        half[2 * k] = (float)cos(2 * M_PI * k / n);
        half[2 * k + 1] = (float)-sin(2 * M_PI * k / n);
    }
    f->turn = turn;
    f->half = half;
    return f;
}

/* One butterfly: radix inputs `in` apart, outputs `out` apart, output k turned by w[k] (cos, -sin). */
static void put(float *restrict y, const float *restrict re, const float *restrict im, float c, float s)
{
    for (int l = 0; l < L; l++) {
        y[l] = re[l] * c - im[l] * s;
        y[L + l] = re[l] * s + im[l] * c;
    }
}

static void radix2(float *restrict y, size_t out, const float *restrict x, size_t in, const float w[][2])
{
    float re[L], im[L];
    for (int l = 0; l < L; l++) {
        y[l] = x[l] + x[in + l];
        y[L + l] = x[L + l] + x[in + L + l];
        re[l] = x[l] - x[in + l];
        im[l] = x[L + l] - x[in + L + l];
    }
    put(y + out, re, im, w[1][0], w[1][1]);
}

static void radix4(float *restrict y, size_t out, const float *restrict x, size_t in, const float w[][2])
{
    float re[4][L], im[4][L];
    for (int l = 0; l < L; l++) {
        float ar = x[l] + x[2 * in + l], ai = x[L + l] + x[2 * in + L + l];
        float br = x[l] - x[2 * in + l], bi = x[L + l] - x[2 * in + L + l];
        float cr = x[in + l] + x[3 * in + l], ci = x[in + L + l] + x[3 * in + L + l];
        float dr = x[in + l] - x[3 * in + l], di = x[in + L + l] - x[3 * in + L + l];
        re[0][l] = ar + cr, im[0][l] = ai + ci;
        re[1][l] = br + di, im[1][l] = bi - dr; /* b - i d */
        re[2][l] = ar - cr, im[2][l] = ai - ci;
        re[3][l] = br - di, im[3][l] = bi + dr;
    }
    for (int k = 0; k < 4; k++) put(y + k * out, re[k], im[k], w[k][0], w[k][1]);
}

static void radix5(float *restrict y, size_t out, const float *restrict x, size_t in, const float w[][2])
{
    static const float c1 = 0.30901699437494745f, c2 = -0.80901699437494745f; /* cos of 72 and 144 degrees */
    static const float s1 = 0.95105651629515357f, s2 = 0.58778525229247314f;
    float re[5][L], im[5][L];
    for (int l = 0; l < L; l++) {
        float x0 = x[l], y0 = x[L + l];
        float ar = x[in + l] + x[4 * in + l], ai = x[in + L + l] + x[4 * in + L + l];
        float br = x[2 * in + l] + x[3 * in + l], bi = x[2 * in + L + l] + x[3 * in + L + l];
        float cr = x[in + l] - x[4 * in + l], ci = x[in + L + l] - x[4 * in + L + l];
        float dr = x[2 * in + l] - x[3 * in + l], di = x[2 * in + L + l] - x[3 * in + L + l];
        float er = x0 + c1 * ar + c2 * br, ei = y0 + c1 * ai + c2 * bi;
        float fr = x0 + c2 * ar + c1 * br, fi = y0 + c2 * ai + c1 * bi;
        float gr = s1 * cr + s2 * dr, gi = s1 * ci + s2 * di;
        float hr = s2 * cr - s1 * dr, hi = s2 * ci - s1 * di;
        re[0][l] = x0 + ar + br, im[0][l] = y0 + ai + bi;
        re[1][l] = er + gi, im[1][l] = ei - gr; /* e - i g */
        re[4][l] = er - gi, im[4][l] = ei + gr;
        re[2][l] = fr + hi, im[2][l] = fi - hr;
        re[3][l] = fr - hi, im[3][l] = fi + hr;
    }
    for (int k = 0; k < 5; k++) put(y + k * out, re[k], im[k], w[k][0], w[k][1]);
}

void nn_fft_power(const nn_fft *f, float *power, float *x, float *scratch)
{
    int h = f->h;
    float *from = x, *to = scratch; /* [h][2][L]; x[2t], x[2t+1] are already real and imaginary part of number t */
    int m = h, s = 1;
    for (int pass = 0; pass < f->n_passes; pass++) {
        int p = f->radix[pass];
        m /= p;
        for (int j = 0; j < m; j++) {
            float w[5][2];
            for (int k = 0; k < p; k++) {
                int at = j * k * s; /* exp(-2 pi i j k / (m p)), and m p s = h */
                w[k][0] = f->turn[2 * at];
                w[k][1] = f->turn[2 * at + 1];
            }
            for (int q = 0; q < s; q++) {
                const float *in = from + (size_t)(q + s * j) * 2 * L;
                float *out = to + (size_t)(q + s * p * j) * 2 * L;
                size_t in_step = (size_t)s * m * 2 * L, out_step = (size_t)s * 2 * L;
                if (p == 5) radix5(out, out_step, in, in_step, w);
                else if (p == 4) radix4(out, out_step, in, in_step, w);
                else radix2(out, out_step, in, in_step, w);
            }
        }
        s *= p;
        float *t = from;
        from = to;
        to = t;
    }
    for (int k = 0; k <= h; k++) {
        const float *a = from + (size_t)(k % h) * 2 * L, *b = from + (size_t)((h - k) % h) * 2 * L;
        float c = f->half[2 * k], sn = f->half[2 * k + 1];
        for (int l = 0; l < L; l++) {
            float er = a[l] + b[l], ei = a[L + l] - b[L + l];
            float dr = a[l] - b[l], di = a[L + l] + b[L + l];
            float xr = er + (c * di + sn * dr), xi = ei - (c * dr - sn * di); /* e - i w d */
            power[k * L + l] = 0.25f * (xr * xr + xi * xi);
        }
    }
}
