/* Hearing a question while it is still being asked. */
#ifndef APP_HEARD_H
#define APP_HEARD_H

#include "served.h"
#include <m8/ui.h>

/* What is asked in pcm; new. early: one may still go on speaking; the text is kept with the session. Not early: if a text is kept (or just being
 * heard) for the same samples, and what follows them is no speech, it is that text; else pcm is heard. M8_E_USER: nobody speaks in it. */
m8_status heard_question(struct served *s, m8_call *c, const m8_pcm *pcm, m8_cancel *cancel, bool early, char **question, m8_error *err);

#endif
