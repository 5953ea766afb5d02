/** m8/infer.h - run models: hear (Whisper), answer (Llama family), speak (Piper, Parler-TTS).
 *
 *      m8_model *asr;
 *      st = m8_open(&asr, "whisper-base", NULL, &err);
 *      if (!st) st = m8_transcribe(asr, samples, n, NULL, (m8_segment_sink){ print_segment, NULL }, NULL, &err);
 *      m8_close(asr);
 *
 *  A model is opened from a file or a directory; what it is, the file says (GGUF, safetensors, CTranslate2, ONNX), not its name.
 *  Any thread may call; calls in flight on one model share its steps where the model can, and take turns where it can't. A call
 *  gives the same result alone or in company, with one thread or many. Errors, memory and sinks as m8/base.h says. */
#ifndef M8_INFER_H
#define M8_INFER_H

#include <m8/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct m8_model m8_model;

typedef enum m8_task { M8_TASK_ASR = 1, M8_TASK_CHAT = 2, M8_TASK_TTS = 4 } m8_task;

typedef enum m8_precision {
    M8_FAST = 0, /* the types of the file where kernels for them exist, bf16 and 8-bit activations */
    M8_F32 = 1,  /* everything in float32, as the original implementations compute; twice to seven times the memory */
} m8_precision;

typedef struct m8_open_opts {
    int n_threads; /* 0: one for each core */
    m8_precision precision;
} m8_open_opts;

/** Open a model: path is a weights file, or a directory that holds one (model.bin, *.gguf, *.onnx, model.safetensors or its index)
 *  beside its configuration and tokenizer. opts may be NULL. The files must not change while the model is open.
 *  returns M8_OK, M8_E_NOTFOUND, M8_E_FORMAT (damaged; the text names file and cause), M8_E_UNSUPPORTED (a family or type that is
 *  not known here), M8_E_IO, M8_E_NOMEM. */
M8_API m8_status m8_open(m8_model **out, const char *path, const m8_open_opts *opts, m8_error *err);
M8_API void m8_close(m8_model *model);              /* no call may be in flight */
M8_API const char *m8_model_family(const m8_model *model); /* "whisper", "llama", "vits", "parler"; borrowed from the model */
M8_API int m8_model_tasks(const m8_model *model);          /* m8_task bits */
M8_API int64_t m8_model_params(const m8_model *model);     /* how many weights it has */

/* ---- hear --------------------------------------------------------------------------------------------------------- */

typedef struct m8_word {
    const char *text; /* with its leading blank, as Whisper writes it */
    double start_s, end_s;
    float probability; /* mean over its tokens */
} m8_word;

typedef struct m8_segment {
    const char *text; /* UTF-8, not stripped: usually begins with a blank */
    double start_s, end_s;
    float avg_logprob, no_speech_prob, compression_ratio, temperature; /* of the window it was found in */
    const int *tokens; /* [n_tokens], with timestamps */
    size_t n_tokens;
    const m8_word *words; /* [n_words]; n_words is 0 unless opts.words was set */
    size_t n_words;
} m8_segment;

typedef struct m8_segment_sink {
    m8_status (*push)(void *user, const m8_segment *segment); /* borrowed for the call */
    void *user;
} m8_segment_sink;

typedef struct m8_transcribe_opts {
    const char *language;        /* "en", "de", ...; NULL: detected (multilingual models) */
    const char *prompt;          /* initial prompt: words and names to expect; NULL: none */
    bool translate;              /* into English */
    bool no_timestamps;          /* one segment a window, cheaper */
    bool words;                  /* times of each word (cross-attention, dynamic time warping) */
    bool full_window;            /* always encode 30 s, never a shortened window */
    bool no_fallback;            /* temperature 0 only */
    bool no_condition;           /* do not feed earlier text as prompt to the next window */
    bool no_gate;                /* no energy gate in front: silence goes through the model too */
    int beam_size;               /* 0, 1: greedy; up to 16 */
    uint64_t seed;               /* for the sampled temperatures of the fallback */
    m8_cancel *cancel;           /* ends the call from another thread; NULL: none */
} m8_transcribe_opts;

typedef struct m8_transcribe_info {
    char language[8];     /* as given or as detected */
    float language_prob;  /* 1 when given */
    double encode_s, decode_s, mel_s; /* where the time went */
    int n_windows;
} m8_transcribe_info;

/** Transcribe mono float32 at 16 kHz, pushing segments as they are found. Sound without speech gives no segment and M8_OK.
 *  opts, info may be NULL.
 *  returns M8_OK, M8_E_ARG (language unknown, prompt without room), M8_E_CANCELLED or the sink's own status, M8_E_NOMEM.
 *  source: Radford et al. 2022, arXiv 2212.04356; decoding rules as openai-whisper's transcribe() and decode(). */
M8_API m8_status m8_transcribe(m8_model *asr, const float *samples, size_t n, const m8_transcribe_opts *opts, m8_segment_sink out,
                               m8_transcribe_info *info, m8_error *err);

/* ---- answer ------------------------------------------------------------------------------------------------------- */

typedef struct m8_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* UTF-8; special tokens in it are plain text */
} m8_message;

typedef struct m8_chat_opts {
    int max_tokens;           /* 0: 256 */
    float temperature;        /* 0: greedy */
    int top_k;                /* 0: off */
    float top_p;              /* 0 or >= 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 0 or 1: off */
    float presence_penalty, frequency_penalty; /* OpenAI's, over the generated tokens; 0: off */
    uint64_t seed;
    const char *const *stop;  /* [n_stop] the answer ends before any of these */
    size_t n_stop;
    const char *const *choices; /* [n_choices]; if any: the answer is one of these texts, picked token by token */
    size_t n_choices;
    m8_cancel *cancel;          /* ends the call from another thread; NULL: none */
} m8_chat_opts;

typedef struct m8_usage {
    int n_prompt;  /* tokens of the prompt */
    int n_kept;    /* of them, found computed already */
    int n_generated;
    double prompt_s, generate_s;
    const char *finish; /* "stop", "length"; static */
} m8_usage;

/** Answer a conversation, pushing text as it is made, in whole characters. The longest prefix shared with an earlier call on
 *  this model is not computed again. opts, usage may be NULL.
 *  returns M8_OK, M8_E_ARG (no message, unknown role, a number out of range), M8_E_LIMIT (longer than the context),
 *  M8_E_CANCELLED or the sink's own status, M8_E_UNSUPPORTED (the file has no chat template we know), M8_E_NOMEM. */
M8_API m8_status m8_chat(m8_model *llm, const m8_message *messages, size_t n, const m8_chat_opts *opts, m8_text_sink out,
                         m8_usage *usage, m8_error *err);

typedef struct m8_score_opts {
    m8_cancel *cancel; /* ends the call from another thread; NULL: none */
} m8_score_opts;

/** How likely each of n_texts is as the answer to a conversation: scores[i] = sum of log-probabilities of its tokens and of the
 *  token that ends the answer. All are computed as one batch behind the kept prompt. n_tokens (may be NULL) takes their lengths;
 *  opts may be NULL. */
M8_API m8_status m8_score(m8_model *llm, const m8_message *messages, size_t n, const char *const *texts, size_t n_texts,
                          const m8_score_opts *opts, float *scores, int *n_tokens, m8_error *err);

/** Go on with a plain text, without a chat template. */
M8_API m8_status m8_complete(m8_model *llm, const char *prompt, const m8_chat_opts *opts, m8_text_sink out, m8_usage *usage,
                             m8_error *err);

/** Token ids of a text, special tokens as plain text; *ids is new (m8_free). */
M8_API m8_status m8_tokenize(m8_model *model, const char *text, int **ids, size_t *n, m8_error *err);

/* ---- speak -------------------------------------------------------------------------------------------------------- */

typedef struct m8_speak_opts {
    float length_scale; /* 0: the voice's own; 2 is half as fast */
    float noise_scale;  /* 0: the voice's own; negative: none */
    float noise_w;      /* 0: the voice's own; negative: none */
    uint64_t seed;
    int speaker;        /* of a voice that has several */
    m8_cancel *cancel;  /* ends the call from another thread; NULL: none */
    /* Parler-TTS alone, from here on; a Piper voice has no use for them */
    const char *description; /* how to speak, in words; NULL: "Jenny speaks at an average pace with a calm delivery in a very confined
                              * sounding environment with clear audio quality." */
    float temperature;       /* 0: 1; negative: greedy */
    int top_k;               /* 0: 50, as transformers; negative: off */
    int min_new_tokens;      /* columns of codes before the end may come; 0: 10 */
    int max_new_tokens;      /* columns of one stretch of speech (86 a second), no more than the model has positions for; 0: 2579, 30 s */
    float play_steps_in_s;   /* chunks of so many seconds, as the original's streamer cuts them; 0: as early as they can be made */
} m8_speak_opts;

M8_API int m8_speak_rate(const m8_model *tts); /* Hz */

/** Speak text, pushing sound as it is made.
 *  tts   opened from a TTS model; any thread.      text  UTF-8, borrowed for the call; numbers, money and times are read out.
 *  out   receives mono float32 in [-1, 1] at m8_speak_rate(), the first chunk as early as it can be made.
 *  returns M8_OK, M8_E_ARG (nothing to say in it; an option out of range), M8_E_LIMIT (text or description longer than 10,000
 *  bytes, or than the model has positions for), M8_E_CANCELLED or the sink's own status, M8_E_NOMEM. Parler-TTS that does not
 *  come to an end by itself ends at max_new_tokens, with M8_OK.
 *  source: Kim, Kong & Son 2021, arXiv 2106.06103, as piper; Lyth & King 2024, arXiv 2402.01912, as parler_tts. */
M8_API m8_status m8_speak(m8_model *tts, const char *text, const m8_speak_opts *opts, m8_pcm_sink out, m8_error *err);

/* ---- check -------------------------------------------------------------------------------------------------------- */

/** Run the inputs that the file `expected` (safetensors) holds through the model and report, tensor by tensor, the largest absolute
 *  difference from what the original implementation gave, and the difference to be expected of a correct float32 engine (0: no such
 *  figure known). Names as in the goldens of each family, see doc/models.
 *  returns M8_OK (also when differences are large), M8_E_FORMAT, M8_E_UNSUPPORTED (nothing in it that this family knows). */
M8_API m8_status m8_verify(m8_model *model, const char *expected,
                           void (*report)(void *user, const char *tensor, double max_diff, double tolerance), void *user,
                           m8_error *err);

typedef struct m8_likeness {
    int n_steps;    /* taken; fewer than were asked for where the model has no more positions */
    int n, n_same;  /* choices (of a step: one, or one for each codebook), and how many of them have the same first */
    double kl;      /* mean Kullback-Leibler divergence of their distributions, nats */
    double rms;     /* of the logits' difference, in parts of the logits' standard deviation */
    double max_diff;
} m8_likeness;

/** How alike two models compute, of the same weights in other types: both are led through the same n_steps (0: 500), sampled from `of` by
 *  seed, and the logits of every step are compared. No other call may be in flight on either.
 *  returns M8_OK, M8_E_ARG (models of other families or sizes), M8_E_UNSUPPORTED (a family without steps), M8_E_NOMEM. */
M8_API m8_status m8_compare(m8_model *of, m8_model *with, int n_steps, uint64_t seed, m8_likeness *out, m8_error *err);

/* ---- smaller files -------------------------------------------------------------------------------------------------- */

typedef struct m8_quantize_opts {
    int n_threads; /* 0: one for each core */
    /* After some megabytes each; bytes of the new file. Not M8_OK stops. NULL: nobody asks. */
    m8_status (*progress)(void *user, const char *tensor, int64_t done, int64_t total);
    void *user;
    m8_cancel *cancel; /* ends the call from another thread; NULL: none */
} m8_quantize_opts;

/** Write a model's weights in another type, as a GGUF file that holds all that m8_open needs.
 *  in    as for m8_open: a Llama or Parler model, GGUF or safetensors.
 *  out   a file whose name ends in .gguf, or a folder (made where there is none) for model.gguf. What had that name is replaced
 *        once the new file is whole; until then, and where it fails, nothing is there.
 *  type  "f32", "f16", "bf16", "q8_0", "q6_k", "q5_0", "q5_1", "q5_k", "q4_0", "q4_1", "q4_k": of the matrices that are read for every
 *        token; others, and rows that are no whole blocks, keep more bits (doc/models).
 *  Memory stays at some megabytes. opts may be NULL.
 *  returns M8_OK, M8_E_ARG (type), M8_E_UNSUPPORTED (another family; a tensor that has no place), M8_E_IO (a full disk is told before the
 *  work begins), M8_E_CANCELLED or the sink's own status, what m8_open returns, M8_E_NOMEM. */
M8_API m8_status m8_quantize(const char *in, const char *out, const char *type, const m8_quantize_opts *opts, m8_error *err);

/* ---- in a process of its own -------------------------------------------------------------------------------------- */

typedef struct m8_worker_opts {
    m8_open_opts open;
    m8_proc_opts proc; /* m8/base.h: what runs there, who is told, loading in the background */
} m8_worker_opts;

/** As m8_open, with the model in another process: the same calls give the same results, and a crash in it, or its kill, costs the
 *  calls in flight (M8_E_IO), no more: it is started again at once, and calls meanwhile wait (m8/base.h, m8_proc). Until the model
 *  has been loaded once its family is "", its tasks, rate and number of weights are 0. Models in several processes share the
 *  page cache. It cannot be verified (m8_verify).
 *  returns what m8_open returns (but for proc.background), M8_E_IO (the process does not start). */
M8_API m8_status m8_open_worker(m8_model **out, const char *path, const m8_worker_opts *opts, m8_error *err);
M8_API m8_proc_info m8_worker_about(const m8_model *model); /* of a model opened by m8_open: all zero */
extern M8_API const m8_service m8_model_service;            /* for m8_proc_serve, in the other process */

#ifdef __cplusplus
}
#endif
#endif
