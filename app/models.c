/* From what a person calls a model to where it lies. */
#include "models.h"
#include <m8/hub.h>
#include <string.h>

/* The default set's model for a role, NULL if it has none. */
static const char *default_id(const m8_hub *hub, const char *role)
{
    const m8_hub_model *m;
    for (size_t i = 0; (m = m8_hub_set_at(hub, "default", i)); i++)
        if (!strcmp(m->role, role)) return m->id;
    return NULL;
}

m8_status model_in_cache(m8_hub *hub, const char *name, char **path, m8_error *err)
{
    const m8_hub_model *known = m8_hub_find(hub, name);
    if (!known || !known->type) return m8_hub_path(hub, name, path, err);
    m8_status st = m8_hub_made(hub, name, path, err);
    if (st || m8_is_file(*path)) return st;
    m8_free(*path);
    return m8_hub_path(hub, name, path, err);
}

m8_status find_model(char **path, const char *role, const char *given, m8_error *err)
{
    *path = NULL;
    if (given && (m8_is_file(given) || m8_is_dir(given))) {
        *path = m8_strdup(given);
        return *path ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
    }
    m8_hub *hub;
    m8_error why = { 0 };
    m8_status st = m8_hub_open(&hub, NULL, err);
    if (st) return st;
    const char *id = given ? given : default_id(hub, role);
    const m8_hub_model *known = id ? m8_hub_find(hub, id) : NULL;
    if (!id) st = m8_fail(err, M8_E_NOTFOUND, "the catalog has no model for %s", role);
    else if (known && role && strcmp(known->role, role))
        st = m8_fail(err, M8_E_ARG, "%s is a model for %s, not for %s", id, known->role, role);
    else st = model_in_cache(hub, id, path, &why);
    if (st && id && (why.status == M8_E_NOTFOUND || why.status == M8_E_HASH))
        m8_fail(err, st, "%.120s; run: magic8 pull %.100s", m8_error_text(&why), id);
    else if (st && err && !err->status) *err = why;
    m8_hub_close(hub);
    return st;
}
