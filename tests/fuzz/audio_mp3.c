/* Any bytes as mp3 in pieces: the same frames and as many samples however they are cut, in bounded time. The first byte says where. */
#include <m8/audio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 << 10 };

struct got {
    m8_buf frames;
    size_t samples;
};

static m8_status frames(void *user, const void *data, size_t n)
{
    m8_buf_add(user, data, n);
    return ((m8_buf *)user)->status;
}

static m8_status sound(void *user, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(x[i] >= -1 && x[i] <= 1)) abort();
    ((struct got *)user)->samples += n;
    return M8_OK;
}

static void run(const uint8_t *data, size_t n, size_t piece, struct got *g)
{
    m8_mp3 *m;
    if (m8_mp3_open(&m, &(m8_mp3_opts){ .frames = { frames, &g->frames }, .sound = { sound, g } }, NULL)) abort();
    for (size_t at = 0; at < n; at += piece) {
        m8_error err = {0};
        m8_status st = m8_mp3_push(m, data + at, n - at < piece ? n - at : piece, &err);
        if (st != M8_OK && st != M8_E_FORMAT) abort();
        if ((int)st != err.status) abort();
    }
    m8_mp3_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > MOST) return 0;
    struct got one = {0};
    run(data + 1, n - 1, (size_t)data[0] * 16 + 1, &one);
    if (one.frames.len > n) abort();
    m8_buf_finish(&one.frames);
    return 0;
}
