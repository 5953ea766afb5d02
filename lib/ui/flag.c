/* Flagged rows: FOLDER/dataset1.csv, a column for each value and one for the time. The values are a visitor's: nothing
 * in them is a formula for the program that reads the table, and files are copied only when the session may use them
 * (they were checked as inputs), within limits. */
#include "interface.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MOST_FILE ((size_t)32 << 20)
#define MOST_ALL ((uint64_t)1 << 30) /* of one run of the app */

static const char *folder(const m8_blocks *app)
{
    return app->iface->o.flag_dir ? app->iface->o.flag_dir : ".gradio/flagged";
}

/* A cell of text. What a table program takes for a formula gets a quote in front (CVE-2022-24770). */
static void cell(m8_buf *row, const char *s, size_t n)
{
    bool formula = n && strchr("=+-@\t\r", *s);
    m8_buf_str(row, formula ? "\"'" : "\"");
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"') m8_buf_chr(row, '"');
        m8_buf_chr(row, s[i]);
    }
    m8_buf_chr(row, '"');
}

static bool is_file(const json_t *value)
{
    const char *type = json_string_value(json_object_get(json_object_get(value, "meta"), "_type"));
    return type && !strcmp(type, "gradio.FileData");
}

/* The file of a session ends with it: keep a copy. Its name is the cleaned one that the cache gave it. */
static m8_status copy_file(const m8_blocks *app, const json_t *file, m8_buf *to, m8_error *err)
{
    const char *path = json_string_value(json_object_get(file, "path")), *name = path ? strrchr(path, '/') : NULL;
    char random[17];
    if (!name || !m8__random_hex(random, 16)) return m8_fail(err, M8_E_IO, "a flagged file");
    m8_buf data = { .limit = MOST_FILE }, dir = {0};
    m8_buf_printf(&dir, "%s/files/%s", folder(app), random);
    m8_buf_printf(to, "files/%s%s", random, name);
    m8_status st = dir.status || to->status ? m8_fail(err, M8_E_NOMEM, "out of memory for a flagged file")
                                            : m8_read_file(&data, path, err);
    if (!st && app->iface->flagged_bytes + data.len > MOST_ALL)
        st = m8_fail(err, M8_E_LIMIT, "the folder of flagged files is full");
    if (!st) st = m8_make_dirs(dir.data, err);
    if (!st) m8_buf_str(&dir, name);
    if (!st && dir.status) st = m8_fail(err, dir.status, "out of memory for a flagged file");
    if (!st) st = m8_write_file(dir.data, data.data ? data.data : "", data.len, err);
    if (!st) app->iface->flagged_bytes += data.len;
    m8_buf_finish(&data);
    m8_buf_finish(&dir);
    return st;
}

static m8_status value_cell(const m8_blocks *app, m8_buf *row, const json_t *value, m8_error *err)
{
    m8_buf text = {0};
    m8_status st = M8_OK;
    if (json_is_number(value) || json_is_boolean(value)) { /* never a formula, though a number may begin with a minus */
        return m8__dump(row, value);
    } else if (json_is_string(value)) {
        cell(row, json_string_value(value), json_string_length(value));
    } else if (is_file(value)) {
        st = copy_file(app, value, &text, err);
        if (!st) cell(row, text.data, text.len);
    } else if (value && !json_is_null(value)) {
        st = m8__dump(&text, value);
        if (!st) cell(row, text.data, text.len);
    }
    m8_buf_finish(&text);
    return st;
}

static void header(m8_buf *row, const m8_event *e)
{
    for (size_t i = 0; i < e->n_in; i++) {
        const char *label = m8__prop_text(e->in[i], "label");
        char name[32];
        snprintf(name, sizeof name, "component %zu", i);
        cell(row, *label ? label : name, strlen(*label ? label : name));
        m8_buf_chr(row, ',');
    }
    m8_buf_str(row, "\"timestamp\"\n");
}

static m8_status append(const char *path, const m8_event *e, const m8_buf *row, m8_error *err)
{
    const m8_sys *sys = m8_sys_get();
    m8_buf text = {0};
    struct stat info;
    int fd = sys->open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return m8_fail_errno(err, M8_E_IO, "opening %s", path);
    bool fresh = !fstat(fd, &info) && info.st_size == 0;
    if (fresh) header(&text, e);
    m8_buf_add(&text, row->data, row->len);
    m8_status st = text.status || row->status ? m8_fail(err, M8_E_NOMEM, "out of memory for a flagged row") : M8_OK;
    for (size_t at = 0; at < text.len && !st;) {
        ssize_t n = sys->write(fd, text.data + at, text.len - at);
        if (n > 0) at += (size_t)n;
        else if (n == 0 || errno != EINTR) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    }
    if (sys->close(fd) && !st) st = m8_fail_errno(err, M8_E_IO, "writing %s", path);
    m8_buf_finish(&text);
    return st;
}

m8_status m8__flag_save(const m8_event *e, const m8_call *c, m8_error *err)
{
    struct m8__interface *f = e->app->iface;
    m8_buf row = {0}, path = {0};
    m8_status st = M8_OK;
    time_t now = time(NULL);
    struct tm tm;
    char when[32];
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < e->n_in && !st; i++) {
        st = value_cell(e->app, &row, m8__call_in(c, (int)i), err);
        m8_buf_chr(&row, ',');
    }
    strftime(when, sizeof when, "\"%Y-%m-%d %H:%M:%S\"\n", gmtime_r(&now, &tm));
    m8_buf_str(&row, when);
    m8_buf_printf(&path, "%s/dataset1.csv", folder(e->app));
    if (!st && (row.status || path.status)) st = m8_fail(err, M8_E_NOMEM, "out of memory for a flagged row");
    if (!st && f->flagged_bytes + row.len > MOST_ALL) st = m8_fail(err, M8_E_LIMIT, "the folder of flagged rows is full");
    if (!st) st = m8_make_dirs(folder(e->app), err);
    if (!st) st = append(path.data, e, &row, err);
    if (!st) f->flagged_bytes += row.len;
    pthread_mutex_unlock(&f->lock);
    m8_buf_finish(&row);
    m8_buf_finish(&path);
    return st;
}
