/* The config, the info and the OpenAPI text of the lab, the Interface and the ball are those that Gradio 6.31.0 was
 * recorded to send. */
#include "like.h"
#include "lab.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static m8_status nothing(m8_call *c, m8_error *err) { return M8_OK; }

/* The page of the ball that the recording is of. */
static m8_status ball_build(m8_blocks **out, struct lab *lab, m8_error *err)
{
    m8_status st = m8_blocks_new(out, &(m8_blocks_opts){ .title = "Magic 8 Ball" }, err);
    if (st) return st;
    m8_block *page = m8_blocks_root(*out);
    m8_html(
        page,
        &(m8_show_opts){
            .value = "<h1 style='text-align: center;'> Magic 8 Ball \U0001F3B1 </h1><h3 style='text-align: center;'> "
                     "Ask a question and receive wisdom </h3>" });
    m8_block *group = m8_group(page, NULL), *row = m8_row(group, NULL);
    m8_block *speech = m8_audio(
        row, &(m8_file_opts){ .label = "Spoken Answer", .streaming = true, .autoplay = true, .type = "numpy" });
    m8_block *answer = m8_textbox(row, &(m8_textbox_opts){ .label = "Answer" }), *held = m8_state(row, NULL, 0);
    m8_block *mic = m8_audio(m8_row(group, NULL),
                             &(m8_file_opts){ .label = "Speak your question", .sources = "microphone" });
    m8_event *heard = m8_on(
        mic, M8_STOP_RECORDING, nothing,
        &(m8_event_opts){
            .api_name = "generate_response", .params = { "audio" }, .in = { mic }, .out = { held, answer, speech } });
    m8_then(
        heard, nothing,
        &(m8_event_opts){ .api_name = "read_response", .generator = true, .in = { held }, .out = { answer, speech } });
    return M8_OK;
}

typedef m8_status build_fn(m8_blocks **out, struct lab *lab, m8_error *err);

static m8_blocks *built(build_fn *build)
{
    static struct lab lab;
    m8_error err = {0};
    m8_blocks *app;
    m8_status st = build(&app, &lab, &err);
    if (!st) st = m8__app_finish(app, &err);
    if (st) fail_msg("%s", m8_error_text(&err));
    return app;
}

static void check_config(build_fn *build, const char *file)
{
    m8_blocks *app = built(build);
    m8_buf text = {0};
    assert_int_equal(m8__config_text(app, "${ROOT}", NULL, false, &text, NULL), M8_OK);
    json_t *got = text_as_json(&text), *want = recorded_body(file);
    assert_like(want, got, file);
    json_decref(got);
    json_decref(want);
    m8__blocks_destroy(app);
}

static void check_info(build_fn *build, const char *file)
{
    m8_blocks *app = built(build);
    m8_buf text = {0};
    assert_int_equal(m8__info_text(app, "${ROOT}", false, &text, NULL), M8_OK);
    json_t *got = text_as_json(&text), *want = recorded_body(file);
    assert_like(want, got, file);
    json_decref(got);
    json_decref(want);
    m8__blocks_destroy(app);
}

static void test_lab(void **s) { check_config(lab_build, "config-lab.json"); }
static void test_iface(void **s) { check_config(iface_build, "config-interface.json"); }
static void test_ball(void **s) { check_config(ball_build, "config-ball.json"); }
static void test_info_lab(void **s) { check_info(lab_build, "info-lab.json"); }
static void test_info_iface(void **s) { check_info(iface_build, "info-interface.json"); }
static void test_info_ball(void **s) { check_info(ball_build, "info-ball.json"); }

/* Undocumented endpoints appear when all are asked for, private ones never. */
static void test_all_endpoints(void **s)
{
    m8_blocks *app = built(iface_build);
    m8_buf text = {0};
    assert_int_equal(m8__info_text(app, "", true, &text, NULL), M8_OK);
    json_t *got = text_as_json(&text), *named = json_object_get(got, "named_endpoints");
    static const char *const there[] = { "/draw", "/lambda", "/Flag", "/reset", "/load_example" };
    for (size_t i = 0; i < 5; i++) assert_non_null(json_object_get(named, there[i]));
    assert_int_equal(json_object_size(named), 5);
    json_decref(got);
    m8__blocks_destroy(app);
}

static void test_openapi(void **s)
{
    m8_blocks *app = built(lab_build);
    m8_buf text = {0};
    assert_int_equal(m8__openapi_text(app, &text, NULL), M8_OK);
    json_t *got = text_as_json(&text), *want = recorded_body("openapi.json"), *item;
    json_t *paths = json_object_get(got, "paths"), *wanted = json_object_get(want, "paths");
    const char *path;
    json_object_foreach(wanted, path, item) assert_like(item, json_object_get(paths, path), path);
    assert_like(json_object_get(want, "info"), json_object_get(got, "info"), "info");
    assert_like(json_object_get(want, "components"), json_object_get(got, "components"), "components");
    assert_string_equal(json_string_value(json_object_get(got, "openapi")), "3.0.2");
    assert_int_equal(json_object_size(paths), 1 + 2 * 27); /* every endpoint that is public, by POST and GET */
    json_decref(got);
    json_decref(want);
    m8__blocks_destroy(app);
}

/* Roots and names are a request's: they are escaped, and each answer has its own. */
static void test_roots(void **s)
{
    m8_blocks *app = built(lab_build);
    static const char *const roots[] = { "http://127.0.0.1:7860", "https://a.example/\"b\\<script>", "" };
    for (size_t i = 0; i < 3; i++) {
        m8_buf text = {0};
        assert_int_equal(m8__config_text(app, roots[i], i ? "\"Eve\"</script>" : NULL, false, &text, NULL), M8_OK);
        json_t *got = text_as_json(&text);
        assert_string_equal(json_string_value(json_object_get(got, "root")), roots[i]);
        if (i) assert_string_equal(json_string_value(json_object_get(got, "username")), "\"Eve\"</script>");
        else assert_true(json_is_null(json_object_get(got, "username")));
        json_decref(got);
        assert_int_equal(m8__info_text(app, roots[i], false, &text, NULL), M8_OK);
        got = text_as_json(&text);
        json_t *echo = json_object_get(json_object_get(got, "named_endpoints"), "/echo");
        assert_non_null(
            strstr(json_string_value(json_object_get(json_object_get(echo, "code_snippets"), "python")), roots[i]));
        json_decref(got);
    }
    m8__blocks_destroy(app);
}

/* The page's config may stand in a script element, and has what the recording of the page has. */
static void test_page(void **s)
{
    m8_blocks *app = built(ball_build);
    m8_buf text = {0};
    assert_int_equal(m8__config_text(app, "http://x/</script>", "a'b&c<d>", true, &text, NULL), M8_OK);
    for (size_t i = 0; i < text.len; i++) assert_null(strchr("<>&'", text.data[i]));
    json_t *got = text_as_json(&text), *want = recorded("page-config-keys.json"),
           *first = json_array_get(json_object_get(want, "exchange"), 0), *key;
    size_t i, n = 0;
    json_array_foreach(json_object_get(first, "keys"), i, key) {
        assert_non_null(json_object_get(got, json_string_value(key)));
        n++;
    }
    assert_int_equal(json_object_size(got), n);
    assert_string_equal(json_string_value(json_object_get(got, "current_page")), "");
    assert_string_equal(json_string_value(json_object_get(got, "deep_link_state")), "none");
    assert_string_equal(json_string_value(json_object_get(got, "root")), "http://x/</script>");
    json_decref(got);
    json_decref(want);
    m8__blocks_destroy(app);
}

static void test_auth_page(void **s)
{
    m8_blocks *app = built(lab_build);
    app->launch.auth_message = "Say the word";
    json_t *want = recorded("auth-page-config.json"), *got = m8__auth_config(app, "${ROOT}");
    assert_like(json_object_get(json_array_get(json_object_get(want, "exchange"), 0), "window_gradio_config"), got, "auth");
    json_decref(want);
    json_decref(got);
    app->launch.auth_message = NULL;
    m8__blocks_destroy(app);
}

/* speed.md: 34,000 answers a second with the transport around them; so the text may take a small part of 29 us. A limit
 * of time on a busy machine: wide. */
static void test_speed(void **s)
{
    m8_blocks *app = built(ball_build);
    m8_buf text = {0};
    double best = 1;
    for (int round = 0; round < 20; round++) {
        double began = m8_now_s();
        for (int i = 0; i < 50; i++) {
            m8_buf_clear(&text);
            assert_int_equal(m8__config_text(app, "http://127.0.0.1:7860", NULL, false, &text, NULL), M8_OK);
        }
        double took = (m8_now_s() - began) / 50;
        if (took < best) best = took;
    }
    printf("a config of %zu bytes: %.1f us\n", text.len, best * 1e6);
    assert_true(best < 100e-6);
    m8_buf_finish(&text);
    m8__blocks_destroy(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lab),           cmocka_unit_test(test_iface),      cmocka_unit_test(test_ball),
        cmocka_unit_test(test_info_lab),      cmocka_unit_test(test_info_iface), cmocka_unit_test(test_info_ball),
        cmocka_unit_test(test_all_endpoints), cmocka_unit_test(test_openapi),    cmocka_unit_test(test_roots),
        cmocka_unit_test(test_page),          cmocka_unit_test(test_auth_page),  cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests_name("ui/config", tests, NULL, NULL);
}
