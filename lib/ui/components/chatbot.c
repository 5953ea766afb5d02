/* Chatbot. On the wire: [{"role", "metadata", "content": [{"text", "type": "text"}, ...], "options"}, ...]; a handler
 * may write the content as text. */
#include "components.h"
#include <string.h>

static m8_status message_in(const m8_block *b, const json_t *message, m8_error *err)
{
    const json_t *content = json_object_get(message, "content");
    if (!json_is_string(json_object_get(message, "role")) || !(json_is_string(content) || json_is_array(content)))
        return m8__wrong_type(b, "messages with role and content", err);
    return M8_OK;
}

static m8_status chat_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (!json_is_array(*value) && !json_is_null(*value)) return m8__wrong_type(b, "a list of messages", err);
    m8_status st = M8_OK;
    for (size_t i = 0; i < json_array_size(*value) && !st; i++) st = message_in(b, json_array_get(*value, i), err);
    return st ? st : m8__any_value(b, value, s, err);
}

static json_t *part_out(json_t *part)
{
    if (json_is_string(part)) return json_pack("{s:O, s:s}", "text", part, "type", "text");
    if (m8__is_file(part)) return json_pack("{s:O, s:n, s:s}", "file", part, "alt_text", "type", "file");
    return json_incref(part);
}

static json_t *content_out(json_t *content)
{
    if (!json_is_array(content)) return json_pack("[o]", part_out(content));
    json_t *list = json_array(), *part;
    size_t i;
    json_array_foreach(content, i, part) {
        if (!list || json_array_append_new(list, part_out(part))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *message_out(const json_t *m)
{
    return json_pack("{s:O?, s:O?, s:o, s:O?}", "role", json_object_get(m, "role"), "metadata",
                     json_object_get(m, "metadata"), "content", content_out(json_object_get(m, "content")), "options",
                     json_object_get(m, "options"));
}

static m8_status chat_out(const m8_block *b, json_t **value, m8_error *err)
{
    json_t *list = json_array(), *message;
    size_t i;
    json_array_foreach(*value, i, message) {
        bool ok = json_is_object(message) && json_object_get(message, "content");
        if (!ok) {
            json_decref(list);
            return m8_fail(err, M8_E_ARG, "%s: a message without content", m8__shown_name(b));
        }
        if (!list || json_array_append_new(list, message_out(message))) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    return m8__swap(value, list, err);
}

const struct m8__component m8__chatbot = {
    .type = "chatbot", .preprocess = chat_in, .postprocess = chat_out, .cleared = "[]"
};
