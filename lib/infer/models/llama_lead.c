/* A model led through steps: from BOS on, one token after the other. */
#include "llama.h"
#include <string.h>

struct lead {
    struct m8__lead *l;
    int n_vocab, step;
    float *scratch; /* [3 n_vocab] */
    m8_status status;
    m8_error *err;
};

static int pick(void *user, float *logits, const int *ids, int n, int n_prompt)
{
    (void)ids, (void)n, (void)n_prompt;
    struct lead *d = user;
    struct m8__lead *l = d->l;
    if (!d->status) d->status = l->see(l->user, logits, d->n_vocab, d->err);
    if (d->status) return -1;
    int *id = &l->ids[d->step++];
    if (!l->forced) {
        nn_sample_probs(logits, d->n_vocab, &(nn_sampling){ .temperature = 1 }, NULL, 0, 0, d->scratch);
        *id = nn_sample_draw(logits, d->n_vocab, &l->rng);
    }
    return *id;
}

static m8_status go_on(void *user, int id)
{
    (void)id;
    return ((struct lead *)user)->status;
}

m8_status m8__llama_lead(m8_model *model, struct m8__lead *l, m8_error *err)
{
    struct llama *m = model->impl;
    struct lead d = { .l = l, .n_vocab = m->n_vocab, .err = err };
    int bos = model->tokenizer ? m8__token_bos(model->tokenizer) : 1;
    if (l->n_steps > m->n_ctx - 1) l->n_steps = m->n_ctx - 1;
    l->rows = 1;
    if (!l->forced) l->ids = m8_calloc((size_t)l->n_steps + 1, sizeof *l->ids);
    int *ids = m8_calloc((size_t)l->n_steps + 1, sizeof *ids);
    d.scratch = m8_malloc((size_t)m->n_vocab * 2 * sizeof *d.scratch);
    m8_status st = l->ids && ids && d.scratch ? M8_OK : m8_fail(err, M8_E_NOMEM, "steps to compare");
    for (int i = 0; !st && l->forced && i < l->n_steps; i++)
        if (l->ids[i] >= m->n_vocab) st = m8_fail(err, M8_E_ARG, "models of other sizes are not compared");
    if (!st) {
        ids[0] = bos > 0 && bos < m->n_vocab ? bos : 0;
        m8__batch_forget(model);
        struct llama_call call = { .pick = pick, .user = &d, .ids = ids, .n_prompt = 1, .max_new = l->n_steps, .token = go_on };
        st = m8__batch_run(model, &call, err);
        if (d.status) st = d.status;
    }
    m8_free(ids);
    m8_free(d.scratch);
    return st;
}
