/* What every verb uses: how it fails, and what is removed when it is stopped. */
#ifndef APP_APP_H
#define APP_APP_H

#include <m8/base.h>

/* One line "magic8: ..." on stderr; returns 1, so that a verb can say `return fail(&err);`. */
int fail(const m8_error *err);
/* The same for wrong usage; returns 2. */
int fail_usage(const char *fmt, ...) M8_PRINTF(1, 2);

/* Files that must not stay behind when the program is stopped by SIGINT, SIGTERM, SIGHUP or SIGPIPE, or exits while they are
 * registered: unfinished output. At most 16; longer paths than 1023 bytes are not taken (false). Any thread. */
bool cleanup_add(const char *path);
void cleanup_forget(const char *path); /* it is finished: keep it */

/* From now on SIGINT and SIGTERM only set a flag that signals_stopped() tells, so that a verb can end in order; a second one
 * ends the program at once. Calls that were interrupted are not restarted. */
void signals_catch(void);
bool signals_stopped(void);

/* Resident memory of a process, in bytes; 0: it cannot be read. */
double process_rss(int pid);

#endif
