"""What the scripts in this folder share: a line for each test, HTTP by hand, sessions of the queue. Python's library only.

A script names its tests with @test("name") and ends with `main("prefix")`, which prints `ok prefix/name`, `not ok prefix/name: why`
or `skip prefix/name: why`. Servers come from the environment, as run.sh sets it: LAB, AUTH, IFACE and FULL are base URLs, LAB_PID the
process. With ORACLE=1 they are Gradio itself: a test marked `ours` demands what Gradio does not do, and is skipped there."""
import json, os, re, socket, sys, time, traceback, urllib.parse, uuid

ORACLE = os.environ.get("ORACLE") == "1"
LAB, AUTH, IFACE, FULL = (os.environ.get(name, "").rstrip("/") for name in ("LAB", "AUTH", "IFACE", "FULL"))
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
TIMEOUT = 20
tests = []


class Bad(Exception):
    """The server did not do what it must."""


class Skip(Exception):
    pass


def need(truth, why):
    if not truth:
        raise Bad(why() if callable(why) else why)


def same(got, want, what=""):
    need(got == want, lambda: f"{what + ': ' if what else ''}expected {short(want)}, got {short(got)}")


def short(value, limit=160):
    text = value if isinstance(value, str) else repr(value) if isinstance(value, bytes) else json.dumps(
        value, default=repr, ensure_ascii=False)
    return text if len(text) <= limit else text[:limit] + "…"


def test(name, ours=None):
    """ours: what Gradio does instead (a section of the notes or a case of the security list)."""
    def add(function):
        tests.append((name, function, ours))
        return function

    return add


def say(kind, name, why=""):
    why = re.sub(r"[\x00-\x1f\x7f]+", " ", str(why)).strip()
    print(f"{kind} {name}: {why[:400]}" if why else f"{kind} {name}", flush=True)


def main(prefix, after=lambda: None, falls_short=False):
    """Run the tests, those whose names contain an argument if there are arguments; `after` belongs to each of them. falls_short:
    what Gradio fails is told as skipped."""
    for name, function, ours in tests:
        full = f"{prefix}/{name}"
        if sys.argv[1:] and not any(a in full for a in sys.argv[1:]):
            continue
        if ours and ORACLE:
            say("skip", full, f"Gradio differs: {ours}")
            continue
        began = time.monotonic()
        try:
            function()
            after()
            say("ok", full)
        except Bad as bad:
            say("skip" if falls_short and ORACLE else "not ok", full,
                f"Gradio falls short: {bad}" if falls_short and ORACLE else bad)
        except Skip as skip:
            say("skip", full, skip)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            say("skip" if falls_short and ORACLE else "not ok", full,
                f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})")
        if os.environ.get("SLOW") and time.monotonic() - began > 1:
            print(f"  {time.monotonic() - began:.1f} s", flush=True)
    sys.stdout.flush()


def address(base):
    url = urllib.parse.urlsplit(base)
    return url.hostname, url.port


class Closed(Exception):
    """The connection ended before what was expected had come."""


class Reply:
    def __init__(self, status, headers, reason=""):
        self.status, self.headers, self.reason, self.body = status, headers, reason, b""

    def header(self, name, default=None):
        return next((v for k, v in self.headers if k == name), default)

    def all(self, name):
        return [v for k, v in self.headers if k == name]

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Bad(f"status {self.status}, and no JSON but {short(self.body)}")

    def text(self):
        return self.body.decode()


class Conn:
    """One connection, nothing hidden: send bytes, read a head, read a body. Times out by an exception (TimeoutError)."""
    def __init__(self, base, timeout=TIMEOUT, source=None):
        """source: a loopback address to come from, 127.0.0.2 for example; the server sees another visitor."""
        self.base, self.host = base, "%s:%d" % address(base)
        self.sock = socket.create_connection(address(base), timeout, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.left, self.chunked, self.done = b"", None, False, True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, headers=(), body=None):
        """headers: pairs, or a dict. Host and Content-Length are added unless they are given."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        names = {k.lower() for k, _ in headers}
        if "host" not in names:
            headers.insert(0, ("Host", self.host))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers) + "\r\n"
        self.send(head.encode("latin-1") + (body or b""))
        self.method = method

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("the server closed the connection")
        self.buf += data

    def line(self):
        while b"\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\n", 1)
        return line.rstrip(b"\r")

    def head(self):
        """The next reply's head; `100 Continue` is told by reply.continued."""
        continued = False
        while True:
            first = self.line().decode("latin-1")
            found = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: (.*))?", first)
            need(found, f"no status line but {short(first)}")
            headers = []
            while line := self.line():
                key, _, value = line.decode("latin-1").partition(":")
                headers.append((key.strip().lower(), value.strip()))
            reply = Reply(int(found[1]), headers, found[2] or "")
            if reply.status != 100:
                break
            continued = True
        reply.continued = continued
        self.chunked = "chunked" in (reply.header("transfer-encoding") or "").lower()
        length = reply.header("content-length")
        empty = getattr(self, "method", "GET") == "HEAD" or reply.status in (204, 304)
        self.left = 0 if empty else int(length) if length is not None else None
        self.done = self.left == 0 and (empty or not self.chunked)
        if self.chunked and not empty:
            self.left = 0
        return reply

    def piece(self):
        """The next bytes of the body; b"" at its end. Closed: it was broken off."""
        if self.done:
            return b""
        if self.chunked:
            if self.left == 0:
                self.left = int(self.line().split(b";")[0], 16)
                if self.left == 0:
                    while self.line():
                        pass
                    self.done = True
                    return b""
            if not self.buf:
                self.more()
            data, self.buf = self.buf[:self.left], self.buf[self.left:]
            self.left -= len(data)
            if self.left == 0:
                while len(self.buf) < 2:
                    self.more()
                need(self.buf[:2] == b"\r\n", "a chunk does not end with CR LF")
                self.buf = self.buf[2:]
            return data
        if not self.buf:
            try:
                self.more()
            except Closed:
                if self.left is not None:
                    raise
                self.done = True
                return b""
        if self.left is None:
            data, self.buf = self.buf, b""
        else:
            data, self.buf = self.buf[:self.left], self.buf[self.left:]
            self.left -= len(data)
            self.done = self.left == 0
        return data

    def reply(self, method="GET"):
        reply = self.head()
        while data := self.piece():
            reply.body += data
        return reply


def ask(base, method, path, headers=(), body=None, timeout=TIMEOUT, source=None):
    """One request on a connection of its own. A dict or list as body is sent as JSON."""
    headers = list(headers.items() if isinstance(headers, dict) else headers)
    if body is not None and not isinstance(body, (bytes, str)):
        headers.append(("Content-Type", "application/json"))
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    if method in ("POST", "PUT", "PATCH") and body is None:
        body = b""
    with Conn(base, timeout, source) as conn:
        conn.request(method, path, headers, body)
        return conn.reply()


def get(base, path, headers=()):
    return ask(base, "GET", path, headers)


def post(base, path, body=None, headers=()):
    return ask(base, "POST", path, headers, body)


def in_page(text, name):
    """A value that the page's script sets, `window.NAME = JSON`: as it stands there, and what it is. (None, None): there is none."""
    found = re.search(r"window\." + name + r"\s*=\s*", text)
    if not found:
        return None, None
    value, end = json.JSONDecoder().raw_decode(text, found.end())
    return text[found.end():end], value


def multipart(parts, boundary="----lab7MA4YWxkTrZu0gW"):
    """parts: (field, file name or None, bytes[, content type]) -> (content type, body)"""
    body = b""
    for field, filename, data, *kind in parts:
        name = f'; filename="{filename}"' if filename is not None else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{name}\r\n'.encode()
        body += (f"Content-Type: {kind[0]}\r\n" if kind else "").encode() + b"\r\n" + data + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def upload(base, name, data, query="", headers=(), kind="application/octet-stream"):
    """Upload one file, return its path on the server."""
    kind, body = multipart([("files", name, data, kind)])
    reply = post(base, f"/gradio_api/upload{query}", body, [("Content-Type", kind), *headers])
    same(reply.status, 200, f"upload of {name}, {short(reply.body)}: status")
    paths = reply.json()
    need(
        isinstance(paths, list) and len(paths) == 1 and isinstance(paths[0], str),
        f"upload of {name}: {short(paths)}")
    return paths[0]


def file_data(path, name=None, **more):
    return {"path": path, "orig_name": name or path.rsplit("/", 1)[-1], **more, "meta": {"_type": "gradio.FileData"}}


class Events:
    """An event stream that is open. next() gives the next `data:` as JSON with its `event:` name, or None at the clean end."""
    def __init__(self, base, path, headers=(), timeout=TIMEOUT):
        self.conn = Conn(base, timeout)
        self.conn.request("GET", path, headers)
        self.reply = self.conn.head()
        self.buf = b""

    def block(self):
        while b"\n\n" not in self.buf:
            data = self.conn.piece()
            if not data:
                need(not self.buf, f"the stream ends within a message: {short(self.buf)}")
                return None
            self.buf += data
        block, self.buf = self.buf.split(b"\n\n", 1)
        return block.decode()

    def next(self):
        """(event name or None, value) or None"""
        block = self.block()
        if block is None:
            return None
        name, value = None, None
        for line in block.split("\n"):
            key, _, text = line.partition(":")
            if key == "event":
                name = text.strip()
            elif key == "data":
                need(value is None, f"two data lines in one message: {short(block)}")
                try:
                    value = json.loads(text)
                except ValueError:
                    value = text.strip()
            else:
                raise Bad(f"neither event: nor data: {short(line)}")
        return name, value

    def timeout(self, seconds):
        self.conn.sock.settimeout(seconds)

    def close(self):
        self.conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    """A client's session: join, then read the messages."""
    def __init__(self, base, headers=(), session=None):
        self.base, self.headers, self.hash, self.stream = base, list(
            headers), session or "s" + uuid.uuid4().hex[:10], None

    def join(self, fn, data, **more):
        reply = post(self.base, "/gradio_api/queue/join?",
                     {"data": data, "fn_index": fn, "session_hash": self.hash, **more}, self.headers)
        same(reply.status, 200, f"join of {fn}, {short(reply.body)}: status")
        return reply.json()["event_id"]

    def open(self, timeout=TIMEOUT):
        if not self.stream:
            self.stream = Events(self.base, f"/gradio_api/queue/data?session_hash={self.hash}", self.headers, timeout)
            same(self.stream.reply.status, 200, "queue/data: status")
        return self.stream

    def message(self):
        """The next message but heartbeats; None when the stream has ended."""
        while True:
            event = self.open().next()
            if event is None:
                self.close()
                return None
            need(isinstance(event[1], dict), f"a message that is no object: {short(event)}")
            if event[1].get("msg") != "heartbeat":
                return event[1]

    def rest(self):
        messages = []
        while message := self.message():
            messages.append(message)
        return messages

    def call(self, fn, data, **more):
        """All messages of one event, to the end of the stream."""
        self.join(fn, data, **more)
        return self.rest()

    def until(self, msg):
        """Messages up to one of this kind."""
        messages = []
        while message := self.message():
            messages.append(message)
            if message["msg"] == msg:
                return messages
        raise Bad(f"the stream ended without {msg}: {short(messages)}")

    def close(self):
        if self.stream:
            self.stream.close()
        self.stream = None


def result(messages):
    """The output of the process_completed among the messages."""
    done = [m for m in messages if m["msg"] == "process_completed"]
    need(len(done) == 1, f"expected one process_completed: {short(messages, 400)}")
    return done[0]


def undiff(value, edits):
    """Apply the edits of a process_generating to the value before."""
    import copy
    value = copy.deepcopy(value)
    for action, path, new in edits:
        if not path:
            value = value + new if action == "append" else new
            continue
        at = value
        for key in path[:-1]:
            at = at[key]
        key = path[-1]
        if action == "replace":
            at[key] = new
        elif action == "append":
            at[key] += new
        elif action == "add":
            at.insert(key, new) if isinstance(at, list) else at.__setitem__(key, new)
        elif action == "delete":
            del at[key]
        else:
            raise Bad(f"unknown edit {action}")
    return value


def wait(name, seconds=90):
    """Until the server of that name (LAB, ...) answers, or has ended."""
    base, end = os.environ[name], time.monotonic() + seconds
    while True:
        try:
            if get(base, "/gradio_api/app_id").status:
                return
        except (OSError, Closed):
            pass
        with open(f"/proc/{os.environ[name + '_PID']}/stat") as file:
            need(file.read().rsplit(")", 1)[1].split()[0] != "Z", f"{name} has ended")
        need(time.monotonic() < end, f"{base} does not answer")
        time.sleep(0.05)
