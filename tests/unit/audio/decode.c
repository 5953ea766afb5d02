/* decode.c: every format as ffmpeg itself decodes it, and security.md's C5 and H1 to H5. */
#include "sound.h"

static m8_status decode(m8_pcm *out, const m8_buf *b, int rate, double max_s)
{
    m8_error err = {0};
    m8_status st = m8_audio_decode(out, b->data, b->len, &(m8_decode_opts){.rate = rate, .max_s = max_s}, &err);
    assert_int_equal(st, err.status);
    assert_true(!st == !err.text[0]);
    assert_true(!st == !!out->samples);
    for (size_t i = 0; i < out->n_samples; i++) assert_true(out->samples[i] >= -1 && out->samples[i] <= 1);
    return st;
}

static void expect(const m8_buf *b, m8_status want, const char *what)
{
    m8_pcm out;
    m8_status st = decode(&out, b, 0, 0);
    if (st != want) fail_msg("%s: %s", what, m8_status_name(st));
    m8_pcm_finish(&out);
}

/* lengths.txt: name, rate, samples that ffmpeg decodes; NAME.f32: 1,000 of them from 3,000 on. Fixed-point codecs are exact,
 * the others within what a float decoder may differ by between processors. */
static void test_as_ffmpeg(void **s)
{
    enum { FROM = 3000, COUNT = 1000 };
    m8_buf list = read_data("lengths.txt");
    int files = 0, rate, used;
    long n;
    char name[64];
    for (const char *p = list.data; sscanf(p, "%60s %d %ld\n%n", name, &rate, &n, &used) == 3; p += used, files++) {
        m8_buf b = read_data(name);
        m8_pcm out;
        if (decode(&out, &b, rate, 0)) fail_msg("%s", name);
        if (out.n_samples != (size_t)n) fail_msg("%s: %zu samples, ffmpeg has %ld", name, out.n_samples, n);
        strcat(name, ".f32");
        m8_buf raw = read_data(name);
        float want[COUNT];
        assert_int_equal(raw.len, sizeof want);
        memcpy(want, raw.data, sizeof want);
        float worst = 0;
        for (int i = 0; i < COUNT; i++) worst = fmaxf(worst, fabsf(want[i] - out.samples[FROM + i]));
        if (worst > 1e-5f) fail_msg("%s: differs by %g", name, (double)worst);
        m8_pcm_finish(&out);

        if (decode(&out, &b, 16000, 0)) fail_msg("%s", name); /* and resampled */
        assert_int_equal(out.n_samples, (n * 16000 + rate - 1) / rate);
        m8_pcm_finish(&out);
        m8_buf_finish(&raw);
        m8_buf_finish(&b);
    }
    assert_int_equal(files, 13);
    m8_buf_finish(&list);
}

static void test_not_ours(void **s)
{
    static const char *const files[] = {"alac.m4a", "adpcm.wav", "silent.mp4", "speech.aiff"};
    for (int i = 0; i < 4; i++) {
        m8_buf b = read_data(files[i]);
        expect(&b, M8_E_FORMAT, files[i]);
        m8_buf_finish(&b);
    }
    /* C5: files that name other files or addresses; a long time would mean that one of them was tried */
    static const char *const texts[] = {
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period><BaseURL>http://127.0.0.1:9/</BaseURL></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        "[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n",
        "RIFF", "RIFF\x04\0\0\0WAVE", "OggS", "fLaC", "\x1A\x45\xDF\xA3", "ID3", "ID3\3\0\0\x7F\x7F\x7F\x7F", "\xFF\xFB\x90", "x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        m8_buf b = {0};
        m8_buf_str(&b, texts[i]);
        expect(&b, M8_E_FORMAT, texts[i]);
        m8_buf_finish(&b);
    }
    m8_pcm out;
    assert_int_equal(m8_audio_decode(&out, NULL, 0, NULL, NULL), M8_E_ARG);
    assert_int_equal(m8_audio_decode(&out, "", 0, NULL, NULL), M8_E_ARG);
    assert_int_equal(m8_audio_decode(&out, "x", 1, &(m8_decode_opts){.rate = -1}, NULL), M8_E_FORMAT); /* its own rate, if it were sound */
    assert_int_equal(m8_audio_decode(&out, "x", 1, &(m8_decode_opts){.rate = 1 << 30}, NULL), M8_E_ARG);
    assert_int_equal(m8_audio_decode(&out, "x", 1, &(m8_decode_opts){.max_s = -1}, NULL), M8_E_ARG);
    assert_int_equal(m8_audio_decode(&out, "x", 1, &(m8_decode_opts){.max_s = NAN}, NULL), M8_E_ARG);
}

static void put(m8_buf *b, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) m8_buf_chr(b, (char)(v >> 8 * i));
}

struct wav {
    uint32_t riff, format, channels, rate, align, bits, data;
};

static m8_buf wav_of(struct wav w, const void *samples, size_t n)
{
    m8_buf b = {0};
    m8_buf_str(&b, "RIFF");
    put(&b, w.riff, 4);
    m8_buf_str(&b, "WAVEfmt ");
    put(&b, 16, 4);
    put(&b, w.format, 2);
    put(&b, w.channels, 2);
    put(&b, w.rate, 4);
    put(&b, w.rate * w.align, 4);
    put(&b, w.align, 2);
    put(&b, w.bits, 2);
    m8_buf_str(&b, "data");
    put(&b, w.data, 4);
    m8_buf_add(&b, samples, n);
    return b;
}

/* A stream's wav says 0xFFFFFFFF or 0 for its length; a growing file says less or more than there is. */
static void test_wav_lengths(void **s)
{
    static int16_t x[4000];
    for (int i = 0; i < 4000; i++) x[i] = (int16_t)(3000 * sin(i * 0.1));
    static const struct {
        uint32_t riff, data;
        size_t n;
    } cases[] = {{0xFFFFFFFF, 0xFFFFFFFF, 4000}, {0, 0, 4000}, {0xFFFFFFFF, 0x7FFFFFFF, 4000}, {8036, 8000, 4000}, {8036, 100000, 4000},
                 {8036, 2000, 1000}, {36, 0xFFFFFFFE, 4000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m8_buf b = wav_of((struct wav){cases[i].riff, 1, 1, 8000, 2, 16, cases[i].data}, x, sizeof x);
        m8_pcm out;
        if (decode(&out, &b, 8000, 0)) fail_msg("case %zu", i);
        assert_int_equal(out.n_samples, cases[i].n);
        assert_true(out.samples[777] == (float)x[777] / 32768.0f);
        m8_pcm_finish(&out);
        m8_buf_finish(&b);
    }
    /* H1: very short ones */
    for (size_t bytes = 0; bytes <= 100; bytes++) {
        m8_buf b = wav_of((struct wav){36 + (uint32_t)bytes, 1, 1, 8000, 2, 16, (uint32_t)bytes}, x, bytes);
        expect(&b, bytes < 2 ? M8_E_FORMAT : M8_OK, "short wav");
        for (b.len = b.len < 44 ? b.len : 44; b.len > 0; b.len--) expect(&b, M8_E_FORMAT, "cut header");
        m8_buf_finish(&b);
    }
}

/* H2: headers that once brought LAME's and others' wav readers down. Never a crash; what plays is sound. */
static void test_wav_headers(void **s)
{
    static const uint32_t formats[] = {0, 1, 3, 6, 7, 0x11, 0x55, 0xFFFE, 0xFFFF}, channels[] = {0, 1, 2, 3, 64, 65, 255, 65535},
                          bits[] = {0, 1, 7, 8, 16, 24, 32, 64, 65535}, aligns[] = {0, 1, 2, 65535},
                          wav_rates[] = {0, 1, 7999, 8000, 384000, 384001, 0x7FFFFFFF, 0xFFFFFFFF};
    static uint8_t x[3000];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)next_random(&seed);
    for (size_t f = 0; f < 9; f++)
        for (size_t c = 0; c < 8; c++)
            for (size_t a = 0; a < 4; a++)
                for (size_t i = 0; i < 9; i++)
                    for (size_t r = 0; r < 8; r++) {
                        struct wav w = {3036, formats[f], channels[c], wav_rates[r], aligns[a], bits[i], 3000};
                        m8_buf b = wav_of(w, x, sizeof x);
                        m8_pcm out;
                        m8_status st = decode(&out, &b, 8000, 0);
                        assert_true(st == M8_OK || st == M8_E_FORMAT);
                        if (!st) assert_true(w.rate >= 8000 && w.rate <= 384000 && w.channels >= 1 && w.channels <= 64);
                        m8_pcm_finish(&out);
                        m8_buf_finish(&b);
                    }
}

static void test_bad_floats(void **s)
{
    float x[4000];
    for (int i = 0; i < 4000; i++) x[i] = 0.25f;
    x[100] = NAN;
    x[101] = INFINITY;
    x[102] = -INFINITY;
    x[103] = 1e30f;
    x[104] = -2;
    m8_buf b = wav_of((struct wav){16036, 3, 1, 8000, 4, 32, 16000}, x, sizeof x);
    m8_pcm out;
    assert_int_equal(decode(&out, &b, 8000, 0), M8_OK);
    static const float want[6] = {0, 0, 0, 1, -1, 0.25f};
    assert_memory_equal(out.samples + 100, want, sizeof want);
    m8_pcm_finish(&out);
    assert_int_equal(decode(&out, &b, 16000, 0), M8_OK); /* resampled, they spread no NaN */
    m8_pcm_finish(&out);
    m8_buf_finish(&b);
}

/* More than two channels are averaged; the lowest and highest rates. */
static void test_channels_and_rates(void **s)
{
    int16_t x[6 * 1000];
    for (int i = 0; i < 6000; i++) x[i] = (int16_t)(i % 6 * 1000);
    m8_buf b = wav_of((struct wav){12036, 1, 6, 8000, 12, 16, 12000}, x, sizeof x);
    m8_pcm out;
    assert_int_equal(decode(&out, &b, 8000, 0), M8_OK);
    assert_int_equal(out.n_samples, 1000);
    for (int i = 0; i < 1000; i++) assert_true(fabsf(out.samples[i] - 2500 / 32768.0f) < 1e-6f);
    m8_pcm_finish(&out);
    m8_buf_finish(&b);
    for (int high = 0; high < 2; high++) {
        b = wav_of((struct wav){12036, 1, 1, high ? 384000 : 8000, 2, 16, 12000}, x, sizeof x);
        assert_int_equal(decode(&out, &b, 16000, 0), M8_OK);
        assert_int_equal(out.n_samples, high ? 250 : 12000);
        m8_pcm_finish(&out);
        m8_buf_finish(&b);
    }
}

/* H4: an hour of nothing in 12 KB stops at the limit, soon. */
static void test_bombs(void **s)
{
    m8_buf b = read_data("hour.webm");
    m8_pcm out;
    double t = time_spent();
    assert_int_equal(decode(&out, &b, 16000, 0), M8_OK);
    assert_int_equal(out.n_samples, 60 * 16000);
    m8_pcm_finish(&out);
    assert_int_equal(decode(&out, &b, 16000, 7.5), M8_OK);
    assert_int_equal(out.n_samples, 120000);
    m8_pcm_finish(&out);
    assert_int_equal(decode(&out, &b, 16000, 1e-9), M8_OK);
    assert_int_equal(out.n_samples, 1);
    m8_pcm_finish(&out);
    assert_true(time_spent() - t < 2);
    m8_buf_finish(&b);
}

/* H3, H5: streams set one behind the other: ogg chains, and an mp3 whose rate changes in the middle. */
static void test_chains(void **s)
{
    m8_buf chain = {0}, one = read_data("stereo-opus.ogg"), two = read_data("vorbis.ogg");
    m8_pcm out;
    for (int i = 0; i < 3; i++) m8_buf_add(&chain, one.data, one.len);
    assert_int_equal(decode(&out, &chain, 48000, 0), M8_OK);
    assert_int_equal(out.n_samples, 3 * 62400 + 2 * 312); /* what is cut from the first one's start is not from the others' */
    m8_pcm_finish(&out);
    m8_buf_clear(&chain);
    m8_buf_add(&chain, one.data, one.len);
    m8_buf_add(&chain, two.data, two.len); /* another codec: the first stream is kept, or the sound ends there */
    assert_int_equal(decode(&out, &chain, 48000, 0), M8_OK);
    assert_in_range(out.n_samples, 62400, 3 * 62400);
    m8_pcm_finish(&out);
    m8_buf_clear(&chain);
    m8_buf_add(&chain, two.data, two.len);
    m8_buf_add(&chain, two.data, two.len);
    assert_int_equal(decode(&out, &chain, 44100, 0), M8_OK);
    assert_in_range(out.n_samples, 2 * 57330 - 200, 2 * 57330 + 200);
    m8_pcm_finish(&out);
    m8_buf_finish(&one);
    m8_buf_finish(&two);

    static float x[60000];
    m8_buf_clear(&chain);
    for (int k = 0; k < 2; k++) {
        m8_encoder *e;
        m8_encode_opts o = {.format = M8_MP3, .rate = k ? 22050 : 44100};
        for (int i = 0; i < 60000; i++) x[i] = (float)(0.5 * sin(2 * PI * 440 * i / o.rate));
        assert_int_equal(m8_encoder_open(&e, &o, (m8_bytes_sink){into_buf, &chain}, NULL), M8_OK);
        assert_int_equal(m8_encoder_push(e, x, k ? 30000 : 60000, NULL), M8_OK);
        assert_int_equal(m8_encoder_finish(e, NULL), M8_OK);
        m8_encoder_close(e);
    }
    assert_int_equal(decode(&out, &chain, 16000, 0), M8_OK);
    double seconds = (double)out.n_samples / 16000; /* 1.36 s of each */
    if (seconds < 2.7 || seconds > 3.0) fail_msg("%g s", seconds);
    int crossings = 0; /* the tone keeps its pitch through the change of rate */
    for (size_t i = 24000; i < 40000; i++) crossings += out.samples[i] < 0 && out.samples[i + 1] >= 0;
    assert_in_range(crossings, 438, 442);
    m8_pcm_finish(&out);
    m8_buf_finish(&chain);
}

/* A file cannot make us build one resampling filter after the other. */
static void test_many_rates(void **s)
{
    static const int rates[] = {44100, 22050, 16000, 48000, 24000, 32000, 11025, 12000};
    static float x[48000];
    m8_buf chain = {0};
    for (int k = 0; k < 8; k++) {
        m8_encoder *e;
        m8_encode_opts o = {.format = M8_MP3, .rate = rates[k]};
        assert_int_equal(m8_encoder_open(&e, &o, (m8_bytes_sink){into_buf, &chain}, NULL), M8_OK);
        assert_int_equal(m8_encoder_push(e, x, (size_t)o.rate, NULL), M8_OK);
        assert_int_equal(m8_encoder_finish(e, NULL), M8_OK);
        m8_encoder_close(e);
    }
    m8_pcm out;
    assert_int_equal(decode(&out, &chain, 8000, 0), M8_OK);
    double seconds = (double)out.n_samples / 8000; /* 1 s and its padding, four times */
    if (seconds < 4 || seconds > 4.8) fail_msg("%g s", seconds);
    m8_pcm_finish(&out);
    m8_buf_finish(&chain);
}

static int log_lines;
static void count_lines(void *user, m8_log_level level, const char *line)
{
    assert_int_equal(level, M8_LOG_DEBUG);
    assert_null(strchr(line, '\n'));
    log_lines++;
}

static void test_log(void **s)
{
    m8_buf b = read_data("tagged.mp3");
    for (size_t i = 1000; i < b.len; i += 97) b.data[i] ^= 0x55;
    m8_log_set(count_lines, NULL, M8_LOG_DEBUG);
    m8_pcm out;
    decode(&out, &b, 0, 0);
    m8_log_set(NULL, NULL, M8_LOG_ERROR);
    m8_pcm_finish(&out);
    m8_buf_finish(&b);
    assert_true(log_lines > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_ffmpeg),   cmocka_unit_test(test_not_ours), cmocka_unit_test(test_wav_lengths),
        cmocka_unit_test(test_wav_headers), cmocka_unit_test(test_bad_floats), cmocka_unit_test(test_channels_and_rates),
        cmocka_unit_test(test_bombs),       cmocka_unit_test(test_chains),   cmocka_unit_test(test_log),
        cmocka_unit_test(test_many_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
