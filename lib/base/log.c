/* The log goes to the program's sink, and nowhere by default. Also the clock, and the end of an m8_pcm. */
#include <m8/base.h>
#include <stdio.h>
#include <time.h>

static m8_log_fn sink;
static void *sink_user;
static m8_log_level sink_most;

void m8_log_set(m8_log_fn fn, void *user, m8_log_level most)
{
    sink = fn;
    sink_user = user;
    sink_most = most;
}

void m8_log(m8_log_level level, const char *fmt, ...)
{
    if (!sink || level > sink_most) return;
    char raw[1024], line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)raw; *p && n + 5 < sizeof line; p++) {
        if (*p < 0x20 || *p == 0x7F) n += (size_t)snprintf(line + n, 5, "\\x%02x", *p);
        else line[n++] = (char)*p;
    }
    line[n] = 0;
    sink(sink_user, level, line);
}

double m8_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void m8_pcm_finish(m8_pcm *pcm)
{
    if (!pcm) return;
    m8_free(pcm->samples);
    *pcm = (m8_pcm){0};
}
