/* English abbreviations and roman numerals in words. */
#include "spoken.h"
#include <string.h>

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

static bool before_is_capitalised(const char *text, const char *p)
{
    while (p > text && p[-1] == ' ') p--;
    const char *end = p;
    while (p > text && m8__is_alnum(p[-1])) p--;
    return p < end && (is_upper(*p) || m8__is_digit(*p));
}

/* ---- abbreviations */

enum { TITLE /* a name follows */, MAY_END /* a sentence may end with it */, BEFORE_NUMBER };
static const struct {
    const char *from, *to;
    int kind;
} ABBREVIATIONS[] = {
    { "Dr.", "Doctor", TITLE }, { "Mr.", "Mister", TITLE }, { "Mrs.", "Missus", TITLE }, { "Ms.", "Miz", TITLE }, { "Prof.", "Professor", TITLE },
    { "Gen.", "General", TITLE }, { "Sgt.", "Sergeant", TITLE }, { "Capt.", "Captain", TITLE }, { "Lt.", "Lieutenant", TITLE },
    { "Col.", "Colonel", TITLE }, { "Rev.", "Reverend", TITLE }, { "Hon.", "Honorable", TITLE }, { "Gov.", "Governor", TITLE },
    { "Sen.", "Senator", TITLE }, { "Rep.", "Representative", TITLE }, { "Pres.", "President", TITLE }, { "Mt.", "Mount", TITLE },
    { "Ft.", "Fort", TITLE }, { "e.g.", "for example", TITLE }, { "i.e.", "that is", TITLE }, { "vs.", "versus", TITLE }, { "vs", "versus", TITLE },
    { "approx.", "approximately", TITLE }, { "w/o", "without", TITLE }, { "w/", "with", TITLE }, { "a.k.a.", "also known as", TITLE },
    { "aka", "also known as", TITLE }, { "and/or", "and or", TITLE },
    { "Mon.,", "Monday,", TITLE }, { "Tue.,", "Tuesday,", TITLE }, { "Tues.,", "Tuesday,", TITLE }, { "Wed.,", "Wednesday,", TITLE },
    { "Thu.,", "Thursday,", TITLE }, { "Thurs.,", "Thursday,", TITLE }, { "Fri.,", "Friday,", TITLE }, { "Sat.,", "Saturday,", TITLE },
    { "Sun.,", "Sunday,", TITLE }, { "etc.", "et cetera", MAY_END }, { "Jr.", "Junior", MAY_END }, { "Sr.", "Senior", MAY_END }, { "Inc.", "Incorporated", MAY_END },
    { "Ltd.", "Limited", MAY_END }, { "Co.", "Company", MAY_END }, { "Corp.", "Corporation", MAY_END }, { "Ave.", "Avenue", MAY_END },
    { "Blvd.", "Boulevard", MAY_END }, { "Rd.", "Road", MAY_END }, { "dept.", "department", MAY_END }, { "Dept.", "Department", MAY_END },
    { "est.", "established", TITLE }, { "Ph.D.", "PhD", MAY_END }, { "M.D.", "MD", MAY_END }, { "min.", "minutes", MAY_END },
    { "hrs.", "hours", MAY_END }, { "ft.", "feet", MAY_END }, { "lbs.", "pounds", MAY_END }, { "oz.", "ounces", MAY_END },
    { "No.", "Number", BEFORE_NUMBER }, { "no.", "number", BEFORE_NUMBER }, { "Nos.", "Numbers", BEFORE_NUMBER }, { "Vol.", "Volume", BEFORE_NUMBER },
    { "vol.", "volume", BEFORE_NUMBER }, { "p.", "page", BEFORE_NUMBER }, { "pp.", "pages", BEFORE_NUMBER }, { "Fig.", "Figure", BEFORE_NUMBER },
    { "fig.", "figure", BEFORE_NUMBER }, { "Ch.", "Chapter", BEFORE_NUMBER }, { "ch.", "chapter", BEFORE_NUMBER }, { "Sec.", "Section", BEFORE_NUMBER },
};

static size_t saint_or_street(m8_buf *out, const char *text, const char *p)
{
    if (strncmp(p, "St.", 3) != 0) return 0;
    bool street = before_is_capitalised(text, p) || p[3] != ' ' || !is_upper(p[4]);
    m8_buf_str(out, street ? "Street" : "Saint");
    if (street && m8__ends_sentence(p + 3)) m8_buf_chr(out, '.');
    return 3;
}

size_t m8__say_abbreviation(m8_buf *out, const char *text, const char *p)
{
    for (size_t i = 0; i < sizeof ABBREVIATIONS / sizeof *ABBREVIATIONS; i++) {
        size_t n = strlen(ABBREVIATIONS[i].from);
        bool stop = ABBREVIATIONS[i].from[n - 1] == '.';
        if (strncmp(p, ABBREVIATIONS[i].from, n) != 0) continue;
        if (m8__is_alnum(p[n]) && ABBREVIATIONS[i].from[n - 1] != '/') continue;
        size_t behind = n + (p[n] == ' ');
        if (ABBREVIATIONS[i].kind == BEFORE_NUMBER && !m8__is_digit(p[behind])) continue;
        if (stop && ABBREVIATIONS[i].kind == TITLE && !p[n]) continue; /* the last word of the text: just a word */
        m8_buf_str(out, ABBREVIATIONS[i].to);
        if (m8__is_alnum(p[n])) m8_buf_chr(out, ' ');
        if (stop && ABBREVIATIONS[i].kind == MAY_END && m8__ends_sentence(p + n)) m8_buf_chr(out, '.');
        return n;
    }
    return saint_or_street(out, text, p);
}

/* ---- roman numerals: "Henry VIII", "World War II", "Part IV" */

size_t m8__say_roman(m8_buf *out, const char *text, const char *p)
{
    static const char *const reigns[] = { "Henry", "Louis", "George", "Edward", "Richard", "Elizabeth", "James", "Charles", "William", "Philip",
        "Mary", "John", "Paul", "Benedict", "Pius", "Leo", "Napoleon", "Frederick", "Peter", "Catherine", "Alexander", "Nicholas", "Francis", "Ivan",
        "Gregory", "Innocent", "Clement", "Urban", "Felipe", "Ferdinand", "Wilhelm", "Otto", "Ramses", "Harald", "Margrethe", NULL };
    static const char *const parts[] = { "War", "Part", "Chapter", "Volume", "Act", "Scene", "Section", "Book", "Type", "Phase", "Level", "Stage",
        "Class", "Figure", "Episode", "Article", "Title", "Appendix", "Bowl", "Mark", "part", "chapter", "act", "type", "phase", "stage", NULL };
    static const char *const articles[] = { "a", "an", "the", "The", "An", NULL };
    static const struct {
        const char *letters;
        int value;
    } signs[] = { { "X", 10 }, { "IX", 9 }, { "V", 5 }, { "IV", 4 }, { "I", 1 } };
    size_t n = 0;
    int value = 0;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        for (int times = 0; times < 3 && strncmp(p + n, signs[i].letters, strlen(signs[i].letters)) == 0; times++) {
            value += signs[i].value;
            n += strlen(signs[i].letters);
            if (signs[i].value != 10 && signs[i].value != 1) break;
        }
    }
    if (!n || m8__is_alnum(p[n]) || p[n] == '\'' || p[n] == '.' || (n > 1 && m8__before_is(text, p, articles))) {
        if (!n || p[n] != '.' || !m8__ends_sentence(p + n + 1)) return 0; /* a full stop may end the sentence, not shorten a name */
    }
    bool reign = m8__before_is(text, p, reigns), part = m8__before_is(text, p, parts);
    bool end = !p[n] || strchr(".,;:!?)", p[n]) || strncmp(p + n, " of ", 4) == 0;
    if (reign && (n > 1 || end)) {
        m8_buf_str(out, "the ");
        m8__say_ordinal(out, value);
        return n;
    }
    if (!part && (n == 1 || !before_is_capitalised(text, p))) return 0;
    m8__say_value(out, value);
    return n;
}
