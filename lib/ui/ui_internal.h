/* ui_internal.h - what the files of lib/ui share. Three halves that know each other by this header only:
 *   what an app is      blocks.c components/ config.c info.c openapi.c interface.c examples.c: built once, never changed after mounting
 *   what runs           session.c queue.c call.c message.c diff.c api.c (routes of calls)
 *   what is served      files.c upload.c stream.c auth.c page.c (routes of files, sound, login, page)
 *
 * Threads. The loop (m8_http) runs all routes. Handlers run on threads of the queue. app->lock guards sessions, runs, streams and
 * files, whoever touches them; it is held for short and never while a handler, a decoder or an encoder runs. An m8_http_req is touched on the
 * loop only. What a handler's thread has for a visitor it appends to the session's outbox under the lock, and posts one wake-up to the loop if none is on its way. */
#ifndef M8_UI_INTERNAL_H
#define M8_UI_INTERNAL_H

#include <jansson.h>
#include <m8/audio.h>
#include <m8/ui.h>
#include <pthread.h>

#define M8__PREFIX "/gradio_api"
#define M8__GRADIO_VERSION "6.31.0"

struct m8__session;
struct m8__run;

/* ---- what an app is ------------------------------------------------------------------------------------------------- */

/* A class of components: a struct of functions and what the recorded table (components/defaults.json, built in) says of it. */
struct m8__component {
    const char *type;  /* "textbox": Gradio's type on the wire, and its key in the table */
    const char *of;    /* a class of its own with the type of another one (ClearButton: "button"): that one's row; else NULL */
    bool layout;       /* a container: no value, children */
    bool form_field;   /* wrapped in a form with its neighbours */
    /* From the wire to the handler: check *value (owned; may be replaced). Files: m8__file_in(). NULL: any JSON.
     * M8_E_USER: a text for the visitor (a value out of range, a choice that is none); M8_E_ARG: the client's fault, HTTP 422. */
    m8_status (*preprocess)(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err);
    /* From the handler to the wire; the handler's value is JSON already, files are FileData made by m8__file_out(). NULL: as it is. */
    m8_status (*postprocess)(const m8_block *b, json_t **value, m8_error *err);
    /* Schemas that depend on properties (choices, slider range, file_count), new; NULL: the table's. */
    json_t *(*api_info)(const m8_block *b, bool as_output);
    json_t *(*example)(const m8_block *b); /* example_inputs, likewise */
    const char *cleared; /* what a clear button sets, JSON; NULL: null */
};
extern const struct m8__component *const m8__components[]; /* NULL-terminated; components.c */

struct m8_block {
    m8_blocks *app;
    const struct m8__component *type;
    int id;
    m8_block *parent;
    m8_block **children;
    size_t n_children;
    json_t *props;  /* as in the config, and nulls that config.c leaves out; "value" is the initial one on the wire (of a State: the one that
                     * each session begins with), without URLs of files */
    char *initial_file; /* path of a file that becomes "value", see m8__initial_files() */
    bool skip_api;
    bool optional;      /* of m8_api: null is a value */
    bool rendered;      /* in app->blocks; what goes into an Interface is so only when its page is made */
    m8_block *older;    /* of all blocks, the one made before */
    struct m8__examples *examples; /* of a dataset */
    m8_block *clears[16];
    double time_to_live_s; /* of a State */
};

struct m8__target {
    m8_block *block; /* NULL for then, success, failure, unload */
    const char *name; /* "click", "then", ... static */
};

struct m8_event {
    m8_blocks *app;
    int id; /* fn_index */
    m8_fn fn;
    void *user;
    struct m8__target *targets;
    size_t n_targets;
    m8_block **in, **out;
    size_t n_in, n_out;
    char **params;          /* [n_in] names for the API */
    json_t **defaults;      /* [n_in] of m8_api, each NULL where the caller must say; else NULL: the components' values */
    m8_event_opts opts;     /* its strings and lists are owned by the event; in, out, params there are not used */
    char *api_name;
    m8_event *after;        /* then, success, failure */
    bool only_success, only_failure;
    bool from_on;           /* made by gr.on in the original, whatever the number of its triggers */
    bool queue, internal_js; /* internal_js: opts.js belongs to Interface or a clear button: our page knows what it does */
    struct m8__group *group; /* concurrency; set by the queue when mounted */
    struct m8__plan *plan;   /* what the queue knows of it; owned by the queue */
    /* statistics, under app->lock */
    double total_s;
    uint64_t n_done;
};

struct m8_blocks {
    pthread_mutex_t lock;
    m8_status status; /* of the builders */
    m8_error err;
    m8_blocks_opts opts; /* strings owned */
    bool interface;      /* mode */
    m8_block **blocks;   /* in the order of the config: by id, but for an Interface, whose inputs and outputs are older than its page. Without the root */
    size_t n_blocks;
    m8_block *made;      /* the youngest of all */
    m8_block *open;      /* container that is being filled; those within it have been closed: their fields are wrapped in forms */
    bool finished;
    m8_block *root;
    int next_id;
    m8_event **events;   /* by id */
    size_t n_events;
    json_int_t app_id;
    struct m8__interface *iface;

    m8_launch_opts launch; /* owned copies; valid once mounted */
    bool mounted;
    m8_http *http;
    struct m8__sessions *sessions;
    struct m8__queue *queue;
    struct m8__files *files;
    struct m8__streams *streams;
    struct m8__auth *auth;
    struct m8__config *config; /* serialised once, see m8__config_text() */
    char **paths;              /* of routes, see m8__route(); freed by m8__files_close() */
    size_t n_paths;
};

/* blocks.c */
m8_block *m8__block_new(m8_block *parent, const struct m8__component *type); /* sticky; parent NULL only for what stands alone (use m8__block_alone) */
void m8__props_text(m8_block *b, const char *key, const char *value); /* NULL: left out */
void m8__props_set(m8_block *b, const char *key, json_t *value);      /* taken; NULL is a failure of memory */
m8_status m8__app_fail(m8_blocks *app, m8_status st, const char *fmt, ...) M8_PRINTF(3, 4);
m8_block *m8__block_find(m8_blocks *app, int id); /* NULL: none, or the root */
const struct m8__component *m8__component_find(const char *type);
json_t *m8__component_defaults(const struct m8__component *type); /* its object in the table: props, api_info, example_inputs, events; borrowed while an app lives */
json_t *m8__block_api_info(const m8_block *b, bool as_output); /* new */
json_t *m8__block_example(const m8_block *b);                  /* new */
const char *m8__trigger_name(m8_trigger t);
m8_event *m8__event_new(m8_blocks *app, m8_fn fn, const m8_event_opts *opts, const char *default_name);
m8_event *m8__event_named(m8_blocks *app, const char *api_name, size_t n); /* without a slash; NULL: none */
/* The tree, events, opts, app->config, the struct itself. m8_blocks_free() is in launch.c: it closes what runs and what is served before this. */
void m8__blocks_destroy(m8_blocks *app);
m8_status m8__app_finish(m8_blocks *app, m8_error *err); /* forms, Interface's page, unique names: once, when mounted */

/* config.c, info.c, openapi.c: texts for a root URL, which are kept and made anew only when the root or the visitor changes.
 * user NULL: nobody. The text is appended. */
m8_status m8__config_text(m8_blocks *app, const char *root, const char *user, bool for_page, m8_buf *out, m8_error *err);
m8_status m8__info_text(m8_blocks *app, const char *root, bool all_endpoints, m8_buf *out, m8_error *err);
m8_status m8__openapi_text(m8_blocks *app, m8_buf *out, m8_error *err);
void m8__config_free(struct m8__config *c);
json_t *m8__auth_config(m8_blocks *app, const char *root); /* of the page of somebody who is not logged in */

/** Files to begin with become values of their blocks: the cache must be open. Done once, by the first text that is asked for. */
m8_status m8__initial_files(m8_blocks *app, m8_error *err);

/* components/: checks a value, see struct m8__component. *value is owned by the caller. */
m8_status m8__preprocess(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err);
m8_status m8__postprocess(const m8_block *b, json_t **value, m8_error *err);

/* What examples.c and interface.c need of a call (out.c). */
m8_event *m8__call_event(const m8_call *c);
const json_t *m8__call_in(const m8_call *c, int i);  /* the i-th input, checked; borrowed; NULL: no such */
const json_t *m8__call_out(const m8_call *c, int i); /* the i-th output as written so far; borrowed; NULL: not written */
m8_status m8__call_set(m8_call *c, int i, json_t *value); /* write the i-th output; value is taken */

/* ---- what runs ------------------------------------------------------------------------------------------------------ */

m8_status m8__queue_open(m8_blocks *app, m8_error *err); /* threads, groups */
void m8__queue_close(m8_blocks *app);                    /* cancels all, waits for handlers */
m8_status m8__sessions_open(m8_blocks *app, m8_error *err);
void m8__sessions_close(m8_blocks *app);
m8_status m8__api_routes(m8_blocks *app, m8_error *err); /* config, info, openapi, join, data, call, run, cancel, reset, heartbeat, stream input, ... */

const char *m8__session_hash(const struct m8__session *s); /* "" for one without */
m8_blocks *m8__session_app(const struct m8__session *s);

/* ---- what is served ------------------------------------------------------------------------------------------------- */

m8_status m8__files_open(m8_blocks *app, m8_error *err); /* the cache folder */
void m8__files_close(m8_blocks *app);
m8_status m8__serve_routes(m8_blocks *app, m8_error *err); /* page, assets, upload, file=, stream/, login, ... */

/** A FileData that a client sent as an input: its path must be an upload or a file that the app gave out, of this session (a file that no named
 *  session has claimed is claimed by the first one; calls without a session claim nothing). Returns the FileData with the real path, checked.
 *  M8_E_ARG: it is none. value is borrowed. Takes app->lock itself. */
m8_status m8__file_in(m8_blocks *app, struct m8__session *s, const json_t *value, json_t **out, m8_error *err);
/** The same for every FileData within *value (owned), at any depth: for components that take lists, rows, any JSON. */
m8_status m8__files_in(m8_blocks *app, struct m8__session *s, json_t **value, m8_error *err);
/** A FileData (url null: that is made per request, see m8__add_urls) for a file of the app, copied into the cache unless it lies there.
 *  session_hash: whose it is; "": the first session's that uses it; NULL: the app's own (initial values, examples), for all and for ever.
 *  M8_E_ARG: such a file may not go out (neither in the working folder, nor in that for temporary files, nor in allowed_paths). */
m8_status m8__file_out(m8_blocks *app, const char *session_hash, const char *path, json_t **out, m8_error *err);
m8_status m8__file_bytes(m8_blocks *app, const char *session_hash, const char *name, const void *data, size_t n, json_t **out, m8_error *err);
/** Set "url" in every FileData within value, at any depth, for a root URL. */
m8_status m8__add_urls(json_t *value, const char *root);
void m8__files_forget(m8_blocks *app, const char *session_hash); /* the session has ended: its files may go, some minutes later */
/** With a login: the session is this user's, and so are its files: others get no file of it. Call it where a session is made; user NULL does nothing. */
void m8__files_user(m8_blocks *app, const char *session_hash, const char *user);

/* stream.c: one run's sound into one component. Threads: push and end from the handler's, everything else from the loop. */
struct m8__stream;
m8_status m8__stream_open(m8_blocks *app, const char *session_hash, const m8_block *b, struct m8__stream **out, m8_error *err);
m8_status m8__stream_pcm(struct m8__stream *s, const float *samples, size_t n, int rate, m8_error *err); /* AAC segments and MP3 are readable when it returns */
m8_status m8__stream_bytes(struct m8__stream *s, const void *data, size_t n, m8_error *err); /* encoded sound: decoded first; what cannot be decoded is skipped and logged */
json_t *m8__stream_value(const struct m8__stream *s);       /* its FileData, new */
void m8__stream_end(struct m8__stream *s);                   /* flush, end the playlist; the handler lets go of it */
void m8__streams_forget(m8_blocks *app, const char *session_hash); /* the page is gone */
m8_status m8__streams_open(m8_blocks *app, m8_error *err);
void m8__streams_close(m8_blocks *app);
int m8__streams_count(m8_blocks *app);

m8_status m8__auth_open(m8_blocks *app, m8_error *err);
void m8__auth_close(m8_blocks *app);
const char *m8__auth_user(m8_blocks *app, m8_http_req *r); /* NULL: nobody is logged in, or there is no login; borrowed until the request ends */

/* ---- small things that all use (util.c) ------------------------------------------------------------------------------- */

void m8__reply_json(m8_http_req *r, int status, json_t *value); /* taken; NaN and infinities are null by then; NULL: 500 */
/* 422 as FastAPI writes it: {"detail":[{"type":"missing","loc":["body","data"],"msg":"Field required","input":...}]} */
void m8__reply_missing(m8_http_req *r, const char *where /* "body", "query" */, const char *const *fields, size_t n, const json_t *input);
/* The body as a JSON object (content type checked, depth at most 64, strict); NULL: it has been refused with 422 or 415. */
json_t *m8__body_object(m8_http_req *r);
/* Add a route of the app: its path, "/config" or "/gradio_api/call/" and a '*', is put behind app->launch.mount and need not live on. */
m8_status m8__route(m8_blocks *app, m8_route route, m8_error *err);
/* The URL of the app as this client sees it, mount path included, without a final '/'; borrowed from the request; "" where there is no memory. */
const char *m8__root(m8_blocks *app, m8_http_req *r);
bool m8__random_hex(char *out, size_t n_digits); /* and a NUL; from the kernel */
m8_status m8__dump(m8_buf *out, const json_t *value); /* compact, UTF-8, unescaped */
void m8__put_json(m8_buf *out, const json_t *value); /* the same, sticky; NULL: null (json_text.c) */
json_t *m8__number(double x); /* integer where whole and exact, null for NaN and infinities */

#endif
