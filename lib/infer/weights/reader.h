/* reader.h - what the readers of weights files share: a cursor that cannot leave the file, and the list they fill. */
#ifndef M8_READER_H
#define M8_READER_H

#include "weights/weights.h"

/* Bytes still to read. Sticky: a read past the end gives zeros, clears ok and leaves the cursor at the end, so that a run of
 * reads is checked once behind it. */
typedef struct cursor {
    const uint8_t *at;
    size_t left;
    bool ok;
} cursor;

static inline cursor cursor_on(const void *data, size_t n)
{
    return (cursor){ data, n, true };
}
const uint8_t *m8__take(cursor *c, uint64_t n); /* the next n bytes; NULL: there are not that many */
uint8_t m8__u8(cursor *c);
uint16_t m8__u16(cursor *c);
uint32_t m8__u32(cursor *c);
uint64_t m8__u64(cursor *c);

/* GGUF value types, numbered as in the file. */
enum { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64,
       GGUF_I64, GGUF_F64 };

/* A GGUF key: its value lies at at, in the file, and was checked to lie there whole. */
struct meta {
    m8__view name;
    int type;
    int element;       /* of an array: the type of its values; else type again */
    uint64_t n;        /* elements; 1 for a single value */
    const uint8_t *at; /* the first value */
};

struct named {
    const char *name;
    size_t tensor;
};

struct m8__weights {
    const char *format;
    char *path, *dir;
    m8_map *maps; /* the files; none for memory that is borrowed */
    size_t n_maps;
    m8_arena *names; /* names, and values that the file does not hold as plain numbers */
    m8__tensor *tensors;
    size_t n, cap;
    struct named *index; /* tensors and aliases, sorted by name */
    size_t n_index, cap_index;
    struct meta *keys; /* GGUF, sorted by name */
    size_t n_keys;
    json_t *config;
};

#define MAX_NAME 1024      /* bytes in the name of a tensor; longest seen: 90 */
#define MAX_TENSORS 100000 /* most seen: about 2,000 */

bool m8__name_ok(const char *s, size_t n); /* strict UTF-8 of 1 to MAX_NAME bytes without control characters */
static inline int shown_length(m8__view name) /* what of it goes into a message */
{
    return name.len > 100 ? 100 : (int)name.len;
}

/* Add a tensor whose data is have bytes at data (it must need exactly those, or no more than those when at_most). */
m8_status m8__add_tensor(m8__weights *w, m8__view name, m8__dtype type, uint64_t n_dims,
                         const uint64_t *dims /* slowest first */, const uint8_t *data, uint64_t have, bool at_most,
                         m8_error *err);
/* Sort the names; refuse equal ones. To be called again when names were changed. */
m8_status m8__index(m8__weights *w, m8_error *err);
/* Another name for a tensor; after m8__index. */
m8_status m8__add_alias(m8__weights *w, m8__view name, const m8__tensor *to, m8_error *err);
m8_status m8__check_overlap(const m8__weights *w, m8_error *err);

int m8__gguf_size(int type); /* bytes of a value of fixed size */
const struct meta *m8__meta_find(const m8__weights *w, const char *name);

/* One of these for each format. c spans the whole file; errors name no file, the caller does. */
m8_status m8__read_gguf(m8__weights *w, cursor c, m8_error *err);
m8_status m8__read_safetensors(m8__weights *w, cursor c, m8_error *err);
m8_status m8__read_ct2(m8__weights *w, cursor c, m8_error *err);
m8_status m8__read_onnx(m8__weights *w, cursor c, m8_error *err);

/* model.safetensors.index.json: the files it lists, in w->dir, are mapped and read. */
m8_status m8__read_shards(m8__weights *w, cursor c, m8_error *err);
m8_status m8__map_one_more(m8__weights *w, cursor *c, const char *path, m8_error *err);

/* JSON from hostile bytes: strict UTF-8, no repeated keys, at most 64 deep. *out is new. */
m8_status m8__json(json_t **out, const void *data, size_t n, m8_error *err);

#endif
