/* weights.h - one interface to every weights file: named tensors, mapped and borrowed, and the file's metadata.
 *
 * Every reader treats its file as hostile: each count is compared with the bytes left before anything is allocated, all products
 * are checked, tensors lie inside the file and do not overlap, names are unique. What is wrong is one line with file and cause. */
#ifndef M8_WEIGHTS_H
#define M8_WEIGHTS_H

#include <jansson.h>
#include <m8/base.h>

typedef enum m8__dtype {
    DT_F32, DT_F16, DT_BF16, DT_F64,
    DT_I8, DT_I16, DT_I32, DT_I64, DT_U8,
    DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0, DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K,
    DT_COUNT
} m8__dtype;

const char *m8__dtype_name(m8__dtype t);      /* "Q4_1" */
int m8__dtype_block(m8__dtype t);             /* elements of a block: 1, 32 or 256 */
int m8__dtype_bytes(m8__dtype t);             /* bytes of a block */

typedef struct m8__tensor {
    const char *name;    /* the file's own name for it (GGUF: "blk.0.attn_q.weight"; ONNX: VITS names, see onnx.c) */
    m8__dtype type;
    int n_dims;          /* 0 to 4 */
    int64_t dims[4];     /* slowest first; unused ones are 1 */
    int64_t n;           /* elements */
    const uint8_t *data; /* borrowed from the mapping; not aligned in general */
    size_t size;         /* bytes */
} m8__tensor;

typedef struct m8__weights m8__weights;

/* path: a file, or a directory with model.bin | *.gguf | *.onnx | model.safetensors | model.safetensors.index.json. The bytes tell the
 * format, never the name. Configuration beside it (config.json; for ONNX FILE.onnx.json) is read too. */
m8_status m8__weights_open(m8__weights **out, const char *path, m8_error *err);
/* The same from memory, which is borrowed until close; name stands for the path in messages. No directory, no configuration, one shard. */
m8_status m8__weights_open_memory(m8__weights **out, const void *data, size_t n, const char *name, m8_error *err);
void m8__weights_close(m8__weights *w);

const char *m8__weights_format(const m8__weights *w); /* "gguf", "safetensors", "ctranslate2", "onnx"; static */
const char *m8__weights_path(const m8__weights *w);   /* of the first file */
const char *m8__weights_dir(const m8__weights *w);    /* the folder it lies in: tokenizer.json and vocabulary.txt are found there */
const m8__tensor *m8__weights_find(const m8__weights *w, const char *name); /* aliases resolved; NULL: no such tensor */
size_t m8__weights_count(const m8__weights *w);
const m8__tensor *m8__weights_at(const m8__weights *w, size_t i); /* in the file's order */

/* Configuration as JSON, borrowed; NULL when there is none. For GGUF: the key magic8.config (m8_quantize), if it is there; the keys of
 * others are asked for one by one below. */
const json_t *m8__weights_config(const m8__weights *w);

/* GGUF keys. The value functions return false when the key is missing or of another kind; integers and floats of every width
 * are converted when nothing is lost. Views are borrowed from the mapping and are not NUL-terminated. */
typedef struct m8__view {
    const char *data;
    size_t len;
} m8__view;
bool m8__meta_int(const m8__weights *w, const char *key, int64_t *out);
bool m8__meta_float(const m8__weights *w, const char *key, double *out);
bool m8__meta_bool(const m8__weights *w, const char *key, bool *out);
bool m8__meta_str(const m8__weights *w, const char *key, m8__view *out);
/* Arrays: n elements; strings come one after another through next (start with {0} and n from count). */
typedef struct m8__meta_array {
    size_t n;          /* elements */
    int type;          /* GGUF value type: 8 string, 4 u32, 5 i32, 6 f32, ... */
    const uint8_t *at; /* the next element */
    size_t left;       /* elements not yet taken */
} m8__meta_array;
bool m8__meta_array_get(const m8__weights *w, const char *key, m8__meta_array *out);
bool m8__meta_next_str(m8__meta_array *a, m8__view *out);    /* false: none left or not strings */
bool m8__meta_next_number(m8__meta_array *a, double *out);   /* any number type */

/* Rows [row0, row0 + n_rows) of a tensor as float32, row-major; a row is the last dimension (a tensor of rank 0 or 1 is one row).
 * dst: [n_rows * columns]. The caller has checked the range. */
void m8__dequant(float *dst, const m8__tensor *t, int64_t row0, int64_t n_rows);
float *m8__floats(const m8__tensor *t); /* all of them, new (m8_free); NULL: no memory */
float m8__half_to_float(uint16_t h);
uint16_t m8__float_to_half(float f);  /* nearest even */
uint16_t m8__float_to_bf16(float f);  /* nearest even; NaN stays NaN */

#endif
