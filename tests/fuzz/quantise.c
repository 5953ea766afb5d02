/* Any numbers into blocks: refused, or what comes back is finite and not further off than the largest of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weights/quantise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const m8__dtype types[] = { DT_F32, DT_F16, DT_BF16, DT_Q8_0, DT_Q6_K, DT_Q5_1, DT_Q5_K, DT_Q5_0, DT_Q4_1, DT_Q4_K, DT_Q4_0 };
    float x[256] = { 0 }, y[256], most = 0;
    uint8_t bytes[1024];
    memcpy(x, data, n < sizeof x ? n : sizeof x);
    for (int i = 0; i < 256; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        if (!m8__quantise(bytes, types[k], x, 256)) continue;
        m8__tensor t = { .type = types[k], .n_dims = 1, .dims = { 256, 1, 1, 1 }, .n = 256, .data = bytes };
        m8__dequant(y, &t, 0, 1);
        for (int i = 0; i < 256; i++)
            if (!(fabsf(y[i] - x[i]) <= most * 1.01f + 1e-5f)) abort();
    }
    return 0;
}
