/* What lies beside a tokenizer and is no part of it: the chat template, and whether a text begins with a token of its own. In the keys of
 * a GGUF file, or in tokenizer_config.json and chat_template.jinja beside the weights. */
#include "text/tok.h"
#include <string.h>

#define MOST_CONFIG (2u << 20) /* bytes of tokenizer_config.json; Llama 3's has 51 KB */

static m8_status keep(m8__tokenizer *t, const char *s, size_t n, m8_error *err)
{
    char *copy = m8_arena_strndup(t->arena, s, n);
    if (!copy) return m8_fail(err, M8_E_NOMEM, "no memory for the chat template");
    t->template = (m8__view){ copy, n };
    return M8_OK;
}

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

/* Integers as floats: "model_max_length" has 31 digits where there is no limit. */
static m8_status parse(json_t **out, const char *data, size_t n, m8_error *err)
{
    json_error_t e;
    *out = json_loadb(data, n, JSON_DECODE_INT_AS_REAL, &e);
    if (*out) return M8_OK;
    if (json_error_code(&e) == json_error_out_of_memory || !e.text[0]) return m8_fail(err, M8_E_NOMEM, "no memory for its settings");
    return m8_fail(err, M8_E_FORMAT, "damaged JSON, line %d", e.line);
}

static m8_status read_config(m8__tokenizer *t, const char *path, m8_error *err)
{
    m8_buf text = { .limit = MOST_CONFIG };
    json_t *config = NULL;
    m8_status st = m8_read_file(&text, path, err);
    if (!st) st = parse(&config, text.data ? text.data : "", text.len, err);
    if (!st) {
        const char *template = template_of(config);
        const json_t *bos = json_object_get(config, "add_bos_token");
        if (json_is_boolean(bos)) t->add_bos = json_is_true(bos);
        if (template && !t->template.len) st = keep(t, template, strlen(template), err);
    }
    json_decref(config);
    m8_buf_finish(&text);
    return st ? m8_wrap(err, st, "%s", path) : st;
}

static m8_status read_jinja(m8__tokenizer *t, const char *path, m8_error *err)
{
    m8_buf text = { .limit = MOST_CONFIG };
    m8_status st = m8_read_file(&text, path, err);
    if (!st && text.len) st = keep(t, text.data, text.len, err);
    m8_buf_finish(&text);
    return st;
}

static m8_status beside(m8__tokenizer *t, const char *dir, m8_error *err)
{
    char *jinja = m8_join_path(dir, "chat_template.jinja"), *config = m8_join_path(dir, "tokenizer_config.json");
    m8_status st = jinja && config ? M8_OK : m8_fail(err, M8_E_NOMEM, "no memory for a path");
    if (!st && m8_is_file(jinja)) st = read_jinja(t, jinja, err);
    if (!st && m8_is_file(config)) st = read_config(t, config, err);
    m8_free(jinja);
    m8_free(config);
    return st;
}

m8_status m8__tok_settings(m8__tokenizer *t, const m8__weights *w, m8_error *err)
{
    m8__view text;
    /* as the originals do where nothing is said */
    t->add_bos = t->bos >= 0 && (t->spm || m8__token_id(t, "<|begin_of_text|>") >= 0);
    if (strcmp(m8__weights_format(w), "gguf")) return m8__weights_dir(w) ? beside(t, m8__weights_dir(w), err) : M8_OK;
    m8__meta_bool(w, "tokenizer.ggml.add_bos_token", &t->add_bos);
    return m8__meta_str(w, "tokenizer.chat_template", &text) ? keep(t, text.data, text.len, err) : M8_OK;
}
