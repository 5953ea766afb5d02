#include "like.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

json_t *recorded(const char *file)
{
    const char *data = getenv("MAGIC8_TEST_DATA");
    char path[4096];
    json_error_t why;
    snprintf(path, sizeof path, "%s/gradio/%s", data ? data : "tests/data", file);
    json_t *whole = json_load_file(path, JSON_DECODE_INT_AS_REAL, &why); /* Gradio's app_id is beyond 2^63 */
    if (!whole) fail_msg("%s: %s", path, why.text);
    return whole;
}

json_t *recorded_body(const char *file)
{
    json_t *whole = recorded(file), *exchange = json_array_get(json_object_get(whole, "exchange"), 0);
    json_t *body = json_incref(json_object_get(json_object_get(exchange, "response"), "body"));
    json_decref(whole);
    assert_non_null(body);
    return body;
}

static bool skipped(const char *key)
{
    static const char *const keys[] = { "app_id", "theme_hash", "component_class_id", "class_id", "delete_callback" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(key, keys[i])) return true;
    }
    return false;
}

/* Of Gradio's own: the one that goes over many lines, and the one about images. */
static bool is_sentence(const json_t *x)
{
    const char *s = json_string_value(x);
    return s && (strstr(s, "class is a subclass of the GradioModel") ||
                 !strcmp(s, "A local filepath or publicly available URL.") || !strcmp(s, "\u2026"));
}

static void differ(const char *where, const json_t *want, const json_t *got)
{
    char *w = want ? json_dumps(want, JSON_ENCODE_ANY) : NULL, *g = got ? json_dumps(got, JSON_ENCODE_ANY) : NULL;
    fail_msg("%s: expected %.200s, got %.200s", where, w ? w : "nothing", g ? g : "nothing");
}

void assert_like(const json_t *want, const json_t *got, const char *where)
{
    char at[1024];
    const char *key;
    json_t *child;
    size_t i;
    if (!got || (json_typeof(want) != json_typeof(got) && !(json_is_number(want) && json_is_number(got))))
        differ(where, want, got);
    if (json_is_object(want)) {
        json_object_foreach((json_t *)want, key, child) {
            if (skipped(key)) continue;
            snprintf(at, sizeof at, "%s/%s", where, key);
            assert_like(child, json_object_get(got, key), at);
        }
        json_object_foreach((json_t *)got, key, child) {
            snprintf(at, sizeof at, "%s/%s", where, key);
            if (!skipped(key) && !json_object_get(want, key)) differ(at, NULL, child);
        }
    } else if (json_is_array(want)) {
        if (json_array_size(want) != json_array_size(got)) differ(where, want, got);
        json_array_foreach((json_t *)want, i, child) {
            snprintf(at, sizeof at, "%s/%zu", where, i);
            assert_like(child, json_array_get(got, i), at);
        }
    } else if (json_is_number(want)) {
        if (json_number_value(want) != json_number_value(got)) differ(where, want, got);
    } else if (is_sentence(want)) {
        if (!json_string_length(got)) differ(where, want, got);
    } else if (!json_equal(want, got)) {
        differ(where, want, got);
    }
}

json_t *text_as_json(m8_buf *text)
{
    json_error_t why;
    json_t *value = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, &why);
    if (!value) fail_msg("no JSON: %s", why.text);
    m8_buf_finish(text);
    return value;
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

int files_given_out;

m8_status m8__file_in(m8_blocks *app, struct m8__session *s, const json_t *value, json_t **out, m8_error *err)
{
    const char *path = json_string_value(json_object_get(value, "path"));
    if (!path || strncmp(path, "/up/", 4)) return m8_fail(err, M8_E_ARG, "not an upload of this session");
    *out = json_deep_copy(value);
    return *out ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
}

m8_status m8__file_out(m8_blocks *app, const char *session_hash, const char *path, json_t **out, m8_error *err)
{
    const char *name = strrchr(path, '/');
    files_given_out++;
    *out = json_pack("{s:s, s:n, s:n, s:s, s:n, s:b, s:{s:s}}", "path", path, "url", "size", "orig_name",
                     name ? name + 1 : path, "mime_type", "is_stream", 0, "meta", "_type", "gradio.FileData");
    return *out ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
}

m8_status m8__file_bytes(m8_blocks *app, const char *session_hash, const char *name, const void *data, size_t n,
                         json_t **out, m8_error *err)
{
    return m8__file_out(app, session_hash, name, out, err);
}

m8_status m8__add_urls(json_t *value, const char *root)
{
    const char *key, *path = json_string_value(json_object_get(value, "path"));
    json_t *child;
    size_t i;
    if (path && json_object_get(value, "meta")) {
        json_t *url = json_sprintf("%s/gradio_api/file=%s", root, path);
        return json_object_set_new(value, "url", url) ? M8_E_NOMEM : M8_OK;
    }
    json_array_foreach(value, i, child) {
        if (m8__add_urls(child, root)) return M8_E_NOMEM;
    }
    if (!json_is_object(value)) return M8_OK;
    json_object_foreach(value, key, child) {
        if (m8__add_urls(child, root)) return M8_E_NOMEM;
    }
    return M8_OK;
}
