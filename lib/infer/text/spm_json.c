/* tokenizer.json of a SentencePiece model: Unigram (T5), or BPE with byte fallback (Llama 2, Mistral). What its normalizer and
 * pre_tokenizer say in many words comes down to two settings, a blank in front and runs of blanks made one, and a charsmap.
 *
 * For special strings typed by a user this does as SentencePiece: they are plain text, where tokenizers would make special ids. */
#include "text/json.h"
#include <stdlib.h>
#include <string.h>

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62
         : c == '/' ? 63 : -1;
}

static m8_status base64(m8__tokenizer *t, const char *s, m8__view *out, m8_error *err)
{
    size_t n = strlen(s), len = 0;
    char *to = m8_arena_raw(t->arena, n / 4 * 3 + 3);
    if (!to) return m8_fail(err, M8_E_NOMEM, "no memory for the normaliser");
    while (n && s[n - 1] == '=') n--;
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        int v = sextet(s[i]);
        if (v < 0) return m8_fail(err, M8_E_FORMAT, "the normaliser's table is no base64");
        bits = bits << 6 | (uint32_t)v;
        if (i % 4) to[len++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    *out = (m8__view){ to, len };
    return M8_OK;
}

static m8_status one_step(m8__tokenizer *t, const json_t *step, m8_error *err)
{
    struct m8__spm *s = t->spm;
    const char *type = m8__json_text(step, "type");
    if (!strcmp(type, "Precompiled")) return base64(t, m8__json_text(step, "precompiled_charsmap"), &s->charsmap, err);
    if (!strcmp(type, "Prepend")) {
        s->dummy_prefix = true;
    } else if (!strcmp(type, "Metaspace")) {
        const json_t *scheme = json_object_get(step, "prepend_scheme"), *old = json_object_get(step, "add_prefix_space");
        s->dummy_prefix = scheme ? strcmp(json_string_value(scheme) ? json_string_value(scheme) : "", "never") != 0 : !json_is_false(old);
    } else if (!strcmp(type, "WhitespaceSplit") || !strcmp(type, "Strip")) {
        s->strip = true;
    } else if (!strcmp(type, "Replace")) {
        const json_t *pattern = json_object_get(step, "pattern");
        if (!strcmp(m8__json_text(pattern, "Regex"), " {2,}")) s->strip = true;
        else if (strcmp(m8__json_text(pattern, "String"), " ")) return m8_fail(err, M8_E_UNSUPPORTED, "a normaliser that replaces \"%s\"", m8__json_text(pattern, "String"));
    } else {
        return m8_fail(err, M8_E_UNSUPPORTED, "the step \"%s\" before cutting text", type);
    }
    return M8_OK;
}

/* A normalizer or pre_tokenizer: a step or a sequence of them. */
static m8_status steps(m8__tokenizer *t, m8__view text, const char *list, m8_error *err)
{
    json_t *o;
    m8_status st = m8__json_tree(&o, text, err);
    if (!o) return st;
    if (!strcmp(m8__json_text(o, "type"), "Sequence")) {
        const json_t *all = json_object_get(o, list);
        for (size_t i = 0; !st && i < json_array_size(all); i++) st = one_step(t, json_array_get(all, i), err);
    } else {
        st = one_step(t, o, err);
    }
    json_decref(o);
    return st;
}

/* "vocab": [["text", score], ...]; without to it is only counted. */
static m8_status scored(m8__tokenizer *t, m8__view vocab, bool count, m8_error *err)
{
    m8__scan s = m8__json_over(vocab, count ? NULL : t->arena);
    if (m8__scan_next(&s) != '[') return m8_fail(err, M8_E_FORMAT, "expected a list of tokens with scores");
    m8_status st = M8_OK;
    long id = 0;
    for (; !st && m8__scan_next(&s) == '['; id++) {
        bool good = m8__scan_next(&s) == 's';
        m8__view text = s.text;
        char number[32] = "";
        if (good) good = m8__scan_next(&s) == 'n' && s.text.len < sizeof number;
        if (good) memcpy(number, s.text.data, s.text.len);
        if (good) good = m8__scan_next(&s) == ']';
        if (s.status) return m8__json_damaged(&s, err);
        if (!good) return m8_fail(err, M8_E_FORMAT, "token %ld: expected [text, score]", id);
        if (count) continue;
        st = m8__vocab_set(t, (size_t)id, text, PIECE_NORMAL, err);
        if (!st) t->v.score[id] = strtof(number, NULL);
    }
    if (s.status) return m8__json_damaged(&s, err);
    if (count) t->v.n = id < TOK_MAX_PIECES ? (int)id : TOK_MAX_PIECES + 1;
    return st;
}

/* <0x0A> and the unknown token are told by what they are; tokenizer.json has no types. */
static m8_status types(m8__tokenizer *t, const struct m8__json_parts *p, m8_error *err)
{
    struct m8__vocab *v = &t->v;
    t->spm->byte_fallback = m8__json_is(p->byte_fallback, "true");
    for (int id = 0; id < v->n && t->spm->byte_fallback; id++) {
        if (v->type[id] == PIECE_NORMAL && m8__piece_byte(v->text[id]) >= 0) v->type[id] = PIECE_BYTE;
    }
    m8__view u = p->unk_id;
    long unk = -1;
    if (u.len && u.len < 9 && u.data[0] >= '0' && u.data[0] <= '9') {
        unk = 0;
        for (size_t i = 0; i < u.len && u.data[i] >= '0' && u.data[i] <= '9'; i++) unk = unk * 10 + (u.data[i] - '0');
    } else if (p->unk_token.len > 2 && p->unk_token.data[0] == '"') {
        unk = m8__vocab_find(v, p->unk_token.data + 1, p->unk_token.len - 2);
    }
    if (unk >= v->n) return m8_fail(err, M8_E_FORMAT, "the unknown token %ld is outside the %d tokens", unk, v->n);
    t->unk = (int)unk;
    if (unk >= 0) v->type[unk] = PIECE_UNKNOWN;
    return M8_OK;
}

m8_status m8__spm_json(m8__tokenizer *t, const struct m8__json_parts *p, m8_error *err)
{
    m8_status st = m8__spm_new(t, err);
    if (st) return st;
    struct m8__spm *s = t->spm;
    s->unigram = m8__json_is(p->type, "\"Unigram\"");
    s->dummy_prefix = false;
    st = s->unigram ? scored(t, p->vocab, true, err) : m8__json_entries(t, p->vocab, NULL, m8__json_note_size, err);
    if (!st) st = m8__json_added(t, p->added, NULL, m8__json_note_size, err);
    if (!st) st = m8__vocab_init(t, (size_t)t->v.n, err);
    if (!st) st = s->unigram ? scored(t, p->vocab, false, err) : m8__json_entries(t, p->vocab, t->arena, m8__json_place, err);
    if (!st) st = m8__json_added(t, p->added, t->arena, m8__json_place, err);
    if (!st) st = m8__vocab_index(t, err);
    if (!st) st = types(t, p, err);
    if (!st) st = steps(t, p->normalizer, "normalizers", err);
    if (!st) st = steps(t, p->pre_tokenizer, "pretokenizers", err);
    if (!st && s->unigram && s->charsmap.len) s->strip = true; /* as the model was trained: the charsmap comes from a .model file */
    if (!st && !s->unigram) st = m8__json_merges(t, &s->merges, p->merges, err);
    return st ? st : m8__spm_check(t, err);
}
