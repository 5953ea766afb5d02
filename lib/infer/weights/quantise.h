/* quantise.h - floats to the element types of a file, the other way round of m8__dequant. */
#ifndef M8_QUANTISE_H
#define M8_QUANTISE_H

#include "weights/half.h"

bool m8__can_quantise(m8__dtype type); /* F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K */
/* n elements, whole blocks. The result depends on each block alone. false: one of them is no finite number, or too large for the
 * type; dst is then undefined. */
bool m8__quantise(uint8_t *dst, m8__dtype type, const float *x, int64_t n);

/* ---- between quantise.c and quantise_k.c */

static inline void put_half(uint8_t *p, uint16_t h) { memcpy(p, &h, sizeof h); }

/* Nearest integer, ties to even, of what is within 2^22: the adder rounds. Vectors of it need no instruction of a newer processor. */
static inline float nearest(float v) { return (v + 0x1.8p23f) - 0x1.8p23f; }

static inline float within(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

/* The half from v on away from zero. Scales are often below 6e-5, where halves have steps of 6e-8: a smaller one would cut off the
 * largest number, a larger one is made up for by the integers. */
static inline uint16_t half_beyond(float v)
{
    uint16_t h = m8__float_to_half(v), size = h & 0x7fff;
    float back = half_to_float(size);
    return size < 0x7c00 && back < (v < 0 ? -v : v) ? (uint16_t)(h + 1) : h;
}

/* The d for which d q, q integers of -top to top - 1, comes closest to x[n] in the sum of squares; n: a multiple of 8. */
float m8__fit_scale(const float *x, int n, int top);
/* The d and m for which d q + m, q integers of 0 to top, comes closest; m is at most 0 where `negative` asks for it. */
void m8__fit_scale_min(const float *x, int n, int top, bool negative, float *d, float *m);
/* The sum of squares that is left of x with these; q (may be NULL) receives the integers. */
float m8__rest(const float *x, int n, float d, float m, float lo, float hi, uint8_t *q /* q - lo */);

/* One block of 256 each; false: too large. */
bool m8__quantise_q4_k(uint8_t *b, const float *x);
bool m8__quantise_q5_k(uint8_t *b, const float *x);
bool m8__quantise_q6_k(uint8_t *b, const float *x);

#endif
