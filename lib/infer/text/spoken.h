/* spoken.h - the parts of m8__normalise: English numbers in words (numbers.c), dates and times (when.c),
 * abbreviations and roman numerals (names.c), the rest (normalise.c). */
#ifndef M8_SPOKEN_H
#define M8_SPOKEN_H

#include <m8/base.h>

/* A number as it is written: "1,234.50". Digits are those of the text, with the commas between. */
struct number {
    const char *whole, *frac;
    size_t n_whole, n_frac; /* bytes; n_frac 0: no decimals */
    size_t len;             /* bytes in all */
    bool grouped;           /* has commas */
    long value;             /* of whole; -1 above a billion */
};
bool m8__read_number(struct number *x, const char *p); /* p: a digit, or a point before one */

/* Words are appended with blanks between them, none before or after. */
void m8__say_cardinal(m8_buf *out, const char *digits, size_t n);
void m8__say_value(m8_buf *out, long value);
void m8__say_ordinal(m8_buf *out, long value);
void m8__say_digits(m8_buf *out, const char *digits, size_t n); /* one by one */
void m8__say_number(m8_buf *out, const struct number *x);       /* with its decimals */
void m8__say_year(m8_buf *out, long year);
void m8__make_plural(m8_buf *out);                              /* of the last word: "ninety" -> "nineties" */

/* Each rule looks at p inside text, appends what is said, and returns how many bytes that were; 0: it does not apply. */
size_t m8__say_date(m8_buf *out, const char *text, const char *p);
size_t m8__say_time(m8_buf *out, const char *text, const char *p);
size_t m8__say_abbreviation(m8_buf *out, const char *text, const char *p);
size_t m8__say_roman(m8_buf *out, const char *text, const char *p);

bool m8__is_alnum(char c); /* c begins a letter or a digit; what is not ASCII counts, signs and dashes do not */
bool m8__is_digit(char c);
size_t m8__word_is(const char *p, const char *word);  /* its length if the whole word stands at p */
bool m8__before_is(const char *text, const char *p, const char *const *words); /* is the word before p one of these? (NULL-ended) */
bool m8__ends_sentence(const char *p); /* p: behind the full stop of an abbreviation */

#endif
