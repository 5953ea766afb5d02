/* The page and its parts: config and info inside, nothing that breaks out, nothing from elsewhere; names looked up in a table, tags that spare a transfer. */
#include "served.h"
#include "web.h"

static struct served s;

static const m8_asset assets[] = { { "ball.css", "text/css", "a{}", 3, true }, { "ball.js", "text/javascript", "1;", 2, true }, { "deep/pic.png", NULL, "PNG", 3, false } };

static int open_app(void **state)
{
    if (system("rm -rf " TMP "-pa && mkdir -p " TMP "-pa")) return -1;
    memset(&s, 0, sizeof s);
    s.app.launch = (m8_launch_opts){ .cache_dir = TMP "-pa" };
    s.app.opts = (m8_blocks_opts){ .title = "Magic <8> \"Ball\" %CONFIG% & more", .description = "It's <a> ball", .css = "b{}</style><script>x</script>", .assets = assets, .n_assets = 3 };
    served_open(&s);
    return 0;
}

static int close_app(void **state)
{
    served_close(&s);
    return 0;
}

static void test_page(void **state)
{
    char v[600], nonce[2][40];
    for (int i = 0; i < 2; i++) {
        struct reply r = get(&s, "GET", "/", NULL);
        assert_int_equal(r.status, 200);
        assert_string_equal(header_of(&r, "content-type", v, sizeof v), "text/html; charset=utf-8");
        assert_string_equal(header_of(&r, "cache-control", v, sizeof v), "no-store");
        const char *policy = header_of(&r, "content-security-policy", v, sizeof v), *at = strstr(policy, "'nonce-");
        assert_int_equal(sscanf(at, "'nonce-%39[0-9a-f]'", nonce[i]), 1);
        char want[600];
        snprintf(want, sizeof want, "default-src 'self'; script-src 'self' 'nonce-%s'; style-src 'self' 'nonce-%s'; img-src 'self' data: blob:; media-src 'self' blob: data:; "
                 "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'", nonce[i], nonce[i]);
        assert_string_equal(policy, want);
        assert_non_null(strstr(r.body, "<title>Magic &lt;8&gt; &quot;Ball&quot; %CONFIG% &amp; more</title>"));
        assert_non_null(strstr(r.body, "window.gradio_config = {\"root\":\"http://localhost\",\"username\":\"\",\"page\":1,\"title\":\"\\u003c/script\\u003e\\u003cb\\u003e\\u0026\\u0027\\u2028\"};"));
        assert_non_null(strstr(r.body, "window.gradio_api_info = {\"secret\":\"endpoints\"};"));
        assert_non_null(strstr(r.body, "<meta name=\"description\" content=\"It&#39;s &lt;a&gt; ball\">"));
        assert_non_null(strstr(r.body, "<link rel=\"stylesheet\" href=\"static/ball.css\">"));
        assert_non_null(strstr(r.body, "<script type=\"module\" src=\"static/ball.js\"></script>"));
        assert_null(strstr(r.body, "pic.png"));
        assert_null(strstr(r.body, "</style><script>x"));
        assert_null(strstr(r.body, "%NONCE%"));
        assert_null(strstr(r.body, "%HEAD%"));
        for (const char *tag = r.body; (tag = strstr(tag, "<style")) != NULL; tag++) assert_int_equal(strncmp(tag, "<style nonce=\"", 14), 0);
        for (const char *tag = r.body; (tag = strstr(tag, "=\"http")) != NULL; tag++) fail_msg("from elsewhere: %.60s", tag);
        reply_free(&r);
    }
    assert_string_not_equal(nonce[0], nonce[1]);
    struct reply r = get(&s, "HEAD", "/", NULL);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.n_body, 0);
    reply_free(&r);
}

static void test_assets(void **state)
{
    char v[200], line[200], target[200];
    int n = 0;
    for (const struct m8__web_file *f = m8__web; f->name; f++) {
        if (!strcmp(f->name, "index.html")) continue;
        snprintf(target, sizeof target, "/assets/%s", f->name);
        struct reply r = get(&s, "GET", target, NULL);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.n_body, f->size);
        assert_memory_equal(r.body, f->data, f->size);
        assert_string_equal(header_of(&r, "cache-control", v, sizeof v), "no-cache");
        const char *type = header_of(&r, "content-type", v, sizeof v);
        if (strstr(f->name, ".js")) assert_string_equal(type, "text/javascript; charset=utf-8");
        if (strstr(f->name, ".css")) assert_string_equal(type, "text/css; charset=utf-8");
        snprintf(line, sizeof line, "If-None-Match: %s\r\n", header_of(&r, "etag", v, sizeof v));
        reply_free(&r);
        assert_int_equal(status_of(&s, "GET", target, line), 304);
        assert_int_equal(status_of(&s, "GET", target, "If-None-Match: \"other\"\r\n"), 200);
        n++;
    }
    assert_true(n >= 2);
    struct reply r = get(&s, "GET", "/static/deep/pic.png", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), "image/png");
    snprintf(line, sizeof line, "If-None-Match: W/\"x\", %s\r\n", header_of(&r, "etag", v, sizeof v));
    reply_free(&r);
    assert_int_equal(status_of(&s, "GET", "/static/deep/pic.png", line), 304);
    static const char *const missing[] = { "/assets/index.html", "/assets/", "/assets/none.js", "/assets/..%2fmeson.build", "/static/", "/static/none", "/static/pic.png", "/static/deep",
                                           "/static/deep/../deep/none", "/pwa_icon", "/pwa_icon/192", "/custom_component/1/client/component/..%2f..", "/svelte/x" };
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (status_of(&s, "GET", missing[i], NULL) != 404) fail_msg("%s: %d", missing[i], status_of(&s, "GET", missing[i], NULL));
}

static void expect(const char *target, const char *type, const char *body)
{
    char v[100];
    struct reply r = get(&s, "GET", target, NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), type);
    if (body) assert_string_equal(r.body, body);
    reply_free(&r);
}

static void test_small_routes(void **state)
{
    expect("/robots.txt", "text/plain; charset=utf-8", "User-agent: *\nDisallow: ");
    expect("/theme.css", "text/css; charset=utf-8", NULL);
    expect("/favicon.ico", "image/svg+xml", NULL);
    expect("/static/img/logo_nosize.svg", "image/svg+xml", NULL);
    struct reply r = get(&s, "GET", "/manifest.json", NULL);
    json_t *m = json_loads(r.body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(m, "name")), s.app.opts.title);
    assert_string_equal(json_string_value(json_object_get(m, "start_url")), "./");
    assert_string_equal(json_string_value(json_object_get(m, "display")), "standalone");
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(m, "icons"), 0), "src")), "static/img/logo_nosize.svg");
    json_decref(m);
    reply_free(&r);
}

static void test_mounted(void **state)
{
    char v[100];
    served_close(&s);
    memset(&s, 0, sizeof s);
    s.app.launch = (m8_launch_opts){ .cache_dir = TMP "-pa", .mount = "/app" };
    served_open(&s);
    struct reply r = get(&s, "GET", "/app", NULL);
    assert_int_equal(r.status, 302);
    assert_string_equal(header_of(&r, "location", v, sizeof v), "http://localhost/app/");
    reply_free(&r);
    r = get(&s, "GET", "/app/", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"root\":\"http://localhost/app\""));
    assert_non_null(strstr(r.body, "<title>Gradio</title>"));
    reply_free(&r);
    assert_int_equal(status_of(&s, "GET", "/app/assets/icon.svg", NULL), 200);
    assert_int_equal(status_of(&s, "GET", "/", NULL), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_page), cmocka_unit_test(test_assets), cmocka_unit_test(test_small_routes), cmocka_unit_test(test_mounted) };
    return cmocka_run_group_tests(tests, open_app, close_app);
}
