/* A SentencePiece .model file or a tokenizer.json, and a text behind it that it encodes: the first two bytes are the text's length. */
#include "tokenizer_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    size_t n_text = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    if (n_text > size) n_text = size;
    char *file = exact(data, size - n_text);
    m8__tokenizer *t;
    m8_error err = { 0 };
    if (!m8__tokenizer_open_bytes(&t, file, size - n_text, &err)) {
        use_tokenizer(t, data + size - n_text, n_text);
        m8__tokenizer_close(t);
    } else {
        must(err.status && err.text[0] && !t);
    }
    free(file);
    return 0;
}
