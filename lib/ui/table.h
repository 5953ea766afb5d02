/* table.h - what the files about "what an app is" share, and nobody else needs. */
#ifndef M8_UI_TABLE_H
#define M8_UI_TABLE_H

#include "ui_internal.h"

/* components.c: the table built in, parsed for the first app, let go of with the last one. */
m8_status m8__table_ref(m8_error *err);
void m8__table_unref(void);

extern const struct m8__component m8__blocks_type,
    m8__holder; /* of the root; of what goes into an Interface, before its page is made */
extern const struct m8__component m8__row, m8__column, m8__form, m8__dataset, m8__api_type, m8__clear;

/* blocks.c. Sticky, as all builders. */
m8_status m8__app_nomem(m8_blocks *app);
m8_block *m8__block_alone(m8_blocks *app, const struct m8__component *type); /* without a place, without an id */
m8_status m8__block_add(m8_block *parent, m8_block *b);
m8_status m8__block_render(m8_block *b); /* it and what is within is in the config from now on */
void m8__blocks_close(m8_blocks *app);

/* props.c: what all blocks and components can be given. */
struct m8__common {
    m8_tri visible;
    const char *elem_id, *elem_classes;
    const char *label, *info;
    m8_tri interactive, show_label, container;
    int scale, min_width;
};
#define M8__BLOCK(o)                                                                                                   \
    .visible = (o)->visible, .elem_id = (o)->elem_id, .elem_classes = (o)->elem_classes, .scale = (o)->scale,          \
    .min_width = (o)->min_width
#define M8__COMMON(o)                                                                                                    \
    (&(struct m8__common){ M8__BLOCK(o), .label = (o)->label, .info = (o)->info, .interactive = (o)->interactive,        \
                           .show_label = (o)->show_label, .container = (o)->container })
void m8__props_common(m8_block *b, const struct m8__common *c);
void m8__props_extra(m8_block *b, const char *json); /* last: an object of any further ones */
void m8__props_flag(m8_block *b, const char *key, bool x); /* false: left as it is */
void m8__props_tri(m8_block *b, const char *key, m8_tri x);
void m8__props_int(m8_block *b, const char *key, int x);   /* 0: left as it is */
void m8__props_words(m8_block *b, const char *key, const char *words); /* "a b": ["a", "b"]; NULL: left as it is */
void m8__props_json(m8_block *b, const char *key, const char *json);   /* NULL: left as it is */
void m8__initial_file(m8_block *b, const char *path);
const json_t *m8__prop(const m8_block *b, const char *key);
const char *m8__prop_text(const m8_block *b, const char *key); /* "" if it is no text */
m8_status m8__add_members(json_t *object, const json_t *more); /* M8_E_NOMEM */

/* events.c */
void m8__events_free(m8_blocks *app);

/* schema.c: a JSON schema as Python would write the type: "list[filepath]". */
m8_status m8__python_type(m8_buf *out, const json_t *schema);
json_t *m8__schema_inline(const json_t *schema, const json_t *defs,
                          int depth); /* new; what it refers to in its place, files as one word */
bool m8__schema_is_file(const json_t *schema);
/* snippets.c: how an endpoint is called from Python, JavaScript, a shell; new. endpoint: as in the info. */
json_t *m8__snippets(const char *root, const char *path, const json_t *endpoint);
/* info.c: {"named_endpoints": ...} without snippets, new; NULL: no memory. */
json_t *m8__info_tree(m8_blocks *app, bool all_endpoints);

/* config.c */
/* What stands for the root URL and the user's name: with a byte that JSON leaves as it is, and that no text of an app
 * has by chance. */
#define M8__ROOT_MARK "\x7fm8 root\x7f"
#define M8__USER_MARK "\x7fm8 user\x7f"
json_t *m8__config_tree(const m8_blocks *app); /* new; NULL: no memory */
json_t *m8__openapi_tree(m8_blocks *app);      /* openapi.c; likewise */
json_t *m8__with_urls(const json_t *value);
json_t *m8__class_id(const struct m8__component *type);
bool m8__event_streams(const m8_event *e); /* of streamed input */

/* interface.c, examples.c */
void m8__interface_free(struct m8__interface *f);
void m8__interface_finish(m8_blocks *app);
void m8__examples_free(struct m8__examples *e);
m8_block *m8__examples_new(m8_block *parent, m8_block *const *in, size_t n_in, m8_block *const *out /* [32] */,
                           const m8_examples_opts *o);
m8_status m8__examples_files(m8_block *dataset, m8_error *err);
m8_event *m8__clear_event(m8_block *button, m8_block *const *clears, size_t n); /* js-only */

#endif
