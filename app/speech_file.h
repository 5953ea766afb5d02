/* Where speech is written: a file that is removed unless it was finished, or standard output. */
#ifndef APP_SPEECH_FILE_H
#define APP_SPEECH_FILE_H

#include <m8/audio.h>
#include <stdio.h>

struct speech_file {
    FILE *f;
    const char *path; /* borrowed; NULL: standard output */
    m8_audio_format format;
    int error; /* errno of a failed write */
};

/* path "-": standard output, as MP3. The file is made when the first byte comes; that it can be is known
 * now. */
m8_status speech_file_init(struct speech_file *s, const char *path, m8_error *err);
m8_bytes_sink speech_file_sink(struct speech_file *s);
/* Keep the file (st is M8_OK), or remove what there is of it. A failed write is told in err, which must not be set yet. Returns the first
 * failure. */
m8_status speech_file_end(struct speech_file *s, m8_status st, m8_error *err);

#endif
