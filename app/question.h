/* What a verb was given: sound or text. */
#ifndef APP_QUESTION_H
#define APP_QUESTION_H

#include <m8/audio.h>

/* Read "-" or a file and decode its sound at 16 kHz. */
m8_status read_sound(m8_pcm *pcm, const char *arg, double max_s, m8_error *err);
/* Could this argument of ask be sound? (Standard input could.) */
bool may_be_sound(const char *arg);
/* AUDIO|TEXT|-: a file that exists, or is named like one, is sound; standard input is sound, or else text; all other is text.
 * Either *text (new) or pcm is set. */
m8_status read_question(char **text, m8_pcm *pcm, const char *arg, m8_error *err);
/* TEXT|-: the argument, or standard input, without blanks around it; new. */
m8_status read_text(char **text, const char *arg, m8_error *err);

#endif
