/* What Parler's time and agreement are made of, seen from inside: its parts one by one, and how often the choices of a model in fewer
 * bits are those of float32. (`magic8 bench tts` times the whole, from outside.)
 *
 *     parts time MODEL [THREADS [STEPS]]          one JSON object a line, the last with the names of bench/peers/parler.py --parts
 *     parts agree MODEL OTHER [STEPS [DIGITS]]    OTHER as it speaks beside MODEL in float32, fed the same columns; DIGITS 1 or 2 of
 *                                                 the activations in all layers, 0: what the model chooses, 32: OTHER
 *                                                 in float32, too: what its weights alone have lost */
#include "models/dac.h"
#include "models/parler.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTION = 34, PROMPT = 12, FRAMES = 163, VOICES = 8 };

static m8_error err;

static void check(m8_status st)
{
    if (!st) return;
    fprintf(stderr, "%s\n", m8_error_text(&err));
    exit(1);
}

struct opened {
    m8_model *model;
    struct parler *m;
    nn_run run;
    struct parler_cross *cross;
    struct parler_seq *seq[VOICES];
};

static const int *ids(int n, int most)
{
    static int out[64];
    uint64_t s = 1;
    for (int i = 0; i < n; i++) out[i] = 5 + (int)((s = s * 6364136223846793005u + 1) >> 33) % (most - 10);
    return out;
}

static void open_model(struct opened *o, const char *path, m8_precision precision, int threads)
{
    check(m8_open(&o->model, path, &(m8_open_opts){ .n_threads = threads, .precision = precision }, &err));
    if (strcmp(m8_model_family(o->model), "parler")) {
        fprintf(stderr, "%s: not a Parler-TTS model\n", path);
        exit(1);
    }
    o->m = o->model->impl;
    check(nn_run_init(&o->run, o->model->pool, &err));
}

static void describe(struct opened *o)
{
    nn_reset(&o->run);
    int prompt[PROMPT];
    memcpy(prompt, ids(PROMPT, o->m->n_prompt_vocab), sizeof prompt);
    check(m8__parler_cross_new(&o->cross, &o->run, o->m, ids(DESCRIPTION, o->m->t5.n_vocab), DESCRIPTION, prompt, PROMPT, &err));
}

/* One more column for the first n voices; logits in the run's arena. first: behind the prompt. */
static nn_t step(struct opened *o, int n, const int *column, bool first)
{
    struct parler_step s[VOICES];
    for (int i = 0; i < n; i++) {
        s[i] = (struct parler_step){ .seq = o->seq[i], .column = column };
        if (first && !o->m->prompt_cross) s[i].prompt = ids(PROMPT, o->m->n_prompt_vocab), s[i].n_prompt = PROMPT;
    }
    nn_reset(&o->run);
    nn_t logits = m8__parler_step(&o->run, o->m, s, n, NULL, NULL);
    check(o->run.status ? m8_fail(&err, o->run.status, "a step") : M8_OK);
    return logits;
}

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double say(const char *what, double *s, int n)
{
    qsort(s, (size_t)n, sizeof *s, by_size);
    printf("{\"part\": \"%s\", \"best_s\": %.5f, \"median_s\": %.5f}\n", what, s[0], s[n / 2]);
    fflush(stdout);
    return s[n / 2];
}

/* Frames through the codec, `each` at a time. */
static double decode(struct opened *o, const int *codes, int n, int each)
{
    double start = m8_now_s();
    struct dac_stream *s;
    check(m8__dac_stream_new(&s, o->m->dac, &err));
    for (int at = 0; at < n; at += each) {
        nn_reset(&o->run);
        int now = n - at < each ? n - at : each;
        m8__dac_push(&o->run, s, codes + (ptrdiff_t)at * o->m->n_q, now, at + now == n, NULL, NULL);
        check(o->run.status ? m8_fail(&err, o->run.status, "the codec") : M8_OK);
    }
    m8__dac_stream_free(s);
    return m8_now_s() - start;
}

static void time_parts(const char *path, int threads, int steps)
{
    struct opened o = {0};
    double s[1024], start = m8_now_s();
    open_model(&o, path, M8_FAST, threads);
    printf("{\"part\": \"open\", \"best_s\": %.3f}\n", m8_now_s() - start);
    for (int i = 0; i < 7; i++) {
        nn_reset(&o.run);
        start = m8_now_s();
        m8__t5_encode(&o.run, &o.m->t5, ids(DESCRIPTION, o.m->t5.n_vocab), DESCRIPTION, NULL, NULL);
        s[i] = m8_now_s() - start;
    }
    double t5_s = say("T5, 34 tokens", s, 7);
    for (int i = 0; i < 7; i++) {
        m8__parler_cross_free(o.cross);
        start = m8_now_s();
        describe(&o);
        s[i] = m8_now_s() - start;
    }
    say("T5 and the keys of cross-attention", s, 7);
    int column[PARLER_MOST_Q];
    for (int i = 0; i < o.m->n_q; i++) column[i] = o.m->bos;
    double prefill_s = 0, step_s = 0;
    for (int voices = 1; voices <= VOICES; voices *= 2) {
        for (int again = 0; again < 3; again++) {
            for (int i = 0; i < voices; i++) {
                m8__parler_seq_free(o.seq[i]);
                check(m8__parler_seq_new(&o.seq[i], o.m, o.cross, PROMPT + 1024 < o.m->max_pos ? PROMPT + 1024 : o.m->max_pos, &err));
            }
            start = m8_now_s();
            step(&o, voices, column, true);
            s[again] = m8_now_s() - start;
        }
        char what[64];
        snprintf(what, sizeof what, "first pass, 12 tokens and a column, %d voices", voices);
        double first_s = say(what, s, 3);
        for (int i = 0; i < steps; i++) {
            for (int k = 0; k < o.m->n_q; k++) column[k] = (i * 131 + k * 37) % 1000;
            start = m8_now_s();
            step(&o, voices, column, false);
            s[i] = m8_now_s() - start;
        }
        snprintf(what, sizeof what, "step, %d voices", voices);
        double one = say(what, s, steps);
        if (voices == 1) prefill_s = first_s, step_s = one;
    }
    int *codes = malloc(sizeof *codes * FRAMES * (size_t)o.m->n_q);
    for (int i = 0; i < FRAMES * o.m->n_q; i++) codes[i] = (int)((unsigned)i * 2654435761u >> 16) % o.m->n_codes;
    double seconds = (double)FRAMES * m8__dac_hop(o.m->dac) / o.m->rate, dac_x = 0;
    static const int each[] = { 4, 8, 16, 32, FRAMES };
    for (int j = 0; j < 5; j++) {
        for (int i = 0; i < 5; i++) s[i] = decode(&o, codes, FRAMES, each[j]);
        char what[64];
        snprintf(what, sizeof what, "codec, 163 frames by %d", each[j]);
        dac_x = seconds / say(what, s, 5);
    }
    double frame_s = (double)m8__dac_hop(o.m->dac) / o.m->rate;
    printf("{\"t5_s\": %.5g, \"prefill_s\": %.5g, \"step_s\": %.5g, \"steps_per_s\": %.5g, \"dac_x\": %.5g, \"audio_per_s\": %.5g}\n", t5_s,
           prefill_s, step_s, 1 / step_s, dac_x, 1 / (step_s / frame_s + 1 / dac_x));
}

static void set_digits(struct parler *m, int digits)
{
    for (int i = 0; i < m->n_layers; i++) {
        struct parler_layer *y = &m->layers[i];
        y->qkv.digits = y->o.digits = y->cross_q.digits = y->cross_kv.digits = y->cross_o.digits = y->fc1.digits = y->fc2.digits = digits;
    }
    m->heads.digits = digits;
}

static void agree(const char *reference, const char *other, int steps, int digits)
{
    struct opened o[2] = {0};
    open_model(&o[0], reference, M8_F32, 0);
    open_model(&o[1], other, digits == 32 ? M8_F32 : M8_FAST, 0);
    if (digits && digits < 32) set_digits(o[1].m, digits);
    const struct parler *m = o[0].m;
    struct parler_codes codes;
    check(m8__codes_init(&codes, m, steps + 1, steps, &err));
    for (int i = 0; i < 2; i++) {
        describe(&o[i]);
        check(m8__parler_seq_new(&o[i].seq[0], o[i].m, o[i].cross, PROMPT + steps + 1, &err));
    }
    struct parler_sampling sampling = { .temperature = 1, .top_k = 50 };
    nn_rng_seed(&sampling.rng, 1);
    float *row = malloc(sizeof *row * (size_t)(m->n_q * m->vocab)), *scratch = malloc(sizeof *scratch * 2 * (size_t)m->vocab);
    double square = 0, size = 0, sure = 0, gap = 0;
    int same[PARLER_MOST_Q] = {0}, all = 0;
    for (int i = 0; i < steps; i++) {
        int column[PARLER_MOST_Q];
        m8__codes_input(&codes, column);
        nn_t a = step(&o[0], 1, column, i == 0), b = step(&o[1], 1, column, i == 0);
        for (int k = 0; k < m->n_q; k++) {
            const float *x = a.d + (ptrdiff_t)k * a.ld, *y = b.d + (ptrdiff_t)k * b.ld;
            int best = nn_argmax(x, m->n_codes);
            double second = -INFINITY, mean = 0;
            same[k] += best == nn_argmax(y, m->n_codes);
            for (int j = 0; j < m->n_codes; j++) {
                mean += (double)x[j] / m->n_codes;
                if (j != best && x[j] > second) second = x[j];
            }
            for (int j = 0; j < m->n_codes; j++) square += (double)(x[j] - y[j]) * (x[j] - y[j]), size += (x[j] - mean) * (x[j] - mean);
            sure += exp(x[best] - nn_log_sum_exp(x, m->n_codes));
            gap += x[best] - second;
            memcpy(row + (ptrdiff_t)k * m->vocab, x, sizeof *row * (size_t)m->vocab);
        }
        m8__codes_push(&codes, row, &sampling, scratch);
    }
    double n = (double)steps * m->n_q, deviation = sqrt(size / (n * m->n_codes));
    for (int k = 0; k < m->n_q; k++) all += same[k];
    printf("{\"model\": \"%s\", \"steps\": %d, \"digits\": %d, \"agree\": %.4f, \"error\": %.4f, \"deviation\": %.3f, \"gap\": %.3f, \"sure\": %.3f}\n",
           other, steps, digits, all / n, sqrt(square / size), deviation, gap / n, sure / n);
}

int main(int argc, char **argv)
{
    int a = argc > 3 ? atoi(argv[3]) : 0, b = argc > 4 ? atoi(argv[4]) : 0, c = argc > 5 ? atoi(argv[5]) : 0;
    if (argc > 2 && !strcmp(argv[1], "time")) time_parts(argv[2], a, b > 2 && b <= 1000 ? b : 64);
    else if (argc > 3 && !strcmp(argv[1], "agree")) agree(argv[2], argv[3], b > 0 ? b : 500, c);
    else return fprintf(stderr, "usage: parts time MODEL [THREADS [STEPS]] | parts agree MODEL OTHER [STEPS [DIGITS]]\n"), 2;
    return 0;
}
