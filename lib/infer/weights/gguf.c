/* GGUF, versions 2 and 3: keys with values, tensor infos, data. Keys stay in the mapping; only a table of where they lie is made.
 *
 *   "GGUF", u32 version, u64 tensors, u64 keys, keys, infos, padding to the alignment, data
 *   key:  string name, u32 type, value;  string: u64 length, bytes;  array: u32 type, u64 n, values
 *   info: string name, u32 rank, rank x u64 (fastest first), u32 type, u64 offset from the start of the data */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/gguf_write.h"

#define MAX_KEYS 100000 /* most seen: about 60 */
#define MAX_PARTS 1000

static const struct {
    uint32_t id;
    m8__dtype type;
} TYPES[] = {
    { 0, DT_F32 },   { 1, DT_F16 },   { 2, DT_Q4_0 },  { 3, DT_Q4_1 },  { 6, DT_Q5_0 }, { 7, DT_Q5_1 }, { 8, DT_Q8_0 },
    { 10, DT_Q2_K }, { 11, DT_Q3_K }, { 12, DT_Q4_K }, { 13, DT_Q5_K }, { 14, DT_Q6_K }, { 24, DT_I8 }, { 25, DT_I16 },
    { 26, DT_I32 },  { 27, DT_I64 },  { 28, DT_F64 },  { 30, DT_BF16 },
};

int m8__gguf_type_id(m8__dtype type)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].type == type) return (int)TYPES[i].id;
    return -1;
}

static bool take_string(cursor *c, m8__view *s)
{
    s->len = m8__u64(c);
    s->data = (const char *)m8__take(c, s->len);
    return c->ok;
}

/* Step over n values; every one is looked at only where their length is in the file. */
static bool skip_values(cursor *c, int type, uint64_t n)
{
    if (type == GGUF_STRING) {
        m8__view s;
        for (uint64_t i = 0; i < n && c->ok; i++) take_string(c, &s);
        return c->ok;
    }
    uint64_t bytes;
    if (__builtin_mul_overflow(n, (uint64_t)m8__gguf_size(type), &bytes)) bytes = UINT64_MAX;
    return m8__take(c, bytes) != NULL;
}

static m8_status read_key(struct meta *key, cursor *c, uint64_t i, m8_error *err)
{
    take_string(c, &key->name);
    uint32_t type = m8__u32(c);
    uint32_t element = type;
    key->n = 1;
    if (type == GGUF_ARRAY) {
        element = m8__u32(c);
        key->n = m8__u64(c);
    }
    if (!c->ok) return m8_fail(err, M8_E_FORMAT, "the file ends within key %llu", (unsigned long long)i);
    if (!m8__name_ok(key->name.data, key->name.len))
        return m8_fail(err, M8_E_FORMAT, "key %llu: its name is empty, too long or not plain UTF-8",
                       (unsigned long long)i);
    int shown = shown_length(key->name);
    if (element > GGUF_F64 || element == GGUF_ARRAY)
        return m8_fail(err, M8_E_FORMAT, "%.*s: value type %u is unknown", shown, key->name.data, element);
    key->type = (int)type;
    key->element = (int)element;
    key->at = c->at;
    if (!skip_values(c, key->element, key->n))
        return m8_fail(err, M8_E_FORMAT, "%.*s: the file ends within its value", shown, key->name.data);
    return M8_OK;
}

static int by_key(const void *a, const void *b)
{
    const m8__view *x = &((const struct meta *)a)->name, *y = &((const struct meta *)b)->name;
    int d = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return d ? d : (x->len > y->len) - (x->len < y->len);
}

static m8_status read_keys(m8__weights *w, cursor *c, uint64_t n, m8_error *err)
{
    if (n > MAX_KEYS)
        return m8_fail(err, M8_E_LIMIT, "%llu keys, expected at most %d", (unsigned long long)n, MAX_KEYS);
    /* The shortest key has 8 bytes of length, 1 of name, 4 of type, 1 of value. */
    if (n > c->left / 14)
        return m8_fail(err, M8_E_FORMAT, "%llu keys in a file with %zu bytes left", (unsigned long long)n, c->left);
    w->keys = m8_calloc(n, sizeof *w->keys);
    if (!w->keys) return m8_fail(err, M8_E_NOMEM, "out of memory for %llu keys", (unsigned long long)n);
    for (; w->n_keys < n; w->n_keys++) {
        m8_status st = read_key(&w->keys[w->n_keys], c, w->n_keys, err);
        if (st) return st;
    }
    if (n) qsort(w->keys, n, sizeof *w->keys, by_key);
    for (uint64_t i = 1; i < n; i++)
        if (!by_key(&w->keys[i - 1], &w->keys[i]))
            return m8_fail(err, M8_E_FORMAT, "%.*s: two keys have this name", shown_length(w->keys[i].name),
                           w->keys[i].name.data);
    return M8_OK;
}

/* Read an info; the tensor's data is set once it is known where the data begins. */
static m8_status read_info(m8__weights *w, cursor *c, uint64_t i, uint64_t *offset, m8_error *err)
{
    m8__view name;
    uint64_t dims[4] = { 0 };
    take_string(c, &name);
    uint32_t rank = m8__u32(c);
    if (c->ok && (!rank || rank > 4))
        return m8_fail(err, M8_E_FORMAT, "tensor %llu: %u dimensions, expected 1 to 4", (unsigned long long)i, rank);
    for (uint32_t d = 0; d < rank && c->ok; d++) dims[rank - 1 - d] = m8__u64(c);
    uint32_t id = m8__u32(c);
    *offset = m8__u64(c);
    if (!c->ok) return m8_fail(err, M8_E_FORMAT, "the file ends within the info of tensor %llu", (unsigned long long)i);
    size_t t = 0, n_types = sizeof TYPES / sizeof *TYPES;
    while (t < n_types && TYPES[t].id != id) t++;
    if (t == n_types) return m8_fail(err, M8_E_UNSUPPORTED, "tensor %llu: element type %u", (unsigned long long)i, id);
    return m8__add_tensor(w, name, TYPES[t].type, rank, dims, NULL, c->left, true, err);
}

static m8_status read_infos(m8__weights *w, cursor *c, uint64_t n, uint64_t *offsets, m8_error *err)
{
    m8_status st = M8_OK;
    for (uint64_t i = 0; i < n && !st; i++) st = read_info(w, c, i, &offsets[i], err);
    return st;
}

/* Set where the tensors from `first` on lie. */
static m8_status place(m8__weights *w, cursor *c, const uint8_t *start, size_t first, const uint64_t *offsets, m8_error *err)
{
    int64_t align = 32;
    const struct meta *key = m8__meta_find(w, "general.alignment");
    if (key && (key->type != GGUF_U32 || !m8__meta_int(w, "general.alignment", &align) || align < 1 || align > 65536 ||
                (align & (align - 1))))
        return m8_fail(err, M8_E_FORMAT, "general.alignment: expected a power of two of at most 65536");
    uint64_t used = (uint64_t)(c->at - start), pad = -used & (uint64_t)(align - 1);
    if (w->n == first) return M8_OK; /* a vocabulary alone */
    if (!m8__take(c, pad)) return m8_fail(err, M8_E_FORMAT, "the file ends before its data");
    for (size_t i = first; i < w->n; i++) {
        m8__tensor *t = &w->tensors[i];
        uint64_t offset = offsets[i - first];
        if (offset & (uint64_t)(align - 1))
            return m8_fail(err, M8_E_FORMAT, "%.100s: its offset %llu is not aligned to %lld", t->name, (unsigned long long)offset,
                           (long long)align);
        if (offset > c->left || t->size > c->left - offset)
            return m8_fail(err, M8_E_FORMAT, "%.100s: %zu bytes at %llu reach past the end of the file", t->name, t->size,
                           (unsigned long long)offset);
        t->data = c->at + offset;
    }
    return M8_OK;
}

/* One file: its keys become w's, its tensors are added. */
static m8_status read_one(m8__weights *w, cursor c, m8_error *err)
{
    const uint8_t *start = c.at;
    size_t first = w->n;
    m8__u32(&c); /* the magic, seen already */
    uint32_t version = m8__u32(&c);
    uint64_t n = m8__u64(&c), n_keys = m8__u64(&c);
    if (!c.ok) return m8_fail(err, M8_E_FORMAT, "the file ends within its header");
    if (version == 0x02000000 || version == 0x03000000)
        return m8_fail(err, M8_E_UNSUPPORTED, "GGUF of the other byte order");
    if (version != 2 && version != 3)
        return m8_fail(err, M8_E_UNSUPPORTED, "GGUF version %u, expected 2 or 3", version);
    m8_status st = read_keys(w, &c, n_keys, err);
    if (st) return st;
    if (n > MAX_TENSORS)
        return m8_fail(err, M8_E_LIMIT, "%llu tensors, expected at most %d", (unsigned long long)n, MAX_TENSORS);
    /* The shortest info has 8 bytes of length, 1 of name, 4 of rank, 8 of dimension, 4 of type, 8 of offset. */
    if (n > c.left / 33)
        return m8_fail(err, M8_E_FORMAT, "%llu tensors in a file with %zu bytes left", (unsigned long long)n, c.left);
    uint64_t *offsets = m8_calloc(n + 1, sizeof *offsets);
    if (!offsets) return m8_fail(err, M8_E_NOMEM, "out of memory for %llu tensors", (unsigned long long)n);
    st = read_infos(w, &c, n, offsets, err);
    if (!st) st = place(w, &c, start, first, offsets, err);
    m8_free(offsets);
    return st;
}

/* ---- a file that was cut: NAME-00001-of-00003.gguf has the keys, each part some tensors */

enum { TAIL = sizeof "-00001-of-00001.gguf" - 1 };

/* Part i, 0 first, beside the first one; false: that is not called so. */
static bool part_name(char tail[48], const m8__weights *w, int64_t i, int64_t n)
{
    size_t len = w->dir ? strlen(w->path) : 0;
    snprintf(tail, 48, "-00001-of-%05d.gguf", (int)n);
    if (len <= TAIL || strcmp(w->path + len - TAIL, tail)) return false;
    snprintf(tail, 48, "-%05d-of-%05d.gguf", (int)i + 1, (int)n);
    return true;
}

static m8_status read_part(m8__weights *w, int64_t i, int64_t n, m8_error *err)
{
    char tail[48];
    int64_t no, count;
    cursor c;
    if (!part_name(tail, w, i, n))
        return m8_fail(err, M8_E_UNSUPPORTED, "one of %lld parts: expected the first, NAME-00001-of-%05d.gguf", (long long)n, (int)n);
    char *path = m8_sprintf("%.*s%s", (int)(strlen(w->path) - TAIL), w->path, tail);
    struct meta *keys = w->keys;
    size_t n_keys = w->n_keys;
    w->keys = NULL;
    w->n_keys = 0;
    m8_status st = path ? m8__map_one_more(w, &c, path, err) : m8_fail(err, M8_E_NOMEM, "out of memory for a path");
    if (!st && (c.left < 4 || memcmp(c.at, "GGUF", 4))) st = m8_fail(err, M8_E_FORMAT, "part %s: not a GGUF file", tail);
    if (!st) {
        st = read_one(w, c, err);
        if (!st && (!m8__meta_int(w, "split.no", &no) || !m8__meta_int(w, "split.count", &count) || no != i || count != n))
            st = m8_fail(err, M8_E_FORMAT, "it is another part than its name says");
        if (st) m8_wrap(err, st, "part %s", tail);
    }
    m8_free(path);
    m8_free(w->keys);
    w->keys = keys;
    w->n_keys = n_keys;
    return st;
}

m8_status m8__read_gguf(m8__weights *w, cursor c, m8_error *err)
{
    int64_t parts = 1, no = 0;
    m8_status st = read_one(w, c, err);
    if (!st && m8__meta_int(w, "split.count", &parts) && (parts < 1 || parts > MAX_PARTS || (m8__meta_int(w, "split.no", &no) && no)))
        st = m8_fail(err, M8_E_UNSUPPORTED, "part %lld of %lld: expected the first of at most %d", (long long)no, (long long)parts, MAX_PARTS);
    for (int64_t i = 1; !st && i < parts; i++) st = read_part(w, i, parts, err);
    if (!st) st = m8__index(w, err);
    m8__view config;
    if (!st && m8__meta_str(w, "magic8.config", &config)) {
        st = m8__json(&w->config, config.data, config.len, err);
        if (!st && !json_is_object(w->config)) st = m8_fail(err, M8_E_FORMAT, "expected a JSON object");
        if (st) m8_wrap(err, st, "magic8.config");
    }
    return st;
}
