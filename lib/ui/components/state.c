/* State: kept on the server, one for each session. The values of gr.api: no component of a page at all, only types. */
#include "components.h"
#include <string.h>

/* What a client sends for a State is not looked at (the queue puts the session's value in its place). */
static m8_status state_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err) { return M8_OK; }

const struct m8__component m8__state = { .type = "state", .preprocess = state_in };

m8_block *m8_state(m8_block *parent, const char *json, double time_to_live_s)
{
    m8_block *b = m8__block_new(parent, &m8__state);
    m8__props_json(b, "value", json ? json : "null");
    if (!b || !(time_to_live_s > 0)) return b;
    b->time_to_live_s = time_to_live_s;
    m8__props_set(b, "time_to_live", m8__number(time_to_live_s));
    return b;
}

/* ---- gr.api --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *schema_type;
    json_type kind;
} types[] = {
    { "int", "integer", JSON_INTEGER }, { "float", "number", JSON_REAL }, { "str", "string", JSON_STRING },
    { "bool", "boolean", JSON_TRUE },   { "list", "array", JSON_ARRAY },  { "dict", "object", JSON_OBJECT },
};

static m8_status api_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    const char *type = json_string_value(json_object_get(m8__prop(b, "_api_info"), "type"));
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].schema_type, type)) continue;
        json_type kind = json_typeof(*value);
        bool ok = kind == types[i].kind || (kind == JSON_FALSE && types[i].kind == JSON_TRUE) ||
                  (kind == JSON_INTEGER && types[i].kind == JSON_REAL) || (kind == JSON_NULL && b->optional);
        return ok ? m8__any_value(b, value, s, err) : m8__wrong_type(b, type, err);
    }
    return m8__any_value(b, value, s, err);
}

static json_t *api_info(const m8_block *b, bool as_output) { return json_incref((json_t *)m8__prop(b, "_api_info")); }

static json_t *api_example(const m8_block *b)
{
    const json_t *value = m8__prop(b, "value");
    return json_is_null(value) ? json_string("...") : json_incref((json_t *)value);
}

const struct m8__component m8__api_type = {
    .type = "api", .preprocess = api_in, .api_info = api_info, .example = api_example
};

static json_t *schema_of(m8_blocks *app, const char *type)
{
    if (type && !strcmp(type, "list")) return json_pack("{s:s, s:{}}", "type", "array", "items");
    if (type && !strcmp(type, "dict")) return json_pack("{s:s, s:{}}", "type", "object", "additionalProperties");
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
        if (!strcmp(types[i].name, type)) return json_pack("{s:s}", "type", types[i].schema_type);
    }
    m8__app_fail(app, M8_E_ARG, "m8_api: no type %s", type ? type : "NULL");
    return NULL;
}

/* "1st", "2nd", ...: what Gradio calls them. */
static m8_block *place(m8_blocks *app, const char *type, size_t i)
{
    static const char *const ends[] = { "th", "st", "nd", "rd" };
    size_t n = i + 1;
    m8_block *b = m8__block_new(app->root, &m8__api_type);
    if (!b) return NULL;
    m8__props_set(b, "_api_info", schema_of(app, type));
    m8__props_set(b, "label", json_sprintf("%zu%s", n, ends[n % 10 < 4 && n / 10 % 10 != 1 ? n % 10 : 0]));
    return b;
}

m8_event *m8_api(m8_blocks *app, m8_fn fn, const m8_api_param *params, size_t n_params, const char *const *returns,
                 size_t n_returns, const m8_event_opts *opts)
{
    if (!app) return NULL;
    m8_event_opts o = opts ? *opts : (m8_event_opts){0};
    if (n_params > 32 || n_returns > 32) m8__app_fail(app, M8_E_LIMIT, "m8_api: more than 32 values");
    for (size_t i = 0; i < 32; i++) o.in[i] = o.out[i] = NULL, o.params[i] = NULL;
    for (size_t i = 0; i < n_params && !app->status; i++) {
        o.in[i] = place(app, params[i].type, i);
        o.params[i] = params[i].name;
        m8__props_json(o.in[i], "value", params[i].json_default);
        if (o.in[i]) o.in[i]->optional = params[i].json_default && json_is_null(m8__prop(o.in[i], "value"));
    }
    for (size_t i = 0; i < n_returns && !app->status; i++) o.out[i] = place(app, returns[i], i);
    if (!o.show_progress) o.show_progress = "hidden";
    m8_event *e = m8__event_new(app, fn, &o, "api");
    for (size_t i = 0; e && i < n_params; i++) {
        if (params[i].json_default) e->defaults[i] = json_incref((json_t *)m8__prop(e->in[i], "value"));
    }
    return e;
}
