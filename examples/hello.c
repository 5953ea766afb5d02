/* A server of two routes: http://127.0.0.1:7860/hello?name=you, and /count, a stream that counts to ten. */
#include <m8/http.h>
#include <stdio.h>

static m8_http *server;
static int n;
static void hello(m8_http_req *r, void *user)
{
    const char *name = m8_http_arg(r, "name");
    char text[128];
    m8_http_reply(r, 200, "text/plain; charset=utf-8", text, (size_t)snprintf(text, 128, "hello %.100s\n", name ? name : "world"));
}

static void tick(void *r)
{
    char text[32];
    m8_http_write(r, text, (size_t)snprintf(text, 32, "data: %d\n\n", ++n));
    if (n == 10) m8_http_end(r);
}

static void ended(void *timer, bool gone) { m8_http_timer_free(timer); }

static void count(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/event-stream");
    m8_http_on_end(r, ended, m8_http_timer_new(server, n = 0, 0.2, tick, r));
}

int main(void)
{
    m8_error err = { 0 };
    m8_status st = m8_http_open(&server, &(m8_http_opts){ .port = 7860, .n_ports = 100 }, &err);
    if (!st) st = m8_http_route(server, &(m8_route){ .method = "GET", .path = "/hello", .handler = hello }, &err);
    if (!st) st = m8_http_route(server, &(m8_route){ .method = "GET", .path = "/count", .handler = count }, &err);
    if (!st) fprintf(stderr, "http://127.0.0.1:%d/hello\n", m8_http_port(server));
    if (!st) st = m8_http_run(server, &err); /* until m8_http_stop() */
    m8_http_close(server);
    if (st) fprintf(stderr, "%s\n", m8_error_text(&err));
    return st ? 1 : 0;
}
