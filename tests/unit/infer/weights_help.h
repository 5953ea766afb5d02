/* weights_help.h - what the tests of weights share. */
#ifndef WEIGHTS_HELP_H
#define WEIGHTS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "weights/weights.h"

/* A path in tests/data; valid until the fourth call from now. */
static inline const char *data_path(const char *name)
{
    static char paths[4][512];
    static int next;
    const char *root = getenv("MAGIC8_TEST_DATA");
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root ? root : "tests/data", name);
    return path;
}

/* The path of a real model in *path; false: it is not here. */
static inline bool model_path(char *path, size_t n, const char *name)
{
    const char *root = getenv("MAGIC8_TEST_MODELS");
    snprintf(path, n, "%s/%s", root ? root : "", name);
    if (root && !access(path, R_OK)) return true;
    print_message("missing: %s in the folder of MAGIC8_TEST_MODELS\n", name);
    return false;
}

static inline m8__weights *open_ok(const char *path)
{
    m8__weights *w = NULL;
    m8_error err = { 0 };
    m8_status st = m8__weights_open(&w, path, &err);
    if (st) fail_msg("%s", m8_error_text(&err));
    assert_non_null(w);
    return w;
}

static inline const m8__tensor *tensor_of(const m8__weights *w, const char *name)
{
    const m8__tensor *t = m8__weights_find(w, name);
    if (!t) fail_msg("%s: not found", name);
    return t;
}

static inline void check_shape(const m8__tensor *t, m8__dtype type, int n_dims, int64_t a, int64_t b, int64_t c)
{
    assert_string_equal(m8__dtype_name(t->type), m8__dtype_name(type));
    assert_int_equal(t->n_dims, n_dims);
    assert_int_equal(t->dims[0], a);
    assert_int_equal(t->dims[1], b);
    assert_int_equal(t->dims[2], c);
    assert_int_equal(t->dims[3], 1);
    assert_int_equal(t->n, a * b * c);
}

static inline void check_values(const m8__tensor *t, int n, const float *want)
{
    float got[8];
    assert_int_equal(t->n, n);
    m8__dequant(got, t, 0, t->n_dims == 2 ? t->dims[0] : 1);
    for (int i = 0; i < n; i++) assert_true(got[i] == want[i]);
}

static inline void check_str(m8__view v, const char *want)
{
    assert_int_equal(v.len, strlen(want));
    assert_memory_equal(v.data, want, v.len);
}

/* Read the first and the last byte of every tensor, and every string and number of the usual arrays. */
static inline unsigned walk(const m8__weights *w)
{
    unsigned sum = 0;
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        sum += t->data[0] + t->data[t->size - 1];
        if (!m8__weights_find(w, t->name)) abort();
    }
    static const char *const ARRAYS[] = { "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.scores",
                                          "tokenizer.ggml.token_type", "k.empty", "general.languages" };
    for (size_t i = 0; i < sizeof ARRAYS / sizeof *ARRAYS; i++) {
        m8__meta_array a;
        m8__view s;
        double v;
        if (!m8__meta_array_get(w, ARRAYS[i], &a)) continue;
        while (m8__meta_next_str(&a, &s)) sum += s.len ? (unsigned)s.data[0] + (unsigned)s.data[s.len - 1] : 1;
        while (m8__meta_next_number(&a, &v)) sum += v > 0;
    }
    return sum;
}

#endif
