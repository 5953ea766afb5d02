/* tok.h - inside of the tokenizers: the pieces of a vocabulary, and the two families that cut text into them. Only this folder. */
#ifndef M8_TOK_H
#define M8_TOK_H

#include "text/text.h"

/* Limits on what a file may hold. The largest vocabularies in use have 262,144 pieces, the longest pieces some hundred bytes. */
#define TOK_MAX_PIECES (1 << 20)
#define TOK_MAX_PIECE 4096             /* bytes */
#define TOK_MAX_FILE ((size_t)64 << 20) /* bytes of tokenizer.json, vocabulary.txt, *.model */
#define TOK_MAX_TEXT ((size_t)4 << 20) /* bytes of one text to encode */

/* GGUF and SentencePiece number them alike. */
enum m8__piece_type { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE };

struct m8__vocab {
    int n;
    m8__view *text; /* [n] in the file's own spelling; len 0: a hole, found by nobody */
    uint8_t *type;  /* [n] m8__piece_type */
    float *score;   /* [n]; zero where the file has none */
    uint32_t *slot; /* [mask + 1] open addressing: id + 1 under the hash of the text */
    uint32_t mask;
    int max_len;    /* bytes of the longest piece */
};

struct m8__bpe;     /* bpe.c */
struct m8__spm;     /* spm.c */

struct m8__tokenizer {
    m8_arena *arena; /* holds everything that has no free of its own */
    m8_map file;     /* the views' mapping, where the tokenizer opened one itself */
    char *path;      /* of the file it comes from, in the arena; for error texts */
    struct m8__vocab v;
    int bos, eos, unk;
    bool add_bos;      /* a text that goes on begins with bos */
    m8__view template; /* of chats, in the arena; len 0: none */
    bool nfc;        /* byte-level BPE: text is brought to normal form C first (Qwen) */
    bool has_user;   /* some piece is PIECE_USER: those are cut out first */
    uint8_t user_first[256];        /* first bytes of PIECE_USER */
    uint16_t user_len[64];          /* their different lengths, longest first; 0 ends */
    struct m8__bpe *bpe;            /* one of the two is set */
    struct m8__spm *spm;
};

/* ---- tokenizer.c: from the bytes of a file, borrowed while it is open */
m8_status m8__tokenizer_open_bytes(m8__tokenizer **out, const void *data, size_t n, m8_error *err);

/* ---- settings.c */
m8_status m8__tok_settings(m8__tokenizer *t, const m8__weights *w, m8_error *err); /* sets template and add_bos */

/* ---- vocab.c */
m8_status m8__vocab_init(m8__tokenizer *t, size_t n, m8_error *err); /* n pieces, all PIECE_NORMAL and empty */
m8_status m8__vocab_set(m8__tokenizer *t, size_t id, m8__view text, int type, m8_error *err);
m8_status m8__vocab_index(m8__tokenizer *t, m8_error *err);          /* once all are set: duplicates are refused */
int m8__vocab_find(const struct m8__vocab *v, const char *s, size_t n); /* -1: no such piece */
/* The same in steps, for many texts: ask for what finding one will touch, stage 0 its slot, 1 the view there, 2 the text. */
uint32_t m8__vocab_hash(const char *s, size_t n);
void m8__vocab_prefetch(const struct m8__vocab *v, uint32_t hash, int stage);
int m8__vocab_find_hashed(const struct m8__vocab *v, const char *s, size_t n, uint32_t hash);
/* Length of the user-defined piece that s begins with (the longest), its id in *id; 0: none. */
size_t m8__vocab_user(const m8__tokenizer *t, const char *s, size_t n, int *id);
int m8__piece_byte(m8__view text); /* "<0x0A>" -> 10, else -1 */

/* ---- utf8.c */
int m8__utf8_next(const char *s, size_t n, uint32_t *cp);        /* bytes of the character, 0: not valid UTF-8 there */
size_t m8__utf8_valid(const char *s, size_t n);                  /* how many leading bytes are valid */
void m8__utf8_clean(m8_buf *out, const char *s, size_t n);       /* appends, invalid parts as U+FFFD */

m8_status m8__utf8_nfc(m8_buf *out, const char *s, size_t n, m8_error *err); /* appends; s is valid */

/* ---- jsonscan.c: one pass over a large JSON text without building a tree */
typedef struct m8__scan {
    const char *at, *end;
    m8_arena *arena; /* strings with escapes are written out here */
    m8_status status;
    m8__view text;   /* of the last string or number */
} m8__scan;
/* The next token: one of { } [ ] s(tring) n(umber) t(rue) f(alse) 0 (null), or 'e' at the end or at damage. Commas and colons are blanks. */
int m8__scan_next(m8__scan *s);
m8__view m8__scan_skip(m8__scan *s); /* over the next value; its bytes */

/* ---- pretok.c: text into words, by the pattern of a family */
typedef struct m8__pretok m8__pretok;
m8_status m8__pretok_new(m8__pretok **out, m8__view name, m8_error *err); /* M8_E_UNSUPPORTED: name is not known */
const char *m8__pretok_by_pattern(const char *regex);                    /* the name that has this pattern in tokenizer.json, or NULL */
const char *m8__pretok_name(const m8__pretok *p);                        /* as llama.cpp writes it */
void m8__pretok_free(m8__pretok *p);
typedef m8_status (*m8__word_fn)(void *user, const char *word, size_t n);
m8_status m8__pretok_run(const m8__pretok *p, const char *s, size_t n, m8__word_fn fn, void *user, m8_error *err);

/* ---- bpe.c */
m8_status m8__bpe_new(m8__tokenizer *t, m8__view pre, m8_error *err);
void m8__bpe_free(struct m8__bpe *b);
const char *m8__bpe_pre(const m8__tokenizer *t); /* as tokenizer.ggml.pre has it */
struct m8__merges;
struct m8__merges *m8__bpe_merges(m8__tokenizer *t); /* to be filled; left empty, the ids are the ranks */
void m8__bpe_whole_words(m8__tokenizer *t); /* a word that is a piece is taken whole (ignore_merges) */
m8_status m8__bpe_encode(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err); /* s is valid UTF-8 */
void m8__bpe_decode(const m8__tokenizer *t, int id, m8_buf *out);

m8_status m8__tok_json(m8__tokenizer *t, const char *data, size_t n, m8_error *err); /* json.c: a tokenizer.json */

/* ---- chat.c */
const m8__chat *m8__chat_named(const char *name); /* NULL: no such family */

#endif
