/* tokenizer.json, as Hugging Face's tokenizers writes it: the large parts by the scanner, the small ones (pre_tokenizer, normalizer) as
 * JSON trees. */
#include "text/json.h"
#include <stdlib.h>
#include <string.h>

bool m8__json_is(m8__view v, const char *s) { return v.len == strlen(s) && !memcmp(v.data, s, v.len); }

m8_status m8__json_damaged(const m8__scan *s, m8_error *err)
{
    if (s->status == M8_E_NOMEM) return m8_fail(err, M8_E_NOMEM, "no memory for its strings");
    return m8_fail(err, M8_E_FORMAT, "not a tokenizer.json: damaged JSON");
}

static void read_members(m8__scan *s, struct m8__json_parts *p, bool in_model)
{
    static const struct {
        const char *key;
        size_t at;
        bool in_model;
    } want[] = {
#define AT(field, in) { #field, offsetof(struct m8__json_parts, field), in }
        { "added_tokens", offsetof(struct m8__json_parts, added), false }, AT(normalizer, false), AT(pre_tokenizer, false),
        AT(type, true), AT(vocab, true), AT(merges, true), AT(unk_id, true), AT(unk_token, true), AT(ignore_merges, true),
        AT(byte_fallback, true),
#undef AT
    };
    if (m8__scan_next(s) != '{') {
        s->status = s->status ? s->status : M8_E_FORMAT;
        return;
    }
    int c;
    while ((c = m8__scan_next(s)) == 's') {
        m8__view key = s->text;
        if (!in_model && m8__json_is(key, "model")) {
            read_members(s, p, true); /* once: below, in_model holds */
            continue;
        }
        m8__view value = m8__scan_skip(s);
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            if (want[i].in_model == in_model && m8__json_is(key, want[i].key)) *(m8__view *)((char *)p + want[i].at) = value;
        }
    }
    if (c != '}' && !s->status) s->status = M8_E_FORMAT;
}

static m8_status read_parts(m8__tokenizer *t, struct m8__json_parts *p, const char *data, size_t n, m8_error *err)
{
    m8__scan s = { .at = data, .end = data + n };
    read_members(&s, p, false);
    if (s.status) return m8__json_damaged(&s, err);
    if (!p->vocab.len) return m8_fail(err, M8_E_FORMAT, "not a tokenizer.json: it has no vocabulary");
    return M8_OK;
}

m8__scan m8__json_over(m8__view v, m8_arena *arena)
{
    const char *s = v.len ? v.data : ""; /* absent: no pointer to add to */
    return (m8__scan){ .at = s, .end = s + v.len, .arena = arena };
}

/* A token id as written; -1: no integer, or beyond what a vocabulary may have. */
static long id_of(m8__view v)
{
    long id = 0;
    if (!v.len || v.len > 9) return -1;
    for (size_t i = 0; i < v.len; i++) {
        if (v.data[i] < '0' || v.data[i] > '9') return -1;
        id = id * 10 + (v.data[i] - '0');
    }
    return id < TOK_MAX_PIECES ? id : -1;
}

/* "vocab": {"text": id, ...}; fn is called for each. */
m8_status m8__json_entries(m8__tokenizer *t, m8__view vocab, m8_arena *arena, m8__json_entry fn, m8_error *err)
{
    m8__scan s = m8__json_over(vocab, arena);
    if (m8__scan_next(&s) != '{') return m8__json_damaged(&s, err);
    m8_status st = M8_OK;
    int c;
    while (!st && (c = m8__scan_next(&s)) == 's') {
        m8__view text = s.text;
        long id = m8__scan_next(&s) == 'n' ? id_of(s.text) : -1;
        if (s.status) return m8__json_damaged(&s, err);
        if (id < 0) return m8_fail(err, M8_E_FORMAT, "the token \"%.*s\" has no usable id", (int)(text.len < 40 ? text.len : 40), text.data);
        st = fn(t, text, id, PIECE_NORMAL, err);
    }
    return s.status ? m8__json_damaged(&s, err) : st;
}

/* "added_tokens": [{"id": 1, "content": "</s>", "special": true, ...}, ...] */
m8_status m8__json_added(m8__tokenizer *t, m8__view added, m8_arena *arena, m8__json_entry fn, m8_error *err)
{
    m8__scan s = m8__json_over(added, arena);
    if (!added.len || m8__scan_next(&s) != '[') return M8_OK; /* absent or null */
    m8_status st = M8_OK;
    while (!st && m8__scan_next(&s) == '{') {
        m8__view text = { "", 0 };
        long id = -1;
        bool special = false;
        while (m8__scan_next(&s) == 's') {
            m8__view key = s.text;
            if (m8__json_is(key, "content") && m8__scan_next(&s) == 's')
                text = s.text;
            else if (m8__json_is(key, "id") && m8__scan_next(&s) == 'n')
                id = id_of(s.text);
            else if (m8__json_is(key, "special"))
                special = m8__scan_next(&s) == 't';
            else
                m8__scan_skip(&s);
        }
        if (s.status) return m8__json_damaged(&s, err);
        if (id < 0) return m8_fail(err, M8_E_FORMAT, "an added token has no usable id");
        st = fn(t, text, id, special ? PIECE_CONTROL : PIECE_USER, err);
    }
    return s.status ? m8__json_damaged(&s, err) : st;
}

m8_status m8__json_note_size(m8__tokenizer *t, m8__view text, long id, int type, m8_error *err)
{
    if (id >= t->v.n) t->v.n = (int)id + 1;
    return M8_OK;
}

m8_status m8__json_place(m8__tokenizer *t, m8__view text, long id, int type, m8_error *err)
{
    m8__view now = t->v.text[id];
    if (now.len && (now.len != text.len || memcmp(now.data, text.data, text.len)))
        return m8_fail(err, M8_E_FORMAT, "two tokens have the id %ld", id);
    return m8__vocab_set(t, (size_t)id, text, type, err);
}

m8_status m8__json_merges(m8__tokenizer *t, struct m8__merges *to, m8__view merges, m8_error *err)
{
    m8__scan s = m8__json_over(merges, NULL);
    size_t n = 0;
    int c = m8__scan_next(&s);
    if (c != '[') return m8_fail(err, M8_E_FORMAT, "expected a list of merges");
    while ((c = m8__scan_next(&s)) == 's' || c == '[' || (c == ']' && s.at < s.end)) n += c == 's'; /* pairs count twice */
    if (s.status) return m8__json_damaged(&s, err);
    m8_status st = m8__merges_room(to, n, err);
    m8_arena *arena = m8_arena_new(0); /* pieces are found by text, so written-out strings end here */
    if (!arena) return m8_fail(err, M8_E_NOMEM, "no memory for its strings");
    s = m8__json_over(merges, arena);
    m8__scan_next(&s);
    while (!st && (c = m8__scan_next(&s)) != 'e' && c != ']') {
        if (c == 's') {
            st = m8__merges_line(to, &t->v, s.text, err);
            continue;
        }
        m8__view left = { "", 0 };
        if (c == '[' && m8__scan_next(&s) == 's') left = s.text;
        if (!left.len || m8__scan_next(&s) != 's')
            st = m8_fail(err, M8_E_FORMAT, "expected each merge as \"left right\" or [left, right]");
        if (!st) st = m8__merges_add(to, &t->v, left, s.text, err);
        if (!st && m8__scan_next(&s) != ']') st = m8_fail(err, M8_E_FORMAT, "expected each merge to have two parts");
    }
    if (!st && !s.status) st = m8__merges_flush(to, &t->v, err);
    m8_arena_free(arena);
    return s.status ? m8__json_damaged(&s, err) : st;
}

/* ---- what cuts text into words: the families of pretok.c in tokenizer.json's terms */

m8_status m8__json_tree(json_t **out, m8__view v, m8_error *err)
{
    *out = NULL;
    if (!v.len || m8__json_is(v, "null")) return M8_OK;
    json_error_t e;
    *out = json_loadb(v.data, v.len, JSON_DECODE_ANY, &e);
    if (*out) return M8_OK;
    /* where jansson itself has no memory, some of its ways out leave no text */
    if (json_error_code(&e) == json_error_out_of_memory || !e.text[0]) return m8_fail(err, M8_E_NOMEM, "no memory for its settings");
    return m8_fail(err, M8_E_FORMAT, "not a tokenizer.json: %s", e.text);
}

const char *m8__json_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const char *pretok_name(const json_t *p)
{
    const json_t *first = p, *second = NULL;
    if (!strcmp(m8__json_text(p, "type"), "Sequence")) {
        const json_t *list = json_object_get(p, "pretokenizers");
        first = json_array_get(list, 0);
        second = json_array_get(list, 1);
        if (json_array_size(list) > 2) return NULL;
    }
    const json_t *level = second ? second : first;
    if (strcmp(m8__json_text(level, "type"), "ByteLevel") || json_is_true(json_object_get(level, "add_prefix_space"))) return NULL;
    bool regex = !json_is_false(json_object_get(level, "use_regex"));
    if (!second) return regex ? "gpt2" : NULL;
    const char *type = m8__json_text(first, "type");
    if (!strcmp(type, "Digits") && json_is_true(json_object_get(first, "individual_digits")) && regex) return "smollm";
    if (!strcmp(type, "Split") && !regex && !strcmp(m8__json_text(first, "behavior"), "Isolated"))
        return m8__pretok_by_pattern(m8__json_text(json_object_get(first, "pattern"), "Regex"));
    return NULL;
}

static m8_status make_bpe(m8__tokenizer *t, const struct m8__json_parts *p, m8_error *err)
{
    json_t *pre = NULL, *norm = NULL;
    m8_status st = m8__json_tree(&pre, p->pre_tokenizer, err);
    if (!st) st = m8__json_tree(&norm, p->normalizer, err);
    const char *name = pretok_name(pre);
    t->nfc = !strcmp(m8__json_text(norm, "type"), "NFC");
    if (!st && !name) st = m8_fail(err, M8_E_UNSUPPORTED, "a pre-tokenizer that is not known here");
    if (!st && norm && !t->nfc) st = m8_fail(err, M8_E_UNSUPPORTED, "a normalizer that is not known here");
    json_decref(pre);
    json_decref(norm);
    if (!st) st = m8__bpe_new(t, (m8__view){ name, strlen(name) }, err);
    if (!st) st = m8__json_merges(t, m8__bpe_merges(t), p->merges, err);
    if (!st && m8__json_is(p->ignore_merges, "true")) m8__bpe_whole_words(t);
    return st;
}

/* tokenizer.json does not say which token begins and which ends a text; config.json may say otherwise. */
static void guess_ends(m8__tokenizer *t)
{
    static const char *const begins[] = { "<|begin_of_text|>", "<s>", NULL };
    static const char *const ends[] = { "<|im_end|>", "<|eot_id|>", "</s>", "<|end_of_text|>", "<|endoftext|>", NULL };
    for (int i = 0; begins[i] && t->bos < 0; i++) t->bos = m8__token_id(t, begins[i]);
    for (int i = 0; ends[i] && t->eos < 0; i++) t->eos = m8__token_id(t, ends[i]);
}

static m8_status read_model(m8__tokenizer *t, const struct m8__json_parts *p, m8_error *err)
{
    if (m8__json_is(p->type, "\"Unigram\"") || (m8__json_is(p->type, "\"BPE\"") && m8__json_is(p->byte_fallback, "true")))
        return m8__spm_json(t, p, err);
    if (!m8__json_is(p->type, "\"BPE\"")) return m8_fail(err, M8_E_UNSUPPORTED, "a model of the type %.*s", (int)(p->type.len < 40 ? p->type.len : 40), p->type.data);
    m8_status st = m8__json_entries(t, p->vocab, NULL, m8__json_note_size, err);
    if (!st) st = m8__json_added(t, p->added, NULL, m8__json_note_size, err);
    if (!st) st = m8__vocab_init(t, (size_t)t->v.n, err);
    if (!st) st = m8__json_entries(t, p->vocab, t->arena, m8__json_place, err);
    if (!st) st = m8__json_added(t, p->added, t->arena, m8__json_place, err);
    if (!st) st = m8__vocab_index(t, err);
    if (!st) st = make_bpe(t, p, err);
    return st;
}

m8_status m8__tok_json(m8__tokenizer *t, const char *data, size_t n, m8_error *err)
{
    struct m8__json_parts p = { 0 };
    m8_status st = read_parts(t, &p, data, n, err);
    if (!st) st = read_model(t, &p, err);
    if (!st) guess_ends(t);
    return st;
}
