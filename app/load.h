/* Open the models of a turn side by side: each on a thread of its own, so that a cold start costs as little as it can. */
#ifndef APP_LOAD_H
#define APP_LOAD_H

#include "options.h"
#include <m8/infer.h>

enum { ROLE_ASR, ROLE_LLM, ROLE_TTS, N_ROLES };

struct loading; /* of one model */

/* Find and open the model for a role, as --model, --threads and --f32 say, on a thread of its own. `then` (may be NULL) runs there behind
 * a successful opening. */
m8_status load_start(struct loading **l, int role, const struct options *o, m8_status (*then)(void *user, m8_model *m, m8_error *err),
                     void *user, m8_error *err);
/* Wait for it. The model is new: m8_close. Frees the loading. */
m8_status load_wait(struct loading *l, m8_model **m, m8_error *err);
/* The same at once, on this thread. */
m8_status load_model(m8_model **m, int role, const struct options *o, m8_error *err);

#endif
