/* pack OUT FILE...: write files as one table of C, `m8__web`, for the library that serves them. Part of the build.
 * A row: the file's name without its folders, its bytes, its size and a hash of its bytes (FNV-1a, 64 bits), which tells one content from another. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int put(FILE *out, const char *path, int i, unsigned long *size, uint64_t *hash)
{
    FILE *in = fopen(path, "rb");
    if (!in) return 1;
    *size = 0;
    *hash = 0xcbf29ce484222325u;
    fprintf(out, "static const char f%d[] = {", i);
    for (int c; (c = getc(in)) != EOF; ++*size) {
        fprintf(out, "%s%d,", *size % 24 ? "" : "\n", (signed char)c);
        *hash = (*hash ^ (uint64_t)c) * 0x100000001b3u;
    }
    fprintf(out, "\n0 };\n");
    return ferror(in) | fclose(in);
}

int main(int argc, char **argv)
{
    enum { MOST = 1000 };
    static unsigned long size[MOST];
    static uint64_t hash[MOST];
    FILE *out = argc > 2 && argc < MOST ? fopen(argv[1], "wb") : NULL;
    if (!out) return 1;
    fprintf(out, "#include \"web.h\"\n");
    for (int i = 2; i < argc; i++)
        if (put(out, argv[i], i, &size[i], &hash[i])) return 1;
    fprintf(out, "const struct m8__web_file m8__web[] = {\n");
    for (int i = 2; i < argc; i++)
        fprintf(out, "{\"%s\", f%d, %lu, \"\\\"%016llx\\\"\"},\n", base_name(argv[i]), i, size[i], (unsigned long long)hash[i]);
    fprintf(out, "{0}};\n");
    return fclose(out) ? 1 : 0;
}
