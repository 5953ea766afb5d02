/* Keys, infos and the head of a GGUF file (layout: gguf.c). */
#include "weights/gguf_write.h"
#include "weights/quantise.h"

m8_status m8__gguf_fail(m8__gguf *g, m8_status st, const char *fmt, ...)
{
    if (g->status) return g->status;
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return g->status = m8_fail(&g->err, st, "%s", text);
}

static bool can_add(m8__gguf *g)
{
    m8_status st = g->keys.status ? g->keys.status : g->infos.status;
    if (st) m8__gguf_fail(g, st, "out of memory for the keys of a GGUF file");
    return !g->status;
}

void m8__gguf_finish(m8__gguf *g)
{
    m8_buf_finish(&g->keys);
    m8_buf_finish(&g->infos);
    for (size_t i = 0; i < g->n; i++) m8_free(g->tensors[i].own);
    m8_free(g->tensors);
    *g = (m8__gguf){ 0 };
}

/* ---- keys */

static void put_view(m8_buf *b, m8__view v)
{
    m8_put_u64(b, v.len);
    m8_buf_add(b, v.data, v.len);
}

static void put_name(m8_buf *b, const char *s) { put_view(b, (m8__view){ s, strlen(s) }); }

static bool begin(m8__gguf *g, const char *key, int type)
{
    if (!can_add(g)) return false;
    put_name(&g->keys, key);
    m8_put_u32(&g->keys, (uint32_t)type);
    g->n_keys++;
    return true;
}

void m8__gguf_str(m8__gguf *g, const char *key, m8__view value)
{
    if (begin(g, key, GGUF_STRING)) put_view(&g->keys, value);
}

void m8__gguf_u32(m8__gguf *g, const char *key, uint32_t value)
{
    if (begin(g, key, GGUF_U32)) m8_put_u32(&g->keys, value);
}

void m8__gguf_f32(m8__gguf *g, const char *key, float value)
{
    if (begin(g, key, GGUF_F32)) m8_put_f32(&g->keys, value);
}

void m8__gguf_bool(m8__gguf *g, const char *key, bool value)
{
    if (begin(g, key, GGUF_BOOL)) m8_buf_chr(&g->keys, value);
}

void m8__gguf_array(m8__gguf *g, const char *key, int type, uint64_t n)
{
    if (!begin(g, key, GGUF_ARRAY)) return;
    m8_put_u32(&g->keys, (uint32_t)type);
    m8_put_u64(&g->keys, n);
}

void m8__gguf_item_str(m8__gguf *g, m8__view value)
{
    if (can_add(g)) put_view(&g->keys, value);
}

void m8__gguf_item_i32(m8__gguf *g, int32_t value)
{
    if (can_add(g)) m8_put_u32(&g->keys, (uint32_t)value);
}

void m8__gguf_item_f32(m8__gguf *g, float value)
{
    if (can_add(g)) m8_put_f32(&g->keys, value);
}

void m8__gguf_bytes(m8__gguf *g, const char *key, const void *data, size_t n)
{
    m8__gguf_array(g, key, GGUF_U8, n);
    if (can_add(g)) m8_buf_add(&g->keys, data, n);
}

/* Bytes of a key's value or values in the file it was read from, where they were checked to lie. */
static size_t value_bytes(const struct meta *m)
{
    if (m->element != GGUF_STRING) return (size_t)m->n * (size_t)m8__gguf_size(m->element);
    const uint8_t *p = m->at;
    for (uint64_t i = 0, len; i < m->n; i++) {
        memcpy(&len, p, sizeof len);
        p += sizeof len + len;
    }
    return (size_t)(p - m->at);
}

void m8__gguf_copy_keys(m8__gguf *g, const m8__weights *w, bool (*skip)(m8__view name))
{
    for (size_t i = 0; i < w->n_keys && can_add(g); i++) {
        const struct meta *m = &w->keys[i];
        if (skip(m->name)) continue;
        put_view(&g->keys, m->name);
        m8_put_u32(&g->keys, (uint32_t)m->type);
        if (m->type == GGUF_ARRAY) {
            m8_put_u32(&g->keys, (uint32_t)m->element);
            m8_put_u64(&g->keys, m->n);
        }
        m8_buf_add(&g->keys, m->at, value_bytes(m));
        g->n_keys++;
    }
}

/* ---- tensors */

uint64_t m8__gguf_bytes_of(const struct gguf_tensor *t)
{
    return (uint64_t)(t->from->n / m8__dtype_block(t->type)) * (uint64_t)m8__dtype_bytes(t->type);
}

void m8__gguf_tensor(m8__gguf *g, const m8__tensor *from, const char *name, m8__dtype type, int permute)
{
    if (!can_add(g)) return;
    int id = m8__gguf_type_id(type), rank = from->n_dims ? from->n_dims : 1; /* GGUF knows no scalars */
    int64_t columns = from->dims[rank - 1];
    if (id < 0 || (type != from->type && !m8__can_quantise(type))) {
        m8__gguf_fail(g, M8_E_UNSUPPORTED, "%.90s: %s cannot be written as %s", name, m8__dtype_name(from->type), m8__dtype_name(type));
        return;
    }
    if (columns % m8__dtype_block(type)) {
        m8__gguf_fail(g, M8_E_UNSUPPORTED, "%.90s: rows of %lld elements are no whole %s blocks", name, (long long)columns,
                      m8__dtype_name(type));
        return;
    }
    if (permute && (from->n_dims != 2 || permute % 2 || from->dims[0] % permute)) {
        m8__gguf_fail(g, M8_E_FORMAT, "%.90s: expected whole heads of %d rows", name, permute);
        return;
    }
    if (g->n == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 256;
        struct gguf_tensor *more = m8_realloc(g->tensors, cap * sizeof *more);
        if (!more) {
            m8__gguf_fail(g, M8_E_NOMEM, "out of memory for the list of tensors");
            return;
        }
        g->tensors = more;
        g->cap = cap;
    }
    struct gguf_tensor t = { .from = from, .type = type, .permute = permute };
    put_name(&g->infos, name);
    m8_put_u32(&g->infos, (uint32_t)rank);
    for (int i = rank; i-- > 0;) m8_put_u64(&g->infos, (uint64_t)from->dims[i]);
    m8_put_u32(&g->infos, (uint32_t)id);
    m8_put_u64(&g->infos, g->n_data);
    g->n_data += gguf_padded(m8__gguf_bytes_of(&t));
    g->tensors[g->n++] = t;
}

void m8__gguf_floats(m8__gguf *g, const char *name, const float *x, int n)
{
    m8__tensor *t = can_add(g) ? m8_malloc(sizeof *t + (size_t)n * sizeof *x) : NULL;
    if (!t) {
        m8__gguf_fail(g, M8_E_NOMEM, "out of memory for %s", name);
        return;
    }
    *t = (m8__tensor){ .type = DT_F32, .n_dims = 1, .dims = { n, 1, 1, 1 }, .n = n, .data = (uint8_t *)(t + 1), .size = (size_t)n * sizeof *x };
    memcpy(t + 1, x, t->size);
    m8__gguf_tensor(g, t, name, DT_F32, 0);
    if (g->status) m8_free(t);
    else g->tensors[g->n - 1].own = t;
}

void m8__gguf_head(const m8__gguf *g, m8_buf *out)
{
    static const char zeros[GGUF_ALIGN];
    m8_buf_str(out, "GGUF");
    m8_put_u32(out, 3);
    m8_put_u64(out, g->n);
    m8_put_u64(out, g->n_keys);
    m8_buf_add(out, g->keys.data, g->keys.len);
    m8_buf_add(out, g->infos.data, g->infos.len);
    m8_buf_add(out, zeros, gguf_padded(out->len) - out->len);
}
