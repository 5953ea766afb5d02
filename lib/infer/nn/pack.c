/* Panels out of floats, or out of a file's blocks. Layouts: kernels.h and formats of GGUF's blocks. */
#include "pack.h"
#include <math.h>
#include <string.h>

size_t m8__panel_bytes(nn_type type, int n_in, int taps)
{
    size_t in = (size_t)n_in, bytes = 0;
    switch (type) {
    case NN_F32: bytes = in * (size_t)taps * PANEL * sizeof(float); break;
    case NN_BF16: bytes = (in + 1) / 2 * (size_t)taps * PANEL * 2 * sizeof(uint16_t); break;
    case NN_Q8: bytes = in / QBLOCK * sizeof(struct q8_block); break;
    case NN_Q4: bytes = in / QBLOCK * sizeof(struct q4_block); break;
    }
    return (bytes + 63) & ~(size_t)63;
}

bool m8__pack_direct(nn_type type, m8__dtype file)
{
    if (type == NN_Q4) return file == DT_Q4_0 || file == DT_Q4_1 || file == DT_Q4_K;
    return type == NN_Q8 && file == DT_Q8_0;
}

static uint16_t load16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

/* Scale and minimum of sub-block j (0..7) of a Q4_K or Q5_K superblock: 6 bits each, packed into 12 bytes. */
static void scale_min_k4(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
    }
}

/* Block b (of 32 inputs) of one row into column o of a Q4 panel's block. */
static void put_q4(struct q4_block *to, int o, const uint8_t *row, m8__dtype type, int b)
{
    if (type == DT_Q4_K) {
        const uint8_t *super = row + (size_t)(b / 8) * 144, *qs = super + 16 + b % 8 / 2 * 32;
        int j = b % 8, scale, min, shift = j % 2 * 4;
        scale_min_k4(super + 4, j, &scale, &min);
        to->d[o] = m8__float_to_half(m8__half_to_float(load16(super)) * (float)scale);
        to->m[o] = m8__float_to_half(-m8__half_to_float(load16(super + 2)) * (float)min);
        for (int e = 0; e < 16; e++) to->q[e / 4][o][e % 4] = (uint8_t)((qs[e] >> shift & 15) | (qs[e + 16] >> shift & 15) << 4);
        return;
    }
    const uint8_t *block = row + (size_t)b * (type == DT_Q4_1 ? 20 : 18), *qs = block + (type == DT_Q4_1 ? 4 : 2);
    to->d[o] = load16(block);
    to->m[o] = type == DT_Q4_1 ? load16(block + 2) : m8__float_to_half(-8.0f * m8__half_to_float(load16(block)));
    for (int j = 0; j < 4; j++) memcpy(to->q[j][o], qs + 4 * j, 4); /* the file's nibbles lie as the panel's do */
}

static void put_q8_0(struct q8_block *to, int o, const uint8_t *row, int b)
{
    const uint8_t *block = row + (size_t)b * 34;
    to->d[o] = m8__half_to_float(load16(block));
    for (int j = 0; j < QBLOCK / 4; j++) {
        uint32_t four;
        memcpy(&four, block + 2 + 4 * j, 4);
        four ^= 0x80808080u; /* q + 128 */
        memcpy(to->q[j][o], &four, 4);
    }
}

void m8__pack_blocks(nn_type type, void *panel, const m8__tensor *const raw[PANEL], const int64_t at[PANEL], int k)
{
    const uint8_t *row[PANEL];
    for (int o = 0; o < PANEL; o++) {
        if (!raw[o]) continue;
        size_t row_bytes = (size_t)(k / m8__dtype_block(raw[o]->type)) * (size_t)m8__dtype_bytes(raw[o]->type);
        row[o] = raw[o]->data + (size_t)at[o] * row_bytes;
    }
    for (int b = 0; b < k / QBLOCK; b++) {
        for (int o = 0; o < PANEL; o++) {
            if (!raw[o]) { /* zeros: the panel's memory is zeroed, but Q8's zero is 128 */
                if (type == NN_Q8) {
                    struct q8_block *q8 = (struct q8_block *)panel + b;
                    for (int j = 0; j < QBLOCK / 4; j++) memset(q8->q[j][o], 128, 4);
                }
                continue;
            }
            if (type == NN_Q4) put_q4((struct q4_block *)panel + b, o, row[o], raw[o]->type, b);
            else put_q8_0((struct q8_block *)panel + b, o, row[o], b);
        }
    }
}

static void pack_q8(struct q8_block *to, const float *rows, int k)
{
    for (int b = 0; b < k / QBLOCK; b++, to++) {
        for (int o = 0; o < PANEL; o++) {
            const float *x = rows + (size_t)o * k + (size_t)b * QBLOCK;
            float most = 0;
            for (int i = 0; i < QBLOCK; i++) most = fmaxf(most, fabsf(x[i]));
            float d = most / 127, by = most > 0 && isfinite(most) ? 127 / most : 0;
            if (!isfinite(d)) d = 0;
            to->d[o] = d;
            for (int i = 0; i < QBLOCK; i++) {
                float v = x[i] * by;
                v = v > 127 ? 127 : v < -127 ? -127 : v == v ? v : 0;
                to->q[i / 4][o][i % 4] = (uint8_t)((int)nearbyintf(v) + 128);
            }
        }
    }
}

void m8__pack_lane(nn_type type, void *panel, int lane, const float *row, int n_in, int taps)
{
    if (type == NN_F32) {
        for (int i = 0; i < taps * n_in; i++) ((float *)panel)[(size_t)i * PANEL + lane] = row[i];
        return;
    }
    for (int tap = 0; tap < taps; tap++) {
        uint16_t *to = (uint16_t *)panel + (size_t)tap * ((n_in + 1) & ~1) * PANEL + 2 * lane;
        for (int c = 0; c < n_in; c++) to[(size_t)(c / 2) * 2 * PANEL + c % 2] = m8__float_to_bf16(*row++);
    }
}

void m8__pack_floats(nn_type type, void *panel, const float *rows, int n_in, int taps)
{
    int k = n_in * taps;
    if (type == NN_Q8) {
        pack_q8(panel, rows, k);
    } else if (type == NN_F32) {
        float *to = panel;
        for (int i = 0; i < k; i++) {
            for (int o = 0; o < PANEL; o++) *to++ = rows[(size_t)o * k + i];
        }
    } else {
        uint16_t *to = panel;
        for (int tap = 0; tap < taps; tap++) {
            for (int c = 0; c < n_in; c += 2) {
                for (int o = 0; o < PANEL; o++) {
                    const float *x = rows + (size_t)o * k + (size_t)tap * n_in + c;
                    *to++ = m8__float_to_bf16(x[0]);
                    *to++ = c + 1 < n_in ? m8__float_to_bf16(x[1]) : 0;
                }
            }
        }
    }
}
