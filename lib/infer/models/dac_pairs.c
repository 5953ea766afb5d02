/* Two outputs of three taps cost four products instead of six (Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308, F(2,3)):
 *
 *     y0 = w0 x0 + w1 x1 + w2 x2        a = w0 (x0 - x2)                 b = (w0 + w1 + w2)/2 (x1 + x2)
 *     y1 = w0 x1 + w1 x2 + w2 x3        c = (w0 - w1 + w2)/2 (x2 - x1)   d = -w2 (x1 - x3)
 *                                       y0 = b + c + a                   y1 = b - c + d
 *
 * Seven taps are three, one and three. With dilation D, rows come in blocks of D even ones (their pair's first) and D odd ones: output
 * 2 D b + r is paired with 2 D b + D + r. The second kernel meets in block b what the first one meets in block b + 2; so each row of
 * input is transformed once, into planes of which a gemm with two taps takes both, and w3 meets the odd rows of block b + 1 for y0, the
 * even rows of block b + 2 for y1. Ten products for a pair, fourteen without; and one kept order of sums.
 *
 * y0 needs no row that it would not need otherwise, nor does y1. So a stream may end between them: b and c are then computed again for
 * y1 with the next push, to the same bits. Blocks are counted from the beginning of the sound, never from that of a push. */
#include "dac_pairs.h"
#include "nn/pack.h"
#include <string.h>

enum { SUM, DIFF, FIRST, LAST, ODD, EVEN, N_PLANES }; /* in the kernel's order */
enum { MOST_D = 9, SLICE = 192 /* channels */, KEPT = 4 /* blocks that a stream keeps at most */ };

static size_t row_bytes(const struct dac_pairs *w) { return (size_t)((w->w.n_in + 1) & ~1) * sizeof(uint16_t); }

static size_t kept_bytes(const struct dac_pairs *w)
{
    return ((size_t)N_PLANES * KEPT * (size_t)w->dilation * row_bytes(w) + 63) & ~(size_t)63;
}

size_t m8__pairs_bytes(const struct dac_pairs *w)
{
    return kept_bytes(w) + ((2 * (size_t)w->dilation * (size_t)w->w.n_in * sizeof(float) + 63) & ~(size_t)63);
}

void m8__pairs_at(struct dac_pairs_line *l, const struct dac_pairs *w, char *memory)
{
    *l = (struct dac_pairs_line){ .planes = memory, .snaked = (float *)(memory + kept_bytes(w)), .n_in = 3 * w->dilation };
}

void m8__pairs_put(const struct dac_pairs *p, int o, const float *kernel, float *row)
{
    static const float parts[4][3] = { [SUM] = { 0.5f, 0.5f, 0.5f }, [DIFF] = { 0.5f, -0.5f, 0.5f }, [FIRST] = { 1, 0, 0 }, [LAST] = { 0, 0, -1 } };
    const nn_w *w = &p->w;
    int n_in = w->n_in;
    for (int c = 0; c < n_in; c++, kernel += 7) {
        for (int i = 0; i < 8; i++) {
            const float *by = parts[i / 2], *three = kernel + i % 2 * 4;
            row[(size_t)i * n_in + c] = by[0] * three[0] + by[1] * three[1] + by[2] * three[2];
        }
        row[(size_t)8 * n_in + c] = kernel[3];
    }
    m8__pack_lane(w->type, (char *)w->data + (size_t)(o / PANEL) * w->panel, o % PANEL, row, n_in, 9);
}

/* ---- from rows to planes */

struct transform {
    const struct m8__kernels *k;
    const struct dac_pairs *w;
    const float *freq, *by, *kept;
    float *keep;     /* the last rows, for the next push */
    nn_t x;
    int n;           /* rows of x, and zeros behind them */
    int64_t from, block; /* number of the first row; block that the planes begin with */
    char *planes;
    size_t plane;    /* bytes from plane to plane */
    int slices, step /* rows of a chunk */;
};

static uint16_t *plane_row(const struct transform *t, int plane, int64_t row, int from)
{
    return (uint16_t *)(t->planes + (size_t)plane * t->plane + (size_t)row * row_bytes(t->w)) + from;
}

/* One row of one slice into the planes that can be made of it and the two rows before it, `here` 2 D and `half` D rows before. */
static void put_row(const struct transform *t, int64_t i, int from, int n, const float *s, const float *here, const float *half)
{
    const struct m8__kernels *k = t->k;
    int d = t->w->dilation, in = (int)(i % (2 * d));
    int64_t now = (i / (2 * d) - t->block) * d + in % d, before = now - d;
    k->to_bf16(plane_row(t, in < d ? EVEN : ODD, now, from), s, n);
    if (before < 0) return;
    if (in < d) {
        k->mix_bf16(plane_row(t, FIRST, before, from), here, s, -1, n);
        k->mix_bf16(plane_row(t, SUM, before, from), half, s, 1, n);
        k->mix_bf16(plane_row(t, DIFF, before, from), s, half, -1, n);
    } else {
        k->mix_bf16(plane_row(t, LAST, before, from), here, s, -1, n);
    }
}

/* A slice of the channels of some rows; the rows before them are known from the last push, or made once more. */
static void transform_chunk(void *user, int chunk)
{
    const struct transform *t = user;
    float ring[2 * MOST_D + 1][SLICE];
    int d2 = 2 * t->w->dilation, c = t->w->w.n_in, from = chunk % t->slices * SLICE, n = c - from < SLICE ? c - from : SLICE;
    int first = chunk / t->slices * t->step, end = t->n - first < 2 * t->step ? t->n : first + t->step, at = 0;
    for (; !first && at < d2; at++) memcpy(ring[at], t->kept + (ptrdiff_t)at * c + from, (size_t)n * sizeof **ring);
    for (int i = first ? first - d2 : 0; i < end; i++) {
        if (i < t->x.n) t->k->snake(ring[at], t->x.d + (ptrdiff_t)i * t->x.ld + from, t->freq + from, t->by + from, n);
        else memset(ring[at], 0, (size_t)n * sizeof **ring);
        int here = at < d2 ? at + 1 : 0, half = at < d2 / 2 ? at + d2 / 2 + 1 : at - d2 / 2;
        if (i >= first) put_row(t, t->from + i, from, n, ring[at], ring[here], ring[half]);
        at = here;
    }
    if (end < t->n) return;
    for (int j = 0; j < d2; j++) { /* the oldest one follows the last */
        at = at < d2 ? at + 1 : 0;
        memcpy(t->keep + (ptrdiff_t)j * c + from, ring[at], (size_t)n * sizeof **ring);
    }
}

/* ---- from planes to rows */

struct product {
    const struct m8__kernels *k;
    const struct dac_pairs *w;
    const char *planes;
    size_t plane;
    nn_t even, odd;
    int row_chunks, row_step, panel_step;
};

static void product_chunk(void *user, int chunk)
{
    const struct product *p = user;
    const nn_w *w = &p->w->w;
    int row = chunk % p->row_chunks * p->row_step, panel = chunk / p->row_chunks * p->panel_step, from = panel * PANEL;
    ptrdiff_t ldx = (ptrdiff_t)(row_bytes(p->w) / sizeof(uint16_t)), ldy = p->even.ld, d = p->w->dilation;
    struct m8__pairs g = { .even = p->even.d + row * ldy + from, .odd = p->odd.d + row * ldy + from, .ldy = ldy, .ldx = ldx, .apart = 2 * d * ldx,
                           .n = p->even.n - row < p->row_step ? p->even.n - row : p->row_step,
                           .n_out = w->n_out - from < p->panel_step * PANEL ? w->n_out - from : p->panel_step * PANEL, .n_in = (int)ldx,
                           .w = (const char *)w->data + (size_t)panel * w->panel, .panel = w->panel, .bias = w->bias + from };
    for (int i = 0; i < N_PLANES; i++) { /* w3 meets ODD of the next block, EVEN of the one after it */
        ptrdiff_t later = i == ODD ? d : i == EVEN ? 2 * d : 0;
        g.x[i] = (const uint16_t *)(p->planes + (size_t)i * p->plane) + (row + later) * ldx;
    }
    p->k->pairs_bf16(&g);
}

static void products(nn_run *r, struct product *p)
{
    int threads = m8_pool_threads(r->pool), n = p->even.n, panels = (p->w->w.n_out + PANEL - 1) / PANEL;
    bool many = n >= 96; /* rows: few of them take turns by panels, so that weights are read once */
    p->row_step = !many ? n : threads == 1 ? 96 : panels <= 12 ? 24 : 48; /* weights that a core's cache holds bear small chunks */
    p->panel_step = many ? 8 : 4;
    p->row_chunks = (n + p->row_step - 1) / p->row_step;
    nn_each(r, p->row_chunks * ((panels + p->panel_step - 1) / p->panel_step), product_chunk, p);
}

/* ---- a push */

/* Where the half's rows begin and end that are outputs [from, end), counted by D a block. */
static void span(int64_t from, int64_t end, int d, int half, int64_t *first, int64_t *last)
{
    int64_t k[2] = { from, end };
    for (int i = 0; i < 2; i++) {
        int64_t in = k[i] % (2 * d) - half * d;
        k[i] = k[i] / (2 * d) * d + (in < 0 ? 0 : in < d ? in : d);
    }
    if (k[0] < k[1] && k[0] < *first) *first = k[0];
    if (k[0] < k[1] && k[1] > *last) *last = k[1];
}

struct dac_pairs_rows m8__pairs(nn_run *r, const struct dac_pairs *w, const float *freq, const float *by, struct dac_pairs_line *kept, nn_t x,
                                int zeros)
{
    int d = w->dilation, c = w->w.n_in, n = x.n + zeros;
    int64_t in = kept->n_in + n, out = in - 6 * d > kept->n_out ? in - 6 * d : kept->n_out, block = kept->n_out / (2 * d);
    struct dac_pairs_rows y = { .from = kept->n_out, .n = (int)(out - kept->n_out), .dilation = d, .block = block };
    int64_t first = INT64_MAX, last = 0;
    span(kept->n_out, out, d, 0, &first, &last);
    span(kept->n_out, out, d, 1, &first, &last);
    int pairs = last > first ? (int)(last - first) : 0, blocks = (int)((in - 1) / (2 * d) - block) + 1, had = (int)((kept->n_in - 1) / (2 * d) - block) + 1;
    y.skipped = pairs ? (int)(first - block * d) : 0;
    y.even = nn_new(r, pairs, c);
    y.odd = nn_new(r, pairs, c);
    m8_arena_mark mark = m8_arena_here(r->arena);
    size_t row = row_bytes(w), plane = (size_t)blocks * (size_t)d * row, kept_plane = (size_t)KEPT * (size_t)d * row;
    struct transform t = { .k = r->k, .w = w, .freq = freq, .by = by, .kept = kept->snaked, .x = x, .n = n, .from = kept->n_in, .block = block,
                           .planes = nn_take(r, N_PLANES * plane), .plane = plane };
    t.keep = nn_take(r, 2 * (size_t)d * (size_t)c * sizeof(float));
    if (r->status) return (struct dac_pairs_rows){ 0 };
    for (int i = 0; i < N_PLANES; i++) { /* rows that are not known yet are zeros: they meet outputs that nobody asks for */
        size_t known = (size_t)had * (size_t)d * row, open = (size_t)(blocks < 2 ? blocks : 2) * (size_t)d * row;
        char *to = t.planes + (size_t)i * plane;
        if (plane - open < known) open = plane - known;
        memcpy(to, kept->planes + (size_t)i * kept_plane, known);
        memset(to + plane - open, 0, open);
        for (int j = had * d; (c & 1) && j < blocks * d; j++) ((uint16_t *)(to + (size_t)j * row))[c] = 0;
    }
    t.slices = (c + SLICE - 1) / SLICE;
    int threads = m8_pool_threads(r->pool), want = threads == 1 ? 1 : (4 * threads + t.slices - 1) / t.slices;
    t.step = (n + want - 1) / want;
    if (t.step < 8 * d) t.step = 8 * d;
    if (n) nn_each(r, t.slices * (n / t.step ? n / t.step : 1), transform_chunk, &t);
    struct product p = { .k = r->k, .w = w, .planes = t.planes + (size_t)y.skipped * row, .plane = plane, .even = y.even, .odd = y.odd };
    if (pairs) products(r, &p);
    int64_t next = out / (2 * d) - block;
    for (int i = 0; i < N_PLANES; i++)
        memcpy(kept->planes + (size_t)i * kept_plane, t.planes + (size_t)i * plane + (size_t)next * (size_t)d * row, (size_t)(blocks - next) * (size_t)d * row);
    if (n) memcpy(kept->snaked, t.keep, 2 * (size_t)d * (size_t)c * sizeof(float));
    kept->n_in = in;
    kept->n_out = out;
    m8_arena_back(r->arena, mark);
    return y;
}
