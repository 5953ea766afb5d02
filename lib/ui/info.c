/* The description of the endpoints: what clients check their arguments with. */
#include "table.h"
#include <ctype.h>
#include <string.h>

/* "Textbox": the type with a capital letter, as Gradio writes it. */
static json_t *component_name(const m8_block *b)
{
    char name[32];
    const char *type = m8__prop_text(b, "name");
    size_t n = 0;
    for (; type[n] && n < sizeof name - 1; n++) name[n] = (char)(n ? type[n] : toupper((unsigned char)type[n]));
    return json_stringn(name, n);
}

static json_t *label(const m8_block *b, const char *otherwise)
{
    const char *s = m8__prop_text(b, "label");
    return *s || json_is_string(m8__prop(b, "label")) ? json_string(s) : json_sprintf("%s_%d", otherwise, b->id);
}

static json_t *python_type(const json_t *schema, const json_t *description)
{
    m8_buf text = {0};
    json_t *out = NULL;
    if (!m8__python_type(&text, schema)) {
        out = json_pack("{s:s, s:o}", "type", text.data ? text.data : "Any", "description",
                        description ? json_incref((json_t *)description) : json_string(""));
    }
    m8_buf_finish(&text);
    return out;
}

static json_t *parameter(const m8_event *e, size_t i)
{
    const m8_block *b = e->in[i];
    json_t *value = json_object_get(b->props, "value"), *schema = m8__block_api_info(b, false);
    bool has = b->optional || (value && !json_is_null(value));
    return json_pack("{s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "label", label(b, "parameter"), "parameter_name",
                     e->params[i], "parameter_has_default", (int)has, "parameter_default",
                     has ? m8__with_urls(value) : json_null(), "type", schema, "python_type",
                     python_type(schema, json_object_get(schema, "additional_description")), "component",
                     component_name(b), "example_input", m8__block_example(b));
}

static json_t *returned(const m8_event *e, size_t i)
{
    const m8_block *b = e->out[i];
    json_t *schema = m8__block_api_info(b, true);
    return json_pack("{s:o, s:o, s:o, s:o}", "label", label(b, "value"), "type", schema, "python_type",
                     python_type(schema, json_object_get(schema, "description")), "component", component_name(b));
}

static json_t *values(const m8_event *e, m8_block *const *blocks, size_t n, json_t *(*one)(const m8_event *e, size_t i))
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!blocks[i]->skip_api && !blocks[i]->type->layout && json_array_append_new(list, one(e, i))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *endpoint(const m8_event *e)
{
    const char *about = e->opts.description ? e->opts.description : "";
    return json_pack("{s:o, s:o, s:s, s:s}", "parameters", values(e, e->in, e->n_in, parameter), "returns",
                     values(e, e->out, e->n_out, returned), "api_visibility",
                     e->opts.api_visibility == M8_PUBLIC ? "public" : "undocumented", "description", about);
}

json_t *m8__info_tree(m8_blocks *app, bool all_endpoints)
{
    json_t *named = json_object();
    bool ok = named != NULL;
    for (size_t i = 0; i < app->n_events && ok; i++) {
        const m8_event *e = app->events[i];
        if (!e->fn || e->opts.api_visibility == M8_PRIVATE || (e->opts.api_visibility != M8_PUBLIC && !all_endpoints))
            continue;
        m8_buf path = {0};
        m8_buf_printf(&path, "/%s", e->api_name);
        ok = !path.status && !json_object_set_new(named, path.data, endpoint(e));
        m8_buf_finish(&path);
    }
    if (ok) return json_pack("{s:o, s:{}}", "named_endpoints", named, "unnamed_endpoints");
    json_decref(named);
    return NULL;
}
