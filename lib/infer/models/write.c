/* What the families' files have in common, and the call that writes one. */
#include "models/write.h"
#include "weights/quantise.h"
#include <ctype.h>
#include <string.h>

bool m8__is_vector(const m8__tensor *t)
{
    int long_ones = 0;
    for (int i = 0; i < t->n_dims; i++) long_ones += t->dims[i] > 1;
    return long_ones < 2;
}

static int bits(m8__dtype t) { return m8__dtype_bytes(t) * 256 / m8__dtype_block(t); }

m8__dtype m8__finer(m8__dtype a, m8__dtype b) { return bits(a) >= bits(b) ? a : b; }

m8__dtype m8__fitting(const m8__tensor *t, m8__dtype type)
{
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    if (t->type >= DT_F64 && m8__dtype_block(t->type) == 1) return t->type;
    if (type == DT_F16 && t->type == DT_BF16) return DT_BF16;
    if (columns % m8__dtype_block(type) == 0) return type;
    if (columns % 32 == 0) return type == DT_Q4_K ? DT_Q5_0 : type == DT_Q5_K ? DT_Q5_1 : DT_Q8_0;
    return t->type == DT_BF16 ? DT_BF16 : DT_F16;
}

m8__view m8__text_view(const char *s) { return (m8__view){ s, strlen(s) }; }

/* ---- keys */

static bool begins(m8__view v, const char *s) { return v.len >= strlen(s) && !memcmp(v.data, s, strlen(s)); }

static bool is_outdated(m8__view name)
{
    return begins(name, "split.") || begins(name, "general.file_type") || begins(name, "general.alignment") ||
           begins(name, "general.quantization_version") || begins(name, "quantize.");
}

void m8__write_keys_again(m8__gguf *g, const m8__weights *w) { m8__gguf_copy_keys(g, w, is_outdated); }

void m8__write_type(m8__gguf *g, m8__dtype type) /* numbered as llama.cpp does, llama_ftype */
{
    static const uint8_t number[DT_COUNT] = { [DT_F32] = 0,  [DT_F16] = 1,   [DT_Q4_0] = 2,  [DT_Q4_1] = 3,  [DT_Q8_0] = 7, [DT_Q5_0] = 8,
                                              [DT_Q5_1] = 9, [DT_Q4_K] = 14, [DT_Q5_K] = 16, [DT_Q6_K] = 18, [DT_BF16] = 32 };
    m8__gguf_u32(g, "general.file_type", number[type]);
    m8__gguf_u32(g, "general.quantization_version", 2);
}

static int add_text(const char *s, size_t n, void *user)
{
    m8_buf_add(user, s, n);
    return 0;
}

void m8__write_config(m8__gguf *g, const m8__weights *w)
{
    const json_t *config = m8__weights_config(w);
    m8_buf text = { 0 };
    if (config && (json_dump_callback(config, add_text, &text, JSON_COMPACT) || text.status))
        m8__gguf_fail(g, M8_E_NOMEM, "out of memory for the configuration");
    else if (config) m8__gguf_str(g, "magic8.config", (m8__view){ text.data, text.len });
    m8_buf_finish(&text);
}

void m8__write_tokenizer_file(m8__gguf *g, const m8__weights *w)
{
    static const char *const names[] = { "tokenizer.json", "spiece.model", "tokenizer.model" };
    bool done = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !done && !g->status; i++) {
        char *path = m8_join_path(m8__weights_dir(w), names[i]);
        m8_map map = { 0 };
        m8_error err = { 0 };
        if (!path) m8__gguf_fail(g, M8_E_NOMEM, "out of memory for a path");
        else if (m8_is_file(path)) {
            done = true;
            m8_status st = m8_map_open(&map, path, &err);
            if (st) m8__gguf_fail(g, st, "%s", m8_error_text(&err));
            else m8__gguf_bytes(g, "magic8.tokenizer", map.data, map.size);
        }
        m8_map_close(&map);
        m8_free(path);
    }
}

/* ---- the call */

static m8_status type_of(m8__dtype *out, const char *name, m8_error *err)
{
    for (int t = 0; name && t < DT_COUNT; t++) {
        const char *known = m8__dtype_name((m8__dtype)t);
        size_t i = 0;
        while (known[i] && toupper((unsigned char)name[i]) == known[i]) i++;
        if (known[i] || name[i] || !m8__can_quantise((m8__dtype)t)) continue;
        *out = (m8__dtype)t;
        return M8_OK;
    }
    return m8_fail(err, M8_E_ARG, "type %.20s: expected f32, f16, bf16, q8_0, q6_k, q5_0, q5_1, q5_k, q4_0, q4_1 or q4_k", name ? name : "none");
}

static bool is_gguf_name(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".gguf");
}

/* OUT is a file that ends in .gguf, or a folder for model.gguf, which is made. */
static m8_status file_name(char **out, const char *path, m8_error *err)
{
    m8_status st = M8_OK;
    bool file = is_gguf_name(path) && !m8_is_dir(path);
    if (!file) st = m8_make_dirs(path, err);
    *out = st ? NULL : file ? m8_strdup(path) : m8_join_path(path, "model.gguf");
    return st || *out ? st : m8_fail(err, M8_E_NOMEM, "out of memory for a path");
}

static m8_status plan(m8__gguf *g, const m8__weights *w, m8__dtype type, m8_error *err)
{
    if (m8__llama.match(w)) m8__llama_write(g, w, type);
    else if (m8__parler.match(w)) m8__parler_write(g, w, type);
    else return m8_fail(err, M8_E_UNSUPPORTED, "%s: neither a Llama nor a Parler model: others are not quantised", m8__weights_path(w));
    return g->status ? m8_fail(err, g->status, "%s", m8_error_text(&g->err)) : M8_OK;
}

m8_status m8_quantize(const char *in, const char *out, const char *type, const m8_quantize_opts *opts, m8_error *err)
{
    static const m8_quantize_opts none;
    if (!opts) opts = &none;
    if (!in || !*in || !out || !*out) return m8_fail(err, M8_E_ARG, "no model, or no place for it");
    m8__dtype t = DT_F32;
    m8__weights *w = NULL;
    m8__gguf g = { 0 };
    struct m8__gguf_opts o = { .cancel = opts->cancel, .progress = opts->progress, .user = opts->user };
    char *path = NULL;
    m8_status st = type_of(&t, type, err);
    if (!st) st = m8__weights_open(&w, in, err);
    if (!st) st = plan(&g, w, t, err);
    if (!st) st = m8_pool_new(&o.pool, opts->n_threads, err);
    if (!st) st = file_name(&path, out, err);
    if (!st) st = m8__gguf_write(&g, path, &o, err);
    m8_free(path);
    m8_pool_free(o.pool);
    m8__gguf_finish(&g);
    m8__weights_close(w);
    return st;
}
