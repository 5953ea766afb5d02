/* The life of a process: it fails to load, dies while it loads, dies at any moment, is closed, loses its parent; what it may not do. */
#include "toy.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- loading */

static void test_does_not_load(void **state)
{
    m8_proc *p;
    m8_error err = {0};
    assert_int_equal(toy_start(&p, HELLO_FAILS, NULL, NULL, &err), M8_E_NOTFOUND);
    assert_null(p);
    assert_string_equal(err.text, "there is no toy");
    err = (m8_error){0};
    assert_int_equal(toy_start(&p, HELLO_CRASHES, NULL, NULL, &err), M8_E_IO);
    assert_string_equal(err.text, "the process of the toy ended (signal 6) while it loaded");
    const char *const none[] = { "/no/such/program", NULL }, *const wrong[] = { "/bin/true", NULL }, *const empty[] = { NULL };
    err = (m8_error){0};
    assert_int_equal(toy_start(&p, HELLO_FINE, NULL, &(m8_proc_opts){ .command = none }, &err), M8_E_IO);
    assert_non_null(strstr(err.text, "starting /no/such/program: No such file"));
    err = (m8_error){0};
    assert_int_equal(toy_start(&p, HELLO_FINE, NULL, &(m8_proc_opts){ .command = wrong }, &err), M8_E_IO);
    assert_string_equal(err.text, "the process of the toy ended (status 0) while it loaded");
    assert_int_equal(toy_start(&p, HELLO_FINE, NULL, &(m8_proc_opts){ .command = empty }, NULL), M8_E_ARG);
    err = (m8_error){0};
    assert_int_equal(m8_proc_open(&p, "game", "the toy", NULL, NULL, NULL, NULL, &err), M8_E_UNSUPPORTED);
    assert_string_equal(err.text, "the worker has no service \"game\"");
}

static m8_status refuse(void *user, m8_fields *answer, m8_error *err)
{
    const char *text = m8_get_text(answer);
    return text && !strcmp(text, "toy") && !answer->left ? m8_fail(err, M8_E_FORMAT, "not as it was") : m8_fail(err, M8_E_INTERNAL, "what?");
}

static void test_not_as_expected(void **state)
{
    m8_proc *p;
    m8_error err = {0};
    m8_buf hello = {0};
    m8_put_u32(&hello, HELLO_FINE);
    m8_put_text(&hello, NULL);
    assert_int_equal(m8_proc_open(&p, "toy", "the toy", &hello, refuse, NULL, NULL, &err), M8_E_FORMAT);
    assert_string_equal(err.text, "not as it was");
    m8_buf_finish(&hello);
}

struct states {
    atomic_int n, of[4];
};

static void note(void *user, m8_proc_state to, const m8_error *why)
{
    struct states *s = user;
    atomic_fetch_add(&s->n, 1);
    atomic_fetch_add(&s->of[to], 1);
}

/* In the background: it fails, is tried again, and once it can be loaded calls work. */
static void test_background(void **state)
{
    char path[64];
    struct states s = {0};
    m8_proc *p;
    m8_error err = {0};
    snprintf(path, sizeof path, "/tmp/m8-toy-%ld", (long)getpid());
    unlink(path);
    m8_proc_opts o = { .background = true, .state = note, .user = &s };
    assert_int_equal(toy_start(&p, HELLO_IF_FILE, path, &o, &err), M8_OK);
    m8_status st = toy_do(p, TOY_ECHO, 0, 0, "", NULL, NULL, &err);
    assert_int_equal(st, M8_E_BUSY);
    assert_non_null(strstr(err.text, "the toy is not ready: "));
    assert_non_null(strstr(err.text, "is not there yet"));
    close(open(path, O_CREAT | O_WRONLY, 0600));
    double from = m8_now_s();
    while (m8_proc_about(p).state != M8_PROC_READY && m8_now_s() < from + 10) toy_pause(0.01);
    assert_true(toy_echoes(p));
    assert_true(s.of[M8_PROC_FAILED] >= 1 && s.of[M8_PROC_READY] == 1 && s.of[M8_PROC_LOADING] == s.of[M8_PROC_FAILED] + 1);
    m8_proc_close(p);
    unlink(path);
}

/* While it loads, calls wait as long as was said, can be cancelled, and close does not wait. */
static void *cancel_soon(void *token)
{
    toy_pause(0.1);
    m8_cancel_set(token);
    return NULL;
}

static void test_still_loading(void **state)
{
    m8_proc *p;
    m8_error err = {0};
    pthread_t thread;
    assert_int_equal(toy_start(&p, HELLO_HANGS, NULL, &(m8_proc_opts){ .background = true, .wait_s = 0.2 }, &err), M8_OK);
    double from = m8_now_s();
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", NULL, NULL, &err), M8_E_BUSY);
    assert_string_equal(err.text, "the toy is still being loaded");
    assert_true(m8_now_s() - from > 0.19 && m8_now_s() - from < 3);
    m8_proc_close(p);
    assert_int_equal(toy_start(&p, HELLO_HANGS, NULL, &(m8_proc_opts){ .background = true, .wait_s = -1 }, &err), M8_OK);
    from = m8_now_s();
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", NULL, NULL, NULL), M8_E_BUSY);
    assert_true(m8_now_s() - from < 1);
    m8_proc_close(p);
    assert_int_equal(toy_start(&p, HELLO_HANGS, NULL, &(m8_proc_opts){ .background = true }, &err), M8_OK);
    m8_cancel *c = m8_cancel_new();
    pthread_create(&thread, NULL, cancel_soon, c);
    m8_request q = { .cancel = c };
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", &q, NULL, NULL), M8_E_CANCELLED);
    pthread_join(thread, NULL);
    m8_cancel_unref(c);
    from = m8_now_s();
    m8_proc_close(p);
    assert_true(m8_now_s() - from < 2);
}

/* Dying while it loads is not tried again and again at full speed. */
static void test_back_off(void **state)
{
    m8_proc *p;
    m8_error err = {0};
    assert_int_equal(toy_start(&p, HELLO_CRASHES, NULL, &(m8_proc_opts){ .background = true }, &err), M8_OK);
    toy_pause(1.2);
    int n = m8_proc_about(p).n_started;
    assert_in_range(n, 1, 5); /* at 0, 0.1, 0.3, 0.7, 1.5 s */
    double from = m8_now_s();
    m8_proc_close(p);
    assert_true(m8_now_s() - from < 2);
}

/* ---- dying */

static void test_crash(void **state)
{
    struct states s = {0};
    m8_proc *p = toy_new(&(m8_proc_opts){ .state = note, .user = &s });
    m8_error err = {0};
    assert_int_equal(toy_do(p, TOY_CRASH, 0, 0, "", NULL, NULL, &err), M8_E_IO);
    assert_non_null(strstr(err.text, "the process of the toy ended (signal "));
    assert_true(toy_echoes(p));
    err = (m8_error){0};
    assert_int_equal(toy_do(p, TOY_EXIT, 7, 0, "", NULL, NULL, &err), M8_E_IO);
    assert_string_equal(err.text, "the process of the toy ended (status 7)");
    assert_true(toy_echoes(p));
    m8_proc_close(p);
    assert_true(s.of[M8_PROC_DIED] == 2 && s.of[M8_PROC_READY] == 3 && s.of[M8_PROC_LOADING] == 3 && s.of[M8_PROC_FAILED] == 0);
}

struct busy {
    m8_proc *p;
    int i;
    atomic_bool *stop;
    atomic_int ok, died, other;
    double longest_s; /* of a call that died, since the kill */
    _Atomic(double) *killed_s;
    pthread_t thread;
};

static m8_status ignore(void *user, const void *data, size_t n) { return M8_OK; }

static void *keep_busy(void *arg)
{
    struct busy *b = arg;
    static const char bulk[70000];
    for (int i = b->i; !atomic_load(b->stop); i++) {
        m8_error err = {0};
        m8_request q = { .bulk = bulk, .n_bulk = i % 3 ? 0 : sizeof bulk, .out = { ignore, NULL } };
        m8_status st = toy_do(b->p, i % 2 ? TOY_FLOOD : TOY_ECHO, 50, 1000, "", &q, NULL, &err);
        if (!st) atomic_fetch_add(&b->ok, 1);
        else if (st == M8_E_IO && strstr(err.text, "the process of the toy ended (signal 9)")) atomic_fetch_add(&b->died, 1);
        else atomic_fetch_add(&b->other, 1), print_message("%s: %s\n", m8_status_name(st), err.text);
        double since = m8_now_s() - atomic_load(b->killed_s);
        if (st && since > b->longest_s) b->longest_s = since;
    }
    return NULL;
}

/* kill -9 at a hundred moments under load: every call ends at once, the next one works, nothing is left behind. */
static void test_killed(void **state)
{
    enum { N = 4 };
    const char *few = getenv("MAGIC8_KILLS");
    int kills = few ? atoi(few) : 100;
    atomic_bool stop = false;
    _Atomic(double) killed_s = 0;
    struct busy b[N];
    m8_proc_close(toy_new(NULL)); /* what is allocated once has been */
    int files = open_files();
    size_t bytes = mallinfo2().uordblks;
    m8_proc *p = toy_new(NULL);
    unsigned seed = 8;
    int ok = 0, died = 0;
    for (int i = 0; i < N; i++) {
        b[i] = (struct busy){ .p = p, .i = i, .stop = &stop, .killed_s = &killed_s };
        assert_int_equal(pthread_create(&b[i].thread, NULL, keep_busy, &b[i]), 0);
    }
    for (int i = 0; i < kills; i++) {
        toy_pause((double)(rand_r(&seed) % 20000) * 1e-6);
        m8_proc_info info = m8_proc_about(p);
        if (info.state != M8_PROC_READY || info.pid <= 0) {
            i--;
            continue;
        }
        atomic_store(&killed_s, m8_now_s());
        kill((pid_t)info.pid, SIGKILL);
        while (m8_proc_about(p).n_started == info.n_started) toy_pause(0.001);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < N; i++) {
        pthread_join(b[i].thread, NULL);
        ok += b[i].ok;
        died += b[i].died;
        assert_int_equal(b[i].other, 0);
        assert_true(b[i].longest_s < 2);
    }
    print_message("%d calls done, %d died\n", ok, died);
    assert_true(ok > 0 && died > 0);
    assert_true(toy_echoes(p));
    m8_proc_close(p);
    assert_int_equal(open_files(), files);
    size_t more = mallinfo2().uordblks;
    assert_in_range(more > bytes ? more - bytes : 0, 0, 32 << 10);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    assert_int_equal(errno, ECHILD);
}

/* A stopped process (SIGSTOP) neither reads nor dies: the call in which bytes got stuck is cancelled all the same. */
static void test_stopped(void **state)
{
    m8_proc *p = toy_new(&(m8_proc_opts){ .grace_s = 0.3 });
    size_t n = 8 << 20;
    char *bulk = calloc(n, 1);
    pthread_t thread;
    m8_cancel *c = m8_cancel_new();
    kill((pid_t)m8_proc_about(p).pid, SIGSTOP);
    pthread_create(&thread, NULL, cancel_soon, c);
    m8_request q = { .bulk = bulk, .n_bulk = n, .cancel = c };
    double from = m8_now_s();
    assert_int_equal(toy_do(p, TOY_ECHO, 0, 0, "", &q, NULL, NULL), M8_E_CANCELLED);
    assert_true(m8_now_s() - from < 2);
    pthread_join(thread, NULL);
    assert_true(toy_echoes(p));
    m8_cancel_unref(c);
    free(bulk);
    kill((pid_t)m8_proc_about(p).pid, SIGSTOP);
    from = m8_now_s();
    m8_proc_close(p); /* close does not wait for it either */
    assert_true(m8_now_s() - from < 2);
}

static bool exists(long pid)
{
    char path[64], line[256], what = 'Z';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    if (fgets(line, sizeof line, f)) sscanf(strrchr(line, ')') + 1, " %c", &what);
    fclose(f);
    return what != 'Z' && what != 'X';
}

/* The parent is killed: no orphan is left. The interrupt of a terminal reaches the group of the parent only. */
static void test_orphan(void **state)
{
    int pipes[2];
    long pid = 0;
    assert_int_equal(pipe(pipes), 0);
    char *const argv[] = { "/proc/self/exe", "parent", NULL };
    pid_t parent = fork();
    if (!parent) {
        dup2(pipes[1], 1);
        execv(argv[0], argv);
        _exit(1);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &pid, sizeof pid), sizeof pid);
    assert_true(exists(pid));
    assert_int_equal(getpgid((pid_t)pid), pid);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    double from = m8_now_s();
    while (exists(pid) && m8_now_s() < from + 2) toy_pause(0.005);
    assert_false(exists(pid));
    close(pipes[0]);
}

static int be_parent(void)
{
    m8_proc *p = toy_new(NULL);
    long pid = m8_proc_about(p).pid;
    if (write(1, &pid, sizeof pid) != sizeof pid) return 1;
    toy_pause(3600);
    return 0;
}

/* ---- what it may not do */

static void tell(m8_buf *b, const char *what, long got)
{
    m8_buf_printf(b, "%s: %s\n", what, got >= 0 ? "ALLOWED" : errno == EPERM ? "refused" : "failed");
}

static m8_status probe(m8_buf *b)
{
    char *const argv[] = { "/bin/true", NULL };
    struct stat info;
    tell(b, "socket", socket(AF_INET, SOCK_STREAM, 0));
    tell(b, "unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
    tell(b, "socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
    tell(b, "write", open("/tmp/m8-never", O_WRONLY | O_CREAT, 0600));
    tell(b, "append", open("/dev/null", O_WRONLY | O_APPEND));
    tell(b, "truncate", open("/dev/null", O_RDONLY | O_TRUNC));
    tell(b, "tmpfile", open("/tmp", O_TMPFILE | O_RDWR, 0600));
    tell(b, "read", open("/etc/passwd", O_RDONLY));
    tell(b, "stat", stat("/etc/passwd", &info));
    tell(b, "exec", execv(argv[0], argv));
    tell(b, "fork", fork());
    tell(b, "vfork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    tell(b, "ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
    tell(b, "kill", kill(getpid(), 0));
    tell(b, "kill parent", syscall(SYS_tgkill, getppid(), getppid(), 0));
    tell(b, "unlink", unlink("/tmp/m8-never"));
    tell(b, "rename", rename("/tmp/m8-never", "/tmp/m8-never-2"));
    tell(b, "chmod", chmod("/tmp", 0777));
    tell(b, "mkdir", mkdir("/tmp/m8-never", 0777));
    tell(b, "executable memory", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    tell(b, "ioctl", syscall(SYS_ioctl, 2, 0x5412, "x"));
    tell(b, "process_vm_readv", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
    tell(b, "io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    tell(b, "bpf", syscall(SYS_bpf, 0, NULL, 0));
    tell(b, "unshare", syscall(SYS_unshare, 0));
    tell(b, "mount", syscall(SYS_mount, "", "", "", 0, ""));
    tell(b, "dup", dup(3));
#ifdef SYS_open
    tell(b, "old open", syscall(SYS_open, "/etc/passwd", O_RDONLY));
#endif
    return M8_OK;
}

static char *probed(const m8_proc_opts *opts, uint32_t mebibytes, uint32_t *had)
{
    m8_proc *p = toy_new(opts);
    m8_buf result = {0}, memory = {0};
    m8_error err = {0};
    if (toy_do(p, TOY_PROBE, 0, 0, "", NULL, &result, &err)) fail_msg("%s", err.text);
    assert_int_equal(toy_do(p, TOY_MEMORY, mebibytes, 0, "", NULL, &memory, &err), M8_OK);
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%ld/status", m8_proc_about(p).pid);
    FILE *status = fopen(path, "r");
    while (fgets(line, sizeof line, status)) {
        if (!strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Seccomp:", 8)) m8_buf_str(&result, line);
    }
    fclose(status);
    m8_fields f = { (const uint8_t *)memory.data, memory.len, false };
    *had = m8_get_u32(&f);
    m8_buf_finish(&memory);
    m8_proc_close(p);
    return result.data;
}

static void test_locked_in(void **state)
{
    uint32_t had;
    setenv("HF_TOKEN", "hf_secret", 1);
    setenv("MAGIC8_PASSWORD", "hush", 1);
    setenv("LC_TEST", "kept", 1);
    int extra = open("/dev/null", O_RDONLY); /* not closed on exec: must not be there */
    char *seen = probed(NULL, 100, &had);
    print_message("%s", seen);
    assert_null(strstr(seen, "ALLOWED"));
    assert_null(strstr(seen, "hf_secret"));
    assert_null(strstr(seen, "hush"));
    assert_non_null(strstr(seen, "LC_TEST=kept"));
    assert_non_null(strstr(seen, "socket: refused"));
    assert_non_null(strstr(seen, "NoNewPrivs:\t1"));
    assert_non_null(strstr(seen, "Seccomp:\t2"));
    assert_non_null(strstr(seen, "0=/dev/null\n1=/dev/null\n"));
    assert_non_null(strstr(seen, "3=socket:"));
    for (int fd = 4; fd < 256; fd++) {
        char there[16];
        snprintf(there, sizeof there, "\n%d=", fd);
        assert_null(strstr(seen, there));
    }
    assert_int_equal(had, 1);
    m8_free(seen);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    seen = probed(NULL, 600, &had);
    assert_int_equal(had, 0); /* the toy has 512 MiB */
    m8_free(seen);
#endif
    close(extra);
    unsetenv("HF_TOKEN");
    unsetenv("MAGIC8_PASSWORD");
}

int main(int argc, char **argv)
{
    toy_probe = probe;
    toy_worker(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "parent")) return be_parent();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_does_not_load), cmocka_unit_test(test_not_as_expected), cmocka_unit_test(test_background),
        cmocka_unit_test(test_still_loading), cmocka_unit_test(test_back_off), cmocka_unit_test(test_crash), cmocka_unit_test(test_killed),
        cmocka_unit_test(test_stopped), cmocka_unit_test(test_orphan), cmocka_unit_test(test_locked_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
