/* TLS: the same server behind a certificate made for the test. */
#include "http_test.h"
#include <signal.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static struct server server;
static char dir[] = "/tmp/m8-tls-XXXXXX", cert[64], key[64], file_at[64], out[400000], big[300000];
static SSL_CTX *client;

static void make_certificate(void)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, k, EVP_sha256()) > 0);
    FILE *f = fopen(cert, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    f = fopen(key, "w");
    assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(k);
}

static void echo(m8_http_req *r, void *user)
{
    size_t n;
    const char *body = m8_http_body(r, &n);
    m8_http_reply(r, 200, "text/plain", body, n);
}
static void root(m8_http_req *r, void *user) { m8_http_reply(r, 200, "text/plain", m8_http_root(r), strlen(m8_http_root(r))); }
static void large(m8_http_req *r, void *user)
{
    m8_http_begin(r, 200, "text/plain");
    for (int i = 0; i < 300; i++) m8_http_write(r, big + i * 1000, 1000);
    m8_http_end(r);
}
static void file(m8_http_req *r, void *user) { m8_http_file(r, m8_sys_get()->open(file_at, 0, 0), "text/plain", false, NULL); }

static const m8_route routes[] = { { "POST", "/echo", echo }, { "GET", "/root", root }, { "GET", "/large", large }, { "GET", "/file", file } };

static int setup(void **state)
{
    m8_error err = { 0 };
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert", dir), snprintf(key, sizeof key, "%s/key", dir), snprintf(file_at, sizeof file_at, "%s/file", dir);
    make_certificate();
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('a' + i * i % 26);
    assert_int_equal(m8_write_file(file_at, big, sizeof big, &err), M8_OK);
    client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_options(client, SSL_OP_IGNORE_UNEXPECTED_EOF);
    assert_int_equal(SSL_CTX_load_verify_locations(client, cert, NULL), 1);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    server_open(&server, &(m8_http_opts){ .tls_cert = cert, .tls_key = key, .head_s = 0.5 }, routes, 4);
    server_start(&server);
    return 0;
}

static int teardown(void **state)
{
    server_end(&server);
    SSL_CTX_free(client);
    unlink(cert), unlink(key), unlink(file_at), rmdir(dir);
    return 0;
}

static SSL *meet(int *fd)
{
    *fd = dial(&server);
    SSL *s = SSL_new(client);
    SSL_set_fd(s, *fd);
    SSL_set_alpn_protos(s, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    if (SSL_connect(s) != 1) fail_msg("no handshake: %s", ERR_error_string(ERR_get_error(), NULL));
    const unsigned char *proto;
    unsigned n;
    SSL_get0_alpn_selected(s, &proto, &n);
    assert_int_equal(n, 8);
    assert_memory_equal(proto, "http/1.1", 8);
    return s;
}

static int ask_tls(const char *text, size_t n)
{
    int fd, status = 0;
    SSL *s = meet(&fd);
    if (!n) n = strlen(text);
    assert_int_equal(SSL_write(s, text, (int)n), n);
    size_t len = 0;
    for (int k; (k = SSL_read(s, out + len, (int)(sizeof out - 1 - len))) > 0;) len += (size_t)k;
    out[len] = 0;
    SSL_free(s);
    close(fd);
    return sscanf(out, "HTTP/1.1 %3d", &status) == 1 ? status : 0;
}

static void test_answers(void **state)
{
    m8_buf b = { 0 };
    assert_int_equal(ask_tls("GET /root HTTP/1.1\r\nHost: localhost:9\r\nConnection: close\r\n\r\n", 0), 200);
    assert_non_null(strstr(out, "\r\n\r\nhttps://localhost:9"));
    m8_buf_printf(&b, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", sizeof big);
    m8_buf_add(&b, big, sizeof big); /* many records, then a second request in the last one */
    m8_buf_str(&b, "GET /root HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_int_equal(ask_tls(b.data, b.len), 200);
    assert_memory_equal(strstr(out, "\r\n\r\n") + 4, big, sizeof big);
    assert_non_null(strstr(out, "https://localhost"));
    int fd; /* a record that is larger than the room behind what came before it */
    SSL *s = meet(&fd);
    assert_int_equal(SSL_write(s, "GET /ro", 7), 7);
    usleep(50000);
    m8_buf_clear(&b);
    m8_buf_printf(&b, "ot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nA: %.7000s\r\nB: %.7000s\r\n\r\n", big, big);
    assert_int_equal(SSL_write(s, b.data, (int)b.len), b.len);
    assert_true(SSL_read(s, out, sizeof out) > 0);
    assert_memory_equal(out, "HTTP/1.1 200", 12);
    SSL_free(s);
    close(fd);
    m8_buf_finish(&b);
    assert_int_equal(ask_tls("GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0), 200);
    assert_memory_equal(strstr(out, "\r\n\r\n") + 4, big, sizeof big);
    assert_int_equal(ask_tls("GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0), 200);
    assert_true(strlen(out) > sizeof big);
    assert_string_equal(out + strlen(out) - 7, "\r\n0\r\n\r\n");
}

static void test_strangers(void **state)
{
    char text[1000];
    assert_int_equal(ask_text(&server, "GET /root HTTP/1.1\r\nHost: localhost\r\n\r\n", text, sizeof text), 0); /* plain text: closed */
    int silent = dial(&server);
    assert_int_equal(hear(silent, text, sizeof text, 3000), 0); /* no handshake: closed in time */
    close(silent);
    int fd;
    for (int i = 0; i < 20; i++) { /* clients that leave */
        SSL *s = meet(&fd);
        if (i % 2) SSL_write(s, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", 40);
        SSL_free(s);
        close(fd);
    }
    m8_error err = { 0 };
    m8_http *h;
    assert_int_equal(m8_http_open(&h, &(m8_http_opts){ .tls_cert = file_at }, &err), M8_E_UNSUPPORTED);
    assert_int_equal(m8_http_open(&h, &(m8_http_opts){ .tls_cert = cert, .tls_key = "/nonexistent" }, NULL), M8_E_UNSUPPORTED);
    assert_int_equal(m8_http_open(&h, &(m8_http_opts){ .tls_cert = cert, .tls_key = cert }, NULL), M8_E_UNSUPPORTED);
    assert_int_equal(ask_tls("GET /root HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0), 200);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the client's */
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers), cmocka_unit_test(test_strangers) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
