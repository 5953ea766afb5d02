/* vits.h - the parts of a Piper voice: vits_load.c fills them from the file, vits_text.c and vits_sound.c run them, vits.c is the
 * class. Activations are [rows, channels]: a row is a phoneme id, a latent frame, or a sample. */
#ifndef M8_VITS_H
#define M8_VITS_H

#include "models/model.h"

enum { MOST_LAYERS = 16, MOST_STAGES = 6, MOST_KERNELS = 4, MOST_CONVS = 3, N_DDS = 3, N_SPLINES = 3 };

struct vits_norm {
    float *gamma, *beta; /* [c] */
};

struct vits_layer { /* of the text encoder */
    nn_w qkv, o, rel_k /* [2w+1, dh] */, rel_v /* [dh, 2w+1] */;
    nn_w ffn_1, ffn_2;
    struct vits_norm norm_1, norm_2;
};

struct vits_dds { /* dilated depthwise-separable convolutions */
    int taps;
    float *sep[N_DDS], *sep_bias[N_DDS]; /* [taps][c], [c] */
    nn_w point[N_DDS];
    struct vits_norm norm_1[N_DDS], norm_2[N_DDS];
};

struct vits_spline {
    float *pre, *pre_bias; /* [c] */
    struct vits_dds dds;
    nn_w proj; /* [3 bins - 1, c] */
};

struct vits_coupling {
    bool flipped;  /* its channels are met in reversed order: folded into pre and post, see load_flow */
    nn_w pre, post /* negated */;
    int n_layers;
    nn_w in[MOST_LAYERS], res_skip[MOST_LAYERS];
    nn_w cond; /* speakers: [n_layers * 2 c, gin] */
};

struct vits_stage { /* of the generator */
    int rate, k, channels, n_kernels;
    nn_w up;
    struct vits_block {
        bool pairs; /* residual block of type 1: two convolutions a step */
        int taps, n_convs, dilation[MOST_CONVS];
        nn_w conv[MOST_CONVS], second[MOST_CONVS];
    } block[MOST_KERNELS];
    int reach; /* rows of this stage's rate that a row of its output sees to each side */
};

struct vits {
    /* sizes, all read from the shapes */
    int n_symbols, hidden, heads, dh, window, n_layers;
    int latent;   /* channels of z */
    int bins, dp; /* of the splines; width of the duration predictor */
    int n_couplings, n_stages, hop, pre_taps, n_speakers, gin;
    int flow_taps, post_taps;
    /* weights */
    float *emb; /* [n_symbols, hidden] */
    struct vits_layer layer[MOST_LAYERS];
    nn_w proj; /* [2 latent, hidden] */
    nn_w dp_pre, dp_proj, dp_cond;
    struct vits_dds dp_dds;
    struct vits_spline spline[N_SPLINES]; /* in the order they are run: flows 7, 5, 3 */
    float dp_m, dp_scale;                 /* of the last flow's first row: logw = (z - m) * scale */
    struct vits_coupling coupling[MOST_LAYERS]; /* in the order they are run: 6, 4, 2, 0 */
    nn_w conv_pre, dec_cond, conv_post /* 16 samples a row */;
    struct vits_stage stage[MOST_STAGES];
    float *speakers; /* [n_speakers, gin] or NULL */
    /* the voice's JSON */
    int rate;
    float noise_scale, length_scale, noise_w;
    m8__phonemizer *phonemizer;
    /* working memory kept warm for the next call; taken by exchange, so calls in flight have their own */
    _Atomic(nn_run *) spare[4];
};

/* One sentence on its way. Noise comes from the seed, or (verify) from outside. */
struct vits_noise {
    float scale, w; /* noise_scale, noise_w */
    uint64_t seed;
    const float *z, *dp; /* instead of the seed: [latent][frames], [2][n] as the goldens have them; or NULL */
};

m8_status m8__vits_load(struct vits *v, nn_load *l, m8_error *err);

/* What the text part says of a sentence. All in the run's arena. */
struct vits_plan {
    int n_frames;
    int *phoneme;      /* [n_frames]: which row of m and logs a frame repeats */
    nn_t m, logs;      /* [n, latent] */
    int *durations;    /* [n] */
    float *logw;       /* [n] */
    nn_t hidden, cond; /* for verify: the encoder's output, the duration predictor's condition */
    nn_t emb, layer_0;
    const float *speaker; /* [gin] or NULL */
};
/* ids [n], each below n_symbols. speaker: its embedding or NULL. */
m8_status m8__vits_plan(nn_run *r, const struct vits *v, const int *ids, int n, float length_scale, const struct vits_noise *noise,
                        const float *speaker, struct vits_plan *out);

/* z of frames [from, from + n), in the arena. Each frame sees 32 to each side through the flow (2 a layer). */
nn_t m8__vits_latent(nn_run *r, const struct vits *v, const struct vits_plan *plan, const struct vits_noise *noise, int from, int n);
/* The same, for verify: z_p, and what comes out of the first coupling. */
nn_t m8__vits_prior(nn_run *r, const struct vits *v, const struct vits_plan *plan, const struct vits_noise *noise, int from, int n);
int m8__vits_flow_reach(const struct vits *v);
/* Samples of latent frames [from, from + n) of z, which holds the rows [z_from, z_from + z.n) of a sentence of n_frames:
 * [n * hop / 16, 16] in the arena. Exact if z holds the context that m8__vits_context asks for. */
nn_t m8__vits_decode(nn_run *r, const struct vits *v, const struct vits_plan *plan, nn_t z, int z_from, int from, int n);
/* Frames of z that samples of [from, from + n) depend on. */
void m8__vits_context(const struct vits *v, int n_frames, int from, int n, int *first, int *end);

/* Working memory for one call, given back after it. NULL: no memory. */
nn_run *m8__vits_take_run(m8_model *m, m8_error *err);
void m8__vits_return_run(m8_model *m, nn_run *r);

m8_status m8__vits_verify(m8_model *m, const m8__weights *expected,
                          void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user, m8_error *err);

#endif
