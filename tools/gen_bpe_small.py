"""Makes tests/data/text/bpe-small-*.json: a small byte-level vocabulary (the first 1500 merges of SmolLM2's GGUF) as tokenizer.json with
Llama 3's and Qwen 2's ways to cut words, and what the original library encodes the strings to; and Llama 3, Llama 2 and Zephyr
conversations as Jinja renders the published templates.
    python3 gen_bpe_small.py SmolLM2.gguf strings.json OUT_DIR       (tokenizers 0.20.3, jinja2 3.1)"""
import json
import struct
import sys

import jinja2
from tokenizers import Tokenizer


def gguf_strings(path, want):
    d = open(path, "rb").read(8_000_000)
    o = 8
    _, n_keys = struct.unpack_from("<QQ", d, o)
    o += 16
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def string():
        nonlocal o
        n, = struct.unpack_from("<Q", d, o)
        o += 8 + n
        return d[o - n:o].decode()

    for _ in range(n_keys):
        key = string()
        kind, = struct.unpack_from("<I", d, o)
        o += 4
        if kind == 8:
            string()
        elif kind == 9:
            element, n = struct.unpack_from("<IQ", d, o)
            o += 12
            if element != 8:
                o += sizes[element] * n
                continue
            rows = [string() for _ in range(n)]
            if key == want:
                return rows
        else:
            o += sizes[kind]


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


def make(merge_lines, pattern, nfc):
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    odd = [b for b in range(256) if b not in plain]
    vocab = {chr(b if b in plain else 256 + odd.index(b)): b for b in range(256)}
    merges = []
    for line in ["1 2", "12 3", "3 4", "4 5", "0 0", *merge_lines[:1500]]:  # SmolLM2 merges no digits; the families differ in them
        a, b = line.split(" ")
        if a in vocab and b in vocab:
            merges.append(line)
            vocab.setdefault(a + b, len(vocab))
    n = len(vocab)
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
    added = [dict(id=n + i, content=c, special=True, **flags) for i, c in enumerate(SPECIAL)]
    added.append(dict(id=n + len(SPECIAL), content="\u2603mark", special=False, **flags))
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    split = dict(type="Split", pattern={"Regex": pattern}, behavior="Isolated", invert=False)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=dict(type="NFC") if nfc else None,
                pre_tokenizer=dict(type="Sequence", pretokenizers=[split, byte_level]), post_processor=None,
                decoder=dict(byte_level, use_regex=True),
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                           fuse_unk=False, byte_fallback=False, ignore_merges=True, vocab=vocab, merges=merges))


TEMPLATES = {
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role']"
              " + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token"
              " + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
              "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
              "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
              "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n'"
              " + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
              "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
              "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n"
              "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] =="
              " 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and"
              " add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
}


def main():
    gguf, strings, out = sys.argv[1:]
    texts = json.load(open(strings, encoding="utf-8"))
    merges = gguf_strings(gguf, "tokenizer.ggml.merges")
    for name, pattern in (("llama3", LLAMA3), ("qwen2", QWEN2)):
        text = json.dumps(make(merges, pattern, name == "qwen2"), ensure_ascii=False, indent=1)
        open(f"{out}/bpe-small-{name}-tokenizer.json", "w", encoding="utf-8").write(text)
        tok = Tokenizer.from_str(text)
        rows = []
        for s in texts:
            ids = tok.encode(s, add_special_tokens=False).ids
            rows.append({"text": s, "ids": ids, "decoded": tok.decode(ids)})
        json.dump(rows, open(f"{out}/bpe-small-{name}.json", "w", encoding="utf-8"), separators=(",", ":"))
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # as transformers sets it up
    chats = json.load(open(f"{out}/mistral-chats.json", encoding="utf-8"))
    rows = []
    for family, template in TEMPLATES.items():
        for chat in chats:
            if chat["version"] == "v1":
                text = env.from_string(template).render(messages=chat["messages"], add_generation_prompt=True,
                                                        bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
                rows.append({"version": family, "messages": chat["messages"], "text": text})
    json.dump(rows, open(f"{out}/chats-text.json", "w", encoding="utf-8"), indent=1)


main()
