/* Decoding in a process of its own: both ends.
 *
 *     bulk: the recording; args: rate, max_s  ->  pushed: samples; result: rate */
#include <m8/audio.h>

#include <math.h>
#include <string.h>

#define SERVICE "audio"

enum { PIECE = 32 << 10 /* samples */ };

struct m8_audio_worker {
    m8_proc *proc;
};

static const double most_s = 10;

/* ---- the client */

m8_status m8_audio_worker_open(m8_audio_worker **out, const m8_proc_opts *opts, m8_error *err)
{
    *out = NULL;
    m8_audio_worker *w = m8_calloc(1, sizeof *w);
    if (!w) return m8_fail(err, M8_E_NOMEM, "decode: out of memory");
    m8_status st = m8_proc_open(&w->proc, SERVICE, "sound decoding", NULL, NULL, NULL, opts, err);
    if (st) m8_free(w);
    else *out = w;
    return st;
}

void m8_audio_worker_close(m8_audio_worker *w)
{
    if (!w) return;
    m8_proc_close(w->proc);
    m8_free(w);
}

m8_proc_info m8_audio_worker_about(const m8_audio_worker *w) { return m8_proc_about(w->proc); }

struct collected {
    m8_buf samples;
};

static m8_status collect(void *user, const void *data, size_t n)
{
    struct collected *c = user;
    if (n % sizeof(float)) return M8_E_FORMAT;
    m8_buf_add(&c->samples, data, n);
    return c->samples.status;
}

/* The samples become the caller's, if they are what was asked for. */
static m8_status take(m8_pcm *out, struct collected *c, const m8_buf *result, int rate, m8_error *err)
{
    m8_fields f = { (const uint8_t *)result->data, result->len, false };
    uint32_t got_rate = m8_get_u32(&f);
    if (f.bad || f.left || got_rate != (uint32_t)rate || !c->samples.len) {
        return m8_fail(err, M8_E_FORMAT, "the process answered with what is no sound");
    }
    float *x = (float *)c->samples.data;
    size_t n = c->samples.len / sizeof *x;
    for (size_t i = 0; i < n; i++) { /* whoever holds the decoder holds no more than this */
        if (!(x[i] >= -1 && x[i] <= 1)) x[i] = 0;
    }
    *out = (m8_pcm){ x, n, rate };
    c->samples = (m8_buf){0};
    return M8_OK;
}

m8_status m8_audio_worker_decode(m8_audio_worker *w, m8_pcm *out, const void *data, size_t n, const m8_decode_opts *opts, m8_error *err)
{
    *out = (m8_pcm){0};
    int rate = opts && opts->rate ? opts->rate : 16000;
    double max_s = opts && opts->max_s != 0 ? opts->max_s : 60;
    if (!data || !n) return m8_fail(err, M8_E_ARG, "no sound was given");
    m8_buf args = {0}, result = {0};
    struct collected c = {0};
    if (max_s > 0 && rate > 0 && max_s * rate < 1e9) c.samples.limit = ((size_t)ceil(max_s * rate) + 1) * sizeof(float);
    m8_put_u32(&args, (uint32_t)rate);
    m8_put_f64(&args, max_s);
    m8_request q = { .args = &args, .bulk = data, .n_bulk = n, .out = { collect, &c }, .most_s = most_s,
                     .cancel = opts ? opts->cancel : NULL };
    m8_status st = m8_proc_call(w->proc, &q, &result, err);
    if (!st) st = take(out, &c, &result, rate, err);
    m8_buf_finish(&c.samples);
    m8_buf_finish(&args);
    m8_buf_finish(&result);
    return st;
}

/* ---- the process */

static m8_status open_decoder(void **state, m8_fields *hello, m8_buf *answer, m8_error *err)
{
    (void)state;
    (void)answer;
    return hello->left ? m8_fail(err, M8_E_FORMAT, "a strange greeting") : m8_audio_load(err);
}

static m8_status call(void *state, m8_serving *s, m8_fields *args, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err)
{
    (void)state;
    m8_decode_opts o = { .rate = (int)m8_get_u32(args), .max_s = m8_get_f64(args), .cancel = m8_serving_cancel(s) };
    m8_pcm pcm;
    if (args->bad || args->left) return m8_fail(err, M8_E_FORMAT, "a call of the decoder that is damaged");
    m8_status st = m8_audio_decode(&pcm, bulk, n_bulk, &o, err);
    for (size_t at = 0, n; !st && at < pcm.n_samples; at += n) {
        n = pcm.n_samples - at < PIECE ? pcm.n_samples - at : PIECE;
        st = m8_serving_push(s, pcm.samples + at, n * sizeof *pcm.samples);
    }
    if (!st) m8_put_u32(result, (uint32_t)pcm.rate);
    m8_pcm_finish(&pcm);
    return st;
}

const m8_service m8_audio_service = { .name = SERVICE, .most_memory = (size_t)1 << 30, .open = open_decoder, .call = call };
