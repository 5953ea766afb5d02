#!/usr/bin/env python3
"""Write a GGUF with the exact shape of Mistral-7B-Instruct-v0.3 and random weights, for timing only.

usage: mistral.py q4_0|q4_k OUT.gguf [n_layers=32]

Matrices are valid random blocks of the asked type, output.weight is q6_k (as llama.cpp's own quantiser does for either type), norms
are ones. The tokenizer is Mistral's own, tests/data/text/mistral.model. Needs numpy, sentencepiece, gguf 0.19.0; same seed, same bytes.
"""
import json
import os
import sys

import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Q, GGUFWriter, LlamaFileType

TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data", "text", "mistral.model")
D, FFN, HEADS, KV, HEAD, VOCAB = 4096, 14336, 32, 8, 128, 32768
TEMPLATE = ("{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
            "{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}"
            "{% elif m.role == 'user' %}[INST] {{ ns.system + m.content }}[/INST]{% set ns.system = '' %}"
            "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}")
BLOCK = {Q.Q4_0: (32, 18), Q.Q4_K: (256, 144), Q.Q6_K: (256, 210)}  # weights, bytes


def blocks(rng, kind, rows, cols):
    """Random blocks whose scales give weights of mean ~0 and deviation ~0.02."""
    per, size = BLOCK[kind]
    b = rng.integers(0, 256, (rows * cols // per, size), np.uint8, endpoint=False)
    half = lambda v: np.frombuffer(np.float16(v).tobytes(), np.uint8)
    if kind == Q.Q4_0:
        b[:, 0:2] = half(0.0043)
    elif kind == Q.Q4_K:  # d * scale * q - dmin * min, 6-bit scale and min
        b[:, 0:2], b[:, 2:4] = half(1e-4), half(7.5e-4)
    else:                 # d * int8 scale * (6-bit q - 32)
        b[:, 208:210] = half(1.5e-5)
    return b.reshape(rows, cols // per * size)


def main(kind, out, layers=32):
    kind = {"q4_0": Q.Q4_0, "q4_k": Q.Q4_K}[kind]
    g = GGUFWriter(out, "llama")
    g.add_name("Mistral-7B-shape (random weights)")
    g.add_vocab_size(VOCAB), g.add_context_length(32768), g.add_embedding_length(D), g.add_block_count(layers)
    g.add_feed_forward_length(FFN), g.add_head_count(HEADS), g.add_head_count_kv(KV)
    g.add_rope_dimension_count(HEAD), g.add_rope_freq_base(1e6), g.add_layer_norm_rms_eps(1e-5)
    g.add_file_type(LlamaFileType.MOSTLY_Q4_0 if kind == Q.Q4_0 else LlamaFileType.MOSTLY_Q4_K_S)

    sp = sentencepiece.SentencePieceProcessor(model_file=TOKENIZER)
    ids = range(sp.vocab_size())
    kinds = [2 if sp.IsUnknown(i) else 3 if sp.IsControl(i) else 6 if sp.IsByte(i) else 1 for i in ids]
    g.add_tokenizer_model("llama"), g.add_tokenizer_pre("default")
    g.add_token_list([sp.IdToPiece(i).encode() for i in ids])
    g.add_token_scores([sp.GetScore(i) for i in ids]), g.add_token_types(kinds)
    g.add_bos_token_id(sp.bos_id()), g.add_eos_token_id(sp.eos_id()), g.add_unk_token_id(sp.unk_id())
    g.add_add_bos_token(True), g.add_add_eos_token(False), g.add_chat_template(TEMPLATE)

    plan = [("token_embd.weight", kind, VOCAB, D)]
    for i in range(layers):
        p = f"blk.{i}."
        plan += [(p + "attn_norm.weight", None, D, 0), (p + "attn_q.weight", kind, HEADS * HEAD, D),
                 (p + "attn_k.weight", kind, KV * HEAD, D), (p + "attn_v.weight", kind, KV * HEAD, D),
                 (p + "attn_output.weight", kind, D, HEADS * HEAD), (p + "ffn_norm.weight", None, D, 0),
                 (p + "ffn_gate.weight", kind, FFN, D), (p + "ffn_up.weight", kind, FFN, D),
                 (p + "ffn_down.weight", kind, D, FFN)]
    plan += [("output_norm.weight", None, D, 0), ("output.weight", Q.Q6_K, VOCAB, D)]
    total = 0
    for name, q, rows, cols in plan:
        if q is None:
            g.add_tensor_info(name, (rows,), np.dtype(np.float32), 4 * rows)
            total += 4 * rows
        else:
            per, size = BLOCK[q]
            width = cols // per * size
            g.add_tensor_info(name, (rows, width), np.dtype(np.uint8), rows * width, raw_dtype=q)
            total += rows * width
    g.write_header_to_file(), g.write_kv_data_to_file(), g.write_ti_data_to_file()
    rng = np.random.default_rng(8)
    for name, q, rows, cols in plan:
        g.write_tensor_data(np.ones(rows, np.float32) if q is None else blocks(rng, q, rows, cols))
    g.close()
    print(json.dumps({"what": "mistral shape", "type": kind.name, "layers": layers, "tensor_bytes": total,
                      "decode_bytes_per_token": total - plan[0][2] * D // BLOCK[kind][0] * BLOCK[kind][1]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 32)
