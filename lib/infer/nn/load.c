/* A model being loaded: tensors are checked, brought into panels by all threads, and their mapped pages dropped behind.
 *
 * Packing goes panel by panel: 16 rows, each from the part of the stack that holds it. Quantised blocks are only moved about
 * (kernels/repack.c); but for Q2_K, and stacks whose parts differ and do not end with a panel: they become Q8, which is off by at most half
 * a step of 1/127 of a block's largest value. Of a large model nothing is packed: the stack's segments say where the rows lie. */
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
    int blocks;        /* the sources' blocks are moved as they are; < 0: through floats */
    m8__dtype file;    /* whose blocks */
    uint8_t *zeros;    /* a row of them */
    const struct m8__kernels *k;
    nn_w w;
    int per_chunk;
    m8_status status; /* M8_E_NOMEM from any thread */
};

static const struct source *source_of(const struct packing *p, int row, int64_t *at)
{
    for (int i = 0; i < p->n_src; i++) {
        const struct source *s = &p->src[i];
        if (row >= s->row0 + s->n_out) continue;
        *at = m8__stored_row(row - s->row0, s->unpermute);
        return s->t ? s : NULL;
    }
    return NULL;
}

/* The pages of a tensor are not needed any more; of a file only: memory that was lent would be emptied. */
static void drop(const nn_load *l, const m8__tensor *t)
{
    if (t && m8__weights_dir(l->w)) m8_map_drop(t->data, t->size);
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
        int64_t at[PANEL] = {0};
        for (int o = 0; o < PANEL; o++) {
            int row = i * PANEL + o;
            const struct source *s = row < w->n_out && !p->rows ? source_of(p, row, &at[o]) : NULL;
            raw[o] = s ? s->t : NULL;
        }
        if (p->blocks >= 0) {
            m8__pack_blocks(p->k, to, p->blocks, p->file, raw, at, k, p->zeros);
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
            else if (raw[o]) m8__read_row(row, raw[o], at[o], k);
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
    p->k = m8__kernels_get(m8__cpu_flags());
    p->zeros = p->blocks >= 0 ? m8_calloc((size_t)n_in, sizeof(float)) : NULL; /* no block has as many bytes */
    if (p->blocks >= 0 && !p->zeros) {
        l->status = m8_fail(l->err, M8_E_NOMEM, "loading %s", m8__weights_path(l->w));
        return (nn_w){0};
    }
    int chunks = m8_pool_threads(l->pool) * 4;
    p->per_chunk = ((int)panels + chunks - 1) / chunks;
    if (p->per_chunk < 1) p->per_chunk = 1;
    m8_pool_run(l->pool, ((int)panels + p->per_chunk - 1) / p->per_chunk, pack_chunk, p);
    m8_free(p->zeros);
    if (p->status) l->status = m8_fail(l->err, p->status, "loading %s", m8__weights_path(l->w));
    for (int i = 0; i < p->n_src; i++) drop(l, p->src[i].t);
    return p->w;
}

static nn_type type_for(const nn_load *l, const m8__tensor *t, nn_type fast)
{
    nn_type type;
    if (l->precision == M8_F32) return NN_F32;
    if (m8__dtype_block(t->type) == 1) return fast;
    return m8__blocks_of(t->type, &type, QBLOCK) >= 0 ? type : NN_Q8;
}

/* The blocks that a tensor's rows can be moved by into panels of a type, or -1. */
static int blocks_for(const m8__tensor *t, nn_type type, int n_in)
{
    nn_type own;
    int blocks = m8__blocks_of(t->type, &own, n_in);
    if (type == NN_F32) return m8__blocks_of_floats(t->type, n_in);
    return blocks >= 0 && own == type ? blocks : -1;
}

/* A stack whose parts begin and end with panels, each of its own type. */
static nn_w segments(nn_load *l, const struct packing *p, int n_out, int n_in, const nn_type *types)
{
    nn_seg *segs = nn_hold(l, (size_t)p->n_src * sizeof *segs);
    nn_w w = { .type = types[0], .n_out = n_out, .n_in = n_in, .taps = 1, .segs = segs, .n_segs = p->n_src };
    for (int i = 0; i < p->n_src && !l->status; i++) {
        const struct source *s = &p->src[i];
        segs[i] = (nn_seg){ types[i], s->row0 / PANEL, (s->n_out + PANEL - 1) / PANEL, s->n_out, m8__panel_bytes(types[i], n_in, 1), .lies = s->t,
                            .row = s->t->size / (size_t)s->n_out, .blocks = blocks_for(s->t, types[i], n_in), .unpermute = s->unpermute,
                            .mapped = m8__weights_dir(l->w) != NULL };
        if (l->in_place) continue;
        struct packing one = { .src = { *s }, .n_src = 1, .blocks = segs[i].blocks, .file = s->t->type };
        one.src[0].row0 = 0;
        segs[i].data = pack(l, &one, s->n_out, n_in, 1, types[i]).data;
    }
    return l->status ? (nn_w){0} : w;
}

nn_w nn_load_linear(nn_load *l, const nn_part *parts, int n_parts, int n_in, nn_type fast)
{
    struct packing p = { .blocks = -1 };
    int n_out = 0;
    nn_type types[16], type = NN_Q4; /* the most exact one */
    bool whole = true, one_type = true; /* each part has its tensor and ends with a panel; all are of one type in the file */
    const m8__tensor *first = NULL;
    if (n_parts > (int)(sizeof p.src / sizeof *p.src)) n_parts = 0, l->status = m8_fail(l->err, M8_E_ARG, "a stack of too many matrices");
    for (int i = 0; i < n_parts && !l->status; i++) {
        struct source *s = &p.src[p.n_src++];
        *s = (struct source){ .row0 = n_out, .n_out = parts[i].n_out, .unpermute = parts[i].unpermute };
        whole = whole && n_out % PANEL == 0;
        n_out += parts[i].n_out;
        if (parts[i].optional && !m8__weights_find(l->w, parts[i].name)) {
            whole = false;
            continue;
        }
        s->t = find(l, parts[i].name, 2, (int64_t[]){ parts[i].n_out, n_in });
        if (!s->t) break;
        if (s->t->n_dims < 2 && parts[i].n_out > 1) { /* a column stored as one row: rows could not be read one by one */
            l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: expected a matrix", m8__weights_path(l->w), parts[i].name);
            break;
        }
        types[i] = type_for(l, s->t, fast);
        if (types[i] < type) type = types[i];
        if (!first) first = s->t;
        one_type = one_type && s->t->type == first->type;
    }
    if (l->status) return (nn_w){0};
    for (int i = 0; i < p.n_src && type < NN_Q8; i++) types[i] = type; /* x has one form */
    if (whole && (l->in_place || !one_type) && (type < NN_Q8 ? l->in_place : n_in % QBLOCK == 0)) return segments(l, &p, n_out, n_in, types);
    if (!one_type && type > NN_Q8) type = NN_Q8;
    p.blocks = first && one_type ? blocks_for(first, type, n_in) : -1;
    p.file = first ? first->type : DT_F32;
    return pack(l, &p, n_out, n_in, 1, type);
}

void nn_forget(const nn_w *w)
{
    for (int i = 0; i < w->n_segs; i++) {
        if (!w->segs[i].data && w->segs[i].mapped) m8_map_drop(w->segs[i].lies->data, w->segs[i].lies->size);
    }
}

nn_w nn_pack(nn_load *l, const float *rows, int n_out, int n_in, int taps, nn_type type)
{
    struct packing p = { .rows = rows, .blocks = -1 };
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
        drop(l, t);
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
