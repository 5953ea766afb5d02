/* Any bytes as a recording: a status, in bounded time and memory. */
#include <m8/audio.h>
#include <stdlib.h>

enum { MOST = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > MOST) return 0;
    m8_error err = {0};
    m8_pcm out;
    m8_status st = m8_audio_decode(&out, data, n, &(m8_decode_opts){.max_s = 10}, &err);
    if ((int)st != err.status || !st != !!out.n_samples || out.n_samples > 160000) abort();
    for (size_t i = 0; i < out.n_samples; i++)
        if (!(out.samples[i] >= -1 && out.samples[i] <= 1)) abort();
    m8_pcm_finish(&out);
    return 0;
}
