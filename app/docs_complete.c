/* Completions for bash, zsh and fish, made from the table in verbs.c. */
#include "docs.h"
#include "options.h"
#include <stdio.h>
#include <string.h>

static bool takes_file(const struct opt *p) { return p->arg && !strcmp(p->arg, "FILE"); }

static bool verb_takes_file(const struct verb *v) { return !strcmp(v->words, "@file"); }

static void verb_names(void)
{
    const char *blank = "";
    for (const struct verb *v = verbs; v->name; v++) {
        if (v->hidden) continue;
        printf("%s%s", blank, v->name);
        blank = " ";
    }
}

void docs_bash(void)
{
    puts("# bash completion for magic8; made by `magic8 docs bash`\n"
         "_magic8()\n{\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options='' words='' files=''\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W '", stdout);
    verb_names();
    puts(" --help --version' -- \"$word\"))\n        return\n    fi\n    case $before in");
    fputs("    ", stdout);
    const char *bar = "";
    for (const struct opt *p = opt_rows; p->name; p++) {
        if (!takes_file(p)) continue;
        printf("%s--%s", bar, p->name);
        bar = " | ";
        if (p->letter) printf(" | -%c", p->letter);
    }
    puts(")\n        COMPREPLY=($(compgen -f -- \"$word\"))\n        return\n        ;;\n    esac\n    case ${COMP_WORDS[1]} in");
    for (const struct verb *v = verbs; v->name; v++) {
        if (v->hidden) continue;
        printf("    %s)\n        options='", v->name);
        const char *blank = "";
        for (const struct opt *p = opt_rows; p->name; p++) {
            if (!(p->verbs & v->bit)) continue;
            printf("%s--%s", blank, p->name);
            blank = " ";
        }
        puts("'");
        if (verb_takes_file(v)) puts("        files=yes");
        else if (v->words[0]) printf("        words='%s'\n", v->words);
        puts("        ;;");
    }
    puts("    esac\n"
         "    case $word in\n"
         "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
         "    *) COMPREPLY=($(compgen -W \"$words\" ${files:+-f} -- \"$word\")) ;;\n"
         "    esac\n}\n"
         "complete -o filenames -F _magic8 magic8");
}

/* Inside '...' of a zsh or fish script; what is special to _arguments is escaped if it is for zsh. */
static void quoted(const char *s, bool zsh)
{
    for (; *s; s++) {
        if (*s == '\'') fputs(zsh ? "'\\''" : "\\'", stdout);
        else if (zsh && strchr("[]:\\", *s)) printf("\\%c", *s);
        else putchar(*s);
    }
}

void docs_zsh(void)
{
    puts("#compdef magic8\n# zsh completion for magic8; made by `magic8 docs zsh`\n"
         "local -a verbs\nverbs=(");
    for (const struct verb *v = verbs; v->name; v++) {
        if (v->hidden) continue;
        printf("    '%s:", v->name);
        quoted(v->summary, true);
        puts("'");
    }
    puts(")\nif (( CURRENT == 2 )); then\n    _describe verb verbs\n    return\nfi\n"
         "local verb=${words[2]}\nshift words\n(( CURRENT-- ))\ncase $verb in");
    for (const struct verb *v = verbs; v->name; v++) {
        if (v->hidden) continue;
        printf("%s)\n    _arguments -s", v->name);
        for (const struct opt *p = opt_rows; p->name; p++) {
            if (!(p->verbs & v->bit)) continue;
            for (int letter = 0; letter < (p->letter ? 2 : 1); letter++) {
                fputs(" \\\n        '", stdout);
                if (p->type == OPT_LIST) putchar('*');
                if (letter) printf("-%c[", p->letter);
                else printf("--%s%s[", p->name, p->arg ? "=" : "");
                quoted(p->help, true);
                putchar(']');
                if (p->arg) {
                    putchar(':');
                    quoted(p->arg, true);
                    fputs(takes_file(p) ? ":_files" : ": ", stdout);
                }
                putchar('\'');
            }
        }
        fputs(" \\\n        '*: :", stdout);
        if (verb_takes_file(v)) fputs("_files", stdout);
        else if (v->words[0]) printf("(%s)", v->words);
        puts("'\n    ;;");
    }
    puts("esac");
}

void docs_fish(void)
{
    puts("# fish completion for magic8; made by `magic8 docs fish`\ncomplete -c magic8 -f");
    for (const struct verb *v = verbs; v->name; v++) {
        if (v->hidden) continue;
        printf("complete -c magic8 -n __fish_use_subcommand -a %s -d '", v->name);
        quoted(v->summary, false);
        puts("'");
        if (verb_takes_file(v)) printf("complete -c magic8 -n '__fish_seen_subcommand_from %s' -F\n", v->name);
        else if (v->words[0]) printf("complete -c magic8 -n '__fish_seen_subcommand_from %s' -a '%s'\n", v->name, v->words);
    }
    for (const struct opt *p = opt_rows; p->name; p++) {
        fputs("complete -c magic8 -n '__fish_seen_subcommand_from", stdout);
        for (const struct verb *v = verbs; v->name; v++)
            if (!v->hidden && p->verbs & v->bit) printf(" %s", v->name);
        printf("' -l %s", p->name);
        if (p->letter) printf(" -s %c", p->letter);
        fputs(takes_file(p) ? " -r -F" : p->arg ? " -x" : "", stdout);
        fputs(" -d '", stdout);
        quoted(p->help, false);
        puts("'");
    }
}
