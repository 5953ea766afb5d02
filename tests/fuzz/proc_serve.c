/* Any bytes as what a parent sends its process: calls are run or refused, and at the end nothing is left of them. The service gives back
 * what it gets. A good OPEN stands before the bytes, unless the first of them is 0. */
#include "child.h"
#include "frame.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static m8_status open_it(void **state, m8_fields *hello, m8_buf *answer, m8_error *err)
{
    m8_put_text(answer, m8_get_text(hello));
    *state = NULL;
    return M8_OK;
}

static m8_status call(void *state, m8_serving *c, m8_fields *args, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err)
{
    m8_buf_add(result, args->at, args->left);
    return n_bulk ? m8_serving_push(c, bulk, n_bulk < FRAME_PIECE ? n_bulk : FRAME_PIECE) : M8_OK;
}

static const m8_service echo = { .name = "echo", .open = open_it, .call = call };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const m8_service *const services[] = { &echo, NULL };
    int fds[2];
    if (n < 1 || n > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return 0;
    m8_buf open = {0};
    m8_put_text(&open, M8_VERSION);
    m8_put_text(&open, "echo");
    m8_put_bytes(&open, "\2\0\0\0a", 6);
    if (data[0] && m8__frame_send(fds[1], FRAME_OPEN, 0, open.data, open.len, NULL, 0, NULL, NULL, NULL)) abort();
    if (write(fds[1], data + 1, n - 1) != (ssize_t)n - 1) abort();
    shutdown(fds[1], SHUT_WR);
    m8__serve(fds[0], services, false);
    m8_buf_finish(&open);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
