/* avx512.h - who fills which part of the table. */
#ifndef M8_KERNELS_AVX512_H
#define M8_KERNELS_AVX512_H

struct m8__kernels;
void m8__gemm_avx512_init(struct m8__kernels *k);
void m8__gemm_avx512bf16_init(struct m8__kernels *k);
void m8__pairs_avx512bf16_init(struct m8__kernels *k);
void m8__gemm_q_avx512_init(struct m8__kernels *k);
void m8__vec_avx512_init(struct m8__kernels *k);
void m8__repack_avx512_init(struct m8__kernels *k);
void m8__row_avx512_init(struct m8__kernels *k);

#endif
