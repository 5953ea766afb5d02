/* Linear layers and convolutions: both are sums of rows of x with panels of weights (kernels.h). x is brought into the weights' type
 * once; the outputs are cut into chunks of rows and panels for the pool. How they are cut never changes a result.
 *
 * Weights that lie in their file are brought into panels on the way: as many of them as the second-level cache holds, then all rows go by.
 * A single row is multiplied by them as they lie, if the processor has a kernel for it; the next panel's rows are prefetched meanwhile. */
#include "nn.h"
#include "pack.h"
#include <string.h>

enum { AT_ONCE = 16, PART = 48, PART_F32 = 8 }; /* panels, and blocks of their inputs */

static int part_of(nn_type type) { return type == NN_F32 ? PART_F32 : PART; }

struct job {
    nn_run *r;
    const nn_w *w;
    struct m8__gemm g;    /* the whole product */
    struct xq xq;         /* for the quantised types */
    nn_act act;
    nn_t residual;        /* added to y while it is in the cache */
    int panels, row_step, panel_step, row_chunks;
    char *room;           /* for panels on the way: room_size bytes for each thread */
    size_t room_size;
    atomic_flag *taken;
};

static void gemm(const struct m8__kernels *k, nn_type type, const struct m8__gemm *g)
{
    switch (type) {
    case NN_F32: k->gemm_f32(g); break;
    case NN_BF16: k->gemm_bf16(g); break;
    case NN_Q8: k->gemm_q8(g); break;
    case NN_Q6: k->gemm_q6(g); break;
    case NN_Q5: k->gemm_q5(g); break;
    case NN_Q4: k->gemm_q4(g); break;
    }
}

/* The product's outputs of panels [from, to), counted from the first of g. */
static struct m8__gemm outputs(struct m8__gemm g, int from, int to)
{
    g.y += (ptrdiff_t)from * PANEL;
    g.n_out = g.n_out - from * PANEL < (to - from) * PANEL ? g.n_out - from * PANEL : (to - from) * PANEL;
    g.w = g.w ? (const char *)g.w + (size_t)from * g.panel : NULL;
    if (g.bias) g.bias += from * PANEL;
    return g;
}

/* What follows is for panels [from, to) of a segment that lies in the file; g's outputs begin with the first of them. */
static void gemv_lying(const struct job *j, const nn_seg *s, struct m8__gemm g, int from, int to)
{
    const uint8_t *row[2][PANEL];
    m8__seg_rows(s, from, row[0]);
    for (int i = from; i < to; i++) {
        struct m8__gemm one = outputs(g, i - from, i - from + 1);
        const uint8_t **now = row[(i - from) % 2], **next = row[(i - from + 1) % 2];
        struct m8__soon soon = { next, PANEL, s->row };
        if (i + 1 < to) {
            m8__seg_rows(s, i + 1, next);
            one.soon = &soon;
        }
        j->r->k->gemv[s->blocks](&one, now);
    }
}

/* Through floats. */
static void gemm_floats(const struct job *j, const nn_seg *s, struct m8__gemm g, int from, int to, float *floats)
{
    g.w = floats + (size_t)g.n_in * PANEL;
    for (int i = from; i < to; i++) {
        struct m8__gemm one = outputs(g, i - from, i - from + 1);
        one.w = g.w;
        m8__seg_floats(s, i, (void *)g.w, g.n_in, floats);
        gemm(j->r->k, s->type, &one);
    }
}

static struct xq x_from(const struct xq *x, nn_type type, int b) /* block b of rows of int8 */
{
    if (type < NN_Q8) return (struct xq){0};
    return (struct xq){ x->q + b * QBLOCK, x->q2 ? x->q2 + b * QBLOCK : NULL, x->d + b, x->s + b, x->sum + 2 * b, x->ldq, x->ldd };
}

/* Some panels and some of their inputs at a time, so that the second-level cache holds them, and beside them the rows that come next. */
static void gemm_blocks(const struct job *j, const nn_seg *s, struct m8__gemm g, int from, int to, char *room)
{
    const uint8_t *row[2][AT_ONCE * PANEL], *next[AT_ONCE * PANEL];
    int nb = g.n_in / QBLOCK, most = part_of(s->type);
    for (int p = from; p < to && p < from + AT_ONCE; p++) m8__seg_rows(s, p, row[0] + (p - from) * PANEL);
    for (int i = from, turn = 0; i < to; i += AT_ONCE, turn ^= 1) {
        int end = to - i < AT_ONCE ? to : i + AT_ONCE, end2 = to - end < AT_ONCE ? to : end + AT_ONCE;
        for (int p = end; p < end2; p++) m8__seg_rows(s, p, row[turn ^ 1] + (p - end) * PANEL);
        for (int b = 0; b < nb; b += most) {
            int n = nb - b < most ? nb - b : most, b2 = b + n < nb ? b + n : 0, n2 = nb - b2 < most ? nb - b2 : most;
            int n_next = (b2 ? end - i : end2 - end) * PANEL;
            for (int o = 0; o < n_next; o++) next[o] = row[b2 ? turn : turn ^ 1][o] + s->row * (size_t)b2 / (size_t)nb;
            struct m8__soon soon = { next, n_next, s->row * (size_t)n2 / (size_t)nb };
            struct xq part = x_from(g.x, s->type, b);
            struct m8__gemm some = outputs(g, i - from, end - from);
            some.panel = m8__panel_bytes(s->type, n * QBLOCK, 1);
            for (int p = i; p < end; p++) {
                const uint8_t **at = row[turn] + (p - i) * PANEL;
                struct m8__soon same = { at + PANEL, PANEL, s->row * (size_t)n / (size_t)nb };
                bool cold = p + 1 < end && (s->type == NN_F32 || (i == from && !b)); /* nobody has prefetched it */
                j->r->k->repack[s->blocks](room + (size_t)(p - i) * some.panel, at, b, n, cold ? &same : NULL);
            }
            some.w = room;
            some.x = s->type == NN_F32    ? (const void *)((const float *)g.x + b * QBLOCK)
                     : s->type == NN_BF16 ? (const void *)((const uint16_t *)g.x + b * QBLOCK) : &part;
            some.n_in = n * QBLOCK;
            some.soon = &soon;
            if (b) some.add = 1, some.bias = NULL;
            gemm(j->r->k, s->type, &some);
        }
    }
}

static void gemm_lying(const struct job *j, const nn_seg *s, const struct m8__gemm *g, int from, int to)
{
    if (g->n == 1 && s->blocks >= 0 && j->r->k->gemv[s->blocks]) {
        gemv_lying(j, s, *g, from, to);
        return;
    }
    int slot = 0;
    while (atomic_flag_test_and_set_explicit(&j->taken[slot], memory_order_acquire)) slot++;
    char *room = j->room + (size_t)slot * j->room_size;
    if (s->blocks >= 0) gemm_blocks(j, s, *g, from, to, room);
    else gemm_floats(j, s, *g, from, to, (float *)room);
    atomic_flag_clear_explicit(&j->taken[slot], memory_order_release);
}

/* Panels [from, to) of a stack, segment by segment. */
static void gemm_segments(const struct job *j, const struct m8__gemm *g, int from, int to)
{
    for (int i = 0; i < j->w->n_segs; i++) {
        const nn_seg *s = &j->w->segs[i];
        int first = s->panel0 > from ? s->panel0 : from, end = s->panel0 + s->n_panels < to ? s->panel0 + s->n_panels : to;
        if (first >= end) continue;
        struct m8__gemm part = outputs(*g, first - from, end - from);
        part.panel = s->panel;
        if (s->data) {
            part.w = (const char *)s->data + (size_t)(first - s->panel0) * s->panel;
            gemm(j->r->k, s->type, &part);
        } else {
            gemm_lying(j, s, &part, first - s->panel0, end - s->panel0);
        }
    }
}

static void gemm_chunk(void *user, int chunk)
{
    const struct job *j = user;
    int row = chunk % j->row_chunks * j->row_step, panel = chunk / j->row_chunks * j->panel_step;
    int end = j->panels - panel < j->panel_step ? j->panels : panel + j->panel_step;
    struct m8__gemm g = outputs(j->g, panel, end);
    struct xq xq = j->xq;
    g.n = g.n - row < j->row_step ? g.n - row : j->row_step;
    g.y += row * g.ldy;
    const struct m8__kernels *k = j->r->k;
    ptrdiff_t from = (ptrdiff_t)row * g.stride * g.ldx;
    if (j->w->type == NN_F32) {
        g.x = (const float *)g.x + from;
    } else if (j->w->type == NN_BF16) {
        g.x = (const uint16_t *)g.x + from;
    } else {
        xq.q += row * xq.ldq;
        if (xq.q2) xq.q2 += row * xq.ldq;
        xq.d += row * xq.ldd;
        xq.s += row * xq.ldd;
        xq.sum += 2 * row * xq.ldd;
        g.x = &xq;
    }
    if (j->w->n_segs) gemm_segments(j, &g, panel, end);
    else gemm(k, j->w->type, &g);
    if (j->act) {
        for (int i = 0; i < g.n; i++) nn__act(k, g.y + i * g.ldy, g.n_out, j->act);
    }
    if (j->residual.d) {
        const float *to = j->residual.d + (ptrdiff_t)row * j->residual.ld + panel * PANEL;
        for (int i = 0; i < g.n; i++) k->add(g.y + i * g.ldy, to + i * j->residual.ld, g.n_out);
    }
}

/* Cut the product: few rows by panels alone, many rows into blocks that a core's cache holds. */
static void cut(struct job *j)
{
    int threads = m8_pool_threads(j->r->pool), n = j->g.n;
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
}

/* Of weights that lie in a file, too: all rows go by each panel that is made. */
static void cut_lying(struct job *j)
{
    int threads = m8_pool_threads(j->r->pool), fair = (j->panels + 4 * threads - 1) / (4 * threads);
    j->row_step = j->g.n;
    j->panel_step = 2 * AT_ONCE < fair ? 2 * AT_ONCE : AT_ONCE < fair ? AT_ONCE : fair;
    for (int i = 0; i < j->w->n_segs; i++) {
        const nn_seg *s = &j->w->segs[i];
        size_t size = s->blocks < 0 ? s->panel + (size_t)j->g.n_in * PANEL * sizeof(float) : AT_ONCE * m8__panel_bytes(s->type, part_of(s->type) * QBLOCK, 1);
        if (size > j->room_size) j->room_size = size;
    }
    j->room = nn_take(j->r, (size_t)threads * j->room_size);
    j->taken = nn_take(j->r, (size_t)threads * sizeof *j->taken);
    for (int i = 0; i < threads && j->taken; i++) atomic_flag_clear(&j->taken[i]);
}

static void run(struct job *j)
{
    j->panels = (j->g.n_out + PANEL - 1) / PANEL;
    if (j->w->n_segs) cut_lying(j);
    else cut(j);
    if (j->r->status) return;
    j->row_chunks = (j->g.n + j->row_step - 1) / j->row_step;
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
                         (int32_t *)c->xq.sum + 2 * i * c->xq.ldd, x, n);
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
    xq->sum = nn_take(r, 2 * cells * sizeof(int32_t));
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
