/* The four readers on small files made by tools/make_small_weights.py, and on llama-tiny. */
#include "weights_help.h"

static void test_small_gguf(void **state)
{
    m8__weights *w = open_ok(data_path("weights/small.gguf"));
    assert_string_equal(m8__weights_format(w), "gguf");
    assert_null(m8__weights_config(w));
    assert_int_equal(m8__weights_count(w), 3);
    assert_string_equal(m8__weights_at(w, 1)->name, "norm.weight");
    check_shape(tensor_of(w, "token_embd.weight"), DT_Q8_0, 2, 2, 32, 1);
    check_shape(tensor_of(w, "half"), DT_F16, 3, 3, 1, 2);
    check_values(tensor_of(w, "norm.weight"), 3, (float[]){ 1, 2, 3 });
    assert_null(m8__weights_find(w, "norm.weigh"));
    assert_null(m8__weights_find(w, "norm.weight2"));
    assert_null(m8__weights_find(w, ""));

    static const struct {
        const char *key;
        bool is_int;
        int64_t i;
        bool is_float;
        double f;
    } NUMBERS[] = {
        { "k.u8", true, 200, true, 200 },           { "k.i8", true, -3, true, -3 },
        { "k.u16", true, 65535, true, 65535 },      { "k.i16", true, -300, true, -300 },
        { "llama.block_count", true, 1, true, 1 },  { "k.i32", true, -70000, true, -70000 },
        { "k.f32", false, 0, true, 0.5 },           { "k.f32.whole", true, 8, true, 8 },
        { "k.u64", false, 0, false, 0 },            { "k.i64", true, -(1LL << 40), true, -0x1p40 },
        { "k.f64", false, 0, true, 1e300 },         { "k.bool", false, 0, false, 0 },
        { "general.architecture", false, 0, false, 0 }, { "k.missing", false, 0, false, 0 },
        { "tokenizer.ggml.scores", false, 0, false, 0 },
    };
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        int64_t n = 0;
        double f = 0;
        assert_int_equal(m8__meta_int(w, NUMBERS[i].key, &n), NUMBERS[i].is_int);
        assert_int_equal(n, NUMBERS[i].i);
        assert_int_equal(m8__meta_float(w, NUMBERS[i].key, &f), NUMBERS[i].is_float);
        assert_true(f == NUMBERS[i].f);
    }
    bool yes = false;
    m8__view s;
    assert_true(m8__meta_bool(w, "k.bool", &yes) && yes);
    assert_false(m8__meta_bool(w, "k.u8", &yes));
    assert_true(m8__meta_str(w, "general.architecture", &s));
    check_str(s, "llama");
    assert_false(m8__meta_str(w, "k.u8", &s));
    assert_false(m8__meta_str(w, "tokenizer.ggml.tokens", &s));

    m8__meta_array a;
    double v;
    assert_false(m8__meta_array_get(w, "general.architecture", &a));
    assert_true(m8__meta_array_get(w, "tokenizer.ggml.tokens", &a));
    assert_int_equal(a.n, 3);
    assert_int_equal(a.type, 8);
    assert_false(m8__meta_next_number(&a, &v));
    static const char *const TOKENS[] = { "a", "", "\xc4\xa0" "caf\xc3\xa9" };
    for (int i = 0; i < 3; i++) {
        assert_true(m8__meta_next_str(&a, &s));
        check_str(s, TOKENS[i]);
    }
    assert_false(m8__meta_next_str(&a, &s));
    assert_int_equal(a.left, 0);
    assert_true(m8__meta_array_get(w, "tokenizer.ggml.token_type", &a));
    assert_false(m8__meta_next_str(&a, &s));
    static const double TYPES[] = { 1, 3, -1 };
    for (int i = 0; i < 3; i++) assert_true(m8__meta_next_number(&a, &v) && v == TYPES[i]);
    assert_false(m8__meta_next_number(&a, &v));
    assert_true(m8__meta_array_get(w, "k.empty", &a));
    assert_int_equal(a.n, 0);
    assert_false(m8__meta_next_str(&a, &s));
    m8__weights_close(w);
}

static void test_small_ct2(void **state)
{
    m8__weights *w = open_ok(data_path("weights/ct2"));
    assert_string_equal(m8__weights_format(w), "ctranslate2");
    assert_int_equal(m8__weights_count(w), 3);
    check_shape(tensor_of(w, "w"), DT_F16, 2, 2, 2, 1);
    assert_ptr_equal(tensor_of(w, "out/w"), tensor_of(w, "w"));
    check_values(tensor_of(w, "out/w"), 4, (float[]){ 1, 2, -2, 0x1p-24f });
    check_shape(tensor_of(w, "scalar"), DT_I8, 0, 1, 1, 1);
    check_values(tensor_of(w, "scalar"), 1, (float[]){ 3 });
    check_values(tensor_of(w, "heads"), 1, (float[]){ 6 });
    assert_string_equal(m8__weights_path(w), data_path("weights/ct2/model.bin"));
    assert_string_equal(m8__weights_dir(w), data_path("weights/ct2"));
    m8__weights_close(w);
}

static void test_small_onnx(void **state)
{
    m8__weights *w = open_ok(data_path("weights/small.onnx"));
    assert_string_equal(m8__weights_format(w), "onnx");
    assert_int_equal(m8__weights_count(w), 4); /* without the empty one and the varints */
    check_shape(tensor_of(w, "enc_p.emb.weight"), DT_F32, 2, 1, 2, 1);
    check_shape(tensor_of(w, "flow.flows.6.enc.in_layers.0.weight"), DT_F32, 3, 2, 1, 1);
    assert_null(m8__weights_find(w, "sid"));
    assert_null(m8__weights_find(w, "onnx::Conv_12"));
    check_values(tensor_of(w, "dec.conv_pre.weight"), 2, (float[]){ 0.25f, -2 }); /* float_data, one by one */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(m8__weights_config(w), "audio"), "sample_rate")), 22050);
    m8__weights_close(w);
}

static void test_small_sharded(void **state)
{
    static const char *const PATHS[] = { "weights/sharded", "weights/sharded/model.safetensors.index.json" };
    for (int i = 0; i < 2; i++) {
        m8__weights *w = open_ok(data_path(PATHS[i]));
        assert_string_equal(m8__weights_format(w), "safetensors");
        assert_int_equal(m8__weights_count(w), 3);
        check_values(tensor_of(w, "a.weight"), 6, (float[]){ 1, 2, 3, 4, 5, 6 });
        check_shape(tensor_of(w, "b.weight"), DT_BF16, 1, 2, 1, 1);
        check_values(tensor_of(w, "b.weight"), 2, (float[]){ 1, 2 });
        check_values(tensor_of(w, "c"), 1, (float[]){ -7 });
        assert_string_equal(json_string_value(json_object_get(m8__weights_config(w), "model_type")), "llama");
        m8__weights_close(w);
    }
}

static void test_llama_tiny(void **state)
{
    m8__weights *w = open_ok(data_path("llama-tiny"));
    assert_int_equal(m8__weights_count(w), 38); /* 4 x 9, the embedding, the last norm; no head */
    check_shape(tensor_of(w, "model.embed_tokens.weight"), DT_F32, 2, 512, 48, 1);
    check_shape(tensor_of(w, "model.layers.3.self_attn.k_proj.weight"), DT_F32, 2, 16, 48, 1);
    assert_null(m8__weights_find(w, "lm_head.weight"));
    assert_int_equal(json_integer_value(json_object_get(m8__weights_config(w), "hidden_size")), 48);
    m8__weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_gguf),    cmocka_unit_test(test_small_ct2),  cmocka_unit_test(test_small_onnx),
        cmocka_unit_test(test_small_sharded), cmocka_unit_test(test_llama_tiny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
