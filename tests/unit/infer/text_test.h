/* What the tests of lib/infer/text share: golden files, models that may be missing, comparing ids. */
#ifndef TEXT_TEST_H
#define TEXT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>
#include <m8/infer.h>

#include "text/tok.h"

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline const char *data_path(const char *file)
{
    static char path[4096];
    const char *dir = getenv("MAGIC8_TEST_DATA");
    assert_non_null(dir);
    snprintf(path, sizeof path, "%s/text/%s", dir, file);
    return path;
}

static inline json_t *load_json(const char *file)
{
    json_error_t e;
    json_t *j = json_load_file(data_path(file), JSON_ALLOW_NUL, &e);
    if (!j) fail_msg("%s: %s", file, e.text);
    return j;
}

/* A real model of the folder MAGIC8_TEST_MODELS; where it is missing, the test is skipped. */
static inline m8__weights *open_model(const char *name)
{
    const char *dir = getenv("MAGIC8_TEST_MODELS");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir ? dir : ".", name);
    if (!dir || (!m8_is_dir(path) && !m8_is_file(path))) {
        print_message("skipped: no %s in MAGIC8_TEST_MODELS\n", name);
        exit(77);
    }
    m8__weights *w;
    m8_error err = { 0 };
    if (m8__weights_open(&w, path, &err)) fail_msg("%s", err.text);
    return w;
}

static inline bool same_ids(const m8__ids *ids, const json_t *want)
{
    if (ids->n != json_array_size(want)) return false;
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->data[i] != json_integer_value(json_array_get(want, i))) return false;
    }
    return true;
}

static inline void print_ids(const m8__ids *ids, const json_t *want)
{
    char *s = json_dumps(want, JSON_COMPACT);
    print_message("got [");
    for (size_t i = 0; i < ids->n; i++) print_message("%d,", ids->data[i]);
    print_message("] expected %s\n", s);
    free(s);
}

/* The ids one by one, handing on what is whole after each, as a stream does. */
static inline bool decodes_to(const m8__tokenizer *t, const m8__ids *ids, const char *want, size_t n)
{
    m8_buf held = { 0 }, all = { 0 };
    int state = 0;
    for (size_t i = 0; i < ids->n; i++) {
        m8__decode(t, ids->data[i], &state, &held);
        size_t whole = m8__utf8_whole(held.data ? held.data : "", held.len);
        m8_buf_add(&all, held.data, whole);
        if (held.len) memmove(held.data, held.data + whole, held.len - whole);
        held.len -= whole;
        if (held.len > 3) fail_msg("%zu bytes held back", held.len);
    }
    m8_buf_add(&all, held.data, held.len);
    bool same = all.len == n && (!n || !memcmp(all.data, want, n));
    if (!same) print_message("decoded \"%.*s\", expected \"%.*s\"\n", (int)all.len, all.data ? all.data : "", (int)n, want);
    m8_buf_finish(&held);
    m8_buf_finish(&all);
    return same;
}

static inline size_t messages_of(const json_t *chat, m8_message *m, size_t room)
{
    const json_t *list = json_object_get(chat, "messages");
    size_t n = json_array_size(list);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        m[i].role = json_string_value(json_object_get(o, "role"));
        m[i].content = json_string_value(json_object_get(o, "content"));
    }
    return n;
}

/* Every string of tests/data/text/FILE: encode gives `key`; decode, an id at a time and in whole characters, gives `decoded`
 * where the file has it (made there of the ids at decode_key), and else the text itself. */
static inline void check_strings(const m8__tokenizer *t, const char *file, const char *key, const char *decode_key)
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
static inline int check_chats(const m8__chat *c, const m8__tokenizer *t, json_t *chats, const char *version, bool as_text)
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

#endif
