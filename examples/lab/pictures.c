/* Small PNG files of one colour, and the sounds. */
#include "lab.h"
#include <m8/audio.h>
#include <math.h>
#include <string.h>
#include <zlib.h>

enum { SIDE = 8, RATE = 44100 };

static void number(m8_buf *out, unsigned long x)
{
    for (int shift = 24; shift >= 0; shift -= 8) m8_buf_chr(out, (char)(x >> shift));
}

/* length, type, data, checksum of the last two (PNG specification, 5.3) */
static void chunk(m8_buf *out, const char *type, const void *data, size_t n)
{
    number(out, (unsigned long)n);
    size_t at = out->len;
    m8_buf_add(out, type, 4);
    m8_buf_add(out, data, n);
    if (!out->status) number(out, crc32(0, (const unsigned char *)out->data + at, (unsigned)(n + 4)));
}

static void png(m8_buf *out, const unsigned char rgb[3])
{
    unsigned char rows[SIDE * (1 + 3 * SIDE)] = {0}, packed[sizeof rows + 64];
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++)
            memcpy(rows + y * (1 + 3 * SIDE) + 1 + 3 * x, rgb, 3); /* the first byte of a row: no filter */
    }
    uLongf n = sizeof packed;
    if (compress(packed, &n, rows, sizeof rows) != Z_OK) out->status = M8_E_INTERNAL;
    m8_buf_add(out, "\x89PNG\r\n\x1a\n", 8);
    chunk(out, "IHDR", (const char[]){ 0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 2, 0, 0, 0 }, 13); /* 8 bits, red green blue */
    chunk(out, "IDAT", packed, n);
    chunk(out, "IEND", "", 0);
}

m8_status lab_pictures(struct lab *lab, m8_error *err)
{
    png(&lab->red, (const unsigned char[]){ 255, 0, 0 });
    png(&lab->blue, (const unsigned char[]){ 0, 0, 255 });
    m8_status st = lab->red.status ? lab->red.status : lab->blue.status;
    return st ? m8_fail(err, st, "making pictures") : M8_OK;
}

static m8_status add_bytes(void *out, const void *data, size_t n)
{
    m8_buf_add(out, data, n);
    return ((m8_buf *)out)->status;
}

static m8_status tone_of(m8_buf *out, double hertz, m8_error *err)
{
    m8_encoder *enc = NULL;
    float *samples = m8_calloc(RATE, sizeof *samples);
    if (!samples) return m8_fail(err, M8_E_NOMEM, "making a tone");
    for (int i = 0; i < RATE; i++) samples[i] = 0.125f * sinf((float)(2 * M_PI * hertz * i / RATE));
    m8_status st = m8_encoder_open(&enc, &(m8_encode_opts){ .format = M8_MP3, .rate = RATE },
                                   (m8_bytes_sink){ add_bytes, out }, err);
    if (!st) st = m8_encoder_push(enc, samples, RATE, err);
    if (!st) st = m8_encoder_finish(enc, err);
    m8_encoder_close(enc);
    m8_free(samples);
    return st;
}

/* Made when they are first wanted: a server should answer at once. */
m8_status lab_tones(struct lab *lab, m8_error *err)
{
    m8_status st = M8_OK;
    pthread_mutex_lock(&lab->lock);
    for (int i = 0; i < 4 && !st; i++) {
        if (lab->tones[i].len) continue;
        st = tone_of(&lab->tones[i], 300 + 100 * i, err);
        if (st) m8_buf_finish(&lab->tones[i]);
    }
    pthread_mutex_unlock(&lab->lock);
    return st;
}

void lab_finish(struct lab *lab)
{
    for (int i = 0; i < 4; i++) m8_buf_finish(&lab->tones[i]);
    m8_buf_finish(&lab->red);
    m8_buf_finish(&lab->blue);
}
