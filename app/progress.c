/* A line that is written over while something is fetched. */
#include "progress.h"
#include "app.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_init(struct progress *p)
{
    *p = (struct progress){ .bar = isatty(2) };
}

void progress_clear(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

const char *size_text(char *text, int64_t bytes)
{
    double mb = (double)bytes / 1e6;
    if (bytes < 1000) snprintf(text, 16, "%d B", (int)bytes);
    else if (mb < 1) snprintf(text, 16, "%.0f kB", (double)bytes / 1e3);
    else if (mb < 9.95) snprintf(text, 16, "%.1f MB", mb);
    else if (mb < 9999.5) snprintf(text, 16, "%.0f MB", mb);
    else snprintf(text, 16, "%.1f GB", mb / 1e3);
    return text;
}

static int columns(void)
{
    struct winsize w;
    return !ioctl(2, TIOCGWINSZ, &w) && w.ws_col >= 40 ? w.ws_col : 80;
}

/* The last part of a path, cut to its end if it is long, control bytes out of it: names come from servers. */
static void short_name(char *out, int room, const char *name)
{
    const char *slash = strrchr(name, '/');
    if (slash && slash[1]) name = slash + 1;
    int n = (int)strlen(name), from = n > room ? n - room : 0;
    while ((name[from] & 0xC0) == 0x80) from++;
    int k = 0;
    for (; name[from] && k < room; from++) out[k++] = (unsigned char)name[from] < 0x20 || name[from] == 0x7F ? '?' : name[from];
    out[k] = 0;
}

static void draw(struct progress *p, const m8_hub_progress *s)
{
    char name[40], have[16], all[16], rest[64] = "";
    double t = m8_now_s() - p->began_s, speed = t > 0.5 ? (double)(s->done - p->first) / t : 0;
    short_name(name, 28, s->file);
    if (speed > 0) {
        char per_s[16];
        int n = snprintf(rest, sizeof rest, "  %s/s", size_text(per_s, (int64_t)speed));
        double left = s->total > s->done ? (double)(s->total - s->done) / speed : 0;
        if (s->total && left < 360000)
            snprintf(rest + n, sizeof rest - (size_t)n, "  %d:%02d left", (int)left / 60, (int)left % 60);
    }
    int width = columns() - 28 - 60;
    double share = s->total ? fmin((double)s->done / (double)s->total, 1) : 0;
    fprintf(stderr, "\r\033[K%-28s ", name);
    if (width >= 10 && s->total) {
        if (width > 40) width = 40;
        fputc('[', stderr);
        for (int i = 0; i < width; i++) fputc(i < (int)(share * width) ? '#' : ' ', stderr);
        fputs("] ", stderr);
    }
    if (s->total) fprintf(stderr, "%3.0f%% %s of %s%s", share * 100, size_text(have, s->done), size_text(all, s->total), rest);
    else fprintf(stderr, "%s", s->done ? size_text(have, s->done) : "...");
    fflush(stderr);
    p->shown = true;
}

m8_status progress_step(void *user, const m8_hub_progress *s)
{
    struct progress *p = user;
    double now = m8_now_s();
    if (signals_stopped()) return M8_E_CANCELLED;
    if (strncmp(p->file, s->file, sizeof p->file - 1)) {
        snprintf(p->file, sizeof p->file, "%s", s->file);
        p->began_s = now;
        p->first = s->done;
    }
    if (s->finished) {
        char size[16], name[64];
        progress_clear(p);
        short_name(name, 60, s->file);
        fprintf(stderr, "%s (%s): %s\n", name, size_text(size, s->total),
                strcmp(s->source, "cache") ? s->source : "here already");
        p->file[0] = 0;
    } else if (p->bar && now - p->drawn_s > 0.09) {
        draw(p, s);
        p->drawn_s = now;
    }
    return M8_OK;
}

void progress_note(void *user, const char *line)
{
    progress_clear(user);
    fprintf(stderr, "%s\n", line);
}
