/* whisper.h - what the files of Whisper share: the model (whisper.c), the search for tokens (whisper_decode.c), windows and segments
 * (whisper_transcribe.c), times of words (whisper_words.c), comparison with the original (whisper_verify.c). */
#ifndef M8_WHISPER_H
#define M8_WHISPER_H

#include "models/model.h"
#include "nn/mel.h"

#define WHISPER_WINDOW_S 30
#define WHISPER_POSITIONS 1500                     /* of a window; one is 20 ms */
#define WHISPER_FRAMES (2 * WHISPER_POSITIONS)     /* of mel; one is 10 ms */
#define WHISPER_MOST_BEAMS 16

struct whisper_norm {
    float *gamma, *beta; /* [d] */
};
struct whisper_layer {
    struct whisper_norm norm1, norm2, norm3;  /* before self-attention, cross-attention (decoder only), feed-forward */
    nn_w qkv, out;                            /* [3d, d], [d, d] */
    nn_w cross_q, cross_kv, cross_out;        /* [d, d], [2d, d], [d, d] */
    nn_w fc1, fc2;                            /* [4d, d], [d, 4d] */
};

struct whisper {
    int d, n_mels, n_vocab, n_ctx;            /* width, bands, tokens, positions of text (448) */
    int enc_heads, dec_heads, n_enc, n_dec;   /* heads, layers */
    nn_w conv1, conv2;
    float *enc_pos, *dec_pos;                 /* [1500, d], [n_ctx, d] */
    struct whisper_layer *enc, *dec;
    struct whisper_norm enc_norm, dec_norm;
    const m8__tensor *embedding;              /* [n_vocab, d], rows are read from the file as they are needed */
    nn_w vocab;                               /* the same, as output matrix */

    bool multilingual;
    int n_languages;
    int eot, sot, lang0, translate, transcribe, sot_lm, sot_prev, no_speech, no_timestamps, time0; /* ids */
    int blank;                                /* the token of " ", or -1 */
    int *suppress, n_suppress;                /* ids never written */
    int (*align)[2], n_align;                 /* [layer, head] whose cross-attention follows the sound */
    nn_mel *mel;
    nn_run run[MOST_TURNS];                   /* of the calls that have a turn */
};

/* ---- the model: forward passes */

/* Called by the encoder with what it has just made, so that it can be compared with the original. */
struct whisper_tap {
    void (*see)(void *user, const char *name, int layer, nn_t x);
    void *user;
};
/* What of a window is computed: positions [0, exact) one by one, then, where all is padding, one for each `stride` of them, which counts
 * as often. The model was trained on whole windows and hears differently in shorter ones; but padding is alike. */
struct whisper_view {
    int exact, stride; /* exact WHISPER_POSITIONS: everything */
};
int whisper_view_rows(struct whisper_view v);
/* mel [2 exact, n_mels], its last six rows padding if exact is not all -> [rows, d] */
nn_t whisper_encode(const struct whisper *w, nn_run *r, nn_t mel, struct whisper_view view, const struct whisper_tap *tap);

/* Keys and values of a window while it is decoded, one each for every layer of the decoder. */
struct whisper_cache {
    nn_kv *self, *cross;
    int n_cross; /* rows that the encoder gave */
};
/* The cross-attention's keys and values from the encoder's output; then room for n_cells tokens (a multiple of 16). */
struct whisper_cache whisper_cache_new(const struct whisper *w, nn_run *r, nn_t sound, struct whisper_view view);
void whisper_cache_cells(const struct whisper *w, nn_run *r, struct whisper_cache *c, int n_cells);

/* Rows of tokens that continue sequences: rows of seq[i] are put into cells cell[i].. and see what seq[i] says. */
struct whisper_rows {
    int n;
    const int *id, *pos; /* [n] */
    const nn_seq *seq;   /* [n_seqs] */
    const int *cell;     /* [n_seqs] */
    int n_seqs;
};
/* Scores of the alignment heads, before softmax: [n_align][rows][n_cross], taken along when not NULL. */
nn_t whisper_decode(const struct whisper *w, nn_run *r, struct whisper_cache *c, const struct whisper_rows *rows, nn_t *scores);
/* [n, d] -> [n, n_vocab] */
nn_t whisper_logits(const struct whisper *w, nn_run *r, nn_t x);

/* ---- the search for tokens of one window */

struct whisper_task {
    const int *prompt; /* earlier text; its last n_ctx / 2 - 1 tokens are used */
    int n_prompt;
    int language;      /* index; not looked at if the model has one language */
    bool translate, timestamps;
    float temperature; /* > 0: the best of five samples */
    int beam_size;     /* at temperature 0 */
    int most;          /* tokens; 0: n_ctx / 2 */
    uint64_t seed;
};
struct whisper_found {
    int *tokens; /* [n]; in the run's arena, as text is */
    int n;
    char *text;  /* UTF-8, without blanks around it */
    float avg_logprob, no_speech_prob, compression_ratio, temperature;
    bool ended;  /* by the model, not by the limit */
};
/* The tokens that the prompt of a task consists of, from <|startofprev|> on; out has room for n_ctx. Returns how many; *sot: where <|sot|> is. */
int whisper_prompt(const struct whisper *w, const struct whisper_task *task, int *out, int *sot);
m8_status whisper_search(const m8_model *m, nn_run *r, struct whisper_cache *c, const struct whisper_task *task, struct whisper_found *out);
/* Probabilities of the languages [n_languages]. */
m8_status whisper_languages(const struct whisper *w, nn_run *r, struct whisper_cache *c, float *probs);

/* Text of ids below eot, invalid bytes as U+FFFD; in the arena. */
char *whisper_text(const m8_model *m, nn_run *r, const int *ids, int n);
float whisper_compression(const char *text); /* bytes / zlib's bytes; negative: no memory */

const char *whisper_language_code(int index);          /* NULL: no such language */
int whisper_language_index(const char *code);          /* -1: none */

/* ---- times of words */

struct whisper_word {
    const char *text;
    double start_s, end_s;
    float probability;
    int n_tokens;
};
/* Words of text tokens [n] (no timestamps), timed by the cross-attention over the first n_positions; in the arena. *median_s: the usual length. */
m8_status whisper_align(const m8_model *m, nn_run *r, struct whisper_cache *c, int language, bool translate, const int *tokens, int n,
                        int n_positions, struct whisper_word **words, int *n_words, double *median_s);

/* ---- the class's functions that live in other files */
m8_status whisper_transcribe(m8_model *m, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                             m8_transcribe_info *info, m8_error *err);
m8_status whisper_verify(m8_model *m, const m8__weights *expected,
                         void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user, m8_error *err);

#endif
