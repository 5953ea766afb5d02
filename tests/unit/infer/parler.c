/* Parler-TTS beside its original, in both layouts; steps alone and in company; and models that are not as they should be. */
#include "models/parler.h"
#include "parler_tiny.h"
#include "torture.h"
#include <math.h>
#include <unistd.h>

/* ---- goldens */

struct verdict {
    int n, over;
};

static void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct verdict *v = user;
    v->n++;
    if (diff <= tolerance) return;
    v->over++;
    print_error("%s: %g, more than %g\n", tensor, diff, tolerance);
}

static void goldens_of(const char *folder, int least)
{
    struct verdict v = {0};
    m8_error err = {0};
    m8_model *m = NULL;
    char *dir = test_data(folder), *expected = m8_join_path(dir, "expected.safetensors");
    if (m8_open(&m, dir, &(m8_open_opts){ .n_threads = 2, .precision = M8_F32 }, &err)) fail_msg("%s", err.text);
    if (m8_verify(m, expected, report, &v, &err)) fail_msg("%s", err.text);
    assert_int_equal(v.over, 0);
    assert_true(v.n >= least);
    m8_close(m);
    m8_free(dir), m8_free(expected);
}

static void test_goldens(void **state)
{
    (void)state;
    goldens_of("parler-tiny", 40);
    goldens_of("parler-tiny-rope", 20);
}

/* ---- steps */

struct speaker {
    struct parler_cross *cross;
    struct parler_seq *seq;
    int prompt[12], n_prompt, column[PARLER_MOST_Q], n, seed;
    float *logits; /* of the steps so far */
};

enum { STEPS = 9 };

static void begin(struct speaker *s, m8_model *m, nn_run *r, int seed)
{
    const struct parler *p = m->impl;
    int description[20], n = 5 + seed % 11;
    *s = (struct speaker){ .n_prompt = 1 + seed % 12, .seed = seed };
    for (int i = 0; i < n; i++) description[i] = (seed * 7 + i * 13) % p->t5.n_vocab;
    for (int i = 0; i < s->n_prompt; i++) s->prompt[i] = (seed * 5 + i * 17) % p->n_prompt_vocab;
    assert_int_equal(m8__parler_cross_new(&s->cross, r, p, description, n, s->prompt, s->n_prompt, NULL), M8_OK);
    assert_int_equal(m8__parler_seq_new(&s->seq, p, s->cross, s->n_prompt + STEPS, NULL), M8_OK);
    s->logits = malloc((size_t)(STEPS * p->n_q * p->vocab) * sizeof *s->logits);
}

static void end(struct speaker *s)
{
    m8__parler_seq_free(s->seq);
    m8__parler_cross_free(s->cross);
    free(s->logits);
}

/* The next step of some speakers together; each goes its own way by its own seed. */
static void step(struct speaker *const *who, int n, m8_model *m, nn_run *r)
{
    const struct parler *p = m->impl;
    struct parler_step steps[8];
    for (int i = 0; i < n; i++) {
        struct speaker *s = who[i];
        for (int k = 0; k < p->n_q; k++) s->column[k] = s->n ? (s->seed + s->n * 11 + k * 5) % p->n_codes : p->bos;
        steps[i] = (struct parler_step){ s->seq, s->prompt, s->n ? 0 : s->n_prompt, s->column };
    }
    nn_reset(r);
    nn_t x = m8__parler_step(r, p, steps, n, NULL, NULL);
    assert_int_equal(r->status, M8_OK);
    assert_int_equal(x.n, n * p->n_q);
    size_t each = (size_t)(p->n_q * p->vocab);
    for (int i = 0; i < n; i++) {
        struct speaker *s = who[i];
        memcpy(s->logits + (size_t)s->n * each, x.d + (size_t)i * each, each * sizeof *x.d);
        s->n++;
        assert_int_equal(m8__parler_seq_n(s->seq), (p->prompt_cross ? 0 : s->n_prompt) + s->n);
    }
}

/* Alone with one thread; then together with two, who come and go: the same bits. */
static void company_of(const char *folder, m8_precision precision)
{
    enum { N = 4 };
    char *dir = test_data(folder);
    struct speaker alone[N], together[N], *all[N];
    m8_model *m[2];
    nn_run r[2];
    for (int t = 0; t < 2; t++) {
        assert_int_equal(m8_open(&m[t], dir, &(m8_open_opts){ t + 1, precision }, NULL), M8_OK);
        assert_int_equal(nn_run_init(&r[t], m[t]->pool, NULL), M8_OK);
    }
    for (int i = 0; i < N; i++) {
        begin(&alone[i], m[0], &r[0], 3 + 5 * i);
        for (int s = 0; s < STEPS; s++) step((struct speaker *[]){ &alone[i] }, 1, m[0], &r[0]);
        begin(&together[i], m[1], &r[1], 3 + 5 * i);
    }
    for (int turn = 0; turn < STEPS + N; turn++) { /* speaker i comes at turn i */
        int n = 0;
        for (int i = 0; i < N; i++) {
            if (turn >= i && together[i].n < STEPS) all[n++] = &together[i];
        }
        if (n) step(all, n, m[1], &r[1]);
    }
    size_t each = (size_t)((struct parler *)m[0]->impl)->n_q * (size_t)((struct parler *)m[0]->impl)->vocab;
    for (int i = 0; i < N; i++) {
        assert_memory_equal(together[i].logits, alone[i].logits, STEPS * each * sizeof(float));
        end(&alone[i]);
        end(&together[i]);
    }
    for (int t = 0; t < 2; t++) {
        nn_run_finish(&r[t]);
        m8_close(m[t]);
    }
    m8_free(dir);
}

static void test_company(void **state)
{
    (void)state;
    company_of("parler-tiny", M8_FAST);
    company_of("parler-tiny", M8_F32);
    company_of("parler-tiny-rope", M8_FAST);
    company_of("parler-tiny-rope", M8_F32);
}

/* What is fast is not far from float32. */
static void test_fast(void **state)
{
    (void)state;
    char *dir = test_data("parler-tiny");
    struct speaker s[2];
    double noise = 0, all = 0;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        m8_model *m;
        nn_run r;
        assert_int_equal(m8_open(&m, dir, &(m8_open_opts){ 2, i ? M8_FAST : M8_F32 }, NULL), M8_OK);
        assert_int_equal(nn_run_init(&r, m->pool, NULL), M8_OK);
        begin(&s[i], m, &r, 4);
        for (int k = 0; k < STEPS; k++) step((struct speaker *[]){ &s[i] }, 1, m, &r);
        n = (size_t)STEPS * (size_t)((struct parler *)m->impl)->n_q * (size_t)((struct parler *)m->impl)->vocab;
        nn_run_finish(&r);
        m8_close(m);
    }
    for (size_t i = 0; i < n; i++) {
        noise += pow((double)s[0].logits[i] - (double)s[1].logits[i], 2);
        all += pow((double)s[0].logits[i], 2);
    }
    print_message("signal to noise of M8_FAST: %.1f dB\n", 10 * log10(all / noise));
    assert_true(noise < all * 1e-3);
    end(&s[0]), end(&s[1]);
    m8_free(dir);
}

/* ---- limits: ids that are none, more positions than there are */

static void test_limits(void **state)
{
    (void)state;
    for (int newer = 0; newer < 2; newer++) {
        m8_model *m;
        nn_run r;
        tiny_make(newer);
        tiny_write(newer, &(struct tiny_damage){0});
        assert_int_equal(m8_open(&m, tiny_dir, &(m8_open_opts){ .n_threads = 2 }, NULL), M8_OK);
        assert_int_equal(m8_speak_rate(m), 16000);
        assert_int_equal(nn_run_init(&r, m->pool, NULL), M8_OK);
        const struct parler *p = m->impl;
        struct parler_cross *c = NULL;
        struct parler_seq *s = NULL;
        int ids[TINY_POS + 1] = {0}, column[TINY_Q] = { TINY_BOS, TINY_BOS, TINY_BOS };
        for (int bad = 0; bad < 5; bad++) {
            m8_error err = {0};
            int n = bad == 0 ? 0 : bad == 1 ? TINY_POS + 1 : 3, more = bad == 4 ? TINY_POS + 1 : 2;
            ids[1] = bad == 2 ? -1 : bad == 3 ? TINY_WORDS : 0;
            m8_status st = m8__parler_cross_new(&c, &r, p, ids, n, ids, more, &err);
            if (bad == 4 && !newer) { /* the prompt goes elsewhere */
                assert_int_equal(st, M8_OK);
                m8__parler_cross_free(c);
                continue;
            }
            assert_true(st == (bad == 1 || bad == 4 ? M8_E_LIMIT : M8_E_ARG) && err.text[0] && !c);
        }
        ids[1] = 0;
        assert_int_equal(m8__parler_cross_new(&c, &r, p, ids, TINY_POS, ids, TINY_POS, NULL), M8_OK);
        assert_int_equal(m8__parler_seq_new(&s, p, c, TINY_POS + 1, NULL), M8_E_LIMIT);
        assert_int_equal(m8__parler_seq_new(&s, p, c, 0, NULL), M8_E_LIMIT);
        assert_int_equal(m8__parler_seq_new(&s, p, c, 12, NULL), M8_OK);
        struct parler_step st = { s, ids, 12, column };
        for (int bad = 0; bad < 4; bad++) {
            nn_reset(&r);
            st.n_prompt = newer ? 0 : bad == 0 ? 12 : 3;
            ids[2] = bad == 1 ? TINY_PROMPTS : 0;
            column[1] = bad == 2 ? -1 : bad == 3 ? TINY_VOCAB + 1 : TINY_VOCAB;
            if (newer && bad < 2) continue;
            assert_null(m8__parler_step(&r, p, &st, 1, NULL, NULL).d);
            assert_int_equal(r.status, bad ? M8_E_ARG : M8_E_LIMIT);
            assert_int_equal(m8__parler_seq_n(s), 0);
        }
        st.n_prompt = newer ? 0 : 11;
        column[1] = TINY_VOCAB;
        for (int i = 0; i < 13; i++) { /* to the last position of the cache, no further */
            bool fits = newer ? i < 12 : i < 1;
            nn_reset(&r);
            nn_t x = m8__parler_step(&r, p, &st, 1, NULL, NULL);
            assert_int_equal(r.status, fits ? M8_OK : M8_E_LIMIT);
            for (int k = 0; k < x.n * x.c; k++) assert_true(isfinite(x.d[k]));
            st.n_prompt = 0;
        }
        m8__parler_seq_free(s);
        m8__parler_cross_free(c);
        nn_run_finish(&r);
        m8_close(m);
    }
}

/* ---- files that lie */

/* Open, describe, two steps. */
static m8_status open_and_step(void *arg, m8_error *err)
{
    static const int description[] = { 4, 9, 1 }, prompt[] = { 3, 7, 1 };
    int column[PARLER_MOST_Q];
    m8_precision *precision = arg;
    m8_model *m = NULL;
    struct parler_cross *c = NULL;
    struct parler_seq *s = NULL;
    nn_run r = {0};
    m8_status st = m8_open(&m, tiny_dir, &(m8_open_opts){ .n_threads = 1, .precision = *precision }, err);
    const struct parler *p = st ? NULL : m->impl;
    if (!st) st = nn_run_init(&r, m->pool, err);
    if (!st) st = m8__parler_cross_new(&c, &r, p, description, 3, prompt, 3, err);
    if (!st) st = m8__parler_seq_new(&s, p, c, 8, err);
    for (int i = 0; i < 2 && !st; i++) {
        nn_reset(&r);
        for (int k = 0; k < p->n_q; k++) column[k] = i ? k % p->n_codes : p->bos;
        m8__parler_step(&r, p, &(struct parler_step){ s, prompt, i ? 0 : 3, column }, 1, NULL, NULL);
        if (r.status) st = m8_fail(err, r.status, "a step");
    }
    m8__parler_seq_free(s);
    m8__parler_cross_free(c);
    if (r.arena) nn_run_finish(&r);
    m8_close(m);
    return st;
}

static m8_precision fast = M8_FAST, exact = M8_F32;

/* Each tensor missing, longer or shorter in each dimension: one line that says so, or a model of other sizes. */
static void test_shapes(void **state)
{
    (void)state;
    int refused = 0;
    for (int newer = 0; newer < 2; newer++) {
        tiny_make(newer);
        for (int i = 1; i <= n_tiny; i++) {
            if (!strncmp(tiny[i - 1].name, "audio_encoder", 13) && i % 16) continue; /* the codec's test has them all */
            for (int way = -1; way < 2 * tiny[i - 1].n_dims; way++) {
                m8_error err = {0};
                struct tiny_damage d = { .missing = way < 0 ? i : 0, .wrong = way < 0 ? 0 : i, .which = way / 2, .by = way % 2 ? 1 : -1 };
                tiny_write(newer, &d);
                m8_status st = open_and_step(&fast, &err);
                if (!st) {
                    print_message("%s, way %d: still a model\n", tiny[i - 1].name, way);
                    continue;
                }
                refused++;
                if ((st != M8_E_FORMAT && st != M8_E_UNSUPPORTED) || !err.text[0] || strchr(err.text, '\n')) {
                    fail_msg("%s, way %d: %d %s", tiny[i - 1].name, way, st, err.text);
                }
            }
        }
    }
    print_message("%d files refused\n", refused);
    assert_true(refused > 450);
}

static void test_configs(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } lies[] = {
        { "num_codebooks", "0" }, { "num_codebooks", "2" }, { "num_codebooks", "4" }, { "num_codebooks", "17" }, { "num_codebooks", "9e99" },
        { "num_codebooks", NULL }, { "num_codebooks", "\"3\"" }, { "vocab_size", "19" }, { "vocab_size", "21" }, { "vocab_size", "1" },
        { "vocab_size", "-20" }, { "vocab_size", "4294967316" }, { "hidden_size", "0" }, { "hidden_size", "31" }, { "hidden_size", "64" },
        { "hidden_size", "4294967328" }, { "num_attention_heads", "0" }, { "num_attention_heads", "3" }, { "num_attention_heads", "-4" },
        { "num_key_value_heads", "3" }, { "num_key_value_heads", "0" }, { "num_key_value_heads", "8" }, { "num_key_value_heads", "1" },
        { "num_cross_attention_key_value_heads", "0" }, { "num_cross_attention_key_value_heads", "3" }, { "ffn_dim", "0" }, { "ffn_dim", "63" },
        { "ffn_dim", "1000000000000" }, { "num_hidden_layers", "0" }, { "num_hidden_layers", "3" }, { "num_hidden_layers", "1000000" },
        { "max_position_embeddings", "0" }, { "max_position_embeddings", "41" }, { "max_position_embeddings", "2000000" },
        { "eos_token_id", "20" }, { "eos_token_id", "15" }, { "eos_token_id", "-1" }, { "activation_function", "\"relu\"" },
        { "scale_embedding", "true" },
    };
    for (int newer = 0; newer < 2; newer++) {
        tiny_make(newer);
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            m8_error err = {0};
            tiny_write(newer, &(struct tiny_damage){ .key = lies[i].key, .value = lies[i].value });
            m8_status st = open_and_step(&fast, &err);
            if (st != M8_E_FORMAT && st != M8_E_UNSUPPORTED) fail_msg("%d, %s %s: %d %s", newer, lies[i].key, lies[i].value, st, err.text);
            assert_true(err.text[0] && !strchr(err.text, '\n'));
        }
        static const char *const configs[] = { "{\"model_type\":\"parler_tts\"}", "{\"model_type\":\"parler_tts\",\"decoder\":[]}",
                                               "{\"model_type\":\"parler_tts\",\"decoder\":{}}", "[]", "{\"model_type\":1}" };
        for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
            m8_error err = {0};
            tiny_write(newer, &(struct tiny_damage){ .config = configs[i] });
            m8_status st = open_and_step(&fast, &err);
            assert_true(st == M8_E_FORMAT || st == M8_E_UNSUPPORTED);
        }
    }
}

/* Numbers that no model has: a step ends, whatever comes out. */
static void test_fills(void **state)
{
    (void)state;
    static const float fills[] = { NAN, INFINITY, -1e30f, 1e-40f };
    for (int newer = 0; newer < 2; newer++) {
        tiny_make(newer);
        for (int i = 1; i <= n_tiny; i++) {
            if (!strncmp(tiny[i - 1].name, "audio_encoder", 13)) continue;
            m8_error err = {0};
            tiny_write(newer, &(struct tiny_damage){ .filled = i, .fill = fills[i % 4] });
            if (open_and_step(i % 2 ? &fast : &exact, &err)) fail_msg("%s", err.text);
        }
    }
}

static void test_torture(void **state)
{
    (void)state;
    for (int newer = 0; newer < 2; newer++) {
        tiny_make(newer);
        tiny_write(newer, &(struct tiny_damage){0});
        torture(open_and_step, &fast);
    }
}

/* ---- expected tensors that lie */

static void ignore_report(void *user, const char *tensor, double diff, double tolerance)
{
    (void)user, (void)tensor, (void)diff, (void)tolerance;
}

static void test_verify(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "{}",
        "{\"description_ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"description_ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},\"prompt_ids\":{\"dtype\":\"I32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
        "{\"description_ids\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]},\"prompt_ids\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
        "{\"description_ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},\"prompt_ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[8,16]},"
        "\"prefill.cross\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},\"prefill.decoder.logits\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}}",
        "{\"x.raw\":{\"dtype\":\"I32\",\"shape\":[3,2],\"data_offsets\":[0,24]}}",
        "{\"x.raw\":{\"dtype\":\"I32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"x.raw\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[0,12]}}",
        "{\"a.description_ids\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]},\"prompt_ids\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[8,12]},"
        "\"a.raw\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[8,32]}}",
        "{\"a.description_ids\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]},\"prompt_ids\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[4,8]},"
        "\"a.raw\":{\"dtype\":\"I32\",\"shape\":[3,2],\"data_offsets\":[0,24]},\"a.codes\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]},"
        "\"a.audio\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]},\"a.logits_first8\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[32,32]}}",
    };
    m8_model *m;
    tiny_make(false);
    tiny_write(false, &(struct tiny_damage){0});
    assert_int_equal(m8_open(&m, tiny_dir, &(m8_open_opts){ .precision = M8_F32 }, NULL), M8_OK);
    char *path = m8_join_path(tiny_dir, "expected.safetensors");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        static const int32_t ids[6] = { 3, 1, 2, 5, 0, 4 };
        static const float bad[] = { NAN, 1e30f };
        m8_buf b = {0};
        m8_error err = {0};
        uint64_t len = strlen(heads[i]);
        m8_buf_add(&b, &len, sizeof len);
        m8_buf_str(&b, heads[i]);
        m8_buf_add(&b, ids, sizeof ids);
        m8_buf_add(&b, bad, sizeof bad);
        tiny_save("expected.safetensors", b.data, b.len);
        m8_buf_finish(&b);
        m8_status st = m8_verify(m, path, ignore_report, NULL, &err);
        print_message("%s\n", err.text);
        assert_true(st == M8_OK || err.text[0]);
    }
    m8_close(m);
    remove(path);
    m8_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens), cmocka_unit_test(test_company), cmocka_unit_test(test_fast), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_configs), cmocka_unit_test(test_fills), cmocka_unit_test(test_torture),
        cmocka_unit_test(test_verify),
    };
    if (!mkdtemp(tiny_dir)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tiny_remove();
    return failed;
}
