/* Which of the few formats some bytes are: told by the bytes alone, before FFmpeg sees any of them. */
#include "decode.h"
#include <m8/audio.h>

#include <string.h>

static bool at(const uint8_t *p, size_t n, size_t off, const char *word, size_t len)
{
    return n >= off + len && !memcmp(p + off, word, len);
}
#define AT(off, word) at(p, n, off, word, sizeof(word) - 1)

/* ID3v2 tags are passed over here, so that FFmpeg's reader of them (pictures, compressed frames) is never used. */
static size_t skip_id3(const uint8_t *p, size_t n)
{
    size_t off = 0;
    while (n - off >= 10 && !memcmp(p + off, "ID3", 3)) {
        const uint8_t *h = p + off;
        size_t size = 10 + ((size_t)(h[6] & 127) << 21 | (size_t)(h[7] & 127) << 14 | (size_t)(h[8] & 127) << 7 | (h[9] & 127));
        if (h[5] & 0x10) size += 10; /* a footer */
        if (size > n - off) return n;
        off += size;
    }
    return off;
}

size_t m8__mp3_frame(const uint8_t *p, size_t n, int *rate_hz, int *n_samples, int *n_channels)
{
    static const uint16_t kbits[2][16] = {{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
                                          {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}};
    static const int rates[3] = {44100, 48000, 32000};
    if (n < 4 || p[0] != 0xFF || (p[1] & 0xE6) != 0xE2) return 0; /* sync, layer III */
    int version = p[1] >> 3 & 3;                                  /* 0: 2.5, 2: 2, 3: 1 */
    int rate = p[2] >> 2 & 3, v1 = version == 3;
    if (version == 1 || rate == 3 || !kbits[v1][p[2] >> 4]) return 0;
    int hz = rates[rate] >> (v1 ? 0 : version == 2 ? 1 : 2);
    *rate_hz = hz;
    *n_samples = v1 ? 1152 : 576;
    *n_channels = p[3] >> 6 == 3 ? 1 : 2;
    return (size_t)((v1 ? 144000 : 72000) * kbits[v1][p[2] >> 4] / hz + (p[2] >> 1 & 1));
}

static size_t mp3_frame(const uint8_t *p, size_t n)
{
    int rate, samples, channels;
    return m8__mp3_frame(p, n, &rate, &samples, &channels);
}

/* An mp3 may begin in the middle of a frame (cut from a stream), so look some way in; two headers in a row, or one frame
 * at the very start of a short file. */
static bool is_mp3(const uint8_t *p, size_t n)
{
    enum { LOOK = 4096 };
    if (mp3_frame(p, n) && mp3_frame(p, n) >= n) return true;
    for (size_t i = 0; i + 4 <= n && i < LOOK; i++) {
        size_t len = mp3_frame(p + i, n - i);
        if (len && len < n - i && mp3_frame(p + i + len, n - i - len)) return true;
        if (len && !i && len + 4 > n) return true;
    }
    return false;
}

const char *m8__sniff(const uint8_t *p, size_t n, size_t *skip)
{
    size_t id3 = skip_id3(p, n);
    *skip = id3;
    p += id3;
    n -= id3;
    if (AT(0, "fLaC")) return "flac";
    if (id3) return is_mp3(p, n) ? "mp3" : NULL;
    if ((AT(0, "RIFF") || AT(0, "RF64")) && AT(8, "WAVE")) return "wav";
    if (AT(0, "OggS")) return "ogg";
    if (AT(0, "\x1A\x45\xDF\xA3")) return "matroska";
    if (AT(4, "ftyp") || AT(4, "moov") || AT(4, "mdat") || AT(4, "styp") || AT(4, "wide") || AT(4, "free") || AT(4, "skip"))
        return "mov";
    return is_mp3(p, n) ? "mp3" : NULL;
}

const char *m8_audio_sniff(const void *data, size_t n)
{
    size_t skip;
    return n ? m8__sniff(data, n, &skip) : NULL;
}
