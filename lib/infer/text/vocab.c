/* The pieces of a vocabulary and the table that finds them by text: sized once, open addressing, texts stay where the file has them. */
#include "text/tok.h"
#include <string.h>

#define MOST_PROBES 512 /* half-full table, good hash: real ones need fewer than 40; more is a file made to be slow */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t read8(const char *s)
{
    uint64_t x;
    memcpy(&x, s, 8);
    return x;
}

static uint64_t read4(const char *s)
{
    uint32_t x;
    memcpy(&x, s, 4);
    return x;
}

/* Eight bytes at a time, the last ones once more with what stands before them: no loop and no jump for each length, which would be
 * mispredicted for every other piece. */
uint32_t m8__vocab_hash(const char *s, size_t n)
{
    uint64_t h = n * 0xD6E8FEB86659FD93u;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) h = mix(h, read8(s + i));
        h = mix(h, read8(s + n - 8));
    } else if (n >= 4) {
        h = mix(h, read4(s) << 32 | read4(s + n - 4));
    } else if (n) {
        h = mix(h, (uint64_t)(uint8_t)s[0] << 16 | (uint64_t)(uint8_t)s[n / 2] << 8 | (uint8_t)s[n - 1]);
    }
    return (uint32_t)mix(h, 0);
}

static bool same(const char *a, const char *b, size_t n)
{
    if (n > 16) return !memcmp(a, b, n);
    if (n >= 8) return read8(a) == read8(b) && read8(a + n - 8) == read8(b + n - 8);
    if (n >= 4) return read4(a) == read4(b) && read4(a + n - 4) == read4(b + n - 4);
    return !n || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

m8_status m8__vocab_init(m8__tokenizer *t, size_t n, m8_error *err)
{
    if (n < 1 || n > TOK_MAX_PIECES) return m8_fail(err, M8_E_FORMAT, "expected 1 to %d tokens, file has %zu", TOK_MAX_PIECES, n);
    struct m8__vocab *v = &t->v;
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    v->n = (int)n;
    v->mask = (uint32_t)size - 1;
    v->text = m8_arena_take(t->arena, n * sizeof *v->text);
    v->type = m8_arena_take(t->arena, n);
    v->score = m8_arena_take(t->arena, n * sizeof *v->score);
    v->slot = m8_arena_take(t->arena, size * sizeof *v->slot);
    if (!v->text || !v->type || !v->score || !v->slot) return m8_fail(err, M8_E_NOMEM, "no memory for %zu tokens", n);
    memset(v->type, PIECE_UNUSED, n);
    return M8_OK;
}

m8_status m8__vocab_set(m8__tokenizer *t, size_t id, m8__view text, int type, m8_error *err)
{
    struct m8__vocab *v = &t->v;
    if (id >= (size_t)v->n) return m8_fail(err, M8_E_FORMAT, "token id %zu is outside the table of %d", id, v->n);
    if (text.len > TOK_MAX_PIECE)
        return m8_fail(err, M8_E_FORMAT, "token %zu is %zu bytes long, expected at most %d", id, text.len, TOK_MAX_PIECE);
    if (type < PIECE_NORMAL || type > PIECE_BYTE) return m8_fail(err, M8_E_FORMAT, "token %zu is of unknown type %d", id, type);
    v->text[id] = text;
    v->type[id] = (uint8_t)type;
    return M8_OK;
}

static uint32_t *probe(const struct m8__vocab *v, const char *s, size_t n, uint32_t hash)
{
    uint32_t at = hash & v->mask;
    for (int i = 0; i < MOST_PROBES; i++, at = (at + 1) & v->mask) {
        uint32_t id = v->slot[at];
        if (!id) return &v->slot[at];
        const m8__view *w = &v->text[id - 1];
        if (w->len == n && same(w->data, s, n)) return &v->slot[at];
    }
    return NULL;
}

int m8__vocab_find_hashed(const struct m8__vocab *v, const char *s, size_t n, uint32_t hash)
{
    const uint32_t *at = n ? probe(v, s, n, hash) : NULL;
    return at ? (int)*at - 1 : -1;
}

int m8__vocab_find(const struct m8__vocab *v, const char *s, size_t n)
{
    return n <= (size_t)v->max_len ? m8__vocab_find_hashed(v, s, n, m8__vocab_hash(s, n)) : -1;
}

void m8__vocab_prefetch(const struct m8__vocab *v, uint32_t hash, int stage)
{
    const uint32_t *at = &v->slot[hash & v->mask];
    if (!stage) {
        __builtin_prefetch(at);
        return;
    }
    uint32_t id = *at;
    if (!id) return;
    if (stage == 1) __builtin_prefetch(&v->text[id - 1]);
    else __builtin_prefetch(v->text[id - 1].data);
}

int m8__piece_byte(m8__view text)
{
    static const char hex[] = "0123456789ABCDEF";
    if (text.len != 6 || memcmp(text.data, "<0x", 3) || text.data[5] != '>') return -1;
    const char *a = memchr(hex, text.data[3], 16), *b = memchr(hex, text.data[4], 16);
    return a && b ? (int)((a - hex) * 16 + (b - hex)) : -1;
}

static m8_status add_user(m8__tokenizer *t, m8__view text, m8_error *err)
{
    t->has_user = true;
    t->user_first[(uint8_t)text.data[0]] = 1;
    const int most = sizeof t->user_len / sizeof *t->user_len;
    int i = 0;
    while (i < most && t->user_len[i] > text.len) i++;
    if (i < most && t->user_len[i] == text.len) return M8_OK;
    if (i == most || t->user_len[most - 1])
        return m8_fail(err, M8_E_UNSUPPORTED, "user-defined tokens of more than %d different lengths", most);
    memmove(&t->user_len[i + 1], &t->user_len[i], (size_t)(most - i - 1) * sizeof *t->user_len);
    t->user_len[i] = (uint16_t)text.len;
    return M8_OK;
}

/* User-defined tokens are matched in any text. Files give that type to the markers of turns too; those nobody may type. */
static bool is_marker(m8__view w)
{
    static const char *const names[] = { "<s>", "</s>", "[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>" };
    if (w.len >= 5 && !memcmp(w.data, "<|", 2) && !memcmp(w.data + w.len - 2, "|>", 2)) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (w.len == strlen(names[i]) && !memcmp(w.data, names[i], w.len)) return true;
    }
    return false;
}

m8_status m8__vocab_index(m8__tokenizer *t, m8_error *err)
{
    struct m8__vocab *v = &t->v;
    for (int id = 0; id < v->n; id++) {
        m8__view w = v->text[id];
        if (!w.len) {
            if (v->type[id] != PIECE_CONTROL) v->type[id] = PIECE_UNUSED;
            continue;
        }
        if (v->type[id] == PIECE_BYTE && m8__piece_byte(w) < 0)
            return m8_fail(err, M8_E_FORMAT, "token %d is of type byte, expected <0x00> to <0xFF>, file has \"%.*s\"", id,
                           (int)(w.len < 40 ? w.len : 40), w.data);
        if ((int)w.len > v->max_len) v->max_len = (int)w.len;
        uint32_t *at = probe(v, w.data, w.len, m8__vocab_hash(w.data, w.len));
        if (!at) return m8_fail(err, M8_E_FORMAT, "the token table is degenerate");
        if (*at)
            return m8_fail(err, M8_E_FORMAT, "tokens %d and %d are the same: \"%.*s\"", (int)*at - 1, id,
                           (int)(w.len < 40 ? w.len : 40), w.data);
        *at = (uint32_t)id + 1;
        if (v->type[id] == PIECE_USER && is_marker(w)) v->type[id] = PIECE_CONTROL;
        if (v->type[id] == PIECE_USER) {
            m8_status st = add_user(t, w, err);
            if (st) return st;
        }
    }
    return M8_OK;
}

size_t m8__vocab_user(const m8__tokenizer *t, const char *s, size_t n, int *id)
{
    if (!n || !t->user_first[(uint8_t)s[0]]) return 0;
    for (size_t i = 0; i < sizeof t->user_len / sizeof *t->user_len && t->user_len[i]; i++) {
        size_t len = t->user_len[i];
        if (len > n) continue;
        *id = m8__vocab_find(&t->v, s, len);
        if (*id >= 0 && t->v.type[*id] == PIECE_USER) return len;
    }
    return 0;
}
