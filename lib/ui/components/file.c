/* File, UploadButton, DownloadButton. On the wire: a FileData, or a list of them where several are allowed; null for
 * none. */
#include "components.h"
#include <string.h>
#include <strings.h>

static bool several(const m8_block *b)
{
    const char *count = m8__prop_text(b, "file_count");
    return !strcmp(count, "multiple") || !strcmp(count, "directory");
}

/* file_types: ".txt" is an ending, "image" a family whose type was told by the uploading browser or is told by the name. */
static bool of_type(const char *name, const char *mime, const char *type)
{
    size_t n = strlen(name), k = strlen(type);
    if (*type == '.') return n > k && !strcasecmp(name + n - k, type);
    return !strcmp(type, "file") || (!strncasecmp(mime, type, k) && mime[k] == '/');
}

static m8_status check_type(const m8_block *b, const json_t *file, m8_error *err)
{
    const json_t *types = m8__prop(b, "file_types");
    const char *name = json_string_value(json_object_get(file, "orig_name")),
               *mime = json_string_value(json_object_get(file, "mime_type"));
    if (!name) name = json_string_value(json_object_get(file, "path"));
    if (!json_array_size(types) || !name) return M8_OK;
    size_t i;
    json_t *type;
    json_array_foreach((json_t *)types, i, type) {
        if (of_type(name, mime ? mime : "", json_string_value(type))) return M8_OK;
        if (json_string_value(type)[0] != '.' && !mime) return M8_OK; /* a family cannot be told from a name alone */
    }
    m8_buf text = {0};
    m8__dump(&text, types);
    m8_status st = m8_fail(err, M8_E_USER, "Invalid file type. Please upload a file that is one of these formats: %.120s",
                           text.status ? "" : text.data);
    m8_buf_finish(&text);
    return st;
}

static m8_status one_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    m8_status st = m8__file_value(b, value, s, err);
    return st ? st : check_type(b, *value, err);
}

static m8_status file_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (json_is_null(*value)) return M8_OK;
    if (!several(b)) return one_in(b, value, s, err);
    if (!json_is_array(*value)) return m8__wrong_type(b, "a list of uploaded files", err);
    if (json_array_size(*value) > M8__MOST_FILES) return m8__wrong_type(b, "fewer files", err);
    m8_status st = M8_OK;
    for (size_t i = 0; i < json_array_size(*value) && !st; i++) {
        json_t *file = json_incref(json_array_get(*value, i));
        st = one_in(b, &file, s, err);
        if (st) json_decref(file);
        else if (json_array_set_new(*value, i, file)) st = m8_fail(err, M8_E_NOMEM, "out of memory for a value");
    }
    return st;
}

/* The handler gave one file where the page shows several, or the other way. */
static m8_status file_out(const m8_block *b, json_t **value, m8_error *err)
{
    if (json_is_object(*value) && several(b)) return m8__swap(value, json_pack("[O]", *value), err);
    if (json_array_size(*value) && !several(b)) return m8__swap(value, json_incref(json_array_get(*value, 0)), err);
    return M8_OK;
}

/* The schema of a list of files, made of that of one. */
static json_t *file_info(const m8_block *b, bool as_output)
{
    const json_t *one = json_object_get(m8__component_defaults(b->type), "api_info");
    if (!several(b)) return json_incref((json_t *)one);
    json_t *file = json_deep_copy(one),
           *meta = json_incref(json_object_get(json_object_get(file, "$defs"), "FileDataMeta"));
    json_t *about = json_object_get(file, "additional_description");
    if (!file || (about && json_object_set(file, "description", about))) { /* said of one file; the list has none */
        json_decref(file);
        json_decref(meta);
        return NULL;
    }
    json_object_del(file, "$defs");
    json_object_del(file, "additional_description");
    return json_pack("{s:{s:o, s:o}, s:{s:s}, s:s, s:s, s:n}", "$defs", "FileData", file, "FileDataMeta", meta, "items",
                     "$ref", "#/$defs/FileData", "title", "ListFiles", "type", "array", "additional_description");
}

static json_t *file_example(const m8_block *b)
{
    json_t *one = json_object_get(m8__component_defaults(b->type), "example_inputs");
    return several(b) ? json_pack("[O]", one) : json_incref(one);
}

#define FILES(name)                                                                                                      \
    { .type = name, .preprocess = file_in, .postprocess = file_out, .api_info = file_info, .example = file_example }
const struct m8__component m8__file = FILES("file"), m8__uploadbutton = FILES("uploadbutton"),
                           m8__downloadbutton = FILES("downloadbutton");

m8_block *m8_file(m8_block *parent, const m8_file_opts *opts)
{
    static const m8_file_opts none;
    const m8_file_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__file);
    m8__initial_file(b, o->value);
    m8__props_text(b, "file_count", o->file_count);
    m8__props_words(b, "file_types", o->file_types);
    m8__props_text(b, "type", o->type);
    m8__props_int(b, "height", o->height);
    m8__props_common(b, M8__COMMON(o));
    m8__props_extra(b, o->props);
    return b;
}
