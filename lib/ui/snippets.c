/* Sources that call an endpoint, for the API page: Python, JavaScript, a shell with curl, and Gradio's command. The
 * forms are Gradio's; where those would not run (Python's None in JavaScript, several files, quotes within quotes) they
 * are put right. */
#include "table.h"
#include <string.h>

enum language { PYTHON, JAVASCRIPT, SHELL, COMMAND };

static bool is_file(const json_t *x)
{
    const char *type = json_string_value(json_object_get(json_object_get(x, "meta"), "_type"));
    return type && !strcmp(type, "gradio.FileData") && json_is_string(json_object_get(x, "url"));
}

static bool has_file(const json_t *x)
{
    size_t i;
    json_t *child;
    const char *key;
    if (is_file(x)) return true;
    json_array_foreach((json_t *)x, i, child) {
        if (has_file(child)) return true;
    }
    if (!json_is_object(x)) return false;
    json_object_foreach((json_t *)x, key, child) {
        if (has_file(child)) return true;
    }
    return false;
}

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static bool is_blob(const json_t *parameter)
{
    static const char *const blobs[] = { "Audio", "Downloadbutton", "File", "Image", "Uploadbutton", "Video" };
    for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++) {
        if (!strcmp(text(parameter, "component"), blobs[i])) return true;
    }
    return false;
}

static void file_source(m8_buf *out, enum language to, const json_t *file)
{
    const char *url = text(file, "url");
    if (to == PYTHON || to == JAVASCRIPT) m8_buf_printf(out, "handle_file('%s')", url);
    else if (to == SHELL) m8_buf_str(out, "{\"path\": \"'$FILE_PATH'\", \"meta\": {\"_type\": \"gradio.FileData\"}}");
}

static void value_source(m8_buf *out, enum language to, const json_t *x)
{
    size_t i = 0;
    json_t *child;
    const char *key;
    if (is_file(x)) {
        file_source(out, to, x);
    } else if (json_is_array(x)) {
        m8_buf_chr(out, '[');
        json_array_foreach((json_t *)x, i, child) {
            if (i) m8_buf_str(out, ", ");
            value_source(out, to, child);
        }
        m8_buf_chr(out, ']');
    } else if (json_is_object(x)) {
        m8_buf_chr(out, '{');
        json_object_foreach((json_t *)x, key, child) {
            m8_buf_printf(out, "%s\"%s\": ", i++ ? ", " : "", key);
            value_source(out, to, child);
        }
        m8_buf_chr(out, '}');
    } else if (to == PYTHON && (json_is_null(x) || json_is_boolean(x))) {
        m8_buf_str(out, json_is_null(x) ? "None" : json_is_true(x) ? "True" : "False");
    } else {
        m8__dump(out, x);
    }
}

static const json_t *value_of(const json_t *parameter)
{
    return json_object_get(parameter, json_is_true(json_object_get(parameter, "parameter_has_default"))
                                          ? "parameter_default"
                                          : "example_input");
}

/* An example that is no value of its type ("..." for a number) stands as it is: the reader fills it in. */
static void argument(m8_buf *out, enum language to, const json_t *parameter)
{
    const json_t *value = value_of(parameter);
    const char *type = text(json_object_get(parameter, "python_type"), "type"), *s = json_string_value(value);
    if (s && !strcmp(s, "...") && strcmp(type, "str")) m8_buf_str(out, s);
    else value_source(out, to, value);
}

/* Within single quotes of a shell. */
static void shell_quoted(m8_buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '\'') m8_buf_str(out, "'\\''");
        else m8_buf_chr(out, *s);
    }
}

static void python(m8_buf *out, const char *root, const char *path, const json_t *parameters)
{
    size_t i;
    json_t *p;
    m8_buf_printf(out, "from gradio_client import Client%s\n\nclient = Client(\"%s\")\nresult = client.predict(\n",
                  has_file(parameters) ? ", handle_file" : "", root);
    json_array_foreach((json_t *)parameters, i, p) {
        m8_buf_printf(out, "\t%s=", text(p, "parameter_name"));
        argument(out, PYTHON, p);
        m8_buf_str(out, ",\n");
    }
    m8_buf_printf(out, "\tapi_name=\"%s\",\n)\nprint(result)", path);
}

/* "exampleAudio", and with a number where there are several of a kind. */
static void blob_name(m8_buf *out, const json_t *parameters, size_t at)
{
    const char *component = text(json_array_get(parameters, at), "component");
    int before = 0;
    for (size_t i = 0; i < at; i++) before += !strcmp(text(json_array_get(parameters, i), "component"), component);
    m8_buf_printf(out, "example%s", component);
    if (before) m8_buf_printf(out, "_%d", before);
}

static void javascript(m8_buf *out, const char *root, const char *path, const json_t *parameters)
{
    size_t i;
    json_t *p;
    int blobs = 0;
    m8_buf fetches = {0};
    json_array_foreach((json_t *)parameters, i, p) {
        if (!is_blob(p)) continue;
        const json_t *example = json_object_get(p, "example_input");
        if (json_is_array(example)) example = json_array_get(example, 0);
        m8_buf_printf(&fetches, "const response_%d = await fetch(\"%s\");\nconst ", blobs, text(example, "url"));
        blob_name(&fetches, parameters, i);
        m8_buf_printf(&fetches, " = await response_%d.blob();\n", blobs++);
    }
    m8_buf_printf(out, "import { Client%s } from \"@gradio/client\";\n\n", blobs ? ", handle_file" : "");
    m8_buf_add(out, fetches.data, fetches.len);
    if (blobs) m8_buf_chr(out, '\n');
    if (fetches.status) out->status = fetches.status;
    m8_buf_finish(&fetches);
    m8_buf_printf(out, "const client = await Client.connect(\"%s\");\nconst result = await client.predict(\"%s\", {\n",
                  root, path);
    json_array_foreach((json_t *)parameters, i, p) {
        bool list = json_is_array(json_object_get(p, "example_input"));
        m8_buf_printf(out, "\t\t%s: ", text(p, "parameter_name"));
        if (is_blob(p)) {
            m8_buf_str(out, list ? "[handle_file(" : "handle_file(");
            blob_name(out, parameters, i);
            m8_buf_str(out, list ? ")]" : ")");
        } else {
            argument(out, JAVASCRIPT, p);
        }
        m8_buf_str(out, ",\n");
    }
    m8_buf_str(out, "});\n\nconsole.log(result.data);");
}

static void shell(m8_buf *out, const char *root, const char *path, const json_t *parameters)
{
    size_t i;
    json_t *p;
    if (has_file(parameters))
        m8_buf_printf(out,
                      "FILE_PATH=$(curl -s -X POST %s" M8__PREFIX
                      "/upload -F 'files=@/path/to/your/file' | tr -d '[]\" ')\n\n",
                      root);
    m8_buf_printf(out, "curl -X POST %s" M8__PREFIX "/call/v2%s -s -H \"Content-Type: application/json\" \\\n  -d '{",
                  root, path);
    json_array_foreach((json_t *)parameters, i, p) {
        m8_buf source = {0};
        m8_buf_printf(out, "%s\"%s\": ", i ? ", " : "", text(p, "parameter_name"));
        argument(&source, SHELL, p);
        if (source.status) out->status = source.status;
        else if (has_file(value_of(p))) m8_buf_str(out, source.data); /* its quotes let the shell's variable in */
        else shell_quoted(out, source.data);
        m8_buf_finish(&source);
    }
    m8_buf_printf(
        out, "}' \\\n  | awk -F'\"' '{ print $4}' \\\n  | read EVENT_ID; curl -N %s" M8__PREFIX "/call%s/$EVENT_ID",
        root, path);
}

/* Files as Gradio's command takes them: path and meta alone. New. */
static json_t *short_files(const json_t *x)
{
    if (is_file(x)) return json_pack("{s:O, s:O}", "path", json_object_get(x, "url"), "meta", json_object_get(x, "meta"));
    json_t *out = json_is_array(x) ? json_array() : json_is_object(x) ? json_object() : json_incref((json_t *)x), *child;
    size_t i;
    const char *key;
    bool ok = out != NULL;
    json_array_foreach((json_t *)x, i, child) {
        if (ok) ok = !json_array_append_new(out, short_files(child));
    }
    if (json_is_object(x)) {
        json_object_foreach((json_t *)x, key, child) {
            if (ok) ok = !json_object_set_new(out, key, short_files(child));
        }
    }
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static int add_text(const char *data, size_t n, void *user)
{
    m8_buf_add(user, data, n);
    return 0;
}

static void command(m8_buf *out, const char *root, const char *path, const json_t *parameters)
{
    size_t i;
    json_t *p, *arguments = json_object();
    bool ok = arguments != NULL;
    json_array_foreach((json_t *)parameters, i, p) {
        if (ok) ok = !json_object_set_new(arguments, text(p, "parameter_name"), short_files(value_of(p)));
    }
    m8_buf source = {0};
    if (!ok || json_dump_callback(arguments, add_text, &source, JSON_INDENT(2)) || source.status) out->status = M8_E_NOMEM;
    json_decref(arguments);
    m8_buf_printf(out, "{command} predict %s %s '", root, path);
    if (!out->status) shell_quoted(out, source.data);
    m8_buf_str(out, "'\n");
    m8_buf_finish(&source);
}

json_t *m8__snippets(const char *root, const char *path, const json_t *endpoint)
{
    static const struct {
        const char *name;
        void (*write)(m8_buf *out, const char *root, const char *path, const json_t *parameters);
    } all[] = { { "python", python }, { "javascript", javascript }, { "bash", shell }, { "cli", command } };
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof all / sizeof *all && out; i++) {
        m8_buf source = {0};
        all[i].write(&source, root, path, json_object_get(endpoint, "parameters"));
        if (source.status || json_object_set_new(out, all[i].name, json_stringn(source.data, source.len))) {
            json_decref(out);
            out = NULL;
        }
        m8_buf_finish(&source);
    }
    return out;
}
