/* CTranslate2 model.bin, binary version 6: a list of variables with their bytes behind each, then aliases. Nothing is aligned.
 *
 *   u32 version, string spec, u32 revision, u32 n, n variables, u32 aliases, aliases (two strings each)
 *   variable: string name, u8 rank, rank x u32 (slowest first), u8 type, u32 bytes, data;  string: u16 length with the NUL, bytes */
#include <string.h>

#include "weights/reader.h"

#define MAX_ALIASES 1000 /* each is put into a sorted list; one is usual */

static m8_status read_string(cursor *c, m8__view *s, const char *what, m8_error *err)
{
    size_t len = m8__u16(c);
    s->data = (const char *)m8__take(c, len);
    if (!c->ok) return m8_fail(err, M8_E_FORMAT, "the file ends within %s", what);
    if (!len || s->data[len - 1]) return m8_fail(err, M8_E_FORMAT, "%s does not end with a NUL", what);
    s->len = len - 1;
    return M8_OK;
}

static m8_status read_variable(m8__weights *w, cursor *c, m8_error *err)
{
    static const m8__dtype TYPE[] = { DT_F32, DT_I8, DT_I16, DT_I32, DT_F16, DT_BF16 };
    m8__view name;
    m8_status st = read_string(c, &name, "the name of a variable", err);
    if (st) return st;
    uint64_t dims[4] = { 0 };
    unsigned rank = m8__u8(c);
    if (rank > 4) return m8_fail(err, M8_E_FORMAT, "variable %zu: %u dimensions, expected at most 4", w->n, rank);
    for (unsigned i = 0; i < rank; i++) dims[i] = m8__u32(c);
    unsigned type = m8__u8(c);
    uint32_t size = m8__u32(c);
    const uint8_t *data = m8__take(c, size);
    if (!c->ok) return m8_fail(err, M8_E_FORMAT, "the file ends within variable %zu", w->n);
    if (type >= sizeof TYPE / sizeof *TYPE)
        return m8_fail(err, M8_E_FORMAT, "variable %zu: element type %u is unknown", w->n, type);
    return m8__add_tensor(w, name, TYPE[type], rank, dims, data, size, false, err);
}

static m8_status read_alias(m8__weights *w, cursor *c, m8_error *err)
{
    m8__view alias, name;
    m8_status st = read_string(c, &alias, "an alias", err);
    if (!st) st = read_string(c, &name, "the variable of an alias", err);
    if (st) return st;
    const m8__tensor *t = m8__weights_find(w, name.data); /* ends with a NUL */
    if (!t) return m8_fail(err, M8_E_FORMAT, "an alias stands for a variable that is not in the file");
    return m8__add_alias(w, alias, t, err);
}

m8_status m8__read_ct2(m8__weights *w, cursor c, m8_error *err)
{
    m8__view spec;
    uint32_t version = m8__u32(&c);
    if (version != 6) return m8_fail(err, M8_E_UNSUPPORTED, "CTranslate2 binary version %u, expected 6", version);
    m8_status st = read_string(&c, &spec, "the name of the specification", err);
    if (st) return st;
    m8__u32(&c); /* the specification's revision: what changed shows in the variables */
    uint32_t n = m8__u32(&c);
    for (uint32_t i = 0; i < n && !st; i++) st = read_variable(w, &c, err);
    if (!st) st = m8__index(w, err);
    uint32_t n_aliases = st ? 0 : m8__u32(&c);
    if (n_aliases > MAX_ALIASES)
        return m8_fail(err, M8_E_FORMAT, "%u aliases, expected at most %d", n_aliases, MAX_ALIASES);
    for (uint32_t i = 0; i < n_aliases && !st; i++) st = read_alias(w, &c, err);
    if (st) return st;
    if (!c.ok) return m8_fail(err, M8_E_FORMAT, "the file ends before its aliases");
    if (c.left) return m8_fail(err, M8_E_FORMAT, "%zu bytes behind the last alias", c.left);
    return M8_OK;
}
