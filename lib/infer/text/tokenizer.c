/* A tokenizer by where it comes from: GGUF keys, tokenizer.json, a SentencePiece model, vocabulary.txt; and the calls all kinds share. */
#include "text/spm.h"
#include <string.h>

/* ---- GGUF */

/* A special id by its key; *id stays as it was where the file has none. */
static m8_status special(const m8__tokenizer *t, const m8__weights *w, const char *key, int *id, m8_error *err)
{
    int64_t value;
    if (!m8__meta_int(w, key, &value)) return M8_OK;
    if (value == -1 || value == UINT32_MAX) return M8_OK; /* writers' ways to say "none" */
    if (value < 0 || value >= t->v.n) return m8_fail(err, M8_E_FORMAT, "%s: %lld is outside the %d tokens", key, (long long)value, t->v.n);
    *id = (int)value;
    return M8_OK;
}

static m8_status gguf_pieces(m8__tokenizer *t, const m8__weights *w, bool *scored, m8_error *err)
{
    m8__meta_array tokens, types = { 0 }, scores = { 0 };
    if (!m8__meta_array_get(w, "tokenizer.ggml.tokens", &tokens)) return m8_fail(err, M8_E_FORMAT, "no tokenizer.ggml.tokens");
    bool typed = m8__meta_array_get(w, "tokenizer.ggml.token_type", &types);
    *scored = m8__meta_array_get(w, "tokenizer.ggml.scores", &scores);
    if (typed && types.n != tokens.n) return m8_fail(err, M8_E_FORMAT, "%zu token types for %zu tokens", types.n, tokens.n);
    if (*scored && scores.n != tokens.n) return m8_fail(err, M8_E_FORMAT, "%zu scores for %zu tokens", scores.n, tokens.n);
    m8_status st = m8__vocab_init(t, tokens.n, err);
    for (size_t i = 0; !st && i < tokens.n; i++) {
        m8__view text;
        double type = PIECE_NORMAL, score = 0;
        if (!m8__meta_next_str(&tokens, &text)) return m8_fail(err, M8_E_FORMAT, "tokenizer.ggml.tokens: expected strings");
        if (typed && !m8__meta_next_number(&types, &type)) return m8_fail(err, M8_E_FORMAT, "tokenizer.ggml.token_type: expected numbers");
        if (*scored && !m8__meta_next_number(&scores, &score)) return m8_fail(err, M8_E_FORMAT, "tokenizer.ggml.scores: expected numbers");
        st = m8__vocab_set(t, i, text, type >= 0 && type <= 100 ? (int)type : -1, err);
        if (!st) t->v.score[i] = (float)score;
    }
    if (!st) st = m8__vocab_index(t, err);
    if (!st) st = special(t, w, "tokenizer.ggml.bos_token_id", &t->bos, err);
    if (!st) st = special(t, w, "tokenizer.ggml.eos_token_id", &t->eos, err);
    if (!st) st = special(t, w, "tokenizer.ggml.unknown_token_id", &t->unk, err);
    return st;
}

static m8_status gguf_bpe(m8__tokenizer *t, const m8__weights *w, m8_error *err)
{
    m8__view pre = { "gpt2", 4 };
    m8__meta_array merges;
    m8__meta_str(w, "tokenizer.ggml.pre", &pre);
    if (!m8__meta_array_get(w, "tokenizer.ggml.merges", &merges)) return m8_fail(err, M8_E_FORMAT, "no tokenizer.ggml.merges");
    m8_status st = m8__bpe_new(t, pre, err);
    if (!st) st = m8__merges_room(m8__bpe_merges(t), merges.n, err);
    for (size_t i = 0, n = merges.n; !st && i < n; i++) {
        m8__view line;
        if (!m8__meta_next_str(&merges, &line)) return m8_fail(err, M8_E_FORMAT, "tokenizer.ggml.merges: expected strings");
        st = m8__merges_line(m8__bpe_merges(t), &t->v, line, err);
    }
    if (!st) st = m8__merges_flush(m8__bpe_merges(t), &t->v, err);
    t->nfc = pre.len == 5 && !memcmp(pre.data, "qwen2", 5);
    if (!st && pre.len >= 6 && (!memcmp(pre.data, "llama-", 6) || !memcmp(pre.data, "llama3", 6))) m8__bpe_whole_words(t);
    return st;
}

static m8_status gguf_spm(m8__tokenizer *t, const m8__weights *w, m8_error *err)
{
    m8_status st = m8__spm_new(t, err);
    if (st) return st;
    m8__meta_bool(w, "tokenizer.ggml.add_space_prefix", &t->spm->dummy_prefix);
    m8__meta_bool(w, "tokenizer.ggml.remove_extra_whitespaces", &t->spm->strip);
    t->spm->byte_fallback = memchr(t->v.type, PIECE_BYTE, (size_t)t->v.n) != NULL;
    return m8__spm_check(t, err);
}

static m8_status from_gguf(m8__tokenizer *t, const m8__weights *w, m8__view model, m8_error *err)
{
    bool scored;
    if (model.len == 4 && !memcmp(model.data, "gpt2", 4)) {
        m8_status st = gguf_pieces(t, w, &scored, err);
        return st ? st : gguf_bpe(t, w, err);
    }
    if (model.len == 5 && !memcmp(model.data, "llama", 5)) {
        m8_status st = gguf_pieces(t, w, &scored, err);
        if (!st && !scored) st = m8_fail(err, M8_E_FORMAT, "no tokenizer.ggml.scores");
        return st ? st : gguf_spm(t, w, err);
    }
    return m8_fail(err, M8_E_UNSUPPORTED, "tokenizer.ggml.model \"%.*s\"", (int)(model.len < 40 ? model.len : 40), model.data);
}

/* ---- CTranslate2: one token a line, the line is the id */

static bool looks_special(m8__view v)
{
    return v.len >= 5 && !memcmp(v.data, "<|", 2) && !memcmp(v.data + v.len - 2, "|>", 2);
}

static m8_status from_lines(m8__tokenizer *t, m8_error *err)
{
    const char *p = (const char *)t->file.data, *end = p + t->file.size;
    size_t n = 0;
    for (const char *q = p; q < end; n++) {
        const char *nl = memchr(q, '\n', (size_t)(end - q));
        q = nl ? nl + 1 : end;
    }
    m8_status st = m8__vocab_init(t, n, err);
    for (size_t id = 0; !st && id < n; id++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        m8__view text = { p, (size_t)((nl ? nl : end) - p) };
        st = m8__vocab_set(t, id, text, looks_special(text) ? PIECE_CONTROL : PIECE_NORMAL, err);
        p = nl ? nl + 1 : end;
    }
    if (!st) st = m8__vocab_index(t, err);
    if (!st) st = m8__bpe_new(t, (m8__view){ "gpt2", 4 }, err);
    t->eos = m8__token_id(t, "<|endoftext|>");
    return st;
}

/* ---- open */

static m8__tokenizer *blank(m8_error *err)
{
    m8__tokenizer *t = m8_calloc(1, sizeof *t);
    if (t) t->arena = m8_arena_new(0);
    if (t && t->arena) {
        t->bos = t->eos = t->unk = -1;
        return t;
    }
    m8_free(t);
    m8_fail(err, M8_E_NOMEM, "no memory for the tokenizer");
    return NULL;
}

static m8_status map_file(m8__tokenizer *t, const char *path, m8_error *err)
{
    m8_status st = m8_map_open(&t->file, path, err);
    if (!st && t->file.size > TOK_MAX_FILE)
        st = m8_fail(err, M8_E_FORMAT, "%s: larger than any tokenizer (%zu bytes)", path, t->file.size);
    return st;
}

static m8_status done(m8__tokenizer **out, m8__tokenizer *t, m8_status st, const char *path, m8_error *err)
{
    *out = st ? NULL : t;
    if (!st) return M8_OK;
    m8__tokenizer_close(t);
    return m8_wrap(err, st, "tokenizer of %s", path);
}

static m8_status read_bytes(m8__tokenizer *t, const uint8_t *data, size_t n, m8_error *err)
{
    return m8__spm_is_model(data, n) ? m8__spm_read(t, data, n, err) : m8__tok_json(t, (const char *)data, n, err);
}

m8_status m8__tokenizer_open_bytes(m8__tokenizer **out, const void *data, size_t n, m8_error *err)
{
    *out = NULL;
    m8__tokenizer *t = blank(err);
    if (!t) return M8_E_NOMEM;
    return done(out, t, read_bytes(t, data, n, err), "memory", err);
}

m8_status m8__tokenizer_open_file(m8__tokenizer **out, const char *path, m8_error *err)
{
    *out = NULL;
    m8__tokenizer *t = blank(err);
    if (!t) return M8_E_NOMEM;
    m8_status st = map_file(t, path, err);
    if (!st) st = read_bytes(t, t->file.data, t->file.size, err);
    return done(out, t, st, path, err);
}

static m8_status open_lines(m8__tokenizer **out, const char *lines, m8_error *err)
{
    m8__tokenizer *t = blank(err);
    if (!t) return M8_E_NOMEM;
    m8_status st = map_file(t, lines, err);
    if (!st) st = from_lines(t, err);
    return done(out, t, st, lines, err);
}

/* config.json knows best what begins and ends a text. */
static m8_status ends_of_config(m8__tokenizer *t, const m8__weights *w, m8_error *err)
{
    const struct {
        const char *key;
        int *id;
    } want[] = { { "bos_token_id", &t->bos }, { "eos_token_id", &t->eos } };
    for (int i = 0; i < 2; i++) {
        const json_t *v = json_object_get(m8__weights_config(w), want[i].key);
        if (json_is_array(v)) v = json_array_get(v, 0);
        if (!json_is_integer(v)) continue;
        json_int_t id = json_integer_value(v);
        if (id < 0 || id >= t->v.n)
            return m8_fail(err, M8_E_FORMAT, "config.json: %s %lld is outside the %d tokens", want[i].key, (long long)id, t->v.n);
        *want[i].id = (int)id;
    }
    return M8_OK;
}

static m8_status open_beside(m8__tokenizer **out, const m8__weights *w, m8_error *err)
{
    enum { N = 5 };
    static const char *const names[N] = { "vocabulary.txt", "tokenizer.json", "tokenizer.model", "tokenizer.model.v3", "spiece.model" };
    char *path[N] = { 0 };
    m8_status st = M8_OK;
    const char *dir = m8__weights_dir(w);
    for (int i = 0; i < N; i++) {
        path[i] = m8_join_path(dir, names[i]);
        if (!path[i]) st = m8_fail(err, M8_E_NOMEM, "no memory for a path");
    }
    if (!st && !strcmp(m8__weights_format(w), "ctranslate2") && m8_is_file(path[0])) {
        st = open_lines(out, path[0], err);
    } else if (!st) {
        int i = 1;
        while (i < N && !m8_is_file(path[i])) i++;
        const char *found = i < N ? path[i] : NULL;
        if (!found)
            st = m8_fail(err, M8_E_NOTFOUND, "no tokenizer.json, tokenizer.model or spiece.model beside %s", m8__weights_path(w));
        m8__tokenizer *t = NULL;
        if (!st) st = m8__tokenizer_open_file(&t, found, err);
        if (!st) st = ends_of_config(t, w, err);
        if (!st) st = m8__tok_settings(t, w, err);
        if (t) st = done(out, t, st, found, err);
    }
    for (int i = 0; i < N; i++) m8_free(path[i]);
    return st;
}

m8_status m8__tokenizer_open(m8__tokenizer **out, const m8__weights *w, m8_error *err)
{
    *out = NULL;
    m8__view model;
    m8__meta_array file;
    bool keys = m8__meta_str(w, "tokenizer.ggml.model", &model), within = m8__meta_array_get(w, "magic8.tokenizer", &file);
    if (!keys && !within) return open_beside(out, w, err);
    m8__tokenizer *t = blank(err);
    if (!t) return M8_E_NOMEM;
    if (!keys) {
        m8_status st = file.type == 0 ? read_bytes(t, file.at, file.n, err) : m8_fail(err, M8_E_FORMAT, "magic8.tokenizer: expected bytes");
        if (!st) st = ends_of_config(t, w, err);
        if (!st) st = m8__tok_settings(t, w, err);
        return done(out, t, st, m8__weights_path(w), err);
    }
    m8_status st = from_gguf(t, w, model, err);
    if (!st) st = m8__tok_settings(t, w, err);
    return done(out, t, st, m8__weights_path(w), err);
}

void m8__tokenizer_close(m8__tokenizer *t)
{
    if (!t) return;
    m8__bpe_free(t->bpe);
    m8__spm_free(t->spm);
    m8_map_close(&t->file);
    m8_arena_free(t->arena);
    m8_free(t);
}

/* ---- asked */

int m8__tokenizer_size(const m8__tokenizer *t) { return t->v.n; }
int m8__token_bos(const m8__tokenizer *t) { return t->bos; }
bool m8__token_adds_bos(const m8__tokenizer *t) { return t->add_bos && t->bos >= 0; }
int m8__token_eos(const m8__tokenizer *t) { return t->eos; }

int m8__token_id(const m8__tokenizer *t, const char *text)
{
    int id = m8__vocab_find(&t->v, text, strlen(text));
    return id >= 0 && t->v.type[id] != PIECE_NORMAL ? id : -1;
}

bool m8__token_is_control(const m8__tokenizer *t, int id)
{
    return id >= 0 && id < t->v.n && (t->v.type[id] == PIECE_CONTROL || t->v.type[id] == PIECE_UNUSED);
}

/* ---- encode, decode */

static m8_status encode_clean(const m8__tokenizer *t, m8__ids *out, const char *s, size_t n, m8_error *err)
{
    if (t->spm) return m8__spm_encode(t, out, s, n, err);
    if (!t->has_user) return m8__bpe_encode(t, out, s, n, err);
    m8_status st = M8_OK;
    size_t from = 0, at = 0;
    while (!st && at <= n) { /* user-defined tokens are cut out; what lies between is encoded by itself */
        int id = -1;
        size_t len = m8__vocab_user(t, s + at, n - at, &id);
        if (!len && at < n) {
            at++;
            continue;
        }
        if (at > from) st = m8__bpe_encode(t, out, s + from, at - from, err);
        if (len) m8__ids_add(out, id);
        at += len ? len : 1;
        from = at;
    }
    return st;
}

m8_status m8__encode(const m8__tokenizer *t, m8__ids *out, const char *text, size_t n, m8_error *err)
{
    if (out->status) return m8_fail(err, out->status, "no memory for tokens");
    if (n > TOK_MAX_TEXT) return m8_fail(err, M8_E_LIMIT, "a text of %zu bytes, expected at most %zu", n, TOK_MAX_TEXT);
    m8_buf clean = { 0 };
    if (m8__utf8_valid(text, n) < n) {
        m8__utf8_clean(&clean, text, n);
        if (clean.status) {
            m8_buf_finish(&clean);
            return m8_fail(err, M8_E_NOMEM, "no memory to encode %zu bytes", n);
        }
        text = clean.data;
        n = clean.len;
    }
    m8_buf nfc = { 0 };
    m8_status st = t->nfc && n ? m8__utf8_nfc(&nfc, text, n, err) : M8_OK;
    if (!st && n) st = encode_clean(t, out, t->nfc ? nfc.data : text, t->nfc ? nfc.len : n, err);
    m8_buf_finish(&nfc);
    m8_buf_finish(&clean);
    if (!st && out->status) st = m8_fail(err, out->status, "no memory for tokens");
    return st;
}

void m8__decode(const m8__tokenizer *t, int id, int *state, m8_buf *out)
{
    if (id < 0 || id >= t->v.n || m8__token_is_control(t, id)) return;
    if (t->spm)
        m8__spm_decode(t, id, state, out);
    else
        m8__bpe_decode(t, id, out);
}
