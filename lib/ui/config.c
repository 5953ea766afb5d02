/* The app as a tree of JSON: what /config says. */
#include "table.h"
#include <string.h>

/* ---- components ----------------------------------------------------------------------------------------------------- */

/* Any text that stays the same as long as the class does: the front-end compares it, and nothing more. */
json_t *m8__class_id(const struct m8__component *type)
{
    m8_buf text = {0};
    uint64_t h = 14695981039346656037u; /* FNV-1a, four times on */
    for (int round = 0; round < 4; round++) {
        for (const char *s = type->type; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
        h = (h ^ (uint64_t)(round + 1)) * 1099511628211u;
        m8_buf_printf(&text, "%016llx", (unsigned long long)h);
    }
    json_t *id = text.status ? NULL : json_string(text.data);
    m8_buf_finish(&text);
    return id;
}

/* A copy whose files have URLs, with a mark for the root. */
json_t *m8__with_urls(const json_t *value)
{
    json_t *copy = json_deep_copy(value);
    if (!copy || !m8__add_urls(copy, M8__ROOT_MARK)) return copy;
    json_decref(copy);
    return NULL;
}

/* Without what Gradio leaves out: null, but for a State's time to live; and a State's value, which never leaves. */
static json_t *props_of(const m8_block *b)
{
    json_t *out = json_object(), *value;
    const char *key;
    bool state = !strcmp(b->type->type, "state");
    json_object_foreach(b->props, key, value) {
        if (json_is_null(value) && strcmp(key, "time_to_live")) continue;
        if (state && !strcmp(key, "value")) continue;
        bool files = !strcmp(key, "value") || !strcmp(key, "samples");
        if (!out || json_object_set_new(out, key, files ? m8__with_urls(value) : json_incref(value))) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *component(const m8_block *b)
{
    json_t *out = json_pack("{s:i, s:s, s:o, s:b, s:o, s:n}", "id", b->id, "type",
                            b->type->of ? b->type->of : b->type->type, "props", props_of(b), "skip_api",
                            (int)b->skip_api, "component_class_id", m8__class_id(b->type), "key");
    if (b->skip_api || !out) return out;
    json_t *as_input = m8__block_api_info(b, false);
    json_t *more = json_pack("{s:O, s:o, s:o, s:o}", "api_info", as_input, "api_info_as_input", as_input,
                             "api_info_as_output", m8__block_api_info(b, true), "example_inputs", m8__block_example(b));
    if (!more || m8__add_members(out, more)) {
        json_decref(out);
        out = NULL;
    }
    json_decref(more);
    return out;
}

static json_t *layout(const m8_block *b)
{
    json_t *out = json_pack("{s:i}", "id", b->id);
    bool holds = b->type->layout || !strcmp(b->type->type, "html"); /* a container in Gradio 6 */
    if (!holds || !out) return out;
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < b->n_children && ok; i++) ok = !json_array_append_new(list, layout(b->children[i]));
    if (ok) ok = !json_object_set(out, "children", list);
    json_decref(list);
    if (ok) return out;
    json_decref(out);
    return NULL;
}

/* ---- dependencies --------------------------------------------------------------------------------------------------- */

static json_t *ids(m8_block *const *list, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(out, json_integer(list[i]->id))) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *targets(const m8_event *e)
{
    json_t *out = json_array();
    for (size_t i = 0; i < e->n_targets; i++) {
        const m8_block *b = e->targets[i].block;
        if (json_array_append_new(out, json_pack("[o, s]", b ? json_integer(b->id) : json_null(), e->targets[i].name))) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *cancels(const m8_event *e)
{
    json_t *out = json_array();
    for (size_t i = 0; i < 16 && e->opts.cancels[i]; i++) {
        if (json_array_append_new(out, json_integer(e->opts.cancels[i]->id))) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static size_t count(m8_block *const *list, size_t most)
{
    size_t n = 0;
    while (n < most && list[n]) n++;
    return n;
}

bool m8__event_streams(const m8_event *e) { return e->n_targets && !strcmp(e->targets[0].name, "stream"); }

static json_t *specific_args(const m8_event *e)
{
    if (m8__event_streams(e)) return json_pack("[s]", "stream_every");
    return e->from_on || e->n_targets > 1 ? json_array() : json_null();
}

static json_t *text_or_null(const char *s) { return s ? json_string(s) : json_null(); }

static json_t *dependency(const m8_event *e)
{
    static const char *const modes[] = { "once", "once", "multiple", "always_last" }, *const seen[] = { "public",
                                                                                                        "undocumented",
                                                                                                        "private" };
    const m8_event_opts *o = &e->opts;
    size_t n_on = count(o->show_progress_on, 8);
    json_t *out = json_pack(
        "{s:i, s:o, s:o, s:o, s:b, s:o, s:b, s:s, s:n, s:b, s:s, s:o, s:b, s:i, s:o, s:{s:b, s:b}, s:b}", "id", e->id,
        "targets", targets(e), "inputs", ids(e->in, e->n_in), "outputs", ids(e->out, e->n_out), "backend_fn",
        e->fn != NULL, "js", text_or_null(o->js), "queue", (int)e->queue, "api_name", e->api_name, "api_description",
        "scroll_to_output", (int)o->scroll_to_output, "show_progress", o->show_progress, "show_progress_on",
        n_on ? ids(o->show_progress_on, n_on) : json_null(), "batch", (int)o->batch, "max_batch_size",
        o->max_batch_size, "cancels", cancels(e), "types", "generator", (int)o->generator, "cancel",
        o->cancels[0] != NULL, "collects_event_data", 0);
    json_t *more = json_pack("{s:o, s:b, s:b, s:s, s:s, s:n, s:n, s:s, s:o, s:o, s:o, s:[], s:n}", "trigger_after",
                             e->after ? json_integer(e->after->id) : json_null(), "trigger_only_on_success",
                             (int)e->only_success, "trigger_only_on_failure", (int)e->only_failure, "trigger_mode",
                             modes[o->trigger_mode & 3], "api_visibility", seen[o->api_visibility % 3], "rendered_in",
                             "render_id", "connection", m8__event_streams(e) ? "stream" : "sse", "time_limit",
                             o->time_limit_s > 0 ? m8__number(o->time_limit_s) : json_null(), "stream_every",
                             m8__number(o->stream_every_s), "event_specific_args", specific_args(e),
                             "component_prop_inputs", "js_implementation");
    if (!out || !more || m8__add_members(out, more)) {
        json_decref(out);
        out = NULL;
    }
    json_decref(more);
    return out;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

/* The front-end keeps a heartbeat open where the server must know that a page has gone. */
static bool needs_heartbeat(const m8_blocks *app)
{
    for (size_t i = 0; i < app->n_blocks; i++) {
        if (!strcmp(app->blocks[i]->type->type, "state")) return true;
    }
    for (size_t i = 0; i < app->n_events; i++) {
        const m8_event *e = app->events[i];
        for (size_t k = 0; k < e->n_targets; k++) {
            if (!strcmp(e->targets[k].name, "unload") || !strcmp(e->targets[k].name, "stream")) return true;
        }
    }
    return false;
}

static json_t *list_of(const m8_blocks *app, size_t n, json_t *(*one)(const m8_blocks *app, size_t i))
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(list, one(app, i))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *component_at(const m8_blocks *app, size_t i) { return component(app->blocks[i]); }
static json_t *component_id_at(const m8_blocks *app, size_t i) { return json_integer(app->blocks[i]->id); }
static json_t *dependency_at(const m8_blocks *app, size_t i) { return dependency(app->events[i]); }
static json_t *dependency_id_at(const m8_blocks *app, size_t i) { return json_integer((json_int_t)i); }

static json_t *theme_part(void)
{
    return json_pack("{s:[], s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "stylesheets", "theme", "default", "protocol",
                     "sse_v3", "body_css", "body_background_fill", "white", "body_text_color", "#27272a",
                     "body_background_fill_dark", "#0f0f11", "body_text_color_dark", "#f4f4f5");
}

static json_t *page_part(const m8_blocks *app, json_t *tree)
{
    return json_pack("{s:b, s:[[s, s, b]], s:{s:{s:O?, s:o, s:o}}, s:b, s:n}", "pwa", 0, "pages", "", "Home", 1, "page",
                     "", "layout", tree, "components", list_of(app, app->n_blocks, component_id_at), "dependencies",
                     list_of(app, app->n_events, dependency_id_at), "mcp_server", 0, "i18n_translations");
}

json_t *m8__config_tree(const m8_blocks *app)
{
    const m8_blocks_opts *o = &app->opts;
    json_t *tree = layout(app->root),
           *size = app->launch.max_file_size ? json_integer((json_int_t)app->launch.max_file_size) : json_null();
    json_t *parts[] = {
        json_pack("{s:s, s:s, s:s, s:I, s:b, s:b, s:b, s:o, s:o, s:b, s:n, s:n, s:s}", "version", M8__GRADIO_VERSION,
                  "api_prefix", M8__PREFIX, "mode", app->interface ? "interface" : "blocks", "app_id", app->app_id,
                  "dev_mode", 0, "vibe_mode", 0, "analytics_enabled", 0, "components",
                  list_of(app, app->n_blocks, component_at), "css", text_or_null(o->css), "connect_heartbeat",
                  (int)needs_heartbeat(app), "js", "head", "title", o->title ? o->title : "Gradio"),
        json_pack("{s:n, s:b, s:b, s:[s, s, s, s], s:b, s:b, s:o}", "space_id", "enable_queue", 1, "show_error",
                  (int)app->launch.show_error, "footer_links", "api", "gradio", "settings", "runs", "run_history", 1,
                  "is_colab", 0, "max_file_size", size),
        theme_part(),
        json_pack("{s:b, s:b, s:o}", "fill_height", (int)o->fill_height, "fill_width", (int)o->fill_width, "theme_hash",
                  m8__class_id(&m8__blocks_type)),
        page_part(app, tree),
        json_pack("{s:o, s:O?, s:s, s:s}", "dependencies", list_of(app, app->n_events, dependency_at), "layout", tree,
                  "username", M8__USER_MARK, "root", M8__ROOT_MARK),
    };
    json_t *out = json_object();
    bool ok = out && tree;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ok = ok && parts[i] && !m8__add_members(out, parts[i]);
        json_decref(parts[i]);
    }
    json_decref(tree);
    if (ok) return out;
    json_decref(out);
    return NULL;
}
