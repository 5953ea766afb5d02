/* components.h - the classes, one extern each, and what their checks share. */
#ifndef M8_UI_COMPONENTS_H
#define M8_UI_COMPONENTS_H

#include "../table.h"

extern const struct m8__component m8__group, m8__accordion, m8__sidebar, m8__tabs, m8__tabitem;
extern const struct m8__component m8__textbox, m8__number_type, m8__slider, m8__checkbox, m8__radio, m8__dropdown,
    m8__checkboxgroup;
extern const struct m8__component m8__button, m8__uploadbutton, m8__downloadbutton;
extern const struct m8__component m8__audio, m8__image, m8__video, m8__file, m8__gallery;
extern const struct m8__component m8__markdown, m8__html, m8__json_view, m8__label, m8__highlightedtext, m8__code,
    m8__dataframe, m8__chatbot;
extern const struct m8__component m8__state, m8__timer;

#define M8__MOST_FILES 1000 /* of one value */

const char *m8__shown_name(const m8_block *b); /* its label, else its type: for texts */
m8_status m8__wrong_type(const m8_block *b, const char *expected, m8_error *err); /* M8_E_ARG */
m8_status m8__swap(json_t **value, json_t *by, m8_error *err); /* by is taken; NULL is no memory */
bool m8__is_file(const json_t *value);
m8_status m8__file_value(const m8_block *b, json_t **value, struct m8__session *s,
                         m8_error *err); /* must be a FileData that the session may use */
m8_status m8__any_value(const m8_block *b, json_t **value, struct m8__session *s,
                        m8_error *err); /* any JSON, its FileData checked */
m8_status m8__text_in(const m8_block *b, json_t **value, struct m8__session *s,
                      m8_error *err); /* text or null; numbers become text */
m8_status m8__text_out(const m8_block *b, json_t **value, m8_error *err);

#endif
