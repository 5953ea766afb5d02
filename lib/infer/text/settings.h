/* settings.h - what lies beside a tokenizer and is no part of it: tokenizer_config.json, chat_template.jinja. */
#ifndef M8_TOK_SETTINGS_H
#define M8_TOK_SETTINGS_H

#include "text/tok.h"

struct m8__tok_settings {
    m8_buf template; /* of chats; empty: none */
    int add_bos;     /* -1: not said */
};

/* From the keys of a GGUF file, or the files beside w; nothing there is no error. {0} before; m8__tok_settings_finish. */
m8_status m8__tok_settings_read(struct m8__tok_settings *s, const m8__weights *w, m8_error *err);
void m8__tok_settings_finish(struct m8__tok_settings *s);

#endif
