/* adages_base MODEL > data/adages.base: what each adage scores, on average, after the neutral questions, for the model that the ball has by
 * default. Run it again when data/adages.txt, the system message or the neutral questions of app/ball.c change. */
#include "ball.h"
#include <stdio.h>

int main(int argc, char **argv)
{
    m8_error err = {0};
    m8_model *llm = NULL;
    struct ball *b = NULL;
    m8_status st = argc == 2 ? m8_open(&llm, argv[1], NULL, &err) : m8_fail(&err, M8_E_ARG, "usage: adages_base MODEL");
    if (!st) st = ball_open(&b, llm, &(struct ball_opts){0}, &err);
    if (!st) st = ball_print_base(b, stdout, &err);
    if (st) fprintf(stderr, "adages_base: %s\n", m8_error_text(&err));
    ball_close(b);
    m8_close(llm);
    return st != M8_OK;
}
