/* What the hub answers, without I/O: header lines, the list of a revision's files, and errors in words. */
#include "hub_internal.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A copy without control bytes, cut to fit. */
static void take_text(char *out, size_t room, const char *s, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < room; i++) out[k++] = (unsigned char)s[i] < 0x20 || s[i] == 0x7F ? ' ' : s[i];
    out[k] = 0;
}

/* A whole number of at most 18 digits that ends where the text does; -1 if it is none. */
static int64_t take_number(const char *s, size_t n)
{
    int64_t v = 0;
    if (!n || n > 18) return -1;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

static void take_etag(char out[M8__HASH_TEXT], const char *s, size_t n)
{
    if (n > 2 && !memcmp(s, "W/", 2)) s += 2, n -= 2;
    if (n > 1 && s[0] == '"' && s[n - 1] == '"') s++, n -= 2;
    out[0] = 0;
    if (n >= M8__HASH_TEXT) return;
    memcpy(out, s, n);
    out[n] = 0;
    if (strlen(out) != n || !m8__name_is_etag(out)) out[0] = 0;
}

void m8__reply_line(struct m8__reply *r, const char *line, size_t n, m8_status *st)
{
    while (n && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ' || line[n - 1] == '\t')) n--;
    if (n >= 5 && !memcmp(line, "HTTP/", 5)) { /* a new head, after 100 Continue or a proxy's */
        m8__reply_finish(r);
        *r = (struct m8__reply){ .size = -1, .range_from = -1, .retry_after_s = -1 };
        return;
    }
    const char *colon = memchr(line, ':', n);
    if (!colon) return;
    size_t name = (size_t)(colon - line);
    const char *v = colon + 1;
    while (v < line + n && (*v == ' ' || *v == '\t')) v++;
    size_t len = (size_t)(line + n - v);
#define IS(s) (name == sizeof s - 1 && !strncasecmp(line, s, name))
    if (IS("etag") && !r->has_linked_etag) take_etag(r->etag, v, len);
    else if (IS("x-linked-etag")) take_etag(r->etag, v, len), r->has_linked_etag = true;
    else if (IS("x-linked-size")) r->size = take_number(v, len), r->has_linked_size = true;
    else if (IS("content-length") && !r->has_linked_size) r->size = take_number(v, len);
    else if (IS("x-repo-commit")) take_text(r->commit, sizeof r->commit, v, len);
    else if (IS("x-error-code")) take_text(r->error_code, sizeof r->error_code, v, len);
    else if (IS("x-error-message")) take_text(r->error_text, sizeof r->error_text, v, len);
    else if (IS("retry-after")) r->retry_after_s = (double)take_number(v, len);
    else if (IS("content-range") && len > 6 && !strncasecmp(v, "bytes ", 6)) {
        const char *dash = memchr(v + 6, '-', len - 6);
        if (dash) r->range_from = take_number(v + 6, (size_t)(dash - v) - 6);
    } else if (IS("location")) {
        m8_free(r->location);
        r->location = len < 16384 && !memchr(v, 0, len) ? m8_strndup(v, len) : NULL;
        if (!r->location && len < 16384) *st = M8_E_NOMEM;
    }
#undef IS
}

void m8__reply_finish(struct m8__reply *r)
{
    m8_free(r->location);
    *r = (struct m8__reply){ 0 };
}

/* Size and SHA-256, where the hub says them: of a large file under "lfs". */
static void read_blob(m8_hub_file *f, const json_t *entry, char **at)
{
    const json_t *lfs = json_object_get(entry, "lfs"), *size = json_object_get(lfs ? lfs : entry, "size");
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
    f->size = json_is_integer(size) && json_integer_value(size) >= 0 && json_integer_value(size) < INT64_C(1) << 42 ? json_integer_value(size) : -1;
    if (!sha256 || !m8__name_is_hex(sha256, 64)) return;
    f->sha256 = *at;
    *at = stpcpy(*at, sha256) + 1;
}

m8_status m8__api_revision(const char *data, size_t n, char commit[41], m8_hub_file **files, size_t *n_files, m8_error *err)
{
    *files = NULL;
    *n_files = 0;
    json_error_t why;
    json_t *j = json_loadb(data, n, 0, &why);
    if (!j && (!why.text[0] || json_error_code(&why) == json_error_out_of_memory))
        return m8_fail(err, M8_E_NOMEM, "out of memory");
    if (!j) return m8_fail(err, M8_E_FORMAT, "the hub's reply is not JSON: %s", why.text);
    const char *sha = json_string_value(json_object_get(j, "sha"));
    const json_t *list = json_object_get(j, "siblings");
    size_t count = json_array_size(list), bytes = (count + 1) * sizeof(m8_hub_file);
    m8_status st = M8_OK;
    if (!sha || !m8__name_is_commit(sha)) st = m8_fail(err, M8_E_FORMAT, "the hub's reply names no commit");
    if (!st && !json_is_array(list)) st = m8_fail(err, M8_E_FORMAT, "the hub's reply lists no files");
    if (!st && count > M8__MAX_FILES)
        st = m8_fail(err, M8_E_LIMIT, "the repo has more than %d files; name those you want", M8__MAX_FILES);
    for (size_t i = 0; !st && i < count; i++) {
        const json_t *name = json_object_get(json_array_get(list, i), "rfilename");
        const char *s = json_string_value(name);
        if (!s || strlen(s) != json_string_length(name) || !m8__name_is_path(s))
            st = m8_fail(err, M8_E_FORMAT, "the hub lists a file with a name that is not allowed");
        else bytes += strlen(s) + 1 + M8__HASH_TEXT;
    }
    m8_hub_file *out = st ? NULL : m8_calloc(1, bytes);
    if (!st && !out) st = m8_fail(err, M8_E_NOMEM, "out of memory");
    if (!st) {
        char *at = (char *)(out + count + 1);
        for (size_t i = 0; i < count; i++) {
            const json_t *entry = json_array_get(list, i);
            out[i].name = at;
            at = stpcpy(at, json_string_value(json_object_get(entry, "rfilename"))) + 1;
            read_blob(&out[i], entry, &at);
        }
        memcpy(commit, sha, 41);
        *files = out;
        *n_files = count;
    }
    json_decref(j);
    return st;
}

bool m8__status_passing(int status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

m8_status m8__api_fail(const struct m8__reply *r, const char *repo, const char *revision, const char *file, bool with_token,
                       m8_error *err)
{
    const char *code = r->error_code, *said = r->error_text;
    m8_status st = M8_E_NET;
    m8_error e = { 0 };
    if (r->status == 404 && !strcmp(code, "RevisionNotFound"))
        st = m8_fail(&e, M8_E_NOTFOUND, "%s has no revision %s", repo, revision);
    else if (r->status == 404 && (!strcmp(code, "EntryNotFound") || r->commit[0]))
        st = m8_fail(&e, M8_E_NOTFOUND, "%s has no file %s", repo, file ? file : "");
    else if (!strcmp(code, "GatedRepo"))
        st = m8_fail(&e, M8_E_NOTFOUND, "%s is gated: accept its terms on the hub%s", repo,
                     with_token ? "" : ", and set HF_TOKEN");
    else if (r->status == 401 && !strcmp(said, "Invalid credentials in Authorization header"))
        st = m8_fail(&e, M8_E_NOTFOUND, "the hub does not accept this token (HF_TOKEN)");
    else if (r->status == 401 || (r->status == 404 && (!file || !strcmp(code, "RepoNotFound"))))
        st = m8_fail(&e, M8_E_NOTFOUND, "the hub has no repo %s, or it is private%s", repo,
                     with_token ? "" : " (HF_TOKEN is not set)");
    else if (r->status == 404)
        st = m8_fail(&e, M8_E_NOTFOUND, "%s: not found on the hub%s%s", repo, file ? ": " : "", file ? file : "");
    else if (r->status == 403)
        st = m8_fail(&e, M8_E_NET, "%s: the hub refuses access (403)%s%s", repo, said[0] ? ": " : "", said);
    else if (r->status == 429)
        st = m8_fail(&e, M8_E_BUSY, "the hub says that there were too many requests (429); try again later");
    else st = m8_fail(&e, M8_E_NET, "%s: the hub answers %d%s%s", repo, r->status, said[0] ? ": " : "", said);
    e.detail = r->status;
    if (err && !err->status) *err = e;
    return st;
}
