/* SentencePiece's normaliser. The charsmap maps character sequences to others (nmt_nfkc: full-width letters, ligatures, odd blanks) with
 * a double-array trie; every step in it is checked, for it comes from a file.
 *
 * source: sentencepiece, normalizer.cc; the double array is darts-clone's: a unit holds a label (bits 0..7), "a key ends here" (8), an
 * offset (10..30, in units of 256 where bit 9 is set) and for values bit 31. */
#include "text/spm.h"
#include <string.h>

#define LONGEST_KEY 64 /* nmt_nfkc's have up to 18 bytes; without a limit a trie with a cycle could match for ever */
#define BLANK "\xE2\x96\x81" /* U+2581 */

static uint32_t unit(m8__view map, size_t i)
{
    uint32_t u;
    memcpy(&u, map.data + 4 + 4 * i, 4);
    return u; /* little-endian, as all machines this runs on */
}

static size_t n_units(m8__view map)
{
    uint32_t size;
    memcpy(&size, map.data, 4);
    return size / 4;
}

m8_status m8__charsmap_check(m8__view map, m8_error *err)
{
    if (!map.len) return M8_OK;
    uint32_t size = 0;
    if (map.len > 4) memcpy(&size, map.data, 4);
    if (!size || size % 4 || size > map.len - 4)
        return m8_fail(err, M8_E_FORMAT, "the normaliser's table claims %u bytes, file has %zu", size, map.len);
    if (map.len - 4 > size && map.data[map.len - 1]) return m8_fail(err, M8_E_FORMAT, "the normaliser's last text has no end");
    return M8_OK;
}

static uint32_t offset(uint32_t u) { return (u >> 10) << ((u & 512) >> 6); }

/* Bytes of s that the longest key takes, 0: none; *to is what replaces them. */
static size_t longest(m8__view map, const char *s, size_t n, m8__view *to)
{
    size_t units = n_units(map), found = 0, text = 4 + 4 * units;
    uint32_t node = offset(unit(map, 0));
    for (size_t i = 0; i < n && i < LONGEST_KEY; i++) {
        node ^= (uint8_t)s[i];
        if (node >= units) break;
        uint32_t u = unit(map, node);
        if ((u & 0x800000FF) != (uint8_t)s[i]) break;
        node ^= offset(u);
        if (!(u & 256)) continue;
        if (node >= units) break;
        size_t at = unit(map, node) & 0x7FFFFFFF;
        if (at >= map.len - text) break;
        found = i + 1;
        *to = (m8__view){ map.data + text + at, strlen(map.data + text + at) }; /* a NUL ends the table: checked */
    }
    return found;
}

/* The next part of s and what becomes of it: a user-defined piece and a character without a rule stay. */
static size_t part(const m8__tokenizer *t, const char *s, size_t n, m8__view *to)
{
    int id;
    size_t len = t->has_user ? m8__vocab_user(t, s, n, &id) : 0;
    if (!len && t->spm->charsmap.len) {
        size_t taken = longest(t->spm->charsmap, s, n, to);
        if (taken) return taken;
    }
    uint32_t cp;
    if (!len) len = (size_t)m8__utf8_next(s, n, &cp);
    *to = (m8__view){ s, len };
    return len;
}

void m8__spm_normalise(const m8__tokenizer *t, m8_buf *out, const char *s, size_t n)
{
    const struct m8__spm *spm = t->spm;
    bool started = false, after_blank = spm->strip;
    size_t begin = out->len;
    if (n && spm->dummy_prefix && !spm->strip) {
        m8_buf_str(out, BLANK);
        started = true;
    }
    for (size_t i = 0; i < n && !out->status;) {
        m8__view to = { 0 };
        i += part(t, s + i, n - i, &to);
        size_t k = 0;
        while (after_blank && k < to.len && to.data[k] == ' ') k++;
        if (k == to.len) continue;
        if (!started && spm->dummy_prefix) m8_buf_str(out, BLANK);
        started = true;
        for (; k < to.len; k++) {
            if (to.data[k] == ' ')
                m8_buf_str(out, BLANK);
            else
                m8_buf_chr(out, to.data[k]);
        }
        after_blank = spm->strip && to.data[to.len - 1] == ' ';
    }
    if (!spm->strip || out->status) return;
    while (out->len - begin >= 3 && !memcmp(out->data + out->len - 3, BLANK, 3)) out->len -= 3;
}
