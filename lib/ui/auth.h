/* auth.h - who is logged in: what auth.c (users, tokens, the gate) and login.c (the routes) share. All on the loop. */
#ifndef M8__UI_AUTH_H
#define M8__UI_AUTH_H

#include "serve.h"

enum { M8__HASH = 32, M8__TOKEN_DIGITS = 32, M8__COOKIE_DIGITS = 12 };

struct m8__token {
    struct m8__token *next;
    unsigned char hash[M8__HASH];
    double used;
    char *peer; /* see m8__who_at() */
    char user[];
};

struct m8__auth {
    unsigned char key[M8__HASH]; /* random, of this process */
    char cookie[sizeof "access-token-" + M8__COOKIE_DIGITS], cookie_plain[sizeof "access-token-unsecure-" + M8__COOKIE_DIGITS];
    unsigned char (*users)[M8__HASH]; /* hashes of name and password, under the key */
    size_t n_users, n_tokens;
    struct m8__token *tokens[256];
    struct m8__throttle *throttle;
};

struct m8__token **m8__token_find(struct m8__auth *a, const char *text); /* NULL: nobody's */
void m8__token_drop(struct m8__auth *a, struct m8__token **at);
/** Forget the tokens of `user` (NULL: anybody's) that were last used before `before`. */
void m8__tokens_forget(struct m8__auth *a, const char *user, double before);
bool m8__token_new(struct m8__auth *a, const char *user, const char *peer, char *text); /* text: M8__TOKEN_DIGITS + 1; false: no memory */
/** Has somebody at this address got in under this name, and is still in? */
bool m8__auth_known_at(const struct m8__auth *a, const char *user, const char *peer);
const char *m8__auth_cookie(m8_blocks *app, m8_http_req *r); /* the token's text; NULL: none was sent */
void m8__not_authenticated(m8_blocks *app, m8_http_req *r);  /* 401 */
bool m8__auth_gate(m8_http_req *r, void *app);

#endif
