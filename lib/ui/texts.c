/* The texts about an app: /config, the page's config, the info. Each is written once, with a place where the root URL
 * of a request goes and, in the config, one for the visitor's name: an answer is a few copies. All on the loop. */
#include "table.h"
#include <string.h>

struct text {
    bool made;
    m8_buf text;
    size_t *cuts; /* [n] where the root goes */
    size_t n;
    size_t user_at; /* where the user's name goes; SIZE_MAX: nowhere */
};

struct m8__config {
    struct text config[2], info[2], openapi; /* of /config and of the page; of public endpoints and of all */
};

/* ---- a text with places for the root -------------------------------------------------------------------------------- */

#define USER_JSON "\"" M8__USER_MARK "\""

static bool cut(struct text *t, size_t at)
{
    if (!(t->n & (t->n - 1))) {
        size_t *more = m8_realloc(t->cuts, (t->n ? t->n * 2 : 1) * sizeof *more);
        if (!more) return false;
        t->cuts = more;
    }
    t->cuts[t->n++] = at;
    return true;
}

/* t->text: JSON with marks; they are taken out, and their places kept. */
static m8_status take_roots(struct text *t, m8_error *err)
{
    if (t->text.status || !t->text.data) return m8_fail(err, M8_E_NOMEM, "out of memory for a text about the app");
    char *to = t->text.data, *from = to, *mark;
    for (; (mark = strstr(from, M8__ROOT_MARK)); from = mark + strlen(M8__ROOT_MARK)) {
        memmove(to, from, (size_t)(mark - from));
        to += mark - from;
        if (!cut(t, (size_t)(to - t->text.data))) return m8_fail(err, M8_E_NOMEM, "out of memory for a text about the app");
    }
    size_t rest = t->text.len - (size_t)(from - t->text.data);
    memmove(to, from, rest + 1);
    t->text.len = (size_t)(to - t->text.data) + rest;
    return M8_OK;
}

static void text_finish(struct text *x)
{
    m8_buf_finish(&x->text);
    m8_free(x->cuts);
    *x = (struct text){0};
}

/* A text of a request within JSON, and within a script element. */
static void add_escaped(m8_buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < ' ' || strchr("\"\\<>&'", c)) m8_buf_printf(out, "\\u%04x", c);
        else m8_buf_chr(out, (char)c);
    }
}

static void fill(const struct text *t, const m8_buf *root, const m8_buf *user, m8_buf *out)
{
    size_t from = 0, user_at = t->user_at;
    if (root->status || user->status) out->status = M8_E_NOMEM;
    for (size_t i = 0; i <= t->n; i++) {
        size_t to = i < t->n ? t->cuts[i] : t->text.len;
        if (user_at >= from && user_at <= to) { /* never at a cut: the name stands between quotes of its own */
            m8_buf_add(out, t->text.data + from, user_at - from);
            m8_buf_add(out, user->data, user->len);
            from = user_at;
            user_at = SIZE_MAX;
        }
        m8_buf_add(out, t->text.data + from, to - from);
        if (i < t->n) m8_buf_add(out, root->data, root->len);
        from = to;
    }
}

/* Where the user's name goes: once, so its mark is taken out and its place kept, before the roots' are. */
static bool take_user(m8_buf *text, size_t *at)
{
    char *mark = text->status || !text->data ? NULL : strstr(text->data, USER_JSON);
    if (!mark) return false;
    size_t n = strlen(USER_JSON);
    memmove(mark, mark + n, text->len - (size_t)(mark - text->data) - n + 1);
    text->len -= n;
    *at = text->len - (size_t)(mark - text->data); /* from the end: nothing but the root's own mark stands behind it */
    return true;
}

static m8_status make(struct text *x, json_t *tree, bool for_page, bool with_user, m8_error *err)
{
    m8_buf plain = {0};
    m8__dump(&plain, tree);
    json_decref(tree);
    if (for_page && !plain.status) {
        for (size_t i = 0; i < plain.len; i++) { /* so that it may stand in a script element */
            char c = plain.data[i];
            if (strchr("<>&'", c)) m8_buf_printf(&x->text, "\\u%04x", (unsigned)c);
            else m8_buf_chr(&x->text, c);
        }
        m8_buf_finish(&plain);
    } else {
        x->text = plain;
    }
    size_t behind = 0;
    m8_status st = M8_OK;
    if (with_user && !take_user(&x->text, &behind)) st = m8_fail(err, M8_E_NOMEM, "out of memory for the config");
    if (!st) st = take_roots(x, err);
    x->user_at = with_user && !st ? x->text.len - (behind - strlen(M8__ROOT_MARK)) : SIZE_MAX;
    x->made = !st;
    if (st) text_finish(x);
    return st;
}

static m8_status begin(m8_blocks *app, m8_error *err)
{
    if (!app->config) app->config = m8_calloc(1, sizeof *app->config);
    return app->config ? m8__initial_files(app, err) : m8_fail(err, M8_E_NOMEM, "out of memory for the config");
}

static m8_status answer(const struct text *x, const char *root, const char *user, m8_buf *out, m8_error *err)
{
    m8_buf escaped = {0}, name = {0};
    add_escaped(&escaped, root);
    if (user) m8_buf_chr(&name, '"');
    add_escaped(&name, user ? user : "null");
    if (user) m8_buf_chr(&name, '"');
    fill(x, &escaped, &name, out);
    m8_buf_finish(&escaped);
    m8_buf_finish(&name);
    return out->status ? m8_fail(err, out->status, "%s for the config", m8_status_text(out->status)) : M8_OK;
}

m8_status m8__config_text(m8_blocks *app, const char *root, const char *user, bool for_page, m8_buf *out, m8_error *err)
{
    m8_status st = begin(app, err);
    struct text *x = st ? NULL : &app->config->config[for_page];
    if (x && !x->made) {
        json_t *tree = m8__config_tree(app);
        if (tree && for_page && (json_object_set_new(tree, "current_page", json_string("")) ||
                                 json_object_set_new(tree, "deep_link_state", json_string("none")))) {
            json_decref(tree);
            tree = NULL;
        }
        st = make(x, tree, for_page, true, err);
    }
    return st ? st : answer(x, root, user, out, err);
}

/* {"named_endpoints": {"/NAME": {...}}}: each gets the sources that call it. */
static json_t *with_snippets(json_t *tree)
{
    json_t *endpoints = json_object_get(tree, "named_endpoints"), *endpoint;
    const char *path;
    json_object_foreach(endpoints, path, endpoint) {
        if (json_object_set_new(endpoint, "code_snippets", m8__snippets(M8__ROOT_MARK, path, endpoint))) {
            json_decref(tree);
            return NULL;
        }
    }
    return tree;
}

m8_status m8__info_text(m8_blocks *app, const char *root, bool all_endpoints, m8_buf *out, m8_error *err)
{
    m8_status st = begin(app, err);
    struct text *x = st ? NULL : &app->config->info[all_endpoints];
    if (x && !x->made) st = make(x, with_snippets(m8__info_tree(app, all_endpoints)), false, false, err);
    return st ? st : answer(x, root, NULL, out, err);
}

m8_status m8__openapi_text(m8_blocks *app, m8_buf *out, m8_error *err)
{
    m8_status st = begin(app, err);
    struct text *x = st ? NULL : &app->config->openapi;
    if (x && !x->made) st = make(x, m8__openapi_tree(app), false, false, err);
    return st ? st : answer(x, "", NULL, out, err);
}

void m8__config_free(struct m8__config *c)
{
    if (!c) return;
    for (int i = 0; i < 2; i++) {
        text_finish(&c->config[i]);
        text_finish(&c->info[i]);
    }
    text_finish(&c->openapi);
    m8_free(c);
}

json_t *m8__auth_config(m8_blocks *app, const char *root)
{
    const char *message = app->launch.auth_message;
    return json_pack("{s:b, s:o, s:n, s:s, s:{s:{s:{}}}, s:[s], s:[], s:[], s:s}", "auth_required", 1, "auth_message",
                     message ? json_string(message) : json_null(), "space_id", "root", root, "page", "", "layout",
                     "pages", "", "components", "dependencies", "current_page", "");
}

/* ---- files to begin with -------------------------------------------------------------------------------------------- */

static m8_status take_file(m8_block *b, m8_error *err)
{
    json_t *file = NULL;
    m8_status st = m8__file_out(b->app, NULL, b->initial_file, &file, err);
    if (!st) st = m8__postprocess(b, &file, err);
    if (!st && json_object_set(b->props, "value", file)) st = m8_fail(err, M8_E_NOMEM, "out of memory for a file");
    json_decref(file);
    if (st) return st;
    m8_free(b->initial_file);
    b->initial_file = NULL;
    return M8_OK;
}

m8_status m8__initial_files(m8_blocks *app, m8_error *err)
{
    m8_status st = M8_OK;
    for (size_t i = 0; i < app->n_blocks && !st; i++) {
        if (app->blocks[i]->initial_file) st = take_file(app->blocks[i], err);
        if (!st && app->blocks[i]->examples) st = m8__examples_files(app->blocks[i], err);
    }
    return st;
}
