/* Panels out of floats, or out of a file's blocks. Layouts: kernels.h; moving blocks: kernels/repack.c. */
#include "pack.h"
#include "kernels/c.h"
#include <math.h>
#include <string.h>

size_t m8__panel_bytes(nn_type type, int n_in, int taps)
{
    size_t in = (size_t)n_in, bytes = 0;
    switch (type) {
    case NN_F32: bytes = in * (size_t)taps * PANEL * sizeof(float); break;
    case NN_BF16: bytes = (in + 1) / 2 * (size_t)taps * PANEL * 2 * sizeof(uint16_t); break;
    case NN_Q8: bytes = in / QBLOCK * sizeof(struct q8_block); break;
    case NN_Q6: bytes = in / QBLOCK * sizeof(struct q6_block); break;
    case NN_Q5: bytes = in / QBLOCK * sizeof(struct q5_block); break;
    case NN_Q4: bytes = in / QBLOCK * sizeof(struct q4_block); break;
    }
    return (bytes + 63) & ~(size_t)63;
}

int m8__blocks_of(m8__dtype file, nn_type *type, int n_in)
{
    static const struct {
        m8__dtype file;
        int blocks;
        nn_type type;
    } all[] = {
        { DT_Q4_0, BLOCKS_Q4_0, NN_Q4 }, { DT_Q4_1, BLOCKS_Q4_1, NN_Q4 }, { DT_Q4_K, BLOCKS_Q4_K, NN_Q4 },
        { DT_Q5_1, BLOCKS_Q5_1, NN_Q5 }, { DT_Q5_K, BLOCKS_Q5_K, NN_Q5 }, { DT_Q3_K, BLOCKS_Q3_K, NN_Q6 },
        { DT_Q6_K, BLOCKS_Q6_K, NN_Q6 }, { DT_Q5_0, BLOCKS_Q5_0, NN_Q8 }, { DT_Q8_0, BLOCKS_Q8_0, NN_Q8 },
        { DT_BF16, BLOCKS_BF16, NN_BF16 }, { DT_F16, BLOCKS_F16, NN_BF16 },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].file != file || n_in % QBLOCK) continue;
        *type = all[i].type;
        return all[i].blocks;
    }
    return -1;
}

int m8__blocks_of_floats(m8__dtype file, int n_in)
{
    if (n_in % QBLOCK) return -1;
    return file == DT_F32 ? BLOCKS_F32_WIDE : file == DT_BF16 ? BLOCKS_BF16_WIDE : file == DT_F16 ? BLOCKS_F16_WIDE : -1;
}

static size_t row_bytes(m8__dtype t, int k) { return (size_t)(k / m8__dtype_block(t)) * (size_t)m8__dtype_bytes(t); }

void m8__pack_blocks(const struct m8__kernels *k, void *panel, int blocks, m8__dtype file, const m8__tensor *const raw[PANEL], const int64_t at[PANEL],
                     int n_in, const uint8_t *zeros)
{
    const uint8_t *row[PANEL];
    for (int o = 0; o < PANEL; o++) row[o] = raw[o] ? raw[o]->data + (size_t)at[o] * row_bytes(file, n_in) : zeros;
    k->repack[blocks](panel, row, 0, n_in / QBLOCK, NULL);
}

int m8__stored_row(int row, int unpermute)
{
    if (!unpermute) return row;
    int in = row % unpermute; /* stored row 2i + j of a head is row j * dh/2 + i */
    return row - in + 2 * (in % (unpermute / 2)) + in / (unpermute / 2);
}

void m8__read_row(float *row, const m8__tensor *t, int64_t at, int k)
{
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    m8__dequant(row, t, at * k / columns, k / columns);
}

void m8__seg_rows(const nn_seg *s, int i, const uint8_t *row[PANEL])
{
    bool even = s->unpermute % (2 * PANEL) == 0 && (i + 1) * PANEL <= s->n_out; /* evenly spaced */
    size_t step = s->unpermute ? 2 * s->row : s->row;
    const uint8_t *at = s->lies->data + (size_t)m8__stored_row(i * PANEL, s->unpermute) * s->row;
    for (int o = 0; o < PANEL; o++, at += step) {
        int r = i * PANEL + o < s->n_out ? i * PANEL + o : s->n_out - 1;
        row[o] = even ? at : s->lies->data + (size_t)m8__stored_row(r, s->unpermute) * s->row;
    }
}

void m8__seg_floats(const nn_seg *s, int i, void *panel, int n_in, float *floats)
{
    for (int o = 0; o < PANEL; o++) {
        int r = i * PANEL + o < s->n_out ? i * PANEL + o : s->n_out - 1;
        m8__read_row(floats + (size_t)o * n_in, s->lies, m8__stored_row(r, s->unpermute), n_in);
    }
    m8__pack_floats(s->type, panel, floats, n_in, 1);
}

/* Written so that both loops of 32 become a vector's; a NaN counts as nothing, and so does a block with an infinity. */
static void pack_q8(struct q8_block *to, const float *rows, int k)
{
    const float magic = 0x1.8p23f; /* adding it rounds to an integer, ties to even, which its low bits then hold */
    for (int b = 0; b < k / QBLOCK; b++, to++) {
        for (int o = 0; o < PANEL; o++) {
            const float *x = rows + (size_t)o * k + (size_t)b * QBLOCK;
            uint32_t top = 0;
            for (int i = 0; i < QBLOCK; i++) {
                uint32_t u = bits_of_float(x[i]) & 0x7fffffff;
                u = u > 0x7f800000 ? 0 : u;
                top = u > top ? u : top;
            }
            float most = float_of_bits(top);
            uint16_t d = most < 65504 * 127.0f ? to_half(most / 127) : 0;
            float by = d ? 1 / from_half(d) : 0;
            uint8_t q[QBLOCK];
            for (int i = 0; i < QBLOCK; i++) {
                float v = x[i] * by;
                v = v > 127 ? 127 : v;
                v = v < -127 ? -127 : v;
                v = v == v ? v : 0;
                q[i] = (uint8_t)(bits_of_float(v + magic) - 0x4b400000 + 128);
            }
            to->d[o] = d;
            for (int j = 0; j < QBLOCK / 4; j++) memcpy(to->q[j][o], q + 4 * j, 4);
        }
    }
}

void m8__pack_lane(nn_type type, void *panel, int lane, const float *row, int n_in, int taps)
{
    if (type == NN_F32) {
        for (int i = 0; i < taps * n_in; i++) ((float *)panel)[(size_t)i * PANEL + lane] = row[i];
        return;
    }
    enum { PART = 256 };
    uint32_t *to = (uint32_t *)panel + lane, pair[PART];
    for (int tap = 0; tap < taps; tap++, row += n_in) {
        for (int from = 0; from < n_in; from += 2 * PART) {
            int n = n_in - from < 2 * PART ? n_in - from : 2 * PART;
            for (int i = 0; i < n / 2; i++) pair[i] = round_bf16(row[from + 2 * i]) | (uint32_t)round_bf16(row[from + 2 * i + 1]) << 16;
            if (n & 1) pair[n / 2] = round_bf16(row[from + n - 1]);
            for (int i = 0; i < (n + 1) / 2; i++, to += PANEL) memcpy(to, &pair[i], sizeof *to);
        }
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
