/* The text side of VITS: the encoder (Shaw et al. 2018's relative positions in a window), and the stochastic duration predictor run
 * backwards (dilated depthwise convolutions, rational-quadratic splines of Durkan et al. 2019). Sections 2.2 and 2.4 of the paper.
 *
 *   ids -> emb * sqrt(h) -> n x [ attention, LN, conv-relu-conv, LN ] -> hidden -> proj -> m, logs
 *   noise -> 3 x [ swap, spline by conv(noise_0) + cond(hidden) ] -> swap -> affine -> logw -> frames of each phoneme
 *
 * Traps: the layers are post-norm; the splines' widths and heights are divided by sqrt(c), their slopes are not. */
#include "vits.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 24 /* rows of q in a chunk */, MOST_BINS = 64, MOST_A_PHONEME = 400, MOST_S = 60 };

static const float EPS = 1e-5f;

/* ---- attention */

struct attention {
    nn_run *r;
    const struct vits *v;
    const struct vits_layer *w;
    nn_t q, rel; /* [n, h]; [n, heads * (2w+1)]: q times the keys' offsets */
    nn_t out;
    nn_kv kv;
    float *scores; /* [chunk][BLOCK][kv.cap] */
    int blocks;
};

static void attention_chunk(void *user, int chunk)
{
    const struct attention *a = user;
    const struct m8__kernels *k = a->r->k;
    int dh = a->v->dh, w = a->v->window, n_rel = 2 * w + 1, n = a->q.n, cap = a->kv.cap;
    int head = chunk / a->blocks, from = chunk % a->blocks * BLOCK, rows = n - from < BLOCK ? n - from : BLOCK;
    int wide = (dh + PANEL - 1) / PANEL * PANEL;
    float *scores = a->scores + (size_t)chunk * BLOCK * (size_t)cap, near[BLOCK * 64], scale = 1 / sqrtf((float)dh);
    float *out = a->out.d + (ptrdiff_t)from * a->out.ld + head * dh;
    k->gemm_f32(&(struct m8__gemm){ .y = scores, .ldy = cap, .x = a->q.d + (ptrdiff_t)from * a->q.ld + head * dh, .ldx = a->q.ld, .n = rows,
        .n_out = n, .w = (const float *)a->kv.k + (size_t)head * cap * dh, .panel = (size_t)dh * PANEL * sizeof(float), .n_in = dh, .taps = 1, .stride = 1,
        .dilation = 1 });
    for (int i = 0; i < rows; i++) {
        float *s = scores + (size_t)i * cap, *p = near + i * n_rel;
        const float *rel = a->rel.d + (ptrdiff_t)(from + i) * a->rel.ld + head * n_rel;
        for (int j = 0; j < n_rel; j++) {
            int key = from + i + j - w;
            if (key >= 0 && key < n) s[key] += rel[j];
        }
        k->softmax(s, n, scale);
        for (int j = 0; j < n_rel; j++) {
            int key = from + i + j - w;
            p[j] = key >= 0 && key < n ? s[key] : 0;
        }
    }
    k->gemm_f32(&(struct m8__gemm){ .y = out, .ldy = a->out.ld, .x = scores, .ldx = cap, .n = rows, .n_out = dh,
        .w = (const float *)a->kv.v + (size_t)head * wide * cap, .panel = (size_t)cap * PANEL * sizeof(float), .n_in = n, .taps = 1, .stride = 1,
        .dilation = 1 });
    k->gemm_f32(&(struct m8__gemm){ .y = out, .ldy = a->out.ld, .x = near, .ldx = n_rel, .n = rows, .n_out = dh, .w = a->w->rel_v.data,
        .panel = a->w->rel_v.panel, .n_in = n_rel, .taps = 1, .stride = 1, .dilation = 1, .add = 1 });
}

/* x + attention(x). */
static nn_t attention(nn_run *r, const struct vits *v, const struct vits_layer *w, nn_t x)
{
    int h = v->hidden, n_rel = 2 * v->window + 1, cap = (x.n + PANEL - 1) / PANEL * PANEL;
    nn_t out = nn_new(r, x.n, h);
    nn_t qkv = nn_linear(r, x, &w->qkv);                                 /* [n, 3 h]             */
    nn_t q = nn_cols(qkv, 0, h), rel = nn_new(r, x.n, v->heads * n_rel); /* [n, heads * (2w+1)]  */
    nn_kv kv = nn_kv_new(r, NN_F32, v->heads, v->dh, cap);
    nn_kv_put(r, &kv, 0, nn_cols(qkv, h, h), nn_cols(qkv, 2 * h, h));
    for (int head = 0; head < v->heads && !r->status; head++) {
        nn_t part = nn_linear(r, nn_cols(q, head * v->dh, v->dh), &w->rel_k);
        for (int i = 0; i < part.n; i++) memcpy(rel.d + (ptrdiff_t)i * rel.ld + head * n_rel, part.d + (ptrdiff_t)i * part.ld, (size_t)n_rel * sizeof(float));
    }
    struct attention a = { r, v, w, q, rel, out, kv, NULL, (x.n + BLOCK - 1) / BLOCK };
    a.scores = nn_take(r, (size_t)a.blocks * (size_t)v->heads * BLOCK * (size_t)cap * sizeof(float));
    nn_each(r, a.blocks * v->heads, attention_chunk, &a);
    return nn_linear_add(r, out, &w->o, x);
}

static nn_t encode(nn_run *r, const struct vits *v, nn_t x, struct vits_plan *plan)
{
    for (int i = 0; i < v->n_layers; i++) {
        const struct vits_layer *w = &v->layer[i];
        x = nn_layer_norm(r, attention(r, v, w, x), w->norm_1.gamma, w->norm_1.beta, EPS);
        nn_t y = nn_conv(r, x, &w->ffn_1, (nn_conv_opts){ .pad = w->ffn_1.taps / 2, .act = NN_RELU });
        y = nn_conv(r, y, &w->ffn_2, (nn_conv_opts){ .pad = w->ffn_2.taps / 2, .residual = x });
        x = nn_layer_norm(r, y, w->norm_2.gamma, w->norm_2.beta, EPS);
        if (i == 0) plan->layer_0 = x;
    }
    return x;
}

/* ---- durations */

struct depthwise {
    nn_t x, y;
    const float *w, *bias; /* [taps][c] */
    int taps, dilation;
};

static void depthwise_row(void *user, int i)
{
    const struct depthwise *d = user;
    float *y = d->y.d + (ptrdiff_t)i * d->y.ld;
    int c = d->x.c;
    memcpy(y, d->bias, (size_t)c * sizeof *y);
    for (int t = 0; t < d->taps; t++) {
        int from = i + (t - d->taps / 2) * d->dilation;
        if (from < 0 || from >= d->x.n) continue;
        const float *x = d->x.d + (ptrdiff_t)from * d->x.ld, *w = d->w + (size_t)t * c;
        for (int k = 0; k < c; k++) y[k] += w[k] * x[k];
    }
}

/* x is updated. */
static void dds(nn_run *r, const struct vits_dds *w, nn_t x)
{
    for (int i = 0, dilation = 1; i < N_DDS; i++, dilation *= w->taps) {
        struct depthwise d = { x, nn_new(r, x.n, x.c), w->sep[i], w->sep_bias[i], w->taps, dilation };
        nn_each(r, x.n, depthwise_row, &d);
        nn_t y = nn_layer_norm(r, d.y, w->norm_1[i].gamma, w->norm_1[i].beta, EPS);
        nn_act_to(r, y, NN_GELU);
        y = nn_linear(r, y, &w->point[i]);
        y = nn_layer_norm(r, y, w->norm_2[i].gamma, w->norm_2[i].beta, EPS);
        nn_act_to(r, y, NN_GELU);
        nn_add_to(r, x, y);
    }
}

/* Knots of one axis of the spline over [-5, 5]: at [n + 1]. */
static void knots(const float *u, int n, double scale, double *at)
{
    const double least = 1e-3, bound = 5;
    double most = u[0], sum = 0, e[MOST_BINS];
    for (int i = 1; i < n; i++) most = fmax(most, u[i]);
    for (int i = 0; i < n; i++) sum += e[i] = exp((u[i] - most) * scale);
    at[0] = -bound;
    double done = 0;
    for (int i = 0; i < n; i++) {
        done += least + (1 - least * n) * e[i] / sum;
        at[i + 1] = done * 2 * bound - bound;
    }
    at[n] = bound;
}

static double slope(const float *u, int n, int i)
{
    const double least = 1e-3;
    if (i == 0 || i == n) return 1; /* linear outside */
    double x = u[i - 1];
    return least + (x > 20 ? x : log1p(exp(x)));
}

/* h [3 n - 1]: widths, heights, slopes. The x whose spline is y. */
static float spline_inverse(float y, const float *h, int n, double scale)
{
    double cw[MOST_BINS + 1], ch[MOST_BINS + 1];
    if (!(y >= -5 && y <= 5)) return y;
    knots(h, n, scale, cw);
    knots(h + n, n, scale, ch);
    int k = 0;
    while (k < n - 1 && y >= ch[k + 1]) k++;
    double width = cw[k + 1] - cw[k], height = ch[k + 1] - ch[k], s = height / width;
    double d0 = slope(h + 2 * n, n, k), d1 = slope(h + 2 * n, n, k + 1), t = y - ch[k];
    double a = t * (d0 + d1 - 2 * s) + height * (s - d0), b = height * d0 - t * (d0 + d1 - 2 * s), c = -s * t;
    double root = 2 * c / (-b - sqrt(fmax(0, b * b - 4 * a * c)));
    return (float)(root * width + cw[k]);
}

/* One flow: z1 by a spline that z0 and the condition shape. */
static void spline_flow(nn_run *r, const struct vits *v, const struct vits_spline *w, const float *z0, float *z1, nn_t cond)
{
    nn_t h = nn_new(r, cond.n, cond.c);
    for (int i = 0; i < h.n; i++) {
        float *x = h.d + (ptrdiff_t)i * h.ld;
        const float *g = cond.d + (ptrdiff_t)i * cond.ld;
        for (int c = 0; c < h.c; c++) x[c] = z0[i] * w->pre[c] + w->pre_bias[c] + g[c];
    }
    dds(r, &w->dds, h);
    nn_t u = nn_linear(r, h, &w->proj); /* [n, 3 bins - 1] */
    double scale = 1 / sqrt(v->dp);
    for (int i = 0; i < u.n; i++) z1[i] = spline_inverse(z1[i], u.d + (ptrdiff_t)i * u.ld, v->bins, scale);
}

static void draw(float *z, int n, const struct vits_noise *noise)
{
    nn_rng g;
    nn_rng_seed(&g, noise->seed);
    for (int i = 0; i < 2 * n; i++) {
        float x = noise->dp ? noise->dp[i] : noise->w != 0 ? nn_rng_normal(&g) : 0;
        z[i] = x * noise->w;
    }
}

static void predict_durations(nn_run *r, const struct vits *v, nn_t x, const struct vits_noise *noise, struct vits_plan *plan)
{
    nn_t h = nn_linear(r, x, &v->dp_pre);
    if (plan->speaker) nn_add_vec(r, h, nn_linear(r, (nn_t){ (float *)plan->speaker, 1, v->gin, v->gin }, &v->dp_cond).d);
    dds(r, &v->dp_dds, h);
    plan->cond = nn_linear(r, h, &v->dp_proj);
    float *z = nn_take(r, 2 * (size_t)x.n * sizeof *z);
    if (!z) return;
    draw(z, x.n, noise);
    float *z0 = z, *z1 = z + x.n;
    for (int i = 0; i < N_SPLINES; i++) {
        float *t = z0;
        z0 = z1;
        z1 = t;
        spline_flow(r, v, &v->spline[i], z0, z1, plan->cond);
    }
    for (int i = 0; i < x.n; i++) z1[i] = (z1[i] - v->dp_m) * v->dp_scale; /* swapped once more: row 0 is what was row 1 */
    plan->logw = z1;
}

/* Frames of each phoneme. Whatever the weights say, at least one and at most 400 each, and a minute at normal speed in all. */
static void lay_out(nn_run *r, const struct vits *v, int n, float length_scale, struct vits_plan *plan)
{
    double most = (double)MOST_S * v->rate / v->hop * fmax(1, length_scale);
    plan->durations = nn_take(r, (size_t)n * sizeof *plan->durations);
    if (r->status) return;
    int total = 0;
    for (int i = 0; i < n; i++) {
        float d = ceilf(expf(plan->logw[i]) * length_scale);
        int frames = d >= 1 ? (d < MOST_A_PHONEME * fmaxf(1, length_scale) ? (int)d : (int)(MOST_A_PHONEME * fmaxf(1, length_scale))) : 1; /* NaN: 1 */
        if (frames > most - total) frames = (int)(most - total);
        plan->durations[i] = frames;
        total += frames;
    }
    plan->n_frames = total;
    plan->phoneme = nn_take(r, (size_t)total * sizeof *plan->phoneme + 1);
    for (int i = 0, at = 0; plan->phoneme && i < n; i++) {
        for (int j = 0; j < plan->durations[i]; j++) plan->phoneme[at++] = i;
    }
}

m8_status m8__vits_plan(nn_run *r, const struct vits *v, const int *ids, int n, float length_scale, const struct vits_noise *noise,
                        const float *speaker, struct vits_plan *out)
{
    *out = (struct vits_plan){ .speaker = speaker };
    nn_t x = nn_new(r, n, v->hidden);
    float scale = sqrtf((float)v->hidden);
    for (int i = 0; x.d && i < n; i++) {
        const float *e = v->emb + (size_t)ids[i] * v->hidden;
        for (int c = 0; c < v->hidden; c++) x.d[(size_t)i * v->hidden + c] = e[c] * scale;
    }
    out->emb = x;
    out->hidden = encode(r, v, x, out);
    nn_t stats = nn_linear(r, out->hidden, &v->proj); /* [n, 2 latent] */
    out->m = nn_cols(stats, 0, v->latent);
    out->logs = nn_cols(stats, v->latent, v->latent);
    if (!r->status) predict_durations(r, v, out->hidden, noise, out);
    if (!r->status) lay_out(r, v, n, length_scale, out);
    return r->status;
}
