"""Every type of component on one page, in Gradio itself, to look at ours against the original. 
Usage: zoo.py PORT, or zoo.py config > zoo.json: what zoo.mjs draws without a server."""
import json, os, sys
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
import gradio as gr

TEXT = """# A heading
Some *emphasis*, **strong words**, `code`, ~~gone~~ and a [link](https://example.org).

- one
- two
  1. nested

> A quotation.

| name | n |
|---|--:|
| a | 1 |

```python
print("hello")
```
<b>kept</b><script>window.bad = 1</script><img src=x onerror="window.bad = 2">"""
HTML = """<h2 style="text-align: center; position: fixed">Centred</h2><p onclick="window.bad = 3">Text <a href="javascript:window.bad=4">no link</a>
<a href="https://example.org">link</a></p><form action="https://example.org"><input name=x></form><svg onload="window.bad = 5"></svg>"""


def zoo():
    with gr.Blocks(title="Zoo") as app:
        with gr.Sidebar(open=False):
            gr.Markdown("### Aside\nWords in the side panel.")
            gr.Slider(label="Aside slider", value=30)
        gr.Markdown("# Zoo\nAll the *components*, alive.")
        with gr.Tabs():
            with gr.Tab("Fields"):
                with gr.Row():
                    with gr.Column():
                        lines = gr.Textbox(label="Lines", lines=3, max_lines=6, placeholder="Write something", info="Several lines; Shift+Enter submits", submit_btn=True)
                        word = gr.Textbox(label="Secret", type="password")
                        number = gr.Number(label="Number", value=7, minimum=0, maximum=10)
                        slider = gr.Slider(0, 10, value=4, step=0.5, label="Slider", info="Half steps", interactive=True)
                        check = gr.Checkbox(label="Check me", info="A single box")
                    with gr.Column():
                        group = gr.CheckboxGroup(["red", "green", ("Blue shown", "blue")], label="Colours", value=["red"])
                        radio = gr.Radio(["small", "large"], label="Size", value="small")
                        drop = gr.Dropdown(["cat", "dog", ("A very rare animal", "rare")], label="Animal", value="cat")
                        multi = gr.Dropdown(["a", "b", "c", "d"], label="Letters", multiselect=True, value=["a"], allow_custom_value=True)
                result = gr.JSON(label="Values")
                fields = [lines, word, number, slider, check, group, radio, drop, multi]
                with gr.Row():
                    show = gr.Button("Show", variant="primary")
                    gr.ClearButton(fields, value="Clear all")
                    gr.Button("Stop", variant="stop", size="md")
                    gr.DownloadButton("Get it", value=__file__, size="sm")
                    gr.UploadButton("Give it", size="sm")
                show.click(lambda *a: list(a), fields, result, api_name="show")
                lines.submit(lambda t: t.upper(), lines, lines, api_name="upper")
                changed = gr.Textbox(label="Changed")
                slider.change(lambda v: f"slider {v}", slider, changed, api_name="changed")
                drop.select(lambda e: f"selected {e}", drop, changed, api_name="selected")
            with gr.Tab("Data"):
                with gr.Row():
                    gr.Label({"cat": 0.7, "dog": 0.2, "fish": 0.1}, label="Label")
                    gr.HighlightedText([("The", None), ("cat", "animal"), (" sat on the ", None), ("mat", "thing")], label="Marked", show_legend=True)
                    gr.JSON({"a": [1, 2, {"b": None}], "text": "x", "yes": True}, label="Json")
                with gr.Row():
                    gr.Dataframe({"headers": ["name", "n"], "data": [["b", 2], ["a", 10], ["=cmd()", 1]]}, label="Table")
                    gr.Code("def f(x):\n    return x + 1\n", language="python", label="Code", interactive=False)
                    code = gr.Code("edit me", label="Editable code", interactive=True)
                with gr.Row():
                    gr.Markdown(TEXT)
                    gr.HTML(HTML)
                gr.Chatbot([{"role": "user", "content": "Hello, **you**"}, {"role": "assistant", "content": "Hi! <script>window.bad = 6</script>"}], label="Chat", height=220)
            with gr.Tab("Media"):
                with gr.Row():
                    gr.Image(label="Picture")
                    gr.Video(label="Film")
                with gr.Row():
                    gr.File(label="Files", file_count="multiple")
                    gr.Gallery(label="Gallery")
                    gr.Audio(label="Sound")
        with gr.Accordion("More", open=False) as more:
            inside = gr.Textbox(label="Inside")
        with gr.Group():
            first = gr.Textbox(label="First")
            second = gr.Textbox(label="Second", value="in one group")
        gr.Examples([["one", "two"], ["a longer example of words", "x"]], [first, second])
        ticks = gr.Number(label="Ticks", value=0)
        timer = gr.Timer(0.3, active=True)
        timer.tick(lambda n: n + 1 if n < 3 else gr.skip(), ticks, ticks, show_progress="hidden", api_name="tick")
        gr.Textbox(label="Never seen", visible=False)
        flip = gr.Button("Flip", elem_id="flip")
        flip.click(lambda: gr.Accordion(open=True), None, more, api_name="flip")
    return app


def config():
    """The config as the page gets it, less what the page does not read and what differs from machine to machine."""
    c = zoo().get_config_file()
    c["components"] = [{k: x[k] for k in ("id", "type", "props")} for x in c["components"]]
    for x in c["components"]:
        if isinstance(x["props"].get("value"), dict) and "path" in x["props"]["value"]:
            x["props"]["value"] = {"path": "/tmp/zoo.py", "url": "/gradio_api/file=/tmp/zoo.py", "orig_name": "zoo.py", "meta": {"_type": "gradio.FileData"}}
    c |= {"root": "", "app_id": 1, "page": {"": {k: c[k] for k in ("layout",)}}, "api_prefix": "/gradio_api"}
    return {k: v for k, v in c.items() if k in ("api_prefix", "app_id", "components", "connect_heartbeat", "dependencies", "layout", "mode", "page", "protocol", "root", "title")}


if __name__ == "__main__" and sys.argv[1] == "config":
    print(json.dumps(config(), separators=(",", ":")))
elif __name__ == "__main__":
    zoo().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, share=False)
