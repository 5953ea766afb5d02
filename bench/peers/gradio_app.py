"""The app that `magic8 bench serve` measures, in Gradio itself. Usage: gradio_app.py PORT (the interpreter must have gradio)

  echo   text -> the same text; no concurrency limit
  count  generator of 500 growing texts, as fast as possible; no limit
  tone   generator of four MP3 chunks of 1 s, 0.2 s between; outputs: streamed Audio, and a text that is the
         CLOCK_MONOTONIC time (seconds, as decimal text) at which the chunk was handed over"""
import functools, io, os, sys, time
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
import gradio as gr
from pydub.generators import Sine


@functools.cache
def mp3(hertz):
    out = io.BytesIO()
    Sine(hertz, sample_rate=44100).to_audio_segment(1000, volume=-12).export(out, format="mp3", bitrate="64k")
    return out.getvalue()


def echo(text):
    return text


def count():
    text = ""
    for i in range(500):
        text += f"word{i} "
        yield text


def tone():
    for chunk in [mp3(h) for h in (300, 400, 500, 600)]:
        yield chunk, repr(time.monotonic())
        time.sleep(0.2)


with gr.Blocks() as app:
    text, out = gr.Textbox(), gr.Textbox()
    sound = gr.Audio(streaming=True, autoplay=True)
    gr.Button("echo").click(echo, text, out, concurrency_limit=None)
    gr.Button("count").click(count, None, out, concurrency_limit=None)
    gr.Button("tone").click(tone, None, [sound, out], concurrency_limit=None)

if __name__ == "__main__":
    app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, share=False)
