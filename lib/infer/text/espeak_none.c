/* In place of espeak.c where espeak-ng is not built in. */
#include "espeak.h"

m8_status m8__espeak_open(const char *voice, m8_error *err)
{
    return m8_fail(err, M8_E_UNSUPPORTED, "this build has no espeak-ng, which the voice needs (meson option espeak)");
}

m8_status m8__espeak_clause(m8_buf *out, const char *voice, const char *text, m8_error *err)
{
    return m8__espeak_open(voice, err);
}
