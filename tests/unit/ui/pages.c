/* What the events of the library's own pages do: examples that load and are kept, Interface's flagging, over HTTP as
 * the page does it. */
#include "kit.h"
#include "ui_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int runs;

static m8_status shout(m8_call *c, m8_error *err)
{
    __atomic_add_fetch(&runs, 1, __ATOMIC_RELAXED);
    m8_status st = m8_out_printf(c, 0, "%s!", m8_in_text(c, 0));
    return st ? st : m8_out_bytes(c, 1, "shout.txt", m8_in_text(c, 0), strlen(m8_in_text(c, 0)));
}

static void examples_page(m8_block *page)
{
    m8_block *in = m8_textbox(page, NULL), *out = m8_textbox(page, NULL), *file = m8_file(page, NULL);
    m8_examples(page,
                &(m8_examples_opts){
                    .in = { in }, .out = { out, file }, .rows = "[[\"a\"], [\"b\"]]", .fn = shout, .cache = true });
}

/* data of the one reply of run/NAME; new */
static json_t *run(const struct site *s, const char *name, const char *hash, json_t *values)
{
    char path[200];
    json_t *reply = NULL;
    snprintf(path, sizeof path, "/gradio_api/run/%s", name);
    int status = post(s, path, json_pack("{s:o, s:s}", "data", values, "session_hash", hash), &reply);
    if (status != 200) fail_msg("%s: %d", name, status);
    json_t *out = json_incref(json_object_get(reply, "data"));
    json_decref(reply);
    return out;
}

static const char *text_at(const json_t *list, size_t i)
{
    const char *s = json_string_value(json_array_get(list, i));
    return s ? s : "(none)";
}

static void test_load(void **state)
{
    struct site s;
    site_open(&s, examples_page, NULL);
    json_t *row = run(&s, "load_example", "one", json_pack("[i]", 1));
    assert_string_equal(text_at(row, 0), "b");
    json_decref(row);
    static const char *const bad[] = { "[2]", "[-1]", "[\"0\"]", "[0.5]", "[null]", "[{}]", "[99999999999]" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"data\": %s}", bad[i]);
        int status = ask_with(&s, "POST", "/gradio_api/run/load_example", "Content-Type: application/json\r\n", body,
                              strlen(body), NULL);
        if (status != 422) fail_msg("%s: %d", bad[i], status);
    }
    site_close(&s);
}

/* The file's text as its visitor fetches it. */
static void assert_file(const struct site *s, const json_t *file, const char *want)
{
    char path[500], *body = NULL;
    const char *at = json_string_value(json_object_get(file, "path"));
    assert_non_null(at);
    snprintf(path, sizeof path, "/gradio_api/file=%s", at);
    assert_int_equal(ask(s, "GET", path, NULL, &body), 200);
    assert_string_equal(body, want);
    free(body);
}

/* A row's result is computed once, whoever asks; each session gets a file of its own. What is no row is run each time
 * and kept never. */
static void test_cache(void **state)
{
    struct site s;
    site_open(&s, examples_page, NULL);
    runs = 0;
    char paths[3][500];
    for (int i = 0; i < 3; i++) {
        json_t *out = run(&s, "run_example", i ? "two" : "one", json_pack("[s]", "a"));
        assert_string_equal(text_at(out, 0), "a!");
        assert_file(&s, json_array_get(out, 1), "a");
        snprintf(paths[i], sizeof *paths, "%s", json_string_value(json_object_get(json_array_get(out, 1), "path")));
        json_decref(out);
    }
    assert_int_equal(runs, 1);
    assert_string_not_equal(paths[0], paths[1]);
    for (int i = 0; i < 2; i++) {
        json_t *out = run(&s, "run_example", "one", json_pack("[s]", "other"));
        assert_string_equal(text_at(out, 0), "other!");
        json_decref(out);
    }
    assert_int_equal(runs, 3);
    site_close(&s);
}

/* ---- an Interface --------------------------------------------------------------------------------------------------- */

static m8_status echo(m8_call *c, m8_error *err) { return m8_out_text(c, 0, m8_in_text(c, 0)); }

static char folder[] = "/tmp/magic8-flag-XXXXXX";

static void *loop(void *user)
{
    m8_http_run(user, NULL);
    return NULL;
}

static void interface_open(struct site *s)
{
    m8_error err = {0};
    strcpy(folder, "/tmp/magic8-flag-XXXXXX");
    assert_non_null(mkdtemp(folder));
    *s = (struct site){0};
    m8_status st = m8_http_open(&s->http, NULL, &err);
    if (!st)
        st = m8_interface_new(
            &s->app, &(m8_interface_opts){ .fn = echo, .flag_dir = folder, .event = { .api_name = "echo" } }, &err);
    if (st) fail_msg("%s", err.text);
    m8_textbox(m8_interface_in(s->app), &(m8_textbox_opts){ .label = "Text" });
    m8_number(m8_interface_in(s->app), &(m8_number_opts){ .label = "=1+1" });
    m8_file(m8_interface_in(s->app), NULL);
    m8_textbox(m8_interface_out(s->app), &(m8_textbox_opts){ .label = "Out" });
    if (m8_blocks_mount(s->app, s->http, NULL, &err)) fail_msg("%s", err.text);
    s->port = m8_http_port(s->http);
    assert_int_equal(pthread_create(&s->loop, NULL, loop, s->http), 0);
}

static char *table(void)
{
    char path[100];
    m8_buf text = {0};
    snprintf(path, sizeof path, "%s/dataset1.csv", folder);
    if (m8_read_file(&text, path, NULL)) fail_msg("no %s", path);
    return text.data;
}

static json_t *upload(const struct site *s, const char *hash)
{
    static const char body[] =
        "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a b.txt\"\r\n\r\nhello\r\n--B--\r\n";
    char *reply = NULL;
    assert_int_equal(ask_with(s, "POST", "/gradio_api/upload", "Content-Type: multipart/form-data; boundary=B\r\n",
                              body, sizeof body - 1, &reply),
                     200);
    json_t *list = json_loads(reply, 0, NULL);
    free(reply);
    json_t *file = json_pack("{s:O, s:{s:s}}", "path", json_array_get(list, 0), "meta", "_type", "gradio.FileData");
    json_decref(list);
    return file;
}

/* Formulas are made harmless, quotes doubled, numbers left alone; the file is copied; what is not the session's is
 * refused, and nothing written. */
static void test_flag(void **state)
{
    struct site s;
    interface_open(&s);
    json_decref(run(&s, "lambda", "h", json_array()));
    json_t *reply = run(&s, "Flag", "h", json_pack("[s, i, o, s]", "=cmd()|\"x\"", -5, upload(&s, "h"), "@SUM(A1)\n+2"));
    assert_string_equal(str(json_array_get(reply, 0), "value"), "Flag");
    json_decref(reply);
    char *text = table(), *line = strchr(text, '\n');
    *line++ = 0;
    assert_string_equal(text, "\"Text\",\"'=1+1\",\"component 2\",\"Out\",\"timestamp\"");
    assert_ptr_equal(strstr(line, "\"'=cmd()|\"\"x\"\"\",-5,\"files/"), line);
    assert_non_null(strstr(line, "/a b.txt\",\"'@SUM(A1)\n+2\",\"20"));
    char path[300], name[100] = "";
    assert_int_equal(sscanf(strstr(line, "files/"), "%99[^\"]", name), 1);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    m8_buf copy = {0};
    assert_int_equal(m8_read_file(&copy, path, NULL), M8_OK);
    assert_string_equal(copy.data, "hello");
    m8_buf_finish(&copy);
    m8_free(text);
    static const char *const evil[] = {
        "{\"data\": [\"x\", 1, {\"path\": \"/etc/passwd\", \"meta\": {\"_type\": \"gradio.FileData\"}}, \"\"], "
        "\"session_hash\": \"h\"}",
        "{\"data\": [\"x\", 1, \"/etc/passwd\", \"\"], \"session_hash\": \"h\"}",
        "{\"data\": [\"x\", 1, {\"path\": \"/dev/urandom\"}, \"\"]}",
    };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask_with(&s, "POST", "/gradio_api/run/Flag", "Content-Type: application/json\r\n", evil[i],
                                  strlen(evil[i]), NULL),
                         422);
    text = table();
    assert_null(strstr(text, "passwd"));
    m8_free(text);
    json_decref(run(&s, "reset", "h", json_array()));
    site_close(&s);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* A link in place of the table is not followed; the visitor learns that it failed, not why. */
static void test_flag_link(void **state)
{
    struct site s;
    interface_open(&s);
    char path[100], command[100];
    snprintf(path, sizeof path, "%s/dataset1.csv", folder);
    assert_int_equal(symlink("/tmp/magic8-flag-target", path), 0);
    json_t *reply = run(&s, "Flag", "h", json_pack("[s, i, n, s]", "x", 1, "y"));
    assert_string_equal(str(json_array_get(reply, 0), "value"), "Error!");
    assert_int_equal(access("/tmp/magic8-flag-target", F_OK), -1);
    json_decref(reply);
    site_close(&s);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_flag_link),
    };
    return cmocka_run_group_tests_name("ui/pages", tests, NULL, NULL);
}
