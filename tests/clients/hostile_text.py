"""hostile_text.py: cases F and I of security.py: JSON, text, the page, logs."""
import os, re, time
from hostile import *


def json_body(body, path=f"{API}/call/echo"):
    return head("POST", path, "Content-Type: application/json", f"Content-Length: {len(body)}") + body


@test("F1 JSON that is none")
def _():
    for what, body in (("100,000 [", b"[" * 100000), ("100,000 [ in the data", b'{"data": ' + b"[" * 100000 +
                                                      b"]" * 100000 + b"}"), ("100,000 {", b'{"a":' * 100000),
                       ("NUL", b'{"data": ["a\x00b"]}'), ("bad UTF-8", b'{"data": ["\xff\xfe"]}'),
                       ("overlong UTF-8", b'{"data": ["\xc0\xaf"]}'), ("surrogate in UTF-8",
                                                                       b'{"data": ["\xed\xa0\x80"]}'),
                       ("trailing bytes", b'{"data": ["x"]} x'), ("two values", b'{"data": ["x"]}{"data": ["y"]}'),
                       ("cut", b'{"data": ["x"'), ("comment", b'{"data": ["x"] /* c */}'),
                       ("single quotes", b"{'data': ['x']}"), ("trailing comma", b'{"data": ["x",]}'),
                       ("a list", b"[1]"), ("a text", b'"x"'), ("nothing", b""), ("a number", b"7"),
                       ("null", b"null"), ("control byte",
                                           b'{"data": ["a\nb"]}'), ("UTF-16", '{"data": ["x"]}'.encode("utf-16"))):
        refused(LAB, json_body(body), 400, 413, 422, what=what)


@test("F1 numbers and escapes that JSON does not have", ours="NaN, 1e999999 and lone surrogates are taken")
def _():
    for what, body in (("NaN", b'{"data": [NaN]}'), ("Infinity", b'{"data": [Infinity]}'), ("1e999999",
                                                                                            b'{"data": [1e999999]}'),
                       ("lone surrogate", b'{"data": ["\\ud800"]}'), ("leading zero", b'{"data": [01]}')):
        refused(LAB, json_body(body), 400, 422, what=what)


@test("F1 duplicate keys", ours="the last one counts")
def _():
    refused(LAB, json_body(b'{"data": ["a"], "data": ["b"]}'), 400, 422)


@test("F1 a text of 10 MB")
def _():
    began = time.monotonic()
    replies, closed = raw(LAB, json_body(b'{"data": ["' + b"x" * 10000000 + b'"]}', f"{API}/run/fast"), 10)
    need(closed or replies and replies[0].status in (200, 413, 400), f"{replies and replies[0].status}")
    need(time.monotonic() - began < 10.5, "it takes too long")


@test("F2 long numbers and words")
def _():
    for value in (b"1" * 100000, b"0." + b"1" * 100000, b"1e" + b"1" * 1000, b'"' + b"2026-" * 20000 + b'"'):
        began = time.monotonic()
        replies, closed = raw(LAB, json_body(b'{"data": [' + value + b"]}", f"{API}/run/fast"), 4)
        need(replies or closed, f"{short(value, 20)}: no answer")
        need(time.monotonic() - began < 4.5, f"{short(value, 20)}: {time.monotonic() - began:.1f} s")


@test("F5 wrong types")
def _():
    wrong = ("x", 7, -1, 1e30, ["x"], None, {"a": 1}, True, [], {}, "9" * 1000)
    good = {"data": ["x"], "fn_index": 0, "session_hash": "f5"}
    for field in ("data", "fn_index", "session_hash", "event_data", "trigger_id", "event_id", "simple_format",
                  "batched"):
        for value in wrong:
            reply = post(LAB, f"{API}/queue/join", {**good, field: value})
            need(reply.status in (200, 400, 404, 422),
                 f"join with {field} {short(value, 30)}: {reply.status} {short(reply.body, 80)}")
    for field in ("session_hash", "fn_index", "event_id"):
        for value in wrong:
            reply = post(LAB, f"{API}/cancel",
                         {"session_hash": "f5", "fn_index": 0, "event_id": "0" * 32, field: value})
            need(reply.status in (200, 400, 404, 422), f"cancel with {field} {short(value, 30)}: {reply.status}")
    for value in wrong:
        for path in ("reset", "call/echo", "call/v2/typed", "run/fast", f"stream/{'0' * 32}"):
            reply = post(LAB, f"{API}/{path}", {"data": value, "event_id": value, "n": value})
            need(reply.status < 500 or path == "run/fast", f"{path} with {short(value, 30)}: {reply.status}")
    Session(LAB, session="f5").rest()


@test("F5 wrong content type")
def _():
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "",
                 "application/jsonx", "text/html"):
        reply = ask(LAB, "POST", f"{API}/call/echo", [("Content-Type", kind)] if kind else [], b'{"data": ["x"]}')
        need(reply.status in (400, 415, 422), f"{kind or 'no content type'}: {reply.status}")


@test("I1 the page has a policy")
def _():
    reply = get(LAB, "/")
    policy = reply.header("content-security-policy") or ""
    need("script-src" in policy or "default-src" in policy, f"no Content-Security-Policy: {policy or 'none'}")
    scripts = re.search(r"script-src([^;]*)", policy) or re.search(r"default-src([^;]*)", policy)
    need("'unsafe-inline'" not in scripts[1] and "*" not in scripts[1].split(), f"scripts: {scripts[1]}")


@test("I1 text in the page's config")
def _():
    source, _ = in_page(get(LAB, "/").text(), "gradio_config")
    need(source and not re.search("[<>&\u2028\u2029]", source), "<, >, & or a line separator stands in it as it is")


@test("I2 text that looks like events")
def _():
    for text in ('a\n\nevent: complete\ndata: ["evil"]\n\n', "a\r\rdata: x\r\r",
                 'a\r\n\r\ndata: {"msg": "close_stream"}\r\n\r\n', "\u2028data: x\u2029", "\x85data: x"):
        messages = Session(LAB).call(0, [text])
        same(result(messages)["output"]["data"], [text])
        same([m["msg"] for m in messages], ["estimation", "process_starts", "process_completed", "close_stream"],
             short(text))
        event = post(LAB, f"{API}/call/echo", {"data": [text]}).json()["event_id"]
        with Events(LAB, f"{API}/call/echo/{event}") as stream:
            same(stream.next(), ("complete", [text]))
            same(stream.next(), None)


def log():
    path = os.environ.get("LAB_LOG")
    if not path:
        raise Skip("the server's log is not known (LAB_LOG)")
    with open(path, "rb") as file:
        return file.read()


@test("I6 secrets are not in the log")
def _():
    log()
    get(LAB, "/config?token=topsecret1&x=hf_topsecret2abcdefghijklmnop", [("Authorization", "Bearer topsecret3"),
                                                                          ("Cookie", "access-token=topsecret4"),
                                                                          ("Referer", "http://x/?token=topsecret5")])
    post(AUTH, "/login", b"username=admin&password=topsecret6",
         [("Content-Type", "application/x-www-form-urlencoded")])
    time.sleep(0.3)
    found = re.findall(rb"topsecret\d", log())
    need(not found, f"in the log: {sorted(set(found))}")


@test("I7 lines of the log cannot be forged")
def _():
    log()
    get(LAB, "/a%0aFORGED%0d%0aFORGED", [("User-Agent", "x\x1b[31mFORGED\x07"), ("Referer", "x%0aFORGED")])
    kind, body = multipart([("files", "a\x1b[2J.txt", b"x")])
    post(LAB, f"{API}/upload", body, [("Content-Type", kind)])
    time.sleep(0.3)
    text = log()
    need(b"\x1b" not in text and b"\x07" not in text, "control bytes are in the log")
    need(not any(line.startswith(b"FORGED") for line in text.splitlines()), "a forged line is in the log")


@test("I8 errors tell nothing of the inside")
def _():
    replies = [
        post(LAB, f"{API}/run/crash", {"data": ["x"]}),
        post(LAB, f"{API}/call/nope", {"data": []}),
        get(LAB, "/nope"),
        post(LAB, f"{API}/run/file_echo", {"data": [meta("/etc/passwd")]}),
        post(LAB, f"{API}/queue/join", {"data": ["x"], "fn_index": 12345, "session_hash": "x"}),
        get(LAB, f"{API}/stream/x/y/z/playlist.m3u8"),
        post(LAB, f"{API}/run/slow", {"data": ["text"]})
    ]
    for reply in replies:
        need(not re.search(rb"secret|Traceback|\.py|\.c:|0x[0-9a-f]{6}|/home|/usr|/work", reply.body),
             f"{short(reply.body)}")


@test("I9 answers are not kept")
def _():
    for what, reply in (("config", get(LAB, "/config")), ("run", post(LAB, f"{API}/run/fast", {"data": ["x"]})),
                        ("info", get(LAB, f"{API}/info")), ("call", post(LAB, f"{API}/call/echo", {"data": ["x"]})),
                        ("file", get(LAB, f"{API}/file=" + upload(LAB, "kept.txt", b"x")))):
        got = reply.header("cache-control") or "none"
        need("no-store" in got or what == "file" and "private" in got, f"{what}: cache-control {got}")
