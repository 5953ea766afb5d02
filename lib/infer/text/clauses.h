/* clauses.h - text made harmless, and cut where a speaker would breathe. */
#ifndef M8_CLAUSES_H
#define M8_CLAUSES_H

#include <m8/base.h>

/* Code points that a language is written in; all 0: Latin ones. */
typedef struct m8__script {
    int32_t from, to, from_2, to_2;
} m8__script;
m8__script m8__script_of(const char *voice); /* an espeak voice: "ru", "en-us" */

/* Appends text as valid UTF-8 without control characters: tab, NUL and the like become blanks, a line feed stays; private and
 * unassigned code points become blanks, curly quotes, ellipsis and full-width punctuation their ASCII forms. script: letters and signs
 * of others become blanks too (NULL: all are kept). */
void m8__clean_text(m8_buf *out, const char *text, size_t n, const m8__script *script);

typedef struct m8__clause {
    const char *text; /* borrowed; with its punctuation */
    size_t n;
    char mark;     /* one of . ? ! , : ; or 0: none was written */
    bool sentence; /* the last of its sentence */
} m8__clause;
/* The next clause of cleaned text from *at on, moving *at; false: there is none left. */
bool m8__next_clause(m8__clause *c, const char **at, const char *end, bool english);

#endif
