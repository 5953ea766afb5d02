/* The one table through which the libraries allocate and call the system. */
#include <errno.h>
#include <fcntl.h>
#include <m8/base.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int sys_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }
static int sys_mkdir(const char *path, unsigned mode) { return mkdir(path, mode); }
static int sys_thread_create(unsigned long *thread, void *(*main)(void *), void *arg)
{
    return pthread_create(thread, NULL, main, arg);
}
static int sys_accept(int fd, void *address, unsigned *size, int flags) { return accept4(fd, address, size, flags); }
static ssize_t sys_sendmsg(int fd, const void *msghdr, int flags) { return sendmsg(fd, msghdr, flags); }
static int sys_eventfd(unsigned n, int flags) { return eventfd(n, flags); }
static int sys_epoll_ctl(int epoll, int what, int fd, void *event) { return epoll_ctl(epoll, what, fd, event); }

static int sys_link_open(int fd, const char *path)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static int sys_socketpair(int fds[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds); }
static int sys_spawn(pid_t *pid, const char *path, const void *actions, const void *attr, char *const *argv, char *const *env)
{
    return posix_spawn(pid, path, actions, attr, argv, env);
}

static const m8_sys libc = {
    .malloc = malloc, .calloc = calloc, .realloc = realloc, .aligned_alloc = aligned_alloc, .free = free,
    .open = sys_open, .close = close, .read = read, .write = write, .fsync = fsync, .ftruncate = ftruncate,
    .rename = rename, .unlink = unlink, .mkdir = sys_mkdir, .symlink = symlink, .mmap = mmap, .munmap = munmap,
    .thread_create = sys_thread_create, .socketpair = sys_socketpair, .send = send, .spawn = sys_spawn,
    .socket = socket, .accept = sys_accept, .recv = recv, .sendmsg = sys_sendmsg, .sendfile = sendfile,
    .epoll_create = epoll_create1, .epoll_ctl = sys_epoll_ctl, .eventfd = sys_eventfd, .link_open = sys_link_open,
};
static m8_sys merged;
static const m8_sys *table = &libc;

void m8_sys_set(const m8_sys *sys)
{
    table = &libc;
    if (!sys) return;
#define TAKE(f) merged.f = sys->f ? sys->f : libc.f
    TAKE(malloc), TAKE(calloc), TAKE(realloc), TAKE(aligned_alloc), TAKE(free);
    TAKE(open), TAKE(close), TAKE(read), TAKE(write), TAKE(fsync), TAKE(ftruncate);
    TAKE(rename), TAKE(unlink), TAKE(mkdir), TAKE(symlink), TAKE(mmap), TAKE(munmap), TAKE(thread_create);
    TAKE(socketpair), TAKE(send), TAKE(spawn);
    TAKE(socket), TAKE(accept), TAKE(recv), TAKE(sendmsg), TAKE(sendfile), TAKE(epoll_create), TAKE(epoll_ctl), TAKE(eventfd);
    TAKE(link_open);
#undef TAKE
    table = &merged;
}

const m8_sys *m8_sys_get(void) { return table; }

void *m8_malloc(size_t size) { return table->malloc(size ? size : 1); }

void *m8_calloc(size_t n, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(n, size, &all)) return NULL;
    return table->calloc(all ? all : 1, 1);
}

void *m8_realloc(void *p, size_t size) { return table->realloc(p, size ? size : 1); }

void *m8_aligned(size_t align, size_t size)
{
    size_t all;
    if (__builtin_add_overflow(size, align - 1, &all)) return NULL;
    all &= ~(align - 1);
    return table->aligned_alloc(align, all ? all : align);
}

void m8_free(void *p)
{
    if (p) table->free(p);
}

char *m8_strndup(const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? m8_malloc(n + 1) : NULL;
    if (p) {
        if (n) memcpy(p, s, n);
        p[n] = 0;
    }
    return p;
}

char *m8_strdup(const char *s) { return m8_strndup(s, strlen(s)); }

char *m8_sprintf(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : m8_malloc((size_t)n + 1);
    if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}
