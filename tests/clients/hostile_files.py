"""hostile_files.py: cases A and C of security.py: files, paths, and requests that the server might make."""
import hashlib, os, re, shutil, socket, time
from hostile import *


@test("A1 paths that lead out")
def _():
    root, up = folder(), "/../../../../../../../../etc/passwd"
    paths = [
        "/etc/passwd", "//etc/passwd", "/tmp/gradio/../../etc/passwd", root + up, root + "/x" + up,
        root + up.replace("..", "%2e%2e"), root + up.replace("/", "%2f"), root + up.replace("../", "..%2f"),
        root + up.replace("..", "%252e%252e"), root + up.replace("../", "..%252f"),
        root + up.replace("..", "%c0%ae%c0%ae"), root + up.replace("/", "%c0%af"), root + up.replace("/", "%5c"),
        root + up.replace("/", "\\"), root + up.replace("../", "..//"), root + up.replace("../", "....//"),
        root + up.replace("../", "..;/"), root + up.replace("../", ".%2e/"), root + up.replace("../", "%2e./"),
        "file:///etc/passwd", "file:/etc/passwd", "file:etc/passwd", "/proc/self/root/etc/passwd",
        "/proc/self/cwd/../../../../etc/passwd", "/dev/fd/0", "/dev/stdin", "etc/passwd", "../../../../etc/passwd",
        "~root/.bashrc", "%00/etc/passwd", "/etc/passwd%00.txt", root + "/%00" + up, "/etc/passwd?x=.txt",
        "/etc/passwd%23", "\\etc\\passwd", "%2fetc%2fpasswd", "%252fetc%252fpasswd", "", "/", ".", "..", root,
        root + "/", "/ETC/PASSWD/../../etc/passwd", "http://127.0.0.1:1/etc/passwd", "%ff%fe/etc/passwd",
        "/etc/%70asswd", "data:text/plain,root:", "gopher://127.0.0.1:1/x"
    ]
    for path in paths:
        closed_to(LAB, f"{API}/file={path}", (400, 403, 404))
    closed_to(LAB, f"{API}/file/etc/passwd")
    closed_to(LAB, f"{API}/file//etc/passwd")


@test("A1 the answer names no more than the path")
def _():
    same(get(LAB, f"{API}/file=/etc/passwd").status, 403)
    same(get(LAB, f"{API}/file=/etc/nosuchfile").status, 403, "a file that does not exist")
    same(get(LAB, f"{API}/file=/etc").status, 403, "a folder")


@test("A2 a folder beside the uploads")
def _():
    root = folder()
    evil = root.rstrip("/") + "-evil"
    os.makedirs(evil, exist_ok=True)
    try:
        for name in (evil + "/x", root.rstrip("/") + "x"):
            with open(name, "w") as file:
                file.write("MARK")
        base = os.path.basename(evil)
        for path in (f"{root}/../{base}/x", f"{evil}/x", f"{root}/a/../../{base}/x",
                     f"{root}/a/../../{os.path.basename(root)}x", root + "x", f"{root}-evil/x", f"{root}%2d%65vil/x"):
            closed_to(LAB, f"{API}/file={path}")
    finally:
        shutil.rmtree(evil)
        os.unlink(root.rstrip("/") + "x")


@test("A3 upper-case spelling")
def _():
    path = upload(LAB, "lower.txt", b"MARK")
    closed_to(LAB, f"{API}/file={os.path.dirname(os.path.dirname(path)).upper()}/{path.split('/')[-2]}/lower.txt")
    same(get(LAB, f"{API}/file={path}").status, 200, "the right spelling")


@test("A4 files that were not uploaded")
def _():
    root = folder()
    for value in (meta("/etc/passwd"), meta("/etc/passwd",
                                            url="http://127.0.0.1/x"), meta(root + "/../../../../../etc/passwd"),
                  meta("file:///etc/passwd"), meta("/etc/passwd",
                                                   is_stream=True), meta("/proc/self/environ"), meta(""), meta(root),
                  meta(root + "/nosuch/x.txt"), meta("/etc/passwd\u0000.txt"), meta("../etc/passwd")):
        not_taken(value)
    not_taken(meta("/etc/passwd"), 14)


@test("A4 files of another shape", ours="a path without meta, in a list, or as bare text is looked at")
def _():
    for value in ("/etc/passwd", ["/etc/passwd"], {"path": "/etc/passwd"}, [meta("/etc/passwd")],
                  {"url": "file:///etc/passwd", "path": None}, {"path": 7}, 7, True,
                  {"path": {"path": "/etc/passwd"}}, {"meta": {"_type": "gradio.FileData"}}, meta(["/etc/passwd"])):
        not_taken(value)


@test("A4 a path hidden in text stays text")
def _():
    text = json.dumps(meta("/etc/passwd"))
    same(post(LAB, f"{API}/run/fast", {"data": [text]}).json()["data"], ["fast " + text])


@test("A5 functions of components")
def _():
    for name in ("move_resource_to_block_cache", "__init__", "postprocess", "../x", "", None, 7):
        reply = post(LAB, f"{API}/component_server",
                     {"session_hash": "x", "component_id": 2, "fn_name": name, "data": "/etc/passwd"})
        need(400 <= reply.status < 500, f"{name!r}: expected 4xx, got {reply.status} {short(reply.body)}")


@test("A6 page parts")
def _():
    up = "/../../../../../../../../../etc/passwd"
    for prefix in ("/static", "/assets", "/static/fonts", "/svelte", "/custom_component/1/client/component",
                   f"{API}/custom_component/1/client/component", "/theme", "/favicon.ico", "/pwa_icon"):
        for tail in (up, up.replace("/", "%2f"), up.replace("..", "%2e%2e"), up.replace("../", "..%2f"),
                     up.replace("/", "%5c"), up.replace("../", "....//"), "/%00", "//etc/passwd", "/%2fetc/passwd"):
            closed_to(LAB, prefix + tail, range(400, 500))


@test("A7 names and formats")
def _():
    with open(os.path.join(DATA, "audio", "today.wav"), "rb") as file:
        wav = file.read(20000)
    for more in ({"orig_name": "wav/../../../../tmp/evil.wav"}, {"orig_name": "../../x.wav", "mime_type": "audio/../../../x"},
                 {"mime_type": "audio/wav/../../x\r\nX: y"}, {"orig_name": "a.wav\u0000.html"}):
        path, session = upload(LAB, "a.wav", wav), Session(LAB)
        reply = post(LAB, f"{API}/queue/join", {"data": [meta(path, **more)], "fn_index": 14, "session_hash": session.hash})
        need(reply.status in (200, 400, 422), f"{short(more)}: {reply.status}")
        done = result(session.rest()) if reply.status == 200 else {"success": False}
        if done["success"]:
            got = done["output"]["data"][0]["path"]
            need(os.path.realpath(got).startswith(os.path.realpath(folder()) + "/") and ".." not in got,
                 f"{short(more)}: the answer is {got}")


@test("A8 devices and server paths in flags")
def _():
    for path in ("/dev/urandom", "/dev/zero", "/proc/self/mem", "/etc/passwd"):
        began = time.monotonic()
        reply = post(IFACE, f"{API}/run/Flag", {"data": ["x", [{"image": meta(path), "caption": None}]]})
        need(time.monotonic() - began < 5, f"{path}: it took {time.monotonic() - began:.1f} s")
        need(reply.status >= 400, f"{path}: it was taken: {short(reply.body)}")
        not_taken(meta(path))


@test("A9 names of uploads")
def _():
    root = folder()
    names = [
        "../../x", "/tmp/x", "a\u0000b", "..", ".", "", " ", "...", "x" * 5000, "ü" * 300 + ".txt", "\u202egnp.exe",
        "a/b\\c", "C:\\x\\y.txt", "con.txt", "-rf", "a;b=c", "a\tb", "%2e%2e%2fx", "~", "$(id)", ".htaccess", "a\"b",
        "a\x7fb", "\ud83c\udfb1.txt".encode("utf-16", "surrogatepass").decode("utf-16")
    ]
    for name in names:
        kind, body = multipart([("files", name.replace('"', "%22"), b"data")])
        reply = post(LAB, f"{API}/upload", body, [("Content-Type", kind)])
        what = short(name, 40)
        need(reply.status == 200 or 400 <= reply.status < 500, f"{what}: {reply.status} {short(reply.body)}")
        if reply.status == 200 and reply.json():
            path = reply.json()[0]
            inside = path[len(root) + 1:].split("/")
            need(
                path.startswith(root + "/") and len(inside) == 2 and inside[1] not in ("", ".", ".."),
                f"{what}: it lies in {short(path)}")
            need(
                len(inside[1].encode()) <= 200 and not re.search(r"[\x00-\x1f\x7f/\\]", inside[1]),
                f"{what}: it is called {short(inside[1])}")
            need(
                os.path.dirname(os.path.realpath(path)) == os.path.realpath(os.path.dirname(path)), f"{what}: {path}")


@test("A9 names do not split headers")
def _():
    for name in ("a\r\nX-Evil: 1\r\n\r\n.txt", "a\nX-Evil: 1", "a\rX-Evil: 1"):
        kind, body = multipart([("files", name, b"data")])
        reply = post(LAB, f"{API}/upload", body, [("Content-Type", kind)])
        need(reply.status < 500, f"{reply.status}")
        if reply.status == 200 and reply.json():
            got = get(LAB, f"{API}/file=" + urllib.parse.quote(reply.json()[0]))
            need(got.header("x-evil") is None, "a header was made by the name of a file")


@test("A10 links, pipes, devices in the folder of uploads")
def _():
    path = upload(LAB, "real.txt", b"real")
    here = os.path.dirname(path)
    os.symlink("/etc/passwd", here + "/link.txt")
    os.symlink("/etc", here + "/dir")
    os.mkfifo(here + "/pipe.txt")
    try:
        closed_to(LAB, f"{API}/file={here}/link.txt")
        closed_to(LAB, f"{API}/file={here}/dir/passwd")
        closed_to(LAB, f"{API}/file={here}/pipe.txt")
        closed_to(LAB, f"{API}/file={here}")
        for device in ("/dev/zero", "/dev/urandom", "/proc/self/mem", "/proc/self/environ"):
            closed_to(LAB, f"{API}/file={device}")
        not_taken(meta(here + "/link.txt"))
        not_taken(meta(here + "/pipe.txt"))
    finally:
        for name in ("/link.txt", "/dir", "/pipe.txt"):
            os.unlink(here + name)
    same(get(LAB, f"{API}/file={path}").body, b"real")


@test("A11 folders cannot be guessed")
def _():
    data = os.urandom(20)
    path = upload(LAB, "same.bin", data)
    name = path.split("/")[-2]
    need(re.fullmatch(r"[0-9A-Za-z_-]{22,}", name), f"the folder is called {name}")
    need(
        name not in (hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest(), hashlib.md5(data).hexdigest()),
        "the folder is the hash of the content")
    other = upload(AUTH, "same.bin", data, headers=login()).split("/")[-2]
    need(name != other, "another server of this machine makes the same name")


@test("A13 ranges")
def _():
    path = upload(LAB, "ten.txt", b"0123456789")
    for value in ("bytes=0-99999999999999999999", "bytes=0-18446744073709551616", "bytes=9-8",
                  "bytes=-99999999999999999999", "bytes=" + ",".join(["0-9"] * 1000), "bytes=0-0,-1", "bytes=--1",
                  "bytes=", "bytes=x-y", "lines=0-1", "bytes=0x0-0x5", "bytes=-0", "bytes=99999999999999999999-",
                  "bytes= 0 - 5", "bytes=0-5;q=1", "bytes=+0-+5"):
        reply = ask(LAB, "GET", f"{API}/file={path}", {"Range": value}, timeout=5)
        need(reply.status in (200, 206, 400, 416), f"{short(value, 40)}: {reply.status} {short(reply.body)}")
        need(reply.status in (400, 416) or len(reply.body) <= 10 and reply.body in b"0123456789",
             f"{short(value, 40)}: {len(reply.body)} bytes of a file of 10")


@test("C1 nothing is fetched")
def _():
    with socket.create_server(("127.0.0.1", 0)) as trap:
        port = trap.getsockname()[1]
        trap.settimeout(0.2)
        for url in (f"http://127.0.0.1:{port}/x", f"http://2130706433:{port}/x", f"http://0x7f000001:{port}/",
                    f"http://[::ffff:127.0.0.1]:{port}/", f"http://user@127.0.0.1:{port}/",
                    f"http://localhost.:{port}/"):
            closed_to(LAB, f"{API}/file={url}", (400, 403, 404))
            closed_to(LAB, f"{API}/proxy={url}", (400, 401, 403, 404))
            for value in (meta(url), meta("/x", url=url), meta(folder() + "/x", url=url)):
                not_taken(value)
        try:
            trap.accept()
        except TimeoutError:
            return
    raise Bad("the server connected to an address that a client named")


@test("C4 redirects")
def _():
    for path in ("//evil.example/..", "////evil.example", "/\\evil.example", "/logout?_target_url=//evil.example",
                 "//evil.example/logout", "/login?next=//evil.example", "//evil.example//config/"):
        with Conn(LAB, 5) as conn:
            conn.send(head("GET", path, "Connection: close"))
            reply = conn.reply()
        place = reply.header("location") or ""
        need("evil" not in place, f"{path}: redirects to {place}")
