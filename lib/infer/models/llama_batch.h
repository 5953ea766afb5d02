/* llama_batch.h - what the files of calls in flight share: cells and kept contexts (llama_cells.c), passes (llama_batch.c), scores
 * (llama_score.c). */
#ifndef M8_LLAMA_BATCH_H
#define M8_LLAMA_BATCH_H

#include "llama.h"

#define UNIT PANEL
#define MAX_KEPT 16
#define MAX_ROWS 512 /* of one pass; half as many of a large model, whose rows take 240 KB each on the way */
#define MOST_KEPT (192 << 20) /* bytes of keys and values that are kept while no call stands on them */
#define MAX_SEQS 64

struct kept {
    int *ids;
    int n;
    nn_span span[3]; /* all of it, own cells last */
    int n_spans;
    int unit, n_units; /* own cells */
    struct kept *parent;
    int refs; /* calls and children that stand on it */
    uint64_t used;
};

struct seq {
    struct seq *next;
    struct llama_call *call;
    struct llama_batch *b;
    m8_watch watch;
    bool in_pass; /* its rows are being computed */
    int n, done; /* ids so far; of them, in the cache */
    struct kept *parent;
    nn_span span[4];
    int n_spans;
    int unit, n_units;
    bool ended, cancelled, told; /* cancelled: by its sink or its token; told: by the token */
    m8_status status;
    double joined;
};

struct llama_batch {
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct seq *seqs;
    bool led;
    struct kept *kept[MAX_KEPT];
    int n_kept, n_units;
    int few_rows, most_rows, most_kept; /* units */
    bool even;             /* a context begins with an even number of another's cells: bf16 sums go by two (nn_span) */
    unsigned char *taken; /* [n_units] */
    uint64_t clock;
    atomic_bool interrupt; /* of the pass that runs */
};

/* Under the lock. Cells are given out in units; -1: there is no run of n free ones. */
int m8__cells_take(struct llama_batch *b, int n);
void m8__cells_give(struct llama_batch *b, int unit, int n);
int m8__cells_units(int cells);
/* Drop the kept context that was used longest ago and that nobody stands on. */
bool m8__kept_forget_oldest(struct llama_batch *b);
/* Stand on the kept context that shares most of the n ids, in at most `most` spans; even: the last of them with an even number of cells. */
void m8__kept_stand_on(struct llama_batch *b, struct seq *s, const int *ids, int n, int most, bool even);
void m8__kept_leave(struct seq *s);
/* Keep what a call computed, or give its cells back. */
void m8__kept_keep(struct llama_batch *b, struct seq *s, const int *ids);

#endif
