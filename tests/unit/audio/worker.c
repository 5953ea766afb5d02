/* Decoding in a process of its own: the same samples, the same errors; damage, kills, cancels and too much work cost that call only. */
#include "sound.h"
#include "torture.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static const char *const files[] = { "alaw.wav", "bare.mp3", "moov-last.m4a", "phone.mp4", "recorder.webm", "speech.flac", "stereo-opus.ogg" };
enum { N_FILES = sizeof files / sizeof *files };

static m8_audio_worker *start(void)
{
    m8_audio_worker *w = NULL;
    m8_error err = {0};
    if (m8_audio_worker_open(&w, NULL, &err)) fail_msg("%s", err.text);
    return w;
}

static void pause_s(double s)
{
    struct timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, NULL);
}

static void check_same(m8_audio_worker *w, const void *data, size_t n, const m8_decode_opts *o)
{
    m8_pcm a, b;
    m8_error here = {0}, there = {0};
    m8_status st = m8_audio_decode(&a, data, n, o, &here);
    assert_int_equal(m8_audio_worker_decode(w, &b, data, n, o, &there), st);
    assert_string_equal(here.text, there.text);
    assert_int_equal(a.n_samples, b.n_samples);
    assert_int_equal(a.rate, b.rate);
    if (a.n_samples) assert_memory_equal(a.samples, b.samples, a.n_samples * sizeof *a.samples);
    m8_pcm_finish(&a);
    m8_pcm_finish(&b);
}

static void test_same(void **state)
{
    m8_audio_worker *w = start();
    for (int i = 0; i < N_FILES; i++) {
        m8_buf b = read_data(files[i]);
        check_same(w, b.data, b.len, NULL);
        check_same(w, b.data, b.len, &(m8_decode_opts){ .rate = 22050, .max_s = 0.1 });
        check_same(w, b.data, b.len / 2, NULL);
        check_same(w, b.data, 3, NULL);
        check_same(w, b.data, b.len, &(m8_decode_opts){ .rate = 1 });
        check_same(w, b.data, b.len, &(m8_decode_opts){ .max_s = -1 });
        m8_buf_finish(&b);
    }
    m8_pcm out;
    assert_int_equal(m8_audio_worker_decode(w, &out, NULL, 0, NULL, NULL), M8_E_ARG);
    assert_int_equal(m8_audio_worker_about(w).n_started, 1);
    m8_audio_worker_close(w);
    m8_audio_worker_close(NULL);
}

static void test_damaged(void **state)
{
    m8_audio_worker *w = start();
    uint32_t seed = 3;
    for (int i = 0; i < 40 * N_FILES; i++) {
        m8_buf b = read_data(files[i % N_FILES]);
        for (int k = 0; k < 5; k++) b.data[next_random(&seed) % (k % 2 ? b.len : 600)] ^= (char)(1u << next_random(&seed) % 8);
        m8_pcm out;
        m8_error err = {0};
        m8_status st = m8_audio_worker_decode(w, &out, b.data, b.len, NULL, &err);
        if (st && st != M8_E_FORMAT && st != M8_E_NOMEM && st != M8_E_IO) fail_msg("%s", err.text);
        m8_pcm_finish(&out);
        m8_buf_finish(&b);
    }
    m8_audio_worker_close(w);
}

struct decoding {
    m8_audio_worker *w;
    const m8_buf *b;
    const m8_pcm *want;
    atomic_bool *stop;
    int done, died;
    char wrong[256];
    pthread_t thread;
};

static void *decode_often(void *arg)
{
    struct decoding *d = arg;
    while (!atomic_load(d->stop) && !d->wrong[0]) {
        m8_pcm out;
        m8_error err = {0};
        m8_status st = m8_audio_worker_decode(d->w, &out, d->b->data, d->b->len, NULL, &err);
        if (!st && out.n_samples == d->want->n_samples && !memcmp(out.samples, d->want->samples, out.n_samples * sizeof(float))) d->done++;
        else if (st == M8_E_IO && strstr(err.text, "the process of sound decoding ended (signal 9)")) d->died++;
        else snprintf(d->wrong, sizeof d->wrong, "%s", st ? err.text : "other samples");
        m8_pcm_finish(&out);
    }
    return NULL;
}

static void test_killed(void **state)
{
    enum { N = 3 };
    struct decoding d[N];
    atomic_bool stop = false;
    m8_audio_worker *w = start();
    m8_buf b = read_data("recorder.webm");
    m8_pcm want;
    int done = 0, died = 0;
    assert_int_equal(m8_audio_decode(&want, b.data, b.len, NULL, NULL), M8_OK);
    for (int i = 0; i < N; i++) {
        d[i] = (struct decoding){ .w = w, .b = &b, .want = &want, .stop = &stop };
        assert_int_equal(pthread_create(&d[i].thread, NULL, decode_often, &d[i]), 0);
    }
    for (int i = 0; i < 15; i++) {
        pause_s(0.15);
        m8_proc_info info = m8_audio_worker_about(w);
        if (info.state == M8_PROC_READY && info.pid > 0) kill((pid_t)info.pid, SIGKILL);
    }
    pause_s(0.3);
    atomic_store(&stop, true);
    for (int i = 0; i < N; i++) {
        pthread_join(d[i].thread, NULL);
        if (d[i].wrong[0]) fail_msg("%s", d[i].wrong);
        done += d[i].done;
        died += d[i].died;
    }
    print_message("%d done, %d died\n", done, died);
    assert_true(done > 0 && died > 0);
    check_same(w, b.data, b.len, NULL);
    m8_pcm_finish(&want);
    m8_buf_finish(&b);
    m8_audio_worker_close(w);
}

static void *set_soon(void *cancel)
{
    pause_s(0.03);
    m8_cancel_set(cancel);
    return NULL;
}

/* A quarter of an hour of sound: cancelled on the way, here and there. */
static void test_cancelled(void **state)
{
    m8_audio_worker *w = start();
    size_t n = 44 + 2 * 48000 * (size_t)900;
    char *wav = calloc(n, 1);
    const uint32_t head[] = { 0x46464952, (uint32_t)n - 8, 0x45564157, 0x20746d66, 16, 0x00010001, 48000, 96000, 0x00100002, 0x61746164,
                              (uint32_t)n - 44 };
    memcpy(wav, head, sizeof head);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        m8_cancel *c = m8_cancel_new();
        m8_decode_opts o = { .max_s = 900, .cancel = c };
        m8_pcm out;
        assert_int_equal(pthread_create(&thread, NULL, set_soon, c), 0);
        m8_status st = i ? m8_audio_worker_decode(w, &out, wav, n, &o, NULL) : m8_audio_decode(&out, wav, n, &o, NULL);
        pthread_join(thread, NULL);
        assert_int_equal(st, M8_E_CANCELLED);
        assert_null(out.samples);
        m8_cancel_unref(c);
    }
    assert_int_equal(m8_audio_worker_about(w).n_started, 1);
    free(wav);
    m8_audio_worker_close(w);
}

static m8_status open_and_decode(void *arg, m8_error *err)
{
    const m8_buf *b = arg;
    m8_audio_worker *w;
    m8_pcm out;
    m8_status st = m8_audio_worker_open(&w, &(m8_proc_opts){ .wait_s = 5 }, err);
    if (st) return st;
    st = m8_audio_worker_decode(w, &out, b->data, b->len, NULL, err);
    m8_pcm_finish(&out);
    m8_audio_worker_close(w);
    return st;
}

static void test_torture(void **state)
{
    m8_buf b = read_data("recorder.webm");
    torture(open_and_decode, &b);
    m8_buf_finish(&b);
}

int main(int argc, char **argv)
{
    const m8_service *const services[] = { &m8_audio_service, NULL };
    if (argc > 1 && !strcmp(argv[1], "worker")) _exit(m8_proc_serve(3, services) ? 1 : 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same), cmocka_unit_test(test_damaged), cmocka_unit_test(test_killed), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
