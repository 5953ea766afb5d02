/* resample.c: exact lengths, no delay, little noise, the same samples however they are cut. */
#include "ffmpeg.h"
#include "sound.h"

static const int rates[] = {8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 384000, 8001, 47999};
enum { N_RATES = sizeof rates / sizeof *rates };

static void test_lengths(void **s)
{
    static const size_t counts[] = {0, 1, 2, 31, 100, 1000, 16001};
    float *x = calloc(16001, sizeof *x);
    for (int a = 0; a < N_RATES; a++) {
        for (int b = 0; b < N_RATES; b++) {
            for (int c = 0; c < 7; c++) {
                m8_pcm out;
                assert_int_equal(m8_resample(&out, x, counts[c], rates[a], rates[b], NULL), M8_OK);
                assert_int_equal(out.n_samples, ceil((double)counts[c] * rates[b] / rates[a]));
                assert_int_equal(out.rate, rates[b]);
                m8_pcm_finish(&out);
            }
        }
    }
    free(x);
}

/* A tone of 0.2 to 0.8 of the lower band must come out as that tone at the new rate, in the same place: a delay of a tenth
 * of a sample would already show as 10 dB less than asked. The ends, where the filter looks past the sound, are left out. */
static void test_tones(void **s)
{
    for (int a = 0; a < N_RATES; a++) {
        for (int b = 0; b < N_RATES; b++) {
            int low = rates[a] < rates[b] ? rates[a] : rates[b];
            for (int k = 1; k <= 4; k++) {
                double hz = 0.1 * k * low + 3.7;
                size_t n = (size_t)rates[a] / 10;
                float *x = malloc(n * sizeof *x);
                for (size_t i = 0; i < n; i++) x[i] = (float)(0.7 * sin(2 * PI * hz * (double)i / rates[a]));
                m8_pcm out;
                assert_int_equal(m8_resample(&out, x, n, rates[a], rates[b], NULL), M8_OK);
                double noise = 0, signal = 0;
                size_t edge = out.n_samples / 5;
                for (size_t i = edge; i < out.n_samples - edge; i++) {
                    double want = 0.7 * sin(2 * PI * hz * (double)i / rates[b]), d = out.samples[i] - want;
                    noise += d * d;
                    signal += want * want;
                }
                double snr = 10 * log10(signal / (noise + 1e-20));
                if (snr < 70) fail_msg("%d -> %d, %.1f Hz: %.1f dB", rates[a], rates[b], hz, snr);
                m8_pcm_finish(&out);
                free(x);
            }
        }
    }
}

/* What the lower rate cannot hold must not come back as another tone. */
static void test_no_alias(void **s)
{
    enum { N = 48000 };
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++) x[i] = (float)sin(2 * PI * 9500 * i / 48000.0);
    m8_pcm out;
    assert_int_equal(m8_resample(&out, x, N, 48000, 16000, NULL), M8_OK);
    double e = 0;
    for (size_t i = 1000; i < 15000; i++) e += (double)out.samples[i] * out.samples[i];
    assert_true(sqrt(e / 14000) < 1e-3); /* -60 dB */
    m8_pcm_finish(&out);
    free(x);
}

static m8_status collect(void *user, const float *x, size_t n)
{
    m8_buf_add(user, x, n * sizeof *x);
    return ((m8_buf *)user)->status;
}

static m8_buf in_pieces(const float *x, size_t n, size_t piece, int from, int to)
{
    m8_buf b = {0};
    m8_pcm_sink sink = {collect, &b};
    m8__resampler *r;
    assert_int_equal(m8__resampler_new(&r, from, to, NULL), M8_OK);
    for (size_t i = 0; i < n; i += piece)
        assert_int_equal(m8__resampler_push(r, x + i, n - i < piece ? n - i : piece, sink, NULL), M8_OK);
    assert_int_equal(m8__resampler_push(r, NULL, 0, sink, NULL), M8_OK);
    m8__resampler_free(r);
    return b;
}

static void test_pieces(void **s)
{
    static const int pairs[][2] = {{22050, 48000}, {48000, 16000}, {16000, 16000}, {44100, 16000}, {8000, 384000}, {8001, 48000}};
    static const size_t pieces[] = {1, 7, 1000, 4096, 5000};
    enum { N = 9000 };
    float *x = test_sound(N, 16000);
    for (int p = 0; p < 6; p++) {
        m8_buf all = in_pieces(x, N, N, pairs[p][0], pairs[p][1]);
        for (int k = 0; k < 5; k++) {
            m8_buf b = in_pieces(x, N, pieces[k], pairs[p][0], pairs[p][1]);
            assert_int_equal(b.len, all.len);
            if (memcmp(b.data, all.data, all.len)) fail_msg("%d -> %d in pieces of %zu", pairs[p][0], pairs[p][1], pieces[k]);
            m8_buf_finish(&b);
        }
        m8_buf_finish(&all);
    }
    free(x);
}

static void test_arguments(void **s)
{
    m8_pcm out;
    m8_error err = {0};
    float x = 0;
    assert_int_equal(m8_resample(&out, &x, 1, 0, 16000, &err), M8_E_ARG);
    assert_non_null(strstr(err.text, "0 Hz"));
    assert_int_equal(m8_resample(&out, &x, 1, 16000, -5, NULL), M8_E_ARG);
    assert_int_equal(m8_resample(&out, &x, 1, 16000, 2000000000, NULL), M8_E_ARG);
    assert_int_equal(m8_resample(&out, NULL, 1, 16000, 8000, NULL), M8_E_ARG);
    assert_int_equal(m8_resample(&out, &x, SIZE_MAX, 16000, 8000, NULL), M8_E_LIMIT);
    assert_null(out.samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_tones),     cmocka_unit_test(test_no_alias),
        cmocka_unit_test(test_pieces),  cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
