"""wire.py: what is on the wire, message by message, against what Gradio 6.31.0 was recorded to send. Each difference is a test of its own,
told by its place in the JSON, what was expected and what came."""
import json, os, re, threading, time
from recorded import *

# ---- config and info, part by part


def config(name, base):
    match, want = Match(base), trace(name)[0]
    reply = send(match, want["request"])
    want, got = want["response"]["body"], reply.json()
    for key in want:
        if key not in ("components", "dependencies"):
            out = match.differ(want[key], got[key],
                               key) if key in got and key not in LOOSE else [] if key in got else [
                                   f"{key}: missing, expected {short(want[key])}"
                               ]
            tell(f"{name}/{key}", out)
    tell(f"{name}/nothing else", [f"{k}: not in the recording" for k in got if k not in want])
    for kind in ("components", "dependencies"):
        by_id = {c.get("id"): c for c in got.get(kind, [])}
        ids = [c["id"] for c in want[kind]]
        tell(f"{name}/{kind} in order",
             [] if ids == list(by_id) else [f"ids: expected {short(ids, 300)}, got {short(list(by_id), 300)}"])
        for w in want[kind]:
            title = f"{w['id']} {w.get('type') or w.get('api_name')}"
            tell(f"{name}/{kind}/{title}",
                 match.differ(w, by_id[w["id"]], "") if w["id"] in by_id else ["it is missing"])


def info(name, base):
    match, want = Match(base), trace(name)[0]
    want, got = want["response"]["body"], send(match, want["request"]).json()
    tell(f"{name}/names", [] if list(want["named_endpoints"]) == list(got.get("named_endpoints", {})) else [
        f"expected {short(list(want['named_endpoints']), 300)}, got {short(list(got.get('named_endpoints', {})), 300)}"
    ])
    tell(f"{name}/unnamed", match.differ(want["unnamed_endpoints"], got.get("unnamed_endpoints")))
    for key, value in want["named_endpoints"].items():
        tell(f"{name}{key}", match.differ(value, got.get("named_endpoints", {}).get(key), ""))


def page():
    """The config inside the page."""
    text = get(LAB, "/").text()
    want = trace("page-config-keys")[0]
    source, got = in_page(text, "gradio_config")
    tell("page/config", [] if got else [f"no window.gradio_config in the page: {short(text)}"])
    if got:
        tell("page/config keys", [] if sorted(got) == sorted(want["keys"]) else [
            f"missing {sorted(set(want['keys']) - set(got))}, more {sorted(set(got) - set(want['keys']))}"])
        whole = get(LAB, "/config").json()
        for part in ("components", "dependencies", "layout", "current_page", "deep_link_state"):
            tell(f"page/{part}", Match(LAB).differ(want.get(part, whole.get(part)), got.get(part), part))
        tell("page/escaped", [] if not re.search(r"[<>&']", source) else ["<, >, & or ' stands in the script as it is"])
    _, info = in_page(text, "gradio_api_info")
    tell("page/api info", [] if "/echo" in (info or {}).get("named_endpoints", {}) else
         ["no window.gradio_api_info with /echo in the page"])
    _, got = in_page(get(AUTH, "/").text(), "gradio_config")
    want = trace("auth-page-config")[0]["window_gradio_config"]
    tell("page/before login", Match(AUTH).differ(want, got) if got else ["no window.gradio_config in the page"])


# ---- recordings that can simply be played again


def queue(name, base, first=None):
    match = Match(base, SESSION="w" + uuid.uuid4().hex[:10])
    if first:
        first(match)
    join, stream = trace(name)
    reply = send(match, join["request"])
    compare_reply(f"{name}/join", match, join["response"], reply)
    session = Session(base, session=match.known["SESSION"])
    compare_events(name, match, stream["events"], session.rest())


def uploaded_notes(match):
    path = upload(LAB, "my notes.txt", b"abc")
    Match.text(match, "${TMP}/${SHA256_22}/my notes.txt", path)


def plain(name, base, ours=()):
    """Requests and their answers, one after the other. ours: number of a request -> how Gradio differs."""
    match = Match(base)
    for i, step in enumerate(trace(name)):
        title = f"{name}/{i + 1} {step['request']['method']} {re.sub(r'[$][{].*?[}]', '…', step['request']['path'])}"
        if "events" in step:
            continue
        guard(
            title, lambda: compare_reply(title, match, step["response"], send(match, step["request"]),
                                         dict(ours).get(i + 1)))


def manifest_of(steps):
    """The recording is of the ball: only the name is another one."""
    for step in steps:
        if step["request"]["path"] == "/manifest.json":
            step["response"]["body"]["name"] = "Lab"
    return steps


def errors():
    match = Match(LAB)
    for i, step in enumerate(trace("errors")):
        path = step["request"]["path"]
        title = f"errors/{i + 1} {step['request']['method']} {path}"
        if "events" in step:
            with Events(LAB, path) as stream:
                tell(f"{title}/message", match.differ(step["events"][0]["data"], (stream.next() or (0, None))[1]))
                try:
                    end = stream.next()
                    tell(f"{title}/clean end", [] if end is None else [f"another message: {short(end)}"],
                         "it breaks the chunked body off" if ORACLE else None)
                except (Closed, ConnectionError):
                    tell(f"{title}/clean end", ["the chunked body is broken off"], "it breaks the chunked body off")
        elif path.endswith("/call/nope"):
            reply = send(match, step["request"])
            tell(title, [] if reply.status == 404 and isinstance(reply.json().get("detail"), str) else
                 [f"expected 404 with a detail, got {reply.status} {short(reply.body)}"], "500 for an unknown name")
        elif path == "/static/../x":
            reply = send(match, step["request"])
            tell(title, [] if reply.status in (403, 404, 400) else [f"expected 403 or 404, got {reply.status}"])
        else:
            guard(title, lambda: compare_reply(title, match, step["response"], send(match, step["request"])))
    reply = post(LAB, "/gradio_api/queue/join", {"data": ["x"], "fn_index": 999, "session_hash": "q"})
    tell("errors/unknown fn_index",
         [] if reply.status == 404 else [f"expected 404, got {reply.status} {short(reply.body)}"], "500 for it")
    reply = post(LAB, "/gradio_api/call/v2/typed", {"n": 1, "nosuch": 2})
    tell("errors/v2 with an unknown argument",
         [] if reply.status == 422 else [f"expected 422, got {reply.status} {short(reply.body)}"], "500 for it")
    kind, body = multipart([("files", None, b"x")])
    reply = post(LAB, "/gradio_api/upload", body, [("Content-Type", kind)])
    tell("errors/upload without a file name",
         [] if reply.status == 400 else [f"expected 400, got {reply.status} {short(reply.body)}"], "500 for it")


def cors():
    steps = trace("cors")
    port = "%d" % address(LAB)[1]
    for i, step in enumerate(steps):
        request = step["request"]
        title = f"cors/{i + 1} {request['method']} origin {request['headers']['origin']}" + (
            " host " + request["headers"]["host"] if "host" in request["headers"] else "")
        reply, match = send(Match(LAB), request), Match(LAB)
        want = step["response"]
        if "evil" in request["headers"]["origin"]:
            out = [] if reply.header("access-control-allow-origin") is None else ["it is allowed"]
            tell(title, out + ([] if reply.status in (200, 403) else [f"status {reply.status}"]))
        elif "host" in request["headers"]:
            out = [] if reply.header("access-control-allow-origin") is None and reply.status in (200, 403, 421) else [
                f"status {reply.status}, {short(reply.headers)}"
            ]
            tell(title, out, "it believes the Host header")
        else:
            tell(title, ([] if reply.status == 200 else [f"status: expected 200, got {reply.status}"]) +
                 match.headers(want["headers"], reply))
    own = f"http://127.0.0.1:{port}"
    reply = ask(LAB, "GET", "/config", {"Origin": own})
    tell("cors/own origin", [] if reply.header("access-control-allow-origin") == own else
         [f"allow-origin: expected {own}, got {reply.header('access-control-allow-origin')}"])
    for origin in ("null", "http://evil.example", "http://localhost.evil.example", "http://evil.example#localhost",
                   "http://127.0.0.1.evil.example"):
        reply = post(LAB, "/gradio_api/call/fast", {"data": ["x"]}, {"Origin": origin})
        allowed = reply.header("access-control-allow-origin")
        tell(f"cors/POST from {origin}", [] if reply.status == 403 and allowed is None else
             [f"expected 403, got {reply.status}, allow-origin {allowed}"], "only the answer is hidden")
    reply = ask(LAB, "GET", "/config")
    tell("cors/no origin", [] if not any(k.startswith("access-control")
                                         for k, _ in reply.headers) else ["access-control headers without an Origin"])


# ---- recordings that need more than one connection


def cancel():
    join, events, stop, reset = trace("cancel")
    match = Match(LAB, SESSION="w" + uuid.uuid4().hex[:10])
    compare_reply("cancel/join", match, join["response"], send(match, join["request"]))
    session = Session(LAB, session=match.known["SESSION"])
    got = session.until("process_generating")
    compare_reply("cancel/cancel", match, stop["response"], send(match, stop["request"]))
    compare_reply("cancel/reset", match, reset["response"], send(match, reset["request"]))
    rest = session.rest()
    compare_events("cancel", match, events["events"], got + [m for m in rest if m["msg"] != "process_generating"])
    tell("cancel/soon", [] if len(rest) <= 4 else [f"{len(rest)} more messages after the cancel"])


def three_waiting():
    want = list(trace("queue-three-waiting").values())
    sessions = [Session(LAB) for _ in range(3)]
    sessions[0].call(10, [0.01])  # so that the mean time is known
    sessions[0].join(10, [0.5])
    got = [sessions[0].until("process_starts"), [], []]
    sessions[1].join(10, [0.5])
    sessions[2].join(10, [0.5])
    threads = [threading.Thread(target=lambda s=s, g=g: g.extend(s.rest())) for s, g in zip(sessions, got)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(3):
        events = want[i]["events"] if isinstance(want[i], dict) else want[i]
        compare_events(f"queue-three-waiting/session {i + 1}", Match(LAB), events, got[i])
    etas = [m["rank_eta"] for g in got for m in g if m["msg"] == "estimation" and m["rank_eta"] is not None]
    tell("queue-three-waiting/eta grows",
         [] if len(etas) == 4 and 0 < etas[0] <= etas[1] < etas[2] else [f"rank_eta: {etas}"])


def queue_full():
    step = trace("queue-full")[0]
    a, b = Session(FULL), Session(FULL)
    a.join(0, [0.8])
    a.until("process_starts")
    b.join(0, [0.1])
    compare_reply("queue-full/third", Match(FULL), step["response"], send(Match(FULL), step["request"]))
    reply = post(FULL, "/gradio_api/queue/join", {"data": [0.1], "fn_index": 0, "session_hash": "third"})
    compare_reply("queue-full/third by join", Match(FULL), step["response"], reply)
    tell("queue-full/second", [] if result(b.rest())["success"] else ["it failed"])
    a.rest()


def microphone():
    join, events, *rest = trace("stream-input-microphone")
    with open(os.path.join(DATA, "audio", "today.wav"), "rb") as file:
        wav = file.read(20000)
    match = Match(LAB, SESSION="w" + uuid.uuid4().hex[:10])
    Match.text(match, "${TMP}/${SHA256_19}/audio.wav", upload(LAB, "audio.wav", wav))
    join["request"]["json"]["trigger_id"] = 15
    compare_reply("stream-input/join", match, join["response"], send(match, join["request"]))
    session = Session(LAB, session=match.known["SESSION"])
    got = session.until("process_streaming")
    for i, step in enumerate(rest):
        compare_reply(f"stream-input/{i + 2} {step['request']['path'].split('/')[-1].replace('${ID_23}', 'chunk')}",
                      match, step["response"], send(match, step["request"]))
        if not step["request"]["path"].endswith("/close"):
            got += session.until("process_streaming")
    got += session.rest()
    compare_events("stream-input", match, events["events"], got)
    reply = post(LAB, "/gradio_api/stream/" + "0" * 32, {"data": [None, None], "fn_index": 27, "session_hash": "x"})
    tell("stream-input/unknown event", [] if reply.status == 404 else [f"expected 404, got {reply.status}"])


def shape(playlist):
    """A playlist without what is different in every run."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.aac", "SEGMENT", playlist)
    return [
        re.sub(r"(#EXTINF:)[0-9]+\.[0-9]{6},$", r"\1TIME,", re.sub(r"(TARGETDURATION:)[1-9][0-9]*$", r"\1N", line))
        for line in text.split("\n")
    ]


def frames(data):
    """Number of ADTS frames and the rate; Bad when it is not whole frames."""
    n, at, rate = 0, 0, 0
    rates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]
    while at < len(data):
        need(
            len(data) - at >= 7 and data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0,
            f"no ADTS frame at byte {at} of {len(data)}")
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        rate = rates[data[at + 2] >> 2 & 15]
        need(7 < size <= len(data) - at, f"the frame at byte {at} is cut")
        at, n = at + size, n + 1
    return n, rate


def playlist():
    recorded = trace("stream-playlist")
    head = shape(recorded[0]["response"]["body"])[:6]
    session = Session(LAB)
    session.join(17, [])
    grown, value, messages = [], None, []
    while message := session.message():
        messages.append(message)
        if message["msg"] in ("process_generating", "process_completed"):
            if value is None:
                value = message["output"]["data"][0]
            grown.append((message["msg"], get(LAB, f"/gradio_api/stream/{value['path']}").text()))
    path = value["path"]
    found = re.fullmatch(re.escape(session.hash) + r"/([0-9a-f]{32})/14/playlist\.m3u8", path)
    tell("stream/path", [] if found else [f"path: expected SESSION/RUN/14/playlist.m3u8, got {path}"])
    want = {
        "path": path, "url": f"{LAB}/gradio_api/stream/{path}", "size": None, "orig_name": "audio-stream.mp3",
        "mime_type": None, "is_stream": True, "meta": {"_type": "gradio.FileData"}
    }
    tell("stream/value", Match(LAB).differ(want, value))
    kinds = [m["msg"] for m in messages]
    want = ["estimation", "process_starts"] + ["process_generating"] * 4 + ["process_completed", "close_stream"]
    tell("stream/order", [] if kinds == want else [f"expected {' '.join(want)}, got {' '.join(kinds)}"])
    diffs = [m["output"]["data"] for m in messages if m["msg"] == "process_generating"][1:]
    tell("stream/diffs are empty", [] if all(d == [[]] for d in diffs) else [f"expected [[]], got {short(diffs)}"])
    tell("stream/last value", Match(LAB).differ(value, result(messages)["output"]["data"][0]))
    texts = [g[1] for g in grown]
    tell("stream/playlist head",
         [] if all(shape(t)[:6] == head for t in texts) else [f"expected {head}, got {shape(texts[0])[:6]}"])
    cut = lambda t: t.replace("#EXT-X-ENDLIST\n", "").split("#EXT-X-START:TIME-OFFSET=0\n")[-1]
    counts = [t.count("#EXTINF") for t in texts]
    tell("stream/segments are there before the message",
         [] if all(c >= i + 1 for i, c in enumerate(counts[:4])) else [f"segments after each message: {counts}"])
    tell("stream/only appended",
         [] if all(cut(b).startswith(cut(a)) for a, b in zip(texts, texts[1:])) else ["an earlier line was changed"])
    tell("stream/ended before completed",
         [] if texts[-1].endswith("#EXT-X-ENDLIST\n") else [f"the last playlist ends with {short(texts[-1][-60:])}"])
    body = shape(texts[-1])[6:-2]
    tell("stream/lines", [] if body == ["#EXTINF:TIME,", "SEGMENT"] * (len(body) // 2) else [f"lines {short(body)}"])
    reply = get(LAB, f"/gradio_api/stream/{path}")
    tell("stream/playlist headers", Match(LAB).headers(recorded[0]["response"]["headers"], reply))
    folder = f"/gradio_api/stream/{path.rsplit('/', 1)[0]}/"
    pairs = re.findall(r"#EXTINF:([0-9.]+),\n(\S+)", texts[-1])
    total, joined, wrong = 0, b"", []
    for seconds, name in pairs:
        segment = get(LAB, folder + name)
        same(segment.status, 200, "segment: status")
        n, rate = frames(segment.body)
        if abs(float(seconds) - n * 1024 / rate) > 1e-6 or rate != 44100:
            wrong.append(f"{name}: EXTINF {seconds}, but {n} frames at {rate} Hz")
        total += float(seconds)
        joined += segment.body
    tell("stream/durations are exact", wrong)
    tell("stream/length", [] if 4.0 <= total <= 4.35 else [f"4 chunks of 1 s make {total:.3f} s"])
    longest = max(float(s) for s, _ in pairs)
    target = int(re.search(r"TARGETDURATION:(\d+)", texts[-1])[1])
    tell("stream/target duration",
         [] if longest <= target <= longest + 1.5 else [f"target {target}, longest segment {longest}"])
    tell("stream/segment type", Match(LAB).headers(recorded[1]["response"]["headers"], segment))
    for i, name in ((2, "nope.aac"), (3, "nope.mp3")):
        reply = get(LAB, folder + name)
        tell(f"stream/{name}", [] if reply.status == recorded[i]["response"]["status"] else
             [f"expected {recorded[i]['response']['status']}, got {reply.status}"])
    reply = get(LAB, folder + "playlist-file")
    tell("stream/playlist-file", [] if reply.status == 200 and reply.body == joined else
         [f"status {reply.status}, {len(reply.body)} bytes, the segments have {len(joined)}"])
    kind = (reply.header("content-type") or "").split(";")[0]
    tell("stream/playlist-file type", [] if kind == "audio/aac" else [f"expected audio/aac, got {kind}"],
         "it says audio/mpeg")
    reply = get(LAB, f"/gradio_api/stream/{path}?__sign=abc")
    signed = [l for l in reply.text().split("\n") if ".aac" in l]
    tell("stream/signed", ([] if signed and all(l.endswith(".aac?__sign=abc")
                                                for l in signed) else [f"segment lines {short(signed)}"]) +
         Match(LAB).headers(recorded[5]["response"]["headers"], reply))
    tell("stream/unknown",
         [] if get(LAB, "/gradio_api/stream/x/y/4/playlist.m3u8").status == 404 else ["expected 404"])
    same_run = Session(LAB)
    again = result(same_run.call(17, []))["output"]["data"][0]["path"]
    tell("stream/another run has another name", [] if again.split("/")[1] != path.split("/")[1] else ["the same"])


def growing():
    """As many segments as in the recording, at least: a chunk gives one at once, and the end flushes the encoder."""
    want = [s["playlist"].count("#EXTINF") for s in trace("stream-playlist-growing")]
    session = Session(LAB)
    session.join(17, [])
    got, path = [], None
    while message := session.message():
        if message["msg"] in ("process_generating", "process_completed"):
            path = path or message["output"]["data"][0]["path"]
            got.append(get(LAB, f"/gradio_api/stream/{path}").text().count("#EXTINF"))
    tell("stream/growing",
         [] if len(got) == len(want) and all(g >= w - (i > 2) for i, (g, w) in enumerate(zip(got, want))) else
         [f"segments: recorded {want}, got {got}"])


def upload_and_file():
    match, steps = Match(LAB), trace("upload-and-file")
    content = {"a.txt": b"0123456789", "b.html": b"<b>", "big.bin": b"x" * 20000, "../../etc/passwd": b"root"}
    for i, step in enumerate(steps):
        request, want = step["request"], step["response"]
        if "multipart" in request:
            base = FULL if want["status"] == 413 else LAB
            parts = [p.split("; filename=") for p in request["multipart"]]
            kind, body = multipart([(field, name, content[name], "application/octet-stream")
                                    for field, name in parts])
            reply = post(base, request["path"], body, [("Content-Type", kind)])
            # equal content need not lie in the same folder (security case A11), so each upload has its own names
            match = Match(LAB)
            if want["status"] == 413:
                want["headers"], want["body"] = [], "<1 bytes>"
            compare_reply(f"upload/{i + 1} {' and '.join(request['multipart'])}", match, want, reply)
        elif request["method"] == "POST":
            compare_reply(f"upload/{i + 1} urlencoded", match, want, send(match, request))
        else:
            name = request["path"].rsplit("/", 1)[-1]
            path = upload(LAB, name, b"<b>" if name.endswith(".html") else b"0123456789")
            reply = ask(LAB, "GET", f"/gradio_api/file={path}", request.get("headers", {}))
            compare_reply(f"file/{i + 1} {name} {request.get('headers', {}).get('range', '')}".strip(), match, want,
                          reply)


def upload_progress():
    want = trace("upload-progress")[0]["events"]
    got, opened = [], threading.Event()

    def watch():
        with Events(LAB, "/gradio_api/upload_progress?upload_id=u9x") as stream:
            opened.set()
            while event := stream.next():
                got.append(event[1])

    thread = threading.Thread(target=watch)
    thread.start()
    kind, body = multipart([("files", "p.bin", b"p" * 128000)])
    with Conn(LAB) as conn:
        conn.request("POST", "/gradio_api/upload?upload_id=u9x", [("Content-Type", kind),
                                                                  ("Content-Length", str(len(body)))])
        for at in range(0, len(body), 16000):
            conn.send(body[at:at + 16000])
            time.sleep(0.04)
        reply = conn.reply()
    same(reply.status, 200, "upload: status")
    thread.join()
    updates = [m for m in got if m.get("msg") == "update"]
    tell("upload-progress/updates", [] if updates
         and all(sorted(m) == ["chunk_size", "msg", "orig_name"] and m["orig_name"] == "p.bin"
                 for m in updates) else [f"got {short(got)}"])
    total = sum(m.get("chunk_size", 0) for m in updates)
    tell("upload-progress/sum", [] if 127000 <= total <= 128000 else [f"the chunks sum up to {total} of 128000"])
    tell("upload-progress/done", Match(LAB).differ(want[-1]["data"], got[-1] if got else None))
    began = time.monotonic()
    reply = get(LAB, "/gradio_api/upload_progress?upload_id=nosuch")
    tell("upload-progress/unknown", [] if reply.status == 404 and time.monotonic() - began < 6 else
         [f"expected 404 after 3 s, got {reply.status} after {time.monotonic() - began:.1f} s"])


def openapi():
    match, want = Match(LAB), trace("openapi")[0]["response"]["body"]
    got = get(LAB, "/gradio_api/openapi.json").json()
    for key in ("openapi", "info", "components"):
        tell(f"openapi/{key}", match.differ(want[key], got.get(key), key))
    for path, value in want["paths"].items():
        out = []
        for method, operation in value.items():
            there = got.get("paths", {}).get(path, {}).get(method)
            if not isinstance(there, dict):
                out.append(f"{method}: missing")
                continue
            for key, part in operation.items():
                if key in ("description", "summary", "responses"):
                    if type(there.get(key)) is not type(part):
                        out.append(f"{method}.{key}: expected {short(part, 60)}, got {short(there.get(key), 60)}")
                    elif key == "responses" and "200" in part and "200" not in there[key]:
                        out.append(f"{method}.responses: no 200")
                else:
                    out += match.differ(without_words(part), without_words(there.get(key)), f"{method}.{key}")
        tell(f"openapi{path}", out)
    names = {"/gradio_api/call/v2" + n for n in get(LAB, "/gradio_api/info").json()["named_endpoints"]}
    tell("openapi/all endpoints",
         [] if names <= set(got.get("paths", {})) else [f"missing {sorted(names - set(got.get('paths', {})))}"])


def without_words(value):
    if isinstance(value, dict):
        return {k: without_words(v) for k, v in value.items() if k != "description"}
    return [without_words(v) for v in value] if isinstance(value, list) else value


def small_routes():
    match = Match(LAB)
    get(LAB, "/gradio_api/startup-events")
    for i, step in enumerate(manifest_of(trace("small-routes"))):
        path = step["request"]["path"]
        title = f"small-routes{path}"
        if path == "/manifest.json":
            reply = get(LAB, path)
            out = match.headers(step["response"]["headers"],
                                reply) if reply.status == 200 else [f"status {reply.status}"]
            out += match.differ("Lab", reply.json().get("name"), "name") if not out else []
            tell(title, out + ([] if out or isinstance(reply.json().get("icons"), list) else ["no icons"]))
        elif path == "/pwa_icon":
            reply = get(LAB, path)
            tell(title, [] if reply.status in (200, 404) else [f"status {reply.status}"])
        elif path == "/robots.txt":
            reply = get(LAB, path)
            tell(title, [] if reply.status == 200 and reply.text().strip().startswith("User-agent: *") else
                 [f"{reply.status} {short(reply.body)}"])
        else:
            compare_reply(title, match, step["response"], send(match, step["request"]))
    app_id = get(LAB, "/gradio_api/app_id").json()["app_id"]
    tell("small-routes/app_id is the config's",
         [] if app_id == get(LAB, "/config").json()["app_id"] else ["another number"])
    tell("small-routes/app_id below 2^53", [] if isinstance(app_id, int) and 0 <= app_id < 2 ** 53 else [f"{app_id}"],
         "it is above")
    for path in ("/config/", "/gradio_api/info/", "/gradio_api/app_id/", "/gradio_api/user/",
                 "/gradio_api/login_check/", "/gradio_api/token/"):
        tell(f"small-routes/slash at the end of {path}",
             [] if get(LAB, path).status == 200 else [f"status {get(LAB, path).status}"])
    reply = post(LAB, "/gradio_api/run/fast/", {"data": ["x"]})
    tell("small-routes/slash at the end of run", [] if reply.status == 200 else [f"status {reply.status}"])
    reply = ask(LAB, "HEAD", "/")
    tell("small-routes/HEAD of the page",
         [] if reply.status == 200 and not reply.body else [f"status {reply.status}, {len(reply.body)} bytes"])
    for field, want in (("serialize=False", "/echo"), ("all_endpoints=true", "/echo")):
        tell(f"small-routes/info?{field}",
             [] if want in get(LAB, f"/gradio_api/info?{field}").json()["named_endpoints"] else ["no /echo in it"])
    for path, kind in (("/theme.css", "text/css"), ):
        reply = get(LAB, path)
        tell(f"small-routes{path}",
             [] if reply.status == 200 and (reply.header("content-type") or "").startswith(kind) else
             [f"{reply.status} {reply.header('content-type')}"])


def root_url():
    root = lambda headers, base=LAB: ask(base, "GET", "/config", headers).json()["root"]
    port = address(LAB)[1]
    same(root({"Host": f"localhost:{port}"}), f"http://localhost:{port}", "root for another loopback name")
    tell("root/host", [])


def heartbeat():
    with Events(LAB, "/gradio_api/heartbeat/w" + uuid.uuid4().hex[:8]) as stream:
        same(stream.reply.header("content-type", "").split(";")[0], "text/event-stream", "type")
        need(stream.next() == (None, "ALIVE"), "the first message is not ALIVE")
    tell("heartbeat", [])


def stream_goes_on():
    """A second join while the stream is open goes on in it; close_stream comes once, at the end."""
    session = Session(LAB)
    first = session.join(1, [4])
    session.open()
    second = session.join(0, ["x"])
    messages = session.rest()
    done = [m["event_id"] for m in messages if m["msg"] == "process_completed"]
    tell("two events in one stream", [] if sorted(done) == sorted([first, second])
         and [m["msg"] for m in messages].count("close_stream") == 1 and messages[-1]["msg"] == "close_stream" else
         [f"completed {done}, messages {short([m['msg'] for m in messages], 300)}"])


def crossing():
    """A client opens a new stream when it gets the answer to a join, unless it thinks that one is open. So the answer to a join that
    crosses the end of a stream must come clearly behind that end (3 ms), else the client waits for ever in a stream that is over."""
    def round_of(after):
        """How long behind the end of the stream a join was answered, sent `after` seconds behind the last answer; None: it went on in
        the stream, or none was sent. And how long the stream was left open."""
        session = Session(LAB)
        with Conn(LAB) as joins:
            def ask_join(text):
                body = json.dumps({"data": [text], "fn_index": 0, "session_hash": session.hash}).encode()
                joins.request("POST", "/gradio_api/queue/join?", [("Content-Type", "application/json")], body)
            ask_join("a")
            joins.reply()
            session.join(0, ["b"])  # on another connection: a server may leave the stream open a while for such a client
            session.open()
            session.until("process_completed")
            session.until("process_completed")
            began, ended, seen = time.perf_counter(), [], []
            reader = threading.Thread(target=lambda: (seen.extend(session.rest()), ended.append(time.perf_counter())))
            reader.start()
            if after is not None:
                time.sleep(after)
                ask_join("c")
                answered = joins.reply() and time.perf_counter()
            reader.join()
            on = any(m["msg"] == "process_completed" for m in seen)
            if after is not None and not on:
                session.rest()
            return None if on or after is None else answered - ended[0], ended[0] - began
    left_open = sorted(round_of(None)[1] for _ in range(5))[2]
    behind = [round_of(max(0, left_open + (step - 20) * 0.0002))[0] for step in range(30)]
    wrong = [b * 1000 for b in behind if b is not None and b < 0.003]
    # a stream that ends at once, with the last answer, is seen to end before anything else can be asked
    tell("a join that crosses the end of the stream", [] if not wrong or left_open < 0.01 else [
        f"{len(wrong)} of 30 answers came less than 3 ms behind the end of the stream that they crossed, which was left open for "
        f"{left_open * 1000:.0f} ms: {min(wrong):.1f} ms"])


def late_reader():
    session = Session(LAB)
    session.join(0, ["late"])
    time.sleep(0.5)
    messages = session.rest()
    tell("messages wait for the reader", [] if result(messages)["output"]["data"] == ["late"] else [short(messages)])


jobs = [("config-lab", config, "config-lab", LAB), ("config-interface", config, "config-interface", IFACE),
        ("info-lab", info, "info-lab", LAB), ("info-interface", info, "info-interface", IFACE), ("page", page),
        ("small-routes", small_routes), ("errors", errors), ("cors", cors)]
for name in ("echo", "count", "stepper", "progress", "warn", "fail", "crash", "failgen", "counter", "batch", "update",
             "file_echo", "gallery_stream"):
    jobs.append((f"queue-{name}", queue, f"queue-{name}", LAB))
jobs += [("queue-file_echo-file", queue, "queue-file_echo-file", LAB, uploaded_notes),
         ("queue-gallery", queue, "queue-gallery", IFACE), ("call", plain, "call", LAB), ("run", plain, "run", LAB),
         ("auth", plain, "auth", AUTH), ("cancel", cancel), ("queue-three-waiting", three_waiting),
         ("queue-full", queue_full), ("stream-input", microphone), ("stream", playlist), ("stream/growing", growing),
         ("upload", upload_and_file), ("upload-progress", upload_progress), ("openapi", openapi), ("root", root_url),
         ("heartbeat", heartbeat), ("two events", stream_goes_on), ("a join that crosses", crossing), ("messages wait", late_reader)]
for name, function, *args in jobs:
    if not sys.argv[1:] or any(
            a.removeprefix("wire/").split("/")[0] in name or name.split("/")[0] in a for a in sys.argv[1:]):
        guard(name, function, *args)
