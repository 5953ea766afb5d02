/* gemm_avx512.c - gemm_f32, and gemm_bf16 for processors without AVX512_BF16: two fused products of shifted halves. */
#include "kernels/x86/tile_avx512.h"
#include "kernels/x86/avx512.h"

static void gemm_f32_avx512(const struct m8__gemm *g)
{
    gemm(TILE_F32, g);
}

static void gemm_bf16_avx512(const struct m8__gemm *g)
{
    gemm(TILE_BF16_FMA, g);
}

void m8__gemm_avx512_init(struct m8__kernels *k)
{
    k->gemm_f32 = gemm_f32_avx512;
    k->gemm_bf16 = gemm_bf16_avx512;
}

void m8__kernels_avx512(struct m8__kernels *k, int cpu_flags)
{
    k->name = "avx512";
    m8__gemm_avx512_init(k);
    m8__gemm_q_avx512_init(k);
    m8__repack_avx512_init(k);
    m8__row_avx512_init(k);
    m8__vec_avx512_init(k);
    if (cpu_flags & M8_CPU_AVX512_BF16)
        m8__gemm_avx512bf16_init(k);
}
