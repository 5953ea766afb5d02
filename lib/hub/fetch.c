/* One file from the hub into the cache.
 *
 *     HEAD resolve/REVISION/FILE -> etag, size, commit, where the bytes are
 *     blob there?  else GET (again and again, each time from where it broke) -> blobs/ETAG.incomplete -> checked -> blobs/ETAG
 *     snapshots/COMMIT/FILE -> blobs/ETAG
 *
 * Traps: the metadata of a large file is on the redirect, not behind it; the address it redirects to is signed, so it is used
 * byte for byte, without the token, and asked for anew when it has run out (403). */
#include "hub_internal.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_HOPS = 5 };

struct meta {
    char etag[M8__HASH_TEXT], commit[41];
    int64_t size;
    char *url; /* where the bytes are; owned */
};

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

/* Is it worth another try? If so, wait. Returns M8_OK to try again, else why not (err holds the failure itself). */
static m8_status try_again(struct m8_hub *hub, int *tries, const struct m8__reply *r, m8_status st, const m8_hub_progress *p,
                           m8_error *err)
{
    bool passing = st ? st == M8_E_NET || st == M8_E_TIMEOUT : m8__status_passing(r->status);
    if (!passing || hub->unreachable.status || *tries >= hub->retries) return st ? st : M8_E_NET;
    double wait = hub->retry_s * fmin((double)(1 << (*tries < 3 ? *tries : 3)), 8);
    if (r->retry_after_s >= 0) wait = r->retry_after_s + hub->retry_s;
    if (wait > 120) return st ? st : M8_E_NET;
    (*tries)++;
    m8_log(M8_LOG_INFO, "try %d of %d in %.1f s: %s", *tries + 1, hub->retries + 1, wait,
           st && err ? m8_error_text(err) : "the server is busy");
    st = m8__pause(hub, wait, p);
    if (err) *err = (m8_error){ 0 };
    return st ? m8_fail(err, st, "%s", m8_status_text(st)) : M8_OK;
}

/* ---- HEAD --------------------------------------------------------------------------------------------------------- */

struct head_call {
    struct m8_hub *hub;
    const m8_hub_progress *p;
};

static m8_status head_tick(void *user)
{
    struct head_call *c = user;
    return m8__progress(c->hub, c->p);
}

/* A HEAD of url, repeated while it fails for a passing reason. */
static m8_status head(struct m8_hub *hub, const char *url, const m8_hub_progress *p, struct m8__reply *r, m8_error *err)
{
    struct head_call call = { hub, p };
    struct m8__request q = { .url = url, .head = true, .token = true, .tick = head_tick, .user = &call };
    for (int tries = 0;;) {
        m8_error why = { 0 };
        m8_status st = m8__http(hub, &q, r, &why);
        if (!st && !m8__status_passing(r->status)) return M8_OK;
        m8_status again = try_again(hub, &tries, r, st, p, &why);
        if (again) {
            if (!st && !why.status) return M8_OK; /* the caller puts the status into words */
            if (err && !err->status) *err = why;
            return again;
        }
        m8__reply_finish(r);
    }
}

static m8_status file_url(char **url, const struct m8_hub *hub, const struct m8__want *w, m8_error *err)
{
    char *revision = m8__url_escape(w->revision, false), *file = m8__url_escape(w->file, true);
    *url = revision && file ? m8_sprintf("%s/%s/resolve/%s/%s", hub->endpoint, w->repo, revision, file) : NULL;
    m8_free(revision);
    m8_free(file);
    return *url ? M8_OK : no_memory(err);
}

/* What a reply says about the file; *more: it is a redirect that says nothing, to be followed. */
static m8_status take_meta(struct m8_hub *hub, const struct m8__want *w, struct meta *m, const struct m8__reply *r, char **url,
                           bool *more, m8_error *err)
{
    bool redirect = r->status >= 300 && r->status < 400 && r->location;
    m8_status st = M8_OK;
    char *next = NULL;
    *more = false;
    if (r->status != 200 && !redirect) return m8__api_fail(r, w->repo, w->revision, w->file, hub->token != NULL, err);
    if (redirect) st = m8__url_join(&next, *url, r->location, err);
    if (!st && redirect && !r->has_linked_etag) {
        if (!m8__same_origin(next, hub->endpoint))
            st = m8_fail(err, M8_E_NET, "%s: the hub redirects to another server without saying what the file is", w->file);
        m8_free(*url);
        *url = next;
        *more = !st;
        return st;
    }
    if (!st && (!r->etag[0] || !m8__name_is_commit(r->commit)))
        st = m8_fail(err, M8_E_NET, "%s: the server does not answer as a hub does", w->file);
    if (!st && m8__name_is_commit(w->revision) && strcmp(w->revision, r->commit))
        st = m8_fail(err, M8_E_NET, "%s: the hub answers with another commit", w->file);
    if (!st && redirect && !r->has_linked_size) st = m8_fail(err, M8_E_NET, "%s: the hub does not tell the size", w->file);
    if (!st && (r->size < 0 || r->size > INT64_C(1) << 42))
        st = m8_fail(err, M8_E_NET, "%s: the hub does not tell the size", w->file);
    if (!st && w->size >= 0 && r->size != w->size)
        st = m8_fail(err, M8_E_HASH, "%s: expected %" PRId64 " bytes, the hub has %" PRId64, w->file, w->size, r->size);
    if (!st) {
        strcpy(m->etag, r->etag);
        strcpy(m->commit, r->commit);
        m->size = r->size;
        if (redirect) m->url = next;
        else {
            m->url = *url;
            *url = NULL;
        }
        next = NULL;
    }
    m8_free(next);
    return st;
}

static m8_status resolve(struct m8_hub *hub, const struct m8__want *w, struct meta *m, m8_error *err)
{
    m8_hub_progress p = { .file = w->file, .source = "hub", .total = w->size > 0 ? w->size : 0 };
    char *url = NULL;
    bool more = true;
    *m = (struct meta){ 0 };
    m8_status st = file_url(&url, hub, w, err);
    for (int hops = 0; !st && more; hops++) {
        struct m8__reply r = { 0 };
        if (hops == MAX_HOPS) st = m8_fail(err, M8_E_NET, "%s: too many redirects", w->file);
        if (!st) st = head(hub, url, &p, &r, err);
        if (!st) st = take_meta(hub, w, m, &r, &url, &more, err);
        m8__reply_finish(&r);
    }
    m8_free(url);
    return st;
}

/* ---- GET ---------------------------------------------------------------------------------------------------------- */

struct get_call {
    struct m8_hub *hub;
    struct m8__part_file *part;
    const struct meta *m;
    m8_hub_progress p;
    int status;
};

static m8_status get_start(void *user, const struct m8__reply *r, m8_error *err)
{
    struct get_call *c = user;
    c->status = r->status;
    if (r->status == 206 && r->range_from == c->part->size) return M8_OK;
    if (r->status == 206) return m8_fail(err, M8_E_NET, "the server sends another range than was asked for");
    if (r->status == 200 && c->part->size) { /* it sends all: start over */
        c->p.resumed = 0;
        return m8__part_restart(c->part, err);
    }
    return M8_OK;
}

static m8_status get_body(void *user, const void *data, size_t n, m8_error *err)
{
    struct get_call *c = user;
    if (c->status != 200 && c->status != 206) return M8_OK; /* an error page */
    if (c->part->size + (int64_t)n > c->m->size)
        return m8_fail(err, M8_E_HASH, "%s: the server sends more than %" PRId64 " bytes", c->p.file, c->m->size);
    return m8__part_write(c->part, data, n, err);
}

static m8_status get_tick(void *user)
{
    struct get_call *c = user;
    c->p.done = c->part->size;
    return m8__progress(c->hub, &c->p);
}

/* GET url into the part, following redirects; *status is the last reply's. */
static m8_status get_once(struct get_call *c, const char *url, struct m8__reply *r, m8_error *err)
{
    char *at = m8_strdup(url);
    m8_status st = at ? M8_OK : no_memory(err);
    for (int hops = 0; !st; hops++) {
        struct m8__request q = {
            .url = at, .token = true, .from = c->part->size, .start = get_start, .body = get_body, .tick = get_tick, .user = c
        };
        m8__reply_finish(r);
        st = m8__http(c->hub, &q, r, err);
        if (st || r->status < 300 || r->status >= 400 || !r->location) break;
        char *next = NULL;
        st = hops == MAX_HOPS ? m8_fail(err, M8_E_NET, "too many redirects") : m8__url_join(&next, at, r->location, err);
        m8_free(at);
        at = next;
    }
    m8_free(at);
    return st;
}

/* Fill the part up to m->size. */
static m8_status download(struct m8_hub *hub, const struct m8__want *w, struct meta *m, struct m8__part_file *part, m8_error *err)
{
    struct get_call c = { hub, part, m, { .file = w->file, .source = "hub", .total = m->size, .resumed = part->size }, 0 };
    int tries = 0, renewed = 0;
    m8_status st = M8_OK;
    if (part->size > m->size) st = m8__part_restart(part, err);
    while (!st && part->size < m->size) {
        struct m8__reply r = { 0 };
        m8_error why = { 0 };
        int64_t before = part->size;
        m8_status got = get_once(&c, m->url, &r, &why);
        if (part->size > before) tries = 0; /* any progress */
        if (!got && (r.status == 200 || r.status == 206)) {
            if (part->size < m->size)
                got = m8_fail(&why, M8_E_NET, "%s: the server ended it at %" PRId64 " of %" PRId64 " bytes", w->file, part->size,
                              m->size);
        } else if (!got && r.status == 416) {
            st = m8__part_restart(part, err);
            got = m8_fail(&why, M8_E_NET, "%s: the server refuses the range", w->file);
        } else if (!got && r.status == 403 && renewed < 3 && !m8__same_origin(m->url, hub->endpoint)) {
            renewed++; /* the signed address has run out */
            m8_free(m->url);
            char had[M8__HASH_TEXT];
            strcpy(had, m->etag);
            st = resolve(hub, w, m, err);
            if (!st && strcmp(had, m->etag))
                st = m8_fail(err, M8_E_NET, "%s: it changed on the hub while it was fetched", w->file);
            m8__reply_finish(&r);
            continue;
        } else if (!got && !m8__status_passing(r.status)) {
            st = m8__api_fail(&r, w->repo, w->revision, w->file, hub->token != NULL, err);
        } else if (!got) {
            m8__api_fail(&r, w->repo, w->revision, w->file, hub->token != NULL, &why);
        }
        if (!st && part->size < m->size) {
            m8_error said = why;
            m8_status again = try_again(hub, &tries, &r, got, &c.p, &why);
            if (again && err && !err->status) *err = why.status ? why : said;
            st = again;
        }
        m8__reply_finish(&r);
    }
    return st;
}

/* The blob, by download or because it is there; the lock of its etag is held. */
static m8_status get_blob(struct m8_hub *hub, const struct m8__repo *r, const struct m8__want *w, struct meta *m, m8_error *err)
{
    char *blob = m8_join_path(r->blobs, m->etag);
    if (!blob) return no_memory(err);
    const char *sha256 = w->sha256 ? w->sha256 : strlen(m->etag) == 64 ? m->etag : NULL;
    m8_status st = m8__repo_check(r, blob, m->etag, m->size, sha256, NULL);
    m8_free(blob);
    if (!st) return M8_OK;
    st = M8_OK;
    for (int round = 0; round < 2; round++) { /* a part from before may hold other bytes: then once more from nothing */
        struct m8__part_file part;
        m8_error why = { 0 };
        st = m8__part_open(&part, r, m->etag, true, &why);
        bool resumed = !st && part.size;
        if (!st) st = m8__room(r->blobs, m->size - part.size, &why);
        if (!st) st = download(hub, w, m, &part, &why);
        if (!st) st = m8__part_commit(&part, r, m->etag, m->size, w->sha256, &why);
        m8__part_close(&part);
        if (st != M8_E_HASH || !resumed) {
            if (st && err && !err->status) *err = why;
            break;
        }
    }
    return st ? m8_wrap(err, st, "%s", w->file) : M8_OK;
}

m8_status m8__fetch(struct m8_hub *hub, const struct m8__repo *r, const struct m8__want *w, char commit[41], m8_error *err)
{
    struct meta m;
    int lock = -1;
    m8_status st = resolve(hub, w, &m, err);
    if (!st) st = m8__repo_make(r, err);
    if (!st) st = m8__repo_lock(&lock, hub, r, m.etag, err);
    if (!st) st = get_blob(hub, r, w, &m, err);
    if (!st) st = m8__repo_link(r, m.commit, w->file, m.etag, err);
    if (!st) {
        memcpy(commit, m.commit, 41);
        st = m8__progress(hub, &(m8_hub_progress){ w->file, "hub", m.size, m.size, 0, true });
        if (st) m8_fail(err, st, "%s", m8_status_text(st));
    }
    if (lock >= 0) m8_sys_get()->close(lock);
    m8_free(m.url);
    return st;
}

/* ---- the API ------------------------------------------------------------------------------------------------------ */

struct api_call {
    struct m8_hub *hub;
    m8_buf *out;
    m8_hub_progress p;
};

static m8_status api_body(void *user, const void *data, size_t n, m8_error *err)
{
    struct api_call *c = user;
    m8_buf_add(c->out, data, n);
    return c->out->status ? m8_fail(err, c->out->status, "the hub's reply: %s", m8_status_text(c->out->status)) : M8_OK;
}

static m8_status api_tick(void *user)
{
    struct api_call *c = user;
    return m8__progress(c->hub, &c->p);
}

m8_status m8__api_get(struct m8_hub *hub, const char *path, const char *repo, const char *revision, m8_buf *out, m8_error *err)
{
    struct api_call c = { hub, out, { .file = repo, .source = "hub" } };
    char *url = m8_sprintf("%s%s", hub->endpoint, path);
    m8_status st = url ? M8_OK : no_memory(err);
    out->limit = M8__MAX_REPLY;
    for (int tries = 0, hops = 0; !st;) {
        struct m8__request q = { .url = url, .token = true, .body = api_body, .tick = api_tick, .user = &c };
        struct m8__reply r = { 0 };
        m8_error why = { 0 };
        m8_buf_clear(out);
        st = m8__http(hub, &q, &r, &why);
        if (!st && r.status == 200) {
            m8__reply_finish(&r);
            break;
        }
        if (!st && r.status >= 300 && r.status < 400 && r.location && hops++ < MAX_HOPS) { /* a repo that was renamed */
            char *next = NULL;
            st = m8__url_join(&next, url, r.location, err);
            if (!st && !m8__same_origin(next, hub->endpoint))
                st = m8_fail(err, M8_E_NET, "%s: the hub redirects to another server", repo);
            m8_free(url);
            url = next;
        } else {
            if (!st) m8__api_fail(&r, repo, revision, NULL, hub->token != NULL, &why);
            m8_error said = why;
            m8_status again = try_again(hub, &tries, &r, st, &c.p, &why);
            if (again && err && !err->status) *err = why.status ? why : said;
            st = again;
        }
        m8__reply_finish(&r);
    }
    m8_free(url);
    return st;
}
