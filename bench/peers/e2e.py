#!/usr/bin/env python3
"""The same three models stitched together in Python: faster-whisper int8, llama-cpp-python, piper-tts, LAME. From the question's
samples in memory to the first and the last byte of MP3; models and the system message's state are warm, as in `magic8 bench e2e`.
Before each turn another question is asked, so that nothing of the answer itself is kept."""
import asr, llm, tts
from common import *

# As in app/ball.c.
SYSTEM = ("You are a magic 8 ball. Someone presents a question or a situation to you, and you answer with a cryptic adage or proverb that fits "
          "it. Keep it to one short sentence. Never say 'Magic 8 Ball'. If the question makes no sense or is off-topic, answer exactly "
          "'Foolish questions get foolish answers.' For example, to 'Should I get a dog?' you might say 'A dog is ready for you, but are you "
          "ready for the dog?'")


def answer(model, question):
    messages = [{"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"Magic 8 Ball please answer this question -  {question}"}]
    reply = model.create_chat_completion(messages, max_tokens=64, temperature=0.0)
    return reply["choices"][0]["message"]["content"].strip()


def main():
    import lameenc
    p = options(__doc__, "recording", QUESTION)
    for role, kind in (("asr", "CTranslate2 folder"), ("llm", "GGUF file"), ("tts", "Piper voice")):
        p.add_argument("--" + role, help=f"{kind} (default: as magic8's catalog has it)")
    o = p.parse_args()
    whisper = asr.load(o.asr or model_path("whisper-base"), o.threads)
    ball = llm.load(o.llm or model_path("smollm2-135m"), o.threads)
    voice = tts.load(o.tts or model_path("piper-joe"), o.threads)
    samples = asr.samples_of(o.recording)

    def once(turn):
        answer(ball, "What should I do?")
        start, first, n, mp3_bytes = time.perf_counter(), None, 0, 0
        now = lambda: time.perf_counter() - start
        question = asr.hear(whisper, samples)
        heard = now()
        text = answer(ball, question)
        answered = now()
        mp3 = lameenc.Encoder()
        mp3.silence()
        mp3.set_channels(1), mp3.set_in_sample_rate(voice.config.sample_rate), mp3.set_bit_rate(64), mp3.set_quality(7)
        for chunk in voice.synthesize(text or "Ask again later."):
            pcm, step = chunk.audio_int16_bytes, voice.config.sample_rate // 10 * 2  # 0.1 s: the first frame leaves when it can
            n += len(pcm) // 2
            for at in range(0, len(pcm), step):
                mp3_bytes += len(mp3.encode(pcm[at:at + step]))
                if mp3_bytes and not first:
                    first = now()
        mp3_bytes += len(mp3.flush())
        return {"heard_s": heard, "answered_s": answered, "first_mp3_s": first or now(), "last_mp3_s": now(),
                "audio_s": n / voice.config.sample_rate, "question": question, "answer": text}
    measure(once, o.times)


if __name__ == "__main__":
    main()
