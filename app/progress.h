/* A line that is written over while something is fetched; only on a terminal. Elsewhere one line for each finished file. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <m8/hub.h>

struct progress {
    bool bar;            /* stderr is a terminal */
    bool shown;          /* there is a bar that must go before other text comes */
    char file[256];      /* whose speed is measured */
    double began_s, drawn_s;
    int64_t first;       /* bytes that were there when it began */
};

void progress_init(struct progress *p);
void progress_clear(struct progress *p);
m8_status progress_step(void *user, const m8_hub_progress *step); /* user: struct progress; M8_E_CANCELLED after a signal */
void progress_note(void *user, const char *line);
/* "145 MB"; text has 16 bytes. */
const char *size_text(char *text, int64_t bytes);

#endif
