/* The calls of m8/infer.h: open a model by what its file says, and hand each task to the model's family. */
#include "models/model.h"
#include <string.h>

enum { MOST_TEXT = 10000 /* bytes to be spoken */ };

#define IN_PLACE_FROM (1 << 30) /* bytes of weights; smaller models are packed: faster by some, and twice in memory for a while */

static m8_status open_family(m8_model *m, const m8_open_opts *opts, int64_t in_place_from, m8_error *err)
{
    const char *path = m8__weights_path(m->weights);
    for (int i = 0; m8__families[i] && !m->family; i++) {
        if (m8__families[i]->match(m->weights)) m->family = m8__families[i];
    }
    if (!m->family) {
        return m8_fail(err, M8_E_UNSUPPORTED, "%s: a %s file of no model family that is known here", path, m8__weights_format(m->weights));
    }
    m8_status st = m8_pool_new(&m->pool, opts->n_threads, err);
    if (st) return st;
    nn_load l = { .w = m->weights, .pool = m->pool, .precision = opts->precision, .held = &m->held, .err = err,
                  .in_place_from = in_place_from };
    st = m->family->open(m, &l, err);
    m->n_params = l.n_params;
    return st ? st : l.status;
}

m8_model *m8__model_new(const m8_open_opts *opts)
{
    m8_model *m = m8_calloc(1, sizeof *m);
    if (!m) return NULL;
    m8__turns_init(&m->turns, MOST_TURNS);
    m->precision = opts->precision;
    m->kernels = m8__kernels_get(m8__cpu_flags());
    return m;
}

m8_status m8__open_weights(m8_model **out, m8__weights *w, const m8_open_opts *opts, int64_t in_place_from, m8_error *err)
{
    *out = NULL;
    m8_model *m = m8__model_new(opts);
    if (!m) {
        m8__weights_close(w);
        return m8_fail(err, M8_E_NOMEM, "opening a model");
    }
    m->weights = w;
    m8_status st = open_family(m, opts, in_place_from, err);
    if (st) m8_close(m);
    else *out = m;
    return st;
}

m8_status m8_open(m8_model **out, const char *path, const m8_open_opts *opts, m8_error *err)
{
    static const m8_open_opts none;
    if (!out || !path || !*path) return m8_fail(err, M8_E_ARG, "no model named");
    *out = NULL;
    m8__weights *w;
    m8_status st = m8__weights_open(&w, path, err);
    bool quick = m8__kernels_get(m8__cpu_flags())->gemv[BLOCKS_Q4_0]; /* else panels on the way would cost more than the products */
    if (!st) st = m8__open_weights(out, w, opts ? opts : &none, quick ? IN_PLACE_FROM : INT64_MAX, err);
    return st ? m8_fail(err, st, "opening %s: %s", path, m8_status_text(st)) : M8_OK;
}

void m8_close(m8_model *m)
{
    if (!m) return;
    if (m->family) m->family->close(m);
    m8__tokenizer_close(m->tokenizer);
    nn_held_free(&m->held);
    m8_pool_free(m->pool);
    m8__weights_close(m->weights);
    m8__turns_finish(&m->turns);
    m8_free(m);
}

static struct m8__about about(const m8_model *m)
{
    return m->family->about ? m->family->about(m) : (struct m8__about){ m->family->name, m->family->tasks, m->n_params };
}

const char *m8_model_family(const m8_model *m) { return about(m).name; }
int m8_model_tasks(const m8_model *m) { return about(m).tasks; }
int64_t m8_model_params(const m8_model *m) { return about(m).n_params; }
int m8_speak_rate(const m8_model *m) { return m && m->family->rate ? m->family->rate(m) : 0; }

static m8_status cannot(const m8_model *m, const char *what, m8_error *err)
{
    if (!m) return m8_fail(err, M8_E_ARG, "no model");
    if (!m->weights) return m8_fail(err, M8_E_UNSUPPORTED, "a model in another process cannot %s", what);
    return m8_fail(err, M8_E_UNSUPPORTED, "%s: a %s model cannot %s", m8__weights_path(m->weights), m->family->name, what);
}

m8_status m8_transcribe(m8_model *m, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                        m8_transcribe_info *info, m8_error *err)
{
    static const m8_transcribe_opts none;
    m8_transcribe_info unused;
    if (!m || !m->family->transcribe) return cannot(m, "transcribe", err);
    if ((!samples && n) || !out.push) return m8_fail(err, M8_E_ARG, "no samples or no sink");
    return m->family->transcribe(m, samples, n, opts ? opts : &none, out, info ? info : &unused, err);
}

static m8_status check_messages(const m8_message *messages, size_t n, m8_error *err)
{
    if (!messages || !n) return m8_fail(err, M8_E_ARG, "no message");
    for (size_t i = 0; i < n; i++) {
        const char *role = messages[i].role;
        if (!role || !messages[i].content) return m8_fail(err, M8_E_ARG, "message %zu: role or content is missing", i);
        if (strcmp(role, "system") && strcmp(role, "user") && strcmp(role, "assistant")) {
            return m8_fail(err, M8_E_ARG, "message %zu: role '%.20s' is none of system, user, assistant", i, role);
        }
    }
    return M8_OK;
}

static m8_status check_texts(const char *const *texts, size_t n, const char *what, m8_error *err)
{
    if (!texts) return m8_fail(err, M8_E_ARG, "no %ss", what);
    for (size_t i = 0; i < n; i++) {
        if (!texts[i]) return m8_fail(err, M8_E_ARG, "%s %zu is missing", what, i);
    }
    return M8_OK;
}

static m8_status check_chat_opts(const m8_chat_opts *o, m8_error *err)
{
    const char *bad = NULL;
    if (o->max_tokens < 0) bad = "max_tokens";
    else if (!(o->temperature >= 0 && o->temperature <= 100)) bad = "temperature";
    else if (o->top_k < 0) bad = "top_k";
    else if (!(o->top_p >= 0 && o->top_p <= 1)) bad = "top_p";
    else if (!(o->min_p >= 0 && o->min_p <= 1)) bad = "min_p";
    else if (!(o->repetition_penalty >= 0 && o->repetition_penalty <= 100)) bad = "repetition_penalty";
    else if (!(o->presence_penalty >= -100 && o->presence_penalty <= 100)) bad = "presence_penalty";
    else if (!(o->frequency_penalty >= -100 && o->frequency_penalty <= 100)) bad = "frequency_penalty";
    if (!bad && o->n_stop && !o->stop) bad = "stop";
    if (bad) return m8_fail(err, M8_E_ARG, "%s is out of range", bad);
    return o->n_choices ? check_texts(o->choices, o->n_choices, "choice", err) : M8_OK;
}

static m8_status chat(m8_model *m, const m8_message *messages, size_t n, const char *prompt, const m8_chat_opts *opts,
                      m8_text_sink out, m8_usage *usage, m8_error *err)
{
    static const m8_chat_opts none;
    m8_usage unused;
    if (!m || !m->family->chat) return cannot(m, "answer", err);
    if (!out.push) return m8_fail(err, M8_E_ARG, "no sink");
    m8_status st = check_chat_opts(opts ? opts : &none, err);
    return st ? st : m->family->chat(m, messages, n, prompt, opts ? opts : &none, out, usage ? usage : &unused, err);
}

m8_status m8_chat(m8_model *m, const m8_message *messages, size_t n, const m8_chat_opts *opts, m8_text_sink out, m8_usage *usage,
                  m8_error *err)
{
    m8_status st = check_messages(messages, n, err);
    return st ? st : chat(m, messages, n, NULL, opts, out, usage, err);
}

m8_status m8_complete(m8_model *m, const char *prompt, const m8_chat_opts *opts, m8_text_sink out, m8_usage *usage, m8_error *err)
{
    if (!prompt || !*prompt) return m8_fail(err, M8_E_ARG, "no prompt");
    return chat(m, NULL, 0, prompt, opts, out, usage, err);
}

m8_status m8_score(m8_model *m, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts,
                   const m8_score_opts *opts, float *scores, int *n_tokens, m8_error *err)
{
    static const m8_score_opts none;
    if (!m || !m->family->score) return cannot(m, "score answers", err);
    m8_status st = check_messages(messages, n, err);
    if (!st && (!texts || !n_texts || !scores)) st = m8_fail(err, M8_E_ARG, "no texts to score");
    if (!st) st = check_texts(texts, n_texts, "text", err);
    return st ? st : m->family->score(m, messages, n, texts, n_texts, opts ? opts : &none, scores, n_tokens, err);
}

m8_status m8_tokenize(m8_model *m, const char *text, int **ids, size_t *n, m8_error *err)
{
    if (!m || !(m->tokenizer || m->family->tokenize)) return cannot(m, "tokenize", err);
    if (!text || !ids || !n) return m8_fail(err, M8_E_ARG, "no text");
    if (m->family->tokenize) return m->family->tokenize(m, text, ids, n, err);
    m8__ids got = {0};
    m8_status st = m8__encode(m->tokenizer, &got, text, strlen(text), err);
    if (!st) st = got.status;
    if (st) {
        m8__ids_finish(&got);
        return m8_fail(err, st, "tokenizing");
    }
    *ids = got.data;
    *n = got.n;
    return M8_OK;
}

static m8_status check_speak_opts(const m8_speak_opts *o, m8_error *err)
{
    if (o->description && strlen(o->description) > MOST_TEXT) return m8_fail(err, M8_E_LIMIT, "the description is longer than 10,000 bytes");
    if (!(o->temperature <= 100)) return m8_fail(err, M8_E_ARG, "temperature: expected at most 100");
    if (o->min_new_tokens < 0) return m8_fail(err, M8_E_ARG, "min_new_tokens: expected at least 0, not %d", o->min_new_tokens);
    if (o->max_new_tokens < 0) return m8_fail(err, M8_E_ARG, "max_new_tokens: expected at least 0, not %d", o->max_new_tokens);
    if (o->play_steps_in_s != 0 && !(o->play_steps_in_s >= 0.2f && o->play_steps_in_s <= 60))
        return m8_fail(err, M8_E_ARG, "play_steps_in_s: expected 0, or 0.2 to 60");
    return M8_OK;
}

m8_status m8_speak(m8_model *m, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err)
{
    static const m8_speak_opts none;
    if (!m || !m->family->speak) return cannot(m, "speak", err);
    if (!text || !out.push) return m8_fail(err, M8_E_ARG, "no text or no sink");
    if (strlen(text) > MOST_TEXT) return m8_fail(err, M8_E_LIMIT, "the text is longer than 10,000 bytes");
    m8_status st = check_speak_opts(opts ? opts : &none, err);
    return st ? st : m->family->speak(m, text, opts ? opts : &none, out, err);
}

m8_status m8_verify(m8_model *m, const char *expected, void (*report)(void *, const char *, double, double), void *user, m8_error *err)
{
    if (!m || !m->family->verify) return cannot(m, "be verified", err);
    m8__weights *w;
    m8_status st = m8__weights_open(&w, expected, err);
    if (st) return st;
    st = m->family->verify(m, w, report, user, err);
    m8__weights_close(w);
    return st;
}
