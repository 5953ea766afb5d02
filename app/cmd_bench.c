/* magic8 bench: how fast, as one JSON object a line. Models are loaded and warmed before the clock starts. --against runs a peer's command
 * in alternating turns: the last line it prints is a JSON object of figures under the same names; the ratio of medians is what counts,
 * since machines and their neighbours differ. The peers' commands are in bench/peers. */
#include "app.h"
#include "app_data.h"
#include "bench.h"
#include "question.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct kind *const kinds[] = { &bench_asr, &bench_llm, &bench_tts, &bench_e2e, &bench_serve, &bench_turn };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median(const double *v, int n)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *v, int n)
{
    double m = v[0];
    for (int i = 1; i < n; i++) m = v[i] < m ? v[i] : m;
    return m;
}

/* The peer's turn: the last line of its output, as JSON. */
static m8_status run_peer(struct bench *b, m8_error *err)
{
    FILE *p = popen(b->o->against, "r");
    char line[4096], last[4096] = "";
    if (!p) return m8_fail_errno(err, M8_E_IO, "%s", b->o->against);
    while (fgets(line, sizeof line, p)) {
        if (line[0] != '\n') memcpy(last, line, sizeof last);
    }
    int code = pclose(p);
    json_error_t why;
    json_t *j = json_loads(last, 0, &why);
    m8_status st = M8_OK;
    if (code || !json_is_object(j)) st = m8_fail(err, M8_E_FORMAT, "%s: ended with %d, its last line is no JSON object", b->o->against, code);
    for (int i = 0; i < b->n_figures && !st; i++) {
        struct figure *f = &b->figures[i];
        json_t *v = json_object_get(j, f->name);
        if (json_is_number(v)) f->theirs[f->n_theirs++] = json_number_value(v);
    }
    json_decref(j);
    return st;
}

static void print_figures(const struct bench *b, const struct kind *k, int runs)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    for (int i = 0; i < b->n_figures; i++) {
        const struct figure *f = &b->figures[i];
        json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "what", k->name, "figure", f->name, "threads", b->o->threads, "runs",
                              runs, "median", median(f->ours, runs), "min", least(f->ours, runs), "unit", f->unit);
        if (f->n_theirs) {
            double theirs = median(f->theirs, f->n_theirs), ours = median(f->ours, runs);
            json_object_set_new(j, "peer_median", json_real(theirs));
            json_object_set_new(j, "ratio", json_real(f->more_is_better ? ours / theirs : theirs / ours));
        }
        json_dumpf(j, stdout, JSON_REAL_PRECISION(5));
        puts("");
        json_decref(j);
    }
    if (k->roles) printf("{\"what\": \"%s\", \"figure\": \"open_s\", \"median\": %.4f, \"unit\": \"s\"}\n", k->name, b->open_s);
    if (!k->roles && !b->note[0]) return;
    json_t *j = json_pack("{s:s, s:s, s:s}", "what", k->name, "figure", k->roles ? "peak_rss_mib" : "note", "note", b->note);
    if (k->roles) json_object_set_new(j, "median", json_integer(use.ru_maxrss / 1024)); /* else the work was done in other processes */
    if (j) json_dumpf(j, stdout, 0);
    puts("");
    json_decref(j);
}

/* One object with the medians: so that we can be somebody's peer, ourselves included. */
static void print_last(const struct bench *b, int runs)
{
    printf("{");
    for (int i = 0; i < b->n_figures; i++) printf("%s\"%s\": %.5g", i ? ", " : "", b->figures[i].name, median(b->figures[i].ours, runs));
    printf("}\n");
}

static m8_status bench(struct bench *b, const struct kind *k, m8_error *err)
{
    int runs = b->o->runs ? b->o->runs : k->runs ? k->runs : 5;
    if (runs > MOST_RUNS) runs = MOST_RUNS;
    m8_status st = M8_OK;
    double start = m8_now_s();
    for (int i = 0; i < N_ROLES && !st; i++) {
        if (k->roles >> i & 1) st = load_model(&b->models[i], i, b->o, err);
    }
    b->open_s = m8_now_s() - start;
    if (!st && k->roles == 7) st = ball_open(&b->ball, b->models[ROLE_LLM], &(struct ball_opts){ .temperature = -1 }, err);
    if (!st && b->ball) st = ball_warm(b->ball, err);
    while (b->n_figures < MOST_FIGURES && k->figures[b->n_figures].name) {
        b->figures[b->n_figures] = k->figures[b->n_figures];
        b->n_figures++;
    }
    for (int turn = k->fresh ? 0 : -1; turn < runs && !st; turn++) { /* turn -1 is to warm up */
        double v[MOST_FIGURES] = {0};
        st = k->run(b, v, err);
        for (int i = 0; i < b->n_figures && turn >= 0; i++) b->figures[i].ours[turn] = v[i];
        if (!st && b->o->against && turn >= 0) st = run_peer(b, err);
    }
    if (k->close) k->close(b);
    if (!st) {
        print_figures(b, k, runs);
        print_last(b, runs);
    }
    return st;
}

int cmd_bench(const struct options *o)
{
    m8_error err = {0};
    const char *name = o->n_args ? o->args[0] : "e2e", *given = o->n_args > 1 ? o->args[1] : NULL;
    const struct kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(name, kinds[i]->name)) k = kinds[i];
    }
    if (!strcmp(name, "app")) { /* what `bench serve` measures, alone: for other loads */
        int port = given ? atoi(given) : 0;
        if (port < 1 || port > 65535) return fail_usage("bench app PORT: expected a port");
        return bench_app(port, &err) ? fail(&err) : 0;
    }
    if (!k) return fail_usage("%s: nothing to measure by that name (asr, llm, tts, e2e, serve, turn)", name);
    struct bench *b = m8_calloc(1, sizeof *b);
    if (!b) return fail(&(m8_error){ .status = M8_E_NOMEM });
    b->o = o;
    b->text = given ? given : "A dog is ready for you, but are you ready for the dog?";
    m8_status st = M8_OK;
    if (k->roles & 1 << ROLE_ASR) {
        st = given ? read_sound(&b->pcm, given, 1800, &err) : m8_audio_decode(&b->pcm, question_webm, question_webm_size, NULL, &err);
    }
    if (!st) st = bench(b, k, &err);
    ball_close(b->ball);
    for (int i = 0; i < N_ROLES; i++) m8_close(b->models[i]);
    m8_pcm_finish(&b->pcm);
    m8_free(b);
    return st ? fail(&err) : 0;
}
