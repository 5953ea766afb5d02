/* serve.h - what the files of "what is served" share: names, the cache folder, who is charged for what, uploads. */
#ifndef M8__UI_SERVE_H
#define M8__UI_SERVE_H

#include "ui_internal.h"

/* ---- names.c -------------------------------------------------------------------------------------------------------- */

enum { M8__NAME_MAX = 200 /* bytes */, M8__ID_LEN = 32 };

/** The name under which a file may lie on a disk, made of the one a visitor gives, as Gradio makes it: section 12 of the protocol. out: M8__NAME_MAX + 1.
 *  false: the name is "..". */
bool m8__clean_name(char *out, const char *name);
/** The type that a file may be shown with by its name's ending; NULL: it is for download only. trusted: the operator's own, see allowed_paths. */
const char *m8__mime_of(const char *name, bool trusted);
/** May `path` (real) lie at or within `root` (real)? By whole components. any_case: as for blocked paths. */
bool m8__within(const char *root, const char *path, bool any_case);
/** What a client is, for limits: "u:NAME" or "a:ADDRESS" (IPv6: its /64). */
void m8__who(m8_blocks *app, m8_http_req *r, char *out, size_t size);
void m8__who_at(const char *peer, char *out, size_t size); /* by the address alone */
/** The text at value's "path" if value is a FileData; NULL: it is none. */
const char *m8__filedata_path(const json_t *value);
json_t *m8__filedata(const char *path, const char *orig_name, json_int_t size /* -1: null */, bool is_stream); /* new, without url; NULL: no memory */

/* ---- folder.c: the private folder on disk ------------------------------------------------------------------------------ */

struct m8__folder {
    char *path; /* real */
    int lock;   /* held as long as we live: whoever can take it may remove the folder */
};
m8_status m8__folder_open(struct m8__folder *f, const char *cache_dir, m8_error *err);
void m8__folder_close(struct m8__folder *f); /* removes it */

/* ---- charge.c: who has how much; all under app->lock --------------------------------------------------------------------- */

struct m8__charge {
    struct m8__charge *next;
    uint64_t bytes;
    uint32_t files, uploads; /* uploads: in flight */
    char who[];
};
struct m8__charges {
    struct m8__charge *bucket[256];
};
struct m8__charge *m8__charge_get(struct m8__charges *c, const char *who); /* NULL: no memory */
void m8__charge_drop(struct m8__charges *c, struct m8__charge *charge);    /* forgets it if nothing is charged; NULL */

/* ---- files.c ----------------------------------------------------------------------------------------------------------- */

enum {
    M8__FILES_MOST = 20000,       /* in all */
    M8__FILES_EACH = 5000,        /* of one client or session */
    M8__UPLOADS_EACH = 64,        /* in flight of one client */
};
#define M8__SESSION_BYTES ((uint64_t)4 << 30)
#define M8__FILE_BYTES ((uint64_t)512 << 20)

/** A file that is being written: in the cache folder, known to nobody yet. */
struct m8__draft {
    m8_blocks *app;
    struct m8__charge *charge; /* of the client; NULL: the app's own */
    char id[M8__ID_LEN + 1];
    char name[M8__NAME_MAX + 1];
    char *path; /* NULL: there is none */
    int fd;
    uint64_t size;
};
/** who: see m8__who(); NULL: nobody is charged. name: cleaned here. returns M8_OK, M8_E_LIMIT, M8_E_ARG (name), M8_E_IO, M8_E_NOMEM. */
m8_status m8__draft_open(struct m8__draft *d, m8_blocks *app, const char *who, const char *name, m8_error *err);
m8_status m8__draft_write(struct m8__draft *d, const void *data, size_t n, m8_error *err);
void m8__draft_drop(struct m8__draft *d); /* also one that was kept: then it does nothing */
/** The file is whole: it can be asked for from now on. session NULL: the app's own, for all; "": nobody's yet. */
m8_status m8__draft_keep(struct m8__draft *d, const char *session, const char *user, m8_error *err);

/** May this user have the file at this real path of the cache folder? */
bool m8__file_allowed(m8_blocks *app, const char *path, const char *user);
const char *m8__files_dir(m8_blocks *app);
struct m8__charges *m8__files_charges(m8_blocks *app); /* under app->lock */
void m8__files_sweep(m8_blocks *app, double now); /* remove what nobody needs any more */
bool m8__file_may_go_out(m8_blocks *app, const char *real);
bool m8__file_is_allowed_path(m8_blocks *app, const char *real); /* in allowed_paths */
bool m8__file_is_blocked(m8_blocks *app, const char *real);
/** Open a regular file by its real path, whatever was put in its place meanwhile; -1: it is none. */
int m8__file_open_real(const char *real, uint64_t *size);

/* ---- the routes of each file -------------------------------------------------------------------------------------------- */

m8_status m8__file_routes(m8_blocks *app, m8_error *err);
m8_status m8__stream_routes(m8_blocks *app, m8_error *err);
m8_status m8__auth_routes(m8_blocks *app, m8_error *err);
m8_status m8__page_routes(m8_blocks *app, m8_error *err);
const char *m8__asset_tag(const m8_blocks *app, size_t i); /* ETag of app->opts.assets[i] */

void m8__streams_sweep(m8_blocks *app, double now);

bool m8__auth_right(m8_blocks *app, const char *name, const char *password); /* auth.c */

/* ---- throttle.c: guesses of a password, slowed ------------------------------------------------------------------------------ */

struct m8__throttle;
struct m8__throttle *m8__throttle_new(void); /* NULL: no memory */
void m8__throttle_free(struct m8__throttle *t);
/** How many seconds `who` has to wait before the next try; 0: none. */
double m8__throttle_wait(struct m8__throttle *t, const char *who, double now);
void m8__throttle_failed(struct m8__throttle *t, const char *who, double now);
void m8__throttle_forget(struct m8__throttle *t, const char *who); /* he got in */

/* upload.c */
struct m8__uploads;
m8_status m8__uploads_open(m8_blocks *app, struct m8__uploads **out, m8_error *err);
void m8__uploads_sweep(struct m8__uploads *u, double now);
void m8__uploads_close(struct m8__uploads *u);

#endif
