/* English text as it is spoken. Only what espeak-ng gets wrong or cannot know is rewritten. */
#include "text.h"
#include <string.h>

static const char *const abbreviations[][2] = {
    { "Dr.", "Doctor" }, { "Mr.", "Mister" }, { "Mrs.", "Missus" }, { "Ms.", "Miz" }, { "Prof.", "Professor" },
    { "e.g.", "for example" }, { "i.e.", "that is" }, { "vs.", "versus" },
};

void m8__normalise(m8_buf *out, const char *text)
{
    bool start = true;
    for (const char *p = text; *p;) {
        bool done = false;
        for (size_t i = 0; start && i < sizeof abbreviations / sizeof *abbreviations && !done; i++) {
            size_t n = strlen(abbreviations[i][0]);
            if (strncmp(p, abbreviations[i][0], n) != 0) continue;
            m8_buf_str(out, abbreviations[i][1]);
            p += n;
            done = true;
        }
        if (done) continue;
        start = *p == ' ' || *p == '\n' || *p == '(' || *p == '"';
        m8_buf_chr(out, *p++);
    }
}
