#!/usr/bin/env python3
"""Copy the tensors whose names begin with PREFIX: pick_tensors.py FROM.safetensors TO.safetensors PREFIX (standard library only).

tests/data/smollm2/rows.safetensors is smollm2's expected.safetensors with prefix "row.": the first two rows of a tensor of each type,
raw and as gguf-py 0.19.0 dequantises them.
"""
import json
import struct
import sys

source, target, prefix = sys.argv[1:]
whole = open(source, "rb").read()
n = struct.unpack("<Q", whole[:8])[0]
head, data = {}, b""
for name, info in json.loads(whole[8:8 + n]).items():
    if name.startswith(prefix):
        begin, end = info["data_offsets"]
        head[name] = dict(info, data_offsets=[len(data), len(data) + end - begin])
        data += whole[8 + n + begin:8 + n + end]
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
open(target, "wb").write(struct.pack("<Q", len(text)) + text + data)
