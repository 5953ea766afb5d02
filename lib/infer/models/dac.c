/* The decoder of the Descript Audio Codec (Kumar et al. 2023, arXiv 2306.06546), as a stream.
 *
 *   codes -> z = sum of out_proj_k(codebook_k[code])                       [frames, 1024]
 *         -> conv 7                                                         [frames, 1536]
 *         -> 4 times: snake, transposed conv (kernel 2 s, stride s = 8, 8, 4, 2), three residual units     [8 frames, 768] ... [512 frames, 96]
 *              unit: x + conv 1(snake(conv 7, dilation 1, 3, 9 (snake x)))
 *         -> snake, conv 7, tanh                                            [512 frames, 1]
 *   snake(x) = x + sin(alpha x)^2 / (alpha + 1e-9), alpha by channel (Ziyin et al. 2020)
 *
 * A layer gives every row that is final as soon as its input is there, and keeps the rows of its input that later ones need: `span` of
 * them before each convolution, and of x as many as the unit's convolution is late. The zeros of the padding stand where they belong,
 * before the very first row and behind the very last one of each layer. So a sound is the same, bit for bit, however its frames are cut,
 * and a push costs what its frames cost. Trap: rows of a transposed convolution come `cut` early (those are of the zeros before the
 * sound), so what a stage has ready is no whole number of frames. */
#include "dac_parts.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    BLOCK = 32,         /* frames that go through the first layers together, whose weights no cache holds */
    PIECE = 128 * 1024, /* floats of a stage's output that are made together: they go through the next layers before they leave the cache */
};

struct dac_line { /* rows kept from push to push, in the type of the weights or (x of a unit) as floats */
    char *rows;
    int n;
};

struct dac_unit_lines {
    struct dac_line wide, x;
    struct dac_pairs_line pairs; /* instead of wide */
};

struct dac_stream {
    const struct dac *d;
    m8_status status;     /* of the first push that failed; the lines are no longer in step then */
    int64_t n_frames, n_samples; /* so far: in, out */
    bool ended;
    struct dac_line first, last;
    struct {
        struct dac_line up;
        int cut;              /* rows still to be thrown away */
        struct dac_unit_lines unit[DAC_UNITS];
    } stage[DAC_MOST_STAGES];
    char *memory;
};

struct push { /* one block of frames on its way */
    nn_run *r;
    struct dac_stream *s;
    bool last; /* nothing follows what a layer gets now */
    nn_t out;  /* the samples so far */
    void (*tap)(void *user, const char *layer, nn_t x);
    void *user;
};

/* ---- what a layer keeps */

static size_t row_bytes(const struct dac_conv *c)
{
    return c->w.type == NN_BF16 ? (size_t)((c->w.n_in + 1) & ~1) * sizeof(uint16_t) : (size_t)c->w.n_in * sizeof(float);
}

/* Room for `most` rows at *at (counted only, as long as `memory` is NULL), of which the first n are there: zeros. */
static void lay_line(struct dac_line *l, char *memory, size_t *at, int most, size_t row, int n)
{
    *l = (struct dac_line){ memory ? memory + *at : NULL, n };
    *at += ((size_t)most * row + 63) & ~(size_t)63;
}

static void lay_conv(struct dac_line *l, char *memory, size_t *at, const struct dac_conv *c)
{
    lay_line(l, memory, at, c->span, row_bytes(c), c->before);
}

static size_t lay_out(struct dac_stream *s, char *memory)
{
    const struct dac *d = s->d;
    size_t at = 0;
    lay_conv(&s->first, memory, &at, &d->first);
    lay_conv(&s->last, memory, &at, &d->last);
    for (int i = 0; i < d->n_stages; i++) {
        const struct dac_stage *w = &d->stage[i];
        lay_conv(&s->stage[i].up, memory, &at, &w->up);
        s->stage[i].cut = w->cut;
        for (int j = 0; j < DAC_UNITS; j++) {
            const struct dac_conv *c = &w->unit[j].wide;
            const struct dac_pairs *pairs = &w->unit[j].pairs;
            if (pairs->dilation) {
                if (memory) m8__pairs_at(&s->stage[i].unit[j].pairs, pairs, memory + at);
                at += m8__pairs_bytes(pairs);
            } else {
                lay_conv(&s->stage[i].unit[j].wide, memory, &at, c);
            }
            lay_line(&s->stage[i].unit[j].x, memory, &at, c->after, (size_t)w->channels * sizeof(float), 0);
        }
    }
    return at;
}

m8_status m8__dac_stream_new(struct dac_stream **out, const struct dac *d, m8_error *err)
{
    struct dac_stream *s = m8_calloc(1, sizeof *s);
    *out = NULL;
    if (s) {
        s->d = d;
        size_t bytes = lay_out(s, NULL);
        s->memory = m8_aligned(64, bytes ? bytes : 64);
        if (s->memory) memset(s->memory, 0, bytes);
    }
    if (!s || !s->memory) {
        m8__dac_stream_free(s);
        return m8_fail(err, M8_E_NOMEM, "a stream of sound");
    }
    lay_out(s, s->memory);
    *out = s;
    return M8_OK;
}

void m8__dac_stream_free(struct dac_stream *s)
{
    if (s) m8_free(s->memory);
    m8_free(s);
}

/* Samples that are final once n frames have been pushed, and more may follow. */
static int64_t final_samples(const struct dac *d, int64_t n)
{
    int64_t rows = n - d->first.after;
    for (int i = 0; i < d->n_stages; i++) {
        const struct dac_stage *s = &d->stage[i];
        rows = rows > 0 ? rows * s->rate - s->cut : 0;
        for (int j = 0; j < DAC_UNITS; j++) rows -= s->unit[j].wide.after;
    }
    rows -= d->last.after;
    return rows > 0 ? rows : 0;
}

/* ---- layers */

struct rows { /* the input of a convolution: what was kept, what came, and at the end zeros */
    char *at;
    int n;
};

struct convert {
    const struct m8__kernels *k;
    const struct dac_conv *c;
    nn_t x;
    char *to;
    int block;
};

static void convert_row(const struct m8__kernels *k, const struct dac_conv *c, void *to, const float *x, int n)
{
    uint16_t *bf16 = to;
    if (c->w.type != NN_BF16) {
        if (c->freq) k->snake(to, x, c->freq, c->by, n);
        else memcpy(to, x, (size_t)n * sizeof *x);
        return;
    }
    if (c->freq) k->snake_bf16(bf16, x, c->freq, c->by, n);
    else k->to_bf16(bf16, x, n);
    if (n & 1) bf16[n] = 0;
}

static void convert_chunk(void *user, int chunk)
{
    const struct convert *j = user;
    int end = (chunk + 1) * j->block < j->x.n ? (chunk + 1) * j->block : j->x.n;
    for (int i = chunk * j->block; i < end; i++)
        convert_row(j->k, j->c, j->to + (size_t)i * row_bytes(j->c), j->x.d + (ptrdiff_t)i * j->x.ld, j->x.c);
}

/* The snake of x behind the rows kept; room for `more` zero rows at the end. */
static struct rows feed(struct push *p, const struct dac_conv *c, struct dac_line *kept, nn_t x, int more)
{
    size_t row = row_bytes(c);
    int zeros = p->last ? c->after : 0, n = kept->n + x.n + zeros;
    struct rows in = { nn_take(p->r, (size_t)(n + more) * row), n };
    if (!in.at) return (struct rows){ 0 };
    if (kept->n) memcpy(in.at, kept->rows, (size_t)kept->n * row);
    char *here = in.at + (size_t)kept->n * row;
    memset(here + (size_t)x.n * row, 0, (size_t)(zeros + more) * row);
    int64_t work = (int64_t)x.n * x.c;
    int threads = m8_pool_threads(p->r->pool), chunks = work < 8192 ? 1 : work < 65536 ? threads : 4 * threads;
    struct convert j = { p->r->k, c, x, here, (x.n + chunks - 1) / chunks };
    if (x.n) nn_each(p->r, (x.n + j.block - 1) / j.block, convert_chunk, &j);
    kept->n = n < c->span ? n : c->span; /* what the next push needs */
    memcpy(kept->rows, in.at + (size_t)(n - kept->n) * row, (size_t)kept->n * row);
    return in;
}

/* Rows that a convolution can give of n rows before it. */
static int ready(const struct dac_conv *c, int n) { return n > c->span ? n - c->span : 0; }

static nn_t conv(struct push *p, const struct dac_conv *c, struct rows in)
{
    nn_t y = nn_new(p->r, ready(c, in.n), c->w.n_out);
    nn_conv_to(p->r, y, in.at, &c->w, (nn_conv_opts){ .dilation = c->dilation });
    return y;
}

M8_PRINTF(3, 4) static void see(struct push *p, nn_t x, const char *fmt, ...)
{
    char name[64];
    if (!p->tap || p->r->status || !x.n) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    p->tap(p->user, name, x);
}

/* What a convolution sees, which stands nowhere as floats. */
M8_PRINTF(4, 5) static void see_snake(struct push *p, const struct dac_conv *c, nn_t x, const char *fmt, ...)
{
    char name[64];
    if (!p->tap || p->r->status || !x.n) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    m8_arena_mark mark = m8_arena_here(p->r->arena);
    nn_t y = nn_new(p->r, x.n, x.c);
    for (int i = 0; y.d && i < x.n; i++) p->r->k->snake(y.d + (ptrdiff_t)i * y.ld, x.d + (ptrdiff_t)i * x.ld, c->freq, c->by, x.c);
    see(p, y, "%s", name);
    m8_arena_back(p->r->arena, mark);
}

/* Rows of x that are still to be met by the unit's convolution go before it, into the room that is there. */
static nn_t behind_kept(const struct dac_line *kept, nn_t x)
{
    nn_t all = { x.d - (ptrdiff_t)kept->n * x.ld, kept->n + x.n, x.c, x.ld };
    memcpy(all.d, kept->rows, (size_t)kept->n * (size_t)x.c * sizeof *x.d);
    return all;
}

/* x += point(snake(h)), some rows after the others: h is hot from its conversion, x from its sum. */
struct point {
    const struct m8__kernels *k;
    const struct dac_conv *c;
    nn_t x, h;
    const struct dac_pairs_rows *pairs; /* where h is, or NULL */
    int step;
};

enum { POINT_BYTES = 72 * 1024 };
_Static_assert(POINT_BYTES >= DAC_MOST_CHANNELS * sizeof(float), "a row at least");

static void point_chunk(void *user, int chunk)
{
    const struct point *j = user;
    const struct dac_conv *c = j->c;
    _Alignas(64) char scratch[POINT_BYTES];
    size_t row = row_bytes(c);
    int first = chunk * j->step, n = j->x.n - first < j->step ? j->x.n - first : j->step;
    nn_t x = nn_rows(j->x, first, n);
    for (int i = 0; i < n; i++) {
        const float *h = j->pairs ? m8__pairs_row(j->pairs, first + i) : j->h.d + (ptrdiff_t)(first + i) * j->h.ld;
        convert_row(j->k, c, scratch + (size_t)i * row, h, x.c);
        j->k->add(x.d + (ptrdiff_t)i * x.ld, c->w.bias, x.c);
    }
    struct m8__gemm g = { .y = x.d, .ldy = x.ld, .x = scratch, .ldx = c->w.type == NN_BF16 ? (x.c + 1) & ~1 : x.c, .n = n, .n_out = x.c,
                          .w = c->w.data, .panel = c->w.panel, .taps = 1, .stride = 1, .dilation = 1, .add = 1 };
    g.n_in = (int)g.ldx;
    if (c->w.type == NN_BF16) j->k->gemm_bf16(&g);
    else j->k->gemm_f32(&g);
}

static void add_point(struct push *p, const struct dac_conv *c, nn_t x, nn_t h, const struct dac_pairs_rows *pairs)
{
    int threads = m8_pool_threads(p->r->pool), most = (int)(POINT_BYTES / row_bytes(c));
    struct point j = { p->r->k, c, x, h, pairs, most < 48 ? most : 48 };
    if (x.n < 2 * threads * j.step && (x.n + threads - 1) / threads < j.step) j.step = (x.n + threads - 1) / threads;
    if (x.n) nn_each(p->r, (x.n + j.step - 1) / j.step, point_chunk, &j);
}

/* The rows of h in order, for who looks at layers. */
static nn_t in_order(struct push *p, const struct dac_pairs_rows *y)
{
    nn_t h = nn_new(p->r, y->n, y->even.c);
    for (int i = 0; h.d && i < h.n; i++) memcpy(h.d + (ptrdiff_t)i * h.ld, m8__pairs_row(y, i), (size_t)h.c * sizeof *h.d);
    return h;
}

/* x is updated: the rows that are final now; before x there is room for those kept. */
static nn_t unit(struct push *p, const struct dac_unit *u, struct dac_unit_lines *s, nn_t x, int stage, int i)
{
    char name[64];
    snprintf(name, sizeof name, "decoder.model.%d.block.%d", stage + 1, i + 2);
    m8_arena_mark mark = m8_arena_here(p->r->arena);
    struct dac_pairs_rows pairs = { 0 };
    nn_t h = { 0 };
    see_snake(p, &u->wide, x, "%s.block.0", name);
    bool paired = u->pairs.dilation;
    if (paired) pairs = m8__pairs(p->r, &u->pairs, u->wide.freq, u->wide.by, &s->pairs, x, p->last ? u->wide.after : 0);
    else h = conv(p, &u->wide, feed(p, &u->wide, &s->wide, x, 0));
    if (p->tap) {
        if (paired) h = in_order(p, &pairs);
        see(p, h, "%s.block.1", name);
        see_snake(p, &u->point, h, "%s.block.2", name);
    }
    if (p->r->status) return (nn_t){ 0 };
    int n = paired ? pairs.n : h.n;
    nn_t all = behind_kept(&s->x, x);
    s->x.n = all.n - n;
    memcpy(s->x.rows, all.d + (ptrdiff_t)n * all.ld, (size_t)s->x.n * (size_t)all.c * sizeof *all.d);
    x = nn_rows(all, 0, n);
    nn_t was = p->tap ? nn_copy(p->r, x) : (nn_t){ 0 };
    add_point(p, &u->point, x, h, paired ? &pairs : NULL);
    if (p->tap && !p->r->status) {
        for (int j = 0; j < n * x.c; j++) was.d[j] = x.d[j] - was.d[j]; /* both are dense */
        see(p, was, "%s.block.3", name);
    }
    see(p, x, "%s", name);
    m8_arena_back(p->r->arena, mark);
    return x;
}

static nn_t stage(struct push *p, int i, nn_t x)
{
    const struct dac_stage *w = &p->s->d->stage[i];
    int room = 0;
    for (int j = 0; j < DAC_UNITS; j++) room += w->unit[j].wide.after;
    int n = ready(&w->up, p->s->stage[i].up.n + x.n + (p->last ? w->up.after : 0));
    nn_t y = nn_new(p->r, room + n * w->rate, w->channels); /* [rows * rate, channels / 2] behind room for what the units have kept */
    m8_arena_mark mark = m8_arena_here(p->r->arena);
    see_snake(p, &w->up, x, "decoder.model.%d.block.0", i + 1);
    struct rows in = feed(p, &w->up, &p->s->stage[i].up, x, 0);
    if (p->r->status) return (nn_t){ 0 };
    nn_t phases = { y.d + (ptrdiff_t)room * y.ld, n, w->rate * w->channels, w->rate * w->channels };
    nn_conv_to(p->r, phases, in.at, &w->up.w, (nn_conv_opts){ 0 });
    m8_arena_back(p->r->arena, mark);
    int cut = p->s->stage[i].cut < n * w->rate ? p->s->stage[i].cut : n * w->rate;
    p->s->stage[i].cut -= cut;
    x = nn_rows(y, room + cut, n * w->rate - cut - (p->last ? w->rate - w->cut : 0)); /* nor those of the zeros behind */
    see(p, x, "decoder.model.%d.block.1", i + 1);
    for (int j = 0; j < DAC_UNITS; j++) x = unit(p, &w->unit[j], &p->s->stage[i].unit[j], x, i, j);
    see(p, x, "decoder.model.%d", i + 1);
    return x;
}

static nn_t lookup(struct push *p, const int *codes, int n)
{
    const struct dac *d = p->s->d;
    nn_t x = nn_new(p->r, n, d->n_q * d->code_dim);
    for (int i = 0; x.d && i < n * d->n_q; i++) {
        size_t book = (size_t)(i % d->n_q) * (size_t)d->n_codes;
        memcpy(x.d + (size_t)i * (size_t)d->code_dim, d->codes + (book + (size_t)codes[i]) * (size_t)d->code_dim, (size_t)d->code_dim * sizeof *x.d);
    }
    return x;
}

static void samples(struct push *p, nn_t x)
{
    const struct dac *d = p->s->d;
    see_snake(p, &d->last, x, "decoder.model.%d", d->n_stages + 1);
    struct rows in = feed(p, &d->last, &p->s->last, x, PANEL - 1);
    int n = in.n > d->last.span ? in.n - d->last.span : 0;
    x = nn_new(p->r, (n + PANEL - 1) / PANEL, PANEL);                      /* 16 samples a row */
    nn_conv_to(p->r, x, in.at, &d->last.w, (nn_conv_opts){ .stride = PANEL });
    if (p->r->status) return;
    see(p, (nn_t){ x.d, n, 1, 1 }, "decoder.model.%d", d->n_stages + 2);
    p->r->k->tanh_v(p->out.d + p->out.n, x.d, n);
    see(p, nn_rows(p->out, p->out.n, n), "decoder.model.%d", d->n_stages + 3);
    p->out.n += n;
}

/* x through the stages from the i-th on, piece by piece. */
static void stages(struct push *p, int i, nn_t x)
{
    const struct dac *d = p->s->d;
    bool last = p->last;
    if (i == d->n_stages) {
        samples(p, x);
        return;
    }
    int most = PIECE / (d->stage[i].rate * d->stage[i].channels), done = 0;
    if (most < 1) most = 1;
    do {
        int now = x.n - done < most ? x.n - done : most;
        m8_arena_mark mark = m8_arena_here(p->r->arena);
        p->last = last && done + now == x.n;
        stages(p, i + 1, stage(p, i, nn_rows(x, done, now)));
        m8_arena_back(p->r->arena, mark);
        done += now;
    } while (done < x.n && !p->r->status);
}

static void block(struct push *p, const int *codes, int n)
{
    const struct dac *d = p->s->d;
    nn_t x = lookup(p, codes, n);                                               /* [n, 9 * 8] */
    see(p, x, "quantizer.lookup");
    x = nn_linear(p->r, x, &d->proj);                                           /* [n, 1024] */
    see(p, x, "quantizer.z");
    x = conv(p, &d->first, feed(p, &d->first, &p->s->first, x, 0));
    see(p, x, "decoder.model.0");
    if (!p->r->status) stages(p, 0, x);
}

nn_t m8__dac_push(nn_run *r, struct dac_stream *s, const int *codes, int n, bool last, void (*tap)(void *user, const char *layer, nn_t x),
                  void *user)
{
    const struct dac *d = s->d;
    if (s->status && !r->status) r->status = s->status;
    if (r->status) return (nn_t){ 0 };
    int64_t after = s->n_frames + n, most = last ? after * d->hop : final_samples(d, after), count = most - s->n_samples;
    s->status = s->ended || n < 0 ? M8_E_ARG : count > INT_MAX ? M8_E_LIMIT : M8_OK;
    for (int64_t i = 0; i < (int64_t)n * d->n_q && !s->status; i++) {
        if (codes[i] < 0 || codes[i] >= d->n_codes) s->status = M8_E_ARG;
    }
    r->status = s->status;
    struct push p = { .r = r, .s = s, .out = nn_new(r, (int)count, 1), .tap = tap, .user = user };
    p.out.n = 0;
    for (int done = 0, now; !r->status && (done < n || (last && !p.last)); done += now) {
        m8_arena_mark mark = m8_arena_here(r->arena);
        now = n - done < BLOCK ? n - done : BLOCK;
        p.last = last && done + now == n;
        block(&p, codes + (ptrdiff_t)done * d->n_q, now);
        m8_arena_back(r->arena, mark);
    }
    s->n_frames = after;
    s->n_samples += p.out.n;
    s->ended = last;
    s->status = r->status;
    return r->status ? (nn_t){ 0 } : p.out;
}

int m8__dac_codebooks(const struct dac *d) { return d->n_q; }
int m8__dac_codebook_size(const struct dac *d) { return d->n_codes; }
int m8__dac_hop(const struct dac *d) { return d->hop; }

/* ---- a codec alone, to be verified */

static bool match(const m8__weights *w)
{
    struct dac_names names;
    return m8__dac_names(w, &names) && !m8__weights_find(w, "decoder.model.decoder.layer_norm.weight");
}

static m8_status open_codec(m8_model *m, nn_load *l, m8_error *err)
{
    m->impl = (void *)m8__dac_load(l);
    return l->status;
}

static void close_codec(m8_model *m) {} /* all of it is held by the model */

const struct m8__family m8__dac = {
    .name = "dac", .match = match, .open = open_codec, .close = close_codec, .verify = m8__dac_verify,
};
