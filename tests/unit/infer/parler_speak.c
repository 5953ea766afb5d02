/* Parler speaks (parler-tiny): as the original, the same alone and in company, in chunks or whole, here and in a process; and it ends when
 * it is told to. */
#include "models/parler_speech.h"
#include "torture.h"
#include "worker_help.h"
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>

static const char prompt[] = "It is decidedly so, my dear friend.", description[] = "Jenny speaks in a calm voice, with a very close recording.";
static char *dirs[2]; /* the older layout, the newer one */

static m8_model *open_layout(int layout, int threads, m8_precision precision)
{
    m8_model *m = NULL;
    m8_error err = {0};
    if (m8_open(&m, dirs[layout], &(m8_open_opts){ threads, precision }, &err)) fail_msg("%s", err.text);
    return m;
}

static m8_model *open_tiny(int threads, m8_precision precision) { return open_layout(0, threads, precision); }

struct heard {
    m8_buf sound;
    size_t chunks[400];
    int n, stop_at; /* chunks; after so many the sink says stop (0: never) */
    m8_status said;
};

static m8_status hear(void *user, const float *x, size_t n)
{
    struct heard *h = user;
    assert_true(n > 0 && h->n < 400);
    for (size_t i = 0; i < n; i++) assert_true(x[i] >= -1 && x[i] <= 1);
    m8_buf_add(&h->sound, x, n * sizeof *x);
    h->chunks[h->n++] = n;
    return h->n == h->stop_at ? h->said : M8_OK;
}

static m8_pcm_sink ear(struct heard *h) { return (m8_pcm_sink){ hear, h }; }

static void say(m8_model *m, const char *text, const m8_speak_opts *o, struct heard *h)
{
    m8_error err = {0};
    *h = (struct heard){0};
    if (m8_speak(m, text, o, ear(h), &err)) fail_msg("%s", err.text);
}

static void check_same(const struct heard *a, const struct heard *b)
{
    assert_int_equal(a->sound.len, b->sound.len);
    if (a->sound.len) assert_memory_equal(a->sound.data, b->sound.data, a->sound.len);
}

static void forget(struct heard *h) { m8_buf_finish(&h->sound); }

/* ---- as the original */

struct goldens {
    m8__weights *w;
    json_t *cases; /* of expected.json */
    json_t *all;
};

static void open_goldens(struct goldens *g, int layout)
{
    char *path = m8_join_path(dirs[layout], "expected.safetensors"), *facts = m8_join_path(dirs[layout], "expected.json");
    m8_error err = {0};
    g->all = json_load_file(facts, 0, NULL);
    g->cases = json_object_get(g->all, "cases");
    assert_non_null(g->cases);
    if (m8__weights_open(&g->w, path, &err)) fail_msg("%s", err.text);
    m8_free(path), m8_free(facts);
}

static void close_goldens(struct goldens *g)
{
    m8__weights_close(g->w);
    json_decref(g->all);
}

static int whole(const json_t *o, const char *key) { return (int)json_integer_value(json_object_get(o, key)); }

static void check_sound(const struct heard *h, const struct goldens *g, const char *name)
{
    const m8__tensor *t = m8__weights_find(g->w, name);
    const float *got = (const void *)h->sound.data, *want = (const void *)t->data;
    double far = 0;
    assert_int_equal(h->sound.len, t->size);
    for (int64_t i = 0; i < t->n; i++) far = fmax(far, fabs((double)got[i] - (double)want[i]));
    print_message("%s: %d chunks, off by %g\n", name, h->n, far);
    assert_true(far < 1e-5);
}

static void check_chunks(const struct heard *h, const json_t *stream)
{
    const json_t *sizes = json_object_get(stream, "chunk_samples");
    assert_int_equal(h->n, json_array_size(sizes));
    for (int k = 0; k < h->n; k++) assert_int_equal(h->chunks[k], json_integer_value(json_array_get(sizes, (size_t)k)));
}

/* Greedy calls give the original's sound; with play_steps_in_s in the original's chunks, but for those that begin before there is a frame. */
static void as_the_original(void **state)
{
    int n_streams = 0;
    for (int layout = 0; layout < 2; layout++) {
        struct goldens g;
        const char *name;
        json_t *one, *stream;
        m8_model *m = open_layout(layout, 2, M8_F32);
        int n_q = ((const struct parler *)m->impl)->n_q, hop = m8__dac_hop(((const struct parler *)m->impl)->dac), frame_rate = 44100 / hop;
        open_goldens(&g, layout);
        json_object_foreach(g.cases, name, one) {
            const json_t *kwargs = json_object_get(one, "kwargs");
            m8_speak_opts o = { .description = strcmp(name, "other") ? description : "A man shouts.", .temperature = -1,
                                .max_new_tokens = whole(kwargs, "max_new_tokens"), .min_new_tokens = whole(kwargs, "min_new_tokens") };
            struct heard h;
            char tensor[64];
            size_t i;
            snprintf(tensor, sizeof tensor, "%s.audio", name);
            say(m, prompt, &o, &h);
            check_sound(&h, &g, tensor);
            forget(&h);
            json_array_foreach(json_object_get(one, "streams"), i, stream) {
                int steps = whole(stream, "play_steps");
                o.play_steps_in_s = (float)((steps + 0.5) / frame_rate);
                if (o.play_steps_in_s < 0.2f || steps < 2 * n_q - 1 || !json_is_null(json_object_get(stream, "stride_arg"))) continue;
                say(m, prompt, &o, &h);
                check_sound(&h, &g, tensor);
                check_chunks(&h, stream);
                n_streams++;
                forget(&h);
            }
        }
        close_goldens(&g);
        m8_close(m);
    }
    assert_int_equal(n_streams, 2);
}

/* What the original's streamer hands out, seams and all. */
static void as_its_streamer(void **state)
{
    int n_streams = 0;
    for (int layout = 0; layout < 2; layout++) {
        struct goldens g;
        const char *key;
        json_t *one, *stream;
        m8_model *m = open_layout(layout, 1, M8_F32);
        const struct parler *p = m->impl;
        m8_error err = {0};
        nn_run r;
        assert_int_equal(nn_run_init(&r, NULL, NULL), M8_OK);
        open_goldens(&g, layout);
        json_object_foreach(g.cases, key, one) {
            char name[80];
            size_t s;
            snprintf(name, sizeof name, "%s.raw", key);
            const m8__tensor *raw = m8__weights_find(g.w, name);
            int n = (int)raw->dims[1], *columns = m8_malloc(raw->size);
            for (int i = 0; i < n * p->n_q; i++) memcpy(&columns[i], raw->data + (size_t)(i % p->n_q * n + i / p->n_q) * sizeof(int), sizeof(int));
            json_array_foreach(json_object_get(one, "streams"), s, stream) {
                struct heard h = {0};
                int steps = whole(stream, "play_steps"), stride = whole(stream, "stride");
                if (m8__parler_streamed(&r, p, columns, n, steps, stride, ear(&h), &err)) fail_msg("%s", err.text);
                check_sound(&h, &g, json_string_value(json_object_get(stream, "tensor")));
                check_chunks(&h, stream);
                n_streams++;
                forget(&h);
            }
            m8_free(columns);
        }
        nn_run_finish(&r);
        close_goldens(&g);
        m8_close(m);
    }
    assert_int_equal(n_streams, 9);
}

/* ---- the same, however */

struct caller {
    m8_model *m;
    const char *text;
    m8_speak_opts opts;
    double after_s;
    struct heard heard;
    m8_status status;
    m8_error err;
    double ended_s;
    pthread_t thread;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    pause_s(c->after_s);
    c->status = m8_speak(c->m, c->text, &c->opts, ear(&c->heard), &c->err);
    c->ended_s = m8_now_s();
    return NULL;
}

static struct caller one_of(m8_model *m, int i)
{
    static const char *const texts[] = { prompt, "Yes.", "Ask the wind, and the wind will ask you.", "No, I do not think so; come back tomorrow.", "What?" };
    static const char *const how[] = { NULL, description, "A man speaks very fast.", NULL, description };
    return (struct caller){ .m = m, .text = texts[i], .opts = { .seed = 40 + (uint64_t)i, .description = how[i], .max_new_tokens = 30 + 20 * i,
                                                                .play_steps_in_s = i == 2 ? 0.3f : 0 } };
}

static void in_company(void **state)
{
    enum { N = 5, TURNS = 6 };
    for (int way = 0; way < 4; way++) {
        int layout = way / 2, precision = way % 2;
        struct caller alone[N], c[N];
        m8_model *one = open_layout(layout, 1, (m8_precision)precision);
        for (int i = 0; i < N; i++) {
            alone[i] = one_of(one, i);
            call(&alone[i]);
            if (alone[i].status) fail_msg("%s", alone[i].err.text);
            assert_true(alone[i].heard.sound.len > 0);
        }
        unsigned seed = 5;
        for (int threads = 1; threads <= 5; threads += 1 + (threads > 1)) { /* 1, 2, 4 */
            m8_model *m = threads == 1 ? one : open_layout(layout, threads, (m8_precision)precision);
            for (int turn = 0; turn < TURNS; turn++) {
                for (int i = 0; i < N; i++) {
                    c[i] = one_of(m, i);
                    c[i].after_s = (double)(rand_r(&seed) % 20000) * 1e-6;
                    assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
                }
                for (int i = 0; i < N; i++) {
                    pthread_join(c[i].thread, NULL);
                    if (c[i].status) fail_msg("%s", c[i].err.text);
                    check_same(&c[i].heard, &alone[i].heard);
                    forget(&c[i].heard);
                }
            }
            if (m != one) m8_close(m);
        }
        for (int i = 0; i < N; i++) forget(&alone[i].heard);
        m8_close(one);
    }
}

/* The seed decides; another one says it otherwise. */
static void seeds(void **state)
{
    m8_model *m = open_tiny(2, M8_FAST);
    struct heard h[3];
    for (int i = 0; i < 3; i++) say(m, prompt, &(m8_speak_opts){ .seed = i == 2 ? 43 : 42, .max_new_tokens = 50 }, &h[i]);
    check_same(&h[0], &h[1]);
    assert_true(h[0].sound.len != h[2].sound.len || memcmp(h[0].sound.data, h[2].sound.data, h[0].sound.len));
    for (int i = 0; i < 3; i++) forget(&h[i]);
    m8_close(m);
}

/* A long text is spoken stretch by stretch: what is said of each, one behind the other. */
static void long_text(void **state)
{
    static const char first[] = "The answer is hidden where nobody looks for it; ask the wind, and the wind will ask you. Then come back tomorrow, and bring a friend, "
                                "or two of them, and a horse. It will rain in the evening.";
    m8_buf text = {0};
    m8_model *m = open_tiny(2, M8_FAST);
    m8_buf_printf(&text, "%s  And this, which would be too much, is the second part. ", first);
    struct heard whole, part, again;
    m8_speak_opts o = { .seed = 7, .max_new_tokens = 40, .min_new_tokens = 40 };
    say(m, text.data, &o, &whole);
    say(m, text.data, &o, &again);
    check_same(&whole, &again);
    say(m, first, &o, &part);
    assert_int_equal(part.sound.len, 32 * 512 * sizeof(float));
    assert_int_equal(whole.sound.len, 2 * part.sound.len);
    assert_memory_equal(whole.sound.data, part.sound.data, part.sound.len);
    forget(&part);
    o.seed += 0x9E3779B97F4A7C15u;
    say(m, "And this, which would be too much, is the second part.", &o, &part);
    assert_memory_equal(whole.sound.data + part.sound.len, part.sound.data, part.sound.len);
    forget(&whole), forget(&part), forget(&again);
    m8_buf_finish(&text);
    text.limit = 10000;
    for (int i = 0; text.len < 9900; i++) m8_buf_printf(&text, "%d, ", i); /* one sentence that never ends */
    o.max_new_tokens = o.min_new_tokens = 20;
    say(m, text.data, &o, &whole);
    print_message("%d chunks\n", whole.n);
    assert_true(whole.n >= 10000 / 240);
    forget(&whole);
    m8_buf_finish(&text);
    m8_close(m);
}

/* An end that never comes: the positions are the end. */
static void no_end(void **state)
{
    m8_model *m = open_tiny(2, M8_FAST);
    const struct parler *p = m->impl;
    struct heard h;
    say(m, "Yes.", &(m8_speak_opts){ .seed = 1, .min_new_tokens = 1000000 }, &h);
    size_t frames = h.sound.len / sizeof(float) / 512;
    assert_in_range(frames, p->max_pos - 40, p->max_pos);
    forget(&h);
    say(m, "Yes.", &(m8_speak_opts){ .seed = 1, .max_new_tokens = INT32_MAX, .min_new_tokens = INT32_MAX, .top_k = -1, .temperature = 3 }, &h);
    assert_int_equal(h.sound.len / sizeof(float) / 512, frames);
    forget(&h);
    m8_close(m);
}

/* ---- errors */

static void refused(void **state)
{
    m8_model *m = open_tiny(1, M8_FAST);
    m8_buf text = {0};
    for (int i = 0; i < 2000; i++) m8_buf_str(&text, "abc ");
    static const struct {
        const char *text;
        m8_speak_opts opts;
        m8_status status;
    } cases[] = {
        { "", { 0 }, M8_E_ARG }, { " \n\t ", { 0 }, M8_E_ARG }, { "... !?", { 0 }, M8_E_ARG },
        { "a", { .temperature = NAN }, M8_E_ARG }, { "a", { .temperature = 1000 }, M8_E_ARG }, { "a", { .min_new_tokens = -1 }, M8_E_ARG },
        { "a", { .max_new_tokens = -1 }, M8_E_ARG }, { "a", { .play_steps_in_s = 0.1f }, M8_E_ARG }, { "a", { .play_steps_in_s = NAN }, M8_E_ARG },
        { "a", { .play_steps_in_s = -1 }, M8_E_ARG }, { "a", { .play_steps_in_s = INFINITY }, M8_E_ARG },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heard h = {0};
        m8_error err = {0};
        assert_int_equal(m8_speak(m, cases[i].text, &cases[i].opts, ear(&h), &err), cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        assert_true(err.text[0] && !h.n);
    }
    struct heard h = {0};
    m8_error err = {0};
    assert_int_equal(m8_speak(m, "a", &(m8_speak_opts){ .description = text.data }, ear(&h), &err), M8_E_LIMIT);
    say(m, "a", &(m8_speak_opts){ .description = "", .max_new_tokens = 20, .min_new_tokens = 20 }, &h); /* no words on how to speak: the model's own way */
    assert_int_equal(h.sound.len, 12 * 512 * sizeof(float));
    forget(&h);
    m8_buf_finish(&text);
    m8_close(m);
}

/* The sink says stop at any chunk: its status, and the model speaks as before. */
static void sink_stops(void **state)
{
    m8_model *m = open_tiny(2, M8_FAST);
    struct heard want, h;
    m8_speak_opts o = { .seed = 3, .max_new_tokens = 90 };
    say(m, prompt, &o, &want);
    for (int i = 1; i <= want.n; i++) {
        m8_error err = {0};
        h = (struct heard){ .stop_at = i, .said = i % 2 ? M8_E_BUSY : M8_E_CANCELLED };
        m8_status st = m8_speak(m, prompt, &o, ear(&h), &err);
        if (h.n == i) assert_true(st == h.said && err.status == st);
        forget(&h);
    }
    say(m, prompt, &o, &h);
    check_same(&h, &want);
    forget(&h), forget(&want);
    m8_close(m);
}

/* Cancelled at many moments, others beside it hear nothing of it. */
static void cancelled(void **state)
{
    m8_model *m = open_tiny(2, M8_FAST);
    const char *few = getenv("MAGIC8_KILLS");
    int n = few ? atoi(few) : 150, stopped = 0;
    double worst_s = 0;
    struct caller want = one_of(m, 3), other, c;
    double took_s = m8_now_s();
    call(&want);
    took_s = m8_now_s() - took_s;
    for (int i = 0; i < n; i++) {
        c = one_of(m, 4);
        other = one_of(m, 3);
        c.opts.cancel = m8_cancel_new();
        c.opts.max_new_tokens = 400;
        if (i == 0) m8_cancel_set(c.opts.cancel);
        assert_int_equal(pthread_create(&c.thread, NULL, call, &c), 0);
        if (i % 3) assert_int_equal(pthread_create(&other.thread, NULL, call, &other), 0);
        pause_s(took_s * 2 * i / n);
        double from = m8_now_s();
        m8_cancel_set(c.opts.cancel);
        pthread_join(c.thread, NULL);
        assert_true(c.status == M8_OK || c.status == M8_E_CANCELLED);
        assert_int_equal(c.err.status, c.status);
        if (i == 0) assert_true(c.status && !c.heard.n);
        stopped += c.status != M8_OK;
        worst_s = fmax(worst_s, c.ended_s - from);
        if (i % 3) {
            pthread_join(other.thread, NULL);
            assert_int_equal(other.status, M8_OK);
            check_same(&other.heard, &want.heard);
            forget(&other.heard);
        }
        forget(&c.heard);
        m8_cancel_unref(c.opts.cancel);
    }
    print_message("%d of %d stopped, within %.1f ms\n", stopped, n, worst_s * 1e3);
    assert_true(stopped > 0 && worst_s < 2);
    forget(&want.heard);
    m8_close(m);
}

/* Who does not take his sound holds up nobody. */
static m8_status hold(void *user, const float *x, size_t n)
{
    while (!atomic_load((atomic_bool *)user)) pause_s(0.001);
    return M8_OK;
}

struct holder {
    m8_model *m;
    atomic_bool go;
    m8_status status;
};

static void *hold_on(void *arg)
{
    struct holder *h = arg;
    h->status = m8_speak(h->m, prompt, &(m8_speak_opts){ .seed = 2, .max_new_tokens = 300 }, (m8_pcm_sink){ hold, &h->go }, NULL);
    return NULL;
}

static void slow_sink(void **state)
{
    struct holder slow[3];
    m8_model *m = open_tiny(2, M8_FAST);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        slow[i] = (struct holder){ .m = m };
        assert_int_equal(pthread_create(&threads[i], NULL, hold_on, &slow[i]), 0);
    }
    struct heard h;
    say(m, prompt, &(m8_speak_opts){ .seed = 2, .max_new_tokens = 200 }, &h);
    forget(&h);
    for (int i = 0; i < 3; i++) {
        atomic_store(&slow[i].go, true);
        pthread_join(threads[i], NULL);
        assert_int_equal(slow[i].status, M8_OK);
    }
    m8_close(m);
}

/* Many descriptions, more than are kept, from several threads. */
static void *describe_often(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < 25 && !c->status; i++) {
        char how[64];
        struct heard h = {0};
        snprintf(how, sizeof how, "Somebody speaks for the %d. time.", i % 13);
        c->opts = (m8_speak_opts){ .description = how, .max_new_tokens = 17, .seed = 1 };
        c->status = m8_speak(c->m, "Yes.", &c->opts, ear(&h), &c->err);
        forget(&h);
    }
    return NULL;
}

static void descriptions(void **state)
{
    m8_model *m = open_tiny(2, M8_FAST);
    struct caller c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = (struct caller){ .m = m };
        assert_int_equal(pthread_create(&c[i].thread, NULL, describe_often, &c[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(c[i].thread, NULL);
        if (c[i].status) fail_msg("%s", c[i].err.text);
    }
    int n = 0;
    for (const struct described *d = ((const struct parler *)m->impl)->speech->described; d; d = d->next) {
        assert_int_equal(d->refs, 0);
        n++;
    }
    assert_in_range(n, 1, 8);
    m8_close(m);
}

static m8_status open_and_speak(void *arg, m8_error *err)
{
    m8_model *m = NULL;
    struct heard h = {0};
    m8_status st = m8_open(&m, dirs[0], &(m8_open_opts){ .n_threads = 2 }, err);
    if (!st) st = m8_speak(m, "Yes.", &(m8_speak_opts){ .max_new_tokens = 24 }, ear(&h), err);
    if (!st && h.sound.status) st = m8_fail(err, h.sound.status, "the sink");
    forget(&h);
    m8_close(m);
    return st;
}

static void no_memory(void **state)
{
    setenv("MAGIC8_TORTURE_MAX", "250", false);
    assert_true(torture(open_and_speak, NULL) > 50);
}

/* In a process, with every option. */
static void in_a_process(void **state)
{
    m8_model *here = open_tiny(2, M8_FAST), *there = open_there(dirs[0]);
    assert_string_equal(m8_model_family(there), "parler");
    assert_int_equal(m8_speak_rate(there), 44100);
    m8_speak_opts o = { .description = description, .temperature = 0.7f, .top_k = 20, .min_new_tokens = 30, .max_new_tokens = 60, .play_steps_in_s = 0.4f, .seed = 11 };
    struct heard a, b;
    say(here, prompt, &o, &a);
    say(there, prompt, &o, &b);
    check_same(&a, &b);
    assert_int_equal(a.n, b.n);
    for (int i = 0; i < a.n; i++) assert_int_equal(a.chunks[i], b.chunks[i]);
    forget(&a), forget(&b);
    m8_close(here), m8_close(there);
}

int main(int argc, char **argv)
{
    be_worker(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_original), cmocka_unit_test(as_its_streamer), cmocka_unit_test(in_company), cmocka_unit_test(seeds),
        cmocka_unit_test(long_text), cmocka_unit_test(no_end), cmocka_unit_test(refused), cmocka_unit_test(sink_stops),
        cmocka_unit_test(cancelled), cmocka_unit_test(slow_sink), cmocka_unit_test(descriptions), cmocka_unit_test(no_memory),
        cmocka_unit_test(in_a_process),
    };
    dirs[0] = test_data("parler-tiny");
    dirs[1] = test_data("parler-tiny-rope");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 2; i++) m8_free(dirs[i]);
    return failed;
}
