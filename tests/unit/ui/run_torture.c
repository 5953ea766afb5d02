/* Turns of all kinds with every allocation and system call of the server failing in its turn: no crash, no leak, no hang; and whoever asked gets an answer, or
 * sees his connection end. */
#include "kit.h"
#include "torture.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static m8_status all_kinds(m8_call *c, m8_error *err)
{
    m8_progress(c, 0.5, "half");
    m8_toast(c, M8_INFO, "hello", NULL);
    int *n = m8_call_data(c, "key", sizeof *n, NULL);
    if (n) ++*n;
    for (int i = 0; i < 3; i++) {
        m8_out_printf(c, 0, "%s %d", m8_in_json(c, 0), i);
        m8_out_json(c, 1, i ? "{\"a\":[1,2]}" : "{\"a\":[1]}");
        m8_out_number(c, 2, i);
        m8_status st = m8_yield(c);
        if (st) return st;
    }
    return m8_call_query(c, "q") && *m8_in_text(c, 0) ? M8_OK : m8_raise(c, err, &(m8_toast_opts){.title = "No"}, "nothing was said");
}

static void build(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL), *json = m8_json(page, NULL), *state = m8_state(page, "[1]", 0);
    m8_on(m8_button(page, NULL), M8_CLICK, all_kinds,
          &(m8_event_opts){.api_name = "kinds", .in = {text, state}, .out = {text, json, state}, .generator = true});
}

static void *run(void *user)
{
    m8_http_run(user, NULL);
    return NULL;
}

/* The clients' halves: what they get may be anything, but they must not wait for ever. */
static void visit(const struct site *s)
{
    char *answer = NULL;
    int status = ask(s, "POST", "/gradio_api/queue/join?q=1", "{\"data\":[\"a\",null],\"fn_index\":0,\"session_hash\":\"t\",\"event_data\":{\"index\":1}}", &answer);
    free(answer);
    if (status == 200) {
        double until = m8_now_s() + 10;
        struct sse *e = data(s, "t");
        char *line;
        while ((line = sse_line(e, 10))) free(line);
        if (m8_now_s() >= until) fail_msg("a stream hangs");
        sse_close(e);
    }
    ask(s, "POST", "/gradio_api/run/kinds", "{\"data\":[\"\",null]}", NULL);
    ask(s, "POST", "/gradio_api/call/kinds", "{\"data\":[\"a\"]}", &answer);
    json_t *id = json_loads(answer, 0, NULL);
    free(answer);
    char path[100];
    snprintf(path, sizeof path, "/gradio_api/call/kinds/%s", str(id, "event_id"));
    json_decref(id);
    ask(s, "GET", path, NULL, NULL);
}

static m8_status turns(void *arg, m8_error *err)
{
    struct site s = {0};
    m8_status st = m8_http_open(&s.http, NULL, err);
    if (!st) st = m8_blocks_new(&s.app, NULL, err);
    if (!st) build(m8_blocks_root(s.app));
    if (!st) st = m8_blocks_mount(s.app, s.http, NULL, err);
    if (!st) {
        s.port = m8_http_port(s.http);
        assert_int_equal(pthread_create(&s.loop, NULL, run, s.http), 0);
        visit(&s);
        m8_http_stop(s.http, 0);
        pthread_join(s.loop, NULL);
    }
    m8_http_close(s.http);
    m8_blocks_free(s.app);
    return st;
}

static void test_turns(void **state) { assert_true(torture(turns, NULL) > 50); }

/* And with jansson's allocations among them; the table of components, which is read by the first app, is not what is looked at here. */
static void test_turns_json(void **state)
{
    m8_blocks *first;
    assert_int_equal(m8_blocks_new(&first, NULL, NULL), M8_OK);
    build(m8_blocks_root(first));
    json_set_alloc_funcs(m8_malloc, m8_free);
    assert_true(torture(turns, NULL) > 50);
    json_set_alloc_funcs(malloc, free);
    m8_blocks_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns), cmocka_unit_test(test_turns_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
