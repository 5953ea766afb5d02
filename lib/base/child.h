/* child.h - starting a worker, and its end. */
#ifndef M8_CHILD_H
#define M8_CHILD_H

#include <m8/base.h>

enum { WORKER_FD = 3 };

/* Starts argv with nothing of ours but the socket *fd's other end, as descriptor 3. Called on a thread that lives as long as the
 * process is to (the process asks to be killed when that thread ends). */
m8_status m8__spawn(pid_t *pid, int *fd, const char *const *argv, m8_error *err);
/* Waits for its end, at most wait_s, then kills it. how: "signal 9", "status 1". */
void m8__reap(pid_t pid, double wait_s, char how[32]);

/* In the worker. First thing: die with the parent, no core dump, nothing written, no new privileges. */
m8_status m8__worker_begin(m8_error *err);
/* When it has loaded: system calls that are not on the list fail with EPERM from now on, in all threads to come. Other threads that
 * exist already are included. */
m8_status m8__sandbox(bool opens_files, size_t most_memory, m8_error *err);
/* m8_proc_serve. A test may leave out what is for good: lock_in false. */
m8_status m8__serve(int fd, const m8_service *const *services, bool lock_in);

#endif
