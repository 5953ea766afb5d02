/* Phonemes against piper's own (tests/data/vits-real/phonemes.json). The sentences, their punctuation and the ids are piper's; the
 * vowels inside a clause are those of the system's espeak-ng 1.51, which the same file holds clause by clause. */
#include "text/clauses.h"
#include "text/text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static json_t *goldens, *config;

static json_t *load(const char *dir, const char *name)
{
    m8_error err = { 0 };
    m8_buf b = { 0 };
    char *path = m8_join_path(dir, name);
    m8_status st = m8_read_file(&b, path, &err);
    json_t *j = st ? NULL : json_loadb(b.data, b.len, 0, NULL);
    m8_free(path);
    m8_buf_finish(&b);
    return j;
}

/* A voice's JSON with the map of all ASCII and IPA characters that the goldens need: read back from the goldens' own ids. */
static json_t *make_config(void)
{
    json_t *map = json_object(), *row, *s;
    size_t i, j;
    json_object_set_new(map, "^", json_pack("[i]", 1));
    json_object_set_new(map, "$", json_pack("[i]", 2));
    json_object_set_new(map, "_", json_pack("[i]", 0));
    json_array_foreach(json_object_get(goldens, "rows"), i, row) {
        json_array_foreach(json_object_get(row, "sentences"), j, s) {
            const char *p = json_string_value(json_object_get(s, "phonemes"));
            json_t *ids = json_object_get(s, "ids");
            for (size_t k = 2; *p; k += 2) {
                size_t n = 1;
                while (((unsigned char)p[n] & 0xC0) == 0x80) n++;
                char key[8] = { 0 };
                memcpy(key, p, n);
                json_object_set_new(map, key, json_pack("[O]", json_array_get(ids, k)));
                p += n;
            }
        }
    }
    return json_pack("{s:{s:s}, s:o}", "espeak", "voice", "en-us", "phoneme_id_map", map);
}

static m8__phonemizer *open_it(void)
{
    m8_error err = { 0 };
    m8__phonemizer *p = NULL;
    m8_status st = m8__phonemizer_open(&p, config, &err);
    if (st == M8_E_UNSUPPORTED) skip();
    if (st) fail_msg("%s", err.text);
    return p;
}

static bool is_mark(char c) { return c && strchr(".?!,:;", c); }

/* piper's sentence with each clause replaced by what espeak 1.51 says for it. */
static void expected_sentence(m8_buf *out, const char *piper, json_t *clauses, size_t *next)
{
    while (*piper) {
        size_t n = strcspn(piper, ".?!,:;");
        m8_buf_str(out, json_string_value(json_array_get(clauses, (*next)++)));
        piper += n;
        while (is_mark(*piper) || *piper == ' ') m8_buf_chr(out, *piper++);
    }
}

static void as_piper(void **state)
{
    m8__phonemizer *p = open_it();
    json_t *row, *s;
    size_t i, j;
    json_array_foreach(json_object_get(goldens, "rows"), i, row) {
        m8_error err = { 0 };
        m8__sentence *got = NULL;
        size_t n = 0, clause = 0;
        json_t *want = json_object_get(row, "sentences");
        assert_int_equal(m8__phonemize(p, json_string_value(json_object_get(row, "text")), &got, &n, &err), M8_OK);
        assert_int_equal(n, json_array_size(want));
        json_array_foreach(want, j, s) {
            m8_buf b = { 0 };
            const char *piper = json_string_value(json_object_get(s, "phonemes"));
            expected_sentence(&b, piper, json_object_get(row, "system_espeak_clauses"), &clause);
            assert_string_equal(got[j].phonemes, b.data);
            json_t *ids = json_object_get(s, "ids");
            if (strcmp(b.data, piper) == 0) {
                assert_int_equal(got[j].n_ids, json_array_size(ids));
                for (size_t k = 0; k < got[j].n_ids; k++) assert_int_equal(got[j].ids[k], json_integer_value(json_array_get(ids, k)));
            }
            m8_buf_finish(&b);
        }
        m8__sentences_free(got, n);
    }
    m8__phonemizer_close(p);
}

/* The structure alone: letters stand for sounds, so that this needs no espeak. */
static void expect_letters(const char *text, const char *want /* sentences, each ended by | */)
{
    json_t *map = json_pack("{s:[i], s:[i], s:[i]}", "^", 1, "$", 2, "_", 0);
    for (char c[2] = " "; c[0] < 127; c[0]++) {
        if (!strchr("^$_", c[0])) json_object_set_new(map, c, json_pack("[i]", (int)c[0]));
    }
    json_t *voice = json_pack("{s:s, s:o}", "phoneme_type", "text", "phoneme_id_map", map);
    m8_error err = { 0 };
    m8__phonemizer *p = NULL;
    m8__sentence *s = NULL;
    size_t n = 0;
    assert_int_equal(m8__phonemizer_open(&p, voice, &err), M8_OK);
    assert_int_equal(m8__phonemize(p, text, &s, &n, &err), M8_OK);
    m8_buf b = { 0 };
    m8_buf_str(&b, "");
    for (size_t i = 0; i < n; i++) m8_buf_printf(&b, "%s|", s[i].phonemes);
    assert_string_equal(b.data, want);
    m8_buf_finish(&b);
    m8__sentences_free(s, n);
    m8__phonemizer_close(p);
    json_decref(voice);
}

static void structure(void **state)
{
    expect_letters("", "");
    expect_letters(" \n\t ", "");
    expect_letters("...", "");
    expect_letters("One. Two! Three?", "One.|Two!|Three?|");
    expect_letters("\"Yes!\" he said.", "\"Yes!\"|he said.|");
    expect_letters("What?! No!!! So.", "What?!|No!!!|So.|");
    expect_letters("One\ntwo\n\nthree", "One two|three|");
    expect_letters("It is 3.5 or 7:30 now", "It is 3.5 or 7:30 now|");
    expect_letters("a\x01" "b\xFF" "c\xEF\xBB\xBF", "a b c|");
    expect_letters("caf\xC3\xA9", "cafe\xCC\x81|"); /* NFD */
    expect_letters("well\xE2\x80\xA6 maybe. Well\xE2\x80\xA6 Maybe.", "well... maybe.|Well...|Maybe.|");
}

static void expect_clean(const char *voice, const char *text, const char *want)
{
    m8_buf b = { 0 };
    m8__script script = m8__script_of(voice);
    m8_buf_str(&b, "");
    m8__clean_text(&b, text, strlen(text), &script);
    assert_string_equal(b.data, want);
    m8_buf_finish(&b);
}

/* espeak-ng 1.51 crashes where it changes languages, so it's given nothing that would make it. */
static void other_scripts(void **state)
{
    expect_clean("en-us", "a\xE0\xA9\xB6" "b \xCE\xB1 \xD0\x9F \xE6\x97\xA5 \xF0\x9F\x8E\xB1.", "a b        .");
    expect_clean("en-us", "caf\xC3\xA9 \xC2\xA3" "5 \xE2\x82\xAC" "5 \xE2\x85\x93 20\xC2\xB0", "caf\xC3\xA9 \xC2\xA3" "5 \xE2\x82\xAC" "5 \xE2\x85\x93 20\xC2\xB0");
    expect_clean("ru", "\xD0\x9F\xD1\x80 Windows 10*.", "\xD0\x9F\xD1\x80         10 .");
    expect_clean("el", "\xCE\xB1, \xD0\x9F", "\xCE\xB1,  ");
    expect_clean("en-us", "\xE2\x80\x9CYes\xE2\x80\x9D\xE2\x80\x94no\xEF\xBC\x81", "\"Yes\"\xE2\x80\x94no! ");
}

static void bad_voices(void **state)
{
    static const char *const bad[] = {
        "[]", "{}", "{\"phoneme_id_map\":{}}", "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0]}}",
        "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[-1]},\"espeak\":{\"voice\":\"en-us\"}}",
        "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[\"x\"]},\"espeak\":{\"voice\":\"en-us\"}}",
        "{\"phoneme_id_map\":{\"^\":[],\"$\":[2],\"_\":[0]},\"espeak\":{\"voice\":\"en-us\"}}",
        "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0]},\"espeak\":{\"voice\":\"../../etc/passwd\"}}",
        "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0]},\"espeak\":{\"voice\":\"no-such-voice\"}}",
        "{\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0]},\"phoneme_type\":\"klingon\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = json_loads(bad[i], 0, NULL);
        m8_error err = { 0 };
        m8__phonemizer *p = NULL;
        m8_status st = m8__phonemizer_open(&p, j, &err);
        assert_true(st == M8_E_FORMAT || st == M8_E_UNSUPPORTED);
        assert_true(err.text[0] != 0);
        assert_null(p);
        json_decref(j);
    }
}

static void hostile_text(void **state)
{
    m8__phonemizer *p = open_it();
    m8_error err = { 0 };
    m8__sentence *s = NULL;
    size_t n = 0;
    char *big = m8_malloc(10002);
    memset(big, '7', 10001);
    big[10001] = 0;
    assert_int_equal(m8__phonemize(p, big, &s, &n, &err), M8_E_LIMIT);
    big[10000] = 0;
    err = (m8_error){ 0 };
    assert_int_equal(m8__phonemize(p, big, &s, &n, &err), M8_OK);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) assert_true(s[i].n_ids < 6000);
    m8__sentences_free(s, n);
    m8_free(big);
    assert_int_equal(m8__phonemize(p, "<audio src='file:///etc/passwd'>hi</audio> [[h@l'oU]] &lt;", &s, &n, &err), M8_OK);
    assert_true(n > 0);
    m8__sentences_free(s, n);
    assert_int_equal(m8__phonemize(p, "\x01\x02 ... !!", &s, &n, &err), M8_OK);
    assert_int_equal(n, 0);
    m8__sentences_free(s, n);
    assert_int_equal(m8__phonemize(p, "Bonjour \xD0\xBC\xD0\xB8\xD1\x80 \xE6\x97\xA5\xE6\x9C\xAC", &s, &n, &err), M8_OK);
    for (size_t i = 0; i < n; i++) assert_null(strchr(s[i].phonemes, '('));
    m8__sentences_free(s, n);
    m8__phonemizer_close(p);
}

int main(void)
{
    const char *data = getenv("MAGIC8_TEST_DATA");
    if (data) goldens = load(data, "vits-real/phonemes.json");
    if (!goldens) {
        puts("no tests/data/vits-real/phonemes.json (MAGIC8_TEST_DATA)");
        return 77;
    }
    config = make_config();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_piper), cmocka_unit_test(structure), cmocka_unit_test(other_scripts),
        cmocka_unit_test(bad_voices), cmocka_unit_test(hostile_text),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(goldens);
    json_decref(config);
    return failed;
}
