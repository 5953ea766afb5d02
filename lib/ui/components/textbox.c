/* Textbox. On the wire: text or null. */
#include "components.h"
#include <string.h>

static m8_status as_text(json_t **value, m8_error *err)
{
    m8_buf text = {0};
    m8_status st = m8__dump(&text, *value);
    if (!st) st = m8__swap(value, json_stringn(text.data, text.len), err);
    else m8_fail(err, st, "out of memory for a value");
    m8_buf_finish(&text);
    return st;
}

m8_status m8__text_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (json_is_string(*value) || json_is_null(*value)) return M8_OK;
    return json_is_number(*value) ? as_text(value, err) : m8__wrong_type(b, "text", err);
}

m8_status m8__text_out(const m8_block *b, json_t **value, m8_error *err)
{
    return json_is_string(*value) || json_is_null(*value) ? M8_OK : as_text(value, err);
}

static size_t characters(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static m8_status preprocess(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    m8_status st = m8__text_in(b, value, s, err);
    const json_t *most = m8__prop(b, "max_length");
    if (st || !json_is_string(*value) || !json_is_integer(most)) return st;
    size_t n = characters(json_string_value(*value), json_string_length(*value));
    if (n <= (size_t)json_integer_value(most)) return M8_OK;
    return m8_fail(err, M8_E_USER, "%.80s: %zu characters are more than the %lld that fit", m8__shown_name(b), n,
                   (long long)json_integer_value(most));
}

const struct m8__component m8__textbox = {
    .type = "textbox", .form_field = true, .preprocess = preprocess, .postprocess = m8__text_out,
};

m8_block *m8_textbox(m8_block *parent, const m8_textbox_opts *opts)
{
    static const m8_textbox_opts none;
    const m8_textbox_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__textbox);
    m8__props_text(b, "value", o->value);
    m8__props_text(b, "type", o->type);
    m8__props_int(b, "lines", o->lines);
    m8__props_int(b, "max_lines", o->max_lines);
    m8__props_text(b, "placeholder", o->placeholder);
    m8__props_common(b, M8__COMMON(o));
    m8__props_flag(b, "autofocus", o->autofocus);
    m8__props_int(b, "max_length", o->max_length);
    m8__props_flag(b, "submit_btn", o->submit_btn);
    m8__props_flag(b, "stop_btn", o->stop_btn);
    if (o->copy) m8__props_json(b, "buttons", "[\"copy\"]");
    m8__props_extra(b, o->props);
    return b;
}
