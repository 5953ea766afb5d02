/* Which file of a folder is opened, and what is refused about folders, shards and configurations. */
#include "weights_bytes.h"

static char root[] = "/tmp/m8-weights-XXXXXX";

/* Make a folder of this test with these files (name, content as weights_bytes.h has it, ..., NULL); returns its path. */
static const char *folder(const char *name, ...)
{
    static char dir[256];
    char path[512];
    snprintf(dir, sizeof dir, "%s/%s", root, name);
    assert_int_equal(m8_make_dirs(dir, NULL), M8_OK);
    va_list ap;
    va_start(ap, name);
    for (const char *file; (file = va_arg(ap, const char *));) {
        m8_buf b = { 0 };
        assemble(&b, va_arg(ap, const char *));
        snprintf(path, sizeof path, "%s/%s", dir, file);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        if (b.len) assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
        fclose(f);
        m8_buf_finish(&b);
    }
    va_end(ap);
    return dir;
}

static void check_refused(const char *path, m8_status want, const char *text)
{
    m8__weights *w = NULL;
    m8_error err = { 0 };
    m8_status st = m8__weights_open(&w, path, &err);
    assert_null(w);
    if (st != want || !strstr(err.text, text)) fail_msg("%s \"%s\", expected \"%s\"", m8_status_name(st), err.text, text);
}

#define CT2 "4:6 2'Spec' 4:3 4:0 4:0"
#define GGUF "'GGUF' 4:3 8:0 8:0"
#define ONNX "f1=8 f7{f2{'g'}} f8{f2=15}"
#define TENSOR(name, place) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" place "}"
#define SHARD(name) "h{'{" TENSOR(name, "[0,4]") "}'} *4"

static void check_format(const char *path, const char *want)
{
    m8__weights *w = open_ok(path);
    assert_string_equal(m8__weights_format(w), want);
    m8__weights_close(w);
}

static void test_choice(void **state)
{
    check_format(folder("ct2", "model.bin", CT2, "other.gguf", GGUF, NULL), "ctranslate2");
    check_format(folder("gguf", "some.gguf", GGUF, "vocabulary.txt", "'a'", NULL), "gguf");
    check_format(folder("onnx", "some.onnx", ONNX, NULL), "onnx");
    check_format(folder("tensors", "model.safetensors", SHARD("a"), NULL), "safetensors");
    check_format(folder("named", "model.bin", GGUF, NULL), "gguf"); /* the bytes tell, not the name */
    check_refused(folder("two", "a.gguf", GGUF, "b.gguf", GGUF, NULL), M8_E_ARG, "two: holds more than one *.gguf");
    check_refused(folder("none", "a.txt", "'a'", ".gguf", GGUF, NULL), M8_E_NOTFOUND, "none: no model.bin");
    check_refused(folder("empty", "model.bin", "", NULL), M8_E_FORMAT, "empty");
    check_refused("/nowhere/at/all", M8_E_NOTFOUND, "/nowhere/at/all");
    check_refused("/dev/zero", M8_E_FORMAT, "not a regular file");
}

static void test_paths(void **state)
{
    const char *dir = folder("paths", "x.gguf", GGUF, NULL);
    char here[512];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    m8__weights *w = open_ok("x.gguf");
    assert_string_equal(m8__weights_dir(w), ".");
    assert_string_equal(m8__weights_path(w), "x.gguf");
    m8__weights_close(w);
    assert_int_equal(chdir(here), 0);
}

static void test_config(void **state)
{
    m8__weights *w = open_ok(folder("plain", "model.bin", CT2, NULL));
    assert_null(m8__weights_config(w)); /* none is no error */
    m8__weights_close(w);
    check_refused(folder("broken", "model.bin", CT2, "config.json", "'{\"a\":'", NULL), M8_E_FORMAT, "broken/config.json: JSON, line 1");
    check_refused(folder("list", "model.bin", CT2, "config.json", "'[]'", NULL), M8_E_FORMAT, "expected a JSON object");
    check_refused(folder("utf8", "model.bin", CT2, "config.json", "'{\"a\":\"' xc0af '\"}'", NULL), M8_E_FORMAT, "utf8/config.json");
    check_refused(folder("voice", "v.onnx", ONNX, "v.onnx.json", "'{'", NULL), M8_E_FORMAT, "voice/v.onnx.json");
    check_refused(folder("huge", "model.bin", CT2, "config.json", "'{}' *17000000", NULL), M8_E_LIMIT, "config.json");
}

#define INDEX "model.safetensors.index.json"
#define MAP(files) "'{\"weight_map\":{" files "}}'"

static void test_shards(void **state)
{
    check_format(folder("good", INDEX, MAP("\"a\":\"1.st\",\"b\":\"2.st\""), "1.st", SHARD("a"), "2.st", SHARD("b"), NULL), "safetensors");
    check_refused(folder("up", INDEX, MAP("\"a\":\"../good/1.st\""), NULL), M8_E_FORMAT, "a: not the name of a file");
    check_refused(folder("dots", INDEX, MAP("\"a\":\"..\""), NULL), M8_E_FORMAT, "a: not the name of a file");
    check_refused(folder("root", INDEX, MAP("\"a\":\"/dev/zero\""), NULL), M8_E_FORMAT, "a: not the name of a file");
    check_refused(folder("blank", INDEX, MAP("\"a\":\"\""), NULL), M8_E_FORMAT, "a: not the name of a file");
    check_refused(folder("number", INDEX, MAP("\"a\":7"), NULL), M8_E_FORMAT, "a: not the name of a file");
    check_refused(folder("nomap", INDEX, "'{\"a\":1}'", NULL), M8_E_FORMAT, "weight_map is missing or empty");
    check_refused(folder("array", INDEX, "'{\"weight_map\":[\"a\"]}'", NULL), M8_E_FORMAT, "weight_map is missing or empty");
    check_refused(folder("lost", INDEX, MAP("\"a\":\"1.st\""), NULL), M8_E_NOTFOUND, "1.st");
    check_refused(folder("self", INDEX, MAP("\"a\":\"" INDEX "\""), NULL), M8_E_FORMAT, "a header of");
    check_refused(folder("cut", INDEX, MAP("\"a\":\"1.st\""), "1.st", "8:100 '{}'", NULL), M8_E_FORMAT,
                  "cut/" INDEX ": 1.st: a header of 100 bytes");
    check_refused(folder("absent", INDEX, MAP("\"a\":\"1.st\",\"b\":\"1.st\""), "1.st", SHARD("a"), NULL), M8_E_FORMAT, "b: not in 1.st");
    check_refused(folder("twice", INDEX, MAP("\"a\":\"1.st\",\"b\":\"2.st\""), "1.st", SHARD("a"), "2.st", SHARD("a"), NULL), M8_E_FORMAT,
                  "a: two tensors");
}

static int make_root(void **state)
{
    return !mkdtemp(root);
}

static int remove_root(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_choice), cmocka_unit_test(test_paths), cmocka_unit_test(test_config),
                                        cmocka_unit_test(test_shards) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
