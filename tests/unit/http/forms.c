/* Forms: multipart (cases B1 to B3, B6, B8), urlencoded, cookies, paths, hosts. Everything also cut into pieces of every length. */
#include "form.h"
#include <m8/http.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* What came, as text: name|filename|mime|bytes; */
static m8_buf seen;
static int stop_at, n_calls;
static m8_status begin(void *user, const m8_part *p)
{
    m8_buf_printf(&seen, "%s|%s|%s|", p->name, p->filename ? p->filename : "-", p->mime ? p->mime : "-");
    return ++n_calls == stop_at ? M8_E_CANCELLED : M8_OK;
}
static m8_status data(void *user, const char *d, size_t n)
{
    assert_true(n > 0);
    m8_buf_add(&seen, d, n);
    return ++n_calls == stop_at ? M8_E_BUSY : M8_OK;
}
static m8_status end(void *user)
{
    m8_buf_chr(&seen, ';');
    return ++n_calls == stop_at ? M8_E_LIMIT : M8_OK;
}

static m8_status read_form(const char *type, const char *text, size_t n, size_t step, m8_error *err)
{
    m8_multipart *m;
    m8_buf_clear(&seen);
    n_calls = 0;
    m8_status st = m8_multipart_new(&m, type, (m8_multipart_sink){ begin, data, end, NULL }, err);
    for (size_t at = 0; at < n && !st; at += step) st = m8_multipart_push(m, text + at, n - at < step ? n - at : step, err);
    if (!st) st = m8_multipart_finish(m, err);
    m8_multipart_free(m);
    return st;
}

#define TYPE "multipart/form-data; boundary=XyZ"
#define NAME "Content-Disposition: form-data; name=\"files\""
#define PART "--XyZ\r\n" NAME
#define END "\r\n--XyZ--\r\n"

static void test_good(void **state)
{
    static const struct {
        const char *text, *want;
    } all[] = {
        { PART "\r\n\r\nabc" END, "files|-|-|abc;" },
        { PART "; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc" END, "files|a.txt|text/plain|abc;" },
        { PART "\r\n\r\n" END, "files|-|-|;" },
        { PART "\r\n\r\n\r\n\r\n--Xy\r\n--XyX\r\n\r-\n" END, "files|-|-|\r\n\r\n--Xy\r\n--XyX\r\n\r-\n;" },
        { PART "\r\n\r\na\r\n--XyZ\r\n" NAME "; filename=\"\"\r\n\r\nb" END, "files|-|-|a;files||-|b;" },
        { "junk\r\n" PART "\r\n\r\na" END "more junk", "files|-|-|a;" },
        { "--XyZ--", "" },
        { PART "; filename=\"a\\\"b\\\\c\\d\"\r\n\r\na" END, "files|a\"b\\c\\d|-|a;" },
        { PART "; filename=\"../../etc/passwd\"\r\n\r\na" END, "files|../../etc/passwd|-|a;" },
        { PART "; filename*=UTF-8''..%2fx\r\n\r\na" END, "files|-|-|a;" },
        { PART "; filename=\"a\"; filename*=UTF-8''..%2fx\r\n\r\na" END, "files|a|-|a;" },
        { PART "; filename=\"a;b=c\"\r\n\r\na" END, "files|a;b=c|-|a;" },
        { "--XyZ\r\ncontent-DISPOSITION:  Form-Data ; NAME=a ; FileName=b.txt\r\nX-Other: 1\r\n\r\na" END, "a|b.txt|-|a;" },
        { PART "; filename=\"\xe4\xbd\xa0.txt\"\r\n\r\na" END, "files|\xe4\xbd\xa0.txt|-|a;" },
        { PART "; filename=\"\xe4\xbd.\xff\xc0\xaf\xed\xa0\x80\"\r\n\r\na" END, "files|?" "?.?" "?" "?" "?" "?" "?|-|a;" },
    };
    m8_error err = { 0 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t step = 1; step <= strlen(all[i].text); step++) {
            m8_status st = read_form(TYPE, all[i].text, strlen(all[i].text), step, &err);
            if (st) fail_msg("%s in pieces of %zu: %s", all[i].text, step, err.text);
            assert_string_equal(seen.data ? seen.data : "", all[i].want);
        }
    }
    assert_int_equal(read_form("Multipart/Form-Data;charset=x ; Boundary=\"X y:Z\"", "--X y:Z--", 9, 9, &err), M8_OK);
}

static void test_bad(void **state)
{
    static const struct {
        const char *text;
        m8_status want;
    } all[] = {
        { "", M8_E_FORMAT },
        { "junk", M8_E_FORMAT },
        { PART "\r\n\r\nabc", M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZ", M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZ-", M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZ-x", M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZmore" END, M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZ\n" END, M8_E_FORMAT },
        { PART "\r\n\r\nabc\r\n--XyZ\r\r\n" END, M8_E_FORMAT },
        { PART "\r\n", M8_E_FORMAT },
        { PART "\n\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\n\r\nabc" END, M8_E_FORMAT },                                               /* no head */
        { "--XyZ\r\nContent-Type: text/plain\r\n\r\nabc" END, M8_E_FORMAT },                   /* no name */
        { "--XyZ\r\nContent-Disposition: form-data\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; name=\"a\" x\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; name=\r\n\r\nabc" END, M8_E_FORMAT },
        { "--XyZ\r\nContent-Disposition: form-data; =a\r\n\r\nabc" END, M8_E_FORMAT },
        { PART "\r\n" NAME "\r\n\r\nabc" END, M8_E_FORMAT },
        { PART "\r\n folded\r\n\r\nabc" END, M8_E_FORMAT },
        { PART "\r\nno colon\r\n\r\nabc" END, M8_E_FORMAT },
        { PART "\x01\r\n\r\nabc" END, M8_E_FORMAT },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t step = 1; step <= strlen(all[i].text) + 1; step++) {
            m8_error err = { 0 };
            m8_status st = read_form(TYPE, all[i].text, strlen(all[i].text), step, &err);
            if (st != all[i].want || err.status != (int)st || !err.text[0]) fail_msg("%s in pieces of %zu: %s %s", all[i].text, step, m8_status_name(st), err.text);
        }
    }
    static const char *const types[] = {
        NULL, "", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"", "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"a",
        "multipart/form-data, boundary=a", "multipart/mixed; boundary=a", "multipart/form-data; boundary", "multipart/form-data; boundary=\x01", "multipart/form-data; boundary=\xe9",
        "multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901", "application/x-www-form-urlencoded", "multipart/form-dataX; boundary=a",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        m8_error err = { 0 };
        assert_int_equal(read_form(types[i], "", 0, 1, &err), M8_E_FORMAT);
    }
    for (stop_at = 1; stop_at <= 3; stop_at++) { /* the sink says stop */
        static const m8_status want[] = { M8_E_CANCELLED, M8_E_BUSY, M8_E_LIMIT };
        m8_error err = { 0 };
        m8_multipart *m;
        const char *text = PART "\r\n\r\nabc" END;
        assert_int_equal(m8_multipart_new(&m, TYPE, (m8_multipart_sink){ begin, data, end, NULL }, &err), M8_OK);
        n_calls = 0;
        assert_int_equal(m8_multipart_push(m, text, strlen(text), &err), want[stop_at - 1]);
        assert_int_equal(err.status, want[stop_at - 1]);
        assert_int_equal(m8_multipart_push(m, text, strlen(text), NULL), want[stop_at - 1]); /* and it stays so */
        assert_int_equal(m8_multipart_finish(m, NULL), want[stop_at - 1]);
        m8_multipart_free(m);
    }
    stop_at = 0;
}

static void fill(m8_buf *b, size_t n, const char *with)
{
    for (size_t i = 0; i < n; i += strlen(with)) m8_buf_str(b, with);
}

static void test_limits(void **state)
{
    m8_buf b = { 0 };
    m8_error err = { 0 };
    static const char *const junk[] = { "-", "\r\n", "x", "\r\n--Xy", "\r\n--", "\r" };
    clock_t began = clock();
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        m8_buf_clear(&b); /* 1 MB of junk before, and behind */
        fill(&b, 1 << 20, junk[i]);
        m8_buf_str(&b, PART "\r\n\r\na" END);
        assert_int_equal(read_form(TYPE, b.data, b.len, 65536, &err), M8_E_FORMAT);
        m8_buf_clear(&b);
        m8_buf_str(&b, PART "\r\n\r\na" END);
        fill(&b, 1 << 20, junk[i]);
        assert_int_equal(read_form(TYPE, b.data, b.len, 65536, &err), M8_E_FORMAT);
        m8_buf_clear(&b); /* as data it is fine */
        m8_buf_str(&b, PART "\r\n\r\n");
        fill(&b, 1 << 20, junk[i]);
        m8_buf_str(&b, END);
        err = (m8_error){ 0 };
        assert_int_equal(read_form(TYPE, b.data, b.len, 65536, &err), M8_OK);
        assert_true(seen.len > 1 << 20);
    }
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 5);
    m8_buf_clear(&b);
    m8_buf_str(&b, PART "\r\nX: ");
    fill(&b, 1 << 20, "a");
    assert_int_equal(read_form(TYPE, b.data, b.len, 65536, NULL), M8_E_LIMIT);
    m8_buf_clear(&b);
    m8_buf_str(&b, PART);
    for (int i = 0; i < 50000; i++) m8_buf_str(&b, "\r\nX: y");
    assert_int_equal(read_form(TYPE, b.data, b.len, 65536, NULL), M8_E_LIMIT);
    m8_buf_clear(&b);
    m8_buf_str(&b, PART);
    for (int i = 0; i < 32; i++) m8_buf_str(&b, "\r\nX: y");
    m8_buf_str(&b, "\r\n\r\na" END);
    assert_int_equal(read_form(TYPE, b.data, b.len, 65536, NULL), M8_E_LIMIT);
    for (int n = 1000; n <= 1001; n++) {
        m8_buf_clear(&b);
        for (int i = 0; i < n; i++) m8_buf_str(&b, i ? "\r\n" PART "\r\n\r\na" : PART "\r\n\r\na");
        m8_buf_str(&b, END);
        assert_int_equal(read_form(TYPE, b.data, b.len, 65536, NULL), n == 1000 ? M8_OK : M8_E_LIMIT);
    }
    static const char nul[] = "--XyZ\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\nabc" END;
    assert_int_equal(read_form(TYPE, nul, sizeof nul - 1, 7, NULL), M8_E_FORMAT);
    static const char zeros[] = PART "\r\n\r\na\0b" END;
    assert_int_equal(read_form(TYPE, zeros, sizeof zeros - 1, 1, NULL), M8_OK);
    assert_memory_equal(seen.data, "files|-|-|a\0b;", 14);
    m8_buf_finish(&b);
}

static void test_urlencoded(void **state)
{
    static const struct {
        const char *form, *name, *want;
    } all[] = {
        { "a=1&b=2", "b", "2" }, { "a=1&b=2", "a", "1" }, { "a=1&a=2", "a", "1" }, { "a=1;b=2", "b", NULL }, { "a=1;b=2", "a", "1;b=2" }, { "a", "a", "" }, { "a=", "a", "" },
        { "&&a=1&&", "a", "1" }, { "=1", "", "1" }, { "a=b=c", "a", "b=c" }, { "a=x+y%2B%20", "a", "x y+ " }, { "%61%20b=1", "a b", "1" }, { "a+b=1", "a b", "1" }, { "a=%", "a", NULL },
        { "a=%4", "a", NULL }, { "a=%4g", "a", NULL }, { "a=%00", "a", NULL }, { "ab=1", "a", NULL }, { "a=1", "ab", NULL }, { "", "a", NULL }, { "a=%e4%BD%a0", "a", "\xe4\xbd\xa0" },
        { "a%=1&a=2", "a", "2" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *got = m8_form_field(all[i].form, strlen(all[i].form), all[i].name);
        if (!all[i].want != !got || (got && strcmp(got, all[i].want))) fail_msg("%s of %s: %s", all[i].name, all[i].form, got ? got : "NULL");
        m8_free(got);
    }
    m8_buf b = { 0 };
    m8_percent_encode(&b, "a b/c?\xc3\xa9~\"", "/");
    assert_string_equal(b.data, "a%20b/c%3F%C3%A9~%22");
    char back[64];
    strcpy(back, b.data);
    ssize_t n = m8_percent_decode(back, strlen(back), false);
    assert_int_equal(n, 10);
    assert_memory_equal(back, "a b/c?\xc3\xa9~\"", 10);
    m8_buf_finish(&b);
}

static void test_small(void **state)
{
    static const struct {
        const char *field, *name, *want;
    } cookies[] = {
        { "a=1; b=2", "b", "2" }, { "a=1; b=2", "a", "1" }, { "ab=1; b=2", "b", "2" }, { "a=\"x y\"; b", "a", "x y" }, { "a=", "a", "" }, { "b=1", "a", NULL }, { "", "a", NULL },
        { ";;; a=1  ;", "a", "1" }, { "a=\"", "a", "\"" }, { "a", "a", NULL }, { "x=a=1", "a", NULL }, { "a=1;b=2", "b", "2" },
    };
    for (size_t i = 0; i < sizeof cookies / sizeof *cookies; i++) {
        size_t n = 0;
        const char *got = m8__cookie_find(cookies[i].field, cookies[i].name, &n);
        if (!got != !cookies[i].want || (got && (n != strlen(cookies[i].want) || memcmp(got, cookies[i].want, n)))) fail_msg("%s of %s", cookies[i].name, cookies[i].field);
    }
    static const char *const paths[][2] = {
        { "/", "/" }, { "//", "/" }, { "/a", "/a" }, { "/a/", "/a/" }, { "//a//b", "/a/b" }, { "/./a", "/a" }, { "/a/.", "/a/" }, { "/a/..", "/" }, { "/a/../", "/" }, { "/..", "/" },
        { "/../../a", "/a" }, { "/a/b/../c", "/a/c" }, { "/a/b/../../../c", "/c" }, { "/.a/..b/...", "/.a/..b/..." }, { "/a/./../b/.//", "/b/" }, { "/a..", "/a.." }, { "/file=/x/../y", "/file=/y" },
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char path[64];
        strcpy(path, paths[i][0]);
        assert_int_equal(m8__path_normal(path, strlen(path)), strlen(paths[i][1]));
        assert_string_equal(path, paths[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_limits), cmocka_unit_test(test_urlencoded), cmocka_unit_test(test_small),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    m8_buf_finish(&seen);
    return failed;
}
