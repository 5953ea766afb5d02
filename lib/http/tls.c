/* TLS through OpenSSL; the only file that sees it. */
#include "server.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

/* OpenSSL's reason, for an error's text. */
static m8_status fail(m8_error *err, const char *what, const char *file)
{
    char why[160];
    ERR_error_string_n(ERR_get_error(), why, sizeof why);
    ERR_clear_error();
    return m8_fail(err, M8_E_UNSUPPORTED, "%s %s: %s", what, file, why);
}

/* Only HTTP/1.1 is spoken. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in, unsigned n_in, void *user)
{
    static const unsigned char ours[] = "\x08http/1.1";
    int found = SSL_select_next_proto((unsigned char **)out, n, ours, sizeof ours - 1, in, n_in);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

m8_status m8__tls_open(m8_http *h, const char *cert, const char *key, m8_error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) return m8_fail(err, M8_E_NOMEM, "starting TLS");
    h->tls = ctx;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) return fail(err, "reading the certificate", cert);
    if (!key) key = cert;
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) return fail(err, "reading the key", key);
    if (SSL_CTX_check_private_key(ctx) != 1) return fail(err, "the certificate does not belong to the key", key);
    return M8_OK;
}

void m8__tls_close(m8_http *h) { SSL_CTX_free(h->tls); }

bool m8__tls_new(struct conn *c)
{
    SSL *ssl = SSL_new(c->h->tls);
    c->ssl = ssl;
    if (!ssl || SSL_set_fd(ssl, c->fd) != 1) return false;
    SSL_set_accept_state(ssl);
    return true;
}

void m8__tls_free(struct conn *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
}

static ssize_t result(struct conn *c, int k)
{
    if (k > 0) return k;
    int why = SSL_get_error(c->ssl, k);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

ssize_t m8__tls_recv(struct conn *c, void *buf, size_t n)
{
    return result(c, SSL_read(c->ssl, buf, n > INT32_MAX ? INT32_MAX : (int)n));
}

ssize_t m8__tls_send(struct conn *c, const void *buf, size_t n)
{
    ssize_t k = result(c, SSL_write(c->ssl, buf, n > INT32_MAX ? INT32_MAX : (int)n));
    if (!k) errno = EIO;
    return k ? k : -1;
}

bool m8__tls_pending(struct conn *c) { return SSL_has_pending(c->ssl); }

void m8__tls_bye(struct conn *c)
{
    if (!c->ssl) return;
    if (SSL_is_init_finished(c->ssl)) SSL_shutdown(c->ssl);
    ERR_clear_error();
}
