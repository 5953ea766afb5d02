/* form.h - small readers of text: paths, forms, cookies, hosts, ranges. */
#ifndef M8_HTTP_FORM_H
#define M8_HTTP_FORM_H

#include <m8/base.h>

void m8__make_utf8(char *s); /* bytes that are not UTF-8 become '?' */

/** Join "//", resolve "." and ".." (RFC 3986, 5.2.4), in place; a path that leads above the root stays there. s begins with '/' and has
 *  room for a NUL behind its n bytes; the result ends with '/' if the path named a folder. returns its length. */
size_t m8__path_normal(char *s, size_t n);

/** The next field of "a=1&b=2" behind *at; false: no more. */
struct m8__pair {
    const char *name, *value;
    size_t n_name, n_value;
};
bool m8__form_next(const char *form, size_t n, size_t *at, struct m8__pair *p);
/** Is the percent-encoded s the word? */
bool m8__form_is(const char *s, size_t n, const char *word);
/** The value of a cookie in a field's value ("a=1; b=2"); quotes around it are left off. NULL: not there. */
const char *m8__cookie_find(const char *field, const char *name, size_t *n);

enum m8__host_kind { M8__HOST_BAD, M8__HOST_NAME, M8__HOST_IP, M8__HOST_LOOPBACK };
/** "name:port", "1.2.3.4", "[::1]:80": what it is; *n_host: without the port. *port 0: none. */
enum m8__host_kind m8__host_read(const char *s, size_t n, size_t *n_host, int *port);

/** A Range of a file of size bytes. returns 0: take the whole file (no range, several, or nonsense), 1: [*first, *last], -1: outside. */
int m8__range_read(const char *s, uint64_t size, uint64_t *first, uint64_t *last);

/** Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT"; -1: not one. */
int64_t m8__date_read(const char *s);
void m8__date_write(char out[30], int64_t at);

#endif
