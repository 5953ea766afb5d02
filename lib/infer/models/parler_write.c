/* Parler-TTS as one file: tensors under their own names, config.json and the tokenizer as keys.
 *
 * The decoder's matrices, which are read for every column of codes, get the type that was asked for; the heads have 8 bits at least: they are
 * few, and decide. T5 has 8 at least, too: what that costs and saves is in doc/models/t5.md. Keys and values of cross-attention, read once for
 * a description, and what is read by rows have 16, and so has the codec. The codec's encoder is left out: nothing here hears. */
#include "models/write.h"
#include <string.h>

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

static bool is_encoder(const char *name) /* of sound to codes */
{
    return begins(name, "audio_encoder.model.encoder.") || begins(name, "audio_encoder.encoder.") ||
           (begins(name, "audio_encoder.") && strstr(name, ".in_proj."));
}

static m8__dtype type_for(const m8__tensor *t, m8__dtype type)
{
    const char *name = t->name;
    m8__dtype eight = m8__finer(type, DT_Q8_0), sixteen = m8__finer(type, DT_F16);
    if (m8__is_vector(t) || strstr(name, "embed_positions") || strstr(name, "relative_attention_bias") || strstr(name, ".codebook."))
        return DT_F32;
    bool once = strstr(name, "encoder_attn.k_proj") || strstr(name, "encoder_attn.v_proj") || strstr(name, "enc_to_dec_proj");
    bool rows = strstr(name, "embed_tokens") || strstr(name, "embed_prompts");
    if (once || rows || begins(name, "audio_encoder.") || strstr(name, "shared.weight")) return sixteen;
    return begins(name, "decoder.model.decoder.layers.") ? type : eight;
}

void m8__parler_write(m8__gguf *g, const m8__weights *w, m8__dtype type)
{
    if (strcmp(m8__weights_format(w), "gguf")) {
        m8__gguf_str(g, "general.architecture", m8__text_view("parler_tts"));
        m8__write_config(g, w);
        m8__write_tokenizer_file(g, w);
    } else {
        m8__write_keys_again(g, w);
    }
    m8__write_type(g, type);
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        if (!is_encoder(t->name)) m8__gguf_tensor(g, t, t->name, m8__fitting(t, type_for(t, type)), 0);
    }
}
