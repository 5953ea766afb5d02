/* What Whisper knows about text: its languages, ids to UTF-8, and how repetitive a text is. */
#include "whisper.h"
#include <string.h>
#include <zlib.h>

/* In the order of the ids; models before large-v3 lack the last. */
static const char *const languages[] = {
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi", "fi", "vi",
    "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la", "mi", "ml", "cy", "sk",
    "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy", "ne", "mn", "bs", "kk", "sq", "sw",
    "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be", "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo",
    "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl", "mg", "as", "tt", "haw", "ln", "ha", "ba", "jw", "su", "yue",
};
#define N_LANGUAGES (int)(sizeof languages / sizeof *languages)

const char *whisper_language_code(int index) { return index >= 0 && index < N_LANGUAGES ? languages[index] : NULL; }

int whisper_language_index(const char *code)
{
    for (int i = 0; i < N_LANGUAGES; i++) {
        if (!strcmp(code, languages[i])) return i;
    }
    return -1;
}

/* How many bytes of a valid UTF-8 character stand at s; 0: none. */
static size_t character(const unsigned char *s, size_t n)
{
    unsigned c = s[0];
    if (c < 0x80) return c != 0; /* a NUL would end the text */
    size_t len = c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (!len || len > n) return 0;
    unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
    }
    return len;
}

char *whisper_text(const m8_model *m, nn_run *r, const int *ids, int n)
{
    const struct whisper *w = m->impl;
    m8_buf bytes = {0}, text = {0};
    int state = 1; /* keep a leading blank */
    for (int i = 0; i < n; i++) {
        if (ids[i] < w->eot) m8__decode(m->tokenizer, ids[i], &state, &bytes);
    }
    for (size_t i = 0; i < bytes.len;) {
        size_t len = character((const unsigned char *)bytes.data + i, bytes.len - i);
        if (len) m8_buf_add(&text, bytes.data + i, len);
        else m8_buf_str(&text, "\xEF\xBF\xBD");
        i += len ? len : 1;
    }
    char *out = nn_take(r, text.len + 1);
    if (out && text.len) memcpy(out, text.data, text.len);
    if (out) out[text.len] = 0;
    if ((bytes.status || text.status) && !r->status) r->status = M8_E_NOMEM;
    m8_buf_finish(&bytes);
    m8_buf_finish(&text);
    return r->status ? NULL : out;
}

static void *take(void *user, unsigned n, unsigned size) { return m8_calloc(n, size); }
static void give(void *user, void *p) { m8_free(p); }

float whisper_compression(const char *text)
{
    size_t n = strlen(text);
    z_stream z = { .zalloc = take, .zfree = give };
    if (deflateInit(&z, Z_DEFAULT_COMPRESSION) != Z_OK) return -1;
    uLong room = deflateBound(&z, (uLong)n);
    unsigned char *out = m8_malloc(room);
    if (out) {
        z.next_in = (unsigned char *)(uintptr_t)text;
        z.avail_in = (unsigned)n;
        z.next_out = out;
        z.avail_out = (unsigned)room;
        deflate(&z, Z_FINISH);
    }
    float ratio = out && z.total_out ? (float)n / (float)z.total_out : -1;
    deflateEnd(&z);
    m8_free(out);
    return ratio;
}
