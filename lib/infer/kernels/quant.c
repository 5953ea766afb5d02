/* quant.c - activations in fewer bits: bfloat16, and int8 in blocks of 32 with a float scale, in one digit or two.
 *
 * A block's scale is d = max |x| / 127 and q = x * (127 / max |x|) to the nearest integer, ties to even, so |q| <= 127
 * (two digits: 127 * 256 for 127). The
 * maximum is taken of the bits without the sign, where infinity stands above every number and NaN above infinity: a block that
 * holds one of these gets it as its scale and q = 0, so its products are NaN, and no float out of range is ever made an integer.
 * A block of zeros, or of numbers so small that 127 / max would overflow, has d = 0. */
#include <math.h>

#include "kernels/c.h"
#include "kernels/kernels.h"

static void to_bf16_c(uint16_t *dst, const float *src, int n)
{
    for (int i = 0; i < n; i++)
        dst[i] = round_bf16(src[i]);
}

static void quant_row_c(int8_t *q, int8_t *q2, float *d, float *s, int32_t *sum, const float *x, int k)
{
    const float most = q2 ? 127 * 256 : 127;
    for (int b = 0; b < k / QBLOCK; b++, q += QBLOCK, x += QBLOCK) {
        uint32_t top = 0;
        for (int i = 0; i < QBLOCK; i++) {
            uint32_t u = bits_of_float(x[i]) & 0x7fffffff;
            top = u > top ? u : top;
        }
        float max = float_of_bits(top);
        int32_t total[2] = {0};
        if (max >= 0x1p-100f && top < 0x7f800000) {
            const float magic = 0x1.8p23f; /* adding it rounds to an integer, which its low bits then hold */
            float by = most / max;
            for (int i = 0; i < QBLOCK; i++) {
                int32_t v = (int32_t)bits_of_float(x[i] * by + magic) - 0x4b400000;
                total[i / (QBLOCK / 2)] += v;
                if (q2) {
                    q2[i] = (int8_t)v; /* the low byte, signed; what is left is a multiple of 256 */
                    v = (v - q2[i]) / 256;
                }
                q[i] = (int8_t)v;
            }
            d[b] = max / most;
        } else {
            memset(q, 0, QBLOCK);
            if (q2) memset(q2, 0, QBLOCK);
            d[b] = top < 0x7f800000 ? 0 : max;
        }
        sum[2 * b] = total[0];
        sum[2 * b + 1] = total[1];
        s[b] = d[b] * (float)(total[0] + total[1]);
        if (q2) q2 += QBLOCK;
    }
}

void m8__quant_init(struct m8__kernels *k)
{
    k->to_bf16 = to_bf16_c;
    k->quant_row = quant_row_c;
}
