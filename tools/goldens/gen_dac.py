"""dac-tiny (names of Descript's own package, weight norm split) and dac-hf (transformers' DacModel, folded; other sizes).

    GOLDENS_OUT=DIR python gen_dac.py

Made with Python 3.11, torch 2.5.1, transformers 4.46.1, descript-audio-codec-unofficial 1.0.0.
"""
import os
import warnings

import torch

from common import out, save_json, save_npz

warnings.filterwarnings("ignore")
torch.manual_seed(0)
torch.set_num_threads(2)


def tiny_dac(seed, latent=64, decoder_dim=96, rates=(8, 8, 4, 2), codebooks=9, size=1024, dim=8):
    from dac.model import DAC

    d = DAC(encoder_dim=4, encoder_rates=list(reversed(rates)), latent_dim=latent, decoder_dim=decoder_dim, decoder_rates=list(rates),
            n_codebooks=codebooks, codebook_size=size, codebook_dim=dim).eval()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(d.named_parameters()):
            if name.endswith("alpha"):
                p.copy_(0.3 + torch.rand(p.shape, generator=g) * 1.5)
            elif name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=g) * 0.03)
            elif name.endswith("weight_g"):
                p.copy_(0.6 + torch.rand(p.shape, generator=g) * 0.8)
            elif name.endswith("weight_v"):
                p.copy_(torch.randn(p.shape, generator=g) * 0.3)
            else:
                p.copy_(torch.randn(p.shape, generator=g))
        # keep the magnitudes flat: scale each decoder convolution, in order, to a wanted output deviation
        z = d.quantizer.from_codes(torch.randint(0, size, (1, codebooks, 24), generator=g))[0]
        convs = [m for m in d.decoder.modules() if isinstance(m, (torch.nn.Conv1d, torch.nn.ConvTranspose1d))]
        for m in convs:
            got = []
            h = m.register_forward_hook(lambda mod, i, o: got.append(float(o.std())))
            d.decoder(z)
            h.remove()
            want = 0.25 if m is convs[-1] else (0.4 if m.kernel_size[0] == 1 else 1.0)
            m.weight_g.mul_(want / got[0])
    return d


def hf_model(d, latent, decoder_dim, rates, codebooks, size, dim):
    """The same codec under the names of transformers' DacModel."""
    from transformers import DacConfig, DacModel

    h = DacModel(DacConfig(encoder_hidden_size=latent >> len(rates), downsampling_ratios=list(reversed(rates)), decoder_hidden_size=decoder_dim,
                           n_codebooks=codebooks, codebook_size=size, codebook_dim=dim, sampling_rate=44100)).eval()
    assert h.config.hidden_size == latent

    def copy(to, of):
        to.weight.copy_(of.weight)
        if to.bias is not None:
            to.bias.copy_(of.bias)

    n = len(rates)
    with torch.no_grad():
        d.decode(d.quantizer.from_codes(torch.zeros(1, codebooks, 1, dtype=torch.long))[0])  # weight norm folds when it runs
        copy(h.decoder.conv1, d.decoder.model[0])
        for i in range(n):
            b, s = h.decoder.block[i], d.decoder.model[1 + i].block
            b.snake1.alpha.copy_(s[0].alpha)
            copy(b.conv_t1, s[1])
            for j, r in enumerate((b.res_unit1, b.res_unit2, b.res_unit3)):
                r.snake1.alpha.copy_(s[2 + j].block[0].alpha)
                copy(r.conv1, s[2 + j].block[1])
                r.snake2.alpha.copy_(s[2 + j].block[2].alpha)
                copy(r.conv2, s[2 + j].block[3])
        h.decoder.snake1.alpha.copy_(d.decoder.model[n + 1].alpha)
        copy(h.decoder.conv2, d.decoder.model[n + 2])
        for i in range(codebooks):
            h.quantizer.quantizers[i].codebook.weight.copy_(d.quantizer.quantizers[i].codebook.weight)
            copy(h.quantizer.quantizers[i].out_proj, d.quantizer.quantizers[i].out_proj)
    return h


def layers(d, codes, keep):
    """What every layer that keep() wants gives for these codes; `audio` at the end."""
    t, hooks = {"codes": codes[0]}, []

    def hook(name, m):
        if keep(name):
            hooks.append(m.register_forward_hook(lambda m, i, o: t.__setitem__(name, o[0].clone())))

    with torch.no_grad():
        z, lookup, _ = d.quantizer.from_codes(codes)
        t["quantizer.lookup"], t["quantizer.z"] = lookup[0], z[0]  # lookup [codebooks * dim, T], before out_proj
        for i, m in enumerate(d.decoder.model):
            hook(f"decoder.model.{i}", m)
            for j, b in enumerate(getattr(m, "block", ())):
                hook(f"decoder.model.{i}.block.{j}", b)
                for k, c in enumerate(getattr(b, "block", ())):
                    hook(f"decoder.model.{i}.block.{j}.block.{k}", c)
        t["audio"] = d.decode(z)[0, 0]
    for h in hooks:
        h.remove()
    return t


def goldens(folder, seed, hf, frames, keep, latent=64, decoder_dim=96, rates=(8, 8, 4, 2), codebooks=9, size=1024, dim=8):
    from safetensors.torch import save_file

    shape = dict(latent=latent, decoder_dim=decoder_dim, rates=rates, codebooks=codebooks, size=size, dim=dim)
    d = tiny_dac(seed, **shape)
    g = torch.Generator().manual_seed(seed + 1)
    codes = torch.randint(0, size, (1, codebooks, frames), generator=g)
    t = layers(d, codes, keep)
    one = torch.randint(0, size, (1, codebooks, 1), generator=g)
    with torch.no_grad():
        t["one.codes"], t["one.audio"] = one[0], d.decode(d.quantizer.from_codes(one)[0])[0, 0]
    print(folder, tuple(t["audio"].shape), float(t["audio"].abs().max()), float(t["audio"].std()))
    assert 0.3 < float(t["audio"].abs().max()) < 0.9999 and 0.1 < float(t["audio"].std()) < 0.5
    if hf:
        h = hf_model(d, **shape)
        with torch.no_grad():
            far = float((h.decode(audio_codes=codes).audio_values.reshape(-1) - t["audio"]).abs().max())
        assert far < 1e-4, far
        weights = {"audio_encoder." + k: v for k, v in h.state_dict().items()}
    else:
        weights = {"audio_encoder.model." + k: v for k, v in d.state_dict().items()}
    weights = {k: v.contiguous() for k, v in weights.items() if ".encoder." not in k and "in_proj" not in k}  # what only encodes is left out
    os.makedirs(out(folder), exist_ok=True)
    save_file(weights, out(folder, "model.safetensors"), metadata={"format": "pt"})
    save_json(out(folder, "config.json"), {
        "model_type": "dac", "num_codebooks": codebooks, "codebook_size": size, "codebook_dim": dim, "latent_dim": latent,
        "decoder_dim": decoder_dim, "encoder_dim": 4, "decoder_rates": list(rates), "sampling_rate": 44100, "frame_rate": 86})
    save_npz(out(folder, "expected.safetensors"), t)


def first_stages(name):
    """The first stage with one whole residual unit, the second by its parts, each stage's end."""
    p = name.split(".")[2:]
    return len(p) == 1 and p[0] not in "567" or len(p) == 3 and p[0] in "12" or len(p) == 5 and p[:3] == ["1", "block", "2"]


if __name__ == "__main__":
    goldens("dac-tiny", 21, False, 13, first_stages)
    goldens("dac-hf", 23, True, 12, lambda name: name.count(".") == 2, latent=32, decoder_dim=40, rates=(6, 4, 2), codebooks=5, size=512, dim=4)
