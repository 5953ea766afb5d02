/* Resampling by libswresample: a linear-phase windowed sinc, whose delay it takes out itself at the start; the end is made
 * exact here: what the filter still holds is flushed, and the count is trimmed or padded by the sample or two of rounding. */
#include "ffmpeg.h"
#include <m8/audio.h>

#include <string.h>

enum { RATE_MIN = 1000, RATE_MAX = 384000, BLOCK = 4096 };

struct m8__resampler {
    const struct m8__ffmpeg *ff;
    SwrContext *swr; /* NULL: the rates are equal */
    int rate_in, rate_out;
    uint64_t n_in, n_out;
    float block[BLOCK];
};

static int gcd(int a, int b)
{
    while (b) {
        int t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static m8_status open_swr(m8__resampler *r, m8_error *err)
{
    const struct m8__ffmpeg *ff = r->ff;
    r->swr = ff->swr_alloc();
    if (!r->swr) return m8_fail(err, M8_E_NOMEM, "resampler: out of memory");
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int bad = 0;
    bad |= ff->av_opt_set_int(r->swr, "in_sample_rate", r->rate_in, 0);
    bad |= ff->av_opt_set_int(r->swr, "out_sample_rate", r->rate_out, 0);
    bad |= ff->av_opt_set_int(r->swr, "in_sample_fmt", AV_SAMPLE_FMT_FLT, 0);
    bad |= ff->av_opt_set_int(r->swr, "out_sample_fmt", AV_SAMPLE_FMT_FLT, 0);
    bad |= ff->av_opt_set_chlayout(r->swr, "in_chlayout", &mono, 0);
    bad |= ff->av_opt_set_chlayout(r->swr, "out_chlayout", &mono, 0);
    bad |= ff->av_opt_set_int(r->swr, "filter_size", 64, 0);
    bad |= ff->av_opt_set_double(r->swr, "cutoff", 0.97, 0);
    /* rates that share too little for one filter a phase (8,001 to 48,000) go between two of 1,024 */
    bad |= ff->av_opt_set_int(r->swr, "linear_interp", r->rate_out / gcd(r->rate_in, r->rate_out) > 1024, 0);
    if (bad) return m8_fail(err, M8_E_INTERNAL, "resampler: an option is refused");
    int code = ff->swr_init(r->swr);
    return code < 0 ? m8__ffmpeg_fail(ff, code, M8_E_INTERNAL, "resampler", err) : M8_OK;
}

m8_status m8__resampler_new(m8__resampler **out, int rate_in, int rate_out, m8_error *err)
{
    *out = NULL;
    if (rate_in < RATE_MIN || rate_in > RATE_MAX) return m8_fail(err, M8_E_ARG, "a rate of %d Hz", rate_in);
    if (rate_out < RATE_MIN || rate_out > RATE_MAX) return m8_fail(err, M8_E_ARG, "a rate of %d Hz", rate_out);
    m8__resampler *r = m8_calloc(1, sizeof *r);
    if (!r) return m8_fail(err, M8_E_NOMEM, "resampler: out of memory");
    r->rate_in = rate_in;
    r->rate_out = rate_out;
    m8_status st = M8_OK;
    if (rate_in != rate_out) st = m8__ffmpeg(&r->ff, err);
    if (!st && rate_in != rate_out) st = open_swr(r, err);
    if (st) {
        m8__resampler_free(r);
        return st;
    }
    *out = r;
    return M8_OK;
}

void m8__resampler_free(m8__resampler *r)
{
    if (!r) return;
    if (r->swr) r->ff->swr_free(&r->swr);
    m8_free(r);
}

/* Samples that the sound so far comes to; n_in is below 2^44 for any sound that fits in memory. */
static uint64_t due(const m8__resampler *r)
{
    uint64_t whole = r->n_in / (uint64_t)r->rate_in, part = r->n_in % (uint64_t)r->rate_in;
    return whole * (uint64_t)r->rate_out +
           (part * (uint64_t)r->rate_out + (uint64_t)r->rate_in - 1) / (uint64_t)r->rate_in;
}

/* Feed n samples (NULL: flush) and hand on all that comes out, never more than `due` in all. */
static m8_status convert(m8__resampler *r, const float *samples, int n, m8_pcm_sink out, m8_error *err)
{
    for (;;) {
        const uint8_t *in = (const uint8_t *)samples;
        uint8_t *to = (uint8_t *)r->block;
        int got = r->ff->swr_convert(r->swr, &to, BLOCK, in ? &in : NULL, n);
        if (got < 0) return m8__ffmpeg_fail(r->ff, got, M8_E_INTERNAL, "resampler", err);
        uint64_t left = due(r) - r->n_out;
        if ((uint64_t)got > left) got = (int)left;
        m8_status st = got ? out.push(out.user, r->block, (size_t)got) : M8_OK;
        if (st) return st;
        r->n_out += (uint64_t)got;
        if (got < BLOCK) return M8_OK;
        n = 0; /* the output block was full: ask again without new samples */
    }
}

static m8_status finish(m8__resampler *r, m8_pcm_sink out, m8_error *err)
{
    m8_status st = r->n_in ? convert(r, NULL, 0, out, err) : M8_OK;
    memset(r->block, 0, sizeof r->block);
    while (!st && r->n_out < due(r)) {
        uint64_t left = due(r) - r->n_out;
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        st = out.push(out.user, r->block, n);
        r->n_out += n;
    }
    return st;
}

m8_status m8__resampler_push(m8__resampler *r, const float *samples, size_t n, m8_pcm_sink out, m8_error *err)
{
    if (!r->swr) return samples && n ? out.push(out.user, samples, n) : M8_OK;
    if (!samples) return finish(r, out, err);
    m8_status st = M8_OK;
    while (!st && n) {
        int part = n < BLOCK ? (int)n : BLOCK;
        r->n_in += (uint64_t)part;
        st = convert(r, samples, part, out, err);
        samples += part;
        n -= (size_t)part;
    }
    return st;
}

struct grow {
    float *at;
    size_t n, cap;
};

static m8_status append(void *user, const float *samples, size_t n)
{
    struct grow *g = user;
    if (n > g->cap - g->n) return M8_E_INTERNAL; /* m8_resample made room for all that is due */
    memcpy(g->at + g->n, samples, n * sizeof *samples);
    g->n += n;
    return M8_OK;
}

m8_status m8_resample(m8_pcm *out, const float *samples, size_t n, int rate_in, int rate_out, m8_error *err)
{
    *out = (m8_pcm){0};
    if (n && !samples) return m8_fail(err, M8_E_ARG, "no samples");
    if (n > SIZE_MAX / sizeof(float) / RATE_MAX) return m8_fail(err, M8_E_LIMIT, "%zu samples are too many", n);
    m8__resampler *r;
    m8_status st = m8__resampler_new(&r, rate_in, rate_out, err);
    if (st) return st;
    struct grow g = {0};
    g.cap = (size_t)(((uint64_t)n * (uint64_t)rate_out + (uint64_t)rate_in - 1) / (uint64_t)rate_in);
    g.at = m8_malloc(g.cap * sizeof *g.at);
    m8_pcm_sink sink = {append, &g};
    if (!g.at) st = m8_fail(err, M8_E_NOMEM, "resampler: out of memory");
    if (!st && n) st = m8__resampler_push(r, samples, n, sink, err);
    if (!st) st = m8__resampler_push(r, NULL, 0, sink, err);
    m8__resampler_free(r);
    if (st) {
        m8_free(g.at);
        return m8_fail(err, st, "resampler failed");
    }
    *out = (m8_pcm){.samples = g.at, .n_samples = g.n, .rate = rate_out};
    return M8_OK;
}
