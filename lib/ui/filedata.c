/* FileData: files as they cross the wire. What a client names must be his; what the app names must be allowed to go out. */
#include "files.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *m8__filedata_path(const json_t *value)
{
    const char *type = json_string_value(json_object_get(json_object_get(value, "meta"), "_type"));
    const json_t *path = json_object_get(value, "path");
    if (!type || strcmp(type, "gradio.FileData") || !json_is_string(path)) return NULL;
    const char *s = json_string_value(path);
    return strlen(s) == json_string_length(path) ? s : NULL;
}

json_t *m8__filedata(const char *path, const char *orig_name, json_int_t size, bool is_stream)
{
    return json_pack("{s:s, s:n, s:o, s:s?, s:n, s:b, s:{s:s}}", "path", path, "url", "size", size < 0 ? json_null() : json_integer(size), "orig_name",
                     orig_name, "mime_type", "is_stream", (int)is_stream, "meta", "_type", "gradio.FileData");
}

static m8_status set_url(json_t *file, const char *path, const char *root)
{
    m8_buf url = {0};
    bool link = !strncmp(path, "http://", 7) || !strncmp(path, "https://", 8);
    for (const char *c = path; *c; c++) link = link && (unsigned char)*c > ' ' && *c != '"' && *c != 0x7F;
    if (link) {
        m8_buf_str(&url, path);
    } else {
        m8_buf_printf(&url, "%s" M8__PREFIX "/%s", root, json_is_true(json_object_get(file, "is_stream")) ? "stream/" : "file=");
        m8_percent_encode(&url, path, "/");
    }
    m8_status st = url.status;
    if (!st && json_object_set_new(file, "url", json_string(url.data))) st = M8_E_NOMEM;
    m8_buf_finish(&url);
    return st;
}

static m8_status add_urls(json_t *value, const char *root, int depth)
{
    const char *key, *path = m8__filedata_path(value);
    json_t *item;
    size_t i;
    m8_status st = M8_OK;
    if (depth > 200) return M8_OK; /* deeper than anything that came in */
    if (path) return set_url(value, path, root);
    json_array_foreach(value, i, item) if (!st && (json_is_array(item) || json_is_object(item))) st = add_urls(item, root, depth + 1);
    json_object_foreach(value, key, item) if (!st && (json_is_array(item) || json_is_object(item))) st = add_urls(item, root, depth + 1);
    return st;
}

m8_status m8__add_urls(json_t *value, const char *root) { return add_urls(value, root, 0); }

static m8_status keep_as_filedata(struct m8__draft *d, const char *session, json_t **out, m8_error *err)
{
    *out = m8__filedata(d->path, d->name, (json_int_t)d->size, false);
    if (!*out) return m8_fail(err, M8_E_NOMEM, "files: out of memory");
    m8_status st = m8__draft_keep(d, session, NULL, err);
    if (st) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

m8_status m8__file_bytes(m8_blocks *app, const char *session_hash, const char *name, const void *data, size_t n, json_t **out, m8_error *err)
{
    struct m8__draft d;
    *out = NULL;
    m8_status st = m8__draft_open(&d, app, NULL, name ? name : "file", err);
    if (!st) st = m8__draft_write(&d, data, n, err);
    if (!st) st = keep_as_filedata(&d, session_hash, out, err);
    m8__draft_drop(&d);
    return st;
}

static m8_status copy(struct m8__draft *d, int fd, m8_error *err)
{
    char *piece = m8_malloc(1 << 16);
    m8_status st = piece ? M8_OK : m8_fail(err, M8_E_NOMEM, "files: out of memory");
    while (!st) {
        ssize_t n = m8_sys_get()->read(fd, piece, 1 << 16);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = m8_fail_errno(err, M8_E_IO, "the file cannot be read");
        if (n <= 0) break;
        st = m8__draft_write(d, piece, (size_t)n, err);
    }
    m8_free(piece);
    return st;
}

/* Does the file lie in the cache already, and may this session have it as it is? */
static bool lies_here(m8_blocks *app, const char *real, const char *session, json_t **out)
{
    pthread_mutex_lock(&app->lock);
    struct m8__file *x = m8__file_find(app->files, real);
    bool here = x && (x->of_app || (session && (!x->session || !strcmp(m8__file_owner(x), session))));
    if (here) *out = m8__filedata(real, x->name, (json_int_t)x->size, false);
    pthread_mutex_unlock(&app->lock);
    return here;
}

m8_status m8__file_out(m8_blocks *app, const char *session_hash, const char *path, json_t **out, m8_error *err)
{
    char real[PATH_MAX];
    uint64_t size;
    *out = NULL;
    if (!realpath(path, real)) return m8_fail_errno(err, errno == ENOENT ? M8_E_NOTFOUND : M8_E_IO, "%s", path);
    if (lies_here(app, real, session_hash, out)) return *out ? M8_OK : m8_fail(err, M8_E_NOMEM, "files: out of memory");
    if (!m8__file_may_go_out(app, real)) {
        return m8_fail(err, M8_E_ARG, "%s may not go out: it lies neither in the working folder nor in that for temporary files nor in allowed_paths", real);
    }
    int fd = m8__file_open_real(real, &size);
    if (fd < 0) return m8_fail(err, M8_E_ARG, "%s: not a file that can be read", real);
    struct m8__draft d;
    m8_status st = m8__draft_open(&d, app, NULL, real, err);
    if (!st) st = copy(&d, fd, err);
    if (!st) st = keep_as_filedata(&d, session_hash, out, err);
    m8__draft_drop(&d);
    m8_sys_get()->close(fd);
    return st ? m8_wrap(err, st, "%s", real) : M8_OK;
}

/* The session's right to a file, claimed where it is nobody's. Under app->lock. */
static m8_status take(m8_blocks *app, struct m8__file *x, const char *session, bool streamed, m8_error *err)
{
    struct m8__files *f = app->files;
    struct m8__member *m = *session ? m8__file_member(f, session) : NULL;
    const char *user = x ? x->user : NULL;
    bool mine = x && (x->of_app || !m8__file_owner(x) || !strcmp(m8__file_owner(x), session));
    if (mine && user && m && strcmp(user, m->user)) mine = false;
    if (!mine) return m8_fail(err, M8_E_ARG, "the file is not one that this session has uploaded or got");
    m8_status st = !x->of_app && !x->session && *session ? m8__file_claim(app, x, session, err) : M8_OK;
    if (!st && !x->of_app && x->session) x->until = streamed ? m8_now_s() + M8__STREAMED_S : 0;
    return st;
}

m8_status m8__file_in(m8_blocks *app, struct m8__session *s, const json_t *value, json_t **out, m8_error *err)
{
    const char *path = m8__filedata_path(value), *session = s ? m8__session_hash(s) : "";
    const char *given = json_string_value(json_object_get(value, "orig_name"));
    bool streamed = json_is_true(json_object_get(value, "is_stream"));
    char name[M8__NAME_MAX + 1];
    *out = NULL;
    if (!path) return m8_fail(err, M8_E_ARG, "expected a file: an object with a path, and meta._type gradio.FileData");
    bool named = given && *given && m8__clean_name(name, given);
    pthread_mutex_lock(&app->lock);
    struct m8__file *x = m8__file_find(app->files, path);
    m8_status st = take(app, x, session, streamed, err);
    if (!st) *out = m8__filedata(path, named ? name : x->name, (json_int_t)x->size, false);
    pthread_mutex_unlock(&app->lock);
    return st || *out ? st : m8_fail(err, M8_E_NOMEM, "files: out of memory");
}

static m8_status files_in(m8_blocks *app, struct m8__session *s, json_t **value, int depth, m8_error *err)
{
    m8_status st = M8_OK;
    const char *key;
    json_t *item, *file = NULL;
    size_t i;
    if (depth > 100) return m8_fail(err, M8_E_ARG, "nested too deeply");
    if (json_is_object(*value) && json_object_get(*value, "meta") && json_object_get(*value, "path")) {
        st = m8__file_in(app, s, *value, &file, err);
        if (st) return st;
        json_decref(*value);
        *value = file;
        return M8_OK;
    }
    json_array_foreach(*value, i, item)
    {
        if (st || !(json_is_array(item) || json_is_object(item))) continue;
        json_incref(item);
        st = files_in(app, s, &item, depth + 1, err);
        if (json_array_set_new(*value, i, item) && !st) st = m8_fail(err, M8_E_NOMEM, "files: out of memory");
    }
    json_object_foreach(*value, key, item)
    {
        if (st || !(json_is_array(item) || json_is_object(item))) continue;
        json_incref(item);
        st = files_in(app, s, &item, depth + 1, err);
        if (json_object_set_new(*value, key, item) && !st) st = m8_fail(err, M8_E_NOMEM, "files: out of memory");
    }
    return st;
}

m8_status m8__files_in(m8_blocks *app, struct m8__session *s, json_t **value, m8_error *err) { return files_in(app, s, value, 0, err); }

