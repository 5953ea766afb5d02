/* norm.c - rows brought to one scale. Layer norm: (x - mean) / sqrt(var + eps) * gamma + beta, the variance by a second pass over
 * x - mean. RMS norm: x / sqrt(mean of x^2 + eps) * w. Sums run in 16 lanes, joined pairwise: lane l takes elements l, l + 16, ... */
#include <math.h>

#include "kernels/c.h"
#include "kernels/kernels.h"

static float join(float lane[PANEL])
{
    for (int half = PANEL / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
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
    return join(lane);
}

static float squares_of(const float *x, int n, float mean)
{
    float lane[PANEL] = {0};
    int i = 0;
    for (; i + PANEL <= n; i += PANEL)
        for (int l = 0; l < PANEL; l++)
            lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
    for (int l = 0; i + l < n; l++)
        lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
    return join(lane);
}

static void layer_norm_c(float *dst, const float *x, const float *gamma, const float *beta, int n, float eps)
{
    float mean = sum_of(x, n) / (float)n;
    float by = 1 / sqrtf(squares_of(x, n, mean) / (float)n + eps);
    for (int i = 0; i < n; i++)
        dst[i] = (x[i] - mean) * by * gamma[i] + beta[i];
}

static void rms_norm_c(float *dst, const float *x, const float *w, int n, float eps)
{
    float by = 1 / sqrtf(squares_of(x, n, 0) / (float)n + eps);
    for (int i = 0; i < n; i++)
        dst[i] = x[i] * by * w[i];
}

void m8__norm_init(struct m8__kernels *k)
{
    k->layer_norm = layer_norm_c;
    k->rms_norm = rms_norm_c;
}
