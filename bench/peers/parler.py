#!/usr/bin/env python3
"""Parler-TTS (parler_tts on PyTorch), a text to sound through its own streamer, which decodes everything so far for each chunk.

--parts takes it apart instead: T5, the first pass, a decoder step, the codec. A model of random weights (bench/shapes/parler.py) never
ends by itself: --max-tokens says how many columns of codes are made, 86 a second."""
VENV = "venv-parler"
from common import *

TEXT = "A dog is ready for you, but are you ready for the dog?"
DESCRIPTION = ("Jenny speaks at an average pace with a calm delivery in a very confined sounding environment with clear audio quality.")


def load(path, dtype):
    import torch
    import warnings
    warnings.filterwarnings("ignore")
    from parler_tts import ParlerTTSForConditionalGeneration
    m = ParlerTTSForConditionalGeneration.from_pretrained(path, torch_dtype=getattr(torch, dtype)).eval()
    gc = m.generation_config
    gc.decoder_start_token_id, gc.bos_token_id, gc.pad_token_id, gc.eos_token_id = 1025, 1025, 1024, 1024
    return m


class Clock:
    """Stands where a streamer stands: the time of each column."""

    def __init__(self):
        self.t = []

    def put(self, _):
        self.t.append(time.perf_counter())

    def end(self):
        pass


def speak(m, desc, prompt, seconds, n):
    """As the original's application does: chunks of so many seconds, read by another thread."""
    import threading
    from parler_tts import ParlerTTSStreamer
    rate = m.audio_encoder.config.sampling_rate
    s = ParlerTTSStreamer(m, device="cpu", play_steps=int(m.audio_encoder.config.frame_rate * seconds))
    start, first, samples = time.perf_counter(), None, 0
    t = threading.Thread(target=m.generate, kwargs=dict(input_ids=desc, prompt_input_ids=prompt, do_sample=True, max_new_tokens=n,
                                                        min_new_tokens=n, streamer=s))
    t.start()
    for chunk in s:
        first = first or time.perf_counter() - start
        samples += len(chunk)
    t.join()
    total = time.perf_counter() - start
    return {"first_s": first, "total_s": total, "audio_s": samples / rate, "audio_per_s": samples / rate / total}


def parts(m, desc, prompt, n, frames=163):
    import torch
    hop, rate = 512, m.audio_encoder.config.sampling_rate
    with torch.no_grad():
        a = time.perf_counter()
        m.text_encoder(desc)
        t5 = time.perf_counter() - a
        codes = torch.randint(0, 1024, (1, 1, m.decoder.num_codebooks, frames))
        a = time.perf_counter()
        m.audio_encoder.decode(audio_codes=codes, audio_scales=[None])
        dac = time.perf_counter() - a
        keep, c = m.audio_encoder.decode, Clock()
        m.audio_encoder.decode = lambda audio_codes, audio_scales: type("O", (), {"audio_values": torch.zeros(1, 1, 1)})()
        m.generate(input_ids=desc, prompt_input_ids=prompt, do_sample=True, max_new_tokens=n, min_new_tokens=n, streamer=c)
        m.audio_encoder.decode = keep
    steps = sorted(y - x for x, y in zip(c.t[2:], c.t[3:]))
    step, dac_x = sum(steps) / len(steps), frames * hop / rate / dac
    return {"t5_s": t5, "prefill_s": c.t[1] - c.t[0], "step_s": step, "steps_per_s": 1 / step, "dac_x": dac_x,
            "audio_per_s": 1 / (step * rate / hop + 1 / dac_x)}


def main():
    p = options(__doc__, "text", TEXT)
    p.add_argument("--model", required=True, help="directory as bench/shapes/parler.py writes it")
    p.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    p.add_argument("--description", default=DESCRIPTION)
    p.add_argument("--max-tokens", type=int, default=258)
    p.add_argument("--play-steps", type=float, default=2, help="seconds of a chunk; the original's application says 2")
    p.add_argument("--parts", action="store_true")
    o = p.parse_args()
    import torch
    torch.set_num_threads(o.threads)
    m = load(o.model, o.dtype)
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(o.model + "/tokenizer.json")
    desc, prompt = (torch.tensor([tok.encode(x).ids]) for x in (o.description, o.text))
    if o.parts:
        measure(lambda turn: parts(m, desc, prompt, min(o.max_tokens, 48)), o.times)
    else:
        measure(lambda turn: speak(m, desc, prompt, o.play_steps, o.max_tokens), o.times)


if __name__ == "__main__":
    main()
