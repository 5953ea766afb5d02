/* The ball as an app: its page, and what happens on it. */
#ifndef APP_BALL_APP_H
#define APP_BALL_APP_H

#include "served.h"
#include <m8/ui.h>

struct ball_app;

/* served is borrowed and must outlive the app, as must ball_app the blocks. */
m8_status ball_app_new(struct ball_app **out, m8_blocks **blocks, struct served *served, m8_error *err);
void ball_app_free(struct ball_app *b); /* after m8_blocks_free */

/* Where the time of the turns went: sums and counts, for /metrics. */
enum ball_stage { BALL_DECODED, BALL_HEARD, BALL_ANSWERED, BALL_FIRST_SOUND, BALL_SPOKEN, N_BALL_STAGES };
extern const char *const ball_stage_names[];
struct ball_times {
    uint64_t n[N_BALL_STAGES];
    double sum_s[N_BALL_STAGES];
    uint64_t buckets[N_BALL_STAGES][8]; /* how many took at most ball_bucket_s[k] */
};
extern const double ball_bucket_s[8];
void ball_app_times(struct ball_app *b, struct ball_times *out); /* any thread */

#endif
