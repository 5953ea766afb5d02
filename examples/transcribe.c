/* transcribe MODEL RECORDING: write down what is said, each segment with its times as soon as it is found. */
#include <m8/audio.h>
#include <m8/infer.h>
#include <stdio.h>

static m8_status print(void *user, const m8_segment *s)
{
    return printf("%6.2f %6.2f %s\n", s->start_s, s->end_s, s->text) < 0 || fflush(stdout) ? M8_E_IO : M8_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: transcribe MODEL RECORDING\n"), 2;
    m8_error err = {0};
    m8_buf file = {0};
    m8_pcm pcm = {0};
    m8_model *asr = NULL;
    m8_status st = m8_open(&asr, argv[1], NULL, &err);
    if (!st) st = m8_read_file(&file, argv[2], &err);
    if (!st) st = m8_audio_decode(&pcm, file.data, file.len, NULL, &err);
    if (!st) st = m8_transcribe(asr, pcm.samples, pcm.n_samples, NULL, (m8_segment_sink){ print, NULL }, NULL, &err);
    if (st) fprintf(stderr, "transcribe: %s\n", m8_error_text(&err));
    m8_pcm_finish(&pcm);
    m8_buf_finish(&file);
    m8_close(asr);
    return st ? 1 : 0;
}
