/* Who runs when, and what becomes of those who cancel, go, stall or never come. */
#include "kit.h"
#include "run_internal.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ECHO, SLOW, PAR_A, PAR_B, GEN, FLOOD, BATCH, LEASED, CHECKED, KEEPER, MIC, UNTIL_CANCEL, WHO, N_EVENTS };

static atomic_int now_a, most_a, now_par, most_par, seen_cancel, callbacks, finished, unloads, taken, released, flooded, biggest, ended_well;
static _Atomic bool refuse_lease;

static void enter(atomic_int *now, atomic_int *most)
{
    int n = atomic_fetch_add(now, 1) + 1, was = atomic_load(most);
    while (n > was && !atomic_compare_exchange_weak(most, &was, n)) {}
}

static m8_status echo(m8_call *c, m8_error *err) { return m8_out_text(c, 0, m8_in_text(c, 0)); }

static m8_status slow(m8_call *c, m8_error *err)
{
    enter(&now_a, &most_a);
    sleep_s(m8_in_number(c, 0));
    atomic_fetch_sub(&now_a, 1);
    return m8_out_text(c, 0, "slept");
}

static m8_status par(m8_call *c, m8_error *err)
{
    enter(&now_par, &most_par);
    sleep_s(0.01);
    atomic_fetch_sub(&now_par, 1);
    return m8_out_text(c, 0, "ok");
}

static m8_status gen(m8_call *c, m8_error *err)
{
    m8_status st = M8_OK;
    for (int i = 0; i < (int)m8_in_number(c, 0) && !st; i++) {
        sleep_s(0.002);
        m8_out_number(c, 0, i);
        st = m8_yield(c);
    }
    if (m8_cancelled(c)) atomic_fetch_add(&seen_cancel, 1);
    return st;
}

/* As fast as it can, 1 KiB a value that always differs. */
static m8_status flood(m8_call *c, m8_error *err)
{
    char text[1025];
    m8_status st = M8_OK;
    for (int i = 0; i < (int)m8_in_number(c, 0) && !st; i++) {
        memset(text, 'a' + i % 26, 1024);
        text[1024] = 0;
        m8_out_text(c, 0, text);
        st = m8_yield(c);
        atomic_store(&flooded, i + 1);
    }
    if (!st) atomic_fetch_add(&ended_well, 1);
    return st;
}

static m8_status batch(m8_call *c, m8_error *err)
{
    int n = m8_batch_size(c), was = atomic_load(&biggest);
    while (n > was && !atomic_compare_exchange_weak(&biggest, &was, n)) {}
    sleep_s(0.03);
    for (int k = 0; k < n; k++) m8_out_printf(m8_batch_at(c, k), 0, "%s!", m8_in_text(m8_batch_at(c, k), 0));
    return M8_OK;
}

static m8_status check(m8_call *c, m8_error *err)
{
    return m8_in_number(c, 0) > 9 ? m8_fail(err, M8_E_USER, "at most 9, not %g", m8_in_number(c, 0)) : M8_OK;
}

static void count_finish(void *data) { atomic_fetch_add(&finished, *(int *)data); }

static m8_status keeper(m8_call *c, m8_error *err)
{
    static const char key;
    int *n = m8_call_data(c, &key, sizeof *n, count_finish);
    if (!n) return m8_out_text(c, 0, "none");
    ++*n;
    return m8_out_printf(c, 0, "%d", *n);
}

static m8_status mic(m8_call *c, m8_error *err)
{
    sleep_s(m8_in_number(c, 0) > 99 ? 0.2 : 0);
    return m8_out_printf(c, 0, "%d", (int)m8_in_number(c, 0));
}

struct gate_ {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool over;
};
static void wake_up(void *user)
{
    struct gate_ *g = user;
    pthread_mutex_lock(&g->lock);
    g->over = true;
    pthread_cond_signal(&g->cond);
    pthread_mutex_unlock(&g->lock);
    atomic_fetch_add(&callbacks, 1);
}

/* Sleeps until it is told. */
static m8_status until_cancel(m8_call *c, m8_error *err)
{
    struct gate_ g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    m8_on_cancel(c, wake_up, &g);
    pthread_mutex_lock(&g.lock);
    while (!g.over) pthread_cond_wait(&g.cond, &g.lock);
    pthread_mutex_unlock(&g.lock);
    m8_on_cancel(c, NULL, NULL);
    return M8_E_CANCELLED;
}

static m8_status who(m8_call *c, m8_error *err)
{
    const char *h = m8_call_header(c, "X-Lab"), *q = m8_call_query(c, "q");
    return m8_out_printf(c, 0, "%s|%s|%s|%s|%s", h ? h : "None", m8_call_session(c), q ? q : "None", m8_call_peer(c), m8_call_event_data(c));
}

static m8_status unload(m8_call *c, m8_error *err)
{
    atomic_fetch_add(&unloads, 1);
    return M8_OK;
}

static void build(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL), *n = m8_number(page, NULL), *out = m8_textbox(page, NULL);
    m8_block *sound = m8_audio(page, &(m8_file_opts){.streaming = true});
#define ON(fn_, ...) m8_on(m8_button(page, NULL), M8_CLICK, fn_, &(m8_event_opts){__VA_ARGS__})
    ON(echo, .api_name = "echo", .in = {text}, .out = {out}, .concurrency_limit = -1);
    ON(slow, .api_name = "slow", .in = {n}, .out = {out}, .concurrency_limit = 2);
    ON(par, .api_name = "par_a", .out = {out}, .concurrency_limit = 3, .concurrency_id = "par");
    ON(par, .api_name = "par_b", .out = {out}, .concurrency_id = "par");
    ON(gen, .api_name = "gen", .in = {n}, .out = {n}, .generator = true, .concurrency_limit = 8);
    ON(flood, .api_name = "flood", .in = {n}, .out = {out}, .generator = true, .concurrency_limit = -1);
    ON(batch, .api_name = "batch", .in = {text}, .out = {out}, .batch = true, .max_batch_size = 4);
    ON(echo, .api_name = "leased", .in = {text}, .out = {out}, .gpu = {.lease = true, .duration_s = 7});
    ON(echo, .api_name = "checked", .in = {n}, .out = {out}, .validate = check);
    ON(keeper, .api_name = "keeper", .out = {out});
    m8_on(sound, M8_STREAM, mic, &(m8_event_opts){.api_name = "mic", .in = {n}, .out = {out}, .time_limit_s = 0.5});
    ON(until_cancel, .api_name = "until_cancel", .out = {out}, .concurrency_limit = -1);
    ON(who, .api_name = "who", .out = {out});
    m8_on(page, M8_UNLOAD, unload, &(m8_event_opts){0});
#undef ON
}

static m8_status take(void *user, m8_call *c, double duration_s, void **lease, m8_error *err)
{
    assert_float_equal(duration_s, 7, 0);
    if (atomic_load(&refuse_lease)) return m8_fail(err, M8_E_USER, "no quota left");
    *lease = &taken;
    atomic_fetch_add(&taken, 1);
    return M8_OK;
}
static void release(void *user, void *lease)
{
    assert_ptr_equal(lease, &taken);
    atomic_fetch_add(&released, 1);
}

static struct site site;
static const m8_launch_opts opts = {.max_size = 40, .monitoring = true, .gate = {take, release, NULL}};
static int open_site(void **state)
{
    site_open(&site, build, &opts);
    return 0;
}
static int close_site(void **state)
{
    site_close(&site);
    return 0;
}

static void wait_for_quiet(void)
{
    m8_ui_stats s;
    for (int i = 0; i < 1000; i++) {
        m8_blocks_stats(site.app, &s);
        if (!s.running && !s.waiting) return;
        sleep_s(0.01);
    }
    fail_msg("%d still run, %d still wait", s.running, s.waiting);
}

static void cancel(const char *hash, int fn, const char *id)
{
    assert_int_equal(post(&site, "/gradio_api/cancel", json_pack("{s:s, s:i, s:s}", "session_hash", hash, "fn_index", fn, "event_id", id), NULL), 200);
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */

static void test_limits(void **state)
{
    struct sse *e[36];
    char hash[16];
    for (int i = 0; i < 36; i++) {
        int fn = i % 3 == 0 ? SLOW : i % 3 == 1 ? PAR_A : PAR_B;
        snprintf(hash, sizeof hash, "lim%d", i);
        assert_int_equal(join(&site, fn, hash, fn == SLOW ? json_pack("[f]", 0.01) : json_array(), NULL), 200);
        e[i] = data(&site, hash);
    }
    for (int i = 0; i < 36; i++) {
        json_t *one;
        int done = 0, rank = 1000;
        while ((one = sse_next(e[i], 20))) {
            if (!strcmp(str(one, "msg"), "estimation")) {
                int r = (int)json_integer_value(json_object_get(one, "rank"));
                assert_true(r <= rank && r < json_integer_value(json_object_get(one, "queue_size")));
                rank = r;
            }
            done += !strcmp(str(one, "msg"), "process_completed");
            json_decref(one);
        }
        assert_int_equal(done, 1);
        sse_close(e[i]);
    }
    assert_int_equal(atomic_load(&most_a), 2);
    assert_int_equal(atomic_load(&most_par), 3); /* of the two the lowest that is named */
    wait_for_quiet();
}

static void test_full(void **state)
{
    char ids[44][33], *answer;
    int n = 0, status = 200;
    while (n < 44 && status == 200) {
        status = join(&site, SLOW, "full", json_pack("[f]", 0.3), ids[n]);
        n += status == 200;
    }
    assert_int_equal(status, 503);
    assert_int_equal(n, 42); /* two run, forty wait */
    assert_int_equal(ask(&site, "POST", "/gradio_api/call/slow", "{\"data\":[0]}", &answer), 503);
    assert_string_equal(answer, "{\"detail\":\"Queue is full. Max size is 40 and size is 40.\"}");
    free(answer);
    assert_int_equal(ask(&site, "GET", "/gradio_api/queue/status", NULL, &answer), 200);
    assert_non_null(strstr(answer, "\"queue_size\":40"));
    free(answer);
    struct sse *e = data(&site, "full");
    for (int i = 0; i < n; i++) cancel("full", SLOW, ids[i]); /* each of them alone */
    json_t *one;
    int ends = 0;
    bool closed = false;
    while ((one = sse_next(e, 20))) {
        ends += !strcmp(str(one, "msg"), "process_completed");
        closed = !strcmp(str(one, "msg"), "close_stream");
        json_decref(one);
    }
    assert_int_equal(ends, n);
    assert_true(closed);
    sse_close(e);
    wait_for_quiet();
}

/* ---- company ------------------------------------------------------------------------------------------------------------ */

static void *mixed(void *user)
{
    int k = (int)(intptr_t)user;
    for (int i = 0; i < 40; i++) {
        char hash[20], mark[60];
        snprintf(hash, sizeof hash, "mix%d", k);
        snprintf(mark, sizeof mark, "mark of %d, turn %d", k, i);
        json_t *all = turn(&site, i % 4 == 3 ? BATCH : ECHO, hash, json_pack("[s]", mark)), *out = outcome(all);
        if (i % 4 == 3) strcat(mark, "!");
        if (!out || strcmp(json_string_value(json_array_get(out, 0)), mark)) {
            char *text = json_dumps(all, 0);
            fail_msg("expected %s, got %s", mark, text);
        }
        json_decref(all);
    }
    return NULL;
}

static void test_mix(void **state)
{
    pthread_t t[8];
    for (intptr_t i = 0; i < 8; i++) assert_int_equal(pthread_create(&t[i], NULL, mixed, (void *)i), 0);
    for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
    assert_in_range(atomic_load(&biggest), 2, 4);
    wait_for_quiet();
}

/* ---- ends before the end ---------------------------------------------------------------------------------------------------- */

static void test_cancel_at_any_moment(void **state)
{
    unsigned seed = 3;
    for (int i = 0; i < 60; i++) {
        char id[33], hash[16];
        snprintf(hash, sizeof hash, "any%d", i);
        assert_int_equal(join(&site, GEN, hash, json_pack("[i]", 5), id), 200);
        struct sse *e = data(&site, hash);
        sleep_s((rand_r(&seed) % 15) / 1000.0);
        cancel(hash, GEN, id);
        json_t *one;
        int ends = 0;
        bool closed = false;
        double began = m8_now_s();
        while ((one = sse_next(e, 20))) {
            assert_int_equal(ends, closed ? 1 : ends);
            ends += !strcmp(str(one, "msg"), "process_completed");
            closed = !strcmp(str(one, "msg"), "close_stream");
            json_decref(one);
        }
        assert_int_equal(ends, 1);
        assert_true(closed);
        assert_true(m8_now_s() - began < 5);
        sse_close(e);
    }
    wait_for_quiet();
}

static void test_reader_goes(void **state)
{
    atomic_store(&seen_cancel, 0);
    atomic_store(&callbacks, 0);
    assert_int_equal(join(&site, GEN, "goes", json_pack("[i]", 100000), NULL), 200);
    assert_int_equal(join(&site, UNTIL_CANCEL, "goes", json_array(), NULL), 200);
    for (int i = 0; i < 10; i++) assert_int_equal(join(&site, GEN, "goes", json_pack("[i]", 100000), NULL), 200); /* some of them wait */
    struct sse *e = data(&site, "goes");
    for (int i = 0; i < 30; i++) json_decref(sse_next(e, 20));
    sse_close(e);
    wait_for_quiet();
    assert_int_equal(atomic_load(&callbacks), 1);
    assert_in_range(atomic_load(&seen_cancel), 1, 8); /* one may not have begun */
    e = data(&site, "goes");
    json_t *one = sse_next(e, 20);
    assert_string_equal(str(one, "msg"), "unexpected_error");
    assert_true(json_is_true(json_object_get(one, "session_not_found")));
    json_decref(one);
    assert_null(sse_next(e, 20));
    sse_close(e);
}

static void test_requests_that_go(void **state)
{
    struct sse *e;
    atomic_store(&callbacks, 0);
    int fds[2];
    assert_int_equal(pipe(fds), 0); /* run/NAME and call/NAME/EVENT whose clients break off */
    close(fds[0]);
    close(fds[1]);
    json_t *answer;
    char path[100];
    assert_int_equal(post(&site, "/gradio_api/call/until_cancel", json_pack("{s:[]}", "data"), &answer), 200);
    snprintf(path, sizeof path, "/gradio_api/call/until_cancel/%s", str(answer, "event_id"));
    e = sse_open(&site, path);
    assert_int_equal(e->status, 200);
    sleep_s(0.05);
    sse_close(e);
    json_decref(answer);
    wait_for_quiet();
    assert_int_equal(atomic_load(&callbacks), 1);
    char id[33];
    assert_int_equal(join(&site, UNTIL_CANCEL, "told", json_array(), id), 200);
    sleep_s(0.02);
    cancel("told", UNTIL_CANCEL, id);
    wait_for_quiet();
    assert_int_equal(atomic_load(&callbacks), 2);
    e = data(&site, "told");
    json_t *one;
    char last[40] = "";
    while ((one = sse_next(e, 20))) {
        snprintf(last, sizeof last, "%s", str(one, "msg"));
        json_decref(one);
    }
    assert_string_equal(last, "close_stream");
    sse_close(e);
}

/* ---- slow, second and absent readers -------------------------------------------------------------------------------------------- */

static void test_backpressure(void **state)
{
    enum { N = 20000 }; /* 20 MB in all */
    atomic_store(&flooded, 0);
    assert_int_equal(join(&site, FLOOD, "flood", json_pack("[i]", N), NULL), 200);
    struct sse *e = data(&site, "flood");
    int was = -1;
    for (int i = 0; i < 300 && atomic_load(&flooded) != was; i++) {
        was = atomic_load(&flooded);
        sleep_s(0.1);
    }
    assert_in_range(was, 100, N - 1); /* it waits; what lies about is bounded by sockets and outboxes */
    json_t *one;
    int n = 0;
    while ((one = sse_next(e, 20))) {
        n += !strcmp(str(one, "msg"), "process_generating");
        json_decref(one);
    }
    assert_int_equal(n, N);
    sse_close(e);
    wait_for_quiet();

    assert_int_equal(join(&site, FLOOD, "flood", json_pack("[i]", N), NULL), 200); /* and one whose reader goes while it waits */
    e = data(&site, "flood");
    sleep_s(0.2);
    sse_close(e);
    wait_for_quiet();
}

static void test_second_reader(void **state)
{
    char id[33];
    assert_int_equal(join(&site, GEN, "two", json_pack("[i]", 40), id), 200);
    struct sse *first = data(&site, "two"), *second = data(&site, "two");
    json_t *one;
    int n = 0;
    while ((one = sse_next(first, 20))) {
        n += !strcmp(str(one, "msg"), "process_generating");
        json_decref(one);
    }
    assert_int_equal(n, 40); /* none was lost to the other */
    one = sse_next(second, 20);
    assert_string_equal(str(one, "msg"), "close_stream");
    json_decref(one);
    assert_null(sse_next(second, 20));
    sse_close(first);
    sse_close(second);
}

/* A client that asks several things keeps its stream for a moment: one more is told in it. */
static void test_stream_lingers(void **state)
{
    assert_int_equal(join(&site, ECHO, "lingers", json_pack("[s]", "a"), NULL), 200);
    assert_int_equal(join(&site, ECHO, "lingers", json_pack("[s]", "b"), NULL), 200);
    wait_for_quiet();
    struct sse *e = data(&site, "lingers");
    json_t *one;
    int done = 0;
    double last = 0;
    while ((one = sse_next(e, 20))) {
        bool completed = !strcmp(str(one, "msg"), "process_completed");
        done += completed;
        if (completed) last = m8_now_s();
        if (completed && done == 2) assert_int_equal(join(&site, ECHO, "lingers", json_pack("[s]", "c"), NULL), 200);
        json_decref(one);
    }
    assert_int_equal(done, 3);
    assert_true(m8_now_s() - last > 0.1);
    sse_close(e);
}

/* As if so much time had passed. */
static void age(const char *hash, double s)
{
    pthread_mutex_lock(&site.app->lock);
    struct m8__session *one = m8__session_find(site.app, hash);
    assert_non_null(one);
    one->channel.since -= s;
    if (one->closed_at > 0) one->closed_at -= s;
    pthread_mutex_unlock(&site.app->lock);
}

static bool is_known(const char *hash)
{
    pthread_mutex_lock(&site.app->lock);
    bool known = m8__session_find(site.app, hash);
    pthread_mutex_unlock(&site.app->lock);
    return known;
}

static void test_absent(void **state)
{
    char id[33];
    m8_ui_stats s;
    for (int i = 0; i < 12; i++) assert_int_equal(join(&site, SLOW, "absent", json_pack("[f]", 1.0), id), 200);
    age("absent", 30);
    sleep_s(1.3);
    m8_blocks_stats(site.app, &s);
    assert_int_equal(s.waiting, 0); /* nobody came for them */
    wait_for_quiet();
    assert_true(is_known("absent")); /* what the first ones said is kept for a while */
    age("absent", 1000);
    for (int i = 0; i < 50 && is_known("absent"); i++) sleep_s(0.1);
    assert_false(is_known("absent"));
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------ */

static void test_heartbeat(void **state)
{
    atomic_store(&unloads, 0);
    atomic_store(&finished, 0);
    struct sse *e = sse_open(&site, "/gradio_api/heartbeat/page%2Done"), *e2 = sse_open(&site, "/gradio_api/heartbeat/page%2Done");
    char *line = sse_line(e, 20);
    assert_string_equal(line, "data: ALIVE");
    free(line);
    json_t *all = turn(&site, KEEPER, "page-one", json_array());
    json_decref(all);
    all = turn(&site, KEEPER, "page-one", json_array());
    assert_string_equal(json_string_value(json_array_get(outcome(all), 0)), "2");
    json_decref(all);
    sse_close(e);
    sleep_s(0.1);
    assert_int_equal(atomic_load(&unloads), 0); /* there is another */
    sse_close(e2);
    for (int i = 0; i < 100 && !atomic_load(&unloads); i++) sleep_s(0.02);
    assert_int_equal(atomic_load(&unloads), 1);
    wait_for_quiet();
    age("page-one", 4000); /* an hour later it is forgotten */
    for (int i = 0; i < 50 && is_known("page-one"); i++) sleep_s(0.1);
    assert_false(is_known("page-one"));
    assert_int_equal(atomic_load(&finished), 2);
}

static void test_streamed_input(void **state)
{
    char id[33], path[100];
    assert_int_equal(join(&site, MIC, "mic", json_pack("[i]", 100), id), 200); /* takes 0.2 s */
    struct sse *e = data(&site, "mic");
    snprintf(path, sizeof path, "/gradio_api/stream/%s", id);
    sleep_s(0.05);
    for (int i = 1; i < 6; i++) assert_int_equal(post(&site, path, json_pack("{s:[i]}", "data", i), NULL), 200);
    assert_int_equal(post(&site, path, json_pack("{s:[s]}", "data", "no number"), NULL), 422);
    int values[8], n = 0;
    double began = m8_now_s();
    json_t *one, *final = NULL;
    while ((one = sse_next(e, 20))) {
        json_t *out = json_object_get(json_object_get(one, "output"), "data");
        if (!strcmp(str(one, "msg"), "process_streaming") && n < 8) values[n++] = atoi(json_string_value(json_array_get(out, 0)));
        if (!strcmp(str(one, "msg"), "process_completed")) final = json_incref(out);
        json_decref(one);
    }
    assert_int_equal(n, 2); /* of those that came while it was busy the newest */
    assert_int_equal(values[0], 100);
    assert_int_equal(values[1], 5);
    assert_string_equal(json_string_value(json_array_get(final, 0)), "5");
    assert_true(m8_now_s() - began < 10); /* and no chunk came within its time */
    json_decref(final);
    sse_close(e);
    wait_for_quiet();

    struct sse *page = sse_open(&site, "/gradio_api/heartbeat/mic"); /* the page goes: so does its stream */
    assert_int_equal(join(&site, MIC, "mic", json_pack("[i]", 1), id), 200);
    sleep_s(0.05);
    sse_close(page);
    wait_for_quiet();
}

/* ---- gates --------------------------------------------------------------------------------------------------------------------------- */

static void test_lease(void **state)
{
    json_t *all = turn(&site, LEASED, "lease", json_pack("[s]", "x"));
    assert_string_equal(json_string_value(json_array_get(outcome(all), 0)), "x");
    json_decref(all);
    assert_int_equal(atomic_load(&taken), 1);
    assert_int_equal(atomic_load(&released), 1);
    atomic_store(&refuse_lease, true);
    all = turn(&site, LEASED, "lease", json_pack("[s]", "x"));
    json_t *end = json_array_get(all, json_array_size(all) - 2);
    assert_string_equal(str(json_object_get(end, "output"), "error"), "no quota left");
    json_decref(all);
    assert_int_equal(atomic_load(&released), 1);
}

static void test_validator(void **state)
{
    json_t *answer;
    assert_int_equal(post(&site, "/gradio_api/queue/join", json_pack("{s:[i], s:i, s:s}", "data", 10, "fn_index", CHECKED, "session_hash", "v"), &answer), 422);
    json_t *first = json_array_get(json_object_get(answer, "detail"), 0);
    assert_string_equal(str(first, "message"), "at most 9, not 10");
    assert_true(json_is_false(json_object_get(first, "is_valid")));
    json_decref(answer);
    assert_false(is_known("v"));
}

static void test_request(void **state)
{
    char *answer;
    static const char body[] = "{\"data\":[],\"session_hash\":\"s\\u00e9\",\"event_data\":{\"index\":[1,2]}}";
    assert_int_equal(ask_with(&site, "POST", "/gradio_api/run/who?q=a%20b", "Content-Type: application/json\r\nx-lab: yes\r\n", body, sizeof body - 1, &answer), 200);
    assert_non_null(strstr(answer, "\"yes|s\xc3\xa9|a b|127.0.0.1|{\\\"index\\\":[1,2]}\""));
    free(answer);
    assert_int_equal(ask(&site, "GET", "/monitoring/summary", NULL, &answer), 200);
    assert_non_null(strstr(answer, "\"who\":{\"total_requests\":1,\"success_rate\":1.0"));
    free(answer);
}

/* ---- the end -------------------------------------------------------------------------------------------------------------------------- */

static void test_stop(void **state)
{
    struct site s;
    site_open(&s, build, &(m8_launch_opts){0});
    struct sse *page = sse_open(&s, "/gradio_api/heartbeat/p");
    free(sse_line(page, 20));
    assert_int_equal(join(&s, GEN, "end", json_pack("[i]", 100), NULL), 200);
    struct sse *e = data(&s, "end");
    json_decref(sse_next(e, 20));
    m8_http_stop(s.http, 20);
    assert_null(sse_line(page, 20)); /* pages are let go at once */
    json_t *one;
    char last[40] = "";
    while ((one = sse_next(e, 20))) { /* an answer that was begun is finished */
        snprintf(last, sizeof last, "%s", str(one, "msg"));
        json_decref(one);
    }
    assert_string_equal(last, "close_stream");
    sse_close(e);
    sse_close(page);
    site_close(&s);

    site_open(&s, build, &(m8_launch_opts){0}); /* or cut off, in the midst of all kinds of things */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(join(&s, UNTIL_CANCEL, "cut", json_array(), NULL), 200);
        assert_int_equal(join(&s, SLOW, "cut", json_pack("[f]", 0.1), NULL), 200);
        assert_int_equal(join(&s, FLOOD, "cut2", json_pack("[i]", 100000), NULL), 200);
        assert_int_equal(join(&s, MIC, "cut3", json_pack("[i]", 1), NULL), 200);
        assert_int_equal(join(&s, KEEPER, "cut4", json_array(), NULL), 200);
    }
    assert_int_equal(post(&s, "/gradio_api/call/echo", json_pack("{s:[s]}", "data", "unread"), NULL), 200);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits), cmocka_unit_test(test_full), cmocka_unit_test(test_mix), cmocka_unit_test(test_cancel_at_any_moment),
        cmocka_unit_test(test_reader_goes), cmocka_unit_test(test_requests_that_go), cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_second_reader), cmocka_unit_test(test_stream_lingers), cmocka_unit_test(test_absent), cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_streamed_input), cmocka_unit_test(test_lease), cmocka_unit_test(test_validator), cmocka_unit_test(test_request),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, open_site, close_site);
}
