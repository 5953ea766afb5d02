/* What the tests of the Llama family share: goldens compared, the real model, answers in one piece. */
#ifndef LLAMA_HELP_H
#define LLAMA_HELP_H

#include "models/llama.h"
#include "test.h"
#include <string.h>

struct verdict {
    int n, over;
};

static inline void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct verdict *v = user;
    v->n++;
    if (diff <= tolerance) return;
    v->over++;
    print_error("%s: %g, more than %g\n", tensor, diff, tolerance);
}

static inline m8_status verify(const char *model, const char *expected, struct verdict *v, m8_error *err)
{
    m8_model *m;
    m8_status st = m8_open(&m, model, &(m8_open_opts){ .n_threads = 2, .precision = M8_F32 }, err);
    if (st) return st;
    st = m8_verify(m, expected, report, v, err);
    m8_close(m);
    return st;
}

static inline m8_model *open_real(m8_precision precision, int threads)
{
    char *path = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
    m8_error err = {0};
    m8_model *m = NULL;
    if (path && m8_open(&m, path, &(m8_open_opts){ threads, precision }, &err)) fail_msg("%s", err.text);
    m8_free(path);
    return m;
}

static inline m8_status collect(void *user, const char *text, size_t n)
{
    m8_buf_add(user, text, n);
    return M8_OK;
}

static inline char *answer(m8_model *m, const char *question, const m8_chat_opts *o, m8_usage *usage)
{
    m8_buf b = {0};
    m8_error err = {0};
    m8_message ask = { "user", question };
    if (m8_chat(m, &ask, 1, o, (m8_text_sink){ collect, &b }, usage, &err)) fail_msg("%s", err.text);
    return b.data ? b.data : m8_strdup("");
}

#endif
