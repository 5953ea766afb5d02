/* kernels.h - the arithmetic that models are made of. Plain C is the definition; faster versions replace it at start by what the
 * processor has.
 *
 * Weights are packed in *panels* of PANEL = 16 output rows, so that the 16 lanes of a vector are 16 outputs, and a sum runs through
 * the inputs in order: y[i][o] = sum over k ascending. So a row's result depends on that row alone, bit for bit, whatever the number
 * of rows, threads or panels in a call. (Versions for different processors may differ in the last bits: fused or not, and so on.)
 *
 *   F32   [panel][k][16] float
 *   BF16  [panel][k/2][16][2] bf16                       (k even, padded with zeros); x as bf16 pairs too; products summed in f32
 *   Q8    [panel][k/32] struct q8_block                  x as int8 blocks of 32 (struct xq); block sums exact in int32
 *   Q6    [panel][k/32] struct q6_block                  the same with a scale for each 16 inputs
 *   Q5    [panel][k/32] struct q5_block                  the same with w = d * q + m
 *   Q4    [panel][k/32] struct q4_block                  the same with 4-bit weights, w = d * q + m, q in 0..15
 *
 * Weights of large models stay as they lie in their file, and are brought into panels on the way, some of them at a time (repack); the
 * bits are those that panels made beforehand would give.
 *
 * x rows may overlap: a 1-D convolution with kernel width `taps` reads row i*stride + tap*dilation of x for tap 0..taps-1; its k runs
 * tap by tap, channel by channel: weights [o][tap][c]. A linear layer has taps = 1, stride = 1. The caller pads x with zero rows. */
#ifndef M8_KERNELS_H
#define M8_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define PANEL 16
#define QBLOCK 32

struct q8_block { /* 16 rows x 32 inputs; value = d[o] * q, q = stored - 128; Q8_0, Q5_0 */
    uint16_t d[PANEL]; /* float16 */
    uint8_t q[QBLOCK / 4][PANEL][4]; /* offset by 128, so that u8 x s8 products fit the hardware's form */
};
struct q6_block { /* value = d[o] * scale[i / 16][o] * q of input i; Q6_K, Q3_K */
    uint16_t d[PANEL];
    int8_t scale[2][PANEL];
    uint8_t q[QBLOCK / 4][PANEL][4]; /* offset by 128 */
};
struct q5_block { /* value = d[o] * q + m[o]; Q5_1, Q5_K */
    uint16_t d[PANEL], m[PANEL];
    uint8_t q[QBLOCK / 4][PANEL][4]; /* 0..31 */
};
struct q4_block { /* value = d[o] * q + m[o]; Q4_0, Q4_1, Q4_K */
    uint16_t d[PANEL], m[PANEL];
    uint8_t q[QBLOCK / 8][PANEL][4]; /* low nibble: inputs 4j+b of the first 16; high nibble: of the last 16 */
};
/* A row of activations as int8: for block b of 32 inputs x = d[b] * q, and s[b] = d[b] * sum of q. */
/* With a second digit (q2 not NULL) x = d[b] * (256 q + q2): 16 bits, for layers that 8 bits are too coarse for. */
struct xq {
    const int8_t *q, *q2; /* row i at q + i*ldq, ldq = k rounded up to 32; q2 NULL: one digit */
    const float *d, *s; /* row i at d + i*ldd, ldd = blocks of a row; s = d * sum */
    const int32_t *sum; /* sums of q (256 q + q2) of each half block (the offset 128 is taken back with them); row i at sum + 2*i*ldd */
    ptrdiff_t ldq, ldd;
};

/* What will be wanted next, `bytes` from each of n places: to be prefetched on the way, one after the other. */
struct m8__soon {
    const uint8_t *const *at;
    int n;
    size_t bytes;
};

struct m8__gemm {
    float *y;             /* row i, output o at y[i * ldy + o]; o counts from the first panel of the call */
    ptrdiff_t ldy;
    const void *x;        /* f32: float rows; bf16: uint16_t rows; q8 to q4: const struct xq * (rows i0.. by offset inside) */
    ptrdiff_t ldx;        /* elements from row to row */
    int n;                /* rows of y */
    int n_out;            /* outputs to write: up to PANEL * n_panels; the last panel may be partly used */
    const void *w;        /* the first panel */
    size_t panel;         /* bytes from panel to panel */
    int n_in;             /* channels (bf16: even) */
    int taps, stride, dilation;
    const float *bias;    /* [n_out] or NULL */
    int add;              /* y += instead of y = (the sum begins with y; bias is NULL then) */
    const struct m8__soon *soon; /* or NULL */
};

/* The rows of a file whose blocks can be moved into panels of blocks as they are: of which the panels are then, and what a row has. */
enum m8__blocks {
    BLOCKS_Q4_0, BLOCKS_Q4_1, BLOCKS_Q4_K, /* Q4 */
    BLOCKS_Q5_1, BLOCKS_Q5_K,              /* Q5 */
    BLOCKS_Q3_K, BLOCKS_Q6_K,              /* Q6 */
    BLOCKS_Q5_0, BLOCKS_Q8_0,              /* Q8 */
    BLOCKS_BF16, BLOCKS_F16,               /* BF16: 32 inputs of a row count as a block */
    BLOCKS_F32_WIDE, BLOCKS_BF16_WIDE, BLOCKS_F16_WIDE, /* F32: likewise; exact */
    N_BLOCKS
};
/* Blocks [b, b + n) of 32 inputs of 16 rows into a panel's blocks; b and n are multiples of 8 where the file's blocks hold 256. Exact, but
 * that scales are rounded to float16 where they are products in the file (Q4_K, Q5_K), and F16 to bf16. */
typedef void m8__repack(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon /* or NULL */);
/* A product with g->n = 1 row of x, of up to 16 outputs, by rows as they lie: what repack and gemm give, bit for bit. */
typedef void m8__gemv(const struct m8__gemm *g, const uint8_t *const row[PANEL]);

/* Pairs of rows that share their products (models/dac_pairs.c): with the taps' weights w[0..8] of a panel, [9][n_in / 2][16][2] bf16,
 *   b = bias + w[0] x[0] + w[1] x[0]'      even = (b + c) + w[4] x[2] + w[5] x[2]' + w[8] x[4]
 *   c =        w[2] x[1] + w[3] x[1]'      odd  = (b - c) + w[6] x[3] + w[7] x[3]' + w[8] x[5]
 * where x' is x `apart` elements further on. Sums run as gemm_bf16's. */
struct m8__pairs {
    float *even, *odd;    /* row i, output o at [i * ldy + o] */
    ptrdiff_t ldy;
    const uint16_t *x[6]; /* row i at x + i * ldx */
    ptrdiff_t ldx, apart;
    int n, n_out, n_in;   /* n_in: even */
    const void *w;
    size_t panel;
    const float *bias;    /* [n_out] */
};

struct m8__kernels {
    const char *name; /* "c", "avx2", "avx512", "neon" */
    void (*gemm_f32)(const struct m8__gemm *g);
    void (*gemm_bf16)(const struct m8__gemm *g);
    void (*pairs_bf16)(const struct m8__pairs *g);
    void (*gemm_q8)(const struct m8__gemm *g);
    void (*gemm_q6)(const struct m8__gemm *g);
    void (*gemm_q5)(const struct m8__gemm *g);
    void (*gemm_q4)(const struct m8__gemm *g);
    m8__repack *repack[N_BLOCKS];
    m8__gemv *gemv[N_BLOCKS]; /* NULL: repack and gemm are as good */
    /* rows and vectors; n elements; dst may be src */
    void (*to_bf16)(uint16_t *dst, const float *src, int n);                    /* nearest even */
    /* k: multiple of 32; q2 NULL: one digit, |x| <= 127 d; else two, |x| <= 127 * 256 d */
    void (*quant_row)(int8_t *q, int8_t *q2, float *d, float *s, int32_t *sum, const float *x, int k);
    void (*softmax)(float *x, int n, float scale);                              /* x = softmax(scale * x) */
    void (*gelu)(float *dst, const float *src, int n);                          /* exact, erf */
    void (*gelu_tanh)(float *dst, const float *src, int n);
    void (*silu_mul)(float *dst, const float *gate, const float *up, int n);    /* silu(gate) * up */
    void (*tanh_sigmoid)(float *dst, const float *a, const float *b, int n);    /* tanh(a) * sigmoid(b) */
    void (*tanh_v)(float *dst, const float *src, int n);
    void (*leaky)(float *dst, const float *src, int n, float slope);
    void (*add)(float *dst, const float *src, int n);                           /* dst += src */
    void (*mix_bf16)(uint16_t *dst, const float *a, const float *b, float by, int n); /* a + by * b, as to_bf16; not in place */
    /* x + by[i] * sin(pi * freq[i] * x)^2; the second as to_bf16 of the first */
    void (*snake)(float *dst, const float *src, const float *freq, const float *by, int n);
    void (*snake_bf16)(uint16_t *dst, const float *src, const float *freq, const float *by, int n);
    void (*layer_norm)(float *dst, const float *x, const float *gamma, const float *beta, int n, float eps);
    void (*rms_norm)(float *dst, const float *x, const float *w, int n, float eps);
};

enum { M8_CPU_AVX2 = 1, M8_CPU_AVX512 = 2 /* f, bw, vl, dq, vnni */, M8_CPU_AVX512_BF16 = 4, M8_CPU_NEON = 8, M8_CPU_DOTPROD = 16 };
int m8__cpu_flags(void); /* what this processor has; MAGIC8_CPU=c|avx2|avx512 in the environment lowers it */
/* The table for a set of flags; static, filled once. */
const struct m8__kernels *m8__kernels_get(int cpu_flags);

/* Each file of kernels puts its functions over those of the table. */
void m8__kernels_c(struct m8__kernels *k);
void m8__kernels_avx2(struct m8__kernels *k);
void m8__kernels_avx512(struct m8__kernels *k, int cpu_flags);
void m8__kernels_neon(struct m8__kernels *k, int cpu_flags);

#endif
