/* toy.h - a service for the tests of processes: the test program starts itself as the worker. */
#ifndef TOY_H
#define TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <m8/base.h>

enum toy_call {
    TOY_ECHO,   /* text; result: the text, pushed: the bulk */
    TOY_FLOOD,  /* n, size: pushes n pieces, each of its own number */
    TOY_WAIT,   /* until it is cancelled */
    TOY_DEAF,   /* sleeps, and hears no cancel */
    TOY_CRASH,
    TOY_EXIT,
    TOY_FAIL,   /* status, text */
    TOY_PROBE,  /* result: what is refused, see sandbox.c */
    TOY_MEMORY, /* MiB to take; result: 1 if they were there */
    TOY_LOG,
};
enum toy_hello { HELLO_FINE, HELLO_FAILS, HELLO_CRASHES, HELLO_HANGS, HELLO_IF_FILE };

static m8_buf toy_seen; /* of the worker, before it was locked in: descriptors and environment */
static m8_status (*toy_probe)(m8_buf *result);

static void toy_pause(double s)
{
    struct timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, NULL);
}

static m8_status toy_open(void **state, m8_fields *hello, m8_buf *answer, m8_error *err)
{
    extern char **environ;
    uint32_t how = m8_get_u32(hello);
    const char *text = m8_get_text(hello);
    *state = &toy_seen;
    if (hello->bad) return m8_fail(err, M8_E_FORMAT, "no greeting");
    if (how == HELLO_FAILS) return m8_fail(err, M8_E_NOTFOUND, "there is no toy");
    if (how == HELLO_CRASHES) abort();
    if (how == HELLO_HANGS) toy_pause(3600);
    if (how == HELLO_IF_FILE && access(text, F_OK)) return m8_fail(err, M8_E_NOTFOUND, "%s is not there yet", text);
    for (int fd = 0; fd < 256; fd++) {
        char path[32], to[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, to, sizeof to - 1);
        if (n > 0) m8_buf_printf(&toy_seen, "%d=%.*s\n", fd, (int)n, to);
    }
    for (char **e = environ; *e; e++) m8_buf_printf(&toy_seen, "%s\n", *e);
    m8_put_text(answer, "toy");
    return M8_OK;
}

static m8_status toy_flood(m8_serving *c, uint32_t n, uint32_t size)
{
    m8_status st = M8_OK;
    char *piece = m8_calloc(size + 4, 1);
    for (uint32_t i = 0; i < n && !st; i++) {
        memcpy(piece, &i, 4);
        st = m8_serving_push(c, piece, size);
    }
    m8_free(piece);
    return st;
}

static m8_status toy_call(void *state, m8_serving *c, m8_fields *args, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err)
{
    enum toy_call what = (enum toy_call)m8_get_u32(args);
    uint32_t a = m8_get_u32(args), b = m8_get_u32(args);
    const char *text = m8_get_text(args);
    if (args->bad || args->left) return m8_fail(err, M8_E_FORMAT, "bad arguments");
    switch (what) {
    case TOY_ECHO:
        for (size_t at = 0, n; at < n_bulk; at += n) {
            n = n_bulk - at < 100000 ? n_bulk - at : 100000;
            m8_status st = m8_serving_push(c, (const char *)bulk + at, n);
            if (st) return st;
        }
        m8_buf_str(result, text);
        return M8_OK;
    case TOY_FLOOD: return toy_flood(c, a, b);
    case TOY_WAIT:
        while (!m8_cancel_is_set(m8_serving_cancel(c))) toy_pause(0.001);
        return m8_fail(err, M8_E_CANCELLED, "the toy was told to stop");
    case TOY_DEAF: toy_pause(3600); return M8_OK;
    case TOY_CRASH: __builtin_trap();
    case TOY_EXIT: _exit((int)a);
    case TOY_FAIL: return m8_fail(err, (m8_status)a, "%s", text);
    case TOY_PROBE:
        m8_buf_add(result, toy_seen.data, toy_seen.len);
        return toy_probe(result);
    case TOY_MEMORY: {
        char *p = malloc((size_t)a << 20);
        if (p) memset(p, 1, (size_t)a << 20);
        m8_put_u32(result, p != NULL);
        free(p);
        return M8_OK;
    }
    case TOY_LOG: m8_log(M8_LOG_INFO, "%s", text); return M8_OK;
    }
    return m8_fail(err, M8_E_ARG, "no such call");
}

static void toy_close(void *state)
{
    m8_buf_finish(state);
}

static const m8_service toy_service = { .name = "toy", .most_memory = 512u << 20, .open = toy_open, .call = toy_call, .close = toy_close };

/* First thing in main: does not return in the worker. */
static inline void toy_worker(int argc, char **argv)
{
    const m8_service *const services[] = { &toy_service, NULL };
    if (argc > 1 && !strcmp(argv[1], "worker")) _exit(m8_proc_serve(3, services) ? 1 : 0);
}

static inline m8_status toy_start(m8_proc **p, enum toy_hello how, const char *text, const m8_proc_opts *opts, m8_error *err)
{
    m8_buf hello = {0};
    m8_put_u32(&hello, how);
    m8_put_text(&hello, text);
    m8_status st = hello.status ? m8_fail(err, hello.status, "a greeting") : m8_proc_open(p, "toy", "the toy", &hello, NULL, NULL, opts, err);
    m8_buf_finish(&hello);
    return st;
}

static inline m8_proc *toy_new(const m8_proc_opts *opts)
{
    m8_proc *p = NULL;
    m8_error err = {0};
    if (toy_start(&p, HELLO_FINE, NULL, opts, &err)) fail_msg("%s", err.text);
    return p;
}

/* One call; q may say more than its arguments. */
static inline m8_status toy_do(m8_proc *p, enum toy_call what, uint32_t a, uint32_t b, const char *text, const m8_request *q, m8_buf *result,
                               m8_error *err)
{
    m8_buf args = {0};
    m8_request r = q ? *q : (m8_request){0};
    m8_put_u32(&args, what);
    m8_put_u32(&args, a);
    m8_put_u32(&args, b);
    m8_put_text(&args, text);
    r.args = &args;
    m8_status st = m8_proc_call(p, &r, result, err);
    m8_buf_finish(&args);
    return st;
}

static inline bool toy_echoes(m8_proc *p)
{
    m8_buf result = {0};
    m8_error err = {0};
    m8_status st = toy_do(p, TOY_ECHO, 0, 0, "still here", NULL, &result, &err);
    bool same = !st && result.len == 10 && !memcmp(result.data, "still here", 10);
    if (!same) print_message("echo: %s\n", m8_error_text(&err));
    m8_buf_finish(&result);
    return same;
}

static inline int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 512; fd++) {
        char path[32], to[8];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n += readlink(path, to, sizeof to) > 0;
    }
    return n;
}

#endif
