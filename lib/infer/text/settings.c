#include "text/settings.h"
#include "weights/reader.h"
#include <string.h>

#define MOST_CONFIG (2u << 20) /* bytes of tokenizer_config.json; Llama 3's has 51 KB */

/* "chat_template" is a text, or a list of named ones, of which "default" is for chats. */
static const char *template_of(const json_t *config)
{
    const json_t *v = json_object_get(config, "chat_template"), *one;
    if (json_is_string(v)) return json_string_value(v);
    size_t i;
    json_array_foreach (v, i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && !strcmp(name, "default")) return json_string_value(json_object_get(one, "template"));
    }
    return NULL;
}

static m8_status read_config(struct m8__tok_settings *s, const char *path, m8_error *err)
{
    m8_buf text = { .limit = MOST_CONFIG };
    json_t *config = NULL;
    m8_status st = m8_read_file(&text, path, err);
    if (!st) st = m8__json(&config, text.data, text.len, err);
    if (!st) {
        const char *template = template_of(config);
        const json_t *bos = json_object_get(config, "add_bos_token");
        if (template && !s->template.len) m8_buf_str(&s->template, template);
        if (json_is_boolean(bos)) s->add_bos = json_is_true(bos);
    }
    json_decref(config);
    m8_buf_finish(&text);
    return st ? m8_wrap(err, st, "tokenizer_config.json") : st;
}

static m8_status beside(struct m8__tok_settings *s, const char *dir, m8_error *err)
{
    char *jinja = m8_join_path(dir, "chat_template.jinja"), *config = m8_join_path(dir, "tokenizer_config.json");
    m8_status st = jinja && config ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory for a path");
    s->template.limit = MOST_CONFIG;
    if (!st && m8_is_file(jinja)) st = m8_read_file(&s->template, jinja, err);
    if (!st && m8_is_file(config)) st = read_config(s, config, err);
    m8_free(jinja);
    m8_free(config);
    return st;
}

m8_status m8__tok_settings_read(struct m8__tok_settings *s, const m8__weights *w, m8_error *err)
{
    m8__view text;
    bool bos, in_file = m8__meta_str(w, "tokenizer.chat_template", &text);
    s->add_bos = -1;
    if (in_file) m8_buf_add(&s->template, text.data, text.len);
    if (m8__meta_bool(w, "tokenizer.ggml.add_bos_token", &bos)) s->add_bos = bos;
    m8_status st = !strcmp(m8__weights_format(w), "gguf") || !m8__weights_dir(w) ? M8_OK : beside(s, m8__weights_dir(w), err);
    if (!st && s->template.status) st = m8_fail(err, s->template.status, "the chat template");
    return st;
}

void m8__tok_settings_finish(struct m8__tok_settings *s) { m8_buf_finish(&s->template); }
