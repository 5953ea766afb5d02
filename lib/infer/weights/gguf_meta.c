/* The keys of a GGUF file, read where they lie. Every value was checked to be whole when the file was opened. */
#include <math.h>
#include <string.h>

#include "weights/reader.h"

int m8__gguf_size(int type)
{
    static const uint8_t SIZE[] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
        [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
    };
    return SIZE[type];
}

const struct meta *m8__meta_find(const m8__weights *w, const char *name)
{
    size_t from = 0, to = w->n_keys, len = strlen(name);
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        const m8__view *v = &w->keys[mid].name;
        int d = memcmp(v->data, name, v->len < len ? v->len : len);
        if (!d) d = (v->len > len) - (v->len < len);
        if (!d) return &w->keys[mid];
        if (d < 0) from = mid + 1;
        else to = mid;
    }
    return NULL;
}

/* A number as it is: an integer (big when it is a u64 above INT64_MAX) or a float. */
struct number {
    bool is_float, big;
    int64_t i;
    double f;
};

static bool read_number(struct number *out, int type, const uint8_t *at)
{
    uint8_t b[8] = { 0 };
    if (type > GGUF_F64 || type == GGUF_STRING || type == GGUF_ARRAY || type == GGUF_BOOL) return false;
    memcpy(b, at, (size_t)m8__gguf_size(type));
    *out = (struct number){ 0 };
#define AS(ctype, var)                                                                                                   \
    ctype var;                                                                                                           \
    memcpy(&var, b, sizeof var)
    AS(int8_t, i8);
    AS(int16_t, i16);
    AS(int32_t, i32);
    AS(uint64_t, u64); /* also right for the narrower unsigned ones: the rest is zero */
    AS(float, f32);
    AS(double, f64);
#undef AS
    switch (type) {
    case GGUF_I8: out->i = i8; break;
    case GGUF_I16: out->i = i16; break;
    case GGUF_I32: out->i = i32; break;
    case GGUF_I64: out->i = (int64_t)u64; break;
    case GGUF_F32: out->is_float = true, out->f = (double)f32; break;
    case GGUF_F64: out->is_float = true, out->f = f64; break;
    default:
        out->big = type == GGUF_U64 && u64 > INT64_MAX;
        out->i = (int64_t)u64;
        out->f = (double)u64;
        return true;
    }
    if (!out->is_float) out->f = (double)out->i;
    return true;
}

static bool number_of(const m8__weights *w, const char *key, struct number *out)
{
    const struct meta *m = m8__meta_find(w, key);
    return m && read_number(out, m->type, m->at);
}

bool m8__meta_int(const m8__weights *w, const char *key, int64_t *out)
{
    struct number v;
    if (!number_of(w, key, &v) || v.big) return false;
    if (!v.is_float) {
        *out = v.i;
        return true;
    }
    if (!(v.f >= -0x1p63 && v.f < 0x1p63) || v.f != floor(v.f)) return false;
    *out = (int64_t)v.f;
    return true;
}

bool m8__meta_float(const m8__weights *w, const char *key, double *out)
{
    struct number v;
    if (!number_of(w, key, &v)) return false;
    /* 2^53 is where doubles begin to skip integers. */
    if (!v.is_float && (v.big || v.i > (1LL << 53) || v.i < -(1LL << 53))) return false;
    *out = v.f;
    return true;
}

bool m8__meta_bool(const m8__weights *w, const char *key, bool *out)
{
    const struct meta *m = m8__meta_find(w, key);
    if (!m || m->type != GGUF_BOOL || *m->at > 1) return false;
    *out = *m->at;
    return true;
}

static const uint8_t *string_at(const uint8_t *at, m8__view *out)
{
    uint64_t len;
    memcpy(&len, at, sizeof len);
    *out = (m8__view){ (const char *)at + sizeof len, len };
    return at + sizeof len + len;
}

bool m8__meta_str(const m8__weights *w, const char *key, m8__view *out)
{
    const struct meta *m = m8__meta_find(w, key);
    if (!m || m->type != GGUF_STRING) return false;
    string_at(m->at, out);
    return true;
}

bool m8__meta_array_get(const m8__weights *w, const char *key, m8__meta_array *out)
{
    const struct meta *m = m8__meta_find(w, key);
    if (!m || m->type != GGUF_ARRAY) return false;
    *out = (m8__meta_array){ m->n, m->element, m->at, m->n };
    return true;
}

bool m8__meta_next_str(m8__meta_array *a, m8__view *out)
{
    if (!a->left || a->type != GGUF_STRING) return false;
    a->at = string_at(a->at, out);
    a->left--;
    return true;
}

bool m8__meta_next_number(m8__meta_array *a, double *out)
{
    struct number v;
    if (!a->left || !read_number(&v, a->type, a->at)) return false;
    *out = v.f;
    a->at += m8__gguf_size(a->type);
    a->left--;
    return true;
}
