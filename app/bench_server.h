/* A server in a child process of its own, so that its processor time and memory can be read. */
#ifndef APP_BENCH_SERVER_H
#define APP_BENCH_SERVER_H

#include <m8/base.h>

struct server {
    int pid, port; /* pid 0: none */
};

/* Run this program with these arguments ("%PORT" becomes a free port) and wait until path answers 200. It ends when this thread does.
 * took_s (may be NULL): from the start of the process. */
m8_status server_start(struct server *s, const char *const *args, const char *path, double patience_s, double *took_s, m8_error *err);
void server_stop(struct server *s);
double server_cpu_s(const struct server *s);  /* all its threads, those that have ended too; not its children */

struct endpoint {
    const char *api_name;
    int fn_index; /* out */
};
/* Look up the ids of endpoints in /config. list ends with a NULL name. */
m8_status server_endpoints(const struct server *s, struct endpoint *list, m8_error *err);

#endif
