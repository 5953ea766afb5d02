/* A chunked body: whole and byte by byte it gives the same bytes, or the same refusal, and never more than came. */
#include "chunk.h"
#include <stdlib.h>
#include <string.h>

struct result {
    int status;
    size_t n, used;
    uint64_t hash;
};

static struct result read_body(const char *text, size_t n, size_t step)
{
    struct m8__chunk c = { 0 };
    struct result r = { 0 };
    while (r.used < n && !r.status) {
        const char *d;
        size_t k = n - r.used < step ? n - r.used : step, used = 0, n_data = 0;
        r.status = m8__chunk_take(&c, text + r.used, k, &used, &d, &n_data);
        if (!used || used > k || n_data > used || d < text || d + n_data > text + n) abort();
        for (size_t i = 0; i < n_data; i++) r.hash = (r.hash ^ (unsigned char)d[i]) * 0x100000001B3;
        r.n += n_data;
        r.used += used;
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct result a = read_body((const char *)data, n, n ? n : 1), b = read_body((const char *)data, n, 1), c = read_body((const char *)data, n, 5);
    if (a.status != b.status || a.n != b.n || a.hash != b.hash || a.used != b.used) abort();
    if (a.status != c.status || a.n != c.n || a.hash != c.hash || a.used != c.used) abort();
    if (a.n > n || (a.status > 1 && a.status != 400 && a.status != 431)) abort();
    return 0;
}
