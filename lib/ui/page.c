/* The page: lib/ui/web/index.html with the config and the API's description in it, so that it draws itself without asking again. What stands between
 * '%' is filled in: NONCE, TITLE, CONFIG, INFO, HEAD. Nothing is fetched from elsewhere, and no script runs but ours. */
#include "serve.h"
#include "web.h"
#include <stdio.h>
#include <string.h>

static const struct m8__web_file *web_file(const char *name)
{
    for (const struct m8__web_file *f = m8__web; f->name; f++)
        if (!strcmp(f->name, name)) return f;
    return NULL;
}

/* JSON inside of a script element: nothing in it may end the element or a line. */
static void add_script(m8_buf *out, const char *s, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const char *with = s[i] == '<' ? "\\u003c" : s[i] == '>' ? "\\u003e" : s[i] == '&' ? "\\u0026" : s[i] == '\'' ? "\\u0027" : NULL;
        size_t len = 1;
        if (s[i] == '\xE2' && n - i >= 3 && s[i + 1] == '\x80' && (s[i + 2] == '\xA8' || s[i + 2] == '\xA9')) {
            with = s[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
            len = 3;
        }
        if (!with) continue;
        m8_buf_add(out, s + from, i - from);
        m8_buf_str(out, with);
        from = i + len;
        i = from - 1;
    }
    m8_buf_add(out, s + from, n - from);
}

static void add_html(m8_buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<') m8_buf_str(out, "&lt;");
        else if (*s == '>') m8_buf_str(out, "&gt;");
        else if (*s == '&') m8_buf_str(out, "&amp;");
        else if (*s == '"') m8_buf_str(out, "&quot;");
        else if (*s == '\'') m8_buf_str(out, "&#39;");
        else m8_buf_chr(out, *s);
    }
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

/* The app's own part of the head: description, style, files to load. */
static void add_head(m8_buf *out, const m8_blocks *app, const char *nonce)
{
    if (app->opts.description) {
        m8_buf_str(out, "<meta name=\"description\" content=\"");
        add_html(out, app->opts.description);
        m8_buf_str(out, "\">\n");
    }
    for (size_t i = 0; i < app->opts.n_assets; i++) {
        const m8_asset *a = &app->opts.assets[i];
        if (!a->load) continue;
        bool css = ends_with(a->name, ".css");
        m8_buf_str(out, css ? "<link rel=\"stylesheet\" href=\"static/" : "<script type=\"module\" src=\"static/");
        m8_percent_encode(out, a->name, "/");
        m8_buf_str(out, css ? "\">\n" : "\"></script>\n");
    }
    if (!app->opts.css) return;
    m8_buf_printf(out, "<style nonce=\"%s\">", nonce);
    for (const char *s = app->opts.css; *s; s++) m8_buf_str(out, s[0] == '<' && s[1] == '/' ? "\\3c " : (char[]){ *s, 0 }); /* nothing may end the element */
    m8_buf_str(out, "</style>\n");
}

struct page {
    m8_blocks *app;
    char nonce[33];
    m8_buf config, info;
};

static bool fill(m8_buf *out, const struct page *p, const char *name, size_t n)
{
    const char *title = p->app->opts.title ? p->app->opts.title : "Gradio";
    if (n == 5 && !memcmp(name, "NONCE", 5)) m8_buf_str(out, p->nonce);
    else if (n == 5 && !memcmp(name, "TITLE", 5)) add_html(out, title);
    else if (n == 6 && !memcmp(name, "CONFIG", 6)) add_script(out, p->config.data, p->config.len);
    else if (n == 4 && !memcmp(name, "INFO", 4)) add_script(out, p->info.data, p->info.len);
    else if (n == 4 && !memcmp(name, "HEAD", 4)) add_head(out, p->app, p->nonce);
    else return false;
    return true;
}

static void fill_all(m8_buf *out, const struct page *p, const char *s)
{
    for (const char *mark; (mark = strchr(s, '%')) != NULL;) {
        size_t n = strspn(mark + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        m8_buf_add(out, s, (size_t)(mark - s));
        if (mark[1 + n] == '%' && fill(out, p, mark + 1, n)) {
            s = mark + n + 2;
        } else {
            m8_buf_chr(out, '%');
            s = mark + 1;
        }
    }
    m8_buf_str(out, s);
}

static m8_status texts(struct page *p, m8_http_req *r, m8_error *err)
{
    m8_blocks *app = p->app;
    const char *root = m8__root(app, r), *user = m8__auth_user(app, r);
    if (!app->auth || user) {
        m8_status st = m8__config_text(app, root, user, true, &p->config, err);
        return st ? st : m8__info_text(app, root, false, &p->info, err);
    }
    json_t *config = m8__auth_config(app, root);
    m8_status st = m8__dump(&p->config, config);
    json_decref(config);
    m8_buf_str(&p->info, "{\"named_endpoints\":{},\"unnamed_endpoints\":{}}");
    return st ? st : p->info.status;
}

static void get_page(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    struct page p = { .app = app };
    const struct m8__web_file *index = web_file("index.html");
    char policy[400];
    m8_buf out = {0};
    m8_error err = {0};
    m8_status st = index && m8__random_hex(p.nonce, 32) ? texts(&p, r, &err) : M8_E_INTERNAL;
    if (!st) {
        fill_all(&out, &p, index->data);
        st = out.status;
    }
    if (st) {
        m8_log(M8_LOG_ERROR, "the page: %s", err.text[0] ? err.text : m8_status_text(st));
        m8_http_refuse(r, 500, "The page could not be made");
    } else {
        snprintf(policy, sizeof policy, "default-src 'self'; script-src 'self' 'nonce-%s'; style-src 'self' 'nonce-%s'; img-src 'self' data: blob:; "
                 "media-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
                 p.nonce, p.nonce);
        m8_http_set(r, "Content-Security-Policy", policy);
        m8_http_set(r, "Referrer-Policy", "same-origin");
        m8_http_reply_buf(r, 200, "text/html; charset=utf-8", &out);
    }
    m8_buf_finish(&p.config);
    m8_buf_finish(&p.info);
    m8_buf_finish(&out);
}

/* The page's links are relative: below /app they need /app/ . */
static void to_page(m8_http_req *r, void *user)
{
    const m8_blocks *app = user;
    char path[300];
    snprintf(path, sizeof path, "%.280s/", app->launch.mount);
    m8_http_redirect(r, path);
}

/* ---- what belongs to it */

static void reply_tagged(m8_http_req *r, const char *mime, const void *data, size_t size, const char *tag)
{
    const char *have = m8_http_header(r, "if-none-match");
    m8_http_set(r, "Cache-Control", "no-cache"); /* kept, but asked for again each time: a new version is seen at once */
    m8_http_set(r, "ETag", tag);
    if (have && (strstr(have, tag) || !strcmp(have, "*"))) m8_http_reply(r, 304, NULL, "", 0);
    else m8_http_reply_static(r, 200, mime, data, size);
}

static bool reply_web(m8_http_req *r, const char *name)
{
    const struct m8__web_file *f = web_file(name);
    if (!f) return false;
    const char *mime = m8__mime_of(name, true);
    reply_tagged(r, mime ? mime : "application/octet-stream", f->data, f->size, f->etag);
    return true;
}

static void not_found(m8_http_req *r) { m8_http_refuse(r, 404, "Not Found"); }

static void get_web(m8_http_req *r, void *app)
{
    const char *name = m8_http_rest(r);
    if (!strcmp(name, "index.html") || !reply_web(r, name)) not_found(r);
}

static void get_static(m8_http_req *r, void *user)
{
    const m8_blocks *app = user;
    const char *name = m8_http_rest(r);
    for (size_t i = 0; i < app->opts.n_assets; i++) {
        const m8_asset *a = &app->opts.assets[i];
        if (strcmp(a->name, name)) continue;
        const char *mime = a->mime ? a->mime : m8__mime_of(name, true);
        reply_tagged(r, mime ? mime : "application/octet-stream", a->data, a->size, m8__asset_tag(app, i));
        return;
    }
    if ((strcmp(name, "img/logo_nosize.svg") && strcmp(name, "img/logo.svg")) || !reply_web(r, "icon.svg")) not_found(r);
}

static void get_icon(m8_http_req *r, void *app) { if (!reply_web(r, "icon.svg")) not_found(r); }
static void get_theme(m8_http_req *r, void *app) { if (!reply_web(r, "theme.css")) m8_http_reply(r, 200, "text/css; charset=utf-8", "", 0); }
static void get_no_icon(m8_http_req *r, void *app) { not_found(r); } /* the app has none of its own */

static void get_robots(m8_http_req *r, void *app)
{
    static const char text[] = "User-agent: *\nDisallow: ";
    m8_http_reply_static(r, 200, "text/plain; charset=utf-8", text, sizeof text - 1);
}

static void get_manifest(m8_http_req *r, void *user)
{
    const m8_blocks *app = user;
    m8_buf out = {0};
    json_t *m = json_pack("{s:s, s:[{s:s, s:s, s:s, s:s}], s:s, s:s, s:s*}", "name", app->opts.title ? app->opts.title : "Gradio", "icons", "src",
                          "static/img/logo_nosize.svg", "sizes", "any", "type", "image/svg+xml", "purpose", "any", "start_url", "./", "display",
                          "standalone", "description", app->opts.description);
    m8__dump(&out, m);
    json_decref(m);
    m8_http_reply_buf(r, 200, "application/manifest+json", &out);
    m8_buf_finish(&out);
}

m8_status m8__page_routes(m8_blocks *app, m8_error *err)
{
    static const struct {
        const char *path;
        m8_http_handler get;
    } routes[] = {
        { "/", get_page }, { "/assets/*", get_web }, { "/static/*", get_static }, { "/theme.css", get_theme }, { M8__PREFIX "/theme.css", get_theme },
        { "/favicon.ico", get_icon }, { "/robots.txt", get_robots }, { "/manifest.json", get_manifest }, { "/pwa_icon", get_no_icon },
        { "/pwa_icon/*", get_no_icon },
    };
    m8_status st = M8_OK;
    if (app->launch.mount && *app->launch.mount) st = m8__route(app, (m8_route){ .method = "GET", .path = "", .handler = to_page, .user = app }, err);
    for (size_t i = 0; !st && i < sizeof routes / sizeof *routes; i++)
        st = m8__route(app, (m8_route){ .method = "GET", .path = routes[i].path, .handler = routes[i].get, .user = app }, err);
    return st;
}
