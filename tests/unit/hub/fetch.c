/* A pull over HTTP with everything failing in turn. The server is a process of its own, so that nothing fails in it; the cases in
 * which the server itself goes wrong are in tests/e2e/pull.py. */
#include "hub_internal.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <torture.h>

#define COMMIT "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"
#define SHA "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" /* of "hello\n" */

static char dir[64], url[64];
static pid_t server;

static void answer(int fd)
{
    char in[4096];
    size_t n = 0;
    while (n < sizeof in - 1) {
        ssize_t got = read(fd, in + n, sizeof in - 1 - n);
        if (got <= 0) return;
        n += (size_t)got;
        in[n] = 0;
        if (strstr(in, "\r\n\r\n")) break;
    }
    const char *out = "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (strstr(in, "/api/models/"))
        out = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a/f\"}]}";
    else if (!strncmp(in, "HEAD", 4))
        out = "HTTP/1.1 302 Found\r\nX-Repo-Commit: " COMMIT "\r\nX-Linked-Etag: \"" SHA
              "\"\r\nX-Linked-Size: 6\r\nLocation: /blob\r\nConnection: close\r\n\r\n";
    else if (strstr(in, "GET /blob"))
        out = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    if (write(fd, out, strlen(out)) < 0) return;
}

static int start(void **s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, n) || listen(fd, 16) || getsockname(fd, (struct sockaddr *)&at, &n)) return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
    server = fork();
    if (!server) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int c = accept(fd, NULL, NULL);
            if (c >= 0) answer(c), close(c);
        }
    }
    close(fd);
    setenv("no_proxy", "*", 1);
    strcpy(dir, access("/dev/shm", W_OK) ? "/tmp/m8fetchXXXXXX" : "/dev/shm/m8fetchXXXXXX"); /* an fsync costs nothing there */
    return server > 0 && mkdtemp(dir) ? 0 : -1;
}

static int stop(void **s)
{
    kill(server, SIGKILL);
    m8__remove_tree(dir);
    return 0;
}

static m8_status fetch(void *arg, m8_error *err)
{
    m8_hub *hub;
    char *path = NULL;
    m8_hub_opts opts = { .cache = dir, .endpoint = url, .token = "secret", .retries = -1 };
    m8_status st = m8_hub_open(&hub, &opts, err);
    if (st) return st;
    st = m8_hub_pull(hub, "org/name", NULL, err);
    if (!st) st = m8_hub_path(hub, "org/name/a/f", &path, err);
    m8_free(path);
    m8_hub_close(hub);
    char all[128];
    snprintf(all, sizeof all, "%s/models--org--name", dir);
    m8__remove_tree(all);
    return st;
}

static void test_torture(void **s) { torture(fetch, NULL); }

struct seen {
    int calls, finished;
    m8_status answer;
};

static m8_status see(void *user, const m8_hub_progress *p)
{
    struct seen *s = user;
    s->calls++;
    s->finished += p->finished;
    return s->answer;
}

static void test_progress_stops_it(void **s)
{
    m8_hub *hub;
    struct seen seen = { 0 };
    m8_hub_pull_opts opts = { .progress = see, .user = &seen };
    assert_int_equal(m8_hub_open(&hub, &(m8_hub_opts){ .cache = dir, .endpoint = url, .token = "" }, NULL), M8_OK);
    seen.answer = M8_E_CANCELLED;
    assert_int_equal(m8_hub_pull(hub, "org/name", &opts, NULL), M8_E_CANCELLED);
    assert_int_equal(seen.calls, 1);
    seen = (struct seen){ 0 };
    assert_int_equal(m8_hub_pull(hub, "org/name", &opts, NULL), M8_OK);
    assert_int_equal(seen.finished, 1);
    m8_hub_close(hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_progress_stops_it, start, stop),
                                        cmocka_unit_test_setup_teardown(test_torture, start, stop) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
