/* A real Piper voice (en_US-joe-medium) against ONNX Runtime's numbers (tests/data/vits-real), and what must hold of any voice:
 * sound in windows equals the whole, with any number of threads; a damaged voice or a hostile call is an error. */
#include "models/vits.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *voice, *goldens;

static m8_model *open_voice(int threads, m8_precision precision)
{
    m8_error err = { 0 };
    m8_model *m = NULL;
    m8_status st = m8_open(&m, voice, &(m8_open_opts){ .n_threads = threads, .precision = precision }, &err);
    if (st == M8_E_UNSUPPORTED) skip();
    if (st) fail_msg("%s", err.text);
    return m;
}

static void print_line(void *user, const char *tensor, double diff, double tolerance)
{
    int *n = user;
    if (!(diff <= tolerance)) fail_msg("%s: off by %g, tolerance %g", tensor, diff, tolerance);
    (*n)++;
}

static void as_the_original(void **state)
{
    m8_error err = { 0 };
    m8_model *m = open_voice(2, M8_F32);
    int n = 0;
    if (m8_verify(m, goldens, print_line, &n, &err)) fail_msg("%s", err.text);
    assert_int_equal(n, 30); /* every tensor of the five cases but three inside the flow and the generator */
    assert_string_equal(m8_model_family(m), "vits");
    assert_int_equal(m8_speak_rate(m), 22050);
    m8_close(m);
}

/* Every window of frames by itself, of any size, is the whole's part, bit for bit: flow and generator. */
static void windows_are_the_whole(void **state)
{
    static const int ids[] = { 1, 0, 74, 0, 92, 0, 3, 0, 74, 0, 38, 0, 3, 0, 17, 0, 128, 0, 31, 0, 120, 0, 14, 0, 74, 0, 17, 0, 10, 0, 2 };
    static const m8_precision precisions[] = { M8_F32, M8_FAST };
    for (int p = 0; p < 2; p++) {
        m8_model *m = open_voice(2, precisions[p]);
        const struct vits *v = m->impl;
        nn_run *r = m8__vits_take_run(m, NULL);
        struct vits_noise noise = { .scale = 0.667f, .w = 0.8f, .seed = 3 };
        struct vits_plan plan;
        assert_int_equal(m8__vits_plan(r, v, ids, sizeof ids / sizeof *ids, 2, &noise, NULL, &plan), M8_OK);
        nn_t z = m8__vits_latent(r, v, &plan, &noise, 0, plan.n_frames), whole = m8__vits_decode(r, v, &plan, z, 0, 0, plan.n_frames);
        assert_int_equal(r->status, M8_OK);
        for (int from = 0, n = 1; from < plan.n_frames; from += n, n = n * 2 + 1) {
            int first, end;
            if (n > plan.n_frames - from) n = plan.n_frames - from;
            m8__vits_context(v, plan.n_frames, from, n, &first, &end);
            assert_true(from - first <= 12 && end - (from + n) <= 12);
            nn_t part = m8__vits_latent(r, v, &plan, &noise, first, end - first);
            nn_t sound = m8__vits_decode(r, v, &plan, part, first, from, n);
            assert_int_equal(part.n, end - first);
            for (int i = 0; i < part.n; i++) assert_memory_equal(part.d + (ptrdiff_t)i * part.ld, z.d + (ptrdiff_t)(first + i) * z.ld, (size_t)z.c * sizeof *z.d);
            assert_memory_equal(sound.d, whole.d + (size_t)from * v->hop, (size_t)n * v->hop * sizeof *sound.d);
        }
        m8__vits_return_run(m, r);
        m8_close(m);
    }
}

struct heard {
    float *x;
    size_t n, pushes, first, stop_after;
};

static m8_status hear(void *user, const float *x, size_t n)
{
    struct heard *h = user;
    h->x = realloc(h->x, (h->n + n) * sizeof *x);
    memcpy(h->x + h->n, x, n * sizeof *x);
    h->n += n;
    if (!h->pushes++) h->first = n;
    return h->pushes == h->stop_after ? M8_E_CANCELLED : M8_OK;
}

static struct heard say(m8_model *m, const char *text, const m8_speak_opts *opts)
{
    struct heard h = { 0 };
    m8_error err = { 0 };
    if (m8_speak(m, text, opts, (m8_pcm_sink){ hear, &h }, &err)) fail_msg("%s", err.text);
    return h;
}

static const char text[] = "A dog is ready for you, but are you ready for the dog? It is decidedly so.";

static void same_with_any_threads(void **state)
{
    m8_model *one = open_voice(1, M8_FAST), *two = open_voice(2, M8_FAST);
    struct heard a = say(one, text, NULL), b = say(two, text, NULL), c = say(two, text, &(m8_speak_opts){ .seed = 7 });
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.x, b.x, a.n * sizeof *a.x);
    assert_true(c.n != a.n || memcmp(c.x, a.x, a.n * sizeof *a.x) != 0);
    assert_true(a.n > 3 * 22050 && a.n < 8 * 22050);
    assert_true(a.pushes > 5 && a.first <= 16 * 256);
    float peak = 0;
    for (size_t i = 0; i < a.n; i++) peak = fmaxf(peak, fabsf(a.x[i]));
    assert_true(peak > 0.5f && peak <= 1);
    free(a.x);
    free(b.x);
    free(c.x);
    m8_close(one);
    m8_close(two);
}

static void options(void **state)
{
    m8_model *m = open_voice(2, M8_FAST);
    m8_error err = { 0 };
    struct heard none = { 0 };
    m8_pcm_sink out = { hear, &none };
    m8_speak_opts still = { .noise_scale = -1, .noise_w = -1 }, slow = { .noise_scale = -1, .noise_w = -1, .length_scale = 2 };
    struct heard a = say(m, "Yes.", &still), b = say(m, "Yes.", &slow);
    assert_int_equal(a.n, 13568); /* case2 of the goldens */
    assert_true(b.n > a.n * 17 / 10 && b.n <= 2 * a.n);
    assert_int_equal(m8_speak(m, "Yes.", &(m8_speak_opts){ .speaker = 1 }, out, &err), M8_E_ARG);
    assert_int_equal(m8_speak(m, "Yes.", &(m8_speak_opts){ .length_scale = NAN }, out, NULL), M8_E_ARG);
    assert_int_equal(m8_speak(m, "Yes.", &(m8_speak_opts){ .length_scale = -1 }, out, NULL), M8_E_ARG);
    assert_int_equal(m8_speak(m, "Yes.", &(m8_speak_opts){ .noise_w = INFINITY }, out, NULL), M8_E_ARG);
    assert_int_equal(m8_speak(m, " ... ", NULL, out, NULL), M8_E_ARG);
    char *big = malloc(10002);
    memset(big, 'a', 10001);
    big[10001] = 0;
    assert_int_equal(m8_speak(m, big, NULL, out, NULL), M8_E_LIMIT);
    free(big);
    assert_int_equal(none.n, 0);
    none.stop_after = 2;
    assert_int_equal(m8_speak(m, text, NULL, out, NULL), M8_E_CANCELLED);
    assert_int_equal(none.pushes, 2);
    free(a.x);
    free(b.x);
    free(none.x);
    m8_close(m);
}

int main(void)
{
    const char *data = getenv("MAGIC8_TEST_DATA"), *models = getenv("MAGIC8_TEST_MODELS");
    if (data) goldens = m8_join_path(data, "vits-real/expected.safetensors");
    if (models) voice = m8_join_path(models, "en_US-joe-medium.onnx");
    if (!goldens || !voice || !m8_is_file(voice)) {
        puts("no en_US-joe-medium.onnx in MAGIC8_TEST_MODELS");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_original), cmocka_unit_test(windows_are_the_whole),
        cmocka_unit_test(same_with_any_threads), cmocka_unit_test(options),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    m8_free(goldens);
    m8_free(voice);
    return failed;
}
