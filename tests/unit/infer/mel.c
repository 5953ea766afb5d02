/* The log-mel spectrogram beside openai-whisper's, and the Fourier transform beside its definition. */
#include "nn/fft.h"
#include "nn/mel.h"
#include "whisper_help.h"

static m8__weights *goldens;

static void test_fft(void **state)
{
    static const int sizes[] = { 4, 10, 16, 40, 400, 500, 512 };
    uint32_t seed = 1;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int n = sizes[k];
        nn_fft *f = nn_fft_new(n);
        assert_non_null(f);
        float *x = malloc((size_t)n * NN_LANES * sizeof *x), *copy = malloc((size_t)n * NN_LANES * sizeof *x);
        float *scratch = malloc((size_t)n * NN_LANES * sizeof *x), *power = malloc(((size_t)n / 2 + 1) * NN_LANES * sizeof *x);
        for (int i = 0; i < n * NN_LANES; i++) copy[i] = x[i] = (float)((seed = seed * 1664525 + 1013904223) >> 8) / (1 << 23) - 1;
        nn_fft_power(f, power, x, scratch);
        for (int bin = 0; bin <= n / 2; bin++) {
            for (int l = 0; l < NN_LANES; l++) {
                double re = 0, im = 0;
                for (int t = 0; t < n; t++) {
                    re += copy[t * NN_LANES + l] * cos(2 * M_PI * bin * t / n);
                    im -= copy[t * NN_LANES + l] * sin(2 * M_PI * bin * t / n);
                }
                double want = sqrt(re * re + im * im), have = sqrt(power[bin * NN_LANES + l]);
                if (fabs(want - have) > 1e-6 * n) fail_msg("n %d, bin %d: %g, expected %g", n, bin, have, want);
            }
        }
        free(x), free(copy), free(scratch), free(power);
        m8_free(f);
    }
    assert_null(nn_fft_new(14));
    assert_null(nn_fft_new(7));
    assert_null(nn_fft_new(0));
    assert_null(nn_fft_new(-400));
}

static void test_filters(void **state)
{
    const m8__tensor *t = tensor_of(goldens, "mel_filters");
    check_shape(t, DT_F32, 2, 80, NN_MEL_BINS, 1);
    nn_mel *m = nn_mel_new(80);
    for (int i = 0; i < 80; i++) {
        float row[NN_MEL_BINS];
        m8__dequant(row, t, i, 1);
        for (int k = 0; k < NN_MEL_BINS; k++) {
            float have = nn_mel_filter(m, i, k);
            if (fabsf(have - row[k]) > 1e-8f) fail_msg("filter %d, bin %d: %g, expected %g", i, k, have, row[k]);
        }
    }
    nn_mel_free(m);
    m = nn_mel_new(128);
    nn_mel_free(m);
    assert_null(nn_mel_new(0));
    assert_null(nn_mel_new(257));
}

/* Frames [0, n_frames) of want [80, columns] beside ours. */
static void check_mel(const float *x, size_t n, const m8__tensor *want, int n_frames, int n_threads)
{
    nn_mel *m = nn_mel_new(80);
    m8_pool *pool;
    assert_int_equal(m8_pool_new(&pool, n_threads, NULL), M8_OK);
    float *out = malloc((size_t)n_frames * 80 * sizeof *out), *row = malloc((size_t)want->dims[1] * sizeof *row), max = -10;
    double t0 = m8_now_s();
    assert_int_equal(nn_mel_log(m, pool, out, &max, x, n, 0, n_frames), M8_OK);
    nn_mel_normalise(out, (size_t)n_frames * 80, max);
    double took = m8_now_s() - t0, most = 0;
    for (int b = 0; b < 80; b++) {
        m8__dequant(row, want, b, 1);
        for (int i = 0; i < n_frames; i++) most = fmax(most, fabs((double)row[i] - out[i * 80 + b]));
    }
    print_message("%d frames, %d threads: largest difference %.2g, %.2f us a frame\n", n_frames, n_threads, most, took * 1e6 / n_frames);
    assert_true(most <= 2e-5);
    free(out), free(row);
    m8_pool_free(pool);
    nn_mel_free(m);
}

static void test_speech(void **state)
{
    size_t n;
    float *x = load_wav(data_path("audio/jfk.wav"), &n);
    assert_int_equal(n, 176000);
    check_mel(x, n, tensor_of(goldens, "jfk.mel"), 3000, 1);
    check_mel(x, n, tensor_of(goldens, "jfk.mel"), 3000, 2);
    m8_free(x);
}

static void test_tone(void **state)
{
    const m8__tensor *t = tensor_of(goldens, "tone.audio");
    float *x = malloc((size_t)t->n * sizeof *x);
    m8__dequant(x, t, 0, 1);
    /* the last two frames reach behind the sound: reflected there, silence here */
    check_mel(x, (size_t)t->n, tensor_of(goldens, "tone.mel_whole"), 98, 1);
    free(x);
}

static void test_hostile(void **state)
{
    nn_mel *m = nn_mel_new(80);
    float bad[] = { NAN, INFINITY, -INFINITY, 1e38f, -1e38f }, out[3 * 80], max = -10;
    assert_int_equal(nn_mel_log(m, NULL, out, &max, bad, 5, 0, 3), M8_OK);
    for (int i = 0; i < 240; i++) assert_true(isfinite(out[i]));
    max = -10;
    assert_int_equal(nn_mel_log(m, NULL, out, &max, NULL, 0, 0, 3), M8_OK);
    for (int i = 0; i < 240; i++) assert_true(out[i] == -10);
    assert_int_equal(nn_mel_log(m, NULL, NULL, &max, bad, 5, 0, 0), M8_OK);
    nn_mel_free(m);
}

int main(void)
{
    goldens = open_ok(data_path("whisper-real/mel.safetensors"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fft),    cmocka_unit_test(test_filters), cmocka_unit_test(test_speech),
        cmocka_unit_test(test_tone),   cmocka_unit_test(test_hostile),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    m8__weights_close(goldens);
    return failed;
}
