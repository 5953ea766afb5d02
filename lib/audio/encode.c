/* Samples as they come -> encoded bytes as soon as they are ready. A format is a row of the table below.
 *
 *     push -> clean (NaN, range) -> resample.c where the codec lacks the rate -> frames -> codec -> muxer -> sink
 *
 * Every stage works in units of its own (a filter block, a codec's frame), never in those of a push, so the same samples
 * give the same bytes however they are cut. WAV needs none of this and does not load FFmpeg. */
#include "ffmpeg.h"
#include <m8/audio.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { RATE_LOW = 8000, RATE_HIGH = 48000, BIT_RATE = 64000, BIT_LOW = 6000, BIT_HIGH = 510000, BLOCK = 1024, IO_BUFFER = 4096 };

struct option {
    const char *name, *value;
};

/* AAC's fast coder takes 2.5 to 2.9 ms of a core for a second of speech at 22,050 Hz and 64 kbit/s, the slow one 5 to 15. It follows the waveform more
 * closely (46 instead of 35 dB for one recording); the slow one, which looks for the best place of each bit by a model of the ear, keeps more of the
 * highest band when bits are few. LAME's levels 7 to 9 take the same time.
 * The muxers are told to leave out whatever needs seeking or tags: an mp3 begins with its first frame of sound. LAME without
 * the bit reservoir makes every frame stand alone: the first leaves at once, and a player may enter anywhere. */
static const struct format {
    const char *mime, *endings[3], *codec, *muxer;
    int most_bits; /* a second, of one channel; 0: the codec itself takes the nearest rate that it has */
    struct option codec_opts[4], muxer_opts[4];
    struct option fast; /* for m8_encode_opts.fast, over codec_opts */
} formats[] = {
    [M8_MP3] = {"audio/mpeg", {".mp3"}, "libmp3lame", "mp3", 0,
                {{"reservoir", "0"}, {"compression_level", "7"}},
                {{"write_xing", "0"}, {"id3v2_version", "0"}, {"write_id3v1", "0"}}, {0}},
    [M8_AAC] = {"audio/aac", {".aac", ".adts"}, "aac", "adts", 0, {{0}}, {{0}}, {"aac_coder", "fast"}},
    [M8_OPUS] = {"audio/ogg", {".opus", ".ogg"}, "libopus", "ogg", 256000,
                 {{"application", "audio"}, {"frame_duration", "20"}},
                 {{"page_duration", "100000"}}, {0}},
    [M8_WAV] = {"audio/wav", {".wav"}, NULL, NULL, 0, {{0}}, {{0}}, {0}},
};

struct m8_encoder {
    const struct format *format;
    m8_bytes_sink sink;
    m8_status status; /* the first failure; nothing is done after it */
    bool finished;
    uint64_t n_packets;
    int64_t n_samples; /* given to the codec */
    const struct m8__ffmpeg *ff;
    m8__resampler *res;
    AVCodecContext *codec;
    AVFormatContext *mux;
    AVIOContext *io;
    AVFrame *frame;
    int filled; /* samples in frame */
    AVPacket *pkt;
};

const char *m8_audio_mime(m8_audio_format format)
{
    return (unsigned)format < sizeof formats / sizeof *formats ? formats[format].mime : "application/octet-stream";
}

bool m8_audio_format_of(m8_audio_format *out, const char *file_name)
{
    size_t n = strlen(file_name);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        for (size_t i = 0; i < 3 && formats[f].endings[i]; i++) {
            size_t len = strlen(formats[f].endings[i]);
            if (n < len || strcasecmp(file_name + n - len, formats[f].endings[i])) continue;
            *out = (m8_audio_format)f;
            return true;
        }
    }
    return false;
}

static int to_sink(void *user, uint8_t *data, int n)
{
    m8_encoder *e = user;
    if (!e->status && n > 0) e->status = e->sink.push(e->sink.user, data, (size_t)n);
    return e->status ? AVERROR_EXIT : n;
}

/* FFmpeg's own failures; one that began in the sink keeps the sink's status. */
static m8_status av_status(m8_encoder *e, int code, m8_error *err)
{
    if (e->status) return e->status;
    if (code >= 0) return M8_OK;
    return m8__ffmpeg_fail(e->ff, code, M8_E_INTERNAL, e->format->codec, err);
}

/* The lowest rate of the codec's that loses nothing, else its highest. */
static int rate_for(const AVCodec *codec, int rate, const struct format *format)
{
    if (format == &formats[M8_OPUS]) return 48000;
    int best = 0, most = 0;
    for (const int *r = codec->supported_samplerates; r && *r; r++) {
        if (*r >= rate && (!best || *r < best)) best = *r;
        if (*r > most) most = *r;
    }
    return best ? best : most ? most : rate;
}

static AVDictionary *dict(m8_encoder *e, const struct option *opts)
{
    AVDictionary *d = NULL;
    for (int i = 0; i < 4 && opts[i].name; i++) e->ff->av_dict_set(&d, opts[i].name, opts[i].value, 0);
    return d;
}

static m8_status open_codec(m8_encoder *e, const m8_encode_opts *o, m8_error *err)
{
    const struct m8__ffmpeg *ff = e->ff;
    const AVCodec *codec = ff->avcodec_find_encoder_by_name(e->format->codec);
    if (!codec) return m8_fail(err, M8_E_UNSUPPORTED, "this FFmpeg has no encoder %s", e->format->codec);
    e->codec = ff->avcodec_alloc_context3(codec);
    e->pkt = ff->av_packet_alloc();
    e->frame = ff->av_frame_alloc();
    if (!e->codec || !e->pkt || !e->frame) return m8_fail(err, M8_E_NOMEM, "encoder: out of memory");
    AVCodecContext *c = e->codec;
    c->sample_rate = rate_for(codec, o->rate, e->format);
    c->time_base = (AVRational){1, c->sample_rate};
    c->bit_rate = o->bit_rate ? o->bit_rate : BIT_RATE;
    if (e->format->most_bits && c->bit_rate > e->format->most_bits) c->bit_rate = e->format->most_bits;
    c->thread_count = 1;
    c->flags = AV_CODEC_FLAG_BITEXACT; /* no version strings: the bytes depend on the samples alone */
    c->sample_fmt = AV_SAMPLE_FMT_FLT;
    for (const enum AVSampleFormat *f = codec->sample_fmts; f && *f != AV_SAMPLE_FMT_NONE; f++)
        if (*f == AV_SAMPLE_FMT_FLTP) c->sample_fmt = *f; /* with one channel the two are the same */
    ff->av_channel_layout_default(&c->ch_layout, 1);
    AVDictionary *opts = dict(e, e->format->codec_opts);
    if (o->fast && e->format->fast.name) ff->av_dict_set(&opts, e->format->fast.name, e->format->fast.value, 0);
    int code = ff->avcodec_open2(c, codec, &opts);
    ff->av_dict_free(&opts);
    if (code < 0) return av_status(e, code, err);
    e->frame->nb_samples = c->frame_size;
    e->frame->format = c->sample_fmt;
    e->frame->sample_rate = c->sample_rate;
    ff->av_channel_layout_default(&e->frame->ch_layout, 1);
    m8_status st = av_status(e, ff->av_frame_get_buffer(e->frame, 0), err);
    if (!st && c->sample_rate != o->rate) st = m8__resampler_new(&e->res, o->rate, c->sample_rate, err);
    return st;
}

static m8_status open_muxer(m8_encoder *e, m8_error *err)
{
    const struct m8__ffmpeg *ff = e->ff;
    const AVOutputFormat *muxer = ff->av_guess_format(e->format->muxer, NULL, NULL);
    if (!muxer) return m8_fail(err, M8_E_UNSUPPORTED, "this FFmpeg cannot write %s", e->format->muxer);
    e->mux = ff->avformat_alloc_context();
    uint8_t *buffer = ff->av_malloc(IO_BUFFER);
    if (buffer) e->io = ff->avio_alloc_context(buffer, IO_BUFFER, 1, e, NULL, to_sink, NULL);
    if (!e->io) ff->av_free(buffer);
    AVStream *s = e->mux && e->io ? ff->avformat_new_stream(e->mux, NULL) : NULL;
    if (!s) return m8_fail(err, M8_E_NOMEM, "encoder: out of memory");
    e->io->seekable = 0;
    e->mux->oformat = muxer;
    e->mux->pb = e->io;
    e->mux->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_FLUSH_PACKETS | AVFMT_FLAG_CUSTOM_IO;
    s->time_base = e->codec->time_base;
    m8_status st = av_status(e, ff->avcodec_parameters_from_context(s->codecpar, e->codec), err);
    if (st) return st;
    AVDictionary *opts = dict(e, e->format->muxer_opts);
    int code = ff->avformat_write_header(e->mux, &opts);
    ff->av_dict_free(&opts);
    ff->avio_flush(e->io);
    return av_status(e, code, err);
}

/* The codec is given the frame (NULL: the end); whatever packets it has are written out. */
static m8_status encode(m8_encoder *e, AVFrame *frame, m8_error *err)
{
    const struct m8__ffmpeg *ff = e->ff;
    m8_status st = av_status(e, ff->avcodec_send_frame(e->codec, frame), err);
    while (!st) {
        int code = ff->avcodec_receive_packet(e->codec, e->pkt);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) break;
        st = av_status(e, code, err);
        if (st) break;
        e->pkt->stream_index = 0;
        ff->av_packet_rescale_ts(e->pkt, e->codec->time_base, e->mux->streams[0]->time_base);
        code = ff->av_write_frame(e->mux, e->pkt);
        ff->av_packet_unref(e->pkt);
        if (code >= 0 && !e->n_packets++) code = ff->av_write_frame(e->mux, NULL); /* ogg: the first page waits for nothing */
        ff->avio_flush(e->io);
        st = av_status(e, code, err);
    }
    return st;
}

static m8_status send_frame(m8_encoder *e, m8_error *err)
{
    e->frame->nb_samples = e->filled;
    e->frame->pts = e->n_samples;
    e->n_samples += e->filled;
    e->filled = 0;
    m8_status st = encode(e, e->frame, err);
    if (st) return st;
    /* the codec may have kept the frame: then it keeps this memory, and we get new */
    e->frame->nb_samples = e->codec->frame_size;
    return av_status(e, e->ff->av_frame_make_writable(e->frame), err);
}

/* Samples at the codec's rate, clean; err of the push in progress is set by the caller. */
static m8_status fill(void *user, const float *samples, size_t n)
{
    m8_encoder *e = user;
    int size = e->codec->frame_size;
    while (n) {
        size_t part = (size_t)(size - e->filled);
        if (part > n) part = n;
        float *to = (float *)(void *)e->frame->data[0] + e->filled;
        for (size_t i = 0; i < part; i++) to[i] = fminf(fmaxf(samples[i], -1.0f), 1.0f);
        samples += part;
        n -= part;
        e->filled += (int)part;
        m8_status st = e->filled == size ? send_frame(e, NULL) : M8_OK;
        if (st) return st;
    }
    return M8_OK;
}

static m8_status wav_header(m8_encoder *e, int rate)
{
    const uint32_t unknown = 0xFFFFFFFF, hz = (uint32_t)rate, bytes = hz * 2;
    uint8_t h[44] = "RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0........\x02\0\x10\0data....";
    for (int i = 0; i < 4; i++) {
        h[4 + i] = h[40 + i] = (uint8_t)(unknown >> 8 * i);
        h[24 + i] = (uint8_t)(hz >> 8 * i);
        h[28 + i] = (uint8_t)(bytes >> 8 * i);
    }
    return e->sink.push(e->sink.user, h, sizeof h);
}

static m8_status wav_samples(m8_encoder *e, const float *samples, size_t n)
{
    uint8_t bytes[2 * BLOCK];
    for (size_t i = 0; i < n; i++) {
        int v = (int)lrintf(samples[i] * 32767.0f);
        bytes[2 * i] = (uint8_t)(v & 255);
        bytes[2 * i + 1] = (uint8_t)(v >> 8 & 255);
    }
    return e->sink.push(e->sink.user, bytes, 2 * n);
}

m8_status m8_encoder_open(m8_encoder **enc, const m8_encode_opts *opts, m8_bytes_sink out, m8_error *err)
{
    *enc = NULL;
    if (!opts || !out.push || (unsigned)opts->format >= sizeof formats / sizeof *formats)
        return m8_fail(err, M8_E_ARG, "encoder: a format and a sink are needed");
    if (opts->rate < RATE_LOW || opts->rate > RATE_HIGH)
        return m8_fail(err, M8_E_ARG, "encoder: expected a rate of %d to %d Hz, not %d", RATE_LOW, RATE_HIGH, opts->rate);
    if (opts->bit_rate && (opts->bit_rate < BIT_LOW || opts->bit_rate > BIT_HIGH))
        return m8_fail(err, M8_E_ARG, "encoder: expected %d to %d bits a second, not %d", BIT_LOW, BIT_HIGH, opts->bit_rate);
    m8_encoder *e = m8_calloc(1, sizeof *e);
    if (!e) return m8_fail(err, M8_E_NOMEM, "encoder: out of memory");
    e->format = &formats[opts->format];
    e->sink = out;
    m8_status st = M8_OK;
    if (!e->format->codec) {
        st = wav_header(e, opts->rate);
    } else {
        st = m8__ffmpeg(&e->ff, err);
        if (!st) st = open_codec(e, opts, err);
        if (!st) st = open_muxer(e, err);
    }
    if (st) {
        m8_encoder_close(e);
        return m8_fail(err, st, "encoder failed");
    }
    *enc = e;
    return M8_OK;
}

static m8_status push_clean(m8_encoder *e, const float *samples, size_t n, m8_error *err)
{
    if (!e->codec) return wav_samples(e, samples, n);
    if (!e->res) return fill(e, samples, n);
    return m8__resampler_push(e->res, samples, n, (m8_pcm_sink){fill, e}, err);
}

m8_status m8_encoder_push(m8_encoder *e, const float *samples, size_t n, m8_error *err)
{
    if (e->finished || (n && !samples)) return m8_fail(err, M8_E_ARG, "encoder: nothing can be pushed");
    float clean[BLOCK];
    while (n && !e->status) {
        size_t part = n < BLOCK ? n : BLOCK;
        for (size_t i = 0; i < part; i++) {
            float x = samples[i];
            clean[i] = isnan(x) ? 0.0f : fminf(fmaxf(x, -1.0f), 1.0f);
        }
        m8_status st = push_clean(e, clean, part, err);
        if (!e->status) e->status = st;
        samples += part;
        n -= part;
    }
    return e->status ? m8_fail(err, e->status, "encoder stopped") : M8_OK;
}

m8_status m8_encoder_finish(m8_encoder *e, m8_error *err)
{
    if (e->finished) return m8_fail(err, M8_E_ARG, "encoder: already finished");
    e->finished = true;
    m8_status st = e->status;
    if (!st && e->res) st = m8__resampler_push(e->res, NULL, 0, (m8_pcm_sink){fill, e}, err);
    if (!st && e->codec) {
        if (e->filled) st = send_frame(e, err);
        if (!st) st = encode(e, NULL, err);
        if (!st) st = av_status(e, e->ff->av_write_trailer(e->mux), err);
        if (!st) e->ff->avio_flush(e->io);
        if (!st) st = e->status;
    }
    if (!e->status) e->status = st;
    return st ? m8_fail(err, st, "encoder stopped") : M8_OK;
}

void m8_encoder_close(m8_encoder *e)
{
    if (!e) return;
    if (e->ff) {
        if (!e->status) e->status = M8_E_CANCELLED; /* from here on nothing reaches the sink */
        if (e->mux) e->ff->avformat_free_context(e->mux);
        if (e->io) {
            e->ff->av_free(e->io->buffer);
            e->ff->avio_context_free(&e->io);
        }
        if (e->codec) e->ff->avcodec_free_context(&e->codec);
        if (e->pkt) e->ff->av_packet_free(&e->pkt);
        if (e->frame) e->ff->av_frame_free(&e->frame);
    }
    m8__resampler_free(e->res);
    m8_free(e);
}
