/* The list of components, and the table of what Gradio says of each: defaults.json, made by tools/gradio_components.py. */
#include "components.h"
#include <ctype.h>
#include <string.h>

const struct m8__component *const m8__components[] = {
    &m8__row, &m8__column, &m8__form, &m8__group, &m8__accordion, &m8__sidebar, &m8__tabs, &m8__tabitem,
    &m8__textbox, &m8__number_type, &m8__slider, &m8__checkbox, &m8__radio, &m8__dropdown, &m8__checkboxgroup,
    &m8__button, &m8__uploadbutton, &m8__downloadbutton, &m8__clear,
    &m8__audio, &m8__image, &m8__video, &m8__file, &m8__gallery,
    &m8__markdown, &m8__html, &m8__json_view, &m8__label, &m8__highlightedtext, &m8__code, &m8__dataframe, &m8__chatbot,
    &m8__state, &m8__timer, &m8__dataset, &m8__api_type, NULL,
};

extern const char m8__ui_defaults[];
extern const size_t m8__ui_defaults_size;

static struct {
    pthread_mutex_t lock;
    json_t *tree;
    size_t users;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

m8_status m8__table_ref(m8_error *err)
{
    pthread_mutex_lock(&table.lock);
    if (!table.users) table.tree = json_loadb(m8__ui_defaults, m8__ui_defaults_size, 0, NULL);
    bool ok = table.tree != NULL;
    table.users += ok;
    pthread_mutex_unlock(&table.lock);
    return ok ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory for the table of components");
}

void m8__table_unref(void)
{
    pthread_mutex_lock(&table.lock);
    if (!--table.users) {
        json_decref(table.tree);
        table.tree = NULL;
    }
    pthread_mutex_unlock(&table.lock);
}

json_t *m8__component_defaults(const struct m8__component *type)
{
    return json_object_get(table.tree, type->of ? type->of : type->type);
}

const struct m8__component *m8__component_find(const char *type)
{
    for (size_t i = 0; m8__components[i]; i++) {
        if (!strcmp(m8__components[i]->type, type)) return m8__components[i];
    }
    return NULL;
}

json_t *m8__block_api_info(const m8_block *b, bool as_output)
{
    if (b->type->api_info) return b->type->api_info(b, as_output);
    return json_incref(json_object_get(m8__component_defaults(b->type), "api_info"));
}

json_t *m8__block_example(const m8_block *b)
{
    if (b->type->example) return b->type->example(b);
    return json_incref(json_object_get(m8__component_defaults(b->type), "example_inputs"));
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

const char *m8__shown_name(const m8_block *b)
{
    const char *label = m8__prop_text(b, "label");
    return *label ? label : b->type->type;
}

m8_status m8__wrong_type(const m8_block *b, const char *expected, m8_error *err)
{
    return m8_fail(err, M8_E_ARG, "%s: expected %s", m8__shown_name(b), expected);
}

/* Replace *value by a new one; NULL is no memory. */
m8_status m8__swap(json_t **value, json_t *by, m8_error *err)
{
    if (!by) return m8_fail(err, M8_E_NOMEM, "out of memory for a value");
    json_decref(*value);
    *value = by;
    return M8_OK;
}

bool m8__is_file(const json_t *value)
{
    const char *type = json_string_value(json_object_get(json_object_get(value, "meta"), "_type"));
    return type && !strcmp(type, "gradio.FileData");
}

m8_status m8__file_value(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    json_t *file = NULL;
    m8_status st = m8__is_file(*value) ? m8__file_in(b->app, s, *value, &file, err)
                                       : m8__wrong_type(b, "an uploaded file", err);
    return st ? st : m8__swap(value, file, err);
}

/* Files may lie at any depth of values that are otherwise free: they obey the same rule. The depth is that of the
 * request's body. */
static m8_status files_within(const m8_block *b, json_t *value, struct m8__session *s, m8_error *err);

static m8_status checked(const m8_block *b, json_t *child, struct m8__session *s, json_t **out, m8_error *err)
{
    *out = json_incref(child);
    m8_status st = m8__is_file(child) ? m8__file_value(b, out, s, err) : files_within(b, child, s, err);
    if (st) json_decref(*out);
    return st;
}

static m8_status files_within(const m8_block *b, json_t *value, struct m8__session *s, m8_error *err)
{
    m8_status st = M8_OK;
    json_t *child, *file;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && !st; i++) {
            st = checked(b, json_array_get(value, i), s, &file, err);
            if (!st && json_array_set_new(value, i, file)) st = m8_fail(err, M8_E_NOMEM, "out of memory for a value");
        }
    } else if (json_is_object(value)) {
        for (void *at = json_object_iter(value); at && !st; at = json_object_iter_next(value, at)) {
            child = json_object_iter_value(at);
            st = checked(b, child, s, &file, err);
            if (!st && json_object_iter_set_new(value, at, file))
                st = m8_fail(err, M8_E_NOMEM, "out of memory for a value");
        }
    }
    return st;
}

m8_status m8__any_value(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return m8__is_file(*value) ? m8__file_value(b, value, s, err) : files_within(b, *value, s, err);
}

m8_status m8__preprocess(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (!*value) return m8__wrong_type(b, "a value", err);
    m8_status st = b->type->preprocess ? b->type->preprocess(b, value, s, err) : m8__any_value(b, value, s, err);
    if (st == M8_E_ARG && err && !err->text[0]) m8_fail(err, st, "%s: bad value", m8__shown_name(b));
    return st;
}

m8_status m8__postprocess(const m8_block *b, json_t **value, m8_error *err)
{
    return b->type->postprocess ? b->type->postprocess(b, value, err) : M8_OK;
}
