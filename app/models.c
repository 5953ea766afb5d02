/* From what a person calls a model to where it lies. */
#include "models.h"
#include <m8/base.h>

m8_status find_model(char **path, const char *role, const char *given, m8_error *err)
{
    *path = NULL;
    if (!given || (!m8_is_file(given) && !m8_is_dir(given)))
        return m8_fail(err, M8_E_NOTFOUND, "no model for %s here; run: magic8 pull %s", role, given ? given : "default");
    *path = m8_strdup(given);
    return *path ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
}
