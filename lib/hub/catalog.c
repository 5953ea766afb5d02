/* The catalog of models, read strictly: an unknown key, a missing one, a name that could leave its folder or a hash of the wrong
 * length refuses the whole file. Everything lives in one arena. */
#include "hub_internal.h"
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

struct reader {
    struct m8__catalog *c;
    const char *where; /* id of the model, for the error line */
    m8_error *err;
};

static m8_status bad(struct reader *r, const char *what, const char *why)
{
    return m8_fail(r->err, M8_E_FORMAT, "catalog: %s%s%.80s: %s", r->where ? r->where : "", r->where ? ": " : "", what, why);
}

static void *take(struct reader *r, size_t n, size_t size, m8_status *st)
{
    void *p = *st ? NULL : m8_arena_take(r->c->arena, n * size + 1);
    if (!p && !*st) *st = m8_fail(r->err, M8_E_NOMEM, "catalog: out of memory");
    return p;
}

static const char *copy(struct reader *r, const char *s, m8_status *st)
{
    char *p = take(r, strlen(s) + 1, 1, st);
    return p ? strcpy(p, s) : NULL;
}

/* Every key of object is one of names (blanks between). */
static m8_status only(struct reader *r, const json_t *object, const char *what, const char *names)
{
    if (!json_is_object(object)) return bad(r, what, "expected an object");
    for (void *i = json_object_iter((json_t *)object); i; i = json_object_iter_next((json_t *)object, i)) {
        const char *key = json_object_iter_key(i), *at = names;
        size_t n = strlen(key);
        bool known = false;
        while (n && !known && (at = strstr(at, key))) {
            known = (at == names || at[-1] == ' ') && (at[n] == ' ' || !at[n]);
            at++;
        }
        if (!known) return bad(r, key, "unknown key");
    }
    return M8_OK;
}

/* The text under key, checked by ok (NULL: 1 to 200 printable characters); absent is an error unless optional. */
static m8_status text(struct reader *r, const char **out, const json_t *object, const char *key, bool (*ok)(const char *),
                      bool optional)
{
    const json_t *v = json_object_get(object, key);
    *out = NULL;
    if (!v && optional) return M8_OK;
    if (!json_is_string(v)) return bad(r, key, "expected a text");
    const char *s = json_string_value(v);
    bool good = *s && strlen(s) <= M8__MAX_NAME;
    for (const char *p = s; *p && !ok; p++) good = good && (unsigned char)*p >= 0x20 && *p != 0x7F && p - s < 200;
    if (!good || (ok && !ok(s))) return bad(r, key, "not allowed here");
    m8_status st = M8_OK;
    *out = copy(r, s, &st);
    return st;
}

static bool is_id(const char *s)
{
    return m8__name_is_repo(s) && !strchr(s, '/') && strlen(s) <= 64;
}
static bool is_sha256(const char *s) { return m8__name_is_hex(s, 64); }
static bool is_role(const char *s) { return !strcmp(s, "asr") || !strcmp(s, "llm") || !strcmp(s, "tts"); }

static m8_status read_parts(struct reader *r, struct m8__origin *o, const json_t *parts)
{
    m8_status st = M8_OK;
    if (!parts) return st;
    if (!json_is_array(parts) || json_array_size(parts) > 100) return bad(r, "parts", "expected a list");
    struct m8__part *list = take(r, json_array_size(parts), sizeof *list, &st);
    for (size_t i = 0; !st && i < json_array_size(parts); i++) {
        const json_t *p = json_array_get(parts, i);
        st = only(r, p, "parts", "package member");
        if (!st) st = text(r, &list[i].package, p, "package", m8__name_is_package, false);
        if (!st) st = text(r, &list[i].member, p, "member", m8__name_is_path, false);
        if (!st && !m8__catalog_package_size(r->c, list[i].package)) st = bad(r, list[i].package, "not among the packages");
        if (!st) o->n_parts = i + 1;
    }
    o->parts = list;
    return st;
}

/* A number of bytes. */
static m8_status bytes(struct reader *r, int64_t *out, const json_t *object, const char *key, const char *where, bool optional)
{
    const json_t *v = json_object_get(object, key);
    *out = 0;
    if (!v && optional) return M8_OK;
    if (!json_is_integer(v) || json_integer_value(v) <= 0 || json_integer_value(v) > INT64_C(1) << 42)
        return bad(r, where, "size out of range");
    *out = json_integer_value(v);
    return M8_OK;
}

/* Of a model without a revision: what it is the hub says. */
static m8_status read_loose_file(struct reader *r, m8_hub_file *f, struct m8__origin *o, const json_t *j)
{
    m8_status st = only(r, j, "files", "name optional");
    if (!st) st = text(r, &f->name, j, "name", m8__name_is_path, false);
    const json_t *optional = json_object_get(j, "optional");
    if (!st && optional && !json_is_boolean(optional)) st = bad(r, f->name, "optional: expected true or false");
    o->optional = json_is_true(optional);
    f->size = -1;
    return st;
}

static m8_status read_file(struct reader *r, m8_hub_file *f, struct m8__origin *o, const json_t *j)
{
    m8_status st = only(r, j, "files", "name size sha256 git parts");
    if (!st) st = text(r, &f->name, j, "name", m8__name_is_path, false);
    if (!st) st = text(r, &f->sha256, j, "sha256", is_sha256, false);
    if (!st) st = text(r, &o->etag, j, "git", m8__name_is_commit, true);
    if (st) return st;
    if (!o->etag) o->etag = f->sha256;
    st = bytes(r, &f->size, j, "size", f->name, false);
    return st ? st : read_parts(r, o, json_object_get(j, "parts"));
}

static m8_status read_model(struct reader *r, struct m8__model *m, const json_t *j)
{
    m8_hub_model *p = &m->pub;
    r->where = NULL;
    m8_status st = only(r, j, "models", "id role family licence repo revision main memory type files");
    if (!st) st = text(r, &p->id, j, "id", is_id, false);
    if (st) return st;
    r->where = p->id;
    if (m8__catalog_find(r->c, p->id) || m8__catalog_set(r->c, p->id)) return bad(r, "id", "there are two of that name");
    st = text(r, &p->role, j, "role", is_role, false);
    if (!st) st = text(r, &p->family, j, "family", is_id, false);
    if (!st) st = text(r, &p->licence, j, "licence", NULL, false);
    if (!st) st = text(r, &p->repo, j, "repo", m8__name_is_repo, false);
    if (!st) st = text(r, &p->revision, j, "revision", m8__name_is_commit, true);
    if (!st) st = text(r, &p->type, j, "type", is_id, true);
    if (!st) st = bytes(r, &p->memory, j, "memory", "memory", true);
    if (!st) st = text(r, &p->main, j, "main", m8__name_is_path, true);
    const json_t *files = json_object_get(j, "files");
    size_t n = json_array_size(files);
    if (!st && (!json_is_array(files) || !n || n > 1000)) st = bad(r, "files", "expected a list of 1 to 1000");
    m8_hub_file *list = take(r, n, sizeof *list, &st);
    struct m8__origin *origins = take(r, n, sizeof *origins, &st);
    bool has_main = !p->main;
    for (size_t i = 0; !st && i < n; i++) {
        st = (p->revision ? read_file : read_loose_file)(r, &list[i], &origins[i], json_array_get(files, i));
        for (size_t k = 0; !st && k < i; k++)
            if (!strcmp(list[k].name, list[i].name)) st = bad(r, list[i].name, "there are two of that name");
        if (!st && p->main && !strcmp(p->main, list[i].name) && !origins[i].optional) has_main = true;
        if (!st && p->revision) p->size += list[i].size;
    }
    if (!st && !has_main) st = bad(r, "main", "not among the files");
    p->files = list;
    p->n_files = n;
    m->origins = origins;
    return st;
}

static m8_status read_packages(struct reader *r, const json_t *j)
{
    m8_status st = M8_OK;
    if (!json_is_object(j)) return bad(r, "packages", "expected an object");
    size_t n = json_object_size(j), i = 0;
    struct m8__package *list = take(r, n, sizeof *list, &st);
    r->c->packages = list;
    for (void *it = json_object_iter((json_t *)j); !st && it; it = json_object_iter_next((json_t *)j, it), i++) {
        const json_t *size = json_object_iter_value(it);
        if (!m8__name_is_package(json_object_iter_key(it))) return bad(r, "packages", "expected NAME==VERSION");
        if (!json_is_integer(size) || json_integer_value(size) <= 0 || json_integer_value(size) > INT64_C(1) << 40)
            return bad(r, json_object_iter_key(it), "size out of range");
        list[i] = (struct m8__package){ copy(r, json_object_iter_key(it), &st), json_integer_value(size) };
        if (!st) r->c->n_packages = i + 1;
    }
    return st;
}

static m8_status read_sets(struct reader *r, const json_t *j)
{
    m8_status st = M8_OK;
    if (!json_is_object(j)) return bad(r, "sets", "expected an object");
    r->where = NULL;
    size_t n = json_object_size(j), i = 0;
    struct m8__set *list = take(r, n, sizeof *list, &st);
    r->c->sets = list;
    for (void *it = json_object_iter((json_t *)j); !st && it; it = json_object_iter_next((json_t *)j, it), i++) {
        const char *name = json_object_iter_key(it);
        const json_t *ids = json_object_iter_value(it);
        if (!is_id(name) || m8__catalog_find(r->c, name)) return bad(r, name, "not a name for a set");
        if (!json_is_array(ids) || json_array_size(ids) > 100) return bad(r, name, "expected a list of models");
        const struct m8__model **models = take(r, json_array_size(ids), sizeof *models, &st);
        for (size_t k = 0; !st && k < json_array_size(ids); k++) {
            const char *id = json_string_value(json_array_get(ids, k));
            models[k] = id ? m8__catalog_find(r->c, id) : NULL;
            if (!models[k]) return bad(r, name, "names a model that is not there");
        }
        if (st) return st;
        list[i] = (struct m8__set){ copy(r, name, &st), models, json_array_size(ids) };
        if (!st) r->c->n_sets = i + 1;
    }
    return st;
}

m8_status m8__catalog_read(struct m8__catalog *c, const char *data, size_t n, m8_error *err)
{
    *c = (struct m8__catalog){ .arena = m8_arena_new(0) };
    if (!c->arena) return m8_fail(err, M8_E_NOMEM, "catalog: out of memory");
    struct reader r = { c, NULL, err };
    json_error_t why;
    json_t *j = json_loadb(data, n, JSON_REJECT_DUPLICATES, &why);
    m8_status st = M8_OK;
    /* jansson tells of most failed allocations by no text at all */
    if (!j && (!why.text[0] || json_error_code(&why) == json_error_out_of_memory))
        st = m8_fail(err, M8_E_NOMEM, "catalog: out of memory");
    else if (!j) st = m8_fail(err, M8_E_FORMAT, "catalog: line %d: %s", why.line, why.text);
    if (!st) st = only(&r, j, "catalog", "version sets packages models");
    if (!st && json_integer_value(json_object_get(j, "version")) != 1) st = bad(&r, "version", "expected 1");
    if (!st) st = read_packages(&r, json_object_get(j, "packages"));
    const json_t *models = json_object_get(j, "models");
    if (!st && (!json_is_array(models) || json_array_size(models) > 1000)) st = bad(&r, "models", "expected a list");
    if (!st) c->models = take(&r, json_array_size(models), sizeof *c->models, &st);
    for (size_t i = 0; !st && i < json_array_size(models); i++) {
        st = read_model(&r, &c->models[i], json_array_get(models, i));
        if (!st) c->n_models = i + 1;
    }
    if (!st) st = read_sets(&r, json_object_get(j, "sets"));
    json_decref(j);
    if (st) m8__catalog_finish(c);
    return st;
}

void m8__catalog_finish(struct m8__catalog *c)
{
    m8_arena_free(c->arena);
    *c = (struct m8__catalog){ 0 };
}

const struct m8__model *m8__catalog_find(const struct m8__catalog *c, const char *id)
{
    for (size_t i = 0; i < c->n_models; i++)
        if (!strcmp(c->models[i].pub.id, id)) return &c->models[i];
    return NULL;
}

const struct m8__set *m8__catalog_set(const struct m8__catalog *c, const char *name)
{
    for (size_t i = 0; i < c->n_sets; i++)
        if (!strcmp(c->sets[i].name, name)) return &c->sets[i];
    return NULL;
}

int64_t m8__catalog_package_size(const struct m8__catalog *c, const char *package)
{
    for (size_t i = 0; i < c->n_packages; i++)
        if (!strcmp(c->packages[i].name, package)) return c->packages[i].size;
    return 0;
}
