/* A recording in memory, opened by FFmpeg's demuxer: custom input, no protocol, no second file. */
#include "decode.h"

#include <string.h>

enum { IO_BUFFER = 32 << 10, MAX_STREAMS = 16 };

static int source_read(void *user, uint8_t *buf, int size)
{
    struct m8__source *s = user;
    size_t left = s->n - s->at;
    if (!left || size <= 0) return AVERROR_EOF;
    size_t n = left < (size_t)size ? left : (size_t)size;
    if (n > s->budget) return AVERROR(EIO);
    s->budget -= n;
    memcpy(buf, s->data + s->at, n);
    s->at += n;
    return (int)n;
}

static int64_t source_seek(void *user, int64_t off, int whence)
{
    struct m8__source *s = user;
    enum { COST = 64 }; /* a seek costs too, lest one that reads nothing go on for ever */
    if (whence & AVSEEK_SIZE) return (int64_t)s->n;
    if (s->budget < COST) return AVERROR(EIO);
    s->budget -= COST;
    whence &= ~AVSEEK_FORCE;
    int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)s->at : whence == SEEK_END ? (int64_t)s->n : -1;
    if (from < 0 || off < -from || off > (int64_t)s->n - from) return AVERROR(EINVAL);
    s->at = (size_t)(from + off);
    return (int64_t)s->at;
}

static int refuse_open(AVFormatContext *fmt, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)fmt, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

static void free_io(const struct m8__ffmpeg *ff, AVIOContext *io)
{
    if (!io) return;
    ff->av_free(io->buffer);
    ff->avio_context_free(&io);
}

m8_status m8__source_open(struct m8__source *src, const struct m8__ffmpeg *ff, const char *format, AVFormatContext **out,
                          m8_error *err)
{
    *out = NULL;
    const AVInputFormat *demuxer = ff->av_find_input_format(format);
    if (!demuxer) return m8_fail(err, M8_E_UNSUPPORTED, "this FFmpeg cannot read %s", format);
    AVFormatContext *fmt = ff->avformat_alloc_context();
    uint8_t *buffer = ff->av_malloc(IO_BUFFER);
    AVIOContext *io = NULL;
    if (fmt && buffer) io = ff->avio_alloc_context(buffer, IO_BUFFER, 0, src, source_read, NULL, source_seek);
    if (!io) {
        ff->av_free(buffer);
        ff->avformat_free_context(fmt);
        return m8_fail(err, M8_E_NOMEM, "decode: out of memory");
    }
    fmt->pb = io;
    fmt->io_open = refuse_open; /* belt; the empty list of protocols below is the braces */
    fmt->max_streams = MAX_STREAMS;
    fmt->skip_estimate_duration_from_pts = 1;
    AVDictionary *opts = NULL;
    ff->av_dict_set(&opts, "protocol_whitelist", "", 0);
    ff->av_dict_set(&opts, "format_whitelist", demuxer->name, 0);
    if (!strcmp(format, "mov")) {
        ff->av_dict_set(&opts, "enable_drefs", "0", 0);
        ff->av_dict_set(&opts, "use_absolute_path", "0", 0);
    }
    int code = ff->avformat_open_input(&fmt, "", demuxer, &opts); /* frees fmt where it fails, but not our io */
    ff->av_dict_free(&opts);
    if (code < 0) {
        free_io(ff, io);
        return m8__ffmpeg_fail(ff, code, M8_E_FORMAT, format, err);
    }
    *out = fmt;
    return M8_OK;
}

void m8__source_close(const struct m8__ffmpeg *ff, AVFormatContext **fmt)
{
    if (!*fmt) return;
    AVIOContext *io = (*fmt)->pb;
    ff->avformat_close_input(fmt);
    free_io(ff, io);
}
