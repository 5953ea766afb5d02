/* run_internal.h - what the files of "what runs" share: session.c channel.c queue.c cancel.c run.c call.c out.c message.c diff.c api*.c
 *
 *  A run (m8_call) is one event on its way; the functions that move it stand beside the arrows:
 *
 *      m8__join() --> WAITING --start()--> RUNNING --finish()--> DONE      (queue.c, run.c)
 *                        |                  |    ^
 *                        |        park()    v    | m8__resume()            streamed input, between two chunks: keeps its
 *                        |                 PARKED                          place in the group, but no thread
 *                        '--m8__cancel()--> DONE                           cancelled, its reader has gone, or nobody came to read
 *
 *  What it says goes into a channel, and from there to one reader: the session's (queue/data), its own (call/NAME/EVENT),
 *  or the one reply to run/NAME. A run is mute once its visitor was told its end (a cancel) or is gone; its handler may still be at work.
 *
 *  All of it is under app->lock. Who frees: sessions and readers the loop only; a run whoever lets go of it last. */
#ifndef M8_RUN_INTERNAL_H
#define M8_RUN_INTERNAL_H

#include "ui_internal.h"
#include <stdatomic.h>

/* ---- doubly linked lists ---------------------------------------------------------------------------------------------- */

struct m8__node {
    struct m8__node *prev, *next; /* NULL: in no list */
};
#define M8__OF(type, field, node) ((type *)((char *)(node) - offsetof(type, field)))

static inline void m8__list_init(struct m8__node *list) { list->prev = list->next = list; }
static inline bool m8__list_empty(const struct m8__node *list) { return list->next == list; }
static inline void m8__list_add(struct m8__node *list, struct m8__node *n) /* at the end */
{
    n->prev = list->prev;
    n->next = list;
    list->prev->next = n;
    list->prev = n;
}
static inline void m8__list_del(struct m8__node *n) /* harmless in no list */
{
    if (!n->next) return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
}

/* ---- channels and readers ----------------------------------------------------------------------------------------------- */

enum {
    M8__HASH_MOST = 256,           /* bytes of a session hash */
    M8__OUTBOX_MOST = 256 * 1024,  /* bytes that wait for a reader before handlers wait, too */
    M8__SPARES_MOST = 4,           /* further readers of one session */
    M8__HEARTBEATS_MOST = 16,      /* of one session */
    M8__BEAT_S = 15,
    M8__DIRECT_THREADS = 64,       /* beside those of max_threads */
};

enum m8__channel_kind { M8__SESSION, M8__CALL, M8__DIRECT };

/* Messages on their way to one reader. */
struct m8__channel {
    m8_buf text;                     /* what no reader has yet, as it goes on the wire; without memory while empty */
    struct m8__reader *reader;       /* NULL: nobody reads now */
    struct m8__channel *next_ready;
    struct m8__node unread;          /* in queue->unread while something waits and nobody reads, the longest first */
    double since;                    /* of unread */
    uint8_t kind;
    bool ready, stuck;               /* in queue->ready; its reader is slow */
    bool hurries;                    /* its last end was a cancel: clients then close the stream themselves */
    int n_joined;                    /* runs since the stream was last closed */
    int n_open;                      /* runs that have not told their end */
    int n_blocked;                   /* handlers that wait for room */
    int status;                      /* M8__DIRECT: of the reply; 0: none yet */
    void *owner;                     /* the session, or the run */
};

/* An open event stream, or the request of a run/NAME. Its memory is the request's. */
struct m8__reader {
    m8_blocks *app;
    m8_http_req *r;
    struct m8__channel *channel;     /* NULL: it has none (any more) */
    struct m8__session *session;     /* of heartbeats and spare readers */
    struct m8__node beat;            /* in queue->beats[second] */
    struct m8__node spare;           /* in session->spares */
    bool heartbeat;
};

/* ---- sessions ------------------------------------------------------------------------------------------------------------ */

struct m8__value {                   /* a State of a session */
    const m8_block *block;
    json_t *value;                   /* never changed in place: handlers share it */
    double used;
};

struct m8__datum {                   /* m8_call_data() */
    struct m8__datum *next;
    const void *key;
    void (*finish)(void *data);
    _Alignas(16) char data[];
};

#define M8__LATE_S 5                 /* a stream that is asked for so late ends as if it had been there */

struct m8__session {
    struct m8__session *next;        /* in its bucket */
    struct m8__node lru;             /* the least used first */
    struct m8__node closed;          /* in sessions->closed while closed_at is set */
    struct m8__node runs;            /* m8_call.in_session */
    struct m8__node spares;
    struct m8__channel channel;
    m8_blocks *app;
    struct m8__value *values;
    struct m8__datum *data;
    double closed_at;                /* the last heartbeat ended then; 0: none did, or there is one */
    double said_all_at;              /* its stream ended then; 0: never, or it broke off */
    const void *said_all_on;         /* on this connection; to be compared, no more */
    const void *connection;          /* of its last request; to be compared, no more */
    bool several;                    /* its requests come on several connections, so perhaps at once */
    bool fetches;                    /* its client works by fetch() */
    double quiet_at;                 /* all was said then */
    bool lingered;                   /* its stream has stayed open long enough */
    m8_http_timer *linger;           /* see channel.c */
    int n_values, n_heartbeats;
    bool files_gone, unloading;
    char hash[];
};

/* ---- the queue -------------------------------------------------------------------------------------------------------------- */

struct m8__group {
    const char *id;                  /* of events that share it; NULL: one event's own */
    int limit;                       /* -1: none */
    int running;
    int n_waiting;
    struct m8__node waiting, active; /* m8_call.in_group */
    struct m8__node runnable;        /* in queue->runnable: somebody waits and may run */
    struct m8__node dirty;           /* in queue->dirty: those that wait are to be told their rank */
    double told_at;
    bool direct;                     /* events with queue false: no limits */
    bool named;                      /* some event names its limit */
};

struct m8__plan {                    /* of an event */
    bool stream_in;                  /* connection "stream" */
    bool unload;
    bool *watched;                   /* [n_out] a State with a change listener */
    bool *state_in, *state_out;
    int n_states_in;
    int n_waiting;
    uint64_t n_done, n_failed;
    double done_s;                   /* of whole runs that succeeded: eta */
    uint64_t n_steps;
    double steps_s;                  /* of values: average_duration */
    float *took;                     /* [M8__TOOK] the last runs, with monitoring */
    uint64_t n_took;
};
enum { M8__TOOK = 256 };

enum { M8__BUCKETS = 1024 };

struct m8__queue {
    m8_blocks *app;
    pthread_cond_t work, room, settled; /* settled: a cancel callback has returned, or a thread has ended */
    struct m8__group *groups;
    size_t n_groups;
    struct m8__group direct;
    struct m8__node runnable, go /* started runs that no thread has yet */, dirty, parked, unread, progress;
    struct m8__node beats[M8__BEAT_S];
    struct m8__channel *ready;
    m8_call *table[M8__BUCKETS];
    unsigned long *threads;
    int n_threads, most_threads, n_idle, n_wakes;
    unsigned char random[512];       /* for ids; the loop's */
    size_t n_random;
    bool later;                      /* whoever holds the lock will signal n_signals times once he has let go of it */
    int n_signals;
    bool hands;                      /* this thread is about to look for work: nobody need be woken for the next run */
    int n_running, most_running;     /* queued runs at work: max_threads */
    int n_waiting, most_waiting;     /* -1: no limit */
    int n_unread, second;
    bool posted, closing, stopped, ranks_timed, progress_timed, stuck_timed, started;
    m8_http_timer *tick, *ranks_timer, *progress_timer, *stuck_timer;
    m8_ui_stats stats;
};

/* ---- a run -------------------------------------------------------------------------------------------------------------------- */

/* What is kept of the request that asked for it; one block. */
struct m8__about {
    const char *root, *query, *peer, *user; /* user NULL: nobody is logged in */
    const char *headers;                    /* name NUL value NUL ..., an empty name ends it */
};

struct m8__out {
    json_t *value;                   /* as the handler gave it, then as on the wire; NULL: not written */
    json_t *said;                    /* what the visitor has */
    struct m8__stream *stream;
    m8_call *call;                   /* for the sink */
    int index, rate;
    bool raw, update;                /* value is not yet as on the wire; it is a property update */
};

enum m8__state { M8__WAITING, M8__RUNNING, M8__PARKED, M8__DONE };

struct m8_call {
    m8_blocks *app;
    m8_event *event;
    struct m8__session *session;     /* NULL: none */
    struct m8__channel *channel;     /* NULL: an unload event */
    struct m8__channel own;
    struct m8__about *about;
    m8_call *next_id;
    struct m8__node in_group, in_session, in_list /* of queue: go, parked */, in_progress;
    json_t *in, *event_data;         /* in: an array */
    char **texts;                    /* of m8_in_json() and the like, [n_in]; NULL: none made */
    struct m8__kept { struct m8__kept *next; char text[]; } *kept;
    struct m8__out *out;             /* [n_out] */
    struct m8__made *made;           /* files of bytes it has given out, see out.c */
    char *said_no;                   /* what a component had against an input, for the visitor; or the text of m8_raise() */
    char *title;
    double duration_s;
    bool hidden, raised;
    m8_buf line;                     /* the message that is being made */
    m8_buf progress;                 /* not yet sent; under the lock */
    double progress_at;
    double started, step;            /* when it began, when this value was begun; after that seconds */
    int refs;
    int n_said;                      /* values so far */
    m8_status broken;                /* an output could not be taken */
    uint8_t state, kind;
    bool follows;                    /* in the batch of another */
    atomic_bool mute, cancelled;     /* they only become true */
    bool in_callback;
    void (*on_cancel)(void *user);
    void *on_cancel_user;
    m8_call **batch;                 /* [n_batch], the leader first; its leader's */
    int n_batch;
    json_t *chunk;                   /* streamed input: the next, preprocessed; the newest wins */
    bool chunks_end;
    double spent_s, parked_at;
    void *lease;
    char id[33];
};

/* out.c */
void m8__made_free(m8_call *c);

/* json_text.c */
void m8__put_text(m8_buf *out, const char *s, size_t n); /* with quotes; valid UTF-8 */
void m8__put_real(m8_buf *out, double x);                /* as short as reads back the same; null where it is no number */
void m8__put_seconds(m8_buf *out, double s);             /* to the microsecond */
json_t *m8__text_value(const char *s, size_t n);         /* new; what is no UTF-8 becomes U+FFFD, a NUL too; NULL: no memory */

/* diff.c: edits that make b of a (section 7): appends a JSON list */
void m8__diff(m8_buf *out, const json_t *a, const json_t *b);

/* message.c: each appends one message of c as its channel writes it; nothing where that channel leaves it out */
void m8__say_estimation(m8_buf *out, const m8_call *c, int rank, int size, double eta /* < 0: unknown */);
void m8__say_starts(m8_buf *out, const m8_call *c);
void m8__say_progress(m8_buf *out, const m8_call *c, const double *fraction, const int64_t *index, const int64_t *length, const char *unit,
                      const char *desc);
void m8__say_log(m8_buf *out, const m8_call *c, const char *level, const char *text, const m8_toast_opts *opts, const char *title);
/* A value in two halves: `data` (made without the lock) goes into the middle. */
void m8__say_data(m8_buf *out, m8_call *c, bool diff);
void m8__write_value(m8_buf *out, m8_call *c, const m8_buf *data, bool last, double took, double mean, const char *changed);
void m8__say_error(m8_buf *out, m8_call *c, m8_status st, const m8_error *err);
void m8__say_cancelled(m8_buf *out, const m8_call *c);
void m8__say_lost(m8_buf *out, const char *message, bool unknown); /* unexpected_error */

/* channel.c */
void m8__channel_init(struct m8__channel *ch, enum m8__channel_kind kind, void *owner);
void m8__channel_finish(struct m8__queue *q, struct m8__channel *ch);
/* Lock held. Append; wake the loop if a reader waits. m8_buf's failures are sticky: the reader is told then that the stream broke. */
void m8__channel_put(struct m8__queue *q, struct m8__channel *ch, const void *text, size_t n);
void m8__channel_ready(struct m8__queue *q, struct m8__channel *ch);  /* lock held: let the loop look at it */
bool m8__channel_room(m8_call *c);  /* lock held: wait until there is room. false: nobody will read */
void m8__post(struct m8__queue *q);                                   /* lock held: have the loop look at what is ready */
void m8__read_session(m8_blocks *app, m8_http_req *r, const char *hash); /* loop: queue/data */
void m8__read_call(m8_blocks *app, m8_http_req *r, const char *name, size_t n_name, const char *id);
void m8__read_direct(m8_call *c, m8_http_req *r); /* lock held */
void m8__read_never(m8_call *c);                                       /* lock held: its request is answered otherwise */
void m8__read_heartbeat(m8_blocks *app, m8_http_req *r, const char *hash);
void m8__readers_beat(m8_blocks *app);                                /* loop: each second */
void m8__readers_stop(m8_blocks *app);                                /* loop: the server stops */

/* session.c: lock held, but where told */
struct m8__session *m8__session_find(m8_blocks *app, const char *hash);
void m8__session_seen(struct m8__session *s, const m8_http_req *r); /* a request of it; lock held */
struct m8__session *m8__session_get(m8_blocks *app, const char *hash); /* made if it is not there; NULL: no memory, or all are at work. Loop */
void m8__session_check(struct m8__session *s);                        /* loop: free it if nothing is left to remember */
json_t *m8__session_value(struct m8__session *s, const m8_block *b);   /* new reference; s may be NULL */
bool m8__session_set(struct m8__session *s, const m8_block *b, json_t *value); /* taken */
void m8__session_closed(struct m8__session *s, m8_http_req *r);        /* loop: its last heartbeat has ended; lock let go of meanwhile */
void m8__sessions_tick(m8_blocks *app, double now);                    /* loop, lock not held */
int m8__sessions_count(const m8_blocks *app);

/* queue.c */
struct m8__group *m8__group_of(const m8_event *e);
m8_status m8__enqueue(m8_call *c, m8_error *err);  /* lock held; M8_E_LIMIT: full; M8_E_NOMEM: no thread could be had */
void m8__resume(m8_call *c);                       /* lock held: a parked run has a chunk, or its end */
void m8__leave(m8_call *c, bool thread);           /* lock held: out of its group and session; lets the next one in. thread: called by the one that ran it */
void m8__park(m8_call *c);                         /* lock held */
void m8__absorb(m8_call *c);                       /* lock held: others of its event, up to a batch */
void m8__ranks_tell(struct m8__queue *q);          /* loop, lock held */
void m8__unlist(struct m8__queue *q, m8_call *c);  /* lock held: out of the table of ids */
void m8__queue_absent(struct m8__queue *q, double now); /* loop, lock held */
double m8__rank_eta(const m8_call *c);             /* lock held; below 0: unknown */
double m8__mean(const struct m8__plan *p);         /* below 0: unknown */
void m8__queue_tick(m8_blocks *app, double now);
m8_call *m8__run_find(m8_blocks *app, const char *id); /* lock held */
double m8__queue_wait(const m8_blocks *app, const m8_event *e); /* lock held: seconds until a place is free, a guess */

/* cancel.c */
void m8__cancel(m8_call *c, bool tell);            /* lock held, let go of for callbacks; tell: the visitor gets process_completed */
void m8__cancel_session(struct m8__session *s, bool tell);   /* all of its runs */
void m8__channel_absent(struct m8__queue *q, struct m8__channel *ch, bool all);
void m8__chunks_end(struct m8__session *s);        /* lock held: its streamed inputs end */

/* run.c */
m8_call *m8__run_new(m8_event *e, struct m8__session *s, enum m8__channel_kind kind, m8_error *err);
void m8__run_unref(m8_call *c);                    /* lock not held */
void m8__run_go(m8_call *c);                       /* a thread of the queue */
m8_status m8__run_say(m8_call *c, bool last);      /* the outputs as they stand */
void m8__run_told(m8_call *c);                     /* lock held: its last message is out, or nobody wants any more */
void m8__run_drop(m8_call *c);                     /* lock held: as m8__run_unref() */
void m8__run_states(m8_call *c);                   /* lock held: State inputs as they are now */
void m8__progress_flush(m8_call *c);               /* lock held */

/* inputs.c */
m8_status m8__inputs(m8_blocks *app, struct m8__session *s, const m8_event *e, json_t *data, json_t **out, char **said_no, m8_error *err);
struct m8__about *m8__about_new(m8_blocks *app, m8_http_req *r); /* NULL: no memory */

/* api_call.c */
bool m8__join_unload(m8_blocks *app, m8_http_req *r, m8_event *e, struct m8__session *s, m8_error *err); /* lock not held */
void m8__route_join(m8_http_req *r, void *user);
void m8__route_call(m8_http_req *r, void *user);
void m8__route_call_v2(m8_http_req *r, void *user);
void m8__route_run(m8_http_req *r, void *user);
void m8__route_chunk(m8_http_req *r, void *user);
void m8__refuse_type(m8_http_req *r, const char *field, const char *type, const char *what, const json_t *input);

/* queue_open.c */
void m8__queue_free(m8_blocks *app); /* behind m8__queue_close() and m8__sessions_close() */

#endif
