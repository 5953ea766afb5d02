/** m8/audio.h - sound in and out: decode whatever a browser or a phone records, resample, encode as it grows.
 *  Errors, memory and sinks as m8/base.h says. Nothing here opens a file or a network address. */
#ifndef M8_AUDIO_H
#define M8_AUDIO_H

#include <m8/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Load FFmpeg's libraries now, not at the first call that needs them: 20 to 60 ms, which a program that will need sound can
 *  spend on another thread while its models load. Never required; any thread, any number of times. WAV is written without them.
 *  returns M8_OK, M8_E_UNSUPPORTED (not installed, or too old). */
M8_API m8_status m8_audio_load(m8_error *err);

typedef struct m8_decode_opts {
    int rate;     /* Hz of the result; 0: 16000; negative: the sound's own */
    double max_s; /* longer sound is cut there; 0: 60 */
    m8_cancel *cancel; /* ends the call from another thread; NULL: none */
} m8_decode_opts;

/** Decode a recording (webm or ogg with opus or vorbis, wav, mp3, m4a/mp4 with aac, flac) from memory into mono float32.
 *  data   borrowed for the call. The format is told by its bytes, never by a name.
 *  out    new samples, channels averaged, resampled to opts->rate, clamped to [-1, 1]; m8_pcm_finish() frees them.
 *         Damage after the first second of good sound ends the sound there; damage before it is an error.
 *  returns M8_OK, M8_E_ARG (no data), M8_E_FORMAT (not one of these formats, damaged, or no sound in it), M8_E_NOMEM.
 *  Any thread; opts may be NULL. */
M8_API m8_status m8_audio_decode(m8_pcm *out, const void *data, size_t n, const m8_decode_opts *opts, m8_error *err);

/** The same in a process of its own (m8/base.h, m8_proc), for sound that strangers send: it has no network and no files, may use
 *  1 GiB of memory and 10 s for one recording, and what a damaged file does to it is the end of the decodings in flight there,
 *  M8_E_IO; it is started again at once. Kept open, a call costs little more than m8_audio_decode. opts may be NULL. */
typedef struct m8_audio_worker m8_audio_worker;
M8_API m8_status m8_audio_worker_open(m8_audio_worker **out, const m8_proc_opts *opts, m8_error *err);
/** Any thread. returns what m8_audio_decode does, M8_E_LIMIT (more than 1 GiB of data), M8_E_TIMEOUT, M8_E_IO, M8_E_BUSY. */
M8_API m8_status m8_audio_worker_decode(m8_audio_worker *w, m8_pcm *out, const void *data, size_t n, const m8_decode_opts *opts,
                                        m8_error *err);
M8_API m8_proc_info m8_audio_worker_about(const m8_audio_worker *w);
M8_API void m8_audio_worker_close(m8_audio_worker *w); /* no call may be in flight */
extern M8_API const m8_service m8_audio_service;       /* for m8_proc_serve, in the other process */

/** Resample mono sound; out is new. */
M8_API m8_status m8_resample(m8_pcm *out, const float *samples, size_t n, int rate_in, int rate_out, m8_error *err);

typedef enum m8_audio_format { M8_MP3, M8_AAC /* ADTS */, M8_OPUS /* in ogg */, M8_WAV /* 16 bit */ } m8_audio_format;

typedef struct m8_encode_opts {
    m8_audio_format format;
    int rate;     /* Hz of the samples pushed; required. 8000..48000 */
    int bit_rate; /* bits a second; 0: 64000 */
    bool fast;    /* AAC: half the work for the same bits, see encode.c; the others: the same */
} m8_encode_opts;

/** One encoder for one stream of sound, however many pushes it comes in: no gap, no padding at chunk borders. */
typedef struct m8_encoder m8_encoder;

/** out receives the encoded bytes as soon as they are ready, from within push and finish. WAV to a stream has the length
 *  0xFFFFFFFF in its header. The same samples give the same bytes however they are cut into pushes.
 *  returns M8_OK, M8_E_ARG (rate), M8_E_UNSUPPORTED (encoder missing in this FFmpeg), M8_E_NOMEM. */
M8_API m8_status m8_encoder_open(m8_encoder **enc, const m8_encode_opts *opts, m8_bytes_sink out, m8_error *err);
/** Mono float32 in [-1, 1]; NaN counts as 0, what is outside is clamped. Returns the sink's status if it is not M8_OK. */
M8_API m8_status m8_encoder_push(m8_encoder *enc, const float *samples, size_t n, m8_error *err);
M8_API m8_status m8_encoder_finish(m8_encoder *enc, m8_error *err); /* the last bytes; push no more */
M8_API void m8_encoder_close(m8_encoder *enc);

/** "mp3", "wav", "ogg", "matroska", "mov", "flac": what m8_audio_decode would take these bytes for; NULL: for none of its formats. Static. */
M8_API const char *m8_audio_sniff(const void *data, size_t n);

/** MP3 that comes in pieces, cut anywhere: its frames, whole, and its sound, without a gap at the cuts. A decoder's state goes on from piece to piece; where
 *  another file begins (an Info frame tells it) the silence that its encoder put around it is taken off. Tags and damage are passed over. */
typedef struct m8_mp3 m8_mp3;
typedef struct m8_mp3_opts {
    m8_bytes_sink frames; /* push NULL: not wanted. Frames of sound as they came, those of one m8_mp3_push at once */
    m8_pcm_sink sound;    /* mono, at the first frame's rate, see m8_mp3_rate() */
    /** Decode whole files elsewhere (m8_audio_worker_decode); NULL: here, as it comes. */
    m8_status (*decode)(void *user, m8_pcm *out, const void *data, size_t n, int rate, m8_error *err);
    void *user;
} m8_mp3_opts;
M8_API m8_status m8_mp3_open(m8_mp3 **out, const m8_mp3_opts *opts, m8_error *err);
/** returns M8_OK, a sink's status, M8_E_FORMAT (what should be sound cannot be decoded; what follows may), M8_E_UNSUPPORTED, M8_E_NOMEM. */
M8_API m8_status m8_mp3_push(m8_mp3 *m, const void *data, size_t n, m8_error *err);
M8_API int m8_mp3_rate(const m8_mp3 *m);    /* Hz; 0: no frame has come */
M8_API int m8_mp3_n_files(const m8_mp3 *m); /* Info frames so far */
M8_API void m8_mp3_close(m8_mp3 *m);

M8_API const char *m8_audio_mime(m8_audio_format format);                    /* "audio/mpeg" */
M8_API bool m8_audio_format_of(m8_audio_format *out, const char *file_name); /* by its ending; false: none known */

#ifdef __cplusplus
}
#endif
#endif
