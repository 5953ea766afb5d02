"""The command line itself: exit statuses, one line that says why, help, full disks and closed pipes.

usage: cli.py MAGIC8
"""
import array
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(sys.argv[1])
ENV = {"PATH": os.environ["PATH"], "HOME": tempfile.mkdtemp(prefix="m8cli"), "MAGIC8_OFFLINE": "1"}
ENV.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})


def run(*args, **more):
    p = subprocess.run([PROGRAM, *args], env=ENV, capture_output=not more, text=True, timeout=30, **more)
    return p.returncode, p.stdout, p.stderr


def expect(args, code, says):
    got, out, err = run(*args)
    assert got == code, (args, got, err)
    if code:
        assert err.count("\n") == 1 and says in err and not out, (args, out, err)
    else:
        assert says in out and not err, (args, out, err)


expect([], 2, "usage: magic8 VERB")
expect(["--version"], 0, "magic8 ")
expect(["--help"], 0, "magic8 VERB --help")
expect(["help", "pull"], 0, "--revision R")
expect(["pull", "--help"], 0, "--offline")
expect(["pull", "--nonsense", "--help"], 2, "unknown option --nonsense")
expect(["nonsense"], 2, "no such verb")
expect(["--nonsense"], 2, "unknown option")
expect(["help", "nonsense"], 2, "no such verb")
expect(["docs"], 2, "usage: magic8 docs man|bash|zsh|fish")
expect(["docs", "x"], 2, "expected man, bash, zsh or fish")
expect(["models", "nonsense"], 2, "not a model of the catalog")
expect(["models", "--path"], 2, "name the models")
expect(["models", "--path", "whisper-base"], 1, "run: magic8 pull whisper-base")
expect(["models", "--path", "nonsense"], 1, "not a model of the catalog")
expect(["models", "--threads", "-1"], 2, "--threads: expected a whole number from 0 to 256")
expect(["pull", "whisper-base"], 1, "offline")
expect(["pull", "\x1b[31m\n"], 1, "not a set")
expect(["models"], 0, "whisper-base")
expect(["models", "--json", "piper-joe"], 0, '"pulled":false')

# quantize: what is wrong is one line; whatever ends it, nothing is left behind
TINY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/llama-tiny")
OUT = tempfile.mkdtemp(prefix="m8cli")
expect(["quantize", TINY, OUT], 2, "name one with --type")
expect(["quantize", TINY], 2, "usage: magic8 quantize")
expect(["quantize", TINY, OUT, "--type", "q3"], 1, "type q3: expected f32, f16")
expect(["quantize", "/nowhere", OUT, "--type", "q8_0"], 1, "not a model of the catalog")
expect(["quantize", TINY, OUT + "/no/file.gguf", "--type", "q8_0"], 1, "No such file or directory")
assert os.listdir(OUT) == []
code, out, err = run("quantize", TINY, OUT, "--type", "q8_0", "--json")
assert code == 0 and json.loads(out)["bytes"] == os.path.getsize(OUT + "/model.gguf") and err.count("\n") == 1, (out, err)
os.remove(OUT + "/model.gguf")

ENV["TMPDIR"] = OUT
code, out, err = run("verify", TINY, "--type", "q8_0", "--steps", "20", "--json")
last = json.loads(out.splitlines()[-1])
assert code == 0 and not err and last["type"] == "q8_0" and last["steps"] == 20 and 0.8 < last["top1"] <= 1, (out, err)
assert os.listdir(OUT) == []
expect(["verify", TINY, "--type", "q3"], 1, "type q3: expected f32")

big = tempfile.mkdtemp(prefix="m8cli")  # one matrix that takes seconds
some = array.array("f", [random.gauss(0, 1) for _ in range(1 << 16)]).tobytes()
with open(big + "/model.safetensors", "wb") as f:
    head = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [1 << 16, 1 << 10], "data_offsets": [0, 1 << 28]}}).encode()
    f.write(struct.pack("<Q", len(head)) + head)
    for _ in range(1 << 10):
        f.write(some)
with open(big + "/config.json", "w") as f:
    json.dump({"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 1024, "num_attention_heads": 8, "intermediate_size": 64,
               "max_position_embeddings": 64}, f)
for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
    p = subprocess.Popen([PROGRAM, "quantize", big, OUT + "/big.gguf", "--type", "q6_k"], env=ENV, stderr=subprocess.PIPE, text=True)
    time.sleep(0.7)
    p.send_signal(sig)
    start = time.time()
    _, err = p.communicate(timeout=30)
    assert p.returncode == -sig and time.time() - start < 5, (p.returncode, err)
    assert os.listdir(OUT) == [], os.listdir(OUT)
shutil.rmtree(big)

# every family beside its original, and the bench of a voice
DATA = os.path.dirname(TINY)
for name in ("llama-tiny", "mistral-tiny", "t5-tiny", "t5-other", "dac-tiny", "dac-hf", "parler-tiny", "parler-tiny-rope"):
    code, out, err = run("verify", os.path.join(DATA, name), "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) >= 6 and all(l["max_diff"] <= l["tolerance"] for l in lines), (name, code, out, err)
code, out, err = run("verify", os.path.join(DATA, "mistral-tiny/rounded.safetensors"), "--model", os.path.join(DATA, "mistral-tiny"), "--json")
assert code == 0 and "rotary frequencies as bfloat16" in out and json.loads(out.splitlines()[-1])["max_diff"] < 1e-4, (code, out, err)
expect(["verify", os.path.join(DATA, "parler-tiny/expected.safetensors"), "--model", os.path.join(DATA, "t5-tiny")], 1, "nothing in the file")
expect(["say", "Hi", "-o", OUT + "/none.wav", "--model", os.path.join(DATA, "dac-tiny")], 1, "a dac model cannot speak")
code, out, err = run("bench", "tts", "--model", os.path.join(DATA, "parler-tiny"), "--max-tokens", "20", "--runs", "2", "--voices", "2")
last = json.loads(out.splitlines()[-1])
assert code == 0 and 0.1 < last["audio_s"] < 0.3 and last["audio_per_s"] > 0 and last["first_s"] <= last["total_s"], (out, err)
expect(["bench", "llm", "--model", os.path.join(DATA, "t5-tiny"), "--runs", "1"], 1, "t5")

with open("/dev/full", "w") as full:
    p = subprocess.run([PROGRAM, "docs", "man"], env=ENV, stdout=full, stderr=subprocess.PIPE, text=True)
assert p.returncode == 1 and "No space left" in p.stderr, p

read_end, write_end = os.pipe()
os.close(read_end)  # a reader that went away: no word about it
p = subprocess.run([PROGRAM, "docs", "man"], env=ENV, stdout=write_end, stderr=subprocess.PIPE, text=True)
assert p.returncode in (1, -signal.SIGPIPE) and not p.stderr, p
assert not os.path.exists(ENV["HOME"] + "/.cache/huggingface/hub/models--x"), "something was written"
print("ok")
