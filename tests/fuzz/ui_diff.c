/* Two values, a NUL between: the edits from the one to the other are JSON, and give the other when applied as clients do. */
#include "../unit/ui/apply.h"
#include "run_internal.h"
#include <stdlib.h>

static size_t depth_of(const json_t *v)
{
    size_t most = 0, i;
    const char *key;
    json_t *item;
    if (json_is_array(v)) json_array_foreach(v, i, item) if (depth_of(item) > most) most = depth_of(item);
    if (json_is_object(v)) json_object_foreach((json_t *)v, key, item) if (depth_of(item) > most) most = depth_of(item);
    return most + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data, *end = memchr(text, 0, n);
    if (!end || n > 20000) return 0;
    size_t at = (size_t)(end - text);
    json_t *a = json_loadb(text, at, JSON_DECODE_ANY, NULL), *b = json_loadb(end + 1, n - at - 1, JSON_DECODE_ANY, NULL);
    if (a && b && depth_of(a) < 12 && depth_of(b) < 12) {
        m8_buf out = {0};
        m8__diff(&out, a, b);
        json_t *edits = out.status ? NULL : json_loadb(out.data, out.len, 0, NULL), *got = edits ? apply(a, edits) : NULL;
        if (!got || !json_equal(got, b)) abort();
        json_decref(got);
        json_decref(edits);
        m8_buf_finish(&out);
    }
    json_decref(a);
    json_decref(b);
    return 0;
}
