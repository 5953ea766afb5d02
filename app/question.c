#include "question.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MOST_BYTES (256u << 20)

m8_status read_sound(m8_pcm *pcm, const char *arg, double max_s, m8_error *err)
{
    m8_buf bytes = { .limit = MOST_BYTES };
    m8_status st = m8_read_file(&bytes, arg, err);
    if (!st) {
        st = m8_audio_decode(pcm, bytes.data, bytes.len, &(m8_decode_opts){ .max_s = max_s }, err);
        if (st) m8_wrap(err, st, "%s", strcmp(arg, "-") ? arg : "standard input");
    }
    m8_buf_finish(&bytes);
    return st;
}

static char *trimmed(const char *s, size_t n)
{
    while (n && isspace((unsigned char)s[0])) s++, n--;
    while (n && isspace((unsigned char)s[n - 1])) n--;
    return m8_strndup(s, n);
}

m8_status read_text(char **text, const char *arg, m8_error *err)
{
    m8_buf bytes = { .limit = 1 << 20 };
    m8_status st = strcmp(arg, "-") ? M8_OK : m8_read_file(&bytes, "-", err);
    if (!st && memchr(bytes.data ? bytes.data : "", 0, bytes.len)) st = m8_fail(err, M8_E_FORMAT, "standard input: not a text");
    if (!st) {
        *text = strcmp(arg, "-") ? trimmed(arg, strlen(arg)) : trimmed(bytes.data ? bytes.data : "", bytes.len);
        if (!*text) st = m8_fail(err, M8_E_NOMEM, "reading the text");
    }
    m8_buf_finish(&bytes);
    return st;
}

/* Is this the name of a file rather than a question? */
static bool like_a_file(const char *arg)
{
    m8_audio_format unused;
    const char *dot = strrchr(arg, '.');
    if (m8_is_file(arg) || m8_is_dir(arg)) return true;
    if (strchr(arg, ' ')) return false;
    static const char *const endings[] = { ".webm", ".m4a", ".mp4", ".flac", ".opus", ".mkv", ".oga" };
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++) {
        if (!strcasecmp(dot, endings[i])) return true;
    }
    return strchr(arg, '/') || m8_audio_format_of(&unused, arg);
}

static m8_status from_stdin(char **text, m8_pcm *pcm, m8_error *err)
{
    m8_buf bytes = { .limit = MOST_BYTES };
    m8_error why = {0};
    m8_status st = m8_read_file(&bytes, "-", err);
    if (!st) st = m8_audio_decode(pcm, bytes.data, bytes.len, NULL, &why);
    bool is_text = st && bytes.len && bytes.len < 10000 && !memchr(bytes.data, 0, bytes.len);
    for (size_t i = 0; is_text && i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c < 0x20 && !isspace(c)) is_text = false;
    }
    if (is_text) {
        *text = trimmed(bytes.data, bytes.len);
        st = *text ? M8_OK : m8_fail(err, M8_E_NOMEM, "reading the question");
    } else if (st) {
        m8_fail(err, st, "standard input: %s", m8_error_text(&why));
    }
    m8_buf_finish(&bytes);
    return st;
}

bool may_be_sound(const char *arg) { return !strcmp(arg, "-") || like_a_file(arg); }

m8_status read_question(char **text, m8_pcm *pcm, const char *arg, m8_error *err)
{
    *text = NULL;
    *pcm = (m8_pcm){0};
    if (!strcmp(arg, "-")) return from_stdin(text, pcm, err);
    return like_a_file(arg) ? read_sound(pcm, arg, 60, err) : read_text(text, arg, err);
}
