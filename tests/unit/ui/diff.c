/* Edits between values: those of the recordings, and for random values whether applying them gives the value. */
#include "apply.h"
#include "kit.h"
#include "run_internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void edits(const char *a, const char *b, const char *want)
{
    json_t *x = json_loads(a, JSON_DECODE_ANY, NULL), *y = json_loads(b, JSON_DECODE_ANY, NULL);
    m8_buf out = {0};
    m8__diff(&out, x, y);
    assert_int_equal(out.status, M8_OK);
    assert_string_equal(out.data, want);
    m8_buf_finish(&out);
    json_decref(x);
    json_decref(y);
}

static void test_known(void **state)
{
    edits("\"0 \"", "\"0 1 \"", "[[\"append\",[],\"1 \"]]");
    edits("\"a\"", "\"a\"", "[]");
    edits("\"ab\"", "\"ac\"", "[[\"replace\",[],\"ac\"]]");
    edits("0", "1", "[[\"replace\",[],1]]");
    edits("null", "\"x\"", "[[\"replace\",[],\"x\"]]");
    edits("{\"i\":0,\"items\":[0]}", "{\"i\":1,\"items\":[0,1]}", "[[\"replace\",[],{\"i\":1,\"items\":[0,1]}]]"); /* the shorter way */
    edits("[\"long enough to be kept\",2,3]", "[\"long enough to be kept\"]", "[[\"delete\",[1],null],[\"delete\",[1],null]]");
    edits("[{\"image\":{\"path\":\"some/long/path/of/a/file/that/is/not/repeated\"},\"caption\":\"one\"}]",
          "[{\"image\":{\"path\":\"some/long/path/of/a/file/that/is/not/repeated\"},\"caption\":\"one more\"},{\"image\":null}]",
          "[[\"append\",[0,\"caption\"],\" more\"],[\"add\",[1],{\"image\":null}]]");
    edits("\"\xc3\xa9\"", "\"\xc3\xa9\xe2\x80\xa8\"", "[[\"append\",[],\"\\u2028\"]]"); /* no line may end within a message */
    edits("[1.5]", "[0.1]", "[[\"replace\",[0],0.1]]");
}

static unsigned seed = 8;
static unsigned roll(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static json_t *text(void)
{
    static const char *const parts[] = {"a", "b", "word ", "\xc3\xa9", "\xe2\x80\xa8", "\"", "\\", "\n", "\x01", "\xf0\x9f\x8e\xb1", "\xc2\x85", ""};
    char out[64] = "";
    for (unsigned n = roll(5); n; n--) strcat(out, parts[roll(sizeof parts / sizeof *parts)]);
    return json_string(out);
}

static json_t *value(int depth)
{
    switch (roll(depth > 0 ? 9 : 6)) {
    case 0: return json_null();
    case 1: return json_boolean(roll(2));
    case 2: return json_integer((json_int_t)roll(5) - 2);
    case 3: return json_real((roll(200) - 100.0) / (1 + roll(7)));
    case 4: case 5: return text();
    case 6: case 7: {
        json_t *list = json_array();
        for (unsigned n = roll(5); n; n--) json_array_append_new(list, value(depth - 1));
        return list;
    }
    default: {
        json_t *o = json_object();
        for (unsigned n = roll(5); n; n--) {
            char key[8];
            snprintf(key, sizeof key, "k%u%s", roll(5), roll(2) ? "" : "\"");
            json_object_set_new(o, key, value(depth - 1));
        }
        return o;
    }
    }
}

/* Another value, near it most of the time. */
static json_t *near(const json_t *v, int depth)
{
    if (!roll(5)) return value(depth);
    if (json_is_string(v) && roll(2)) {
        json_t *more = text(), *both = json_sprintf("%s%s", json_string_value(v), json_string_value(more));
        json_decref(more);
        return both;
    }
    if (json_is_array(v)) {
        json_t *list = json_array();
        size_t n = json_array_size(v), keep = n && !roll(3) ? roll((unsigned)n) : n;
        for (size_t i = 0; i < keep; i++) json_array_append_new(list, near(json_array_get(v, i), depth - 1));
        while (!roll(3)) json_array_append_new(list, value(depth - 1));
        return list;
    }
    if (json_is_object(v)) {
        json_t *o = json_object(), *item;
        const char *key;
        json_object_foreach((json_t *)v, key, item) if (roll(6)) json_object_set_new(o, key, near(item, depth - 1));
        if (!roll(2)) json_object_set_new(o, "new", value(depth - 1));
        return o;
    }
    return json_deep_copy(v);
}

static void test_random(void **state)
{
    FILE *dump = getenv("MAGIC8_DIFF_DUMP") ? fopen(getenv("MAGIC8_DIFF_DUMP"), "w") : NULL; /* for a look by another's apply */
    for (int i = 0; i < 20000; i++) {
        json_t *a = value(4), *b = near(a, 4);
        m8_buf out = {0}, whole = {0};
        m8__diff(&out, a, b);
        assert_int_equal(out.status, M8_OK);
        json_error_t why;
        json_t *list = json_loadb(out.data, out.len, 0, &why);
        if (!list) fail_msg("%s: %s", out.data, why.text);
        for (size_t k = 0; k < json_array_size(list); k++) { /* the whole value: only replaced, or grown */
            const json_t *edit = json_array_get(list, k);
            const char *action = json_string_value(json_array_get(edit, 0));
            if (!json_array_size(json_array_get(edit, 1))) assert_true(!strcmp(action, "replace") || !strcmp(action, "append"));
        }
        json_t *got = apply(a, list);
        if (!json_equal(got, b)) fail_msg("case %d: %s", i, out.data);
        m8__put_json(&whole, b);
        assert_true(out.len <= whole.len + sizeof "[[\"replace\",[],]]" - 1 || json_is_string(b));
        if (dump) {
            m8_buf line = {0};
            m8_buf_chr(&line, '[');
            m8__put_json(&line, a);
            m8_buf_printf(&line, ",%s,", out.data);
            m8_buf_add(&line, whole.data, whole.len);
            m8_buf_str(&line, "]\n");
            fwrite(line.data, 1, line.len, dump);
            m8_buf_finish(&line);
        }
        m8_buf_finish(&out);
        m8_buf_finish(&whole);
        json_decref(got);
        json_decref(list);
        json_decref(a);
        json_decref(b);
    }
    if (dump) fclose(dump);
}

/* Numbers and texts come back as they were. */
static void test_text_of_json(void **state)
{
    static const double reals[] = {0, -0.0, 0.1, 1.5, 1e22, 1e-7, 123456789.125, 5e-324, 1.7976931348623157e308, 3.0};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        m8_buf out = {0};
        m8__put_real(&out, reals[i]);
        json_t *back = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
        assert_true(json_is_real(back) && json_real_value(back) == reals[i]);
        json_decref(back);
        m8_buf_finish(&out);
    }
    static const json_int_t whole[] = {0, -1, 9007199254740993, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        json_t *v = json_integer(whole[i]);
        m8_buf out = {0};
        m8__put_json(&out, v);
        json_t *back = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(v, back));
        json_decref(back);
        json_decref(v);
        m8_buf_finish(&out);
    }
    m8_buf out = {0};
    m8__put_real(&out, NAN);
    m8_buf_chr(&out, ' ');
    m8__put_seconds(&out, 12.3456785);
    m8_buf_chr(&out, ' ');
    m8__put_seconds(&out, -1);
    assert_string_equal(out.data, "null 12.345679 0.000000");
    m8_buf_finish(&out);
    /* what is no UTF-8, and a NUL */
    json_t *clean = m8__text_value("a\xff\xc3(\xe2\x82\xed\xa0\x80z", 10);
    assert_string_equal(json_string_value(clean), "a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    json_decref(clean);
    clean = m8__text_value("a\0b", 3);
    assert_string_equal(json_string_value(clean), "a\xef\xbf\xbd" "b");
    json_decref(clean);
    /* one such byte, or a character of two, at any place of a text that is looked at eight bytes at a time */
    for (size_t n = 2; n < 36; n++) {
        for (size_t at = 0; at + 1 < n; at++) {
            static const char *const odd[] = {"\0", "\x80", "\xff", "\xc3\xa9"};
            for (int k = 0; k < 4; k++) {
                char text[40], want[48];
                size_t len = k == 3 ? 2 : 1;
                memset(text, 'x', sizeof text);
                memcpy(text + at, odd[k], len);
                snprintf(want, sizeof want, "%.*s%s%.*s", (int)at, text, k == 3 ? odd[k] : "\xef\xbf\xbd", (int)(n - at - len), text + at + len);
                clean = m8__text_value(text, n);
                assert_string_equal(json_string_value(clean), want);
                json_decref(clean);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_random), cmocka_unit_test(test_text_of_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
