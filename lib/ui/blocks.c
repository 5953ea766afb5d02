/* The tree of blocks. Ids are given as Gradio gives them: in the order of making; the forms around neighbouring fields
 * get theirs when their container is closed, which is when the next block is made outside of it (in Python: at the end
 * of its `with`), or at the end. */
#include "ui_internal.h"
#include "table.h"
#include <stdio.h>
#include <string.h>

static bool copy_opts(m8_blocks *app, const m8_blocks_opts *opts)
{
    const char *const from[] = { opts->title, opts->description, opts->css };
    const char **to[] = { &app->opts.title, &app->opts.description, &app->opts.css };
    app->opts = *opts;
    for (int i = 0; i < 3; i++) *to[i] = NULL;
    app->opts.assets = NULL;
    for (int i = 0; i < 3; i++) {
        if (from[i]) *to[i] = m8_strdup(from[i]);
        if (from[i] && !*to[i]) return false;
    }
    if (!opts->n_assets) return true;
    m8_asset *assets = m8_calloc(opts->n_assets, sizeof *assets);
    if (assets) memcpy(assets, opts->assets, opts->n_assets * sizeof *assets);
    app->opts.assets = assets;
    return assets != NULL;
}

/* New at each start; below 2^53, so that a JavaScript client reads it exactly. */
static bool random_id(json_int_t *out)
{
    char hex[14];
    unsigned long long x;
    if (!m8__random_hex(hex, 13) || sscanf(hex, "%llx", &x) != 1) return false;
    *out = (json_int_t)x;
    return true;
}

m8_status m8_blocks_new(m8_blocks **out, const m8_blocks_opts *opts, m8_error *err)
{
    *out = NULL;
    m8_status st = m8__table_ref(err);
    if (st) return st;
    m8_blocks *app = m8_calloc(1, sizeof *app);
    if (!app) {
        m8__table_unref();
        return m8_fail(err, M8_E_NOMEM, "out of memory for an app");
    }
    pthread_mutex_init(&app->lock, NULL);
    if (opts && !copy_opts(app, opts)) st = m8_fail(err, M8_E_NOMEM, "out of memory for an app");
    if (!st && !random_id(&app->app_id)) st = m8_fail(err, M8_E_IO, "the kernel gave no random bytes");
    if (!st) app->root = m8_calloc(1, sizeof *app->root);
    if (!st && !app->root) st = m8_fail(err, M8_E_NOMEM, "out of memory for an app");
    if (st) {
        m8__blocks_destroy(app);
        return st;
    }
    app->root->app = app;
    app->root->type = &m8__blocks_type;
    app->root->id = app->next_id++;
    app->root->rendered = true;
    app->made = app->open = app->root;
    *out = app;
    return M8_OK;
}

static void block_free(m8_block *b)
{
    json_decref(b->props);
    m8_free(b->children);
    m8_free(b->initial_file);
    m8__examples_free(b->examples);
    m8_free(b);
}

void m8__blocks_destroy(m8_blocks *app)
{
    if (!app) return;
    m8__config_free(app->config);
    m8__interface_free(app->iface);
    m8__events_free(app);
    for (m8_block *b = app->made, *older; b; b = older) {
        older = b->older;
        block_free(b);
    }
    if (!app->made) m8_free(app->root);
    m8_free(app->blocks);
    m8_free((void *)app->opts.title);
    m8_free((void *)app->opts.description);
    m8_free((void *)app->opts.css);
    m8_free((void *)app->opts.assets);
    pthread_mutex_destroy(&app->lock);
    m8_free(app);
    m8__table_unref();
}

m8_block *m8_blocks_root(m8_blocks *app) { return app ? app->root : NULL; }

m8_status m8_blocks_status(m8_blocks *app, m8_error *err)
{
    if (!app) return m8_fail(err, M8_E_ARG, "no app");
    return app->status ? m8_fail(err, app->status, "%s", app->err.text) : M8_OK;
}

m8_status m8__app_fail(m8_blocks *app, m8_status st, const char *fmt, ...)
{
    if (app->status) return app->status;
    char text[sizeof app->err.text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m8_fail(&app->err, st, "%s", text);
    return app->status = st;
}

m8_status m8__app_nomem(m8_blocks *app) { return m8__app_fail(app, M8_E_NOMEM, "out of memory for a page"); }

/* ---- the tree ------------------------------------------------------------------------------------------------------- */

/* One more pointer at the end of a list whose room doubles. */
static bool grow(m8_block ***list, size_t *n, m8_block *b)
{
    if (!(*n & (*n - 1))) {
        m8_block **more = m8_realloc(*list, (*n ? *n * 2 : 1) * sizeof **list);
        if (!more) return false;
        *list = more;
    }
    (*list)[(*n)++] = b;
    return true;
}

m8_block *m8__block_alone(m8_blocks *app, const struct m8__component *type)
{
    if (app->status) return NULL;
    if (app->finished) {
        m8__app_fail(app, M8_E_ARG, "a %s is added to an app that is being served", type->type);
        return NULL;
    }
    const json_t *row = m8__component_defaults(type);
    m8_block *b = row ? m8_calloc(1, sizeof *b) : NULL;
    if (b) b->props = json_deep_copy(json_object_get(row, "props"));
    if (!b || !b->props) {
        m8_free(b);
        m8__app_nomem(app);
        return NULL;
    }
    b->app = app;
    b->type = type;
    b->id = -1;
    b->skip_api = json_is_true(json_object_get(row, "skip_api"));
    b->older = app->made;
    app->made = b;
    return b;
}

m8_status m8__block_add(m8_block *parent, m8_block *b)
{
    m8_blocks *app = parent->app;
    if (!grow(&parent->children, &parent->n_children, b)) return m8__app_nomem(app);
    b->parent = parent;
    return M8_OK;
}

m8_status m8__block_render(m8_block *b)
{
    m8_blocks *app = b->app;
    if (!grow(&app->blocks, &app->n_blocks, b)) return m8__app_nomem(app);
    b->rendered = true;
    for (size_t i = 0; i < b->n_children; i++) {
        if (m8__block_render(b->children[i])) return app->status;
    }
    return M8_OK;
}

static bool within(const m8_block *b, const m8_block *container)
{
    while (b && b != container) b = b->parent;
    return b != NULL;
}

static json_int_t int_of(const m8_block *b, const char *key, json_int_t otherwise)
{
    const json_t *x = json_object_get(b->props, key);
    return json_is_integer(x) ? json_integer_value(x) : otherwise;
}

static m8_block *form_new(m8_block *parent)
{
    m8_block *form = m8__block_alone(parent->app, &m8__form);
    if (!form) return NULL;
    form->id = parent->app->next_id++;
    form->parent = parent;
    return parent->rendered && m8__block_render(form) ? NULL : form;
}

static m8_status into_form(m8_block *form, m8_block *field, bool row)
{
    if (row) { /* as wide as its fields together */
        m8__props_set(form, "scale", json_integer(int_of(form, "scale", 0) + int_of(field, "scale", 1)));
        m8__props_set(form, "min_width", json_integer(int_of(form, "min_width", 0) + int_of(field, "min_width", 0)));
    }
    return m8__block_add(form, field);
}

/* Wrap the runs of fields among b's children in forms. A container that is filled again is closed again. */
static void close_one(m8_block *b)
{
    if (b->type == &m8__form || b->type == &m8__holder) return;
    m8_block *form = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < b->n_children; i++) {
        m8_block *child = b->children[i];
        if (!child->type->form_field) {
            form = child->type == &m8__form ? child : NULL;
            b->children[kept++] = child;
            continue;
        }
        if (!form) {
            form = form_new(b);
            if (!form) return; /* sticky: nobody looks at the children any more */
            b->children[kept++] = form;
        }
        if (into_form(form, child, b->type == &m8__row)) return;
    }
    b->n_children = kept;
}

/* Close what is open up to a container of `next`. */
static void close_until(m8_blocks *app, const m8_block *next)
{
    for (m8_block *o = app->open; o && !within(next, o) && !app->status; o = o->parent) close_one(o);
}

m8_block *m8__block_new(m8_block *parent, const struct m8__component *type)
{
    if (!parent) return NULL;
    m8_blocks *app = parent->app;
    if (!parent->type->layout) {
        m8__app_fail(app, M8_E_ARG, "a %s cannot hold a %s", parent->type->type, type->type);
        return NULL;
    }
    if (parent->type != &m8__form) close_until(app, parent);
    m8_block *b = m8__block_alone(app, type);
    if (!b || m8__block_add(parent, b)) return NULL;
    b->id = app->next_id++;
    app->open = type->layout ? b : parent;
    return parent->rendered && m8__block_render(b) ? NULL : b;
}

void m8__blocks_close(m8_blocks *app)
{
    close_until(app, NULL);
    app->open = NULL;
}

m8_block *m8__block_find(m8_blocks *app, int id)
{
    if (id >= 0 && (size_t)id - 1 < app->n_blocks && app->blocks[id - 1]->id == id) return app->blocks[id - 1];
    for (size_t i = 0; i < app->n_blocks; i++) {
        if (app->blocks[i]->id == id) return app->blocks[i];
    }
    return NULL;
}

m8_status m8__app_finish(m8_blocks *app, m8_error *err)
{
    if (!app->finished && !app->status) {
        if (app->iface) m8__interface_finish(app);
        m8__blocks_close(app);
        app->finished = true;
    }
    return m8_blocks_status(app, err);
}
