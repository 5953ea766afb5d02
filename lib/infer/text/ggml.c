/* A tokenizer as the keys tokenizer.ggml.* of a GGUF file: the other way round of from_gguf in tokenizer.c. */
#include "text/merge.h"
#include "text/spm.h"
#include "weights/gguf_write.h"
#include <stdio.h>
#include <string.h>

static m8__view view(const char *s) { return (m8__view){ s, strlen(s) }; }

static void pieces(m8__gguf *g, const struct m8__vocab *v)
{
    m8__gguf_array(g, "tokenizer.ggml.tokens", GGUF_STRING, (uint64_t)v->n);
    for (int i = 0; i < v->n; i++) {
        char hole[24]; /* each token needs a text of its own */
        snprintf(hole, sizeof hole, "[PAD%d]", i);
        m8__gguf_item_str(g, v->text[i].len ? v->text[i] : view(hole));
    }
    m8__gguf_array(g, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)v->n);
    for (int i = 0; i < v->n; i++) m8__gguf_item_i32(g, v->text[i].len ? v->type[i] : PIECE_UNUSED);
}

/* SentencePiece's BPE has scores. Where tokenizer.json has a list of merges instead, a piece scores the better the earlier it is made. */
static void scores(m8__gguf *g, const m8__tokenizer *t)
{
    const struct m8__merges *m = &t->spm->merges;
    float *score = m8_malloc((size_t)t->v.n * sizeof *score);
    if (!score) {
        m8__gguf_fail(g, M8_E_NOMEM, "out of memory for the tokenizer");
        return;
    }
    memcpy(score, t->v.score, (size_t)t->v.n * sizeof *score);
    if (m->by == RANK_PAIRS) {
        for (int i = 0; i < t->v.n; i++) score[i] = 0;
        for (uint32_t i = m->n; i-- > 0;) score[m->merge[i].out] = -(float)(i + 1);
    }
    m8__gguf_array(g, "tokenizer.ggml.scores", GGUF_F32, (uint64_t)t->v.n);
    for (int i = 0; i < t->v.n; i++) m8__gguf_item_f32(g, score[i]);
    m8_free(score);
}

static void merges(m8__gguf *g, const m8__tokenizer *t)
{
    const struct m8__merges *m = m8__bpe_merges((m8__tokenizer *)t);
    m8_buf line = { 0 };
    if (m->by != RANK_PAIRS) {
        m8__gguf_fail(g, M8_E_UNSUPPORTED, "a tokenizer without a list of merges");
        return;
    }
    m8__gguf_array(g, "tokenizer.ggml.merges", GGUF_STRING, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        m8__view left = t->v.text[m->merge[i].left], right = t->v.text[m->merge[i].right];
        m8_buf_clear(&line);
        m8_buf_add(&line, left.data, left.len);
        m8_buf_chr(&line, ' ');
        m8_buf_add(&line, right.data, right.len);
        m8__gguf_item_str(g, (m8__view){ line.data, line.len });
    }
    if (line.status) m8__gguf_fail(g, line.status, "out of memory for the tokenizer");
    m8_buf_finish(&line);
}

static void ends(m8__gguf *g, const m8__tokenizer *t)
{
    const struct {
        const char *key;
        int id;
    } all[] = { { "tokenizer.ggml.bos_token_id", t->bos }, { "tokenizer.ggml.eos_token_id", t->eos },
                { "tokenizer.ggml.unknown_token_id", t->unk } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].id >= 0) m8__gguf_u32(g, all[i].key, (uint32_t)all[i].id);
}

static void write(m8__gguf *g, const m8__tokenizer *t)
{
    if (t->spm && (t->spm->unigram || t->spm->charsmap.len)) {
        m8__gguf_fail(g, M8_E_UNSUPPORTED, "a tokenizer with a table of replacements or of the type Unigram, in a Llama file");
        return;
    }
    m8__gguf_str(g, "tokenizer.ggml.model", view(t->spm ? "llama" : "gpt2"));
    m8__gguf_str(g, "tokenizer.ggml.pre", view(t->spm ? "default" : m8__bpe_pre(t)));
    pieces(g, &t->v);
    if (t->spm) scores(g, t);
    else merges(g, t);
    ends(g, t);
    m8__gguf_bool(g, "tokenizer.ggml.add_bos_token", m8__token_adds_bos(t));
    if (t->spm) m8__gguf_bool(g, "tokenizer.ggml.add_space_prefix", t->spm->dummy_prefix);
    if (t->spm) m8__gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", t->spm->strip);
    if (t->template.len) m8__gguf_str(g, "tokenizer.chat_template", t->template);
}

void m8__tokenizer_write(const m8__weights *w, m8__gguf *g)
{
    m8__tokenizer *t = NULL;
    m8_error err = { 0 };
    m8_status st = m8__tokenizer_open(&t, w, &err);
    if (!st) write(g, t);
    else if (st != M8_E_NOTFOUND) m8__gguf_fail(g, st, "%s", m8_error_text(&err)); /* a model without a tokenizer can be verified */
    m8__tokenizer_close(t);
}
