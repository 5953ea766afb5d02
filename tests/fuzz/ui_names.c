/* Any name of an upload: a clean one comes out, which cleaning again does not change; any JSON as a FileData: accepted or refused, and its URL is one line. */
#include "serve.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void name(const char *given)
{
    char one[M8__NAME_MAX + 1], two[M8__NAME_MAX + 1];
    if (!m8__clean_name(one, given)) return;
    size_t n = strlen(one);
    if (!n || n > M8__NAME_MAX || !strcmp(one, ".") || !strcmp(one, "..")) abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)one[i] < 0x20 || one[i] == 0x7F || strchr("<>:\"/\\|?*`$!{}", one[i])) abort();
    if (!m8__clean_name(two, one) || strlen(two) > n + 1) abort();
    m8__mime_of(given, false);
    m8__mime_of(one, true);
}

static void file_data(const char *text, size_t n)
{
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!v) return;
    const char *path = m8__filedata_path(v);
    if (m8__add_urls(v, "http://h") == M8_OK && path) {
        const char *url = json_string_value(json_object_get(v, "url"));
        if (!url || strpbrk(url, "\r\n\" ")) abort();
    }
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = n && n < 9000 ? malloc(n) : NULL;
    if (!text) return 0;
    memcpy(text, data + 1, n - 1);
    text[n - 1] = 0;
    if (data[0] & 1) name(text);
    else file_data(text, n - 1);
    free(text);
    return 0;
}
