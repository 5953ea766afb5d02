/* repack.c - a file's blocks in panels: the same bits from every version; and products by rows as they lie, which give the bits that panels
 * give. (What the plain C makes of blocks is compared with what they mean in tests/unit/infer/blocks.c.) Rows end where nobody may read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "kernels/c.h"

enum kind { Q4, Q5, Q6, Q8, BF16, F32 };
static const size_t block_size[] = {sizeof(struct q4_block), sizeof(struct q5_block), sizeof(struct q6_block), sizeof(struct q8_block), 1024, 2048};
static const struct {
    const char *name, *gemv;
    int per, bytes; /* of the file's block: inputs, bytes */
    enum kind kind; /* of the panel */
    int d[2];       /* where the block's halves are; 0, 0: one, at 0 */
} all[N_BLOCKS] = {
    [BLOCKS_Q4_0] = {"repack_q4_0", "gemv_q4_0", 32, 18, Q4, {0, 0}},     [BLOCKS_Q4_1] = {"repack_q4_1", "gemv_q4_1", 32, 20, Q4, {0, 2}},
    [BLOCKS_Q4_K] = {"repack_q4_k", "gemv_q4_k", 256, 144, Q4, {0, 2}},   [BLOCKS_Q5_1] = {"repack_q5_1", "gemv_q5_1", 32, 24, Q5, {0, 2}},
    [BLOCKS_Q5_K] = {"repack_q5_k", "gemv_q5_k", 256, 176, Q5, {0, 2}},   [BLOCKS_Q3_K] = {"repack_q3_k", "gemv_q3_k", 256, 110, Q6, {108, 108}},
    [BLOCKS_Q6_K] = {"repack_q6_k", "gemv_q6_k", 256, 210, Q6, {208, 208}}, [BLOCKS_Q5_0] = {"repack_q5_0", "gemv_q5_0", 32, 22, Q8, {0, 0}},
    [BLOCKS_Q8_0] = {"repack_q8_0", "gemv_q8_0", 32, 34, Q8, {0, 0}},     [BLOCKS_BF16] = {"repack_bf16", "", 32, 64, BF16, {0, 0}},
    [BLOCKS_F16] = {"repack_f16", "", 32, 64, BF16, {0, 0}},          [BLOCKS_F32_WIDE] = {"repack_f32_wide", "", 32, 128, F32, {0, 0}},
    [BLOCKS_BF16_WIDE] = {"repack_bf16_wide", "", 32, 64, F32, {0, 0}}, [BLOCKS_F16_WIDE] = {"repack_f16_wide", "", 32, 64, F32, {0, 0}},
};

/* nb blocks of 32 of 16 rows: any bytes, or such that the scales are ordinary numbers. */
static void make_rows(const uint8_t *row[PANEL], int t, int nb, bool sane)
{
    size_t bytes = (size_t)(nb * QBLOCK / all[t].per) * (size_t)all[t].bytes;
    for (int o = 0; o < PANEL; o++) {
        uint8_t *r = check_mem(bytes);
        for (size_t i = 0; i < bytes; i++)
            r[i] = (uint8_t)check_random();
        for (size_t i = 0; i < bytes && sane; i += (size_t)all[t].bytes)
            for (int h = 0; h < 2; h++) { /* between 2^-7 and 2^-5, of either sign */
                uint8_t *high = r + i + all[t].d[h] + 1;
                *high = (uint8_t)((*high & 0x80) | 0x20 | (*high & 7));
            }
        row[o] = r;
    }
}

static void one(int t, m8__repack *fn, int nb, int b, int n)
{
    const uint8_t *row[PANEL];
    size_t size = (size_t)n * block_size[all[t].kind];
    make_rows(row, t, nb, false);
    void *got = check_mem(size), *want = check_mem(size);
    const struct m8__soon soon = {row, PANEL, n * QBLOCK / all[t].per * all[t].bytes};
    fn(got, row, b, n, check_int(0, 1) ? &soon : NULL);
    m8__kernels_get(0)->repack[t](want, row, b, n, NULL);
    check_same(got, want, size, "blocks", n);
    check_let_go();
}

/* One row of x. */
struct product {
    struct m8__gemm g;
    struct xq xq;
    const uint8_t *row[PANEL];
};

static void make_product(struct product *p, const struct m8__kernels *k, int t, int nb, bool two)
{
    float *x = check_mem((size_t)nb * QBLOCK * 4), *d = check_mem((size_t)nb * 4), *s = check_mem((size_t)nb * 4);
    int8_t *q = check_mem((size_t)nb * QBLOCK), *q2 = two ? check_mem((size_t)nb * QBLOCK) : NULL;
    int32_t *sum = check_mem((size_t)nb * 8);
    for (int i = 0; i < nb * QBLOCK; i++)
        x[i] = check_normal();
    k->quant_row(q, q2, d, s, sum, x, nb * QBLOCK);
    p->xq = (struct xq){.q = q, .q2 = q2, .d = d, .s = s, .sum = sum, .ldq = nb * QBLOCK, .ldd = nb};
    p->g = (struct m8__gemm){.ldy = PANEL, .x = &p->xq, .n = 1, .n_out = check_int(1, PANEL), .n_in = nb * QBLOCK, .taps = 1, .stride = 1,
                             .dilation = 1, .panel = (size_t)nb * block_size[all[t].kind]};
    make_rows(p->row, t, nb, true);
}

static void one_row(const struct m8__kernels *k, int t, int nb)
{
    struct product p;
    make_product(&p, k, t, nb, check_int(0, 1));
    float *got = check_mem((size_t)p.g.n_out * 4), *want = check_mem((size_t)p.g.n_out * 4), *bias = check_mem((size_t)p.g.n_out * 4);
    for (int i = 0; i < p.g.n_out; i++)
        got[i] = want[i] = bias[i] = check_normal();
    p.g.add = check_int(0, 1);
    p.g.bias = p.g.add || check_int(0, 1) ? NULL : bias;
    p.g.y = got;
    const struct m8__soon soon = {p.row, PANEL, nb * QBLOCK / all[t].per * all[t].bytes};
    p.g.soon = check_int(0, 1) ? &soon : NULL;
    k->gemv[t](&p.g, p.row);
    void *panel = check_mem(p.g.panel);
    k->repack[t](panel, p.row, 0, nb, NULL);
    p.g.w = panel;
    p.g.y = want;
    void (*const gemm[])(const struct m8__gemm *) = {k->gemm_q4, k->gemm_q5, k->gemm_q6, k->gemm_q8};
    gemm[all[t].kind](&p.g);
    check_same(got, want, (size_t)p.g.n_out * 4, "outputs", nb);
    for (int i = 0; i < p.g.n_out; i++)
        if (!isfinite(got[i]))
            check_fail("output %d is %g", i, got[i]);
    check_let_go();
}

struct arg {
    const struct m8__kernels *k;
    struct product p;
    void *panel;
    const uint8_t *w; /* many rows, one after another */
    int t, n_rows;
    size_t row;
};

static void call_repack(void *p)
{
    struct arg *a = p;
    a->k->repack[a->t](a->panel, a->p.row, 0, 48, NULL);
}

static void call_gemv(void *p)
{
    struct arg *a = p;
    for (int i = 0; i < a->n_rows; i += PANEL) {
        const uint8_t *row[PANEL], *next[PANEL];
        for (int o = 0; o < PANEL; o++) {
            row[o] = a->w + (size_t)(i + o) * a->row;
            next[o] = row[o] + PANEL * a->row;
        }
        const struct m8__soon soon = {next, PANEL, a->row};
        a->p.g.soon = i + PANEL < a->n_rows ? &soon : NULL;
        a->k->gemv[a->t](&a->p.g, row);
    }
}

static void bench(const struct m8__kernels *k, int t, bool gemv)
{
    struct arg a = {.k = k, .t = t, .panel = check_mem(48 * block_size[all[t].kind])};
    double bytes = 48.0 * PANEL * QBLOCK / all[t].per * all[t].bytes;
    make_product(&a.p, k, t, gemv ? 128 : 48, false);
    a.p.g.y = check_mem(PANEL * 4);
    a.p.g.n_out = PANEL;
    if (!gemv) {
        check_bench("48 blocks, bytes of the file", call_repack, &a, bytes, "GB/s   ", 39);
        return;
    }
    a.row = (size_t)(128 * QBLOCK / all[t].per) * (size_t)all[t].bytes;
    for (int i = 0; i < 2; i++) {
        a.n_rows = (int)(((size_t)(i ? 128 : 0) << 20) / a.row / PANEL + 1) * PANEL;
        uint8_t *w = check_mem((size_t)a.n_rows * a.row);
        for (int r = 0; r < a.n_rows; r++)
            memcpy(w + (size_t)r * a.row, a.p.row[r % PANEL], a.row);
        a.w = w;
        check_bench(i ? "1 x 4096, from memory" : "1 x 4096 -> 16", call_gemv, &a, (double)a.n_rows * (double)a.row, "GB/s   ", 39);
    }
}

void check_repack(const struct m8__kernels *k)
{
    for (int t = 0; t < N_BLOCKS; t++) {
        int unit = all[t].per / QBLOCK;
        if (check_func((check_fn)k->repack[t], all[t].name)) {
            if (check_benching)
                bench(k, t, false);
            for (int i = 0; i < 40 && !check_benching; i++) {
                int n = unit * check_int(0, 9), b = unit * check_int(0, 5);
                one(t, k->repack[t], b + n + unit * check_int(0, 2), b, n);
            }
        }
        check_let_go();
        if (k->gemv[t] && check_func((check_fn)k->gemv[t], all[t].gemv)) {
            if (check_benching)
                bench(k, t, true);
            for (int i = 0; i < 40 && !check_benching; i++)
                one_row(k, t, unit * check_int(0, 20));
        }
        check_let_go();
    }
}
