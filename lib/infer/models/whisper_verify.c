/* Comparison with the original (goldens/whisper-real): expected is MODEL.safetensors; beside it lie mel.safetensors with the input and
 * expected.json with the rows kept of each tensor and the figures of each way to decode. */
#include "whisper.h"
#include <math.h>
#include <string.h>

struct check {
    m8_model *m;
    const m8__weights *expected;
    const json_t *rows, *facts; /* row numbers; this model's part of expected.json */
    void (*report)(void *user, const char *tensor, double max_diff, double tolerance);
    void *user;
    nn_run *r;
    float *scratch;             /* [n_vocab] */
};

static double encoder_tolerance(const struct check *c) { return ((struct whisper *)c->m->impl)->d <= 384 ? 1e-3 : 5e-3; }

static void compare_rows(void *user, const char *name, int layer, nn_t x)
{
    const struct check *c = user;
    char full[32];
    snprintf(full, sizeof full, strcmp(name, "enc.block") ? "%s" : "%s.%d", name, layer);
    const m8__tensor *t = m8__weights_find(c->expected, full);
    if (!t || t->n_dims != 2 || t->dims[1] != x.c) return;
    double most = 0;
    for (int64_t i = 0; i < t->dims[0]; i++) {
        json_int_t row = json_integer_value(json_array_get(c->rows, (size_t)i));
        if (row < 0 || row >= x.n) continue;
        m8__dequant(c->scratch, t, i, 1);
        for (int j = 0; j < x.c; j++) most = fmax(most, fabs((double)c->scratch[j] - x.d[(ptrdiff_t)row * x.ld + j]));
    }
    c->report(c->user, full, most, encoder_tolerance(c));
}

static const struct way {
    const char *name, *prompt;
    int beam_size;
    bool timestamps;
} ways[] = {
    { "timestamps", NULL, 0, true },
    { "plain", NULL, 0, false },
    { "prompted", " President Kennedy, inaugural address.", 0, true },
    { "beam5", NULL, 5, true },
    { "beam5_plain", NULL, 5, false },
};

/* Ids and values of the five largest logits at each position, when the expected tokens and the end are fed. */
static m8_status compare_logits(struct check *c, const struct way *way, const struct whisper_task *task, struct whisper_cache *cache,
                                const int *tokens, int n)
{
    struct whisper *w = c->m->impl;
    nn_run *r = c->r;
    char name[64];
    snprintf(name, sizeof name, "%s.top5.ids", way->name);
    const m8__tensor *ids = m8__weights_find(c->expected, name);
    snprintf(name, sizeof name, "%s.top5.logits", way->name);
    const m8__tensor *values = m8__weights_find(c->expected, name);
    if (!ids || !values || ids->n_dims != 2 || values->n_dims != 2 || ids->dims[0] != n + 2 || values->dims[0] != n + 2 || ids->dims[1] != 5
        || values->dims[1] != 5)
        return M8_OK;
    int *id = nn_take(r, (size_t)w->n_ctx * 2 * sizeof *id), sot;
    if (!id) return r->status;
    int *pos = id + w->n_ctx, first = whisper_prompt(w, task, id, &sot), rows = first + n + 1;
    if (rows > w->n_ctx) return M8_OK;
    for (int i = 0; i < n; i++) id[first + i] = tokens[i];
    id[first + n] = w->eot;
    for (int i = 0; i < rows; i++) pos[i] = i;
    whisper_cache_cells(w, r, cache, (rows + 15) / 16 * 16);
    nn_seq seq = { .n_rows = rows, .span = { { 0, rows } }, .n_spans = 1, .first = 1 };
    nn_t x = whisper_decode(w, r, cache, &(struct whisper_rows){ rows, id, pos, &seq, &(int){ 0 }, 1 }, NULL);
    nn_t logits = whisper_logits(w, r, nn_rows(x, first - 1, n + 2));
    if (r->status) return r->status;
    double most = 0;
    for (int i = 0; i < n + 2; i++) {
        float want_id[5], want[5];
        m8__dequant(want_id, ids, i, 1);
        m8__dequant(want, values, i, 1);
        for (int j = 0; j < 5; j++) {
            if (!(want_id[j] >= 0 && want_id[j] < w->n_vocab)) continue;
            most = fmax(most, fabs((double)want[j] - logits.d[(ptrdiff_t)i * logits.ld + (int)want_id[j]]));
        }
    }
    c->report(c->user, name, most, 5e-3);
    const m8__tensor *whole = m8__weights_find(c->expected, "plain.logits.first");
    if (strcmp(way->name, "plain") || !whole || whole->n != w->n_vocab) return M8_OK;
    m8__dequant(c->scratch, whole, 0, 1);
    most = 0;
    for (int i = 0; i < w->n_vocab; i++) most = fmax(most, fabs((double)c->scratch[i] - logits.d[i]));
    c->report(c->user, "plain.logits.first", most, 5e-3);
    return M8_OK;
}

static void compare_figure(struct check *c, const struct way *way, const char *figure, double have, double tolerance)
{
    const json_t *want = json_object_get(json_object_get(c->facts, way->name), figure);
    char name[64];
    snprintf(name, sizeof name, "%s.%s", way->name, figure);
    if (json_is_number(want)) c->report(c->user, name, fabs(json_number_value(want) - have), tolerance);
}

static m8_status compare_way(struct check *c, const struct way *way, struct whisper_cache *cache)
{
    char name[64];
    snprintf(name, sizeof name, "%s.tokens", way->name);
    const m8__tensor *t = m8__weights_find(c->expected, name);
    if (!t || t->type != DT_I32 || t->n > 448) return M8_OK;
    m8__ids prompt = {0};
    m8_status st = way->prompt ? m8__encode(c->m->tokenizer, &prompt, way->prompt, strlen(way->prompt), NULL) : M8_OK;
    if (!st) st = prompt.status;
    struct whisper_task task = { .prompt = prompt.data, .n_prompt = (int)prompt.n, .timestamps = way->timestamps, .beam_size = way->beam_size };
    struct whisper_found found;
    if (!st) st = whisper_search(c->m, c->r, cache, &task, &found);
    if (!st) {
        int want[448], n = (int)t->n, wrong = 0;
        memcpy(want, t->data, (size_t)n * sizeof *want);
        for (int i = 0; i < n || i < found.n; i++) wrong += i >= n || i >= found.n || want[i] != found.tokens[i];
        c->report(c->user, name, wrong, 0);
        compare_figure(c, way, "avg_logprob", found.avg_logprob, 1e-3);
        compare_figure(c, way, "no_speech_prob", found.no_speech_prob, 1e-3);
        compare_figure(c, way, "compression_ratio", found.compression_ratio, 1e-6);
        st = compare_logits(c, way, &task, cache, want, n);
    }
    m8__ids_finish(&prompt);
    return st;
}

static m8_status compare_languages(struct check *c, struct whisper_cache *cache)
{
    struct whisper *w = c->m->impl;
    const m8__tensor *t = m8__weights_find(c->expected, "lang.probs");
    if (!t || !w->multilingual || t->n != w->n_languages) return M8_OK;
    float probs[128];
    m8_status st = whisper_languages(w, c->r, cache, probs);
    if (st) return st;
    m8__dequant(c->scratch, t, 0, 1);
    const json_t *order = json_object_get(c->facts, "language_order"); /* which is not that of the ids */
    double most = 0;
    for (int i = 0; i < w->n_languages; i++) {
        const char *code = json_string_value(json_array_get(order, (size_t)i));
        int at = code ? whisper_language_index(code) : -1;
        most = at >= 0 && at < w->n_languages ? fmax(most, fabs((double)c->scratch[i] - probs[at])) : INFINITY;
    }
    c->report(c->user, "lang.probs", most, 1e-3);
    return M8_OK;
}

static m8_status compare_all(struct check *c, const m8__tensor *mel)
{
    struct whisper *w = c->m->impl;
    nn_run *r = c->r;
    nn_reset(r);
    c->scratch = nn_take(r, (size_t)(w->n_vocab > w->d ? w->n_vocab : w->d) * sizeof(float));
    float *bands = nn_take(r, (size_t)mel->n * sizeof *bands);
    nn_t x = nn_new(r, WHISPER_FRAMES, w->n_mels);
    if (r->status) return r->status;
    m8__dequant(bands, mel, 0, w->n_mels);
    for (int i = 0; i < WHISPER_FRAMES; i++) {
        for (int b = 0; b < w->n_mels; b++) x.d[i * w->n_mels + b] = bands[b * WHISPER_FRAMES + i];
    }
    struct whisper_view all = { .exact = WHISPER_POSITIONS };
    nn_t sound = whisper_encode(w, r, x, all, &(struct whisper_tap){ compare_rows, c });
    struct whisper_cache cache = whisper_cache_new(w, r, sound, all);
    m8_status st = r->status ? r->status : compare_languages(c, &cache);
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !st; i++) {
        m8_arena_mark mark = m8_arena_here(r->arena);
        st = compare_way(c, &ways[i], &cache);
        m8_arena_back(r->arena, mark);
    }
    return st;
}

/* The object in expected.json whose sizes are this model's. */
static const json_t *facts_of(const struct whisper *w, const json_t *all)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, key, value) {
        const json_t *dims = json_object_get(value, "dims");
        if (json_integer_value(json_object_get(dims, "n_vocab")) == w->n_vocab
            && json_integer_value(json_object_get(dims, "n_audio_state")) == w->d)
            return value;
    }
    return NULL;
}

m8_status whisper_verify(m8_model *m, const m8__weights *expected,
                         void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user, m8_error *err)
{
    struct whisper *w = m->impl;
    const m8__tensor *conv = m8__weights_find(expected, "enc.conv1");
    if (!conv || conv->n_dims != 2 || conv->dims[1] != w->d)
        return m8_fail(err, M8_E_UNSUPPORTED, "%s: no enc.conv1 of width %d", m8__weights_path(expected), w->d);
    char *mel_path = m8_join_path(m8__weights_dir(expected), "mel.safetensors");
    char *facts_path = m8_join_path(m8__weights_dir(expected), "expected.json");
    m8__weights *mel = NULL;
    m8_buf text = { .limit = 1 << 24 };
    json_t *all = NULL;
    m8_status st = mel_path && facts_path ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    if (!st) st = m8__weights_open(&mel, mel_path, err);
    if (!st) st = m8_read_file(&text, facts_path, err);
    if (!st) {
        json_error_t why;
        all = json_loadb(text.data, text.len, 0, &why);
        if (!all) st = m8_fail(err, M8_E_FORMAT, "%s: line %d: %s", facts_path, why.line, why.text);
    }
    const m8__tensor *input = st ? NULL : m8__weights_find(mel, "jfk.mel");
    if (!st && (!input || input->n_dims != 2 || input->dims[0] != w->n_mels || input->dims[1] != WHISPER_FRAMES))
        st = m8_fail(err, M8_E_FORMAT, "%s: expected jfk.mel [%d, %d]", mel_path, w->n_mels, WHISPER_FRAMES);
    if (!st) {
        struct check c = { .m = m, .expected = expected, .rows = json_object_get(all, "rows"), .facts = facts_of(w, all), .report = report,
                           .user = user };
        struct m8__taker k;
        m8__taker_init(&k, &m->turns, NULL);
        st = m8__turn_take(&k);
        c.r = st ? NULL : &w->run[k.turn];
        if (!st) st = compare_all(&c, input);
        if (c.r) nn_reset(c.r);
        m8__turn_give(&k);
        m8__taker_finish(&k);
        if (st) m8_fail(err, st, "verifying");
    }
    json_decref(all);
    m8_buf_finish(&text);
    m8__weights_close(mel);
    m8_free(mel_path);
    m8_free(facts_path);
    return st;
}
