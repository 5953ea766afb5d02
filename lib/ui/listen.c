/* What is read of streams, on the loop: the playlist, segments, all of them joined, and audio.mp3: of a running stream it is one answer that grows. The
 * handler's thread posts one wake-up when there is more, and each listener is given what he has not had; one who reads slowly gets more when he has taken
 * what he has. */
#include "stream.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { UNSENT = 128 << 10, AT_ONCE = 64, FRAME = 1024 };
#define LAG_S 0.03

/* ---- audio.mp3 */

static void pump(struct m8__listener *d);

static void pump_all(struct m8__stream *s)
{
    for (struct m8__listener *d = s->readers, *next; d; d = next) {
        next = d->next;
        pump(d);
    }
}

static void wake(void *user)
{
    struct m8__stream *s = user;
    m8_blocks *app = s->app;
    pthread_mutex_lock(&app->lock);
    s->waking = false;
    pthread_mutex_unlock(&app->lock);
    pump_all(s);
    m8__stream_unref(s);
}

void m8__stream_wake(struct m8__stream *s)
{
    if (!s->n_readers || s->waking) return;
    s->waking = m8_http_post(s->app->http, wake, s);
    if (s->waking) s->refs++;
}

/* Slow readers are looked after until there is none. */
static void pump_lagging(void *user)
{
    m8_blocks *app = user;
    struct m8__stream *found[AT_ONCE];
    int n = 0;
    app->streams->lagging = false;
    pthread_mutex_lock(&app->lock);
    for (struct m8__stream *s = app->streams->list; s && n < AT_ONCE; s = s->next) {
        if (!s->n_readers) continue;
        s->refs++;
        found[n++] = s;
    }
    pthread_mutex_unlock(&app->lock);
    for (int i = 0; i < n; i++) {
        pump_all(found[i]);
        m8__stream_unref(found[i]);
    }
}

static void lag(m8_blocks *app)
{
    if (app->streams->lagging) return;
    app->streams->lagging = m8_http_timer_new(app->http, LAG_S, 0, pump_lagging, app) != NULL;
}

static void pump(struct m8__listener *d)
{
    struct m8__stream *s = d->stream;
    m8_blocks *app = s->app;
    for (;;) {
        struct m8__piece *piece[AT_ONCE];
        size_t n = 0;
        pthread_mutex_lock(&app->lock);
        while (n < AT_ONCE && d->sent + n < s->n_mp3) {
            piece[n] = s->mp3[d->sent + n];
            n++;
        }
        bool gone = s->forgotten, over = gone || (d->sent + n == s->n_mp3 && s->ended);
        pthread_mutex_unlock(&app->lock);
        size_t i = 0;
        for (; i < n && m8_http_unsent(d->r) < UNSENT; i++) m8_http_write(d->r, piece[i]->data, piece[i]->n);
        d->sent += i;
        if (i < n && !gone) {
            lag(app);
            return;
        }
        if (over) m8_http_end(d->r);
        if (over || !n) return;
    }
}

static void reader_gone(void *user, bool gone)
{
    struct m8__listener *d = user, **at = &d->stream->readers;
    struct m8__stream *s = d->stream;
    (void)gone;
    while (*at != d) at = &(*at)->next;
    *at = d->next;
    m8_free(d);
    pthread_mutex_lock(&s->app->lock);
    s->n_readers--;
    pthread_mutex_unlock(&s->app->lock);
    m8__stream_unref(s);
}

/* The whole of something that has ended, as a file in memory: with ranges, which some players ask for. */
static void reply_whole(m8_http_req *r, m8_buf *all, const char *mime, const char *name)
{
    int fd = all->status ? -1 : memfd_create("stream", MFD_CLOEXEC);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < all->len;) {
        ssize_t n = write(fd, all->data + at, all->len - at);
        ok = n > 0;
        at += ok ? (size_t)n : 0;
    }
    if (ok) {
        m8_http_file(r, fd, mime, false, name);
    } else {
        if (fd >= 0) close(fd);
        m8_http_reply_buf(r, 200, mime, all);
    }
    m8_buf_finish(all);
}

static void get_mp3(m8_http_req *r, struct m8__stream *s)
{
    m8_buf all = {0};
    pthread_mutex_lock(&s->app->lock);
    bool ended = s->ended;
    for (size_t i = 0; ended && i < s->n_mp3; i++) m8_buf_add(&all, s->mp3[i]->data, s->mp3[i]->n);
    pthread_mutex_unlock(&s->app->lock);
    if (ended) {
        reply_whole(r, &all, "audio/mpeg", "audio-stream.mp3");
        return;
    }
    struct m8__listener *d = m8_calloc(1, sizeof *d);
    if (!d) {
        m8_http_refuse(r, 500, "Out of memory");
        return;
    }
    *d = (struct m8__listener){ .next = s->readers, .stream = s, .r = r };
    s->readers = d;
    pthread_mutex_lock(&s->app->lock);
    s->refs++;
    s->n_readers++;
    pthread_mutex_unlock(&s->app->lock);
    m8_http_on_end(r, reader_gone, d);
    m8_http_begin(r, 200, "audio/mpeg");
    pump(d);
}

/* ---- playlist and segments */

static void get_playlist(m8_http_req *r, struct m8__stream *s)
{
    const char *sign = m8_http_arg(r, "__sign");
    m8_buf b = {0}, query = {0};
    if (sign) {
        m8_buf_str(&query, "?__sign=");
        m8_percent_encode(&query, sign, NULL);
    }
    pthread_mutex_lock(&s->app->lock);
    int rate = s->rate ? s->rate : 1;
    uint32_t target = (uint32_t)(((uint64_t)s->frames_most * FRAME + (unsigned)rate - 1) / (unsigned)rate);
    m8_buf_printf(&b, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:%u\n#EXT-X-VERSION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"
                      "#EXT-X-START:TIME-OFFSET=0\n", target ? target : 1);
    for (size_t i = 0; i < s->n_segments; i++) {
        uint64_t us = ((uint64_t)s->segment[i].frames * FRAME * 1000000 + (unsigned)rate / 2) / (unsigned)rate;
        m8_buf_printf(&b, "#EXTINF:%llu.%06llu,\n%s.aac%s\n", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000), s->segment[i].id,
                      query.data ? query.data : "");
    }
    if (s->ended) m8_buf_str(&b, "#EXT-X-ENDLIST\n");
    pthread_mutex_unlock(&s->app->lock);
    if (sign) m8_http_set(r, "Cache-Control", "private, no-store");
    m8_http_reply_buf(r, 200, "application/vnd.apple.mpegurl", &b);
    m8_buf_finish(&b);
    m8_buf_finish(&query);
}

static void get_segment(m8_http_req *r, struct m8__stream *s, const char *name, size_t n)
{
    struct m8__piece *found = NULL;
    pthread_mutex_lock(&s->app->lock);
    for (size_t i = 0; !found && i < s->n_segments; i++)
        if (n == 36 && !memcmp(s->segment[i].id, name, 36)) found = s->segment[i].piece;
    pthread_mutex_unlock(&s->app->lock);
    if (!found) {
        m8_http_reply(r, 404, "text/plain; charset=utf-8", "Segment not found", 17);
        return;
    }
    m8_http_set(r, "Cache-Control", "private, max-age=3600, immutable");
    m8_http_reply(r, 200, "audio/aac", found->data, found->n);
}

static void get_joined(m8_http_req *r, struct m8__stream *s)
{
    m8_buf all = {0};
    pthread_mutex_lock(&s->app->lock);
    for (size_t i = 0; i < s->n_segments; i++) m8_buf_add(&all, s->segment[i].piece->data, s->segment[i].piece->n);
    pthread_mutex_unlock(&s->app->lock);
    reply_whole(r, &all, "audio/aac", "audio-stream.aac");
}

/* The stream of SESSION/RUN/COMPONENT/FILE, with a reference; *file is set. A session may be any text, so it is read from the end. */
static struct m8__stream *find(m8_blocks *app, const char *rest, const char **file)
{
    size_t cut[3]; /* where the last slashes are */
    size_t at = strlen(rest);
    for (int i = 2; i >= 0; i--) {
        while (at && rest[at - 1] != '/') at--;
        if (!at) return NULL;
        cut[i] = --at;
    }
    *file = rest + cut[2] + 1;
    if (cut[1] - cut[0] - 1 != M8__ID_LEN) return NULL;
    pthread_mutex_lock(&app->lock);
    struct m8__stream *s = app->streams->list;
    char component[16];
    for (; s; s = s->next) {
        if (memcmp(s->run, rest + cut[0] + 1, M8__ID_LEN)) continue;
        int n = snprintf(component, sizeof component, "%d", s->component);
        if (strlen(s->session) == cut[0] && !memcmp(s->session, rest, cut[0]) && (size_t)n == cut[2] - cut[1] - 1 &&
            !memcmp(component, rest + cut[1] + 1, (size_t)n))
            break;
    }
    if (s) s->refs++;
    pthread_mutex_unlock(&app->lock);
    return s;
}

static void get_stream(m8_http_req *r, void *user)
{
    const char *file = "";
    if (strcmp(m8_http_method(r), "GET")) {
        m8_http_set(r, "Allow", "GET");
        m8_http_refuse(r, 405, "Method Not Allowed");
        return;
    }
    struct m8__stream *s = find(user, m8_http_rest(r), &file);
    const char *dot = strrchr(file, '.');
    bool list = !strcmp(file, "playlist.m3u8"), joined = !strcmp(file, "playlist-file"), mp3 = !strcmp(file, "audio.mp3");
    if (dot && !list && !mp3 && strcmp(dot, ".aac") && strcmp(dot, ".ts")) m8_http_reply(r, 400, "text/plain; charset=utf-8", "Unsupported file extension", 26);
    else if (!s) m8_http_reply(r, 404, "text/plain; charset=utf-8", "Stream not found", list ? 0 : 16);
    else if (list) get_playlist(r, s);
    else if (joined) get_joined(r, s);
    else if (mp3) get_mp3(r, s);
    else if (dot) get_segment(r, s, file, (size_t)(dot - file));
    else m8_http_refuse(r, 404, "Not Found");
    if (s) m8__stream_unref(s);
}

m8_status m8__stream_routes(m8_blocks *app, m8_error *err)
{
    return m8__route(app, (m8_route){ .method = "GET", .path = M8__PREFIX "/stream/*", .handler = get_stream, .user = app }, err);
}
