/* Element types: names and block sizes, half and bfloat16 conversions. */
#include "weights/half.h"

static const struct {
    const char *name;
    int block, bytes;
} TYPES[DT_COUNT] = {
    [DT_F32] = { "F32", 1, 4 },       [DT_F16] = { "F16", 1, 2 },       [DT_BF16] = { "BF16", 1, 2 },
    [DT_F64] = { "F64", 1, 8 },       [DT_I8] = { "I8", 1, 1 },         [DT_I16] = { "I16", 1, 2 },
    [DT_I32] = { "I32", 1, 4 },       [DT_I64] = { "I64", 1, 8 },       [DT_U8] = { "U8", 1, 1 },
    [DT_Q4_0] = { "Q4_0", 32, 18 },   [DT_Q4_1] = { "Q4_1", 32, 20 },   [DT_Q5_0] = { "Q5_0", 32, 22 },
    [DT_Q5_1] = { "Q5_1", 32, 24 },   [DT_Q8_0] = { "Q8_0", 32, 34 },   [DT_Q2_K] = { "Q2_K", 256, 84 },
    [DT_Q3_K] = { "Q3_K", 256, 110 }, [DT_Q4_K] = { "Q4_K", 256, 144 }, [DT_Q5_K] = { "Q5_K", 256, 176 },
    [DT_Q6_K] = { "Q6_K", 256, 210 },
};

const char *m8__dtype_name(m8__dtype t)
{
    return (unsigned)t < DT_COUNT ? TYPES[t].name : "?";
}

int m8__dtype_block(m8__dtype t)
{
    return TYPES[t].block;
}

int m8__dtype_bytes(m8__dtype t)
{
    return TYPES[t].bytes;
}

float m8__half_to_float(uint16_t h)
{
    return half_to_float(h);
}

uint16_t m8__float_to_half(float f)
{
    uint32_t u = to_bits(f);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000) return sign | 0x7e00 | (uint16_t)(u >> 13 & 0x3ff); /* NaN keeps what fits of its payload */
    if (u >= 0x477ff000) return sign | 0x7c00; /* 65520 and more round to infinity */
    if (u < 0x38800000) {
        /* Below 2^-14 a half counts in steps of 2^-24: adding 0.5 makes the float adder round to just that step. */
        return sign | (uint16_t)(to_bits(from_bits(u) + 0.5f) - to_bits(0.5f));
    }
    u += 0xfff + (u >> 13 & 1); /* nearest, ties to even */
    return sign | (uint16_t)((u - ((127 - 15) << 23)) >> 13);
}

uint16_t m8__float_to_bf16(float f)
{
    uint32_t u = to_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40); /* rounding must not make a NaN an infinity */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
