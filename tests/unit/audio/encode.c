/* encode.c: each format decoded again, equal bytes for any cut, the first bytes early, bad samples and sinks that stop. */
#include "decode.h"
#include "sound.h"

static const int rates[] = {8000, 11025, 12345, 16000, 22050, 24000, 44100, 48000};
enum { N_RATES = sizeof rates / sizeof *rates };

static m8_buf encode(m8_audio_format format, int rate, const float *x, size_t n, size_t piece)
{
    m8_buf b = {0};
    m8_error err = {0};
    m8_encoder *e;
    m8_encode_opts o = {.format = format, .rate = rate};
    if (m8_encoder_open(&e, &o, (m8_bytes_sink){into_buf, &b}, &err)) fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i += piece)
        assert_int_equal(m8_encoder_push(e, x + i, n - i < piece ? n - i : piece, &err), M8_OK);
    if (m8_encoder_finish(e, &err)) fail_msg("%s", err.text);
    m8_encoder_close(e);
    return b;
}

static void append_frame(const struct m8__ffmpeg *ff, m8_buf *out, AVFrame *f)
{
    float *to = m8_buf_room(out, (size_t)f->nb_samples * sizeof *to);
    assert_true(m8__mix(ff, to, f));
    ff->av_frame_unref(f);
}

/* ADTS is not among the formats that m8_audio_decode takes, so FFmpeg's own decoder says what is in it. */
static m8_pcm decode_adts(const m8_buf *b, int rate)
{
    const struct m8__ffmpeg *ff;
    AVFormatContext *fmt;
    assert_int_equal(m8__ffmpeg(&ff, NULL), M8_OK);
    struct m8__source src = {.data = (const uint8_t *)b->data, .n = b->len, .budget = UINT64_MAX};
    assert_int_equal(m8__source_open(&src, ff, "aac", &fmt, NULL), M8_OK);
    AVCodecContext *dec = ff->avcodec_alloc_context3(ff->avcodec_find_decoder_by_name("aac"));
    assert_true(ff->avcodec_open2(dec, NULL, NULL) >= 0);
    AVPacket *pkt = ff->av_packet_alloc();
    AVFrame *f = ff->av_frame_alloc();
    m8_buf raw = {0};
    int from = 0;
    while (ff->av_read_frame(fmt, pkt) >= 0) {
        assert_true(ff->avcodec_send_packet(dec, pkt) >= 0);
        while (ff->avcodec_receive_frame(dec, f) >= 0) {
            from = f->sample_rate;
            append_frame(ff, &raw, f);
        }
        ff->av_packet_unref(pkt);
    }
    m8_pcm out;
    assert_int_equal(m8_resample(&out, (const float *)(const void *)raw.data, raw.len / 4, from, rate, NULL), M8_OK);
    m8_buf_finish(&raw);
    ff->av_packet_free(&pkt);
    ff->av_frame_free(&f);
    ff->avcodec_free_context(&dec);
    m8__source_close(ff, &fmt);
    return out;
}

static m8_pcm decode(m8_audio_format format, const m8_buf *b, int rate)
{
    if (format == M8_AAC) return decode_adts(b, rate);
    m8_pcm out;
    m8_error err = {0};
    if (m8_audio_decode(&out, b->data, b->len, &(m8_decode_opts){.rate = rate}, &err)) fail_msg("%s", err.text);
    return out;
}

/* least SNR; and by how much a decoder's output is longer, in samples of the codec's rate: what a stream without a header
 * cannot say is its delay (LAME's encoder 576 + decoder 529, AAC 1024) and the padding of the last frames. */
static const struct {
    m8_audio_format format;
    double snr;
    int delay_low, delay_high, longer;
} trips[] = {{M8_MP3, 12, 1000, 1200, 3 * 1152}, {M8_AAC, 12, 1000, 1100, 2 * 1024}, {M8_OPUS, 12, -2, 2, 0}, {M8_WAV, 80, 0, 0, 0}};

static void test_round_trips(void **s)
{
    for (int t = 0; t < 4; t++) {
        for (int k = 0; k < N_RATES; k++) {
            int rate = rates[k];
            size_t n = (size_t)rate * 5 / 4;
            float *x = test_sound(n, rate);
            m8_buf b = encode(trips[t].format, rate, x, n, 997);
            m8_pcm y = decode(trips[t].format, &b, rate);
            double scale = rate == 12345 ? 16000.0 / rate : 1; /* the codec runs at another rate then */
            if (trips[t].format == M8_OPUS || trips[t].format == M8_WAV) scale = 1;
            if (rate == 12345 && trips[t].format == M8_MP3) scale = 16000.0 / rate;
            double longer = ((double)y.n_samples - (double)n) * scale;
            if (longer < 0 || longer > trips[t].longer + 1) fail_msg("format %d, %d Hz: %g too long", t, rate, longer);
            double best = -99;
            int at = 0;
            for (int d = -2; d <= trips[t].delay_high; d++) {
                size_t from = n / 4, len = n / 2;
                double snr = snr_db(x + from, y.samples + from + d, len);
                if (snr > best) best = snr, at = d;
            }
            if (best < trips[t].snr) fail_msg("format %d, %d Hz: %.1f dB", t, rate, best);
            if (at * scale < trips[t].delay_low - 1 || at > trips[t].delay_high) fail_msg("format %d, %d Hz: delay %d", t, rate, at);
            m8_pcm_finish(&y);
            m8_buf_finish(&b);
            free(x);
        }
    }
}

static void test_cuts(void **s)
{
    static const size_t pieces[] = {1, 7, 1000, 1152, 4096};
    for (int f = 0; f < 4; f++) {
        for (int k = 0; k < N_RATES; k++) {
            size_t n = (size_t)rates[k] / 3;
            float *x = test_sound(n, rates[k]);
            m8_buf all = encode((m8_audio_format)f, rates[k], x, n, n);
            for (int p = 0; p < 5; p++) {
                m8_buf b = encode((m8_audio_format)f, rates[k], x, n, pieces[p]);
                if (b.len != all.len || memcmp(b.data, all.data, b.len))
                    fail_msg("format %d, %d Hz, pieces of %zu", f, rates[k], pieces[p]);
                m8_buf_finish(&b);
            }
            m8_buf_finish(&all);
            free(x);
        }
    }
}

/* Samples that must be pushed before sound leaves; more would make every answer later. */
static void test_first_bytes(void **s)
{
    static const struct {
        m8_audio_format format;
        int rate;
        size_t most;
    } limits[] = {{M8_MP3, 22050, 1152}, {M8_MP3, 44100, 2304}, {M8_MP3, 16000, 1152}, {M8_MP3, 12345, 1152},
                  {M8_AAC, 22050, 2048}, {M8_OPUS, 22050, 480}, {M8_OPUS, 48000, 960}, {M8_WAV, 22050, 1}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        m8_buf b = {0};
        m8_encoder *e;
        m8_encode_opts o = {.format = limits[i].format, .rate = limits[i].rate};
        assert_int_equal(m8_encoder_open(&e, &o, (m8_bytes_sink){into_buf, &b}, NULL), M8_OK);
        size_t header = b.len, n = 0;
        float x = 0.1f;
        for (; b.len == header && n < 10000; n++) assert_int_equal(m8_encoder_push(e, &x, 1, NULL), M8_OK);
        print_message("format %d at %d Hz: %zu samples before the first sound\n", limits[i].format, limits[i].rate, n);
        assert_true(n <= limits[i].most);
        m8_encoder_close(e); /* before finish: nothing leaks, nothing more is pushed */
        m8_buf_finish(&b);
    }
}

static void test_stream_starts(void **s)
{
    float *x = test_sound(16000, 16000);
    m8_buf b = encode(M8_MP3, 16000, x, 16000, 16000);
    assert_memory_equal(b.data, "\xFF\xF3", 2); /* a frame of sound, not ID3 */
    for (size_t i = 0; i + 4 < b.len; i++) assert_true(memcmp(b.data + i, "Xing", 4) && memcmp(b.data + i, "Info", 4));
    m8_buf_finish(&b);
    b = encode(M8_AAC, 16000, x, 16000, 16000);
    assert_memory_equal(b.data, "\xFF\xF1", 2);
    m8_buf_finish(&b);
    b = encode(M8_OPUS, 16000, x, 16000, 16000);
    assert_memory_equal(b.data, "OggS", 4);
    assert_memory_equal(b.data + 28, "OpusHead", 8);
    m8_buf_finish(&b);
    b = encode(M8_WAV, 16000, x, 3, 3);
    assert_int_equal(b.len, 44 + 6);
    assert_memory_equal(b.data, "RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0data\xFF\xFF\xFF\xFF", 44);
    m8_buf_finish(&b);
    free(x);
}

static void test_bad_samples(void **s)
{
    float bad[6] = {NAN, INFINITY, -INFINITY, 3, -3, 0.5f};
    m8_buf b = encode(M8_WAV, 16000, bad, 6, 6);
    assert_memory_equal(b.data + 44, "\0\0\xFF\x7F\x01\x80\xFF\x7F\x01\x80\0\x40", 12);
    m8_buf_finish(&b);
    float *x = malloc(8000 * sizeof *x), *y = malloc(8000 * sizeof *x);
    for (int i = 0; i < 8000; i++) {
        x[i] = bad[i % 6];
        y[i] = isnan(x[i]) ? 0 : fminf(fmaxf(x[i], -1), 1);
    }
    for (int f = 0; f < 4; f++) { /* bad samples are exactly those that they count as */
        m8_buf one = encode((m8_audio_format)f, 12345, x, 8000, 8000), two = encode((m8_audio_format)f, 12345, y, 8000, 8000);
        assert_int_equal(one.len, two.len);
        assert_memory_equal(one.data, two.data, one.len);
        m8_buf_finish(&one);
        m8_buf_finish(&two);
    }
    free(x);
    free(y);
}

static m8_status stop_later(void *user, const void *data, size_t n)
{
    return --*(int *)user < 0 ? M8_E_CANCELLED : M8_OK;
}

static void test_sink_stops(void **s)
{
    static const float x[48000];
    for (int f = 0; f < 4; f++) {
        for (int after = 0; after < 8; after++) {
            int left = after, tail;
            m8_encoder *e;
            m8_error err = {0};
            m8_encode_opts o = {.format = (m8_audio_format)f, .rate = 22050};
            m8_status st = m8_encoder_open(&e, &o, (m8_bytes_sink){stop_later, &left}, &err);
            if (!st) {
                st = m8_encoder_push(e, x, 48000, &err);
                tail = left;
                assert_int_equal(m8_encoder_push(e, x, 10, NULL), st); /* it stays stopped, and asks the sink no more */
                assert_int_equal(m8_encoder_finish(e, NULL), st);
                assert_int_equal(left, tail);
                m8_encoder_close(e);
            }
            assert_int_equal(st, M8_E_CANCELLED);
            assert_int_equal(err.status, M8_E_CANCELLED);
        }
    }
}

static void test_empty_and_arguments(void **s)
{
    for (int f = 0; f < 4; f++) {
        m8_buf b = encode((m8_audio_format)f, 22050, NULL, 0, 1);
        assert_int_equal(b.status, M8_OK);
        m8_buf_finish(&b);
        float one = 1;
        b = encode((m8_audio_format)f, 22050, &one, 1, 1);
        assert_true(b.len > 0);
        m8_buf_finish(&b);
    }
    m8_encoder *e;
    m8_error err = {0};
    m8_bytes_sink sink = {into_buf, NULL};
    assert_int_equal(m8_encoder_open(&e, &(m8_encode_opts){.rate = 0}, sink, &err), M8_E_ARG);
    assert_non_null(strstr(err.text, "8000"));
    assert_null(e);
    assert_int_equal(m8_encoder_open(&e, &(m8_encode_opts){.rate = 48001}, sink, NULL), M8_E_ARG);
    assert_int_equal(m8_encoder_open(&e, &(m8_encode_opts){.rate = 16000, .bit_rate = 1}, sink, NULL), M8_E_ARG);
    assert_int_equal(m8_encoder_open(&e, &(m8_encode_opts){.rate = 16000, .format = (m8_audio_format)9}, sink, NULL), M8_E_ARG);
    assert_int_equal(m8_encoder_open(&e, NULL, sink, NULL), M8_E_ARG);
    m8_encoder_close(NULL);
    err = (m8_error){0};
    /* every bit rate that is allowed opens with every codec: the codec takes the nearest that it has */
    for (int f = 0; f < 4; f++) {
        for (int bits = 6000; bits <= 510000; bits += 24000) {
            m8_buf b = {0};
            m8_encode_opts o = {.format = (m8_audio_format)f, .rate = 22050, .bit_rate = bits};
            if (m8_encoder_open(&e, &o, (m8_bytes_sink){into_buf, &b}, &err)) fail_msg("%d at %d: %s", f, bits, err.text);
            m8_encoder_close(e);
            m8_buf_finish(&b);
        }
    }
}

static void test_names(void **s)
{
    m8_audio_format f;
    assert_true(m8_audio_format_of(&f, "a.mp3") && f == M8_MP3);
    assert_true(m8_audio_format_of(&f, "/x.wav/A.OPUS") && f == M8_OPUS);
    assert_true(m8_audio_format_of(&f, "a.ogg") && f == M8_OPUS);
    assert_true(m8_audio_format_of(&f, "a.aac") && f == M8_AAC);
    assert_true(m8_audio_format_of(&f, "a.b.wav") && f == M8_WAV);
    assert_false(m8_audio_format_of(&f, "mp3"));
    assert_false(m8_audio_format_of(&f, ""));
    assert_false(m8_audio_format_of(&f, "a.mp3x"));
    assert_string_equal(m8_audio_mime(M8_MP3), "audio/mpeg");
    assert_string_equal(m8_audio_mime(M8_WAV), "audio/wav");
    assert_string_equal(m8_audio_mime((m8_audio_format)77), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_cuts),        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_stream_starts), cmocka_unit_test(test_bad_samples), cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_empty_and_arguments), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
