/* The OpenAPI description of the call/v2 routes, as Gradio writes it. */
#include "table.h"
#include <string.h>

/* ---- values as Python prints them: the descriptions hold them so ---------------------------------------------------- */

static void python_text(m8_buf *out, const char *s)
{
    char quote = strchr(s, '\'') && !strchr(s, '"') ? '"' : '\'';
    m8_buf_chr(out, quote);
    for (; *s; s++) {
        if (*s == quote || *s == '\\') m8_buf_printf(out, "\\%c", *s);
        else if (*s == '\n') m8_buf_str(out, "\\n");
        else m8_buf_chr(out, *s);
    }
    m8_buf_chr(out, quote);
}

static void python_value(m8_buf *out, const json_t *x)
{
    size_t i = 0;
    json_t *child;
    const char *key;
    if (json_is_string(x)) {
        python_text(out, json_string_value(x));
    } else if (json_is_array(x)) {
        m8_buf_chr(out, '[');
        json_array_foreach((json_t *)x, i, child) {
            if (i) m8_buf_str(out, ", ");
            python_value(out, child);
        }
        m8_buf_chr(out, ']');
    } else if (json_is_object(x)) {
        m8_buf_chr(out, '{');
        json_object_foreach((json_t *)x, key, child) {
            if (i++) m8_buf_str(out, ", ");
            python_text(out, key);
            m8_buf_str(out, ": ");
            python_value(out, child);
        }
        m8_buf_chr(out, '}');
    } else if (json_is_null(x) || json_is_boolean(x)) {
        m8_buf_str(out, json_is_null(x) ? "None" : json_is_true(x) ? "True" : "False");
    } else {
        m8__dump(out, x);
    }
}

/* ---- parts ---------------------------------------------------------------------------------------------------------- */

static json_t *upload_path(void)
{
    json_t *files = json_pack("{s:s, s:{s:s, s:s}, s:s}", "type", "array", "items", "type", "string", "format",
                              "binary", "description", "One or more files to upload");
    json_t *body = json_pack("{s:b, s:{s:{s:{s:s, s:{s:o}, s:[s]}}}}", "required", 1, "content", "multipart/form-data",
                             "schema", "type", "object", "properties", "files", files, "required", "files");
    json_t *id = json_pack("{s:s, s:s, s:b, s:{s:s, s:b, s:n}, s:s}", "name", "upload_id", "in", "query", "required", 0,
                           "schema", "type", "string", "nullable", 1, "default", "description",
                           "Optional ID to track upload progress");
    json_t *ok = json_pack("{s:s, s:{s:{s:{s:s, s:{s:s}}}}}", "description",
                           "List of file paths where the uploaded files were saved", "content", "application/json",
                           "schema", "type", "array", "items", "type", "string");
    json_t *bad = json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "Invalid content type or invalid file name",
                            "content", "text/plain", "schema", "type", "string");
    json_t *big = json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "File exceeds maximum allowed size", "content",
                            "text/plain", "schema", "type", "string");
    return json_pack("{s:{s:s, s:s, s:[o], s:o, s:{s:o, s:o, s:o}, s:[{s:[]}]}}", "post", "summary", "Upload File",
                     "operationId", "upload_file_upload_post", "parameters", id, "requestBody", body, "responses",
                     "200", ok, "400", bad, "413", big, "security", "login_check");
}

/* "Returns an array of 1 elements of the following format: ["output ({'type': 'string'})"]" */
static void returns_text(m8_buf *out, const json_t *returns)
{
    size_t i;
    json_t *one, *list = json_array();
    json_array_foreach((json_t *)returns, i, one) {
        json_t *schema = json_object_get(one, "type"),
               *simple = m8__schema_inline(schema, json_object_get(schema, "$defs"), 0);
        m8_buf text = {0};
        if (i) m8_buf_printf(&text, "output_%zu (", i);
        else m8_buf_str(&text, "output (");
        python_value(&text, simple);
        m8_buf_chr(&text, ')');
        if (!simple || text.status || json_array_append_new(list, json_stringn(text.data, text.len)))
            out->status = M8_E_NOMEM;
        json_decref(simple);
        m8_buf_finish(&text);
    }
    if (list) python_value(out, list);
    else out->status = M8_E_NOMEM;
    json_decref(list);
}

/* A parameter's schema; a file is a text with a format. */
static json_t *property(const json_t *parameter, bool *file)
{
    json_t *schema = json_object_get(parameter, "type"),
           *out = m8__schema_inline(schema, json_object_get(schema, "$defs"), 0);
    const char *type = json_string_value(json_object_get(out, "type"));
    if (!out) return NULL;
    json_object_del(out, "additional_description");
    if (!type || strcmp(type, "filepath")) return out;
    *file = true;
    if (!json_object_set_new(out, "type", json_string("string")) &&
        !json_object_set_new(out, "format", json_string("filepath")))
        return out;
    json_decref(out);
    return NULL;
}

static json_t *post(const char *path, const json_t *endpoint)
{
    const char *about = json_string_value(json_object_get(endpoint, "description"));
    json_t *properties = json_object(), *p, *returns = json_object_get(endpoint, "returns");
    m8_buf summary = {0}, description = {0};
    size_t i;
    bool file = false, ok = properties != NULL;
    json_array_foreach(json_object_get(endpoint, "parameters"), i, p) {
        if (ok)
            ok = !json_object_set_new(properties, json_string_value(json_object_get(p, "parameter_name")),
                                      property(p, &file));
    }
    m8_buf_str(&summary, *about ? about : "Endpoint ");
    if (!*about) m8_buf_str(&summary, path);
    if (file)
        m8_buf_str(&summary, ". File inputs must first be uploaded via POST " M8__PREFIX
                             "/upload (multipart/form-data with a \"files\" field). Use the "
                             "returned path in the request body as {\"path\": \"<uploaded_path>\", \"meta\": "
                             "{\"_type\": \"gradio.FileData\"}}.");
    m8_buf_printf(&description,
                  "%sOutput must be fetched from GET " M8__PREFIX
                  "/call%s/{event_id}. Returns an array of %zu elements of the following "
                  "format: ",
                  about, path, json_array_size(returns));
    returns_text(&description, returns);
    json_t *body = json_pack("{s:b, s:{s:{s:{s:s, s:o}}}}", "required", 1, "content", "application/json", "schema",
                             "type", "object", "properties", properties);
    json_t *done = json_pack("{s:s, s:{s:{s:{s:s, s:{s:{s:s}}}}}}", "description", "Successful response", "content",
                             "application/json", "schema", "type", "object", "properties", "event_id", "type",
                             "string");
    ok = ok && body && done && !summary.status && !description.status;
    json_t *out = ok ? json_pack("{s:{s:s, s:s, s:s, s:O, s:{s:O}}}", "post", "summary", summary.data, "description",
                                 description.data, "operationId", path + 1, "requestBody", body, "responses", "200",
                                 done)
                     : NULL;
    json_decref(body);
    json_decref(done);
    m8_buf_finish(&summary);
    m8_buf_finish(&description);
    return out;
}

static json_t *get(const char *path)
{
    json_t *id = json_pack("{s:s, s:s, s:b, s:{s:s}, s:s}", "name", "event_id", "in", "path", "required", 1, "schema",
                           "type", "string", "description", "The event_id returned by the POST request");
    json_t *done = json_pack("{s:s, s:{s:{s:{s:s}}}}", "description",
                             "SSE stream with event: complete containing a JSON array of outputs", "content",
                             "text/event-stream", "schema", "type", "string");
    return json_pack("{s:{s:o, s:s, s:o, s:[o], s:{s:o}}}", "get", "summary",
                     json_sprintf("Fetch results for %s", path), "description",
                     "Returns a stream of server-sent events (SSE). The final event has `event: complete` with `data` "
                     "containing a JSON array of "
                     "outputs.",
                     "operationId", json_sprintf("%s_get", path + 1), "parameters", id, "responses", "200", done);
}

static bool add_path(json_t *paths, const char *before, const char *path, const char *after, json_t *item)
{
    m8_buf key = {0};
    m8_buf_printf(&key, "%s%s%s", before, path, after);
    bool ok = !key.status && !json_object_set(paths, key.data, item);
    json_decref(item);
    m8_buf_finish(&key);
    return ok;
}

json_t *m8__openapi_tree(m8_blocks *app)
{
    json_t *info = m8__info_tree(app, false), *paths = json_object(), *endpoint;
    const char *path;
    bool ok = info && paths && !json_object_set_new(paths, M8__PREFIX "/upload", upload_path());
    json_object_foreach(json_object_get(info, "named_endpoints"), path, endpoint) {
        ok = ok && add_path(paths, M8__PREFIX "/call/v2", path, "", post(path, endpoint)) &&
             add_path(paths, M8__PREFIX "/call", path, "/{event_id}", get(path));
    }
    const m8_blocks_opts *o = &app->opts;
    json_t *out = ok ? json_pack("{s:s, s:{s:s, s:s, s:s}, s:O, s:{s:{}}}", "openapi", "3.0.2", "info", "title",
                                 o->title ? o->title : "Gradio", "description", o->description ? o->description : "",
                                 "version", M8__GRADIO_VERSION, "paths", paths, "components", "schemas")
                     : NULL;
    json_decref(info);
    json_decref(paths);
    return out;
}
