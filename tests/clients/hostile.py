"""What the hostile tests share: bytes sent as they are, what refusing means, files that must not come out."""
import os, re, time
from kit import *

JSON = [("Content-Type", "application/json")]
API = "/gradio_api"


def raw(base, data, seconds=5, method="GET"):
    """Send these bytes; what comes back within the time, and half a second behind a reply: a list of replies, and whether the
    connection was closed."""
    conn, replies = Conn(base, seconds), []
    conn.method = method
    end = time.monotonic() + seconds
    try:
        try:
            conn.send(data)
        except OSError:
            pass  # refused while we were still sending
        while True:
            conn.sock.settimeout(max(0.05, end - time.monotonic()))
            replies.append(conn.head())
            while data := conn.piece():
                replies[-1].body += data
            end = time.monotonic() + 0.5
    except (Closed, ConnectionError):
        return replies, True
    except TimeoutError:
        return replies, False
    finally:
        conn.close()


def refused(base, data, *statuses, what="", seconds=5):
    """One answer that refuses, or a closed connection without one."""
    replies, closed = raw(base, data, seconds)
    what = what or short(data[:60])
    if not replies:
        need(closed, f"{what}: no answer within {seconds} s, and the connection stays open")
        return None
    first = replies[0]
    allowed = statuses or range(400, 500)
    need(first.status in allowed,
         f"{what}: expected {' or '.join(map(str, statuses)) or '4xx'}, got {first.status} {short(first.body, 80)}")
    need(len(first.body) < 4096, f"{what}: a refusal of {len(first.body)} bytes")
    need(len(replies) == 1, f"{what}: {len(replies)} answers to one request: {[r.status for r in replies]}")
    return first


def head(method="GET", target="/gradio_api/app_id", *lines, host=True):
    text = f"{method} {target} HTTP/1.1\r\n" + (f"Host: 127.0.0.1:{address(LAB)[1]}\r\n" if host else "")
    return (text + "".join(line + "\r\n" for line in lines) + "\r\n").encode("latin-1")


def serves():
    """After each case: the server still does its work."""
    try:
        reply = ask(LAB, "POST", f"{API}/run/fast", JSON, b'{"data": ["alive"]}', 5, source="127.0.0.9")
        need(reply.status == 200 and reply.json()["data"] == ["fast alive"],
             f"afterwards: {reply.status} {short(reply.body)}")
    except (OSError, Closed) as error:
        raise Bad(f"afterwards the server does not serve: {type(error).__name__} {error}")


def no_secret(reply, what):
    need(b"root:x:0" not in reply.body and b"MARK" not in reply.body, f"{what}: the file was given out")


def closed_to(base, path, statuses=(400, 403, 404), headers=()):
    with Conn(base, 5) as conn:
        conn.send(f"GET {path} HTTP/1.1\r\nHost: {conn.host}\r\n".encode("utf-8", "surrogateescape") +
                  b"Connection: close\r\n\r\n")
        reply = conn.reply()
    no_secret(reply, path)
    need(reply.status in statuses,
         f"{path}: expected {short(list(statuses), 30)}, got {reply.status} {short(reply.body, 80)}")


store = {}


def folder():
    """The server's folder of uploads (it runs on this machine)."""
    if "root" not in store:
        path = upload(LAB, "probe.txt", b"probe")
        store["root"] = os.path.dirname(os.path.dirname(path))
    return store["root"]


def meta(path, **more):
    return {"path": path, **more, "meta": {"_type": "gradio.FileData"}}


def not_taken(value, fn=13):
    """A file argument that must not be taken: refused before queueing, or the call fails and nothing of the file comes out."""
    session = Session(LAB)
    for route in ("join", "call", "run"):
        if route == "join":
            reply = post(LAB, f"{API}/queue/join", {"data": [value], "fn_index": fn, "session_hash": session.hash})
        else:
            reply = post(LAB, f"{API}/{route}/{'file_echo' if fn == 13 else 'audio_echo'}", {"data": [value]})
        what = f"{route} with {short(value, 100)}"
        if reply.status == 200 and route == "join":
            done = result(session.rest())
            need(done["success"] is False, f"{what}: it was taken: {short(done['output'], 120)}")
            need("/etc" not in json.dumps(done), f"{what}: the answer tells of the path: {short(done)}")
        elif reply.status == 200 and route == "call":
            with Events(LAB, f"{API}/call/x/{reply.json()['event_id']}") as stream:
                event = stream.next()
            need(event and event[0] == "error", f"{what}: expected an error, got {short(event)}")
        else:
            need(400 <= reply.status < 500 or route == "run" and reply.status == 500,
                 f"{what}: {reply.status} {short(reply.body)}")


def login(base=None):
    reply = post(base or AUTH, "/login", b"username=admin&password=secret",
                 [("Content-Type", "application/x-www-form-urlencoded")])
    same(reply.status, 200, "login: status")
    return [("Cookie", "; ".join(c.split(";")[0] for c in reply.all("set-cookie")))]


def upload_raw(body, boundary="b", base=None, length=None, more=()):
    kind = f"multipart/form-data; boundary={boundary}"
    lines = [f"Content-Type: {kind}", f"Content-Length: {len(body) if length is None else length}", *more]
    return head("POST", f"{API}/upload", *lines) + body


PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'


def files_in(root):
    return sum(len(files) for _, _, files in os.walk(root))
