"""soak.py SECONDS: visitors of all kinds for so long: echoes, generators, streams opened and dropped, uploads, cancels, readers that
stall or leave, requests that are broken. Memory and descriptors of the server (LAB_PID) must stay flat, and nothing may fail."""
import random, threading, time
from kit import *

SECONDS = int(next((a for a in sys.argv[1:] if a.isdigit()), 60))
sys.argv[1:] = []
counts, errors, lock = {}, [], threading.Lock()
end = time.monotonic() + SECONDS


def echo(dice):
    session = Session(LAB)
    for _ in range(dice.randint(1, 10)):
        text = "t" * dice.choice((1, 100, 20000))
        same(result(session.call(0, [text]))["output"]["data"], [text])


def generator(dice):
    same(result(Session(LAB).call(1, [3]))["output"]["data"][0], "0 1 2 ")


def dropped(dice):
    session = Session(LAB)
    session.join(1, [dice.randint(1, 30)])
    if dice.random() < 0.5:
        session.until("process_generating")
    session.close()


def heartbeats(dice):
    streams = [Events(LAB, f"/gradio_api/heartbeat/h{uuid.uuid4().hex[:8]}") for _ in range(20)]
    for stream in streams:
        same(stream.next(), (None, "ALIVE"))
    time.sleep(dice.random() / 2)
    for stream in streams:
        stream.close()


def files(dice):
    data = dice.randbytes(dice.choice((10, 5000, 300000)))
    path = upload(LAB, "soak.bin", data)
    need(get(LAB, f"/gradio_api/file={path}").body == data, "a file came back changed")
    done = result(Session(LAB).call(13, [file_data(path)]))
    need(done["success"], f"file_echo failed: {short(done)}")


def broken_upload(dice):
    kind, body = multipart([("files", "half.bin", b"x" * 50000)])
    with Conn(LAB) as conn:
        conn.request("POST", "/gradio_api/upload", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        conn.send(body[:dice.randint(0, 40000)])


def cancelled(dice):
    session = Session(LAB)
    event = session.join(1, [100])
    session.until("process_generating")
    same(
        post(LAB, "/gradio_api/cancel", {"session_hash": session.hash, "fn_index": 1, "event_id": event}).status, 200)
    need(len(session.rest()) < 8, "the generator went on after its cancel")


def staller(dice):
    """Asks for much and reads nothing for a while."""
    import socket
    session = Session(LAB)
    for _ in range(5):
        session.join(0, ["s" * 200000])
    conn = Conn(LAB)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    conn.request("GET", f"/gradio_api/queue/data?session_hash={session.hash}")
    time.sleep(dice.random() * 2)
    conn.close()


def sound(dice):
    session = Session(LAB)
    messages = session.call(17, [])
    url = result(messages)["output"]["data"][0]["path"]
    need(get(LAB, f"/gradio_api/stream/{url}").text().endswith("#EXT-X-ENDLIST\n"), "the playlist has no end")
    with Events(LAB, f"/gradio_api/heartbeat/{session.hash}") as stream:  # its end forgets the sound
        stream.next()


def errors_of_the_app(dice):
    for fn in (7, 8, 9):
        need(result(Session(LAB).call(fn, ["x"]))["success"] is False, "a failure succeeded")


def nonsense(dice):
    with Conn(LAB) as conn:
        conn.send(
            dice.choice((b"\x00" * 100, b"GET / HTTP/9\r\n\r\n",
                         b"POST /gradio_api/run/fast HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
                         b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")))
        if dice.random() < 0.5:
            conn.sock.settimeout(0.3)
            try:
                conn.sock.recv(1000)
            except OSError:
                pass


def pages(dice):
    for path in ("/", "/config", "/gradio_api/info"):
        same(get(LAB, path).status, 200, path)


KINDS = [
    echo, echo, generator, dropped, heartbeats, files, broken_upload, cancelled, staller, sound, errors_of_the_app,
    nonsense, pages
]


def visitor(number):
    dice = random.Random(number)
    while time.monotonic() < end:
        kind = dice.choice(KINDS)
        try:
            kind(dice)
        except Exception as error:
            with lock:
                errors.append(f"{kind.__name__}: {type(error).__name__} {error}")
        with lock:
            counts[kind.__name__] = counts.get(kind.__name__, 0) + 1


def server():
    """Resident bytes and open descriptors of the server and its children."""
    rss = fds = 0
    todo = [int(os.environ["LAB_PID"])]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/statm") as file:
                rss += int(file.read().split()[1]) * 4096
            fds += len(os.listdir(f"/proc/{pid}/fd"))
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                todo += [int(c) for c in file.read().split()]
        except OSError:
            pass
    return rss, fds


def slope(points):
    """Least squares, bytes a second."""
    n, mt, mv = len(points), sum(t for t, _ in points) / len(points), sum(v for _, v in points) / len(points)
    return sum((t - mt) * (v - mv) for t, v in points) / max(1e-9, sum((t - mt) ** 2 for t, _ in points))


def idle():
    """Once all visitors have gone: what stays."""
    time.sleep(2)
    return server()


threads = [threading.Thread(target=visitor, args=(i, ), daemon=True) for i in range(8)]
before = server() if os.environ.get("LAB_PID") else (0, 0)
for t in threads:
    t.start()
points, began = [], time.monotonic()
while time.monotonic() < end:
    time.sleep(min(1, SECONDS / 30))
    if os.environ.get("LAB_PID"):
        points.append((time.monotonic() - began, *server()))
for t in threads:
    t.join(30)


@test("nothing fails")
def _():
    need(not errors, lambda: f"{len(errors)} of {sum(counts.values())}; {errors[0]}")
    need(sum(counts.values()) > SECONDS, f"only {sum(counts.values())} visits")


@test("memory is flat")
def _():
    if not points:
        raise Skip("the server's process is not known (LAB_PID)")
    # what was sounded is kept for two minutes, sessions for an hour; the allocator's pools fill first
    late = [(t, rss) for t, rss, _ in points if t > SECONDS / 2]
    rise, rss = slope(late) * (late[-1][0] - late[0][0]), idle()[0]
    print(
        f"{sum(counts.values())} visits {counts}; memory {before[0] >> 10} KiB before, {points[len(points) // 2][1] >> 10} in the "
        f"middle, {points[-1][1] >> 10} at the end, {rss >> 10} idle; "
        f"{slope(late) * 3600 / 1048576:.1f} MiB an hour",
        file=sys.stderr)
    allowed = (8 << 20) + 2048 * sum(counts.values()) // 2
    need(rise < allowed, f"memory rose by {rise / 1048576:.1f} MiB in the last {late[-1][0] - late[0][0]:.0f} s")


@test("descriptors are flat")
def _():
    if not points:
        raise Skip("the server's process is not known (LAB_PID)")
    fds = idle()[1]
    print(f"descriptors: {before[1]} before, {max(f for _, _, f in points)} at most, {fds} idle", file=sys.stderr)
    need(fds <= before[1] + 5, f"{before[1]} before, {fds} after all visitors have gone")


@test("it still serves")
def _():
    same(post(LAB, "/gradio_api/run/fast", {"data": ["x"]}).json()["data"], ["fast x"])


main("soak")
