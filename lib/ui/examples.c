/* Rows of examples: a Dataset, the event that fills the inputs with the row that was clicked, and behind it, if there
 * is a function, its run. What a row gave can be kept: the text of the values, and the bytes of the files, since those
 * of a run go with their session. */
#include "table.h"
#include <string.h>

#define MOST_KEPT ((size_t)64 << 20) /* bytes of files */

struct kept_file {
    char *path;
    m8_buf data;
};

struct m8__examples {
    json_t *rows; /* as the app gave them: files are paths */
    m8_fn fn;
    bool cache, files_taken;
    size_t n_in;
    pthread_mutex_t lock;
    json_t *results; /* [row] of the outputs, null while unknown */
    struct kept_file *files;
    size_t n_files, bytes;
};

void m8__examples_free(struct m8__examples *x)
{
    if (!x) return;
    for (size_t i = 0; i < x->n_files; i++) {
        m8_free(x->files[i].path);
        m8_buf_finish(&x->files[i].data);
    }
    m8_free(x->files);
    json_decref(x->rows);
    json_decref(x->results);
    pthread_mutex_destroy(&x->lock);
    m8_free(x);
}

static bool is_file(const json_t *value)
{
    const char *type = json_string_value(json_object_get(json_object_get(value, "meta"), "_type"));
    return type && !strcmp(type, "gradio.FileData");
}

static bool takes_files(const m8_block *b)
{
    static const char *const types[] = { "audio", "image", "video", "file", "uploadbutton", "downloadbutton" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!strcmp(b->type->type, types[i])) return true;
    }
    return false;
}

/* ---- the handlers --------------------------------------------------------------------------------------------------- */

static m8_status load_example(m8_call *c, m8_error *err)
{
    const m8_event *e = m8__call_event(c);
    const struct m8__examples *x = e->in[0]->examples;
    const json_t *row = json_array_get(x->rows, (size_t)json_integer_value(m8__call_in(c, 0)));
    m8_status st = M8_OK;
    for (size_t i = 0; i < e->n_out && !st; i++) {
        json_t *cell = json_array_get(row, i);
        if (takes_files(e->out[i]) && json_is_string(cell)) st = m8_out_file(c, (int)i, json_string_value(cell));
        else st = m8__call_set(c, (int)i, cell ? json_incref(cell) : json_null());
    }
    return st ? m8_fail(err, st, "loading an example") : M8_OK;
}

/* Only what an app has as example is kept, so a visitor cannot fill the cache; a row with files never is equal, and is
 * run each time. */
static bool find_row(const struct m8__examples *x, const m8_call *c, size_t *at)
{
    size_t n = json_array_size(x->rows);
    for (*at = 0; *at < n; ++*at) {
        const json_t *row = json_array_get(x->rows, *at);
        size_t i = 0;
        while (i < x->n_in && json_equal(json_array_get(row, i), m8__call_in(c, (int)i))) i++;
        if (i == x->n_in) return true;
    }
    return false;
}

static const struct kept_file *kept(const struct m8__examples *x, const char *path)
{
    for (size_t i = 0; i < x->n_files; i++) {
        if (!strcmp(x->files[i].path, path)) return &x->files[i];
    }
    return NULL;
}

/* Keep the bytes of every file within value; false: it cannot be kept. */
static bool keep_files(struct m8__examples *x, const json_t *value)
{
    size_t i;
    json_t *child;
    const char *key, *path = json_string_value(json_object_get(value, "path"));
    if (is_file(value)) {
        if (!path || json_is_true(json_object_get(value, "is_stream"))) return false;
        if (kept(x, path)) return true;
        struct kept_file *more = m8_realloc(x->files, (x->n_files + 1) * sizeof *more),
                         f = { .data.limit = MOST_KEPT - x->bytes };
        if (!more) return false;
        x->files = more;
        f.path = m8_strdup(path);
        if (!f.path || !f.data.limit || m8_read_file(&f.data, path, NULL)) {
            m8_free(f.path);
            m8_buf_finish(&f.data);
            return false;
        }
        x->bytes += f.data.len;
        more[x->n_files++] = f;
        return true;
    }
    json_array_foreach((json_t *)value, i, child) {
        if (!keep_files(x, child)) return false;
    }
    if (!json_is_object(value)) return true;
    json_object_foreach((json_t *)value, key, child) {
        if (!keep_files(x, child)) return false;
    }
    return true;
}

/* The kept value with files of this session. New; NULL: no memory, or the cache folder is full. */
static json_t *with_files(const struct m8__examples *x, const m8_call *c, const json_t *value)
{
    if (is_file(value)) {
        const struct kept_file *f = kept(x, json_string_value(json_object_get(value, "path")));
        const char *name = json_string_value(json_object_get(value, "orig_name"));
        json_t *file = NULL;
        return f && !m8__file_bytes(m8__call_event(c)->app, m8_call_session(c), name ? name : "file", f->data.data,
                                    f->data.len, &file, NULL)
                   ? file
                   : NULL;
    }
    json_t *out = json_is_array(value)    ? json_array()
                  : json_is_object(value) ? json_object()
                                          : json_incref((json_t *)value),
           *child;
    size_t i;
    const char *key;
    bool ok = out != NULL;
    json_array_foreach((json_t *)value, i, child) {
        if (ok) ok = !json_array_append_new(out, with_files(x, c, child));
    }
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, child) {
            if (ok) ok = !json_object_set_new(out, key, with_files(x, c, child));
        }
    }
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static void keep(struct m8__examples *x, const m8_call *c, size_t row)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < m8__call_event(c)->n_out && ok; i++) {
        const json_t *value = m8__call_out(c, (int)i);
        ok = !json_is_true(m8__prop(m8__call_event(c)->out[i], "streaming")) && keep_files(x, value) &&
             !json_array_append_new(list, value ? json_deep_copy(value) : json_null());
    }
    if (!ok || json_array_set(x->results, row, list)) m8_log(M8_LOG_WARN, "ui: the result of an example is not kept");
    json_decref(list);
}

static m8_status run_example(m8_call *c, m8_error *err)
{
    const m8_event *e = m8__call_event(c);
    struct m8__examples *x = e->after->in[0]->examples;
    size_t row;
    if (!x->cache || !find_row(x, c, &row)) return x->fn(c, err);
    pthread_mutex_lock(&x->lock); /* results never change once they are there, and files are never forgotten */
    const json_t *known = json_array_get(x->results, row);
    json_t *values = json_is_array(known) ? with_files(x, c, known) : NULL;
    pthread_mutex_unlock(&x->lock);
    m8_status st = values ? M8_OK : x->fn(c, err);
    for (size_t i = 0; i < json_array_size(values) && !st; i++) {
        st = m8__call_set(c, (int)i, json_incref(json_array_get(values, i)));
        if (st) m8_fail(err, st, "the result of an example");
    }
    if (!st && !values) {
        pthread_mutex_lock(&x->lock);
        if (!json_is_array(json_array_get(x->results, row))) keep(x, c, row);
        pthread_mutex_unlock(&x->lock);
    }
    json_decref(values);
    return st;
}

/* ---- the dataset ---------------------------------------------------------------------------------------------------- */

static m8_status row_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    json_int_t i = json_integer_value(*value), n = (json_int_t)json_array_size(m8__prop(b, "samples"));
    if (json_is_integer(*value) && i >= 0 && i < n) return M8_OK;
    return m8_fail(err, M8_E_ARG, "dataset: expected the index of a row");
}

const struct m8__component m8__dataset = { .type = "dataset", .preprocess = row_in };

/* What the page needs to show a cell: the properties of its component, but for those that are not a parameter in Gradio. */
static json_t *cell_props(const m8_block *b)
{
    static const char *const others[] = { "value", "name", "streamable", "likeable", "component_class_name" };
    json_t *out = json_object(), *value;
    const char *key;
    json_object_foreach(b->props, key, value) {
        bool skip = *key == '_';
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) skip = skip || !strcmp(key, others[i]);
        if (!skip && json_object_set(out, key, value)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static void describe(m8_block *b, m8_block *const *in, size_t n)
{
    json_t *props = json_array(), *headers = json_array(), *components = json_array(), *ids = json_array();
    bool ok = props && headers && components && ids, any = false;
    for (size_t i = 0; i < n && ok; i++) {
        any = any || *m8__prop_text(in[i], "label");
        ok = !json_array_append_new(props, cell_props(in[i])) &&
             !json_array_append_new(headers, json_string(m8__prop_text(in[i], "label"))) &&
             !json_array_append_new(ids, json_integer(in[i]->id)) &&
             !json_array_append_new(components, json_pack("{s:s, s:o}", "name", m8__prop_text(in[i], "name"),
                                                          "class_id", m8__class_id(in[i]->type)));
    }
    if (!any && ok) json_array_clear(headers);
    m8__props_set(b, "component_props", ok ? json_incref(props) : NULL);
    m8__props_set(b, "headers", ok ? json_incref(headers) : NULL);
    m8__props_set(b, "components", ok ? json_incref(components) : NULL);
    m8__props_set(b, "component_ids", ok ? json_incref(ids) : NULL);
    json_decref(props);
    json_decref(headers);
    json_decref(components);
    json_decref(ids);
}

static struct m8__examples *rows_new(m8_block *b, const m8_examples_opts *o, size_t n_in)
{
    struct m8__examples *x = m8_calloc(1, sizeof *x);
    if (!x) return NULL;
    pthread_mutex_init(&x->lock, NULL);
    x->rows = json_incref((json_t *)m8__prop(b, "samples"));
    x->fn = o->fn;
    x->cache = o->cache;
    x->n_in = n_in;
    x->results = json_array();
    bool ok = x->results != NULL;
    for (size_t i = 0; i < json_array_size(x->rows) && ok; i++) ok = !json_array_append_new(x->results, json_null());
    if (ok) return x;
    m8__examples_free(x);
    return NULL;
}

static bool rows_fit(m8_block *b, size_t n_in)
{
    const json_t *rows = m8__prop(b, "samples");
    size_t i;
    json_t *row;
    bool ok = json_is_array(rows) && json_array_size(rows) > 0;
    json_array_foreach((json_t *)rows, i, row) ok = ok && json_array_size(row) == n_in;
    if (!ok) m8__app_fail(b->app, M8_E_ARG, "examples: expected rows of %zu values", n_in);
    return ok;
}

m8_block *m8__examples_new(m8_block *parent, m8_block *const *in, size_t n_in, m8_block *const *out,
                           const m8_examples_opts *o)
{
    m8_block *b = m8__block_new(parent, &m8__dataset);
    if (!b) return NULL;
    m8__props_text(b, "label", o->label);
    m8__props_json(b, "samples", o->rows ? o->rows : "[]");
    m8__props_int(b, "samples_per_page", o->samples_per_page);
    describe(b, in, n_in);
    if (b->app->status || !rows_fit(b, n_in)) return NULL;
    b->examples = rows_new(b, o, n_in);
    if (!b->examples) {
        m8__app_nomem(b->app);
        return NULL;
    }
    m8_event_opts load = { .api_name = "load_example",
                           .api_visibility = M8_UNDOCUMENTED,
                           .in = { b },
                           .queue = M8_NO,
                           .show_progress = "hidden" };
    m8_event_opts run = { .api_name = "run_example", .api_visibility = M8_UNDOCUMENTED, .user = o->user };
    for (size_t i = 0; i < n_in; i++) load.out[i] = run.in[i] = in[i];
    for (size_t i = 0; i < 31 && out[i]; i++) run.out[i] = out[i];
    m8_event *e = m8_on(b, M8_CLICK, load_example, &load);
    if (o->fn) m8_then(e, run_example, &run);
    return b->app->status ? NULL : b;
}

m8_block *m8_examples(m8_block *parent, const m8_examples_opts *opts)
{
    static const m8_examples_opts none;
    const m8_examples_opts *o = opts ? opts : &none;
    size_t n = 0;
    while (n < 16 && o->in[n]) n++;
    m8_block *out[17] = {0};
    for (size_t i = 0; i < 16 && o->out[i]; i++) out[i] = o->out[i];
    return m8__examples_new(parent, o->in, n, out, o);
}

/* Paths among the samples become FileData of the cache, for the page to show. The rows themselves keep them: each
 * session gets files of its own. */
m8_status m8__examples_files(m8_block *b, m8_error *err)
{
    struct m8__examples *x = b->examples;
    if (x->files_taken) return M8_OK;
    json_t *samples = json_deep_copy(x->rows), *row;
    const json_t *ids = m8__prop(b, "component_ids");
    m8_status st = samples ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory for examples");
    size_t i;
    json_array_foreach(samples, i, row) {
        for (size_t k = 0; k < x->n_in && !st; k++) {
            const m8_block *input = m8__block_find(b->app, (int)json_integer_value(json_array_get(ids, k)));
            json_t *file = NULL;
            if (!input || !takes_files(input) || !json_is_string(json_array_get(row, k))) continue;
            st = m8__file_out(b->app, NULL, json_string_value(json_array_get(row, k)), &file, err);
            if (!st && json_array_set_new(row, k, file)) st = m8_fail(err, M8_E_NOMEM, "out of memory for examples");
        }
    }
    if (!st && json_object_set(b->props, "samples", samples)) st = m8_fail(err, M8_E_NOMEM, "out of memory for examples");
    json_decref(samples);
    x->files_taken = !st;
    return st;
}
