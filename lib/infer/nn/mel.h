/* mel.h - log-mel spectrogram as Whisper hears: 16 kHz, frames of 400 samples every 160, Hann window, power, mel filters, log10. */
#ifndef M8_MEL_H
#define M8_MEL_H

#include <m8/base.h>

#define NN_MEL_RATE 16000
#define NN_MEL_HOP 160
#define NN_MEL_FRAME 400
#define NN_MEL_BINS (NN_MEL_FRAME / 2 + 1)

typedef struct nn_mel nn_mel;

nn_mel *nn_mel_new(int n_mels); /* 1 to 256; NULL: no memory */
void nn_mel_free(nn_mel *m);
/* Filter m, bin k: a triangle on the mel scale of Slaney's Auditory Toolbox, its area 1. */
float nn_mel_filter(const nn_mel *m, int mel, int bin);

/* log10(max(power in mel bands, 1e-10)) of frames [from, from + n_frames); frame i is centred on sample 160 i. Before the first sample the
 * sound is reflected, after the last there is silence. What is not finite counts as silence, what is beyond +-1e4 as that.
 * out [n_frames][n_mels] takes the logarithms; *max, which the caller has set, is raised to the largest of them.
 * returns M8_OK or M8_E_NOMEM. */
m8_status nn_mel_log(const nn_mel *m, m8_pool *pool, float *out, float *max, const float *samples, size_t n, int from, int n_frames);
/* (max(x, max - 8) + 4) / 4, in place. */
void nn_mel_normalise(float *x, size_t n, float max);

#endif
