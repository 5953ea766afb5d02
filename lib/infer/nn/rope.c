/* Rotary positions: Su et al. 2021, arXiv 2104.09864. Halves of a head are turned against each other: (i, i + dh/2). */
#include "nn.h"
#include <math.h>

#define ROWS 16 /* of a chunk */

float *nn_rope_table(nn_load *l, int max_pos, int dh, double theta, const float *freq_factors)
{
    float *table = nn_hold(l, (size_t)max_pos * (size_t)dh * sizeof *table);
    for (int i = 0; table && i < dh / 2; i++) {
        /* the originals take the frequency in float32 and multiply by the position there */
        float freq = (float)(1.0 / pow(theta, 2.0 * i / dh));
        nn_rope_column(table, max_pos, dh, i, freq_factors ? freq / freq_factors[i] : freq);
    }
    return table;
}

void nn_rope_column(float *table, int max_pos, int dh, int i, float freq)
{
    for (int pos = 0; pos < max_pos; pos++) {
        float angle = (float)pos * freq;
        table[(size_t)pos * dh + i] = (float)cos(angle);
        table[(size_t)pos * dh + dh / 2 + i] = (float)sin(angle);
    }
}

struct rope {
    nn_t x;
    int dh;
    const int *pos;
    const float *table;
};

static void turn(float *restrict a, float *restrict b, const float *restrict cosine, const float *restrict sine, int half)
{
    for (int i = 0; i < half; i++) {
        float at = a[i], bt = b[i];
        a[i] = at * cosine[i] - bt * sine[i];
        b[i] = bt * cosine[i] + at * sine[i];
    }
}

static void rope_chunk(void *user, int chunk)
{
    const struct rope *p = user;
    int half = p->dh / 2, end = (chunk + 1) * ROWS < p->x.n ? (chunk + 1) * ROWS : p->x.n;
    for (int row = chunk * ROWS; row < end; row++) {
        const float *at = p->table + (ptrdiff_t)p->pos[row] * p->dh;
        float *x = p->x.d + (ptrdiff_t)row * p->x.ld;
        for (int c = 0; c < p->x.c; c += p->dh) turn(x + c, x + c + half, at, at + half, half);
    }
}

void nn_rope_to(nn_run *r, nn_t x, int dh, const int *pos, const float *table)
{
    struct rope p = { x, dh, pos, table };
    nn_each(r, (x.n + ROWS - 1) / ROWS, rope_chunk, &p);
}
