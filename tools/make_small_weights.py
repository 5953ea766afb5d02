#!/usr/bin/env python3
"""Small valid files of every weights format, made by hand from the formats' descriptions (standard library only).

    python3 tools/make_small_weights.py      writes tests/data/weights/ and the seeds tests/fuzz/corpus/weights/
"""
import json
import os
import struct

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")


def write(path, data):
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


# ---- GGUF ----

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACK = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", I64: "<q", F64: "<d"}


def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


def value(kind, v):
    return text(v) if kind == STRING else struct.pack(PACK[kind], v)


def key(name, kind, v, element=None):
    out = text(name) + struct.pack("<I", kind)
    if kind == ARRAY:
        return out + struct.pack("<IQ", element, len(v)) + b"".join(value(element, x) for x in v)
    return out + value(kind, v)


def gguf(keys, tensors, align=32):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys)
    data = b""
    for name, ne, kind, raw in tensors:
        data += bytes(-len(data) % align)
        head += text(name) + struct.pack("<I", len(ne)) + struct.pack("<%dQ" % len(ne), *ne) + struct.pack("<IQ", kind, len(data))
        data += raw
    return head + bytes(-len(head) % align) + data


KEYS = [
    key("general.architecture", STRING, "llama"), key("llama.block_count", U32, 1), key("k.u8", U8, 200), key("k.i8", I8, -3),
    key("k.u16", U16, 65535), key("k.i16", I16, -300), key("k.i32", I32, -70000), key("k.f32", F32, 0.5), key("k.f32.whole", F32, 8.0),
    key("k.bool", BOOL, True), key("k.u64", U64, 2**63 + 1), key("k.i64", I64, -2**40), key("k.f64", F64, 1e300),
    key("tokenizer.ggml.tokens", ARRAY, ["a", "", "\u0120caf\u00e9"], STRING), key("tokenizer.ggml.scores", ARRAY, [0.5, -1.0, 2.0], F32),
    key("tokenizer.ggml.token_type", ARRAY, [1, 3, -1], I32), key("k.empty", ARRAY, [], STRING),
]
Q8 = struct.pack("<e", 0.5) + bytes(range(32))
TENSORS = [("token_embd.weight", [32, 2], 8, Q8 * 2), ("norm.weight", [3], 0, struct.pack("<3f", 1, 2, 3)), ("half", [2, 1, 3], 1, bytes(12))]

# ---- safetensors ----


def safetensors(tensors, pad=True):
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape, raw in tensors:
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(head, separators=(",", ":")).encode()
    if pad:
        head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


A = ("a.weight", "F32", [2, 3], struct.pack("<6f", 1, 2, 3, 4, 5, 6))
B = ("b.weight", "BF16", [2], bytes([0x80, 0x3F, 0, 0x40]))
C = ("c", "I64", [], struct.pack("<q", -7))

# ---- CTranslate2 ----


def name16(s):
    s = s.encode() + b"\0"
    return struct.pack("<H", len(s)) + s


def ct2(variables, aliases):
    out = struct.pack("<I", 6) + name16("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, dims, kind, raw in variables:
        out += name16(name) + struct.pack("<B%dI" % len(dims), len(dims), *dims) + struct.pack("<BI", kind, len(raw)) + raw
    out += struct.pack("<I", len(aliases))
    return out + b"".join(name16(a) + name16(b) for a, b in aliases)


# ---- ONNX ----


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, v):
    if isinstance(v, int):
        return varint(number << 3) + varint(v)
    v = v.encode() if isinstance(v, str) else v
    return varint(number << 3 | 2) + varint(len(v)) + v


def tensor(name, dims, kind, values, packed_dims=False):
    out = field(1, b"".join(varint(d) for d in dims)) if packed_dims else b"".join(field(1, d) for d in dims)
    return out + field(2, kind) + field(8, name) + values


def node(op, name, inputs):
    return b"".join(field(1, i) for i in inputs) + field(2, name + "_output_0") + field(3, name) + field(4, op)


def onnx(nodes, initializers):
    graph = b"".join(field(1, n) for n in nodes) + field(2, "torch_jit") + b"".join(field(5, i) for i in initializers)
    return field(1, 8) + field(2, "pytorch") + field(7, graph) + field(8, field(2, 15))


F2 = struct.pack("<2f", 0.25, -2)
NODES = [node("Gather", "/enc_p/emb/Gather", ["sid", "input"]), node("Conv", "/flow/flows.6/enc/in_layers.0/Conv", ["x", "onnx::Conv_12", "b"]),
         node("Conv", "/dec/conv_pre/Conv", ["z", "dec.conv_pre.weight"])]
INITIALIZERS = [
    tensor("sid", [1, 2], 1, field(9, F2)), tensor("onnx::Conv_12", [2, 1, 1], 1, field(4, F2), packed_dims=True),
    tensor("dec.conv_pre.weight", [2], 1, b"".join(varint(4 << 3 | 5) + struct.pack("<f", v) for v in (0.25, -2))),
    tensor("/Constant_output_0", [], 7, field(9, struct.pack("<q", -1))), tensor("roi", [0], 1, b""), tensor("shape", [2], 7, field(7, b"\1\2")),
]


def main():
    write("data/weights/small.gguf", gguf(KEYS, TENSORS))
    write("data/weights/small.onnx", onnx(NODES, INITIALIZERS))
    write("data/weights/small.onnx.json", b'{"audio": {"sample_rate": 22050}}\n')
    write("data/weights/ct2/model.bin", ct2([("w", [2, 2], 4, bytes([0, 0x3C, 0, 0x40, 0, 0xC0, 1, 0])), ("scalar", [], 1, b"\3"),
                                             ("heads", [], 2, b"\6\0")], [("out/w", "w")]))
    sharded = "data/weights/sharded/"
    write(sharded + "model-00001-of-00002.safetensors", safetensors([A]))
    write(sharded + "model-00002-of-00002.safetensors", safetensors([B, C]))
    files = {"a.weight": "model-00001-of-00002.safetensors", "b.weight": "model-00002-of-00002.safetensors",
             "c": "model-00002-of-00002.safetensors"}
    index = {"metadata": {"total_size": 36}, "weight_map": files}
    write(sharded + "model.safetensors.index.json", json.dumps(index, indent=2).encode() + b"\n")
    write(sharded + "config.json", b'{"model_type": "llama"}\n')

    for name, data in {
        "gguf-keys": gguf(KEYS, TENSORS), "gguf-alone": gguf([], TENSORS[1:2]), "gguf-align": gguf([key("general.alignment", U32, 8)], TENSORS, 8),
        "gguf-vocabulary": gguf(KEYS, []),
        "gguf-config": gguf([key("magic8.config", STRING, '{"model_type": "parler_tts"}'), key("magic8.tokenizer", ARRAY, [123, 125], U8)], TENSORS[1:2]),
        "gguf-part": gguf([key("split.no", U16, 0), key("split.count", U16, 2)], TENSORS[1:2]),
        "safetensors-three": safetensors([A, B, C]), "safetensors-unaligned": safetensors([C, A], pad=False),
        "ct2-small": ct2([("w", [2, 2], 4, bytes(8)), ("s", [], 1, b"\3"), ("v", [1, 1, 1, 2], 3, bytes(8))], [("x", "w"), ("y", "w")]),
        "ct2-empty": ct2([], []), "onnx-voice": onnx(NODES, INITIALIZERS), "onnx-bare": onnx([], INITIALIZERS[:1]),
    }.items():
        write("fuzz/corpus/weights/" + name, data)


main()
