"""python_client.py: gradio_client, the Python client as it is, against every endpoint of the lab."""
import asyncio, contextlib, io, os, subprocess, tempfile, threading, time, wave

os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError
from gradio_client.utils import QueueError, Status
from kit import *

folder = tempfile.TemporaryDirectory()
WAV = os.path.join(DATA, "audio", "today.wav")


def client(base=None, **more):
    return Client(base or LAB,
                  verbose=False,
                  analytics_enabled=False,
                  download_files=more.pop("download_files", os.path.join(folder.name, "down")),
                  **more)


lab = client()


def fails(function, kind, what):
    try:
        value = function()
    except kind as error:
        return error
    except Exception as error:
        raise Bad(f"{what}: expected {kind.__name__}, got {type(error).__name__}: {error}")
    raise Bad(f"{what}: expected {kind.__name__}, got the value {short(value)}")


def joined(*jobs):
    """Wait until the server has taken them; before that a cancel finds nothing."""
    end = time.monotonic() + 15
    while not all(job.communicator.event_id for job in jobs):
        need(time.monotonic() < end, "the server does not take a job")
        time.sleep(0.01)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def temp(name, data):
    path = os.path.join(folder.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


@test("echo")
def _():
    for text in ("hi", "", "grüße 🎱 \u2028 \" \\ \n\t</script>", "x" * 100000):
        same(lab.predict(text, api_name="/echo"), text)


@test("echo of null")
def _():
    same(lab.predict(None, api_name="/echo"), None)


@test("keyword argument")
def _():
    same(lab.predict(t="named", api_name="/echo"), "named")


@test("fn_index")
def _():
    same(lab.predict("by number", fn_index=0), "by number")


@test("generator")
def _():
    job = lab.submit(4, api_name="/count")
    same(list(job.result(10)), ["0 1 2 3 ", {"i": 3, "items": [0, 1, 2, 3]}], "result")
    texts = ["0 ", "0 1 ", "0 1 2 ", "0 1 2 3 "]
    same([o[0] for o in job.outputs()], texts, "outputs")
    same([o[1] for o in job.outputs()], [{"i": i, "items": list(range(i + 1))} for i in range(4)],
         "outputs rebuilt from diffs")


@test("generator, iterated")
def _():
    same([v for v in lab.submit(3, api_name="/stepper")], [0, 1, 2])


@test("generator of one value")
def _():
    same([o[0] for o in lab.submit(1, api_name="/count")], ["0 "])


@test("default of an argument")
def _():
    same(lab.predict(api_name="/count")[0], "0 1 2 ")


@test("typed defaults")
def _():
    same(lab.predict(7, api_name="/typed"), "7:dflt")
    same(lab.predict(n=7, t="x", api_name="/typed"), "7:x")
    fails(lambda: lab.predict(t="x", api_name="/typed"), TypeError, "a required argument is missing")
    fails(lambda: lab.predict(m=1, api_name="/typed"), TypeError, "unknown argument")


@test("state over calls")
def _():
    mine = client()
    same([mine.predict(api_name="/counter") for _ in range(3)], ["1", "2", "3"])
    other = client()
    same(other.predict(api_name="/counter"), "1", "another session")
    same(mine.predict(api_name="/counter"), "4", "the first one again")


@test("reset_session")
def _():
    mine = client()
    same([mine.predict(api_name="/counter") for _ in range(2)], ["1", "2"])
    mine.reset_session()
    same(mine.predict(api_name="/counter"), "1", "after reset_session")
    same(mine.predict("still there", api_name="/echo"), "still there")


@test("file there and back")
def _():
    for name, data in (("notes.txt", b"some text\n"), ("my notes (1) # & ü 話.bin", bytes(range(256)) * 300),
                       ("empty.dat", b"")):
        path = lab.predict(handle_file(temp(name, data)), api_name="/file_echo")
        same(content(path), data, f"content of {name}")
        same(os.path.basename(path), name, "name")


@test("file of 5 MB")
def _():
    data = os.urandom(1 << 20) * 5
    need(
        content(lab.predict(handle_file(temp("big.bin", data)), api_name="/file_echo")) == data,
        "it came back changed")


@test("no file")
def _():
    same(lab.predict(None, api_name="/file_echo"), None)


@test("audio there and back")
def _():
    need(content(lab.predict(handle_file(WAV), api_name="/audio_echo")) == content(WAV), "it came back changed")


@test("a path that was not uploaded")
def _():
    fails(
        lambda: lab.predict({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}, "url": None},
                            api_name="/nosuch"), ValueError, "unknown endpoint")
    mine = client()
    endpoint = mine.endpoints[13]
    endpoint._upload_file = lambda f, data_index: f  # what a hostile client would do
    fails(lambda: mine.predict(handle_file("/etc/passwd"), api_name="/file_echo"), Exception, "/etc/passwd")


@test("streamed audio")
def _():
    job = lab.submit(api_name="/tone")
    last = content(job.result(20)).decode()
    need(last.startswith("#EXTM3U\n") and last.endswith("#EXT-X-ENDLIST\n"), f"no whole playlist: {short(last)}")
    counts = [content(o).count(b"#EXTINF") for o in job.outputs()]
    need(
        len(counts) == 4 and counts[0] >= 1 and counts == sorted(counts) and counts[-1] >= 4,
        f"segments in the playlists of the outputs: {counts}")


@test("audio without download")
def _():
    raw = client(download_files=False)
    value = raw.predict(api_name="/tone")
    need(value["is_stream"] and value["url"].endswith("/playlist.m3u8") and value["orig_name"] == "audio-stream.mp3",
         short(value))


@test("playlist plays")
def _():
    value = client(download_files=False).predict(api_name="/tone")
    run = subprocess.run(["ffmpeg", "-v", "error", "-i", value["url"], "-f", "s16le", "-ac", "1", "-"],
                         stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE,
                         timeout=60)
    same(run.returncode, 0, f"ffmpeg, {short(run.stderr)}: exit status")
    need(3.9 < len(run.stdout) / 2 / 44100 < 4.4, f"{len(run.stdout) / 2 / 44100:.2f} s of sound instead of 4")


@test("progress")
def _():
    job, seen = lab.submit(3, api_name="/progress"), []

    async def watch():
        async for update in job:
            if update.type == "status" and update.progress_data:
                seen.append(update.progress_data[0])

    asyncio.run(watch())
    same(job.result(10), "done 3")
    same([(p.index, p.length, p.progress, p.unit, p.desc) for p in seen if p.index is None or p.index < 3],
         [(None, None, 0.0, "steps", "Starting")] + [(i, 3, None, "steps", "Working") for i in range(3)])


@test("status updates")
def _():
    first = lab.submit(1, api_name="/slow")
    joined(first)
    job = lab.submit(0.1, api_name="/slow")
    codes = []

    async def watch():
        async for update in job:
            if update.type == "status":
                codes.append((update.code, update.rank))

    asyncio.run(watch())
    need((Status.IN_QUEUE, 0) in codes and any(c == Status.PROCESSING for c, _ in codes)
         and codes[-1][0] == Status.FINISHED, f"updates {codes}")
    same(job.status().code, Status.FINISHED)
    same(first.result(10), "slept")


@test("toasts")
def _():
    job, logs = lab.submit("x", api_name="/warn"), []

    async def watch():
        async for update in job:
            if update.type == "status" and update.code == Status.LOG:
                logs.append(list(update.log))

    asyncio.run(watch())
    same(job.result(10), "x")
    same(logs, [["an info", "info"], ["a warning", "warning"], ["a success", "success"]])


@test("cancel a running generator")
def _():
    mine = client()
    job = mine.submit(100, api_name="/count")
    next(job)
    job.cancel()
    time.sleep(0.6)
    n = len(job.outputs())
    time.sleep(0.6)
    same(len(job.outputs()), n, "values after the cancel")
    need(n < 8, f"{n} values came")
    same(job.status().code, Status.CANCELLED)
    same(mine.predict("next", api_name="/echo"), "next", "the session afterwards")


@test("cancel what waits")
def _():
    a, b = client(), client()
    running = a.submit(0.7, api_name="/slow")
    joined(running)
    waiting = b.submit(20, api_name="/slow")
    joined(waiting)
    waiting.cancel()
    same(running.result(10), "slept")
    began = time.monotonic()
    same(b.predict(0.05, api_name="/slow"), "slept")
    need(time.monotonic() - began < 8, "the cancelled one was run")


@test("cancel ends only the named event",
      ours="cancel ends other events of the session and function too, and their callers wait forever")
def _():
    mine = client()
    running = mine.submit(0.5, api_name="/slow")
    joined(running)
    waiting = mine.submit(20, api_name="/slow")
    joined(waiting)
    waiting.cancel()
    same(running.result(10), "slept")
    one, two = mine.submit(3, api_name="/count"), mine.submit(100, api_name="/count")
    next(two)
    two.cancel()
    same(one.result(10)[0], "0 1 2 ")


@test("error for the user")
def _():
    error = fails(lambda: lab.predict("x", api_name="/fail"), AppError, "fail")
    same([error.message, error.title, error.duration, error.visible], ["the ball is broken", "Ball error", 7, True])


@test("internal error is hidden")
def _():
    error = fails(lambda: lab.predict("x", api_name="/crash"), AppError, "crash")
    need("secret" not in str(error) and "has not enabled" in error.message, f"it says {short(error.message)}")


@test("error shown where show_error is on")
def _():
    error = fails(lambda: client(FULL).predict("no number", api_name="/slow"), Exception, "slow of a text")
    need("has not enabled" not in str(error) and str(error), f"it says {short(str(error))}")


@test("error after values")
def _():
    job = lab.submit("x", api_name="/failgen")
    error = fails(lambda: job.result(10), AppError, "failgen")
    same([error.message, error.title], ["late failure", "Error"])
    same(job.outputs(), ["x1", "x12"])


@test("works after errors")
def _():
    mine = client()
    for endpoint in ("/fail", "/crash", "/failgen", "/badchain"):
        fails(lambda: mine.predict("x", api_name=endpoint), AppError, endpoint)
        same(mine.predict("fine", api_name="/echo"), "fine", f"after {endpoint}")


@test("queue full")
def _():
    a, b, c = client(FULL), client(FULL), client(FULL)
    first = a.submit(1, api_name="/slow")
    while first.status().code != Status.PROCESSING:
        time.sleep(0.01)
    second = b.submit(0.1, api_name="/slow")
    joined(second)
    error = fails(lambda: c.predict(0.1, api_name="/slow"), QueueError, "the third")
    need("full" in str(error), str(error))
    same([first.result(10), second.result(10)], ["slept", "slept"])


@test("file over the limit")
def _():
    with Conn(FULL):
        pass
    same(client(FULL).config["max_file_size"], 10240)
    kind, body = multipart([("files", "big.bin", b"x" * 20000)])
    same(post(FULL, "/gradio_api/upload", body, [("Content-Type", kind)]).status, 413)


def spans(fn, n, seconds):
    """When each of n calls at once ran, by when its messages came: [(start, end)]. (The client itself polls, too coarse for this.)"""
    out = []

    def run():
        session = Session(LAB)
        session.join(fn, [seconds])
        session.until("process_starts")
        start = time.monotonic()
        session.rest()
        out.append((start, time.monotonic()))

    threads = [threading.Thread(target=run) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len(out), n, "calls that ended")
    return out


def most_at_once(times, slack):
    return max(sum(s <= t < e - slack for s, e in times) for t, _ in times)


@test("limit 1 is one after the other")
def _():
    times = spans(10, 3, 0.5)
    same(most_at_once(times, 0.2), 1, "at once")


@test("limit 4 is four at once")
def _():
    times = spans(11, 6, 0.8)
    same(most_at_once(times, 0.4), 4, "at once")


@test("no limit")
def _():
    jobs = [client().submit(5, api_name="/count") for _ in range(8)]
    began = time.monotonic()
    same([j.result(20)[0] for j in jobs], ["0 1 2 3 4 "] * 8)
    need(time.monotonic() - began < 4, "eight generators of 0.75 s took more than 4 s: one after the other?")


@test("batch")
def _():
    same(lab.predict("ab", api_name="/batch"), "AB/1")
    blocker = [client().submit(0.01, api_name="/slow")]
    mine = client()
    jobs = [mine.submit(f"t{i}", api_name="/batch") for i in range(12)]
    values = [j.result(20) for j in jobs]
    same([v.split("/")[0] for v in values], [f"T{i}" for i in range(12)])
    need(all(1 <= int(v.split("/")[1]) <= 4 for v in values), f"sizes: {values}")
    blocker[0].result(10)


@test("unqueued function")
def _():
    same(lab.predict("q", api_name="/fast"), "fast q")


@test("gallery of a generator")
def _():
    job = lab.submit(api_name="/gallery_stream")
    final = job.result(10)
    same([[i["caption"] for i in o] for o in job.outputs()], [["one"], ["one more", "two"], ["two"]])
    need(content(final[0]["image"])[:8] == b"\x89PNG\r\n\x1a\n", "no PNG was downloaded")
    firsts = [content(o[0]["image"]) for o in job.outputs()]
    need(firsts[0] == firsts[1] != firsts[2], "the pictures are mixed up")


@test("headers reach the function")
def _():
    mine = client(headers={"x-lab": "deep"})
    header, session, query = mine.predict("t", api_name="/whoami").split("|")
    same([header, session, query], ["deep", mine.session_hash, "None"])
    same(lab.predict("t", api_name="/whoami", headers={"x-lab": "once"}).split("|")[0], "once", "header of one call")
    same(lab.predict("t", api_name="/whoami").split("|")[0], "None", "no header")


@test("private endpoint")
def _():
    fails(lambda: lab.predict("x", api_name="/hidden_one"), ValueError, "hidden_one")
    need("/hidden_one" not in lab.view_api(print_info=False, return_format="dict")["named_endpoints"],
         "it is in the API info")


@test("property update")
def _():
    value = lab.predict("new", api_name="/update")
    same(value, {"label": "Renamed", "interactive": False, "value": "new", "__type__": "update"})


@test("chain by hand")
def _():
    mine = client()
    same(mine.predict(mine.predict("a", api_name="/chain1"), api_name="/chain2"), "a!")
    same(mine.predict(api_name="/bad_failure"), "recovered")


@test("on_load")
def _():
    same(lab.predict(api_name="/on_load"), "loaded")


@test("view_api")
def _():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        lab.view_api()
    names = [
        "echo", "count", "stepper", "progress", "warn", "fail", "crash", "failgen", "slow", "slow_par", "counter",
        "file_echo", "audio_echo", "fast", "batch", "tone", "gallery_stream", "whoami", "update", "chain1", "chain2",
        "badchain", "bad_success", "bad_failure", "mic", "on_load", "typed"
    ]
    need(f"Named API endpoints: {len(names)}" in printed.getvalue(), short(printed.getvalue()))
    for line in ("[Api] t: str (not required, defaults to:   dflt)", "[File] f: filepath (required)",
                 "[Number] n: float (not required, defaults to:   3)", 'predict(n, api_name="/count") -> (out, json)',
                 'predict(api_name="/counter") -> out',
                 "[Gallery] gallery: list[dict(image: filepath, caption: str | None)"):
        need(line in printed.getvalue(), f"{line} is missing")
    same(list(lab.view_api(print_info=False, return_format="dict")["named_endpoints"]), ["/" + n for n in names])


@test("result callbacks")
def _():
    got, done = [], threading.Event()
    job = lab.submit("cb",
                     api_name="/echo",
                     result_callbacks=[lambda v: got.append(v), lambda v: (got.append(v + "2"), done.set())])
    same(job.result(10), "cb")
    need(done.wait(5), "the callback was not called")
    same(got, ["cb", "cb2"])


@test("timeout of the caller")
def _():
    job = lab.submit(0.8, api_name="/slow")
    fails(lambda: job.result(timeout=0.1), TimeoutError, "result(0.1)")
    same(job.result(10), "slept", "later")


@test("many clients at once")
def _():
    got = {}

    def run(i):
        mine = client()
        got[i] = [mine.predict(f"{i}-{k}", api_name="/echo")
                  for k in range(3)] + [mine.predict(api_name="/counter") for _ in range(2)]

    threads = [threading.Thread(target=run, args=(i, )) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(got, {i: [f"{i}-0", f"{i}-1", f"{i}-2", "1", "2"] for i in range(8)})


@test("many jobs of one client")
def _():
    mine = client()
    # a long one keeps the stream open: the client loses a job that it joins while the last one's stream is being closed
    long = mine.submit(12, api_name="/count")
    next(long)
    jobs = [mine.submit(str(i), api_name="/echo") for i in range(30)]
    same([j.result(30) for j in jobs], [str(i) for i in range(30)])
    same(long.result(10)[0], "0 1 2 3 4 5 6 7 8 9 10 11 ")


@test("several endpoints in one stream")
def _():
    mine = client()
    a, b, c = mine.submit(3, api_name="/count"), mine.submit("x", api_name="/echo"), mine.submit(2,
                                                                                                 api_name="/stepper")
    same([a.result(10)[0], b.result(10), c.result(10)], ["0 1 2 ", "x", 1])


@test("session after an idle stream")
def _():
    mine = client()
    for i in range(3):
        same(mine.predict(str(i), api_name="/echo"), str(i))
        time.sleep(0.1)


@test("login")
def _():
    mine = client(AUTH, auth=("admin", "secret"))
    same(mine.predict("in", api_name="/echo"), "in")
    need(content(mine.predict(handle_file(temp("a.txt", b"abc")), api_name="/file_echo")) == b"abc", "file")
    same([mine.predict(api_name="/counter") for _ in range(2)], ["1", "2"])
    same(mine.config["username"], "admin")


@test("login with a wrong password")
def _():
    for name, password in (("admin", "wrong"), ("nobody", "secret"), ("admin", "")):
        error = fails(lambda: client(AUTH, auth=(name, password)), ValueError, f"{name}:{password}")
        need("Could not login" in str(error), str(error))


@test("no login")
def _():
    fails(lambda: client(AUTH), AuthenticationError, "no login")


@test("interface")
def _():
    mine = client(IFACE)
    value = mine.predict("a cat", api_name="/draw")
    same([sorted(i) for i in value], [["caption", "image"]] * 2)
    need(all(content(i["image"])[:4] == b"\x89PNG" for i in value), "no PNG")
    same(list(mine.view_api(print_info=False, return_format="dict")["named_endpoints"]), ["/draw"])
    same(mine.predict("only one endpoint")[0]["caption"], None)


@test("interface's examples")
def _():
    mine = client(IFACE)
    values = [mine.predict(i, fn_index=6) for i in range(2)]
    same([v["value"] if isinstance(v, dict) else v for v in values], ["a red square", "a blue square"])


@test("interface has its endpoints of all kinds")
def _():
    info = client(IFACE).view_api(all_endpoints=True, print_info=False, return_format="dict")
    need("/draw" in info["named_endpoints"], short(info))


@test("microphone stream by the client")
def _():
    value = client().submit(handle_file(WAV), api_name="/mic")
    time.sleep(0.7)
    need(value.outputs()[:1] in ([], ["chunk 1"]), f"outputs {value.outputs()}")
    value.cancel()


@test("download folder")
def _():
    target = os.path.join(folder.name, "elsewhere")
    path = client(download_files=target).predict(handle_file(WAV), api_name="/audio_echo")
    need(path.startswith(os.path.realpath(target)), path)


@test("close")
def _():
    mine = client()
    same(mine.predict("x", api_name="/echo"), "x")
    mine.close()


main("python")
sys.stdout.flush()
os._exit(0)  # threads of cancelled jobs still wait
