/* Rotary positions: Su et al. 2021, arXiv 2104.09864. Halves of a head are turned against each other: (i, i + dh/2). */
#include "nn.h"
#include <math.h>

float *nn_rope_table(nn_load *l, int max_pos, int dh, double theta, const float *freq_factors)
{
    float *table = nn_hold(l, (size_t)max_pos * (size_t)dh * sizeof *table);
    if (!table) return NULL;
    for (int i = 0; i < dh / 2; i++) {
        /* the originals take the frequency in float32 and multiply by the position there */
        float freq = (float)(1.0 / pow(theta, 2.0 * i / dh));
        if (freq_factors) freq /= freq_factors[i];
        for (int pos = 0; pos < max_pos; pos++) {
            float angle = (float)pos * freq;
            table[(size_t)pos * dh + 2 * i] = (float)cos(angle);
            table[(size_t)pos * dh + 2 * i + 1] = (float)sin(angle);
        }
    }
    return table;
}

void nn_rope_to(nn_run *r, nn_t x, int dh, const int *pos, const float *cos_sin)
{
    if (r->status) return;
    int half = dh / 2;
    for (int row = 0; row < x.n; row++) {
        const float *turn = cos_sin + (ptrdiff_t)pos[row] * dh;
        for (int head = 0; head < x.c / dh; head++) {
            float *a = x.d + (ptrdiff_t)row * x.ld + head * dh, *b = a + half;
            for (int i = 0; i < half; i++) {
                float c = turn[2 * i], s = turn[2 * i + 1], at = a[i], bt = b[i];
                a[i] = at * c - bt * s;
                b[i] = bt * c + at * s;
            }
        }
    }
}
