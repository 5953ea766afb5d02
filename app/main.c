/* magic8: finds the verb, parses its options, runs it. Data goes to stdout, words about it to stderr.
 * Exit status: 0; 1: it failed, and one line says why; 2: wrong usage. */
#include "app.h"
#include "main.h"
#include "options.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fail(const m8_error *err)
{
    fflush(stdout);
    fprintf(stderr, "magic8: %s\n", m8_error_text(err));
    return 1;
}

int fail_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("magic8: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\n", stderr);
    va_end(ap);
    return 2;
}

static void log_line(void *user, m8_log_level level, const char *line)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    fprintf(stderr, "magic8: %s: %s\n", names[level], line);
}

/* What was printed must have arrived: a full disk is a failure, a reader that went away is a quiet one. */
static int flush_output(int code)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return code;
    if (code || errno == EPIPE) return code ? code : 1; /* one line says why, and it has been said */
    fprintf(stderr, "magic8: writing standard output: %s\n", errno ? strerror(errno) : "failed");
    return 1;
}

double process_rss(int pid)
{
    char path[40];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    signals_init();
    if (argc < 2) {
        fputs("usage: magic8 VERB ... (magic8 --help lists the verbs)\n", stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("magic8 " M8_VERSION);
        return flush_output(0);
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        const struct verb *about = argc > 2 ? verb_find(argv[2]) : NULL;
        if (argc > 2 && !about) return fail_usage("%s: no such verb (magic8 --help lists them)", argv[2]);
        if (about) help_verb(about);
        else help_program();
        return flush_output(0);
    }
    const struct verb *verb = verb_find(argv[1]);
    if (!verb && argv[1][0] == '-') return fail_usage("unknown option %s (see magic8 --help)", argv[1]);
    if (!verb) return fail_usage("%s: no such verb (magic8 --help lists them)", argv[1]);

    struct options o;
    int code = options_parse(&o, verb, argc - 2, argv + 2);
    if (code) return code;
    if (o.help) {
        help_verb(verb);
        return flush_output(0);
    }
    if (o.verbose) m8_log_set(log_line, NULL, M8_LOG_DEBUG);
    code = flush_output(verb->run(&o));
    signals_end();
    return code;
}
