/* The cells of the cache, and the contexts kept in them. Everything here is called with the batch's lock held. */
#include "llama_batch.h"
#include <string.h>

/* ---- cells */

int m8__cells_take(struct llama_batch *b, int n)
{
    for (int at = 0, run = 0; at < b->n_units; at++) {
        run = b->taken[at] ? 0 : run + 1;
        if (run == n) {
            memset(b->taken + at - n + 1, 1, (size_t)n);
            return at - n + 1;
        }
    }
    return -1;
}

int m8__cells_units(int cells) { return (cells + UNIT - 1) / UNIT; }
void m8__cells_give(struct llama_batch *b, int unit, int n) { memset(b->taken + unit, 0, (size_t)n); }

static void forget(struct llama_batch *b, int i)
{
    struct kept *k = b->kept[i];
    m8__cells_give(b, k->unit, k->n_units);
    if (k->parent) k->parent->refs--;
    b->kept[i] = b->kept[--b->n_kept];
    m8_free(k->ids);
    m8_free(k);
}

/* Of those that nobody stands on, the one used longest ago, but for `keep`. */
static bool forget_oldest(struct llama_batch *b, const struct kept *keep)
{
    int oldest = -1;
    for (int i = 0; i < b->n_kept; i++) {
        if (b->kept[i] == keep || b->kept[i]->refs) continue;
        if (oldest < 0 || b->kept[i]->used < b->kept[oldest]->used) oldest = i;
    }
    if (oldest >= 0) forget(b, oldest);
    return oldest >= 0;
}

bool m8__kept_forget_oldest(struct llama_batch *b) { return forget_oldest(b, NULL); }

static int common(const int *a, int n_a, const int *b, int n_b)
{
    int n = 0;
    while (n < n_a && n < n_b && a[n] == b[n]) n++;
    return n;
}

/* How many of a kept context's spans its first n ids lie in. */
static int spans_for(const struct kept *k, int n)
{
    int spans = 0;
    while (n > 0) n -= k->span[spans++].n;
    return spans;
}

/* The first n cells of a context, or one less, so that the last span they lie in is even. */
static int make_even(const struct kept *k, int n)
{
    int left = n;
    for (int i = 0; left > k->span[i].n; i++) left -= k->span[i].n;
    return n - left % 2;
}

void m8__kept_stand_on(struct llama_batch *b, struct seq *s, const int *ids, int n, int most, bool even)
{
    int best = 0;
    for (int i = 0; i < b->n_kept; i++) {
        int same = common(b->kept[i]->ids, b->kept[i]->n, ids, n);
        if (even && same) same = make_even(b->kept[i], same);
        if (same > best && spans_for(b->kept[i], same) <= most) {
            best = same;
            s->parent = b->kept[i];
        }
    }
    if (!s->parent) return;
    s->parent->refs++;
    s->parent->used = ++b->clock;
    for (int left = best; left > 0; s->n_spans++) {
        nn_span span = s->parent->span[s->n_spans];
        if (span.n > left) span.n = left;
        s->span[s->n_spans] = span;
        left -= span.n;
    }
    s->done = best;
}

void m8__kept_leave(struct seq *s)
{
    if (s->parent) s->parent->refs--;
    s->parent = NULL;
    s->n_spans = 0;
    s->done = 0;
}

static int kept_units(const struct llama_batch *b)
{
    int units = 0;
    for (int i = 0; i < b->n_kept; i++) units += b->kept[i]->n_units;
    return units;
}

/* Keep what a call computed, or give its cells back. */
void m8__kept_keep(struct llama_batch *b, struct seq *s, const int *ids)
{
    int own = s->span[s->n_spans - 1].n;
    struct kept *k = own > 0 && !s->status ? m8_calloc(1, sizeof *k) : NULL;
    if (k) k->ids = m8_malloc((size_t)s->done * sizeof *k->ids);
    s->call->unkept = own > 0 && !s->status && (!k || !k->ids);
    if (!k || !k->ids || (b->n_kept == MAX_KEPT && !m8__kept_forget_oldest(b))) {
        if (k) m8_free(k->ids);
        m8_free(k);
        m8__cells_give(b, s->unit, s->n_units);
        m8__kept_leave(s);
        return;
    }
    memcpy(k->ids, ids, (size_t)s->done * sizeof *k->ids);
    k->n = s->done;
    k->n_spans = s->n_spans;
    memcpy(k->span, s->span, (size_t)s->n_spans * sizeof k->span[0]);
    k->unit = s->unit;
    k->n_units = m8__cells_units(own);
    m8__cells_give(b, s->unit + k->n_units, s->n_units - k->n_units);
    k->parent = s->parent; /* with its reference */
    k->used = ++b->clock;
    b->kept[b->n_kept++] = k;
    while (kept_units(b) > b->most_kept && forget_oldest(b, k)) {}
}
