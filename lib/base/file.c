/* Files: mapped whole, read whole, written whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <m8/base.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static m8_status open_regular(int *fd, struct stat *info, const char *path, m8_error *err)
{
    *fd = m8_sys_get()->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (*fd < 0) return m8_fail_errno(err, errno == ENOENT ? M8_E_NOTFOUND : M8_E_IO, "%s", path);
    m8_status st = M8_OK;
    if (fstat(*fd, info)) st = m8_fail_errno(err, M8_E_IO, "%s", path);
    if (!st && !S_ISREG(info->st_mode)) st = m8_fail(err, M8_E_FORMAT, "%s: not a regular file", path);
    if (st) m8_sys_get()->close(*fd);
    return st;
}

m8_status m8_map_open(m8_map *map, const char *path, m8_error *err)
{
    *map = (m8_map){0};
    int fd;
    struct stat info;
    m8_status st = open_regular(&fd, &info, path, err);
    if (st) return st;
    if (!info.st_size) st = m8_fail(err, M8_E_FORMAT, "%s: the file is empty", path);
    if (!st) {
        void *at = m8_sys_get()->mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED) st = m8_fail_errno(err, M8_E_IO, "mapping %s", path);
        else *map = (m8_map){ at, (size_t)info.st_size };
    }
    m8_sys_get()->close(fd);
    return st;
}

void m8_map_close(m8_map *map)
{
    if (!map) return;
    if (map->data) m8_sys_get()->munmap((void *)map->data, map->size);
    *map = (m8_map){0};
}

void m8_map_drop(const void *at, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)at + page - 1) & ~(page - 1), to = ((uintptr_t)at + n) & ~(page - 1);
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Read to the end, and not a byte more than the limit: when there is no room left, one byte beside the buffer tells whether
 * the end has come. */
static m8_status read_all(m8_buf *out, int fd, const char *path, m8_error *err)
{
    size_t limit = out->limit ? out->limit : out->len + ((size_t)1 << 30);
    for (;;) {
        size_t before = out->len, left = limit > before ? limit - before : 0;
        size_t room = out->cap > before + 1 ? out->cap - before - 1 : 64 * 1024;
        if (room > left) room = left;
        char probe;
        void *at = room ? m8_buf_room(out, room) : &probe;
        if (!at) return m8_fail(err, out->status, "%s: %s", path, m8_status_text(out->status));
        ssize_t got = m8_sys_get()->read(fd, at, room ? room : 1);
        if (got > 0 && !room) {
            out->status = M8_E_LIMIT;
            return m8_fail(err, M8_E_LIMIT, "%s: longer than is allowed here", path);
        }
        out->len = before + (got > 0 ? (size_t)got : 0);
        if (out->data) out->data[out->len] = 0;
        if (got == 0) return M8_OK;
        if (got < 0 && errno != EINTR) return m8_fail_errno(err, M8_E_IO, "reading %s", path);
    }
}

m8_status m8_read_file(m8_buf *out, const char *path, m8_error *err)
{
    if (!strcmp(path, "-")) return read_all(out, 0, "standard input", err);
    int fd;
    struct stat info;
    m8_status st = open_regular(&fd, &info, path, err);
    if (st) return st;
    st = read_all(out, fd, path, err);
    m8_sys_get()->close(fd);
    return st;
}

static m8_status write_all(int fd, const char *data, size_t n, const char *path, m8_error *err)
{
    while (n) {
        ssize_t got = m8_sys_get()->write(fd, data, n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return m8_fail_errno(err, M8_E_IO, "writing %s", path);
        if (!got) return m8_fail(err, M8_E_IO, "writing %s: nothing more is taken", path);
        data += got;
        n -= (size_t)got;
    }
    return M8_OK;
}

/* What is there and is no file (a pipe, /dev/null) must not be replaced by one. */
static m8_status write_through(const char *path, const void *data, size_t n, m8_error *err)
{
    int fd = m8_sys_get()->open(path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return m8_fail_errno(err, M8_E_IO, "writing %s", path);
    m8_status st = write_all(fd, data, n, path, err);
    if (m8_sys_get()->close(fd) && !st) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    return st;
}

m8_status m8_write_file(const char *path, const void *data, size_t n, m8_error *err)
{
    static atomic_uint count; /* two threads may write one name */
    const m8_sys *sys = m8_sys_get();
    struct stat info;
    if (!stat(path, &info) && !S_ISREG(info.st_mode)) return write_through(path, data, n, err);
    char *tmp = m8_sprintf("%s.%ld-%u.part", path, (long)getpid(), atomic_fetch_add(&count, 1));
    if (!tmp) return m8_fail(err, M8_E_NOMEM, "writing %s", path);
    m8_status st = M8_OK;
    int fd = sys->open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (!st) st = write_all(fd, data, n, path, err);
    if (!st && sys->fsync(fd)) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (fd >= 0 && sys->close(fd) && !st) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (!st && sys->rename(tmp, path)) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (st && fd >= 0) sys->unlink(tmp);
    m8_free(tmp);
    return st;
}

m8_status m8_make_dirs(const char *path, m8_error *err)
{
    if (!*path) return m8_fail(err, M8_E_ARG, "a folder without a name");
    char *p = m8_strdup(path);
    if (!p) return m8_fail(err, M8_E_NOMEM, "making %s", path);
    m8_status st = M8_OK;
    for (char *s = p + 1; !st; s++) {
        if (*s && *s != '/') continue;
        char was = *s;
        *s = 0;
        if (m8_sys_get()->mkdir(p, 0755)) {
            int why = errno; /* m8_is_dir changes it */
            if (!m8_is_dir(p)) {
                errno = why;
                st = m8_fail_errno(err, M8_E_IO, "making the folder %s", p);
            }
        }
        *s = was;
        if (!was) break;
    }
    m8_free(p);
    return st;
}

char *m8_join_path(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return m8_sprintf("%s%s%s", dir, !n || dir[n - 1] == '/' ? "" : "/", name);
}

bool m8_is_dir(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

bool m8_is_file(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISREG(info.st_mode);
}
