/* Streams: what of a run's sound is readable so far, who reads it, and until when it is kept.
 *
 *     handler's thread: open -> add, add, ... -> end            loop: playlist.m3u8, SEGMENT.aac, playlist-file, audio.mp3
 *
 * A stream can be found until its page has gone (forget), it has been idle for an hour, or newer ones need its memory. It is freed when nobody
 * holds it. The routes are in listen.c. */
#include "stream.h"
#include <stdio.h>
#include <string.h>

enum { PER_SESSION = 32, IDLE_S = 3600 };
#define STREAM_BYTES ((size_t)64 << 20)
#define ALL_BYTES ((size_t)256 << 20)

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

void m8__stream_unref(struct m8__stream *s)
{
    m8_blocks *app = s->app;
    pthread_mutex_lock(&app->lock);
    unref_locked(s);
    pthread_mutex_unlock(&app->lock);
}

/* Take a stream out of the list, under app->lock. */
static void unlist(struct m8__streams *all, struct m8__stream **at)
{
    struct m8__stream *s = *at;
    *at = s->next;
    all->n--;
    s->forgotten = true;
    m8__stream_wake(s); /* its readers' answers end */
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
    m8__stream_wake(s);
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
    m8__stream_wake(s);
    unref_locked(s);
    pthread_mutex_unlock(&app->lock);
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
