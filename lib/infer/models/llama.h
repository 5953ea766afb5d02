/* llama.h - the Llama family inside: the forward pass, and the cells of its cache. */
#ifndef M8_LLAMA_H
#define M8_LLAMA_H

#include "model.h"

#define LARGE 2048 /* d of models that get by with fewer bits of activations, keys and values */

struct llama_layer {
    float *norm1, *norm2;        /* [d] */
    nn_w qkv, o, gate_up, down;  /* Q, K and V stacked; gate and up stacked */
    nn_kv kv;
};

/* Calls in flight, kept prefixes and free cells: batch.c. */
struct llama_batch;

struct llama {
    int n_layers, d, n_heads, n_kv, dh, d_ff, n_vocab, n_ctx;
    int digits;              /* of the activations */
    nn_type kv_type;         /* of keys and values: NN_F32 or NN_BF16 */
    float eps;
    const m8__tensor *embed; /* [n_vocab, d], rows are looked up in the file */
    float *norm;             /* [d] */
    nn_w out;                /* [n_vocab, d], the embedding's where there is no own */
    float *rope;             /* nn_rope_table */
    struct llama_layer *layers;
    void *kv_block;          /* of all layers; untouched cells are pages never written */
    nn_run run;              /* belongs to the leader (batch.c) */
    const m8__chat *chat;    /* NULL: no template known */
    struct llama_batch *batch;
};

/* One sequence's rows in a pass: new tokens ids[0..n) at positions pos.., written to cells cell.., seeing the spans before them and
 * themselves. spans: all keys in order, own cells last; the last span's n counts the new ones too. */
struct llama_rows {
    const int *ids;
    int n, pos, cell;
    nn_span span[4];
    int n_spans;
};

/* The rows of all sequences through all layers: [rows, d], after the final norm, in the run's arena. tap (may be NULL) sees the state
 * before layer 0, after each layer but the last, and after the final norm. */
nn_t m8__llama_forward(struct llama *m, const struct llama_rows *rows, int n_seqs, void (*tap)(void *, int, nn_t), void *user);
nn_t m8__llama_logits(struct llama *m, nn_t hidden); /* [n, n_vocab] */

/* config.json's rope_scaling as what divides each frequency: factors [dh / 2]. false: a kind that is not known, or a damaged one. */
bool m8__llama_rope_factors(float *factors, int dh, double theta, const json_t *scaling);

/* ---- calls in flight (llama_batch.c): their steps go together, one pass for all */

/* What a call asks of each new token: called by the leader, for a sequence whose logits [n_vocab] are there (changed in place).
 * ids: the context so far, n of them, the first n_prompt given. Returns the next id, or -1 to end. */
typedef int (*llama_pick)(void *user, float *logits, const int *ids, int n, int n_prompt);

struct llama_call {
    llama_pick pick;
    void *user;
    m8_cancel *cancel; /* or NULL */
    int *ids;        /* [cap] the context: the prompt, then what is generated; owned by the caller, room for max_new more */
    int n_prompt, max_new;
    /* after every new token, on the caller's thread: not M8_OK ends the call; none after cancel */
    m8_status (*token)(void *user, int id);
    int n, n_kept;   /* out: length of the context at the end; how many were found in the cache */
    bool unkept;     /* out: there was no memory to keep the context */
    double prompt_s; /* out: until the first new token */
};
m8_status m8__batch_open(m8_model *model, m8_error *err);
void m8__batch_close(m8_model *model);
void m8__batch_forget(m8_model *model); /* all kept contexts that no call stands on */
m8_status m8__batch_run(m8_model *model, struct llama_call *call, m8_error *err);
/* Log-probabilities of n_texts continuations of a prompt: ids of text i are texts[i][0 .. n[i]); scores: their sums. */
m8_status m8__batch_score(m8_model *model, const int *prompt, int n_prompt, int *const *texts, const int *n, int n_texts,
                          m8_cancel *cancel, float *scores, m8_error *err);

m8_status m8__llama_chat(m8_model *model, const m8_message *messages, size_t n, const char *prompt, const m8_chat_opts *opts,
                         m8_text_sink out, m8_usage *usage, m8_error *err);
m8_status m8__llama_score(m8_model *model, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts,
                          const m8_score_opts *opts, float *scores, int *n_tokens, m8_error *err);
m8_status m8__llama_lead(m8_model *model, struct m8__lead *l, m8_error *err);
m8_status m8__llama_verify(m8_model *model, const m8__weights *expected, void (*report)(void *, const char *, double, double),
                           void *user, m8_error *err);

#endif
