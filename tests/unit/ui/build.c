/* Building: ids, forms, names, chains; the first failure sticks; every allocation may fail. */
#include "like.h"
#include "torture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static m8_status nothing(m8_call *c, m8_error *err) { return M8_OK; }

static m8_blocks *new_app(void)
{
    m8_blocks *app;
    assert_int_equal(m8_blocks_new(&app, NULL, NULL), M8_OK);
    return app;
}

static json_t *config_of(m8_blocks *app)
{
    m8_error err = {0};
    m8_buf text = {0};
    m8_status st = m8__app_finish(app, &err);
    if (!st) st = m8__config_text(app, "http://h", NULL, false, &text, &err);
    if (st) fail_msg("%s", m8_error_text(&err));
    return text_as_json(&text);
}

static void assert_json(const json_t *got, const char *want)
{
    json_t *w = json_loads(want, JSON_DECODE_ANY, NULL);
    assert_non_null(w);
    assert_like(w, got, want);
    json_decref(w);
}

/* The page that was recorded with Gradio beside this: fields in the root, in a tab, in a column within a row. */
static void test_forms(void **s)
{
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app);
    m8_radio(page, NULL);
    m8_dropdown(page, NULL);
    m8_file(page, NULL);
    m8_checkbox(page, NULL);
    m8_textbox(m8_tab(m8_tabs(page, NULL), &(m8_layout_opts){ .label = "T1" }), NULL);
    m8_block *row = m8_row(page, NULL);
    m8_textbox(row, &(m8_textbox_opts){ .scale = 3 });
    m8_number(row, &(m8_number_opts){ .min_width = 40 });
    m8_textbox(m8_column(row, NULL), NULL);
    json_t *config = config_of(app);
    assert_json(json_object_get(config, "layout"),
                "{\"id\": 0, \"children\": [{\"id\": 16, \"children\": [{\"id\": 1}, {\"id\": 2}]}, {\"id\": 3}, "
                "{\"id\": 17, \"children\": [{\"id\": 4}]}, "
                "{\"id\": 5, \"children\": [{\"id\": 6, \"children\": [{\"id\": 8, \"children\": [{\"id\": 7}]}]}]}, "
                "{\"id\": 9, \"children\": [{\"id\": 15, \"children\": [{\"id\": 10}, {\"id\": 11}]}, {\"id\": 12, "
                "\"children\": [{\"id\": 14, \"children\": [{\"id\": 13}]}]}]}]}");
    json_decref(config);
    m8__blocks_destroy(app);
}

static int id_after(m8_block *b) { return b ? b->id : -1; }

/* A container that is filled again gets no second form beside the first, and one in a row is as wide as its fields. */
static void test_reopened(void **s)
{
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app), *row = m8_row(page, NULL), *other = m8_row(page, NULL);
    assert_int_equal(id_after(m8_textbox(row, &(m8_textbox_opts){ .scale = 3 })), 3);
    assert_int_equal(id_after(m8_textbox(other, NULL)), 5); /* 4: the form of the first row */
    assert_int_equal(id_after(m8_number(row, NULL)), 7);
    json_t *config = config_of(app), *components = json_object_get(config, "components");
    assert_int_equal(json_array_size(components), 7);
    assert_json(json_object_get(config, "layout"),
                "{\"id\": 0, \"children\": [{\"id\": 1, \"children\": [{\"id\": 4, \"children\": [{\"id\": 3}, "
                "{\"id\": 7}]}]}, "
                "{\"id\": 2, \"children\": [{\"id\": 6, \"children\": [{\"id\": 5}]}]}]}");
    assert_json(json_object_get(json_array_get(components, 3), "props"),
                "{\"scale\": 4, \"min_width\": 320, \"preserved_by_key\": [], \"name\": \"form\"}");
    json_decref(config);
    m8__blocks_destroy(app);
}

static void test_names(void **s)
{
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app), *go = m8_button(page, NULL), *text = m8_textbox(page, NULL);
    static const char *const want[] = { "echo",    "echo_1",    "click", "click_1", "submit",
                                        "unnamed", "unnamed_1", "js_fn", "tick" };
    m8_on(go, M8_CLICK, nothing, &(m8_event_opts){ .api_name = "echo" });
    m8_event *second = m8_on(go, M8_CLICK, nothing, &(m8_event_opts){ .api_name = "echo" });
    m8_on(go, M8_CLICK, nothing, NULL);
    m8_on(go, M8_CLICK, nothing, NULL);
    m8_on(text, M8_SUBMIT, nothing, NULL);
    m8_on(go, M8_CLICK, NULL, &(m8_event_opts){ .cancels = { second } });
    m8_on(go, M8_CLICK, NULL, &(m8_event_opts){ .js = "() => 1" });
    m8_on(m8_timer(page, 2, true), M8_TICK, nothing, NULL);
    assert_int_equal(m8_blocks_status(app, NULL), M8_OK);
    assert_int_equal(app->n_events, 9);
    for (size_t i = 0; i < 9; i++) assert_string_equal(app->events[i]->api_name, want[i]);
    assert_ptr_equal(m8__event_named(app, "echo_1/x", 6), second);
    assert_null(m8__event_named(app, "echo_12", 7));
    assert_null(m8__event_named(app, "ech", 3));
    m8__blocks_destroy(app);
}

/* Compared with what Gradio gave for the same listeners. */
static void test_events(void **s)
{
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app), *text = m8_textbox(page, NULL), *go = m8_button(page, NULL),
             *chat = m8_chatbot(page, NULL);
    m8_on(text, M8_CHANGE, nothing, NULL);
    m8_on(m8_timer(page, 1, false), M8_TICK, nothing, NULL);
    m8_on(page, M8_UNLOAD, nothing, NULL);
    m8_event *e = m8_on(
        text, M8_SELECT, nothing,
        &(m8_event_opts){ .scroll_to_output = true, .show_progress_on = { text }, .batch = true, .max_batch_size = 7 });
    m8_also(e, go, M8_CLICK);
    m8_then(e, NULL, &(m8_event_opts){ .cancels = { e }, .queue = M8_NO });
    m8_on(chat, M8_LIKE, nothing, &(m8_event_opts){ .trigger_mode = M8_MULTIPLE, .queue = M8_NO });
    json_t *config = config_of(app), *all = json_object_get(config, "dependencies"),
           *components = json_object_get(config, "components");
    static const struct { int i; const char *key, *want;
    } facts[] = {
        { 0, "trigger_mode", "\"always_last\"" },
        { 0, "show_progress", "\"full\"" },
        { 1, "show_progress", "\"hidden\"" },
        { 1, "targets", "[[4, \"tick\"]]" },
        { 2, "targets", "[[null, \"unload\"]]" },
        { 2, "api_visibility", "\"private\"" },
        { 2, "show_progress", "\"hidden\"" },
        { 2, "queue", "true" },
        { 3, "targets", "[[1, \"select\"], [2, \"click\"]]" },
        { 3, "event_specific_args", "[]" },
        { 3, "scroll_to_output", "true" },
        { 3, "show_progress_on", "[1]" },
        { 3, "batch", "true" },
        { 3, "max_batch_size", "7" },
        { 4, "trigger_after", "3" },
        { 4, "backend_fn", "false" },
        { 4, "targets", "[[null, \"then\"]]" },
        { 5, "cancels", "[3]" },
        { 5, "trigger_after", "3" },
        { 5, "types", "{\"generator\": false, \"cancel\": true}" },
        { 6, "trigger_mode", "\"multiple\"" },
        { 6, "queue", "false" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        assert_json(json_object_get(json_array_get(all, (size_t)facts[i].i), facts[i].key), facts[i].want);
    assert_true(json_is_true(json_object_get(config, "connect_heartbeat")));
    assert_true(json_is_true(json_object_get(json_object_get(json_array_get(components, 0), "props"), "_selectable")));
    assert_true(json_is_true(json_object_get(json_object_get(json_array_get(components, 2), "props"), "likeable")));
    json_decref(config);
    m8__blocks_destroy(app);
}

/* ---- the first failure sticks --------------------------------------------------------------------------------------- */

static void wrong_parent(m8_block *page) { m8_textbox(m8_button(page, NULL), NULL); }
static void wrong_tab(m8_block *page) { m8_tab(page, NULL); }
static void wrong_trigger(m8_block *page) { m8_on(m8_textbox(page, NULL), M8_CLICK, nothing, NULL); }
static void wrong_root_trigger(m8_block *page) { m8_on(page, M8_CLICK, nothing, NULL); }
static void wrong_props(m8_block *page) { m8_textbox(page, &(m8_textbox_opts){ .props = "{" }); }
static void no_object(m8_block *page) { m8_textbox(page, &(m8_textbox_opts){ .props = "[1]" }); }
static void wrong_utf8(m8_block *page) { m8_textbox(page, &(m8_textbox_opts){ .label = "\xff\xfe" }); }
static void wrong_state(m8_block *page) { m8_state(page, "{1}", 0); }
static void wrong_slider(m8_block *page)
{
    m8_slider(page, &(m8_number_opts){ .has_minimum = true, .minimum = 5, .has_maximum = true, .maximum = 1 });
}
static void wrong_name(m8_block *page) { m8_on(page, M8_LOAD, nothing, &(m8_event_opts){ .api_name = "a/b" }); }
static void wrong_param(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL);
    m8_on(text, M8_CHANGE, nothing, &(m8_event_opts){ .in = { text }, .params = { "a b" } });
}
static void wrong_rows(m8_block *page)
{
    m8_examples(page, &(m8_examples_opts){ .in = { m8_textbox(page, NULL) }, .rows = "[[\"a\", \"b\"]]" });
}
static void wrong_type(m8_block *page)
{
    m8_api(page->app, nothing, &(m8_api_param){ "x", "complex", NULL }, 1, NULL, 0, NULL);
}
static void layout_in(m8_block *page) { m8_on(page, M8_LOAD, nothing, &(m8_event_opts){ .in = { m8_row(page, NULL) } }); }

static void test_sticky(void **s)
{
    static const struct { void (*build)(m8_block *page); const char *text;
    } all[] = {
        { wrong_parent, "a button cannot hold a textbox" },
        { wrong_tab, "not into tabs" },
        { wrong_trigger, "a textbox has no event click" },
        { wrong_root_trigger, "no event click" },
        { wrong_props, "props of a textbox is not JSON" },
        { no_object, "no JSON object" },
        { wrong_utf8, "label of a textbox is not UTF-8" },
        { wrong_state, "value of a state is not JSON" },
        { wrong_slider, "a slider from 5 to 1" },
        { wrong_name, "an api_name is \"a/b\"" },
        { wrong_param, "bad name of a parameter" },
        { wrong_rows, "rows of 1 values" },
        { wrong_type, "no type complex" },
        { layout_in, "a row as input" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        m8_blocks *app = new_app();
        m8_error err = {0};
        all[i].build(m8_blocks_root(app));
        assert_null(m8_textbox(m8_blocks_root(app), NULL)); /* nothing more is done */
        assert_null(m8_on(m8_blocks_root(app), M8_LOAD, nothing, NULL));
        wrong_slider(m8_blocks_root(app));
        m8_status st = m8_blocks_status(app, &err);
        if (st != M8_E_ARG || !strstr(err.text, all[i].text)) fail_msg("%zu: %s \"%s\"", i, m8_status_name(st), err.text);
        memset(&err, 0, sizeof err);
        assert_int_equal(m8__app_finish(app, &err), M8_E_ARG);
        assert_non_null(strstr(err.text, all[i].text));
        m8__blocks_destroy(app);
    }
}

/* NULL is taken everywhere a block or event is, and no app is no crash. */
static void test_null(void **s)
{
    assert_null(m8_textbox(NULL, NULL));
    assert_null(m8_clearbutton(NULL, NULL));
    assert_null(m8_chatbot(NULL, &(m8_show_opts){ .value = "[]" }));
    assert_null(m8_examples(NULL, NULL));
    assert_null(m8_state(NULL, NULL, 1));
    assert_null(m8_on(NULL, M8_CLICK, nothing, NULL));
    assert_null(m8_then(NULL, nothing, NULL));
    assert_null(m8_api(NULL, nothing, NULL, 0, NULL, 0, NULL));
    m8_also(NULL, NULL, M8_CLICK);
    assert_int_equal(m8_blocks_status(NULL, NULL), M8_E_ARG);
    m8__blocks_destroy(NULL);
}

/* Two apps know nothing of each other's blocks; a mounted one is not built on. */
static void test_strangers(void **s)
{
    m8_blocks *one = new_app(), *two = new_app();
    m8_error err = {0};
    m8_block *text = m8_textbox(m8_blocks_root(two), NULL);
    assert_null(m8_on(m8_blocks_root(one), M8_LOAD, nothing, &(m8_event_opts){ .out = { text } }));
    assert_int_equal(m8_blocks_status(one, &err), M8_E_ARG);
    assert_non_null(strstr(err.text, "another app"));
    assert_int_equal(m8__app_finish(two, NULL), M8_OK);
    assert_null(m8_row(m8_blocks_root(two), NULL));
    assert_int_equal(m8_blocks_status(two, NULL), M8_E_ARG);
    m8__blocks_destroy(one);
    m8__blocks_destroy(two);
}

/* Files to begin with become FileData with a URL, once, and never cross as a path alone. */
static void test_files(void **s)
{
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app);
    m8_audio(page, &(m8_file_opts){ .value = "/app/a.wav" });
    m8_gallery(page, &(m8_file_opts){ .value = "/app/b.png" });
    m8_file(page, &(m8_file_opts){ .value = "/app/c.txt", .file_count = "multiple" });
    m8_examples(page, &(m8_examples_opts){ .in = { m8_image(page, NULL) }, .rows = "[[\"/app/d.png\"], [null]]" });
    files_given_out = 0;
    json_t *config = config_of(app), *components = json_object_get(config, "components");
    json_decref(config);
    config = config_of(app);
    components = json_object_get(config, "components");
    assert_int_equal(files_given_out, 4);
    json_t *audio = json_object_get(json_object_get(json_array_get(components, 0), "props"), "value");
    assert_string_equal(json_string_value(json_object_get(audio, "url")), "http://h/gradio_api/file=/app/a.wav");
    json_t *gallery = json_object_get(json_object_get(json_array_get(components, 1), "props"), "value");
    assert_string_equal(json_string_value(json_object_get(json_object_get(json_array_get(gallery, 0), "image"), "url")),
                        "http://h/gradio_api/file=/app/b.png");
    json_t *file = json_object_get(json_object_get(json_array_get(components, 2), "props"), "value");
    assert_string_equal(json_string_value(json_object_get(json_array_get(file, 0), "path")), "/app/c.txt");
    json_t *samples = json_object_get(json_object_get(json_array_get(components, 4), "props"), "samples");
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_array_get(samples, 0), 0), "url")),
                        "http://h/gradio_api/file=/app/d.png");
    assert_true(json_is_null(json_array_get(json_array_get(samples, 1), 0)));
    json_decref(config);
    m8__blocks_destroy(app);
}

/* A State's value never leaves; a choice's schema holds its choices. */
static void test_schemas(void **s)
{
    static const char *const ab[] = { "a", "b" };
    m8_blocks *app = new_app();
    m8_block *page = m8_blocks_root(app), *go = m8_button(page, NULL);
    m8_choice_opts two = { .choices = ab, .n_choices = 2 }, many = { .choices = ab, .n_choices = 2, .multiselect = true };
    m8_block *in[] = { m8_radio(page, &two),           m8_dropdown(page, &many),
                       m8_checkboxgroup(page, &two),   m8_slider(page, NULL),
                       m8_image(page, NULL),           m8_file(page, &(m8_file_opts){ .file_count = "multiple" }),
                       m8_gallery(page, NULL),         m8_chatbot(page, NULL),
                       m8_dataframe(page, NULL),       m8_label(page, NULL),
                       m8_highlightedtext(page, NULL), m8_json(page, NULL),
                       m8_state(page, "\"secret\"", 0) };
    static const char *const want[] = {
        /* as the same page of Gradio's says */
        "Literal['a', 'b']",
        "list[Literal['a', 'b']]",
        "list[Literal['a', 'b']]",
        "float",
        "filepath",
        "list[filepath]",
        "list[dict(image: filepath, caption: str | None) | dict(video: filepath, caption: str | None)]",
        "list[dict(role: str, metadata: dict(title: str, id: int | str, parent_id: int | str, log: str, duration: "
        "float, status: Literal['pending', "
        "'done']) | None, content: list[dict(text: str, type: Literal[text]) | dict(file: filepath, alt_text: str | "
        "None, type: Literal[file]) | "
        "dict(component: str, value: Any, constructor_args: dict(str, Any), props: dict(str, Any), type: "
        "Literal[component])], options: "
        "list[dict(value: str, label: str)] | None)]",
        "dict(headers: list[Any], data: list[list[Any]], metadata: dict(str, list[Any] | None) | None)",
        "dict(label: str | int | float | None, confidences: list[dict(label: str | int | float | None, confidence: "
        "float | None)] | None)",
        "list[dict(token: str, class_or_confidence: str | float | None)]",
        "str | float | bool | list | dict",
    };
    m8_event_opts o = { .api_name = "all" };
    memcpy(o.in, in, sizeof in);
    m8_on(go, M8_CLICK, nothing, &o);
    assert_int_equal(m8__app_finish(app, NULL), M8_OK);
    m8_buf text = {0}, config = {0};
    assert_int_equal(m8__config_text(app, "", NULL, false, &config, NULL), M8_OK);
    assert_null(strstr(config.data, "secret"));
    m8_buf_finish(&config);
    assert_int_equal(m8__info_text(app, "", false, &text, NULL), M8_OK);
    assert_null(strstr(text.data, "secret"));
    json_t *info = text_as_json(&text),
           *params = json_object_get(json_object_get(json_object_get(info, "named_endpoints"), "/all"), "parameters");
    assert_int_equal(json_array_size(params), 12);
    for (size_t i = 0; i < 12; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(json_array_get(params, i), "python_type"), "type")),
            want[i]);
    assert_json(json_object_get(json_array_get(params, 1), "type"),
                "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"enum\": [\"a\", \"b\"]}}");
    json_decref(info);
    m8__blocks_destroy(app);
}

/* ---- torture -------------------------------------------------------------------------------------------------------- */

static m8_status build_and_write(void *arg, m8_error *err)
{
    static const char *const ab[] = { "a", "b" };
    m8_blocks *app;
    m8_buf text = {0};
    m8_status st = m8_blocks_new(&app, &(m8_blocks_opts){ .title = "T", .css = "p {}" }, err);
    if (st) return st;
    m8_block *page = m8_blocks_root(app), *row = m8_row(page, &(m8_layout_opts){ .elem_classes = "a b" });
    m8_block *name = m8_textbox(row, &(m8_textbox_opts){ .label = "N", .props = "{\"rtl\": true}" });
    m8_block *pick = m8_radio(row, &(m8_choice_opts){ .choices = ab, .n_choices = 2 }),
             *file = m8_file(page, &(m8_file_opts){ .value = "/a/b", .file_count = "multiple" });
    m8_block *held = m8_state(page, "[1]", 5), *clear = m8_clearbutton(page, &(m8_button_opts){ .clears = { name, pick } });
    m8_event *e = m8_on(
        clear, M8_CLICK, nothing,
        &(m8_event_opts){ .api_name = "x", .in = { name, pick, file, held }, .out = { held }, .description = "d" });
    m8_also(e, name, M8_SUBMIT);
    m8_then(e, nothing, &(m8_event_opts){ .cancels = { e } });
    m8_examples(page,
                &(m8_examples_opts){
                    .in = { name, pick }, .out = { name }, .rows = "[[\"a\", \"b\"]]", .fn = nothing, .cache = true });
    m8_api(app, nothing, &(m8_api_param){ "n", "int", "1" }, 1, (const char *[]){ "str" }, 1, NULL);
    st = m8__app_finish(app, err);
    if (!st) st = m8__config_text(app, "http://r", "u", false, &text, err);
    if (!st) st = m8__config_text(app, "http://r", NULL, true, &text, err);
    if (!st) st = m8__info_text(app, "http://r", true, &text, err);
    if (!st) st = m8__openapi_text(app, &text, err);
    m8_buf_finish(&text);
    m8__blocks_destroy(app);
    return st;
}

static m8_status interface_page(void *arg, m8_error *err)
{
    m8_blocks *app;
    m8_buf text = {0};
    m8_status st = m8_interface_new(&app,
                                    &(m8_interface_opts){ .title = "T",
                                                          .description = "d",
                                                          .article = "a",
                                                          .fn = nothing,
                                                          .examples = "[[\"x\"]]",
                                                          .show_flag = true,
                                                          .event = { .generator = true, .params = { "t" } } },
                                    err);
    if (st) return st;
    m8_textbox(m8_interface_in(app), NULL);
    m8_label(m8_interface_out(app), &(m8_show_opts){ .value = "{\"a\": 0.5, \"b\": 0.25}" });
    st = m8__app_finish(app, err);
    if (!st) st = m8__config_text(app, "http://r", "u", false, &text, err);
    m8_buf_finish(&text);
    m8__blocks_destroy(app);
    return st;
}

static void test_torture(void **s) { torture(build_and_write, NULL); }
static void test_torture_interface(void **s) { torture(interface_page, NULL); }

int main(void)
{
    json_set_alloc_funcs(m8_malloc, m8_free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_reopened),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_sticky),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_torture),
        cmocka_unit_test(test_torture_interface),
    };
    return cmocka_run_group_tests_name("ui/build", tests, NULL, NULL);
}
