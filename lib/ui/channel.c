/* Channels and their readers: how what a run says gets to its visitor.
 *
 *  Handlers append to a channel's text under the lock; the first to make a channel ready posts one call of flush() to the loop, which takes
 *  the texts of all that are ready at once. A reader that does not keep up leaves its text where it is; handlers then wait in m8__channel_room().
 *
 *  Each channel has one reader. A second one of the same session waits as a spare with heartbeats only: it takes none of the first one's
 *  messages, and becomes the reader when that has ended and something is still open. When a reader breaks off, the visitor is gone: what waits is
 *  dropped, what runs is cancelled, what was not read is thrown away. */
#include "run_internal.h"
#include <string.h>

enum { UNSENT_MOST = 256 * 1024 };
#define STUCK_S 0.005
#define LINGER_S 0.15 /* longer than a busy page takes from one answer to its next question */
static const char close_stream[] = "data: {\"msg\":\"close_stream\",\"event_id\":null}\n\n";
static const char SSE[] = "text/event-stream; charset=utf-8";

void m8__channel_init(struct m8__channel *ch, enum m8__channel_kind kind, void *owner)
{
    *ch = (struct m8__channel){.kind = (uint8_t)kind, .owner = owner};
}

static void is_read(struct m8__queue *q, struct m8__channel *ch)
{
    if (!ch->unread.next) return;
    m8__list_del(&ch->unread);
    q->n_unread--;
}

void m8__channel_finish(struct m8__queue *q, struct m8__channel *ch)
{
    is_read(q, ch);
    if (ch->ready) {
        struct m8__channel **at = &q->ready;
        while (*at && *at != ch) at = &(*at)->next_ready;
        if (*at) *at = ch->next_ready;
        ch->ready = false;
    }
    m8_buf_finish(&ch->text);
}

static void flush(void *user);

void m8__post(struct m8__queue *q)
{
    if (!q->posted && !q->stopped) q->posted = m8_http_post(q->app->http, flush, q->app);
}

void m8__channel_ready(struct m8__queue *q, struct m8__channel *ch)
{
    if (!ch->ready) {
        ch->ready = true;
        ch->next_ready = q->ready;
        q->ready = ch;
    }
    m8__post(q);
}

void m8__channel_put(struct m8__queue *q, struct m8__channel *ch, const void *text, size_t n)
{
    m8_buf_add(&ch->text, text, n);
    if (ch->reader) {
        if (!ch->stuck) m8__channel_ready(q, ch);
    } else if (!ch->unread.next) {
        ch->since = m8_now_s();
        m8__list_add(&q->unread, &ch->unread);
        q->n_unread++;
    }
}

bool m8__channel_room(m8_call *c)
{
    struct m8__channel *ch = c->channel;
    struct m8__queue *q = c->app->queue;
    while (ch && ch->kind != M8__DIRECT && ch->text.len > M8__OUTBOX_MOST && !c->mute && !q->closing) {
        ch->n_blocked++;
        pthread_cond_wait(&q->room, &c->app->lock);
        ch->n_blocked--;
    }
    return !c->mute && !q->closing;
}

/* ---- readers: all on the loop ------------------------------------------------------------------------------------------------- */

static void reader_ended(void *user, bool gone);

static struct m8__reader *reader_new(m8_blocks *app, m8_http_req *r)
{
    struct m8__reader *reader = m8_http_alloc(r, sizeof *reader);
    if (!reader) {
        m8_http_refuse(r, 503, "out of memory");
        return NULL;
    }
    reader->app = app;
    reader->r = r;
    return reader;
}

/* The answer begins, and goes on until somebody ends it. */
static void reader_begin(struct m8__reader *reader)
{
    m8_http_set(reader->r, "Cache-Control", "no-cache");
    m8_http_set(reader->r, "X-Accel-Buffering", "no");
    m8_http_begin(reader->r, 200, SSE);
    m8_http_on_end(reader->r, reader_ended, reader);
    m8__list_add(&reader->app->queue->beats[reader->app->queue->second], &reader->beat);
}

static void attach(struct m8__queue *q, struct m8__channel *ch, struct m8__reader *reader)
{
    is_read(q, ch);
    ch->reader = reader;
    ch->stuck = false;
    reader->channel = ch;
    reader->session = ch->kind == M8__SESSION ? ch->owner : NULL;
}

static void detach(struct m8__reader *reader)
{
    if (reader->channel) reader->channel->reader = NULL;
    reader->channel = NULL;
    reader->session = NULL;
    m8__list_del(&reader->beat);
    m8__list_del(&reader->spare);
}

/* The last words to somebody whose channel is no more. */
static void finish(struct m8__reader *reader, const char *last)
{
    detach(reader);
    if (last) m8_http_write(reader->r, last, strlen(last));
    m8_http_end(reader->r);
}

static void spares_end(struct m8__session *s, const char *last)
{
    while (!m8__list_empty(&s->spares)) {
        struct m8__reader *spare = M8__OF(struct m8__reader, spare, s->spares.next);
        detach(spare);
        pthread_mutex_unlock(&s->app->lock);
        finish(spare, last);
        pthread_mutex_lock(&s->app->lock);
    }
}

static void lost_text(m8_buf *out, const char *message, bool unknown)
{
    m8__say_lost(out, message, unknown);
    if (out->status) m8_buf_clear(out);
}

/* A session's stream ends as it should. Lock held. */
static void all_is_said(struct m8__session *s, const m8_http_req *r, m8_buf *text)
{
    s->said_all_at = m8_now_s();
    s->said_all_on = m8_http_connection(r);
    s->lingered = false;
    s->channel.n_joined = 0;
    m8_buf_str(text, close_stream);
}

/* All is said, and `text` is the rest of it (it may be empty). The lock is held, and let go of. */
static void say_all(struct m8__channel *ch, struct m8__reader *reader, m8_buf *text)
{
    m8_blocks *app = reader->app;
    detach(reader);
    if (ch->kind == M8__SESSION) all_is_said(ch->owner, reader->r, text);
    pthread_mutex_unlock(&app->lock);
    if (text->status) m8_http_abort(reader->r);
    else if (ch->kind == M8__DIRECT) m8_http_reply_buf(reader->r, ch->status ? ch->status : 500, "application/json", text);
    else {
        m8_http_write(reader->r, text->data, text->len);
        m8_http_end(reader->r);
    }
    pthread_mutex_lock(&app->lock);
    if (ch->kind == M8__SESSION) {
        struct m8__session *s = ch->owner;
        spares_end(s, close_stream);
        m8__session_check(s);
    } else {
        m8__run_drop(ch->owner); /* the reader's share */
    }
}

static bool flush_one(m8_blocks *app, struct m8__channel *ch);

static void linger_due(void *user)
{
    struct m8__session *s = user;
    m8_blocks *app = s->app;
    pthread_mutex_lock(&app->lock);
    s->linger = NULL;
    double left = s->quiet_at + LINGER_S - m8_now_s();
    if (s->channel.reader && !s->channel.n_open && left > 0.001) s->linger = m8_http_timer_new(app->http, left, 0, linger_due, s); /* one more came */
    if (s->channel.reader && !s->channel.n_open && !s->linger) {
        s->lingered = true;
        flush_one(app, &s->channel); /* it may free s */
    }
    pthread_mutex_unlock(&app->lock);
}

/* The JavaScript client opens a stream when a join is answered and it has none open. So the answer of a join must not come, on a connection of its
 * own, while the end of the session's stream is still on its way: the client would think that one open, and wait for ever. A session whose requests come
 * on several connections therefore keeps its stream for a moment when all is said; what joins meanwhile goes on in it.
 * Not so if the stream carried one event of a client that is no fetch(): the Python client asks one thing after another, each some time after it has
 * heard of the end of the one before, and it is the later end that its next question would meet. And not behind a cancel, for then clients close it. */
static bool may_share(const struct m8__session *s) { return s->channel.n_joined > 1 || (s->several && s->fetches); }

static bool lingers(struct m8__session *s)
{
    if (!may_share(s) || s->lingered || s->channel.hurries) return false;
    s->quiet_at = m8_now_s();
    if (!s->linger) s->linger = m8_http_timer_new(s->app->http, LINGER_S, 0, linger_due, s);
    return s->linger != NULL;
}

/* What is ready goes out. The lock is held, and let go of while writing. Returns true if the reader is too slow for more. */
static bool flush_one(m8_blocks *app, struct m8__channel *ch)
{
    struct m8__queue *q = app->queue;
    struct m8__reader *reader = ch->reader;
    if (!reader) {
        if (ch->kind == M8__SESSION) m8__session_check(ch->owner);
        return false;
    }
    if (ch->kind == M8__DIRECT && ch->n_open) return false;
    ch->stuck = ch->kind != M8__DIRECT && m8_http_unsent(reader->r) >= UNSENT_MOST;
    if (ch->stuck) return true;
    m8_buf text = ch->text;
    ch->text = (m8_buf){0};
    if (ch->n_blocked) pthread_cond_broadcast(&q->room);
    if (!ch->n_open && !(ch->kind == M8__SESSION && lingers(ch->owner))) {
        say_all(ch, reader, &text);
        m8_buf_finish(&text);
        return false;
    }
    pthread_mutex_unlock(&app->lock);
    if (text.status) m8_http_abort(reader->r); /* a message is lost for want of memory: better no stream than one with a hole */
    else m8_http_write(reader->r, text.data, text.len);
    m8_buf_finish(&text);
    pthread_mutex_lock(&app->lock);
    return false;
}

static void stuck_due(void *user)
{
    m8_blocks *app = user;
    pthread_mutex_lock(&app->lock);
    app->queue->stuck_timer = NULL;
    pthread_mutex_unlock(&app->lock);
    flush(user);
}

static void flush(void *user)
{
    m8_blocks *app = user;
    struct m8__queue *q = app->queue;
    pthread_mutex_lock(&app->lock);
    q->posted = false; /* what comes from now on is for the next turn: a fast generator must not keep the loop here */
    m8__ranks_tell(q);
    struct m8__channel *todo = q->ready, *slow = NULL;
    q->ready = NULL;
    while (todo) {
        struct m8__channel *ch = todo;
        todo = ch->next_ready;
        ch->ready = false;
        if (!flush_one(app, ch)) continue;
        ch->ready = true;
        ch->next_ready = slow;
        slow = ch;
    }
    while (slow) {
        struct m8__channel *ch = slow;
        slow = ch->next_ready;
        ch->next_ready = q->ready;
        q->ready = ch;
        if (!q->stuck_timer && !q->stopped) q->stuck_timer = m8_http_timer_new(app->http, STUCK_S, 0, stuck_due, app);
    }
    if (q->ready && !q->stuck_timer) m8__post(q);
    pthread_mutex_unlock(&app->lock);
}

/* ---- who comes to read ------------------------------------------------------------------------------------------------------- */

static void reply_text(m8_http_req *r, m8_buf *text)
{
    m8_http_set(r, "Cache-Control", "no-cache");
    if (text->status) m8_http_refuse(r, 503, "out of memory");
    else m8_http_reply_buf(r, 200, SSE, text);
    m8_buf_finish(text);
}

static void read_on(m8_blocks *app, struct m8__reader *reader, struct m8__channel *ch) /* lock held, let go of */
{
    attach(app->queue, ch, reader);
    m8_buf text = ch->text;
    ch->text = (m8_buf){0};
    if (ch->n_blocked) pthread_cond_broadcast(&app->queue->room);
    if (ch->kind == M8__SESSION && !ch->n_open && !lingers(ch->owner)) m8__channel_ready(app->queue, ch); /* all is said */
    pthread_mutex_unlock(&app->lock);
    reader_begin(reader);
    if (text.status) m8_http_abort(reader->r);
    else m8_http_write(reader->r, text.data, text.len);
    m8_buf_finish(&text);
}

void m8__read_session(m8_blocks *app, m8_http_req *r, const char *hash)
{
    m8_buf text = {0};
    pthread_mutex_lock(&app->lock);
    struct m8__session *s = m8__session_find(app, hash);
    struct m8__channel *ch = s ? &s->channel : NULL;
    if (s) m8__session_seen(s, r);
    if (!ch || (!ch->n_open && !ch->text.len)) {
        /* a stream that was asked for while the last one told all that it was meant for: calls at once do that */
        bool late = ch && s->said_all_at > 0 && m8_now_s() - s->said_all_at < M8__LATE_S;
        pthread_mutex_unlock(&app->lock);
        if (late) m8_buf_str(&text, close_stream);
        else m8__say_lost(&text, "404: Not Found", true);
        reply_text(r, &text);
        return;
    }
    if (!ch->reader && !ch->n_open && !may_share(s)) { /* all is said already, as with most quick functions: one answer */
        is_read(app->queue, ch);
        text = ch->text;
        ch->text = (m8_buf){0};
        all_is_said(s, r, &text);
        m8__session_check(s);
        pthread_mutex_unlock(&app->lock);
        reply_text(r, &text);
        return;
    }
    int n = 0;
    for (struct m8__node *i = s->spares.next; i != &s->spares; i = i->next) n++;
    struct m8__reader *reader = NULL;
    if (n >= M8__SPARES_MOST) m8_http_refuse(r, 429, "Too many readers of this session.");
    else reader = reader_new(app, r);
    if (reader && !ch->reader) {
        read_on(app, reader, ch);
        return;
    }
    if (reader) {
        reader->session = s;
        m8__list_add(&s->spares, &reader->spare);
    }
    pthread_mutex_unlock(&app->lock);
    if (reader) reader_begin(reader);
}

void m8__read_call(m8_blocks *app, m8_http_req *r, const char *name, size_t n_name, const char *id)
{
    m8_buf text = {0};
    pthread_mutex_lock(&app->lock);
    m8_call *c = m8__run_find(app, id);
    struct m8__channel *ch = c ? &c->own : NULL;
    if (!c || c->kind != M8__CALL || ch->reader || strlen(c->event->api_name) != n_name || memcmp(c->event->api_name, name, n_name)) {
        pthread_mutex_unlock(&app->lock);
        m8_buf_str(&text, "event: error\ndata: \"404: Not Found\"\n\n");
        reply_text(r, &text);
        return;
    }
    if (!ch->n_open) {
        is_read(app->queue, ch);
        text = ch->text;
        ch->text = (m8_buf){0};
        m8__run_drop(c);
        pthread_mutex_unlock(&app->lock);
        reply_text(r, &text);
        return;
    }
    struct m8__reader *reader = reader_new(app, r);
    if (reader) read_on(app, reader, ch);
    else pthread_mutex_unlock(&app->lock);
}

void m8__read_direct(m8_call *c, m8_http_req *r) /* lock held */
{
    struct m8__reader *reader = reader_new(c->app, r);
    if (!reader) return;
    attach(c->app->queue, &c->own, reader);
    m8_http_on_end(r, reader_ended, reader);
}

void m8__read_never(m8_call *c)
{
    if (c->own.reader) detach(c->own.reader);
}

void m8__read_heartbeat(m8_blocks *app, m8_http_req *r, const char *hash)
{
    pthread_mutex_lock(&app->lock);
    struct m8__session *s = m8__session_get(app, hash);
    struct m8__reader *reader = NULL;
    if (!s) m8_http_refuse(r, 503, "Too many sessions.");
    else if (s->n_heartbeats >= M8__HEARTBEATS_MOST) m8_http_refuse(r, 429, "Too many heartbeats of this session.");
    else reader = reader_new(app, r);
    if (reader) {
        reader->session = s;
        reader->heartbeat = true;
        s->n_heartbeats++;
    } else if (s) {
        m8__session_check(s);
    }
    pthread_mutex_unlock(&app->lock);
    if (!reader) return;
    reader_begin(reader);
    m8_http_write(r, "data: ALIVE\n\n", 13);
}

/* ---- who goes ------------------------------------------------------------------------------------------------------------------ */

static void reader_ended(void *user, bool gone)
{
    struct m8__reader *reader = user;
    m8_blocks *app = reader->app;
    struct m8__channel *ch = reader->channel;
    pthread_mutex_lock(&app->lock);
    struct m8__session *s = reader->session;
    bool heartbeat = reader->heartbeat, spare = reader->spare.next;
    detach(reader);
    if (heartbeat && s) {
        if (!--s->n_heartbeats) m8__session_closed(s, reader->r);
        m8__session_check(s);
    } else if (spare) {
        m8__session_check(s);
    } else if (ch && ch->kind == M8__SESSION) {
        m8__cancel_session(s, false);
        s->said_all_at = 0;
        ch->n_joined = 0;
        m8_buf_finish(&ch->text);
        m8_buf text = {0};
        lost_text(&text, "The reader before this one has gone.", true);
        spares_end(s, text.len ? text.data : NULL);
        m8_buf_finish(&text);
        m8__session_check(s);
    } else if (ch) {
        m8_call *c = ch->owner;
        m8__cancel(c, false);
        m8__run_drop(c);
    }
    pthread_mutex_unlock(&app->lock);
}

/* ---- time passes ------------------------------------------------------------------------------------------------------------------ */

void m8__readers_beat(m8_blocks *app)
{
    static const char *const texts[] = {[M8__SESSION] = "data: {\"msg\":\"heartbeat\",\"event_id\":null}\n\n",
                                        [M8__CALL] = "event: heartbeat\ndata: null\n\n"};
    struct m8__queue *q = app->queue;
    flush(app); /* should a post have failed for want of memory */
    q->second = (q->second + 1) % M8__BEAT_S;
    struct m8__node *list = &q->beats[q->second], *next;
    for (struct m8__node *n = list->next; n != list; n = next) {
        next = n->next;
        struct m8__reader *reader = M8__OF(struct m8__reader, beat, n);
        if (m8_http_unsent(reader->r)) continue; /* it has enough to read */
        const char *text = reader->heartbeat ? "data: ALIVE\n\n" : texts[reader->channel ? reader->channel->kind : M8__SESSION];
        m8_http_write(reader->r, text, strlen(text));
    }
}

/* The server stops: pages are let go; whoever waits for nothing that runs is told. */
void m8__readers_stop(m8_blocks *app)
{
    struct m8__queue *q = app->queue;
    m8_buf text = {0};
    lost_text(&text, "The server is stopping.", false);
    for (int i = 0; i < M8__BEAT_S; i++) {
        struct m8__node *list = &q->beats[i], *next;
        for (struct m8__node *n = list->next; n != list; n = next) {
            next = n->next;
            struct m8__reader *reader = M8__OF(struct m8__reader, beat, n);
            if (reader->channel && reader->channel->n_open) continue;
            if (reader->heartbeat) { /* no unload, nothing to forget: all ends anyway */
                pthread_mutex_lock(&app->lock);
                reader->session->n_heartbeats--;
                pthread_mutex_unlock(&app->lock);
            }
            finish(reader, reader->heartbeat ? NULL : text.data);
        }
    }
    m8_buf_finish(&text);
}
