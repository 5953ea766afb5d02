/* Linear layers and convolutions: both are sums of rows of x with panels of weights (kernels.h). x is brought into the weights' type
 * once; the outputs are cut into chunks of rows and panels for the pool. How they are cut never changes a result. */
#include "nn.h"
#include <string.h>

struct job {
    nn_run *r;
    const nn_w *w;
    struct m8__gemm g;    /* the whole product */
    struct xq xq;         /* for the quantised types */
    nn_act act;
    nn_t residual;        /* added to y while it is in the cache */
    int panels, row_step, panel_step, row_chunks;
};

static void gemm_chunk(void *user, int chunk)
{
    const struct job *j = user;
    struct m8__gemm g = j->g;
    int row = chunk % j->row_chunks * j->row_step, panel = chunk / j->row_chunks * j->panel_step;
    int n_panels = j->panels - panel < j->panel_step ? j->panels - panel : j->panel_step;
    struct xq xq;
    g.n = g.n - row < j->row_step ? g.n - row : j->row_step;
    g.y += row * g.ldy + panel * PANEL;
    g.n_out = g.n_out - panel * PANEL < n_panels * PANEL ? g.n_out - panel * PANEL : n_panels * PANEL;
    g.w = (const char *)g.w + (size_t)panel * g.panel;
    if (g.bias) g.bias += panel * PANEL;
    const struct m8__kernels *k = j->r->k;
    ptrdiff_t from = (ptrdiff_t)row * g.stride * g.ldx;
    switch (j->w->type) {
    case NN_F32:
        g.x = (const float *)g.x + from;
        k->gemm_f32(&g);
        break;
    case NN_BF16:
        g.x = (const uint16_t *)g.x + from;
        k->gemm_bf16(&g);
        break;
    case NN_Q8:
    case NN_Q4:
        xq = j->xq;
        xq.q += row * xq.ldq;
        if (xq.q2) xq.q2 += row * xq.ldq;
        xq.d += row * xq.ldd;
        xq.s += row * xq.ldd;
        xq.sum += row * xq.ldd;
        g.x = &xq;
        if (j->w->type == NN_Q8) k->gemm_q8(&g);
        else k->gemm_q4(&g);
        break;
    }
    if (j->act) {
        for (int i = 0; i < g.n; i++) nn__act(k, g.y + i * g.ldy, g.n_out, j->act);
    }
    if (j->residual.d) {
        const float *to = j->residual.d + (ptrdiff_t)row * j->residual.ld + panel * PANEL;
        for (int i = 0; i < g.n; i++) k->add(g.y + i * g.ldy, to + i * j->residual.ld, g.n_out);
    }
}

/* Cut the product: few rows by panels alone, many rows into blocks that a core's cache holds. */
static void run(struct job *j)
{
    int threads = m8_pool_threads(j->r->pool), n = j->g.n;
    j->panels = (j->g.n_out + PANEL - 1) / PANEL;
    int64_t panel_work = (int64_t)j->g.n_in * j->g.taps * PANEL;
    j->row_step = n;
    j->panel_step = j->panels;
    if (threads > 1 && panel_work * j->panels * n > 40000) {
        if (n > 64) {
            j->row_step = (n + 4 * threads - 1) / (4 * threads);
            j->row_step = (j->row_step + 23) / 24 * 24;
            if (j->row_step > 96 && j->panels > 8) j->row_step = 96;
        }
        int row_chunks = (n + j->row_step - 1) / j->row_step;
        int want = row_chunks >= 4 * threads ? 1 : (4 * threads + row_chunks - 1) / row_chunks;
        if (panel_work * n < 10000) want = 2 * threads; /* tiny: fewer, larger chunks */
        j->panel_step = (j->panels + want - 1) / want;
        if (j->panel_step > 4) j->panel_step = (j->panel_step + 3) / 4 * 4;
        int most = (int)(1 + 256 * 1024 / (j->g.panel ? j->g.panel : 1)); /* of weights in the L2 cache, when rows reuse them */
        if (n > 64 && most >= 4 && j->panel_step > most) j->panel_step = most / 4 * 4;
    }
    j->row_chunks = (n + j->row_step - 1) / j->row_step;
    m8_pool_run(j->r->pool, j->row_chunks * ((j->panels + j->panel_step - 1) / j->panel_step), gemm_chunk, j);
}

/* ---- x in the weights' type */
struct convert {
    nn_run *r;
    nn_t x;
    int pad, ld, block;
    float slope;
    uint16_t *bf16;
    float *f32;
    struct xq xq;
};

static void convert_chunk(void *user, int chunk)
{
    const struct convert *c = user;
    const struct m8__kernels *k = c->r->k;
    int n = c->x.c, end = (chunk + 1) * c->block < c->x.n ? (chunk + 1) * c->block : c->x.n;
    for (int i = chunk * c->block; i < end; i++) {
        const float *x = c->x.d + (ptrdiff_t)i * c->x.ld;
        ptrdiff_t at = (ptrdiff_t)(i + c->pad) * c->ld;
        if (c->xq.q) {
            int8_t *q2 = c->xq.q2 ? (int8_t *)c->xq.q2 + i * c->xq.ldq : NULL;
            k->quant_row((int8_t *)c->xq.q + i * c->xq.ldq, q2, (float *)c->xq.d + i * c->xq.ldd, (float *)c->xq.s + i * c->xq.ldd,
                         (int32_t *)c->xq.sum + i * c->xq.ldd, x, n);
        } else if (c->f32) {
            if (c->slope != 1) k->leaky(c->f32 + at, x, n, c->slope);
            else memcpy(c->f32 + at, x, (size_t)n * sizeof(float));
        } else if (c->slope != 1) { /* leaky in pieces that stay in the first cache */
            float part[256];
            for (int from = 0; from < n; from += 256) {
                int len = n - from < 256 ? n - from : 256;
                k->leaky(part, x + from, len, c->slope);
                k->to_bf16(c->bf16 + at + from, part, len);
            }
            if (n & 1) c->bf16[at + n] = 0;
        } else {
            k->to_bf16(c->bf16 + at, x, n);
            if (n & 1) c->bf16[at + n] = 0;
        }
    }
}

static void convert(struct convert *c)
{
    int threads = m8_pool_threads(c->r->pool);
    int64_t work = (int64_t)c->x.n * c->x.c;
    int chunks = work < 8192 ? 1 : work < 65536 ? threads : 4 * threads;
    c->block = (c->x.n + chunks - 1) / chunks;
    if (c->block > 0) m8_pool_run(c->r->pool, (c->x.n + c->block - 1) / c->block, convert_chunk, c);
}

static bool quantise(nn_run *r, struct xq *xq, nn_t x, int digits)
{
    int blocks = x.c / QBLOCK;
    size_t cells = (size_t)x.n * (size_t)blocks;
    *xq = (struct xq){ .ldq = x.c, .ldd = blocks };
    xq->q = nn_take(r, (size_t)x.n * (size_t)x.c);
    if (digits == 2) xq->q2 = nn_take(r, (size_t)x.n * (size_t)x.c);
    xq->d = nn_take(r, cells * sizeof(float));
    xq->s = nn_take(r, cells * sizeof(float));
    xq->sum = nn_take(r, cells * sizeof(int32_t));
    if (r->status) return false;
    convert(&(struct convert){ .r = r, .x = x, .xq = *xq });
    return true;
}

static nn_t linear(nn_run *r, nn_t x, const nn_w *w, nn_act act, nn_t residual)
{
    nn_t y = nn_new(r, x.n, w->n_out);
    if (r->status || !x.n) return y;
    struct job j = { .r = r, .w = w, .act = act, .residual = residual };
    j.g = (struct m8__gemm){ .y = y.d, .ldy = y.ld, .n = x.n, .n_out = w->n_out, .w = w->data, .panel = w->panel, .n_in = w->n_in,
                             .taps = 1, .stride = 1, .dilation = 1, .bias = w->bias };
    m8_arena_mark mark = m8_arena_here(r->arena);
    if (w->type == NN_F32) {
        j.g.x = x.d;
        j.g.ldx = x.ld;
    } else if (w->type == NN_BF16) {
        int ld = (x.c + 1) & ~1;
        uint16_t *to = nn_take(r, (size_t)x.n * (size_t)ld * sizeof *to);
        if (!to) return (nn_t){0};
        convert(&(struct convert){ .r = r, .x = x, .ld = ld, .slope = 1, .bf16 = to });
        j.g.x = to;
        j.g.ldx = j.g.n_in = ld;
    } else if (!quantise(r, &j.xq, x, w->digits)) {
        return (nn_t){0};
    }
    run(&j);
    m8_arena_back(r->arena, mark);
    return y;
}

nn_t nn_linear(nn_run *r, nn_t x, const nn_w *w) { return linear(r, x, w, NN_NONE, (nn_t){0}); }
nn_t nn_linear_act(nn_run *r, nn_t x, const nn_w *w, nn_act act) { return linear(r, x, w, act, (nn_t){0}); }
nn_t nn_linear_add(nn_run *r, nn_t x, const nn_w *w, nn_t to) { return linear(r, x, w, NN_NONE, to); }

void nn_conv_to(nn_run *r, nn_t y, const void *x, const nn_w *w, nn_conv_opts o)
{
    int ld = w->type == NN_BF16 ? (w->n_in + 1) & ~1 : w->n_in;
    if (r->status || !y.n) return;
    struct job j = { .r = r, .w = w, .act = o.act, .residual = o.residual };
    j.g = (struct m8__gemm){ .y = y.d, .ldy = y.ld, .x = x, .ldx = ld, .n = y.n, .n_out = w->n_out, .w = w->data, .panel = w->panel,
                             .n_in = ld, .taps = w->taps, .stride = o.stride ? o.stride : 1, .dilation = o.dilation ? o.dilation : 1,
                             .bias = w->bias };
    run(&j);
}

nn_t nn_conv(nn_run *r, nn_t x, const nn_w *w, nn_conv_opts o)
{
    int stride = o.stride ? o.stride : 1, dilation = o.dilation ? o.dilation : 1;
    int n = (x.n + 2 * o.pad - dilation * (w->taps - 1) - 1) / stride + 1;
    if (r->status || !x.n || n < 1) return (nn_t){0};
    nn_t y = nn_new(r, n, w->n_out);
    m8_arena_mark mark = m8_arena_here(r->arena);
    bool bf16 = w->type == NN_BF16;
    int ld = bf16 ? (x.c + 1) & ~1 : x.c;
    size_t size = bf16 ? sizeof(uint16_t) : sizeof(float), row = (size_t)ld * size;
    char *padded = nn_take(r, (size_t)(x.n + 2 * o.pad) * row);
    if (!padded || !y.d) return (nn_t){0};
    memset(padded, 0, (size_t)o.pad * row);
    memset(padded + (size_t)(x.n + o.pad) * row, 0, (size_t)o.pad * row);
    struct convert c = { .r = r, .x = x, .pad = o.pad, .ld = ld, .slope = o.slope > 0 ? o.slope : 1 };
    if (bf16) c.bf16 = (uint16_t *)padded;
    else c.f32 = (float *)padded;
    convert(&c);
    nn_conv_to(r, y, padded, w, o);
    m8_arena_back(r->arena, mark);
    return y;
}

nn_t nn_conv_t(nn_run *r, nn_t x, const nn_w *w, int n_out, int stride, float slope)
{
    nn_t y = nn_conv(r, x, w, (nn_conv_opts){ .pad = w->taps - 1, .slope = slope }); /* [n + taps - 1, stride * n_out] */
    if (!y.d) return y;
    int k = w->taps * stride, rows = x.n * stride;
    return (nn_t){ y.d + (ptrdiff_t)((k - stride) / 2) * n_out, rows, n_out, n_out }; /* the phases of a row are rows of their own */
}
