/* magic8 pull [default|ID|REPO [FILE...]]: fetch models. */
#include "app.h"
#include "models.h"
#include "options.h"
#include "progress.h"
#include <jansson.h>
#include <m8/hub.h>
#include <m8/infer.h>
#include <stdio.h>
#include <string.h>

struct pull {
    struct progress bar; /* first: what progress_step and progress_note take */
    const struct options *o;
    m8_hub *hub;
    const char *name, *making;
};

/* The i-th model of a set, or the one that is named; NULL: no more, or a repo. */
static const m8_hub_model *model_at(m8_hub *hub, const char *name, size_t i)
{
    if (m8_hub_set_at(hub, name, 0)) return m8_hub_set_at(hub, name, i);
    return i ? NULL : m8_hub_find(hub, name);
}

/* ---- before anything is fetched: how much, and whether it will fit and run here */

static double memory_free(void) /* bytes; 0: not known */
{
    char line[128];
    double kb = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf kB", &kb) == 1) break;
    if (f) fclose(f);
    return kb * 1024;
}

static void tell_memory(const struct pull *p)
{
    double need = 0, have = memory_free();
    const m8_hub_model *m;
    for (size_t i = 0; (m = model_at(p->hub, p->name, i)); i++) need += (double)m->memory;
    char a[16], b[16];
    if (need <= 0 || have <= 0) return;
    if (need <= have) fprintf(stderr, "to run it takes about %s of memory, %s are free\n", size_text(a, (int64_t)need), size_text(b, (int64_t)have));
    else fprintf(stderr, "warning: to run it takes about %s of memory, but only %s are free\n", size_text(a, (int64_t)need), size_text(b, (int64_t)have));
}

static m8_status tell_plan(void *user, const m8_hub_plan *plan)
{
    const struct pull *p = user;
    char size[16], left[16];
    if (!plan->n_files) return M8_OK;
    fprintf(stderr, "%s: %s%s in %zu file%s to fetch into %s", p->name, size_text(size, plan->fetch), plan->more ? " and more" : "", plan->n_files,
            plan->n_files == 1 ? "" : "s", m8_hub_cache(p->hub));
    if (plan->free >= 0) fprintf(stderr, ", where %s are free", size_text(left, plan->free));
    fputc('\n', stderr);
    tell_memory(p);
    return M8_OK;
}

/* ---- afterwards: some models run in another type than they are published in */

static m8_status making(void *user, const char *tensor, int64_t done, int64_t total)
{
    struct pull *p = user;
    return progress_step(&p->bar, &(m8_hub_progress){ .file = p->making, .source = "", .done = done, .total = total });
}

static m8_status make(struct pull *p, const m8_hub_model *m, m8_error *err)
{
    char *made = NULL, *from = NULL, what[128];
    m8_status st = m8_hub_made(p->hub, m->id, &made, err);
    if (!st && !m8_is_file(made)) {
        snprintf(what, sizeof what, "%s in %s", m->id, m->type);
        p->making = what;
        st = m8_hub_path(p->hub, m->id, &from, err);
        m8_quantize_opts opts = { .n_threads = p->o->threads, .progress = making, .user = p };
        if (!st) st = m8_quantize(from, made, m->type, &opts, err);
        progress_clear(&p->bar);
        if (!st) fprintf(stderr, "%s: made\n", what);
    }
    m8_free(made);
    m8_free(from);
    return st;
}

static m8_status make_all(struct pull *p, m8_error *err)
{
    m8_status st = M8_OK;
    const m8_hub_model *m;
    for (size_t i = 0; !st && (m = model_at(p->hub, p->name, i)); i++)
        if (m->type) st = make(p, m, err);
    return st;
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
        st = model_in_cache(hub, id, &path, err);
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
    m8_error err = { 0 };
    struct pull p = { .o = o, .name = o->n_args ? o->args[0] : "default" };
    signals_catch();
    progress_init(&p.bar);
    m8_status st = m8_hub_open(&p.hub, &(m8_hub_opts){ .offline = o->offline }, &err);
    m8_hub_pull_opts opts = {
        .revision = o->revision, .files = o->n_args > 1 ? (const char *const *)o->args + 1 : NULL,
        .n_files = o->n_args > 1 ? (size_t)o->n_args - 1 : 0, .plan = tell_plan, .progress = progress_step, .note = progress_note, .user = &p,
    };
    if (!st) st = m8_hub_pull(p.hub, p.name, &opts, &err);
    progress_clear(&p.bar);
    if (!st) st = make_all(&p, &err);
    if (!st && o->json) st = o->revision ? M8_OK : print_json(p.hub, p.name, &err);
    m8_hub_close(p.hub);
    return st ? fail(&err) : 0;
}
