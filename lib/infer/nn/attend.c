/* Attention over keys and values that lie in panels of 16 (nn.h), so that both products are gemm_f32: scores have keys as outputs, and
 * sums run through the keys in order. A row's result does not depend on the rows beside it, nor on how its keys are cut into spans;
 * keys behind what a row may see get weight 0, and adding 0 changes nothing (the cells are finite). */
#include "nn.h"
#include <stdatomic.h>
#include <string.h>

#define BLOCK 24 /* rows of q in a chunk */

size_t nn_kv_floats(int n_heads, int dh, int cap)
{
    size_t wide = (size_t)((dh + PANEL - 1) / PANEL * PANEL);
    return (size_t)n_heads * (size_t)cap * ((size_t)dh + wide);
}

nn_kv nn_kv_at(float *mem, int n_heads, int dh, int cap)
{
    return (nn_kv){ n_heads, dh, cap, mem, mem ? mem + (size_t)n_heads * (size_t)cap * (size_t)dh : NULL, NULL };
}

nn_kv nn_kv_new(nn_run *r, int n_heads, int dh, int cap)
{
    size_t floats = nn_kv_floats(n_heads, dh, cap);
    float *mem = nn_take(r, floats * sizeof *mem);
    if (mem) memset(mem, 0, floats * sizeof *mem);
    return nn_kv_at(mem, n_heads, dh, cap);
}

static float *k_panel(const nn_kv *kv, int head, int cell)
{
    return kv->k + (size_t)head * kv->cap * kv->dh + (size_t)(cell / PANEL) * kv->dh * PANEL;
}

static float *v_panel(const nn_kv *kv, int head, int cell)
{
    size_t wide = (size_t)((kv->dh + PANEL - 1) / PANEL * PANEL);
    return kv->v + (size_t)head * wide * kv->cap + (size_t)cell * PANEL;
}

struct put {
    nn_kv *kv;
    nn_t k, v;
    int cell;
};

static void put_head(void *user, int head)
{
    const struct put *p = user;
    int dh = p->kv->dh;
    for (int i = 0; i < p->k.n; i++) {
        int cell = p->cell + i;
        const float *k = p->k.d + (ptrdiff_t)i * p->k.ld + head * dh, *v = p->v.d + (ptrdiff_t)i * p->v.ld + head * dh;
        float *to_k = k_panel(p->kv, head, cell) + cell % PANEL, *to_v = v_panel(p->kv, head, cell);
        for (int c = 0; c < dh; c++) to_k[c * PANEL] = k[c];
        for (int c = 0; c < dh; c += PANEL) {
            memcpy(to_v + (size_t)c * p->kv->cap, v + c, (size_t)(dh - c < PANEL ? dh - c : PANEL) * sizeof *v);
        }
    }
}

void nn_kv_put(nn_run *r, nn_kv *kv, int cell, nn_t k, nn_t v)
{
    if (r->status || !kv->k) return;
    struct put p = { kv, k, v, cell };
    if ((int64_t)k.n * k.c < 8192) {
        for (int h = 0; h < kv->n_heads; h++) put_head(&p, h);
    } else {
        m8_pool_run(r->pool, kv->n_heads, put_head, &p);
    }
}

void nn_kv_copy(nn_run *r, nn_kv *kv, int to, int from, int n)
{
    if (r->status || n <= 0) return;
    size_t cells = (size_t)(n + PANEL - 1) / PANEL * PANEL;
    for (int h = 0; h < kv->n_heads; h++) {
        memcpy(k_panel(kv, h, to), k_panel(kv, h, from), cells * (size_t)kv->dh * sizeof(float));
        for (int c = 0; c < kv->dh; c += PANEL) {
            size_t at = (size_t)c * (size_t)kv->cap;
            memcpy(v_panel(kv, h, to) + at, v_panel(kv, h, from) + at, cells * PANEL * sizeof(float));
        }
    }
}

struct attend {
    nn_run *r;
    nn_t q, out;
    const nn_kv *kv;
    const nn_seq *seqs;
    const int *first_block; /* of each sequence, n_seqs + 1 */
    int n_seqs, group;
    float scale;
    float *scores;         /* one buffer for each thread */
    size_t scores_size;
    atomic_flag *taken;
};

/* Rows [row, row + n) of one sequence and the query heads of one kv head. */
static void attend_rows(const struct attend *a, const nn_seq *s, int i0, int n, int head, float *scores)
{
    const struct m8__kernels *k = a->r->k;
    int dh = a->kv->dh, limit = s->first < 0 ? INT32_MAX : s->first + i0 + n - 1, ld = 0;
    for (int i = 0; i < s->n_spans; i++) ld += (s->span[i].n + PANEL - 1) / PANEL * PANEL;
    /* one token: the heads of the group are the rows; else each head in turn */
    int turns = n == 1 ? 1 : a->group, rows = n == 1 ? a->group : n;
    ptrdiff_t ldq = n == 1 ? dh : a->q.ld, ldo = n == 1 ? dh : a->out.ld;
    for (int turn = 0; turn < turns; turn++) {
        int at = (head * a->group + turn) * dh;
        const float *q = a->q.d + (ptrdiff_t)(s->row + i0) * a->q.ld + at;
        float *out = a->out.d + (ptrdiff_t)(s->row + i0) * a->out.ld + at;
        int total = 0;
        for (int i = 0; i < s->n_spans; i++) {
            int len = s->span[i].n < limit - total ? s->span[i].n : limit - total;
            if (len <= 0) break;
            k->gemm_f32(&(struct m8__gemm){ .y = scores + total, .ldy = ld, .x = q, .ldx = ldq, .n = rows, .n_out = len,
                .w = k_panel(a->kv, head, s->span[i].cell), .panel = (size_t)dh * PANEL * sizeof(float), .n_in = dh, .taps = 1,
                .stride = 1, .dilation = 1, .bias = a->kv->bias ? a->kv->bias + s->span[i].cell : NULL });
            total += len;
        }
        for (int i = 0; i < rows; i++) {
            int sees = s->first < 0 ? total : s->first + i0 + (n == 1 ? 0 : i);
            if (sees > total) sees = total;
            k->softmax(scores + (ptrdiff_t)i * ld, sees, a->scale);
            memset(scores + (ptrdiff_t)i * ld + sees, 0, (size_t)(total - sees) * sizeof(float));
        }
        int done = 0;
        for (int i = 0; i < s->n_spans && done < total; i++) {
            int len = s->span[i].n < total - done ? s->span[i].n : total - done;
            k->gemm_f32(&(struct m8__gemm){ .y = out, .ldy = ldo, .x = scores + done, .ldx = ld, .n = rows, .n_out = dh,
                .w = v_panel(a->kv, head, s->span[i].cell), .panel = (size_t)a->kv->cap * PANEL * sizeof(float), .n_in = len, .taps = 1,
                .stride = 1, .dilation = 1, .add = done > 0 });
            done += len;
        }
    }
}

static void attend_chunk(void *user, int chunk)
{
    const struct attend *a = user;
    int heads = a->kv->n_heads, block = chunk / heads, head = chunk % heads, i = 0, slot = 0;
    while (a->first_block[i + 1] <= block) i++;
    const nn_seq *s = &a->seqs[i];
    int i0 = (block - a->first_block[i]) * BLOCK, n = s->n_rows - i0 < BLOCK ? s->n_rows - i0 : BLOCK;
    while (atomic_flag_test_and_set_explicit(&a->taken[slot], memory_order_acquire)) slot++;
    attend_rows(a, s, i0, n, head, a->scores + (size_t)slot * a->scores_size);
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
    size_t scores_size = (size_t)longest * (size_t)(BLOCK > group ? BLOCK : group);
    struct attend a = { r, q, out, kv, seqs, first_block, n_seqs, group, scale, NULL, scores_size, taken };
    a.scores = nn_take(r, scores_size * (size_t)threads * sizeof(float));
    if (a.scores) m8_pool_run(r->pool, blocks * kv->n_heads, attend_chunk, &a);
    m8_arena_back(r->arena, mark);
    return r->status ? (nn_t){0} : out;
}
