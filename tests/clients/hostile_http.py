"""hostile_http.py: cases E of security.py: the HTTP layer."""
import gzip, re, threading, time
from hostile import *

SMUGGLED = b"GET /gradio_api/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@test("E1 smuggling")
def _():
    post_head = lambda *lines: head("POST", f"{API}/run/fast", "Content-Type: application/json", *lines)
    zero = b"0\r\n\r\n"
    for what, data in (("length and chunked", post_head("Content-Length: 6", "Transfer-Encoding: chunked") + zero +
                        SMUGGLED), ("chunked and length",
                                    post_head("Transfer-Encoding: chunked", "Content-Length: 6") + zero + SMUGGLED),
                       ("two lengths", post_head("Content-Length: 5", "Content-Length: 0") + zero + SMUGGLED),
                       ("a blank before the colon", post_head("Transfer-Encoding : chunked") + zero +
                        SMUGGLED), ("xchunked", post_head("Transfer-Encoding: xchunked") + zero + SMUGGLED),
                       ("chunked twice", post_head("Transfer-Encoding: chunked, chunked") + zero + SMUGGLED),
                       ("chunked, then identity",
                        post_head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + zero + SMUGGLED),
                       ("gzip, chunked", post_head("Transfer-Encoding: gzip, chunked") + zero + SMUGGLED),
                       ("bare LF", b"GET /gradio_api/app_id HTTP/1.1\nHost: 127.0.0.1\nX: y\n\n" + SMUGGLED),
                       ("folded line", head("GET", "/gradio_api/app_id", "X-A: b\r\n c") +
                        SMUGGLED), ("folded length", post_head("Content-Length:\r\n 5") + zero + SMUGGLED),
                       ("NUL in a value", head("GET", "/gradio_api/app_id", "X: a\x00b") +
                        SMUGGLED), ("NUL in a name", head("GET", "/gradio_api/app_id", "X\x00: b") + SMUGGLED),
                       ("bare CR in a value", head("GET", "/gradio_api/app_id", "X: a\rTransfer-Encoding: chunked") +
                        SMUGGLED), ("no colon", head("GET", "/gradio_api/app_id", "garbage") +
                                    SMUGGLED), ("empty name", head("GET", "/gradio_api/app_id", ": x") + SMUGGLED),
                       ("blank first line", b" GET /gradio_api/app_id HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" +
                        SMUGGLED), ("two hosts", head("GET", "/gradio_api/app_id", "Host: localhost") +
                                    SMUGGLED), ("no host", head("GET", "/gradio_api/app_id", host=False) + SMUGGLED),
                       ("bad chunk size", post_head("Transfer-Encoding: chunked") + b"zz\r\nx\r\n" + zero + SMUGGLED),
                       ("negative chunk size", post_head("Transfer-Encoding: chunked") + b"-1\r\nx\r\n" + zero +
                        SMUGGLED), ("chunk size 0x",
                                    post_head("Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n" + zero + SMUGGLED),
                       ("chunk too long", post_head("Transfer-Encoding: chunked") + b"2\r\nhello\r\n" + zero +
                        SMUGGLED), ("chunks by LF",
                                    post_head("Transfer-Encoding: chunked") + b"5\nhello\n0\n\n" + SMUGGLED),
                       ("chunked in HTTP/1.0",
                        post_head("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0") + zero + SMUGGLED)):
        replies, closed = raw(LAB, data, 3)
        need(replies or closed, f"{what}: no answer, and the connection stays open")
        need(not any(b"smuggled" in r.body for r in replies) and len(replies) <= 1,
             f"{what}: what follows was taken as a request: {[r.status for r in replies]}")
        need(not replies or 400 <= replies[0].status < 500 or replies[0].status == 501,
             f"{what}: expected 400, got {replies and replies[0].status}")
        need(closed, f"{what}: the connection was not closed")


@test("E1 pipelined requests are answered in order")
def _():
    replies, _ = raw(
        LAB,
        head("GET", f"{API}/app_id") + head("GET", "/nope") + head("GET", f"{API}/user", "Connection: close"))
    same([r.status for r in replies], [200, 404, 200])


@test("E2 sizes")
def _():
    long = b"x" * 1000000
    trickle = lambda body: head("POST", f"{API}/run/fast", "Content-Type: application/json",
                                "Transfer-Encoding: chunked") + body
    refused(LAB, head("GET", "/config", "X: " + "y" * 65536), 431, 400, what="a header of 64 KB")
    refused(LAB, head("GET", "/config", *[f"X-{i}: y" for i in range(10000)]), 431, 400, what="10,000 headers")
    refused(LAB, head("GET", "/config", *[f"X-{i}: y" for i in range(200)]), 431, 400, what="200 headers")
    refused(LAB, b"GET /" + long + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414, 431, 400, what="a target of 1 MB")
    refused(LAB, long, what="1 MB without a line")
    refused(LAB, trickle(b"0\r\nX: " + long + b"\r\n\r\n"), what="a trailer of 1 MB")
    refused(LAB, trickle(b"0\r\n" + b"X: y\r\n" * 150000 + b"\r\n"), what="150,000 trailers")
    refused(LAB, trickle(b"5;" + long + b"\r\nhello\r\n0\r\n\r\n"), what="a chunk extension of 1 MB")
    for size in (b"FFFFFFFFFFFFFFFF1", b"FFFFFFFFFFFFFFFF", b"7FFFFFFFFFFFFFFF", b"0" * 100 + b"5"):
        refused(LAB, trickle(size + b"\r\nhello\r\n0\r\n\r\n"), 400, 413, what=f"a chunk of {size.decode()[:20]}")


@test("E3 a crowd of slow clients")
def _():
    conns = []
    try:
        for i in range(400):
            try:
                conn = Conn(LAB, 5, source=f"127.0.1.{i % 8 + 1}")
            except OSError:
                break  # it takes no more of them: also good
            conns.append(conn)
            try:
                if i % 4 == 0:
                    conn.send(b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
                elif i % 4 == 1:
                    conn.send(
                        head("POST", f"{API}/run/fast", "Content-Type: application/json", "Content-Length: 5000") +
                        b"{")
                elif i % 4 == 2:
                    conn.send(head("GET", "/config") * 20)  # and reads nothing
            except OSError:
                pass
        need(len(conns) > 100, f"only {len(conns)} connections were taken")
        for _ in range(5):
            began = time.monotonic()
            same(ask(LAB, "GET", "/config", source="127.0.0.8").status, 200, "an ordinary request meanwhile: status")
            need(time.monotonic() - began < 2, f"an ordinary request took {time.monotonic() - began:.1f} s")
    finally:
        for conn in conns:
            conn.close()


@test("E4 unknown sessions")
def _():
    began = time.monotonic()
    for i in range(50):
        with Events(LAB, f"{API}/queue/data?session_hash=unknown{i}", timeout=5) as stream:
            if stream.reply.status == 200:
                event = stream.next()
                need(event and event[1].get("session_not_found") is True, short(event))
            else:
                need(stream.reply.status in (404, 429), f"{stream.reply.status}")
    need(time.monotonic() - began < 10, "they are not closed at once")


@test("E5 splitting")
def _():
    for target in ("/%0d%0aX-Evil:%201", "/config?x=%0d%0aX-Evil:%201", f"{API}/file=%0d%0aX-Evil:%201",
                   "/login?%0d%0aX-Evil:1", "/static/%0d%0aX-Evil:%201", f"{API}/call/%0d%0aX-Evil:1/x"):
        replies, _ = raw(LAB, head("GET", target, "Connection: close"))
        need(replies and replies[0].header("x-evil") is None, f"{target}: a header was made")
        need(replies[0].status < 500, f"{target}: {replies[0].status}")
    for line in ("Origin: http://localhost:3000\u000bX", "Origin: http://localhost%0d%0aX-Evil: 1",
                 "X-Request-Id: a%0d%0aX-Evil: 1"):
        replies, _ = raw(LAB, head("GET", "/config", line, "Connection: close"))
        need(not replies or replies[0].header("x-evil") is None, f"{line}: a header was made")


@test("E6 methods and other protocols")
def _():
    for method in ("TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "FOO", "get", "GETT", "PROPFIND"):
        replies, closed = raw(LAB,
                              head(method, "/config", "Connection: close", "Content-Length: 0", "X-Secret: echo-me"),
                              3,
                              method=method)
        need(closed or replies, f"{method}: nothing happens")
        need(not replies or 400 <= replies[0].status < 500 or replies[0].status == 501,
             f"{method}: expected 405, got {replies[0].status if replies else ''}")
        need(not replies or b"echo-me" not in replies[0].body, f"{method}: the request came back")
    for what, data in (("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
                       ("TLS", bytes.fromhex("16030100c8010000c40303") + b"\x01" * 200), ("HTTP/0.9",
                                                                                          b"GET /config\r\n\r\n"),
                       ("HTTP/3.7", b"GET /config HTTP/3.7\r\nHost: 127.0.0.1\r\n\r\n"), ("SSH",
                                                                                          b"SSH-2.0-OpenSSH_9.2\r\n"),
                       ("CONNECT", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n"),
                       ("absolute target", b"GET http://evil.example/config HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                       ("OPTIONS *", b"OPTIONS * FTP/1.1\r\n\r\n")):
        conn = Conn(LAB, 12)  # at the latest, the time for a head is over
        try:
            conn.send(data)
            answer = b""
            while piece := conn.sock.recv(4096):
                answer += piece
                if b"\r\n\r\n" in answer:
                    break
        except TimeoutError:
            raise Bad(f"{what}: no answer, and the connection stays open")
        except OSError:
            answer = b""
        finally:
            conn.close()
        need(not answer or re.match(rb"HTTP/1\.[01] (4|50[15])", answer), f"{what}: {short(answer[:60])}")


@test("E7 compressed bodies")
def _():
    body = gzip.compress(b'{"data": ["' + b"x" * 10000000 + b'"]}')
    for coding in ("gzip", "deflate", "br", "zstd"):
        reply = ask(LAB, "POST", f"{API}/run/fast", JSON + [("Content-Encoding", coding)], body)
        same(reply.status, 415, f"{coding}: status")


@test("E8 a flood of joins")
def _():
    statuses, slowest = [], 0
    for i in range(100):
        began = time.monotonic()
        reply = post(FULL, f"{API}/queue/join", {"data": [0.2], "fn_index": 0, "session_hash": f"flood{i}"})
        slowest = max(slowest, time.monotonic() - began)
        statuses.append(reply.status)
    need(
        set(statuses) <= {200, 503, 429} and statuses.count(503) + statuses.count(429) >= 80,
        f"statuses {({s: statuses.count(s) for s in set(statuses)})}")
    need(slowest < 1, f"a refusal took {slowest:.1f} s")
    end = time.monotonic() + 15
    while (reply := post(FULL, f"{API}/call/slow", {"data": [0.01]})).status == 503 and time.monotonic() < end:
        time.sleep(0.2)
    same(reply.status, 200, "a call after the flood: status")


class Slow(threading.Thread):
    """A head, and a body, that come so slowly that the server must give up. Runs beside the other tests."""
    def run(self):
        self.took = {}
        conns = {"head": Conn(LAB, 60), "body": Conn(LAB, 60)}
        conns["head"].send(b"GET /config HTTP/1.1\r\nHost: x")
        conns["body"].send(
            head("POST", f"{API}/run/fast", "Content-Type: application/json", "Content-Length: 1000") + b"{")
        began = time.monotonic()
        threads = [threading.Thread(target=self.watch, args=(n, c, began)) for n, c in conns.items()]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def watch(self, name, conn, began):
        conn.sock.settimeout(2)
        while time.monotonic() - began < 40:
            try:
                if not conn.sock.recv(4096):
                    break
            except TimeoutError:
                try:
                    conn.send(b"y")
                except OSError:
                    break
            except OSError:
                break
        else:
            return
        self.took[name] = time.monotonic() - began


@test("E3 a head and a body that never end")
def _():
    slow.join(50)
    for name, limit in (("head", 20), ("body", 40)):
        need(name in slow.took, f"{name}: after 40 s the connection is still open")
        need(slow.took[name] < limit, f"{name}: closed after {slow.took[name]:.0f} s")
