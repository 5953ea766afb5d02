/* Whisper: speech to text. Radford, Kim, Xu, Brockman, McLeavey & Sutskever 2022, arXiv 2212.04356.
 *
 *     mel [2n, 80] -> conv 3, gelu -> conv 3 stride 2, gelu -> + positions -> encoder layers -> norm -> sound [n, d]
 *     token + position -> decoder layers (causal self-attention, cross-attention to the sound, feed-forward) -> norm -> embedding^T
 *
 * Layers norm first: x += attention(norm(x)); x += fc2(gelu(fc1(norm(x)))).
 * Traps: keys have no bias; gelu is the exact one; the special tokens' ids follow from the size of the vocabulary (English-only
 * models have one text token less, and no language and task in their prompt); 30 s of zeros still make " you" (see whisper_transcribe.c). */
#include "whisper.h"
#include <math.h>
#include <string.h>

#define EPS 1e-5f
/* What is fast enough and leaves the words as they are, see doc/models/whisper.md. */
#define FAST_ENCODER NN_BF16
#define FAST_DECODER NN_BF16

/* ---- names in the file: CTranslate2's and Hugging Face's */

struct names {
    const char *weight, *bias, *gamma, *beta;     /* what follows the name of a linear layer and of a norm */
    const char *conv1, *conv2, *enc_pos, *enc_norm, *dec_pos, *dec_norm, *embedding;
    const char *enc_layer, *dec_layer;            /* what stands before: */
    const char *norm1, *qkv[3], *out;
    const char *norm2, *cross_q, *cross_kv[2], *cross_out;
    const char *enc_norm3, *norm3, *fc1, *fc2;
};

static const struct names ct2 = {
    .weight = "/weight", .bias = "/bias", .gamma = "/gamma", .beta = "/beta",
    .conv1 = "encoder/conv1", .conv2 = "encoder/conv2", .enc_pos = "encoder/position_encodings/encodings", .enc_norm = "encoder/layer_norm",
    .dec_pos = "decoder/position_encodings/encodings", .dec_norm = "decoder/layer_norm", .embedding = "decoder/embeddings/weight",
    .enc_layer = "encoder/layer_%d/%s%s", .dec_layer = "decoder/layer_%d/%s%s",
    .norm1 = "self_attention/layer_norm", .qkv = { "self_attention/linear_0" }, .out = "self_attention/linear_1",
    .norm2 = "attention/layer_norm", .cross_q = "attention/linear_0", .cross_kv = { "attention/linear_1" }, .cross_out = "attention/linear_2",
    .norm3 = "ffn/layer_norm", .fc1 = "ffn/linear_0", .fc2 = "ffn/linear_1",
};
static const struct names hf = {
    .weight = ".weight", .bias = ".bias", .gamma = ".weight", .beta = ".bias",
    .conv1 = "model.encoder.conv1", .conv2 = "model.encoder.conv2", .enc_pos = "model.encoder.embed_positions.weight",
    .enc_norm = "model.encoder.layer_norm", .dec_pos = "model.decoder.embed_positions.weight", .dec_norm = "model.decoder.layer_norm",
    .embedding = "model.decoder.embed_tokens.weight",
    .enc_layer = "model.encoder.layers.%d.%s%s", .dec_layer = "model.decoder.layers.%d.%s%s",
    .norm1 = "self_attn_layer_norm", .qkv = { "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj" }, .out = "self_attn.out_proj",
    .norm2 = "encoder_attn_layer_norm", .cross_q = "encoder_attn.q_proj", .cross_kv = { "encoder_attn.k_proj", "encoder_attn.v_proj" },
    .cross_out = "encoder_attn.out_proj", .norm3 = "final_layer_norm", .fc1 = "fc1", .fc2 = "fc2",
};

static const struct names *names_of(const m8__weights *w)
{
    if (m8__weights_find(w, "encoder/conv1/weight")) return &ct2;
    return m8__weights_find(w, "model.encoder.conv1.weight") ? &hf : NULL;
}

static bool match(const m8__weights *w)
{
    const struct names *s = names_of(w);
    return s && m8__weights_find(w, s->embedding) && m8__weights_find(w, s->dec_pos);
}

/* ---- loading */

static nn_type fast_decoder(int d) { return d % QBLOCK ? NN_BF16 : FAST_DECODER; }

/* One linear layer: n stored parts of n_out / n rows each; the bias of keys may be missing. */
static nn_w load_linear(nn_load *l, const struct names *s, const char *layer, int i, const char *const *part, int n, int n_out, int n_in,
                        nn_type fast)
{
    nn_part parts[3] = { 0 };
    for (int j = 0; j < n; j++) parts[j] = nn_part_of(n_out / n, layer, i, part[j], s->weight);
    nn_w w = nn_load_linear(l, parts, n, n_in, fast);
    float *bias = nn_hold(l, (size_t)n_out * sizeof *bias);
    for (int j = 0; j < n && bias; j++) {
        if (n > 1 && !nn_has(l, layer, i, part[j], s->bias)) continue;
        float *b = nn_load_vec(l, n_out / n, layer, i, part[j], s->bias);
        if (b) memcpy(bias + j * (n_out / n), b, (size_t)(n_out / n) * sizeof *b);
    }
    w.bias = bias;
    return w;
}

static struct whisper_norm load_norm(nn_load *l, const struct names *s, int d, const char *layer, int i, const char *name)
{
    return (struct whisper_norm){ nn_load_vec(l, d, layer, i, name, s->gamma), nn_load_vec(l, d, layer, i, name, s->beta) };
}

static int count(const char *const *part, int most)
{
    int n = 0;
    while (n < most && part[n]) n++;
    return n;
}

static void load_layer(nn_load *l, const struct names *s, struct whisper_layer *y, int d, const char *layer, int i, bool cross, nn_type fast)
{
    y->norm1 = load_norm(l, s, d, layer, i, s->norm1);
    y->qkv = load_linear(l, s, layer, i, s->qkv, count(s->qkv, 3), 3 * d, d, fast);
    y->out = load_linear(l, s, layer, i, &s->out, 1, d, d, fast);
    if (cross) {
        y->norm2 = load_norm(l, s, d, layer, i, s->norm2);
        y->cross_q = load_linear(l, s, layer, i, &s->cross_q, 1, d, d, fast);
        y->cross_kv = load_linear(l, s, layer, i, s->cross_kv, count(s->cross_kv, 2), 2 * d, d, FAST_ENCODER);
        y->cross_out = load_linear(l, s, layer, i, &s->cross_out, 1, d, d, fast);
    }
    y->norm3 = load_norm(l, s, d, layer, i, s->norm3);
    y->fc1 = load_linear(l, s, layer, i, &s->fc1, 1, 4 * d, d, fast);
    y->fc2 = load_linear(l, s, layer, i, &s->fc2, 1, d, 4 * d, fast);
}

static int count_layers(const nn_load *l, const struct names *s, const char *layer)
{
    int n = 0;
    while (n < 256 && nn_has(l, layer, n, s->fc1, s->weight)) n++;
    return n;
}

/* Heads: a scalar in the file, or a number of config.json. */
static int heads_of(const nn_load *l, const char *scalar, const char *key)
{
    const m8__tensor *t = m8__weights_find(l->w, scalar);
    if (t && t->n == 1) {
        float v;
        m8__dequant(&v, t, 0, 1);
        return v >= 1 && v <= 1024 ? (int)v : 0;
    }
    json_int_t v = json_integer_value(json_object_get(m8__weights_config(l->w), key));
    return v >= 1 && v <= 1024 ? (int)v : 0;
}

static m8_status sizes(struct whisper *w, const nn_load *l, const struct names *s, m8_error *err)
{
    const char *path = m8__weights_path(l->w);
    char name[96];
    snprintf(name, sizeof name, "%s%s", s->conv1, s->weight);
    const m8__tensor *conv = m8__weights_find(l->w, name), *pos = m8__weights_find(l->w, s->enc_pos);
    const m8__tensor *text = m8__weights_find(l->w, s->dec_pos), *embed = m8__weights_find(l->w, s->embedding);
    if (!conv || !pos || !text || !embed) return m8_fail(err, M8_E_FORMAT, "%s: not all of Whisper's tensors are in it", path);
    if (conv->dims[0] < 16 || conv->dims[0] > 8192 || conv->dims[0] % 16 || conv->dims[1] < 1 || conv->dims[1] > 256)
        return m8_fail(err, M8_E_FORMAT, "%s: width %lld and %lld mel bands: expected 16 to 8192 and 1 to 256", path,
                       (long long)conv->dims[0], (long long)conv->dims[1]);
    if (pos->dims[0] != WHISPER_POSITIONS)
        return m8_fail(err, M8_E_UNSUPPORTED, "%s: %lld positions of sound: expected %d", path, (long long)pos->dims[0], WHISPER_POSITIONS);
    if (text->dims[0] < 32 || text->dims[0] > 8192)
        return m8_fail(err, M8_E_FORMAT, "%s: %lld positions of text: expected 32 to 8192", path, (long long)text->dims[0]);
    if (embed->dims[0] < 51864 || embed->dims[0] > 51866)
        return m8_fail(err, M8_E_UNSUPPORTED, "%s: %lld tokens: expected 51864, 51865 or 51866", path, (long long)embed->dims[0]);
    w->d = (int)conv->dims[0];
    w->n_mels = (int)conv->dims[1];
    w->n_ctx = (int)text->dims[0];
    w->n_vocab = (int)embed->dims[0];
    w->embedding = embed;
    w->enc_heads = heads_of(l, "encoder/num_heads", "encoder_attention_heads");
    w->dec_heads = heads_of(l, "decoder/num_heads", "decoder_attention_heads");
    if (!w->enc_heads || !w->dec_heads || w->d % w->enc_heads || w->d % w->dec_heads)
        return m8_fail(err, M8_E_FORMAT, "%s: %d and %d heads for width %d", path, w->enc_heads, w->dec_heads, w->d);
    w->n_enc = count_layers(l, s, s->enc_layer);
    w->n_dec = count_layers(l, s, s->dec_layer);
    if (!w->n_enc || !w->n_dec) return m8_fail(err, M8_E_FORMAT, "%s: %d and %d layers", path, w->n_enc, w->n_dec);
    return M8_OK;
}

static void special_tokens(struct whisper *w)
{
    w->multilingual = w->n_vocab > 51864;
    w->n_languages = w->n_vocab - 51765 - w->multilingual;
    w->eot = w->multilingual ? 50257 : 50256;
    w->sot = w->eot + 1;
    w->lang0 = w->sot + 1;
    w->translate = w->lang0 + w->n_languages;
    w->transcribe = w->translate + 1;
    w->sot_lm = w->translate + 2;
    w->sot_prev = w->translate + 3;
    w->no_speech = w->translate + 4;
    w->no_timestamps = w->translate + 5;
    w->time0 = w->translate + 6;
}

/* Ids that are never written: the configuration's, and always those that only stand in prompts. */
static void load_suppress(struct whisper *w, nn_load *l)
{
    const json_t *config = m8__weights_config(l->w), *ids = json_object_get(config, "suppress_ids");
    if (!json_is_array(ids)) ids = json_object_get(config, "suppress_tokens");
    const int always[] = { w->sot, w->translate, w->transcribe, w->sot_lm, w->sot_prev, w->no_speech };
    int n_always = (int)(sizeof always / sizeof *always);
    size_t n = json_array_size(ids);
    if (n > (size_t)w->n_vocab) n = (size_t)w->n_vocab;
    w->suppress = nn_hold(l, (n + (size_t)n_always) * sizeof *w->suppress);
    if (!w->suppress) return;
    for (int i = 0; i < n_always; i++) w->suppress[w->n_suppress++] = always[i];
    for (size_t i = 0; i < n; i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));
        if (id >= 0 && id < w->n_vocab && id != w->eot) w->suppress[w->n_suppress++] = (int)id;
    }
}

/* The heads that follow the sound; unless the configuration names them, all of the upper half of the layers. */
static void load_align(struct whisper *w, nn_load *l)
{
    const json_t *pairs = json_object_get(m8__weights_config(l->w), "alignment_heads");
    size_t n = json_array_size(pairs), all = (size_t)(w->n_dec - w->n_dec / 2) * (size_t)w->dec_heads;
    if (n > 256) n = 256;
    w->align = nn_hold(l, (n > all ? n : all) * sizeof *w->align);
    if (!w->align) return;
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(pairs, i);
        json_int_t layer = json_integer_value(json_array_get(pair, 0)), head = json_integer_value(json_array_get(pair, 1));
        if (layer < 0 || layer >= w->n_dec || head < 0 || head >= w->dec_heads) continue;
        w->align[w->n_align][0] = (int)layer;
        w->align[w->n_align++][1] = (int)head;
    }
    if (w->n_align) return;
    for (int layer = w->n_dec / 2; layer < w->n_dec; layer++) {
        for (int head = 0; head < w->dec_heads; head++) {
            w->align[w->n_align][0] = layer;
            w->align[w->n_align++][1] = head;
        }
    }
}

static void load_tensors(struct whisper *w, nn_load *l, const struct names *s)
{
    int d = w->d;
    w->conv1 = nn_load_conv(l, d, w->n_mels, 3, FAST_ENCODER, "%s%s", s->conv1, s->weight);
    w->conv1.bias = nn_load_vec(l, d, "%s%s", s->conv1, s->bias);
    w->conv2 = nn_load_conv(l, d, d, 3, FAST_ENCODER, "%s%s", s->conv2, s->weight);
    w->conv2.bias = nn_load_vec(l, d, "%s%s", s->conv2, s->bias);
    w->enc_pos = nn_load_mat(l, WHISPER_POSITIONS, d, "%s", s->enc_pos);
    w->dec_pos = nn_load_mat(l, w->n_ctx, d, "%s", s->dec_pos);
    for (int i = 0; i < w->n_enc; i++) load_layer(l, s, &w->enc[i], d, s->enc_layer, i, false, FAST_ENCODER);
    for (int i = 0; i < w->n_dec; i++) load_layer(l, s, &w->dec[i], d, s->dec_layer, i, true, fast_decoder(d));
    w->enc_norm = (struct whisper_norm){ nn_load_vec(l, d, "%s%s", s->enc_norm, s->gamma), nn_load_vec(l, d, "%s%s", s->enc_norm, s->beta) };
    w->dec_norm = (struct whisper_norm){ nn_load_vec(l, d, "%s%s", s->dec_norm, s->gamma), nn_load_vec(l, d, "%s%s", s->dec_norm, s->beta) };
    nn_part embedding = nn_part_of(w->n_vocab, "%s", s->embedding);
    w->vocab = nn_load_linear(l, &embedding, 1, d, fast_decoder(d));
}

static m8_status open_model(m8_model *m, nn_load *l, m8_error *err)
{
    const struct names *s = names_of(l->w);
    struct whisper *w = m->impl = m8_calloc(1, sizeof *w);
    if (!s || !w) return m8_fail(err, s ? M8_E_NOMEM : M8_E_FORMAT, "loading Whisper");
    m8_status st = sizes(w, l, s, err);
    if (st) return st;
    special_tokens(w);
    w->mel = nn_mel_new(w->n_mels);
    w->enc = nn_hold(l, (size_t)w->n_enc * sizeof *w->enc);
    w->dec = nn_hold(l, (size_t)w->n_dec * sizeof *w->dec);
    if (!w->mel && !l->status) l->status = m8_fail(err, M8_E_NOMEM, "loading Whisper");
    if (l->status) return l->status;
    load_tensors(w, l, s);
    load_suppress(w, l);
    load_align(w, l);
    if (l->status) return l->status;
    for (int i = 0; i < MOST_TURNS && !st; i++) st = nn_run_init(&w->run[i], m->pool, err);
    if (!st) st = m8__tokenizer_open(&m->tokenizer, l->w, err);
    if (st) return st;
    m8__ids ids = {0};
    st = m8__encode(m->tokenizer, &ids, " ", 1, err);
    if (!st) st = ids.status;
    w->blank = !st && ids.n == 1 ? ids.data[0] : -1;
    m8__ids_finish(&ids);
    return st;
}

static void close_model(m8_model *m)
{
    struct whisper *w = m->impl;
    if (!w) return;
    nn_mel_free(w->mel);
    for (int i = 0; i < MOST_TURNS; i++) nn_run_finish(&w->run[i]);
    m8_free(w);
    m->impl = NULL;
}

/* ---- encoder */

static nn_t norm(nn_run *r, nn_t x, const struct whisper_norm *w) { return nn_layer_norm(r, x, w->gamma, w->beta, EPS); }

static int round16(int n) { return (n + 15) / 16 * 16; }

static void feed_forward(nn_run *r, const struct whisper_layer *y, nn_t x)
{
    nn_t h = nn_linear_act(r, norm(r, x, &y->norm3), &y->fc1, NN_GELU); /* [n, 4d] */
    nn_add_to(r, x, nn_linear(r, h, &y->fc2));
}

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

static int block_len(struct whisper_view v, int block) /* the last may be shorter */
{
    int left = WHISPER_POSITIONS - v.exact - block * v.stride;
    return left < v.stride ? left : v.stride;
}

int whisper_view_rows(struct whisper_view v)
{
    return v.exact < WHISPER_POSITIONS ? v.exact + ceil_div(WHISPER_POSITIONS - v.exact, v.stride) : WHISPER_POSITIONS;
}

/* So that each row counts as often in an attention as it stands for positions. */
static float *view_bias(nn_run *r, struct whisper_view v, int dh)
{
    int n = whisper_view_rows(v);
    if (v.exact >= n) return NULL;
    float *bias = nn_take(r, (size_t)round16(n) * sizeof *bias);
    for (int i = 0; i < round16(n) && bias; i++) bias[i] = i < v.exact || i >= n ? 0 : logf((float)block_len(v, i - v.exact)) * sqrtf((float)dh);
    return bias;
}

/* Behind the exact rows: padding, as the last of them is, at one position of each block; which one changes from block to block (the
 * golden ratio spreads them), for the positions are waves, and of even steps some would look slow. */
static nn_t add_positions(const struct whisper *w, nn_run *r, nn_t x, struct whisper_view v)
{
    int d = w->d, n = whisper_view_rows(v);
    nn_t all = nn_new(r, n, d);
    for (int i = 0; i < n && !r->status; i++) {
        int from = i, pos = i;
        if (i >= v.exact) {
            int block = i - v.exact;
            from = v.exact - 1;
            pos = v.exact + block * v.stride + (int)(fmod((block + 1) * 0.6180339887, 1) * block_len(v, block));
        }
        memcpy(all.d + (ptrdiff_t)i * d, x.d + (ptrdiff_t)from * x.ld, (size_t)d * sizeof(float));
        r->k->add(all.d + (ptrdiff_t)i * d, w->enc_pos + (ptrdiff_t)pos * d, d);
    }
    return all;
}

static void encoder_layer(const struct whisper *w, nn_run *r, const struct whisper_layer *y, nn_t x /* [n, d], updated */, const float *bias)
{
    int d = w->d, dh = d / w->enc_heads;
    nn_t qkv = nn_linear(r, norm(r, x, &y->norm1), &y->qkv);            /* [n, 3d] */
    nn_kv kv = nn_kv_new(r, NN_F32, w->enc_heads, dh, round16(x.n));
    kv.bias = bias;
    nn_kv_put(r, &kv, 0, nn_cols(qkv, d, d), nn_cols(qkv, 2 * d, d));
    nn_seq all = { .n_rows = x.n, .span = { { 0, x.n } }, .n_spans = 1, .first = -1 };
    nn_t a = nn_attend(r, nn_cols(qkv, 0, d), &kv, w->enc_heads, 1 / sqrtf((float)dh), &all, 1);
    nn_add_to(r, x, nn_linear(r, a, &y->out));
    feed_forward(r, y, x);
}

static void see(const struct whisper_tap *tap, const char *name, int layer, nn_t x)
{
    if (tap && x.d) tap->see(tap->user, name, layer, x);
}

nn_t whisper_encode(const struct whisper *w, nn_run *r, nn_t mel, struct whisper_view view, const struct whisper_tap *tap)
{
    nn_t x = nn_conv(r, mel, &w->conv1, (nn_conv_opts){ .pad = 1, .act = NN_GELU });             /* [2 exact, d] */
    see(tap, "enc.conv1", 0, x);
    x = nn_conv(r, x, &w->conv2, (nn_conv_opts){ .pad = 1, .stride = 2, .act = NN_GELU });       /* [exact, d]   */
    x = add_positions(w, r, x, view);                                                            /* [n, d]       */
    see(tap, "enc.embed", 0, x);
    const float *bias = view_bias(r, view, w->d / w->enc_heads);
    for (int i = 0; i < w->n_enc; i++) {
        m8_arena_mark mark = m8_arena_here(r->arena);
        encoder_layer(w, r, &w->enc[i], x, bias);
        m8_arena_back(r->arena, mark);
        see(tap, "enc.block", i, x);
    }
    x = norm(r, x, &w->enc_norm);
    see(tap, "enc.out", 0, x);
    return x;
}

/* ---- decoder */

struct whisper_cache whisper_cache_new(const struct whisper *w, nn_run *r, nn_t sound, struct whisper_view view)
{
    int d = w->d, dh = d / w->dec_heads;
    struct whisper_cache c = { .n_cross = sound.n };
    const float *bias = view_bias(r, view, dh);
    c.self = nn_take(r, (size_t)w->n_dec * sizeof *c.self);
    c.cross = nn_take(r, (size_t)w->n_dec * sizeof *c.cross);
    for (int i = 0; i < w->n_dec && !r->status; i++) {
        c.self[i] = (nn_kv){0};
        c.cross[i] = nn_kv_new(r, NN_F32, w->dec_heads, dh, round16(sound.n));
        c.cross[i].bias = bias;
        m8_arena_mark mark = m8_arena_here(r->arena);
        nn_t kv = nn_linear(r, sound, &w->dec[i].cross_kv);                       /* [n, 2d] */
        nn_kv_put(r, &c.cross[i], 0, nn_cols(kv, 0, d), nn_cols(kv, d, d));
        m8_arena_back(r->arena, mark);
    }
    return c;
}

void whisper_cache_cells(const struct whisper *w, nn_run *r, struct whisper_cache *c, int n_cells)
{
    for (int i = 0; i < w->n_dec && !r->status; i++) c->self[i] = nn_kv_new(r, NN_F32, w->dec_heads, w->d / w->dec_heads, n_cells);
}

/* q [n, d] times the keys of one head's positions: [n, n_cross] */
static void head_scores(const struct whisper *w, nn_run *r, nn_t q, const nn_kv *kv, int head, nn_t to)
{
    int dh = w->d / w->dec_heads;
    r->k->gemm_f32(&(struct m8__gemm){ .y = to.d, .ldy = to.ld, .x = q.d + head * dh, .ldx = q.ld, .n = q.n, .n_out = to.c,
        .w = (const float *)kv->k + (size_t)head * kv->cap * dh, .panel = (size_t)dh * PANEL * sizeof(float), .n_in = dh, .taps = 1, .stride = 1, .dilation = 1 });
    nn_scale_to(r, to, 1 / sqrtf((float)dh));
}

nn_t whisper_decode(const struct whisper *w, nn_run *r, struct whisper_cache *c, const struct whisper_rows *rows, nn_t *scores)
{
    int d = w->d, dh = d / w->dec_heads, n = rows->n;
    float scale = 1 / sqrtf((float)dh);
    nn_t x = nn_new(r, n, d);
    if (r->status) return x;
    for (int i = 0; i < n; i++) m8__dequant(x.d + (ptrdiff_t)i * d, w->embedding, rows->id[i], 1);
    for (int i = 0; i < n; i++) r->k->add(x.d + (ptrdiff_t)i * d, w->dec_pos + (ptrdiff_t)rows->pos[i] * d, d);
    nn_seq sound = { .n_rows = n, .span = { { 0, c->n_cross } }, .n_spans = 1, .first = -1 };
    for (int i = 0; i < w->n_dec && !r->status; i++) {
        const struct whisper_layer *y = &w->dec[i];
        m8_arena_mark mark = m8_arena_here(r->arena);
        nn_t qkv = nn_linear(r, norm(r, x, &y->norm1), &y->qkv);                  /* [n, 3d] */
        for (int s = 0; s < rows->n_seqs; s++) {
            nn_t own = nn_rows(qkv, rows->seq[s].row, rows->seq[s].n_rows);
            nn_kv_put(r, &c->self[i], rows->cell[s], nn_cols(own, d, d), nn_cols(own, 2 * d, d));
        }
        nn_t a = nn_attend(r, nn_cols(qkv, 0, d), &c->self[i], w->dec_heads, scale, rows->seq, rows->n_seqs);
        nn_add_to(r, x, nn_linear(r, a, &y->out));

        nn_t q = nn_linear(r, norm(r, x, &y->norm2), &y->cross_q);                /* [n, d] */
        for (int h = 0; scores && h < w->n_align && !r->status; h++) {
            if (w->align[h][0] == i) head_scores(w, r, q, &c->cross[i], w->align[h][1], nn_rows(*scores, h * n, n));
        }
        a = nn_attend(r, q, &c->cross[i], w->dec_heads, scale, &sound, 1);
        nn_add_to(r, x, nn_linear(r, a, &y->cross_out));
        feed_forward(r, y, x);
        m8_arena_back(r->arena, mark);
    }
    return norm(r, x, &w->dec_norm);
}

nn_t whisper_logits(const struct whisper *w, nn_run *r, nn_t x) { return nn_linear(r, x, &w->vocab); }

const struct m8__family m8__whisper = {
    .name = "whisper",
    .tasks = M8_TASK_ASR,
    .match = match,
    .open = open_model,
    .close = close_model,
    .transcribe = whisper_transcribe,
    .verify = whisper_verify,
};
