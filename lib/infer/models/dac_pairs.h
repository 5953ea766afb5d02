/* dac_pairs.h - a convolution of seven taps in five sevenths of the products: two outputs at a time, see dac_pairs.c. */
#ifndef M8_DAC_PAIRS_H
#define M8_DAC_PAIRS_H

#include "nn/nn.h"

struct dac_pairs {
    nn_w w; /* bf16, as many outputs as inputs, nine taps as kernels.h's pairs have them */
    int dilation;
};
/* Output o of a kernel [n_in][7] into the panels. row: room for [9][n_in]. */
void m8__pairs_put(const struct dac_pairs *w, int o, const float *kernel, float *row);

struct dac_pairs_line { /* what a stream keeps: m8__pairs_bytes of zeros, laid out by m8__pairs_at */
    char *planes;   /* transformed rows from the block of the next output on */
    float *snaked;  /* the last 2 * dilation rows of input */
    int64_t n_in, n_out; /* rows so far; those of the padding count as input */
};
size_t m8__pairs_bytes(const struct dac_pairs *w);
void m8__pairs_at(struct dac_pairs_line *l, const struct dac_pairs *w, char *memory);

struct dac_pairs_rows { /* n rows of output, as they lie: m8__pairs_row finds one */
    nn_t even, odd;
    int64_t from, block; /* number of the first row, and of the block that even and odd begin with */
    int n, dilation, skipped /* rows of the block that were left out */;
};
/* The convolution of snake(x) behind what is kept, with `zeros` rows of zeros behind it. */
struct dac_pairs_rows m8__pairs(nn_run *r, const struct dac_pairs *w, const float *freq, const float *by, struct dac_pairs_line *kept, nn_t x,
                                int zeros);
static inline const float *m8__pairs_row(const struct dac_pairs_rows *y, int i)
{
    int64_t row = y->from + i, d = y->dilation, in = row % (2 * d);
    const nn_t *half = in < d ? &y->even : &y->odd;
    return half->d + ((row / (2 * d) - y->block) * d + in % d - y->skipped) * half->ld;
}

#endif
