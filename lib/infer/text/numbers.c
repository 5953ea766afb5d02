/* English numbers in words, as they are said in the United States. */
#include "spoken.h"
#include <string.h>

enum { MOST_DIGITS = 15 /* nine hundred ninety-nine trillion; more are said one by one */ };

static const char *const ONES[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
                                    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
static const char *const TENS[] = { "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety" };
static const char *const SCALES[] = { "", " thousand", " million", " billion", " trillion" };

bool m8__is_digit(char c) { return c >= '0' && c <= '9'; }
bool m8__is_alnum(char c)
{
    unsigned char lead = (unsigned char)c; /* C2: U+0080 to U+00BF, E2: U+2000 to U+2FFF, signs and dashes */
    return m8__is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (lead >= 0x80 && lead != 0xC2 && lead != 0xE2);
}

static size_t digits_at(const char *p)
{
    size_t n = 0;
    while (m8__is_digit(p[n])) n++;
    return n;
}

bool m8__read_number(struct number *x, const char *p)
{
    *x = (struct number){ .whole = p, .n_whole = digits_at(p) };
    if (x->n_whole >= 1 && x->n_whole <= 3) {
        while (p[x->n_whole] == ',' && digits_at(p + x->n_whole + 1) == 3) {
            x->n_whole += 4;
            x->grouped = true;
        }
    }
    x->len = x->n_whole;
    if (p[x->len] == '.' && m8__is_digit(p[x->len + 1])) {
        x->frac = p + x->len + 1;
        x->n_frac = digits_at(x->frac);
        x->len += 1 + x->n_frac;
    }
    for (size_t i = 0; i < x->n_whole && x->value >= 0; i++) {
        if (p[i] == ',') continue;
        x->value = x->value * 10 + (p[i] - '0');
        if (x->value > 1000000000) x->value = -1;
    }
    return x->len > 0;
}

static void below_hundred(m8_buf *out, int v)
{
    if (v < 20) m8_buf_str(out, ONES[v]);
    else if (v % 10) m8_buf_printf(out, "%s-%s", TENS[v / 10], ONES[v % 10]);
    else m8_buf_str(out, TENS[v / 10]);
}

static void below_thousand(m8_buf *out, int v)
{
    if (v >= 100) m8_buf_printf(out, "%s hundred", ONES[v / 100]);
    if (v >= 100 && v % 100) m8_buf_chr(out, ' ');
    if (v % 100) below_hundred(out, v % 100);
}

void m8__say_digits(m8_buf *out, const char *digits, size_t n)
{
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (!m8__is_digit(digits[i])) continue;
        m8_buf_printf(out, first ? "%s" : " %s", ONES[digits[i] - '0']);
        first = false;
    }
}

void m8__say_cardinal(m8_buf *out, const char *digits, size_t n)
{
    char d[MOST_DIGITS];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!m8__is_digit(digits[i])) continue;
        if (k == MOST_DIGITS) {
            m8__say_digits(out, digits, n);
            return;
        }
        d[k++] = digits[i];
    }
    bool said = false;
    for (size_t i = 0; i < k;) {
        int group = 0;
        do group = group * 10 + (d[i++] - '0');
        while ((k - i) % 3);
        if (!group) continue;
        if (said) m8_buf_chr(out, ' ');
        below_thousand(out, group);
        m8_buf_str(out, SCALES[(k - i) / 3]);
        said = true;
    }
    if (!said) m8_buf_str(out, ONES[0]);
}

void m8__say_value(m8_buf *out, long value)
{
    char text[24] = { 0 };
    size_t n = sizeof text;
    do text[--n] = (char)('0' + value % 10);
    while ((value /= 10) > 0 && n);
    m8__say_cardinal(out, text + n, sizeof text - n);
}

/* The last word as an ordinal: "twenty-one" -> "twenty-first". */
void m8__say_ordinal(m8_buf *out, long value)
{
    static const char *const odd[][2] = { { "one", "first" }, { "two", "second" }, { "three", "third" }, { "five", "fifth" },
                                          { "eight", "eighth" }, { "nine", "ninth" }, { "twelve", "twelfth" } };
    m8__say_value(out, value);
    if (out->status) return;
    size_t at = out->len;
    while (at && out->data[at - 1] != ' ' && out->data[at - 1] != '-') at--;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        if (strcmp(out->data + at, odd[i][0]) != 0) continue;
        out->len = at;
        m8_buf_str(out, odd[i][1]);
        return;
    }
    if (out->data[out->len - 1] == 'y') {
        out->len--;
        m8_buf_str(out, "ie");
    }
    m8_buf_str(out, "th");
}

void m8__make_plural(m8_buf *out)
{
    if (out->status || !out->len) return;
    char last = out->data[out->len - 1];
    if (last == 'y') {
        out->len--;
        m8_buf_str(out, "ies");
    } else {
        m8_buf_str(out, last == 'x' ? "es" : "s");
    }
}

void m8__say_number(m8_buf *out, const struct number *x)
{
    if (x->n_whole) m8__say_cardinal(out, x->whole, x->n_whole);
    if (!x->n_frac) return;
    m8_buf_str(out, x->n_whole ? " point " : "point ");
    m8__say_digits(out, x->frac, x->n_frac);
}

void m8__say_year(m8_buf *out, long year)
{
    int high = (int)(year / 100), low = (int)(year % 100);
    if (year % 1000 < 10) {
        m8__say_value(out, year);
        return;
    }
    below_hundred(out, high);
    if (low == 0) {
        m8_buf_str(out, " hundred");
    } else {
        m8_buf_str(out, low < 10 ? " oh " : " ");
        below_hundred(out, low);
    }
}
