/* The catalog: the one built in, and every way in which another may be wrong. */
#include "hub_internal.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <torture.h>

#define SHA "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
#define COMMIT "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"

static const char good[] =
    "{'version':1,'sets':{'all':['m']},'packages':{'p==1':10},'models':[{'id':'m','role':'asr','family':'whisper','licence':'MIT'"
    ","
    "'repo':'a/b','revision':'" COMMIT "','main':'x/f','files':[{'name':'x/f','size':5,'sha256':'" SHA "',"
    "'parts':[{'package':'p==1','member':'p/f'}]},{'name':'g','size':6,'sha256':'" SHA "','git':'" COMMIT "'}]}]}";

/* A text with the first `from` made `to`, ' made ". */
static char *changed_in(const char *whole, const char *from, const char *to)
{
    const char *at = strstr(whole, from);
    if (!at) fail_msg("not in the catalog: %s", from);
    char *text = m8_sprintf("%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    for (char *p = text; *p; p++)
        if (*p == '\'') *p = '"';
    return text;
}

static char *changed(const char *from, const char *to) { return changed_in(good, from, to); }

static void test_good(void **s)
{
    struct m8__catalog c;
    char *text = changed("m", "m");
    assert_int_equal(m8__catalog_read(&c, text, strlen(text), NULL), M8_OK);
    const struct m8__model *m = m8__catalog_find(&c, "m");
    assert_non_null(m);
    assert_int_equal(m->pub.size, 11);
    assert_string_equal(m->pub.main, "x/f");
    assert_string_equal(m->origins[0].etag, SHA);
    assert_string_equal(m->origins[1].etag, COMMIT);
    assert_string_equal(m->origins[0].parts[0].member, "p/f");
    assert_int_equal(m->origins[1].n_parts, 0);
    assert_ptr_equal(m8__catalog_set(&c, "all")->models[0], m);
    assert_null(m8__catalog_find(&c, "n"));
    m8__catalog_finish(&c);
    m8_free(text);
}

/* Without a revision the hub says what the files are. */
static const char loose[] = "{'version':1,'sets':{},'packages':{},'models':[{'id':'m','role':'tts','family':'parler','licence':'MIT','repo':'a/b',"
                            "'main':'f','memory':7,'type':'q8_0','files':[{'name':'f'},{'name':'g','optional':true}]}]}";

static void test_loose(void **s)
{
    struct m8__catalog c;
    char *text = changed_in(loose, "m", "m");
    assert_int_equal(m8__catalog_read(&c, text, strlen(text), NULL), M8_OK);
    const struct m8__model *m = m8__catalog_find(&c, "m");
    assert_null(m->pub.revision);
    assert_null(m->pub.files[0].sha256);
    assert_int_equal(m->pub.files[0].size, -1);
    assert_int_equal(m->pub.size, 0);
    assert_int_equal(m->pub.memory, 7);
    assert_string_equal(m->pub.type, "q8_0");
    assert_false(m->origins[0].optional);
    assert_true(m->origins[1].optional);
    m8__catalog_finish(&c);
    m8_free(text);
    static const char *const bad[][2] = {
        { "{'name':'f'}", "{'name':'f','size':5}" }, { "{'name':'f'}", "{'name':'f','sha256':'" SHA "'}" }, { "{'name':'f'}", "{'name':'../f'}" },
        { "'optional':true", "'optional':1" }, { "'main':'f'", "'main':'g'" }, { "'memory':7", "'memory':-7" }, { "'memory':7", "'memory':'7'" },
        { "'type':'q8_0'", "'type':'../x'" }, { "'type':'q8_0'", "'type':8" }, { "'repo':'a/b'", "'repo':'a/b','revision':'" COMMIT "'" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        m8_error err = { 0 };
        text = changed_in(loose, bad[i][0], bad[i][1]);
        if (m8__catalog_read(&c, text, strlen(text), &err) != M8_E_FORMAT) fail_msg("%s -> %s: accepted", bad[i][0], bad[i][1]);
        m8_free(text);
    }
}

static void test_bad(void **s)
{
    static const char *const cases[][2] = {
        { "'version':1", "'version':2" },
        { "'version':1,", "" },
        { "'version'", "'more':1,'version'" },
        { "'models':[", "'models':7,'x':[" },
        { "'id':'m'", "'id':'a/b'" },
        { "'id':'m'", "'id':''" },
        { "'id':'m'", "'id':7" },
        { "'id':'m',", "" },
        { "'id':'m'", "'id':'m','id':'m'" },
        { "'role':'asr'", "'role':'x'" },
        { "'role':'asr'", "'role':null" },
        { "a/b", "../b" },
        { "a/b", "a/b/c" },
        { "'revision':'" COMMIT "'", "'revision':'main'" },
        { "'licence':'MIT'", "'licence':'M\\u0000T'" },
        { "'licence':'MIT'", "'licence':'M\\nT'" },
        { "'main':'x/f'", "'main':'y'" },
        { "'name':'x/f'", "'name':'x/../f'" },
        { "'name':'x/f'", "'name':'/f'" },
        { "'name':'g'", "'name':'x/f'" },
        { "'size':5", "'size':0" },
        { "'size':5", "'size':-1" },
        { "'size':5", "'size':5.0" },
        { "'size':5", "'size':99999999999999" },
        { "'size':5", "'size':99999999999999999999" },
        { "'sha256':'" SHA, "'sha256':'" COMMIT },
        { "'sha256':'d", "'sha256':'D" },
        { "'git':'e", "'git':'g" },
        { "'package':'p==1'", "'package':'q==1'" },
        { "'p==1':10", "'p==1':0" },
        { "'p==1':10", "'-p==1':10" },
        { "'member':'p/f'", "'member':'../f'" },
        { "'member':'p/f'", "'member':'p/f','x':1" },
        { "['m']", "['n']" },
        { "['m']", "[7]" },
        { "['m']", "7" },
        { "'all'", "'m'" },
        { "'all'", "'../x'" },
        { "]}]}", "]}]}x" },
        { "]}]}", "]}]" },
        { "'parts':[", "'parts':{},'y':[" },
        { "'files':[", "'files':[],'z':[" },
        { "{'version'", "[{'version'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct m8__catalog c;
        m8_error err = { 0 };
        char *text = changed(cases[i][0], cases[i][1]);
        m8_status st = m8__catalog_read(&c, text, strlen(text), &err);
        if (st != M8_E_FORMAT || strncmp(err.text, "catalog: ", 9))
            fail_msg("%s -> %s: %s %s", cases[i][0], cases[i][1], m8_status_name(st), err.text);
        m8_free(text);
    }
}

/* What the program carries: the default set has one model for each role, every file has a second source. */
static void test_built_in(void **s)
{
    static const char *const roles[] = { "asr", "llm", "tts" };
    m8_hub *hub;
    m8_error err = { 0 };
    m8_status st = m8_hub_open(&hub, NULL, &err);
    if (st) fail_msg("%s", err.text);
    for (size_t i = 0; i < 3; i++) assert_string_equal(m8_hub_set_at(hub, "default", i)->role, roles[i]);
    assert_null(m8_hub_set_at(hub, "default", 3));
    assert_null(m8_hub_set_at(hub, "none", 0));
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < m8_hub_set_at(hub, "default", i)->n_files; k++)
            assert_true(m8__catalog_find(&hub->catalog, m8_hub_set_at(hub, "default", i)->id)->origins[k].n_parts > 0);
    static const char *const sets[] = { "better", "seed" };
    for (size_t k = 0; k < 2; k++) { /* one model for each role; how much memory they take is said */
        for (size_t i = 0; i < 3; i++) assert_string_equal(m8_hub_set_at(hub, sets[k], i)->role, roles[i]);
        for (size_t i = 0; i < 3; i++) assert_true(m8_hub_set_at(hub, sets[k], i)->memory > 50000000);
        assert_null(m8_hub_set_at(hub, sets[k], 3));
    }
    assert_string_equal(m8_hub_find(hub, "parler-jenny")->family, "parler");
    assert_non_null(m8_hub_find(hub, "mistral-7b")->main);
    m8_hub_close(hub);
}

/* The hashes are those of the models that the tests use, and git's names those that git gives. */
static void test_hashes_of_models(void **s)
{
    static const struct {
        const char *id, *dir;
    } at[] = { { "whisper-base", "whisper-base/" },
               { "whisper-tiny.en", "whisper-tiny.en/" },
               { "smollm2-135m", "" },
               { "piper-joe", "" } };
    const char *models = getenv("MAGIC8_TEST_MODELS");
    m8_hub *hub;
    if (!models) skip();
    assert_int_equal(m8_hub_open(&hub, NULL, NULL), M8_OK);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        const struct m8__model *m = m8__catalog_find(&hub->catalog, at[i].id);
        for (size_t k = 0; k < m->pub.n_files; k++) {
            const m8_hub_file *f = &m->pub.files[k];
            const char *slash = strrchr(f->name, '/');
            char hash[M8__HASH_TEXT], *path = m8_sprintf("%s/%s%s", models, at[i].dir, slash ? slash + 1 : f->name);
            FILE *in = fopen(path, "rb");
            if (!in) {
                print_message("not there: %s\n", path);
                m8_free(path);
                continue;
            }
            assert_int_equal(m8__hash_file(hash, fileno(in), M8__SHA256, f->size, NULL), M8_OK);
            assert_string_equal(hash, f->sha256);
            if (strlen(m->origins[k].etag) == 40) {
                assert_int_equal(m8__hash_file(hash, fileno(in), M8__GIT_SHA1, f->size, NULL), M8_OK);
                assert_string_equal(hash, m->origins[k].etag);
            }
            fclose(in);
            m8_free(path);
        }
    }
    m8_hub_close(hub);
}

static m8_status read_it(void *arg, m8_error *err)
{
    struct m8__catalog c;
    m8_status st = m8__catalog_read(&c, arg, strlen(arg), err);
    m8__catalog_finish(&c);
    return st;
}

static void test_torture(void **s)
{
    char *text = changed("m", "m");
    torture(read_it, text);
    /* jansson's allocations too; it calls some of them a mistake in the text, so no more than a clean refusal can be asked for */
    json_set_alloc_funcs(m8_malloc, m8_free);
    for (int at = 1, calls = 1; at <= calls; at++) {
        m8_error err = { 0 };
        torture_start(at);
        m8_status st = read_it(text, &err);
        calls = torture_stop();
        assert_true(st == M8_OK || st == M8_E_NOMEM || st == M8_E_FORMAT);
        assert_true(!st == !err.text[0]);
    }
    json_set_alloc_funcs(malloc, free);
    m8_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_loose), cmocka_unit_test(test_bad), cmocka_unit_test(test_built_in),
                                        cmocka_unit_test(test_hashes_of_models), cmocka_unit_test(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
