/* Parse a verb's options by the table in verbs.c: `--name value`, `--name=value`, `-o value`, `-ovalue`; `--` ends the options;
 * `-` alone is an argument. Names are not abbreviated. */
#include "options.h"
#include "app.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct verb *verb_find(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (!strcmp(v->name, name)) return v;
    return NULL;
}

static const struct opt *find(const struct verb *verb, const char *name, size_t n)
{
    for (const struct opt *p = opt_rows; p->name; p++)
        if (p->verbs & verb->bit && strlen(p->name) == n && !memcmp(p->name, name, n)) return p;
    return NULL;
}

static const struct opt *find_letter(const struct verb *verb, char letter)
{
    for (const struct opt *p = opt_rows; p->name; p++)
        if (p->verbs & verb->bit && p->letter && p->letter == letter) return p;
    return NULL;
}

static int set_number(struct options *o, const struct opt *p, const char *value)
{
    char *end = NULL;
    errno = 0;
    bool bad = !*value || *value == ' ';
    if (p->type == OPT_SEED) {
        unsigned long long v = bad || *value == '-' || *value == '+' ? 0 : strtoull(value, &end, 10);
        if (!end || *end || errno)
            return fail_usage("--%s: expected a whole number from 0 to 2^64 - 1, not '%.60s'", p->name, value);
        *(uint64_t *)((char *)o + p->at) = v;
        return 0;
    }
    double v = 0;
    if (p->type == OPT_INT) {
        long n = bad ? 0 : strtol(value, &end, 10);
        v = (double)n;
    } else {
        v = bad ? 0 : strtod(value, &end);
    }
    if (!end || *end || errno || !isfinite(v) || v < p->min || v > p->max)
        return fail_usage("--%s: expected a %snumber from %g to %g, not '%.60s'", p->name, p->type == OPT_INT ? "whole " : "",
                          p->min, p->max, value);
    if (p->type == OPT_INT) *(int *)((char *)o + p->at) = (int)v;
    else *(double *)((char *)o + p->at) = v;
    return 0;
}

static int set(struct options *o, const struct opt *p, const char *value)
{
    void *field = (char *)o + p->at;
    switch (p->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case OPT_TEXT:
        *(const char **)field = value;
        return 0;
    case OPT_LIST: {
        struct opt_list *l = field;
        if (l->n == (int)(sizeof l->items / sizeof l->items[0])) return fail_usage("--%s: given too often", p->name);
        l->items[l->n++] = value;
        return 0;
    }
    default:
        return set_number(o, p, value);
    }
}

int options_parse(struct options *o, const struct verb *verb, int argc, char **argv)
{
    *o = options_default;
    o->verb = verb;
    o->args = argv;
    for (int i = 0; i < argc; i++) {
        char *a = argv[i];
        if (a[0] != '-' || !a[1]) {
            o->args[o->n_args++] = a;
            continue;
        }
        if (!strcmp(a, "--")) {
            while (++i < argc) o->args[o->n_args++] = argv[i];
            break;
        }
        bool is_long = a[1] == '-';
        size_t n = is_long ? strcspn(a + 2, "=") : 1;
        const struct opt *p = is_long ? find(verb, a + 2, n) : find_letter(verb, a[1]);
        if (!p) return fail_usage("unknown option %.60s (see magic8 %s --help)", a, verb->name);
        const char *value = is_long ? (a[2 + n] ? a + 3 + n : NULL) : (a[2] ? a + 2 : NULL);
        if (p->type == OPT_FLAG && value) return fail_usage("--%s takes no value (see magic8 %s --help)", p->name, verb->name);
        if (p->type != OPT_FLAG && !value) {
            if (i + 1 >= argc) return fail_usage("--%s needs a value: %s", p->name, p->arg);
            value = argv[++i];
        }
        int code = set(o, p, value);
        if (code) return code;
    }
    if (o->help) return 0;
    if (o->n_args < verb->min_args || o->n_args > verb->max_args)
        return fail_usage("usage: magic8 %s %s (see magic8 %s --help)", verb->name, verb->args, verb->name);
    return 0;
}

const char *options_model(const struct options *o, const char *role)
{
    static const char *const roles[] = { "asr", "llm", "tts" };
    for (int i = o->models.n - 1; i >= 0; i--) { /* the last one counts */
        const char *m = o->models.items[i], *eq = strchr(m, '=');
        bool named = false;
        for (size_t r = 0; r < 3 && eq; r++)
            if (strlen(roles[r]) == (size_t)(eq - m) && !memcmp(m, roles[r], (size_t)(eq - m))) named = true;
        if (!named) return m;
        if (strlen(role) == (size_t)(eq - m) && !memcmp(m, role, strlen(role))) return eq + 1;
    }
    return NULL;
}
