/* Any bytes through real vocabularies: SmolLM2's first merges (byte-level BPE) and Mistral's pieces (SentencePiece), from tests/data.
 * What comes back is the text, with U+FFFD for what was no UTF-8. */
#include "tokenizer_use.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static m8__tokenizer *open_data(const char *name)
{
    const char *dir = getenv("MAGIC8_TEST_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/text/%s", dir ? dir : "tests/data", name);
    m8__tokenizer *t;
    m8_error err = { 0 };
    if (m8__tokenizer_open_file(&t, path, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return t;
}

static void there_and_back(const m8__tokenizer *t, const char *s, size_t n)
{
    m8__ids ids = { 0 };
    m8_buf want = { 0 }, got = { 0 };
    m8_error err = { 0 };
    m8__utf8_clean(&want, s, n);
    if (m8__encode(t, &ids, s, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    decode_all(t, &ids, &got);
    if (t->spm) { /* its own blank is the same as U+2581 typed */
        m8_buf blanks = { 0 };
        for (size_t i = 0; i < want.len; i++) {
            bool blank = want.len - i >= 3 && !memcmp(want.data + i, "\xE2\x96\x81", 3);
            m8_buf_chr(&blanks, blank ? ' ' : want.data[i]);
            i += blank ? 2 : 0;
        }
        m8_buf_finish(&want);
        want = blanks;
    }
    must(got.len == want.len && (!got.len || !memcmp(got.data, want.data, got.len)));
    m8_buf_finish(&want);
    m8_buf_finish(&got);
    m8__ids_finish(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static m8__tokenizer *bytes, *pieces;
    if (!bytes) {
        bytes = open_data("bpe-small-llama3-tokenizer.json");
        pieces = open_data("mistral.model");
    }
    char *s = exact(data, size);
    there_and_back(bytes, s, size);
    there_and_back(pieces, s, size);
    free(s);
    return 0;
}
