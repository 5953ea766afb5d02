/* A voice on a thread of its own: clauses go in as they are found, encoded sound comes out as it is made. */
#ifndef APP_VOICE_H
#define APP_VOICE_H

#include "options.h"
#include <m8/audio.h>
#include <m8/infer.h>

struct voice;

struct voice_opts {
    m8_status (*model)(void *user, m8_model **tts, m8_error *err); /* gives the model when it is needed, on the voice's thread */
    void *user;
    m8_speak_opts speak;
    m8_encode_opts encode; /* its rate is taken from the model */
};

/* What the command line says of the voice. */
m8_speak_opts voice_speak_opts(const struct options *o);
/* The seed that a voice takes when none was given: as the original, 42 for Parler-TTS. */
uint64_t voice_seed(const m8_model *tts, uint64_t given);

struct voice_times {
    double first_pcm, first_byte, last_byte; /* m8_now_s(); 0: never */
    double audio_s;                          /* seconds of sound */
    size_t bytes;
};

/* Starts the thread. out is called on it. */
m8_status voice_start(struct voice **v, const struct voice_opts *opts, m8_bytes_sink out, m8_error *err);
/* Say this too, after what was said before; returns at once. What went wrong so far comes back here. Parler-TTS, whose melody is that of
 * the whole, begins at voice_end. */
m8_status voice_say(struct voice *v, const char *text, size_t n);
/* Wait until all is said (or, with cancel, stop at the next chunk), end the thread and free the voice. */
m8_status voice_end(struct voice *v, bool cancel, struct voice_times *times, m8_error *err);

#endif
