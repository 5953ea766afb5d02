/* English dates and times in words. */
#include "spoken.h"
#include <string.h>

static const char *const MONTHS[] = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                                      "November", "December" };

/* Digits from at on, all n of them and no more: their value, or -1. */
static int exactly(const char *p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!m8__is_digit(p[i])) return -1;
        v = v * 10 + (p[i] - '0');
    }
    return m8__is_digit(p[n]) ? -1 : v;
}

static int one_or_two(const char *p, size_t *n)
{
    int v = exactly(p, 2);
    *n = v >= 0 ? 2 : 1;
    return v >= 0 ? v : exactly(p, 1);
}

/* A month's name or its short form ("Mar.", "Sept"); *n is its length with the full stop. */
static int month_at(const char *p, size_t *n)
{
    for (int i = 0; i < 12; i++) {
        if ((*n = m8__word_is(p, MONTHS[i])) > 0) return i;
    }
    for (int i = 0; i < 12; i++) {
        size_t k = strncmp(p, "Sept", 4) == 0 ? 4 : 3;
        if (i == 4 || strncmp(p, MONTHS[i], k) != 0 || m8__is_alnum(p[k])) continue;
        *n = k + (p[k] == '.');
        return i;
    }
    return -1;
}

static void say_day(m8_buf *out, int month, int day, long year)
{
    m8_buf_printf(out, "%s ", MONTHS[month]);
    m8__say_ordinal(out, day);
    if (year < 0) return;
    m8_buf_str(out, ", ");
    m8__say_year(out, year);
}

/* " 2024" or ", 2024" behind a day or a month. */
static size_t year_behind(const char *p, long *year)
{
    size_t n = *p == ',' ? 1 : 0;
    if (p[n] != ' ') return 0;
    int v = exactly(p + n + 1, 4);
    char after = v < 0 ? 'x' : p[n + 5];
    if (v < 1000 || v > 2199 || m8__is_alnum(after) || (after == ',' && m8__is_digit(p[n + 6])) || after == ':') return 0;
    *year = v;
    return n + 5;
}

/* "March 5, 2024", "Mar. 5th", "March 2024", "Oct." */
static size_t from_month(m8_buf *out, const char *text, const char *p)
{
    size_t n, k = 0;
    int month = month_at(p, &n), day = -1;
    if (month < 0) return 0;
    long year = -1;
    bool dot = p[n - 1] == '.';
    if (p[n] == ' ') day = one_or_two(p + n + 1, &k);
    if (day >= 1 && day <= 31) {
        size_t at = n + 1 + k;
        if (strncmp(p + at, "st", 2) == 0 || strncmp(p + at, "nd", 2) == 0 || strncmp(p + at, "rd", 2) == 0 || strncmp(p + at, "th", 2) == 0) at += 2;
        bool number_goes_on = (p[at] == '.' || p[at] == ',' || p[at] == ':' || p[at] == '/') && m8__is_digit(p[at + 1]);
        if (!m8__is_alnum(p[at]) && p[at] != '%' && !number_goes_on) {
            at += year_behind(p + at, &year);
            say_day(out, month, day, year);
            return at;
        }
    }
    if (!dot && strlen(MONTHS[month]) != n) return 0; /* "Mar" alone may be a name */
    m8_buf_str(out, MONTHS[month]);
    size_t y = p[n] == ' ' ? year_behind(p + n, &year) : 0;
    if (y) {
        m8_buf_chr(out, ' ');
        m8__say_year(out, year);
        return n + y;
    }
    if (dot && m8__ends_sentence(p + n)) m8_buf_chr(out, '.');
    return n;
}

/* "2024-03-15", "3/15/2024", "15.3.2024" is left alone; "5 March 2024" is "the fifth of March". */
static size_t from_digits(m8_buf *out, const char *text, const char *p)
{
    static const char *const the[] = { "the", "The", NULL };
    size_t a, b, n;
    int year = exactly(p, 4);
    if (year >= 1000 && p[4] == '-') {
        int month = exactly(p + 5, 2), day = month > 0 && p[7] == '-' ? exactly(p + 8, 2) : -1;
        if (month < 1 || month > 12 || day < 1 || day > 31 || m8__is_alnum(p[10]) || p[10] == '-') return 0;
        say_day(out, month - 1, day, year);
        return 10;
    }
    int first = one_or_two(p, &a);
    if (first < 1 || first > 31) return 0;
    if (p[a] == '/') {
        int second = one_or_two(p + a + 1, &b);
        n = a + 1 + b;
        if (second < 1 || p[n] != '/') return 0;
        year = exactly(p + n + 1, 4);
        bool us = first <= 12 && second <= 31;
        if (year < 1000 || m8__is_alnum(p[n + 5]) || (!us && second > 12)) return 0;
        say_day(out, (us ? first : second) - 1, us ? second : first, year);
        return n + 5;
    }
    size_t suffix = strncmp(p + a, "st ", 3) == 0 || strncmp(p + a, "nd ", 3) == 0 || strncmp(p + a, "rd ", 3) == 0 || strncmp(p + a, "th ", 3) == 0 ? 2 : 0;
    if (suffix && strncmp(p + a + 2, " of ", 4) == 0) return 0; /* "the 5th of March" needs nothing but the ordinal */
    if (p[a + suffix] != ' ' || month_at(p + a + suffix + 1, &n) < 0) return 0;
    if (!m8__before_is(text, p, the)) m8_buf_str(out, "the ");
    m8__say_ordinal(out, first);
    m8_buf_str(out, " of");
    return a + suffix;
}

size_t m8__say_date(m8_buf *out, const char *text, const char *p)
{
    return m8__is_digit(*p) ? from_digits(out, text, p) : *p >= 'A' && *p <= 'Z' ? from_month(out, text, p) : 0;
}

/* " p.m.", "pm", "AM": bytes, and which letter; *dot: it ends with a full stop. */
static size_t meridiem_at(const char *p, char *letter, bool *dot)
{
    size_t n = *p == ' ' ? 1 : 0;
    char c = p[n] | 0x20;
    if (c != 'a' && c != 'p') return 0;
    size_t k = n + 1;
    bool first_dot = p[k] == '.';
    if (first_dot) k++;
    if ((p[k] | 0x20) != 'm') return 0;
    k++;
    *dot = first_dot && p[k] == '.';
    if (*dot) k++;
    if (m8__is_alnum(p[k])) return 0;
    *letter = c;
    return k;
}

size_t m8__say_time(m8_buf *out, const char *text, const char *p)
{
    size_t n, m;
    char letter = 0;
    bool dot = false;
    int hour = m8__is_digit(*p) ? one_or_two(p, &n) : -1, minute = -1, second = -1;
    if (hour < 0 || hour > 24) return 0;
    if (p[n] == ':' && (minute = exactly(p + n + 1, 2)) >= 0) {
        n += 3;
        if (p[n] == ':' && (second = exactly(p + n + 1, 2)) >= 0) n += 3;
        if (minute > 59 || second > 59 || m8__is_digit(p[n]) || (p[n] == ':' && m8__is_digit(p[n + 1]))) return 0;
        if (p[n] == '.' && m8__is_digit(p[n + 1])) return 0;
    }
    m = meridiem_at(p + n, &letter, &dot);
    if ((minute < 0 && !m) || (m && (hour > 12 || hour < 1))) return 0;
    if (!m && m8__is_alnum(p[n])) return 0;
    if (!m && minute == 0 && second < 0 && (hour == 0 || hour == 24)) {
        m8_buf_str(out, "midnight");
        return n;
    }
    m8__say_value(out, hour);
    if (minute == 0 && !m) m8_buf_str(out, hour <= 12 && second < 0 ? " o'clock" : " hundred");
    if (minute > 0) m8_buf_str(out, minute < 10 ? " oh " : " ");
    if (minute > 0) m8__say_value(out, minute);
    if (second > 0) {
        m8_buf_str(out, " and ");
        m8__say_value(out, second);
        m8_buf_str(out, second == 1 ? " second" : " seconds");
    }
    if (m) m8_buf_str(out, letter == 'a' ? " AM" : " PM");
    n += m;
    size_t dash = strncmp(p + n, "\xE2\x80\x93", 3) == 0 ? 3 : p[n] == '-';
    if (dash && m8__is_digit(p[n + dash])) {
        m8_buf_str(out, " to ");
        return n + dash;
    }
    if (dot && m8__ends_sentence(p + n)) m8_buf_chr(out, '.');
    return n;
}
