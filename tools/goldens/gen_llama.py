"""mistral-tiny: Mistral's architecture, heads wider than hidden / heads, BF16, two shards; llama-tiny's kin in other sizes.

    GOLDENS_OUT=DIR python gen_llama.py [NAME...]      NAME of VARIANTS; without: what tests/data has

Made with Python 3.11, torch 2.5.1, transformers 4.46.1. Everything is computed in float32 from the rounded weights. The whole model is
never cast: model.to(bfloat16) would round the rotary frequencies, too, which no engine of its own does. What comes of such a cast is
mistral-tiny/rounded.safetensors: `magic8 verify` is to notice it.
"""
import json
import os
import sys

import torch

from common import out, randomise, save_json, save_npz

torch.manual_seed(0)
torch.set_num_threads(2)

MISTRAL = dict(kind="Mistral", seed=41, vocab=4096, d=64, ffn=160, layers=3, heads=4, kv=2, dh=32, theta=1e6, tied=False, bf16=True,
               shard="700KB", eps=1e-5)
VARIANTS = {
    "mistral-tiny": MISTRAL,
    # Llama 3.1's scaled positions, with an original context that 55 positions leave on either side
    "llama31-tiny": MISTRAL | dict(kind="Llama", seed=38, vocab=400, d=48, heads=3, kv=1, dh=None, ffn=96, layers=2, theta=500.0, tied=True, shard="9GB",
                                   rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                                 "original_max_position_embeddings": 64}),
    # never stored: other sizes and seeds
    "mistral-wide": MISTRAL | dict(seed=33, d=96, heads=3, kv=1, dh=16, ffn=100, layers=2, vocab=32768, shard="5MB"),
    "mistral-tied": MISTRAL | dict(seed=51, d=80, heads=5, kv=5, dh=8, ffn=72, layers=5, theta=1e4, tied=True, bf16=False, shard="9GB"),
    "llama-grouped": MISTRAL | dict(kind="Llama", seed=35, d=72, heads=6, kv=2, dh=None, ffn=144, theta=5e5, bf16=False, vocab=700, shard="200KB", eps=1e-6),
}


def model(v):
    import transformers

    cfg = getattr(transformers, v["kind"] + "Config")(
        vocab_size=v["vocab"], hidden_size=v["d"], intermediate_size=v["ffn"], num_hidden_layers=v["layers"], num_attention_heads=v["heads"],
        num_key_value_heads=v["kv"], rms_norm_eps=v["eps"], rope_theta=v["theta"], max_position_embeddings=32768, tie_word_embeddings=v["tied"],
        bos_token_id=1, eos_token_id=2, hidden_act="silu", **({"rope_scaling": v["rope_scaling"]} if "rope_scaling" in v else {}), torch_dtype="bfloat16" if v["bf16"] else "float32",
        **({"head_dim": v["dh"]} if v["dh"] else {}), **({"sliding_window": None} if v["kind"] == "Mistral" else {}))
    m = getattr(transformers, v["kind"] + "ForCausalLM")(cfg).eval()
    randomise(m, v["seed"], std=None)
    with torch.no_grad():
        m.model.embed_tokens.weight.mul_(v["d"] ** 0.5 * 0.5)
        if not v["tied"]:
            m.lm_head.weight.mul_(3.0)
        for l in m.model.layers:
            l.self_attn.q_proj.weight.mul_(2.0)
            l.self_attn.o_proj.weight.mul_(2.0)
            l.mlp.down_proj.weight.mul_(2.0)
        if v["bf16"]:
            for p in m.parameters():
                p.copy_(p.to(torch.bfloat16).float())
    return m


def goldens(folder, v, n_prompt=55, n=32):
    m = model(v)
    state = {k: x.to(torch.bfloat16) if v["bf16"] else x for k, x in m.state_dict().items() if not (v["tied"] and k == "lm_head.weight")}
    m.save_pretrained(out(folder), state_dict=state, max_shard_size=v["shard"])
    if v["bf16"]:
        cfg = json.load(open(out(folder, "config.json")))
        save_json(out(folder, "config.json"), cfg | {"torch_dtype": "bfloat16"})
    g = torch.Generator().manual_seed(v["seed"])
    ids = torch.tensor([[1] + torch.randint(3, v["vocab"], (n_prompt - 1,), generator=g).tolist()])
    with torch.no_grad():
        o = m(ids, output_hidden_states=True, use_cache=False)
        t = {"prompt": ids[0]} | {f"hidden.{i}": h[0] for i, h in enumerate(o.hidden_states)}  # the last after the final norm
        t["logits.last"], t["logits.argmax"] = o.logits[0, -1], o.logits[0].argmax(-1)
        r = m.generate(ids, do_sample=False, max_new_tokens=n, min_new_tokens=n, output_logits=True, return_dict_in_generate=True,
                       eos_token_id=None, pad_token_id=0)
        t["greedy"] = r.sequences[0, ids.shape[1]:]
        t["greedy.margin"] = torch.stack(r.logits)[:, 0].topk(2, -1).values.diff(dim=-1).abs()[:, 0]
        top = o.logits[0].topk(2, -1).values.diff(dim=-1).abs().min()
        if folder == "mistral-tiny":
            o = m.to(torch.bfloat16).float()(ids, output_hidden_states=True, use_cache=False)
            save_npz(out(folder, "rounded.safetensors"),
                     {"prompt": ids[0], "logits.last": o.logits[0, -1]} | {f"hidden.{i}": h[0] for i, h in enumerate(o.hidden_states)})
    print(folder, t["greedy"].tolist()[:16], "smallest margins", float(t["greedy.margin"].min()), float(top))
    assert min(float(t["greedy.margin"].min()), float(top)) > 1e-3
    save_npz(out(folder, "expected.safetensors"), t)
    for name in os.listdir(out(folder)):
        os.chmod(out(folder, name), 0o644)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["mistral-tiny", "llama31-tiny"]:
        goldens(name, VARIANTS[name])
