/* Streams: what is heard is what was pushed, whole and in time, whoever reads it and however. */
#include "served.h"
#include "../audio/sound.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEASURED = 0 };
#else
enum { MEASURED = 1 };
#endif

static struct served s;

static int open_app(void **state)
{
    if (system("rm -rf " TMP "-st && mkdir -p " TMP "-st")) return -1;
    memset(&s, 0, sizeof s);
    s.app.launch = (m8_launch_opts){ .cache_dir = TMP "-st" };
    m8_audio_load(NULL);
    served_open(&s);
    return 0;
}

static int close_app(void **state)
{
    served_close(&s);
    return 0;
}

static struct m8__stream *stream(const char *session)
{
    struct m8__stream *x;
    m8_error err = {0};
    if (m8__stream_open(&s.app, session, &s.audio, &x, &err)) fail_msg("%s", err.text);
    return x;
}

static char *path_of(struct m8__stream *x, const char *file)
{
    json_t *v = m8__stream_value(x);
    const char *path = json_string_value(json_object_get(v, "path")), *slash = strrchr(path, '/');
    char *url = m8_sprintf("/gradio_api/stream/%.*s/%s", (int)(slash - path), path, file);
    json_decref(v);
    return url;
}

static struct reply fetch(struct m8__stream *x, const char *file)
{
    char *url = path_of(x, file);
    struct reply r = get(&s, "GET", url, NULL);
    m8_free(url);
    return r;
}

struct list {
    int n, target;
    bool ended;
    double seconds, longest;
    m8_buf joined; /* of the segments */
    char first[64];
};

static int adts_frames(const char *data, size_t n)
{
    const unsigned char *p = (const unsigned char *)data;
    int frames = 0;
    for (size_t at = 0; at < n; frames++) {
        if (n - at < 7 || p[at] != 0xFF || (p[at + 1] & 0xF6) != 0xF0) fail_msg("no ADTS frame at byte %zu of %zu", at, n);
        size_t len = (size_t)(p[at + 3] & 3) << 11 | (size_t)p[at + 4] << 3 | p[at + 5] >> 5;
        if (len < 7 || len > n - at) fail_msg("a frame of %zu bytes at %zu of %zu", len, at, n);
        at += len;
    }
    return frames;
}

/* The playlist as a player reads it; with segments also each of them. */
static struct list read_list(struct m8__stream *x, int rate, bool segments)
{
    struct list l = {0};
    char v[64];
    struct reply r = fetch(x, "playlist.m3u8");
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), "application/vnd.apple.mpegurl");
    assert_string_equal(header_of(&r, "cache-control", v, sizeof v), "no-store");
    int used = 0;
    if (sscanf(r.body, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:%d\n#EXT-X-VERSION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-START:TIME-OFFSET=0\n%n", &l.target, &used) != 1 || !used)
        fail_msg("%s", r.body);
    for (const char *at = r.body + used; *at;) {
        double d;
        char name[64];
        if (!strcmp(at, "#EXT-X-ENDLIST\n")) {
            l.ended = true;
            break;
        }
        used = 0;
        if (sscanf(at, "#EXTINF:%lf,\n%63[0-9a-f-].aac\n%n", &d, name, &used) != 2 || !used) fail_msg("%s", at);
        assert_int_equal(strlen(name), 36);
        if (!l.n) snprintf(l.first, sizeof l.first, "%s", name);
        l.n++;
        l.seconds += d;
        if (d > l.longest) l.longest = d;
        at += used;
        if (!segments) continue;
        strcat(name, ".aac");
        struct reply seg = fetch(x, name);
        assert_int_equal(seg.status, 200);
        assert_string_equal(header_of(&seg, "content-type", v, sizeof v), "audio/aac");
        int frames = adts_frames(seg.body, seg.n_body);
        char want[32], got[32];
        snprintf(want, sizeof want, "%.6f", frames * 1024.0 / rate);
        snprintf(got, sizeof got, "%.6f", d);
        assert_string_equal(got, want); /* exact: players add them up */
        m8_buf_add(&l.joined, seg.body, seg.n_body);
        reply_free(&seg);
    }
    assert_true(l.target >= 1 && l.target >= l.longest && (l.target == 1 || l.target < l.longest + 1));
    reply_free(&r);
    return l;
}

static m8_buf encode_once(m8_audio_format format, const float *x, size_t n, int rate)
{
    m8_buf b = {0};
    m8_encoder *e;
    m8_error err = {0};
    m8_encode_opts o = { .format = format, .rate = rate, .fast = true };
    m8_status st = m8_encoder_open(&e, &o, (m8_bytes_sink){ into_buf, &b }, &err);
    if (!st) st = m8_encoder_push(e, x, n, &err);
    if (!st) st = m8_encoder_finish(e, &err);
    if (st) fail_msg("%s", err.text);
    m8_encoder_close(e);
    return b;
}

static void same(const char *got, size_t n_got, const m8_buf *want)
{
    assert_int_equal(n_got, want->len);
    assert_memory_equal(got, want->data, want->len);
}

/* As FFmpeg decodes the joined file: without a gap it is the pushed sound, one frame later. */
static void check_sound(const char *aac, size_t n, const float *x, size_t n_samples)
{
    if (system("command -v ffmpeg >/dev/null")) {
        print_message("no ffmpeg: what its decoder hears is not compared\n");
        return;
    }
    FILE *f = fopen(TMP "-st/joined.aac", "wb");
    assert_int_equal(fwrite(aac, 1, n, f), n);
    fclose(f);
    assert_int_equal(system("ffmpeg -v error -y -i " TMP "-st/joined.aac -f f32le " TMP "-st/joined.f32"), 0);
    m8_buf b = {0};
    assert_int_equal(m8_read_file(&b, TMP "-st/joined.f32", NULL), M8_OK);
    size_t got = b.len / sizeof(float), delay = 1024;
    assert_true(got >= n_samples + delay);
    const float *y = (const float *)(const void *)b.data;
    size_t part = 4410; /* a gap anywhere spoils its part, and all behind it */
    for (size_t at = 0; at + part <= n_samples; at += part) {
        double db = snr_db(x + at, y + delay + at, part);
        if (db < 15) fail_msg("at %zu of %zu: %.1f dB", at, n_samples, db);
    }
    m8_buf_finish(&b);
}

static void test_grows(void **state)
{
    enum { RATE = 22050, N = 5 * RATE };
    float *x = test_sound(N, RATE);
    struct m8__stream *st = stream("ann");
    struct list l = read_list(st, RATE, true);
    assert_true(!l.n && !l.ended && l.target == 1);
    m8_buf before = {0};
    int n = 0;
    for (size_t at = 0, part = 4410; at < N; at += part, part = part % 9000 + 777) {
        if (part > N - at) part = N - at;
        assert_int_equal(m8__stream_pcm(st, x + at, part, RATE, NULL), M8_OK);
        l = read_list(st, RATE, true); /* readable when it returns, and what was there stays as it was */
        if (part > 4096) assert_true(l.n > n);
        assert_true(l.n >= n && !l.ended && l.joined.len >= before.len);
        if (before.len) assert_memory_equal(l.joined.data, before.data, before.len);
        double heard = (double)(at + part) / RATE, lag = heard - l.seconds;
        assert_true(lag <= 3 * 1024.0 / RATE); /* two frames of the encoder's own, and the one that is not full */
        n = l.n;
        m8_buf_finish(&before);
        before = l.joined;
    }
    struct m8__stream keep = *st;
    char *mp3_url = path_of(st, "audio.mp3"), *list_url = path_of(st, "playlist.m3u8"), *joined_url = path_of(st, "playlist-file");
    m8__stream_end(st);
    (void)keep;
    l = read_list(st, RATE, true); /* the list of streams still holds it */
    assert_true(l.ended);
    m8_buf want = encode_once(M8_AAC, x, N, RATE);
    same(l.joined.data, l.joined.len, &want); /* one encoder: the segments are what it gives in one piece */
    struct reply r = get(&s, "GET", joined_url, NULL);
    char v[100];
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), "audio/aac");
    assert_string_equal(header_of(&r, "accept-ranges", v, sizeof v), "bytes");
    same(r.body, r.n_body, &want);
    check_sound(r.body, r.n_body, x, N);
    reply_free(&r);
    m8_buf_finish(&want);
    want = encode_once(M8_MP3, x, N, RATE);
    r = get(&s, "GET", mp3_url, NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "content-type", v, sizeof v), "audio/mpeg");
    same(r.body, r.n_body, &want);
    reply_free(&r);
    r = get(&s, "GET", mp3_url, "Range: bytes=0-1\r\n"); /* some players begin so */
    assert_int_equal(r.status, 206);
    assert_int_equal(r.n_body, 2);
    reply_free(&r);
    assert_int_equal(status_of(&s, "HEAD", list_url, NULL), 405);
    assert_int_equal(status_of(&s, "HEAD", mp3_url, NULL), 405);
    m8_buf_finish(&want);
    m8_buf_finish(&before);
    m8_buf_finish(&l.joined);
    m8_free(mp3_url);
    m8_free(list_url);
    m8_free(joined_url);
    free(x);
}

static void test_long_and_tiny_pushes(void **state)
{
    enum { RATE = 24000, N = 10 * RATE };
    float *x = test_sound(N, RATE);
    struct m8__stream *st = stream("ann");
    assert_int_equal(m8__stream_pcm(st, x, N, RATE, NULL), M8_OK); /* all at once: segments that keep the target at 1 s */
    struct list l = read_list(st, RATE, true);
    assert_true(l.n >= 10 && l.target == 1);
    m8_buf_finish(&l.joined);
    m8__stream_end(st);
    st = stream("ann");
    for (size_t at = 0; at < N; at += 240) assert_int_equal(m8__stream_pcm(st, x + at, 240, RATE, NULL), M8_OK); /* 10 ms each */
    m8__stream_end(st);
    l = read_list(st, RATE, true);
    assert_true(l.ended && l.n < 64 + 100); /* no more than ten a second, after the first few */
    m8_buf want = encode_once(M8_AAC, x, N, RATE);
    same(l.joined.data, l.joined.len, &want);
    m8_buf_finish(&l.joined);
    m8_buf_finish(&want);
    free(x);
}

static void test_refusals(void **state)
{
    struct m8__stream *st = stream("s p/a#ce");
    static const struct {
        const char *file, *body;
        int status;
    } cases[] = { { "nope.aac", "Segment not found", 404 }, { "nope.mp3", "Unsupported file extension", 400 }, { "nope.ts", "Segment not found", 404 },
                  { "x", "{\"detail\":\"Not Found\"}", 404 }, { "00000000-0000-4000-8000-000000000000.aac", "Segment not found", 404 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m8_buf url = {0};
        m8_buf_str(&url, "/gradio_api/stream/");
        m8_percent_encode(&url, "s p/a#ce", NULL);
        m8_buf_printf(&url, "/%s/4/%s", st->run, cases[i].file);
        struct reply r = get(&s, "GET", url.data, NULL);
        if (r.status != cases[i].status || strcmp(r.body, cases[i].body)) fail_msg("%s: %d %s", cases[i].file, r.status, r.body);
        reply_free(&r);
        m8_buf_finish(&url);
    }
    char url[200];
    static const char *const unknown[] = { "x/y/4", "/0123456789abcdef0123456789abcdef/4", "..", "" };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        snprintf(url, sizeof url, "/gradio_api/stream/%s/playlist.m3u8", unknown[i]);
        assert_int_equal(status_of(&s, "GET", url, NULL), 404);
    }
    snprintf(url, sizeof url, "/gradio_api/stream/other/%s/4/playlist.m3u8", st->run); /* D10: the session and the component must be right, too */
    assert_int_equal(status_of(&s, "GET", url, NULL), 404);
    snprintf(url, sizeof url, "/gradio_api/stream/s%%20p%%2Fa%%23ce/%s/5/playlist.m3u8", st->run);
    assert_int_equal(status_of(&s, "GET", url, NULL), 404);
    snprintf(url, sizeof url, "/gradio_api/stream/s%%20p%%2Fa%%23ce/%s/4/playlist.m3u8?__sign=a%%0ab%%22c", st->run);
    float x[8000] = {0};
    assert_int_equal(m8__stream_pcm(st, x, 8000, 16000, NULL), M8_OK);
    struct reply r = get(&s, "GET", url, NULL);
    char v[64];
    assert_int_equal(r.status, 200);
    assert_string_equal(header_of(&r, "cache-control", v, sizeof v), "private, no-store");
    assert_non_null(strstr(r.body, ".aac?__sign=a%0Ab%22c\n"));
    assert_null(strstr(r.body, ".aac\n"));
    reply_free(&r);
    m8__stream_end(st);
    struct m8__stream *none;
    m8_error err = {0};
    assert_int_equal(m8__stream_open(&s.app, "", &s.audio, &none, &err), M8_E_ARG);
}

/* ---- encoded chunks */

static m8_status collect(void *user, const float *x, size_t n) { return into_buf(user, x, n * sizeof *x); }

static void test_mp3_chunks(void **state)
{
    enum { RATE = 22050, N = 4 * RATE };
    float *x = test_sound(N, RATE);
    m8_buf mp3 = encode_once(M8_MP3, x, N, RATE), pcm = {0};
    for (int cut = 0; cut < 3; cut++) {
        struct m8__stream *st = stream("ann");
        static const size_t sizes[3] = { 100000000, 1500, 209 };
        for (size_t at = 0; at < mp3.len; at += sizes[cut])
            assert_int_equal(m8__stream_bytes(st, mp3.data + at, mp3.len - at < sizes[cut] ? mp3.len - at : sizes[cut], NULL), M8_OK);
        m8__stream_end(st);
        struct reply r = fetch(st, "audio.mp3");
        same(r.body, r.n_body, &mp3); /* as it is */
        reply_free(&r);
        m8_mp3 *m;
        m8_buf_clear(&pcm);
        assert_int_equal(m8_mp3_open(&m, &(m8_mp3_opts){ .sound = { collect, &pcm } }, NULL), M8_OK);
        assert_int_equal(m8_mp3_push(m, mp3.data, mp3.len, NULL), M8_OK);
        m8_mp3_close(m);
        m8_buf want = encode_once(M8_AAC, (const float *)(const void *)pcm.data, pcm.len / sizeof(float), RATE);
        struct list l = read_list(st, RATE, true);
        same(l.joined.data, l.joined.len, &want); /* decoded without a gap at the cuts */
        m8_buf_finish(&want);
        m8_buf_finish(&l.joined);
    }
    m8_buf_finish(&pcm);
    m8_buf_finish(&mp3);
    free(x);
}

static void test_other_chunks(void **state)
{
    enum { RATE = 24000, N = 3 * RATE, PART = RATE / 2 };
    float *x = test_sound(N, RATE);
    struct m8__stream *st = stream("ann");
    m8_error err = {0};
    for (size_t at = 0; at < N; at += PART) { /* each a WAV of its own */
        m8_buf wav = encode_once(M8_WAV, x + at, PART, RATE);
        assert_int_equal(m8__stream_bytes(st, wav.data, wav.len, &err), M8_OK);
        m8_buf_finish(&wav);
        if (at == PART) { /* what cannot be decoded is skipped */
            assert_int_equal(m8__stream_bytes(st, "this is no sound at all", 23, &err), M8_OK);
            assert_int_equal(m8__stream_bytes(st, "RIFF\xFF\xFF\xFF\xFFWAVEfmt ", 16, &err), M8_OK);
        }
    }
    m8__stream_end(st);
    struct list l = read_list(st, RATE, true);
    check_sound(l.joined.data, l.joined.len, x, N);
    m8_buf_finish(&l.joined);
    st = stream("ann"); /* nothing but rubbish: an empty stream that ends */
    assert_int_equal(m8__stream_bytes(st, "\xFF\xFB\x90", 3, &err), M8_OK);
    assert_int_equal(m8__stream_bytes(st, "x", 1, &err), M8_OK);
    m8__stream_end(st);
    l = read_list(st, RATE, false);
    assert_true(l.ended && !l.n);
    free(x);
}

/* ---- readers of audio.mp3, while it grows */

struct handler {
    struct m8__stream *st;
    const float *x;
    size_t n;
    int rate;
};

static void *push_slowly(void *user)
{
    struct handler *h = user;
    for (size_t at = 0; at < h->n; at += (size_t)h->rate / 5) {
        size_t part = h->n - at < (size_t)h->rate / 5 ? h->n - at : (size_t)h->rate / 5;
        if (m8__stream_pcm(h->st, h->x + at, part, h->rate, NULL)) break;
        usleep(20000);
    }
    m8__stream_end(h->st);
    return NULL;
}

static void ask_mp3(int fd, const char *url)
{
    char *request = m8_sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", url);
    say_text(fd, request);
    m8_free(request);
}

static void test_readers(void **state)
{
    enum { RATE = 22050, N = 8 * RATE, READERS = 6 };
    float *x = test_sound(N, RATE);
    m8_buf want = encode_once(M8_MP3, x, N, RATE);
    struct handler h = { stream("bea"), x, N, RATE };
    char *url = path_of(h.st, "audio.mp3");
    int fd[READERS];
    for (int i = 0; i < READERS / 2; i++) ask_mp3(fd[i] = dial(&s.server), url); /* before there is any sound */
    usleep(50000);
    pthread_t thread;
    pthread_create(&thread, NULL, push_slowly, &h);
    usleep(200000);
    for (int i = READERS / 2; i < READERS; i++) ask_mp3(fd[i] = dial(&s.server), url); /* in its middle: from the beginning all the same */
    char text[3000];
    assert_true(hear_until(fd[1], text, sizeof text, "audio/mpeg", 3000));
    close(fd[1]); /* one leaves */
    for (int i = 0; i < READERS; i++) {
        if (i == 1) continue;
        char *all = malloc(1 << 20);
        ssize_t n = hear(fd[i], all, 1 << 20, 10000);
        assert_true(n > 0);
        struct reply r = { .text = all, .body = strstr(all, "\r\n\r\n") + 4 };
        r.n_body = (size_t)(all + n - r.body);
        assert_non_null(strcasestr(all, "transfer-encoding: chunked"));
        unchunk(&r);
        same(r.body, r.n_body, &want);
        free(all);
        close(fd[i]);
    }
    pthread_join(thread, NULL);
    m8_free(url);
    m8_buf_finish(&want);
    free(x);
}

/* One who does not read for long gets all of it nevertheless; meanwhile little is kept for him. */
static void test_stalled_reader(void **state)
{
    enum { RATE = 44100, SECONDS = 240 };
    float *x = test_sound(RATE, RATE);
    struct m8__stream *st = stream("cid");
    char *url = path_of(st, "audio.mp3");
    int fd = dial(&s.server), small = 32 << 10;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ask_mp3(fd, url);
    usleep(50000);
    for (int i = 0; i < SECONDS; i++) assert_int_equal(m8__stream_pcm(st, x, RATE, RATE, NULL), M8_OK);
    assert_int_equal(status_of(&s, "GET", "/robots.txt", NULL), 200); /* the loop goes on */
    m8__stream_end(st);
    size_t room = 4 << 20;
    char *all = malloc(room);
    ssize_t n = hear(fd, all, room, 20000);
    assert_true(n > 0);
    struct reply r = { .text = all, .body = strstr(all, "\r\n\r\n") + 4 };
    r.n_body = (size_t)(all + n - r.body);
    unchunk(&r);
    struct reply whole = fetch(st, "audio.mp3");
    assert_true(whole.n_body > 1500000);
    assert_int_equal(r.n_body, whole.n_body);
    assert_memory_equal(r.body, whole.body, whole.n_body);
    reply_free(&whole);
    free(all);
    close(fd);
    m8_free(url);
    free(x);
}

static void test_ends_with_its_page(void **state)
{
    float x[22050] = {0};
    struct m8__stream *old = stream("dan"), *st = stream("dan"), *others = stream("eve");
    m8__stream_pcm(st, x, 22050, 22050, NULL);
    m8__stream_end(old);
    char *url = path_of(st, "audio.mp3"), *list = path_of(st, "playlist.m3u8"), *other = path_of(others, "playlist.m3u8");
    int fd = dial(&s.server), n = m8__streams_count(&s.app);
    char text[100000];
    ask_mp3(fd, url);
    usleep(50000);
    m8__streams_forget(&s.app, "dan");
    assert_true(hear(fd, text, sizeof text, 3000) > 0); /* its reader's answer ends */
    close(fd);
    assert_int_equal(status_of(&s, "GET", list, NULL), 404);
    assert_int_equal(status_of(&s, "GET", other, NULL), 200);
    assert_int_equal(m8__stream_pcm(st, x, 22050, 22050, NULL), M8_E_CANCELLED); /* the handler is told */
    m8__stream_end(st);
    assert_int_equal(m8__streams_count(&s.app), n - 1);
    m8__stream_end(others);
    m8_free(url);
    m8_free(list);
    m8_free(other);
}

static void test_bounds(void **state)
{
    float x[4410] = {0};
    char *first = NULL;
    for (int i = 0; i < 40; i++) {
        struct m8__stream *st = stream("fay");
        if (!i) first = path_of(st, "playlist.m3u8");
        m8__stream_pcm(st, x, 4410, 22050, NULL);
        m8__stream_end(st);
    }
    assert_int_equal(status_of(&s, "GET", first, NULL), 404); /* a session's old ones go */
    m8_free(first);
    char *junk = calloc(1, 4 << 20);
    struct m8__stream *st = stream("gus");
    m8_status got = M8_OK;
    m8_error err = {0};
    int n = 0;
    for (; !got && n < 100; n++) got = m8__stream_add(st, junk, 4 << 20, 1, 22050, NULL, 0, &err);
    assert_int_equal(got, M8_E_LIMIT);
    assert_int_equal(n, 17); /* 64 MiB */
    m8__stream_end(st);
    for (int k = 0; k < 6; k++) { /* all together: ended ones make room */
        st = stream(k % 2 ? "hal" : "ida");
        for (int i = 0; i < 15; i++) assert_int_equal(m8__stream_add(st, junk, 4 << 20, 1, 22050, NULL, 0, &err), M8_OK);
        m8__stream_end(st);
    }
    m8__streams_forget(&s.app, "gus");
    m8__streams_forget(&s.app, "hal");
    m8__streams_forget(&s.app, "ida");
    m8__streams_forget(&s.app, "fay");
    free(junk);
}

/* Processor time of this thread: a machine that does other things, too, is no fault of ours. */
static double thread_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_speed(void **state)
{
    enum { RATE = 22050, PART = RATE / 5 };
    char path[512];
    const char *dir = getenv("MAGIC8_TEST_DATA");
    m8_buf file = {0};
    m8_pcm x;
    m8_error err = {0};
    snprintf(path, sizeof path, "%s/audio/jfk.wav", dir ? dir : "tests/data");
    m8_status got = m8_read_file(&file, path, &err);
    if (!got) got = m8_audio_decode(&x, file.data, file.len, &(m8_decode_opts){ .rate = RATE }, &err);
    if (got) fail_msg("%s", err.text);
    double worst = 0, first = 0, all = 0;
    struct m8__stream *st = stream("joe");
    for (size_t at = 0; at < x.n_samples; at += PART) {
        double begun = thread_time();
        m8__stream_pcm(st, x.samples + at, x.n_samples - at < PART ? x.n_samples - at : PART, RATE, NULL);
        begun = thread_time() - begun;
        all += begun;
        if (!at) first = begun;
        if (begun > worst) worst = begun;
    }
    m8__stream_end(st);
    all /= (double)x.n_samples / RATE;
    print_message("speech in chunks of 0.2 s: readable after %.2f ms at most (the first: %.2f ms); %.2f ms of a core for a second\n", worst * 1e3, first * 1e3, all * 1e3);
    if (MEASURED) assert_true(all < 0.005 && worst < 0.010);
    m8_pcm_finish(&x);
    m8_buf_finish(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),       cmocka_unit_test(test_long_and_tiny_pushes), cmocka_unit_test(test_refusals), cmocka_unit_test(test_mp3_chunks),
        cmocka_unit_test(test_other_chunks), cmocka_unit_test(test_readers),             cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_ends_with_its_page), cmocka_unit_test(test_bounds),        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, open_app, close_app);
}
