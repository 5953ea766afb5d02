/* model.h - what a model family is: a struct of functions; models.c lists them. */
#ifndef M8_MODEL_H
#define M8_MODEL_H

#include "nn/nn.h"
#include "text/text.h"
#include "turns.h"
#include <m8/infer.h>

struct m8__family;

struct m8_model {
    const struct m8__family *family;
    m8__weights *weights;
    m8_pool *pool;
    const struct m8__kernels *kernels;
    m8_precision precision;
    nn_held held;       /* packed weights and all else that was loaded */
    int64_t n_params;
    m8__tokenizer *tokenizer; /* NULL for TTS */
    struct m8__turns turns;   /* of calls; a family that batches has its own way */
    void *impl;         /* the family's own; freed by its close */
};

struct m8__about {
    const char *name; /* "whisper" */
    int tasks;        /* m8_task bits */
    int64_t n_params;
};

/* A model led through steps (m8_compare): each gives rows of logits, of which each leads to an id of the next step. */
struct m8__lead {
    int n_steps;  /* at most; set to what there is room for */
    int rows;     /* of a step; set by the family, checked if forced */
    int *ids;     /* [n_steps * rows] new, sampled from the logits; or given, if forced */
    bool forced;
    nn_rng rng;
    m8_status (*see)(void *user, const float *logits, int n, m8_error *err); /* row by row */
    void *user;
};

struct m8__family {
    const char *name; /* "whisper" */
    int tasks;        /* m8_task bits */
    struct m8__about (*about)(const m8_model *m); /* NULL: as it stands here and in the model */
    bool (*match)(const m8__weights *w);                     /* is this file one of the family? */
    m8_status (*open)(m8_model *m, nn_load *l, m8_error *err); /* fills m->impl (and m->tokenizer); on failure close is called too */
    void (*close)(m8_model *m);                              /* impl may be NULL or half made */
    /* NULL where the family has no such task. Arguments have been checked for NULL; opts is never NULL. */
    m8_status (*transcribe)(m8_model *m, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                            m8_transcribe_info *info, m8_error *err);
    m8_status (*chat)(m8_model *m, const m8_message *messages, size_t n, const char *prompt /* instead of messages */,
                      const m8_chat_opts *opts, m8_text_sink out, m8_usage *usage, m8_error *err);
    m8_status (*score)(m8_model *m, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts,
                       const m8_score_opts *opts, float *scores, int *n_tokens, m8_error *err);
    m8_status (*tokenize)(m8_model *m, const char *text, int **ids, size_t *n, m8_error *err); /* NULL: by m->tokenizer */
    m8_status (*speak)(m8_model *m, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err);
    int (*rate)(const m8_model *m);
    m8_status (*lead)(m8_model *m, struct m8__lead *l, m8_error *err); /* NULL: it has no steps */
    /* Run the goldens in DIR/expected.safetensors through the model and report each tensor's largest difference (magic8 verify). */
    m8_status (*verify)(m8_model *m, const m8__weights *expected,
                        void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user, m8_error *err);
};

/* As m8_open, from weights that are open, which it takes. Files with in_place_from bytes of weights, or more, are computed with as they lie. */
m8_status m8__open_weights(m8_model **out, m8__weights *w, const m8_open_opts *opts, int64_t in_place_from, m8_error *err);
/* A model without a family yet; m8_close undoes it. */
m8_model *m8__model_new(const m8_open_opts *opts);

extern const struct m8__family m8__whisper, m8__llama, m8__vits, m8__t5, m8__parler, m8__dac;
extern const struct m8__family *const m8__families[]; /* NULL-terminated */

#endif
