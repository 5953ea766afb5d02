/* The calls of infer.h as bytes. */
#include "wire.h"
#include <stdio.h>
#include <string.h>

/* ---- arrays */

static void put_texts(m8_buf *b, const char *const *texts, size_t n)
{
    m8_put_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) m8_put_text(b, texts[i]);
}

static void *array(m8_arena *a, size_t n, size_t size, m8_fields *f)
{
    void *p = n ? m8_arena_take(a, n * size) : NULL; /* n is no more than the bytes that are left */
    if (n && !p) f->bad = true;
    return p;
}

static const char *const *get_texts(m8_fields *f, size_t *n, m8_arena *a)
{
    *n = m8_get_count(f, sizeof(uint32_t));
    const char **texts = array(a, *n, sizeof *texts, f);
    for (size_t i = 0; i < *n && !f->bad; i++) texts[i] = m8_get_text(f);
    return texts;
}

static void put_messages(m8_buf *b, const m8_message *m, size_t n)
{
    m8_put_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        m8_put_text(b, m[i].role);
        m8_put_text(b, m[i].content);
    }
}

static const m8_message *get_messages(m8_fields *f, size_t *n, m8_arena *a)
{
    *n = m8_get_count(f, 2 * sizeof(uint32_t));
    m8_message *m = array(a, *n, sizeof *m, f);
    for (size_t i = 0; i < *n && !f->bad; i++) {
        m[i].role = m8_get_text(f);
        m[i].content = m8_get_text(f);
    }
    return m;
}

void m8__put_words(m8_buf *b, const void *data, size_t n) { m8_put_bytes(b, data, n * 4); }

bool m8__get_words(void *to, size_t n, m8_fields *f)
{
    size_t bytes;
    const void *at = m8_get_bytes(f, &bytes);
    if (f->bad || bytes != n * 4) {
        f->bad = true;
        return false;
    }
    if (to && n) memcpy(to, at, bytes);
    return true;
}

/* ---- options */

static void put_transcribe(m8_buf *b, const m8_transcribe_opts *o)
{
    const bool flags[] = { o->translate, o->no_timestamps, o->words, o->full_window, o->no_fallback, o->no_condition, o->no_gate };
    uint32_t bits = 0;
    for (size_t i = 0; i < sizeof flags; i++) bits |= (uint32_t)flags[i] << i;
    m8_put_text(b, o->language);
    m8_put_text(b, o->prompt);
    m8_put_u32(b, bits);
    m8_put_u32(b, (uint32_t)o->beam_size);
    m8_put_u64(b, o->seed);
}

static void get_transcribe(m8_transcribe_opts *o, m8_fields *f)
{
    bool *const flags[] = { &o->translate, &o->no_timestamps, &o->words, &o->full_window, &o->no_fallback, &o->no_condition, &o->no_gate };
    o->language = m8_get_text(f);
    o->prompt = m8_get_text(f);
    uint32_t bits = m8_get_u32(f);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) *flags[i] = bits >> i & 1;
    o->beam_size = (int)m8_get_u32(f);
    o->seed = m8_get_u64(f);
}

static void put_chat(m8_buf *b, const m8_chat_opts *o)
{
    m8_put_u32(b, (uint32_t)o->max_tokens);
    m8_put_f32(b, o->temperature);
    m8_put_u32(b, (uint32_t)o->top_k);
    m8_put_f32(b, o->top_p);
    m8_put_f32(b, o->min_p);
    m8_put_f32(b, o->repetition_penalty);
    m8_put_f32(b, o->presence_penalty);
    m8_put_f32(b, o->frequency_penalty);
    m8_put_u64(b, o->seed);
    put_texts(b, o->stop, o->n_stop);
    put_texts(b, o->choices, o->n_choices);
}

static void get_chat(m8_chat_opts *o, m8_fields *f, m8_arena *a)
{
    o->max_tokens = (int)m8_get_u32(f);
    o->temperature = m8_get_f32(f);
    o->top_k = (int)m8_get_u32(f);
    o->top_p = m8_get_f32(f);
    o->min_p = m8_get_f32(f);
    o->repetition_penalty = m8_get_f32(f);
    o->presence_penalty = m8_get_f32(f);
    o->frequency_penalty = m8_get_f32(f);
    o->seed = m8_get_u64(f);
    o->stop = get_texts(f, &o->n_stop, a);
    o->choices = get_texts(f, &o->n_choices, a);
}

static void put_speak(m8_buf *b, const m8_speak_opts *o)
{
    m8_put_f32(b, o->length_scale);
    m8_put_f32(b, o->noise_scale);
    m8_put_f32(b, o->noise_w);
    m8_put_u64(b, o->seed);
    m8_put_u32(b, (uint32_t)o->speaker);
    m8_put_text(b, o->description);
    m8_put_f32(b, o->temperature);
    m8_put_u32(b, (uint32_t)o->top_k);
    m8_put_u32(b, (uint32_t)o->min_new_tokens);
    m8_put_u32(b, (uint32_t)o->max_new_tokens);
    m8_put_f32(b, o->play_steps_in_s);
}

static void get_speak(m8_speak_opts *o, m8_fields *f)
{
    o->length_scale = m8_get_f32(f);
    o->noise_scale = m8_get_f32(f);
    o->noise_w = m8_get_f32(f);
    o->seed = m8_get_u64(f);
    o->speaker = (int)m8_get_u32(f);
    o->description = m8_get_text(f);
    o->temperature = m8_get_f32(f);
    o->top_k = (int)m8_get_u32(f);
    o->min_new_tokens = (int)m8_get_u32(f);
    o->max_new_tokens = (int)m8_get_u32(f);
    o->play_steps_in_s = m8_get_f32(f);
}

/* ---- calls */

void m8__put_call(m8_buf *b, const struct m8__wire_call *c)
{
    m8_put_u32(b, c->method);
    switch (c->method) {
    case M8__TRANSCRIBE: put_transcribe(b, &c->transcribe); break;
    case M8__CHAT:
        put_messages(b, c->messages, c->n);
        put_chat(b, &c->chat);
        break;
    case M8__COMPLETE:
        m8_put_text(b, c->text);
        put_chat(b, &c->chat);
        break;
    case M8__SCORE:
        put_messages(b, c->messages, c->n);
        put_texts(b, c->texts, c->n_texts);
        break;
    case M8__TOKENIZE: m8_put_text(b, c->text); break;
    case M8__SPEAK:
        m8_put_text(b, c->text);
        put_speak(b, &c->speak);
        break;
    }
}

m8_status m8__get_call(struct m8__wire_call *c, m8_fields *f, m8_arena *a, m8_error *err)
{
    *c = (struct m8__wire_call){ .method = (enum m8__method)m8_get_u32(f) };
    switch (c->method) {
    case M8__TRANSCRIBE: get_transcribe(&c->transcribe, f); break;
    case M8__CHAT:
        c->messages = get_messages(f, &c->n, a);
        get_chat(&c->chat, f, a);
        break;
    case M8__COMPLETE:
        c->text = m8_get_text(f);
        get_chat(&c->chat, f, a);
        break;
    case M8__SCORE:
        c->messages = get_messages(f, &c->n, a);
        c->texts = get_texts(f, &c->n_texts, a);
        break;
    case M8__TOKENIZE: c->text = m8_get_text(f); break;
    case M8__SPEAK:
        c->text = m8_get_text(f);
        get_speak(&c->speak, f);
        break;
    default: f->bad = true;
    }
    if (f->bad || f->left) return m8_fail(err, M8_E_FORMAT, "a call of the model that is damaged");
    return M8_OK;
}

/* ---- what comes back */

void m8__put_segment(m8_buf *b, const m8_segment *s)
{
    m8_put_text(b, s->text);
    m8_put_f64(b, s->start_s);
    m8_put_f64(b, s->end_s);
    m8_put_f32(b, s->avg_logprob);
    m8_put_f32(b, s->no_speech_prob);
    m8_put_f32(b, s->compression_ratio);
    m8_put_f32(b, s->temperature);
    m8_put_u32(b, (uint32_t)s->n_tokens);
    m8__put_words(b, s->tokens, s->n_tokens);
    m8_put_u32(b, (uint32_t)s->n_words);
    for (size_t i = 0; i < s->n_words; i++) {
        m8_put_text(b, s->words[i].text);
        m8_put_f64(b, s->words[i].start_s);
        m8_put_f64(b, s->words[i].end_s);
        m8_put_f32(b, s->words[i].probability);
    }
}

m8_status m8__get_segment(m8_segment *s, m8_fields *f, m8_arena *a, m8_error *err)
{
    *s = (m8_segment){ .text = m8_get_text(f) };
    s->start_s = m8_get_f64(f);
    s->end_s = m8_get_f64(f);
    s->avg_logprob = m8_get_f32(f);
    s->no_speech_prob = m8_get_f32(f);
    s->compression_ratio = m8_get_f32(f);
    s->temperature = m8_get_f32(f);
    s->n_tokens = m8_get_count(f, sizeof(int));
    int *tokens = array(a, s->n_tokens, sizeof *tokens, f);
    m8__get_words(tokens, s->n_tokens, f);
    s->tokens = tokens;
    s->n_words = m8_get_count(f, 24);
    m8_word *words = array(a, s->n_words, sizeof *words, f);
    for (size_t i = 0; i < s->n_words && !f->bad; i++) {
        words[i].text = m8_get_text(f);
        words[i].start_s = m8_get_f64(f);
        words[i].end_s = m8_get_f64(f);
        words[i].probability = m8_get_f32(f);
        if (!words[i].text) f->bad = true;
    }
    s->words = words;
    if (f->bad || f->left || !s->text) return m8_fail(err, M8_E_FORMAT, "a segment that is damaged");
    return M8_OK;
}

void m8__put_info(m8_buf *b, const m8_transcribe_info *info)
{
    m8_put_text(b, info->language);
    m8_put_f32(b, info->language_prob);
    m8_put_f64(b, info->encode_s);
    m8_put_f64(b, info->decode_s);
    m8_put_f64(b, info->mel_s);
    m8_put_u32(b, (uint32_t)info->n_windows);
}

void m8__get_info(m8_transcribe_info *info, m8_fields *f)
{
    const char *language = m8_get_text(f);
    *info = (m8_transcribe_info){0};
    snprintf(info->language, sizeof info->language, "%s", language ? language : "");
    info->language_prob = m8_get_f32(f);
    info->encode_s = m8_get_f64(f);
    info->decode_s = m8_get_f64(f);
    info->mel_s = m8_get_f64(f);
    info->n_windows = (int)m8_get_u32(f);
}

void m8__put_usage(m8_buf *b, const m8_usage *u)
{
    m8_put_u32(b, (uint32_t)u->n_prompt);
    m8_put_u32(b, (uint32_t)u->n_kept);
    m8_put_u32(b, (uint32_t)u->n_generated);
    m8_put_f64(b, u->prompt_s);
    m8_put_f64(b, u->generate_s);
    m8_put_u32(b, u->finish && !strcmp(u->finish, "length"));
}

void m8__get_usage(m8_usage *u, m8_fields *f)
{
    u->n_prompt = (int)m8_get_u32(f);
    u->n_kept = (int)m8_get_u32(f);
    u->n_generated = (int)m8_get_u32(f);
    u->prompt_s = m8_get_f64(f);
    u->generate_s = m8_get_f64(f);
    u->finish = m8_get_u32(f) ? "length" : "stop";
}
