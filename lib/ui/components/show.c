/* Markdown, HTML, Code: text. JSON, Label, HighlightedText, Dataframe: JSON as on the wire, or what is easier to write
 * by hand. */
#include "components.h"
#include <stdlib.h>

/* ---- Label: {"label": text, "confidences": [{"label", "confidence"}]}, made of {"cat": 0.9, "dog": 0.1}
 * ------------------ */

static int by_confidence(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    double d = json_number_value(json_object_get(*y, "confidence")) - json_number_value(json_object_get(*x, "confidence"));
    return d > 0 ? 1 : d < 0 ? -1 : 0;
}

static json_t *confidences(const json_t *map, size_t most)
{
    size_t n = json_object_size(map), i = 0;
    json_t **items = m8_calloc(n, sizeof *items), *list = items ? json_array() : NULL, *x;
    const char *name;
    bool ok = list != NULL;
    json_object_foreach((json_t *)map, name, x) {
        if (ok) ok = (items[i++] = json_pack("{s:s, s:O}", "label", name, "confidence", x)) != NULL;
    }
    if (ok) qsort(items, n, sizeof *items, by_confidence);
    for (size_t k = 0; ok && k < n && (!most || k < most); k++) ok = !json_array_append(list, items[k]);
    for (size_t k = 0; k < i; k++) json_decref(items[k]);
    m8_free(items);
    if (ok) return list;
    json_decref(list);
    return NULL;
}

static bool is_map_of_numbers(const json_t *value)
{
    const char *name;
    json_t *x;
    json_object_foreach((json_t *)value, name, x) {
        if (!json_is_number(x)) return false;
    }
    return json_object_size(value) > 0;
}

static m8_status label_out(const m8_block *b, json_t **value, m8_error *err)
{
    if (json_is_null(*value)) return m8__swap(value, json_object(), err);
    if (json_is_string(*value) || json_is_number(*value))
        return m8__swap(value, json_pack("{s:O, s:n}", "label", *value, "confidences"), err);
    if (!is_map_of_numbers(*value)) return M8_OK;
    json_t *list = confidences(*value, (size_t)json_integer_value(m8__prop(b, "num_top_classes")));
    if (!list) return m8_fail(err, M8_E_NOMEM, "out of memory for a value");
    json_t *best = json_object_get(json_array_get(list, 0), "label");
    return m8__swap(value, json_pack("{s:O, s:o}", "label", best, "confidences", list), err);
}

/* ---- Dataframe: {"headers", "data", "metadata"}, made of a list of rows
 * ------------------------------------------------- */

static json_t *headers_of(const m8_block *b, const json_t *rows)
{
    size_t n = json_array_size(json_array_get(rows, 0)), own = json_array_size(m8__prop(b, "headers"));
    if (own == n) return json_incref((json_t *)m8__prop(b, "headers"));
    json_t *list = json_array();
    for (size_t i = 1; i <= n && list; i++) {
        if (json_array_append_new(list, json_sprintf("%zu", i))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static m8_status dataframe_out(const m8_block *b, json_t **value, m8_error *err)
{
    if (json_is_null(*value)) {
        json_t *props = json_object_get(m8__component_defaults(b->type), "props");
        return m8__swap(value, json_deep_copy(json_object_get(props, "value")), err);
    }
    if (!json_is_array(*value)) return M8_OK;
    return m8__swap(value, json_pack("{s:o, s:O, s:n}", "headers", headers_of(b, *value), "data", *value, "metadata"), err);
}

static m8_status dataframe_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (json_is_null(*value)) return M8_OK;
    const json_t *rows = json_object_get(*value, "data");
    if (!json_is_array(json_object_get(*value, "headers")) || !json_is_array(rows))
        return m8__wrong_type(b, "headers and data", err);
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)rows, i, row) {
        if (!json_is_array(row)) return m8__wrong_type(b, "rows that are lists", err);
    }
    return m8__any_value(b, value, s, err);
}

static m8_status label_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return json_is_object(*value) || json_is_null(*value) ? m8__any_value(b, value, s, err)
                                                          : m8__wrong_type(b, "a label", err);
}

static m8_status tokens_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (!json_is_array(*value) && !json_is_null(*value)) return m8__wrong_type(b, "a list of tokens", err);
    size_t i;
    json_t *token;
    json_array_foreach(*value, i, token) {
        if (!json_is_string(json_object_get(token, "token"))) return m8__wrong_type(b, "tokens with text", err);
    }
    return m8__any_value(b, value, s, err);
}

const struct m8__component m8__markdown = { .type = "markdown", .preprocess = m8__text_in, .postprocess = m8__text_out };
const struct m8__component m8__html = { .type = "html", .preprocess = m8__text_in, .postprocess = m8__text_out };
const struct m8__component m8__code = { .type = "code", .preprocess = m8__text_in, .postprocess = m8__text_out };
const struct m8__component m8__json_view = { .type = "json" };
const struct m8__component m8__label = {
    .type = "label", .preprocess = label_in, .postprocess = label_out, .cleared = "{}"
};
const struct m8__component m8__highlightedtext = { .type = "highlightedtext", .preprocess = tokens_in };
const struct m8__component m8__dataframe = { .type = "dataframe",
                                             .preprocess = dataframe_in,
                                             .postprocess = dataframe_out };

/* ---- builders ------------------------------------------------------------------------------------------------------- */

static const m8_show_opts none;

static m8_block *text(m8_block *parent, const struct m8__component *type, const m8_show_opts *o)
{
    m8_block *b = m8__block_new(parent, type);
    m8__props_text(b, "value", o->value);
    m8__props_text(b, "language", o->language);
    m8__props_int(b, "height", o->height);
    m8__props_common(b, M8__COMMON(o));
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_markdown(m8_block *parent, const m8_show_opts *opts)
{
    return text(parent, &m8__markdown, opts ? opts : &none);
}
m8_block *m8_html(m8_block *parent, const m8_show_opts *opts) { return text(parent, &m8__html, opts ? opts : &none); }
m8_block *m8_code(m8_block *parent, const m8_show_opts *opts) { return text(parent, &m8__code, opts ? opts : &none); }

/* The initial value goes the way of a handler's. */
static void initial(m8_block *b)
{
    if (!b || b->app->status) return;
    json_t *value = json_incref((json_t *)m8__prop(b, "value"));
    m8_status st = m8__postprocess(b, &value, NULL);
    if (st) json_decref(value), value = NULL;
    m8__props_set(b, "value", value);
}

static m8_block *shown(m8_block *parent, const struct m8__component *type, const m8_show_opts *o)
{
    m8_block *b = m8__block_new(parent, type);
    m8__props_json(b, "value", o->value);
    m8__props_int(b, "height", o->height);
    m8__props_int(b, "num_top_classes", o->n_top);
    m8__props_common(b, M8__COMMON(o));
    m8__props_extra(b, o->props);
    if (o->value) initial(b);
    return b;
}

m8_block *m8_json(m8_block *parent, const m8_show_opts *opts) { return shown(parent, &m8__json_view, opts ? opts : &none); }
m8_block *m8_label(m8_block *parent, const m8_show_opts *opts) { return shown(parent, &m8__label, opts ? opts : &none); }
m8_block *m8_highlightedtext(m8_block *parent, const m8_show_opts *opts)
{
    return shown(parent, &m8__highlightedtext, opts ? opts : &none);
}
m8_block *m8_dataframe(m8_block *parent, const m8_show_opts *opts)
{
    return shown(parent, &m8__dataframe, opts ? opts : &none);
}
m8_block *m8_chatbot(m8_block *parent, const m8_show_opts *opts)
{
    return shown(parent, &m8__chatbot, opts ? opts : &none);
}
