/* fft.h - a discrete Fourier transform of real frames, NN_LANES frames at once: lane l of every number belongs to frame l, so plain
 * loops over the lanes are vectors on any processor. */
#ifndef M8_FFT_H
#define M8_FFT_H

#include <m8/base.h>

#define NN_LANES 8

typedef struct nn_fft nn_fft;

/* For frames of n samples: n even, n / 2 a product of 2, 4 and 5. NULL: no memory or no such product. Freed by m8_free. */
nn_fft *nn_fft_new(int n);
/* power[k][lane] = |sum over t of x[t][lane] exp(-2 pi i k t / n)|^2 for k = 0 .. n/2.
 * x is destroyed. */
void nn_fft_power(const nn_fft *f, float *power /* [n/2 + 1][NN_LANES] */, float *x /* [n][NN_LANES] */, float *scratch /* as x */);

#endif
