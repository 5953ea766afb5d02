/* half.h - a half as a float, inline and without a branch, so that compilers make vectors of a loop of it. */
#ifndef M8_HALF_H
#define M8_HALF_H

#include <string.h>

#include "weights/weights.h"

static inline float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t normal = (rest << 13) + ((127 - 15) << 23);
    if (rest >= 0x7c00) normal += (255 - 31 - (127 - 15)) << 23; /* infinity and NaN: the highest exponent there, too */
    /* A subnormal half lacks the leading one: put it on at 2^-14 and take it off again, which normalises. */
    uint32_t small = to_bits(from_bits(normal + (1u << 23)) - 0x1p-14f);
    return from_bits(sign | (rest < 0x400 ? small : normal));
}

#endif
