/* Attention over keys and values that lie in panels of 16 (nn.h), so that both products are the kernels': scores have keys as outputs,
 * and sums run through the keys in order. A row's result does not depend on the rows beside it, nor on how its keys are cut into spans
 * (NN_BF16 takes keys by twos: then not if the cuts are even); keys behind what a row may see get weight 0, and adding 0 changes nothing
 * (the cells are finite). */
#include "nn.h"
#include <stdatomic.h>
#include <string.h>

#define BLOCK 24 /* rows of q in a chunk */

static size_t round_to(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* ---- where things lie: sizes and places in bytes */

static size_t k_panel_bytes(const nn_kv *kv)
{
    return kv->type == NN_BF16 ? round_to((size_t)kv->dh, 2) * PANEL * sizeof(uint16_t) : (size_t)kv->dh * PANEL * sizeof(float);
}
static size_t v_panel_bytes(const nn_kv *kv)
{
    return (size_t)kv->cap * PANEL * (kv->type == NN_BF16 ? sizeof(uint16_t) : sizeof(float));
}
static size_t k_head_bytes(const nn_kv *kv) { return (size_t)(kv->cap / PANEL) * k_panel_bytes(kv); }
static size_t v_head_bytes(const nn_kv *kv) { return round_to((size_t)kv->dh, PANEL) / PANEL * v_panel_bytes(kv); }

/* The panel of the keys that a cell is among; the place of a cell (with NN_BF16 of a pair of them) in the first panel of V. */
static char *k_at(const nn_kv *kv, int head, int cell)
{
    return (char *)kv->k + (size_t)head * k_head_bytes(kv) + (size_t)(cell / PANEL) * k_panel_bytes(kv);
}
static char *v_at(const nn_kv *kv, int head, int cell)
{
    char *v = (char *)kv->v + (size_t)head * v_head_bytes(kv);
    return kv->type == NN_BF16 ? v + (size_t)(cell / 2) * 2 * PANEL * sizeof(uint16_t) : v + (size_t)cell * PANEL * sizeof(float);
}

size_t nn_kv_bytes(nn_type type, int n_heads, int dh, int cap)
{
    nn_kv kv = { .type = type, .n_heads = n_heads, .dh = dh, .cap = cap };
    return (size_t)n_heads * (k_head_bytes(&kv) + v_head_bytes(&kv));
}

nn_kv nn_kv_at(void *mem, nn_type type, int n_heads, int dh, int cap)
{
    nn_kv kv = { .type = type, .n_heads = n_heads, .dh = dh, .cap = cap, .k = mem };
    kv.v = mem ? (char *)mem + (size_t)n_heads * k_head_bytes(&kv) : NULL;
    return kv;
}

nn_kv nn_kv_new(nn_run *r, nn_type type, int n_heads, int dh, int cap)
{
    size_t bytes = nn_kv_bytes(type, n_heads, dh, cap);
    void *mem = nn_take(r, bytes);
    if (mem) memset(mem, 0, bytes);
    return nn_kv_at(mem, type, n_heads, dh, cap);
}

/* ---- put and copy */

struct put {
    const struct m8__kernels *kernels;
    nn_kv *kv;
    nn_t k, v;
    int cell;
};

static void put_f32(const nn_kv *kv, int head, int cell, const float *k, const float *v)
{
    float *to_k = (float *)k_at(kv, head, cell) + cell % PANEL, *to_v = (float *)v_at(kv, head, cell);
    int dh = kv->dh;
    for (int c = 0; c < dh; c++) to_k[c * PANEL] = k[c];
    for (int c = 0; c < dh; c += PANEL) {
        memcpy(to_v + (size_t)c * (size_t)kv->cap, v + c, (size_t)(dh - c < PANEL ? dh - c : PANEL) * sizeof *v);
    }
}

static void put_bf16(const struct m8__kernels *kernels, const nn_kv *kv, int head, int cell, const float *k, const float *v)
{
    uint16_t *to_k = (uint16_t *)k_at(kv, head, cell) + cell % PANEL * 2, *to_v = (uint16_t *)v_at(kv, head, cell) + cell % 2;
    uint16_t part[4 * PANEL];
    int dh = kv->dh;
    for (int c = 0; c < dh; c += 4 * PANEL) {
        int n = dh - c < 4 * PANEL ? dh - c : 4 * PANEL;
        part[(n - 1) | 1] = 0; /* beside an odd one */
        kernels->to_bf16(part, k + c, n);
        for (int i = 0; i < n; i += 2) memcpy(to_k + (size_t)(c + i) / 2 * 2 * PANEL, part + i, 2 * sizeof *part);
        kernels->to_bf16(part, v + c, n);
        for (int i = 0; i < n; i++) to_v[(size_t)((c + i) / PANEL * PANEL) * (size_t)kv->cap + (size_t)i % PANEL * 2] = part[i];
    }
}

static void put_head(void *user, int head)
{
    const struct put *p = user;
    const nn_kv *kv = p->kv;
    for (int i = 0; i < p->k.n; i++) {
        const float *k = p->k.d + (ptrdiff_t)i * p->k.ld + head * kv->dh, *v = p->v.d + (ptrdiff_t)i * p->v.ld + head * kv->dh;
        if (kv->type == NN_BF16) put_bf16(p->kernels, kv, head, p->cell + i, k, v);
        else put_f32(kv, head, p->cell + i, k, v);
    }
}

void nn_kv_put(nn_run *r, nn_kv *kv, int cell, nn_t k, nn_t v)
{
    if (r->status || !kv->k) return;
    struct put p = { r->k, kv, k, v, cell };
    if ((int64_t)k.n * k.c < 8192) {
        for (int h = 0; h < kv->n_heads; h++) put_head(&p, h);
    } else {
        m8_pool_run(r->pool, kv->n_heads, put_head, &p);
    }
}

void nn_kv_copy(nn_run *r, nn_kv *kv, int to, int from, int n)
{
    if (r->status || n <= 0) return;
    size_t panels = (size_t)(n + PANEL - 1) / PANEL, cell_bytes = v_panel_bytes(kv) / (size_t)kv->cap;
    for (int h = 0; h < kv->n_heads; h++) {
        memcpy(k_at(kv, h, to), k_at(kv, h, from), panels * k_panel_bytes(kv));
        for (size_t at = 0; at < v_head_bytes(kv); at += v_panel_bytes(kv)) {
            memcpy(v_at(kv, h, to) + at, v_at(kv, h, from) + at, panels * PANEL * cell_bytes);
        }
    }
}

/* ---- attend */

struct attend {
    nn_run *r;
    nn_t q, out;
    const nn_kv *kv;
    const nn_seq *seqs;
    const int *first_block; /* of each sequence, n_seqs + 1 */
    int n_seqs, group;
    float scale;
    int ld;                 /* of a row's scores */
    char *memory;           /* for each thread: scores, then, for NN_BF16, weights and queries */
    size_t memory_size, scores_size, weights_size;
    atomic_flag *taken;
};

/* A block of rows, or for one token the query heads of a kv head: q and where the result goes. */
struct block {
    const nn_kv *kv;
    const nn_seq *seq;
    int head;               /* of kv */
    int rows, q_head, row0; /* rows of the block are rows row0.. of the sequence, or heads q_head.. of row row0 */
    bool heads;
    const float *q;
    float *out;
    ptrdiff_t ldq, ldo;
    float *scores;
    uint16_t *weights, *queries;
};

static int keys_seen(const struct block *b, int i, int total)
{
    int sees = b->seq->first < 0 ? total : b->seq->first + b->row0 + (b->heads ? 0 : i);
    return sees < total ? sees : total;
}

/* q k^T, span by span: how many keys there are. */
static int score(const struct attend *a, const struct block *b)
{
    const struct m8__kernels *k = a->r->k;
    const nn_kv *kv = b->kv;
    int limit = keys_seen(b, b->rows - 1, INT32_MAX), total = 0;
    struct m8__gemm g = { .ldy = a->ld, .x = b->q, .ldx = b->ldq, .n = b->rows, .panel = k_panel_bytes(kv), .n_in = kv->dh, .taps = 1,
                          .stride = 1, .dilation = 1 };
    if (kv->type == NN_BF16) {
        g.ldx = g.n_in = (kv->dh + 1) & ~1;
        g.x = b->queries;
        for (int i = 0; i < b->rows; i++) {
            b->queries[(i + 1) * g.ldx - 1] = 0;
            k->to_bf16(b->queries + i * g.ldx, b->q + i * b->ldq, kv->dh);
        }
    }
    for (int i = 0; i < b->seq->n_spans && total < limit; i++) {
        const nn_span *s = &b->seq->span[i];
        g.n_out = s->n < limit - total ? s->n : limit - total;
        g.y = b->scores + total;
        g.w = k_at(kv, b->head, s->cell);
        g.bias = kv->bias ? kv->bias + s->cell : NULL;
        if (kv->type == NN_BF16) k->gemm_bf16(&g);
        else k->gemm_f32(&g);
        total += g.n_out;
    }
    return total;
}

/* Weights times v. */
static void sum(const struct attend *a, const struct block *b, int total)
{
    const struct m8__kernels *k = a->r->k;
    const nn_kv *kv = b->kv;
    struct m8__gemm g = { .y = b->out, .ldy = b->ldo, .ldx = a->ld, .n = b->rows, .n_out = kv->dh, .panel = v_panel_bytes(kv), .taps = 1,
                          .stride = 1, .dilation = 1 };
    for (int i = 0, done = 0; done < total; i++) {
        const nn_span *s = &b->seq->span[i];
        int len = s->n < total - done ? s->n : total - done;
        g.w = v_at(kv, b->head, s->cell);
        g.add = done > 0;
        if (kv->type == NN_BF16) {
            g.x = b->weights;
            g.n_in = (len + 1) & ~1;
            for (int row = 0; row < b->rows; row++) {
                b->weights[(ptrdiff_t)row * a->ld + g.n_in - 1] = 0;
                k->to_bf16(b->weights + (ptrdiff_t)row * a->ld, b->scores + (ptrdiff_t)row * a->ld + done, len);
            }
            k->gemm_bf16(&g);
        } else {
            g.x = b->scores + done;
            g.n_in = len;
            k->gemm_f32(&g);
        }
        done += len;
    }
}

static void attend_block(const struct attend *a, const struct block *b)
{
    const struct m8__kernels *k = a->r->k;
    int total = score(a, b);
    for (int i = 0; i < b->rows; i++) {
        float *row = b->scores + (ptrdiff_t)i * a->ld;
        int sees = keys_seen(b, i, total), q_head = b->q_head + (b->heads ? i : 0), at = b->row0 + (b->heads ? 0 : i);
        if (b->seq->rel) k->add(row, b->seq->rel + q_head * b->seq->rel_ld - at, sees);
        k->softmax(row, sees, a->scale);
        memset(row + sees, 0, (size_t)(total - sees) * sizeof *row);
    }
    sum(a, b, total);
}

/* Rows [row0, row0 + n) of one sequence and the query heads of one kv head. One token: the heads of the group are the rows; else each
 * head in turn. */
static void attend_rows(const struct attend *a, const nn_seq *s, int row0, int n, int head, char *memory)
{
    const nn_kv *kv = s->kv ? s->kv : a->kv;
    int dh = kv->dh;
    struct block b = { .kv = kv, .seq = s, .head = head, .rows = n == 1 ? a->group : n, .row0 = row0, .heads = n == 1,
                       .ldq = n == 1 ? dh : a->q.ld, .ldo = n == 1 ? dh : a->out.ld, .scores = (float *)memory,
                       .weights = (uint16_t *)(memory + a->scores_size),
                       .queries = (uint16_t *)(memory + a->scores_size + a->weights_size) };
    for (int turn = 0; turn < (n == 1 ? 1 : a->group); turn++) {
        b.q_head = head * a->group + turn;
        b.q = a->q.d + (ptrdiff_t)(s->row + row0) * a->q.ld + b.q_head * dh;
        b.out = a->out.d + (ptrdiff_t)(s->row + row0) * a->out.ld + b.q_head * dh;
        attend_block(a, &b);
    }
}

static void attend_chunk(void *user, int chunk)
{
    const struct attend *a = user;
    int heads = a->kv->n_heads, block = chunk / heads, head = chunk % heads, i = 0, slot = 0;
    while (a->first_block[i + 1] <= block) i++;
    const nn_seq *s = &a->seqs[i];
    int row0 = (block - a->first_block[i]) * BLOCK, n = s->n_rows - row0 < BLOCK ? s->n_rows - row0 : BLOCK;
    while (atomic_flag_test_and_set_explicit(&a->taken[slot], memory_order_acquire)) slot++;
    attend_rows(a, s, row0, n, head, a->memory + (size_t)slot * a->memory_size);
    atomic_flag_clear_explicit(&a->taken[slot], memory_order_release);
}

nn_t nn_attend(nn_run *r, nn_t q, const nn_kv *kv, int n_heads_q, float scale, const nn_seq *seqs, int n_seqs)
{
    nn_t out = nn_new(r, q.n, q.c);
    m8_arena_mark mark = m8_arena_here(r->arena);
    int threads = m8_pool_threads(r->pool), longest = 0, blocks = 0, group = n_heads_q / kv->n_heads;
    int *first_block = nn_take(r, (size_t)(n_seqs + 1) * sizeof *first_block);
    atomic_flag *taken = nn_take(r, (size_t)threads * sizeof *taken);
    if (r->status || !q.n) return out;
    for (int i = 0; i < n_seqs; i++) {
        int len = 0;
        for (int s = 0; s < seqs[i].n_spans; s++) len += (seqs[i].span[s].n + PANEL - 1) / PANEL * PANEL;
        if (len > longest) longest = len;
        first_block[i] = blocks;
        blocks += (seqs[i].n_rows + BLOCK - 1) / BLOCK;
    }
    first_block[n_seqs] = blocks;
    for (int i = 0; i < threads; i++) atomic_flag_clear(&taken[i]);
    size_t rows = (size_t)(BLOCK > group ? BLOCK : group), cells = rows * (size_t)longest;
    struct attend a = { .r = r, .q = q, .out = out, .kv = kv, .seqs = seqs, .first_block = first_block, .n_seqs = n_seqs, .group = group,
                        .scale = scale, .ld = longest, .taken = taken };
    a.scores_size = a.memory_size = cells * sizeof(float);
    if (kv->type == NN_BF16) {
        a.weights_size = cells * sizeof(uint16_t);
        a.memory_size += a.weights_size + round_to(rows * round_to((size_t)kv->dh, 2) * sizeof(uint16_t), 64);
    }
    a.memory = nn_take(r, a.memory_size * (size_t)threads);
    if (a.memory) m8_pool_run(r->pool, blocks * kv->n_heads, attend_chunk, &a);
    m8_arena_back(r->arena, mark);
    return r->status ? (nn_t){0} : out;
}
