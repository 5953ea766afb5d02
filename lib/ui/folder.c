/* The folder of uploads and of the app's files: BASE/magic8-RANDOM, for us alone (0700), removed at the end. A process that was killed leaves its
 * own behind; the next one removes it: the lock on the file .lock in it tells whether somebody still lives there.
 *
 *     BASE/magic8-0123456789abcdef/.lock
 *     BASE/magic8-0123456789abcdef/<32 random digits>/<name>        one file a folder */
#include "serve.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "magic8-"
#define LOCK_NAME ".lock"

enum { DIGITS = 16, NEW_S = 60, TRIES = 8 };

/* Remove what lies in path, `depth` folders deep, and path itself. Links are not followed. */
static void remove_tree(const char *path, int depth)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *inner = m8_join_path(path, e->d_name);
        struct stat s;
        if (inner && depth > 0 && !lstat(inner, &s) && S_ISDIR(s.st_mode)) remove_tree(inner, depth - 1);
        else if (inner) m8_sys_get()->unlink(inner);
        m8_free(inner);
    }
    if (d) closedir(d);
    rmdir(path);
}

static bool is_ours(const char *name)
{
    size_t n = strlen(PREFIX);
    return !strncmp(name, PREFIX, n) && strlen(name) == n + DIGITS && strspn(name + n, "0123456789abcdef") == DIGITS;
}

/* Does the process that made this folder live? A young one may be about to make its lock file, or to lock it. */
static bool abandoned(const char *path)
{
    struct stat s;
    if (lstat(path, &s) || !S_ISDIR(s.st_mode) || s.st_uid != geteuid() || time(NULL) - s.st_mtime <= NEW_S) return false;
    char *lock = m8_join_path(path, LOCK_NAME);
    if (!lock) return false;
    int fd = m8_sys_get()->open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    bool gone = fd < 0 ? errno == ENOENT : !flock(fd, LOCK_EX | LOCK_NB);
    if (gone) remove_tree(path, 1);
    if (fd >= 0) m8_sys_get()->close(fd);
    m8_free(lock);
    return gone;
}

static void clean(const char *base)
{
    DIR *d = opendir(base);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = is_ours(e->d_name) ? m8_join_path(base, e->d_name) : NULL;
        if (path && abandoned(path)) m8_log(M8_LOG_INFO, "removed the files of a process that has died: %s", path);
        m8_free(path);
    }
    if (d) closedir(d);
}

static m8_status find_base(const char *cache_dir, char *out, m8_error *err)
{
    const char *dir = cache_dir;
    if (!dir || !*dir) dir = getenv("GRADIO_TEMP_DIR");
    bool named = dir && *dir;
    if (!named) dir = getenv("TMPDIR");
    if (!dir || !*dir) dir = "/tmp";
    m8_status st = named ? m8_make_dirs(dir, err) : M8_OK;
    if (!st && !realpath(dir, out)) st = m8_fail_errno(err, M8_E_IO, "%s", dir);
    return st;
}

/* Make the folder and lock it. M8_E_BUSY: somebody who cleans up took it for an abandoned one, before it was locked. */
static m8_status make(struct m8__folder *f, const char *base, m8_error *err)
{
    char digits[DIGITS + 1];
    if (!m8__random_hex(digits, DIGITS)) return m8_fail_errno(err, M8_E_IO, "random numbers");
    f->path = m8_sprintf("%s/" PREFIX "%s", strcmp(base, "/") ? base : "", digits);
    char *lock = f->path ? m8_join_path(f->path, LOCK_NAME) : NULL;
    m8_status st = M8_OK;
    if (!lock) st = m8_fail(err, M8_E_NOMEM, "the folder for uploads: out of memory");
    else if (m8_sys_get()->mkdir(f->path, 0700)) st = m8_fail_errno(err, M8_E_IO, "%s", f->path);
    if (st) {
        m8_free(f->path);
        f->path = NULL;
    } else {
        struct stat held, there;
        f->lock = m8_sys_get()->open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        bool locked = f->lock >= 0 && !flock(f->lock, LOCK_EX | LOCK_NB);
        bool taken = f->lock >= 0 && !locked && errno == EWOULDBLOCK;
        if (!locked && !taken) st = m8_fail_errno(err, M8_E_IO, "%s", lock);
        else if (taken || fstat(f->lock, &held) || lstat(lock, &there) || held.st_ino != there.st_ino) st = M8_E_BUSY;
    }
    m8_free(lock);
    if (st) m8__folder_close(f);
    return st;
}

m8_status m8__folder_open(struct m8__folder *f, const char *cache_dir, m8_error *err)
{
    *f = (struct m8__folder){ .lock = -1 };
    char base[PATH_MAX];
    m8_status st = find_base(cache_dir, base, err);
    if (st) return m8_wrap(err, st, "the folder for uploads");
    clean(base);
    st = M8_E_BUSY;
    for (int i = 0; i < TRIES && st == M8_E_BUSY; i++) st = make(f, base, err);
    return st ? m8_fail(err, st, "the folder for uploads could not be locked") : M8_OK;
}

void m8__folder_close(struct m8__folder *f)
{
    if (f->path) remove_tree(f->path, 1);
    if (f->lock >= 0) m8_sys_get()->close(f->lock);
    m8_free(f->path);
    *f = (struct m8__folder){ .lock = -1 };
}
