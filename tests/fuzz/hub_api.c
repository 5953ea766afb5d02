/* What a hub answers: header lines up to an empty one, then the JSON of a revision; and the redirect's address. */
#include "hub_internal.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *at = (const char *)data, *end = at + n;
    struct m8__reply r = { 0 };
    m8_status st = M8_OK;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        size_t len = nl ? (size_t)(nl - at) + 1 : (size_t)(end - at);
        m8__reply_line(&r, at, len, &st);
        at += len;
        if (len <= 2) break;
    }
    if (st == M8_OK && r.etag[0] && !m8__name_is_etag(r.etag)) abort();
    if (r.location) {
        char *url;
        if (!m8__url_join(&url, "https://hub.example/a/b", r.location, NULL) && strncasecmp(url, "https://", 8)) abort();
        m8_free(url);
    }
    m8_error err = { 0 };
    r.status = 404;
    m8__api_fail(&r, "a/b", "main", "f", false, &err);
    m8__reply_finish(&r);
    char commit[41];
    m8_hub_file *files;
    size_t n_files;
    if (m8__api_revision(at, (size_t)(end - at), commit, &files, &n_files, NULL)) return 0;
    for (size_t i = 0; i < n_files; i++)
        if (!m8__name_is_path(files[i].name) || files[i].size < -1 || (files[i].sha256 && strlen(files[i].sha256) != 64)) abort();
    m8_free(files);
    return 0;
}
