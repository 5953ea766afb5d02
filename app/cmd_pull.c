/* magic8 pull [default|ID|REPO [FILE...]]: fetch models. */
#include "app.h"
#include "options.h"
#include "progress.h"
#include <jansson.h>
#include <m8/hub.h>
#include <stdio.h>
#include <string.h>

/* Sets that are planned, but whose files are not in the catalog: better a clear word than a guess. */
static bool is_planned(const m8_hub *hub, const char *name)
{
    return (!strcmp(name, "better") || !strcmp(name, "seed")) && !m8_hub_set_at(hub, name, 0);
}

/* --json: where each of the things pulled lies now. */
static m8_status print_json(m8_hub *hub, const char *name, m8_error *err)
{
    m8_status st = M8_OK;
    bool is_set = m8_hub_set_at(hub, name, 0) != NULL;
    for (size_t i = 0; !st; i++) {
        const m8_hub_model *m = is_set ? m8_hub_set_at(hub, name, i) : NULL;
        if (is_set ? !m : i > 0) break;
        const char *id = m ? m->id : name;
        char *path = NULL;
        st = m8_hub_path(hub, id, &path, err);
        json_t *j = st ? NULL : json_pack("{s:s, s:s}", "model", id, "path", path);
        if (!st && !j) st = m8_fail(err, M8_E_NOMEM, "out of memory");
        if (!st) json_dumpf(j, stdout, JSON_COMPACT), putchar('\n');
        json_decref(j);
        m8_free(path);
    }
    return st;
}

int cmd_pull(const struct options *o)
{
    const char *name = o->n_args ? o->args[0] : "default";
    m8_error err = { 0 };
    m8_hub *hub = NULL;
    struct progress bar;
    signals_catch();
    progress_init(&bar);
    m8_status st = m8_hub_open(&hub, &(m8_hub_opts){ .offline = o->offline }, &err);
    if (!st && is_planned(hub, name))
        st = m8_fail(&err, M8_E_UNSUPPORTED,
                     "the set %s is not in the catalog yet; name the repos to pull: magic8 pull ORG/NAME [FILE...]", name);
    m8_hub_pull_opts opts = {
        .revision = o->revision, .files = o->n_args > 1 ? (const char *const *)o->args + 1 : NULL,
        .n_files = o->n_args > 1 ? (size_t)o->n_args - 1 : 0, .progress = progress_step, .note = progress_note, .user = &bar,
    };
    if (!st) st = m8_hub_pull(hub, name, &opts, &err);
    progress_clear(&bar);
    if (!st && o->json) st = o->revision ? M8_OK : print_json(hub, name, &err);
    m8_hub_close(hub);
    return st ? fail(&err) : 0;
}
