#!/usr/bin/env python3
"""Write a model directory with the exact shapes of Parler-TTS mini v0.1 and random weights, for timing.

usage: parler.py OUT [--bf16] [--shards N] [--layers 24] [--seed 8]

T5 as flan-t5-base, decoder 24 x 1024, codec as DAC 44.1 kHz with its encoder, names as the published file has them; 646 M
parameters, 2.6 GB in F32. Deviations are chosen so that what flows through the layers keeps its size: the layers' matrices
have 0.6 / sqrt(fan), logits one of 2 to 3 (the first choice has some tenths of the probability), samples one of about 0.25,
and no id above 1023 ever wins, so a run ends at its greatest length only. The tokenizer is the small one of tests/data/text: its ids are below 32128. numpy only; the
same seed gives the same bytes.
"""
import argparse
import json
import os
import shutil

import numpy as np

D, LAYERS, FFN, VOCAB, CODEBOOKS, POSITIONS, TEXT = 1024, 24, 4096, 1088, 9, 4096, 32128
T5_D, T5_LAYERS, T5_FFN, T5_HEADS, T5_DH = 768, 12, 2048, 12, 64
LATENT, WIDE, NARROW, UP = 1024, 1536, 64, (8, 8, 4, 2)
GAIN, UNEVEN = 0.6, 0.45  # of the decoder's layers; how unlike the sizes of the heads' rows are (log-normal)
TINY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data")


class Plan:
    """Names, shapes and how each is filled, in the order they are written."""

    def __init__(self):
        self.rows = []

    def normal(self, name, shape, deviation):
        self.rows.append((name, shape, lambda g: g.standard_normal(shape, np.float32) * np.float32(deviation)))

    def matrix(self, name, out, inp, gain=1.0):
        self.normal(name, (out, inp), gain * inp**-0.5)

    def near(self, name, shape, centre, spread):
        self.rows.append((name, shape, lambda g: centre + g.standard_normal(shape, np.float32) * np.float32(spread)))

    def fixed(self, name, shape, make):
        self.rows.append((name, shape, lambda g: make().astype(np.float32)))


def sinusoid():
    """cos first, then sin, as Parler's own."""
    half = D // 2
    a = np.arange(POSITIONS)[:, None] * np.exp(np.arange(half) * -(np.log(10000) / (half - 1)))[None]
    return np.concatenate([np.cos(a), np.sin(a)], 1)


def heads(g):
    """Some codes are liked more than others, as trained models do; EOS, BOS and what follows have logits, but small ones."""
    w = g.standard_normal((VOCAB, D), np.float32) * np.float32(2 * D**-0.5)
    w *= np.exp(UNEVEN * g.standard_normal((VOCAB, 1), np.float32))
    w[1024:] *= 0.05
    return w


def t5(p, pre):
    p.normal(pre + "shared.weight", (TEXT, T5_D), 1)
    for i in range(T5_LAYERS):
        at, ff = f"{pre}encoder.block.{i}.layer.0.", f"{pre}encoder.block.{i}.layer.1."
        p.near(at + "layer_norm.weight", (T5_D,), 1, 0.1)
        for m, gain in (("q", 0.25), ("k", 1), ("v", 1)):  # nothing divides these scores by sqrt(64)
            p.matrix(f"{at}SelfAttention.{m}.weight", T5_HEADS * T5_DH, T5_D, gain)
        p.matrix(at + "SelfAttention.o.weight", T5_D, T5_HEADS * T5_DH)
        if i == 0:
            p.normal(at + "SelfAttention.relative_attention_bias.weight", (32, T5_HEADS), 1)
        p.near(ff + "layer_norm.weight", (T5_D,), 1, 0.1)
        p.matrix(ff + "DenseReluDense.wi_0.weight", T5_FFN, T5_D)
        p.matrix(ff + "DenseReluDense.wi_1.weight", T5_FFN, T5_D)
        p.matrix(ff + "DenseReluDense.wo.weight", T5_D, T5_FFN)
    p.near(pre + "encoder.final_layer_norm.weight", (T5_D,), 1, 0.1)


def norm(p, name):
    p.near(name + ".weight", (D,), 1, 0.1)
    p.near(name + ".bias", (D,), 0, 0.05)


def decoder(p, pre, layers):
    for k in range(CODEBOOKS):
        p.normal(f"{pre}model.decoder.embed_tokens.{k}.weight", (VOCAB + 1, D), 0.3)
    p.fixed(pre + "model.decoder.embed_positions.weights", (POSITIONS, D), sinusoid)
    for i in range(layers):
        q = f"{pre}model.decoder.layers.{i}."
        for a in ("self_attn", "encoder_attn"):
            for m in ("q", "k", "v", "out"):
                p.matrix(f"{q}{a}.{m}_proj.weight", D, D, GAIN)
            norm(p, f"{q}{a}_layer_norm")
        p.matrix(q + "fc1.weight", FFN, D, GAIN)
        p.matrix(q + "fc2.weight", D, FFN, GAIN)
        norm(p, q + "final_layer_norm")
    norm(p, pre + "model.decoder.layer_norm")
    for k in range(CODEBOOKS):
        p.rows.append((f"{pre}lm_heads.{k}.weight", (VOCAB, D), heads))


def conv(p, name, first, second, k, g):
    p.near(name + ".bias", (first,), 0, 0.03)
    p.near(name + ".weight_g", (first, 1, 1), g, 0.1 * g)
    p.normal(name + ".weight_v", (first, second, k), 0.3)


def snake(p, name, c):
    p.rows.append((name, (1, c, 1), lambda g: (0.3 + 1.5 * g.random((1, c, 1), np.float32))))


def unit(p, name, c):
    snake(p, name + ".block.0.alpha", c)
    conv(p, name + ".block.1", c, c, 7, 0.8)
    snake(p, name + ".block.2.alpha", c)
    conv(p, name + ".block.3", c, c, 1, 0.3)


def codec(p, pre):
    c = NARROW
    conv(p, pre + "encoder.block.0", c, 1, 7, 0.8)
    for i, s in enumerate(reversed(UP)):
        b = f"{pre}encoder.block.{i + 1}.block."
        for j in range(3):
            unit(p, b + str(j), c)
        snake(p, b + "3.alpha", c)
        conv(p, b + "4", 2 * c, c, 2 * s, 0.8)
        c *= 2
    snake(p, pre + "encoder.block.5.alpha", c)
    conv(p, pre + "encoder.block.6", LATENT, c, 3, 0.8)
    for k in range(CODEBOOKS):
        q = f"{pre}quantizer.quantizers.{k}."
        conv(p, q + "in_proj", 8, LATENT, 1, 0.3)
        conv(p, q + "out_proj", LATENT, 8, 1, CODEBOOKS**-0.5)
        p.normal(q + "codebook.weight", (1024, 8), 1)
    c = WIDE
    conv(p, pre + "decoder.model.0", c, LATENT, 7, 0.8)
    for i, s in enumerate(UP):
        b = f"{pre}decoder.model.{i + 1}.block."
        snake(p, b + "0.alpha", c)
        p.near(b + "1.bias", (c // 2,), 0, 0.03)
        p.near(b + "1.weight_g", (c, 1, 1), (s / 2 / 1.4) ** 0.5, 0.05)  # two taps of 2 s meet in an output
        p.normal(b + "1.weight_v", (c, c // 2, 2 * s), 0.3)
        c //= 2
        for j in range(3):
            unit(p, b + str(2 + j), c)
    snake(p, pre + "decoder.model.5.alpha", c)
    conv(p, pre + "decoder.model.6", 1, c, 7, 0.2)


def to_bf16(x):
    """To nearest, ties to even."""
    u = np.ascontiguousarray(x).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def write(path, rows, bf16, rng):
    size, at, head = 2 if bf16 else 4, 0, {"__metadata__": {"format": "pt"}}
    for name, shape, _ in rows:
        n = size * int(np.prod(shape))
        head[name] = {"dtype": "BF16" if bf16 else "F32", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, _, make in rows:
            x = np.ascontiguousarray(make(rng), np.float32)
            f.write((to_bf16(x) if bf16 else x).data)
    return at


def configuration(layers):
    """The published file's keys: what configurations of that age lack is lacking here too."""
    c = json.load(open(os.path.join(TINY, "parler-tiny", "config.json")))
    c["vocab_size"] = TEXT
    c["text_encoder"] |= {"vocab_size": TEXT, "d_model": T5_D, "d_kv": T5_DH, "d_ff": T5_FFN, "num_layers": T5_LAYERS, "num_heads": T5_HEADS,
                          "num_decoder_layers": T5_LAYERS}
    c["decoder"] |= {"hidden_size": D, "num_hidden_layers": layers, "ffn_dim": FFN, "num_attention_heads": D // 64,
                     "max_position_embeddings": POSITIONS}
    c["audio_encoder"] |= {"latent_dim": LATENT}
    return c


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out"), a.add_argument("--bf16", action="store_true")
    for name, default in (("--shards", 1), ("--layers", LAYERS), ("--seed", 8)):
        a.add_argument(name, type=int, default=default)
    a = a.parse_args()
    p = Plan()
    t5(p, "text_encoder.")
    codec(p, "audio_encoder.model.")
    decoder(p, "decoder.", a.layers)
    p.normal("embed_prompts.weight", (TEXT, D), 1)
    p.matrix("enc_to_dec_proj.weight", D, T5_D)
    p.near("enc_to_dec_proj.bias", (D,), 0, 0.05)
    os.makedirs(a.out, exist_ok=True)
    rng, total, where = np.random.default_rng(a.seed), 0, {}
    for i in range(a.shards):
        name = "model.safetensors" if a.shards == 1 else f"model-{i + 1:05}-of-{a.shards:05}.safetensors"
        rows = p.rows[len(p.rows) * i // a.shards:len(p.rows) * (i + 1) // a.shards]
        total += write(os.path.join(a.out, name), rows, a.bf16, rng)
        where |= {r[0]: name for r in rows}
    if a.shards > 1:
        with open(os.path.join(a.out, "model.safetensors.index.json"), "w") as f:
            json.dump({"metadata": {"total_size": total}, "weight_map": where}, f, indent=1)
    for name, value in (("config.json", configuration(a.layers)),
                        ("generation_config.json", json.load(open(os.path.join(TINY, "parler-tiny", "generation_config.json"))))):
        with open(os.path.join(a.out, name), "w") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
    shutil.copyfile(os.path.join(TINY, "text", "t5-tokenizer.json"), os.path.join(a.out, "tokenizer.json"))
    print(json.dumps({"what": "parler shape", "parameters": sum(int(np.prod(r[1])) for r in p.rows), "tensor_bytes": total}))


if __name__ == "__main__":
    main()
