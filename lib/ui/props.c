/* Properties of blocks, by Gradio's names. All sticky: the app remembers the first failure. */
#include "table.h"
#include <string.h>

/* Bytes of the sequence at s, 0 where it is none: too short, too long for what it says, a surrogate, beyond U+10FFFF. */
static int sequence(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    unsigned low = s[0] == 0xe0   ? 0xa0
                   : s[0] == 0xf0 ? 0x90
                                  : 0x80,
             high = s[0] == 0xed   ? 0x9f
                    : s[0] == 0xf4 ? 0x8f
                                   : 0xbf;
    if (s[1] < low || s[1] > high) return 0;
    for (int i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    return n;
}

/* Texts are the program's own, but may hold what it has read somewhere. */
static json_t *text_new(m8_block *b, const char *key, const char *value)
{
    for (const unsigned char *s = (const unsigned char *)value; *s; s += sequence(s)) {
        if (sequence(s)) continue;
        m8__app_fail(b->app, M8_E_ARG, "%s of a %s is not UTF-8", key, b->type->type);
        return NULL;
    }
    return json_string_nocheck(value);
}

void m8__props_set(m8_block *b, const char *key, json_t *value)
{
    if (!b || b->app->status) json_decref(value);
    else if (!value || json_object_set_new(b->props, key, value)) m8__app_nomem(b->app);
}

void m8__props_text(m8_block *b, const char *key, const char *value)
{
    if (b && value && !b->app->status) m8__props_set(b, key, text_new(b, key, value));
}

void m8__props_flag(m8_block *b, const char *key, bool x)
{
    if (x) m8__props_set(b, key, json_true());
}

void m8__props_tri(m8_block *b, const char *key, m8_tri x)
{
    if (x) m8__props_set(b, key, json_boolean(x == M8_YES));
}

void m8__props_int(m8_block *b, const char *key, int x)
{
    if (x) m8__props_set(b, key, json_integer(x));
}

void m8__props_words(m8_block *b, const char *key, const char *words)
{
    if (!b || !words || b->app->status) return;
    json_t *list = json_array();
    for (const char *s = words + strspn(words, " "); *s && list;) {
        size_t n = strcspn(s, " ");
        if (json_array_append_new(list, json_stringn(s, n))) {
            json_decref(list);
            list = NULL;
        }
        s += n;
        s += strspn(s, " ");
    }
    m8__props_set(b, key, list);
}

/* jansson calls an allocation that failed a bad token; so what failed is read again, and blamed only if there is memory. */
static json_t *parse(m8_block *b, const char *key, const char *json)
{
    json_error_t why;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    if (!value) value = json_loads(json, JSON_DECODE_ANY, &why);
    if (value) return value;
    void *memory = m8_malloc(strlen(json));
    if (memory) m8__app_fail(b->app, M8_E_ARG, "%s of a %s is not JSON: %s", key, b->type->type, why.text);
    else m8__app_nomem(b->app);
    m8_free(memory);
    return NULL;
}

void m8__props_json(m8_block *b, const char *key, const char *json)
{
    if (b && json && !b->app->status) m8__props_set(b, key, parse(b, key, json));
}

m8_status m8__add_members(json_t *object, const json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)more, key, value) {
        if (json_object_set(object, key, value)) return M8_E_NOMEM;
    }
    return M8_OK;
}

void m8__props_extra(m8_block *b, const char *json)
{
    if (!b || !json || b->app->status) return;
    json_t *more = parse(b, "props", json);
    if (more && !json_is_object(more)) m8__app_fail(b->app, M8_E_ARG, "props of a %s are no JSON object", b->type->type);
    else if (more && m8__add_members(b->props, more)) m8__app_nomem(b->app);
    json_decref(more);
}

void m8__props_common(m8_block *b, const struct m8__common *c)
{
    if (!b) return;
    m8__props_text(b, "label", c->label);
    m8__props_text(b, "info", c->info);
    m8__props_tri(b, "interactive", c->interactive);
    m8__props_tri(b, "show_label", c->show_label);
    m8__props_tri(b, "container", c->container);
    m8__props_int(b, "scale", c->scale);
    m8__props_int(b, "min_width", c->min_width);
    m8__props_tri(b, "visible", c->visible);
    m8__props_text(b, "elem_id", c->elem_id);
    m8__props_words(b, "elem_classes", c->elem_classes);
}

void m8__initial_file(m8_block *b, const char *path)
{
    if (!b || !path || b->app->status) return;
    b->initial_file = m8_strdup(path);
    if (!b->initial_file) m8__app_nomem(b->app);
}

const json_t *m8__prop(const m8_block *b, const char *key) { return json_object_get(b->props, key); }

const char *m8__prop_text(const m8_block *b, const char *key)
{
    const char *s = json_string_value(m8__prop(b, key));
    return s ? s : "";
}
