/* magic8 quantize IN OUT --type T: the same model in fewer bits. */
#include "app.h"
#include "models.h"
#include "options.h"
#include "progress.h"
#include <m8/infer.h>
#include <stdio.h>

struct bar {
    struct progress p;
    const char *out;
    int64_t total;
};

static m8_status step(void *user, const char *tensor, int64_t done, int64_t total)
{
    struct bar *b = user;
    b->total = total;
    return progress_step(&b->p, &(m8_hub_progress){ .file = b->out, .source = "", .done = done, .total = total });
}

int cmd_quantize(const struct options *o)
{
    m8_error err = { 0 };
    const char *in = o->args[0], *out = o->args[1];
    char *found = NULL;
    if (!o->type) return fail_usage("in which type? name one with --type: q8_0, q4_0, q4_k, ...");
    struct bar bar = { .out = out };
    signals_catch();
    progress_init(&bar.p);
    double start = m8_now_s();
    m8_status st = find_model(&found, NULL, in, &err);
    if (!st) st = m8_quantize(found, out, o->type, &(m8_quantize_opts){ .n_threads = o->threads, .progress = step, .user = &bar }, &err);
    progress_clear(&bar.p);
    if (!st && o->json) printf("{\"bytes\": %lld, \"seconds\": %.2f}\n", (long long)bar.total, m8_now_s() - start);
    char size[16];
    if (!st) fprintf(stderr, "%s: %s\n", out, size_text(size, bar.total));
    m8_free(found);
    return st ? fail(&err) : 0;
}
