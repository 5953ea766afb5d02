/* MP3 in pieces cut anywhere -> whole frames -> mono samples, continuously.
 *
 *     bytes -> split: tags and junk left out -> frames -> decode, by one decoder that is never reset -> trim -> samples
 *
 * Frames lean on those before them (the bit reservoir, the overlap of their windows). Where decoding is done elsewhere, by the file, each batch is decoded
 * behind the last frames of the one before, whose sound is thrown away. An Info frame (Xing, LAME) begins a file and says how many samples of silence the
 * encoder put before and behind its sound; they are taken off. */
#include "decode.h"
#include <m8/audio.h>

#include <math.h>
#include <string.h>

enum {
    MOST_FRAME = 2881,        /* bytes of the longest frame */
    CONTEXT = 12,             /* frames kept for those that lean on them: 511 bytes of reservoir are at most 9 of the shortest frames at 8 kbit/s */
    DECODER_DELAY = 529,      /* samples that every decoder adds in front */
    FEWEST = 4,               /* frames that are decoded elsewhere at a time: a file of one or two is none to FFmpeg */
    MOST_RATES = 16,          /* changes of the rate: a filter takes a while to make */
};

struct m8_mp3 {
    m8_mp3_opts o;
    const struct m8__ffmpeg *ff;
    AVCodecContext *dec;
    AVPacket *pkt;
    AVFrame *frame;
    m8__resampler *res; /* where the rate changes */
    m8_buf in, batch, sound, context;
    size_t sizes[CONTEXT]; /* of the frames in context, the oldest first */
    int n_context;
    size_t skip_bytes;  /* of a tag that is not yet all here */
    bool locked;        /* a frame ended where the next one should begin */
    int rate, rate_now, n_rates, n_batch, batch_samples, n_files;
    uint64_t skip;      /* samples still to be taken off */
    int64_t left;       /* samples of this file still to come; below 0: not known */
    bool damaged;
};

m8_status m8_mp3_open(m8_mp3 **out, const m8_mp3_opts *opts, m8_error *err)
{
    m8_mp3 *m = *out = m8_calloc(1, sizeof *m);
    if (!m) return m8_fail(err, M8_E_NOMEM, "mp3: out of memory");
    m->o = *opts;
    m->left = -1;
    return M8_OK;
}

int m8_mp3_rate(const m8_mp3 *m) { return m->rate; }
int m8_mp3_n_files(const m8_mp3 *m) { return m->n_files; }

static void close_decoder(m8_mp3 *m)
{
    if (m->frame) m->ff->av_frame_free(&m->frame);
    if (m->pkt) m->ff->av_packet_free(&m->pkt);
    if (m->dec) m->ff->avcodec_free_context(&m->dec);
}

void m8_mp3_close(m8_mp3 *m)
{
    if (!m) return;
    close_decoder(m);
    m8__resampler_free(m->res);
    m8_buf_finish(&m->in);
    m8_buf_finish(&m->batch);
    m8_buf_finish(&m->sound);
    m8_buf_finish(&m->context);
    m8_free(m);
}

/* ---- sound */

static m8_status open_decoder(m8_mp3 *m, m8_error *err)
{
    m8_status st = m8__ffmpeg(&m->ff, err);
    if (st) return st;
    const AVCodec *codec = m->ff->avcodec_find_decoder_by_name("mp3float");
    if (!codec) return m8_fail(err, M8_E_UNSUPPORTED, "this FFmpeg has no decoder of mp3");
    m->dec = m->ff->avcodec_alloc_context3(codec);
    m->pkt = m->ff->av_packet_alloc();
    m->frame = m->ff->av_frame_alloc();
    if (!m->dec || !m->pkt || !m->frame) st = m8_fail(err, M8_E_NOMEM, "mp3: out of memory");
    if (!st) {
        m->dec->thread_count = 1;
        int code = m->ff->avcodec_open2(m->dec, codec, NULL);
        if (code < 0) st = m8__ffmpeg_fail(m->ff, code, M8_E_UNSUPPORTED, "mp3", err);
    }
    if (st) close_decoder(m);
    return st;
}

/* One frame of the batch; one that cannot be decoded is silence of its length, so that time goes on as it should. */
static m8_status decode_frame(m8_mp3 *m, const uint8_t *data, size_t n, int samples, m8_error *err)
{
    float *to = m8_buf_room(&m->sound, (size_t)samples * sizeof *to);
    if (!to) return m8_fail(err, M8_E_NOMEM, "mp3: out of memory");
    memset(to, 0, (size_t)samples * sizeof *to);
    m->pkt->data = (uint8_t *)(uintptr_t)data; /* copied by the decoder, which adds the zeros that it wants behind it */
    m->pkt->size = (int)n;
    int code = m->ff->avcodec_send_packet(m->dec, m->pkt);
    m->pkt->data = NULL;
    m->pkt->size = 0;
    if (code >= 0) code = m->ff->avcodec_receive_frame(m->dec, m->frame);
    if (code == AVERROR(ENOMEM)) return m8_fail(err, M8_E_NOMEM, "mp3: out of memory");
    bool ok = code >= 0 && m->frame->nb_samples == samples && m->frame->ch_layout.nb_channels >= 1 && m->frame->ch_layout.nb_channels <= 2 &&
              m8__mix(m->ff, to, m->frame);
    if (!ok) {
        memset(to, 0, (size_t)samples * sizeof *to);
        m->damaged = true;
    }
    if (code >= 0) m->ff->av_frame_unref(m->frame);
    return M8_OK;
}

static m8_status decode_here(m8_mp3 *m, m8_error *err)
{
    m8_status st = m->dec ? M8_OK : open_decoder(m, err);
    const uint8_t *at = (const uint8_t *)m->batch.data;
    for (size_t left = m->batch.len, n; !st && left; left -= n, at += n) {
        int rate, samples, channels;
        n = m8__mp3_frame(at, left, &rate, &samples, &channels);
        if (!n || n > left) return m8_fail(err, M8_E_INTERNAL, "mp3: a frame was lost");
        st = decode_frame(m, at, n, samples, err);
    }
    return st;
}

/* Keep the last frames of what has been decoded. */
static void keep_context(m8_mp3 *m)
{
    const uint8_t *at = (const uint8_t *)m->batch.data;
    for (size_t left = m->batch.len, n; left; left -= n, at += n) {
        int rate, samples, channels;
        n = m8__mp3_frame(at, left, &rate, &samples, &channels);
        if (!n || n > left) return;
        if (m->n_context == CONTEXT) {
            memmove(m->context.data, m->context.data + m->sizes[0], m->context.len - m->sizes[0]);
            m->context.len -= m->sizes[0];
            memmove(m->sizes, m->sizes + 1, sizeof m->sizes - sizeof *m->sizes);
            m->n_context--;
        }
        m8_buf_add(&m->context, at, n);
        m->sizes[m->n_context++] = n;
    }
}

static m8_status decode_elsewhere(m8_mp3 *m, m8_error *err)
{
    m8_pcm pcm = {0};
    size_t want = (size_t)m->batch_samples, before = m->context.len;
    m8_buf whole = {0};
    m8_buf_add(&whole, m->context.data, before);
    m8_buf_add(&whole, m->batch.data, m->batch.len);
    float *to = m8_buf_room(&m->sound, want * sizeof *to);
    m8_status st = whole.status || !to ? m8_fail(err, M8_E_NOMEM, "mp3: out of memory") : M8_OK;
    m8_error why = {0};
    if (!st) st = m->o.decode(m->o.user, &pcm, whole.data, whole.len, m->rate_now, &why);
    if (st == M8_E_FORMAT) { /* silence of its length, so that time goes on as it should */
        m->damaged = true;
        st = M8_OK;
    }
    if (st) m8_fail(err, st, "%s", m8_error_text(&why));
    if (!st) {
        size_t n = pcm.n_samples < want ? pcm.n_samples : want; /* the last ones are the new ones */
        memset(to, 0, (want - n) * sizeof *to);
        memcpy(to + want - n, pcm.samples + pcm.n_samples - n, n * sizeof *to);
        keep_context(m);
    }
    m8_buf_finish(&whole);
    m8_pcm_finish(&pcm);
    return st;
}

/* A filter may overshoot. */
static m8_status push_clamped(void *user, const float *x, size_t n)
{
    m8_mp3 *m = user;
    float part[1024];
    m8_status st = M8_OK;
    for (size_t at = 0, k; !st && at < n; at += k) {
        k = n - at < 1024 ? n - at : 1024;
        for (size_t i = 0; i < k; i++) part[i] = fminf(fmaxf(x[at + i], -1.0f), 1.0f);
        st = m->o.sound.push(m->o.sound.user, part, k);
    }
    return st;
}

/* Samples at the rate of the first frame. */
static m8_status push_sound(m8_mp3 *m, const float *x, size_t n, m8_error *err)
{
    if (m->res) return m8__resampler_push(m->res, x, n, (m8_pcm_sink){push_clamped, m}, err);
    return m->o.sound.push(m->o.sound.user, x, n);
}

static m8_status trim_and_push(m8_mp3 *m, m8_error *err)
{
    const float *x = (const float *)(const void *)m->sound.data;
    size_t n = m->sound.len / sizeof *x, off = n < m->skip ? n : (size_t)m->skip;
    m->skip -= off;
    x += off;
    n -= off;
    if (m->left >= 0 && (uint64_t)m->left < n) n = (size_t)m->left;
    if (m->left >= 0) m->left -= (int64_t)n;
    return n ? push_sound(m, x, n, err) : M8_OK;
}

/* The frames gathered so far: on to their sinks. all: also few, as their file ends here. */
static m8_status flush(m8_mp3 *m, bool all, m8_error *err)
{
    if (!m->n_batch || (m->o.decode && !all && m->n_context + m->n_batch < FEWEST)) return M8_OK;
    m8_status st = M8_OK;
    if (m->o.frames.push) st = m->o.frames.push(m->o.frames.user, m->batch.data, m->batch.len);
    if (!st && m->o.sound.push) {
        m8_buf_clear(&m->sound);
        st = m->o.decode ? decode_elsewhere(m, err) : decode_here(m, err);
        if (!st) st = trim_and_push(m, err);
    }
    m8_buf_clear(&m->batch);
    m->n_batch = m->batch_samples = 0;
    return st;
}

/* ---- frames */

static uint32_t big_endian(const uint8_t *p, int n)
{
    uint32_t x = 0;
    for (int i = 0; i < n; i++) x = x << 8 | p[i];
    return x;
}

/* Is the frame an Info frame? Then its file begins here. */
static bool is_info(m8_mp3 *m, const uint8_t *p, size_t n, int samples, int channels)
{
    size_t at = 4 + (p[1] & 1 ? 0 : 2) + (samples == 1152 ? channels == 1 ? 17u : 32u : channels == 1 ? 9u : 17u);
    if (n >= 4 + 32 + 26 && !memcmp(p + 4 + 32, "VBRI", 4)) {
        m->skip = 0;
        m->left = -1;
        return true;
    }
    if (n < at + 8 || (memcmp(p + at, "Xing", 4) && memcmp(p + at, "Info", 4))) return false;
    uint32_t flags = big_endian(p + at + 4, 4), frames = 0;
    at += 8;
    if (flags & 1 && n >= at + 4) frames = big_endian(p + at, 4);
    at += (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
    m->skip = 0;
    m->left = -1;
    if (n < at + 24 || !p[at]) return true; /* no word of the encoder */
    uint32_t both = big_endian(p + at + 21, 3), delay = both >> 12, padding = both & 4095;
    m->skip = delay + DECODER_DELAY;
    int64_t all = (int64_t)frames * samples - delay - padding;
    if (frames && all > 0) m->left = all;
    return true;
}

static m8_status take_frame(m8_mp3 *m, const uint8_t *p, size_t n, int rate, int samples, int channels, m8_error *err)
{
    uint64_t skip = m->skip;
    int64_t left = m->left;
    if (is_info(m, p, n, samples, channels)) { /* what is gathered belongs to the file before */
        uint64_t new_skip = m->skip;
        int64_t new_left = m->left;
        m->skip = skip;
        m->left = left;
        m8_status st = flush(m, true, err);
        m->skip = new_skip;
        m->left = new_left;
        m->n_files++;
        return st;
    }
    m8_status st = M8_OK;
    if (rate != m->rate_now && m->n_rates >= MOST_RATES) {
        m->damaged = true;
        return M8_OK;
    }
    if (rate != m->rate_now) {
        m->n_rates++;
        st = flush(m, true, err);
        if (!m->rate) m->rate = rate;
        m8__resampler_free(m->res);
        m->res = NULL;
        m->rate_now = rate;
        m8_buf_clear(&m->context);
        m->n_context = 0;
        if (!st && rate != m->rate && m->o.sound.push) st = m8__resampler_new(&m->res, rate, m->rate, err);
    }
    m8_buf_add(&m->batch, p, n);
    m->n_batch++;
    m->batch_samples += samples;
    return m->batch.status && !st ? m8_fail(err, m->batch.status, "mp3: out of memory") : st;
}

/* Bytes of a tag at p, which may be longer than what is here; 0: none. */
static size_t tag_size(const uint8_t *p, size_t n)
{
    if (n >= 10 && !memcmp(p, "ID3", 3)) {
        size_t size = 10 + ((size_t)(p[6] & 127) << 21 | (size_t)(p[7] & 127) << 14 | (size_t)(p[8] & 127) << 7 | (p[9] & 127));
        return p[5] & 0x10 ? size + 10 : size;
    }
    return n >= 3 && !memcmp(p, "TAG", 3) ? 128 : 0;
}

/* May the frame of length len at p be believed? One that follows another may; else the next header must be there, or the end of what has come. */
static bool believed(const m8_mp3 *m, const uint8_t *p, size_t n, size_t len)
{
    int rate, samples, channels;
    if (m->locked || n == len) return true;
    return n >= len + 4 && m8__mp3_frame(p + len, n - len, &rate, &samples, &channels);
}

m8_status m8_mp3_push(m8_mp3 *m, const void *data, size_t n, m8_error *err)
{
    size_t skip = n < m->skip_bytes ? n : m->skip_bytes, at = 0;
    m->skip_bytes -= skip;
    m8_buf_add(&m->in, (const char *)data + skip, n - skip);
    if (m->in.status) return m8_fail(err, m->in.status, "mp3: out of memory");
    const uint8_t *p = (const uint8_t *)m->in.data;
    m8_status st = M8_OK;
    m->damaged = false;
    for (size_t left = m->in.len; !st && left - at >= 4;) {
        int rate, samples, channels;
        size_t tag = tag_size(p + at, left - at), len = m8__mp3_frame(p + at, left - at, &rate, &samples, &channels);
        if (left - at < 10 && !memcmp(p + at, "ID3", 3)) break;
        if (tag) {
            size_t here = tag < left - at ? tag : left - at;
            m->skip_bytes = tag - here;
            at += here;
        } else if (len && len <= MOST_FRAME && (len > left - at || (!m->locked && len < left - at && left - at < len + 4))) {
            break; /* the rest comes with the next piece */
        } else if (len && len <= MOST_FRAME && believed(m, p + at, left - at, len)) {
            st = take_frame(m, p + at, len, rate, samples, channels, err);
            m->locked = true;
            at += len;
        } else {
            m->locked = false;
            at++;
        }
    }
    m->in.len -= at;
    if (at) memmove(m->in.data, m->in.data + at, m->in.len);
    if (!st) st = flush(m, false, err);
    return st ? m8_fail(err, st, "mp3: decoding stopped") : m->damaged ? m8_fail(err, M8_E_FORMAT, "mp3: a frame is damaged") : M8_OK;
}
