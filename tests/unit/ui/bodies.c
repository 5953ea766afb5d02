/* Hostile bodies: every route that takes JSON, with everything that is not what it expects. Each is refused with a 4xx that says why, and the server serves on. */
#include "kit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static m8_status echo(m8_call *c, m8_error *err) { return m8_out_text(c, 0, m8_in_text(c, 0)); }
static m8_status add(m8_call *c, m8_error *err) { return m8_out_number(c, 0, m8_in_number(c, 0) + 1); }

static void build(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL), *n = m8_slider(page, &(m8_number_opts){.has_maximum = true, .maximum = 10}), *file = m8_file(page, NULL);
    static const char *const fruits[] = {"apple", "plum"};
    m8_block *fruit = m8_radio(page, &(m8_choice_opts){.choices = fruits, .n_choices = 2}), *state = m8_state(page, "5", 0);
    m8_on(m8_button(page, NULL), M8_CLICK, echo, &(m8_event_opts){.api_name = "echo", .in = {text}, .out = {text}, .concurrency_limit = -1});
    m8_on(m8_button(page, NULL), M8_CLICK, add, &(m8_event_opts){.api_name = "add", .in = {n}, .out = {n}});
    m8_on(m8_button(page, NULL), M8_CLICK, echo, &(m8_event_opts){.api_name = "file", .in = {file}, .out = {text}});
    m8_on(m8_button(page, NULL), M8_CLICK, echo, &(m8_event_opts){.api_name = "fruit", .in = {fruit}, .out = {text}});
    m8_on(m8_button(page, NULL), M8_CLICK, add, &(m8_event_opts){.api_name = "state", .in = {state}, .out = {n}});
}

static struct site site;
static int open_site(void **state)
{
    site_open(&site, build, NULL);
    return 0;
}
static int close_site(void **state)
{
    site_close(&site);
    return 0;
}

static void serves_on(void)
{
    char *answer;
    assert_int_equal(ask(&site, "POST", "/gradio_api/run/echo", "{\"data\":[\"still here\"]}", &answer), 200);
    assert_non_null(strstr(answer, "still here"));
    free(answer);
}

static void refused(const char *path, const char *body, size_t n)
{
    char *answer;
    int status = ask_with(&site, "POST", path, "Content-Type: application/json\r\n", body, n, &answer);
    if (status < 400 || status >= 500 || !strstr(answer, "\"detail\"")) fail_msg("%s %.200s: %d %.200s", path, body, status, answer);
    free(answer);
}

static const char *const routes[] = {"queue/join", "call/echo", "call/v2/echo", "run/echo", "api/echo", "cancel", "reset", "component_server",
                                     "stream/0123456789abcdef0123456789abcdef"};

static void test_not_json(void **state)
{
    static const char *const bad[] = {"", "x", "[]", "1", "\"a\"", "null", "{", "{\"data\":[1}", "{\"data\":[NaN]}", "{\"data\":[1e999999]}", "{\"data\":[1],\"data\":[2]}",
                                      "{\"data\":[\"\\ud800\"]}", "{\"data\":[\"\xff\"]}", "{\"data\":[\"\\u0000\"]}", "{\"data\":[\"a\"]}x", "{\"data\":[1,]}", "{'data':[1]}"};
    char path[100];
    for (size_t k = 0; k < sizeof routes / sizeof *routes; k++) {
        snprintf(path, sizeof path, "/gradio_api/%s", routes[k]);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused(path, bad[i], strlen(bad[i]));
        refused(path, "{\"data\":[\"\0\"]}", 14);
        char *deep = malloc(200001);
        memset(deep, '[', 100000);
        memset(deep + 100000, ']', 100000);
        refused(path, deep, 200000);
        memcpy(deep, "{\"data\":", 8);
        refused(path, deep, 200000);
        free(deep);
        char *answer; /* a page of another site can send this without asking */
        int status = ask_with(&site, "POST", path, "Content-Type: text/plain\r\n", "{\"data\":[\"a\"]}", 14, &answer);
        assert_in_range(status, 400, 499);
        free(answer);
    }
    serves_on();
}

static void test_wrong_types(void **state)
{
    static const char *const values[] = {"null", "true", "-1", "1.5", "\"x\"", "\"\"", "[]", "[1]", "{}", "{\"a\":1}", "1e300", "9223372036854775807", "-9223372036854775808"};
    static const struct {
        const char *path, *field, *rest;
    } at[] = {
        {"queue/join", "data", "\"fn_index\":0,\"session_hash\":\"t\""}, {"queue/join", "fn_index", "\"data\":[\"a\"],\"session_hash\":\"t\""},
        {"queue/join", "session_hash", "\"data\":[\"a\"],\"fn_index\":0"}, {"queue/join", "trigger_id", "\"data\":[\"a\"],\"fn_index\":0,\"session_hash\":\"t\""},
        {"queue/join", "event_data", "\"data\":[\"a\"],\"fn_index\":0,\"session_hash\":\"t\""}, {"call/echo", "data", "\"x\":1"},
        {"call/echo", "session_hash", "\"data\":[\"a\"]"}, {"call/v2/echo", "session_hash", "\"x\":1"}, {"run/echo", "fn_index", "\"data\":[\"a\"]"},
        {"run/echo", "data", "\"x\":1"}, {"cancel", "event_id", "\"session_hash\":\"t\",\"fn_index\":0"}, {"cancel", "fn_index", "\"session_hash\":\"t\",\"event_id\":\"e\""},
        {"cancel", "session_hash", "\"fn_index\":0,\"event_id\":\"e\""}, {"reset", "event_id", "\"x\":1"}, {"stream/00000000000000000000000000000000", "data", "\"x\":1"},
    };
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            char path[100], body[300], *answer;
            snprintf(path, sizeof path, "/gradio_api/%s", at[k].path);
            snprintf(body, sizeof body, "{\"%s\":%s,%s}", at[k].field, values[i], at[k].rest);
            int status = ask(&site, "POST", path, body, &answer);
            if (status >= 500 || status < 200) fail_msg("%s %s: %d %s", path, body, status, answer);
            free(answer);
        }
    }
    char hash[700], body[900];
    memset(hash, 'h', sizeof hash);
    snprintf(body, sizeof body, "{\"data\":[\"a\"],\"fn_index\":0,\"session_hash\":\"%.600s\"}", hash);
    refused("/gradio_api/queue/join", body, strlen(body));
    snprintf(body, sizeof body, "/gradio_api/queue/data?session_hash=%.600s", hash);
    assert_int_equal(ask(&site, "GET", body, NULL, NULL), 422);
    snprintf(body, sizeof body, "/gradio_api/heartbeat/%.600s", hash);
    assert_int_equal(ask(&site, "GET", body, NULL, NULL), 422);
    serves_on();
}

static void test_wrong_values(void **state)
{
    refused("/gradio_api/queue/join", "{\"data\":[],\"fn_index\":0,\"session_hash\":\"w\"}", 43);                 /* too few */
    refused("/gradio_api/queue/join", "{\"data\":[\"a\"],\"fn_index\":99,\"session_hash\":\"w\"}", 47);           /* no such function */
    static const char *const files[] = {"\"/etc/passwd\"", "{\"path\":\"/etc/passwd\"}", "{\"path\":\"/etc/passwd\",\"meta\":{\"_type\":\"gradio.FileData\"}}",
                                        "{\"url\":\"file:///etc/passwd\",\"meta\":{\"_type\":\"gradio.FileData\"}}", "{\"path\":5,\"meta\":{\"_type\":\"gradio.FileData\"}}",
                                        "[\"/etc/passwd\"]", "7"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"data\":[%s],\"fn_index\":2,\"session_hash\":\"w\"}", files[i]);
        refused("/gradio_api/queue/join", body, strlen(body));
        snprintf(body, sizeof body, "{\"data\":[%s]}", files[i]);
        refused("/gradio_api/call/file", body, strlen(body));
        refused("/gradio_api/run/file", body, strlen(body));
    }
    /* a choice that is none is the app's "no", told as one */
    json_t *all = turn(&site, 3, "w", json_pack("[s]", "pear"));
    assert_null(outcome(all));
    json_t *end = json_array_get(all, json_array_size(all) - 2);
    assert_non_null(strstr(str(json_object_get(end, "output"), "error"), "pear"));
    json_decref(all);
    serves_on();
}

static void test_random(void **state)
{
    static const char base[] = "{\"data\":[\"a\",{\"b\":[1,2.5,null,true]}],\"fn_index\":0,\"session_hash\":\"r\",\"event_data\":null,\"trigger_id\":1}";
    unsigned seed = 5;
    for (int i = 0; i < 1500; i++) {
        char body[sizeof base];
        memcpy(body, base, sizeof base);
        for (int k = rand_r(&seed) % 4; k >= 0; k--) body[rand_r(&seed) % (sizeof base - 1)] = (char)(rand_r(&seed) % 256);
        int status = ask_with(&site, "POST", i % 2 ? "/gradio_api/queue/join" : "/gradio_api/run/echo", "Content-Type: application/json\r\n", body, sizeof base - 1, NULL);
        if (status != 200 && (status < 400 || status > 499)) fail_msg("%d: %s", status, body);
    }
    serves_on();
}

static void test_big(void **state)
{
    enum { N = 9 << 20 };
    static char body[N + 32];
    char *answer;
    int n = sprintf(body, "{\"data\":[\"");
    memset(body + n, 'x', N);
    memcpy(body + n + N, "\"]}", 4);
    assert_int_equal(ask_with(&site, "POST", "/gradio_api/run/echo", "Content-Type: application/json\r\n", body, (size_t)n + N + 3, &answer), 413);
    free(answer);
    memcpy(body + n + (4 << 20), "\"]}", 4);
    assert_int_equal(ask_with(&site, "POST", "/gradio_api/run/echo", "Content-Type: application/json\r\n", body, (size_t)n + (4 << 20) + 3, &answer), 200);
    assert_true(strlen(answer) > 4 << 20);
    free(answer);
    serves_on();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_json), cmocka_unit_test(test_wrong_types), cmocka_unit_test(test_wrong_values), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_big)};
    return cmocka_run_group_tests(tests, open_site, close_site);
}
