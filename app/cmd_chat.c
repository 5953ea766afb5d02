/* magic8 chat: one answer, or a conversation of the lines of standard input. */
#include "app.h"
#include "load.h"
#include "question.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chat {
    const struct options *o;
    m8_model *llm;
    m8_message *messages; /* contents are owned */
    size_t n, cap;
    m8_buf answer;
    int error; /* errno of standard output */
};

static m8_status add(struct chat *c, const char *role, const char *content, m8_error *err)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        m8_message *p = m8_realloc(c->messages, cap * sizeof *p);
        if (!p) return m8_fail(err, M8_E_NOMEM, "the conversation");
        c->messages = p;
        c->cap = cap;
    }
    char *own = m8_strdup(content);
    if (!own) return m8_fail(err, M8_E_NOMEM, "the conversation");
    c->messages[c->n++] = (m8_message){ role, own };
    return M8_OK;
}

static m8_status take(void *user, const char *text, size_t n)
{
    struct chat *c = user;
    m8_buf_add(&c->answer, text, n);
    errno = 0;
    if (c->o->json || (fwrite(text, 1, n, stdout) == n && !fflush(stdout))) return c->answer.status;
    c->error = errno ? errno : EIO;
    return M8_E_IO;
}

static m8_status answer(struct chat *c, m8_error *err)
{
    const struct options *o = c->o;
    m8_usage usage;
    m8_error why = {0};
    m8_chat_opts opts = { .max_tokens = o->max_tokens, .temperature = o->temperature < 0 ? 0.7f : (float)o->temperature,
                          .top_k = o->top_k, .top_p = (float)o->top_p, .min_p = (float)o->min_p, .seed = o->seed };
    m8_buf_clear(&c->answer);
    m8_status st = m8_chat(c->llm, c->messages, c->n, &opts, (m8_text_sink){ take, c }, &usage, &why);
    if (c->error) {
        errno = c->error;
        return m8_fail_errno(err, M8_E_IO, "writing standard output");
    }
    if (st) return m8_fail(err, st, "%s", m8_error_text(&why));
    const char *text = c->answer.data ? c->answer.data : "";
    if (o->json) {
        json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f}", "text", text, "finish", usage.finish, "prompt_tokens", usage.n_prompt,
                              "kept_tokens", usage.n_kept, "generated_tokens", usage.n_generated, "prompt_s", usage.prompt_s, "generate_s",
                              usage.generate_s);
        if (!j) return m8_fail(err, M8_E_FORMAT, "the answer cannot be written as JSON");
        int failed = json_dumpf(j, stdout, JSON_REAL_PRECISION(6));
        json_decref(j);
        if (failed) return m8_fail(err, M8_E_IO, "writing standard output");
    }
    puts("");
    fflush(stdout);
    return add(c, "assistant", text, err);
}

static m8_status converse(struct chat *c, m8_error *err)
{
    char *line = NULL;
    size_t size = 0;
    m8_status st = M8_OK;
    bool asks = isatty(0) && isatty(2);
    while (!st) {
        if (asks) fputs("> ", stderr);
        ssize_t n = getline(&line, &size, stdin);
        if (n < 0) {
            if (!feof(stdin)) st = m8_fail_errno(err, M8_E_IO, "reading standard input");
            break;
        }
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
        if (!n) continue;
        st = add(c, "user", line, err);
        if (!st) st = answer(c, err);
    }
    free(line); /* getline's own */
    return st;
}

int cmd_chat(const struct options *o)
{
    m8_error err = {0};
    struct chat c = { .o = o };
    char *prompt = NULL;
    m8_status st = o->n_args ? read_text(&prompt, o->args[0], &err) : M8_OK;
    if (!st && prompt && !*prompt) st = m8_fail(&err, M8_E_ARG, "the prompt is empty");
    if (!st) st = load_model(&c.llm, ROLE_LLM, o, &err);
    if (!st && o->system) st = add(&c, "system", o->system, &err);
    if (!st && prompt) st = add(&c, "user", prompt, &err);
    if (!st) st = prompt ? answer(&c, &err) : converse(&c, &err);
    for (size_t i = 0; i < c.n; i++) m8_free((char *)c.messages[i].content);
    m8_free(c.messages);
    m8_buf_finish(&c.answer);
    m8_free(prompt);
    m8_close(c.llm);
    return st ? fail(&err) : 0;
}
