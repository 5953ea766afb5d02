/* parler.h - Parler-TTS inside (Lyth & King 2024, arXiv 2402.01912): the decoder, what it sees of a description, one speaker's cache.
 *
 *     description -> T5 -> cross-attention          (parler.c: m8__parler_cross_new, once for each description)
 *     prompt, then columns of codes -> decoder -> logits of the next column     (parler.c: m8__parler_step)
 *     logits -> column: what may follow, sampling, the delay pattern            (parler_codes.c)
 *     frames of codes -> DAC -> samples                                         (dac.c)
 *     calls in flight, their steps together, their sound as it is made          (parler_speak.c) */
#ifndef M8_PARLER_H
#define M8_PARLER_H

#include "dac.h"
#include "t5.h"

enum { PARLER_MOST_Q = 16 };

struct parler_layer {
    float *norm1, *norm1_bias, *norm2, *norm2_bias, *norm3, *norm3_bias; /* [d] before self-attention, cross-attention, feed-forward */
    nn_w qkv, o;                                                        /* self-attention, Q, K and V stacked */
    nn_w cross_q, cross_kv, cross_o;
    nn_w fc1, fc2;
};

struct parler {
    int n_q, vocab;                   /* codebooks; logits of each (1088: codes 0..1023, EOS 1024, BOS 1025, rest unused) */
    int n_codes, eos, bos;            /* 1024, 1024, 1025 */
    int d, n_heads, n_kv, n_cross_kv, dh, d_ff, n_layers, max_pos, n_prompt_vocab;
    bool rope, prompt_cross;
    struct t5 t5;
    const struct dac *dac;
    int rate;                         /* 44100 */
    nn_w enc_to_dec;                  /* n_out 0: none */
    const m8__tensor *prompts;        /* [n_prompt_vocab, d] */
    const m8__tensor *columns[PARLER_MOST_Q]; /* embed_tokens [vocab + 1, d] */
    const m8__tensor *positions, *prompt_positions; /* stored sinusoids; NULL: computed by frequencies [d / 2] */
    float *frequencies, *rope_table;
    struct parler_layer *layers;
    float *norm, *norm_bias;
    nn_w heads;                       /* the n_q heads stacked: [n_q * vocab, d] */
    struct parler_speech *speech;     /* calls in flight: parler_speak.c */
};

/* config: the whole of config.json. Everything but dac and speech. */
m8_status m8__parler_load(struct parler *m, nn_load *l, const json_t *config);

/* What cross-attention sees: keys and values of every layer, of a description (and, with prompt_cross, of the prompt behind it). */
struct parler_cross;
m8_status m8__parler_cross_new(struct parler_cross **out, nn_run *r, const struct parler *m, const int *description, int n,
                               const int *prompt, int n_prompt /* used only with prompt_cross */, m8_error *err);
void m8__parler_cross_free(struct parler_cross *c);
/* The states that its keys and values are made of [n (+ n_prompt), d]; ids are not checked. tap as m8__t5_encode's. */
nn_t m8__parler_states(nn_run *r, const struct parler *m, const int *description, int n, const int *prompt, int n_prompt,
                       void (*tap)(void *user, int i, nn_t h), void *user);

/* One speaker: the keys and values of its positions so far. cap: of positions, prompt included; pages untouched cost nothing. */
struct parler_seq;
m8_status m8__parler_seq_new(struct parler_seq **out, const struct parler *m, const struct parler_cross *cross /* borrowed */, int cap,
                             m8_error *err);
void m8__parler_seq_free(struct parler_seq *s);
int m8__parler_seq_n(const struct parler_seq *s); /* positions so far */

/* The next rows of some speakers through the decoder together: the prompt (first step, unless prompt_cross) and a column of ids as
 * they are fed, delay and all. Logits [n * n_q, vocab] in the run's arena, row i * n_q + k is codebook k of steps[i]. A speaker's
 * logits are the same alone and in company. tap as m8__t5_encode's: the rows of all steps. r->status: M8_E_ARG (an id that is none),
 * M8_E_LIMIT (more positions than the cache has), M8_E_NOMEM; nothing has been added to any cache's length then. */
struct parler_step {
    struct parler_seq *seq;
    const int *prompt;
    int n_prompt;
    const int *column; /* [n_q] */
};
nn_t m8__parler_step(nn_run *r, const struct parler *m, const struct parler_step *steps, int n,
                     void (*tap)(void *user, int i, nn_t h), void *user);

/* ---- columns (parler_codes.c): what the loop of the original does between the logits and the next input */
struct parler_codes {
    const struct parler *m;
    int *raw;            /* [n][n_q] ids as predicted; column 0 is BOS; owned */
    int n, most;         /* columns so far; M: at how many the loop ends */
    int first_open;      /* of the EOS processor */
    int min_new;
    int n_frames;        /* that m8__codes_frames has seen */
    bool done;
};
struct parler_sampling {
    float temperature; /* 0: greedy */
    int top_k;         /* 0: off */
    nn_rng rng;
};
m8_status m8__codes_init(struct parler_codes *c, const struct parler *m, int most, int min_new, m8_error *err);
void m8__codes_finish(struct parler_codes *c);
/* Column n - 1 as it is fed: masked by the delay pattern (not at all when most < 2 n_q - 1). ids [n_q]. */
void m8__codes_input(const struct parler_codes *c, int *ids);
/* The next column from its logits [n_q, vocab] (changed): processors, sampling, EOS for ever; sets done. scratch [2 vocab]. */
void m8__codes_push(struct parler_codes *c, float *logits, struct parler_sampling *s, float *scratch);
/* Frames that are whole by now and not yet handed out, those with special ids left out: codes [cap_frames][n_q]; returns how many. */
int m8__codes_frames(struct parler_codes *c, int *codes, int cap_frames);

/* What the streamer of the original hands out of these columns (raw [n][n_q], BOS first), chunk by chunk (parler_sound.c). */
m8_status m8__parler_streamed(nn_run *r, const struct parler *m, const int *raw, int n, int play_steps, int stride, m8_pcm_sink chunk,
                              m8_error *err);

m8_status m8__parler_speech_open(m8_model *model, m8_error *err);
void m8__parler_speech_close(m8_model *model);
m8_status m8__parler_speak(m8_model *model, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err);
m8_status m8__parler_lead(m8_model *model, struct m8__lead *l, m8_error *err);
m8_status m8__parler_verify(m8_model *model, const m8__weights *expected, void (*report)(void *, const char *, double, double), void *user,
                            m8_error *err);

#endif
