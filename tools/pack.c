/* pack OUT HEADER FILE...: write files as one table of C for a program that serves them. Part of the build. HEADER says what the table is:
 * `#define PACKED const struct file table[]`.
 * A row: the file's name without its folders, its bytes, their number and a hash of them (FNV-1a, 64 bits), which tells one content from another.
 * Scripts and style sheets go in squeezed. pack -s FILE: print a file as it goes in. */
#include "squeeze.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The bytes of a file as they are served, new; NULL if it cannot be read. */
static char *load(const char *path, size_t *n)
{
    enum { MOST = 1 << 20 };
    static char in[MOST];
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t got = fread(in, 1, MOST, f);
    char *out = malloc(MOST);
    if (ferror(f) || got == MOST || !out) {
        fclose(f);
        free(out);
        return NULL;
    }
    fclose(f);
    *n = squeeze(path, in, got, out);
    return out;
}

static int put(FILE *out, const char *path, int i, size_t *size, uint64_t *hash)
{
    char *data = load(path, size);
    if (!data) return 1;
    *hash = 0xcbf29ce484222325u;
    fprintf(out, "static const char f%d[] = {", i);
    for (size_t k = 0; k < *size; k++) {
        fprintf(out, "%s%d,", k % 24 ? "" : "\n", (signed char)data[k]);
        *hash = (*hash ^ (unsigned char)data[k]) * 0x100000001b3u;
    }
    fprintf(out, "\n0 };\n");
    free(data);
    return ferror(out);
}

static int show(const char *path)
{
    size_t n;
    char *data = load(path, &n);
    if (!data) return 1;
    size_t put = fwrite(data, 1, n, stdout);
    free(data);
    return put != n;
}

int main(int argc, char **argv)
{
    enum { MOST = 1000 };
    static size_t size[MOST];
    static uint64_t hash[MOST];
    if (argc == 3 && !strcmp(argv[1], "-s")) return show(argv[2]);
    FILE *out = argc > 3 && argc < MOST ? fopen(argv[1], "wb") : NULL;
    if (!out) return 1;
    fprintf(out, "#include \"%s\"\n", argv[2]);
    for (int i = 3; i < argc; i++)
        if (put(out, argv[i], i, &size[i], &hash[i])) return 1;
    fprintf(out, "PACKED = {\n");
    for (int i = 3; i < argc; i++)
        fprintf(out, "{\"%s\", f%d, %zu, \"\\\"%016llx\\\"\"},\n", base_name(argv[i]), i, size[i], (unsigned long long)hash[i]);
    fprintf(out, "{0}};\n");
    return fclose(out) ? 1 : 0;
}
