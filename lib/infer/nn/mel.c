/* mel.c - the log-mel spectrogram of Whisper (Radford et al. 2022, section 2.2; openai-whisper's log_mel_spectrogram).
 *
 *     samples -> frames of 400, reflected at the start -> periodic Hann -> |DFT|^2 [201] -> mel filters -> log10
 *
 * A group of NN_LANES frames is one piece of work: it is transformed at once, lane by lane (fft.h). */
#include "mel.h"
#include "fft.h"
#include <math.h>
#include <string.h>

#define L NN_LANES

struct nn_mel {
    int n_mels;
    nn_fft *fft;
    float hann[NN_MEL_FRAME];
    struct band {
        int first, n; /* bins [first, first + n) */
        float *w;
    } * bands;        /* [n_mels] */
    float w[];
};

/* Slaney's mel scale: linear to 1000 Hz (15 mels), logarithmic above, 27 mels to a factor of 6.4. */
static double mel_to_hz(double mel) { return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27); }
static double hz_to_mel(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + 27 * log(hz / 1000) / log(6.4); }

static void make_bands(nn_mel *m)
{
    double top = hz_to_mel(NN_MEL_RATE / 2.0);
    float *w = m->w;
    for (int i = 0; i < m->n_mels; i++) {
        double lo = mel_to_hz(top * i / (m->n_mels + 1));
        double mid = mel_to_hz(top * (i + 1) / (m->n_mels + 1));
        double hi = mel_to_hz(top * (i + 2) / (m->n_mels + 1));
        struct band *b = &m->bands[i];
        *b = (struct band){.w = w};
        for (int k = 0; k < NN_MEL_BINS; k++) {
            double hz = (double)k * NN_MEL_RATE / NN_MEL_FRAME;
            double up = (hz - lo) / (mid - lo), down = (hi - hz) / (hi - mid);
            double v = up < down ? up : down;
            if (v <= 0) continue;
            if (!b->n) b->first = k;
            w[b->n++] = (float)(v * 2 / (hi - lo));
        }
        w += b->n;
    }
}

nn_mel *nn_mel_new(int n_mels)
{
    if (n_mels < 1 || n_mels > 256) return NULL;
    /* every bin lies in at most two triangles */
    nn_mel *m = m8_calloc(1, sizeof *m + 2 * NN_MEL_BINS * sizeof(float));
    if (!m) return NULL;
    m->n_mels = n_mels;
    m->fft = nn_fft_new(NN_MEL_FRAME);
    m->bands = m8_calloc(n_mels, sizeof *m->bands);
    if (!m->fft || !m->bands) {
        nn_mel_free(m);
        return NULL;
    }
    for (int i = 0; i < NN_MEL_FRAME; i++) m->hann[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / NN_MEL_FRAME));
    make_bands(m);
    return m;
}

void nn_mel_free(nn_mel *m)
{
    if (!m) return;
    m8_free(m->fft);
    m8_free(m->bands);
    m8_free(m);
}

float nn_mel_filter(const nn_mel *m, int mel, int bin)
{
    const struct band *b = &m->bands[mel];
    return bin >= b->first && bin < b->first + b->n ? b->w[bin - b->first] : 0;
}

struct job {
    const nn_mel *m;
    float *out, *max; /* max: [groups] */
    const float *samples;
    size_t n;
    int from, n_frames;
};

static float sample_at(const float *x, size_t n, int64_t i)
{
    if (i < 0) i = -i;
    if ((uint64_t)i >= n) return 0;
    float v = x[i];
    if (!isfinite(v)) return 0;
    return v > 1e4f ? 1e4f : v < -1e4f ? -1e4f : v;
}

static void group(void *user, int g)
{
    const struct job *j = user;
    const nn_mel *m = j->m;
    float x[NN_MEL_FRAME * L], scratch[NN_MEL_FRAME * L], power[NN_MEL_BINS * L];
    int frame0 = g * L, lanes = j->n_frames - frame0 < L ? j->n_frames - frame0 : L;
    memset(x, 0, sizeof x);
    for (int l = 0; l < lanes; l++) {
        int64_t at = (int64_t)(j->from + frame0 + l) * NN_MEL_HOP - NN_MEL_FRAME / 2;
        for (int i = 0; i < NN_MEL_FRAME; i++) x[i * L + l] = m->hann[i] * sample_at(j->samples, j->n, at + i);
    }
    nn_fft_power(m->fft, power, x, scratch);
    float most = -INFINITY;
    for (int i = 0; i < m->n_mels; i++) {
        const struct band *b = &m->bands[i];
        float sum[L] = {0};
        for (int k = 0; k < b->n; k++)
            for (int l = 0; l < L; l++) sum[l] += b->w[k] * power[(b->first + k) * L + l];
        for (int l = 0; l < lanes; l++) {
            float v = log10f(sum[l] > 1e-10f ? sum[l] : 1e-10f);
            j->out[(size_t)(frame0 + l) * m->n_mels + i] = v;
            if (v > most) most = v;
        }
    }
    j->max[g] = most;
}

m8_status nn_mel_log(const nn_mel *m, m8_pool *pool, float *out, float *max, const float *samples, size_t n, int from, int n_frames)
{
    if (n_frames <= 0) return M8_OK;
    int groups = (n_frames + L - 1) / L;
    float *most = m8_malloc((size_t)groups * sizeof *most);
    if (!most) return M8_E_NOMEM;
    struct job j = {.m = m, .out = out, .max = most, .samples = samples, .n = n, .from = from, .n_frames = n_frames};
    m8_pool_run(pool, groups, group, &j);
    for (int g = 0; g < groups; g++)
        if (most[g] > *max) *max = most[g];
    m8_free(most);
    return M8_OK;
}

void nn_mel_normalise(float *x, size_t n, float max)
{
    float least = max - 8;
    for (size_t i = 0; i < n; i++) x[i] = ((x[i] > least ? x[i] : least) + 4) / 4;
}
