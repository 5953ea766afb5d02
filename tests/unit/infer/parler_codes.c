/* Columns of codes beside Parler-TTS (parler-tiny): from its logits the same raw ids, what is fed, the frames; and what holds of any logits. */
#include "models/parler.h"
#include "test.h"
#include "torture.h"
#include <math.h>
#include <string.h>

enum { Q = 9, VOCAB = 1088, EOS = 1024, BOS = 1025 };
static const struct parler sizes = { .n_q = Q, .vocab = VOCAB, .n_codes = 1024, .eos = EOS, .bos = BOS };

struct expected {
    const m8__weights *w;
    const char *name;
    int max_new, min_new;
};

static const m8__tensor *find(const struct expected *e, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", e->name, what);
    return m8__weights_find(e->w, name);
}

static int *ints(const struct expected *e, const char *what, int *rows, int *columns)
{
    const m8__tensor *t = find(e, what);
    assert_non_null(t);
    assert_int_equal(t->type, DT_I32);
    *rows = (int)t->dims[0];
    *columns = (int)t->dims[1];
    int *v = m8_malloc(t->size);
    memcpy(v, t->data, t->size);
    return v;
}

/* The logits of a step; where the goldens have only the likeliest id before the processors, that one, and behind it what was chosen. */
static void logits_of(float *logits, const struct expected *e, int q, int step, const int *argmax, const int *raw, int n)
{
    const m8__tensor *t = find(e, "logits");
    size_t floats = (size_t)q * VOCAB;
    if (t) {
        memcpy(logits, t->data + (size_t)step * floats * sizeof *logits, floats * sizeof *logits);
        return;
    }
    memset(logits, 0, floats * sizeof *logits);
    for (int k = 0; k < q; k++) {
        logits[k * VOCAB + raw[k * n + step + 1]] = 1;
        logits[k * VOCAB + argmax[step * q + k]] = 2;
    }
}

static void check_case(const struct expected *e)
{
    int n, q, steps, n_codes, n_masked, codes[Q], frames[64 * Q], n_frames = 0;
    int *raw = ints(e, "raw", &q, &n), *masked = ints(e, "masked", &q, &n_masked), *argmax = ints(e, "argmax", &steps, &q);
    int *want = ints(e, "codes", &q, &n_codes);
    assert_true(q <= Q && n_codes <= 64);
    struct parler m = sizes;
    m.n_q = q;
    float *logits = m8_malloc((size_t)q * VOCAB * sizeof *logits), *scratch = m8_malloc(2 * VOCAB * sizeof *scratch);
    struct parler_codes c;
    struct parler_sampling greedy = { 0 };
    assert_int_equal(steps, n - 1);
    assert_int_equal(m8__codes_init(&c, &m, e->max_new + 1, e->min_new, NULL), M8_OK);
    for (int step = 0; step < steps; step++) {
        assert_false(c.done);
        assert_int_equal(c.n, step + 1);
        m8__codes_input(&c, codes);
        for (int k = 0; k < q; k++) assert_int_equal(codes[k], masked[k * n_masked + step]);
        logits_of(logits, e, q, step, argmax, raw, n);
        m8__codes_push(&c, logits, &greedy, scratch);
        for (int k = 0; k < q; k++) assert_int_equal(c.raw[(step + 1) * q + k], raw[k * n + step + 1]);
        n_frames += m8__codes_frames(&c, frames + n_frames * q, 1 + step % 3); /* as they come, a few at a time */
    }
    assert_true(c.done);
    for (int more; (more = m8__codes_frames(&c, frames + n_frames * q, 2)) > 0;) n_frames += more;
    assert_int_equal(n_frames, n_codes);
    for (int i = 0; i < n_codes * q; i++) assert_int_equal(frames[i], want[i % q * n_codes + i / q]);
    m8__codes_finish(&c);
    m8_free(logits), m8_free(scratch), m8_free(raw), m8_free(masked), m8_free(argmax), m8_free(want);
}

static void as_the_original(void **state)
{
    static const struct expected cases[] = {
        { NULL, "greedy40", 40, 40 }, { NULL, "short12", 12, 12 }, { NULL, "eos", 100, 10 }, { NULL, "n17", 17, 17 }, { NULL, "other", 20, 20 },
    };
    static const char *const folders[] = { "parler-tiny", "parler-tiny-rope" };
    for (int f = 0; f < 2; f++) {
        char *dir = test_data(folders[f]), *path = m8_join_path(dir, "expected.safetensors");
        m8__weights *w;
        m8_error err = { 0 };
        if (m8__weights_open(&w, path, &err)) fail_msg("%s", err.text);
        for (int i = 0; i < (f ? 2 : 5); i++) {
            struct expected e = cases[i];
            e.w = w;
            check_case(&e);
        }
        m8__weights_close(w);
        m8_free(path), m8_free(dir);
    }
}

/* ---- any logits */

struct made {
    int n, *raw;
};

static void fill(float *logits, nn_rng *g, int kind)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY, 1e38f };
    for (int i = 0; i < Q * VOCAB; i++) logits[i] = kind > 0 && kind < 5 ? odd[kind - 1] : nn_rng_normal(g) * 3;
    for (int k = 0; k < Q; k++) {
        if (kind == 5) logits[k * VOCAB + EOS] = 100; /* the end at once, all together */
        if (kind == 6) logits[k * VOCAB + BOS + k] = 1e30f; /* ids that nobody has a row for */
    }
}

/* A whole call; frames as they come. */
static int run(struct parler_codes *c, struct parler_sampling *s, int kind, uint64_t seed)
{
    float *logits = m8_malloc(Q * VOCAB * sizeof *logits), *scratch = m8_malloc(2 * VOCAB * sizeof *scratch);
    int codes[4 * Q], n = 0, steps = 0;
    nn_rng g;
    nn_rng_seed(&g, seed);
    while (!c->done) {
        fill(logits, &g, kind);
        m8__codes_push(c, logits, s, scratch);
        assert_true(++steps < 200);
        int got = m8__codes_frames(c, codes, 4);
        for (int i = 0; i < got * Q; i++) assert_in_range(codes[i], 0, 1023);
        n += got;
    }
    for (int got; (got = m8__codes_frames(c, codes, 4)) > 0; n += got) {
        for (int i = 0; i < got * Q; i++) assert_in_range(codes[i], 0, 1023);
    }
    m8_free(logits), m8_free(scratch);
    return n;
}

static void any_logits(void **state)
{
    for (int kind = 0; kind < 7; kind++) {
        for (int way = 0; way < 4; way++) {
            struct parler_codes c;
            struct parler_sampling s = { .temperature = way & 1 ? 1 : 0, .top_k = way & 2 ? 50 : 0 };
            nn_rng_seed(&s.rng, 7);
            assert_int_equal(m8__codes_init(&c, &sizes, 101, 10, NULL), M8_OK);
            int n = run(&c, &s, kind, 1);
            for (int i = 1; i < c.n; i++) {
                for (int k = 0; k < Q; k++) {
                    int id = c.raw[i * Q + k], before = c.raw[(i - 1) * Q + k];
                    assert_true(id >= 0 && id <= EOS);
                    if (before == EOS) assert_int_equal(id, EOS);
                    if (id == EOS) assert_true(i > 10 && (!k || c.raw[(i - 1) * Q + k - 1] == EOS));
                }
            }
            if (kind == 5) assert_int_equal(c.n, 1 + 10 + Q); /* one codebook a step */
            else if (kind) assert_int_equal(c.n, 101); /* an end that never comes */
            if (kind == 5) assert_int_equal(n, 10);
            m8__codes_finish(&c);
        }
    }
}

/* The same seed gives the same ids; another one others. No more than top-k ids are ever drawn. */
static void seeds(void **state)
{
    struct parler_codes c[3];
    for (int i = 0; i < 3; i++) {
        struct parler_sampling s = { .temperature = 0.9f, .top_k = 5 };
        nn_rng_seed(&s.rng, i == 2 ? 43 : 42);
        assert_int_equal(m8__codes_init(&c[i], &sizes, 61, 60, NULL), M8_OK);
        run(&c[i], &s, 0, 9);
    }
    assert_memory_equal(c[0].raw, c[1].raw, 61 * Q * sizeof(int));
    assert_true(memcmp(c[0].raw, c[2].raw, 61 * Q * sizeof(int)) != 0);
    nn_rng g;
    nn_rng_seed(&g, 9);
    float *logits = m8_malloc(Q * VOCAB * sizeof *logits);
    for (int i = 1; i < 61; i++) {
        fill(logits, &g, 0);
        for (int k = 0; k < Q; k++) {
            int above = 0;
            for (int id = 0; id < EOS; id++) above += logits[k * VOCAB + id] > logits[k * VOCAB + c[0].raw[i * Q + k]];
            assert_true(above < 5);
        }
    }
    m8_free(logits);
    for (int i = 0; i < 3; i++) m8__codes_finish(&c[i]);
}

/* Ends of all lengths: the shortest, too, give frames of codes alone. */
static void lengths(void **state)
{
    for (int most = 1; most < 40; most++) {
        for (int ends = 0; ends < 2; ends++) {
            struct parler_codes c;
            struct parler_sampling s = { 0 };
            assert_int_equal(m8__codes_init(&c, &sizes, most, 0, NULL), M8_OK);
            int n = run(&c, &s, ends ? 5 : 0, 3);
            assert_true(c.n <= most && (ends || c.n == most));
            if (!ends) assert_int_equal(n, most >= 2 * Q - 1 ? most - Q : most - 1);
            m8__codes_finish(&c);
        }
    }
}

static m8_status make(void *arg, m8_error *err)
{
    struct parler_codes c;
    m8_status st = m8__codes_init(&c, &sizes, 30, 3, err);
    m8__codes_finish(&c);
    return st;
}

static void no_memory(void **state) { torture(make, NULL); }

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_the_original), cmocka_unit_test(any_logits), cmocka_unit_test(seeds),
                                        cmocka_unit_test(lengths), cmocka_unit_test(no_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
