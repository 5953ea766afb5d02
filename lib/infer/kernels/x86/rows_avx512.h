/* rows_avx512.h - 16 rows of a file's blocks in vectors of a panel's order. 16 bytes of each row are loaded into quarters of four vectors,
 * and transposed as 4 x 4 words of four bytes within each quarter. Nothing outside of the rows' blocks is read.
 *
 * each_TYPE goes by blocks b to b + n and hands each to `take`, an inlined function: repack stores them, gemv multiplies them. */
#ifndef M8_KERNELS_ROWS_AVX512_H
#define M8_KERNELS_ROWS_AVX512_H

#include "kernels/x86/q_avx512.h"

/* A block of 16 rows. Q4: q[0..4) as a panel has it when `packed`, else a nibble a byte in q[0..8), as the other kinds have their codes. */
struct taken {
    __m512i q[FOURS];
    __m256i d, m;     /* float16 */
    __m128i scale[2]; /* Q6 */
};
#define EACH(type) INLINE void each_##type(const uint8_t *const row[PANEL], int b, int n, const int packed, void (*take)(void *, const struct taken *), void *ctx)

/* 16 bytes from `at` of rows r, r + 4, r + 8, r + 12 in the quarters of a vector. */
INLINE __m512i quarters(const uint8_t *const row[PANEL], const int r, ptrdiff_t at)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(row[r] + at)));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(row[r + 4] + at)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(row[r + 8] + at)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(row[r + 12] + at)), 3);
}

/* 16 bytes from `at` of each row: vector j has bytes 4j.. of row after row. */
INLINE void columns(__m512i q[4], const uint8_t *const row[PANEL], ptrdiff_t at)
{
    __m512i a = quarters(row, 0, at), b = quarters(row, 1, at), c = quarters(row, 2, at), d = quarters(row, 3, at);
    __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
    q[0] = _mm512_unpacklo_epi64(ab, cd);
    q[1] = _mm512_unpackhi_epi64(ab, cd);
    ab = _mm512_unpackhi_epi32(a, b);
    cd = _mm512_unpackhi_epi32(c, d);
    q[2] = _mm512_unpacklo_epi64(ab, cd);
    q[3] = _mm512_unpackhi_epi64(ab, cd);
}

/* Words of four bytes from `at` of each row. */
INLINE __m512i words(const uint8_t *const row[PANEL], ptrdiff_t at)
{
    int32_t w[PANEL];
    for (int o = 0; o < PANEL; o++)
        memcpy(&w[o], row[o] + at, 4);
    return _mm512_loadu_si512(w);
}

INLINE __m256i low_halves(__m512i words) { return _mm512_cvtepi32_epi16(words); }
INLINE __m256i high_halves(__m512i words) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16)); }

INLINE __m512i between(__m512i a, __m512i b) /* words that begin in the middle of those of a */
{
    return _mm512_or_si512(_mm512_srli_epi32(a, 16), _mm512_slli_epi32(b, 16));
}

/* a where the mask's bits are, b elsewhere: of each byte. */
INLINE __m512i bits(const int mask, __m512i a, __m512i b)
{
    return _mm512_ternarylogic_epi32(_mm512_set1_epi8((char)mask), a, b, 0xca);
}

INLINE __m512i nibble(__m512i a, const int high)
{
    return _mm512_and_si512(high ? _mm512_srli_epi16(a, 4) : a, _mm512_set1_epi8(15));
}

/* Nibbles of words in the order of a panel. */
INLINE void put_nibbles(struct taken *t, const __m512i w[4], const int packed)
{
    UNROLL for (int j = 0; j < 4; j++) {
        t->q[j] = packed ? w[j] : nibble(w[j], 0);
        if (!packed)
            t->q[j + 4] = nibble(w[j], 1);
    }
}

INLINE __m256i times_minus_8(__m256i d)
{
    return _mm512_cvtps_ph(_mm512_mul_ps(_mm512_cvtph_ps(d), _mm512_set1_ps(-8)), _MM_FROUND_TO_NEAREST_INT);
}

EACH(q4_0) /* 18 bytes: eight blocks are nine times 16 bytes; every other one begins in the middle of a word */
{
    ptrdiff_t at = (ptrdiff_t)b * 18;
    struct taken t;
    for (; n >= 8; n -= 8, at += 144) {
        __m512i w[36], q[4];
        UNROLL for (int i = 0; i < 9; i++)
            columns(w + 4 * i, row, at + 16 * i);
        UNROLL for (int i = 0; i < 36; i += 9) {
            UNROLL for (int j = 0; j < 4; j++)
                q[j] = between(w[i + j], w[i + j + 1]);
            put_nibbles(&t, q, packed);
            t.d = low_halves(w[i]);
            t.m = times_minus_8(t.d);
            take(ctx, &t);
            put_nibbles(&t, w + i + 5, packed);
            t.d = high_halves(w[i + 4]);
            t.m = times_minus_8(t.d);
            take(ctx, &t);
        }
    }
    for (; n > 0; n--, at += 18) {
        __m512i q[4];
        columns(q, row, at + 2);
        put_nibbles(&t, q, packed);
        t.d = low_halves(words(row, at));
        t.m = times_minus_8(t.d);
        take(ctx, &t);
    }
}

EACH(q4_1) /* 20 bytes: four blocks are five times 16 bytes */
{
    ptrdiff_t at = (ptrdiff_t)b * 20;
    struct taken t;
    for (; n >= 4; n -= 4, at += 80) {
        __m512i w[20];
        UNROLL for (int i = 0; i < 5; i++)
            columns(w + 4 * i, row, at + 16 * i);
        UNROLL for (int i = 0; i < 20; i += 5) {
            put_nibbles(&t, w + i + 1, packed);
            t.d = low_halves(w[i]);
            t.m = high_halves(w[i]);
            take(ctx, &t);
        }
    }
    for (; n > 0; n--, at += 20) {
        __m512i q[4], dm = words(row, at);
        columns(q, row, at + 4);
        put_nibbles(&t, q, packed);
        t.d = low_halves(dm);
        t.m = high_halves(dm);
        take(ctx, &t);
    }
}

/* Q4_K and Q5_K: scales and minima of eight blocks of 32, four in each byte of a word; d and the minima's -d. */
struct scales_k {
    __m512 d, m;
    __m512i scale[2], min[2];
};

INLINE struct scales_k scales_k(const uint8_t *const row[PANEL], ptrdiff_t at)
{
    __m512i h[4];
    columns(h, row, at);
    const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30);
    struct scales_k s;
    s.d = _mm512_cvtph_ps(low_halves(h[0]));
    s.m = _mm512_xor_ps(_mm512_cvtph_ps(high_halves(h[0])), _mm512_set1_ps(-0.0f));
    s.scale[0] = _mm512_and_si512(h[1], six);
    s.min[0] = _mm512_and_si512(h[2], six);
    s.scale[1] = _mm512_or_si512(_mm512_and_si512(h[3], four), _mm512_and_si512(_mm512_srli_epi32(h[1], 2), two));
    s.min[1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(h[3], 4), four), _mm512_and_si512(_mm512_srli_epi32(h[2], 2), two));
    return s;
}

INLINE __m256i scale_k(__m512 d, __m512i scales, int i) /* of block i, as float16 */
{
    __m512i s = _mm512_and_si512(_mm512_srli_epi32(scales, (unsigned)(i % 4 * 8)), _mm512_set1_epi32(255));
    return _mm512_cvtps_ph(_mm512_mul_ps(d, _mm512_cvtepi32_ps(s)), _MM_FROUND_TO_NEAREST_INT);
}

EACH(q4_k)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)(b / 8) * 144; n > 0; n -= 8, at += 144) {
        struct scales_k s = scales_k(row, at);
        UNROLL for (int i = 0; i < 8; i += 2) {
            __m512i lo[4], hi[4];
            columns(lo, row, at + 16 + 16 * i);
            columns(hi, row, at + 32 + 16 * i);
            UNROLL for (int odd = 0; odd < 2; odd++) {
                UNROLL for (int j = 0; j < 4; j++) {
                    if (packed && odd) {
                        t.q[j] = bits(0x0f, _mm512_srli_epi16(lo[j], 4), hi[j]);
                    } else if (packed) {
                        t.q[j] = bits(0x0f, lo[j], _mm512_slli_epi16(hi[j], 4));
                    } else {
                        t.q[j] = nibble(lo[j], odd);
                        t.q[j + 4] = nibble(hi[j], odd);
                    }
                }
                t.d = scale_k(s.d, s.scale[i / 4], i + odd);
                t.m = scale_k(s.m, s.min[i / 4], i + odd);
                take(ctx, &t);
            }
        }
    }
}

EACH(q5_k)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)(b / 8) * 176; n > 0; n -= 8, at += 176) {
        struct scales_k s = scales_k(row, at);
        __m512i high[8], w[8];
        columns(high, row, at + 16);
        columns(high + 4, row, at + 32);
        for (int i = 0; i < 8; i++) {
            columns(w, row, at + 48 + i / 2 * 32);
            columns(w + 4, row, at + 64 + i / 2 * 32);
            UNROLL for (int j = 0; j < 8; j++) {
                __m512i bit = _mm512_and_si512(_mm512_srli_epi16(high[j], (unsigned)i), _mm512_set1_epi8(1));
                t.q[j] = bits(0x0f, _mm512_srli_epi16(w[j], (unsigned)(i % 2 * 4)), _mm512_slli_epi16(bit, 4));
            }
            t.d = scale_k(s.d, i < 4 ? s.scale[0] : s.scale[1], i);
            t.m = scale_k(s.m, i < 4 ? s.min[0] : s.min[1], i);
            take(ctx, &t);
        }
    }
}

INLINE __m512i six_bits(__m512i low, __m512i high) /* four bits and two */
{
    __m512i q = _mm512_and_si512(bits(0x0f, low, high), _mm512_set1_epi8(0x3f));
    return _mm512_add_epi8(q, _mm512_set1_epi8(128 - 32));
}

EACH(q6_k)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)(b / 8) * 210; n > 0; n -= 8, at += 210) {
        __m512i scale[4];
        columns(scale, row, at + 192);
        t.d = high_halves(words(row, at + 206));
        for (int half = 0; half < 2; half++) {
            __m512i high[8], lows[16];
            columns(high, row, at + 128 + 32 * half);
            columns(high + 4, row, at + 144 + 32 * half);
            UNROLL for (int i = 0; i < 4; i++)
                columns(lows + 4 * i, row, at + 64 * half + 16 * i);
            UNROLL for (int i = 0; i < 4; i++) { /* blocks i and i + 2 share their bytes of low bits */
                const __m512i *low = lows + i % 2 * 8;
                UNROLL for (int j = 0; j < 8; j++) {
                    __m512i h = i < 2 ? _mm512_slli_epi16(high[j], i ? 2 : 4) : i == 2 ? high[j] : _mm512_srli_epi16(high[j], 2);
                    t.q[j] = six_bits(i < 2 ? low[j] : _mm512_srli_epi16(low[j], 4), h);
                }
                __m512i s = half ? scale[2 + i / 2] : scale[i / 2];
                t.scale[0] = _mm512_cvtepi32_epi8(_mm512_srli_epi32(s, i % 2 * 16));
                t.scale[1] = _mm512_cvtepi32_epi8(_mm512_srli_epi32(s, i % 2 * 16 + 8));
                take(ctx, &t);
            }
        }
    }
}

/* 16 scales of 6 bits in 12 bytes */
INLINE void scales_q3_k(int8_t to[16][PANEL], const uint8_t *const row[PANEL], ptrdiff_t at)
{
    __m512i w[4]; /* from two bytes before them, so that nothing behind the block is read */
    columns(w, row, at - 2);
    const __m512i four = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30), off = _mm512_set1_epi8(32);
    __m512i a = between(w[0], w[1]), b = between(w[1], w[2]), high = between(w[2], w[3]);
    UNROLL for (int i = 0; i < 4; i++) {
        __m512i low = i % 2 ? b : a, top = i == 0 ? _mm512_slli_epi16(high, 4) : i == 1 ? _mm512_slli_epi16(high, 2) : i == 2 ? high : _mm512_srli_epi16(high, 2);
        low = _mm512_and_si512(i < 2 ? low : _mm512_srli_epi16(low, 4), four);
        low = _mm512_sub_epi8(_mm512_or_si512(low, _mm512_and_si512(top, two)), off);
        UNROLL for (int j = 0; j < 4; j++)
            _mm_storeu_si128((__m128i *)to[4 * i + j], _mm512_cvtepi32_epi8(_mm512_srli_epi32(low, 8 * j)));
    }
}

EACH(q3_k)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)(b / 8) * 110; n > 0; n -= 8, at += 110) {
        int8_t scale[16][PANEL];
        __m512i high[8], w[8];
        scales_q3_k(scale, row, at + 96);
        t.d = high_halves(words(row, at + 106));
        columns(high, row, at);
        columns(high + 4, row, at + 16);
        for (int i = 0; i < 8; i++) {
            columns(w, row, at + 32 + i / 4 * 32);
            columns(w + 4, row, at + 48 + i / 4 * 32);
            UNROLL for (int j = 0; j < 8; j++) {
                __m512i bit = _mm512_and_si512(_mm512_srli_epi16(high[j], (unsigned)i), _mm512_set1_epi8(1));
                __m512i two = _mm512_and_si512(_mm512_srli_epi16(w[j], (unsigned)(i % 4 * 2)), _mm512_set1_epi8(3));
                t.q[j] = _mm512_add_epi8(_mm512_or_si512(two, _mm512_slli_epi16(bit, 2)), _mm512_set1_epi8(128 - 4));
            }
            t.scale[0] = _mm_loadu_si128((const __m128i *)scale[2 * i]);
            t.scale[1] = _mm_loadu_si128((const __m128i *)scale[2 * i + 1]);
            take(ctx, &t);
        }
    }
}

/* Q5_0 and Q5_1: 16 bytes of nibbles, and a bit more of each in the words `high`. */
INLINE void five_bits(struct taken *t, const uint8_t *const row[PANEL], ptrdiff_t nibbles, __m512i high, const int add)
{
    __m512i w[4];
    columns(w, row, nibbles);
    UNROLL for (int j = 0; j < 8; j++) {
        __m512i four = _mm512_and_si512(_mm512_srli_epi32(high, (unsigned)(4 * j)), _mm512_set1_epi32(15));
        four = _mm512_and_si512(_mm512_mullo_epi32(four, _mm512_set1_epi32(0x00204081)), _mm512_set1_epi32(0x01010101)); /* a bit a byte */
        __m512i q = bits(0x0f, j < 4 ? w[j] : _mm512_srli_epi16(w[j - 4], 4), _mm512_slli_epi16(four, 4));
        t->q[j] = add ? _mm512_add_epi8(q, _mm512_set1_epi8((char)add)) : q;
    }
}

EACH(q5_0)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)b * 22; n > 0; n--, at += 22) {
        t.d = low_halves(words(row, at));
        five_bits(&t, row, at + 6, words(row, at + 2), 128 - 16);
        take(ctx, &t);
    }
}

EACH(q5_1)
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)b * 24; n > 0; n--, at += 24) {
        __m512i dm = words(row, at);
        t.d = low_halves(dm);
        t.m = high_halves(dm);
        five_bits(&t, row, at + 8, words(row, at + 4), 0);
        take(ctx, &t);
    }
}

EACH(q8_0) /* 34 bytes: 32 from the block's begin hold all but the last word's half */
{
    struct taken t;
    for (ptrdiff_t at = (ptrdiff_t)b * 34; n > 0; n--, at += 34) {
        __m512i w[8];
        columns(w, row, at + 2);
        columns(w + 4, row, at + 18);
        t.d = low_halves(words(row, at));
        UNROLL for (int j = 0; j < 8; j++)
            t.q[j] = _mm512_xor_si512(w[j], _mm512_set1_epi8((char)0x80));
        take(ctx, &t);
    }
}

#endif
