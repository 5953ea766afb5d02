/* A model in a process of its own is as one in this: the same results, bit for bit, the same errors; killed, it is back at once. */
#include "worker_help.h"
#include "../torture.h"
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static void check_same(m8_model *here, m8_model *there, enum job job, int seed)
{
    m8_buf a = {0}, b = {0};
    m8_error err = {0};
    if (do_job(here, job, seed, NULL, &a, &err) || do_job(there, job, seed, NULL, &b, &err)) fail_msg("job %d: %s", job, err.text);
    assert_true(a.len > 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    m8_buf_finish(&a);
    m8_buf_finish(&b);
}

static void test_same(void **state)
{
    for (int tts = 0; tts < 2; tts++) {
        m8_model *here = open_here(tts ? tiny_tts : tiny_llm), *there = open_there(tts ? tiny_tts : tiny_llm);
        assert_string_equal(m8_model_family(there), m8_model_family(here));
        assert_int_equal(m8_model_tasks(there), m8_model_tasks(here));
        assert_int_equal(m8_model_params(there), m8_model_params(here));
        assert_int_equal(m8_speak_rate(there), m8_speak_rate(here));
        for (int seed = 0; seed < 20; seed++) {
            for (int job = tts ? SPEAK : CHAT; job < (tts ? N_JOBS : SPEAK); job++) check_same(here, there, (enum job)job, seed);
        }
        m8_proc_info info = m8_worker_about(there), none = m8_worker_about(here);
        assert_true(info.pid > 0 && info.n_started == 1 && info.state == M8_PROC_READY && !none.pid);
        m8_close(here);
        m8_close(there);
    }
}

static m8_status stop_with(void *user, const char *text, size_t n)
{
    int *left = user;
    return --*left ? M8_OK : M8_E_BUSY;
}

static void test_errors(void **state)
{
    m8_model *m, *here = open_here(tiny_llm), *there = open_there(tiny_llm);
    m8_error a = {0}, b = {0};
    assert_int_equal(m8_open_worker(&m, "/no/such/model", NULL, &a), M8_E_NOTFOUND);
    assert_null(m);
    assert_non_null(strstr(a.text, "/no/such/model"));
    assert_int_equal(m8_open_worker(&m, "", NULL, NULL), M8_E_ARG);
    assert_int_equal(m8_open_worker(NULL, "x", NULL, NULL), M8_E_ARG);
    m8_message bad = { "king", "hello" }, good = { "user", "hello" };
    m8_text_sink out = { add_text, &(m8_buf){ .limit = 1 } };
    for (int i = 0; i < 2; i++) {
        m8_model *one = i ? there : here;
        m8_error *err = i ? &b : &a;
        *err = (m8_error){0};
        assert_int_equal(m8_chat(one, &bad, 1, NULL, out, NULL, err), M8_E_ARG);
        *err = (m8_error){0};
        assert_int_equal(m8_chat(one, &good, 1, &(m8_chat_opts){ .max_tokens = -1 }, out, NULL, err), M8_E_ARG);
        *err = (m8_error){0};
        m8_buf text = {0};
        for (int k = 0; k < 3000; k++) m8_buf_str(&text, "long ");
        assert_int_equal(m8_complete(one, text.data, NULL, out, NULL, err), M8_E_LIMIT);
        m8_buf_finish(&text);
        int left = 3;
        *err = (m8_error){0};
        assert_int_equal(m8_complete(one, "go", NULL, (m8_text_sink){ stop_with, &left }, NULL, err), M8_E_BUSY);
        assert_int_equal(left, 0);
        assert_int_equal(err->status, M8_E_BUSY);
    }
    b = (m8_error){0};
    assert_int_equal(m8_speak(there, "ab", NULL, (m8_pcm_sink){ add_sound, &(m8_buf){ .limit = 1 } }, &b), M8_E_UNSUPPORTED);
    assert_int_equal(m8_transcribe(there, &(float){0}, 1, NULL, (m8_segment_sink){ add_segment, NULL }, NULL, NULL), M8_E_UNSUPPORTED);
    assert_int_equal(m8_verify(there, "x", NULL, NULL, NULL), M8_E_UNSUPPORTED);
    check_same(here, there, SCORE, 1);
    m8_close(here);
    m8_close(there);
}

/* ---- calls beside each other, and kills */

struct caller {
    m8_model *m[2];
    int i, done, died;
    atomic_bool *stop;
    _Atomic(double) *killed_s;
    double longest_s;
    m8_buf (*want)[N_JOBS];
    char wrong[300];
    pthread_t thread;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;
    for (int i = c->i; !atomic_load(c->stop) && !c->wrong[0]; i++) {
        enum job job = (enum job)(i % N_JOBS);
        int seed = i % 4;
        m8_buf got = {0};
        m8_error err = {0};
        m8_status st = do_job(c->m[job == SPEAK], job, seed, NULL, &got, &err);
        const m8_buf *want = &c->want[seed][job];
        if (!st) {
            c->done++;
            if (got.len != want->len || memcmp(got.data, want->data, got.len)) snprintf(c->wrong, sizeof c->wrong, "job %d: another result", job);
        } else if (st == M8_E_IO && strstr(err.text, "ended (signal 9)")) {
            double since = m8_now_s() - atomic_load(c->killed_s);
            c->longest_s = since > c->longest_s ? since : c->longest_s;
            c->died++;
        } else {
            snprintf(c->wrong, sizeof c->wrong, "job %d: %s: %s", job, m8_status_name(st), err.text);
        }
        m8_buf_finish(&got);
    }
    return NULL;
}

static void test_killed(void **state)
{
    enum { N = 4, SEEDS = 4 };
    static m8_buf want[SEEDS][N_JOBS];
    const char *few = getenv("MAGIC8_KILLS");
    int kills = few ? atoi(few) : 100, done = 0, died = 0;
    m8_model *here[2] = { open_here(tiny_llm), open_here(tiny_tts) }, *there[2] = { open_there(tiny_llm), open_there(tiny_tts) };
    for (int i = 0; i < SEEDS * N_JOBS; i++) {
        assert_int_equal(do_job(here[i % N_JOBS == SPEAK], (enum job)(i % N_JOBS), i / N_JOBS, NULL, &want[i / N_JOBS][i % N_JOBS], NULL), M8_OK);
    }
    atomic_bool stop = false;
    _Atomic(double) killed_s = 0;
    struct caller c[N];
    for (int i = 0; i < N; i++) {
        c[i] = (struct caller){ .m = { there[0], there[1] }, .i = i, .stop = &stop, .killed_s = &killed_s, .want = want };
        assert_int_equal(pthread_create(&c[i].thread, NULL, call_often, &c[i]), 0);
    }
    unsigned seed = 8;
    for (int i = 0; i < kills; i++) {
        pause_s((double)(rand_r(&seed) % 30000) * 1e-6);
        m8_proc_info info = m8_worker_about(there[i % 2]);
        if (info.state != M8_PROC_READY || info.pid <= 0) continue;
        atomic_store(&killed_s, m8_now_s());
        kill((pid_t)info.pid, SIGKILL);
    }
    pause_s(0.5);
    atomic_store(&stop, true);
    for (int i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        if (c[i].wrong[0]) fail_msg("%s", c[i].wrong);
        assert_true(c[i].longest_s < 2);
        done += c[i].done;
        died += c[i].died;
    }
    print_message("%d calls done, %d died\n", done, died);
    assert_true(done > 0 && died > 0);
    for (int job = 0; job < N_JOBS; job++) check_same(here[job == SPEAK], there[job == SPEAK], (enum job)job, 3);
    for (int i = 0; i < 2; i++) m8_close(here[i]), m8_close(there[i]);
    for (int i = 0; i < SEEDS * N_JOBS; i++) m8_buf_finish(&want[i / N_JOBS][i % N_JOBS]);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* A file that is cut while it is mapped costs the process (SIGBUS), not us; then it says what is wrong with the file. */
static void test_cut_file(void **state)
{
    char path[128], command[256];
    m8_model *m = NULL;
    m8_buf out = {0};
    m8_error err = {0};
    snprintf(path, sizeof path, "%s/cut.gguf", tiny_dir);
    snprintf(command, sizeof command, "cp %s %s", tiny_llm, path);
    assert_int_equal(system(command), 0);
    m8_worker_opts o = { .open = { 2, M8_FAST }, .proc.wait_s = 3 };
    assert_int_equal(m8_open_worker(&m, path, &o, &err), M8_OK);
    assert_int_equal(truncate(path, 4096), 0);
    m8_status st = do_job(m, CHAT, 1, NULL, &out, &err);
    assert_int_equal(st, M8_E_IO);
    assert_non_null(strstr(err.text, "ended (s")); /* signal 7; under a sanitizer a status */
    err = (m8_error){0};
    assert_int_equal(do_job(m, CHAT, 1, NULL, &out, &err), M8_E_BUSY);
    assert_non_null(strstr(err.text, "is not ready: "));
    assert_non_null(strstr(err.text, "cut.gguf"));
    snprintf(command, sizeof command, "cp %s %s", tiny_llm, path);
    assert_int_equal(system(command), 0); /* as it was: the process loads it without being asked */
    double from = m8_now_s();
    while (m8_worker_about(m).state != M8_PROC_READY && m8_now_s() < from + 10) pause_s(0.02);
    assert_int_equal(do_job(m, CHAT, 1, NULL, &out, NULL), M8_OK);
    m8_buf_finish(&out);
    m8_close(m);
}

/* The program itself as the process. */
static const char *program;

static void test_program(void **state)
{
    const char *const command[] = { program, "worker", NULL };
    if (!program || access(program, X_OK)) skip();
    m8_model *here = open_here(tiny_llm), *there = NULL;
    m8_error err = {0};
    m8_worker_opts o = { .open.n_threads = 2, .proc.command = command };
    if (m8_open_worker(&there, tiny_llm, &o, &err)) fail_msg("%s", err.text);
    for (int job = CHAT; job < SPEAK; job++) check_same(here, there, (enum job)job, 5);
    m8_close(here);
    m8_close(there);
}

static m8_status open_and_call(void *arg, m8_error *err)
{
    m8_model *m;
    m8_buf out = {0};
    m8_status st = m8_open_worker(&m, tiny_llm, &(m8_worker_opts){ .open.n_threads = 1, .proc.wait_s = 5 }, err);
    if (st) return st;
    st = do_job(m, CHAT, 1, NULL, &out, err);
    if (!st && out.status) st = m8_fail(err, out.status, "the sink");
    if (!st) st = do_job(m, SCORE, 1, NULL, &out, err);
    if (!st) st = do_job(m, TOKENS, 1, NULL, &out, err);
    m8_buf_finish(&out);
    m8_close(m);
    return st;
}

static void test_torture(void **state) { torture(open_and_call, NULL); }

/* ---- the real models, where they are */

struct long_call {
    m8_model *m;
    const float *samples;
    size_t n;
    m8_status status;
    double ended_s;
    m8_error err;
    pthread_t thread;
};

static void *call_long(void *arg)
{
    static const char text[] = "The answer is hidden where nobody looks for it. Ask the wind, and the wind will ask you. Then come back tomorrow.";
    struct long_call *c = arg;
    m8_buf out = {0};
    c->err = (m8_error){0};
    int tasks = m8_model_tasks(c->m);
    if (tasks & M8_TASK_CHAT) c->status = m8_complete(c->m, text, &(m8_chat_opts){ .temperature = 1, .max_tokens = 64 }, (m8_text_sink){ add_text, &out }, NULL, &c->err);
    else if (tasks & M8_TASK_TTS) c->status = m8_speak(c->m, text, NULL, (m8_pcm_sink){ add_sound, &out }, &c->err);
    else c->status = m8_transcribe(c->m, c->samples, c->n, NULL, (m8_segment_sink){ add_segment, &out }, NULL, &c->err);
    c->ended_s = m8_now_s();
    m8_buf_finish(&out);
    return NULL;
}

/* Killed in the middle of a call, the process of a real model is back, and the next call works. */
static void kill_often(const char *path, const float *samples, size_t n)
{
    struct long_call c = { .m = open_there(path), .samples = samples, .n = n };
    int died = 0;
    double longest_s = 0, back_s = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pthread_create(&c.thread, NULL, call_long, &c), 0);
        pause_s(0.01 + 0.03 * i);
        long pid = m8_worker_about(c.m).pid;
        double killed_s = m8_now_s();
        if (pid > 0) kill((pid_t)pid, SIGKILL);
        pthread_join(c.thread, NULL);
        if (c.status == M8_E_IO) {
            died++;
            if (c.ended_s - killed_s > longest_s) longest_s = c.ended_s - killed_s;
        } else if (c.status) {
            fail_msg("%s", m8_error_text(&c.err));
        }
        call_long(&c);
        if (c.status) fail_msg("%s", m8_error_text(&c.err));
        if (c.ended_s - killed_s > back_s) back_s = c.ended_s - killed_s;
    }
    print_message("%s: %d died, within %.3f s; the next was done within %.2f s\n", m8_model_family(c.m), died, longest_s, back_s);
    assert_true(longest_s < 2);
    m8_close(c.m);
}

static void test_real_killed(void **state)
{
    static const char *const names[] = { "SmolLM2-135M-Instruct.Q4_1.gguf", "en_US-joe-medium.onnx", "whisper-tiny.en" };
    size_t n = 16000 * 5;
    float *samples = m8_calloc(n, sizeof *samples);
    for (size_t i = 0; i < n; i++) samples[i] = (float)(i * 7919 % 1000) * (i % 8000 < 4000 ? 4e-4f : 1e-5f);
    for (int i = 0; i < 3; i++) {
        char *path = test_model(names[i]);
        if (path) kill_often(path, samples, n);
        m8_free(path);
    }
    m8_free(samples);
}

static void test_real_llm(void **state)
{
    char *path = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
    if (!path) skip();
    m8_model *here = open_here(path), *there = open_there(path);
    for (int job = CHAT; job < SPEAK; job++) check_same(here, there, (enum job)job, job);
    m8_close(here);
    m8_close(there);
    m8_free(path);
}

static void test_real_voice(void **state)
{
    static const char text[] = "The answer is hidden where nobody looks. It costs $3.50, n'est-ce pas?";
    char *path = test_model("en_US-joe-medium.onnx");
    if (!path) skip();
    m8_model *m[2] = { open_here(path), open_there(path) };
    m8_buf sound[2] = {0};
    m8_error err = {0};
    for (int i = 0; i < 2; i++) {
        if (m8_speak(m[i], text, &(m8_speak_opts){ .seed = 3 }, (m8_pcm_sink){ add_sound, &sound[i] }, &err)) fail_msg("%s", err.text);
    }
    assert_true(sound[0].len > 22050 * sizeof(float));
    assert_int_equal(sound[0].len, sound[1].len);
    assert_memory_equal(sound[0].data, sound[1].data, sound[0].len);
    for (int i = 0; i < 2; i++) m8_close(m[i]), m8_buf_finish(&sound[i]);
    m8_free(path);
}

static void test_real_ear(void **state)
{
    char *path = test_model("whisper-tiny.en"), *wav = path ? test_data("audio/jfk.wav") : NULL;
    if (!path) skip();
    m8_buf file = {0}, heard[2] = {0};
    m8_error err = {0};
    if (m8_read_file(&file, wav, &err)) fail_msg("%s", err.text);
    size_t n = (file.len - 78) / 2;
    float *samples = m8_malloc(n * sizeof *samples);
    for (size_t i = 0; i < n; i++) samples[i] = (float)((int16_t *)(void *)(file.data + 78))[i] / 32768;
    m8_model *m[2] = { open_here(path), open_there(path) };
    m8_transcribe_info info[2];
    for (int i = 0; i < 2; i++) {
        m8_transcribe_opts o = { .words = true, .prompt = "President Kennedy", .seed = 2 };
        if (m8_transcribe(m[i], samples, n, &o, (m8_segment_sink){ add_segment, &heard[i] }, &info[i], &err)) fail_msg("%s", err.text);
    }
    assert_true(heard[0].len > 100);
    assert_int_equal(heard[0].len, heard[1].len);
    assert_memory_equal(heard[0].data, heard[1].data, heard[0].len);
    assert_string_equal(info[0].language, info[1].language);
    assert_int_equal(info[0].n_windows, info[1].n_windows);
    assert_true(info[1].encode_s > 0 && info[1].decode_s > 0);
    for (int i = 0; i < 2; i++) m8_close(m[i]), m8_buf_finish(&heard[i]);
    m8_free(samples);
    m8_buf_finish(&file);
    m8_free(path);
    m8_free(wav);
}

int main(int argc, char **argv)
{
    be_worker(argc, argv);
    if (!make_tiny(argc, argv)) return 1;
    program = argc > 3 ? argv[3] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same), cmocka_unit_test(test_errors), cmocka_unit_test(test_killed), cmocka_unit_test(test_cut_file),
        cmocka_unit_test(test_program), cmocka_unit_test(test_torture), cmocka_unit_test(test_real_llm), cmocka_unit_test(test_real_voice), cmocka_unit_test(test_real_ear),
        cmocka_unit_test(test_real_killed),
    };
    json_set_alloc_funcs(m8_malloc, m8_free);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_tiny();
    return failed;
}
