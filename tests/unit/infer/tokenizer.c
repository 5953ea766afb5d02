/* Encode and decode 215 tricky strings as the original tokenizers do; conversations as their templates do. */
#include "text_test.h"
#include "text/tok.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every string of tests/data/text/FILE: encode gives `key`; decode, an id at a time and in whole characters, gives `decoded`
 * where the file has it (made there of the ids at decode_key), and else the text itself. */
static void check_strings(const m8__tokenizer *t, const char *file, const char *key, const char *decode_key)
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
        json_t *made_of = json_object_get(row, decode_key);
        ids.n = 0;
        for (size_t k = 0; k < json_array_size(made_of); k++) m8__ids_add(&ids, (int)json_integer_value(json_array_get(made_of, k)));
        if (!decodes_to(t, &ids, back, n_back)) differ++;
        m8__ids_finish(&ids);
    }
    json_decref(rows);
    assert_int_equal(differ, 0);
}

/* Conversations of one version (NULL: all) give the same ids, or, as_text, pieces with the same texts; returns how many. */
static int check_chats(const m8__chat *c, const m8__tokenizer *t, json_t *chats, const char *version, bool as_text)
{
    int checked = 0;
    for (size_t i = 0; i < json_array_size(chats); i++) {
        json_t *chat = json_array_get(chats, i);
        if (version && strcmp(json_string_value(json_object_get(chat, "version")), version)) continue;
        m8_message m[8];
        size_t n = messages_of(chat, m, 8);
        m8__ids ids = { 0 };
        m8_error err = { 0 };
        if (m8__chat_encode(c, t, &ids, m, n, true, &err)) fail_msg("%s", err.text);
        m8_buf text = { 0 };
        for (size_t k = 0; k < ids.n; k++) {
            int id = ids.data[k], state = 1;
            if (t->bpe && !m8__token_is_control(t, id))
                m8__decode(t, id, &state, &text);
            else
                m8_buf_add(&text, t->v.text[id].data, t->v.text[id].len);
        }
        if (as_text)
            assert_string_equal(text.data, json_string_value(json_object_get(chat, "text")));
        else if (!same_ids(&ids, json_object_get(chat, "ids"))) {
            print_ids(&ids, json_object_get(chat, "ids"));
            fail_msg("chat %zu differs", i);
        }
        m8_buf_finish(&text);
        m8__ids_finish(&ids);
        checked++;
    }
    return checked;
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
    check_strings(t, "smollm2.json", "ids_no_special", "ids_no_special");

    const m8__chat *c = m8__chat_find(t, w);
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
    const m8__chat *c = m8__chat_find(t, NULL);
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
    assert_string_equal(m8__chat_name(m8__chat_find(t, NULL)), "llama3");
    static const char *const families[] = { "llama3", "llama2", "zephyr" };
    json_t *chats = load_json("chats-text.json");
    for (int i = 0; i < 3; i++) assert_int_equal(check_chats(m8__chat_named(families[i]), t, chats, families[i], true), 6);
    json_decref(chats);
    m8__tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2),
        cmocka_unit_test(whisper_base),
        cmocka_unit_test(whisper_tiny_en),
        cmocka_unit_test(mistral),
        cmocka_unit_test(t5),
        cmocka_unit_test(t5_json),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
