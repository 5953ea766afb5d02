/* Conversations: the prompt from the template, the next token by sampling or by a set of allowed texts, the text as it comes. */
#include "llama.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct chat {
    m8_model *model;
    const m8_chat_opts *opts;
    /* the leader's side: picking */
    nn_sampling sampling;
    nn_rng rng;
    float *scratch;     /* [2 n_vocab] */
    m8__ids *choices;   /* [n_choices] */
    int end_id;         /* what ends a choice */
    bool template;      /* ends where the template says; else at eos */
    bool ended;         /* by itself, not by length */
    /* the caller's side: text */
    m8_text_sink out;
    m8_buf text;        /* not yet handed on */
    int state;          /* of m8__decode */
    bool stopped;       /* a stop string was found */
};

static bool ends(const struct chat *c, int id)
{
    struct llama *m = c->model->impl;
    if (c->template) return m8__chat_is_end(m->chat, c->model->tokenizer, id);
    return id == m8__token_eos(c->model->tokenizer);
}

/* Leave only the ids by which some choice goes on; end_id where a choice is complete. The choices are a trie, held as a list. */
static void allow_choices(const struct chat *c, float *logits, int n_vocab, const int *own, int n_own, int end_id)
{
    memcpy(c->scratch, logits, (size_t)n_vocab * sizeof *logits);
    for (int i = 0; i < n_vocab; i++) logits[i] = -INFINITY;
    for (size_t i = 0; i < c->opts->n_choices; i++) {
        const m8__ids *t = &c->choices[i];
        if (t->n < (size_t)n_own || (n_own && memcmp(t->data, own, (size_t)n_own * sizeof *own))) continue;
        int id = t->n == (size_t)n_own ? end_id : t->data[n_own];
        logits[id] = c->scratch[id] > -1e30f ? c->scratch[id] : -1e30f; /* whatever the weights are, above what is not allowed */
    }
}

static int pick(void *user, float *logits, const int *ids, int n, int n_prompt)
{
    struct chat *c = user;
    struct llama *m = c->model->impl;
    int end_id = c->end_id;
    if (c->choices) allow_choices(c, logits, m->n_vocab, ids + n_prompt, n - n_prompt, end_id);
    nn_sample_probs(logits, m->n_vocab, &c->sampling, ids, n, n - n_prompt, c->scratch);
    int id = c->sampling.temperature > 0 ? nn_sample_draw(logits, m->n_vocab, &c->rng) : nn_argmax(logits, m->n_vocab);
    if (c->choices ? id != end_id : !ends(c, id)) return id;
    c->ended = true;
    return -1;
}

/* How much of the pending text may go out: whole characters, and nothing that may yet become a stop string. */
static size_t safe_length(struct chat *c, bool *stop)
{
    const char *s = c->text.data;
    size_t n = c->text.len, found = n, safe = n;
    *stop = false;
    for (size_t i = 0; i < c->opts->n_stop; i++) { /* the first that is whole ends the answer, whatever another might become */
        const char *word = c->opts->stop[i];
        size_t len = word ? strlen(word) : 0;
        if (!len) continue;
        const char *at = memmem(s, n, word, len);
        if (at) *stop = true;
        if (at && (size_t)(at - s) < found) found = (size_t)(at - s);
        for (size_t k = len - 1 < n ? len - 1 : n; k > 0; k--) {
            if (memcmp(s + n - k, word, k)) continue;
            if (n - k < safe) safe = n - k;
            break;
        }
    }
    return *stop ? found : m8__utf8_whole(s, safe);
}

static m8_status hand_on(struct chat *c, size_t n)
{
    if (!n) return M8_OK;
    m8_status st = c->out.push(c->out.user, c->text.data, n);
    memmove(c->text.data, c->text.data + n, c->text.len - n);
    c->text.len -= n;
    return st;
}

static m8_status token(void *user, int id)
{
    struct chat *c = user;
    m8__decode(c->model->tokenizer, id, &c->state, &c->text);
    if (c->text.status) return c->text.status;
    if (!c->text.len) return M8_OK;
    m8_status st = hand_on(c, safe_length(c, &c->stopped));
    return st ? st : c->stopped ? M8_E_CANCELLED : M8_OK;
}

static m8_status no_end(const m8_model *model, m8_error *err)
{
    return m8_fail(err, M8_E_UNSUPPORTED, "%s: no token ends an answer", m8__weights_path(model->weights));
}

/* The ids are all rows of the output matrix. */
static m8_status check_ids(const m8_model *model, const m8__ids *ids, m8_error *err)
{
    const struct llama *m = model->impl;
    if (ids->status) return m8_fail(err, ids->status, "the text's tokens");
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->data[i] < 0 || ids->data[i] >= m->n_vocab) return m8_fail(err, M8_E_FORMAT, "token %d is outside of the model", ids->data[i]);
    }
    return M8_OK;
}

static m8_status encode_text(const m8_model *model, m8__ids *ids, const char *text, m8_error *err)
{
    m8_status st = m8__encode(model->tokenizer, ids, text, strlen(text), err);
    return st ? st : check_ids(model, ids, err);
}

static m8_status encode_choices(struct chat *c, m8_error *err)
{
    size_t n = c->opts->n_choices;
    if (!n) return M8_OK;
    struct llama *m = c->model->impl;
    c->end_id = c->template ? m8__chat_end(m->chat, c->model->tokenizer) : m8__token_eos(c->model->tokenizer);
    if (c->end_id < 0 || c->end_id >= m->n_vocab) return no_end(c->model, err);
    c->choices = m8_calloc(n, sizeof *c->choices);
    if (!c->choices) return m8_fail(err, M8_E_NOMEM, "the choices");
    m8_status st = M8_OK;
    for (size_t i = 0; i < n && !st; i++) {
        st = encode_text(c->model, &c->choices[i], c->opts->choices[i], err);
    }
    return st;
}

static m8_status no_template(const m8_model *model, m8_error *err)
{
    return m8_fail(err, M8_E_UNSUPPORTED, "%s: no chat template that is known here", m8__weights_path(model->weights));
}

static m8_status encode_prompt(m8_model *model, m8__ids *ids, const m8_message *messages, size_t n, const char *prompt, m8_error *err)
{
    struct llama *m = model->impl;
    if (!model->tokenizer) return m8_fail(err, M8_E_UNSUPPORTED, "%s: the model has no tokenizer", m8__weights_path(model->weights));
    m8_status st;
    if (prompt) {
        if (m8__token_adds_bos(model->tokenizer)) m8__ids_add(ids, m8__token_bos(model->tokenizer));
        st = m8__encode(model->tokenizer, ids, prompt, strlen(prompt), err);
    } else {
        st = m->chat ? m8__chat_encode(m->chat, model->tokenizer, ids, messages, n, true, err) : no_template(model, err);
    }
    if (!st) st = check_ids(model, ids, err);
    if (!st && !ids->n) st = m8_fail(err, M8_E_ARG, "the prompt is empty");
    if (!st && ids->n >= (size_t)m->n_ctx) st = m8_fail(err, M8_E_LIMIT, "the prompt has %zu tokens, the context %d", ids->n, m->n_ctx);
    return st;
}

/* Room for what is generated behind the prompt. */
static m8_status make_room(m8__ids *ids, int max_new, m8_error *err)
{
    int *p = m8_realloc(ids->data, (ids->n + (size_t)max_new) * sizeof *p);
    if (!p) return m8_fail(err, M8_E_NOMEM, "the context");
    ids->data = p;
    ids->cap = ids->n + (size_t)max_new;
    return M8_OK;
}

m8_status m8__llama_chat(m8_model *model, const m8_message *messages, size_t n, const char *prompt, const m8_chat_opts *opts,
                         m8_text_sink out, m8_usage *usage, m8_error *err)
{
    struct llama *m = model->impl;
    struct chat c = { .model = model, .opts = opts, .out = out, .template = !prompt };
    c.sampling = (nn_sampling){ opts->temperature, opts->top_k, opts->top_p, opts->min_p, opts->repetition_penalty,
                                opts->presence_penalty, opts->frequency_penalty };
    nn_rng_seed(&c.rng, opts->seed);
    m8__ids ids = {0};
    double start = m8_now_s();
    m8_status st = encode_prompt(model, &ids, messages, n, prompt, err);
    if (!st) st = encode_choices(&c, err);
    int max_new = opts->max_tokens ? opts->max_tokens : 256;
    if (!st && max_new > m->n_ctx - (int)ids.n) max_new = m->n_ctx - (int)ids.n;
    if (!st) st = make_room(&ids, max_new, err);
    if (!st) c.scratch = m8_malloc((size_t)m->n_vocab * 2 * sizeof(float));
    if (!st && !c.scratch) st = m8_fail(err, M8_E_NOMEM, "sampling");
    if (!st) {
        struct llama_call call = { .pick = pick, .user = &c, .ids = ids.data, .n_prompt = (int)ids.n, .max_new = max_new, .token = token,
                                   .cancel = opts->cancel };
        m8_error why = {0};
        st = m8__batch_run(model, &call, &why);
        if (c.stopped && st == M8_E_CANCELLED) st = M8_OK;
        else if (!st) st = hand_on(&c, m8__utf8_whole(c.text.data, c.text.len));
        if (st) m8_fail(err, st, "%s", m8_error_text(&why));
        *usage = (m8_usage){ .n_prompt = call.n_prompt, .n_kept = call.n_kept, .n_generated = call.n - call.n_prompt,
                             .prompt_s = call.prompt_s, .generate_s = m8_now_s() - start - call.prompt_s,
                             .finish = c.ended || c.stopped ? "stop" : "length" };
    }
    for (size_t i = 0; c.choices && i < opts->n_choices; i++) m8__ids_finish(&c.choices[i]);
    m8_free(c.choices);
    m8_free(c.scratch);
    m8_buf_finish(&c.text);
    m8__ids_finish(&ids);
    return st;
}

m8_status m8__llama_score(m8_model *model, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts,
                          const m8_score_opts *opts, float *scores, int *n_tokens, m8_error *err)
{
    struct llama *m = model->impl;
    if (!m->chat) return no_template(model, err);
    m8__ids prompt = {0}, all = {0};
    int **text = m8_calloc(n_texts, sizeof *text), *len = m8_calloc(n_texts, sizeof *len);
    m8_status st = text && len ? encode_prompt(model, &prompt, messages, n, NULL, err) : m8_fail(err, M8_E_NOMEM, "scoring");
    int end = m8__chat_end(m->chat, model->tokenizer);
    if (!st && end < 0) st = no_end(model, err);
    for (size_t i = 0; !st && i < n_texts; i++) {
        size_t from = all.n;
        st = m8__encode(model->tokenizer, &all, texts[i], strlen(texts[i]), err);
        m8__ids_add(&all, end);
        len[i] = (int)(all.n - from);
        if (!st && prompt.n + all.n - from > (size_t)m->n_ctx) st = m8_fail(err, M8_E_LIMIT, "text %zu is longer than the context", i);
    }
    if (!st) st = check_ids(model, &all, err);
    for (size_t i = 0, at = 0; !st && i < n_texts; at += (size_t)len[i++]) text[i] = all.data + at;
    if (!st) st = m8__batch_score(model, prompt.data, (int)prompt.n, text, len, (int)n_texts, opts->cancel, scores, err);
    if (!st && n_tokens) memcpy(n_tokens, len, n_texts * sizeof *len);
    m8_free(text);
    m8_free(len);
    m8__ids_finish(&prompt);
    m8__ids_finish(&all);
    return st;
}
