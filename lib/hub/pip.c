/* The machine's own pip as a downloader: `pip download --no-deps --only-binary=:all: NAME==VERSION`. Nothing of the package is
 * installed or run. No shell; pip's temporary files and the wheel lie in a folder of ours, which goes afterwards; a folder whose
 * owner was killed is removed by the next one. It is below .locks because other tools take any other folder for a repo. */
#include "hub_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    if (type == FTW_DP) rmdir(path);
    else unlink(path);
    return 0;
}

void m8__remove_tree(const char *dir) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static _Thread_local int64_t tree_bytes;
static int add_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
    if (type == FTW_F) tree_bytes += s->st_size;
    return 0;
}

static int64_t tree_size(const char *dir)
{
    tree_bytes = 0;
    nftw(dir, add_one, 16, FTW_PHYS);
    return tree_bytes;
}

/* Folders named pip-XXXXXX that nobody holds a lock on are left over. */
static void sweep(const char *base)
{
    DIR *d = opendir(base);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "pip-", 4)) continue;
        char *path = m8_join_path(base, e->d_name);
        int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) m8__remove_tree(path);
        if (fd >= 0) close(fd);
        m8_free(path);
    }
    if (d) closedir(d);
}

m8_status m8__pip_dir(char **dir, int *held, const char *cache, m8_error *err)
{
    const m8_sys *sys = m8_sys_get();
    char *base = m8_join_path(cache, ".locks/magic8"), *guard = base ? m8_join_path(base, "pip.lock") : NULL;
    *dir = base ? m8_join_path(base, "pip-XXXXXX") : NULL;
    *held = -1;
    m8_status st = guard && *dir ? m8_make_dirs(base, err) : m8_fail(err, M8_E_NOMEM, "out of memory");
    int fd = st ? -1 : sys->open(guard, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (!st && fd < 0) st = m8_fail_errno(err, M8_E_IO, "%s", guard);
    if (!st) flock(fd, LOCK_EX); /* held for the moment between making a folder and locking it */
    if (!st) sweep(base);
    bool made = !st && mkdtemp(*dir);
    if (!st && !made) st = m8_fail_errno(err, M8_E_IO, "%s", base);
    if (!st) *held = sys->open(*dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (!st && *held < 0) st = m8_fail_errno(err, M8_E_IO, "%s", *dir);
    if (!st) flock(*held, LOCK_EX | LOCK_NB);
    if (fd >= 0) sys->close(fd);
    if (st && made) rmdir(*dir);
    m8_free(base);
    m8_free(guard);
    if (st) {
        m8_free(*dir);
        *dir = NULL;
    }
    return st;
}

/* ---- running it --------------------------------------------------------------------------------------------------- */

struct run {
    struct m8_hub *hub;
    const char *package, *dir;
    int64_t size;       /* of the wheel */
    char said[4096];    /* the last it said */
    size_t n_said;
};

/* The environment without the hub's token, which is nobody's business there; new, one block; NULL: no memory. */
static char **child_env(const char *tmp_dir)
{
    extern char **environ;
    size_t n = 0, k = 0;
    while (environ[n]) n++;
    size_t room = strlen(tmp_dir) + 8;
    char **env = m8_malloc((n + 2) * sizeof *env + room);
    if (!env) return NULL;
    char *text = (char *)(env + n + 2);
    strcat(strcpy(text, "TMPDIR="), tmp_dir);
    env[k++] = text;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) && strncmp(environ[i], "HF_TOKEN", 8) &&
            strncmp(environ[i], "HUGGING_FACE_HUB_TOKEN=", 23))
            env[k++] = environ[i];
    env[k] = NULL;
    return env;
}

static void hear(struct run *r, int fd)
{
    char buf[1024];
    ssize_t n = read(fd, buf, sizeof buf);
    if (n <= 0) return;
    if (r->n_said + (size_t)n >= sizeof r->said) { /* the end is what counts */
        size_t keep = sizeof r->said / 2 < r->n_said ? sizeof r->said / 2 : r->n_said;
        memmove(r->said, r->said + r->n_said - keep, keep);
        r->n_said = keep;
    }
    memcpy(r->said + r->n_said, buf, (size_t)n);
    r->n_said += (size_t)n;
    r->said[r->n_said] = 0;
}

/* In the child, between fork and exec: nothing but system calls. */
static _Noreturn void become(char *const *argv, char *const *env, int out, int64_t most)
{
    setpgid(0, 0); /* so that it can be ended with its children */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ (rlim_t)most, (rlim_t)most });
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvpe(argv[0], argv, env);
    _exit(127);
}

static void end_child(pid_t pid)
{
    int status;
    kill(-pid, SIGTERM);
    for (int i = 0; i < 20; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            kill(-pid, SIGKILL); /* what it started */
            return;
        }
        poll(NULL, 0, 50);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* Run argv to its end; *status is waitpid's. */
static m8_status run(struct run *r, char *const *argv, int *status, m8_error *err)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC)) return m8_fail_errno(err, M8_E_IO, "pip");
    char **env = child_env(r->dir);
    pid_t pid = env ? fork() : -1;
    if (!pid) become(argv, env, pipes[1], r->size * 2 + (64 << 20));
    m8_status st = M8_OK;
    if (!env) st = m8_fail(err, M8_E_NOMEM, "out of memory");
    else if (pid < 0) st = m8_fail_errno(err, M8_E_IO, "pip");
    m8_free(env);
    close(pipes[1]);
    m8_hub_progress p = { .file = r->package, .source = "pip", .total = r->size };
    for (bool running = !st; running;) {
        struct pollfd in = { pipes[0], POLLIN, 0 };
        if (poll(&in, 1, 100) > 0) {
            if (in.revents & POLLIN) hear(r, pipes[0]);
            else poll(NULL, 0, 10); /* closed, not ended yet */
        }
        running = waitpid(pid, status, WNOHANG) != pid;
        int64_t have = tree_size(r->dir);
        p.done = have < r->size ? have : r->size;
        st = m8__progress(r->hub, &p);
        if (st) {
            if (running) end_child(pid);
            m8_fail(err, st, "%s", m8_status_text(st));
            break;
        }
    }
    for (struct pollfd in = { pipes[0], POLLIN, 0 }; poll(&in, 1, 0) > 0 && in.revents & POLLIN;) hear(r, pipes[0]);
    close(pipes[0]);
    return st;
}

/* The line that says why: the last that begins with ERROR, else the last. */
static const char *reason(char *said)
{
    const char *best = NULL, *last = NULL;
    for (char *line = strtok(said, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        while (*line == ' ') line++;
        if (!*line || !strncmp(line, "WARNING", 7) || !strncmp(line, "[notice]", 8)) continue;
        last = line;
        if (!strncmp(line, "ERROR: ", 7)) best = line + 7;
    }
    return best ? best : last ? last : "it gave no reason";
}

static m8_status find_wheel(const char *dir, char **wheel, m8_error *err)
{
    DIR *d = opendir(dir);
    m8_status st = M8_OK;
    *wheel = NULL;
    for (struct dirent *e; d && !st && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 4, ".whl")) continue;
        char *path = m8_join_path(dir, e->d_name);
        struct stat s;
        if (!path) st = m8_fail(err, M8_E_NOMEM, "out of memory");
        else if (!*wheel && !lstat(path, &s) && S_ISREG(s.st_mode)) *wheel = path;
        else m8_free(path);
    }
    if (d) closedir(d);
    if (!st && !*wheel) st = m8_fail(err, M8_E_FORMAT, "pip left no wheel");
    if (st) {
        m8_free(*wheel);
        *wheel = NULL;
    }
    return st;
}

m8_status m8__pip_download(struct m8_hub *hub, const char *package, const char *dir, char **wheel, m8_error *err)
{
    enum { N_START = 3 };
    static const char *const starts[][N_START] = { { "pip" }, { "pip3" }, { "python3", "-m", "pip" }, { "python", "-m", "pip" } };
    struct run r = { hub, package, dir, m8__catalog_package_size(&hub->catalog, package), "", 0 };
    m8_status st = M8_OK;
    *wheel = NULL;
    if (mkdir(dir, 0700) && errno != EEXIST) return m8_fail_errno(err, M8_E_IO, "%s", dir);
    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        const char *argv[32];
        static const char *const rest[] = { "download",
                                            "--no-input",
                                            "--disable-pip-version-check",
                                            "--no-cache-dir",
                                            "--no-deps",
                                            "--only-binary=:all:",
                                            "--ignore-requires-python",
                                            "--progress-bar",
                                            "off",
                                            "--timeout",
                                            "15",
                                            "--retries",
                                            "1",
                                            "-d" };
        size_t n = 0;
        for (size_t i = 0; i < N_START && starts[s][i]; i++) argv[n++] = starts[s][i];
        for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) argv[n++] = rest[i];
        argv[n++] = dir;
        argv[n++] = package;
        argv[n] = NULL;
        int status = 0;
        r.n_said = 0;
        r.said[0] = 0;
        m8_log(M8_LOG_INFO, "%s download %s", argv[0], package);
        st = run(&r, (char *const *)argv, &status, err);
        if (st) return st;
        if (WIFEXITED(status) && !WEXITSTATUS(status)) return find_wheel(dir, wheel, err);
        bool absent = WIFEXITED(status) &&
                      (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126 || strstr(r.said, "No module named pip"));
        if (!absent) return m8_fail(err, M8_E_NET, "pip download %s: %.160s", package, reason(r.said));
    }
    return m8_fail(err, M8_E_NOTFOUND, "no pip on this machine");
}
