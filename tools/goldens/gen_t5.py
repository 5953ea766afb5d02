"""t5-tiny and t5-other: the encoder of T5 with gated feed-forward, at two sizes.

    GOLDENS_OUT=DIR python gen_t5.py

Made with Python 3.11, torch 2.5.1, transformers 4.46.1. Their tokenizer is tests/data/text/t5.model.
"""
import torch

from common import out, randomise, save_npz

torch.manual_seed(0)
torch.set_num_threads(2)


def tiny_t5(seed, vocab, d, heads, dh, ff, layers, bias_seed=3):
    from transformers import T5Config, T5EncoderModel

    m = T5EncoderModel(T5Config(vocab_size=vocab, d_model=d, d_kv=dh, d_ff=ff, num_layers=layers, num_heads=heads,
                                relative_attention_num_buckets=32, relative_attention_max_distance=128, feed_forward_proj="gated-gelu",
                                tie_word_embeddings=False, dropout_rate=0.1)).eval()
    randomise(m, seed, std=None)
    with torch.no_grad():
        m.shared.weight.mul_(d**0.5)
        if bias_seed:
            table = m.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
            table.normal_(generator=torch.Generator().manual_seed(bias_seed))
        for b in m.encoder.block:  # T5 has no 1/sqrt(d_kv): keep scores in a sane range
            b.layer[0].SelfAttention.q.weight.mul_(0.5)
    return m


def goldens(folder, lengths, bf16=False, **shape):
    m = tiny_t5(**shape)
    if bf16:  # stored so; computed in float32
        m.to(torch.bfloat16).save_pretrained(out(folder))
        m = m.float()
    else:
        m.save_pretrained(out(folder))
    t, top = {}, min(1100, shape["vocab"] - 2)
    g = torch.Generator().manual_seed(5)
    attention = m.encoder.block[0].layer[0].SelfAttention
    with torch.no_grad():
        for name, n in lengths.items():
            ids = torch.randint(3, top, (1, n), generator=g)
            ids[0, -1] = 1
            o = m(ids, output_hidden_states=True)
            t[name + ".ids"] = ids[0]
            for i, h in enumerate(o.hidden_states):
                t[f"{name}.hidden.{i}"] = h[0]
            t[name + ".out"] = o.last_hidden_state[0]
        if "long" in lengths:
            n = lengths["long"]
            bias = attention.compute_bias(n, n)
            t["long.position_bias_row0"], t[f"long.position_bias_row{n - 1}"] = bias[0, :, 0], bias[0, :, n - 1]
            t["bucket.relative"] = torch.arange(1 - n, n)
            t["bucket.value"] = attention._relative_position_bucket(t["bucket.relative"], bidirectional=True, num_buckets=32, max_distance=128)
    save_npz(out(folder, "expected.safetensors"), t)


if __name__ == "__main__":
    goldens("t5-tiny", {"short": 7, "mid": 60, "long": 300}, seed=11, vocab=1152, d=48, heads=4, dh=16, ff=96, layers=3)
    goldens("t5-other", {"short": 1, "mid": 33}, bf16=True, seed=41, vocab=640, d=40, heads=5, dh=12, ff=72, layers=2)
