/* gemm_q_avx512.c - gemm_q8 to gemm_q4 by vpdpbusd: 16 outputs times 4 inputs, unsigned weights by signed x.
 *
 * A tile is R rows by P panels. For a block of 32 inputs each row and panel gets a sum in int32, exact in any order (with two
 * digits of x: 256 times the first one's, then the second one's on top). It becomes a float and enters the row's sum by one fused
 * multiply-add (Q4, Q5: a second one for m), block by block.
 *
 * The x of a tile's rows is first laid out in the order in which the tile meets it: with a pointer for every row there were more
 * addresses than registers, and most of the time went into spilling them. Groups of panels that the second-level cache holds are the
 * outer loop, row tiles the next, panels the inner one. Many inputs go by in parts, the sums waiting in y meanwhile, which changes no
 * bit.
 * Few rows (decoding) are bound by memory: panels then stream by one after the other, prefetched; two streams were slower. */
#include "kernels/x86/avx512.h"
#include "kernels/x86/q_avx512.h"

enum {
    PART = 48, /* blocks laid out at a time */
    FEW = 4, /* rows that leave memory the limit */
    GROUP = 512 * 1024, /* bytes of panels that all rows go by, before the next ones */
    AHEAD = 4096 /* bytes to prefetch then */
};

struct laid_out {
    int8_t x[PART * 2 * QBLOCK * MOST_R];
    float d[PART * MOST_R], s[PART * MOST_R];
    int32_t sum[PART * MOST_R * 2];
};

static void lay_out(int kind, struct part *p, struct laid_out *to, const struct xq *x, int R, ptrdiff_t row, ptrdiff_t step, int b0, int n)
{
    int digits = x->q2 ? 2 : 1;
    ptrdiff_t d = row * x->ldd + b0, q = row * x->ldq + b0 * QBLOCK;
    if (R == 1) { /* it lies so already */
        *p = (struct part){x->q + q, QBLOCK, x->q2 ? x->q2 - x->q : 0, x->d + d, x->s + d, x->sum + 2 * d, n};
        return;
    }
    *p = (struct part){to->x, digits * R * QBLOCK, R * QBLOCK, to->d, to->s, to->sum, n};
    for (int r = 0; r < R; r++, d += step * x->ldd, q += step * x->ldq) {
        for (int digit = 0; digit < digits; digit++)
            for (int b = 0; b < n; b++)
                memcpy(to->x + ((b * digits + digit) * R + r) * QBLOCK, (digit ? x->q2 : x->q) + q + b * QBLOCK, QBLOCK);
        for (int b = 0; b < n; b++) {
            to->d[b * R + r] = x->d[d + b];
            to->s[b * R + r] = x->s[d + b];
            const int32_t *sum = x->sum + 2 * (d + b);
            to->sum[2 * (b * R + r)] = 128 * (kind == Q8 ? sum[0] + sum[1] : sum[0]);
            to->sum[2 * (b * R + r) + 1] = 128 * sum[1];
        }
    }
}

/* Adds the products of one digit: of a block, or of its half. */
INLINE void dots(const int kind, const int R, const int P, __m512i dot[MOST_R][MOST_P], const int8_t *x, const char *w, size_t panel, const int half)
{
    const int n = FOURS / HALVES(kind);
    UNROLL for (int j = half * n; j < (half + 1) * n; j++) {
        __m512i wv[MOST_P];
        UNROLL for (int p = 0; p < P; p++) {
            const uint8_t(*q)[PANEL][4] = (void *)(w + p * panel + BLOCK_SIZE(kind) - (kind == Q4 ? 4 : 8) * 64);
            wv[p] = _mm512_loadu_si512(q[j]);
            if (R <= FEW)
                _mm_prefetch((const char *)q[j] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], wv[p], fours_of(x + r * QBLOCK + 4 * j));
    }
}

INLINE void dots_q4(const int R, const int P, __m512i dot[MOST_R][MOST_P], const int8_t *x, const char *w, size_t panel)
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
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], lo[p], fours_of(x + r * QBLOCK + 4 * j));
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], hi[p], fours_of(x + r * QBLOCK + 4 * j + QBLOCK / 2));
    }
}

/* The part's blocks of R rows by the panels at w; the sums begin with y (add), or with the bias. */
INLINE void tile(const int kind, const int R, const int P, const struct m8__gemm *g, const struct part *x, int digits, const char *w, int i,
                 int o, int add, struct ahead *ahead)
{
    __m512 acc[MOST_R][MOST_P];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            acc[r][p] = sum_begins(g, i + r, o + p * PANEL, add);
    const int8_t *at = x->x;
    for (int b = 0; b < x->n; b++, w += BLOCK_SIZE(kind), at += x->block) {
        prefetch(ahead);
        for (int half = 0; half < HALVES(kind); half++) {
            __m512i dot[MOST_R][MOST_P];
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int p = 0; p < P; p++)
                    dot[r][p] = _mm512_setzero_si512();
            for (int digit = 0; digit < digits; digit++) {
                __asm__("" : "+r"(w)); /* else all codes are loaded before this loop, and the sums spill */
                UNROLL for (int r = 0; r < R; r++)
                    UNROLL for (int p = 0; p < P; p++)
                        dot[r][p] = _mm512_slli_epi32(dot[r][p], 8);
                if (kind == Q4)
                    dots_q4(R, P, dot, at + digit * x->digit, w, g->panel);
                else
                    dots(kind, R, P, dot, at + digit * x->digit, w, g->panel, half);
            }
            struct scales s[MOST_P];
            UNROLL for (int p = 0; p < P; p++)
                s[p] = scales_of(kind, w + p * g->panel, half);
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int p = 0; p < P; p++)
                    acc[r][p] = join(kind, R, acc[r][p], dot[r][p], &s[p], x, b, r, half);
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int p = 0; p < P; p++)
            sum_ends(g, i + r, o + p * PANEL, acc[r][p]);
}

/* R rows by the panels of outputs o0..o1: two at a time, unless memory is the limit. */
INLINE void rows(const int kind, const int R, const struct m8__gemm *g, int i, int o0, int o1, struct ahead *ahead)
{
    const struct xq *x = g->x;
    const int nb = g->n_in / QBLOCK, digits = x->q2 ? 2 : 1;
    struct laid_out laid;
    struct part part;
    const char *w = g->w;
    int add = g->add;
    for (int t = 0; t < g->taps; t++) {
        ptrdiff_t row = (ptrdiff_t)i * g->stride + (ptrdiff_t)t * g->dilation;
        for (int b = 0; b < nb; b += PART) {
            lay_out(kind, &part, &laid, x, R, row, g->stride, b, nb - b < PART ? nb - b : PART);
            int o = o0;
            if (g->n > FEW)
                for (; o1 - o > PANEL; o += 2 * PANEL)
                    tile(kind, R, 2, g, &part, digits, w + o / PANEL * g->panel, i, o, add, ahead);
            for (; o < o1; o += PANEL)
                tile(kind, R, 1, g, &part, digits, w + o / PANEL * g->panel, i, o, add, ahead);
            w += part.n * BLOCK_SIZE(kind);
            add = 1;
        }
    }
}

INLINE void gemm(const int kind, const struct m8__gemm *g)
{
    int n = g->n, i = 0;
    if (g->n_in == 0 || g->taps == 0) { /* nothing to sum: one part without blocks */
        struct part none = {.n = 0};
        for (; i < n; i++)
            for (int o = 0; o < g->n_out; o += PANEL)
                tile(kind, 1, 1, g, &none, 1, g->w, i, o, g->add, &(struct ahead){0});
        return;
    }
    int group = (int)(g->n > FEW ? GROUP / g->panel : INT32_MAX / PANEL) & ~1, panels = (g->n_out + PANEL - 1) / PANEL;
    int tiles = n / 6 + (n % 6 >= 4) + (n % 6 % 4 > 0);
    struct ahead ahead = ahead_of(g->soon, (int64_t)tiles * (n > FEW ? (panels + 1) / 2 : panels) * (g->n_in / QBLOCK) * g->taps);
    for (int o0 = 0, o1; o0 < g->n_out; o0 = o1) {
        o1 = (g->n_out - o0) / PANEL < group ? g->n_out : o0 + (group > 2 ? group : 2) * PANEL;
        for (i = 0; n - i >= 6; i += 6)
            rows(kind, 6, g, i, o0, o1, &ahead);
        if (n - i >= 4)
            rows(kind, 4, g, i, o0, o1, &ahead), i += 4;
        if (n - i == 3)
            rows(kind, 3, g, i, o0, o1, &ahead), i += 3;
        if (n - i >= 2)
            rows(kind, 2, g, i, o0, o1, &ahead), i += 2;
        if (n - i >= 1)
            rows(kind, 1, g, i, o0, o1, &ahead);
    }
}

static void gemm_q8_avx512(const struct m8__gemm *g) { gemm(Q8, g); }
static void gemm_q6_avx512(const struct m8__gemm *g) { gemm(Q6, g); }
static void gemm_q5_avx512(const struct m8__gemm *g) { gemm(Q5, g); }
static void gemm_q4_avx512(const struct m8__gemm *g) { gemm(Q4, g); }

void m8__gemm_q_avx512_init(struct m8__kernels *k)
{
    k->gemm_q8 = gemm_q8_avx512;
    k->gemm_q6 = gemm_q6_avx512;
    k->gemm_q5 = gemm_q5_avx512;
    k->gemm_q4 = gemm_q4_avx512;
}
