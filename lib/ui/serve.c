/* All routes of what is served, and the look around once a second for what has had its time. */
#include "files.h"
#include <stdio.h>

static void sweep(void *user)
{
    m8_blocks *app = user;
    double now = m8_now_s();
    m8__files_sweep(app, now);
    m8__uploads_sweep(app->files->uploads, now);
    if (app->streams) m8__streams_sweep(app, now);
}

/* The app's own files do not change while it runs: their tags are made once. */
static m8_status tag_assets(m8_blocks *app, m8_error *err)
{
    size_t n = app->opts.n_assets;
    char(*tags)[24] = app->files->asset_tags = m8_calloc(n, sizeof *tags);
    if (!tags) return m8_fail(err, M8_E_NOMEM, "assets: out of memory");
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = app->opts.assets[i].data;
        uint64_t hash = 0xcbf29ce484222325u;
        for (size_t k = 0; k < app->opts.assets[i].size; k++) hash = (hash ^ p[k]) * 0x100000001b3u;
        snprintf(tags[i], sizeof tags[i], "\"%016llx\"", (unsigned long long)hash);
    }
    return M8_OK;
}

const char *m8__asset_tag(const m8_blocks *app, size_t i) { return app->files->asset_tags[i]; }

m8_status m8__serve_routes(m8_blocks *app, m8_error *err)
{
    m8_status st = tag_assets(app, err);
    if (!st) st = m8__page_routes(app, err);
    if (!st) st = m8__auth_routes(app, err);
    if (!st) st = m8__file_routes(app, err);
    if (!st) st = m8__uploads_open(app, &app->files->uploads, err);
    if (!st) st = m8__stream_routes(app, err);
    if (!st && !m8_http_timer_new(app->http, 1, 1, sweep, app)) st = m8_fail(err, M8_E_NOMEM, "a timer: out of memory"); /* goes with the server */
    return st;
}
