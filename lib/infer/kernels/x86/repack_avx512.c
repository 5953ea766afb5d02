/* repack_avx512.c - a file's blocks into panels, 16 rows at a time, and products of one row of x by rows as they lie in the file: the blocks
 * become vectors as a panel holds them (rows_avx512.h), and are used at once. */
#include "kernels/x86/avx512.h"
#include "kernels/x86/rows_avx512.h"

/* ---- repack */

INLINE void store(const int kind, void *ctx, const struct taken *t)
{
    char **to = ctx;
    struct q4_block *w = (struct q4_block *)*to; /* all kinds begin with d */
    uint8_t(*q)[PANEL][4] = (void *)(*to + BLOCK_SIZE(kind) - (kind == Q4 ? 4 : 8) * 64);
    _mm256_storeu_si256((__m256i *)w->d, t->d);
    if (kind == Q4 || kind == Q5)
        _mm256_storeu_si256((__m256i *)w->m, t->m);
    if (kind == Q6) {
        _mm_storeu_si128((__m128i *)((struct q6_block *)*to)->scale[0], t->scale[0]);
        _mm_storeu_si128((__m128i *)((struct q6_block *)*to)->scale[1], t->scale[1]);
    }
    const int n = kind == Q4 ? 4 : 8;
    UNROLL for (int j = 0; j < n; j++)
        _mm512_storeu_si512(q[j], t->q[j]);
    *to += BLOCK_SIZE(kind);
}

INLINE void store_q4(void *ctx, const struct taken *t) { store(Q4, ctx, t); }
INLINE void store_q5(void *ctx, const struct taken *t) { store(Q5, ctx, t); }
INLINE void store_q6(void *ctx, const struct taken *t) { store(Q6, ctx, t); }
INLINE void store_q8(void *ctx, const struct taken *t) { store(Q8, ctx, t); }

/* ---- gemv */

struct product {
    const struct part *x;
    __m512 acc;
    int b, digits;
    const uint8_t *const *next, *const *end; /* rows to prefetch: the one at hand, behind the last */
    const uint8_t *ahead;                    /* in it */
    ptrdiff_t left;                          /* bytes of it */
    ptrdiff_t bytes;
};

/* Prefetch as many bytes as a block of 16 rows has, row after row: they follow one another in memory, as a rule. */
INLINE void prefetch(struct product *p, const int lines)
{
    if (p->next == p->end)
        return;
    UNROLL for (int i = 0; i < lines; i++)
        _mm_prefetch((const char *)p->ahead + 64 * i, _MM_HINT_T1);
    p->ahead += 64 * lines;
    p->left -= 64 * lines;
    if (p->left <= 0 && ++p->next != p->end) {
        p->ahead = *p->next;
        p->left = p->bytes;
    }
}

INLINE void multiply(const int kind, void *ctx, const struct taken *t)
{
    struct product *p = ctx;
    const int8_t *at = p->x->x + (ptrdiff_t)p->b * QBLOCK;
    struct scales s = {_mm512_cvtph_ps(t->d), _mm512_setzero_ps()};
    if (kind == Q4 || kind == Q5)
        s.m = _mm512_cvtph_ps(t->m);
    prefetch(p, kind == Q4 ? 5 : kind == Q8 ? 9 : 7);
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

INLINE struct product begin(struct part *part, const struct m8__gemm *g, const uint8_t *const next[PANEL], ptrdiff_t bytes)
{
    const struct xq *x = g->x;
    *part = (struct part){x->q, QBLOCK, x->q2 ? x->q2 - x->q : 0, x->d, x->s, x->sum, g->n_in / QBLOCK};
    struct product p = {.x = part, .acc = sum_begins(g, 0, 0, g->add), .digits = x->q2 ? 2 : 1, .next = next, .end = next, .bytes = bytes};
    if (next) {
        p.end = next + PANEL;
        p.ahead = next[0];
        p.left = bytes;
    }
    return p;
}

#define BOTH(type, kind, per, size)                                                                                      \
    static void repack_##type(void *panel, const uint8_t *const row[PANEL], int b, int n)                                \
    {                                                                                                                    \
        char *to = panel;                                                                                                \
        each_##type(row, b, n, 1, store_##kind, &to);                                                                    \
    }                                                                                                                    \
    static void gemv_##type(const struct m8__gemm *g, const uint8_t *const row[PANEL], const uint8_t *const next[PANEL]) \
    {                                                                                                                    \
        struct part part;                                                                                                \
        struct product p = begin(&part, g, next, g->n_in / (per) * (size));                                              \
        each_##type(row, 0, g->n_in / QBLOCK, 0, multiply_##kind, &p);                                                   \
        sum_ends(g, 0, 0, p.acc);                                                                                        \
    }
BOTH(q4_0, q4, 32, 18)
BOTH(q4_1, q4, 32, 20)
BOTH(q4_k, q4, 256, 144)
BOTH(q5_1, q5, 32, 24)
BOTH(q5_k, q5, 256, 176)
BOTH(q3_k, q6, 256, 110)
BOTH(q6_k, q6, 256, 210)
BOTH(q5_0, q8, 32, 22)
BOTH(q8_0, q8, 32, 34)

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
}
