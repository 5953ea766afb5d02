/* Audio, Image, Video. On the wire: a FileData, or null. */
#include "components.h"

static m8_status media_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return json_is_null(*value) ? M8_OK : m8__file_value(b, value, s, err);
}

const struct m8__component m8__audio = { .type = "audio", .preprocess = media_in };
const struct m8__component m8__image = { .type = "image", .preprocess = media_in };
const struct m8__component m8__video = { .type = "video", .preprocess = media_in };

static const m8_file_opts none;

static m8_block *media(m8_block *parent, const struct m8__component *type, const m8_file_opts *o)
{
    m8_block *b = m8__block_new(parent, type);
    m8__initial_file(b, o->value);
    m8__props_text(b, "format", o->format);
    m8__props_common(b, M8__COMMON(o));
    return b;
}

m8_block *m8_audio(m8_block *parent, const m8_file_opts *opts)
{
    const m8_file_opts *o = opts ? opts : &none;
    m8_block *b = media(parent, &m8__audio, o);
    m8__props_words(b, "sources",
                    o->sources || !o->streaming ? o->sources : "microphone"); /* as Gradio: only that can stream */
    m8__props_text(b, "type", o->type ? o->type : "filepath");
    m8__props_flag(b, "streaming", o->streaming);
    m8__props_flag(b, "autoplay", o->autoplay);
    m8__props_flag(b, "loop", o->loop);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_image(m8_block *parent, const m8_file_opts *opts)
{
    const m8_file_opts *o = opts ? opts : &none;
    m8_block *b = media(parent, &m8__image, o);
    m8__props_words(b, "sources", o->sources || !o->streaming ? o->sources : "webcam");
    m8__props_text(b, "type", o->type ? o->type : "filepath");
    m8__props_int(b, "height", o->height);
    m8__props_flag(b, "streaming", o->streaming);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_video(m8_block *parent, const m8_file_opts *opts)
{
    const m8_file_opts *o = opts ? opts : &none;
    m8_block *b = media(parent, &m8__video, o);
    m8__props_words(b, "sources", o->sources);
    m8__props_int(b, "height", o->height);
    m8__props_flag(b, "streaming", o->streaming);
    m8__props_flag(b, "autoplay", o->autoplay);
    m8__props_flag(b, "loop", o->loop);
    m8__props_extra(b, o->props);
    return b;
}
