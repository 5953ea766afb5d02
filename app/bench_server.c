#include "bench_server.h"
#include "bench_client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_ARGS 32

static void wait_ms(long ms) { nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL); }

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    int fd = m8_sys_get()->socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    bool got = !bind(fd, (struct sockaddr *)&a, n) && !getsockname(fd, (struct sockaddr *)&a, &n);
    m8_sys_get()->close(fd);
    return got ? ntohs(a.sin_port) : 0;
}

/* In the child: nothing but what is safe between fork and exec. */
static void become(char *const *argv, int parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1); /* figures go there */
    }
    execv("/proc/self/exe", argv);
    _exit(127);
}

m8_status server_start(struct server *s, const char *const *args, const char *path, double patience_s, double *took_s, m8_error *err)
{
    char port[8], *argv[MOST_ARGS + 2] = { "magic8" };
    int parent = getpid();
    *s = (struct server){ .port = free_port() };
    if (!s->port) return m8_fail_errno(err, M8_E_IO, "no free port");
    snprintf(port, sizeof port, "%d", s->port);
    for (int i = 0; args[i] && i < MOST_ARGS; i++) argv[i + 1] = strcmp(args[i], "%PORT") ? (char *)args[i] : port;
    double start = m8_now_s();
    s->pid = fork();
    if (s->pid < 0) {
        s->pid = 0;
        return m8_fail_errno(err, M8_E_IO, "fork");
    }
    if (!s->pid) become(argv, parent);
    m8_status st = M8_E_NET;
    struct client c = { .fd = -1, .port = s->port };
    while (st && m8_now_s() - start < patience_s) {
        m8_error why = {0};
        int status;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            client_close(&c);
            return m8_fail(err, M8_E_IO, "the server ended with %d at once", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        st = client_ask(&c, "GET", path, NULL, NULL, 0, NULL, &why);
        if (st) wait_ms(why.detail == 503 ? 50 : 1); /* 503: it answers, and is not ready */
        if (st && why.detail != 503) client_close(&c);
    }
    if (took_s) *took_s = m8_now_s() - start;
    client_close(&c);
    if (st) server_stop(s);
    return st ? m8_fail(err, M8_E_TIMEOUT, "the server does not answer %s", path) : M8_OK;
}

void server_stop(struct server *s)
{
    if (!s->pid) return;
    kill(s->pid, SIGTERM);
    for (int i = 0; i < 500 && s->pid; i++) {
        if (waitpid(s->pid, NULL, WNOHANG)) s->pid = 0;
        else wait_ms(10);
    }
    if (s->pid) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

double server_cpu_s(const struct server *s)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(s->pid, &clock) || clock_gettime(clock, &t)) return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

m8_status server_endpoints(const struct server *s, struct endpoint *list, m8_error *err)
{
    struct client c = { .fd = -1, .port = s->port };
    m8_buf text = {0};
    m8_status st = client_ask(&c, "GET", "/config", NULL, NULL, 0, &text, err);
    json_t *j = st ? NULL : json_loadb(text.data, text.len, 0, NULL), *one;
    size_t i;
    for (struct endpoint *e = list; !st && e->api_name; e++) {
        e->fn_index = -1;
        json_array_foreach(json_object_get(j, "dependencies"), i, one)
        {
            const char *name = json_string_value(json_object_get(one, "api_name"));
            if (name && !strcmp(name, e->api_name)) e->fn_index = (int)json_integer_value(json_object_get(one, "id"));
        }
        if (e->fn_index < 0) st = m8_fail(err, M8_E_FORMAT, "/config has no endpoint %s", e->api_name);
    }
    json_decref(j);
    m8_buf_finish(&text);
    client_close(&c);
    return st;
}
