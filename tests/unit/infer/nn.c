/* The words of nn.h: sampling against transformers' numbers (tests/data/sampling), convolutions and attention against plain loops, and
 * what must not depend on how the work is cut. */
#include "nn/nn.h"
#include "test.h"
#include <math.h>
#include <string.h>

struct kit {
    m8_pool *pool;
    nn_run run;
    nn_held held;
    nn_load load;
    nn_rng rng;
};

static int setup(void **state)
{
    static struct kit k;
    k = (struct kit){0};
    assert_int_equal(m8_pool_new(&k.pool, 2, NULL), M8_OK);
    assert_int_equal(nn_run_init(&k.run, k.pool, NULL), M8_OK);
    k.load = (nn_load){ .pool = k.pool, .precision = M8_FAST, .held = &k.held };
    nn_rng_seed(&k.rng, 7);
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    nn_run_finish(&k->run);
    nn_held_free(&k->held);
    m8_pool_free(k->pool);
    return 0;
}

static nn_t random_matrix(struct kit *k, int n, int c)
{
    nn_t x = nn_new(&k->run, n, c);
    for (int i = 0; i < n * c; i++) x.d[i] = nn_rng_normal(&k->rng);
    return x;
}

static double distance(nn_t a, nn_t b)
{
    double most = 0;
    assert_int_equal(a.n, b.n);
    assert_int_equal(a.c, b.c);
    for (int i = 0; i < a.n; i++) {
        for (int c = 0; c < a.c; c++) most = fmax(most, fabs((double)a.d[i * a.ld + c] - (double)b.d[i * b.ld + c]));
    }
    return most;
}

static void test_linear(void **state)
{
    struct kit *k = *state;
    static const double most[] = { [NN_F32] = 1e-5, [NN_BF16] = 0.05, [NN_Q8] = 0.1 };
    for (nn_type type = NN_F32; type <= NN_Q8; type++) {
        nn_reset(&k->run);
        nn_t x = random_matrix(k, 37, 96), w = random_matrix(k, 45, 96), want = nn_zeros(&k->run, 37, 45);
        nn_w packed = nn_pack(&k->load, w.d, 45, 96, 1, type);
        for (int i = 0; i < 37; i++) {
            for (int o = 0; o < 45; o++) {
                for (int c = 0; c < 96; c++) want.d[i * 45 + o] += x.d[i * 96 + c] * w.d[o * 96 + c] / 8;
            }
        }
        nn_t got = nn_linear(&k->run, x, &packed);
        nn_scale_to(&k->run, got, 0.125f);
        assert_true(distance(got, want) < most[type]);
        for (int i = 0; i < 37; i += 9) { /* a row alone, bit for bit */
            nn_t one = nn_linear(&k->run, nn_rows(x, i, 1), &packed);
            nn_scale_to(&k->run, one, 0.125f);
            assert_memory_equal(one.d, got.d + i * got.ld, 45 * sizeof(float));
        }
        assert_int_equal(k->run.status, M8_OK);
    }
}

static void test_two_digits(void **state)
{
    struct kit *k = *state;
    nn_t x = random_matrix(k, 5, 64), w = random_matrix(k, 16, 64);
    for (int i = 0; i < 5; i++) x.d[i * 64] = 300; /* an outlier makes one digit coarse */
    for (int i = 0; i < 16 * 64; i++) w.d[i] = i % 32 ? nearbyintf(w.d[i] * 30) : 127; /* Q8 holds these exactly */
    nn_w exact = nn_pack(&k->load, w.d, 16, 64, 1, NN_F32), coarse = nn_pack(&k->load, w.d, 16, 64, 1, NN_Q8), fine = coarse;
    fine.digits = 2;
    nn_t want = nn_linear(&k->run, x, &exact);
    double one = distance(nn_linear(&k->run, x, &coarse), want), two = distance(nn_linear(&k->run, x, &fine), want);
    assert_true(one > 50 * two);
    assert_true(two < 5);
}

static void test_conv(void **state)
{
    struct kit *k = *state;
    for (int dilation = 1; dilation <= 3; dilation++) {
        for (int stride = 1; stride <= 2; stride++) {
            nn_reset(&k->run);
            int n = 41, in = 7, out = 19, taps = 5, pad = 2 * dilation;
            nn_t x = random_matrix(k, n, in), w = random_matrix(k, out, taps * in);
            nn_w packed = nn_pack(&k->load, w.d, out, in, taps, NN_F32);
            nn_t got = nn_conv(&k->run, x, &packed, (nn_conv_opts){ .stride = stride, .dilation = dilation, .pad = pad, .slope = 0.1f });
            nn_t want = nn_zeros(&k->run, (n + 2 * pad - dilation * (taps - 1) - 1) / stride + 1, out);
            for (int i = 0; i < want.n; i++) {
                for (int o = 0; o < out; o++) {
                    for (int j = 0; j < taps; j++) {
                        int row = i * stride + j * dilation - pad;
                        for (int c = 0; c < in && row >= 0 && row < n; c++) {
                            float v = x.d[row * in + c];
                            want.d[i * out + o] += (v < 0 ? 0.1f * v : v) * w.d[(o * taps + j) * in + c];
                        }
                    }
                }
            }
            assert_true(distance(got, want) < 1e-4);
        }
    }
}

/* What nn_attend should give, in plain loops: row i of q sees the first `first + i` keys. */
static nn_t attend_plainly(nn_run *r, nn_t q, nn_t key, nn_t v, int heads, int dh, float scale, int first, const float *rel, int rel_ld)
{
    int kv_heads = key.c / dh;
    nn_t want = nn_zeros(r, q.n, q.c);
    for (int i = 0; i < q.n; i++) {
        for (int h = 0; h < heads; h++) {
            double p[512], sum = 0;
            int g = h / (heads / kv_heads), sees = first < 0 ? key.n : first + i;
            for (int j = 0; j < sees; j++) {
                double s = rel ? (double)rel[h * rel_ld + j - i] : 0;
                for (int c = 0; c < dh; c++) s += (double)(q.d[i * q.ld + h * dh + c] * key.d[j * key.ld + g * dh + c]);
                sum += p[j] = exp((double)scale * s);
            }
            for (int j = 0; j < sees; j++) {
                for (int c = 0; c < dh; c++) want.d[i * want.ld + h * dh + c] += (float)(p[j] / sum) * v.d[j * v.ld + g * dh + c];
            }
        }
    }
    return want;
}

static nn_t rounded_to_bf16(nn_run *r, nn_t x)
{
    nn_t y = nn_copy(r, x);
    for (int i = 0; i < y.n * y.c; i++) {
        uint32_t u = (uint32_t)m8__float_to_bf16(y.d[i]) << 16;
        memcpy(&y.d[i], &u, sizeof u);
    }
    return y;
}

/* Attention against plain loops; then the same keys in other spans, in one cell more, and a row alone: the same bits. */
static void attend_with(struct kit *k, nn_type type, int dh, int heads, int kv_heads, int n, int before, double most)
{
    nn_run *r = &k->run;
    nn_reset(r);
    int cells = before + n, cap = (cells + 15) / 16 * 16;
    nn_t q = random_matrix(k, n, heads * dh), key = random_matrix(k, cells, kv_heads * dh), v = random_matrix(k, cells, kv_heads * dh);
    nn_kv one = nn_kv_new(r, type, kv_heads, dh, cap), two = nn_kv_new(r, type, kv_heads, dh, 2 * cap + 32), copy = nn_kv_new(r, type, kv_heads, dh, 2 * cap);
    nn_kv_put(r, &one, 0, key, v);
    nn_kv_put(r, &two, cap + 16, nn_rows(key, 0, before), nn_rows(v, 0, before));
    for (int i = before; i < cells; i++) nn_kv_put(r, &two, 16 + i - before, nn_rows(key, i, 1), nn_rows(v, i, 1));
    nn_kv_put(r, &copy, 0, key, v);
    nn_kv_copy(r, &copy, cap, 0, cells);
    nn_seq whole = { .n_rows = n, .span = { { 0, cells } }, .n_spans = 1, .first = before + 1 }, moved = whole, cut = whole;
    moved.span[0].cell = cap;
    cut.n_spans = 2;
    cut.span[0] = (nn_span){ cap + 16, before }, cut.span[1] = (nn_span){ 16, n };
    cut.kv = &two;
    nn_t got = nn_attend(r, q, &one, heads, 0.2f, &whole, 1), again = nn_attend(r, q, &one, heads, 0.2f, &cut, 1);
    nn_t third = nn_attend(r, q, &copy, heads, 0.2f, &moved, 1);
    bool bf16 = type == NN_BF16;
    nn_t want = attend_plainly(r, bf16 ? rounded_to_bf16(r, q) : q, bf16 ? rounded_to_bf16(r, key) : key, bf16 ? rounded_to_bf16(r, v) : v, heads,
                               dh, 0.2f, before + 1, NULL, 0);
    assert_int_equal(r->status, M8_OK);
    assert_true(distance(got, want) < most);
    assert_memory_equal(got.d, again.d, (size_t)n * (size_t)heads * (size_t)dh * sizeof(float));
    assert_memory_equal(got.d, third.d, (size_t)n * (size_t)heads * (size_t)dh * sizeof(float));
    for (int i = 0; i < n; i += 7) { /* a row alone, and beside another sequence */
        nn_seq alone = { .n_rows = 1, .span = { { 0, cells } }, .n_spans = 1, .first = before + 1 + i };
        nn_t row = nn_attend(r, nn_rows(q, i, 1), &one, heads, 0.2f, &alone, 1);
        assert_memory_equal(row.d, got.d + i * got.ld, (size_t)heads * (size_t)dh * sizeof(float));
        nn_seq both[2] = { { .n_rows = i, .span = { { 0, cells } }, .n_spans = 1, .first = 3, .kv = &two }, alone };
        both[1].row = i;
        nn_t beside = nn_attend(r, nn_rows(q, 0, i + 1), &one, heads, 0.2f, both, 2);
        assert_memory_equal(beside.d + i * beside.ld, row.d, (size_t)heads * (size_t)dh * sizeof(float));
    }
}

static void test_attend(void **state)
{
    struct kit *k = *state;
    attend_with(k, NN_F32, 24, 6, 2, 29, 20, 1e-5);
    attend_with(k, NN_F32, 7, 3, 3, 50, 31, 1e-5);
}

static void test_attend_bf16(void **state)
{
    struct kit *k = *state;
    attend_with(k, NN_BF16, 24, 6, 2, 29, 20, 1.5e-2); /* the weights are rounded, too */
    attend_with(k, NN_BF16, 64, 16, 16, 33, 300, 1.5e-2);
    attend_with(k, NN_BF16, 128, 8, 2, 1, 30, 1.5e-2);
    attend_with(k, NN_BF16, 130, 2, 1, 26, 2, 1.5e-2);
    attend_with(k, NN_BF16, 7, 3, 3, 50, 32, 1.5e-2);
}

/* Spans that end with an odd key: right, if not bit for bit what they were. */
static void test_attend_odd(void **state)
{
    struct kit *k = *state;
    nn_run *r = &k->run;
    nn_t q = random_matrix(k, 3, 32), key = random_matrix(k, 21, 32), v = random_matrix(k, 21, 32);
    nn_kv kv = nn_kv_new(r, NN_BF16, 2, 16, 64);
    nn_kv_put(r, &kv, 0, key, v); /* what is masked is finite, and not 0 */
    nn_kv_put(r, &kv, 32, key, v);
    nn_kv_put(r, &kv, 32, nn_rows(key, 5, 13), nn_rows(v, 5, 13));
    nn_kv_put(r, &kv, 48, nn_rows(key, 18, 3), nn_rows(v, 18, 3));
    nn_seq cut = { .n_rows = 3, .span = { { 0, 5 }, { 32, 13 }, { 48, 3 } }, .n_spans = 3, .first = -1 };
    nn_t got = nn_attend(r, q, &kv, 2, 0.25f, &cut, 1), want = attend_plainly(r, q, key, v, 2, 16, 0.25f, -1, NULL, 0);
    assert_true(distance(got, want) < 2e-2);
}

static void test_attend_by_distance(void **state)
{
    struct kit *k = *state;
    nn_run *r = &k->run;
    int n = 53, heads = 4, dh = 16, ld = 2 * n - 1;
    nn_t q = random_matrix(k, n, heads * dh), key = random_matrix(k, n, heads * dh), v = random_matrix(k, n, heads * dh), rel = random_matrix(k, heads, ld);
    nn_kv kv = nn_kv_new(r, NN_F32, heads, dh, 64);
    nn_kv_put(r, &kv, 0, key, v);
    nn_seq all = { .n_rows = n, .span = { { 0, n } }, .n_spans = 1, .first = -1, .rel = rel.d + n - 1, .rel_ld = ld };
    nn_t got = nn_attend(r, q, &kv, heads, 0.5f, &all, 1), want = attend_plainly(r, q, key, v, heads, dh, 0.5f, -1, all.rel, ld);
    assert_true(distance(got, want) < 1e-5);
    nn_t one = nn_attend(r, nn_rows(q, 0, 1), &kv, heads, 0.5f, &(nn_seq){ .n_rows = 1, .span = { { 0, n } }, .n_spans = 1, .first = -1, .rel = all.rel, .rel_ld = ld }, 1);
    assert_memory_equal(one.d, got.d, (size_t)heads * (size_t)dh * sizeof(float));
}

static void test_sampling(void **state)
{
    (void)state;
    char *folder = test_data("sampling"), *file = m8_join_path(folder, "cases.json"), *tensors = m8_join_path(folder, "expected.safetensors");
    m8__weights *w;
    m8_error err = {0};
    assert_int_equal(m8__weights_open(&w, tensors, &err), M8_OK);
    json_t *cases = json_load_file(file, 0, NULL);
    assert_true(json_array_size(cases) > 5);
    float logits[1000], probs[1000], scratch[2000], seen_f[64];
    int seen[64];
    const m8__tensor *ts = m8__weights_find(w, "seen");
    assert_true(ts && ts->n <= 64);
    m8__dequant(seen_f, ts, 0, 1);
    for (int i = 0; i < ts->n; i++) seen[i] = (int)seen_f[i];
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *c = json_array_get(cases, i);
        nn_sampling s = { .temperature = (float)json_number_value(json_object_get(c, "temperature")),
                          .top_k = (int)json_integer_value(json_object_get(c, "top_k")),
                          .top_p = (float)json_number_value(json_object_get(c, "top_p")),
                          .min_p = (float)json_number_value(json_object_get(c, "min_p")),
                          .repetition_penalty = (float)json_number_value(json_object_get(c, "repetition_penalty")) };
        m8__dequant(logits, m8__weights_find(w, "logits"), 0, 1);
        m8__dequant(probs, m8__weights_find(w, json_string_value(json_object_get(c, "tensor"))), 0, 1);
        nn_sample_probs(logits, 1000, &s, seen, (int)ts->n, 0, scratch);
        for (int j = 0; j < 1000; j++) {
            if (!(fabsf(logits[j] - probs[j]) <= 1e-6f)) fail_msg("case %zu, id %d: %g, expected %g", i, j, (double)logits[j], (double)probs[j]);
        }
    }
    json_decref(cases);
    m8__weights_close(w);
    m8_free(folder), m8_free(file), m8_free(tensors);
}

static void test_draw(void **state)
{
    (void)state;
    float p[4] = { 0.1f, 0, 0.6f, 0.3f };
    int count[4] = {0};
    nn_rng g;
    nn_rng_seed(&g, 1);
    for (int i = 0; i < 20000; i++) count[nn_sample_draw(p, 4, &g)]++;
    assert_int_equal(count[1], 0);
    assert_in_range(count[0], 1800, 2200);
    assert_in_range(count[2], 11700, 12300);
    float none[3] = { NAN, -INFINITY, NAN };
    assert_in_range(nn_argmax(none, 3), 0, 2); /* a broken model gives an id, not a crash */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_linear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attend, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attend_bf16, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attend_odd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attend_by_distance, setup, teardown),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_draw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
