#!/usr/bin/env python3
"""llama.cpp: a prompt of about 512 tokens, then 128 tokens one by one (greedy, the end of the text is not heeded), both through
its C interface. The same two prompts as `magic8 bench llm`."""
from common import *

os.environ.setdefault("LLAMA_CPP_LIB_PATH", str(PEERS / "build-llama" / "bin"))


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


def prefill(llm, turn):
    tokens = llm.tokenize(f"{turn}{' the' * 509}".encode(), add_bos=False)[:512]
    forget(llm)
    start = time.perf_counter()
    decode(llm, tokens)
    return len(tokens) / (time.perf_counter() - start)


def generate(llm, greedy, turn, n=128):
    import llama_cpp as c
    forget(llm)
    decode(llm, llm.tokenize(f"Turn {turn}. Here is a long list of words, one after another:".encode(), add_bos=False))
    start = time.perf_counter()
    for _ in range(n):
        decode(llm, [c.llama_sampler_sample(greedy, llm.ctx, -1)])
    return n / (time.perf_counter() - start)


def main():
    p = options(__doc__)
    p.add_argument("--model", help="GGUF file (default: smollm2-135m of magic8's catalog)")
    o = p.parse_args()
    llm = load(o.model or model_path("smollm2-135m"), o.threads)
    import llama_cpp as c
    greedy = c.llama_sampler_init_greedy()
    measure(lambda turn: {"prefill_tok_s": prefill(llm, turn), "decode_tok_s": generate(llm, greedy, turn)}, o.times)


if __name__ == "__main__":
    main()
