/* chat MODEL QUESTION: the language model's answer, word by word as it is made. */
#include <m8/infer.h>
#include <stdio.h>

static m8_status print(void *user, const char *text, size_t n)
{
    return fwrite(text, 1, n, stdout) != n || fflush(stdout) ? M8_E_IO : M8_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: chat MODEL QUESTION\n"), 2;
    m8_error err = {0};
    m8_model *llm = NULL;
    m8_usage usage;
    m8_status st = m8_open(&llm, argv[1], NULL, &err);
    const m8_message messages[] = { { "system", "You answer in one sentence." }, { "user", argv[2] } };
    m8_chat_opts opts = { .max_tokens = 64, .temperature = 0.7f, .top_p = 0.95f, .seed = 8 };
    if (!st) st = m8_chat(llm, messages, 2, &opts, (m8_text_sink){ print, NULL }, &usage, &err);
    if (st) fprintf(stderr, "chat: %s\n", m8_error_text(&err));
    else printf("\n(%d tokens in %.2f s)\n", usage.n_generated, usage.generate_s);
    m8_close(llm);
    return st ? 1 : 0;
}
