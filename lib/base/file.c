/* Files: mapped whole, read whole, written whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <m8/base.h>
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
    if (map->data) m8_sys_get()->munmap((void *)map->data, map->size);
    *map = (m8_map){0};
}

void m8_map_drop(const void *at, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)at + page - 1) & ~(page - 1), to = ((uintptr_t)at + n) & ~(page - 1);
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

static m8_status read_all(m8_buf *out, int fd, const char *path, m8_error *err)
{
    size_t limit = out->limit;
    if (!limit) out->limit = out->len + ((size_t)1 << 30);
    m8_status st = M8_OK;
    for (;;) {
        size_t before = out->len;
        size_t room = out->cap > out->len + 1 ? out->cap - out->len - 1 : 64 * 1024;
        if (room > out->limit - before) room = out->limit - before + 1; /* one too many tells that it is too long */
        void *at = m8_buf_room(out, room);
        if (!at && out->status == M8_E_LIMIT && room > 1) { /* read the last bytes up to the limit */
            out->status = M8_OK;
            at = m8_buf_room(out, --room);
        }
        if (!at) {
            st = m8_fail(err, out->status, "%s: %s", path,
                         out->status == M8_E_LIMIT ? "longer than is allowed here" : m8_status_text(out->status));
            break;
        }
        ssize_t got = m8_sys_get()->read(fd, at, room);
        out->len = before + (got > 0 ? (size_t)got : 0);
        out->data[out->len] = 0;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) st = m8_fail_errno(err, M8_E_IO, "reading %s", path);
        if (got <= 0) break;
    }
    out->limit = limit;
    return st;
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

m8_status m8_write_file(const char *path, const void *data, size_t n, m8_error *err)
{
    const m8_sys *sys = m8_sys_get();
    char *tmp = m8_sprintf("%s.%ld.part", path, (long)getpid());
    if (!tmp) return m8_fail(err, M8_E_NOMEM, "writing %s", path);
    m8_status st = M8_OK;
    int fd = sys->open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    for (size_t done = 0; !st && done < n;) {
        ssize_t got = sys->write(fd, (const char *)data + done, n - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
        else done += (size_t)got;
    }
    if (!st && sys->fsync(fd)) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (fd >= 0 && sys->close(fd) && !st) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (!st && sys->rename(tmp, path)) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    if (st && fd >= 0) sys->unlink(tmp);
    m8_free(tmp);
    return st;
}

m8_status m8_make_dirs(const char *path, m8_error *err)
{
    char *p = m8_strdup(path);
    if (!p) return m8_fail(err, M8_E_NOMEM, "making %s", path);
    m8_status st = M8_OK;
    for (char *s = p + 1; !st; s++) {
        if (*s && *s != '/') continue;
        char was = *s;
        *s = 0;
        if (m8_sys_get()->mkdir(p, 0755) && !m8_is_dir(p)) st = m8_fail_errno(err, M8_E_IO, "making the folder %s", p);
        *s = was;
        if (!was) break;
    }
    m8_free(p);
    return st;
}

char *m8_join_path(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return m8_sprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
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
