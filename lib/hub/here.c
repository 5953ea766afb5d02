/* What is in the cache, and where. */
#include "hub_internal.h"
#include <string.h>
#include <unistd.h>

static m8_status no_memory(m8_error *err) { return m8_fail(err, M8_E_NOMEM, "out of memory"); }

/* Of a file that the catalog does not know more of than its name, the blob's name tells what it should be. */
static m8_status check_loose(const struct m8__repo *r, const char *path, m8_error *err)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    const char *slash = strrchr(target, '/'), *etag = slash ? slash + 1 : "";
    return m8__repo_check(r, path, etag, -1, m8__name_is_hex(etag, 64) ? etag : NULL, err);
}

/* Are all files of a model in the snapshot of this commit, whole and right? M8_E_NOTFOUND: one is missing. */
static m8_status check_snapshot(const struct m8__repo *r, const struct m8__model *m, const char *commit, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t i = 0; !st && i < m->pub.n_files; i++) {
        const m8_hub_file *f = &m->pub.files[i];
        char *path = m8__repo_snapshot(r, commit, f->name);
        if (!path) st = no_memory(err);
        else if (m->pub.revision) st = m8__repo_check(r, path, m->origins[i].etag, f->size, f->sha256, err);
        else if (!m->origins[i].optional || m8_is_file(path)) st = check_loose(r, path, err);
        m8_free(path);
    }
    return st;
}

/* The snapshot that holds the model: the catalog's own commit, or the one that main stands for, fetched by another tool. */
m8_status m8__find_snapshot(const struct m8__repo *r, const struct m8__model *m, char commit[41], m8_error *err)
{
    char main[41];
    m8_error why = { 0 };
    if (!m->pub.revision) {
        m8_status kept = m8__repo_ref(r, "main", commit, err);
        return kept ? kept : check_snapshot(r, m, commit, err);
    }
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
    st = m8__find_snapshot(&r, m, commit, &why);
    if (st == M8_E_NOTFOUND) m8_fail(err, st, "%s is not here", m->pub.id);
    else if (st == M8_E_HASH) m8_fail(err, st, "%s is damaged", m->pub.id);
    else if (st && err && !err->status) *err = why;
    if (!st) *path = m8__repo_snapshot(&r, commit, m->pub.main);
    m8__repo_finish(&r);
    return st || *path ? st : no_memory(err);
}

m8_status m8_hub_made(m8_hub *hub, const char *id, char **path, m8_error *err)
{
    const struct m8__model *m = m8__catalog_find(&hub->catalog, id);
    struct m8__repo r;
    char commit[41];
    *path = NULL;
    if (!m || !m->pub.type) return m8_fail(err, M8_E_ARG, "%.100s: nothing is made of it", id);
    m8_error why = { 0 };
    m8_status st = m8__repo_init(&r, hub->cache, m->pub.repo, err);
    if (st) return st;
    st = m8__find_snapshot(&r, m, commit, &why);
    if (st == M8_E_NOTFOUND) m8_fail(err, st, "%s is not here", id);
    else if (st && err && !err->status) *err = why;
    if (!st) *path = m8_sprintf("%s/%s.%s.gguf", r.checked, commit, m->pub.type);
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

