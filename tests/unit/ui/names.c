/* Names of uploads: as the original cleans them, and harmless whatever they are. */
#include "served.h"

static void test_as_gradio(void **state)
{
    char path[512], got[M8__NAME_MAX + 1];
    const char *dir = getenv("MAGIC8_TEST_DATA");
    snprintf(path, sizeof path, "%s/ui/names.json", dir ? dir : "tests/data");
    json_error_t why;
    json_t *all = json_load_file(path, 0, &why), *row;
    size_t i;
    if (!all) fail_msg("%s: %s", path, why.text);
    assert_true(json_array_size(all) > 70);
    json_array_foreach(all, i, row)
    {
        const char *given = json_string_value(json_array_get(row, 0)), *want = json_string_value(json_array_get(row, 1));
        if (!want) continue; /* no name: upload.c makes one */
        bool ok = m8__clean_name(got, given);
        if (!strcmp(want, "..")) assert_false(ok);
        else if (!ok || strcmp(got, want)) fail_msg("%s: expected %s, got %s", given, want, ok ? got : "(refused)");
    }
    json_decref(all);
}

static void test_beyond(void **state)
{
    char got[M8__NAME_MAX + 1];
    assert_true(m8__clean_name(got, "a\xE2\x80\xAEgnp.exe")); /* right to left: shows as aexe.png */
    assert_string_equal(got, "agnp.exe");
    assert_true(m8__clean_name(got, "a\xC2\x85" "b\xE2\x80\xA9" "c.txt"));
    assert_string_equal(got, "abc.txt");
    assert_true(m8__clean_name(got, "a\xFF\xC0\xAF\xED\xA0\x80.txt")); /* not UTF-8: overlong '/', a lone surrogate */
    assert_string_equal(got, "a.txt");
    char big[20001];
    memset(big, '.', 20000);
    big[20000] = 0;
    assert_true(m8__clean_name(got, big));
    assert_string_equal(got, "file");
    memset(big, 'y', 20000);
    memcpy(big + 19990, ".wav", 5);
    assert_true(m8__clean_name(got, big));
    assert_int_equal(strlen(got), 200);
    assert_string_equal(got + 196, ".wav");
}

static void test_types(void **state)
{
    assert_string_equal(m8__mime_of("/a/b.PNG", false), "image/png");
    assert_string_equal(m8__mime_of("x.mp3", false), "audio/mpeg");
    assert_string_equal(m8__mime_of("x.txt", false), "text/plain; charset=utf-8");
    static const char *const unsafe[] = { "x.html", "x.svg", "x.js", "x.xml", "x.pdf", "x.css", "x.xhtml", "x", "x.", ".png.html", "x.svgz", "x.swf", "a.png/b" };
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        if (m8__mime_of(unsafe[i], false)) fail_msg("%s is shown as %s", unsafe[i], m8__mime_of(unsafe[i], false));
    assert_string_equal(m8__mime_of("x.svg", true), "image/svg+xml");
}

static void test_within(void **state)
{
    assert_true(m8__within("/a/b", "/a/b", false));
    assert_true(m8__within("/a/b", "/a/b/c", false));
    assert_true(m8__within("/a/b/", "/a/b/c", false));
    assert_true(m8__within("/", "/x", false));
    assert_false(m8__within("/a/b", "/a/b-evil/c", false));
    assert_false(m8__within("/a/b", "/a/bc", false));
    assert_false(m8__within("/a/b", "/a", false));
    assert_false(m8__within("/a/b", "/A/B/c", false));
    assert_true(m8__within("/a/b", "/A/B/c", true));
}

static void check_urls(const char *text, const char *want)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_int_equal(m8__add_urls(v, "http://h:1/app"), M8_OK);
    char *got = json_dumps(v, JSON_COMPACT);
    assert_string_equal(got, want);
    free(got);
    json_decref(v);
}

static void test_urls(void **state)
{
#define META "\"meta\":{\"_type\":\"gradio.FileData\"}"
    check_urls("[{\"path\":\"/t/x y#%.txt\",\"url\":null," META "}]",
               "[{\"path\":\"/t/x y#%.txt\",\"url\":\"http://h:1/app/gradio_api/file=/t/x%20y%23%25.txt\"," META "}]");
    check_urls("{\"a\":{\"b\":[{\"path\":\"s/r/4/playlist.m3u8\",\"url\":null,\"is_stream\":true," META "}]}}",
               "{\"a\":{\"b\":[{\"path\":\"s/r/4/playlist.m3u8\",\"url\":\"http://h:1/app/gradio_api/stream/s/r/4/playlist.m3u8\",\"is_stream\":true," META "}]}}");
    check_urls("{\"path\":\"/t/x\"}", "{\"path\":\"/t/x\"}");
    check_urls("[\"text\"]", "[\"text\"]");
    check_urls("{\"path\":7," META "}", "{\"path\":7," META "}");
    json_t *fd = m8__filedata("/p", "n", 3, false);
    char *got = json_dumps(fd, JSON_COMPACT);
    assert_string_equal(got, "{\"path\":\"/p\",\"url\":null,\"size\":3,\"orig_name\":\"n\",\"mime_type\":null,\"is_stream\":false," META "}");
    free(got);
    json_decref(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_gradio), cmocka_unit_test(test_beyond), cmocka_unit_test(test_types),
                                        cmocka_unit_test(test_within), cmocka_unit_test(test_urls) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
