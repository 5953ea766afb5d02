/* The catalog of models: anything may be in the file that MAGIC8_CATALOG names. */
#include "hub_internal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct m8__catalog c;
    if (m8__catalog_read(&c, (const char *)data, n, NULL)) return 0;
    for (size_t i = 0; i < c.n_models; i++) {
        const m8_hub_model *m = &c.models[i].pub;
        if (!m8__name_is_repo(m->repo) || (m->revision && !m8__name_is_commit(m->revision)) || !m->n_files) abort();
        for (size_t k = 0; k < m->n_files; k++)
            if (!m8__name_is_path(m->files[k].name) || strstr(m->files[k].name, "/../") || 
                (m->revision ? strlen(m->files[k].sha256) != 64 : m->files[k].sha256 != NULL))
                abort();
        if (m8__catalog_find(&c, m->id) != &c.models[i]) abort();
    }
    m8__catalog_finish(&c);
    return 0;
}
