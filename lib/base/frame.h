/* frame.h - what runs over the socket between a process and its worker. A frame is
 *
 *     u32 length of the body     at most FRAME_MOST
 *     u32 kind                   below
 *     u32 call                   0: of the process itself; else the number that CALL and DATA gave it
 *     body
 *
 * in the machine's byte order (both ends are the same program on the same machine; OPEN says so with the version).
 *
 *     to the worker                                              from the worker
 *     OPEN    version, service's name, bytes for its open        READY   bytes of its answer
 *                                                                FAILED  status, detail, text: it did not load, and ends
 *     DATA    part of the bulk of a call that is to come
 *     CALL    bytes for the service's call                       PUSH    a piece of what the call makes
 *     TAKEN   u32: bytes of PUSH that have been used             END     status, detail, text, then bytes of the result
 *     CANCEL
 *                                                                LOG     level, line
 *
 * A call pushes no more than WINDOW bytes (or one piece) beyond what has been taken, so a slow reader stops its own call only.
 * Neither side trusts the other: a frame that breaks these rules ends the connection. */
#ifndef M8_FRAME_H
#define M8_FRAME_H

#include <m8/base.h>

enum {
    FRAME_MOST = 16 << 20,
    FRAME_PIECE = 256 << 10, /* of bulk, and of what is pushed */
    FRAME_WINDOW = 1 << 20,
    MOST_CALLS = 64, /* at once */
};
#define MOST_BULK ((size_t)1 << 30)

enum frame_kind { FRAME_OPEN = 1, FRAME_DATA, FRAME_CALL, FRAME_TAKEN, FRAME_CANCEL, FRAME_READY = 16, FRAME_FAILED, FRAME_PUSH, FRAME_END, FRAME_LOG };

struct frame_head {
    uint32_t n, kind, call;
};

/* Reads ahead, so that small frames cost one system call or less. */
struct frame_reader {
    int fd;
    size_t at, end;
    char *ahead; /* [FRAME_PIECE], owned */
};
m8_status m8__frame_reader_init(struct frame_reader *r, int fd, m8_error *err);
void m8__frame_reader_finish(struct frame_reader *r);
/* Both return M8_OK, M8_E_CANCELLED (the other side has closed, or died), M8_E_FORMAT, M8_E_IO. */
m8_status m8__frame_head(struct frame_reader *r, struct frame_head *h, m8_error *err);
/* The next n bytes of the body; to NULL: passes over them. */
m8_status m8__frame_body(struct frame_reader *r, void *to, size_t n, m8_error *err);

/* One whole frame of head and two parts. go (may be NULL) is asked every 20 ms while the other side does not read: false gives up, and
 * the connection is of no more use then. */
m8_status m8__frame_send(int fd, uint32_t kind, uint32_t call, const void *a, size_t n_a, const void *b, size_t n_b,
                         bool (*go)(void *user), void *user, m8_error *err);

/* A status, a detail and a text, as FAILED and END begin. */
void m8__put_error(m8_buf *b, m8_status st, const m8_error *err);
m8_status m8__get_error(m8_fields *f, m8_error *err); /* returns the status; M8_E_FORMAT if there is none */

#endif
