/* Login by a list of users or a function of the app's. Whoever is logged in holds a random token in a cookie; we keep its hash. With a login one gate stands
 * before all routes of the server and is closed but for the few paths listed here. */
#include "auth.h"
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TOKENS = 10000 };
#define TOKEN_S (30 * 24 * 3600.0) /* without use */

static bool wanted(const m8_blocks *app) { return app->launch.auth || app->launch.auth_fn; }

/* false: no memory. */
static bool hash(const struct m8__auth *a, const char *one, size_t n_one, const char *two, size_t n_two, unsigned char *out)
{
    unsigned char both[2 * M8__HASH]; /* two of equal length: no name can run into a password */
    unsigned n = M8__HASH;
    return HMAC(EVP_sha256(), a->key, M8__HASH, (const unsigned char *)one, n_one, both, &n) &&
           HMAC(EVP_sha256(), a->key, M8__HASH, (const unsigned char *)two, n_two, both + M8__HASH, &n) &&
           HMAC(EVP_sha256(), a->key, M8__HASH, both, sizeof both, out, &n);
}

static m8_status read_users(struct m8__auth *a, const char *list, m8_error *err)
{
    for (const char *line = list; *line;) {
        size_t n = strcspn(line, "\r\n"), name = strcspn(line, ":\r\n");
        if (n && (name >= n || !name)) return m8_fail(err, M8_E_ARG, "login: a line of the list is not user:password");
        if (n) {
            unsigned char(*grown)[M8__HASH] = m8_realloc(a->users, (a->n_users + 1) * sizeof *grown);
            if (!grown) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
            a->users = grown;
            if (!hash(a, line, name, line + name + 1, n - name - 1, a->users[a->n_users++])) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
        }
        line += n;
        line += strspn(line, "\r\n");
    }
    return a->n_users ? M8_OK : m8_fail(err, M8_E_ARG, "login: the list has no user");
}

/* ---- tokens */

struct m8__token **m8__token_find(struct m8__auth *a, const char *text)
{
    unsigned char h[M8__HASH];
    if (!text || strlen(text) != M8__TOKEN_DIGITS) return NULL;
    if (!hash(a, "token", 5, text, M8__TOKEN_DIGITS, h)) return NULL;
    for (struct m8__token **at = &a->tokens[h[0]]; *at; at = &(*at)->next)
        if (!CRYPTO_memcmp((*at)->hash, h, M8__HASH)) return at;
    return NULL;
}

void m8__token_drop(struct m8__auth *a, struct m8__token **at)
{
    struct m8__token *t = *at;
    *at = t->next;
    a->n_tokens--;
    m8_free(t->peer);
    m8_free(t);
}

void m8__tokens_forget(struct m8__auth *a, const char *user, double before)
{
    for (int i = 0; i < 256; i++) {
        for (struct m8__token **at = &a->tokens[i]; *at;) {
            if ((!user || !strcmp((*at)->user, user)) && (*at)->used < before) m8__token_drop(a, at);
            else at = &(*at)->next;
        }
    }
}

bool m8__token_new(struct m8__auth *a, const char *user, const char *peer, char *text)
{
    double now = m8_now_s(), oldest = now;
    if (a->n_tokens >= MOST_TOKENS) { /* a tenth of the time between the oldest one and now: few at a time */
        for (int i = 0; i < 256; i++)
            for (struct m8__token *t = a->tokens[i]; t; t = t->next)
                if (t->used < oldest) oldest = t->used;
        m8__tokens_forget(a, NULL, oldest + (now - oldest) / 10 + 1e-6);
    }
    size_t n = strlen(user) + 1;
    struct m8__token *t = a->n_tokens < MOST_TOKENS ? m8_calloc(1, sizeof *t + n) : NULL;
    if (!t) return false;
    t->peer = m8_strdup(peer);
    if (!t->peer || !m8__random_hex(text, M8__TOKEN_DIGITS) || !hash(a, "token", 5, text, M8__TOKEN_DIGITS, t->hash)) {
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

bool m8__auth_known_at(const struct m8__auth *a, const char *user, const char *peer)
{
    for (int i = 0; i < 256; i++)
        for (const struct m8__token *t = a->tokens[i]; t; t = t->next)
            if (!strcmp(t->user, user) && !strcmp(t->peer, peer)) return true;
    return false;
}

const char *m8__auth_cookie(m8_blocks *app, m8_http_req *r)
{
    const char *text = m8_http_cookie(r, app->auth->cookie);
    return text && m8__token_find(app->auth, text) ? text : m8_http_cookie(r, app->auth->cookie_plain);
}

const char *m8__auth_user(m8_blocks *app, m8_http_req *r)
{
    if (!app->auth) return NULL;
    struct m8__token **at = m8__token_find(app->auth, m8__auth_cookie(app, r));
    if (!at) return NULL;
    double now = m8_now_s();
    if (now - (*at)->used > TOKEN_S) {
        m8__token_drop(app->auth, at);
        return NULL;
    }
    (*at)->used = now;
    size_t n = strlen((*at)->user) + 1;
    char *user = m8_http_alloc(r, n); /* he may log out while his request lasts */
    return user ? memcpy(user, (*at)->user, n) : NULL;
}

/* Every user of the list is compared, whoever asks: the time tells neither whether the name is known nor how much of a word is right. */
bool m8__auth_right(m8_blocks *app, const char *name, const char *password)
{
    struct m8__auth *a = app->auth;
    unsigned char h[M8__HASH];
    int found = 0;
    if (!hash(a, name, strlen(name), password, strlen(password), h)) return false;
    for (size_t i = 0; i < a->n_users; i++) found |= !CRYPTO_memcmp(a->users[i], h, M8__HASH);
    return found || (app->launch.auth_fn && *name && app->launch.auth_fn(app->launch.auth_user, name, password));
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

void m8__not_authenticated(m8_blocks *app, m8_http_req *r)
{
    m8__reply_json(r, 401, json_pack("{s:{s:s, s:s?}}", "detail", "error", "Not authenticated", "auth_message", app->launch.auth_message));
}

bool m8__auth_gate(m8_http_req *r, void *user)
{
    m8_blocks *app = user;
    const char *name = m8__auth_user(app, r);
    if (name) m8_http_set_name(r, name);
    if (name || is_open(app, m8_http_path(r))) return true;
    m8__not_authenticated(app, r);
    return false;
}

m8_status m8__auth_open(m8_blocks *app, m8_error *err)
{
    if (!wanted(app)) return M8_OK;
    struct m8__auth *a = m8_calloc(1, sizeof *a);
    char id[M8__COOKIE_DIGITS + 1], key[2 * M8__HASH + 1];
    if (!a) return m8_fail(err, M8_E_NOMEM, "login: out of memory");
    m8_status st = M8_OK;
    a->throttle = m8__throttle_new();
    if (!a->throttle) st = m8_fail(err, M8_E_NOMEM, "login: out of memory");
    else if (!m8__random_hex(id, M8__COOKIE_DIGITS) || !m8__random_hex(key, 2 * M8__HASH)) st = m8_fail_errno(err, M8_E_IO, "random numbers");
    if (!st) {
        SHA256((const unsigned char *)key, 2 * M8__HASH, a->key);
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
    m8__tokens_forget(a, NULL, 1e300);
    m8__throttle_free(a->throttle);
    m8_free(a->users);
    OPENSSL_cleanse(a, sizeof *a);
    m8_free(a);
    app->auth = NULL;
}
