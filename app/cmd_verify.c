/* magic8 verify: a model beside the numbers of its original; with --type, in another type beside itself. */
#include "app.h"
#include "models.h"
#include "options.h"
#include <m8/infer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tally {
    const struct options *o;
    bool of_type; /* differences are what is asked for */
    int n, over;
};

static void report(void *user, const char *tensor, double diff, double tolerance)
{
    struct tally *t = user;
    bool over = !(diff <= tolerance) && tolerance > 0 && !t->of_type;
    t->n++;
    t->over += over;
    if (t->o->json && !isfinite(diff)) printf("{\"tensor\": \"%s\", \"max_diff\": null, \"tolerance\": %.6g}\n", tensor, tolerance);
    else if (t->o->json) printf("{\"tensor\": \"%s\", \"max_diff\": %.6g, \"tolerance\": %.6g}\n", tensor, diff, tolerance);
    else if (t->of_type) printf("%-32s %12.6g\n", tensor, diff);
    else printf("%-32s %12.6g  of %g%s\n", tensor, diff, tolerance, over ? "  TOO LARGE" : "");
}

/* ---- --type: the model in another type beside itself in float32 */

static void print_likeness(const struct options *o, const m8_likeness *l)
{
    double same = l->n ? (double)l->n_same / l->n : 0;
    if (o->json) printf("{\"type\": \"%s\", \"steps\": %d, \"choices\": %d, \"top1\": %.5f, \"kl\": %.6g, \"rms\": %.6g, \"max_diff\": %.6g}\n", o->type,
                        l->n_steps, l->n, same, l->kl, l->rms, l->max_diff);
    else printf("%s beside float32, %d steps: first choice alike in %d of %d (%.2f %%), KL %.4g nats, logits off by %.4g of their spread, at most %.4g\n",
                o->type, l->n_steps, l->n_same, l->n, same * 100, l->kl, l->rms, l->max_diff);
}

/* Opened, and its file gone at once: it stays as long as it is mapped. */
static m8_status open_in_type(m8_model **m, const char *path, const struct options *o, m8_error *err)
{
    const char *tmp = getenv("TMPDIR");
    char *file = m8_sprintf("%s/magic8-%ld.gguf", tmp && *tmp ? tmp : "/tmp", (long)getpid());
    m8_status st = file ? M8_OK : m8_fail(err, M8_E_NOMEM, "verifying");
    if (file) cleanup_add(file);
    if (!st) st = m8_quantize(path, file, o->type, &(m8_quantize_opts){ .n_threads = o->threads }, err);
    if (!st) st = m8_open(m, file, &(m8_open_opts){ .n_threads = o->threads, .precision = o->f32 ? M8_F32 : M8_FAST }, err);
    if (file) {
        unlink(file);
        cleanup_forget(file);
    }
    m8_free(file);
    return st;
}

static m8_status verify_type(const char *path, const char *expected, const struct options *o, m8_error *err)
{
    m8_model *plain = NULL, *typed = NULL;
    struct tally t = { .o = o, .of_type = true };
    m8_likeness like;
    m8_status st = open_in_type(&typed, path, o, err);
    if (!st && m8_is_file(expected)) st = m8_verify(typed, expected, report, &t, err);
    if (!st) st = m8_open(&plain, path, &(m8_open_opts){ .n_threads = o->threads, .precision = M8_F32 }, err);
    if (!st) st = m8_compare(plain, typed, o->steps, o->seed ? o->seed : 1, &like, err);
    if (!st) print_likeness(o, &like);
    m8_close(plain);
    m8_close(typed);
    return st;
}

static m8_status verify(const char *path, const char *expected, const struct options *o, m8_error *err)
{
    m8_model *m = NULL;
    struct tally t = { .o = o };
    m8_status st = m8_open(&m, path, &(m8_open_opts){ .n_threads = o->threads, .precision = M8_F32 }, err);
    if (!st) st = m8_verify(m, expected, report, &t, err);
    if (!st && t.over) st = m8_fail(err, M8_E_FORMAT, "%d of %d tensors differ by more than a correct float32 engine does", t.over, t.n);
    m8_close(m);
    return st;
}

int cmd_verify(const struct options *o)
{
    m8_error err = {0};
    const char *dir = o->args[0], *given = o->models.n ? options_model(o, "") : NULL;
    char *found = NULL, *expected = m8_is_dir(dir) ? m8_join_path(dir, "expected.safetensors") : m8_strdup(dir);
    m8_status st = expected ? M8_OK : m8_fail(&err, M8_E_NOMEM, "verifying");
    if (!st) st = find_model(&found, NULL, given ? given : dir, &err);
    if (!st) st = o->type ? verify_type(found, given || m8_is_dir(found) ? expected : "", o, &err) : verify(found, expected, o, &err);
    m8_free(expected);
    m8_free(found);
    return st ? fail(&err) : 0;
}
