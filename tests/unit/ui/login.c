/* Login: who gets in, what stands open without it, how guesses are slowed. Rows D5 to D8, D10, D12 of the security list. */
#include "served.h"

static struct served s;
static char cookie_name[64];

static int open_with(m8_launch_opts o)
{
    memset(&s, 0, sizeof s);
    o.cache_dir = TMP "-lo";
    s.app.launch = o;
    served_open(&s);
    return 0;
}

static int open_list(void **state)
{
    static const char *const open_paths[] = { "/health" };
    return system("rm -rf " TMP "-lo && mkdir -p " TMP "-lo") ||
           open_with((m8_launch_opts){ .auth = "admin:secret\nann:se:cr et\n\nbob:", .auth_message = "Say the word", .open_paths = open_paths, .n_open_paths = 1 });
}

static int close_app(void **state)
{
    served_close(&s);
    return 0;
}

static struct reply login_as(const char *form, const char *lines) { return post(&s, "/login", "application/x-www-form-urlencoded", form, strlen(form), lines); }

/* Header lines with the cookie of somebody who got in; new. */
static char *cookie(const char *form)
{
    char v[200];
    struct reply r = login_as(form, NULL);
    if (r.status != 200) fail_msg("%s: %d %s", form, r.status, r.body);
    assert_string_equal(r.body, "{\"success\":true}");
    assert_non_null(header_of(&r, "set-cookie", v, sizeof v));
    v[strcspn(v, ";")] = 0;
    snprintf(cookie_name, sizeof cookie_name, "%.*s", (int)strcspn(v, "="), v);
    char *lines = m8_sprintf("Cookie: a=b; %s\r\n", v);
    reply_free(&r);
    return lines;
}

static void expect(const char *target, const char *lines, int status, const char *body)
{
    struct reply r = get(&s, "GET", target, lines);
    if (r.status != status || (body && strcmp(r.body, body))) fail_msg("%s: expected %d %s, got %d %s", target, status, body ? body : "", r.status, r.body);
    reply_free(&r);
}

#define CLOSED "{\"detail\":{\"error\":\"Not authenticated\",\"auth_message\":\"Say the word\"}}"

static void test_as_gradio(void **state)
{
    struct reply r = login_as("username=admin&password=bad", NULL);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "{\"detail\":\"Incorrect credentials.\"}");
    reply_free(&r);
    r = login_as("username=admin&password=secret", NULL);
    assert_int_equal(r.status, 200);
    const char *one = strcasestr(r.text, "set-cookie: access-token-"), *two = one ? strcasestr(one + 1, "set-cookie: access-token-unsecure-") : NULL;
    assert_non_null(two);
    char id[20], again[20], token[64], second[64];
    assert_int_equal(sscanf(one + 25, "%19[0-9a-f]=%63[0-9a-f]; HttpOnly; Path=/; SameSite=none; Secure\r", id, token), 2);
    assert_int_equal(sscanf(two + 34, "%19[0-9a-f]=%63[0-9a-f]; HttpOnly; Path=/; SameSite=lax\r", again, second), 2);
    assert_string_equal(id, again);
    assert_string_equal(token, second);
    assert_true(strlen(token) >= 32);
    reply_free(&r);
    char *plain = m8_sprintf("Cookie: access-token-unsecure-%s=%s\r\n", id, token), *wrong = m8_sprintf("Cookie: access-token-%s=%s\r\n", id, "0123456789abcdef0123456789abcdef");
    expect("/gradio_api/user", plain, 200, "\"admin\""); /* either is enough */
    expect("/gradio_api/user", wrong, 200, "null");
    expect("/gradio_api/user", NULL, 200, "null");
    expect("/gradio_api/login_check", plain, 200, "null");
    expect("/gradio_api/login_check/", NULL, 401, CLOSED);
    char *both = m8_sprintf("{\"token\":\"%s\",\"user\":\"admin\"}", token);
    expect("/gradio_api/token", plain, 200, both);
    expect("/gradio_api/token", wrong, 200, "{\"token\":null,\"user\":null}");
    m8_free(both);
    r = get(&s, "GET", "/logout", plain);
    char v[200];
    assert_int_equal(r.status, 302);
    assert_string_equal(header_of(&r, "location", v, sizeof v), "http://localhost");
    assert_non_null(strstr(header_of(&r, "set-cookie", v, sizeof v), "=\"\"; expires="));
    assert_non_null(strstr(v, "Max-Age=0; Path=/; SameSite=lax"));
    reply_free(&r);
    expect("/gradio_api/user", plain, 200, "null");
    m8_free(plain);
    m8_free(wrong);
}

static void test_forms(void **state)
{
    static const char *const in[] = { "username=+admin+&password=secret", "password=secret&username=%20admin%09", "grant_type=password&username=ann&password=se%3Acr+et", "username=bob&password=" };
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) m8_free(cookie(in[i]));
    m8_buf b = {0};
    add_part(&b, "username", NULL, "admin", 5);
    add_part(&b, "password", NULL, "secret", 6);
    m8_buf_str(&b, "--" BOUNDARY "--\r\n");
    struct reply r = post(&s, "/login", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    r = post(&s, "/login/", MULTIPART, b.data, b.len, NULL);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    m8_buf_finish(&b);
    r = login_as("username=admin", NULL);
    assert_int_equal(r.status, 422);
    assert_string_equal(r.body, "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"password\"],\"msg\":\"Field required\",\"input\":null}]}");
    reply_free(&r);
    static const struct {
        const char *type, *body;
    } bad[] = { { "application/json", "{\"username\":\"admin\",\"password\":\"secret\"}" }, { "text/plain", "username=admin&password=secret" }, { MULTIPART, "x" },
                { "multipart/form-data", "x" }, { "application/x-www-form-urlencoded", "" }, { "application/x-www-form-urlencoded", "username=%00&password=%zz" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = post(&s, "/login", bad[i].type, bad[i].body, strlen(bad[i].body), NULL);
        if (r.status != 422) fail_msg("%s %s: %d %s", bad[i].type, bad[i].body, r.status, r.body);
        reply_free(&r);
    }
    static const char *const out[] = { "username=admin&password=secret%00x", "username=admin&password=", "username=&password=secret", "username=Admin&password=secret" };
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) { /* no more: the next ones would be slowed */
        r = login_as(out[i], NULL);
        if (r.status != 400 && r.status != 422) fail_msg("%s: %d %s", out[i], r.status, r.body);
        reply_free(&r);
    }
    m8_free(cookie("username=admin&password=secret")); /* forgiven: he got in */
}

static void test_d8_closed(void **state)
{
    static const char *const closed[] = {
        "/config", "/config/", "//config", "/./config", "/x/../config", "/%63onfig", "/config?x=/login", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x", "/gradio_api/call/x/y",
        "/gradio_api/file=/etc/passwd", "/gradio_api/file/x", "/gradio_api/upload_progress?upload_id=x", "/gradio_api/openapi.json", "/monitoring/summary", "/monitoring", "/anything",
        "/gradio_api", "/gradio_api/", "/login/../config", "/assets/../config", "/static/%2e%2e/config", "/assets", "/metrics", "/health/x", "/gradio_api/queue/status", "/gradio_api/users",
        "/gradio_api/heartbeat", "/gradio_api/app_idx", "/LOGIN/x", "/gradio_api/Heartbeat/x", "/gradio_api/run/x", "/gradio_api/mcp/",
    };
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        struct reply r = get(&s, "GET", closed[i], NULL);
        if (r.status != 401 || strcmp(r.body, CLOSED)) fail_msg("%s: %d %s", closed[i], r.status, r.body);
        reply_free(&r);
        assert_int_equal(status_of(&s, "HEAD", closed[i], NULL), 401);
        r = post(&s, closed[i], "application/json", "{}", 2, NULL);
        assert_int_equal(r.status, 401);
        reply_free(&r);
    }
    struct reply r = upload_with(&s, "a.txt", "x", 1, NULL);
    assert_int_equal(r.status, 401);
    assert_int_equal(files_on_disk(&s), 0);
    reply_free(&r);
    static const char *const open[] = { "/", "/theme.css", "/robots.txt", "/manifest.json", "/favicon.ico", "/assets/app.js", "/pwa_icon", "/gradio_api/app_id", "/gradio_api/heartbeat/x",
                                        "/gradio_api/stream/a/b/c/playlist.m3u8", "/health", "/gradio_api/startup-events", "/static/none" };
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (status_of(&s, "GET", open[i], NULL) == 401) fail_msg("%s needs a login", open[i]);
    r = get(&s, "GET", "/", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"auth_required\":true"));
    assert_null(strstr(r.body, "endpoints\"}")); /* neither config nor description of the app */
    assert_null(strstr(r.body, "username"));
    reply_free(&r);
    char *mine = cookie("username=admin&password=secret");
    r = get(&s, "GET", "/", mine);
    assert_non_null(strstr(r.body, "\"username\":\"admin\""));
    reply_free(&r);
    expect("/anything", mine, 404, NULL);
    m8_free(mine);
}

static void test_logout(void **state)
{
    char *one = cookie("username=admin&password=secret"), *two = cookie("username=admin&password=secret"), *ann = cookie("username=ann&password=se:cr et"), *three;
    expect("/logout?all_session=false", one, 302, NULL);
    expect("/gradio_api/user", one, 200, "null");
    expect("/gradio_api/user", two, 200, "\"admin\"");
    three = cookie("username=admin&password=secret");
    expect("/logout", two, 302, NULL); /* all of that user's */
    expect("/gradio_api/user", three, 200, "null");
    expect("/gradio_api/user", ann, 200, "\"ann\"");
    expect("/logout", NULL, 302, NULL);
    /* no page of another site logs anybody out */
    char *foreign = m8_sprintf("%sSec-Fetch-Site: cross-site\r\n", ann);
    expect("/logout", foreign, 403, NULL);
    expect("/gradio_api/user", ann, 200, "\"ann\"");
    m8_free(foreign);
    m8_free(one);
    m8_free(two);
    m8_free(three);
    m8_free(ann);
}

static void test_files_are_the_users(void **state)
{
    char *ann = cookie("username=ann&password=se%3Acr+et"), *bob = cookie("username=bob&password=");
    struct reply r = upload_with(&s, "a.txt", "ann's", 5, ann);
    assert_int_equal(r.status, 200);
    char path[300];
    assert_int_equal(sscanf(r.body, "[\"%299[^\"]\"]", path), 1);
    reply_free(&r);
    assert_int_equal(fetch_status(&s, path, ann), 200);
    assert_int_equal(fetch_status(&s, path, bob), 403);
    assert_int_equal(fetch_status(&s, path, NULL), 401);
    json_t *out;
    m8_error err = {0};
    m8__files_user(&s.app, "session of bob", "bob");
    m8__files_user(&s.app, "session of ann", "ann");
    m8__files_user(&s.app, "session of ann", "bob"); /* it stays hers */
    json_t *v = m8__filedata(path, "a.txt", 5, false);
    assert_int_equal(m8__file_in(&s.app, &(struct m8__session){ &s.app, "session of bob" }, v, &out, &err), M8_E_ARG);
    assert_int_equal(m8__file_in(&s.app, &(struct m8__session){ &s.app, "session of ann" }, v, &out, &err), M8_OK);
    json_decref(out);
    json_decref(v);
    assert_int_equal(m8__file_bytes(&s.app, "session of ann", "answer.txt", "42", 2, &out, NULL), M8_OK); /* what she gets is hers, too */
    const char *answer = json_string_value(json_object_get(out, "path"));
    assert_int_equal(fetch_status(&s, answer, ann), 200);
    assert_int_equal(fetch_status(&s, answer, bob), 403);
    m8__files_forget(&s.app, "session of ann");
    assert_int_equal(fetch_status(&s, answer, bob), 403);
    json_decref(out);
    m8_free(ann);
    m8_free(bob);
}

static void test_d5_time(void **state)
{
    if (getenv("MAGIC8_NO_TIMING")) skip();
    /* nearly right, quite wrong, unknown: the same work. The comparison itself is CRYPTO_memcmp over hashes of equal length; here only that
     * no case takes a way of its own. */
    static const char *const words[3][2] = { { "admin", "secreT" }, { "admin", "x" }, { "nobody", "secret" } };
    double took[3] = { 1, 1, 1 };
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 200; i++) {
            double begun = m8_now_s();
            bool ok = m8__auth_right(&s.app, words[k][0], words[k][1]);
            begun = m8_now_s() - begun;
            assert_false(ok);
            if (begun < took[k]) took[k] = begun;
        }
    }
    assert_true(took[0] < 2 * took[2] + 2e-5 && took[2] < 2 * took[0] + 2e-5 && took[1] < 2 * took[0] + 2e-5);
    assert_true(m8__auth_right(&s.app, "admin", "secret"));
    assert_false(m8__auth_right(&s.app, "admin:secret", ""));
    assert_false(m8__auth_right(&s.app, "adm", "in:secret"));
}

static void test_d6_guesses(void **state)
{
    char *ann = cookie("username=ann&password=se:cr et");
    int wrong = 0, slowed = 0, other = 0;
    for (int i = 0; i < 80; i++) {
        struct reply r = login_as("username=admin&password=guess", NULL);
        char v[20];
        wrong += r.status == 400;
        slowed += r.status == 429 && header_of(&r, "retry-after", v, sizeof v) && atoi(v) >= 1;
        other += r.status != 400 && r.status != 429;
        reply_free(&r);
    }
    assert_int_equal(other, 0);
    assert_true(wrong >= 5 && wrong <= 8);
    assert_true(slowed >= 72);
    struct reply r = login_as("username=admin&password=secret", NULL); /* also the right one must wait */
    assert_int_equal(r.status, 429);
    reply_free(&r);
    expect("/gradio_api/user", ann, 200, "\"ann\""); /* who is in stays in */
    m8_free(ann);
}

/* The table by itself, with a clock of our own. */
static void test_throttle(void **state)
{
    struct m8__throttle *t = m8__throttle_new();
    double now = 1000;
    for (int i = 0; i < 5; i++) m8__throttle_failed(t, "u:a", now);
    assert_true(m8__throttle_wait(t, "u:a", now) == 0);
    m8__throttle_failed(t, "u:a", now);
    assert_true(m8__throttle_wait(t, "u:a", now) == 2);
    assert_true(m8__throttle_wait(t, "u:b", now) == 0);
    assert_true(m8__throttle_wait(t, "u:a", now + 2) == 0);
    for (int i = 0; i < 100; i++) m8__throttle_failed(t, "u:a", now);
    assert_true(m8__throttle_wait(t, "u:a", now) == 60);
    m8__throttle_forget(t, "u:a");
    assert_true(m8__throttle_wait(t, "u:a", now) == 0);
    char who[20];
    for (int i = 0; i < 100000; i++) { /* never more than its size */
        snprintf(who, sizeof who, "u:%d", i);
        m8__throttle_failed(t, who, now + i);
    }
    m8__throttle_free(t);
}

static bool only_zoe(void *user, const char *name, const char *password) { return !strcmp(name, "zoe") && !strcmp(password, user); }

static void test_callback_and_none(void **state)
{
    served_close(&s);
    open_with((m8_launch_opts){ .auth_fn = only_zoe, .auth_user = "word" });
    char *zoe = cookie("username=zoe&password=word");
    expect("/gradio_api/user", zoe, 200, "\"zoe\"");
    expect("/config", NULL, 401, "{\"detail\":{\"error\":\"Not authenticated\",\"auth_message\":null}}");
    m8_free(zoe);
    served_close(&s);
    open_with((m8_launch_opts){ .mount = "/app" }); /* no login: all is open */
    struct reply r = login_as("username=a&password=b", NULL);
    assert_int_equal(r.status, 404); /* it lies under a path */
    reply_free(&r);
    r = post(&s, "/app/login", "application/x-www-form-urlencoded", "username=a&password=b", 21, NULL);
    char v[100];
    assert_int_equal(r.status, 302);
    assert_string_equal(header_of(&r, "location", v, sizeof v), "http://localhost/app");
    assert_null(header_of(&r, "set-cookie", v, sizeof v)); /* D7 */
    reply_free(&r);
    expect("/app/gradio_api/user", NULL, 200, "null");
    expect("/app/gradio_api/token", NULL, 200, "{\"token\":null,\"user\":null}");
    expect("/app/gradio_api/login_check", NULL, 200, "null");
    /* C4: nothing asked for becomes an address */
    static const char *const asked[] = { "/app/logout?_target_url=//evil", "/app/logout?_target_url=http://evil", "//app//logout?next=/\\evil", "/app/logout" };
    for (size_t i = 0; i < 4; i++) {
        r = get(&s, "GET", asked[i], NULL);
        assert_int_equal(r.status, 302);
        assert_string_equal(header_of(&r, "location", v, sizeof v), "http://localhost/app");
        reply_free(&r);
    }
    expect("/gradio_api/file=http%3A%2F%2Fevil", NULL, 404, NULL);
    expect("/app/gradio_api/file=http%3A%2F%2Fevil", NULL, 403, NULL);
    expect("/app/gradio_api/file=////evil", NULL, 403, NULL);
}

static void test_bad_lists(void **state)
{
    static const char *const lists[] = { "", "admin", ":secret", "a:b\nadmin", "\n\n" };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        m8_blocks app = { .launch = { .auth = lists[i] } };
        m8_error err = {0};
        assert_int_equal(m8__auth_open(&app, &err), M8_E_ARG);
        assert_non_null(strstr(err.text, "login"));
        m8__auth_close(&app);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_gradio), cmocka_unit_test(test_forms), cmocka_unit_test(test_d8_closed), cmocka_unit_test(test_logout),
        cmocka_unit_test(test_files_are_the_users), cmocka_unit_test(test_d5_time), cmocka_unit_test(test_d6_guesses), cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_callback_and_none), cmocka_unit_test(test_bad_lists),
    };
    return cmocka_run_group_tests(tests, open_list, close_app);
}
