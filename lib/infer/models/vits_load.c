/* A Piper voice's weights. All sizes are read from the shapes; what shapes cannot tell is the architecture's: kernels of the transposed
 * convolutions are twice their rates, and the dilations of the residual blocks are (1,2) (2,6) (3,12) for blocks of type 2 (x_low to
 * medium voices), 1, 3, 5 for those of type 1 (high). */
#include "vits.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is bfloat16 in M8_FAST: the residual blocks of the generator, and its transposed convolutions from the second stage on. It costs
 * 46.2 dB of signal to noise against float32; all of the generator would cost 41 dB, the flow alone 16 (doc/models/vits.md). */
static const nn_type EXACT = NN_F32;
static nn_type for_blocks(void) { return m8__cpu_flags() & M8_CPU_AVX512_BF16 ? NN_BF16 : NN_F32; }

enum { MOST_CHANNELS = 4096, MOST_TAPS = 64, MOST_SYMBOLS = 65536 };

static const m8__tensor *named(nn_load *l, const char *name)
{
    const m8__tensor *t = l->status ? NULL : m8__weights_find(l->w, name);
    if (!t && !l->status) l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named %s", m8__weights_path(l->w), name);
    return t;
}

static void unsupported(nn_load *l, const char *name, const char *what)
{
    if (!l->status) l->status = m8_fail(l->err, M8_E_UNSUPPORTED, "%s: %s: %s", m8__weights_path(l->w), name, what);
}

/* Dimension i of a tensor, between 1 and most; 1 on failure, so that what follows stays harmless. */
M8_PRINTF(4, 5) static int dim(nn_load *l, int i, int most, const char *fmt, ...)
{
    char name[104];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const m8__tensor *t = named(l, name);
    if (!t) return 1;
    int64_t d = i < t->n_dims ? t->dims[i] : 1;
    if (d >= 1 && d <= most) return (int)d;
    unsupported(l, name, "a dimension out of range");
    return 1;
}

/* A tensor [a, b, c] as it lies in the file. */
M8_PRINTF(5, 6) static float *tensor(nn_load *l, int a, int b, int c, const char *fmt, ...)
{
    char name[104];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const m8__tensor *t = named(l, name);
    if (!t) return NULL;
    int64_t d[3] = { 1, 1, 1 };
    for (int i = 0; i < t->n_dims && i < 3; i++) d[i] = t->dims[i];
    if (t->n_dims > 3 || d[0] != a || d[1] != b || d[2] != c) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected [%d, %d, %d], file has [%lld, %lld, %lld]", m8__weights_path(l->w), name,
                            a, b, c, (long long)d[0], (long long)d[1], (long long)d[2]);
        return NULL;
    }
    float *x = nn_hold(l, (size_t)t->n * sizeof *x);
    if (x) m8__dequant(x, t, 0, t->n_dims ? t->n / t->dims[t->n_dims - 1] : 1);
    l->n_params += t->n;
    return x;
}

static float *vec(nn_load *l, int n, const char *prefix, const char *name) { return nn_load_vec(l, n, "%s.%s", prefix, name); }

/* A 1x1 convolution. */
static nn_w point(nn_load *l, int n_out, int n_in, nn_type fast, const char *prefix)
{
    nn_part part = nn_part_of(n_out, "%s.weight", prefix);
    nn_w w = nn_load_linear(l, &part, 1, n_in, fast);
    w.bias = vec(l, n_out, prefix, "bias");
    return w;
}

static nn_w conv(nn_load *l, int n_out, int n_in, int taps, nn_type fast, const char *prefix)
{
    nn_w w = nn_load_conv(l, n_out, n_in, taps, fast, "%s.weight", prefix);
    w.bias = vec(l, n_out, prefix, "bias");
    return w;
}

static struct vits_norm norm(nn_load *l, int n, const char *prefix)
{
    return (struct vits_norm){ vec(l, n, prefix, "gamma"), vec(l, n, prefix, "beta") };
}

/* A name below a prefix, for one call. */
M8_PRINTF(1, 2) static const char *at(const char *fmt, ...)
{
    static _Thread_local char name[96];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return name;
}

/* ---- text encoder */

static void load_layer(struct vits *v, nn_load *l, int i)
{
    struct vits_layer *w = &v->layer[i];
    char attn[48], ffn[48];
    snprintf(attn, sizeof attn, "enc_p.encoder.attn_layers.%d", i);
    snprintf(ffn, sizeof ffn, "enc_p.encoder.ffn_layers.%d", i);
    int h = v->hidden, n_rel = 2 * v->window + 1;
    nn_part qkv[3] = { nn_part_of(h, "%s.conv_q.weight", attn), nn_part_of(h, "%s.conv_k.weight", attn), nn_part_of(h, "%s.conv_v.weight", attn) };
    w->qkv = nn_load_linear(l, qkv, 3, h, EXACT);
    float *bias = nn_hold(l, 3 * (size_t)h * sizeof *bias);
    for (int j = 0; j < 3; j++) {
        const float *part = nn_load_vec(l, h, "%s.conv_%c.bias", attn, "qkv"[j]);
        if (part && bias) memcpy(bias + j * h, part, (size_t)h * sizeof *bias);
    }
    w->qkv.bias = bias;
    w->o = point(l, h, h, EXACT, at("%s.conv_o", attn));
    w->rel_k = nn_pack(l, tensor(l, 1, n_rel, v->dh, "%s.emb_rel_k", attn), n_rel, v->dh, 1, NN_F32);
    const float *rel_v = tensor(l, 1, n_rel, v->dh, "%s.emb_rel_v", attn);
    float *turned = nn_hold(l, (size_t)n_rel * (size_t)v->dh * sizeof *turned);
    if (rel_v && turned) {
        for (int j = 0; j < n_rel; j++) {
            for (int c = 0; c < v->dh; c++) turned[c * n_rel + j] = rel_v[j * v->dh + c];
        }
    }
    w->rel_v = nn_pack(l, turned, v->dh, n_rel, 1, NN_F32);
    int width = dim(l, 0, MOST_CHANNELS, "%s.conv_1.weight", ffn);
    w->ffn_1 = conv(l, width, h, dim(l, 2, MOST_TAPS, "%s.conv_1.weight", ffn), EXACT, at("%s.conv_1", ffn));
    w->ffn_2 = conv(l, h, width, dim(l, 2, MOST_TAPS, "%s.conv_2.weight", ffn), EXACT, at("%s.conv_2", ffn));
    if (w->ffn_1.taps % 2 == 0 || w->ffn_2.taps % 2 == 0) unsupported(l, ffn, "an even kernel");
    w->norm_1 = norm(l, h, at("enc_p.encoder.norm_layers_1.%d", i));
    w->norm_2 = norm(l, h, at("enc_p.encoder.norm_layers_2.%d", i));
}

static void load_text(struct vits *v, nn_load *l)
{
    static const char rel[] = "enc_p.encoder.attn_layers.0.emb_rel_k";
    v->n_symbols = dim(l, 0, MOST_SYMBOLS, "enc_p.emb.weight");
    v->hidden = dim(l, 1, MOST_CHANNELS, "enc_p.emb.weight");
    v->window = (dim(l, 1, 63, rel) - 1) / 2;
    v->dh = dim(l, 2, MOST_CHANNELS, rel);
    v->heads = v->hidden / v->dh;
    if (v->heads * v->dh != v->hidden) unsupported(l, rel, "heads do not fill the hidden size");
    v->emb = nn_load_mat(l, v->n_symbols, v->hidden, "enc_p.emb.weight");
    while (v->n_layers < MOST_LAYERS && nn_has(l, "enc_p.encoder.attn_layers.%d.conv_q.weight", v->n_layers)) load_layer(v, l, v->n_layers++);
    v->latent = dim(l, 0, MOST_CHANNELS, "enc_p.proj.weight") / 2;
    if (v->latent < 2 || v->latent % 2) unsupported(l, "enc_p.proj.weight", "an odd number of latent channels");
    v->proj = point(l, 2 * v->latent, v->hidden, EXACT, "enc_p.proj");
}

/* ---- durations */

static void load_dds(struct vits_dds *d, nn_load *l, int c, const char *prefix)
{
    char p[64];
    snprintf(p, sizeof p, "%s", prefix);
    d->taps = dim(l, 2, MOST_TAPS, "%s.convs_sep.0.weight", p);
    if (d->taps % 2 == 0) unsupported(l, p, "an even kernel");
    for (int i = 0; i < N_DDS; i++) {
        const float *sep = tensor(l, c, 1, d->taps, "%s.convs_sep.%d.weight", p, i);
        float *turned = nn_hold(l, (size_t)c * (size_t)d->taps * sizeof *turned);
        for (int j = 0; sep && turned && j < d->taps; j++) {
            for (int k = 0; k < c; k++) turned[j * c + k] = sep[k * d->taps + j];
        }
        d->sep[i] = turned;
        d->sep_bias[i] = nn_load_vec(l, c, "%s.convs_sep.%d.bias", p, i);
        d->point[i] = point(l, c, c, EXACT, at("%s.convs_1x1.%d", p, i));
        d->norm_1[i] = norm(l, c, at("%s.norms_1.%d", p, i));
        d->norm_2[i] = norm(l, c, at("%s.norms_2.%d", p, i));
    }
}

/* The last flow is affine; the exporter has folded exp(-logs) into a constant. */
static void load_affine(struct vits *v, nn_load *l)
{
    const float *m = nn_load_mat(l, 2, 1, "dp.flows.0.m");
    bool folded = nn_has(l, "/dp/flows.0/Exp_output_0");
    const float *s = folded ? nn_load_mat(l, 2, 1, "/dp/flows.0/Exp_output_0") : nn_load_mat(l, 2, 1, "dp.flows.0.logs");
    if (!m || !s) return;
    v->dp_m = m[0];
    v->dp_scale = folded ? s[0] : expf(-s[0]);
}

static void load_durations(struct vits *v, nn_load *l)
{
    int c = v->dp = dim(l, 0, MOST_CHANNELS, "dp.pre.weight");
    v->dp_pre = point(l, c, v->hidden, EXACT, "dp.pre");
    v->dp_proj = point(l, c, c, EXACT, "dp.proj");
    if (v->gin) v->dp_cond = point(l, c, v->gin, NN_F32, "dp.cond");
    load_dds(&v->dp_dds, l, c, "dp.convs");
    v->bins = (dim(l, 0, 3 * 64 - 1, "dp.flows.7.proj.weight") + 1) / 3;
    for (int i = 0; i < N_SPLINES; i++) {
        struct vits_spline *s = &v->spline[i];
        int flow = 7 - 2 * i;
        s->pre = tensor(l, c, 1, 1, "dp.flows.%d.pre.weight", flow);
        s->pre_bias = nn_load_vec(l, c, "dp.flows.%d.pre.bias", flow);
        load_dds(&s->dds, l, c, at("dp.flows.%d.convs", flow));
        s->proj = point(l, 3 * v->bins - 1, c, EXACT, at("dp.flows.%d.proj", flow));
    }
    load_affine(v, l);
}

/* ---- flow */

/* Before each coupling the order of all channels is reversed. Instead the couplings that meet z reversed (the first, the third, ...)
 * read and write the other half, with their channels in reversed order; post is negated, as it is subtracted. */
static nn_w turned_point(nn_load *l, int n_out, int n_in, bool flip_out, bool flip_in, float sign, const char *prefix)
{
    float *w = tensor(l, n_out, n_in, 1, "%s.weight", prefix), *b = vec(l, n_out, prefix, "bias");
    float *rows = nn_hold(l, (size_t)n_out * (size_t)n_in * sizeof *rows), *bias = nn_hold(l, (size_t)n_out * sizeof *bias);
    for (int o = 0; w && b && rows && bias && o < n_out; o++) {
        int from = flip_out ? n_out - 1 - o : o;
        bias[o] = sign * b[from];
        for (int i = 0; i < n_in; i++) rows[o * n_in + i] = sign * w[from * n_in + (flip_in ? n_in - 1 - i : i)];
    }
    nn_w packed = nn_pack(l, rows, n_out, n_in, 1, EXACT);
    packed.bias = bias;
    return packed;
}

static void load_coupling(struct vits *v, nn_load *l, struct vits_coupling *c, int flow)
{
    char p[32];
    snprintf(p, sizeof p, "flow.flows.%d", flow);
    int half = v->latent / 2, h = dim(l, 0, MOST_CHANNELS, "%s.pre.weight", p);
    c->pre = turned_point(l, h, half, false, c->flipped, 1, at("%s.pre", p));
    c->post = turned_point(l, half, h, c->flipped, false, -1, at("%s.post", p));
    v->flow_taps = dim(l, 2, MOST_TAPS, "%s.enc.in_layers.0.weight", p);
    if (v->flow_taps % 2 == 0) unsupported(l, p, "an even kernel");
    while (c->n_layers < MOST_LAYERS && nn_has(l, "%s.enc.in_layers.%d.weight", p, c->n_layers)) c->n_layers++;
    for (int i = 0; i < c->n_layers; i++) {
        c->in[i] = conv(l, 2 * h, h, v->flow_taps, EXACT, at("%s.enc.in_layers.%d", p, i));
        c->res_skip[i] = point(l, i + 1 < c->n_layers ? 2 * h : h, h, EXACT, at("%s.enc.res_skip_layers.%d", p, i));
    }
    if (v->gin) c->cond = point(l, 2 * h * c->n_layers, v->gin, NN_F32, at("%s.enc.cond_layer", p));
}

static void load_flow(struct vits *v, nn_load *l)
{
    int n = 0;
    while (n < MOST_LAYERS && nn_has(l, "flow.flows.%d.pre.weight", 2 * n)) n++;
    if (n == 0 || n % 2) unsupported(l, "flow.flows", "an odd number of couplings");
    v->n_couplings = n;
    for (int i = 0; i < n; i++) {
        v->coupling[i].flipped = i % 2 == 0;
        load_coupling(v, l, &v->coupling[i], 2 * (n - 1 - i));
    }
}

/* ---- generator */

static void load_block(struct vits_stage *s, struct vits_block *b, nn_load *l, int n, int index, nn_type type)
{
    static const int of_two[MOST_CONVS][2] = { { 1, 2 }, { 2, 6 }, { 3, 12 } }, of_one[MOST_CONVS] = { 1, 3, 5 };
    char p[40];
    snprintf(p, sizeof p, "dec.resblocks.%d", n);
    b->pairs = nn_has(l, "%s.convs1.0.weight", p);
    const char *convs = b->pairs ? "convs1" : "convs";
    b->n_convs = b->pairs ? 3 : 2;
    b->taps = dim(l, 2, MOST_TAPS, "%s.%s.0.weight", p, convs);
    if (b->taps % 2 == 0) unsupported(l, p, "an even kernel");
    if (!b->pairs && index >= 3) unsupported(l, p, "more than three kernels");
    int reach = 0;
    for (int i = 0; i < b->n_convs && !l->status; i++) {
        b->dilation[i] = b->pairs ? of_one[i] : of_two[index][i];
        b->conv[i] = conv(l, s->channels, s->channels, b->taps, type, at("%s.%s.%d", p, convs, i));
        if (b->pairs) b->second[i] = conv(l, s->channels, s->channels, b->taps, type, at("%s.convs2.%d", p, i));
        reach += (b->dilation[i] + b->pairs) * (b->taps - 1) / 2;
    }
    if (reach > s->reach) s->reach = reach;
}

static int load_stage(struct vits *v, nn_load *l, int u, int channels, int n_kernels)
{
    struct vits_stage *s = &v->stage[u];
    s->channels = dim(l, 1, MOST_CHANNELS, "dec.ups.%d.weight", u);
    s->k = dim(l, 2, MOST_TAPS, "dec.ups.%d.weight", u);
    s->rate = s->k / 2;
    s->n_kernels = n_kernels;
    if (s->k % 4) unsupported(l, "dec.ups", "kernels that are not twice an even rate");
    if (l->status) return 1;
    s->up = nn_load_conv_t(l, s->channels, channels, s->k, s->rate, u ? for_blocks() : EXACT, "dec.ups.%d.weight", u);
    const float *b = nn_load_vec(l, s->channels, "dec.ups.%d.bias", u);
    float *bias = nn_hold(l, (size_t)s->rate * (size_t)s->channels * sizeof *bias);
    for (int i = 0; b && bias && i < s->rate; i++) memcpy(bias + i * s->channels, b, (size_t)s->channels * sizeof *b);
    s->up.bias = bias;
    for (int i = 0; i < n_kernels; i++) load_block(s, &s->block[i], l, u * n_kernels + i, i, for_blocks());
    return s->channels;
}

/* One output would leave 15 of a panel's 16 lanes idle. So 16 samples are the outputs of one row: the kernel stands 16 times, each
 * time one row further down, in a kernel that is 15 rows longer. */
static nn_w load_post(struct vits *v, nn_load *l, int channels)
{
    int k = v->post_taps = dim(l, 2, MOST_TAPS, "dec.conv_post.weight"), taps = k + PANEL - 1;
    if (k % 2 == 0) unsupported(l, "dec.conv_post", "an even kernel");
    const float *w = tensor(l, 1, channels, k, "dec.conv_post.weight");
    float *rows = nn_hold(l, (size_t)PANEL * (size_t)taps * (size_t)channels * sizeof *rows), *bias = NULL;
    for (int o = 0; w && rows && o < PANEL; o++) {
        for (int j = 0; j < k; j++) {
            for (int c = 0; c < channels; c++) rows[(o * taps + o + j) * channels + c] = w[c * k + j];
        }
    }
    nn_w packed = nn_pack(l, rows, PANEL, channels, taps, EXACT);
    if (nn_has(l, "dec.conv_post.bias")) {
        const float *b = nn_load_vec(l, 1, "dec.conv_post.bias");
        bias = nn_hold(l, PANEL * sizeof *bias);
        for (int o = 0; b && bias && o < PANEL; o++) bias[o] = b[0];
    }
    packed.bias = bias;
    return packed;
}

static void load_sound(struct vits *v, nn_load *l)
{
    int channels = dim(l, 0, MOST_CHANNELS, "dec.conv_pre.weight"), n_blocks = 0;
    v->pre_taps = dim(l, 2, MOST_TAPS, "dec.conv_pre.weight");
    v->conv_pre = conv(l, channels, v->latent, v->pre_taps, EXACT, "dec.conv_pre");
    if (v->pre_taps % 2 == 0) unsupported(l, "dec.conv_pre", "an even kernel");
    if (v->gin) v->dec_cond = point(l, channels, v->gin, NN_F32, "dec.cond");
    while (v->n_stages < MOST_STAGES && nn_has(l, "dec.ups.%d.weight", v->n_stages)) v->n_stages++;
    while (n_blocks < MOST_STAGES * MOST_KERNELS &&
           (nn_has(l, "dec.resblocks.%d.convs.0.weight", n_blocks) || nn_has(l, "dec.resblocks.%d.convs1.0.weight", n_blocks)))
        n_blocks++;
    if (!v->n_stages || !n_blocks || n_blocks % v->n_stages || n_blocks / v->n_stages > MOST_KERNELS)
        unsupported(l, "dec.resblocks", "their number does not fit that of dec.ups");
    v->hop = 1;
    for (int u = 0; u < v->n_stages && !l->status; u++) {
        channels = load_stage(v, l, u, channels, n_blocks / v->n_stages);
        v->hop *= v->stage[u].rate;
        if (v->hop > 4096) unsupported(l, "dec.ups", "rates out of range");
    }
    v->conv_post = load_post(v, l, channels);
    if (v->hop % PANEL) unsupported(l, "dec.ups", "a hop that is no multiple of 16");
}

m8_status m8__vits_load(struct vits *v, nn_load *l, m8_error *err)
{
    if (nn_has(l, "emb_g.weight")) {
        v->n_speakers = dim(l, 0, MOST_SYMBOLS, "emb_g.weight");
        v->gin = dim(l, 1, MOST_CHANNELS, "emb_g.weight");
        v->speakers = nn_load_mat(l, v->n_speakers, v->gin, "emb_g.weight");
    }
    load_text(v, l);
    load_durations(v, l);
    load_flow(v, l);
    load_sound(v, l);
    return l->status;
}
