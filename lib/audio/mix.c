/* A decoded frame, in any of FFmpeg's sample formats, as mono float32. */
#include "decode.h"

#include <math.h>

/* Add one channel to out; `step` is the distance between its samples. A sum, so that the average costs one pass a channel. */
#define ADD(type, expr)                                                                                                  \
    {                                                                                                                    \
        const type *s = (const type *)data + first;                                                                      \
        for (int i = 0; i < n; i++) {                                                                                    \
            type x = s[(size_t)i * step];                                                                                \
            out[i] += (expr);                                                                                            \
        }                                                                                                                \
        return true;                                                                                                     \
    }

static float clean(double x)
{
    return isfinite(x) ? (float)fmin(fmax(x, -1.0), 1.0) : 0.0f;
}

static bool add_channel(float *out, const void *data, enum AVSampleFormat packed, size_t first, size_t step, int n)
{
    switch (packed) {
    case AV_SAMPLE_FMT_U8: ADD(uint8_t, (float)(x - 128) * (1.0f / 128))
    case AV_SAMPLE_FMT_S16: ADD(int16_t, (float)x * (1.0f / 32768))
    case AV_SAMPLE_FMT_S32: ADD(int32_t, (float)x * (1.0f / 2147483648.0f))
    case AV_SAMPLE_FMT_S64: ADD(int64_t, (float)x * (1.0f / 9223372036854775808.0f))
    case AV_SAMPLE_FMT_FLT: ADD(float, clean((double)x))
    case AV_SAMPLE_FMT_DBL: ADD(double, clean(x))
    default: return false;
    }
}

bool m8__mix(const struct m8__ffmpeg *ff, float *out, const AVFrame *frame)
{
    enum AVSampleFormat format = (enum AVSampleFormat)frame->format;
    enum AVSampleFormat packed = ff->av_get_packed_sample_fmt(format);
    bool planar = ff->av_sample_fmt_is_planar(format);
    int n = frame->nb_samples, channels = frame->ch_layout.nb_channels;
    for (int i = 0; i < n; i++) out[i] = 0;
    for (int c = 0; c < channels; c++) {
        const void *data = frame->extended_data[planar ? c : 0];
        if (!add_channel(out, data, packed, planar ? 0 : (size_t)c, planar ? 1 : (size_t)channels, n)) return false;
    }
    float scale = 1.0f / (float)channels;
    for (int i = 0; channels > 1 && i < n; i++) out[i] *= scale;
    return true;
}
