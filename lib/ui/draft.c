/* Files that are being written: from an upload, from the app's bytes, or copied. What is not kept leaves nothing behind. */
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static m8_status draft_limits(m8_blocks *app, const char *who, struct m8__charge **out, m8_error *err)
{
    struct m8__files *f = app->files;
    if (f->files >= M8__FILES_MOST) return m8_fail(err, M8_E_LIMIT, "there are too many files here");
    if (!who) return M8_OK;
    struct m8__charge *c = m8__charge_get(&f->charges, who);
    if (!c) return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    if (c->files >= M8__FILES_EACH || c->bytes >= m8__session_bytes_most(app)) return m8_fail(err, M8_E_LIMIT, "you have too many files here");
    c->files++;
    *out = c;
    return M8_OK;
}

m8_status m8__draft_open(struct m8__draft *d, m8_blocks *app, const char *who, const char *name, m8_error *err)
{
    *d = (struct m8__draft){ .app = app, .fd = -1 };
    if (!m8__clean_name(d->name, name)) return m8_fail(err, M8_E_ARG, "Invalid file name: ..");
    if (!m8__random_hex(d->id, M8__ID_LEN)) return m8_fail_errno(err, M8_E_IO, "random numbers");
    pthread_mutex_lock(&app->lock);
    m8_status st = draft_limits(app, who, &d->charge, err);
    if (!st) app->files->files++;
    pthread_mutex_unlock(&app->lock);
    if (st) return st;
    const char *dir = app->files->folder.path;
    char *folder = m8_join_path(dir, d->id);
    d->path = m8_sprintf("%s/%s/%s", dir, d->id, d->name);
    if (!folder || !d->path) st = m8_fail(err, M8_E_NOMEM, "files: out of memory");
    else if (m8_sys_get()->mkdir(folder, 0700)) st = m8_fail_errno(err, M8_E_IO, "a folder for the file");
    if (!st) {
        d->fd = m8_sys_get()->open(d->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->fd < 0) st = m8_fail_errno(err, M8_E_IO, "the file cannot be made");
    }
    m8_free(folder);
    if (st) m8__draft_drop(d);
    return st;
}

m8_status m8__draft_write(struct m8__draft *d, const void *data, size_t n, m8_error *err)
{
    struct m8__files *f = d->app->files;
    m8_status st = M8_OK;
    pthread_mutex_lock(&d->app->lock);
    if (n > f->most_bytes - f->bytes) st = m8_fail(err, M8_E_LIMIT, "there are too many bytes here");
    else if (d->charge && d->charge->bytes + n > m8__session_bytes_most(d->app)) st = m8_fail(err, M8_E_LIMIT, "you have too many bytes here");
    if (!st) {
        f->bytes += n;
        d->size += n;
        if (d->charge) d->charge->bytes += n;
    }
    pthread_mutex_unlock(&d->app->lock);
    for (const char *at = data; !st && n;) {
        ssize_t k = m8_sys_get()->write(d->fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            if (!k) errno = EIO;
            return m8_fail_errno(err, M8_E_IO, "the file cannot be written");
        }
        at += k;
        n -= (size_t)k;
    }
    return st;
}

void m8__draft_drop(struct m8__draft *d)
{
    if (d->fd >= 0) m8_sys_get()->close(d->fd);
    if (d->path) {
        struct m8__files *f = d->app->files;
        m8__file_remove(f->folder.path, d->id, d->name);
    }
    if (d->app) {
        struct m8__files *f = d->app->files;
        pthread_mutex_lock(&d->app->lock);
        f->bytes -= d->size;
        f->files--;
        m8__file_discharge(f, d->charge, d->size);
        pthread_mutex_unlock(&d->app->lock);
    }
    m8_free(d->path);
    *d = (struct m8__draft){ .fd = -1 };
}

m8_status m8__draft_keep(struct m8__draft *d, const char *session, const char *user, m8_error *err)
{
    m8_blocks *app = d->app;
    struct m8__files *f = app->files;
    int fd = d->fd;
    d->fd = -1;
    if (fd >= 0 && m8_sys_get()->close(fd)) return m8_fail_errno(err, M8_E_IO, "the file cannot be written"); /* a full disk may be told here */
    size_t n = strlen(d->name) + 1;
    struct m8__file *x = m8_calloc(1, sizeof *x + n);
    char *who = user ? m8_strdup(user) : NULL;
    if (!x || (user && !who)) {
        m8_free(x);
        m8_free(who);
        return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    }
    memcpy(x->id, d->id, sizeof x->id);
    memcpy(x->name, d->name, n);
    x->size = d->size;
    x->user = who;
    x->of_app = !session;
    x->until = session ? m8_now_s() + M8__UNCLAIMED_S : 0;
    pthread_mutex_lock(&app->lock);
    m8_status st = session && *session ? m8__file_claim(app, x, session, err) : M8_OK;
    if (!st) {
        x->client = d->charge;
        struct m8__file **at = m8__file_bucket(f, x->id);
        x->next = *at;
        *at = x;
    }
    pthread_mutex_unlock(&app->lock);
    if (st) {
        m8__file_free(x);
        return st;
    }
    m8_free(d->path);
    *d = (struct m8__draft){ .fd = -1 };
    return M8_OK;
}

