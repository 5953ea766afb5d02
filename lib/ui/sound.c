/* A run's sound: samples, or encoded chunks of any kind, into one encoder of AAC and one of MP3 that live as long as the run. A chunk is readable, as a
 * segment of the whole ADTS frames that are ready, when the push returns. All on the handler's thread.
 *
 *     samples ----------------------+-> AAC -> whole frames -> a segment
 *                                   +-> MP3 -> more of audio.mp3
 *     chunks of mp3 -> m8_mp3 -> frames -> audio.mp3 as they are       (one continuous mp3: nothing is encoded twice)
 *                             -> samples -> AAC (and MP3, when the chunks are files of their own)
 *     other chunks -> decoded whole -> samples
 */
#include "stream.h"
#include <string.h>

enum {
    FRAME = 1024,
    FEW = 64, /* segments that may be as short as a frame; later ones last 0.1 s at least, lest the playlist of tiny pushes grow without need */
};
#define LONGEST_S 0.9 /* of a segment: the target duration stays 1 s, and with it the time after which players look again */
#define SHORTEST_S 0.1
#define CHUNK_S 600.0 /* most sound of one encoded chunk */

struct m8__sound {
    m8_encoder *aac, *mp3;
    m8_mp3 *in;
    int rate, aac_rate; /* of the samples; of the frames that come out */
    m8_buf aac_out, mp3_out;
    uint32_t frames; /* whole ones in aac_out */
    size_t parsed;   /* bytes of them */
    bool copying;    /* audio.mp3 is made of the frames of the chunks */
    bool chunk_is_mp3;
    struct m8__stream *stream;
    m8_error *err;   /* of the call that a sink is in */
};

static m8_status to_buf(void *user, const void *data, size_t n)
{
    m8_buf_add(user, data, n);
    return ((m8_buf *)user)->status;
}

m8_status m8__sound_new(struct m8__stream *s, m8_error *err)
{
    struct m8__sound *x = s->sound = m8_calloc(1, sizeof *x);
    if (!x) return m8_fail(err, M8_E_NOMEM, "stream: out of memory");
    x->stream = s;
    return M8_OK;
}

static m8_status open_aac(struct m8__sound *x, int rate, m8_error *err)
{
    if (x->aac) return M8_OK;
    x->rate = rate;
    return m8_encoder_open(&x->aac, &(m8_encode_opts){ .format = M8_AAC, .rate = rate, .fast = true }, (m8_bytes_sink){ to_buf, &x->aac_out }, err);
}

static m8_status open_mp3(struct m8__sound *x, m8_error *err)
{
    if (x->mp3) return M8_OK;
    return m8_encoder_open(&x->mp3, &(m8_encode_opts){ .format = M8_MP3, .rate = x->rate }, (m8_bytes_sink){ to_buf, &x->mp3_out }, err);
}

/* Count the whole frames that the encoder has given: each says how long it is, and at what rate. */
static void count_frames(struct m8__sound *x)
{
    static const int rates[16] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350 };
    const unsigned char *p = (const unsigned char *)x->aac_out.data;
    while (x->aac_out.len - x->parsed >= 7) {
        const unsigned char *h = p + x->parsed;
        size_t n = (size_t)(h[3] & 3) << 11 | (size_t)h[4] << 3 | h[5] >> 5;
        if (h[0] != 0xFF || (h[1] & 0xF0) != 0xF0 || n < 7 || n > x->aac_out.len - x->parsed) return;
        x->aac_rate = rates[h[2] >> 2 & 15];
        x->parsed += n;
        x->frames++;
    }
}

/* Make readable what is ready; all of it where the sound has ended. */
static m8_status publish(struct m8__sound *x, bool end, m8_error *err)
{
    count_frames(x);
    size_t n = x->parsed;
    if (!end && x->stream->n_segments >= FEW && x->frames * FRAME < SHORTEST_S * x->aac_rate) n = 0;
    m8_status st = m8__stream_add(x->stream, x->aac_out.data, n, x->frames, x->aac_rate, x->mp3_out.data, x->mp3_out.len, err);
    if (n) {
        memmove(x->aac_out.data, x->aac_out.data + n, x->aac_out.len - n);
        x->aac_out.len -= n;
        x->parsed = 0;
        x->frames = 0;
    }
    m8_buf_clear(&x->mp3_out);
    return st;
}

static m8_status encode(struct m8__sound *x, const float *samples, size_t n, m8_error *err)
{
    m8_status st = x->copying ? M8_OK : open_mp3(x, err);
    size_t most = (size_t)(LONGEST_S * x->rate);
    while (!st && n) {
        size_t part = n < most ? n : most;
        st = m8_encoder_push(x->aac, samples, part, err);
        if (!st && !x->copying) st = m8_encoder_push(x->mp3, samples, part, err);
        if (!st) st = publish(x, false, err);
        samples += part;
        n -= part;
    }
    return st;
}

/* Samples at any rate. */
static m8_status encode_at(struct m8__sound *x, const float *samples, size_t n, int rate, m8_error *err)
{
    m8_status st = open_aac(x, rate, err);
    if (st || rate == x->rate) return st ? st : encode(x, samples, n, err);
    m8_pcm other = {0};
    st = m8_resample(&other, samples, n, rate, x->rate, err);
    if (!st) st = encode(x, other.samples, other.n_samples, err);
    m8_pcm_finish(&other);
    return st;
}

m8_status m8__stream_pcm(struct m8__stream *s, const float *samples, size_t n, int rate, m8_error *err)
{
    struct m8__sound *x = s->sound;
    if (!n) return M8_OK;
    bool copying = x->copying;
    x->copying = false; /* these samples are in no chunk: audio.mp3 gets them encoded */
    m8_status st = encode_at(x, samples, n, rate, err);
    x->copying = copying;
    return st;
}

/* ---- encoded chunks */

static m8_status take_frames(void *user, const void *data, size_t n)
{
    struct m8__sound *x = user;
    return x->copying ? to_buf(&x->mp3_out, data, n) : M8_OK;
}

static m8_status take_sound(void *user, const float *samples, size_t n)
{
    struct m8__sound *x = user;
    return encode_at(x, samples, n, m8_mp3_rate(x->in), x->err);
}

/* Does a file of its own begin with an Info frame here? The frame is at the chunk's beginning, behind tags. */
static bool has_info(const char *data, size_t n)
{
    size_t look = n < 4096 ? n : 4096;
    return memmem(data, look, "Xing", 4) || memmem(data, look, "Info", 4) || memmem(data, look, "VBRI", 4);
}

static m8_status mp3_chunk(struct m8__sound *x, const void *data, size_t n, m8_error *err)
{
    const m8_blocks *app = x->stream->app;
    m8_status st = M8_OK;
    if (!x->in) {
        x->copying = !x->aac && !has_info(data, n);
        st = m8_mp3_open(&x->in, &(m8_mp3_opts){ .frames = { take_frames, x }, .sound = { take_sound, x }, .decode = app->launch.decode,
                                                 .user = app->launch.decode_user }, err);
    } else if (x->copying && has_info(data, n)) {
        x->copying = false; /* from here on files of their own, with silence around them: those frames are no continuous mp3 */
    }
    x->err = err;
    if (!st) st = m8_mp3_push(x->in, data, n, err);
    x->err = NULL;
    return st;
}

static m8_status whole_chunk(struct m8__sound *x, const void *data, size_t n, m8_error *err)
{
    const m8_blocks *app = x->stream->app;
    m8_pcm pcm = {0};
    m8_status st;
    if (app->launch.decode) st = app->launch.decode(app->launch.decode_user, &pcm, data, n, x->rate ? x->rate : 44100, err);
    else st = m8_audio_decode(&pcm, data, n, &(m8_decode_opts){ .rate = x->rate ? x->rate : -1, .max_s = CHUNK_S }, err);
    if (!st && pcm.rate > 48000) { /* more than an encoder takes */
        m8_pcm lower;
        st = m8_resample(&lower, pcm.samples, pcm.n_samples, pcm.rate, 48000, err);
        m8_pcm_finish(&pcm);
        if (!st) pcm = lower;
    }
    if (!st) st = m8__stream_pcm(x->stream, pcm.samples, pcm.n_samples, pcm.rate, err);
    m8_pcm_finish(&pcm);
    return st;
}

m8_status m8__stream_bytes(struct m8__stream *s, const void *data, size_t n, m8_error *err)
{
    struct m8__sound *x = s->sound;
    if (!n) return M8_OK;
    const char *kind = m8_audio_sniff(data, n);
    bool mp3 = kind ? !strcmp(kind, "mp3") : x->chunk_is_mp3; /* what looks like nothing goes on where the chunk before ended */
    x->chunk_is_mp3 = mp3;
    m8_error why = {0};
    m8_status st = mp3 ? mp3_chunk(x, data, n, &why) : whole_chunk(x, data, n, &why);
    if (st == M8_E_FORMAT || st == M8_E_TIMEOUT || st == M8_E_UNSUPPORTED || st == M8_E_ARG) {
        m8_log(M8_LOG_WARN, "a chunk of sound (%zu bytes) was skipped: %s", n, m8_error_text(&why));
        st = publish(x, false, err);
    } else if (!st) {
        st = publish(x, false, &why);
    }
    return st ? m8_fail(err, st, "%s", m8_error_text(&why)) : M8_OK;
}

void m8__sound_end(struct m8__stream *s)
{
    struct m8__sound *x = s->sound;
    if (!x) return;
    m8_error why = {0};
    m8_status st = x->aac ? m8_encoder_finish(x->aac, &why) : M8_OK;
    if (x->mp3 && !st) st = m8_encoder_finish(x->mp3, &why);
    if (!st) st = publish(x, true, &why);
    if (st && st != M8_E_CANCELLED) m8_log(M8_LOG_WARN, "the end of a stream is lost: %s", m8_error_text(&why));
    m8_encoder_close(x->aac);
    m8_encoder_close(x->mp3);
    m8_mp3_close(x->in);
    m8_buf_finish(&x->aac_out);
    m8_buf_finish(&x->mp3_out);
    m8_free(x);
    s->sound = NULL;
}
