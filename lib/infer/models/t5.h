/* t5.h - the encoder of T5 (Raffel et al. 2020, arXiv 1910.10683) with gated feed-forward, as flan-t5 has it: Parler's text side. */
#ifndef M8_T5_H
#define M8_T5_H

#include "model.h"

enum { T5_BUCKETS = 32 }; /* of distances: half of them for keys behind the query, half for those before it */

struct t5_layer {
    float *norm1, *norm2; /* [d] */
    nn_w qkv, o, wi, wo;  /* Q, K and V stacked; wi_0 (the gate) and wi_1 stacked */
};

struct t5 {
    int n_layers, d, n_heads, dh, d_ff, n_vocab; /* n_heads * dh need not be d */
    const m8__tensor *embed;                     /* [n_vocab, d], rows are looked up in the file */
    float *bias;                                 /* [32][n_heads] by distance, for every layer */
    float *norm;                                 /* [d] */
    struct t5_layer *layers;
};

/* Sizes are taken from the shapes; config (text_encoder's in Parler, or NULL) is looked at for forms that are not known here.
 * prefix: "text_encoder." or "". */
m8_status m8__t5_load(struct t5 *t, nn_load *l, const json_t *config, const char *prefix);
/* Gives back the memory of weights that were read from the file: the next input reads them again. */
void m8__t5_forget(const struct t5 *t);
int m8__t5_bucket(int distance); /* key - query: the row of the bias table */
/* ids [n] -> [n, d], in the run's arena. tap (may be NULL) sees the state before layer 0, after each layer but the last, and the result. */
nn_t m8__t5_encode(nn_run *r, const struct t5 *t, const int *ids, int n, void (*tap)(void *user, int i, nn_t h), void *user);

#endif
