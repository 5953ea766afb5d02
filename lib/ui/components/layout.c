/* Containers. Their values are their children. */
#include "../table.h"

#define LAYOUT(name) { .type = name, .layout = true }
const struct m8__component m8__blocks_type = LAYOUT("blocks"), m8__holder = LAYOUT("column");
const struct m8__component m8__row = LAYOUT("row"), m8__column = LAYOUT("column"), m8__form = LAYOUT("form");
const struct m8__component m8__group = LAYOUT("group"), m8__accordion = LAYOUT("accordion"),
                           m8__sidebar = LAYOUT("sidebar");
const struct m8__component m8__tabs = LAYOUT("tabs"), m8__tabitem = LAYOUT("tabitem");

static const m8_layout_opts none;

static m8_block *layout(m8_block *parent, const struct m8__component *type, const m8_layout_opts *o)
{
    m8_block *b = m8__block_new(parent, type);
    m8__props_common(b, &(struct m8__common){ M8__BLOCK(o), .label = o->label });
    return b;
}

m8_block *m8_row(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__row, o);
    m8__props_text(b, "variant", o->variant);
    m8__props_flag(b, "equal_height", o->equal_height);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_column(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__column, o);
    m8__props_text(b, "variant", o->variant);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_group(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__group, o);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_accordion(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__accordion, o);
    m8__props_tri(b, "open", o->open);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_sidebar(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__sidebar, o);
    m8__props_tri(b, "open", o->open);
    m8__props_int(b, "width", o->width);
    m8__props_text(b, "position", o->position);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_tabs(m8_block *parent, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    m8_block *b = layout(parent, &m8__tabs, o);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_tab(m8_block *tabs, const m8_layout_opts *opts)
{
    const m8_layout_opts *o = opts ? opts : &none;
    if (tabs && tabs->type != &m8__tabs) {
        m8__app_fail(tabs->app, M8_E_ARG, "a tab is put into a %s, not into tabs", tabs->type->type);
        return NULL;
    }
    m8_block *b = layout(tabs, &m8__tabitem, o);
    m8__props_text(b, "id", o->id);
    m8__props_extra(b, o->props);
    return b;
}
