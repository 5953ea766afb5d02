/* Which files of the machine may be read, and the route file=PATH. A path from outside is resolved to the real one, which is compared by whole
 * components; what is then opened must be what was compared. */
#include "serve.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool in_list(const char *const *list, size_t n, const char *real, bool any_case)
{
    char root[PATH_MAX];
    for (size_t i = 0; i < n; i++) {
        if (realpath(list[i], root) && m8__within(root, real, any_case)) return true;
        if (any_case && m8__within(list[i], real, true)) return true; /* blocked before it exists */
    }
    return false;
}

bool m8__file_is_blocked(m8_blocks *app, const char *real) { return in_list(app->launch.blocked_paths, app->launch.n_blocked, real, true); }

bool m8__file_is_allowed_path(m8_blocks *app, const char *real)
{
    return in_list(app->launch.allowed_paths, app->launch.n_allowed, real, false) && !m8__file_is_blocked(app, real);
}

/* A component that begins with a dot, behind the first n bytes. */
static bool has_dotfile(const char *real, size_t n)
{
    for (const char *s = real + n; *s; s++)
        if (s[0] == '/' && s[1] == '.') return true;
    return false;
}

bool m8__file_may_go_out(m8_blocks *app, const char *real)
{
    char root[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    if (m8__file_is_blocked(app, real)) return false;
    if (m8__file_is_allowed_path(app, real)) return true;
    if (realpath(tmp && *tmp ? tmp : "/tmp", root) && m8__within(root, real, false)) return true;
    return getcwd(root, sizeof root) && m8__within(root, real, false) && !has_dotfile(real, strcmp(root, "/") ? strlen(root) : 0);
}

int m8__file_open_real(const char *real, uint64_t *size)
{
    struct stat s;
    struct statfs fs;
    char link[64], now[PATH_MAX];
    /* a link put in its place is not followed, a pipe not waited for */
    int fd = m8_sys_get()->open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
    if (fd < 0) return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, now, sizeof now - 1);
    bool ok = n > 0 && !fstat(fd, &s) && S_ISREG(s.st_mode) && !fstatfs(fd, &fs) && fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC;
    if (ok) {
        now[n] = 0;
        ok = !strcmp(now, real); /* nor a link further up */
        *size = (uint64_t)s.st_size;
    }
    if (ok) return fd;
    m8_sys_get()->close(fd);
    return -1;
}

/* "C:", "file:", "http:": what begins like that is no path, though a file may be called so. */
static bool has_scheme(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return n && s[n] == ':';
}

static bool resolve(const char *path, char *real)
{
    if (!*path || has_scheme(path) || path[0] == '\\' || (path[0] == '/' && (path[1] == '/' || path[1] == '\\'))) return false;
    return strlen(path) < PATH_MAX && realpath(path, real);
}

static void forbid(m8_http_req *r, const char *path) { m8_http_refuse(r, 403, "File not allowed: %s.", path); }

static void get_file(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *path = m8_http_rest(r);
    char real[PATH_MAX];
    uint64_t size;
    if (!resolve(path, real) || m8__file_is_blocked(app, real)) {
        forbid(r, path);
        return;
    }
    bool cached = m8__within(m8__files_dir(app), real, false); /* there only what is known may go, whatever else is allowed */
    bool allowed = cached ? m8__file_allowed(app, real, m8__auth_user(app, r)) : m8__file_is_allowed_path(app, real);
    int fd = allowed ? m8__file_open_real(real, &size) : -1;
    if (fd < 0) {
        forbid(r, path);
        return;
    }
    const char *mime = m8__mime_of(real, !cached);
    m8_http_set(r, "Content-Security-Policy", "sandbox allow-scripts"); /* a page among them is not one of ours */
    m8_http_file(r, fd, mime ? mime : "application/octet-stream", !mime && cached, strrchr(real, '/') + 1);
}

m8_status m8__file_routes(m8_blocks *app, m8_error *err)
{
    m8_status st = m8__route(app, (m8_route){ .method = "GET", .path = M8__PREFIX "/file=*", .handler = get_file, .user = app }, err);
    if (!st) st = m8__route(app, (m8_route){ .method = "GET", .path = M8__PREFIX "/file/*", .handler = get_file, .user = app }, err);
    return st;
}
