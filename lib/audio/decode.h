/* What the files behind m8_audio_decode share. */
#ifndef M8__DECODE_H
#define M8__DECODE_H

#include "ffmpeg.h"

/** FFmpeg's name of the format, told by the first bytes; NULL: none of ours. *skip: where the sound begins, past ID3 tags. */
const char *m8__sniff(const uint8_t *p, size_t n, size_t *skip);

/** Length of the MPEG layer III frame whose header is at p, and what it holds; 0: there is none. */
size_t m8__mp3_frame(const uint8_t *p, size_t n, int *rate_hz, int *n_samples, int *n_channels);

/** The bytes as FFmpeg reads them: in memory, with a budget, so that a file which makes a demuxer read in circles ends. */
struct m8__source {
    const uint8_t *data;
    size_t n, at;
    uint64_t budget;
};
/** Open them with just that demuxer; nothing outside the bytes can be reached. */
m8_status m8__source_open(struct m8__source *src, const struct m8__ffmpeg *ff, const char *format, AVFormatContext **out,
                          m8_error *err);
void m8__source_close(const struct m8__ffmpeg *ff, AVFormatContext **fmt);

/** Average the channels of a decoded frame into out [frame->nb_samples], whatever its sample format; NaN and infinities
 *  become 0, the rest is clamped to [-1, 1]. False: a format that is not sound. */
bool m8__mix(const struct m8__ffmpeg *ff, float *out, const AVFrame *frame);

#endif
