/* The table of options and its parser. */
#include "options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* what main.c has in the program; the line is kept */
static char line[512];
int fail_usage(const char *fmt, ...);
int fail_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return 2;
}

/* the table names the verbs; here they do nothing */
#define VERB(name)                                                                                                       \
    int cmd_##name(const struct options *o) { return 0; }
VERB(ask) VERB(listen) VERB(chat) VERB(say) VERB(pull) VERB(models) VERB(verify) VERB(bench) VERB(docs) VERB(serve) VERB(worker)
VERB(quantize)

static struct verb any = { .name = "any", .args = "X", .max_args = 3 };
static char *argv[16];

static int parse(struct options *o, unsigned bit, ...)
{
    int n = 0;
    va_list ap;
    va_start(ap, bit);
    for (char *a; (a = va_arg(ap, char *));) argv[n++] = a;
    va_end(ap);
    any.bit = bit;
    line[0] = 0;
    return options_parse(o, &any, n, argv);
}

static void test_values(void **s)
{
    struct options o;
    assert_int_equal(parse(&o, V_ASK, "one", "--threads", "3", "-", "--temperature=0.5", "-ofile.mp3", "--json", NULL), 0);
    assert_int_equal(o.n_args, 2);
    assert_string_equal(o.args[0], "one");
    assert_string_equal(o.args[1], "-");
    assert_int_equal(o.threads, 3);
    assert_true(o.temperature == 0.5 && o.json && !o.verbose);
    assert_string_equal(o.output, "file.mp3");
    assert_int_equal(parse(&o, V_ASK, "-o", "-", "--seed=18446744073709551615", "--", "--threads", "-x", NULL), 0);
    assert_string_equal(o.output, "-");
    assert_true(o.seed == UINT64_MAX);
    assert_int_equal(o.n_args, 2);
    assert_string_equal(o.args[1], "-x");
    assert_int_equal(parse(&o, V_ASK, NULL), 0);
    assert_true(o.temperature == -1 && o.speed == 1 && !o.threads && !o.seed && !o.output);
    assert_int_equal(parse(&o, V_CHAT, "--system=", NULL), 0);
    assert_string_equal(o.system, "");
    assert_int_equal(parse(&o, V_SAY, "--description", "A man, slowly", "--play-steps=0.5", NULL), 0);
    assert_string_equal(o.description, "A man, slowly");
    assert_true(o.play_steps == 0.5 && o.temperature == -1);
}

static void test_wrong(void **s)
{
    static const struct {
        char *a, *b;
        const char *words;
    } cases[] = {
        { "--thread", "3", "unknown option --thread" },
        { "--threads", NULL, "--threads needs a value: N" },
        { "--threads", "x", "--threads: expected a whole number from 0 to 256, not 'x'" },
        { "--threads", "", "--threads" },
        { "--threads", " 3", "--threads" },
        { "--threads=3x", NULL, "--threads" },
        { "--threads", "-1", "--threads" },
        { "--threads", "1025", "--threads" },
        { "--threads", "99999999999999999999", "--threads" },
        { "--threads", "1.5", "--threads" },
        { "--seed", "-1", "--seed: expected a whole number from 0 to 2^64 - 1" },
        { "--seed", "18446744073709551616", "--seed" },
        { "--seed", "", "--seed" },
        { "--seed", "+1", "--seed" },
        { "--temperature", "nan", "--temperature" },
        { "--temperature", "inf", "--temperature" },
        { "--temperature", "11", "--temperature: expected a number from 0 to 10" },
        { "--temperature", "1e999", "--temperature" },
        { "--play-steps", "0.1", "--play-steps: expected a number from 0.2 to 60" },
        { "--json=yes", NULL, "--json takes no value" },
        { "-jx", NULL, "unknown option -jx" },
        { "-vx", NULL, "takes no value" },
        { "---", NULL, "unknown option ---" },
        { "--=", NULL, "unknown" },
        { "--offline", NULL, "unknown option --offline" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options o;
        if (parse(&o, V_ASK, cases[i].a, cases[i].b, NULL) != 2 || !strstr(line, cases[i].words))
            fail_msg("%s %s: %s", cases[i].a, cases[i].b ? cases[i].b : "", line);
    }
    struct options o;
    assert_int_equal(parse(&o, V_ASK, "1", "2", "3", "4", NULL), 2);
    assert_int_equal(parse(&o, V_ASK, "1", "2", "3", "4", "--help", NULL), 0);
    for (int i = 0; i < 9; i++) argv[i] = "--model=x";
    assert_int_equal(options_parse(&o, &any, 9, argv), 2);
}

static void test_models(void **s)
{
    struct options o;
    assert_int_equal(parse(&o, V_ASK, "--model", "asr=a", "-m", "llm=b=c", "--model=tts=/x", NULL), 0);
    assert_string_equal(options_model(&o, "asr"), "a");
    assert_string_equal(options_model(&o, "llm"), "b=c");
    assert_string_equal(options_model(&o, "tts"), "/x");
    assert_int_equal(parse(&o, V_SAY, "--model", "/a=b", NULL), 0);
    assert_string_equal(options_model(&o, "tts"), "/a=b");
    assert_int_equal(parse(&o, V_SAY, "--model", "asr=x", NULL), 0);
    assert_null(options_model(&o, "tts"));
}

/* The table itself: names are unique for a verb, texts are fit for the man page and the completions. */
static void test_table(void **s)
{
    for (const struct verb *v = verbs; v->name; v++) {
        assert_true(v->bit && v->summary[0] && v->min_args <= v->max_args);
        for (const struct verb *w = verbs; w != v; w++) assert_false(w->bit & v->bit || !strcmp(w->name, v->name));
        for (const struct opt *p = opt_rows; p->name; p++)
            for (const struct opt *q = opt_rows; q != p; q++)
                if (p->verbs & q->verbs & v->bit)
                    assert_false(!strcmp(p->name, q->name) || (p->letter && p->letter == q->letter));
    }
    for (const struct opt *p = opt_rows; p->name; p++) {
        assert_true((p->type == OPT_FLAG) == !p->arg);
        assert_true((p->type == OPT_INT || p->type == OPT_REAL) == (p->max > p->min));
        assert_true(p->at < sizeof(struct options) && p->help[0] && p->help[strlen(p->help) - 1] != '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_wrong),
                                        cmocka_unit_test(test_models), cmocka_unit_test(test_table) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
