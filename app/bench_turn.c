/* magic8 bench turn: a spoken question through the whole of `magic8 serve`, as a browser or a client of Gradio asks it: the recording is
 * uploaded, generate_response, read_response, the first segment of sound is read, then all of the answer is awaited. Alone, and four
 * visitors at once; with adages, and with answers in the model's own words (--free). What the server adds is the time to the first sound less
 * the time of the stages that /metrics tells. */
#include "app.h"
#include "app_data.h"
#include "bench.h"
#include "bench_client.h"
#include "bench_load.h"
#include "bench_server.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VISITORS = 4 };
enum { HEAR, READ, TYPED };
enum { ANSWERED, TOTAL, ENGINE, OVERHEAD, SPOKEN, FOUR, LONGEST, FREE_ANSWERED, FREE_SPOKEN, FREE_FOUR, FREE_LONGEST, FREE_TYPED };

struct house { /* a server with models */
    struct server server;
    struct endpoint at[4];
};

struct houses {
    struct house adages, free_talk;
};

struct asking {
    struct house *house;
    struct visitor v;
    struct client player;
    bool typed;       /* the question is written, and the answer not spoken */
    bool heard;       /* the first sound was read */
    int turn;
    char answer[256];
    double start, answered_s, first_s, spoken_s; /* since the start */
    double engine_s;
};

/* ---- a turn */

static m8_status upload(struct asking *a, m8_buf *data, m8_error *err)
{
    static const char head[] = "--m8bench\r\nContent-Disposition: form-data; name=\"files\"; filename=\"question.webm\"\r\nContent-Type: audio/webm\r\n\r\n",
                      tail[] = "\r\n--m8bench--\r\n";
    m8_buf body = {0}, answer = {0};
    m8_buf_str(&body, head);
    m8_buf_add(&body, question_webm, question_webm_size);
    m8_buf_str(&body, tail);
    m8_status st = body.status ? m8_fail(err, body.status, "the recording") : M8_OK;
    if (!st) st = client_ask(&a->v.client, "POST", "/gradio_api/upload", "multipart/form-data; boundary=m8bench", body.data, body.len, &answer, err);
    json_t *j = st ? NULL : json_loadb(answer.data, answer.len, 0, NULL);
    json_t *list = json_pack("[{s:O?, s:s, s:{s:s}}]", "path", json_array_get(j, 0), "orig_name", "question.webm", "meta", "_type", "gradio.FileData");
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    if (!st && !text) st = m8_fail(err, M8_E_NOMEM, "the question");
    if (!st) m8_buf_str(data, text);
    free(text);
    json_decref(list);
    json_decref(j);
    m8_buf_finish(&body);
    m8_buf_finish(&answer);
    return st;
}

static m8_status see_speech(void *user, const char *json, m8_error *err)
{
    struct asking *a = user;
    if (!strstr(json, "\"output\"")) return M8_OK;
    json_t *j = json_loads(json, 0, NULL), *data = json_object_get(json_object_get(j, "output"), "data");
    const char *text = json_string_value(json_array_get(data, 0)), *url = json_string_value(json_object_get(json_array_get(data, 1), "url"));
    m8_status st = M8_OK;
    if (text) snprintf(a->answer, sizeof a->answer, "%s", text);
    if (url && !a->heard) {
        st = client_first_segment(&a->player, url, err);
        a->first_s = m8_now_s() - a->start;
        a->heard = true;
    }
    json_decref(j);
    return st;
}

/* The task of load_run. */
static m8_status ask(void *own, m8_error *err)
{
    struct asking *a = own;
    m8_buf data = {0};
    a->heard = false;
    a->start = m8_now_s();
    m8_status st = M8_OK;
    if (a->typed) m8_buf_printf(&data, "[\"What will come of the %d. thing that I begin today?\"]", a->turn);
    else st = upload(a, &data, err);
    if (!st && data.status) st = m8_fail(err, data.status, "a question");
    if (!st) st = visitor_call(&a->v, a->house->at[a->typed ? TYPED : HEAR].fn_index, data.data, NULL, NULL, err);
    a->answered_s = m8_now_s() - a->start;
    if (!st && !a->typed) {
        st = visitor_call(&a->v, a->house->at[READ].fn_index, "[null]", see_speech, a, err);
        a->spoken_s = m8_now_s() - a->start;
        if (!st && !a->heard) st = m8_fail(err, M8_E_NET, "the answer was not spoken");
    }
    m8_buf_finish(&data);
    return st;
}

/* n visitors ask at once, each once. */
static m8_status ask_all(struct house *h, int n, bool typed, int turn, struct asking *a, m8_error *err)
{
    void *own[VISITORS];
    struct times t = {0};
    for (int i = 0; i < n; i++) {
        a[i] = (struct asking){ .house = h, .player = { .fd = -1, .port = h->server.port }, .typed = typed, .turn = turn * VISITORS + i };
        visitor_init(&a[i].v, h->server.port);
        own[i] = &a[i];
    }
    m8_status st = load_run(&h->server, n, own, ask, 1, 0, &t, err);
    for (int i = 0; i < n; i++) {
        visitor_finish(&a[i].v);
        client_close(&a[i].player);
    }
    times_finish(&t);
    return st;
}

/* ---- the stages, as /metrics tells them: those before the first sound */

static m8_status engine_s(const struct house *h, double *sum, m8_error *err)
{
    static const char *const stages[] = { "decoded", "heard", "answered", "first_sound" };
    struct client c = { .fd = -1, .port = h->server.port };
    m8_buf text = {0};
    m8_status st = client_ask(&c, "GET", "/metrics", NULL, NULL, 0, &text, err);
    *sum = 0;
    for (size_t i = 0; i < sizeof stages / sizeof *stages && !st; i++) {
        char name[64];
        snprintf(name, sizeof name, "\nmagic8_stage_seconds_sum{stage=\"%s\"} ", stages[i]);
        const char *at = strstr(text.data, name);
        if (at) *sum += atof(at + strlen(name));
        else st = m8_fail(err, M8_E_FORMAT, "/metrics does not tell the stage %s", stages[i]);
    }
    m8_buf_finish(&text);
    client_close(&c);
    return st;
}

/* ---- a run */

/* So that nothing of the answer itself is kept from the last turn, something else is asked first. */
static m8_status something_else(struct house *h, int turn, m8_error *err)
{
    struct asking a;
    return ask_all(h, 1, true, turn, &a, err);
}

/* One, then four at once: the time of all over the time of one, the longest wait over the mean. */
static m8_status compare(struct house *h, int turn, struct asking *one, double *ratio, double *longest, m8_error *err)
{
    struct asking four[VISITORS];
    double most = 0, sum = 0;
    m8_status st = something_else(h, turn, err);
    double before = 0, after = 0;
    if (!st) st = engine_s(h, &before, err);
    if (!st) st = ask_all(h, 1, false, turn, one, err);
    if (!st) st = engine_s(h, &after, err);
    if (!st) st = something_else(h, turn + 1000, err);
    if (!st) st = ask_all(h, VISITORS, false, turn, four, err);
    for (int i = 0; i < VISITORS && !st; i++) {
        sum += four[i].spoken_s;
        if (four[i].spoken_s > most) most = four[i].spoken_s;
    }
    if (st) return st;
    *ratio = most / one->spoken_s;
    *longest = most / (sum / VISITORS);
    one->engine_s = after - before;
    return M8_OK;
}

static m8_status compare_typed(struct house *h, int turn, double *ratio, m8_error *err)
{
    struct asking four[VISITORS];
    double one = 0, most = 0;
    m8_status st = M8_OK;
    for (int i = 0; i < VISITORS && !st; i++) { /* the same questions, one after another: answers differ in length */
        st = ask_all(h, 1, true, turn, four, err);
        one += four[0].answered_s / VISITORS;
        turn++;
    }
    if (!st) st = ask_all(h, VISITORS, true, turn, four, err);
    for (int i = 0; i < VISITORS && !st; i++) most = four[i].answered_s > most ? four[i].answered_s : most;
    if (!st) *ratio = most / one;
    return st;
}

static m8_status open_house(struct house *h, const struct options *o, bool free_talk, m8_error *err)
{
    char threads[16], seed[24];
    const char *args[32] = { "serve", "--port", "%PORT", "--language", "en" };
    int n = 5;
    snprintf(threads, sizeof threads, "%d", o->threads);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)(o->seed ? o->seed : 8));
    const char *more[] = { "--threads", threads, "--seed", seed };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) args[n++] = more[i];
    for (int i = 0; i < o->models.n; i++) {
        args[n++] = "--model";
        args[n++] = o->models.items[i];
    }
    if (free_talk) args[n++] = "--free";
    *h = (struct house){ .at = { { "generate_response" }, { "read_response" }, { "ask_text" } } };
    m8_status st = server_start(&h->server, args, "/health", 120, NULL, err);
    return st ? st : server_endpoints(&h->server, h->at, err);
}

static m8_status run_turn(struct bench *b, double *v, m8_error *err)
{
    static int turn;
    struct houses *both = b->own;
    m8_status st = M8_OK;
    if (!both) {
        b->own = both = m8_calloc(1, sizeof *both);
        st = both ? open_house(&both->adages, b->o, false, err) : m8_fail(err, M8_E_NOMEM, "the servers");
        if (!st) st = open_house(&both->free_talk, b->o, true, err);
    }
    struct asking one, talk;
    turn++;
    if (!st) st = compare(&both->adages, turn, &one, &v[FOUR], &v[LONGEST], err);
    if (!st) st = compare(&both->free_talk, turn, &talk, &v[FREE_FOUR], &v[FREE_LONGEST], err);
    if (!st) st = compare_typed(&both->free_talk, turn, &v[FREE_TYPED], err);
    if (st) return st;
    v[ANSWERED] = one.answered_s;
    v[TOTAL] = one.first_s;
    v[ENGINE] = one.engine_s;
    v[OVERHEAD] = one.first_s - one.engine_s;
    v[SPOKEN] = one.spoken_s;
    v[FREE_ANSWERED] = talk.answered_s;
    v[FREE_SPOKEN] = talk.spoken_s;
    snprintf(b->note, sizeof b->note, "%.250s / %.250s", one.answer, talk.answer);
    return M8_OK;
}

static void close_turn(struct bench *b)
{
    struct houses *both = b->own;
    if (!both) return;
    server_stop(&both->adages.server);
    server_stop(&both->free_talk.server);
    m8_free(both);
    b->own = NULL;
}

const struct kind bench_turn = {
    .name = "turn", .run = run_turn, .close = close_turn,
    .figures = { /* in the order of the enum */
        { "answered_s", "s" }, { "total_s", "s" }, { "engine_s", "s" }, { "overhead_s", "s" }, { "spoken_s", "s" },
        { "four_ratio", "x one" }, { "four_longest", "x mean" }, { "free_answered_s", "s" }, { "free_spoken_s", "s" },
        { "free_four_ratio", "x one" }, { "free_four_longest", "x mean" }, { "free_answers_ratio", "x one" },
    },
};
