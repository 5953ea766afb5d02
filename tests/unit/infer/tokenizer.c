/* Encode and decode 215 tricky strings as the original tokenizers do, conversations as their templates do: files of tests/data. */
#include "text_test.h"

static void check_file(const char *file, const char *golden, const char *key)
{
    m8__tokenizer *t;
    m8_error err = { 0 };
    double from = seconds();
    if (m8__tokenizer_open_file(&t, data_path(file), &err)) fail_msg("%s", err.text);
    print_message("%s: opened in %.1f ms\n", file, (seconds() - from) * 1e3);
    check_strings(t, golden, key, "ids");
    m8__tokenizer_close(t);
}

static void mistral(void **state)
{
    check_file("mistral.model", "mistral.json", "ids");
    m8__tokenizer *t;
    m8_error err = { 0 };
    if (m8__tokenizer_open_file(&t, data_path("mistral.model"), &err)) fail_msg("%s", err.text);
    assert_int_equal(m8__token_bos(t), 1);
    assert_int_equal(m8__token_eos(t), 2);
    const m8__chat *c = m8__chat_find(t);
    assert_non_null(c);
    assert_string_equal(m8__chat_name(c), "mistral-v3");
    json_t *chats = load_json("mistral-chats.json");
    assert_int_equal(check_chats(c, t, chats, "v3", false), 6);
    assert_int_equal(check_chats(c, t, chats, "v2", true), 6); /* no model file of v2 and v1 here: the texts of the pieces */
    assert_int_equal(check_chats(m8__chat_named("mistral-v1"), t, chats, "v1", true), 6);
    json_decref(chats);
    m8__tokenizer_close(t);
}
static void t5(void **state) { check_file("t5.model", "t5.json", "sp_ids"); }
static void t5_json(void **state) { check_file("t5-tokenizer.json", "t5.json", "sp_ids"); }

static void llama3(void **state) { check_file("bpe-small-llama3-tokenizer.json", "bpe-small-llama3.json", "ids"); }
static void qwen2(void **state) { check_file("bpe-small-qwen2-tokenizer.json", "bpe-small-qwen2.json", "ids"); }

/* Conversations as Jinja renders the published templates. */
static void templates(void **state)
{
    m8__tokenizer *t;
    m8_error err = { 0 };
    if (m8__tokenizer_open_file(&t, data_path("bpe-small-llama3-tokenizer.json"), &err)) fail_msg("%s", err.text);
    assert_string_equal(m8__chat_name(m8__chat_find(t)), "llama3");
    static const char *const families[] = { "llama3", "llama2", "zephyr" };
    json_t *chats = load_json("chats-text.json");
    for (int i = 0; i < 3; i++) assert_int_equal(check_chats(m8__chat_named(families[i]), t, chats, families[i], true), 6);
    json_decref(chats);
    m8__tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistral),
        cmocka_unit_test(t5),
        cmocka_unit_test(t5_json),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
