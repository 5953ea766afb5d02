/* What the hub answers: header lines, lists of files, errors in words; URLs. */
#include "hub_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <torture.h>

#define SHA "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
#define COMMIT "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"

static void lines(struct m8__reply *r, const char *text)
{
    m8_status st = M8_OK;
    *r = (struct m8__reply){ 0 };
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n") + 1;
        m8__reply_line(r, at, n, &st);
        at += n;
    }
    assert_int_equal(st, M8_OK);
}

static void test_large_file(void **s)
{
    struct m8__reply r;
    lines(&r,
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nETag: \"" COMMIT "\"\r\nx-linked-etag:  \"" SHA
          "\" \r\nX-LINKED-SIZE: 145217532\r\nContent-Length: 1317\r\n"
          "ETag: \"" COMMIT "\"\r\nX-Repo-Commit: " COMMIT "\r\nLocation: https://cdn.example/a?b=%2F\r\nRetry-After: 7\r\n\r\n");
    assert_string_equal(r.etag, SHA);
    assert_string_equal(r.commit, COMMIT);
    assert_int_equal(r.size, 145217532);
    assert_string_equal(r.location, "https://cdn.example/a?b=%2F");
    assert_true(r.retry_after_s == 7);
    m8__reply_finish(&r);
}

static void test_small_file(void **s)
{
    struct m8__reply r;
    lines(&r, "HTTP/2 206\r\netag: W/\"" COMMIT
              "\"\r\ncontent-length: 12\r\ncontent-range: bytes 100-111/112\r\nx-error-message: a\x1b[1mb\r\n");
    assert_string_equal(r.etag, COMMIT);
    assert_int_equal(r.size, 12);
    assert_int_equal(r.range_from, 100);
    assert_string_equal(r.error_text, "a [1mb");
    m8__reply_finish(&r);
}

static void test_hostile_lines(void **s)
{
    struct m8__reply r;
    lines(&r, "HTTP/1.1 200 OK\r\n:\r\n: x\r\netag\r\netag:\r\netag: \"\r\netag: \"../../x\"\r\ncontent-length: "
              "-5\r\ncontent-range: bytes\r\ncontent-range: bytes -\r\n"
              "content-range: bytes 99999999999999999999-\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\nx-linked-size: "
              "0x10\r\nx-repo-commit: ../../../../../../../../../../../../../../../../x\r\n");
    assert_string_equal(r.etag, "");
    assert_int_equal(r.size, -1);
    assert_int_equal(r.range_from, -1);
    assert_true(r.retry_after_s < 0);
    assert_false(m8__name_is_commit(r.commit));
    m8__reply_finish(&r);
}

static const char listing[] =
    "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a/b.bin\",\"size\":7,\"lfs\":{\"size\":70,\"sha256\":\"" SHA "\"}},"
    "{\"rfilename\":\"config.json\",\"x\":1,\"size\":9},{\"rfilename\":\"c\",\"size\":-1,\"lfs\":7},{\"rfilename\":\"d\"}]}";

static void test_listing(void **s)
{
    char commit[41];
    m8_hub_file *files;
    size_t n;
    assert_int_equal(m8__api_revision(listing, strlen(listing), commit, &files, &n, NULL), M8_OK);
    assert_int_equal(n, 4);
    assert_string_equal(commit, COMMIT);
    assert_string_equal(files[0].name, "a/b.bin");
    assert_int_equal(files[0].size, 70);
    assert_string_equal(files[0].sha256, SHA);
    assert_string_equal(files[1].name, "config.json");
    assert_int_equal(files[1].size, 9);
    assert_null(files[1].sha256);
    assert_int_equal(files[2].size, -1);
    assert_int_equal(files[3].size, -1);
    m8_free(files);
    static const char *const bad[] = { "",
                                       "[]",
                                       "{}",
                                       "7",
                                       "{\"sha\":7,\"siblings\":[]}",
                                       "{\"sha\":\"main\",\"siblings\":[]}",
                                       "{\"sha\":\"" COMMIT "\"}",
                                       "{\"sha\":\"" COMMIT "\",\"siblings\":{}}",
                                       "{\"sha\":\"" COMMIT "\",\"siblings\":[7]}",
                                       "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"../x\"}]}",
                                       "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a\\u0000b\"}]}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        m8_error err = { 0 };
        assert_int_equal(m8__api_revision(bad[i], strlen(bad[i]), commit, &files, &n, &err), M8_E_FORMAT);
        assert_null(files);
        assert_true(err.text[0]);
    }
}

static void test_words(void **s)
{
    static const struct {
        int status;
        const char *code, *said;
        bool token;
        m8_status st;
        const char *words;
    } cases[] = {
        { 404, "RevisionNotFound", "", false, M8_E_NOTFOUND, "a/b has no revision v1" },
        { 404, "EntryNotFound", "", false, M8_E_NOTFOUND, "a/b has no file f" },
        { 404, "RepoNotFound", "", true, M8_E_NOTFOUND, "the hub has no repo a/b, or it is private" },
        { 401, "", "", false, M8_E_NOTFOUND, "the hub has no repo a/b, or it is private (HF_TOKEN is not set)" },
        { 401, "GatedRepo", "", false, M8_E_NOTFOUND, "a/b is gated: accept its terms on the hub, and set HF_TOKEN" },
        { 403, "GatedRepo", "", true, M8_E_NOTFOUND, "a/b is gated: accept its terms on the hub" },
        { 401, "", "Invalid credentials in Authorization header", true, M8_E_NOTFOUND,
          "the hub does not accept this token (HF_TOKEN)" },
        { 403, "", "Access to this resource is disabled.", true, M8_E_NET,
          "a/b: the hub refuses access (403): Access to this resource is disabled." },
        { 429, "", "", false, M8_E_BUSY, "the hub says that there were too many requests (429); try again later" },
        { 500, "", "", false, M8_E_NET, "a/b: the hub answers 500" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct m8__reply r = { .status = cases[i].status };
        m8_error err = { 0 };
        strcpy(r.error_code, cases[i].code);
        strcpy(r.error_text, cases[i].said);
        assert_int_equal(m8__api_fail(&r, "a/b", "v1", "f", cases[i].token, &err), cases[i].st);
        assert_string_equal(err.text, cases[i].words);
        assert_int_equal(err.detail, cases[i].status);
    }
}

static void test_urls(void **s)
{
    static const struct {
        const char *base, *location, *want; /* NULL: refused */
    } cases[] = {
        { "https://h/a/b", "/c?d=%2F", "https://h/c?d=%2F" },
        { "https://h/a/b", "https://cdn/x%2Fy?s=a%2bb", "https://cdn/x%2Fy?s=a%2bb" },
        { "https://h/a", "http://cdn/x", NULL },
        { "http://h/a", "https://cdn/x", "https://cdn/x" },
        { "http://h/a", "http://cdn/x", "http://cdn/x" },
        { "https://h/a", "file:///etc/passwd", NULL },
        { "https://h/a", "//other/x", "https://other/x" },
        { "https://h/a", "ftp://x/", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *url;
        m8_error err = { 0 };
        m8_status st = m8__url_join(&url, cases[i].base, cases[i].location, &err);
        if (!st != (cases[i].want != NULL)) fail_msg("%s: %s", cases[i].location, err.text);
        if (url) assert_string_equal(url, cases[i].want);
        m8_free(url);
    }
    assert_true(m8__same_origin("https://h/a", "https://H:443/b"));
    assert_false(m8__same_origin("https://h/a", "http://h/a"));
    assert_false(m8__same_origin("https://h/a", "https://h:444/a"));
    assert_false(m8__same_origin("https://h/a", "https://h.evil/a"));
    assert_false(m8__same_origin("https://h@evil/a", "https://h/a"));
    assert_false(m8__same_origin("nonsense", "nonsense"));
    char *e = m8__url_escape("refs/pr/1 \xc3\xa4%", false);
    assert_string_equal(e, "refs%2Fpr%2F1%20%C3%A4%25");
    m8_free(e);
    e = m8__url_escape("a/b", true);
    assert_string_equal(e, "a/b");
    m8_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_large_file),    cmocka_unit_test(test_small_file),
                                        cmocka_unit_test(test_hostile_lines), cmocka_unit_test(test_listing),
                                        cmocka_unit_test(test_words),         cmocka_unit_test(test_urls) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
