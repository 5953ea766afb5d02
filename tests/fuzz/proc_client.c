/* Any bytes as what a process sends us: the calls that wait for it get pieces and ends within the rules, or the connection is refused.
 * The first byte says whether it has loaded already; calls 1 and 2 are in flight. */
#include "proc.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static m8_status ready(void *user, m8_fields *answer, m8_error *err)
{
    m8_get_text(answer);
    return answer->bad ? m8_fail(err, M8_E_FORMAT, "not as expected") : M8_OK;
}

static void finish(struct call *c)
{
    size_t held = 0;
    for (struct piece *p = c->first, *next; p; p = next) {
        next = p->next;
        held += p->n;
        m8_free(p);
    }
    if (held != c->held || (held > FRAME_WINDOW && c->first && c->first->next)) abort();
    if (c->ended && c->status && c->error.status != (int32_t)c->status) abort();
    if (strchr(c->error.text, '\n')) abort();
    pthread_cond_destroy(&c->news);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fds[2];
    struct frame_reader r;
    m8_error err = {0};
    if (n < 1 || n > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return 0;
    if (write(fds[1], data + 1, n - 1) != (ssize_t)n - 1) abort();
    close(fds[1]);
    m8_buf result = {0};
    m8_proc p = { .what = (char *)"it", .state = data[0] & 1 ? M8_PROC_READY : M8_PROC_LOADING, .ready = ready, .generation = 1 };
    struct call a = { .p = &p, .id = 1, .generation = 1, .result = &result }, b = { .p = &p, .id = 2, .generation = 1, .next = &a };
    a.last = &a.first;
    b.last = &b.first;
    p.calls = &b;
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.news, NULL);
    pthread_cond_init(&a.news, NULL);
    pthread_cond_init(&b.news, NULL);
    if (m8__frame_reader_init(&r, fds[0], &err)) abort();
    m8_status st = m8__proc_read(&p, &r, &err);
    if (!st || (st != M8_E_CANCELLED && err.status != (int32_t)st)) abort();
    finish(&a);
    finish(&b);
    m8_buf_finish(&result);
    m8__frame_reader_finish(&r);
    close(fds[0]);
    return 0;
}
