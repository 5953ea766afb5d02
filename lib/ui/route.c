/* Routes of an app that may lie under a path of a larger server, and its URL there. */
#include "ui_internal.h"
#include <string.h>

static const char *mount_of(const m8_blocks *app) { return app->launch.mount ? app->launch.mount : ""; }

m8_status m8__route(m8_blocks *app, m8_route route, m8_error *err)
{
    char **grown = m8_realloc(app->paths, (app->n_paths + 1) * sizeof *grown);
    if (!grown) return m8_fail(err, M8_E_NOMEM, "route: out of memory");
    app->paths = grown;
    char *path = m8_sprintf("%s%s", mount_of(app), route.path);
    if (!path) return m8_fail(err, M8_E_NOMEM, "route: out of memory");
    app->paths[app->n_paths++] = path;
    route.path = path;
    return m8_http_route(app->http, &route, err);
}

const char *m8__root(m8_blocks *app, m8_http_req *r)
{
    const char *root = m8_http_root(r), *mount = mount_of(app);
    if (!root) return "";
    if (!*mount) return root;
    size_t n = strlen(root), m = strlen(mount);
    char *whole = m8_http_alloc(r, n + m + 1);
    if (!whole) return "";
    memcpy(whole, root, n);
    memcpy(whole + n, mount, m + 1);
    return whole;
}
