/* Any body for the routes that start, feed or end a run (the first byte says which), on a connection to an app with components of many kinds: the
 * answer is 200, a 4xx that says why, or the function's failure, and the connection ends. What the messages of a run say is JSON. */
#include "server.h"
#include <jansson.h>
#include <m8/ui.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static m8_http *server;

static m8_status echo(m8_call *c, m8_error *err)
{
    for (int i = 0; i < 6; i++) m8_out_json(c, i, m8_in_json(c, i));
    m8_in_text(c, 0);
    m8_in_file(c, 5);
    m8_in_n_files(c, 5);
    m8_call_event_data(c);
    return m8_out_text(c, 0, m8_in_json(c, 0));
}

static m8_status one(m8_call *c, m8_error *err) { return m8_out_json(c, 0, m8_in_json(c, 0)); }

static void setup(void)
{
    static const char *const fruits[] = {"apple", "plum"};
    m8_blocks *app;
    if (m8_http_open(&server, NULL, NULL) || m8_blocks_new(&app, NULL, NULL)) abort();
    m8_block *page = m8_blocks_root(app);
    m8_choice_opts choice = {.choices = fruits, .n_choices = 2}, some = {.choices = fruits, .n_choices = 2, .multiselect = true};
    m8_block *b[] = {m8_textbox(page, NULL), m8_slider(page, NULL), m8_radio(page, &choice), m8_checkbox(page, NULL), m8_dropdown(page, &some),
                     m8_json(page, NULL), m8_file(page, NULL), m8_gallery(page, NULL), m8_audio(page, NULL), m8_state(page, "[]", 0),
                     m8_checkboxgroup(page, &choice), m8_label(page, NULL), m8_dataframe(page, NULL), m8_chatbot(page, NULL), m8_number(page, NULL)};
    m8_on(b[0], M8_CHANGE, echo, &(m8_event_opts){.api_name = "all", .in = {b[0], b[1], b[2], b[3], b[9], b[5]}, .out = {b[0], b[1], b[2], b[3], b[9], b[5]},
                                                  .queue = M8_NO});
    for (size_t i = 0; i < sizeof b / sizeof *b; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%zu", i);
        m8_on(b[0], M8_CHANGE, one, &(m8_event_opts){.api_name = name, .in = {b[i]}, .out = {b[i]}, .queue = M8_NO});
    }
    if (m8_blocks_mount(app, server, &(m8_launch_opts){.cache_dir = "/tmp/m8-fuzz-calls"}, NULL)) abort();
}

/* What came: an answer, whole. */
static void check(const char *got, size_t n)
{
    int status = 0;
    if (!n) return;
    if (sscanf(got, "HTTP/1.1 %d", &status) != 1 || status < 200 || status > 500) abort();
    const char *body = strstr(got, "\r\n\r\n");
    json_t *value = body ? json_loads(body + 4, JSON_DECODE_ANY, NULL) : NULL;
    if (!value || (status == 500 && !json_object_get(value, "error"))) abort(); /* 500: the function said no, as run/NAME tells it */
    json_decref(value);
}

static void ask(const char *route, const uint8_t *body, size_t n)
{
    static char got[4 << 20];
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) return;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage at;
    memcpy(&at, &from, sizeof from);
    server->now = m8_now_s();
    m8__conn_new(server, fds[0], &at);
    char head[300];
    int len = snprintf(head, sizeof head, "POST /gradio_api/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n", route, n);
    if (send(fds[1], head, (size_t)len, MSG_NOSIGNAL) == len && (!n || send(fds[1], body, n, MSG_NOSIGNAL) == (ssize_t)n)) {
        size_t n_got = 0;
        bool over = false;
        for (int i = 0; i < 20000 && !over; i++) {
            m8__loop_once(server, false, NULL);
            ssize_t k = recv(fds[1], got + n_got, sizeof got - 1 - n_got, 0);
            if (k > 0) n_got += (size_t)k;
            over = k == 0 || n_got == sizeof got - 1;
            if (k < 0 && i > 50) usleep(100);
        }
        got[n_got] = 0;
        if (!over) abort();
        check(got, n_got);
    }
    close(fds[1]);
    for (int i = 0; i < 1000 && server->n_conns; i++) m8__loop_once(server, false, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const routes[] = {"run/all", "queue/join", "call/all", "call/v2/all", "cancel", "reset", "stream/0", "run/f6", "run/f7", "run/f8", "run/f4",
                                         "run/f10", "run/f11", "run/f12", "run/f13", "component_server"};
    if (!server) setup();
    if (n < 1 || n > 60000) return 0;
    ask(routes[data[0] % (sizeof routes / sizeof *routes)], data + 1, n - 1);
    return 0;
}
