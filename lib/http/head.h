/* head.h - the head of a request (RFC 9112, sections 2 to 6), strictly: what two readers could understand in two ways is refused. */
#ifndef M8_HTTP_HEAD_H
#define M8_HTTP_HEAD_H

#include <m8/base.h>

enum { M8__MAX_HEAD = 32 * 1024, M8__MAX_LINE = 8 * 1024, M8__MAX_FIELDS = 100 };

/* How far the search for the end of a head has come. Zeroed before a head. */
struct m8__scan {
    uint16_t at, line, n_lines; /* bytes seen; where the line began; lines ended */
};

/** Look for the end of a head in text[0, n), going on where the last call left off. returns its length (the empty line
 *  included), 0: more is needed, or below 0: minus the status to refuse it with. */
int m8__head_scan(struct m8__scan *s, const char *text, size_t n);

struct m8__field {
    uint16_t name, n_name, value, n_value; /* places in the text */
};

struct m8__head {
    uint16_t n_method, target, n_target; /* the method is at 0 */
    uint16_t n_fields;
    int16_t host, origin, site; /* fields; -1: not there. site: Sec-Fetch-Site */
    bool http10, chunked, has_length, close, keep_alive, expect, encoded /* the body is compressed */, upgrade;
    uint64_t length;
    struct m8__field field[M8__MAX_FIELDS];
};

/** Read a whole head of n bytes as m8__head_scan() found it. returns 0 or the status to refuse it with. */
int m8__head_read(struct m8__head *h, const char *text, size_t n, const char **why);

bool m8__is_token(const char *s, size_t n);               /* 1 or more characters that a name may have */
bool m8__same(const char *s, size_t n, const char *word); /* the same, in any case; word is lower case */

#endif
