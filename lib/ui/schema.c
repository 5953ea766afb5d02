/* A JSON schema as a Python type hint, in the form that Gradio's clients print. */
#include "table.h"
#include <string.h>

#define MOST_DEPTH 32 /* a schema may refer to itself */

static void type_of(m8_buf *out, const json_t *schema, const json_t *defs, int depth);

static const json_t *definition(const json_t *ref, const json_t *defs)
{
    const char *path = json_string_value(ref), *name = path ? strrchr(path, '/') : NULL;
    return name ? json_object_get(defs, name + 1) : NULL;
}

bool m8__schema_is_file(const json_t *schema)
{
    const json_t *props = json_object_get(schema, "properties");
    return json_object_get(props, "path") && json_object_get(props, "meta") && json_object_get(props, "orig_name");
}

static void members(m8_buf *out, const json_t *schema, const json_t *defs, int depth)
{
    const char *name, *sep = "";
    json_t *member, *rest = json_object_get(schema, "additionalProperties");
    m8_buf_str(out, "dict(");
    json_object_foreach(json_object_get(schema, "properties"), name, member) {
        m8_buf_printf(out, "%s%s: ", sep, name);
        type_of(out, member, defs, depth);
        const char *description = json_string_value(json_object_get(member, "description"));
        if (description) m8_buf_printf(out, " (%s)", description);
        sep = ", ";
    }
    if (json_is_true(rest)) {
        m8_buf_printf(out, "%sstr, Any", sep);
    } else if (json_is_object(rest)) {
        m8_buf_printf(out, "%sstr, ", sep);
        type_of(out, rest, defs, depth);
    }
    m8_buf_chr(out, ')');
}

static void literals(m8_buf *out, const json_t *values)
{
    size_t i;
    json_t *value;
    m8_buf_str(out, "Literal[");
    json_array_foreach((json_t *)values, i, value) {
        m8_buf_printf(out, "%s'%s'", i ? ", " : "", json_string_value(value) ? json_string_value(value) : "");
    }
    m8_buf_chr(out, ']');
}

static void either(m8_buf *out, const json_t *list, const json_t *defs, int depth)
{
    size_t i;
    json_t *schema;
    json_array_foreach((json_t *)list, i, schema) {
        if (i) m8_buf_str(out, " | ");
        type_of(out, schema, defs, depth);
    }
}

static void named(m8_buf *out, const char *type, const json_t *schema, const json_t *defs, int depth)
{
    static const char *const simple[][2] = {
        { "string", "str" }, { "integer", "int" }, { "number", "float" }, { "boolean", "bool" }, { "null", "None" },
    };
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
        if (!strcmp(type, simple[i][0])) {
            m8_buf_str(out, simple[i][1]);
            return;
        }
    }
    if (!strcmp(type, "array")) {
        m8_buf_str(out, "list[");
        type_of(out, json_object_get(schema, "items"), defs, depth);
        m8_buf_chr(out, ']');
    } else if (m8__schema_is_file(schema)) {
        m8_buf_str(out, "filepath");
    } else {
        members(out, schema, defs, depth);
    }
}

static void type_of(m8_buf *out, const json_t *schema, const json_t *defs, int depth)
{
    const json_t *x;
    const char *description = json_string_value(json_object_get(schema, "description"));
    if (depth > MOST_DEPTH || !json_object_size(schema)) m8_buf_str(out, "Any");
    else if ((x = json_object_get(schema, "const")))
        m8_buf_printf(out, "Literal[%s]", json_string_value(x) ? json_string_value(x) : "");
    else if ((x = json_object_get(schema, "enum"))) literals(out, x);
    else if ((x = json_object_get(schema, "type")) && json_is_string(x))
        named(out, json_string_value(x), schema, defs, depth + 1);
    else if ((x = json_object_get(schema, "$ref"))) type_of(out, definition(x, defs), defs, depth + 1);
    else if ((x = json_object_get(schema, "anyOf"))) either(out, x, defs, depth + 1);
    else m8_buf_str(out, description && strstr(description, "json") ? "str | float | bool | list | dict" : "Any");
}

m8_status m8__python_type(m8_buf *out, const json_t *schema)
{
    type_of(out, schema, json_object_get(schema, "$defs"), 0);
    return out->status;
}

/* The schema with what it refers to in its place, and files as one word: what people read. New. */
json_t *m8__schema_inline(const json_t *schema, const json_t *defs, int depth)
{
    if (m8__schema_is_file(schema)) {
        return json_pack("{s:s, s:s}", "type", "filepath", "description",
                         "Must include {\"path\": \"url\", \"meta\": {\"_type\": \"gradio.FileData\"}}. The meta key "
                         "signals that the file will be "
                         "uploaded to the remote server.");
    }
    if (json_object_get(schema, "$ref"))
        return depth < MOST_DEPTH
                   ? m8__schema_inline(definition(json_object_get(schema, "$ref"), defs), defs, depth + 1)
                   : json_object();
    json_t *out = json_is_array(schema)    ? json_array()
                  : json_is_object(schema) ? json_object()
                                           : json_incref((json_t *)schema),
           *child;
    size_t i;
    const char *key;
    json_array_foreach((json_t *)schema, i, child) {
        if (out && json_array_append_new(out, m8__schema_inline(child, defs, depth + 1))) goto fail;
    }
    if (json_is_object(schema)) {
        json_object_foreach((json_t *)schema, key, child) {
            if (strcmp(key, "$defs") && out && json_object_set_new(out, key, m8__schema_inline(child, defs, depth + 1)))
                goto fail;
        }
    }
    return out ? out : json_null();
fail:
    json_decref(out);
    return NULL;
}
