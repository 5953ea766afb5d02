/* Damaged recordings: every container cut at 500 places and with flipped bits gives a status, soon, and never a crash. */
#include "sound.h"

static const char *const files[] = {"alaw.wav", "bare.mp3", "moov-last.m4a", "phone.mp4", "recorder.mp4", "recorder.webm", "s24-stereo.wav",
                                    "speech.flac", "stereo-opus.ogg", "tagged.mp3", "vorbis.ogg", "vorbis.webm", "alac.m4a"};
enum { N_FILES = sizeof files / sizeof *files, CUTS = 500, FLIPS = 300 };

static double slowest;

static size_t decode(const char *what, const void *data, size_t n, m8_status *st)
{
    m8_error err = {0};
    m8_pcm out;
    double t = time_spent();
    *st = m8_audio_decode(&out, data, n, NULL, &err);
    t = time_spent() - t;
    if (t > slowest) slowest = t;
    if (t > 1) fail_msg("%s: %.1f s", what, t);
    if (*st != M8_OK && *st != M8_E_FORMAT && *st != M8_E_NOMEM) fail_msg("%s: %s", what, err.text);
    assert_int_equal(*st, err.status);
    size_t got = out.n_samples;
    for (size_t i = 0; i < got; i++) assert_true(out.samples[i] >= -1 && out.samples[i] <= 1);
    m8_pcm_finish(&out);
    return got;
}

/* The copy handed over is exactly as long as the cut, so that a sanitizer sees a read past it. */
static void test_cuts(void **s)
{
    for (int f = 0; f < N_FILES; f++) {
        m8_buf b = read_data(files[f]);
        for (int i = 1; i <= CUTS; i++) {
            size_t n = b.len * (size_t)i / (CUTS + 1);
            char *part = malloc(n + !n);
            memcpy(part, b.data, n);
            m8_status st;
            if (n) decode(files[f], part, n, &st);
            free(part);
        }
        m8_buf_finish(&b);
    }
    print_message("slowest: %.3f s\n", slowest);
}

static void test_flips(void **s)
{
    uint32_t seed = 7;
    for (int f = 0; f < N_FILES; f++) {
        m8_buf b = read_data(files[f]);
        char *bad = malloc(b.len);
        for (int i = 0; i < FLIPS; i++) {
            memcpy(bad, b.data, b.len);
            size_t reach = i % 2 ? b.len : b.len < 600 ? b.len : 600; /* half of them in the headers */
            for (int k = 0; k <= i % 5; k++) bad[next_random(&seed) % reach] ^= (char)(1u << next_random(&seed) % 8);
            m8_status st;
            decode(files[f], bad, b.len, &st);
        }
        free(bad);
        m8_buf_finish(&b);
    }
    print_message("slowest: %.3f s\n", slowest);
}

/* A recording that breaks off, as when a tab is closed, gives what was recorded: for the streamed kinds at any length. */
static void test_cut_recordings_play(void **s)
{
    static const char *const streamed[] = {"recorder.webm", "stereo-opus.ogg", "bare.mp3", "s24-stereo.wav", "recorder.mp4"};
    for (int f = 0; f < 5; f++) {
        m8_buf b = read_data(streamed[f]);
        m8_status st;
        size_t whole = decode(streamed[f], b.data, b.len, &st), last = 0;
        for (int tenth = 6; tenth <= 10; tenth++) {
            size_t got = decode(streamed[f], b.data, b.len * (size_t)tenth / 10, &st);
            if (st) fail_msg("%s cut at %d tenths: %s", streamed[f], tenth, m8_status_name(st));
            if (got < last || (strcmp(streamed[f], "recorder.mp4") && got < whole * (size_t)tenth / 20))
                fail_msg("%s cut at %d tenths: %zu of %zu samples", streamed[f], tenth, got, whole);
            last = got;
        }
        assert_int_equal(last, whole);
        m8_buf_finish(&b);
    }
}

/* Damage after the first second ends the sound there; before it, it is an error. */
static void test_where_damage_lies(void **s)
{
    m8_buf b = read_data("recorder.webm");
    m8_status st;
    size_t whole = decode("webm", b.data, b.len, &st);
    memset(b.data + b.len * 19 / 20, 0xFF, b.len / 40);
    size_t got = decode("webm", b.data, b.len, &st);
    assert_int_equal(st, M8_OK);
    assert_true(got >= 16000 && got <= whole);
    memset(b.data + 300, 0xFF, b.len - 300);
    decode("webm", b.data, b.len, &st);
    assert_int_equal(st, M8_E_FORMAT);
    m8_buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts), cmocka_unit_test(test_flips), cmocka_unit_test(test_cut_recordings_play),
        cmocka_unit_test(test_where_damage_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
