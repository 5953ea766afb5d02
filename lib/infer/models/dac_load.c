/* The codec's weights. All sizes are read from the shapes; what shapes cannot tell is the architecture's: kernels of the transposed
 * convolutions are twice their rates, and the three residual units of a stage have dilations 1, 3, 9.
 *
 * Weight norm is folded: w = g v / ||v||, the norm over all dimensions but the first, which for a transposed convolution is the input
 * channel. Kernels go into panels output by output, so that a file's tensor never stands in memory as floats. */
#include "dac_parts.h"
#include "nn/pack.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CHANNELS = DAC_MOST_CHANNELS, MOST_TAPS = 63, MOST_CODES = 65536, MOST_HOP = 16384, MOST_NAME = 160 };

static nn_type for_kernels(const nn_load *l)
{
    return l->precision == M8_FAST && m8__cpu_flags() & M8_CPU_AVX512_BF16 ? NN_BF16 : NN_F32;
}

static void fail(nn_load *l, m8_status st, const char *name, const char *what)
{
    if (!l->status) l->status = m8_fail(l->err, st, "%s: %s: %s", m8__weights_path(l->w), name, what);
}

static const m8__tensor *find(nn_load *l, const char *name)
{
    const m8__tensor *t = l->status ? NULL : m8__weights_find(l->w, name);
    if (!t && !l->status) l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named %s", m8__weights_path(l->w), name);
    return t;
}

/* Is it a tensor [a, b, c]? Dimensions of 1 may be missing anywhere: some writers drop them, and the bytes are the same. */
static bool has_shape(nn_load *l, const m8__tensor *t, int a, int b, int c)
{
    const int64_t want[3] = { a, b, c };
    if (!t) return false;
    int i = 0, j = 0;
    while (i < t->n_dims || j < 3) {
        if (i < t->n_dims && t->dims[i] == 1) i++;
        else if (j < 3 && want[j] == 1) j++;
        else if (i < t->n_dims && j < 3 && t->dims[i] == want[j]) i++, j++;
        else break;
    }
    if (i == t->n_dims && j == 3) return true;
    if (!l->status) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected [%d, %d, %d], file has [%lld, %lld, %lld, %lld]", m8__weights_path(l->w), t->name,
                            a, b, c, (long long)t->dims[0], (long long)t->dims[1], (long long)t->dims[2], (long long)t->dims[3]);
    }
    return false;
}

/* Elements [from, from + n) of a tensor, both multiples of its last dimension. */
static void read_at(float *to, const m8__tensor *t, int64_t from, int64_t n)
{
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    m8__dequant(to, t, from / columns, n / columns);
}

/* ---- kernels */

struct kernel {
    const m8__tensor *v;
    float *scale;   /* by the first dimension, or NULL */
    int rows, k;    /* the first dimension, the last one */
    int n_out, n_in;
    int rate;       /* of a transposed one; 0: not transposed */
    int copies;     /* the kernel stands so many times, each one tap further down */
    nn_w w;
    struct dac_pairs *pairs; /* w is in their form, or NULL */
    m8_status status;
};

/* The tensor of a kernel below a name, and that of its lengths (NULL where they are folded already). */
static const m8__tensor *kernel_named(nn_load *l, const char *base, const m8__tensor **g)
{
    static const char *const ways[][2] = { { "weight_v", "weight_g" },
                                           { "parametrizations.weight.original1", "parametrizations.weight.original0" } };
    char name[MOST_NAME];
    *g = NULL;
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", base, ways[i][0]);
        const m8__tensor *v = m8__weights_find(l->w, name);
        if (!v) continue;
        snprintf(name, sizeof name, "%s.%s", base, ways[i][1]);
        *g = find(l, name);
        return *g ? v : NULL;
    }
    snprintf(name, sizeof name, "%s.weight", base);
    return find(l, name);
}

/* Dimension i of a kernel's three, between 1 and most; 1 on failure, so that what follows stays harmless. */
static int dim(nn_load *l, const char *base, int i, int most)
{
    const m8__tensor *g, *v = kernel_named(l, base, &g);
    if (!v) return 1;
    i += v->n_dims - 3; /* only the first ones may be missing */
    int64_t d = i >= 0 && i < v->n_dims ? v->dims[i] : 1;
    if (d >= 1 && d <= most) return (int)d;
    fail(l, M8_E_UNSUPPORTED, v->name, "a dimension out of range");
    return 1;
}

static void fold_row(void *user, int i)
{
    const struct kernel *k = user;
    int64_t n = k->v->n / k->rows, columns = k->v->n_dims > 1 ? k->v->dims[k->v->n_dims - 1] : 1;
    float part[256 + MOST_CHANNELS];
    int64_t step = columns > 256 ? columns : 256 / columns * columns;
    double sum = 0;
    for (int64_t from = 0; from < n; from += step) {
        int64_t len = n - from < step ? n - from : step;
        read_at(part, k->v, i * n + from, len);
        for (int64_t j = 0; j < len; j++) sum += (double)part[j] * (double)part[j];
    }
    k->scale[i] = sum > 0 ? (float)((double)k->scale[i] / sqrt(sum)) : 0;
}

/* [n_in][k] of output o, folded. */
static void read_output(float *to, const struct kernel *k, int o)
{
    int64_t row = k->k;
    if (!k->rate) {
        read_at(to, k->v, o * (k->n_in * row), k->n_in * row);
        for (int64_t i = 0; k->scale && i < k->n_in * row; i++) to[i] *= k->scale[o];
        return;
    }
    for (int c = 0; c < k->n_in; c++, to += row) {
        read_at(to, k->v, ((int64_t)c * k->n_out + o) * row, row);
        for (int j = 0; k->scale && j < row; j++) to[j] *= k->scale[c];
    }
}

static void put(const nn_w *w, int out, const float *row)
{
    m8__pack_lane(w->type, (char *)w->data + (size_t)(out / PANEL) * w->panel, out % PANEL, row, w->n_in, w->taps);
}

/* One output: as it is; or each of its phases, where sample t * rate + p sees kernel p + i * rate on x[t - i]; or its copies. */
static void pack_output(const struct kernel *k, int o, float *kernel, float *row)
{
    int n_in = k->n_in, taps = k->w.taps, rate = k->rate;
    read_output(kernel, k, o);
    if (k->pairs) m8__pairs_put(k->pairs, o, kernel, row);
    for (int p = 0; !k->pairs && p < (rate ? rate : k->copies); p++) {
        if (k->copies > 1) memset(row, 0, (size_t)n_in * (size_t)taps * sizeof *row);
        for (int j = 0; j < (rate ? taps : k->k); j++) {
            const float *from = kernel + (rate ? p + (taps - 1 - j) * rate : j);
            float *to = row + (size_t)(rate ? j : j + p) * n_in;
            for (int c = 0; c < n_in; c++) to[c] = from[(size_t)c * k->k];
        }
        put(&k->w, rate ? p * k->n_out + o : o * k->copies + p, row);
    }
}

/* As many outputs as a panel has: threads then write to no common line. */
static void pack_chunk(void *user, int chunk)
{
    struct kernel *k = user;
    float *kernel = m8_malloc((size_t)k->n_in * (size_t)(k->k + k->w.taps) * sizeof *kernel);
    if (!kernel) {
        __atomic_store_n(&k->status, M8_E_NOMEM, __ATOMIC_RELAXED);
        return;
    }
    for (int o = chunk * PANEL; o < k->n_out && o < (chunk + 1) * PANEL; o++) pack_output(k, o, kernel, kernel + (size_t)k->n_in * (size_t)k->k);
    m8_free(kernel);
}

/* k->{n_out, n_in, k, rate, copies, pairs} say what is expected. */
static void load_kernel(nn_load *l, struct kernel *k, nn_type type, const char *base)
{
    const m8__tensor *g;
    k->v = kernel_named(l, base, &g);
    k->rows = k->rate ? k->n_in : k->n_out;
    if (!has_shape(l, k->v, k->rows, k->rate ? k->n_out : k->n_in, k->k) || (g && !has_shape(l, g, k->rows, 1, 1))) return;
    int outputs = k->rate ? k->rate * k->n_out : k->copies * k->n_out, taps = k->rate ? k->k / k->rate : k->k + k->copies - 1;
    if (k->pairs) taps = 9;
    k->w = (nn_w){ .type = type, .n_out = outputs, .n_in = k->n_in, .taps = taps, .panel = m8__panel_bytes(type, k->n_in, taps) };
    k->w.data = nn_hold(l, (size_t)((outputs + PANEL - 1) / PANEL) * k->w.panel);
    if (k->pairs) k->pairs->w = k->w;
    k->scale = g && !l->status ? m8_malloc((size_t)k->rows * sizeof *k->scale) : NULL;
    if (!l->status && g && !k->scale) k->status = M8_E_NOMEM;
    if (l->status || k->status) goto out;
    if (g) {
        read_at(k->scale, g, 0, g->n);
        m8_pool_run(l->pool, k->rows, fold_row, k);
    }
    m8_pool_run(l->pool, (k->n_out + PANEL - 1) / PANEL, pack_chunk, k);
    m8_map_drop(k->v->data, k->v->size);
    l->n_params += k->v->n;
out:
    if (k->status) l->status = m8_fail(l->err, k->status, "loading %s", m8__weights_path(l->w));
    m8_free(k->scale);
}

/* ---- layers */

/* A name below the prefix, for one call. */
M8_PRINTF(2, 3) static const char *at(const struct dac_names *n, const char *fmt, ...)
{
    static _Thread_local char name[MOST_NAME];
    size_t len = (size_t)snprintf(name, sizeof name, "%s", n->prefix);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + len, sizeof name - len, fmt, ap);
    va_end(ap);
    return name;
}

/* alpha [1, c, 1] as snake wants it. */
static void load_snake(nn_load *l, struct dac_conv *to, int c, const char *name)
{
    const m8__tensor *t = find(l, name);
    if (!has_shape(l, t, 1, c, 1)) return;
    to->freq = nn_hold(l, (size_t)c * sizeof *to->freq);
    to->by = nn_hold(l, (size_t)c * sizeof *to->by);
    if (l->status) return;
    read_at(to->freq, t, 0, c);
    l->n_params += c;
    for (int i = 0; i < c; i++) {
        double alpha = (double)to->freq[i];
        to->by[i] = (float)(1 / (alpha + 1e-9));
        to->freq[i] = (float)(alpha / 3.14159265358979323846);
    }
}

static const float *load_bias(nn_load *l, int n, int times, const char *base)
{
    const float *b = nn_load_vec(l, n, "%s.bias", base);
    if (times == 1 || !b) return b;
    float *all = nn_hold(l, (size_t)n * (size_t)times * sizeof *all);
    for (int i = 0; all && i < times; i++) memcpy(all + (size_t)i * n, b, (size_t)n * sizeof *b);
    return all;
}

static void load_conv(nn_load *l, struct dac_conv *c, struct dac_pairs *pairs /* may be NULL */, int n_out, int n_in, int taps, int dilation,
                      const char *name)
{
    char base[MOST_NAME];
    snprintf(base, sizeof base, "%s", name);
    if (taps != 7 || for_kernels(l) != NN_BF16) pairs = NULL;
    struct kernel k = { .n_out = n_out, .n_in = n_in, .k = taps, .copies = 1, .pairs = pairs };
    if (taps % 2 == 0) fail(l, M8_E_UNSUPPORTED, base, "an even kernel");
    load_kernel(l, &k, for_kernels(l), base);
    c->w = k.w;
    c->w.bias = load_bias(l, n_out, 1, base);
    if (pairs) {
        pairs->w.bias = c->w.bias;
        pairs->dilation = dilation;
    }
    c->dilation = dilation;
    c->span = (taps - 1) * dilation;
    c->before = c->after = c->span / 2;
}

static void load_unit(nn_load *l, const struct dac_names *n, struct dac_unit *u, int c, int stage, int j, int dilation)
{
    char p[MOST_NAME], name[MOST_NAME + 16];
    if (n->hf) snprintf(p, sizeof p, "%s", at(n, "decoder.block.%d.res_unit%d", stage, j + 1));
    else snprintf(p, sizeof p, "%s", at(n, "decoder.model.%d.block.%d.block", stage + 1, j + 2));
    for (int i = 0; i < 2; i++) {
        struct dac_conv *conv = i ? &u->point : &u->wide;
        if (n->hf) snprintf(name, sizeof name, "%s.snake%d.alpha", p, i + 1);
        else snprintf(name, sizeof name, "%s.%d.alpha", p, 2 * i);
        load_snake(l, conv, c, name);
        snprintf(name, sizeof name, n->hf ? "%s.conv%d" : "%s.%d", p, n->hf ? i + 1 : 2 * i + 1);
        load_conv(l, conv, i ? NULL : &u->pairs, c, c, i ? 1 : dim(l, name, 2, MOST_TAPS), i ? 1 : dilation, name);
    }
}

static int load_stage(nn_load *l, const struct dac_names *n, struct dac_stage *s, int channels, int i)
{
    char base[MOST_NAME];
    snprintf(base, sizeof base, "%s", n->hf ? at(n, "decoder.block.%d.conv_t1", i) : at(n, "decoder.model.%d.block.1", i + 1));
    s->channels = dim(l, base, 1, MOST_CHANNELS);
    int k = dim(l, base, 2, MOST_TAPS + 1);
    s->rate = k / 2;
    s->cut = s->rate / 2;
    if (k % 4) fail(l, M8_E_UNSUPPORTED, base, "a kernel that is not twice an even rate");
    if (l->status) return 1;
    struct kernel up = { .n_out = s->channels, .n_in = channels, .k = k, .rate = s->rate };
    load_kernel(l, &up, for_kernels(l), base);
    s->up = (struct dac_conv){ .w = up.w, .dilation = 1, .span = 1, .before = 1, .after = 1 };
    s->up.w.bias = load_bias(l, s->channels, s->rate, base);
    load_snake(l, &s->up, channels, n->hf ? at(n, "decoder.block.%d.snake1.alpha", i) : at(n, "decoder.model.%d.block.0.alpha", i + 1));
    for (int j = 0, dilation = 1; j < DAC_UNITS; j++, dilation *= 3) load_unit(l, n, &s->unit[j], s->channels, i, j, dilation);
    return s->channels;
}

/* One output would leave 15 of a panel's 16 lanes idle, so 16 samples are the outputs of one row. It is kept in float32: it costs
 * next to nothing, and nothing smooths what is rounded here. */
static void load_last(nn_load *l, const struct dac_names *n, struct dac *d, int channels)
{
    char base[MOST_NAME];
    snprintf(base, sizeof base, "%s", n->hf ? at(n, "decoder.conv2") : at(n, "decoder.model.%d", d->n_stages + 2));
    int taps = dim(l, base, 2, MOST_TAPS);
    struct kernel k = { .n_out = 1, .n_in = channels, .k = taps, .copies = PANEL };
    if (taps % 2 == 0) fail(l, M8_E_UNSUPPORTED, base, "an even kernel");
    load_kernel(l, &k, NN_F32, base);
    d->last = (struct dac_conv){ .w = k.w, .dilation = 1, .span = taps - 1, .before = taps / 2, .after = taps / 2 };
    d->last.w.bias = load_bias(l, 1, PANEL, base);
    load_snake(l, &d->last, channels, n->hf ? at(n, "decoder.snake1.alpha") : at(n, "decoder.model.%d.alpha", d->n_stages + 1));
}

/* ---- codebooks */

static void load_codebooks(nn_load *l, const struct dac_names *n, struct dac *d)
{
    while (d->n_q < DAC_MOST_Q && m8__weights_find(l->w, at(n, "quantizer.quantizers.%d.codebook.weight", d->n_q))) d->n_q++;
    const m8__tensor *t = find(l, at(n, "quantizer.quantizers.0.codebook.weight"));
    if (!t) return;
    if (t->n_dims != 2 || t->dims[0] < 1 || t->dims[0] > MOST_CODES || t->dims[1] < 1 || t->dims[1] > 1024) {
        fail(l, M8_E_UNSUPPORTED, t->name, "a dimension out of range");
        return;
    }
    d->n_codes = (int)t->dims[0];
    d->code_dim = (int)t->dims[1];
    size_t each = (size_t)d->n_codes * (size_t)d->code_dim;
    int width = d->n_q * d->code_dim;
    d->codes = nn_hold(l, (size_t)d->n_q * each * sizeof *d->codes);
    float *bias = nn_hold(l, (size_t)d->latent * sizeof *bias), *rows = m8_malloc((size_t)d->latent * (size_t)width * sizeof *rows);
    for (int q = 0; q < d->n_q && rows && !l->status; q++) {
        const m8__tensor *book = find(l, at(n, "quantizer.quantizers.%d.codebook.weight", q)), *g;
        if (!has_shape(l, book, d->n_codes, d->code_dim, 1)) break;
        read_at(d->codes + (size_t)q * each, book, 0, book->n);
        char base[MOST_NAME];
        snprintf(base, sizeof base, "%s", at(n, "quantizer.quantizers.%d.out_proj", q));
        struct kernel k = { .v = kernel_named(l, base, &g), .rows = d->latent, .n_out = d->latent, .n_in = d->code_dim, .k = 1 };
        if (!has_shape(l, k.v, d->latent, d->code_dim, 1) || (g && !has_shape(l, g, d->latent, 1, 1))) break;
        const float *b = nn_load_vec(l, d->latent, "%s.bias", base);
        k.scale = g ? nn_hold(l, (size_t)d->latent * sizeof *k.scale) : NULL;
        if (l->status) break;
        if (g) read_at(k.scale, g, 0, g->n);
        for (int o = 0; o < d->latent; o++) {
            if (g) fold_row(&k, o);
            read_output(rows + (size_t)o * width + q * d->code_dim, &k, o);
            bias[o] += b[o];
        }
        l->n_params += book->n + k.v->n;
    }
    if (!rows && !l->status) l->status = m8_fail(l->err, M8_E_NOMEM, "loading %s", m8__weights_path(l->w));
    d->proj = nn_pack(l, rows, d->latent, width, 1, NN_F32);
    d->proj.bias = bias;
    m8_free(rows);
}

bool m8__dac_names(const m8__weights *w, struct dac_names *names)
{
    static const struct dac_names known[] = { { "audio_encoder.model.", false }, { "model.", false }, { "", false },
                                              { "audio_encoder.", true }, { "", true } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *names = known[i];
        if (m8__weights_find(w, at(names, known[i].hf ? "decoder.conv1.bias" : "decoder.model.0.bias")) &&
            m8__weights_find(w, at(names, "quantizer.quantizers.0.codebook.weight")))
            return true;
    }
    return false;
}

const struct dac *m8__dac_load(nn_load *l)
{
    struct dac_names n;
    struct dac *d = nn_hold(l, sizeof *d);
    if (!d) return NULL;
    if (!m8__dac_names(l->w, &n)) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no codec in the file (decoder.model.0, decoder.conv1)", m8__weights_path(l->w));
        return NULL;
    }
    char first[MOST_NAME];
    snprintf(first, sizeof first, "%s", at(&n, n.hf ? "decoder.conv1" : "decoder.model.0"));
    int channels = dim(l, first, 0, MOST_CHANNELS);
    d->latent = dim(l, first, 1, MOST_CHANNELS);
    load_codebooks(l, &n, d);
    load_conv(l, &d->first, NULL, channels, d->latent, dim(l, first, 2, MOST_TAPS), 1, first);
    while (d->n_stages < DAC_MOST_STAGES &&
           m8__weights_find(l->w, n.hf ? at(&n, "decoder.block.%d.conv_t1.bias", d->n_stages) : at(&n, "decoder.model.%d.block.1.bias", d->n_stages + 1)))
        d->n_stages++;
    d->hop = 1;
    for (int i = 0; i < d->n_stages && !l->status; i++) {
        channels = load_stage(l, &n, &d->stage[i], channels, i);
        d->hop *= d->stage[i].rate;
        if (d->hop > MOST_HOP) fail(l, M8_E_UNSUPPORTED, "decoder", "rates out of range");
    }
    load_last(l, &n, d, channels);
    return l->status ? NULL : d;
}
