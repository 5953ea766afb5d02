/* espeak.h - all that this folder asks of espeak-ng: espeak.c, or espeak_none.c where it is not built in. */
#ifndef M8_ESPEAK_H
#define M8_ESPEAK_H

#include <m8/base.h>

/* Is there a voice of this name? M8_E_UNSUPPORTED: no, or espeak-ng or its data are not there. */
m8_status m8__espeak_open(const char *voice, m8_error *err);
/* Appends the IPA of one clause of text (UTF-8, its punctuation may be there and is not part of what is appended). Thread-safe. */
m8_status m8__espeak_clause(m8_buf *out, const char *voice, const char *text, m8_error *err);

#endif
