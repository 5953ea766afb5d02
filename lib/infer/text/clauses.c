/* Clauses as piper cuts them with espeak-ng 1.52, whose terminators the 1.51 library does not tell: at . ? ! , : ; followed by a
 * blank or the end (closing quotes and brackets between), at dashes between words (spoken like a semicolon) and at empty lines.
 * Better than there: "..." is a pause and not a lost blank, and initials ("John F. Kennedy") end no sentence. */
#include "clauses.h"
#include <string.h>
#include <utf8proc.h>

enum { LONGEST_CLAUSE = 400, LONGEST_WORD = 60 }; /* bytes; espeak has buffers of 800 and 160 */

/* ---- clean */

static const struct {
    int32_t from;
    const char *to;
} plain[] = {
    { 0x00A0, " " }, { 0x2018, "'" }, { 0x2019, "'" }, { 0x201B, "'" }, { 0x201C, "\"" }, { 0x201D, "\"" }, { 0x201E, "\"" },
    { 0x2026, "..." }, { 0x2015, "\xE2\x80\x94" }, { 0x2212, "-" }, { 0x2011, "-" }, { 0x2028, "\n" }, { 0x2029, "\n\n" },
    { 0x3000, " " }, { 0x3001, ", " }, { 0x3002, ". " }, { 0xFF01, "! " }, { 0xFF0C, ", " }, { 0xFF1A, ": " }, { 0xFF1B, "; " },
    { 0xFF1F, "? " }, { 0x061F, "? " }, { 0x060C, ", " }, { 0x061B, "; " }, { 0x0964, ". " }, { 0x0965, ". " },
};

/* espeak-ng 1.51 reads the letters of other scripts with the voices of their languages, and loading those it uses memory that it has
 * freed: one Gurmukhi sign in English text is enough (found by tests/fuzz/phonemes.c). So it gets none of them, and
 * where the language has a script of its own no Latin letters and no signs, which it reads in English, either. */
m8__script m8__script_of(const char *voice)
{
    static const struct {
        const char *languages; /* each between blanks */
        m8__script script;
    } all[] = {
        { " ru uk be bg mk sr kk ky tt ba cv mn tg ", { 0x400, 0x52F } }, { " el grc ", { 0x370, 0x3FF, 0x1F00, 0x1FFF } },
        { " ar fa ur ps sd ug ", { 0x600, 0x77F, 0xFB50, 0xFEFC } }, { " ka ", { 0x10A0, 0x10FF } }, { " hy hyw ", { 0x530, 0x58F } },
        { " he ", { 0x590, 0x5FF } }, { " hi mr ne kok ", { 0x900, 0x97F } }, { " bn as bpy ", { 0x980, 0x9FF } }, { " pa ", { 0xA00, 0xA7F } },
        { " gu ", { 0xA80, 0xAFF } }, { " or ", { 0xB00, 0xB7F } }, { " ta ", { 0xB80, 0xBFF } }, { " te ", { 0xC00, 0xC7F } },
        { " kn ", { 0xC80, 0xCFF } }, { " ml ", { 0xD00, 0xD7F } }, { " si ", { 0xD80, 0xDFF } }, { " th ", { 0xE00, 0xE7F } },
        { " my ", { 0x1000, 0x109F } }, { " am ", { 0x1200, 0x137F } }, { " ko ", { 0x1100, 0x11FF, 0xAC00, 0xD7A3 } },
        { " ja ", { 0x3040, 0x30FF, 0x4E00, 0x9FFF } }, { " zh cmn yue hak ", { 0x3400, 0x9FFF, 0x3100, 0x312F } },
    };
    char word[8] = " ";
    size_t n = strcspn(voice, "-+_");
    if (n > 4) return (m8__script){ 0 };
    memcpy(word + 1, voice, n);
    word[n + 1] = ' ';
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strstr(all[i].languages, word)) return all[i].script;
    }
    return (m8__script){ 0 };
}

static bool is_foreign(int32_t c, const m8__script *s)
{
    bool latin = c < 0x250 || (c >= 0x300 && c < 0x370) || (c >= 0x1E00 && c < 0x1F00);
    if (c < 128 && s->from) return !((c >= '0' && c <= '9') || strchr(" \n\t.,?!:;'-", (char)c));
    if ((latin && !s->from) || (c >= s->from && c <= s->to) || (c >= s->from_2 && c <= s->to_2)) return false;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_PC: case UTF8PROC_CATEGORY_PD: case UTF8PROC_CATEGORY_PS: case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI: case UTF8PROC_CATEGORY_PF: case UTF8PROC_CATEGORY_SC: case UTF8PROC_CATEGORY_SM:
        return c < 0x2000 || c > 0x22FF;
    default: /* letters, marks, digits; and pictures, which nobody reads out */
        return !(c >= 0x2150 && c < 0x215F); /* vulgar fractions: normalise.c */
    }
}

static void clean_one(m8_buf *out, int32_t c, const char *raw, size_t n, const m8__script *script)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (plain[i].from == c) {
            m8_buf_str(out, plain[i].to);
            return;
        }
    }
    if (script && utf8proc_category(c) != UTF8PROC_CATEGORY_CF && is_foreign(c, script)) {
        m8_buf_chr(out, ' ');
        return;
    }
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        m8_buf_chr(out, c == '\n' ? '\n' : ' ');
        break;
    case UTF8PROC_CATEGORY_CF: /* joiners, direction marks, soft hyphen */
        break;
    default:
        m8_buf_add(out, raw, n);
    }
}

void m8__clean_text(m8_buf *out, const char *text, size_t n, const m8__script *script)
{
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        if (len <= 0 || c == 0xFFFD) {
            m8_buf_chr(out, ' ');
            i += len <= 0 ? 1 : (size_t)len;
            continue;
        }
        clean_one(out, c, text + i, (size_t)len, script);
        i += (size_t)len;
    }
}

/* ---- cut */

static bool is_blank(char c) { return c == ' ' || c == '\n'; }
static bool is_end(char c) { return c == '.' || c == '?' || c == '!'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

static const char *past_closers(const char *p, const char *end)
{
    while (p < end) {
        if (strchr("\"')]}", *p) && *p) p++;
        else if (end - p >= 2 && memcmp(p, "\xC2\xBB", 2) == 0) p += 2; /* » */
        else break;
    }
    return p;
}

static bool next_is_lower(const char *p, const char *end)
{
    while (p < end && (is_blank(*p) || *p == '"' || *p == '\'' || *p == '(')) p++;
    utf8proc_int32_t c;
    return p < end && utf8proc_iterate((const utf8proc_uint8_t *)p, end - p, &c) > 0 && utf8proc_islower(c);
}

/* A full stop that only shortens the word before it: "J. Smith", "a.m. or", and for other languages whatever goes on in lower case. */
static bool only_shortens(const char *start, const char *dot, const char *after, const char *end, bool english)
{
    const char *word = dot;
    while (word > start && !is_blank(word[-1]) && word[-1] != '(') word--;
    size_t n = (size_t)(dot - word);
    if (n == 0 || after == end) return false;
    bool lower = next_is_lower(after, end);
    if (lower && (!english || memchr(word, '.', n) || n == 1)) return true;
    if (n != 1 || !is_upper(*word) || *word == 'I') return false;
    const char *before = word; /* an initial: a name or another initial stands before it, or nothing */
    while (before > start && is_blank(before[-1])) before--;
    while (before > start && !is_blank(before[-1])) before--;
    return is_upper(*before) || word == start;
}

/* Does a clause end at p? Then *past is where the next one may begin, and *c says how it ends. */
static bool ends_here(m8__clause *c, const char *start, const char *p, const char *end, bool english, const char **past)
{
    if (end - p >= 3 && memcmp(p, "\xE2\x80\x94", 3) == 0) { /* em dash */
        c->mark = ';';
        *past = p + 3;
        return true;
    }
    bool alone = p > start && is_blank(p[-1]);
    if (alone && end - p >= 4 && memcmp(p, "\xE2\x80\x93 ", 4) == 0) { /* en dash */
        c->mark = ';';
        *past = p + 3;
        return true;
    }
    if (alone && end - p >= 3 && memcmp(p, "-- ", 3) == 0) {
        c->mark = ';';
        *past = p + 2;
        return true;
    }
    if (*p == '\n') { /* an empty line */
        const char *q = p + 1;
        while (q < end && *q == ' ') q++;
        if (q == end || *q != '\n') return false;
        c->mark = 0;
        c->sentence = true;
        *past = q + 1;
        return true;
    }
    if (!*p || !strchr(".?!,:;", *p)) return false;
    const char *q = p + 1;
    char mark = *p;
    if (is_end(mark)) {
        for (; q < end && is_end(*q); q++) {
            if (*q == '?' || (*q == '!' && mark == '.')) mark = *q;
        }
    }
    const char *after = past_closers(q, end);
    if (after < end && !is_blank(*after) && !(end - after >= 3 && memcmp(after, "\xE2\x80\x94", 3) == 0)) return false;
    c->mark = mark;
    c->sentence = is_end(mark);
    if (mark == '.' && q - p > 1 && next_is_lower(after, end)) { /* "well... maybe" */
        c->mark = ',';
        c->sentence = false;
    } else if (mark == '.' && q - p == 1 && only_shortens(start, p, after, end, english)) {
        return false;
    }
    *past = after;
    return true;
}

bool m8__next_clause(m8__clause *c, const char **at, const char *end, bool english)
{
    const char *start = *at;
    while (start < end && is_blank(*start)) start++;
    *at = end;
    if (start == end) return false;
    *c = (m8__clause){ .text = start };
    const char *blank = NULL;
    size_t word = 0;
    for (const char *p = start; p < end; p++) {
        const char *past;
        if (ends_here(c, start, p, end, english, &past)) {
            c->n = (size_t)((*p == '\n' ? p : past) - start);
            *at = past;
            return true;
        }
        if (is_blank(*p)) blank = p;
        word = is_blank(*p) ? 0 : word + 1;
        bool whole = p + 1 == end || ((unsigned char)p[1] & 0xC0) != 0x80; /* between two characters */
        if (whole && (word >= LONGEST_WORD || p - start >= LONGEST_CLAUSE)) {
            const char *cut = p - start >= LONGEST_CLAUSE && blank && blank > start ? blank : p + 1;
            c->n = (size_t)(cut - start);
            *at = cut;
            return true;
        }
    }
    c->n = (size_t)(end - start);
    c->sentence = true;
    return true;
}
