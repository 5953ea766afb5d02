/* repack.c - blocks of a file's rows into the blocks of a panel: the definition, in plain C. The file's blocks are ggml's (see
 * weights/dequant.c); nothing in them is aligned. */
#include <string.h>

#include "kernels/c.h"
#include "kernels/kernels.h"

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) | (uint32_t)u16_at(p + 2) << 16;
}

/* Scale and minimum of sub-block j (0..7) of Q4_K or Q5_K: 6 bits each, packed into 12 bytes. */
static void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
    }
}

static void scales_k(uint16_t *d, uint16_t *m, const uint8_t *super, int j)
{
    int scale, min;
    scale_min(super + 4, j, &scale, &min);
    *d = to_half(from_half(u16_at(super)) * (float)scale);
    *m = to_half(-from_half(u16_at(super + 2)) * (float)min);
}

/* Block b of one row into column o of a panel's block. */
static void put_q4_0(void *block, int o, const uint8_t *row, int b)
{
    struct q4_block *to = block;
    const uint8_t *from = row + (size_t)b * 18;
    to->d[o] = u16_at(from);
    to->m[o] = to_half(-8.0f * from_half(to->d[o]));
    for (int j = 0; j < 4; j++)
        memcpy(to->q[j][o], from + 2 + 4 * j, 4); /* the file's nibbles lie as the panel's do */
}

static void put_q4_1(void *block, int o, const uint8_t *row, int b)
{
    struct q4_block *to = block;
    const uint8_t *from = row + (size_t)b * 20;
    to->d[o] = u16_at(from);
    to->m[o] = u16_at(from + 2);
    for (int j = 0; j < 4; j++)
        memcpy(to->q[j][o], from + 4 + 4 * j, 4);
}

static void put_q4_k(void *block, int o, const uint8_t *row, int b)
{
    struct q4_block *to = block;
    const uint8_t *super = row + (size_t)(b / 8) * 144, *q = super + 16 + b % 8 / 2 * 32;
    int shift = b % 2 * 4;
    scales_k(&to->d[o], &to->m[o], super, b % 8);
    for (int e = 0; e < 16; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)((q[e] >> shift & 15) | (q[e + 16] >> shift & 15) << 4);
}

static void put_q5_1(void *block, int o, const uint8_t *row, int b)
{
    struct q5_block *to = block;
    const uint8_t *from = row + (size_t)b * 24;
    uint32_t high = u32_at(from + 4);
    to->d[o] = u16_at(from);
    to->m[o] = u16_at(from + 2);
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)((from[8 + e % 16] >> e / 16 * 4 & 15) | (high >> e & 1) << 4);
}

static void put_q5_k(void *block, int o, const uint8_t *row, int b)
{
    struct q5_block *to = block;
    const uint8_t *super = row + (size_t)(b / 8) * 176, *q = super + 48 + b % 8 / 2 * 32, *high = super + 16;
    scales_k(&to->d[o], &to->m[o], super, b % 8);
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)((q[e] >> b % 2 * 4 & 15) | (high[e] >> b % 8 & 1) << 4);
}

static void put_q3_k(void *block, int o, const uint8_t *row, int b)
{
    struct q6_block *to = block;
    const uint8_t *super = row + (size_t)(b / 8) * 110, *q = super + 32 + b % 8 / 4 * 32, *scales = super + 96;
    to->d[o] = u16_at(super + 108);
    for (int h = 0; h < 2; h++) {
        int s = b % 8 * 2 + h, low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
        to->scale[h][o] = (int8_t)((low | (scales[8 + s % 4] >> s / 4 * 2 & 3) << 4) - 32);
    }
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)((q[e] >> b % 4 * 2 & 3) + (super[e] >> b % 8 & 1) * 4 - 4 + 128);
}

static void put_q6_k(void *block, int o, const uint8_t *row, int b)
{
    struct q6_block *to = block;
    const uint8_t *super = row + (size_t)(b / 8) * 210, *low = super + b % 8 / 4 * 64 + b % 2 * 32, *high = super + 128 + b % 8 / 4 * 32;
    to->d[o] = u16_at(super + 208);
    to->scale[0][o] = (int8_t)super[192 + b % 8 * 2];
    to->scale[1][o] = (int8_t)super[193 + b % 8 * 2];
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)(((low[e] >> b / 2 % 2 * 4 & 15) | (high[e] >> b % 4 * 2 & 3) << 4) - 32 + 128);
}

static void put_q5_0(void *block, int o, const uint8_t *row, int b)
{
    struct q8_block *to = block;
    const uint8_t *from = row + (size_t)b * 22;
    uint32_t high = u32_at(from + 2);
    to->d[o] = u16_at(from);
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = (uint8_t)(((from[6 + e % 16] >> e / 16 * 4 & 15) | (high >> e & 1) << 4) - 16 + 128);
}

static void put_q8_0(void *block, int o, const uint8_t *row, int b)
{
    struct q8_block *to = block;
    const uint8_t *from = row + (size_t)b * 34;
    to->d[o] = u16_at(from);
    for (int e = 0; e < QBLOCK; e++)
        to->q[e / 4][o][e % 4] = from[2 + e] ^ 0x80; /* q + 128 */
}

static void put_bf16(void *block, int o, const uint8_t *row, int b)
{
    uint16_t(*to)[PANEL][2] = block;
    for (int e = 0; e < QBLOCK; e++)
        to[e / 2][o][e % 2] = u16_at(row + 2 * ((size_t)b * QBLOCK + (size_t)e));
}

static void put_f16(void *block, int o, const uint8_t *row, int b)
{
    uint16_t(*to)[PANEL][2] = block;
    for (int e = 0; e < QBLOCK; e++)
        to[e / 2][o][e % 2] = round_bf16(from_half(u16_at(row + 2 * ((size_t)b * QBLOCK + (size_t)e))));
}

/* Floats as floats; what is no number quiet, as processors convert it. */
static void put_f32_wide(void *block, int o, const uint8_t *row, int b)
{
    float(*to)[PANEL] = block;
    for (int e = 0; e < QBLOCK; e++)
        to[e][o] = float_of_bits(u32_at(row + 4 * ((size_t)b * QBLOCK + (size_t)e)));
}

static void put_bf16_wide(void *block, int o, const uint8_t *row, int b)
{
    float(*to)[PANEL] = block;
    for (int e = 0; e < QBLOCK; e++)
        to[e][o] = from_bf16(u16_at(row + 2 * ((size_t)b * QBLOCK + (size_t)e)));
}

static void put_f16_wide(void *block, int o, const uint8_t *row, int b)
{
    float(*to)[PANEL] = block;
    for (int e = 0; e < QBLOCK; e++) {
        uint16_t h = u16_at(row + 2 * ((size_t)b * QBLOCK + (size_t)e));
        to[e][o] = from_half((h & 0x7fff) > 0x7c00 ? h | 0x200 : h);
    }
}

static inline void repack(void *panel, size_t size, const uint8_t *const row[PANEL], int b, int n, void (*put)(void *, int, const uint8_t *, int))
{
    for (int i = 0; i < n; i++)
        for (int o = 0; o < PANEL; o++)
            put((char *)panel + (size_t)i * size, o, row[o], b + i);
}

#define REPACK(type, block)                                                                                              \
    static void repack_##type##_c(void *panel, const uint8_t *const row[PANEL], int b, int n, const struct m8__soon *soon) \
    {                                                                                                                    \
        (void)soon;                                                                                                      \
        repack(panel, sizeof(block), row, b, n, put_##type);                                                      \
    }
REPACK(q4_0, struct q4_block)
REPACK(q4_1, struct q4_block)
REPACK(q4_k, struct q4_block)
REPACK(q5_1, struct q5_block)
REPACK(q5_k, struct q5_block)
REPACK(q3_k, struct q6_block)
REPACK(q6_k, struct q6_block)
REPACK(q5_0, struct q8_block)
REPACK(q8_0, struct q8_block)
REPACK(bf16, uint16_t[QBLOCK / 2][PANEL][2])
REPACK(f16, uint16_t[QBLOCK / 2][PANEL][2])
REPACK(f32_wide, float[QBLOCK][PANEL])
REPACK(bf16_wide, float[QBLOCK][PANEL])
REPACK(f16_wide, float[QBLOCK][PANEL])

void m8__repack_init(struct m8__kernels *k)
{
    m8__repack *const all[N_BLOCKS] = {
        [BLOCKS_Q4_0] = repack_q4_0_c, [BLOCKS_Q4_1] = repack_q4_1_c, [BLOCKS_Q4_K] = repack_q4_k_c,
        [BLOCKS_Q5_1] = repack_q5_1_c, [BLOCKS_Q5_K] = repack_q5_k_c, [BLOCKS_Q3_K] = repack_q3_k_c,
        [BLOCKS_Q6_K] = repack_q6_k_c, [BLOCKS_Q5_0] = repack_q5_0_c, [BLOCKS_Q8_0] = repack_q8_0_c,
        [BLOCKS_BF16] = repack_bf16_c, [BLOCKS_F16] = repack_f16_c, [BLOCKS_F32_WIDE] = repack_f32_wide_c,
        [BLOCKS_BF16_WIDE] = repack_bf16_wide_c, [BLOCKS_F16_WIDE] = repack_f16_wide_c,
    };
    memcpy(k->repack, all, sizeof all);
}
