/* Chat templates by family. The template in a model file is a program; it is recognised by what it contains and never run. The markers
 * of a turn are set as ids, everything between them is encoded as plain text, so that nobody can type a marker. */
#include "text/tok.h"
#include <m8/infer.h>
#include <string.h>

struct build {
    const m8__tokenizer *t;
    m8__ids *out;
    m8_buf text; /* plain text not yet encoded: pieces may reach across what stands side by side in a template */
    m8_status st;
    m8_error *err;
};

typedef struct m8_message message;

struct m8__chat {
    const char *name;
    const char *in_template;   /* the template has this text */
    const char *token;         /* and the vocabulary this special token */
    const char *ends[3];       /* tokens that end an answer; the first is the usual one */
    const char *system;        /* put in where the conversation has no system message; NULL: none */
    void (*turns)(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer);
};

static void flush(struct build *b)
{
    if (!b->st && b->text.status) b->st = m8_fail(b->err, b->text.status, "no memory for the conversation");
    if (!b->st && b->text.len) b->st = m8__encode(b->t, b->out, b->text.data, b->text.len, b->err);
    m8_buf_clear(&b->text);
}

static void mark_id(struct build *b, int id)
{
    flush(b);
    if (id >= 0) m8__ids_add(b->out, id);
}

static void mark(struct build *b, const char *token) { mark_id(b, m8__token_id(b->t, token)); }

static void mark_bos(struct build *b) { mark_id(b, m8__token_bos(b->t)); }
static void mark_eos(struct build *b) { mark_id(b, m8__token_eos(b->t)); }

static void plain(struct build *b, const char *s) { m8_buf_str(&b->text, s); }

/* ---- chatml: <|im_start|>role\ncontent<|im_end|>\n */

static void chatml_turn(struct build *b, const char *role, const char *content)
{
    mark(b, "<|im_start|>");
    plain(b, role);
    plain(b, "\n");
    plain(b, content);
    mark(b, "<|im_end|>");
    plain(b, "\n");
}

static void chatml(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    if (c->system && (!n || strcmp(m[0].role, "system"))) chatml_turn(b, "system", c->system);
    for (size_t i = 0; i < n; i++) chatml_turn(b, m[i].role, m[i].content);
    if (!add_answer) return;
    mark(b, "<|im_start|>");
    plain(b, "assistant\n");
}

/* ---- Mistral: <s>[INST] question[/INST] answer</s>. The system message stands in front of a question, two newlines between them:
 * the last one (v2, v3) or the first (v1, where [INST] is no token but text). source: mistral-common. */

static void system_text(struct build *b, const message *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(m[i].role, "system")) continue;
        plain(b, m[i].content);
        plain(b, "\n\n");
    }
}

static size_t find_user(const message *m, size_t n, bool last)
{
    size_t found = n;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(m[i].role, "user") && (last || found == n)) found = i;
    }
    return found;
}

static size_t trimmed_right(const char *s)
{
    size_t n = strlen(s);
    while (n && strchr(" \t\n\v\f\r", s[n - 1])) n--;
    return n;
}

static void mistral_v3(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    size_t at = find_user(m, n, true);
    mark_bos(b);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(m[i].role, "user")) {
            mark(b, "[INST]");
            if (i == at) system_text(b, m, n);
            plain(b, m[i].content);
            mark(b, "[/INST]");
        } else if (!strcmp(m[i].role, "assistant")) {
            m8_buf_add(&b->text, m[i].content, trimmed_right(m[i].content));
            mark_eos(b);
        }
    }
}

static void mistral_v1(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    size_t at = find_user(m, n, false);
    mark_bos(b);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(m[i].role, "user")) {
            plain(b, "[INST] ");
            if (i == at) system_text(b, m, n);
            plain(b, m[i].content);
            plain(b, " [/INST]");
            flush(b);
        } else if (!strcmp(m[i].role, "assistant")) {
            plain(b, m[i].content);
            mark_eos(b);
        }
    }
}

/* ---- Llama 3: <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>, contents trimmed */

static void trimmed(struct build *b, const char *s)
{
    s += strspn(s, " \t\n\v\f\r");
    m8_buf_add(&b->text, s, trimmed_right(s));
}

static void llama3_header(struct build *b, const char *role)
{
    mark(b, "<|start_header_id|>");
    plain(b, role);
    mark(b, "<|end_header_id|>");
    plain(b, "\n\n");
}

static void llama3(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    mark_bos(b);
    for (size_t i = 0; i < n; i++) {
        llama3_header(b, m[i].role);
        trimmed(b, m[i].content);
        mark(b, "<|eot_id|>");
    }
    if (add_answer) llama3_header(b, "assistant");
}

/* ---- Llama 2: <s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nquestion [/INST] answer </s>, contents trimmed */

static void llama2(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    size_t at = find_user(m, n, false);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(m[i].role, "user")) {
            mark_bos(b);
            plain(b, "[INST] ");
            bool first = true;
            for (size_t k = 0; i == at && k < n; k++) {
                if (strcmp(m[k].role, "system")) continue;
                plain(b, "<<SYS>>\n");
                plain(b, m[k].content);
                plain(b, "\n<</SYS>>\n\n");
                first = false;
            }
            if (first) trimmed(b, m[i].content);
            else m8_buf_add(&b->text, m[i].content, trimmed_right(m[i].content));
            plain(b, " [/INST]");
        } else if (!strcmp(m[i].role, "assistant")) {
            plain(b, " ");
            trimmed(b, m[i].content);
            plain(b, " ");
            mark_eos(b);
        }
    }
}

/* ---- Zephyr, TinyLlama: <|role|>\ncontent</s>\n; the markers are text there */

static void zephyr(struct build *b, const struct m8__chat *c, const message *m, size_t n, bool add_answer)
{
    for (size_t i = 0; i < n; i++) {
        plain(b, "<|");
        plain(b, m[i].role);
        plain(b, "|>\n");
        plain(b, m[i].content);
        mark_eos(b);
        plain(b, "\n");
    }
    if (add_answer) plain(b, "<|assistant|>\n");
}

/* ---- the list; the first that fits wins. Without a template only those that a special token tells are taken. */

#define SMOLLM2 "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

static const struct m8__chat families[] = {
    { "chatml", SMOLLM2, "<|im_start|>", { "<|im_end|>", "<|endoftext|>" }, SMOLLM2, chatml },
    { "chatml", QWEN, "<|im_start|>", { "<|im_end|>", "<|endoftext|>" }, QWEN, chatml },
    { "chatml", "<|im_start|>", "<|im_start|>", { "<|im_end|>", "<|endoftext|>" }, NULL, chatml },
    { "llama3", "<|start_header_id|>", "<|start_header_id|>", { "<|eot_id|>", "<|end_of_text|>", "<|eom_id|>" }, NULL, llama3 },
    { "mistral-v3", "[INST]", "[INST]", { "</s>" }, NULL, mistral_v3 },
    { "llama2", "<<SYS>>", NULL, { "</s>" }, NULL, llama2 },
    { "mistral-v1", "[INST]", NULL, { "</s>" }, NULL, mistral_v1 },
    { "zephyr", "<|assistant|>", NULL, { "</s>" }, NULL, zephyr },
};

const m8__chat *m8__chat_named(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (!families[i].system && !strcmp(families[i].name, name)) return &families[i];
    }
    return NULL;
}

const m8__chat *m8__chat_find(const m8__tokenizer *t)
{
    m8__view text = t->template;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct m8__chat *c = &families[i];
        if (c->token && m8__token_id(t, c->token) < 0) continue;
        if (text.len ? !!memmem(text.data, text.len, c->in_template, strlen(c->in_template)) : c->token && !c->system) return c;
    }
    return NULL;
}

const char *m8__chat_name(const m8__chat *c) { return c->name; }

m8_status m8__chat_encode(const m8__chat *c, const m8__tokenizer *t, m8__ids *out, const struct m8_message *messages, size_t n,
                          bool add_answer, m8_error *err)
{
    if (!n) return m8_fail(err, M8_E_ARG, "a conversation without a message");
    for (size_t i = 0; i < n; i++) {
        const char *role = messages[i].role ? messages[i].role : "";
        if (strcmp(role, "system") && strcmp(role, "user") && strcmp(role, "assistant"))
            return m8_fail(err, M8_E_ARG, "message %zu: the role \"%s\" is none of system, user, assistant", i, role);
        if (!messages[i].content) return m8_fail(err, M8_E_ARG, "message %zu has no content", i);
    }
    struct build b = { .t = t, .out = out, .text = { .limit = TOK_MAX_TEXT }, .err = err };
    c->turns(&b, c, messages, n, add_answer);
    flush(&b);
    m8_buf_finish(&b.text);
    if (!b.st && out->status) b.st = m8_fail(err, out->status, "no memory for the conversation");
    return b.st;
}

int m8__chat_end(const m8__chat *c, const m8__tokenizer *t)
{
    int id = m8__token_id(t, c->ends[0]);
    return id >= 0 ? id : m8__token_eos(t);
}

bool m8__chat_is_end(const m8__chat *c, const m8__tokenizer *t, int id)
{
    if (id < 0) return false;
    if (id == m8__token_eos(t)) return true;
    for (size_t i = 0; i < sizeof c->ends / sizeof *c->ends && c->ends[i]; i++) {
        if (id == m8__token_id(t, c->ends[i])) return true;
    }
    return false;
}
