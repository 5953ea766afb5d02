/* The readers on the real models: what is in them, as the originals' readers have it. */
#include "weights_help.h"

static json_t *load_json(const char *name)
{
    json_error_t e;
    json_t *v = json_load_file(data_path(name), 0, &e);
    if (!v) fail_msg("%s: %s", name, e.text);
    return v;
}

static void check_key(const m8__weights *w, const char *key, const char *kind, const json_t *want)
{
    int64_t i;
    double f;
    bool yes;
    m8__view s;
    if (!strcmp(kind, "STRING")) {
        assert_true(m8__meta_str(w, key, &s));
        check_str(s, json_string_value(want));
    } else if (!strcmp(kind, "BOOL")) {
        assert_true(m8__meta_bool(w, key, &yes));
        assert_int_equal(yes, json_is_true(want));
    } else if (!strcmp(kind, "FLOAT32")) {
        assert_true(m8__meta_float(w, key, &f));
        assert_true(f == json_number_value(want));
    } else {
        assert_string_equal(kind, "UINT32");
        assert_true(m8__meta_int(w, key, &i));
        assert_int_equal(i, json_integer_value(want));
    }
}

static void check_array(const m8__weights *w, const char *key, const char *kind, const json_t *want)
{
    m8__meta_array a;
    assert_true(m8__meta_array_get(w, key, &a));
    assert_int_equal(a.n, json_integer_value(json_object_get(want, "len")));
    const json_t *first = json_object_get(want, "first"), *last = json_object_get(want, "last");
    for (size_t i = 0; i < a.n; i++) {
        const json_t *v = json_array_get(first, i);
        if (a.n - i <= json_array_size(last)) v = json_array_get(last, i + json_array_size(last) - a.n);
        m8__view s;
        double f;
        if (!strcmp(kind, "STRING")) assert_true(m8__meta_next_str(&a, &s));
        else assert_true(m8__meta_next_number(&a, &f));
        if (v && !strcmp(kind, "STRING")) check_str(s, json_string_value(v));
        if (v && strcmp(kind, "STRING")) assert_true(f == json_number_value(v));
    }
    assert_int_equal(a.left, 0);
}

static void test_smollm2(void **state)
{
    char path[512];
    if (!model_path(path, sizeof path, "SmolLM2-135M-Instruct.Q4_1.gguf")) skip();
    m8__weights *w = open_ok(path);
    json_t *want = load_json("smollm2/gguf.json"), *v;
    const char *key;
    int n_keys = 0;
    json_object_foreach (json_object_get(want, "metadata"), key, v) {
        const json_t *type = json_object_get(v, "type"), *value = json_object_get(v, "value");
        if (!type) continue; /* GGUF.version and the counts */
        n_keys++;
        const char *kind = json_string_value(json_array_get(type, 0));
        if (!strcmp(kind, "ARRAY")) check_array(w, key, json_string_value(json_array_get(type, 1)), value);
        else check_key(w, key, kind, value);
    }
    assert_int_equal(n_keys, 33);

    m8_map map; /* for the place of the data in the file */
    assert_int_equal(m8_map_open(&map, path, NULL), M8_OK);
    const json_t *list = json_object_get(want, "tensors (name, ne[] as stored: fastest first, type, absolute offset, bytes)");
    assert_int_equal(m8__weights_count(w), 272);
    assert_int_equal(json_array_size(list), 272);
    size_t i;
    json_array_foreach (list, i, v) {
        const m8__tensor *t = m8__weights_at(w, i);
        const json_t *ne = json_array_get(v, 1);
        assert_string_equal(t->name, json_string_value(json_array_get(v, 0)));
        assert_ptr_equal(m8__weights_find(w, t->name), t);
        assert_int_equal(t->n_dims, json_array_size(ne));
        for (int d = 0; d < t->n_dims; d++)
            assert_int_equal(t->dims[d], json_integer_value(json_array_get(ne, (size_t)(t->n_dims - 1 - d))));
        assert_string_equal(m8__dtype_name(t->type), json_string_value(json_array_get(v, 2)));
        assert_int_equal(t->size, json_integer_value(json_array_get(v, 4)));
        assert_memory_equal(t->data, map.data + json_integer_value(json_array_get(v, 3)), 16);
    }
    m8_map_close(&map);
    json_decref(want);

    /* And the data are where they should be: the first rows as the original has them. */
    m8__weights *rows = open_ok(data_path("smollm2/rows.safetensors"));
    const m8__tensor *raw = tensor_of(rows, "row.Q8_0.raw");
    assert_memory_equal(tensor_of(w, "token_embd.weight")->data, raw->data, raw->size);
    raw = tensor_of(rows, "row.Q4_1.raw");
    assert_memory_equal(tensor_of(w, "blk.0.ffn_down.weight")->data, raw->data, raw->size);
    m8__weights_close(rows);
    m8__weights_close(w);
}

static void check_whisper(const char *name, size_t count, int64_t d, int layers, int64_t vocab, float heads)
{
    char path[512], key[128];
    if (!model_path(path, sizeof path, name)) skip();
    m8__weights *w = open_ok(path);
    assert_int_equal(m8__weights_count(w), count);
    check_shape(tensor_of(w, "encoder/conv1/weight"), DT_F16, 3, d, 80, 3);
    check_shape(tensor_of(w, "encoder/conv2/weight"), DT_F16, 3, d, d, 3);
    check_shape(tensor_of(w, "encoder/position_encodings/encodings"), DT_F16, 2, 1500, d, 1);
    check_shape(tensor_of(w, "decoder/position_encodings/encodings"), DT_F16, 2, 448, d, 1);
    check_shape(tensor_of(w, "decoder/embeddings/weight"), DT_F16, 2, vocab, d, 1);
    assert_ptr_equal(tensor_of(w, "decoder/projection/weight"), tensor_of(w, "decoder/embeddings/weight"));
    for (int i = 0; i < layers; i++) {
        snprintf(key, sizeof key, "decoder/layer_%d/self_attention/linear_0/weight", i);
        check_shape(tensor_of(w, key), DT_F16, 2, 3 * d, d, 1);
        snprintf(key, sizeof key, "decoder/layer_%d/attention/linear_1/weight", i);
        check_shape(tensor_of(w, key), DT_F16, 2, 2 * d, d, 1);
        snprintf(key, sizeof key, "encoder/layer_%d/ffn/linear_0/bias", i);
        check_shape(tensor_of(w, key), DT_F16, 1, 4 * d, 1, 1);
        /* The key part of the bias is all zero: the rows are where they are thought to be. */
        snprintf(key, sizeof key, "encoder/layer_%d/self_attention/linear_0/bias", i);
        const m8__tensor *t = tensor_of(w, key);
        float *bias = m8_malloc((size_t)t->n * 4), rest = 0;
        m8__dequant(bias, t, 0, 1);
        for (int64_t j = 0; j < 3 * d; j++) {
            if (j >= d && j < 2 * d) assert_true(bias[j] == 0);
            else rest += bias[j] * bias[j];
        }
        assert_true(rest > 0);
        m8_free(bias);
    }
    check_values(tensor_of(w, "decoder/activation"), 1, (float[]){ 3 });
    check_values(tensor_of(w, "decoder/pre_norm"), 1, (float[]){ 1 });
    check_values(tensor_of(w, "decoder/alignment_layer"), 1, (float[]){ -1 });
    check_values(tensor_of(w, "encoder/num_heads"), 1, &heads);
    assert_int_equal(tensor_of(w, "encoder/num_heads")->type, DT_I16);
    for (size_t i = 0; i < count; i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        if (t->n_dims) assert_int_equal(t->type, DT_F16);
    }
    assert_true(json_array_size(json_object_get(m8__weights_config(w), "suppress_ids")) > 10);
    m8__weights_close(w);
}

static void test_whisper_tiny(void **state) { check_whisper("whisper-tiny.en", 148, 384, 4, 51864, 6); }
static void test_whisper_base(void **state) { check_whisper("whisper-base", 212, 512, 6, 51865, 8); }

static void test_piper(void **state)
{
    char path[512];
    if (!model_path(path, sizeof path, "en_US-joe-medium.onnx")) skip();
    m8__weights *w = open_ok(path);
    json_t *want = load_json("vits-real/initializers.json"), *v;
    size_t i, d;
    const json_t *list = json_object_get(want, "[name in file, VITS name, shape]");
    assert_int_equal(json_array_size(list), 349);
    json_array_foreach (list, i, v) {
        const m8__tensor *t = tensor_of(w, json_string_value(json_array_get(v, 1)));
        json_t *shape = json_array_get(v, 2), *n;
        assert_int_equal(t->type, DT_F32);
        assert_int_equal(t->n_dims, json_array_size(shape));
        json_array_foreach (shape, d, n) assert_int_equal(t->dims[d], json_integer_value(n));
    }
    check_shape(tensor_of(w, "/dp/flows.0/Exp_output_0"), DT_F32, 2, 2, 1, 1);
    assert_null(m8__weights_find(w, "sid"));
    for (i = 0; i < m8__weights_count(w); i++) assert_null(strstr(m8__weights_at(w, i)->name, "onnx::Conv"));
    assert_non_null(json_object_get(m8__weights_config(w), "phoneme_id_map"));
    json_decref(want);
    m8__weights_close(w);
}

int main(void)
{
    const char *root = getenv("MAGIC8_TEST_MODELS");
    if (!root || access(root, R_OK)) {
        puts("MAGIC8_TEST_MODELS names no folder of models");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smollm2),
        cmocka_unit_test(test_whisper_tiny),
        cmocka_unit_test(test_whisper_base),
        cmocka_unit_test(test_piper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
