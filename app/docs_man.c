/* The man page, as scdoc reads it, made from the table in verbs.c. */
#include "docs.h"
#include "options.h"
#include <stdio.h>
#include <string.h>

/* What scdoc would take for markup is escaped. */
static void text(const char *s)
{
    for (; *s; s++) {
        if (strchr("*\\_#", *s)) putchar('\\');
        putchar(*s);
    }
}

static void option(const struct opt *p)
{
    if (p->letter) printf("*-%c*, ", p->letter);
    printf("*--%s*", p->name);
    if (p->arg) {
        fputs(" _", stdout);
        text(p->arg);
        putchar('_');
    }
    fputs("\n\t", stdout);
    text(p->help);
    fputs(".\n\n", stdout);
}

static void verb(const struct verb *v)
{
    printf("## %s %s\n\n", v->name, v->args); /* scdoc knows no escapes in a heading */
    text(v->text);
    fputs("\n\n", stdout);
    for (const struct opt *p = opt_rows; p->name; p++)
        if (p->verbs & v->bit && p->verbs != V_ALL && p->verbs != V_COMMON) option(p);
}

static void variable(const char *name, const char *what)
{
    printf("*%s*\n\t%s.\n\n", name, what);
}

void docs_man(void)
{
    puts("magic8(1)\n\n"
         "# NAME\n\n"
         "magic8 - a talking Magic 8 Ball, and the models behind it\n\n"
         "# SYNOPSIS\n\n"
         "*magic8* _VERB_ [_OPTION_...] [_ARGUMENT_...]\n\n"
         "# DESCRIPTION\n\n"
         "*magic8* hears a question, answers it, and speaks the answer, all on this machine. Each step is also a verb by itself. "
         "Data goes to standard output, words about it to standard error.\n\n"
         "# VERBS\n");
    for (const struct verb *v = verbs; v->name; v++)
        if (!v->hidden) verb(v);
    puts("# OPTIONS OF EVERY VERB\n");
    for (const struct opt *p = opt_rows; p->name; p++)
        if (p->verbs == V_ALL || p->verbs == V_COMMON) option(p);
    puts("*\\--version*\n\tprint the version (without a verb).\n\n# ENVIRONMENT\n");
    variable("HF_HOME, HF_HUB_CACHE", "where the cache of models is; otherwise ~/.cache/huggingface/hub");
    variable("HF_TOKEN", "a token for private and gated repositories; otherwise the file HF\\_HOME/token");
    variable("HF_ENDPOINT", "another hub");
    variable("HF_HUB_OFFLINE, MAGIC8_OFFLINE", "1: never use the network");
    variable("HF_HUB_DOWNLOAD_TIMEOUT", "seconds without a byte after which a download is tried again (30)");
    variable("MAGIC8_RETRIES", "how often a download that failed for a passing reason is tried again (5)");
    variable("MAGIC8_CATALOG", "a catalog of models instead of the one built in");
    puts("# EXIT STATUS\n\n"
         "0 when all went well; 1 when it failed, and one line on standard error says why; 2 for wrong usage.\n\n"
         "# EXAMPLES\n\n"
         "Fetch the models once, then ask:\n\n"
         "\tmagic8 pull\n\n"
         "\tmagic8 ask question.wav -o answer.mp3\n\n"
         "Write down what is said, with times:\n\n"
         "\tmagic8 listen --timestamps talk.webm");
}
