/* Times of words (openai-whisper's timing.py): the attention of some heads of the decoder follows the sound. Their weights, made comparable
 * from token to token and smoothed, are a map [tokens][positions]; dynamic time warping finds the way through it. */
#include "whisper.h"
#include <math.h>
#include <string.h>

#define SMOOTH 7 /* positions of the median filter */

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* ---- the map */

struct map_job {
    const struct whisper *w;
    nn_t scores;          /* [heads * rows][n_cross] */
    int rows, n;          /* tokens, positions looked at */
    float *smooth;        /* [heads][rows][n] */
    const nn_run *r;
};

/* Softmax over positions, standard score over tokens, median filter over positions. */
static void map_head(void *user, int head)
{
    const struct map_job *j = user;
    int n = j->n;
    nn_t x = nn_rows(j->scores, head * j->rows, j->rows);
    for (int i = 0; i < j->rows; i++) j->r->k->softmax(x.d + (ptrdiff_t)i * x.ld, n, 1);
    for (int p = 0; p < n; p++) {
        double mean = 0, var = 0;
        for (int i = 0; i < j->rows; i++) mean += x.d[(ptrdiff_t)i * x.ld + p];
        mean /= j->rows;
        for (int i = 0; i < j->rows; i++) var += (x.d[(ptrdiff_t)i * x.ld + p] - mean) * (x.d[(ptrdiff_t)i * x.ld + p] - mean);
        double by = var > 0 ? 1 / sqrt(var / j->rows) : 0;
        for (int i = 0; i < j->rows; i++) x.d[(ptrdiff_t)i * x.ld + p] = (float)((x.d[(ptrdiff_t)i * x.ld + p] - mean) * by);
    }
    for (int i = 0; i < j->rows; i++) {
        const float *from = x.d + (ptrdiff_t)i * x.ld;
        float *to = j->smooth + ((size_t)head * j->rows + i) * n;
        for (int p = 0; p < n; p++) {
            float near[SMOOTH];
            if (n <= SMOOTH / 2) {
                to[p] = from[p];
                continue;
            }
            for (int k = 0; k < SMOOTH; k++) {
                int at = p + k - SMOOTH / 2;
                if (at < 0) at = -at;
                if (at >= n) at = 2 * (n - 1) - at;
                near[k] = from[at];
            }
            qsort(near, SMOOTH, sizeof *near, compare);
            to[p] = near[SMOOTH / 2];
        }
    }
}

/* ---- the way through the map: start[i] becomes the position where token i begins */

static void warp(nn_run *r, const float *cost /* [rows][n] */, int rows, int n, int *start)
{
    size_t ld = (size_t)n + 1;
    float *sum = nn_take(r, 2 * ld * sizeof *sum);
    char *from = nn_take(r, (size_t)(rows + 1) * ld); /* 0: both, 1: the token before, 2: the position before */
    if (r->status) return;
    float *above = sum, *here = sum + ld;
    for (size_t j = 0; j < ld; j++) above[j] = j ? INFINITY : 0;
    memset(from, 2, ld);
    for (int i = 1; i <= rows; i++) {
        here[0] = INFINITY;
        from[(size_t)i * ld] = 1;
        for (int j = 1; j <= n; j++) {
            float both = above[j - 1], token = above[j], position = here[j - 1];
            int way = both < token && both < position ? 0 : token < both && token < position ? 1 : 2;
            here[j] = cost[(size_t)(i - 1) * n + j - 1] + (way == 0 ? both : way == 1 ? token : position);
            from[(size_t)i * ld + j] = (char)way;
        }
        float *t = above;
        above = here;
        here = t;
    }
    for (int i = rows, j = n; i > 0;) {
        start[i - 1] = j > 0 ? j - 1 : 0; /* the last one written is the first of this token */
        int way = from[(size_t)i * ld + j];
        i -= way != 2;
        j -= way != 1;
    }
}

/* ---- tokens to words */

static bool starts_word(const struct whisper *w, const int *tokens, const char *text)
{
    static const char punctuation[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    if (tokens[0] >= w->eot || text[0] == ' ') return true;
    char bare[64];
    size_t from = strspn(text, " \t\n\r\v\f"), len = strlen(text + from);
    while (len && strchr(" \t\n\r\v\f", text[from + len - 1])) len--;
    if (len >= sizeof bare) return false;
    memcpy(bare, text + from, len);
    bare[len] = 0;
    return strstr(punctuation, bare) != NULL;
}

/* Groups of tokens that are whole characters, then, in languages that write blanks between words, groups of those that are words. */
static void split(const m8_model *m, nn_run *r, const int *tokens, int n, bool blanks, struct whisper_word *out, int *n_out)
{
    *n_out = 0;
    for (int i = 0; i < n && !r->status;) {
        int len = 0;
        char *text = NULL;
        m8_buf bytes = {0};
        for (int state = 1; i + len < n;) {
            m8__decode(m->tokenizer, tokens[i + len++], &state, &bytes);
            if (m8__utf8_whole(bytes.data ? bytes.data : "", bytes.len) == bytes.len) break;
        }
        m8_buf_finish(&bytes);
        text = whisper_text(m, r, tokens + i, len);
        if (!text) return;
        if (*n_out && blanks && !starts_word(m->impl, tokens + i, text)) {
            struct whisper_word *last = &out[*n_out - 1];
            last->n_tokens += len;
            last->text = whisper_text(m, r, tokens + i + len - last->n_tokens, last->n_tokens);
        } else {
            out[(*n_out)++] = (struct whisper_word){ .text = text, .n_tokens = len };
        }
        i += len;
    }
}

static const char *join(nn_run *r, const char *a, const char *b)
{
    size_t n = strlen(a), k = strlen(b);
    char *s = nn_take(r, n + k + 1);
    if (!s) return "";
    memcpy(s, a, n);
    memcpy(s + n, b, k + 1);
    return s;
}

/* Opening marks go to the word behind them, closing ones to the word before. */
static void merge_marks(nn_run *r, struct whisper_word *w, int n)
{
    static const char opening[] = "\"'“¿([{-", closing[] = "\"'.。,，!！?？:：”)]}、";
    for (int i = n - 2, j = n - 1; i >= 0; i--) {
        if (w[i].text[0] == ' ' && w[i].text[1] && strstr(opening, w[i].text + 1)) {
            w[j].text = join(r, w[i].text, w[j].text);
            w[j].n_tokens += w[i].n_tokens;
            w[i].text = "";
            w[i].n_tokens = 0;
        } else {
            j = i;
        }
    }
    for (int i = 0, j = 1; j < n; j++) {
        size_t len = strlen(w[i].text);
        if (!(len && w[i].text[len - 1] == ' ') && strstr(closing, w[j].text)) {
            w[i].text = join(r, w[i].text, w[j].text);
            w[i].n_tokens += w[j].n_tokens;
            w[j].text = "";
            w[j].n_tokens = 0;
        } else {
            i = j;
        }
    }
}

/* Words at the end of a sentence are no longer than twice the usual. Returns the usual length. */
static double trim_long(struct whisper_word *w, int n)
{
    static const char ends[] = ".。!！?？";
    float lengths[512];
    int have = 0;
    for (int i = 0; i < n && have < 512; i++) {
        if (w[i].end_s != w[i].start_s) lengths[have++] = (float)(w[i].end_s - w[i].start_s);
    }
    if (!have) return 0;
    qsort(lengths, (size_t)have, sizeof *lengths, compare);
    double median_s = (lengths[(have - 1) / 2] + lengths[have / 2]) / 2;
    if (median_s > 0.7) median_s = 0.7;
    for (int i = 1; i < n; i++) {
        if (w[i].end_s - w[i].start_s <= 2 * median_s) continue;
        if (strstr(ends, w[i].text)) w[i].end_s = w[i].start_s + 2 * median_s;
        else if (strstr(ends, w[i - 1].text)) w[i].start_s = w[i].end_s - 2 * median_s;
    }
    return median_s;
}

/* ---- the whole */

/* Probability of each text token after those before it; rows 32 at a time, for a row of logits is long. */
static void token_probs(const struct whisper *w, nn_run *r, nn_t x, const int *tokens, int n, float *probs)
{
    for (int i = 0; i < n && !r->status; i += 32) {
        int rows = n - i < 32 ? n - i : 32;
        m8_arena_mark mark = m8_arena_here(r->arena);
        nn_t logits = whisper_logits(w, r, nn_rows(x, i, rows));
        for (int j = 0; j < rows && !r->status; j++) {
            float *row = logits.d + (ptrdiff_t)j * logits.ld;
            r->k->softmax(row, w->eot, 1);
            probs[i + j] = row[tokens[i + j]];
        }
        m8_arena_back(r->arena, mark);
    }
}

m8_status whisper_align(const m8_model *m, nn_run *r, struct whisper_cache *c, int language, bool translate, const int *tokens, int n,
                        int n_positions, struct whisper_word **words, int *n_words, double *median_s)
{
    struct whisper *w = m->impl;
    *n_words = 0;
    *words = NULL;
    *median_s = 0;
    struct whisper_task task = { .language = language, .translate = translate };
    if (n_positions > c->n_cross) n_positions = c->n_cross;
    if (n > w->n_ctx - 6) n = w->n_ctx - 6;
    if (n < 1 || n_positions < 1) return M8_OK;
    int *id = nn_take(r, (size_t)w->n_ctx * 2 * sizeof *id), *pos = id ? id + w->n_ctx : NULL, sot;
    if (!id) return r->status;
    int first = whisper_prompt(w, &task, id, &sot), rows = first + n + 1; /* prompt, text, the end */
    memcpy(id + first, tokens, (size_t)n * sizeof *id);
    id[first + n] = w->eot;
    for (int i = 0; i < rows; i++) pos[i] = i;
    whisper_cache_cells(w, r, c, (rows + 15) / 16 * 16);
    nn_t scores = nn_new(r, w->n_align * rows, c->n_cross);
    float *smooth = nn_take(r, (size_t)w->n_align * rows * n_positions * sizeof *smooth);
    nn_seq seq = { .n_rows = rows, .span = { { 0, rows } }, .n_spans = 1, .first = 1 };
    nn_t x = whisper_decode(w, r, c, &(struct whisper_rows){ rows, id, pos, &seq, &(int){ 0 }, 1 }, &scores);
    float *probs = nn_take(r, (size_t)n * sizeof *probs);
    token_probs(w, r, nn_rows(x, first - 1, n), tokens, n, probs);
    struct map_job job = { w, scores, rows, n_positions, smooth, r };
    nn_each(r, w->n_align, map_head, &job);

    float *cost = nn_take(r, (size_t)(n + 1) * n_positions * sizeof *cost); /* rows from the last of the prompt on, without the end's */
    int *start = nn_take(r, (size_t)(n + 1) * sizeof *start);
    *words = nn_take(r, (size_t)n * sizeof **words);
    if (r->status) return r->status;
    size_t cells = (size_t)(n + 1) * n_positions;
    for (size_t i = 0; i < cells; i++) {
        float sum = 0;
        for (int h = 0; h < w->n_align; h++) sum += smooth[((size_t)h * rows + first - 1) * n_positions + i];
        cost[i] = -sum / (float)w->n_align;
    }
    warp(r, cost, n + 1, n_positions, start);
    const char *code = whisper_language_code(language);
    bool blanks = !code || !strstr("zh ja th lo my yue", code);
    split(m, r, tokens, n, blanks, *words, n_words);
    if (r->status) return r->status;
    for (int i = 0, at = 0; i < *n_words; i++) {
        struct whisper_word *y = &(*words)[i];
        for (int j = 0; j < y->n_tokens; j++) y->probability += probs[at + j] / (float)y->n_tokens;
        y->start_s = start[at] * 0.02;
        at += y->n_tokens;
        y->end_s = start[at] * 0.02;
    }
    *median_s = trim_long(*words, *n_words);
    merge_marks(r, *words, *n_words);
    return r->status;
}
