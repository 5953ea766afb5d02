/* Streams: what of a run's sound is readable so far, who reads it, and until when it is kept.
 *
 *     handler's thread: open -> add, add, ... -> end            loop: playlist.m3u8, SEGMENT.aac, playlist-file, audio.mp3
 *
 * A stream can be found until its page has gone (forget), it has been idle for an hour, or newer ones need its memory. It is freed when nobody holds it.
 * audio.mp3 of a running stream is one answer that grows: add posts one wake-up to the loop, which gives each reader what he has not had yet; one who
 * reads slowly is given more when he has taken what he has. */
#include "stream.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { UNSENT = 128 << 10, PER_SESSION = 32, IDLE_S = 3600, AT_ONCE = 64, FRAME = 1024 };
#define STREAM_BYTES ((size_t)64 << 20)
#define ALL_BYTES ((size_t)256 << 20)
#define LAG_S 0.03

struct m8__streams {
    struct m8__stream *list;
    size_t bytes;
    int n;
    pthread_t loader; /* loads FFmpeg, so that the first sound needs not wait for it */
    bool loading, lagging; /* lagging: the loop's; a timer looks after slow readers */
};

static void free_stream(struct m8__stream *s)
{
    for (size_t i = 0; i < s->n_segments; i++) m8_free(s->segment[i].piece);
    for (size_t i = 0; i < s->n_mp3; i++) m8_free(s->mp3[i]);
    m8_free(s->segment);
    m8_free(s->mp3);
    m8_free(s->session);
    m8_free(s->path);
    m8_free(s);
}

/* Under app->lock. */
static void unref_locked(struct m8__stream *s)
{
    if (--s->refs) return;
    if (s->app->streams) s->app->streams->bytes -= s->bytes;
    free_stream(s);
}

static void unref(struct m8__stream *s)
{
    m8_blocks *app = s->app;
    pthread_mutex_lock(&app->lock);
    unref_locked(s);
    pthread_mutex_unlock(&app->lock);
}

static void post_wake(struct m8__stream *s);

/* Take a stream out of the list, under app->lock. */
static void unlist(struct m8__streams *all, struct m8__stream **at)
{
    struct m8__stream *s = *at;
    *at = s->next;
    all->n--;
    s->forgotten = true;
    post_wake(s); /* its readers' answers end */
    unref_locked(s);
}

static void *load(void *none)
{
    m8_audio_load(NULL);
    return none;
}

m8_status m8__streams_open(m8_blocks *app, m8_error *err)
{
    struct m8__streams *all = app->streams = m8_calloc(1, sizeof *all);
    if (!all) return m8_fail(err, M8_E_NOMEM, "streams: out of memory");
    bool sound = false;
    for (size_t i = 0; i < app->n_blocks; i++) {
        const char *type = app->blocks[i]->type ? app->blocks[i]->type->type : "";
        sound |= !strcmp(type, "audio") && json_is_true(json_object_get(app->blocks[i]->props, "streaming"));
    }
    unsigned long thread;
    if (sound && !m8_sys_get()->thread_create(&thread, load, NULL)) {
        all->loader = (pthread_t)thread;
        all->loading = true;
    }
    return M8_OK;
}

void m8__streams_close(m8_blocks *app)
{
    struct m8__streams *all = app->streams;
    if (!all) return;
    if (all->loading) pthread_join(all->loader, NULL);
    pthread_mutex_lock(&app->lock);
    while (all->list) {
        struct m8__stream *s = all->list;
        all->list = s->next;
        unref_locked(s);
    }
    app->streams = NULL;
    pthread_mutex_unlock(&app->lock);
    m8_free(all);
}

int m8__streams_count(m8_blocks *app)
{
    int n = 0;
    pthread_mutex_lock(&app->lock);
    for (struct m8__stream *s = app->streams ? app->streams->list : NULL; s; s = s->next) n += !s->ended;
    pthread_mutex_unlock(&app->lock);
    return n;
}

/* ---- the handler's thread */

/* Make room: ended streams go, this session's when it has many, anybody's when all together would be too big with n bytes more; the oldest first. */
static void evict(m8_blocks *app, const char *session, size_t n)
{
    struct m8__streams *all = app->streams;
    for (;;) {
        struct m8__stream **oldest = NULL, **oldest_mine = NULL;
        int mine = 0;
        for (struct m8__stream **at = &all->list; *at; at = &(*at)->next) {
            bool same = !strcmp((*at)->session, session);
            mine += same;
            if (!(*at)->ended) continue;
            oldest = at;
            if (same) oldest_mine = at;
        }
        if (mine > PER_SESSION && oldest_mine) unlist(all, oldest_mine);
        else if (all->bytes + n > ALL_BYTES && oldest) unlist(all, oldest);
        else return;
    }
}

m8_status m8__stream_open(m8_blocks *app, const char *session_hash, const m8_block *b, struct m8__stream **out, m8_error *err)
{
    *out = NULL;
    if (!session_hash || !*session_hash) return m8_fail(err, M8_E_ARG, "streaming needs a session");
    struct m8__stream *s = m8_calloc(1, sizeof *s);
    if (!s) return m8_fail(err, M8_E_NOMEM, "stream: out of memory");
    s->app = app;
    s->component = b->id;
    s->refs = 2;
    s->changed = m8_now_s();
    s->session = m8_strdup(session_hash);
    bool known = m8__random_hex(s->run, M8__ID_LEN);
    s->path = m8_sprintf("%s/%s/%d/playlist.m3u8", session_hash, s->run, b->id);
    m8_status st = M8_OK;
    if (!s->session || !s->path) st = m8_fail(err, M8_E_NOMEM, "stream: out of memory");
    else if (!known) st = m8_fail_errno(err, M8_E_IO, "random numbers");
    if (!st) st = m8__sound_new(s, err);
    if (st) {
        free_stream(s);
        return st;
    }
    pthread_mutex_lock(&app->lock);
    s->next = app->streams->list;
    app->streams->list = s;
    app->streams->n++;
    evict(app, session_hash, 0);
    pthread_mutex_unlock(&app->lock);
    *out = s;
    return M8_OK;
}

json_t *m8__stream_value(const struct m8__stream *s) { return m8__filedata(s->path, "audio-stream.mp3", -1, true); }

/* A pointer more in a list whose length doubles. */
static bool list_room(void *list, size_t n, size_t size)
{
    void **at = list;
    if (n & (n - 1)) return true;
    void *grown = m8_realloc(*at, (n ? 2 * n : 1) * size);
    if (grown) *at = grown;
    return grown != NULL;
}

static struct m8__piece *piece_new(const void *data, size_t n)
{
    struct m8__piece *p = m8_malloc(sizeof *p + n);
    if (!p) return NULL;
    p->n = n;
    memcpy(p->data, data, n);
    return p;
}

static bool uuid(char *out)
{
    char hex[33];
    if (!m8__random_hex(hex, 32)) return false;
    hex[12] = '4';
    hex[16] = "89ab"[hex[16] & 3];
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return true;
}

static m8_status add_locked(struct m8__stream *s, struct m8__segment *seg, struct m8__piece *mp3, m8_error *err)
{
    struct m8__streams *all = s->app->streams;
    size_t n = (seg->piece ? seg->piece->n : 0) + (mp3 ? mp3->n : 0);
    if (s->forgotten || s->ended) return m8_fail(err, M8_E_CANCELLED, "nobody listens any more");
    if (s->bytes + n > STREAM_BYTES) return m8_fail(err, M8_E_LIMIT, "the stream is longer than %zu bytes", STREAM_BYTES);
    if (all->bytes + n > ALL_BYTES) evict(s->app, s->session, n);
    if (all->bytes + n > ALL_BYTES) return m8_fail(err, M8_E_LIMIT, "there are too many streams");
    if ((seg->piece && !list_room(&s->segment, s->n_segments, sizeof *s->segment)) || (mp3 && !list_room(&s->mp3, s->n_mp3, sizeof *s->mp3)))
        return m8_fail(err, M8_E_NOMEM, "stream: out of memory");
    if (seg->piece) s->segment[s->n_segments++] = *seg;
    if (mp3) s->mp3[s->n_mp3++] = mp3;
    if (seg->frames > s->frames_most) s->frames_most = seg->frames;
    s->bytes += n;
    all->bytes += n;
    s->changed = m8_now_s();
    post_wake(s);
    return M8_OK;
}

m8_status m8__stream_add(struct m8__stream *s, const void *aac, size_t n_aac, uint32_t frames, int rate, const void *mp3, size_t n_mp3, m8_error *err)
{
    if (!n_aac && !n_mp3) return M8_OK;
    struct m8__segment seg = { .frames = n_aac ? frames : 0, .piece = n_aac ? piece_new(aac, n_aac) : NULL };
    struct m8__piece *p = n_mp3 ? piece_new(mp3, n_mp3) : NULL;
    m8_status st = M8_OK;
    if ((n_aac && !seg.piece) || (n_mp3 && !p)) st = m8_fail(err, M8_E_NOMEM, "stream: out of memory");
    else if (!uuid(seg.id)) st = m8_fail_errno(err, M8_E_IO, "random numbers");
    if (!st) {
        pthread_mutex_lock(&s->app->lock);
        if (n_aac) s->rate = rate;
        st = add_locked(s, &seg, p, err);
        pthread_mutex_unlock(&s->app->lock);
    }
    if (st) {
        m8_free(seg.piece);
        m8_free(p);
    }
    return st;
}

void m8__stream_end(struct m8__stream *s)
{
    if (!s) return;
    m8_blocks *app = s->app;
    m8__sound_end(s);
    pthread_mutex_lock(&app->lock);
    s->ended = true;
    s->changed = m8_now_s();
    post_wake(s);
    unref_locked(s);
    pthread_mutex_unlock(&app->lock);
}

/* ---- the loop: audio.mp3 */

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
    unref(s);
}

/* Under app->lock. */
static void post_wake(struct m8__stream *s)
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
        unref(found[i]);
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
    unref(s);
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
    m8_http_set(r, "Cache-Control", "no-store");
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
    m8_http_set(r, "Cache-Control", "no-store");
    m8_http_begin(r, 200, "audio/mpeg");
    pump(d);
}

/* ---- the loop: playlist and segments */

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
    m8_http_set(r, "Cache-Control", sign ? "private, no-store" : "no-store");
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
    if (s) unref(s);
}

void m8__streams_sweep(m8_blocks *app, double now)
{
    pthread_mutex_lock(&app->lock);
    for (struct m8__stream **at = &app->streams->list; *at;) {
        if ((*at)->ended && now > (*at)->changed + IDLE_S) unlist(app->streams, at);
        else at = &(*at)->next;
    }
    pthread_mutex_unlock(&app->lock);
}

void m8__streams_forget(m8_blocks *app, const char *session_hash)
{
    if (!app->streams || !session_hash || !*session_hash) return;
    pthread_mutex_lock(&app->lock);
    for (struct m8__stream **at = &app->streams->list; *at;) {
        if (!strcmp((*at)->session, session_hash)) unlist(app->streams, at);
        else at = &(*at)->next;
    }
    pthread_mutex_unlock(&app->lock);
}

m8_status m8__stream_routes(m8_blocks *app, m8_error *err)
{
    return m8__route(app, (m8_route){ .method = "GET", .path = M8__PREFIX "/stream/*", .handler = get_stream, .user = app }, err);
}
