/* The magic 8 ball's answer.
 *
 * A model under a billion parameters does not follow the system message: left to itself it explains, or repeats. So it is asked for what
 * it can do, which is to tell how well a text fits: the seed draws a hand of adages, each is scored as the answer, and the one whose
 * likelihood rose most against neutral questions is taken. (Plain likelihood picks the same two for everything.) What each adage scores
 * after the neutral questions is kept in data/adages.base for the default model, and computed for the hand with any other. */
#include "ball.h"
#include "app_data.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HAND 20
#define MAX_ADAGES 1024
#define SMALL 1000000000

static const char system_text[] =
    "You are a magic 8 ball. Someone presents a question or a situation to you, and you answer with a cryptic adage or proverb that fits "
    "it. Keep it to one short sentence. Never say 'Magic 8 Ball'. If the question makes no sense or is off-topic, answer exactly "
    "'Foolish questions get foolish answers.' For example, to 'Should I get a dog?' you might say 'A dog is ready for you, but are you "
    "ready for the dog?'";
static const char *const neutral[] = { "Will it work out?", "What should I do?", "Is this a good idea?", "What will happen?" };
#define N_NEUTRAL 4

/* Worked examples, as earlier turns, for a small model that talks freely. */
static const char *const shots[][2] = {
    { "Should I get a dog?", "A dog is ready for you, but are you ready for the dog?" },
    { "Will I be rich one day?", "The richest purse is the one that needs no filling." },
    { "Does she love me?", "The heart that asks has already been answered." },
    { "Should I move to Paris?", "Every road is long to one who will not pack." },
    { "What is the capital of France?", "Foolish questions get foolish answers." },
    { "Will my team win tonight?", "The drum that beats the loudest is not always first home." },
};
#define N_SHOTS ((int)(sizeof shots / sizeof shots[0]))

struct ball {
    m8_model *llm;
    struct ball_opts opts;
    bool chooses;
    char *text;                 /* of the adages; lines are cut apart */
    const char *adages[MAX_ADAGES];
    int n_adages;
    float *base;                /* [n_adages] mean score after the neutral questions; NULL: not known for this model */
};

/* data/adages.base: the number of parameters of the model it was made with, then a score a line, in the order of the adages. */
static m8_status read_base(struct ball *b, m8_error *err)
{
    char *at = (char *)adages_base;
    if (strtoll(at, &at, 10) != (long long)m8_model_params(b->llm)) return M8_OK;
    b->base = m8_calloc((size_t)b->n_adages, sizeof *b->base);
    if (!b->base) return m8_fail(err, M8_E_NOMEM, "the adages");
    for (int i = 0; i < b->n_adages; i++) {
        char *end;
        b->base[i] = strtof(at, &end);
        if (end == at) return m8_fail(err, M8_E_INTERNAL, "adages.base is out of step with adages.txt; run tools/adages_base");
        at = end;
    }
    return M8_OK;
}

static m8_status read_adages(struct ball *b, m8_error *err)
{
    b->text = m8_strndup((const char *)adages_txt, adages_txt_size);
    if (!b->text) return m8_fail(err, M8_E_NOMEM, "the adages");
    char *rest = b->text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (*line && *line != '#' && b->n_adages < MAX_ADAGES) b->adages[b->n_adages++] = line;
    }
    return read_base(b, err);
}

m8_status ball_open(struct ball **out, m8_model *llm, const struct ball_opts *opts, m8_error *err)
{
    struct ball *b = *out = m8_calloc(1, sizeof *b);
    if (!b) return m8_fail(err, M8_E_NOMEM, "the ball");
    b->llm = llm;
    b->opts = *opts;
    b->chooses = !opts->free_talk && m8_model_params(llm) < SMALL;
    m8_status st = b->chooses ? read_adages(b, err) : M8_OK;
    if (st) {
        ball_close(b);
        *out = NULL;
    }
    return st;
}

void ball_close(struct ball *b)
{
    if (!b) return;
    m8_free(b->text);
    m8_free(b->base);
    m8_free(b);
}

/* ---- the conversation */

struct talk {
    m8_message messages[2 + 2 * N_SHOTS];
    int n;
    m8_buf asked[N_SHOTS + 1];
};

static void add_question(struct talk *t, int i, const char *question)
{
    m8_buf_printf(&t->asked[i], "Magic 8 Ball please answer this question -  %s", question);
    t->messages[t->n++] = (m8_message){ "user", t->asked[i].data };
}

static m8_status make_talk(const struct ball *b, struct talk *t, const char *question, m8_error *err)
{
    *t = (struct talk){ .messages = { { "system", system_text } }, .n = 1 };
    bool examples = !b->chooses && m8_model_params(b->llm) < SMALL;
    for (int i = 0; examples && i < N_SHOTS; i++) {
        add_question(t, i, shots[i][0]);
        t->messages[t->n++] = (m8_message){ "assistant", shots[i][1] };
    }
    add_question(t, N_SHOTS, question);
    for (int i = 0; i <= N_SHOTS; i++) {
        if (t->asked[i].status) return m8_fail(err, M8_E_NOMEM, "the question");
    }
    return M8_OK;
}

static void end_talk(struct talk *t)
{
    for (int i = 0; i <= N_SHOTS; i++) m8_buf_finish(&t->asked[i]);
}

static m8_status score(struct ball *b, const char *question, const char *const *texts, int n, m8_cancel *cancel, float *scores, m8_error *err)
{
    struct talk t;
    m8_status st = make_talk(b, &t, question, err);
    if (!st) st = m8_score(b->llm, t.messages, (size_t)t.n, texts, (size_t)n, &(m8_score_opts){ .cancel = cancel }, scores, NULL, err);
    end_talk(&t);
    return st;
}

/* ---- choosing */

/* splitmix64: the hand depends on the seed alone, on any machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* The mean score of texts after the neutral questions. */
static m8_status neutral_scores(struct ball *b, const char *const *texts, int n, m8_cancel *cancel, float *base, m8_error *err)
{
    float scores[MAX_ADAGES];
    m8_status st = M8_OK;
    for (int i = 0; i < n; i++) base[i] = 0;
    for (int q = 0; q < N_NEUTRAL && !st; q++) {
        st = score(b, neutral[q], texts, n, cancel, scores, err);
        for (int i = 0; i < n && !st; i++) base[i] += scores[i] / N_NEUTRAL;
    }
    return st;
}

m8_status ball_print_base(struct ball *b, FILE *out, m8_error *err)
{
    float base[MAX_ADAGES];
    m8_status st = neutral_scores(b, b->adages, b->n_adages, NULL, base, err);
    if (!st) fprintf(out, "%lld\n", (long long)m8_model_params(b->llm));
    for (int i = 0; i < b->n_adages && !st; i++) fprintf(out, "%.2f\n", (double)base[i]);
    return st;
}

static m8_status choose(struct ball *b, const char *question, uint64_t seed, m8_cancel *cancel, const char **answer, m8_error *err)
{
    int order[MAX_ADAGES], n = b->n_adages - 1 < HAND ? b->n_adages - 1 : HAND;
    const char *hand[HAND];
    float base[HAND], scores[HAND];
    for (int i = 0; i < b->n_adages; i++) order[i] = i;
    for (int i = 1; i <= n; i++) { /* the first line is for foolish questions only */
        int with = i + (int)(next_random(&seed) % (uint64_t)(b->n_adages - i)), was = order[i];
        order[i] = order[with];
        order[with] = was;
        hand[i - 1] = b->adages[order[i]];
        if (b->base) base[i - 1] = b->base[order[i]];
    }
    m8_status st = b->base ? M8_OK : neutral_scores(b, hand, n, cancel, base, err);
    if (!st) st = score(b, question, hand, n, cancel, scores, err);
    if (st) return st;
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (scores[i] - base[i] > scores[best] - base[best]) best = i;
    }
    *answer = hand[best];
    return M8_OK;
}

/* ---- talking freely: clauses as they come */

struct clauses {
    m8_text_sink out;
    m8_buf pending, *whole;
    m8_status status;
};

/* Take what the ball never says out of a clause, in place: its own name, and colons. */
static size_t clean(char *s, size_t n)
{
    static const char name[] = "magic 8 ball";
    size_t kept = 0;
    for (size_t i = 0; i < n;) {
        if (s[i] == ':') i++;
        else if (n - i >= sizeof name - 1 && !strncasecmp(s + i, name, sizeof name - 1)) i += sizeof name - 1;
        else s[kept++] = s[i++];
    }
    return kept;
}

static m8_status give_clause(struct clauses *c, size_t n)
{
    size_t kept = clean(c->pending.data, n), from = 0;
    while (!c->whole->len && from < kept && c->pending.data[from] == ' ') from++;
    m8_buf_add(c->whole, c->pending.data + from, kept - from);
    m8_status st = c->whole->status;
    bool words = false;
    for (size_t i = from; i < kept; i++) words = words || isalnum((unsigned char)c->pending.data[i]) || (c->pending.data[i] & 0x80);
    if (!st && words) st = c->out.push(c->out.user, c->pending.data + from, kept - from);
    memmove(c->pending.data, c->pending.data + n, c->pending.len - n);
    c->pending.len -= n;
    return st;
}

/* The end of the first clause that is long enough to be spoken by itself; 0: none yet. */
static size_t clause_end(const char *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        bool sentence = strchr(".!?\n", s[i]) != NULL, pause = strchr(",;", s[i]) != NULL;
        if (s[i] && s[i + 1] == ' ' && ((sentence && i > 1) || (pause && i > 24))) return i + 1;
    }
    return 0;
}

static m8_status take_text(void *user, const char *text, size_t n)
{
    struct clauses *c = user;
    m8_buf_add(&c->pending, text, n);
    m8_status st = c->pending.status;
    for (size_t end; !st && (end = clause_end(c->pending.data, c->pending.len));) st = give_clause(c, end);
    return st;
}

static m8_status talk_freely(struct ball *b, const char *question, uint64_t seed, m8_text_sink out, m8_cancel *cancel, m8_buf *whole, m8_error *err)
{
    struct talk t;
    struct clauses c = { .out = out, .whole = whole };
    m8_status st = make_talk(b, &t, question, err);
    m8_chat_opts o = { .cancel = cancel, .max_tokens = b->opts.max_tokens ? b->opts.max_tokens : 64, .seed = seed,
                       .temperature = b->opts.temperature < 0 ? 0.7f : (float)b->opts.temperature, .top_k = b->opts.top_k,
                       .top_p = b->opts.top_p > 0 ? (float)b->opts.top_p : 0.95f, .min_p = (float)b->opts.min_p };
    if (!st) st = m8_chat(b->llm, t.messages, (size_t)t.n, &o, (m8_text_sink){ take_text, &c }, NULL, err);
    if (!st && c.pending.len) {
        st = give_clause(&c, c.pending.len);
        if (st) m8_fail(err, st, "the answer");
    }
    if (!st && !whole->len) st = m8_fail(err, M8_E_NOTFOUND, "the model had nothing to answer");
    m8_buf_finish(&c.pending);
    end_talk(&t);
    return st;
}

/* ---- */

static bool has_words(const char *s)
{
    for (; *s; s++) {
        if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s & 0x80)) return true;
    }
    return false;
}

m8_status ball_warm(struct ball *b, m8_error *err)
{
    float unused;
    return score(b, neutral[0], &shots[0][1], 1, NULL, &unused, err);
}

m8_status ball_answer(struct ball *b, const char *question, uint64_t seed, m8_text_sink out, m8_cancel *cancel, m8_buf *whole, m8_error *err)
{
    const char *answer = "Foolish questions get foolish answers.";
    m8_status st = M8_OK;
    if (has_words(question)) {
        if (!b->chooses) return talk_freely(b, question, seed, out, cancel, whole, err);
        st = choose(b, question, seed, cancel, &answer, err);
    }
    if (!st) m8_buf_str(whole, answer);
    if (!st && whole->status) st = m8_fail(err, whole->status, "the answer");
    return st ? st : out.push(out.user, answer, strlen(answer));
}
