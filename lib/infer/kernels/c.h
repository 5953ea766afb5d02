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

#endif
