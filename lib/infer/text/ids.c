/* A growing run of token ids; sticky on failure. */
#include "text.h"

void m8__ids_add(m8__ids *ids, int id)
{
    if (ids->status) return;
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? 2 * ids->cap : 64;
        int *grown = m8_realloc(ids->data, cap * sizeof *grown);
        if (!grown) {
            ids->status = M8_E_NOMEM;
            return;
        }
        ids->data = grown;
        ids->cap = cap;
    }
    ids->data[ids->n++] = id;
}

void m8__ids_finish(m8__ids *ids)
{
    m8_free(ids->data);
    *ids = (m8__ids){ 0 };
}
