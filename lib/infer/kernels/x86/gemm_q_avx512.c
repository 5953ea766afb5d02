/* gemm_q_avx512.c - gemm_q8 and gemm_q4 by vpdpbusd: 16 outputs times 4 inputs, unsigned weights by signed x.
 *
 * A tile is R rows by P panels. For a block of 32 inputs each row and panel gets a sum in int32, exact in any order (with two
 * digits of x: 256 times the first one's, then the second one's on top). It becomes a float and enters the row's sum by one fused
 * multiply-add (Q4: a second one for m), block by block.
 *
 * The x of a tile's rows is first laid out in the order in which the tile meets it: with a pointer for every row there were more
 * addresses than registers, and most of the time went into spilling them. Groups of panels that the second-level cache holds are the
 * outer loop, row tiles the next, panels the inner one. Many inputs go by in parts, the sums waiting in y meanwhile, which changes no
 * bit.
 * Few rows (decoding) are bound by memory: panels then stream by one after the other, prefetched; two streams were slower. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx512.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
enum {
    MOST_R = 6,
    MOST_P = 2,
    PART = 48, /* blocks laid out at a time */
    FOURS = QBLOCK / 4,
    FEW = 4, /* rows that leave memory the limit */
    GROUP = 512 * 1024, /* bytes of panels that all rows go by, before the next ones */
    AHEAD = 4096 /* bytes to prefetch then */
};

/* x of R rows: block by block, digit by digit, row by row, 4 inputs by 4 inputs. */
struct part {
    int32_t x[PART * 2 * FOURS * MOST_R];
    float d[PART * MOST_R], s[PART * MOST_R];
    int32_t offset[PART * MOST_R]; /* 128 times the sum of a block */
    int n; /* blocks */
};

static void lay_out(struct part *p, const struct xq *x, int R, ptrdiff_t row, ptrdiff_t step, int b0, int n)
{
    int digits = x->q2 ? 2 : 1;
    p->n = n;
    for (int r = 0; r < R; r++, row += step) {
        for (int digit = 0; digit < digits; digit++) {
            const int8_t *q = (digit ? x->q2 : x->q) + row * x->ldq + b0 * QBLOCK;
            for (int b = 0; b < n; b++)
                memcpy(p->x + ((b * digits + digit) * R + r) * FOURS, q + b * QBLOCK, QBLOCK);
        }
        for (int b = 0; b < n; b++) {
            p->d[b * R + r] = x->d[row * x->ldd + b0 + b];
            p->s[b * R + r] = x->s[row * x->ldd + b0 + b];
            p->offset[b * R + r] = 128 * x->sum[row * x->ldd + b0 + b];
        }
    }
}

/* Adds a block's products of one digit. */
INLINE void dots_q8(const int R, const int P, __m512i dot[MOST_R][MOST_P], const int32_t *x, const char *w, size_t panel)
{
    UNROLL for (int j = 0; j < FOURS; j++) {
        __m512i wv[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const struct q8_block *at = (const struct q8_block *)(w + p * panel);
            wv[p] = _mm512_loadu_si512(at->q[j]);
            if (R <= FEW)
                _mm_prefetch((const char *)at->q[j] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], wv[p], _mm512_set1_epi32(x[r * FOURS + j]));
    }
}

INLINE void dots_q4(const int R, const int P, __m512i dot[MOST_R][MOST_P], const int32_t *x, const char *w, size_t panel)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    UNROLL for (int j = 0; j < FOURS / 2; j++) {
        __m512i lo[MOST_P], hi[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const struct q4_block *at = (const struct q4_block *)(w + p * panel);
            __m512i both = _mm512_loadu_si512(at->q[j]);
            lo[p] = _mm512_and_si512(both, nibble);
            hi[p] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            if (R <= FEW)
                _mm_prefetch((const char *)at->q[j] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], lo[p], _mm512_set1_epi32(x[r * FOURS + j]));
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], hi[p], _mm512_set1_epi32(x[r * FOURS + j + FOURS / 2]));
    }
}

/* A block's integer sums become floats and join the rows' sums. */
INLINE void join_q8(const int R, const int P, __m512 acc[MOST_R][MOST_P], __m512i dot[MOST_R][MOST_P], const struct part *x, int b,
                    const char *w, size_t panel)
{
    __m512 dw[MOST_P];
    UNROLL for (int p = 0; p < P; p++)
        dw[p] = _mm512_loadu_ps(((const struct q8_block *)(w + p * panel))->d);
    UNROLL for (int r = 0; r < R; r++) {
        __m512i offset = _mm512_set1_epi32(x->offset[b * R + r]);
        __m512 dx = _mm512_set1_ps(x->d[b * R + r]);
        UNROLL for (int p = 0; p < P; p++)
            acc[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(dot[r][p], offset)), _mm512_mul_ps(dw[p], dx), acc[r][p]);
    }
}

INLINE void join_q4(const int R, const int P, __m512 acc[MOST_R][MOST_P], __m512i dot[MOST_R][MOST_P], const struct part *x, int b,
                    const char *w, size_t panel)
{
    __m512 dw[MOST_P], mw[MOST_P];
    UNROLL for (int p = 0; p < P; p++) {
        const struct q4_block *at = (const struct q4_block *)(w + p * panel);
        dw[p] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at->d));
        mw[p] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at->m));
    }
    UNROLL for (int r = 0; r < R; r++) {
        __m512 dx = _mm512_set1_ps(x->d[b * R + r]), sx = _mm512_set1_ps(x->s[b * R + r]);
        UNROLL for (int p = 0; p < P; p++) {
            acc[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][p]), _mm512_mul_ps(dw[p], dx), acc[r][p]);
            acc[r][p] = _mm512_fmadd_ps(mw[p], sx, acc[r][p]);
        }
    }
}

/* The part's blocks of R rows by the panels at w; the sums begin with y (add), or with the bias. */
INLINE void tile(const int bits, const int R, const int P, const struct m8__gemm *g, const struct part *x, int digits, const char *w, int i,
                 int o, int add)
{
    int over = o + P * PANEL - g->n_out;
    const __mmask16 last = (__mmask16)(0xffff >> (over > 0 ? over : 0));
    const size_t block = bits == 8 ? sizeof(struct q8_block) : sizeof(struct q4_block);
    float *y = g->y + i * g->ldy + o;
    __m512 acc[MOST_R][MOST_P];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++) {
            __mmask16 m = p == P - 1 ? last : 0xffff;
            acc[r][p] = _mm512_setzero_ps();
            if (add)
                acc[r][p] = _mm512_maskz_loadu_ps(m, y + r * g->ldy + p * PANEL);
            else if (g->bias)
                acc[r][p] = _mm512_maskz_loadu_ps(m, g->bias + o + p * PANEL);
        }
    const int32_t *at = x->x;
    for (int b = 0; b < x->n; b++, w += block) {
        __m512i dot[MOST_R][MOST_P];
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_setzero_si512();
        for (int digit = 0; digit < digits; digit++, at += FOURS * R) {
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int p = 0; p < P; p++)
                    dot[r][p] = _mm512_slli_epi32(dot[r][p], 8);
            if (bits == 8)
                dots_q8(R, P, dot, at, w, g->panel);
            else
                dots_q4(R, P, dot, at, w, g->panel);
        }
        if (bits == 8)
            join_q8(R, P, acc, dot, x, b, w, g->panel);
        else
            join_q4(R, P, acc, dot, x, b, w, g->panel);
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            _mm512_mask_storeu_ps(y + r * g->ldy + p * PANEL, p == P - 1 ? last : 0xffff, acc[r][p]);
}

/* R rows by the panels of outputs o0..o1: two at a time, unless memory is the limit. */
INLINE void rows(const int bits, const int R, const struct m8__gemm *g, int i, int o0, int o1)
{
    const struct xq *x = g->x;
    const size_t block = bits == 8 ? sizeof(struct q8_block) : sizeof(struct q4_block);
    const int nb = g->n_in / QBLOCK, digits = x->q2 ? 2 : 1;
    struct part part;
    const char *w = g->w;
    int add = g->add;
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        for (int b = 0; b < nb; b += PART) {
            lay_out(&part, x, R, row, g->stride, b, nb - b < PART ? nb - b : PART);
            int o = o0;
            if (g->n > FEW)
                for (; o1 - o > PANEL; o += 2 * PANEL)
                    tile(bits, R, 2, g, &part, digits, w + o / PANEL * g->panel, i, o, add);
            for (; o < o1; o += PANEL)
                tile(bits, R, 1, g, &part, digits, w + o / PANEL * g->panel, i, o, add);
            w += part.n * block;
            add = 1;
        }
    }
}

INLINE void gemm(const int bits, const struct m8__gemm *g)
{
    int n = g->n, i = 0;
    if (g->n_in == 0 || g->taps == 0) { /* nothing to sum: one part without blocks */
        struct part none = {.n = 0};
        for (; i < n; i++)
            for (int o = 0; o < g->n_out; o += PANEL)
                tile(bits, 1, 1, g, &none, 1, g->w, i, o, g->add);
        return;
    }
    int group = (int)(g->n > FEW ? GROUP / g->panel : INT32_MAX / PANEL) & ~1;
    for (int o0 = 0, o1; o0 < g->n_out; o0 = o1) {
        o1 = (g->n_out - o0) / PANEL < group ? g->n_out : o0 + (group > 2 ? group : 2) * PANEL;
        for (i = 0; n - i >= 6; i += 6)
            rows(bits, 6, g, i, o0, o1);
        if (n - i >= 4)
            rows(bits, 4, g, i, o0, o1), i += 4;
        if (n - i >= 2)
            rows(bits, 2, g, i, o0, o1), i += 2;
        if (n - i >= 1)
            rows(bits, 1, g, i, o0, o1);
    }
}

static void gemm_q8_avx512(const struct m8__gemm *g)
{
    gemm(8, g);
}

static void gemm_q4_avx512(const struct m8__gemm *g)
{
    gemm(4, g);
}

void m8__gemm_q_avx512_init(struct m8__kernels *k)
{
    k->gemm_q8 = gemm_q8_avx512;
    k->gemm_q4 = gemm_q4_avx512;
}
