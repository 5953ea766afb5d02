/* Every allocation of ours fails in turn: decode, resample and encode end with a status and leave nothing behind. */
#include "torture.h"
#include "sound.h"

struct job {
    m8_buf file;
    m8_audio_format format;
};

static m8_status decode(void *arg, m8_error *err)
{
    struct job *j = arg;
    m8_pcm out;
    m8_status st = m8_audio_decode(&out, j->file.data, j->file.len, NULL, err);
    assert_true(!st == !!out.samples);
    m8_pcm_finish(&out);
    return st;
}

static m8_status resample(void *arg, m8_error *err)
{
    float x[500] = {0};
    m8_pcm out;
    m8_status st = m8_resample(&out, x, 500, 22050, 48000, err);
    m8_pcm_finish(&out);
    return st;
}

static m8_status encode(void *arg, m8_error *err)
{
    const struct job *j = arg;
    static const float x[5000];
    m8_buf b = {0};
    m8_encoder *e;
    m8_status st = m8_encoder_open(&e, &(m8_encode_opts){.format = j->format, .rate = 12345}, (m8_bytes_sink){into_buf, &b}, err);
    if (!st) st = m8_encoder_push(e, x, 5000, err);
    if (!st) st = m8_encoder_finish(e, err);
    m8_encoder_close(e);
    m8_buf_finish(&b);
    return st;
}

static void test_torture(void **s)
{
    static const char *const files[] = {"recorder.webm", "recorder.mp4", "tagged.mp3", "vorbis.ogg", "speech.flac", "s24-stereo.wav"};
    m8_error err = {0};
    assert_int_equal(resample(NULL, &err), M8_OK); /* FFmpeg is loaded before, once */
    for (int f = 0; f < 6; f++) {
        struct job j = {.file = read_data(files[f])};
        assert_true(torture(decode, &j) >= 3);
        m8_buf_finish(&j.file);
    }
    assert_true(torture(resample, NULL) >= 2);
    for (int f = 0; f < 4; f++) assert_true(torture(encode, &(struct job){.format = (m8_audio_format)f}) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
