/* The same 215 strings and conversations with the vocabularies of real models. */
#include "text_test.h"

static void smollm2(void **state)
{
    m8__weights *w = open_model("SmolLM2-135M-Instruct.Q4_1.gguf");
    m8__tokenizer *t;
    m8_error err = { 0 };
    double from = seconds();
    if (m8__tokenizer_open(&t, w, &err)) fail_msg("%s", err.text);
    print_message("SmolLM2: opened in %.1f ms\n", (seconds() - from) * 1e3);
    assert_int_equal(m8__tokenizer_size(t), 49152);
    assert_int_equal(m8__token_bos(t), 1);
    assert_int_equal(m8__token_eos(t), 2);
    assert_int_equal(m8__token_id(t, "<|im_end|>"), 2);
    assert_int_equal(m8__token_id(t, "the"), -1);
    assert_true(m8__token_is_control(t, 0));
    check_strings(t, "smollm2.json", "ids_no_special", "ids_no_special");

    const m8__chat *c = m8__chat_find(t);
    assert_non_null(c);
    assert_string_equal(m8__chat_name(c), "chatml");
    assert_int_equal(m8__chat_end(c, t), 2);
    assert_true(m8__chat_is_end(c, t, 0));
    assert_false(m8__chat_is_end(c, t, 1));
    json_t *chats = load_json("smollm2-chats.json");
    assert_int_equal(check_chats(c, t, json_object_get(chats, "chats"), NULL, false), 3);
    json_decref(chats);
    m8__tokenizer_close(t);
    m8__weights_close(w);
}

static void check_whisper(const char *folder, const char *golden, int eot)
{
    m8__weights *w = open_model(folder);
    m8__tokenizer *t;
    m8_error err = { 0 };
    double from = seconds();
    if (m8__tokenizer_open(&t, w, &err)) fail_msg("%s", err.text);
    print_message("%s: opened in %.1f ms\n", folder, (seconds() - from) * 1e3);
    assert_int_equal(m8__token_eos(t), eot);
    assert_int_equal(m8__token_id(t, "<|en|>"), eot + 2);
    assert_int_equal(m8__token_id(t, "<|0.00|>"), eot + 107);
    assert_true(m8__token_is_control(t, eot + 107));
    check_strings(t, golden, "ids", "ids");
    m8__tokenizer_close(t);
    m8__weights_close(w);
}

static void whisper_base(void **state) { check_whisper("whisper-base", "whisper-base.json", 50257); }
static void whisper_tiny_en(void **state) { check_whisper("whisper-tiny.en", "whisper-tiny.en.json", 50256); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2),
        cmocka_unit_test(whisper_base),
        cmocka_unit_test(whisper_tiny_en),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
