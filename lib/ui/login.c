/* The routes of login: a form in, cookies out; and who one is. Guesses are slowed, for where they come from and for whom they name. */
#include "auth.h"
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define FORM_BYTES (64u << 10)

struct form {
    char *field[2]; /* username, password */
    m8_buf buf;
    int which; /* of the part that is coming; -1: none of ours */
};

static m8_status form_begin(void *user, const m8_part *part)
{
    struct form *f = user;
    f->which = !part->name ? -1 : !strcmp(part->name, "username") ? 0 : !strcmp(part->name, "password") ? 1 : -1;
    m8_buf_clear(&f->buf);
    return M8_OK;
}

static m8_status form_data(void *user, const char *data, size_t n)
{
    struct form *f = user;
    if (f->which >= 0) m8_buf_add(&f->buf, data, n);
    return f->buf.status;
}

static m8_status form_end(void *user)
{
    struct form *f = user;
    if (f->which < 0) return M8_OK;
    m8_free(f->field[f->which]);
    f->field[f->which] = m8_strndup(f->buf.len ? f->buf.data : "", f->buf.len);
    return f->field[f->which] ? M8_OK : M8_E_NOMEM;
}

static void read_form(m8_http_req *r, struct form *f)
{
    size_t n;
    const char *body = m8_http_body(r, &n), *type = m8_http_header(r, "content-type");
    if (type && !strncasecmp(type, "multipart/form-data", 19)) {
        m8_multipart *m = NULL;
        m8_status st = m8_multipart_new(&m, type, (m8_multipart_sink){ form_begin, form_data, form_end, f }, NULL);
        if (!st) st = m8_multipart_push(m, body, n, NULL);
        if (!st) m8_multipart_finish(m, NULL);
        m8_multipart_free(m);
    } else if (type && !strncasecmp(type, "application/x-www-form-urlencoded", 33)) {
        f->field[0] = m8_form_field(body, n, "username");
        f->field[1] = m8_form_field(body, n, "password");
    }
}

static char *trimmed(char *s)
{
    while (*s == ' ' || (*s >= '\t' && *s <= '\r')) s++;
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || (s[n - 1] >= '\t' && s[n - 1] <= '\r'))) n--;
    s[n] = 0;
    return s;
}

static void set_cookies(m8_blocks *app, m8_http_req *r, const char *token)
{
    /* Gradio's, but under TLS: there no page of another site needs them, for ours cannot be put into a frame of theirs */
    bool secure = m8_http_secure(r);
    char line[200];
    snprintf(line, sizeof line, "%s=%s; HttpOnly; Path=/; SameSite=%s; Secure", app->auth->cookie, token, secure ? "lax" : "none");
    m8_http_set(r, "Set-Cookie", line);
    snprintf(line, sizeof line, "%s=%s; HttpOnly; Path=/; SameSite=lax%s", app->auth->cookie_plain, token, secure ? "; Secure" : "");
    m8_http_set(r, "Set-Cookie", line);
}

static void to_root(m8_blocks *app, m8_http_req *r)
{
    m8_http_set(r, "Location", m8__root(app, r));
    m8_http_reply(r, 302, NULL, "", 0);
}

static void too_often(m8_http_req *r, double wait)
{
    char text[24];
    snprintf(text, sizeof text, "%d", (int)wait + 1);
    m8_http_set(r, "Retry-After", text);
    m8_http_refuse(r, 429, "Too many wrong passwords. Try again in %s s.", text);
}

static void try_login(m8_blocks *app, m8_http_req *r, const char *name, const char *password)
{
    struct m8__auth *a = app->auth;
    char where[300], whom[300], token[M8__TOKEN_DIGITS + 1];
    double now = m8_now_s();
    snprintf(whom, sizeof whom, "u:%.290s", name);
    m8__who_at(m8_http_peer(r), where, sizeof where);
    bool known = m8__auth_known_at(a, name, where); /* whom strangers cannot keep out of his account by guessing at it */
    double wait = m8__throttle_wait(a->throttle, where, now), other = known ? 0 : m8__throttle_wait(a->throttle, whom, now);
    if (wait > 0 || other > 0) {
        too_often(r, wait > other ? wait : other);
    } else if (!m8__auth_right(app, name, password)) {
        m8__throttle_failed(a->throttle, where, now);
        m8__throttle_failed(a->throttle, whom, now);
        m8_log(M8_LOG_WARN, "a wrong login from %s", m8_http_peer(r));
        m8_http_refuse(r, 400, "Incorrect credentials.");
    } else if (!m8__token_new(a, name, where, token)) {
        m8_http_refuse(r, 500, "Out of memory");
    } else {
        m8__throttle_forget(a->throttle, where);
        m8__throttle_forget(a->throttle, whom);
        m8_http_set_name(r, name);
        set_cookies(app, r, token);
        m8__reply_json(r, 200, json_pack("{s:b}", "success", 1));
    }
}

static void post_login(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    struct form f = { .buf = { .limit = FORM_BYTES } };
    const char *missing[2];
    size_t n = 0;
    if (!app->auth) {
        to_root(app, r);
        return;
    }
    read_form(r, &f);
    if (!f.field[0]) missing[n++] = "username";
    if (!f.field[1]) missing[n++] = "password";
    if (n) m8__reply_missing(r, "body", missing, n, NULL);
    else try_login(app, r, trimmed(f.field[0]), f.field[1]);
    m8_free(f.field[0]);
    if (f.field[1]) OPENSSL_cleanse(f.field[1], strlen(f.field[1]));
    m8_free(f.field[1]);
    if (f.buf.data) OPENSSL_cleanse(f.buf.data, f.buf.len);
    m8_buf_finish(&f.buf);
}

static void get_logout(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    struct m8__token **at = app->auth ? m8__token_find(app->auth, m8__auth_cookie(app, r)) : NULL;
    const char *all = m8_http_arg(r, "all_session"), *name = at ? m8__auth_user(app, r) : NULL;
    bool only_this = all && (!strcasecmp(all, "false") || !strcmp(all, "0") || !strcasecmp(all, "no") || !strcasecmp(all, "off"));
    if (at && only_this) m8__token_drop(app->auth, at);
    else if (name) m8__tokens_forget(app->auth, name, m8_now_s() + 1);
    for (int i = 0; app->auth && i < 2; i++) {
        char line[200];
        snprintf(line, sizeof line, "%s=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=lax",
                 i ? app->auth->cookie_plain : app->auth->cookie);
        m8_http_set(r, "Set-Cookie", line);
    }
    to_root(app, r);
}

/* ---- who am I */

static void get_user(m8_http_req *r, void *app)
{
    const char *name = m8__auth_user(app, r);
    m8__reply_json(r, 200, name ? json_string(name) : json_null());
}

static void get_login_check(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    if (app->auth && !m8__auth_user(app, r)) {
        m8__not_authenticated(app, r);
        return;
    }
    m8__reply_json(r, 200, json_null());
}

static void get_token(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *name = m8__auth_user(app, r);
    m8__reply_json(r, 200, json_pack("{s:s?, s:s?}", "token", name ? m8__auth_cookie(app, r) : NULL, "user", name));
}

m8_status m8__auth_routes(m8_blocks *app, m8_error *err)
{
    static const struct {
        const char *path;
        m8_http_handler get;
    } routes[] = {
        { "/logout", get_logout },
        { M8__PREFIX "/user", get_user }, { M8__PREFIX "/user/", get_user },
        { M8__PREFIX "/login_check", get_login_check }, { M8__PREFIX "/login_check/", get_login_check },
        { M8__PREFIX "/token", get_token }, { M8__PREFIX "/token/", get_token },
    };
    m8_status st = M8_OK;
    for (size_t i = 0; !st && i < sizeof routes / sizeof *routes; i++)
        st = m8__route(app, (m8_route){ .method = "GET", .path = routes[i].path, .handler = routes[i].get, .user = app, .unsafe = !i }, err);
    for (int i = 0; !st && i < 2; i++)
        st = m8__route(app, (m8_route){ .method = "POST", .path = i ? "/login/" : "/login", .handler = post_login, .max_body = FORM_BYTES, .user = app }, err);
    if (!st && app->auth) m8_http_gate(app->http, m8__auth_gate, app);
    return st;
}
