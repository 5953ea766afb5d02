/* nn.h - the words papers use, over the kernels. Activations are float32 matrices [rows, channels], row-major: a row is a token or a
 * frame. They live in the run's arena until nn_reset or nn_back. Sticky: after the first failure (no memory) every word returns an empty
 * matrix and does nothing; ask r->status once at the end. One run belongs to one thread; the pool shares out the work inside a word. */
#ifndef M8_NN_H
#define M8_NN_H

#include "kernels/kernels.h"
#include "weights/weights.h"
#include <m8/infer.h>
#include <stdatomic.h>

typedef struct nn_t {
    float *d;  /* row i, channel c at d[i * ld + c] */
    int n, c;  /* rows, channels */
    int ld;    /* floats from row to row */
} nn_t;

typedef struct nn_run {
    m8_arena *arena;
    m8_pool *pool;
    const struct m8__kernels *k;
    m8_status status;
    const atomic_bool *stop; /* when it becomes true the next word fails with M8_E_CANCELLED; NULL: never */
} nn_run;

m8_status nn_run_init(nn_run *r, m8_pool *pool, m8_error *err);
void nn_run_finish(nn_run *r);
void nn_reset(nn_run *r);              /* empties the arena, forgets the failure */
nn_t nn_new(nn_run *r, int n, int c);  /* uninitialised */
nn_t nn_zeros(nn_run *r, int n, int c);
nn_t nn_rows(nn_t x, int from, int n); /* a view */
nn_t nn_cols(nn_t x, int from, int c); /* a view */
void *nn_take(nn_run *r, size_t bytes); /* uninitialised bytes of the arena, 64-byte aligned; NULL and sticky on failure */

/* ---- weights in panels: made once at load, in parallel, the mapped pages dropped behind; or, of large models, as they lie in the file */
typedef enum nn_type { NN_F32, NN_BF16, NN_Q8, NN_Q6, NN_Q5, NN_Q4 } nn_type; /* the more exact first */

/* A run of panels of a stack, of one type. */
typedef struct nn_seg {
    nn_type type;
    int panel0, n_panels, n_out;
    size_t panel;          /* bytes from panel to panel */
    const void *data;      /* the first panel; NULL: the rows stay as they lie, and panels are made on the way */
    const m8__tensor *lies;
    bool mapped;           /* from a file */
    size_t row;            /* bytes of a row */
    int blocks;            /* enum m8__blocks; < 0: through floats */
    int unpermute;         /* as nn_part's */
} nn_seg;

typedef struct nn_w {
    nn_type type;          /* of segs: one of theirs; it tells what x becomes */
    int n_out, n_in, taps; /* linear: taps 1 */
    int digits;            /* of the activations of NN_Q8 to NN_Q4: 1 or 2 times 8 bits; 0 counts as 1. Set after loading */
    size_t panel;          /* bytes from panel to panel */
    void *data;            /* owned by the model (nn_held) */
    const float *bias;     /* [n_out] or NULL; owned by the model */
    const nn_seg *segs;    /* instead of data; owned by the model */
    int n_segs;
} nn_w;

typedef struct nn_held { /* what a model owns, freed together */
    void **p;
    size_t n, cap, bytes;
} nn_held;
void nn_held_free(nn_held *h);

/* A model being loaded: sticky, asked once at the end. */
typedef struct nn_load {
    const m8__weights *w;
    m8_pool *pool;
    m8_precision precision;
    nn_held *held;
    int64_t n_params;    /* counts what was loaded */
    bool in_place;       /* nn_load_linear leaves weights as they lie; set by the family */
    int64_t in_place_from; /* bytes of weights from which a family that can do so should */
    m8_status status;
    m8_error *err;
} nn_load;

/* One stored matrix of a stack: its name (formatted), its rows. unpermute: rows of each head of this size are put back from GGUF's
 * order (0: as they are). optional: may be absent (its rows are zero). */
typedef struct nn_part {
    char name[104];
    int n_out, unpermute;
    bool optional;
} nn_part;
nn_part nn_part_of(int n_out, const char *fmt, ...) M8_PRINTF(2, 3);

void *nn_hold(nn_load *l, size_t bytes); /* zeroed, 64-byte aligned; NULL and sticky on failure */
bool nn_has(const nn_load *l, const char *fmt, ...) M8_PRINTF(2, 3);
/* A tensor of exactly this shape as float32; "name: expected [4, 4], file has [4, 1]" otherwise. */
float *nn_load_vec(nn_load *l, int n, const char *fmt, ...) M8_PRINTF(3, 4);
float *nn_load_mat(nn_load *l, int rows, int cols, const char *fmt, ...) M8_PRINTF(4, 5);
/* Matrices [n_out, n_in] stacked along their outputs (Q, K and V in one product; 16 at most). The type follows the file's and the precision:
 * NN_F32 in M8_F32; in M8_FAST the quantised types stay what they are (each part of a stack its own), but for Q2_K, which becomes NN_Q8;
 * the rest -> `fast` (NN_F32, NN_BF16 or NN_Q8). */
nn_w nn_load_linear(nn_load *l, const nn_part *parts, int n_parts, int n_in, nn_type fast);
void nn_forget(const nn_w *w); /* gives back the pages of what lies in the file: for weights that are seldom read */
/* From float32 in memory [n_out][taps][n_in]; type as given (Q8: n_in a multiple of 32; Q6 to Q4 are not possible). */
nn_w nn_pack(nn_load *l, const float *rows, int n_out, int n_in, int taps, nn_type type);
/* A convolution stored [n_out][n_in][taps], and a transposed one stored [n_in][n_out][k] with k a multiple of stride: the latter
 * becomes a convolution of k/stride taps with stride*n_out outputs, see nn_conv_t. */
nn_w nn_load_conv(nn_load *l, int n_out, int n_in, int taps, nn_type fast, const char *fmt, ...) M8_PRINTF(6, 7);
nn_w nn_load_conv_t(nn_load *l, int n_out, int n_in, int k, int stride, nn_type fast, const char *fmt, ...) M8_PRINTF(7, 8);

/* ---- words. Those named _to work in place or on a destination; the others return a new matrix. */
typedef enum nn_act { NN_NONE, NN_GELU, NN_GELU_TANH, NN_RELU, NN_TANH } nn_act;

nn_t nn_linear(nn_run *r, nn_t x, const nn_w *w);                 /* [n, n_in] -> [n, n_out]: x W^T + bias */
nn_t nn_linear_act(nn_run *r, nn_t x, const nn_w *w, nn_act act);
nn_t nn_linear_add(nn_run *r, nn_t x, const nn_w *w, nn_t to);    /* to + x W^T + bias, in a new matrix */
/* Convolution over rows with `pad` zero rows before and after: rows out = (n + 2 pad - dilation (taps-1) - 1) / stride + 1.
 * slope > 0: leaky relu of x first. */
typedef struct nn_conv_opts {
    int stride, dilation, pad; /* 0 counts as 1 for the first two */
    float slope;
    nn_act act;
    nn_t residual; /* of the result's shape, added to it at the end; or {0} */
} nn_conv_opts;
nn_t nn_conv(nn_run *r, nn_t x, const nn_w *w, nn_conv_opts o);
/* The same into y, of x whose rows are in the weights' type (bf16: an even number of channels) and stand there with all that is to
 * be seen before and behind them: row i of y sees rows i * stride + tap * dilation. pad and slope are not looked at. */
void nn_conv_to(nn_run *r, nn_t y, const void *x, const nn_w *w, nn_conv_opts o);
/* Transposed convolution by nn_load_conv_t's weights: [n, n_in] -> [n * stride, n_out], pad = (k - stride) / 2 rows cut at each end. */
nn_t nn_conv_t(nn_run *r, nn_t x, const nn_w *w, int n_out, int stride, float slope);

nn_t nn_layer_norm(nn_run *r, nn_t x, const float *gamma, const float *beta, float eps);
nn_t nn_rms_norm(nn_run *r, nn_t x, const float *w, float eps);
void nn_add_to(nn_run *r, nn_t x, nn_t y);                        /* x += y */
void nn_add_vec(nn_run *r, nn_t x, const float *v);               /* each row of x += v */
void nn_scale_to(nn_run *r, nn_t x, float by);
void nn_act_to(nn_run *r, nn_t x, nn_act act);
void nn__act(const struct m8__kernels *k, float *x, int n, nn_act act); /* one row, in place */
nn_t nn_silu_mul(nn_run *r, nn_t gate_up);                        /* [n, 2c] -> [n, c]: silu(left) * right */
nn_t nn_gelu_tanh_mul(nn_run *r, nn_t gate_up);                   /* the same with gelu, tanh form */
nn_t nn_tanh_sigmoid(nn_run *r, nn_t ab);                         /* [n, 2c] -> [n, c]: tanh(left) * sigmoid(right) */
nn_t nn_copy(nn_run *r, nn_t x);                                  /* dense copy */
/* fn(user, i) for i in [0, n) on the pool. */
void nn_each(nn_run *r, int n, void (*fn)(void *user, int i), void *user);

/* Rotary positions on x [n, heads * dh]: pairs (i, i + dh/2) turned by pos * theta^(-2i/dh). table from nn_rope_table: [max][2][dh/2], cosines and sines. */
float *nn_rope_table(nn_load *l, int max_pos, int dh, double theta, const float *freq_factors /* [dh/2] or NULL */);
void nn_rope_column(float *table, int max_pos, int dh, int i, float freq); /* pair i of it */
void nn_rope_to(nn_run *r, nn_t x, int dh, const int *pos /* [n] */, const float *table);

/* ---- keys and values, kept in panels, so that scores and sums are products of the kernels
 *   NN_F32   K [head][cell/16][dh][16], V [head][dh/16][cell][16] floats
 *   NN_BF16  K [head][cell/16][dh/2][16][2], V [head][dh/16][cell/2][16][2]; queries and weights are rounded to bf16 too */
typedef struct nn_kv {
    nn_type type;
    int n_heads, dh, cap; /* kv heads; dh is padded to 16 in V; cells, a multiple of 16 */
    void *k, *v;          /* zeroed at first: what is masked must be finite */
    const float *bias;    /* [cap] or NULL: added to each cell's score before it is scaled; log(w) / scale makes a cell count w times */
} nn_kv;
size_t nn_kv_bytes(nn_type type, int n_heads, int dh, int cap);  /* of k and v together; a multiple of 64 */
nn_kv nn_kv_at(void *mem /* zeroed, nn_kv_bytes() */, nn_type type, int n_heads, int dh, int cap);
nn_kv nn_kv_new(nn_run *r, nn_type type, int n_heads, int dh, int cap); /* in the run's arena, zeroed */
void nn_kv_put(nn_run *r, nn_kv *kv, int cell, nn_t k, nn_t v);  /* rows of k and v [n, n_heads * dh] into cells cell.. */
void nn_kv_copy(nn_run *r, nn_kv *kv, int to, int from, int n);  /* n cells; to and from are multiples of 16, apart by n at least */

typedef struct nn_span {
    int cell, n; /* cells [cell, cell + n); cell is a multiple of 16 */
    /* How the keys of a row are cut into spans changes no bit of it; with NN_BF16 if n is even in all spans but the last. */
} nn_span;
typedef struct nn_seq {
    int row, n_rows;  /* these rows of q */
    nn_span span[4];  /* see these keys, in this order */
    int n_spans;
    int first;        /* row i sees the first `first + i` keys (causal); < 0: all of them */
    const nn_kv *kv;  /* of this sequence, of the same heads; NULL: the call's */
    const float *rel; /* or NULL: rel[head * rel_ld + key - row] is added to the score of each key before it is scaled */
    ptrdiff_t rel_ld;
} nn_seq;
/* softmax(scale q k^T) v for every query head; q [n, n_heads_q * dh]; query head j uses kv head j / (n_heads_q / kv heads). */
nn_t nn_attend(nn_run *r, nn_t q, const nn_kv *kv, int n_heads_q, float scale, const nn_seq *seqs, int n_seqs);

/* ---- sampling (one row of logits, changed in place) */
typedef struct nn_rng {
    uint64_t s[4];
} nn_rng;
void nn_rng_seed(nn_rng *g, uint64_t seed);
uint64_t nn_rng_next(nn_rng *g);
float nn_rng_uniform(nn_rng *g); /* [0, 1) */
float nn_rng_normal(nn_rng *g);  /* standard normal */

typedef struct nn_sampling { /* zero: greedy */
    float temperature;
    int top_k;
    float top_p, min_p;
    float repetition_penalty, presence_penalty, frequency_penalty;
} nn_sampling;
/* repetition penalty over seen (each id once), presence and frequency over the last n_own of them, temperature, top-k (ties kept),
 * top-p, min-p, softmax: logits become probabilities (temperature 0: unchanged but for penalties). scratch: [2 n] floats. */
void nn_sample_probs(float *logits, int n, const nn_sampling *s, const int *seen, int n_seen, int n_own, float *scratch);
int nn_argmax(const float *x, int n);                       /* lowest index on ties */
int nn_sample_draw(const float *probs, int n, nn_rng *g);
float nn_log_sum_exp(const float *x, int n);

#endif
