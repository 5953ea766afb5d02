#!/usr/bin/env python3
"""Piper (VITS by onnxruntime): a text to sound. It gives a sentence at a time, so the first sound is the whole first sentence."""
from common import *

TEXT = "A dog is ready for you, but are you ready for the dog?"


def load(model, threads):
    import onnxruntime
    from piper import PiperConfig, PiperVoice
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, sess_options=o, providers=["CPUExecutionProvider"])
    return PiperVoice(session=session, config=PiperConfig.from_dict(json.loads(pathlib.Path(model + ".json").read_text())))


def main():
    p = options(__doc__, "text", TEXT)
    p.add_argument("--model", help="Piper voice, .onnx with its .onnx.json beside (default: piper-joe of magic8's catalog)")
    o = p.parse_args()
    voice = load(o.model or model_path("piper-joe"), o.threads)

    def once(turn):
        start, first, n = time.perf_counter(), None, 0
        for chunk in voice.synthesize(o.text):
            n += len(chunk.audio_int16_bytes) // 2
            first = first or time.perf_counter() - start
        return {"first_s": first, "total_s": time.perf_counter() - start, "audio_s": n / voice.config.sample_rate}
    measure(once, o.times)


if __name__ == "__main__":
    main()
