/* magic8 serve: the page and all routes, in front of the models' processes. The address is told as soon as it answers; models load meanwhile. */
#include "app.h"
#include "ball_app.h"
#include "routes.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct serving {
    const struct options *o;
    struct served served;
    struct ball_app *ball;
    m8_blocks *blocks;
    m8_http *http;
    struct routes *routes;
    FILE *log;
    m8_buf auth; /* lines of user:password */
};

/* ---- the access log: a JSON object a line */

static void write_log(void *user, const m8_http_log *l)
{
    FILE *f = user;
    char when[32];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    json_t *j = json_pack("{s:s+, s:s, s:s, s:s, s:s, s:i, s:I, s:f}", "time", when, "Z", "peer", l->peer, "user", l->user, "method", l->method,
                          "target", l->target, "status", l->status, "bytes", (json_int_t)l->bytes, "seconds", l->took_s);
    char *line = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII) : NULL;
    if (line) fprintf(f, "%s\n", line);
    free(line);
    json_decref(j);
}

static m8_status open_log(struct serving *s, m8_error *err)
{
    const char *path = s->o->access_log;
    if (!path) return M8_OK;
    s->log = !strcmp(path, "-") ? stderr : fopen(path, "ae");
    if (!s->log) return m8_fail_errno(err, M8_E_IO, "%s", path);
    setvbuf(s->log, NULL, _IOLBF, 0);
    return M8_OK;
}

/* ---- */

static m8_status read_auth(struct serving *s, m8_error *err)
{
    const char *auth = s->o->auth;
    if (!auth) return M8_OK;
    if (*auth == '@') {
        s->auth.limit = 1 << 20;
        m8_status st = m8_read_file(&s->auth, auth + 1, err);
        if (st) return st;
    } else {
        m8_buf_str(&s->auth, auth);
    }
    if (s->auth.status) return m8_fail(err, s->auth.status, "the list of users");
    return s->auth.data && strchr(s->auth.data, ':') ? M8_OK : m8_fail(err, M8_E_ARG, "--auth: expected USER:PASSWORD");
}

static m8_status open_http(struct serving *s, m8_error *err)
{
    const struct options *o = s->o;
    const char *host = o->host ? o->host : getenv("GRADIO_SERVER_NAME"), *port = getenv("GRADIO_SERVER_PORT");
    int n = o->port ? o->port : port ? atoi(port) : 0;
    if (n < 0 || n > 65535) return m8_fail(err, M8_E_ARG, "GRADIO_SERVER_PORT: %.40s is no port", port);
    m8_http_opts h = { .host = host && *host ? host : NULL, .port = n ? n : 7860, .n_ports = n ? 1 : 100, .tls_cert = o->tls_cert, .tls_key = o->tls_key,
                       .names = o->names.items, .n_names = (size_t)o->names.n, .origins = o->origins.items, .n_origins = (size_t)o->origins.n,
                       .proxies = o->proxies.items, .n_proxies = (size_t)o->proxies.n, .root_path = o->root_path,
                       .log = s->log ? write_log : NULL, .user = s->log };
    return m8_http_open(&s->http, &h, err);
}

static m8_http *running; /* for the signal */

static void on_stop(int sig)
{
    static volatile sig_atomic_t asked;
    if (asked++) _exit(128 + sig);
    m8_http_stop(running, 10);
}

static void catch_signals(m8_http *h)
{
    struct sigaction act = { .sa_handler = on_stop };
    running = h;
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void log_problem(void *user, m8_log_level level, const char *line) { fprintf(stderr, "magic8: %s\n", line); }

static void say_where(const struct serving *s)
{
    const char *host = s->o->host ? s->o->host : getenv("GRADIO_SERVER_NAME");
    bool all = host && (!strcmp(host, "0.0.0.0") || !strcmp(host, "::")), v6 = host && strchr(host, ':') && !all;
    fprintf(stderr, "Running on local URL:  %s://%s%s%s:%d\n", s->o->tls_cert ? "https" : "http", v6 ? "[" : "", all || !host || !*host ? "127.0.0.1" : host,
            v6 ? "]" : "", m8_http_port(s->http));
}

int cmd_serve(const struct options *o)
{
    m8_error err = {0};
    struct serving s = { .o = o };
    if (!o->tls_cert != !o->tls_key) return fail_usage("--tls-cert and --tls-key belong together");
    if (!o->verbose) m8_log_set(log_problem, NULL, M8_LOG_WARN);
    m8_status st = open_log(&s, &err);
    if (!st) st = read_auth(&s, &err);
    if (!st) st = open_http(&s, &err);
    bool opened = !st;
    if (!st) st = served_open(&s.served, o, &err);
    if (!st) st = ball_app_new(&s.ball, &s.blocks, &s.served, &err);
    static const char *const open_paths[] = { "/health" };
    m8_launch_opts launch = { .open_paths = open_paths, .n_open_paths = 1, .auth = o->auth ? s.auth.data : NULL, .auth_message = o->auth_message, .max_size = o->max_size ? o->max_size : 100,
                              .max_file_size = 64 << 20 };
    if (!st) st = m8_blocks_mount(s.blocks, s.http, &launch, &err);
    if (!st) st = routes_add(&s.routes, s.http, s.blocks, s.ball, &s.served, &err);
    if (!st) {
        catch_signals(s.http);
        say_where(&s);
        st = m8_http_run(s.http, &err);
    }
    m8_http_close(s.http);
    m8_blocks_free(s.blocks);
    ball_app_free(s.ball);
    routes_free(s.routes);
    if (opened) served_close(&s.served);
    if (s.log && s.log != stderr) fclose(s.log);
    m8_buf_finish(&s.auth);
    return st ? fail(&err) : 0;
}
