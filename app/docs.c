/* --help, made from the table in verbs.c. */
#include "app.h"
#include "docs.h"
#include "options.h"
#include <stdio.h>
#include <string.h>

static void spaces(int n)
{
    for (int i = 0; i < n; i++) putchar(' ');
}

static void line(const char *left, const char *right)
{
    int n = printf("  %s", left);
    if (n > 30) {
        putchar('\n');
        n = 0;
    }
    spaces(32 - n);
    puts(right);
}

void help_program(void)
{
    puts("usage: magic8 VERB [OPTION...] [ARGUMENT...]\n\nA talking Magic 8 Ball, and the models behind it.\n");
    for (const struct verb *v = verbs; v->name; v++) {
        char left[128];
        if (v->hidden) continue;
        snprintf(left, sizeof left, "%s %s", v->name, v->args);
        line(left, v->summary);
    }
    puts("\nmagic8 VERB --help tells the options of a verb; magic8 --version, the version.");
}

static void opt_left(const struct opt *p, char *left, size_t n)
{
    char letter[8] = "";
    if (p->letter) snprintf(letter, sizeof letter, "-%c, ", p->letter);
    snprintf(left, n, "%s--%s%s%s", letter, p->name, p->arg ? " " : "", p->arg ? p->arg : "");
}

void help_verb(const struct verb *v)
{
    printf("usage: magic8 %s %s [OPTION...]\n\n%s\n\n", v->name, v->args, v->summary);
    for (const struct opt *p = opt_rows; p->name; p++) {
        char left[128];
        if (!(p->verbs & v->bit)) continue;
        opt_left(p, left, sizeof left);
        line(left, p->help);
    }
}

int cmd_docs(const struct options *o)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } kinds[] = { { "man", docs_man }, { "bash", docs_bash }, { "zsh", docs_zsh }, { "fish", docs_fish } };
    static char whole[1 << 18];
    setvbuf(stdout, whole, _IOFBF, sizeof whole); /* written at once, so that a failure has its reason */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, o->args[0])) continue;
        kinds[i].print();
        return 0;
    }
    return fail_usage("docs: expected man, bash, zsh or fish, not '%.60s'", o->args[0]);
}
