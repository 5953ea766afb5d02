/* Voices of random weights, small enough to be opened and damaged hundreds of times: of one speaker with residual blocks of type 2, of
 * three speakers with blocks of type 1. Letters are their phonemes, so no espeak-ng is needed. */
#include "models/vits.h"
#include "torture.h"
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct tiny {
    char name[64];
    int dims[3];
};
static struct tiny tensors[400];
static int n_tensors;
static char own_dir[] = "/tmp/m8-tiny-voice-XXXXXX", *dir = own_dir;

__attribute__((format(printf, 4, 5))) static void add(int a, int b, int c, const char *fmt, ...)
{
    struct tiny *t = &tensors[n_tensors++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, ap);
    va_end(ap);
    t->dims[0] = a;
    t->dims[1] = b;
    t->dims[2] = c;
}

static void add_conv(int n_out, int n_in, int k, const char *name)
{
    add(n_out, n_in, k, "%s.weight", name);
    add(n_out, 0, 0, "%s.bias", name);
}

static void add_norm(int c, const char *name)
{
    add(c, 0, 0, "%s.gamma", name);
    add(c, 0, 0, "%s.beta", name);
}

static void add_dds(int c, const char *prefix)
{
    char name[64];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.convs_sep.%d", prefix, i);
        add_conv(c, 1, 3, name);
        snprintf(name, sizeof name, "%s.convs_1x1.%d", prefix, i);
        add_conv(c, c, 1, name);
        for (int j = 1; j <= 2; j++) {
            snprintf(name, sizeof name, "%s.norms_%d.%d", prefix, j, i);
            add_norm(c, name);
        }
    }
}

static void make_tensors(int speakers)
{
    enum { H = 8, Z = 4, G = 6 };
    char name[64];
    n_tensors = 0;
    if (speakers) add(speakers, G, 0, "emb_g.weight");
    add(128, H, 0, "enc_p.emb.weight");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "enc_p.encoder.attn_layers.0.conv_%c", "qkvo"[i]);
        add_conv(H, H, 1, name);
    }
    add(1, 5, H / 2, "enc_p.encoder.attn_layers.0.emb_rel_k");
    add(1, 5, H / 2, "enc_p.encoder.attn_layers.0.emb_rel_v");
    add_conv(12, H, 3, "enc_p.encoder.ffn_layers.0.conv_1");
    add_conv(H, 12, 3, "enc_p.encoder.ffn_layers.0.conv_2");
    add_norm(H, "enc_p.encoder.norm_layers_1.0");
    add_norm(H, "enc_p.encoder.norm_layers_2.0");
    add_conv(2 * Z, H, 1, "enc_p.proj");
    add_conv(H, H, 1, "dp.pre");
    add_conv(H, H, 1, "dp.proj");
    if (speakers) add_conv(H, G, 1, "dp.cond");
    add_dds(H, "dp.convs");
    for (int i = 3; i <= 7; i += 2) {
        snprintf(name, sizeof name, "dp.flows.%d.pre", i);
        add_conv(H, 1, 1, name);
        snprintf(name, sizeof name, "dp.flows.%d.proj", i);
        add_conv(11, H, 1, name);
        snprintf(name, sizeof name, "dp.flows.%d.convs", i);
        add_dds(H, name);
    }
    add(2, 1, 0, "dp.flows.0.m");
    add(2, 1, 0, "dp.flows.0.logs");
    for (int i = 0; i <= 2; i += 2) {
        snprintf(name, sizeof name, "flow.flows.%d.pre", i);
        add_conv(H, Z / 2, 1, name);
        snprintf(name, sizeof name, "flow.flows.%d.post", i);
        add_conv(Z / 2, H, 1, name);
        snprintf(name, sizeof name, "flow.flows.%d.enc.cond_layer", i);
        if (speakers) add_conv(2 * H * 2, G, 1, name);
        for (int j = 0; j < 2; j++) {
            snprintf(name, sizeof name, "flow.flows.%d.enc.in_layers.%d", i, j);
            add_conv(2 * H, H, 5, name);
            snprintf(name, sizeof name, "flow.flows.%d.enc.res_skip_layers.%d", i, j);
            add_conv(j ? H : 2 * H, H, 1, name);
        }
    }
    add_conv(16, Z, 7, "dec.conv_pre");
    if (speakers) add_conv(16, G, 1, "dec.cond");
    add(16, 8, 8, "dec.ups.0.weight");
    add(8, 0, 0, "dec.ups.0.bias");
    add(8, 4, 8, "dec.ups.1.weight");
    add(4, 0, 0, "dec.ups.1.bias");
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < (speakers ? 6 : 2); j++) {
            if (speakers) snprintf(name, sizeof name, "dec.resblocks.%d.convs%d.%d", i, 1 + j / 3, j % 3);
            else snprintf(name, sizeof name, "dec.resblocks.%d.convs.%d", i, j);
            add_conv(i < 2 ? 8 : 4, i < 2 ? 8 : 4, i % 2 ? 5 : 3, name);
        }
    }
    add(1, 4, 7, "dec.conv_post.weight");
}

/* Without m8_write_file's fsync, which would be most of this test's time. */
static void write_plain(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* How the file differs from a good one. */
struct damage {
    int missing, wrong, nan; /* number of a tensor, from 1; 0: none */
    float fill;
    const char *config;
};

static void write_voice(const struct damage *d)
{
    json_t *head = json_object();
    m8_buf data = { 0 }, file = { 0 };
    uint32_t seed = 1;
    for (int i = 0; i < n_tensors; i++) {
        const struct tiny *t = &tensors[i];
        if (i + 1 == d->missing) continue;
        json_t *shape = json_array();
        size_t n = 1, from = data.len;
        for (int j = 0; j < 3 && t->dims[j]; j++) {
            int dim = t->dims[j] + (i + 1 == d->wrong && j == 0);
            json_array_append_new(shape, json_integer(dim));
            n *= (size_t)dim;
        }
        for (size_t j = 0; j < n; j++) {
            seed = seed * 1664525 + 1013904223;
            float x = i + 1 == d->nan ? d->fill : ((float)(seed >> 8) / (1 << 24) - 0.5f) * 0.6f;
            m8_buf_add(&data, &x, sizeof x);
        }
        json_object_set_new(head, t->name, json_pack("{s:s, s:o, s:[i,i]}", "dtype", "F32", "shape", shape, "data_offsets", (int)from, (int)data.len));
    }
    char *text = json_dumps(head, JSON_COMPACT), *path = m8_join_path(dir, "model.safetensors"), *config = m8_join_path(dir, "config.json");
    uint64_t len = strlen(text);
    m8_buf_add(&file, &len, sizeof len);
    m8_buf_str(&file, text);
    m8_buf_add(&file, data.data, data.len);
    write_plain(path, file.data, file.len);
    static const char good[] = "{\"phoneme_type\":\"text\",\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0],\"a\":[14],\"b\":[15],\" \":[3],\".\":[10]},"
                               "\"audio\":{\"sample_rate\":16000},\"inference\":{\"noise_scale\":0.6,\"length_scale\":1,\"noise_w\":0.8}}";
    const char *c = d->config ? d->config : good;
    write_plain(config, c, strlen(c));
    free(text);
    m8_free(path);
    m8_free(config);
    m8_buf_finish(&data);
    m8_buf_finish(&file);
    json_decref(head);
}

struct heard {
    size_t n;
    bool bad;
};

static m8_status hear(void *user, const float *x, size_t n)
{
    struct heard *h = user;
    for (size_t i = 0; i < n; i++) h->bad |= !(x[i] >= -1 && x[i] <= 1);
    h->n += n;
    return M8_OK;
}

static m8_status open_and_speak(void *arg, m8_error *err)
{
    struct heard *h = arg, unused = { 0 };
    m8_model *m = NULL;
    if (!h) h = &unused;
    *h = (struct heard){ 0 };
    m8_status st = m8_open(&m, dir, &(m8_open_opts){ .n_threads = 1 }, err);
    if (!st) st = m8_speak(m, "ab ba. a", NULL, (m8_pcm_sink){ hear, h }, err);
    m8_close(m);
    return st;
}

static void windows(int speaker)
{
    static const int ids[] = { 1, 0, 14, 0, 15, 0, 3, 0, 14, 0, 15, 0, 2 };
    m8_model *m = NULL;
    m8_error err = { 0 };
    if (m8_open(&m, dir, NULL, &err)) fail_msg("%s", err.text);
    const struct vits *v = m->impl;
    nn_run *r = m8__vits_take_run(m, NULL);
    struct vits_noise noise = { .scale = 0.6f, .w = 0.8f, .seed = 9 };
    struct vits_plan plan;
    const float *g = v->speakers ? v->speakers + (size_t)speaker * v->gin : NULL;
    assert_int_equal(v->n_speakers, v->speakers ? 3 : 0);
    assert_int_equal(v->hop, 16);
    assert_int_equal(m8__vits_plan(r, v, ids, sizeof ids / sizeof *ids, 6, &noise, g, &plan), M8_OK);
    nn_t z = m8__vits_latent(r, v, &plan, &noise, 0, plan.n_frames), whole = m8__vits_decode(r, v, &plan, z, 0, 0, plan.n_frames);
    for (int from = 0, n = 3; from < plan.n_frames; from += n) {
        int first, end;
        if (n > plan.n_frames - from) n = plan.n_frames - from;
        m8__vits_context(v, plan.n_frames, from, n, &first, &end);
        nn_t sound = m8__vits_decode(r, v, &plan, m8__vits_latent(r, v, &plan, &noise, first, end - first), first, from, n);
        assert_int_equal(r->status, M8_OK);
        assert_memory_equal(sound.d, whole.d + (size_t)from * v->hop, (size_t)n * v->hop * sizeof *sound.d);
    }
    m8__vits_return_run(m, r);
    m8_close(m);
}

static void whole_voices(void **state)
{
    for (int speakers = 0; speakers <= 3; speakers += 3) {
        struct heard h;
        m8_error err = { 0 };
        make_tensors(speakers);
        write_voice(&(struct damage){ 0 });
        if (open_and_speak(&h, &err)) fail_msg("%s", err.text);
        assert_true(h.n > 0 && !h.bad);
        windows(speakers ? 2 : 0);
    }
}

struct voice_call {
    m8_model *m;
    m8_buf sound;
};

static m8_status keep(void *user, const float *x, size_t n)
{
    m8_buf_add(user, x, n * sizeof *x);
    return M8_OK;
}

static void *speak_once(void *arg)
{
    struct voice_call *c = arg;
    m8_speak(c->m, "ab ba. a bab", &(m8_speak_opts){ .seed = 5, .length_scale = 4 }, (m8_pcm_sink){ keep, &c->sound }, NULL);
    return NULL;
}

/* Calls in flight together give what each gives alone. */
static void in_company(void **state)
{
    enum { N = 4 };
    m8_model *m = NULL;
    pthread_t threads[N];
    make_tensors(0);
    write_voice(&(struct damage){ 0 });
    assert_int_equal(m8_open(&m, dir, &(m8_open_opts){ .n_threads = 3 }, NULL), M8_OK);
    struct voice_call alone = { .m = m }, calls[N];
    speak_once(&alone);
    assert_true(alone.sound.len > 0);
    for (int i = 0; i < N; i++) {
        calls[i] = (struct voice_call){ .m = m };
        assert_int_equal(pthread_create(&threads[i], NULL, speak_once, &calls[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(calls[i].sound.len, alone.sound.len);
        assert_memory_equal(calls[i].sound.data, alone.sound.data, alone.sound.len);
        m8_buf_finish(&calls[i].sound);
    }
    m8_buf_finish(&alone.sound);
    m8_close(m);
}

/* Each tensor missing, of another shape, or full of what no voice has: an error with a line, or bounded sound without NaN. */
static void damaged_voices(void **state)
{
    static const float fills[] = { NAN, INFINITY, -1e30f, 1e30f };
    for (int speakers = 0; speakers <= 3; speakers += 3) {
        make_tensors(speakers);
        for (int i = 1; i <= n_tensors; i++) {
            struct heard h;
            for (int way = 0; way < 6; way++) {
                m8_error err = { 0 };
                struct damage d = { .missing = way == 0 ? i : 0, .wrong = way == 1 ? i : 0, .nan = way > 1 ? i : 0, .fill = way > 1 ? fills[way - 2] : 0 };
                write_voice(&d);
                m8_status st = open_and_speak(&h, &err);
                if (way > 1) assert_int_equal(st, M8_OK);
                else if (st) assert_true((st == M8_E_FORMAT || st == M8_E_UNSUPPORTED) && err.text[0]);
                assert_false(h.bad);
                assert_true(h.n <= 2 * 61 * 16000);
            }
        }
    }
}

static void damaged_configs(void **state)
{
    static const char *const configs[] = {
        "{}", "[]", "{\"phoneme_type\":\"text\"}",
        "{\"phoneme_type\":\"text\",\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0],\"a\":[128]}}",
        "{\"phoneme_type\":\"text\",\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0],\"a\":[4]},\"audio\":{\"sample_rate\":0}}",
        "{\"phoneme_type\":\"text\",\"phoneme_id_map\":{\"^\":[1],\"$\":[2],\"_\":[0],\"a\":[\"x\"]}}",
    };
    make_tensors(0);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        m8_error err = { 0 };
        write_voice(&(struct damage){ .config = configs[i] });
        assert_int_equal(open_and_speak(NULL, &err), M8_E_FORMAT);
        assert_true(err.text[0] != 0);
    }
}

static void failing_calls(void **state)
{
    make_tensors(3);
    write_voice(&(struct damage){ 0 });
    assert_true(torture(open_and_speak, NULL) > 50);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "write")) { /* a voice for other tests */
        dir = argv[2];
        make_tensors(3);
        write_voice(&(struct damage){ 0 });
        return 0;
    }
    if (!mkdtemp(dir)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_voices), cmocka_unit_test(in_company),
        cmocka_unit_test(damaged_voices), cmocka_unit_test(damaged_configs), cmocka_unit_test(failing_calls),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        char *path = m8_join_path(dir, i ? "config.json" : "model.safetensors");
        unlink(path);
        m8_free(path);
    }
    rmdir(dir);
    return failed;
}
