/* wire.h - the calls of infer.h as bytes, for remote.c (which makes the arguments and reads the results) and serve.c (the other way
 * round). What is read points into the bytes, and arrays of pointers into the arena; everything is checked, for neither side trusts
 * the other. */
#ifndef M8_WIRE_H
#define M8_WIRE_H

#include <m8/infer.h>

#define M8__MODEL_SERVICE "model"

enum m8__method { M8__TRANSCRIBE = 1, M8__CHAT, M8__COMPLETE, M8__SCORE, M8__TOKENIZE, M8__SPEAK };

/* What a call gets. The samples of TRANSCRIBE are the bulk of the request. */
struct m8__wire_call {
    enum m8__method method;
    m8_transcribe_opts transcribe;
    m8_chat_opts chat;
    m8_speak_opts speak;
    const m8_message *messages; /* CHAT, SCORE */
    size_t n;
    const char *text; /* COMPLETE, TOKENIZE, SPEAK */
    const char *const *texts; /* SCORE */
    size_t n_texts;
};
void m8__put_call(m8_buf *b, const struct m8__wire_call *c);
m8_status m8__get_call(struct m8__wire_call *c, m8_fields *f, m8_arena *a, m8_error *err);

void m8__put_segment(m8_buf *b, const m8_segment *s);
m8_status m8__get_segment(m8_segment *s, m8_fields *f, m8_arena *a, m8_error *err);
void m8__put_info(m8_buf *b, const m8_transcribe_info *info);
void m8__get_info(m8_transcribe_info *info, m8_fields *f);
void m8__put_usage(m8_buf *b, const m8_usage *u);
void m8__get_usage(m8_usage *u, m8_fields *f);
/* n numbers of 32 bits; false if there are others. to may be NULL: passed over. */
void m8__put_words(m8_buf *b, const void *data, size_t n);
bool m8__get_words(void *to, size_t n, m8_fields *f);

#endif
