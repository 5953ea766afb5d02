/* What the tests of models in processes of their own share: tiny models, which other tests write, and what calls have said. */
#ifndef WORKER_HELP_H
#define WORKER_HELP_H

#include "test.h"
#include <m8/infer.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char tiny_dir[] = "/tmp/m8-worker-XXXXXX", tiny_llm[64], tiny_tts[64];

/* args: the programs of the tests llama_hostile and vits_tiny. */
static inline bool make_tiny(int argc, char **argv)
{
    char command[1024];
    if (argc < 3 || !mkdtemp(tiny_dir)) return false;
    snprintf(tiny_llm, sizeof tiny_llm, "%s/tiny.gguf", tiny_dir);
    snprintf(tiny_tts, sizeof tiny_tts, "%s/voice", tiny_dir);
    snprintf(command, sizeof command, "mkdir '%s' && '%s' write '%s' && '%s' write '%s'", tiny_tts, argv[1], tiny_llm, argv[2], tiny_tts);
    return !system(command);
}

static inline void remove_tiny(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", tiny_dir);
    if (system(command)) print_error("%s is left\n", tiny_dir);
}

/* First thing in main: does not return in the worker. */
static inline void be_worker(int argc, char **argv)
{
    const m8_service *const services[] = { &m8_model_service, NULL };
    if (argc > 1 && !strcmp(argv[1], "worker")) _exit(m8_proc_serve(3, services) ? 1 : 0);
}

static inline void pause_s(double s)
{
    struct timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, NULL);
}

static inline m8_model *open_here(const char *path)
{
    m8_model *m = NULL;
    m8_error err = {0};
    if (m8_open(&m, path, &(m8_open_opts){ .n_threads = 2 }, &err)) fail_msg("%s", err.text);
    return m;
}

static inline m8_model *open_there(const char *path)
{
    m8_model *m = NULL;
    m8_error err = {0};
    if (m8_open_worker(&m, path, &(m8_worker_opts){ .open.n_threads = 2 }, &err)) fail_msg("%s", err.text);
    return m;
}

static inline m8_status add_text(void *user, const char *text, size_t n)
{
    m8_buf_add(user, text, n);
    return M8_OK;
}

static inline m8_status add_sound(void *user, const float *x, size_t n)
{
    m8_buf_add(user, x, n * sizeof *x);
    return M8_OK;
}

/* Everything of it, so that two can be compared. */
static inline m8_status add_segment(void *user, const m8_segment *s)
{
    m8_buf *b = user;
    m8_buf_str(b, s->text);
    m8_buf_add(b, &s->start_s, 2 * sizeof(double));
    m8_buf_add(b, &s->avg_logprob, 4 * sizeof(float));
    m8_buf_add(b, s->tokens, s->n_tokens * sizeof(int));
    for (size_t i = 0; i < s->n_words; i++) {
        m8_buf_str(b, s->words[i].text);
        m8_buf_add(b, &s->words[i].start_s, 2 * sizeof(double) + sizeof(float));
    }
    return M8_OK;
}

enum job { CHAT, COMPLETE, SCORE, TOKENS, SPEAK, N_JOBS };

/* One call of some kind; what it gave is appended to out. */
static inline m8_status do_job(m8_model *m, enum job job, int seed, m8_cancel *cancel, m8_buf *out, m8_error *err)
{
    static const char *const stop[] = { "zzz", "\x01\x02\x03" }, *const texts[] = { "yes", "no", "perhaps later", "" };
    m8_message ask[] = { { "system", "be short" }, { "user", seed % 2 ? "ab ab ab" : "what is it?" } };
    m8_chat_opts o = { .max_tokens = 40 + seed % 50, .temperature = 1, .top_p = 0.95f, .seed = (uint64_t)seed, .stop = stop, .n_stop = 2,
                       .cancel = cancel };
    m8_usage usage = {0};
    float scores[4] = {0};
    int n_tokens[4] = {0}, *ids = NULL;
    size_t n = 0;
    m8_status st = M8_OK;
    switch (job) {
    case CHAT: st = m8_chat(m, ask, 2, &o, (m8_text_sink){ add_text, out }, &usage, err); break;
    case COMPLETE: st = m8_complete(m, "once upon a time", &o, (m8_text_sink){ add_text, out }, &usage, err); break;
    case SCORE: st = m8_score(m, ask + 1, 1, texts, 4, &(m8_score_opts){ cancel }, scores, n_tokens, err); break;
    case TOKENS: st = m8_tokenize(m, "some text to cut", &ids, &n, err); break;
    case SPEAK:
        st = m8_speak(m, "ab ba. a bab abab", &(m8_speak_opts){ .seed = (uint64_t)seed, .length_scale = 4, .speaker = seed % 3, .cancel = cancel },
                      (m8_pcm_sink){ add_sound, out }, err);
        break;
    default: break;
    }
    if (!st && (job == CHAT || job == COMPLETE)) m8_buf_printf(out, "|%d %d %s", usage.n_prompt, usage.n_generated, usage.finish);
    if (!st && job == SCORE) m8_buf_add(out, scores, sizeof scores), m8_buf_add(out, n_tokens, sizeof n_tokens);
    if (!st && job == TOKENS) m8_buf_add(out, ids, n * sizeof *ids);
    m8_free(ids);
    return st;
}

#endif
