/* The cache on disk, laid out as the hub's own client has it:
 *
 *     models--ORG--NAME/blobs/ETAG                  a file's content; only whole files have such a name
 *                       blobs/ETAG.incomplete       one that is being fetched, or was; gone on with under the lock
 *                       refs/main                   a commit
 *                       snapshots/COMMIT/PATH       a symbolic link to a blob
 *                       .magic8/ETAG                ours: SHA-256, size, inode, times of a blob that was checked
 *     .locks/models--ORG--NAME/ETAG.lock            flock while ETAG is written
 *
 * A kill at any moment leaves at most an .incomplete file, a link to a blob that is whole, or neither. */
#include "hub_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

m8_status m8__repo_init(struct m8__repo *r, const char *cache, const char *repo, m8_error *err)
{
    *r = (struct m8__repo){ 0 };
    if (!m8__name_is_repo(repo)) return m8_fail(err, M8_E_ARG, "%.100s: not the name of a repo", repo);
    const char *slash = strchr(repo, '/');
    char *folder = slash ? m8_sprintf("models--%.*s--%s", (int)(slash - repo), repo, slash + 1) : m8_sprintf("models--%s", repo);
    if (folder) {
        r->dir = m8_join_path(cache, folder);
        r->locks = m8_sprintf("%s/.locks/%s", cache, folder);
    }
    if (r->dir) {
        r->blobs = m8_join_path(r->dir, "blobs");
        r->checked = m8_join_path(r->dir, ".magic8");
    }
    m8_free(folder);
    if (r->dir && r->locks && r->blobs && r->checked) return M8_OK;
    m8__repo_finish(r);
    return no_memory(err);
}

void m8__repo_finish(struct m8__repo *r)
{
    m8_free(r->dir);
    m8_free(r->locks);
    m8_free(r->blobs);
    m8_free(r->checked);
    *r = (struct m8__repo){ 0 };
}

m8_status m8__repo_make(const struct m8__repo *r, m8_error *err)
{
    m8_status st = m8_make_dirs(r->blobs, err);
    if (!st) st = m8_make_dirs(r->checked, err);
    if (!st) st = m8_make_dirs(r->locks, err);
    return st;
}

char *m8__repo_snapshot(const struct m8__repo *r, const char *commit, const char *file)
{
    return m8_sprintf("%s/snapshots/%s%s%s", r->dir, commit, file ? "/" : "", file ? file : "");
}

m8_status m8__repo_ref(const struct m8__repo *r, const char *revision, char commit[41], m8_error *err)
{
    if (!m8__name_is_revision(revision)) return m8_fail(err, M8_E_ARG, "%.100s: not a revision", revision);
    if (m8__name_is_commit(revision)) {
        memcpy(commit, revision, 41);
        return M8_OK;
    }
    char *path = m8_sprintf("%s/refs/%s", r->dir, revision);
    if (!path) return no_memory(err);
    m8_buf buf = { .limit = 64 };
    m8_error why = { 0 };
    m8_status st = m8_read_file(&buf, path, &why);
    m8_free(path);
    while (buf.len && strchr("\r\n ", buf.data[buf.len - 1])) buf.data[--buf.len] = 0;
    if (!st && (buf.len != 40 || !m8__name_is_commit(buf.data))) st = M8_E_NOTFOUND;
    if (!st) memcpy(commit, buf.data, 41);
    m8_buf_finish(&buf);
    if (st == M8_E_NOMEM) return no_memory(err);
    return st ? m8_fail(err, M8_E_NOTFOUND, "revision %s is not in the cache", revision) : M8_OK;
}

m8_status m8__repo_set_ref(const struct m8__repo *r, const char *revision, const char *commit, m8_error *err)
{
    char had[41];
    if (!m8__name_is_revision(revision)) return m8_fail(err, M8_E_ARG, "%.100s: not a revision", revision);
    if (m8__name_is_commit(revision)) return M8_OK;
    if (!m8__repo_ref(r, revision, had, NULL) && !strcmp(had, commit)) return M8_OK;
    char *path = m8_sprintf("%s/refs/%s", r->dir, revision);
    if (!path) return no_memory(err);
    char *slash = strrchr(path, '/');
    *slash = 0;
    m8_status st = m8_make_dirs(path, err);
    *slash = '/';
    if (!st) st = m8_write_file(path, commit, 40, err);
    m8_free(path);
    return st;
}

/* A new link under a name of its own, then renamed: whoever looks sees the old one or the new one. */
static m8_status put_link(const char *target, const char *path, m8_error *err)
{
    char had[256];
    ssize_t n = readlink(path, had, sizeof had);
    if (n > 0 && (size_t)n == strlen(target) && !memcmp(had, target, (size_t)n)) return M8_OK;
    char *tmp = m8_sprintf("%s.%ld.part", path, (long)getpid());
    if (!tmp) return no_memory(err);
    m8_sys_get()->unlink(tmp);
    m8_status st = M8_OK;
    if (m8_sys_get()->symlink(target, tmp)) st = m8_fail_errno(err, M8_E_IO, "%s", path);
    if (!st && m8_sys_get()->rename(tmp, path)) {
        st = m8_fail_errno(err, M8_E_IO, "%s", path);
        m8_sys_get()->unlink(tmp);
    }
    m8_free(tmp);
    return st;
}

m8_status m8__repo_link(const struct m8__repo *r, const char *commit, const char *file, const char *etag, m8_error *err)
{
    if (!m8__name_is_commit(commit) || !m8__name_is_path(file) || !m8__name_is_etag(etag))
        return m8_fail(err, M8_E_ARG, "a name that is not allowed");
    m8_buf target = { 0 };
    m8_buf_str(&target, "../../");
    for (const char *p = file; *p; p++)
        if (*p == '/') m8_buf_str(&target, "../");
    m8_buf_printf(&target, "blobs/%s", etag);
    char *path = m8__repo_snapshot(r, commit, file);
    m8_status st = target.status || !path ? no_memory(err) : M8_OK;
    if (!st) {
        char *slash = strrchr(path, '/');
        *slash = 0;
        st = m8_make_dirs(path, err);
        *slash = '/';
    }
    if (!st) st = put_link(target.data, path, err);
    m8_buf_finish(&target);
    m8_free(path);
    return st;
}

m8_status m8__repo_lock(int *fd, struct m8_hub *hub, const struct m8__repo *r, const char *name, m8_error *err)
{
    *fd = -1;
    char *path = m8_sprintf("%s/%s.lock", r->locks, name);
    if (!path) return no_memory(err);
    m8_status st = M8_OK;
    *fd = m8_sys_get()->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (*fd < 0) st = m8_fail_errno(err, M8_E_IO, "%s", path);
    bool told = false;
    while (!st && flock(*fd, LOCK_EX | LOCK_NB)) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) {
            m8_log(M8_LOG_WARN, "%s: no lock on this file system", path); /* go on: names are still given atomically */
            break;
        }
        if (!told) m8__note(hub, "another process is fetching this; waiting for it");
        told = true;
        st = m8__pause(hub, 0.1, &(m8_hub_progress){ .file = name, .source = "cache" });
        if (st) m8_fail(err, st, "%s", m8_status_text(st));
    }
    if (st && *fd >= 0) {
        m8_sys_get()->close(*fd);
        *fd = -1;
    }
    m8_free(path);
    return st;
}

static void record_text(char out[256], const char *sha256, const struct stat *s)
{
    snprintf(out, 256, "%s %lld %llu %lld.%09ld %lld.%09ld\n", sha256, (long long)s->st_size, (unsigned long long)s->st_ino,
             (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (long long)s->st_ctim.tv_sec, s->st_ctim.tv_nsec);
}

/* Remember that the file behind fd has this hash. That it can't be written costs only time, the next time. */
static void remember(const struct m8__repo *r, const char *etag, const char *sha256, int fd)
{
    struct stat s;
    char text[256], *path = m8_join_path(r->checked, etag);
    if (path && !fstat(fd, &s)) {
        record_text(text, sha256, &s);
        if (!m8_make_dirs(r->checked, NULL)) m8_write_file(path, text, strlen(text), NULL);
    }
    m8_free(path);
}

static bool remembered(const struct m8__repo *r, const char *etag, const char *sha256, const struct stat *s)
{
    char text[256], *path = m8_join_path(r->checked, etag);
    m8_buf buf = { .limit = 255 };
    record_text(text, sha256, s);
    bool same = path && m8_is_file(path) && !m8_read_file(&buf, path, NULL) && buf.len == strlen(text) &&
                !memcmp(buf.data, text, buf.len);
    m8_buf_finish(&buf);
    m8_free(path);
    return same;
}

m8_status m8__repo_check(const struct m8__repo *r, const char *path, const char *etag, int64_t size, const char *sha256,
                         m8_error *err)
{
    int fd = m8_sys_get()->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0) return m8_fail_errno(err, errno == ENOENT || errno == ENOTDIR ? M8_E_NOTFOUND : M8_E_IO, "%s", path);
    struct stat s;
    char hash[M8__HASH_TEXT];
    m8_status st = M8_OK;
    if (fstat(fd, &s)) st = m8_fail_errno(err, M8_E_IO, "%s", path);
    else if (!S_ISREG(s.st_mode)) st = m8_fail(err, M8_E_HASH, "%s: not a regular file", path);
    else if (size >= 0 && s.st_size != size)
        st = m8_fail(err, M8_E_HASH, "%s: expected %" PRId64 " bytes, file has %lld", path, size, (long long)s.st_size);
    if (!st && sha256 && !remembered(r, etag, sha256, &s)) {
        m8_log(M8_LOG_INFO, "checking %s", path);
        st = m8__hash_file(hash, fd, M8__SHA256, s.st_size, err);
        if (!st && strcmp(hash, sha256)) st = m8_fail(err, M8_E_HASH, "%s: the content is damaged", path);
        if (!st) remember(r, etag, sha256, fd);
    }
    m8_sys_get()->close(fd);
    return st;
}

int64_t m8__free(const char *dir)
{
    struct statvfs v;
    char *at = m8_strdup(dir);
    int64_t left = -1;
    for (char *slash; at && *at && left < 0;) { /* up to where something is */
        if (!statvfs(at, &v)) left = (int64_t)fmin((double)v.f_bavail * (double)v.f_frsize, 0x1p62);
        else if (errno != ENOENT || !(slash = strrchr(at, '/')) || slash == at) break;
        else *slash = 0;
    }
    m8_free(at);
    return left;
}

m8_status m8__room(const char *dir, int64_t need, m8_error *err)
{
    int64_t left = m8__free(dir);
    if (left < 0 || need <= left) return M8_OK; /* where it is not known writing will tell */
    return m8_fail(err, M8_E_LIMIT, "%s: %.0f MB are needed, %.0f MB are free", dir, (double)need / 1e6, (double)left / 1e6);
}

m8_status m8__part_open(struct m8__part_file *p, const struct m8__repo *r, const char *etag, bool resume, m8_error *err)
{
    *p = (struct m8__part_file){ .fd = -1 };
    if (!m8__name_is_etag(etag)) return m8_fail(err, M8_E_ARG, "a name that is not allowed");
    p->final = m8_join_path(r->blobs, etag);
    p->path = m8_sprintf("%s/%s.incomplete", r->blobs, etag);
    m8_status st = p->final && p->path ? M8_OK : no_memory(err);
    if (!st) p->fd = m8_sys_get()->open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (!st && p->fd < 0) st = m8_fail_errno(err, M8_E_IO, "%s", p->path);
    if (!st && !resume) st = m8__part_restart(p, err);
    if (!st && resume) {
        p->size = lseek(p->fd, 0, SEEK_END);
        if (p->size < 0) st = m8_fail_errno(err, M8_E_IO, "%s", p->path);
    }
    if (st) m8__part_close(p);
    return st;
}

m8_status m8__part_write(struct m8__part_file *p, const void *data, size_t n, m8_error *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = m8_sys_get()->write(p->fd, (const char *)data + done, n - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return m8_fail_errno(err, M8_E_IO, "writing to the cache");
        done += (size_t)got;
        p->size += got;
    }
    return M8_OK;
}

m8_status m8__part_restart(struct m8__part_file *p, m8_error *err)
{
    p->size = 0;
    if (m8_sys_get()->ftruncate(p->fd, 0) || lseek(p->fd, 0, SEEK_SET)) return m8_fail_errno(err, M8_E_IO, "%s", p->path);
    return M8_OK;
}

m8_status m8__part_commit(struct m8__part_file *p, const struct m8__repo *r, const char *etag, int64_t size, const char *sha256,
                          m8_error *err)
{
    bool git = strlen(etag) == 40;
    char hash[M8__HASH_TEXT] = "";
    m8_status st = M8_OK;
    if (p->size != size) st = m8_fail(err, M8_E_HASH, "expected %" PRId64 " bytes, got %" PRId64, size, p->size);
    if (!st && git) {
        st = m8__hash_file(hash, p->fd, M8__GIT_SHA1, size, err);
        if (!st && strcmp(hash, etag)) st = m8_fail(err, M8_E_HASH, "the content is not what its hash says");
    }
    if (!st && (!git || sha256)) {
        st = m8__hash_file(hash, p->fd, M8__SHA256, size, err);
        if (!st && ((!git && strcmp(hash, etag)) || (sha256 && strcmp(hash, sha256))))
            st = m8_fail(err, M8_E_HASH, "the content is not what its hash says");
    }
    if (st == M8_E_HASH) m8_sys_get()->unlink(p->path); /* nothing to go on with */
    if (!st && m8_sys_get()->fsync(p->fd)) st = m8_fail_errno(err, M8_E_IO, "writing to the cache");
    if (!st && m8_sys_get()->rename(p->path, p->final)) st = m8_fail_errno(err, M8_E_IO, "%s", p->final);
    if (!st && (!git || sha256)) remember(r, etag, hash, p->fd);
    return st;
}

void m8__part_close(struct m8__part_file *p)
{
    if (p->fd >= 0) m8_sys_get()->close(p->fd);
    m8_free(p->path);
    m8_free(p->final);
    *p = (struct m8__part_file){ .fd = -1 };
}
