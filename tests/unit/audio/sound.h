/* What the tests of audio share: bytes and samples collected, files of tests/data/audio-formats, a test sound. */
#ifndef SOUND_H
#define SOUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <m8/audio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PI 3.14159265358979323846

static inline m8_status into_buf(void *user, const void *data, size_t n)
{
    m8_buf_add(user, data, n);
    return ((m8_buf *)user)->status;
}

/* Of the processor: a machine that runs other things, too, is no fault of the decoder's. */
static inline double time_spent(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline m8_buf read_data(const char *name)
{
    m8_buf b = {0};
    m8_error err = {0};
    const char *dir = getenv("MAGIC8_TEST_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/audio-formats/%s", dir ? dir : "tests/data", name);
    if (m8_read_file(&b, path, &err)) fail_msg("%s", err.text);
    return b;
}

static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A sound with something in every band of speech, that never repeats: three gliding tones under a beat. New. */
static inline float *test_sound(size_t n, int rate)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / rate;
        double s = sin(2 * PI * (200 * t + 40 * t * t)) + 0.5 * sin(2 * PI * (900 * t + 90 * t * t)) +
                   0.25 * sin(2 * PI * (2100 * t - 60 * t * t));
        x[i] = (float)(0.4 * s * (0.6 + 0.4 * sin(2 * PI * 3.1 * t)));
    }
    return x;
}

/* Signal to noise of y against x [n], in dB, at the best gain: codecs may change the level a little. */
static inline double snr_db(const float *x, const float *y, size_t n)
{
    double xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (double)x[i] * x[i];
        xy += (double)x[i] * y[i];
        yy += (double)y[i] * y[i];
    }
    double signal = xx > 0 ? xy * xy / xx : 0, noise = yy - signal;
    return 10 * log10((signal + 1e-20) / (noise > 1e-20 ? noise : 1e-20));
}

#endif
