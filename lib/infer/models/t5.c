/* T5's encoder: Raffel et al. 2020, arXiv 1910.10683, with the gated feed-forward of v1.1 and flan-t5.
 *
 *     ids -> embed -> n_layers x [ h += O attend(Q n, K n, V n), n = rms(h) ;  h += wo(gelu(wi_0 n) * wi_1 n), n = rms(h) ] -> rms
 *
 * Traps: scores are not divided by sqrt(dh). Positions are known by a bias alone, one number for each head and bucket of distances; the
 * table is stored in block 0 and used by every block. gelu is the tanh form. n_heads * dh need not be d. No layer has a bias. */
#include "t5.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EPS 1e-6f

/* ---- loading: every size is in the shapes; the configuration says only what would go wrong without a word
 *
 * An input is read once in a while, and all that is said hangs on it: so the weights stay in the file, as exact as they are there. */

static bool known(const json_t *config, m8_error *err)
{
    static const struct {
        const char *key;
        double value;
    } numbers[] = { { "relative_attention_num_buckets", T5_BUCKETS }, { "relative_attention_max_distance", 128 },
                    { "layer_norm_epsilon", (double)EPS } };
    const char *form = json_string_value(json_object_get(config, "feed_forward_proj"));
    if (form && strcmp(form, "gated-gelu")) {
        m8_fail(err, M8_E_UNSUPPORTED, "a T5 with feed_forward_proj \"%.40s\": only gated-gelu is known", form);
        return false;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const json_t *v = json_object_get(config, numbers[i].key);
        if (!json_is_number(v) || fabs(json_number_value(v) - numbers[i].value) <= 1e-6 * numbers[i].value) continue;
        m8_fail(err, M8_E_UNSUPPORTED, "a T5 with %s %g: only %g is known", numbers[i].key, json_number_value(v), numbers[i].value);
        return false;
    }
    return true;
}

/* Dimension i of a tensor; sticky when it is missing, no matrix, or the dimension out of range. */
static int dim(nn_load *l, int i, int most, const char *prefix, const char *name)
{
    char full[104];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const m8__tensor *t = l->status ? NULL : m8__weights_find(l->w, full);
    if (t && t->n_dims == 2 && t->dims[i] > 0 && t->dims[i] <= most) return (int)t->dims[i];
    if (!l->status && !t) l->status = m8_fail(l->err, M8_E_FORMAT, "%s: no tensor named %s", m8__weights_path(l->w), full);
    else if (!l->status) l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %s: no matrix, or its size is out of range", m8__weights_path(l->w), full);
    return 1;
}

static void load_layer(struct t5 *t, nn_load *l, const char *prefix, int i)
{
    struct t5_layer *y = &t->layers[i];
    int hd = t->n_heads * t->dh;
    char p[64];
    snprintf(p, sizeof p, "%sencoder.block.%d.layer", prefix, i);
    nn_part q = nn_part_of(hd, "%s.0.SelfAttention.q.weight", p), k = nn_part_of(hd, "%s.0.SelfAttention.k.weight", p);
    nn_part v = nn_part_of(hd, "%s.0.SelfAttention.v.weight", p), o = nn_part_of(t->d, "%s.0.SelfAttention.o.weight", p);
    nn_part gate = nn_part_of(t->d_ff, "%s.1.DenseReluDense.wi_0.weight", p), up = nn_part_of(t->d_ff, "%s.1.DenseReluDense.wi_1.weight", p);
    nn_part down = nn_part_of(t->d, "%s.1.DenseReluDense.wo.weight", p);
    y->norm1 = nn_load_vec(l, t->d, "%s.0.layer_norm.weight", p);
    y->qkv = nn_load_linear(l, (nn_part[]){ q, k, v }, 3, t->d, NN_F32);
    y->o = nn_load_linear(l, &o, 1, hd, NN_F32);
    y->norm2 = nn_load_vec(l, t->d, "%s.1.layer_norm.weight", p);
    y->wi = nn_load_linear(l, (nn_part[]){ gate, up }, 2, t->d, NN_F32);
    y->wo = nn_load_linear(l, &down, 1, t->d_ff, NN_F32);
    y->qkv.digits = y->o.digits = y->wi.digits = y->wo.digits = 2; /* doc/models/t5.md has what this is worth */
}

m8_status m8__t5_load(struct t5 *t, nn_load *l, const json_t *config, const char *prefix)
{
    static const char bias[] = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    *t = (struct t5){0};
    m8_error why = {0};
    if (!l->status && config && !known(config, &why)) {
        l->status = m8_fail(l->err, why.status, "%s: %s", m8__weights_path(l->w), m8_error_text(&why));
    }
    const char *embed = nn_has(l, "%sshared.weight", prefix) ? "shared.weight" : "encoder.embed_tokens.weight";
    t->n_vocab = dim(l, 0, 1 << 22, prefix, embed);
    t->d = dim(l, 1, 1 << 14, prefix, embed);
    t->n_heads = dim(l, 1, 1024, prefix, bias);
    int hd = dim(l, 0, 1 << 16, prefix, "encoder.block.0.layer.0.SelfAttention.q.weight");
    t->d_ff = dim(l, 0, 1 << 18, prefix, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
    if (!l->status && (hd % t->n_heads || hd / t->n_heads > 1024)) {
        l->status = m8_fail(l->err, M8_E_FORMAT, "%s: %d rows of Q for %d heads", m8__weights_path(l->w), hd, t->n_heads);
    }
    if (l->status) return l->status;
    t->dh = hd / t->n_heads;
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, embed);
    t->embed = m8__weights_find(l->w, name);
    l->n_params += t->embed->n;
    while (t->n_layers < 512 && nn_has(l, "%sencoder.block.%d.layer.0.SelfAttention.q.weight", prefix, t->n_layers)) t->n_layers++;
    t->layers = nn_hold(l, (size_t)t->n_layers * sizeof *t->layers);
    bool was = l->in_place;
    l->in_place = true;
    for (int i = 0; i < t->n_layers && !l->status; i++) load_layer(t, l, prefix, i);
    l->in_place = was;
    t->bias = nn_load_mat(l, T5_BUCKETS, t->n_heads, "%s%s", prefix, bias);
    t->norm = nn_load_vec(l, t->d, "%sencoder.final_layer_norm.weight", prefix);
    return l->status;
}

void m8__t5_forget(const struct t5 *t)
{
    for (int i = 0; i < t->n_layers; i++) {
        const struct t5_layer *y = &t->layers[i];
        nn_forget(&y->qkv), nn_forget(&y->o), nn_forget(&y->wi), nn_forget(&y->wo);
    }
}

/* ---- forward */

int m8__t5_bucket(int distance)
{
    int n = abs(distance), half = T5_BUCKETS / 2, exact = half / 2, b = n;
    if (n >= exact) {
        b = exact + (int)(logf((float)n / (float)exact) / (float)log(128.0 / exact) * (float)(half - exact));
        if (b > half - 1) b = half - 1;
    }
    return b + (distance > 0 ? half : 0);
}

/* For each head the bias of the distances -(n - 1) .. n - 1. */
static float *biases(nn_run *r, const struct t5 *t, int n)
{
    int ld = 2 * n - 1;
    float *rel = nn_take(r, (size_t)t->n_heads * (size_t)ld * sizeof *rel);
    for (int j = 0; rel && j < ld; j++) {
        const float *row = t->bias + (ptrdiff_t)m8__t5_bucket(j - (n - 1)) * t->n_heads;
        for (int h = 0; h < t->n_heads; h++) rel[(ptrdiff_t)h * ld + j] = row[h];
    }
    return rel;
}

static void layer(nn_run *r, const struct t5 *t, const struct t5_layer *w, nn_t h /* [n, d], updated */, const float *rel)
{
    m8_arena_mark mark = m8_arena_here(r->arena);
    int n = h.n, hd = t->n_heads * t->dh;
    nn_t qkv = nn_linear(r, nn_rms_norm(r, h, w->norm1, EPS), &w->qkv);          /* [n, 3 hd]   */
    nn_kv kv = nn_kv_new(r, NN_F32, t->n_heads, t->dh, (n + PANEL - 1) / PANEL * PANEL);
    nn_kv_put(r, &kv, 0, nn_cols(qkv, hd, hd), nn_cols(qkv, 2 * hd, hd));
    nn_seq all = { .n_rows = n, .span = { { 0, n } }, .n_spans = 1, .first = -1, .rel = rel + n - 1, .rel_ld = 2 * n - 1 };
    nn_t seen = nn_attend(r, nn_cols(qkv, 0, hd), &kv, t->n_heads, 1, &all, 1);  /* [n, hd]     */
    nn_add_to(r, h, nn_linear(r, seen, &w->o));
    nn_t wi = nn_linear(r, nn_rms_norm(r, h, w->norm2, EPS), &w->wi);            /* [n, 2 d_ff] */
    nn_add_to(r, h, nn_linear(r, nn_gelu_tanh_mul(r, wi), &w->wo));
    m8_arena_back(r->arena, mark);
}

nn_t m8__t5_encode(nn_run *r, const struct t5 *t, const int *ids, int n, void (*tap)(void *, int, nn_t), void *user)
{
    nn_t h = nn_new(r, n, t->d);
    const float *rel = biases(r, t, n);
    if (r->status) return (nn_t){0};
    for (int i = 0; i < n; i++) m8__dequant(h.d + (ptrdiff_t)i * h.ld, t->embed, ids[i], 1);
    for (int i = 0; i < t->n_layers; i++) {
        if (tap) tap(user, i, h);
        layer(r, t, &t->layers[i], h, rel);
    }
    h = nn_rms_norm(r, h, t->norm, EPS);
    if (tap && h.d) tap(user, t->n_layers, h);
    return h;
}
