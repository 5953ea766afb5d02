/** kit.h - a server on a free port with an app, and a small HTTP client to speak to it, for the tests of lib/ui. */
#ifndef UI_KIT_H
#define UI_KIT_H

#include <jansson.h>
#include <m8/ui.h>
#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct site {
    m8_blocks *app;
    m8_http *http;
    pthread_t loop;
    int port;
};

/** build puts blocks and events into the app. Fails the test if anything fails. */
void site_open(struct site *s, void (*build)(m8_block *page), const m8_launch_opts *opts);
void site_close(struct site *s);

/** A request on a connection of its own; the answer's body is new in *out (with a NUL behind it; NULL: not wanted). Returns the status; 0: the connection broke. */
int ask(const struct site *s, const char *method, const char *path, const char *body, char **out);
int ask_with(const struct site *s, const char *method, const char *path, const char *headers, const void *body, size_t n, char **out);
int post(const struct site *s, const char *path, json_t *body /* taken */, json_t **out /* new; NULL: not wanted */);

/** An event stream that is read as it comes. */
struct sse {
    int fd, status;
    char *text; /* decoded, not yet taken */
    size_t n, cap, chunk_left;
    char raw[4096];
    size_t raw_at, raw_n;
    bool chunked, in_body, over;
    long long length;
};
struct sse *sse_open(const struct site *s, const char *path);
char *sse_line(struct sse *e, double most_s);  /* the next event's text (its lines without the empty one), new; NULL: the end, or nothing came */
json_t *sse_next(struct sse *e, double most_s); /* the object behind "data: ", new; NULL likewise */
void sse_close(struct sse *e);

/** queue/join. Returns the status; id (may be NULL) has room for 33. */
int join(const struct site *s, int fn, const char *hash, json_t *data /* taken */, char *id);
struct sse *data(const struct site *s, const char *hash);
/** Join and read to the end: a list of all messages, new. */
json_t *turn(const struct site *s, int fn, const char *hash, json_t *data /* taken */);
/** The output data of the completed message of a list, borrowed; NULL: it failed. */
json_t *outcome(json_t *messages);

const char *str(const json_t *o, const char *key); /* "" if it is none */
json_t *recording(const char *name);               /* tests/data/gradio/NAME.json, new */
/** Is `got` as recorded? The same keys in the same order, the same values; ${...} stands for any text, times are compared by their type. why: of what differs. */
bool like(const json_t *want, const json_t *got, char *why, size_t size);
#define assert_like(want, got)                                                                                           \
    do {                                                                                                                 \
        char why_[600];                                                                                                  \
        if (!like(want, got, why_, sizeof why_)) fail_msg("%s", why_);                                                   \
    } while (0)
void sleep_s(double s);

#endif
