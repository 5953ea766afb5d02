/* Any text through cleaning, normalising, clauses and espeak-ng; first byte odd: an English voice, else a French one. */
#include "text/text.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libespeak-ng\n"; } /* its globals, at exit */

static m8__phonemizer *open_voice(const char *voice)
{
    json_t *map = json_pack("{s:[i], s:[i], s:[i], s:[i]}", "^", 1, "$", 2, "_", 0, "a", 14);
    json_t *config = json_pack("{s:{s:s}, s:o}", "espeak", "voice", voice, "phoneme_id_map", map);
    m8__phonemizer *p = NULL;
    m8__phonemizer_open(&p, config, NULL);
    json_decref(config);
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static m8__phonemizer *voices[2];
    if (!voices[0]) {
        voices[0] = open_voice("fr");
        voices[1] = open_voice("en-us");
    }
    if (size < 2 || size > 4000 || !voices[0] || !voices[1]) return 0;
    char *text = m8_strndup((const char *)data + 1, size - 1);
    m8__sentence *s = NULL;
    size_t n = 0;
    if (text && !m8__phonemize(voices[data[0] & 1], text, &s, &n, NULL)) m8__sentences_free(s, n);
    m8_free(text);
    return 0;
}
