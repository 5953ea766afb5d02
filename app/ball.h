/* The magic 8 ball itself: from a question to its answer. */
#ifndef APP_BALL_H
#define APP_BALL_H

#include <m8/infer.h>
#include <stdio.h>

struct ball;

struct ball_opts {
    bool free_talk;     /* let a small model speak for itself too */
    int max_tokens;     /* 0: 64 */
    double temperature; /* negative: 0.7 */
    int top_k;
    double top_p, min_p; /* 0: off */
};

/* llm is borrowed and must outlive the ball. A model under a billion parameters chooses among the adages of data/adages.txt, unless
 * free_talk; a larger one makes up its answer. */
m8_status ball_open(struct ball **out, m8_model *llm, const struct ball_opts *opts, m8_error *err);
void ball_close(struct ball *b);
/* Compute what all questions share (it stays kept in the model), so that the first one is answered as soon as the next. */
m8_status ball_warm(struct ball *b, m8_error *err);
/* The answer to a question, in clauses as they come, each a text to be spoken; whole is the answer, appended. The same seed gives the same
 * answer. out's status stops it, and so does cancel (may be NULL), from any thread. */
m8_status ball_answer(struct ball *b, const char *question, uint64_t seed, m8_text_sink out, m8_cancel *cancel, m8_buf *whole, m8_error *err);
/* data/adages.base, made anew (tools/adages_base.c). */
m8_status ball_print_base(struct ball *b, FILE *out, m8_error *err);

#endif
