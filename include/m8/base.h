/** m8/base.h - what every magic8 library stands on: status codes and errors, memory and system calls through one
 *  replaceable table, bytes that grow, arenas, files mapped read-only, a log, a thread pool, and the three sinks.
 *
 *  This header stays low: it includes nothing of magic8 and knows no model, no sound format and no network.
 *
 *  Memory: what a function returns through an `m8_TYPE **out` is *new*, and the caller undoes it with the function named
 *  beside it; `const` pointers handed in are *borrowed* for the call. Undoing functions take NULL. */
#ifndef M8_BASE_H
#define M8_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define M8_API __attribute__((visibility("default")))
#define M8_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define M8_VERSION "0.1.0"

/* ---- status and error -------------------------------------------------------------------------------------------- */

#define M8_STATUS_MAP(X)                                                                                                 \
    X(OK, 0, "ok")                                                                                                       \
    X(E_ARG, -1, "bad argument")                                                                                         \
    X(E_NOMEM, -2, "out of memory")                                                                                      \
    X(E_IO, -3, "input or output failed")                                                                                \
    X(E_FORMAT, -4, "the data is damaged or not of the expected format")                                                 \
    X(E_UNSUPPORTED, -5, "not supported")                                                                                \
    X(E_NOTFOUND, -6, "not found")                                                                                       \
    X(E_CANCELLED, -7, "cancelled")                                                                                      \
    X(E_LIMIT, -8, "a limit was reached")                                                                                \
    X(E_NET, -9, "the network or a remote server failed")                                                                \
    X(E_HASH, -10, "the content is not what its hash says")                                                              \
    X(E_BUSY, -11, "busy")                                                                                               \
    X(E_TIMEOUT, -12, "timed out")                                                                                       \
    X(E_USER, -13, "a message for the visitor")                                                                          \
    X(E_INTERNAL, -14, "internal error")

typedef enum m8_status {
#define X(name, code, text) M8_##name = code,
    M8_STATUS_MAP(X)
#undef X
} m8_status;

/** Why something failed. On the caller's stack, zeroed before use ({0}); always the last parameter; may be NULL.
 *  The first failure wins: m8_fail() on an error that is already set changes nothing. */
typedef struct m8_error {
    int32_t status; /* an m8_status */
    int32_t detail; /* errno, an HTTP status, or 0 */
    char text[248]; /* one line, UTF-8, no full stop, no newline */
} m8_error;

M8_API const char *m8_status_name(m8_status st); /* "E_NOMEM"; static */
M8_API const char *m8_status_text(m8_status st); /* "out of memory"; static */

/** Set *err (if it is not NULL and not yet set) and return st. */
M8_API m8_status m8_fail(m8_error *err, m8_status st, const char *fmt, ...) M8_PRINTF(3, 4);
/** As m8_fail, with ": " and strerror(errno) behind the text and errno in detail. ENOMEM turns st into M8_E_NOMEM. */
M8_API m8_status m8_fail_errno(m8_error *err, m8_status st, const char *fmt, ...) M8_PRINTF(3, 4);
/** Put "where: " in front of the text of an error that is set (or set it to st's own text first); returns st. */
M8_API m8_status m8_wrap(m8_error *err, m8_status st, const char *fmt, ...) M8_PRINTF(3, 4);
/** The text of err, or that of its status where it has none; borrowed from err. */
M8_API const char *m8_error_text(const m8_error *err);

/* ---- memory and system calls through one table ------------------------------------------------------------------- */

/** Every allocation and system call of the libraries goes through this table, so that a test can make each of them fail.
 *  Replace it before any other call of the library; entries left NULL keep the C library's. */
typedef struct m8_sys {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t n, size_t size);
    void *(*realloc)(void *p, size_t size);
    void *(*aligned_alloc)(size_t align, size_t size);
    void (*free)(void *p);
    int (*open)(const char *path, int flags, unsigned mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *buf, size_t n);
    ssize_t (*write)(int fd, const void *buf, size_t n);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, unsigned mode);
    int (*symlink)(const char *target, const char *path);
    void *(*mmap)(void *at, size_t size, int prot, int flags, int fd, off_t off);
    int (*munmap)(void *at, size_t size);
    int (*thread_create)(unsigned long *thread, void *(*main)(void *), void *arg);
    int (*socketpair)(int fds[2]);                            /* local, a stream, closed on exec */
    ssize_t (*send)(int fd, const void *buf, size_t n, int flags);
    int (*spawn)(pid_t *pid, const char *path, const void *actions, const void *attr, char *const *argv, char *const *env);
    int (*socket)(int domain, int type, int protocol);
    int (*accept)(int fd, void *address, unsigned *size, int flags); /* accept4 */
    ssize_t (*recv)(int fd, void *buf, size_t n, int flags);
    ssize_t (*sendmsg)(int fd, const void *msghdr, int flags);
    ssize_t (*sendfile)(int to, int from, off_t *at, size_t n);
    int (*epoll_create)(int flags); /* epoll_create1 */
    int (*epoll_ctl)(int epoll, int what, int fd, void *event);
    int (*eventfd)(unsigned n, int flags);
    int (*link_open)(int fd, const char *path);               /* a name for a file that was opened without one (O_TMPFILE) */
} m8_sys;

M8_API void m8_sys_set(const m8_sys *sys); /* borrowed for ever; NULL: the C library's again */
M8_API const m8_sys *m8_sys_get(void);

M8_API void *m8_malloc(size_t size);                 /* NULL: no memory; size 0 gives a block of 1 */
M8_API void *m8_calloc(size_t n, size_t size);       /* checks n * size */
M8_API void *m8_realloc(void *p, size_t size);
M8_API void *m8_aligned(size_t align, size_t size);  /* align: a power of two; freed by m8_free */
M8_API void m8_free(void *p);
M8_API char *m8_strdup(const char *s);
M8_API char *m8_strndup(const char *s, size_t n); /* n bytes whatever they are, and a NUL */
M8_API char *m8_sprintf(const char *fmt, ...) M8_PRINTF(1, 2); /* new; NULL: no memory */

/* ---- bytes that grow --------------------------------------------------------------------------------------------- */

/** A growing run of bytes with a limit. Sticky: after the first failure it takes nothing more; ask .status once at the end.
 *  {0} is an empty buffer without a limit but memory. The bytes are always followed by a NUL that len does not count. */
typedef struct m8_buf {
    char *data; /* owned; NULL while empty */
    size_t len, cap;
    size_t limit;     /* most bytes; 0: none */
    m8_status status; /* M8_OK, M8_E_NOMEM, M8_E_LIMIT */
} m8_buf;

M8_API void m8_buf_add(m8_buf *b, const void *data, size_t n);
M8_API void m8_buf_str(m8_buf *b, const char *s);
M8_API void m8_buf_chr(m8_buf *b, char c);
M8_API void m8_buf_printf(m8_buf *b, const char *fmt, ...) M8_PRINTF(2, 3);
M8_API void *m8_buf_room(m8_buf *b, size_t n); /* n more bytes, uninitialised, counted in len; NULL on failure */
M8_API void m8_buf_clear(m8_buf *b);           /* keeps the memory and the limit; forgets the failure */
M8_API void m8_buf_finish(m8_buf *b);

/* ---- arena: many small things that end together ------------------------------------------------------------------ */

typedef struct m8_arena m8_arena;
M8_API m8_arena *m8_arena_new(size_t block); /* block: bytes taken at a time, 0 for 64 KiB; NULL: no memory */
/** n bytes, 64-byte aligned, zeroed; NULL when there is no memory (the arena stays usable). One thread at a time. */
M8_API void *m8_arena_take(m8_arena *a, size_t n);
M8_API void *m8_arena_raw(m8_arena *a, size_t n); /* the same, not zeroed */
M8_API char *m8_arena_strndup(m8_arena *a, const char *s, size_t n); /* n bytes whatever they are, and a NUL */
typedef struct m8_arena_mark {
    void *block;
    size_t used;
} m8_arena_mark;
M8_API m8_arena_mark m8_arena_here(const m8_arena *a);
M8_API void m8_arena_back(m8_arena *a, m8_arena_mark mark); /* what was taken since is gone; blocks are kept for reuse */
M8_API void m8_arena_clear(m8_arena *a);
M8_API size_t m8_arena_size(const m8_arena *a); /* bytes held */
M8_API void m8_arena_free(m8_arena *a);

/* ---- files -------------------------------------------------------------------------------------------------------- */

/** A file mapped read-only and private. */
typedef struct m8_map {
    const uint8_t *data;
    size_t size;
} m8_map;

M8_API m8_status m8_map_open(m8_map *map, const char *path, m8_error *err); /* an empty file is M8_E_FORMAT */
M8_API void m8_map_close(m8_map *map);
/** Tell the kernel that these bytes of a mapping are not needed for now: their pages leave this process' resident memory. */
M8_API void m8_map_drop(const void *at, size_t n);
/** Append a whole file (regular, at most out->limit bytes if that is set, else 1 GiB) to out. "-" is standard input. */
M8_API m8_status m8_read_file(m8_buf *out, const char *path, m8_error *err);
/** Write a file so that it is either whole under its name or not there: temporary name, fsync, rename. What is there and is
 *  no regular file (a pipe, /dev/null) is written to. */
M8_API m8_status m8_write_file(const char *path, const void *data, size_t n, m8_error *err);
M8_API m8_status m8_make_dirs(const char *path, m8_error *err); /* mkdir -p, mode 0755 */
M8_API char *m8_join_path(const char *dir, const char *name);   /* new; NULL: no memory; dir "" is here */
M8_API bool m8_is_dir(const char *path);
M8_API bool m8_is_file(const char *path);

/* ---- log ---------------------------------------------------------------------------------------------------------- */

typedef enum m8_log_level { M8_LOG_ERROR, M8_LOG_WARN, M8_LOG_INFO, M8_LOG_DEBUG } m8_log_level;
typedef void (*m8_log_fn)(void *user, m8_log_level level, const char *line); /* any thread; one line, control bytes escaped */
/** Where the libraries' log goes; by default nowhere. Set before threads start. */
M8_API void m8_log_set(m8_log_fn fn, void *user, m8_log_level most);
M8_API void m8_log(m8_log_level level, const char *fmt, ...) M8_PRINTF(2, 3);

/* ---- sinks: data is pushed downstream, and only a status flows back --------------------------------------------- */

/** push returns M8_OK to go on; anything else stops the producer, which then returns that status. Called on one thread at
 *  a time, on the thread of the call that was given the sink. The data is borrowed for the call. */
typedef struct m8_bytes_sink {
    m8_status (*push)(void *user, const void *data, size_t n);
    void *user;
} m8_bytes_sink;
typedef struct m8_text_sink {
    m8_status (*push)(void *user, const char *text, size_t n); /* whole UTF-8 characters, not NUL-terminated */
    void *user;
} m8_text_sink;
typedef struct m8_pcm_sink {
    m8_status (*push)(void *user, const float *samples, size_t n); /* mono, in [-1, 1], at the producer's rate */
    void *user;
} m8_pcm_sink;

/** Mono sound in memory. */
typedef struct m8_pcm {
    float *samples; /* owned, [n_samples], in [-1, 1] */
    size_t n_samples;
    int rate; /* Hz */
} m8_pcm;
M8_API void m8_pcm_finish(m8_pcm *pcm);

/* ---- time --------------------------------------------------------------------------------------------------------- */

M8_API double m8_now_s(void); /* monotonic clock, seconds */

/* ---- thread pool -------------------------------------------------------------------------------------------------- */

/** Threads that share out the chunks of one job at a time. The caller works too, and never waits for a thread that has not
 *  begun: a sleeping or preempted worker costs its share, no more. Workers spin for some microseconds after a job, then sleep. */
typedef struct m8_pool m8_pool;
M8_API m8_status m8_pool_new(m8_pool **out, int n_threads /* callers included; 0: one for each core */, m8_error *err);
M8_API int m8_pool_threads(const m8_pool *p);
/** Run fn(arg, chunk) for every chunk in [0, n_chunks), each once, in any order and on any thread; returns when all are done.
 *  Any thread may call; a second caller, while the pool is at work, does its chunks alone. p NULL: the caller alone. */
M8_API void m8_pool_run(m8_pool *p, int n_chunks, void (*fn)(void *arg, int chunk), void *arg);
M8_API void m8_pool_free(m8_pool *p);

/* ---- cancel: one thread tells a call of another to end ------------------------------------------------------------- */

/** Handed to a call in its options; whoever else holds it may set it, from any thread, before or during the call, which then
 *  ends with M8_E_CANCELLED at its next step (a token, a layer, a chunk of sound). It stays set. NULL is never set. */
typedef struct m8_cancel m8_cancel;
M8_API m8_cancel *m8_cancel_new(void); /* holds one reference; NULL: no memory */
M8_API m8_cancel *m8_cancel_ref(m8_cancel *c);
M8_API void m8_cancel_unref(m8_cancel *c);
M8_API void m8_cancel_set(m8_cancel *c); /* does not wait for the call */
M8_API bool m8_cancel_is_set(const m8_cancel *c);

/** For who waits: fn is called once, by the thread that sets it, or at once if it is set already. fn may take locks, if nobody
 *  calls watch or unwatch while he holds them. */
typedef struct m8_watch {
    void (*fn)(void *user);
    void *user;
    m8_cancel *of; /* ours */
    struct m8_watch *next;
} m8_watch;
M8_API void m8_cancel_watch(m8_cancel *c, m8_watch *w); /* w: the caller's, until unwatch */
M8_API void m8_cancel_unwatch(m8_watch *w);             /* when it returns, fn is not running, and will not be called */

/* ---- fields: numbers and texts one behind the other, as they travel between processes of one machine ---------------- */

M8_API void m8_put_u32(m8_buf *b, uint32_t x);
M8_API void m8_put_u64(m8_buf *b, uint64_t x);
M8_API void m8_put_f32(m8_buf *b, float x);
M8_API void m8_put_f64(m8_buf *b, double x);
M8_API void m8_put_text(m8_buf *b, const char *s); /* NULL stays NULL */
M8_API void m8_put_bytes(m8_buf *b, const void *data, size_t n);

/** Sticky: after the first field that is not there, or not as it should be, everything is 0 or NULL; ask .bad at the end. */
typedef struct m8_fields {
    const uint8_t *at; /* borrowed */
    size_t left;
    bool bad;
} m8_fields;
M8_API uint32_t m8_get_u32(m8_fields *f);
M8_API uint64_t m8_get_u64(m8_fields *f);
M8_API float m8_get_f32(m8_fields *f);
M8_API double m8_get_f64(m8_fields *f);
M8_API const char *m8_get_text(m8_fields *f);            /* borrowed, with its NUL, and none inside; NULL if NULL was put */
M8_API const void *m8_get_bytes(m8_fields *f, size_t *n); /* borrowed, not aligned */
/** A count of things that take at least `least` bytes each: no more than can follow. */
M8_API size_t m8_get_count(m8_fields *f, size_t least);

/* ---- work in a process of its own ----------------------------------------------------------------------------------- */

/** A process that does calls for us, and the calls to it. When it dies, the calls in flight end with M8_E_IO and it is started
 *  again; while it loads, calls wait. It holds nothing of ours but one socket: no other descriptor, no secret of the environment,
 *  and once it has loaded, no right to open sockets, to write files, to run programs (lib/base/sandbox.c has the list). It dies
 *  with us, and is not hit by the terminal's interrupt. Frames: lib/base/frame.h. */
typedef struct m8_proc m8_proc;

typedef enum m8_proc_state {
    M8_PROC_LOADING, /* started */
    M8_PROC_READY,
    M8_PROC_DIED,    /* after it was ready; it is started again at once */
    M8_PROC_FAILED,  /* could not be started, or not load; tried again after 0.1 s, 0.2 s, ... 10 s */
} m8_proc_state;

typedef struct m8_proc_opts {
    const char *const *command; /* ends with NULL; it serves calls on descriptor 3. NULL: this program with the word "worker" */
    /* On a thread of ours, which waits for it; also before m8_proc_open has returned. It may not close. why: for DIED and FAILED. */
    void (*state)(void *user, m8_proc_state state, const m8_error *why);
    void *user;
    bool background; /* return at once, and load meanwhile; a failure to load is no failure to open */
    double wait_s;   /* how long a call waits for a process that is not ready; 0: 10 s; negative: not at all */
    double grace_s;  /* a process that has not ended a cancelled call by then is killed; 0: 1 s */
} m8_proc_opts;

typedef struct m8_proc_info {
    m8_proc_state state;
    long pid;       /* 0: none */
    int n_started;  /* processes so far */
    int n_calls;    /* in flight */
} m8_proc_info;

/** Start a process: `service` is what it is to do, `what` its name in errors ("the model base.gguf"), hello what service->open
 *  gets; ready (may be NULL) gets, on a thread of ours, what it answered. All borrowed for the call but ready and opts->user. */
M8_API m8_status m8_proc_open(m8_proc **out, const char *service, const char *what, const m8_buf *hello,
                              m8_status (*ready)(void *user, m8_fields *answer, m8_error *err), void *user, const m8_proc_opts *opts,
                              m8_error *err);
M8_API void m8_proc_close(m8_proc *p); /* no call may be in flight; the process has ended when it returns */
M8_API m8_proc_info m8_proc_about(const m8_proc *p);

typedef struct m8_request {
    const m8_buf *args;       /* for service->call; at most 16 MiB */
    const void *bulk;         /* bytes that go along, at most 1 GiB */
    size_t n_bulk;
    m8_bytes_sink out;        /* receives what the call pushes, piece by piece as it was pushed; not M8_OK cancels */
    m8_cancel *cancel;        /* or NULL */
    double most_s;            /* a process that needs longer for it is killed; 0: no limit */
} m8_request;
/** Any thread. result (may be NULL) gets what the call answers.
 *  returns what the call returned; M8_E_IO (the process died; the text says how), M8_E_BUSY (not ready in time, or too many
 *  calls), M8_E_TIMEOUT (most_s), M8_E_CANCELLED or the sink's status, M8_E_LIMIT, M8_E_NOMEM. */
M8_API m8_status m8_proc_call(m8_proc *p, const m8_request *request, m8_buf *result, m8_error *err);

/** The other side. A service lives in the process of its own. */
typedef struct m8_serving m8_serving; /* one call */
typedef struct m8_service {
    const char *name;
    bool opens_files;   /* for reading, also when it has loaded */
    size_t most_memory; /* bytes that it may write to; 0: no limit */
    m8_status (*open)(void **state, m8_fields *hello, m8_buf *answer, m8_error *err);
    /* On a thread of its own; others run beside it. bulk: borrowed, aligned to 16. */
    m8_status (*call)(void *state, m8_serving *c, m8_fields *args, const void *bulk, size_t n_bulk, m8_buf *result, m8_error *err);
    void (*close)(void *state);
} m8_service;
M8_API m8_status m8_serving_push(m8_serving *c, const void *data, size_t n); /* not M8_OK: end the call; waits for a slow reader */
M8_API m8_cancel *m8_serving_cancel(m8_serving *c);                          /* borrowed */

/** Be such a process: serve on a socket (3) until the other side closes it. services ends with NULL. Loads first, then gives up
 *  its rights for good, so a program does this and nothing else. The status is for the exit code; errors were sent. */
M8_API m8_status m8_proc_serve(int fd, const m8_service *const *services);

#ifdef __cplusplus
}
#endif
#endif
