/* A model led through steps: column after column of codes, without an end. */
#include "parler.h"
#include <string.h>

struct lead {
    const struct parler *m;
    struct m8__lead *l;
    nn_run run;
    struct parler_cross *cross;
    struct parler_seq *seq;
    struct parler_codes codes;
    float *scratch;
    m8__ids description, prompt;
};

/* Words if there is a tokenizer, else any ids. */
static m8_status words(const m8_model *model, m8__ids *out, const char *text, int most, m8_error *err)
{
    m8_status st = model->tokenizer ? m8__encode(model->tokenizer, out, text, strlen(text), err) : M8_OK;
    for (int i = 0; !st && !model->tokenizer && i < 12; i++) m8__ids_add(out, (3 + 7 * i) % most);
    m8__ids_add(out, 1);
    if (!st && out->status) st = m8_fail(err, out->status, "steps to compare");
    return st;
}

static m8_status one_step(struct lead *d, int step, struct parler_sampling *s, m8_error *err)
{
    const struct parler *m = d->m;
    struct m8__lead *l = d->l;
    struct parler_codes *c = &d->codes;
    int column[PARLER_MOST_Q];
    m8_status st = M8_OK;
    nn_reset(&d->run);
    m8__codes_input(c, column);
    struct parler_step now = { .seq = d->seq, .column = column, .prompt = step ? NULL : d->prompt.data, .n_prompt = step ? 0 : (int)d->prompt.n };
    nn_t x = m8__parler_step(&d->run, m, &now, 1, NULL, NULL);
    if (d->run.status) return m8_fail(err, d->run.status, "steps to compare");
    for (int k = 0; !st && k < m->n_q; k++) st = l->see(l->user, x.d + (ptrdiff_t)k * x.ld, m->n_codes, err); /* the others never follow */
    int *ids = l->ids + (ptrdiff_t)step * m->n_q, *next = c->raw + (ptrdiff_t)c->n * m->n_q;
    if (l->forced) {
        memcpy(next, ids, (size_t)m->n_q * sizeof *next);
        c->n++;
    } else {
        m8__codes_push(c, x.d, s, d->scratch);
        memcpy(ids, next, (size_t)m->n_q * sizeof *next);
    }
    return st;
}

static m8_status run(struct lead *d, const m8_model *model, m8_error *err)
{
    const struct parler *m = d->m;
    struct m8__lead *l = d->l;
    int most = m->t5.n_vocab < m->n_prompt_vocab ? m->t5.n_vocab : m->n_prompt_vocab;
    m8_status st = words(model, &d->description, "A calm voice, close and clear.", most, err);
    if (!st) st = words(model, &d->prompt, "The answer is written in the stars, but the sky is cloudy tonight.", most, err);
    if (!st && l->n_steps > m->max_pos - (int)d->prompt.n) l->n_steps = m->max_pos - (int)d->prompt.n;
    if (!st && l->n_steps < 1) st = m8_fail(err, M8_E_UNSUPPORTED, "a model of %d positions", m->max_pos);
    if (!st) st = m8__parler_cross_new(&d->cross, &d->run, m, d->description.data, (int)d->description.n, d->prompt.data, (int)d->prompt.n, err);
    if (!st) st = m8__parler_seq_new(&d->seq, m, d->cross, (int)d->prompt.n + l->n_steps, err);
    if (!st) st = m8__codes_init(&d->codes, m, l->n_steps + m->n_q + 1, l->n_steps + 1, err); /* what ends a call lies behind the last step */
    if (!st && !l->forced) l->ids = m8_calloc((size_t)l->n_steps * (size_t)m->n_q, sizeof *l->ids);
    if (!st) d->scratch = m8_malloc((size_t)m->vocab * 2 * sizeof *d->scratch);
    if (!st && (!l->ids || !d->scratch)) st = m8_fail(err, M8_E_NOMEM, "steps to compare");
    struct parler_sampling s = { .temperature = 1, .rng = l->rng };
    for (int i = 0; !st && i < l->n_steps; i++) st = one_step(d, i, &s, err);
    return st;
}

m8_status m8__parler_lead(m8_model *model, struct m8__lead *l, m8_error *err)
{
    struct lead d = { .m = model->impl, .l = l };
    if (l->forced && l->rows != d.m->n_q) return m8_fail(err, M8_E_ARG, "models of other sizes are not compared");
    l->rows = d.m->n_q;
    m8_status st = nn_run_init(&d.run, model->pool, err);
    if (!st) st = run(&d, model, err);
    m8__codes_finish(&d.codes);
    m8__parler_seq_free(d.seq);
    m8__parler_cross_free(d.cross);
    nn_run_finish(&d.run);
    m8__ids_finish(&d.description);
    m8__ids_finish(&d.prompt);
    m8_free(d.scratch);
    return st;
}
