/* write.h - how a family's model is laid out in a GGUF file of ours (m8_quantize): which tensor gets which type, which keys. */
#ifndef M8_WRITE_H
#define M8_WRITE_H

#include "models/model.h"
#include "weights/gguf_write.h"

/* Note everything in g; what is wrong is kept there. type: of the matrices that are read for every token. */
void m8__llama_write(m8__gguf *g, const m8__weights *w, m8__dtype type);
void m8__parler_write(m8__gguf *g, const m8__weights *w, m8__dtype type);

/* ---- shared (write.c) */

/* A vector and nothing else: at most one dimension is not 1. */
bool m8__is_vector(const m8__tensor *t);
/* The one of more bits an element. */
m8__dtype m8__finer(m8__dtype a, m8__dtype b);
/* The type, if the tensor's rows are whole blocks of it; else the nearest that fits: of blocks of 32, or F16. Integers stay what they
 * are, and BF16 is not made F16. */
m8__dtype m8__fitting(const m8__tensor *t, m8__dtype type);

m8__view m8__text_view(const char *s);
/* Keys that a GGUF file has already, without those that do not hold any more. */
void m8__write_keys_again(m8__gguf *g, const m8__weights *w);
void m8__write_type(m8__gguf *g, m8__dtype type); /* general.file_type */
/* magic8.config: config.json; magic8.tokenizer: tokenizer.json or spiece.model, as it lies beside the weights, if it does. */
void m8__write_config(m8__gguf *g, const m8__weights *w);
void m8__write_tokenizer_file(m8__gguf *g, const m8__weights *w);

#endif
