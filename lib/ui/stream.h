/* stream.h - a stream of sound that grows: what stream.c (store), sound.c (encoders) and listen.c (routes) share. */
#ifndef M8__UI_STREAM_H
#define M8__UI_STREAM_H

#include "serve.h"

/* Bytes that are readable: once listed they never change, so that they are sent without a lock. */
struct m8__piece {
    size_t n;
    char data[];
};

struct m8__segment {
    char id[37]; /* a UUID */
    uint32_t frames;
    struct m8__piece *piece;
};

struct m8__listener { /* of audio.mp3; on the loop */
    struct m8__listener *next;
    struct m8__stream *stream;
    m8_http_req *r;
    size_t sent; /* pieces */
};

struct m8__sound; /* sound.c: of the handler's thread */

struct m8__stream {
    m8_blocks *app;
    struct m8__sound *sound;
    char run[M8__ID_LEN + 1];
    int component;
    char *session, *path;
    struct m8__listener *readers; /* the loop's */
    /* under app->lock */
    struct m8__stream *next; /* of those that can be found; the newest first */
    int refs;                /* the list, the handler, readers, a wake-up on its way */
    struct m8__segment *segment;
    struct m8__piece **mp3;
    size_t n_segments, n_mp3, n_readers, bytes;
    uint32_t frames_most; /* of a segment */
    int rate;             /* of the AAC */
    double changed;       /* when it grew last */
    bool ended, forgotten, waking;
};

struct m8__streams {
    struct m8__stream *list;
    size_t bytes;
    int n;
    pthread_t loader; /* loads FFmpeg, so that the first sound needs not wait for it */
    bool loading, lagging; /* lagging: the loop's; a timer looks after slow readers */
};

void m8__stream_unref(struct m8__stream *s);
void m8__stream_wake(struct m8__stream *s); /* tell its listeners, on the loop; under app->lock */

/** List what has become readable: whole ADTS frames (NULL: none) and mp3 (n 0: none), both copied. */
m8_status m8__stream_add(struct m8__stream *s, const void *aac, size_t n_aac, uint32_t frames, int rate, const void *mp3, size_t n_mp3, m8_error *err);

m8_status m8__sound_new(struct m8__stream *s, m8_error *err);
void m8__sound_end(struct m8__stream *s); /* flush what the encoders hold, free them */

#endif
