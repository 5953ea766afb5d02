#!/usr/bin/env python3
"""llama.cpp: a prompt of about 512 tokens, then 128 tokens one by one (greedy, the end of the text is not heeded), then the first token
behind the ball's prompt, whose beginning is kept; all through its C interface. The same prompts as `magic8 bench llm`."""
from common import *

os.environ.setdefault("LLAMA_CPP_LIB_PATH", str(PEERS / "build-llama" / "bin"))

SYSTEM = ("You are a magic 8 ball. Someone presents a question or a situation to you, and you answer with a cryptic adage or proverb that fits "
          "it. Keep it to one short sentence. Never say 'Magic 8 Ball'. If the question makes no sense or is off-topic, answer exactly "
          "'Foolish questions get foolish answers.' For example, to 'Should I get a dog?' you might say 'A dog is ready for you, but are you "
          "ready for the dog?'")
ASK = "Magic 8 Ball please answer this question -  "


def load(model, threads, context=1024):
    from llama_cpp import Llama
    return Llama(model, n_ctx=context, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False)


def forget(llm):
    import llama_cpp as c
    llm.reset()
    c.llama_memory_clear(c.llama_get_memory(llm.ctx), True)


def decode(llm, tokens):
    import llama_cpp as c
    ids = (c.llama_token * len(tokens))(*tokens)  # the batch only points to it
    if c.llama_decode(llm.ctx, c.llama_batch_get_one(ids, len(ids))):
        sys.exit("llama_decode failed")
    c.llama_synchronize(llm.ctx)


def prefill(llm, turn, n):
    tokens = llm.tokenize(f"{turn}{' the' * (n - 3)}".encode(), add_bos=False)[:n]
    forget(llm)
    start = time.perf_counter()
    decode(llm, tokens)
    return len(tokens) / (time.perf_counter() - start)


def generate(llm, greedy, turn, n):
    import llama_cpp as c
    forget(llm)
    decode(llm, llm.tokenize(f"Turn {turn}. Here is a long list of words, one after another:".encode(), add_bos=False))
    start = time.perf_counter()
    for _ in range(n):
        decode(llm, [c.llama_sampler_sample(greedy, llm.ctx, -1)])
    return n / (time.perf_counter() - start)


def first(llm, greedy, turn):
    """The prompt as a Mistral or a ChatML file has it, the system text and the turn's beginning computed before the clock starts."""
    import llama_cpp as c
    chat_ml = bool(llm.tokenize(b"<|im_start|>", add_bos=False, special=True)[1:] == [])
    head, tail = (("<|im_start|>system\n%s<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n") if chat_ml
                  else ("<s>[INST] %s\n\n", "[/INST]"))
    kept = llm.tokenize((head % SYSTEM + ASK).encode(), add_bos=False, special=True)[:-1]
    whole = llm.tokenize((head % SYSTEM + ASK + f"Will I get the {turn + 4}th job that I applied for?" + tail).encode(), add_bos=False, special=True)
    while whole[:len(kept)] != kept:
        kept.pop()
    forget(llm)
    decode(llm, kept)
    start = time.perf_counter()
    decode(llm, whole[len(kept):])
    c.llama_sampler_sample(greedy, llm.ctx, -1)
    return time.perf_counter() - start


def main():
    p = options(__doc__)
    p.add_argument("--model", help="GGUF file (default: smollm2-135m of magic8's catalog)")
    p.add_argument("--prompt-tokens", type=int, default=512)
    p.add_argument("--max-tokens", type=int, default=128)
    o = p.parse_args()
    llm = load(o.model or model_path("smollm2-135m"), o.threads)
    import llama_cpp as c
    greedy = c.llama_sampler_init_greedy()
    measure(lambda turn: {"prefill_tok_s": prefill(llm, turn, o.prompt_tokens), "decode_tok_s": generate(llm, greedy, turn, o.max_tokens),
                          "first_s": first(llm, greedy, turn)}, o.times)


if __name__ == "__main__":
    main()
