/* What components take from a client, and what they refuse: one line a case, so that the list can be read and grown. */
#include "like.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINE "{\"path\": \"/up/mine.txt\", \"orig_name\": \"mine.txt\", \"mime_type\": \"text/plain\", \"meta\": {\"_type\": \"gradio.FileData\"}}"
#define PNG "{\"path\": \"/up/a.PNG\", \"orig_name\": \"a.PNG\", \"mime_type\": \"image/png\", \"meta\": {\"_type\": \"gradio.FileData\"}}"
#define NO_SIZE "{\"path\": \"/up/a.PNG\", \"orig_name\": \"a.PNG\", \"mime_type\": \"image/png\", \"size\": null, \"meta\": {\"_type\": \"gradio.FileData\"}}"
#define EVIL "{\"path\": \"/etc/passwd\", \"meta\": {\"_type\": \"gradio.FileData\"}}"
#define BARE "{\"path\": \"/up/mine.txt\"}"
#define URL "{\"url\": \"file:///etc/passwd\", \"meta\": {\"_type\": \"gradio.FileData\"}}"

static m8_block *make(m8_block *page, const char *kind)
{
    static const char *const abc[] = { "a", "b", "\u00e9" }, *const shown[] = { "A", "B", "E" };
    static const m8_choice_opts choice = { .choices = abc, .names = shown, .n_choices = 3, .label = "Pick" };
    m8_choice_opts many = choice, own = choice;
    many.multiselect = true;
    own.allow_custom_value = true;
    if (!strcmp(kind, "text")) return m8_textbox(page, NULL);
    if (!strcmp(kind, "text3")) return m8_textbox(page, &(m8_textbox_opts){ .max_length = 3, .label = "Short" });
    if (!strcmp(kind, "number")) return m8_number(page, NULL);
    if (!strcmp(kind, "number+")) return m8_number(page, &(m8_number_opts){ .has_minimum = true, .has_maximum = true, .maximum = 10, .precision = 1 });
    if (!strcmp(kind, "slider")) return m8_slider(page, &(m8_number_opts){ .has_minimum = true, .minimum = -1, .has_maximum = true, .maximum = 1 });
    if (!strcmp(kind, "checkbox")) return m8_checkbox(page, NULL);
    if (!strcmp(kind, "radio")) return m8_radio(page, &choice);
    if (!strcmp(kind, "dropdown")) return m8_dropdown(page, &choice);
    if (!strcmp(kind, "dropdown+")) return m8_dropdown(page, &own);
    if (!strcmp(kind, "many")) return m8_dropdown(page, &many);
    if (!strcmp(kind, "group")) return m8_checkboxgroup(page, &choice);
    if (!strcmp(kind, "button")) return m8_button(page, NULL);
    if (!strcmp(kind, "audio")) return m8_audio(page, NULL);
    if (!strcmp(kind, "image")) return m8_image(page, NULL);
    if (!strcmp(kind, "video")) return m8_video(page, NULL);
    if (!strcmp(kind, "file")) return m8_file(page, NULL);
    if (!strcmp(kind, "file.txt")) return m8_file(page, &(m8_file_opts){ .file_types = ".txt .md" });
    if (!strcmp(kind, "file.image")) return m8_file(page, &(m8_file_opts){ .file_types = "image" });
    if (!strcmp(kind, "files")) return m8_file(page, &(m8_file_opts){ .file_count = "multiple" });
    if (!strcmp(kind, "upload")) return m8_uploadbutton(page, NULL);
    if (!strcmp(kind, "gallery")) return m8_gallery(page, NULL);
    if (!strcmp(kind, "json")) return m8_json(page, NULL);
    if (!strcmp(kind, "markdown")) return m8_markdown(page, NULL);
    if (!strcmp(kind, "code")) return m8_code(page, NULL);
    if (!strcmp(kind, "label")) return m8_label(page, &(m8_show_opts){ .n_top = 2 });
    if (!strcmp(kind, "tokens")) return m8_highlightedtext(page, NULL);
    if (!strcmp(kind, "table")) return m8_dataframe(page, NULL);
    if (!strcmp(kind, "chat")) return m8_chatbot(page, NULL);
    if (!strcmp(kind, "timer")) return m8_timer(page, 1, false);
    fail_msg("no %s", kind);
    return NULL;
}

struct value {
    const char *kind, *json;
    m8_status status;
    const char *text; /* "=": as it came; JSON: what it becomes; of a failure: what its text holds */
};

static const struct value taken[] = {
    { "text", "\"hello\"", M8_OK, "=" }, { "text", "null", M8_OK, "=" }, { "text", "3", M8_OK, "\"3\"" }, { "text", "[\"a\"]", M8_E_ARG, "expected text" },
    { "text", "{\"a\": 1}", M8_E_ARG, "text" }, { "text", "true", M8_E_ARG, "text" }, { "text", EVIL, M8_E_ARG, "text" },
    { "text3", "\"\u00e9\u00e9\u00e9\"", M8_OK, "=" }, { "text3", "\"four\"", M8_E_USER, "Short: 4 characters" }, { "text3", "1234", M8_E_USER, "4" },
    { "number", "3.5", M8_OK, "=" }, { "number", "null", M8_OK, "=" }, { "number", "\"3\"", M8_E_ARG, "a number" }, { "number", "[]", M8_E_ARG, "a number" },
    { "number", "true", M8_E_ARG, "a number" }, { "number", "{}", M8_E_ARG, "a number" }, { "number", "-1e308", M8_OK, "=" },
    { "number+", "2.6", M8_OK, "3" }, { "number+", "10.4", M8_OK, "10" }, { "number+", "10.6", M8_E_USER, "maximum" }, { "number+", "-1", M8_E_USER, "minimum" },
    { "number+", "1e300", M8_E_USER, "maximum" },
    { "slider", "0.5", M8_OK, "=" }, { "slider", "1", M8_OK, "=" }, { "slider", "1.001", M8_E_USER, "maximum" }, { "slider", "-2", M8_E_USER, "minimum" },
    { "slider", "null", M8_E_ARG, "a number" }, { "slider", "\"0\"", M8_E_ARG, "a number" },
    { "checkbox", "true", M8_OK, "=" }, { "checkbox", "null", M8_OK, "=" }, { "checkbox", "1", M8_E_ARG, "true or false" }, { "checkbox", "\"true\"", M8_E_ARG, "true" },
    { "radio", "\"a\"", M8_OK, "=" }, { "radio", "\"\u00e9\"", M8_OK, "=" }, { "radio", "null", M8_OK, "=" },
    { "radio", "\"A\"", M8_E_USER, "Value: A is not in the list of choices: [\"a\",\"b\",\"\u00e9\"]" }, { "radio", "\"\"", M8_E_USER, "choices" },
    { "radio", "0", M8_E_ARG, "Pick: expected one of the choices" }, { "radio", "[\"a\"]", M8_E_ARG, "choices" }, { "radio", "{}", M8_E_ARG, "choices" },
    { "dropdown", "\"b\"", M8_OK, "=" }, { "dropdown", "\"c\"", M8_E_USER, "choices" }, { "dropdown", "[\"b\"]", M8_E_ARG, "choices" },
    { "dropdown+", "\"c\"", M8_OK, "=" }, { "dropdown+", "1", M8_E_ARG, "choices" },
    { "many", "[\"a\", \"b\"]", M8_OK, "=" }, { "many", "[]", M8_OK, "=" }, { "many", "null", M8_OK, "[]" }, { "many", "\"a\"", M8_E_ARG, "list" },
    { "many", "[\"a\", \"x\"]", M8_E_USER, "Value: x" }, { "many", "[[\"a\"]]", M8_E_ARG, "choices" }, { "many", "[null]", M8_E_ARG, "choices" },
    { "group", "[\"a\"]", M8_OK, "=" }, { "group", "[\"c\"]", M8_E_USER, "Value: c" }, { "group", "{\"0\": \"a\"}", M8_E_ARG, "list" }, { "group", "null", M8_OK, "[]" },
    { "button", "\"Run\"", M8_OK, "=" }, { "button", "{}", M8_E_ARG, "text" },
    { "audio", MINE, M8_OK, "=" }, { "audio", "null", M8_OK, "=" }, { "audio", EVIL, M8_E_ARG, "upload" }, { "audio", BARE, M8_E_ARG, "an uploaded file" },
    { "audio", "\"/up/mine.txt\"", M8_E_ARG, "file" }, { "audio", URL, M8_E_ARG, "upload" }, { "audio", "[" MINE "]", M8_E_ARG, "file" },
    { "image", PNG, M8_OK, "=" }, { "image", "\"data:image/png;base64,AAAA\"", M8_E_ARG, "file" }, { "image", EVIL, M8_E_ARG, "upload" },
    { "video", EVIL, M8_E_ARG, "upload" }, { "video", "{\"video\": " MINE "}", M8_E_ARG, "file" },
    { "file", MINE, M8_OK, "=" }, { "file", "[" MINE "]", M8_E_ARG, "file" }, { "file", EVIL, M8_E_ARG, "upload" }, { "upload", EVIL, M8_E_ARG, "upload" },
    { "file.txt", MINE, M8_OK, "=" }, { "file.txt", PNG, M8_E_USER, "Invalid file type. Please upload a file that is one of these formats: [\".txt\",\".md\"]" },
    { "file.image", PNG, M8_OK, "=" }, { "file.image", MINE, M8_E_USER, "Invalid file type" },
    { "files", "[" MINE "," PNG "]", M8_OK, "=" }, { "files", "[]", M8_OK, "=" }, { "files", MINE, M8_E_ARG, "list" }, { "files", "[" MINE "," EVIL "]", M8_E_ARG, "upload" },
    { "gallery", "[{\"image\": " PNG ", \"caption\": null}]", M8_OK, "=" }, { "gallery", "[{\"image\": " EVIL "}]", M8_E_ARG, "upload" },
    { "gallery", "[{\"video\": " MINE ", \"caption\": \"c\"}]", M8_OK, "=" }, { "gallery", "[{\"image\": " PNG ", \"caption\": {}}]", M8_E_ARG, "caption" },
    { "gallery", "[" PNG "]", M8_E_ARG, "images" }, { "gallery", "[[]]", M8_E_ARG, "images" }, { "gallery", "{}", M8_E_ARG, "list" },
    { "json", "{\"a\": [1, {\"b\": null}]}", M8_OK, "=" }, { "json", "{\"a\": [{\"b\": " EVIL "}]}", M8_E_ARG, "upload" }, { "json", "[[" MINE "]]", M8_OK, "=" },
    { "json", EVIL, M8_E_ARG, "upload" },
    { "markdown", "\"*\"", M8_OK, "=" }, { "markdown", "[]", M8_E_ARG, "text" }, { "code", "\"x\"", M8_OK, "=" }, { "code", "{}", M8_E_ARG, "text" },
    { "label", "{\"label\": \"a\"}", M8_OK, "=" }, { "label", "\"a\"", M8_E_ARG, "label" }, { "label", "{\"label\": " EVIL "}", M8_E_ARG, "upload" },
    { "tokens", "[{\"token\": \"a\"}]", M8_OK, "=" }, { "tokens", "[\"a\"]", M8_E_ARG, "tokens" }, { "tokens", "{}", M8_E_ARG, "list" },
    { "table", "{\"headers\": [\"a\"], \"data\": [[1]]}", M8_OK, "=" }, { "table", "{\"headers\": [\"a\"], \"data\": [1]}", M8_E_ARG, "rows" },
    { "table", "[[1]]", M8_E_ARG, "headers" }, { "table", "{\"headers\": [], \"data\": [[" EVIL "]]}", M8_E_ARG, "upload" },
    { "chat", "[{\"role\": \"user\", \"content\": \"hi\"}]", M8_OK, "=" }, { "chat", "[{\"role\": 1, \"content\": \"hi\"}]", M8_E_ARG, "role" },
    { "chat", "\"hi\"", M8_E_ARG, "list" }, { "chat", "[{\"role\": \"user\", \"content\": [{\"type\": \"file\", \"file\": " EVIL "}]}]", M8_E_ARG, "upload" },
    { "timer", "1", M8_OK, "=" }, { "timer", "\"1\"", M8_E_ARG, "number" },
};

static const struct value given[] = {
    { "text", "3", M8_OK, "\"3\"" }, { "text", "null", M8_OK, "=" }, { "slider", "null", M8_OK, "-1" }, { "checkbox", "null", M8_OK, "false" },
    { "group", "null", M8_OK, "[]" }, { "number+", "2.4", M8_OK, "2" }, { "markdown", "true", M8_OK, "\"true\"" }, { "json", "[1]", M8_OK, "=" },
    { "gallery", "null", M8_OK, "[]" }, { "gallery", PNG, M8_OK, "[{\"image\": " NO_SIZE ", \"caption\": null}]" },
    { "gallery", "[{\"image\": " PNG ", \"caption\": \"x\"}]", M8_OK, "[{\"image\": " NO_SIZE ", \"caption\": \"x\"}]" },
    { "gallery", "[{\"video\": " MINE "}]", M8_OK, "=" }, { "files", MINE, M8_OK, "[" MINE "]" }, { "file", "[" MINE "]", M8_OK, MINE },
    { "label", "{\"cat\": 0.2, \"dog\": 0.7, \"cow\": 0.1}", M8_OK,
      "{\"label\": \"dog\", \"confidences\": [{\"label\": \"dog\", \"confidence\": 0.7}, {\"label\": \"cat\", \"confidence\": 0.2}]}" },
    { "label", "\"dog\"", M8_OK, "{\"label\": \"dog\", \"confidences\": null}" }, { "label", "null", M8_OK, "{}" },
    { "table", "[[1, 2], [3, 4]]", M8_OK, "{\"headers\": [\"1\", \"2\"], \"data\": [[1, 2], [3, 4]], \"metadata\": null}" },
    { "table", "null", M8_OK, "{\"headers\": [\"1\", \"2\", \"3\"], \"data\": [], \"metadata\": null}" },
    { "chat", "[{\"role\": \"user\", \"content\": \"hi\"}]", M8_OK,
      "[{\"role\": \"user\", \"metadata\": null, \"content\": [{\"text\": \"hi\", \"type\": \"text\"}], \"options\": null}]" },
    { "chat", "[1]", M8_E_ARG, "content" }, { "chat", "null", M8_OK, "[]" },
};

static void check_one(const struct value *v, bool in)
{
    m8_error err = {0};
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, &err), M8_OK);
    m8_block *b = make(m8_blocks_root(app), v->kind);
    json_t *value = json_loads(v->json, JSON_DECODE_ANY, NULL), *want = NULL;
    assert_non_null(value);
    if (!v->status) want = strcmp(v->text, "=") ? json_loads(v->text, JSON_DECODE_ANY, NULL) : json_deep_copy(value);
    m8_status st = in ? m8__preprocess(b, &value, NULL, &err) : m8__postprocess(b, &value, &err);
    if (st != v->status) fail_msg("%s %s: %s %s, expected %s", v->kind, v->json, m8_status_name(st), err.text, m8_status_name(v->status));
    if (!st) assert_like(want, value, v->kind);
    else if (!strstr(err.text, v->text)) fail_msg("%s %s: \"%s\", expected \"%s\"", v->kind, v->json, err.text, v->text);
    json_decref(value);
    json_decref(want);
    m8__blocks_destroy(app);
}

static void test_taken(void **s)
{
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) check_one(&taken[i], true);
    printf("%zu values in\n", sizeof taken / sizeof *taken);
}

static void test_given(void **s)
{
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) check_one(&given[i], false);
}

/* Lists without end are refused, not walked. */
static void test_long_lists(void **s)
{
    static const char *const kinds[] = { "files", "gallery", "many" };
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, NULL), M8_OK);
    for (size_t k = 0; k < 3; k++) {
        json_t *list = json_array();
        for (int i = 0; i < 100000; i++) json_array_append_new(list, json_string("a"));
        m8_error err = {0};
        assert_int_equal(m8__preprocess(make(m8_blocks_root(app), kinds[k]), &list, NULL, &err), M8_E_ARG);
        assert_non_null(strstr(err.text, "fewer"));
        json_decref(list);
    }
    m8__blocks_destroy(app);
}

static m8_status nothing(m8_call *c, m8_error *err) { return M8_OK; }

/* The values of m8_api have types, and no others are taken. */
static void test_api_types(void **s)
{
    static const struct { const char *type, *good, *bad; } all[] = {
        { "int", "3", "3.5" }, { "float", "3", "\"3\"" }, { "str", "\"x\"", "1" }, { "bool", "false", "0" }, { "list", "[1]", "{}" }, { "dict", "{}", "[]" },
    };
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, NULL), M8_OK);
    for (size_t i = 0; i < 6; i++) {
        m8_event *e = m8_api(app, nothing, &(m8_api_param){ "x", all[i].type, NULL }, 1, NULL, 0, NULL);
        assert_non_null(e);
        const char *const values[] = { all[i].good, all[i].bad, "null" };
        for (size_t k = 0; k < 3; k++) {
            json_t *value = json_loads(values[k], JSON_DECODE_ANY, NULL);
            assert_int_equal(m8__preprocess(e->in[0], &value, NULL, NULL), k ? M8_E_ARG : M8_OK);
            json_decref(value);
        }
    }
    m8_event *e = m8_api(app, nothing, &(m8_api_param){ "x", "int", "null" }, 1, NULL, 0, NULL);
    json_t *null = json_null();
    assert_int_equal(m8__preprocess(e->in[0], &null, NULL, NULL), M8_OK);
    m8__blocks_destroy(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken), cmocka_unit_test(test_given), cmocka_unit_test(test_long_lists), cmocka_unit_test(test_api_types),
    };
    return cmocka_run_group_tests_name("ui/values", tests, NULL, NULL);
}
