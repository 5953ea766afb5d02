/* repack_avx512.c - a file's blocks into panels, 16 rows at a time, and products of one row of x by rows as they lie in the file: the blocks
 * become vectors as a panel holds them (rows_avx512.h), and are used at once. */
#include "kernels/x86/avx512.h"
#include "kernels/x86/rows_avx512.h"

/* ---- repack */

struct storing {
    char *to;
    struct ahead ahead;
};

INLINE void store(const int kind, void *ctx, const struct taken *t)
{
    struct storing *s = ctx;
    struct q4_block *w = (struct q4_block *)s->to; /* all kinds begin with d */
    struct q6_block *q6 = (struct q6_block *)s->to;
    uint8_t(*q)[PANEL][4] = (void *)(s->to + BLOCK_SIZE(kind) - (kind == Q4 ? 4 : 8) * 64);
    const int n = kind == Q4 ? 4 : 8;
    prefetch(&s->ahead);
    _mm256_storeu_si256((__m256i *)w->d, t->d);
    if (kind == Q4 || kind == Q5)
        _mm256_storeu_si256((__m256i *)w->m, t->m);
    if (kind == Q6) {
        _mm_storeu_si128((__m128i *)q6->scale[0], t->scale[0]);
        _mm_storeu_si128((__m128i *)q6->scale[1], t->scale[1]);
    }
    UNROLL for (int j = 0; j < n; j++)
        _mm512_storeu_si512(q[j], t->q[j]);
    s->to += BLOCK_SIZE(kind);
}

INLINE void store_q4(void *ctx, const struct taken *t) { store(Q4, ctx, t); }
INLINE void store_q5(void *ctx, const struct taken *t) { store(Q5, ctx, t); }
INLINE void store_q6(void *ctx, const struct taken *t) { store(Q6, ctx, t); }
INLINE void store_q8(void *ctx, const struct taken *t) { store(Q8, ctx, t); }

/* Rows of bf16: pairs of inputs are words of four bytes. Of float16: the halves of a word are rounded to bf16. */
INLINE __m512i round_bf16s(__m256i halves) /* the bf16 is the word's upper half */
{
    __m512 f = _mm512_cvtph_ps(halves);
    __m512i u = _mm512_castps_si512(f), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(f, f, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
}

INLINE void repack_16(const int f16, char *to, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    struct ahead ahead = ahead_of(soon, 4 * (int64_t)n);
    for (ptrdiff_t at = (ptrdiff_t)b * 64, end = at + (ptrdiff_t)n * 64; at < end; at += 16, to += 256) {
        __m512i w[4];
        columns(w, row, at);
        prefetch(&ahead);
        UNROLL for (int j = 0; j < 4; j++) {
            if (f16)
                w[j] = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(round_bf16s(low_halves(w[j])), 16), round_bf16s(high_halves(w[j])));
            _mm512_storeu_si512(to + 64 * j, w[j]);
        }
    }
}

static void repack_bf16(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    repack_16(0, panel, row, b, n, soon);
}

static void repack_f16(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    repack_16(1, panel, row, b, n, soon);
}

/* Floats: the words of 16 bytes of each row, or what their halves mean. */
INLINE __m512 wide(const int f16, __m512i words, const int half)
{
    if (f16)
        return _mm512_cvtph_ps(half ? high_halves(words) : low_halves(words));
    return _mm512_castsi512_ps(half ? _mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000)) : _mm512_slli_epi32(words, 16));
}

INLINE void repack_wide(const int size, const int f16, float *to, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    const int each = 16 / size; /* inputs of a step */
    struct ahead ahead = ahead_of(soon, (int64_t)n * QBLOCK / each);
    ptrdiff_t block = QBLOCK * size;
    for (ptrdiff_t at = b * block, end = at + n * block; at < end; at += 16, to += each * PANEL) {
        __m512i w[4];
        columns(w, row, at);
        prefetch(&ahead);
        UNROLL for (int j = 0; j < 4; j++) {
            if (size == 4)
                _mm512_storeu_si512(to + j * PANEL, w[j]);
            else
                UNROLL for (int half = 0; half < 2; half++)
                    _mm512_storeu_ps(to + (2 * j + half) * PANEL, wide(f16, w[j], half));
        }
    }
}

static void repack_f32_wide(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    repack_wide(4, 0, panel, row, b, n, soon);
}

static void repack_bf16_wide(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    repack_wide(2, 0, panel, row, b, n, soon);
}

static void repack_f16_wide(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)
{
    repack_wide(2, 1, panel, row, b, n, soon);
}

/* ---- gemv */

struct product {
    const struct part *x;
    __m512 acc;
    int b, digits;
    struct ahead ahead;
};

INLINE void multiply(const int kind, void *ctx, const struct taken *t)
{
    struct product *p = ctx;
    const int8_t *at = p->x->x + (ptrdiff_t)p->b * QBLOCK;
    struct scales s = {_mm512_cvtph_ps(t->d), _mm512_setzero_ps()};
    if (kind == Q4 || kind == Q5)
        s.m = _mm512_cvtph_ps(t->m);
    prefetch(&p->ahead);
    for (int half = 0; half < HALVES(kind); half++) {
        const int n = FOURS / HALVES(kind);
        __m512i dot = _mm512_setzero_si512();
        for (int digit = 0; digit < p->digits; digit++) {
            dot = _mm512_slli_epi32(dot, 8);
            __m512i two = _mm512_setzero_si512(); /* two chains of sums, since each waits for itself */
            UNROLL for (int j = 0; j < n; j += 2) {
                const int8_t *x = at + digit * p->x->digit + 4 * (half * n + j);
                dot = _mm512_dpbusd_epi32(dot, t->q[half * n + j], fours_of(x));
                two = _mm512_dpbusd_epi32(two, t->q[half * n + j + 1], fours_of(x + 4));
            }
            dot = _mm512_add_epi32(dot, two);
        }
        struct scales part = s;
        if (kind == Q6)
            part.d = _mm512_mul_ps(s.d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(t->scale[half])));
        p->acc = join(kind, 1, p->acc, dot, &part, p->x, p->b, 0, half);
    }
    p->b++;
}

INLINE void multiply_q4(void *ctx, const struct taken *t) { multiply(Q4, ctx, t); }
INLINE void multiply_q5(void *ctx, const struct taken *t) { multiply(Q5, ctx, t); }
INLINE void multiply_q6(void *ctx, const struct taken *t) { multiply(Q6, ctx, t); }
INLINE void multiply_q8(void *ctx, const struct taken *t) { multiply(Q8, ctx, t); }

INLINE struct product begin(struct part *part, const struct m8__gemm *g)
{
    const struct xq *x = g->x;
    *part = (struct part){x->q, QBLOCK, x->q2 ? x->q2 - x->q : 0, x->d, x->s, x->sum, g->n_in / QBLOCK};
    return (struct product){part, sum_begins(g, 0, 0, g->add), 0, x->q2 ? 2 : 1, ahead_of(g->soon, part->n)};
}

#define BOTH(type, kind)                                                                                                 \
    static void repack_##type(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon)   \
    {                                                                                                                    \
        struct storing s = {panel, ahead_of(soon, n)};                                                                   \
        each_##type(row, b, n, 1, store_##kind, &s);                                                                     \
    }                                                                                                                    \
    static void gemv_##type(const struct m8__gemm *g, const uint8_t *const row[PANEL])                                   \
    {                                                                                                                    \
        struct part part;                                                                                                \
        struct product p = begin(&part, g);                                                                              \
        each_##type(row, 0, g->n_in / QBLOCK, 0, multiply_##kind, &p);                                                   \
        sum_ends(g, 0, 0, p.acc);                                                                                        \
    }
BOTH(q4_0, q4)
BOTH(q4_1, q4)
BOTH(q4_k, q4)
BOTH(q5_1, q5)
BOTH(q5_k, q5)
BOTH(q3_k, q6)
BOTH(q6_k, q6)
BOTH(q5_0, q8)
BOTH(q8_0, q8)

void m8__repack_avx512_init(struct m8__kernels *k)
{
#define PUT(name, type) k->repack[BLOCKS_##name] = repack_##type, k->gemv[BLOCKS_##name] = gemv_##type
    PUT(Q4_0, q4_0);
    PUT(Q4_1, q4_1);
    PUT(Q4_K, q4_k);
    PUT(Q5_1, q5_1);
    PUT(Q5_K, q5_k);
    PUT(Q3_K, q3_k);
    PUT(Q6_K, q6_k);
    PUT(Q5_0, q5_0);
    PUT(Q8_0, q8_0);
#undef PUT
    k->repack[BLOCKS_BF16] = repack_bf16;
    k->repack[BLOCKS_F16] = repack_f16;
    k->repack[BLOCKS_F32_WIDE] = repack_f32_wide;
    k->repack[BLOCKS_BF16_WIDE] = repack_bf16_wide;
    k->repack[BLOCKS_F16_WIDE] = repack_f16_wide;
}
