/* Encode and decode 215 tricky strings as the original tokenizers do; conversations as their templates do. */
#include "text_test.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every string of tests/data/text/FILE: encode gives `key`; decode, an id at a time and in whole characters, gives `decoded`
 * where the file has it, and else the text itself. */
static void check_strings(const m8__tokenizer *t, const char *file, const char *key)
{
    json_t *rows = load_json(file);
    size_t differ = 0, n_rows = json_array_size(rows);
    assert_int_equal(n_rows, 215);
    for (size_t i = 0; i < n_rows; i++) {
        json_t *row = json_array_get(rows, i), *want = json_object_get(row, key);
        const char *text = json_string_value(json_object_get(row, "text"));
        size_t n_text = json_string_length(json_object_get(row, "text"));
        m8_error err = { 0 };
        m8__ids ids = { 0 };
        if (m8__encode(t, &ids, text, n_text, &err)) fail_msg("%s: %s", file, err.text);
        if (!same_ids(&ids, want)) {
            print_message("%s %zu: \"%s\" differs: ", file, i, text);
            print_ids(&ids, want);
            differ++;
        }
        json_t *decoded = json_object_get(row, "decoded");
        const char *back = decoded ? json_string_value(decoded) : text;
        size_t n_back = decoded ? json_string_length(decoded) : n_text;
        if (!decodes_to(t, &ids, back, n_back)) differ++;
        m8__ids_finish(&ids);
    }
    json_decref(rows);
    assert_int_equal(differ, 0);
}

static void check_chats(const m8__chat *c, const m8__tokenizer *t, json_t *chats, const char *version)
{
    for (size_t i = 0; i < json_array_size(chats); i++) {
        json_t *chat = json_array_get(chats, i);
        if (version && strcmp(json_string_value(json_object_get(chat, "version")), version)) continue;
        m8_message m[8];
        size_t n = messages_of(chat, m, 8);
        m8__ids ids = { 0 };
        m8_error err = { 0 };
        if (m8__chat_encode(c, t, &ids, m, n, true, &err)) fail_msg("%s", err.text);
        if (!same_ids(&ids, json_object_get(chat, "ids"))) {
            print_ids(&ids, json_object_get(chat, "ids"));
            fail_msg("chat %zu differs", i);
        }
        m8__ids_finish(&ids);
    }
}

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
    check_strings(t, "smollm2.json", "ids_no_special");

    const m8__chat *c = m8__chat_find(t, w);
    assert_non_null(c);
    assert_string_equal(m8__chat_name(c), "chatml");
    assert_int_equal(m8__chat_end(c, t), 2);
    assert_true(m8__chat_is_end(c, t, 0));
    assert_false(m8__chat_is_end(c, t, 1));
    json_t *chats = load_json("smollm2-chats.json");
    check_chats(c, t, json_object_get(chats, "chats"), NULL);
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
    check_strings(t, golden, "ids");
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
