/* A call that is cancelled ends at its next step, whatever it is doing, and leaves the model as it was; others beside it are not touched. */
#include "turns.h"
#include "worker_help.h"
#include <stdatomic.h>

struct cancelled {
    m8_model *m;
    enum job job;
    int seed;
    m8_cancel *cancel;
    m8_buf out;
    m8_status status;
    m8_error err;
    double ended_s;
    pthread_t thread;
};

static void *call(void *arg)
{
    struct cancelled *c = arg;
    c->status = do_job(c->m, c->job, c->seed, c->cancel, &c->out, &c->err);
    c->ended_s = m8_now_s();
    return NULL;
}

static void check_same(const m8_buf *a, const m8_buf *b)
{
    assert_int_equal(a->len, b->len);
    if (a->len) assert_memory_equal(a->data, b->data, a->len);
}

/* Jobs that take a token. */
static const enum job jobs[] = { CHAT, COMPLETE, SCORE, SPEAK };

static void test_before(void **state)
{
    m8_cancel *c = m8_cancel_new();
    m8_cancel_set(c);
    for (int i = 0; i < 4; i++) {
        m8_model *m = open_here(jobs[i] == SPEAK ? tiny_tts : tiny_llm);
        m8_buf out = {0};
        m8_error err = {0};
        assert_int_equal(do_job(m, jobs[i], 1, c, &out, &err), M8_E_CANCELLED);
        assert_int_equal(err.status, M8_E_CANCELLED);
        assert_int_equal(out.len, 0);
        assert_int_equal(do_job(m, jobs[i], 1, NULL, &out, &err), M8_OK);
        m8_buf_finish(&out);
        m8_close(m);
    }
    m8_cancel_unref(c);
}

/* At many moments; here, and in a process. */
static void at_moments(bool there)
{
    const char *few = getenv("MAGIC8_KILLS");
    int n = few ? atoi(few) : 150, stopped[4] = {0};
    for (int i = 0; i < 4; i++) {
        const char *path = jobs[i] == SPEAK ? tiny_tts : tiny_llm;
        m8_model *m = there ? open_there(path) : open_here(path);
        m8_buf want = {0};
        assert_int_equal(do_job(m, jobs[i], 1, NULL, &want, NULL), M8_OK);
        double took_s = m8_now_s();
        m8_buf again = {0};
        assert_int_equal(do_job(m, jobs[i], 1, NULL, &again, NULL), M8_OK);
        took_s = m8_now_s() - took_s;
        check_same(&again, &want);
        m8_buf_finish(&again);
        for (int k = 0; k < n; k++) {
            struct cancelled c = { .m = m, .job = jobs[i], .seed = 1, .cancel = m8_cancel_new() };
            assert_int_equal(pthread_create(&c.thread, NULL, call, &c), 0);
            pause_s(took_s * 1.2 * k / n);
            double from = m8_now_s();
            m8_cancel_set(c.cancel);
            pthread_join(c.thread, NULL);
            assert_true(c.status == M8_OK || c.status == M8_E_CANCELLED);
            assert_int_equal(c.err.status, c.status);
            assert_true(c.ended_s - from < 2);
            if (c.status) stopped[i]++;
            else check_same(&c.out, &want);
            m8_buf_finish(&c.out);
            m8_cancel_unref(c.cancel);
            if (k % 10) continue;
            assert_int_equal(do_job(m, jobs[i], 1, NULL, &c.out, NULL), M8_OK);
            check_same(&c.out, &want);
            m8_buf_finish(&c.out);
        }
        assert_true(stopped[i] > 0);
        if (there) assert_int_equal(m8_worker_about(m).n_started, 1); /* none was killed for it */
        m8_buf_finish(&want);
        m8_close(m);
    }
    print_message("stopped: chat %d, complete %d, score %d, speak %d of %d\n", stopped[0], stopped[1], stopped[2], stopped[3], n);
}

static void test_here(void **state) { at_moments(false); }
static void test_there(void **state) { at_moments(true); }

/* Others in the same passes get what they would have got alone. */
static void test_company(void **state)
{
    enum { N = 3, TURNS = 30 };
    for (int i = 0; i < 4; i++) {
        m8_model *m = open_here(jobs[i] == SPEAK ? tiny_tts : tiny_llm);
        m8_buf want[N] = {0};
        for (int k = 0; k < N; k++) assert_int_equal(do_job(m, jobs[i], k, NULL, &want[k], NULL), M8_OK);
        for (int turn = 0; turn < TURNS; turn++) {
            enum job other = jobs[i] == SPEAK ? SPEAK : jobs[turn % 3];
            struct cancelled victim = { .m = m, .job = other, .seed = turn, .cancel = m8_cancel_new() };
            struct cancelled c[N];
            assert_int_equal(pthread_create(&victim.thread, NULL, call, &victim), 0);
            for (int k = 0; k < N; k++) {
                c[k] = (struct cancelled){ .m = m, .job = jobs[i], .seed = k };
                assert_int_equal(pthread_create(&c[k].thread, NULL, call, &c[k]), 0);
            }
            pause_s(turn * 0.0003);
            m8_cancel_set(victim.cancel);
            for (int k = 0; k < N; k++) {
                pthread_join(c[k].thread, NULL);
                assert_int_equal(c[k].status, M8_OK);
                check_same(&c[k].out, &want[k]);
                m8_buf_finish(&c[k].out);
            }
            pthread_join(victim.thread, NULL);
            assert_true(victim.status == M8_OK || victim.status == M8_E_CANCELLED);
            m8_buf whole = {0};
            if (!victim.status) assert_int_equal(do_job(m, other, turn, NULL, &whole, NULL), M8_OK);
            if (!victim.status) check_same(&victim.out, &whole); /* it had come to its end, not only to ours */
            m8_buf_finish(&whole);
            m8_buf_finish(&victim.out);
            m8_cancel_unref(victim.cancel);
        }
        for (int k = 0; k < N; k++) m8_buf_finish(&want[k]);
        m8_close(m);
    }
}

/* A call that waits for room in the cache, which a call with a slow reader holds, leaves at once. */
static m8_status block(void *user, const char *text, size_t n)
{
    while (!atomic_load((atomic_bool *)user)) pause_s(0.001);
    return M8_OK;
}

struct holder {
    m8_model *m;
    atomic_bool go;
};

static void *hold_all(void *arg)
{
    struct holder *h = arg;
    m8_chat_opts o = { .max_tokens = 2000, .temperature = 1, .seed = 9 };
    m8_complete(h->m, "hold", &o, (m8_text_sink){ block, &h->go }, NULL, NULL);
    return NULL;
}

static void test_waiting(void **state)
{
    struct holder h = { .m = open_here(tiny_llm) };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_all, &h), 0);
    pause_s(0.1);
    struct cancelled c = { .m = h.m, .job = COMPLETE, .seed = 40, .cancel = m8_cancel_new() };
    assert_int_equal(pthread_create(&c.thread, NULL, call, &c), 0);
    pause_s(0.05);
    double from = m8_now_s();
    m8_cancel_set(c.cancel);
    pthread_join(c.thread, NULL);
    assert_true(m8_now_s() - from < 2);
    assert_true(c.status == M8_E_CANCELLED || c.status == M8_OK);
    atomic_store(&h.go, true);
    pthread_join(thread, NULL);
    m8_cancel_unref(c.cancel);
    m8_buf_finish(&c.out);
    m8_close(h.m);
}

/* ---- turns */

struct taking {
    struct m8__turns *t;
    int i, *order, (*waits)[2]; /* [turns taken so far], when a wait began and ended */
    atomic_int *taken;
    int n;
    pthread_t thread;
};

enum { TAKERS = 6, TAKES = 200 };

static void *take_often(void *arg)
{
    struct taking *a = arg;
    struct m8__taker k;
    m8__taker_init(&k, a->t, NULL);
    for (a->n = 0; a->n < TAKES; a->n++) {
        a->waits[a->n][0] = atomic_load(a->taken);
        assert_int_equal(m8__turn_take(&k), M8_OK);
        a->waits[a->n][1] = atomic_fetch_add(a->taken, 1);
        assert_in_range(k.turn, 0, MOST_TURNS - 1);
        pause_s(0.00005);
        m8__turn_give(&k);
    }
    m8__taker_finish(&k);
    return NULL;
}

/* Nobody is passed by: while one waits, each of the others has a turn or two, no more. */
static void test_turns(void **state)
{
    static int waits[TAKERS][TAKES][2];
    struct m8__turns t;
    struct taking a[TAKERS];
    atomic_int taken = 0;
    m8__turns_init(&t, MOST_TURNS);
    for (int i = 0; i < TAKERS; i++) {
        a[i] = (struct taking){ .t = &t, .i = i, .waits = waits[i], .taken = &taken };
        assert_int_equal(pthread_create(&a[i].thread, NULL, take_often, &a[i]), 0);
    }
    int longest = 0;
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(a[i].thread, NULL);
        for (int k = 0; k < TAKES; k++) longest = waits[i][k][1] - waits[i][k][0] > longest ? waits[i][k][1] - waits[i][k][0] : longest;
    }
    m8__turns_finish(&t);
    print_message("at most %d turns of others between asking and having\n", longest);
    assert_int_equal(atomic_load(&taken), TAKERS * TAKES);
    assert_in_range(longest, 1, 3 * TAKERS); /* the counter is read a moment before the place in the queue is taken */
}

static void test_turns_cancelled(void **state)
{
    struct m8__turns t;
    struct m8__taker k[4];
    m8_cancel *c = m8_cancel_new();
    m8__turns_init(&t, MOST_TURNS);
    for (int i = 0; i < 4; i++) m8__taker_init(&k[i], &t, i == 3 ? c : NULL);
    assert_int_equal(m8__turn_take(&k[0]), M8_OK);
    assert_int_equal(m8__turn_take(&k[1]), M8_OK);
    assert_int_not_equal(k[0].turn, k[1].turn);
    m8_cancel_set(c);
    assert_int_equal(m8__turn_take(&k[3]), M8_E_CANCELLED);
    assert_int_equal(k[3].turn, -1);
    m8__turn_give(&k[1]);
    assert_int_equal(m8__turn_take(&k[2]), M8_OK);
    m8__turn_give(&k[2]);
    m8__turn_give(&k[2]);
    m8__turn_give(&k[0]);
    assert_int_equal(t.taken, 0);
    for (int i = 0; i < 4; i++) m8__taker_finish(&k[i]);
    m8_cancel_unref(c);
    m8__turns_finish(&t);
}

/* ---- how soon, with the real models */

struct real_call {
    m8_model *llm, *tts, *asr;
    const float *samples;
    size_t n;
    m8_cancel *cancel;
    m8_status status;
    double ended_s;
    pthread_t thread;
};

static m8_status no_text(void *user, const char *text, size_t n) { return M8_OK; }
static m8_status no_sound(void *user, const float *x, size_t n) { return M8_OK; }
static m8_status no_segment(void *user, const m8_segment *s) { return M8_OK; }

static void *call_real(void *arg)
{
    struct real_call *c = arg;
    m8_buf text = {0};
    for (int i = 0; i < 120; i++) m8_buf_printf(&text, "And %d is followed by %d. ", i, i + 1);
    if (c->llm) c->status = m8_complete(c->llm, text.data, &(m8_chat_opts){ .cancel = c->cancel }, (m8_text_sink){ no_text, NULL }, NULL, NULL);
    if (c->tts) c->status = m8_speak(c->tts, text.data, &(m8_speak_opts){ .cancel = c->cancel }, (m8_pcm_sink){ no_sound, NULL }, NULL);
    if (c->asr) c->status = m8_transcribe(c->asr, c->samples, c->n, &(m8_transcribe_opts){ .cancel = c->cancel, .full_window = true },
                                          (m8_segment_sink){ no_segment, NULL }, NULL, NULL);
    c->ended_s = m8_now_s();
    m8_buf_finish(&text);
    return NULL;
}

/* Of the processor: a machine that runs other things, too, is no fault of the model's. */
static double spent_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void how_soon(struct real_call *kind, const char *what)
{
    double worst = 0, most = 0;
    for (int i = 0; i < 12; i++) {
        struct real_call c = *kind;
        c.cancel = m8_cancel_new();
        assert_int_equal(pthread_create(&c.thread, NULL, call_real, &c), 0);
        pause_s(0.02 + 0.025 * i);
        double from = m8_now_s(), spent = spent_s();
        m8_cancel_set(c.cancel);
        pthread_join(c.thread, NULL);
        assert_int_equal(c.status, M8_E_CANCELLED);
        if (c.ended_s - from > worst) worst = c.ended_s - from;
        if (spent_s() - spent > most) most = spent_s() - spent;
        m8_cancel_unref(c.cancel);
    }
    print_message("%s: cancelled within %.1f ms, %.1f ms of work\n", what, worst * 1e3, most * 1e3);
    assert_true(most < 0.2 && worst < 5);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWED = 1 }; /* real models are ten times slower then, and the small ones have shown the same */
#else
enum { SLOWED = 0 };
#endif

static void test_real(void **state)
{
    if (SLOWED) skip();
    char *llm = test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), *tts = test_model("en_US-joe-medium.onnx"), *asr = test_model("whisper-base");
    if (!llm || !tts || !asr) skip();
    struct real_call c = { .llm = open_here(llm) };
    how_soon(&c, "a long prompt");
    m8_close(c.llm);
    c = (struct real_call){ .tts = open_here(tts) };
    how_soon(&c, "a long speech");
    m8_close(c.tts);
    size_t n = 16000 * 40;
    float *samples = m8_calloc(n, sizeof *samples);
    unsigned seed = 1;
    for (size_t i = 0; i < n; i++) samples[i] = (float)(rand_r(&seed) % 1000) * (i % 8000 < 4000 ? 4e-4f : 1e-5f);
    c = (struct real_call){ .asr = open_here(asr), .samples = samples, .n = n };
    how_soon(&c, "40 s of sound");
    m8_close(c.asr);
    c = (struct real_call){ .llm = open_there(llm) };
    how_soon(&c, "a long prompt, in a process");
    assert_int_equal(m8_worker_about(c.llm).n_started, 1);
    m8_close(c.llm);
    m8_free(samples);
    m8_free(llm);
    m8_free(tts);
    m8_free(asr);
}

int main(int argc, char **argv)
{
    be_worker(argc, argv);
    if (!make_tiny(argc, argv)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before), cmocka_unit_test(test_here), cmocka_unit_test(test_there), cmocka_unit_test(test_company),
        cmocka_unit_test(test_waiting), cmocka_unit_test(test_turns), cmocka_unit_test(test_turns_cancelled), cmocka_unit_test(test_real),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_tiny();
    return failed;
}
