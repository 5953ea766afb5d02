/* Every component, made without options, is what Gradio was recorded to send of it: properties, schemas, example. */
#include "like.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const m8_file_opts numpy = {
    .type = "numpy"
}; /* Gradio's default for sound and pictures; ours is a path, as C handlers want it */
static const m8_layout_opts tab = { .label = "one" };

#define BUILDERS(X)                                                                                                    \
    X(textbox, NULL)                                                                                                   \
    X(number, NULL) X(slider, NULL) X(checkbox, NULL) X(checkboxgroup, NULL) X(radio, NULL) X(dropdown, NULL)          \
        X(button, NULL) X(downloadbutton, NULL) X(uploadbutton, NULL) X(audio, &numpy) X(image, &numpy) X(video, NULL) \
            X(file, NULL) X(gallery, NULL) X(json, NULL) X(markdown, NULL) X(html, NULL) X(label, NULL)                \
                X(highlightedtext, NULL) X(code, NULL) X(dataframe, NULL) X(chatbot, NULL) X(row, NULL)                \
                    X(column, NULL) X(group, NULL) X(accordion, NULL) X(sidebar, NULL) X(tabs, NULL)
#define X(type, opts) static m8_block *make_##type(m8_block *page) { return m8_##type(page, opts); }
BUILDERS(X)
#undef X
#define X(type, opts) { #type, make_##type },
static const struct {
    const char *type;
    m8_block *(*build)(m8_block *page);
} builders[] = { BUILDERS(X) };
#undef X

static m8_block *build(m8_block *page, const char *type)
{
    if (!strcmp(type, "state")) return m8_state(page, NULL, 0);
    if (!strcmp(type, "timer")) return m8_timer(page, 1, false);
    if (!strcmp(type, "tabitem")) return m8_tab(m8_tabs(page, NULL), &tab);
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++) {
        if (!strcmp(builders[i].type, type)) return builders[i].build(page);
    }
    return NULL;
}

static void check(const char *type, const json_t *recorded_entry)
{
    m8_error err = {0};
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, &err), M8_OK);
    m8_block *b = build(m8_blocks_root(app), type);
    if (!b) fail_msg("%s: %s", type, m8_blocks_status(app, &err) ? err.text : "no builder");
    assert_int_equal(m8__app_finish(app, &err), M8_OK);
    m8_buf text = {0};
    assert_int_equal(m8__config_text(app, "", NULL, false, &text, &err), M8_OK);
    json_t *config = text_as_json(&text), *components = json_object_get(config, "components"), *got = NULL,
           *want = json_deep_copy(recorded_entry);
    for (size_t i = 0; i < json_array_size(components); i++) {
        if (!strcmp(json_string_value(json_object_get(json_array_get(components, i), "type")), type))
            got = json_array_get(components, i);
    }
    assert_non_null(got);
    if (json_object_get(want, "api_info")) {
        json_object_set(want, "api_info_as_input", json_object_get(want, "api_info"));
        json_object_set(want, "api_info_as_output", json_object_get(want, "api_info"));
    }
    json_object_del(want, "events");
    json_object_set_new(want, "id", json_integer(b->id));
    json_object_set_new(want, "key", json_null());
    assert_like(want, got, type);
    json_decref(config);
    json_decref(want);
    m8__blocks_destroy(app);
}

static bool has_no_builder(const char *type)
{
    static const char *const none[] = { "browserstate",   "imageeditor",  "plot",    "paramviewer",
                                        "annotatedimage", "fileexplorer", "model3d", "multimodaltextbox",
                                        "colorpicker",    "datetime" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (!strcmp(type, none[i])) return true;
    }
    return false;
}

/* A message's options and metadata have descriptions in the recording that ours leaves out. */
static void without_prose(json_t *x)
{
    const char *key;
    json_t *child;
    size_t i;
    const char *about = json_string_value(json_object_get(x, "description"));
    if (about && strstr(about, "typed dictionary")) json_object_del(x, "description");
    json_array_foreach(x, i, child) without_prose(child);
    if (json_is_object(x)) json_object_foreach(x, key, child) without_prose(child);
}

static void test_all(void **s)
{
    json_t *all = recorded("components.json"), *entry;
    const char *type;
    int n = 0;
    json_object_foreach(all, type, entry) {
        if (has_no_builder(type) || !strcmp(type, "form") || !strcmp(type, "dataset"))
            continue; /* those two are made by others: see build.c */
        without_prose(entry);
        check(type, entry);
        n++;
    }
    assert_int_equal(n, 32);
    json_decref(all);
}

/* The events that can be listened to are those of the recording. */
static void test_events(void **s)
{
    json_t *all = recorded("components.json"), *entry, *name;
    const char *type;
    size_t i;
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, NULL), M8_OK);
    json_object_foreach(all, type, entry) {
        if (has_no_builder(type)) continue;
        const json_t *events = json_object_get(m8__component_defaults(m8__component_find(type)), "events");
        json_array_foreach(json_object_get(entry, "events"), i, name) {
            bool there = false;
            for (size_t k = 0; k < json_array_size(events); k++)
                there = there || json_equal(name, json_array_get(events, k));
            if (!there) fail_msg("%s has no %s", type, json_string_value(name));
        }
    }
    m8__blocks_destroy(app);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all), cmocka_unit_test(test_events) };
    return cmocka_run_group_tests_name("ui/defaults", tests, NULL, NULL);
}
