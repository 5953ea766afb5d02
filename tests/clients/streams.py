"""streams.py: 2,000 open event streams (heartbeats): at most 8 KiB of the server's memory each, given back after they are closed;
all get their first message, and the server answers meanwhile. LAB_PID is the server; it is not judged if that is unknown."""
import selectors, socket, time, uuid
from kit import *

STREAMS, MOST = 2000, 8192


def memory():
    """Private bytes of the server and its children: what the streams add is neither shared nor mapped from files."""
    total = 0
    for pid in family(int(os.environ["LAB_PID"])):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(
                    int(line.split()[1]) for line in file
                    if line.startswith(("Private_Dirty:", "Private_Clean:", "Swap:")))
        except OSError:
            pass
    return total * 1024


def family(pid):
    out = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            for child in file.read().split():
                out += family(int(child))
    except OSError:
        pass
    return out


def open_streams(n, socks):
    """n heartbeats, from 20 addresses, so that a limit for one address is not what is measured."""
    where, sel = address(LAB), selectors.DefaultSelector()
    alive = 0
    for i in range(n):
        sock = socket.create_connection(where, 10, (f"127.0.2.{i % 20 + 1}", 0))
        sock.sendall(
            f"GET /gradio_api/heartbeat/many{uuid.uuid4().hex[:10]} HTTP/1.1\r\nHost: {where[0]}:{where[1]}\r\n\r\n".
            encode())
        sock.setblocking(False)
        sel.register(sock, selectors.EVENT_READ, [b""])
        socks.append(sock)
    end = time.monotonic() + 60
    while sel.get_map() and time.monotonic() < end:
        for key, _ in sel.select(1):
            data = key.fileobj.recv(65536)
            key.data[0] += data
            if b"data: ALIVE" in key.data[0]:
                alive += 1
                sel.unregister(key.fileobj)
            elif not data:
                sel.unregister(key.fileobj)
    sel.close()
    return alive


def p95(n=100):
    times = []
    with Conn(LAB, 10) as conn:
        for _ in range(n):
            began = time.perf_counter()
            conn.request("GET", "/config")
            same(conn.reply().status, 200, "config: status")
            times.append(time.perf_counter() - began)
    return sorted(times)[int(n * 0.95)] * 1000


@test("2000 open streams")
def _():
    if not os.environ.get("LAB_PID"):
        raise Skip("the server's process is not known (LAB_PID)")
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < STREAMS + 100:
        raise Skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, STREAMS + 100), hard))
    socks = []
    try:
        open_streams(200, socks)  # what is made once, for the first of them, is not counted
        idle = p95()
        before = memory()
        alive = open_streams(STREAMS, socks)
        need(alive == STREAMS, f"{alive} of {STREAMS} streams got their first message")
        time.sleep(0.5)
        each, busy = (memory() - before) / STREAMS, p95()
    finally:
        for sock in socks:
            sock.close()
    print(
        f"{each:.0f} bytes a stream; p95 of /config {idle:.1f} ms before, {busy:.1f} ms with {STREAMS} streams open",
        file=sys.stderr)
    need(each <= MOST or ORACLE, f"{each:.0f} bytes of memory a stream, at most {MOST} are allowed")
    end = time.monotonic() + 10
    while memory() > before + 4 * MOST * 10 and time.monotonic() < end:
        time.sleep(0.2)
    more = memory() - before
    need(more <= STREAMS * 1024 or ORACLE, f"{more >> 10} KiB were not given back after the streams were closed")


main("streams")
