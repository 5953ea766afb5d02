/* text.h - between text and token ids: GPT-2 byte BPE, SentencePiece BPE and unigram; chat templates; phonemes.
 * Only this folder sees PCRE2, utf8proc and espeak-ng. */
#ifndef M8_TEXT_H
#define M8_TEXT_H

#include "weights/weights.h"

typedef struct m8__tokenizer m8__tokenizer;

/* Where a tokenizer comes from, tried in this order: the GGUF keys tokenizer.ggml.* of w; the key magic8.tokenizer, which holds a file; beside w: tokenizer.json (type BPE with
 * byte-level pre-tokenizer, or Unigram/BPE as SentencePiece), tokenizer.model, tokenizer.model.v3, spiece.model; for Whisper as CTranslate2 keeps it
 * vocabulary.txt alone, whose ids are the ranks of the merges. A file without what is needed is M8_E_FORMAT and named. */
m8_status m8__tokenizer_open(m8__tokenizer **out, const m8__weights *w, m8_error *err);
/* From one file: *.json or a SentencePiece model, told by its bytes. */
m8_status m8__tokenizer_open_file(m8__tokenizer **out, const char *path, m8_error *err);
void m8__tokenizer_close(m8__tokenizer *t);
/* The tokenizer beside w, and its chat template, as keys tokenizer.ggml.*; none is no failure. */
struct m8__gguf;
void m8__tokenizer_write(const m8__weights *w, struct m8__gguf *g);

int m8__tokenizer_size(const m8__tokenizer *t);
/* A special id by its text ("<|im_start|>", "</s>"), or -1. */
int m8__token_id(const m8__tokenizer *t, const char *text);
int m8__token_bos(const m8__tokenizer *t); /* -1: none */
bool m8__token_adds_bos(const m8__tokenizer *t); /* does a text that is to go on begin with it? */
int m8__token_eos(const m8__tokenizer *t); /* -1: none */
bool m8__token_is_control(const m8__tokenizer *t, int id);

typedef struct m8__ids {
    int *data; /* owned; m8__ids_finish */
    size_t n, cap;
    m8_status status; /* sticky: M8_E_NOMEM */
} m8__ids;
void m8__ids_add(m8__ids *ids, int id);
void m8__ids_finish(m8__ids *ids);

/* Append the ids of text; special strings in it are ordinary text. No BOS, no EOS. Linear in n apart from long unbroken words (n log n).
 * Invalid UTF-8 is taken as U+FFFD. Thread-safe. */
m8_status m8__encode(const m8__tokenizer *t, m8__ids *out, const char *text, size_t n, m8_error *err);

/* Ids to bytes, one id at a time: appends what the id adds. Control tokens add nothing. SentencePiece's leading blank is dropped where
 * *state is 0 at the start. Bytes may be part of a character: see m8__utf8_whole. */
void m8__decode(const m8__tokenizer *t, int id, int *state, m8_buf *out);
size_t m8__utf8_whole(const char *s, size_t n); /* how many of the n bytes are whole characters (invalid bytes count as whole) */

/* ---- chat templates: matched to built-in ones by family, never interpreted */
typedef struct m8__chat m8__chat; /* a family: "chatml" (SmolLM2, Qwen), "mistral-v1", "mistral-v3", "llama3", "zephyr" ... */
const m8__chat *m8__chat_find(const m8__tokenizer *t); /* by the template that came with it, else by the special ids; NULL: none */
const char *m8__chat_name(const m8__chat *c);
struct m8_message;
/* The prompt's ids for a conversation, ready for the assistant's next words. Roles: system, user, assistant.
 * add_answer false leaves out the opening of the assistant's turn. */
m8_status m8__chat_encode(const m8__chat *c, const m8__tokenizer *t, m8__ids *out, const struct m8_message *messages, size_t n,
                          bool add_answer, m8_error *err);
bool m8__chat_is_end(const m8__chat *c, const m8__tokenizer *t, int id); /* does this id end an answer? */
int m8__chat_end(const m8__chat *c, const m8__tokenizer *t);             /* the id that ends an answer */

/* ---- phonemes for Piper (espeak-ng, where it is built in) */
typedef struct m8__sentence {
    char *phonemes; /* IPA with punctuation, NFD; owned */
    int *ids;       /* with bos, pads and eos; owned */
    size_t n_ids;
} m8__sentence;
typedef struct m8__phonemizer m8__phonemizer;
/* config: the voice's FILE.onnx.json (espeak.voice, phoneme_id_map), borrowed for the call. */
m8_status m8__phonemizer_open(m8__phonemizer **out, const json_t *config, m8_error *err);
void m8__phonemizer_close(m8__phonemizer *p);
/* text -> sentences, *out new: numbers, money, times and abbreviations are written out first (m8__normalise, English voices). */
m8_status m8__phonemize(m8__phonemizer *p, const char *text, m8__sentence **out, size_t *n, m8_error *err);
void m8__sentences_free(m8__sentence *s, size_t n);
/* English text as it is spoken: "$3.50" -> "three dollars and fifty cents", "Dr." -> "Doctor". Appends to out. */
void m8__normalise(m8_buf *out, const char *text);

#endif
