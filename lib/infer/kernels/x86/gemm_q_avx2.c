/* gemm_q_avx2.c - gemm_q8 to gemm_q4 for AVX2: vpmaddubsw takes unsigned by signed bytes and adds pairs in 16 bits.
 *
 * For Q4 and Q5 that is exact: 2 * 31 * 127 fits, and so do four of them, so two steps are added before they widen. For Q8 and Q6 the
 * stored byte (0..255) could overflow, so the sign of q goes to x: |q| <= 128 times |x| <= 127 makes pairs of at most 32512.
 * Two digits of x are put together to 16 bits, and the weights widened: vpmaddwd is exact, too. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx2.h"

enum { MOST_R = 4, AHEAD = 2048 };
enum { Q4, Q5, Q6, Q8 }; /* kinds of panels, as constants of inlined functions */
#define BLOCK_SIZE(kind)                                                                                                 \
    ((kind) == Q4 ? sizeof(struct q4_block) : (kind) == Q5 ? sizeof(struct q5_block) : (kind) == Q6 ? sizeof(struct q6_block) : sizeof(struct q8_block))

struct at { /* the first row of a tile at a tap */
    const int8_t *q, *q2;
    const float *d, *s;
    ptrdiff_t ldq, ldd; /* from row to row of y */
};

/* What follows is for eight outputs (half h of the panel) and all rows of the tile. Fours of inputs from.. to.. of a block: */
INLINE __m256i codes(const int kind, const void *w, int j, const int h)
{
    const uint8_t(*q)[PANEL][4] = (void *)((const char *)w + BLOCK_SIZE(kind) - (kind == Q4 ? 4 : 8) * 64);
    return _mm256_loadu_si256((const __m256i *)&q[j][8 * h]);
}

INLINE void dots_signed(const int kind, const int R, __m256i *dot, const void *w, const struct at *x, int b, const int h, const int from, const int to)
{
    const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8((char)0x80);
    UNROLL for (int j = from; j < to; j++) {
        __m256i wv = _mm256_xor_si256(codes(kind, w, j, h), flip), size = _mm256_abs_epi8(wv);
        UNROLL for (int r = 0; r < R; r++) {
            __m256i xv = _mm256_sign_epi8(broadcast4(x->q + r * x->ldq + b * QBLOCK + 4 * j), wv);
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(_mm256_maddubs_epi16(size, xv), ones));
        }
    }
}

INLINE void dots_small(const int kind, const int R, __m256i *dot, const void *w, const struct at *x, int b, const int h)
{
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    UNROLL for (int j = 0; j < QBLOCK / 8; j++) {
        __m256i lo = codes(kind, w, j, h), hi;
        if (kind == Q4) {
            hi = _mm256_and_si256(_mm256_srli_epi16(lo, 4), nibble);
            lo = _mm256_and_si256(lo, nibble);
        } else {
            hi = codes(kind, w, j + QBLOCK / 8, h);
        }
        UNROLL for (int r = 0; r < R; r++) {
            const int8_t *q = x->q + r * x->ldq + b * QBLOCK + 4 * j;
            __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(lo, broadcast4(q)), _mm256_maddubs_epi16(hi, broadcast4(q + QBLOCK / 2)));
            dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(sum, ones));
        }
    }
}

/* Signed weights of inputs 4j.. of a block */
INLINE __m256i weights(const int kind, const void *w, int j, const int h)
{
    if (kind == Q6 || kind == Q8)
        return _mm256_xor_si256(codes(kind, w, j, h), _mm256_set1_epi8((char)0x80));
    if (kind == Q5)
        return codes(kind, w, j, h);
    __m256i both = codes(kind, w, j % 4, h);
    return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
}

/* Two digits */
INLINE void dots_wide(const int kind, const int R, __m256i *dot, const void *w, const struct at *x, int b, const int h, const int from, const int to)
{
    int16_t wide[MOST_R][QBLOCK];
    __m256i lo[MOST_R], hi[MOST_R]; /* each output's four products as two sums */
    UNROLL for (int r = 0; r < R; r++) {
        const int8_t *q = x->q + r * x->ldq + b * QBLOCK, *q2 = x->q2 + r * x->ldq + b * QBLOCK;
        UNROLL for (int i = 0; i < QBLOCK; i += 16) {
            __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q + i)));
            __m256i second = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q2 + i)));
            _mm256_storeu_si256((__m256i *)(wide[r] + i), _mm256_add_epi16(_mm256_slli_epi16(first, 8), second));
        }
        lo[r] = hi[r] = _mm256_setzero_si256();
    }
    UNROLL for (int j = from; j < to; j++) {
        __m256i wv = weights(kind, w, j, h);
        __m256i w0 = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(wv)), w1 = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(wv, 1));
        UNROLL for (int r = 0; r < R; r++) {
            long long four;
            __builtin_memcpy(&four, wide[r] + 4 * j, sizeof four);
            __m256i xv = _mm256_set1_epi64x(four);
            lo[r] = _mm256_add_epi32(lo[r], _mm256_madd_epi16(w0, xv));
            hi[r] = _mm256_add_epi32(hi[r], _mm256_madd_epi16(w1, xv));
        }
    }
    UNROLL for (int r = 0; r < R; r++) /* hadd leaves outputs 0 1 4 5 2 3 6 7 */
        dot[r] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(lo[r], hi[r]), 0xd8);
}

INLINE __m256 halves_at(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* A block; of Q6 in two parts, whose scales differ. */
INLINE void block(const int kind, const int R, __m256 (*acc)[2], const void *w, const struct at *x, int b, const int h)
{
    const struct q4_block *q4 = w; /* all kinds begin with d */
    const struct q6_block *q6 = w;
    const int parts = kind == Q6 ? 2 : 1, fours = QBLOCK / 4 / parts;
    for (int part = 0; part < parts; part++) {
        __m256i dot[MOST_R];
        UNROLL for (int r = 0; r < R; r++)
            dot[r] = _mm256_setzero_si256();
        if (x->q2)
            dots_wide(kind, R, dot, w, x, b, h, part * fours, (part + 1) * fours);
        else if (kind == Q6 || kind == Q8)
            dots_signed(kind, R, dot, w, x, b, h, part * fours, (part + 1) * fours);
        else
            dots_small(kind, R, dot, w, x, b, h);
        __m256 dw = halves_at(q4->d + 8 * h);
        if (kind == Q6)
            dw = _mm256_mul_ps(dw, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(q6->scale[part] + 8 * h)))));
        UNROLL for (int r = 0; r < R; r++) {
            __m256 d = _mm256_mul_ps(dw, _mm256_broadcast_ss(x->d + r * x->ldd + b));
            acc[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r]), d, acc[r][h]);
            if (kind == Q4 || kind == Q5)
                acc[r][h] = _mm256_fmadd_ps(halves_at(q4->m + 8 * h), _mm256_broadcast_ss(x->s + r * x->ldd + b), acc[r][h]);
        }
    }
}

INLINE void tile(const int kind, const int R, const struct m8__gemm *g, int i, int o)
{
    const size_t size = BLOCK_SIZE(kind);
    const struct xq *x = g->x;
    const char *w = (const char *)g->w + o / PANEL * g->panel;
    const int nb = g->n_in / QBLOCK;
    __m256 acc[MOST_R][2];
    begin(R, acc, g, i, o);
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        const struct at at = {x->q + row * x->ldq, x->q2 ? x->q2 + row * x->ldq : NULL, x->d + row * x->ldd, x->s + row * x->ldd,
                              g->stride * x->ldq, g->stride * x->ldd};
        for (int b = 0; b < nb; b++, w += size) {
            if (R == 1)
                for (size_t line = 0; line < size; line += 64)
                    _mm_prefetch(w + AHEAD + line, _MM_HINT_T0);
            block(kind, R, acc, w, &at, b, 0);
            block(kind, R, acc, w, &at, b, 1);
        }
    }
    end(R, acc, g, i, o);
}

INLINE void gemm(const int kind, const struct m8__gemm *g)
{
    for (int o = 0; o < g->n_out; o += PANEL)
        for (int i = 0; i < g->n; i += MOST_R)
            switch (g->n - i) {
            case 1: tile(kind, 1, g, i, o); break;
            case 2: tile(kind, 2, g, i, o); break;
            case 3: tile(kind, 3, g, i, o); break;
            default: tile(kind, MOST_R, g, i, o); break;
            }
}

static void gemm_q8_avx2(const struct m8__gemm *g) { gemm(Q8, g); }
static void gemm_q6_avx2(const struct m8__gemm *g) { gemm(Q6, g); }
static void gemm_q5_avx2(const struct m8__gemm *g) { gemm(Q5, g); }
static void gemm_q4_avx2(const struct m8__gemm *g) { gemm(Q4, g); }

void m8__gemm_q_avx2_init(struct m8__kernels *k)
{
    k->gemm_q8 = gemm_q8_avx2;
    k->gemm_q6 = gemm_q6_avx2;
    k->gemm_q5 = gemm_q5_avx2;
    k->gemm_q4 = gemm_q4_avx2;
}
