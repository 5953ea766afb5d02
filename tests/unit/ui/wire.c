/* What is said, message by message and field by field, against recordings of Gradio 6.31.0. */
#include "kit.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { ECHO, COUNT, STEPPER, PROGRESS, WARN, FAIL, CRASH, FAILGEN, SLOW, COUNTER, FAST, BATCH, UPDATE, MIC, TYPED, WATCHED, SKIP };

static m8_status echo(m8_call *c, m8_error *err) { return m8_out_text(c, 0, m8_in_text(c, 0)); }

static m8_status count(m8_call *c, m8_error *err)
{
    m8_buf text = {0}, items = {0};
    m8_status st = M8_OK;
    for (int i = 0; i < (int)m8_in_number(c, 0) && !st; i++) {
        m8_buf_printf(&text, "%d ", i);
        m8_buf_printf(&items, "%s%d", i ? "," : "", i);
        char *json = m8_sprintf("{\"i\":%d,\"items\":[%s]}", i, items.data);
        m8_out_text(c, 0, text.data);
        m8_out_json(c, 1, json);
        m8_free(json);
        st = m8_yield(c);
    }
    m8_buf_finish(&text);
    m8_buf_finish(&items);
    return st;
}

static m8_status stepper(m8_call *c, m8_error *err)
{
    m8_status st = M8_OK;
    for (int i = 0; i < (int)m8_in_number(c, 0) && !st; i++) {
        if (i) sleep_s(0.02);
        m8_out_number(c, 0, i);
        st = m8_yield(c);
    }
    return st;
}

static m8_status progress(m8_call *c, m8_error *err)
{
    int n = (int)m8_in_number(c, 0);
    m8_progress(c, 0, "Starting");
    sleep_s(0.02);
    for (int i = 0; i < n; i++) {
        m8_progress_steps(c, i, n, "steps", "Working");
        sleep_s(0.02);
    }
    return m8_out_printf(c, 0, "done %d", n);
}

static m8_status warn(m8_call *c, m8_error *err)
{
    m8_toast(c, M8_INFO, "an info", &(m8_toast_opts){.duration_s = 5});
    m8_toast(c, M8_WARNING, "a warning", &(m8_toast_opts){.title = "Careful"});
    m8_toast(c, M8_SUCCESS, "a success", NULL);
    return m8_out_text(c, 0, m8_in_text(c, 0));
}

static m8_status fail_(m8_call *c, m8_error *err)
{
    return m8_raise(c, err, &(m8_toast_opts){.duration_s = 7, .title = "Ball error"}, "the ball is broken");
}

static m8_status crash(m8_call *c, m8_error *err) { return m8_fail(err, M8_E_INTERNAL, "secret detail"); }

static m8_status failgen(m8_call *c, m8_error *err)
{
    m8_out_printf(c, 0, "%s1", m8_in_text(c, 0));
    m8_status st = m8_yield(c);
    m8_out_printf(c, 0, "%s12", m8_in_text(c, 0));
    if (!st) st = m8_yield(c);
    return st ? st : m8_raise(c, err, NULL, "late failure");
}

static m8_status slow(m8_call *c, m8_error *err)
{
    sleep_s(m8_in_number(c, 0));
    return m8_out_text(c, 0, "slept");
}

static m8_status counter(m8_call *c, m8_error *err)
{
    int n = (int)m8_in_number(c, 0) + 1;
    m8_out_number(c, 0, n);
    return m8_out_printf(c, 1, "%d", n);
}

static m8_status fast(m8_call *c, m8_error *err) { return m8_out_printf(c, 0, "fast %s", m8_in_text(c, 0)); }

static m8_status batch(m8_call *c, m8_error *err)
{
    for (int k = 0; k < m8_batch_size(c); k++) {
        m8_call *one = m8_batch_at(c, k);
        char text[40];
        snprintf(text, sizeof text, "%s", m8_in_text(one, 0));
        for (char *p = text; *p; p++) *p = (char)toupper((unsigned char)*p);
        m8_out_printf(one, 0, "%s/%d", text, m8_batch_size(c));
    }
    return M8_OK;
}

static m8_status update(m8_call *c, m8_error *err) { return m8_out_update(c, 0, "{\"label\":\"Renamed\",\"interactive\":false,\"value\":\"new\"}"); }

static m8_status mic(m8_call *c, m8_error *err)
{
    int n = (int)m8_in_number(c, 1) + 1;
    m8_out_number(c, 0, n);
    return m8_out_printf(c, 1, "chunk %d", n);
}

static m8_status typed(m8_call *c, m8_error *err) { return m8_out_printf(c, 0, "%d:%s", (int)m8_in_number(c, 0), m8_in_text(c, 1)); }
static m8_status nothing(m8_call *c, m8_error *err) { return m8_out_text(c, 0, "x"); }

static void build(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL), *n = m8_number(page, &(m8_number_opts){.has_value = true, .value = 3}), *out = m8_textbox(page, NULL);
    m8_block *out2 = m8_textbox(page, NULL), *json = m8_json(page, NULL), *state = m8_state(page, "0", 0), *watched = m8_state(page, "0", 0);
    m8_block *sound = m8_audio(page, &(m8_file_opts){.streaming = true}), *t = m8_textbox(page, &(m8_textbox_opts){.value = "dflt"});
#define ON(fn_, ...) m8_on(m8_button(page, NULL), M8_CLICK, fn_, &(m8_event_opts){__VA_ARGS__})
    ON(echo, .api_name = "echo", .in = {text}, .out = {out});
    ON(count, .api_name = "count", .in = {n}, .out = {out, json}, .generator = true, .concurrency_limit = -1);
    ON(stepper, .api_name = "stepper", .in = {n}, .out = {n}, .generator = true, .concurrency_limit = -1);
    ON(progress, .api_name = "progress", .in = {n}, .out = {out});
    ON(warn, .api_name = "warn", .in = {text}, .out = {out});
    ON(fail_, .api_name = "fail", .in = {text}, .out = {out});
    ON(crash, .api_name = "crash", .in = {text}, .out = {out});
    ON(failgen, .api_name = "failgen", .in = {text}, .out = {out}, .generator = true);
    ON(slow, .api_name = "slow", .in = {n}, .out = {out});
    ON(counter, .api_name = "counter", .in = {state}, .out = {state, out});
    ON(fast, .api_name = "fast", .in = {text}, .out = {out}, .queue = M8_NO);
    ON(batch, .api_name = "batch", .in = {text}, .out = {out}, .batch = true, .max_batch_size = 4);
    ON(update, .api_name = "update", .in = {text}, .out = {out2});
    m8_on(sound, M8_STREAM, mic, &(m8_event_opts){.api_name = "mic", .in = {sound, state}, .out = {state, out2}, .time_limit_s = 15});
    ON(typed, .api_name = "typed", .in = {n, t}, .out = {out}, .params = {"n", "t"});
    ON(counter, .api_name = "watched", .in = {watched}, .out = {watched, out});
    ON(nothing, .api_name = "skip", .out = {out, out2});
    m8_on(watched, M8_CHANGE, nothing, &(m8_event_opts){.api_name = "changed", .out = {out}, .api_visibility = M8_PRIVATE});
#undef ON
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

static json_t *events_of(json_t *all, size_t exchange)
{
    json_t *out = json_array();
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(json_array_get(json_object_get(all, "exchange"), exchange), "events"), i, e)
        json_array_append(out, json_object_get(e, "data"));
    return out;
}

/* Twice: with the first, means become known, as they were when it was recorded. */
static void same_as(const char *name, int fn, json_t *inputs)
{
    json_t *all = recording(name), *want = events_of(all, 1);
    json_decref(turn(&site, fn, "warm", json_incref(inputs)));
    json_t *got = turn(&site, fn, name, inputs);
    assert_like(want, got);
    json_decref(got);
    json_decref(want);
    json_decref(all);
}

static void test_echo(void **s) { same_as("queue-echo", ECHO, json_pack("[s]", "hi")); }
static void test_count(void **s) { same_as("queue-count", COUNT, json_pack("[i]", 3)); }
static void test_stepper(void **s) { same_as("queue-stepper", STEPPER, json_pack("[i]", 3)); }
static void test_progress(void **s) { same_as("queue-progress", PROGRESS, json_pack("[i]", 3)); }
static void test_warn(void **s) { same_as("queue-warn", WARN, json_pack("[s]", "x")); }
static void test_fail(void **s) { same_as("queue-fail", FAIL, json_pack("[s]", "x")); }
static void test_crash(void **s) { same_as("queue-crash", CRASH, json_pack("[s]", "x")); }
static void test_failgen(void **s) { same_as("queue-failgen", FAILGEN, json_pack("[s]", "x")); }
static void test_counter(void **s) { same_as("queue-counter", COUNTER, json_pack("[n]")); }
static void test_batch(void **s) { same_as("queue-batch", BATCH, json_pack("[s]", "a")); }
static void test_update(void **s) { same_as("queue-update", UPDATE, json_pack("[s]", "new")); }

static void test_three_waiting(void **state)
{
    json_t *all = recording("queue-three-waiting"), *want = json_object_get(all, "exchange");
    json_decref(turn(&site, SLOW, "warm", json_pack("[f]", 0.01)));
    char names[3][12] = {"session 1", "session 2", "session 3"}, hash[3][4] = {"w1", "w2", "w3"};
    struct sse *e[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(join(&site, SLOW, hash[i], json_pack("[f]", 0.3), NULL), 200);
        e[i] = data(&site, hash[i]);
    }
    for (int i = 0; i < 3; i++) {
        json_t *got = json_array(), *one, *expected = json_array(), *w;
        size_t k;
        while ((one = sse_next(e[i], 20))) json_array_append_new(got, one);
        json_array_foreach(json_object_get(want, names[i]), k, w) json_array_append(expected, json_object_get(w, "data"));
        assert_like(expected, got);
        json_decref(got);
        json_decref(expected);
        sse_close(e[i]);
    }
    json_decref(all);
}

static void test_cancel(void **state)
{
    json_t *all = recording("cancel"), *want = events_of(all, 1), *got = json_array(), *one;
    json_decref(turn(&site, STEPPER, "warm", json_pack("[i]", 2)));
    char id[33];
    assert_int_equal(join(&site, STEPPER, "stop", json_pack("[i]", 500), id), 200);
    struct sse *e = data(&site, "stop");
    bool asked = false;
    while ((one = sse_next(e, 20))) {
        bool value = !strcmp(str(one, "msg"), "process_generating");
        if (!asked || !value) json_array_append_new(got, one);
        else json_decref(one);
        if (!value || asked) continue;
        asked = true;
        json_t *answer;
        assert_int_equal(post(&site, "/gradio_api/cancel", json_pack("{s:s, s:i, s:s}", "session_hash", "other", "fn_index", STEPPER, "event_id", id), NULL), 200);
        assert_int_equal(post(&site, "/gradio_api/cancel", json_pack("{s:s, s:i, s:s}", "session_hash", "stop", "fn_index", STEPPER, "event_id", id), &answer), 200);
        assert_true(json_is_true(json_object_get(answer, "success")));
        json_decref(answer);
    }
    assert_like(want, got);
    sse_close(e);
    json_decref(got);
    json_decref(want);
    json_decref(all);
}

static void test_microphone(void **state)
{
    json_t *all = recording("stream-input-microphone"), *want = events_of(all, 1), *got = json_array(), *one;
    json_decref(turn(&site, ECHO, "warm", json_pack("[s]", "x")));
    char id[33], path[100];
    assert_int_equal(join(&site, MIC, "mic", json_pack("[n, n]"), id), 200);
    snprintf(path, sizeof path, "/gradio_api/stream/%s", id);
    struct sse *e = data(&site, "mic");
    int n = 0;
    while ((one = sse_next(e, 20))) {
        bool value = !strcmp(str(one, "msg"), "process_streaming");
        json_array_append_new(got, one);
        if (!value) continue;
        json_t *answer = NULL;
        if (++n < 3) {
            assert_int_equal(post(&site, path, json_pack("{s:[n, n], s:i, s:s}", "data", "fn_index", MIC, "session_hash", "mic"), &answer), 200);
        } else {
            assert_int_equal(post(&site, path, json_pack("{s:[n, n], s:s}", "data", "session_hash", "other"), NULL), 404);
            strcat(path, "/close");
            assert_int_equal(post(&site, path, json_object(), &answer), 200);
        }
        assert_string_equal(str(answer, "msg"), "success");
        json_decref(answer);
    }
    size_t i;
    json_t *w;
    json_array_foreach(want, i, w) { /* its mean was not known here before */
        if (!strcmp(str(w, "msg"), "estimation")) json_object_set_new(w, "rank_eta", json_null());
        if (!strcmp(str(w, "msg"), "process_starts")) json_object_set_new(w, "eta", json_null());
    }
    assert_like(want, got);
    assert_int_equal(post(&site, "/gradio_api/stream/0123456789abcdef0123456789abcdef", json_pack("{s:[n, n]}", "data"), NULL), 404);
    sse_close(e);
    json_decref(got);
    json_decref(want);
    json_decref(all);
}

static void test_call_and_run(void **state)
{
    static const char *const files[] = {"call", "run"};
    for (int f = 0; f < 2; f++) {
        json_t *all = recording(files[f]), *x;
        size_t i;
        char id[33] = "";
        json_array_foreach(json_object_get(all, "exchange"), i, x) {
            json_t *q = json_object_get(x, "request"), *r = json_object_get(x, "response"), *body = json_object_get(q, "json");
            char path[200], *text = json_dumps(body, 0), *answer, *at;
            snprintf(path, sizeof path, "%s", str(q, "path"));
            at = strstr(path, "${");
            if (at) memcpy(at, id, sizeof id);
            int status = ask(&site, str(q, "method"), path, text, &answer);
            assert_int_equal(status, json_integer_value(json_object_get(r, "status")));
            json_t *want = json_object_get(r, "body");
            if (json_is_string(want)) { /* Python's JSON has blanks */
                const char *from = json_string_value(want);
                char *compact = strdup(from), *to = compact;
                for (const char *p = from; *p; p++) {
                    if (*p != ' ' || !(p[-1] == ',' || (p[-1] == ':' && p[-2] == '"'))) *to++ = *p;
                }
                *to = 0;
                assert_string_equal(answer, compact);
                free(compact);
            } else {
                json_t *got = json_loads(answer, 0, NULL);
                assert_like(want, got);
                if (*str(got, "event_id")) snprintf(id, sizeof id, "%s", str(got, "event_id"));
                json_decref(got);
            }
            free(answer);
            free(text);
        }
        json_decref(all);
    }
}

static void test_refusals(void **state)
{
    json_t *all = recording("errors"), *x;
    size_t i;
    int n = 0;
    json_array_foreach(json_object_get(all, "exchange"), i, x) {
        json_t *q = json_object_get(x, "request"), *r = json_object_get(x, "response"), *body = json_object_get(q, "json");
        const char *path = str(q, "path");
        if (!strncmp(path, "/gradio_api/file", 16) || !strncmp(path, "/static", 7) || !strncmp(path, "/nope", 5)) continue; /* not of this part */
        char *text = body ? json_dumps(body, 0) : *str(q, "body") ? strdup(str(q, "body")) : NULL, *answer;
        int status = ask(&site, str(q, "method"), path, text, &answer);
        json_t *got = json_loads(answer, 0, NULL), *want = json_object_get(r, "body");
        if (!strcmp(path, "/gradio_api/call/nope")) { /* here we differ: Gradio says 500 */
            assert_int_equal(status, 404);
        } else if (json_object_get(x, "events")) {
            json_t *event = json_object_get(json_array_get(json_object_get(x, "events"), 0), "data"), *said = json_loads(answer + 6, JSON_DISABLE_EOF_CHECK, NULL);
            assert_like(event, said);
            json_decref(said);
        } else {
            assert_int_equal(status, json_integer_value(json_object_get(r, "status")));
            if (status == 422 && *str(q, "body")) assert_non_null(json_object_get(got, "detail")); /* in the parser's own words */
            else assert_like(want, got);
        }
        n++;
        json_decref(got);
        free(answer);
        free(text);
    }
    assert_in_range(n, 9, 20);
    json_decref(all);
}

static void test_small_routes(void **state)
{
    json_t *all = recording("small-routes"), *x;
    size_t i;
    char *answer;
    assert_int_equal(ask(&site, "GET", "/gradio_api/startup-events", NULL, &answer), 200);
    assert_string_equal(answer, "true");
    free(answer);
    json_array_foreach(json_object_get(all, "exchange"), i, x) {
        json_t *q = json_object_get(x, "request"), *r = json_object_get(x, "response");
        const char *path = str(q, "path");
        if (!strstr(path, "app_id") && !strstr(path, "queue/status") && !strstr(path, "startup")) continue;
        assert_int_equal(ask(&site, "GET", path, NULL, &answer), 200);
        json_t *got = json_loads(answer, JSON_DECODE_ANY, NULL);
        assert_like(json_object_get(r, "body"), got);
        json_decref(got);
        free(answer);
    }
    json_decref(all);
    assert_int_equal(post(&site, "/gradio_api/component_server", json_pack("{s:i, s:s, s:s}", "component_id", 1, "fn_name", "move_resource_to_block_cache", "data", "/etc/passwd"), NULL), 404);
    assert_int_equal(ask(&site, "GET", "/monitoring/summary", NULL, NULL), 404);
    assert_int_equal(ask(&site, "POST", "/gradio_api/reset/", "{\"event_id\":\"x\"}", NULL), 200);
    assert_int_equal(ask(&site, "POST", "/gradio_api/queue/join?", "{\"data\":[\"a\"],\"fn_index\":0,\"session_hash\":\"q\",\"event_data\":null,\"trigger_id\":3}", NULL), 200);
}

static void test_state_that_is_listened_to(void **state)
{
    json_t *a = turn(&site, WATCHED, "listen", json_pack("[n]")), *ids = NULL, *m;
    size_t i;
    json_array_foreach(a, i, m) if (!strcmp(str(m, "msg"), "process_completed")) ids = json_object_get(json_object_get(m, "output"), "changed_state_ids");
    assert_int_equal(json_array_size(ids), 1);
    json_decref(a);
    a = turn(&site, WATCHED, "listen", json_pack("[i]", 41)); /* what a client says of it is not heard */
    assert_string_equal(json_string_value(json_array_get(outcome(a), 1)), "2");
    json_decref(a);
}

static void test_what_is_not_written_stays(void **state)
{
    json_t *a = turn(&site, SKIP, "skip", json_array());
    assert_string_equal(json_string_value(json_array_get(outcome(a), 0)), "x");
    assert_string_equal(str(json_array_get(outcome(a), 1), "__type__"), "update");
    json_decref(a);
}

static void test_by_name(void **state)
{
    json_t *answer;
    char path[100], *text;
    assert_int_equal(post(&site, "/gradio_api/call/v2/typed", json_pack("{s:i, s:s}", "n", 4, "t", "x"), &answer), 200);
    snprintf(path, sizeof path, "/gradio_api/call/v2/typed/%s", str(answer, "event_id"));
    assert_int_equal(ask(&site, "GET", path, NULL, &text), 200);
    assert_string_equal(text, "event: complete\ndata: [\"4:x\"]\n\n");
    free(text);
    assert_int_equal(ask(&site, "GET", path, NULL, &text), 200); /* once read, it is gone */
    assert_string_equal(text, "event: error\ndata: \"404: Not Found\"\n\n");
    free(text);
    json_decref(answer);
    assert_int_equal(post(&site, "/gradio_api/call/v2/typed", json_pack("{s:i, s:s}", "n", 4, "u", "x"), NULL), 422);
    assert_int_equal(post(&site, "/gradio_api/call/v2/echo", json_object(), NULL), 422);
    assert_int_equal(post(&site, "/gradio_api/call/changed", json_pack("{s:[]}", "data"), NULL), 404); /* private */
    assert_int_equal(post(&site, "/gradio_api/call/counter", json_pack("{s:[]}", "data"), NULL), 200); /* State may be left out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo), cmocka_unit_test(test_count), cmocka_unit_test(test_stepper), cmocka_unit_test(test_progress),
        cmocka_unit_test(test_warn), cmocka_unit_test(test_fail), cmocka_unit_test(test_crash), cmocka_unit_test(test_failgen),
        cmocka_unit_test(test_counter), cmocka_unit_test(test_batch), cmocka_unit_test(test_update), cmocka_unit_test(test_three_waiting),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_microphone), cmocka_unit_test(test_call_and_run), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_small_routes), cmocka_unit_test(test_state_that_is_listened_to), cmocka_unit_test(test_what_is_not_written_stays),
        cmocka_unit_test(test_by_name),
    };
    return cmocka_run_group_tests(tests, open_site, close_site);
}
