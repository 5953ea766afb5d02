"""hostile_uploads.py: cases B of security.py: uploads and multipart."""
import os, time
from hostile import *


@test("B1 junk before and after the boundaries")
def _():
    for what, junk in (("dashes", b"-" * 1000000), ("CR LF", b"\r\n" * 500000), ("letters", b"x" * 1000000),
                       ("CR", b"\r" * 1000000), ("half boundaries", b"\r\n--" * 250000)):
        for where, body in (("before", junk + b"\r\n" + PART + b"x\r\n--b--\r\n"),
                            ("after", PART + b"x\r\n--b--\r\n" + junk), ("after the last dash",
                                                                         PART + b"x\r\n--b" + junk)):
            began = time.monotonic()
            refused(LAB, upload_raw(body), what=f"{what} {where}")
            need(time.monotonic() - began < 1.5, f"{what} {where}: it took {time.monotonic() - began:.1f} s")


@test("B1 half boundaries in a file are content")
def _():
    data = b"\r\n--" * 100000 + b"\r\n--" + b"-" * 1000 + b"\r\n-\r\n--c"
    began = time.monotonic()
    same(get(LAB, f"{API}/file={upload(LAB, 'dashes.bin', data)}").body == data, True, "it came back as it was")
    need(time.monotonic() - began < 2, f"it took {time.monotonic() - began:.1f} s")


@test("B2 boundaries")
def _():
    for boundary in ("", '"', '""', "x" * 10000, "a\x00b", '"a', "a;b", "a b c" * 100):
        kind = f"Content-Type: multipart/form-data; boundary={boundary}"
        body = b"--" + boundary.encode(
            "latin-1"
        ) + b'\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n--' + boundary.encode(
            "latin-1") + b"--\r\n"
        if boundary in ("a;b", "a b c" * 100):
            continue
        refused(LAB,
                head("POST", f"{API}/upload", kind, f"Content-Length: {len(body)}") + body,
                what=f"boundary {short(boundary, 20)}")
    refused(LAB,
            head("POST", f"{API}/upload", "Content-Type: multipart/form-data", "Content-Length: 3") + b"xxx",
            what="no boundary")


@test("B2 broken parts")
def _():
    end = b"\r\n--b--\r\n"
    for what, body in (
        ("no headers", b"--b\r\n\r\nx" + end),
        ("no blank line", b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"' + end),
        ("head without end", b'--b\r\nContent-Disposition: form-data; name="fil'),
        ("no colon", b"--b\r\nContent-Disposition\r\n\r\nx" + end), ("no last boundary",
                                                                     PART + b"x"), ("no boundary at all",
                                                                                    b"hello"), ("empty", b""),
        ("NUL in a header",
         b'--b\r\nContent-Disposition: form-data; name="files"; filename="a\x00"\r\nX\x00: y\r\n\r\nx' + end)):
        refused(LAB, upload_raw(body), what=what)


@test("B3 heads of parts")
def _():
    refused(LAB,
            upload_raw(b"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\nX: " +
                       b"y" * 1000000 + b"\r\n\r\nx\r\n--b--\r\n"),
            what="a header of 1 MB")
    refused(LAB,
            upload_raw(b"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n" +
                       b"X: y\r\n" * 50000 + b"\r\nx\r\n--b--\r\n"),
            what="50,000 headers")
    refused(LAB,
            upload_raw(b"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"" + b"y" * 9000 +
                       b"\"\r\n\r\nx\r\n--b--\r\n"),
            200,
            *range(400, 500),
            what="a name of 9 kB")


def endless(base, path, kind, prefix, chunk=b"x" * 16384, most=64 << 20):
    """Send a chunked body until an answer comes; the reply (None: closed) and how many bytes went out."""
    with Conn(base, 5) as conn:
        conn.send(
            f"POST {path} HTTP/1.1\r\nHost: {conn.host}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            .encode())
        sent = 0
        conn.method = "POST"
        try:
            for piece in [prefix] + [chunk] * (most // len(chunk)):
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += len(piece)
                conn.sock.setblocking(False)
                try:
                    conn.buf += conn.sock.recv(65536)
                except BlockingIOError:
                    pass
                conn.sock.settimeout(5)
                if conn.buf:
                    break
            return conn.reply(), sent
        except (ConnectionError, Closed):
            if conn.buf:
                return conn.reply(), sent
            return None, sent


@test("B4 one limit under all routes")
def _():
    for path, kind, prefix in ((f"{API}/upload", "multipart/form-data; boundary=b",
                                PART), (f"{API}/queue/join", "application/json",
                                        b'{"data": ["'), (f"{API}/call/slow", "application/json", b'{"data": ["'),
                               (f"{API}/run/slow", "application/json",
                                b'{"data": ["'), (f"{API}/cancel", "application/json", b'{"session_hash": "'),
                               (f"{API}/reset", "application/json",
                                b'{"event_id": "'), (f"{API}/stream/{'0' * 32}", "application/json", b'{"data": ["'),
                               ("/login", "application/x-www-form-urlencoded", b"username=")):
        reply, sent = endless(FULL, path, kind, prefix)
        need(sent < 32 << 20, f"{path}: {sent >> 20} MB were read")
        need(reply is None or reply.status in (413, 404, 400, 302, 401),
             f"{path}: expected 413, got {reply and reply.status}")
        need(path != f"{API}/upload" or reply is None or reply.status == 413,
             f"upload: expected 413, got {reply and reply.status}")


@test("B5 lengths")
def _():
    body = b'{"data": ["x"]}'
    for value in ("-1", "+2", "2,2", "9223372036854775808", "18446744073709551616", "", "0x10", "1e3", "15 ", "1 5",
                  "٣", "15;x"):
        if value == "15 ":
            continue  # blanks at the end of a value are allowed
        lines = ["Content-Type: application/json", f"Content-Length: {value}".encode().decode("latin-1")]
        refused(LAB, head("POST", f"{API}/call/echo", *lines) + body, 400, 411, 413, what=f"length {value}")


@test("B6 other ways to name")
def _():
    body = b"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"good.txt\"; filename*=UTF-8''..%2fevil.txt\r\n\r\nx\r\n--b--\r\n"
    replies, _ = raw(LAB, upload_raw(body, more=("Connection: close", )))
    need(
        replies
        and (replies[0].status == 400 or replies[0].status == 200 and replies[0].json()[0].endswith("/good.txt")),
        f"filename*: {replies and short(replies[0].body)}")
    reply = post(AUTH, "/login", b"username=admin;password=secret",
                 [("Content-Type", "application/x-www-form-urlencoded")])
    need(reply.status in (400, 422), f"a login with ; between its fields: {reply.status}")
    reply = get(LAB, f"{API}/queue/data?a=1;session_hash=x")
    same(reply.status, 422, "a query with ; between its fields: status")


@test("B7 pages that were uploaded")
def _():
    html = b"<script>alert(1)</script>"
    for name in ("x.html", "x.svg", "x.js", "x.xml", "x.xhtml", "x.htm", "x", "x.html.", "x.HTML", "x.mht", "x.swf",
                 "x.png.html", "x.shtml"):
        reply = get(LAB, f"{API}/file=" + urllib.parse.quote(upload(LAB, name, html, kind="text/html")))
        kind = (reply.header("content-type") or "").split(";")[0]
        need(
            kind == "application/octet-stream"
            and (reply.header("content-disposition") or "").startswith("attachment"),
            f"{name}: {kind}, {reply.header('content-disposition')}")
    for name, want in (("x.png", "image/png"), ("x.txt", "text/plain"), ("x.wav", "audio/")):
        reply = get(LAB, f"{API}/file=" + upload(LAB, name, html, kind="text/html"))
        need((reply.header("content-type") or "").startswith(want), f"{name}: {reply.header('content-type')}")


@test("B7 nosniff")
def _():
    for path in ("/", "/config", f"{API}/file=" + upload(LAB, "n.txt", b"<html>")):
        same((get(LAB, path).header("x-content-type-options") or "none").lower(), "nosniff", path)


@test("B8 many parts")
def _():
    before = files_in(folder())
    refused(LAB, upload_raw((PART.replace(b"\r\n\r\n", b"\r\n\r\n1\r\n")) * 3000 + b"--b--\r\n"), what="3000 files")
    need(files_in(folder()) <= before, f"{files_in(folder()) - before} files stayed of a refused upload")


@test("B8 uploads that never end")
def _():
    before = files_in(folder())
    conns = [Conn(LAB, 5) for _ in range(60)]
    for conn in conns:
        conn.send(upload_raw(PART + b"x" * 5000, length=10 << 20))
    time.sleep(0.3)
    serves()
    for conn in conns:
        conn.close()
    end = time.monotonic() + 3
    while files_in(folder()) > before and time.monotonic() < end:
        time.sleep(0.1)
    need(files_in(folder()) <= before, f"{files_in(folder()) - before} files stayed of uploads that were broken off")


@test("B8 one upload that is broken off")
def _():
    before = set(os.listdir(folder()))
    with Conn(LAB) as conn:
        conn.send(upload_raw(PART + b"x" * 3000000, length=10 << 20))
        time.sleep(0.3)
    time.sleep(0.5)
    new = set(os.listdir(folder())) - before
    need(not any(files_in(os.path.join(folder(), n)) for n in new if os.path.isdir(os.path.join(folder(), n))),
         "a part of a file was kept")
