/* magic8 verify: a model beside the numbers of its original. */
#include "app.h"
#include "models.h"
#include "options.h"
#include <m8/infer.h>
#include <math.h>
#include <stdio.h>

struct tally {
    const struct options *o;
    int n, over;
};

static void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct tally *t = user;
    bool over = !(diff <= tolerance) && tolerance > 0;
    t->n++;
    t->over += over;
    if (t->o->json && !isfinite(diff)) printf("{\"tensor\": \"%s\", \"max_diff\": null, \"tolerance\": %.6g}\n", tensor, tolerance);
    else if (t->o->json) printf("{\"tensor\": \"%s\", \"max_diff\": %.6g, \"tolerance\": %.6g}\n", tensor, diff, tolerance);
    else printf("%-32s %12.6g  of %g%s\n", tensor, diff, tolerance, over ? "  TOO LARGE" : "");
}

int cmd_verify(const struct options *o)
{
    m8_error err = {0};
    m8_model *m = NULL;
    struct tally t = { .o = o };
    const char *dir = o->args[0], *given = o->models.n ? options_model(o, "") : NULL;
    m8_open_opts opts = { .n_threads = o->threads, .precision = M8_F32 };
    char *found = NULL, *expected = m8_is_dir(dir) ? m8_join_path(dir, "expected.safetensors") : m8_strdup(dir);
    m8_status st = expected ? M8_OK : m8_fail(&err, M8_E_NOMEM, "verifying");
    if (!st && given) st = find_model(&found, NULL, given, &err);
    if (!st) st = m8_open(&m, found ? found : dir, &opts, &err);
    if (!st) st = m8_verify(m, expected, report, &t, &err);
    if (!st && t.over) st = m8_fail(&err, M8_E_FORMAT, "%d of %d tensors differ by more than a correct float32 engine does", t.over, t.n);
    m8_free(expected);
    m8_free(found);
    m8_close(m);
    return st ? fail(&err) : 0;
}
