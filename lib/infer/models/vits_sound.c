/* From phonemes laid out in frames to samples: the prior's sample, the flow backwards (section 2.2.2 of the paper: couplings of
 * WaveNet layers), and the generator (HiFi-GAN, Kong et al. 2020). Both are convolutions, so any window of frames can be computed by
 * itself, and equals the whole bit for bit when it is given the frames that it sees. What is computed beyond a window is cut off as
 * soon as the next layers no longer need it; beyond the sentence's ends there are zeros, as in the whole.
 *
 * Traps: the last leaky relu has slope 0.01, all others 0.1; blocks are averaged; conv_post has no bias. */
#include "vits.h"
#include <math.h>
#include <string.h>

/* ---- prior */

struct prior {
    const struct vits *v;
    const struct vits_plan *plan;
    const struct vits_noise *noise;
    nn_t z;
    int from;
};

/* Two standard normals (Box & Muller 1958); nn_rng_normal throws the second away. */
static void normal_pair(nn_rng *g, float x[2])
{
    uint64_t bits = nn_rng_next(g);
    float u = (float)((bits >> 40) + 1) * 0x1p-24f, v = (float)(bits & 0xFFFFFF) * 0x1p-24f;
    float length = sqrtf(-2 * logf(u)), angle = 6.2831853f * v;
    x[0] = length * cosf(angle);
    x[1] = length * sinf(angle);
}

/* Each frame has its own noise, drawn from the seed and its number: so it's the same in every window. */
static void prior_row(void *user, int i)
{
    const struct prior *p = user;
    int frame = p->from + i, row = p->plan->phoneme[frame], c = p->z.c;
    float *z = p->z.d + (ptrdiff_t)i * p->z.ld, scale = p->noise->scale;
    const float *m = p->plan->m.d + (ptrdiff_t)row * p->plan->m.ld, *logs = p->plan->logs.d + (ptrdiff_t)row * p->plan->logs.ld;
    memcpy(z, m, (size_t)c * sizeof *z);
    if (scale == 0) return;
    nn_rng g;
    nn_rng_seed(&g, p->noise->seed + ((uint64_t)frame + 1) * 0xD1342543DE82EF95u);
    for (int k = 0; k < c; k += 2) { /* latent channels are even in number */
        float x[2];
        if (p->noise->z) {
            for (int j = 0; j < 2; j++) x[j] = p->noise->z[(size_t)(k + j) * p->plan->n_frames + frame];
        } else {
            normal_pair(&g, x);
        }
        for (int j = 0; j < 2; j++) z[k + j] += x[j] * expf(logs[k + j]) * scale;
    }
}

nn_t m8__vits_prior(nn_run *r, const struct vits *v, const struct vits_plan *plan, const struct vits_noise *noise, int from, int n)
{
    struct prior p = { v, plan, noise, nn_new(r, n, v->latent), from };
    nn_each(r, n, prior_row, &p);
    return p.z;
}

/* ---- flow */

int m8__vits_flow_reach(const struct vits *v)
{
    int layers = 0;
    for (int i = 0; i < v->n_couplings; i++) layers += v->coupling[i].n_layers;
    return layers * (v->flow_taps / 2);
}

/* z is updated: one half by what the other half says. */
static void coupling(nn_run *r, const struct vits *v, const struct vits_coupling *w, nn_t z, const float *speaker)
{
    m8_arena_mark mark = m8_arena_here(r->arena);
    int half = v->latent / 2, c = w->pre.n_out;
    nn_t hs = nn_zeros(r, z.n, 2 * c), h = nn_linear(r, nn_cols(z, w->flipped ? half : 0, half), &w->pre), g = { 0 }; /* hs: [h, skip] */
    nn_add_to(r, nn_cols(hs, 0, c), h);
    if (speaker) g = nn_linear(r, (nn_t){ (float *)speaker, 1, v->gin, v->gin }, &w->cond);
    for (int i = 0; i < w->n_layers; i++) {
        nn_t ab = nn_conv(r, nn_cols(hs, 0, c), &w->in[i], (nn_conv_opts){ .pad = v->flow_taps / 2 }); /* [n, 2 c] */
        if (g.d) nn_add_vec(r, ab, g.d + i * 2 * c);
        bool last = i + 1 == w->n_layers;
        hs = nn_linear_add(r, nn_tanh_sigmoid(r, ab), &w->res_skip[i], last ? nn_cols(hs, c, c) : hs);
    }
    nn_t skip = w->n_layers ? hs : nn_cols(hs, c, c);
    nn_add_to(r, nn_cols(z, w->flipped ? 0 : half, half), nn_linear(r, skip, &w->post)); /* post is negated */
    m8_arena_back(r->arena, mark);
}

nn_t m8__vits_latent(nn_run *r, const struct vits *v, const struct vits_plan *plan, const struct vits_noise *noise, int from, int n)
{
    int reach = m8__vits_flow_reach(v), first = from - reach > 0 ? from - reach : 0;
    int end = from + n + reach < plan->n_frames ? from + n + reach : plan->n_frames;
    nn_t z = m8__vits_prior(r, v, plan, noise, first, end - first);
    for (int i = 0; i < v->n_couplings && !r->status; i++) {
        coupling(r, v, &v->coupling[i], z, plan->speaker);
        reach -= v->coupling[i].n_layers * (v->flow_taps / 2); /* what the couplings still to come see */
        int first_next = from - reach > first ? from - reach : first, end_next = from + n + reach < end ? from + n + reach : end;
        z = nn_rows(z, first_next - first, end_next - first_next);
        first = first_next;
        end = end_next;
    }
    return r->status ? (nn_t){ 0 } : z;
}

/* ---- generator */

struct range {
    int64_t from, end;
};

static struct range clip(int64_t from, int64_t end, int64_t n)
{
    return (struct range){ from > 0 ? from : 0, end < n ? end : n };
}

/* Rows from a level to the one below: what the transposed convolution reads for rows [from, end) of its output. */
static struct range below(const struct vits_stage *s, struct range x, int64_t n)
{
    int64_t pad = (s->k - s->rate) / 2, from = x.from + pad - s->k + 1;
    from = from < 0 ? 0 : from / s->rate;
    return clip(from, (x.end - 1 + pad) / s->rate + 1, n);
}

/* need[u]: rows of the input of stage u that samples of frames [from, from + n) depend on; need[n_stages]: of conv_post. */
static void ranges(const struct vits *v, int n_frames, int from, int n, struct range need[MOST_STAGES + 1], struct range z[1])
{
    int64_t rows = (int64_t)n_frames * v->hop, reach = v->post_taps / 2;
    struct range x = clip((int64_t)from * v->hop - reach, (int64_t)(from + n) * v->hop + reach, rows);
    need[v->n_stages] = x;
    for (int u = v->n_stages - 1; u >= 0; u--) {
        const struct vits_stage *s = &v->stage[u];
        x = clip(x.from - s->reach, x.end + s->reach, rows);
        rows /= s->rate;
        need[u] = x = below(s, x, rows);
    }
    *z = clip(x.from - v->pre_taps / 2, x.end + v->pre_taps / 2, n_frames);
}

void m8__vits_context(const struct vits *v, int n_frames, int from, int n, int *first, int *end)
{
    struct range need[MOST_STAGES + 1], z;
    ranges(v, n_frames, from, n, need, &z);
    *first = (int)z.from;
    *end = (int)z.end;
}

static nn_t cut(nn_t x, int64_t x_from, struct range to)
{
    return nn_rows(x, (int)(to.from - x_from), (int)(to.end - to.from));
}

struct mean {
    nn_t y, part[MOST_KERNELS];
    int n_parts;
};

enum { MEAN_BLOCK = 16, MEAN_CHUNK = 4096 }; /* floats */

static void mean_chunk(void *user, int chunk)
{
    const struct mean *m = user;
    size_t at = (size_t)chunk * MEAN_CHUNK, all = (size_t)m->y.n * (size_t)m->y.c, end = at + MEAN_CHUNK < all ? at + MEAN_CHUNK : all;
    float by = 1.0f / (float)m->n_parts, *y = m->y.d;
    for (; at + MEAN_BLOCK <= end; at += MEAN_BLOCK) {
        float sum[MEAN_BLOCK];
        memcpy(sum, m->part[0].d + at, sizeof sum);
        for (int k = 1; k < m->n_parts; k++) {
            for (int i = 0; i < MEAN_BLOCK; i++) sum[i] += m->part[k].d[at + i];
        }
        for (int i = 0; i < MEAN_BLOCK; i++) y[at + i] = sum[i] * by;
    }
    for (; at < end; at++) {
        float sum = m->part[0].d[at];
        for (int k = 1; k < m->n_parts; k++) sum += m->part[k].d[at];
        y[at] = sum * by;
    }
}

/* Mean of the residual blocks. */
static nn_t blocks(nn_run *r, const struct vits_stage *s, nn_t x)
{
    struct mean m = { .n_parts = s->n_kernels };
    for (int i = 0; i < s->n_kernels; i++) {
        const struct vits_block *b = &s->block[i];
        nn_t y = x;
        for (int c = 0; c < b->n_convs; c++) {
            nn_conv_opts o = { .slope = 0.1f, .dilation = b->dilation[c], .pad = b->dilation[c] * (b->taps / 2) };
            if (!b->pairs) o.residual = y;
            nn_t t = nn_conv(r, y, &b->conv[c], o);
            y = b->pairs ? nn_conv(r, t, &b->second[c], (nn_conv_opts){ .slope = 0.1f, .pad = b->taps / 2, .residual = y }) : t;
        }
        m.part[i] = y;
    }
    m.y = nn_new(r, x.n, x.c);
    nn_each(r, (int)(((size_t)x.n * (size_t)x.c + MEAN_CHUNK - 1) / MEAN_CHUNK), mean_chunk, &m);
    return m.y;
}

nn_t m8__vits_decode(nn_run *r, const struct vits *v, const struct vits_plan *plan, nn_t z, int z_from, int from, int n)
{
    struct range need[MOST_STAGES + 1], in;
    ranges(v, plan->n_frames, from, n, need, &in);
    nn_t x = nn_conv(r, cut(z, z_from, in), &v->conv_pre, (nn_conv_opts){ .pad = v->pre_taps / 2 }); /* [frames, 256] */
    if (plan->speaker) nn_add_vec(r, x, nn_linear(r, (nn_t){ (float *)plan->speaker, 1, v->gin, v->gin }, &v->dec_cond).d);
    int64_t first = in.from, rows = plan->n_frames;
    for (int u = 0; u < v->n_stages && !r->status; u++) {
        const struct vits_stage *s = &v->stage[u];
        rows *= s->rate;
        x = cut(x, first, need[u]);
        x = nn_conv_t(r, x, &s->up, s->channels, s->rate, 0.1f); /* [rows * rate, channels / 2] */
        first = need[u].from * s->rate;
        struct range wide = clip(need[u + 1].from - s->reach, need[u + 1].end + s->reach, rows);
        x = blocks(r, s, cut(x, first, wide));
        first = wide.from;
    }
    if (r->status) return (nn_t){ 0 };
    /* conv_post makes 16 samples a row, so its rows begin at a multiple of 16: those of the window do */
    int pad = v->post_taps / 2, lead = (int)((int64_t)from * v->hop - need[v->n_stages].from), channels = x.c;
    x = cut(x, first, need[v->n_stages]);
    nn_t padded = nn_zeros(r, n * v->hop + 2 * pad, channels);
    if (!padded.d) return (nn_t){ 0 };
    for (int i = 0; i < x.n; i++) {
        r->k->leaky(padded.d + (ptrdiff_t)(i + pad - lead) * channels, x.d + (ptrdiff_t)i * x.ld, channels, 0.01f);
    }
    return nn_conv(r, padded, &v->conv_post, (nn_conv_opts){ .stride = PANEL, .act = NN_TANH }); /* [n * hop / 16, 16] */
}
