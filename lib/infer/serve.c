/* A model's process: what m8_open_worker (remote.c) has sent becomes calls of infer.h, and what they give goes back. Calls run beside each
 * other, one thread each, so that their steps are batched as in one process. */
#include "models/model.h"
#include "wire.h"
#include <string.h>

enum { PIECE = 64 << 10 }; /* samples pushed at once, if a voice makes more */

static m8_status open_model(void **state, m8_fields *hello, m8_buf *answer, m8_error *err)
{
    m8_model *m;
    const char *path = m8_get_text(hello);
    m8_open_opts o = { .n_threads = (int)m8_get_u32(hello) };
    o.precision = m8_get_u32(hello) ? M8_F32 : M8_FAST;
    if (hello->bad || hello->left || !path) return m8_fail(err, M8_E_FORMAT, "no model was named");
    m8_status st = m8_open(&m, path, &o, err);
    if (st) return st;
    *state = m;
    m8_put_text(answer, m8_model_family(m));
    m8_put_u32(answer, (uint32_t)m8_model_tasks(m));
    m8_put_u64(answer, (uint64_t)m8_model_params(m));
    m8_put_u32(answer, (uint32_t)m8_speak_rate(m));
    return M8_OK;
}

static void close_model(void *state) { m8_close(state); }

/* ---- sinks */

static m8_status push_segment(void *user, const m8_segment *s)
{
    m8_buf b = {0};
    m8__put_segment(&b, s);
    m8_status st = b.status ? b.status : m8_serving_push(user, b.data, b.len);
    m8_buf_finish(&b);
    return st;
}

static m8_status push_text(void *user, const char *text, size_t n)
{
    m8_status st = M8_OK;
    for (size_t part; n && !st; n -= part, text += part) { /* in whole characters */
        for (part = n < PIECE ? n : PIECE; part < n && ((unsigned char)text[part] & 0xC0) == 0x80; part--) {}
        st = m8_serving_push(user, text, part);
    }
    return st;
}

static m8_status push_sound(void *user, const float *samples, size_t n)
{
    m8_status st = M8_OK;
    for (size_t part; n && !st; n -= part, samples += part) {
        part = n < PIECE ? n : PIECE;
        st = m8_serving_push(user, samples, part * sizeof *samples);
    }
    return st;
}

/* ---- calls */

static m8_status transcribe(m8_model *m, m8_serving *s, struct m8__wire_call *c, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err)
{
    m8_transcribe_info info = {0};
    if (n_bulk % sizeof(float)) return m8_fail(err, M8_E_FORMAT, "half a sample");
    c->transcribe.cancel = m8_serving_cancel(s);
    m8_status st = m8_transcribe(m, bulk ? bulk : &info, n_bulk / sizeof(float), &c->transcribe, (m8_segment_sink){ push_segment, s }, &info, err);
    m8__put_info(result, &info);
    return st;
}

static m8_status chat(m8_model *m, m8_serving *s, struct m8__wire_call *c, m8_buf *result, m8_error *err)
{
    m8_usage usage = {0};
    m8_text_sink out = { push_text, s };
    c->chat.cancel = m8_serving_cancel(s);
    m8_status st = c->method == M8__CHAT ? m8_chat(m, c->messages, c->n, &c->chat, out, &usage, err)
                                         : m8_complete(m, c->text, &c->chat, out, &usage, err);
    m8__put_usage(result, &usage);
    return st;
}

static m8_status score(m8_model *m, m8_serving *s, struct m8__wire_call *c, m8_arena *a, m8_buf *result, m8_error *err)
{
    float *scores = m8_arena_take(a, c->n_texts * sizeof *scores);
    int *n_tokens = m8_arena_take(a, c->n_texts * sizeof *n_tokens);
    if (!scores || !n_tokens) return m8_fail(err, M8_E_NOMEM, "scoring");
    m8_score_opts o = { m8_serving_cancel(s) };
    m8_status st = m8_score(m, c->messages, c->n, c->texts, c->n_texts, &o, scores, n_tokens, err);
    m8__put_words(result, scores, c->n_texts);
    m8__put_words(result, n_tokens, c->n_texts);
    return st;
}

static m8_status tokenize(m8_model *m, struct m8__wire_call *c, m8_buf *result, m8_error *err)
{
    int *ids = NULL;
    size_t n = 0;
    m8_status st = m8_tokenize(m, c->text, &ids, &n, err);
    if (st) return st;
    m8_put_u32(result, (uint32_t)n);
    m8__put_words(result, ids, n);
    m8_free(ids);
    return M8_OK;
}

static m8_status speak(m8_model *m, m8_serving *s, struct m8__wire_call *c, m8_error *err)
{
    c->speak.cancel = m8_serving_cancel(s);
    return m8_speak(m, c->text, &c->speak, (m8_pcm_sink){ push_sound, s }, err);
}

static m8_status call(void *state, m8_serving *s, m8_fields *args, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err)
{
    struct m8__wire_call c;
    m8_arena *a = m8_arena_new(0);
    if (!a) return m8_fail(err, M8_E_NOMEM, "a call");
    m8_status st = m8__get_call(&c, args, a, err);
    if (!st) {
        switch (c.method) {
        case M8__TRANSCRIBE: st = transcribe(state, s, &c, bulk, n_bulk, result, err); break;
        case M8__CHAT:
        case M8__COMPLETE: st = chat(state, s, &c, result, err); break;
        case M8__SCORE: st = score(state, s, &c, a, result, err); break;
        case M8__TOKENIZE: st = tokenize(state, &c, result, err); break;
        case M8__SPEAK: st = speak(state, s, &c, err); break;
        }
    }
    m8_arena_free(a);
    return st;
}

/* It opens files for reading: espeak-ng its dictionaries, when a text changes its language. */
const m8_service m8_model_service = {
    .name = M8__MODEL_SERVICE, .opens_files = true, .open = open_model, .call = call, .close = close_model,
};
