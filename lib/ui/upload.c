/* POST upload: the parts named "files" of a multipart body, each straight to disk as its bytes come. Nothing of a body is kept in memory, and an
 * upload that breaks off, is refused or runs into a limit leaves nothing behind. GET upload_progress: events about one that has an id. */
#include "serve.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WATCH_S = 3, REMEMBER_S = 30, MOST_WATCHED = 1000, MOST_PARTS = 1000, HEARTBEAT_S = 15 };
#define UPDATE_S 0.05

/* ---- progress: what is told about an upload, also before it begins and after it ended */

struct watcher {
    struct watcher *next;
    struct progress *of;
    m8_http_req *r;
    double beat;
};
struct progress {
    struct progress *next;
    struct watcher *watchers;
    m8_buf told; /* the events so far, for who comes later */
    double until; /* it is forgotten then; 0: its upload runs */
    bool begun, done;
    char id[];
};

struct m8__uploads {
    m8_blocks *app;
    struct progress *progress;
    int n_progress;
};

static void tell(struct progress *p, const char *text)
{
    if (p->told.len < (64 << 10)) m8_buf_str(&p->told, text); /* a late one misses the end of a long list at most */
    for (struct watcher *w = p->watchers; w; w = w->next)
        if (m8_http_unsent(w->r) < (64 << 10)) m8_http_write(w->r, text, strlen(text));
}

static void tell_update(struct progress *p, const char *name, uint64_t n)
{
    json_t *event = json_pack("{s:s, s:s, s:I}", "msg", "update", "orig_name", name, "chunk_size", (json_int_t)n);
    m8_buf text = {0};
    m8_buf_str(&text, "data: ");
    m8__dump(&text, event);
    m8_buf_str(&text, "\n\n");
    if (!text.status) tell(p, text.data);
    m8_buf_finish(&text);
    json_decref(event);
}

static struct progress *progress_find(struct m8__uploads *u, const char *id)
{
    struct progress *p = u->progress;
    while (p && strcmp(p->id, id)) p = p->next;
    return p;
}

static struct progress *progress_new(struct m8__uploads *u, const char *id)
{
    size_t n = strlen(id) + 1;
    struct progress *p = n <= 128 && u->n_progress < MOST_WATCHED ? m8_calloc(1, sizeof *p + n) : NULL;
    if (!p) return NULL;
    memcpy(p->id, id, n);
    p->until = m8_now_s() + WATCH_S;
    p->next = u->progress;
    u->progress = p;
    u->n_progress++;
    return p;
}

/* Watchers hear no more. */
static void progress_end(struct progress *p)
{
    for (struct watcher *w = p->watchers, *next; w; w = next) {
        next = w->next;
        if (p->begun) m8_http_end(w->r);
        else m8_http_reply(w->r, 404, "text/plain; charset=utf-8", "Upload not found", 16);
    }
}

void m8__uploads_sweep(struct m8__uploads *u, double now)
{
    for (struct progress **at = &u->progress; *at;) {
        struct progress *p = *at;
        for (struct watcher *w = p->watchers; w; w = w->next) {
            if (!p->begun || now < w->beat + HEARTBEAT_S) continue;
            static const char beat[] = "data: {\"msg\":\"heartbeat\"}\n\n";
            m8_http_write(w->r, beat, sizeof beat - 1);
            w->beat = now;
        }
        if (p->until && p->until <= now) progress_end(p); /* its watchers leave the list as their answers end */
        if (p->until && p->until <= now && !p->watchers) {
            *at = p->next;
            u->n_progress--;
            m8_buf_finish(&p->told);
            m8_free(p);
        } else {
            at = &p->next;
        }
    }
}

static void watcher_gone(void *user, bool gone)
{
    struct watcher *w = user, **at = &w->of->watchers;
    (void)gone;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    m8_free(w);
}

static void get_progress(m8_http_req *r, void *user)
{
    struct m8__uploads *u = user;
    const char *id = m8_http_arg(r, "upload_id");
    if (!id) {
        m8__reply_missing(r, "query", (const char *const[]){ "upload_id" }, 1, NULL);
        return;
    }
    struct progress *p = progress_find(u, id);
    if (!p) p = progress_new(u, id);
    struct watcher *w = p && !strcmp(m8_http_method(r), "GET") ? m8_calloc(1, sizeof *w) : NULL;
    if (!w) {
        m8_http_refuse(r, p ? 405 : 429, p ? "Method Not Allowed" : "Too many uploads are watched");
        return;
    }
    w->of = p;
    w->r = r;
    w->beat = m8_now_s();
    w->next = p->watchers;
    p->watchers = w;
    m8_http_on_end(r, watcher_gone, w);
    if (!p->begun) return; /* answered by whichever comes first: the upload, or the end of the wait */
    m8_http_begin(r, 200, "text/event-stream");
    m8_http_write(r, p->told.data, p->told.len);
    if (p->done) m8_http_end(r);
}

/* ---- an upload */

struct upload {
    struct m8__uploads *all;
    m8_blocks *app;
    m8_http_req *r;
    m8_multipart *parts;
    struct m8__charge *charge; /* holds its count of uploads in flight */
    struct progress *progress;
    struct m8__draft *drafts; /* [n]; the last may be growing */
    size_t n, cap;
    bool writing, answered; /* writing: the last draft takes the part's bytes */
    int status;             /* with which to refuse */
    char *who, *user;
    char name[M8__NAME_MAX + 1];
    uint64_t untold; /* bytes of this file that the watchers have not heard of */
    double told_at;
    m8_error err;
};

static uint64_t most_bytes(const struct upload *u) { return u->app->launch.max_file_size ? u->app->launch.max_file_size : M8__FILE_BYTES; }

static m8_status part_begin(void *user, const m8_part *part)
{
    struct upload *u = user;
    char name[24];
    if (!part->name || strcmp(part->name, "files")) return M8_OK;
    if (!part->filename) {
        u->status = 400;
        return m8_fail(&u->err, M8_E_ARG, "a part named files is no file");
    }
    if (u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 4;
        struct m8__draft *grown = cap <= 2 * MOST_PARTS ? m8_realloc(u->drafts, cap * sizeof *grown) : NULL;
        if (!grown) return m8_fail(&u->err, M8_E_NOMEM, "upload: out of memory");
        u->drafts = grown;
        u->cap = cap;
    }
    if (!*part->filename) {
        memcpy(name, "tmp", 3);
        if (!m8__random_hex(name + 3, 10)) return m8_fail_errno(&u->err, M8_E_IO, "random numbers");
    }
    m8_status st = m8__draft_open(&u->drafts[u->n], u->app, u->who, *part->filename ? part->filename : name, &u->err);
    if (st == M8_E_LIMIT) u->status = 429;
    if (st) return st;
    memcpy(u->name, u->drafts[u->n].name, sizeof u->name);
    u->n++;
    u->writing = true;
    return M8_OK;
}

static m8_status part_data(void *user, const char *data, size_t n)
{
    struct upload *u = user;
    if (!u->writing) return M8_OK;
    struct m8__draft *d = &u->drafts[u->n - 1];
    if (d->size + n > most_bytes(u)) {
        u->status = 413;
        return m8_fail(&u->err, M8_E_LIMIT, "File size exceeded maximum allowed size of %llu bytes.", (unsigned long long)most_bytes(u));
    }
    m8_status st = m8__draft_write(d, data, n, &u->err);
    if (st == M8_E_LIMIT) u->status = 429;
    u->untold += n;
    if (!st && u->progress && m8_now_s() >= u->told_at + UPDATE_S) {
        tell_update(u->progress, u->name, u->untold);
        u->untold = 0;
        u->told_at = m8_now_s();
    }
    return st;
}

static m8_status part_end(void *user)
{
    struct upload *u = user;
    if (!u->writing) return M8_OK;
    u->writing = false;
    if (u->progress && u->untold) tell_update(u->progress, u->name, u->untold);
    u->untold = 0;
    m8_status st = M8_OK;
    struct m8__draft *d = &u->drafts[u->n - 1]; /* its descriptor is given back now: a thousand files are no thousand open ones */
    if (m8_sys_get()->close(d->fd)) st = m8_fail_errno(&u->err, M8_E_IO, "the file cannot be written");
    d->fd = -1;
    return st;
}

static void upload_drop(struct upload *u)
{
    for (size_t i = 0; i < u->n; i++) m8__draft_drop(&u->drafts[i]);
    m8_free(u->drafts);
    m8_multipart_free(u->parts);
    u->drafts = NULL;
    u->parts = NULL;
    u->n = 0;
}

static void upload_gone(void *user, bool gone)
{
    struct upload *u = user;
    upload_drop(u);
    if (u->charge) {
        pthread_mutex_lock(&u->app->lock);
        u->charge->uploads--;
        m8__charge_drop(m8__files_charges(u->app), u->charge);
        pthread_mutex_unlock(&u->app->lock);
    }
    if (u->progress) {
        u->progress->done = true;
        u->progress->until = m8_now_s() + REMEMBER_S;
        progress_end(u->progress);
    }
    (void)gone;
    m8_free(u->who);
    m8_free(u->user);
    m8_free(u);
}

static void upload_refuse(struct upload *u, m8_status st)
{
    int code = u->err.detail == ENOSPC || u->err.detail == EDQUOT ? 507 : st == M8_E_LIMIT || st == M8_E_ARG || st == M8_E_FORMAT ? 400 : 500;
    if (u->status) code = u->status;
    const char *text = code == 507 ? "There is no room left on the server's disk" : code == 500 ? "The upload failed" : m8_error_text(&u->err);
    if (code >= 500) m8_log(M8_LOG_ERROR, "upload: %s", m8_error_text(&u->err));
    u->answered = true;
    upload_drop(u); /* before the answer: who has it finds nothing of his upload here any more */
    if (code == 413) m8_http_reply(u->r, 413, "text/plain; charset=utf-8", text, strlen(text));
    else m8_http_refuse(u->r, code, "%s", text);
}

static void upload_finish(struct upload *u)
{
    m8_status st = m8_multipart_finish(u->parts, &u->err);
    json_t *paths = json_array();
    if (!st && !paths) st = m8_fail(&u->err, M8_E_NOMEM, "upload: out of memory");
    for (size_t i = 0; !st && i < u->n; i++)
        if (json_array_append_new(paths, json_string(u->drafts[i].path))) st = m8_fail(&u->err, M8_E_NOMEM, "upload: out of memory");
    for (size_t i = 0; !st && i < u->n; i++) st = m8__draft_keep(&u->drafts[i], "", u->user, &u->err);
    if (st) {
        json_decref(paths);
        upload_refuse(u, st);
        return;
    }
    if (u->progress) {
        tell(u->progress, "data: {\"msg\":\"done\"}\n\n");
        u->progress->done = true;
    }
    u->answered = true;
    m8__reply_json(u->r, 200, paths);
}

static void upload_body(m8_http_req *r, const char *data, size_t n, void *user)
{
    struct upload *u = m8_http_user(r);
    (void)user;
    if (!u || u->answered) return;
    if (!n) {
        upload_finish(u);
        return;
    }
    m8_status st = m8_multipart_push(u->parts, data, n, &u->err);
    if (st) upload_refuse(u, st);
}

static void watch_begin(struct upload *u, const char *id)
{
    struct progress *p = progress_find(u->all, id);
    if (p && p->begun) return; /* an id that is used twice tells of the first */
    if (!p) p = progress_new(u->all, id);
    if (!p) return;
    u->progress = p;
    p->begun = true;
    p->until = 0;
    for (struct watcher *w = p->watchers; w; w = w->next) m8_http_begin(w->r, 200, "text/event-stream");
}

static m8_status count_upload(struct upload *u)
{
    pthread_mutex_lock(&u->app->lock);
    struct m8__charge *c = m8__charge_get(m8__files_charges(u->app), u->who);
    m8_status st = !c ? M8_E_NOMEM : c->uploads >= M8__UPLOADS_EACH ? M8_E_LIMIT : M8_OK;
    if (!st) {
        c->uploads++;
        u->charge = c;
    }
    pthread_mutex_unlock(&u->app->lock);
    if (st) m8_fail(&u->err, st, st == M8_E_LIMIT ? "Too many uploads at once" : "upload: out of memory");
    if (st == M8_E_LIMIT) u->status = 429;
    return st;
}

static void upload_begin(m8_http_req *r, void *user)
{
    struct m8__uploads *all = user;
    const char *type = m8_http_header(r, "content-type"), *id = m8_http_arg(r, "upload_id"), *name = m8__auth_user(all->app, r);
    char who[300];
    struct upload *u = m8_calloc(1, sizeof *u);
    if (!u) {
        m8_http_refuse(r, 500, "Out of memory");
        return;
    }
    *u = (struct upload){ .all = all, .app = all->app, .r = r };
    m8_http_on_end(r, upload_gone, u);
    m8_http_set_user(r, u);
    m8__who(all->app, r, who, sizeof who);
    u->who = m8_strdup(who);
    u->user = name ? m8_strdup(name) : NULL;
    m8_status st = u->who && (u->user || !name) ? count_upload(u) : m8_fail(&u->err, M8_E_NOMEM, "upload: out of memory");
    if (!st) {
        m8_error why = {0};
        st = m8_multipart_new(&u->parts, type ? type : "", (m8_multipart_sink){ part_begin, part_data, part_end, u }, &why);
        if (st) m8_fail(&u->err, st, "%s", st == M8_E_FORMAT ? "Invalid content type." : m8_error_text(&why));
    }
    if (st) upload_refuse(u, st);
    else if (id) watch_begin(u, id);
}

m8_status m8__uploads_open(m8_blocks *app, struct m8__uploads **out, m8_error *err)
{
    struct m8__uploads *u = *out = m8_calloc(1, sizeof *u);
    if (!u) return m8_fail(err, M8_E_NOMEM, "uploads: out of memory");
    u->app = app;
    uint64_t most = app->launch.max_session_bytes ? app->launch.max_session_bytes : M8__SESSION_BYTES;
    m8_status st = m8__route(app, (m8_route){ .method = "POST", .path = M8__PREFIX "/upload", .handler = upload_begin, .body = upload_body,
                                              .max_body = most + (1 << 20), .user = u }, err);
    if (!st) st = m8__route(app, (m8_route){ .method = "GET", .path = M8__PREFIX "/upload_progress", .handler = get_progress, .user = u }, err);
    return st;
}

void m8__uploads_close(struct m8__uploads *u)
{
    if (!u) return;
    for (struct progress *p = u->progress, *next; p; p = next) {
        next = p->next;
        for (struct watcher *w = p->watchers, *after; w; w = after) {
            after = w->next;
            m8_free(w);
        }
        m8_buf_finish(&p->told);
        m8_free(p);
    }
    m8_free(u);
}
