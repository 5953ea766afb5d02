/* Part of the build: what a browser does not need is left out of the page's scripts and style sheets. */
#ifndef SQUEEZE_H
#define SQUEEZE_H

#include <stddef.h>

/* Writes `in` [n] without comments and needless white space to `out` [n]; NAME ends in .js or .css, all else is copied. Returns the new size.
 * Names, strings, templates and regular expressions stay as they are; line ends stay where a script may need them. */
size_t squeeze(const char *name, const char *in, size_t n, char *out);

#endif
