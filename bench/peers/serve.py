#!/usr/bin/env python3
"""Gradio 6.31 under the load of `magic8 bench serve`, one turn, about 40 s: the last line is a JSON object of figures under the same names.
The server is gradio_app.py, run by $GRADIO_PYTHON (default: the environment of tests/clients/setup.sh oracle); needs ffmpeg. The load, with
Python's library only, takes 7 to 15 % of a core beside it; Gradio is held by one core, so it is not slowed down by that.
  serve.py                        starts Gradio
  serve.py COMMAND [ARGUMENT...]  starts COMMAND ARGUMENT... PORT instead: `serve.py build/app/magic8 bench app`"""
import asyncio, contextlib, json, os, pathlib, resource, signal, socket, subprocess, sys, time, urllib.parse, urllib.request, uuid

SESSIONS, STREAMS, PATIENCE = 8, 2000, 60
TEXT_OF_500 = sum(len(f"word{i} ") for i in range(500))
now, TICK, PAGE = time.perf_counter, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def part(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# --- a client ---

class Conn(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection. After send(), the body must be read to its end."""
    def __init__(self):
        self.buf, self.waiter, self.ended = bytearray(), None, False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buf += data
        self.wake()

    def connection_lost(self, _):
        self.ended = True
        self.wake()

    def wake(self):
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    async def more(self):
        if self.ended:
            raise ConnectionError("the server closed the connection")
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    async def until(self, mark):
        while (i := self.buf.find(mark)) < 0:
            await self.more()
        return self.take(i + len(mark))[:i]

    async def exactly(self, n):
        while len(self.buf) < n:
            await self.more()
        return self.take(n)

    def take(self, n):
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    async def send(self, request):
        """-> status"""
        self.transport.write(request)
        status, *lines = (await self.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        head = {k.lower(): v.strip().lower() for k, v in (line.split(":", 1) for line in lines)}
        self.chunked = "chunked" in head.get("transfer-encoding", "")
        self.length = int(head.get("content-length", 0))
        self.last = head.get("connection") == "close"
        return int(status.split()[1])

    async def body(self):
        """The pieces of the body as they come."""
        if self.chunked:
            while n := int((await self.until(b"\r\n")).split(b";")[0], 16):
                yield (await self.exactly(n + 2))[:n]
            while await self.until(b"\r\n"):
                pass
        else:
            yield await self.exactly(self.length)
        if self.last:
            self.transport.close()
            self.ended = True


class Visitor:
    """One session: its own hash, one connection."""
    def __init__(self, server):
        self.server, self.conn, self.hash = server, None, uuid.uuid4().hex[:11]

    async def send(self, method, path, body=None):
        port = self.server.port
        if self.conn is None or self.conn.ended:
            _, self.conn = await asyncio.get_running_loop().create_connection(Conn, "127.0.0.1", port)
        data = json.dumps(body).encode() if body is not None else b""
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if body is not None else ""
        return await self.conn.send(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{kind}\r\n".encode() + data)

    async def ask(self, method, path, body=None):
        status = await self.send(method, path, body)
        text = b"".join([piece async for piece in self.conn.body()])
        if status != 200:
            raise ConnectionError(f"{method} {path}: {status} {text[:100]}")
        return text

    async def call(self, name, *args):
        """Join the queue, read the stream until it ends -> the event's messages."""
        join = {"data": list(args), "fn_index": self.server.fns[name], "session_hash": self.hash}
        event = json.loads(await self.ask("POST", "/gradio_api/queue/join", join))["event_id"]
        if await self.send("GET", f"/gradio_api/queue/data?session_hash={self.hash}") != 200:
            raise ConnectionError("queue/data refused")
        rest, done = b"", False
        async for piece in self.conn.body():
            *lines, rest = (rest + piece).split(b"\n\n")
            for line in lines:
                message = json.loads(line.removeprefix(b"data:"))
                if message["msg"] == "unexpected_error" or message.get("success") is False:
                    raise ConnectionError(str(message)[:200])
                if message.get("event_id") == event:
                    done = done or message["msg"] == "process_completed"
                    yield message
        if not done:
            raise ConnectionError("the stream ended early")

    def close(self):
        if self.conn:
            self.conn.transport.abort()


# --- the server's process ---

def tree(pid):
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    out = [pid]
    for one in out:
        out += [child for child, parent in parents.items() if parent == one]
    return out


class Server:
    def __init__(self, command):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        begin = now()
        self.process = subprocess.Popen([*command, str(self.port)], start_new_session=True, stdout=subprocess.DEVNULL)
        while now() - begin < PATIENCE and self.process.poll() is None:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/config", timeout=5) as r:
                    self.fns = {d["api_name"]: d["id"] for d in json.load(r)["dependencies"]}
                self.startup_s = now() - begin
                return
            time.sleep(0.002)
        self.stop()
        sys.exit(f"{command[0]}: no /config")

    def stop(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)

    def cpu(self):
        """Seconds of processor time so far, with children, ended or not (ffmpeg)."""
        total = 0
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):
                total += sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:15]))
        return total / TICK

    def rss(self):
        return sum(int(open(f"/proc/{pid}/statm").read().split()[1]) for pid in tree(self.process.pid)) * PAGE


# --- the load; the order and the sizes are those of app/bench_serve.c ---

async def load(s, n, task, seconds):
    """n visitors do their task over and over -> seconds each took, seconds of all, the server's processor time"""
    took, begin, cpu = [], now(), s.cpu()

    async def one():
        v = Visitor(s)
        while now() - begin < seconds:
            start = now()
            await task(v)
            took.append(now() - start)
        v.close()
    await asyncio.gather(*(one() for _ in range(n)))
    return took, now() - begin, s.cpu() - cpu


async def echo(v):
    text = f"Magic 8 Ball, should I get a dog? {v.hash}"
    async for m in v.call("echo", text):
        if m["msg"] == "process_completed" and m["output"]["data"] != [text]:
            raise ConnectionError(f"wrong answer: {m}")


async def config(v):
    await v.ask("GET", "/config")


async def echo_alone(s):
    v, took = Visitor(s), []
    for i in range(210):
        start = now()
        await echo(v)
        took.append(1000 * (now() - start))
    v.close()
    return {"echo_p50_ms": part(took[10:], .5)}


async def config_8(s):
    took, wall, cpu = await load(s, SESSIONS, config, 4)
    return {"config_per_s": len(took) / wall, "config_cpu_ms": 1000 * cpu / len(took)}


async def streams(s):
    idle, held, gate = s.rss(), [], asyncio.Semaphore(64)

    async def hold():
        async with gate:
            v = Visitor(s)
            if await v.send("GET", f"/gradio_api/heartbeat/{v.hash}") != 200:
                raise ConnectionError("heartbeat refused")
            await anext(v.conn.body())
            held.append(v)
    await asyncio.gather(*(hold() for _ in range(STREAMS)))
    await asyncio.sleep(1)
    out = {"rss_idle_mib": idle / 2**20, "stream_bytes": (s.rss() - idle) / STREAMS}
    took, _, _ = await load(s, SESSIONS, config, 3)
    for v in held:
        v.close()
    await asyncio.sleep(3)
    return out | {"config_p95_ms": 1000 * part(took, .95), "stream_bytes_left": (s.rss() - idle) / STREAMS}


async def echo_8(s):
    took, wall, cpu = await load(s, SESSIONS, echo, 4)
    return {"echo_per_s": len(took) / wall, "echo_cpu_ms": 1000 * cpu / len(took)}


async def count(s):
    events = 0

    async def one(v):
        nonlocal events
        async for m in v.call("count"):
            events += m["msg"] == "process_generating"
            if m["msg"] == "process_completed" and len(m["output"]["data"][0]) != TEXT_OF_500:
                raise ConnectionError("wrong text")
    v = Visitor(s)
    await one(v)
    v.close()
    events = 0
    _, wall, cpu = await load(s, 1, one, 2)
    return {"count_events_per_s": events / wall, "count_cpu_ms": 1000 * cpu / events}


async def tone(s, runs=6):
    """The first chunk: from the time the app handed it over to its segment read by way of the playlist, asked for from its message on."""
    segment, later = [], []

    async def listen(url, handed):
        v, base = Visitor(s), urllib.parse.urlsplit(url).path
        for _ in range(20000):
            names = [x for x in (await v.ask("GET", base)).decode().splitlines() if x and not x.startswith("#")]
            if names:
                if not await v.ask("GET", urllib.parse.urljoin(base, names[0])):
                    raise ConnectionError("empty segment")
                segment.append(1000 * (time.monotonic() - handed))
                break
            await asyncio.sleep(0.0005)
        v.close()
    for turn in range(-1, runs):
        if turn == 0:
            segment, later, cpu = [], [], s.cpu()
        v, task = Visitor(s), None
        async for m in v.call("tone"):
            if m["msg"] != "process_generating":
                continue
            sound, handed = m["output"]["data"]
            handed = float(handed if isinstance(handed, str) else handed[0][2])  # later ones are [["replace", [], "12.5"]]
            if task:
                later.append(1000 * (time.monotonic() - handed))
            else:
                task = asyncio.create_task(listen(sound["url"], handed))
        await task
        v.close()
    return {"tone_segment_ms": part(segment, .5), "tone_later_ms": part(later, .5), "tone_cpu_ms": 1000 * (s.cpu() - cpu) / (4 * runs)}


async def measure(s):
    out = {"startup_s": s.startup_s}
    for one in (echo_alone, config_8, streams, echo_8, count, tone):
        out |= await asyncio.wait_for(one(s), PATIENCE)
        print(one.__name__, out, file=sys.stderr)
    return out


def main():
    if sys.argv[1:2] == ["--help"]:
        return print(__doc__)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cache = os.environ.get("MAGIC8_TEST_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "magic8-test")
    python = os.environ.get("GRADIO_PYTHON") or os.path.join(cache, "oracle", "bin", "python")
    if len(sys.argv) == 1 and not os.path.exists(python):
        sys.exit(f"{python}: not there; run tests/clients/setup.sh oracle, or set GRADIO_PYTHON")
    s = Server(sys.argv[1:] or [python, str(pathlib.Path(__file__).parent / "gradio_app.py")])
    try:
        figures = asyncio.run(measure(s))
    finally:
        s.stop()
    print(json.dumps({k: round(v, 5) for k, v in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
