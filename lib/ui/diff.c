/* Edits from one value to the next, as a generator's messages carry them: [action, path, value].
 *
 *  Texts that grew at their end: "append". Lists: common indices are compared one by one, then what is new is added, or what is gone is
 *  deleted; a deletion counts from what the ones before it left, so all have the same index. Objects: by key. All else: "replace".
 *  Only "replace" and "append" may have the path [], the whole value. Where the edits would be longer than the value, it is replaced. */
#include "run_internal.h"
#include <string.h>

struct edits {
    m8_buf *out;
    m8_buf path; /* "0,"image","path"" : what stands between the brackets */
    bool any;
};

static void edit(struct edits *e, const char *action)
{
    m8_buf_str(e->out, e->any ? ",[\"" : "[\"");
    m8_buf_str(e->out, action);
    m8_buf_str(e->out, "\",[");
    m8_buf_add(e->out, e->path.data, e->path.len);
    m8_buf_str(e->out, "],");
    e->any = true;
}

static size_t deeper(struct edits *e)
{
    size_t was = e->path.len;
    if (was) m8_buf_chr(&e->path, ',');
    return was;
}

static void back(struct edits *e, size_t len)
{
    if (e->path.data) e->path.data[e->path.len = len] = 0;
}

static size_t at_index(struct edits *e, size_t i)
{
    size_t was = deeper(e);
    m8_buf_printf(&e->path, "%zu", i);
    return was;
}

static size_t at_key(struct edits *e, const char *key)
{
    size_t was = deeper(e);
    m8__put_text(&e->path, key, strlen(key));
    return was;
}

static void whole(struct edits *e, const char *action, const json_t *value)
{
    edit(e, action);
    m8__put_json(e->out, value);
    m8_buf_chr(e->out, ']');
}

static void compare(struct edits *e, const json_t *a, const json_t *b);

static void compare_lists(struct edits *e, const json_t *a, const json_t *b)
{
    size_t n_a = json_array_size(a), n_b = json_array_size(b), common = n_a < n_b ? n_a : n_b;
    for (size_t i = 0; i < common; i++) {
        size_t was = at_index(e, i);
        compare(e, json_array_get(a, i), json_array_get(b, i));
        back(e, was);
    }
    for (size_t i = common; i < n_b; i++) {
        size_t was = at_index(e, i);
        whole(e, "add", json_array_get(b, i));
        back(e, was);
    }
    for (size_t i = common; i < n_a; i++) {
        size_t was = at_index(e, common);
        whole(e, "delete", NULL);
        back(e, was);
    }
}

static void compare_objects(struct edits *e, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)a, key, item) {
        size_t was = at_key(e, key);
        json_t *other = json_object_get(b, key);
        if (other) compare(e, item, other);
        else whole(e, "delete", NULL);
        back(e, was);
    }
    json_object_foreach((json_t *)b, key, item) {
        if (json_object_get(a, key)) continue;
        size_t was = at_key(e, key);
        whole(e, "add", item);
        back(e, was);
    }
}

static void compare(struct edits *e, const json_t *a, const json_t *b)
{
    if (a == b || e->out->status || e->path.status) return;
    if (json_is_string(a) && json_is_string(b)) {
        size_t n_a = json_string_length(a), n_b = json_string_length(b);
        const char *text = json_string_value(b);
        bool begins = n_a <= n_b && !memcmp(json_string_value(a), text, n_a);
        if (begins && n_a == n_b) return;
        edit(e, begins ? "append" : "replace");
        m8__put_text(e->out, begins ? text + n_a : text, begins ? n_b - n_a : n_b);
        m8_buf_chr(e->out, ']');
    } else if (json_is_array(a) && json_is_array(b)) {
        compare_lists(e, a, b);
    } else if (json_is_object(a) && json_is_object(b)) {
        compare_objects(e, a, b);
    } else if (!json_equal(a, b)) {
        whole(e, "replace", b);
    }
}

void m8__diff(m8_buf *out, const json_t *a, const json_t *b)
{
    struct edits e = {.out = out};
    size_t from = out->len;
    if (!a) a = json_null();
    if (!b) b = json_null();
    m8_buf_chr(out, '[');
    compare(&e, a, b);
    m8_buf_chr(out, ']');
    if (e.path.status && !out->status) out->status = e.path.status;
    m8_buf_finish(&e.path);
    if (out->status || out->len - from <= 2 || (!json_is_array(b) && !json_is_object(b))) return;
    size_t edits = out->len, limit = out->limit; /* is the whole value shorter? No longer a try than that takes */
    out->limit = edits + (edits - from);
    e = (struct edits){.out = out};
    m8_buf_chr(out, '[');
    whole(&e, "replace", b);
    m8_buf_chr(out, ']');
    out->limit = limit;
    size_t n_whole = out->len - edits;
    bool shorter = !out->status && n_whole < edits - from;
    if (out->status == M8_E_LIMIT) out->status = M8_OK;
    if (shorter) memmove(out->data + from, out->data + edits, n_whole);
    out->len = shorter ? from + n_whole : edits;
    out->data[out->len] = 0;
}
