/* embed ARRAY SIZE IN OUT: write file IN as a C array, followed by a NUL that SIZE does not count. Part of the build. */
#include <stdio.h>

int main(int argc, char **argv)
{
    FILE *in = argc == 5 ? fopen(argv[3], "rb") : NULL, *out = in ? fopen(argv[4], "wb") : NULL;
    unsigned long n = 0;
    if (!out) return 1;
    fprintf(out, "#include <stddef.h>\nextern const char %s[];\nextern const size_t %s;\nconst char %s[] = {", argv[1], argv[2], argv[1]);
    for (int c; (c = getc(in)) != EOF; n++) fprintf(out, "%s%d,", n % 24 ? "" : "\n", (signed char)c);
    fprintf(out, "\n0 };\nconst size_t %s = %lu;\n", argv[2], n);
    return ferror(in) || fclose(out) ? 1 : 0;
}
