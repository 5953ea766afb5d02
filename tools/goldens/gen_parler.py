"""parler-tiny (v0.1's layout: sinusoidal positions, the prompt prepended) and parler-tiny-rope (the newer one: rope, the prompt in
cross-attention, grouped and fused heads; other sizes, five codebooks, two shards).

    GOLDENS_OUT=DIR python gen_parler.py [NAME...]      NAME of VARIANTS; without: the two that tests/data has

Made with Python 3.11, torch 2.5.1, transformers 4.46.1, parler-tts 0.2.3, descript-audio-codec-unofficial 1.0.0, sentencepiece 0.2.0
(parler-tts pulls newer ones of some: pin them). Weights are rounded to what the file stores before anything is computed, in float32.

Of a case: `raw` [codebooks, L] ids as predicted, column 0 = BOS; `mask` (-1 = keep); `masked` what the decoder was fed; `undelayed`;
`codes`, frames without special ids; `audio`; `argmax` and `logit_max` [steps, codebooks] before any processor; `logits` of a short one.
"""
import json
import os
import sys
import warnings

import numpy as np
import torch

from common import out, randomise, save_json, save_npz, versions
from gen_dac import tiny_dac
from gen_t5 import tiny_t5

warnings.filterwarnings("ignore")
torch.manual_seed(0)
torch.set_num_threads(2)

DESCRIPTION = "Jenny speaks in a calm voice, with a very close recording."
PROMPT = "It is decidedly so, my dear friend."
VOCAB, CODES, EOS, BOS, TEXT = 1088, 1024, 1024, 1025, 1152
TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data", "text", "t5.model")

V01 = dict(seed=102, rope=False, prompt_cross=False, fused=False, naming="g_v", bf16=True, shards=1, codebooks=9, d=64, layers=3, heads=4,
           kv=None, cross_kv=None, ffn=128, positions=512, t5=dict(d=48, heads=4, dh=16, ff=96, layers=2), latent=64, wide=64,
           rates=(8, 8, 4, 2))
NEW = V01 | dict(seed=201, rope=True, prompt_cross=True, fused=True, naming="original", bf16=False, shards=2, codebooks=5, d=48, layers=2,
                 heads=6, kv=3, cross_kv=2, ffn=80, t5=dict(d=40, heads=5, dh=12, ff=72, layers=2), latent=32, wide=32, rates=(8, 4, 2))
VARIANTS = {
    "parler-tiny": V01,
    "parler-tiny-rope": NEW,
    # never stored: the same families in other sizes, layouts and seeds
    "wide": V01 | dict(seed=301, bf16=False, codebooks=4, d=96, heads=3, ffn=200, t5=dict(d=96, heads=3, dh=20, ff=60, layers=3), wide=48),
    "original": V01 | dict(seed=401, naming="original", shards=3, kv=2, cross_kv=4, fused=True, layers=1, d=80, heads=4),
    "hf": V01 | dict(seed=501, naming="hf", codebooks=9, d=40, heads=5, ffn=72, rates=(4, 4, 4, 2), latent=64, wide=80),
    "cross": NEW | dict(seed=601, rope=False, fused=False, naming="g_v", codebooks=9, kv=6, cross_kv=1),
    "rope-prepended": NEW | dict(seed=701, prompt_cross=False, naming="hf", d=64, heads=2, kv=1, cross_kv=2, codebooks=7, bf16=True),
}


def build(v):
    from parler_tts import ParlerTTSConfig, ParlerTTSDecoderConfig, ParlerTTSForCausalLM, ParlerTTSForConditionalGeneration
    from parler_tts.dac_wrapper import DACConfig, DACModel
    from transformers import PreTrainedModel

    seed, d = v["seed"], v["d"]
    hop = int(np.prod(v["rates"]))
    codec = lambda: tiny_dac(seed + 1, v["latent"], v["wide"], v["rates"], v["codebooks"])
    text = tiny_t5(seed + 2, TEXT, bias_seed=None, **v["t5"])
    acfg = DACConfig(num_codebooks=v["codebooks"], codebook_size=CODES, latent_dim=v["latent"], frame_rate=44100 // hop, sampling_rate=44100,
                     decoder_dim=v["wide"], encoder_dim=4, decoder_rates=list(v["rates"]), codebook_dim=8)
    audio = object.__new__(DACModel)  # its own constructor knows one width only
    PreTrainedModel.__init__(audio, acfg)
    audio.model = codec()
    dcfg = ParlerTTSDecoderConfig(
        vocab_size=VOCAB, max_position_embeddings=v["positions"], num_hidden_layers=v["layers"], ffn_dim=v["ffn"], hidden_size=d,
        num_attention_heads=v["heads"], num_key_value_heads=v["kv"], num_cross_attention_key_value_heads=v["cross_kv"],
        num_codebooks=v["codebooks"], pad_token_id=EOS, eos_token_id=EOS, bos_token_id=BOS, rope_embeddings=v["rope"], rope_theta=10000.0,
        use_fused_lm_heads=v["fused"])
    dec = ParlerTTSForCausalLM(dcfg)
    pos = None if v["rope"] else dec.model.decoder.embed_positions.weights.clone()
    randomise(dec, seed + 3, std=None)
    with torch.no_grad():
        if pos is not None:
            dec.model.decoder.embed_positions.weights.copy_(pos)
        for h in [dec.lm_heads] if v["fused"] else list(dec.lm_heads):
            h.weight.mul_(4.0)
            # ids 1025..1087 have logits but must never win: the original only filters codes >= 1024 when a BOS, EOS or PAD is
            # among them and otherwise looks them up in a codebook of 1024 rows (index error)
            h.weight.view(-1, VOCAB, d)[:, CODES:].mul_(0.05)
        for l in dec.model.decoder.layers:
            for a in (l.self_attn, l.encoder_attn):
                a.q_proj.weight.mul_(2.0)
                a.out_proj.weight.mul_(1.5)
    cfg = ParlerTTSConfig.from_sub_models_config(text.config, acfg, dcfg, vocab_size=TEXT, prompt_cross_attention=v["prompt_cross"])
    m = ParlerTTSForConditionalGeneration(config=cfg, text_encoder=text, audio_encoder=audio, decoder=dec).eval()
    m.audio_encoder.model = codec()  # post_init() of the whole model had reset the codec's weights
    if v["naming"] == "original":  # as parler-tts >= 0.2 writes: parametrizations.weight.original0 and 1
        m.audio_encoder.remove_weight_norm()
        m.audio_encoder.apply_weight_norm()
    with torch.no_grad():
        g = torch.Generator().manual_seed(seed + 4)
        m.embed_prompts.weight.normal_(generator=g)
        if hasattr(m, "enc_to_dec_proj"):
            m.enc_to_dec_proj.weight.normal_(generator=g).mul_(v["t5"]["d"] ** -0.5)
            m.enc_to_dec_proj.bias.normal_(generator=g).mul_(0.05)
    if v["bf16"]:
        round_weights(m)
    gc = m.generation_config
    gc.decoder_start_token_id, gc.bos_token_id, gc.pad_token_id, gc.eos_token_id = BOS, BOS, EOS, EOS
    gc.max_length, gc.do_sample, gc.min_new_tokens = 2580, True, 10
    m.config.pad_token_id, m.config.decoder_start_token_id = EOS, BOS
    return m


def round_weights(m):
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(p.to(torch.bfloat16).float())


class Spy:
    """Stands where the streamer stands and keeps every raw column that generate() hands out."""

    def __init__(self, codebooks, inner):
        self.cols, self.codebooks, self.inner = [], codebooks, inner

    def put(self, v):
        self.cols.append(v.reshape(self.codebooks, -1).clone())
        if self.inner:
            self.inner.put(v)

    def end(self):
        if self.inner:
            self.inner.end()


def run(m, desc, prompt, streamer=None, **kw):
    spy = Spy(m.decoder.num_codebooks, streamer)
    o = m.generate(input_ids=desc, prompt_input_ids=prompt, do_sample=False, return_dict_in_generate=True, output_logits=True,
                   output_scores=True, streamer=spy, **kw)
    return o, torch.cat(spy.cols, dim=1)


def codes_of(m, raw, max_length):
    """raw [codebooks, L] -> mask, masked, undelayed, kept, by the original's own helpers."""
    dec, n = m.decoder, m.decoder.num_codebooks
    _, mask = dec.build_delay_pattern_mask(raw[:, :1], bos_token_id=BOS, pad_token_id=EOS, max_length=max_length)
    masked = dec.apply_delay_pattern_mask(raw, mask)
    _, whole = dec.build_delay_pattern_mask(raw[:, :1], bos_token_id=BOS, pad_token_id=EOS, max_length=raw.shape[1])
    undelayed = masked[(whole != BOS) & (whole != EOS)].reshape(n, -1)
    return mask, masked, undelayed, undelayed[:, (undelayed >= CODES).sum(0) == 0]


def case(t, info, m, name, desc, prompt, streams=(), logits=False, **kw):
    from parler_tts import ParlerTTSStreamer

    o, raw = run(m, desc, prompt, **kw)
    n, L = raw.shape
    mask, masked, undelayed, kept = codes_of(m, raw, kw["max_new_tokens"] + 1)
    all_logits, scores = torch.stack(o.logits), torch.stack(o.scores)  # [steps, codebooks, 1088]
    top2 = scores.topk(2, dim=-1).values
    margin = top2[..., 0] - top2[..., 1]
    live = torch.ones_like(margin, dtype=torch.bool)
    for s in range(1, L - 1):  # rows already finished do not count
        live[s] = (raw[:, 1:s + 1] != EOS).all(1)
    audio = o.sequences.reshape(-1)
    t.update({f"{name}.raw": raw, f"{name}.mask": mask[:, :L], f"{name}.masked": masked, f"{name}.undelayed": undelayed, f"{name}.codes": kept,
              f"{name}.argmax": all_logits.argmax(-1), f"{name}.logit_max": all_logits.max(-1).values, f"{name}.audio": audio})
    if logits:
        t[f"{name}.logits"] = all_logits
    info[name] = {"kwargs": kw, "steps": int(all_logits.shape[0]), "columns": L, "frames_undelayed": int(undelayed.shape[1]),
                  "frames_kept": int(kept.shape[1]), "samples": int(audio.shape[0]), "min_top2_margin": float(margin[live].min()),
                  "distinct_codes": int(kept.unique().numel()), "streams": []}
    assert info[name]["min_top2_margin"] > 3e-4, (name, info[name])
    direct = m.audio_encoder.decode(audio_codes=kept[None, None], audio_scales=[None]).audio_values.reshape(-1)
    assert direct.shape == audio.shape and float((direct - audio).abs().max()) < 1e-5, name
    for play, stride in streams:
        s = ParlerTTSStreamer(m, device="cpu", play_steps=play, stride=stride)
        run(m, desc, prompt, streamer=s, **kw)
        chunks = []
        while not s.audio_queue.empty():
            c = s.audio_queue.get()
            if c is not None:
                chunks.append(c)
        tag = f"{name}.stream_p{play}_s{'default' if stride is None else stride}.audio"
        t[tag] = np.concatenate(chunks)
        info[name]["streams"].append({"play_steps": play, "stride_arg": stride, "stride": int(s.stride), "chunk_samples": [len(c) for c in chunks],
                                      "total": len(t[tag]), "tensor": tag})


def plant_eos(m, desc, prompt, start=24, total=60):
    """Give the heads an EOS row that fires for codebook k at step start + k, so that the natural end is exercised."""
    rows = [h.weight for h in m.decoder.lm_heads]
    with torch.no_grad():
        for r in rows:
            r[EOS] = 0
        for k in range(len(rows)):
            hs = []
            h = m.decoder.model.decoder.layer_norm.register_forward_hook(lambda mod, i, o: hs.append(o[0, -1].clone()))
            m.generate(input_ids=desc, prompt_input_ids=prompt, do_sample=False, max_new_tokens=total, min_new_tokens=10)
            h.remove()
            x = torch.stack(hs).double()
            y = torch.full((x.shape[0],), -20.0, dtype=torch.double)
            y[min(start + k, x.shape[0] - 1)] = 60.0
            w = x.T @ torch.linalg.solve(x @ x.T + 1e-3 * torch.eye(x.shape[0], dtype=torch.double), y)
            rows[k][EOS] = w.to(torch.bfloat16).float()


def prefill(t, m, desc, prompt, name="prefill"):
    with torch.no_grad():
        enc = m.text_encoder(input_ids=desc, output_hidden_states=True)
        for i, h in enumerate(enc.hidden_states):
            t[f"{name}.t5.hidden.{i}"] = h[0]
        t[f"{name}.t5.out"] = enc.last_hidden_state[0]
        cross = m.enc_to_dec_proj(enc.last_hidden_state) if hasattr(m, "enc_to_dec_proj") else enc.last_hidden_state
        ph = m.embed_prompts(prompt)
        if m.prompt_cross_attention:
            ph = ph + m.embed_positions(ph, 0)
            cross, ph = torch.cat([cross, ph], dim=1), None
        t[f"{name}.cross"] = cross[0]
        ids = torch.full((m.decoder.num_codebooks, 1), BOS)
        o = m.decoder(input_ids=ids, encoder_hidden_states=cross, prompt_hidden_states=ph, output_hidden_states=True, use_cache=False)
        for i, h in enumerate(o.hidden_states):
            t[f"{name}.decoder.hidden.{i}"] = h[0]
        t[f"{name}.decoder.logits"] = o.logits[:, -1]


def save_model(m, folder, v):
    """As save_pretrained lays them out, in the published files' names and types."""
    from gen_dac import hf_model
    from safetensors.torch import save_file

    sd = {k: x.detach().contiguous() for k, x in m.state_dict().items()}
    if v["naming"] == "hf":
        codec = tiny_dac(v["seed"] + 1, v["latent"], v["wide"], v["rates"], v["codebooks"])
        if v["bf16"]:
            round_weights(codec)
        h = hf_model(codec, v["latent"], v["wide"], v["rates"], v["codebooks"], CODES, 8)
        sd = {k: x for k, x in sd.items() if not k.startswith("audio_encoder.")} | {"audio_encoder." + k: x for k, x in h.state_dict().items()}
    keep_f32 = lambda k: v["naming"] == "hf" and k.startswith("audio_encoder.")  # folded after the rounding
    only_encodes = lambda k: k.startswith("audio_encoder.") and (".encoder." in k.removeprefix("audio_encoder") or "in_proj" in k)
    sd = {k: x.to(torch.bfloat16) if v["bf16"] and not keep_f32(k) else x.clone() for k, x in sorted(sd.items()) if not only_encodes(k)}
    sd.pop("text_encoder.encoder.embed_tokens.weight", None)  # text_encoder.shared.weight again
    os.makedirs(out(folder), exist_ok=True)
    names, n = list(sd), v["shards"]
    where, total = {}, 0
    for i in range(n):
        file = "model.safetensors" if n == 1 else f"model-{i + 1:05}-of-{n:05}.safetensors"
        part = names[len(names) * i // n:len(names) * (i + 1) // n]
        save_file({k: sd[k] for k in part}, out(folder, file), metadata={"format": "pt"})
        where |= {k: file for k in part}
        total += sum(sd[k].numel() * sd[k].element_size() for k in part)
    if n > 1:
        save_json(out(folder, "model.safetensors.index.json"), {"metadata": {"total_size": total}, "weight_map": where})
    m.generation_config.save_pretrained(out(folder))
    cfg = m.config.to_dict()
    if v["naming"] == "g_v":  # as the published v0.1 files have it
        cfg["audio_encoder"]["model_type"] = "dac"
        cfg["transformers_version"] = cfg["audio_encoder"]["transformers_version"] = "4.39.0.dev0"
        for k in ("decoder_dim", "encoder_dim", "decoder_rates", "codebook_dim"):  # the codec's widths come from the shapes
            cfg["audio_encoder"].pop(k, None)
    if v == V01:  # keys that configurations of that age do not have: the defaults must do
        for k in ("num_key_value_heads", "num_cross_attention_key_value_heads", "rope_embeddings", "rope_theta", "use_fused_lm_heads",
                  "codebook_weights", "cross_attention_implementation_strategy"):
            cfg["decoder"].pop(k, None)
        cfg.pop("prompt_cross_attention", None)
    cfg.pop("_name_or_path", None)
    cfg["torch_dtype"] = "bfloat16" if v["bf16"] else "float32"
    save_json(out(folder, "config.json"), cfg)


def goldens(folder, v):
    from transformers import T5TokenizerFast

    tok = T5TokenizerFast(vocab_file=TOKENIZER, extra_ids=100, legacy=True)
    desc, prompt = (tok(s, return_tensors="pt").input_ids for s in (DESCRIPTION, PROMPT))
    t = {"description_ids": desc[0], "prompt_ids": prompt[0]}
    info = {"description": DESCRIPTION, "prompt": PROMPT, "description_ids": desc[0].tolist(), "prompt_ids": prompt[0].tolist(), "cases": {}}
    m, c = build(v), info["cases"]
    if v == V01:
        plant_eos(m, desc, prompt)
    save_model(m, folder, v)
    prefill(t, m, desc, prompt)
    case(t, c, m, "greedy40", desc, prompt, ((20, None), (16, None), (10, 100)), max_new_tokens=40, min_new_tokens=40)
    case(t, c, m, "short12", desc, prompt, logits=True, max_new_tokens=12, min_new_tokens=12)
    if v == V01:
        case(t, c, m, "eos", desc, prompt, ((15, None), (12, 512), (172, None)), max_new_tokens=100, min_new_tokens=10)
        case(t, c, m, "n17", desc, prompt, max_new_tokens=17, min_new_tokens=17)
        t["other.description_ids"] = tok("A man shouts.", return_tensors="pt").input_ids[0]
        case(t, c, m, "other", t["other.description_ids"][None], prompt, max_new_tokens=20, min_new_tokens=20)
    save_npz(out(folder, "expected.safetensors"), t)
    info["versions"] = versions("torch", "transformers", "parler-tts", "descript-audio-codec-unofficial", "sentencepiece")
    save_json(out(folder, "expected.json"), info)
    print(folder, json.dumps({k: {n: x[n] for n in ("steps", "frames_kept", "samples", "min_top2_margin", "distinct_codes")} for k, x in c.items()}))


if __name__ == "__main__":
    for name in sys.argv[1:] or ["parler-tiny", "parler-tiny-rope"]:
        goldens(name, VARIANTS[name])
