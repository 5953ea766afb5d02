/* Comments and white space out of JavaScript and CSS, token by token; nothing is renamed or rewritten. */
#include "squeeze.h"
#include <stdbool.h>
#include <string.h>

struct text {
    const char *in, *end;
    char *out, *start; /* written so far: [start, out) */
};

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static char last(const struct text *t)
{
    return t->out > t->start ? t->out[-1] : 0;
}

static void copy(struct text *t)
{
    if (t->in < t->end) *t->out++ = *t->in++;
}

/* A string, or a regular expression with '/' as its quote: its classes may hold a '/'. */
static void quoted(struct text *t, char quote)
{
    bool in_class = false;
    copy(t);
    while (t->in < t->end) {
        char c = *t->in;
        if (c == '\\') copy(t);
        else if (quote == '/' && c == '[') in_class = true;
        else if (quote == '/' && c == ']') in_class = false;
        copy(t);
        if (c == quote && !in_class) return;
    }
}

/* `text ${ code `text` } text`, as it is. */
static void template(struct text *t)
{
    copy(t);
    while (t->in < t->end && *t->in != '`') {
        if (*t->in == '$' && t->in + 1 < t->end && t->in[1] == '{') {
            int deep = 0;
            do {
                if (*t->in == '`') template(t);
                else if (is_one_of(*t->in, "'\"")) quoted(t, *t->in);
                else {
                    if (*t->in == '{') deep++;
                    if (*t->in == '}') deep--;
                    copy(t);
                }
            } while (t->in < t->end && (deep > 0 || t->in[-1] == '$'));
        } else {
            if (*t->in == '\\') copy(t);
            copy(t);
        }
    }
    copy(t);
}

/* Whether a '/' here begins a regular expression: it does where a value is due. */
static bool value_is_due(const struct text *t)
{
    static const char *const words[] = { "return", "typeof", "case", "in", "of", "else", "do", "await", "yield", "throw", "new", "delete", "void" };
    char c = last(t);
    if (is_one_of(c, ")]}'\"`")) return false;
    if (!in_word(c)) return true;
    const char *word = t->out;
    while (word > t->start && in_word(word[-1])) word--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((size_t)(t->out - word) == strlen(words[i]) && !memcmp(word, words[i], (size_t)(t->out - word))) return true;
    return false;
}

/* Skips white space and comments; what was there: 0 nothing, ' ', '\n'. */
static char blank(struct text *t, bool line_comments)
{
    char was = 0;
    while (t->in < t->end) {
        bool two = t->in + 1 < t->end;
        if (is_one_of(*t->in, " \t\r\n")) {
            if (*t->in == '\n') was = '\n';
            else if (!was) was = ' ';
            t->in++;
        } else if (two && t->in[0] == '/' && t->in[1] == '*') {
            for (t->in += 2; t->in + 1 < t->end && !(t->in[0] == '*' && t->in[1] == '/'); t->in++) {}
            t->in = t->in + 2 < t->end ? t->in + 2 : t->end;
            if (!was) was = ' ';
        } else if (line_comments && two && t->in[0] == '/' && t->in[1] == '/') {
            while (t->in < t->end && *t->in != '\n') t->in++;
        } else break;
    }
    return was;
}

static void script(struct text *t)
{
    while (t->in < t->end) {
        char was = blank(t, true), next = t->in < t->end ? *t->in : 0, before = last(t);
        /* A line's end may end a statement, unless what stands before or behind shows that it goes on. */
        if (was == '\n' && before && next && !is_one_of(before, "{([,;:?=&|") && !is_one_of(next, "}]),;.:?=&|")) *t->out++ = '\n';
        else if (was && ((in_word(before) && in_word(next)) || (before == next && is_one_of(next, "+-/")))) *t->out++ = ' ';
        if (!next) return;
        if (next == '`') template(t);
        else if (is_one_of(next, "'\"")) quoted(t, next);
        else if (next == '/' && value_is_due(t)) quoted(t, '/');
        else copy(t);
    }
}

static void sheet(struct text *t)
{
    while (t->in < t->end) {
        char was = blank(t, false), next = t->in < t->end ? *t->in : 0, before = last(t);
        if (was && before && next && !is_one_of(before, "{};,:") && !is_one_of(next, "{};,")) *t->out++ = ' ';
        if (!next) return;
        if (next == '}' && last(t) == ';') t->out--;
        if (is_one_of(next, "'\"")) quoted(t, next);
        else copy(t);
    }
}

size_t squeeze(const char *name, const char *in, size_t n, char *out)
{
    struct text t = { in, in + n, out, out };
    const char *dot = strrchr(name, '.');
    if (dot && !strcmp(dot, ".js")) script(&t);
    else if (dot && !strcmp(dot, ".css")) sheet(&t);
    else while (t.in < t.end) copy(&t);
    return (size_t)(t.out - out);
}
