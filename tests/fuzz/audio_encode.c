/* Any samples in any pieces, at any rate, in any format. Bytes: format, rate (2), bit rate (2), what the sink does,
 * then pieces: a length, and as many floats, taken as they are. The same samples in one piece must give the same bytes. */
#include <m8/audio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 << 10, HEAD = 6 };

struct got {
    m8_buf bytes;
    int left; /* pushes until the sink says stop; below 0: never */
};

static m8_status take(void *user, const void *data, size_t n)
{
    struct got *g = user;
    if (!g->left) return M8_E_CANCELLED;
    g->left--;
    m8_buf_add(&g->bytes, data, n);
    return g->bytes.status;
}

static m8_status encode(struct got *g, const uint8_t *head, const uint8_t *data, size_t n, bool in_pieces)
{
    static float x[MOST / 4 + 64];
    m8_encode_opts o = {.format = (m8_audio_format)(head[0] % 5)};
    o.rate = head[1] << 8 | head[2];
    o.bit_rate = (head[3] << 8 | head[4]) * 8;
    m8_encoder *e;
    m8_error err = {0};
    m8_status st = m8_encoder_open(&e, &o, (m8_bytes_sink){take, g}, &err);
    size_t filled = 0;
    while (!st && n) {
        size_t want = data[0] * 4u, have = n - 1 < want ? n - 1 : want;
        size_t count = (have + 3) / 4;
        memset(x + filled, 0, count * 4);
        memcpy(x + filled, data + 1, have);
        data += 1 + have;
        n -= 1 + have;
        if (in_pieces) st = m8_encoder_push(e, x, count, &err);
        else filled += count;
    }
    if (!st && !in_pieces) st = m8_encoder_push(e, x, filled, &err);
    if (!st) st = m8_encoder_finish(e, &err);
    m8_encoder_close(e);
    if ((int)st != err.status) abort();
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD || n > MOST) return 0;
    struct got one = {.left = data[5] ? data[5] : -1}, two = {.left = -1};
    m8_status st = encode(&one, data, data + HEAD, n - HEAD, true);
    if (st != M8_OK && st != M8_E_ARG && st != M8_E_CANCELLED) abort();
    if (!st && encode(&two, data, data + HEAD, n - HEAD, false)) abort();
    if (!st && (one.bytes.len != two.bytes.len || (one.bytes.len && memcmp(one.bytes.data, two.bytes.data, one.bytes.len)))) abort();
    m8_buf_finish(&one.bytes);
    m8_buf_finish(&two.bytes);
    return 0;
}
