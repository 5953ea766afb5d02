/* lab [--port N] [--host H] [--app lab|iface|full] [--auth USER:PASSWORD] [--auth-message TEXT] */
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_log(void *user, m8_log_level level, const char *line) { fprintf(stderr, "%s\n", line); }

struct options {
    const char *app;
    m8_launch_opts launch;
};

static bool take(struct options *o, const char *name, const char *value)
{
    if (!value) return false;
    if (!strcmp(name, "--port")) o->launch.port = atoi(value);
    else if (!strcmp(name, "--host")) o->launch.host = value;
    else if (!strcmp(name, "--app")) o->app = value;
    else if (!strcmp(name, "--auth")) o->launch.auth = value;
    else if (!strcmp(name, "--auth-message")) o->launch.auth_message = value;
    else return false;
    return true;
}

static m8_status build(m8_blocks **app, struct options *o, struct lab *lab, m8_error *err)
{
    if (!strcmp(o->app, "iface")) return iface_build(app, lab, err);
    if (!strcmp(o->app, "lab")) return lab_build(app, lab, err);
    if (strcmp(o->app, "full")) return m8_fail(err, M8_E_ARG, "no app %s", o->app);
    o->launch.max_size = 1;
    o->launch.max_file_size = 10240;
    o->launch.show_error = true;
    return full_build(app, lab, err);
}

int main(int argc, char **argv)
{
    struct options o = { .app = "lab" };
    for (int i = 1; i < argc; i += 2) {
        if (!take(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "usage: lab [--port N] [--host H] [--app lab|iface|full] [--auth USER:PASSWORD] "
                            "[--auth-message TEXT]\n");
            return 2;
        }
    }
    m8_log_set(on_log, NULL, M8_LOG_WARN);
    m8_error err = {0};
    struct lab lab = { .lock = PTHREAD_MUTEX_INITIALIZER };
    m8_blocks *app = NULL;
    m8_status st = lab_pictures(&lab, &err);
    if (!st) st = build(&app, &o, &lab, &err);
    if (!st) st = m8_launch(app, &o.launch, &err);
    if (st) fprintf(stderr, "lab: %s\n", m8_error_text(&err));
    m8_blocks_free(app);
    lab_finish(&lab);
    return st ? 1 : 0;
}
