/* A pull: what it needs is found first and told (the plan), then fetched. */
#include "hub_internal.h"
#include <string.h>
#include <sys/stat.h>

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

struct job {
    const struct m8__model *m;   /* of the catalog, or NULL: a repo */
    char *repo;                  /* owned */
    const char *revision;
    const char *const *names;    /* [n_names] of a repo; none: all */
    size_t n_names;
    const char *one[1];
    m8_hub_file *listed;         /* [n_listed] what the hub has, where it was asked */
    size_t n_listed;
    char commit[41];
    bool here;                   /* nothing to do */
};

static void job_finish(struct job *j)
{
    m8_free(j->repo);
    m8_free(j->listed);
}

/* The commit and what files it has. */
static m8_status list_repo(m8_hub *hub, struct job *j, m8_error *err)
{
    char *escaped = m8__url_escape(j->revision, false),
         *path = escaped ? m8_sprintf("/api/models/%s/revision/%s?blobs=true", j->repo, escaped) : NULL;
    m8_buf reply = { 0 };
    m8_status st = path ? m8__api_get(hub, path, j->repo, j->revision, &reply, err) : no_memory(err);
    if (!st) st = m8__api_revision(reply.data ? reply.data : "", reply.len, j->commit, &j->listed, &j->n_listed, err);
    m8_buf_finish(&reply);
    m8_free(escaped);
    m8_free(path);
    return st;
}

static const m8_hub_file *find_listed(const struct job *j, const char *name)
{
    for (size_t i = 0; i < j->n_listed; i++)
        if (!strcmp(j->listed[i].name, name)) return &j->listed[i];
    return NULL;
}

static size_t n_wanted(const struct job *j) { return j->m ? j->m->pub.n_files : j->n_names ? j->n_names : j->n_listed; }

static const char *wanted(const struct job *j, size_t i)
{
    return j->m ? j->m->pub.files[i].name : j->n_names ? j->names[i] : j->listed[i].name;
}

static bool can_skip(const struct job *j, size_t i)
{
    return j->m && j->m->origins[i].optional && !find_listed(j, wanted(j, i));
}

static int64_t size_of(const char *path) /* 0: not there */
{
    struct stat s;
    return path && !stat(path, &s) && S_ISREG(s.st_mode) ? s.st_size : 0;
}

/* Add file i to the plan, if it is not here. Names and sizes are believed here; hashes are checked when it is its turn. */
static m8_status plan_file(const struct m8__repo *r, const struct job *j, size_t i, m8_hub_plan *plan, m8_error *err)
{
    const m8_hub_file *f = j->m && j->m->pub.revision ? &j->m->pub.files[i] : find_listed(j, wanted(j, i));
    const char *etag = j->m && j->m->pub.revision ? j->m->origins[i].etag : f && f->sha256 ? f->sha256 : NULL;
    char *blob = etag ? m8_join_path(r->blobs, etag) : m8__repo_snapshot(r, j->commit, wanted(j, i));
    char *part = blob ? m8_sprintf("%s.incomplete", blob) : NULL;
    if (!part) {
        m8_free(blob);
        return no_memory(err);
    }
    if (!m8_is_file(blob)) {
        int64_t size = f ? f->size : -1, have = size_of(part);
        plan->n_files++;
        if (size < 0) plan->more = true;
        else plan->fetch += have < size ? size - have : 0;
    }
    m8_free(blob);
    m8_free(part);
    return M8_OK;
}

/* Are all files that were named in the snapshot that the revision stands for? */
static m8_status all_here(const struct m8__repo *r, struct job *j, m8_error *err)
{
    char commit[41];
    m8_status st = m8__repo_ref(r, j->revision, commit, NULL);
    if (st) return st == M8_E_NOMEM ? no_memory(err) : M8_OK;
    j->here = j->n_names > 0;
    for (size_t i = 0; j->here && i < j->n_names; i++) {
        char *path = m8__repo_snapshot(r, commit, j->names[i]);
        if (!path) return no_memory(err);
        j->here = m8_is_file(path);
        m8_free(path);
    }
    return M8_OK;
}

static m8_status find_what(m8_hub *hub, const struct m8__repo *r, struct job *j, m8_error *err)
{
    m8_status st;
    m8_error why = { 0 };
    if (!j->m) {
        st = all_here(r, j, err);
        j->here = j->here && (hub->offline || m8__name_is_commit(j->revision));
    } else {
        st = m8__find_snapshot(r, j->m, j->commit, &why);
        j->here = !st;
        st = st == M8_E_NOMEM ? no_memory(err) : M8_OK;
    }
    if (st || j->here || (j->m && j->m->pub.revision)) return st;
    if (hub->offline)
        return m8_fail(err, M8_E_NOTFOUND, "%s is not here, or not all of it, and the network is not to be used (offline)",
                       j->m ? j->m->pub.id : j->repo);
    st = list_repo(hub, j, err);
    for (size_t i = 0; !st && j->m && i < j->m->pub.n_files; i++)
        if (!can_skip(j, i) && !find_listed(j, wanted(j, i)))
            st = m8_fail(err, M8_E_NOTFOUND, "%s: %s has no file %.100s any more", j->m->pub.id, j->repo, wanted(j, i));
    return st;
}

static m8_status prepare(m8_hub *hub, struct job *j, m8_hub_plan *plan, m8_error *err)
{
    struct m8__repo r;
    m8_status st = m8__repo_init(&r, hub->cache, j->repo, err);
    if (st) return st;
    st = find_what(hub, &r, j, err);
    for (size_t i = 0; !st && !j->here && i < n_wanted(j); i++)
        if (!can_skip(j, i)) st = plan_file(&r, j, i, plan, err);
    m8__repo_finish(&r);
    return st;
}

/* ---- what the hub alone has */

static m8_status pull_listed(m8_hub *hub, const struct job *j, m8_error *err)
{
    struct m8__repo r = { 0 };
    m8_status st = m8__repo_init(&r, hub->cache, j->repo, err);
    for (size_t i = 0; !st && i < n_wanted(j); i++) {
        char got[41];
        if (!can_skip(j, i)) st = m8__fetch(hub, &r, &(struct m8__want){ j->repo, j->commit, wanted(j, i), -1, NULL }, got, err);
    }
    if (!st) st = m8__repo_make(&r, err);
    if (!st) st = m8__repo_set_ref(&r, j->revision, j->commit, err);
    m8__repo_finish(&r);
    return st;
}

static m8_status tell_here(m8_hub *hub, const struct job *j, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t i = 0; !st && j->m && i < j->m->pub.n_files; i++) {
        const m8_hub_file *f = &j->m->pub.files[i];
        int64_t size = f->size > 0 ? f->size : 0;
        st = m8__progress(hub, &(m8_hub_progress){ f->name, "cache", size, size, 0, true });
        if (st) m8_fail(err, st, "%s", m8_status_text(st));
    }
    return st;
}

static m8_status run(m8_hub *hub, const struct job *j, m8_error *err)
{
    if (j->here) return tell_here(hub, j, err);
    return j->m && j->m->pub.revision ? m8__pull_model(hub, j->m, err) : pull_listed(hub, j, err);
}

/* ---- the call */

static m8_status model_job(struct job *j, const struct m8__model *m, m8_error *err)
{
    *j = (struct job){ .m = m, .repo = m8_strdup(m->pub.repo), .revision = "main" };
    return j->repo ? M8_OK : no_memory(err);
}

/* "org/name/FILE" is that file of the repo, as m8_hub_path has it. */
static m8_status repo_job(struct job *j, const char *name, const m8_hub_pull_opts *o, m8_error *err)
{
    const char *slash = strchr(name, '/'), *file = slash && !o->n_files ? strchr(slash + 1, '/') : NULL;
    *j = (struct job){ .repo = file ? m8_strndup(name, (size_t)(file - name)) : m8_strdup(name), .names = o->files, .n_names = o->n_files,
                       .revision = o->revision ? o->revision : "main" };
    if (!j->repo) return no_memory(err);
    if (file) {
        j->one[0] = file + 1;
        j->names = j->one;
        j->n_names = 1;
    }
    if (!slash || !m8__name_is_repo(j->repo))
        return m8_fail(err, M8_E_ARG, "%.100s: not a set, a model of the catalog, or a repo (ORG/NAME)", j->repo);
    if (!m8__name_is_revision(j->revision)) return m8_fail(err, M8_E_ARG, "%.100s: not a revision", j->revision);
    for (size_t i = 0; i < j->n_names; i++)
        if (!m8__name_is_path(j->names[i])) return m8_fail(err, M8_E_ARG, "%.100s: not the name of a file in a repo", j->names[i]);
    return M8_OK;
}

static m8_status pull_all(m8_hub *hub, struct job *jobs, size_t n, const m8_hub_pull_opts *o, m8_error *err)
{
    m8_hub_plan plan = { .free = m8__free(hub->cache) };
    m8_status st = M8_OK;
    for (size_t i = 0; !st && i < n; i++) st = prepare(hub, &jobs[i], &plan, err);
    if (!st && o->plan && !hub->offline) {
        st = o->plan(o->user, &plan);
        if (st) m8_fail(err, st, "%s", m8_status_text(st));
    }
    if (!st) st = m8__room(hub->cache, plan.fetch, err);
    for (size_t i = 0; !st && i < n; i++) st = run(hub, &jobs[i], err);
    return st;
}

m8_status m8_hub_pull(m8_hub *hub, const char *name, const m8_hub_pull_opts *opts, m8_error *err)
{
    static const m8_hub_pull_opts none = { 0 };
    const m8_hub_pull_opts *o = opts ? opts : &none;
    const struct m8__set *set = m8__catalog_set(&hub->catalog, name);
    const struct m8__model *m = m8__catalog_find(&hub->catalog, name);
    size_t n = set ? set->n_models : 1;
    if ((set || m) && (o->n_files || o->revision))
        return m8_fail(err, M8_E_ARG, "%s is of the catalog, which says its files and revision", name);
    struct job *jobs = m8_calloc(n, sizeof *jobs);
    m8_status st = jobs ? M8_OK : no_memory(err);
    for (size_t i = 0; !st && i < n; i++)
        st = set || m ? model_job(&jobs[i], set ? set->models[i] : m, err) : repo_job(&jobs[i], name, o, err);
    hub->pull = o;
    if (!st) st = pull_all(hub, jobs, n, o, err);
    hub->pull = NULL;
    for (size_t i = 0; jobs && i < n; i++) job_finish(&jobs[i]);
    m8_free(jobs);
    return st;
}
