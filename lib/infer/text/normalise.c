/* English text as it is spoken: at the beginning of each word the rules below are tried in turn, and what none knows is copied.
 *
 * espeak-ng reads plain numbers itself. What is written out here is what it gets wrong ("$3.50" is "dollar three point five zero"
 * to it, 1999 "nineteen hundred ninety nine", "5 km" "five K M", "3/4" "three slash four", "Henry VIII" "Henry roman eight") or what
 * would end a sentence ("Dr. Smith"). Its table of cases is tests/data/normalise.test. */
#include "spoken.h"
#include "text.h"
#include <string.h>

size_t m8__word_is(const char *p, const char *word)
{
    size_t n = strlen(word);
    return strncmp(p, word, n) == 0 && !m8__is_alnum(p[n]) ? n : 0;
}

bool m8__before_is(const char *text, const char *p, const char *const *words)
{
    while (p > text && (p[-1] == ' ' || p[-1] == '\n')) p--;
    for (; *words; words++) {
        size_t n = strlen(*words);
        if ((size_t)(p - text) >= n && memcmp(p - n, *words, n) == 0 && ((size_t)(p - text) == n || !m8__is_alnum(p[-(ptrdiff_t)n - 1]))) return true;
    }
    return false;
}

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

bool m8__ends_sentence(const char *p)
{
    while (*p == '"' || *p == '\'' || *p == ')') p++;
    if (!*p || *p == '\n') return true;
    while (*p == ' ' || *p == '"' || *p == '\'' || *p == '(') p++;
    return !*p || is_upper(*p);
}

/* ---- money */

struct currency {
    const char *sign, *one, *many, *cent, *cents;
};
static const struct currency CURRENCIES[] = {
    { "$", "dollar", "dollars", "cent", "cents" },
    { "\xC2\xA3", "pound", "pounds", "penny", "pence" },
    { "\xE2\x82\xAC", "euro", "euros", "cent", "cents" },
    { "\xC2\xA5", "yen", "yen", NULL, NULL },
    { "\xE2\x82\xB9", "rupee", "rupees", NULL, NULL },
};

static const struct currency *currency_at(const char *p)
{
    for (size_t i = 0; i < sizeof CURRENCIES / sizeof *CURRENCIES; i++) {
        if (strncmp(p, CURRENCIES[i].sign, strlen(CURRENCIES[i].sign)) == 0) return &CURRENCIES[i];
    }
    return NULL;
}

/* " million", "k", "bn" behind an amount. */
static size_t scale_at(const char *p, const char **word)
{
    static const char *const scales[][2] = { { " hundred", "hundred" }, { " thousand", "thousand" }, { " million", "million" },
        { " billion", "billion" }, { " trillion", "trillion" }, { "k", "thousand" }, { "K", "thousand" }, { "M", "million" },
        { "m", "million" }, { "bn", "billion" }, { "B", "billion" }, { "T", "trillion" } };
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        size_t n = m8__word_is(p, scales[i][0]);
        if (n) {
            *word = scales[i][1];
            return n;
        }
    }
    return 0;
}

static void say_amount(m8_buf *out, const struct currency *c, const struct number *x, const char *scale)
{
    long cents = x->n_frac == 2 ? (x->frac[0] - '0') * 10 + (x->frac[1] - '0') : -1;
    if (scale || (x->n_frac && (cents < 0 || !c->cent))) {
        m8__say_number(out, x);
        if (scale) m8_buf_printf(out, " %s", scale);
        m8_buf_printf(out, " %s", c->many);
        return;
    }
    bool whole = x->value != 0 || cents <= 0;
    if (whole) {
        m8__say_cardinal(out, x->whole, x->n_whole);
        m8_buf_printf(out, " %s", x->value == 1 ? c->one : c->many);
    }
    if (cents <= 0) return;
    if (whole) m8_buf_str(out, " and ");
    m8__say_value(out, cents);
    m8_buf_printf(out, " %s", cents == 1 ? c->cent : c->cents);
}

static size_t money(m8_buf *out, const char *text, const char *p)
{
    const struct currency *c = currency_at(p);
    struct number x;
    if (!c) return 0;
    size_t at = strlen(c->sign);
    if (!m8__is_digit(p[at]) || !m8__read_number(&x, p + at)) return 0;
    at += x.len;
    const char *scale = NULL;
    at += scale_at(p + at, &scale);
    say_amount(out, c, &x, scale);
    if (p[at] == '-' && (m8__is_digit(p[at + 1]) || currency_at(p + at + 1))) { /* "$5-$10" */
        m8_buf_str(out, " to ");
        return at + 1;
    }
    if (m8__is_alnum(p[at]) && !currency_at(p + at)) m8_buf_chr(out, ' ');
    return at;
}

/* ---- telephone numbers: a digit for each d */

static size_t matches(const char *pattern, const char *p)
{
    size_t n = 0;
    for (; pattern[n]; n++) {
        if (pattern[n] == 'd' ? !m8__is_digit(p[n]) : pattern[n] != p[n]) return 0;
    }
    bool goes_on = m8__is_alnum(p[n]) || (p[n] == '-' && m8__is_digit(p[n + 1]));
    return goes_on ? 0 : n;
}

static size_t telephone(m8_buf *out, const char *text, const char *p)
{
    static const char *const patterns[] = { "ddd-ddd-dddd", "(ddd) ddd-dddd", "(ddd)ddd-dddd", "d-ddd-ddd-dddd", "+d-ddd-ddd-dddd", "+d ddd ddd dddd",
        "+d (ddd) ddd-dddd", "ddd.ddd.dddd", "ddd-dddd", "ddd-dd-dddd", "+dd dd dddd dddd", "+dd dddd dddddd" };
    size_t n = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !n; i++) n = matches(patterns[i], p);
    if (!n && (n = m8__word_is(p, "911")) > 0 && p[n] == '.' && m8__is_digit(p[n + 1])) n = 0;
    if (*p == '+' && n) m8_buf_str(out, "plus ");
    for (size_t i = 0, group = 0; i < n; i += group ? group : 1) {
        for (group = 0; i + group < n && m8__is_digit(p[i + group]); group++) continue;
        if (group && i > 1) m8_buf_str(out, ", ");
        m8__say_digits(out, p + i, group);
    }
    return n;
}

/* ---- what stands behind a number */

static const char *const UNITS[][2] = {
    { "km/h", "kilometer* per hour" }, { "kph", "kilometer* per hour" }, { "mph", "mile* per hour" }, { "m/s", "meter* per second" },
    { "km", "kilometer*" }, { "cm", "centimeter*" }, { "mm", "millimeter*" }, { "nm", "nanometer*" }, { "m", "meter*" }, { "mi", "mile*" },
    { "yd", "yard*" }, { "ft", "feet" }, { "kg", "kilogram*" }, { "mg", "milligram*" }, { "g", "gram*" }, { "lb", "pound*" },
    { "lbs", "pounds" }, { "oz", "ounce*" }, { "ml", "milliliter*" }, { "mL", "milliliter*" }, { "L", "liter*" }, { "l", "liter*" },
    { "GB", "gigabyte*" }, { "MB", "megabyte*" }, { "KB", "kilobyte*" }, { "kB", "kilobyte*" }, { "TB", "terabyte*" }, { "Hz", "hertz" },
    { "kHz", "kilohertz" }, { "MHz", "megahertz" }, { "GHz", "gigahertz" }, { "W", "watt*" }, { "kW", "kilowatt*" },
    { "kWh", "kilowatt hour*" }, { "V", "volt*" }, { "ms", "millisecond*" }, { "sec", "second*" }, { "secs", "seconds" },
    { "min", "minute*" }, { "mins", "minutes" }, { "hr", "hour*" }, { "hrs", "hours" }, { "px", "pixel*" }, { "dB", "decibel*" },
    { "cal", "calorie*" }, { "kcal", "kilocalorie*" }, { "%", "percent" }, { "\xC2\xB0" "C", "degree* Celsius" },
    { "\xC2\xB0" "F", "degree* Fahrenheit" }, { "\xC2\xB0", "degree*" },
};

static size_t unit(m8_buf *out, const char *p, bool one)
{
    size_t blank = *p == ' ', n = 0;
    const char *said = NULL;
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        size_t k = strlen(UNITS[i][0]);
        if (strncmp(p + blank, UNITS[i][0], k) != 0 || k <= n || (m8__is_alnum(p[blank + k]) && UNITS[i][0][k - 1] != '%')) continue;
        if (p[blank + k] == '/' && m8__is_alnum(p[blank + k + 1])) continue; /* a rate that is not known here */
        n = k;
        said = UNITS[i][1];
    }
    if (!n) return 0;
    m8_buf_chr(out, ' ');
    if (strcmp(said, "feet") == 0 && one) said = "foot";
    for (; *said; said++) {
        if (*said != '*') m8_buf_chr(out, *said);
        else if (!one) m8_buf_chr(out, 's');
    }
    return blank + n;
}

/* a/b at p: a fraction, or a ratio. */
static size_t fraction(m8_buf *out, const char *p)
{
    struct number a, b;
    if (!m8__is_digit(*p) || !m8__read_number(&a, p) || p[a.len] != '/' || !m8__is_digit(p[a.len + 1])) return 0;
    m8__read_number(&b, p + a.len + 1);
    size_t n = a.len + 1 + b.len;
    if (a.n_frac || b.n_frac || a.value < 0 || b.value < 0 || m8__is_alnum(p[n]) || p[n] == '/') return 0;
    bool two = a.value == b.value || (a.value == 24 && b.value == 7) || (a.value == 9 && b.value == 11);
    m8__say_value(out, a.value);
    m8_buf_chr(out, ' ');
    if (!two && (a.value >= b.value || b.value > 100 || b.value < 2)) m8_buf_str(out, "over ");
    if (two || a.value >= b.value || b.value > 100 || b.value < 2) {
        m8__say_value(out, b.value);
    } else if (b.value == 2 || b.value == 4) {
        m8_buf_str(out, b.value == 2 ? "half" : "quarter");
        if (a.value > 1) m8_buf_chr(out, 's');
    } else {
        m8__say_ordinal(out, b.value);
        if (a.value > 1) m8__make_plural(out);
    }
    return n;
}

/* Vulgar fractions of one character. */
static size_t small_fraction(m8_buf *out, const char *p, bool behind)
{
    static const char *const all[][2] = { { "\xC2\xBD", "half" }, { "\xC2\xBC", "quarter" }, { "\xC2\xBE", "three quarters" },
                                          { "\xE2\x85\x93", "third" }, { "\xE2\x85\x94", "two thirds" } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strncmp(p, all[i][0], strlen(all[i][0])) != 0) continue;
        bool many = all[i][1][0] == 't' && all[i][1][2] != 'i';
        m8_buf_printf(out, "%s%s%s", behind ? " and " : "", many ? "" : behind ? "a " : "one ", all[i][1]);
        return strlen(all[i][0]);
    }
    return 0;
}

static bool is_year(const char *text, const char *p, const struct number *x)
{
    static const char *const hints[] = { "in", "In", "since", "Since", "by", "By", "of", "year", "from", "From", "until", "till", "before", "after",
                                         "around", "circa", "during", "early", "late", "AD", "to", NULL };
    if (x->n_whole != 4 || x->grouped || x->n_frac || x->value < 1000) return false;
    if (x->value >= 1800 && x->value <= 2099) return true;
    bool era = m8__word_is(p + x->len, " AD") || m8__word_is(p + x->len, " BC") || m8__word_is(p + x->len, " CE") || m8__word_is(p + x->len, " BCE");
    return x->value >= 1100 && x->value < 1800 && (era || m8__before_is(text, p, hints));
}

/* Numbers with several points: versions and addresses. */
static size_t dotted(m8_buf *out, const char *p)
{
    size_t n = 0, dots = 0, digits = 0;
    for (; m8__is_digit(p[n]) || (p[n] == '.' && m8__is_digit(p[n + 1]) && n); n++) dots += p[n] == '.';
    if (dots < 2) return 0;
    for (size_t i = 0; i < n; i += digits + 1) {
        for (digits = 0; m8__is_digit(p[i + digits]); digits++) continue;
        if (i) m8_buf_str(out, dots == 3 ? " dot " : " point ");
        m8__say_cardinal(out, p + i, digits);
    }
    return n;
}

/* 6'2", behind the 6. */
static size_t feet_and_inches(m8_buf *out, const char *p, bool one)
{
    struct number inches;
    m8__read_number(&inches, p + 1);
    m8_buf_str(out, one ? " foot " : " feet ");
    m8__say_number(out, &inches);
    size_t n = 1 + inches.len;
    return n + (p[n] == '"');
}

/* A number has been said: what is glued to it. */
static size_t number_behind(m8_buf *out, const char *p, const struct number *x)
{
    size_t n = unit(out, p, x->value == 1 && !x->n_frac);
    const struct currency *c = currency_at(p + (*p == ' '));
    if (n) return n;
    if (c && !m8__is_digit(p[(*p == ' ') + strlen(c->sign)])) {
        m8_buf_printf(out, " %s", x->value == 1 && !x->n_frac ? c->one : c->many);
        return (*p == ' ') + strlen(c->sign);
    }
    if ((n = small_fraction(out, p, true)) > 0) return n;
    if (*p == ' ' && !x->n_frac && x->value >= 0 && x->value < 1000) {
        m8_buf part = { 0 };
        n = fraction(&part, p + 1);
        if (n && !part.status && strncmp(part.data, "one ", 4) == 0) m8_buf_printf(out, " and a %s", part.data + 4);
        else if (n && !part.status) m8_buf_printf(out, " and %s", part.data);
        if (part.status) out->status = part.status;
        m8_buf_finish(&part);
        if (n) return n + 1;
    }
    if (strncmp(p, "\xE2\x80\x93", 3) == 0 && m8__is_digit(p[3])) {
        m8_buf_str(out, " to ");
        return 3;
    }
    if ((*p == '-' || *p == ':' || *p == 'x') && m8__is_digit(p[1])) {
        m8_buf_str(out, *p == 'x' ? " by " : " to ");
        return 1;
    }
    if (*p == '^' && m8__is_digit(p[1])) {
        m8_buf_str(out, " to the power of ");
        return 1;
    }
    if (strncmp(p, " x ", 3) == 0 && m8__is_digit(p[3])) {
        m8_buf_str(out, " times ");
        return 3;
    }
    if (*p == '\'' && m8__is_digit(p[1]) && !x->n_frac) return feet_and_inches(out, p, x->value == 1);
    if (m8__is_alnum(*p)) m8_buf_chr(out, ' '); /* "4K" */
    return 0;
}

static size_t number(m8_buf *out, const char *text, const char *p)
{
    struct number x;
    bool point = *p == '.' && m8__is_digit(p[1]);
    if ((!m8__is_digit(*p) && !point) || !m8__read_number(&x, p)) return 0;
    size_t n = dotted(out, p);
    if (n || (n = fraction(out, p)) > 0) return n;
    static const char *const ordinals[] = { "st", "nd", "rd", "th" };
    for (int i = 0; i < 4 && !x.n_frac && x.value >= 0; i++) {
        if (!m8__word_is(p + x.len, ordinals[i])) continue;
        m8__say_ordinal(out, x.value);
        return x.len + 2;
    }
    bool decade = x.n_whole && !x.n_frac && x.value % 10 == 0 && m8__word_is(p + x.len, "s");
    if (is_year(text, p, &x) || (decade && x.n_whole == 4)) m8__say_year(out, x.value);
    else if (x.n_whole > 1 && *p == '0' && !x.n_frac) m8__say_digits(out, x.whole, x.n_whole);
    else if (x.n_whole >= 10 && !x.grouped) m8__say_digits(out, x.whole, x.n_whole);
    else m8__say_number(out, &x);
    if (decade) {
        m8__make_plural(out);
        return x.len + 1;
    }
    return x.len + number_behind(out, p + x.len, &x);
}

/* ---- signs */

static size_t sign(m8_buf *out, const char *text, const char *p)
{
    bool starts = p == text || strchr(" \n(", p[-1]);
    size_t minus = strncmp(p, "\xE2\x88\x92", 3) == 0 ? 3 : *p == '-';
    if (minus && starts && (m8__is_digit(p[minus]) || (p[minus] == '.' && m8__is_digit(p[minus + 1])) || currency_at(p + minus))) {
        m8_buf_str(out, "minus ");
        return minus;
    }
    if (*p == '#' && m8__is_digit(p[1])) {
        m8_buf_str(out, "number ");
        return 1;
    }
    return small_fraction(out, p, false);
}

/* May a rule begin at p? */
static bool word_starts(const char *text, const char *p)
{
    if (p == text) return true;
    const char *last = p - 1;
    while (last > text && ((unsigned char)*last & 0xC0) == 0x80) last--;
    char before = *last;
    if (m8__is_digit(*p) || *p == '.') return !m8__is_alnum(before) && before != '.' && before != '_' && before != ',' && before != '/';
    return !m8__is_alnum(before) && before != '_' && before != '.' && before != '\'';
}

void m8__normalise(m8_buf *out, const char *text)
{
    static size_t (*const rules[])(m8_buf *, const char *, const char *) = { money, telephone, m8__say_date, m8__say_time, number, m8__say_abbreviation, m8__say_roman, sign };
    const char *said = text; /* behind what a rule has taken: the next may begin there ("$5-10") */
    for (const char *p = text; *p && !out->status;) {
        size_t n = 0;
        if (p == said || word_starts(text, p)) {
            for (size_t i = 0; i < sizeof rules / sizeof *rules && !n; i++) n = rules[i](out, text, p);
        }
        if (n) said = p += n;
        else m8_buf_chr(out, *p++);
    }
}
