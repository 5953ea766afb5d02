/** m8/ui.h - apps for the browser, as Gradio has them: Blocks and Interface, events, queue, streamed sound, the page. On the wire it
 *  is Gradio 6: its Python and JavaScript clients, its front-end and curl work with it. Names are Gradio's.
 *
 *      static m8_status greet(m8_call *c, m8_error *err) { return m8_out_printf(c, 0, "Hello, %s!", m8_in_text(c, 0)); }
 *
 *      m8_blocks *app;
 *      m8_status st = m8_blocks_new(&app, &(m8_blocks_opts){ .title = "Greeter" }, &err);
 *      m8_block *page = m8_blocks_root(app), *name = m8_textbox(page, &(m8_textbox_opts){ .label = "Name" });
 *      m8_block *out = m8_textbox(page, NULL), *go = m8_button(page, &(m8_button_opts){ .text = "Greet" });
 *      m8_on(go, M8_CLICK, greet, &(m8_event_opts){ .api_name = "greet", .in = { name }, .out = { out } });
 *      if (!st) st = m8_launch(app, &(m8_launch_opts){ .port = 7860 }, &err);     -- serves until SIGINT or m8_http_stop()
 *      m8_blocks_free(app);
 *
 *  Building is sticky: a builder that fails returns NULL, all builders take NULL and then do nothing, and m8_launch() or m8_blocks_mount()
 *  tells the first failure. Blocks and events live as long as their app. Build on one thread, before the app is mounted.
 *
 *  Handlers run on threads of the queue, several at once; an m8_call belongs to the thread of its handler. All opts may be NULL; zero is
 *  every field's default; strings in opts are copied. Errors, memory and sinks as m8/base.h says. */
#ifndef M8_UI_H
#define M8_UI_H

#include <m8/base.h>
#include <m8/http.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct m8_blocks m8_blocks; /* an app */
typedef struct m8_block m8_block;   /* a component, or a container of others */
typedef struct m8_event m8_event;   /* a listener: what runs when something happens; Gradio's "dependency" */
typedef struct m8_call m8_call;     /* one run of a handler */

/** What an event runs. Reads inputs by m8_in_...(), writes outputs by m8_out_...(); an output that is not written stays as it is.
 *  Not M8_OK: the run has failed. M8_E_USER: err's text is shown to the visitor (gr.Error, see m8_raise); of any other failure he learns
 *  only that there was one, and the text goes to the log. */
typedef m8_status (*m8_fn)(m8_call *c, m8_error *err);

typedef enum m8_tri { M8_UNSET = 0, M8_YES = 1, M8_NO = -1 } m8_tri; /* for flags whose default is not false */

/* ---- an app --------------------------------------------------------------------------------------------------------- */

/** A file of the app's own that the page may load: served at static/NAME. Borrowed for ever. */
typedef struct m8_asset {
    const char *name, *mime;
    const void *data;
    size_t size;
    bool load; /* the page loads it: a .css as style sheet, a .js as module */
} m8_asset;

typedef struct m8_blocks_opts {
    const char *title;          /* NULL: "Gradio" as Gradio has it */
    const char *description;    /* one line, for search engines and the manifest */
    const char *css;            /* added to the page's own */
    const m8_asset *assets;     /* [n_assets] */
    size_t n_assets;
    bool fill_height, fill_width;
} m8_blocks_opts;

M8_API m8_status m8_blocks_new(m8_blocks **out, const m8_blocks_opts *opts, m8_error *err);
M8_API void m8_blocks_free(m8_blocks *app); /* after its m8_http has been closed; waits for handlers that still run */
M8_API m8_block *m8_blocks_root(m8_blocks *app);
M8_API m8_status m8_blocks_status(m8_blocks *app, m8_error *err); /* the first failure of a builder */

/* ---- layout --------------------------------------------------------------------------------------------------------- */

/* Fields that all blocks have. props: a JSON object with any other property of Gradio's, by its name there ("{\"rtl\": true}"). */
#define M8_BLOCK_FIELDS                                                                                                  \
    m8_tri visible;                                                                                                      \
    const char *elem_id;                                                                                                 \
    const char *elem_classes; /* with blanks between */                                                                  \
    const char *props

typedef struct m8_layout_opts {
    M8_BLOCK_FIELDS;
    int scale, min_width;       /* column; 0: Gradio's */
    const char *variant;        /* row, column: "default", "panel", "compact" */
    bool equal_height;          /* row */
    const char *label;          /* accordion, tab, sidebar */
    m8_tri open;                /* accordion, sidebar; unset: open */
    const char *id;             /* tab: its name among the tabs */
    const char *position;       /* sidebar: "left", "right" */
    int width;                  /* sidebar, pixels */
} m8_layout_opts;

M8_API m8_block *m8_row(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_column(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_group(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_accordion(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_sidebar(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_tabs(m8_block *parent, const m8_layout_opts *opts);
M8_API m8_block *m8_tab(m8_block *tabs, const m8_layout_opts *opts);

/* ---- components ----------------------------------------------------------------------------------------------------- */

#define M8_COMPONENT_FIELDS                                                                                              \
    const char *label, *info;                                                                                            \
    m8_tri interactive, show_label, container;                                                                           \
    int scale, min_width;                                                                                                \
    M8_BLOCK_FIELDS

typedef struct m8_textbox_opts {
    M8_COMPONENT_FIELDS;
    const char *value, *placeholder;
    int lines, max_lines, max_length;
    const char *type; /* "text", "password", "email" */
    bool autofocus, submit_btn, stop_btn, copy;
} m8_textbox_opts;
M8_API m8_block *m8_textbox(m8_block *parent, const m8_textbox_opts *opts);

typedef struct m8_number_opts {
    M8_COMPONENT_FIELDS;
    bool has_value;
    double value;
    const char *placeholder;
    bool has_minimum, has_maximum;
    double minimum, maximum; /* of a slider: 0 and 100 unless has_... */
    double step;             /* 0: 1 */
    int precision;           /* digits behind the point kept of what comes in, plus 1; 0: all */
} m8_number_opts;
M8_API m8_block *m8_number(m8_block *parent, const m8_number_opts *opts);
M8_API m8_block *m8_slider(m8_block *parent, const m8_number_opts *opts);

typedef struct m8_checkbox_opts {
    M8_COMPONENT_FIELDS;
    bool value;
} m8_checkbox_opts;
M8_API m8_block *m8_checkbox(m8_block *parent, const m8_checkbox_opts *opts);

typedef struct m8_choice_opts {
    M8_COMPONENT_FIELDS;
    const char *const *choices; /* [n_choices] values */
    const char *const *names;   /* [n_choices] what is shown; NULL: the values */
    size_t n_choices;
    const char *value;          /* checkbox group, multiselect: a JSON list */
    bool multiselect, allow_custom_value; /* dropdown */
} m8_choice_opts;
M8_API m8_block *m8_radio(m8_block *parent, const m8_choice_opts *opts);
M8_API m8_block *m8_dropdown(m8_block *parent, const m8_choice_opts *opts);
M8_API m8_block *m8_checkboxgroup(m8_block *parent, const m8_choice_opts *opts);

typedef struct m8_button_opts {
    M8_COMPONENT_FIELDS;
    const char *text;           /* NULL: Gradio's: "Run", "Clear", "Upload a File", "Download" */
    const char *variant, *size; /* "primary", "secondary", "stop", "huggingface"; "sm", "md", "lg" */
    const char *link;
    const char *value;          /* download button: a file */
    const char *file_count;     /* upload button: "single", "multiple" */
    m8_block *clears[16];       /* clear button: what it clears, NULL-terminated */
} m8_button_opts;
M8_API m8_block *m8_button(m8_block *parent, const m8_button_opts *opts);
M8_API m8_block *m8_uploadbutton(m8_block *parent, const m8_button_opts *opts);
M8_API m8_block *m8_downloadbutton(m8_block *parent, const m8_button_opts *opts);
M8_API m8_block *m8_clearbutton(m8_block *parent, const m8_button_opts *opts);

/** audio, image, video, file, gallery */
typedef struct m8_file_opts {
    M8_COMPONENT_FIELDS;
    const char *value;        /* path of a file to begin with (taken into the cache) */
    const char *sources;      /* "upload microphone"; NULL: Gradio's */
    const char *type;         /* as Gradio prints it in the config: "filepath", "numpy"; NULL: "filepath" */
    bool streaming, autoplay, loop; /* audio, video */
    const char *file_count;   /* file: "single", "multiple", "directory" */
    const char *file_types;   /* file: ".txt image" */
    const char *format;       /* of what the app gives out */
    int columns, height;      /* gallery */
} m8_file_opts;
M8_API m8_block *m8_audio(m8_block *parent, const m8_file_opts *opts);
M8_API m8_block *m8_image(m8_block *parent, const m8_file_opts *opts);
M8_API m8_block *m8_video(m8_block *parent, const m8_file_opts *opts);
M8_API m8_block *m8_file(m8_block *parent, const m8_file_opts *opts);
M8_API m8_block *m8_gallery(m8_block *parent, const m8_file_opts *opts);

/** markdown, html, json, label, highlighted text, code, dataframe, chatbot: what is shown */
typedef struct m8_show_opts {
    M8_COMPONENT_FIELDS;
    const char *value;    /* markdown, html, code: the text; the others: JSON as on the wire */
    const char *language; /* code */
    int height;
    int n_top;            /* label: how many classes; 0: all */
} m8_show_opts;
M8_API m8_block *m8_markdown(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_html(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_json(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_label(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_highlightedtext(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_code(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_dataframe(m8_block *parent, const m8_show_opts *opts);
M8_API m8_block *m8_chatbot(m8_block *parent, const m8_show_opts *opts);

/** A value that each session keeps on the server; it never crosses the wire. json: its initial value, NULL: null.
 *  time_to_live_s: forgotten after so long without use; 0: as long as the session. */
M8_API m8_block *m8_state(m8_block *parent, const char *json, double time_to_live_s);
M8_API m8_block *m8_timer(m8_block *parent, double seconds, bool inactive);

/** Rows of examples; a click fills the inputs. rows: a JSON list of lists, a value for each input. fn: run when a row is clicked, its outputs
 *  are filled too; results are computed once and kept with cache. */
typedef struct m8_examples_opts {
    m8_block *in[16], *out[16]; /* NULL-terminated */
    const char *rows, *label;
    m8_fn fn;
    void *user;
    bool cache;
    int samples_per_page; /* 0: 10 */
} m8_examples_opts;
M8_API m8_block *m8_examples(m8_block *parent, const m8_examples_opts *opts);

/* ---- events --------------------------------------------------------------------------------------------------------- */

typedef enum m8_trigger {
    M8_CLICK, M8_CHANGE, M8_INPUT, M8_SUBMIT, M8_SELECT, M8_UPLOAD, M8_CLEAR, M8_START_RECORDING, M8_PAUSE_RECORDING, M8_STOP_RECORDING,
    M8_PLAY, M8_PAUSE, M8_STOP, M8_STREAM, M8_RELEASE, M8_FOCUS, M8_BLUR, M8_EDIT, M8_DELETE, M8_DOUBLE_CLICK, M8_KEY_UP, M8_COPY, M8_DOWNLOAD,
    M8_LIKE, M8_RETRY, M8_UNDO, M8_EXPAND, M8_COLLAPSE, M8_APPLY, M8_END,
    M8_TICK,                 /* of a timer */
    M8_LOAD, M8_UNLOAD,      /* of the root */
    M8_N_TRIGGERS
} m8_trigger;

typedef enum m8_visibility { M8_PUBLIC, M8_UNDOCUMENTED, M8_PRIVATE } m8_visibility; /* Gradio's api_visibility */
typedef enum m8_trigger_mode { M8_MODE_DEFAULT, M8_ONCE, M8_MULTIPLE, M8_ALWAYS_LAST } m8_trigger_mode;

typedef struct m8_event_opts {
    const char *api_name;            /* NULL: the trigger's name; made unique by _1, _2 */
    const char *description;
    m8_visibility api_visibility;
    m8_block *in[32], *out[32];      /* NULL-terminated */
    const char *params[32];          /* names of the inputs for the API; NULL: param_0, ... */
    bool generator;                  /* the handler yields (m8_yield, streams); others give one value */
    m8_tri queue;                    /* unset: yes */
    int concurrency_limit;           /* 0: the app's default (1); -1: none */
    const char *concurrency_id;      /* events that share one limit; NULL: this one's own */
    bool batch;
    int max_batch_size;              /* 0: 4 */
    m8_trigger_mode trigger_mode;
    const char *show_progress;       /* "full", "minimal", "hidden" */
    m8_block *show_progress_on[8];
    bool scroll_to_output;
    const char *js;                  /* source of a function that Gradio's front-end runs first; our page runs none */
    m8_event *cancels[16];           /* events whose runs of this session end when this one happens; fn may be NULL then */
    double time_limit_s, stream_every_s; /* of M8_STREAM; 0: none, 0.5 */
    struct { bool lease; double duration_s; } gpu; /* run under a lease of the app's gate; 0: 60 s */
    m8_status (*validate)(m8_call *c, m8_error *err); /* before queueing, on the loop, quick: M8_E_USER is 422 */
    void *user;                      /* m8_call_user() */
} m8_event_opts;

/** When `trigger` happens to `block`, run fn. The block's type must have that event. */
M8_API m8_event *m8_on(m8_block *block, m8_trigger trigger, m8_fn fn, const m8_event_opts *opts);
M8_API void m8_also(m8_event *event, m8_block *block, m8_trigger trigger); /* gr.on: one more trigger */
/** Run behind another event: always, when it succeeded, when it failed. The page does that; API clients call each by itself. */
M8_API m8_event *m8_then(m8_event *before, m8_fn fn, const m8_event_opts *opts);
M8_API m8_event *m8_success(m8_event *before, m8_fn fn, const m8_event_opts *opts);
M8_API m8_event *m8_failure(m8_event *before, m8_fn fn, const m8_event_opts *opts);

/** An endpoint that no block triggers (gr.api). in and out of opts are not used; the values have these types: "int", "float", "str", "bool",
 *  "list", "dict". defaults: JSON, NULL where the caller must say. */
typedef struct m8_api_param { const char *name, *type, *json_default; } m8_api_param;
M8_API m8_event *m8_api(m8_blocks *app, m8_fn fn, const m8_api_param *params /* [n_params] */, size_t n_params, const char *const *returns,
                        size_t n_returns, const m8_event_opts *opts);

/* ---- Interface: one function, its inputs and outputs, and a page made of them ------------------------------------------ */

typedef struct m8_interface_opts {
    const char *title, *description, *article; /* markdown */
    m8_fn fn;
    m8_event_opts event;                       /* api_name and so on; in and out are filled here */
    const char *examples;                      /* rows as in m8_examples */
    bool live;                                 /* run at each change, no button */
    const char *flag_dir;                      /* folder of the flagged rows (CSV); NULL: no flagging button unless show_flag */
    bool show_flag;
    const m8_blocks_opts *blocks;
} m8_interface_opts;
M8_API m8_status m8_interface_new(m8_blocks **out, const m8_interface_opts *opts, m8_error *err);
M8_API m8_block *m8_interface_in(m8_blocks *app);  /* parent of the inputs */
M8_API m8_block *m8_interface_out(m8_blocks *app); /* parent of the outputs */

/* ---- within a handler: inputs --------------------------------------------------------------------------------------- */

M8_API void *m8_call_user(const m8_call *c);
/* The i-th input. All are borrowed until the handler returns; a wrong index or kind gives the value in brackets. */
M8_API const char *m8_in_text(const m8_call *c, int i);      /* text, choice [""] */
M8_API bool m8_in_is_null(const m8_call *c, int i);
M8_API double m8_in_number(const m8_call *c, int i);         /* [0] */
M8_API bool m8_in_bool(const m8_call *c, int i);             /* [false] */
M8_API const char *m8_in_json(m8_call *c, int i);            /* any value, State too, as JSON text ["null"] */
M8_API const char *m8_in_file(const m8_call *c, int i);      /* path of an uploaded file that this session owns [NULL: none] */
M8_API const char *m8_in_file_name(const m8_call *c, int i); /* its name at the visitor's [""] */
M8_API size_t m8_in_n_files(const m8_call *c, int i);
M8_API const char *m8_in_file_at(const m8_call *c, int i, size_t k);

M8_API const char *m8_call_header(const m8_call *c, const char *name); /* of the request that started it; NULL */
M8_API const char *m8_call_query(const m8_call *c, const char *name);  /* a field of the page's or the call's query; NULL */
M8_API const char *m8_call_peer(const m8_call *c);
M8_API const char *m8_call_session(const m8_call *c);                  /* "" for a call without a session */
M8_API const char *m8_call_username(const m8_call *c);                 /* NULL: no login */
M8_API const char *m8_call_event_data(const m8_call *c);               /* JSON: {"index":...,"value":...}; "null" */
/** Memory of the app's own that lives with the session: size bytes, zeroed at first use; finish is called when the session ends, on any thread.
 *  One handler of a session at a time must be guarded by the app. NULL: no memory or no session. key: any address of the app's. */
M8_API void *m8_call_data(m8_call *c, const void *key, size_t size, void (*finish)(void *data));

/* ---- within a handler: outputs -------------------------------------------------------------------------------------- */

/* Each writes the i-th output; returns M8_OK, M8_E_ARG (index), M8_E_NOMEM. */
M8_API m8_status m8_out_text(m8_call *c, int i, const char *text);
M8_API m8_status m8_out_printf(m8_call *c, int i, const char *fmt, ...) M8_PRINTF(3, 4);
M8_API m8_status m8_out_number(m8_call *c, int i, double x); /* whole numbers go out as integers; NaN as null */
M8_API m8_status m8_out_bool(m8_call *c, int i, bool x);
M8_API m8_status m8_out_null(m8_call *c, int i);
M8_API m8_status m8_out_json(m8_call *c, int i, const char *json);      /* any component's value as on the wire, and State */
M8_API m8_status m8_out_file(m8_call *c, int i, const char *path);      /* copied into the cache unless it lies there */
M8_API m8_status m8_out_file_add(m8_call *c, int i, const char *path, const char *caption); /* one more (gallery, several files) */
M8_API m8_status m8_out_bytes(m8_call *c, int i, const char *name, const void *data, size_t n); /* a file made of these bytes */
M8_API m8_status m8_out_bytes_add(m8_call *c, int i, const char *name, const char *caption, const void *data, size_t n);
M8_API m8_status m8_out_clear_files(m8_call *c, int i);                 /* begin a list of files anew */
M8_API m8_status m8_out_update(m8_call *c, int i, const char *props);   /* a JSON object of changed properties, "value" among them if it changes */

/** Give the outputs as they stand to the visitor; the run goes on. M8_E_CANCELLED: nobody waits any more; return it. */
M8_API m8_status m8_yield(m8_call *c);
/** A sink for sound into a streaming Audio output: each push is heard at once and is a yield of its own. rate: of the samples, Hz. */
M8_API m8_pcm_sink m8_out_stream(m8_call *c, int i, int rate);
/** A piece of encoded sound (mp3, wav, ogg, ...) into a streaming Audio output; seen with the next m8_yield. */
M8_API m8_status m8_out_chunk(m8_call *c, int i, const void *data, size_t n);

M8_API void m8_progress(m8_call *c, double fraction, const char *desc);                                /* gr.Progress()(fraction, desc) */
M8_API void m8_progress_steps(m8_call *c, int64_t index, int64_t length /* 0: unknown */, const char *unit, const char *desc); /* .tqdm, (i, n) */

typedef enum m8_toast_level { M8_INFO, M8_WARNING, M8_SUCCESS, M8_ERROR } m8_toast_level;
typedef struct m8_toast_opts {
    double duration_s; /* 0: 10; negative: stays */
    const char *title; /* NULL: the level's */
    bool hidden;       /* Gradio's visible=False */
} m8_toast_opts;
M8_API void m8_toast(m8_call *c, m8_toast_level level, const char *text, const m8_toast_opts *opts);
/** Fail with a message for the visitor (gr.Error): `return m8_raise(c, err, &(m8_toast_opts){ .title = "No speech" }, "I heard nothing");` */
M8_API m8_status m8_raise(m8_call *c, m8_error *err, const m8_toast_opts *opts, const char *fmt, ...) M8_PRINTF(4, 5);

M8_API bool m8_cancelled(const m8_call *c);
/** fn(user) is called, on another thread, when the run is cancelled or its visitor has left; at once if it is already. NULL takes it back. It
 *  is never called after the handler has returned. */
M8_API void m8_on_cancel(m8_call *c, void (*fn)(void *user), void *user);

/* A batch: the handler of an event with .batch gets a call of several; each is read and written as a call of its own. */
M8_API int m8_batch_size(const m8_call *c); /* 1 for other events */
M8_API m8_call *m8_batch_at(m8_call *c, int k);

/* ---- serving -------------------------------------------------------------------------------------------------------- */

/** Lends accelerators by the call: m8/lease.h, or what the app has. take blocks until granted, or returns why not; release comes after the run. */
typedef struct m8_gate {
    m8_status (*take)(void *user, m8_call *c, double duration_s, void **lease, m8_error *err);
    void (*release)(void *user, void *lease);
    void *user;
} m8_gate;

typedef struct m8_launch_opts {
    const char *host;                /* m8_launch: NULL: GRADIO_SERVER_NAME, else 127.0.0.1 */
    int port;                        /* m8_launch: 0: GRADIO_SERVER_PORT, else the first free one from 7860 on */
    const m8_http_opts *http;        /* m8_launch: everything else of the server; NULL: defaults */
    const char *mount;               /* m8_blocks_mount: path under which the app lies: "/app"; NULL: "" */
    const char *auth;                /* "user:password" a line; NULL: no login */
    bool (*auth_fn)(void *user, const char *name, const char *password); /* instead of a list; on the loop, so quick */
    void *auth_user;
    const char *auth_message;
    const char *const *open_paths;   /* [n_open_paths] paths of the server's other routes that need no login: "/health" */
    size_t n_open_paths;
    int default_concurrency_limit;   /* 0: 1; -1: none */
    int max_size;                    /* waiting events of the queue; 0: 1000; -1: none */
    int max_threads;                 /* 0: 40 */
    bool show_error;                 /* the text of failures goes to the visitor */
    bool api_closed;                 /* queued functions can not be called by the run/ route */
    size_t max_file_size;            /* bytes of an upload; 0: 512 MiB */
    size_t max_session_bytes;        /* uploads of one session; 0: 4 GiB */
    const char *const *allowed_paths, *const *blocked_paths; /* files and folders */
    size_t n_allowed, n_blocked;
    const char *cache_dir;           /* uploads and files of the app; NULL: GRADIO_TEMP_DIR, else a private folder under TMPDIR */
    m8_gate gate;                    /* of events with .gpu; zero: always granted */
    bool monitoring;                 /* /monitoring/summary */
    m8_status (*decode)(void *user, m8_pcm *out, const void *data, size_t n, int rate, m8_error *err); /* for what the app pushes as encoded sound; NULL: here */
    void *decode_user;
} m8_launch_opts;

/** Add the app's routes to a server. opts are copied. returns M8_OK, the first failure of a builder, M8_E_IO (cache_dir), M8_E_NOMEM. */
M8_API m8_status m8_blocks_mount(m8_blocks *app, m8_http *h, const m8_launch_opts *opts, m8_error *err);
/** Serve the app alone: opens a server, mounts, prints "Running on local URL:  http://..." on standard error, runs until SIGINT or SIGTERM. */
M8_API m8_status m8_launch(m8_blocks *app, const m8_launch_opts *opts, m8_error *err);

typedef struct m8_ui_stats {
    uint64_t started, succeeded, failed, cancelled;
    int running, waiting, sessions, streams;
} m8_ui_stats;
M8_API void m8_blocks_stats(m8_blocks *app, m8_ui_stats *out); /* any thread */

#ifdef __cplusplus
}
#endif
#endif
