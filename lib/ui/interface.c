/* Interface: a page made of a function's inputs and outputs. They are made first, with the first ids; when the app is
 * mounted the page is made around them, with the blocks, events and orders that Gradio's has. */
#include "interface.h"
#include <string.h>

static const char *keep(struct m8__interface *f, const char *s, bool *ok)
{
    if (!s) return NULL;
    const char *copy = m8_arena_strndup(f->arena, s, strlen(s));
    if (!copy) *ok = false;
    return copy;
}

static bool copy_opts(struct m8__interface *f, const m8_interface_opts *o)
{
    bool ok = true;
    f->o = *o;
    f->o.blocks = NULL;
    const char **texts[] = { &f->o.title,
                             &f->o.description,
                             &f->o.article,
                             &f->o.examples,
                             &f->o.flag_dir,
                             &f->o.event.api_name,
                             &f->o.event.description,
                             &f->o.event.concurrency_id,
                             &f->o.event.show_progress,
                             &f->o.event.js };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = keep(f, *texts[i], &ok);
    for (size_t i = 0; i < 32; i++) f->o.event.params[i] = keep(f, f->o.event.params[i], &ok);
    return ok;
}

static m8_block *holder(m8_blocks *app)
{
    m8_block *b = m8_calloc(1, sizeof *b);
    if (!b) return NULL;
    b->app = app;
    b->type = &m8__holder;
    b->id = -1;
    b->older = app->made;
    return app->made = b;
}

m8_status m8_interface_new(m8_blocks **out, const m8_interface_opts *opts, m8_error *err)
{
    *out = NULL;
    if (!opts || !opts->fn) return m8_fail(err, M8_E_ARG, "an interface without a function");
    m8_blocks_opts blocks = opts->blocks ? *opts->blocks : (m8_blocks_opts){0};
    if (!blocks.title) blocks.title = opts->title;
    m8_blocks *app;
    m8_status st = m8_blocks_new(&app, &blocks, err);
    if (st) return st;
    struct m8__interface *f = app->iface = m8_calloc(1, sizeof *f);
    if (f) f->arena = m8_arena_new(4096);
    bool ok = f && f->arena && copy_opts(f, opts) && (f->in = holder(app)) && (f->out = holder(app));
    if (!ok) {
        m8__blocks_destroy(app);
        return m8_fail(err, M8_E_NOMEM, "out of memory for an interface");
    }
    pthread_mutex_init(&f->lock, NULL);
    f->locked = true;
    app->interface = true;
    app->next_id = 0; /* the root's comes behind those of the inputs and outputs */
    app->root->id = -1;
    *out = app;
    return M8_OK;
}

void m8__interface_free(struct m8__interface *f)
{
    if (!f) return;
    m8_arena_free(f->arena);
    if (f->locked) pthread_mutex_destroy(&f->lock);
    m8_free(f);
}

m8_block *m8_interface_in(m8_blocks *app) { return app && app->iface ? app->iface->in : NULL; }
m8_block *m8_interface_out(m8_blocks *app) { return app && app->iface ? app->iface->out : NULL; }

/* ---- handlers of the page's own events ------------------------------------------------------------------------------ */

static m8_status begin_flag(m8_call *c, m8_error *err)
{
    return m8_out_update(c, 0, "{\"value\": \"Saving...\", \"interactive\": false}");
}
static m8_status end_flag(m8_call *c, m8_error *err)
{
    return m8_out_update(c, 0, "{\"value\": \"Flag\", \"interactive\": true}");
}

static m8_status flag(m8_call *c, m8_error *err)
{
    m8_error why = {0};
    if (!m8__flag_save(m8__call_event(c), c, &why)) return end_flag(c, err);
    m8_log(M8_LOG_ERROR, "ui: flagging: %s", m8_error_text(&why));
    return m8_out_update(c, 0, "{\"value\": \"Error!\", \"interactive\": true}");
}

static m8_status to_stop(m8_call *c, m8_error *err)
{
    m8_status st = m8_out_update(c, 0, "{\"visible\": false}");
    return st ? st : m8_out_update(c, 1, "{\"visible\": true}");
}

static m8_status to_submit(m8_call *c, m8_error *err)
{
    m8_status st = m8_out_update(c, 0, "{\"visible\": true}");
    return st ? st : m8_out_update(c, 1, "{\"visible\": false}");
}

/* ---- the page ------------------------------------------------------------------------------------------------------- */

struct page {
    m8_blocks *app;
    const m8_interface_opts *o;
    m8_block *in[32], *out[32];
    size_t n_in, n_out;
    m8_block *column, *clear, *submit, *stop, *flag;
};

/* The components among what was put into a holder, at any depth. */
static void collect(m8_block *b, m8_block **list, size_t *n)
{
    for (size_t i = 0; i < b->n_children; i++) {
        m8_block *child = b->children[i];
        if (child->type->layout) collect(child, list, n);
        else if (*n == 32) m8__app_fail(b->app, M8_E_LIMIT, "an interface of more than 32 components");
        else list[(*n)++] = child;
    }
}

static void move_into(m8_block *column, m8_block *from)
{
    if (!column) return;
    for (size_t i = 0; i < from->n_children && !column->app->status; i++) {
        m8__block_add(column, from->children[i]);
        m8__block_render(from->children[i]);
    }
    column->app->open = column;
}

static void heading(struct page *p)
{
    m8_buf title = {0};
    if (p->o->title) {
        m8_buf_printf(&title, "<h1 style='text-align: center; margin-bottom: 1rem'>%s</h1>", p->o->title);
        if (title.status) m8__app_nomem(p->app);
        else m8_markdown(p->app->root, &(m8_show_opts){ .value = title.data });
        m8_buf_finish(&title);
    }
    if (p->o->description) m8_markdown(p->app->root, &(m8_show_opts){ .value = p->o->description });
}

static void buttons(struct page *p, m8_block *row)
{
    p->clear = m8_clearbutton(row, NULL);
    if (!p->o->live || !p->n_in)
        p->submit = m8_button(row, &(m8_button_opts){ .text = p->n_in ? "Submit" : "Generate", .variant = "primary" });
    if (p->o->event.generator && !p->o->live)
        p->stop = m8_button(row, &(m8_button_opts){ .text = "Stop", .variant = "stop", .visible = M8_NO });
}

static void input_column(struct page *p, m8_block *row)
{
    m8_block *outer = m8_column(row, NULL);
    p->column = m8_column(outer, NULL);
    move_into(p->column, p->app->iface->in);
    buttons(p, m8_row(outer, NULL));
}

static void output_column(struct page *p, m8_block *row)
{
    m8_block *column = m8_column(row, NULL);
    for (size_t i = 0; i < p->n_out; i++) {
        if (!p->out[i]->skip_api && json_is_null(m8__prop(p->out[i], "interactive")))
            m8__props_tri(p->out[i], "interactive", M8_NO);
    }
    move_into(column, p->app->iface->out);
    m8_block *below = m8_row(column, NULL);
    if (!p->n_in) buttons(p, below);
    if (p->o->show_flag || p->o->flag_dir) p->flag = m8_button(below, &(m8_button_opts){ .text = "Flag" });
}

static bool has_event(const m8_block *b, const char *name)
{
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(m8__component_defaults(b->type), "events"), i, event) {
        if (!strcmp(json_string_value(event), name)) return true;
    }
    return false;
}

static m8_event_opts main_event(const struct page *p)
{
    m8_event_opts o = p->o->event;
    if (!o.api_name) o.api_name = "predict";
    memcpy(o.in, p->in, sizeof o.in);
    memcpy(o.out, p->out, sizeof o.out);
    o.scroll_to_output = !p->o->live;
    return o;
}

/* The submit button, and Enter in a field. */
static m8_event *on_submit(struct page *p, m8_fn fn, const m8_event_opts *o)
{
    m8_event *e = m8_on(p->submit, M8_CLICK, fn, o);
    for (size_t i = 0; i < p->n_in; i++) {
        if (has_event(p->in[i], "submit")) m8_also(e, p->in[i], M8_SUBMIT);
    }
    if (e) e->from_on = true;
    return e;
}

static void submit_events(struct page *p)
{
    m8_event_opts o = main_event(p);
    m8_event *e = NULL;
    if (p->o->live && p->n_in) {
        o.trigger_mode = o.trigger_mode ? o.trigger_mode : M8_ALWAYS_LAST;
        o.time_limit_s = o.time_limit_s > 0 ? o.time_limit_s : 30;
        for (size_t i = 0; i < p->n_in; i++) {
            bool stream = has_event(p->in[i], "stream") && json_is_true(m8__prop(p->in[i], "streaming"));
            if (!stream && !has_event(p->in[i], "change")) continue;
            if (e) m8_also(e, p->in[i], stream ? M8_STREAM : M8_CHANGE);
            else e = m8_on(p->in[i], stream ? M8_STREAM : M8_CHANGE, p->o->fn, &o);
        }
        if (e) e->from_on = true;
        return;
    }
    if (!p->stop) {
        on_submit(p, p->o->fn, &o);
        return;
    }
    m8_event_opts swap = {
        .api_name = "lambda", .api_visibility = M8_UNDOCUMENTED, .queue = M8_NO, .out = { p->submit, p->stop }
    };
    e = m8_then(on_submit(p, to_stop, &swap), p->o->fn, &o);
    swap.api_name = "cleanup";
    m8_then(e, to_submit, &swap);
    swap.cancels[0] = e;
    if (e) m8_on(p->stop, M8_CLICK, to_submit, &swap);
}

static void clear_events(struct page *p)
{
    m8_block *all[64];
    memcpy(all, p->in, p->n_in * sizeof *all);
    memcpy(all + p->n_in, p->out, p->n_out * sizeof *all);
    size_t n = p->n_in + p->n_out;
    if (n > 32) m8__app_fail(p->app, M8_E_LIMIT, "an interface of more than 32 components");
    if (!p->clear || p->app->status) return;
    for (size_t i = 0; i < n && i < 16; i++) p->clear->clears[i] = all[i];
    m8__clear_event(p->clear, all, n);
    const char *js = p->column
                         ? "() => [{\"variant\": null, \"visible\": true, \"__type__\": \"update\"}]\n            "
                         : "() => []\n            ";
    m8_event *e = m8_on(p->clear, M8_CLICK, NULL, &(m8_event_opts){ .js = js, .out = { p->column } });
    if (e) e->internal_js = true;
}

static void flag_events(struct page *p)
{
    if (!p->flag) return;
    m8_event_opts o = { .api_name = "lambda", .api_visibility = M8_UNDOCUMENTED, .queue = M8_NO, .out = { p->flag } };
    m8_on(p->flag, M8_CLICK, begin_flag, &o);
    o.api_name = "Flag";
    memcpy(o.in, p->in, p->n_in * sizeof *o.in);
    memcpy(o.in + p->n_in, p->out, p->n_out * sizeof *o.in);
    m8_on(p->flag, M8_CLICK, flag, &o);
    memset(o.in, 0, sizeof o.in);
    o.api_name = "reset";
    m8_on(p->clear, M8_CLICK, end_flag, &o);
}

static void examples(struct page *p)
{
    if (p->o->examples && p->n_in)
        m8__examples_new(p->app->root, p->in, p->n_in, p->out, &(m8_examples_opts){ .rows = p->o->examples });
}

void m8__interface_finish(m8_blocks *app)
{
    struct page p = { .app = app, .o = &app->iface->o };
    m8__blocks_close(app);
    collect(app->iface->in, p.in, &p.n_in);
    collect(app->iface->out, p.out, &p.n_out);
    if (p.n_in + p.n_out == 0) m8__app_fail(app, M8_E_ARG, "an interface without inputs and outputs");
    app->root->id = app->next_id++;
    app->open = app->root;
    heading(&p);
    m8_block *row = m8_row(app->root, NULL);
    if (p.n_in) input_column(&p, row);
    if (p.n_out) output_column(&p, row);
    submit_events(&p);
    clear_events(&p);
    flag_events(&p);
    examples(&p);
    if (p.o->article) m8_markdown(app->root, &(m8_show_opts){ .value = p.o->article });
}
