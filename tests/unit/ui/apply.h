/** apply.h - applies the edits of a message to a value, as the clients do (gradio_client.utils, @gradio/client's apply_diff). */
#ifndef UI_APPLY_H
#define UI_APPLY_H

#include <jansson.h>
#include <string.h>

static json_t *grown(const json_t *text, const json_t *more)
{
    return json_sprintf("%s%s", json_string_value(text), json_string_value(more));
}

/* One edit; value is taken and the result is new. NULL: it cannot be applied. */
static json_t *apply_one(json_t *value, const json_t *edit)
{
    const char *action = json_string_value(json_array_get(edit, 0));
    const json_t *path = json_array_get(edit, 1);
    json_t *part = json_array_get(edit, 2);
    size_t n = json_array_size(path);
    if (!action || !json_is_array(path) || json_array_size(edit) != 3) goto bad;
    if (!n) {
        json_t *out = !strcmp(action, "replace")                                               ? json_deep_copy(part)
                      : !strcmp(action, "append") && json_is_string(value) && json_is_string(part) ? grown(value, part)
                                                                                               : NULL;
        json_decref(value);
        return out;
    }
    json_t *at = value;
    for (size_t i = 0; i + 1 < n && at; i++) {
        json_t *step = json_array_get(path, i);
        at = json_is_integer(step) ? json_array_get(at, (size_t)json_integer_value(step)) : json_object_get(at, json_string_value(step));
    }
    json_t *last = json_array_get(path, n - 1);
    if (json_is_array(at) && json_is_integer(last)) {
        size_t i = (size_t)json_integer_value(last), size = json_array_size(at);
        json_t *was = json_array_get(at, i);
        if (!strcmp(action, "add") && i <= size) json_array_insert_new(at, i, json_deep_copy(part));
        else if (!strcmp(action, "delete") && i < size) json_array_remove(at, i);
        else if (!strcmp(action, "replace") && i < size) json_array_set_new(at, i, json_deep_copy(part));
        else if (!strcmp(action, "append") && json_is_string(was)) json_array_set_new(at, i, grown(was, part));
        else goto bad;
        return value;
    }
    if (json_is_object(at) && json_is_string(last)) {
        const char *key = json_string_value(last);
        json_t *was = json_object_get(at, key);
        if (!strcmp(action, "add") && !was) json_object_set_new(at, key, json_deep_copy(part));
        else if (!strcmp(action, "delete") && was) json_object_del(at, key);
        else if (!strcmp(action, "replace") && was) json_object_set_new(at, key, json_deep_copy(part));
        else if (!strcmp(action, "append") && json_is_string(was)) json_object_set_new(at, key, grown(was, part));
        else goto bad;
        return value;
    }
bad:
    json_decref(value);
    return NULL;
}

static json_t *apply(const json_t *value, const json_t *edits)
{
    json_t *out = json_deep_copy(value);
    for (size_t i = 0; i < json_array_size(edits) && out; i++) out = apply_one(out, json_array_get(edits, i));
    return out;
}

#endif
