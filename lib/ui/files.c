/* Files that visitors uploaded and that the app gave out. Each lies alone in a folder whose name nobody can guess: who knows the path may read it.
 *
 *     draft -> kept: nobody's  ->  a session's  ->  gone           an upload; claimed by the first session that uses it as an input
 *              (an hour)           (as long as it lives, and a while)
 *              kept: the app's                                     all may use it, it stays
 *
 * With a login a file is its user's besides: others are refused. The table is under app->lock; the disk is never touched under it. */
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SWEEP_S = 20 };

uint64_t m8__session_bytes_most(const m8_blocks *app) { return app->launch.max_session_bytes ? app->launch.max_session_bytes : M8__SESSION_BYTES; }

m8_status m8__files_open(m8_blocks *app, m8_error *err)
{
    struct m8__files *f = app->files = m8_calloc(1, sizeof *f);
    if (!f) return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    f->most_bytes = 4 * m8__session_bytes_most(app);
    return m8__folder_open(&f->folder, app->launch.cache_dir, err);
}

const char *m8__files_dir(m8_blocks *app) { return app->files->folder.path; }
struct m8__charges *m8__files_charges(m8_blocks *app) { return &app->files->charges; }

/* ---- the table, under app->lock */

struct m8__file **m8__file_bucket(struct m8__files *f, const char *id)
{
    unsigned at = 0;
    for (int i = 0; i < 3; i++) at = at * 16 + (unsigned)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    return &f->bucket[at % M8__FILE_BUCKETS];
}

/* The file of a path exactly as we gave it out. */
struct m8__file *m8__file_find(struct m8__files *f, const char *path)
{
    size_t n = strlen(f->folder.path);
    const char *id = path + n + 1;
    if (strncmp(path, f->folder.path, n) || path[n] != '/' || strspn(id, "0123456789abcdef") != M8__ID_LEN || id[M8__ID_LEN] != '/') return NULL;
    for (struct m8__file *x = *m8__file_bucket(f, id); x; x = x->next)
        if (!strncmp(x->id, id, M8__ID_LEN) && !strcmp(x->name, id + M8__ID_LEN + 1)) return x;
    return NULL;
}

const char *m8__file_owner(const struct m8__file *x) { return x->session ? x->session->who + 2 : NULL; }

struct m8__member *m8__file_member(struct m8__files *f, const char *session)
{
    struct m8__member *m = f->members;
    while (m && strcmp(m->session, session)) m = m->next;
    return m;
}

static struct m8__charge *session_charge(struct m8__files *f, const char *session)
{
    char *who = m8_sprintf("s:%s", session);
    struct m8__charge *c = who ? m8__charge_get(&f->charges, who) : NULL;
    m8_free(who);
    return c;
}

m8_status m8__file_claim(m8_blocks *app, struct m8__file *x, const char *session, m8_error *err)
{
    struct m8__files *f = app->files;
    struct m8__charge *c = session_charge(f, session);
    if (!c) return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    if (c->bytes + x->size > m8__session_bytes_most(app) || c->files >= M8__FILES_EACH) {
        m8__charge_drop(&f->charges, c);
        return m8_fail(err, M8_E_LIMIT, "this session has too many files");
    }
    struct m8__member *m = m8__file_member(f, session);
    if (m && !x->user) x->user = m8_strdup(m->user);
    if (m && !x->user) {
        m8__charge_drop(&f->charges, c);
        return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    }
    c->bytes += x->size;
    c->files++;
    x->session = c;
    x->until = 0;
    return M8_OK;
}

void m8__file_discharge(struct m8__files *f, struct m8__charge *c, uint64_t bytes)
{
    if (!c) return;
    c->bytes -= bytes;
    c->files--;
    m8__charge_drop(&f->charges, c);
}

static void unlist(struct m8__files *f, struct m8__file **at)
{
    struct m8__file *x = *at;
    *at = x->next;
    m8__file_discharge(f, x->client, x->size);
    m8__file_discharge(f, x->session, x->size);
    f->bytes -= x->size;
    f->files--;
}

void m8__file_remove(const char *dir, const char *id, const char *name)
{
    char *folder = m8_join_path(dir, id), *path = folder ? m8_join_path(folder, name) : NULL;
    if (path) {
        m8_sys_get()->unlink(path);
        rmdir(folder);
    }
    m8_free(path);
    m8_free(folder);
}

void m8__file_free(struct m8__file *x)
{
    m8_free(x->user);
    m8_free(x);
}

bool m8__file_allowed(m8_blocks *app, const char *path, const char *user)
{
    pthread_mutex_lock(&app->lock);
    struct m8__file *x = m8__file_find(app->files, path);
    const char *whose = x && app->auth ? x->user : NULL;
    bool ok = x && (!whose || (user && !strcmp(user, whose)));
    pthread_mutex_unlock(&app->lock);
    return ok;
}

/* ---- sessions */

void m8__files_user(m8_blocks *app, const char *session_hash, const char *user)
{
    size_t n = strlen(session_hash) + 1;
    if (!user || n < 2) return;
    pthread_mutex_lock(&app->lock);
    struct m8__files *f = app->files;
    if (!m8__file_member(f, session_hash)) {
        struct m8__member *m = m8_calloc(1, sizeof *m + n);
        char *who = m8_strdup(user);
        if (m && who) {
            memcpy(m->session, session_hash, n);
            m->user = who;
            m->next = f->members;
            f->members = m;
        } else {
            m8_free(m);
            m8_free(who);
        }
    }
    pthread_mutex_unlock(&app->lock);
}

void m8__files_forget(m8_blocks *app, const char *session_hash)
{
    struct m8__files *f = app->files;
    double until = m8_now_s() + M8__GRACE_S;
    if (!f || !session_hash || !*session_hash) return;
    pthread_mutex_lock(&app->lock);
    for (int i = 0; i < M8__FILE_BUCKETS; i++)
        for (struct m8__file *x = f->bucket[i]; x; x = x->next)
            if (m8__file_owner(x) && !strcmp(m8__file_owner(x), session_hash) && (!x->until || x->until > until)) x->until = until;
    for (struct m8__member **at = &f->members; *at;) {
        struct m8__member *m = *at;
        if (strcmp(m->session, session_hash)) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        m8_free(m->user);
        m8_free(m);
    }
    pthread_mutex_unlock(&app->lock);
}

void m8__files_sweep(m8_blocks *app, double now)
{
    struct m8__files *f = app->files;
    struct m8__file *gone = NULL;
    if (now < f->swept + SWEEP_S) return;
    f->swept = now;
    pthread_mutex_lock(&app->lock);
    for (int i = 0; i < M8__FILE_BUCKETS; i++) {
        for (struct m8__file **at = &f->bucket[i]; *at;) {
            struct m8__file *x = *at;
            if (!x->until || x->until > now) {
                at = &x->next;
                continue;
            }
            unlist(f, at);
            x->next = gone;
            gone = x;
        }
    }
    pthread_mutex_unlock(&app->lock);
    for (struct m8__file *x = gone, *next; x; x = next) {
        next = x->next;
        m8__file_remove(f->folder.path, x->id, x->name);
        m8__file_free(x);
    }
}

void m8__files_close(m8_blocks *app)
{
    struct m8__files *f = app->files;
    for (size_t i = 0; i < app->n_paths; i++) m8_free(app->paths[i]);
    m8_free(app->paths);
    app->paths = NULL;
    app->n_paths = 0;
    if (!f) return;
    for (int i = 0; i < M8__FILE_BUCKETS; i++) {
        while (f->bucket[i]) {
            struct m8__file *x = f->bucket[i];
            unlist(f, &f->bucket[i]);
            m8__file_free(x);
        }
    }
    for (struct m8__member *m = f->members, *next; m; m = next) {
        next = m->next;
        m8_free(m->user);
        m8_free(m);
    }
    m8__uploads_close(f->uploads);
    m8_free(f->asset_tags);
    m8__folder_close(&f->folder);
    m8_free(f);
    app->files = NULL;
}
