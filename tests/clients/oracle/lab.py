"""The lab app in Gradio itself: the original that the tests are tried on. Usage: lab.py PORT [lab|auth|iface|full]
Order and names count: config and info of this app are those recorded in tests/data/gradio."""
import os, subprocess, sys, tempfile, time
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
import gradio as gr
from PIL import Image


def echo(t):
    return t


def count(n):
    text = ""
    for i in range(int(n)):
        time.sleep(0.15)
        text += f"{i} "
        yield text, {"i": i, "items": list(range(i + 1))}


def stepper(n):
    for i in range(int(n)):
        time.sleep(0.25)
        yield i


def progress(n, progress=gr.Progress()):
    progress(0, desc="Starting", unit="steps")
    time.sleep(0.3)
    for _ in progress.tqdm(range(int(n)), desc="Working", unit="steps"):
        time.sleep(0.3)
    return f"done {int(n)}"


def warn(t):
    gr.Info("an info", duration=5)
    gr.Warning("a warning", title="Careful")
    gr.Success("a success")
    return t


def fail(t):
    raise gr.Error("the ball is broken", duration=7, title="Ball error")


def crash(t):
    raise ValueError("secret detail")


def failgen(t):
    yield t + "1"
    time.sleep(0.1)
    yield t + "12"
    time.sleep(0.1)
    raise gr.Error("late failure")


def slow(n):
    time.sleep(n)
    return "slept"


def slow_par(n):
    return slow(n)


def counter(s):
    return s + 1, str(s + 1)


def file_echo(f):
    return f


def audio_echo(a):
    return a


def fast(t):
    return f"fast {t}"


def batch(ts):
    return [[f"{t.upper()}/{len(ts)}" for t in ts]]


def mp3(hertz):
    run = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=44100:duration=1",
                          "-b:a", "64k", "-f", "mp3", "-"], stdout=subprocess.PIPE, check=True)
    return run.stdout


def tone():
    for chunk in CHUNKS:
        yield chunk
        time.sleep(0.05)


def square(colour):
    path = os.path.join(tempfile.mkdtemp(), "img.png")
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def gallery_stream():
    yield [(square("red"), "one")]
    time.sleep(0.2)
    yield [(square("red"), "one more"), (square("blue"), "two")]
    time.sleep(0.2)
    yield [(square("blue"), "two")]


def whoami(t, request: gr.Request):
    return f"{request.headers.get('x-lab')}|{request.session_hash}|{request.query_params.get('q')}"


def hidden_one(t):
    return t


def update(t):
    return gr.Textbox(value=t, label="Renamed", interactive=False)


def chain1(t):
    return t


def chain2(t):
    return t + "!"


def badchain(t):
    return fail(t)


def bad_success():
    return "must not happen"


def bad_failure():
    return "recovered"


def mic(chunk, s):
    return s + 1, f"chunk {s + 1}"


def on_load():
    return "loaded"


def typed(n: int, t: str = "dflt") -> str:
    """Join a number and a text."""
    return f"{n}:{t}"


def lab():
    with gr.Blocks(title="Lab") as app:
        with gr.Row():
            text, n = gr.Textbox(label="Text"), gr.Number(label="N", value=3)
            out, out2 = gr.Textbox(label="Out"), gr.Textbox(label="Out 2")
            js, state = gr.JSON(label="Json"), gr.State(0)
        with gr.Row():
            file_in, file_out = gr.File(label="File in"), gr.File(label="File out")
            audio_in, audio_out = gr.Audio(label="Audio in", type="filepath"), gr.Audio(label="Audio out")
            stream_out = gr.Audio(label="Stream out", streaming=True, autoplay=True)
            mic_stream = gr.Audio(label="Mic stream", sources=["microphone"], streaming=True, type="filepath")
            gallery = gr.Gallery(label="Gallery")
        press = lambda name, *a, **k: gr.Button(name).click(*a, api_name=name, **k)
        press("echo", echo, text, out)
        c = press("count", count, n, [out, js], concurrency_limit=None)
        s = press("stepper", stepper, n, n, concurrency_limit=None)
        gr.Button("stop").click(None, cancels=[c, s])
        press("progress", progress, n, out)
        press("warn", warn, text, out)
        press("fail", fail, text, out)
        press("crash", crash, text, out)
        press("failgen", failgen, text, out)
        press("slow", slow, n, out, concurrency_limit=1)
        press("slow_par", slow_par, n, out, concurrency_limit=4, concurrency_id="par")
        press("counter", counter, state, [state, out])
        press("file_echo", file_echo, file_in, file_out)
        press("audio_echo", audio_echo, audio_in, audio_out)
        press("fast", fast, text, out, queue=False)
        press("batch", batch, text, out, batch=True, max_batch_size=4)
        press("tone", tone, None, stream_out)
        press("gallery_stream", gallery_stream, None, gallery)
        press("whoami", whoami, text, out)
        press("hidden_one", hidden_one, text, out, api_visibility="private")
        press("update", update, text, out2)
        press("chain1", chain1, text, out).success(chain2, out, out2, api_name="chain2")
        b = press("badchain", badchain, text, out)
        b.success(bad_success, None, out2, api_name="bad_success")
        b.failure(bad_failure, None, out2, api_name="bad_failure")
        mic_stream.stream(mic, [mic_stream, state], [state, out2], time_limit=15, stream_every=0.5, api_name="mic")
        app.load(on_load, None, out2, api_name="on_load")
        gr.api(typed, api_name="typed")
    return app


def draw(prompt):
    return [square("red"), square("blue")]


def iface():
    return gr.Interface(draw, gr.Textbox(label="Prompt"), gr.Gallery(label="Images"), title="Draw", description="Two squares",
                        examples=["a red square", "a blue square"], cache_examples=False)


def full():
    with gr.Blocks(title="Full") as app:
        n, out = gr.Number(label="N"), gr.Textbox(label="Out")
        gr.Button("slow").click(slow, n, out, api_name="slow")
    return app.queue(max_size=1)


if __name__ == "__main__":
    port, variant = int(sys.argv[1]), (sys.argv[2:] or ["lab"])[0]
    CHUNKS = [mp3(h) for h in (300, 400, 500, 600)] if variant in ("lab", "auth") else []
    app = {"lab": lab, "auth": lab, "iface": iface, "full": full}[variant]()
    more = {"auth": {"auth": ("admin", "secret"), "auth_message": "Say the word"},
            "full": {"max_file_size": 10240, "show_error": True}}.get(variant, {})
    app.launch(server_name="127.0.0.1", server_port=port, quiet=True, share=False, **more)
