/* speak VOICE TEXT FILE: speech, encoded in the format of the file's ending and written while it is being made. */
#include <m8/audio.h>
#include <m8/infer.h>
#include <stdio.h>

static m8_status write_bytes(void *file, const void *data, size_t n) { return fwrite(data, 1, n, file) == n ? M8_OK : M8_E_IO; }
static m8_status encode(void *enc, const float *samples, size_t n) { return m8_encoder_push(enc, samples, n, NULL); }

int main(int argc, char **argv)
{
    m8_encode_opts opts = {0};
    if (argc != 4 || !m8_audio_format_of(&opts.format, argv[3])) return fprintf(stderr, "usage: speak VOICE TEXT FILE.mp3\n"), 2;
    m8_error err = {0};
    m8_model *voice = NULL;
    m8_encoder *enc = NULL;
    FILE *file = fopen(argv[3], "wb");
    m8_status st = file ? m8_open(&voice, argv[1], NULL, &err) : m8_fail_errno(&err, M8_E_IO, "writing %s", argv[3]);
    if (!st) opts.rate = m8_speak_rate(voice);
    if (!st) st = m8_encoder_open(&enc, &opts, (m8_bytes_sink){ write_bytes, file }, &err);
    if (!st) st = m8_speak(voice, argv[2], NULL, (m8_pcm_sink){ encode, enc }, &err);
    if (!st) st = m8_encoder_finish(enc, &err);
    if (file && fclose(file) && !st) st = m8_fail_errno(&err, M8_E_IO, "writing %s", argv[3]);
    if (st) fprintf(stderr, "speak: %s\n", m8_error_text(&err));
    m8_encoder_close(enc);
    m8_close(voice);
    return st ? 1 : 0;
}
