/* c.h - what the plain C files of the kernels share: bfloat16 and float16 as bits, and who fills which part of the table. */
#ifndef M8_KERNELS_C_H
#define M8_KERNELS_C_H

#include <stdint.h>
#include <string.h>

struct m8__kernels;
/* vec.c, norm.c and quant.c are also compiled for AVX2, where the compiler makes wider vectors of the same loops. */
#ifdef M8_PLAIN_AVX2
#define m8__quant_init m8__quant_avx2_init
#define m8__vec_init m8__vec_avx2_init
#define m8__norm_init m8__norm_avx2_init
#endif
void m8__gemm_init(struct m8__kernels *k);
void m8__quant_init(struct m8__kernels *k);
void m8__vec_init(struct m8__kernels *k);
void m8__norm_init(struct m8__kernels *k);
void m8__repack_init(struct m8__kernels *k);

static inline float float_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float from_bf16(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

/* To nearest, ties to even; a NaN stays one (its quiet bit set, so that cutting the rest off cannot make it infinite). */
static inline uint16_t round_bf16(float f)
{
    uint32_t u = bits_of_float(f);
    uint32_t nan = (u | 0x400000) >> 16, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/* Every float16 is a float32: shift the bits into place and multiply by 2^112, which also makes denormals right. */
static inline float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
    float f = float_of_bits(rest) * 0x1p112f;
    uint32_t u = rest >= 0x0f800000 ? rest | 0x7f800000 : bits_of_float(f); /* infinity and NaN */
    return float_of_bits(sign | u);
}

/* To nearest, ties to even. */
static inline uint16_t to_half(float f)
{
    uint32_t u = bits_of_float(f), size = u & 0x7fffffff;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (size > 0x7f800000)
        return sign | 0x7e00 | (uint16_t)(size >> 13 & 0x3ff); /* NaN keeps what fits of its payload */
    if (size >= 0x477ff000)
        return sign | 0x7c00; /* 65520 and more are infinity */
    if (size < 0x38800000) /* below 2^-14 in steps of 2^-24: adding 0.5 makes the adder round to just that step */
        return sign | (uint16_t)(bits_of_float(float_of_bits(size) + 0.5f) - bits_of_float(0.5f));
    size += 0xfff + (size >> 13 & 1);
    return sign | (uint16_t)((size - ((127 - 15) << 23)) >> 13);
}

#endif
