/* chunk.h - a chunked body (RFC 9112, 7.1), piece by piece. Trailers and extensions are read over, within limits. */
#ifndef M8_HTTP_CHUNK_H
#define M8_HTTP_CHUNK_H

#include <m8/base.h>

struct m8__chunk { /* {0} before a body */
    uint64_t left;
    uint32_t n_ext, n_trailer; /* bytes of all extensions; of all trailers */
    uint16_t n_line;
    uint8_t state, n_digits;
};

/** Take what is in [at, at + n): *used bytes were read, of which [*data, *data + *n_data) belong to the body.
 *  returns 1: the body has ended, 0: go on with the rest, or with more; else the status to refuse it with. */
int m8__chunk_take(struct m8__chunk *c, const char *at, size_t n, size_t *used, const char **data, size_t *n_data);

#endif
