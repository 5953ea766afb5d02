/* From logits to a token. The order of the steps is transformers': penalties, temperature, top-k, top-p, min-p, softmax, draw. */
#include "nn.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void nn_rng_seed(nn_rng *g, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64, so that near seeds give far states */
        uint64_t z = seed += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        g->s[i] = z ^ z >> 31;
    }
}

uint64_t nn_rng_next(nn_rng *g) /* xoshiro256**, Blackman & Vigna 2018 */
{
    uint64_t *s = g->s, five = s[1] * 5, result = (five << 7 | five >> 57) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

float nn_rng_uniform(nn_rng *g) { return (float)(nn_rng_next(g) >> 40) * 0x1p-24f; }

float nn_rng_normal(nn_rng *g)
{
    double u = ((double)(nn_rng_next(g) >> 11) + 1) * 0x1p-53, v = (double)(nn_rng_next(g) >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

int nn_argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (x[i] > x[best] || x[best] != x[best]) best = i;
    }
    return best;
}

float nn_log_sum_exp(const float *x, int n)
{
    float most = -INFINITY;
    for (int i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    if (!isfinite(most)) return most;
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)expf(x[i] - most);
    return most + (float)log(sum);
}

static void penalties(float *logits, int n, const nn_sampling *s, const int *seen, int n_seen, int n_own, float *counts)
{
    bool repeat = s->repetition_penalty > 0 && s->repetition_penalty != 1;
    if (!n_seen || (!repeat && s->presence_penalty == 0 && s->frequency_penalty == 0)) return;
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int i = 0; i < n_seen; i++) { /* each id once; counts: -1 seen before, else 1 + how often of our own */
        if (seen[i] < 0 || seen[i] >= n || counts[seen[i]] > 0) continue;
        counts[seen[i]] = 1;
        float *x = &logits[seen[i]];
        if (repeat) *x = *x > 0 ? *x / s->repetition_penalty : *x * s->repetition_penalty;
    }
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int i = n_seen - n_own; i < n_seen; i++) {
        if (seen[i] >= 0 && seen[i] < n) counts[seen[i]]++;
    }
    for (int i = n_seen - n_own; i < n_seen; i++) {
        int id = seen[i];
        if (id < 0 || id >= n || counts[id] == 0) continue;
        logits[id] -= s->presence_penalty + s->frequency_penalty * counts[id];
        counts[id] = 0;
    }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The k-th largest of x, by partition; x is changed. */
static float kth(float *x, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        float pivot = x[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i <= j) {
                float t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        if (k - 1 <= j) high = j;
        else if (k - 1 >= i) low = i;
        else break;
    }
    return x[k - 1];
}

static void softmax(float *x, int n) { m8__kernels_get(m8__cpu_flags())->softmax(x, n, 1); }

/* Drop the least likely while what is dropped stays within 1 - p; at least one token stays. */
static void top_p(float *logits, int n, float p, float *scratch)
{
    float *probs = scratch, *sorted = scratch + n;
    memcpy(probs, logits, (size_t)n * sizeof *probs);
    softmax(probs, n);
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (probs[i] > 0) sorted[m++] = probs[i];
    }
    qsort(sorted, (size_t)m, sizeof *sorted, descending);
    double dropped = 0;
    int keep = m;
    if (!m) return;
    while (keep > 1 && dropped + (double)sorted[keep - 1] <= 1 - (double)p) dropped += (double)sorted[--keep];
    float least = sorted[keep - 1];
    for (int i = 0; i < n; i++) {
        if (probs[i] < least) logits[i] = -INFINITY;
    }
}

void nn_sample_probs(float *logits, int n, const nn_sampling *s, const int *seen, int n_seen, int n_own, float *scratch)
{
    for (int i = 0; i < n; i++) { /* a broken model must not break the draw */
        if (logits[i] != logits[i]) logits[i] = -INFINITY;
    }
    penalties(logits, n, s, seen, n_seen, n_own, scratch);
    for (int i = 0; i < n; i++) {
        if (logits[i] > 1e30f) logits[i] = 1e30f;
    }
    if (s->temperature <= 0) return;
    float t = s->temperature > 1e-6f ? s->temperature : 1e-6f; /* colder would overflow, and choose nothing */
    if (t != 1) {
        for (int i = 0; i < n; i++) logits[i] /= t;
    }
    if (s->top_k > 0 && s->top_k < n) {
        memcpy(scratch, logits, (size_t)n * sizeof *scratch);
        float least = kth(scratch, n, s->top_k);
        for (int i = 0; i < n; i++) {
            if (logits[i] < least) logits[i] = -INFINITY;
        }
    }
    if (s->top_p > 0 && s->top_p < 1) top_p(logits, n, s->top_p, scratch);
    if (s->min_p > 0) {
        float most = logits[nn_argmax(logits, n)], least = most + logf(s->min_p);
        for (int i = 0; i < n; i++) {
            if (logits[i] < least) logits[i] = -INFINITY;
        }
    }
    softmax(logits, n);
}

int nn_sample_draw(const float *probs, int n, nn_rng *g)
{
    double at = (double)nn_rng_uniform(g), sum = 0;
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (!(probs[i] > 0)) continue;
        sum += (double)probs[i];
        last = i;
        if (at < sum) return i;
    }
    return last;
}
