/* Two models led through the same steps, and their logits beside each other. */
#include "models/model.h"
#include <math.h>
#include <string.h>

struct seen {
    float *logits; /* [cap] of all steps, one row behind the other */
    size_t n, cap, at;
    m8_likeness *out;
    double sum_kl, sum_diff, sum_var;
};

static m8_status keep(void *user, const float *logits, int n, m8_error *err)
{
    struct seen *s = user;
    if (s->n + (size_t)n > s->cap) {
        size_t cap = 2 * s->cap + (size_t)n;
        float *more = m8_realloc(s->logits, cap * sizeof *more);
        if (!more) return m8_fail(err, M8_E_NOMEM, "logits to compare");
        s->logits = more;
        s->cap = cap;
    }
    memcpy(s->logits + s->n, logits, (size_t)n * sizeof *logits);
    s->n += (size_t)n;
    return M8_OK;
}

static m8_status compare(void *user, const float *y, int n, m8_error *err)
{
    struct seen *s = user;
    const float *x = s->logits + s->at;
    if (s->at + (size_t)n > s->n) return m8_fail(err, M8_E_ARG, "models of other sizes are not compared");
    double lx = (double)nn_log_sum_exp(x, n), ly = (double)nn_log_sum_exp(y, n), sum = 0, squares = 0, kl = 0;
    for (int i = 0; i < n; i++) {
        double a = (double)x[i], d = fabs(a - (double)y[i]);
        sum += a;
        squares += a * a;
        s->sum_diff += d * d;
        kl += exp(a - lx) * ((a - lx) - ((double)y[i] - ly));
        if (!(d <= s->out->max_diff)) s->out->max_diff = d;
    }
    s->sum_var += squares - sum * sum / n;
    s->sum_kl += kl;
    s->at += (size_t)n;
    s->out->n++;
    s->out->n_same += nn_argmax(x, n) == nn_argmax(y, n);
    return M8_OK;
}

m8_status m8_compare(m8_model *of, m8_model *with, int n_steps, uint64_t seed, m8_likeness *out, m8_error *err)
{
    if (!of || !with || !out || n_steps < 0) return m8_fail(err, M8_E_ARG, "no two models to compare");
    if (of->family != with->family) return m8_fail(err, M8_E_ARG, "models of two families are not compared");
    if (!of->family->lead) return m8_fail(err, M8_E_UNSUPPORTED, "a %s model has no steps to compare", of->family->name);
    *out = (m8_likeness){ 0 };
    struct seen s = { .out = out };
    struct m8__lead l = { .n_steps = n_steps ? n_steps : 500, .see = keep, .user = &s };
    nn_rng_seed(&l.rng, seed);
    m8_status st = of->family->lead(of, &l, err);
    int steps = l.n_steps;
    l.forced = true;
    l.see = compare;
    if (!st) st = with->family->lead(with, &l, err);
    if (!st && (l.n_steps != steps || s.at != s.n)) st = m8_fail(err, M8_E_ARG, "models of other sizes are not compared");
    if (!st && out->n) {
        out->n_steps = steps;
        out->kl = s.sum_kl / out->n;
        out->rms = s.sum_var > 0 ? sqrt(s.sum_diff / s.sum_var) : 0;
    }
    m8_free(l.ids);
    m8_free(s.logits);
    return st;
}
