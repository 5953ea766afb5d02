/* Button, UploadButton, DownloadButton, ClearButton. A Button's value is its text; the others' are files. */
#include "components.h"
#include <string.h>

const struct m8__component m8__button = { .type = "button", .preprocess = m8__text_in, .postprocess = m8__text_out };
const struct m8__component m8__clear = {
    .type = "clearbutton", .of = "button", .preprocess = m8__text_in, .postprocess = m8__text_out
};

static const m8_button_opts none;

static m8_block *button(m8_block *parent, const struct m8__component *type, const m8_button_opts *o)
{
    m8_block *b = m8__block_new(parent, type);
    m8__props_text(b, "variant", o->variant);
    m8__props_text(b, "size", o->size);
    m8__props_common(b, &(struct m8__common){ M8__BLOCK(o), .interactive = o->interactive });
    return b;
}

m8_block *m8_button(m8_block *parent, const m8_button_opts *opts)
{
    const m8_button_opts *o = opts ? opts : &none;
    m8_block *b = button(parent, &m8__button, o);
    m8__props_text(b, "value", o->text);
    m8__props_text(b, "link", o->link);
    m8__props_extra(b, o->props);
    return b;
}

/* What a cleared component holds, of each that the button clears, as source of the function that the page runs. */
static void clear_source(m8_buf *js, m8_block *const *clears, size_t n)
{
    m8_buf_str(js, "() => [");
    for (size_t i = 0; i < n; i++) {
        const struct m8__component *type = clears[i]->type;
        m8_buf_str(js, i ? ", " : "");
        if (type->cleared) m8_buf_str(js, type->cleared);
        else if (!strcmp(type->type, "slider")) m8__dump(js, m8__prop(clears[i], "minimum"));
        else if (!strcmp(type->type, "dataframe"))
            m8__dump(js, json_object_get(json_object_get(m8__component_defaults(type), "props"), "value"));
        else m8_buf_str(js, "null");
    }
    m8_buf_str(js, "]");
}

m8_event *m8__clear_event(m8_block *button, m8_block *const *clears, size_t n)
{
    if (!button) return NULL;
    m8_buf js = {0};
    clear_source(&js, clears, n);
    m8_event_opts opts = { .js = js.data };
    for (size_t i = 0; i < n && i < 32; i++) opts.out[i] = clears[i];
    m8_event *e = NULL;
    if (js.status) m8__app_nomem(button->app);
    else e = m8_on(button, M8_CLICK, NULL, &opts);
    if (e) e->internal_js = true;
    m8_buf_finish(&js);
    return e;
}

m8_block *m8_clearbutton(m8_block *parent, const m8_button_opts *opts)
{
    const m8_button_opts *o = opts ? opts : &none;
    m8_block *b = button(parent, &m8__clear, o);
    m8__props_text(b, "value", o->text ? o->text : "Clear");
    m8__props_text(b, "link", o->link);
    m8__props_text(b, "api_visibility", "undocumented");
    m8__props_extra(b, o->props);
    size_t n = 0;
    for (; b && n < 16 && o->clears[n]; n++) b->clears[n] = o->clears[n];
    if (n) m8__clear_event(b, b->clears, n);
    return b;
}

m8_block *m8_uploadbutton(m8_block *parent, const m8_button_opts *opts)
{
    const m8_button_opts *o = opts ? opts : &none;
    m8_block *b = button(parent, &m8__uploadbutton, o);
    m8__props_text(b, "label", o->text);
    m8__props_text(b, "file_count", o->file_count);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_downloadbutton(m8_block *parent, const m8_button_opts *opts)
{
    const m8_button_opts *o = opts ? opts : &none;
    m8_block *b = button(parent, &m8__downloadbutton, o);
    m8__props_text(b, "label", o->text);
    m8__initial_file(b, o->value);
    m8__props_extra(b, o->props);
    return b;
}
