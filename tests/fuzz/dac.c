/* Any bytes as the weights of a codec: refused, or a stream that takes frames and gives all their samples. */
#include <stdlib.h>

#include "models/dac_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FRAMES = 3 };

static void push(nn_run *r, const struct dac *d)
{
    struct dac_stream *s;
    int codes[FRAMES * DAC_MOST_Q], got = 0;
    for (int i = 0; i < FRAMES * DAC_MOST_Q; i++) codes[i] = i % m8__dac_codebook_size(d);
    if (m8__dac_stream_new(&s, d, NULL)) return;
    for (int i = 0; i < FRAMES && !r->status; i++) {
        nn_reset(r);
        got += m8__dac_push(r, s, codes, 1, i + 1 == FRAMES, NULL, NULL).n;
    }
    if (!r->status && got != FRAMES * m8__dac_hop(d)) abort();
    m8__dac_stream_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int fast = 0; fast < 2; fast++) {
        m8__weights *w;
        m8_error err = { 0 };
        nn_held held = { 0 };
        nn_run r = { 0 };
        if (m8__weights_open_memory(&w, data, n, "input", &err)) return 0;
        nn_load l = { .w = w, .precision = fast ? M8_FAST : M8_F32, .held = &held, .err = &err };
        const struct dac *d = m8__dac_load(&l);
        if (!d && (!l.status || !err.text[0])) abort();
        if (d && !nn_run_init(&r, NULL, NULL)) push(&r, d);
        if (r.arena) nn_run_finish(&r);
        nn_held_free(&held);
        m8__weights_close(w);
    }
    return 0;
}
