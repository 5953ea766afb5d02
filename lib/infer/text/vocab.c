/* The pieces of a vocabulary and the table that finds them by text: sized once, open addressing, texts stay where the file has them. */
#include "text/tok.h"
#include <string.h>

#define MOST_PROBES 512 /* half-full table, good hash: real ones need fewer than 40; more is a file made to be slow */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

/* Eight bytes at a time; the last ones zero-padded, the length keeps "a" and "a\0" apart. */
static uint64_t hash(const char *s, size_t n)
{
    uint64_t h = n * 0xD6E8FEB86659FD93u, x;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&x, s, 8);
        h = mix(h, x);
    }
    x = 0;
    switch (n) { /* no memcpy of a changing length: a call for each piece costs more than the rest */
    case 7: x |= (uint64_t)(uint8_t)s[6] << 48; /* fall through */
    case 6: x |= (uint64_t)(uint8_t)s[5] << 40; /* fall through */
    case 5: x |= (uint64_t)(uint8_t)s[4] << 32; /* fall through */
    case 4: x |= (uint64_t)(uint8_t)s[3] << 24; /* fall through */
    case 3: x |= (uint64_t)(uint8_t)s[2] << 16; /* fall through */
    case 2: x |= (uint64_t)(uint8_t)s[1] << 8;  /* fall through */
    case 1: x |= (uint8_t)s[0];
    }
    return mix(mix(h, x), 0);
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

static uint32_t *probe(const struct m8__vocab *v, const char *s, size_t n)
{
    uint32_t at = (uint32_t)hash(s, n) & v->mask;
    for (int i = 0; i < MOST_PROBES; i++, at = (at + 1) & v->mask) {
        uint32_t id = v->slot[at];
        if (!id) return &v->slot[at];
        const m8__view *w = &v->text[id - 1];
        if (w->len == n && !memcmp(w->data, s, n)) return &v->slot[at];
    }
    return NULL;
}

int m8__vocab_find(const struct m8__vocab *v, const char *s, size_t n)
{
    if (!n || n > (size_t)v->max_len) return -1;
    const uint32_t *at = probe(v, s, n);
    return at ? (int)*at - 1 : -1;
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
        uint32_t *at = probe(v, w.data, w.len);
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
