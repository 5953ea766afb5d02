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

#include "text/text.h"

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
        skip();
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

#endif
