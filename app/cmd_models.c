/* magic8 models [ID...]: the catalog, and what of it is here. --path ID: only where it lies. */
#include "app.h"
#include "models.h"
#include "options.h"
#include "progress.h"
#include <jansson.h>
#include <m8/hub.h>
#include <stdio.h>
#include <string.h>

static int print_paths(m8_hub *hub, const struct options *o)
{
    if (!o->n_args) return fail_usage("models --path: name the models");
    for (int i = 0; i < o->n_args; i++) {
        char *path = NULL;
        m8_error err = { 0 };
        m8_status st = model_in_cache(hub, o->args[i], &path, &err);
        if (st == M8_E_NOTFOUND || st == M8_E_HASH) {
            m8_error why = { 0 };
            m8_fail(&why, st, "%.120s; run: magic8 pull %.100s", m8_error_text(&err), o->args[i]);
            return fail(&why);
        }
        if (st) return fail(&err);
        if (o->json) {
            json_t *j = json_pack("{s:s, s:s}", "model", o->args[i], "path", path);
            if (j) json_dumpf(j, stdout, JSON_COMPACT);
            json_decref(j);
            putchar('\n');
        } else {
            puts(path);
        }
        m8_free(path);
    }
    return 0;
}

static bool wanted(const struct options *o, const char *id)
{
    for (int i = 0; i < o->n_args; i++)
        if (!strcmp(o->args[i], id)) return true;
    return !o->n_args;
}

static int print_model(m8_hub *hub, const m8_hub_model *m, bool json)
{
    char size[16], *path = NULL;
    m8_error err = { 0 };
    m8_status st = model_in_cache(hub, m->id, &path, &err);
    if (st && st != M8_E_NOTFOUND && st != M8_E_HASH) return fail(&err);
    const char *state = !st ? "pulled" : st == M8_E_HASH ? "damaged" : "no";
    if (json) {
        json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s?, s:b, s:s?}", "id", m->id, "role", m->role, "family", m->family,
                              "size", (json_int_t)m->size, "licence", m->licence, "repo", m->repo, "revision", m->revision,
                              "pulled", !st, "path", path);
        if (j) json_dumpf(j, stdout, JSON_COMPACT);
        json_decref(j);
        putchar('\n');
    } else {
        printf("%-18s %-5s %8s  %-8s %s\n", m->id, m->role, m->size ? size_text(size, m->size) : "", state, path ? path : m->repo);
    }
    m8_free(path);
    return 0;
}

int cmd_models(const struct options *o)
{
    m8_hub *hub;
    m8_error err = { 0 };
    if (m8_hub_open(&hub, NULL, &err)) return fail(&err);
    int code = 0;
    for (int i = 0; !o->path && !code && i < o->n_args; i++)
        if (!m8_hub_find(hub, o->args[i])) code = fail_usage("%.100s: not a model of the catalog", o->args[i]);
    if (o->path) code = print_paths(hub, o);
    else if (!code && !o->json) printf("%-18s %-5s %8s  %-8s %s\n", "id", "role", "size", "here", "where");
    const m8_hub_model *m;
    for (size_t i = 0; !o->path && !code && (m = m8_hub_model_at(hub, i)); i++)
        if (wanted(o, m->id)) code = print_model(hub, m, o->json);
    m8_hub_close(hub);
    return code;
}
