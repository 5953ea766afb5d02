/* The run and the words that work row by row. */
#include "nn.h"
#include <string.h>

m8_status nn_run_init(nn_run *r, m8_pool *pool, m8_error *err)
{
    *r = (nn_run){ .pool = pool, .k = m8__kernels_get(m8__cpu_flags()) };
    r->arena = m8_arena_new(1 << 20);
    return r->arena ? M8_OK : m8_fail(err, M8_E_NOMEM, "working memory");
}

void nn_run_finish(nn_run *r)
{
    m8_arena_free(r->arena);
    *r = (nn_run){0};
}

void nn_reset(nn_run *r)
{
    m8_arena_clear(r->arena);
    r->status = M8_OK;
}

void *nn_take(nn_run *r, size_t bytes)
{
    if (!r->status && r->stop && atomic_load_explicit(r->stop, memory_order_relaxed)) r->status = M8_E_CANCELLED;
    void *p = r->status ? NULL : m8_arena_raw(r->arena, bytes);
    if (!p && !r->status) r->status = M8_E_NOMEM;
    return p;
}

nn_t nn_new(nn_run *r, int n, int c)
{
    float *d = nn_take(r, (size_t)n * (size_t)c * sizeof(float));
    return d ? (nn_t){ d, n, c, c } : (nn_t){0};
}

nn_t nn_zeros(nn_run *r, int n, int c)
{
    nn_t x = nn_new(r, n, c);
    if (x.d) memset(x.d, 0, (size_t)n * (size_t)c * sizeof(float));
    return x;
}

nn_t nn_rows(nn_t x, int from, int n)
{
    return x.d ? (nn_t){ x.d + (ptrdiff_t)from * x.ld, n, x.c, x.ld } : x;
}

nn_t nn_cols(nn_t x, int from, int c)
{
    return x.d ? (nn_t){ x.d + from, x.n, c, x.ld } : x;
}

void nn_each(nn_run *r, int n, void (*fn)(void *, int), void *user)
{
    if (!r->status) m8_pool_run(r->pool, n, fn, user);
}

/* ---- row by row: blocks of rows are the chunks */
struct rows {
    nn_run *r;
    nn_t x, y, to;
    const float *a, *b;
    float eps;
    nn_act act;
    int block;
    void (*row)(const struct rows *p, int i);
};

static void rows_chunk(void *user, int chunk)
{
    const struct rows *p = user;
    int end = (chunk + 1) * p->block < p->x.n ? (chunk + 1) * p->block : p->x.n;
    for (int i = chunk * p->block; i < end; i++) p->row(p, i);
}

static void each_row(struct rows p)
{
    if (p.r->status || !p.x.d) return;
    int chunks = (int64_t)p.x.n * p.x.c < 16384 ? 1 : m8_pool_threads(p.r->pool) * 4;
    p.block = (p.x.n + chunks - 1) / chunks;
    if (p.block < 1) p.block = 1;
    m8_pool_run(p.r->pool, (p.x.n + p.block - 1) / p.block, rows_chunk, &p);
}

static float *row_of(nn_t x, int i) { return x.d + (ptrdiff_t)i * x.ld; }

static void layer_norm_row(const struct rows *p, int i)
{
    p->r->k->layer_norm(row_of(p->to, i), row_of(p->x, i), p->a, p->b, p->x.c, p->eps);
}

nn_t nn_layer_norm(nn_run *r, nn_t x, const float *gamma, const float *beta, float eps)
{
    nn_t to = nn_new(r, x.n, x.c);
    each_row((struct rows){ .r = r, .x = x, .to = to, .a = gamma, .b = beta, .eps = eps, .row = layer_norm_row });
    return to;
}

static void rms_norm_row(const struct rows *p, int i)
{
    p->r->k->rms_norm(row_of(p->to, i), row_of(p->x, i), p->a, p->x.c, p->eps);
}

nn_t nn_rms_norm(nn_run *r, nn_t x, const float *w, float eps)
{
    nn_t to = nn_new(r, x.n, x.c);
    each_row((struct rows){ .r = r, .x = x, .to = to, .a = w, .eps = eps, .row = rms_norm_row });
    return to;
}

static void add_row(const struct rows *p, int i) { p->r->k->add(row_of(p->x, i), row_of(p->y, i), p->x.c); }

void nn_add_to(nn_run *r, nn_t x, nn_t y) { each_row((struct rows){ .r = r, .x = x, .y = y, .row = add_row }); }

static void add_vec_row(const struct rows *p, int i) { p->r->k->add(row_of(p->x, i), p->a, p->x.c); }

void nn_add_vec(nn_run *r, nn_t x, const float *v)
{
    each_row((struct rows){ .r = r, .x = x, .a = v, .row = add_vec_row });
}

static void scale_row(const struct rows *p, int i)
{
    float *x = row_of(p->x, i);
    for (int c = 0; c < p->x.c; c++) x[c] *= p->eps;
}

void nn_scale_to(nn_run *r, nn_t x, float by) { each_row((struct rows){ .r = r, .x = x, .eps = by, .row = scale_row }); }

static void act_row(const struct rows *p, int i) { nn__act(p->r->k, row_of(p->x, i), p->x.c, p->act); }

void nn_act_to(nn_run *r, nn_t x, nn_act act)
{
    if (act) each_row((struct rows){ .r = r, .x = x, .act = act, .row = act_row });
}

void nn__act(const struct m8__kernels *k, float *x, int n, nn_act act)
{
    switch (act) {
    case NN_NONE: break;
    case NN_GELU: k->gelu(x, x, n); break;
    case NN_GELU_TANH: k->gelu_tanh(x, x, n); break;
    case NN_RELU: k->leaky(x, x, n, 0); break;
    case NN_TANH: k->tanh_v(x, x, n); break;
    }
}

static void silu_mul_row(const struct rows *p, int i)
{
    const float *x = row_of(p->x, i);
    p->r->k->silu_mul(row_of(p->to, i), x, x + p->to.c, p->to.c);
}

nn_t nn_silu_mul(nn_run *r, nn_t x)
{
    nn_t to = nn_new(r, x.n, x.c / 2);
    each_row((struct rows){ .r = r, .x = x, .to = to, .row = silu_mul_row });
    return to;
}

static void gelu_tanh_mul_row(const struct rows *p, int i)
{
    const float *x = row_of(p->x, i), *up = x + p->to.c;
    float *to = row_of(p->to, i);
    p->r->k->gelu_tanh(to, x, p->to.c);
    for (int c = 0; c < p->to.c; c++) to[c] *= up[c];
}

nn_t nn_gelu_tanh_mul(nn_run *r, nn_t x)
{
    nn_t to = nn_new(r, x.n, x.c / 2);
    each_row((struct rows){ .r = r, .x = x, .to = to, .row = gelu_tanh_mul_row });
    return to;
}

static void tanh_sigmoid_row(const struct rows *p, int i)
{
    const float *x = row_of(p->x, i);
    p->r->k->tanh_sigmoid(row_of(p->to, i), x, x + p->to.c, p->to.c);
}

nn_t nn_tanh_sigmoid(nn_run *r, nn_t x)
{
    nn_t to = nn_new(r, x.n, x.c / 2);
    each_row((struct rows){ .r = r, .x = x, .to = to, .row = tanh_sigmoid_row });
    return to;
}

static void copy_row(const struct rows *p, int i)
{
    memcpy(row_of(p->to, i), row_of(p->x, i), (size_t)p->x.c * sizeof(float));
}

nn_t nn_copy(nn_run *r, nn_t x)
{
    nn_t to = nn_new(r, x.n, x.c);
    each_row((struct rows){ .r = r, .x = x, .to = to, .row = copy_row });
    return to;
}
