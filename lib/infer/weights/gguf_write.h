/* gguf_write.h - a GGUF file in the making: keys and tensors are noted first, then everything is written at once.
 *
 * Sticky: after the first failure nothing more is noted, and m8__gguf_write tells it. Keys and names are copied; tensors are
 * borrowed until the file is written. */
#ifndef M8_GGUF_WRITE_H
#define M8_GGUF_WRITE_H

#include "weights/reader.h"

typedef struct m8__gguf {
    m8_buf keys, infos;
    uint64_t n_keys;
    struct gguf_tensor *tensors;
    size_t n, cap;
    uint64_t n_data; /* bytes of all tensors, padding included */
    m8_status status;
    m8_error err; /* the first failure */
} m8__gguf;

void m8__gguf_finish(m8__gguf *g);
m8_status m8__gguf_fail(m8__gguf *g, m8_status st, const char *fmt, ...) M8_PRINTF(3, 4);

/* ---- keys; the caller names none twice */
void m8__gguf_str(m8__gguf *g, const char *key, m8__view value);
void m8__gguf_u32(m8__gguf *g, const char *key, uint32_t value);
void m8__gguf_f32(m8__gguf *g, const char *key, float value);
void m8__gguf_bool(m8__gguf *g, const char *key, bool value);
void m8__gguf_array(m8__gguf *g, const char *key, int type, uint64_t n); /* then n times one of these */
void m8__gguf_item_str(m8__gguf *g, m8__view value);
void m8__gguf_item_i32(m8__gguf *g, int32_t value);
void m8__gguf_item_f32(m8__gguf *g, float value);
void m8__gguf_bytes(m8__gguf *g, const char *key, const void *data, size_t n); /* an array of u8 */
/* The keys of another GGUF file as they are there, but for those that skip knows. */
void m8__gguf_copy_keys(m8__gguf *g, const m8__weights *w, bool (*skip)(m8__view name));

/* ---- tensors, in the order of the file. permute: rows of each head of this size are brought into GGUF's order (nn_part.unpermute is
 * the way back); 0: as they are. The type may be any of m8__can_quantise, or the tensor's own. */
void m8__gguf_tensor(m8__gguf *g, const m8__tensor *from, const char *name, m8__dtype type, int permute);

/* A vector of n floats that no file holds; copied. */
void m8__gguf_floats(m8__gguf *g, const char *name, const float *x, int n);

struct m8__gguf_opts {
    m8_pool *pool;
    m8_cancel *cancel; /* or NULL */
    m8_status (*progress)(void *user, const char *tensor, int64_t done, int64_t total); /* or NULL; bytes of the file */
    void *user;
};
/* Write it to path: whole under its name, or not there (gguf_out.c). Memory stays at some megabytes, whatever the size. */
m8_status m8__gguf_write(m8__gguf *g, const char *path, const struct m8__gguf_opts *o, m8_error *err);

/* ---- between gguf_write.c and gguf_out.c */
#define GGUF_ALIGN 32

struct gguf_tensor {
    const m8__tensor *from;
    m8__dtype type;
    int permute;
    m8__tensor *own; /* from, where it was made here; else it lies in a mapping */
};
static inline uint64_t gguf_padded(uint64_t n) { return (n + GGUF_ALIGN - 1) & ~(uint64_t)(GGUF_ALIGN - 1); }
uint64_t m8__gguf_bytes_of(const struct gguf_tensor *t);
/* What stands before the data, padded. */
void m8__gguf_head(const m8__gguf *g, m8_buf *out);

int m8__gguf_type_id(m8__dtype type); /* gguf.c; -1: GGUF has no such type */

#endif
