/* Text into words before byte-level BPE merges within each of them. A family is one or two patterns, used one inside the other: what a
 * pattern matches and what it leaves between are pieces of their own. Only patterns from this list are ever compiled: one that came
 * with a model file could take for ever on the right text.
 *
 * source: GPT-2's encoder.py; llama.cpp's llm_tokenizer_bpe for the names; tokenizers' ByteLevel, Digits and Split for the order. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tok.h"
#include <pcre2.h>
#include <string.h>

/* \s of the originals is Unicode's White_Space; PCRE2's has U+180E too, which lost that property in Unicode 6.3. */
#define WS "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SPACE "[" WS "]"
#define BLANKS SPACE "+(?![^" WS "])|" SPACE "+"
#define LATER "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define LATER_END " ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*|" SPACE "*[\\r\\n]+|" BLANKS

static const char digits[] = "\\p{N}|\\P{N}+";
static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+|" BLANKS;
static const char llama3[] = LATER "\\p{N}{1,3}|" LATER_END;
static const char qwen2[] = LATER "\\p{N}|" LATER_END;

#define MOST 2
static const struct family {
    const char *names; /* as tokenizer.ggml.pre has them, between blanks */
    const char *pattern[MOST];
    const char *regex; /* as tokenizer.json's Split has it */
    const char *name;  /* as a new file has it */
} families[] = {
    { " gpt2 gpt-2 default whisper phi-2 jina-es jina-de gigachat jais mpt olmo ", { gpt2 },
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "gpt-2" },
    { " smollm starcoder refact command-r codeshell ", { digits, gpt2 }, NULL, "smollm" },
    { " llama-bpe llama3 llama-v3 falcon3 pixtral ", { llama3 },
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "llama-bpe" },
    { " qwen2 deepseek-r1-qwen megrez ", { qwen2 },
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "qwen2" },
};

struct m8__pretok {
    const char *name;
    pcre2_code *code[MOST];
    int n;
    pcre2_general_context *memory;
    pcre2_match_context *limits;
};

static void *take(size_t n, void *user) { return m8_malloc(n); }
static void give(void *p, void *user) { m8_free(p); }

static const struct family *find(m8__view name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        for (const char *p = families[i].names + 1; *p; p += strcspn(p, " ") + 1) {
            if (strcspn(p, " ") == name.len && !memcmp(p, name.data, name.len)) return &families[i];
        }
    }
    return NULL;
}

const char *m8__pretok_by_pattern(const char *regex)
{
    static const char *const first[] = { "gpt2", "smollm", "llama3", "qwen2" };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (families[i].regex && !strcmp(regex, families[i].regex)) return first[i];
    }
    return NULL;
}

m8_status m8__pretok_new(m8__pretok **out, m8__view name, m8_error *err)
{
    *out = NULL;
    const struct family *f = find(name);
    if (!f)
        return m8_fail(err, M8_E_UNSUPPORTED, "unknown pre-tokenizer \"%.*s\"", (int)(name.len < 40 ? name.len : 40), name.data);
    m8__pretok *p = m8_calloc(1, sizeof *p);
    if (p) p->name = f->name;
    if (p) p->memory = pcre2_general_context_create(take, give, NULL);
    if (p && p->memory) p->limits = pcre2_match_context_create(p->memory);
    if (!p || !p->limits) goto no_memory;
    pcre2_set_heap_limit(p->limits, 64 * 1024); /* KiB */
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    if (!context) goto no_memory;
    for (; p->n < MOST && f->pattern[p->n]; p->n++) {
        int code = 0;
        size_t at;
        p->code[p->n] = pcre2_compile((PCRE2_SPTR)f->pattern[p->n], PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, context);
        if (!p->code[p->n]) break;
        pcre2_jit_compile(p->code[p->n], PCRE2_JIT_COMPLETE); /* where the processor or a policy forbids it: interpreted */
    }
    pcre2_compile_context_free(context);
    if (p->n == MOST || !f->pattern[p->n]) {
        *out = p;
        return M8_OK;
    }
no_memory: /* the patterns are constants: nothing else makes them fail */
    m8__pretok_free(p);
    return m8_fail(err, M8_E_NOMEM, "no memory for the pre-tokenizer");
}

const char *m8__pretok_name(const m8__pretok *p) { return p->name; }

void m8__pretok_free(m8__pretok *p)
{
    if (!p) return;
    for (int i = 0; i < MOST; i++) pcre2_code_free(p->code[i]);
    pcre2_match_context_free(p->limits);
    pcre2_general_context_free(p->memory);
    m8_free(p);
}

struct run {
    const m8__pretok *p;
    pcre2_match_data *match[MOST];
    m8__word_fn fn;
    void *user;
    m8_error *err;
};

static m8_status split(struct run *r, int level, const char *s, size_t n) /* level < MOST: bounded */
{
    if (level >= MOST || level == r->p->n) return n ? r->fn(r->user, s, n) : M8_OK;
    for (size_t at = 0; at < n;) {
        int rc = pcre2_match(r->p->code[level], (PCRE2_SPTR)s, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, r->match[level],
                             r->p->limits);
        if (rc == PCRE2_ERROR_NOMEMORY) return m8_fail(r->err, M8_E_NOMEM, "no memory to cut text into words");
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) return m8_fail(r->err, M8_E_LIMIT, "the text cannot be cut into words (%d)", rc);
        size_t from = n, to = n;
        if (rc >= 0) {
            const size_t *ends = pcre2_get_ovector_pointer(r->match[level]);
            from = ends[0];
            to = ends[1];
        }
        m8_status st = M8_OK;
        if (from > at) st = split(r, level + 1, s + at, from - at);
        if (!st && to > from) st = split(r, level + 1, s + from, to - from);
        if (st) return st;
        at = to;
    }
    return M8_OK;
}

m8_status m8__pretok_run(const m8__pretok *p, const char *s, size_t n, m8__word_fn fn, void *user, m8_error *err)
{
    struct run r = { .p = p, .fn = fn, .user = user, .err = err };
    m8_status st = M8_OK;
    for (int i = 0; i < p->n; i++) {
        r.match[i] = pcre2_match_data_create(1, p->memory);
        if (!r.match[i]) st = m8_fail(err, M8_E_NOMEM, "no memory to cut text into words");
    }
    if (!st) st = split(&r, 0, s, n);
    for (int i = 0; i < p->n; i++) pcre2_match_data_free(r.match[i]);
    return st;
}
