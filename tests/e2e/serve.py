"""magic8 serve from outside: turns, visitors who leave, killed workers, how it starts and stops. Prints "ok serve/NAME", "not ok serve/NAME: why".

usage: serve.py MAGIC8 [NAME...]      KILLS: how often a worker is killed (100)
"""
import http.client, json, os, random, re, signal, ssl, subprocess, sys, tempfile, threading, time, urllib.parse, uuid

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
MAGIC8 = os.path.abspath(sys.argv[1])
QUESTION = open(os.path.join(ROOT, "data", "question.webm"), "rb").read()
KILLS = int(os.environ.get("KILLS", "100"))
PATIENCE = 90
WORK = tempfile.mkdtemp(prefix="m8serve")
tests = []


def test(f):
    tests.append(f)


def need(truth, why):
    if not truth:
        raise AssertionError(why() if callable(why) else why)


class Server:
    """A `magic8 serve` of its own on a free port."""

    def __init__(self, *options, ready=True, **env):
        self.log = tempfile.NamedTemporaryFile("w+", dir=WORK)
        self.process = subprocess.Popen([MAGIC8, "serve", *options], stderr=self.log, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        env=os.environ | env)
        self.tls = "--tls-cert" in options
        where = self.until(lambda: re.search(r"(https?)://([\d.]+):(\d+)", self.said()), "it does not say where it runs")
        self.port = int(where[3])
        if ready:
            self.until(lambda: self.get("/health")[0] == 200, lambda: f"not healthy: {self.get('/health')} {self.said()}")

    def said(self):
        return open(self.log.name, encoding="utf-8").read()

    def until(self, ask, why, patience=PATIENCE):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            need(self.process.poll() is None, lambda: f"the server ended: {self.said()[-300:]}")
            got = ask()
            if got:
                return got
            time.sleep(0.02)
        need(False, why)

    def connect(self):
        if self.tls:
            trust = ssl.create_default_context()
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=trust)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method, path, body=None, **headers):
        c = self.connect()
        c.request(method, path, body, headers)
        r = c.getresponse()
        got = r.status, r.read(), r.headers
        c.close()
        return got

    def get(self, path, **headers):
        return self.ask("GET", path, None, **headers)[:2]

    def post(self, path, value):
        status, body, _ = self.ask("POST", path, json.dumps(value), **{"content-type": "application/json"})
        return status, json.loads(body)

    def upload(self, data, name="audio.webm"):
        edge = uuid.uuid4().hex
        body = (f'--{edge}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n').encode() + data + f"\r\n--{edge}--\r\n".encode()
        status, got, _ = self.ask("POST", "/gradio_api/upload", body, **{"content-type": f"multipart/form-data; boundary={edge}"})
        need(status == 200, f"upload: {status} {got[:200]}")
        return {"path": json.loads(got)[0], "meta": {"_type": "gradio.FileData"}, "orig_name": name}

    def metric(self, name):
        return float(re.search(rf"^magic8_{re.escape(name)} (\S+)$", self.get("/metrics")[1].decode(), re.M)[1])

    def workers(self):
        """The processes of the models: {what: pid}."""
        out = {}
        for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout.split():
            out[int(pid)] = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
        return out

    def stop(self, sig=signal.SIGTERM, patience=20):
        if self.process.poll() is None:
            children = self.workers()
            self.process.send_signal(sig)
            code = self.process.wait(patience)
            time.sleep(0.2)
            left = [p for p in children if os.path.exists(f"/proc/{p}") and "Z" not in open(f"/proc/{p}/stat").read().split()[2]]
            need(not left, f"processes are left behind: {left}")
            return code


class Visitor:
    def __init__(self, server):
        self.server, self.hash = server, uuid.uuid4().hex
        self.fns = {d["api_name"]: d["id"] for d in json.loads(server.get("/config")[1])["dependencies"]}

    def call(self, name, *data):
        """Yields the messages of a call."""
        status, got = self.server.post("/gradio_api/queue/join", {"data": list(data), "fn_index": self.fns[name], "session_hash": self.hash})
        need(status == 200, f"join: {status} {got}")
        self.event = got["event_id"]
        c = self.server.connect()
        c.request("GET", f"/gradio_api/queue/data?session_hash={self.hash}")
        self.stream = c
        r = c.getresponse()
        for line in r:
            if line.startswith(b"data:"):
                message = json.loads(line[5:])
                if message["msg"] == "close_stream":
                    break
                yield message
        c.close()

    def last(self, name, *data):
        messages = list(self.call(name, *data))
        need(messages and messages[-1]["msg"] == "process_completed", lambda: f"{name} ended with {messages[-1:]}")
        return messages

    def ask(self, recording=QUESTION):
        """A whole turn: (question, answer, URL path of the sound)."""
        heard = self.last("generate_response", self.server.upload(recording))
        need(heard[-1]["success"], lambda: f"generate_response: {heard[-1]}")
        need(heard[-1]["output"]["data"] == [None, None, None], lambda: f"outputs {heard[-1]['output']['data']}")
        toasts = [m for m in heard if m["msg"] == "log"]
        need(toasts[0]["log"] == "Transcribing Audio" and toasts[0]["duration"] == 5, lambda: f"toasts {toasts}")
        return [toasts[1]["log"], *self.read()]

    def read(self):
        spoken = self.last("read_response", None)
        need(spoken[-1]["success"], lambda: f"read_response: {spoken[-1]}")
        first = next(m for m in spoken if m["msg"] == "process_generating")
        text, sound = first["output"]["data"]
        need(text and sound["is_stream"], lambda: f"first message {first}")
        need(spoken[-1]["output"]["data"][0] == text, "the text changed")
        return [text, urllib.parse.urlsplit(sound["url"]).path]


shared = None


def server():
    global shared
    if shared is None or shared.process.poll() is not None:
        shared = Server("--seed", "7")
    return shared


def sound_of(path):
    """(seconds by the playlist, the joined segments)"""
    s = server()
    status, playlist = s.get(path)
    need(status == 200 and b"#EXT-X-ENDLIST" in playlist, lambda: f"playlist {status} {playlist[-200:]}")
    lines = playlist.decode().split("\n")
    names = [line for line in lines if line and not line.startswith("#")]
    return sum(float(x) for x in re.findall(r"#EXTINF:([\d.]+)", playlist.decode())), b"".join(s.get(path.rsplit("/", 1)[0] + "/" + n)[1] for n in names)


def seconds_of(data, kind):
    p = subprocess.run(["ffmpeg", "-v", "error", "-f", kind, "-i", "-", "-f", "s16le", "-ac", "1", "-ar", "16000", "-"], input=data, capture_output=True)
    need(p.returncode == 0 and not p.stderr, p.stderr.decode()[:200])
    return len(p.stdout) / 32000


# ---- turns


@test
def turn():
    question, answer, path = Visitor(server()).ask()
    need(re.search(r"adopt a dog", question), f"heard {question!r}")
    need(10 < len(answer) < 200 and ":" not in answer, f"answered {answer!r}")
    written, segments = sound_of(path)
    heard = seconds_of(segments, "aac")
    need(1 < heard < 20 and abs(heard - written) < 0.01, f"{written} s written, {heard} s heard")
    mp3 = seconds_of(server().get(path.replace("playlist.m3u8", "audio.mp3"))[1], "mp3")
    need(abs(mp3 - heard) < 0.2, f"{heard} s of AAC, {mp3} s of MP3")


@test
def same_seed_same_answer():
    a, b = (Visitor(server()).ask() for _ in range(2))
    need(a[:2] == b[:2], f"{a} {b}")


@test
def heard_while_speaking():
    v = Visitor(server())
    wav = subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(ROOT, "data", "question.webm"), "-f", "s16le", "-ac", "1", "-ar", "48000", "-"],
                         capture_output=True, check=True).stdout
    head = lambda n: b"RIFF" + (36 + n).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data" + n.to_bytes(4, "little")
    before = server().metric('stage_seconds_count{stage="heard"}')
    need(v.last("listen", server().upload(head(len(wav)) + wav, "audio.wav"))[-1]["success"], "listen failed")
    whole = wav + bytes(48000)  # half a second of silence
    question, answer, _ = v.ask(head(len(whole)) + whole)
    need("dog" in question, question)
    count, total = (server().metric(f'stage_seconds_{x}{{stage="heard"}}') for x in ("count", "sum"))
    need(count == before + 1, "not counted")
    other = v.ask(head(len(wav)) + wav[:48000] + wav)  # other samples: heard anew
    need("dog" in other[0], other[0])


@test
def typed_question():
    v = Visitor(server())
    need(v.last("ask_text", "Should I plant a tree?")[-1]["success"], "ask_text failed")
    need(len(v.read()[0]) > 5, "nothing to read")
    v.last("ask_text", "?!")
    need(v.read()[0] == "Foolish questions get foolish answers.", "a foolish question")


@test
def nobody_speaks():
    silence = b"RIFF\xa4>\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\x80>\0\0" + bytes(16000)
    got = Visitor(server()).last("generate_response", server().upload(silence, "audio.wav"))[-1]
    need(not got["success"] and got["title"] == "No speech", f"{got}")
    for junk in (b"RIFF", b"\0" * 100, b"not sound at all", QUESTION[:60]):
        got = Visitor(server()).last("generate_response", server().upload(junk, "audio.webm"))[-1]
        need(not got["success"] and "/" not in json.dumps(got["output"]), f"{got}")
    got = Visitor(server()).last("read_response", None)[-1]
    need(not got["success"] and "ask first" in got["output"]["error"], f"{got}")


@test
def four_visitors():
    results = [None] * 4

    def one(i):
        results[i] = Visitor(server()).ask()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    need(all(r and r[:2] == results[0][:2] for r in results), f"{results}")


@test
def visitors_who_leave():
    for name, when in (("generate_response", "process_starts"), ("read_response", "process_generating")):
        v = Visitor(server())
        if name == "read_response":
            v.last("ask_text", "Will it rain, or will the sun shine on my old garden all of next week?")
        stream = v.call(name, server().upload(QUESTION) if name == "generate_response" else None)
        next(m for m in stream if m["msg"] == when)
        v.stream.sock.close() if v.stream.sock else None
        stream.close()
        v.stream.close()
        server().until(lambda: server().metric("queue_running") == 0, "the run goes on", 10)


@test
def cancel():
    v = Visitor(server())
    stream = v.call("generate_response", server().upload(QUESTION))
    next(m for m in stream if m["msg"] == "process_starts")
    need(server().post("/gradio_api/cancel", {"session_hash": v.hash, "fn_index": v.fns["generate_response"], "event_id": v.event})[1] == {"success": True}, "")
    last = list(stream)[-1]
    need(last["msg"] == "process_completed", f"{last}")
    need("dog" in v.ask()[0], "the next turn")


@test
def killed_workers():
    rng, s = random.Random(8), server()
    late, ended, failed = [], 0, 0
    pids = [p for p, what in s.workers().items()]
    need(len(pids) >= 4, f"processes {s.workers()}")
    for i in range(KILLS):
        v, killed = Visitor(s), []

        def kill():
            time.sleep(rng.uniform(0, 0.5))
            victims = list(s.workers())
            if victims:
                try:
                    os.kill(rng.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            killed.append(time.monotonic())

        thread = threading.Thread(target=kill)
        thread.start()
        steps = [("generate_response", s.upload(QUESTION)), ("read_response", None)]
        for name, data in steps:
            messages = list(v.call(name, data))
            need(messages and messages[-1]["msg"] == "process_completed", lambda: f"kill {i}: {name} ended with {messages[-1:]}")
            ended += 1
            if not messages[-1]["success"]:
                failed += 1
                if killed:
                    late.append(time.monotonic() - killed[0])
                break
        thread.join()
    need(not late or max(late) < 2, lambda: f"a stream ended {max(late):.1f} s after the kill")
    s.until(lambda: s.get("/health")[0] == 200, "it does not recover")
    need("dog" in Visitor(s).ask()[0], "the next question")
    need(failed, f"no kill hit a call ({ended} ended)")
    print(f"# {KILLS} kills, {ended} calls, {failed} of them ended with an error, the latest {max(late or [0]):.2f} s after the kill")


# ---- starting and stopping


@test
def answers_before_the_models_are_loaded():
    s = Server("--seed", "1", ready=False)
    need(s.get("/")[0] == 200 and s.get("/config")[0] == 200, "the page")
    need("dog" in Visitor(s).ask()[0], "a question that waited for the models")
    need(s.stop() == 0, "the exit status")


@test
def a_model_that_is_not_here():
    s = Server("--model", "llm=/nowhere/model.gguf", ready=False)
    status, body = s.get("/health")
    need(status == 503 and json.loads(body)["models"]["llm"] in ("missing", "died"), f"{status} {body}")
    got = Visitor(s).last("ask_text", "Is anybody there?")[-1]
    need(not got["success"] and "not there" in got["output"]["error"], f"{got}")
    need("/nowhere" in s.said(), f"the log: {s.said()}")
    need(s.stop(signal.SIGINT) == 0, "the exit status")


@test
def stops_in_order():
    s = Server("--seed", "1")
    v = Visitor(s)
    v.last("ask_text", "Will this be read to its end?")
    stream = v.call("read_response", None)
    next(m for m in stream if m["msg"] == "process_generating")
    s.process.send_signal(signal.SIGTERM)
    last = list(stream)[-1]
    need(last["msg"] in ("process_completed", "unexpected_error"), f"{last}")
    need(s.process.wait(20) == 0, "the exit status")


@test
def login_log_and_tls():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{WORK}/key.pem", "-out", f"{WORK}/cert.pem", "-days", "1",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)
    s = Server("--auth", "admin:secret", "--tls-cert", f"{WORK}/cert.pem", "--tls-key", f"{WORK}/key.pem", "--access-log", f"{WORK}/log", ready=False)
    need(s.get("/health")[0] in (200, 503), "health needs no login")
    need(s.get("/config")[0] == 401 and s.get("/metrics")[0] == 401, "config and metrics need one")
    status, body, headers = s.ask("POST", "/login", "username=admin&password=secret", **{"content-type": "application/x-www-form-urlencoded"})
    need(status == 200, f"login {status} {body}")
    cookies = "; ".join(c.split(";")[0] for c in headers.get_all("set-cookie"))
    need(all("Secure" in c and "HttpOnly" in c for c in headers.get_all("set-cookie") if "unsecure" not in c), f"{headers.get_all('set-cookie')}")
    need(s.get("/config?%0d%0aforged", cookie=cookies)[0] == 200, "config with a login")
    need(s.stop() == 0, "the exit status")
    lines = [json.loads(line) for line in open(f"{WORK}/log")]
    need({"time", "peer", "user", "method", "target", "status", "bytes", "seconds"} <= set(lines[-1]) and lines[-1]["user"] == "admin", f"{lines[-1:]}")
    need("secret" not in open(f"{WORK}/log").read(), "the password is in the log")


@test
def usage():
    for options, says in ((["--tls-cert", "x"], "belong together"), (["--port", "70000"], "1 to 65535"), (["--auth", "nobody"], "USER:PASSWORD"),
                          (["--port", str(server().port)], str(server().port)), (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "nowhere")):
        p = subprocess.run([MAGIC8, "serve", *options], capture_output=True, text=True, timeout=20)
        need(p.returncode in (1, 2) and p.stderr.count("\n") == 1 and says in p.stderr and not p.stdout, f"{options}: {p.returncode} {p.stderr!r}")


def main():
    for f in tests:
        if sys.argv[2:] and not any(a in f.__name__ for a in sys.argv[2:]):
            continue
        try:
            f()
            print(f"ok serve/{f.__name__}", flush=True)
        except Exception as e:
            why = re.sub(r"\s+", " ", f"{type(e).__name__}: {e}")
            print(f"not ok serve/{f.__name__}: {why[:400]}", flush=True)
    if shared:
        try:
            need(shared.stop() == 0, "the exit status")
            print("ok serve/stop")
        except Exception as e:
            print(f"not ok serve/stop: {e}")


main()
