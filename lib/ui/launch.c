/* An app meets its server: mounted on one, or launched alone; and how it ends. */
#include "run_internal.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PORT = 7860, PORTS = 100 };
#define GRACE_S 3.0

/* ---- options, copied --------------------------------------------------------------------------------------------------- */

static bool copy_text(const char **s)
{
    if (*s) *s = m8_strdup(*s);
    else return true;
    return *s != NULL;
}

static void free_list(const char *const *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) m8_free((char *)list[i]);
    m8_free((void *)list);
}

static bool copy_list(const char *const **list, size_t n)
{
    const char *const *from = *list;
    *list = NULL;
    if (!n) return true;
    const char **to = m8_calloc(n, sizeof *to);
    *list = to;
    for (size_t i = 0; to && i < n; i++) {
        to[i] = m8_strdup(from[i]);
        if (!to[i]) return false;
    }
    return to != NULL;
}

static m8_status copy_opts(m8_blocks *app, const m8_launch_opts *opts, m8_error *err)
{
    m8_launch_opts *o = &app->launch;
    if (opts) *o = *opts;
    o->http = NULL;
    const char *mount = o->mount ? o->mount : "";
    size_t n = strlen(mount);
    while (n && mount[n - 1] == '/') n--;
    /* every pointer is ours or NULL from here on, whatever fails */
    bool ok = copy_text(&o->host);
    o->mount = n ? m8_sprintf("%s%.*s", *mount == '/' ? "" : "/", (int)n, mount) : NULL;
    ok &= !n || o->mount;
    ok &= copy_text(&o->auth);
    ok &= copy_text(&o->auth_message);
    ok &= copy_text(&o->cache_dir);
    if (!copy_list(&o->allowed_paths, o->n_allowed)) ok = false;
    if (!copy_list(&o->blocked_paths, o->n_blocked)) ok = false;
    if (!copy_list(&o->open_paths, o->n_open_paths)) ok = false;
    return ok ? M8_OK : m8_fail(err, M8_E_NOMEM, "mounting an app");
}

static void free_opts(m8_launch_opts *o)
{
    m8_free((char *)o->host);
    m8_free((char *)o->mount);
    m8_free((char *)o->auth);
    m8_free((char *)o->auth_message);
    m8_free((char *)o->cache_dir);
    free_list(o->allowed_paths, o->n_allowed);
    free_list(o->blocked_paths, o->n_blocked);
    free_list(o->open_paths, o->n_open_paths);
    *o = (m8_launch_opts){0};
}

/* ---- mounted ------------------------------------------------------------------------------------------------------------ */

m8_status m8_blocks_mount(m8_blocks *app, m8_http *h, const m8_launch_opts *opts, m8_error *err)
{
    if (!app) return m8_fail(err, M8_E_ARG, "no app");
    if (app->mounted) return m8_fail(err, M8_E_ARG, "the app is mounted already");
    m8_status st = m8_blocks_status(app, err);
    if (st) return st;
    app->mounted = true;
    app->http = h;
    st = m8__app_finish(app, err);
    if (!st) st = copy_opts(app, opts, err);
    if (!st) st = m8__files_open(app, err);
    if (!st) st = m8__streams_open(app, err);
    if (!st) st = m8__auth_open(app, err);
    if (!st) st = m8__sessions_open(app, err);
    if (!st) st = m8__queue_open(app, err);
    if (!st) st = m8__api_routes(app, err);
    if (!st) st = m8__serve_routes(app, err);
    return st;
}

/* What runs is ended before what it uses. */
void m8_blocks_free(m8_blocks *app)
{
    if (!app) return;
    m8__queue_close(app);
    m8__sessions_close(app);
    m8__queue_free(app);
    m8__streams_close(app);
    m8__files_close(app);
    m8__auth_close(app);
    free_opts(&app->launch);
    m8__blocks_destroy(app);
}

void m8_blocks_stats(m8_blocks *app, m8_ui_stats *out)
{
    *out = (m8_ui_stats){0};
    if (!app || !app->queue) return;
    pthread_mutex_lock(&app->lock);
    *out = app->queue->stats;
    out->sessions = m8__sessions_count(app);
    pthread_mutex_unlock(&app->lock);
    out->streams = m8__streams_count(app);
}

/* ---- alone ---------------------------------------------------------------------------------------------------------------- */

static _Atomic(m8_http *) served; /* what a signal stops */

static void on_signal(int sig)
{
    m8_http *h = atomic_load(&served);
    if (h) m8_http_stop(h, GRACE_S);
}

static const char *from_env(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

static m8_status http_opts(m8_http_opts *o, const m8_launch_opts *opts, m8_error *err)
{
    *o = opts && opts->http ? *opts->http : (m8_http_opts){0};
    if (opts && opts->host) o->host = opts->host;
    if (!o->host) o->host = from_env("GRADIO_SERVER_NAME");
    if (opts && opts->port) o->port = opts->port;
    if (!o->root_path) o->root_path = from_env("GRADIO_ROOT_PATH");
    const char *port = from_env("GRADIO_SERVER_PORT");
    if (!o->port && port) {
        char *end;
        long x = strtol(port, &end, 10);
        if (*end || x < 1 || x > 65535) return m8_fail(err, M8_E_ARG, "GRADIO_SERVER_PORT: expected a port, not \"%s\"", port);
        o->port = (int)x;
    }
    if (!o->port) {
        o->port = FIRST_PORT;
        if (!o->n_ports) o->n_ports = PORTS;
    }
    return M8_OK;
}

static m8_status run_until_signal(m8_http *h, m8_error *err)
{
    struct sigaction action = {.sa_handler = on_signal}, before_int, before_term;
    sigemptyset(&action.sa_mask);
    m8_http *none = NULL;
    if (!atomic_compare_exchange_strong(&served, &none, h)) return m8_http_run(h, err); /* another app has the signals */
    sigaction(SIGINT, &action, &before_int);
    sigaction(SIGTERM, &action, &before_term);
    m8_status st = m8_http_run(h, err);
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    atomic_store(&served, NULL);
    return st;
}

m8_status m8_launch(m8_blocks *app, const m8_launch_opts *opts, m8_error *err)
{
    m8_http_opts o;
    m8_http *h = NULL;
    m8_status st = app ? m8_blocks_status(app, err) : m8_fail(err, M8_E_ARG, "no app");
    if (!st) st = http_opts(&o, opts, err);
    if (!st) st = m8_http_open(&h, &o, err);
    if (!st) st = m8_blocks_mount(app, h, opts, err);
    if (!st) {
        const char *host = o.host ? o.host : "127.0.0.1";
        bool six = strchr(host, ':');
        fprintf(stderr, "Running on local URL:  %s://%s%s%s:%d%s\n", o.tls_cert ? "https" : "http", six ? "[" : "", host, six ? "]" : "", m8_http_port(h),
                app->launch.mount ? app->launch.mount : "");
        st = run_until_signal(h, err);
    }
    m8_http_close(h);
    return st;
}
