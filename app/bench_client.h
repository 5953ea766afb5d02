/* A small blocking HTTP/1.1 client with one kept connection, and a visitor of a Gradio server on top of it. Loopback only. */
#ifndef APP_BENCH_CLIENT_H
#define APP_BENCH_CLIENT_H

#include <m8/base.h>

/* {.port = N, .fd = -1} before use. After client_send the body must be read to its end. */
struct client {
    int fd, port;
    m8_buf in;      /* what was received; before `at` it is used up */
    size_t at;
    bool chunked, last; /* last: the server closes behind this answer */
    size_t left;        /* of the body or the chunk */
    bool ended;
};

m8_status client_send(struct client *c, const char *method, const char *path, const char *type /* NULL: no body */, const void *body, size_t n,
                      int *status, m8_error *err);
/* The next piece of the body as it comes, borrowed until the next call; *n 0: its end. */
m8_status client_piece(struct client *c, const char **data, size_t *n, m8_error *err);
/* Send, and read all of the answer into out (cleared before; may be NULL). M8_E_NET: its status is not 200. */
m8_status client_ask(struct client *c, const char *method, const char *path, const char *type, const void *body, size_t n, m8_buf *out,
                     m8_error *err);
/* Ask for the playlist at url until it names a segment, and read that: the first sound is there. */
m8_status client_first_segment(struct client *c, const char *url, m8_error *err);
void client_close(struct client *c);

struct visitor {
    struct client client;
    char hash[16];
    m8_buf line, post;
};

void visitor_init(struct visitor *v, int port);
/* Join the queue and read the stream to its end. data: a JSON list. message gets each event's JSON, NUL-terminated.
 * M8_E_NET: it did not end with process_completed and "success":true. */
m8_status visitor_call(struct visitor *v, int fn_index, const char *data, m8_status (*message)(void *user, const char *json, m8_error *err),
                       void *user, m8_error *err);
void visitor_finish(struct visitor *v);

#endif
