/* A SentencePiece .model file: a protobuf message. Read here are
 *   ModelProto      1 pieces {1 text, 2 score, 3 type}, 2 trainer_spec, 3 normalizer_spec
 *   TrainerSpec     3 model_type (1 unigram, 2 BPE), 35 byte_fallback, 40 to 42 the ids of unk, bos, eos
 *   NormalizerSpec  2 charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
 * source: sentencepiece_model.proto. */
#include "text/spm.h"
#include <string.h>

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

struct field {
    uint64_t number, value; /* value: of a varint or a fixed one */
    m8__view bytes;         /* of a length-delimited one */
    int wire;
};

static uint64_t varint(struct reader *r)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) break;
        uint8_t c = *r->at++;
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128) return v;
    }
    r->bad = true;
    return 0;
}

/* false: the end, or damage (r->bad). */
static bool next(struct reader *r, struct field *f)
{
    if (r->bad || r->at == r->end) return false;
    uint64_t key = varint(r);
    *f = (struct field){ .number = key >> 3, .wire = (int)(key & 7) };
    uint64_t n = 0;
    if (f->wire == 0) f->value = varint(r);
    else if (f->wire == 1) n = 8;
    else if (f->wire == 2) n = varint(r);
    else if (f->wire == 5) n = 4;
    else r->bad = true;
    if (!f->number || n > (uint64_t)(r->end - r->at)) r->bad = true;
    if (r->bad) return false;
    f->bytes = (m8__view){ (const char *)r->at, (size_t)n };
    if (f->wire == 5 || f->wire == 1) memcpy(&f->value, r->at, (size_t)n);
    r->at += n;
    return true;
}

static struct reader over(m8__view v) { return (struct reader){ (const uint8_t *)v.data, (const uint8_t *)v.data + v.len, false }; }

static m8_status read_piece(m8__tokenizer *t, size_t id, m8__view bytes, m8_error *err)
{
    struct reader r = over(bytes);
    struct field f;
    m8__view text = { "", 0 };
    float score = 0;
    uint64_t type = PIECE_NORMAL;
    while (next(&r, &f)) {
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) memcpy(&score, f.bytes.data, 4);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (r.bad) return m8_fail(err, M8_E_FORMAT, "token %zu is damaged", id);
    m8_status st = m8__vocab_set(t, id, text, type < 100 ? (int)type : -1, err);
    if (!st) t->v.score[id] = score;
    return st;
}

struct specs {
    uint64_t type;
    int32_t unk, bos, eos;
};

static m8_status read_trainer(m8__tokenizer *t, struct specs *s, m8__view bytes, m8_error *err)
{
    struct reader r = over(bytes);
    struct field f;
    while (next(&r, &f)) {
        if (f.wire) continue;
        if (f.number == 3) s->type = f.value;
        if (f.number == 35) t->spm->byte_fallback = f.value != 0;
        if (f.number == 40) s->unk = (int32_t)f.value;
        if (f.number == 41) s->bos = (int32_t)f.value;
        if (f.number == 42) s->eos = (int32_t)f.value;
    }
    return r.bad ? m8_fail(err, M8_E_FORMAT, "the trainer's settings are damaged") : M8_OK;
}

static m8_status read_normalizer(m8__tokenizer *t, m8__view bytes, m8_error *err)
{
    struct reader r = over(bytes);
    struct field f;
    bool escape = true;
    while (next(&r, &f)) {
        if (f.number == 2 && f.wire == 2) t->spm->charsmap = f.bytes;
        if (f.number == 3 && !f.wire) t->spm->dummy_prefix = f.value != 0;
        if (f.number == 4 && !f.wire) t->spm->strip = f.value != 0;
        if (f.number == 5 && !f.wire) escape = f.value != 0;
    }
    if (r.bad) return m8_fail(err, M8_E_FORMAT, "the normaliser's settings are damaged");
    return escape ? M8_OK : m8_fail(err, M8_E_UNSUPPORTED, "a model that leaves blanks as they are");
}

static int checked(const m8__tokenizer *t, int32_t id, int type) { return id >= 0 && id < t->v.n && t->v.type[id] == type ? id : -1; }

m8_status m8__spm_read(m8__tokenizer *t, const uint8_t *data, size_t n, m8_error *err)
{
    m8__view all = { (const char *)data, n };
    struct reader r = over(all);
    struct field f;
    struct specs s = { .type = 1, .unk = 0, .bos = 1, .eos = 2 };
    size_t pieces = 0, id = 0;
    while (next(&r, &f)) pieces += f.number == 1 && f.wire == 2;
    if (r.bad) return m8_fail(err, M8_E_FORMAT, "not a SentencePiece model, or damaged");
    m8_status st = m8__spm_new(t, err);
    if (!st) st = m8__vocab_init(t, pieces, err);
    if (!st) t->spm->strip = true; /* the default of the format */
    for (r = over(all); !st && next(&r, &f);) {
        if (f.wire != 2) continue;
        if (f.number == 1) st = read_piece(t, id++, f.bytes, err);
        if (f.number == 2) st = read_trainer(t, &s, f.bytes, err);
        if (f.number == 3) st = read_normalizer(t, f.bytes, err);
    }
    if (st) return st;
    if (s.type != 1 && s.type != 2) return m8_fail(err, M8_E_UNSUPPORTED, "a SentencePiece model of type %d", (int)s.type);
    t->spm->unigram = s.type == 1;
    st = m8__vocab_index(t, err);
    if (st) return st;
    t->unk = checked(t, s.unk, PIECE_UNKNOWN);
    t->bos = checked(t, s.bos, PIECE_CONTROL);
    t->eos = checked(t, s.eos, PIECE_CONTROL);
    return m8__spm_check(t, err);
}

bool m8__spm_is_model(const uint8_t *data, size_t n) { return n > 2 && data[0] == 0x0A && data[1] > 0; }
