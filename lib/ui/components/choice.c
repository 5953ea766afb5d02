/* Checkbox, Radio, Dropdown, CheckboxGroup. On the wire: a truth, a value of the choices, a list of such. */
#include "components.h"
#include <string.h>

static bool is_choice(const m8_block *b, const json_t *value)
{
    size_t i;
    json_t *pair;
    json_array_foreach((json_t *)m8__prop(b, "choices"), i, pair) {
        if (json_equal(json_array_get(pair, 1), value)) return true;
    }
    return false;
}

static json_t *values(const m8_block *b)
{
    json_t *list = json_array(), *pair;
    size_t i;
    json_array_foreach((json_t *)m8__prop(b, "choices"), i, pair) {
        if (!list || json_array_append(list, json_array_get(pair, 1))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Gradio's words, since programs look at them; both texts are cut to what an m8_error holds. */
static m8_status no_choice(const m8_block *b, const json_t *value, m8_error *err)
{
    m8_buf text = {0};
    json_t *all = values(b);
    m8__dump(&text, all);
    m8_status st = m8_fail(err, M8_E_USER, "Value: %.60s is not in the list of choices: %.120s", json_string_value(value),
                           text.status ? "" : text.data);
    m8_buf_finish(&text);
    json_decref(all);
    return st;
}

static m8_status one_in(const m8_block *b, const json_t *value, m8_error *err)
{
    if (!json_is_string(value)) return m8__wrong_type(b, "one of the choices", err);
    if (json_is_true(m8__prop(b, "allow_custom_value")) || is_choice(b, value)) return M8_OK;
    return no_choice(b, value, err);
}

static m8_status list_in(const m8_block *b, json_t **value, m8_error *err)
{
    if (json_is_null(*value)) return m8__swap(value, json_array(), err);
    const json_t *most = m8__prop(b, "max_choices");
    size_t n = json_array_size(*value), least = json_array_size(m8__prop(b, "choices"));
    if (!json_is_array(*value)) return m8__wrong_type(b, "a list of choices", err);
    if (json_is_integer(most) && n > (size_t)json_integer_value(most))
        return m8_fail(err, M8_E_USER, "%.80s: at most %lld choices", m8__shown_name(b),
                       (long long)json_integer_value(most));
    if (n > least && n > M8__MOST_FILES) return m8__wrong_type(b, "fewer choices", err);
    m8_status st = M8_OK;
    for (size_t i = 0; i < n && !st; i++) st = one_in(b, json_array_get(*value, i), err);
    return st;
}

static bool several(const m8_block *b) { return json_is_true(m8__prop(b, "multiselect")); }

static m8_status choice_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (several(b)) return list_in(b, value, err);
    return json_is_null(*value) ? M8_OK : one_in(b, *value, err);
}

static m8_status group_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return list_in(b, value, err);
}

static m8_status group_out(const m8_block *b, json_t **value, m8_error *err)
{
    return json_is_null(*value) ? m8__swap(value, json_array(), err) : M8_OK;
}

static m8_status checkbox_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return json_is_boolean(*value) || json_is_null(*value) ? M8_OK : m8__wrong_type(b, "true or false", err);
}

static m8_status checkbox_out(const m8_block *b, json_t **value, m8_error *err)
{
    return json_is_null(*value) ? m8__swap(value, json_false(), err) : M8_OK;
}

/* ---- for the API ---------------------------------------------------------------------------------------------------- */

static json_t *radio_info(const m8_block *b, bool as_output)
{
    return json_pack("{s:o, s:s, s:s}", "enum", values(b), "title", "Radio", "type", "string");
}

static json_t *group_info(const m8_block *b, bool as_output)
{
    return json_pack("{s:{s:o, s:s}, s:s, s:s}", "items", "enum", values(b), "type", "string", "title",
                     "Checkbox Group", "type", "array");
}

static json_t *dropdown_info(const m8_block *b, bool as_output)
{
    json_t *one = json_pack("{s:s, s:o}", "type", "string", "enum", values(b));
    return several(b) ? json_pack("{s:s, s:o}", "type", "array", "items", one) : one;
}

static json_t *first_choice(const m8_block *b)
{
    json_t *first = json_array_get(json_array_get(m8__prop(b, "choices"), 0), 1);
    return first ? json_incref(first) : json_null();
}

static json_t *choice_example(const m8_block *b)
{
    return several(b) ? json_pack("[o]", first_choice(b)) : first_choice(b);
}

static json_t *group_example(const m8_block *b)
{
    return json_array_size(m8__prop(b, "choices")) ? json_pack("[o]", first_choice(b)) : json_null();
}

const struct m8__component m8__checkbox = {
    .type = "checkbox", .form_field = true, .preprocess = checkbox_in, .postprocess = checkbox_out, .cleared = "false",
};
const struct m8__component m8__radio = {
    .type = "radio", .form_field = true, .preprocess = choice_in, .api_info = radio_info, .example = choice_example,
};
const struct m8__component m8__dropdown = {
    .type = "dropdown", .form_field = true, .preprocess = choice_in, .api_info = dropdown_info, .example = choice_example,
};
const struct m8__component m8__checkboxgroup = {
    .type = "checkboxgroup", .form_field = true, .preprocess = group_in, .postprocess = group_out, .api_info = group_info,
    .example = group_example, .cleared = "[]",
};

/* ---- builders ------------------------------------------------------------------------------------------------------- */

m8_block *m8_checkbox(m8_block *parent, const m8_checkbox_opts *opts)
{
    static const m8_checkbox_opts none;
    const m8_checkbox_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__checkbox);
    m8__props_flag(b, "value", o->value);
    m8__props_common(b, M8__COMMON(o));
    m8__props_extra(b, o->props);
    return b;
}

static void choices(m8_block *b, const m8_choice_opts *o)
{
    if (!b) return;
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_choices && list; i++) {
        const char *shown = o->names ? o->names[i] : o->choices[i];
        if (json_array_append_new(list, json_pack("[s, s]", shown, o->choices[i]))) {
            json_decref(list);
            list = NULL;
        }
    }
    m8__props_set(b, "choices", list);
    m8__props_common(b, M8__COMMON(o));
}

static const m8_choice_opts no_choices;

m8_block *m8_radio(m8_block *parent, const m8_choice_opts *opts)
{
    const m8_choice_opts *o = opts ? opts : &no_choices;
    m8_block *b = m8__block_new(parent, &m8__radio);
    choices(b, o);
    m8__props_text(b, "value", o->value);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_dropdown(m8_block *parent, const m8_choice_opts *opts)
{
    const m8_choice_opts *o = opts ? opts : &no_choices;
    m8_block *b = m8__block_new(parent, &m8__dropdown);
    choices(b, o);
    m8__props_flag(b, "multiselect", o->multiselect);
    m8__props_flag(b, "allow_custom_value", o->allow_custom_value);
    if (o->multiselect) m8__props_json(b, "value", o->value ? o->value : "[]");
    else
        m8__props_text(b, "value",
                       o->value || !o->n_choices ? o->value
                                                 : o->choices[0]); /* as Gradio: the first one, unless told */
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_checkboxgroup(m8_block *parent, const m8_choice_opts *opts)
{
    const m8_choice_opts *o = opts ? opts : &no_choices;
    m8_block *b = m8__block_new(parent, &m8__checkboxgroup);
    choices(b, o);
    m8__props_json(b, "value", o->value);
    m8__props_extra(b, o->props);
    return b;
}
