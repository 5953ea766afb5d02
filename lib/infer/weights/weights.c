/* Opening weights: which file, which format, what lies beside it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weights/reader.h"

/* Parsed JSON takes up to fifty times its length; the header of 2,000 tensors has 300 KB. */
#define MAX_JSON (4u << 20)
#define MAX_DEPTH 64

/* ---- JSON ---- */

static bool too_deep(const json_t *v, int depth)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (depth > MAX_DEPTH) return true;
    json_object_foreach ((json_t *)v, key, inner)
        if (too_deep(inner, depth + 1)) return true;
    json_array_foreach (v, i, inner)
        if (too_deep(inner, depth + 1)) return true;
    return false;
}

m8_status m8__json(json_t **out, const void *data, size_t n, m8_error *err)
{
    *out = NULL;
    if (n > MAX_JSON) return m8_fail(err, M8_E_LIMIT, "%zu bytes of JSON, expected at most %u", n, MAX_JSON);
    json_error_t e;
    *out = json_loadb(data, n, JSON_REJECT_DUPLICATES, &e);
    if (!*out) {
        char *quote = strstr(e.text, " near "); /* bytes of the file, perhaps a broken character */
        if (quote) *quote = 0;
        if (json_error_code(&e) == json_error_out_of_memory || !e.text[0]) /* it has no words for the first allocation */
            return m8_fail(err, M8_E_NOMEM, "out of memory for JSON");
        return m8_fail(err, M8_E_FORMAT, "JSON, line %d, column %d: %s", e.line, e.column, e.text);
    }
    if (too_deep(*out, 1)) {
        json_decref(*out);
        *out = NULL;
        return m8_fail(err, M8_E_FORMAT, "JSON nested deeper than %d", MAX_DEPTH);
    }
    return M8_OK;
}

/* Folder and name: what a cache puts before them would push the cause out of the message. */
static const char *short_name(const char *path)
{
    const char *at = path + strlen(path);
    for (int slashes = 0; at > path; at--)
        if (at[-1] == '/' && ++slashes == 2) break;
    return at;
}

/* A configuration that is not there is none; one that is damaged is an error. */
static m8_status read_config(m8__weights *w, m8_error *err)
{
    char *path = strcmp(w->format, "onnx") ? m8_join_path(w->dir, "config.json") : m8_sprintf("%s.json", w->path);
    if (!path) return m8_fail(err, M8_E_NOMEM, "out of memory for a path");
    m8_buf text = { .limit = MAX_JSON };
    m8_status st = M8_OK;
    if (m8_is_file(path)) {
        st = m8_read_file(&text, path, err);
        if (!st) st = m8__json(&w->config, text.data, text.len, err);
        if (!st && !json_is_object(w->config)) st = m8_fail(err, M8_E_FORMAT, "expected a JSON object");
        if (st) m8_wrap(err, st, "%s", short_name(path));
    }
    m8_buf_finish(&text);
    m8_free(path);
    return st;
}

/* ---- format ---- */

static const struct format {
    const char *name;
    m8_status (*read)(m8__weights *w, cursor c, m8_error *err);
} GGUF = { "gguf", m8__read_gguf },
  SAFETENSORS = { "safetensors", m8__read_safetensors },
  SHARDS = { "safetensors", m8__read_shards },
  CT2 = { "ctranslate2", m8__read_ct2 },
  ONNX = { "onnx", m8__read_onnx };

static const struct format *sniff(cursor c)
{
    if (c.left >= 4 && !memcmp(c.at, "GGUF", 4)) return &GGUF;
    /* safetensors begins with the length of its header, whose first byte may be anything, '{' and 8 too; its last is 0, which
     * neither text nor ONNX has there. */
    if (c.left >= 9 && c.at[8] == '{' && !c.at[7]) return &SAFETENSORS;
    if (c.left && c.at[0] == '{') return &SHARDS;
    /* CTranslate2: a small version number */
    if (c.left >= 6 && c.at[0] && c.at[0] <= 16 && !c.at[1] && !c.at[2] && !c.at[3]) return &CT2;
    if (c.left && c.at[0] == 0x08) return &ONNX; /* field 1, ir_version, as every exporter writes first */
    return NULL;
}

static m8_status read_any(m8__weights *w, cursor c, m8_error *err)
{
    const struct format *f = sniff(c);
    if (!f) return m8_fail(err, M8_E_FORMAT, "neither GGUF, safetensors, CTranslate2 nor ONNX");
    if (f == &SHARDS && !w->dir) return m8_fail(err, M8_E_UNSUPPORTED, "a list of files, given as bytes");
    w->format = f->name;
    m8_status st = f->read(w, c, err);
    if (!st) st = m8__check_overlap(w, err);
    return st;
}

/* ---- files ---- */

m8_status m8__map_one_more(m8__weights *w, cursor *c, const char *path, m8_error *err)
{
    m8_map *maps = m8_realloc(w->maps, (w->n_maps + 1) * sizeof *maps);
    if (!maps) return m8_fail(err, M8_E_NOMEM, "out of memory for %s", path);
    w->maps = maps;
    m8_status st = m8_map_open(&maps[w->n_maps], path, err);
    if (st) return st;
    *c = cursor_on(maps[w->n_maps].data, maps[w->n_maps].size);
    w->n_maps++;
    return M8_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

/* Part 2 or more of a GGUF file that was cut: "-00002-of-00003.gguf". */
static bool is_later_part(const char *name)
{
    int part, n = 0;
    const char *tail = strlen(name) > 20 ? name + strlen(name) - 20 : "";
    return sscanf(tail, "-%5d-of-%*5d.gguf%n", &part, &n) == 1 && n == 20 && part > 1;
}

/* The only file of the folder that ends so; NULL in *name when there is none. */
static m8_status only_file(char **name, const char *dir, const char *end, m8_error *err)
{
    *name = NULL;
    DIR *d = opendir(dir);
    if (!d) return m8_fail_errno(err, M8_E_IO, "%s", dir);
    m8_status st = M8_OK;
    for (struct dirent *e; !st && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !ends_with(e->d_name, end) || is_later_part(e->d_name)) continue;
        if (*name) st = m8_fail(err, M8_E_ARG, "%s: holds more than one *%s, name one", dir, end);
        else if (!(*name = m8_strdup(e->d_name))) st = m8_fail(err, M8_E_NOMEM, "out of memory for a name");
    }
    closedir(d);
    if (st) {
        m8_free(*name);
        *name = NULL;
    }
    return st;
}

static m8_status pick_file(char **out, const char *dir, m8_error *err)
{
    static const char *const NAMES[] = { "model.bin", "*.gguf", "*.onnx", "model.safetensors",
                                         "model.safetensors.index.json" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char *found = NULL;
        const char *name = NAMES[i];
        if (name[0] == '*') {
            m8_status st = only_file(&found, dir, name + 1, err);
            if (st) return st;
            if (!found) continue;
            name = found;
        }
        *out = m8_join_path(dir, name);
        m8_free(found);
        if (!*out) return m8_fail(err, M8_E_NOMEM, "out of memory for a path");
        if (m8_is_file(*out)) return M8_OK;
        m8_free(*out);
        *out = NULL;
    }
    return m8_fail(err, M8_E_NOTFOUND, "%s: no model.bin, *.gguf, *.onnx or model.safetensors in this folder", dir);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return m8_strdup(".");
    return m8_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static m8_status set_paths(m8__weights *w, const char *path, m8_error *err)
{
    if (m8_is_dir(path)) {
        m8_status st = pick_file(&w->path, path, err);
        if (st) return st;
    } else {
        w->path = m8_strdup(path);
    }
    if (w->path) w->dir = folder_of(w->path);
    return w->dir ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory for a path");
}

/* ---- the calls ---- */

static m8__weights *new_weights(m8_error *err)
{
    m8__weights *w = m8_calloc(1, sizeof *w);
    if (w) w->names = m8_arena_new(0);
    if (w && w->names) return w;
    m8_free(w);
    m8_fail(err, M8_E_NOMEM, "out of memory for weights");
    return NULL;
}

m8_status m8__weights_open(m8__weights **out, const char *path, m8_error *err)
{
    *out = NULL;
    m8__weights *w = new_weights(err);
    if (!w) return M8_E_NOMEM;
    cursor c;
    m8_status st = set_paths(w, path, err);
    if (!st) st = m8__map_one_more(w, &c, w->path, err);
    if (!st) {
        st = read_any(w, c, err);
        if (st) m8_wrap(err, st, "%s", short_name(w->path));
    }
    if (!st && strcmp(w->format, "gguf")) st = read_config(w, err);
    if (st) {
        m8__weights_close(w);
        return st;
    }
    *out = w;
    return M8_OK;
}

m8_status m8__weights_open_memory(m8__weights **out, const void *data, size_t n, const char *name, m8_error *err)
{
    *out = NULL;
    m8__weights *w = new_weights(err);
    if (!w) return M8_E_NOMEM;
    w->path = m8_strdup(name);
    m8_status st = w->path ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory for a name");
    if (!st) st = read_any(w, cursor_on(data, n), err);
    if (st) {
        m8__weights_close(w);
        return m8_wrap(err, st, "%s", name);
    }
    *out = w;
    return M8_OK;
}

void m8__weights_close(m8__weights *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->n_maps; i++) m8_map_close(&w->maps[i]);
    m8_free(w->maps);
    m8_free(w->path);
    m8_free(w->dir);
    m8_free(w->tensors);
    m8_free(w->index);
    m8_free(w->keys);
    m8_arena_free(w->names);
    json_decref(w->config);
    m8_free(w);
}

const char *m8__weights_format(const m8__weights *w)
{
    return w->format;
}

const char *m8__weights_path(const m8__weights *w)
{
    return w->path;
}

const char *m8__weights_dir(const m8__weights *w)
{
    return w->dir;
}

size_t m8__weights_count(const m8__weights *w)
{
    return w->n;
}

const m8__tensor *m8__weights_at(const m8__weights *w, size_t i)
{
    return &w->tensors[i];
}

const json_t *m8__weights_config(const m8__weights *w)
{
    return w->config;
}
