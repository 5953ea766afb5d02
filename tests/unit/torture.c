/* The table that fails, and counts what is alive. */
#include "torture.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct {
    atomic_int calls, fail_at;
    atomic_bool failed, was_memory; /* a call was made to fail; it was an allocation */
    bool all_memory;                /* every allocation from fail_at on fails */
    bool slow;
    atomic_int transfers;
    atomic_int blocks, files, maps; /* alive */
} t;

static bool fails(bool memory)
{
    int n = atomic_fetch_add(&t.calls, 1) + 1, at = atomic_load(&t.fail_at);
    if (!at || !(n == at || (memory && t.all_memory && n > at))) return false;
    if (!atomic_exchange(&t.failed, true)) atomic_store(&t.was_memory, memory);
    return true;
}

static void *counted(void *p)
{
    if (p) atomic_fetch_add(&t.blocks, 1);
    return p;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *t_malloc(size_t n) { return fails(true) ? no_memory() : counted(malloc(n)); }
static void *t_calloc(size_t n, size_t size) { return fails(true) ? no_memory() : counted(calloc(n, size)); }
static void *t_aligned(size_t align, size_t n) { return fails(true) ? no_memory() : counted(aligned_alloc(align, n)); }
static void *t_realloc(void *p, size_t n)
{
    if (fails(true)) return no_memory();
    if (!p) return counted(malloc(n));

    return realloc(p, n);
}

static void t_free(void *p)
{
    if (p) atomic_fetch_sub(&t.blocks, 1);
    free(p);
}

static bool fails_with(int code)
{
    if (!fails(false)) return false;
    errno = code;
    return true;
}

static int t_open(const char *path, int flags, unsigned mode)
{
    if (fails_with(EMFILE)) return -1;
    int fd = open(path, flags, mode);
    if (fd >= 0) atomic_fetch_add(&t.files, 1);
    return fd;
}

static int t_close(int fd) /* a close that fails has closed all the same */
{
    bool bad = fails(false);
    atomic_fetch_sub(&t.files, 1);
    int r = close(fd);
    if (bad) errno = EIO;
    return bad ? -1 : r;
}

static bool interrupted(size_t *n)
{
    if (!t.slow) return false;
    if (*n > 7) *n = 7;
    if (atomic_fetch_add(&t.transfers, 1) % 3 != 1) return false;
    errno = EINTR;
    return true;
}

static ssize_t t_read(int fd, void *buf, size_t n) { return fails_with(EIO) || interrupted(&n) ? -1 : read(fd, buf, n); }
static ssize_t t_write(int fd, const void *buf, size_t n) { return fails_with(ENOSPC) || interrupted(&n) ? -1 : write(fd, buf, n); }
static int t_fsync(int fd) { return fails_with(EIO) ? -1 : fsync(fd); }
static int t_ftruncate(int fd, off_t n) { return fails_with(ENOSPC) ? -1 : ftruncate(fd, n); }
static int t_rename(const char *from, const char *to) { return fails_with(EIO) ? -1 : rename(from, to); }
static int t_unlink(const char *path) { return fails_with(EACCES) ? -1 : unlink(path); }
static int t_mkdir(const char *path, unsigned mode) { return fails_with(EACCES) ? -1 : mkdir(path, mode); }
static int t_symlink(const char *to, const char *path) { return fails_with(EPERM) ? -1 : symlink(to, path); }

static int t_link_open(int fd, const char *path)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return fails_with(EACCES) ? -1 : linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static void *t_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    if (fails_with(EIO)) return MAP_FAILED;
    void *p = mmap(at, n, prot, flags, fd, off);
    if (p != MAP_FAILED) atomic_fetch_add(&t.maps, 1);
    return p;
}

static int t_munmap(void *at, size_t n)
{
    atomic_fetch_sub(&t.maps, 1);
    return munmap(at, n);
}

static int t_thread(unsigned long *thread, void *(*main)(void *), void *arg)
{
    return fails(false) ? EAGAIN : pthread_create(thread, NULL, main, arg);
}

static int t_socketpair(int fds[2])
{
    if (fails_with(EMFILE) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) return -1;
    atomic_fetch_add(&t.files, 2);
    return 0;
}

static ssize_t t_send(int fd, const void *buf, size_t n, int flags)
{
    return fails_with(EPIPE) || interrupted(&n) ? -1 : send(fd, buf, n, flags);
}

static int t_spawn(pid_t *pid, const char *path, const void *actions, const void *attr, char *const *argv, char *const *env)
{
    return fails(false) ? EAGAIN : posix_spawn(pid, path, actions, attr, argv, env);
}

static int opened(int fd)
{
    if (fd >= 0) atomic_fetch_add(&t.files, 1);
    return fd;
}

static int t_socket(int domain, int type, int protocol) { return fails_with(EMFILE) ? -1 : opened(socket(domain, type, protocol)); }
static int t_accept(int fd, void *at, unsigned *size, int flags) { return fails_with(EMFILE) ? -1 : opened(accept4(fd, at, size, flags)); }
static int t_epoll_create(int flags) { return fails_with(EMFILE) ? -1 : opened(epoll_create1(flags)); }
static int t_eventfd(unsigned n, int flags) { return fails_with(EMFILE) ? -1 : opened(eventfd(n, flags)); }
static int t_epoll_ctl(int ep, int what, int fd, void *ev) { return fails_with(ENOSPC) ? -1 : epoll_ctl(ep, what, fd, ev); }
static ssize_t t_recv(int fd, void *buf, size_t n, int flags) { return fails_with(EIO) || interrupted(&n) ? -1 : recv(fd, buf, n, flags); }
static ssize_t t_sendfile(int to, int from, off_t *at, size_t n) { return fails_with(EIO) || interrupted(&n) ? -1 : sendfile(to, from, at, n); }

static ssize_t t_sendmsg(int fd, const void *msghdr, int flags)
{
    struct msghdr m = *(const struct msghdr *)msghdr;
    struct iovec first;
    if (fails_with(ECONNRESET)) return -1;
    if (t.slow && m.msg_iovlen) { /* 7 bytes of the first piece, at most */
        first = m.msg_iov[0];
        if (interrupted(&first.iov_len)) return -1;
        m.msg_iov = &first;
        m.msg_iovlen = 1;
    }
    return sendmsg(fd, &m, flags);
}

static const m8_sys table = {
    .malloc = t_malloc, .calloc = t_calloc, .realloc = t_realloc, .aligned_alloc = t_aligned, .free = t_free,
    .open = t_open, .close = t_close, .read = t_read, .write = t_write, .fsync = t_fsync, .ftruncate = t_ftruncate,
    .rename = t_rename, .unlink = t_unlink, .mkdir = t_mkdir, .symlink = t_symlink, .mmap = t_mmap, .munmap = t_munmap,
    .thread_create = t_thread, .socketpair = t_socketpair, .send = t_send, .spawn = t_spawn,
    .socket = t_socket, .accept = t_accept, .recv = t_recv, .sendmsg = t_sendmsg, .sendfile = t_sendfile,
    .epoll_create = t_epoll_create, .epoll_ctl = t_epoll_ctl, .eventfd = t_eventfd, .link_open = t_link_open,
};

void torture_start(int fail_at)
{
    t.calls = t.blocks = t.files = t.maps = t.transfers = 0;
    t.failed = t.was_memory = false;
    t.fail_at = fail_at;
    m8_sys_set(&table);
}

int torture_stop(void)
{
    m8_sys_set(NULL);
    if (t.blocks || t.files || t.maps)
        fail_msg("call %d failing%s: left behind %d blocks, %d descriptors, %d mappings", t.fail_at,
                 t.all_memory ? " (and every allocation after it)" : "", t.blocks, t.files, t.maps);
    return t.calls;
}

static void check_status(m8_status st, const m8_error *err)
{
    const char *how = t.all_memory ? " (and every allocation after it)" : "";
    if (!t.failed && st) fail_msg("nothing failed, and yet: %s: %s", m8_status_name(st), m8_error_text(err));
    if (!st) return;
    if (err->status != st) fail_msg("call %d failing%s: returned %s, error says %s: %s", t.fail_at, how, m8_status_name(st),
                                    m8_status_name(err->status), err->text);
    if (!err->text[0] || strchr(err->text, '\n')) fail_msg("call %d failing%s: %s without a line of text", t.fail_at, how, m8_status_name(st));
    if (t.was_memory && st != M8_E_NOMEM)
        fail_msg("allocation %d failing%s: expected E_NOMEM, got %s: %s", t.fail_at, how, m8_status_name(st), err->text);
}

static int once(torture_fn *fn, void *arg, int fail_at)
{
    m8_error err = {0};
    torture_start(fail_at);
    m8_status st = fn(arg, &err);
    int calls = torture_stop();
    check_status(st, &err);
    return calls;
}

int torture(torture_fn *fn, void *arg)
{
    const char *most = getenv("MAGIC8_TORTURE_MAX");
    int max = most ? atoi(most) : 2000, hit = 0;
    if (max < 1) max = 1;
    t.all_memory = t.slow = false;
    int calls = once(fn, arg, 0), step = calls > max ? (calls + max - 1) / max : 1;
    for (int n = 1;; n += step) {
        once(fn, arg, n);
        if (!t.failed) break; /* fn made fewer calls: every site had its turn */
        hit++;
        t.all_memory = true;
        once(fn, arg, n);
        t.all_memory = false;
    }
    t.slow = true;
    once(fn, arg, 0);
    t.slow = false;
    printf("torture: %d calls, %d made to fail\n", calls, hit);
    return hit;
}
