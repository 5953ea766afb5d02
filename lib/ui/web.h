/* The page's own files, lib/ui/web/, compiled in: web/meson.build lists them, tools/pack.c makes the table. */
#ifndef M8__UI_WEB_H
#define M8__UI_WEB_H

#include <stddef.h>

struct m8__web_file {
    const char *name; /* "app.js" */
    const char *data; /* a NUL follows */
    size_t size;
    const char *etag; /* with its quotes */
};
extern const struct m8__web_file m8__web[]; /* the last one has no name */
#define PACKED const struct m8__web_file m8__web[]

#endif
