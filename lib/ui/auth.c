/* Login by a list of users or a function of the app's. Whoever is logged in holds a random token in a cookie; we keep its hash. With a login one gate stands
 * before all routes of the server and is closed but for the few paths listed here. */
#include "serve.h"
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

enum { HASH = 32, MOST_TOKENS = 10000, TOKEN_DIGITS = 32, ID_DIGITS = 12 };
#define FORM_BYTES (64u << 10)
#define TOKEN_S (30 * 24 * 3600.0) /* without use */

struct user {
    unsigned char hash[HASH]; /* of name and password, under the key */
};

struct token {
    struct token *next;
    unsigned char hash[HASH];
    double used;
    char *peer;
    char user[];
};

struct m8__auth {
    unsigned char key[HASH]; /* random, of this process */
    char cookie[sizeof "access-token-" + ID_DIGITS], cookie_plain[sizeof "access-token-unsecure-" + ID_DIGITS];
    struct user *users;
    size_t n_users, n_tokens;
    struct token *tokens[256];
    struct m8__throttle *throttle;
};

static bool wanted(const m8_blocks *app) { return app->launch.auth || app->launch.auth_fn; }

/* false: no memory. */
static bool hash(const struct m8__auth *a, const char *one, size_t n_one, const char *two, size_t n_two, unsigned char *out)
{
    unsigned char both[2 * HASH]; /* two of equal length: no name can run into a password */
    unsigned n = HASH;
    return HMAC(EVP_sha256(), a->key, HASH, (const unsigned char *)one, n_one, both, &n) &&
           HMAC(EVP_sha256(), a->key, HASH, (const unsigned char *)two, n_two, both + HASH, &n) &&
           HMAC(EVP_sha256(), a->key, HASH, both, sizeof both, out, &n);
}

static m8_status read_users(struct m8__auth *a, const char *list, m8_error *err)
{
    for (const char *line = list; *line;) {
        size_t n = strcspn(line, "\r\n"), name = strcspn(line, ":\r\n");
        if (n && (name >= n || !name)) return m8_fail(err, M8_E_ARG, "login: a line of the list is not user:password");
        if (n) {
            struct user *grown = m8_realloc(a->users, (a->n_users + 1) * sizeof *grown);
            if (!grown) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
            a->users = grown;
            if (!hash(a, line, name, line + name + 1, n - name - 1, a->users[a->n_users++].hash)) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
        }
        line += n;
        line += strspn(line, "\r\n");
    }
    return a->n_users ? M8_OK : m8_fail(err, M8_E_ARG, "login: the list has no user");
}

/* ---- tokens */

static struct token **token_find(struct m8__auth *a, const char *text)
{
    unsigned char h[HASH];
    if (!text || strlen(text) != TOKEN_DIGITS) return NULL;
    if (!hash(a, "token", 5, text, TOKEN_DIGITS, h)) return NULL;
    for (struct token **at = &a->tokens[h[0]]; *at; at = &(*at)->next)
        if (!CRYPTO_memcmp((*at)->hash, h, HASH)) return at;
    return NULL;
}

static void token_drop(struct m8__auth *a, struct token **at)
{
    struct token *t = *at;
    *at = t->next;
    a->n_tokens--;
    m8_free(t->peer);
    m8_free(t);
}

/* Tokens of `user` (NULL: anybody's) that were last used before `before`. */
static void tokens_forget(struct m8__auth *a, const char *user, double before)
{
    for (int i = 0; i < 256; i++) {
        for (struct token **at = &a->tokens[i]; *at;) {
            if ((!user || !strcmp((*at)->user, user)) && (*at)->used < before) token_drop(a, at);
            else at = &(*at)->next;
        }
    }
}

static bool token_new(struct m8__auth *a, const char *user, const char *peer, char *text)
{
    double now = m8_now_s(), oldest = now;
    if (a->n_tokens >= MOST_TOKENS) { /* a tenth of the time between the oldest one and now: few at a time */
        for (int i = 0; i < 256; i++)
            for (struct token *t = a->tokens[i]; t; t = t->next)
                if (t->used < oldest) oldest = t->used;
        tokens_forget(a, NULL, oldest + (now - oldest) / 10 + 1e-6);
    }
    size_t n = strlen(user) + 1;
    struct token *t = a->n_tokens < MOST_TOKENS ? m8_calloc(1, sizeof *t + n) : NULL;
    if (!t) return false;
    t->peer = m8_strdup(peer);
    if (!t->peer || !m8__random_hex(text, TOKEN_DIGITS) || !hash(a, "token", 5, text, TOKEN_DIGITS, t->hash)) {
        m8_free(t->peer);
        m8_free(t);
        return false;
    }
    memcpy(t->user, user, n);
    t->used = now;
    t->next = a->tokens[t->hash[0]];
    a->tokens[t->hash[0]] = t;
    a->n_tokens++;
    return true;
}

/* Has somebody at this address got in under this name, and is still in? */
static bool known_at(const struct m8__auth *a, const char *user, const char *peer)
{
    for (int i = 0; i < 256; i++)
        for (const struct token *t = a->tokens[i]; t; t = t->next)
            if (!strcmp(t->user, user) && !strcmp(t->peer, peer)) return true;
    return false;
}

static const char *cookie_of(m8_blocks *app, m8_http_req *r)
{
    const char *text = m8_http_cookie(r, app->auth->cookie);
    return text && token_find(app->auth, text) ? text : m8_http_cookie(r, app->auth->cookie_plain);
}

const char *m8__auth_user(m8_blocks *app, m8_http_req *r)
{
    if (!app->auth) return NULL;
    struct token **at = token_find(app->auth, cookie_of(app, r));
    if (!at) return NULL;
    double now = m8_now_s();
    if (now - (*at)->used > TOKEN_S) {
        token_drop(app->auth, at);
        return NULL;
    }
    (*at)->used = now;
    size_t n = strlen((*at)->user) + 1;
    char *user = m8_http_alloc(r, n); /* he may log out while his request lasts */
    return user ? memcpy(user, (*at)->user, n) : NULL;
}

/* ---- the gate */

static bool is_open(const m8_blocks *app, const char *path)
{
    static const char *const open[] = {
        "/", "/login", "/logout", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon", "/pwa_icon/*", "/assets/*", "/static/*",
        M8__PREFIX "/app_id", M8__PREFIX "/user", M8__PREFIX "/login_check", M8__PREFIX "/token", M8__PREFIX "/theme.css", M8__PREFIX "/startup-events",
        M8__PREFIX "/cancel", M8__PREFIX "/reset", M8__PREFIX "/heartbeat/*", M8__PREFIX "/stream/*",
    };
    const char *mount = app->launch.mount ? app->launch.mount : "";
    size_t m = strlen(mount), n;
    for (size_t i = 0; i < app->launch.n_open_paths; i++)
        if (!strcmp(path, app->launch.open_paths[i])) return true;
    if (strncmp(path, mount, m) || (path[m] && path[m] != '/')) return false;
    path += m;
    n = strlen(path);
    if (n > 1 && path[n - 1] == '/') n--;
    if (!n) return true; /* the page of an app that lies under a path */
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        size_t k = strlen(open[i]);
        bool begins = open[i][k - 1] == '*';
        if (begins ? strlen(path) > k - 1 && !strncmp(path, open[i], k - 1) : k == n && !strncmp(path, open[i], n)) return true;
    }
    return false;
}

static void not_authenticated(m8_blocks *app, m8_http_req *r)
{
    m8_http_set(r, "Cache-Control", "no-store");
    m8__reply_json(r, 401, json_pack("{s:{s:s, s:s?}}", "detail", "error", "Not authenticated", "auth_message", app->launch.auth_message));
}

static bool gate(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *name = m8__auth_user(app, r);
    if (name) m8_http_set_name(r, name);
    if (name || is_open(app, m8_http_path(r))) return true;
    not_authenticated(app, r);
    return false;
}

/* ---- login and logout */

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

/* Every user of the list is compared, whoever asks: the time tells neither whether the name is known nor how much of a word is right. */
static bool right(m8_blocks *app, const char *name, const char *password)
{
    struct m8__auth *a = app->auth;
    unsigned char h[HASH];
    int found = 0;
    if (!hash(a, name, strlen(name), password, strlen(password), h)) return false;
    for (size_t i = 0; i < a->n_users; i++) found |= !CRYPTO_memcmp(a->users[i].hash, h, HASH);
    return found || (app->launch.auth_fn && *name && app->launch.auth_fn(app->launch.auth_user, name, password));
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
    m8_http_set(r, "Cache-Control", "no-store");
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
    char where[300], whom[300], token[TOKEN_DIGITS + 1];
    double now = m8_now_s();
    snprintf(whom, sizeof whom, "u:%.290s", name);
    m8__who_at(m8_http_peer(r), where, sizeof where);
    bool known = known_at(a, name, where); /* whom strangers cannot keep out of his account by guessing at it */
    double wait = m8__throttle_wait(a->throttle, where, now), other = known ? 0 : m8__throttle_wait(a->throttle, whom, now);
    if (wait > 0 || other > 0) {
        too_often(r, wait > other ? wait : other);
    } else if (!right(app, name, password)) {
        m8__throttle_failed(a->throttle, where, now);
        m8__throttle_failed(a->throttle, whom, now);
        m8_log(M8_LOG_WARN, "a wrong login from %s", m8_http_peer(r));
        m8_http_refuse(r, 400, "Incorrect credentials.");
    } else if (!token_new(a, name, where, token)) {
        m8_http_refuse(r, 500, "Out of memory");
    } else {
        m8__throttle_forget(a->throttle, where);
        m8__throttle_forget(a->throttle, whom);
        m8_http_set_name(r, name);
        set_cookies(app, r, token);
        m8_http_set(r, "Cache-Control", "no-store");
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
    struct token **at = app->auth ? token_find(app->auth, cookie_of(app, r)) : NULL;
    const char *all = m8_http_arg(r, "all_session"), *name = at ? m8__auth_user(app, r) : NULL;
    bool only_this = all && (!strcasecmp(all, "false") || !strcmp(all, "0") || !strcasecmp(all, "no") || !strcasecmp(all, "off"));
    if (at && only_this) token_drop(app->auth, at);
    else if (name) tokens_forget(app->auth, name, m8_now_s() + 1);
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
    m8_http_set(r, "Cache-Control", "no-store");
    m8__reply_json(r, 200, name ? json_string(name) : json_null());
}

static void get_login_check(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    if (app->auth && !m8__auth_user(app, r)) {
        not_authenticated(app, r);
        return;
    }
    m8_http_set(r, "Cache-Control", "no-store");
    m8__reply_json(r, 200, json_null());
}

static void get_token(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *name = m8__auth_user(app, r);
    m8_http_set(r, "Cache-Control", "no-store");
    m8__reply_json(r, 200, json_pack("{s:s?, s:s?}", "token", name ? cookie_of(app, r) : NULL, "user", name));
}

m8_status m8__auth_open(m8_blocks *app, m8_error *err)
{
    if (!wanted(app)) return M8_OK;
    struct m8__auth *a = m8_calloc(1, sizeof *a);
    char id[ID_DIGITS + 1], key[2 * HASH + 1];
    if (!a) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
    m8_status st = M8_OK;
    a->throttle = m8__throttle_new();
    if (!a->throttle) st = m8_fail(err, M8_E_NOMEM, "login: out of memory");
    else if (!m8__random_hex(id, ID_DIGITS) || !m8__random_hex(key, 2 * HASH)) st = m8_fail_errno(err, M8_E_IO, "random numbers");
    if (!st) {
        SHA256((const unsigned char *)key, 2 * HASH, a->key);
        snprintf(a->cookie, sizeof a->cookie, "access-token-%s", id);
        snprintf(a->cookie_plain, sizeof a->cookie_plain, "access-token-unsecure-%s", id);
        if (app->launch.auth) st = read_users(a, app->launch.auth, err);
    }
    app->auth = a;
    return st;
}

void m8__auth_close(m8_blocks *app)
{
    struct m8__auth *a = app->auth;
    if (!a) return;
    tokens_forget(a, NULL, 1e300);
    m8__throttle_free(a->throttle);
    m8_free(a->users);
    OPENSSL_cleanse(a, sizeof *a);
    m8_free(a);
    app->auth = NULL;
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
    if (!st && app->auth) m8_http_gate(app->http, gate, app);
    return st;
}
