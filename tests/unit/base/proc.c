/* Calls to a process: many at once, large, slow, cancelled, late. */
#include "toy.h"
#include "torture.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- cancel */

static void count(void *user) { ++*(int *)user; }

static void test_cancel(void **state)
{
    int n = 0, late = 0;
    m8_cancel *c = m8_cancel_new();
    m8_watch a = { .fn = count, .user = &n }, b = a, d = { .fn = count, .user = &late };
    assert_false(m8_cancel_is_set(NULL));
    assert_false(m8_cancel_is_set(c));
    m8_cancel_watch(NULL, &a);
    m8_cancel_unwatch(&a);
    m8_cancel_watch(c, &a);
    m8_cancel_watch(c, &b);
    m8_cancel_unwatch(&a);
    m8_cancel_set(c);
    m8_cancel_set(c);
    m8_cancel_set(NULL);
    assert_int_equal(n, 1);
    assert_true(m8_cancel_is_set(c));
    m8_cancel_watch(c, &d); /* set already */
    assert_int_equal(late, 1);
    m8_cancel_unwatch(&b);
    m8_cancel_unwatch(&d);
    m8_cancel_unwatch(&d);
    m8_cancel_unref(m8_cancel_ref(c));
    m8_cancel_unref(c);
    m8_cancel_unref(NULL);
}

/* ---- fields */

static void test_fields(void **state)
{
    m8_buf b = {0};
    m8_put_u32(&b, 7);
    m8_put_text(&b, "");
    m8_put_text(&b, NULL);
    m8_put_text(&b, "text");
    m8_put_f32(&b, 0.1f);
    m8_put_f64(&b, -0.1);
    m8_put_u64(&b, UINT64_MAX);
    m8_put_bytes(&b, "ab", 2);
    m8_put_u32(&b, 3);
    m8_buf_add(&b, "\1\2\3", 3);
    m8_fields f = { (const uint8_t *)b.data, b.len, false };
    size_t n;
    assert_int_equal(m8_get_u32(&f), 7);
    assert_string_equal(m8_get_text(&f), "");
    assert_null(m8_get_text(&f));
    assert_string_equal(m8_get_text(&f), "text");
    assert_true(m8_get_f32(&f) == 0.1f && m8_get_f64(&f) == -0.1 && m8_get_u64(&f) == UINT64_MAX);
    assert_memory_equal(m8_get_bytes(&f, &n), "ab", 2);
    assert_int_equal(n, 2);
    m8_fields more = f;
    assert_int_equal(m8_get_count(&f, 1), 3);
    assert_false(f.bad);
    assert_int_equal(m8_get_count(&more, 2), 0); /* six bytes cannot follow */
    assert_true(more.bad);
    for (size_t cut = 0; cut < b.len - 3; cut++) { /* wherever it is cut, it says so, and stays within */
        uint8_t *part = m8_malloc(cut);
        memcpy(part, b.data, cut);
        m8_fields g = { part, cut, false };
        m8_get_u32(&g), m8_get_text(&g), m8_get_text(&g), m8_get_text(&g), m8_get_f32(&g), m8_get_f64(&g), m8_get_u64(&g);
        m8_get_bytes(&g, &n);
        m8_get_u32(&g);
        assert_true(g.bad);
        assert_int_equal(m8_get_u64(&g), 0);
        assert_null(m8_get_text(&g));
        m8_free(part);
    }
    static const uint8_t no_end[] = { 2, 0, 0, 0, 'a', 'b' }, early[] = { 3, 0, 0, 0, 'a', 0, 0 };
    m8_fields bad = { no_end, sizeof no_end, false };
    assert_null(m8_get_text(&bad));
    assert_true(bad.bad);
    bad = (m8_fields){ early, sizeof early, false };
    assert_null(m8_get_text(&bad));
    assert_true(bad.bad);
    m8_buf_finish(&b);
}

/* ---- calls */

struct caller {
    m8_proc *p;
    int i;
    pthread_t thread;
    m8_cancel *cancel;
    m8_status status;
    double took_s;
    m8_error err;
};

static m8_status collect(void *user, const void *data, size_t n)
{
    m8_buf_add(user, data, n);
    return M8_OK;
}

static void *echo_often(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < 60 && !c->status; i++) {
        char text[64];
        m8_buf result = {0}, pushed = {0}, bulk = {0};
        snprintf(text, sizeof text, "caller %d, call %d", c->i, i);
        for (int k = 0; k < i * 1000 * (c->i % 3); k++) m8_buf_chr(&bulk, (char)(k * 7 + c->i));
        m8_request q = { .bulk = bulk.data, .n_bulk = bulk.len, .out = { collect, &pushed } };
        c->status = toy_do(c->p, TOY_ECHO, 0, 0, text, &q, &result, &c->err);
        if (!c->status && (result.len != strlen(text) || memcmp(result.data, text, result.len))) c->status = M8_E_INTERNAL;
        if (!c->status && (pushed.len != bulk.len || (bulk.len && memcmp(pushed.data, bulk.data, bulk.len)))) c->status = M8_E_INTERNAL;
        m8_buf_finish(&result);
        m8_buf_finish(&pushed);
        m8_buf_finish(&bulk);
    }
    return NULL;
}

static void test_many(void **state)
{
    struct caller c[8];
    m8_proc *p = toy_new(NULL);
    for (int i = 0; i < 8; i++) {
        c[i] = (struct caller){ .p = p, .i = i };
        assert_int_equal(pthread_create(&c[i].thread, NULL, echo_often, &c[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(c[i].thread, NULL);
        if (c[i].status) fail_msg("caller %d: %s %s", i, m8_status_name(c[i].status), c[i].err.text);
    }
    m8_proc_info info = m8_proc_about(p);
    assert_int_equal(info.state, M8_PROC_READY);
    assert_int_equal(info.n_calls, 0);
    assert_int_equal(info.n_started, 1);
    m8_proc_close(p);
}

static void test_large(void **state)
{
    m8_proc *p = toy_new(NULL);
    size_t n = 37 << 20;
    char *bulk = malloc(n);
    for (size_t i = 0; i < n; i++) bulk[i] = (char)(i * 2654435761u >> 13);
    m8_buf pushed = {0}, huge = { .len = 0 };
    m8_error err = {0};
    m8_request q = { .bulk = bulk, .n_bulk = n, .out = { collect, &pushed } };
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", &q, NULL, &err), M8_OK);
    assert_int_equal(pushed.len, n);
    assert_memory_equal(pushed.data, bulk, n);
    q = (m8_request){ .bulk = bulk, .n_bulk = (1u << 30) + 1 };
    assert_int_equal(m8_proc_call(p, &q, NULL, &err), M8_E_LIMIT);
    assert_non_null(m8_buf_room(&huge, (16 << 20) + 1));
    q = (m8_request){ .args = &huge };
    err = (m8_error){0};
    assert_int_equal(m8_proc_call(p, &q, NULL, &err), M8_E_LIMIT);
    assert_true(toy_echoes(p));
    m8_buf_finish(&huge);
    m8_buf_finish(&pushed);
    free(bulk);
    m8_proc_close(p);
}

struct slow {
    uint32_t next;
    bool wrong;
    uint32_t stop_at;
    m8_status with;
    double pause_s;
};

static m8_status slowly(void *user, const void *data, size_t n)
{
    struct slow *s = user;
    uint32_t i;
    memcpy(&i, data, 4);
    s->wrong |= i != s->next++;
    if (s->pause_s > 0) toy_pause(s->pause_s);
    return s->stop_at && s->next == s->stop_at ? s->with : M8_OK;
}

static long resident_kib(long pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmRSS: %ld", &kib);
    if (f) fclose(f);
    return kib;
}

/* A reader that is slow holds up its own call, no memory grows, and others go on. */
static void *flood_slowly(void *arg)
{
    struct caller *c = arg;
    struct slow s = { .pause_s = 0.002 };
    m8_request q = { .out = { slowly, &s } };
    c->status = toy_do(c->p, TOY_FLOOD, 400, 200000, "", &q, NULL, &c->err); /* 80 MB */
    if (s.wrong || s.next != 400) c->status = M8_E_INTERNAL;
    return NULL;
}

static void test_slow_reader(void **state)
{
    m8_proc *p = toy_new(NULL);
    struct caller c = { .p = p };
    assert_true(toy_echoes(p));
    long before = resident_kib(getpid());
    assert_int_equal(pthread_create(&c.thread, NULL, flood_slowly, &c), 0);
    for (int i = 0; i < 100; i++) assert_true(toy_echoes(p));
    long more = resident_kib(getpid()) - before;
    pthread_join(c.thread, NULL);
    if (c.status) fail_msg("%s", m8_error_text(&c.err));
    assert_in_range(more < 0 ? 0 : more, 0, 40 << 10);
    m8_proc_close(p);
}

/* What the sink says ends the call, and is its status; nothing more is pushed. */
static void test_sink_stops(void **state)
{
    m8_proc *p = toy_new(NULL);
    for (uint32_t at = 1; at < 30; at += 7) {
        struct slow s = { .stop_at = at, .with = M8_E_USER };
        m8_request q = { .out = { slowly, &s } };
        m8_error err = {0};
        assert_int_equal(toy_do(p, TOY_FLOOD, 1000000, 1000, "", &q, NULL, &err), M8_E_USER);
        assert_int_equal(err.status, M8_E_USER);
        assert_int_equal(s.next, at);
        assert_true(toy_echoes(p));
    }
    assert_int_equal(m8_proc_about(p).n_started, 1);
    m8_proc_close(p);
}

static void *wait_there(void *arg)
{
    struct caller *c = arg;
    m8_request q = { .cancel = c->cancel };
    double from = m8_now_s();
    c->status = toy_do(c->p, (enum toy_call)c->i, 0, 0, "", &q, NULL, &c->err);
    c->took_s = m8_now_s() - from;
    return NULL;
}

static void test_token(void **state)
{
    m8_proc *p = toy_new(NULL);
    for (int i = 0; i < 20; i++) {
        struct caller c = { .p = p, .i = TOY_WAIT, .cancel = m8_cancel_new() };
        assert_int_equal(pthread_create(&c.thread, NULL, wait_there, &c), 0);
        toy_pause(i * 0.0005);
        double from = m8_now_s();
        m8_cancel_set(c.cancel);
        pthread_join(c.thread, NULL);
        assert_int_equal(c.status, M8_E_CANCELLED);
        assert_true(m8_now_s() - from < 2);
        m8_error err = {0};
        m8_request q = { .cancel = c.cancel }; /* set before the call */
        assert_int_equal(toy_do(p, TOY_WAIT, 0, 0, "", &q, NULL, &err), M8_E_CANCELLED);
        m8_cancel_unref(c.cancel);
    }
    assert_int_equal(m8_proc_about(p).n_started, 1);
    m8_proc_close(p);
}

/* A process that does not hear a cancel is killed; who was there beside is told, and the next call works. */
static void test_deaf(void **state)
{
    m8_proc *p = toy_new(&(m8_proc_opts){ .grace_s = 0.3 });
    struct caller deaf = { .p = p, .i = TOY_DEAF, .cancel = m8_cancel_new() }, other = { .p = p, .i = TOY_WAIT };
    assert_int_equal(pthread_create(&deaf.thread, NULL, wait_there, &deaf), 0);
    assert_int_equal(pthread_create(&other.thread, NULL, wait_there, &other), 0);
    toy_pause(0.05);
    m8_cancel_set(deaf.cancel);
    pthread_join(deaf.thread, NULL);
    pthread_join(other.thread, NULL);
    assert_int_equal(deaf.status, M8_E_CANCELLED);
    assert_int_equal(other.status, M8_E_IO);
    assert_non_null(strstr(other.err.text, "the process of the toy ended (signal 9)"));
    assert_true(deaf.took_s > 0.3 && deaf.took_s < 4);
    assert_true(toy_echoes(p));
    assert_int_equal(m8_proc_about(p).n_started, 2);
    m8_cancel_unref(deaf.cancel);

    m8_error err = {0};
    m8_request q = { .most_s = 0.1 };
    assert_int_equal(toy_do(p, TOY_DEAF, 0, 0, "", &q, NULL, &err), M8_E_TIMEOUT);
    assert_string_equal(err.text, "the toy: not done within 0.1 s");
    assert_true(toy_echoes(p));
    m8_proc_close(p);
}

static void test_errors(void **state)
{
    m8_proc *p = toy_new(NULL);
    m8_error err = {0};
    assert_int_equal(toy_do(p, TOY_FAIL, (uint32_t)M8_E_USER, 0, "what the toy\nsays", NULL, NULL, &err), M8_E_USER);
    assert_string_equal(err.text, "what the toy says");
    assert_int_equal(toy_do(p, TOY_FAIL, (uint32_t)M8_E_HASH, 0, "", NULL, NULL, NULL), M8_E_HASH);
    err = (m8_error){0};
    assert_int_equal(toy_do(p, TOY_FLOOD, 1, (256 << 10) + 1, "", NULL, NULL, &err), M8_E_LIMIT);
    m8_request q = {0};
    err = (m8_error){0};
    assert_int_equal(m8_proc_call(p, &q, NULL, &err), M8_E_FORMAT); /* no arguments at all */
    struct caller c[64];
    m8_cancel *cancel = m8_cancel_new();
    for (int i = 0; i < 64; i++) {
        c[i] = (struct caller){ .p = p, .i = TOY_WAIT, .cancel = cancel };
        assert_int_equal(pthread_create(&c[i].thread, NULL, wait_there, &c[i]), 0);
    }
    for (int i = 0; i < 1000 && m8_proc_about(p).n_calls < 64; i++) toy_pause(0.005);
    err = (m8_error){0};
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", NULL, NULL, &err), M8_E_BUSY);
    m8_cancel_set(cancel);
    for (int i = 0; i < 64; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].status, M8_E_CANCELLED);
    }
    m8_cancel_unref(cancel);
    assert_true(toy_echoes(p));
    m8_proc_close(p);
}

static atomic_int logged;
static void log_line(void *user, m8_log_level level, const char *line)
{
    if (level == M8_LOG_INFO && !strcmp(line, "the toy: hello from afar")) atomic_fetch_add(&logged, 1);
}

static void test_log(void **state)
{
    m8_log_set(log_line, NULL, M8_LOG_INFO);
    m8_proc *p = toy_new(NULL);
    assert_int_equal(toy_do(p, TOY_LOG, 0, 0, "hello from afar", NULL, NULL, NULL), M8_OK);
    m8_proc_close(p);
    m8_log_set(NULL, NULL, M8_LOG_ERROR);
    assert_int_equal(atomic_load(&logged), 1);
}

/* ---- each allocation and system call fails in turn */

static m8_status everything(void *arg, m8_error *err)
{
    m8_proc *p;
    char bulk[3000] = "abc";
    m8_buf pushed = {0}, result = {0};
    m8_cancel *cancel = m8_cancel_new();
    m8_status st = cancel ? toy_start(&p, HELLO_FINE, "x", &(m8_proc_opts){ .wait_s = 5 }, err) : m8_fail(err, M8_E_NOMEM, "a token");
    if (!st) {
        m8_request q = { .bulk = bulk, .n_bulk = sizeof bulk, .out = { collect, &pushed }, .cancel = cancel };
        st = toy_do(p, TOY_ECHO, 0, 0, "hi", &q, &result, err);
        if (!st && pushed.status) st = m8_fail(err, pushed.status, "the sink");
        m8_proc_close(p);
    }
    m8_cancel_unref(cancel);
    m8_buf_finish(&pushed);
    m8_buf_finish(&result);
    return st;
}

static void test_torture(void **state) { torture(everything, NULL); }

int main(int argc, char **argv)
{
    toy_worker(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_fields), cmocka_unit_test(test_many), cmocka_unit_test(test_large),
        cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_sink_stops), cmocka_unit_test(test_token), cmocka_unit_test(test_deaf),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_log), cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
