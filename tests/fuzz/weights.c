/* Any bytes as a weights file: opened or refused, and what is opened can be read to its last byte. The first bytes tell
 * which of the four formats it is, and the corpus has seeds of each (tools/make_small_weights.py). */
#include <stdlib.h>
#include <string.h>

#include "weights/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile unsigned sum;

static void read_arrays(const m8__weights *w)
{
    static const char *const KEYS[] = { "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "k.empty" };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        m8__meta_array a;
        m8__view s;
        double v;
        if (!m8__meta_array_get(w, KEYS[i], &a)) continue;
        while (m8__meta_next_str(&a, &s)) sum += s.len ? (unsigned)s.data[0] + (unsigned)s.data[s.len - 1] : 0;
        while (m8__meta_next_number(&a, &v)) sum += v > 0;
    }
}

static void read_values(const m8__weights *w)
{
    static const char *const KEYS[] = { "general.architecture", "llama.block_count", "k.u8", "k.i8", "k.u16", "k.i16", "k.i32",
                                        "k.f32", "k.f32.whole", "k.bool", "k.u64", "k.i64", "k.f64" };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        int64_t n;
        double f;
        bool b;
        m8__view s;
        if (m8__meta_int(w, KEYS[i], &n)) sum += (unsigned)n;
        if (m8__meta_float(w, KEYS[i], &f)) sum += f > 0;
        if (m8__meta_bool(w, KEYS[i], &b)) sum += b;
        if (m8__meta_str(w, KEYS[i], &s) && s.len) sum += (unsigned)s.data[s.len - 1];
    }
}

static void read_tensor(const m8__tensor *t)
{
    if (t->n > 1 << 16) return; /* the reader has seen that it fits; its size is the input's */
    int64_t columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    float *x = m8_malloc((size_t)t->n * sizeof *x);
    if (!x) return;
    m8__dequant(x, t, 0, t->n / columns);
    sum += x[0] > 0;
    m8_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    m8__weights *w;
    m8_error err = { 0 };
    m8_status st = m8__weights_open_memory(&w, data, n, "input", &err);
    if (st) {
        if (w || err.status != st || strncmp(err.text, "input: ", 7)) abort();
        return 0;
    }
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        if (m8__weights_find(w, t->name) != t) abort();
        read_tensor(t);
    }
    read_arrays(w);
    read_values(w);
    m8__weights_close(w);
    return 0;
}
