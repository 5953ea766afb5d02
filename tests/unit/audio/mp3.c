/* MP3 in pieces: the same frames and the same sound however it is cut; files one behind the other without the silence that encoders put around them. */
#include "torture.h"
#include "sound.h"

struct got {
    m8_buf frames, sound;
};

static m8_status take_sound(void *user, const float *x, size_t n) { return into_buf(user, x, n * sizeof *x); }

static m8_status decode_there(void *user, m8_pcm *out, const void *data, size_t n, int rate, m8_error *err)
{
    return m8_audio_decode(out, data, n, &(m8_decode_opts){ .rate = rate }, err);
}

static m8_mp3 *open_mp3(struct got *g, bool elsewhere)
{
    m8_mp3 *m;
    *g = (struct got){0};
    m8_mp3_opts o = { .frames = { into_buf, &g->frames }, .sound = { take_sound, &g->sound }, .decode = elsewhere ? decode_there : NULL };
    assert_int_equal(m8_mp3_open(&m, &o, NULL), M8_OK);
    return m;
}

static struct got decode(const char *data, size_t n, size_t piece, bool elsewhere, int *rate)
{
    struct got g;
    m8_mp3 *m = open_mp3(&g, elsewhere);
    for (size_t at = 0; at < n; at += piece) {
        m8_error err = {0};
        m8_status st = m8_mp3_push(m, data + at, n - at < piece ? n - at : piece, &err);
        if (st) fail_msg("at %zu of %zu: %s", at, n, err.text);
    }
    *rate = m8_mp3_rate(m);
    m8_mp3_close(m);
    return g;
}

static void free_got(struct got *g)
{
    m8_buf_finish(&g->frames);
    m8_buf_finish(&g->sound);
}

static const float *samples(const struct got *g, size_t *n)
{
    *n = g->sound.len / sizeof(float);
    return (const float *)(const void *)g->sound.data;
}

/* As FFmpeg decodes the whole file. */
static void test_as_ffmpeg(void **s)
{
    static const struct {
        const char *name;
        int rate;
    } files[] = { { "tagged.mp3", 44100 }, { "bare.mp3", 16000 } };
    for (size_t f = 0; f < 2; f++) {
        m8_buf file = read_data(files[f].name);
        m8_pcm want;
        assert_int_equal(m8_audio_decode(&want, file.data, file.len, &(m8_decode_opts){ .rate = -1 }, NULL), M8_OK);
        assert_int_equal(want.rate, files[f].rate); /* the sound's own */
        static const size_t pieces[] = { 100000, 1000, 417, 1 };
        for (size_t i = 0; i < 4; i++) {
            int rate;
            struct got g = decode(file.data, file.len, pieces[i], false, &rate);
            size_t n;
            const float *x = samples(&g, &n);
            assert_int_equal(rate, files[f].rate);
            if (n < want.n_samples || n > want.n_samples + 1152) fail_msg("%s by %zu: %zu samples, expected %zu", files[f].name, pieces[i], n, want.n_samples);
            for (size_t k = 0; k < want.n_samples; k++)
                if (fabsf(x[k] - want.samples[k]) > 1e-6f) fail_msg("%s by %zu: sample %zu is %g, expected %g", files[f].name, pieces[i], k, x[k], want.samples[k]);
            free_got(&g);
        }
        m8_pcm_finish(&want);
        m8_buf_finish(&file);
    }
}

static m8_buf make_mp3(const float *x, size_t n, int rate)
{
    m8_buf b = {0};
    m8_encoder *e;
    assert_int_equal(m8_encoder_open(&e, &(m8_encode_opts){ .format = M8_MP3, .rate = rate }, (m8_bytes_sink){ into_buf, &b }, NULL), M8_OK);
    assert_int_equal(m8_encoder_push(e, x, n, NULL), M8_OK);
    assert_int_equal(m8_encoder_finish(e, NULL), M8_OK);
    m8_encoder_close(e);
    return b;
}

/* Decoded elsewhere, chunk by chunk, it is the same sound: each leans on the frames before it. */
static void test_elsewhere(void **s)
{
    float *x = test_sound(3 * 22050, 22050);
    m8_buf mp3 = make_mp3(x, 3 * 22050, 22050);
    int rate;
    struct got one = decode(mp3.data, mp3.len, mp3.len, false, &rate);
    size_t n, m;
    const float *a = samples(&one, &n);
    static const size_t pieces[] = { 100000, 1600, 300 };
    for (size_t i = 0; i < 3; i++) {
        struct got two = decode(mp3.data, mp3.len, pieces[i], true, &rate);
        const float *b = samples(&two, &m);
        assert_int_equal(m, n);
        for (size_t k = 0; k < n; k++)
            if (fabsf(a[k] - b[k]) > 1e-5f) fail_msg("by %zu: sample %zu of %zu is %g, expected %g", pieces[i], k, n, b[k], a[k]);
        assert_int_equal(two.frames.len, mp3.len);
        assert_memory_equal(two.frames.data, mp3.data, mp3.len);
        free_got(&two);
    }
    free_got(&one);
    m8_buf_finish(&mp3);
    free(x);
}

/* The same file twice: the second begins where the first one's sound ended. */
static void test_files_in_a_row(void **s)
{
    m8_buf file = read_data("tagged.mp3"), both = {0};
    m8_buf_add(&both, file.data, file.len);
    m8_buf_add(&both, file.data, file.len);
    int rate;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        struct got one = decode(file.data, file.len, 5000, elsewhere, &rate), two = decode(both.data, both.len, 777, elsewhere, &rate);
        size_t n, m;
        const float *a = samples(&one, &n), *b = samples(&two, &m);
        assert_int_equal(m, 2 * n);
        assert_true(snr_db(a, b, n) > 60);
        assert_true(snr_db(a, b + n, n) > 40);
        free_got(&one);
        free_got(&two);
    }
    m8_buf_finish(&both);
    m8_buf_finish(&file);
}

static void test_odd_ones(void **s)
{
    struct got g;
    m8_mp3 *m = open_mp3(&g, false);
    m8_error err = {0};
    char junk[5000];
    memset(junk, 0xFF, sizeof junk);
    assert_int_equal(m8_mp3_push(m, junk, sizeof junk, &err), M8_OK);
    memset(junk, 0, sizeof junk);
    assert_int_equal(m8_mp3_push(m, junk, sizeof junk, &err), M8_OK);
    assert_int_equal(m8_mp3_push(m, "ID3\4\0\0\x7F\x7F\x7F\x7F", 10, &err), M8_OK); /* a tag of 256 MiB: passed over, not kept */
    for (int i = 0; i < 1000; i++) assert_int_equal(m8_mp3_push(m, junk, sizeof junk, &err), M8_OK);
    assert_int_equal(m8_mp3_rate(m), 0);
    assert_int_equal(g.sound.len, 0);
    m8_mp3_close(m);
    m8_mp3_close(NULL);
    free_got(&g);
    /* the rate changes: resampled to the first one's */
    float *x = test_sound(22050, 22050);
    m8_buf a = make_mp3(x, 22050, 22050), b = make_mp3(x, 22050, 44100);
    m8_buf_add(&a, b.data, b.len);
    int rate;
    g = decode(a.data, a.len, 1000, false, &rate);
    assert_int_equal(rate, 22050);
    size_t n = g.sound.len / sizeof(float);
    assert_true(n > 33000 && n < 37000);
    free_got(&g);
    m8_buf_finish(&a);
    m8_buf_finish(&b);
    free(x);
    assert_string_equal(m8_audio_sniff("RIFF....WAVEfmt ", 16), "wav");
    assert_null(m8_audio_sniff("hello", 5));
    assert_null(m8_audio_sniff("", 0));
}

static m8_status in_pieces(void *arg, m8_error *err)
{
    const m8_buf *file = arg;
    struct got g = {0};
    m8_mp3 *m;
    m8_status st = m8_mp3_open(&m, &(m8_mp3_opts){ .frames = { into_buf, &g.frames }, .sound = { take_sound, &g.sound } }, err);
    for (size_t at = 0; !st && at < file->len; at += 900) st = m8_mp3_push(m, file->data + at, file->len - at < 900 ? file->len - at : 900, err);
    m8_mp3_close(m);
    free_got(&g);
    return st;
}

static void test_torture(void **s)
{
    m8_buf file = read_data("tagged.mp3");
    assert_true(torture(in_pieces, &file) >= 5);
    m8_buf_finish(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_ffmpeg), cmocka_unit_test(test_elsewhere), cmocka_unit_test(test_files_in_a_row),
                                        cmocka_unit_test(test_odd_ones), cmocka_unit_test(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
