/* A model being loaded: tensors are checked, brought into panels by all threads, and their mapped pages dropped behind.
 *
 * Packing goes panel by panel: 16 rows, each from the part of the stack that holds it. Blocks of Q4_0, Q4_1, Q4_K and Q8_0 are only
 * moved about (Q4_K's scales are rounded to float16); the other quantised types become Q8, which is off by at most half a step of 1/127 of a block's
 * largest value. */
#include "nn.h"
#include "pack.h"
#include <stdio.h>
#include <string.h>

void *nn_hold(nn_load *l, size_t bytes)
{
    if (l->status) return NULL;
    nn_held *h = l->held;
    if (h->n == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 256;
        void **p = m8_realloc(h->p, cap * sizeof *p);
        if (!p) {
            l->status = m8_fail(l->err, M8_E_NOMEM, "loading %s", m8__weights_path(l->w));
            return NULL;
        }
        h->p = p;
        h->cap = cap;
    }
    void *p = m8_aligned(64, bytes);
    if (!p) {
        l->status = m8_fail(l->err, M8_E_NOMEM, "loading %s", m8__weights_path(l->w));
        return NULL;
    }
    memset(p, 0, bytes);
    h->p[h->n++] = p;
    h->bytes += bytes;
    return p;
}

void nn_held_free(nn_held *h)
{
    for (size_t i = 0; i < h->n; i++) m8_free(h->p[i]);
    m8_free(h->p);
    *h = (nn_held){0};
}

nn_part nn_part_of(int n_out, const char *fmt, ...)
{
    nn_part p = { .n_out = n_out };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p.name, sizeof p.name, fmt, ap);
    va_end(ap);
    return p;
}

#define NAME_OF(name)                                                                                                    \
    char name[104];                                                                                                      \
    do {                                                                                                                 \
        va_list ap;                                                                                                      \
        va_start(ap, fmt);                                                                                               \
        vsnprintf(name, sizeof name, fmt, ap);                                                                           \
        va_end(ap);                                                                                                      \
    } while (0)

bool nn_has(const nn_load *l, const char *fmt, ...)
{
    NAME_OF(name);
    return m8__weights_find(l->w, name) != NULL;
}

static void shape_text(char out[96], int n_dims, const int64_t *dims)
{
    size_t n = (size_t)snprintf(out, 96, "[");
    for (int i = 0; i < n_dims; i++) n += (size_t)snprintf(out + n, 96 - n, i ? ", %lld" : "%lld", (long long)dims[i]);
    snprintf(out + n, 96 - n, "]");
}

/* The tensor of this name and shape; dims of 1 at the end of the file's shape or of ours may be missing. */
static const m8__tensor *find(nn_load *l, const char *name, int n_dims, const int64_t *dims)
{
    if (l->status) return NULL;
    const m8__tensor *t = m8__weights_find(l->w, name);
    if (!t) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named %s", m8__weights_path(l->w), name);
        return NULL;
    }
    bool same = true;
    int most = t->n_dims > n_dims ? t->n_dims : n_dims;
    for (int i = 0; i < most && i < 4; i++) {
        int64_t have = i < t->n_dims ? t->dims[i] : 1, want = i < n_dims ? dims[i] : 1;
        if (have != want) same = false;
    }
    if (!same) {
        char want[96], have[96];
        shape_text(want, n_dims, dims);
        shape_text(have, t->n_dims, t->dims);
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected %s, file has %s", m8__weights_path(l->w), name, want, have);
        return NULL;
    }
    l->n_params += t->n;
    return t;
}

/* As many rows of floats as the tensor has, whatever its last dimensions are. */
static float *load_floats(nn_load *l, const m8__tensor *t)
{
    float *v = t ? nn_hold(l, (size_t)t->n * sizeof *v) : NULL;
    if (v) {
        int64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1;
        m8__dequant(v, t, 0, cols ? t->n / cols : 0);
    }
    return v;
}

float *nn_load_vec(nn_load *l, int n, const char *fmt, ...)
{
    NAME_OF(name);
    return load_floats(l, find(l, name, 1, (int64_t[]){ n }));
}

float *nn_load_mat(nn_load *l, int rows, int cols, const char *fmt, ...)
{
    NAME_OF(name);
    return load_floats(l, find(l, name, 2, (int64_t[]){ rows, cols }));
}

/* ---- packing */

struct source {
    const m8__tensor *t; /* NULL: zeros */
    int row0, n_out, unpermute;
};
struct packing {
    struct source src[16];
    int n_src;
    const float *rows; /* instead of sources: [n_out][taps * n_in] */
    nn_w w;
    int per_chunk;
    m8_status status; /* M8_E_NOMEM from any thread */
};

static const struct source *source_of(const struct packing *p, int row, int64_t *at)
{
    for (int i = 0; i < p->n_src; i++) {
        const struct source *s = &p->src[i];
        if (row >= s->row0 + s->n_out) continue;
        int r = row - s->row0, dh = s->unpermute;
        if (dh) { /* stored row 2i + j of a head is row j * dh/2 + i */
            int in = r % dh;
            r = r - in + 2 * (in % (dh / 2)) + in / (dh / 2);
        }
        *at = r;
        return s->t ? s : NULL;
    }
    return NULL;
}

/* Row `at` of a matrix of k columns, which the file may hold as [rows, k, 1]. */
static void read_row(float *row, const m8__tensor *t, int64_t at, int k)
{
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    m8__dequant(row, t, at * k / columns, k / columns);
}

static void pack_chunk(void *user, int chunk)
{
    struct packing *p = user;
    const nn_w *w = &p->w;
    int k = w->taps * w->n_in, panels = (w->n_out + PANEL - 1) / PANEL;
    int end = (chunk + 1) * p->per_chunk < panels ? (chunk + 1) * p->per_chunk : panels;
    float *rows = NULL;
    for (int i = chunk * p->per_chunk; i < end; i++) {
        char *to = (char *)w->data + (size_t)i * w->panel;
        const m8__tensor *raw[PANEL];
        int64_t at[PANEL];
        bool direct = !p->rows;
        for (int o = 0; o < PANEL; o++) {
            int row = i * PANEL + o;
            at[o] = 0;
            const struct source *s = row < w->n_out && !p->rows ? source_of(p, row, &at[o]) : NULL;
            raw[o] = s ? s->t : NULL;
            direct = direct && (!raw[o] || m8__pack_direct(w->type, raw[o]->type));
        }
        if (direct) {
            m8__pack_blocks(w->type, to, raw, at, k);
            continue;
        }
        if (!rows) rows = m8_malloc((size_t)k * PANEL * sizeof *rows);
        if (!rows) {
            __atomic_store_n(&p->status, M8_E_NOMEM, __ATOMIC_RELAXED);
            return;
        }
        for (int o = 0; o < PANEL; o++) {
            float *row = rows + (size_t)o * k;
            int index = i * PANEL + o;
            if (p->rows && index < w->n_out) memcpy(row, p->rows + (size_t)index * k, (size_t)k * sizeof *row);
            else if (raw[o]) read_row(row, raw[o], at[o], k);
            else memset(row, 0, (size_t)k * sizeof *row);
        }
        m8__pack_floats(w->type, to, rows, w->n_in, w->taps);
    }
    m8_free(rows);
}

static nn_w pack(nn_load *l, struct packing *p, int n_out, int n_in, int taps, nn_type type)
{
    if (type == NN_Q8 && (n_in % QBLOCK || taps != 1)) type = NN_BF16;
    size_t panels = (size_t)(n_out + PANEL - 1) / PANEL;
    p->w = (nn_w){ .type = type, .n_out = n_out, .n_in = n_in, .taps = taps, .panel = m8__panel_bytes(type, n_in, taps) };
    p->w.data = nn_hold(l, panels * p->w.panel);
    if (!p->w.data) return (nn_w){0};
    int chunks = m8_pool_threads(l->pool) * 4;
    p->per_chunk = ((int)panels + chunks - 1) / chunks;
    if (p->per_chunk < 1) p->per_chunk = 1;
    m8_pool_run(l->pool, ((int)panels + p->per_chunk - 1) / p->per_chunk, pack_chunk, p);
    if (p->status) l->status = m8_fail(l->err, p->status, "loading %s", m8__weights_path(l->w));
    return p->w;
}

static nn_type type_for(const nn_load *l, m8__dtype t, nn_type fast)
{
    if (l->precision == M8_F32) return NN_F32;
    if (t == DT_Q4_0 || t == DT_Q4_1 || t == DT_Q4_K) return NN_Q4;
    if (m8__dtype_block(t) > 1) return NN_Q8;
    return fast;
}

nn_w nn_load_linear(nn_load *l, const nn_part *parts, int n_parts, int n_in, nn_type fast)
{
    struct packing p = {0};
    int n_out = 0;
    nn_type type = NN_Q4; /* the more exact one of a mixed stack */
    if (n_parts > (int)(sizeof p.src / sizeof *p.src)) n_parts = 0, l->status = m8_fail(l->err, M8_E_ARG, "a stack of too many matrices");
    for (int i = 0; i < n_parts && !l->status; i++) {
        struct source *s = &p.src[p.n_src++];
        *s = (struct source){ .row0 = n_out, .n_out = parts[i].n_out, .unpermute = parts[i].unpermute };
        n_out += parts[i].n_out;
        if (parts[i].optional && !m8__weights_find(l->w, parts[i].name)) continue;
        s->t = find(l, parts[i].name, 2, (int64_t[]){ parts[i].n_out, n_in });
        if (!s->t) break;
        if (s->t->n_dims < 2 && parts[i].n_out > 1) { /* a column stored as one row: rows could not be read one by one */
            l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected a matrix", m8__weights_path(l->w), parts[i].name);
            break;
        }
        nn_type this = type_for(l, s->t->type, fast);
        if (this < type) type = this;
    }
    if (l->status) return (nn_w){0};
    nn_w w = pack(l, &p, n_out, n_in, 1, type);
    for (int i = 0; i < p.n_src; i++) {
        if (p.src[i].t) m8_map_drop(p.src[i].t->data, p.src[i].t->size);
    }
    return w;
}

nn_w nn_pack(nn_load *l, const float *rows, int n_out, int n_in, int taps, nn_type type)
{
    struct packing p = { .rows = rows };
    if (l->status || !rows) return (nn_w){0};
    return pack(l, &p, n_out, n_in, taps, l->precision == M8_F32 ? NN_F32 : type);
}

struct kernel {
    int n_out, n_in, k, stride; /* stride 0: a plain convolution */
};

/* [n_out][n_in][k] -> [n_out][k][n_in] */
static void order_conv(float *rows, const float *file, const struct kernel *s)
{
    for (int o = 0; o < s->n_out; o++) {
        const float *from = file + (size_t)o * s->n_in * s->k;
        float *to = rows + (size_t)o * s->n_in * s->k;
        for (int c = 0; c < s->n_in; c++) {
            for (int j = 0; j < s->k; j++) to[j * s->n_in + c] = from[c * s->k + j];
        }
    }
}

/* [n_in][n_out][k] -> [stride * n_out][k / stride][n_in]: sample t*stride + p of the output sees kernel p + i*stride on x[t - i] */
static void order_conv_t(float *rows, const float *file, const struct kernel *s)
{
    int taps = s->k / s->stride;
    for (int p = 0; p < s->stride; p++) {
        for (int o = 0; o < s->n_out; o++) {
            float *to = rows + (size_t)(p * s->n_out + o) * taps * s->n_in;
            for (int j = 0; j < taps; j++) {
                const float *from = file + (size_t)o * s->k + p + (taps - 1 - j) * s->stride;
                for (int c = 0; c < s->n_in; c++) to[j * s->n_in + c] = from[(size_t)c * s->n_out * s->k];
            }
        }
    }
}

/* The tensor's floats in the panels' order, packed. */
static nn_w pack_kernel(nn_load *l, const m8__tensor *t, const struct kernel *s, nn_type fast)
{
    float *file = m8_malloc((size_t)t->n * sizeof *file), *rows = m8_malloc((size_t)t->n * sizeof *rows);
    int phases = s->stride ? s->stride : 1;
    nn_w w = {0};
    if (file && rows) {
        int64_t cols = t->n_dims ? t->dims[t->n_dims - 1] : 1;
        m8__dequant(file, t, 0, t->n / cols);
        if (s->stride) order_conv_t(rows, file, s);
        else order_conv(rows, file, s);
        w = nn_pack(l, rows, phases * s->n_out, s->n_in, s->k / phases, fast);
        m8_map_drop(t->data, t->size);
    } else {
        l->status = m8_fail(l->err, M8_E_NOMEM, "loading %s", m8__weights_path(l->w));
    }
    m8_free(file);
    m8_free(rows);
    return w;
}

nn_w nn_load_conv(nn_load *l, int n_out, int n_in, int taps, nn_type fast, const char *fmt, ...)
{
    NAME_OF(name);
    const m8__tensor *t = find(l, name, 3, (int64_t[]){ n_out, n_in, taps });
    return t ? pack_kernel(l, t, &(struct kernel){ n_out, n_in, taps, 0 }, fast) : (nn_w){0};
}

nn_w nn_load_conv_t(nn_load *l, int n_out, int n_in, int k, int stride, nn_type fast, const char *fmt, ...)
{
    NAME_OF(name);
    const m8__tensor *t = find(l, name, 3, (int64_t[]){ n_in, n_out, k });
    if (!t) return (nn_w){0};
    if (stride < 1 || k % stride) {
        l->status = m8_fail(l->err, M8_E_UNSUPPORTED, "%s: %s: kernel %d is no multiple of stride %d", m8__weights_path(l->w), name, k, stride);
        return (nn_w){0};
    }
    return pack_kernel(l, t, &(struct kernel){ n_out, n_in, k, stride }, fast);
}
