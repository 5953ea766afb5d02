/* Text to the phoneme ids a Piper voice was trained on.
 *
 *   text -> cleaned -> English: numbers and the like in words (normalise.c) -> clauses (clauses.c) -> IPA (espeak.c)
 *        -> sentences with their punctuation -> NFD -> ids: ^ _ p1 _ p2 _ ... pn _ $
 *
 * Each code point looks up the voice's phoneme_id_map; unknown ones are skipped. Source: piper, phonemize_espeak and
 * phonemes_to_ids. Voices with phoneme_type "text" take the letters themselves. */
#include "clauses.h"
#include "espeak.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LONGEST_TEXT = 10000, LONGEST_SENTENCE = 700 /* bytes of IPA, about 35 s */, MOST_IDS = 4, LARGEST_ID = 65535 };

struct symbol {
    int32_t c;
    int n, ids[MOST_IDS];
};

struct m8__phonemizer {
    char voice[32];
    bool english, letters;    /* letters: no espeak */
    m8__script script;
    struct symbol *symbols;   /* [n_symbols], by code point */
    size_t n_symbols;
    struct symbol bos, eos, pad;
};

/* ---- open */

static int by_code_point(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    return (x->c > y->c) - (x->c < y->c);
}

static const struct symbol *find(const m8__phonemizer *p, int32_t c)
{
    struct symbol key = { .c = c };
    return p->n_symbols ? bsearch(&key, p->symbols, p->n_symbols, sizeof key, by_code_point) : NULL;
}

static m8_status read_symbol(struct symbol *s, const char *key, const json_t *ids, m8_error *err)
{
    const utf8proc_uint8_t *u = (const utf8proc_uint8_t *)key;
    utf8proc_ssize_t n = (utf8proc_ssize_t)strlen(key);
    if (n == 0 || utf8proc_iterate(u, n, &s->c) != n) return M8_OK; /* of several code points: nothing finds it, as in piper */
    s->n = (int)json_array_size(ids);
    if (s->n < 1 || s->n > MOST_IDS) return m8_fail(err, M8_E_FORMAT, "phoneme_id_map[\"%s\"]: expected 1 to %d ids", key, MOST_IDS);
    for (int i = 0; i < s->n; i++) {
        const json_t *id = json_array_get(ids, (size_t)i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > LARGEST_ID)
            return m8_fail(err, M8_E_FORMAT, "phoneme_id_map[\"%s\"]: not an id", key);
        s->ids[i] = (int)json_integer_value(id);
    }
    return M8_OK;
}

static m8_status read_map(m8__phonemizer *p, const json_t *map, m8_error *err)
{
    if (!json_is_object(map)) return m8_fail(err, M8_E_FORMAT, "the voice's JSON has no phoneme_id_map");
    p->symbols = m8_calloc(json_object_size(map) + 1, sizeof *p->symbols);
    if (!p->symbols) return m8_fail(err, M8_E_NOMEM, "phoneme_id_map");
    const char *key;
    json_t *ids;
    json_object_foreach((json_t *)map, key, ids) {
        struct symbol s = { 0 };
        m8_status st = read_symbol(&s, key, ids, err);
        if (st) return st;
        if (s.n) p->symbols[p->n_symbols++] = s;
    }
    qsort(p->symbols, p->n_symbols, sizeof *p->symbols, by_code_point);
    const struct symbol *bos = find(p, '^'), *eos = find(p, '$'), *pad = find(p, '_');
    if (!bos || !eos || !pad) return m8_fail(err, M8_E_FORMAT, "phoneme_id_map lacks one of ^ $ _");
    p->bos = *bos;
    p->eos = *eos;
    p->pad = *pad;
    return M8_OK;
}

static m8_status read_voice(m8__phonemizer *p, const json_t *config, m8_error *err)
{
    const char *type = json_string_value(json_object_get(config, "phoneme_type"));
    if (type && strcmp(type, "text") == 0) {
        p->letters = true;
        return M8_OK;
    }
    if (type && strcmp(type, "espeak") != 0) return m8_fail(err, M8_E_UNSUPPORTED, "phoneme_type \"%.32s\" is not known", type);
    const char *voice = json_string_value(json_object_get(json_object_get(config, "espeak"), "voice"));
    if (!voice || strlen(voice) >= sizeof p->voice) return m8_fail(err, M8_E_FORMAT, "the voice's JSON has no espeak.voice");
    strcpy(p->voice, voice);
    p->english = strcmp(voice, "en") == 0 || strncmp(voice, "en-", 3) == 0;
    p->script = m8__script_of(voice);
    return m8__espeak_open(voice, err);
}

m8_status m8__phonemizer_open(m8__phonemizer **out, const json_t *config, m8_error *err)
{
    *out = NULL;
    if (!json_is_object(config)) return m8_fail(err, M8_E_FORMAT, "no JSON beside the voice (FILE.onnx.json)");
    m8__phonemizer *p = m8_calloc(1, sizeof *p);
    if (!p) return m8_fail(err, M8_E_NOMEM, "phonemes");
    m8_status st = read_map(p, json_object_get(config, "phoneme_id_map"), err);
    if (!st) st = read_voice(p, config, err);
    if (st) {
        m8__phonemizer_close(p);
        return st;
    }
    *out = p;
    return M8_OK;
}

void m8__phonemizer_close(m8__phonemizer *p)
{
    if (!p) return;
    m8_free(p->symbols);
    m8_free(p);
}

/* ---- ids */

static void add_symbol(m8__ids *ids, const struct symbol *s)
{
    for (int i = 0; i < s->n; i++) m8__ids_add(ids, s->ids[i]);
}

/* One code point of IPA in, its canonical decomposition out as ids; true if the voice knows one of them. */
static bool add_phoneme(const m8__phonemizer *p, m8__ids *ids, m8_buf *nfd, int32_t c)
{
    utf8proc_int32_t parts[8];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, 8, UTF8PROC_DECOMPOSE, &boundary);
    bool known = false;
    for (utf8proc_ssize_t i = 0; i < n && i < 8; i++) {
        utf8proc_uint8_t bytes[4];
        m8_buf_add(nfd, bytes, (size_t)utf8proc_encode_char(parts[i], bytes));
        const struct symbol *s = find(p, parts[i]);
        if (!s) continue;
        add_symbol(ids, s);
        add_symbol(ids, &p->pad);
        known |= parts[i] != ' ' && !(parts[i] < 128 && strchr(".?!,:;", parts[i]));
    }
    return known;
}

/* ---- sentences */

struct work {
    m8_buf clean, spoken, clause, ipa; /* ipa: the sentence so far */
    m8__sentence *out;
    size_t n, cap;
};

static void finish_work(struct work *w)
{
    m8_buf_finish(&w->clean);
    m8_buf_finish(&w->spoken);
    m8_buf_finish(&w->clause);
    m8_buf_finish(&w->ipa);
}

/* The sentence gathered in w->ipa, if there is a sound in it. */
static m8_status end_sentence(const m8__phonemizer *p, struct work *w, m8_error *err)
{
    m8__ids ids = { 0 };
    m8_buf nfd = { 0 };
    bool sound = false;
    m8_buf_str(&nfd, "");
    add_symbol(&ids, &p->bos);
    add_symbol(&ids, &p->pad);
    for (size_t i = 0; i < w->ipa.len;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)w->ipa.data + i, (utf8proc_ssize_t)(w->ipa.len - i), &c);
        if (n > 0) sound |= add_phoneme(p, &ids, &nfd, c);
        i += n > 0 ? (size_t)n : 1;
    }
    add_symbol(&ids, &p->eos);
    m8_status st = ids.status ? ids.status : nfd.status ? nfd.status : w->ipa.status;
    if (!st && sound && w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 8;
        m8__sentence *grown = m8_realloc(w->out, cap * sizeof *grown);
        if (grown) {
            w->out = grown;
            w->cap = cap;
        } else {
            st = M8_E_NOMEM;
        }
    }
    m8_buf_clear(&w->ipa);
    if (st || !sound) {
        m8__ids_finish(&ids);
        m8_buf_finish(&nfd);
        return st ? m8_fail(err, st, "phonemes") : M8_OK;
    }
    w->out[w->n++] = (m8__sentence){ .phonemes = nfd.data, .ids = ids.data, .n_ids = ids.n };
    return M8_OK;
}

/* Punctuation alone is not read out. */
static bool has_words(const m8__clause *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strchr(" \n.?!,:;\"'()[]{}-*_~", c->text[i])) return true;
    }
    return false;
}

static m8_status add_clause(const m8__phonemizer *p, struct work *w, const m8__clause *c, m8_error *err)
{
    m8_buf_clear(&w->clause);
    m8_buf_add(&w->clause, c->text, c->n);
    if (w->clause.status) return m8_fail(err, w->clause.status, "phonemes");
    for (size_t i = 0; i < c->n; i++) {
        if (w->clause.data[i] == '\n') w->clause.data[i] = ' ';
    }
    size_t before = w->ipa.len;
    bool go_on = before && w->ipa.data[before - 1] != ' ';
    if (go_on) m8_buf_chr(&w->ipa, ' ');
    size_t start = w->ipa.len;
    m8_status st = M8_OK;
    if (!has_words(c)) st = M8_OK;
    else if (p->letters) m8_buf_add(&w->ipa, w->clause.data, c->n);
    else st = m8__espeak_clause(&w->ipa, p->voice, w->clause.data, err);
    if (st) return st;
    if (!w->ipa.status && w->ipa.len == start) { /* nothing to say, so no punctuation either */
        w->ipa.len = before;
    } else if (!p->letters && c->mark) {
        m8_buf_chr(&w->ipa, c->mark);
        if (!c->sentence) m8_buf_chr(&w->ipa, ' ');
    }
    if (c->sentence || w->ipa.len > LONGEST_SENTENCE) return end_sentence(p, w, err);
    return M8_OK;
}

m8_status m8__phonemize(m8__phonemizer *p, const char *text, m8__sentence **out, size_t *n, m8_error *err)
{
    *out = NULL;
    *n = 0;
    size_t len = strlen(text);
    if (len > LONGEST_TEXT) return m8_fail(err, M8_E_LIMIT, "the text has %zu bytes; at most %d can be spoken at a time", len, LONGEST_TEXT);
    struct work w = { 0 };
    m8__clean_text(&w.clean, text, len, p->letters ? NULL : &p->script);
    m8_buf_str(&w.clean, "");
    m8_status st = w.clean.status;
    if (!st && p->english) {
        m8__normalise(&w.spoken, w.clean.data);
        m8_buf_str(&w.spoken, "");
        st = w.spoken.status;
    }
    if (st) st = m8_fail(err, st, "phonemes");
    const m8_buf *spoken = p->english ? &w.spoken : &w.clean;
    const char *at = spoken->data;
    m8__clause c;
    while (!st && m8__next_clause(&c, &at, spoken->data + spoken->len, p->english)) st = add_clause(p, &w, &c, err);
    if (!st && w.ipa.len) st = end_sentence(p, &w, err);
    finish_work(&w);
    if (st) {
        m8__sentences_free(w.out, w.n);
        return st;
    }
    *out = w.out;
    *n = w.n;
    return M8_OK;
}

void m8__sentences_free(m8__sentence *s, size_t n)
{
    for (size_t i = 0; s && i < n; i++) {
        m8_free(s[i].phonemes);
        m8_free(s[i].ids);
    }
    m8_free(s);
}
