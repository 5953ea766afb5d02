/* ONNX as exported from Piper's VITS: the initializers, under the names VITS gave them. The graph itself is not run.
 *
 * ModelProto 7 graph, 8 opset_import; GraphProto 1 node, 5 initializer; TensorProto 1 dims, 2 data_type, 4 float_data, 8 name, 9 raw_data,
 * 14 data_location; NodeProto 1 input, 3 name, 4 op_type.
 *
 * Two traps. The exporter folds weight normalisation, and the folded weights lose their names (onnx::Conv_8168; the number differs
 * from voice to voice): the node that uses such a weight as its second input still has one, "/flow/flows.6/enc/in_layers.0/Conv",
 * which makes it "flow.flows.6.enc.in_layers.0.weight". And in voices of a single speaker the phoneme embedding is called "sid":
 * it is the first input of the node "/enc_p/emb/Gather", which makes it "enc_p.emb.weight". */
#include <string.h>

#include "weights/reader.h"

/* One field of a protobuf message: a number, or a run of bytes. */
struct field {
    uint64_t id, number;
    int wire; /* 0 varint, 1 eight bytes, 2 a run of bytes, 5 four bytes */
    cursor bytes;
};

static uint64_t varint(cursor *c)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = m8__u8(c);
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128) return v;
    }
    c->ok = false;
    return 0;
}

/* false: the message ends, or is damaged (then c->ok is false). */
static bool next(cursor *c, struct field *f)
{
    if (!c->ok || !c->left) return false;
    uint64_t key = varint(c), n = 0;
    f->id = key >> 3;
    f->wire = (int)(key & 7);
    f->number = 0;
    switch (f->wire) {
    case 0: f->number = varint(c); break;
    case 1: n = 8; break;
    case 2: n = varint(c); break;
    case 5: n = 4; break;
    default: c->ok = false; /* groups are long gone */
    }
    if (!f->id) c->ok = false;
    const uint8_t *at = c->ok ? m8__take(c, n) : NULL;
    f->bytes = cursor_on(at, at ? n : 0);
    return c->ok;
}

static m8__view text_of(const struct field *f)
{
    return (m8__view){ (const char *)f->bytes.at, f->bytes.left };
}

static bool is_text(m8__view v, const char *s)
{
    return v.len == strlen(s) && !memcmp(v.data, s, v.len);
}

struct initializer {
    m8__view name;
    uint64_t dims[4], n_dims, type, location;
    cursor values;     /* raw_data or packed float_data: as they lie in the file */
    int n_runs;        /* how many of these there were */
    uint64_t n_floats; /* float_data that is not packed: each value has a tag of its own */
    bool floats;       /* values are float_data */
    bool varints;      /* values are numbers of varying length */
    bool bad;
};

static void add_dim(struct initializer *t, uint64_t d)
{
    if (t->n_dims < 4) t->dims[t->n_dims] = d;
    t->n_dims++;
}

static void read_dims(struct initializer *t, struct field *f)
{
    if (f->wire == 0) add_dim(t, f->number);
    while (f->bytes.left && f->bytes.ok) add_dim(t, varint(&f->bytes));
    if (!f->bytes.ok) t->bad = true;
}

static void read_initializer(struct initializer *t, cursor c)
{
    struct field f;
    while (next(&c, &f)) {
        switch (f.id) {
        case 1: read_dims(t, &f); break;
        case 2: t->type = f.number; break;
        case 4:
            t->floats = true;
            if (f.wire != 2) {
                t->n_floats++;
                break;
            }
            /* fall through */
        case 9:
            t->values = f.bytes;
            t->n_runs++;
            break;
        case 5:
        case 7:
        case 10:
        case 11: t->varints = true; break;
        case 8: t->name = text_of(&f); break;
        case 14: t->location = f.number; break;
        }
    }
    if (!c.ok) t->bad = true;
}

/* float_data value by value: collected in w->names. */
static m8_status collect(m8__weights *w, struct initializer *t, cursor c, m8_error *err)
{
    uint8_t *to = m8_arena_raw(w->names, t->n_floats * 4);
    if (!to) return m8_fail(err, M8_E_NOMEM, "out of memory for a tensor's values");
    t->values = cursor_on(to, 0);
    struct field f;
    while (next(&c, &f)) {
        if (f.id != 4 || f.wire != 5) continue;
        memcpy(to + t->values.left, f.bytes.at, 4);
        t->values.left += 4;
    }
    return M8_OK;
}

static m8_status add_initializer(m8__weights *w, cursor c, m8_error *err)
{
    static const struct {
        uint64_t id;
        m8__dtype type;
    } TYPES[] = { { 1, DT_F32 }, { 2, DT_U8 }, { 3, DT_I8 },   { 5, DT_I16 },  { 6, DT_I32 },
                  { 7, DT_I64 }, { 9, DT_U8 }, { 10, DT_F16 }, { 11, DT_F64 }, { 16, DT_BF16 } };
    struct initializer t = { 0 };
    read_initializer(&t, c);
    if (t.bad) return m8_fail(err, M8_E_FORMAT, "initializer %zu is damaged", w->n);
    if (!m8__name_ok(t.name.data, t.name.len))
        return m8_fail(err, M8_E_FORMAT, "initializer %zu: its name is empty, too long or not plain UTF-8", w->n);
    int shown = shown_length(t.name);
    if (t.location) return m8_fail(err, M8_E_UNSUPPORTED, "%.*s: its data lie in another file", shown, t.name.data);
    for (uint64_t i = 0; i < t.n_dims && i < 4; i++)
        if (!t.dims[i]) return M8_OK; /* exporters leave empty tensors for "not given" */
    if (t.varints) return M8_OK; /* constants of the graph, such as shapes: no weights */
    size_t type = 0, n_types = sizeof TYPES / sizeof *TYPES;
    while (type < n_types && TYPES[type].id != t.type) type++;
    if (type == n_types)
        return m8_fail(err, M8_E_UNSUPPORTED, "%.*s: element type %llu", shown, t.name.data,
                       (unsigned long long)t.type);
    if (t.n_runs + (t.n_floats != 0) > 1 || (t.floats && TYPES[type].type != DT_F32))
        return m8_fail(err, M8_E_FORMAT, "%.*s: its values are given twice, or as floats of another type", shown,
                       t.name.data);
    m8_status st = t.n_floats ? collect(w, &t, c, err) : M8_OK;
    if (st) return st;
    return m8__add_tensor(w, t.name, TYPES[type].type, t.n_dims, t.dims, t.values.at, t.values.left, false, err);
}

/* "/flow/flows.6/enc/in_layers.0/Conv" -> "flow.flows.6.enc.in_layers.0.weight"; NULL: no memory. */
static char *vits_name(m8__weights *w, m8__view node)
{
    size_t n = node.len;
    while (n && node.data[n - 1] != '/') n--; /* up to and with the last slash */
    char name[MAX_NAME + 8];
    size_t len = 0;
    for (size_t i = 1; i < n; i++) name[len++] = node.data[i] == '/' ? '.' : node.data[i];
    memcpy(name + len, "weight", 6);
    return m8_arena_strndup(w->names, name, len + 6);
}

/* Give the weight that this node uses its own name back. */
static m8_status name_weight(m8__weights *w, cursor c, m8_error *err)
{
    m8__view input[2] = { 0 }, name = { 0 }, op = { 0 };
    int n_inputs = 0;
    struct field f;
    while (next(&c, &f)) {
        if (f.wire != 2) continue;
        if (f.id == 1 && n_inputs < 2) input[n_inputs++] = text_of(&f);
        else if (f.id == 3) name = text_of(&f);
        else if (f.id == 4) op = text_of(&f);
    }
    if (!c.ok) return m8_fail(err, M8_E_FORMAT, "a node is damaged");
    bool embedding = is_text(name, "/enc_p/emb/Gather");
    bool conv = is_text(op, "Conv") || is_text(op, "ConvTranspose");
    m8__view lost = input[embedding ? 0 : 1];
    if (!embedding && (!conv || lost.len < 6 || memcmp(lost.data, "onnx::", 6))) return M8_OK;
    if (!m8__name_ok(name.data, name.len) || name.data[0] != '/' || !m8__name_ok(lost.data, lost.len)) return M8_OK;
    char key[MAX_NAME + 1];
    memcpy(key, lost.data, lost.len);
    key[lost.len] = 0;
    const m8__tensor *t = m8__weights_find(w, key);
    if (!t) return M8_OK;
    char *found = vits_name(w, name);
    if (!found) return m8_fail(err, M8_E_NOMEM, "out of memory for a name");
    w->tensors[t - w->tensors].name = found;
    return M8_OK;
}

m8_status m8__read_onnx(m8__weights *w, cursor c, m8_error *err)
{
    struct field f;
    cursor graph = { 0 };
    bool has_opset = false; /* every model states it, exporters behind the graph: without it the file was cut */
    while (next(&c, &f)) {
        if (f.id == 7 && f.wire == 2) graph = f.bytes;
        if (f.id == 8 && f.wire == 2) has_opset = true;
    }
    if (!c.ok || !graph.at || !has_opset) return m8_fail(err, M8_E_FORMAT, "not an ONNX model, or cut short");

    m8_status st = M8_OK;
    cursor at = graph;
    while (!st && next(&at, &f))
        if (f.id == 5 && f.wire == 2) st = add_initializer(w, f.bytes, err);
    if (!st && !at.ok) st = m8_fail(err, M8_E_FORMAT, "the graph is damaged");
    if (!st) st = m8__index(w, err);
    for (at = graph; !st && next(&at, &f);)
        if (f.id == 1 && f.wire == 2) st = name_weight(w, f.bytes, err);
    if (!st) st = m8__index(w, err); /* under the new names */
    return st;
}
