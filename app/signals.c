/* Signals and unfinished files. A fixed table, written in an order that a handler may read at any moment: the path first, then
 * `used`. unlink is async-signal-safe. The program then dies by the same signal, so that a shell sees what happened. */
#include "app.h"
#include "main.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    atomic_bool used;
    char path[1024];
} files[16];
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t stopped;
static atomic_bool catching;

static void remove_files(void)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (atomic_load(&files[i].used)) unlink(files[i].path);
}

static void on_signal(int sig)
{
    if (atomic_load(&catching) && !stopped && (sig == SIGINT || sig == SIGTERM)) {
        stopped = sig;
        return;
    }
    remove_files();
    signal(sig, SIG_DFL);
    raise(sig); /* delivered when the handler returns */
}

void signals_init(void)
{
    static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
    struct sigaction act = { .sa_handler = on_signal };
    sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct sigaction was;
        /* what the parent chose to ignore (nohup) stays ignored */
        if (!sigaction(all[i], NULL, &was) && was.sa_handler == SIG_IGN) continue;
        sigaction(all[i], &act, NULL);
    }
    atexit(remove_files);
}

void signals_catch(void)
{
    atomic_store(&catching, true);
    signal(SIGPIPE, SIG_IGN); /* such a verb speaks with sockets and children; stdout is checked at the end */
}

bool signals_stopped(void) { return stopped != 0; }

void signals_end(void)
{
    if (!stopped) return;
    remove_files();
    signal(stopped, SIG_DFL);
    raise(stopped);
}

bool cleanup_add(const char *path)
{
    bool taken = false;
    if (strlen(path) >= sizeof files[0].path) return false;
    pthread_mutex_lock(&files_lock);
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !taken; i++) {
        if (atomic_load(&files[i].used)) continue;
        strcpy(files[i].path, path);
        atomic_store(&files[i].used, true);
        taken = true;
    }
    pthread_mutex_unlock(&files_lock);
    return taken;
}

void cleanup_forget(const char *path)
{
    pthread_mutex_lock(&files_lock);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (atomic_load(&files[i].used) && !strcmp(files[i].path, path)) atomic_store(&files[i].used, false);
    pthread_mutex_unlock(&files_lock);
}
