/* Damaged and hostile files must be refused, each for its own reason. Every table begins with a file that is right, so that what
 * follows differs from it in one thing only. */
#include "weights_bytes.h"

#define OK(bytes) { bytes, M8_OK, "" }
#define BAD(bytes, text) { bytes, M8_E_FORMAT, text }
#define UNSUPPORTED(bytes, text) { bytes, M8_E_UNSUPPORTED, text }
#define CHECK(cases) check_refusals(cases, sizeof cases / sizeof *cases)

/* ---- GGUF ---- */

#define HEAD(tensors, keys) "'GGUF' 4:3 8:" tensors " 8:" keys " "
#define INFO(name, dims, type, offset) "8'" name "' " dims " 4:" type " 8:" offset " "
#define A INFO("a", "4:1 8:4", "0", "0")
#define DATA "@32 *16"
#define LAST_KEY(key) HEAD("0", "1") key

static void test_gguf(void **state)
{
    static const struct refusal CASES[] = {
        OK(HEAD("1", "0") A DATA),
        OK(HEAD("2", "0") A INFO("b", "4:2 8:2 8:1", "1", "32") "@32 *36"),
        OK(HEAD("1", "1") "8'k' 4:8 8'text' " A DATA),
        BAD("'GGUF'", "within its header"),
        BAD("'GGUF' 4:3 8:1 4:0", "within its header"),
        UNSUPPORTED("'GGUF' 4:1 8:0 8:0", "version 1"),
        UNSUPPORTED("'GGUF' 4:4 8:0 8:0", "version 4"),
        UNSUPPORTED("'GGUF' 4:0x03000000 8:0 8:0", "byte order"),
        /* counts */
        { HEAD("0x7fffffff", "0") A DATA, M8_E_LIMIT, "2147483647 tensors" },
        { HEAD("0x8000000000000000", "0") A DATA, M8_E_LIMIT, "tensors" },
        BAD(HEAD("50", "0") A DATA, "50 tensors"),
        BAD(HEAD("2", "0") A, "2 tensors"),
        BAD(HEAD("2", "0") A "@128", "tensor 1: 0 dimensions"),
        { HEAD("1", "0x7fffffff") A DATA, M8_E_LIMIT, "2147483647 keys" },
        { HEAD("1", "0xffffffffffffffff") A DATA, M8_E_LIMIT, "keys" },
        BAD(HEAD("1", "90") A DATA, "90 keys"),
        /* keys */
        BAD(LAST_KEY("8:0x7fffffffffffffff 'key' 4:4 4:1 *8"), "within key 0"),
        BAD(LAST_KEY("8:0xffffffffffffffff 'key' 4:4 4:1 *8"), "within key 0"),
        BAD(LAST_KEY("8:40 'key' 4:4 4:1 *8"), "within key 0"),
        BAD(LAST_KEY("8'' 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:3 x6b006b 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:3 x6b0a6b 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:3 x6bc080 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:3 xeda080 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:4 xf4908080 4:4 4:1 *8"), "key 0: its name"),
        BAD(LAST_KEY("8:2 x6be2 4:4 4:1 *8"), "key 0: its name"),
        BAD(HEAD("0", "2") "8'k' 4:4 4:1 8'k' 4:8 8'text'", "k: two keys"),
        BAD(LAST_KEY("8'k' 4:13 4:1 *8"), "value type 13"),
        BAD(LAST_KEY("8'k' 4:-1 4:1 *8"), "value type 4294967295"),
        BAD(LAST_KEY("8'k' 4:8 8:0x7fffffffffffffff 'text'"), "k: the file ends within"),
        BAD(LAST_KEY("8'k' 4:8 8:5 'text'"), "k: the file ends within"),
        BAD(LAST_KEY("8'key' 4:10 4:1"), "key: the file ends within"),
        BAD(LAST_KEY("8'k' 4:9 4:8 8:0x2000000000000000 8'a' 8'b'"), "k: the file ends within"),
        BAD(LAST_KEY("8'k' 4:9 4:8 8:3 8'a' 8'b'"), "k: the file ends within"),
        BAD(LAST_KEY("8'k' 4:9 4:4 8:0x4000000000000000 *8"), "k: the file ends within"),
        BAD(LAST_KEY("8'k' 4:9 4:12 8:0x2000000000000001 *8"), "k: the file ends within"),
        BAD(LAST_KEY("8'k' 4:9 4:9 8:1 4:4 8:1 4:5"), "value type 9"),
        BAD(LAST_KEY("8'k' 4:9 4:99 8:1 *8"), "value type 99"),
        UNSUPPORTED(HEAD("0", "1") "8'split.count' 4:2 2:3", "one of 3 parts"),
        /* alignment */
        OK(HEAD("1", "1") "8'general.alignment' 4:4 4:8 " A "@8 *16"),
        BAD(HEAD("1", "1") "8'general.alignment' 4:4 4:0 " A DATA, "general.alignment"),
        BAD(HEAD("1", "1") "8'general.alignment' 4:4 4:3 " A DATA, "general.alignment"),
        BAD(HEAD("1", "1") "8'general.alignment' 4:4 4:0x80000000 " A DATA, "general.alignment"),
        BAD(HEAD("1", "1") "8'general.alignment' 4:10 8:32 " A DATA, "general.alignment"),
        BAD(HEAD("1", "1") "8'general.alignment' 4:8 8'32' " A DATA, "general.alignment"),
        /* infos */
        BAD(HEAD("1", "0") INFO("", "4:1 8:4", "0", "0") DATA, "tensor 0: its name"),
        BAD(HEAD("1", "0") "8:0x7fffffffffffffff 'a' 4:1 8:4 4:0 8:0 " DATA, "within the info of tensor 0"),
        BAD(HEAD("1", "0") INFO("a", "4:0", "0", "0") "*64", "0 dimensions"),
        BAD(HEAD("1", "0") INFO("a", "4:5 8:1 8:1 8:1 8:1 8:1", "0", "0") DATA, "5 dimensions"),
        BAD(HEAD("1", "0") INFO("a", "4:255 *2040", "0", "0") DATA, "255 dimensions"),
        BAD(HEAD("1", "0") INFO("a", "4:-1 8:4", "0", "0") DATA, "4294967295 dimensions"),
        UNSUPPORTED(HEAD("1", "0") INFO("a", "4:1 8:4", "999", "0") DATA, "element type 999"),
        UNSUPPORTED(HEAD("1", "0") INFO("a", "4:1 8:4", "-1", "0") DATA, "element type 4294967295"),
        UNSUPPORTED(HEAD("1", "0") INFO("a", "4:1 8:4", "4", "0") DATA, "element type 4"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:0", "0", "0") DATA, "a: its shape"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:-1", "0", "0") DATA, "a: its shape"),
        BAD(HEAD("1", "0") INFO("a", "4:2 8:0x100000000 8:0x100000000", "0", "0") DATA, "a: its shape"),
        BAD(HEAD("1", "0") INFO("a", "4:4 8:0x10001 8:0x10001 8:0x10001 8:0x10001", "0", "0") DATA, "a: its shape"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:0x4000000000000004", "0", "0") DATA, "do not fit"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:4000", "0", "0") DATA, "do not fit"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:5", "0", "0") "@32 *16", "past the end"),
        BAD(HEAD("1", "0") INFO("a", "4:2 8:33 8:1", "2", "0") "@32 *36", "no whole Q4_0 blocks"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:128", "12", "0") "@32 *144", "no whole Q4_K blocks"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:4", "0", "1") "@32 *32", "not aligned"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:4", "0", "32") DATA, "past the end"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:4", "0", "0xffffffffffffffe0") DATA, "past the end"),
        BAD(HEAD("1", "0") A "@32 *15", "past the end"),
        BAD(HEAD("1", "0") INFO("a", "4:1 8:1", "0", "0") "*5", "before its data"),
        BAD(HEAD("2", "0") A INFO("b", "4:1 8:4", "0", "0") DATA, "overlap"),
        BAD(HEAD("2", "0") INFO("a", "4:1 8:16", "0", "0") INFO("b", "4:1 8:4", "0", "32") "@32 *64", "a and b overlap"),
        BAD(HEAD("2", "0") A INFO("a", "4:1 8:4", "0", "32") "@32 *48", "a: two tensors"),
    };
    CHECK(CASES);
}

/* ---- CTranslate2 ---- */

#define CT2(n) "4:6 2'WhisperSpec' 4:3 4:" n " "
#define W "2'w' 1:1 4:2 1:4 4:4 *4 "

static void test_ct2(void **state)
{
    static const struct refusal CASES[] = {
        OK(CT2("1") W "4:0"),
        OK(CT2("1") W "4:1 2'v' 2'w'"),
        OK(CT2("0") "4:0"),
        UNSUPPORTED("4:5 2'WhisperSpec' 4:3 4:0 4:0", "version 5"),
        BAD("4:6 2:0 4:3 4:0 4:0", "specification does not end"),
        BAD("4:6 2:3 'abc' 4:3 4:0 4:0", "specification does not end"),
        BAD("4:6 2:0xffff 'abc'", "within the name of the spec"),
        BAD(CT2("0xffffffff") W "4:0", "name of a variable does not end"),
        BAD(CT2("2") W, "within the name of a variable"),
        BAD(CT2("1") W, "before its aliases"),
        BAD(CT2("1") W "4:0 1:0", "1 bytes behind"),
        BAD(CT2("1") "2'' 1:1 4:2 1:4 4:4 *4 4:0", "tensor 0: its name"),
        BAD(CT2("1") "2:4 x77007700 1:1 4:2 1:4 4:4 *4 4:0", "tensor 0: its name"),
        BAD(CT2("1") "2'w' 1:5 4:1 4:1 4:1 4:1 4:2 1:4 4:4 *4 4:0", "5 dimensions"),
        BAD(CT2("1") "2'w' 1:255 4:2 1:4 4:4 *4 4:0", "255 dimensions"),
        BAD(CT2("1") "2'w' 1:1 4:2 1:6 4:4 *4 4:0", "element type 6"),
        BAD(CT2("1") "2'w' 1:1 4:2 1:255 4:4 *4 4:0", "element type 255"),
        BAD(CT2("1") "2'w' 1:1 4:0 1:4 4:0 4:0", "its shape"),
        BAD(CT2("1") "2'w' 1:1 4:3 1:4 4:4 *4 4:0", "do not fit"),
        BAD(CT2("1") "2'w' 1:1 4:1 1:4 4:4 *4 4:0", "do not fit"),
        BAD(CT2("1") "2'w' 1:1 4:2 1:4 4:-1 *4 4:0", "within variable 0"),
        BAD(CT2("1") "2'w' 1:4 4:-1 4:-1 4:-1 4:-1 1:1 4:1 *1 4:0", "its shape"),
        BAD(CT2("1") "2'w' 1:2 4:0x80000000 4:0x80000000 1:0 4:0 4:0", "do not fit"),
        BAD(CT2("2") W W "4:0", "w: two tensors"),
        BAD(CT2("1") W "4:-1", "4294967295 aliases"),
        BAD(CT2("1") W "4:1 2'v' 2'x'", "not in the file"),
        BAD(CT2("1") W "4:1 2'w' 2'w'", "w: two tensors"),
        BAD(CT2("1") W "4:2 2'v' 2'w' 2'v' 2'w'", "v: two tensors"),
        BAD(CT2("1") W "4:2 2'v' 2'w'", "within an alias"),
        BAD(CT2("1") W "4:1 2'' 2'w'", "name of an alias"),
    };
    CHECK(CASES);
}

/* ---- safetensors ---- */

#define T(name, dtype, shape, place) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" place "}"
#define ST(header) "h{'{" header "}'} *16"

static void test_safetensors(void **state)
{
    static const struct refusal CASES[] = {
        OK(ST(T("a", "F32", "[4]", "[0,16]"))),
        OK(ST("\"__metadata__\":{\"format\":\"pt\"}," T("a", "F32", "[2]", "[8,16]") "," T("b", "I64", "[]", "[0,8]"))),
        BAD("8:0x8000000000000000 '{}'", "neither GGUF"),
        BAD("8:-1 '{}'", "neither GGUF"),
        BAD("8:0xffffffffffffff '{}'", "a header of 72057594037927935"),
        { "8:0x1000000 '{}' *0x1000000", M8_E_LIMIT, "16777216 bytes of JSON" },
        BAD("8:3 '{}'", "a header of 3"),
        BAD("h{'{'}", "JSON"),
        BAD("h{'{\"a\":1}'}", "a: dtype, shape"),
        BAD("h{'{} {}'}", "JSON"),
        BAD("h{'{\"a' xff '\":1}'}", "JSON"),
        BAD("h{'{\"a\\u0000\":1}'}", "JSON"),
        BAD(ST(T("a", "F32", "[4]", "[0,16]") "," T("a", "F32", "[4]", "[0,16]")), "duplicate"),
        BAD(ST("\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}"), "a: dtype, shape"),
        BAD(ST("\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,16]}"), "a: dtype, shape"),
        BAD(ST("\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}"), "a: dtype, shape"),
        BAD(ST(T("a", "F32", "[4]", "[0,16,16]")), "a: dtype, shape"),
        BAD(ST(T("a", "F32", "[4]", "[0,1e1]")), "a: dtype, shape"),
        BAD(ST(T("a", "F32", "[4]", "[-16,0]")), "a: dtype, shape"),
        BAD(ST(T("a", "F32", "[4]", "[0,18446744073709551616]")), "JSON"),
        UNSUPPORTED(ST(T("a", "F8_E4M3", "[16]", "[0,16]")), "element type F8_E4M3"),
        BAD(ST(T("a", "F32", "[4]", "[16,0]")), "bytes 16 to 0"),
        BAD(ST(T("a", "F32", "[4]", "[1,17]")), "bytes 1 to 17"),
        BAD(ST(T("a", "F32", "[4]", "[9223372036854775791,9223372036854775807]")), "not in the file"),
        BAD(ST(T("a", "F32", "[4]", "[0,12]")), "do not fit"),
        BAD(ST(T("a", "F32", "[3]", "[0,16]")), "do not fit"),
        BAD(ST(T("a", "F32", "[0]", "[0,0]")), "its shape"),
        BAD(ST(T("a", "F32", "[-4]", "[0,16]")), "no number"),
        BAD(ST(T("a", "F32", "[4.0]", "[0,16]")), "no number"),
        BAD(ST(T("a", "F32", "[1,1,1,1,4]", "[0,16]")), "5 dimensions"),
        BAD(ST(T("a", "U8", "[4294967296,4294967296]", "[0,0]")), "its shape"),
        BAD(ST(T("a", "F32", "[4611686018427387904]", "[0,0]")), "do not fit"),
        BAD(ST(T("", "F32", "[4]", "[0,16]")), "its name"),
        BAD(ST(T("a\\nb", "F32", "[4]", "[0,16]")), "its name"),
        BAD(ST(T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]")), "a and b overlap"),
        UNSUPPORTED("'{\"weight_map\":{\"a\":\"b\"}}'", "a list of files"),
    };
    CHECK(CASES);
}

/* A header of n brackets, one in the other. */
static m8_status open_nested(int n, m8_error *err)
{
    m8_buf b = { 0 };
    put_number(&b, (uint64_t)(2 * n + 19), 8);
    m8_buf_str(&b, "{\"__metadata__\":  ");
    for (int i = 0; i < n; i++) m8_buf_chr(&b, '[');
    for (int i = 0; i < n; i++) m8_buf_chr(&b, ']');
    m8_buf_chr(&b, '}');
    m8_status st = open_bytes(b.data, b.len, err);
    m8_buf_finish(&b);
    return st;
}

static void test_nesting(void **state)
{
    m8_error err = { 0 };
    assert_int_equal(open_nested(63, &err), M8_OK);
    assert_int_equal(open_nested(64, &err), M8_E_FORMAT);
    assert_non_null(strstr(err.text, "deeper than 64"));
    assert_int_equal(open_nested(2000, NULL), M8_E_FORMAT);
    assert_int_equal(open_nested(100000, NULL), M8_E_FORMAT);
}

/* ---- ONNX ---- */

#define ONNX(graph) "f1=8 f7{" graph "} f8{f2=15}"
#define F(name) "f5{f1=2 f2=1 f8{'" name "'} f9{*8}}"

static void test_onnx(void **state)
{
    static const struct refusal CASES[] = {
        OK(ONNX(F("a") F("b"))),
        OK(ONNX("f5{f1{x0201} f2=1 f8{'a'} f4{*8}}")),
        OK(ONNX("f5{f1=2 f2=1 f8{'a'} x2500000000 x2500000000}")),
        OK(ONNX("f5{f1=0 f2=1 f8{'a'}}")),
        OK(ONNX("f5{f1=2 f2=7 f8{'a'} f7=1 f7=2}")),
        OK(ONNX("f1{f1{'x'} f1{'onnx::Conv_1'} f3{'/a/Conv'} f4{'Conv'}}" F("onnx::Conv_1"))),
        BAD("f1=8", "not an ONNX"),
        BAD("f1=8 f7{" F("a") "}", "not an ONNX"),
        BAD("f1=8 f7=5", "not an ONNX"),
        BAD("f1=8 x3a10 *15", "not an ONNX"),
        BAD("f1=8 x3b", "not an ONNX"),
        BAD("f1=8 x00", "not an ONNX"),
        BAD("f1=8 xffffffffffffffffffffff", "not an ONNX"),
        BAD("f1=8 x3affffffffffffffffff01", "not an ONNX"),
        BAD(ONNX("x2a10 *15"), "graph is damaged"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} x4a09 *8}"), "initializer 0 is damaged"),
        BAD(ONNX("f5{f1{x0280} f2=1 f8{'a'} f9{*8}}"), "initializer 0 is damaged"),
        BAD(ONNX("f1{x0a09 *8} " F("a")), "a node is damaged"),
        BAD(ONNX("f5{f1=2 f2=1 f9{*8}}"), "its name"),
        BAD(ONNX("f5{f1=2 f2=1 f8{x610062} f9{*8}}"), "its name"),
        BAD(ONNX("f5{f1=1 f1=1 f1=1 f1=1 f1=2 f2=1 f8{'a'} f9{*8}}"), "5 dimensions"),
        BAD(ONNX("f5{f1=-2 f2=1 f8{'a'} f9{*8}}"), "its shape"),
        BAD(ONNX("f5{f1=0x100000000 f1=0x100000000 f2=1 f8{'a'} f9{*8}}"), "its shape"),
        BAD(ONNX("f5{f1=0x4000000000000002 f2=1 f8{'a'} f9{*8}}"), "do not fit"),
        BAD(ONNX("f5{f1=3 f2=1 f8{'a'} f9{*8}}"), "do not fit"),
        BAD(ONNX("f5{f1=1 f2=1 f8{'a'} f9{*8}}"), "do not fit"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'}}"), "do not fit"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} f4{*7}}"), "do not fit"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} x2500000000}"), "do not fit"),
        UNSUPPORTED(ONNX("f5{f1=2 f2=0 f8{'a'} f9{*8}}"), "element type 0"),
        UNSUPPORTED(ONNX("f5{f1=2 f2=8 f8{'a'} f9{*8}}"), "element type 8"),
        UNSUPPORTED(ONNX("f5{f1=2 f2=-1 f8{'a'} f9{*8}}"), "element type 18446744073709551615"),
        UNSUPPORTED(ONNX("f5{f1=2 f2=1 f8{'a'} f14=1}"), "another file"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} f9{*8} f9{*8}}"), "given twice"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} f9{*8} f4{*8}}"), "given twice"),
        BAD(ONNX("f5{f1=2 f2=1 f8{'a'} f9{*8} x2500000000}"), "given twice"),
        BAD(ONNX("f5{f1=1 f2=7 f8{'a'} f4{*8}}"), "another type"),
        BAD(ONNX(F("a") F("a")), "a: two tensors"),
        BAD(ONNX("f1{f1{'x'} f1{'onnx::Conv_1'} f3{'/a/Conv'} f4{'Conv'}}" F("onnx::Conv_1") F("a.weight")), "a.weight: two tensors"),
    };
    CHECK(CASES);
}

static void test_sniff(void **state)
{
    char header[256]; /* of 123 bytes: the file begins with '{' */
    snprintf(header, sizeof header, "8:123 '{}%121s'", "");
    check_refusals(&(struct refusal)OK(header), 1);
    check_refusals(&(struct refusal)OK("f1=8 f2{'abcd{'} f7{" F("a") "} f8{f2=15}"), 1); /* '{' at byte 8 */

    static const struct refusal CASES[] = {
        BAD("'hello world'", "neither GGUF"),
        BAD("'PK' x0304 *20", "neither GGUF"),

        BAD("'G'", "neither GGUF"),
        BAD("", "neither GGUF"),
    };
    CHECK(CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_gguf),    cmocka_unit_test(test_ct2),  cmocka_unit_test(test_safetensors),
                                        cmocka_unit_test(test_nesting), cmocka_unit_test(test_onnx), cmocka_unit_test(test_sniff) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
