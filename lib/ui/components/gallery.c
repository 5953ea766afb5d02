/* Gallery. On the wire: [{"image": FileData, "caption": text or null}, ...], "video" in place of "image" for films. */
#include "components.h"
#include <string.h>
#include <strings.h>

static m8_status item_in(const m8_block *b, json_t *item, struct m8__session *s, m8_error *err)
{
    const char *kind = json_object_get(item, "image") ? "image" : "video";
    json_t *file = json_incref(json_object_get(item, kind)), *caption = json_object_get(item, "caption");
    m8_status st = file ? m8__file_value(b, &file, s, err) : m8__wrong_type(b, "images", err);
    if (!st && caption && !json_is_string(caption) && !json_is_null(caption))
        st = m8__wrong_type(b, "text as caption", err);
    if (!st && json_object_set(item, kind, file)) st = m8_fail(err, M8_E_NOMEM, "out of memory for a value");
    json_decref(file);
    return st;
}

static m8_status gallery_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (json_is_null(*value)) return M8_OK;
    if (!json_is_array(*value)) return m8__wrong_type(b, "a list of images", err);
    if (json_array_size(*value) > M8__MOST_FILES) return m8__wrong_type(b, "fewer images", err);
    m8_status st = M8_OK;
    for (size_t i = 0; i < json_array_size(*value) && !st; i++) st = item_in(b, json_array_get(*value, i), s, err);
    return st;
}

static const struct {
    const char *ending, *mime;
} kinds[] = {
    { ".png", "image/png" },        { ".jpg", "image/jpeg" },      { ".jpeg", "image/jpeg" },
    { ".gif", "image/gif" },        { ".webp", "image/webp" },     { ".bmp", "image/bmp" },
    { ".avif", "image/avif" },      { ".svg", "image/svg+xml" },   { ".mp4", "video/mp4" },
    { ".webm", "video/webm" },      { ".mov", "video/quicktime" }, { ".ogv", "video/ogg" },
    { ".mkv", "video/x-matroska" }, { ".avi", "video/x-msvideo" },
};

static const char *mime_of(const json_t *file)
{
    const char *name = json_string_value(json_object_get(file, "orig_name")), *ending = name ? strrchr(name, '.') : NULL;
    for (size_t i = 0; ending && i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcasecmp(kinds[i].ending, ending)) return kinds[i].mime;
    }
    return NULL;
}

/* A picture of a gallery has a type and no size: as Gradio sends it. */
static json_t *picture(const json_t *file, const char *mime)
{
    json_t *copy = json_copy((json_t *)file);
    if (copy && !json_object_set_new(copy, "size", json_null()) &&
        !json_object_set_new(copy, "mime_type", mime ? json_string(mime) : json_null())) return copy;
    json_decref(copy);
    return NULL;
}

static json_t *item_out(json_t *item)
{
    const json_t *file = m8__is_file(item) ? item : json_object_get(item, "image"),
                 *caption = json_object_get(item, "caption");
    const char *mime = mime_of(file);
    if (!m8__is_file(file)) return json_incref(item);
    if (mime && !strncmp(mime, "video/", 6)) return json_pack("{s:O, s:O?}", "video", file, "caption", caption);
    return json_pack("{s:o, s:O?}", "image", picture(file, mime), "caption", caption);
}

/* Bare files get their item; null is an empty gallery. */
static m8_status gallery_out(const m8_block *b, json_t **value, m8_error *err)
{
    json_t *list = json_array(), *item;
    size_t i;
    if (json_is_object(*value)) {
        if (list && json_array_append_new(list, item_out(*value))) json_decref(list), list = NULL;
        return m8__swap(value, list, err);
    }
    json_array_foreach(*value, i, item) {
        if (!list || json_array_append_new(list, item_out(item))) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    return m8__swap(value, list, err);
}

const struct m8__component m8__gallery = {
    .type = "gallery", .preprocess = gallery_in, .postprocess = gallery_out, .cleared = "[]"
};

m8_block *m8_gallery(m8_block *parent, const m8_file_opts *opts)
{
    static const m8_file_opts none;
    const m8_file_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__gallery);
    m8__initial_file(b, o->value);
    m8__props_text(b, "format", o->format);
    m8__props_words(b, "file_types", o->file_types);
    m8__props_words(b, "sources", o->sources);
    m8__props_text(b, "type", o->type);
    m8__props_int(b, "columns", o->columns);
    m8__props_int(b, "height", o->height);
    m8__props_common(b, M8__COMMON(o));
    m8__props_extra(b, o->props);
    return b;
}
