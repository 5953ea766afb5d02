/* safetensors: u64 header length, a JSON header {name: {dtype, shape, data_offsets: [from, to]}}, data. Large models come in shards:
 * model.safetensors.index.json says which file holds which tensor. */
#include <string.h>

#include "weights/reader.h"

#define MAX_SHARDS 1000

static const struct {
    const char *name;
    m8__dtype type;
} TYPES[] = {
    { "F32", DT_F32 }, { "F16", DT_F16 }, { "BF16", DT_BF16 }, { "F64", DT_F64 }, { "I8", DT_I8 },
    { "I16", DT_I16 }, { "I32", DT_I32 }, { "I64", DT_I64 },   { "U8", DT_U8 },   { "BOOL", DT_U8 },
};

static bool number_at(const json_t *array, size_t i, uint64_t *out)
{
    const json_t *v = json_array_get(array, i);
    if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static m8_status read_tensor(m8__weights *w, const char *name, const json_t *info, const uint8_t *data, uint64_t n_data,
                             m8_error *err)
{
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    const json_t *shape = json_object_get(info, "shape"), *place = json_object_get(info, "data_offsets");
    uint64_t dims[4] = { 0 }, from, to;
    size_t rank = json_array_size(shape), type = 0, n_types = sizeof TYPES / sizeof *TYPES;
    if (!dtype || !json_is_array(shape) || json_array_size(place) != 2 || !number_at(place, 0, &from) ||
        !number_at(place, 1, &to))
        return m8_fail(err, M8_E_FORMAT, "%.100s: dtype, shape or data_offsets missing or of the wrong kind", name);
    while (type < n_types && strcmp(dtype, TYPES[type].name)) type++;
    if (type == n_types) return m8_fail(err, M8_E_UNSUPPORTED, "%.100s: element type %.20s", name, dtype);
    if (rank > 4) return m8_fail(err, M8_E_FORMAT, "%.100s: %zu dimensions, expected at most 4", name, rank);
    for (size_t i = 0; i < rank; i++)
        if (!number_at(shape, i, &dims[i])) return m8_fail(err, M8_E_FORMAT, "%.100s: the shape holds no number", name);
    if (from > to || to > n_data)
        return m8_fail(err, M8_E_FORMAT, "%.100s: bytes %llu to %llu are not in the file, it holds %llu", name,
                       (unsigned long long)from, (unsigned long long)to, (unsigned long long)n_data);
    return m8__add_tensor(w, (m8__view){ name, strlen(name) }, TYPES[type].type, rank, dims, data + from, to - from,
                          false, err);
}

/* Add the tensors of one file, without looking at those there are already. */
static m8_status read_file(m8__weights *w, cursor c, m8_error *err)
{
    uint64_t n_header = m8__u64(&c);
    if (!c.ok || n_header > c.left)
        return m8_fail(err, M8_E_FORMAT, "a header of %llu bytes, the file has %zu", (unsigned long long)n_header, c.left);
    const uint8_t *text = m8__take(&c, n_header);
    json_t *header;
    m8_status st = m8__json(&header, text, n_header, err);
    if (st) return m8_wrap(err, st, "header");
    const char *name;
    json_t *info;
    if (!json_is_object(header)) st = m8_fail(err, M8_E_FORMAT, "the header is no JSON object");
    json_object_foreach (header, name, info) {
        if (!st && strcmp(name, "__metadata__")) st = read_tensor(w, name, info, c.at, c.left, err);
    }
    json_decref(header);
    return st;
}

m8_status m8__read_safetensors(m8__weights *w, cursor c, m8_error *err)
{
    m8_status st = read_file(w, c, err);
    if (!st) st = m8__index(w, err);
    return st;
}

/* The names of the files, each once, as the keys of an object that keeps their order. */
static m8_status list_files(json_t *files, const json_t *map, m8_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)map, name, value) {
        const char *file = json_string_value(value);
        if (!file || !m8__name_ok(file, strlen(file)) || strchr(file, '/') || file[0] == '.')
            return m8_fail(err, M8_E_FORMAT, "%.100s: not the name of a file in this folder", name);
        if (json_object_set_new(files, file, json_null()))
            return m8_fail(err, M8_E_NOMEM, "out of memory for the list of files");
        if (json_object_size(files) > MAX_SHARDS) return m8_fail(err, M8_E_LIMIT, "more than %d files", MAX_SHARDS);
    }
    if (!json_object_size(files)) return m8_fail(err, M8_E_FORMAT, "weight_map is missing or empty");
    return M8_OK;
}

static m8_status read_shard(m8__weights *w, const char *file, m8_error *err)
{
    char *path = m8_join_path(w->dir, file);
    if (!path) return m8_fail(err, M8_E_NOMEM, "out of memory for a path");
    cursor c;
    m8_status st = m8__map_one_more(w, &c, path, err);
    if (!st) {
        st = read_file(w, c, err);
        if (st) m8_wrap(err, st, "%s", file);
    }
    m8_free(path);
    return st;
}

m8_status m8__read_shards(m8__weights *w, cursor c, m8_error *err)
{
    json_t *index;
    m8_status st = m8__json(&index, c.at, c.left, err);
    if (st) return st;
    const json_t *map = json_object_get(index, "weight_map");
    json_t *files = json_object(), *value;
    const char *name;
    if (!files) st = m8_fail(err, M8_E_NOMEM, "out of memory for the list of files");
    if (!st) st = list_files(files, map, err);
    json_object_foreach (files, name, value) {
        if (!st) st = read_shard(w, name, err);
    }
    if (!st) st = m8__index(w, err);
    json_object_foreach ((json_t *)map, name, value) {
        if (!st && !m8__weights_find(w, name))
            st = m8_fail(err, M8_E_FORMAT, "%.100s: not in %.100s, where the index has it", name,
                         json_string_value(value));
    }
    json_decref(files);
    json_decref(index);
    return st;
}
