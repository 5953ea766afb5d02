/* files.h - the table of files: what files.c (table, sessions), draft.c (made) and filedata.c (in and out) share. */
#ifndef M8__UI_FILES_H
#define M8__UI_FILES_H

#include "serve.h"

enum { M8__FILE_BUCKETS = 4096, M8__UNCLAIMED_S = 3600, M8__GRACE_S = 300, M8__STREAMED_S = 120 };

struct m8__file {
    struct m8__file *next;
    struct m8__charge *client, *session; /* session: its text behind "s:" is the owner; NULL: nobody's */
    char *user;                          /* under a login: who may have it; NULL: anybody */
    uint64_t size;
    double until; /* 0: no end */
    bool of_app;
    char id[M8__ID_LEN + 1];
    char name[];
};

struct m8__member { /* a session of somebody who is logged in */
    struct m8__member *next;
    char *user;
    char session[];
};

struct m8__files {
    struct m8__folder folder;
    struct m8__uploads *uploads;
    char (*asset_tags)[24]; /* ETags of app->opts.assets */
    double swept;
    /* under app->lock */
    struct m8__file *bucket[M8__FILE_BUCKETS];
    struct m8__charges charges;
    struct m8__member *members;
    uint64_t bytes, most_bytes; /* drafts too */
    uint32_t files;
};

/* All under app->lock. */
struct m8__file *m8__file_find(struct m8__files *f, const char *path); /* by the path exactly as we gave it out */
struct m8__file **m8__file_bucket(struct m8__files *f, const char *id);
const char *m8__file_owner(const struct m8__file *x);                  /* a session; NULL: nobody's */
struct m8__member *m8__file_member(struct m8__files *f, const char *session);
m8_status m8__file_claim(m8_blocks *app, struct m8__file *x, const char *session, m8_error *err);
void m8__file_discharge(struct m8__files *f, struct m8__charge *c, uint64_t bytes);

void m8__file_remove(const char *dir, const char *id, const char *name); /* from the disk */
void m8__file_free(struct m8__file *x);
uint64_t m8__session_bytes_most(const m8_blocks *app);

#endif
