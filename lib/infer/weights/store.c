/* What the readers fill: the list of tensors with its checks, and the sorted index of names.
 *
 * The index is sorted, not hashed: a few hundred names are looked up once, when a model is opened, equal names end up side by side,
 * and no file can choose names that make it slow. */
#include <stdlib.h>
#include <string.h>

#include "weights/reader.h"

const uint8_t *m8__take(cursor *c, uint64_t n)
{
    if (n > c->left) {
        c->at += c->left;
        c->left = 0;
        c->ok = false;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    c->left -= n;
    return p;
}

#define READ(name, type)                                                                                                 \
    type name(cursor *c)                                                                                                 \
    {                                                                                                                    \
        type v = 0;                                                                                                      \
        const uint8_t *p = m8__take(c, sizeof v);                                                                        \
        if (p) memcpy(&v, p, sizeof v);                                                                                  \
        return v;                                                                                                        \
    }
READ(m8__u8, uint8_t)
READ(m8__u16, uint16_t)
READ(m8__u32, uint32_t)
READ(m8__u64, uint64_t)

/* Length of the UTF-8 character at s, 0 when it is none (overlong forms, surrogates and control characters are none). */
static size_t utf8_char(const uint8_t *s, size_t n)
{
    if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xc2 && s[1] < 0xa0) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return len;
}

bool m8__name_ok(const char *s, size_t n)
{
    if (!n || n > MAX_NAME) return false;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_char((const uint8_t *)s + i, n - i);
        if (!len) return false;
        i += len;
    }
    return true;
}

/* Room for one more element in a list that doubles. */
static bool grow(void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return true;
    size_t want = *cap ? *cap * 2 : 256;
    void *old;
    memcpy(&old, list, sizeof old);
    void *more = m8_realloc(old, want * size);
    if (!more) return false;
    memcpy(list, &more, sizeof more);
    *cap = want;
    return true;
}

static m8_status no_memory(m8_error *err)
{
    return m8_fail(err, M8_E_NOMEM, "out of memory for the list of tensors");
}

m8_status m8__add_tensor(m8__weights *w, m8__view name, m8__dtype type, uint64_t n_dims, const uint64_t *dims,
                         const uint8_t *data, uint64_t have, bool at_most, m8_error *err)
{
    if (!m8__name_ok(name.data, name.len))
        return m8_fail(err, M8_E_FORMAT, "tensor %zu: its name is empty, too long or not plain UTF-8", w->n);
    int shown = shown_length(name);
    if (w->n >= MAX_TENSORS) return m8_fail(err, M8_E_LIMIT, "more than %d tensors", MAX_TENSORS);
    if (n_dims > 4)
        return m8_fail(err, M8_E_FORMAT, "%.*s: %llu dimensions, expected at most 4", shown, name.data,
                       (unsigned long long)n_dims);
    m8__tensor t = { .type = type, .n_dims = (int)n_dims, .dims = { 1, 1, 1, 1 }, .n = 1, .data = data };
    for (int i = 0; i < t.n_dims; i++) {
        if (!dims[i] || dims[i] > INT64_MAX || __builtin_mul_overflow(t.n, (int64_t)dims[i], &t.n))
            return m8_fail(err, M8_E_FORMAT, "%.*s: its shape is impossible (dimension %d is %llu)", shown, name.data,
                           i, (unsigned long long)dims[i]);
        t.dims[i] = (int64_t)dims[i];
    }
    int64_t columns = n_dims ? t.dims[n_dims - 1] : 1, block = m8__dtype_block(type);
    if (columns % block)
        return m8_fail(err, M8_E_FORMAT, "%.*s: rows of %lld elements are no whole %s blocks", shown, name.data,
                       (long long)columns, m8__dtype_name(type));
    if (__builtin_mul_overflow((uint64_t)(t.n / block), (uint64_t)m8__dtype_bytes(type), &t.size) ||
        t.size > have || (t.size != have && !at_most))
        return m8_fail(err, M8_E_FORMAT, "%.*s: %lld elements of %s do not fit the %llu bytes in the file", shown, name.data,
                       (long long)t.n, m8__dtype_name(type), (unsigned long long)have);
    t.name = m8_arena_strndup(w->names, name.data, name.len);
    if (!t.name || !grow(&w->tensors, w->n, &w->cap, sizeof *w->tensors)) return no_memory(err);
    w->tensors[w->n++] = t;
    return M8_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

m8_status m8__index(m8__weights *w, m8_error *err)
{
    w->n_index = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!grow(&w->index, w->n_index, &w->cap_index, sizeof *w->index)) return no_memory(err);
        w->index[w->n_index++] = (struct named){ w->tensors[i].name, i };
    }
    if (w->n_index) qsort(w->index, w->n_index, sizeof *w->index, by_name);
    for (size_t i = 1; i < w->n_index; i++)
        if (!strcmp(w->index[i - 1].name, w->index[i].name))
            return m8_fail(err, M8_E_FORMAT, "%.100s: two tensors have this name", w->index[i].name);
    return M8_OK;
}

/* The first entry of the index whose name is not below this one. */
static size_t lower_bound(const m8__weights *w, const char *name)
{
    size_t from = 0, to = w->n_index;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (strcmp(w->index[mid].name, name) < 0) from = mid + 1;
        else to = mid;
    }
    return from;
}

const m8__tensor *m8__weights_find(const m8__weights *w, const char *name)
{
    size_t i = lower_bound(w, name);
    if (i == w->n_index || strcmp(w->index[i].name, name)) return NULL;
    return &w->tensors[w->index[i].tensor];
}

m8_status m8__add_alias(m8__weights *w, m8__view name, const m8__tensor *to, m8_error *err)
{
    if (!m8__name_ok(name.data, name.len))
        return m8_fail(err, M8_E_FORMAT, "the name of an alias is empty, too long or not plain UTF-8");
    const char *copy = m8_arena_strndup(w->names, name.data, name.len);
    if (!copy || !grow(&w->index, w->n_index, &w->cap_index, sizeof *w->index)) return no_memory(err);
    size_t i = lower_bound(w, copy);
    if (i < w->n_index && !strcmp(w->index[i].name, copy))
        return m8_fail(err, M8_E_FORMAT, "%.100s: two tensors have this name", copy);
    memmove(w->index + i + 1, w->index + i, (w->n_index - i) * sizeof *w->index);
    w->index[i] = (struct named){ copy, (size_t)(to - w->tensors) };
    w->n_index++;
    return M8_OK;
}

static int by_place(const void *a, const void *b)
{
    const m8__tensor *x = *(const m8__tensor *const *)a, *y = *(const m8__tensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

m8_status m8__check_overlap(const m8__weights *w, m8_error *err)
{
    if (!w->n) return M8_OK;
    const m8__tensor **sorted = m8_calloc(w->n, sizeof(void *));
    if (!sorted) return no_memory(err);
    for (size_t i = 0; i < w->n; i++) sorted[i] = &w->tensors[i];
    qsort(sorted, w->n, sizeof *sorted, by_place);
    m8_status st = M8_OK;
    for (size_t i = 1; i < w->n && !st; i++)
        if (sorted[i - 1]->data + sorted[i - 1]->size > sorted[i]->data)
            st = m8_fail(err, M8_E_FORMAT, "%.90s and %.90s overlap", sorted[i - 1]->name, sorted[i]->name);
    m8_free(sorted);
    return st;
}
