/* like.h - compare JSON of ours with what Gradio was recorded to send. */
#ifndef LIKE_H
#define LIKE_H

#include "ui_internal.h"

json_t *recorded(const char *file);        /* tests/data/gradio/FILE, whole; new; ends the test if it is not there */
json_t *recorded_body(const char *file);   /* the body of its first answer; new */
/** Fails the test at the first difference and says where. Not compared: what is new at each start or each release (app_id, theme_hash,
 *  component_class_id), delete_callback, and sentences of Gradio's, in whose place ours only has to have some text. */
void assert_like(const json_t *want, const json_t *got, const char *where);
json_t *text_as_json(m8_buf *text); /* new; the text is finished */

/* What files.c does for the components, without files: only "/up/mine.txt" and others below "/up/" belong to the visitor. */
extern int files_given_out;

#endif
