/* whisper_help.h - what the tests of hearing share: recordings, and what a call has heard. */
#ifndef WHISPER_HELP_H
#define WHISPER_HELP_H

#include "models/model.h"
#include "weights_help.h"
#include <math.h>

/* Samples of a wav file as we keep them: 16 kHz, mono, 16 bit, 44 bytes of header. */
static inline float *load_wav(const char *path, size_t *n)
{
    m8_buf b = { 0 };
    m8_error err = { 0 };
    if (m8_read_file(&b, path, &err)) fail_msg("%s", err.text);
    size_t at = 12;
    uint32_t size = 0;
    while (at + 8 < b.len) {
        memcpy(&size, b.data + at + 4, 4);
        if (!memcmp(b.data + at, "data", 4)) break;
        at += 8 + size;
    }
    assert_true(at + 8 < b.len);
    at += 8;
    *n = (size < b.len - at ? size : b.len - at) / 2;
    float *x = m8_malloc((*n + 1) * sizeof *x);
    for (size_t i = 0; i < *n; i++) {
        int16_t v;
        memcpy(&v, b.data + at + 2 * i, 2);
        x[i] = (float)v / 32768;
    }
    m8_buf_finish(&b);
    return x;
}

struct heard {
    m8_buf text;
    m8_segment segments[64]; /* texts and words are not kept */
    m8__ids tokens;
    int n, words, stop_after;
    double word_s[256][2];
    char word[256][32];
};

static inline m8_status hear_segment(void *user, const m8_segment *s)
{
    struct heard *h = user;
    m8_buf_str(&h->text, s->text);
    for (size_t i = 0; i < s->n_tokens; i++) m8__ids_add(&h->tokens, s->tokens[i]);
    for (size_t i = 0; i < s->n_words && h->words < 256; i++, h->words++) {
        h->word_s[h->words][0] = s->words[i].start_s;
        h->word_s[h->words][1] = s->words[i].end_s;
        snprintf(h->word[h->words], sizeof h->word[0], "%s", s->words[i].text);
    }
    if (h->n < 64) h->segments[h->n] = *s;
    h->n++;
    return h->stop_after && h->n >= h->stop_after ? M8_E_CANCELLED : M8_OK;
}

static inline void forget(struct heard *h)
{
    m8_buf_finish(&h->text);
    m8__ids_finish(&h->tokens);
    *h = (struct heard){ 0 };
}

static inline m8_model *open_model(const char *name, m8_precision precision, int n_threads)
{
    char path[512];
    if (!model_path(path, sizeof path, name)) return NULL;
    m8_model *m;
    m8_error err = { 0 };
    if (m8_open(&m, path, &(m8_open_opts){ .precision = precision, .n_threads = n_threads }, &err)) fail_msg("%s", err.text);
    return m;
}

#endif
