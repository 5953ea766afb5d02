/* Calls beside each other in one model, with the real one: under the thread sanitizer, too. */
#include "llama_help.h"
#include <pthread.h>

static const char *const questions[] = { "Tell me about the sea.", "What is a cat?", "Tell me about the sea and the moon.", "Count to ten." };

struct caller {
    m8_model *m;
    int i;
    char *text;
    pthread_t thread;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    m8_chat_opts o = { .max_tokens = 12, .temperature = 0.8f, .top_p = 0.9f, .seed = (uint64_t)c->i };
    c->text = answer(c->m, questions[c->i], &o, NULL);
    return NULL;
}

/* Alone, all together, after others, with one thread: the same text. */
static void test_company(void **state)
{
    (void)state;
    m8_model *m = open_real(M8_FAST, 2), *one = open_real(M8_FAST, 1);
    if (!m) skip();
    struct caller alone[4], together[4];
    for (int i = 0; i < 4; i++) {
        alone[i] = (struct caller){ .m = one, .i = i };
        call(&alone[i]);
    }
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 4; i++) {
            together[i] = (struct caller){ .m = m, .i = i };
            pthread_create(&together[i].thread, NULL, call, &together[i]);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(together[i].thread, NULL);
            assert_string_equal(together[i].text, alone[i].text);
            m8_free(together[i].text);
        }
    }
    for (int i = 0; i < 4; i++) m8_free(alone[i].text);
    m8_close(m);
    m8_close(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_company) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
