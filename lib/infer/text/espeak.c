/* The only file that sees espeak-ng. Its state is one set of globals, so there is one lock, and the voice is set again when
 * another one was used before.
 *
 * Traps: without DONT_EXIT it ends the process when its data are missing; a voice's name is also tried as a file's path, so what
 * comes from a model's JSON is held to letters, digits, - and +; a long word or clause is cut up before it gets here (phonemes.c). */
#include "espeak.h"
#include <ctype.h>
#include <espeak-ng/speak_lib.h>
#include <pthread.h>
#include <string.h>

enum { IPA = 2, VOICE_BYTES = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ready; /* 0: not tried, 1: yes, -1: no */
static char current[VOICE_BYTES];

static bool plain_name(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && !strchr("-+_", s[i])) return false;
    }
    return n > 0 && n < VOICE_BYTES;
}

static m8_status set_voice(const char *voice, m8_error *err) /* locked */
{
    if (!ready) {
        int rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, NULL, espeakINITIALIZE_DONT_EXIT);
        ready = rate > 0 ? 1 : -1;
    }
    if (ready < 0) return m8_fail(err, M8_E_UNSUPPORTED, "espeak-ng does not start: are its data (espeak-ng-data) installed?");
    if (strcmp(current, voice) == 0) return M8_OK;
    current[0] = 0;
    if (espeak_SetVoiceByName(voice) != EE_OK) return m8_fail(err, M8_E_UNSUPPORTED, "espeak-ng has no voice \"%s\"", voice);
    strcpy(current, voice);
    return M8_OK;
}

m8_status m8__espeak_open(const char *voice, m8_error *err)
{
    if (!plain_name(voice)) return m8_fail(err, M8_E_FORMAT, "espeak.voice: not the name of a voice");
    pthread_mutex_lock(&lock);
    m8_status st = set_voice(voice, err);
    pthread_mutex_unlock(&lock);
    return st;
}

/* Flags such as "(en)", where espeak changes its language inside a clause, are not sounds. */
static void add_without_flags(m8_buf *out, const char *ipa)
{
    for (int depth = 0; *ipa; ipa++) {
        if (*ipa == '(') depth = 1;
        if (!depth) m8_buf_chr(out, *ipa);
        if (*ipa == ')') depth = 0;
    }
}

m8_status m8__espeak_clause(m8_buf *out, const char *voice, const char *text, m8_error *err)
{
    pthread_mutex_lock(&lock);
    m8_status st = set_voice(voice, err);
    const void *at = text;
    size_t start = out->len;
    for (size_t turns = strlen(text) + 1; !st && at && turns; turns--) { /* it may see several clauses where we saw one */
        const char *ipa = espeak_TextToPhonemes(&at, espeakCHARS_UTF8, IPA);
        if (!ipa || !*ipa) continue;
        if (out->len > start) m8_buf_chr(out, ' ');
        add_without_flags(out, ipa);
    }
    pthread_mutex_unlock(&lock);
    if (!st && out->status) st = m8_fail(err, out->status, "phonemes");
    return st;
}
