"""hostile_sessions.py: cases D of security.py: origins, hosts, sessions, login."""
import re, time
from hostile import *

FOREIGN = ("null", "http://localhost.evil", "http://evil.example", "http://evil#localhost", "https://evil.example:80",
           "http://127.0.0.1.evil.example", "http://localhost@evil.example", "http://[::1].evil", "file://", "evil",
           "http://localhost.", "http://127.0.0.1\t.evil")


@test("D1 origins")
def _():
    for origin in FOREIGN:
        for more in ((), [("Cookie", "access-token-unsecure-x=y")]):
            reply = post(LAB, f"{API}/run/fast", {"data": ["x"]}, [("Origin", origin), *more])
            need(reply.status == 403, f"POST from {origin}: expected 403, got {reply.status}")
            reply = ask(LAB, "GET", "/config", [("Origin", origin), *more])
            need(reply.header("access-control-allow-origin") is None, f"GET from {origin}: allowed to read")


@test("D1 origins that may")
def _():
    port = address(LAB)[1]
    for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", "http://localhost:3000",
                   "http://127.0.0.1:5173"):
        reply = post(LAB, f"{API}/run/fast", {"data": ["x"]}, [("Origin", origin)])
        same([reply.status, reply.header("access-control-allow-origin")], [200, origin], origin)


@test("D2 uploads from another page")
def _():
    for line in ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"):
        for kind, path in (("multipart/form-data; boundary=b", f"{API}/upload"), ("text/plain", f"{API}/run/fast"),
                           ("application/x-www-form-urlencoded", "/login")):
            # no byte of the body is sent: the answer must come before
            refused(LAB,
                    head("POST", path, f"Content-Type: {kind}", "Content-Length: 100000", line),
                    403,
                    what=f"{line} to {path}")


@test("D3 foreign hosts")
def _():
    port = address(LAB)[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil", "0x7f.1.evil"):
        for path in ("/", "/config", f"{API}/info", f"{API}/app_id", f"{API}/file=/etc/passwd"):
            replies, _ = raw(LAB, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            need(replies and replies[0].status == 421,
                 f"Host {host}, {path}: expected 421, got {replies and replies[0].status}")


@test("D3 the server's own names")
def _():
    port = address(LAB)[1]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "127.0.0.1", "localhost", f"LOCALHOST:{port}"):
        replies, _ = raw(LAB, f"GET /config HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        need(replies and replies[0].status == 200, f"Host {host}: expected 200, got {replies and replies[0].status}")


@test("D4 forwarded headers")
def _():
    for name, value in (("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "gopher"),
                        ("X-Forwarded-Prefix", "/evil"), ("Forwarded", "host=evil.example"),
                        ("X-Original-URL", "/evil"), ("X-Direct-Url", "http://evil")):
        ask(LAB, "GET", "/config", [(name, value)])
        same(get(LAB, "/config").json()["root"], LAB, f"root of a plain request after {name}")


@test("D4 forwarded headers from anybody", ours="X-Forwarded-Host is believed from everybody")
def _():
    reply = ask(LAB, "GET", "/config", [("X-Forwarded-Host", "evil.example")], source="127.0.0.7")
    need(b"evil.example" not in reply.body, "X-Forwarded-Host of an unlisted address is in the config")


@test("D5 unknown user and wrong password look alike")
def _():
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    a, b = (post(AUTH, "/login", f"username={u}&password=wrong".encode(), form) for u in ("admin", "nobody"))
    same([a.status, a.body], [b.status, b.body])
    need(not a.all("set-cookie"), "a wrong login sets a cookie")


@test("D7 no login without users")
def _():
    for path in ("/login/huggingface", "/login/callback", "/oauth", f"{API}/login"):
        reply = get(LAB, path)
        need(reply.status in (302, 307, 404, 405, 400, 403) and not reply.all("set-cookie"),
             f"{path}: {reply.status}, cookies {reply.all('set-cookie')}")
    reply = post(LAB, "/login", b"username=a&password=b", [("Content-Type", "application/x-www-form-urlencoded")])
    need(not reply.all("set-cookie"), "a cookie where no login is set up")


@test("D8 all is closed before login")
def _():
    path = upload(AUTH, "mine.txt", b"MARK", headers=login())
    gets = ["/config", "//config", "/./config", "/%63onfig", "/config/", "/config?x=1", "/x/../config", "/config%2f", "/config;x",
            f"{API}/info", f"{API}//info", f"{API}/./info", f"{API}/info/", "/gradio_ap%69/info", f"{API}/info?all_endpoints=true",
            f"{API}/openapi.json", f"{API}/file={path}", f"{API}/file/{path}", f"{API}/queue/data?session_hash=x",
            f"{API}/queue/status", f"{API}/upload_progress?upload_id=x", f"{API}/call/echo/{'0' * 32}", f"{API}/user/../info",
            f"{API}/login_check", "/monitoring", "/monitoring/summary", f"{API}/deep_link?session_hash=x", f"{API}/proxy=http://x/"]
    posts = ["queue/join", "call/echo", "call/v2/echo", "run/echo", "api/echo", "run/fast", "upload", "component_server", "call/echo/",
             "run/echo/"]
    others = [("HEAD", "/config"), ("HEAD", f"{API}/info"), ("HEAD", f"{API}/file={path}"), ("OPTIONS", "/config")]
    for method, target in [("GET", t) for t in gets] + others + [("POST", f"{API}/{t}") for t in posts]:
        body = b'{"data": ["x"], "fn_index": 0, "session_hash": "x"}' if method == "POST" else b""
        lines = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        replies, _ = raw(AUTH, head(method, target, "Connection: close", *lines) + body, method=method)
        need(replies, f"{method} {target}: no answer")
        reply = replies[0]
        need(reply.status in (401, 403, 404, 400, 405, 421) or method == "OPTIONS" and len(reply.body) < 10,
             f"{method} {target}: expected 401, got {reply.status} {short(reply.body, 60)}")
        need(b"MARK" not in reply.body and b"dependencies" not in reply.body,
             f"{method} {target}: contents were given out")


@test("D8 the page before login tells nothing")
def _():
    text = get(AUTH, "/").text()
    need("Say the word" in text, "the message for the login is missing")
    need("badchain" not in text and "gallery_stream" not in text, "names of endpoints are in the page")


@test("D9 monitoring is off")
def _():
    for path in ("/monitoring", "/monitoring/summary", "/monitoring/x", f"{API}/dev/reload", "/dev/reload", "/docs",
                 "/redoc", "/openapi.json", "/debug", "/server-status", f"{API}/vibe-code", f"{API}/vibe-edit"):
        reply = get(LAB, path)
        need(reply.status in (401, 403, 404, 405), f"{path}: expected 404, got {reply.status}")


@test("D10 event ids")
def _():
    ids = [Session(LAB).join(0, ["x"]) for _ in range(20)]
    need(all(re.fullmatch(r"[0-9a-f]{32}", i) for i in ids) and len(set(ids)) == 20, f"ids {ids[:2]}")
    for at in (0, 8, 16, 24):
        need(len({i[at:at + 8] for i in ids}) > 15, f"the part of ids at {at} hardly changes: {ids[:3]}")


@test("D10 cancel needs the session, too", ours="the event id alone is enough")
def _():
    session = Session(LAB)
    event = session.join(1, [6])
    session.until("process_generating")
    for other in ("someone", "", None):
        post(LAB, f"{API}/cancel", {"session_hash": other, "fn_index": 1, "event_id": event})
    done = result(session.rest())
    same(done["output"].get("data", [None])[0], "0 1 2 3 4 5 ", "the generator that a stranger cancelled")


@test("D10 a second reader takes nothing", ours="the second reader takes messages of the first")
def _():
    session = Session(LAB)
    session.join(1, [6])
    session.open()
    first = session.until("process_generating")
    with Events(LAB, f"{API}/queue/data?session_hash={session.hash}") as second:
        second.timeout(1)
        rest = session.rest()
    done = result(first + rest)
    same(sum(m["msg"] == "process_generating" for m in first + rest), 6, "values that the first reader got")
    same(done["output"]["data"][0], "0 1 2 3 4 5 ")


@test("D11 values outside what the component allows")
def _():
    for value in ("abc", [], {}, True, "1e400", [[]], {"a": 1}):
        for fn in (1, 5, 10):
            if value is True:
                continue
            reply = post(LAB, f"{API}/queue/join", {"data": [value], "fn_index": fn, "session_hash": "d11"})
            need(reply.status < 500, f"fn {fn}, {short(value)}: {reply.status}")
            if reply.status == 200:
                done = result(Session(LAB, session="d11").rest())
                need(done["success"] is False, f"fn {fn}, {short(value)}: it was taken: {short(done['output'])}")
    for n in (-5, 0, 0.5):
        need(result(Session(LAB).call(1, [n]))["msg"], "no end")


@test("D11 wrong number of arguments")
def _():
    for data in ([], ["a", "b", "c"], ["a"] * 1000):
        reply = post(LAB, f"{API}/queue/join", {"data": data, "fn_index": 0, "session_hash": "d11b"})
        need(reply.status < 500, f"{len(data)} arguments: {reply.status} {short(reply.body)}")
        if reply.status == 200:
            Session(LAB, session="d11b").rest()


@test("D12 cookies")
def _():
    reply = post(AUTH, "/login", b"username=admin&password=secret",
                 [("Content-Type", "application/x-www-form-urlencoded")])
    cookies = reply.all("set-cookie")
    need(
        len(cookies) == 2 and all("httponly" in c.lower() and "samesite=" in c.lower() for c in cookies),
        short(cookies))
    cookie = [("Cookie", "; ".join(c.split(";")[0] for c in cookies))]
    token = cookies[0].split(";")[0].split("=")[1]
    need(len(token) >= 22, f"the token has {len(token)} letters")
    same(ask(AUTH, "GET", "/config", cookie).status, 200, "with it")
    same(
        ask(AUTH, "GET", "/config",
            [("Cookie", cookie[0][1].replace(token, token[:-1] + ("A" if token[-1] != "A" else "B")))]).status, 401,
        "with another token")
    ask(AUTH, "GET", "/logout", cookie)
    same(ask(AUTH, "GET", "/config", cookie).status, 401, "after logout")


@test("D14 WebSocket from another origin")
def _():
    for path in ("/", f"{API}/queue/join", "/queue/join", "/ws"):
        replies, _ = raw(
            LAB,
            head("GET", path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://evil.example"), 1)
        need(not replies or replies[0].status != 101, f"{path}: the upgrade was made")
