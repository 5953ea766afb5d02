/* Starting a worker.
 *
 * posix_spawn, not fork: the front may be large and has threads; its child runs no code of ours before exec. Descriptors: 0 and 1 are
 * /dev/null, 2 is ours (a last word), 3 the socket, the rest is closed. The environment is made from a list of what a worker may need:
 * what is not known to be harmless (HF_TOKEN, passwords in MAGIC8_*, ...) does not travel. Its own process group: the terminal's
 * interrupt is for the front, which ends its workers in order. */
#include "child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static bool is_harmless(const char *var)
{
    static const char *const names[] = { "PATH=", "HOME=", "TZ=", "LANG=", "LANGUAGE=", "LC_", "LD_LIBRARY_PATH=", "ESPEAK_DATA_PATH=",
        "MALLOC_", "GLIBC_TUNABLES=", "MAGIC8_CPU=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS=", "GCOV_PREFIX" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strncmp(var, names[i], strlen(names[i]))) return true;
    }
    return false;
}

static char **make_environment(m8_error *err)
{
    size_t n = 0, kept = 0;
    while (environ && environ[n]) n++;
    char **env = m8_calloc(n + 1, sizeof *env);
    if (!env) m8_fail(err, M8_E_NOMEM, "starting a process");
    for (size_t i = 0; env && i < n; i++) {
        if (is_harmless(environ[i])) env[kept++] = environ[i];
    }
    return env;
}

/* What posix_spawn is told; its setters fail only for want of memory. */
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int fd)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int bad = posix_spawn_file_actions_adddup2(actions, fd, WORKER_FD);
    bad |= posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    bad |= posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    bad |= posix_spawn_file_actions_addclosefrom_np(actions, WORKER_FD + 1);
#endif
    bad |= posix_spawnattr_setsigmask(attr, &none);
    bad |= posix_spawnattr_setsigdefault(attr, &all);
    bad |= posix_spawnattr_setpgroup(attr, 0);
    bad |= posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return bad;
}

static m8_status spawn(pid_t *pid, int fd, const char *const *argv, char **env, m8_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int code = posix_spawn_file_actions_init(&actions);
    if (!code) {
        code = posix_spawnattr_init(&attr);
        if (!code) {
            code = prepare(&actions, &attr, fd) ? ENOMEM : 0;
            if (!code) code = m8_sys_get()->spawn(pid, argv[0], &actions, &attr, (char *const *)argv, env);
            posix_spawnattr_destroy(&attr);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    errno = code;
    return code ? m8_fail_errno(err, M8_E_IO, "starting %s", argv[0]) : M8_OK;
}

m8_status m8__spawn(pid_t *pid, int *fd, const char *const *argv, m8_error *err)
{
    int ends[2] = { -1, -1 };
    const m8_sys *sys = m8_sys_get();
    if (sys->socketpair(ends)) return m8_fail_errno(err, M8_E_IO, "a socket for a process");
    char **env = make_environment(err);
    m8_status st = env ? spawn(pid, ends[1], argv, env, err) : M8_E_NOMEM;
    m8_free(env);
    sys->close(ends[1]);
    if (st) sys->close(ends[0]);
    else *fd = ends[0];
    return st;
}

void m8__reap(pid_t pid, double wait_s, char how[32])
{
    int status = 0;
    double end_s = m8_now_s() + wait_s;
    pid_t got = 0;
    for (long ns = 200000; !got && m8_now_s() < end_s; ns = ns < 10000000 ? 2 * ns : ns) {
        got = waitpid(pid, &status, WNOHANG);
        if (!got) nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
    }
    if (!got) {
        kill(pid, SIGKILL);
        do got = waitpid(pid, &status, 0);
        while (got < 0 && errno == EINTR);
    }
    if (got < 0) snprintf(how, 32, "ended"); /* somebody else has waited for it */
    else if (WIFSIGNALED(status)) snprintf(how, 32, "signal %d", WTERMSIG(status));
    else snprintf(how, 32, "status %d", WEXITSTATUS(status));
}

m8_status m8__worker_begin(m8_error *err)
{
    const struct rlimit none = { 0, 0 };
    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) return m8_fail_errno(err, M8_E_IO, "binding the process to its parent");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return m8_fail_errno(err, M8_E_UNSUPPORTED, "giving up privileges");
    setrlimit(RLIMIT_CORE, &none);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); /* the front is the last to go */
    if (fd >= 0) {
        if (write(fd, "500", 3) < 0) errno = 0;
        close(fd);
    }
    return M8_OK;
}
