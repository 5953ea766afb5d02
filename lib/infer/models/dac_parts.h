/* dac_parts.h - the codec's decoder inside: sizes and weights, and what a stream remembers. */
#ifndef M8_DAC_PARTS_H
#define M8_DAC_PARTS_H

#include "dac.h"
#include "dac_pairs.h"

enum { DAC_UNITS = 3, DAC_MOST_STAGES = 8, DAC_MOST_Q = 64, DAC_MOST_CHANNELS = 16384 };

struct dac_conv {
    float *freq, *by; /* [n_in] of the snake on its input: x + by sin(pi freq x)^2; NULL: none */
    nn_w w;
    int dilation, span; /* span: rows of its input that a row of its output sees beside one, all before it */
    int before, after;  /* zero rows before its first input and behind its last one */
};

struct dac_unit { /* x + point(snake(wide(snake(x)))) */
    struct dac_conv wide, point;
    struct dac_pairs pairs; /* instead of wide.w, where dilation is not 0 */
};

struct dac_stage {
    int rate, channels;
    struct dac_conv up; /* [rate * channels] outputs: the phases of a row are rows of their own */
    int cut;            /* rows of its output that belong to the zeros before the first input */
    struct dac_unit unit[DAC_UNITS];
};

struct dac {
    int n_q, n_codes, code_dim, latent, hop, n_stages;
    float *codes;         /* [n_q][n_codes][code_dim] */
    nn_w proj;            /* [latent, n_q * code_dim]: the sum of all codebooks' projections */
    struct dac_conv first;
    struct dac_stage stage[DAC_MOST_STAGES];
    struct dac_conv last; /* 16 samples a row */
};

/* Which of the three namings a file has. */
struct dac_names {
    const char *prefix;
    bool hf;
};
bool m8__dac_names(const m8__weights *w, struct dac_names *names);

/* The whole of some sounds against the original's numbers: codes, quantizer.*, decoder.*, audio; one.codes, one.audio. */
m8_status m8__dac_verify(m8_model *m, const m8__weights *expected, void (*report)(void *, const char *, double, double), void *user,
                         m8_error *err);

#endif
