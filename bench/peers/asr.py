#!/usr/bin/env python3
"""faster-whisper (CTranslate2): a recording to text. Greedy, English, no timestamps; the model's own loading and the decoding of the
file are not counted, as `magic8 bench asr` does not count them."""
from common import *


def load(model, threads, compute="int8"):
    from faster_whisper import WhisperModel
    return WhisperModel(model, device="cpu", compute_type=compute, cpu_threads=threads)


def hear(whisper, samples, beam=1):
    segments, _ = whisper.transcribe(samples, language="en", beam_size=beam, without_timestamps=True, temperature=0.0,
                                     condition_on_previous_text=False)
    return "".join(s.text for s in segments).strip()


def samples_of(path):
    from faster_whisper import decode_audio
    return decode_audio(str(path), sampling_rate=16000)


def main():
    p = options(__doc__, "recording", QUESTION)
    p.add_argument("--model", help="CTranslate2 folder (default: whisper-base of magic8's catalog)")
    p.add_argument("--compute", default="int8", help="int8, float32, ... (int8)")
    p.add_argument("--beam", type=int, default=1)
    o = p.parse_args()
    whisper, samples = load(o.model or model_path("whisper-base"), o.threads, o.compute), samples_of(o.recording)

    def once(turn):
        start = time.perf_counter()
        text = hear(whisper, samples, o.beam)
        return {"wall_s": time.perf_counter() - start, "text": text}
    measure(once, o.times)


if __name__ == "__main__":
    main()
