/* What a client sends for an event's inputs: counted, filled up, checked by the components. And what is kept of its request. */
#include "run_internal.h"
#include <string.h>

/* One entry for each input. Entries of blocks that the API leaves out (State) may be missing altogether. NULL: too few. */
static json_t *align(const m8_event *e, const json_t *data)
{
    size_t n = json_array_size(data), n_given = 0;
    for (size_t i = 0; i < e->n_in; i++) n_given += !(e->in && e->in[i]->skip_api);
    if (n < e->n_in && n != n_given) return NULL;
    bool all = n >= e->n_in;
    json_t *in = json_array();
    for (size_t i = 0, k = 0; in && i < e->n_in; i++) {
        bool skipped = !all && e->in && e->in[i]->skip_api;
        json_t *value = skipped ? json_null() : json_incref(json_array_get(data, k++));
        if (json_array_append_new(in, value)) {
            json_decref(in);
            return NULL;
        }
    }
    return in;
}

m8_status m8__inputs(m8_blocks *app, struct m8__session *s, const m8_event *e, json_t *data, json_t **out, char **said_no, m8_error *err)
{
    *out = NULL;
    json_t *in = align(e, data);
    if (!in) {
        return m8_fail(err, M8_E_ARG, "An event handler (%s) didn't receive enough input values (needed: %zu, got: %zu).", e->api_name,
                       e->n_in, json_array_size(data));
    }
    m8_status st = M8_OK;
    for (size_t i = 0; i < e->n_in && !st; i++) {
        if (!e->in || e->plan->state_in[i]) {
            if (e->in) json_array_set_new(in, i, json_null()); /* what a client says of a State is not listened to */
            continue;
        }
        json_t *was = json_array_get(in, i), *value = json_incref(was);
        m8_error why = {0};
        st = m8__preprocess(e->in[i], &value, s, &why);
        if (st == M8_E_USER) { /* the run fails with it, as an exception of the handler's */
            if (!*said_no) *said_no = m8_strdup(m8_error_text(&why));
            st = *said_no ? M8_OK : M8_E_NOMEM;
        }
        if (st) m8_fail(err, st, "%s", m8_error_text(&why));
        if (!st && value != was) st = json_array_set(in, i, value) ? m8_fail(err, M8_E_NOMEM, "out of memory") : M8_OK;
        json_decref(value);
    }
    if (st) json_decref(in);
    else *out = in;
    return st;
}

static size_t put(char *to, size_t at, const char *s)
{
    size_t n = strlen(s) + 1;
    if (to) memcpy(to + at, s, n);
    return at + n;
}

/* Lays the strings out at `to`; NULL: only counts. */
static size_t lay_out(struct m8__about *a, char *to, m8_http_req *r, const char *root, const char *user)
{
    size_t n = 0;
    const char *name, *value;
    if (a) a->root = to;
    n = put(to, n, root);
    n = put(to, n, a ? (a->query = to + n, m8_http_query(r)) : m8_http_query(r));
    n = put(to, n, a ? (a->peer = to + n, m8_http_peer(r)) : m8_http_peer(r));
    if (a) a->user = user ? to + n : NULL;
    if (user) n = put(to, n, user);
    if (a) a->headers = to + n;
    for (size_t i = 0; m8_http_each_header(r, i, &name, &value); i++) {
        if (!*name) continue;
        n = put(to, n, name);
        n = put(to, n, value);
    }
    return put(to, n, "");
}

struct m8__about *m8__about_new(m8_blocks *app, m8_http_req *r)
{
    const char *root = m8__root(app, r), *user = m8__auth_user(app, r);
    if (!root) return NULL;
    struct m8__about *a = m8_malloc(sizeof *a + lay_out(NULL, NULL, r, root, user));
    if (a) lay_out(a, (char *)(a + 1), r, root, user);
    return a;
}
