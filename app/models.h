/* From what a person calls a model to where it lies. */
#ifndef APP_MODELS_H
#define APP_MODELS_H

#include <m8/base.h>

/** Where the model for a role lies, as m8_open takes it: a file, or a folder.
 *  path   new (m8_free).
 *  role   "asr", "llm" or "tts"; NULL: any, and then `given` is not NULL.
 *  given  what --model said: a path, an id of the catalog, or a repository of the hub ("org/name"); NULL: the default set's.
 *  Nothing is fetched: only the cache is looked at.
 *  returns M8_OK, M8_E_NOTFOUND (the text tells what to run), M8_E_FORMAT (the catalog), M8_E_NOMEM. */
m8_status find_model(char **path, const char *role, const char *given, m8_error *err);

struct m8_hub;
/** Where a model of the cache lies, as m8_open takes it: what was made of it when it was pulled (its .type), else as it came. path is new. */
m8_status model_in_cache(struct m8_hub *hub, const char *name, char **path, m8_error *err);

#endif
