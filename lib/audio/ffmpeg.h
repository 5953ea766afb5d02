/* FFmpeg as this folder sees it: a table of its functions, filled when sound is first needed. */
#ifndef M8__FFMPEG_H
#define M8__FFMPEG_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <m8/base.h>

/* Only functions are listed: FFmpeg's inline helpers come with its headers, and it has no variables that we need. */
#define M8__FFMPEG_CALLS(X)                                                                                              \
    X(avutil, av_channel_layout_default)                                                                                 \
    X(avutil, av_dict_free)                                                                                              \
    X(avutil, av_dict_set)                                                                                               \
    X(avutil, av_frame_alloc)                                                                                            \
    X(avutil, av_frame_free)                                                                                             \
    X(avutil, av_frame_get_buffer)                                                                                       \
    X(avutil, av_frame_make_writable)                                                                                    \
    X(avutil, av_frame_unref)                                                                                            \
    X(avutil, av_free)                                                                                                   \
    X(avutil, av_get_packed_sample_fmt)                                                                                  \
    X(avutil, av_log_set_callback)                                                                                       \
    X(avutil, av_malloc)                                                                                                 \
    X(avutil, av_max_alloc)                                                                                              \
    X(avutil, av_opt_set_chlayout)                                                                                       \
    X(avutil, av_opt_set_double)                                                                                         \
    X(avutil, av_opt_set_int)                                                                                            \
    X(avutil, av_sample_fmt_is_planar)                                                                                   \
    X(avutil, av_strerror)                                                                                               \
    X(swresample, swr_alloc)                                                                                             \
    X(swresample, swr_convert)                                                                                           \
    X(swresample, swr_free)                                                                                              \
    X(swresample, swr_init)                                                                                              \
    X(avcodec, av_packet_alloc)                                                                                          \
    X(avcodec, av_packet_free)                                                                                           \
    X(avcodec, av_packet_rescale_ts)                                                                                     \
    X(avcodec, av_packet_unref)                                                                                          \
    X(avcodec, avcodec_alloc_context3)                                                                                   \
    X(avcodec, avcodec_find_decoder)                                                                                     \
    X(avcodec, avcodec_find_decoder_by_name)                                                                             \
    X(avcodec, avcodec_find_encoder_by_name)                                                                             \
    X(avcodec, avcodec_free_context)                                                                                     \
    X(avcodec, avcodec_open2)                                                                                            \
    X(avcodec, avcodec_parameters_from_context)                                                                          \
    X(avcodec, avcodec_parameters_to_context)                                                                            \
    X(avcodec, avcodec_receive_frame)                                                                                    \
    X(avcodec, avcodec_receive_packet)                                                                                   \
    X(avcodec, avcodec_send_frame)                                                                                       \
    X(avcodec, avcodec_send_packet)                                                                                      \
    X(avformat, av_find_input_format)                                                                                    \
    X(avformat, av_guess_format)                                                                                         \
    X(avformat, av_read_frame)                                                                                           \
    X(avformat, av_write_frame)                                                                                          \
    X(avformat, av_write_trailer)                                                                                        \
    X(avformat, avformat_alloc_context)                                                                                  \
    X(avformat, avformat_close_input)                                                                                    \
    X(avformat, avformat_free_context)                                                                                   \
    X(avformat, avformat_new_stream)                                                                                     \
    X(avformat, avformat_open_input)                                                                                     \
    X(avformat, avformat_write_header)                                                                                   \
    X(avformat, avio_alloc_context)                                                                                      \
    X(avformat, avio_context_free)                                                                                       \
    X(avformat, avio_flush)

/* __typeof__, so that a pointer cannot differ from the declaration that it stands for. */
struct m8__ffmpeg {
#define X(lib, name) __typeof__(name) *name;
    M8__FFMPEG_CALLS(X)
#undef X
};

/** The table, loading FFmpeg's libraries at the first call (20 to 60 ms: they draw in some 130 others); any thread.
 *  Returns M8_E_UNSUPPORTED where they are missing. They stay loaded.
 *  From then on FFmpeg's log goes to m8_log at M8_LOG_DEBUG (what it says is about the sound, not about the program), and no
 *  single allocation of FFmpeg's may pass 128 MiB. FFmpeg allocates by its own av_malloc, which cannot be led through
 *  m8_sys: a test that makes allocations fail reaches our own calls, not FFmpeg's. Both settings hold for the process. */
m8_status m8__ffmpeg(const struct m8__ffmpeg **out, m8_error *err);

/** What FFmpeg's negative return means: M8_E_NOMEM for ENOMEM, else st; its words go behind `what`. */
m8_status m8__ffmpeg_fail(const struct m8__ffmpeg *ff, int code, m8_status st, const char *what, m8_error *err);

/* ---- resample.c: the resampler that decode.c and encode.c share ---- */

/** Mono float32 from one rate to another, in pieces. The delay of the filter is taken out: sample 0 stays sample 0, and
 *  all pieces together give ceil(n * rate_out / rate_in) samples. The same rate passes the samples on as they are. */
typedef struct m8__resampler m8__resampler;
m8_status m8__resampler_new(m8__resampler **out, int rate_in, int rate_out, m8_error *err); /* rates: 1,000 to 384,000 */
/** out gets what is ready; samples NULL: the end, the rest of the sound, after which nothing may be pushed. */
m8_status m8__resampler_push(m8__resampler *r, const float *samples, size_t n, m8_pcm_sink out, m8_error *err);
void m8__resampler_free(m8__resampler *r);

#endif
