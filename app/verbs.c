/* The one table of verbs and options: --help, the man page and the completions are made from it. After a change:
 * `ninja -C build docs` writes doc/magic8.1.scd and doc/completions anew (a test compares them). */
#include "options.h"

const struct verb verbs[] = {
    { "serve", V_SERVE, cmd_serve, "", 0, 0, "serve the page of the ball, and all that can be called from elsewhere",
      "Prints its address and serves until it is interrupted. The page answers at once and shows that the models are loading; they run in "
      "processes of their own. Clients of Gradio can call /generate_response and /read_response; /health tells whether a question can be "
      "answered, /metrics has figures for Prometheus. Browsers give their microphone only to https and to this machine itself: for other "
      "machines use --tls-cert and --tls-key, or a proxy.",
      "", false },
    { "ask", V_ASK, cmd_ask, "AUDIO|TEXT|-", 1, 1, "ask the magic 8 ball, aloud or in writing",
      "The whole job: the question is heard (a sound file, or sound on standard input for -) or read (a text), the question and the "
      "answer are printed, and the answer is spoken into the file that -o names while it is being made.",
      "@file", false },
    { "listen", V_LISTEN, cmd_listen, "AUDIO|-", 1, 1, "write down what is said in a sound file",
      "Prints the text as it is found. Any recording that a browser or a phone makes will do: webm, ogg, wav, mp3, m4a, flac.", "@file",
      false },
    { "chat", V_CHAT, cmd_chat, "[PROMPT|-]", 0, 1, "talk with the language model",
      "Answers PROMPT. Without one, each line of standard input is a turn of one conversation.", "", false },
    { "say", V_SAY, cmd_say, "TEXT|-", 1, 1, "speak a text",
      "Writes speech into the file that -o names, in the format of its ending (mp3, wav, ogg, aac), as it is made.", "", false },
    { "pull", V_PULL, cmd_pull, "[default|better|seed|ID|REPO [FILE...]]", 0, 64, "fetch models",
      "Fetches a set of models (default: 300 MB; better: 1.6 GB; seed: Mistral-7B and Parler-TTS, 7 GB), one model of the catalog by its "
      "ID, or files of a repository of the hub (all of them, unless FILEs are named) into the hub's cache. First it says how much that is, "
      "and how much disk and memory are free; without room for all of it nothing is fetched. Each source that the catalog knows is tried "
      "in order; what arrives is checked against its SHA-256 before it gets its name. An interrupted download goes on where it ended. Some "
      "models run in a smaller type than they are published in: that is made afterwards (as quantize does), beside them in the cache.",
      "default better seed", false },
    { "models", V_MODELS, cmd_models, "[ID...]", 0, 64, "list the models and where they are",
      "Lists the models of the catalog, and whether they are in the cache. With --path, prints only where each of the named models "
      "lies: its main file, or its folder if it is made of several.",
      "", false },
    { "verify", V_VERIFY, cmd_verify, "DIR", 1, 1, "compare a model with what its original computes",
      "DIR holds a model and expected.safetensors, made by the original implementation; the largest difference of every tensor is printed. With "
      "--type the model (here expected.safetensors may be missing) is quantised into a temporary file in TMPDIR and led through the same "
      "steps as itself in float32: printed is how often both choose alike, and how far their logits are apart; nothing counts as a failure.",
      "@file", false },
    { "quantize", V_QUANTIZE, cmd_quantize, "IN OUT", 2, 2, "write a model in fewer bits",
      "IN is a Llama or Parler model: a file or folder (GGUF, safetensors), a name of the catalog or a repository of the hub that is in the "
      "cache. OUT is a file whose name ends in .gguf, or a folder for model.gguf; it appears there when it is whole. --type is that of the "
      "matrices that are read for every token; embeddings, heads and what is read once keep more bits.",
      "@file", false },
    { "bench", V_BENCH, cmd_bench, "[asr|llm|tts|e2e|serve|turn [AUDIO|TEXT]]", 0, 2, "measure",
      "Prints one JSON object a line: what, figure, threads, runs, median, minimum, unit; the last line has all medians. asr, llm, tts and e2e "
      "measure the models, serve a small app under load (echoes, a generator, 2,000 open streams, streamed sound), turn a spoken question "
      "through the whole server, alone and with four visitors at once.", "asr llm tts e2e serve turn", false },
    { "worker", V_WORKER, cmd_worker, "", 0, 0, "be a process that serves another magic8 (started by it alone)", "", "", true },
    { "docs", V_DOCS, cmd_docs, "man|bash|zsh|fish", 1, 1, "print the man page or a completion", "", "man bash zsh fish", true },
    { 0 },
};

#define AT(f) offsetof(struct options, f)
#define ROLES (V_SERVE | V_ASK | V_LISTEN | V_CHAT | V_SAY | V_VERIFY | V_BENCH)

const struct opt opt_rows[] = {
    { "model", 'm', OPT_LIST, AT(models), ROLES, "[ROLE=]ID",
      "model to use: catalog name, hub id or path; ROLE is asr, llm or tts" },
    { "output", 'o', OPT_TEXT, AT(output), V_ASK | V_SAY, "FILE", "write speech there; - is standard output" },
    { "bit-rate", 0, OPT_INT, AT(bit_rate), V_ASK | V_SAY, "N", "bits a second of compressed speech (64000)", 8000, 320000 },
    { "speed", 0, OPT_REAL, AT(speed), V_SERVE | V_ASK | V_SAY, "X", "2 speaks twice as fast, 0.5 half as fast (1)", 0.25, 4 },
    { "speaker", 0, OPT_INT, AT(speaker), V_SERVE | V_ASK | V_SAY, "N", "speaker of a voice that has several (0)", 0, 100000 },
    { "description", 0, OPT_TEXT, AT(description), V_SERVE | V_ASK | V_SAY | V_BENCH, "TEXT", "how to speak, in words, for a voice that is told (Parler-TTS)" },
    { "play-steps", 0, OPT_REAL, AT(play_steps), V_SERVE | V_ASK | V_SAY | V_BENCH, "S",
      "seconds of a chunk of sound, as parler_tts cuts them; otherwise as early as there is some", 0.2, 60 },
    { "host", 0, OPT_TEXT, AT(host), V_SERVE, "ADDRESS", "listen there (127.0.0.1); 0.0.0.0 is every address of this machine" },
    { "port", 'p', OPT_INT, AT(port), V_SERVE, "N", "listen there; otherwise the first free port from 7860 on", 1, 65535 },
    { "auth", 0, OPT_TEXT, AT(auth), V_SERVE, "USER:PASSWORD", "ask for a login; several lines of a text are several users; @FILE reads them" },
    { "auth-message", 0, OPT_TEXT, AT(auth_message), V_SERVE, "TEXT", "shown above the login" },
    { "tls-cert", 0, OPT_TEXT, AT(tls_cert), V_SERVE, "FILE", "serve https with this certificate (PEM)" },
    { "tls-key", 0, OPT_TEXT, AT(tls_key), V_SERVE, "FILE", "the certificate's key (PEM)" },
    { "root-path", 0, OPT_TEXT, AT(root_path), V_SERVE, "PATH", "path or URL under which a proxy shows the server" },
    { "allow-host", 0, OPT_LIST, AT(names), V_SERVE, "NAME", "one more name by which the server may be called" },
    { "allow-origin", 0, OPT_LIST, AT(origins), V_SERVE, "ORIGIN", "pages from there may call, too: https://app.example" },
    { "trust-proxy", 0, OPT_LIST, AT(proxies), V_SERVE, "ADDRESS", "believe the X-Forwarded headers of a proxy there" },
    { "queue-size", 0, OPT_INT, AT(max_size), V_SERVE, "N", "questions that may wait (100)", 1, 100000 },
    { "access-log", 0, OPT_TEXT, AT(access_log), V_SERVE, "FILE", "append a line of JSON for each request; - is standard error" },
    { "no-listen", 0, OPT_FLAG, AT(no_listen), V_SERVE, NULL, "hear a question only when it is over, not while it is spoken" },
    { "free", 0, OPT_FLAG, AT(free_talk), V_SERVE | V_ASK, NULL, "let the model answer in its own words" },
    { "language", 'l', OPT_TEXT, AT(language), V_SERVE | V_ASK | V_LISTEN, "CODE",
      "language spoken (en, de, ...); otherwise it is detected" },
    { "prompt", 0, OPT_TEXT, AT(prompt), V_LISTEN, "TEXT", "names and words to expect" },
    { "translate", 0, OPT_FLAG, AT(translate), V_LISTEN, NULL, "translate into English" },
    { "timestamps", 0, OPT_FLAG, AT(timestamps), V_LISTEN, NULL, "print begin and end of each segment" },
    { "words", 0, OPT_FLAG, AT(words), V_LISTEN, NULL, "times of each word, with --json" },
    { "beam", 0, OPT_INT, AT(beam), V_SERVE | V_ASK | V_LISTEN, "N", "beams of the search (1)", 1, 16 },
    { "system", 0, OPT_TEXT, AT(system), V_CHAT, "TEXT", "system message" },
    { "max-tokens", 'n', OPT_INT, AT(max_tokens), V_SERVE | V_ASK | V_CHAT | V_SAY | V_BENCH, "N",
      "longest answer, in tokens; for say and bench tts: longest speech of Parler-TTS, 86 a second", 1, 1 << 20 },
    { "prompt-tokens", 0, OPT_INT, AT(prompt_tokens), V_BENCH, "N", "of bench llm: the prompt's length (512); --max-tokens: the answer's (128)", 8, 1 << 20 },
    { "temperature", 0, OPT_REAL, AT(temperature), V_SERVE | V_ASK | V_CHAT | V_SAY, "X", "0 always takes the likeliest token", 0, 10 },
    { "top-k", 0, OPT_INT, AT(top_k), V_SERVE | V_ASK | V_CHAT, "N", "only the N likeliest tokens; 0 is off", 0, 1 << 20 },
    { "top-p", 0, OPT_REAL, AT(top_p), V_SERVE | V_ASK | V_CHAT, "X", "only the likeliest tokens that make up X together; 0 is off", 0, 1 },
    { "min-p", 0, OPT_REAL, AT(min_p), V_SERVE | V_ASK | V_CHAT, "X", "only tokens X times as likely as the likeliest; 0 is off", 0, 1 },
    { "f32", 0, OPT_FLAG, AT(f32), ROLES, NULL, "compute everything in float32, as the original implementations do" },
    { "against", 0, OPT_TEXT, AT(against), V_BENCH, "CMD", "run a peer's command in alternating turns, and print the ratio" },
    { "runs", 0, OPT_INT, AT(runs), V_BENCH, "N", "how many turns", 1, 100000 },
    { "type", 0, OPT_TEXT, AT(type), V_QUANTIZE | V_VERIFY, "T", "f32, f16, bf16, q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1 or q4_0" },
    { "steps", 0, OPT_INT, AT(steps), V_VERIFY, "N", "compare N steps (500)", 1, 100000 },
    { "voices", 0, OPT_INT, AT(voices), V_BENCH, "N", "tts: how many speak at once (1)", 1, 16 },
    { "revision", 0, OPT_TEXT, AT(revision), V_PULL, "R", "branch, tag or commit of the repository (main)" },
    { "offline", 0, OPT_FLAG, AT(offline), V_PULL, NULL, "use the cache only" },
    { "path", 0, OPT_FLAG, AT(path), V_MODELS, NULL, "print only where the models lie" },
    { "threads", 't', OPT_INT, AT(threads), V_COMMON, "N", "threads to use; 0 is one for each core (0)", 0, 256 },
    { "seed", 's', OPT_SEED, AT(seed), V_COMMON, "N", "the same seed gives the same result" },
    { "json", 0, OPT_FLAG, AT(json), V_COMMON, NULL, "print JSON" },
    { "verbose", 'v', OPT_FLAG, AT(verbose), V_ALL, NULL, "tell on standard error what is done" },
    { "help", 'h', OPT_FLAG, AT(help), V_ALL, NULL, "print this" },
    { 0 },
};

const struct options options_default = { .temperature = -1, .speed = 1 };
