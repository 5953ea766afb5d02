/* A recording in memory -> mono float32.
 *
 *     bytes -> sniff.c -> source.c (one demuxer) -> packets -> one decoder -> frames -> mix.c -> resample.c -> samples
 *
 * Whoever sends the bytes is hostile. So: the format is told by our own look at the bytes, only that demuxer runs, only on
 * memory; only decoders of the list below run; nothing is probed (no avformat_find_stream_info: what the header leaves open,
 * the decoded frames tell); time stamps and durations that the file claims are not believed; the result is bounded by max_s
 * and the work by the budget of the source and by the packets that may pass without sound. */
#include "decode.h"
#include <m8/audio.h>

#include <math.h>
#include <string.h>

enum {
    RATE_LOW = 8000, RATE_HIGH = 384000, MAX_CHANNELS = 64,
    IDLE_PACKETS = 20000,        /* in a row, that give no sound */
    MAX_RATES = 4,               /* one behind the other; a filter between odd rates takes up to 150 ms to make */
    BUDGET_TIMES = 64,           /* a source may be read that many times over (an mp4 is not always in order) ... */
    BUDGET_MORE = 64 << 20,      /* ... and then some, for small ones */
    MAX_HOURS = 24,
};

static const struct {
    enum AVCodecID id;
    const char *decoder;
} decoders[] = {
    {AV_CODEC_ID_OPUS, "opus"}, {AV_CODEC_ID_VORBIS, "vorbis"}, {AV_CODEC_ID_AAC, "aac"},
    {AV_CODEC_ID_MP3, "mp3float"}, {AV_CODEC_ID_FLAC, "flac"},
};

struct decoding {
    const struct m8__ffmpeg *ff;
    AVFormatContext *fmt;
    AVCodecContext *dec;
    AVPacket *pkt;
    AVFrame *frame;
    int stream;
    m8__resampler *res; /* NULL before the first frame */
    int rate_in, rate_out /* 0: the first frame's */, n_rates;
    double max_s;
    size_t max_samples;
    float *mono; /* one frame */
    size_t mono_cap;
    m8_pcm *out;
    const m8_cancel *cancel;
    size_t out_cap;
    int idle;
};

static const AVCodec *decoder_of(const struct m8__ffmpeg *ff, enum AVCodecID id)
{
    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++)
        if (decoders[i].id == id) return ff->avcodec_find_decoder_by_name(decoders[i].decoder);
    const AVCodec *c = ff->avcodec_find_decoder(id);
    return c && !strncmp(c->name, "pcm_", 4) ? c : NULL;
}

/* The first stream of sound that we decode; all others are not even demuxed. */
static m8_status open_decoder(struct decoding *d, m8_error *err)
{
    const struct m8__ffmpeg *ff = d->ff;
    const AVCodec *codec = NULL;
    for (unsigned i = 0; i < d->fmt->nb_streams; i++) {
        AVStream *s = d->fmt->streams[i];
        s->discard = AVDISCARD_ALL;
        if (codec || s->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) continue;
        codec = decoder_of(ff, s->codecpar->codec_id);
        if (!codec) continue;
        d->stream = (int)i;
        s->discard = AVDISCARD_DEFAULT;
    }
    if (!codec) return m8_fail(err, M8_E_FORMAT, "no sound in it that can be decoded");
    AVStream *s = d->fmt->streams[d->stream];
    d->dec = ff->avcodec_alloc_context3(codec);
    d->pkt = ff->av_packet_alloc();
    d->frame = ff->av_frame_alloc();
    if (!d->dec || !d->pkt || !d->frame) return m8_fail(err, M8_E_NOMEM, "decode: out of memory");
    int code = ff->avcodec_parameters_to_context(d->dec, s->codecpar);
    d->dec->thread_count = 1;
    d->dec->pkt_timebase = s->time_base; /* without it the padding of opus and mp3 is not taken off */
    if (code >= 0) code = ff->avcodec_open2(d->dec, codec, NULL);
    if (code < 0) return m8__ffmpeg_fail(ff, code, M8_E_FORMAT, codec->name, err);
    return M8_OK;
}

static m8_status keep(void *user, const float *samples, size_t n)
{
    struct decoding *d = user;
    m8_pcm *out = d->out;
    size_t left = d->max_samples - out->n_samples;
    if (n > left) n = left;
    if (n > d->out_cap - out->n_samples) {
        size_t cap = d->out_cap < 16384 ? 16384 : d->out_cap;
        while (cap < out->n_samples + n) cap *= 2;
        if (cap > d->max_samples) cap = d->max_samples;
        float *grown = m8_realloc(out->samples, cap * sizeof *grown);
        if (!grown) return M8_E_NOMEM;
        out->samples = grown;
        d->out_cap = cap;
    }
    for (size_t i = 0; i < n; i++) out->samples[out->n_samples + i] = fminf(fmaxf(samples[i], -1.0f), 1.0f);
    out->n_samples += n;
    return M8_OK;
}

static bool full(const struct decoding *d)
{
    return d->rate_out && d->out->n_samples >= d->max_samples;
}

static m8_status end_rate(struct decoding *d, m8_error *err)
{
    m8_status st = d->res ? m8__resampler_push(d->res, NULL, 0, (m8_pcm_sink){keep, d}, err) : M8_OK;
    m8__resampler_free(d->res);
    d->res = NULL;
    return st;
}

static void set_rate(struct decoding *d, int rate)
{
    d->rate_out = d->out->rate = rate;
    d->max_samples = (size_t)ceil(d->max_s * rate);
}

static m8_status take_frame(struct decoding *d, m8_error *err)
{
    const AVFrame *f = d->frame;
    int channels = f->ch_layout.nb_channels;
    if (f->nb_samples <= 0) return M8_OK;
    if (f->sample_rate < RATE_LOW || f->sample_rate > RATE_HIGH)
        return m8_fail(err, M8_E_FORMAT, "expected a rate of %d to %d Hz, it has %d", RATE_LOW, RATE_HIGH, f->sample_rate);
    if (channels < 1 || channels > MAX_CHANNELS) return m8_fail(err, M8_E_FORMAT, "%d channels", channels);
    m8_status st = M8_OK;
    if (!d->rate_out) set_rate(d, f->sample_rate);
    if (f->sample_rate != d->rate_in) { /* also in the middle of a stream */
        if (d->n_rates++ == MAX_RATES) return m8_fail(err, M8_E_FORMAT, "the rate changes more than %d times", MAX_RATES);
        st = end_rate(d, err);
        d->rate_in = f->sample_rate;
    }
    if (!st && !d->res) st = m8__resampler_new(&d->res, d->rate_in, d->rate_out, err);
    if (st) return st;
    size_t n = (size_t)f->nb_samples;
    if (n > d->mono_cap) {
        m8_free(d->mono);
        d->mono_cap = 0;
        d->mono = m8_malloc(n * sizeof *d->mono);
        if (!d->mono) return m8_fail(err, M8_E_NOMEM, "decode: out of memory");
        d->mono_cap = n;
    }
    if (!m8__mix(d->ff, d->mono, f)) return m8_fail(err, M8_E_FORMAT, "samples of a strange kind");
    d->idle = 0;
    st = m8__resampler_push(d->res, d->mono, n, (m8_pcm_sink){keep, d}, err);
    return st ? m8_fail(err, st, "decode failed") : M8_OK;
}

/* Where one ogg opus stream follows another (a chain), FFmpeg hands over the second one's headers as if they were sound. */
static bool is_opus_header(const struct decoding *d, const AVPacket *pkt)
{
    return d->dec->codec_id == AV_CODEC_ID_OPUS && pkt->size >= 8 &&
           (!memcmp(pkt->data, "OpusHead", 8) || !memcmp(pkt->data, "OpusTags", 8));
}

/* One packet (NULL: the end) through the decoder. */
static m8_status decode_packet(struct decoding *d, const AVPacket *pkt, m8_error *err)
{
    const struct m8__ffmpeg *ff = d->ff;
    if (pkt && is_opus_header(d, pkt)) return M8_OK;
    int code = ff->avcodec_send_packet(d->dec, pkt);
    if (code < 0 && code != AVERROR_EOF) return m8__ffmpeg_fail(ff, code, M8_E_FORMAT, d->dec->codec->name, err);
    while (!full(d)) {
        code = ff->avcodec_receive_frame(d->dec, d->frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) break;
        if (code < 0) return m8__ffmpeg_fail(ff, code, M8_E_FORMAT, d->dec->codec->name, err);
        m8_status st = take_frame(d, err);
        ff->av_frame_unref(d->frame);
        if (st) return st;
    }
    return M8_OK;
}

/* The next packet of our stream into d->pkt; *end where the sound ends, also where the file is cut. */
static m8_status next_packet(struct decoding *d, bool *end, m8_error *err)
{
    const struct m8__ffmpeg *ff = d->ff;
    for (;;) {
        ff->av_packet_unref(d->pkt);
        if (d->idle++ > IDLE_PACKETS) return m8_fail(err, M8_E_FORMAT, "no sound in %d packets", IDLE_PACKETS);
        int code = ff->av_read_frame(d->fmt, d->pkt);
        *end = code == AVERROR_EOF;
        if (*end) return M8_OK;
        if (code < 0) return m8__ffmpeg_fail(ff, code, M8_E_FORMAT, d->fmt->iformat->name, err);
        if (d->pkt->stream_index == d->stream) return M8_OK;
    }
}

/* A file that is cut in its last packet has no damage, only an end: is there nothing more to read? */
static bool at_end(struct decoding *d)
{
    bool end = false;
    return !next_packet(d, &end, NULL) && end;
}

static m8_status decode_all(struct decoding *d, m8_error *err)
{
    m8_status st = M8_OK;
    bool end = false, damaged = false;
    while (!st && !end && !full(d)) {
        if (m8_cancel_is_set(d->cancel)) return m8_fail(err, M8_E_CANCELLED, "cancelled");
        st = next_packet(d, &end, err);
        damaged = st == M8_E_FORMAT;
        if (!st && !end) {
            st = decode_packet(d, d->pkt, err);
            damaged = st == M8_E_FORMAT && !at_end(d);
        }
    }
    if (st && st != M8_E_FORMAT) return st;
    if (!full(d)) {
        m8_status last = decode_packet(d, NULL, NULL); /* what the decoder still holds */
        if (!last || last == M8_E_FORMAT) last = end_rate(d, NULL);
        if (last) return m8_fail(err, last, "decode failed");
    }
    bool enough = d->out->n_samples && d->out->n_samples >= (damaged ? (size_t)d->rate_out : 1);
    if (!enough) return m8_fail(err, M8_E_FORMAT, "no sound in it");
    if (st && err) *err = (m8_error){0}; /* the sound ends at the damage */
    return M8_OK;
}

m8_status m8_audio_decode(m8_pcm *out, const void *data, size_t n, const m8_decode_opts *opts, m8_error *err)
{
    *out = (m8_pcm){0};
    int rate = opts && opts->rate ? opts->rate : 16000;
    double max_s = opts && opts->max_s != 0 ? opts->max_s : 60;
    if (!data || !n) return m8_fail(err, M8_E_ARG, "no sound was given");
    if (rate > 0 && (rate < RATE_LOW || rate > RATE_HIGH)) return m8_fail(err, M8_E_ARG, "a rate of %d Hz", rate);
    if (!(max_s > 0)) return m8_fail(err, M8_E_ARG, "a limit of %g s", max_s);
    max_s = fmin(max_s, MAX_HOURS * 3600.0);

    size_t skip;
    const char *format = m8__sniff(data, n, &skip);
    if (!format) return m8_fail(err, M8_E_FORMAT, "not wav, ogg, webm, mp4, mp3 or flac");
    struct m8__source src = {.data = (const uint8_t *)data + skip, .n = n - skip};
    src.budget = (uint64_t)src.n * BUDGET_TIMES + BUDGET_MORE;
    struct decoding d = {.max_s = max_s, .out = out, .cancel = opts ? opts->cancel : NULL};
    if (rate > 0) set_rate(&d, rate);
    m8_error why = {0};
    m8_status st = m8__ffmpeg(&d.ff, &why);
    if (!st) st = m8__source_open(&src, d.ff, format, &d.fmt, &why);
    if (!st) st = open_decoder(&d, &why);
    if (!st) st = decode_all(&d, &why);

    m8__resampler_free(d.res);
    m8_free(d.mono);
    if (d.frame) d.ff->av_frame_free(&d.frame);
    if (d.pkt) d.ff->av_packet_free(&d.pkt);
    if (d.dec) d.ff->avcodec_free_context(&d.dec);
    m8__source_close(d.ff, &d.fmt);
    if (st) {
        m8_pcm_finish(out);
        return m8_fail(err, st, "%s: %s", format, m8_error_text(&why));
    }
    return M8_OK;
}
