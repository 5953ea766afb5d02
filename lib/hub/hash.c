/* SHA-256 of a file, and the SHA-1 that git gives it: over "blob SIZE", a NUL, and the content. */
#include "hub_internal.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

static void to_text(char *out, const unsigned char *digest, unsigned n)
{
    for (unsigned i = 0; i < n; i++) sprintf(out + 2 * i, "%02x", digest[i]);
}

static m8_status begin(EVP_MD_CTX **ctx, enum m8__hash kind, m8_error *err)
{
    *ctx = EVP_MD_CTX_new();
    if (!*ctx || !EVP_DigestInit_ex(*ctx, kind == M8__SHA256 ? EVP_sha256() : EVP_sha1(), NULL))
        return m8_fail(err, M8_E_NOMEM, "no memory for a hash");
    return M8_OK;
}

static m8_status end(char out[M8__HASH_TEXT], EVP_MD_CTX *ctx, m8_status st, m8_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!st && (!EVP_DigestFinal_ex(ctx, digest, &n) || n > 32)) st = m8_fail(err, M8_E_INTERNAL, "a hash failed");
    if (!st) to_text(out, digest, n);
    EVP_MD_CTX_free(ctx);
    return st;
}

m8_status m8__hash_file(char out[M8__HASH_TEXT], int fd, enum m8__hash kind, int64_t size, m8_error *err)
{
    enum { CHUNK = 256 * 1024 };
    EVP_MD_CTX *ctx;
    m8_status st = begin(&ctx, kind, err);
    char *buf = m8_malloc(CHUNK), head[40];
    if (!st && !buf) st = m8_fail(err, M8_E_NOMEM, "no memory for a hash");
    if (!st && kind == M8__GIT_SHA1) EVP_DigestUpdate(ctx, head, (size_t)sprintf(head, "blob %lld", (long long)size) + 1);
    if (!st && lseek(fd, 0, SEEK_SET)) st = m8_fail_errno(err, M8_E_IO, "reading");
    while (!st) {
        ssize_t n = m8_sys_get()->read(fd, buf, CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = m8_fail_errno(err, M8_E_IO, "reading");
        if (n <= 0) break;
        EVP_DigestUpdate(ctx, buf, (size_t)n);
    }
    m8_free(buf);
    return end(out, ctx, st, err);
}

m8_status m8__hash_text(char out[M8__HASH_TEXT], const void *data, size_t n, m8_error *err)
{
    EVP_MD_CTX *ctx;
    m8_status st = begin(&ctx, M8__SHA256, err);
    if (!st) EVP_DigestUpdate(ctx, data, n);
    return end(out, ctx, st, err);
}
