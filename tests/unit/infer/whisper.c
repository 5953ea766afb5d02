/* Whisper on its real weights beside openai-whisper: every tensor, token and text of the goldens in float32. */
#include "whisper_help.h"

static m8_model *models[2];
static const char *const names[] = { "tiny.en", "base" };
static json_t *facts;

static int n_checked, n_wrong;
static void report(void *user, const char *tensor, double max_diff, double tolerance)
{
    n_checked++;
    bool wrong = !(max_diff <= tolerance);
    n_wrong += wrong;
    print_message("%s %-30s %.3g (%.3g)%s\n", (const char *)user, tensor, max_diff, tolerance, wrong ? "  TOO FAR" : "");
}

static void test_verify(void **state)
{
    for (int i = 0; i < 2; i++) {
        char file[64];
        m8_error err = { 0 };
        if (!models[i]) continue;
        snprintf(file, sizeof file, "whisper-real/%s.safetensors", names[i]);
        n_checked = n_wrong = 0;
        if (m8_verify(models[i], data_path(file), report, (void *)(uintptr_t)names[i], &err)) fail_msg("%s", err.text);
        assert_true(n_checked >= 33);
        assert_int_equal(n_wrong, 0);
    }
}

static void check_transcript(int model, const char *golden, const float *x, size_t n, const m8_transcribe_opts *opts)
{
    const json_t *want = json_object_get(json_object_get(facts, names[model]), golden), *segments = json_object_get(want, "segments");
    struct heard h = { 0 };
    m8_error err = { 0 };
    m8_transcribe_info info;
    if (m8_transcribe(models[model], x, n, opts, (m8_segment_sink){ hear_segment, &h }, &info, &err)) fail_msg("%s", err.text);
    print_message("%s %s: mel %.3f s, encoder %.3f s, decoder %.3f s, %d windows\n", names[model], golden, info.mel_s, info.encode_s, info.decode_s,
                  info.n_windows);
    assert_string_equal(h.text.data ? h.text.data : "", json_string_value(json_object_get(want, "text")));
    assert_int_equal(h.n, json_array_size(segments));
    size_t at = 0;
    for (int i = 0; i < h.n; i++) {
        const json_t *s = json_array_get(segments, (size_t)i), *tokens = json_object_get(s, "tokens");
        assert_true(fabs(h.segments[i].start_s - json_number_value(json_object_get(s, "start"))) < 1e-6);
        assert_true(fabs(h.segments[i].end_s - json_number_value(json_object_get(s, "end"))) < 1e-6);
        assert_true(fabs(h.segments[i].avg_logprob - json_number_value(json_object_get(s, "avg_logprob"))) < 1e-3);
        assert_true(fabs(h.segments[i].no_speech_prob - json_number_value(json_object_get(s, "no_speech_prob"))) < 1e-3);
        assert_true(fabs(h.segments[i].compression_ratio - json_number_value(json_object_get(s, "compression_ratio"))) < 1e-6);
        for (size_t j = 0; j < json_array_size(tokens); j++, at++) {
            assert_true(at < h.tokens.n);
            assert_int_equal(h.tokens.data[at], json_integer_value(json_array_get(tokens, j)));
        }
    }
    assert_int_equal(at, h.tokens.n);
    forget(&h);
}

static void test_transcripts(void **state)
{
    size_t n, gap = 16000;
    float *jfk = load_wav(data_path("audio/jfk.wav"), &n);
    size_t n_long = 4 * n + 3 * gap;
    float *four = calloc(n_long, sizeof *four), *silence = calloc(160000, sizeof *silence);
    for (size_t i = 0; i < 4; i++) memcpy(four + i * (n + gap), jfk, n * sizeof *four);
    for (int i = 0; i < 2; i++) {
        if (!models[i]) continue;
        m8_transcribe_opts o = { .language = "en", .no_fallback = true, .no_gate = true };
        check_transcript(i, "transcribe_jfk", jfk, n, &o);
        check_transcript(i, "transcribe_silence10s", silence, 160000, &o);
        check_transcript(i, "transcribe_long", four, n_long, &o);
        o.no_condition = true;
        check_transcript(i, "transcribe_long_nocond", four, n_long, &o);
    }
    free(four);
    free(silence);
    m8_free(jfk);
}

/* The fast mode's thinned window gives the text of the whole one, and that of the float32 model. */
static void test_fast(void **state)
{
    static const struct {
        const char *file, *text;
    } said[] = {
        { "audio/jfk.wav", " And so my fellow Americans ask not what your country can do for you, ask what you can do for your country." },
        { "audio/today.wav", " Is today a good day to start something new?" },
    };
    m8_model *m = open_model("whisper-base", M8_FAST, 2);
    if (!m) skip();
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        size_t n;
        float *x = load_wav(data_path(said[i].file), &n);
        for (int full = 0; full < 2; full++) {
            struct heard h = { 0 };
            m8_error err = { 0 };
            m8_transcribe_info info;
            m8_transcribe_opts o = { .full_window = full };
            if (m8_transcribe(m, x, n, &o, (m8_segment_sink){ hear_segment, &h }, &info, &err)) fail_msg("%s", err.text);
            print_message("fast, %s: encoder %.3f s, decoder %.3f s\n", full ? "whole" : "thinned", info.encode_s, info.decode_s);
            assert_string_equal(h.text.data ? h.text.data : "", said[i].text);
            assert_string_equal(info.language, "en");
            assert_true(info.language_prob > 0.5);
            forget(&h);
        }
        m8_free(x);
    }
    m8_close(m);
}

int main(void)
{
    json_error_t why;
    facts = json_load_file(data_path("whisper-real/expected.json"), 0, &why);
    if (!facts) return 1;
    models[0] = open_model("whisper-tiny.en", M8_F32, 2);
    models[1] = open_model("whisper-base", M8_F32, 2);
    if (!models[0] && !models[1]) return 77;
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_verify), cmocka_unit_test(test_transcripts), cmocka_unit_test(test_fast) };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 2; i++) m8_close(models[i]);
    json_decref(facts);
    return failed;
}
