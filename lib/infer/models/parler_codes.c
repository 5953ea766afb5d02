/* Columns of codes: what Parler-TTS does between the logits of a step and the next input (the delay pattern is MusicGen's, Copet et al.
 * 2023, arXiv 2306.05284).
 *
 *     column      0     1     2     3    ...            frame t of codebook k is in column t + k + 1: codebook k runs k columns
 *     codebook 0  BOS   t0    t1    t2                  late. What was predicted before its time, or behind its end (M - 8), is
 *     codebook 1  BOS  (BOS)  t0    t1                  kept as it came (raw), but fed as BOS or EOS (masked).
 *     codebook 2  BOS  (BOS) (BOS)  t0
 *
 * The end: EOS is forbidden to all codebooks behind the first that has none yet (which moves on by one a step at most), and who has
 * emitted it emits nothing else; so it walks down the codebooks, and a natural end takes n_q steps.
 *
 * Traps. The heads have logits for ids that no codebook has a row for (1025..1087): they are left out here, for the original dies of them.
 * A call for fewer than 2 n_q - 2 new columns is not delayed at all, neither fed nor at the end, as in the original (`short12` of the goldens);
 * and where less than 2 n_q - 1 columns were made, they are taken for frames as they stand. */
#include "parler.h"
#include <math.h>

m8_status m8__codes_init(struct parler_codes *c, const struct parler *m, int most, int min_new, m8_error *err)
{
    *c = (struct parler_codes){ .m = m, .most = most, .min_new = min_new };
    c->raw = m8_malloc((size_t)most * (size_t)m->n_q * sizeof *c->raw);
    if (!c->raw) return m8_fail(err, M8_E_NOMEM, "columns of codes");
    for (int k = 0; k < m->n_q; k++) c->raw[k] = m->bos;
    c->n = 1;
    c->done = c->n >= most;
    return M8_OK;
}

void m8__codes_finish(struct parler_codes *c)
{
    m8_free(c->raw);
    c->raw = NULL;
}

static int fed(const struct parler_codes *c, int column, int k)
{
    const struct parler *m = c->m;
    if (c->most >= 2 * m->n_q - 1) {
        if (column <= k) return m->bos;
        if (column - k >= c->most - (m->n_q - 1)) return m->eos;
    }
    return c->raw[column * m->n_q + k];
}

void m8__codes_input(const struct parler_codes *c, int *ids)
{
    for (int k = 0; k < c->m->n_q; k++) ids[k] = fed(c, c->n - 1, k);
}

void m8__codes_push(struct parler_codes *c, float *logits, struct parler_sampling *s, float *scratch)
{
    const struct parler *m = c->m;
    const int *last = c->raw + (c->n - 1) * m->n_q;
    int *next = c->raw + c->n * m->n_q, n_done = 0;
    int n = m->eos + 1; /* who may be drawn: the codes, and the end behind them */
    if (c->done) return;
    if (c->first_open < m->n_q - 1 && last[c->first_open] == m->eos) c->first_open++;
    for (int k = 0; k < m->n_q; k++) {
        float *x = logits + (ptrdiff_t)k * m->vocab;
        if (last[k] == m->eos) {
            next[k] = m->eos;
            n_done++;
            continue;
        }
        for (int id = m->n_codes; id < n; id++) {
            if (id != m->eos || c->n - 1 < c->min_new || k > c->first_open) x[id] = -INFINITY;
        }
        nn_sample_probs(x, n, &(nn_sampling){ .temperature = s->temperature, .top_k = s->top_k }, NULL, 0, 0, scratch);
        next[k] = s->temperature > 0 ? nn_sample_draw(x, n, &s->rng) : nn_argmax(x, n);
        n_done += next[k] == m->eos;
    }
    c->n++;
    c->done = n_done == m->n_q || c->n == c->most;
}

/* Whole by now, those with special ids counted. */
static int n_whole(const struct parler_codes *c)
{
    if (c->n >= 2 * c->m->n_q - 1) return c->n - c->m->n_q;
    return c->done ? c->n : 0;
}

int m8__codes_frames(struct parler_codes *c, int *codes, int cap_frames)
{
    const struct parler *m = c->m;
    bool delayed = c->n >= 2 * m->n_q - 1;
    int end = n_whole(c), n = 0;
    while (c->n_frames < end && n < cap_frames) {
        int t = c->n_frames++;
        bool sound = true;
        for (int k = 0; k < m->n_q; k++) {
            int id = delayed ? c->raw[(t + k + 1) * m->n_q + k] : fed(c, t, k);
            codes[n * m->n_q + k] = id;
            sound = sound && id < m->n_codes;
        }
        n += sound;
    }
    return n;
}
