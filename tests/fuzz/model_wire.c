/* Any bytes as the calls of a model's process (serve.c reads them) and as what it answers (remote.c does): refused, or read in full and
 * the same when written and read again. */
#include "wire.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_call(const uint8_t *data, size_t n, m8_arena *a)
{
    struct m8__wire_call c, again;
    m8_error err = {0};
    m8_buf b = {0};
    m8_status st = m8__get_call(&c, &(m8_fields){ data, n, false }, a, &err);
    if (st != (m8_status)err.status) abort();
    if (st) return;
    m8__put_call(&b, &c);
    if (b.status || m8__get_call(&again, &(m8_fields){ (const uint8_t *)b.data, b.len, false }, a, &err)) abort();
    if (again.method != c.method || again.n != c.n || again.n_texts != c.n_texts || again.chat.n_stop != c.chat.n_stop) abort();
    for (size_t i = 0; i < c.n_texts; i++) {
        if (!c.texts[i] != !again.texts[i] || (c.texts[i] && strcmp(c.texts[i], again.texts[i]))) abort();
    }
    if (!c.speak.description != !again.speak.description || (c.speak.description && strcmp(c.speak.description, again.speak.description))) abort();
    const void *floats = &c.speak.play_steps_in_s; /* as bytes: it may be NaN */
    if (c.speak.max_new_tokens != again.speak.max_new_tokens || memcmp(floats, &again.speak.play_steps_in_s, sizeof(float))) abort();
    m8_buf_finish(&b);
}

static void check_answer(const uint8_t *data, size_t n, m8_arena *a)
{
    m8_segment s;
    m8_transcribe_info info;
    m8_usage usage;
    m8_buf b = {0};
    m8_error err = {0};
    m8__get_info(&info, &(m8_fields){ data, n, false });
    m8__get_usage(&usage, &(m8_fields){ data, n, false });
    if (!memchr(info.language, 0, sizeof info.language) || !usage.finish) abort();
    if (m8__get_segment(&s, &(m8_fields){ data, n, false }, a, &err)) return;
    m8__put_segment(&b, &s);
    if (b.len != n || memcmp(b.data, data, n)) abort();
    m8_buf_finish(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    m8_arena *a = m8_arena_new(0);
    check_call(data, n, a);
    check_answer(data, n, a);
    m8_arena_free(a);
    return 0;
}
